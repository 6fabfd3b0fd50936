import { resolve } from 'node:path'
import * as v from 'valibot'
import { addressField, durationField, nameField, orNull, pemField, portField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { HttpProxy } from '../http/http.ts'
import type { DeviceProfile } from '../model/device-profile.ts'
import {
  type ChosenNotifier,
  type ChosenStore,
  type Credentials,
  checkNotifiers,
  toNotifiers,
  toStore,
} from './alerting.ts'
import { awsKeyLookup } from './aws-keys.ts'
import { asRecord, type Chosen, inOrder, refuseInFunction } from './checks.ts'
import { credentialsField } from './credentials.ts'
import { chooseDrivers, type DriverSchemas } from './drivers.ts'
import { parseJson, readSettings, readText, remoteReader } from './load.ts'
import { explain, type Mistake, mistaken } from './mistakes.ts'
import { checkProfiles, type ProfilesShape, profilesField, toProfile } from './profiles.ts'
import { proxyFrom } from './proxy.ts'
import { createResolver, onlyLoopback } from './references.ts'
import { shardsField } from './sections/shards.ts'
import { notifierShape } from './settings.ts'
import type { Surroundings } from './surroundings.ts'

/** One device port that the watchdog looks at. */
export interface WatchedTarget {
  readonly name: string
  readonly host: string
  readonly port: number
  /** The name to ask for, and to find in the certificate. */
  readonly sni: string
  readonly addresses: readonly string[]
  /** PEM of the roots that devices trust; null: Node's. */
  readonly roots: string | null
  /** The kinds of device in the field, each judged by itself; none: whoever trusts `roots`. */
  readonly profiles: readonly DeviceProfile[]
}

/** What the watchdog is told; it knows nothing of the rotator's settings. */
export interface WatchSettings {
  readonly targets: readonly WatchedTarget[]
  readonly notifiers: readonly ChosenNotifier[]
  readonly credentials: Credentials
  /** Its own record of what was told; null: it has none. */
  readonly store: ChosenStore | null
  /** The rotator's state, which is only read; null: it is not watched. */
  readonly rotator: {
    readonly store: ChosenStore
    readonly silentAfterMs: number
    /** How many parts it is divided into. */
    readonly shards: number
  } | null
  /** What the environment says of the way out. */
  readonly proxy: HttpProxy | null
}

const host = (what: string) =>
  v.pipe(v.string(`must be ${what}`), v.regex(/^[\w.:-]{1,253}$/, `must be ${what}`))

const store = v.looseObject(
  { type: v.string('must be the name of a store') },
  'must be an object with a "type"',
)

const shape = v.strictObject({
  $schema: v.optional(v.string()),
  version: v.literal(1, 'must be 1'),
  targets: v.pipe(
    v.array(
      v.strictObject({
        name: nameField(),
        host: host('a host name or an IP address'),
        port: v.optional(portField(), 8883),
        /** Default: the host. */
        sni: orNull(host('a domain name')),
        addresses: v.optional(v.array(addressField()), []),
        roots: orNull(pemField()),
        /** As `targets[].profiles` of the rotator, without canaries: no device is connected. */
        profiles: profilesField(),
      }),
      'must be a list of targets',
    ),
    v.minLength(1, 'must have at least one target'),
  ),
  notifiers: v.pipe(
    v.array(notifierShape, 'must be a list of notifiers'),
    v.minLength(1, 'must have at least one notifier: a watchdog that tells nobody is none'),
  ),
  credentials: v.optional(v.record(nameField(), credentialsField()), {}),
  store: orNull(store),
  rotator: orNull(
    v.strictObject({ store, silentAfter: v.optional(durationField(), '12h'), shards: shardsField() }),
  ),
})

/**
 * Loads the watchdog's settings from a file's path or inline JSON; null: from what IOTDA_CERT_WATCH says.
 * @throws RotationError `usage`, or `settings-invalid` with every mistake
 */
export async function loadWatch(
  from: string | null,
  drivers: DriverSchemas,
  around: Surroundings,
): Promise<WatchSettings> {
  const place = watchPlace(from, around.env)
  const remote = remoteReader(around)
  const { text, where, folder } = await readSettings(place, around, remote)
  const raw = parseJson(text, where)
  const parsed = v.safeParse(shape, raw)
  const mistakes: Mistake[] = parsed.success ? [] : [...explain(parsed.issues, '', shape)]
  const { notifiers, store: own, rotator } = asRecord(raw)
  const chosen = await chooseDrivers({ notifiers, store: own ?? undefined }, drivers, mistakes)
  const theirs = await chooseDrivers({ store: asRecord(rotator).store ?? undefined }, drivers, mistakes)
  if (around.isFunction && own) refuseInFunction(chosen, mistakes)
  checkNotifiers(notifiers, mistakes)
  const read = around.isFunction ? null : (path: string): Promise<string> => readText(resolve(folder, path))
  const literals = onlyLoopback({ ...asRecord(raw), sources: {}, solvers: {} })
  const resolver = createResolver({
    env: around.env,
    absent: around.absent,
    awsKey: awsKeyLookup(around),
    read,
    remote,
    literals,
    mistakes,
    withoutValues: around.withoutValues ?? false,
  })
  const whole = (await resolver(parsed.output, '')) as v.InferOutput<typeof shape>
  const resolved = {
    ...chosen,
    notifiers: await resolver(chosen.notifiers, 'notifiers'),
    store: await resolver(chosen.store, 'store'),
  }
  const rotatorStore = await resolver(theirs.store, 'rotator.store')
  for (const [i, { profiles }] of (parsed.success ? whole.targets : []).entries())
    checkWatchedProfiles(profiles, `targets[${i}].profiles`, mistakes)
  if (mistakes.length > 0 || !parsed.success) throw mistaken(inOrder(mistakes), where)
  const open = (it: Chosen): ChosenStore => toStore({ sealKey: null, sealKeyPrevious: null }, it, folder)
  return {
    targets: whole.targets.map(target => ({
      ...target,
      sni: target.sni ?? target.host,
      profiles: target.profiles.map(toProfile),
    })),
    notifiers: toNotifiers(whole.notifiers, resolved),
    credentials: whole.credentials,
    store: whole.store && open(resolved.store),
    rotator: whole.rotator && {
      store: open(rotatorStore),
      silentAfterMs: whole.rotator.silentAfter,
      shards: whole.rotator.shards,
    },
    proxy: proxyFrom(around),
  }
}

function checkWatchedProfiles(profiles: ProfilesShape, path: string, mistakes: Mistake[]): void {
  checkProfiles(profiles, path, mistakes)
  for (const [i, profile] of profiles.entries())
    if (typeof profile === 'object' && profile.canary !== null)
      mistakes.push({
        path: `${path}[${i}].canary`,
        message: 'is not for the watchdog: it connects no device',
      })
}

/** Where the watchdog's settings stand. @throws RotationError `usage` when nobody says so */
export function watchPlace(from: string | null, env: Surroundings['env']): string {
  const place = from ?? env.IOTDA_CERT_WATCH
  if (place) return place
  throw noSettings()
}

const noSettings = (): RotationError =>
  new RotationError('usage', 'the watchdog is not told what to watch', {
    retry: 'never',
    hint: 'Set IOTDA_CERT_WATCH to the path of a file or to JSON: {"version":1,"targets":[{"name":"factory-1","host":"iot.example.com"}],"notifiers":[…]}.',
  })
