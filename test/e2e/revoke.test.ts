import { X509Certificate } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { rollover } from '../../lib/app/rollover.ts'
import { silentLog } from '../../lib/base/log.ts'
import type { RevocationReason } from '../../lib/model/certificate.ts'
import type { RunEvent } from '../../lib/model/outcomes.ts'
import { healthOf } from '../../lib/report/health.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { put } from '../support/put.ts'
import {
  HOUR_MS,
  openScenario,
  type Scenario,
  type ScenarioOptions,
  warningsOf,
} from '../support/scenario.ts'

/** Two rotations: ours is bound, and ours is in the other slot. */
async function rotatedTwice(options: ScenarioOptions = {}): Promise<Scenario> {
  const s = await openScenario(options)
  await s.bindOne(80)
  for (let i = 0; i < 2; i += 1) {
    expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated' })
    s.clock.advance(2 * HOUR_MS)
  }
  s.changes()
  return s
}
const revoke = (
  s: Scenario,
  reason: RevocationReason,
  more: object = {},
  certificate: string | null = null,
) => s.run({ action: 'revoke', targets: ['factory-1'], revoke: { certificate, reason }, ...more })
const revoking = (reason: RevocationReason, certificate: string): Partial<RunEvent> => ({
  action: 'revoke',
  targets: ['factory-1'],
  revoke: { certificate, reason },
  force: true,
})
const serialOf = (s: Scenario, isBound: boolean): string => {
  const pem = s.iotda.certificates().find(({ id }) => (id === s.boundId()) === isBound)?.certificatePem ?? ''
  return new X509Certificate(pem).serialNumber
}
const boundFingerprint = (s: Scenario): string =>
  s.iotda.certificates().find(({ id }) => id === s.boundId())?.fingerprint ?? ''
const revoked = (s: Scenario) =>
  s.ca.issued.flatMap(({ serial, revoked: how }) => (how ? [[serial, how.reason]] : []))

test('the one that was replaced is revoked, and nothing on IoTDA is changed', async () => {
  const s = await rotatedTwice()
  const result = await revoke(s, 'superseded')
  expect(result).toMatchObject({ outcome: 'revoked', error: null })
  expect(result.decision.detail).toContain('is revoked by sources.sandbox (superseded)')
  expect(revoked(s)).toEqual([[serialOf(s, false), 4]])
  expect(s.changes()).toEqual([])
  const again = await revoke(s, 'superseded')
  expect(again).toMatchObject({ outcome: 'revoked' })
  expect(again.decision.detail).toContain('was revoked already')
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
})

test('the bound one is revoked only by force, which says what devices notice, and is renewed by the next run', async () => {
  const s = await rotatedTwice()
  const bound = boundFingerprint(s)
  const refused = await revoke(s, 'superseded', {}, bound)
  expect(refused).toMatchObject({ outcome: 'failed', error: { code: 'usage' } })
  expect(refused.error?.message).toContain('devices that look at revocation lists')
  expect(refused.error?.hint).toContain('rotate --force')
  expect(revoked(s)).toEqual([])

  const serial = serialOf(s, true)
  const forced = await revoke(s, 'superseded', { force: true }, bound)
  expect(forced).toMatchObject({ outcome: 'revoked' })
  expect(warningsOf(forced)).toContain('revoked')
  expect(revoked(s)).toEqual([[serial, 4]])
  expect(await s.run()).toMatchObject({ outcome: 'rotated', decision: { reason: 'revoked' } })
})

test('a bound certificate that was revoked is due where the CA gives no renewal info, and is told until it is replaced', async () => {
  const receiver = await receiveAlerts()
  const s = await rotatedTwice({
    change: put({
      'certificates.iot.ari': false,
      notifiers: [{ type: 'webhook', url: receiver.url, events: ['recalled', 'recovered'] }],
    }),
  })
  const bound = boundFingerprint(s)
  await s.runTo({ outcome: 'revoked' }, revoking('keyCompromise', bound))
  // The CA is down: what is bound stays, and is not called fresh by anybody.
  s.faults.add({ operations: ['acme.NewNonce', 'acme.NewOrder'], status: 503, times: 100 })
  const due = { due: true, reason: 'revoked', detail: expect.stringContaining('(keyCompromise)') }
  for (const action of ['plan', 'status'] as const) {
    const looked = await s.run({ action })
    expect(looked).toMatchObject({ decision: due })
    expect(warningsOf(looked)).toContain('revoked')
    expect(healthOf(looked, s.clock.now())).toBe('unwell')
  }
  expect(await s.run()).toMatchObject({ outcome: 'failed', decision: due })
  expect(receiver.alerts.map(({ event }) => event)).toEqual(['recalled'])
  expect(JSON.stringify(receiver.alerts[0])).toContain('(keyCompromise)')

  s.faults.clear()
  expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'rotated', decision: due })
  const after = await s.run({ action: 'status' })
  expect(after).toMatchObject({ decision: { reason: 'fresh' } })
  expect(warningsOf(after)).not.toContain('revoked')
  await s.run()
  expect(receiver.alerts.map(({ ends }) => ends?.event)).toContain('recalled')
})

test('what was obtained, and revoked before it was bound, is not bound', async () => {
  const s = await openScenario()
  await s.bindOne(20)
  const { outcome } = await s.run({ until: 'add' })
  expect(outcome).toBe('suspended')
  const added = s.iotda.certificates().find(({ id }) => id !== s.boundId())?.fingerprint ?? ''
  await s.runTo({ outcome: 'revoked' }, revoking('superseded', added))
  await s.run({ action: 'resume' })
  await s.later(2 * HOUR_MS)
  expect(boundFingerprint(s)).not.toBe(added)
  expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'idle' })
})

test('a revoke by hand does not fetch renewal info anew', async () => {
  const s = await rotatedTwice()
  s.clock.advance(30 * HOUR_MS)
  s.faults.clearCalls()
  expect(await revoke(s, 'superseded')).toMatchObject({ outcome: 'revoked' })
  expect(s.faults.calls.map(c => c.operation)).not.toContain('acme.RenewalInfo')
})

test('without another certificate the bound one is meant, and refused', async () => {
  const s = await openScenario()
  await s.bindOne(20)
  expect(await revoke(s, 'unspecified')).toMatchObject({ outcome: 'failed', error: { code: 'usage' } })
  const unknown = await revoke(s, 'unspecified', { force: true }, 'ab'.repeat(32))
  expect(unknown.error?.message).toContain('no slot holds')
  expect(revoked(s)).toEqual([])
})

test('a certificate that somebody else ordered: the CA refuses, and a person is told', async () => {
  const s = await openScenario()
  await s.bindOne(20)
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  const { orders } = s.ca
  expect(orders).toHaveLength(1)
  await s.configure(settings => {
    settings.sources.other = { ...settings.sources.sandbox }
    settings.certificates.iot.source = ['other']
  })
  expect(await revoke(s, 'superseded')).toMatchObject({ outcome: 'failed', error: { code: 'ca-rejected' } })
})

const reuse: ScenarioOptions = {
  change: put({ 'certificates.iot.reuseKey': true }),
}
const spkiOf = (s: Scenario, isBound: boolean): string => {
  const pem = s.iotda.certificates().find(({ id }) => (id === s.boundId()) === isBound)?.certificatePem ?? ''
  return new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'pem' }).toString()
}
/** Ids of the private keys in the store. */
const keys = async (s: Scenario): Promise<readonly string[]> => {
  const names = await readdir(join(s.rig.folder, 'state', 'certificates'), { recursive: true })
  return names.filter(name => /^iot[/\\].*\.json$/.test(name)).map(name => name.replace(/^iot.|\..*/g, ''))
}

test('a key that is kept is the same in the next certificate, as devices that pin it want', async () => {
  const s = await rotatedTwice(reuse)
  expect(spkiOf(s, true)).toBe(spkiOf(s, false))
  expect(await keys(s)).toEqual(['reused-ec-256'])
  await s.configure(() => {})
  // Not kept any more: the next certificate has another key, and the kept one is wiped.
  await s.configure(put({ 'certificates.iot.reuseKey': false }))
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated' })
  expect(spkiOf(s, true)).not.toBe(spkiOf(s, false))
  expect(await keys(s)).toEqual([])
})

test('a compromised key is banned by its own signature, and not used again', async () => {
  const s = await rotatedTwice(reuse)
  s.faults.clearCalls()
  const result = await revoke(s, 'keyCompromise')
  expect(result).toMatchObject({ outcome: 'revoked' })
  expect(warningsOf(result)).toContain('key-wiped')
  const call = s.faults.calls.find(c => c.operation === 'acme.RevokeCert')
  const { protected: header } = JSON.parse(call?.body ?? '{}') as { protected: string }
  expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toHaveProperty('jwk')
  expect(await keys(s)).toEqual([])
  const before = spkiOf(s, true)
  // What is bound has the same key: it is due, too.
  expect(await s.run()).toMatchObject({
    outcome: 'rotated',
    decision: { reason: 'revoked', detail: expect.stringContaining('compromised') },
  })
  expect(spkiOf(s, true)).not.toBe(before)
})

test('the key of the account is rolled over, and orders go on', async () => {
  const s = await openScenario()
  await s.bindOne(20)
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  const before = s.ca.accounts[0]?.thumbprint
  const request = { config: s.rig.settingsFile, log: silentLog, clock: s.clock }
  const answer = await rollover({ ...request, source: 'sandbox', deadline: s.clock.now() + HOUR_MS })
  expect(answer).toEqual({ version: 1, ok: true, source: 'sandbox', account: s.ca.accounts[0]?.url })
  expect(s.ca.accounts[0]?.thumbprint).not.toBe(before)
  const files = await readdir(join(s.rig.folder, 'state', 'sources', 'sandbox'))
  expect(files.filter(name => name.startsWith('account-key.'))).toEqual([])
  expect(await s.later(2 * HOUR_MS, { force: true })).toMatchObject({ outcome: 'rotated' })
  expect(s.ca.accounts).toHaveLength(1)
  await expect(
    rollover({ ...request, source: 'nobody', deadline: s.clock.now() + HOUR_MS }),
  ).rejects.toMatchObject({ code: 'usage' })
})
