import { beforeAll, describe, expect, test } from 'vitest'
import { DAY_MS, MINUTE_MS } from '../../../lib/base/time.ts'
import type { Endpoint } from '../../../lib/iotda/endpoint.ts'
import type { Slot } from '../../../lib/model/certificate.ts'
import type { Target } from '../../../lib/model/target.ts'
import { reconcile } from '../../../lib/rotation/observe/reconcile.ts'
import { wrongWithAdopted } from '../../../lib/rotation/observe/wrong-with-adopted.ts'
import type { PendingBinding, TargetDocument } from '../../../lib/state/documents.ts'
import { leafOf } from '../../../lib/x509/certificate.ts'
import { build } from '../../support/chain.ts'
import { basic, caExtensions, type Issued, issue, leafExtensions, names } from '../../support/issue.ts'
import {
  certificateDocument,
  context,
  DOMAIN,
  inspection,
  NOW,
  pendingBinding,
  pendingCertificate,
  replaced,
  type Scene,
  settled,
  slot,
  target,
  targetDocument,
} from '../facts.ts'

const a = slot('a')
const b = slot('b')
const held = { since: NOW - DAY_MS, why: 'held by hand', specHash: 'spec' }
const obtained = (fingerprint: string) =>
  certificateDocument({ pending: pendingCertificate({ chainPem: 'PEM', fingerprint }) })
const waiting = obtained('leaf-b')
/** Of `b`, in place of `a`, so long ago. */
const bind = (agoMs: number, more: Partial<PendingBinding> = {}) =>
  pendingBinding('b', { replaces: replaced('a'), boundAt: NOW - agoMs, ...more })
/** `b` was uploaded by this program. */
const uploaded = (more: Partial<TargetDocument>) => settled({ added: ['b'], ...more })
const look = (scene: Scene) => reconcile(inspection(scene), 'spec')
const bothAnd = (scene: Scene): Scene => ({ slots: [a, b], bound: 'a', ...scene })

describe('nothing to reconcile', () => {
  const lagging = bind(10 * MINUTE_MS - 1)
  const unfinished = bind(DAY_MS, { failedWhy: 'no handshake' })
  const bound = settled({ seen: { a: NOW }, pending: bind(MINUTE_MS) })
  const wanted = uploaded({ pending: pendingBinding('b') })
  const cases: readonly (readonly [string, Scene])[] = [
    ['nothing is bound', { slots: [a], bound: null, document: settled({ seen: { a: NOW - 5 } }) }],
    ['no configuration', { slots: [], document: targetDocument() }],
    ['the current one is bound', { slots: [a], bound: 'a', document: settled() }],
    ['the pending one is bound', bothAnd({ bound: 'b', document: bound })],
    ['the list lags behind our bind', bothAnd({ document: uploaded({ pending: lagging }) })],
    ['a rollback of ours is not finished', bothAnd({ document: uploaded({ pending: unfinished }) })],
    ['uploaded, and still wanted', bothAnd({ certificate: waiting, document: wanted })],
  ]
  test.each(cases)('%s', (_, scene) => {
    const { document, adopted, warnings } = look(scene)
    // The very same document: nothing is written.
    expect(document).toBe(scene.document)
    expect({ adopted, warnings }).toEqual({ adopted: null, warnings: [] })
  })
})

describe('a certificate that somebody else bound', () => {
  test('is adopted as current, with a warning, and what was in hand is forgotten', () => {
    const document = settled({
      previous: { serverCertificateId: 'x', fingerprint: null },
      pending: bind(DAY_MS),
      held,
      rolledBack: ['leaf-old'],
      failures: 2,
      retryAfter: NOW + 1,
    })
    const c = slot('c')
    const message =
      'certificate c, valid until 2026-09-03T12:00:00Z was bound by somebody else; it is looked after from now on'
    const found = look({ slots: [c, b], bound: 'c', certificate: waiting, document })
    expect(found.adopted).toBe(c)
    expect(found.warnings).toEqual([{ code: 'adopted', message }])
    expect(found.document).toEqual({
      ...document,
      current: { serverCertificateId: 'c', fingerprint: 'leaf-c', specHash: 'spec' },
      previous: null,
      pending: null,
      declined: 'pending-1',
      failures: 0,
      retryAfter: null,
      seen: { b: NOW },
    })
  })

  test('is adopted without any state: a first run, or one whose state was lost', () => {
    const { adopted, document } = look({ slots: [a], bound: 'a' })
    expect(adopted).toBe(a)
    expect(document).toMatchObject({
      current: { serverCertificateId: 'a', specHash: 'spec' },
      declined: null,
    })
  })

  test('keeps the settings it was obtained with, when it is one that this program obtained', () => {
    const certificate = certificateDocument({
      current: { fingerprint: 'leaf-a', specHash: 'older', notAfter: NOW },
    })
    expect(look({ slots: [a], bound: 'a', certificate }).document.current?.specHash).toBe('older')
  })

  test('is warned of once: the next look finds it current', () => {
    const { document } = look({ slots: [a], bound: 'a' })
    expect(look({ slots: [a], bound: 'a', document }).warnings).toEqual([])
  })

  test('that is in no slot is noted without a leaf, and there is nothing to judge', () => {
    const { adopted, document } = look({ slots: [b], bound: 'gone' })
    expect(adopted).toBeNull()
    expect(document.current).toEqual({ serverCertificateId: 'gone', fingerprint: null, specHash: 'spec' })
  })
})

describe('failures and their back-off', () => {
  const failing = settled({ failures: 2, retryAfter: NOW + 1 })
  const past = { notBefore: NOW - 90 * DAY_MS, notAfter: NOW }
  test.each([
    ['it is in no slot', []],
    ['it has expired', [slot('c', past)]],
    ['it has expired, by the list: the leaf cannot be read', [slot('c', past, { leaf: null })]],
  ])('stay when somebody bound what devices cannot use: %s', (_, slots) => {
    const { document } = look({ slots, bound: 'c', document: failing })
    expect(document).toMatchObject({
      current: { serverCertificateId: 'c' },
      failures: 2,
      retryAfter: NOW + 1,
    })
  })

  test('end when it can be used, were it for a moment', () => {
    const slots = [slot('c', { ...past, notAfter: NOW + 1 })]
    expect(look({ slots, bound: 'c', document: failing }).document).toMatchObject({
      failures: 0,
      retryAfter: null,
    })
  })
})

describe('a rollback by hand', () => {
  test.each([
    ['as soon as the list cannot be lagging', 10 * MINUTE_MS],
    ['a day later', DAY_MS],
  ])('holds: %s', (_, agoMs) => {
    const document = uploaded({ rolledBack: ['leaf-old'], pending: bind(agoMs) })
    const why = 'somebody bound the previous certificate again in place of ours'
    const found = look(bothAnd({ document }))
    expect(found.adopted).toBeNull()
    expect(found.warnings).toEqual([{ code: 'held', message: expect.stringContaining('iotda-cert resume') }])
    expect(found.document).toEqual({
      ...document,
      pending: null,
      rolledBack: ['leaf-old', 'leaf-b'],
      held: { since: NOW, why, specHash: 'spec' },
    })
  })
})

describe('a certificate that is uploaded, not bound, and no longer wanted', () => {
  const pending = pendingBinding('b')
  const cases: readonly (readonly [string, Partial<TargetDocument>, Scene])[] = [
    ['the settings changed', { pending: { ...pending, specHash: 'older' } }, { certificate: waiting }],
    ['its certificate was given up', { pending }, {}],
    ['another one was obtained', { pending }, { certificate: obtained('leaf-c') }],
    ['a bind that did not come about', { pending: { ...pending, replaces: replaced('a') } }, {}],
  ]
  test.each(cases)('is let go, so that its slot can be freed: %s', (_, more, scene) => {
    const document = uploaded(more)
    expect(look(bothAnd({ document, ...scene })).document).toEqual({ ...document, pending: null })
  })

  test.each([
    ['a bind of it is under way', { boundAt: NOW - MINUTE_MS, replaces: replaced('a') }, 'a'],
    ['it is bound', {}, 'b'],
    ['it is being rolled back', { failedWhy: 'no handshake', replaces: replaced('a') }, 'a'],
  ] as const)('but not while %s', (_, more, bound) => {
    const document = uploaded({ pending: pendingBinding('b', { ...more, specHash: 'older' }) })
    expect(look(bothAnd({ bound, document })).document.pending).toEqual(document.pending)
  })
})

describe('ids', () => {
  test('that are gone are forgotten, and somebody else’s are noted when first seen', () => {
    const document = settled({ added: ['a', 'gone'], seen: { b: NOW - DAY_MS, lost: NOW - DAY_MS } })
    const found = look(bothAnd({ document })).document
    expect(found).toMatchObject({ added: ['a'], seen: { b: NOW - DAY_MS } })
    expect(Object.keys(found.seen)).toEqual(['b'])
  })

  test('of ours and the bound one are not somebody else’s', () => {
    const { document } = look(bothAnd({ document: uploaded({}) }))
    expect(document.seen).toEqual({})
  })
})

describe('what is wrong with an adopted certificate', () => {
  let root: Issued
  let other: Issued
  beforeAll(async () => {
    root = await issue({ subject: 'CN=Root', extensions: caExtensions() })
    other = await issue({ subject: 'CN=Other', extensions: caExtensions() })
  })
  const slotOf = async (names: readonly string[], more: object = {}): Promise<Slot> => {
    const made = await issue({
      subject: 'CN=leaf',
      issuer: root,
      extensions: leafExtensions(...names),
      ...more,
    })
    return slot('x', {}, { certificatePem: made.pem, leaf: leafOf(made.certificate) })
  }
  /** The port sends what is in the slot. */
  const judge = (given: Slot, trustedRoots: string, mode: Target['probe']['mode'] = 'require') => {
    const { leaf, certificatePem: chainPem } = given
    const endpoint = { handshake: async () => ({ leaf, chainPem }) } as unknown as Endpoint
    const own = { ...target, trustedRoots, probe: { ...target.probe, mode } }
    return wrongWithAdopted(context({ target: own, endpoint }), given)
  }

  test('nothing', async () => {
    expect(await judge(await slotOf([DOMAIN]), root.pem)).toBeNull()
    expect(await judge(await slotOf(['*.example.com']), root.pem)).toBeNull()
  })

  test('no extended key usage is any use, and a CA may be a server: a hold would end renewals', async () => {
    const lax = { extensions: [basic(true), names(DOMAIN)] }
    expect(await judge(await slotOf([DOMAIN], lax), root.pem)).toBeNull()
  })

  test('its order is not judged, nor what comes twice: devices live with that, and a hold would end renewals', async () => {
    const { root: top, middle, leaf } = await build()
    const given = (...sent: readonly Issued[]) =>
      slot('x', {}, { certificatePem: sent.map(({ pem }) => pem).join(''), leaf: leafOf(leaf.certificate) })
    expect(await judge(given(leaf, top, middle, middle), top.pem)).toBeNull()
    expect(await judge(given(leaf, root), top.pem)).toMatch(/no root issues "CN=Leaf"/)
  })

  test('its validity is not judged: it is renewed like any other', async () => {
    const past = { notBefore: NOW - 20 * DAY_MS, notAfter: NOW - DAY_MS }
    expect(await judge(await slotOf([DOMAIN], past), root.pem)).toBeNull()
  })

  test('its names', async () => {
    const why = await judge(await slotOf(['other.example.com']), root.pem)
    expect(why).toBe('its names (other.example.com) do not cover iot.example.com')
  })

  test('its trust', async () => {
    const alone = await slotOf([DOMAIN])
    expect(await judge(alone, other.pem)).toMatch(/root|trust|issuer/i)
    // Show may leave the intermediates out: what cannot be seen is not wrong.
    expect(await judge(alone, other.pem, 'off')).toBeNull()
  })

  test('that it cannot be read', async () => {
    expect(await judge(slot('x', {}, { leaf: null }), root.pem)).toBe('it cannot be read')
    expect(await judge(slot('x', {}, { certificatePem: null }), root.pem)).toBe('it cannot be read')
  })
})
