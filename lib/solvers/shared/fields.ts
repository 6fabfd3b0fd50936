import * as v from 'valibot'
import { pemField, propagationField, urlField } from '../../base/fields.ts'

const MAX_TTL = 2_147_483_647

/** Seconds that resolvers may keep a record; for records a solver creates. */
export const ttlField = (standard: number, least = 1) =>
  v.optional(
    v.pipe(
      v.number('must be a number of seconds'),
      v.integer('must be whole seconds'),
      v.minValue(least, `must be at least ${least}`),
      v.maxValue(MAX_TTL, 'is too long'),
    ),
    standard,
  )

/** What the settings of every DNS service with an HTTP API have. */
export const httpFields = () => ({
  /** Roots for the service's HTTPS instead of Node's. */
  caCertificates: v.optional(v.nullable(pemField()), null),
  /** How the value is awaited before the CA is told. */
  propagation: propagationField(),
})

/** The same, with an endpoint that is rarely another. */
export const serviceFields = (endpoint: string) => ({
  /** Base URL of the API; the vendor's own unless there is another. */
  endpoint: v.optional(urlField(), endpoint),
  ...httpFields(),
})
