import type { Command } from 'commander'
import { silentLog } from '../../lib/base/log.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { MINUTE_MS, parseDuration, systemClock } from '../../lib/base/time.ts'
import { jsonText } from '../../lib/base/visible.ts'
import { commands, forms } from '../commands.ts'
import { isColoured, jsonLog } from '../output.ts'
import { toFit } from './terminal.ts'

interface Flags {
  readonly config?: string
  readonly within: string
  readonly run: string
  readonly json?: boolean
  readonly verbose?: boolean
}

function durationOf(option: string, text: string): number {
  const durationMs = parseDuration(text)
  if (durationMs !== null && durationMs > 0) return durationMs
  throw new RotationError('usage', `${option} is no duration`, {
    retry: 'never',
    hint: 'Durations look like 24h, 5d or 15m.',
  })
}

/** `iotda-cert drill recall`: how long until every target is safe, on paper. */
export function drillCommand(cli: Command, setExit: (code: number) => void): void {
  cli
    .command('drill')
    .description('rehearse on paper what may come')
    .command('recall')
    .description('how long a recall of every certificate takes, and what is the narrowest; changes nothing')
    .option('-c, --config <file>', 'settings file, or inline JSON (default: IOTDA_CERT_CONFIG)')
    .option('--within <duration>', 'by when the last target should be safe; later is exit code 1', '24h')
    .option('--run <duration>', 'how long a run may take', '15m')
    .option('--json', 'the answer as JSON on standard output')
    .option('-v, --verbose', 'log every call to standard error')
    .exitOverride()
    .action(async ({ config, within, run, json, verbose }: Flags) => {
      const asked = { withinMs: durationOf('--within', within), runMs: durationOf('--run', run) }
      const { drill } = await commands.drill()
      const answer = await drill({
        config: config ?? null,
        ...asked,
        deadline: systemClock.now() + 5 * MINUTE_MS,
        log: verbose ? jsonLog('debug') : silentLog,
      })
      const { drillText } = await forms.drill()
      process.stdout.write(json ? jsonText(answer) : toFit(drillText(answer, isColoured())))
      setExit(answer.ok ? 0 : 1)
    })
}
