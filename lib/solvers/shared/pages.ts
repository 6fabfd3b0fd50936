/** One page of a list, and how many items the service says there are in all. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly total: number
}

/** Every item of a list, page by page; `fetch` is given the number of the page, from 1, and of the items so far. */
export async function everyItem<T>(
  fetch: (page: number, offset: number) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const all: T[] = []
  for (let page = 1; ; page += 1) {
    const { items, total } = await fetch(page, all.length)
    all.push(...items)
    if (items.length === 0 || all.length >= total) return all
  }
}
