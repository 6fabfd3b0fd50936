import type { Command } from 'commander'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { notifiers } from '../../lib/notifiers/index.ts'
import { solvers } from '../../lib/solvers/index.ts'
import { commands } from '../commands.ts'

interface Flags extends Readonly<Record<string, unknown>> {
  readonly output?: string
  readonly from?: string
  readonly set?: readonly string[]
  readonly agreeTerms?: boolean
  readonly anyway?: boolean
}

const OTHERS = Object.keys(notifiers).filter(it => it !== 'webhook')

/** Answers that may be given ahead, by the keys of their questions. */
const OPTIONS = {
  domain: ['--domain <name>', 'custom domain of the devices'],
  endpoint: ['--endpoint <url>', 'application access address, https://NAME'],
  region: ['--region <region>', 'e.g. cn-north-4'],
  project: ['--project-id <id>', 'default: HUAWEICLOUD_SDK_PROJECT_ID'],
  instance: ['--instance-id <id>', 'the instance'],
  where: ['--where <place>', 'here, aws or functiongraph'],
  dns: ['--dns <solver>', Object.keys(solvers).join(', ')],
  devices: ['--devices <presets>', 'what the devices run, joined by commas, e.g. esp-idf'],
  roots: ['--roots <file>', 'PEM of the roots burnt into the devices'],
  tell: ['--tell <channel>', `none, json, slack, msteams, feishu, dingtalk, wecom, ${OTHERS.join(', ')}`],
  email: ['--email <address>', 'for the CA'],
  ca: ['--ca <ca>', 'letsencrypt, letsencrypt-staging, or the URL of an ACME directory'],
} as const
/** What only another target of settings that are there is asked. */
const OF_ANOTHER = {
  name: ['--name <name>', 'with --from: what the target is called'],
  credentials: ['--credentials <name>', 'with --from: keys of Huawei Cloud, by their name in the settings'],
  source: ['--source <name>', 'with --from: where its certificate is from, by its name in the settings'],
} as const

const usage = (message: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint: 'iotda-cert init --help says more.' })

/** What commander calls an option. */
const flagOf = (option: string): string =>
  option.replace(/^--| <.*$/g, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

const SETTING = /^((?:dns|tell|credentials)\.\w+)=(.+)$/s

function givenBy(flags: Flags): Readonly<Record<string, string>> {
  const named = Object.entries({ ...OPTIONS, ...OF_ANOTHER }).flatMap(([key, [option]]) => {
    const value = flags[flagOf(option)]
    return typeof value === 'string' ? [[key, value] as const] : []
  })
  const set = (flags.set ?? []).map(it => {
    const [, key, value] = SETTING.exec(it) ?? []
    // What is not understood may be a secret.
    if (key === undefined || value === undefined)
      throw usage('--set takes dns.NAME=VALUE, tell.NAME=VALUE or credentials.NAME=VALUE')
    return [key, value] as const
  })
  return Object.fromEntries([...named, ...set])
}

/** @throws RotationError `usage` */
function refuseMisplaced(given: Readonly<Record<string, string>>, isAdding: boolean): void {
  const misplaced = isAdding ? ['where', 'tell'] : Object.keys(OF_ANOTHER)
  const found = Object.keys(given).find(key => misplaced.includes(key.split('.')[0] ?? ''))
  if (found === undefined) return
  throw usage(
    isAdding ? `--${found} is said by the settings already` : `--${found} is for another target: --from FILE`,
  )
}

/** `iotda-cert init`: asks what the settings need, and writes them. */
export function initCommand(cli: Command): void {
  const command = cli.command('init').description('ask for the settings, look at each answer, and write them')
  for (const [option, description] of Object.values({ ...OPTIONS, ...OF_ANOTHER }))
    command.option(option, description)
  command
    .option('--set <name=value...>', 'what solver, notifier or keys are asked, e.g. dns.apiToken=env:TOKEN')
    .option('-o, --output <file>', 'the file to write (default: settings.json, or that of --from)')
    .option('--from <file>', 'add a target to these settings; what stands there stays as it is')
    .option('--agree-terms', 'you agree to the terms of the CA')
    .option('--anyway', 'go on although something cannot be reached or is not as expected')
    .exitOverride()
    .action(async (flags: Flags) => {
      const given = givenBy(flags)
      refuseMisplaced(given, flags.from !== undefined)
      const { init } = await commands.init()
      await init({
        given,
        output: flags.output ?? null,
        from: flags.from ?? null,
        isAgreed: flags.agreeTerms === true,
        isBold: flags.anyway === true,
      })
    })
}
