import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { silentLog } from '../lib/base/log.ts'
import { RotationError } from '../lib/base/rotation-error.ts'
import { MINUTE_MS, systemClock } from '../lib/base/time.ts'
import { jsonText } from '../lib/base/visible.ts'
import { commands, forms } from './commands.ts'
import { isColoured, jsonLog } from './output.ts'
import { toFit } from './shell/terminal.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
  readonly verbose?: boolean
  readonly ring?: string
  readonly why?: string
}

/** A container may run a user that has no name. */
export function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `user ${process.getuid?.() ?? 'unknown'}`
  }
}

const common = (command: Command): Command =>
  command
    .option('-c, --config <file>', 'settings file, or inline JSON (default: IOTDA_CERT_CONFIG)')
    .option('--json', 'the answer as JSON on standard output')
    .option('-v, --verbose', 'log every call to standard error')
    .exitOverride()

/** `iotda-cert rollout`: how each kind of certificate stands in the rings, and a person's word on it. */
export function rolloutCommand(cli: Command, setExit: (code: number) => void): void {
  const say = async (action: 'show' | 'resume' | 'approve', kind: string, flags: Flags): Promise<void> => {
    const { config, json, verbose, ring, why = 'no reason given' } = flags
    const { rollout } = await commands.rollout()
    const answer = await rollout({
      config: config ?? null,
      word: action === 'show' ? null : { action, kind, ring: ring ?? null, by: userName(), why },
      log: verbose ? jsonLog('debug') : silentLog,
      deadline: systemClock.now() + 2 * MINUTE_MS,
    })
    const { rolloutText } = await forms.rollout()
    process.stdout.write(json ? jsonText(answer) : toFit(rolloutText(answer, isColoured())))
    setExit(answer.ok ? 0 : 1)
  }
  const group = cli
    .command('rollout')
    .description('show how each kind of certificate stands in the rings; resume or approve one')
  common(
    group.command('show', { isDefault: true }).description('the rings, the kinds, and where each stands'),
  )
    // Whatever follows `rollout` and is no command of its own comes here.
    .allowExcessArguments()
    .action((flags: Flags, { args: [stranger] }: Command) => {
      if (stranger === undefined) return say('show', '', flags)
      throw new RotationError('usage', 'unknown command of rollout', {
        retry: 'never',
        hint: `There: ${group.commands.map(it => it.name()).join(', ')}.`,
      })
    })
  common(group.command('resume <kind>').description('let a frozen kind go on'))
    .option('--why <text>', 'for the history')
    .action((kind: string, flags: Flags) => say('resume', kind, flags))
  common(group.command('approve <kind>').description('let a kind pass without waiting for the rings before'))
    .option('--ring <name>', 'only for this ring')
    .option('--why <text>', 'for the history')
    .action((kind: string, flags: Flags) => say('approve', kind, flags))
}
