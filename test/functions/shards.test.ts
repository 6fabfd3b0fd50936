/** Functions of FunctionGraph that are shards, with their state in CSMS. */
import { beforeEach, expect, test } from 'vitest'
import { handler } from '../../functions/functiongraph.ts'
import { warm } from '../../functions/invocation.ts'
import type { Answer } from '../../lib/report/answer.ts'
import { createCsms } from '../../sandbox/stores/csms.ts'
import { HUAWEI_KEY, HUAWEI_SECRET, huaweiKeys, PROJECT } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { graphContext, openFunctionRig } from '../support/function-rig.ts'

const TIMER = { version: 'v1.0', trigger_type: 'TIMER', trigger_name: 'iotda-cert', user_event: '' }

beforeEach(() => warm.forget())

async function open() {
  const rig = await openFunctionRig()
  const csms = await createCsms({ faults: rig.sandbox.faults, keys: huaweiKeys, projectId: PROJECT })
  cleanups.push(csms.dispose)
  const config = rig.config(settings => {
    const { sealKey } = settings.store
    settings.store = {
      ...{ type: 'csms', credentials: 'state', region: 'cn-north-4', projectId: PROJECT },
      ...{ endpoint: csms.url, sealKey },
    }
    settings.credentials.state = { type: 'huaweicloud', accessKey: HUAWEI_KEY, secretKey: HUAWEI_SECRET }
    settings.schedule = { shards: 3 }
  })
  const tick = (shard?: string) => {
    const userData = { IOTDA_CERT_CONFIG: config, ...(shard ? { IOTDA_CERT_SHARD: shard } : {}) }
    return handler(TIMER, graphContext('one', { userData })) as Promise<Answer>
  }
  return { rig, csms, tick }
}

test('one of them has the target, and keeps its state under its own name in CSMS', async () => {
  const { rig, csms, tick } = await open()
  const answers: Answer[] = []
  for (const shard of ['1/3', '2/3', '3/3']) {
    warm.forget()
    answers.push(await tick(shard))
  }
  const has = answers.findIndex(it => it.results.length === 1)
  expect(answers.map(it => it.results.map(result => result.outcome))).toEqual(
    [0, 1, 2].map(i => (i === has ? ['rotated'] : [])),
  )
  expect(answers.every(it => it.ok)).toBe(true)
  expect(rig.changes().filter(it => it === 'UpdateDomainConfiguration')).toHaveLength(1)
  const names = [...csms.secrets.keys()]
  const targets = names.filter(it => it.includes('_targets_'))
  expect(targets.every(it => it.startsWith(`iotda-cert_shard-${has + 1}_targets_`))).toBe(true)
  expect(targets.length).toBeGreaterThan(0)
  expect(names.every(it => it.length <= 64)).toBe(true)
  // The watchdog finds the last run of each.
  for (const number of [1, 2, 3]) expect(names).toContain(`iotda-cert_shard-${number}_runs_last`)
  warm.forget()
  expect((await tick(`${has + 1}/3`)).results.map(it => it.outcome)).toEqual(['idle'])
})

test('one that is not told which it is stops, and says what to do', async () => {
  const { rig, tick } = await open()
  await expect(tick()).rejects.toMatchObject({
    code: 'settings-invalid',
    message: expect.stringContaining('IOTDA_CERT_SHARD does not say which one this function is'),
  })
  expect(rig.changes()).toEqual([])
})
