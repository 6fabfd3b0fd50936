import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * `node bench/days.mjs`: lives 400 days for each lifetime and schedule (test/e2e/days.test.ts and days-short.test.ts)
 * and writes down what came of it.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESULTS = fileURLToPath(new URL('./results/days.md', import.meta.url))
const HOUR_MS = 3_600_000

const run = (command, args, env) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: 'inherit' })
    child.once('error', reject)
    child.once('close', code => (code === 0 ? resolve() : reject(new Error(`${args[0]} ended with ${code}`))))
  })

const row = it => {
  const inside = `${it.inside} of ${it.calm}${it.isInsidePossible ? '' : ' (1)'}`
  const expired =
    it.expired === 0
      ? '0'
      : `${it.expired} (${it.outlasted}), ${Math.round(it.longestExpiredMs / HOUR_MS)} h at most`
  const cells = [
    it.what,
    it.tick,
    it.ticks,
    it.runs,
    it.deaths,
    it.orders,
    it.ideal,
    it.pace.toFixed(3),
    inside,
    expired,
  ]
  return `| ${cells.join(' | ')} |`
}

const text = lives => `# 400 days

Written by \`node bench/days.mjs\`. Whole runs over sockets against the sandbox, on a fake clock that the sandbox
shares; \`renewBefore\` is not set. In each life the CA is down ${lives[0].outages} times for an hour to a week (once for a whole
week), it wants each fourth certificate renewed a tenth of the lifetime earlier than its rule says, and about one run
in eight is to die at an outside call that is drawn (most idle runs make fewer calls).
Serial numbers are new each time, so that numbers differ a little from one writing to the next.

- *run*: of the ticks of the schedule, those that were really run: every one from the first at which anything could
  be due, after a run that was not idle, and one in two days (drawn) in between, each of which has to find nothing due;
  of those that only wait for the next try, with a quarter of the lifetime left, the first and the last.
- *ideal*: orders of a client that wakes at the same ticks, takes the one nearest to the middle of the window, never
  dies, and is back at the first tick after an outage.
- *pace*: the time after which that client makes as many, to ours; 1.05 is one order too many in twenty.
- *inside*: orders within the window that the CA suggests, of those that neither an outage nor a death disturbed.
- *expired*: how often what was served had expired, and in brackets how often the outage outlasted it; else it ended
  before the next tick or with a run that died. Each time the first run since the start of the outage that found the
  CA up, and lived, renewed.

| lifetime | a tick every | ticks | run | died | orders | ideal | pace | inside the window | expired |
|-|-|--:|--:|--:|--:|--:|--:|--:|-|
${lives.map(row).join('\n')}

(1) The window (2 % of the lifetime) is narrower than the schedule and mostly holds no tick: these renewals came at the
last tick before its end.
`

const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-days-'))
try {
  const vitest = ['vitest', 'run', 'test/e2e/days.test.ts', 'test/e2e/days-short.test.ts']
  await run('npx', vitest, { DAYS_RESULTS: folder })
  const files = await readdir(folder)
  const lives = await Promise.all(
    files.map(async file => JSON.parse(await readFile(join(folder, file), 'utf8'))),
  )
  lives.sort((a, b) => b.lifetimeMs - a.lifetimeMs || a.tickMs - b.tickMs)
  await writeFile(RESULTS, text(lives))
  console.log(`written: ${RESULTS}`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
