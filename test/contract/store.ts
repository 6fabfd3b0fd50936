import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { StateStore } from '../../lib/contracts.ts'
import { processes } from './store-processes.ts'

export interface StoreHarness {
  /** A store on the same documents each time, as another process would open it. */
  open(): Promise<StateStore>
  /** The driver's settings (JSON values) for a child process; asked for only when `driver` is given. */
  readonly settings?: object
  /** What the child answers with when the driver asks for keys of Huawei Cloud. */
  readonly huaweiKeys?: object
  dispose(): Promise<unknown>
}

/** Where a service cannot do what the others can. */
export interface StoreLimits {
  /** The largest document it takes, with what the driver adds to it. */
  readonly bytesAtMost?: number
  /** Why two writers at the same moment are not told apart: then the races are left out. */
  readonly singleWriter?: string
}

const conflict = { name: 'RotationError', code: 'store-conflict' }
const BAD_KEYS = ['', ...'/|a/|/a|a//b|.|../a|a/../b|A|a.b|a_b|a b|ä|a\0b|a\\b|a\n'.split('|')]

/**
 * What every store must do. `make` gives a fresh, empty store for each test. `driver` is the driver's file from
 * the root of the repository (`lib/stores/file.ts`) when other processes can reach the store with `settings`.
 */
export function storeContract(
  name: string,
  make: () => Promise<StoreHarness>,
  driver?: string,
  limits: StoreLimits = {},
): void {
  const title = limits.singleWriter === undefined ? '' : `, for a single writer (${limits.singleWriter})`
  describe(`${name} store contract${title}`, () => {
    let harness: StoreHarness
    let store: StateStore
    beforeEach(async () => {
      harness = await make()
      store = await harness.open()
    })
    afterEach(() => harness.dispose())

    const current = () => ({ harness, store })
    documents(current)
    keys(current)
    texts(current)
    sizes(current, limits)
    writers(current)
    if (limits.singleWriter === undefined) races(current)
    readers(current)
    if (driver !== undefined) processes(current, driver, limits)
  })
}

export type Current = () => { readonly harness: StoreHarness; readonly store: StateStore }

function documents(current: Current): void {
  test('a document that was never written is absent, and removing it succeeds', async () => {
    const { store } = current()
    expect(await store.read('certificates/iot')).toBeNull()
    await store.remove('certificates/iot')
    expect(await store.read('certificates/iot')).toBeNull()
  })

  test('what is created is read back, by others, too', async () => {
    const { store, harness } = current()
    const revision = await store.write('certificates/iot', '{"a":1}', null)
    expect(await store.read('certificates/iot')).toEqual({ body: '{"a":1}', revision })
    expect(await (await harness.open()).read('certificates/iot')).toEqual({ body: '{"a":1}', revision })
  })

  test('creating what is there is a conflict, and changes nothing', async () => {
    const { store, harness } = current()
    const revision = await store.write('a', 'one', null)
    await expect(store.write('a', 'two', null)).rejects.toMatchObject(conflict)
    await expect((await harness.open()).write('a', 'two', null)).rejects.toMatchObject(conflict)
    expect(await store.read('a')).toEqual({ body: 'one', revision })
  })

  test('a write succeeds on the revision there is, and only on that', async () => {
    const { store } = current()
    const first = await store.write('a', 'one', null)
    const second = await store.write('a', 'two', first)
    await expect(store.write('a', 'three', first)).rejects.toMatchObject(conflict)
    await expect(store.write('a', 'three', 'nonsense')).rejects.toMatchObject(conflict)
    expect(await store.read('a')).toEqual({ body: 'two', revision: second })
  })

  test('a write that expects a revision of an absent document is a conflict', async () => {
    const { store } = current()
    const revision = await store.write('a', 'one', null)
    await expect(store.write('b', 'one', revision)).rejects.toMatchObject(conflict)
    expect(await store.read('b')).toBeNull()
    await store.remove('a')
    await expect(store.write('a', 'two', revision)).rejects.toMatchObject(conflict)
    expect(await store.read('a')).toBeNull()
  })

  test('the revision changes with every write, also of the same text', async () => {
    const { store } = current()
    const revisions = [await store.write('a', 'same', null)]
    for (let index = 0; index < 12; index += 1)
      revisions.push(await store.write('a', 'same', revisions[index] ?? null))
    expect(new Set(revisions).size).toBe(13)
  })

  test('a removed document is absent, can be made again, and its old revision is worth nothing', async () => {
    const { store } = current()
    const old = await store.write('a', 'one', null)
    await store.write('b', 'other', null)
    await store.remove('a')
    expect(await store.read('a')).toBeNull()
    const revision = await store.write('a', 'new', null)
    await expect(store.write('a', 'late', old)).rejects.toMatchObject(conflict)
    expect(await store.read('a')).toEqual({ body: 'new', revision })
    expect((await store.read('b'))?.body).toBe('other')
  })
}

function keys(current: Current): void {
  test('keys that begin or end alike are different documents', async () => {
    const { store } = current()
    const all = ['a', 'a/b', 'a/b/c', 'a-b', 'ab', 'b/a', 'a/1', '1', 'a1', '1/2', '-']
    for (const key of all) await store.write(key, `body of ${key}`, null)
    await store.remove('a')
    const bodies = await Promise.all(all.map(async key => (await store.read(key))?.body ?? null))
    expect(bodies).toEqual([null, ...all.slice(1).map(key => `body of ${key}`)])
  })

  test.each(BAD_KEYS)('%j is no key', async key => {
    const { store } = current()
    const refused = { name: 'RotationError', code: 'internal' }
    await expect(store.read(key)).rejects.toMatchObject(refused)
    await expect(store.write(key, 'x', null)).rejects.toMatchObject(refused)
    await expect(store.remove(key)).rejects.toMatchObject(refused)
  })
}

function texts(current: Current): void {
  test.each(['ä€😀\u0000\u2028', ' \r\n\t ', '\uFEFF{"bom":true}', '"\\ud800"', '{}\n', '-'])(
    'the text %j',
    async body => {
      const { store } = current()
      await store.write('text', body, null)
      expect((await store.read('text'))?.body).toBe(body)
    },
  )

  test('any text', async () => {
    const { store } = current()
    let revision: string | null = null
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }), async body => {
        revision = await store.write('text', body, revision)
        expect(await store.read('text')).toEqual({ body, revision })
      }),
      { numRuns: 25 },
    )
  })
}

function sizes(current: Current, { bytesAtMost }: StoreLimits): void {
  const bytes = Math.min(200_000, (bytesAtMost ?? Number.POSITIVE_INFINITY) - 1_000)
  const bodyOf = (size: number) => JSON.stringify({ text: 'é'.repeat(size / 2) })

  test(`a document of ${bytes} bytes`, async () => {
    const { store } = current()
    const revision = await store.write('big', bodyOf(bytes), null)
    expect(await store.read('big')).toEqual({ body: bodyOf(bytes), revision })
  })

  if (bytesAtMost === undefined) return
  test('a larger document than the service takes is refused, and what is there stays', async () => {
    const { store } = current()
    const revision = await store.write('big', '{}', null)
    await expect(store.write('big', bodyOf(bytesAtMost), revision)).rejects.toMatchObject({
      code: 'service-refused',
      retry: 'never',
      message: expect.stringMatching(new RegExp(`big would have \\d+ bytes.*${bytesAtMost} at most`)),
    })
    expect(await store.read('big')).toEqual({ body: '{}', revision })
  })
}

function writers(current: Current): void {
  test('every opening has a name of its own, and none of them is gone', async () => {
    const { store, harness } = current()
    const other = await harness.open()
    expect(store.writer).not.toBe(other.writer)
    expect(await store.isGone(store.writer)).toBe(false)
    expect(await store.isGone(other.writer)).toBe(false)
  })

  test.each(['', 'x', '/', 'elsewhere/1/2/3', 'a/b/c/d', '////'])(
    'a writer %j nothing is known of is not gone',
    async writer => {
      expect(await current().store.isGone(writer)).toBe(false)
    },
  )

  test('its own seal key, if it has one, is 32 bytes and the same for all', async () => {
    const { store, harness } = current()
    const keys = await Promise.all([
      store.ownSealKey(),
      (await harness.open()).ownSealKey(),
      store.ownSealKey(),
    ])
    const texts = new Set(keys.map(key => key?.reveal() ?? null))
    expect(texts.size).toBe(1)
    const [text] = texts
    expect(text === null || Buffer.from(text ?? '', 'base64').length === 32).toBe(true)
  })
}

function races(current: Current): void {
  test('of two writers exactly one wins, 200 times, and the document is the winner’s', async () => {
    const { store, harness } = current()
    const two = [store, await harness.open()]
    let revision: string | null = null
    for (let round = 0; round < 200; round += 1) {
      const results = await Promise.allSettled(
        two.map((writer, index) => writer.write('raced', JSON.stringify({ round, index }), revision)),
      )
      const [won, ...others] = results.flatMap((result, index) =>
        result.status === 'fulfilled' ? [{ index, revision: result.value }] : [],
      )
      const lost = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))
      expect(others).toEqual([])
      expect(lost).toEqual([expect.objectContaining(conflict)])
      expect(await store.read('raced')).toEqual({
        body: JSON.stringify({ round, index: won?.index }),
        revision: won?.revision,
      })
      revision = won?.revision ?? null
    }
  })

  test('of eight that create at once exactly one wins', async () => {
    const { harness } = current()
    const eight = await Promise.all(Array.from({ length: 8 }, () => harness.open()))
    const results = await Promise.allSettled(
      eight.map((writer, index) => writer.write('new/one', `${index}`, null)),
    )
    const winners = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []))
    expect(winners).toHaveLength(1)
    expect((await eight[0]?.read('new/one'))?.body).toBe(`${winners[0]}`)
  })

  test('of eight that go on without a rest no acknowledged write is lost', async () => {
    const { store, harness } = current()
    const acknowledged: number[] = []
    const one = async (writer: StateStore) => {
      for (let tries = 0; tries < 40; tries += 1) {
        const before = await writer.read('busy')
        const n = before === null ? 1 : Number(before.body) + 1
        const written = writer.write('busy', `${n}`, before?.revision ?? null)
        await written.then(() => acknowledged.push(n)).catch(thrown => expect(thrown).toMatchObject(conflict))
      }
    }
    await Promise.all((await Promise.all(Array.from({ length: 8 }, () => harness.open()))).map(one))
    expect(acknowledged.length).toBeGreaterThan(0)
    expect(new Set(acknowledged).size).toBe(acknowledged.length)
    expect(Number((await store.read('busy'))?.body)).toBeGreaterThanOrEqual(Math.max(...acknowledged))
  })
}

function readers(current: Current): void {
  test('a reader beside a writer sees whole documents, never an older one again, and never none', async () => {
    const { store, harness } = current()
    const reader = await harness.open()
    const bodyOf = (n: number) => JSON.stringify({ n, padding: 'x'.repeat(20_000) })
    let revision = await store.write('read', bodyOf(0), null)
    let writing = true
    const seen: number[] = []
    const reading = (async () => {
      while (writing) seen.push(JSON.parse((await reader.read('read'))?.body ?? '').n)
    })()
    for (let n = 1; n <= 40; n += 1) revision = await store.write('read', bodyOf(n), revision)
    writing = false
    await reading
    expect(seen.length).toBeGreaterThan(0)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
  })
}
