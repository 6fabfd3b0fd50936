import { DAY_MS } from '../base/time.ts'
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
  /**
   * A target serves another kind by now. `hasSoaked`: it served this one well for the soak of its ring, which goes on
   * to count. A kind that all have left long ago, and nobody stopped, is forgotten.
   */
  leave(kindId: string, leaving: Leaving): Promise<void>
}

interface Leaving {
  readonly targetKey: string
  readonly at: number
  readonly hasSoaked: boolean
}

/** A target that was forgotten for so long gets what the rings before had by then as well. */
const KEPT_MS = 400 * DAY_MS

const isForgotten = ({ kind, served, left, frozen }: RolloutDocument, at: number): boolean =>
  frozen === null &&
  Object.keys(served).every(key => {
    const since = left?.[key]
    // A shared certificate does not come back.
    return since !== undefined && (kind.only !== null || at - since > KEPT_MS)
  })

function withoutTarget(document: RolloutDocument, { targetKey, at, hasSoaked }: Leaving): RolloutDocument {
  const { served, left } = document
  if (served[targetKey] === undefined || left?.[targetKey] !== undefined) return document
  if (hasSoaked) return { ...document, left: { ...left, [targetKey]: at } }
  const { [targetKey]: _, ...others } = served
  return { ...document, served: others }
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
    leave: async (kindId, leaving) => {
      const after = await of(kindId).update(d => d && withoutTarget(d, leaving))
      if (after === null || !isForgotten(after, leaving.at)) return
      await index.update(d => ({ ...d, kinds: d.kinds.filter(id => id !== kindId) }))
    },
  }
}
