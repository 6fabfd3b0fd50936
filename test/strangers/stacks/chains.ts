/** Sizes, path lengths, roots, and what is sent beyond them. */
import { der } from '../../support/issue.ts'
import { type Deviation, whole } from './levels.ts'
import { type Extension, seq } from './make.ts'
import { basic, caSpec, type Plan, put, type Spec } from './plan.ts'

const pad = (bytes: number): Extension => ({
  id: '1.3.6.1.4.1.99999.8',
  critical: false,
  value: der(0x04, Buffer.alloc(bytes, 1)),
})
const long = (count: number) => (plan: Plan) => {
  plan.middles = Array.from({ length: count }, (_, i) => caSpec(`Stacks CA ${i + 1}`))
}
const held = (name: string, use: string, days: [number, number]): Spec => ({ ...caSpec(name), use, days })

export const CHAINS: readonly Deviation[] = [
  ...whole('sizes of chains', {
    ...Object.fromEntries([0, 2, 3, 6, 7, 8, 9, 10, 12].map(n => [`${n} intermediates`, long(n)])),
    ...Object.fromEntries(
      [9, 14, 15.5, 17, 18.5, 31, 60].map(kilo => [
        `${kilo} KB in all`,
        (plan: Plan) => void plan.middles[0]?.extensions.push(pad(kilo * 1024 - 900)),
      ]),
    ),
    'a leaf of 5 KB': plan => void plan.leaf.extensions.push(pad(5_000)),
    'over 100 KB': plan => {
      long(3)(plan)
      for (const one of plan.middles) one.extensions.push(pad(40_000))
    },
  }),
  ...whole('path lengths', {
    'zero above an intermediate': plan => {
      long(2)(plan)
      put(plan.middles[1] as Spec, basic(true, 0))
    },
    'of the root zero': plan => put(plan.root, basic(true, 0)),
    'of the root one, two follow': plan => {
      long(2)(plan)
      put(plan.root, basic(true, 1))
    },
    'of a leaf that is no CA': plan => put(plan.leaf, basic(false, 0)),
    'zero, a self-issued CA below': plan => {
      long(2)(plan)
      const [lower, upper] = plan.middles as [Spec, Spec]
      put(upper, basic(true, 0))
      Object.assign(lower, { subject: upper.subject, use: 'self-issued' })
    },
    'of the root one, a self-issued CA below': plan => {
      long(2)(plan)
      const [lower, upper] = plan.middles as [Spec, Spec]
      put(plan.root, basic(true, 1))
      Object.assign(lower, { subject: upper.subject, use: 'self-issued' })
    },
    'of 255': plan => put(plan.middles[0] as Spec, basic(true, 127)),
  }),
  ...whole('roots', {
    'another is held': plan => {
      plan.holds = ['old']
    },
    'two, the first another': plan => {
      plan.holds = ['old', 'root']
    },
    'two of one name, the first another': plan => {
      plan.holds = [held('Stacks Root', 'another', [-900, 900]), 'root']
    },
    'two of one name, the second another': plan => {
      plan.holds = ['root', held('Stacks Root', 'another', [-900, 900])]
    },
    'an expired one beside its successor': plan => {
      plan.holds = [held('Stacks Root', 'Stacks Root', [-900, -1]), 'root']
    },
    'its successor beside an expired one': plan => {
      plan.holds = ['root', held('Stacks Root', 'Stacks Root', [-900, -1])]
    },
    'an expired one beside another': plan => {
      plan.holds = [held('Dead Root', 'dead', [-900, -1]), 'root']
    },
    'only an expired one': plan => {
      plan.root.days = [-900, -1]
    },
    'the intermediate is held': plan => {
      plan.holds = ['middle']
    },
    'the intermediate is held, too': plan => {
      plan.holds = ['middle', 'root']
    },
    'the intermediate is held, the leaf sent alone': plan =>
      Object.assign(plan, { holds: ['middle'], sends: ['leaf'] }),
    'intermediate and root are held, the leaf sent alone': plan =>
      Object.assign(plan, { holds: ['middle', 'root'], sends: ['leaf'] }),
    'the cross-sign is held': plan => {
      plan.holds = ['beyond']
    },
    'a CA that signed itself and names another as its issuer': plan => {
      plan.root.aki = seq(der(0x80, Buffer.alloc(20, 3)))
    },
    'the leaf alone': plan => {
      plan.sends = ['leaf']
    },
    'the root issues the leaf': plan => {
      plan.middles = []
    },
  }),
  ...whole('certificates beyond the root', {
    'the root is sent': plan => void plan.sends.push('root'),
    'a cross-sign is sent': plan => void plan.sends.push('beyond'),
    'a cross-sign and the old root are sent': plan => void plan.sends.push('beyond', 'old'),
    'a cross-sign is sent, both roots are held': plan => {
      plan.sends.push('beyond')
      plan.holds = ['root', 'old']
    },
    'a cross-sign is sent, the old root is held': plan => {
      plan.sends.push('beyond')
      plan.holds = ['old']
    },
    'root and cross-sign are sent': plan => void plan.sends.push('root', 'beyond'),
    'cross-sign and root are sent': plan => void plan.sends.push('beyond', 'root'),
    'a cross-sign that expired': plan => {
      plan.sends.push('beyond')
      plan.beyond.days = [-900, -1]
    },
    'a stranger at the end': plan => void plan.sends.push('stranger'),
    'a stranger after the leaf': plan => {
      plan.sends = ['leaf', 'stranger', 'middles']
    },
    'the leaf twice': plan => {
      plan.sends = ['leaf', 'leaf', 'middles']
    },
    'the intermediate twice': plan => void plan.sends.push('middles'),
    'two intermediates in the wrong order': plan => {
      long(2)(plan)
      plan.arrange.push(([leaf, ...others]) => (leaf ? [leaf, ...others.toReversed()] : []))
    },
    'the root before the intermediate': plan => {
      plan.sends = ['leaf', 'root', 'middles']
    },
  }),
]
