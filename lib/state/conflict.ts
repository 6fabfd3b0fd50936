import { RotationError } from '../base/rotation-error.ts'

/** Whether another writer was first. */
export const isConflict = (error: unknown): boolean =>
  error instanceof RotationError && error.code === 'store-conflict'
