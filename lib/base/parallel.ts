/** Works through a list, several at once; results in the order of the list. */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const i = next++
      results[i] = await work(items[i] as T)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  return results
}

/** Runs one piece of work at a time for each key. */
export type Turns = <T>(key: string, work: () => Promise<T>) => Promise<T>

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return (key, work) => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work, work)
    last.set(
      key,
      mine.catch(() => {}),
    )
    return mine
  }
}

/** Work that all who ask for the same within one run share; `of` is that run. What fails may be tried again. */
export interface Shared {
  <T>(of: object, key: string, work: () => Promise<T>): Promise<T>
  /** Whoever asks next asks anew. */
  forget(of: object, key: string): void
}

export function createShared(): Shared {
  const runs = new WeakMap<object, Map<string, Promise<unknown>>>()
  const shared = <T>(of: object, key: string, work: () => Promise<T>): Promise<T> => {
    const known = runs.get(of) ?? new Map<string, Promise<unknown>>()
    runs.set(of, known)
    const mine = known.get(key) ?? work()
    known.set(key, mine)
    mine.catch(() => known.get(key) === mine && known.delete(key))
    return mine as Promise<T>
  }
  return Object.assign(shared, {
    forget: (of: object, key: string) => void runs.get(of)?.delete(key),
  })
}
