/** When a look at each certificate may be left out: each doubt asks for everything. */
import { describe, expect, test } from 'vitest'
import { SECOND_MS } from '../../../lib/base/time.ts'
import type { Served } from '../../../lib/model/certificate.ts'
import type { Context } from '../../../lib/rotation/context.ts'
import { isSettled, knownSlots } from '../../../lib/rotation/observe/known-slots.ts'
import type { CertificateDocument, TargetDocument } from '../../../lib/state/documents.ts'
import {
  certificateDocument,
  context,
  leaf,
  NOW,
  pendingBinding,
  pendingCertificate,
  settled,
  slot,
} from '../facts.ts'

const served = (fingerprint: string | null, more: Partial<Served> = {}): Served => ({
  address: '192.0.2.1:8883',
  leaf: fingerprint === null ? null : leaf(fingerprint),
  error: null,
  chainPem: fingerprint === null ? null : 'SERVED',
  ...more,
})
const listed = (id: string) => ({ ...slot(id), commonName: null })
const known = (more: object = {}) =>
  knownSlots({
    id: 'a',
    certificates: [listed('b'), listed('a')] as never,
    documents: { target: settled() },
    served: [served('leaf-a')],
    ...more,
  })

test('bound, served and listed are one: the leaf is the served one, of the other slot only its dates are known', () => {
  const dates = { effectiveDate: leaf('x').notBefore, expiryDate: leaf('x').notAfter }
  expect(known()).toEqual([
    { serverCertificateId: 'b', ...dates, certificatePem: null, leaf: null },
    { serverCertificateId: 'a', ...dates, certificatePem: 'SERVED', leaf: leaf('leaf-a') },
  ])
})

describe('doubts about what is bound', () => {
  const off = { ...listed('a'), expiryDate: listed('a').expiryDate + SECOND_MS }
  const early = { ...listed('a'), effectiveDate: listed('a').effectiveDate - SECOND_MS }
  test.each<readonly [string, object]>([
    ['nothing is bound', { id: null }],
    ['another one is bound', { id: 'b' }],
    ['nothing is known', { documents: { target: settled({ current: null }) } }],
    [
      'what was adopted could not be read',
      {
        documents: {
          target: settled({ current: { serverCertificateId: 'a', fingerprint: null, specHash: 'spec' } }),
        },
      },
    ],
    ['it is not in the list', { certificates: [listed('b')] }],
    ['the list has another end', { certificates: [off] }],
    ['the list has another beginning', { certificates: [early] }],
    ['the probe is off', { served: [] }],
    ['the port does not answer', { served: [served(null)] }],
    ['one address does not answer', { served: [served('leaf-a'), served(null)] }],
    ['the port serves another', { served: [served('leaf-b')] }],
    ['one address serves another', { served: [served('leaf-a'), served('leaf-b')] }],
    ['the chain could not be read', { served: [served('leaf-a', { chainPem: null })] }],
  ])('%s', (_, more) => {
    expect(known(more)).toBeNull()
  })
})

describe('what is open', () => {
  const quiet = context()
  const ask = (
    target: Partial<TargetDocument> = {},
    certificate: Partial<CertificateDocument> = {},
    more: Partial<Context> = {},
  ) =>
    isSettled(
      { ...quiet, ...more },
      {
        target: settled(target),
        certificate: certificateDocument(certificate),
      },
    )
  const event = (more: object) => ({ event: { ...quiet.event, ...more } })

  test('nothing', () => {
    expect(ask()).toBe(true)
  })
  test.each<readonly [string, Parameters<typeof ask>]>([
    ['a bind', [{ pending: pendingBinding('b') }]],
    ['a hold', [{ held: { since: NOW, why: 'by hand', specHash: 'spec' } }]],
    ['a failure', [{ failures: 1 }]],
    ['a back-off', [{ retryAfter: NOW }]],
    ['a roll-back', [{ rolledBack: ['leaf-b'] }]],
    ['other settings', [{ current: { serverCertificateId: 'a', fingerprint: 'leaf-a', specHash: 'old' } }]],
    ['an order', [{}, { pending: pendingCertificate() }]],
    ['a revocation', [{}, { revoked: [{ fingerprint: 'leaf-b', at: NOW, reason: 'superseded' }] }]],
    ['a key that was given away', [{}, { bannedKeys: ['spki'] }]],
    ['rings', [{}, {}, { rings: [] }]],
    ['the page', [{}, {}, { isPublished: true }]],
    ['force', [{}, {}, event({ force: true })]],
    ['a pace', [{}, {}, event({ until: 'add' })]],
    ['a word on what preflight refused', [{}, {}, event({ accept: 'leaf-b' })]],
    ...(['plan', 'status', 'rollback', 'hold', 'resume', 'revoke'] as const).map(
      (action): [string, Parameters<typeof ask>] => [action, [{}, {}, event({ action })]],
    ),
  ])('%s', (_, args) => {
    expect(ask(...args)).toBe(false)
  })
})
