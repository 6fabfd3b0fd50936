/** A fleet in rings through changes of the CA's root; `node bench/rollout.mjs` lives larger ones and writes them down. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  LIFETIME_MS,
  liveInRings,
  PICKY,
  type RolloutBind,
  type RolloutLife,
  type RolloutLived,
  SOAK_MS,
} from '../support/rollout-life.ts'

/** For the bench, which wants large lives, and to know what came of them. */
const { ROLLOUT_RESULTS: FOLDER } = process.env
type Size = Pick<RolloutLife, 'rings' | 'counted' | 'days' | 'changes'>
const LARGE: Size = { rings: [4, 16, 80, 200], counted: 4, days: 400, changes: [40, 200] }
const sized = (small: Size): Size => (FOLDER ? LARGE : small)
const TIMEOUT = { timeout: FOLDER ? 7_200_000 : 120_000 }

const EMERGENCY_MS = LIFETIME_MS / 20

async function live(name: string, life: RolloutLife): Promise<RolloutLived> {
  const startedAt = performance.now()
  const lived = await liveInRings(life)
  if (!FOLDER) return lived
  await mkdir(FOLDER, { recursive: true })
  const took = { tookMs: performance.now() - startedAt, memory: process.memoryUsage.rss() }
  await writeFile(join(FOLDER, `${name}.json`), JSON.stringify({ name, life, lived, ...took }))
  return lived
}

/** Binds of a chain to this root where devices were served another until then. */
const isNewOf = (root: number) => (bind: RolloutBind) =>
  bind.root === root && bind.oldRoot !== root && !bind.isBack

/** Each target of a later ring binds a kind a soak after the last one of the ring before, or later. */
function expectOrder({ binds }: RolloutLived, { rings }: RolloutLife, root: number): void {
  const firsts = new Map<string, RolloutBind>()
  for (const bind of binds.filter(isNewOf(root))) if (!firsts.has(bind.target)) firsts.set(bind.target, bind)
  const boundIn = rings.map((_, ring) =>
    [...firsts.values()].filter(bind => bind.ring === ring).map(({ at }) => at),
  )
  for (const [ring, times] of boundIn.entries())
    for (const earlier of boundIn.slice(0, ring))
      expect(Math.min(...times) - Math.max(...earlier), `ring ${ring}`).toBeGreaterThanOrEqual(SOAK_MS)
}

function expectSound(
  { objections, binds, left, devices }: RolloutLived,
  { rings, counted }: RolloutLife,
): void {
  expect(objections).toEqual([])
  expect(Math.min(...binds.map(({ leftMs }) => leftMs))).toBeGreaterThan(0)
  expect(Math.min(...Object.values(left))).toBeGreaterThan(0)
  // Only devices that do not know the root ever failed.
  for (const [ring, { refused }] of devices.entries())
    expect(refused, `ring ${ring}`).toBeLessThanOrEqual(PICKY * Math.min(counted, rings[ring] ?? 0))
}

test(
  'devices refuse a root: no ring but the first serves it, and no device elsewhere fails',
  TIMEOUT,
  async () => {
    const life = {
      ...sized({ rings: [2, 2, 3, 4], counted: 1, days: 105, changes: [10, 45] }),
      ...{ hasAlternate: true, seed: 1 },
    }
    const lived = await live('alternate', life)
    expectSound(lived, life)
    expectOrder(lived, life, 1)
    const refused = lived.binds.filter(isNewOf(2))
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.filter(({ ring }) => ring > 0)).toEqual([])
    expect(lived.devices[0]?.refused).toBeGreaterThan(0)
    expect(lived.devices.slice(1).filter(({ connections }) => connections > 0)).toEqual([])
    expect(lived.frozenAt).not.toBeNull()
    // Nobody was late for it.
    const renewals = lived.binds.filter(({ isBack }) => !isBack)
    expect(Math.min(...renewals.map(({ leftMs }) => leftMs))).toBeGreaterThan(2 * EMERGENCY_MS)
  },
)

test('the CA has nothing else, and nobody answers: each goes on in its emergency', TIMEOUT, async () => {
  const life = {
    ...sized({ rings: [1, 2, 2], counted: 1, days: 100, changes: [10, 40] }),
    ...{ hasAlternate: false, seed: 1 },
  }
  const lived = await live('nothing-else', life)
  expectSound(lived, life)
  expectOrder(lived, life, 1)
  const later = lived.binds.filter(bind => isNewOf(2)(bind) && bind.ring > 0)
  expect(later.length).toBeGreaterThan(0)
  expect(later.filter(({ leftMs }) => leftMs > EMERGENCY_MS)).toEqual([])
})
