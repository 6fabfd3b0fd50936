import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { RotationError } from '../../base/rotation-error.ts'
import { abortAfter, SECOND_MS } from '../../base/time.ts'

/** Where a DNS message goes. */
export interface DnsServer {
  /** As the settings name it. */
  readonly label: string
  readonly address: string
  readonly port: number
  readonly transport: 'tcp' | 'udp'
}

const TIMEOUT_MS = 10 * SECOND_MS
const NOT_THERE = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EADDRNOTAVAIL'])
const HINT = 'Check the server of the solver, and that it can be reached from here on that port.'

const lost = (call: string, { label, transport }: DnsServer, why: string, cause?: unknown): RotationError =>
  new RotationError(
    'unavailable',
    `${call}: no answer from ${label} over ${transport.toUpperCase()} (${why})`,
    {
      cause,
      retry: 'now',
      hint: HINT,
    },
  )

const failed = (call: string, server: DnsServer, cause: NodeJS.ErrnoException): RotationError => {
  const why = cause.code ?? cause.message
  if (!NOT_THERE.has(why)) return lost(call, server, why, cause)
  return new RotationError('unreachable', `${call}: no connection to ${server.label} (${why})`, {
    cause,
    hint: HINT,
  })
}

/** The length that goes before a message (RFC 1035 section 4.2.2). */
const lengthIn = ([first, second]: readonly Buffer[]): number =>
  ((first?.[0] ?? 0) << 8) + (first?.[1] ?? second?.[0] ?? 0)

const overTcp = (server: DnsServer, message: Buffer, call: string, signal: AbortSignal): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: server.address, port: server.port, signal })
    const chunks: Buffer[] = []
    let size = 0
    socket.on('connect', () => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(message.length)
      socket.write(Buffer.concat([length, message]))
    })
    socket.on('data', chunk => {
      chunks.push(chunk)
      size += chunk.length
      if (size < 2 || size < 2 + lengthIn(chunks)) return
      resolve(Buffer.concat(chunks).subarray(2, 2 + lengthIn(chunks)))
      socket.destroy()
    })
    socket.on('error', (cause: NodeJS.ErrnoException) =>
      reject(signal.aborted ? lost(call, server, 'time-out', cause) : failed(call, server, cause)),
    )
    socket.on('close', () => reject(lost(call, server, 'the connection was closed')))
  })

const overUdp = (server: DnsServer, message: Buffer, call: string, signal: AbortSignal): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4')
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.close()
      settle()
    }
    const onAbort = (): void => end(() => reject(lost(call, server, 'time-out')))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', cause => end(() => reject(failed(call, server, cause))))
    socket.on('message', received => {
      // Anybody can send to this port; what is not an answer to this question is passed over.
      if (received.length > 2 && received.readUInt16BE(0) === message.readUInt16BE(0))
        end(() => resolve(received))
    })
    // Connected, so that only this server is heard, and so that a closed port is told.
    socket.connect(server.port, server.address, () => socket.send(message))
  })

/**
 * Sends one message and waits for its answer, ten seconds unless told otherwise.
 * @throws RotationError `unreachable`, `unavailable` (also when `signal` is aborted)
 */
export async function exchange(
  server: DnsServer,
  message: Buffer,
  call: string,
  signal: AbortSignal,
  timeoutMs = TIMEOUT_MS,
): Promise<Buffer> {
  const { signal: either, clear } = abortAfter(timeoutMs, signal)
  try {
    const over = server.transport === 'tcp' ? overTcp : overUdp
    return await over(server, message, call, either)
  } finally {
    clear()
  }
}
