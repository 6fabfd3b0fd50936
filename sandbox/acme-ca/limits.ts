/** A bucket of so many, of which one comes back after `refillSeconds`. */
export interface RateLimit {
  readonly burst: number
  readonly refillSeconds: number
}

/** What a CA allows (https://letsencrypt.org/docs/rate-limits/). */
export interface RateLimits {
  /** New orders of one account. */
  readonly newOrders: RateLimit | null
  /** Certificates for exactly the same names, of all accounts. */
  readonly certificates: RateLimit | null
  /** Failed validations of one name by one account; counted against the next order. */
  readonly failedValidations: RateLimit | null
  /** After so many failed validations in a row the account is paused for the name until a person asks. */
  readonly failuresUntilPause: number | null
}

export const NO_LIMITS: RateLimits = {
  newOrders: null,
  certificates: null,
  failedValidations: null,
  failuresUntilPause: null,
}

export const LETS_ENCRYPT: RateLimits = {
  newOrders: { burst: 300, refillSeconds: 36 },
  certificates: { burst: 5, refillSeconds: (7 * 86_400) / 5 },
  failedValidations: { burst: 5, refillSeconds: 720 },
  failuresUntilPause: 1152,
}
