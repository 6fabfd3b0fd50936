import * as v from 'valibot'
import type { openAcmeSource } from '../acme/acme-source.ts'
import { durationField, nameField, pemField, secretField, urlField } from '../base/fields.ts'
import { type CertificateSource, defineSource, type SourceContext } from '../contracts.ts'

const areZones = (solvers: Readonly<Record<string, string>>): boolean => {
  const zones = Object.keys(solvers)
  return zones.length > 0 && zones.every(zone => /^(?=.*[a-z])[a-z0-9_.-]+$/i.test(zone))
}

const count = () =>
  v.pipe(
    v.number('must be a number'),
    v.integer('must be a whole number'),
    v.minValue(1, 'must be 1 to 1000'),
    v.maxValue(1_000, 'must be 1 to 1000'),
  )

const settings = v.strictObject({
  /** The CA's directory (RFC 8555 section 7.1.1). @example "https://acme-v02.api.letsencrypt.org/directory" */
  directory: urlField(),
  /** Contact of the account. @example "ops@example.com" */
  email: v.optional(v.nullable(v.pipe(v.string(), v.email('must be an e-mail address'))), null),
  /** Agreement to the CA's terms of service; an account is not made without. */
  termsOfServiceAgreed: v.optional(v.boolean('must be true or false'), false),
  /** The solver that writes the TXT records, or one for each zone. @example "dns" */
  solver: v.union(
    [nameField(), v.pipe(v.record(v.string(), nameField()), v.check(areZones))],
    'must be the name of a solver, or names by zone',
  ),
  /** PEM of an existing account's private key. */
  accountKey: v.optional(v.nullable(secretField()), null),
  /** Roots to trust for the CA's HTTPS instead of the public ones. */
  caCertificates: v.optional(v.nullable(pemField()), null),
  /** External account binding (RFC 8555 section 7.3.4). `hmacKey` is base64url. */
  externalAccount: v.optional(
    v.nullable(
      v.strictObject({
        /** The key id that the CA gave. @example "kid-1" */
        kid: v.pipe(v.string(), v.minLength(1)),
        /** Its key, base64url. @example "env:EAB_HMAC_KEY" */
        hmacKey: secretField(),
      }),
    ),
    null,
  ),
  /**
   * Directory of the CA's test environment: after a failed validation the next try is rehearsed there.
   * @example "https://acme-staging-v02.api.letsencrypt.org/directory"
   */
  staging: v.optional(v.nullable(urlField()), null),
  /**
   * What is spent on one set of names at most: orders within `per`, failed validations within an hour. For
   * certificates of less than six times `per`, orders that come to nothing count for a sixth of the lifetime instead,
   * a day at least, and have as many for themselves.
   */
  budget: v.optional(
    v.pipe(
      v.strictObject({
        /** Orders within `per`. */
        orders: v.optional(count(), 3),
        /** In how long. */
        per: v.optional(durationField(), '7d'),
        /** Failed validations within an hour. */
        failedValidations: v.optional(count(), 2),
      }),
      v.transform(({ per, ...rest }) => ({ ...rest, perMs: per })),
    ),
    {},
  ),
})

type Settings = v.InferOutput<typeof settings>

const create = (own: Settings, context: SourceContext): CertificateSource => {
  let opened: Promise<ReturnType<typeof openAcmeSource>> | null = null
  /** Loads what an order needs, acme-client too; a run that is idle gets by without. */
  const source = () => {
    opened ??= import('../acme/acme-source.ts').then(loaded => loaded.openAcmeSource(own, context))
    return opened
  }
  return {
    obtain: async (...given) => (await source()).obtain(...given),
    abandon: async (...given) => (await source()).abandon(...given),
    revoke: async (...given) => (await source()).revoke(...given),
    outlook: async (...given) => (await source()).outlook(...given),
    check: async run => (await source()).check(run),
    rollover: async run => (await source()).rollover(run),
    /** Asked a few times a day: a run that still knows the answer loads nothing of ACME. */
    renewalInfo: async (leafPem, leaf, run) => {
      const [{ fetchRenewalInfo }, { CA_LIMIT }] = await Promise.all([
        import('../acme/renewal-info.ts'),
        import('../acme/protocol/transport.ts'),
      ])
      const http = context.http(own.caCertificates, CA_LIMIT)
      const connection = {
        settings: `sources.${context.name}`,
        directoryUrl: own.directory,
        isPrivate: own.caCertificates !== null,
        http,
        run,
      }
      return fetchRenewalInfo(connection, context.memory, leafPem, leaf)
    },
  }
}

/** Certificates from a CA that speaks ACME (RFC 8555, RFC 9773), validated by DNS-01. */
export default defineSource({
  settings,
  create,
  docs: {
    link: 'https://www.rfc-editor.org/rfc/rfc8555',
    says: 'a CA that speaks ACME, by DNS-01; due by `renewBefore` or renewal info',
  },
})
