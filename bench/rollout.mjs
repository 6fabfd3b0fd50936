import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * `node bench/rollout.mjs`: 300 targets in four rings live 400 days, in which the CA changes its root twice
 * (test/e2e/rollout-life.test.ts, whose assertions hold), and writes down what came of it. With a folder: of the lives
 * whose results are there (`ROLLOUT_RESULTS=folder npx vitest run test/e2e/rollout-life.test.ts` leaves them).
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESULTS = fileURLToPath(new URL('./results/rollout.md', import.meta.url))
const DAY_MS = 86_400_000
const EMERGENCY_MS = 4.5 * DAY_MS
const DEVICES = 200
const PICKY = 60

const run = (command, args, env) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: 'inherit' })
    child.once('error', reject)
    child.once('close', code => (code === 0 ? resolve() : reject(new Error(`${args[0]} ended with ${code}`))))
  })

const days = (ms, digits = 1) => (ms / DAY_MS).toFixed(digits)
const row = cells => `| ${cells.join(' | ')} |`
const least = list => (list.length === 0 ? null : Math.min(...list))
const count = (of, key) => of[key] ?? 0

/** For each ring: when the first and the last of it bound a chain to this root, as days after the CA began with it. */
function reached({ binds, issuedSince }, rings, root) {
  return rings.map((_, ring) => {
    const firsts = new Map()
    for (const it of binds)
      if (it.ring === ring && it.root === root && !it.isBack && !firsts.has(it.target))
        firsts.set(it.target, it)
    const after = [...firsts.values()].map(({ at }) => at - issuedSince[root])
    if (after.length === 0) return 'none'
    return `${after.length}, day ${days(Math.min(...after))} to ${days(Math.max(...after))}`
  })
}

/** How long after the bind a certificate of the refused root was taken back. */
function takenBack({ binds }) {
  const hours = binds
    .filter(it => it.isBack)
    .map(back => {
      const bound = binds.findLast(it => it.target === back.target && it.at < back.at)
      return (back.at - bound.at) / 3_600_000
    })
  return hours.length === 0
    ? 'none'
    : `${hours.length}, after ${Math.min(...hours).toFixed(1)} to ${Math.max(...hours).toFixed(1)} h`
}

const sections = {
  alternate: 'The CA still offers the chain to root 1, and nobody answers the alerts',
  'nothing-else': 'The CA offers no other chain, and nobody answers the alerts',
}

function section({ name, life, lived, tookMs, memory }) {
  const { binds, devices, outcomes, warnings } = lived
  const renewals = binds.filter(it => !it.isBack)
  const refusedElsewhere = renewals.filter(it => it.root === 2 && it.oldRoot !== 2 && it.ring > 0)
  const early = refusedElsewhere.filter(it => it.leftMs > EMERGENCY_MS)
  const columns = [reached(lived, life.rings, 1), reached(lived, life.rings, 2)]
  return `## ${sections[name]}

${row(['ring', 'targets', 'root 1: targets, when', 'root 2: targets, when', 'devices', 'refused at least once', 'failed connections'])}
|-|--:|-|-|--:|--:|--:|
${life.rings
  .map((size, ring) => {
    const it = devices[ring]
    return row([ring, size, columns[0][ring], columns[1][ring], it.devices, it.refused, it.connections])
  })
  .join('\n')}

- Certificates bound: ${renewals.length}; least time left of what was replaced: ${days(least(renewals.map(it => it.leftMs)))} days; expired: ${renewals.filter(it => it.leftMs <= 0).length}.
- Taken back by the device watch: ${takenBack(lived)}.
- Root 2 outside the first ring: ${refusedElsewhere.length}, of which before the emergency (${days(EMERGENCY_MS)} days left): ${early.length}.
- Looks at a target: ${lived.looks} in ${lived.runs} runs: ${['idle', 'rotated', 'suspended', 'rolled-back'].map(key => `${count(outcomes, key)} ${key}`).join(', ')}; failed, refused or held: ${lived.objections.length}.
- Warnings: ${['rollout-waits', 'rollout-frozen', 'rollout-overridden', 'devices-fewer', 'devices-missing', 'devices-unknown'].map(key => `${count(warnings, key)} ${key}`).join(', ')}. Orders: ${lived.orders}.
- The simulation took ${Math.round(tookMs / 60_000)} minutes, and ${Math.round(memory / 2 ** 20)} MB with the sandbox.
`
}

const text = lives => {
  const [{ life }] = lives
  const sum = life.rings.reduce((all, size) => all + size, 0)
  return `# ${sum} targets in ${life.rings.length} rings, ${life.days} days

Written by \`node bench/rollout.mjs\`. Whole runs over sockets against the sandbox, on a fake clock that the sandbox
shares. Each target has an instance and a certificate of its own (90 days), bound at first for 37 to 89 days more; the
soak of each ring is 24 hours. Up to ${life.counted} targets of each ring have ${DEVICES} devices, which are watched for 24 hours after
a bind: each holds its connection for 2 to 12 hours, then connects anew and looks at what is served.

On day ${life.changes[0]} the CA begins to issue below a new root, which another root has cross-signed (root 1); the owner adds both to
\`trustedRoots\`. On day ${life.changes[1]} it leaves the cross-signed certificate out of its default chain, which leads to the new root alone
from then on (root 2). ${PICKY} of each ${DEVICES} devices do not know that one, and nobody knows about them.

Ticks of the schedule that can find nothing are left out: targets are looked at when something may be due, those whose
devices are counted each hour around a bind, and those of a frozen kind every eight hours.

${lives.map(section).join('\n')}${missing(lives)}`
}

/** What was not lived at this size yet. */
const missing = lives =>
  Object.entries(sections)
    .filter(([name]) => !lives.some(it => it.name === name))
    .map(
      ([, title]) =>
        `\n## ${title}\n\nNot run at this size yet; the suite runs it with five targets and 100 days.\n`,
    )
    .join('')

async function writeDown(folder) {
  const files = (await readdir(folder)).toSorted()
  const lives = await Promise.all(
    files.map(async file => JSON.parse(await readFile(join(folder, file), 'utf8'))),
  )
  await writeFile(RESULTS, text(lives))
  console.log(`written: ${RESULTS}`)
}

const [given] = process.argv.slice(2)
if (given) await writeDown(given)
else {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-rollout-'))
  try {
    await run('npx', ['vitest', 'run', 'test/e2e/rollout-life.test.ts'], { ROLLOUT_RESULTS: folder })
    await writeDown(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
