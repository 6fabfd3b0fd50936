import type { Faults } from '../kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from '../kit/http.ts'
import { dnsAdmin } from './admin.ts'
import type { Dns } from './server.ts'
import { ZoneError } from './zones.ts'

export interface HttpreqOptions {
  readonly dns: Dns
  readonly faults: Faults
  /** Asked for by HTTP basic authentication when given. */
  readonly auth?: { readonly username: string; readonly password: string }
  readonly host?: string
  readonly port?: number
}

interface Message {
  readonly fqdn: string
  readonly value: string
}

const parse = (call: Call): Message | null => {
  try {
    const { fqdn, value } = JSON.parse(call.body) as Record<string, unknown>
    if (typeof fqdn !== 'string' || typeof value !== 'string' || value === '') return null
    return fqdn.endsWith('.') ? { fqdn, value } : null
  } catch {
    return null
  }
}

const act =
  (change: (message: Message) => void) =>
  (call: Call): Answer => {
    const message = parse(call)
    if (!message) return { status: 400, body: 'want {"fqdn":"name.","value":"text"} with a final dot' }
    try {
      change(message)
      return { status: 200 }
    } catch (error) {
      if (!(error instanceof ZoneError)) throw error
      return { status: error.code === 'no-zone' ? 404 : 409, body: error.message }
    }
  }

/** A server of lego's httpreq format, default mode; operations `httpreq.*`: https://go-acme.github.io/lego/dns/httpreq/ */
export function createHttpreq(options: HttpreqOptions): Promise<Served> {
  const { dns, faults, auth } = options
  const routes: readonly Route[] = [
    {
      method: 'POST',
      path: '/present',
      operation: 'Present',
      handle: act(({ fqdn, value }) => dns.zones.add(fqdn, 'TXT', value)),
    },
    {
      method: 'POST',
      path: '/cleanup',
      operation: 'Cleanup',
      handle: act(({ fqdn, value }) => dns.zones.remove(fqdn, 'TXT', value)),
    },
  ]
  const wanted = auth && `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`
  return serve({
    service: 'httpreq',
    faults,
    routes,
    admin: dnsAdmin(dns),
    before: call =>
      wanted === undefined || call.headers.authorization === wanted
        ? null
        : {
            status: 401,
            headers: { 'www-authenticate': 'Basic realm="httpreq"' },
            body: 'wrong user or password',
          },
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
  })
}
