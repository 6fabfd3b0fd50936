import { afterAll, beforeAll } from 'vitest'

/** As many as vitest runs concurrent tests at once. */
const LANES = 5

/** One thing for each test that runs at the same time; a test has it for itself while `work` lasts. */
export function lanes<T>(
  create: () => Promise<T>,
  dispose: (made: T) => Promise<void>,
): <R>(work: (lane: T) => Promise<R>) => Promise<R> {
  const all: T[] = []
  const free: T[] = []
  const waiting: ((lane: T) => void)[] = []
  beforeAll(async () => {
    all.push(...(await Promise.all(Array.from({ length: LANES }, create))))
    free.push(...all)
  })
  afterAll(async () => {
    await Promise.all(all.map(dispose))
  })
  return async work => {
    const lane = free.pop() ?? (await new Promise<T>(resolve => waiting.push(resolve)))
    try {
      return await work(lane)
    } finally {
      const next = waiting.shift()
      if (next) next(lane)
      else free.push(lane)
    }
  }
}
