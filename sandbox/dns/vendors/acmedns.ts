import type { Faults } from '../../kit/faults.ts'
import { type Answer, type Call, type Served, serve } from '../../kit/http.ts'
import { dnsAdmin } from '../admin.ts'
import type { Dns } from '../server.ts'

export interface AcmeDnsAccount {
  readonly username: string
  readonly password: string
  readonly subdomain: string
  /** Must lie in a zone of the DNS. */
  readonly fulldomain: string
}

export interface AcmeDnsOptions {
  readonly dns: Dns
  readonly faults: Faults
  readonly accounts: readonly AcmeDnsAccount[]
}

const failed = (status: number, error: string): Answer => ({ status, body: { error } })

function update(
  { dns, accounts }: AcmeDnsOptions,
  windows: Map<string, readonly string[]>,
  call: Call,
): Answer {
  let given: { subdomain?: unknown; txt?: unknown }
  try {
    given = JSON.parse(call.body)
  } catch {
    return failed(400, 'malformed_json_payload')
  }
  const account = accounts.find(
    it => it.username === call.headers['x-api-user'] && it.password === call.headers['x-api-key'],
  )
  if (!account) return failed(401, 'forbidden')
  const { subdomain, txt } = given
  if (subdomain !== account.subdomain) return failed(401, 'forbidden')
  if (typeof txt !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(txt)) return failed(400, 'bad_txt')
  // Two rows, of which the one written longest ago is overwritten, even with a value that is there already.
  const [, newer = ''] = windows.get(subdomain) ?? ['', '']
  const window = [newer, txt]
  windows.set(subdomain, window)
  const values = [...new Set(window.filter(value => value !== ''))]
  dns.zones.set({ name: account.fulldomain, type: 'TXT', values, ttl: 1 })
  return { status: 200, body: { txt } }
}

/** acme-dns over the zones of a DNS; operations `acmedns.*`: https://github.com/joohoi/acme-dns#api */
export function createAcmeDns(options: AcmeDnsOptions): Promise<Served> {
  const windows = new Map<string, readonly string[]>()
  return serve({
    service: 'acmedns',
    faults: options.faults,
    routes: [
      {
        method: 'POST',
        path: '/update',
        operation: 'Update',
        handle: call => update(options, windows, call),
      },
      { method: 'GET', path: '/health', operation: 'Health', handle: () => ({ status: 200 }) },
    ],
    admin: dnsAdmin(options.dns),
  })
}
