import { Client } from 'acme-client'
import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { type Directory, isElsewhere, resourceUrl } from './directory.ts'
import { problemOf, problemUrlOf } from './problem.ts'
import { type AcmeAnswer, type AcmeConnection, createTransport, MAX_BAD_NONCES } from './transport.ts'

/** What the requests of one account are made with. */
export interface AccountSetup {
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
    apiRequest: (url: string, payload: object | null, valid: readonly number[]) => Promise<AcmeAnswer>
    apiResourceRequest: (
      resource: string,
      payload: object,
      valid: readonly number[],
      options: { readonly includeJwsKid: boolean },
    ) => Promise<AcmeAnswer>
  }
}

const createClient = ({ connection, accountKey, accountUrl, externalAccount }: AccountSetup): Client =>
  new Client({
    directoryUrl: connection.directoryUrl,
    accountKey: accountKey.reveal(),
    ...(accountUrl !== null && { accountUrl }),
    ...(externalAccount && {
      externalAccountBinding: { kid: externalAccount.kid, hmacKey: externalAccount.hmacKey.reveal() },
    }),
  })

const internalsOf = (client: Client): ClientInternals => client as unknown as ClientInternals

/** What a URL is called in messages: the directory's key, else its host and path. */
const nameIn = (directory: Directory, url: string): string => {
  const known = Object.entries(directory.body).find(([, value]) => value === url)
  const { host, pathname } = new URL(url)
  return known?.[0] ?? `${host}${pathname}`
}

/** What a CA answers at a URL that its directory no longer has. */
export const MOVED = [301, 302, 303, 307, 308, 404, 405]

/** Signed requests of one account (RFC 8555 section 6.2), by acme-client over our transport. @throws RotationError `settings-invalid` for an unusable account key */
export function openSignedRequests(setup: AccountSetup) {
  const { settings } = setup.connection
  const client = createClient(setup)
  const { http, api } = internalsOf(client)
  let directory = setup.directory
  let reloaded = false
  const use = (next: Directory): void => {
    directory = next
    http.directoryCache = next.body
  }
  const { request, nonces } = createTransport(setup.connection, url => nameIn(directory, url))
  const located = async <T>(call: () => Promise<T>, moved: readonly number[] = MOVED): Promise<T> => {
    try {
      return await call()
    } catch (thrown) {
      const isUnknown =
        moved.includes(problemOf(thrown)?.status ?? 0) &&
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
    const answer = await request(resourceUrl(directory, 'newNonce') ?? '', 'HEAD')
    const nonce = answer.headers['replay-nonce']
    if (nonce) return nonce
    throw new RotationError('unavailable', `${settings}: newNonce: the answer has no nonce`)
  }
  use(directory)
  http.directoryTimestamp = 0
  http.directoryMaxAge = Number.POSITIVE_INFINITY
  http.maxBadNonceRetries = MAX_BAD_NONCES
  http.request = request
  http.getNonce = async () => nonces.pop() ?? (await located(freshNonce))

  /** acme-client reports what it cannot use as a bare Error. */
  const typed = async <T>(call: string, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (thrown) {
      if (thrown instanceof RotationError) throw thrown
      const why = thrown instanceof Error ? thrown.message : String(thrown)
      throw new RotationError('unavailable', `${settings}: ${call}: ${why}`, { cause: thrown })
    }
  }
  return {
    /** As it is now: it may have been fetched again. */
    directory: (): Directory => directory,
    accountUrl: (): string | null => api.accountUrl,
    /** Without a payload it is a POST-as-GET (section 6.3). */
    post: (call: string, url: string, payload: object | null = null) =>
      typed(call, api.apiRequest(url, payload, [200])),
    /**
     * To a resource of the directory, once more with a new directory where the CA answers one of `moved`, or where
     * nobody is there any more and the directory says so; `payload` is made for each. Signed by the account, or by the
     * key alone where there is none.
     */
    postTo: (resource: string, payload: () => object, valid = 200, moved: readonly number[] = MOVED) =>
      located(() => {
        const includeJwsKid = api.accountUrl !== null
        return typed(resource, api.apiResourceRequest(resource, payload(), [valid], { includeJwsKid }))
      }, moved),
    /** Creates or finds the account of the key (section 7.3), and signs for it from then on. */
    // Client.createAccount() would send an update when the account exists, which CAs refuse.
    register: (request: object) => located(() => typed('newAccount', api.createAccount({ ...request }))),
    /** What another key signs to take this one's place (section 7.3.5). */
    keyChange: (newKey: Secret): object => {
      const fresh = internalsOf(createClient({ ...setup, accountKey: newKey }))
      const url = resourceUrl(directory, 'keyChange') ?? ''
      return fresh.http.createSignedBody(url, { account: api.accountUrl, oldKey: http.getJwk() })
    },
    /** What answers a dns-01 challenge (section 8.4). */
    txtValue: (token: string): Promise<string> =>
      client.getChallengeKeyAuthorization({ type: 'dns-01', token, url: '', status: 'pending' }),
    /** Has a nonce at hand, so that the next request fails only by itself. */
    ready: async (): Promise<void> => {
      nonces.push(await http.getNonce())
    },
  }
}
