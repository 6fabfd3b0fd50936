import { X509Certificate } from 'node:crypto'
import * as v from 'valibot'
import type { AccountAccess } from '../acme/account/account.ts'
import { mainJournal, rehearsalJournal, stagingMemory, withRehearsal } from '../acme/order/staging.ts'
import { durationField, nameField, pemField, secretField, urlField } from '../base/fields.ts'
import { asRotationError } from '../base/rotation-error.ts'
import {
  type CertificateSource,
  defineSource,
  type Run,
  type SourceContext,
  type SourceMemory,
} from '../contracts.ts'
import type { Http } from '../http/http.ts'

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
  /** Directory of the CA's test environment: after a failed validation the next try is rehearsed there. */
  staging: v.optional(v.nullable(urlField()), null),
  /**
   * What is spent on one set of names at most: orders within `per`, failed validations within an hour. For
   * certificates of less than six times `per`, orders that come to nothing count for a sixth of the lifetime instead,
   * a day at least, and have as many for themselves.
   */
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
type Client = import('../acme/protocol/client.ts').AcmeClient
type OpenClient = (run: Run, options: { create: boolean; forget: boolean }) => Promise<Client | null>

/** Opens the account one caller at a time, so that two orders never make two accounts or fetch two directories. */
const createOpener = (accessOf: (run: Run) => AccountAccess): OpenClient => {
  let last: Promise<unknown> = Promise.resolve()
  return (run, options) => {
    const opened = last.then(async () => {
      const { openAccount } = await import('../acme/account/account.ts')
      return openAccount(accessOf(run), options)
    })
    last = opened.catch(() => {})
    return opened
  }
}

/** One directory with the account there; the staging one of a source, if it has one, is another. */
interface Door {
  /** Its path in the settings. */
  readonly settings: string
  readonly memory: SourceMemory
  readonly accessOf: (run: Run) => AccountAccess
  readonly open: OpenClient
}

const createDoor = (
  own: Settings,
  { http, memory }: { readonly http: () => Http; readonly memory: SourceMemory },
  where: { readonly settings: string; readonly directoryUrl: string },
): Door => {
  const accessOf = (run: Run): AccountAccess => ({
    connection: { ...where, http: http(), run },
    account: own,
    memory,
  })
  return { settings: where.settings, memory, accessOf, open: createOpener(accessOf) }
}

/** Null: there is none, or it cannot be read, whoever bound it. */
const lifetimeMs = (pem: string | null): number | null => {
  try {
    const { validFrom, validTo } = new X509Certificate(pem ?? '')
    return Date.parse(validTo) - Date.parse(validFrom)
  } catch {
    return null
  }
}

/** What every order of one run is made with. */
const orderParts = async (
  own: Settings,
  context: SourceContext,
  { names, replaces }: { readonly names: readonly string[]; readonly replaces: string | null },
  run: Run,
) => {
  const { createDns01 } = await import('../acme/order/dns01.ts')
  const { barrenMs, openBudget } = await import('../acme/order/budget.ts')
  const limits = {
    ...own.budget,
    barrenMs: barrenMs(own.budget.perMs, lifetimeMs(replaces)),
  }
  return {
    dns: createDns01(domain => context.solver(own.solver, domain), context.http, run),
    budgetAt: ({ memory, settings }: Door) =>
      openBudget(memory, names, limits, { clock: run.clock, settings }),
  }
}

/**
 * Works with the account; once more with newAccount when the CA has lost it (a test CA started anew), or has moved
 * and may know it by another URL only.
 */
const withAccount = async <T>(door: Door, run: Run, work: (client: Client) => Promise<T>): Promise<T> => {
  const open = async (forget: boolean) => (await door.open(run, { create: true, forget })) as Client
  const client = await open(false)
  const { newAccountUrl } = client
  try {
    return await work(client)
  } catch (thrown) {
    const { problemOf } = await import('../acme/protocol/problem.ts')
    const isLost = problemOf(thrown)?.type === 'accountDoesNotExist'
    if (!isLost && client.newAccountUrl === newAccountUrl) throw thrown
    return work(await open(true))
  }
}

type Obtain = CertificateSource['obtain']

/** After a failed validation the next one is tried on staging first, where a failure costs nothing. */
const obtainAt =
  (own: Settings, context: SourceContext, door: Door, staging: Door | null): Obtain =>
  async (request, journal, run) => {
    const { dns, budgetAt } = await orderParts(
      own,
      context,
      { names: request.spec.names, replaces: request.replaces },
      run,
    )
    const { obtainCertificate } = await import('../acme/order/order.ts')
    const budget = budgetAt(door)
    // No account is made, and no CA asked, for names whose records could not be written anyway.
    const { knowsAccount } = await import('../acme/account/account.ts')
    if (!(await knowsAccount(door.accessOf(run))))
      await dns.prepare(request.spec.names, null, request.emergency)
    if (staging === null)
      return withAccount(door, run, client => obtainCertificate({ client, dns, request, journal, budget }))
    const { rehearse } = await import('../acme/order/rehearsal.ts')
    const waits = await rehearse({ request, journal, budget, run }, work =>
      withAccount(staging, run, client => work({ client, dns, budget: budgetAt(staging) })),
    )
    if (waits) return waits
    const obtained = await withAccount(door, run, client =>
      obtainCertificate({ client, dns, request, journal: mainJournal(journal), budget }),
    )
    return withRehearsal(obtained, journal)
  }

const abandonAt =
  (own: Settings, context: SourceContext, door: Door, staging: Door | null): CertificateSource['abandon'] =>
  async (journal, run) => {
    const { dns } = await orderParts(own, context, { names: [], replaces: null }, run)
    const { abandonOrder } = await import('../acme/order/abandon.ts')
    const openAt = (there: Door | null) => async () =>
      there === null ? null : there.open(run, { create: false, forget: false })
    await abandonOrder(openAt(staging), dns, rehearsalJournal(journal), run)
    await abandonOrder(openAt(door), dns, mainJournal(journal), run)
  }

const create = (own: Settings, context: SourceContext): CertificateSource => {
  let client: Http | null = null
  const http = (): Http => {
    client ??= context.http(own.caCertificates)
    return client
  }
  const settings = `sources.${context.name}`
  const door = createDoor(own, { http, memory: context.memory }, { settings, directoryUrl: own.directory })
  const staging =
    own.staging === null
      ? null
      : createDoor(
          own,
          { http, memory: stagingMemory(context.memory) },
          { settings: `${settings}.staging`, directoryUrl: own.staging },
        )
  return {
    obtain: obtainAt(own, context, door, staging),
    abandon: abandonAt(own, context, door, staging),
    revoke: async (revocation, run) =>
      (await import('../acme/revoke.ts')).revokeCertificate(door.accessOf(run), revocation),
    check: async run => {
      const { checkCa } = await import('../acme/account/check.ts')
      return checkCa(door.accessOf(run), () => door.open(run, { create: false, forget: false }))
    },
    rollover: async run => (await import('../acme/account/rollover.ts')).rolloverAccount(door.accessOf(run)),
    renewalInfo: async (leafPem, leaf, run) => {
      const { connection } = door.accessOf(run)
      const { fetchRenewalInfo, noRenewalInfo } = await import('../acme/renewal-info.ts')
      try {
        const { loadDirectory, resourceUrl } = await import('../acme/protocol/directory.ts')
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
export default defineSource({
  settings,
  create,
  docs: {
    link: 'https://www.rfc-editor.org/rfc/rfc8555',
    says: 'a CA that speaks ACME, by DNS-01; due by `renewBefore` or renewal info',
  },
})
