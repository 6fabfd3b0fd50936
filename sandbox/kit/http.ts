import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Fault, type Faults, killIf, type LoggedCall } from './faults.ts'
import { withQuotation } from './quoting.ts'

/** A request as the routes see it. */
export interface Call {
  readonly method: string
  /** Path as on the wire, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** The request target exactly as on the wire. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The body as it came. */
  readonly bytes: Buffer
  /** Values of the `:name` segments, percent-decoded. */
  readonly params: Readonly<Record<string, string>>
}

/** An answer: an object body is sent as JSON, a string or Buffer as it is. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: object | string | Buffer
}

export interface Route {
  readonly method: string
  /** Segments, `:name` for a variable one, e.g. `/v5/iot/:project/server-certificates/:id`. */
  readonly path: string
  /** Only calls with this value of a header, e.g. the action of an RPC-style API. */
  readonly header?: readonly [name: string, value: string]
  /** Name in the log and for faults, without the service. */
  readonly operation: string
  readonly handle: (call: Call) => Answer | Promise<Answer>
}

export interface ServeOptions {
  /** Prefix of the operations, e.g. `iotda`. */
  readonly service: string
  readonly faults: Faults
  readonly routes: readonly Route[]
  /** Routes of this service's own switches, below `/_sandbox/`: neither logged nor hit by faults. */
  readonly admin?: readonly Route[]
  /** Runs before the route (authentication, common checks); an answer ends the call. */
  readonly before?: (call: Call, operation: string) => Answer | null
  /** Added to every answer, e.g. `X-Request-Id`. Called once for each answer. */
  readonly headers?: (call: Call, operation: string) => Record<string, string>
  readonly notFound?: (call: Call) => Answer
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly host?: string
  readonly port?: number
}

export interface Served {
  readonly url: string
  readonly port: number
  dispose(): Promise<void>
}

const match = (pattern: string, path: string): Record<string, string> | null => {
  const want = pattern.split('/')
  const have = path.split('/')
  if (want.length !== have.length) return null
  const params: Record<string, string> = {}
  for (const [i, segment] of want.entries()) {
    const value = have[i] ?? ''
    if (segment.startsWith(':')) params[segment.slice(1)] = decodeURIComponent(value)
    else if (segment !== value) return null
  }
  return params
}

const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const send = (
  response: ServerResponse,
  answer: Answer,
  extra: Record<string, string>,
  cut?: number,
): void => {
  const { body } = answer
  const json = typeof body === 'object' && !Buffer.isBuffer(body)
  const bytes =
    body === undefined ? Buffer.alloc(0) : Buffer.from(json ? JSON.stringify(body) : (body as string))
  const headers: Record<string, string | string[]> = { ...extra }
  if (json) headers['content-type'] = 'application/json'
  for (const [name, value] of Object.entries(answer.headers ?? {})) {
    headers[name.toLowerCase()] = typeof value === 'string' ? value : [...value]
  }
  if (answer.status !== 204) headers['content-length'] = String(bytes.length)
  response.writeHead(answer.status, headers)
  if (cut === undefined) response.end(bytes)
  else response.write(bytes.subarray(0, cut), () => response.socket?.destroy())
}

/** The admin routes every service has: its faults and its log. */
const commonAdmin = (faults: Faults): readonly Route[] => [
  {
    method: 'POST',
    path: '/_sandbox/faults',
    operation: '',
    handle: call => {
      faults.add(JSON.parse(call.body) as Fault)
      return { status: 204 }
    },
  },
  {
    method: 'GET',
    path: '/_sandbox/faults',
    operation: '',
    handle: () => ({ status: 200, body: faults.active() }),
  },
  {
    method: 'DELETE',
    path: '/_sandbox/faults',
    operation: '',
    handle: () => {
      faults.clear()
      return { status: 204 }
    },
  },
  {
    method: 'GET',
    path: '/_sandbox/calls',
    operation: '',
    handle: () => ({ status: 200, body: faults.calls }),
  },
]

/** An HTTP(S) server on loopback whose every call is logged and passes the fault switches. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { faults, service } = options
  const host = options.host ?? '127.0.0.1'
  const admin = [...commonAdmin(faults), ...(options.admin ?? [])]
  const find = (routes: readonly Route[], { method, path, headers }: Omit<Call, 'params' | 'bytes'>) => {
    for (const route of routes) {
      const [name = '', value = ''] = route.header ?? []
      const fits = route.method === method && (route.header === undefined || headers[name] === value)
      const params = fits ? match(route.path, path) : null
      if (params) return { route, params }
    }
    return null
  }

  const answerTo = async (call: Call, route: Route | null): Promise<Answer> => {
    const early = options.before?.(call, route?.operation ?? 'Unknown')
    if (early) return early
    if (route) return await route.handle(call)
    return options.notFound?.(call) ?? { status: 404, body: 'not found' }
  }

  const perform = async (call: Call, route: Route | null, response: ServerResponse): Promise<void> => {
    const operation = `${service}.${route?.operation ?? 'Unknown'}`
    const { logged, fault } = faults.arrive({
      operation,
      method: call.method,
      path: call.target,
      body: call.body,
    })
    if (fault?.delayMs) await sleep(fault.delayMs)
    const extra = options.headers?.(call, route?.operation ?? 'Unknown') ?? {}
    if (killIf(fault, 'before') || fault?.drop === 'before') return void response.socket?.destroy()
    const replaced = fault?.status !== undefined
    if (replaced && !fault.after) return reply(replacement(fault, call))
    const real = await answerTo(call, route)
    if (killIf(fault, 'after') || fault?.drop === 'after') return void response.socket?.destroy()
    reply(replaced ? replacement(fault, call) : real, fault?.cut)

    function reply(answer: Answer, cut?: number): void {
      ;(logged as LoggedCall).status = answer.status
      send(response, answer, extra, cut)
    }
  }

  const replacement = ({ status = 500, headers = {}, body = '', quoting }: Fault, call: Call): Answer => ({
    status,
    headers,
    body: quoting === undefined ? body : withQuotation(body, call.body, quoting),
  })

  const listener = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const target = request.url ?? '/'
      const [path = '/', search = ''] = target.split('?', 2)
      const headers: Record<string, string> = {}
      for (const [name, value] of Object.entries(request.headers)) headers[name] = String(value)
      const method = request.method ?? 'GET'
      const bytes = await readBody(request)
      const base = {
        method,
        path,
        query: new URLSearchParams(search),
        target,
        headers,
        body: bytes.toString('utf8'),
        bytes,
      }
      const own = path.startsWith('/_sandbox/') ? find(admin, base) : null
      if (own) return send(response, await own.route.handle({ ...base, params: own.params }), {})
      const found = find(options.routes, base)
      await perform({ ...base, params: found?.params ?? {} }, found?.route ?? null, response)
    } catch (error) {
      if (!response.headersSent)
        send(response, { status: 500, body: `sandbox: ${(error as Error).stack}` }, {})
    }
  }

  const sockets = new Set<Socket>()
  const handler = (request: IncomingMessage, response: ServerResponse) => void listener(request, response)
  const server = options.tls ? createHttpsServer(options.tls, handler) : createHttpServer(handler)
  server.keepAliveTimeout = 30_000
  server.on(options.tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `${options.tls ? 'https' : 'http'}://${host}:${port}`,
    port,
    dispose: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
