import { DAY_MS } from '../../base/time.ts'
import { type Context, certificateDocument, sourceNamed } from '../context.ts'
import { renewalOf } from '../decide/renewal-window.ts'
import { warn } from '../trace.ts'
import type { Inspection } from './inspection.ts'

/** What will keep the next certificate from being obtained, as far as it shows weeks before. */

/** So long before a renewal runs look ahead, once a day. */
const AHEAD_MS = 28 * DAY_MS
const EVERY_MS = DAY_MS

const renewalAt = ({ spec, run, intervalMs }: Context, inspection: Inspection): number => {
  const now = run.clock.now()
  const slot = inspection.bound?.slot
  if (!slot) return now
  return renewalOf({ inspection, renewBefore: spec.renewBefore, now, intervalMs }, slot).at
}

const askSources = async ({ spec, run, ...context }: Context, at: number): Promise<readonly string[]> => {
  const asked = spec.sources.map(
    name => sourceNamed({ spec, ...context }, name).outlook?.(spec.names, at, run) ?? [],
  )
  return [...new Set((await Promise.all(asked)).flat())]
}

const tell = (context: Context, said: readonly string[]): void => {
  for (const message of said) warn(context, 'dnssec', message)
}

/** For `plan`: asks now, and writes nothing down. */
export async function lookAhead(context: Context, inspection: Inspection): Promise<void> {
  tell(context, await askSources(context, renewalAt(context, inspection)))
}

/** For a run: asks once a day in the weeks before a renewal; what was found is told by every run until it is not so. */
export async function lookAheadDaily(context: Context, inspection: Inspection): Promise<void> {
  const { spec, run } = context
  const now = run.clock.now()
  const at = renewalAt(context, inspection)
  const canLook = spec.sources.some(name => sourceNamed(context, name).outlook !== undefined)
  if (!canLook || at - now > AHEAD_MS) return
  const { ahead } = await certificateDocument(context).get()
  if (ahead && Math.abs(now - ahead.at) < EVERY_MS) return tell(context, ahead.said)
  const said = await askSources(context, at)
  await certificateDocument(context).update(d => ({ ...d, ahead: { at: now, said: [...said] } }))
  tell(context, said)
}
