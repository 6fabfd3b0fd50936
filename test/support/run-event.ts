import type { RunEvent } from '../../lib/model/outcomes.ts'

/** An event of a run: rotate everything, unless told otherwise. */
export const runEvent = (changes: Partial<RunEvent> = {}): RunEvent => ({
  action: 'rotate',
  targets: null,
  force: false,
  until: null,
  accept: null,
  ...changes,
})
