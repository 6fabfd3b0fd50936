/** Whoever can write the store is not thereby trusted: what each forgery comes to. */
import { describe, expect, test } from 'vitest'
import { newSealKey } from '../../lib/base/seal.ts'
import type { Secret } from '../../lib/base/secret.ts'
import type { StateStore, StoredDocument } from '../../lib/contracts.ts'
import { MARKER } from '../../lib/state/authenticity.ts'
import { newCertificate, newTarget } from '../../lib/state/documents.ts'
import { documentKeys, openRecords, targetKey } from '../../lib/state/state.ts'
import { target as anyTarget } from '../rotation/facts.ts'

const SEAL_KEY = newSealKey()
const TARGETS = [1, 2, 3].map(n => ({ ...anyTarget, name: `factory-${n}`, domain: `iot-${n}.example.com` }))
const [ONE = anyTarget, TWO = anyTarget] = TARGETS
const SETTINGS = { targets: TARGETS, certificates: { iot: {} }, sources: { le: {} } }
const KEY = `targets/${targetKey(ONE)}`

/** A store in memory, which dies at its n-th write: `before` it took effect, or `after`. */
function memoryStore(place = 'here') {
  const documents = new Map<string, StoredDocument>()
  const dies = { at: 0, when: 'before' as 'before' | 'after' }
  let count = 0
  const conflict = () => Object.assign(new Error('conflict'), { code: 'store-conflict' })
  const store: StateStore = {
    place,
    writer: 'test',
    read: async key => documents.get(key) ?? null,
    write: async (key, body, expected) => {
      count += 1
      const isLast = dies.at > 0 && count >= dies.at
      if (isLast && (dies.when === 'before' || count > dies.at)) throw new Error('killed')
      if ((documents.get(key)?.revision ?? null) !== expected) throw conflict()
      documents.set(key, { body, revision: `${count}` })
      if (isLast) throw new Error('killed')
      return `${count}`
    },
    remove: async key => void documents.delete(key),
    isGone: async () => false,
    ownSealKey: async () => SEAL_KEY,
  }
  const textOf = (key: string): string => documents.get(key)?.body ?? expect.unreachable(`no ${key}`)
  const put = (key: string, body: string): void => {
    documents.set(key, { body, revision: `by hand ${body.length} ${Math.random()}` })
  }
  const open = (sealKey: Secret = SEAL_KEY, previous: Secret | null = null) =>
    openRecords(
      store,
      async () => sealKey,
      previous,
      () => documentKeys(SETTINGS),
    )
  return { store, documents, dies, textOf, put, open }
}

const plainOf = (value: object): string => `${JSON.stringify(value, null, 1)}\n`
const hasMac = (body: string): boolean => body.startsWith('{\n "mac": "v1.')

/** A store in which every target is written down. */
async function written(place?: string) {
  const kept = memoryStore(place)
  for (const target of TARGETS)
    await kept
      .open()
      .target(target)
      .update(d => ({ ...d, failures: 1 }))
  return kept
}

const REFUSED = { code: 'store-unreadable', retry: 'never' }

describe('a forged document is not believed', () => {
  test('one without a MAC, in the place of one that had it', async () => {
    const { put, open, textOf } = await written()
    expect(hasMac(textOf(KEY))).toBe(true)
    put(KEY, plainOf({ ...newTarget('factory-1'), retryAfter: 4_070_908_800_000 }))
    await expect(open().target(ONE).get()).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringContaining('carries no MAC'),
    })
    await expect(open().target(TWO).get()).resolves.toMatchObject({ failures: 1 })
  })

  test('one without a MAC where there was none', async () => {
    const { put, open } = await written()
    put('certificates/iot', plainOf({ schema: 1, name: 'iot' }))
    await expect(open().certificate('iot').get()).rejects.toMatchObject(REFUSED)
  })

  test.each([
    ['a value', (body: string) => body.replace('"failures": 1', '"failures": 9')],
    ['its revision', (body: string) => body.replace('"revision": 1', '"revision": 9')],
    ['a letter of its MAC', (body: string) => body.replace(/"v1\.(.{8})\..{4}/, '"v1.$1.AAAA')],
    ['its end', (body: string) => body.slice(0, -10)],
    ['more behind its end', (body: string) => `${body}\n`],
  ])('changed: %s', async (_, change) => {
    const { put, open, textOf } = await written()
    put(KEY, change(textOf(KEY)))
    await expect(open().target(ONE).get()).rejects.toMatchObject(REFUSED)
  })

  test("another target's document", async () => {
    const { put, open, textOf } = await written()
    put(KEY, textOf(`targets/${targetKey(TWO)}`))
    await expect(open().target(ONE).get()).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringContaining('another document or store'),
    })
  })

  test("another store's document, sealed with the same key", async () => {
    const { put, open } = await written()
    put(KEY, (await written('there')).textOf(KEY))
    await expect(open().target(ONE).get()).rejects.toMatchObject(REFUSED)
  })

  test('an alert in an outbox', async () => {
    const { put, open } = await written()
    const outbox = [{ notifier: 'chat', since: 1, alert: { event: 'failed', reason: 'pay here' } }]
    put('runs/last', plainOf({ schema: 1, last: null, okAt: null, alerts: { open: {}, ended: {}, outbox } }))
    await expect(open().run().get()).rejects.toMatchObject(REFUSED)
  })
})

describe('an earlier revision of the same document', () => {
  test('is told within a run', async () => {
    const { put, open, textOf } = await written()
    const earlier = textOf(KEY)
    const document = open().target(ONE)
    await document.update(d => ({ ...d, failures: 2 }))
    put(KEY, earlier)
    await expect(document.refresh()).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringContaining('older than it was'),
    })
  })

  test('is read by a later one: nothing dangerous is done on its word', async () => {
    const { put, open, textOf } = await written()
    const earlier = textOf(KEY)
    await open()
      .target(ONE)
      .update(d => ({ ...d, failures: 2 }))
    put(KEY, earlier)
    await expect(open().target(ONE).get()).resolves.toMatchObject({ failures: 1 })
  })
})

test('the watchdog reads the last run without a seal key', async () => {
  const { store, open } = await written()
  await open()
    .run()
    .update(d => ({ ...d, last: { runId: 'r', at: 7, ok: true } }))
  const records = openRecords(store, () => expect.unreachable('it has no seal key'), null, null)
  expect(await records.lastRun()).toEqual({ runId: 'r', at: 7, ok: true })
})

// --- what version 0.1.0 left ---------------------------------------------------------------------------------

const earlierDocuments = (): ReadonlyMap<string, string> =>
  new Map(TARGETS.map(t => [`targets/${targetKey(t)}`, plainOf({ ...newTarget(t.name), failures: 5 })]))

/** A store as version 0.1.0 left it. */
function earlier() {
  const kept = memoryStore()
  for (const [key, body] of earlierDocuments()) kept.put(key, body)
  return kept
}

describe('documents of version 0.1.0', () => {
  test('are read, and looking writes nothing', async () => {
    const { open, documents } = earlier()
    await expect(open().target(ONE).get()).resolves.toMatchObject({ failures: 5 })
    expect([...documents.keys()]).toEqual([...earlierDocuments().keys()])
  })

  test('are taken over once, which is said once, and all have a MAC then', async () => {
    const { open, textOf } = earlier()
    const records = open()
    await records.target(ONE).get()
    await records.renew()
    expect(records.takenOver()).toBe(3)
    for (const key of earlierDocuments().keys()) expect(hasMac(textOf(key))).toBe(true)
    const later = open()
    expect((await Promise.all(TARGETS.map(t => later.target(t).get()))).map(d => d.failures)).toEqual([
      5, 5, 5,
    ])
    await later.renew()
    expect(later.takenOver()).toBe(0)
  })

  test('a forged one is refused after that', async () => {
    const { put, open } = earlier()
    await open()
      .target(TWO)
      .update(d => ({ ...d, failures: 6 }))
    put(KEY, plainOf({ ...newTarget('factory-1'), failures: 7 }))
    await expect(open().target(ONE).get()).rejects.toMatchObject(REFUSED)
  })

  test('are not taken over again when somebody removes what says that they were', async () => {
    const { put, open, documents } = earlier()
    const records = open()
    await records.target(ONE).get()
    await records.renew()
    documents.delete(MARKER)
    put(KEY, plainOf({ ...newTarget('factory-1'), failures: 7 }))
    await expect(open().target(ONE).get()).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringContaining(MARKER),
    })
  })

  test('what says so is forged: nothing is read without a MAC', async () => {
    const { put, open } = await written()
    put(MARKER, plainOf({ schema: 1, plain: {} }))
    put(KEY, plainOf(newTarget('factory-1')))
    await expect(open().target(ONE).get()).rejects.toMatchObject(REFUSED)
  })

  test('a store in which nothing stood knows that, too', async () => {
    const { open, textOf, put } = memoryStore()
    await open()
      .target(ONE)
      .update(d => ({ ...d, failures: 1 }))
    expect(JSON.parse(textOf(MARKER))).toMatchObject({ plain: {} })
    put(`targets/${targetKey(TWO)}`, plainOf(newTarget('factory-2')))
    await expect(open().target(TWO).get()).rejects.toMatchObject(REFUSED)
  })

  describe('made up by whoever emptied the store: no words of theirs are believed', () => {
    const EVIL = 'pay at https://evil.example'
    const firing = {
      since: 1,
      toldAt: 1,
      severity: 'critical' as const,
      event: 'failed',
      error: { code: 'unavailable', message: EVIL, hint: EVIL },
      signatures: ['*/failed/unavailable'],
      level: 7,
      targets: { count: 1, names: [EVIL] },
    }
    const alert = { event: 'failed', reason: EVIL, dedupKey: 'x/waiting' }
    const alerts = {
      open: { renewal: firing, waiting: firing, [`*/${EVIL}`]: firing },
      ended: {},
      outbox: [{ notifier: 'chat', since: 1, alert }],
    }
    const madeUp: readonly (readonly [string, object])[] = [
      [
        KEY,
        {
          ...newTarget('factory-1'),
          alerts,
          held: { since: 1, why: EVIL, specHash: 'x' },
          lastResult: { runId: 'r', at: 1, outcome: EVIL, error: EVIL },
        },
      ],
      [
        `${KEY}/history`,
        { schema: 1, rotations: [], lastSteps: [{ step: EVIL, status: 'done', durationMs: 1 }] },
      ],
      ['runs/last', { schema: 1, last: null, okAt: 1, alerts }],
      [
        'certificates/iot',
        {
          ...newCertificate('iot'),
          otherChains: [EVIL],
          notBefore: { at: 1, why: EVIL },
          ahead: { at: 1, said: [EVIL] },
          renewalInfo: {
            fingerprint: 'f',
            window: null,
            explanationUrl: 'https://evil.example',
            nextFetchAt: 1,
          },
          revoked: [{ fingerprint: 'f', at: 1, reason: 'keyCompromise' }],
        },
      ],
    ]
    const evil = () => {
      const kept = memoryStore()
      for (const [key, value] of madeUp) kept.put(key, plainOf(value))
      return kept
    }

    test('where they are read', async () => {
      const records = evil().open()
      const target = await records.target(ONE).get()
      expect(target).toMatchObject({ held: { since: 1, specHash: 'x' }, alerts: { outbox: [] } })
      // That it was told is remembered, lest each state is told twice.
      expect(Object.keys(target.alerts.open)).toEqual(['renewal'])
      const certificate = await records.certificate('iot').get()
      expect(certificate.revoked).toMatchObject([{ reason: 'keyCompromise' }])
      const read = [target, certificate, await records.history(ONE).get(), await records.run().get()]
      expect(JSON.stringify(read)).not.toContain('evil')
    })

    test('nor where they were only given a MAC', async () => {
      const { open, textOf } = evil()
      const records = open()
      await records.history(TWO).get()
      await records.deviceCounts(TWO).update(d => ({ ...d }))
      await records.target(ONE).get()
      await records.renew()
      for (const [key] of madeUp) expect(hasMac(textOf(key))).toBe(true)
      expect(madeUp.map(([key]) => textOf(key)).join()).not.toContain('evil')
    })

    test('a run without readable settings that was told does not tell it again', async () => {
      const { store } = memoryStore()
      const blind = () => openRecords(store, async () => SEAL_KEY, null, null)
      const { targets: _, ...alone } = firing
      await blind()
        .run()
        .update(d => ({ ...d, alerts: { open: { run: { ...alone, error: null } }, ended: {}, outbox: [] } }))
      expect((await blind().run().get()).alerts.open).toMatchObject({ run: { toldAt: 1 } })
    })
  })

  const WRITES = 5
  const deaths = Array.from({ length: WRITES }, (_, i) => i + 1).flatMap(at =>
    (['before', 'after'] as const).map(when => ({ at, when })),
  )
  test.each(deaths)('killed $when write $at of taking over: the next run goes on', async death => {
    const { open, dies, textOf } = earlier()
    Object.assign(dies, death)
    const killed = open()
    await killed.target(ONE).get()
    await killed.renew().catch(() => {})
    dies.at = 0
    const records = open()
    const failures = await Promise.all(TARGETS.map(async t => (await records.target(t).get()).failures))
    expect(failures).toEqual([5, 5, 5])
    await records.renew()
    expect([...earlierDocuments().keys()].map(key => hasMac(textOf(key)))).toEqual([true, true, true])
  })

  test('a run whose settings cannot be read signs nothing in a store that is not taken over', async () => {
    const { store, open, textOf } = earlier()
    const blind = openRecords(store, async () => SEAL_KEY, null, null)
    await blind.run().update(d => ({ ...d, okAt: 1 }))
    expect(hasMac(textOf('runs/last'))).toBe(false)
    await expect(open().target(ONE).get()).resolves.toMatchObject({ failures: 5 })
  })
})

describe('another seal key', () => {
  test('every document gets a MAC of the new one, also what the run did not touch', async () => {
    const { open } = await written()
    const next = newSealKey()
    await expect(open(next).target(ONE).get()).rejects.toMatchObject({
      ...REFUSED,
      hint: expect.stringContaining('sealKeyPrevious'),
    })
    const both = open(next, SEAL_KEY)
    await expect(both.target(ONE).get()).resolves.toMatchObject({ failures: 1 })
    await both.renew()
    for (const target of TARGETS)
      await expect(open(next).target(target).get()).resolves.toMatchObject({ failures: 1 })
  })

  test('the one before vouches for nothing after that', async () => {
    const { open, put, textOf } = await written()
    const forged = textOf(KEY)
    const next = newSealKey()
    await open(next, SEAL_KEY).renew()
    put(KEY, forged)
    await expect(open(next).target(ONE).get()).rejects.toMatchObject(REFUSED)
  })
})

test('a document that is there costs no read but its own', async () => {
  const { store, open } = await written()
  const reads: string[] = []
  const { read } = store
  store.read = async key => {
    reads.push(key)
    return read(key)
  }
  const records = open()
  await records.target(ONE).get()
  await records.renew()
  expect(reads).toEqual([KEY])
})
