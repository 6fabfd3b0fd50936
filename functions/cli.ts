import { Command, CommanderError, Option } from 'commander'
import { run } from '../lib/app/run.ts'
import { silentLog } from '../lib/base/log.ts'
import { asRotationError, RotationError } from '../lib/base/rotation-error.ts'
import { MINUTE_MS, systemClock } from '../lib/base/time.ts'
import { jsonText } from '../lib/base/visible.ts'
import type { Language } from '../lib/contracts.ts'
import { REVOCATION_REASONS } from '../lib/model/certificate.ts'
import { ERROR_CODES } from '../lib/model/errors.ts'
import type { Action } from '../lib/model/outcomes.ts'
import type { Answer } from '../lib/report/answer.ts'
import { exitCode } from '../lib/report/health.ts'
import about from '../package.json' with { type: 'json' }
import { adviceCommands } from './advice.ts'
import { commands, forms } from './commands.ts'
import { deployCommand } from './deploy/command.ts'
import { parseEvent } from './event.ts'
import { initCommand } from './init/command.ts'
import { isColoured, jsonLog } from './output.ts'
import { parseHost } from './probe-host.ts'
import { rolloutCommand, userName } from './rollout-command.ts'
import { completionCommand } from './shell/completion.ts'
import { drillCommand } from './shell/drill-command.ts'
import { withExamples } from './shell/examples.ts'
import { toFit } from './shell/terminal.ts'
import { narrowed, refuseForms, statusOptions, statusOutput } from './status.ts'
import { watchCommand } from './watch-command.ts'

interface Flags {
  readonly config?: string
  readonly target?: readonly string[]
  readonly json?: boolean
  readonly verbose?: boolean
  readonly force?: boolean
  readonly until?: string
  readonly accept?: string
  readonly reason?: string
  readonly certificate?: string
  readonly source?: string
  readonly sni?: string
  readonly profile?: readonly string[]
  readonly timeout?: string
  readonly prometheus?: boolean
  readonly html?: string
  readonly state?: string
  readonly name?: string
  readonly watch?: string | true
}

const COMMANDS: Readonly<Record<Action, string>> = {
  plan: 'say what a run would do, to which slot, and why; changes nothing anywhere',
  rotate: 'rotate what is due, or everything with --force',
  status: 'show what is bound, what is in the slots, and what is served on the device port',
  rollback: 'bind the previous certificate again, prove it, and hold',
  hold: 'make no unattended change from now on',
  resume: 'end a hold or a back-off; the next run goes on',
  revoke: 'have the CA revoke a certificate of a target: the one that is not bound, unless told otherwise',
  probe: 'look at the device port of targets, or at any host, as every device would',
}

const EXIT_HELP = `
Exit codes: 0 ok · 1 failed, refused, rolled back, held, or backing off after a failure
            2 usage, settings, or what the settings point at · 3 suspended or busy: run again later`

async function perform(action: Action, flags: Flags, host?: string): Promise<number> {
  const { force, until, accept, target, profile, reason, certificate } = flags
  if (action === 'status') refuseForms(flags)
  const asked = parseEvent({
    action,
    ...(target ? { targets: target } : {}),
    ...(force ? { force } : {}),
    // An empty text is a mistake, e.g. a shell variable that is not set: never the same as no such option.
    ...(until === undefined ? {} : { until }),
    ...(accept === undefined ? {} : { accept }),
    ...(profile ? { profiles: profile } : {}),
    ...(reason === undefined ? {} : { reason }),
    ...(certificate === undefined ? {} : { certificate }),
  })
  // Who has it done although it is not due, or not good: of anything else nobody asks.
  const isBold = asked.force || asked.accept !== null || action === 'revoke'
  const event = isBold ? { ...asked, askedBy: userName() } : asked
  const log = flags.verbose ? jsonLog('debug') : silentLog
  const commonOf = (signal: AbortSignal) => ({
    config: flags.config ?? null,
    deadline: systemClock.now() + 30 * MINUTE_MS,
    signal,
  })
  if (flags.watch !== undefined) {
    const { watchStatus } = await commands.watchStatus()
    const look = (signal: AbortSignal) =>
      run({ ...commonOf(signal), event, trigger: 'manual', log: silentLog })
    return watchStatus({
      every: flags.watch,
      isLong: flags.verbose === true,
      ask: async signal => narrowed(await look(signal), flags),
    })
  }
  const interrupt = new AbortController()
  process.once('SIGINT', () => interrupt.abort(new Error('interrupted')))
  process.once('SIGTERM', () => interrupt.abort(new Error('terminated')))
  const common = commonOf(interrupt.signal)
  const isSilent = flags.json || flags.prometheus
  const progress = isSilent ? {} : { progress: (await forms.text()).progressPrinter(process.stderr) }
  let language: Language = 'en'
  const configured = (settings: { readonly pageLanguage: Language }): void => {
    language = settings.pageLanguage
  }
  const ask = (): Promise<Answer> =>
    run({ ...common, event, trigger: 'manual', log, configured, ...progress })
  const whole =
    host === undefined
      ? await ask()
      : await (await commands.probePort()).probePort({
          ...common,
          ...parseHost(host, flags.sni),
          profiles: profile ?? [],
        })
  const answer = action === 'status' ? await narrowed(whole, flags) : whole
  const said = action === 'status' ? await statusOutput(answer, flags, language) : null
  process.stdout.write(
    said ??
      (flags.json ? jsonText(answer) : toFit((await forms.text()).resultText(answer, action, isColoured()))),
  )
  return exitCode(whole.results, Date.parse(whole.finishedAt))
}

/** The command line. Of an action that is named first nothing but itself is made: the others take half the time of it. */
function program(argv: readonly string[], setExit: (code: number) => void): Command {
  const actions = Object.entries(COMMANDS) as [Action, string][]
  const named = actions.filter(([action]) => action === argv[0])
  const cli = new Command('iotda-cert')
    .description('Keeps the TLS server certificate of a Huawei Cloud IoTDA custom domain fresh.')
    .version(about.version)
    .addHelpText('after', EXIT_HELP)
    .showHelpAfterError('(iotda-cert --help lists the commands)')
    .exitOverride()
    .configureOutput(argv.includes('--json') ? { writeErr: () => {} } : {})
  for (const [action, description] of named.length > 0 ? named : actions) {
    const command = cli
      .command(action)
      .description(description)
      .option('-c, --config <file>', 'settings file, or inline JSON (default: IOTDA_CERT_CONFIG)')
      .option('-t, --target <name...>', 'only these targets')
      .option('--json', 'the answer as JSON on standard output')
      .option('-v, --verbose', 'log every call to standard error')
      .exitOverride()
    if (action === 'rotate') {
      command
        .option('-f, --force', 'rotate although nothing is due; overrides held and back-off, never the CA')
        .option('--until <step>', 'stop after this step and hold')
        .option('--accept <fingerprint>', 'accept exactly this certificate in spite of preflight')
    }
    if (action === 'rollback')
      command.option('--accept <fingerprint>', 'accept exactly this certificate in spite of preflight')
    if (action === 'revoke')
      command
        .option('--reason <reason>', Object.keys(REVOCATION_REASONS).join(', '))
        .option('--certificate <fingerprint>', 'exactly this one of the two slots')
        .option('-f, --force', 'also the bound one, although devices may notice')
    if (action === 'plan') command.addOption(new Option('-f, --force', 'as if forced'))
    if (action === 'status') statusOptions(command)
    if (action === 'probe') probeCommand(command, setExit)
    else command.action(async (flags: Flags) => setExit(await perform(action, flags)))
  }
  if (named.length === 0) otherCommands(cli, setExit)
  withExamples(cli)
  return cli
}

function otherCommands(cli: Command, setExit: (code: number) => void): void {
  accountCommands(cli)
  adviceCommands(cli, setExit)
  rolloutCommand(cli, setExit)
  watchCommand(cli, setExit)
  initCommand(cli)
  deployCommand(cli, setExit)
  drillCommand(cli, setExit)
  completionCommand(cli)
}

function accountCommands(cli: Command): void {
  cli
    .command('account')
    .description('look after the account at a CA')
    .command('rollover')
    .description('give the account another key; its URL stays')
    .requiredOption('--source <name>', 'the source of the settings whose account it is')
    .option('-c, --config <file>', 'settings file, or inline JSON (default: IOTDA_CERT_CONFIG)')
    .option('--json', 'the answer as JSON on standard output')
    .option('-v, --verbose', 'log every call to standard error')
    .exitOverride()
    .action(async ({ source = '', config, json, verbose }: Flags) => {
      const log = verbose ? jsonLog('debug') : silentLog
      const deadline = systemClock.now() + 5 * MINUTE_MS
      const { rollover } = await commands.rollover()
      const answer = await rollover({ source, config: config ?? null, log, deadline })
      process.stdout.write(
        json ? jsonText(answer) : `rolled over  ${source}: the account ${answer.account} has another key\n`,
      )
    })
}

function probeCommand(command: Command, setExit: (code: number) => void): void {
  command
    .argument('[host]', 'HOST[:PORT] instead of targets; needs no settings')
    .option('--sni <name>', 'the name to ask HOST for, if it is another one')
    .option('-p, --profile <name...>', 'only these device profiles (for HOST: or presets)')
    .action(async (host: string | undefined, flags: Flags) => {
      if (host !== undefined && flags.target)
        throw usage('HOST and --target are two questions: give one of them')
      if (host === undefined && flags.sni !== undefined) throw usage('--sni is for HOST[:PORT]')
      setExit(await perform('probe', flags, host))
    })
}

const usage = (message: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint: 'iotda-cert probe --help says more.' })

/** What commander found wrong; without `--json` it has said so already. */
function usageError({ message }: CommanderError): RotationError {
  return new RotationError('usage', message.replace(/^error: /, ''), {
    retry: 'never',
    hint: 'iotda-cert --help lists the commands and their options.',
  })
}

/** Runs one command line; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let code = 0
  const json = argv.includes('--json')
  try {
    await program(argv, value => {
      code = value
    }).parseAsync([...argv], { from: 'user' })
    return code
  } catch (thrown) {
    const isUsage = thrown instanceof CommanderError
    if (isUsage && thrown.exitCode === 0) return 0
    const error = isUsage ? usageError(thrown) : asRotationError(thrown)
    if (json) {
      const { code: errorCode, message, hint } = error
      process.stdout.write(
        jsonText({ version: 1, ok: false, results: [], error: { code: errorCode, message, hint } }),
      )
    } else if (!isUsage) process.stderr.write(toFit((await forms.text()).errorText(error), process.stderr))
    return ERROR_CODES[error.code].exit
  }
}

// What is said is best effort: a closed pipe or a full disk must not stop a rotation between bind and verify,
// nor may a terminal that goes away.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
process.on('SIGHUP', () => {})

process.exitCode = await main(process.argv.slice(2))
