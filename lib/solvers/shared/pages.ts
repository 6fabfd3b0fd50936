import { RotationError } from '../../base/rotation-error.ts'

/** One page of a list, and how many items the service says there are in all. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly total: number
}

const ITEMS_AT_MOST = 20_000
const PAGES_AT_MOST = 200

/** The error for a list that goes on and on; `call` begins the message. */
export const endless = (call: string, count: number): RotationError =>
  new RotationError('unavailable', `${call} gave ${count} items and more: its list does not end`, {
    hint: 'Check the endpoint of the solver, and what is in this account.',
  })

/**
 * Every item of a list, page by page; `fetch` is given the number of the page, from 1, and of the items so far. `call`
 * names the driver and the operation. @throws RotationError `unavailable`: it does not end
 */
export async function everyItem<T>(
  call: string,
  fetch: (page: number, offset: number) => Promise<Page<T>>,
): Promise<readonly T[]> {
  let all: readonly T[] = []
  for (let page = 1; page <= PAGES_AT_MOST; page += 1) {
    const { items, total } = await fetch(page, all.length)
    all = all.concat(items)
    if (all.length > ITEMS_AT_MOST) break
    if (items.length === 0 || all.length >= total) return all
  }
  throw endless(call, all.length)
}
