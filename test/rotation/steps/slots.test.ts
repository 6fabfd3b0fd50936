import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../lib/base/time.ts'
import type { Target } from '../../../lib/model/target.ts'
import { findRoom, type Room } from '../../../lib/rotation/steps/slots.ts'
import type { TargetDocument } from '../../../lib/state/documents.ts'
import { inspection, leaf, NOW, pendingBinding, type Scene, slot, target, targetDocument } from '../facts.ts'

/** Bound since 10 days; the others are older, expired, or newer. */
const bound = slot('bound')
const older = slot('older', { notBefore: NOW - 40 * DAY_MS, notAfter: NOW + 50 * DAY_MS })
const newer = slot('newer', { notBefore: NOW - DAY_MS, notAfter: NOW + 89 * DAY_MS })
const spent = slot('spent', { notBefore: NOW - 9 * DAY_MS, notAfter: NOW - 1 })

interface Ask {
  readonly document?: Partial<TargetDocument>
  readonly fingerprint?: string | null
  readonly pressing?: boolean
  readonly delete?: Target['slots']['delete']
}

function ask(
  scene: Scene,
  { document = {}, fingerprint = 'leaf-new', pressing = false, ...more }: Ask = {},
): Room {
  const own = targetDocument({
    current: { serverCertificateId: 'bound', fingerprint: 'leaf-bound', specHash: 'spec' },
    ...document,
  })
  return findRoom(inspection({ document: own, ...scene }), {
    target: { ...target, slots: { delete: more.delete ?? 'superseded' } },
    document: own,
    fingerprint,
    pressing,
  })
}

type Case = readonly [string, Scene, Ask, string]

/** One line: what would happen. */
const said = (room: Room): string => {
  if (room.kind === 'room') return 'room'
  if (room.kind === 'blocked') return room.until === null ? 'blocked' : `blocked for ${room.until - NOW}`
  return `${room.kind} ${room.slot.serverCertificateId}`
}
const with2 = (other: typeof bound, ...shown: readonly string[]): Scene => ({
  slots: [other, bound],
  bound: 'bound',
  served: shown.map(name => (name === 'silent' ? null : leaf(`leaf-${name}`))),
})
const alone = (only: typeof bound): Scene => ({ slots: [only], bound: null })

describe('no deletion is needed', () => {
  const cases: readonly Case[] = [
    ['no certificate at all', { slots: [], bound: null }, {}, 'room'],
    ['one of two slots is used', { slots: [bound], bound: 'bound' }, {}, 'room'],
    ['the leaf is in a slot', with2(newer), { fingerprint: 'leaf-newer' }, 'present newer'],
    ['the leaf is bound', with2(newer), { fingerprint: 'leaf-bound' }, 'present bound'],
    ['present counts before a free slot', alone(newer), { fingerprint: 'leaf-newer' }, 'present newer'],
    ['an unreadable slot is nobody’s leaf', alone({ ...newer, leaf: null }), { fingerprint: null }, 'room'],
  ]
  test.each(cases)('%s', (_, scene, more, wanted) => {
    expect(said(ask(scene, more))).toBe(wanted)
  })
})

describe('bound, and another one', () => {
  const ours: Ask = { document: { added: ['older', 'newer', 'spent'] } }
  const halfAnHour = `blocked for ${30 * MINUTE_MS}`
  const boundAgo = (minutes: number): Ask => ({ document: { lastBoundAt: NOW - minutes * MINUTE_MS } })
  const pendingNewer: Ask = { document: { added: ['newer'], pending: pendingBinding('newer') } }
  const current = { serverCertificateId: 'older', fingerprint: null, specHash: 'spec' }
  const seen = (agoMs: number): Ask => ({ document: { seen: { newer: NOW - agoMs } } })
  const cases: readonly Case[] = [
    ['superseded', with2(older), {}, 'delete older'],
    ['expired', with2(spent), {}, 'delete spent'],
    ['ours', with2(newer), ours, 'delete newer'],
    ['foreign and newer, first seen now', with2(newer), {}, `blocked for ${DAY_MS}`],
    ['foreign and newer, seen 23 h ago', with2(newer), seen(23 * HOUR_MS), `blocked for ${HOUR_MS}`],
    ['foreign and newer, seen a day ago', with2(newer), seen(DAY_MS), 'delete newer'],
    ['foreign and newer, by force or in the emergency', with2(newer), { pressing: true }, 'delete newer'],
    [
      'foreign and as old as the bound one is not superseded',
      with2({ ...newer, effectiveDate: bound.effectiveDate }),
      {},
      `blocked for ${DAY_MS}`,
    ],
    ['served at an address', with2(older, 'bound', 'older'), { pressing: true }, halfAnHour],
    ['expired, and still served', with2(spent, 'spent'), {}, halfAnHour],
    ['only the bound one is served', with2(older, 'bound', 'silent'), {}, 'delete older'],
    ['bound 59 minutes ago', with2(older), boundAgo(59), `blocked for ${MINUTE_MS}`],
    [
      'bound 59 minutes ago, forced',
      with2(older),
      { ...boundAgo(59), pressing: true },
      `blocked for ${MINUTE_MS}`,
    ],
    ['bound an hour ago', with2(older), boundAgo(60), 'delete older'],
    ['the pending one', with2(newer), pendingNewer, 'blocked'],
    [
      'the current one, while another is bound',
      with2(older),
      { pressing: true, document: { current } },
      'blocked',
    ],
    ['managed: ours', with2(newer), { ...ours, delete: 'managed' }, 'delete newer'],
    ['managed: superseded, not ours', with2(older), { delete: 'managed', pressing: true }, 'blocked'],
    ['managed: expired, not ours', with2(spent), { delete: 'managed' }, 'blocked'],
    ['never: ours', with2(newer), { ...ours, delete: 'never' }, 'blocked'],
    ['never: expired, forced', with2(spent), { delete: 'never', pressing: true }, 'blocked'],
  ]
  test.each(cases)('%s', (_, scene, more, wanted) => {
    expect(said(ask(scene, more))).toBe(wanted)
  })

  test('the answer says which one, and why', () => {
    expect(ask(with2(older))).toMatchObject({ why: 'superseded: older than the bound certificate' })
    expect(ask(with2(spent))).toMatchObject({ why: 'expired at 2026-06-15T11:59:59.999Z' })
    expect(ask(with2(older), { delete: 'never' })).toMatchObject({
      why: 'older is kept: slots.delete is "never"',
    })
    expect(ask(with2(newer))).toMatchObject({
      why: 'newer is newer than the bound certificate and not ours; somebody may be staging it until 2026-06-16T12:00:00Z',
    })
  })
})

describe('the binding cannot be read', () => {
  test('nothing is deleted, not even what has expired, not even by force', () => {
    const scene = { slots: [older, spent], bound: 'gone' }
    expect(said(ask(scene, { pressing: true, document: { added: ['older', 'spent'] } }))).toBe('blocked')
    expect(ask(scene)).toMatchObject({ why: 'the binding names certificate gone, which is in no slot' })
  })
})

describe('nothing is bound', () => {
  const elsewhere = slot('elsewhere', { names: ['other.example.com'], notBefore: NOW - 60 * DAY_MS })
  const elsewhereToo = { ...elsewhere, serverCertificateId: 'too' }
  const wildcard = slot('wildcard', { names: ['*.example.com'], notBefore: NOW - 50 * DAY_MS })
  const none = { current: null }
  const added = (...ids: string[]): Ask => ({ document: { ...none, added: ids } })
  const cases: readonly Case[] = [
    ['the expired before ours', { slots: [newer, spent] }, added('newer'), 'delete spent'],
    ['ours before the oldest', { slots: [older, newer] }, added('newer'), 'delete newer'],
    ['the older of ours', { slots: [newer, older] }, added('newer', 'older'), 'delete older'],
    ['the oldest with our domain', { slots: [newer, older] }, added(), 'delete older'],
    ['a wildcard of our domain counts', { slots: [newer, wildcard] }, added(), 'delete wildcard'],
    ['another domain is nobody’s to delete', { slots: [newer, elsewhere] }, added(), 'delete newer'],
    ['nor by force', { slots: [elsewhere, elsewhereToo] }, { pressing: true }, 'blocked'],
    ['nor what cannot be read', { slots: [elsewhere, { ...older, leaf: null }] }, added(), 'blocked'],
    ['but what has expired', { slots: [elsewhere, { ...spent, leaf: null }] }, added(), 'delete spent'],
    [
      'what is served stays: the next one goes',
      { slots: [newer, older], served: [leaf('leaf-older')] },
      added(),
      'delete newer',
    ],
    [
      'a configuration without a binding is none',
      { slots: [newer, older], bound: null },
      added(),
      'delete older',
    ],
    ['never', { slots: [newer, spent] }, { delete: 'never', document: none }, 'blocked'],
    ['managed', { slots: [older, newer] }, { ...added('newer'), delete: 'managed' }, 'delete newer'],
  ]
  test.each(cases)('%s', (_, scene, more, wanted) => {
    expect(said(ask(scene, { document: none, ...more }))).toBe(wanted)
  })
})

test('never the bound, the current or the pending certificate; never what is served; never in the first hour', () => {
  const ids = ['a', 'b', 'c'] as const
  const id = fc.constantFrom(...ids)
  const instant = fc.integer({ min: NOW - 100 * DAY_MS, max: NOW + 100 * DAY_MS })
  const world = fc.record({
    slots: fc.subarray([...ids], { minLength: 1 }),
    dates: fc.record({ a: instant, b: instant, c: instant }),
    ends: fc.record({ a: instant, b: instant, c: instant }),
    readable: fc.subarray([...ids]),
    bound: fc.option(fc.oneof(id, fc.constant('gone'))),
    served: fc.subarray([...ids]),
    current: fc.option(id),
    pending: fc.option(id),
    added: fc.subarray([...ids]),
    seen: fc.dictionary(id, instant),
    lastBoundAt: fc.option(fc.integer({ min: NOW - 3 * HOUR_MS, max: NOW })),
    pressing: fc.boolean(),
    wants: fc.option(fc.constantFrom('leaf-a', 'leaf-new')),
    delete: fc.constantFrom('superseded' as const, 'managed' as const, 'never' as const),
    names: fc.constantFrom(['iot.example.com'], ['other.example.com']),
  })
  let deletions = 0
  fc.assert(
    fc.property(world, w => {
      const slots = w.slots.map(i =>
        slot(
          i,
          { notBefore: w.dates[i], notAfter: w.ends[i], names: w.names },
          w.readable.includes(i) ? {} : { leaf: null },
        ),
      )
      const room = ask(
        { slots, bound: w.bound, served: w.served.map(i => leaf(`leaf-${i}`)) },
        {
          document: {
            current: w.current && { serverCertificateId: w.current, fingerprint: null, specHash: 'spec' },
            pending: w.pending && pendingBinding(w.pending),
            added: w.added,
            seen: w.seen,
            lastBoundAt: w.lastBoundAt,
          },
          fingerprint: w.wants,
          pressing: w.pressing,
          delete: w.delete,
        },
      )
      if (room.kind === 'blocked' && room.until !== null) expect(room.until).toBeGreaterThan(NOW)
      if (room.kind !== 'delete') return
      deletions += 1
      const gone = room.slot.serverCertificateId
      expect([w.bound, w.current, w.pending]).not.toContain(gone)
      expect(w.bound).not.toBe('gone')
      expect(w.served.filter(i => w.readable.includes(i))).not.toContain(gone)
      expect(NOW - (w.lastBoundAt ?? 0)).toBeGreaterThanOrEqual(HOUR_MS)
      expect(w.delete).not.toBe('never')
      if (w.delete === 'managed') expect(w.added).toContain(gone)
      expect(slots.length).toBeGreaterThanOrEqual(2)
    }),
    { numRuns: 3_000 },
  )
  expect(deletions).toBeGreaterThan(50)
})
