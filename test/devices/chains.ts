/** Chains, good and bad, each with what must be said of it. */
import { webcrypto } from 'node:crypto'
import { AuthorityKeyIdentifierExtension, BasicConstraintsExtension } from '@peculiar/x509'
import { toProfile } from '../../lib/config/profiles.ts'
import type { DeviceProfile } from '../../lib/model/device-profile.ts'
import { build, LIFE, type Parts } from '../support/chain.ts'
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

const keyEncipherment = 4
const leaf = (...extensions: NonNullable<NonNullable<Parts['leaf']>['extensions']>): Parts => ({
  leaf: { extensions },
})
const withNames = (...dns: string[]): Parts => leaf(...leafExtensions(...dns))

/** A new root, cross-signed by the old one until some day; the old one is sent on the way. */
async function crossSigned(until: number): Promise<{ built: Built; old: Issued; cross: Issued }> {
  const old = await issue({ subject: 'CN=Old Root', ...LIFE, extensions: caExtensions() })
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

const deep = async (): Promise<{ sent: readonly Issued[]; root: Issued }> => {
  const root = await issue({ subject: 'CN=Root', ...LIFE, extensions: caExtensions() })
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
  { name: 'right', make: from({}), verdict: 'ok', because: null },
  {
    name: 'right, RSA',
    make: async () => from({ leaf: { keys: await newRsaKeys() } })(),
    verdict: 'ok',
    because: null,
  },
  { name: 'a wildcard', make: from(withNames('*.example.com')), verdict: 'ok', because: null },
  {
    name: 'CRLF',
    make: of(({ root, middle, leaf }) => ({
      pem: pems(leaf, middle).replaceAll('\n', '\r\n'),
      roots: [root],
    })),
    verdict: 'ok',
    because: null,
  },
  {
    name: 'text around the blocks',
    make: of(({ root, middle, leaf }) => ({
      pem: `subject=leaf\n${leaf.pem}\nissuer=Middle\n${middle.pem}the end\n`,
      roots: [root],
    })),
    verdict: 'ok',
    because: null,
  },
  {
    name: 'an extra root',
    make: of(({ root, middle, leaf }) => ({ pem: pems(leaf, middle, root), roots: [root] })),
    verdict: 'warn',
    because: ['bytes', /the root "CN=Root" is sent, too/],
  },
  {
    name: 'a cross-sign that outlives the certificate, for devices with the old root',
    make: async () => {
      const { built, old, cross } = await crossSigned(NOW + 900 * DAY_MS)
      return { pem: pems(built.leaf, built.middle, cross), roots: [old] }
    },
    verdict: 'ok',
    because: null,
  },
  {
    name: 'a cross-sign that ends first',
    make: async () => {
      const { built, old, cross } = await crossSigned(NOW + 10 * DAY_MS)
      return { pem: pems(built.leaf, built.middle, cross), roots: [old] }
    },
    verdict: 'warn',
    because: ['trusted-until', /"CN=Root" ends at 2026-06-25T12:00:00Z, before the certificate does/],
  },
  {
    name: 'a root that ends first',
    make: from({ root: { notAfter: NOW + 30 * DAY_MS } }),
    verdict: 'warn',
    because: ['trusted-until', /"CN=Root" ends at 2026-07-15T12:00:00Z/],
  },
  {
    name: 'two roots of one key, one of which ends first',
    make: of(async ({ root, middle, leaf }) => ({
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
    verdict: 'ok',
    because: null,
  },
  {
    name: 'no common name where there was one',
    make: of(
      async ({ root, middle, leaf }) => ({
        pem: pems(leaf, middle),
        roots: [root],
        servedPem: (await build({ leaf: { subject: `CN=${DOMAIN}` } })).leaf.pem,
      }),
      { leaf: nameless },
    ),
    verdict: 'warn',
    because: ['common-name', /clients that match on it are served iot.example.com today/],
  },
]

/** Right for most clients, refused by strict ones. */
const LAX: readonly Case[] = [
  {
    name: 'no extended key usage',
    make: from(leaf(basic(false), usage(digitalSignature), names(DOMAIN))),
    verdict: 'warn',
    because: ['key-usage', /no extended key usage: good for any use, but some clients .* serverAuth/],
  },
  {
    name: 'a CA as a server',
    make: from(
      leaf(basic(true), usage(digitalSignature | keyCertSign), extended(SERVER_AUTH), names(DOMAIN)),
    ),
    verdict: 'warn',
    because: ['key-usage', /it is a CA \(basic constraints\), which some clients \(rustls\) refuse/],
  },
  {
    name: 'signed by itself, a CA, and trusted by itself',
    make: async () => {
      const extensions = [basic(true), usage(digitalSignature | keyCertSign), names(DOMAIN)]
      const self = await issue({ subject: `CN=${DOMAIN}`, extensions })
      return { pem: self.pem, roots: [self] }
    },
    verdict: 'warn',
    because: ['key-usage', /it is a CA/],
  },
  ...['policyConstraints', 'inhibitAnyPolicy', 'policyMappings'].map(
    (name): Case => ({
      name: `an intermediate with critical ${name}`,
      make: from({ middle: { extensions: [...caExtensions(), policies(name)] } }),
      verdict: 'warn',
      because: ['path', new RegExp(`"CN=Middle" has a critical extension ${name}, which small stacks`)],
    }),
  ),
  {
    name: 'name constraints that are kept',
    make: from({ middle: { extensions: [...caExtensions(), constraints([dnsName('example.com')])] } }),
    verdict: 'warn',
    because: ['path', /"CN=Middle" has a critical extension nameConstraints, which small stacks/],
  },
  {
    name: 'an intermediate that is trusted by itself',
    make: of(({ middle, leaf }) => ({ pem: pems(leaf, middle), roots: [middle] })),
    verdict: 'warn',
    because: ['path', /trusted by "CN=Middle", which is no root: devices with OpenSSL refuse that/],
    strict:
      'openssl wants -partial_chain for it, while Mbed TLS, wolfSSL and GnuTLS take any CA that they are given: whoever writes it into trustedRoots says what is burnt in',
  },
  {
    name: 'no authority key identifier',
    make: from({ leaf: { identifiers: false } }),
    verdict: 'warn',
    because: ['form', /"CN=Leaf" has no authority key identifier: strict clients refuse it/],
  },
  {
    name: 'no subject key identifier',
    make: async () => {
      const { root } = await build()
      const own = { subject: 'CN=Middle', issuer: root, ...LIFE, identifiers: false }
      const middle = await issue({ ...own, extensions: [...caExtensions(0), await authority(root)] })
      const extensions = [...leafExtensions(DOMAIN), await authority(middle)]
      const leaf = await issue({ subject: 'CN=Leaf', issuer: middle, identifiers: false, extensions })
      return { pem: pems(leaf, middle), roots: [root] }
    },
    verdict: 'warn',
    because: ['form', /"CN=Middle" has no subject key identifier/],
  },
  {
    name: 'basic constraints that are not critical',
    make: from({
      middle: { extensions: [new BasicConstraintsExtension(true, 0, false), usage(keyCertSign)] },
    }),
    verdict: 'warn',
    because: ['form', /"CN=Middle" has basic constraints that are not critical/],
  },
  {
    name: 'a CA without key usage',
    make: from({ root: { extensions: [basic(true)] } }),
    verdict: 'warn',
    because: ['form', /"CN=Root" is a CA without a key usage/],
  },
  {
    name: 'no subject, and names that are not critical',
    make: from({ leaf: { subject: '', extensions: leafExtensions(DOMAIN) } }),
    verdict: 'warn',
    because: ['form', /"iot.example.com" has no subject, and alternative names that are not critical/],
  },
]

const BAD_PATHS: readonly Case[] = [
  {
    name: 'reordered',
    make: of(({ root, middle, leaf }) => ({ pem: pems(leaf, root, middle), roots: [root] })),
    verdict: 'refuse',
    because: ['path', /"CN=Leaf" is not issued by "CN=Root", which follows it/],
    lenient: 'openssl looks for issuers in any order, which TLS 1.2 does not allow to rely on',
  },
  {
    name: 'the intermediate first',
    make: of(({ root, middle, leaf }) => ({ pem: pems(middle, leaf), roots: [root] })),
    verdict: 'refuse',
    because: ['path', /"CN=Middle" comes first and is a CA/],
  },
  {
    name: 'missing intermediate',
    make: of(({ root, leaf }) => ({ pem: leaf.pem, roots: [root] })),
    verdict: 'refuse',
    because: ['path', /no root issues "CN=Leaf".*checked against/],
  },
  {
    name: 'another root',
    make: of(async ({ middle, leaf }) => ({
      pem: pems(leaf, middle),
      roots: [await issue({ subject: 'CN=Other Root', ...LIFE, extensions: caExtensions() })],
    })),
    verdict: 'refuse',
    because: ['path', /no root issues "CN=Middle".*its trustedRoots: "CN=Other Root"/],
  },
  {
    name: 'an expired cross-sign, for devices with the old root',
    make: async () => {
      const { built, old, cross } = await crossSigned(NOW - DAY_MS)
      return { pem: pems(built.leaf, built.middle, cross), roots: [old] }
    },
    verdict: 'refuse',
    because: ['path', /"CN=Root" has expired at 2026-06-14T12:00:00Z/],
  },
  {
    name: 'an expired cross-sign, for devices with the new root',
    make: async () => {
      const { built, cross } = await crossSigned(NOW - DAY_MS)
      return { pem: pems(built.leaf, built.middle, cross), roots: [built.root] }
    },
    verdict: 'refuse',
    because: ['path', /"CN=Root" has expired/],
    lenient: 'openssl 1.1.0 and later look among the roots first; older ones, still in the field, do not',
  },
  {
    name: 'an expired root',
    make: from({ root: { notAfter: NOW - DAY_MS } }),
    verdict: 'refuse',
    because: ['path', /"CN=Root" has expired/],
  },
  {
    name: 'expired',
    make: from({ leaf: { notAfter: NOW - DAY_MS } }),
    verdict: 'refuse',
    because: ['path', /"CN=Leaf" has expired/],
  },
  {
    name: 'not yet valid',
    make: from({ leaf: { notBefore: NOW + DAY_MS } }),
    verdict: 'refuse',
    because: ['clock', /not valid before 2026-06-16T12:00:00Z/],
  },
  {
    name: 'wrong extended key usage',
    make: from(leaf(basic(false), usage(digitalSignature), extended(CLIENT_AUTH), names(DOMAIN))),
    verdict: 'refuse',
    because: ['path', /lacks the extended key usage serverAuth/],
  },
  {
    name: 'any extended key usage, but not serverAuth',
    make: from(leaf(basic(false), usage(digitalSignature), extended(ANY_USE), names(DOMAIN))),
    verdict: 'refuse',
    because: ['path', /lacks the extended key usage serverAuth/],
  },
  {
    name: 'a key that may only sign certificates',
    make: from(leaf(basic(false), usage(keyCertSign), extended(SERVER_AUTH), names(DOMAIN))),
    verdict: 'refuse',
    because: ['path', /not for a TLS server/],
  },
  {
    name: 'an intermediate for clients only',
    make: from({ middle: { extensions: [...caExtensions(), extended(CLIENT_AUTH)] } }),
    verdict: 'refuse',
    because: ['path', /may not issue for TLS servers/],
  },
  {
    name: 'an intermediate that is no CA',
    make: from({ middle: { extensions: [basic(false)] } }),
    verdict: 'refuse',
    because: ['path', /is no CA/],
  },
  {
    name: 'SHA-1 in the path',
    make: from({ middle: { signing: { name: 'ECDSA', hash: 'SHA-1' } } }),
    verdict: 'refuse',
    because: ['path', /"CN=Middle" is signed with an algorithm that clients refuse/],
  },
  {
    name: 'an impostor of an intermediate',
    make: of(async ({ root, leaf }) => ({
      pem: pems(
        leaf,
        await issue({ subject: 'CN=Middle', issuer: root, ...LIFE, extensions: caExtensions() }),
      ),
      roots: [root],
    })),
    verdict: 'refuse',
    because: ['path', /is not issued by/],
  },
  {
    name: 'duplicate certificates',
    make: of(({ root, middle, leaf }) => ({ pem: pems(leaf, middle, middle), roots: [root] })),
    verdict: 'refuse',
    because: ['path', /"CN=Middle" comes twice/],
    lenient: 'openssl keeps one of the two; stacks that follow the list do not',
  },
  {
    name: 'path length',
    make: from({ root: { extensions: caExtensions(0) } }),
    verdict: 'refuse',
    because: ['path', /allows fewer intermediates/],
  },
  {
    name: 'name constraints: not within what is permitted',
    make: from({ middle: { extensions: [...caExtensions(), constraints([dnsName('example.org')])] } }),
    verdict: 'refuse',
    because: ['path', /does not allow the name iot.example.com/],
  },
  {
    name: 'name constraints: within what is excluded',
    make: from({ middle: { extensions: [...caExtensions(), constraints([], [dnsName('example.com')])] } }),
    verdict: 'refuse',
    because: ['path', /does not allow the name iot.example.com/],
  },
  {
    name: 'an unknown critical extension',
    make: from(leaf(...leafExtensions(DOMAIN), extension('1.2.3.4', der(0x05), true))),
    verdict: 'refuse',
    because: ['path', /critical extension/],
  },
  {
    name: 'name mismatch',
    make: from(withNames('www.example.com')),
    verdict: 'refuse',
    because: ['names', /www.example.com\) do not cover iot.example.com/],
  },
  {
    name: 'a wildcard against a deeper name',
    make: from(withNames('*.example.com'), { domain: 'a.iot.example.com' }),
    verdict: 'refuse',
    because: ['names', /\*.example.com\) do not cover a.iot.example.com/],
  },
  {
    name: 'a wildcard right below the top',
    make: from(withNames('*.com'), { domain: 'x.com' }),
    verdict: 'refuse',
    because: ['names', /\*.com\) do not cover x.com/],
  },
  {
    name: 'the name only as the common name',
    make: from({
      leaf: {
        subject: `CN=${DOMAIN}`,
        extensions: [basic(false), usage(digitalSignature), extended(SERVER_AUTH)],
      },
    }),
    verdict: 'refuse',
    because: ['names', /its names \(none\) do not cover iot.example.com/],
    lenient: 'openssl falls back on the common name, which RFC 9525 section 2 has taken out of use',
  },
  {
    name: 'IP only',
    make: from(leaf(basic(false), usage(digitalSignature), extended(SERVER_AUTH), ipOnly)),
    verdict: 'refuse',
    because: ['names', /its names \(none\)/],
  },
]

const BAD_TEXTS: readonly Case[] = [
  {
    name: 'trailing garbage',
    make: of(({ root, middle, leaf }) => {
      const raw = Buffer.concat([leaf.certificate.raw, Buffer.from([5, 0])]).toString('base64')
      const pem = `-----BEGIN CERTIFICATE-----\n${raw}\n-----END CERTIFICATE-----\n${middle.pem}`
      return { pem, roots: [root] }
    }),
    verdict: 'refuse',
    because: ['pem', /block 1 .*bytes after the certificate/],
    lenient: 'openssl reads the certificate and drops what follows',
  },
  {
    name: 'a block that is cut off',
    make: of(({ root, middle, leaf }) => ({ pem: leaf.pem + middle.pem.slice(0, 200), roots: [root] })),
    verdict: 'refuse',
    because: ['pem', /block 2 .*no end/],
  },
  {
    name: 'a private key pasted into the chain',
    make: of(({ root, middle, leaf }) => ({
      pem: `${leaf.pem}-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n${middle.pem}`,
      roots: [root],
    })),
    verdict: 'refuse',
    because: ['pem', /a private key stands among the certificates/],
    lenient: 'openssl passes over the key, which devices would be sent',
  },
]

const BAD_FOR_A_PROFILE: readonly Case[] = [
  {
    name: 'EC for an RSA-only profile',
    make: from({}, { profile: profile({ keyTypes: ['rsa-2048', 'rsa-3072'] }) }),
    verdict: 'refuse',
    because: ['key', /ec-256 key, which is none of rsa-2048, rsa-3072/],
  },
  {
    name: 'another family than today',
    make: of(async ({ root, middle, leaf }) => ({
      pem: pems(leaf, middle),
      roots: [root],
      servedPem: (await build({ leaf: { keys: await newRsaKeys() } })).leaf.pem,
    })),
    verdict: 'refuse',
    because: ['key', /ec-256 key, devices are served rsa-2048 today/],
  },
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
  {
    name: 'EC for RSA cipher suites',
    make: from({}, { profile: profile({ ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA' }) }),
    verdict: 'refuse',
    because: ['ciphers', /none of its cipher suites can be used with an ec-256 key/],
  },
  {
    name: 'no key encipherment for a static RSA cipher suite',
    make: async () =>
      from({ leaf: { keys: await newRsaKeys() } }, { profile: profile({ ciphers: 'AES128-SHA256' }) })(),
    verdict: 'refuse',
    because: ['key-usage', /lacks keyEncipherment/],
  },
  {
    name: 'no key encipherment',
    make: from({}, { profile: profile({ needsKeyEncipherment: true }) }),
    verdict: 'refuse',
    because: ['key-usage', /lacks keyEncipherment/],
  },
  {
    name: 'key encipherment alone, RSA',
    make: async () =>
      from({
        leaf: {
          keys: await newRsaKeys(),
          extensions: [basic(false), usage(keyEncipherment), extended(SERVER_AUTH), names(DOMAIN)],
        },
      })(),
    verdict: 'warn',
    because: ['key-usage', /lacks digitalSignature/],
  },
  {
    name: 'too deep',
    make: async () => {
      const { sent, root } = await deep()
      return { pem: pems(...sent), roots: [root], profile: profile({ maxChainDepth: 3 }) }
    },
    verdict: 'refuse',
    because: ['depth', /4 certificates are sent, more than 3/],
  },
  {
    name: 'too long',
    make: from({}, { profile: profile({ maxChainBytes: 600 }) }),
    verdict: 'refuse',
    because: ['bytes', /bytes are sent, more than 600/],
  },
  {
    name: 'no common name',
    make: from({ leaf: nameless }, { profile: profile({ needsCommonName: true }) }),
    verdict: 'refuse',
    because: ['common-name', /it has no common name/],
  },
  {
    name: 'another common name',
    make: from({}, { profile: profile({ needsCommonName: true }) }),
    verdict: 'refuse',
    because: ['common-name', /the common name Leaf, not iot.example.com/],
  },
  {
    name: 'pins missing',
    make: from({}, { profile: profile({ pins: [pinOfNothing] }) }),
    verdict: 'refuse',
    because: ['pins', /none of the pinned keys is on the path/],
  },
  {
    name: 'a signature algorithm that is not known',
    make: from({}, { profile: profile({ signatureAlgorithms: ['sha256WithRSAEncryption'] }) }),
    verdict: 'refuse',
    because: ['signatures', /"CN=Leaf" is signed with ecdsa-with-SHA256/],
  },
  {
    name: 'signed by the other family',
    make: async () =>
      from({ leaf: { keys: await newRsaKeys() } }, { profile: profile({ keyTypes: ['rsa-2048'] }) })(),
    verdict: 'warn',
    because: ['signatures', /the path is signed with ecdsa-with-SHA256/],
  },
  {
    name: 'a cross-sign beyond the root, with a preset that wants all of the chain',
    make: async () => {
      const { built, cross } = await crossSigned(NOW + 900 * DAY_MS)
      return { pem: pems(built.leaf, built.middle, cross), roots: [built.root], profile: wolfssl }
    },
    verdict: 'refuse',
    because: ['whole-chain', /"CN=Root" is sent and leads to none of its trustedRoots: "CN=Root"/],
  },
  {
    name: 'a cross-sign beyond the root, which they live with today',
    make: async () => {
      const { built, cross } = await crossSigned(NOW + 900 * DAY_MS)
      const pem = pems(built.leaf, built.middle, cross)
      return { pem, roots: [built.root], profile: wolfssl, servedPem: pem }
    },
    verdict: 'warn',
    because: ['whole-chain', /"CN=Root" is sent and leads to none/],
  },
  {
    name: 'the short chain, with a preset that wants all of the chain',
    make: async () => from({}, { profile: wolfssl })(),
    verdict: 'ok',
    because: null,
  },
  {
    name: 'a short RSA key further up, with a preset that knows none',
    make: withIssuerKeys(
      { ...RSA, modulusLength: 1024 },
      toProfile({ name: 'meter-v1', preset: 'mbedtls-3', canary: null }),
    ),
    verdict: 'refuse',
    because: ['issuer-keys', /"CN=Middle" has an rsa-1024 key, which is none of rsa-2048, ec-256, ec-384/],
  },
  {
    name: 'a longer RSA key further up',
    make: withIssuerKeys(
      { ...RSA, modulusLength: 3072 },
      profile({ issuerKeyTypes: ['rsa-2048', 'ec-256'] }),
    ),
    verdict: 'ok',
    because: null,
  },
  {
    name: 'a curve further up that is not known',
    make: withIssuerKeys(P384, profile({ issuerKeyTypes: ['rsa-2048', 'ec-256'] })),
    verdict: 'refuse',
    because: ['issuer-keys', /"CN=Middle" has an ec-384 key, which is none of rsa-2048, ec-256/],
  },
  {
    name: 'a curve of the root that is not known',
    make: async () => {
      const keys = await newKeys(P384)
      return from({ root: { keys } }, { profile: profile({ issuerKeyTypes: ['ec-256'] }) })()
    },
    verdict: 'refuse',
    because: ['issuer-keys', /"CN=Root" has an ec-384 key/],
  },
  {
    name: 'another curve further up than the key types name',
    make: withIssuerKeys(P384, profile({ keyTypes: ['ec-256'] })),
    verdict: 'warn',
    because: ['issuer-keys', /"CN=Middle" has an ec-384 key, and these devices' key types are ec-256/],
  },
  {
    name: 'not yet valid for a clock that lags',
    make: from({ leaf: { notBefore: NOW - 3_600_000 } }, { profile: profile({ clockLagMs: 6 * 3_600_000 }) }),
    verdict: 'refuse',
    because: ['clock', /whose clock lags 6h, before 2026-06-15T17:00:00Z/],
  },
  {
    name: 'must-staple without stapling',
    make: from(
      leaf(
        ...leafExtensions(DOMAIN),
        extension('1.3.6.1.5.5.7.1.24', der(0x30, der(0x02, Buffer.from([5])))),
      ),
    ),
    verdict: 'refuse',
    because: ['must-staple', /OCSP stapling is off/],
  },
]

export const CASES: readonly Case[] = [...GOOD, ...LAX, ...BAD_PATHS, ...BAD_TEXTS, ...BAD_FOR_A_PROFILE]
