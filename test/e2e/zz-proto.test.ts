import { expect, test } from 'vitest'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { createRig } from '../support/rig.ts'
test('x', async () => {
  const rig = await createRig()
  await fillSlots(rig.sandbox, 60)
  for (const d of [1000, 1000]) {
  rig.sandbox.faults.add({ operations: ['iotda.*'], times: 1e9, delayMs: d })
  rig.sandbox.faults.clearCalls()
  const t=Date.now()
  const r = await rig.result()
  console.log(r.outcome, rig.sandbox.faults.calls.map(c => c.operation + ' ' + (c.at-t)).join('\n'), Date.now()-t)
  }
  expect(1).toBe(1)
  await rig.dispose()
}, 120000)
