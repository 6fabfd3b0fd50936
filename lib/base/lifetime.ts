import { DAY_MS } from './time.ts'

/** From when until when a certificate is valid, in milliseconds since the epoch. */
export interface Lifetime {
  readonly notBefore: number
  readonly notAfter: number
}

/** A certificate that is about to expire: the larger of 1/20 of its lifetime and 24 h, at most 1/4 of it. */
export function emergencyMs({ notBefore, notAfter }: Lifetime): number {
  const lifetimeMs = notAfter - notBefore
  return Math.min(lifetimeMs / 4, Math.max(lifetimeMs / 20, DAY_MS))
}
