/** The rig of a vendor's driver: its simulator over a DNS, and two solvers, one with keys the vendor does not know. */

import type { DnsSolver, DriverContext } from '../../lib/contracts.ts'
import { createDns, type Dns } from '../../sandbox/dns/server.ts'
import { createFaults, type Faults, type LoggedCall } from '../../sandbox/kit/faults.ts'
import type { Served } from '../../sandbox/kit/http.ts'
import type { SolverRig } from '../contract/solver.ts'
import { cleanups } from '../support/cleanups.ts'
import {
  createContext,
  createRun,
  createTestClock,
  createTestLog,
  noKeys,
  type TestClock,
  textsIn,
  zones,
} from './rig.ts'

export interface Vendor
  extends Pick<SolverRig, 'answers' | 'secrets'>,
    Partial<Pick<SolverRig, 'unknownZone'>> {
  /** Prefix of the operations. */
  readonly service: string
  readonly operations: readonly string[]
  readonly writes: readonly string[]
  readonly removals: readonly string[]
  readonly serve: (dns: Dns, faults: Faults, clock: TestClock) => Promise<Served>
  readonly solver: (url: string, context: DriverContext, isStranger: boolean) => DnsSolver
}

export interface VendorRig extends SolverRig {
  readonly dns: Dns
  readonly url: string
  readonly context: DriverContext
  /** Another solver of the same settings. */
  readonly another: () => DnsSolver
  /** The operations called so far, without the service. */
  readonly made: () => readonly string[]
  readonly calls: (operation: string) => readonly LoggedCall[]
  readonly bodies: (operation: string) => readonly unknown[]
}

/** Starts everything anew. */
export async function createVendorRig(vendor: Vendor): Promise<VendorRig> {
  const { service, answers, secrets, unknownZone = 'solver-zone-missing' } = vendor
  const clock = createTestClock()
  const { log, entries } = createTestLog()
  const dns = await createDns({ zones, now: clock.now })
  const faults = createFaults()
  const server = await vendor.serve(dns, faults, clock)
  cleanups.push(dns.dispose, server.dispose)
  const context = createContext(clock, log, noKeys)
  const full = (operations: readonly string[]): string[] => operations.map(it => `${service}.${it}`)
  const calls = (operation: string): readonly LoggedCall[] =>
    faults.calls.filter(call => call.operation === `${service}.${operation}`)
  return {
    solver: vendor.solver(server.url, context, false),
    stranger: vendor.solver(server.url, context, true),
    clock,
    run: over => createRun(clock, log, over),
    faults,
    operations: full(vendor.operations),
    writes: full(vendor.writes),
    removals: full(vendor.removals),
    answers,
    unknownZone,
    inDns: name => textsIn(dns, name),
    otherWrites: (name, value) => dns.zones.add(name, 'TXT', value),
    stop: server.dispose,
    secrets,
    logged: () => JSON.stringify(entries),
    dns,
    url: server.url,
    context,
    made: () => faults.calls.map(({ operation }) => operation.slice(service.length + 1)),
    another: () => vendor.solver(server.url, context, false),
    calls,
    bodies: operation => calls(operation).map(({ body }) => JSON.parse(body)),
  }
}
