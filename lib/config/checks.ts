import { formatDuration } from '../base/time.ts'
import { openMs } from '../base/window.ts'
import type { SolverReference } from '../contracts.ts'
import { covers } from '../x509/certificate.ts'
import type { Mistake } from './mistakes.ts'
import { checkProfiles, unreadable } from './profiles.ts'
import type { CertificateShape, SettingsShape, TargetShape } from './settings.ts'

/** One driver as the settings choose it, validated by its own schema. */
export interface Chosen {
  readonly type: string
  readonly settings: unknown
}

export interface ChosenDrivers {
  readonly sources: Readonly<Record<string, Chosen>>
  readonly solvers: Readonly<Record<string, Chosen>>
  readonly store: Chosen
  readonly notifiers: Readonly<Record<string, Chosen>>
}

export const asRecord = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

/** The parts of a broken settings file without a mistake of their own. Targets keep their places. */
export function salvage(output: unknown, mistakes: readonly Mistake[]): SettingsShape {
  const isWhole = (path: string): boolean =>
    !mistakes.some(m => m.path === path || m.path.startsWith(`${path}.`) || m.path.startsWith(`${path}[`))
  const { targets, certificates, sources, solvers, credentials, schedule, rollout } = asRecord(output)
  const wholeTargets: unknown[] = []
  if (Array.isArray(targets)) {
    targets.forEach((target, i) => {
      if (isWhole(`targets[${i}]`)) wholeTargets[i] = target
    })
  }
  // A broken certificate is still there to be named; only what it says is not looked at.
  const named = Object.entries(asRecord(certificates)).map(([name, c]) => [
    name,
    isWhole(`certificates.${name}`) ? c : null,
  ])
  const section = (path: string, value: unknown) =>
    mistakes.some(m => m.path === path) ? null : asRecord(value)
  return {
    targets: wholeTargets,
    certificates: mistakes.some(m => m.path === 'certificates') ? null : Object.fromEntries(named),
    sources: section('sources', sources),
    solvers: section('solvers', solvers),
    credentials: section('credentials', credentials),
    schedule: isWhole('schedule') ? schedule : null,
    rollout: isWhole('rollout') ? rollout : null,
  } as unknown as SettingsShape
}

/** By their place in the file, each once. */
export function inOrder(mistakes: readonly Mistake[]): readonly Mistake[] {
  const seen = new Map(mistakes.map(mistake => [`${mistake.path}: ${mistake.message}`, mistake]))
  return [...seen.values()].toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}

/** Whether what is named is there, every domain is covered, no instance is named twice, and profiles are right. */
export function checkNames(shape: SettingsShape, mistakes: Mistake[]): void {
  const named = (path: string, name: string, section: 'certificates' | 'sources' | 'credentials'): void => {
    // A section that is broken as a whole has been reported.
    if (!shape[section] || Object.hasOwn(shape[section], name)) return
    const known = Object.keys(shape[section]).join(', ') || 'none'
    mistakes.push({ path, message: `there is no "${name}" in ${section} (there: ${known})` })
  }
  shape.targets.forEach((target, i) => {
    named(`targets[${i}].certificate`, target.certificate, 'certificates')
    named(`targets[${i}].credentials`, target.credentials, 'credentials')
    checkDomain(shape, target, i, mistakes)
    checkUnique(shape, target, i, mistakes)
    checkWindows(shape, target, i, mistakes)
    checkProfiles(target.profiles, `targets[${i}].profiles`, mistakes)
    const unread = unreadable(target.trustedRoots ?? '')
    if (unread !== null) mistakes.push({ path: `targets[${i}].trustedRoots`, message: unread })
  })
  for (const [name, certificate] of Object.entries(shape.certificates ?? {})) {
    if (!certificate) continue
    for (const source of sourcesOf(certificate)) named(`certificates.${name}.source`, source, 'sources')
    checkRedundant(certificate, `certificates.${name}.names`, mistakes)
  }
}

/** A run comes once in an interval: in a window that is shorter there may never be one. */
function checkWindows(
  { schedule }: SettingsShape,
  target: TargetShape,
  i: number,
  mistakes: Mistake[],
): void {
  // A section that is broken as a whole has been reported.
  const interval = schedule?.interval ?? 0
  target.bindWindow.forEach((window, at) => {
    if (openMs(window) >= interval) return
    const message = `is open for ${formatDuration(openMs(window))}, less than schedule.interval (${formatDuration(interval)}): a run may never come while it is; open it longer, or run more often`
    mistakes.push({ path: `targets[${i}].bindWindow[${at}]`, message })
  })
}

/** CAs refuse an order with a name that a wildcard of the same order covers. */
function checkRedundant({ names }: CertificateShape, path: string, mistakes: Mistake[]): void {
  names.forEach((name, i) => {
    const wildcard = names.find(other => other.startsWith('*.') && covers([other], name) && other !== name)
    if (wildcard === undefined) return
    const message = `${name} is covered by ${wildcard} in the same list, which CAs refuse: leave it out`
    mistakes.push({ path: `${path}[${i}]`, message })
  })
}

function checkDomain(
  { certificates }: SettingsShape,
  target: TargetShape,
  i: number,
  mistakes: Mistake[],
): void {
  const certificate =
    certificates && Object.hasOwn(certificates, target.certificate) && certificates[target.certificate]
  if (!certificate || covers(certificate.names, target.domain)) return
  const message = `certificate "${target.certificate}" (${certificate.names.join(', ')}) does not cover ${target.domain}: add it to certificates.${target.certificate}.names`
  mistakes.push({ path: `targets[${i}].domain`, message })
}

function checkUnique({ targets }: SettingsShape, target: TargetShape, i: number, mistakes: Mistake[]): void {
  const earlier = targets.slice(0, i).filter(Boolean)
  if (earlier.some(t => t.name === target.name))
    mistakes.push({ path: `targets[${i}].name`, message: `"${target.name}" is taken by another target` })
  const twin = earlier.find(t => sameInstance(t.instance, target.instance))
  if (twin) {
    const message = `is the same instance as target "${twin.name}": an instance has one domain configuration and two slots, so it is one target`
    mistakes.push({ path: `targets[${i}].instance`, message })
  }
}

const sameInstance = (a: TargetShape['instance'], b: TargetShape['instance']): boolean =>
  (a.instanceId !== null && a.instanceId === b.instanceId) ||
  (new URL(a.endpoint).host === new URL(b.endpoint).host &&
    a.projectId === b.projectId &&
    (a.instanceId ?? b.instanceId) === (b.instanceId ?? a.instanceId))

/** A source's `solver` names entries of `solvers`; a solver's, the store's or a notifier's `credentials` one of `credentials`. */
export function checkSolvers(
  { sources, solvers, store, notifiers }: ChosenDrivers,
  credentials: readonly string[] | null,
  mistakes: Mistake[],
): void {
  const withCredentials = Object.entries(solvers).map(
    ([name, solver]) => [`solvers.${name}`, solver] as const,
  )
  const notifying = Object.entries(notifiers).map(([i, it]) => [`notifiers[${i}]`, it] as const)
  for (const [path, { settings }] of [...withCredentials, ['store', store] as const, ...notifying]) {
    const wanted = asRecord(settings).credentials
    if (typeof wanted !== 'string' || !credentials || credentials.includes(wanted)) continue
    const message = `there is no "${wanted}" in credentials (there: ${credentials.join(', ') || 'none'})`
    mistakes.push({ path: `${path}.credentials`, message })
  }
  for (const [name, { settings }] of Object.entries(sources)) {
    const { solver } = asRecord(settings) as { solver?: SolverReference }
    const wanted = typeof solver === 'string' ? [['', solver] as const] : Object.entries(solver ?? {})
    for (const [zone, wantedName] of wanted) {
      if (Object.hasOwn(solvers, wantedName)) continue
      const path = `sources.${name}.solver${zone === '' ? '' : `.${zone}`}`
      mistakes.push({
        path,
        message: `there is no "${wantedName}" in solvers (there: ${Object.keys(solvers).join(', ') || 'none'})`,
      })
    }
  }
}

/** Drivers that hold a certificate of their own, with its key: nothing is ordered, no key is made. */
const HOLDERS = ['acm', 'file']

/** A key that devices pin cannot be kept by who hands out his own; a profile can only be asked of who takes orders. */
export function checkHolders(
  { certificates }: SettingsShape,
  drivers: ChosenDrivers,
  mistakes: Mistake[],
): void {
  for (const [name, certificate] of Object.entries(certificates ?? {})) {
    if (!certificate) continue
    const types = sourcesOf(certificate).map(source => [source, drivers.sources[source]?.type ?? ''] as const)
    const holders = types.filter(([, type]) => HOLDERS.includes(type))
    const [first] = holders
    if (!first) continue
    const [source, type] = first
    const path = `certificates.${name}`
    const own = `source "${source}" (${type}) brings certificate and key as they are`
    if (certificate.reuseKey)
      mistakes.push({ path: `${path}.reuseKey`, message: `cannot be kept: ${own}; leave it out` })
    if (certificate.profile !== null && holders.length === types.length)
      mistakes.push({ path: `${path}.profile`, message: `is asked of nobody: ${own}; leave it out` })
  }
}

/** A function's disk is lost with its process, and its programs are not the operator's. */
export function refuseInFunction({ store, solvers }: ChosenDrivers, mistakes: Mistake[]): void {
  if (store.type === 'file')
    mistakes.push({
      path: 'store.type',
      message: '"file" is not for a function, whose disk is lost: use s3, secretsmanager or csms',
    })
  for (const [name, { type }] of Object.entries(solvers)) {
    if (type !== 'exec') continue
    const message = '"exec" is not for a function: use the solver of the DNS service, or webhook'
    mistakes.push({ path: `solvers.${name}.type`, message })
  }
}

/** Programs are run only for whoever can write the settings file: not for inline or remote settings. */
export function checkPrograms({ solvers }: ChosenDrivers, mistakes: Mistake[]): void {
  for (const [name, { type }] of Object.entries(solvers))
    if (type === 'exec')
      mistakes.push({ path: `solvers.${name}.type`, message: '"exec" needs the settings to be a local file' })
}

/** The sources of a certificate, in order. */
export const sourcesOf = ({ source }: CertificateShape): readonly string[] =>
  typeof source === 'string' ? [source] : (source ?? [])
