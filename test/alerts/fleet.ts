/** A fleet whose runs tell people, with its state in this process. */
import { alertRun, noteTarget } from '../../lib/alerts/alert-run.ts'
import type { NamedNotifier } from '../../lib/alerts/outbox.ts'
import { silentLog } from '../../lib/base/log.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { newSealKey } from '../../lib/base/seal.ts'
import type { AlertEvent, Run, StateStore, StoredDocument } from '../../lib/contracts.ts'
import type { Target } from '../../lib/model/target.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { openRecords, targetKey } from '../../lib/state/state.ts'
import { result } from '../present/answers.ts'
import { fakeClock } from '../support/clock.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

export const SEAL_KEY = newSealKey()

/** Documents in this process; `refuses` says which may not be written now. */
function memoryStore() {
  const documents = new Map<string, StoredDocument>()
  const behaviour = { refuses: (_key: string): boolean => false }
  let revision = 0
  const store: StateStore = {
    place: 'test',
    writer: 'test',
    read: async key => documents.get(key) ?? null,
    write: async (key, body, expected) => {
      if (behaviour.refuses(key))
        throw new RotationError('unavailable', `test store: ${key} cannot be written`)
      if ((documents.get(key)?.revision ?? null) !== expected)
        throw new RotationError('store-conflict', 'test store: another writer')
      revision += 1
      documents.set(key, { body, revision: `${revision}` })
      return `${revision}`
    },
    remove: async key => void documents.delete(key),
    isGone: async () => false,
    ownSealKey: async () => SEAL_KEY,
  }
  return { store, behaviour, documents }
}

/** One of the fleet. */
export const targetOf = (i: number): Target =>
  ({
    name: `plant-${String(i).padStart(3, '0')}`,
    domain: `iot-${i}.example.com`,
    instance: { projectId: 'p', instanceId: `i${i}`, endpoint: 'https://x', region: 'r', signing: 'auto' },
  }) as Target

/** How a target fares. */
export type State =
  | 'well'
  | 'adopted'
  | 'busy'
  | { readonly code: 'unavailable' | 'unauthorized'; readonly says: string }
type Failing = Extract<State, object>
/** Its TXT record cannot be written. */
export const dnsDown: Failing = { code: 'unavailable', says: 'solvers.dns: present: answered 500' }
/** Its instance lets nobody in. */
export const keysRefused: Failing = {
  code: 'unauthorized',
  says: 'iotda: ListServerCertificates answered 401',
}

/** A fleet with its state and one notifier; each run is a process of its own. */
export function openFleet(size: number) {
  const { store, behaviour, documents } = memoryStore()
  const clock = fakeClock()
  const startedAt = clock.now()
  const targets = Array.from({ length: size }, (_, i) => targetOf(i))
  /** Days left of each at the start. */
  const lives = targets.map((_, i) => 20 + i)
  const heard: AlertEvent[] = []
  let fails: RotationError | null = null
  const notifiers: readonly NamedNotifier[] = ['chat', 'pager'].map(name => ({
    name,
    filter: { minSeverity: name === 'pager' ? 'critical' : 'warning', events: null },
    notifier: {
      notify: async event => {
        if (fails) throw fails
        if (name === 'chat') heard.push(event)
      },
    },
  }))
  let count = 0
  const resultOf = (i: number, state: State): TargetResult => {
    const left = (lives[i] ?? 0) * DAY
    const life = {
      fingerprint: 'a'.repeat(64),
      notBefore: new Date(startedAt + left - 90 * DAY).toISOString(),
      notAfter: new Date(startedAt + left).toISOString(),
    }
    const common = { target: targets[i]?.name ?? '', outlook: { bound: life, served: life, slotsUsed: 2 } }
    if (state === 'busy') return result({ ...common, outcome: 'busy' })
    if (state === 'well') return result(common)
    if (state === 'adopted')
      return result({ ...common, warnings: [{ code: 'adopted', message: 'somebody else bound it' }] })
    const error = { code: state.code, message: state.says, hint: 'mend it', retryAt: null }
    return result({ ...common, outcome: 'failed', error })
  }
  return {
    clock,
    store,
    behaviour,
    documents,
    targets,
    keyOf: (i: number) => `targets/${targetKey(targetOf(i))}`,
    failing: (error: RotationError | null) => {
      fails = error
    },
    /** One run, then a pause; what was said. `only`: for these targets. `dies`: when they have ended, before it tells. */
    run: async (
      stateOf: (i: number) => State,
      { only = null as readonly number[] | null, pauseMs = HOUR, dies = false } = {},
    ) => {
      count += 1
      const records = openRecords(store, async () => SEAL_KEY)
      const signal = new AbortController().signal
      const run: Run = {
        runId: `run-${count}`,
        clock,
        log: silentLog,
        deadline: clock.now() + 60_000,
        signal,
      }
      const chosen = targets.filter((_, i) => only === null || only.includes(i))
      const results = chosen.map(target => {
        const i = targets.indexOf(target)
        return resultOf(i, stateOf(i))
      })
      const alerting = { run, records, notifiers, intervalMs: HOUR }
      const ok = results.every(r => r.error === null)
      const ends: { target: Target; result: TargetResult }[] = []
      for (const target of chosen) {
        const own = results.find(it => it.target === target.name)
        if (own && (await noteTarget(alerting, target, own))) ends.push({ target, result: own })
      }
      const end = { targets: chosen, ends, ok, isWhole: only === null }
      const answer = dies ? null : await alertRun(alerting, end)
      clock.advance(pauseMs)
      const alerts = heard.splice(0)
      const said = alerts.map(
        a => `${a.kind} ${a.event} ${a.severity} ${a.targets ? `many:${a.targets.count}` : a.target}`,
      )
      return { said, alerts, answer }
    },
  }
}

/** All of them fare so. */
export const everybody = (state: State) => () => state
