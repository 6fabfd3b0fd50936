/** Sources that make no certificates to order: due when they hold a newer one, and when the end is near without one. */
import { describe, expect, test } from 'vitest'
import { RotationError } from '../../../lib/base/rotation-error.ts'
import { DAY_MS, HOUR_MS } from '../../../lib/base/time.ts'
import type { Inventory } from '../../../lib/contracts.ts'
import type { DueReason } from '../../../lib/model/outcomes.ts'
import { decide } from '../../../lib/rotation/decide/decide.ts'
import type { Inspection } from '../../../lib/rotation/observe/inspection.ts'
import { reconcile } from '../../../lib/rotation/observe/reconcile.ts'
import { newsFor } from '../../../lib/rotation/observe/source-inventory.ts'
import {
  certificateDocument,
  facts,
  inspection,
  leaf,
  NOW,
  pendingCertificate,
  rotateAll,
  type Scene,
  settled,
  slot,
  spec,
} from '../facts.ts'

/** Bound: `a`, serial 01, from 10 days ago until in 80 days. */
const BOUND = leaf('leaf-a')
const inventory = (more: Partial<Inventory> = {}): Inspection['inventory'] => ({
  holds: {
    serial: '02',
    names: BOUND.names,
    notBefore: BOUND.notBefore + DAY_MS,
    notAfter: BOUND.notAfter + DAY_MS,
    trouble: null,
    ...more,
  },
  failure: null,
})
const unknown: Inspection['inventory'] = {
  holds: null,
  failure: new RotationError('unavailable', 'ACM is down'),
}
const same = inventory({ serial: '01', notBefore: BOUND.notBefore, notAfter: BOUND.notAfter })

describe('due because the source holds a newer one', () => {
  test.each([
    ['issued later, ends later', {}],
    ['issued later, ends sooner: a person wants it so', { notAfter: BOUND.notAfter - DAY_MS }],
    ['issued at the same time, ends later', { notBefore: BOUND.notBefore }],
  ])('%s', (_, more) => {
    const verdict = decide(facts({ inventory: inventory(more) }))
    expect(verdict).toMatchObject({ due: true, reason: 'source-renewed', plan: 'deploy' })
  })

  test.each([
    ['the same one', { serial: '01' }],
    ['the same one, its serial written with a sign byte', { serial: '0001' }],
    ['issued before', { notBefore: BOUND.notBefore - DAY_MS }],
    [
      'issued at the same time, ends at the same time',
      { notBefore: BOUND.notBefore, notAfter: BOUND.notAfter },
    ],
    ['expired', { notAfter: NOW }],
  ])('not: %s', (_, more) => {
    expect(decide(facts({ inventory: inventory(more) }))).toMatchObject({ due: false, reason: 'fresh' })
  })

  test('not when the bound one cannot be read: it may be the same', () => {
    const blind = { ...slot('a'), leaf: null, certificatePem: null }
    expect(decide(facts({ slots: [blind], inventory: inventory() }))).toMatchObject({ due: false })
  })

  test('not when what it holds is not known', () => {
    expect(decide(facts({ inventory: unknown }))).toMatchObject({ due: false, reason: 'fresh' })
  })

  test('held, backing off and paused come before it', () => {
    const since = NOW - HOUR_MS
    const held = settled({ held: { since, why: 'by hand', specHash: 'spec' } })
    expect(decide(facts({ inventory: inventory(), document: held }))).toMatchObject({ reason: 'held' })
    const failed = settled({ failures: 1, retryAfter: NOW + HOUR_MS })
    expect(decide(facts({ inventory: inventory(), document: failed }))).toMatchObject({
      reason: 'backing-off',
    })
  })
})

describe('what a person bound in its place', () => {
  const personal = (scene: Scene = {}): Inspection =>
    inspection({
      slots: [slot('a'), slot('x', { serial: '0f' })],
      bound: 'x',
      inventory: inventory(),
      document: settled(),
      ...scene,
    })

  test('stays, until the source holds yet another one', () => {
    const { document } = reconcile(personal(), 'spec')
    expect(document).toMatchObject({ passedOver: '02', current: { serverCertificateId: 'x' } })
    const now = (more: Partial<Inventory>) =>
      decide({ ...facts(), document, inspection: personal({ document, inventory: inventory(more) }) })
    expect(now({})).toMatchObject({ due: false, reason: 'fresh' })
    expect(now({ serial: '03' })).toMatchObject({ due: true, reason: 'source-renewed' })
  })

  test('before there was a source is no decision against it', () => {
    const first = personal({ document: settled({ current: null }) })
    const { document } = reconcile(first, 'spec')
    expect(document.passedOver).toBeNull()
    const next = personal({ document })
    expect(decide({ ...facts(), document, inspection: next })).toMatchObject({ reason: 'source-renewed' })
  })
})

describe('the end is near', () => {
  const lifetimeMs = 160 * DAY_MS
  const bound = slot('a', { notBefore: NOW, notAfter: NOW + lifetimeMs })
  const own = inventory({ serial: '01', notBefore: NOW, notAfter: NOW + lifetimeMs })
  const at = (days: number, more: Partial<Parameters<typeof facts>[1]> = {}, held = own) =>
    decide(facts({ slots: [bound], inventory: held, at: NOW + days * DAY_MS }, more))

  test.each([own, unknown])('an eighth of the lifetime before it, not a third (%#)', held => {
    expect(at(139, {}, held)).toMatchObject({ due: false, nextCheckAt: NOW + 140 * DAY_MS })
    expect(at(140, {}, held)).toMatchObject({ due: true, reason: 'expiring' })
  })

  test('or when the settings say', () => {
    const asked = { spec: { ...spec, renewBefore: { durationMs: 30 * DAY_MS } } }
    expect(at(129, asked)).toMatchObject({ due: false })
    expect(at(130, asked)).toMatchObject({ due: true, reason: 'expiring' })
  })

  test('a newer one is the reason then', () => {
    const newer = inventory({ notBefore: NOW + DAY_MS, notAfter: NOW + 2 * lifetimeMs })
    expect(at(145, {}, newer)).toMatchObject({ reason: 'source-renewed' })
    expect(at(155, {}, newer)).toMatchObject({ reason: 'emergency', emergency: true })
  })
})

describe('changed settings', () => {
  const changed = (held: Inspection['inventory']) => decide(facts({ inventory: held }, { specHash: 'other' }))

  test('are no reason to ask again for what is bound already', () => {
    expect(changed(same)).toMatchObject({ due: false, reason: 'fresh' })
    expect(changed(unknown)).toMatchObject({ due: false, reason: 'fresh' })
  })

  test('are, for another one, older or not; and where a source makes them to order', () => {
    const older = inventory({ notBefore: BOUND.notBefore - DAY_MS, notAfter: BOUND.notAfter - DAY_MS })
    expect(changed(older)).toMatchObject({ due: true, reason: 'settings-changed' })
    expect(changed(null)).toMatchObject({ due: true, reason: 'settings-changed' })
  })
})

describe('what is obtained', () => {
  const isNews = (reason: DueReason, more: Partial<Inventory>, scene: Scene = {}): boolean => {
    const seen = inspection({ slots: [slot('a')], bound: 'a', document: settled(), ...scene })
    return newsFor(seen, { reason })(inventory(more)?.holds as Inventory)
  }
  const older = { notBefore: BOUND.notBefore - DAY_MS, notAfter: BOUND.notAfter - DAY_MS }

  test.each([
    ['newer', 'source-renewed', {}, true],
    ['older, but it lasts longer', 'expiring', { notBefore: BOUND.notBefore - DAY_MS }, true],
    ['older, and it ends sooner', 'expiring', older, false],
    ['older, but a person asked', 'forced', older, true],
    ['older, but the settings changed', 'settings-changed', older, true],
    ['the same, and a person asked', 'forced', { serial: '01' }, false],
    ['the same in the emergency', 'emergency', { serial: '01' }, false],
  ] as const)('%s', (_, reason, more, expected) => {
    expect(isNews(reason, more)).toBe(expected)
  })

  test('anything, where nothing is bound, or the bound one is unusable', () => {
    expect(isNews('no-certificate', older, { bound: null })).toBe(true)
    expect(isNews('resume', older, { document: settled({ rolledBack: ['leaf-a'] }) })).toBe(true)
    expect(isNews('resume', { serial: '01' }, { document: settled({ rolledBack: ['leaf-a'] }) })).toBe(false)
  })

  test('an order that was begun is gone on with', () => {
    const certificate = certificateDocument({ pending: pendingCertificate() })
    expect(decide(facts({ inventory: same, certificate }))).toMatchObject({ due: true, reason: 'resume' })
    expect(decide(facts({ inventory: same }, { event: { ...rotateAll, force: true } }))).toMatchObject({
      reason: 'forced',
    })
  })
})
