import type { Command } from 'commander'
import { silentLog } from '../lib/base/log.ts'
import { RotationError } from '../lib/base/rotation-error.ts'
import { MINUTE_MS, systemClock } from '../lib/base/time.ts'
import { jsonText } from '../lib/base/visible.ts'
import { findingsText } from '../lib/present/findings-text.ts'
import { commands } from './commands.ts'
import { isColoured, jsonLog } from './output.ts'
import { toFit } from './shell/terminal.ts'

interface Flags {
  readonly config?: string
  readonly cloud?: string
  readonly json?: boolean
  readonly verbose?: boolean
  readonly write?: boolean
  readonly notify?: boolean
  readonly watch?: boolean
}

const CLOUDS = ['aws', 'huawei'] as const
type Cloud = (typeof CLOUDS)[number]

const cloudOf = (given: string | undefined): Cloud => {
  const cloud = CLOUDS.find(it => it === given)
  if (cloud) return cloud
  throw new RotationError('usage', '--cloud names no cloud', {
    retry: 'never',
    hint: `Clouds: ${CLOUDS.join(', ')}.`,
  })
}

/** `doctor` and `permissions`: what to know before the first deployment. */
export function adviceCommands(cli: Command, setExit: (code: number) => void): void {
  cli
    .command('doctor')
    .description('look at every link by its smallest harmless call: keys, instance, DNS, CA, state, port')
    .option('-c, --config <file>', 'settings file, or inline JSON (default: IOTDA_CERT_CONFIG)')
    .option('--write', 'write a TXT value and documents of the state, see them, and remove them')
    .option('--notify', 'send a test message to every notifier')
    .option('--json', 'the answer as JSON on standard output')
    .option('-v, --verbose', 'log every call to standard error')
    .exitOverride()
    .action(async ({ config, write = false, notify = false, json, verbose }: Flags) => {
      const { doctor } = await commands.doctor()
      const answer = await doctor({
        config: config ?? null,
        write,
        notify,
        deadline: systemClock.now() + 10 * MINUTE_MS,
        log: verbose ? jsonLog('debug') : silentLog,
      })
      process.stdout.write(json ? jsonText(answer) : toFit(findingsText(answer.findings, isColoured())))
      setExit(answer.ok ? 0 : 1)
    })
  cli
    .command('permissions')
    .description('print the policy that exactly these settings need')
    .requiredOption('--cloud <cloud>', CLOUDS.join(' or '))
    .option('-c, --config <file>', 'settings file, or inline JSON (default: IOTDA_CERT_CONFIG)')
    .option('--watch', 'of the watchdog, by its own settings (default: IOTDA_CERT_WATCH)')
    .option('--json', 'as it is: the policy is JSON')
    .exitOverride()
    .action(async ({ config, cloud, watch = false }: Flags) => {
      const { permissions } = await commands.permissions()
      const policy = await permissions({ config: config ?? null, cloud: cloudOf(cloud), isWatch: watch })
      process.stdout.write(jsonText(policy))
      // Standard output is the policy, to be piped.
      if (policy.Statement.some(it => 'Sid' in it && it.Sid === 'ChallengeWrite'))
        process.stderr.write(
          'note  where an _acme-challenge name is a CNAME, list where it leads in challengeNames of the solver route53\n',
        )
    })
}
