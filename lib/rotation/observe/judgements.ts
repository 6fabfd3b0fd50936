import type { Run } from '../../contracts.ts'
import { isAcceptable, judge } from '../../devices/judge.ts'
import { profilesOf, rootsOf } from '../../devices/roots.ts'
import { LOOK_TIMEOUT_MS } from '../../iotda/endpoint.ts'
import type { CheckLine, DeviceProfile, Judgement } from '../../model/device-profile.ts'
import type { Target } from '../../model/target.ts'
import { parseChain } from '../../x509/certificate.ts'
import type { Context } from '../context.ts'
import type { Inspection } from './inspection.ts'

/** A chain that devices are given now. */
interface Given {
  /** Null: it is bound, and not seen to be served. */
  readonly address: string | null
  readonly chainPem: string
}

/** What the devices of every profile make of what is served, or bound where nothing can be seen. */
export async function judgements(context: Context, inspection: Inspection): Promise<readonly Judgement[]> {
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
