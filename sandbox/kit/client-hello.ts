/** What the first bytes of a connection say; `incomplete` until the whole ClientHello is there. */
export type Hello =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'not-tls' }
  | { readonly kind: 'hello'; readonly serverName: string | null }

const incomplete: Hello = { kind: 'incomplete' }
const notTls: Hello = { kind: 'not-tls' }

/** The first handshake message, put together from one or more records; null while it is incomplete. */
const handshakeMessage = (bytes: Buffer): Buffer | 'not-tls' | null => {
  let message = Buffer.alloc(0)
  let at = 0
  while (at < bytes.length) {
    if (bytes[at] !== 22) return 'not-tls'
    if (bytes.length < at + 5) return null
    const end = at + 5 + bytes.readUInt16BE(at + 3)
    message = Buffer.concat([message, bytes.subarray(at + 5, end)])
    if (message.length >= 4) {
      if (message[0] !== 1) return 'not-tls'
      const length = 4 + message.readUIntBE(1, 3)
      if (message.length >= length) return message.subarray(4, length)
    }
    at = end
  }
  return null
}

const serverNameOf = (hello: Buffer): string | null => {
  let at = 34 // version and random
  at += 1 + hello.readUInt8(at) // session id
  at += 2 + hello.readUInt16BE(at) // cipher suites
  at += 1 + hello.readUInt8(at) // compression methods
  if (at >= hello.length) return null
  const end = at + 2 + hello.readUInt16BE(at)
  at += 2
  while (at + 4 <= end) {
    const type = hello.readUInt16BE(at)
    const length = hello.readUInt16BE(at + 2)
    // server_name: list length (2), type host_name (1), length (2), name
    if (type === 0 && length > 5) {
      const nameLength = hello.readUInt16BE(at + 7)
      return hello.toString('latin1', at + 9, at + 9 + nameLength)
    }
    at += 4 + length
  }
  return null
}

/** Reads the SNI of a ClientHello. https://www.rfc-editor.org/rfc/rfc6066#section-3 */
export function readHello(bytes: Buffer): Hello {
  const message = handshakeMessage(bytes)
  if (message === null) return incomplete
  if (message === 'not-tls') return notTls
  try {
    return { kind: 'hello', serverName: serverNameOf(message) }
  } catch {
    return notTls
  }
}
