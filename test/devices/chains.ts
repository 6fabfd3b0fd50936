/** Chains, good and bad, each with what must be said of it. */
import { webcrypto } from 'node:crypto'
import { AuthorityKeyIdentifierExtension, BasicConstraintsExtension } from '@peculiar/x509'
import { toProfile } from '../../lib/config/profiles.ts'
import type { DeviceProfile } from '../../lib/model/device-profile.ts'
import { build, ca, LIFE, type Parts } from '../support/chain.ts'
import {
  basic,
  CLIENT_AUTH,
  caExtensions,
  constraints,
  DAY_MS,
  der,
  digitalSignature,
  dnsName,
  extended,
  extension,
  type Issued,
  issue,
  keyCertSign,
  leafExtensions,
  NOW,
  names,
  newKeys,
  newRsaKeys,
  SERVER_AUTH,
  usage,
} from '../support/issue.ts'
import { profile } from './profile.ts'

export const DOMAIN = 'iot.example.com'

export interface Sent {
  readonly pem: string
  readonly roots: readonly Issued[]
  readonly profile?: DeviceProfile
  readonly servedPem?: string
  readonly domain?: string
}

export interface Case {
  readonly name: string
  readonly make: () => Promise<Sent>
  readonly verdict: 'ok' | 'warn' | 'refuse'
  /** The check that says so, and what it says; null when all is well. */
  readonly because: readonly [check: string, reason: RegExp] | null
  /** A stated difference: openssl takes what is refused here, and why it is refused all the same. */
  readonly lenient?: string
  /** A stated difference: openssl refuses what is taken here, and why it is taken all the same. */
  readonly strict?: string
}

type Row = readonly [make: Case['make'], reason: RegExp, more?: Pick<Case, 'lenient' | 'strict'>]
const rows =
  (verdict: Case['verdict']) =>
  (check: string, all: Readonly<Record<string, Row>>): readonly Case[] =>
    Object.entries(all).map(([name, [make, reason, more]]) => {
      return { name, make, verdict, because: [check, reason], ...more }
    })
/** By their names: what one check warns of, or refuses. */
const warned = rows('warn')
const refused = rows('refuse')
const fine = (all: Readonly<Record<string, Case['make']>>): readonly Case[] =>
  Object.entries(all).map(([name, make]) => ({ name, make, verdict: 'ok', because: null }))

const pems = (...sent: readonly Issued[]): string => sent.map(({ pem }) => pem).join('')

/** Leaf and intermediate, of parts with something special. */
const from =
  (parts: Parts, more: Partial<Sent> = {}) =>
  async (): Promise<Sent> => {
    const { root, middle, leaf } = await build(parts)
    return { pem: pems(leaf, middle), roots: [root], ...more }
  }
type Built = Awaited<ReturnType<typeof build>>
const of =
  (arrange: (built: Built) => Sent | Promise<Sent>, parts: Parts = {}) =>
  async (): Promise<Sent> =>
    arrange(await build(parts))

/** These certificates, to devices that hold the root. */
const sends = (sent: (built: Built) => readonly Issued[]): Case['make'] =>
  of(built => ({ pem: pems(...sent(built)), roots: [built.root] }))
const sendsText = (text: (built: Built) => string): Case['make'] =>
  of(built => ({ pem: text(built), roots: [built.root] }))
/** The usual chain, while devices are served another one. */
const whileServed = (served: () => Promise<Built>, parts: Parts = {}): Case['make'] =>
  of(async ({ root, middle, leaf }) => {
    return { pem: pems(leaf, middle), roots: [root], servedPem: (await served()).leaf.pem }
  }, parts)
/** With an RSA key in the leaf. */
const fromRsa =
  (more: Partial<Sent> = {}, extensions = leafExtensions(DOMAIN)): Case['make'] =>
  async () =>
    from({ leaf: { keys: await newRsaKeys(), extensions } }, more)()

const keyEncipherment = 4
const leaf = (...extensions: NonNullable<NonNullable<Parts['leaf']>['extensions']>): Parts => ({
  leaf: { extensions },
})
const withNames = (...dns: string[]): Parts => leaf(...leafExtensions(...dns))

/** A new root, cross-signed by the old one until some day; the old one is sent on the way. */
async function crossSigned(until: number): Promise<{ built: Built; old: Issued; cross: Issued }> {
  const old = await ca('Old Root')
  const built = await build()
  const cross = await issue({
    subject: 'CN=Root',
    keys: built.root.keys,
    issuer: old,
    notBefore: LIFE.notBefore,
    notAfter: until,
    extensions: caExtensions(),
  })
  return { built, old, cross }
}

/** A chain by way of the cross-sign, to devices that hold one of the two roots. */
const viaCross =
  (until: number, held: 'old' | 'new', own?: DeviceProfile): Case['make'] =>
  async () => {
    const { built, old, cross } = await crossSigned(until)
    const roots = [held === 'old' ? old : built.root]
    return { pem: pems(built.leaf, built.middle, cross), roots, ...(own && { profile: own }) }
  }

const deep = async (): Promise<{ sent: readonly Issued[]; root: Issued }> => {
  const root = await ca('Root')
  const sent: Issued[] = []
  let issuer = root
  for (const subject of ['CN=A', 'CN=B', 'CN=C']) {
    issuer = await issue({ subject, issuer, ...LIFE, extensions: caExtensions() })
    sent.unshift(issuer)
  }
  return {
    root,
    sent: [await issue({ subject: 'CN=Leaf', issuer, extensions: leafExtensions(DOMAIN) }), ...sent],
  }
}

/** RFC 5280 section 4.2.1.6: critical where there is no subject. */
const nameless = {
  subject: '',
  extensions: [
    basic(false),
    usage(digitalSignature),
    extended(SERVER_AUTH),
    extension('2.5.29.17', der(0x30, dnsName(DOMAIN)), true),
  ],
}

const authority = ({ keys }: Issued) =>
  AuthorityKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as never)

const P256 = { name: 'ECDSA', namedCurve: 'P-256' }
const P384 = { name: 'ECDSA', namedCurve: 'P-384' }
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
}
const leafWith = async (algorithm: object, issuer: Issued): Promise<Issued> =>
  issue({
    subject: 'CN=Leaf',
    issuer,
    keys: await newKeys(algorithm as never),
    extensions: leafExtensions(DOMAIN),
  })
const withIssuerKeys =
  (algorithm: object, own: DeviceProfile): Case['make'] =>
  async () =>
    from({ middle: { keys: await newKeys(algorithm as never) } }, { profile: own })()

const POLICIES: Readonly<Record<string, readonly [oid: string, value: Uint8Array]>> = {
  // requireExplicitPolicy: 0.
  policyConstraints: ['2.5.29.36', der(0x30, der(0x80, Buffer.from([0])))],
  inhibitAnyPolicy: ['2.5.29.54', der(0x02, Buffer.from([0]))],
  policyMappings: [
    '2.5.29.33',
    der(0x30, der(0x30, der(0x06, Buffer.from([0x2a, 3])), der(0x06, Buffer.from([0x2a, 4])))),
  ],
}
const policies = (name: string) => {
  const [oid = '', value = Buffer.alloc(0)] = POLICIES[name] ?? []
  return extension(oid, value, true)
}

const ANY_USE = '2.5.29.37.0'

const wolfssl = toProfile({ name: 'meter-v1', preset: 'wolfssl', canary: null })

const ipOnly = extension('2.5.29.17', der(0x30, der(0x87, Buffer.from([192, 0, 2, 1]))))
const pinOfNothing = Buffer.alloc(32, 1).toString('base64')

const GOOD: readonly Case[] = [
  ...fine({
    right: from({}),
    'right, RSA': fromRsa(),
    'a wildcard': from(withNames('*.example.com')),
    CRLF: sendsText(({ leaf, middle }) => pems(leaf, middle).replaceAll('\n', '\r\n')),
    'text around the blocks': sendsText(
      ({ leaf, middle }) => `subject=leaf\n${leaf.pem}\nissuer=Middle\n${middle.pem}the end\n`,
    ),
    'a cross-sign that outlives the certificate, for devices with the old root': viaCross(
      NOW + 900 * DAY_MS,
      'old',
    ),
    'two roots of one key, one of which ends first': of(async ({ root, middle, leaf }) => ({
      pem: pems(leaf, middle),
      roots: [
        await issue({
          subject: 'CN=Root',
          keys: root.keys,
          notAfter: NOW + DAY_MS,
          extensions: caExtensions(),
        }),
        root,
      ],
    })),
  }),
  ...warned('bytes', {
    'an extra root': [
      sends(({ leaf, middle, root }) => [leaf, middle, root]),
      /the root "CN=Root" is sent, too/,
    ],
  }),
  ...warned('trusted-until', {
    'a cross-sign that ends first': [
      viaCross(NOW + 10 * DAY_MS, 'old'),
      /"CN=Root" ends at 2026-06-25T12:00:00Z, before the certificate does/,
    ],
    'a root that ends first': [
      from({ root: { notAfter: NOW + 30 * DAY_MS } }),
      /"CN=Root" ends at 2026-07-15T12:00:00Z/,
    ],
  }),
  ...warned('common-name', {
    'no common name where there was one': [
      whileServed(() => build({ leaf: { subject: `CN=${DOMAIN}` } }), { leaf: nameless }),
      /clients that match on it are served iot.example.com today/,
    ],
  }),
]

/** Right for most clients, refused by strict ones. */
const LAX: readonly Case[] = [
  ...warned('key-usage', {
    'no extended key usage': [
      from(leaf(basic(false), usage(digitalSignature), names(DOMAIN))),
      /no extended key usage: good for any use, but some clients .* serverAuth/,
    ],
    'a CA as a server': [
      from(leaf(basic(true), usage(digitalSignature | keyCertSign), extended(SERVER_AUTH), names(DOMAIN))),
      /it is a CA \(basic constraints\), which some clients \(rustls\) refuse/,
    ],
    'signed by itself, a CA, and trusted by itself': [
      async () => {
        const extensions = [basic(true), usage(digitalSignature | keyCertSign), names(DOMAIN)]
        const self = await issue({ subject: `CN=${DOMAIN}`, extensions })
        return { pem: self.pem, roots: [self] }
      },
      /it is a CA/,
    ],
  }),
  ...warned('path', {
    'name constraints that are kept': [
      from({ middle: { extensions: [...caExtensions(), constraints([dnsName('example.com')])] } }),
      /"CN=Middle" has a critical extension nameConstraints, which small stacks/,
    ],
    'an intermediate that is trusted by itself': [
      of(({ middle, leaf }) => ({ pem: pems(leaf, middle), roots: [middle] })),
      /trusted by "CN=Middle", which is no root: devices with OpenSSL refuse that/,
      {
        strict:
          'openssl wants -partial_chain for it, while Mbed TLS, wolfSSL and GnuTLS take any CA that they are given: whoever writes it into trustedRoots says what is burnt in',
      },
    ],
  }),
  ...warned('form', {
    'no authority key identifier': [
      from({ leaf: { identifiers: false } }),
      /"CN=Leaf" has no authority key identifier: strict clients refuse it/,
    ],
    'no subject key identifier': [
      async () => {
        const { root } = await build()
        const own = { subject: 'CN=Middle', issuer: root, ...LIFE, identifiers: false }
        const middle = await issue({ ...own, extensions: [...caExtensions(0), await authority(root)] })
        const extensions = [...leafExtensions(DOMAIN), await authority(middle)]
        const leaf = await issue({ subject: 'CN=Leaf', issuer: middle, identifiers: false, extensions })
        return { pem: pems(leaf, middle), roots: [root] }
      },
      /"CN=Middle" has no subject key identifier/,
    ],
    'basic constraints that are not critical': [
      from({
        middle: { extensions: [new BasicConstraintsExtension(true, 0, false), usage(keyCertSign)] },
      }),
      /"CN=Middle" has basic constraints that are not critical/,
    ],
    'a CA without key usage': [
      from({ root: { extensions: [basic(true)] } }),
      /"CN=Root" is a CA without a key usage/,
    ],
    'no subject, and names that are not critical': [
      from({ leaf: { subject: '', extensions: leafExtensions(DOMAIN) } }),
      /"iot.example.com" has no subject, and alternative names that are not critical/,
    ],
  }),
  ...['policyConstraints', 'inhibitAnyPolicy', 'policyMappings'].map(
    (name): Case => ({
      name: `an intermediate with critical ${name}`,
      make: from({ middle: { extensions: [...caExtensions(), policies(name)] } }),
      verdict: 'warn',
      because: ['path', new RegExp(`"CN=Middle" has a critical extension ${name}, which small stacks`)],
    }),
  ),
]

const BAD_PATHS: readonly Case[] = [
  ...refused('path', {
    reordered: [
      sends(({ leaf, middle, root }) => [leaf, root, middle]),
      /"CN=Leaf" is not issued by "CN=Root", which follows it/,
      { lenient: 'openssl looks for issuers in any order, which TLS 1.2 does not allow to rely on' },
    ],
    'the intermediate first': [
      sends(({ leaf, middle }) => [middle, leaf]),
      /"CN=Middle" comes first and is a CA/,
    ],
    'missing intermediate': [sends(({ leaf }) => [leaf]), /no root issues "CN=Leaf".*checked against/],
    'another root': [
      of(async ({ middle, leaf }) => ({
        pem: pems(leaf, middle),
        roots: [await ca('Other Root')],
      })),
      /no root issues "CN=Middle".*its trustedRoots: "CN=Other Root"/,
    ],
    'an expired cross-sign, for devices with the old root': [
      viaCross(NOW - DAY_MS, 'old'),
      /"CN=Root" has expired at 2026-06-14T12:00:00Z/,
    ],
    'an expired cross-sign, for devices with the new root': [
      viaCross(NOW - DAY_MS, 'new'),
      /"CN=Root" has expired/,
      {
        lenient: 'openssl 1.1.0 and later look among the roots first; older ones, still in the field, do not',
      },
    ],
    'an expired root': [from({ root: { notAfter: NOW - DAY_MS } }), /"CN=Root" has expired/],
    expired: [from({ leaf: { notAfter: NOW - DAY_MS } }), /"CN=Leaf" has expired/],
    'wrong extended key usage': [
      from(leaf(basic(false), usage(digitalSignature), extended(CLIENT_AUTH), names(DOMAIN))),
      /lacks the extended key usage serverAuth/,
    ],
    'any extended key usage, but not serverAuth': [
      from(leaf(basic(false), usage(digitalSignature), extended(ANY_USE), names(DOMAIN))),
      /lacks the extended key usage serverAuth/,
    ],
    'a key that may only sign certificates': [
      from(leaf(basic(false), usage(keyCertSign), extended(SERVER_AUTH), names(DOMAIN))),
      /not for a TLS server/,
    ],
    'an intermediate for clients only': [
      from({ middle: { extensions: [...caExtensions(), extended(CLIENT_AUTH)] } }),
      /may not issue for TLS servers/,
    ],
    'an intermediate that is no CA': [from({ middle: { extensions: [basic(false)] } }), /is no CA/],
    'SHA-1 in the path': [
      from({ middle: { signing: { name: 'ECDSA', hash: 'SHA-1' } } }),
      /"CN=Middle" is signed with an algorithm that clients refuse/,
    ],
    'an impostor of an intermediate': [
      of(async ({ root, leaf }) => ({
        pem: pems(leaf, await ca('Middle', { issuer: root })),
        roots: [root],
      })),
      /is not issued by/,
    ],
    'duplicate certificates': [
      sends(({ leaf, middle }) => [leaf, middle, middle]),
      /"CN=Middle" comes twice/,
      { lenient: 'openssl keeps one of the two; stacks that follow the list do not' },
    ],
    'path length': [from({ root: { extensions: caExtensions(0) } }), /allows fewer intermediates/],
    'name constraints: not within what is permitted': [
      from({ middle: { extensions: [...caExtensions(), constraints([dnsName('example.org')])] } }),
      /does not allow the name iot.example.com/,
    ],
    'name constraints: within what is excluded': [
      from({ middle: { extensions: [...caExtensions(), constraints([], [dnsName('example.com')])] } }),
      /does not allow the name iot.example.com/,
    ],
    'an unknown critical extension': [
      from(leaf(...leafExtensions(DOMAIN), extension('1.2.3.4', der(0x05), true))),
      /critical extension/,
    ],
  }),
  ...refused('clock', {
    'not yet valid': [from({ leaf: { notBefore: NOW + DAY_MS } }), /not valid before 2026-06-16T12:00:00Z/],
  }),
  ...refused('names', {
    'name mismatch': [from(withNames('www.example.com')), /www.example.com\) do not cover iot.example.com/],
    'a wildcard against a deeper name': [
      from(withNames('*.example.com'), { domain: 'a.iot.example.com' }),
      /\*.example.com\) do not cover a.iot.example.com/,
    ],
    'a wildcard right below the top': [
      from(withNames('*.com'), { domain: 'x.com' }),
      /\*.com\) do not cover x.com/,
    ],
    'the name only as the common name': [
      from({
        leaf: {
          subject: `CN=${DOMAIN}`,
          extensions: [basic(false), usage(digitalSignature), extended(SERVER_AUTH)],
        },
      }),
      /its names \(none\) do not cover iot.example.com/,
      { lenient: 'openssl falls back on the common name, which RFC 9525 section 2 has taken out of use' },
    ],
    'IP only': [
      from(leaf(basic(false), usage(digitalSignature), extended(SERVER_AUTH), ipOnly)),
      /its names \(none\)/,
    ],
  }),
]

const BAD_TEXTS: readonly Case[] = [
  ...refused('pem', {
    'trailing garbage': [
      sendsText(({ leaf, middle }) => {
        const raw = Buffer.concat([leaf.certificate.raw, Buffer.from([5, 0])]).toString('base64')
        return `-----BEGIN CERTIFICATE-----\n${raw}\n-----END CERTIFICATE-----\n${middle.pem}`
      }),
      /block 1 .*bytes after the certificate/,
      { lenient: 'openssl reads the certificate and drops what follows' },
    ],
    'a block that is cut off': [
      sendsText(({ leaf, middle }) => leaf.pem + middle.pem.slice(0, 200)),
      /block 2 .*no end/,
    ],
    'a private key pasted into the chain': [
      sendsText(
        ({ leaf, middle }) =>
          `${leaf.pem}-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n${middle.pem}`,
      ),
      /a private key stands among the certificates/,
      { lenient: 'openssl passes over the key, which devices would be sent' },
    ],
  }),
]

const BAD_FOR_A_PROFILE: readonly Case[] = [
  ...refused('key', {
    'EC for an RSA-only profile': [
      from({}, { profile: profile({ keyTypes: ['rsa-2048', 'rsa-3072'] }) }),
      /ec-256 key, which is none of rsa-2048, rsa-3072/,
    ],
    'another family than today': [
      whileServed(async () => build({ leaf: { keys: await newRsaKeys() } })),
      /ec-256 key, devices are served rsa-2048 today/,
    ],
  }),
  ...refused('ciphers', {
    'EC for RSA cipher suites': [
      from({}, { profile: profile({ ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA' }) }),
      /none of its cipher suites can be used with an ec-256 key/,
    ],
  }),
  ...refused('key-usage', {
    'no key encipherment for a static RSA cipher suite': [
      fromRsa({ profile: profile({ ciphers: 'AES128-SHA256' }) }),
      /lacks keyEncipherment/,
    ],
    'no key encipherment': [
      from({}, { profile: profile({ needsKeyEncipherment: true }) }),
      /lacks keyEncipherment/,
    ],
  }),
  ...warned('key-usage', {
    'key encipherment alone, RSA': [
      fromRsa({}, [basic(false), usage(keyEncipherment), extended(SERVER_AUTH), names(DOMAIN)]),
      /lacks digitalSignature/,
    ],
  }),
  ...refused('depth', {
    'too deep': [
      async () => {
        const { sent, root } = await deep()
        return { pem: pems(...sent), roots: [root], profile: profile({ maxChainDepth: 3 }) }
      },
      /4 certificates are sent, more than 3/,
    ],
  }),
  ...refused('bytes', {
    'too long': [from({}, { profile: profile({ maxChainBytes: 600 }) }), /bytes are sent, more than 600/],
  }),
  ...refused('common-name', {
    'no common name': [
      from({ leaf: nameless }, { profile: profile({ needsCommonName: true }) }),
      /it has no common name/,
    ],
    'another common name': [
      from({}, { profile: profile({ needsCommonName: true }) }),
      /the common name Leaf, not iot.example.com/,
    ],
  }),
  ...refused('pins', {
    'pins missing': [
      from({}, { profile: profile({ pins: [pinOfNothing] }) }),
      /none of the pinned keys is on the path/,
    ],
  }),
  ...refused('signatures', {
    'a signature algorithm that is not known': [
      from({}, { profile: profile({ signatureAlgorithms: ['sha256WithRSAEncryption'] }) }),
      /"CN=Leaf" is signed with ecdsa-with-SHA256/,
    ],
  }),
  ...warned('signatures', {
    'signed by the other family': [
      fromRsa({ profile: profile({ keyTypes: ['rsa-2048'] }) }),
      /the path is signed with ecdsa-with-SHA256/,
    ],
  }),
  ...refused('whole-chain', {
    'a cross-sign beyond the root, with a preset that wants all of the chain': [
      viaCross(NOW + 900 * DAY_MS, 'new', wolfssl),
      /"CN=Root" is sent and leads to none of its trustedRoots: "CN=Root"/,
    ],
  }),
  ...warned('whole-chain', {
    'a cross-sign beyond the root, which they live with today': [
      async () => {
        const { built, cross } = await crossSigned(NOW + 900 * DAY_MS)
        const pem = pems(built.leaf, built.middle, cross)
        return { pem, roots: [built.root], profile: wolfssl, servedPem: pem }
      },
      /"CN=Root" is sent and leads to none/,
    ],
  }),
  ...fine({
    'the short chain, with a preset that wants all of the chain': async () =>
      from({}, { profile: wolfssl })(),
    'a longer RSA key further up': withIssuerKeys(
      { ...RSA, modulusLength: 3072 },
      profile({ issuerKeyTypes: ['rsa-2048', 'ec-256'] }),
    ),
  }),
  ...refused('issuer-keys', {
    'a short RSA key further up, with a preset that knows none': [
      withIssuerKeys(
        { ...RSA, modulusLength: 1024 },
        toProfile({ name: 'meter-v1', preset: 'mbedtls-3', canary: null }),
      ),
      /"CN=Middle" has an rsa-1024 key, which is none of rsa-2048, ec-256, ec-384/,
    ],
    'a curve further up that is not known': [
      withIssuerKeys(P384, profile({ issuerKeyTypes: ['rsa-2048', 'ec-256'] })),
      /"CN=Middle" has an ec-384 key, which is none of rsa-2048, ec-256/,
    ],
    'a curve of the root that is not known': [
      async () => {
        const keys = await newKeys(P384)
        return from({ root: { keys } }, { profile: profile({ issuerKeyTypes: ['ec-256'] }) })()
      },
      /"CN=Root" has an ec-384 key/,
    ],
  }),
  ...warned('issuer-keys', {
    'another curve further up than the key types name': [
      withIssuerKeys(P384, profile({ keyTypes: ['ec-256'] })),
      /"CN=Middle" has an ec-384 key, and these devices' key types are ec-256/,
    ],
  }),
  ...refused('clock', {
    'not yet valid for a clock that lags': [
      from({ leaf: { notBefore: NOW - 3_600_000 } }, { profile: profile({ clockLagMs: 6 * 3_600_000 }) }),
      /whose clock lags 6h, before 2026-06-15T17:00:00Z/,
    ],
  }),
  ...refused('must-staple', {
    'must-staple without stapling': [
      from(
        leaf(
          ...leafExtensions(DOMAIN),
          extension('1.3.6.1.5.5.7.1.24', der(0x30, der(0x02, Buffer.from([5])))),
        ),
      ),
      /OCSP stapling is off/,
    ],
  }),
  ...(
    [
      ['a longer RSA key than today', { ...RSA, modulusLength: 3072 }, { ...RSA, modulusLength: 2048 }],
      ['another curve than today', P384, P256],
    ] as const
  ).map(
    ([name, now, before]): Case => ({
      name,
      make: of(async ({ root, middle }) => ({
        pem: pems(await leafWith(now, middle), middle),
        roots: [root],
        servedPem: pems(await leafWith(before, middle), middle),
      })),
      verdict: 'warn',
      because: [
        'key',
        /it has an (rsa-3072|ec-384) key, devices are served (rsa-2048|ec-256) today: one built/,
      ],
    }),
  ),
]

export const CASES: readonly Case[] = [...GOOD, ...LAX, ...BAD_PATHS, ...BAD_TEXTS, ...BAD_FOR_A_PROFILE]
