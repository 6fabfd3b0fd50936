import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Current, StoreLimits } from './store.ts'

interface Child {
  readonly process: ChildProcess
  readonly writer: string
  readonly acknowledged: readonly number[]
  go(): void
  /** Resolves when at least so many writes were acknowledged. */
  reached(count: number): Promise<void>
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

const startChild = async (script: string, args: readonly string[]): Promise<Child> => {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  const acknowledged: number[] = []
  const lines = createInterface({ input: child.stdout })
  const [first] = await once(lines, 'line')
  lines.on('line', line => acknowledged.push(Number(line.replace('ack ', ''))))
  return {
    process: child,
    writer: String(first).replace('writer ', ''),
    acknowledged,
    go: () => child.stdin.write('go\n'),
    reached: async count => {
      while (acknowledged.length < count) await once(lines, 'line')
    },
    ended,
  }
}

/** The part of the store contract that needs processes: races between them, and their sudden death. */
export function processes(current: Current, driver: string, limits: StoreLimits): void {
  const paddingBytes = Math.min(50_000, (limits.bytesAtMost ?? Number.POSITIVE_INFINITY) - 2_000)
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
  let folder: string
  let script: string
  const children: Child[] = []
  const start = async (mode: string, key: string): Promise<Child> => {
    const { settings = {}, huaweiKeys = null } = current().harness
    const args = [JSON.stringify(settings), mode, key, `${paddingBytes}`, JSON.stringify(huaweiKeys)]
    const child = await startChild(script, args)
    children.push(child)
    return child
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'store-child-'))
    script = join(folder, 'child.cjs')
    const contents = `import driver from './${driver}'\nimport { main } from './test/contract/store-child.ts'\nmain(driver)`
    await build({
      stdin: { contents, resolveDir: root, loader: 'ts' },
      outfile: script,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      // As the real bundle is built.
      logLevel: 'error',
    })
  })
  afterEach(async () => {
    for (const child of children.splice(0)) {
      child.process.kill('SIGKILL')
      await child.ended
    }
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  if (limits.singleWriter === undefined) raceOfProcesses(current, start)

  test('a writer that is killed after its write, before it is acknowledged, loses nothing', async () => {
    const { store } = current()
    const child = await start('unacknowledged', 'one')
    child.go()
    expect((await child.ended).signal).toBe('SIGKILL')
    const left = await store.read('one')
    expect(left?.body).toBe('{"n":1}')
    await store.write('one', '{"n":2}', left?.revision ?? null)
    expect((await store.read('one'))?.body).toBe('{"n":2}')
  })

  test('a writer that is killed anywhere leaves the last acknowledged document or a newer one, whole', async () => {
    const { store } = current()
    for (let round = 1; round <= 5; round += 1) {
      const child = await start('hammer', 'killed')
      child.go()
      await child.reached(round)
      child.process.kill('SIGKILL')
      await child.ended
      const left = await store.read('killed')
      const { n, padding } = JSON.parse(left?.body ?? '')
      expect(n).toBeGreaterThanOrEqual(Math.max(...child.acknowledged))
      expect(padding).toHaveLength(paddingBytes)
      await store.write('killed', JSON.stringify({ n: n + 1, padding }), left?.revision ?? null)
    }
  })
}

function raceOfProcesses(current: Current, start: (mode: string, key: string) => Promise<Child>): void {
  test('two processes race: no write of either is lost, and none is acknowledged twice', async () => {
    const two = await Promise.all([start('race', 'raced'), start('race', 'raced')])
    for (const child of two) child.go()
    expect(await Promise.all(two.map(child => child.ended))).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ])
    const acknowledged = two.flatMap(child => child.acknowledged)
    expect(acknowledged).toHaveLength(120)
    expect(new Set(acknowledged).size).toBe(120)
    const last = JSON.parse((await current().store.read('raced'))?.body ?? '').n
    expect(last).toBeGreaterThanOrEqual(120)
    expect(last).toBe(Math.max(...acknowledged))
  })
}
