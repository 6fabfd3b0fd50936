import { asRotationError } from '../base/rotation-error.ts'
import type { Run } from '../contracts.ts'
import type { Leaf, Served } from '../model/certificate.ts'
import type { CheckLine } from '../model/device-profile.ts'
import type { StepName, StepRecord, StepStatus, Warning } from '../model/outcomes.ts'
import type { Kind } from '../model/rollout.ts'
import type { Decision } from './decide/decision.ts'
import type { Inspection } from './observe/inspection.ts'

interface Entries {
  readonly steps: StepRecord
  readonly warnings: Warning
  readonly deletions: { readonly serverCertificateId: string; readonly why: string }
  /** Ids under which the new certificate was uploaded, or found to be. */
  readonly uploads: string
  readonly inspections: Inspection
  /** What the device port showed: also where the rest of the look failed, and again where verify proved it. */
  readonly looks: readonly Served[]
  readonly decisions: Decision
  /** Certificates that were to be bound. */
  readonly leaves: Leaf
  /** What preflight found. */
  readonly tables: readonly CheckLine[]
  /** Devices online, what was usual, and after a bind what that says. */
  readonly counts: {
    readonly at: number
    readonly count: number
    readonly usual: number | null
    readonly verdict: 'back' | 'fewer' | 'unknown' | null
  }
  /** Kinds that a later ring waits for this target to serve. */
  readonly awaited: Kind
  /** What was said in the log, and need not be said again. */
  readonly notes: string
}

/** What has happened to a target so far in this run. Entries are added, never changed. */
export type Trace = { readonly startedAt: number } & {
  readonly [K in keyof Entries]: readonly Entries[K][]
} & { add<K extends keyof Entries>(kind: K, entry: Entries[K]): void }

export function createTrace(startedAt: number): Trace {
  const entries: { [K in keyof Entries]: Entries[K][] } = {
    steps: [],
    warnings: [],
    deletions: [],
    uploads: [],
    inspections: [],
    looks: [],
    decisions: [],
    leaves: [],
    tables: [],
    counts: [],
    awaited: [],
    notes: [],
  }
  return { startedAt, ...entries, add: (kind, entry) => void entries[kind].push(entry) }
}

/** Adds a warning, once. */
export function warn({ trace }: { readonly trace: Trace }, code: string, message: string): void {
  if (!trace.warnings.some(w => w.code === code && w.message === message))
    trace.add('warnings', { code, message })
}

/** What a step came to, and what is said of it. */
export interface StepResult<T> {
  readonly value: T
  readonly status: 'done' | 'skipped'
  readonly detail: string
  readonly call: string | null
}

const result =
  (status: StepResult<unknown>['status']) =>
  <T>(value: T, detail: string, call: string | null = null): StepResult<T> => ({
    value,
    status,
    detail,
    call,
  })

export const done = result('done')
/** What the step is for is so already, or not wanted. */
export const skipped = result('skipped')

/** The run waits, and a later one goes on; no failure. `until`: when to look again; null: when a person says so. */
export class Suspension extends Error {
  readonly until: number | null

  constructor(until: number | null, detail: string) {
    super(detail)
    this.until = until
  }
}

interface Traced {
  readonly trace: Trace
  readonly run: Pick<Run, 'clock'>
  readonly target: { readonly name: string }
  readonly progress: (target: string, step: StepName, ended: StepRecord | null) => void
}

/** To look at again at the next run. */
export const untilNextRun = (
  { run, intervalMs }: { readonly run: Pick<Run, 'clock'>; readonly intervalMs: number },
  detail: string,
): Suspension => new Suspension(run.clock.now() + intervalMs, detail)

/** Logs what went wrong and does not end the run. */
export const logFailure = (
  { run, target }: { readonly run: Pick<Run, 'log'>; readonly target: { readonly name: string } },
  error: unknown,
  message: string,
): void => run.log.warn({ target: target.name, error: (error as Error).message }, message)

/** Runs one step and writes down how it went. */
export async function traced<T>(
  { trace, run: { clock }, target, progress }: Traced,
  step: StepName,
  work: () => Promise<StepResult<T>>,
): Promise<T> {
  const started = clock.now()
  progress(target.name, step, null)
  const end = (status: StepStatus, detail: string, call: string | null = null): void => {
    const ended = { step, status, durationMs: clock.now() - started, call, detail }
    trace.add('steps', ended)
    progress(target.name, step, ended)
  }
  try {
    const { value, status, detail, call } = await work()
    end(status, detail, call)
    return value
  } catch (thrown) {
    if (thrown instanceof Suspension) end('suspended', thrown.message)
    else {
      const { code, message } = asRotationError(thrown)
      end(code === 'preflight-refused' ? 'refused' : 'failed', message)
    }
    throw thrown
  }
}
