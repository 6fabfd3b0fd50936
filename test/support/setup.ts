/** Runs before every test file: modules are shared by the files of a worker, hooks are not. */
import { afterEach, beforeEach } from 'vitest'
import { cleanups } from './cleanups.ts'

let running = 0
beforeEach(() => {
  running += 1
})
afterEach(async () => {
  running -= 1
  if (running > 0) return
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
