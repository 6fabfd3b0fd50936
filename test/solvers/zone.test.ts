import { expect, test } from 'vitest'
import { longestZone } from '../../lib/solvers/shared/zone.ts'

const lookUp = (run: object, asked: string[], zones: readonly string[]) => ({
  run: run as never,
  driver: 'solver dns (test)',
  operation: 'ListZones',
  hint: 'Add it.',
  find: async (name: string) => {
    asked.push(name)
    return zones.includes(name) ? name : null
  },
})

test('names of one zone ask for it once a run, and each for the longer zones that it may have', async () => {
  const asked: string[] = []
  const names = ['a', 'b', 'c'].map(name => `_acme-challenge.${name}.example.com.`)
  const given = lookUp({}, asked, ['example.com'])
  const found = await Promise.all(names.map(name => longestZone(name, given)))
  expect(found).toEqual(['example.com', 'example.com', 'example.com'])
  expect(asked.filter(name => name === 'example.com')).toHaveLength(1)
  expect(new Set(asked).size).toBe(asked.length)
})

test('another run asks anew, as does one whose look-up failed', async () => {
  const asked: string[] = []
  await longestZone('x.example.com.', lookUp({}, asked, ['example.com']))
  await longestZone('x.example.com.', lookUp({}, asked, ['x.example.com']))
  expect(asked).toEqual(['x.example.com', 'example.com', 'x.example.com'])
  const run = {}
  const failing = { ...lookUp(run, asked, []), find: () => Promise.reject(new Error('down')) }
  await expect(longestZone('y.example.com.', failing)).rejects.toThrow('down')
  expect(await longestZone('y.example.com.', lookUp(run, asked, ['y.example.com']))).toBe('y.example.com')
})
