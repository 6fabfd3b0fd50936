import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Rig } from './rig.ts'

/** The built command, as a user runs it. */
export const CLI = fileURLToPath(new URL('../../dist/cli.mjs', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the built command with the settings of a rig, in a process of its own. */
export const cli = (
  { settingsFile }: Rig,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> => spawnCli(args, { IOTDA_CERT_CONFIG: settingsFile, ...env })

/** Starts the built command; `started` is told its process id at once. */
export function spawnCli(
  args: readonly string[],
  env: Record<string, string>,
  started?: (pid: number) => void,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', chunk => out.push(chunk))
    child.stderr.on('data', chunk => err.push(chunk))
    child.once('error', reject)
    child.once('spawn', () => child.pid !== undefined && started?.(child.pid))
    child.once('close', (code, signal) =>
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    )
  })
}
