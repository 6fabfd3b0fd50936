/** A moment of `npm run fuzz`: each reader of outside bytes on some hundred bent samples. */
import { describe, expect, test } from 'vitest'
import { fuzz } from './engine.ts'
import { READERS } from './readers.ts'

const LIMITS = { inputs: 100, durationMs: 20_000 }

describe('whatever comes from outside is read, or refused with a RotationError', () => {
  test.each(READERS.map(reader => [reader.name, reader] as const))('%s', async (_, reader) => {
    const { faults, inputs } = await fuzz(reader, { ...LIMITS, seed: 12 })
    expect(faults).toEqual([])
    expect(inputs).toBeGreaterThan(reader.samples.length)
  })
})

test('a reader that crashes, waits or keeps things is a fault', async () => {
  const crash = { name: 'crash', samples: [Buffer.from('a')], read: () => void (null as never as { a: 1 }).a }
  expect((await fuzz(crash, { ...LIMITS, seed: 1 })).faults).toMatchObject([
    ...Array.from({ length: 5 }, (_, number) => ({ why: expect.stringMatching(/^TypeError/), number })),
  ])
  const busy = {
    ...crash,
    read: () => {
      const until = process.cpuUsage().user + 1_050_000
      while (process.cpuUsage().user < until) for (let i = 0; i < 1_000_000; i += 1) Math.sqrt(i)
    },
  }
  expect((await fuzz(busy, { inputs: 1, durationMs: 60_000, seed: 1 })).faults).toMatchObject([
    { why: expect.stringMatching(/^took \d{4,} ms$/) },
  ])
  const kept: Buffer[] = []
  const hoard = { ...crash, read: () => void kept.push(Buffer.allocUnsafe(1024 * 1024)) }
  expect((await fuzz(hoard, { inputs: 280, durationMs: 60_000, seed: 1 })).faults).toMatchObject([
    { why: expect.stringMatching(/^keeps \d+ MiB$/) },
  ])
})
