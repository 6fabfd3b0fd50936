/** Runs before every test file: modules are shared by the files of a worker, hooks are not. */
import { afterEach } from 'vitest'
import { cleanups } from './cleanups.ts'

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
