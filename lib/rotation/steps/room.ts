import { RotationError } from '../../base/rotation-error.ts'
import { type StepResult, suspend } from '../world.ts'

/** Both slots are used and neither may go: wait where waiting helps, else a person is needed. */
export function blockedRoom(room: { readonly until: number | null; readonly why: string }): StepResult {
  if (room.until !== null) return suspend(room.until, `both slots are used: ${room.why}`)
  throw new RotationError('slots-full', `both slots are used: ${room.why}`, {
    hint: 'Delete one unbound server certificate in the console, or change slots.delete.',
  })
}
