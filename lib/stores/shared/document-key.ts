import { RotationError } from '../../base/rotation-error.ts'

/** Refuses what is no key of a document: it would be another place in the service. */
export function requireDocumentKey(key: string, driver: string): void {
  if (!/^[a-z0-9-]+(\/[a-z0-9-]+)*$/.test(key))
    throw new RotationError('internal', `${driver}: ${JSON.stringify(key)} is no document key`)
}
