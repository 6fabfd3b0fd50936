import { createHash } from 'node:crypto'
import { RotationError } from '../../base/rotation-error.ts'
import { iso } from '../../base/time.ts'
import type { Run } from '../../contracts.ts'
import { bareName } from '../name.ts'
import type { Lookup } from './asking.ts'
import { encodeName, TYPE } from './message.ts'
import type { DelegationSigner, DnsKey, RecordType, Resolved, Signature } from './response.ts'

/**
 * Why a resolver that validates has no answer (RFC 4035 section 5), told from what it says when it does not validate.
 * No validator: whether the chain holds is the resolver's word alone, and no signature is verified here.
 */

interface Cause {
  readonly why: string
  readonly remedy: string
}

/** What there is of a zone, unvalidated. */
interface Evidence {
  readonly zone: string
  /** What was asked for, in words. */
  readonly asked: string
  readonly now: number
  readonly signers: readonly DelegationSigner[]
  readonly keys: readonly DnsKey[]
  /** Over the keys. */
  readonly ofKeys: readonly Signature[]
  /** Over the SOA, and over what was asked for. */
  readonly ofRecords: readonly Signature[]
  /** There are no records of what was asked for. */
  readonly isNothing: boolean
  /** What was asked for is there, with a signature. */
  readonly isSigned: boolean
}

const HASHES: Readonly<Record<number, string>> = { 1: 'sha1', 2: 'sha256', 4: 'sha384' }

/** Whether a DS record is of a key (RFC 4034 section 5.1.4); true for digests that are not known here. */
const isOf =
  (zone: string, key: DnsKey) =>
  ({ keyTag, algorithm, digestType, digest }: DelegationSigner): boolean => {
    if (keyTag !== key.keyTag || algorithm !== key.algorithm) return false
    const hash = HASHES[digestType]
    if (hash === undefined) return true
    return createHash(hash).update(encodeName(zone)).update(key.data).digest('hex') === digest
  }

const list = (tags: readonly number[]): string => [...new Set(tags)].join(', ')
const tagsOf = (all: readonly { readonly keyTag: number }[]): string => list(all.map(it => it.keyTag))

const SIGN_ANEW = 'Let the DNS service sign the zone anew, on every server, and see that it goes on doing so.'

/** The delegation: DS records above, and the keys they mean. */
function causeAbove({ zone, signers, keys }: Evidence): Cause | null {
  if (signers.length === 0 && keys.length === 0)
    return {
      why: `${zone} is not signed, and the zone above does not prove that it need not be`,
      remedy: 'Let whoever holds the zone above sign it anew (NSEC or NSEC3), or sign the zone.',
    }
  if (signers.length === 0) return null
  const remove = `Where ${zone} is registered, remove the DS records`
  if (keys.length === 0)
    return {
      why: `the zone above has DS records for ${zone} (key ${tagsOf(signers)}), but ${zone} is not signed`,
      remedy: `${remove}, or sign the zone and put the DS records of its key there.`,
    }
  const isKnown = ({ keyTag }: DelegationSigner): boolean => keys.some(key => key.keyTag === keyTag)
  if (signers.some(signer => keys.some(key => isOf(zone, key)(signer)))) return null
  const what = signers.some(isKnown)
    ? `the DS records of ${zone} (key ${tagsOf(signers)}) have another digest than its keys`
    : `the DS records of ${zone} are for key ${tagsOf(signers)}, but its keys are ${tagsOf(keys)}`
  return { why: what, remedy: `${remove} and put those of its present key there.` }
}

const missing = ({
  zone,
  signers,
  keys,
  ofKeys,
  ofRecords,
  asked,
  isNothing,
  isSigned,
}: Evidence): string | null => {
  const trusted = keys.filter(key => signers.some(isOf(zone, key))).map(it => it.keyTag)
  if (ofKeys.length === 0) return `the DNSKEY records of ${zone} are not signed`
  if (trusted.length > 0 && !ofKeys.some(it => trusted.includes(it.keyTag)))
    return `the DNSKEY records of ${zone} are not signed by key ${list(trusted)}, which its DS records name`
  const unknown = ofRecords.filter(
    it => it.name.endsWith(zone) && !keys.some(key => key.keyTag === it.keyTag),
  )
  if (unknown.length > 0)
    return `records of ${zone} are signed by key ${tagsOf(unknown)}, which is not among its keys (${tagsOf(keys)})`
  if (isNothing || isSigned) return null
  return `the ${asked} are not signed`
}

function causeOf(evidence: Evidence): Cause {
  const { zone, asked, now, ofKeys, ofRecords, isNothing } = evidence
  const above = causeAbove(evidence)
  if (above !== null) return above
  const all = [...ofKeys, ...ofRecords]
  const ended = all.filter(it => it.endsAt <= now).map(it => it.endsAt)
  if (ended.length > 0)
    return { why: `signatures of ${zone} ended at ${iso(Math.min(...ended))}`, remedy: SIGN_ANEW }
  const early = all.filter(it => it.startsAt > now).map(it => it.startsAt)
  if (early.length > 0)
    return {
      why: `signatures of ${zone} do not hold before ${iso(Math.max(...early))}`,
      remedy: `Set the clock of what signs the zone right. ${SIGN_ANEW}`,
    }
  const lacking = missing(evidence)
  if (lacking !== null) return { why: lacking, remedy: SIGN_ANEW }
  if (isNothing)
    return {
      why: `${zone} does not prove that there are no ${asked} (NSEC or NSEC3 records are missing or wrong)`,
      remedy: SIGN_ANEW,
    }
  return { why: `signatures of ${zone} do not fit its records or keys`, remedy: SIGN_ANEW }
}

/** The topmost zone from which nothing is validated any more, else the nearest one above the name. */
async function brokenZone(name: string, lookup: Lookup): Promise<string> {
  const labels = name.split('.')
  let zone = ''
  for (let at = labels.length - 1; at >= 0; at -= 1) {
    const above = labels.slice(at).join('.')
    const soa = await lookup('SOA', above)
    const isBroken = soa.kind === 'failed' && soa.unvalidated !== undefined
    const seen = isBroken ? soa.unvalidated : soa
    if (seen?.kind === 'records') zone = above
    if (isBroken) break
  }
  return zone || name
}

const recordsOf = <T>(resolved: Resolved<T>): readonly T[] =>
  resolved.kind === 'records' ? resolved.records : []
const signaturesOf = (resolved: Resolved<unknown>): readonly Signature[] =>
  resolved.kind === 'failed' ? [] : (resolved.signatures ?? [])

/** What people are told where `lookup` has an answer only without validation: the zone, why, and the remedy. */
export async function brokenChain(
  name: string,
  type: RecordType,
  lookup: Lookup,
  run: Run,
): Promise<RotationError> {
  const bare = bareName(name)
  const zone = await brokenZone(bare, lookup)
  const asking = { unvalidated: true, signatures: true }
  const [ds, keys, soa, wanted] = await Promise.all([
    lookup('DS', zone, asking),
    lookup('DNSKEY', zone, asking),
    lookup('SOA', zone, asking),
    lookup(type, bare, asking),
  ])
  const { why, remedy } = causeOf({
    zone,
    asked: `${type} records of ${bare}`,
    now: run.clock.now(),
    signers: recordsOf(ds),
    keys: recordsOf(keys),
    ofKeys: signaturesOf(keys).filter(it => it.type === TYPE.DNSKEY),
    ofRecords: [...signaturesOf(soa), ...signaturesOf(wanted)],
    isNothing: wanted.kind === 'nothing',
    isSigned: signaturesOf(wanted).some(it => it.type === TYPE[type]),
  })
  return new RotationError('dnssec-broken', `DNSSEC: the chain of trust to ${bare} is broken: ${why}`, {
    retry: 'later',
    hint: `CAs see nothing in the zone ${zone} until then. ${remedy}`,
  })
}
