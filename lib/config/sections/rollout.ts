import * as v from 'valibot'
import { durationField, nameField, orNull } from '../../base/fields.ts'
import { DAY_MS, formatDuration } from '../../base/time.ts'
import type { Rings } from '../../model/rollout.ts'
import type { Target } from '../../model/target.ts'
import type { Mistake } from '../mistakes.ts'

const targetPattern = () =>
  v.pipe(
    v.string('must be the name of a target, or a pattern such as "eu-*"'),
    v.regex(
      /^[A-Za-z0-9*][A-Za-z0-9._*-]{0,63}$/,
      'must be the name of a target, or a pattern such as "eu-*"',
    ),
  )

const ring = v.strictObject({
  /** How people and options call it. @example "pilot" */
  name: nameField(),
  /** Names of targets, patterns with `*`, or `*` alone: all that no other ring names. */
  targets: v.pipe(
    v.array(targetPattern(), 'must be a list of targets'),
    v.minLength(1, 'must name at least one target'),
  ),
  /** How long all targets of the ring must have served a kind well before the next ring gets it. */
  soak: v.optional(durationField(60 * DAY_MS), '24h'),
})

/** Rings, in order: what is new to devices reaches a few targets first. Null: every target at its own time. */
export const rolloutField = () =>
  orNull(
    v.strictObject({
      /** In order; each target is in one. */
      rings: v.pipe(
        v.array(ring, 'must be a list of rings'),
        v.minLength(1, 'must have at least one ring'),
        v.maxLength(10, 'must have at most 10 rings'),
      ),
    }),
  )
export type RolloutShape = NonNullable<v.InferOutput<ReturnType<typeof rolloutField>>>

const REST = '*'

/** The ring of each target, by its place; a name goes before `*`. */
function placesOf({ rings }: RolloutShape, name: string): readonly number[] {
  const named = rings.flatMap(({ targets }, i) =>
    targets.some(pattern => pattern !== REST && matches(pattern, name)) ? [i] : [],
  )
  return named.length > 0 ? named : rings.flatMap(({ targets }, i) => (targets.includes(REST) ? [i] : []))
}

/** By parts between the stars, so that no pattern takes long. */
function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*')
  const [first = '', ...rest] = parts
  if (rest.length === 0) return pattern === name
  const last = rest.pop() ?? ''
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length)
    return false
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= name.length - last.length
}

/** What a CA of today gives at least: 47 days from 2029 on, and 160 hours where short-lived ones are asked for. */
const SHORTEST_MS = 45 * DAY_MS
const SHORT_LIVED_MS = 6 * DAY_MS

interface Checked {
  readonly rollout: RolloutShape | null
  readonly targets: readonly ({ readonly name: string; readonly certificate: string } | undefined)[]
  readonly certificates: Readonly<Record<string, { readonly profile: string | null } | null>> | null
}

/** Every target in one ring, every name there, and soaks that fit into the lifetime of a certificate. */
export function checkRollout({ rollout, targets, certificates }: Checked, mistakes: Mistake[]): void {
  if (!rollout) return
  const names = targets.flatMap(target => (target ? [target.name] : []))
  const seen = new Set<string>()
  rollout.rings.forEach((ring, i) => {
    const path = `rollout.rings[${i}]`
    if (seen.has(ring.name))
      mistakes.push({ path: `${path}.name`, message: `"${ring.name}" is taken by another ring` })
    seen.add(ring.name)
    ring.targets.forEach((pattern, j) => {
      if (pattern === REST || names.some(name => matches(pattern, name))) return
      const message = pattern.includes('*') ? 'fits no target' : `there is no target "${pattern}"`
      mistakes.push({ path: `${path}.targets[${j}]`, message })
    })
  })
  for (const name of names) {
    const places = placesOf(rollout, name)
    const rings = places.map(i => rollout.rings[i]?.name).join(' and ')
    if (places.length > 1)
      mistakes.push({
        path: 'rollout.rings',
        message: `target "${name}" is in the rings ${rings}: each is in one`,
      })
    if (places.length === 0)
      mistakes.push({
        path: 'rollout.rings',
        message: `target "${name}" is in no ring: name it, or end with a ring of "*"`,
      })
  }
  const sum = rollout.rings.slice(0, -1).reduce((all, { soak }) => all + soak, 0)
  const isShort = targets.some(t => t && certificates?.[t.certificate]?.profile === 'shortlived')
  const lifetime = isShort ? SHORT_LIVED_MS : SHORTEST_MS
  if (sum <= lifetime / 3) return
  const soaks = rollout.rings.slice(0, -1).map(({ name, soak }) => `${name} ${formatDuration(soak)}`)
  mistakes.push({
    path: 'rollout.rings',
    message: `the soaks (${soaks.join(' + ')} = ${formatDuration(sum)}) are more than a third of the ${formatDuration(lifetime)} that a certificate may last: the last ring would be late`,
  })
}

/** The rings with their targets. */
export function toRings(rollout: RolloutShape | null, targets: readonly Target[]): Rings | null {
  if (!rollout) return null
  return rollout.rings.map(({ name, soak }, i) => ({
    name,
    soakMs: soak,
    targets: targets.filter(target => placesOf(rollout, target.name).includes(i)),
  }))
}
