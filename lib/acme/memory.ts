import { asRotationError } from '../base/errors.ts'
import type { Run, SourceMemory } from '../contracts.ts'

/**
 * Merges into what a source remembers. Everything kept so can be asked again, so a write that fails is a
 * warning; one lost race is tried again.
 */
export async function remember(
  memory: SourceMemory,
  patch: Readonly<Record<string, unknown>>,
  run: Run,
): Promise<void> {
  for (const last of [false, true]) {
    try {
      return await memory.write({ ...(await memory.read()), ...patch })
    } catch (thrown) {
      const { code, message } = asRotationError(thrown)
      if (code === 'store-conflict' && !last) continue
      return run.log.warn({ code, keys: Object.keys(patch) }, `cannot remember for later runs: ${message}`)
    }
  }
}
