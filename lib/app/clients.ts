import { createPace, type Limit, type Pace } from '../base/pace.ts'
import { type Clock, iso, SECOND_MS } from '../base/time.ts'
import type { DriverContext } from '../contracts.ts'
import { createHttp } from '../http/client.ts'
import { type Http, HttpFailure, type HttpProxy, type HttpResponse } from '../http/http.ts'

/** HTTP clients by the roots they trust. */
export interface Clients {
  readonly http: DriverContext['http']
  close(): Promise<void>
}

type Given = Parameters<DriverContext['http']>[1]

/** Who wants to be left alone for longer is left to a later run. */
const LEFT_ALONE_MS = 10 * SECOND_MS
const UNDOCUMENTED: Limit = { perSecond: Number.POSITIVE_INFINITY }

/**
 * One client for each set of roots, made at its first use; one pace for each address, whoever calls it: it begins at
 * the rate that is documented, and learns from refusals.
 */
export function openClients(proxy: HttpProxy | null, clock: Clock): Clients {
  const open = new Map<string, { readonly client: Http; readonly plain: Http }>()
  const paceOf = createServices(clock)
  const opened = (caCertificates: string | null) => {
    const client = createHttp({ caCertificates, proxy })
    return { client, plain: paced(client, origin => paceOf(origin), clock) }
  }
  return {
    http: (caCertificates, limit) => {
      const key = caCertificates ?? ''
      const { client, plain } = open.get(key) ?? opened(caCertificates)
      open.set(key, { client, plain })
      return limit ? paced(client, origin => paceOf(origin, limit), clock) : plain
    },
    close: async () => {
      await Promise.allSettled([...open.values()].map(({ client }) => client.close()))
    },
  }
}

/** The pace of each address, with those that it is known to be shared by. */
function createServices(clock: Clock) {
  const services = new Map<string, { readonly pace: Pace; readonly members: Set<string> }>()
  return (origin: string, limit?: Given): Pace => {
    const member = limit?.of ?? ''
    const known = services.get(origin)
    if (!known) {
      const pace = createPace(limit ?? UNDOCUMENTED, clock)
      services.set(origin, { pace, members: new Set([member]) })
      return pace
    }
    if (limit && !known.members.has(member)) {
      known.members.add(member)
      known.pace.widen(limit.perSecond)
    }
    return known.pace
  }
}

/** A client that keeps to the pace of whom it calls. */
function paced(client: Http, paceOf: (origin: string) => Pace, clock: Clock): Http {
  const sent = new WeakMap<HttpResponse, { readonly pace: Pace; readonly at: number }>()
  return {
    request: async request => {
      const { host, origin } = new URL(request.url)
      const { signal } = request
      const pace = paceOf(origin)
      const isTurn = await pace.take(Number.POSITIVE_INFINITY, signal, LEFT_ALONE_MS).catch(reason => {
        throw new HttpFailure('aborted', `the request to ${host} was given up`, false, reason)
      })
      if (!isTurn && !request.isUrgent) {
        const until = pace.pausedUntil()
        const message = `${host} wants to be left alone until ${iso(until)}`
        throw new HttpFailure('left-alone', message, false, undefined, until)
      }
      const at = clock.now()
      const answer = await client.request(request)
      sent.set(answer, { pace, at })
      return answer
    },
    tooMany: (answer, pauseMs) => {
      const known = sent.get(answer)
      known?.pace.slowDown(known.at, pauseMs)
    },
    close: () => client.close(),
  }
}
