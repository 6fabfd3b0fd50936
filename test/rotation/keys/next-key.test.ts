/** The next key is announced: a process that dies at any write leaves the same key to the next one. */
import { expect, test } from 'vitest'
import type { Secret } from '../../../lib/base/secret.ts'
import { secret } from '../../../lib/base/secret.ts'
import { announceKey, sharedKey } from '../../../lib/rotation/keys/next-key.ts'
import { openRecords } from '../../../lib/state/state.ts'
import { generateKey, spkiHash } from '../../../lib/x509/key.ts'
import { createRun, createTestClock, createTestLog } from '../../solvers/rig.ts'
import { specOf } from '../../support/model.ts'
import { newState } from '../state.ts'

const spec = specOf({ keyType: 'ec-256', reuseKey: { nextMs: 30 * 86_400_000 } })

/** An announcement that dies at its n-th change of the state, before or after it; null: it lives. */
const announcing = async (death: { readonly n: number; readonly isAfter: boolean } | null) => {
  const state = await newState()
  const { log } = createTestLog()
  const run = createRun(createTestClock(), log)
  const sealKey = async (): Promise<Secret> => secret(Buffer.alloc(32, 7).toString('base64'))
  // Not the first document of the store, which is written with one that says so.
  await openRecords(state.store, sealKey)
    .run()
    .update(d => ({ ...d, okAt: 1 }))
  let writes = 0
  const dying = {
    ...state.store,
    write: async (...given: Parameters<typeof state.store.write>) => {
      if (death && writes >= death.n) throw new Error('dead')
      writes += 1
      const isLast = death !== null && writes === death.n
      if (isLast && !death.isAfter) throw new Error('dead')
      const revision = await state.store.write(...given)
      if (isLast) throw new Error('dead')
      return revision
    },
  }
  const first = announceKey({ records: openRecords(dying, sealKey), spec, run })
  const before = await first.catch((error: Error) => expect(error.message).toBe('dead'))
  const records = openRecords(state.store, sealKey)
  const told = (await records.certificate(spec.name).get()).nextKey?.spki ?? null
  const kept = (await records.privateKey(spec.name, 'next-ec-256-a')) ?? null
  const after = await announceKey({ records: openRecords(state.store, sealKey), spec, run })
  const key = await openRecords(state.store, sealKey).privateKey(spec.name, after?.id ?? '')
  return { writes, before, told, kept, after, key, files: Object.keys(await state.files()) }
}

const sealedIn = (files: readonly string[]): readonly string[] => files.filter(it => it.includes('next-'))

test('a key that a person called compromised is never used, whoever puts it back', async () => {
  const state = await newState()
  const { log } = createTestLog()
  const clock = createTestClock()
  const run = createRun(clock, log)
  const sealKey = async (): Promise<Secret> => secret(Buffer.alloc(32, 7).toString('base64'))
  const records = openRecords(state.store, sealKey)
  const context = { records, spec, run }
  const bad = await generateKey('ec-256')
  const ban = spkiHash(secret(bad))
  for (const place of ['a', 'b', 'c'])
    await records.ensureKey(spec.name, `next-ec-256-${place}`, async () => bad)
  const kept = { keptKeys: ['next-ec-256-a'], bannedKeys: [ban] }
  await records.certificate(spec.name).update(d => ({ ...d, ...kept }))
  // The present one is banned, and what stands at the other places as well: another key is made and used.
  const { keyId = '' } = await sharedKey(context)
  const used = await records.privateKey(spec.name, keyId)
  expect(keyId).not.toBe('next-ec-256-a')
  expect(used && spkiHash(used)).not.toBe(ban)
  const { nextKey } = await records.certificate(spec.name).get()
  expect(nextKey).toMatchObject({ id: keyId, spki: used && spkiHash(used) })
  // One that was announced and is compromised now is announced no more.
  const spki = nextKey?.spki ?? ''
  await records.certificate(spec.name).update(d => ({ ...d, bannedKeys: [...d.bannedKeys, spki] }))
  const again = await sharedKey(context)
  const other = await records.privateKey(spec.name, again.keyId ?? '')
  expect([ban, spki]).not.toContain(other && spkiHash(other))
})

test('it is written down after the key, and stays the same', async () => {
  const { writes, before, after, key, files } = await announcing(null)
  expect(writes).toBe(2)
  expect(after).toEqual(before)
  expect(key && spkiHash(key)).toBe(after?.spki)
  expect(sealedIn(files)).toHaveLength(1)
})

test.each([
  [1, false],
  [1, true],
  [2, false],
  [2, true],
])(
  'killed at write %i, after it: %s: no other key is announced, and none is left over',
  async (n, isAfter) => {
    const { told, kept, after, key, files } = await announcing({ n, isAfter })
    expect(kept !== null).toBe(n > 1 || isAfter)
    expect(told !== null).toBe(n > 1 && isAfter)
    expect(key && spkiHash(key)).toBe(after?.spki)
    if (kept) expect(spkiHash(kept)).toBe(after?.spki)
    if (told) expect(told).toBe(after?.spki)
    expect(sealedIn(files)).toHaveLength(1)
  },
)
