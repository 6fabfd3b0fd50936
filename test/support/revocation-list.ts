/** Revocation lists (RFC 5280 section 5) in DER by hand, and the server that they are fetched from. */
import { KeyObject, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as x509 from '@peculiar/x509'
import { cleanups } from './cleanups.ts'
import { DAY_MS, type Issued } from './issue.ts'

const tlv = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const bytes = Buffer.from(length.toString(16).padStart(8, '0'), 'hex')
  const short = bytes.subarray(bytes.findIndex(byte => byte !== 0))
  const head = length < 0x80 ? [tag, length] : [tag, 0x80 | short.length, ...short]
  return Buffer.concat([Buffer.from(head), content])
}
const oid = (hex: string): Buffer => tlv(6, Buffer.from(hex, 'hex'))
const time = (at: number): Buffer =>
  tlv(
    0x18,
    Buffer.from(
      `${new Date(at)
        .toISOString()
        .replace(/\.\d+|[-:T]/g, '')
        .replace('Z', '')}Z`,
    ),
  )
const ECDSA_SHA256 = tlv(0x30, oid('2a8648ce3d040302'))

export interface ListOptions {
  readonly issuer: Issued
  /** Who signs it, if it is not the issuer. */
  readonly signer?: Issued
  readonly now: number
  readonly thisUpdate?: number
  /** Null: it does not say. */
  readonly nextUpdate?: number | null
  /** Serial numbers (hex) with the reason code. */
  readonly revoked?: readonly (readonly [serial: string, reason: number])[]
  readonly extensions?: readonly Buffer[]
}

export const criticalExtension = (idHex: string, value: Uint8Array): Buffer =>
  tlv(0x30, oid(idHex), tlv(1, Buffer.from([0xff])), tlv(4, value))

/** The extension that says whose list it is. */
export const scopeOf = (url: string | null, ...flags: readonly number[]): Buffer => {
  const point = url === null ? [] : [tlv(0xa0, tlv(0xa0, tlv(0x86, Buffer.from(url))))]
  const set = flags.map(flag => tlv(0x80 | flag, Buffer.from([0xff])))
  return criticalExtension('551d1c', tlv(0x30, ...point, ...set))
}

export function revocationList(options: ListOptions): Buffer {
  const { issuer, signer = issuer, now, revoked = [], extensions = [] } = options
  const { thisUpdate = now - DAY_MS, nextUpdate = now + 7 * DAY_MS } = options
  const entries = revoked.map(([serial, reason]) => {
    const code = tlv(0x30, oid('551d15'), tlv(4, tlv(0x0a, Buffer.from([reason]))))
    return tlv(
      0x30,
      tlv(2, Buffer.from(serial, 'hex')),
      time(now - DAY_MS),
      ...(reason > 0 ? [tlv(0x30, code)] : []),
    )
  })
  const name = Buffer.from(new x509.Name(issuer.subject).toArrayBuffer())
  const tbs = tlv(
    0x30,
    ...[tlv(2, Buffer.from([1])), ECDSA_SHA256, name, time(thisUpdate)],
    ...(nextUpdate === null ? [] : [time(nextUpdate)]),
    ...(entries.length > 0 ? [tlv(0x30, ...entries)] : []),
    ...(extensions.length > 0 ? [tlv(0xa0, tlv(0x30, ...extensions))] : []),
  )
  const signature = sign('sha256', tbs, KeyObject.from(signer.keys.privateKey))
  return tlv(0x30, tbs, ECDSA_SHA256, tlv(3, Buffer.from([0]), signature))
}

export interface ListServer {
  readonly url: string
  /** Paths that were asked for. */
  readonly asked: string[]
  /** What stands at a path: a list, or an answer of one's own. */
  readonly at: Map<string, Buffer | ((request: IncomingMessage, response: ServerResponse) => void)>
}

export async function serveLists(): Promise<ListServer> {
  const at: ListServer['at'] = new Map()
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const found = at.get(path)
    if (typeof found === 'function') found(request, response)
    else response.writeHead(found ? 200 : 404).end(found)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => void server.close().closeAllConnections())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, at }
}
