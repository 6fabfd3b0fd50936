import { describe, expect, test } from 'vitest'
import type { Fault } from '../../sandbox/kit/faults.ts'
import { fakeClock } from '../support/clock.ts'
import { lanes } from '../support/lanes.ts'
import {
  fast,
  issuePair,
  leftBehind,
  objectionNow,
  type Start,
  startOver,
  txtValues,
} from '../support/renewal.ts'
import { createRig } from '../support/rig.ts'

const HOUR_MS = 3_600_000

type Failure = Omit<Fault, 'operations' | 'skip' | 'times'>

const json = { 'content-type': 'application/json' }
const says = (code: string): string => JSON.stringify({ error_code: code, error_msg: 'not now' })
const HTML = { headers: { 'content-type': 'text/html' }, body: '<html><body>Bad gateway</body></html>' }

const SERVICE_FAILURES: Readonly<Record<string, Failure>> = {
  'a 500': { status: 500, headers: json, body: says('IOTDA.000001') },
  'a 500 after the effect': { status: 500, headers: json, body: says('IOTDA.000001'), after: true },
  'a 403 that throttles': { status: 403, headers: json, body: says('IOTDA.021101') },
  'a 429 of the gateway': { status: 429, headers: json, body: says('APIGW.0308') },
  'a connection dropped after the effect': { drop: 'after' },
  'a page of HTML': { status: 200, ...HTML },
  'a JSON answer cut short': { cut: 20 },
  'a 200 with an error_code': { status: 200, headers: json, body: says('IOTDA.000001') },
}

const PROBLEM = JSON.stringify({ type: 'urn:ietf:params:acme:error:serverInternal', detail: 'not now' })
const CA_FAILURES: Readonly<Record<string, Failure>> = {
  'a 500': { status: 500, headers: { 'content-type': 'application/problem+json' }, body: PROBLEM },
  'a connection dropped after the effect': { drop: 'after' },
  'an answer cut short': { cut: 20 },
}

const HOOK_FAILURES: Readonly<Record<string, Failure>> = {
  'a 500': { status: 500, body: 'not now' },
  'a 429': { status: 429, body: 'not now' },
  'a connection dropped before the effect': { drop: 'before' },
  'a connection dropped after the effect': { drop: 'after' },
  'a page of HTML': { status: 502, ...HTML },
}

/** How often a rotation makes each call. */
const READS: Readonly<Record<string, number>> = {
  'iotda.ListDomainConfigurations': 2,
  'iotda.ListServerCertificates': 3,
  'iotda.ShowServerCertificate': 6,
  'iotda.ShowDomainConfiguration': 3,
}
const CHANGES: Readonly<Record<string, number>> = {
  'iotda.DeleteServerCertificate': 1,
  'iotda.CreateServerCertificate': 1,
  'iotda.UpdateDomainConfiguration': 1,
}
const CA_CALLS: Readonly<Record<string, number>> = {
  'acme.Directory': 1,
  'acme.RenewalInfo': 1,
  'acme.NewNonce': 1,
  'acme.NewAccount': 1,
  'acme.NewOrder': 2,
  'acme.Authorization': 1,
  'acme.Challenge': 1,
  'acme.Order': 2,
  'acme.Finalize': 1,
  'acme.Certificate': 1,
}
const HOOK_CALLS: Readonly<Record<string, number>> = { 'httpreq.Present': 1, 'httpreq.Cleanup': 1 }

type Case = readonly [operation: string, nth: number, failure: string, fault: Fault]

const cases = (
  calls: Readonly<Record<string, number>>,
  failures: Readonly<Record<string, Failure>>,
  times = 1,
): readonly Case[] =>
  Object.entries(calls).flatMap(([operation, count]) =>
    Array.from({ length: count }, (_, skip) => skip).flatMap(skip =>
      Object.entries(failures).map(
        ([name, failure]): Case => [
          operation,
          skip + 1,
          name,
          { operations: [operation], skip, times, ...failure },
        ],
      ),
    ),
  )

const inLane = lanes(
  async () => {
    const clock = fakeClock()
    const rig = await createRig({ now: clock.now, ca: { authorizationReuse: false } })
    await fast(rig)
    const begin = async (): Promise<Start> => startOver(rig, await issuePair(rig.sandbox, clock.now()))
    return { rig, clock, begin, run: () => rig.result({}, { clock }) }
  },
  ({ rig }) => rig.dispose(),
)

type Lane = Parameters<Parameters<typeof inLane>[0]>[0]

/** A renewal in which one call fails: it is done after two more runs at the most, and nothing was ever at risk. */
async function renewInSpiteOf(fault: Fault, { rig, clock, begin, run }: Lane): Promise<readonly string[]> {
  const { sandbox } = rig
  const start = await begin()
  sandbox.faults.add(fault)
  const outcomes: string[] = []
  while (outcomes.length < 3 && outcomes.at(-1) !== 'rotated') {
    const { outcome, error, steps } = await run()
    outcomes.push(outcome)
    expect(await objectionNow(sandbox), `after ${outcome}`).toBeNull()
    expect(error?.code, JSON.stringify(steps)).not.toBe('internal')
    // Past the back-off.
    clock.advance(2 * HOUR_MS)
  }
  expect(outcomes.at(-1), outcomes.join(', ')).toBe('rotated')
  expect(sandbox.faults.active(), 'the fault has struck').toEqual([])
  expect(await leftBehind(rig, start)).toEqual([])
  expect(await run()).toMatchObject({ outcome: 'idle', error: null })
  expect(await leftBehind(rig, start)).toEqual([])
  expect(start.objections()).toEqual([])
  return outcomes
}

test('a rotation that nothing disturbs makes each call as often as said here', () =>
  inLane(async lane => {
    expect(await renewInSpiteOf({ operations: ['iotda.ListDomainConfigurations'] }, lane)).toEqual([
      'rotated',
    ])
    const made = lane.rig.sandbox.faults.calls.map(c => c.operation)
    const rotation = made.slice(0, made.lastIndexOf('iotda.ListDomainConfigurations'))
    const said = { ...READS, ...CHANGES, ...CA_CALLS, ...HOOK_CALLS }
    // However long the CA takes.
    const counted = Object.keys(said).filter(operation => operation !== 'acme.Order')
    const count = (operation: string) => rotation.filter(o => o === operation).length
    expect(counted.map(o => [o, count(o)])).toEqual(counted.map(o => [o, said[o]]))
    expect(count('acme.Order')).toBeGreaterThanOrEqual(2)
  }))

// A 429 is not tried again within a run.
const { 'a 429': _once, ...withoutThrottle } = HOOK_FAILURES

/** What may fail, and whether one run is enough all the same. */
const GROUPS: readonly (readonly [title: string, cases: readonly Case[], isOneRun: boolean])[] = [
  [
    'a read of IoTDA fails once',
    cases(Object.fromEntries(Object.keys(READS).map(operation => [operation, 1])), SERVICE_FAILURES),
    true,
  ],
  ['a read of IoTDA fails until the run gives up', cases(READS, SERVICE_FAILURES, 3), false],
  ['a change of IoTDA fails once', cases(CHANGES, SERVICE_FAILURES), false],
  ['a call of the CA fails once', cases(CA_CALLS, CA_FAILURES), false],
  ['a call of the DNS webhook fails once', cases(HOOK_CALLS, HOOK_FAILURES), false],
  ['a call of the DNS webhook fails until the solver gives up', cases(HOOK_CALLS, withoutThrottle, 3), false],
]

describe.each(GROUPS)('%s', (_, all, isOneRun) => {
  test.concurrent.each(all)('%s, call %i: %s', async (_, __, ___, fault) => {
    const outcomes = await inLane(lane => renewInSpiteOf(fault, lane))
    expect(isOneRun ? outcomes : outcomes.slice(-1)).toEqual(['rotated'])
  })
})

test('TXT values that cannot be removed for the whole run go with the next', () =>
  inLane(async ({ rig, begin, run }) => {
    const { sandbox } = rig
    const start = await begin()
    sandbox.faults.add({ operations: ['httpreq.Cleanup'], status: 500, times: 6 })
    expect(await run()).toMatchObject({ outcome: 'rotated', error: null })
    expect(sandbox.faults.active()).toEqual([])
    expect(txtValues(sandbox)).toHaveLength(1)
    expect(await run()).toMatchObject({ outcome: 'idle', error: null })
    expect(await leftBehind(rig, start)).toEqual([])
  }))
