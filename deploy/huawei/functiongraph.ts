import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { parseArgs } from 'node:util'
import { checkSettings, checkWatch } from '../../lib/app/deployment.ts'
import { isLoopbackUrl } from '../../lib/base/fields.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { type Secret, secret } from '../../lib/base/secret.ts'
import { systemClock } from '../../lib/base/time.ts'
import { createHuaweiClient } from '../../lib/clouds/huawei/client.ts'
import { proxyFrom } from '../../lib/config/proxy.ts'
import { parseShard, type Shard, shardOf, shardText } from '../../lib/config/sections/shards.ts'
import { createHttp } from '../../lib/http/client.ts'
import { namesOf } from '../../lib/permissions/raw.ts'
import { zipFor } from '../optional-packages.mjs'
import { need, runProgram, usage } from '../program.ts'
import { type FunctionGraphApi, openApi } from './api.ts'
import { type Change, changesFor, MARK_LENGTH, PACKAGE, type Wanted } from './reconcile.ts'

/** `iotda-cert deploy functiongraph …`: brings functions of FunctionGraph to what they should be. */

const HELP = `Usage: iotda-cert deploy functiongraph [options]

Creates or updates the function, its timer and its failure notice. Run it again after a new build,
or when it was interrupted: what is right already is left alone.

  --region REGION        e.g. cn-north-4                       (HUAWEICLOUD_SDK_REGION)
  --project-id ID                                              (HUAWEICLOUD_SDK_PROJECT_ID)
  --agency NAME          agency with the permissions that "iotda-cert permissions --cloud huawei" prints
  --settings FILE        settings; taken along in the environment of the function
  --config csms:NAME     or where the function finds them; --settings then names a copy
  --topic-urn URN        SMN topic that hears of failed invocations; without it nobody does
  --name NAME            default iotda-cert
  --shard i/n            one of the n functions of a divided fleet, NAME-i (schedule.shards; docs/fleet.md)
  --schedule CRON        default "CRON_TZ=Etc/UTC 0 5,35 * * * ?"
  --runtime NAME         default Node.js20.15
  --memory MB            default 256
  --endpoint URL         default https://functiongraph.REGION.myhuaweicloud.com
  --zip FILE             default the zip beside this program
  --watch FILE           what the watchdog watches: makes it, too, as the function NAME-watch
  --watch-agency NAME    agency with what "iotda-cert permissions --cloud huawei --watch" prints, if that is anything
  --watch-schedule CRON  default "CRON_TZ=Etc/UTC 0 20 0,6,12,18 * * ?"
  --dry-run              says what would be done, and does nothing; without keys: as if nothing were there yet

Keys: HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, HUAWEICLOUD_SDK_SECURITY_TOKEN. What the settings refer to as env:NAME
is taken from the environment here and kept encrypted there.

Example:
  iotda-cert deploy functiongraph --region cn-north-4 --project-id ID --agency iotda-cert --settings settings.json --dry-run
`

const text = { type: 'string' } as const
const OPTIONS = {
  region: text,
  'project-id': text,
  agency: text,
  settings: text,
  config: text,
  'topic-urn': text,
  name: text,
  shard: text,
  schedule: text,
  runtime: text,
  memory: text,
  endpoint: text,
  zip: text,
  watch: text,
  'watch-agency': text,
  'watch-schedule': text,
  'dry-run': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

type Flags = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

const { env } = process

/** Runtime, handler and timer read the keys themselves: a function has no use for those of whoever deploys. */
const OF_THE_RUNTIME = /^(HUAWEICLOUD_SDK_(AK|SK|SECURITY_TOKEN|PROJECT_ID)|RUNTIME_\w+)$/

/** `isDry`: what is not set is said, and is no reason to stop. */
function secretsOf(settings: unknown, isDry: boolean): Readonly<Record<string, Secret>> {
  const [elsewhere] = namesOf('awssm', settings)
  if (elsewhere !== undefined && !namesOf('env', settings).includes('AWS_ACCESS_KEY_ID'))
    throw usage(
      `the settings refer to awssm:${elsewhere}, which a function on FunctionGraph has no keys for: write csms:NAME or env:NAME`,
    )
  const names = namesOf('env', settings).filter(name => !OF_THE_RUNTIME.test(name))
  const missing = names.filter(name => !env[name])
  const unset = `the settings refer to env:${missing.join(', env:')}, which is not set here`
  if (missing.length > 0 && !isDry) throw usage(unset)
  if (missing.length > 0) process.stderr.write(`note   ${unset}\n`)
  return Object.fromEntries(names.map(name => [name, secret(env[name] ?? '')]))
}

async function readSettings(file: string, check: (text: string) => Promise<void>): Promise<unknown> {
  let settings: unknown
  try {
    settings = JSON.parse((await readFile(file, 'utf8')).replace(/^\uFEFF/, ''))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw usage(`the settings file ${file} ${code ? `cannot be read (${code})` : 'is no valid JSON'}`)
  }
  await check(JSON.stringify(settings))
  return settings
}

const OUT = fileURLToPath(new URL('..', import.meta.url))

/** Drivers that work by a package of their own have it only where it was bundled. */
async function codeFor(
  name: 'functiongraph' | 'functiongraph-watch',
  settings: unknown,
): Promise<Uint8Array> {
  const { zip, missing } = await zipFor(OUT, name, [settings]).catch(() => {
    throw usage(`there is no ${OUT}iotda-cert-${name}.zip: npm run package`)
  })
  if (zip !== null) return codeIn(zip)
  throw new RotationError('usage', `the zip is without ${missing.join(', ')}, which the settings want`, {
    retry: 'never',
    hint: `${name === 'functiongraph' ? 'IOTDA_CERT_SETTINGS' : 'IOTDA_CERT_WATCH_SETTINGS'}=FILE npm run package, with these settings: packaging reads it.`,
  })
}

/** What the environment of a function takes in all, in characters and in variables. */
const ENVIRONMENT_AT_MOST = 4_096
const VARIABLES_AT_MOST = 20

function requireRoom(userData: object, secrets: Wanted['secrets'], way: string): void {
  const ofSecrets = Object.entries(secrets).reduce(
    (sum, [name, it]) => sum + name.length + it.reveal().length,
    0,
  )
  // With the mark of the secrets.
  const count = Object.keys(userData).length + Object.keys(secrets).length + 1
  if (count > VARIABLES_AT_MOST)
    throw usage(
      `the environment would have ${count} variables, and a function takes ${VARIABLES_AT_MOST}: put some secrets into CSMS and name them csms:NAME`,
    )
  const size = JSON.stringify(userData).length + MARK_LENGTH + ofSecrets
  if (size > ENVIRONMENT_AT_MOST)
    throw usage(
      `the environment would have ${size} characters, and a function takes ${ENVIRONMENT_AT_MOST}: ${way}`,
    )
}

const codeIn = (zip: string): Promise<Uint8Array> =>
  readFile(zip).catch(() => {
    throw usage(`there is no ${zip}: npm run package`)
  })

/** The option, if it begins with a time zone. */
function scheduleOf(option: string, given: string | undefined, standard: string): string {
  if (given && !/^CRON_TZ=\S+ /.test(given))
    throw usage(`--${option} must begin with its time zone, e.g. "${standard}"`)
  return given ?? standard
}

/** Runs come every so many minutes. */
const EVERY_MIN = 30

/** Each shard has its turn at another minute. */
function standardSchedule({ number, count }: Pick<Shard, 'number' | 'count'>): string {
  const minute = (5 + Math.floor(((number - 1) * EVERY_MIN) / count)) % EVERY_MIN
  return `CRON_TZ=Etc/UTC 0 ${minute},${minute + EVERY_MIN} * * * ?`
}

interface Divided {
  readonly schedule?: { readonly shards?: number; readonly fanOut?: unknown }
  readonly targets: readonly { readonly certificate: string }[]
}

/** Which part of the fleet the function looks after; null: it is not divided. */
function shardFrom({ shard }: Flags, settings: Divided): Pick<Shard, 'number' | 'count'> | null {
  const count = settings.schedule?.shards ?? 1
  if ((settings.schedule?.fanOut ?? null) !== null)
    throw usage('schedule.fanOut is for AWS Lambda: leave it out, and divide the fleet by schedule.shards')
  if (shard === undefined) {
    if (count === 1) return null
    throw usage(
      `schedule.shards is ${count}: deploy each with --shard 1/${count} to --shard ${count}/${count}`,
    )
  }
  const own = parseShard(shard)
  if (own === null) throw usage(`--shard must be such as 2/3, and is ${shard}`)
  if (own.count !== count)
    throw usage(`--shard is ${shard}, and schedule.shards is ${count}: all shards need the same settings`)
  const targets = settings.targets.filter(it => shardOf(it.certificate, count) === own.number)
  console.log(`shard ${shard}: ${targets.length} of ${settings.targets.length} targets`)
  return own
}

/** What both functions have. */
function commonOf(flags: Flags) {
  const memoryMb = Number(flags.memory ?? 256)
  if (!Number.isInteger(memoryMb) || memoryMb < 128)
    throw usage('--memory must be a number of MB, 128 at least')
  return {
    runtime: flags.runtime ?? 'Node.js20.15',
    memoryMb,
    topicUrn: flags['topic-urn'] ?? null,
  }
}

async function rotatorFrom(flags: Flags, region: string): Promise<Wanted> {
  const settings = await readSettings(need(flags.settings, '--settings'), checkSettings)
  const secrets = secretsOf(settings, flags['dry-run'] === true)
  const shard = shardFrom(flags, settings as Divided)
  const userData = {
    IOTDA_CERT_CONFIG: flags.config ?? JSON.stringify(settings),
    ...(shard ? { IOTDA_CERT_SHARD: shardText(shard) } : {}),
    HUAWEICLOUD_SDK_REGION: region,
  }
  requireRoom(userData, secrets, 'put the settings into CSMS and give --config csms:NAME')
  if (flags.config && !/^csms:./.test(flags.config)) throw usage('--config must be csms:NAME')
  return {
    ...commonOf(flags),
    description: 'Keeps the server certificates of IoTDA custom domains fresh.',
    name: shard ? `${flags.name ?? 'iotda-cert'}-${shard.number}` : (flags.name ?? 'iotda-cert'),
    timer: 'iotda-cert',
    initializer: 'index.initializer',
    timeoutS: 900,
    eventAgeS: 900,
    agency: need(flags.agency, '--agency'),
    code: await (flags.zip === undefined ? codeFor('functiongraph', settings) : codeIn(flags.zip)),
    userData,
    secrets,
    schedule: scheduleOf('schedule', flags.schedule, standardSchedule(shard ?? { number: 1, count: 1 })),
  }
}

/** The watchdog, a function of its own; nothing where nobody says what to watch. */
async function watchdogFrom(flags: Flags, region: string): Promise<readonly Wanted[]> {
  const { watch: file, 'watch-agency': agency = null, 'watch-schedule': schedule } = flags
  if (file === undefined) {
    if (agency !== null || schedule !== undefined) throw usage('--watch is not given: what is to be watched?')
    return []
  }
  const settings = await readSettings(file, checkWatch)
  const secrets = secretsOf(settings, flags['dry-run'] === true)
  const userData = { IOTDA_CERT_WATCH: JSON.stringify(settings), HUAWEICLOUD_SDK_REGION: region }
  requireRoom(userData, secrets, 'watch fewer targets')
  const name = `${flags.name ?? 'iotda-cert'}-watch`
  const watchdog: Wanted = {
    ...commonOf(flags),
    name,
    timer: name,
    description: 'Looks at the device ports of iotda-cert, and at its last run.',
    initializer: null,
    timeoutS: 120,
    eventAgeS: 3_600,
    agency,
    code: await codeFor('functiongraph-watch', settings),
    userData,
    secrets,
    schedule: scheduleOf('watch-schedule', schedule, 'CRON_TZ=Etc/UTC 0 20 0,6,12,18 * * ?'),
  }
  return [watchdog]
}

/** Keys are sent there: by TLS, or not further than this machine. */
function endpointOf({ endpoint }: Flags, region: string): string {
  const url = endpoint ?? `https://functiongraph.${region}.myhuaweicloud.com`
  if (isLoopbackUrl(url) || (URL.canParse(url) && new URL(url).protocol === 'https:')) return url
  throw usage('--endpoint must be an https URL')
}

async function carryOut(changes: readonly Change[], isDry: boolean): Promise<void> {
  for (const { what, apply } of changes) {
    if (!isDry) await apply()
    console.log(`${isDry ? 'would' : 'done:'} ${what}`)
  }
}

/** Where nobody may look, nothing is there yet. */
const NOTHING_THERE: Pick<FunctionGraphApi, 'show' | 'triggers' | 'asyncInvoke'> = {
  show: async () => null,
  triggers: async () => [],
  asyncInvoke: async () => null,
}

/** What a first deployment would do, for somebody who has no keys at hand. */
async function rehearse(functions: readonly Wanted[]): Promise<number> {
  console.log('no keys are given: shown as if nothing were there yet')
  for (const wanted of functions)
    await carryOut(await changesFor(NOTHING_THERE as FunctionGraphApi, wanted), true)
  return 0
}

async function deploy(flags: Flags): Promise<number> {
  const region = need(flags.region, '--region', 'HUAWEICLOUD_SDK_REGION')
  const isKeyless = !env.HUAWEICLOUD_SDK_AK && !env.HUAWEICLOUD_SDK_SK
  if (flags['dry-run'] === true && isKeyless)
    return rehearse([await rotatorFrom(flags, region), ...(await watchdogFrom(flags, region))])
  const projectId = need(flags['project-id'], '--project-id', 'HUAWEICLOUD_SDK_PROJECT_ID')
  const accessKey = secret(need(undefined, 'the access key', 'HUAWEICLOUD_SDK_AK'))
  const secretKey = secret(need(undefined, 'the secret key', 'HUAWEICLOUD_SDK_SK'))
  const token = env.HUAWEICLOUD_SDK_SECURITY_TOKEN
  const endpoint = endpointOf(flags, region)
  const functions = [await rotatorFrom(flags, region), ...(await watchdogFrom(flags, region))]
  const http = createHttp({ proxy: proxyFrom({ env }) })
  try {
    const client = createHuaweiClient({
      http,
      clock: systemClock,
      region,
      projectId,
      signing: 'standard',
      driver: 'functiongraph',
      endpoint,
      keys: async () => ({ accessKey, secretKey, securityToken: token ? secret(token) : null }),
    })
    for (const wanted of functions) {
      const urn = `urn:fss:${region}:${projectId}:function:${PACKAGE}:${wanted.name}:latest`
      const changes = await changesFor(openApi(client, urn), wanted)
      await carryOut(changes, flags['dry-run'] === true)
      if (changes.length === 0) console.log(`nothing to do: ${urn} is as it should be`)
    }
    return 0
  } finally {
    await http.close()
  }
}

await runProgram(OPTIONS, HELP, deploy)
