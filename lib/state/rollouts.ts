import type { Kind } from '../model/rollout.ts'
import type { Document } from './document.ts'
import { newRollout, type RolloutDocument, type RolloutsDocument } from './rollout-documents.ts'

/** How far each kind of certificate has come. */
export interface Rollouts {
  /** Every kind that is on its way. */
  all(): Promise<readonly RolloutDocument[]>
  /** As it stands now; one that nobody has served yet where nothing is written down. */
  look(kind: Kind): Promise<RolloutDocument>
  /** Writes down what has come of it, and that there is such a kind. */
  update(kind: Kind, change: (document: RolloutDocument) => RolloutDocument): Promise<RolloutDocument>
  /** A target has left a kind behind: one that nobody serves, and nobody stopped, is forgotten. */
  leave(kindId: string, targetKey: string): Promise<void>
}

/** What the roll-outs are kept in. */
interface Kept {
  readonly index: Document<RolloutsDocument>
  readonly of: (kindId: string) => Document<RolloutDocument | null>
}

/** Opens what is written down of the roll-outs: one document for each kind, and one that lists them. */
export function openRollouts({ index, of }: Kept): Rollouts {
  const written = async (ids: readonly string[]): Promise<readonly RolloutDocument[]> =>
    (await Promise.all(ids.map(id => of(id).get()))).filter(document => document !== null)
  return {
    all: async () => written((await index.get()).kinds),
    look: async kind => (await of(kind.id).refresh()) ?? newRollout(kind),
    update: async (kind, change) => {
      // Listed first: what is not listed would be found by nobody.
      await index.update(d => (d.kinds.includes(kind.id) ? d : { ...d, kinds: [...d.kinds, kind.id] }))
      let after = newRollout(kind)
      await of(kind.id).update(d => {
        const before = d ?? newRollout(kind)
        after = change(before)
        return after === before ? d : after
      })
      return after
    },
    leave: async (kindId, targetKey) => {
      const left = await of(kindId).update(d => {
        if (d === null || d.served[targetKey] === undefined) return d
        const { [targetKey]: _, ...served } = d.served
        return { ...d, served }
      })
      if (left === null || left.frozen !== null || Object.keys(left.served).length > 0) return
      await index.update(d => ({ ...d, kinds: d.kinds.filter(id => id !== kindId) }))
    },
  }
}
