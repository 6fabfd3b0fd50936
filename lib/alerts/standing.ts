import { inParallel } from '../base/parallel.ts'
import type { AlertEvent, Run } from '../contracts.ts'
import type { EventName } from '../model/events.ts'
import type { Target } from '../model/target.ts'
import type { TargetResult } from '../report/result.ts'
import type { Document } from '../state/document.ts'
import type { TargetDocument } from '../state/documents.ts'
import { type Records, targetKey } from '../state/state.ts'
import { causeOf, MANY_ABOVE } from './cause.ts'
import { lifetimeOf, RENEWAL } from './conditions.ts'
import { entryId, type Ledger, type Open, type Undelivered } from './ledger.ts'
import { daysLeft, levelOf } from './levels.ts'
import type { Affected } from './many.ts'
import type { RunEnd, ToldRun } from './telling.ts'

/** What targets have told of themselves, or wait to tell; and what of it many of them share. */

export interface Standing {
  readonly target: Target
  readonly result: TargetResult | null
  readonly document: Document<TargetDocument>
  readonly ledger: Ledger
  readonly life: TargetDocument['life']
}

const AT_ONCE = 8

/** One for each target whose document can be read. */
export async function standingsOf(
  { records, run }: ToldRun & { readonly records: Records },
  { targets, results }: RunEnd,
): Promise<readonly Standing[]> {
  const found = await inParallel(targets, AT_ONCE, async target => {
    const document = records.target(target)
    const result = results.find(it => it.target === target.name) ?? null
    return document.get().then(
      ({ alerts, life }) => [{ target, result, document, ledger: alerts, life }],
      (error: Error) => {
        run.log.warn({ target: target.name, error: error.message }, 'its outbox stays as it is')
        return []
      },
    )
  })
  return found.flat()
}

/** A state of one target that people were told of, or are about to be. */
export interface State {
  readonly cause: string
  /** It is told as one of many already. */
  readonly isMember: boolean
  readonly waiting: readonly Undelivered[]
  readonly affected: Affected
}

const waitingFor = ({ outbox }: Ledger, dedupKey: string): readonly Undelivered[] =>
  outbox.filter(({ alert }) => alert.dedupKey === dedupKey && alert.kind !== 'recovered')

export const statesOf = (standing: Standing, run: Run): readonly State[] =>
  Object.entries(standing.ledger.open)
    .filter(([, { toldAt }]) => toldAt !== null)
    .map(([key, open]) => {
      const cause = causeOf(open.event, open.error)
      return {
        cause,
        isMember: open.shared?.cause === cause,
        waiting: waitingFor(standing.ledger, `${targetKey(standing.target)}/${key}`),
        affected: affectedBy(standing, key, open, run),
      }
    })

function affectedBy({ target, result, life }: Standing, key: string, open: Open, run: Run): Affected {
  const now = run.clock.now()
  const lifetime = (result && lifetimeOf(result)) ?? life
  const id = targetKey(target)
  const { error } = open
  return {
    condition: {
      ...{ key: `${id}/${key}`, event: open.event as EventName, error },
      reason: error?.message ?? result?.decision.detail ?? '',
      level: key === RENEWAL && lifetime ? levelOf(lifetime, now) : null,
    },
    subject: {
      ...{ id, target: target.name, domain: target.domain },
      daysLeft: lifetime && daysLeft(lifetime, now),
      ...{ before: null, after: null, runId: run.runId },
      nextTryAt: result?.error?.retryAt ?? result?.decision.nextCheckAt ?? null,
    },
  }
}

/** Things that happened to more than three targets, each as one. Pure. */
export function manyMoments(standings: readonly Standing[], run: Run): readonly AlertEvent[] {
  const events = new Set(standings.flatMap(({ ledger }) => momentsIn(ledger).map(({ alert }) => alert.event)))
  return [...events].flatMap(event => {
    const own = standings.flatMap(({ ledger }) => {
      const first = momentsIn(ledger).find(({ alert }) => alert.event === event)
      return first ? [first.alert] : []
    })
    return own.length > MANY_ABOVE ? [asOne(own, run)] : []
  })
}

const momentsIn = ({ outbox }: Ledger): readonly Undelivered[] =>
  outbox.filter(({ alert }) => alert.kind === 'moment' && alert.target !== null)

const NAMED_AT_MOST = 50

function asOne(all: readonly AlertEvent[], { runId }: Run): AlertEvent {
  const sorted = all.toSorted((a, b) => (a.daysLeft ?? Infinity) - (b.daysLeft ?? Infinity))
  const first = sorted[0] as AlertEvent
  return {
    ...first,
    ...{ target: null, domain: null, before: null, after: null, runId },
    dedupKey: `iotda-cert/${first.event}/${runId}`,
    targets: { count: all.length, names: sorted.slice(0, NAMED_AT_MOST).map(({ target }) => target ?? '') },
    reason: `${first.target}: ${first.reason}`,
  }
}

/** What is told of many is taken from the outbox of the one, which remembers as what it is told. */
export async function absorb(
  { target, document, ledger }: Standing,
  shared: { readonly causes: ReadonlySet<string>; readonly moments: ReadonlySet<string> },
  runId: string,
): Promise<Ledger> {
  const taken = new Set<string>()
  const open: Record<string, Open> = {}
  for (const [key, state] of Object.entries(ledger.open)) {
    const cause = causeOf(state.event, state.error)
    const waiting = waitingFor(ledger, `${targetKey(target)}/${key}`)
    if (!shared.causes.has(cause) || waiting.length === 0) continue
    // One that waited for a later run may have reached another notifier before.
    const alone = waiting.some(({ alert }) => alert.kind !== 'new' || alert.runId !== runId)
    open[key] = { ...state, shared: { cause, alone: alone || (state.shared?.alone ?? false) } }
    for (const entry of waiting) taken.add(entryId(entry))
  }
  for (const entry of momentsIn(ledger)) if (shared.moments.has(entry.alert.event)) taken.add(entryId(entry))
  if (taken.size === 0) return ledger
  const { alerts } = await document.update(d => ({
    ...d,
    alerts: {
      ...d.alerts,
      open: { ...d.alerts.open, ...open },
      outbox: d.alerts.outbox.filter(entry => !taken.has(entryId(entry))),
    },
  }))
  return alerts
}
