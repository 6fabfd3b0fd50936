import { fillSlots } from '../sandbox.ts'
import { describe, type Stage } from './stage.ts'

const DAY_MS = 86_400_000

/** Both slots are used, and the second holds something that a colleague has just uploaded. */
export async function fullSlots(stage: Stage): Promise<boolean> {
  const { sandbox, say } = stage
  const { iotda, ca, domain } = sandbox
  const { bound, spare } = await fillSlots(sandbox, 20)
  iotda.deleteCertificate(spare)
  const staged = await ca.issue([domain], {
    notBefore: new Date(Date.now() - DAY_MS / 24),
    notAfter: new Date(Date.now() + 80 * DAY_MS),
    keyType: 'ec-256',
  })
  const colleagues = iotda.upload(staged.certPem, staged.keyPem)
  const before = await stage.served()
  say(`\nThe certificate in use ends soon: ${describe(before)}
The platform has two slots. One holds the certificate in use; into the other a colleague has just put one
of their own. There is no room for the new one, and the program cannot know what the colleague has in mind.\n`)
  stage.showSlots()
  await stage.iotdaCert('rotate')
  const ids = (): readonly string[] => iotda.certificates().map(({ id }) => id)
  const isUntouched = ids().includes(bound) && ids().includes(colleagues) && ca.orders.length === 0
  say('')
  stage.showSlots()
  say(`\n${isUntouched ? 'Nothing was deleted, nothing was changed.' : 'Something was DONE.'} Nothing was ordered at the CA either: the
program waits until the colleague's certificate has been there for a day, or until a person says so:`)

  const code = await stage.iotdaCert('rotate', '--force')
  const after = await stage.served()
  say(`\nServed now: ${describe(after)}\n`)
  stage.showSlots()
  const hasMoved = ids().includes(bound) && !ids().includes(colleagues)
  say(`\nThe colleague's certificate made room; the one that devices used is still there, to go back to.`)
  const isNew = before.fingerprint256 !== after.fingerprint256
  return isUntouched && code === 0 && hasMoved && isNew
}
