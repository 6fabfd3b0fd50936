import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { asRotationError, RotationError } from '../../lib/base/errors.ts'
import { createHttp } from '../../lib/base/http-client.ts'
import { type Secret, secret } from '../../lib/base/secret.ts'
import { systemClock } from '../../lib/base/time.ts'
import { proxyFrom } from '../../lib/config/proxy.ts'
import { checkSettings } from '../../lib/deployment.ts'
import { createHuaweiClient } from '../../lib/huawei/client.ts'
import { namesOf } from '../../lib/permissions/raw.ts'
import { missingFrom } from '../sdk.mjs'
import { openApi } from './api.ts'
import { changesFor, PACKAGE, type Wanted } from './reconcile.ts'

/** `npm run deploy:functiongraph -- --dry-run …`: brings one function of FunctionGraph to what it should be. */

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
  --dry-run              says what would be done, and does nothing

Keys: HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, HUAWEICLOUD_SDK_SECURITY_TOKEN. What the settings refer to as env:NAME
is taken from the environment here and kept encrypted there.
`

const text = { type: 'string' } as const
const OPTIONS = {
  ...{ region: text, 'project-id': text, agency: text, settings: text, config: text, 'topic-urn': text },
  ...{ name: text, schedule: text, runtime: text, memory: text, endpoint: text, zip: text },
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
  const names = namesOf('env', settings).filter(name => !OF_THE_RUNTIME.test(name))
  const missing = names.filter(name => !env[name])
  if (missing.length > 0)
    throw usage(`the settings refer to env:${missing.join(', env:')}, which is not set here`)
  return Object.fromEntries(names.map(name => [name, secret(env[name] ?? '')]))
}

async function readSettings(file: string): Promise<unknown> {
  let settings: unknown
  try {
    settings = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw usage(`the settings file ${file} ${code ? `cannot be read (${code})` : 'is no valid JSON'}`)
  }
  await checkSettings(JSON.stringify(settings))
  return settings
}

/** Drivers that work by AWS's SDK have it only where it was bundled. A zip from elsewhere is taken as it is. */
async function requireSdk(settings: unknown): Promise<void> {
  const meta = JSON.parse(await readFile(new URL('../meta.json', import.meta.url), 'utf8'))
  const missing = missingFrom(meta.cjs.inputs, settings as Readonly<Record<string, unknown>>)
  if (missing.length === 0) return
  throw new RotationError('usage', `the zip is without ${missing.join(', ')}, which the settings want`, {
    retry: 'never',
    hint: 'IOTDA_CERT_SETTINGS=FILE, with these settings, before the command: packaging reads it.',
  })
}

/** The environment of a function takes 4096 characters in all. */
const ENVIRONMENT_AT_MOST = 4_096

async function wantedFrom(flags: Flags, region: string): Promise<Wanted> {
  const settings = await readSettings(need(flags.settings, '--settings'))
  const secrets = secretsOf(settings)
  const userData = {
    IOTDA_CERT_CONFIG: flags.config ?? JSON.stringify(settings),
    HUAWEICLOUD_SDK_REGION: region,
  }
  const size =
    JSON.stringify(userData).length + Object.values(secrets).reduce((sum, it) => sum + it.reveal().length, 0)
  if (size > ENVIRONMENT_AT_MOST)
    throw usage(
      `the environment would have ${size} characters, and a function takes ${ENVIRONMENT_AT_MOST}: put the settings into CSMS and give --config csms:NAME`,
    )
  const memoryMb = Number(flags.memory ?? 256)
  if (!Number.isInteger(memoryMb) || memoryMb < 128)
    throw usage('--memory must be a number of MB, 128 at least')
  if (flags.config && !/^csms:./.test(flags.config)) throw usage('--config must be csms:NAME')
  if (flags.schedule && !/^CRON_TZ=\S+ /.test(flags.schedule))
    throw usage('--schedule must begin with its time zone, e.g. "CRON_TZ=Etc/UTC 0 5,35 * * * ?"')
  if (flags.zip === undefined) await requireSdk(settings)
  const zip = flags.zip ?? fileURLToPath(new URL('../iotda-cert-functiongraph.zip', import.meta.url))
  const code = await readFile(zip).catch(() => {
    throw usage(`there is no ${zip}: npm run package`)
  })
  return {
    name: flags.name ?? 'iotda-cert',
    runtime: flags.runtime ?? 'Node.js20.15',
    memoryMb,
    agency: need(flags.agency, '--agency'),
    code,
    userData,
    secrets,
    schedule: flags.schedule ?? 'CRON_TZ=Etc/UTC 0 5,35 * * * ?',
    topicUrn: flags['topic-urn'] ?? null,
  }
}

async function deploy(flags: Flags): Promise<void> {
  const region = need(flags.region, '--region', 'HUAWEICLOUD_SDK_REGION')
  const projectId = need(flags['project-id'], '--project-id', 'HUAWEICLOUD_SDK_PROJECT_ID')
  const accessKey = secret(need(undefined, 'the access key', 'HUAWEICLOUD_SDK_AK'))
  const secretKey = secret(need(undefined, 'the secret key', 'HUAWEICLOUD_SDK_SK'))
  const token = env.HUAWEICLOUD_SDK_SECURITY_TOKEN
  const wanted = await wantedFrom(flags, region)
  const http = createHttp({ proxy: proxyFrom({ env }) })
  try {
    const client = createHuaweiClient({
      ...{ http, clock: systemClock, region, projectId, signing: 'standard', driver: 'functiongraph' },
      endpoint: flags.endpoint ?? `https://functiongraph.${region}.myhuaweicloud.com`,
      keys: async () => ({ accessKey, secretKey, securityToken: token ? secret(token) : null }),
    })
    const urn = `urn:fss:${region}:${projectId}:function:${PACKAGE}:${wanted.name}:latest`
    const changes = await changesFor(openApi(client, urn), wanted)
    for (const { what, apply } of changes) {
      if (!flags['dry-run']) await apply()
      console.log(`${flags['dry-run'] ? 'would' : 'done:'} ${what}`)
    }
    if (changes.length === 0) console.log(`nothing to do: ${urn} is as it should be`)
  } finally {
    await http.close()
  }
}

try {
  const { values } = parseArgs({ options: OPTIONS, args: process.argv.slice(2), strict: true })
  if (values.help) process.stdout.write(HELP)
  else await deploy(values)
} catch (thrown) {
  const isUsage = (thrown as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true
  const error = isUsage ? usage((thrown as Error).message) : asRotationError(thrown)
  process.stderr.write(
    `error  ${error.code}: ${error.message}\n${error.hint ? `hint   ${error.hint}\n` : ''}`,
  )
  process.exitCode = error.code === 'usage' || error.code === 'settings-invalid' ? 2 : 1
}
