/** The names of objects: none is the folder of another, and what earlier versions wrote is found and moved. */
import { expect, test } from 'vitest'
import type { StateStore } from '../../lib/contracts.ts'
import s3 from '../../lib/stores/s3.ts'
import { enclose } from '../../lib/stores/shared/envelope.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { createS3, type S3Switches } from '../../sandbox/stores/s3.ts'
import { cleanups } from '../support/cleanups.ts'
import { awsKeys, awsSettings, storeRig } from './cloud.ts'

const BUCKET = 'state'
const KEY = 'certificates/iot/0a1b'
const OLD = `iotda-cert/${KEY}`
const NEW = 'iotda-cert/certificates/iot.0a1b'
/** What a rotation writes side by side. */
const KEYS = [
  ...['certificates/iot', KEY, 'sources/le', 'sources/le/account-key', 'deliveries'],
  ...['targets/t', 'targets/t/history', 'leases/i', 'runs/last', 'watch/told'],
]

async function open(switches: Partial<S3Switches> = {}) {
  const faults = createFaults()
  const service = await createS3({ faults, keys: awsKeys, bucket: BUCKET, switches })
  const settings = { ...awsSettings(service.url), bucket: BUCKET, prefix: 'iotda-cert/' }
  const rig = storeRig(s3, service, settings)
  cleanups.push(rig.dispose)
  const writeEarlier = (name: string, body: string) =>
    service.objects.set(name, { body: enclose(body, 'old').text, etag: '"old"', metadata: {} })
  const names = () => [...service.objects.keys()].sort()
  return { ...rig, faults, names, writeEarlier, store: await rig.open() }
}

const bodyOf = async (store: StateStore, key = KEY) => (await store.read(key))?.body ?? null

test('a service on files could not hold certificates/iot beside certificates/iot/<uuid>: never rotated', async () => {
  for (const keys of [KEYS, KEYS.toReversed()]) {
    const { store } = await open({ asFiles: true })
    for (const key of keys) await store.write(key, `body of ${key}`, null)
    for (const key of keys) expect(await bodyOf(store, key)).toBe(`body of ${key}`)
  }
})

test('what an earlier version wrote is read, and moved', async () => {
  const { store, names, writeEarlier } = await open()
  writeEarlier(OLD, 'sealed')
  const found = await store.read(KEY)
  expect(found?.body).toBe('sealed')
  expect(names()).toEqual([NEW])
  await store.write(KEY, 'another', found?.revision ?? null)
  expect(await bodyOf(store)).toBe('another')
})

test('documents that are read in an idle run keep their names: no request more', async () => {
  const { store, faults, names } = await open()
  const idle = ['targets/t', 'certificates/iot', 'sources/le', 'runs/last', 'leases/i']
  for (const key of idle) await store.write(key, 'x', null)
  expect(names()).toEqual(idle.map(key => `iotda-cert/${key}`).sort())
  faults.clearCalls()
  for (const key of [...idle, 'targets/other']) await store.read(key)
  expect(faults.calls).toHaveLength(idle.length + 1)
})

test.each(['before', 'after'] as const)(
  'a process that dies %s any call of a move loses nothing',
  async drop => {
    for (let call = 0; call < 6; call += 1) {
      const { store, open: another, faults, names, writeEarlier } = await open()
      writeEarlier(OLD, 'sealed')
      // From that call on nothing is done, as for a process that is gone.
      faults.add({ operations: ['s3.*'], skip: call, drop })
      faults.add({ operations: ['s3.*'], skip: call, drop: 'before', times: 99 })
      await store.read(KEY).catch(() => {})
      faults.clear()
      expect(names().some(name => [OLD, NEW].includes(name))).toBe(true)
      const next = await another()
      expect(await bodyOf(next)).toBe('sealed')
      expect(names()).toEqual([NEW])
      await next.remove(KEY)
      expect([await bodyOf(next), names()]).toEqual([null, []])
    }
  },
)

test('a key that was wiped under both names does not come back, whenever the process dies', async () => {
  for (const skip of [0, 1]) {
    const { store, open: another, faults, writeEarlier } = await open()
    await store.write(KEY, 'newer', null)
    writeEarlier(OLD, 'older')
    faults.add({ operations: ['s3.DeleteObject'], skip, drop: 'before', times: 99 })
    await store.remove(KEY).catch(() => {})
    faults.clear()
    const next = await another()
    expect(await bodyOf(next)).toBe('newer')
    await next.remove(KEY)
    expect(await bodyOf(next)).toBeNull()
  }
})

test('what was removed while it was moved does not come back', async () => {
  const { store, faults, service, writeEarlier, names } = await open()
  writeEarlier(OLD, 'sealed')
  faults.add({ operations: ['s3.PutObject'], delayMs: 50 })
  const reading = store.read(KEY)
  await expect.poll(() => faults.calls.some(call => call.operation === 's3.PutObject')).toBe(true)
  service.objects.delete(OLD)
  expect(await reading).toBeNull()
  expect(names()).toEqual([])
})

test('of two that move at once both find it', async () => {
  const { open: another, names, writeEarlier } = await open()
  for (let round = 0; round < 20; round += 1) {
    writeEarlier(OLD, 'sealed')
    const stores = await Promise.all([another(), another(), another()])
    expect(await Promise.all(stores.map(store => bodyOf(store)))).toEqual(['sealed', 'sealed', 'sealed'])
    expect(names()).toEqual([NEW])
    await stores[0]?.remove(KEY)
  }
})

test('a key that may only read finds it where it stands; one that may not remove goes on there', async () => {
  const { store, names, service, writeEarlier } = await open({ denied: ['s3:PutObject', 's3:DeleteObject'] })
  writeEarlier(OLD, 'sealed')
  const found = await store.read(KEY)
  expect([found?.body, names()]).toEqual(['sealed', [OLD]])
  service.switches.denied = []
  const next = await store.write(KEY, 'another', found?.revision ?? null)
  expect([await bodyOf(store), names()]).toEqual(['another', [NEW]])
  await expect(store.write(KEY, 'late', found?.revision ?? null)).rejects.toMatchObject({
    code: 'store-conflict',
  })
  expect(next).not.toBe(found?.revision)
})
