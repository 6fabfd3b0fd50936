import { emergencyMs } from '../../base/lifetime.ts'
import type { PendingCertificate } from '../../state/documents.ts'
import { leafOf, parseChain } from '../../x509/certificate.ts'
import type { Context } from '../context.ts'
import { boundLeaf, type Inspection } from '../observe/inspection.ts'
import { stopped } from '../rings/stopped.ts'
import { chainRefusals } from './check-chain.ts'

/** Chains for one leaf, as a source shows them. */
export interface ChainChoice {
  /** Whether devices would take it, and it is of no kind that is frozen. Remembers what it was shown. Never throws. */
  accepts(chainPem: string): boolean
  /** Of what was shown, instead of one that devices refuse: one that is only frozen, which the emergency may bind. */
  best(chainPem: string): string
  isSuitable(chainPem: string): boolean
  /** What people are told of those that were not taken. */
  others(taken: string): string[]
}

/** Opens the choice among the chains of a certificate for this target, and those that share it. */
export async function chooseChain(context: Context, inspection: Inspection): Promise<ChainChoice> {
  const isStopped = await stopped(context, inspection)
  const refused = new Map<string, string>()
  const onlyStopped: string[] = []
  const refusalOf = (chainPem: string): string | null =>
    chainRefusals(context, inspection, chainPem)[0] ?? null
  return {
    accepts: chainPem => {
      const refusal = refusalOf(chainPem)
      const why = refusal ?? isStopped(chainPem)
      if (why === null) return true
      refused.set(chainPem, why)
      if (refusal === null) onlyStopped.push(chainPem)
      return false
    },
    best: chainPem => (refusalOf(chainPem) === null ? chainPem : (onlyStopped[0] ?? chainPem)),
    isSuitable: chainPem => refusalOf(chainPem) === null && isStopped(chainPem) === null,
    others: taken => [...refused].filter(([pem]) => pem !== taken).map(([pem, why]) => otherChain(pem, why)),
  }
}

function otherChain(pem: string, why: string): string {
  const top = tryParse(pem)?.at(-1)
  const upTo = top ? `, up to "${leafOf(top).issuer}",` : ''
  return `another chain of the CA${upTo} is not for every device: ${why}`
}

function tryParse(pem: string): ReturnType<typeof parseChain> | null {
  try {
    return parseChain(pem)
  } catch {
    return null
  }
}

/** With so many emergencies left, a CA is asked once more whether it has another chain by now. */
const LAST_CALL = 3

/**
 * Whether another order may give another chain: devices would refuse this one by now, or its kind was frozen, which
 * was not so when it was obtained; or it always was, and the bound certificate comes to its end. Each once, or every
 * run would order another. The emergency takes what is only frozen: it cannot wait for a CA.
 */
export async function isOutdated(
  context: Context,
  inspection: Inspection,
  { suitable, since, chainPem, fingerprint }: PendingCertificate,
): Promise<boolean> {
  if (chainPem === null || suitable === undefined || context.event.accept === fingerprint) return false
  const bound = boundLeaf(inspection)
  const now = context.run.clock.now()
  const emergencies = bound ? (bound.notAfter - now) / emergencyMs(bound) : 0
  const lastCall = bound ? bound.notAfter - LAST_CALL * emergencyMs(bound) : now
  const isLastCall = emergencies <= LAST_CALL && since < lastCall
  if (!suitable && !isLastCall) return false
  if (chainRefusals(context, inspection, chainPem).length > 0) return true
  return emergencies > 1 && (await stopped(context, inspection))(chainPem) !== null
}
