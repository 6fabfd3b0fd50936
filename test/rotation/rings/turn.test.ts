/** Whether a target's turn has come: a pure function of the rings, and of what is written down of the kind. */
import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '../../../lib/base/time.ts'
import type { Kind, Rings } from '../../../lib/model/rollout.ts'
import { awaitedOf, leadMs, type TurnFacts, turnOf } from '../../../lib/rotation/rings/turn.ts'
import { newRollout, type RolloutDocument } from '../../../lib/state/rollout-documents.ts'
import { targetKey } from '../../../lib/state/state.ts'
import { targetOf } from '../../support/model.ts'
import { NOW } from '../facts.ts'

const named = (name: string) => targetOf({ name, domain: `${name}.example.com` })
const [one, two, three, four] = [named('one'), named('two'), named('three'), named('four')]
const rings: Rings = [
  { name: 'canary', targets: [one, two], soakMs: DAY_MS },
  { name: 'some', targets: [three], soakMs: 2 * DAY_MS },
  { name: 'rest', targets: [four], soakMs: 0 },
]
const kind: Kind = {
  ...{ id: 'aaaaaaaaaaaa', roots: ['Root YR'], commonName: true, only: null },
  levels: [{ keyType: 'rsa-2048', signature: 'sha256WithRSAEncryption' }],
}
const servedBy = (since: Readonly<Record<string, number>>): Partial<RolloutDocument> => ({
  served: Object.fromEntries(
    rings.flatMap(({ targets }) =>
      targets.flatMap(t => (since[t.name] === undefined ? [] : [[targetKey(t), since[t.name] ?? 0]])),
    ),
  ),
})
const facts = (more: Partial<TurnFacts>, rollout: Partial<RolloutDocument> = {}): TurnFacts => ({
  ...{ now: NOW, rings, target: four, kind, boundKind: 'bbbbbbbbbbbb' },
  decision: { emergency: false, reason: 'renewal-window' },
  rollout: { ...newRollout(kind), ...rollout },
  ...more,
})
const frozen = { at: NOW - HOUR_MS, target: 'one', why: 'devices refused it' }
const all = { one: NOW - 3 * DAY_MS, two: NOW - 2 * DAY_MS, three: NOW - 2 * DAY_MS }

describe('turn', () => {
  const cases: readonly (readonly [string, TurnFacts, object])[] = [
    ['the first ring goes first', facts({ target: one }), { turn: 'now' }],
    [
      'what devices know already waits for nobody',
      facts({ boundKind: kind.id }, { frozen }),
      { turn: 'now' },
    ],
    ['nobody served it', facts({ target: three }), { turn: 'waits', ring: 'canary', until: null }],
    [
      'one of the ring before has not served it',
      facts({ target: three }, servedBy({ one: NOW - 3 * DAY_MS })),
      { turn: 'waits', ring: 'canary', until: null },
    ],
    [
      'the soak counts from the last of the ring',
      facts({ target: three }, servedBy({ one: NOW - 3 * DAY_MS, two: NOW - HOUR_MS })),
      { turn: 'waits', ring: 'canary', until: NOW - HOUR_MS + DAY_MS },
    ],
    ['soaked', facts({ target: three }, servedBy(all)), { turn: 'now' }],
    [
      'every ring before counts, the nearest too',
      facts({}, servedBy({ ...all, three: NOW - DAY_MS })),
      { turn: 'waits', ring: 'some', until: NOW + DAY_MS },
    ],
    ['through all rings', facts({}, servedBy(all)), { turn: 'now' }],
    [
      'what is bound was revoked: no ring is waited for',
      facts({ decision: { emergency: false, reason: 'revoked' } }),
      { turn: 'overridden' },
    ],
    [
      'what is bound was revoked, and devices could not use the kind',
      facts({ decision: { emergency: false, reason: 'revoked' } }, { frozen }),
      { turn: 'frozen' },
    ],
    ['frozen, in the first ring too', facts({ target: two }, { frozen }), { turn: 'frozen' }],
    ['frozen although it was approved', facts({}, { frozen, approved: ['*'] }), { turn: 'frozen' }],
    ['approved for its ring', facts({}, { approved: ['rest'] }), { turn: 'now' }],
    ['approved for another ring', facts({}, { approved: ['some'] }), { turn: 'waits' }],
    ['approved for all', facts({}, { approved: ['*'] }), { turn: 'now' }],
    [
      'the emergency goes on, and says so',
      facts({ decision: { emergency: true, reason: 'emergency' } }, { frozen }),
      { turn: 'overridden' },
    ],
    [
      'nothing is bound: nobody is protected by waiting',
      facts({ boundKind: null, decision: { emergency: false, reason: 'no-certificate' } }),
      { turn: 'overridden' },
    ],
  ]
  test.each(cases)('%s', (_, given, wanted) => {
    expect(turnOf(given)).toMatchObject(wanted)
  })

  test('says who is waited for, three by name at most', () => {
    const many = ['a', 'b', 'c', 'd', 'e'].map(named)
    const [ring] = rings
    if (!ring) throw new Error('no ring')
    const given = facts({
      rings: [
        { ...ring, targets: many },
        { name: 'rest', targets: [four], soakMs: 0 },
      ],
    })
    expect(turnOf(given).why).toBe(
      'kind aaaaaaaaaaaa waits for ring canary: a, b, c and 2 more did not serve it yet',
    )
  })
})

test('each ring is renewed ahead by the soaks that come after it', () => {
  expect([one, three, four].map(target => leadMs(rings, target))).toEqual([3 * DAY_MS, 2 * DAY_MS, 0])
  expect(leadMs(null, one)).toBe(0)
})

describe('renewed ahead of its time', () => {
  const awaited = { ring: 'canary', by: 'four', since: NOW }
  const waited = { ...newRollout(kind), awaited }
  const cases: readonly (readonly [string, RolloutDocument, string | null, boolean])[] = [
    ['a later ring waits for it', waited, 'bbbbbbbbbbbb', true],
    ['what it serves cannot be told', waited, null, true],
    ['nobody waits', { ...waited, awaited: null }, 'bbbbbbbbbbbb', false],
    [
      'another ring is waited for',
      { ...waited, awaited: { ...awaited, ring: 'some' } },
      'bbbbbbbbbbbb',
      false,
    ],
    ['it serves that kind', waited, kind.id, false],
    ['the kind is frozen', { ...waited, frozen }, 'bbbbbbbbbbbb', false],
    ['it was asked for already', { ...waited, pulled: { [targetKey(one)]: NOW } }, 'bbbbbbbbbbbb', false],
    [
      'a shared certificate comes by itself',
      { ...waited, kind: { ...kind, only: 'ff' } },
      'bbbbbbbbbbbb',
      false,
    ],
  ]
  test.each(cases)('%s: %#', (_, rollout, bound, wanted) => {
    expect(awaitedOf(rings, one, bound, [rollout]) !== null).toBe(wanted)
  })
})
