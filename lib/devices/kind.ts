import { createHash, type X509Certificate } from 'node:crypto'
import type { Kind } from '../model/rollout.ts'
import { leafOf, parseChain } from '../x509/certificate.ts'
import { commonNameOf, signatureAlgorithmOf } from '../x509/details.ts'

/**
 * What devices would notice of a chain (PEM, leaf first): the roots it leads to, how long it is, key type and
 * signature algorithm at each level, whether there is a common name. `isShared`: several targets are given this very
 * certificate, which is a kind of its own. Pure. @throws RotationError `certificate-invalid`
 */
export function kindOf(chainPem: string, isShared = false): Kind {
  const chain = parseChain(chainPem)
  const [leaf] = chain
  const look = {
    roots: rootsOf(chain),
    levels: chain.map(certificate => ({
      keyType: leafOf(certificate).keyType,
      signature: signatureAlgorithmOf(certificate),
    })),
    commonName: leaf !== undefined && commonNameOf(leaf) !== null,
    only: isShared && leaf ? leafOf(leaf).fingerprint : null,
  }
  const id = createHash('sha256').update(JSON.stringify(look)).digest('hex').slice(0, 12)
  return { id, ...look, roots: look.roots.map(short) }
}

const SHOWN_CHARS = 120

/** For people, and for documents of the state, which stores limit; the id tells all of them apart. */
const short = (name: string): string => (name.length <= SHOWN_CHARS ? name : `${name.slice(0, SHOWN_CHARS)}…`)

/**
 * Whatever issued a certificate above the leaf may be what a device holds: the root, and a newer one that an older
 * root vouches for. Who issued the leaf itself changes with each renewal, and is no root where something is above.
 */
function rootsOf(chain: readonly X509Certificate[]): readonly string[] {
  const above = chain.length > 1 ? chain.slice(1) : chain
  return [...new Set(above.map(({ issuer }) => shortName(issuer)))].toSorted()
}

/** Its common name, or all of it on a line. */
function shortName(name: string): string {
  const parts = name.split('\n')
  const common = parts.findLast(part => part.startsWith('CN='))
  return common?.slice('CN='.length) ?? parts.join(', ')
}

/** What is another in a kind, for people: `root ISRG Root YR instead of ISRG Root X1`. Empty: nothing that shows. */
export function differences(before: Kind | null, after: Kind): readonly string[] {
  if (before === null) return [`root ${after.roots.join(' or ')}`]
  const other = (what: string, was: string, is: string): readonly string[] =>
    was === is ? [] : [`${what} ${is} instead of ${was}`]
  const levels = (pick: (level: Kind['levels'][number]) => string, { levels: all }: Kind): string =>
    all.map(pick).join(' < ')
  const named = ({ commonName }: Kind): string => (commonName ? 'a common name' : 'no common name')
  const said = [
    ...other('root', before.roots.join(' or '), after.roots.join(' or ')),
    ...other('chain of', `${before.levels.length}`, `${after.levels.length}`),
    ...other(
      'keys',
      levels(level => level.keyType, before),
      levels(level => level.keyType, after),
    ),
    ...other(
      'signatures',
      levels(level => level.signature, before),
      levels(level => level.signature, after),
    ),
    ...other('leaf with', named(before), named(after)),
  ]
  return said.length === 0 && before.only !== after.only ? ['a certificate that several targets share'] : said
}
