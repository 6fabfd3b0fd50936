import type { Secret } from '../base/secret.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** How the answer's bytes become its text; `latin1` keeps each byte. Default `utf8`. */
  readonly encoding?: 'utf8' | 'latin1'
  /** Whether one of the host's addresses may be connected to; a proxy is not asked. Default: each may. */
  readonly mayConnect?: (address: string) => boolean
  /** Devices wait for it: it is sent although the service wants to be left alone. Default: no. */
  readonly isUrgent?: boolean
  /** Of the answer's body. Default 4 MiB. */
  readonly maxBytes?: number
  /** From the call to the last byte of the answer. Default 30 s. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface HttpResponse {
  readonly status: number
  /** Lower-case names; repeated headers are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** Why no answer came. `sent` false: the request cannot have taken effect. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly reason:
    | 'proxy'
    | 'connect'
    | 'tls'
    | 'timeout'
    | 'dropped'
    | 'aborted'
    | 'too-large'
    | 'left-alone'
  readonly sent: boolean
  /** Of `left-alone`: until when the service wants to be. */
  readonly until: number | null

  constructor(
    reason: HttpFailure['reason'],
    message: string,
    sent: boolean,
    cause?: unknown,
    until: number | null = null,
  ) {
    super(message, { cause })
    this.reason = reason
    this.sent = sent
    this.until = until
  }
}

/** An HTTP client: any status is an answer, never an exception; redirects are not followed. */
export interface Http {
  /** @throws HttpFailure when there is no complete answer */
  request(request: HttpRequest): Promise<HttpResponse>
  /** This answer of its says that there were too many; `pauseMs`: how long the service wants to be left alone. */
  tooMany?(answer: HttpResponse, pauseMs: number): void
  /** Closes idle connections, so that a process can end. */
  close(): Promise<void>
}

/** A tunnel (RFC 9110 section 9.3.6) for the addresses that it stands for. */
export interface HttpProxy {
  /** May hold a name and a password. */
  readonly url: Secret
  covers(url: URL): boolean
}

export interface HttpOptions {
  /** PEM of the roots to trust instead of Node's. */
  readonly caCertificates?: string | null
  readonly connectTimeoutMs?: number
  readonly proxy?: HttpProxy | null
}

/** A request with everything decided, for one way of sending it. */
export interface Exchange {
  readonly method: HttpRequest['method']
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
  readonly encoding: 'utf8' | 'latin1'
  readonly maxBytes: number
  readonly mayConnect: (address: string) => boolean
  readonly signal: AbortSignal
  /** Called when the request can have been sent from then on. */
  readonly onReady: () => void
}

/** A way to send requests. */
export interface Way {
  exchange(exchange: Exchange): Promise<HttpResponse>
  close(): Promise<void>
}

export type WayOptions = Required<Pick<HttpOptions, 'connectTimeoutMs'>> & {
  /** For TLS with whoever answers; said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED switches nothing off. */
  readonly tls: { readonly rejectUnauthorized: true; readonly ca?: string }
}

/** Names and values in turns, as they came; repeated ones are joined, where Node would leave some of them out. */
export function joinHeaders(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = String(raw[i]).toLowerCase()
    const value = String(raw[i + 1])
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value
  }
  return headers
}

/** What to do when `reason` is `proxy`. */
export const CHECK_PROXY = 'Check HTTPS_PROXY, with its name and password, and NO_PROXY.'

/** Codes of errors that TLS brings about. */
export const TLS_FAILED =
  /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|INVALID_|PATH_LENGTH)/

const sizeText = (bytes: number): string => (bytes % MIB === 0 ? `${bytes / MIB} MiB` : `${bytes} bytes`)

const MIB = 1024 * 1024
export const MAX_BODY_BYTES = 4 * MIB

export const tooLarge = (maxBytes: number): HttpFailure =>
  new HttpFailure('too-large', `the answer is larger than ${sizeText(maxBytes)}`, true)
