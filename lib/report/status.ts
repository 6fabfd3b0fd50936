import { iso } from '../base/time.ts'
import type { CertificateSpec } from '../model/certificate.ts'
import type { StepStatus } from '../model/outcomes.ts'
import type { Target } from '../model/target.ts'
import type { Records } from '../state/state.ts'

/** What is written down of a target, as it stands in the answers of `plan` and `status`. */
export interface ReportedKept {
  /** The last run that said something new; one that only waits for its time does not. */
  readonly lastResult: { readonly at: string; readonly outcome: string; readonly error: string | null } | null
  readonly held: { readonly since: string; readonly why: string } | null
  readonly failures: number
  readonly retryAfter: string | null
  /** What people were told of the renewal, and since when; null: all is well, or nobody is told. */
  readonly trouble: { readonly event: string; readonly severity: string; readonly since: string } | null
  /** Alerts that could not be delivered yet. */
  readonly undelivered: number
  /** When the CA suggests to renew. */
  readonly renewalWindow: { readonly start: string; readonly end: string } | null
  /** Up to 50, the newest last. */
  readonly history: readonly {
    readonly at: string
    readonly outcome: string
    readonly reason: string
    readonly error: string | null
    readonly before: string | null
    readonly after: string | null
    /** When the certificate of `after` ends. */
    readonly until: string | null
  }[]
  /** Of the last run that did something. */
  readonly lastSteps: readonly {
    readonly step: string
    readonly status: StepStatus
    readonly durationMs: number
  }[]
  /** What was lately asked of the CAs, as far as it counts against a limit. */
  readonly orders: readonly ReportedOrders[]
  /** Where devices are counted: the last counts, the newest last, and when a certificate was bound. */
  readonly online?: ReportedOnline
}

/** Devices online along time; `usual` null: not known. */
export interface ReportedOnline {
  readonly boundAt: string | null
  readonly counts: readonly { readonly at: string; readonly count: number; readonly usual: number | null }[]
}

/** What was lately asked of one CA, as far as it counts against a limit. */
export interface ReportedOrders {
  readonly source: string
  readonly orders: number
  readonly failedValidations: number
}

/** One run for all targets, as it ended. */
export interface LastRun {
  readonly at: string
  readonly ok: boolean
}

/** A target with its certificate, and where it is written down how they stand. */
interface Subject {
  readonly records: Records
  readonly target: Target
  readonly spec: CertificateSpec
}

/** The last run that is written down (null: none), if it can be read. */
export const lastRunIn = (records: Records): Promise<{ readonly lastRun?: LastRun | null }> =>
  records
    .run()
    .get()
    .then(({ last }) => ({ lastRun: last && { at: iso(last.at), ok: last.ok } }))
    .catch(() => ({}))

/** Reads what is written down; nothing is written. @throws RotationError `store-unreadable` */
async function keptOf({ records, target, spec }: Subject): Promise<ReportedKept> {
  const [document, history, certificate, orders, online] = await Promise.all([
    records.target(target).get(),
    records.history(target).get(),
    records.certificate(spec.name).get(),
    ordersOf({ records, spec }),
    target.devices === null ? null : onlineOf({ records, target }),
  ])
  const { lastResult, held, failures, retryAfter, alerts } = document
  const open = alerts.open.renewal
  const window = certificate.renewalInfo?.window ?? null
  return {
    lastResult: lastResult && {
      at: iso(lastResult.at),
      outcome: lastResult.outcome,
      error: lastResult.error,
    },
    held: held && { since: iso(held.since), why: held.why },
    failures,
    retryAfter: retryAfter === null ? null : iso(retryAfter),
    trouble: open?.toldAt ? { event: open.event, severity: open.severity, since: iso(open.since) } : null,
    undelivered: alerts.outbox.length,
    renewalWindow: window && { start: iso(window.start), end: iso(window.end) },
    history: history.rotations.map(({ runId: _, at, until, ...entry }) => ({
      ...entry,
      at: iso(at),
      until: until ? iso(until) : null,
    })),
    lastSteps: history.lastSteps,
    orders,
    ...(online ? { online } : {}),
  }
}

async function onlineOf({ records, target }: Pick<Subject, 'records' | 'target'>): Promise<ReportedOnline> {
  const { boundAt, samples } = await records.deviceCounts(target).get()
  return {
    boundAt: boundAt === null ? null : iso(boundAt),
    counts: samples.map(([at, count, usual]) => ({ at: iso(at), count, usual })),
  }
}

/** For each source of the certificate. @throws RotationError `store-unreadable` */
const ordersOf = ({ records, spec }: Pick<Subject, 'records' | 'spec'>): Promise<readonly ReportedOrders[]> =>
  Promise.all(
    spec.sources.map(async source => ({ source, ...ordersIn(await records.source(source).read()) })),
  )

/** The budget that a source keeps in its notes, over all sets of names. */
function ordersIn({ budget }: Readonly<Record<string, unknown>>): Omit<ReportedOrders, 'source'> {
  const entries = typeof budget === 'object' && budget !== null ? Object.values(budget) : []
  const count = (...names: readonly string[]): number => {
    const lists = names.flatMap(name => entries.map(it => (it as Record<string, unknown> | null)?.[name]))
    return lists.flatMap(list => (Array.isArray(list) ? list : [])).length
  }
  return { orders: count('orders', 'asked', 'ended'), failedValidations: count('failed') }
}

/** A result with what is written down, if it can be read: a status that fails says why already. */
export const withKept = <Result extends object>(subject: Subject, result: Result) =>
  keptOf(subject).then(
    kept => ({ ...result, kept }),
    () => result,
  )

/** A result with what the CAs were asked lately, if it can be read. */
export const withOrders = <Result extends object>(subject: Subject, result: Result) =>
  ordersOf(subject).then(
    orders => ({ ...result, orders }),
    () => result,
  )
