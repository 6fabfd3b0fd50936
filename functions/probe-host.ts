import { isIP } from 'node:net'
import { RotationError } from '../lib/base/rotation-error.ts'

/** `HOST[:PORT]` and what to ask it for. */
export interface ProbedHost {
  readonly host: string
  readonly port: number
  readonly serverName: string
}

const MQTTS = 8883

const bad = (message: string, hint: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint })

/**
 * Parses `host`, `host:port`, `192.0.2.1:8883`, `[2001:db8::1]:8883` and `2001:db8::1`. Without a name to ask for,
 * the host's own. @throws RotationError `usage`
 */
export function parseHost(text: string, sni: string | undefined): ProbedHost {
  const [, bracketed, plain, portText] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = isIP(text) === 6 ? text : (bracketed ?? plain)
  const port = portText === undefined ? MQTTS : Number(portText)
  const isHost = host !== undefined && (isIP(host) > 0 || /^(?!-)[A-Za-z0-9_.-]{1,253}$/.test(host))
  if (!isHost || (bracketed !== undefined && isIP(bracketed) !== 6) || port < 1 || port > 65_535)
    throw bad('HOST[:PORT] is not understood', 'Give a name or an IP address, e.g. iot.example.com:8883.')
  if (sni !== undefined && !/^(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$/.test(sni))
    throw bad('--sni is no domain name', 'Give the custom domain, e.g. --sni iot.example.com.')
  // RFC 6066 section 3 allows no address there, and none would be sent.
  if (sni !== undefined && isIP(sni) > 0)
    throw bad('--sni is an IP address, not a name', 'Give the custom domain, e.g. --sni iot.example.com.')
  if (sni === undefined && isIP(host) > 0)
    throw bad(
      'an IP address says nothing about the name to ask for',
      'Add --sni NAME: the certificate is chosen by it.',
    )
  return { host, port, serverName: sni ?? host }
}
