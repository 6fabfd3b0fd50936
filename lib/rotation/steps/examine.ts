import { type JudgeLine, judge } from '../../devices/judge.ts'
import { profilesOf, rootsOf } from '../../devices/roots.ts'
import type { CheckLine } from '../../model/device-profile.ts'
import type { Target } from '../../model/target.ts'
import { leafOf, parseChain } from '../../x509/certificate.ts'
import type { Job, World } from '../world.ts'

export type Line = JudgeLine

/** The table: what the devices of every profile would say of a chain, and what the platform would. */
export function examine(
  world: World,
  job: Job,
  chainPem: string,
  more: { readonly otherKeyAsked?: boolean; readonly staplingBack?: boolean } = {},
): readonly Line[] {
  const { target, run, event } = world
  const { inspection, verdict } = job
  const soaks = !event.force && !verdict.emergency && !WITHOUT_SOAK.includes(verdict.reason)
  const configured = inspection.configuration?.serverCertificateConfig ?? {}
  const config = more.staplingBack ? { ...configured, ocsp_stapling_enable: true } : configured
  // What the bind switches off for want of a responder is off for devices that insist on it.
  const isOff = !more.staplingBack && !responderOf(chainPem) && target.ocsp === 'follow-certificate'
  const servedPem = inspection.bound?.slot?.certificatePem ?? null
  const lines = profilesOf(target).flatMap(profile =>
    judge({
      chainPem,
      profile,
      roots: rootsOf(target, profile),
      at: run.clock.now(),
      servedPem,
      domain: target.domain,
      otherKeyAsked: more.otherKeyAsked ?? otherSpecAsked(world, job),
      minAgeMs: soaks ? target.minAgeMs : 0,
      stapling: config.ocsp_stapling_enable === true && !isOff,
    }),
  )
  return [...lines, ...ocspLines(target, config, chainPem, servedPem)]
}

/** Whether a person changed the settings since the bound certificate was asked for: another key type is wanted then. */
const otherSpecAsked = ({ specHash }: Pick<World, 'specHash'>, { inspection }: Job): boolean => {
  const { current } = inspection.documents.target
  return current !== null && current.specHash !== specHash
}

/** A certificate that is missed already is bound without waiting. */
const WITHOUT_SOAK: readonly string[] = ['expired', 'no-certificate']

/** One line in words, for a message. */
export const sentence = ({ profile, reason, check }: CheckLine): string =>
  `${profile === null ? '' : `profile ${profile}: `}${reason ?? check}`

/** Stapling that the platform cannot do would make devices that insist on it refuse the handshake. */
function ocspLines(
  target: Target,
  config: Readonly<Record<string, unknown>>,
  chainPem: string,
  servedPem: string | null,
): readonly Line[] {
  if (config.ocsp_stapling_enable !== true) return []
  const url = responderOf(chainPem)
  const reason = ocspReason(target, url, config.ocsp_ssl_enable !== false)
  return [
    {
      check: 'ocsp',
      profile: null,
      verdict: reason === null ? 'ok' : 'refuse',
      served: servedPem && (responderOf(servedPem) ?? 'no responder'),
      new: url ?? 'no responder',
      reason,
      remedy: reason && 'set targets[].ocsp to "follow-certificate", or change server_certificate_config',
      passesAt: null,
    },
  ]
}

function responderOf(pem: string): string | null {
  try {
    const [leaf] = parseChain(pem)
    return leaf ? leafOf(leaf).ocspUrl : null
  } catch {
    return null
  }
}

function ocspReason(target: Target, url: string | null, overTls: boolean): string | null {
  if (url === null) {
    return target.ocsp === 'follow-certificate'
      ? null
      : 'OCSP stapling is on, and it carries no OCSP URL (set ocsp to "follow-certificate" to switch stapling off with the bind)'
  }
  return overTls && url.startsWith('http:')
    ? `its OCSP responder ${url} is http, and ocsp_ssl_enable is on`
    : null
}
