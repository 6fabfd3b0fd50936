/** The doors over a whole world on loopback: time, repeated delivery, warm processes, temporary keys. */
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { handler as functionGraph, initializer } from '../../functions/functiongraph.ts'
import { warm } from '../../functions/invocation.ts'
import { handler as lambda } from '../../functions/lambda.ts'
import type { Answer } from '../../lib/report/answer.ts'
import '../support/cleanups.ts'
import { type FunctionRig, graphContext, lambdaContext, openFunctionRig } from '../support/function-rig.ts'

const SCHEDULE = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {}, version: '0' }
const TIMER = {
  version: 'v1.0',
  time: '2026-06-15T12:00:00+08:00',
  trigger_type: 'TIMER',
  trigger_name: 'every-30-minutes',
  user_event: '',
}

beforeEach(() => warm.forget())
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
})

const outcomes = (answer: unknown) => (answer as Answer).results.map(it => it.outcome)
const warnings = (answer: unknown) =>
  (answer as Answer).results.flatMap(it => it.warnings.map(({ code }) => code))
const open = async (daysLeft?: number): Promise<FunctionRig> => {
  const rig = await openFunctionRig(daysLeft)
  vi.stubEnv('IOTDA_CERT_CONFIG', rig.config())
  return rig
}

describe('an event that comes again', () => {
  test('a force is done once for each request, even by another process', async () => {
    const rig = await open(60)
    const force = { action: 'rotate', force: true }
    expect(outcomes(await lambda(force, lambdaContext('one')))).toEqual(['rotated'])
    const changes = rig.changes().length
    warm.forget()
    const again = await lambda(force, lambdaContext('one'))
    expect(outcomes(again)).toEqual(['idle'])
    expect(warnings(again)).toContain('delivered-again')
    expect(rig.changes()).toHaveLength(changes)
    expect(warnings(await lambda({ action: 'plan', force: true }, lambdaContext('one')))).toEqual([])
  })

  test('a schedule finds nothing to do; a rollback is done once', async () => {
    const rig = await open()
    const before = rig.boundId()
    expect(outcomes(await lambda(SCHEDULE, lambdaContext('one')))).toEqual(['rotated'])
    expect(outcomes(await lambda(SCHEDULE, lambdaContext('one')))).toEqual(['idle'])
    await lambda({ action: 'rollback' }, lambdaContext('two'))
    expect(rig.boundId()).toBe(before)
    const again = await lambda({ action: 'rollback' }, lambdaContext('two'))
    expect(rig.boundId()).toBe(before)
    expect(warnings(again)).toContain('delivered-again')
  })

  test('two at once: one rotates, the other makes room', async () => {
    const rig = await open()
    const both = await Promise.all(
      ['one', 'two'].map(id => lambda(SCHEDULE, lambdaContext(id)).then(outcomes)),
    )
    expect(both.flat().toSorted()).toEqual(['busy', 'rotated'])
    expect(rig.changes().filter(it => it === 'CreateServerCertificate')).toHaveLength(1)
  })
})

type GraphOptions = Parameters<typeof graphContext>[1]
const graph = (config: string, more: GraphOptions = {}, event: object = TIMER) => {
  const userData = { IOTDA_CERT_CONFIG: config, ...more.userData }
  return functionGraph(event, graphContext('one', { ...more, userData }))
}
/** Settings whose keys for IoTDA come from elsewhere. */
const withKeysOf = (rig: FunctionRig, type: string): string =>
  rig.config(settings => {
    settings.credentials.cn = { type }
  })

describe('time', () => {
  test('what ignores its signal is left behind, in time', async () => {
    const rig = await open()
    const { faults } = rig.sandbox
    faults.add({ operations: ['s3.GetObject'], delayMs: 60_000, times: 1_000 })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let error: unknown = null
    lambda(SCHEDULE, lambdaContext('one', 11_000)).catch(thrown => {
      error = thrown
    })
    while (!faults.calls.some(it => it.operation === 's3.GetObject')) await setImmediate()
    await vi.advanceTimersByTimeAsync(10_999)
    await setImmediate()
    expect(error).toMatchObject({ code: 'out-of-time' })
    expect(rig.changes()).toEqual([])
  })

  test.each([3_000, 0, -5])('%d ms are a mistake in the set-up', async remainingMs => {
    vi.stubEnv('IOTDA_CERT_CONFIG', '{}')
    const refusal = { code: 'out-of-time', message: expect.stringContaining('900 seconds') }
    await expect(lambda({}, lambdaContext('one', remainingMs))).rejects.toMatchObject(refusal)
    const context = { ...graphContext('one', { remainingMs }), getRunningTimeInSeconds: () => 3 }
    await expect(functionGraph({}, context)).rejects.toMatchObject(refusal)
  })

  test('a runtime that does not say what is left: the timeout that it says', async () => {
    vi.stubEnv('IOTDA_CERT_CONFIG', '{}')
    const of = (timeoutS: number) => ({
      ...graphContext('one', { remainingMs: Number.NaN }),
      getRunningTimeInSeconds: () => timeoutS,
    })
    await expect(functionGraph({}, of(3))).rejects.toMatchObject({ code: 'out-of-time' })
    await expect(functionGraph({}, of(60))).rejects.toMatchObject({ code: 'settings-invalid' })
  })
})

describe('FunctionGraph', () => {
  const temporary = (n: number) => ({
    accessKey: `TEMPORARYKEY${n}`,
    secretKey: `temporary/secret+key${n}`,
    securityToken: `temporary token ${n}`,
  })

  test('the keys of the agency, asked for at each event, and both ways to the project id', async () => {
    const rig = await openFunctionRig()
    const { accessKeys, iotda } = rig.sandbox
    const projectId = iotda.url && rig.sandbox.settings().targets[0].instance.projectId
    const config = rig.config(settings => {
      settings.credentials.cn = { type: 'functiongraph' }
      delete settings.targets[0].instance.projectId
    })
    const allow = (n: number) => {
      accessKeys.clear()
      const { accessKey, ...key } = temporary(n)
      accessKeys.set(accessKey, key)
    }
    const run = (n: number, more: GraphOptions = {}) => graph(config, { ...more, keys: temporary(n) })
    allow(1)
    expect(outcomes(await run(1, { projectId }))).toEqual(['rotated'])
    // The first keys end; the process is the same, within the minutes for which settings are kept.
    allow(2)
    vi.stubEnv('RUNTIME_PROJECT_ID', projectId)
    await expect(run(1)).rejects.toThrow('unauthorized')
    expect(outcomes(await run(2))).toEqual(['idle'])
  })

  test('keys that a person set come before those of the agency', async () => {
    const rig = await openFunctionRig()
    const { accessKey, secretKey } = rig.sandbox.keys
    const userData = { HUAWEICLOUD_SDK_AK: accessKey, HUAWEICLOUD_SDK_SK: secretKey }
    const answer = await graph(withKeysOf(rig, 'huaweicloud'), { userData, keys: temporary(1) })
    expect(outcomes(answer)).toEqual(['rotated'])
  })

  test('without an agency it says so', async () => {
    const rig = await openFunctionRig()
    await expect(graph(withKeysOf(rig, 'functiongraph'))).rejects.toThrow(
      'credentials.cn: the function has no keys: the runtime gives it none',
    )
  })

  test('the initializer reads the settings, and is no place to fail', async () => {
    const said = (config: string) =>
      new Promise(resolve => {
        const context = graphContext('init', { userData: { IOTDA_CERT_CONFIG: config } })
        initializer(context, (error, result) => resolve([error, result]))
      })
    const rig = await openFunctionRig()
    expect(await said(rig.config())).toEqual([null, 'ready'])
    expect(await said('{}')).toEqual([null, expect.stringContaining('cannot be read')])
  })
})

describe('inside a function', () => {
  test('state on its own disk and programs are refused, with the path', async () => {
    const rig = await openFunctionRig()
    const config = rig.config(settings => {
      settings.store = { type: 'file', path: './state' }
      settings.solvers.dns = { type: 'exec', command: ['/bin/true'] }
    })
    vi.stubEnv('IOTDA_CERT_CONFIG', config)
    const refusal = await lambda(SCHEDULE, lambdaContext('one')).then(String, String)
    expect(refusal).toContain('store.type: "file" is not for a function')
    expect(refusal).toContain('solvers.dns.type: "exec" is not for a function')
    const noStore = rig.config(settings => {
      settings.store = undefined
    })
    await expect(graph(noStore, {}, {})).rejects.toThrow('store.type: "file" is not for a function')
  })
})
