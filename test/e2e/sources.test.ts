import { X509Certificate } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { type AcmeCa, createAcmeCa } from '../../sandbox/acme-ca/ca.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { DAY_MS, HOUR_MS, openScenario, type Scenario } from '../support/scenario.ts'

/** Two CAs in order; devices trust both unless told otherwise. The bound certificate ends in 20 days. */
let s: Scenario
let second: AcmeCa
let secondFaults: Faults
let adjust: (settings: SandboxSettings) => void

beforeEach(async () => {
  s = await openScenario()
  secondFaults = createFaults()
  second = await createAcmeCa({
    faults: secondFaults,
    dnsServer: s.ca.options.dnsServer,
    now: s.clock.now,
    keyAlgorithm: 'ec-256',
  })
  cleanups.push(second.dispose)
  adjust = settings => {
    settings.sources.second = {
      ...settings.sources.sandbox,
      directory: second.directoryUrl,
      caCertificates: second.caPem,
    }
    settings.certificates.iot.source = ['sandbox', 'second']
    settings.targets[0].trustedRoots = `${s.ca.rootPem}${second.rootPem}`
  }
  await s.configure(adjust)
  await s.bindOne(20)
})

const REJECTED = JSON.stringify({ type: 'urn:ietf:params:acme:error:rejectedIdentifier', detail: 'never' })
const rejectOrders = (times = 1000): void =>
  s.faults.add({ operations: ['acme.NewOrder'], status: 400, body: REJECTED, times })
const breakOrders = (): void => s.faults.add({ operations: ['acme.NewOrder'], status: 503, times: 1000 })
const issuerOfBound = (): 'first' | 'second' => {
  const pem = s.iotda.certificates().find(({ id }) => id === s.boundId())?.certificatePem ?? ''
  const { issuer } = new X509Certificate(pem)
  return new X509Certificate(second.intermediatePems[0] ?? '').subject === issuer ? 'second' : 'first'
}
const asked = (faults: Faults): number => faults.calls.filter(c => c.operation === 'acme.NewOrder').length

test('the first is asked while it works, and the second never', async () => {
  expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  expect(issuerOfBound()).toBe('first')
  expect(secondFaults.calls).toEqual([])
})

test('a bound certificate that the CA does not know is no predecessor: one request, without replaces', async () => {
  const dates = {
    notBefore: new Date(s.clock.now() - 69 * DAY_MS),
    notAfter: new Date(s.clock.now() + 20 * DAY_MS),
  }
  const { certPem, keyPem } = await second.issue([s.domain], { ...dates, keyType: 'ec-256' })
  s.iotda.bind(s.iotda.upload(certPem, keyPem))
  expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  expect(issuerOfBound()).toBe('first')
  expect(asked(s.faults)).toBe(1)
})

test('a failure that retrying cannot mend: the second, in the same run, and no order after it', async () => {
  rejectOrders()
  expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  expect(issuerOfBound()).toBe('second')
  expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'idle' })
  expect(second.issued).toHaveLength(1)
  expect(s.rig.logged.some(line => line.includes('the next source is asked'))).toBe(true)
})

test('renewal info and the next order: the second of its own certificate, the first again for the order', async () => {
  rejectOrders(1)
  await s.run()
  s.clock.advance(HOUR_MS)
  secondFaults.clearCalls()
  s.faults.clearCalls()
  await s.run()
  expect(secondFaults.calls.map(c => c.operation)).toContain('acme.RenewalInfo')
  expect(s.faults.calls.map(c => c.operation)).not.toContain('acme.RenewalInfo')
  s.clock.advance(61 * DAY_MS)
  s.faults.clearCalls()
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  expect(issuerOfBound()).toBe('first')
  // It never knew the predecessor: no order is tried with it.
  expect(asked(s.faults)).toBe(1)
})

test('three failed runs: then the second', async () => {
  breakOrders()
  const outcomes: string[] = []
  for (let i = 0; i < 4; i += 1) {
    outcomes.push((await s.run()).outcome)
    s.clock.advance(9 * HOUR_MS)
  }
  expect(outcomes).toEqual(['failed', 'failed', 'failed', 'rotated'])
  expect(issuerOfBound()).toBe('second')
  // Each with the predecessor, and without.
  expect(asked(s.faults)).toBe(6)
})

test('in the emergency one failure is enough', async () => {
  s.clock.advance(16 * DAY_MS)
  breakOrders()
  expect(await s.run()).toMatchObject({ outcome: 'failed', decision: { reason: 'emergency' } })
  expect(await s.later(HOUR_MS / 2)).toMatchObject({ outcome: 'rotated' })
  expect(issuerOfBound()).toBe('second')
})

test('an order that never ends is given up in the emergency, and its authorizations are not left open', async () => {
  s.ca.options.asyncFinalizeMs = 1000 * DAY_MS
  expect(await s.later(16 * DAY_MS, {}, { budgetMs: 60_000 })).toMatchObject({ outcome: 'suspended' })
  expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'rotated' })
  expect(issuerOfBound()).toBe('second')
})

test('a wait of the first is waited for; in the emergency the second is asked', async () => {
  s.faults.add({
    operations: ['acme.NewOrder'],
    status: 429,
    headers: { 'retry-after': String(19 * 86_400) },
    body: JSON.stringify({ type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many' }),
  })
  expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'rate-limited' } })
  expect(await s.later(2 * DAY_MS)).toMatchObject({ outcome: 'suspended', decision: { reason: 'paused' } })
  expect(secondFaults.calls).toEqual([])
  expect(await s.later(14 * DAY_MS)).toMatchObject({ outcome: 'rotated', decision: { reason: 'emergency' } })
  expect(issuerOfBound()).toBe('second')
})

test('the first gives a chain that devices refuse: the second, and no more orders at the first', async () => {
  await s.configure(settings => {
    adjust(settings)
    settings.targets[0].trustedRoots = second.rootPem
  })
  const { certPem, keyPem } = await second.issue([s.domain], {
    notBefore: new Date(s.clock.now() - 69 * DAY_MS),
    notAfter: new Date(s.clock.now() + 20 * DAY_MS),
    keyType: 'ec-256',
  })
  const before = s.boundId() ?? ''
  s.iotda.bind(s.iotda.upload(certPem, keyPem))
  s.iotda.deleteCertificate(before)
  expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  expect(issuerOfBound()).toBe('second')
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  expect(s.obtained()).toBe(1)
})

test('the first gives a leaf that devices of another target refuse, which shares it: the second', async () => {
  s.ca.options.commonName = false
  await s.configure(settings => {
    adjust(settings)
    const [target] = settings.targets
    // Nobody answers there: what its devices need is known all the same.
    const instance = { ...target.instance, instanceId: null, endpoint: 'http://127.0.0.1:9' }
    settings.targets.push({ ...target, name: 'factory-2', instance, profiles: [] })
    settings.targets[1].profiles = [{ name: 'old', needsCommonName: true }]
  })
  const { results } = await s.rig.run({}, { clock: s.clock })
  expect(results.map(({ outcome }) => outcome)).toEqual(['rotated', 'failed'])
  expect(issuerOfBound()).toBe('second')
})

test('the second gives a chain that devices refuse: refused with its reasons, once', async () => {
  await s.configure(settings => {
    adjust(settings)
    settings.targets[0].trustedRoots = s.ca.rootPem
  })
  rejectOrders()
  const bound = s.boundId()
  expect(await s.run()).toMatchObject({ outcome: 'refused', error: { code: 'preflight-refused' } })
  expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'refused' })
  expect(s.boundId()).toBe(bound)
  expect(second.issued).toHaveLength(1)
})

test('both fail: the failure of the last one asked is reported, and the target backs off', async () => {
  rejectOrders()
  secondFaults.add({ operations: ['acme.NewOrder'], status: 400, body: REJECTED, times: 1000 })
  const result = await s.runTo({ outcome: 'failed', error: { code: 'ca-rejected' } })
  expect(result.error?.message).toContain('sources.second')
  expect(await s.run()).toMatchObject({ decision: { reason: 'backing-off' } })
})
