import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkSettings, checkWatch } from '../../lib/app/deployment.ts'
import { isLoopbackUrl } from '../../lib/base/fields.ts'
import { asRotationError, RotationError } from '../../lib/base/rotation-error.ts'
import { type Secret, secret } from '../../lib/base/secret.ts'
import { systemClock } from '../../lib/base/time.ts'
import { createHuaweiClient } from '../../lib/clouds/huawei/client.ts'
import { proxyFrom } from '../../lib/config/proxy.ts'
import { createHttp } from '../../lib/http/client.ts'
import { namesOf } from '../../lib/permissions/raw.ts'
import { missingFrom } from '../optional-packages.mjs'
import { openApi } from './api.ts'
import { type Change, changesFor, MARK_LENGTH, PACKAGE, type Wanted } from './reconcile.ts'

/** `npm run deploy:functiongraph -- --dry-run …`: brings functions of FunctionGraph to what they should be. */

const HELP = `Creates or updates the function, its timer and its failure notice. Run it again after a new build,
or when it was interrupted: what is right already is left alone.

  --region REGION        e.g. cn-north-4                       (HUAWEICLOUD_SDK_REGION)
  --project-id ID                                              (HUAWEICLOUD_SDK_PROJECT_ID)
  --agency NAME          agency with the permissions that "iotda-cert permissions --cloud huawei" prints
  --settings FILE        settings; taken along in the environment of the function
  --config csms:NAME     or where the function finds them; --settings then names a copy
  --topic-urn URN        SMN topic that hears of failed invocations; without it nobody does
  --name NAME            default iotda-cert
  --schedule CRON        default "CRON_TZ=Etc/UTC 0 5,35 * * * ?"
  --runtime NAME         default Node.js20.15
  --memory MB            default 256
  --endpoint URL         default https://functiongraph.REGION.myhuaweicloud.com
  --zip FILE             default the zip beside this program
  --watch FILE           what the watchdog watches: makes it, too, as the function NAME-watch
  --watch-agency NAME    agency with what "iotda-cert permissions --cloud huawei --watch" prints, if that is anything
  --watch-schedule CRON  default "CRON_TZ=Etc/UTC 0 20 0,6,12,18 * * ?"
  --dry-run              says what would be done, and does nothing

Keys: HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, HUAWEICLOUD_SDK_SECURITY_TOKEN. What the settings refer to as env:NAME
is taken from the environment here and kept encrypted there.
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

const usage = (message: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint: '--help lists the options.' })

const { env } = process

function need(flag: string | undefined, option: string, variable?: string): string {
  const value = flag || (variable === undefined ? undefined : env[variable])
  if (value) return value
  throw usage(`${option} is not given${variable === undefined ? '' : `, nor is ${variable}`}`)
}

/** Runtime, handler and timer read the keys themselves: a function has no use for those of whoever deploys. */
const OF_THE_RUNTIME = /^(HUAWEICLOUD_SDK_(AK|SK|SECURITY_TOKEN|PROJECT_ID)|RUNTIME_\w+)$/

function secretsOf(settings: unknown): Readonly<Record<string, Secret>> {
  const [elsewhere] = namesOf('awssm', settings)
  if (elsewhere !== undefined && !namesOf('env', settings).includes('AWS_ACCESS_KEY_ID'))
    throw usage(
      `the settings refer to awssm:${elsewhere}, which a function on FunctionGraph has no keys for: write csms:NAME or env:NAME`,
    )
  const names = namesOf('env', settings).filter(name => !OF_THE_RUNTIME.test(name))
  const missing = names.filter(name => !env[name])
  if (missing.length > 0)
    throw usage(`the settings refer to env:${missing.join(', env:')}, which is not set here`)
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

/** Drivers that work by a package of their own have it only where it was bundled. A zip from elsewhere is taken as it is. */
async function requirePackages(settings: unknown, of: 'cjs' | 'watch'): Promise<void> {
  const meta = JSON.parse(await readFile(new URL('../meta.json', import.meta.url), 'utf8'))
  const missing = missingFrom(meta[of].inputs, settings as Readonly<Record<string, unknown>>)
  if (missing.length === 0) return
  throw new RotationError('usage', `the zip is without ${missing.join(', ')}, which the settings want`, {
    retry: 'never',
    hint: `${of === 'cjs' ? 'IOTDA_CERT_SETTINGS' : 'IOTDA_CERT_WATCH_SETTINGS'}=FILE, with these settings, before the command: packaging reads it.`,
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

const zipBeside = (name: string): string => fileURLToPath(new URL(`../${name}.zip`, import.meta.url))

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
  const secrets = secretsOf(settings)
  const userData = {
    IOTDA_CERT_CONFIG: flags.config ?? JSON.stringify(settings),
    HUAWEICLOUD_SDK_REGION: region,
  }
  requireRoom(userData, secrets, 'put the settings into CSMS and give --config csms:NAME')
  if (flags.config && !/^csms:./.test(flags.config)) throw usage('--config must be csms:NAME')
  if (flags.zip === undefined) await requirePackages(settings, 'cjs')
  return {
    ...commonOf(flags),
    description: 'Keeps the server certificates of IoTDA custom domains fresh.',
    name: flags.name ?? 'iotda-cert',
    timer: 'iotda-cert',
    initializer: 'index.initializer',
    timeoutS: 900,
    eventAgeS: 900,
    agency: need(flags.agency, '--agency'),
    code: await codeIn(flags.zip ?? zipBeside('iotda-cert-functiongraph')),
    userData,
    secrets,
    schedule: scheduleOf('schedule', flags.schedule, 'CRON_TZ=Etc/UTC 0 5,35 * * * ?'),
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
  await requirePackages(settings, 'watch')
  const secrets = secretsOf(settings)
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
    code: await codeIn(zipBeside('iotda-cert-functiongraph-watch')),
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

async function deploy(flags: Flags): Promise<void> {
  const region = need(flags.region, '--region', 'HUAWEICLOUD_SDK_REGION')
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
  } finally {
    await http.close()
  }
}

const AGAIN = 'Run it again: what is right already is left alone.'

try {
  const { values } = parseArgs({ options: OPTIONS, args: process.argv.slice(2), strict: true })
  if (values.help) process.stdout.write(HELP)
  else await deploy(values)
} catch (thrown) {
  const isUsage = (thrown as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true
  const error = isUsage ? usage((thrown as Error).message) : asRotationError(thrown)
  const hint = error.hint ?? (error.retry === 'never' ? null : AGAIN)
  process.stderr.write(`error  ${error.code}: ${error.message}\n${hint ? `hint   ${hint}\n` : ''}`)
  process.exitCode = error.code === 'usage' || error.code === 'settings-invalid' ? 2 : 1
}
