import { resolve } from 'node:path'
import { isSealKey } from '../base/seal.ts'
import type { Secret } from '../base/secret.ts'
import type { Language } from '../contracts.ts'
import type { HttpProxy } from '../http/http.ts'
import type { EventName, Severity } from '../model/events.ts'
import { asRecord, type Chosen, type ChosenDrivers } from './checks.ts'
import type { Mistake } from './mistakes.ts'
import type { Shard } from './sections/shards.ts'
import type { NotifierShape, SettingsShape } from './settings.ts'

/** A notifier as the settings choose it. */
export interface ChosenNotifier extends Chosen {
  readonly name: string
  readonly filter: { readonly minSeverity: Severity; readonly events: readonly EventName[] | null }
  readonly language: Language
}

/** Keys by the name of their entry in `credentials`. */
export type Credentials = Readonly<
  Record<
    string,
    { readonly accessKey: Secret; readonly secretKey: Secret; readonly securityToken: Secret | null }
  >
>

export interface ChosenStore extends Chosen {
  readonly sealKey: Secret | null
  /** What keys were sealed with before; opened with it, they are sealed anew. */
  readonly sealKeyPrevious: Secret | null
  /** The part of the fleet whose state is meant; absent: there is one state for all. */
  readonly shard?: Shard
}

/** What it takes to tell a person, which may be whole where the settings as a whole are not. */
export interface Alerting {
  readonly notifiers: readonly ChosenNotifier[]
  readonly heartbeat: { readonly url: Secret; readonly caCertificates: string | null } | null
  readonly credentials: Credentials
  /** Null: it is not known where state is. */
  readonly store: ChosenStore | null
  readonly intervalMs: number
  /** What the environment says of the way out. */
  readonly proxy: HttpProxy | null
}

/** Named events are meant, however small; without names only what a person should look at. */
function toNotifier(shape: NotifierShape, { notifiers }: ChosenDrivers, index: number): ChosenNotifier {
  const { type, name, minSeverity, events, language } = shape
  return {
    type,
    settings: notifiers[index]?.settings ?? {},
    name: name ?? `${type}-${index + 1}`,
    filter: { minSeverity: minSeverity ?? (events === null ? 'warning' : 'info'), events },
    language,
  }
}

/** Every notifier, with what it is to be told of. */
export const toNotifiers = (
  shapes: readonly NotifierShape[],
  chosen: ChosenDrivers,
): readonly ChosenNotifier[] => shapes.map((shape, i) => toNotifier(shape, chosen, i))

/** Two notifiers of one name could not be told apart. */
export function checkNotifiers(shapes: unknown, mistakes: Mistake[]): void {
  const names = (Array.isArray(shapes) ? shapes : []).map(shape => asRecord(shape).name)
  names.forEach((name, i) => {
    if (typeof name === 'string' && names.indexOf(name) < i)
      mistakes.push({ path: `notifiers[${i}].name`, message: `"${name}" is taken by another notifier` })
  })
}

/** A store that others can reach keeps no key that seals what it holds. One that could not be fetched has been noted. */
export function checkSealKey(shape: unknown, mistakes: Mistake[]): void {
  const { type = 'file', sealKey = null } = asRecord(shape) as Partial<SettingsShape['store']>
  if (mistakes.some(m => m.path.startsWith('store'))) return
  const path = 'store.sealKey'
  if (sealKey === null) {
    if (type !== 'file')
      mistakes.push({
        path,
        message: 'is missing: a reference to 32 random bytes in base64 (openssl rand -base64 32)',
      })
  } else if (sealKey.reveal() !== '' && !isSealKey(sealKey))
    mistakes.push({ path, message: 'must be 32 random bytes in base64 (openssl rand -base64 32)' })
}

/** Paths of a store are relative to the settings file, so that a cron job's working directory does not matter. */
export function toStore(
  shape: Pick<SettingsShape['store'], 'sealKey' | 'sealKeyPrevious'>,
  chosen: Chosen,
  folder: string,
): ChosenStore {
  const { type, settings } = chosen
  const { path } = asRecord(settings)
  const { sealKey, sealKeyPrevious } = shape
  const own = typeof path === 'string' ? { ...asRecord(settings), path: resolve(folder, path) } : settings
  return { type, settings: own, sealKey, sealKeyPrevious }
}

/** The parts of broken settings that are whole and can tell a person of the mistakes. */
export function salvageAlerting(
  output: unknown,
  chosen: ChosenDrivers,
  mistakes: readonly Mistake[],
  { folder, proxy }: { readonly folder: string; readonly proxy: HttpProxy | null },
): Alerting {
  const isWhole = (path: string): boolean =>
    !mistakes.some(m => m.path === path || m.path.startsWith(`${path}.`) || m.path.startsWith(`${path}[`))
  const shape = asRecord(output) as Partial<SettingsShape>
  const shapes: readonly NotifierShape[] = Array.isArray(shape.notifiers) ? shape.notifiers : []
  const isSection = (path: string): boolean => !mistakes.some(m => m.path === path)
  const entries = Object.entries(asRecord(shape.credentials)).filter(
    ([name]) => isSection('credentials') && isWhole(`credentials.${name}`),
  )
  return {
    notifiers: shapes.flatMap((it, i) => (isWhole(`notifiers[${i}]`) ? toNotifier(it, chosen, i) : [])),
    heartbeat: isWhole('heartbeat') ? (shape.heartbeat ?? null) : null,
    credentials: Object.fromEntries(entries) as Credentials,
    store: isWhole('store') && shape.store ? toStore(shape.store, chosen.store, folder) : null,
    intervalMs: isWhole('schedule') ? (shape.schedule?.interval ?? HALF_AN_HOUR_MS) : HALF_AN_HOUR_MS,
    proxy,
  }
}

const HALF_AN_HOUR_MS = 1_800_000
