import { setMaxListeners } from 'node:events'

/** A signal that nobody aborts. As many waits as a run has at once may listen to it, as to a real run's. */
export function quietSignal(): AbortSignal {
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  return signal
}
