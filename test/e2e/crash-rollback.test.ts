import { describe, expect, test } from 'vitest'
import { lanes } from '../support/lanes.ts'
import {
  boundId,
  fast,
  issuePair,
  keyFiles,
  killedRun,
  objection,
  objectionNow,
  rotateHere,
  rotateOnce,
  servedLeaf,
  startOver,
  txtValues,
} from '../support/renewal.ts'
import { createRig } from '../support/rig.ts'

/** Every change of IoTDA in a run whose new certificate is served wrongly. */
const CHANGES = [
  'iotda.DeleteServerCertificate',
  'iotda.CreateServerCertificate',
  'iotda.UpdateDomainConfiguration',
  'iotda.UpdateDomainConfiguration',
]

/** The device port serves a stranger's certificate as soon as anything but the old one is bound. */
const inLane = lanes(
  async () => {
    const rig = await createRig({ ca: { authorizationReuse: false } })
    await fast(rig)
    const { sandbox } = rig
    const pair = await issuePair(sandbox)
    const { newer: wrong } = await issuePair(sandbox)
    sandbox.iotda.onBind(bound => {
      const isNew = bound && ![pair.older.certPem, pair.newer.certPem].includes(bound.certificatePem)
      sandbox.device.switches.serve = isNew ? wrong : null
    })
    return { rig, pair }
  },
  lane => lane.rig.dispose(),
)

test('a rollback that nothing disturbs makes exactly these changes', () =>
  inLane(async ({ rig, pair }) => {
    const start = await startOver(rig, pair)
    expect(await rotateOnce(rig)).toMatchObject({ code: 1, outcome: 'rolled-back' })
    const changes = rig.sandbox.faults.calls.filter(
      c => c.operation.startsWith('iotda.') && c.method !== 'GET',
    )
    expect(changes.map(c => c.operation)).toEqual(CHANGES)
    expect(boundId(rig.sandbox)).toBe(start.bound)
    expect(await objectionNow(rig.sandbox)).toBeNull()
  }))

describe.each(['before', 'after'] as const)('killed %s the effect of', when => {
  test.concurrent.each(CHANGES.map((operation, n) => [n + 1, operation] as const))(
    'change %i, %s: rolled back by the next runs',
    { timeout: 120_000 },
    n =>
      inLane(async ({ rig, pair }) => {
        const { sandbox } = rig
        const start = await startOver(rig, pair)
        const ended = await killedRun(rig, when, { operations: [...new Set(CHANGES)], skip: n - 1 })
        expect(ended).toMatchObject({ signal: 'SIGKILL', stdout: '' })
        expect(objection(sandbox), 'after the crash').toBeNull()

        const outcomes: string[] = []
        while (outcomes.length < 2 && outcomes.at(-1) !== 'rolled-back') {
          outcomes.push((await rotateHere(rig)).outcome)
          expect(objection(sandbox), `after ${outcomes.at(-1)}`).toBeNull()
        }
        expect(outcomes.at(-1)).toBe('rolled-back')
        expect(boundId(sandbox)).toBe(start.bound)
        expect(await objectionNow(sandbox)).toBeNull()
        expect(sandbox.ca.issued).toHaveLength(start.issued + 1)
        expect(txtValues(sandbox)).toEqual([])
        expect(await keyFiles(rig)).toEqual([])

        // Nothing more by itself: the leaf is never bound again, and another one waits for the back-off.
        const before = sandbox.faults.calls.length
        const last = await rotateHere(rig)
        expect(last).toMatchObject({ ok: false, outcome: 'suspended', decision: { reason: 'backing-off' } })
        expect(sandbox.faults.calls.slice(before).filter(c => c.method !== 'GET')).toEqual([])
        expect(start.objections()).toEqual([])
        expect(sandbox.iotda.certificates().find(c => c.id === start.bound)?.fingerprint).toBe(
          await servedLeaf(sandbox),
        )
      }),
  )
})
