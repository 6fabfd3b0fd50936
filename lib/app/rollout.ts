import { randomUUID } from 'node:crypto'
import type { Log } from '../base/log.ts'
import { RotationError } from '../base/rotation-error.ts'
import { iso, systemClock } from '../base/time.ts'
import { quoted } from '../base/visible.ts'
import type { Settings } from '../config/load.ts'
import type { Rings } from '../model/rollout.ts'
import { logged, type RolloutDocument } from '../state/rollout-documents.ts'
import { type Records, targetKey } from '../state/state.ts'
import { inSession, type SettingsRequest, settingsOf } from './session.ts'

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

/** Version 1 of its answer; plain JSON, instants in ISO 8601. */
export interface RolloutAnswer {
  readonly version: 1
  /** No kind is frozen. */
  readonly ok: boolean
  readonly rings: readonly { readonly name: string; readonly soakMs: number; readonly targets: number }[]
  readonly kinds: readonly ReportedKind[]
}

/** How far a kind has come. */
export interface ReportedKind {
  readonly kind: string
  readonly roots: readonly string[]
  readonly keys: readonly string[]
  readonly signatures: readonly string[]
  readonly commonName: boolean
  /** Of a certificate that targets share: its fingerprint. */
  readonly only: string | null
  /** Of each ring: how many of its targets serve it, and until when it soaks (null: not all do yet). */
  readonly rings: readonly {
    readonly name: string
    readonly serving: number
    readonly soakedAt: string | null
  }[]
  readonly frozen: { readonly at: string; readonly target: string; readonly why: string } | null
  readonly awaited: { readonly ring: string; readonly by: string; readonly since: string } | null
  readonly approved: readonly string[]
  readonly log: readonly {
    readonly at: string
    readonly what: string
    readonly by: string
    readonly why: string
  }[]
}

/** Says how each kind of certificate stands in the rings, and takes a person's word. @throws RotationError */
export async function rollout(request: RolloutRequest): Promise<RolloutAnswer> {
  const { word, deadline, log, clock = systemClock } = request
  const settings = await settingsOf(request)
  const { rings } = settings
  if (rings === null)
    throw usage('there are no rings in the settings', 'Add "rollout": {"rings": [...]}; settings say more.')
  return inSession(settings, { runId: randomUUID(), clock, log, deadline }, async session => {
    const { records } = await session.state(settings.store, settings)
    if (word) await heed(records, rings, word, clock.now())
    const current = await kindsServed(settings, records)
    const kinds = (await records.rollouts.all()).filter(document => isOnItsWay(document, current))
    return {
      version: 1,
      ok: kinds.every(({ frozen }) => frozen === null),
      rings: rings.map(({ name, soakMs, targets }) => ({ name, soakMs, targets: targets.length })),
      kinds: kinds.map(document => reported(document, rings, current)),
    }
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

/** A kind that all have left is kept for those that may come to it late, and of no interest until then. */
function isOnItsWay(
  { kind, served, left, frozen, awaited }: RolloutDocument,
  current: ReadonlyMap<string, string>,
): boolean {
  const servers = Object.keys(served)
  const isLeft = servers.length > 0 && servers.every(key => left?.[key] !== undefined)
  return !isLeft || frozen !== null || awaited !== null || [...current.values()].includes(kind.id)
}

/** What each target serves, as far as it is written down: by the target's key. */
async function kindsServed({ targets }: Settings, records: Records): Promise<ReadonlyMap<string, string>> {
  const noted = await Promise.all(
    targets.map(async target => {
      const document = await records
        .target(target)
        .get()
        .catch(() => null)
      return [targetKey(target), document?.rollout?.kind.id ?? ''] as const
    }),
  )
  return new Map(noted)
}

function reported(
  { kind, served, frozen, awaited, approved, log }: RolloutDocument,
  rings: Rings,
  current: ReadonlyMap<string, string>,
): ReportedKind {
  return {
    kind: kind.id,
    roots: kind.roots,
    keys: kind.levels.map(({ keyType }) => keyType),
    signatures: kind.levels.map(({ signature }) => signature),
    commonName: kind.commonName,
    only: kind.only,
    rings: rings.map(({ name, targets, soakMs }) => {
      const keys = targets.map(targetKey)
      const since = keys.map(key => served[key])
      const isWhole = since.every(at => at !== undefined) && since.length > 0
      return {
        name,
        serving: keys.filter(key => current.get(key) === kind.id).length,
        soakedAt: isWhole ? iso(Math.max(...since.map(at => at ?? 0)) + soakMs) : null,
      }
    }),
    frozen: frozen && { ...frozen, at: iso(frozen.at) },
    awaited: awaited && { ...awaited, since: iso(awaited.since) },
    approved,
    log: log.map(entry => ({ ...entry, at: iso(entry.at) })),
  }
}
