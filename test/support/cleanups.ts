import { afterEach } from 'vitest'

/** What a test started and has to stop; done after each test, last started first. */
export const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
