import { beforeAll, expect, test } from 'vitest'
import type { TargetResult } from '../../lib/report/result.ts'
import { type DatedWorld, openDated, rotateInProcess, type World } from '../support/dated.ts'
import { environmentAt } from '../support/faketime.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Getting libfaketime the first time downloads it. */
beforeAll(async () => {
  await environmentAt(Date.now())
}, 120_000)

const world = (lifetimeDays: number, ageDays: number, issuesDays = lifetimeDays): World => ({
  lifetimeMs: lifetimeDays * DAY_MS,
  ageMs: ageDays * DAY_MS,
  issuesMs: issuesDays * DAY_MS,
})

interface Dated {
  readonly what: string
  readonly at: string
  readonly zone?: string
  readonly world: World
  readonly outcome: 'rotated' | 'idle'
  readonly reason: string
  /** What a device says before the run; null: it connects. */
  readonly before?: string
}

const DATES: readonly Dated[] = [
  {
    what: 'the last 90 days of Let’s Encrypt are over, the next are 64',
    at: '2027-02-10T00:00:05Z',
    world: world(90, 60.95, 64),
    ...{ outcome: 'rotated', reason: 'renewal-window' },
  },
  {
    what: 'a certificate of 64 days before its window',
    at: '2027-03-20T12:00:00Z',
    world: world(64, 38),
    ...{ outcome: 'idle', reason: 'fresh' },
  },
  {
    what: 'the hour that summer time leaves out',
    at: '2027-03-28T00:59:58Z',
    zone: 'Europe/Berlin',
    world: world(64, 43.4),
    ...{ outcome: 'rotated', reason: 'renewal-window' },
  },
  {
    what: 'the hour that winter time repeats',
    at: '2027-10-31T00:59:58Z',
    zone: 'Europe/Berlin',
    world: world(64, 62),
    ...{ outcome: 'rotated', reason: 'emergency' },
  },
  {
    what: 'the turn of the year, in the middle of the run',
    at: '2027-12-31T23:59:57Z',
    world: world(64, 43.4),
    ...{ outcome: 'rotated', reason: 'renewal-window' },
  },
  {
    what: 'the last 64 days of Let’s Encrypt are over, the next are 45',
    at: '2028-02-16T00:00:05Z',
    world: world(64, 43.4, 45),
    ...{ outcome: 'rotated', reason: 'renewal-window' },
  },
  {
    what: 'the leap day, with a certificate that ends before it does',
    at: '2028-02-29T12:00:00Z',
    world: world(45, 44.6),
    ...{ outcome: 'rotated', reason: 'emergency' },
  },
  {
    what: 'seconds before the 29th in Shanghai',
    at: '2028-02-28T15:59:55Z',
    zone: 'Asia/Shanghai',
    world: world(45, 20),
    ...{ outcome: 'idle', reason: 'fresh' },
  },
  {
    what: 'an hour before the end',
    at: '2027-06-30T23:00:00Z',
    world: world(45, 45 - 1 / 24),
    ...{ outcome: 'rotated', reason: 'emergency' },
  },
  {
    what: 'three days after the end',
    at: '2028-03-01T00:00:00Z',
    world: world(45, 48),
    ...{ outcome: 'rotated', reason: 'expired' },
    before: 'CERT_HAS_EXPIRED',
  },
]

const inDatedWorld = async (
  { at, world, zone = 'UTC' }: Dated,
  work: (dated: DatedWorld) => Promise<void>,
) => {
  const dated = await openDated(Date.parse(at), world, zone)
  try {
    await work(dated)
  } finally {
    await dated.dispose()
  }
}

const stepsOf = ({ steps }: TargetResult) => steps.map(({ step, status }) => `${step} ${status}`)

test.concurrent.each(DATES)('$at, $what: $outcome, $reason', { timeout: 90_000 }, async date => {
  const { at, world, outcome, reason, before = null } = date
  const expected = await rotateInProcess(Date.parse(at), world)
  expect(expected).toMatchObject({ outcome, decision: { reason } })
  await inDatedWorld(date, async dated => {
    expect((await dated.handshake()).error).toBe(before)
    const result = await dated.rotate()
    expect(result).toMatchObject({ outcome, decision: { reason }, error: null })
    expect(stepsOf(result)).toEqual(stepsOf(expected))

    const device = await dated.handshake()
    expect(device).toMatchObject({ isTrusted: true, error: null })
    expect(Math.abs(device.at - Date.parse(at))).toBeLessThan(5 * 60_000)
    const [from, to] = [Date.parse(device.validFrom), Date.parse(device.validTo)]
    expect(to + 1_000 - from).toBe(outcome === 'rotated' ? world.issuesMs : world.lifetimeMs)
    expect(to).toBe(Date.parse(result.after?.notAfter ?? ''))
    // Nothing is left to do, on whichever side of midnight it is by now.
    expect(await dated.rotate()).toMatchObject({ outcome: 'idle', decision: { reason: 'fresh' } })
  })
})
