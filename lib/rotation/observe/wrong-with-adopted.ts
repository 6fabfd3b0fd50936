import { SECOND_MS } from '../../base/time.ts'
import { profilesOf, rootsOf } from '../../devices/roots.ts'
import type { Leaf, Slot } from '../../model/certificate.ts'
import { covers, parseChain } from '../../x509/certificate.ts'
import { verifyPath } from '../../x509/path.ts'
import { inOrder } from '../../x509/sent.ts'
import type { RotationSetup } from '../context.ts'

type Asking = Pick<RotationSetup, 'target' | 'run' | 'endpoint'>

/**
 * What is wrong with an adopted certificate, for devices: its names or its trust; null when nothing is. Its
 * validity is not judged here: an expired one is renewed like any other. Show may leave the intermediates out:
 * then the chain that devices are given counts; one that cannot be seen is not wrong.
 */
export async function wrongWithAdopted(context: Asking, slot: Slot): Promise<string | null> {
  const { target, run } = context
  if (!slot.leaf || !slot.certificatePem) return 'it cannot be read'
  if (!covers(slot.leaf.names, target.domain))
    return `its names (${slot.leaf.names.join(', ')}) do not cover ${target.domain}`
  const at = Math.min(Math.max(run.clock.now(), slot.leaf.notBefore), slot.leaf.notAfter - 1)
  const chain = parseChain(slot.certificatePem)
  /** Devices of every profile must trust it. Its order they live with, and the next certificate mends it. */
  const failureOf = (given: typeof chain) => {
    const ordered = inOrder(given)
    for (const profile of profilesOf(target)) {
      const verdict = verifyPath({ chain: ordered, roots: rootsOf(target, profile).certificates, at })
      if (!verdict.ok)
        return profile ? { ...verdict, message: `profile ${profile.name}: ${verdict.message}` } : verdict
    }
    return null
  }
  const shown = failureOf(chain)
  if (shown === null) return null
  if (chain.length > 1 || shown.code !== 'incomplete') return shown.message
  const served = await servedChain(context, slot.leaf)
  return (served && failureOf(parseChain(served))?.message) ?? null
}

/** The chain that the device port sends with this leaf; null when it is not served or cannot be seen. */
async function servedChain({ target, endpoint, run }: Asking, leaf: Leaf): Promise<string | null> {
  const { mode, addresses, host, port } = target.probe
  if (mode === 'off') return null
  const seen = await endpoint.handshake({
    address: addresses[0] ?? host,
    port,
    serverName: target.domain,
    timeoutMs: 5 * SECOND_MS,
    signal: run.signal,
  })
  return seen.leaf?.fingerprint === leaf.fingerprint ? seen.chainPem : null
}
