/**
 * A state folder that version 0.1.0 wrote, by its built command against the sandbox: factory-1 rotated, factory-2
 * stopped after obtain, factory-3 held by hand, factory-4 stopped after its bind, factory-5 killed at finalize; one
 * run in which IoTDA did not answer, and a notifier that never took a message.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmod, cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../lib/base/log.ts'
import type { StateStore } from '../../lib/contracts.ts'
import type { Target } from '../../lib/model/target.ts'
import type { Document } from '../../lib/state/document.ts'
import { takeLease } from '../../lib/state/lease.ts'
import {
  documentKeys,
  instanceKey,
  openRecords,
  type Records,
  specHashOf,
  targetKey,
} from '../../lib/state/state.ts'
import file from '../../lib/stores/file.ts'
import { target as anyTarget, newRun, spec } from '../rotation/facts.ts'
import { fakeClock } from '../support/clock.ts'

const FIXTURE = fileURLToPath(new URL('./fixtures/state-of-0.1.0', import.meta.url))
/** The moment after its last run. */
const THEN = Date.parse('2026-11-24T19:12:00Z')

const INSTANCES = [
  '11111111-2222-3333-4444-555555555555',
  ...[2, 3, 4, 5].map(n => `${`${n}`.repeat(8)}-2222-3333-4444-555555555555`),
]
const targetOf = (n: number): Target => ({
  ...anyTarget,
  name: `factory-${n}`,
  certificate: n === 1 ? 'iot' : `iot-${n}`,
  instance: {
    ...anyTarget.instance,
    projectId: '0123456789abcdef0123456789abcdef',
    instanceId: INSTANCES[n - 1] ?? null,
  },
})
const NUMBERS = [1, 2, 3, 4, 5] as const
const SETTINGS = {
  targets: NUMBERS.map(targetOf),
  certificates: { iot: {}, 'iot-2': {}, 'iot-3': {}, 'iot-4': {}, 'iot-5': {} },
  sources: { sandbox: {} },
}

let folder: string
let store: StateStore
let records: Records
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'state-of-0.1.0-'))
  await cp(FIXTURE, folder, { recursive: true })
  // Git keeps no modes, and the store refuses a key that others may read.
  await chmod(join(folder, 'seal.key'), 0o600)
  const clock = fakeClock(THEN)
  const nothing = () => Promise.reject(new Error('the file store needs no keys'))
  const http = () => expect.unreachable('the file store needs no HTTP')
  store = file.create({ path: folder }, { name: 'state', http, clock, log: silentLog, huaweiKeys: nothing })
  records = openRecords(
    store,
    async () => (await store.ownSealKey()) ?? expect.unreachable('it has one'),
    null,
    () => documentKeys(SETTINGS),
  )
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** The text of a document by its key, as 0.1.0 left it. */
const written = async (): Promise<Map<string, string>> => {
  const names = (await readdir(FIXTURE, { recursive: true })).filter(name => name.endsWith('.json'))
  const texts = names.map(
    async name => [name.replace(/\.\d+\.json$/, ''), await readFile(join(FIXTURE, name), 'utf8')] as const,
  )
  return new Map(await Promise.all(texts))
}

/** A document, and how it is written again as it is. */
const handle = <T extends object>(document: Document<T>) => ({
  get: (): Promise<object> => document.get(),
  rewrite: (): Promise<object> => document.update(it => ({ ...it })),
})
const documents = (): Readonly<Record<string, ReturnType<typeof handle>>> => ({
  'runs/last': handle(records.run()),
  'watch/told': handle(records.watch()),
  ...Object.fromEntries(
    NUMBERS.map(targetOf).flatMap(target => [
      [`targets/${targetKey(target)}`, handle(records.target(target))],
      [`targets/${targetKey(target)}/history`, handle(records.history(target))],
    ]),
  ),
  ...Object.fromEntries(
    ['iot', 'iot-2', 'iot-4', 'iot-5'].map(name => [
      `certificates/${name}`,
      handle(records.certificate(name)),
    ]),
  ),
})

const pendingOf = async (name: string) =>
  (await records.certificate(name).get()).pending ?? expect.unreachable(`${name} is pending`)

/** What a document says, but for words and what people were told. */
function factsOf(text: string): object {
  const { alerts: _, ...facts } = JSON.parse(text)
  if (facts.held) facts.held.why = expect.stringContaining('without a MAC')
  return facts
}

test('every document there is one that this program reads, and all it says is there, but for its words', async () => {
  const texts = await written()
  const sealed = [...texts.keys()].filter(key => texts.get(key)?.startsWith('v1.'))
  const others = ['deliveries', 'sources/sandbox']
  const leases = [...texts.keys()].filter(key => key.startsWith('leases/'))
  const known = Object.keys(documents())
  expect([...known, ...sealed, ...others, ...leases].sort()).toEqual([...texts.keys()].sort())
  expect([sealed.length, leases.length]).toEqual([4, 8])
  for (const [key, document] of Object.entries(documents())) {
    const before = factsOf(texts.get(key) ?? '')
    expect(await document.get()).toMatchObject(before)
    // Written again, it says the same.
    await document.rewrite()
    expect(JSON.parse((await store.read(key))?.body ?? '')).toMatchObject(before)
  }
  expect(await records.source('sandbox').read()).toEqual(JSON.parse(texts.get('sources/sandbox') ?? '').notes)
})

test('targets: rotated, held, bound and not yet verified, failed', async () => {
  const [one, two, three, four, five] = await Promise.all(
    NUMBERS.map(async n => ({ n, ...(await records.target(targetOf(n)).get()) })),
  )
  expect(one).toMatchObject({
    current: { serverCertificateId: expect.any(String), specHash: expect.any(String) },
    previous: { serverCertificateId: expect.any(String) },
    added: [one?.current?.serverCertificateId],
    lastResult: { outcome: 'idle', error: null },
    pending: null,
    held: null,
  })
  expect(one?.previous?.serverCertificateId).not.toBe(one?.current?.serverCertificateId)
  for (const { held } of [two, three].flatMap(it => it ?? []))
    expect(held).toMatchObject({ since: expect.any(Number), specHash: expect.any(String) })
  expect(four?.pending).toMatchObject({
    serverCertificateId: four?.added[0],
    replaces: {
      serverCertificateId: four?.current?.serverCertificateId,
      serverCertificateConfig: { ocsp_stapling_enable: false, ocsp_ssl_enable: true },
      served: true,
      working: ['@127.0.0.1'],
    },
    boundAt: expect.any(Number),
  })
  expect(five).toMatchObject({
    current: {},
    held: null,
    lastResult: { outcome: 'failed', error: 'unavailable' },
  })
  // No update of the program makes another certificate of it.
  const inSettings = { ...spec, sources: ['sandbox'] }
  for (const it of [one, two, three, four, five]) expect(it?.current?.specHash).toBe(specHashOf(inSettings))
})

test('the history of the target that was rotated', async () => {
  const { rotations, lastSteps } = await records.history(targetOf(1)).get()
  expect(rotations).toMatchObject([
    { outcome: 'rotated', reason: 'renewal-window', error: null },
    { outcome: 'failed', error: 'unavailable' },
  ])
  expect(rotations[0]?.after).toBe((await records.target(targetOf(1)).get()).current?.fingerprint)
  expect(lastSteps).toMatchObject([{ step: 'inspect', status: 'failed' }])
})

test('no message that waited there is sent, and what was told of many targets at once is told anew', async () => {
  const { alerts, last } = await records.run().get()
  expect(last?.ok).toBe(false)
  expect(alerts).toEqual({ open: {}, ended: {}, outbox: [] })
  for (const n of NUMBERS)
    expect((await records.target(targetOf(n)).get()).alerts).toMatchObject({ open: {}, outbox: [] })
})

test.each(['iot-2', 'iot-4'])('%s: the sealed key opens, and is that of the pending chain', async name => {
  const pending = await pendingOf(name)
  const key = await records.privateKey(name, pending.id)
  const leaf = new X509Certificate(pending.chainPem ?? '')
  expect(leaf.checkPrivateKey(createPrivateKey(key?.reveal() ?? ''))).toBe(true)
  expect(leaf.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(pending.fingerprint)
})

test('iot-5: the journal of an order goes on with the key it was begun with', async () => {
  const pending = await pendingOf('iot-5')
  const journal = await records.journal('iot-5', pending.id)
  expect(journal.notes).toMatchObject({ order: { url: expect.stringMatching(/\/orders\/[0-9a-f-]{36}$/) } })
  const key = await journal.privateKey(() => expect.unreachable('another key was made'))
  expect(createPrivateKey(key.reveal()).asymmetricKeyType).toBe('rsa')
  await journal.write({ ...journal.notes, more: true })
  expect((await pendingOf('iot-5')).notes).toMatchObject({ more: true })
})

test('the account at the CA, its sealed key and its budget', async () => {
  const memory = records.source('sandbox')
  const key = await memory.secret('account-key', () => expect.unreachable('another key was made'))
  expect(createPrivateKey(key.reveal()).asymmetricKeyType).toBe('ec')
  const { account, budget } = await memory.read()
  expect(account).toMatchObject({ url: expect.stringContaining('/accounts/'), key: expect.any(String) })
  expect(Object.values(budget as object)).toMatchObject([{ orders: expect.any(Array), failed: [] }])
})

test('events that were taken are not taken again', async () => {
  expect(await records.isFirstDelivery('event-1', THEN)).toBe(false)
  expect(await records.isFirstDelivery('event-3', THEN)).toBe(true)
})

test('a lease of 0.1.0 is respected while it lasts, and taken over then', async () => {
  const take = (now: number) =>
    takeLease(store, instanceKey(targetOf(5)), newRun(fakeClock(now), 'run-of-today'))
  const { runId, until } = JSON.parse((await store.read(`leases/${instanceKey(targetOf(5))}`))?.body ?? '')
  await expect(take(until - 60_000)).rejects.toMatchObject({
    code: 'busy',
    message: expect.stringContaining(`run ${runId} holds the lease for another 1m`),
  })
  await (await take(until)).guard()
})
