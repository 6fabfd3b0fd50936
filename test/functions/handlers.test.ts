import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { handler as functionGraph, initializer } from '../../functions/functiongraph.ts'
import { handler as lambda } from '../../functions/lambda.ts'
import { answerError, jsonLog } from '../../functions/output.ts'
import { configuredMs } from '../../functions/remaining.ts'
import { handler as watchdog } from '../../functions/watch.ts'
import { answer, result } from '../present/answers.ts'
import { graphContext, lambdaContext } from '../support/function-rig.ts'

const BAD = '{"version":1,"targets":[]}'
const context = lambdaContext('b1b1', 60_000)
const withUserData = (userData: Record<string, string | undefined> = {}) => ({
  ...graphContext('b1b1', { remainingMs: 60_000 }),
  getUserData: (key: string) => userData[key],
})

const configure = (config: string | undefined) => vi.stubEnv('IOTDA_CERT_CONFIG', config)
beforeEach(() => void configure(undefined))
afterEach(() => void vi.unstubAllEnvs())

describe('Lambda', () => {
  const schedules = [
    { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {}, version: '0' },
    { source: 'aws.scheduler', time: '2026-06-15T12:00:00Z', detail: '{}' },
  ]
  test.each(schedules)('a schedule is understood, and bad settings are told: %j', async event => {
    configure(BAD)
    await expect(lambda(event, context)).rejects.toMatchObject({
      code: 'settings-invalid',
      message: expect.stringContaining('targets: must have at least one target'),
    })
  })

  test.each([
    [{ source: 'aws.scheduler', action: 'plan', force: true }, '"action", "force"'],
    [{ source: 'aws.events', detail: { targets: ['factory-1'] } }, '"detail.targets"'],
  ])('what stands beside a schedule is never lost: %j', async (event, paths) => {
    configure(BAD)
    await expect(lambda(event, context)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(`${paths} in the event of a schedule`),
      hint: expect.stringContaining('{"action":"plan"}'),
    })
  })

  test('an event is parsed before anything else', async () => {
    configure(BAD)
    await expect(lambda({ action: 'delete' }, context)).rejects.toMatchObject({ code: 'usage' })
    await expect(lambda('rotate', context)).rejects.toMatchObject({ code: 'usage' })
    await expect(lambda({ action: 'plan' }, context)).rejects.toMatchObject({
      code: 'settings-invalid',
    })
    await expect(lambda(null, context)).rejects.toMatchObject({ code: 'settings-invalid' })
  })

  test('without settings it says how to give them', async () => {
    await expect(lambda({}, context)).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('IOTDA_CERT_CONFIG'),
    })
  })
})

describe('FunctionGraph', () => {
  test('its runtime calls handlers and initializers that declare exactly two parameters', () => {
    expect([functionGraph, initializer, watchdog].map(it => it.length)).toEqual([2, 2, 2])
  })

  const timer = (more: object = {}) => ({
    version: 'v1.0',
    time: '2026-06-15T12:00:00+08:00',
    trigger_type: 'TIMER',
    trigger_name: 'every-30-minutes',
    ...more,
  })
  const bad = withUserData({ IOTDA_CERT_CONFIG: BAD })

  test.each([
    timer(),
    timer({ user_event: '' }),
    timer({ user_event: ' ' }),
    timer({ user_event: null }),
    timer({ user_event: '{"action":"plan"}' }),
    timer({ user_event: { action: 'plan' } }),
    { action: 'rotate', force: true },
    {},
    null,
  ])('is understood, and bad settings are told: %j', async event => {
    await expect(functionGraph(event, bad)).rejects.toMatchObject({ code: 'settings-invalid' })
  })

  test.each([
    [timer({ user_event: 'rotate' }), 'user_event: it is no JSON'],
    [timer({ user_event: '{"action":"delete"}' }), 'user_event: the event is not understood: unknown action'],
    [timer({ user_event: { action: 'delete' } }), 'user_event: the event is not understood: unknown action'],
    [timer({ user_event: 42 }), 'user_event: the event is not understood: it is no object'],
    [timer({ action: 'plan' }), '"action" in the event of a schedule'],
    [timer({ user_event: '[]' }), 'it is no object'],
    [{ action: 'delete' }, 'unknown action'],
    [{ trigger_type: 'SMN' }, 'unknown key "trigger_type"'],
  ])('is not understood: %j', async (event, message) => {
    await expect(functionGraph(event, bad)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(message),
    })
  })

  test.each([
    ['', 'settings-invalid'],
    [undefined, 'settings-invalid'],
  ])('user data that says nothing (%j) leaves it to the environment', async (given, code) => {
    configure(BAD)
    await expect(functionGraph({}, withUserData({ IOTDA_CERT_CONFIG: given }))).rejects.toMatchObject({
      code,
      message: expect.stringContaining('targets: must have at least one target'),
    })
  })

  test('without settings it says how to give them', async () => {
    await expect(functionGraph({}, withUserData())).rejects.toMatchObject({ code: 'usage' })
  })
})

test.each([
  [900, [899_000]],
  [60, [59_000]],
  [3_600, [3_599_000]],
  // Taken for seconds, these would be a day and more.
  [900_000, [899_000]],
  [60_000, [59_000]],
  [undefined, []],
])('getRunningTimeInSeconds may be milliseconds: %j leaves %j ms', (said, left) => {
  expect(configuredMs(said)).toEqual(left)
})

describe('what a door puts out', () => {
  test('the whole answer is the message of what it throws', () => {
    const given = answer(result({ outcome: 'failed' }))
    const error = answerError(given)
    expect(error.name).toBe('RotationFailed')
    expect(JSON.parse(error.message)).toEqual(given)
  })

  test('its log is JSON lines, from its level on, by the function that runtimes replace', async () => {
    const written: string[] = []
    const spy = vi.spyOn(process.stderr, 'write').mockImplementation(text => {
      written.push(String(text))
      return true
    })
    try {
      const log = jsonLog('info')
      log.debug({ a: 1 }, 'not this')
      log.info({ target: 'factory-1' }, 'a call')
      log.error({}, 'a failure')
      await log.flush()
      log.warn({}, 'later')
    } finally {
      spy.mockRestore()
    }
    expect(written.map(line => JSON.parse(line))).toMatchObject([
      { level: 'info', target: 'factory-1', msg: 'a call' },
      { level: 'error', msg: 'a failure', time: expect.any(Number) },
      { level: 'warn', msg: 'later' },
    ])
    expect(written.every(line => line.endsWith('\n'))).toBe(true)
  })

  test('a log that cannot be written stops nothing', async () => {
    const spy = vi.spyOn(process.stderr, 'write').mockImplementation(() => {
      throw new Error('the runtime is not well')
    })
    try {
      const log = jsonLog('info')
      log.error({}, 'a failure')
      await log.flush()
      expect(() => log.error({}, 'another')).not.toThrow()
      expect(spy).toHaveBeenCalledTimes(2)
    } finally {
      spy.mockRestore()
    }
  })
})
