/** A process that dies after its targets have ended and before it tells: the next run tells what happened. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { openScenario } from '../support/scenario.ts'

const death = vi.hoisted(() => ({ isNear: false }))
vi.mock('../../lib/alerts/alert-run.ts', async original => {
  const actual = await original<typeof import('../../lib/alerts/alert-run.ts')>()
  const alertRun: typeof actual.alertRun = async (...asked) =>
    death.isNear ? { okAt: null, sent: 0, undelivered: 0 } : actual.alertRun(...asked)
  return { ...actual, alertRun }
})

test.each([
  ['dies', true],
  ['lives', false],
])('a run that adopts, and %s: told once', async (_, isNear) => {
  const receiver = await receiveAlerts()
  const s = await openScenario({
    change: settings => {
      settings.notifiers = [{ type: 'webhook', url: receiver.url, minSeverity: 'info' }]
    },
  })
  await s.bindOne(60)
  death.isNear = isNear
  const { warnings } = await s.run()
  expect(warnings).toMatchObject([{ code: 'adopted' }])
  expect(receiver.alerts).toHaveLength(isNear ? 0 : 1)
  death.isNear = false
  for (let i = 0; i < 2; i += 1) expect((await s.run()).outcome).toBe('idle')
  expect(receiver.alerts).toMatchObject([{ event: 'adopted', kind: 'moment', target: 'factory-1' }])
})

test('whatever is written down of runs, a run has its answer', async () => {
  const s = await openScenario()
  await s.bindOne(60)
  await s.run()
  const file = join(s.rig.folder, 'state', 'runs', 'last.1.json')
  const before = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(
    file,
    JSON.stringify({ ...before, okAt: 9e18, last: { ...before.last, at: s.clock.now() } }),
  )
  expect(await s.run()).toMatchObject({ outcome: 'idle', error: null })
  await writeFile(file, JSON.stringify({ ...before, last: { ...before.last, at: 9e18 } }))
  expect(await s.run({ action: 'status' })).toMatchObject({ error: null })
})
