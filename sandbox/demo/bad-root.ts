import { createRoot, issueLeaf } from '../kit/pki.ts'
import { fillSlots, type Sandbox } from '../sandbox.ts'
import { boundId, describe, type Stage } from './stage.ts'

/** What is served after the cut-over ends in a root that devices do not have: the old certificate comes back. */
export async function badRoot(stage: Stage): Promise<boolean> {
  const { sandbox, say } = stage
  const { bound } = await fillSlots(sandbox, 20)
  const before = await stage.served()
  await stage.connect('meter-1')
  say(`\nThe certificate in use ends soon: ${describe(before)}
Every device has one root built in, and nobody can change it. Meter-1 is connected.
The new certificate looks right. But once it is bound, the platform hands out a chain that ends
in another root. Only whoever connects after the cut-over can see that; so the program does.\n`)
  stage.showSlots()

  let isRefused: Promise<boolean> | null = null
  const stop = await serveStranger(sandbox, bound, () => {
    isRefused = stage.connect('meter-2').then(
      () => false,
      () => true,
    )
  })
  const code = await stage.iotdaCert('rotate')
  stop()
  const wasRefused = (await isRefused) === true
  const after = await stage.served()
  const later = await stage.connect('meter-3')
  say(`\nMeter-2 came in between and ${wasRefused ? 'refused what it was shown, as every device would have' : 'WAS LET IN'}.
Served now: ${describe(after)}\n`)
  stage.showSlots()
  const isBack = boundId(sandbox) === bound && before.fingerprint256 === after.fingerprint256
  say(
    isBack
      ? `\nThe old certificate is bound again, and meter-3 has just connected. The one that failed is remembered,
and never bound again by itself; people are told. The command ended with code ${code}, for schedules to see.`
      : '\nThe old certificate did NOT come back.',
  )
  return code === 1 && wasRefused && isBack && later.connected
}

/** From now on the port serves a chain to another root whenever another certificate than `good` is bound. */
async function serveStranger(sandbox: Sandbox, good: string, served: () => void): Promise<() => void> {
  const { iotda, device, domain } = sandbox
  const root = await createRoot({ commonName: 'A root that no device has' })
  const { chainPem: certPem, keyPem } = await issueLeaf({ names: [domain], issuer: root })
  return iotda.onBind(() => {
    const isGood = boundId(sandbox) === good
    device.switches.serve = isGood ? null : { certPem, keyPem }
    if (!isGood) served()
  })
}
