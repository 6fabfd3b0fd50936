import { type JudgeInput, type JudgeLine, judge } from '../../devices/judge.ts'
import { profilesOf, rootsOf } from '../../devices/roots.ts'
import type { CheckLine } from '../../model/device-profile.ts'
import type { Target } from '../../model/target.ts'
import { covers, leafOf, parseChain } from '../../x509/certificate.ts'
import type { RotationSetup } from '../context.ts'
import type { Inspection } from '../observe/inspection.ts'
import { type Decided, WITHOUT_WAIT } from './decision.ts'

/** The table: what the devices of every profile would say of a chain, and what the platform would. */
export function checkChain(
  context: Pick<RotationSetup, 'target' | 'run' | 'event' | 'spec' | 'specHash'>,
  { inspection, decision }: Pick<Decided, 'inspection' | 'decision'>,
  chainPem: string,
  more: {
    readonly otherKeyAsked?: boolean
    readonly staplingBack?: boolean
    /** The platform may have shown the leaf alone of what was uploaded. */
    readonly mayBeCut?: boolean
  } = {},
): readonly JudgeLine[] {
  const { target, run, event } = context
  const soaks = !event.force && !decision.emergency && !WITHOUT_WAIT.includes(decision.reason)
  const configured = inspection.configuration?.serverCertificateConfig ?? {}
  const config = more.staplingBack ? { ...configured, ocsp_stapling_enable: true } : configured
  // What the bind switches off for want of a responder is off for devices that insist on it.
  const isOff = !more.staplingBack && !responderOf(chainPem) && target.ocsp === 'follow-certificate'
  const servedPem = inspection.bound?.slot?.certificatePem ?? null
  const lines = forEveryProfile(target, {
    chainPem,
    at: run.clock.now(),
    servedPem,
    otherKeyAsked: more.otherKeyAsked ?? otherSpecAsked(context.specHash, inspection),
    minAgeMs: soaks ? target.minAgeMs : 0,
    stapling: config.ocsp_stapling_enable === true && !isOff,
  })
  return [
    ...lines,
    ...extraNames(context, chainPem, servedPem),
    ...ocspLines(target, config, chainPem, servedPem, more.mayBeCut === true),
  ]
}

const forEveryProfile = (
  target: Target,
  asked: Omit<JudgeInput, 'profile' | 'roots' | 'domain'>,
): readonly JudgeLine[] =>
  profilesOf(target).flatMap(profile =>
    judge({ ...asked, profile, roots: rootsOf(target, profile), domain: target.domain }),
  )

/** Whether a person changed the settings since the bound certificate was asked for: another key type is wanted then. */
const otherSpecAsked = (specHash: string, { documents: { target } }: Inspection): boolean =>
  target.current !== null && target.current.specHash !== specHash

/** One line in words, for a message. */
export const sentence = ({ profile, reason, check }: CheckLine): string =>
  `${profile === null ? '' : `profile ${profile}: `}${reason ?? check}`

/** Names that nobody ordered: whoever holds the key, and IoTDA does, could stand for them, too. */
function extraNames(
  { target, spec }: Pick<RotationSetup, 'target' | 'spec'>,
  chainPem: string,
  servedPem: string | null,
): readonly JudgeLine[] {
  const extraOf = (pem: string): string =>
    namesIn(pem)
      .filter(name => !covers(spec.names, name))
      .join(', ')
  const extra = extraOf(chainPem)
  if (extra === '') return []
  return [
    {
      ...{ check: 'extra-names', profile: null, new: extra, served: servedPem && extraOf(servedPem) },
      verdict: target.preflight.strictNames ? 'refuse' : 'warn',
      reason: `it has names that were not ordered: ${extra}`,
      remedy: `see why the source gives them, or add them to certificates.${spec.name}.names`,
      passesAt: null,
    },
  ]
}

/** Of the leaf; none where it cannot be read, which another check says. */
function namesIn(pem: string): readonly string[] {
  try {
    const [leaf] = parseChain(pem)
    return leaf ? leafOf(leaf).names : []
  } catch {
    return []
  }
}

/** Stapling that the platform cannot do would make devices that insist on it refuse the handshake. */
function ocspLines(
  target: Target,
  config: Readonly<Record<string, unknown>>,
  chainPem: string,
  servedPem: string | null,
  mayBeCut: boolean,
): readonly JudgeLine[] {
  if (config.ocsp_stapling_enable !== true) return []
  const url = responderOf(chainPem)
  const line = { check: 'ocsp', profile: null, served: servedPem && stapledBy(servedPem), passesAt: null }
  const reason = ocspReason(target, url, config.ocsp_ssl_enable !== false)
  if (reason !== null) {
    const remedy = 'set targets[].ocsp to "follow-certificate", or change server_certificate_config'
    return [{ ...line, verdict: 'refuse', new: stapledBy(chainPem), reason, remedy }]
  }
  if (url === null || hasIssuer(chainPem) || mayBeCut)
    return [{ ...line, verdict: 'ok', new: url ?? 'no responder', reason: null, remedy: null }]
  // What is bound has none either, and devices are served.
  const verdict = servedPem !== null && !hasIssuer(servedPem) ? 'warn' : 'refuse'
  const remedy = 'have the source give the issuer of the leaf with it, or switch stapling off'
  return [{ ...line, verdict, new: stapledBy(chainPem), reason: WITHOUT_ISSUER, remedy }]
}

/** https://support.huaweicloud.com/intl/en-us/devg-iothub/iot_02_0206.html */
const WITHOUT_ISSUER =
  'OCSP stapling is on, and the chain is without the issuer of the leaf, which IoTDA needs for that'

/** Whether the certificate that issued the leaf is in the chain, as far as that can be read. */
function hasIssuer(pem: string): boolean {
  try {
    const chain = parseChain(pem)
    return chain.some(it => chain[0]?.checkIssued(it))
  } catch {
    return true
  }
}

const stapledBy = (pem: string): string => {
  const url = responderOf(pem)
  return url === null ? 'no responder' : `${url}${hasIssuer(pem) ? '' : ', without the issuer'}`
}

function responderOf(pem: string): string | null {
  try {
    const [leaf] = parseChain(pem)
    return leaf ? leafOf(leaf).ocspUrl : null
  } catch {
    return null
  }
}

function ocspReason({ ocsp }: Target, url: string | null, overTls: boolean): string | null {
  if (url !== null)
    return overTls && url.startsWith('http:')
      ? `its OCSP responder ${url} is http, and ocsp_ssl_enable is on`
      : null
  return ocsp === 'follow-certificate'
    ? null
    : 'OCSP stapling is on, and it carries no OCSP URL (set ocsp to "follow-certificate" to switch stapling off with the bind)'
}

type Sharing = Pick<RotationSetup, 'sharing' | 'run'>

/** What a chain itself decides; the rest is the leaf's, the same with every chain. */
const OF_THE_CHAIN = ['pem', 'path', 'whole-chain', 'signatures', 'issuer-keys', 'bytes', 'depth', 'pins']

/** Why devices of a target that shares the certificate would not take this chain, among others for the same leaf. */
export const chainRefusals = (
  context: Sharing,
  inspection: Inspection,
  chainPem: string,
): readonly string[] =>
  forEveryTarget(context, inspection, chainPem)
    .filter(({ check, verdict }) => verdict === 'refuse' && OF_THE_CHAIN.includes(check))
    .map(sentence)

/** Whether they take this chain and this leaf, once their clocks allow: else another source may do better. */
export const suitable = (context: Sharing, inspection: Inspection, chainPem: string): boolean =>
  forEveryTarget(context, inspection, chainPem, inspection.bound?.slot?.certificatePem ?? null).every(
    ({ check, verdict, passesAt }) => verdict !== 'refuse' || (check === 'clock' && passesAt !== null),
  )

function forEveryTarget(
  { sharing, run }: Sharing,
  { configuration }: Inspection,
  chainPem: string,
  servedPem: string | null = null,
): readonly JudgeLine[] {
  const config = configuration?.serverCertificateConfig ?? {}
  const stapling = config.ocsp_stapling_enable === true
  const asked = { chainPem, at: run.clock.now(), servedPem, otherKeyAsked: true, minAgeMs: 0, stapling }
  return sharing.flatMap(target => forEveryProfile(target, asked))
}
