import type { X509Certificate } from 'node:crypto'
import type { DeviceProfile } from '../model/device-profile.ts'
import type { Target } from '../model/target.ts'
import { leafOf } from '../x509/certificate.ts'
import { parseRoots } from '../x509/path.ts'

/** The roots that devices hold, and how to call them in a message. */
export interface Roots {
  readonly certificates: readonly X509Certificate[]
  readonly whose: string
}

const NAMED_AT_MOST = 3

const named = (certificates: readonly X509Certificate[]): string => {
  const names = certificates.slice(0, NAMED_AT_MOST).map(root => `"${leafOf(root).subject}"`)
  const more = certificates.length - names.length
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** What stands for devices of a profile; null: for any device of the target. */
export function rootsOf(target: Pick<Target, 'trustedRoots'>, profile: DeviceProfile | null): Roots {
  const own = profile?.trustedRoots ?? null
  const certificates = parseRoots(own ?? target.trustedRoots)
  if (own !== null) return { certificates, whose: `its trustedRoots: ${named(certificates)}` }
  return target.trustedRoots === null
    ? { certificates, whose: "Node's roots (set targets[].trustedRoots for a private CA)" }
    : { certificates, whose: `targets[].trustedRoots: ${named(certificates)}` }
}

/** The profiles to satisfy, or null once where there are none. */
export const profilesOf = ({ profiles }: Pick<Target, 'profiles'>): readonly (DeviceProfile | null)[] =>
  profiles.length > 0 ? profiles : [null]
