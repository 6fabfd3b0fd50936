/**
 * Hundreds of days of one instance on a fake clock: a schedule, a CA that is down now and then, and runs that die.
 * Whole runs over real sockets against the sandbox, whose clock is the same; what is reported is what it saw.
 */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Log } from '../../lib/base/log.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import type { Fault } from '../../sandbox/kit/faults.ts'
import { type FakeClock, fakeClock } from './clock.ts'
import {
  DAY_MS,
  type Dated,
  datesOf,
  HOUR_MS,
  idealOrders,
  isEarlyOne,
  isIn,
  issuedAt,
  type Life,
  MINUTE_MS,
  overlaps,
  quietUntil,
  SHORT_MS,
  type Span,
  windowOf,
} from './days-ideal.ts'
import { createMortal, type Death } from './mortal.ts'
import { createRig, type Rig } from './rig.ts'
import { runEvent } from './run-event.ts'
import { type Seeded, seeded } from './seeded.ts'

export interface Renewal {
  readonly orderedAt: number
  /** What the CA suggests for the certificate that was bound then. */
  readonly window: Span
  /** The CA was down or a run died between the last tick before the window, and its end or the order. */
  readonly isDisturbed: boolean
}

export interface Lived {
  /** Ticks of the schedule, and how many of them were run: the others lie where nothing can be due. */
  readonly ticks: number
  readonly runs: number
  /** Runs that died. */
  readonly deaths: number
  readonly outages: readonly Span[]
  /** Orders that the CA took, and those of a client that does it all right. */
  readonly orders: number
  readonly ideal: number
  /** The time after which that client makes as many, to ours: 1.05 is one too many in twenty. */
  readonly pace: number
  readonly renewals: readonly Renewal[]
  /**
   * While what was bound had expired. Excused: the first run since the outage began that could end it did. Outlasted:
   * by the outage.
   */
  readonly expired: readonly (Span & { readonly isExcused: boolean; readonly isOutlasted: boolean })[]
  /** What should not have been, each with its day. */
  readonly objections: readonly string[]
}

const FIRST_DAY = Date.parse('2027-01-05T00:00:00Z')
const RUN_MS = 15 * MINUTE_MS
/** Of the runs, as far as they make as many requests as are drawn; a rotation makes about as many. */
const DEATHS = 0.12
const REQUESTS = 36
const OUTAGES = 8
/** Where nothing can be due, a tick is run about this often all the same. */
const SAMPLE_MS = 2 * DAY_MS
/** A disk that forgets: the days would mostly wait for one that does not. */
const MEMORY = '/dev/shm'

/** One outage in each eighth of the days, of an hour to a week; the first lasts a week. */
function drawOutages(random: Seeded, startedAt: number, days: number): readonly Span[] {
  const shareMs = (days * DAY_MS) / OUTAGES
  return Array.from({ length: OUTAGES }, (_, i) => {
    const lengthMs = i === 0 ? 7 * DAY_MS : random.whole(HOUR_MS, 7 * DAY_MS)
    const start = startedAt + i * shareMs + random.whole(0, shareMs - lengthMs - DAY_MS)
    return { start, end: start + lengthMs }
  })
}

const DOWN: readonly [Partial<Fault>, ...Partial<Fault>[]] = [
  { drop: 'before' },
  { status: 500 },
  { status: 503, headers: { 'retry-after': '600' } },
]

const drawDeath = (random: Seeded): Death | null =>
  random() < DEATHS ? { call: random.whole(1, REQUESTS), when: random.pick(['before', 'after']) } : null

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** An instance with a certificate that was issued as the days begin. */
async function openDays({ lifetimeMs, tickMs }: Life, clock: FakeClock): Promise<Rig> {
  const isShort = lifetimeMs < SHORT_MS
  const validity = isShort ? {} : { validitySeconds: lifetimeMs / 1_000 }
  const options = { now: clock.now, ca: validity } as const
  const rig = await createRig(options, existsSync(MEMORY) ? MEMORY : tmpdir())
  const { ca, iotda, domain } = rig.sandbox
  await rig.configure(settings => {
    Object.assign(settings.certificates.iot, { profile: isShort ? 'shortlived' : null })
    Object.assign(settings.targets[0].probe, { within: '10s', steady: 2 })
    settings.schedule = { interval: `${tickMs / MINUTE_MS}m` }
    delete settings.sources.sandbox.budget
  })
  const { start, end } = issuedAt(clock.now(), lifetimeMs)
  const dates = { notBefore: new Date(start), notAfter: new Date(end) }
  const { certPem, keyPem } = await ca.issue([domain], { ...dates, keyType: 'ec-256' })
  iotda.createConfiguration(domain, iotda.upload(certPem, keyPem))
  return rig
}

interface Run {
  readonly at: number
  readonly isUp: boolean
  /** Null: it died. */
  readonly result: TargetResult | null
}

interface Order {
  readonly at: number
  /** The certificate that was bound then. */
  readonly dates: Dated
}

/** What was bound from when on, every order, and every run. */
interface Seen {
  readonly binds: readonly { readonly at: number; readonly dates: Dated }[]
  readonly orders: readonly Order[]
  readonly runs: readonly Run[]
}

/** The instance, its CA and its schedule. */
async function openWorld(life: Life) {
  const random = seeded(life.seed)
  const startedAt = FIRST_DAY + random.whole(0, DAY_MS / 1_000) * 1_000
  const clock = fakeClock(startedAt)
  const outages = drawOutages(random, startedAt, life.days)
  const kinds = outages.map(() => random.pick(DOWN))
  const rig = await openDays(life, clock)
  const { iotda, faults, ca, dns } = rig.sandbox
  const bound = (): Dated => {
    const dates = datesOf(iotda.bound()?.certificatePem ?? '')
    const n = ca.issued.findIndex(({ notAfter }) => notAfter.getTime() === dates.end)
    return { ...dates, isEarly: isEarlyOne(n) }
  }
  const binds = [{ at: startedAt, dates: bound() }]
  iotda.onBind(() => binds.push({ at: clock.now(), dates: bound() }))
  let asked: Order = { at: 0, dates: bound() }
  faults.onCall(({ operation }) => {
    if (operation === 'acme.NewOrder') asked = { at: clock.now(), dates: bound() }
  })
  const mortal = createMortal()
  const seen = { binds, orders: [] as Order[], runs: [] as Run[] }
  let told = 0
  /** The CA's wish for what it has issued meanwhile. */
  const tellWishes = (): void => {
    for (const { certId, notBefore, notAfter } of ca.issued.slice(told)) {
      const dates = { start: notBefore.getTime(), end: notAfter.getTime(), isEarly: isEarlyOne(told) }
      const { start, end } = windowOf(dates)
      if (dates.isEarly) ca.setRenewalInfo(certId, { start: new Date(start), end: new Date(end) })
      told += 1
    }
  }
  const run = async (tick: number): Promise<Run> => {
    const at = clock.now()
    const down = outages.findIndex(outage => isIn(at, [outage]))
    faults.clear()
    faults.clearCalls()
    dns.clearQueries()
    if (down >= 0) faults.add({ operations: ['acme.*'], times: Number.MAX_SAFE_INTEGER, ...kinds[down] })
    const deadline = at + RUN_MS
    const request = { config: rig.settingsFile, event: runEvent(), deadline, log: quiet, clock }
    const death = drawDeath(seeded(life.seed * 1_000_003 + tick))
    const answer = await mortal.run({ ...request, trigger: 'schedule' }, death)
    tellWishes()
    while (seen.orders.length < ca.orders.length) seen.orders.push(asked)
    const one = { at, isUp: down < 0, result: answer?.results[0] ?? null }
    seen.runs.push(one)
    return one
  }
  const dispose = async (): Promise<void> => {
    await mortal.close()
    await rig.dispose()
  }
  return { rig, clock, startedAt, outages, bound, seen: seen satisfies Seen, run, dispose }
}

/** What is wrong with a run; null when nothing is. */
function objectionTo({ at, isUp, result }: Run, before: Run | undefined, dates: Dated, tickMs: number) {
  if (result === null) return null
  const { outcome, decision, error } = result
  const why = `${decision.detail}${error ? `; ${error.code}: ${error.message}` : ''}`
  // A run that died may have left something to be finished.
  const isQuiet = before?.result?.outcome === 'idle' && at < quietUntil(dates, tickMs)
  if (isQuiet && outcome !== 'idle') return `${outcome} where nothing can be due: ${why}`
  return error && isUp ? `${outcome} although the CA is up: ${why}` : null
}

/** What is left at the end of the days and should not be. */
const leftovers = ({ sandbox }: Rig): readonly string[] => {
  const { iotda, dns, ca } = sandbox
  const txt = dns.zones.list.flatMap(zone => dns.zones.all(zone)).filter(set => set.type === 'TXT')
  const unfinished = ca.orders.filter(order => !['valid', 'invalid'].includes(order.status))
  return [
    ...(iotda.certificates().length === 2 ? [] : [`${iotda.certificates().length} slots are used`]),
    ...txt.map(({ name, values }) => `${name} still holds ${values.join(', ')}`),
    ...unfinished.map(({ url, status }) => `${url} is ${status}`),
  ]
}

const renewalsOf = ({ orders, runs }: Seen, outages: readonly Span[], tickMs: number): readonly Renewal[] =>
  orders.map(({ at, dates }) => {
    const window = windowOf(dates)
    const watched = { start: quietUntil(dates, tickMs) - tickMs, end: Math.min(at, window.end) }
    const died = runs.some(run => run.result === null && run.at >= watched.start && run.at <= watched.end)
    return { orderedAt: at, window, isDisturbed: died || outages.some(outage => overlaps(outage, watched)) }
  })

/** By the time of the last order, not by a count: whether the next one lies just before the end of the days is luck. */
function paceOf({ orders }: Seen, life: Life, startedAt: number, outages: readonly Span[]): number {
  const takenMs = (orders.at(-1)?.at ?? Number.NaN) - startedAt
  const ideal = idealOrders({ ...life, days: 2 * life.days }, startedAt, outages)
  return ((ideal[orders.length - 1] ?? Number.NaN) - startedAt) / takenMs
}

const expiredIn = ({ binds, runs }: Seen, outages: readonly Span[], end: number): Lived['expired'] =>
  binds.flatMap(({ dates }, i) => {
    const until = binds[i + 1]?.at ?? end
    if (until <= dates.end) return []
    const outage = outages.findLast(({ start }) => start < dates.end) ?? { start: 0, end: 0 }
    const before = runs.filter(({ at }) => at >= outage.start && at <= until).slice(0, -1)
    const isExcused = before.every(({ result, isUp }) => result === null || !isUp)
    return [{ start: dates.end, end: until, isExcused, isOutlasted: outage.end > dates.end }]
  })

/**
 * Lives through the days. The seed decides outages, deaths and which idle ticks are run; keys and serial numbers are
 * new each time, and with them the instant in each window.
 */
export async function liveThrough(life: Life): Promise<Lived> {
  const { days, tickMs, seed } = life
  const world = await openWorld(life)
  const { rig, clock, startedAt, outages, bound, seen, run } = world
  const ticks = Math.floor((days * DAY_MS) / tickMs)
  const objections: string[] = []
  const object = (what: string): void => {
    objections.push(`day ${((clock.now() - startedAt) / DAY_MS).toFixed(2)} of seed ${seed}: ${what}`)
  }
  /** The last tick before an instant. */
  const tickBefore = (instant: number): number => Math.ceil((instant - startedAt) / tickMs) - 1
  /** The last tick at which nothing can be due: an idle run, or one that backs off while there is no hurry yet. */
  const lastQuiet = ({ at, result }: Run): number => {
    const dates = bound()
    if (result?.outcome === 'idle') return tickBefore(quietUntil(dates, tickMs))
    const { reason, nextCheckAt } = result?.decision ?? {}
    if (reason !== 'backing-off' || !nextCheckAt) return 0
    return tickBefore(Math.min(Date.parse(nextCheckAt), Math.max(at, dates.end - life.lifetimeMs / 4)))
  }
  /** A leap to a random tick, at most to the last quiet one; else the next. */
  const nextTick = (tick: number, run: Run): number => {
    const leapMs = seeded(seed * 1_000_033 + tick).whole(tickMs, Math.max(tickMs, 2 * SAMPLE_MS))
    return Math.max(tick + 1, Math.min(tick + Math.floor(leapMs / tickMs), lastQuiet(run)))
  }
  try {
    for (let tick = 0; tick <= ticks; ) {
      clock.advance(Math.max(0, startedAt + tick * tickMs - clock.now()))
      const before = { dates: bound(), run: seen.runs.at(-1) }
      const one = await run(tick)
      const objection = objectionTo(one, before.run, before.dates, tickMs)
      if (objection !== null) object(objection)
      tick = nextTick(tick, one)
    }
    for (const what of leftovers(rig)) object(what)
  } finally {
    await world.dispose()
  }
  return {
    ticks,
    runs: seen.runs.length,
    deaths: seen.runs.filter(({ result }) => result === null).length,
    outages,
    orders: seen.orders.length,
    ideal: idealOrders(life, startedAt, outages).length,
    pace: paceOf(seen, life, startedAt, outages),
    renewals: renewalsOf(seen, outages, tickMs),
    expired: expiredIn(seen, outages, startedAt + ticks * tickMs),
    objections,
  }
}
