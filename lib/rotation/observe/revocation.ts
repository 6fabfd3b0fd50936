import type { JudgeLine } from '../../devices/judge.ts'
import type { Target } from '../../model/target.ts'
import { lookUpRevocation, type Revocation } from '../../revocation/look-up.ts'
import type { Context } from '../context.ts'

/** Every root that some device of the target holds; null: Node's. */
function rootsOfAll({ trustedRoots, profiles }: Target): string | null {
  const all = [trustedRoots, ...profiles.map(profile => profile.trustedRoots)].filter(pem => pem !== null)
  return all.length === 0 ? null : all.join('\n')
}

/** What the lists named in a chain say of it; what is not known is logged, once in a run. Never throws. */
export async function revocationOf(
  { target, http, run, trace }: Pick<Context, 'target' | 'http' | 'run' | 'trace'>,
  chainPem: string,
): Promise<Revocation> {
  const found = await lookUpRevocation(chainPem, { trustedRoots: rootsOfAll(target), http, run })
  for (const note of found.unknown.filter(it => !trace.notes.includes(it))) {
    trace.add('notes', note)
    run.log.info({ target: target.name }, note)
  }
  return found
}

/** The same as a line of preflight's table; none where the chain names no list. */
export async function revocationLines(context: Context, chainPem: string): Promise<readonly JudgeLine[]> {
  const { revoked, unknown, good } = await revocationOf(context, chainPem)
  if (revoked.length + unknown.length + good === 0) return []
  const isRevoked = revoked.length > 0
  return [
    {
      check: 'revocation',
      profile: null,
      verdict: isRevoked ? 'refuse' : 'ok',
      served: null,
      new: isRevoked ? 'revoked' : unknown.length > 0 ? `not known: ${unknown.join('; ')}` : 'not revoked',
      reason: isRevoked ? revoked.join('; ') : null,
      remedy: isRevoked ? 'have the CA issue it anew, by another intermediate, or take another source' : null,
      passesAt: null,
    },
  ]
}
