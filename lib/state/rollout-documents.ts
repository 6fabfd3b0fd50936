import * as v from 'valibot'

/** What is written down of a roll-out in rings. Instants are milliseconds since the epoch. */

const instant = v.number()
const schema = v.literal(1)
/** Targets by their document's key. */
const byTarget = v.record(v.string(), instant)

const texts = v.pipe(v.array(v.string()), v.readonly())

/** What a certificate is to devices (lib/model/rollout.ts). */
export const KindShape = v.pipe(
  v.object({
    id: v.string(),
    roots: texts,
    levels: v.pipe(v.array(v.object({ keyType: v.string(), signature: v.string() })), v.readonly()),
    commonName: v.boolean(),
    only: v.nullable(v.string()),
  }),
  v.readonly(),
)

/** A kind of certificate on its way through the rings. */
export const RolloutDocument = v.object({
  schema,
  kind: KindShape,
  /** Since when each target has served it and been well; kept when it served it for the soak of its ring. */
  served: byTarget,
  /** Since when those that served it so long have served another kind. */
  left: v.optional(byTarget),
  /** It stops everywhere until a person says so. */
  frozen: v.nullable(v.object({ at: instant, target: v.string(), why: v.string() })),
  /** Who waits for a ring before: which ring was asked, since when. */
  awaited: v.nullable(v.object({ ring: v.string(), by: v.string(), since: instant })),
  /** Targets that were renewed ahead of their time so that a later ring need not wait. */
  pulled: byTarget,
  /** Rings that a person let pass; `*`: all. */
  approved: v.array(v.string()),
  /** What happened to it, newest last. */
  log: v.array(v.object({ at: instant, what: v.string(), by: v.string(), why: v.string() })),
})
export type RolloutDocument = v.InferOutput<typeof RolloutDocument>

/** The kinds that there are documents of. */
export const RolloutsDocument = v.object({ schema, kinds: v.array(v.string()) })
export type RolloutsDocument = v.InferOutput<typeof RolloutsDocument>

export const noRollouts: RolloutsDocument = { schema: 1, kinds: [] }

/** What nobody has served yet. */
export const newRollout = (kind: RolloutDocument['kind']): RolloutDocument => ({
  schema: 1,
  kind,
  served: {},
  frozen: null,
  awaited: null,
  pulled: {},
  approved: [],
  log: [],
})

const LOG_AT_MOST = 50

type Entry = RolloutDocument['log'][number]

/** One more line of what happened. */
export const logged = (document: RolloutDocument, entry: Entry): RolloutDocument => ({
  ...document,
  log: [...document.log, entry].slice(-LOG_AT_MOST),
})
