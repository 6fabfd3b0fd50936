import * as v from 'valibot'
import { iso } from '../../base/time.ts'
import type { Journal } from '../../contracts.ts'
import type { Order } from '../protocol/resources.ts'
import { distinct, type TxtValue } from './dns01.ts'

const instant = v.pipe(
  v.string(),
  v.transform(text => Date.parse(text)),
  v.number(),
)
const orderSchema = v.object({ url: v.string(), finalize: v.string(), expires: v.nullable(instant) })
/** A digest in base64url: whoever writes a journal has no other value of a zone removed. RFC 8555 section 8.4 */
const digest = v.pipe(v.string(), v.regex(/^[\w-]{43}$/))
const txtSchema = v.array(v.object({ fqdn: v.string(), value: digest, domain: v.string() }))

/** What the journal says of an order; enough to go on in another process. */
export interface OrderNotes {
  readonly url: string
  readonly finalize: string
  /** Milliseconds since the epoch; written as ISO 8601. */
  readonly expires: number | null
}

const readAs = <S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> | null => {
  const result = v.safeParse(schema, value)
  return result.success ? result.output : null
}

/** The typed notes of one order: `{ order, txt }`. Each change is durable when its promise resolves. */
export type Notes = ReturnType<typeof openNotes>

/** Opens a journal's notes; what cannot be read counts as absent. */
export function openNotes(journal: Journal) {
  let order: OrderNotes | null = readAs(orderSchema, journal.notes.order)
  let txt: readonly TxtValue[] = readAs(txtSchema, journal.notes.txt) ?? []
  const save = () => {
    const { expires = null, ...rest } = order ?? {}
    const noted = { ...rest, expires: expires === null ? null : iso(expires) }
    return journal.write({ ...(order ? { order: noted } : {}), ...(txt.length > 0 ? { txt } : {}) })
  }
  return {
    order: (): OrderNotes | null => order,
    /** Values written and not yet removed, or about to be written. */
    txt: (): readonly TxtValue[] => txt,
    placed: async ({ url, finalize, expires }: Order) => {
      order = { url, finalize, expires }
      await save()
    },
    /** The order is dead: the next try makes a new one. */
    dropped: async () => {
      order = null
      await save()
    },
    /** Adds values before they are written. */
    presenting: async (values: readonly TxtValue[]) => {
      const next = distinct([...txt, ...values])
      if (next.length === txt.length) return
      txt = next
      await save()
    },
    /** Replaces the values by those that are left. */
    removed: async (left: readonly TxtValue[]) => {
      txt = left
      await save()
    },
  }
}
