import { iso } from '../base/time.ts'
import type { Rings } from '../model/rollout.ts'
import type { RolloutDocument } from '../state/rollout-documents.ts'
import { type Records, targetKey } from '../state/state.ts'

/** How things stand in the rings: version 1 of what `rollout` answers; plain JSON, instants in ISO 8601. */
export interface ReportedRollout {
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

/** Reads what is written down of the kinds; nothing is written. @throws RotationError `store-unreadable` */
export async function rolloutIn(records: Records, rings: Rings): Promise<ReportedRollout> {
  const current = await kindsServed(records, rings)
  const kinds = (await records.rollouts.all()).filter(document => isOnItsWay(document, current))
  return {
    version: 1,
    ok: kinds.every(({ frozen }) => frozen === null),
    rings: rings.map(({ name, soakMs, targets }) => ({ name, soakMs, targets: targets.length })),
    kinds: kinds.map(document => reported(document, rings, current)),
  }
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
async function kindsServed(records: Records, rings: Rings): Promise<ReadonlyMap<string, string>> {
  const noted = await Promise.all(
    rings
      .flatMap(({ targets }) => targets)
      .map(async target => {
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
