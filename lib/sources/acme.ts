import { X509Certificate } from 'node:crypto'
import * as v from 'valibot'
import { loadDirectory, resourceUrl } from '../acme/directory.ts'
import { problemOf } from '../acme/problem.ts'
import { fetchRenewalInfo, noRenewalInfo } from '../acme/renewal-info.ts'
import type { AcmeConnection } from '../acme/transport.ts'
import { asRotationError } from '../base/errors.ts'
import { durationField, nameField, pemField, secretField, urlField } from '../base/fields.ts'
import type { Http } from '../base/http.ts'
import {
  type CertificateRequest,
  type CertificateSource,
  defineSource,
  type Journal,
  type Obtained,
  type Run,
  type SourceContext,
} from '../contracts.ts'

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
  /** The CA's directory (RFC 8555 section 7.1.1). */
  directory: urlField(),
  email: v.optional(v.nullable(v.pipe(v.string(), v.email('must be an e-mail address'))), null),
  /** Agreement to the CA's terms of service; an account is not made without. */
  termsOfServiceAgreed: v.optional(v.boolean('must be true or false'), false),
  /** The solver that writes the TXT records, or one for each zone. */
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
    v.nullable(v.strictObject({ kid: v.pipe(v.string(), v.minLength(1)), hmacKey: secretField() })),
    null,
  ),
  /** What is spent on one set of names at most: orders within `per`, failed validations within an hour. */
  budget: v.optional(
    v.pipe(
      v.strictObject({
        orders: v.optional(count(), 3),
        per: v.optional(durationField(), '7d'),
        failedValidations: v.optional(count(), 2),
      }),
      v.transform(({ per, ...rest }) => ({ ...rest, perMs: per })),
    ),
    {},
  ),
})

type Settings = v.InferOutput<typeof settings>
type Client = import('../acme/client.ts').AcmeClient
type OpenClient = (run: Run, options: { create: boolean; forget: boolean }) => Promise<Client | null>

/** Opens the account one caller at a time, so that two orders never make two accounts or fetch two directories. */
const createOpener = (own: Settings, context: SourceContext, connect: (run: Run) => AcmeConnection) => {
  let last: Promise<unknown> = Promise.resolve()
  const open: OpenClient = (run, options) => {
    const opened = last.then(async () => {
      const { openAccount } = await import('../acme/account.ts')
      return openAccount(connect(run), own, context.memory, options)
    })
    last = opened.catch(() => {})
    return opened
  }
  return open
}

const obtain = async (
  own: Settings,
  context: SourceContext,
  open: OpenClient,
  request: CertificateRequest,
  journal: Journal,
  run: Run,
): Promise<Obtained> => {
  const { createDns01 } = await import('../acme/dns01.ts')
  const { obtainCertificate } = await import('../acme/order.ts')
  const dns = createDns01(domain => context.solver(own.solver, domain), run)
  const { openBudget } = await import('../acme/budget.ts')
  const about = { clock: run.clock, settings: `sources.${context.name}` }
  const budget = openBudget(context.memory, request.spec.names, own.budget, about)
  const attempt = async (forget: boolean): Promise<Obtained> => {
    const client = (await open(run, { create: true, forget })) as Client
    return obtainCertificate({ client, dns, request, journal, budget })
  }
  try {
    return await attempt(false)
  } catch (thrown) {
    // The CA has lost the account (a test CA started anew): one more try with newAccount.
    if (problemOf(thrown)?.type !== 'accountDoesNotExist') throw thrown
    return attempt(true)
  }
}

const create = (own: Settings, context: SourceContext): CertificateSource => {
  let http: Http | null = null
  const connect = (run: Run): AcmeConnection => {
    http ??= context.http(own.caCertificates)
    return { settings: `sources.${context.name}`, directoryUrl: own.directory, http, run }
  }
  const open = createOpener(own, context, connect)
  return {
    obtain: (request, journal, run) => obtain(own, context, open, request, journal, run),
    abandon: async (journal, run) => {
      const { createDns01 } = await import('../acme/dns01.ts')
      const { abandonOrder } = await import('../acme/abandon.ts')
      const dns = createDns01(domain => context.solver(own.solver, domain), run)
      await abandonOrder(() => open(run, { create: false, forget: false }), dns, journal, run)
    },
    renewalInfo: async (leafPem, leaf, run) => {
      const connection = connect(run)
      try {
        const url = resourceUrl(await loadDirectory(connection, context.memory), 'renewalInfo')
        if (url === null) return null
        const certificate = new X509Certificate(leafPem)
        return await fetchRenewalInfo({ http: connection.http, url, certificate, leaf, run })
      } catch (thrown) {
        run.log.warn({ leaf: leaf.fingerprint }, `no renewal info: ${asRotationError(thrown).message}`)
        return noRenewalInfo(leaf, run)
      }
    },
  }
}

/** Certificates from a CA that speaks ACME (RFC 8555, RFC 9773), validated by DNS-01. */
export default defineSource({ settings, create })
