import { isLoopbackUrl } from '../../base/fields.ts'
import { RotationError } from '../../base/rotation-error.ts'
import { type Reach, reachOf } from '../../http/address.ts'

/** What the URLs of a CA are measured by. */
export interface Home {
  /** Path of the source in the settings, for messages. */
  readonly settings: string
  readonly directoryUrl: string
  /** Whether the settings trust roots of their own for it: then it may be in a private network. */
  readonly isPrivate?: boolean
}

/** A test of the addresses that a host has. */
export type MayConnect = (address: string) => boolean

const refused = ({ settings }: Home, call: string, url: string, why: string): RotationError =>
  new RotationError('unavailable', `${settings}: ${call}: the CA names ${url.slice(0, 300)}, ${why}`, {
    hint: `Check ${settings}.directory. A CA in a private network has all its URLs on the host of its directory, or caCertificates in the settings.`,
  })

const isName = (hostname: string): boolean => reachOf(hostname) === null
const isOwnMachine = (hostname: string): boolean => /(^|\.)localhost\.?$/.test(hostname)

/**
 * Where a CA may have us connect to: by https, and not into our own network. Where the directory is, which the settings
 * say, may be anywhere, and so may a CA with roots of its own; link-local addresses, at which clouds tell the secrets of
 * a machine, never. The addresses are looked at when the connection is made, so that DNS cannot say something else by
 * then; through a proxy it is the proxy that connects.
 * @throws RotationError `unavailable`
 */
export function requireWhereabouts(home: Home, call: string, url: string): MayConnect {
  const { directoryUrl, isPrivate = false } = home
  if (!URL.canParse(url)) throw refused(home, call, url, 'which is no URL')
  const { protocol, hostname } = new URL(url)
  if (isLoopbackUrl(directoryUrl) && isLoopbackUrl(url) && /^https?:$/.test(protocol)) return () => true
  if (protocol !== 'https:') throw refused(home, call, url, 'which is not https')
  const own = new URL(directoryUrl).hostname
  const isAnywhere = isPrivate || hostname === own || !['public', null].includes(reachOf(own))
  const allowed: readonly (Reach | null)[] = isAnywhere ? ['public', 'private'] : ['public']
  const mayConnect: MayConnect = address => allowed.includes(reachOf(address))
  if (hostname !== own && (isName(hostname) ? !isAnywhere && isOwnMachine(hostname) : !mayConnect(hostname)))
    throw refused(home, call, url, 'which is in a network of our own')
  return mayConnect
}
