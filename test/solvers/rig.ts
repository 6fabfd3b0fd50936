/** What solver and propagation tests share: a clock that does not wait, a run, and a log that is kept. */
import { Resolver } from 'node:dns/promises'
import type { Log } from '../../lib/base/log.ts'
import type { Clock } from '../../lib/base/time.ts'
import type { DriverContext, HuaweiKeys, Run } from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'
import type { Dns, DnsOptions } from '../../sandbox/dns/server.ts'
import { cleanups } from '../support/cleanups.ts'

export const START = Date.UTC(2026, 10, 24)

export interface TestClock extends Clock {
  /** Every wait so far, in milliseconds. */
  readonly waits: readonly number[]
  /** Called at the start of each wait. */
  onSleep: () => void | Promise<void>
}

/** Time passes only by sleeping, and sleeping takes none. */
export function createTestClock(start = START): TestClock {
  let now = start
  const waits: number[] = []
  const clock: TestClock = {
    waits,
    onSleep: () => {},
    now: () => now,
    sleep: async (durationMs, signal) => {
      await clock.onSleep()
      signal?.throwIfAborted()
      waits.push(durationMs)
      now += durationMs
      await new Promise(resolve => setImmediate(resolve))
    },
  }
  return clock
}

export interface Entry {
  readonly level: keyof Log
  readonly fields: object
  readonly message: string
}

export const createTestLog = (): { log: Log; entries: Entry[] } => {
  const entries: Entry[] = []
  const at = (level: keyof Log) => (fields: object, message: string) =>
    void entries.push({ level, fields, message })
  return { entries, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

export const createRun = (clock: Clock, log: Log, over: Partial<Run> = {}): Run => ({
  runId: 'run-1',
  clock,
  log,
  deadline: clock.now() + 3_600_000,
  signal: new AbortController().signal,
  ...over,
})

export const noKeys = (): Promise<HuaweiKeys> => Promise.reject(new Error('this driver wants no Huawei keys'))

/** What `app.ts` gives to a driver. */
export const createContext = (
  clock: Clock,
  log: Log,
  huaweiKeys: DriverContext['huaweiKeys'],
): DriverContext => ({
  name: 'dns',
  clock,
  log,
  huaweiKeys,
  http: caCertificates => {
    const http = createHttp({ caCertificates })
    cleanups.push(http.close)
    return http
  },
})

const A = '127.0.0.1'
export const ZONES = ['example.com', 'sub.example.com', 'my-example.com'] as const

/** Zones of which one lies within another, and one only ends alike. */
export const zones: DnsOptions['zones'] = ZONES.map(name => ({
  name,
  ns: [{ name: `ns1.${name}`, address: A }],
  records: [{ name: `mail.${name}`, type: 'TXT' as const, values: ['v=spf1 -all'] }],
}))

const gone = (error: NodeJS.ErrnoException): string[][] => {
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return []
  throw error
}

/** The TXT values a name has in DNS, sorted. */
export const textsIn = async ({ port }: Pick<Dns, 'port'>, name: string): Promise<string[]> => {
  const resolver = new Resolver({ timeout: 10_000, tries: 1 })
  resolver.setServers([`${A}:${port}`])
  const found = await resolver.resolveTxt(name).catch(gone)
  return found.map(strings => strings.join('')).sort()
}
