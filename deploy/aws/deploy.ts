import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { parseArgs } from 'node:util'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { need, runProgram, usage } from '../program.ts'

/** `iotda-cert deploy aws …`: has osls make the stack of serverless.yml, which this package brings. */

/** What the tests run; its dependencies are those of the day. */
const OSLS = 'osls@4.3.1'

const HELP = `Usage: iotda-cert deploy aws [options]

Creates or updates a CloudFormation stack: the function, its role, its state bucket, its schedule, the watchdog, alarms.
Run it again after an upgrade or with other settings.

  --settings FILE        settings; taken along in the environment of the function
  --region REGION        e.g. eu-central-1                     (AWS_REGION, AWS_DEFAULT_REGION)
  --stage NAME           default prod; the stack is iotda-cert-NAME
  --watch FILE           what the watchdog watches; default: the device ports of the settings
  --alarm-email ADDRESS  who hears of alarms                   (IOTDA_CERT_ALARM_EMAIL)
  --param NAME=VALUE     further options, e.g. stateBucket=existing (docs/deploy.md has them all); may be repeated
  --dry-run              says what would be made, and makes nothing; needs no keys

Settings of more than 3500 bytes: put them into S3, set IOTDA_CERT_CONFIG=s3://bucket/key, and give a copy as --settings.
Keys of AWS are found as the AWS SDK finds them. The stack is made by ${OSLS} (MIT): the one that is installed here
(npm install --save-dev ${OSLS}), or else npx fetches it for this run.

Example:
  iotda-cert deploy aws --settings settings.json --region eu-central-1 --dry-run
`

const text = { type: 'string' } as const
const OPTIONS = {
  settings: text,
  region: text,
  stage: text,
  watch: text,
  'alarm-email': text,
  param: { type: 'string', multiple: true },
  'dry-run': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const
type Flags = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

const OUT = fileURLToPath(new URL('..', import.meta.url))
const ROOT = dirname(resolve(OUT))

/** osls of whoever deploys, or of this package's clone; null: none is installed. */
function installed(): string | null {
  for (const folder of [process.cwd(), ROOT]) {
    try {
      return createRequire(join(folder, 'package.json')).resolve('osls/bin/serverless.js')
    } catch {
      // Looked for elsewhere.
    }
  }
  return null
}

/** `isQuiet`: what it says is told only when it fails. */
function run(
  [command = '', ...args]: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  isQuiet: boolean,
): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['inherit', isQuiet ? 'pipe' : 'inherit', isQuiet ? 'pipe' : 'inherit'],
    })
    const said: Buffer[] = []
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => said.push(chunk))
    child.once('error', error => fail(unusable(command, error as NodeJS.ErrnoException)))
    child.once('close', code => {
      if (code === 0) return done()
      fail(failed(Buffer.concat(said).toString().trim(), code))
    })
  })
}

/** What our own part of serverless.yml refused is told by itself. */
function failed(words: string, code: number | null): RotationError {
  const [, refused] = /Returned JS function errored with: Error: ([\s\S]+)$/.exec(words) ?? []
  if (refused !== undefined)
    return new RotationError('settings-invalid', refused.replaceAll(/\n +/g, '\n'), { retry: 'never' })
  const said = words === '' ? '' : `:\n${words}`
  return new RotationError('service-refused', `osls failed (${code})${said}`, {
    retry: 'never',
    hint: 'What it says is above. Run it again when that is mended: what is right already is left alone.',
  })
}

const unusable = (command: string, { code }: NodeJS.ErrnoException): RotationError =>
  new RotationError('usage', `${command} cannot be run (${code})`, {
    retry: 'never',
    hint: `Install it: npm install --save-dev ${OSLS}`,
  })

function fileOf(file: string, option: string): string {
  const path = resolve(file)
  if (existsSync(path)) return path
  throw usage(`${option}: there is no file ${file}`)
}

type Json = Readonly<Record<string, unknown>>
interface Template {
  readonly Parameters?: Readonly<Record<string, { readonly Default?: unknown }>>
  readonly Conditions?: Readonly<Record<string, Json>>
  readonly Resources: Readonly<
    Record<string, { readonly Type: string; readonly Condition?: string; readonly Properties?: Json }>
  >
}

/** Whether a condition of serverless.yml holds: each compares a parameter with a text, or denies that. */
function holds({ Parameters = {} }: Template, condition: Json | undefined): boolean {
  if (condition === undefined) return true
  const { 'Fn::Not': not, 'Fn::Equals': equals } = condition as {
    readonly 'Fn::Not'?: readonly [Json]
    readonly 'Fn::Equals'?: readonly [{ readonly Ref?: string }, unknown]
  }
  if (not) return !holds({ Parameters, Resources: {} }, not[0])
  return equals === undefined || Parameters[equals[0].Ref ?? '']?.Default === equals[1]
}

const NAMES = ['FunctionName', 'AlarmName', 'DashboardName', 'BucketName', 'LogGroupName', 'RoleName']

/** Each resource by its type and the name that it will have, or else that of the template. */
function resourceLines(text: string): readonly string[] {
  const template = JSON.parse(text) as Template
  const rows = Object.entries(template.Resources)
    .filter(([, { Condition }]) => holds(template, template.Conditions?.[Condition ?? '']))
    .map(([id, { Type, Properties = {} }]) => {
      const name = NAMES.map(key => Properties[key]).find(it => typeof it === 'string') ?? id
      return [Type.replace('AWS::', '').replace('::', ' '), String(name)] as const
    })
  const widest = Math.max(...rows.map(([type]) => type.length))
  return rows.map(([type, name]) => `would make  ${type.padEnd(widest)}  ${name}`).sort()
}

/** What the command line has to be told of the bucket, which the stack names unless the settings do. */
async function bucketOf(settings: string, stage: string, region: string): Promise<string> {
  const { store } = JSON.parse((await readFile(settings, 'utf8')).replace(/^\uFEFF/, '')) as {
    readonly store: { readonly type: string; readonly bucket?: string; readonly endpoint?: string }
  }
  if (store.type !== 's3' || store.bucket !== undefined || store.endpoint !== undefined) return ''
  return ` IOTDA_CERT_STATE_BUCKET=iotda-cert-${stage.toLowerCase()}-ACCOUNT-${region} (ACCOUNT: the number of yours)`
}

async function deploy(flags: Flags): Promise<number> {
  const settings = fileOf(need(flags.settings, '--settings'), '--settings')
  const watch = flags.watch === undefined ? null : fileOf(flags.watch, '--watch')
  const region = need(flags.region, '--region', 'AWS_REGION', 'AWS_DEFAULT_REGION')
  const stage = flags.stage ?? 'prod'
  if (!existsSync(join(OUT, 'iotda-cert-lambda.zip'))) throw usage('there is no zip: npm run package')
  const email = flags['alarm-email']
  const params = [...(flags.param ?? []), ...(email === undefined ? [] : [`alarmEmail=${email}`])]
  const own = installed()
  if (own === null)
    process.stderr.write(`note   osls is not installed here: npx fetches ${OSLS} for this run\n`)
  const osls = own === null ? ['npx', '--yes', OSLS] : [process.execPath, own]
  const isDry = flags['dry-run'] === true
  // osls writes beside serverless.yml, where whoever runs it may have no right to.
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-deploy-'))
  try {
    await cp(join(ROOT, 'serverless.yml'), join(folder, 'serverless.yml'))
    await cp(join(ROOT, 'deploy'), join(folder, 'deploy'), { recursive: true })
    const env = {
      ...{ OUTDIR: resolve(OUT), IOTDA_CERT_SETTINGS: settings, SLS_TELEMETRY_DISABLED: '1' },
      ...(watch === null ? {} : { IOTDA_CERT_WATCH_SETTINGS: watch }),
    }
    const given = ['--stage', stage, '--region', region, ...params.flatMap(it => ['--param', it])]
    if (!isDry) {
      await run([...osls, 'deploy', ...given], folder, env, false)
      const bucket = await bucketOf(settings, stage, region)
      console.log(`for the command line: export AWS_REGION=${region}${bucket}`)
      return 0
    }
    const out = join(folder, 'out')
    await run([...osls, 'package', ...given, '--package', out], folder, env, true)
    const template = await readFile(join(out, 'cloudformation-template-update-stack.json'), 'utf8')
    for (const line of resourceLines(template)) console.log(line)
    console.log(`in the stack iotda-cert-${stage} in ${region}; nothing was made`)
    return 0
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

await runProgram(OPTIONS, HELP, deploy)
