/** A chain that is to be made: a usual one, which a deviation or two make special. */
import { der } from '../../support/issue.ts'
import {
  certificateDer,
  type Extension,
  type Keys,
  keyId,
  keyPem,
  keysOf,
  type Name,
  nameDer,
  nameOf,
  type Over,
  oid,
  pemOf,
  seq,
} from './make.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
export const HOST = 'iot.example.com'

/** One certificate; deviations change it in place. */
export interface Spec {
  subject: Name
  /** Null: the subject of its issuer. */
  issuer: Name | null
  keyType: string
  /** Names the key pair of its type. */
  use: string
  sig: string
  version: 1 | 3
  serial: Buffer
  days: [number, number]
  longTime: boolean
  /** Null: made of the keys. */
  ski: Buffer | null | 'none'
  aki: Buffer | null | 'none'
  extensions: Extension[]
  over?: Over
}

export type Level = 'leaf' | 'middle' | 'root' | 'beyond'

export interface Plan {
  host: string
  leaf: Spec
  /** From just above the leaf to just below the root. */
  middles: Spec[]
  root: Spec
  /** The root, signed across by an older one. */
  beyond: Spec
  old: Spec
  sends: ('leaf' | 'middles' | 'root' | 'beyond' | 'old' | 'stranger')[]
  holds: ('root' | 'old' | 'middle' | 'leaf' | 'beyond' | Spec)[]
  /** Last touches to the list that is sent, in DER. */
  arrange: ((sent: Buffer[]) => Buffer[])[]
  /** A certificate of the same name and key by another issuer. */
  signedBy: (spec: Spec, issuer: Spec) => Buffer[]
}

export const EXT = {
  ski: '2.5.29.14',
  ku: '2.5.29.15',
  san: '2.5.29.17',
  bc: '2.5.29.19',
  nc: '2.5.29.30',
  crldp: '2.5.29.31',
  policies: '2.5.29.32',
  mappings: '2.5.29.33',
  aki: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  eku: '2.5.29.37',
  inhibitAny: '2.5.29.54',
} as const

export const DIGITAL_SIGNATURE = 0x80
export const KEY_ENCIPHERMENT = 0x20
export const CERT_SIGN = 0x04
export const CRL_SIGN = 0x02
export const SERVER = '1.3.6.1.5.5.7.3.1'

export const keyUsage = (bits: number, critical = true): Extension => {
  let unused = 0
  while (bits !== 0 && unused < 7 && ((bits >> unused) & 1) === 0) unused += 1
  return { id: EXT.ku, critical, value: der(0x03, Buffer.from([unused, bits])) }
}
export const basic = (ca: boolean, pathLength: number | null = null, critical = true): Extension => ({
  id: EXT.bc,
  critical,
  value: seq(
    ...(ca ? [Buffer.from([1, 1, 255])] : []),
    ...(pathLength === null ? [] : [der(0x02, Buffer.from([pathLength]))]),
  ),
})
export const eku = (...usages: readonly string[]): Extension => ({
  id: EXT.eku,
  critical: false,
  value: seq(...usages.map(oid)),
})
export const dns = (name: string): Buffer => der(0x82, name)
export const san = (...names: readonly Buffer[]): Extension => ({
  id: EXT.san,
  critical: false,
  value: seq(...names),
})

/** Puts an extension in the place of one of its kind, or adds it. */
export const put = (spec: Spec, extension: Extension): void => {
  const at = spec.extensions.findIndex(({ id }) => id === extension.id)
  if (at < 0) spec.extensions.push(extension)
  else spec.extensions[at] = extension
}
export const drop = (spec: Spec, id: string): void => {
  spec.extensions = spec.extensions.filter(extension => extension.id !== id)
}

let serial = 1000
const spec = (name: string, days: [number, number], extensions: Extension[]): Spec => {
  serial += 1
  return {
    subject: nameOf(name),
    issuer: null,
    keyType: 'ec-256',
    use: name,
    sig: 'sha256',
    version: 3,
    serial: der(0x04, Buffer.from(`s${serial}`)),
    days,
    longTime: false,
    ski: null,
    aki: null,
    extensions,
  }
}

export const caSpec = (name: string, pathLength: number | null = null): Spec =>
  spec(name, [-900, 900], [basic(true, pathLength), keyUsage(CERT_SIGN | CRL_SIGN)])

/** Leaf, one intermediate, root, and an older root that signed the root across, which is not sent. */
export function usualPlan(): Plan {
  const leaf = spec(
    'device.example',
    [-10, 60],
    [basic(false), keyUsage(DIGITAL_SIGNATURE), eku(SERVER), san(dns(HOST))],
  )
  const root = caSpec('Stacks Root')
  return {
    host: HOST,
    leaf,
    middles: [caSpec('Stacks CA 1', 0)],
    root,
    beyond: { ...caSpec('Stacks Root'), use: root.use },
    old: caSpec('Stacks Old Root'),
    sends: ['leaf', 'middles'],
    holds: ['root'],
    arrange: [],
    signedBy: () => [],
  }
}

/** What one kind of certificate of a plan is. */
export const specOf = (plan: Plan, level: Level): Spec => {
  if (level === 'middle') return plan.middles[0] as Spec
  return plan[level]
}

export interface Made {
  readonly host: string
  readonly chainPem: string
  readonly keyPem: string
  readonly rootsPem: string
}

const pairOf = ({ keyType, use }: Spec): Keys => keysOf(keyType, use)

function identifiersOf(made: Spec, keys: Keys, signer: Keys): Extension[] {
  const ski = made.ski ?? keyId(keys)
  const aki = made.aki ?? seq(der(0x80, keyId(signer)))
  return [
    ...(ski === 'none' ? [] : [{ id: EXT.ski, critical: false, value: der(0x04, ski) }]),
    ...(aki === 'none' ? [] : [{ id: EXT.aki, critical: false, value: aki }]),
  ]
}

const issue = (made: Spec, issuer: Spec, now: number): Buffer => {
  const [keys, signer] = [pairOf(made), pairOf(issuer)]
  return certificateDer({
    version: made.version,
    serial: made.serial.subarray(2),
    issuer: made.issuer ?? issuer.subject,
    subject: made.subject,
    notBefore: now + made.days[0] * DAY_MS - MINUTE_MS,
    notAfter: now + made.days[1] * DAY_MS,
    longTime: made.longTime,
    keys,
    signer,
    sig: made.sig,
    extensions: [...made.extensions, ...identifiersOf(made, keys, signer)],
    ...(made.over && { over: made.over }),
  })
}

/** The chain as PEM, the leaf's key, and what the devices hold. */
export function make(plan: Plan, now: number): Made {
  const { leaf, middles, root, beyond, old } = plan
  plan.signedBy = (spec, issuer) => [issue({ ...spec, serial: der(0x04, Buffer.from([5, 5])) }, issuer, now)]
  const above = [...middles, root]
  const all = {
    leaf: [issue(leaf, above[0] as Spec, now)],
    middles: middles.map((one, index) => issue(one, above[index + 1] as Spec, now)),
    root: [issue(root, root, now)],
    beyond: [issue(beyond, old, now)],
    old: [issue(old, old, now)],
    stranger: [issue(caSpec('Stranger'), caSpec('Stranger Root'), now)],
  }
  const held = (one: Plan['holds'][number]): Buffer => {
    if (typeof one === 'object') return issue(one, one, now)
    return (one === 'middle' ? all.middles[0] : all[one][0]) as Buffer
  }
  const sent = plan.arrange.reduce(
    (list, arranged) => arranged(list),
    plan.sends.flatMap(which => all[which]),
  )
  return {
    host: plan.host,
    chainPem: sent.map(pemOf).join(''),
    keyPem: keyPem(pairOf(leaf)),
    rootsPem: plan.holds.map(held).map(pemOf).join(''),
  }
}

export const directoryName = (name: Name): Buffer => der(0xa4, nameDer(name))
