import { randomUUID } from 'node:crypto'
import {
  buildSolvers,
  buildSources,
  contextOf,
  huaweiClient,
  openClients,
  openState,
} from '../app/drivers.ts'
import { openNotifiers } from '../app/open-notifiers.ts'
import type { Log } from '../base/log.ts'
import { inParallel } from '../base/parallel.ts'
import { seal, unseal } from '../base/seal.ts'
import { abortAfter, type Clock, iso, SECOND_MS } from '../base/time.ts'
import type { Settings } from '../config/load.ts'
import type { AlertEvent, CertificateSource, Run, SolverReference, SourceContext } from '../contracts.ts'
import type { Issuer } from '../dns/caa.ts'
import { createEndpoint } from '../iotda/endpoint.ts'
import { EVENTS } from '../model/events.ts'
import { missingNames } from '../rotation/observe/source-inventory.ts'
import { takeLease } from '../state/lease.ts'
import { type Finding, fail, looked, ok, warn } from './finding.ts'
import { examineInstance } from './instance.ts'
import { examineName, type NamePatient } from './names.ts'

export interface DoctorRequest {
  /** A TXT value is written, seen and removed. */
  readonly write: boolean
  /** A test message is sent to every notifier. */
  readonly notify: boolean
  readonly deadline: number
  readonly log: Log
  readonly signal?: AbortSignal
}

/** Version 1 of the answer; plain JSON. */
export interface Diagnosis {
  readonly version: 1
  /** Nothing fails; there may be warnings. */
  readonly ok: boolean
  readonly findings: readonly Finding[]
}

const AT_ONCE = 4
const FINISH_MS = 2 * SECOND_MS
const OLDEST_NODE = 20

/** What every part of the examination shares. */
interface Practice {
  readonly settings: Settings
  readonly request: DoctorRequest
  readonly run: Run
  readonly clients: ReturnType<typeof openClients>
  readonly context: ReturnType<typeof contextOf>
}

function runtimeFinding(): Finding {
  const about = { check: 'runtime', subject: null }
  const { node } = process.versions
  if (Number(node.split('.')[0]) >= OLDEST_NODE) return ok(about, `Node ${node}`)
  return fail(about, `Node ${node} is too old`, `Use Node ${OLDEST_NODE} or newer, here and in the function.`)
}

/** A lease is a document that is made, changed and given back under compare-and-swap: all that a store must do. */
async function storeFindings({ settings, context, run }: Practice): Promise<readonly Finding[]> {
  const { type, sealKey } = settings.store
  const about = { check: 'store', subject: type }
  const written = await looked(about, async () => {
    const { store } = await openState(settings, context)
    const lease = await takeLease(store, 'doctor', run)
    try {
      await lease.guard()
    } finally {
      await lease.release()
    }
    return type === 'csms'
      ? warn(
          about,
          'documents are read and written',
          'This store is for a single writer: max_instance_num must be 1.',
        )
      : ok(about, 'documents are read and written, and of two writers one wins')
  })
  const sealed = await looked({ check: 'seal-key', subject: type }, async () => {
    const { store } = await openState(settings, context)
    const key = sealKey ?? (await store.ownSealKey())
    const seals = { check: 'seal-key', subject: type }
    if (key === null)
      return fail(
        seals,
        'store.sealKey is not set',
        'Set it to a reference to 32 random bytes in base64 (openssl rand -base64 32).',
      )
    unseal(key, seal(key, 'test', 'doctor'), 'doctor')
    return ok(seals, 'private keys can be sealed')
  })
  return [...written, ...sealed]
}

interface Ca {
  readonly findings: readonly Finding[]
  readonly issuer: Issuer
}

const UNKNOWN_ISSUER: Issuer = { identities: [], accountUrl: null }

/** What a source holds that makes nothing to order: whether it is there, and for the names that are wanted of it. */
async function inventoryFindings(
  name: string,
  inventory: NonNullable<CertificateSource['inventory']>,
  { settings, run }: Practice,
): Promise<readonly Finding[]> {
  const about = { check: 'certificate', subject: name }
  return looked(about, async () => {
    const { names, notAfter, trouble } = await inventory(run)
    const wanted = Object.values(settings.certificates).filter(it => it.sources.includes(name))
    const missing = wanted.flatMap(it => missingNames(names, it.names))
    const holds = `it holds a certificate for ${names.join(', ') || 'no name'}, valid until ${iso(notAfter)}`
    if (missing.length > 0)
      return fail(about, `${holds}: not for ${missing.join(', ')}`, 'Get one with these names.')
    if (notAfter <= run.clock.now()) return fail(about, holds, 'Get a new one: this one has expired.')
    return trouble === null
      ? ok(about, holds)
      : warn(about, `${holds}; ${trouble}`, 'See the certificate at its source.')
  })
}

async function sourceFindings(name: string, source: CertificateSource, practice: Practice): Promise<Ca> {
  const { run } = practice
  if (source.inventory)
    return { findings: await inventoryFindings(name, source.inventory, practice), issuer: UNKNOWN_ISSUER }
  let issuer = UNKNOWN_ISSUER
  const findings = await looked({ check: 'ca', subject: name }, async () => {
    const said = await source.check?.(run)
    if (!said) return ok({ check: 'ca', subject: name }, 'there is nothing to look at')
    issuer = { identities: said.caaIdentities, accountUrl: said.accountUrl }
    const directory = ok({ check: 'ca', subject: name }, said.directory)
    const about = { check: 'account', subject: name }
    const { account } = said
    return [directory, account.ok ? ok(about, account.message) : fail(about, account.message, account.remedy)]
  })
  return { findings, issuer }
}

/** Every name with each solver that one of its sources would use, once, and the CAs that it is for. */
function namesOf(
  { settings, run, request, clients }: Practice,
  solver: SourceContext['solver'],
  cas: Readonly<Record<string, Ca>>,
): readonly NamePatient[] {
  const patients = new Map<string, NamePatient[]>()
  const admit = (name: string, source: string): void => {
    const { solver: reference } = (settings.sources[source]?.settings ?? {}) as { solver?: SolverReference }
    if (reference === undefined) return
    const domain = name.replace(/^\*\./, '')
    const chosen = solver(reference, domain)
    const others = patients.get(domain)?.filter(it => it.solver !== chosen) ?? []
    const known = patients.get(domain)?.find(it => it.solver === chosen)
    const patient: NamePatient = {
      ...{ domain, solver: chosen, write: request.write },
      wildcards: [...new Set([...(known?.wildcards ?? []), domain !== name])],
      issuers: { ...known?.issuers, [source]: cas[source]?.issuer ?? UNKNOWN_ISSUER },
      access: { propagation: chosen.propagation, http: clients.http, run },
      isShared: false,
    }
    patients.set(domain, [...others, patient])
  }
  for (const { names, sources } of Object.values(settings.certificates))
    for (const name of names) for (const source of sources) admit(name, source)
  return [...patients.values()].flatMap(all => {
    const isShared = new Set(all.flatMap(it => Object.keys(it.issuers))).size > 1
    return all.map(it => ({ ...it, isShared }))
  })
}

async function issuingFindings(practice: Practice): Promise<readonly Finding[]> {
  const { settings, context } = practice
  const { records } = await openState(settings, context)
  const solver = await buildSolvers(settings, context)
  const sources = await buildSources(settings, records.source, context, solver)
  const entries = Object.entries(sources).map(
    async ([name, source]) => [name, await sourceFindings(name, source, practice)] as const,
  )
  const cas = Object.fromEntries(await Promise.all(entries))
  const names = await inParallel(namesOf(practice, solver, cas), AT_ONCE, examineName)
  return [...Object.values(cas).flatMap(it => it.findings), ...names.flat()]
}

const testAlert = (run: Run): AlertEvent => ({
  ...{ version: 1, event: 'test', severity: 'info', kind: 'moment' },
  dedupKey: `iotda-cert/test/${run.runId}`,
  ...{ target: null, domain: null, error: null, daysLeft: null, before: null, after: null },
  reason: 'a test message of `iotda-cert doctor --notify`: nothing has happened',
  runId: run.runId,
  at: iso(run.clock.now()),
  ...{ since: null, durationMs: null, ends: null, nextTryAt: null },
  whatToDo: EVENTS.test.todo,
  runbook: 'RUNBOOK.md#test',
})

async function notifierFindings({ settings, request, context, run }: Practice): Promise<readonly Finding[]> {
  if (settings.notifiers.length === 0) {
    const about = { check: 'notifier', subject: null }
    return [warn(about, 'nobody is told when something fails', 'Add a notifier, or watch the exit code.')]
  }
  const open = await openNotifiers(settings, context)
  const found = await inParallel(settings.notifiers, AT_ONCE, ({ name }) =>
    looked({ check: 'notifier', subject: name }, async () => {
      const about = { check: 'notifier', subject: name }
      const notifier = open.find(it => it.name === name)?.notifier
      if (!notifier) return fail(about, 'it cannot be made', 'Read its settings again; --verbose says more.')
      if (!request.notify) return ok(about, 'is set up; --notify sends a test message')
      await notifier.notify(testAlert(run), run)
      return ok(about, 'has taken a test message: see whether it arrived')
    }),
  )
  return found.flat()
}

/** Looks at every link by its smallest harmless call. Changes nothing but what is asked for, and a lease. */
export async function examine(request: DoctorRequest, settings: Settings, clock: Clock): Promise<Diagnosis> {
  const clients = openClients(settings.proxy)
  const { log, deadline } = request
  const { signal, clear } = abortAfter(Math.max(1, deadline - clock.now()), request.signal)
  try {
    const run: Run = { runId: `doctor-${randomUUID()}`, clock, log, deadline: deadline - FINISH_MS, signal }
    const context = contextOf(settings, clients, { clock, log })
    const practice: Practice = { settings, request, run, clients, context }
    const [instances, state, issuing, notifiers] = await Promise.all([
      inParallel(settings.targets, AT_ONCE, target =>
        examineInstance({
          ...{ target, run, endpoint: createEndpoint() },
          client: signing =>
            huaweiClient(
              settings,
              { ...target, instance: { ...target.instance, signing } },
              clients.http,
              clock,
            ),
        }),
      ),
      storeFindings(practice),
      looked({ check: 'ca', subject: null }, () => issuingFindings(practice)),
      notifierFindings(practice),
    ])
    const findings = [runtimeFinding(), ...instances.flat(), ...issuing, ...state, ...notifiers]
    return { version: 1, ok: findings.every(it => it.verdict !== 'fail'), findings }
  } finally {
    clear()
    await clients.close()
  }
}
