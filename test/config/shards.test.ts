import { expect, test } from 'vitest'
import { parseShard, shardOf, shardText } from '../../lib/config/sections/shards.ts'

const NAMES = Array.from({ length: 1_000 }, (_, i) => `plant-${i}`)
const countsOf = (count: number) => {
  const shards = NAMES.map(name => shardOf(name, count))
  return Array.from({ length: count }, (_, i) => shards.filter(it => it === i + 1).length)
}

test('each has about as many', () => {
  expect(countsOf(1)).toEqual([1_000])
  for (const count of [2, 3, 7, 10]) {
    expect(countsOf(count).reduce((sum, it) => sum + it)).toBe(1_000)
    for (const own of countsOf(count)) expect(Math.abs(own * count - 1_000)).toBeLessThan(400)
  }
})

test('the same for ever: state stands under it', () => {
  expect(NAMES.slice(0, 8).map(name => shardOf(name, 3))).toEqual([1, 3, 3, 1, 1, 1, 3, 3])
})

test('one more takes its share of each and moves nothing else; one less gives only what it had', () => {
  for (const count of [1, 2, 3, 9]) {
    const moved = NAMES.filter(name => shardOf(name, count) !== shardOf(name, count + 1))
    expect(new Set(moved.map(name => shardOf(name, count + 1)))).toEqual(new Set([count + 1]))
    expect(moved.length).toBeLessThan((1.4 * NAMES.length) / (count + 1))
  }
})

test.each([
  ['1/1', { number: 1, count: 1 }],
  ['2/3', { number: 2, count: 3 }],
  ['50/50', { number: 50, count: 50 }],
])('%s', (text, shard) => {
  expect(parseShard(text)).toEqual(shard)
  expect(shardText(shard)).toBe(text)
})

test.each(['', '0/3', '4/3', '1/0', '2', '/3', '1/3/5', ' 1/3', '1/3 ', '1.5/3', '-1/3', '01/3'])(
  '%j is none',
  text => {
    expect(parseShard(text)).toBeNull()
  },
)
