/** A started runtime (runtime.mjs) and its invocations. */
import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Answer } from '../../lib/report/answer.ts'
import { cleanups } from './cleanups.ts'
import { unpack } from './unzip.ts'

export interface Invoked {
  readonly ok: boolean
  readonly answer: Answer
  readonly name: string
  readonly message: string
  readonly stack: string
  readonly durationMs: number
  /** The most memory that the process has had so far, in MB. */
  readonly peakMb: number
}

export interface Invocation {
  readonly event: unknown
  readonly requestId?: string
  readonly remainingMs?: number
  /** What the context says is left, whatever it is: a text that `Number` reads. */
  readonly remaining?: string
  /** None, or an empty one, instead of a real one. */
  readonly context?: 'none' | 'empty'
  readonly userData?: Readonly<Record<string, string>>
  readonly keys?: { readonly accessKey: string; readonly secretKey: string; readonly securityToken: string }
  readonly initialize?: boolean
}

export interface Runtime {
  invoke(invocation: Invocation): Promise<Invoked>
  /** Of its process. */
  readonly pid: number
  /** What the log of the function has: what Lambda's process printed, what FunctionGraph's runtime collected. */
  readonly log: () => string
}

const RUNTIME = fileURLToPath(new URL('./runtime.mjs', import.meta.url))
let count = 0

/** Unpacks a zip and starts a process in an empty folder, by the Node that TEST_NODE names; ended after the test. */
export async function startRuntime(
  kind: 'lambda' | 'functiongraph',
  zip: string,
  env: Readonly<Record<string, string>> = {},
  /** Of Lambda: the file of the handler. */
  entry = 'lambda.mjs',
): Promise<Runtime> {
  const code = await unpack(zip)
  const empty = await mkdtemp(join(tmpdir(), 'iotda-cert-empty-'))
  cleanups.push(() => rm(empty, { recursive: true, force: true }))
  const child = fork(RUNTIME, [kind, code, entry], {
    cwd: empty,
    execPath: process.env.TEST_NODE || process.execPath,
    env: { ...(process.env.PATH ? { PATH: process.env.PATH } : {}), ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', chunk => {
      if (kind === 'lambda') log += chunk
    })
  const waiting = new Map<string, (message: Invoked) => void>()
  const strays: string[] = []
  child.on('message', (message: Invoked & { readonly id: string; readonly text?: string }) => {
    if (message.id === 'log') {
      log += message.text
      return
    }
    const take = waiting.get(message.id)
    if (take) take(message)
    else strays.push(`${message.id}: ${message.stack}`)
    waiting.delete(message.id)
  })
  const said = (id: string) => new Promise<Invoked>(resolve => waiting.set(id, resolve))
  cleanups.push(async () => {
    child.kill('SIGKILL')
    expect(strays).toEqual([])
  })
  await said('ready')
  return {
    pid: child.pid ?? -1,
    invoke: ({ requestId, remainingMs = 900_000, ...rest }) => {
      count += 1
      const id = `invocation ${count}`
      const answer = said(id)
      child.send({ id, requestId: requestId ?? id, remainingMs, ...rest })
      return answer
    },
    log: () => log,
  }
}
