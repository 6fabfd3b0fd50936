/** Readers of PEM, bundles and certificates; each text is judged as every preset would. */
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { secret } from '../../lib/base/secret.ts'
import { calendar } from '../../lib/devices/calendar.ts'
import { judge } from '../../lib/devices/judge.ts'
import { PRESETS } from '../../lib/devices/presets.ts'
import { rootsOf } from '../../lib/devices/roots.ts'
import { readRevocation } from '../../lib/revocation/list.ts'
import { readLeaf } from '../../lib/rotation/observe/inspect.ts'
import { readBundle } from '../../lib/x509/bundle.ts'
import { certId, normalizePem, parseChain } from '../../lib/x509/certificate.ts'
import { generateKey, openKey } from '../../lib/x509/key.ts'
import { inOrder } from '../../lib/x509/sent.ts'
import { profile } from '../devices/profile.ts'
import { build } from '../support/chain.ts'
import { caExtensions, constraints, dnsName, leafExtensions, NOW } from '../support/issue.ts'
import type { Reader } from './engine.ts'

const DOMAIN = 'iot.example.com'
const { root, middle, leaf } = await build({
  middle: { extensions: [...caExtensions(0), constraints([dnsName('example.com')])] },
  leaf: { extensions: leafExtensions(DOMAIN, '*.a.example.com') },
})
const target = { trustedRoots: root.pem, profiles: [] }
const profiles = [null, ...Object.values(PRESETS).map(preset => profile(preset as never))]

/** All that is made of a chain, from a slot, a port or a source. */
function judged(chainPem: string): void {
  readLeaf(chainPem)
  calendar({ target, chainPem, at: NOW })
  for (const one of profiles)
    for (const asSent of [false, true])
      judge({
        ...{ chainPem, asSent, profile: one, roots: rootsOf(target, one), at: NOW },
        ...{
          servedPem: leaf.pem + middle.pem,
          domain: DOMAIN,
          otherKeyAsked: false,
          minAgeMs: 0,
          stapling: null,
        },
      })
  const chain = parseChain(chainPem)
  inOrder(chain)
  normalizePem(chain)
  chain.map(certId)
}

const key = secret(await generateKey('ec-256'))

export const pem: Reader = {
  name: 'PEM: chains, bundles, keys',
  samples: [leaf.pem + middle.pem, leaf.pem + middle.pem + root.pem, leaf.pem, key.reveal()].map(it =>
    Buffer.from(it),
  ),
  read: input => {
    const text = input.toString()
    const refusals: unknown[] = []
    for (const read of [
      () => judged(text),
      () => readBundle({ chainPem: text, privateKey: key, password: null, driver: 'source x (file)' }),
      () => openKey(secret(text), secret('password')),
    ]) {
      try {
        read()
      } catch (thrown) {
        if (!(thrown instanceof RotationError)) throw thrown
        refusals.push(thrown)
      }
    }
    if (refusals.length > 0) throw refusals[0]
  },
}

const crl = await x509.X509CrlGenerator.create(
  {
    issuer: 'CN=Middle',
    thisUpdate: new Date(NOW - 1_000),
    nextUpdate: new Date(NOW + 86_400_000),
    entries: [{ serialNumber: '0102', revocationDate: new Date(NOW), reason: 1 }],
    signingAlgorithm: { hash: 'SHA-256', ...middle.keys.privateKey.algorithm } as never,
    signingKey: middle.keys.privateKey,
  },
  webcrypto as never,
)

export const lists: Reader = {
  name: 'revocation lists: DER',
  samples: [Buffer.from(crl.rawData)],
  read: input => {
    for (const [one, by] of [
      [leaf, middle],
      [middle, root],
    ] as const)
      readRevocation(input, one.certificate, by.certificate, { url: 'http://ca.example/1.crl', now: NOW })
  },
}

const pemOf = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`

export const der: Reader = {
  name: 'certificates: DER, judged by every preset',
  samples: [leaf, middle, root].map(({ certificate }) => certificate.raw),
  read: (input, random) => {
    const bent = pemOf(input.subarray(0, 40_000))
    judged(random.pick([bent, bent + middle.pem, leaf.pem + bent, leaf.pem + bent + root.pem]))
  },
}
