import { domainToASCII } from 'node:url'
import * as v from 'valibot'
import {
  addressField,
  durationField,
  environmentReference,
  flagField,
  nameField,
  oneOf,
  orNull,
  pemField,
  portField,
  secretField,
  urlField,
} from '../base/fields.ts'
import { DAY_MS, parseDuration } from '../base/time.ts'
import { parseWindow } from '../base/window.ts'
import { LANGUAGES } from '../contracts.ts'
import { KEY_TYPES } from '../model/certificate.ts'
import { EVENT_NAMES, SEVERITIES } from '../model/events.ts'
import { KEY_ENCODINGS } from '../model/target.ts'
import { credentialsField, PROJECT_ID } from './credentials.ts'
import { profilesField } from './profiles.ts'
import { canaryField } from './sections/canary.ts'
import { devicesField } from './sections/devices.ts'
import { fanOutField } from './sections/fan-out.ts'
import { rolloutField } from './sections/rollout.ts'
import { shardsField, shardsPreviousField } from './sections/shards.ts'

/**
 * The shape of the settings file: what each key means, its default, and its unit. Unknown keys are errors.
 * The sections with a `type` are validated further by their driver.
 */

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/
const MINIMUM_WITHIN = '1s'

const isDomain = (name: string): boolean => {
  const labels = name.split('.')
  return name.length <= 253 && labels.length >= 2 && labels.every(label => LABEL.test(label))
}
/** Lower-case A-labels without a final dot; empty when it is no domain name. */
const toAscii = (name: string): string => domainToASCII(name.trim().replace(/\.$/, '')).toLowerCase()

const domain = () =>
  v.pipe(
    v.string('must be a domain name'),
    v.check(
      name => isDomain(toAscii(name)),
      'must be a domain name such as iot.example.com, without a wildcard',
    ),
    v.transform(toAscii),
  )

const certificateName = () =>
  v.pipe(
    v.string('must be a domain name'),
    v.transform(name => (name.startsWith('*.') ? `*.${toAscii(name.slice(2))}` : toAscii(name))),
    v.check(
      name => isDomain(name.replace(/^\*\./, '')),
      'must be a domain name, or a wildcard such as *.example.com',
    ),
  )

const optionalText = () => orNull(v.pipe(v.string('must be a text'), v.minLength(1, 'must not be empty')))

const renewBefore = () =>
  v.pipe(
    v.string('must be a duration such as "30d" or a share such as "1/3"'),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const [, part, whole] = /^(\d{1,3})\/(\d{1,3})$/.exec(dataset.value) ?? []
      const share = part && whole ? Number(part) / Number(whole) : null
      if (share !== null && share > 0 && share < 1) return { share }
      const durationMs = parseDuration(dataset.value)
      if (share === null && durationMs !== null && durationMs > 0) return { durationMs }
      addIssue({ message: 'must be a duration such as "30d" or a share such as "1/3"' })
      return NEVER
    }),
  )

/** `DAYS HH:MM-HH:MM ZONE`. */
const bindWindow = () =>
  v.pipe(
    v.string('must be a range such as "mon-fri 02:00-05:00 Asia/Shanghai"'),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const window = parseWindow(dataset.value)
      if (typeof window !== 'string') return window
      addIssue({ message: window })
      return NEVER
    }),
  )

const instanceEntries = v.strictObject({
  /** Region of the instance. */
  region: v.pipe(
    v.string('must be a region such as "cn-north-4"'),
    v.regex(/^[a-z0-9-]+$/, 'must be a region such as "cn-north-4"'),
  ),
  /**
   * Default: what HUAWEICLOUD_SDK_PROJECT_ID says; inside FunctionGraph, the function's own project. @example
   * "0123456789abcdef0123456789abcdef"
   */
  projectId: orNull(
    v.pipe(
      v.string('must be the project id'),
      v.regex(/^[0-9A-Za-z]{1,64}$/, 'must be the project id (32 hex characters, console: My Credentials)'),
    ),
  ),
  /**
   * UUID of the instance (console: Overview); sent as `Instance-Id`. @example
   * "11111111-2222-3333-4444-555555555555"
   */
  instanceId: optionalText(),
  /**
   * Application access address over HTTPS (console: Overview, Access Details). @example
   * "https://0a1b2c3d4e.st1.iotda-app.cn-north-4.myhuaweicloud.com"
   */
  endpoint: urlField(),
  /** How requests are signed: `derived` for hosts of an instance, `standard` else; `auto` tells by the host. */
  signing: v.optional(oneOf(['auto', 'standard', 'derived']), 'auto'),
  /** Roots for the endpoint's own HTTPS instead of Node's. */
  caCertificates: orNull(pemField()),
})

const instance = v.pipe(
  instanceEntries,
  v.transform(given => ({
    ...given,
    projectId:
      given.projectId ??
      (environmentReference(PROJECT_ID, { secret: false, optional: false }) as unknown as string),
  })),
)

const probe = v.strictObject({
  /** `require`: it fails when the device port cannot be reached; `off`: nobody looks. */
  mode: v.optional(oneOf(['best-effort', 'require', 'off']), 'best-effort'),
  /** Default: the target's domain. @example "iot.example.com" */
  host: optionalText(),
  /** The device port. */
  port: v.optional(portField(), 8883),
  /** IP addresses to ask instead of those the host resolves to. @example ["192.0.2.10"] */
  addresses: v.optional(v.array(addressField()), []),
  /** Handshakes in a row, at every address, that must show the new certificate. */
  steady: v.optional(
    v.pipe(
      v.number('must be a number'),
      v.integer('must be whole'),
      v.minValue(1, 'must be 1 to 100'),
      v.maxValue(100, 'must be 1 to 100'),
    ),
    3,
  ),
  /** How long verify waits for that; a function needs a minute more than this. */
  within: v.optional(
    v.pipe(
      durationField(),
      v.minValue(parseDuration(MINIMUM_WITHIN) ?? 0, `must be at least ${MINIMUM_WITHIN}`),
    ),
    '3m',
  ),
  /** A device of its own that really connects, over a verified channel only. */
  canary: canaryField(),
})

const target = v.strictObject({
  /** How people, alerts and options call it. @example "factory-1" */
  name: nameField(),
  /** The custom domain. @example "iot.example.com" */
  domain: domain(),
  /** Name of an entry of `credentials`. @example "cn" */
  credentials: nameField(),
  /** The instance of IoTDA that the domain belongs to. */
  instance,
  /** Name of an entry of `certificates`. @example "iot" */
  certificate: nameField(),
  /** How the private key is uploaded; `encrypted-pkcs8` has a new password each time. */
  keyEncoding: v.optional(oneOf(KEY_ENCODINGS), 'pkcs1'),
  /** `create`: a missing domain configuration is created; it is never deleted. */
  domainConfiguration: v.optional(oneOf(['require', 'create']), 'require'),
  /** PEM of the roots burnt into the devices, in place or as file:PATH. Default: Node's roots. */
  trustedRoots: orNull(pemField()),
  /** How the device port is looked at, before and after a bind. */
  probe: v.optional(probe, {}),
  /** With stapling on, a leaf without an OCSP URL is refused, or stapling is switched off with the bind. */
  ocsp: v.optional(oneOf(['require-url', 'follow-certificate']), 'require-url'),
  /** The two places that IoTDA has for certificates. */
  slots: v.optional(
    v.strictObject({
      /** Which certificate that is not bound may go when both are used: `managed` only ours. */
      delete: v.optional(oneOf(['superseded', 'managed', 'never']), 'superseded'),
    }),
    {},
  ),
  /** Counts devices online after a bind, and puts the old certificate back when they do not come back. */
  devices: devicesField(),
  /** The devices in the field: profiles, or names of presets. */
  profiles: profilesField(),
  /** What is asked of a new certificate before it is uploaded. */
  preflight: v.optional(
    v.strictObject({
      /** `bind`: when the bound certificate is about to expire, preflight warns instead of refusing. */
      emergency: v.optional(oneOf(['refuse', 'bind']), 'refuse'),
      /** A certificate with names beyond those that were ordered is refused, instead of a warning. */
      strictNames: v.optional(v.boolean('must be true or false'), false),
    }),
    {},
  ),
  /** Soak: uploaded at once, bound only when that old; for devices whose clocks lag. */
  minAge: v.optional(durationField(30 * DAY_MS), '0s'),
  /** When a bind may happen; empty: always. None is shorter than `schedule.interval`. */
  bindWindow: v.optional(v.array(bindWindow(), 'must be a list of ranges'), []),
})

const source = v.union(
  [
    nameField(),
    v.pipe(
      v.array(nameField()),
      v.minLength(1, 'must name at least one source'),
      v.maxLength(5, 'must name at most 5 sources'),
      v.check(names => new Set(names).size === names.length, 'must name each source once'),
    ),
  ],
  'must be the name of a source, or a list of names in order',
)

const certificate = v.strictObject({
  /** The names in it; `*.` in front is allowed. @example ["iot.example.com"] */
  names: v.pipe(
    v.array(certificateName(), 'must be a list of domain names'),
    v.minLength(1, 'must have at least one name'),
    v.maxLength(100, 'must have at most 100 names'),
  ),
  /** Of the leaf. */
  keyType: v.optional(oneOf(KEY_TYPES), 'rsa-2048'),
  /**
   * An entry of `sources`, or up to five in order: the next is asked when one cannot. @example ["letsencrypt",
   * "zerossl"]
   */
  source,
  /**
   * Threshold against `expiry_date`: a duration or a share of the lifetime, at most 2/3. Default: renewal
   * info, else 1/3. @example "30d"
   */
  renewBefore: orNull(renewBefore()),
  /** Whether the CA's renewal info (RFC 9773) is heeded. */
  ari: v.optional(flagField(), true),
  /** ACME profile; not for sources `acm` and `file` alone. @example "tlsserver" */
  profile: optionalText(),
  /** When the CA does not offer the profile: true takes the CA's default, a name that profile. */
  profileFallback: v.optional(
    v.union(
      [v.boolean(), v.pipe(v.string(), v.minLength(1))],
      'must be true, false, or the name of a profile',
    ),
    false,
  ),
  /**
   * Keeps the private key for the next certificate: for devices that pin it. With `next` the key after it is made ahead
   * and announced for at least so long before a certificate has it. Not with sources `acm` and `file`.
   */
  reuseKey: v.optional(
    v.union(
      [
        v.boolean(),
        v.pipe(
          v.strictObject({
            /** How long before its use the next key is announced. @example "30d" */
            next: durationField(),
          }),
          v.transform(({ next }) => ({ nextMs: next })),
        ),
      ],
      'must be true, false, or { "next": "30d" }',
    ),
    false,
  ),
})

const driver = v.looseObject(
  { type: v.string('must be the name of a driver') },
  'must be an object with a "type"',
)

/** What every notifier has, besides its driver's own settings. */
export const notifierShape = v.looseObject(
  {
    ...driver.entries,
    /** In logs, and for what could not be delivered yet. Default: its type and place. @example "ops" */
    name: orNull(nameField()),
    /** Default: `warning`, or everything that `events` names. */
    minSeverity: orNull(oneOf(SEVERITIES)),
    /** Only these, and their end. Default: all. */
    events: orNull(v.array(oneOf(EVENT_NAMES), 'must be a list of events')),
    /** Of the messages. */
    language: v.optional(oneOf(LANGUAGES), 'en'),
  },
  'must be an object with a "type"',
)

/** A dead man's switch as healthchecks.io has it: told of the start and the end of each scheduled run. */
const heartbeat = v.strictObject({
  /** Told of the start, the success and the failure of each run for all targets. @example "env:HEARTBEAT_URL" */
  url: secretField(),
  /** Roots for its HTTPS instead of Node's. */
  caCertificates: orNull(pemField()),
})

const store = v.pipe(
  v.optional(
    v.looseObject({
      type: v.string('must be the name of a store'),
      /** Seals private keys: 32 random bytes in base64. */
      sealKey: orNull(secretField()),
      /** The seal key before, until every key was used once and so sealed anew. */
      sealKeyPrevious: orNull(secretField()),
    }),
    { type: 'file', path: './state' },
  ),
)

const concurrency = () =>
  v.pipe(
    v.number('must be a number'),
    v.integer('must be whole'),
    v.minValue(1, 'must be 1 to 100'),
    v.maxValue(100, 'must be 1 to 100'),
  )

/** The whole file. */
export const settingsShape = v.strictObject({
  /** For editors. @example "./settings.schema.json" */
  $schema: v.optional(v.string()),
  /** Of this format. */
  version: v.literal(1, 'must be 1'),
  /** The domains that are looked after. */
  targets: v.pipe(
    v.array(target, 'must be a list of targets'),
    v.minLength(1, 'must have at least one target'),
  ),
  /** What is ordered, by a name of yours; several targets may share one. */
  certificates: v.record(nameField(), certificate, 'must be an object of certificates by name'),
  /** Where certificates come from, by a name of yours. */
  sources: v.record(nameField(), driver, 'must be an object of sources by name'),
  /** Who writes the TXT records of DNS-01, by a name of yours. */
  solvers: v.optional(v.record(nameField(), driver, 'must be an object of solvers by name'), {}),
  /** Keys of Huawei Cloud, by a name of yours. */
  credentials: v.record(nameField(), credentialsField(), 'must be an object of credentials by name'),
  /** Where state is kept. */
  store,
  /** Who is told. */
  notifiers: v.optional(v.array(notifierShape, 'must be a list of notifiers'), []),
  /** A dead man's switch, as healthchecks.io has it. */
  heartbeat: orNull(heartbeat),
  /** Which metrics the Lambda function prints: what the alarms look at, or all (CloudWatch charges by metric). */
  metrics: v.optional(oneOf(['few', 'all']), 'few'),
  /** The page of the whole fleet. */
  statusPage: v.optional(
    v.strictObject({
      /** After each run for all targets, the page of `status --html` is put beside the state, as private as that. */
      publish: v.optional(flagField(), false),
      /** Of that page, and of the one of `status --html`. */
      language: v.optional(oneOf(LANGUAGES), 'en'),
    }),
    {},
  ),
  /** What is new to devices reaches a few targets first, ring by ring (docs/rollout.md). */
  rollout: rolloutField(),
  /** How runs are started and paced. */
  schedule: v.optional(
    v.strictObject({
      /** How often the schedule starts a run. */
      interval: v.optional(durationField(), '30m'),
      /** How many targets a run looks after at once. */
      concurrency: v.optional(concurrency(), 16),
      /** What is due is rotated by runs of its own (Lambda only; docs/fleet.md). */
      fanOut: fanOutField(),
      /**
       * Into how many functions, each with a state of its own, the fleet is divided (FunctionGraph;
       * docs/fleet.md).
       */
      shards: shardsField(),
      /** How many there were before: the state of what moved is taken along. @example 2 */
      shardsPrevious: shardsPreviousField(),
    }),
    {},
  ),
})

export type SettingsShape = v.InferOutput<typeof settingsShape>
export type NotifierShape = SettingsShape['notifiers'][number]
export type TargetShape = SettingsShape['targets'][number]
export type CertificateShape = SettingsShape['certificates'][string]
