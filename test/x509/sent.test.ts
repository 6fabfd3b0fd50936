import { describe, expect, test } from 'vitest'
import { parseChain } from '../../lib/x509/certificate.ts'
import { verifyPath } from '../../lib/x509/path.ts'
import { extraneousIn, verifySent } from '../../lib/x509/sent.ts'
import { opensslVerifies } from '../devices/openssl.ts'
import { ca } from '../support/chain.ts'
import { type Issued, issue, leafExtensions, NOW, newKeys } from '../support/issue.ts'

const DOMAIN = 'iot.example.com'
const P256 = { name: 'ECDSA', namedCurve: 'P-256' }

const root = await ca('Root')
/** The root before it had another key. */
const rootBefore = await ca('Root')
const upper = await ca('Upper', { issuer: root })
const lower = await ca('Lower', { issuer: upper })
const leaf = await issue({ subject: 'CN=Leaf', issuer: lower, extensions: leafExtensions(DOMAIN) })
const stranger = await ca('Stranger')
/** Of the same name as the issuer of the leaf, with another key. */
const namesake = await ca('Lower', { issuer: stranger, keys: await newKeys(P256 as never) })

type Row = readonly [
  what: string,
  sent: readonly Issued[],
  /** What openssl, which looks for issuers in any order, says of it. */
  theirs: boolean,
  ours: 'tidy' | RegExp | 'refused',
]

const ROWS: readonly Row[] = [
  ['right', [leaf, lower, upper], true, 'tidy'],
  ['the root, too', [leaf, lower, upper, root], true, 'tidy'],
  [
    'a stranger at the end',
    [leaf, lower, upper, stranger],
    true,
    /"CN=Upper" is not issued by "CN=Stranger"/,
  ],
  ['a stranger after the leaf', [leaf, stranger, lower, upper], true, /"CN=Leaf" is not issued by/],
  ['the root before the issuers', [leaf, root, lower, upper], true, /is not issued by "CN=Root"/],
  [
    'a namesake of the root after it',
    [leaf, lower, upper, root, rootBefore],
    true,
    /not issued by "CN=Root"/,
  ],
  ['the root, twice', [leaf, lower, upper, root, root], true, /"CN=Root" comes twice/],
  ['the leaf, twice', [leaf, leaf, lower, upper], true, /"CN=Leaf" comes twice/],
  ['all of it, twice', [leaf, lower, upper, leaf, lower, upper], true, /comes twice/],
  ['an issuer, twice', [leaf, lower, lower, upper], true, /"CN=Lower" comes twice/],
  // Mbed TLS 2.28.3 takes the rows above, and refuses these: it looks for an issuer in what follows only, and takes
  // the first of its name.
  ['a namesake before the issuer', [leaf, namesake, lower, upper], true, 'refused'],
  ['issuers in reverse', [leaf, upper, lower], true, 'refused'],
  ['a stranger in place of an issuer', [leaf, lower, stranger], false, 'refused'],
  ['a namesake in place of the issuer', [leaf, namesake, upper], false, 'refused'],
]

const pemOf = (sent: readonly Issued[]) => sent.map(({ pem }) => pem).join('')
const input = (sent: readonly Issued[]) => ({
  chain: parseChain(pemOf(sent)),
  roots: parseChain(root.pem),
  at: NOW,
})

describe('what a port sends, side by side with openssl', () => {
  test.each(ROWS)('%s', async (_, sent, theirs, ours) => {
    const question = { chainPem: pemOf(sent), rootsPem: root.pem, domain: DOMAIN, strict: false, at: NOW }
    expect((await opensslVerifies(question)) === true).toBe(theirs)
    const found = verifySent(input(sent))
    expect(found.ok).toBe(ours !== 'refused')
    if (!found.ok) return expect(verifyPath(input(sent)).ok).toBe(false)
    expect(found.path.map(({ subject }) => subject)).toEqual(['CN=Leaf', 'CN=Lower', 'CN=Upper', 'CN=Root'])
    if (ours === 'tidy') expect(found.untidy).toBeNull()
    else expect(found.untidy).toMatch(ours as RegExp)
  })

  test('what is wrong with the path stays wrong', () => {
    const late = { ...input([leaf, lower, upper, stranger]), at: Date.parse(leaf.certificate.validTo) + 1 }
    expect(verifySent(late)).toMatchObject({ ok: false, code: 'expired' })
  })

  test('hundreds of certificates do not keep it busy', () => {
    const sent = [leaf, ...Array.from({ length: 30 }, () => [lower, upper, root]).flat()]
    const chain = sent.map(({ certificate }) => certificate)
    expect(verifySent({ ...input([leaf]), chain })).toMatchObject({ ok: false, code: 'too-large' })
  })
})

test.each<[string, readonly Issued[], string | null]>([
  ['none', [leaf, lower, upper], null],
  ['none, with the root', [leaf, lower, upper, root], null],
  ['what comes twice leads to the root', [leaf, lower, lower, upper], null],
  ['a stranger', [leaf, lower, upper, stranger], 'CN=Stranger'],
  ['an issuer before what it issues', [leaf, upper, lower], 'CN=Lower'],
])('astray: %s', (_, sent, who) => {
  expect(extraneousIn(input(sent).chain, input(sent).roots)?.subject ?? null).toBe(who)
})
