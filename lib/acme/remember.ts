import { asRotationError } from '../base/rotation-error.ts'
import type { Run, SourceMemory } from '../contracts.ts'

/**
 * Merges into what a source remembers. Everything kept so can be asked again, so a write that fails is a warning.
 */
export async function remember(
  memory: SourceMemory,
  patch: Readonly<Record<string, unknown>>,
  run: Run,
): Promise<void> {
  try {
    await memory.update(notes => ({ ...notes, ...patch }))
  } catch (thrown) {
    const { code, message } = asRotationError(thrown)
    run.log.warn({ code, keys: Object.keys(patch) }, `cannot remember for later runs: ${message}`)
  }
}
