import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { createHuaweiClient } from '../../lib/clouds/huawei/client.ts'
import { createHttp } from '../../lib/http/client.ts'
import { createIotdaClient } from '../../lib/iotda/client.ts'
import { changeSwitches, defaultSwitches, type SwitchChanges } from '../../sandbox/iotda/switches.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { type FakeClock, fakeClock } from '../support/clock.ts'
import {
  boundId,
  fast,
  issuePair,
  leftBehind,
  objectionNow,
  type Start,
  startOver,
} from '../support/renewal.ts'
import { createRig, type Rig } from '../support/rig.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

let clock: FakeClock
let rig: Rig
beforeAll(async () => {
  clock = fakeClock()
  rig = await createRig({ now: clock.now, ca: { authorizationReuse: false } })
})
afterAll(() => rig.dispose())
beforeEach(() => fast(rig))
afterEach(async () => {
  changeSwitches(rig.sandbox.iotda.switches, defaultSwitches)
  rig.sandbox.ca.options.commonName = true
  await rig.sandbox.device.setDown(null)
})

const begin = async (keyType: 'ec-256' | 'rsa-2048' = 'ec-256'): Promise<Start> =>
  startOver(rig, await issuePair(rig.sandbox, clock.now(), keyType))

const turn = (changes: SwitchChanges): void => changeSwitches(rig.sandbox.iotda.switches, changes)

/** Runs until one has rotated, at an interval; nothing is at risk meanwhile. */
async function renew(start: Start, everyMs = 2 * HOUR_MS, atMost = 3): Promise<readonly string[]> {
  const outcomes: string[] = []
  while (outcomes.length < atMost && outcomes.at(-1) !== 'rotated') {
    const { outcome, error, warnings } = await rig.result({}, { clock })
    outcomes.push(outcome)
    expect(await objectionNow(rig.sandbox), `after ${outcome}`).toBeNull()
    expect(error?.code).not.toBe('internal')
    expect(warnings.filter(w => w.code === 'held')).toEqual([])
    clock.advance(everyMs)
  }
  expect(outcomes.at(-1), outcomes.join(', ')).toBe('rotated')
  expect(await leftBehind(rig, start)).toEqual([])
  expect(await rig.result({}, { clock })).toMatchObject({ outcome: 'idle', error: null })
  expect(start.objections()).toEqual([])
  return outcomes
}

const uploads = (): number =>
  rig.sandbox.faults.calls.filter(c => c.operation === 'iotda.CreateServerCertificate' && c.status === 201)
    .length

describe('reads that lag', () => {
  test.each([1_000, 3_000, 20_000, 50_000])('by %i ms: one run is enough', async readLagMs => {
    const start = await begin()
    clock.advance(readLagMs)
    turn({ readLagMs })
    expect(await renew(start)).toEqual(['rotated'])
    expect(uploads()).toBe(1)
  })

  test.each([2, 10, 25])('by %i minutes: two more runs, and nothing is uploaded twice', async minutes => {
    const start = await begin()
    clock.advance(minutes * MINUTE_MS)
    turn({ readLagMs: minutes * MINUTE_MS })
    await renew(start)
    expect(uploads()).toBe(1)
  })

  test('by 20 minutes, looked at every five: nothing is uploaded twice', async () => {
    const start = await begin()
    clock.advance(20 * MINUTE_MS)
    turn({ readLagMs: 20 * MINUTE_MS })
    await renew(start, 5 * MINUTE_MS, 100)
    expect(uploads()).toBe(1)
  })

  test('while the device port lags as well', async () => {
    const start = await begin()
    clock.advance(30_000)
    turn({ readLagMs: 30_000 })
    rig.sandbox.device.switches.lagMs = 20 * MINUTE_MS
    const first = await rig.result({}, { clock })
    rig.sandbox.device.switches.lagMs = 0
    expect(first.outcome).toBe('suspended')
    clock.advance(30 * MINUTE_MS)
    expect(await renew(start)).toEqual(['rotated'])
  })
})

describe('a service that would delete a bound certificate', () => {
  test('is never asked to', async () => {
    const start = await begin()
    turn({ deleteBound: 'allow' })
    expect(await renew(start)).toEqual(['rotated'])
  })

  // The port shows it at once, or only the domain configuration does.
  test.each([0, HOUR_MS])(
    'nor when somebody binds the spare one just before (shown after %i ms)',
    async lagMs => {
      const { sandbox } = rig
      const { device, iotda, faults, ca } = sandbox
      const start = await begin()
      turn({ deleteBound: 'allow' })
      device.switches.lagMs = lagMs
      const stop = faults.onCall(({ operation }) => {
        if (operation === 'acme.Certificate') iotda.bind(start.spare)
      })
      expect(await rig.result({}, { clock })).toMatchObject({
        outcome: 'suspended',
        deleted: [],
        error: null,
      })
      stop()
      expect(boundId(sandbox)).toBe(start.spare)

      device.switches.lagMs = 0
      device.settle()
      clock.advance(HOUR_MS)
      const next = await rig.result({}, { clock })
      // The bound one has expired: the other one may go for it.
      expect(next).toMatchObject({ outcome: 'rotated', deleted: [{ serverCertificateId: start.bound }] })
      expect(iotda.certificates().map(c => c.id)).toEqual([boundId(sandbox), start.spare])
      expect(await objectionNow(sandbox)).toBeNull()
      expect(start.objections()).toEqual([])
      expect(ca.issued).toHaveLength(start.issued + 1)
    },
  )
})

describe('the OCSP settings stay as they are', () => {
  test.each(['reset', 'keep'] as const)('where a PUT without them would %s them', async putWithoutConfig => {
    const { iotda, keys } = rig.sandbox
    const start = await begin()
    turn({ putWithoutConfig })
    const [configuration] = iotda.configurations()
    const [target] = rig.sandbox.settings().targets
    const http = createHttp()
    const client = createIotdaClient(
      createHuaweiClient({
        ...target.instance,
        http,
        clock,
        keys: async () => ({ accessKey: secret(keys.accessKey), secretKey: secret(keys.secretKey) }),
        driver: 'iotda',
      }),
    )
    await client.updateDomainConfiguration(configuration?.configuration_id ?? '', {
      serverCertificateId: start.bound,
      serverCertificateConfig: { ocsp_stapling_enable: false, ocsp_ssl_enable: false },
    })
    await http.close()
    expect(await renew(start)).toEqual(['rotated'])
    expect(iotda.configurations()[0]?.server_certificate_config).toEqual({
      ocsp_stapling_enable: false,
      ocsp_ssl_enable: false,
    })
  })
})

describe('private keys', () => {
  const configure = (keyType: string, keyEncoding: string) =>
    rig.configure(settings => {
      settings.certificates.iot.keyType = keyType
      Object.assign(settings.targets[0], { keyEncoding })
      Object.assign(settings.targets[0].probe, { within: '5s', steady: 2 })
    })

  test.each([
    ['rsa-2048', 'pkcs1', 'pkcs1'],
    ['rsa-2048', 'pkcs8', 'pkcs8'],
    ['ec-256', 'pkcs1', 'sec1'],
    ['ec-256', 'pkcs8', 'pkcs8'],
  ] as const)('%s as %s, where only %s is taken', async (keyType, keyEncoding, taken) => {
    await configure(keyType, keyEncoding)
    const start = await begin(keyType)
    turn({ keyEncodings: [taken] })
    expect(await renew(start)).toEqual(['rotated'])
  })

  test('in an encoding that is not taken: refused safely, and deployed without a new order once mended', async () => {
    await configure('rsa-2048', 'pkcs1')
    const start = await begin('rsa-2048')
    turn({ keyEncodings: ['pkcs8'] })
    // Right after our own delete a refusal may be the platform still counting the deleted one.
    expect(await rig.result({}, { clock })).toMatchObject({ outcome: 'suspended' })
    const refused = await rig.result({}, { clock })
    expect(refused).toMatchObject({ outcome: 'failed', error: { code: 'service-refused' } })
    expect(boundId(rig.sandbox)).toBe(start.bound)
    expect(await objectionNow(rig.sandbox)).toBeNull()
    expect(await rig.result({}, { clock })).toMatchObject({ decision: { reason: 'backing-off' } })
    await configure('rsa-2048', 'pkcs8')
    clock.advance(2 * HOUR_MS)
    expect(await renew(start)).toEqual(['rotated'])
  })
})

describe('answers of another shape', () => {
  test.each<SwitchChanges>([
    { readStatus: 200 },
    { shownPem: 'crlf' },
    { shownPem: 'leaf-only' },
    { shownPem: 'leaf-only', readStatus: 200, readLagMs: 10_000, deleteBound: 'allow' },
  ])('%o', async changes => {
    const start = await begin()
    clock.advance(MINUTE_MS)
    turn(changes)
    expect(await renew(start)).toEqual(['rotated'])
  })

  test.each(['omit', 'empty'] as const)('no common name: %s', async missingCommonName => {
    rig.sandbox.ca.options.commonName = false
    const start = await begin()
    turn({ missingCommonName })
    expect(await renew(start)).toEqual(['rotated'])
  })
})

describe('a certificate of somebody else that Show gives without its issuers', () => {
  test('is not held for that while the device port cannot be seen', async () => {
    const start = await begin()
    turn({ shownPem: 'leaf-only' })
    await rig.sandbox.device.setDown('refuse')
    const result = await rig.result({}, { clock })
    expect(result).toMatchObject({ outcome: 'rotated' })
    expect(result.warnings.map(w => w.code)).toEqual(['adopted', 'unverified'])
    await rig.sandbox.device.setDown(null)
    expect(await leftBehind(rig, start)).toEqual([])
  })

  test('is held when devices do not trust what is served', async () => {
    const { iotda, domain, faults } = rig.sandbox
    const start = await begin()
    turn({ shownPem: 'leaf-only' })
    const stranger = await issueLeaf({
      names: [domain],
      issuer: await createRoot({ commonName: 'Another Root' }),
      notAfter: new Date(clock.now() + 5 * DAY_MS),
    })
    iotda.deleteCertificate(start.spare)
    const id = iotda.upload(stranger.chainPem, stranger.keyPem)
    iotda.bind(id)
    faults.clearCalls()
    const result = await rig.result({}, { clock })
    expect(result).toMatchObject({ outcome: 'held', decision: { due: false, reason: 'held' } })
    expect(result.decision.detail).toContain('is not right for devices')
    expect(faults.calls.filter(c => c.operation.startsWith('iotda.') && c.method !== 'GET')).toEqual([])
    expect(boundId(rig.sandbox)).toBe(id)
  })
})
