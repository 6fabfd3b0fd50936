import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import {
  chainOf,
  createCsr,
  ecKeys,
  type Rig,
  registered,
  rsaKeys,
  short,
  startRig,
  verdict,
} from './acme-ca-rig.ts'

test('identifiers are checked, each bad one with a subproblem', async () => {
  const rig = await startRig({ rejectedNames: ['forbidden.test'] })
  const client = await registered(rig)
  const tried = async (...names: string[]) => verdict(await client.newOrder(names))
  expect(await tried()).toEqual([400, 'malformed'])
  expect(await tried('192.0.2.1')).toEqual([400, 'rejectedIdentifier'])
  expect(await tried('a.forbidden.test')).toEqual([400, 'rejectedIdentifier'])
  for (const bad of ['a_b.example.test', 'test', 'a.example.test.', '*.*.example.test', 'a.1'])
    expect(await tried(bad), bad).toEqual([400, 'malformed'])
  expect(await tried('*.example.test', 'www.example.test')).toEqual([400, 'malformed'])
  expect(await tried('*.example.test', 'example.test')).toEqual([201, undefined])
  const ip = { identifiers: [{ type: 'ip', value: '192.0.2.1' }] }
  expect(verdict(await client.post(`${rig.ca.url}/new-order`, ip))).toEqual([400, 'unsupportedIdentifier'])
  const many = await client.newOrder(['good.example.test', 'bad_.test', '192.0.2.1'])
  expect(many.doc.subproblems?.map(p => [p.identifier.value, short(p.type)])).toEqual([
    ['bad_.test', 'malformed'],
    ['192.0.2.1', 'rejectedIdentifier'],
  ])
  const dated = await client.newOrder(['a.example.test'], { notAfter: '2027-02-01T00:00:00Z' })
  expect(verdict(dated)).toEqual([400, 'malformed'])
})

test('challenges: one of an unknown type has no token; the wildcard shares the name of the apex', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const placed = await client.newOrder(['example.test', '*.example.test'])
  const [apexUrl = '', wildcardUrl = ''] = placed.doc.authorizations ?? []
  const wildcard = await client.post(wildcardUrl, '')
  expect(wildcard.doc).toMatchObject({
    identifier: { value: 'example.test' },
    wildcard: true,
    status: 'pending',
  })
  expect((await client.post(apexUrl, '')).doc).not.toHaveProperty('wildcard')
  const [unknown, dns] = wildcard.doc.challenges ?? []
  expect(unknown).not.toHaveProperty('token')
  expect(dns).toMatchObject({
    type: 'dns-01',
    status: 'pending',
    token: expect.stringMatching(/^[\w-]{43}$/),
  })
  expect((await client.answer(apexUrl)).doc.status).toBe('valid')
  expect((await client.post(placed.headers.location ?? '', '')).doc.status).toBe('pending')
  const valid = await client.answer(wildcardUrl)
  expect(rig.dns.txt.get('_acme-challenge.example.test')).toHaveLength(2)
  expect(valid.doc.challenges).toMatchObject([
    { type: 'dns-01', status: 'valid', validated: '2027-01-01T12:00:00Z' },
  ])
  expect(valid.doc.expires).toBe('2027-01-31T12:00:00Z')
  const order = await client.post(placed.headers.location ?? '', '')
  expect(order.doc).toMatchObject({ status: 'ready', expires: '2027-01-08T12:00:00Z' })
})

test('the answer to a challenge comes before its result; asking again changes nothing', async () => {
  const rig = await startRig({ validationDelayMs: 20 })
  const client = await registered(rig)
  const placed = await client.newOrder(['a.example.test'])
  const url = placed.doc.authorizations?.[0] ?? ''
  const dns = (await client.post(url, '')).doc.challenges?.[1]
  expect((await client.post(dns?.url ?? '', '')).doc.status).toBe('pending')
  const started = await client.post(dns?.url ?? '', {})
  expect(started.doc.status).toBe('processing')
  expect(started.headers.link).toContain(`<${url}>;rel="up"`)
  rig.dns.txt.set('_acme-challenge.a.example.test', ['other', client.txtOf(dns?.token ?? '')])
  expect((await client.post(dns?.url ?? '', {})).doc.status).toBe('processing')
  expect((await client.settled(url)).doc.status).toBe('valid')
  expect((await client.post(dns?.url ?? '', {})).doc.status).toBe('valid')
  expect(rig.dns.transports).toEqual(['udp'])
})

const FAILURES: readonly [string, (rig: Rig) => void, string, RegExp][] = [
  ['no record', () => {}, 'unauthorized', /No TXT record found/],
  [
    'another value',
    rig => rig.dns.txt.set('_acme-challenge.a.example.test', ['x', 'y']),
    'incorrectResponse',
    /Incorrect TXT record "x" \(and 1 more\)/,
  ],
  ['no such name', rig => Object.assign(rig.dns, { rcode: 3 }), 'dns', /NXDOMAIN looking up TXT/],
  ['a broken server', rig => Object.assign(rig.dns, { rcode: 2 }), 'dns', /SERVFAIL looking up TXT/],
  ['a silent server', rig => Object.assign(rig.dns, { silent: true }), 'dns', /timed out/],
  [
    'a loop',
    rig => rig.dns.cname.set('_acme-challenge.a.example.test', '_acme-challenge.a.example.test'),
    'dns',
    /too many CNAMEs/,
  ],
]

test.each(FAILURES)('validation fails for good on %s', async (_, prepare, type, detail) => {
  const rig = await startRig({ dnsTimeoutMs: 50 })
  const client = await registered(rig)
  prepare(rig)
  const placed = await client.newOrder(['a.example.test'])
  const url = placed.doc.authorizations?.[0] ?? ''
  const failed = await client.answer(url, false)
  expect(failed.doc).toMatchObject({ status: 'invalid', challenges: [{ type: 'dns-01', status: 'invalid' }] })
  const challenge = failed.doc.challenges?.[0]
  expect(short(challenge?.error?.type)).toBe(type)
  expect(challenge?.error?.detail).toMatch(detail)
  expect((await client.post(placed.headers.location ?? '', '')).doc.status).toBe('invalid')
  const asked = rig.dns.transports.length
  expect((await client.post(challenge?.url ?? '', {})).doc.status).toBe('invalid')
  expect(rig.dns.transports).toHaveLength(asked)
  const next = await client.newOrder(['a.example.test'])
  expect(next.headers.location).not.toBe(placed.headers.location)
  expect(next.doc.authorizations).not.toContain(url)
})

test('the lookup follows CNAMEs and comes back over TCP', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  rig.dns.cname.set('_acme-challenge.a.example.test', 'x.delegated.test')
  rig.dns.truncate = true
  const placed = await client.newOrder(['a.example.test'])
  const url = placed.doc.authorizations?.[0] ?? ''
  const token = (await client.post(url, '')).doc.challenges?.[1]?.token ?? ''
  rig.dns.txt.set('x.delegated.test', [client.txtOf(token)])
  expect((await client.answer(url, false)).doc.status).toBe('valid')
  expect(rig.dns.transports).toEqual(['udp', 'tcp', 'udp', 'tcp'])
})

test('a deactivated authorization ends its order and is not used again', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const placed = await client.readyOrder(['a.example.test'])
  const url = placed.doc.authorizations?.[0] ?? ''
  expect(verdict(await client.post(url, { status: 'valid' }))).toEqual([400, 'malformed'])
  expect((await client.post(url, { status: 'deactivated' })).doc.status).toBe('deactivated')
  expect((await client.post(placed.headers.location ?? '', '')).doc.status).toBe('invalid')
  expect((await client.newOrder(['a.example.test'])).doc.status).toBe('pending')
})

test('certificate requests are checked; a bad one leaves the order ready', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const names = ['a.example.test', 'b.example.test']
  const placed = await client.readyOrder(names)
  const finalize = async (csr: unknown) => verdict(await client.post(placed.doc.finalize ?? '', { csr }))
  const mustStaple = new x509.Extension('1.3.6.1.5.5.7.1.24', false, Buffer.from('3003020105', 'hex'))
  const good = await createCsr(names)
  const broken = Buffer.from(good, 'base64url')
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1
  for (const [what, csr] of Object.entries({
    missing: undefined,
    'not DER': 'AAAA',
    'broken signature': broken.toString('base64url'),
    'a name less': await createCsr(['a.example.test']),
    'a name more': await createCsr([...names, 'c.example.test']),
    'foreign common name': await createCsr(names, { commonName: 'c.example.test' }),
    'must-staple': await createCsr(names, { extra: [mustStaple] }),
    'short RSA key': await createCsr(names, { keys: await rsaKeys(1024) }),
    'account key': await createCsr(names, { keys: client.keys }),
  }))
    expect(await finalize(csr), what).toEqual([400, 'badCSR'])
  expect((await client.post(placed.headers.location ?? '', '')).doc.status).toBe('ready')
  expect(await finalize(good)).toEqual([200, undefined])
})

test('accounts cannot see what belongs to others; reads have no payload', async () => {
  const rig = await startRig()
  const owner = await registered(rig)
  const other = await registered(rig)
  const placed = await owner.readyOrder(['a.example.test'])
  await owner.obtain(['a.example.test'])
  const { certificate = '' } = (await owner.post(placed.headers.location ?? '', '')).doc
  const urls = [placed.headers.location ?? '', placed.doc.authorizations?.[0] ?? '', certificate]
  for (const url of urls) {
    expect(verdict(await other.post(url, '')), url).toEqual([403, 'unauthorized'])
    expect(verdict(await owner.post(url, {})), url).toEqual([400, 'malformed'])
    expect(verdict(await owner.post(`${url}0`, '')), url).toEqual([404, 'malformed'])
  }
  expect(verdict(await other.post(placed.doc.finalize ?? '', {}))).toEqual([403, 'unauthorized'])
})

const derOf = (pem: string) =>
  Buffer.from(chainOf(pem)[0]?.rawData ?? new ArrayBuffer(0)).toString('base64url')

test('certificates are revoked by their account, their key, or whoever controls the names', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const other = await registered(rig)
  const url = `${rig.ca.url}/revoke-cert`
  const keys = await ecKeys()
  const csr = await createCsr(['a.example.test'], { keys })
  const first = { certificate: derOf((await client.obtain(['a.example.test'], {}, csr)).text) }
  const second = { certificate: derOf((await client.obtain(['a.example.test'])).text) }
  const third = { certificate: derOf((await client.obtain(['a.example.test'])).text) }
  const byKey = async (payload: object, pair = keys) => {
    const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey)
    const bend = { header: { kid: undefined, jwk }, key: pair.privateKey }
    return verdict(await client.post(url, payload, bend))
  }
  expect(verdict(await other.post(url, first))).toEqual([403, 'unauthorized'])
  expect(await byKey(first, await ecKeys())).toEqual([403, 'unauthorized'])
  expect(verdict(await client.post(url, { ...first, reason: 2 }))).toEqual([400, 'badRevocationReason'])
  expect(verdict(await client.post(url, { certificate: 'AAAA' }))).toEqual([404, 'malformed'])
  expect(await byKey({ ...first, reason: 1 })).toEqual([200, undefined])
  expect(verdict(await client.post(url, first))).toEqual([400, 'alreadyRevoked'])
  expect(verdict(await client.post(url, second))).toEqual([200, undefined])
  await other.readyOrder(['a.example.test'])
  expect(verdict(await other.post(url, third))).toEqual([200, undefined])
  expect(rig.ca.issued.map(c => c.revoked?.reason)).toEqual([1, 0, 0])
})
