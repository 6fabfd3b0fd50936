/** The sandbox CA with a resolver, and runs of the ACME source against it on a clock of their own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { secret } from '../../lib/base/secret.ts'
import type { Clock } from '../../lib/base/time.ts'
import type {
  CertificateRequest,
  CertificateSource,
  DnsSolver,
  Journal,
  Run,
  SourceMemory,
} from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'
import type { Http } from '../../lib/http/http.ts'
import type { CertificateSpec } from '../../lib/model/certificate.ts'
import acme from '../../lib/sources/acme.ts'
import type { AcmeCaOptions } from '../../sandbox/acme-ca/ca.ts'
import { type Rig, startRig } from '../sandbox/acme-ca-rig.ts'
import {
  createJournal,
  createSourceMemory,
  type MemoryJournal,
  type MemorySource,
} from '../support/memory.ts'
import { specOf as anySpec } from '../support/model.ts'
import { quietSignal } from '../support/signal.ts'

export interface LoggedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly message: string
}

export interface TestRun extends Run {
  readonly lines: readonly LoggedLine[]
  warnings(): readonly string[]
}

/** A run with so much time. */
export function createRun(clock: Clock, leftMs = 600_000, signal?: AbortSignal): TestRun {
  const lines: LoggedLine[] = []
  const at = (level: LoggedLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields, message })
  }
  return {
    runId: 'test',
    clock,
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    deadline: clock.now() + leftMs,
    signal: signal ?? quietSignal(),
    lines,
    warnings: () => lines.filter(line => line.level === 'warn').map(line => line.message),
  }
}

/** What is asked for, with one name unless told otherwise. */
export const specOf = (
  names: readonly string[] = ['iot.example.com'],
  more: Partial<CertificateSpec> = {},
): CertificateSpec => anySpec({ names, keyType: 'ec-256', sources: ['ca'], ...more })

/** A request that takes any chain, unless told otherwise. */
export const requestOf = (
  spec = specOf(),
  replaces: string | null = null,
  accepts: CertificateRequest['accepts'] = () => true,
  showsOthers = false,
): CertificateRequest => ({ spec, replaces, accepts, showsOthers, isNews: () => true, emergency: false })

type Input = Partial<Parameters<typeof acme.create>[0]>

/** The outside world of one process: each part may be replaced. */
export interface Outside {
  readonly http: Http
  readonly solver: DnsSolver
  readonly memory: SourceMemory
  readonly journal: Journal
}

/** The source on the given outside; `driver` may be one out of a bundle. */
export function createSource(
  outside: Outside,
  settings: Input & { directory: string },
  run: Run,
  driver = acme,
): CertificateSource {
  const complete = {
    email: null,
    termsOfServiceAgreed: true,
    solver: 'dns',
    accountKey: null,
    caCertificates: null,
    externalAccount: null,
    staging: null,
    budget: { orders: 1_000, perMs: 7 * 86_400_000, failedValidations: 1_000 },
    ...settings,
  }
  return driver.create(complete, {
    name: 'ca',
    http: () => outside.http,
    clock: run.clock,
    log: run.log,
    huaweiKeys: () => Promise.reject(new Error('not needed')),
    memory: outside.memory,
    solver: () => outside.solver,
  })
}

export interface Bench extends Rig {
  readonly fakeClock: Clock
  /** Every sleep of the runs, in milliseconds. */
  readonly sleeps: readonly number[]
  readonly memory: MemorySource
  readonly outside: Outside & { readonly journal: MemoryJournal }
  /** Solver calls, e.g. `present _acme-challenge.iot.example.com.`, in order. */
  readonly solverCalls: readonly string[]
  newRun(leftMs?: number, signal?: AbortSignal): TestRun
  source(run: Run, settings?: Input, outside?: Partial<Outside>): CertificateSource
}

const bare = (fqdn: string): string => fqdn.replace(/\.$/, '')

/** A solver that writes into the rig's DNS. */
export const createSolver = ({ dns }: Pick<Rig, 'dns'>, calls: string[]): DnsSolver => ({
  propagation: {
    check: 'authoritative',
    resolvers: [],
    caCertificates: null,
    nameservers: [dns.address],
    port: 53,
    withinMs: 60_000,
    everyMs: 2_000,
    settleMs: 0,
  },
  prepare: async fqdn => {
    calls.push(`prepare ${fqdn}`)
    return null
  },
  present: async (fqdn, value) => {
    calls.push(`present ${fqdn}`)
    const there = dns.txt.get(bare(fqdn)) ?? []
    if (!there.includes(value)) dns.txt.set(bare(fqdn), [...there, value])
  },
  cleanUp: async (fqdn, value) => {
    calls.push(`cleanUp ${fqdn}`)
    const left = (dns.txt.get(bare(fqdn)) ?? []).filter(other => other !== value)
    if (left.length > 0) dns.txt.set(bare(fqdn), left)
    else dns.txt.delete(bare(fqdn))
  },
})

/** Time passes at once, but the CA's validations under way are let through first, as they would be in life. */
const createFakeClock = (rig: Rig, sleeps: number[]): Clock => ({
  now: () => rig.clock.now,
  sleep: async (durationMs, signal) => {
    signal?.throwIfAborted()
    sleeps.push(durationMs)
    rig.clock.now += durationMs
    const asked = rig.faults.calls.some(call => call.operation === 'acme.Challenge')
    const busy = () =>
      asked && rig.ca.orders.some(order => order.authorizations.some(a => a.status === 'pending'))
    for (let tries = 0; tries < 60 && busy(); tries += 1) await sleep(5)
  },
})

/** Everything of one test; gone when the test ends. */
export async function startBench(options: Partial<AcmeCaOptions> = {}): Promise<Bench> {
  const rig = await startRig(options)
  const sleeps: number[] = []
  const solverCalls: string[] = []
  const fakeClock = createFakeClock(rig, sleeps)
  const memory = createSourceMemory()
  const http = createHttp()
  const outside = { http, solver: createSolver(rig, solverCalls), memory, journal: createJournal() }
  return {
    ...rig,
    fakeClock,
    sleeps,
    memory,
    outside,
    solverCalls,
    newRun: (leftMs, signal) => createRun(fakeClock, leftMs, signal),
    source: (run, settings = {}, replaced = {}) =>
      createSource({ ...outside, ...replaced }, { directory: rig.ca.directoryUrl, ...settings }, run),
  }
}

/** One run of the source, in which anything may be another. */
export interface Attempt extends Partial<Outside> {
  readonly spec?: CertificateSpec
  readonly replaces?: string | null
  readonly settings?: Input
  readonly leftMs?: number
  readonly signal?: AbortSignal
}

/** Runs once with the bench's memory; what came of it. */
export async function attempt(bench: Bench, given: Attempt = {}) {
  const { spec = specOf(), replaces = null, settings, leftMs, signal, ...replaced } = given
  const { journal = createJournal() } = replaced
  const run = bench.newRun(leftMs, signal)
  const source = bench.source(run, settings, replaced)
  const result = await source.obtain(requestOf(spec, replaces), journal, run)
  return { result, run, journal }
}

/** Obtains on a fresh journal with the bench's memory; the chain. */
export async function obtained(
  bench: Bench,
  journal: Journal = createJournal(),
  spec = specOf(),
  replaces: string | null = null,
) {
  const { result, run } = await attempt(bench, { journal, spec, replaces })
  if (result.kind !== 'obtained') throw new Error(`suspended: ${result.why}`)
  return { chainPem: result.chainPem, run }
}

/** The error a promise is rejected with; throws when it is not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    value => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in outcome) return outcome.error
  throw new Error(`no rejection, but ${JSON.stringify(outcome.value)}`)
}

/** The same, of ours. */
export async function failureOf(work: Promise<unknown>): Promise<RotationError> {
  const error = await rejection(work)
  expect(error).toBeInstanceOf(RotationError)
  return error as RotationError
}

/** A problem document (RFC 8555 section 6.7). */
export const problem = (type: string, detail = `it is ${type}`, more: object = {}): string =>
  JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail, ...more })

/** Where the record goes away between our look and the CA's; `lose` is told which challenge is answered. */
export function losing(
  { outside, dns }: Bench,
  lose: (url: string) => void = () => dns.txt.clear(),
  reword: (text: string) => string = text => text,
): Http {
  const { http } = outside
  const request: Http['request'] = async given => {
    if (given.url.includes('/challenges/')) lose(given.url)
    const answer = await http.request(given)
    return { ...answer, text: reword(answer.text) }
  }
  return { ...http, request }
}

export const asSecret = secret
