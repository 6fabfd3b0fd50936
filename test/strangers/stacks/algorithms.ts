/** Keys and signatures. */
import { at, type Deviation, each, whole } from './levels.ts'
import type { Level, Plan, Spec } from './plan.ts'

const KEYS = [
  'rsa-1024',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'rsa-5120',
  'ec-192',
  'ec-224',
  'ec-384',
  'ec-521',
]
const OTHER_KEYS = ['ec-k256', 'ec-bp256', 'ec-explicit', 'ec-compressed', 'ed25519', 'ed448', 'rsa-pss']
const keyed = (types: readonly string[]) =>
  Object.fromEntries(
    types.map(type => [
      `key ${type}`,
      (spec: Spec) => {
        spec.keyType = type
      },
    ]),
  )
const signedBy = (level: Level, keyType: string, sig: string) => (plan: Plan) => {
  const above = level === 'leaf' ? plan.middles[0] : level === 'middle' ? plan.root : plan.old
  if (above) above.keyType = keyType
  // The root and its cross-sign have one key.
  plan.beyond.keyType = plan.root.keyType
  at(level, spec => {
    spec.sig = sig
  })(plan)
}
const sigs = ['sha1', 'sha224', 'sha384', 'sha512']

const rooted = (change: (spec: Spec) => void) => (spec: Spec, plan: Plan) => {
  change(spec)
  if (spec === plan.root) plan.beyond.keyType = spec.keyType
}

export const ALGORITHMS: readonly Deviation[] = [
  ...each(
    'keys',
    ['leaf', 'middle', 'root'],
    Object.fromEntries(Object.entries(keyed([...KEYS, ...OTHER_KEYS])).map(([k, f]) => [k, rooted(f)])),
  ),
  ...each('keys', ['middle', 'root'], {
    'key dsa': rooted(spec => {
      spec.keyType = 'dsa'
    }),
  }),
  ...each(
    'keys beyond the root',
    ['beyond'],
    keyed(['ml-dsa', 'ed25519', 'ec-192', 'dsa', 'rsa-5120', 'ec-explicit']),
  ),
  ...(['leaf', 'middle', 'beyond'] as const).flatMap(level => [
    ...sigs.flatMap(sig =>
      ['ec-256', 'rsa-2048'].map(type => ({
        name: `${type} with ${sig}: ${level}`,
        kind: 'signatures',
        apply: signedBy(level, type, sig),
      })),
    ),
    ...['sha256', 'sha1', 'sha384'].map(hash => ({
      name: `PSS with ${hash}: ${level}`,
      kind: 'signatures',
      apply: signedBy(level, 'rsa-2048', `pss-${hash}`),
    })),
  ]),
  ...whole('keys beyond the root', {
    'an old root of ML-DSA signs across': signedBy('beyond', 'ml-dsa', 'sha256'),
    'an old root of Ed25519 signs across': signedBy('beyond', 'ed25519', 'sha256'),
    'an old root of DSA signs across': signedBy('beyond', 'dsa', 'sha256'),
    'an old root of ML-DSA is sent, too': plan => {
      plan.old.keyType = 'ml-dsa'
      plan.sends.push('beyond', 'old')
    },
    'an old root of RSA-1024 is sent, too': plan => {
      plan.old.keyType = 'rsa-1024'
      plan.sends.push('beyond', 'old')
    },
  }),
  ...whole('signatures', {
    'a root with SHA-1': plan => {
      plan.root.sig = 'sha1'
    },
    'a root of RSA with MD5': plan => Object.assign(plan.root, { keyType: 'rsa-2048', sig: 'md5' }),
  }),
  ...whole('keys', {
    'RSA everywhere': plan => {
      for (const one of [plan.leaf, plan.root, plan.beyond, ...plan.middles]) one.keyType = 'rsa-2048'
    },
    'RSA-4096 everywhere': plan => {
      for (const one of [plan.leaf, plan.root, plan.beyond, ...plan.middles]) one.keyType = 'rsa-4096'
    },
    'P-384 everywhere': plan => {
      for (const one of [plan.leaf, plan.root, plan.beyond, ...plan.middles])
        Object.assign(one, { keyType: 'ec-384', sig: 'sha384' })
    },
    'Ed25519 everywhere': plan => {
      for (const one of [plan.leaf, plan.root, plan.beyond, ...plan.middles]) one.keyType = 'ed25519'
    },
    'Ed25519 CA, RSA leaf': plan => {
      for (const one of [plan.root, plan.beyond, ...plan.middles]) one.keyType = 'ed25519'
      plan.leaf.keyType = 'rsa-2048'
    },
  }),
]
