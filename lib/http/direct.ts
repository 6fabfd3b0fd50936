import { lookup } from 'node:dns'
import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  request as overTcp,
  type RequestOptions,
} from 'node:http'
import { request as overTls, Agent as TlsAgent } from 'node:https'
import type { LookupFunction } from 'node:net'
import { SECOND_MS } from '../base/time.ts'
import {
  type Exchange,
  HttpFailure,
  type HttpResponse,
  joinHeaders,
  tooLarge,
  type Way,
  type WayOptions,
} from './http.ts'

const read = (
  answer: IncomingMessage,
  { encoding, maxBytes }: Pick<Exchange, 'encoding' | 'maxBytes'>,
): Promise<HttpResponse> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes) answer.destroy(tooLarge(maxBytes))
      else chunks.push(chunk)
    })
    answer.once('error', reject)
    answer.once('end', () =>
      resolve({
        status: answer.statusCode ?? 0,
        headers: joinHeaders(answer.rawHeaders),
        text: Buffer.concat(chunks).toString(encoding),
      }),
    )
  })

/** Tells when there is a connection that the request can be sent over, or ends it when there is none in time. */
const watch = (
  request: ClientRequest,
  ready: 'connect' | 'secureConnect',
  within: number,
  { onReady, mayConnect, url }: Pick<Exchange, 'onReady' | 'mayConnect' | 'url'>,
) =>
  request.once('socket', socket => {
    if (request.reusedSocket) {
      // It was made for whoever may connect to more.
      const { remoteAddress: at } = socket
      if (at !== undefined && !mayConnect(at)) return request.destroy(notThere(url.hostname, at))
      return onReady()
    }
    const timer = setTimeout(
      () => request.destroy(Object.assign(new Error('no connection in time'), { code: 'ETIMEDOUT' })),
      within,
    )
    socket.once(ready, () => {
      clearTimeout(timer)
      onReady()
    })
    socket.once('close', () => clearTimeout(timer))
  })

/** Sends one request by Node's own client, over what `connection` says. */
export const send = (
  exchange: Exchange,
  connection: Pick<RequestOptions, 'agent' | 'createConnection' | 'lookup'>,
  connectTimeoutMs: number,
): Promise<HttpResponse> =>
  new Promise((resolve, reject) => {
    const { method, url, headers, body, encoding, maxBytes, signal } = exchange
    const isTls = url.protocol === 'https:'
    // Node sends no length with a DELETE by itself.
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const request = (isTls ? overTls : overTcp)(url, {
      ...{ method, signal, ...connection },
      headers: { ...headers, ...length },
    })
    watch(request, isTls ? 'secureConnect' : 'connect', connectTimeoutMs, exchange)
    const onClose = (): void => reject(new Error('closed without an answer'))
    request.once('error', reject)
    request.once('response', answer => {
      request.off('close', onClose)
      read(answer, { encoding, maxBytes }).then(resolve, reject)
    })
    request.once('close', onClose)
    request.end(body)
  })

/** Resolves a host to addresses that may all be connected to. */
const lookupAmong =
  (mayConnect: Exchange['mayConnect']): LookupFunction =>
  (hostname, options, callback) =>
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const bad = error ? undefined : found.find(({ address }) => !mayConnect(address))
      if (error || bad) return callback(error ?? notThere(hostname, bad?.address), '')
      const [first] = found
      if (options.all) callback(null, found)
      else callback(null, first?.address ?? '', first?.family)
    })

const notThere = (host: string, address: string | undefined): HttpFailure =>
  new HttpFailure('connect', `no connection to ${host}: it must not be at ${address}`, false)

/** Keeps connections for the next request. */
export function openDirect({ connectTimeoutMs, tls }: WayOptions): Way {
  const pool = { keepAlive: true, timeout: 10 * SECOND_MS }
  const agents = { 'http:': new Agent(pool), 'https:': new TlsAgent({ ...pool, ...tls }) }
  return {
    exchange: exchange => {
      const agent = agents[exchange.url.protocol === 'https:' ? 'https:' : 'http:']
      return send(exchange, { agent, lookup: lookupAmong(exchange.mayConnect) }, connectTimeoutMs)
    },
    close: async () => {
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }
}
