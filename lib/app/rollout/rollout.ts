import { randomUUID } from 'node:crypto'
import type { Log } from '../../base/log.ts'
import { RotationError } from '../../base/rotation-error.ts'
import { systemClock } from '../../base/time.ts'
import { quoted } from '../../base/visible.ts'
import type { Rings } from '../../model/rollout.ts'
import { type ReportedRollout, rolloutIn } from '../../report/rollout.ts'
import { logged } from '../../state/rollout-documents.ts'
import type { Records } from '../../state/state.ts'
import { inSession, type SettingsRequest, settingsOf } from '../session.ts'

/** What a person says of a kind: it may go on after it was frozen, or one ring (or all) need not wait for it. */
export interface RolloutWord {
  readonly action: 'resume' | 'approve'
  /** A kind's id, or how it begins. */
  readonly kind: string
  /** Of `approve`: which ring; null: all. */
  readonly ring: string | null
  readonly by: string
  readonly why: string
}

/** What `iotda-cert rollout` asks for. */
export interface RolloutRequest extends SettingsRequest {
  /** Null: only how things stand. */
  readonly word: RolloutWord | null
  readonly deadline: number
  readonly log: Log
}

/** Says how each kind of certificate stands in the rings, and takes a person's word. @throws RotationError */
export async function rollout(request: RolloutRequest): Promise<ReportedRollout> {
  const { word, deadline, log, clock = systemClock } = request
  const settings = await settingsOf(request)
  const { rings } = settings
  if (rings === null)
    throw usage('there are no rings in the settings', 'Add "rollout": {"rings": [...]}; settings say more.')
  return inSession(settings, { runId: randomUUID(), clock, log, deadline }, async session => {
    const { records } = await session.state(settings.store, settings)
    if (word) await heed(records, rings, word, clock.now())
    return rolloutIn(records, rings)
  })
}

const usage = (message: string, hint: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint })

async function heed(records: Records, rings: Rings, word: RolloutWord, at: number): Promise<void> {
  const { action, ring, by, why } = word
  const all = await records.rollouts.all()
  const found = all.filter(({ kind }) => kind.id.startsWith(word.kind))
  const [document] = found
  if (!document || found.length > 1)
    throw usage(
      `${found.length === 0 ? 'there is no' : 'there are several'} kind ${quoted(word.kind)}`,
      `Kinds: ${all.map(({ kind }) => kind.id).join(', ') || 'none'}. \`iotda-cert rollout\` shows them.`,
    )
  if (ring !== null && !rings.some(({ name }) => name === ring))
    throw usage(`there is no ring ${quoted(ring)}`, `Rings: ${rings.map(({ name }) => name).join(', ')}.`)
  if (action === 'resume' && !document.frozen)
    throw usage(`kind ${document.kind.id} is not frozen`, 'Nothing was changed.')
  if (action === 'approve' && document.frozen)
    throw usage(`kind ${document.kind.id} is frozen`, `First: iotda-cert rollout resume ${document.kind.id}`)
  const what = action === 'resume' ? 'resumed' : `approved for ${ring ?? 'all rings'}`
  await records.rollouts.update(document.kind, d =>
    logged(
      action === 'resume'
        ? // Whoever rolled it back is to serve it again, and is asked once more.
          { ...d, frozen: null, pulled: {} }
        : { ...d, approved: [...new Set([...d.approved, ring ?? '*'])] },
      { at, what, by, why },
    ),
  )
}
