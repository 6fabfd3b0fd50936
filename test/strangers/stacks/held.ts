/** Several that could have issued what stands below them: which one a stack takes, and whether it comes back. */
import { der } from '../../support/issue.ts'
import { type Deviation, whole } from './levels.ts'
import { type Extension, oid, seq } from './make.ts'
import {
  basic,
  CERT_SIGN,
  CRL_SIGN,
  caSpec,
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

const CLIENT = '1.3.6.1.5.5.7.3.2'
const SIGN = CERT_SIGN | CRL_SIGN
/** The root once more, with the same name and key, and other extensions. */
const twin = ({ root }: Plan, ...extensions: readonly Extension[]): Spec => ({
  ...root,
  serial: der(0x04, Buffer.from([9, 9])),
  extensions: [...extensions],
})
const only = (name: string): Extension => ({
  id: EXT.nc,
  critical: false,
  value: seq(der(0xa0, seq(dns(name)))),
})
const other = (change: Partial<Spec> = {}): Spec => ({ ...caSpec('Stacks Root'), use: 'another', ...change })
const crossed =
  (holds: Plan['holds'], change: (plan: Plan) => void) =>
  (plan: Plan): void => {
    plan.sends.push('beyond')
    plan.holds = holds
    change(plan)
  }
const first = (make: (plan: Plan) => readonly Buffer[]) => (plan: Plan) =>
  void plan.arrange.push(([leaf, ...others]) => (leaf ? [leaf, ...make(plan), ...others] : []))
const middleOf = ({ middles }: Plan): Spec => middles[0] as Spec

/** As public CAs of today build their chains. */
const shape =
  (middle: string, root: string, change: (plan: Plan) => void = () => {}) =>
  (plan: Plan): void => {
    const hash = (issuer: string): string => (issuer === 'ec-384' ? 'sha384' : 'sha256')
    plan.middles = [{ ...caSpec('Issuing CA', 0), keyType: middle, sig: hash(root) }]
    Object.assign(plan.root, { keyType: root, sig: hash(root) })
    plan.beyond.keyType = root
    plan.leaf.sig = hash(middle)
    put(middleOf(plan), eku(CLIENT, SERVER))
    put(middleOf(plan), keyUsage(0x80 | SIGN))
    for (const spec of [plan.leaf, middleOf(plan)]) {
      const url = (text: string): Buffer => der(0x86, `http://${text}`)
      const point = seq(seq(der(0xa0, der(0xa0, url('c.example.com/1.crl')))))
      const access = seq(seq(oid('1.3.6.1.5.5.7.48.2'), url('i.example.com/')))
      put(spec, { id: EXT.policies, critical: false, value: seq(seq(oid('2.23.140.1.2.1'))) })
      put(spec, { id: EXT.crldp, critical: false, value: point })
      put(spec, { id: '1.3.6.1.5.5.7.1.1', critical: false, value: access })
    }
    const stamps = der(0x04, Buffer.alloc(240, 1))
    put(plan.leaf, { id: '1.3.6.1.4.1.11129.2.4.2', critical: false, value: stamps })
    change(plan)
  }
const nameless = (plan: Plan): void => {
  Object.assign(plan.leaf, { subject: [], ski: 'none' })
  put(plan.leaf, { ...san(dns(HOST)), critical: true })
}
const crossedBy = (keyType: string, holds: Plan['holds']) => (plan: Plan) => {
  plan.old.keyType = keyType
  crossed(holds, () => {})(plan)
}

export const HELD: readonly Deviation[] = [
  ...whole('roots', {
    'a twin of path length 0 first': plan => {
      plan.holds = [twin(plan, basic(true, 0), keyUsage(SIGN)), 'root']
    },
    'a twin that may not sign first': plan => {
      plan.holds = [twin(plan, basic(true), keyUsage(CRL_SIGN)), 'root']
    },
    'a twin with name constraints first': plan => {
      plan.holds = [twin(plan, basic(true), keyUsage(SIGN), only('example.net')), 'root']
    },
    'a twin with name constraints second': plan => {
      plan.holds = ['root', twin(plan, basic(true), keyUsage(SIGN), only('example.net'))]
    },
    'a twin for clients first': plan => {
      plan.holds = [twin(plan, basic(true), keyUsage(SIGN), eku(CLIENT)), 'root']
    },
    'a twin with an unknown critical extension first': plan => {
      const unknown = { id: '1.3.6.1.4.1.99999.7', critical: true, value: der(0x02, Buffer.from([1])) }
      plan.holds = [twin(plan, basic(true), keyUsage(SIGN), unknown), 'root']
    },
    'another of its name without key identifier first': plan => {
      plan.holds = [other({ ski: 'none', aki: 'none' }), 'root']
    },
    'another of its name first, no authority key identifier': plan => {
      middleOf(plan).aki = 'none'
      plan.holds = [other(), 'root']
    },
    'another of its name last, no authority key identifier': plan => {
      middleOf(plan).aki = 'none'
      plan.holds = ['root', other()]
    },
    'another of its name that expired first': plan => {
      plan.holds = [other({ days: [-900, -1] }), 'root']
    },
    'a root of the same key and another name first': plan => {
      plan.holds = [{ ...caSpec('Other Root'), use: plan.root.use }, 'root']
    },
    'the intermediate has the key of the root': plan => {
      middleOf(plan).use = plan.root.use
    },
    'the leaf has name and key of the intermediate': plan => {
      Object.assign(plan.leaf, { subject: middleOf(plan).subject, use: middleOf(plan).use })
    },
    'the intermediate is named as the root, no key identifiers': plan => {
      for (const spec of [plan.leaf, middleOf(plan), plan.root])
        Object.assign(spec, { ski: 'none', aki: 'none' })
      middleOf(plan).subject = plan.root.subject
    },
  }),
  ...whole('certificates beyond the root', {
    'a cross-sign, both are held, the root of path length 0': crossed(['old', 'root'], plan =>
      put(plan.root, basic(true, 0)),
    ),
    'a cross-sign, both are held, the root expired': crossed(['root', 'old'], plan => {
      plan.root.days = [-900, -1]
    }),
    'a cross-sign, both are held, the old root expired': crossed(['old', 'root'], plan => {
      plan.old.days = [-900, -1]
    }),
    'a cross-sign, both are held, the old root is not yet valid': crossed(['old', 'root'], plan => {
      plan.old.days = [1, 900]
    }),
    'two intermediates of one name, another key first': first(plan =>
      plan.signedBy({ ...middleOf(plan), use: 'another' }, plan.root),
    ),
    'two intermediates of one name, another key first, no authority key identifier': plan => {
      plan.leaf.aki = 'none'
      first(it => it.signedBy({ ...middleOf(it), use: 'another' }, it.root))(plan)
    },
    'two intermediates of one name, the first of a stranger': first(plan =>
      plan.signedBy(middleOf(plan), caSpec('Nobody')),
    ),
    'two intermediates of one name, the first is no CA': first(plan =>
      plan.signedBy({ ...middleOf(plan), extensions: [basic(false)] }, plan.root),
    ),
    'two intermediates of one name, the first expired': first(plan =>
      plan.signedBy({ ...middleOf(plan), days: [-900, -1] }, plan.root),
    ),
  }),
  ...whole('as CAs of today', {
    "Let's Encrypt: E7 < X2": shape('ec-384', 'ec-384'),
    "Let's Encrypt: E7 < X2 < X1": shape('ec-384', 'ec-384', crossedBy('rsa-4096', ['old'])),
    "Let's Encrypt: E7 < X1": shape('ec-384', 'rsa-4096'),
    "Let's Encrypt: R12 < X1": shape('rsa-2048', 'rsa-4096', plan => {
      plan.leaf.keyType = 'rsa-2048'
    }),
    "Let's Encrypt: tlsserver, no common name": shape('rsa-2048', 'rsa-4096', nameless),
    "Let's Encrypt: short-lived": shape('ec-384', 'ec-384', plan => {
      nameless(plan)
      plan.leaf.days = [-1, 5]
    }),
    'Google: WE1 < R4': shape('ec-256', 'ec-384'),
    'Google: WE1 < R4 < GlobalSign': shape('ec-256', 'ec-384', crossedBy('rsa-2048', ['old'])),
    'Google: WR1 < R1': shape('rsa-2048', 'rsa-4096'),
    'ZeroSSL: ECC < USERTrust < AAA': shape('ec-256', 'ec-384', crossedBy('rsa-2048', ['root', 'old'])),
    'DigiCert: RSA < G2': shape('rsa-2048', 'rsa-2048'),
    'DigiCert: ECC < G3': shape('ec-384', 'ec-384'),
    'DigiCert: RSA < G5': shape('rsa-4096', 'rsa-4096', plan => {
      plan.leaf.sig = 'sha384'
      middleOf(plan).sig = 'sha384'
    }),
  }),
]
