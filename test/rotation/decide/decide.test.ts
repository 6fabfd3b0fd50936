import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../lib/base/time.ts'
import { decide, type Facts } from '../../../lib/rotation/decide/decide.ts'
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
} from '../facts.ts'

const expired = slot('a', { notBefore: NOW - 90 * DAY_MS, notAfter: NOW - 1 })
const ending = slot('a', { notBefore: NOW - 89 * DAY_MS, notAfter: NOW + DAY_MS })
/** 20 of 90 days left: within the fallback third, not yet an emergency. */
const expiring = slot('a', { notBefore: NOW - 70 * DAY_MS, notAfter: NOW + 20 * DAY_MS })
const forced = { event: { ...rotateAll, force: true } }
const openWindow = {
  fingerprint: 'leaf-a',
  window: { start: NOW - DAY_MS, end: NOW },
  explanationUrl: null,
  nextFetchAt: NOW,
}
const obtained = pendingCertificate({ chainPem: 'PEM', fingerprint: 'leaf-b' })
const withPending = (more = {}): Scene => ({
  certificate: certificateDocument({ pending: { ...obtained, ...more } }),
})

describe('due', () => {
  const cases: readonly (readonly [string, Facts, object])[] = [
    ['nothing is bound', facts({ bound: null }), { reason: 'no-certificate', plan: 'deploy' }],
    [
      'no configuration',
      { ...facts(), inspection: { ...facts().inspection, configuration: null, bound: null } },
      { reason: 'no-certificate', plan: 'deploy' },
    ],
    ['the bound id is in no slot', facts({ bound: 'gone' }), { reason: 'no-certificate', plan: 'deploy' }],
    ['expired', facts({ slots: [expired] }), { reason: 'expired', plan: 'deploy', emergency: true }],
    ['about to expire', facts({ slots: [ending] }), { reason: 'emergency', emergency: true }],
    ['within the threshold', facts({ slots: [expiring] }), { reason: 'expiring', emergency: false }],
    ['the CA suggests it', facts({ renewalInfo: openWindow }), { reason: 'renewal-window' }],
    ['forced', facts({}, forced), { reason: 'forced', plan: 'deploy', emergency: false }],
    ['other settings', facts({}, { specHash: 'other' }), { reason: 'settings-changed' }],
    ['an order in progress', facts(withPending({ fingerprint: null })), { reason: 'resume', plan: 'deploy' }],
    ['obtained, not deployed', facts(withPending()), { reason: 'resume', plan: 'deploy' }],
    [
      'a bind without a verdict',
      facts({
        slots: [slot('a'), slot('b')],
        bound: 'b',
        document: settled({ pending: pendingBinding('b', { replaces: replaced('a'), boundAt: NOW - 1 }) }),
      }),
      { reason: 'resume', plan: 'verify', emergency: false },
    ],
    [
      'a bind that was not even noted',
      facts({
        slots: [slot('a'), slot('b')],
        bound: 'b',
        document: settled({ pending: pendingBinding('b', { replaces: replaced('a') }) }),
      }),
      { reason: 'resume', plan: 'verify' },
    ],
    [
      'a person bound what was only uploaded',
      facts({
        slots: [slot('a'), slot('b')],
        bound: 'b',
        document: settled({ pending: pendingBinding('b') }),
      }),
      { reason: 'resume', plan: 'verify' },
    ],
    [
      'a rollback that was not finished',
      facts({
        document: settled({
          pending: pendingBinding('b', {
            replaces: replaced('a'),
            boundAt: NOW - 1,
            failedWhy: 'no handshake',
          }),
        }),
      }),
      { reason: 'resume', plan: 'roll-back' },
    ],
    ['another leaf is served', facts({ served: [leaf('stranger')] }), { reason: 'resume', plan: 'repair' }],
  ]
  test.each(cases)('%s', (_, given, wanted) => {
    const verdict = decide(given)
    expect(verdict).toMatchObject({ due: true, nextCheckAt: null, ...wanted })
    expect(verdict.detail).not.toBe('')
  })

  test('an expired certificate is expired for ever, also a year later', () => {
    for (const at of [NOW, NOW + DAY_MS, NOW + 365 * DAY_MS, NOW + 3_650 * DAY_MS])
      expect(decide(facts({ slots: [expired], at }))).toMatchObject({ reason: 'expired', emergency: true })
  })

  test('without a readable leaf the dates of the list count', () => {
    const unread = (given: typeof expired) =>
      facts({ slots: [{ ...given, certificatePem: null, leaf: null }] })
    expect(decide(unread(expired))).toMatchObject({ reason: 'expired', emergency: true })
    expect(decide(unread(ending))).toMatchObject({ reason: 'emergency', emergency: true })
    expect(decide(unread(expiring))).toMatchObject({ reason: 'expiring' })
    expect(decide(unread(slot('a')))).toMatchObject({ reason: 'fresh' })
  })
})

describe('idle', () => {
  const later = NOW + HOUR_MS
  const held = { since: NOW - HOUR_MS, why: 'held by hand', specHash: 'spec' }
  const cases: readonly (readonly [string, Facts, object])[] = [
    ['fresh', facts(), { reason: 'fresh', nextCheckAt: NOW + 50 * DAY_MS }],
    [
      'held although fresh: a person should not forget it',
      facts({ document: settled({ held }) }),
      { reason: 'held', nextCheckAt: null },
    ],
    [
      'fresh, held before the settings changed',
      facts({ document: settled({ held: { ...held, specHash: 'older' } }) }),
      { reason: 'fresh' },
    ],
    ['the bound leaf is served', facts({ served: [leaf('leaf-a'), null] }), { reason: 'fresh' }],
    [
      'drift is not repaired while held',
      facts({ document: settled({ held }), served: [leaf('stranger')] }),
      { reason: 'held' },
    ],
    [
      'nor while backing off',
      facts({ document: settled({ failures: 1, retryAfter: later }), served: [leaf('stranger')] }),
      { reason: 'backing-off', nextCheckAt: later },
    ],
    [
      'the CA asks to wait',
      facts({
        slots: [expiring],
        certificate: certificateDocument({ notBefore: { at: later, why: 'too many' } }),
      }),
      { reason: 'paused', nextCheckAt: later },
    ],
    [
      'held',
      facts({ slots: [expiring], document: settled({ held }) }),
      { reason: 'held', nextCheckAt: null },
    ],
    [
      'backing off',
      facts({ slots: [expiring], document: settled({ failures: 2, retryAfter: later }) }),
      { reason: 'backing-off', nextCheckAt: later },
    ],
    [
      'a pending one that a person declined',
      facts({ ...withPending(), document: settled({ declined: 'pending-1' }) }),
      { reason: 'fresh' },
    ],
    [
      'a pending one that was rolled back',
      facts({ ...withPending(), document: settled({ rolledBack: ['leaf-b'] }) }),
      { reason: 'fresh' },
    ],
    ['a pending one for older settings', facts(withPending({ specHash: 'older' })), { reason: 'fresh' }],
    ['a pending one that is bound', facts(withPending({ fingerprint: 'leaf-a' })), { reason: 'fresh' }],
    [
      'uploaded and waiting, its certificate given up',
      facts({ slots: [slot('a'), slot('b')], document: settled({ pending: pendingBinding('b') }) }),
      { reason: 'fresh' },
    ],
  ]
  test.each(cases)('%s', (_, given, wanted) => {
    expect(decide(given)).toMatchObject({ due: false, plan: 'none', emergency: false, ...wanted })
  })
})

describe('precedence', () => {
  const later = NOW + HOUR_MS
  const paused = certificateDocument({ notBefore: { at: later, why: 'too many' } })
  const held = { since: NOW - HOUR_MS, why: 'held by hand', specHash: 'spec' }
  const open = settled({
    held,
    failures: 3,
    retryAfter: later,
    pending: pendingBinding('b', { replaces: replaced('a'), boundAt: NOW - MINUTE_MS }),
  })
  const cases: readonly (readonly [string, Facts, string])[] = [
    [
      'an open bind is looked at before all',
      facts({ slots: [expired], certificate: paused, document: open }, forced),
      'resume',
    ],
    ["the CA's word over the emergency", facts({ slots: [expired], certificate: paused }), 'paused'],
    ["the CA's word over force", facts({ certificate: paused }, forced), 'paused'],
    [
      "the CA's word over held",
      facts({ slots: [expiring], certificate: paused, document: settled({ held }) }),
      'paused',
    ],
    [
      "the CA's word is about orders: what is obtained is deployed",
      facts({ certificate: { ...paused, pending: obtained } }),
      'resume',
    ],
    [
      'but not what was rolled back',
      facts({
        slots: [expiring],
        certificate: { ...paused, pending: obtained },
        document: settled({ rolledBack: ['leaf-b'] }),
      }),
      'paused',
    ],
    ["the CA's word ends on time", facts({ slots: [expiring], certificate: paused, at: later }), 'expiring'],
    ['held over the threshold', facts({ slots: [expiring], document: settled({ held }) }), 'held'],
    [
      'held over back-off',
      facts({ slots: [expiring], document: settled({ held, retryAfter: later, failures: 1 }) }),
      'held',
    ],
    ['held over nothing bound', facts({ bound: null, document: settled({ held }) }), 'held'],
    ['force over held', facts({ document: settled({ held }) }, forced), 'forced'],
    [
      'changed settings over held',
      facts({ document: settled({ held }) }, { specHash: 'other' }),
      'settings-changed',
    ],
    [
      'changed settings do not end a later hold',
      facts({ document: settled({ held: { ...held, specHash: 'other' } }) }, { specHash: 'other' }),
      'held',
    ],
    ['the emergency over held', facts({ slots: [ending], document: settled({ held }) }), 'emergency'],
    ['expired over held', facts({ slots: [expired], document: settled({ held }) }), 'expired'],
    [
      'but once a day',
      facts({ slots: [ending], document: settled({ held, emergencyAt: NOW - DAY_MS + 1 }) }),
      'held',
    ],
    [
      'and again on the next day',
      facts({ slots: [ending], document: settled({ held, emergencyAt: NOW - DAY_MS }) }),
      'emergency',
    ],
    [
      'the emergency over back-off',
      facts({ slots: [ending], document: settled({ retryAfter: later, failures: 1 }) }),
      'emergency',
    ],
    [
      'expired over back-off',
      facts({ slots: [expired], document: settled({ retryAfter: later, failures: 1 }) }),
      'expired',
    ],
    [
      'force over back-off',
      facts({ document: settled({ retryAfter: later, failures: 1 }) }, forced),
      'forced',
    ],
    [
      'back-off over the threshold',
      facts({ slots: [expiring], document: settled({ retryAfter: later, failures: 1 }) }),
      'backing-off',
    ],
    [
      'back-off over nothing bound',
      facts({ bound: null, document: settled({ retryAfter: later, failures: 1 }) }),
      'backing-off',
    ],
    [
      'back-off over changed settings',
      facts({ document: settled({ retryAfter: later, failures: 1 }) }, { specHash: 'other' }),
      'backing-off',
    ],
    [
      'back-off ends on time',
      facts({ slots: [expiring], document: settled({ retryAfter: NOW, failures: 1 }) }),
      'expiring',
    ],
    ['expired over forced', facts({ slots: [expired] }, forced), 'expired'],
    ['forced over changed settings', facts({}, { ...forced, specHash: 'other' }), 'forced'],
    [
      'changed settings over the threshold',
      facts({ slots: [expiring] }, { specHash: 'other' }),
      'settings-changed',
    ],
    ['a deployment over drift', facts({ ...withPending(), served: [leaf('stranger')] }), 'resume'],
  ]
  test.each(cases)('%s', (_, given, reason) => {
    expect(decide(given).reason).toBe(reason)
  })
})
