import { rootCertificates } from 'node:tls'
import { describe, expect, test } from 'vitest'
import type { PathCode } from '../../lib/x509/path.ts'
import { parseRoots } from '../../lib/x509/path.ts'
import { build, ca, type Parts, subjects, verify } from '../support/chain.ts'
import {
  basic,
  CLIENT_AUTH,
  caExtensions,
  DAY_MS,
  der,
  digitalSignature,
  extended,
  extension,
  issue,
  keyCertSign,
  leafExtensions,
  NOW,
  names,
  SERVER_AUTH,
  usage,
  version1Root,
} from '../support/issue.ts'

describe('a good chain', () => {
  test('leads from the leaf to the root that issues its last certificate', async () => {
    const { root, middle, leaf } = await build()
    expect(subjects(verify([leaf, middle], [root]))).toEqual(['Leaf', 'Middle', 'Root'])
  })

  test('may hold the root', async () => {
    const { root, middle, leaf } = await build()
    expect(subjects(verify([leaf, middle, root], [root]))).toEqual(['Leaf', 'Middle', 'Root'])
  })

  test('may end at an intermediate that devices trust by itself', async () => {
    const { middle, leaf } = await build()
    expect(subjects(verify([leaf, middle], [middle]))).toEqual(['Leaf', 'Middle'])
    expect(subjects(verify([leaf], [middle]))).toEqual(['Leaf', 'Middle'])
  })

  test('is good to the last second of the leaf', async () => {
    const { root, middle, leaf } = await build({ leaf: { notAfter: NOW } })
    expect(verify([leaf, middle], [root], NOW).ok).toBe(true)
    expect(verify([leaf, middle], [root], NOW + 1000)).toMatchObject({ ok: false, code: 'expired' })
  })

  test('reaches the right one of two roots with the same name', async () => {
    const { root, middle, leaf } = await build()
    const twin = await ca('Root')
    const result = verify([leaf, middle], [twin, root])
    expect(result.ok && result.path.at(-1)?.fingerprint256).toBe(root.certificate.fingerprint256)
  })

  test('uses the valid one of two certificates of a root key', async () => {
    const { root, middle, leaf } = await build()
    const old = await issue({
      subject: 'CN=Root',
      keys: root.keys,
      notAfter: NOW - DAY_MS,
      extensions: caExtensions(),
    })
    expect(verify([leaf, middle], [old, root]).ok).toBe(true)
    expect(verify([leaf, middle], [old])).toMatchObject({ ok: false, code: 'expired' })
  })

  test('that is cross-signed ends at the newer root when devices hold only that one', async () => {
    const old = await ca('Old Root')
    const { root, middle, leaf } = await build()
    const cross = await ca('Root', { keys: root.keys, issuer: old })
    const sent = [leaf, middle, cross]
    expect(subjects(verify(sent, [old]))).toEqual(['Leaf', 'Middle', 'Root', 'Old Root'])
    expect(subjects(verify(sent, [root]))).toEqual(['Leaf', 'Middle', 'Root'])
  })

  test('may have a leaf for any use, and one that is a CA', async () => {
    for (const extensions of [[basic(false)], [basic(true)], []]) {
      const { root, middle, leaf } = await build({ leaf: { extensions } })
      expect(subjects(verify([leaf, middle], [root]))).toEqual(['Leaf', 'Middle', 'Root'])
    }
  })

  test('may start at a root of version 1, which has no extensions', async () => {
    const { root, middle, leaf } = await build()
    const old = await version1Root('Root', root.keys)
    expect(subjects(verify([leaf, middle], [old]))).toEqual(['Leaf', 'Middle', 'Root'])
  })
})

const extraLeaf = (...more: NonNullable<NonNullable<Parts['leaf']>['extensions']>): Parts => ({
  leaf: { extensions: [...leafExtensions('a.example'), ...more] },
})
const critical = (oid: string) => extension(oid, der(0x05), true)

const bad: readonly [string, PathCode, RegExp, Parts][] = [
  ['expired leaf', 'expired', /"CN=Leaf".*2026-06-14T12:00:00Z/, { leaf: { notAfter: NOW - DAY_MS } }],
  ['leaf of the future', 'not-yet-valid', /"CN=Leaf"/, { leaf: { notBefore: NOW + DAY_MS } }],
  ['expired intermediate', 'expired', /"CN=Middle"/, { middle: { notAfter: NOW - DAY_MS } }],
  ['expired root', 'expired', /"CN=Root"/, { root: { notAfter: NOW - DAY_MS } }],
  ['leaf that may only issue', 'key-usage', /"CN=Leaf"/, { leaf: { extensions: caExtensions() } }],
  [
    'leaf for clients only',
    'extended-key-usage',
    /"CN=Leaf"/,
    { leaf: { extensions: [basic(false), extended(CLIENT_AUTH), names('a.example')] } },
  ],
  [
    'leaf whose key may only sign certificates',
    'key-usage',
    /"CN=Leaf"/,
    { leaf: { extensions: [basic(false), usage(keyCertSign), extended(SERVER_AUTH)] } },
  ],
  ['intermediate that is no CA', 'not-a-ca', /"CN=Middle"/, { middle: { extensions: [basic(false)] } }],
  ['intermediate without constraints', 'not-a-ca', /"CN=Middle"/, { middle: { extensions: [] } }],
  [
    'intermediate without keyCertSign',
    'key-usage',
    /"CN=Middle"/,
    { middle: { extensions: [basic(true), usage(digitalSignature)] } },
  ],
  [
    'intermediate for clients only',
    'extended-key-usage',
    /"CN=Middle"/,
    { middle: { extensions: [...caExtensions(), extended(CLIENT_AUTH)] } },
  ],
  ['root without constraints', 'not-a-ca', /"CN=Root"/, { root: { extensions: [] } }],
  ['root that allows no intermediate', 'path-length', /"CN=Root"/, { root: { extensions: caExtensions(0) } }],
  ['unknown critical extension', 'critical-extension', /"CN=Leaf".*2a0304/, extraLeaf(critical('1.2.3.4'))],
  [
    'certificate transparency poison',
    'critical-extension',
    /"CN=Leaf"/,
    extraLeaf(critical('1.3.6.1.4.1.11129.2.4.3')),
  ],
  [
    'unknown critical extension in the root',
    'critical-extension',
    /"CN=Root"/,
    { root: { extensions: [...caExtensions(), critical('1.2.3.4')] } },
  ],
  ['extension that comes twice', 'malformed', /"CN=Leaf"/, extraLeaf(names('b.example'))],
  [
    'signature with SHA-1',
    'weak-signature',
    /"CN=Leaf"/,
    { leaf: { signing: { name: 'ECDSA', hash: 'SHA-1' } } },
  ],
]

describe('a bad chain', () => {
  test.each(bad)('%s', async (_, code, message, parts) => {
    const { root, middle, leaf } = await build(parts)
    const refused = { ok: false, code, message: expect.stringMatching(message) }
    expect(verify([leaf, middle], [root])).toEqual(refused)
  })

  test('an unknown extension that is not critical does no harm', async () => {
    const { root, middle, leaf } = await build(extraLeaf(extension('1.2.3.4', der(0x05))))
    expect(verify([leaf, middle], [root]).ok).toBe(true)
  })

  test('is empty', async () => {
    const { root } = await build()
    expect(verify([], [root])).toMatchObject({ ok: false, code: 'empty' })
  })

  test('lacks its intermediate, and the message names the issuer that is missing', async () => {
    const { root, leaf } = await build()
    expect(verify([leaf], [root])).toMatchObject({
      ok: false,
      code: 'incomplete',
      message: expect.stringContaining('"CN=Middle"'),
    })
  })

  test('ends at a root that devices do not hold', async () => {
    const { root, middle, leaf } = await build()
    const other = await ca('Other')
    expect(verify([leaf, middle, root], [other])).toMatchObject({ ok: false, code: 'incomplete' })
    expect(verify([leaf, middle], [])).toMatchObject({ ok: false, code: 'incomplete' })
  })

  test('is out of order, has a stranger in it, or one certificate twice', async () => {
    const { root, middle, leaf } = await build()
    const stranger = await ca('Stranger')
    const codes = [
      [leaf, root, middle],
      [leaf, middle, stranger],
      [middle, leaf],
      [leaf, leaf, middle],
      [leaf, middle, root, root],
    ].map(chain => {
      const result = verify(chain, [root])
      return result.ok ? 'ok' : result.code
    })
    expect(codes).toEqual(['order', 'order', 'key-usage', 'duplicate', 'duplicate'])
  })

  test('has an issuer of the right name and another key', async () => {
    const { root, leaf } = await build()
    const impostor = await ca('Middle', { issuer: root })
    expect(verify([leaf, impostor], [root])).toMatchObject({ ok: false, code: 'order' })
    // Without key identifiers only the signature can tell.
    const plain = await build({ leaf: { identifiers: false } })
    const other = await ca('Middle', { issuer: plain.root })
    expect(verify([plain.leaf, other], [plain.root])).toMatchObject({ ok: false, code: 'signature' })
  })

  test('counts only intermediates that are not self-issued against a path length', async () => {
    const { root, middle } = await build({ root: { extensions: caExtensions(1) } })
    const rollover = await ca('Root', { issuer: root })
    const below = await ca('Below', { issuer: rollover })
    const leaf = await issue({ issuer: below, extensions: leafExtensions('a.example') })
    expect(verify([leaf, below, rollover], [root]).ok).toBe(true)
    const deeper = await ca('Deeper', { issuer: middle })
    const deepLeaf = await issue({ issuer: deeper, extensions: leafExtensions('a.example') })
    expect(verify([deepLeaf, deeper, middle], [root])).toMatchObject({ ok: false, code: 'path-length' })
  })
})

describe('parseRoots', () => {
  test("null is Node's own list, every one of which is a CA", () => {
    const roots = parseRoots(null)
    expect(roots).toHaveLength(rootCertificates.length)
    expect(roots.filter(root => !root.ca)).toEqual([])
  })

  test('reads a bundle, and refuses one without a certificate', async () => {
    const { root, middle } = await build()
    expect(parseRoots(root.pem + middle.pem).map(({ subject }) => subject)).toEqual(['CN=Root', 'CN=Middle'])
    expect(() => parseRoots('')).toThrow('no certificate')
  })
})
