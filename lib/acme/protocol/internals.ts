import { Client, type ClientOptions } from 'acme-client'
import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { type Directory, isElsewhere, resourceUrl } from './directory.ts'
import { problemOf, problemUrlOf } from './problem.ts'
import { type AcmeAnswer, type AcmeConnection, createTransport, MAX_BAD_NONCES } from './transport.ts'

/** What the client of one account is made with. */
export interface ClientSetup {
  readonly connection: AcmeConnection
  readonly directory: Directory
  /** Fetches the directory anew: some of its URLs are no longer there. */
  readonly reloadDirectory: () => Promise<Directory>
  readonly accountKey: Secret
  readonly accountUrl: string | null
  readonly externalAccount: { readonly kid: string; readonly hmacKey: Secret } | null
}

/** The untyped parts of acme-client 5.4.0 that are replaced or called; a contract test pins them. */
export interface ClientInternals {
  readonly http: {
    request: (url: string, method: string, options?: { data?: unknown }) => Promise<AcmeAnswer>
    getNonce: () => Promise<string>
    directoryCache: Readonly<Record<string, unknown>> | null
    directoryTimestamp: number
    directoryMaxAge: number
    maxBadNonceRetries: number
    getJwk: () => object
    createSignedBody: (url: string, payload: object) => object
  }
  readonly api: {
    accountUrl: string | null
    createAccount: (data: object) => Promise<AcmeAnswer>
    updateAccountKey: (body: object) => Promise<AcmeAnswer>
    apiResourceRequest: (
      resource: string,
      payload: object,
      valid: readonly number[],
      options: { readonly includeJwsKid: boolean },
    ) => Promise<AcmeAnswer>
  }
}

/** acme-client as it is, before its transport is replaced. */
export const rawClient = (setup: ClientSetup): Client => {
  const { connection, accountKey, accountUrl, externalAccount } = setup
  const options: ClientOptions = { directoryUrl: connection.directoryUrl, accountKey: accountKey.reveal() }
  if (accountUrl !== null) options.accountUrl = accountUrl
  if (externalAccount)
    options.externalAccountBinding = {
      kid: externalAccount.kid,
      hmacKey: externalAccount.hmacKey.reveal(),
    }
  return new Client(options)
}

/** What a URL is called in messages: the directory's key, else its path. */
const nameIn = (directory: Directory, url: string): string => {
  const known = Object.entries(directory.body).find(([, value]) => value === url)
  return known?.[0] ?? new URL(url).pathname
}

/** What a CA answers at a URL that its directory no longer has. */
export const MOVED = [301, 302, 303, 307, 308, 404, 405]

/** Puts our transport under acme-client; returns what asks again when the directory has moved. */
export const installTransport = (setup: ClientSetup, internals: ClientInternals) => {
  const { http } = internals
  let directory = setup.directory
  let reloaded = false
  const use = (next: Directory): void => {
    directory = next
    http.directoryCache = next.body
  }
  const transport = createTransport(setup.connection, url => nameIn(directory, url))
  /**
   * Runs a call on a directory URL again with a new directory, once, when the CA does not know the URL, or when nobody
   * is there any more and the directory says so.
   */
  const located = async <T>(call: () => Promise<T>, statuses = MOVED): Promise<T> => {
    try {
      return await call()
    } catch (thrown) {
      const isUnknown =
        statuses.includes(problemOf(thrown)?.status ?? 0) &&
        Object.values(directory.body).includes(problemUrlOf(thrown))
      const isDeserted = thrown instanceof RotationError && thrown.code === 'unreachable'
      if (!(isUnknown || isDeserted) || reloaded) throw thrown
      reloaded = true
      const next = await setup.reloadDirectory().catch(error => {
        throw isDeserted ? thrown : error
      })
      if (isDeserted && !isElsewhere(next, directory)) throw thrown
      use(next)
      return await call()
    }
  }
  const freshNonce = async (): Promise<string> => {
    const answer = await transport.request(resourceUrl(directory, 'newNonce') ?? '', 'HEAD')
    const nonce = answer.headers['replay-nonce']
    if (nonce) return nonce
    throw new RotationError('unavailable', `${setup.connection.settings}: newNonce: the answer has no nonce`)
  }
  use(directory)
  http.directoryTimestamp = 0
  http.directoryMaxAge = Number.POSITIVE_INFINITY
  http.maxBadNonceRetries = MAX_BAD_NONCES
  http.request = transport.request
  http.getNonce = async () => transport.takeNonce() ?? (await located(freshNonce))
  return { transport, located }
}
