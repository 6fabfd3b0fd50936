import { fillSlots } from '../sandbox.ts'
import { describe, type Stage } from './stage.ts'

/** The CA does not answer for a while. */
export async function caDown(stage: Stage): Promise<boolean> {
  const { sandbox, say } = stage
  await fillSlots(sandbox, 20)
  const before = await stage.served()
  const device = await stage.connect('meter-1')
  say(`\nThe certificate in use ends soon: ${describe(before)}
It is time to renew; but the CA has an outage, and answers "503 Service Unavailable" to everything.\n`)
  stage.showSlots()
  sandbox.faults.add({
    operations: ['acme.*'],
    times: Number.MAX_SAFE_INTEGER,
    status: 503,
    headers: { 'content-type': 'application/problem+json' },
    body: '{"type":"urn:ietf:params:acme:error:serverInternal","detail":"down for maintenance"}',
  })
  const failed = await stage.iotdaCert('rotate')
  const during = await stage.served()
  const isUntouched = during.fingerprint256 === before.fingerprint256 && device.connected
  say(`\nStill served: ${describe(during)}
Nothing on the platform was touched, and meter-1 ${isUntouched ? 'is connected' : 'LOST its connection'}. There are 20 days left; runs of the schedule
try again by themselves, first after an hour. Now the CA is back, and a person does not want to wait:`)
  sandbox.faults.clear()
  const code = await stage.iotdaCert('rotate', '--force')
  const after = await stage.served()
  say(`\nServed now: ${describe(after)}\n`)
  stage.showSlots()
  const isNew = after.fingerprint256 !== before.fingerprint256
  return failed === 1 && isUntouched && code === 0 && device.connected && isNew
}
