import { beforeEach, describe, expect, test } from 'vitest'
import { HOUR_MS, MINUTE_MS } from '../../../lib/base/time.ts'
import type { Action } from '../../../lib/model/outcomes.ts'
import { type Ending, record } from '../../../lib/rotation/steps/record.ts'
import type { TargetDocument } from '../../../lib/state/documents.ts'
import {
  context,
  inspection,
  NOW,
  pendingBinding,
  pendingCertificate,
  replaced,
  rotateAll,
  settled,
  slot,
  target,
} from '../facts.ts'
import { newState, type State } from '../state.ts'

let state: State
beforeEach(async () => {
  state = await newState()
})

const BOUND_AT = NOW - MINUTE_MS
const bound = pendingBinding('b', { replaces: replaced('a'), boundAt: BOUND_AT })
const hold = (since: number) => ({ since, why: 'held', specHash: 'spec' })

/** Writes down how the bind that is pending in `document` ended, and reads what is kept. */
async function settle(
  document: Partial<TargetDocument> & Pick<TargetDocument, 'pending'>,
  ending: Ending,
  action: Action = 'rotate',
): Promise<TargetDocument> {
  const { store, records } = state.open()
  await records.target(target).update(() => settled(document))
  await record(
    context({ store, records, event: { ...rotateAll, action } }),
    {
      inspection: inspection({ slots: [slot('a'), slot('b')], bound: 'b' }),
      binding: document.pending ?? expect.unreachable('nothing is bound'),
      deployed: null,
    },
    ending,
  )
  return state.open().records.target(target).get()
}

describe('a good verdict', () => {
  test('makes the new one current, the old one previous, and forgets the failures', async () => {
    const kept = await settle(
      { pending: bound, failures: 2, retryAfter: NOW, rollBacks: 1, declined: 'x' },
      { kind: 'served' },
    )
    expect(kept).toMatchObject({
      current: { serverCertificateId: 'b', fingerprint: 'leaf-b', specHash: 'spec' },
      previous: { serverCertificateId: 'a', fingerprint: 'leaf-a' },
      pending: null,
      failures: 0,
      retryAfter: null,
      rollBacks: 0,
      declined: null,
    })
  })

  test('of one that a person bound: what was current is previous', async () => {
    const kept = await settle({ pending: pendingBinding('b') }, { kind: 'served' })
    expect(kept).toMatchObject({
      current: { serverCertificateId: 'b' },
      previous: { serverCertificateId: 'a', fingerprint: 'leaf-a' },
    })
  })

  test('of the first one ever: nothing is previous', async () => {
    const kept = await settle(
      { current: null, pending: { ...bound, replaces: 'first' } },
      { kind: 'unverified', why: 'no answer' },
    )
    expect(kept).toMatchObject({ current: { serverCertificateId: 'b' }, previous: null })
  })

  test('wipes the key once every target has the certificate', async () => {
    const { records } = state.open()
    const journal = await records.journal('iot', 'pending-1')
    await journal.privateKey(async () => 'KEY')
    const pending = pendingCertificate({ chainPem: 'PEM', fingerprint: 'leaf-b' })
    await records.certificate('iot').update(d => ({ ...d, pending }))
    await settle({ pending: bound }, { kind: 'served' })
    expect(await state.open().records.privateKey('iot', 'pending-1')).toBeNull()
    expect(await state.open().records.certificate('iot').get()).toMatchObject({
      pending: null,
      current: { fingerprint: 'leaf-b', specHash: 'spec' },
    })
  })
})

describe('a hold', () => {
  const cases: readonly (readonly [string, Partial<TargetDocument>, Action, boolean])[] = [
    ['older than the bind, which had leave to end it', { held: hold(NOW - HOUR_MS) }, 'rotate', false],
    ['by `until`, at the bind', { held: hold(BOUND_AT) }, 'rotate', true],
    ['by a person, after the bind', { held: hold(NOW) }, 'rotate', true],
    ['of a rollback by hand', { held: hold(NOW - HOUR_MS) }, 'rollback', true],
    [
      'of a rollback by hand that another run finishes',
      { held: hold(NOW - HOUR_MS), rolledBack: ['leaf-a'] },
      'rotate',
      true,
    ],
    [
      'by `until`, before a person bound by hand',
      { held: hold(NOW - HOUR_MS), pending: pendingBinding('b') },
      'rotate',
      true,
    ],
  ]
  test.each(cases)('%s', async (_, document, action, stays) => {
    const { held } = await settle({ pending: bound, ...document }, { kind: 'served' }, action)
    expect(held).toEqual(stays ? (document.held ?? null) : null)
  })
})

describe('a bad verdict', () => {
  const bad = { kind: 'rolled-back', why: 'no handshake' } as const

  test('backs off once', async () => {
    const kept = await settle({ pending: bound, rolledBack: ['leaf-old'] }, bad)
    expect(kept).toMatchObject({
      current: { serverCertificateId: 'a' },
      pending: null,
      rolledBack: ['leaf-old', 'leaf-b'],
      rollBacks: 1,
      failures: 1,
      retryAfter: NOW + HOUR_MS,
      held: null,
    })
  })

  test('holds the second time', async () => {
    const kept = await settle({ pending: bound, rollBacks: 1, failures: 1 }, bad)
    expect(kept).toMatchObject({ rollBacks: 2, retryAfter: NOW + 2 * HOUR_MS })
    expect(kept.held).toMatchObject({ since: NOW, specHash: 'spec' })
  })
})
