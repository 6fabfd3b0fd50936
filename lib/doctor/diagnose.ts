import type { NamedNotifier } from '../alerts/outbox.ts'
import { inParallel } from '../base/parallel.ts'
import { iso } from '../base/time.ts'
import type { HuaweiClient } from '../clouds/huawei/client.ts'
import type { Settings } from '../config/load.ts'
import type {
  AlertEvent,
  CertificateSource,
  DriverContext,
  Run,
  SolverReference,
  SourceContext,
  StateStore,
} from '../contracts.ts'
import type { Issuer } from '../dns/caa.ts'
import type { Endpoint } from '../iotda/endpoint.ts'
import { EVENTS } from '../model/events.ts'
import type { Target } from '../model/target.ts'
import { missingNames } from '../rotation/observe/source-inventory.ts'
import { checkInstance } from './check-instance.ts'
import { type CheckedName, checkName } from './check-name.ts'
import { checkStore } from './check-store.ts'
import { type Finding, fail, looked, ok, warn } from './finding.ts'

/** What is looked at, and how it is opened: what cannot be opened is a finding. */
export interface DoctorContext {
  readonly settings: Settings
  /** A TXT value and documents of the state are written, seen and removed. */
  readonly write: boolean
  /** A test message is sent to every notifier. */
  readonly notify: boolean
  readonly run: Run
  readonly http: DriverContext['http']
  readonly endpoint: Endpoint
  readonly state: () => Promise<{ readonly store: StateStore }>
  readonly issuing: () => Promise<{
    readonly sources: Readonly<Record<string, CertificateSource>>
    readonly solver: SourceContext['solver']
  }>
  readonly notifiers: () => Promise<readonly NamedNotifier[]>
  /** Signed calls to the instance of a target, in a given way. */
  readonly client: (target: Target, signing: Target['instance']['signing']) => HuaweiClient
}

/** Version 1 of the answer; plain JSON. */
export interface Diagnosis {
  readonly version: 1
  /** Nothing fails; there may be warnings. */
  readonly ok: boolean
  readonly findings: readonly Finding[]
}

const AT_ONCE = 4
const OLDEST_NODE = 20

function runtimeFinding(): Finding {
  const about = { check: 'runtime', subject: null }
  const { node } = process.versions
  if (Number(node.split('.')[0]) >= OLDEST_NODE) return ok(about, `Node ${node}`)
  return fail(about, `Node ${node} is too old`, `Use Node ${OLDEST_NODE} or newer, here and in the function.`)
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
  { settings, run }: DoctorContext,
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

async function sourceFindings(name: string, source: CertificateSource, context: DoctorContext): Promise<Ca> {
  const { run } = context
  if (source.inventory)
    return { findings: await inventoryFindings(name, source.inventory, context), issuer: UNKNOWN_ISSUER }
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
  { settings, run, write, http }: DoctorContext,
  solver: SourceContext['solver'],
  cas: Readonly<Record<string, Ca>>,
): readonly CheckedName[] {
  const byDomain = new Map<string, CheckedName[]>()
  const add = (name: string, source: string): void => {
    const { solver: reference } = (settings.sources[source]?.settings ?? {}) as { solver?: SolverReference }
    if (reference === undefined) return
    const domain = name.replace(/^\*\./, '')
    const chosen = solver(reference, domain)
    const others = byDomain.get(domain)?.filter(it => it.solver !== chosen) ?? []
    const known = byDomain.get(domain)?.find(it => it.solver === chosen)
    const checked: CheckedName = {
      domain,
      solver: chosen,
      write,
      wildcards: [...new Set([...(known?.wildcards ?? []), domain !== name])],
      issuers: { ...known?.issuers, [source]: cas[source]?.issuer ?? UNKNOWN_ISSUER },
      access: { propagation: chosen.propagation, http, run },
      isShared: false,
    }
    byDomain.set(domain, [...others, checked])
  }
  for (const { names, sources } of Object.values(settings.certificates))
    for (const name of names) for (const source of sources) add(name, source)
  return [...byDomain.values()].flatMap(all => {
    const isShared = new Set(all.flatMap(it => Object.keys(it.issuers))).size > 1
    return all.map(it => ({ ...it, isShared }))
  })
}

async function issuingFindings(context: DoctorContext): Promise<readonly Finding[]> {
  const { sources, solver } = await context.issuing()
  const entries = Object.entries(sources).map(
    async ([name, source]) => [name, await sourceFindings(name, source, context)] as const,
  )
  const cas = Object.fromEntries(await Promise.all(entries))
  const names = await inParallel(namesOf(context, solver, cas), AT_ONCE, checkName)
  return [...Object.values(cas).flatMap(it => it.findings), ...names.flat()]
}

const testAlert = (run: Run): AlertEvent => ({
  version: 1,
  event: 'test',
  severity: 'info',
  kind: 'moment',
  dedupKey: `iotda-cert/test/${run.runId}`,
  target: null,
  domain: null,
  error: null,
  daysLeft: null,
  before: null,
  after: null,
  reason: 'a test message of `iotda-cert doctor --notify`: nothing has happened',
  runId: run.runId,
  at: iso(run.clock.now()),
  since: null,
  durationMs: null,
  ends: null,
  nextTryAt: null,
  whatToDo: EVENTS.test.todo,
  runbook: 'RUNBOOK.md#test',
})

async function notifierFindings({
  settings,
  notify,
  notifiers,
  run,
}: DoctorContext): Promise<readonly Finding[]> {
  if (settings.notifiers.length === 0) {
    const about = { check: 'notifier', subject: null }
    return [warn(about, 'nobody is told when something fails', 'Add a notifier, or watch the exit code.')]
  }
  const open = await notifiers()
  const found = await inParallel(settings.notifiers, AT_ONCE, ({ name }) =>
    looked({ check: 'notifier', subject: name }, async () => {
      const about = { check: 'notifier', subject: name }
      const notifier = open.find(it => it.name === name)?.notifier
      if (!notifier) return fail(about, 'it cannot be made', 'Read its settings again; --verbose says more.')
      if (!notify) return ok(about, 'is set up; --notify sends a test message')
      await notifier.notify(testAlert(run), run)
      return ok(about, 'has taken a test message: see whether it arrived')
    }),
  )
  return found.flat()
}

/** Looks at every link by its smallest harmless call. Changes nothing but what is asked for, and a lease. */
export async function diagnose(context: DoctorContext): Promise<Diagnosis> {
  const { settings, run, endpoint, client } = context
  const [instances, state, issuing, notifiers] = await Promise.all([
    inParallel(settings.targets, AT_ONCE, target =>
      checkInstance({ target, run, endpoint, client: signing => client(target, signing) }),
    ),
    checkStore(context),
    looked({ check: 'ca', subject: null }, () => issuingFindings(context)),
    notifierFindings(context),
  ])
  const findings = [runtimeFinding(), ...instances.flat(), ...issuing, ...state, ...notifiers]
  return { version: 1, ok: findings.every(it => it.verdict !== 'fail'), findings }
}
