import { test, expect } from 'vitest'
import { createRig } from '../support/rig.ts'
import { fast, issuePair, startOver, leftBehind } from '../support/renewal.ts'
import { fakeClock } from '../support/clock.ts'
test('count', async () => {
  const rig = await createRig({ ca: { authorizationReuse: false, keyAlgorithm: 'ec-256' } })
  await fast(rig)
  const pair = await issuePair(rig.sandbox)
  for (let i = 0; i < 2; i++) {
    const start = await startOver(rig, pair)
    let t = Date.now()
    const r = await rig.cli(['rotate', '--json'])
    console.log(r.code, r.stderr, Date.now() - t, rig.sandbox.faults.calls.length)
    console.log(rig.sandbox.faults.calls.map((c, i) => `${i} ${c.operation} ${c.status}`).join('\n'))
    console.log(await leftBehind(rig, start))
    t = Date.now()
    console.log(JSON.parse((await rig.cli(['rotate', '--json'])).stdout).results[0].outcome, Date.now() - t)
  }
  await rig.dispose()
  const clock = fakeClock()
  const rig2 = await createRig({ now: clock.now, ca: { authorizationReuse: false, keyAlgorithm: 'ec-256' } })
  await fast(rig2)
  const pair2 = await issuePair(rig2.sandbox, clock.now())
  for (let i = 0; i < 2; i++) {
    const start = await startOver(rig2, pair2)
    const t = Date.now()
    const r = await rig2.result({}, { clock })
    console.log(r.outcome, r.error, Date.now() - t, rig2.sandbox.faults.calls.length, await leftBehind(rig2, start))
  }
  await rig2.dispose()
}, 60000)
