import { verifyPath } from '../../x509/path.ts'
import type { Facts } from './facts.ts'

/**
 * Of several that are held and could have issued a certificate of the path, a stack takes one, and does not come back
 * for another: none of them may make the path bad. Returns one that does; null: none.
 */
export function badAnchor(path: readonly Facts[], held: readonly Facts[], at: number): Facts | null {
  for (const [index, one] of path.slice(0, -1).entries()) {
    const issuers = held.filter(root => root !== one && one.certificate.checkIssued(root.certificate))
    if (issuers.length === 0 || (issuers.length === 1 && issuers[0] === path[index + 1])) continue
    const chain = path.slice(0, index + 1).map(({ certificate }) => certificate)
    const bad = issuers.find(root => !verifyPath({ chain, roots: [root.certificate], at }).ok)
    if (bad) return bad
  }
  return null
}
