/** Revocation lists over a real socket: what is believed, what is not, and that nothing unknown is an objection. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { gzipSync } from 'node:zlib'
import * as x509 from '@peculiar/x509'
import { describe, expect, test } from 'vitest'
import { createHttp } from '../../lib/http/client.ts'
import { fetchList, NotFetched } from '../../lib/revocation/fetch-list.ts'
import { readRevocation } from '../../lib/revocation/list.ts'
import { lookUpRevocation, type Revocation } from '../../lib/revocation/look-up.ts'
import { listen } from '../http/rig.ts'
import { cleanups } from '../support/cleanups.ts'
import { fakeClock } from '../support/clock.ts'
import { caExtensions, DAY_MS, type Issued, issue, leafExtensions, NOW } from '../support/issue.ts'
import {
  criticalExtension,
  type ListOptions,
  type ListServer,
  revocationList,
  scopeOf,
  serveLists,
} from '../support/revocation-list.ts'
import { quietSignal } from '../support/signal.ts'

const named = (...urls: string[]) => new x509.CRLDistributionPointsExtension(urls)
const serialOf = ({ certificate }: Issued): string =>
  certificate.serialNumber.toLowerCase().padStart(2 * Math.ceil(certificate.serialNumber.length / 2), '0')

const open = async (leafUrl?: (lists: ListServer) => string) => {
  const lists = await serveLists()
  const root = await issue({ subject: 'CN=Root', extensions: caExtensions() })
  const middle = await issue({
    ...{ subject: 'CN=Middle', issuer: root },
    extensions: [...caExtensions(0), named(`${lists.url}/root.crl`)],
  })
  const leaf = await issue({
    ...{ subject: 'CN=iot.example.com', issuer: middle },
    extensions: [...leafExtensions('iot.example.com'), named(leafUrl?.(lists) ?? `${lists.url}/middle.crl`)],
  })
  const http = createHttp()
  cleanups.push(http.close)
  const clock = fakeClock(NOW)
  const chainPem = leaf.pem + middle.pem
  const put = (path: string, options: Partial<ListOptions> & Pick<ListOptions, 'issuer'>): void =>
    void lists.at.set(path, revocationList({ now: NOW, ...options }))
  put('/root.crl', { issuer: root })
  put('/middle.crl', { issuer: middle })
  const ask = (trustedRoots: string | null = root.pem): Promise<Revocation> =>
    lookUpRevocation(chainPem, { trustedRoots, http: () => http, run: { clock, signal: quietSignal() } })
  return { lists, root, middle, leaf, clock, put, ask, http }
}
const GOOD: Revocation = { revoked: [], unknown: [], good: 2 }

test('of a chain that is not revoked: each list is fetched once, and remembered for an hour', async () => {
  const { lists, ask, clock } = await open()
  expect(await ask()).toEqual(GOOD)
  expect(await ask()).toEqual(GOOD)
  expect(lists.asked.toSorted()).toEqual(['/middle.crl', '/root.crl'])
  clock.advance(3_700_000)
  await ask()
  expect(lists.asked).toHaveLength(4)
})

test('of a long chain, two lists are fetched at once, since each may be large', async () => {
  let [now, most, asked] = [0, 0, 0]
  const server = createServer((_, response) => {
    now += 1
    asked += 1
    most = Math.max(most, now)
    setTimeout(() => {
      now -= 1
      response.writeHead(404).end()
    }, 10)
  })
  const { port } = await listen(server)
  const root = await issue({ subject: 'CN=Root', extensions: caExtensions() })
  const chain: Issued[] = []
  for (let i = 0; i < 6; i += 1)
    chain.unshift(
      await issue({
        ...{ subject: `CN=Middle ${i}`, issuer: chain[0] ?? root },
        extensions: [...caExtensions(), named(`http://127.0.0.1:${port}/${i}.crl`)],
      }),
    )
  const http = createHttp()
  cleanups.push(http.close)
  const { unknown } = await lookUpRevocation(chain.map(({ pem }) => pem).join(''), {
    ...{ trustedRoots: root.pem, http: () => http },
    run: { clock: fakeClock(NOW), signal: quietSignal() },
  })
  expect([unknown.length, asked, most]).toEqual([6, 6, 2])
})

test('a list of some reasons revokes, and does not say that nothing is', async () => {
  const { ask, put, middle, leaf, clock } = await open()
  const some = { issuer: middle, extensions: [scopeOf(null, 3)] }
  put('/middle.crl', some)
  expect(await ask()).toEqual({
    revoked: [],
    unknown: [expect.stringContaining('a list of some reasons only')],
    good: 1,
  })
  put('/middle.crl', { ...some, revoked: [[serialOf(leaf), 1]] })
  clock.advance(3_700_000)
  expect((await ask()).revoked).toHaveLength(1)
})

test('a leaf that was revoked', async () => {
  const { ask, put, middle, leaf, lists } = await open()
  put('/middle.crl', {
    issuer: middle,
    revoked: [
      ['05', 4],
      [serialOf(leaf), 1],
    ],
  })
  const { revoked, good } = await ask()
  const at = new Date(NOW - DAY_MS).toISOString().replace('.000', '')
  expect(revoked).toEqual([
    `the certificate "CN=iot.example.com" (${serialOf(leaf)}) was revoked at ${at} (keyCompromise), says ${lists.url}/middle.crl`,
  ])
  expect(good).toBe(1)
})

test('an intermediate that was revoked', async () => {
  const { ask, put, root, middle } = await open()
  put('/root.crl', { issuer: root, revoked: [[serialOf(middle), 2]] })
  expect((await ask()).revoked).toEqual([
    expect.stringMatching(/^the intermediate "CN=Middle" .*cACompromise/),
  ])
})

describe('is not known, which is no objection, of a list', () => {
  type Case = readonly [
    what: string,
    options: (w: Awaited<ReturnType<typeof open>>) => Partial<ListOptions>,
    why: RegExp,
  ]
  const cases: readonly Case[] = [
    ['with a wrong signature', ({ root }) => ({ signer: root }), /its signature is wrong/],
    ['of another CA', ({ root }) => ({ issuer: root, signer: root }), /another CA signed it/],
    ['that has ended', () => ({ nextUpdate: NOW - 1_000 }), /was valid until 2026-06-15T11:59:59/],
    ['of the future', () => ({ thisUpdate: NOW + DAY_MS }), /is not valid before/],
    ['without an end', () => ({ nextUpdate: null }), /does not say until when/],
    [
      'with what nobody knows',
      () => ({ extensions: [criticalExtension('2a0304', Buffer.from([5, 0]))] }),
      /not known \(2a0304\)/,
    ],
    [
      'of another place',
      () => ({ extensions: [scopeOf('http://ca.test/other.crl')] }),
      /the list of http:\/\/ca\.test/,
    ],
    // deltaCRLIndicator, RFC 5280 section 5.2.4.
    [
      'of changes alone (delta)',
      () => ({ extensions: [criticalExtension('551d1b', Buffer.from([2, 1, 1]))] }),
      /not known \(551d1b\)/,
    ],
    ['for CAs alone', () => ({ extensions: [scopeOf(null, 2)] }), /not for certificates of this kind/],
    ['that is indirect', () => ({ extensions: [scopeOf(null, 4)] }), /indirect/],
  ]
  test.each(cases)('%s', async (_, options, why) => {
    const w = await open()
    // It would revoke the leaf, if it were believed.
    w.put('/middle.crl', { issuer: w.middle, revoked: [[serialOf(w.leaf), 1]], ...options(w) })
    const { revoked, unknown, good } = await w.ask()
    expect([revoked, good]).toEqual([[], 1])
    expect(unknown).toEqual([expect.stringMatching(why)])
  })

  test.each<readonly [string, (w: Awaited<ReturnType<typeof open>>) => void, RegExp]>([
    ['that is not there', w => w.lists.at.delete('/middle.crl'), /HTTP 404/],
    ['that is none', w => w.lists.at.set('/middle.crl', Buffer.from('-----BEGIN')), /no list|cannot be read/],
    [
      'that is too large',
      w => w.lists.at.set('/middle.crl', Buffer.alloc(10 * 1024 * 1024 + 1)),
      /larger than/,
    ],
    [
      'in gzip that nobody asked for',
      w =>
        w.lists.at.set('/middle.crl', (_, r) => {
          const list = revocationList({ issuer: w.middle, now: NOW, revoked: [[serialOf(w.leaf), 1]] })
          r.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(list))
        }),
      /./,
    ],
    [
      'as PEM',
      w => {
        const list = revocationList({ issuer: w.middle, now: NOW, revoked: [[serialOf(w.leaf), 1]] })
        const text = list.toString('base64')
        w.lists.at.set(
          '/middle.crl',
          Buffer.from(`-----BEGIN X509 CRL-----\n${text}\n-----END X509 CRL-----\n`),
        )
      },
      /no list|cannot be read/,
    ],
    [
      'behind a loop',
      w => w.lists.at.set('/middle.crl', (_, r) => void r.writeHead(302, { location: '/middle.crl' }).end()),
      /redirects/,
    ],
    [
      'that leads to the cloud’s own',
      w =>
        w.lists.at.set(
          '/middle.crl',
          (_, r) => void r.writeHead(302, { location: 'http://169.254.169.254/x' }).end(),
        ),
      /no list is fetched from 169\.254/,
    ],
    [
      'that leads to a file',
      w =>
        w.lists.at.set(
          '/middle.crl',
          (_, r) => void r.writeHead(302, { location: 'file:///etc/passwd' }).end(),
        ),
      /by http only/,
    ],
    [
      'on a server that hangs up',
      w => w.lists.at.set('/middle.crl', request => void request.socket.destroy()),
      /./,
    ],
  ])('%s', async (_, break_, why) => {
    const w = await open()
    break_(w)
    const { revoked, unknown } = await w.ask()
    expect(revoked).toEqual([])
    expect(unknown).toEqual([expect.stringMatching(why)])
  })

  test('where nobody listens', async () => {
    const { ask } = await open(() => 'http://127.0.0.1:9/x.crl')
    expect(await ask()).toMatchObject({ revoked: [], unknown: [expect.stringMatching(/ECONNREFUSED/)] })
  })
})

test('a list is fetched only for a chain that leads to a root', async () => {
  const { ask, lists } = await open()
  const other = await issue({ subject: 'CN=Other', extensions: caExtensions() })
  expect(await ask(other.pem)).toEqual({ revoked: [], unknown: [], good: 0 })
  expect(lists.asked).toEqual([])
})

test('LDAP and files are not asked', async () => {
  const { ask } = await open(() => 'ldap://ca.test/cn=x')
  expect(await ask()).toEqual({ revoked: [], unknown: [], good: 1 })
})

test.each([
  'http://127.0.0.1/x',
  'http://localhost/x',
  'http://10.1.2.3/x',
  'http://192.168.0.1/x',
  'http://[::1]/x',
  'http://[fd12::1]/x',
  'http://[::ffff:127.0.0.1]/x',
  'http://[fe80::1]/x',
  'http://169.254.169.254/x',
  'http://0x7f.1/x',
  'https://ca.test/x',
  'file:///etc/passwd',
])('for a public CA %s is never asked', async url => {
  const http = createHttp()
  cleanups.push(http.close)
  await expect(fetchList(url, { http, isPrivate: false, signal: quietSignal() })).rejects.toThrow(NotFetched)
})

test('a list of 30,000 entries is read, and one cut anywhere says nothing', async () => {
  const { middle, leaf } = await open()
  const many = Array.from({ length: 30_000 }, () => [`01${randomBytes(8).toString('hex')}`, 0] as const)
  const whole = revocationList({ issuer: middle, now: NOW, revoked: [...many, [serialOf(leaf), 5]] })
  const read = (bytes: Buffer) =>
    readRevocation(bytes, leaf.certificate, middle.certificate, { url: 'http://ca.test/x', now: NOW })
  expect(read(whole)).toMatchObject({ kind: 'revoked', reason: 'cessationOfOperation' })
  const small = revocationList({ issuer: middle, now: NOW, revoked: [[serialOf(leaf), 5]] })
  for (let length = 0; length < small.length; length += 1)
    expect(read(small.subarray(0, length)).kind).toBe('unusable')
})
