import { isIP } from 'node:net'
import * as v from 'valibot'
import type { Secret } from './secret.ts'
import { parseDuration } from './time.ts'

/**
 * Building blocks of settings. A reference (`env:NAME`, `file:PATH`, `awssm:NAME`, `csms:NAME`) stays a
 * {@link Reference} until the loader has resolved it: to a Secret where the field is secret, else to its text.
 */

/** A value that stands elsewhere. Only the loader resolves it. */
export interface Reference {
  readonly reference: true
  readonly secret: boolean
  /** `literal` when the value itself stands in the settings. */
  readonly scheme: 'env' | 'file' | 'awssm' | 'csms' | 'literal'
  readonly value: string
  /** Null, and no mistake, when the environment variable is not set. */
  readonly optional?: boolean
  /** Variables that are asked after the first, in this order. */
  readonly or?: readonly string[]
  /** What the variable says must be an address that keys may be sent to, or names a file, whose text is meant. */
  readonly says?: 'url' | 'file'
  /** Nobody can write it there: a mistake in it is told of the object around it. */
  readonly implied?: boolean
}

export const isReference = (value: unknown): value is Reference =>
  typeof value === 'object' && value !== null && (value as Reference).reference === true

/** What an environment variable says, for a setting that nobody wrote. */
export const environmentReference = (
  name: string,
  as: Pick<Reference, 'or' | 'says' | 'implied'> & { secret: boolean; optional: boolean },
): Reference => ({
  reference: true,
  scheme: 'env',
  value: name,
  ...as,
})

const toReference = (text: string, isSecret: boolean): Reference => {
  const [, scheme, value] = /^(env|file|awssm|csms):(.+)$/s.exec(text) ?? []
  return scheme === undefined || value === undefined
    ? { reference: true, secret: isSecret, scheme: 'literal', value: text }
    : { reference: true, secret: isSecret, scheme: scheme as Reference['scheme'], value }
}

/** A text that is not empty. */
export const textField = (what: string) =>
  v.pipe(v.string(`must be ${what}`), v.minLength(1, `must be ${what}, not empty`))

/** One of some words. */
export const oneOf = <const T extends readonly string[]>(values: T) =>
  v.picklist(values, `must be one of ${values.map(value => JSON.stringify(value)).join(', ')}`)

/** Null where nothing is said. */
export const orNull = <Schema extends v.GenericSchema>(schema: Schema) => v.optional(v.nullable(schema), null)

export const flagField = () => v.boolean('must be true or false')

/**
 * A secret by reference. The schema's output type is what a driver gets after loading, a Secret; between
 * validation and loading the value is a Reference.
 */
export const secretField = () =>
  v.pipe(
    textField('a secret reference such as env:NAME or file:PATH'),
    v.transform(value => toReference(value, true) as unknown as Secret),
  )

/** A PEM text, in place or as `file:PATH`; null for none. */
export const pemField = () =>
  v.pipe(
    textField('PEM text or file:PATH'),
    v.check(
      value => /^(env|file):/.test(value) || value.includes('-----BEGIN '),
      'must be PEM text or file:PATH',
    ),
    v.transform(value => toReference(value, false) as unknown as string),
  )

/** A name for a target, certificate, driver and so on, and a reference to one. */
export const nameField = () =>
  v.pipe(textField('a name'), v.regex(/^[A-Za-z0-9][\w.-]*$/, 'must be a name: letters, digits, . _ -'))

const LOOPBACK = /^(127(\.\d{1,3}){3}|localhost|\[::1\])$/

/** Whether a URL points at this machine, the only place that may be reached without verified TLS. */
export const isLoopbackUrl = (url: string): boolean =>
  URL.canParse(url) && LOOPBACK.test(new URL(url).hostname)

/** An https URL; http only to loopback. */
export const urlField = () =>
  v.pipe(
    textField('an https URL'),
    v.check(value => URL.canParse(value), 'must be a URL such as https://host/path'),
    v.check(
      value =>
        !URL.canParse(value) ||
        new URL(value).protocol === 'https:' ||
        (new URL(value).protocol === 'http:' && isLoopbackUrl(value)),
      'must be https (http is allowed to loopback only)',
    ),
    v.check(value => !URL.canParse(value) || new URL(value).username === '', 'must not carry credentials'),
  )

/** A duration such as `30d`, `6h`, `90s`; milliseconds after validation. */
export const durationField = (atMostMs = Number.MAX_SAFE_INTEGER) =>
  v.pipe(
    textField('a duration such as 30d, 6h or 90s'),
    v.check(value => parseDuration(value) !== null, 'must be a duration such as 30d, 6h or 90s'),
    v.transform(value => parseDuration(value) ?? 0),
    v.maxValue(atMostMs, 'is too long'),
  )

/** `host` or `host:port`. */
export const serverField = () =>
  v.pipe(
    textField('a server, host or host:port'),
    v.regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/, 'must be host or host:port'),
  )

/** Not valibot's `ip`, whose expressions Node takes longer to compile than all else to check. */
export const addressField = () =>
  v.pipe(
    v.string('must be an IP address'),
    v.check(text => isIP(text) > 0, 'must be an IP address'),
  )

export const portField = () =>
  v.pipe(
    v.number('must be a port number'),
    v.integer('must be a port number'),
    v.minValue(1, 'must be 1 to 65535'),
    v.maxValue(65535, 'must be 1 to 65535'),
  )

const isUrlText = (text: string): boolean => /^https?:/i.test(text)

/** A resolver: `host`, `host:port`, or the URL of one that speaks DNS over HTTPS. */
const resolverField = () =>
  v.union([serverField(), urlField()], 'must be host, host:port, or the https URL of a resolver')

/** A wait that nobody set: what is not seen for oneself is given longer. */
const SETTLE = { authoritative: '0s', https: '10s', provider: '1m' } as const

/** How a solver's TXT values are awaited; see PropagationSettings. */
export const propagationField = () =>
  v.optional(
    v.pipe(
      v.strictObject({
        /** `https`: where port 53 is closed, the resolvers are asked; `provider`: its word and `settle` are enough. */
        check: v.optional(
          v.picklist(
            ['authoritative', 'https', 'provider'],
            'must be "authoritative", "https" or "provider"',
          ),
          'authoritative',
        ),
        /** Recursive resolvers, as host or host:port, or as URLs of DNS over HTTPS (RFC 8484). */
        resolvers: v.optional(v.array(resolverField()), []),
        /** Roots for resolvers over HTTPS. */
        caCertificates: v.optional(v.nullable(pemField()), null),
        /** Servers to ask besides those of the delegation. @example ["ns1.example.com"] */
        nameservers: v.optional(v.array(serverField()), []),
        /** Of the servers. */
        port: v.optional(portField(), 53),
        /** How long to wait for the value. */
        within: v.optional(durationField(), '3m'),
        /** How often to ask. */
        every: v.optional(durationField(), '2s'),
        /** Default: 0s with `authoritative`, 10s with `https`, 1m with `provider`. */
        settle: v.optional(v.nullable(durationField()), null),
      }),
      v.forward(
        v.partialCheck(
          [['resolvers'], ['check']],
          ({ check, resolvers }) =>
            resolvers.every(isUrlText)
              ? check !== 'https' || resolvers.length > 0
              : check !== 'https' && !resolvers.some(isUrlText),
          'must all be URLs for check "https" (at least one), and URLs or servers, not both, otherwise',
        ),
        ['resolvers'],
      ),
      v.forward(
        v.partialCheck(
          [['nameservers'], ['check']],
          ({ check, nameservers }) => check === 'authoritative' || nameservers.length === 0,
          'are asked with check "authoritative" only',
        ),
        ['nameservers'],
      ),
      v.transform(({ within, every, settle, ...rest }) => ({
        ...rest,
        withinMs: within,
        everyMs: every,
        settleMs: settle ?? parseDuration(SETTLE[rest.check]) ?? 0,
      })),
    ),
    {},
  )
