/** A DnsSolver over challtestsrv's management API. */
import type { DnsSolver } from '../../lib/contracts.ts'
import type { Challtestsrv } from './pebble.ts'

export interface ChalltestsrvSolver extends DnsSolver {
  /** What happened, e.g. `present _acme-challenge.x.example. value`. */
  readonly calls: readonly string[]
  /** The values there now, by name. */
  readonly values: ReadonlyMap<string, readonly string[]>
  /** Adds a CNAME record (names with their final dot). */
  setCname(host: string, target: string): Promise<void>
}

/** It can only clear a name, so the values that stay are written again. */
export function createChalltestsrvSolver({ url, dnsServer }: Challtestsrv): ChalltestsrvSolver {
  const calls: string[] = []
  const values = new Map<string, readonly string[]>()
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await fetch(`${url}/${path}`, { method: 'POST', body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`challtestsrv ${path}: ${answer.status}`)
  }
  return {
    calls,
    values,
    propagation: {
      check: 'authoritative',
      resolvers: [],
      caCertificates: null,
      nameservers: [dnsServer],
      port: 53,
      withinMs: 10_000,
      everyMs: 100,
      settleMs: 0,
    },
    setCname: (host, target) => post('set-cname', { host, target }),
    prepare: async fqdn => {
      calls.push(`prepare ${fqdn}`)
      return null
    },
    present: async (host, value) => {
      calls.push(`present ${host} ${value}`)
      const there = values.get(host) ?? []
      if (there.includes(value)) return
      values.set(host, [...there, value])
      await post('set-txt', { host, value })
    },
    cleanUp: async (host, value) => {
      calls.push(`cleanUp ${host} ${value}`)
      const left = (values.get(host) ?? []).filter(other => other !== value)
      values.set(host, left)
      await post('clear-txt', { host })
      for (const other of left) await post('set-txt', { host, value: other })
    },
  }
}
