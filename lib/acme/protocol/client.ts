import type { X509Certificate } from 'node:crypto'
import type { Client } from 'acme-client'
import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import type { Issuer } from '../../dns/caa.ts'
import { caaIdentitiesOf } from './directory.ts'
import { type ClientInternals, type ClientSetup, installTransport, MOVED, rawClient } from './internals.ts'
import { type Authorization, type Order, readAuthorization, readOrder } from './resources.ts'
import type { AcmeConnection, Transport } from './transport.ts'

/** What newAccount is told (RFC 8555 section 7.3). */
export type AccountRequest =
  | { readonly onlyReturnExisting: true }
  | { readonly termsOfServiceAgreed: true; readonly contact?: readonly string[] }

export interface OrderRequest {
  readonly names: readonly string[]
  readonly profile: string | null
  /** The predecessor's CertID (RFC 9773 section 5). */
  readonly replaces: string | null
}

/**
 * One account at one CA in one run; calls are made one after another. Each call throws RotationError
 * `unreachable`, `unavailable`, `rate-limited`, `ca-rejected`, `order-failed` or `out-of-time`, with the CA's
 * problem behind it (`problemOf`).
 */
export interface AcmeClient {
  readonly connection: AcmeConnection
  readonly supportsRenewalInfo: boolean
  /** Who issues, as CAA records may name it (RFC 8657 section 3). */
  readonly issuer: Issuer
  /** Whether the directory lists profiles; a CA that knows of none would ignore the one it is asked for. */
  readonly offersProfiles: boolean
  /** Where the directory says that accounts are made; tells whether a CA has moved. */
  readonly newAccountUrl: string
  /** Creates or finds the account of the key and uses it from then on; its URL. */
  register(request: AccountRequest): Promise<string>
  /** Has a nonce at hand, so that the next call fails only by itself. */
  ready(): Promise<void>
  newOrder(request: OrderRequest): Promise<Order>
  order(url: string): Promise<Order>
  authorization(url: string): Promise<Authorization>
  /** The TXT value that answers a dns-01 challenge (RFC 8555 section 8.4). */
  txtValue(token: string): Promise<string>
  /** Tells the CA that the challenge is ready to be looked at. */
  respond(challengeUrl: string): Promise<void>
  finalize(order: Order, csrPem: string): Promise<Order>
  /** The default chain, and where the others are (RFC 8555 section 7.4.2). */
  certificate(order: Order): Promise<{ readonly chainPem: string; readonly alternates: readonly string[] }>
  /** One of the other chains; PEM, leaf first. */
  alternate(url: string): Promise<string>
  deactivate(authorizationUrl: string): Promise<void>
  /** Makes the CA know the account by another key (RFC 8555 section 7.3.5); this client still signs with the old one. */
  changeKey(newKey: Secret): Promise<void>
  /** Revokes a certificate (RFC 8555 section 7.6): by the account, or without one by the certificate's own key. */
  revoke(certificate: X509Certificate, reason: number): Promise<void>
}

/** acme-client reports what it cannot use as a bare Error. */
const typed = async <T>(settings: string, call: string, work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (thrown) {
    if (thrown instanceof RotationError) throw thrown
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    throw new RotationError('unavailable', `${settings}: ${call}: ${why}`, { cause: thrown })
  }
}

const registered = async (setup: ClientSetup, api: ClientInternals['api'], request: AccountRequest) => {
  // Client.createAccount() would send an update when the account exists, which CAs refuse.
  const answer = await api.createAccount({ ...request })
  const url = answer.headers.location
  if (url) return url
  throw new RotationError('unavailable', `${setup.connection.settings}: newAccount: the answer has no URL`)
}

const orderBody = ({ names, profile, replaces }: OrderRequest) => ({
  identifiers: names.map(value => ({ type: 'dns', value })),
  ...(profile === null ? {} : { profile }),
  ...(replaces === null ? {} : { replaces }),
})

type OrderCalls = Pick<AcmeClient, 'newOrder' | 'order' | 'finalize' | 'certificate' | 'alternate'>

const orderCalls = (client: Client, settings: string, transport: Transport): OrderCalls => {
  const read = async (call: string, work: Promise<unknown>): Promise<Order> =>
    readOrder(settings, await typed(settings, call, work), transport.lastRetryAt())
  // acme-client's Order type has members that its code never reads.
  const handle = (order: Partial<Order>) => order as unknown as Parameters<Client['getOrder']>[0]
  const download = async (certificate: string | null): Promise<string> => {
    const order = handle({ status: 'valid', ...(certificate === null ? {} : { certificate }) })
    const pem: unknown = await typed(settings, 'certificate', client.getCertificate(order))
    if (typeof pem === 'string' && pem.includes('-----BEGIN CERTIFICATE-----')) return pem
    throw new RotationError('unavailable', `${settings}: certificate: the answer is no PEM text`)
  }
  return {
    newOrder: request => read('newOrder', client.createOrder(orderBody(request))),
    order: url => read('order', client.getOrder(handle({ url }))),
    finalize: (order, csrPem) => read('finalize', client.finalizeOrder(handle(order), csrPem)),
    certificate: async order => {
      const chainPem = await download(order.certificate)
      return { chainPem, alternates: transport.lastAlternates() }
    },
    alternate: download,
  }
}

type AccountCalls = Pick<AcmeClient, 'register' | 'changeKey' | 'revoke'>

const accountCalls = (
  setup: ClientSetup,
  { http, api }: ClientInternals,
  located: <T>(call: () => Promise<T>, statuses?: number[]) => Promise<T>,
): AccountCalls => {
  const { settings } = setup.connection
  /** Fails where the CA has no such service, before acme-client does so without a type. */
  const offered = (resource: string, what: string): string => {
    const url = http.directoryCache?.[resource]
    if (typeof url === 'string') return url
    throw new RotationError('ca-rejected', `${settings}: the CA does not offer ${what}`, { retry: 'never' })
  }
  return {
    register: request => located(() => typed(settings, 'newAccount', registered(setup, api, request))),
    // Client.updateAccountKey() would fetch the directory by a transport of its own.
    changeKey: async newKey => {
      const fresh = rawClient({ ...setup, accountKey: newKey }) as unknown as ClientInternals
      await located(async () => {
        const url = offered('keyChange', 'another key for an account')
        const claim = { account: api.accountUrl, oldKey: http.getJwk() }
        await typed(settings, 'keyChange', api.updateAccountKey(fresh.http.createSignedBody(url, claim)))
      })
    },
    revoke: async (certificate, reason) => {
      const payload = { certificate: certificate.raw.toString('base64url'), reason }
      const options = { includeJwsKid: api.accountUrl !== null }
      // A 404 says that the certificate is not known.
      await located(async () => {
        offered('revokeCert', 'revocation')
        await typed(settings, 'revokeCert', api.apiResourceRequest('revokeCert', payload, [200], options))
      }, [405])
    },
  }
}

const hasProfiles = (meta: unknown): boolean => Object(Object(meta).profiles) === Object(meta).profiles

/** acme-client for one account, over our transport. @throws RotationError `settings-invalid` for an unusable account key */
export function createAcmeClient(setup: ClientSetup): AcmeClient {
  const { connection } = setup
  const { settings } = connection
  const client = rawClient(setup)
  const internals = client as unknown as ClientInternals
  const { transport, located } = installTransport(setup, internals)
  const orders = orderCalls(client, settings, transport)
  return {
    ...orders,
    ...accountCalls(setup, internals, located),
    connection,
    get issuer() {
      return { identities: caaIdentitiesOf(setup.directory), accountUrl: internals.api.accountUrl }
    },
    get offersProfiles() {
      return hasProfiles(internals.http.directoryCache?.meta)
    },
    get newAccountUrl() {
      return String(internals.http.directoryCache?.newAccount)
    },
    get supportsRenewalInfo() {
      return typeof internals.http.directoryCache?.renewalInfo === 'string'
    },
    ready: async () => transport.keepNonce(await internals.http.getNonce()),
    // With `replaces` a 404 says that the predecessor is not known.
    newOrder: request =>
      located(
        () => orders.newOrder(request),
        request.replaces === null ? MOVED : MOVED.filter(it => it !== 404),
      ),
    authorization: async url => {
      const partial = { authorizations: [url] } as unknown as Parameters<Client['getAuthorizations']>[0]
      const [found] = await typed(settings, 'authorization', client.getAuthorizations(partial))
      return readAuthorization(url, found)
    },
    txtValue: token =>
      client.getChallengeKeyAuthorization({ type: 'dns-01', token, url: '', status: 'pending' }),
    respond: async url => {
      const challenge = { type: 'dns-01', token: '', url, status: 'pending' } as const
      await typed(settings, 'challenge', client.completeChallenge(challenge))
    },
    deactivate: async url => {
      const partial = { url } as unknown as Parameters<Client['deactivateAuthorization']>[0]
      await typed(settings, 'deactivate authorization', client.deactivateAuthorization(partial))
    },
  }
}
