import { describe, expect, test } from 'vitest'
import { RotationError } from '../../../lib/base/rotation-error.ts'
import type { StateStore } from '../../../lib/contracts.ts'
import { partStore, takingAlong } from '../../../lib/stores/shared/part-store.ts'

/** Documents in this process. At its `dies`-th operation the process dies: that one and all later ones never end. */
function memory(documents = new Map<string, { body: string; revision: string }>()) {
  const death = { at: Number.POSITIVE_INFINITY, when: 'before' as 'before' | 'after', died: () => {} }
  let count = 0
  const mortal = async <T>(work: () => Promise<T>): Promise<T> => {
    count += 1
    if (count < death.at) return work()
    if (count === death.at && death.when === 'after') await work()
    death.died()
    return new Promise<never>(() => {})
  }
  const store: StateStore = {
    place: 'memory',
    writer: 'memory',
    read: key => mortal(async () => documents.get(key) ?? null),
    write: (key, body, expected) =>
      mortal(async () => {
        if ((documents.get(key)?.revision ?? null) !== expected)
          throw new RotationError('store-conflict', 'another writer')
        const revision = `${Number(expected ?? 0) + 1}`
        documents.set(key, { body, revision })
        return revision
      }),
    remove: key => mortal(async () => void documents.delete(key)),
    isGone: async () => false,
    ownSealKey: async () => null,
    publish: async () => 'a page',
  }
  return { store, documents, death, calls: () => count }
}

test('a part knows its own documents by the names that they have anywhere, and no page', async () => {
  const { store, documents } = memory()
  const [one, two] = [partStore(store, 'shard-1'), partStore(store, 'shard-2')]
  await one.write('targets/t', 'of one', null)
  expect(await two.read('targets/t')).toBeNull()
  await two.write('targets/t', 'of two', null)
  await one.remove('targets/t')
  expect((await two.read('targets/t'))?.body).toBe('of two')
  expect([...documents.keys()]).toEqual(['shard-2/targets/t'])
  expect(one).not.toHaveProperty('publish')
  expect([one.place, one.writer]).toEqual([store.place, store.writer])
})

describe('a part that takes documents along', () => {
  const KEYS = ['targets/t', 'targets/t/history', 'certificates/c', 'certificates/c/key']
  const open = (store: StateStore) => {
    const before = partStore(store, 'shard-1')
    const isMoved = (key: string) => /^(targets\/t|certificates\/c)(\/|$)/.test(key)
    return takingAlong(partStore(store, 'shard-2'), {
      placeOf: key => (isMoved(key) ? before : undefined),
      places: [before],
      common: 'state',
    })
  }
  const full = () => {
    const documents = new Map(
      [...KEYS, 'state', 'targets/other', 'runs/last'].map(key => [
        `shard-1/${key}`,
        { body: key, revision: '7' },
      ]),
    )
    return memory(documents)
  }

  test('moves what is its own when it is read, leaves the rest, and copies what vouches for all', async () => {
    const { store, documents } = full()
    const part = open(store)
    expect((await part.read('targets/t'))?.body).toBe('targets/t')
    expect([...documents.keys()].filter(it => it.includes('targets/t')).toSorted()).toEqual([
      'shard-2/targets/t',
      'shard-2/targets/t/history',
    ])
    expect((await part.read('certificates/c/key'))?.body).toBe('certificates/c/key')
    expect((await part.read('state'))?.body).toBe('state')
    expect(documents.get('shard-1/state')?.body).toBe('state')
    expect(documents.get('shard-2/state')?.body).toBe('state')
    for (const key of ['targets/other', 'runs/last']) {
      expect(await part.read(key)).toBeNull()
      expect(documents.has(`shard-1/${key}`)).toBe(true)
    }
  })

  test('what it has written itself counts, and what is removed stays removed', async () => {
    const { store } = full()
    const part = open(store)
    const found = await part.read('targets/t')
    await part.write('targets/t', 'changed', found?.revision ?? null)
    expect((await open(store).read('targets/t'))?.body).toBe('changed')
    await part.remove('certificates/c/key')
    expect(await open(store).read('certificates/c/key')).toBeNull()
  })

  test.each(['before', 'after'] as const)(
    'dies at each operation, %s its effect: nothing is lost',
    async when => {
      const whole = full()
      for (const key of [...KEYS, 'state']) await open(whole.store).read(key)
      const operations = whole.calls()
      expect(operations).toBeGreaterThan(15)
      for (let at = 1; at <= operations; at += 1) {
        const { store, documents, death } = full()
        const died = new Promise<void>(resolve => Object.assign(death, { at, when, died: resolve }))
        const reading = (async () => {
          for (const key of [...KEYS, 'state']) await open(store).read(key)
        })()
        await Promise.race([died, reading])
        const again = open(memory(documents).store)
        for (const key of [...KEYS, 'state'])
          expect((await again.read(key))?.body, `${key}, died ${when} operation ${at}`).toBe(key)
        expect(documents.get('shard-1/targets/other')?.body).toBe('targets/other')
      }
    },
  )
})
