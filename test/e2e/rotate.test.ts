import { expect, test } from 'vitest'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import { createRig } from '../support/rig.ts'

test('a rotation by the built command: planned, rotated, then idle', async () => {
  const rig = await createRig({ ca: { keyAlgorithm: 'rsa-2048' } })
  cleanups.push(rig.dispose)
  await rig.configure(put({ 'certificates.iot.keyType': undefined }))
  const { bound, spare } = await fillSlots(rig.sandbox, 5, 'rsa-2048')
  const before = rig.sandbox.faults.calls.length
  const plan = await cli(rig, ['plan', '--json'])
  expect(plan.code, plan.stderr).toBe(0)
  expect(JSON.parse(plan.stdout).results[0]).toMatchObject({ outcome: 'planned', decision: { due: true } })
  const changes = rig.sandbox.faults.calls.slice(before).filter(c => c.method !== 'GET')
  expect(changes).toEqual([])

  const rotated = await cli(rig, ['rotate', '--json'])
  expect(rotated.code, rotated.stderr).toBe(0)
  const [result] = JSON.parse(rotated.stdout).results
  expect(result).toMatchObject({ outcome: 'rotated', deleted: [{ serverCertificateId: spare }] })
  const ids = rig.sandbox.iotda.certificates().map(c => c.id)
  expect(ids).toHaveLength(2)
  expect(ids).toContain(bound)
  expect(rig.sandbox.iotda.configurations()[0]?.server_certificate_id).not.toBe(bound)

  const idle = await cli(rig, ['rotate', '--json'])
  expect(idle.code, idle.stdout).toBe(0)
  expect(JSON.parse(idle.stdout).results[0]).toMatchObject({
    outcome: 'idle',
    decision: { due: false, reason: 'fresh' },
  })
})
