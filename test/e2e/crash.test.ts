import { describe, expect, test } from 'vitest'
import { lanes } from '../support/lanes.ts'
import {
  fast,
  issuePair,
  killedRun,
  leftBehind,
  objectionNow,
  type Pair,
  rotateHere,
  rotateOnce,
  type Start,
  startOver,
} from '../support/renewal.ts'
import { createRig, type Rig } from '../support/rig.ts'

/** The calls of a rotation that nothing disturbs, in the order of arrival; those of one group come side by side. */
const ROTATION = [
  ['iotda.ListDomainConfigurations', 'iotda.ListServerCertificates'],
  ['iotda.ShowServerCertificate', 'iotda.ShowServerCertificate'],
  ['acme.Directory'],
  ['acme.RenewalInfo'],
  // Once more under the lease.
  ['iotda.ListDomainConfigurations', 'iotda.ListServerCertificates'],
  ['iotda.ShowServerCertificate', 'iotda.ShowServerCertificate'],
  ['acme.NewNonce'],
  ['acme.NewAccount'],
  // Naming a predecessor of another account, which the CA refuses; then without.
  ['acme.NewOrder'],
  ['acme.NewOrder'],
  ['acme.Authorization'],
  ['httpreq.Present'],
  ['acme.Challenge'],
  ['acme.Order'],
  ['acme.Finalize'],
  ['acme.Order'],
  ['acme.Certificate'],
  ['httpreq.Cleanup'],
  ['iotda.ShowDomainConfiguration'],
  ['iotda.DeleteServerCertificate'],
  ['iotda.ListServerCertificates'],
  ['iotda.ShowServerCertificate'],
  ['iotda.CreateServerCertificate'],
  ['iotda.ShowServerCertificate'],
  ['iotda.ShowDomainConfiguration'],
  ['iotda.UpdateDomainConfiguration'],
  ['iotda.ShowDomainConfiguration'],
]
const N = ROTATION.flat().length
const OUTSIDE = ['iotda.*', 'acme.*', 'httpreq.*']

const inLane = lanes(
  async () => {
    const rig = await createRig({ ca: { authorizationReuse: false } })
    await fast(rig)
    return { rig, pair: await issuePair(rig.sandbox) }
  },
  lane => lane.rig.dispose(),
)

/** A run that is killed at its n-th outside call, counted from 0. */
async function crash(rig: Rig, pair: Pair, n: number, when: 'before' | 'after'): Promise<Start> {
  const start = await startOver(rig, pair)
  const ended = await killedRun(rig, when, { operations: OUTSIDE, skip: n })
  expect(ended, 'the run was killed').toMatchObject({ signal: 'SIGKILL', stdout: '' })
  expect(await objectionNow(rig.sandbox), 'after the crash').toBeNull()
  return start
}

/** Plain runs until one has rotated, two at most; they find what the dead process left on the disk. */
async function recover(rig: Rig): Promise<readonly string[]> {
  const outcomes: string[] = []
  while (outcomes.length < 2 && outcomes.at(-1) !== 'rotated') {
    const { outcome, error, decision } = await rotateHere(rig)
    outcomes.push(outcome)
    expect(await objectionNow(rig.sandbox), `after ${outcome}`).toBeNull()
    expect(error, decision.detail).toBeNull()
  }
  return outcomes
}

test('a rotation that nothing disturbs makes exactly these calls', () =>
  inLane(async ({ rig, pair }) => {
    const start = await startOver(rig, pair)
    expect(await rotateOnce(rig)).toMatchObject({
      code: 0,
      outcome: 'rotated',
      deleted: [{ serverCertificateId: start.spare }],
    })
    const made = rig.sandbox.faults.calls.map(c => c.operation)
    let from = 0
    const grouped = ROTATION.map(group => {
      from += group.length
      return made.slice(from - group.length, from).toSorted()
    })
    expect(grouped).toEqual(ROTATION)
    expect(made).toHaveLength(N)
    expect(N).toBe(31)
    expect(await leftBehind(rig, start)).toEqual([])
  }))

describe.each(['before', 'after'] as const)('killed %s the effect of', when => {
  test.concurrent.each(ROTATION.flat().map((operation, n) => [n + 1, operation] as const))(
    'call %i, %s: rotated by the next runs',
    { timeout: 120_000 },
    n =>
      inLane(async ({ rig, pair }) => {
        const start = await crash(rig, pair, n - 1, when)
        expect((await recover(rig)).at(-1)).toBe('rotated')
        expect(await leftBehind(rig, start)).toEqual([])
        expect(await rotateHere(rig)).toMatchObject({ ok: true, outcome: 'idle', error: null })
        expect(await leftBehind(rig, start)).toEqual([])
        expect(start.objections()).toEqual([])
      }),
  )
})

test('killed after the bind: the rollback copy is safe from a forced run for an hour all the same', () =>
  inLane(async ({ rig, pair }) => {
    const start = await crash(rig, pair, N - 2, 'after')
    expect((await recover(rig)).at(-1)).toBe('rotated')
    expect(await rotateOnce(rig, '--force')).toMatchObject({ outcome: 'suspended', deleted: [] })
    expect(await leftBehind(rig, start)).toEqual([])
  }))
