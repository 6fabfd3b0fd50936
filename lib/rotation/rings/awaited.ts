import type { Context } from '../context.ts'
import { boundLeaf, type Inspection } from '../observe/inspection.ts'
import { awaitedOf } from './turn.ts'

/**
 * Why a later ring waits for this target to serve a kind that it has not got; null: nobody does. What cannot be read
 * is nobody's wait: it must not keep a target from being looked after.
 */
export async function awaitedNow(context: Context, inspection: Inspection): Promise<string | null> {
  const { rings, target, records, trace } = context
  if (rings === null || rings.length < 2) return null
  const rollouts = await records.rollouts.all().catch(() => [])
  const noted = inspection.documents.target.rollout
  const isNoted = noted !== undefined && noted.fingerprint === boundLeaf(inspection)?.fingerprint
  const awaited = awaitedOf(rings, target, isNoted ? noted.kind.id : null, rollouts)
  if (awaited === null) return null
  trace.add('awaited', awaited.rollout.kind)
  return awaited.why
}
