/** Stores over simulated services: the context they are made with, and what is the same for all of them. */
import { expect, test } from 'vitest'
import { silentLog } from '../../lib/base/log.ts'
import { secret } from '../../lib/base/secret.ts'
import { type Clock, systemClock } from '../../lib/base/time.ts'
import type { DriverContext, Run, StateStore } from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'
import { parseDocument } from '../../lib/state/document.ts'
import { newTarget, TargetDocument } from '../../lib/state/documents.ts'
import { takeLease } from '../../lib/state/lease.ts'
import { failureOf } from '../support/failure.ts'

export const AWS_KEY = 'AKIAEXAMPLE000000001'
export const AWS_SECRET = 'example/Secret+Key000000000000000000001'
export const AWS_TOKEN = 'IQoJb3JpZ2luX2VjEXAMPLE//token=='
export const REGION = 'eu-central-1'
export const awsKeys = new Map([[AWS_KEY, { secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }]])

export const HUAWEI_KEY = 'AKEXAMPLE0000000001'
export const HUAWEI_SECRET = 'SKexample/Secret+Key0000000000000000001'
export const PROJECT = '0123456789abcdef0123456789abcdef'
export const huaweiKeys = new Map([[HUAWEI_KEY, { secretKey: HUAWEI_SECRET }]])

/** Settings of a store on AWS as the loader leaves them. */
export const awsSettings = (endpoint: string) => ({
  region: REGION,
  endpoint,
  accessKeyId: secret(AWS_KEY),
  secretAccessKey: secret(AWS_SECRET),
  sessionToken: secret(AWS_TOKEN),
  caCertificates: null,
})

/** The same for a child process: a Secret becomes what store-child.ts makes one of. */
export const forChild = (settings: object): object =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      typeof value?.reveal === 'function' ? { secret: value.reveal() } : value,
    ]),
  )

/** Waits pass at once, so that a driver that tries again does so without delay. */
export const quickClock: Clock = { now: () => systemClock.now(), sleep: async () => {} }

export const contextWith = (clock: Clock = quickClock) => {
  const http = createHttp()
  const context: DriverContext = {
    name: 'store',
    http: () => http,
    clock,
    log: silentLog,
    huaweiKeys: async () => ({
      accessKey: secret(HUAWEI_KEY),
      secretKey: secret(HUAWEI_SECRET),
      securityToken: null,
    }),
  }
  return { context, close: () => http.close() }
}

const runNamed = (runId: string): Run => ({
  runId,
  clock: quickClock,
  log: silentLog,
  deadline: Number.POSITIVE_INFINITY,
  signal: new AbortController().signal,
})

/** Takes a lease twice and loses it once: what the rotation builds on. */
async function leaseWorks(store: StateStore, other: StateStore): Promise<void> {
  const lease = await takeLease(store, 'instance', runNamed('one'))
  await expect(takeLease(other, 'instance', runNamed('two'))).rejects.toMatchObject({ code: 'busy' })
  await lease.guard()
  await lease.release()
  const again = await takeLease(other, 'instance', runNamed('three'))
  await expect(lease.guard()).rejects.toMatchObject({ code: 'lease-lost' })
  await again.guard()
}

/** A store that takes a write on any revision must be found out before anything is changed. */
export async function leaseIsRefused(store: StateStore): Promise<void> {
  await expect(takeLease(store, 'instance', runNamed('one'))).rejects.toMatchObject({
    code: 'store-conflict',
    retry: 'never',
    message: expect.stringContaining('ignores the condition'),
  })
}

/** A target's document of a later version of the program: never read as something else. */
async function newerSchemaIsRefused(store: StateStore): Promise<void> {
  const body = JSON.stringify({ ...newTarget('factory-1'), schema: 2 })
  const revision = await store.write('targets/t', body, null)
  const read = async () =>
    parseDocument(TargetDocument, 'targets/t', (await store.read('targets/t'))?.body ?? '')
  await expect(read()).rejects.toMatchObject({
    code: 'store-unreadable',
    retry: 'never',
    message: 'state document targets/t cannot be read: its schema 2 is newer than this program',
  })
  expect(await store.read('targets/t')).toEqual({ body, revision })
}

/** A driver over its simulated service; `open` opens it as another process would. */
export const storeRig = <Service extends { dispose(): Promise<void> }, Settings>(
  driver: { create(settings: Settings, context: DriverContext): StateStore },
  service: Service,
  settings: Settings,
) => {
  const { context, close } = contextWith()
  return {
    service,
    settings,
    open: async (change: Partial<Settings> = {}) => driver.create({ ...settings, ...change }, context),
    dispose: async () => {
      await close()
      await service.dispose()
    },
  }
}

type Current = () => {
  readonly open: () => Promise<StateStore>
  readonly service: { readonly switches: { denied?: readonly string[] } }
}
type Method = 'read' | 'write' | 'remove'

/** What holds for every store over a service; `denied`: what is missing, for which method, and the hint. */
export function cloudScenarios(
  current: Current,
  message: RegExp,
  denied: readonly (readonly [action: string, method: Method, hint: RegExp])[],
): void {
  test('a lease is held by one run, as long as no two look at the same moment', async () => {
    await leaseWorks(await current().open(), await current().open())
  })

  test('a document of a newer schema is refused', async () => newerSchemaIsRefused(await current().open()))

  test.each(denied)('without %s the %s names it', async (action, method, hint) => {
    const store = await current().open()
    current().service.switches.denied = [action]
    const work = method === 'write' ? store.write('targets/t', 'one', null) : store[method]('targets/t')
    expect(await failureOf(work)).toMatchObject({
      code: 'forbidden',
      retry: 'never',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    })
  })
}
