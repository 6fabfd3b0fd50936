import { iso } from '../../base/time.ts'
import type { Run } from '../../contracts.ts'
import { calendar } from '../../devices/calendar.ts'
import { isAcceptable, judge } from '../../devices/judge.ts'
import { profilesOf, rootsOf } from '../../devices/roots.ts'
import { LOOK_TIMEOUT_MS } from '../../iotda/endpoint.ts'
import type { CheckLine, DeviceOutlook, DeviceProfile, Judgement } from '../../model/device-profile.ts'
import type { Target } from '../../model/target.ts'
import { parseChain } from '../../x509/certificate.ts'
import { type Context, certificateDocument, isShown } from '../context.ts'
import { logFailure, warn } from '../trace.ts'
import type { Inspection } from './inspection.ts'

/** A chain that devices are given now. */
interface Given {
  /** Null: it is bound, and not seen to be served. */
  readonly address: string | null
  readonly chainPem: string
}

/**
 * Warns of roots and cross-signs that end soon, and of chains that the CA may come to prefer; has devices judge what
 * they are given where somebody looks. Never throws.
 */
export async function deviceOutlook(context: Context, inspection: Inspection): Promise<DeviceOutlook | null> {
  const { target, run } = context
  const chainPem = inspection.bound?.slot?.certificatePem ?? null
  try {
    const entries = calendar({ target, chainPem, at: run.clock.now() })
    for (const { message } of entries) warn(context, 'root-ends', message)
    const { otherChains } = await certificateDocument(context).get()
    for (const message of otherChains) warn(context, 'other-chains', message)
    if (!isShown(context)) return null
    const ends = entries.map(({ at, message }) => ({ at: iso(at), what: message }))
    return { verdicts: await judgements(context, inspection), ends }
  } catch (error) {
    // Roots that cannot be read are refused where they are needed.
    logFailure(context, error, 'the roots could not be looked at')
    return null
  }
}

/** What the devices of every profile make of what is served, or bound where nothing can be seen. */
async function judgements(context: Context, inspection: Inspection): Promise<readonly Judgement[]> {
  const given = await givenNow(context, inspection)
  return given.flatMap(({ address, chainPem }) =>
    profilesOf(context.target).map(profile => {
      const lines = doubtsOf(context, profile, chainPem).filter(line => !isOnlyShort(line, address, chainPem))
      return { address, profile: profile?.name ?? null, ok: isAcceptable(lines), lines }
    }),
  )
}

/** What devices of a profile lack in a chain, or doubt: the table of preflight without what is well. */
export function doubtsOf(
  given: { readonly target: Pick<Target, 'domain' | 'trustedRoots'>; readonly run: Pick<Run, 'clock'> },
  profile: DeviceProfile | null,
  chainPem: string | null,
): readonly CheckLine[] {
  if (chainPem === null) return []
  const lines = judge({
    chainPem,
    asSent: true,
    profile,
    roots: rootsOf(given.target, profile),
    at: given.run.clock.now(),
    servedPem: null,
    domain: given.target.domain,
    otherKeyAsked: false,
    minAgeMs: 0,
    stapling: null,
  })
  return lines.filter(line => line.verdict !== 'ok').map(({ passesAt: _, ...line }) => line)
}

/** IoTDA may show a leaf without its issuers, which says nothing of what it serves. */
const isOnlyShort = (line: CheckLine, address: string | null, chainPem: string): boolean =>
  address === null && line.new === 'none (incomplete)' && parseChain(chainPem).length === 1

/** Each leaf that is served, once, with its chain; another handshake, since a look keeps only the leaf. */
async function givenNow(
  { target, endpoint, run }: Context,
  inspection: Inspection,
): Promise<readonly Given[]> {
  const seen = inspection.served.filter(s => s.leaf !== null)
  const first = seen.filter(
    (s, i) => seen.findIndex(other => other.leaf?.fingerprint === s.leaf?.fingerprint) === i,
  )
  const served = await Promise.all(
    first.map(async ({ address }) => {
      const { chainPem } = await endpoint.handshake({
        address,
        port: target.probe.port,
        serverName: target.domain,
        timeoutMs: LOOK_TIMEOUT_MS,
        signal: run.signal,
      })
      return chainPem === null ? [] : [{ address, chainPem }]
    }),
  )
  const given = served.flat()
  const bound = inspection.bound?.slot?.certificatePem ?? null
  return given.length > 0 || bound === null ? given : [{ address: null, chainPem: bound }]
}
