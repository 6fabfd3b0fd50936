import type { Sandbox } from '../sandbox.ts'

/** One outside call as it came, with its place among the others. */
export interface SeenCall {
  /** `iotda.ListServerCertificates`, `acme.NewOrder`, `httpreq.Present`, `dns.TXT`, `device.Handshake`. */
  readonly operation: string
  readonly method: string
  /** Path of a request, name of a DNS question, SNI of a handshake. */
  readonly path: string
  /** Places in the order of all arrivals and answers; null while there is no answer. */
  readonly arrived: number
  readonly answered: number | null
}

/** Calls that ran side by side. */
export type Round = readonly SeenCall[]

export interface Sequence {
  /** Every call seen so far, in the order of arrival. */
  calls(): readonly SeenCall[]
  clear(): void
  /** Lets go of the sandbox. */
  stop(): void
}

type Writable = { -readonly [K in keyof SeenCall]: SeenCall[K] }

/**
 * Writes down in which order calls arrive and are answered. DNS questions and handshakes have no answer of
 * their own here: they are placed before the next call that arrives. Questions of the CA are left out.
 */
export function watchSequence({ faults, dns, device }: Sandbox): Sequence {
  let clock = 0
  let seen: Writable[] = []
  let questions = dns.queries.length
  let handshakes = device.handshakes.length
  const original = faults.arrive

  const note = (operation: string, method: string, path: string): Writable => {
    clock += 1
    const call = { operation, method, path, arrived: clock, answered: null }
    seen.push(call)
    return call
  }
  const catchUp = (): void => {
    // Between a challenge and the next request only the CA asks DNS.
    const isOurs = seen.findLast(call => call.method !== 'TLS')?.operation !== 'acme.Challenge'
    for (const { type, name, transport } of dns.queries.slice(questions))
      if (isOurs) note(`dns.${type}`, transport, name).answered = clock
    questions = dns.queries.length
    for (const { sni } of device.handshakes.slice(handshakes))
      note('device.Handshake', 'TLS', sni ?? '').answered = clock
    handshakes = device.handshakes.length
  }

  faults.arrive = call => {
    catchUp()
    const arrival = original(call)
    const mine = note(call.operation, call.method, call.path)
    let status = arrival.logged.status
    Object.defineProperty(arrival.logged, 'status', {
      enumerable: true,
      configurable: true,
      get: () => status,
      set: (value: number) => {
        catchUp()
        status = value
        clock += 1
        mine.answered = clock
      },
    })
    return arrival
  }
  return {
    calls: () => {
      catchUp()
      return seen.map(call => ({ ...call }))
    },
    clear: () => {
      catchUp()
      seen = []
    },
    stop: () => {
      faults.arrive = original
    },
  }
}

/**
 * The calls in rounds: a call belongs to the round after the last call that was answered before it arrived, so
 * that the number of rounds is the number of sequential round trips.
 */
export function roundsOf(calls: readonly SeenCall[]): readonly Round[] {
  const placed: { readonly call: SeenCall; readonly round: number }[] = []
  for (const call of calls) {
    const before = placed.filter(p => p.call.answered !== null && p.call.answered < call.arrived)
    placed.push({ call, round: Math.max(0, ...before.map(p => p.round)) + 1 })
  }
  const last = Math.max(0, ...placed.map(p => p.round))
  return Array.from({ length: last }, (_, i) => placed.filter(p => p.round === i + 1).map(p => p.call))
}
