import { expect, test } from 'vitest'
import { oldestOf } from '../../../lib/app/fleet/shards.ts'
import { huaweiWatchPolicy } from '../../../lib/permissions/huawei.ts'
import { watchOnHuawei } from '../../deploy/sample.ts'

test('of the last runs of all shards the oldest counts; one that never ran is older than all', () => {
  const [a, b] = [
    { at: 2, ok: true },
    { at: 1, ok: false },
  ]
  expect(oldestOf([a])).toBe(a)
  expect(oldestOf([a, b])).toBe(b)
  expect(oldestOf([b, a])).toBe(b)
  expect(oldestOf([a, null])).toBeNull()
  expect(oldestOf([null, a])).toBeNull()
})

test('the watchdog of shards may read the last run of each, and nothing else of them', async () => {
  const settings = watchOnHuawei()
  settings.rotator.shards = 2
  const huawei = JSON.stringify(await huaweiWatchPolicy(settings, null))
  expect(huawei.match(/iotda-cert_\w+-?\w*/g)).toEqual([
    'iotda-cert_shard-1_runs_last',
    'iotda-cert_shard-2_runs_last',
  ])
})
