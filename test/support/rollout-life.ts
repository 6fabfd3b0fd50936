/**
 * Hundreds of days of a fleet in rings: a CA that changes its root twice, devices that are counted, one type of which
 * refuses the second new root, and nobody who answers. Whole runs over sockets, on a fake clock.
 */
import { X509Certificate } from 'node:crypto'
import { MINUTE_MS } from '../../lib/base/time.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { type Crowd, createCrowd } from '../../sandbox/device/crowd.ts'
import { type Fleet, openFleet } from './fleet.ts'
import { DAY_MS, HOUR_MS } from './scenario.ts'
import { type Seeded, seeded } from './seeded.ts'

export interface RolloutLife {
  /** Targets of each ring, in order. */
  readonly rings: readonly number[]
  /** So many of each ring, at most, have devices that are counted. */
  readonly counted: number
  readonly days: number
  /** The days on which the CA changes its root. */
  readonly changes: readonly [number, number]
  /** Whether the CA still offers a chain to the root before after the second change. */
  readonly hasAlternate: boolean
  readonly seed: number
}

/** A certificate that was bound by us. */
export interface RolloutBind {
  readonly at: number
  readonly ring: number
  readonly target: string
  /** Of the CA's roots the one that its chain leads to: 2 is refused by some devices. */
  readonly root: number
  /** That of the one that it replaced, and what was left of it. */
  readonly oldRoot: number
  readonly leftMs: number
  /** A rollback: it was bound here before. */
  readonly isBack: boolean
}

export interface RolloutLived {
  readonly binds: readonly RolloutBind[]
  readonly startsAt: number
  readonly endsAt: number
  /** Since when the CA issues below each of its roots. */
  readonly issuedSince: readonly number[]
  readonly runs: number
  /** Results of single targets. */
  readonly looks: number
  readonly orders: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly warnings: Readonly<Record<string, number>>
  /** Runs that failed or refused, with what they said; there should be none. */
  readonly objections: readonly string[]
  /** When a kind was first seen frozen; null: none was. */
  readonly frozenAt: number | null
  /** Since when the target serves what it serves at the end, and how long that lasts. */
  readonly left: Readonly<Record<string, number>>
  /** By ring: devices, those that were refused at least once, and connections that failed. */
  readonly devices: readonly {
    readonly devices: number
    readonly refused: number
    readonly connections: number
  }[]
}

export const DEVICES = 200
/** Of them, those that know no third root. */
export const PICKY = 60
export const LIFETIME_MS = 90 * DAY_MS
/** Of each ring; also how long devices are watched. */
export const SOAK_MS = 24 * HOUR_MS
/** How long a counted target is looked at each hour: at first, for what is usual, and after a bind. */
const COUNTED_MS = SOAK_MS + 2 * HOUR_MS

export const ringOf = (name: string): number => Number(name.slice(1, name.indexOf('-')))
const endOf = (chainPem: string): number => Date.parse(new X509Certificate(chainPem).validTo)

/** The place of the root that the last certificate of a chain was issued by. */
function rootOf(chainPem: string, rootPems: readonly string[]): number {
  const last = new X509Certificate(chainPem.slice(chainPem.lastIndexOf('-----BEGIN')))
  return rootPems.findIndex(pem => last.checkIssued(new X509Certificate(pem)))
}

/** The fleet, its CA, its devices and its owner. */
async function openWorld(life: RolloutLife) {
  const random = seeded(life.seed)
  const isCounted = (name: string): boolean => Number(name.slice(name.indexOf('-') + 1)) < life.counted
  const names = life.rings.flatMap((size, ring) => Array.from({ length: size }, (_, i) => `r${ring}-${i}`))
  /** What the owner believes every device to know. */
  let trusted: readonly string[] = []
  const fleet = await openFleet(names, {
    ca: { keyAlgorithm: 'ec-256' },
    daysLeft: () => random.whole(37, 89),
    change: settings => {
      const rings = life.rings.map((_, i) => ({ name: `ring-${i}`, targets: [`r${i}-*`], soak: '24h' }))
      Object.assign(settings, { rollout: { rings } })
      for (const target of settings.targets) {
        if (trusted.length > 0) target.trustedRoots = trusted.join('')
        if (isCounted(target.name)) target.devices = { watch: '24h' }
      }
    },
  })
  const { ca } = fleet.s
  const roots = [ca.rootPem]
  /** What the picky devices know: never the third. */
  const known = [ca.rootPem]
  return {
    fleet,
    names,
    isCounted,
    crowds: crowdsOf(fleet, isCounted, roots, known, random),
    binds: bindsOf(fleet, roots),
    /** The owner tells the settings of both new roots. */
    changeRoot: async (): Promise<void> => {
      await ca.changeRoot(2)
      known.push(ca.rootPem)
      roots.push(ca.rootPem, ca.newRootPem ?? '')
      trusted = roots
      await fleet.configure()
    },
    /** From now on the default chain is the one below the second new root alone. */
    changeChain: (): void => {
      ca.options.chains = life.hasAlternate ? ['short', 'cross-signed'] : ['short']
    },
  }
}

/** Lives through it. Runs whatever may be due, and hourly where devices are counted; skips what can find nothing. */
export async function liveInRings(life: RolloutLife): Promise<RolloutLived> {
  const { fleet, names, isCounted, crowds, binds, ...owner } = await openWorld(life)
  const { clock, rig } = fleet.s
  const startsAt = clock.now()
  const endsAt = startsAt + life.days * DAY_MS
  const issuedSince = [startsAt, ...life.changes.map(day => startsAt + day * DAY_MS)]
  const seen = counters()
  let frozenAt: number | null = null
  const plans: { at: number; act: () => void | Promise<void> }[] = [
    { at: issuedSince[1] ?? 0, act: owner.changeRoot },
    { at: issuedSince[2] ?? 0, act: owner.changeChain },
  ]
  const wake = new Map(names.map(name => [name, startsAt]))
  while (clock.now() < endsAt) {
    const next = Math.min(...wake.values(), ...plans.map(plan => plan.at))
    const hours = Math.ceil((next - startsAt) / HOUR_MS)
    clock.advance(Math.max(0, startsAt + hours * HOUR_MS - clock.now()))
    for (const plan of plans.filter(({ at }) => at <= clock.now())) {
      plans.splice(plans.indexOf(plan), 1)
      await plan.act()
    }
    const awake = names.filter(name => (wake.get(name) ?? 0) <= clock.now())
    if (awake.length === 0) continue
    forget(fleet)
    const results = Object.values(await fleet.run(awake))
    const now = clock.now()
    seen.take(results, `day ${((now - startsAt) / DAY_MS).toFixed(2)} of seed ${life.seed}`)
    for (const result of results) {
      const boundAt = binds.findLast(bind => bind.target === result.target)?.at ?? startsAt
      wake.set(result.target, nextLook(result, now, isCounted(result.target) ? boundAt : null))
    }
    const codes = results.flatMap(({ warnings }) => warnings.map(({ code }) => code))
    // The rings before are asked to go ahead, which they hear of at their next look: the first at once.
    if (codes.includes('rollout-waits'))
      for (const name of names.filter(it => !awake.includes(it)))
        wake.set(name, Math.min(wake.get(name) ?? 0, now + (ringOf(name) === 0 ? HOUR_MS : DAY_MS)))
    if (frozenAt === null && codes.includes('rollout-frozen')) frozenAt = now
  }
  const left = fleet.members.map(({ name, iotda }) => [
    name,
    endOf(iotda.bound()?.certificatePem ?? '') - clock.now(),
  ])
  return {
    ...{ binds, startsAt, endsAt, issuedSince, frozenAt, left: Object.fromEntries(left) },
    orders: rig.sandbox.ca.orders.length,
    devices: life.rings.map((_, ring) => fate(crowds.filter(it => it.ring === ring))),
    ...seen.all(),
  }
}

/** What the sandbox keeps for a test to look at would fill the memory. */
function forget({ s }: Fleet): void {
  const { faults, dns } = s.rig.sandbox
  faults.clearCalls()
  dns.clearQueries()
  s.rig.logged.length = 0
}

interface RingCrowd {
  readonly ring: number
  readonly crowd: Crowd
}

function fate(crowds: readonly RingCrowd[]): RolloutLived['devices'][number] {
  const sum = (of: (crowd: Crowd) => number): number => crowds.reduce((all, { crowd }) => all + of(crowd), 0)
  return {
    devices: sum(crowd => crowd.devices().length),
    refused: sum(crowd => crowd.refused().devices),
    connections: sum(crowd => crowd.refused().connections),
  }
}

function crowdsOf(
  { members, s }: Fleet,
  isCounted: (name: string) => boolean,
  rootPems: readonly string[],
  knownPems: readonly string[],
  random: Seeded,
): readonly RingCrowd[] {
  const types = [
    { productId: 'meter', count: DEVICES - PICKY, rootPems },
    { productId: 'picky', count: PICKY, rootPems: knownPems },
  ]
  return members
    .filter(({ name }) => isCounted(name))
    .map(({ name, iotda }) => {
      const crowd = createCrowd({ iotda, now: s.clock.now, types, random })
      iotda.index.devices = crowd.devices
      return { ring: ringOf(name), crowd }
    })
}

/** Filled as certificates are bound. */
function bindsOf({ members, s }: Fleet, rootPems: readonly string[]): readonly RolloutBind[] {
  const binds: RolloutBind[] = []
  for (const { name: target, iotda } of members) {
    let before = iotda.bound()?.certificatePem ?? ''
    const earlier = new Set([before])
    iotda.onBind(bound => {
      const at = s.clock.now()
      const chainPem = bound?.certificatePem ?? ''
      const replaced = { oldRoot: rootOf(before, rootPems), leftMs: endOf(before) - at }
      const root = rootOf(chainPem, rootPems)
      binds.push({ at, ring: ringOf(target), target, root, ...replaced, isBack: earlier.has(chainPem) })
      before = chainPem
      earlier.add(chainPem)
    })
  }
  return binds
}

/** When it may next be due, or is to be counted. `boundAt`: of a target whose devices are counted. */
function nextLook(
  { outcome, decision, warnings }: TargetResult,
  now: number,
  boundAt: number | null,
): number {
  const next = decision.nextCheckAt === null ? now + DAY_MS : Date.parse(decision.nextCheckAt)
  // A run takes a moment: within the next hour, not after it.
  const inAnHour = now + HOUR_MS - 5 * MINUTE_MS
  // It waits for a person, or for the emergency.
  if (warnings.some(({ code }) => code === 'rollout-frozen')) return now + 8 * HOUR_MS
  if (outcome === 'suspended') return Math.max(inAnHour, Math.min(next, now + DAY_MS))
  if (outcome !== 'idle') return inAnHour
  return boundAt !== null && now - boundAt < COUNTED_MS ? inAnHour : Math.max(inAnHour, next)
}

const EXPECTED: readonly TargetResult['outcome'][] = ['idle', 'rotated', 'suspended', 'rolled-back']

function counters() {
  const outcomes: Record<string, number> = {}
  const warnings: Record<string, number> = {}
  const objections: string[] = []
  const count = (of: Record<string, number>, key: string): void => {
    of[key] = (of[key] ?? 0) + 1
  }
  let runs = 0
  let looks = 0
  return {
    take: (results: readonly TargetResult[], when: string): void => {
      runs += 1
      looks += results.length
      for (const { target, outcome, error, decision, warnings: said } of results) {
        count(outcomes, outcome)
        for (const { code } of said) count(warnings, code)
        if (!EXPECTED.includes(outcome))
          objections.push(`${when}: ${target} ${outcome}: ${error?.message ?? decision.detail}`)
      }
    },
    all: () => ({ runs, looks, outcomes, warnings, objections }),
  }
}
