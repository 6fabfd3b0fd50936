import { mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import {
  ADD,
  BIND,
  DAY_MS,
  HOUR_MS,
  openScenario,
  type Scenario,
  type ScenarioOptions,
  warningsOf,
} from '../support/scenario.ts'

const create: ScenarioOptions = {
  change: put({ 'targets.0.domainConfiguration': 'create' }),
}
const fingerprintOf = (s: Scenario, id: string | null): string =>
  s.iotda.certificates().find(c => c.id === id)?.fingerprint ?? ''
const stateOf = (s: Scenario): string => join(s.rig.folder, 'state')
const filesIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))

describe('first set-up', () => {
  test('no certificate and no configuration', async () => {
    const s = await openScenario(create)
    await s.runTo({
      outcome: 'rotated',
      decision: { reason: 'no-certificate' },
      before: null,
      after: { names: [s.domain] },
    })
    expect(s.changes()).toEqual([ADD, 'CreateDomainConfiguration'])
    expect(s.iotda.configurations()).toMatchObject([{ domain_name: s.domain }])
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('one certificate, and no configuration', async () => {
    const s = await openScenario(create)
    const there = await s.upload(-10, 80)
    expect(await s.run()).toMatchObject({ outcome: 'rotated', deleted: [] })
    expect(s.ids()).toContain(there)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('the configuration is missing and may not be created: nothing is changed', async () => {
    const s = await openScenario()
    await s.upload(-10, 80)
    const result = await s.runTo(
      { outcome: 'failed', error: { code: 'domain-configuration-missing' } },
      { force: true },
    )
    expect(result.error?.message).toContain(s.domain)
    expect(result.error?.hint).toContain('"create"')
    expect(s.changes()).toEqual([])
    expect(s.ca.orders).toHaveLength(0)
  })

  test('what is bound has the wrong names: held, nothing is overwritten', async () => {
    const s = await openScenario()
    const wrong = await s.upload(-70, 20, ['other.example.com'])
    s.iotda.createConfiguration(s.domain, wrong)
    for (const _ of [1, 2]) {
      expect(await s.run()).toMatchObject({ outcome: 'held' })
      s.clock.advance(DAY_MS)
    }
    expect(s.changes()).toEqual([])
    expect(s.ca.orders).toHaveLength(0)
  })
})

describe('the state', () => {
  async function rotated() {
    const s = await openScenario()
    await s.bindOne(20)
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    s.changes()
    return s
  }

  test('deleted between two runs: what is bound is adopted, nothing is obtained', async () => {
    const s = await rotated()
    const bound = s.boundId()
    await rm(stateOf(s), { recursive: true })
    const result = await s.runTo({ outcome: 'idle', decision: { reason: 'fresh' } })
    expect(warningsOf(result)).toEqual(['adopted'])
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([])
    expect(s.obtained()).toBe(1)
    expect(await s.later(62 * DAY_MS)).toMatchObject({ outcome: 'rotated', deleted: [{}] })
    expect(s.obtained()).toBe(2)
  })

  test.each([0, 20])('cut to %d bytes: nothing is changed, not even by force', async length => {
    const s = await rotated()
    s.clock.advance(62 * DAY_MS)
    const files = (await filesIn(stateOf(s))).filter(file => file.endsWith('.json'))
    expect(files.length).toBeGreaterThan(2)
    for (const file of files) await truncate(file, length)
    for (const force of [false, true]) {
      const result = await s.runTo({ outcome: 'failed', error: { code: 'store-unreadable' } }, { force })
      expect(result.error?.hint).toContain('Nothing was changed')
    }
    expect(s.changes()).toEqual([])
    expect(s.obtained()).toBe(1)
  })
})

test('plan and status write nothing down, not even what they learn of the CA', async () => {
  const s = await openScenario()
  await s.bindOne(60)
  for (const action of ['plan', 'status'] as const) expect((await s.run({ action })).error).toBeNull()
  const written = await readdir(join(s.rig.folder, 'state'), { recursive: true }).catch(() => [])
  expect(written.filter(name => name.endsWith('.json'))).toEqual([])
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  expect(await readdir(join(s.rig.folder, 'state'))).toContain('sources')
})

test('two runs at once: one works, the other is busy', async () => {
  const s = await openScenario({ now: Date.now })
  await s.bindOne(20)
  s.faults.add({ operations: ['acme.Finalize'], delayMs: 2_500 })
  const atFinalize = new Promise<void>(resolve => {
    s.faults.onCall(call => {
      if (call.operation === 'acme.Finalize') resolve()
    })
  })
  const first = cli(s.rig, ['rotate', '--json'])
  await atFinalize
  const second = await cli(s.rig, ['rotate', '--json'])
  expect(second.code, second.stderr).toBe(3)
  expect(JSON.parse(second.stdout).results).toMatchObject([{ outcome: 'busy', error: { code: 'busy' } }])
  const done = await first
  expect(done.code, done.stdout).toBe(0)
  expect(JSON.parse(done.stdout).results).toMatchObject([{ outcome: 'rotated' }])
  expect(s.changes()).toEqual([ADD, BIND])
  expect(s.obtained()).toBe(1)
})

describe('two targets share a certificate', () => {
  const names = ['iot.example.com', 'iot2.example.com']

  async function pair(): Promise<{ s: Scenario; second: Sandbox; boundIds: () => readonly unknown[] }> {
    const s = await openScenario()
    const second = await startSandbox({
      domain: 'iot2.example.com',
      now: s.clock.now,
    })
    cleanups.push(second.dispose)
    await s.configure(settings => {
      const other = second.settings()
      const [target] = other.targets
      settings.targets.push({
        ...target,
        name: 'factory-2',
        credentials: 'cn2',
        instance: { ...target.instance, instanceId: null },
        trustedRoots: s.ca.rootPem,
        probe: { ...target.probe, within: '2s' },
      })
      settings.credentials.cn2 = other.credentials.cn
      settings.certificates.iot.names = names
    })
    for (const { iotda, domain } of [s.rig.sandbox, second]) {
      const { certPem, keyPem } = await s.issue(-70, 20, names)
      iotda.createConfiguration(domain, iotda.upload(certPem, keyPem))
    }
    const boundIds = () => [s.iotda, second.iotda].map(i => i.configurations()[0]?.server_certificate_id)
    return { s, second, boundIds }
  }
  const outcomesOf = async (s: Scenario, event = {}) =>
    (await s.rig.run(event, { clock: s.clock })).results.map(r => r.outcome)
  const keys = async (s: Scenario) => filesIn(join(stateOf(s), 'certificates', 'iot'))

  test('one order, deployed to both, and the key is wiped', async () => {
    const { s, second } = await pair()
    expect(await outcomesOf(s)).toEqual(['rotated', 'rotated'])
    expect(s.obtained()).toBe(1)
    expect(second.iotda.bound()?.certificatePem).toBe(s.iotda.bound()?.certificatePem)
    expect(await keys(s)).toEqual([])
    expect(await outcomesOf(s)).toEqual(['idle', 'idle'])
  })

  test('one fails: the other is rotated, and the first follows without another order', async () => {
    const { s, second } = await pair()
    second.faults.add({ operations: ['iotda.*'], status: 500, times: 1_000_000 })
    const answer = await s.rig.run({}, { clock: s.clock })
    expect(answer.ok).toBe(false)
    expect(answer.results.map(r => r.outcome)).toEqual(['rotated', 'failed'])
    expect(await keys(s)).toHaveLength(1)
    second.faults.clear()
    s.clock.advance(HOUR_MS)
    expect(await outcomesOf(s)).toEqual(['idle', 'rotated'])
    expect(s.obtained()).toBe(1)
    expect(second.iotda.bound()?.certificatePem).toBe(s.iotda.bound()?.certificatePem)
    expect(await keys(s)).toEqual([])
  })

  test('one is unreachable for long: the other goes on being renewed', async () => {
    const { s, second } = await pair()
    second.faults.add({ operations: ['iotda.*'], status: 500, times: 1_000_000 })
    expect(await outcomesOf(s)).toEqual(['rotated', 'failed'])
    const first = s.boundId()
    s.clock.advance(2 * HOUR_MS)
    expect(await outcomesOf(s, { targets: ['factory-1'], force: true })).toEqual(['rotated'])
    expect(s.boundId()).not.toBe(first)
    expect(s.obtained()).toBe(2)
    second.faults.clear()
    expect(await outcomesOf(s)).toEqual(['idle', 'rotated'])
    expect(second.iotda.bound()?.certificatePem).toBe(s.iotda.bound()?.certificatePem)
    expect(s.obtained()).toBe(2)
    expect(await keys(s)).toEqual([])
  })
})

test('of many targets, the one whose state cannot be read does not stop the others', async () => {
  const s = await openScenario()
  await s.bindOne(20)
  await s.configure(settings => {
    const [target] = settings.targets
    for (const port of [1, 2, 3, 4]) {
      const instance = { ...target.instance, instanceId: null, endpoint: `http://127.0.0.1:${port}` }
      settings.targets.unshift({ ...target, name: `factory-${port + 1}`, certificate: 'other', instance })
    }
    settings.certificates.other = settings.certificates.iot
  })
  await mkdir(join(stateOf(s), 'certificates'), { recursive: true })
  await writeFile(join(stateOf(s), 'certificates', 'other.1.json'), '')
  const { results } = await s.rig.run({}, { clock: s.clock })
  expect(results).toHaveLength(5)
  expect(results.filter(r => r.outcome === 'rotated').map(r => r.target)).toEqual(['factory-1'])
})

describe('OCSP stapling is on, and the new certificate carries no URL', () => {
  async function stapling(ocsp: string) {
    const s = await openScenario({
      change: put({ 'targets.0.ocsp': ocsp }),
    })
    const bound = await s.bindOne(20)
    s.iotda.configure({ ocsp_stapling_enable: true, ocsp_ssl_enable: false, ocsp_server_ca_id: 'ca-1' })
    return { s, bound, config: () => s.iotda.configurations()[0]?.server_certificate_config }
  }

  test('require-url: refused before anything is changed', async () => {
    const { s, config } = await stapling('require-url')
    const result = await s.runTo({ outcome: 'refused', error: { code: 'preflight-refused' } })
    expect(result.error?.message).toContain('OCSP')
    expect(s.changes()).toEqual([])
    expect(config()).toMatchObject({ ocsp_stapling_enable: true })
  })

  test('follow-certificate: switched off in the same PUT, the rest stays', async () => {
    const { s, config } = await stapling('follow-certificate')
    const result = await s.runTo({ outcome: 'rotated' })
    expect(warningsOf(result)).toContain('ocsp-stapling-off')
    expect(s.changes()).toEqual([ADD, BIND])
    expect(config()).toEqual({
      ocsp_stapling_enable: false,
      ocsp_ssl_enable: false,
      ocsp_server_ca_id: 'ca-1',
    })
  })

  test('follow-certificate: a roll-back switches it on again', async () => {
    const { s, bound, config } = await stapling('follow-certificate')
    const wrong = await s.issue(-1, 80)
    s.iotda.onBind(() => {
      s.device.switches.serve = s.boundId() === bound ? null : wrong
    })
    expect(await s.run()).toMatchObject({ outcome: 'rolled-back' })
    expect(config()).toMatchObject({ ocsp_stapling_enable: true, ocsp_ssl_enable: false })
  })

  test('follow-certificate: a rollback by hand that is not served leaves all as it was', async () => {
    const { s, config } = await stapling('follow-certificate')
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    const [ours, before] = [s.boundId(), config()]
    const wrong = await s.issue(-1, 80, ['wrong.example.com'])
    s.iotda.onBind(() => {
      s.device.switches.serve = s.boundId() === ours ? null : wrong
    })
    expect(await s.run({ action: 'rollback' })).toMatchObject({ outcome: 'rolled-back' })
    expect(s.boundId()).toBe(ours)
    expect(config()).toEqual(before)
  })

  test.each(['after the verdict', 'before it'])(
    'follow-certificate: a rollback by hand %s switches it on again, but not what was off',
    async when => {
      const { s, bound, config } = await stapling('follow-certificate')
      if (when === 'before it') s.device.switches.lagMs = Number.POSITIVE_INFINITY
      expect(await s.run()).toMatchObject({ outcome: when === 'before it' ? 'suspended' : 'rotated' })
      expect(config()).toMatchObject({ ocsp_stapling_enable: false })
      const ours = s.boundId()
      s.device.settle()
      s.device.switches.lagMs = 0
      expect(await s.run({ action: 'rollback' })).toMatchObject({ outcome: 'rotated' })
      expect(s.boundId()).toBe(bound)
      expect(config()).toEqual({
        ocsp_stapling_enable: true,
        ocsp_ssl_enable: false,
        ocsp_server_ca_id: 'ca-1',
      })

      // A person switches it off: no bind of ours has done that.
      s.iotda.configure({ ...config(), ocsp_stapling_enable: false })
      const accept = fingerprintOf(s, ours)
      expect(await s.run({ action: 'rollback', accept })).toMatchObject({ outcome: 'rotated' })
      expect(s.boundId()).toBe(ours)
      const again = fingerprintOf(s, bound)
      expect(await s.run({ action: 'rollback', accept: again })).toMatchObject({ outcome: 'rotated' })
      expect(config()).toMatchObject({ ocsp_stapling_enable: false })
    },
  )
})

test('the OCSP settings come back as they were, though a PUT without them would reset them', async () => {
  const s = await openScenario()
  await s.bindOne(20)
  s.iotda.configure({ ocsp_ssl_enable: false, ocsp_server_ca_id: 'ca-1' })
  expect(s.iotda.switches.putWithoutConfig).toBe('reset')
  const before = s.iotda.configurations()[0]?.server_certificate_config
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  expect(s.iotda.configurations()[0]?.server_certificate_config).toEqual(before)
})
