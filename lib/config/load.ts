import { open, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { isDeeperThan } from '../base/deep.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { Language } from '../contracts.ts'
import type { Canary } from '../devices/canary.ts'
import type { HttpProxy } from '../http/http.ts'
import type { CertificateSpec } from '../model/certificate.ts'
import type { Rings } from '../model/rollout.ts'
import type { Target } from '../model/target.ts'
import {
  type Alerting,
  type ChosenStore,
  checkNotifiers,
  checkSealKey,
  salvageAlerting,
  toNotifiers,
  toStore,
} from './alerting.ts'
import { awsKeyLookup } from './aws-keys.ts'
import {
  asRecord,
  type Chosen,
  type ChosenDrivers,
  checkHolders,
  checkNames,
  checkPrograms,
  checkSolvers,
  inOrder,
  refuseInFunction,
  salvage,
  sourcesOf,
} from './checks.ts'
import { checkPage, chooseDrivers, type DriverSchemas, listsForObjects, resolveChosen } from './drivers.ts'
import { jsonMistakeAt } from './json.ts'
import { explain, type Mistake, mistaken } from './mistakes.ts'
import { toProfile } from './profiles.ts'
import { proxyFrom } from './proxy.ts'
import { createResolver, explainRemote, onlyLoopback } from './references.ts'
import { createRemoteReader, type RemoteScheme } from './remote.ts'
import { canaryOf } from './sections/canary.ts'
import { toDevices } from './sections/devices.ts'
import type { FanOut } from './sections/fan-out.ts'
import { checkRollout, toRings } from './sections/rollout.ts'
import { type Shard, shardOf, toShard } from './sections/shards.ts'
import { type CertificateShape, type SettingsShape, settingsShape, type TargetShape } from './settings.ts'
import type { Surroundings } from './surroundings.ts'

export type { Alerting, ChosenNotifier } from './alerting.ts'
export type { DriverSchemas } from './drivers.ts'
export type { Surroundings } from './surroundings.ts'

export interface Settings extends Alerting {
  readonly targets: readonly Target[]
  /** By target name. */
  readonly access: Readonly<
    Record<
      string,
      {
        readonly credentials: string
        readonly caCertificates: string | null
        readonly canaryOf: (profile: string | null) => Canary | null
      }
    >
  >
  readonly certificates: Readonly<Record<string, CertificateSpec>>
  readonly sources: Readonly<Record<string, Chosen>>
  readonly solvers: Readonly<Record<string, Chosen>>
  readonly store: ChosenStore
  /** In which order targets are given what is new to devices; null: all at once. */
  readonly rings: Rings | null
  /** How many targets a run looks after at once. */
  readonly concurrency: number
  /** Into how many parts the targets are divided; in the function of one of them `store.shard` says which, and only its targets are there. */
  readonly shards: Pick<Shard, 'count' | 'previous'>
  /** Null: a run does everything itself. */
  readonly fanOut: FanOut | null
  /** After each run for all targets the page of the fleet goes into the store. */
  readonly isPublished: boolean
  /** Of that page. */
  readonly pageLanguage: Language
  readonly metrics: 'few' | 'all'
}

type RemoteReader = (scheme: RemoteScheme, name: string) => Promise<string>

/**
 * Loads the settings from a file's path or inline JSON; null: from what IOTDA_CERT_CONFIG says. Reports every mistake at once;
 * `salvaged` is told first what is left to report them with.
 * @throws RotationError `settings-invalid`
 */
export async function loadSettings(
  from: string | null,
  drivers: DriverSchemas,
  around: Surroundings = processSurroundings(),
  salvaged: (alerting: Alerting) => void = () => {},
): Promise<Settings> {
  const remote = remoteReader(around)
  const place = placeOf(from, around)
  const { text, where, folder, isFile = false } = await readSettings(place, around, remote)
  const proxy = proxyFrom(around)
  const raw = parseJson(text, where)
  const parsed = v.safeParse(settingsShape, raw)
  const mistakes: Mistake[] = [...(parsed.success ? [] : explain(parsed.issues, '', settingsShape))]
  mistakes.push(...listsForObjects(raw))
  const chosen = await chooseDrivers(raw, drivers, mistakes)
  await checkPage(raw, chosen, drivers, mistakes)
  if (around.isFunction) refuseInFunction(chosen, mistakes)
  const { env, absent, isFunction = false, withoutValues = false } = around
  const read = isFunction ? null : (path: string): Promise<string> => readText(resolve(folder, path))
  const literals = onlyLoopback(raw)
  const resolver = createResolver({
    ...{ env, absent, awsKey: awsKeyLookup(around), read, remote, literals, withoutValues, mistakes },
  })
  const shape = await resolver(parsed.output, '')
  const resolved = await resolveChosen(chosen, resolver)
  // What is whole is checked further although something else is not, so that nothing comes to light one by one.
  const whole = parsed.success ? (shape as SettingsShape) : salvage(shape, mistakes)
  checkNames(whole, mistakes)
  checkHolders(whole, resolved, mistakes)
  checkRollout(whole, mistakes)
  const shard = toShard(whole, around, mistakes)
  checkSolvers(resolved, whole.credentials && Object.keys(whole.credentials), mistakes)
  if (!isFile) checkPrograms(resolved, mistakes)
  checkNotifiers(asRecord(shape).notifiers, mistakes)
  checkSealKey(asRecord(shape).store, mistakes)
  if (mistakes.length > 0 || !parsed.success) {
    salvaged(salvageAlerting(shape, resolved, mistakes, { folder, proxy }))
    throw mistaken(inOrder(mistakes), where)
  }
  return settle(whole, resolved, { folder, proxy, shard })
}

/** Reads what stands in a cloud service; null where nobody gave a way to. */
export function remoteReader(around: Surroundings): RemoteReader | null {
  const { remote, env, absent, isFunction, folder } = around
  if (!remote) return null
  const read = isFunction ? null : (path: string): Promise<string> => readText(resolve(folder, path))
  return createRemoteReader(remote, {
    env,
    ...(absent ? { absent } : {}),
    awsKey: awsKeyLookup(around),
    read,
  })
}

/** Where the settings stand. @throws RotationError `usage` when nobody says so */
export function placeOf(from: string | null, { env, isFunction }: Surroundings): string {
  const place = from ?? env.IOTDA_CERT_CONFIG
  if (place) return place
  throw new RotationError('usage', 'no settings are given', {
    retry: 'never',
    hint: isFunction
      ? 'Set the environment variable IOTDA_CERT_CONFIG of the function to the settings in JSON, or to s3://bucket/key, csms:NAME or awssm:NAME.'
      : 'Use --config FILE, or set IOTDA_CERT_CONFIG to the path of a settings file, to inline JSON, or to s3://bucket/key, csms:NAME or awssm:NAME.',
  })
}

/** This process. */
export const processSurroundings = (): Surroundings => ({ env: process.env, folder: currentFolder() })

function currentFolder(): string {
  try {
    return process.cwd()
  } catch (cause) {
    throw new RotationError('usage', 'the current folder is gone', {
      cause,
      retry: 'never',
      hint: 'Change to a folder that exists.',
    })
  }
}

/** Of ten thousand targets with room to spare. */
const LIMIT_BYTES = 16 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024
/** Reads a file or a pipe, up to 16 MiB: one without an end must not be read for ever. @throws `EFBIG` */
export async function readText(path: string): Promise<string> {
  const file = await open(path)
  try {
    const chunks: Buffer[] = []
    for (let size = 0; ; ) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES)
      if (bytesRead === 0) return Buffer.concat(chunks).toString('utf8')
      chunks.push(buffer.subarray(0, bytesRead))
      size += bytesRead
      if (size > LIMIT_BYTES) throw Object.assign(new Error('larger than 16 MiB'), { code: 'EFBIG' })
    }
  } finally {
    await file.close()
  }
}

/** The settings as a text. @throws RotationError `settings-invalid` */
export async function readSettings(
  from: string,
  { folder }: Surroundings,
  remote: RemoteReader | null,
): Promise<{ text: string; where: string; folder: string; isFile?: boolean }> {
  if (from.trimStart().startsWith('{')) return { text: from, where: 'the inline settings', folder }
  const [, scheme, name] = /^(s3|csms|awssm):(.+)$/.exec(from) ?? []
  if (scheme !== undefined && name !== undefined)
    return {
      text: await readRemote(scheme as RemoteScheme, name, remote),
      where: `the settings ${from}`,
      folder,
    }
  const path = resolve(folder, from)
  // Settings that are not taken for JSON, in base64 too, must not be repeated as if they were a file's name.
  const isPath = /^[^{}"\n]{1,255}$/.test(from) && !/^e[wy][\w+/=-]{40}/.test(from)
  const where = isPath ? `the settings file ${from}` : 'the settings file'
  try {
    // A pipe (`--config <(...)`) has no folder of its own.
    const isFile = (await stat(path)).isFile()
    return { text: await readText(path), where, folder: isFile ? dirname(path) : folder, isFile: true }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`
    throw mistaken([{ path: '', message: `${why}; give one with --config FILE or IOTDA_CERT_CONFIG` }], where)
  }
}

async function readRemote(scheme: RemoteScheme, name: string, remote: RemoteReader | null): Promise<string> {
  const where = `${scheme}:${name}`
  const fail = (message: string): never => {
    throw mistaken([{ path: '', message }], where)
  }
  if (remote === null) return fail(`settings from ${scheme}: cannot be read here`)
  return remote(scheme, scheme === 's3' ? name.replace(/^\/\//, '') : name).catch(error =>
    fail(explainRemote(error, where)),
  )
}

/** Settings are five deep; what goes on for ever would end this process. */
const DEPTH_AT_MOST = 50

/** @throws RotationError `settings-invalid` that says the place, and nothing of what stands there */
export function parseJson(text: string, where: string): unknown {
  let value: unknown
  try {
    // Some editors of Windows begin a file with a byte order mark.
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    // The parser's message quotes the text around the mistake, which may be a secret: only the place is said.
    const before = text.slice(0, jsonMistakeAt(text)).split('\n')
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`
    throw mistaken([{ path: '', message: `is no valid JSON at ${place}` }], where)
  }
  if (isDeeperThan(value, DEPTH_AT_MOST))
    throw mistaken([{ path: '', message: `is nested more than ${DEPTH_AT_MOST} levels deep` }], where)
  return value
}

// --- the result --------------------------------------------------------------------------------------------

function settle(
  shape: SettingsShape,
  chosen: ChosenDrivers,
  { folder, proxy, shard }: { folder: string; proxy: HttpProxy | null; shard: Shard | null },
): Settings {
  const isOwn = ({ certificate }: TargetShape) =>
    shard === null || shardOf(certificate, shard.count) === shard.number
  const targets = shape.targets.filter(isOwn).map(toTarget)
  const store = toStore(shape.store, chosen.store, folder)
  return {
    targets,
    rings: toRings(shape.rollout, targets),
    access: Object.fromEntries(
      shape.targets.map(t => [
        t.name,
        { credentials: t.credentials, caCertificates: t.instance.caCertificates, canaryOf: canaryOf(t) },
      ]),
    ),
    certificates: Object.fromEntries(
      Object.entries(shape.certificates).map(([name, c]) => [name, toSpec(name, c)]),
    ),
    sources: chosen.sources,
    solvers: chosen.solvers,
    credentials: shape.credentials,
    store: shard ? { ...store, shard } : store,
    notifiers: toNotifiers(shape.notifiers, chosen),
    heartbeat: shape.heartbeat,
    intervalMs: shape.schedule.interval,
    isPublished: shape.statusPage.publish,
    pageLanguage: shape.statusPage.language,
    metrics: shape.metrics,
    concurrency: shape.schedule.concurrency,
    fanOut: shape.schedule.fanOut,
    shards: { count: shape.schedule.shards, previous: shape.schedule.shardsPrevious },
    proxy,
  }
}

function toTarget({
  credentials: _c,
  profiles,
  devices,
  minAge,
  probe,
  instance,
  ...rest
}: TargetShape): Target {
  const { within, host, canary: _canary, ...probing } = probe
  const { caCertificates: _ca, ...address } = instance
  return {
    ...rest,
    instance: address,
    probe: { ...probing, host: host ?? rest.domain, withinMs: within },
    profiles: profiles.map(toProfile),
    devices: toDevices(devices),
    minAgeMs: minAge,
  }
}

function toSpec(name: string, certificate: CertificateShape): CertificateSpec {
  const { source: _, ...rest } = certificate
  return { ...rest, name, sources: sourcesOf(certificate) }
}
