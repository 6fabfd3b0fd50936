import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** How a service that takes messages answers. `silent` accepts the connection and says nothing. */
export type AnswerMode = 'good' | 'refused' | 'down' | 'throttled' | 'silent' | 'garbage'

/** One message as the service understood it. */
export interface TakenMessage {
  /** What a lock screen shows. */
  readonly title: string
  /** Everything that people can read. */
  readonly text: string
  /** Groups messages where the service does. */
  readonly thread: string | null
  readonly resolves: boolean
  /** Where the service accepts a second message of the same id, and delivers it to nobody. */
  readonly delivery?: string | null
}

export interface AlertService {
  /** Where messages are posted to. */
  readonly url: string
  mode: AnswerMode
  /** Messages that were understood and answered well, oldest first. */
  readonly taken: TakenMessage[]
  /** Requests, whatever became of them. */
  readonly requests: AlertRequest[]
  /** What was wrong with requests, by the service's documentation. */
  readonly complaints: string[]
  dispose(): Promise<void>
}

export interface AlertRequest {
  readonly path: string
  readonly query: URLSearchParams
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What a service makes of a request: a message, or why it is none and, if not as usual, how it says so. */
export type Understood =
  | { readonly message: TakenMessage }
  | { readonly complaint: string; readonly reply?: Reply }

export interface AlertServiceOptions {
  readonly path: string
  readonly understand: (request: AlertRequest) => Understood
  /** The documented answer to a good request, and to a bad one. */
  readonly accepted: Reply
  readonly refused: Reply
}

export interface Reply {
  readonly status: number
  readonly body: string | object
}

const OTHERS: Readonly<
  Record<Exclude<AnswerMode, 'good' | 'silent' | 'refused'>, Reply & { retryAfter?: string }>
> = {
  down: { status: 503, body: 'Service Unavailable' },
  throttled: { status: 429, body: 'Too Many Requests', retryAfter: '2' },
  garbage: { status: 200, body: '<html>it works</html>' },
}

const read = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

const isRepeated = ({ delivery }: TakenMessage, taken: readonly TakenMessage[]): boolean =>
  Boolean(delivery) && taken.some(it => it.delivery === delivery)

/** One that was asked nothing yet; whoever makes it says where it is, and how it ends. */
export const newAlertService = (): AlertService & { url: string } => ({
  url: '',
  mode: 'good',
  taken: [],
  requests: [],
  complaints: [],
  dispose: async () => {},
})

/** A service on loopback that judges each request by its documentation. */
export async function createAlertService(options: AlertServiceOptions): Promise<AlertService> {
  const service = newAlertService()
  const server = createServer(async (incoming, response) => {
    const target = incoming.url ?? '/'
    const { pathname, searchParams } = new URL(target, 'http://localhost')
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([k, it]) => [k, String(it)]))
    const method = incoming.method ?? ''
    const request = {
      path: pathname,
      query: searchParams,
      method,
      target,
      headers,
      body: await read(incoming),
    }
    service.requests.push(request)
    const understood =
      method === 'POST' && pathname === options.path
        ? options.understand(request)
        : { complaint: `${method} ${pathname}` }
    if ('complaint' in understood) service.complaints.push(understood.complaint)
    if (service.mode === 'silent') return
    const isGood = service.mode === 'good' && 'message' in understood
    if (isGood && !isRepeated(understood.message, service.taken)) service.taken.push(understood.message)
    const reply: Reply & { retryAfter?: string } =
      service.mode === 'good' || service.mode === 'refused'
        ? isGood
          ? options.accepted
          : (('complaint' in understood ? understood.reply : undefined) ?? options.refused)
        : OTHERS[service.mode]
    if (reply.retryAfter) response.setHeader('retry-after', reply.retryAfter)
    const isText = typeof reply.body === 'string'
    response.setHeader('content-type', isText ? 'text/plain' : 'application/json')
    response.writeHead(reply.status).end(isText ? reply.body : JSON.stringify(reply.body))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  service.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${options.path}`
  service.dispose = async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  return service
}

/** Parses a JSON object, or throws what is wrong. */
export function asObject(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no JSON object')
  return value as Record<string, unknown>
}

/** Reads a message, and complains where reading throws. */
export const understanding =
  (readMessage: (request: AlertRequest) => TakenMessage) =>
  (request: AlertRequest): Understood => {
    try {
      return { message: readMessage(request) }
    } catch (error) {
      const { message, reply } = error as Error & { reply?: Reply }
      return { complaint: message, ...(reply ? { reply } : {}) }
    }
  }

/** What must hold; `reply`: how the service says that it does not. */
export function must(holds: boolean, what: string, reply?: Reply): asserts holds {
  if (!holds) throw Object.assign(new Error(what), { reply })
}

/** A text of a member, at most so many characters. */
export function textIn(value: unknown, what: string, atMost = Number.POSITIVE_INFINITY): string {
  must(typeof value === 'string' && value !== '', `${what} is no text`)
  must(value.length <= atMost, `${what} is longer than ${atMost}`)
  return value
}
