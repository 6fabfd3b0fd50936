import type { Command } from 'commander'
import { silentLog } from '../lib/base/log.ts'
import { MINUTE_MS, systemClock } from '../lib/base/time.ts'
import { jsonText } from '../lib/base/visible.ts'
import { watchText } from '../lib/present/watch-text.ts'
import { commands } from './commands.ts'
import { jsonLog } from './output.ts'
import { toFit } from './shell/terminal.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
  readonly verbose?: boolean
}

/** `iotda-cert watch`: looks at device ports from outside, and tells people; for cron on another machine. */
export function watchCommand(cli: Command, setExit: (code: number) => void): void {
  cli
    .command('watch')
    .description('the watchdog: looks at device ports without the settings of the rotator, and tells people')
    .option('-c, --config <file>', 'what to watch, a file or inline JSON (default: IOTDA_CERT_WATCH)')
    .option('--json', 'the answer as JSON on standard output')
    .option('-v, --verbose', 'log to standard error')
    .exitOverride()
    .action(async ({ config, json, verbose }: Flags) => {
      const { watch } = await commands.watch()
      const answer = await watch({
        config: config ?? null,
        deadline: systemClock.now() + 2 * MINUTE_MS,
        log: verbose ? jsonLog('debug') : silentLog,
      })
      process.stdout.write(json ? jsonText(answer) : toFit(watchText(answer)))
      setExit(answer.ok && answer.undelivered === 0 ? 0 : 1)
    })
}
