/** What is rarer, and has tripped one stack or another. */
import { der } from '../../support/issue.ts'
import { type Deviation, each, LEVELS, whole } from './levels.ts'
import { type Extension, keyId, keysOf, nameDer, nameOf, oid, seq, UTF8 } from './make.ts'
import {
  basic,
  CERT_SIGN,
  CRL_SIGN,
  caSpec,
  DIGITAL_SIGNATURE,
  directoryName,
  dns,
  EXT,
  eku,
  HOST,
  keyUsage,
  type Plan,
  put,
  SERVER,
  type Spec,
  san,
} from './plan.ts'

const one = (id: string, value: Buffer, critical = false): Extension => ({ id, critical, value })
const issuerOf = (spec: Spec, plan: Plan): Spec =>
  spec === plan.leaf ? (plan.middles[0] ?? plan.root) : spec === plan.middles[0] ? plan.root : spec
const idOf = ({ keyType, use }: Spec): Buffer => keyId(keysOf(keyType, use))
/** Authority key identifier by the issuer's issuer and serial number, with the key's or without. */
const byName =
  (withKey: boolean, wrong = false) =>
  (spec: Spec, plan: Plan) => {
    const issuer = issuerOf(spec, plan)
    const above = issuer.issuer ?? issuerOf(issuer, plan).subject
    const serial = wrong ? Buffer.from([9, 9, 9]) : issuer.serial.subarray(2)
    spec.aki = seq(
      ...(withKey ? [der(0x80, idOf(issuer))] : []),
      der(0xa1, der(0xa4, nameDer(above))),
      der(0x82, serial),
    )
  }
const critically = (id: string) => (spec: Spec, plan: Plan) => {
  const value = id === EXT.ski ? der(0x04, idOf(spec)) : seq(der(0x80, idOf(issuerOf(spec, plan))))
  if (id === EXT.ski) spec.ski = 'none'
  else spec.aki = 'none'
  put(spec, one(id, value, true))
}
const cn = (tag: number, text: string) => [...nameOf('').slice(0, 2), [['2.5.4.3', tag, text] as const]]
const named =
  (...extra: readonly (readonly [string, number, string])[]) =>
  (spec: Spec, plan: Plan) => {
    spec.subject = [...nameOf(`CA ${extra.length}`), ...extra.map(attribute => [attribute])]
    if (spec === plan.root) plan.beyond.subject = spec.subject
  }
const tree = (tag: number, ...bases: readonly Buffer[]): Buffer =>
  seq(der(tag, ...bases.map(base => seq(base))))
const constrained = (value: Buffer) => (spec: Spec) => put(spec, one(EXT.nc, value, true))
const POLICY = '1.3.6.1.4.1.99999.1'
const again = (spec: Spec, days: [number, number]): Spec => ({
  ...spec,
  days,
  serial: der(0x04, Buffer.from([7, 7])),
})

export const RARER: readonly Deviation[] = [
  ...each('key identifiers', ['leaf', 'middle'], {
    'by issuer and serial': byName(false),
    'by key, issuer and serial': byName(true),
    'by key, issuer and a wrong serial': byName(true, true),
    'by issuer and a wrong serial': byName(false, true),
    'an empty authority key identifier': spec => {
      spec.aki = seq()
    },
    'a critical authority key identifier': critically(EXT.aki),
    'a critical subject key identifier': critically(EXT.ski),
  }),
  ...whole('key identifiers', {
    'no key identifier in any CA': plan => {
      for (const ca of [...plan.middles, plan.root]) ca.ski = 'none'
    },
    'no key identifier anywhere': plan => {
      for (const spec of [plan.leaf, ...plan.middles, plan.root])
        Object.assign(spec, { ski: 'none', aki: 'none' })
    },
  }),
  ...each('forms of names', ['leaf', 'middle', 'root'], {
    'a serial number': named(['2.5.4.5', 0x13, '12345']),
    'a numeric string': named(['2.5.4.17', 0x12, '12345']),
    'an IA5 common name': named(['2.5.4.3', 0x16, 'more']),
    'ten parts': named(...Array.from({ length: 10 }, (_, i) => ['2.5.4.11', UTF8, `unit ${i}`] as const)),
    'two common names': named(['2.5.4.3', UTF8, 'second']),
    'an unknown attribute': named(['1.3.6.1.4.1.99999.5', UTF8, 'x']),
    'an empty attribute': named(['2.5.4.11', UTF8, '']),
  }),
  ...each('key usage', ['leaf'], {
    'non-repudiation alone': spec => put(spec, keyUsage(0x40)),
    'signature and agreement': spec => put(spec, keyUsage(DIGITAL_SIGNATURE | 0x08)),
    'decipher only, too': spec => put(spec, one(EXT.ku, der(0x03, Buffer.from([7, 0x88, 0x80])), true)),
    'an unknown purpose, too': spec => put(spec, eku(SERVER, '1.3.6.1.4.1.99999.9')),
    'an empty basic constraints': spec => put(spec, basic(false, null, false)),
  }),
  ...each('key usage', ['middle', 'root'], {
    'certificate signing alone': spec => put(spec, keyUsage(CERT_SIGN)),
    'signature, too': spec => put(spec, keyUsage(CERT_SIGN | CRL_SIGN | DIGITAL_SIGNATURE)),
    'purposes critical': spec => put(spec, { ...eku(SERVER), critical: true }),
  }),
  ...each('other extensions', LEVELS.slice(0, 3), {
    'policies with qualifiers': spec =>
      put(
        spec,
        one(
          EXT.policies,
          seq(
            seq(oid(POLICY), seq(seq(oid('1.3.6.1.5.5.7.2.1'), der(0x16, 'https://cps.example.com')))),
            seq(oid('2.23.140.1.2.1')),
          ),
        ),
      ),
    'any policy and one of its own': spec =>
      put(spec, one(EXT.policies, seq(seq(oid('2.5.29.32.0')), seq(oid(POLICY))))),
    'subject names of an issuer': spec => put(spec, one('2.5.29.18', seq(dns('ca.example.com')))),
    'an alternative name': spec =>
      spec.extensions.some(({ id }) => id === EXT.san) ? undefined : put(spec, san(dns('ca.example.com'))),
  }),
  ...each('name constraints', ['middle', 'root'], {
    'permitted a mail domain': constrained(tree(0xa0, der(0x81, 'example.com'))),
    'permitted a URI host': constrained(tree(0xa0, der(0x86, 'example.com'))),
    'excluded an address': constrained(tree(0xa1, der(0x87, Buffer.alloc(8)))),
    'excluded the organization': constrained(tree(0xa1, directoryName(nameOf('').slice(0, 2)))),
    'excluded another organization': constrained(
      tree(0xa1, directoryName(nameOf('x').slice(0, 1).concat(cn(UTF8, 'Other').slice(2)))),
    ),
    'excluded everything': constrained(tree(0xa1, dns(''))),
    'permitted the very name': constrained(tree(0xa0, dns(HOST))),
    'permitted everything': constrained(tree(0xa0, dns(''))),
  }),
  ...each('signatures', ['leaf', 'middle'], {
    'PSS with a short salt': (spec, plan) => {
      issuerOf(spec, plan).keyType = 'rsa-2048'
      plan.beyond.keyType = plan.root.keyType
      spec.sig = 'pss-sha256-20'
    },
    'PSS with SHA-512': (spec, plan) => {
      issuerOf(spec, plan).keyType = 'rsa-2048'
      plan.beyond.keyType = plan.root.keyType
      spec.sig = 'pss-sha512'
    },
  }),
  ...whole('roots', {
    'the same root again, that ends sooner': plan => {
      plan.holds = [again(plan.root, [-900, 10]), 'root']
    },
    'the root, and again as it was': plan => {
      plan.holds = ['root', again(plan.root, [-900, -1])]
    },
    'the root twice': plan => {
      plan.holds = ['root', 'root']
    },
    'the root is sent as another certificate': plan => {
      plan.holds = [again(plan.root, [-800, 800])]
      plan.sends.push('root')
    },
    'a leaf that signed itself is held': plan => {
      Object.assign(plan, { middles: [], sends: ['leaf'], holds: [plan.leaf] })
      plan.leaf.issuer = plan.leaf.subject
      plan.root = plan.leaf
    },
    'root and cross-sign are held': plan => {
      plan.holds = ['root', 'beyond']
      plan.sends.push('beyond')
    },
    'cross-sign and root are held': plan => {
      plan.holds = ['beyond', 'root']
    },
  }),
  ...whole('certificates beyond the root', {
    'an intermediate of two roots, the held one first': plan => {
      plan.middles = [caSpec('Twice CA')]
      plan.arrange.push(sent => [...sent, ...plan.signedBy(plan.middles[0] as Spec, plan.old)])
    },
    'an intermediate of two roots, the held one last': plan => {
      plan.middles = [caSpec('Twice CA')]
      plan.arrange.push(([leaf, ...others]) =>
        leaf ? [leaf, ...plan.signedBy(plan.middles[0] as Spec, plan.old), ...others] : [],
      )
    },
  }),
]
