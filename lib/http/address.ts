import { BlockList, isIP } from 'node:net'

/** Where a packet to an address may get to. */
export type Reach = 'public' | 'private' | 'link-local'

const listOf = (nets: readonly string[]): BlockList => {
  const list = new BlockList()
  for (const net of nets) {
    const [address = '', bits] = net.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

/**
 * RFC 3927, RFC 4291 section 2.5.6; 64:ff9b::/96 leads to IPv4 (RFC 6052). Clouds tell secrets there; AWS by IPv6 and
 * Alibaba Cloud at addresses of private networks.
 */
const LINK_LOCAL = listOf([
  ...['169.254.0.0/16', 'fe80::/10', '64:ff9b::a9fe:0/112'],
  ...['fd00:ec2::/32', '100.100.100.200/32', '64:ff9b::6464:64c8/128'],
])
/** https://www.iana.org/assignments/iana-ipv4-special-registry, and the same for IPv6. */
const PRIVATE = listOf([
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/96', '::ffff:0:0:0/96', 'fc00::/7', 'fec0::/10', 'ff00::/8', '64:ff9b:1::/48'],
  // Teredo and 6to4 lead to an IPv4 address within, of any kind.
  ...['2001::/32', '2002::/16', '64:ff9b::/104', '64:ff9b::6440:0/106', '64:ff9b::c612:0/111'],
  ...['64:ff9b::a00:0/104', '64:ff9b::7f00:0/104', '64:ff9b::ac10:0/108', '64:ff9b::c0a8:0/112'],
])

/** What an IP address is; null for what is none. IPv4 within IPv6 counts as IPv4. */
export function reachOf(address: string): Reach | null {
  const [bare = ''] = address.replace(/^\[|\]$/g, '').split('%')
  const family = isIP(bare)
  if (family === 0) return null
  const kind = family === 6 ? 'ipv6' : 'ipv4'
  if (LINK_LOCAL.check(bare, kind)) return 'link-local'
  return PRIVATE.check(bare, kind) ? 'private' : 'public'
}
