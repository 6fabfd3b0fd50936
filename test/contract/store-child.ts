/**
 * A process of its own that writes to a store, for the store contract. Prints `ack <n>` for each write that
 * succeeded. Arguments: settings as JSON (a Secret as `{"secret":"…"}`), mode, document key, bytes of padding, keys
 * of Huawei Cloud as JSON. Starts when a line comes in.
 */
import { once } from 'node:events'
import { silentLog } from '../../lib/base/log.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { secret } from '../../lib/base/secret.ts'
import { systemClock } from '../../lib/base/time.ts'
import type { DriverContext, StateStore } from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'

const [settings = '', mode = '', key = '', paddingBytes = '0', huaweiKeys = 'null'] = process.argv.slice(2)

const parse = (json: string) =>
  JSON.parse(json, (_, value) => (typeof value?.secret === 'string' ? secret(value.secret) : value))

const context: DriverContext = {
  name: 'child',
  http: caCertificates => createHttp({ caCertificates }),
  clock: systemClock,
  log: silentLog,
  huaweiKeys: async () => parse(huaweiKeys),
}

/** Adds one to the document's number. False: another writer was first. */
const increment = async (store: StateStore, key: string, padding: string): Promise<boolean> => {
  const before = await store.read(key)
  const n = before === null ? 1 : JSON.parse(before.body).n + 1
  try {
    await store.write(key, JSON.stringify({ n, padding }), before?.revision ?? null)
  } catch (thrown) {
    if (thrown instanceof RotationError && thrown.code === 'store-conflict') return false
    throw thrown
  }
  process.stdout.write(`ack ${n}\n`)
  return true
}

const modes: Readonly<Record<string, (store: StateStore, key: string) => Promise<void>>> = {
  /** Sixty successful increments, whatever others do. */
  race: async (store, key) => {
    for (let wins = 0; wins < 60; ) if (await increment(store, key, '')) wins += 1
  },
  /** Increments of a large document until somebody kills it. */
  hammer: async (store, key) => {
    for (;;) await increment(store, key, 'x'.repeat(Number(paddingBytes)))
  },
  /** Dies after one write, before anybody hears of it. */
  unacknowledged: async (store, key) => {
    await store.write(key, '{"n":1}', null)
    process.kill(process.pid, 'SIGKILL')
  },
}

/** Runs the child with a driver; the contract bundles this call for each store. */
export async function main(driver: { create(settings: never, context: DriverContext): StateStore }) {
  const store = driver.create(parse(settings) as never, context)
  process.stdout.write(`writer ${store.writer}\n`)
  await once(process.stdin, 'data')
  await modes[mode]?.(store, key)
  process.exit(0)
}
