import { iso } from '../../base/time.ts'
import { kindOf } from '../../devices/kind.ts'
import type { Context } from '../context.ts'
import type { Inspection } from '../observe/inspection.ts'
import { boundKind, isShared } from './bound-kind.ts'

/**
 * Why a chain is of a kind that is frozen, and that this target's devices are not served already; null: it is not. What
 * is returned never throws.
 */
export async function stopped(
  context: Pick<Context, 'rings' | 'records' | 'sharing'>,
  inspection: Inspection,
): Promise<(chainPem: string) => string | null> {
  if (context.rings === null) return () => null
  const rollouts = await context.records.rollouts.all()
  const own = boundKind(context, inspection)?.id
  const frozen = new Map(
    rollouts.flatMap(({ kind, frozen }) =>
      frozen === null || kind.id === own ? [] : [[kind.id, frozen.at]],
    ),
  )
  return chainPem => {
    if (frozen.size === 0) return null
    const { id } = tryKind(chainPem, isShared(context)) ?? {}
    const at = id === undefined ? undefined : frozen.get(id)
    return at === undefined ? null : `kind ${id} is frozen since ${iso(at)}`
  }
}

function tryKind(chainPem: string, shared: boolean): ReturnType<typeof kindOf> | null {
  try {
    return kindOf(chainPem, shared)
  } catch {
    return null
  }
}
