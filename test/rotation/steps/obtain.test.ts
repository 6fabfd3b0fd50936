import { beforeEach, describe, expect, test } from 'vitest'
import { createTurns } from '../../../lib/base/parallel.ts'
import { DAY_MS } from '../../../lib/base/time.ts'
import type { CertificateSource } from '../../../lib/contracts.ts'
import type { Inspection } from '../../../lib/rotation/observe/inspection.ts'
import { obtain } from '../../../lib/rotation/steps/obtain.ts'
import { Suspension } from '../../../lib/rotation/trace.ts'
import { leafOf } from '../../../lib/x509/certificate.ts'
import { issue, leafExtensions } from '../../support/issue.ts'
import {
  context,
  DOMAIN,
  decided,
  NOW,
  pendingBinding,
  pendingCertificate,
  settled,
  slot,
  target,
} from '../facts.ts'
import { newState, type State } from '../state.ts'

let state: State
beforeEach(async () => {
  state = await newState()
})

/** A certificate that an earlier run obtained and uploaded as `b`, with so much of its 90 days left. */
async function uploaded(leftMs: number, specHash = 'spec') {
  const made = await issue({
    extensions: leafExtensions(DOMAIN),
    notBefore: NOW + leftMs - 90 * DAY_MS,
    notAfter: NOW + leftMs,
  })
  const leaf = leafOf(made.certificate)
  const { records } = state.open()
  await (await records.journal('iot', 'pending-1')).privateKey(async () => 'KEY')
  const pending = pendingCertificate({ chainPem: made.pem, fingerprint: leaf.fingerprint, specHash })
  await records.certificate('iot').update(d => ({ ...d, pending }))
  const document = settled({
    added: ['b'],
    pending: pendingBinding('b', { fingerprint: leaf.fingerprint, specHash }),
  })
  await records.target(target).update(() => document)
  return slot('b', {}, { certificatePem: made.pem, leaf })
}

async function run(b: Inspection['slots'][number]) {
  const { store, records } = state.open()
  // Its source has a CA that lets wait.
  const letsencrypt = {
    obtain: async () => ({ kind: 'suspended', until: NOW + DAY_MS, why: 'processing' }),
    abandon: async () => expect.unreachable('nothing is open at the CA'),
  } as unknown as CertificateSource
  const certificate = await records.certificate('iot').get()
  const document = await records.target(target).get()
  const result = await obtain(
    context({ store, records, inTurn: createTurns(), sources: { letsencrypt } }),
    decided({ slots: [slot('a'), b], bound: 'a', document, certificate }),
  ).catch(signal => signal as Suspension)
  return { result, document: await state.open().records.target(target).get() }
}

describe('what an earlier run uploaded and did not bind', () => {
  test('is taken while it is good', async () => {
    const b = await uploaded(80 * DAY_MS)
    const { result, document } = await run(b)
    expect(result).toMatchObject({
      status: 'skipped',
      value: { leaf: { fingerprint: b.leaf?.fingerprint }, specHash: 'spec' },
    })
    expect(document.pending?.serverCertificateId).toBe('b')
  })

  test.each([
    ['it has aged', 20 * DAY_MS, 'spec'],
    ['the settings changed', 80 * DAY_MS, 'older'],
  ])('is given up when %s: its key goes, and its slot may be freed', async (_, leftMs, specHash) => {
    const { result, document } = await run(await uploaded(leftMs, specHash))
    expect(result).toBeInstanceOf(Suspension)
    expect(result).toMatchObject({ until: NOW + DAY_MS, message: 'processing' })
    expect(document).toMatchObject({ pending: null, added: ['b'] })
    const { records } = state.open()
    expect(await records.privateKey('iot', 'pending-1')).toBeNull()
    const { pending } = await records.certificate('iot').get()
    expect(pending).toMatchObject({ specHash: 'spec', chainPem: null })
    expect(pending?.id).not.toBe('pending-1')
  })
})
