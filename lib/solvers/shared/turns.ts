import { stopped } from '../../base/stopped.ts'
import type { Run } from '../../contracts.ts'

const noop = (): void => {}
const queues = new Map<string, Promise<void>>()

/** Runs one work at a time for each key, in the order of the calls; an aborted run stops queueing. */
export async function inTurn<T>(key: string, what: string, run: Run, work: () => Promise<T>): Promise<T> {
  const mine = (queues.get(key) ?? Promise.resolve()).then(work)
  const tail = mine.then(noop, noop)
  queues.set(key, tail)
  let leave = noop
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(stopped(run, what))
  })
  run.signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([mine, aborted])
  } finally {
    run.signal.removeEventListener('abort', leave)
    void tail.then(() => queues.get(key) === tail && queues.delete(key))
  }
}
