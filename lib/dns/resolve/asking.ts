import type { RecordData, RecordType, Resolved } from './response.ts'

/** How a resolver is asked. */
export interface Asking {
  /** Without validation. */
  readonly unvalidated?: boolean
  /** With signatures. */
  readonly signatures?: boolean
}

/** Asks resolvers, all of them. They may remember earlier answers. */
export type Lookup = <T extends RecordType>(
  type: T,
  name: string,
  asking?: Asking,
) => Promise<Resolved<RecordData[T]>>

const SERVFAIL = 'SERVFAIL'

/**
 * A resolver does not say why it fails. Where it has an answer as soon as it need not validate (the CD bit), and has
 * none when it must, that is why (RFC 4035 section 5.5): the failure then comes with that answer.
 */
export async function withoutValidation<T>(
  resolved: Resolved<T>,
  asking: Asking,
  ask: (asking: Asking) => Promise<Resolved<T>>,
): Promise<Resolved<T>> {
  if (resolved.kind !== 'failed' || resolved.why !== SERVFAIL || asking.unvalidated) return resolved
  const unvalidated = await ask({ ...asking, unvalidated: true })
  if (unvalidated.kind === 'failed') return resolved
  // One that only stumbled has found its way by now.
  const again = await ask(asking)
  return again.kind === 'failed' && again.why === SERVFAIL ? { ...again, unvalidated } : again
}

/** Of what several resolvers say: a chain of trust that is broken, else the first answer; undefined: all of them fail. */
export const mostTelling = <T>(said: readonly Resolved<T>[]): Resolved<T> | undefined =>
  said.find(it => it.kind === 'failed' && it.unvalidated !== undefined) ??
  said.find(it => it.kind !== 'failed')
