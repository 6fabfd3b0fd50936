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
const txtSchema = v.array(v.object({ fqdn: v.string(), value: v.string(), domain: v.string() }))

/** What the journal says of an order; enough to go on in another process. */
export interface OrderNotes {
  readonly url: string
  readonly finalize: string
  /** Milliseconds since the epoch; written as ISO 8601. */
  readonly expires: number | null
}

/** The typed notes of one order: `{ order, txt }`. Each change is durable when its promise resolves. */
export interface Notes {
  order(): OrderNotes | null
  /** Values written and not yet removed, or about to be written. */
  txt(): readonly TxtValue[]
  placed(order: Order): Promise<void>
  /** The order is dead: the next try makes a new one. */
  dropped(): Promise<void>
  /** Adds values before they are written. */
  presenting(values: readonly TxtValue[]): Promise<void>
  /** Replaces the values by those that are left. */
  removed(left: readonly TxtValue[]): Promise<void>
}

const readAs = <S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> | null => {
  const result = v.safeParse(schema, value)
  return result.success ? result.output : null
}

/** Opens a journal's notes; what cannot be read counts as absent. */
export function openNotes(journal: Journal): Notes {
  let order: OrderNotes | null = readAs(orderSchema, journal.notes.order)
  let txt: readonly TxtValue[] = readAs(txtSchema, journal.notes.txt) ?? []
  const save = () => {
    const { expires = null, ...rest } = order ?? {}
    const noted = { ...rest, expires: expires === null ? null : iso(expires) }
    return journal.write({ ...(order ? { order: noted } : {}), ...(txt.length > 0 ? { txt } : {}) })
  }
  return {
    order: () => order,
    txt: () => txt,
    placed: async ({ url, finalize, expires }) => {
      order = { url, finalize, expires }
      await save()
    },
    dropped: async () => {
      order = null
      await save()
    },
    presenting: async values => {
      const next = distinct([...txt, ...values])
      if (next.length === txt.length) return
      txt = next
      await save()
    },
    removed: async left => {
      txt = left
      await save()
    },
  }
}
