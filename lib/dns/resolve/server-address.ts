import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { RotationError } from '../../base/rotation-error.ts'

/** Where a server of the settings, or of a zone, is asked. */
export interface ServerAddress {
  readonly address: string
  readonly port: number
}

/** Of one name in the settings: each is asked. */
const ADDRESSES_AT_MOST = 32

/** Splits `host` or `host:port` of the settings and looks its addresses up. @throws RotationError `unreachable` */
export async function serverAddresses(
  server: string,
  defaultPort: number,
): Promise<readonly ServerAddress[]> {
  const [, bracketed, plain, given] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(server) ?? []
  const host = bracketed ?? plain ?? server
  const port = given === undefined ? defaultPort : Number(given)
  if (isIP(host)) return [{ address: host, port }]
  try {
    const found = (await lookup(host, { all: true })).map(({ address }) => ({ address, port }))
    return found.slice(0, ADDRESSES_AT_MOST)
  } catch (cause) {
    const { code = 'failed' } = cause as NodeJS.ErrnoException
    throw new RotationError('unreachable', `DNS server ${server} has no address (${code})`, {
      cause,
      hint: 'Check propagation.resolvers and propagation.nameservers, or give addresses there.',
    })
  }
}
