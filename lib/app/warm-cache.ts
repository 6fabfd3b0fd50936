import { type Clock, MINUTE_MS, SECOND_MS } from '../base/time.ts'
import type { Settings, Surroundings } from '../config/load.ts'
import { noting } from '../config/surroundings.ts'
import type { HttpProxy } from '../http/http.ts'
import { type Clients, openClients } from './clients.ts'

/** What the process of a function keeps from one event to the next. Nothing in it belongs to a run. */
export interface Warm {
  /** The settings as read before, unless their text, a variable, or the age of their secrets says otherwise. */
  settings(
    config: string | null,
    around: Surroundings,
    load: (around: Surroundings) => Promise<Settings>,
    clock: Clock,
  ): Promise<Settings>
  /** HTTP clients; to be closed like any other. */
  clients(clock: Clock, proxy: HttpProxy | null): Clients
  /** Credentials were refused: the next event reads everything anew. */
  forget(): void
}

/** Secrets may be changed and temporary keys end: what is older is read anew. */
const SETTINGS_FOR_MS = 5 * MINUTE_MS
/** A process that slept longer may wake with connections that the other side has closed. */
const CLIENTS_FOR_MS = 4 * SECOND_MS

export function keepWarm(): Warm {
  let known: {
    config: string | null
    at: number
    isSame: (around: Surroundings) => boolean
    settings: Settings
  } | null = null
  let open: { clients: Clients; users: number; usedAt: number } | null = null

  return {
    settings: async (config, around, load, clock) => {
      const ageMs = known ? clock.now() - known.at : 0
      const isFresh = ageMs >= 0 && ageMs < SETTINGS_FOR_MS
      if (known && isFresh && known.config === config && known.isSame(around)) return known.settings
      known = null
      const at = clock.now()
      const noted = noting(around)
      const settings = await load(noted.around)
      known = { config, at, isSame: noted.isSame, settings }
      return settings
    },
    clients: (clock, proxy) => {
      const idleMs = open && open.users === 0 ? clock.now() - open.usedAt : 0
      if (open && (idleMs < 0 || idleMs >= CLIENTS_FOR_MS)) {
        void open.clients.close()
        open = null
      }
      const mine = open ?? { clients: openClients(proxy, clock), users: 0, usedAt: clock.now() }
      mine.users += 1
      open = mine
      return {
        http: mine.clients.http,
        close: async () => {
          mine.users -= 1
          mine.usedAt = clock.now()
        },
      }
    },
    forget: () => {
      known = null
    },
  }
}
