import { fillSlots, withRsa } from '../sandbox.ts'
import { describe, fingerprint, type Stage } from './stage.ts'

/** The main job, as an operator and a device see it. */
export async function renewal(stage: Stage): Promise<boolean> {
  const { sandbox, say } = stage
  await fillSlots(sandbox, 5, 'rsa-2048')
  await stage.configure(withRsa)
  const device = await stage.connect('meter-1')
  let dropped = 0
  device.on('close', () => {
    dropped += 1
  })
  const before = await stage.served()
  say(`\nBefore   ${describe(before)}`)
  say(`         is served on port ${sandbox.device.port}; both slots are used
         device meter-1 is connected, with the root pinned\n`)
  stage.showSlots()
  await stage.iotdaCert('plan')
  const code = await stage.iotdaCert('rotate')

  const after = await stage.served()
  const newcomer = await stage.connect('meter-2')
  const isSteady = device.connected && dropped === 0
  say(`\nAfter    ${describe(after)}`)
  say(`         meter-1 ${isSteady ? 'stayed connected through the cut-over' : 'LOST its connection'}`)
  say(`         meter-2 connected anew and was served ${newcomer.connected ? fingerprint(after) : 'nothing'}`)
  stage.showSlots()
  const rotated = code === 0 && before.fingerprint256 !== after.fingerprint256 && isSteady
  say(
    rotated
      ? '\nRotated. The old certificate is the rollback copy in the other slot.'
      : '\nThe rotation did not succeed.',
  )
  return rotated
}
