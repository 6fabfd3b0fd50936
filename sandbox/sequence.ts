import type { Handshake } from './device/model.ts'
import type { Sandbox } from './sandbox.ts'

/** One outside call as it came, with its place among the others. */
export interface SeenCall {
  /** `iotda.ListServerCertificates`, `acme.NewOrder`, `httpreq.Present`, `dns.TXT`, `device.Handshake`. */
  readonly operation: string
  /** Path of a request, name of a DNS question, address of a handshake. */
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
 * Writes down in which order calls arrive and are answered, without looking at a clock: give every answer a
 * delay (`faults.add({ operations: ['*'], times: Number.MAX_SAFE_INTEGER, delayMs: 100 })` and the device's switch
 * `delayMs`), and calls that do not wait for each other arrive before the first of them is answered. Questions that the CA asks DNS are left
 * out. A DNS question or handshake is noticed at the next call; it counts as waited for unless it, or a request, was
 * under way all the while.
 */
export function watchSequence({ faults, dns, device }: Sandbox): Sequence {
  let places = 0
  let seen: Writable[] = []
  const shaking = new Map<Writable, Handshake>()
  let questions = dns.queries.length
  let handshakes = device.handshakes.length
  const original = faults.arrive

  const note = (operation: string, path: string): Writable => {
    places += 1
    const call = { operation, path, arrived: places, answered: null }
    seen.push(call)
    return call
  }
  const isRequest = ({ operation }: SeenCall): boolean => !/^(dns|device)\./.test(operation)
  /** What has no answer of its own was waited for when nothing else was. */
  const close = (): void => {
    if (seen.some(call => isRequest(call) && call.answered === null)) return
    places += 1
    for (const call of seen) if (shaking.get(call)?.completed !== false) call.answered ??= places
  }
  const catchUp = (): void => {
    const isCa = seen.findLast(isRequest)?.operation === 'acme.Challenge'
    for (const [i, { type, name }] of dns.queries.slice(questions).entries()) {
      if (isCa) continue
      // Both kinds of address of one name are asked for side by side.
      const isPair =
        i > 0 && type === 'AAAA' && seen.at(-1)?.operation === 'dns.A' && seen.at(-1)?.path === name
      if (!isPair) close()
      note(`dns.${type}`, name)
    }
    questions = dns.queries.length
    for (const handshake of device.handshakes.slice(handshakes)) {
      close()
      shaking.set(note('device.Handshake', handshake.address), handshake)
    }
    handshakes = device.handshakes.length
  }

  faults.arrive = call => {
    catchUp()
    close()
    const mine = note(call.operation, call.path)
    const arrival = original(call)
    let { status } = arrival.logged
    Object.defineProperty(arrival.logged, 'status', {
      enumerable: true,
      configurable: true,
      get: () => status,
      set: (value: number) => {
        catchUp()
        status = value
        places += 1
        mine.answered = places
      },
    })
    return arrival
  }
  return {
    calls: () => {
      catchUp()
      close()
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
 * The calls in rounds: a call belongs to the round after the last one that was answered before it arrived, so
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
