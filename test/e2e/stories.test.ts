/** `npm start` and its stories, by what they show of the outside world; the built sandbox drives the built command. */
import { execFile, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { spawnCli } from '../support/command.ts'
import { ROOT } from '../support/modules.ts'

interface Told {
  readonly code: number
  readonly stderr: string
  readonly text: string
  /** Fingerprints that the port served, in the order in which they were seen. */
  readonly served: readonly string[]
  /** Ids in the slots, each time they were shown; the bound one first. */
  readonly slots: readonly (readonly string[])[]
  /** What each run came to. */
  readonly outcomes: readonly string[]
  /** The page of what happened; empty: there is none. */
  readonly page: string
}

const DIST = join(ROOT, 'dist')

function play(story: string | null, dist = DIST): Promise<Told> {
  const args = [join(dist, 'sandbox', 'demo.mjs'), ...(story === null ? [] : ['--story', story])]
  return new Promise(resolve => {
    const child = execFile(process.execPath, args, { cwd: ROOT }, async (_, text, stderr) => {
      const file = /^The page of what happened: (\S+\.html)/m.exec(text)?.[1]
      const page = file ? await readFile(join(ROOT, file), 'utf8') : ''
      resolve({ code: child.exitCode ?? -1, stderr, text, page, ...factsOf(text) })
    })
  })
}

function factsOf(text: string): Pick<Told, 'served' | 'slots' | 'outcomes'> {
  const all = (pattern: RegExp): readonly string[] => [...text.matchAll(pattern)].map(([, it = '']) => it)
  const shown = text.match(/(^ {9}slot \d: .*\n)+/gm) ?? []
  return {
    served: all(/ days left \(([0-9a-f]{16})…\)/g),
    slots: shown.map(slots =>
      slots
        .trimEnd()
        .split('\n')
        .toSorted((a, b) => Number(b.endsWith('<- bound')) - Number(a.endsWith('<- bound')))
        .map(line => /: (\w+) /.exec(line)?.[1] ?? ''),
    ),
    outcomes: all(/^([a-z-]+) {2}\S+: /gm),
  }
}

test('npm start: renewed while a device is connected; the old one is the spare, and the page shows it', async () => {
  const { code, served, slots, outcomes, page, text } = await play(null)
  expect(code).toBe(0)
  expect(outcomes).toEqual(['planned', 'rotated'])
  const [before, after] = served
  expect(after).not.toBe(before)
  const [[bound], ends] = [slots[0] ?? [], slots[1]]
  expect(ends).toEqual([expect.not.stringMatching(`^${bound}$`), bound])
  expect(text).toContain('meter-1 stayed connected through the cut-over')
  expect(text).toContain(`meter-2 connected anew and was served ${after}`)
  expect(page).toContain('<td>rotated</td>')
  expect(page).toContain(after)
  expect(text.trimEnd().split('\n').at(-1)).toBe('Now with your own domain: npx iotda-cert init')
})

test('bad-root: a device refuses what is new, and the old certificate comes back', async () => {
  const { code, served, slots, outcomes, page, text } = await play('bad-root')
  expect(code).toBe(0)
  expect(outcomes).toEqual(['rolled-back'])
  expect(served).toHaveLength(2)
  expect(served[1]).toBe(served[0])
  expect(slots[1]?.[0]).toBe(slots[0]?.[0])
  // What failed is kept apart, in the other slot.
  expect(slots[0]).not.toContain(slots[1]?.[1])
  expect(text).toContain('Meter-2 came in between and refused')
  expect(text).toContain('The command ended with code 1')
  expect(page).toContain('<td>rolled-back</td>')
  expect(page).toContain('class="says watch">look at it: rolled-back')
})

test('full-slots: what a colleague has put there is let alone until a person says so', async () => {
  const { code, served, slots, outcomes, page } = await play('full-slots')
  expect(code).toBe(0)
  expect(outcomes).toEqual(['suspended', 'rotated'])
  const [[bound, colleagues] = [], after, last = []] = slots
  expect(after).toEqual([bound, colleagues])
  expect(last[1]).toBe(bound)
  expect(last).not.toContain(colleagues)
  expect(served[1]).not.toBe(served[0])
  expect(page).toContain('<td>rotated</td>')
})

test('ca-down: nothing is touched while the CA is away, and a person need not wait when it is back', async () => {
  const { code, served, slots, outcomes, page, text } = await play('ca-down')
  expect(code).toBe(0)
  expect(outcomes).toEqual(['failed', 'rotated'])
  const [before, during, after] = served
  expect(during).toBe(before)
  expect(after).not.toBe(before)
  expect(slots[1]?.[1]).toBe(slots[0]?.[0])
  expect(text).toContain('meter-1 is connected')
  expect(page).toContain('<td>failed</td><td>unavailable</td>')
})

test('ring: canary first, the others when a person has approved', async () => {
  const { code, served, outcomes, page, text } = await play('ring')
  expect(code).toBe(0)
  expect(outcomes).toEqual(['rotated', 'suspended', 'suspended', 'idle', 'rotated', 'rotated'])
  const [before, first, last] = [served.slice(0, 3), served.slice(3, 6), served.slice(6)]
  expect(first.map((it, i) => it === before[i])).toEqual([false, true, true])
  expect(last[0]).toBe(first[0])
  expect(last.map((it, i) => it === before[i])).toEqual([false, false, false])
  expect(text).toMatch(/first: 1 of 1 serve it[\s\S]*rest: 0 of 2 serve it, approved/)
  expect(page.match(/<h3>(canary|plant-1|plant-2)<\/h3>/g)).toHaveLength(3)
})

/** Starts the demo, with a folder of its own for what is temporary, and waits until it has said something. */
async function begin(args: readonly string[], said: string) {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-test-'))
  const env = { ...process.env, TMPDIR: folder }
  const child = spawn(process.execPath, [join(DIST, 'sandbox', 'demo.mjs'), ...args], { env })
  let text = ''
  child.stdout.on('data', part => {
    text += part
  })
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  await expect.poll(() => text, { timeout: 30_000 }).toContain(said)
  const interrupt = async () => {
    child.kill('SIGINT')
    const code = await ended
    const left = await readdir(folder)
    await rm(folder, { recursive: true })
    return { code, left }
  }
  return { interrupt, text: () => text }
}

test('Ctrl-C in the middle leaves nothing behind', async () => {
  const { interrupt } = await begin(['--story', 'ring'], '$ iotda-cert rotate')
  expect(await interrupt()).toEqual({ code: 130, left: [] })
})

test('--keep: the sandbox stays until Ctrl-C, and its settings work; then nothing is left', async () => {
  const { interrupt, text } = await begin(['--keep', '--story', 'ca-down'], 'Ctrl-C ends it.')
  const settings = /Settings: (\S+)/.exec(text())?.[1] ?? ''
  const { code, stdout } = await spawnCli(['status', '--json', '--config', settings], {})
  expect(code).toBe(0)
  expect(JSON.parse(stdout).results).toMatchObject([{ target: 'factory-1', error: null }])
  expect(await interrupt()).toEqual({ code: 0, left: [] })
})

describe('usage', () => {
  const demo = (...args: readonly string[]) =>
    new Promise<{ readonly code: number; readonly out: string; readonly err: string }>(resolve => {
      const file = join(DIST, 'sandbox', 'demo.mjs')
      const child = execFile(process.execPath, [file, ...args], (_, out, err) =>
        resolve({ code: child.exitCode ?? -1, out, err }),
      )
    })
  const STORIES = /^ {2}renewal .*\n {2}bad-root .*\n {2}full-slots .*\n {2}ca-down .*\n {2}ring .*/m

  test('--help lists the stories', async () => {
    const { code, out } = await demo('--help')
    expect(code).toBe(0)
    expect(out).toMatch(STORIES)
  })

  test.each([
    [['--story', 'nobody'], /^There is no story "nobody"\.\n/],
    [['--story', 'constructor'], /^There is no story "constructor"\.\n/],
    [['--stories'], /^Unknown option '--stories'/],
    [['ring'], /^Unexpected argument 'ring'/],
  ])('%j is refused, with what there is', async (args, said) => {
    const { code, out, err } = await demo(...args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(said)
    expect(err).toMatch(STORIES)
  })
})

test('a command that does nothing makes every story fail: none is told whatever happens', async () => {
  await mkdir(join(ROOT, 'node_modules', '.cache', 'iotda-cert'), { recursive: true })
  const dist = await mkdtemp(join(ROOT, 'node_modules', '.cache', 'iotda-cert', 'demo-'))
  try {
    await cp(join(DIST, 'sandbox'), join(dist, 'sandbox'), { recursive: true })
    await writeFile(join(dist, 'cli.mjs'), "console.log('{}')\n")
    const stories = ['renewal', 'bad-root', 'full-slots', 'ca-down', 'ring']
    const codes = await Promise.all(stories.map(async it => (await play(it, dist)).code))
    expect(codes).toEqual([1, 1, 1, 1, 1])
  } finally {
    await rm(dist, { recursive: true, force: true })
  }
})
