import { SECOND_MS } from '../base/time.ts'
import { reachOf } from '../http/address.ts'
import { type Http, HttpFailure } from '../http/http.ts'

/** The largest that a public CA keeps has some megabytes. */
const LIST_BYTES_AT_MOST = 10 * 1024 * 1024
const TIMEOUT_MS = 4 * SECOND_MS
const REDIRECTS_AT_MOST = 2

/** Where a list may be fetched from. */
export interface Sought {
  readonly http: Http
  /** Whether the CA is a private one, whose lists may lie within. */
  readonly isPrivate: boolean
  readonly signal: AbortSignal
}

/** Why nothing came. */
export class NotFetched extends Error {}

async function fetchOnce(url: URL, { http, isPrivate, signal }: Sought) {
  if (url.protocol !== 'http:') throw new NotFetched('lists are fetched by http only')
  const mayConnect = (address: string): boolean => {
    const reach = reachOf(address)
    return reach === 'public' || (isPrivate && reach === 'private')
  }
  if (reachOf(url.hostname) !== null && !mayConnect(url.hostname))
    throw new NotFetched(`no list is fetched from ${url.hostname}`)
  const at = new URL(url)
  at.username = ''
  at.password = ''
  return http.request({
    ...{ method: 'GET', url: at.href, encoding: 'latin1', mayConnect },
    ...{ maxBytes: LIST_BYTES_AT_MOST, timeoutMs: TIMEOUT_MS, signal },
  })
}

/**
 * Fetches what stands at a URL out of a certificate: by http, from no address that a certificate should not name, with
 * bounds of size, time and redirects. @throws NotFetched
 */
export async function fetchList(first: string, sought: Sought): Promise<Buffer> {
  try {
    let url = new URL(first)
    for (let redirects = 0; redirects <= REDIRECTS_AT_MOST; redirects += 1) {
      const { status, headers, text } = await fetchOnce(url, sought)
      if (status === 200) return Buffer.from(text, 'latin1')
      const { location } = headers
      if (status < 300 || status > 399 || location === undefined) throw new NotFetched(`HTTP ${status}`)
      url = new URL(location, url)
    }
    throw new NotFetched(`more than ${REDIRECTS_AT_MOST} redirects`)
  } catch (thrown) {
    if (thrown instanceof NotFetched) throw thrown
    throw new NotFetched(thrown instanceof HttpFailure ? thrown.message : 'it is no URL')
  }
}
