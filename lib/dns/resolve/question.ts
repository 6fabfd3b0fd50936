import type { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { RotationError } from '../../base/rotation-error.ts'
import { stopped } from '../../base/stopped.ts'
import { SECOND_MS } from '../../base/time.ts'
import type { Run } from '../../contracts.ts'

/**
 * What servers said to one question. `exists`: the name is there, with records of other types or names below it.
 * `rememberedMs`: how long a resolver may go on saying so, where it tells.
 */
export type Said<T> =
  | { readonly kind: 'records'; readonly records: readonly T[]; readonly rememberedMs?: number }
  | { readonly kind: 'nothing'; readonly exists: boolean; readonly rememberedMs?: number }
  | { readonly kind: 'failed'; readonly why: string }

/** Of the first try; the second waits twice as long. */
export const TIMEOUT_MS = 2 * SECOND_MS
export const TRIES = 2
/** The longest a question to one server takes. */
export const QUESTION_MS = 3 * TIMEOUT_MS

const FAILURES: Readonly<Record<string, string>> = {
  ETIMEOUT: 'no answer',
  ECONNREFUSED: 'no server there (ECONNREFUSED)',
  EREFUSED: 'REFUSED',
  ESERVFAIL: 'SERVFAIL',
  ENOTIMP: 'NOTIMP',
  EFORMERR: 'FORMERR',
}

/** Lower case, without the final dot. */
export const bareName = (name: string): string => name.toLowerCase().replace(/\.$/, '')

/** Whether a resolver of the settings is asked over HTTPS. */
export const isUrl = (resolver: string): boolean => /^https?:/i.test(resolver)

const MAX_LABEL = 63
const MAX_NAME = 253

/** Refuses a name that no DNS message can carry (RFC 1035 section 2.3.4). @throws RotationError `settings-invalid` */
export function checkName(name: string, what: string): void {
  const bare = bareName(name)
  if (bare.length <= MAX_NAME && bare.split('.').every(({ length }) => length > 0 && length <= MAX_LABEL))
    return
  const rule = `at most ${MAX_LABEL} characters in a label and ${MAX_NAME} in all`
  throw new RotationError('settings-invalid', `${what}: ${name} is no DNS name: ${rule}`, {
    retry: 'never',
    hint: 'Check the names of the certificate; `_acme-challenge.` is put in front of each.',
  })
}

/** `192.0.2.1:53` or `[2001:db8::1]:53`, as Node's resolver wants a server. */
export const serverText = (address: string, port: number): string =>
  isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`

/** Splits `host` or `host:port` of the settings and looks its addresses up. @throws RotationError `unreachable` */
export async function serverAddresses(
  server: string,
  defaultPort: number,
): Promise<readonly { readonly address: string; readonly port: number }[]> {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(server) ?? []
  const host = bracketed ?? plain ?? server
  const at = { port: port === undefined ? defaultPort : Number(port) }
  if (isIP(host)) return [{ ...at, address: host }]
  try {
    const { lookup } = await import('node:dns/promises')
    return (await lookup(host, { all: true })).map(({ address }) => ({ ...at, address }))
  } catch (cause) {
    const { code = 'failed' } = cause as NodeJS.ErrnoException
    throw new RotationError('unreachable', `DNS server ${server} has no address (${code})`, {
      cause,
      hint: 'Check propagation.resolvers and propagation.nameservers, or give addresses there.',
    })
  }
}

/**
 * Asks one question, of the system's resolvers when `servers` is null. Every question gets a resolver of its own,
 * so that nothing is remembered from an earlier answer.
 * @throws RotationError `out-of-time` (or the signal's own) when `run.signal` is aborted
 */
export async function ask<T>(
  servers: readonly string[] | null,
  question: (resolver: Resolver) => Promise<readonly T[]>,
  run: Run,
): Promise<Said<T>> {
  const { Resolver } = await import('node:dns/promises')
  if (run.signal.aborted) throw stopped(run, 'DNS question')
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
  if (servers) resolver.setServers(servers)
  const cancel = (): void => resolver.cancel()
  run.signal.addEventListener('abort', cancel, { once: true })
  try {
    return { kind: 'records', records: await question(resolver) }
  } catch (thrown) {
    if (run.signal.aborted) throw stopped(run, 'DNS question')
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException
    if (code === 'ENODATA' || code === 'ENOTFOUND') return { kind: 'nothing', exists: code === 'ENODATA' }
    return { kind: 'failed', why: FAILURES[code] ?? code }
  } finally {
    run.signal.removeEventListener('abort', cancel)
  }
}
