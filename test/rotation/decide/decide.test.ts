import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../lib/base/time.ts'
import { decide, type Facts } from '../../../lib/rotation/decide/decide.ts'
import type { CertificateDocument, PendingBinding, TargetDocument } from '../../../lib/state/documents.ts'
import {
  certificateDocument,
  facts,
  leaf,
  NOW,
  pendingBinding,
  pendingCertificate,
  replaced,
  rotateAll,
  type Scene,
  settled,
  slot,
  suggested,
} from '../facts.ts'

const expired = { slots: [slot('a', { notBefore: NOW - 90 * DAY_MS, notAfter: NOW - 1 })] }
const ending = { slots: [slot('a', { notBefore: NOW - 89 * DAY_MS, notAfter: NOW + DAY_MS })] }
/** 20 of 90 days left: within the fallback third, not yet an emergency. */
const expiring = { slots: [slot('a', { notBefore: NOW - 70 * DAY_MS, notAfter: NOW + 20 * DAY_MS })] }
const two = { slots: [slot('a'), slot('b')] }
const drifted = { served: [leaf('stranger')] }
const forced = { event: { ...rotateAll, force: true } }
const other = { specHash: 'other' }
const later = NOW + HOUR_MS
const renewalInfo = suggested({ start: NOW - DAY_MS, end: NOW })
const obtained = pendingCertificate({ chainPem: 'PEM', fingerprint: 'leaf-b' })
const certificate = (more: Partial<CertificateDocument>): Scene => ({
  certificate: certificateDocument(more),
})
const withPending = (more = {}): Scene => certificate({ pending: { ...obtained, ...more } })
const document = (more: Partial<TargetDocument>): Scene => ({ document: settled(more) })
const binding = (more: Partial<PendingBinding>): Scene => document({ pending: pendingBinding('b', more) })
const failed = { retryAfter: later, failures: 1 }
const held = { since: NOW - HOUR_MS, why: 'held by hand', specHash: 'spec' }
const replaces = replaced('a')

describe('due', () => {
  const cases: readonly (readonly [string, Facts, object])[] = [
    ['nothing is bound', facts({ bound: null }), { reason: 'no-certificate', plan: 'deploy' }],
    [
      'no configuration',
      { ...facts(), inspection: { ...facts().inspection, configuration: null, bound: null } },
      { reason: 'no-certificate', plan: 'deploy' },
    ],
    ['the bound id is in no slot', facts({ bound: 'gone' }), { reason: 'no-certificate', plan: 'deploy' }],
    ['expired', facts(expired), { reason: 'expired', plan: 'deploy', emergency: true }],
    ['about to expire', facts(ending), { reason: 'emergency', emergency: true }],
    ['within the threshold', facts(expiring), { reason: 'expiring', emergency: false }],
    ['the CA suggests it', facts({ renewalInfo }), { reason: 'renewal-window' }],
    [
      'revoked by a person here, whatever the CA says of it',
      facts(certificate({ revoked: [{ fingerprint: 'leaf-a', at: NOW, reason: 'keyCompromise' }] })),
      { reason: 'revoked', plan: 'deploy', emergency: false },
    ],
    ['forced', facts({}, forced), { reason: 'forced', plan: 'deploy', emergency: false }],
    ['other settings', facts({}, other), { reason: 'settings-changed' }],
    ['an order in progress', facts(withPending({ fingerprint: null })), { reason: 'resume', plan: 'deploy' }],
    ['obtained, not deployed', facts(withPending()), { reason: 'resume', plan: 'deploy' }],
    [
      'a bind without a verdict',
      facts({ ...two, bound: 'b', ...binding({ replaces, boundAt: NOW - 1 }) }),
      { reason: 'resume', plan: 'verify', emergency: false },
    ],
    [
      'a bind that was not even noted',
      facts({ ...two, bound: 'b', ...binding({ replaces }) }),
      { reason: 'resume', plan: 'verify' },
    ],
    [
      'a person bound what was only uploaded',
      facts({ ...two, bound: 'b', ...binding({}) }),
      { reason: 'resume', plan: 'verify' },
    ],
    [
      'a rollback that was not finished',
      facts(binding({ replaces, boundAt: NOW - 1, failedWhy: 'no handshake' })),
      { reason: 'resume', plan: 'roll-back' },
    ],
    ['another leaf is served', facts(drifted), { reason: 'resume', plan: 'repair' }],
  ]
  test.each(cases)('%s', (_, given, wanted) => {
    const decision = decide(given)
    expect(decision).toMatchObject({ due: true, nextCheckAt: null, ...wanted })
    expect(decision.detail).not.toBe('')
  })

  test('an expired certificate is expired for ever, also a year later', () => {
    for (const at of [NOW, NOW + DAY_MS, NOW + 365 * DAY_MS, NOW + 3_650 * DAY_MS])
      expect(decide(facts({ ...expired, at }))).toMatchObject({ reason: 'expired', emergency: true })
  })

  test('without a readable leaf the dates of the list count', () => {
    const unread = ({ slots }: typeof expired) =>
      decide(facts({ slots: slots.map(given => ({ ...given, certificatePem: null, leaf: null })) }))
    expect(unread(expired)).toMatchObject({ reason: 'expired', emergency: true })
    expect(unread(ending)).toMatchObject({ reason: 'emergency', emergency: true })
    expect(unread(expiring)).toMatchObject({ reason: 'expiring' })
    expect(unread({ slots: [slot('a')] })).toMatchObject({ reason: 'fresh' })
  })
})

describe('idle', () => {
  const waits = certificate({ notBefore: { at: later, why: 'too many' } })
  const cases: readonly (readonly [string, Scene, object])[] = [
    ['fresh', {}, { reason: 'fresh', nextCheckAt: NOW + 50 * DAY_MS }],
    [
      'held although fresh: a person should not forget it',
      document({ held }),
      { reason: 'held', nextCheckAt: null },
    ],
    [
      'fresh, held before the settings changed',
      document({ held: { ...held, specHash: 'older' } }),
      { reason: 'fresh' },
    ],
    ['the bound leaf is served', { served: [leaf('leaf-a'), null] }, { reason: 'fresh' }],
    ['drift is not repaired while held', { ...document({ held }), ...drifted }, { reason: 'held' }],
    [
      'nor while backing off',
      { ...document(failed), ...drifted },
      { reason: 'backing-off', nextCheckAt: later },
    ],
    ['the CA asks to wait', { ...expiring, ...waits }, { reason: 'paused', nextCheckAt: later }],
    ['held', { ...expiring, ...document({ held }) }, { reason: 'held', nextCheckAt: null }],
    [
      'backing off',
      { ...expiring, ...document({ ...failed, failures: 2 }) },
      { reason: 'backing-off', nextCheckAt: later },
    ],
    [
      'a pending one that a person declined',
      { ...withPending(), ...document({ declined: 'pending-1' }) },
      { reason: 'fresh' },
    ],
    [
      'a pending one that was rolled back',
      { ...withPending(), ...document({ rolledBack: ['leaf-b'] }) },
      { reason: 'fresh' },
    ],
    ['a pending one for older settings', withPending({ specHash: 'older' }), { reason: 'fresh' }],
    ['a pending one that is bound', withPending({ fingerprint: 'leaf-a' }), { reason: 'fresh' }],
    ['uploaded and waiting, its certificate given up', { ...two, ...binding({}) }, { reason: 'fresh' }],
  ]
  test.each(cases)('%s', (_, scene, wanted) => {
    expect(decide(facts(scene))).toMatchObject({ due: false, plan: 'none', emergency: false, ...wanted })
  })
})

describe('precedence', () => {
  const notBefore = { at: later, why: 'too many' }
  const paused = certificate({ notBefore })
  const both = certificate({ notBefore, pending: obtained })
  const pending = pendingBinding('b', { replaces, boundAt: NOW - MINUTE_MS })
  const open = document({ held, failures: 3, retryAfter: later, pending })
  const changed = document({ held: { ...held, specHash: 'other' } })
  const heldOnly = document({ held })
  const tired = document(failed)
  type More = Parameters<typeof facts>[1]
  const cases: readonly (readonly [string, Scene, string, More?])[] = [
    ['an open bind is looked at before all', { ...expired, ...paused, ...open }, 'resume', forced],
    ["the CA's word over the emergency", { ...expired, ...paused }, 'paused'],
    ["the CA's word over force", paused, 'paused', forced],
    ["the CA's word over held", { ...expiring, ...paused, ...heldOnly }, 'paused'],
    ["the CA's word is about orders: what is obtained is deployed", both, 'resume'],
    [
      'but not what was rolled back',
      { ...expiring, ...both, ...document({ rolledBack: ['leaf-b'] }) },
      'paused',
    ],
    ["the CA's word ends on time", { ...expiring, ...paused, at: later }, 'expiring'],
    ['held over the threshold', { ...expiring, ...heldOnly }, 'held'],
    ['held over back-off', { ...expiring, ...document({ held, ...failed }) }, 'held'],
    ['held over nothing bound', { bound: null, ...heldOnly }, 'held'],
    ['force over held', heldOnly, 'forced', forced],
    ['changed settings over held', heldOnly, 'settings-changed', other],
    ['changed settings do not end a later hold', changed, 'held', other],
    ['the emergency over held', { ...ending, ...heldOnly }, 'emergency'],
    ['expired over held', { ...expired, ...heldOnly }, 'expired'],
    ['but once a day', { ...ending, ...document({ held, emergencyAt: NOW - DAY_MS + 1 }) }, 'held'],
    [
      'and again on the next day',
      { ...ending, ...document({ held, emergencyAt: NOW - DAY_MS }) },
      'emergency',
    ],
    ['the emergency over back-off', { ...ending, ...tired }, 'emergency'],
    ['expired over back-off', { ...expired, ...tired }, 'expired'],
    ['force over back-off', tired, 'forced', forced],
    ['back-off over the threshold', { ...expiring, ...tired }, 'backing-off'],
    ['back-off over nothing bound', { bound: null, ...tired }, 'backing-off'],
    ['back-off over changed settings', tired, 'backing-off', other],
    ['back-off ends on time', { ...expiring, ...document({ ...failed, retryAfter: NOW }) }, 'expiring'],
    ['expired over forced', expired, 'expired', forced],
    ['forced over changed settings', {}, 'forced', { ...forced, ...other }],
    ['changed settings over the threshold', expiring, 'settings-changed', other],
    ['a deployment over drift', { ...withPending(), ...drifted }, 'resume'],
  ]
  test.each(cases.map(([name, ...given]) => ({ name, given })))(
    '$name',
    ({ given: [scene, reason, more] }) => {
      expect(decide(facts(scene, more)).reason).toBe(reason)
    },
  )
})

describe('what somebody wrote into the state', () => {
  const YEAR_2099 = Date.UTC(2099, 0)
  const waits = {
    notBefore: { at: YEAR_2099, why: 'no', since: NOW - 8 * DAY_MS },
    failures: 1,
    failedForGood: false,
  }
  const away = {
    since: NOW - DAY_MS,
    fewer: 1,
    isUndone: true,
    binding: pendingBinding('b'),
    before: { current: null, previous: null },
  }
  const cases: readonly (readonly [string, Facts, object])[] = [
    [
      'a back-off until 2099 is none',
      facts({ ...expiring, ...document({ failures: 1, retryAfter: YEAR_2099 }) }),
      { due: true, reason: 'expiring' },
    ],
    [
      'devices are not waited for until 2099',
      facts({ ...expiring, ...document({ watch: { ...away, until: YEAR_2099 } }) }),
      { due: true, reason: 'expiring' },
    ],
    [
      'but for as long as the settings may say',
      facts({ ...expiring, ...document({ watch: { ...away, until: NOW + 14 * DAY_MS } }) }),
      { due: false, reason: 'backing-off' },
    ],
    [
      'the CA is not waited for until 2099',
      facts({ ...expiring, ...certificate({ sources: { sandbox: waits, letsencrypt: waits } }) }),
      { due: true, reason: 'expiring' },
    ],
    [
      'a break of the hold in 2099 does not keep the emergency from breaking it today',
      facts({ ...ending, ...document({ held, emergencyAt: YEAR_2099 }) }),
      { due: true, reason: 'emergency' },
    ],
    [
      'a suggestion to renew in 2099 is none',
      facts({ ...expiring, renewalInfo: suggested({ start: YEAR_2099, end: YEAR_2099 + DAY_MS }) }),
      { due: true, reason: 'expiring' },
    ],
  ]
  test.each(cases)('%s', (_, given, wanted) => {
    expect(decide(given)).toMatchObject(wanted)
  })
})
