import { afterEach, beforeEach } from 'vitest'

/** What a test started and has to stop; done after each test, or after all that run at once, last started first. */
export const cleanups: (() => Promise<void>)[] = []

let running = 0
beforeEach(() => {
  running += 1
})
afterEach(async () => {
  running -= 1
  if (running > 0) return
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
