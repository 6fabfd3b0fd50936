/**
 * Fault switches and the request log, shared by every service of one sandbox.
 * An operation is named `service.Operation`, e.g. `iotda.CreateServerCertificate`.
 */

import { refusedOf, type Statement } from './access.ts'
import type { Quoting } from './quoting.ts'

/** What to do to matching calls. Without `status`, `drop`, `cut` or `kill` it only delays. */
export interface Fault {
  /** Patterns of operations: exact, or a prefix ending in `*`. */
  readonly operations: readonly string[]
  /** Matching calls that pass untouched first. Default 0. */
  readonly skip?: number
  /** Matching calls that are hit after that. Default 1. */
  readonly times?: number
  readonly delayMs?: number
  /** Answer this instead of the real answer; with `after`, the operation takes effect first. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** What stands in `body` for `{quoted}`: a part of what was sent. */
  readonly quoting?: Quoting
  readonly after?: boolean
  /** Destroy the connection without an answer, before or after the operation took effect. */
  readonly drop?: 'before' | 'after'
  /** Send only this many bytes of the true body under its full Content-Length, then destroy the connection. */
  readonly cut?: number
  /** SIGKILL a process before or after the operation took effect; it gets no answer. */
  readonly kill?: { readonly pid: number; readonly when: 'before' | 'after' }
}

/** One logged call, in the order of arrival. */
export interface LoggedCall {
  readonly operation: string
  readonly at: number
  readonly method: string
  readonly path: string
  /** As received; secrets included: this is the outside world. */
  readonly body: string
  /** Filled when the answer is known; null when the connection was dropped. */
  status: number | null
}

export interface Faults {
  readonly calls: readonly LoggedCall[]
  add(fault: Fault): void
  clear(): void
  clearCalls(): void
  active(): readonly Fault[]
  /** Calls back when a call arrives, before it takes effect; returns how to stop it. */
  onCall(listener: (call: LoggedCall) => void): () => void
  /** From now on what these statements do not allow is answered 403, as by the clouds' access control; null: all is. */
  allowOnly(statements: readonly Statement[] | null): void
  /** Logs the call and returns the fault that hits it, if any. */
  arrive(call: Omit<LoggedCall, 'at' | 'status'>): { logged: LoggedCall; fault: Fault | null }
}

interface Armed {
  readonly fault: Fault
  skip: number
  left: number
}

const matches = (fault: Fault, operation: string): boolean =>
  fault.operations.some(p => (p.endsWith('*') ? operation.startsWith(p.slice(0, -1)) : p === operation))

export function createFaults(now: () => number = Date.now): Faults {
  let armed: Armed[] = []
  const calls: LoggedCall[] = []
  const listeners = new Set<(call: LoggedCall) => void>()
  let allowed: readonly Statement[] | null = null
  return {
    calls,
    add: fault => {
      armed.push({ fault, skip: fault.skip ?? 0, left: fault.times ?? 1 })
    },
    clear: () => {
      armed = []
    },
    clearCalls: () => {
      calls.length = 0
    },
    active: () => armed.filter(a => a.left > 0).map(a => a.fault),
    onCall: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    allowOnly: statements => {
      allowed = statements
    },
    arrive: call => {
      const logged: LoggedCall = { ...call, at: now(), status: null }
      calls.push(logged)
      for (const listener of listeners) listener(logged)
      const [denied] = allowed === null ? [] : refusedOf(logged, allowed)
      if (denied) {
        const body = JSON.stringify({
          code: 'AccessDenied',
          message: `${denied.action} on ${denied.resource}`,
        })
        return { logged, fault: { operations: [call.operation], status: 403, body } }
      }
      for (const a of armed) {
        if (a.left < 1 || !matches(a.fault, call.operation)) continue
        if (a.skip > 0) {
          a.skip -= 1
          continue
        }
        a.left -= 1
        return { logged, fault: a.fault }
      }
      return { logged, fault: null }
    },
  }
}

/** SIGKILLs the process of a fault when its moment has come. */
export function killIf(fault: Fault | null, when: 'before' | 'after'): boolean {
  if (fault?.kill?.when !== when) return false
  process.kill(fault.kill.pid, 'SIGKILL')
  return true
}
