import { formatDuration } from '../base/time.ts'
import { allVisible } from '../base/visible.ts'
import type { ReportedRollout } from '../report/rollout.ts'
import { painter } from './paint.ts'

const LOG_SHOWN = 5

/** The rings, then each kind with what serves it, what stops it, and what was last done to it. */
export function rolloutText(answer: ReportedRollout, colour: boolean): string {
  const paint = painter(colour)
  const { rings, kinds } = allVisible(answer)
  const order = rings.map(
    ({ name, soakMs, targets }, i) =>
      `${name} (${targets} target${targets === 1 ? '' : 's'}${i < rings.length - 1 ? `, then ${formatDuration(soakMs)}` : ''})`,
  )
  const sections = kinds.map(it => {
    const size = new Map(rings.map(({ name, targets }) => [name, targets]))
    const state = it.frozen ? paint('FROZEN', 31) : it.awaited ? paint('waited for', 33) : 'goes on'
    const lines = [
      `${it.kind}  ${state}  root ${it.roots.join(' or ')}; ${it.keys.join(' < ')}${it.only ? `; only ${it.only.slice(0, 16)}` : ''}`,
      ...it.rings.map(
        ({ name, serving, soakedAt }) =>
          `  ${name}: ${serving} of ${size.get(name) ?? 0} serve it${soakedAt ? `, soaked at ${soakedAt}` : ''}${it.approved.includes(name) || it.approved.includes('*') ? ', approved' : ''}`,
      ),
      ...(it.frozen
        ? [
            `  frozen at ${it.frozen.at} after ${it.frozen.target}: ${it.frozen.why}`,
            `  -> iotda-cert rollout resume ${it.kind} --why "..."`,
          ]
        : []),
      ...(it.awaited ? [`  ${it.awaited.by} waits for ring ${it.awaited.ring}`] : []),
      ...it.log.slice(-LOG_SHOWN).map(({ at, what, by, why }) => `  ${at}  ${what} by ${by}: ${why}`),
    ]
    return lines.join('\n')
  })
  return `${[`rings: ${order.join(' -> ')}`, ...(sections.length > 0 ? sections : ['no kind is on its way'])].join('\n\n')}\n`
}
