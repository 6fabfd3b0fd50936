import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../lib/app/run.ts'
import type { Log } from '../../lib/base/log.ts'
import { type Clock, MINUTE_MS, systemClock } from '../../lib/base/time.ts'
import type { RunEvent } from '../../lib/model/outcomes.ts'
import type { Answer } from '../../lib/report/answer.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import {
  type Sandbox,
  type SandboxOptions,
  type SandboxSettings,
  startSandbox,
} from '../../sandbox/sandbox.ts'
import { runEvent } from './run-event.ts'

/** A sandbox, a settings file with its state folder, and runs of iotda-cert in this process. */
export interface Rig {
  readonly sandbox: Sandbox
  readonly folder: string
  readonly settingsFile: string
  /** Every log line of `run`, as JSON. */
  readonly logged: string[]
  /** Rewrites the settings file. */
  configure(change: (settings: SandboxSettings) => void): Promise<void>
  /** Runs in this process; a fake clock may be given. */
  run(
    event?: Partial<RunEvent>,
    options?: { clock?: Clock; budgetMs?: number; settingsFile?: string },
  ): Promise<Answer>
  /** Like `run`, for the one target. */
  result(
    event?: Partial<RunEvent>,
    options?: { clock?: Clock; budgetMs?: number; settingsFile?: string },
  ): Promise<TargetResult>
  dispose(): Promise<void>
}

/** `under` is the folder that the rig's own is made in. */
export async function createRig(options: SandboxOptions = {}, under = tmpdir()): Promise<Rig> {
  const sandbox = await startSandbox(options)
  const folder = await mkdtemp(join(under, 'iotda-cert-test-'))
  const settingsFile = join(folder, 'settings.json')
  const logged: string[] = []
  const line =
    (level: string) =>
    (fields: object, message: string): void =>
      void logged.push(JSON.stringify({ level, message, ...fields }))
  const log: Log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  const configure: Rig['configure'] = change =>
    writeFile(settingsFile, `${JSON.stringify(sandbox.settings(change), null, 2)}\n`)
  await configure(() => {})

  const runWith: Rig['run'] = (
    event = {},
    { clock = systemClock, budgetMs = 10 * MINUTE_MS, settingsFile: other } = {},
  ) =>
    run({
      config: other ?? settingsFile,
      event: runEvent(event),
      trigger: 'manual',
      deadline: clock.now() + budgetMs,
      log,
      clock,
    })
  return {
    sandbox,
    folder,
    settingsFile,
    logged,
    configure,
    run: runWith,
    result: async (event, more) => {
      const { results } = await runWith(event, more)
      const [only] = results
      if (!only || results.length !== 1) throw new Error(`${results.length} results`)
      return only
    },
    dispose: async () => {
      await sandbox.dispose()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
