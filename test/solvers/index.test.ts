import { readdir } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { solvers } from '../../lib/solvers/index.ts'

it('registers every driver of the folder', async () => {
  const files = await readdir(new URL('../../lib/solvers/', import.meta.url))
  const drivers = files
    .filter(file => file !== 'index.ts' && file !== 'shared')
    .map(file => file.replace('.ts', ''))
  expect(Object.keys(solvers).sort()).toEqual(drivers.sort())
})

it.each(Object.entries(solvers))('loads %s', async (_, load) => {
  const { default: driver } = await load()
  expect(driver.settings.async).toBe(false)
  expect(driver.create).toBeTypeOf('function')
})
