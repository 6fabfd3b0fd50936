import type { X509Certificate } from 'node:crypto'
import { crypto } from 'acme-client'
import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { parseRetryAfter } from '../../base/time.ts'
import type { Issuer } from '../../dns/caa.ts'
import { caaIdentitiesOf, metaOf } from './directory.ts'
import { type Authorization, type Order, readAuthorization, readOrder } from './resources.ts'
import { type AccountSetup, MOVED, openSignedRequests } from './signed-requests.ts'
import { type AcmeAnswer, linksOf } from './transport.ts'
import { requireWhereabouts } from './whereabouts.ts'

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
 * A certificate signing request (RFC 2986) as PEM for a PKCS#8 key: all names in the subjectAltName; the first
 * is the common name if it is shorter than 64 characters.
 */
export async function createCsr(names: readonly string[], key: Secret): Promise<string> {
  const [first = ''] = names
  const commonName = first.length < 64 ? { commonName: first } : {}
  const [, csr] = await crypto.createCsr({ altNames: [...names], ...commonName }, key.reveal())
  return csr.toString()
}

const orderBody = ({ names, profile, replaces }: OrderRequest) => ({
  identifiers: names.map(value => ({ type: 'dns', value })),
  ...(profile !== null && { profile }),
  ...(replaces !== null && { replaces }),
})

const derOf = (pem: string): string =>
  Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64').toString('base64url')

const isObject = (value: unknown): boolean => Object(value) === value

/** One account at one CA in one run; calls are made one after another. */
export type AcmeClient = ReturnType<typeof createAcmeClient>

/**
 * The client of one account. Each call throws RotationError `unreachable`, `unavailable`, `rate-limited`, `ca-rejected`,
 * `order-failed` or `out-of-time`, with the CA's problem behind it (`problemOf`).
 * @throws RotationError `settings-invalid` for an unusable account key
 */
export function createAcmeClient(setup: AccountSetup) {
  const { connection } = setup
  const requests = openSignedRequests(setup)
  const { directory, post, postTo } = requests
  const unusable = (call: string, why: string): RotationError =>
    new RotationError('unavailable', `${connection.settings}: ${call}: ${why}`)
  const locationIn = ({ headers }: AcmeAnswer, call: string, lack: string): string => {
    if (headers.location) {
      requireWhereabouts(connection, call, headers.location)
      return headers.location
    }
    throw unusable(call, lack)
  }
  const orderIn = (url: string, { data, headers }: AcmeAnswer): Order =>
    readOrder(
      connection.settings,
      url,
      data,
      parseRetryAfter(headers['retry-after'], connection.run.clock.now()),
    )
  const supports = (resource: string): boolean => typeof directory().body[resource] === 'string'
  const requireSupport = (resource: string, what: string): void => {
    if (supports(resource)) return
    const message = `${connection.settings}: the CA does not offer ${what}`
    throw new RotationError('ca-rejected', message, { retry: 'never' })
  }
  return {
    connection,
    /** Who issues, as CAA records may name it (RFC 8657 section 3). */
    get issuer(): Issuer {
      return { identities: caaIdentitiesOf(setup.directory), accountUrl: requests.accountUrl() }
    },
    /** Whether the directory lists profiles; a CA that knows of none would ignore the one it is asked for. */
    get offersProfiles(): boolean {
      return isObject(metaOf(directory()).profiles)
    },
    /** Where the directory says that accounts are made; tells whether a CA has moved. */
    get newAccountUrl(): string {
      return String(directory().body.newAccount)
    },
    get supportsRenewalInfo(): boolean {
      return supports('renewalInfo')
    },
    ready: requests.ready,
    /** Creates or finds the account of the key and uses it from then on; its URL. */
    register: async (request: AccountRequest): Promise<string> =>
      locationIn(await requests.register(request), 'newAccount', 'the answer has no URL'),
    newOrder: async (request: OrderRequest): Promise<Order> => {
      // With `replaces` a 404 says that the predecessor is not known.
      const moved = request.replaces === null ? MOVED : MOVED.filter(it => it !== 404)
      const answer = await postTo('newOrder', () => orderBody(request), 201, moved)
      const url = locationIn(answer, 'newOrder', 'Creating a new order did not return an order link')
      return orderIn(url, answer)
    },
    order: async (url: string): Promise<Order> => orderIn(url, await post('order', url)),
    authorization: async (url: string): Promise<Authorization> =>
      readAuthorization(url, (await post('authorization', url)).data),
    txtValue: requests.txtValue,
    /** Tells the CA that the challenge is ready to be looked at. */
    respond: (challengeUrl: string) => post('challenge', challengeUrl, {}),
    finalize: async (order: Order, csrPem: string): Promise<Order> =>
      orderIn(order.url, await post('finalize', order.finalize, { csr: derOf(csrPem) })),
    /** The default chain or one of the others, PEM, leaf first; and where the others are (RFC 8555 section 7.4.2). */
    certificate: async (url: string) => {
      const { data, headers } = await post('certificate', url)
      if (typeof data !== 'string' || !data.includes('-----BEGIN CERTIFICATE-----'))
        throw unusable('certificate', 'the answer is no PEM text')
      return { chainPem: data, alternates: linksOf(headers.link, 'alternate', url) }
    },
    deactivate: (authorizationUrl: string) =>
      post('deactivate authorization', authorizationUrl, { status: 'deactivated' }),
    /** Makes the CA know the account by another key (RFC 8555 section 7.3.5); this client still signs with the old one. */
    changeKey: (newKey: Secret) =>
      postTo('keyChange', () => {
        requireSupport('keyChange', 'another key for an account')
        return requests.keyChange(newKey)
      }),
    /** Revokes a certificate (RFC 8555 section 7.6): by the account, or without one by the certificate's own key. */
    revoke: (certificate: X509Certificate, reason: number) => {
      const payload = () => {
        requireSupport('revokeCert', 'revocation')
        return { certificate: certificate.raw.toString('base64url'), reason }
      }
      // A 404 says that the certificate is not known.
      return postTo('revokeCert', payload, 200, [405])
    },
  }
}
