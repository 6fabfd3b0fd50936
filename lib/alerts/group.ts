import type { AlertEvent } from '../contracts.ts'
import { type EventName, worst } from '../model/events.ts'
import { groupKeyOf, isGroupKey } from './cause.ts'
import { aboutRun, type Subject } from './compose.ts'
import type { Condition, Decided, Message } from './decide.ts'
import type { Ledger, Open } from './ledger.ts'

/** What more targets than this share, for one reason, is one matter for people. */
const GROUP_ABOVE = 3
const NAMED_AT_MOST = 50

/** One state, and what it is about. */
export interface Affected {
  readonly condition: Condition
  readonly subject: Subject
}

/** What was decided of one target, for itself alone. */
export interface DecidedTarget extends Decided {
  readonly subject: Subject
  /** A state that is open, as a matter of the run. */
  readonly affectedBy: (key: string, open: Open) => Affected
}

/** What many targets share: told by the run, in their place. */
export interface Groups {
  readonly keys: ReadonlySet<string>
  readonly affected: readonly Affected[]
  readonly moments: readonly { readonly message: Message; readonly subject: Subject }[]
}

/** Nothing is shared: each target tells for itself. */
export const noGroups: Groups = { keys: new Set(), affected: [], moments: [] }

/** What is known of the run when its targets are grouped. */
export interface GroupedRun {
  readonly runId: string
  /** The states that are open for the run, its groups among them. */
  readonly open: Ledger['open']
  /** Every target was seen: whoever is not in a group now has left it. */
  readonly isComplete: boolean
}

/**
 * Which states and moments more than three targets share. A group stays one until the last of it is over, however
 * few are left. Pure.
 */
export function groupTargets(targets: readonly DecidedTarget[], run: GroupedRun): Groups {
  const byKey = new Map<string, FiringState[]>()
  for (const state of targets.flatMap(firingStates))
    byKey.set(state.groupKey, [...(byKey.get(state.groupKey) ?? []), state])
  const isGroup = (key: string, own: readonly FiringState[]): boolean =>
    own.some(({ groupKey, open }) => open.shared?.cause === groupKey) ||
    ((own.length > GROUP_ABOVE || key in run.open) && own.some(({ unsent }) => unsent.length > 0))
  const groups = [...byKey].filter(([key, own]) => isGroup(key, own))
  return {
    keys: new Set(groups.map(([key]) => key)),
    affected: groups
      // Who else is in it is not known: what is told of it goes on.
      .filter(([key]) => run.isComplete || !(key in run.open))
      .flatMap(([, own]) => own.map(({ affected }) => affected)),
    moments: groupMoments(targets, run.runId),
  }
}

interface FiringState {
  readonly key: string
  readonly open: Open
  readonly groupKey: string
  readonly unsent: readonly Unsent[]
  readonly affected: Affected
}

/** The states of a target that people were told of, or are about to be. */
const firingStates = (decided: DecidedTarget): readonly FiringState[] =>
  Object.entries(decided.ledger.open)
    .filter(([, { toldAt }]) => toldAt !== null)
    .map(([key, open]) => ({
      key,
      open,
      groupKey: groupKeyOf(open.event, open.error),
      unsent: unsentOf(decided, key),
      affected: decided.affectedBy(key, open),
    }))

type Unsent = Pick<AlertEvent, 'kind' | 'runId'>

/** What is said of a state now, and what an earlier run could not deliver of it. */
function unsentOf({ messages, ledger, subject }: DecidedTarget, key: string): readonly Unsent[] {
  const now = messages.filter(it => it.key === key).map(({ kind }) => ({ kind, runId: subject.runId }))
  const before = ledger.outbox
    .map(({ alert }) => alert)
    .filter(({ dedupKey }) => dedupKey === `${subject.id}/${key}`)
  return [...now, ...before].filter(({ kind }) => kind !== 'recovered' && kind !== 'moment')
}

/** Something that happened to a target, in this run or in one that could not deliver it. */
type Happened = Pick<AlertEvent, 'event' | 'severity' | 'reason' | 'target' | 'daysLeft' | 'nextTryAt'>

const isMoment = ({ kind }: Pick<Message, 'kind'>): boolean => kind === 'moment'

const happenedTo = ({ messages, ledger, subject }: DecidedTarget): readonly Happened[] => [
  ...ledger.outbox.map(({ alert }) => alert).filter(isMoment),
  ...messages.filter(isMoment).map(message => ({ ...subject, ...message })),
]

function groupMoments(targets: readonly DecidedTarget[], runId: string): Groups['moments'] {
  const all = targets.map(happenedTo)
  const events = new Set(all.flat().map(({ event }) => event))
  return [...events].flatMap(event => {
    const own = byDaysLeft(all.flatMap(it => it.find(one => one.event === event) ?? []))
    const [first] = own
    if (!first || own.length <= GROUP_ABOVE) return []
    const message: Message = {
      event,
      severity: first.severity,
      kind: 'moment',
      key: event,
      reason: `${first.target}: ${first.reason}`,
      error: null,
      since: null,
      ends: null,
      targets: namesOf(own),
    }
    const { daysLeft, nextTryAt } = first
    return [{ message, subject: { ...aboutRun('iotda-cert', runId), daysLeft, nextTryAt } }]
  })
}

/** What is left for the target itself to tell; of what its groups tell, it remembers that they do. Pure. */
export function withoutGroups(decided: DecidedTarget, { keys, moments }: Groups): Decided {
  const { ledger, messages, subject } = decided
  const taken = firingStates(decided).filter(
    ({ groupKey, unsent }) => keys.has(groupKey) && unsent.length > 0,
  )
  const events = new Set<EventName>(moments.map(({ message }) => message.event))
  const isTaken = (
    { kind, event }: Pick<Message, 'kind' | 'event'>,
    isOf: (key: string) => boolean,
  ): boolean =>
    kind === 'moment' ? events.has(event) : kind !== 'recovered' && taken.some(({ key }) => isOf(key))
  const left = messages.filter(it => !isTaken(it, key => key === it.key))
  const outbox = ledger.outbox.filter(
    ({ alert }) => !isTaken(alert, key => alert.dedupKey === `${subject.id}/${key}`),
  )
  if (left.length === messages.length && outbox.length === ledger.outbox.length) return decided
  const open = taken.map(({ key, open, groupKey, unsent }) => {
    // What waited for this run may have reached another notifier before.
    const wasAlone = unsent.some(({ kind, runId }) => kind !== 'new' || runId !== subject.runId)
    return [key, { ...open, shared: { cause: groupKey, alone: wasAlone || (open.shared?.alone ?? false) } }]
  })
  return {
    ledger: { ...ledger, open: { ...ledger.open, ...Object.fromEntries(open) }, outbox },
    messages: left,
  }
}

/**
 * Makes one of the states that more than three targets share, or that are one already; a state that is told by itself
 * stays by itself. `always` names groups that are known to be some. Pure.
 */
export function groupConditions(
  { open }: Pick<Ledger, 'open'>,
  affected: readonly Affected[],
  always: ReadonlySet<string> = new Set(),
): readonly Affected[] {
  const byKey = new Map<string, Affected[]>()
  const single: Affected[] = []
  for (const one of affected) {
    const { key, event, error } = one.condition
    const isByItself = event === null || one.subject.target === null || isGroupKey(key) || key in open
    if (isByItself) single.push(one)
    else {
      const groupKey = groupKeyOf(event, error)
      byKey.set(groupKey, [...(byKey.get(groupKey) ?? []), one])
    }
  }
  const grouped = [...byKey].flatMap(([key, all]) =>
    all.length > GROUP_ABOVE || key in open || always.has(key) ? [merge(key, all)] : all,
  )
  return [...single, ...grouped]
}

/** The most urgent one speaks for all. */
function merge(key: string, all: readonly Affected[]): Affected {
  const subjects = byDaysLeft(all.map(({ subject }) => subject))
  const first = all.find(({ subject }) => subject === subjects[0]) as Affected
  const conditions = all.map(({ condition }) => condition)
  const levels = conditions.flatMap(({ level }) => level ?? [])
  const { id, daysLeft, runId } = first.subject
  return {
    condition: {
      ...first.condition,
      key,
      level: levels.length > 0 ? Math.min(...levels) : null,
      severity: conditions.map(({ severity }) => severity ?? 'info').reduce(worst),
      graceMs: Math.min(...conditions.map(({ graceMs }) => graceMs ?? 0)),
      targets: namesOf(subjects),
    },
    subject: {
      ...aboutRun(id, runId),
      daysLeft,
      nextTryAt: subjects.flatMap(({ nextTryAt }) => nextTryAt ?? []).toSorted()[0] ?? null,
    },
  }
}

const byDaysLeft = <T extends Pick<Subject, 'daysLeft'>>(all: readonly T[]): readonly T[] =>
  all.toSorted((a, b) => (a.daysLeft ?? Infinity) - (b.daysLeft ?? Infinity))

const namesOf = (sorted: readonly Pick<Subject, 'target'>[]) => ({
  count: sorted.length,
  names: sorted.slice(0, NAMED_AT_MOST).map(({ target }) => target ?? ''),
})
