import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { nameField, pemField, urlField } from '../base/fields.ts'
import { SECOND_MS } from '../base/time.ts'
import { createCsms } from '../clouds/huawei/csms.ts'
import { allow, readSecrets, regionOf, sealingKeys, secrets } from '../clouds/huawei/policy.ts'
import { type DriverContext, defineStore, type RawEntry, type StateStore } from '../contracts.ts'
import { conditionalStore, type Kept, storeConflict } from './shared/conditional-store.ts'
import { enclose, open } from './shared/envelope.ts'

/**
 * One secret of Huawei Cloud's CSMS for each document; each write makes a version, of which the service keeps
 * the newest 20. A document holds 32 KB at most.
 *
 * THIS STORE IS FOR A SINGLE WRITER. CSMS has no conditional write: a write looks at the latest version first
 * and refuses when it is not the expected one, but two that look at the same moment both write. So exactly one
 * run may be at work at any time: a FunctionGraph function with `max_instance_num` 1 and one request for each
 * instance, and nobody who runs the command line beside it. A second writer is noticed after the fact, where the
 * new version replaced another one than expected, and reported as `store-conflict`.
 */

const BYTES_AT_MOST = 32 * 1024
const NAME_AT_MOST = 64
const THROTTLED_PAUSES_MS = [SECOND_MS, 3 * SECOND_MS] as const
const DRIVER = 'csms store'
const PREFIX = 'iotda-cert_'
const SINGLE_WRITER = {
  driver: DRIVER,
  conflictHint:
    'This store is for a single writer: set max_instance_num to 1, and run nothing beside the function.',
}

const settings = v.strictObject({
  /** Name of an entry of `credentials`. @example "cn" */
  credentials: nameField(),
  /** Of CSMS. */
  region: v.pipe(
    v.string('must be a region such as "cn-north-4"'),
    v.regex(/^[a-z0-9-]+$/, 'must be a region such as "cn-north-4"'),
  ),
  /** The project in that region. @example "0123456789abcdef0123456789abcdef" */
  projectId: v.pipe(
    v.string('must be the project id'),
    v.regex(/^[0-9A-Za-z]{1,64}$/, 'must be the project id (32 hex characters, console: My Credentials)'),
  ),
  /**
   * Default: `https://csms.<region>.myhuaweicloud.com`; some regions answer at `https://kms.…` only. @example
   * "https://kms.cn-north-4.myhuaweicloud.com"
   */
  endpoint: v.optional(v.nullable(urlField()), null),
  /** What every secret's name begins with. */
  prefix: v.optional(
    v.pipe(
      v.string('must be a text'),
      v.regex(/^[A-Za-z0-9_-]{0,24}$/, 'must be at most 24 letters, digits, _ and -'),
    ),
    PREFIX,
  ),
  /** Roots for the service's HTTPS instead of Node's. */
  caCertificates: v.optional(v.nullable(pemField()), null),
})
type Settings = v.InferOutput<typeof settings>

/** The document key in letters that a secret's name may have; a long one is cut and told apart by its hash. */
const nameOf = (prefix: string, key: string): string => {
  const name = `${prefix}${key.replaceAll('/', '_')}`
  if (name.length <= NAME_AT_MOST) return name
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 16)
  return `${name.slice(0, NAME_AT_MOST - hash.length - 1)}_${hash}`
}

/** A version of a secret, by its id. */
interface Version extends Kept {
  readonly id: string
}

/** Numbers begin again when a secret is made anew, so the write itself is part of the revision. */
const revisionOf = (id: string, token: string): string => `${id} ${token}`

const numberOf = (id: string | undefined): number => Number(/^v(\d+)$/.exec(id ?? 'v0')?.[1] ?? Number.NaN)

const create = (config: Settings, context: DriverContext): StateStore => {
  const { clock } = context
  const keys = () => context.huaweiKeys(config.credentials)
  const access = { ...config, http: context.http(config.caCertificates), clock, keys }
  const csms = createCsms(access, DRIVER)

  /** Whether the version just made replaced the one that was read. */
  const refuseOverlap = async (key: string, name: string, id: string, before: Version | null) => {
    if (numberOf(id) === numberOf(before?.id) + 1) return
    if ((await csms.previous(name)) === (before?.id ?? null)) return
    throw storeConflict(SINGLE_WRITER, `wrote ${key} at the same moment`)
  }

  return conditionalStore<Version>(
    {
      ...SINGLE_WRITER,
      place: `csms/${config.projectId}/${config.region}/${config.prefix}`,
      nameOf: key => nameOf(config.prefix, key),
      read: async name => {
        const version = await csms.latest(name)
        if (version === null) return null
        const opened = open(version.text ?? '', `${DRIVER}: secret ${name}`)
        return { ...opened, id: version.id, revision: revisionOf(version.id, opened.token) }
      },
      mark: enclose,
      write: async ({ key, name, text, token, before }) => {
        const id = before === null ? await csms.create(name, text) : await csms.addVersion(name, text)
        await refuseOverlap(key, name, id, before)
        return revisionOf(id, token)
      },
      remove: csms.remove,
      // A name that is taken has no published code of its own, so any refusal may mean it.
      isDisputed: error => error.code === 'service-refused',
      // Only a call that certainly did nothing is sent again: a late one would look like a second writer.
      pausesAfter: error => (error.code === 'throttled' ? THROTTLED_PAUSES_MS : []),
      limit: {
        bytes: BYTES_AT_MOST,
        hint: 'Use another store for settings with so many targets or so long a chain.',
      },
      looksFirst: true,
    },
    clock,
  )
}

const prefixOf = ({ prefix }: RawEntry): string => (typeof prefix === 'string' ? prefix : PREFIX)

export default defineStore({
  settings,
  create,
  docs: {
    link: 'https://support.huaweicloud.com/intl/en-us/api-dew/CreateSecret.html',
    says: 'CSMS of Huawei Cloud, for a single writer: `credentials`, `region`, `projectId`',
  },
  permissions: {
    huawei: ([entry = {}]) => {
      const region = regionOf(entry)
      return [
        allow(
          [
            'csms:secret:getVersion',
            'csms:secret:getStage',
            'csms:secret:create',
            'csms:secret:createVersion',
            'csms:secret:delete',
          ],
          secrets(region, [`${prefixOf(entry)}*`]),
        ),
        allow(['kms:cmk:decryptDataKey', 'kms:cmk:createDataKey'], sealingKeys(region)),
      ]
    },
    huaweiRead: (entry, key) => readSecrets(regionOf(entry), [nameOf(prefixOf(entry), key)]),
  },
})
