/** Runs in this process that can die in the middle of an outside call, as a killed process would. */

import { openClients } from '../../lib/app/clients.ts'
import { type Request, run } from '../../lib/app/run.ts'
import type { Warm } from '../../lib/app/warm-cache.ts'
import { systemClock } from '../../lib/base/time.ts'
import type { Settings } from '../../lib/config/load.ts'
import type { Http, HttpRequest } from '../../lib/http/http.ts'
import type { Answer } from '../../lib/report/answer.ts'

/** At which of its HTTP requests (counted from 1; of those that are meant) a run dies, and whether it still takes effect. */
export interface Death {
  readonly call: number
  readonly when: 'before' | 'after'
  readonly of?: (request: HttpRequest) => boolean
}

export interface Mortal {
  /** Null: it died. What it held is never given back, what it had not written is never written. */
  run(request: Omit<Request, 'warm'>, death: Death | null): Promise<Answer | null>
  close(): Promise<void>
}

/** Never settles: whoever waits for it does nothing any more, not even in a `finally`. */
const never = <T>(): Promise<T> => new Promise(() => {})

/** Lets the requests of one run through until it dies; then none, and no answer of those under way. */
const mortal = (death: Death | null, died: () => void): ((http: Http) => Http) => {
  let calls = 0
  const isDead = (): boolean => death !== null && calls >= death.call
  return http => ({
    request: async asked => {
      if (isDead()) return never()
      if (death?.of?.(asked) !== false) calls += 1
      if (!isDead()) {
        const answer = await http
          .request(asked)
          .catch(error => (isDead() ? never<never>() : Promise.reject(error)))
        return isDead() ? never() : answer
      }
      if (death?.when === 'after') await http.request(asked).catch(() => {})
      died()
      return never()
    },
    close: async () => {},
  })
}

/** The settings are read once and connections are kept, as in a function that stays warm. */
export function createMortal(): Mortal {
  let settings: Promise<Settings> | null = null
  const clients = openClients(null, systemClock)
  const warmFor = (own: (http: Http) => Http): Warm => ({
    settings: (_, around, load) => {
      settings ??= load(around)
      return settings
    },
    clients: () => ({ http: roots => own(clients.http(roots)), close: async () => {} }),
    forget: () => {},
  })
  return {
    run: (request, death) =>
      new Promise((resolve, reject) => {
        const warm = warmFor(mortal(death, () => resolve(null)))
        run({ ...request, warm }).then(resolve, reject)
      }),
    close: clients.close,
  }
}
