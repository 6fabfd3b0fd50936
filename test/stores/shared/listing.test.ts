import { mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MINUTE_MS } from '../../../lib/base/time.ts'
import { createListing } from '../../../lib/stores/shared/listing.ts'

/** Where every change lies far enough in the past to be kept. */
const LATER = { now: () => Date.now() + MINUTE_MS }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listing-'))
  await writeFile(join(folder, 'a.1.json'), '')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('a folder in which nothing changed is listed once', async () => {
  const list = createListing(LATER)
  const first = await list(folder)
  expect(first).toEqual(['a.1.json'])
  expect(await list(folder)).toBe(first)
})

test('what was made, removed or renamed since shows', async () => {
  const list = createListing(LATER)
  await list(folder)
  await writeFile(join(folder, 'b.1.json'), '')
  expect([...(await list(folder))].sort()).toEqual(['a.1.json', 'b.1.json'])
  await rm(join(folder, 'a.1.json'))
  expect(await list(folder)).toEqual(['b.1.json'])
  await rename(join(folder, 'b.1.json'), join(folder, 'c.1.json'))
  expect(await list(folder)).toEqual(['c.1.json'])
})

test('a time of change that was set back hides nothing', async () => {
  const list = createListing(LATER)
  const past = new Date('2020-01-01')
  await utimes(folder, past, past)
  await list(folder)
  await writeFile(join(folder, 'b.1.json'), '')
  await utimes(folder, past, past)
  expect(await list(folder)).toHaveLength(2)
})

test('what changed within the grain of the time is listed each time', async () => {
  const list = createListing()
  const first = await list(folder)
  expect(await list(folder)).not.toBe(first)
})

test('two folders are told apart, and one that is gone is said to be', async () => {
  const list = createListing(LATER)
  await list(folder)
  await expect(list(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
  await rm(folder, { recursive: true })
  await expect(list(folder)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('while others write, every listing shows what was there before it began', async () => {
  const list = createListing(LATER)
  const missing: string[] = []
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let n = 0; n < 100; n += 1) {
      const name = `${writer}-${n}.1.json`
      await writeFile(join(folder, name), '')
      if (!(await list(folder)).includes(name)) missing.push(name)
    }
  })
  await Promise.all(writers)
  expect(missing).toEqual([])
})
