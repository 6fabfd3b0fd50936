/** What is new to devices reaches the first ring, soaks there, and only then the next; what fails there stops. */
import { expect, test } from 'vitest'
import { rollout } from '../../lib/app/rollout/rollout.ts'
import { silentLog } from '../../lib/base/log.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { type Fleet, openFleet } from '../support/fleet.ts'
import { DAY_MS, HOUR_MS, warningsOf } from '../support/scenario.ts'
import { HOURS, MANY, online } from '../support/watched.ts'

const NAMES = ['canary', 'rest-1', 'rest-2']
const inRings = (settings: SandboxSettings): void => {
  settings.rollout = {
    rings: [
      { name: 'first', targets: ['canary'], soak: '24h' },
      { name: 'rest', targets: ['*'] },
    ],
  }
}
const outcomes = (results: Readonly<Record<string, TargetResult>>): readonly string[] =>
  NAMES.map(name => results[name]?.outcome ?? 'missing')
const bound = ({ members }: Fleet): readonly (string | null)[] => members.map(({ boundId }) => boundId())
const ask = (fleet: Fleet, word: Parameters<typeof rollout>[0]['word'] = null) =>
  rollout({
    ...{ config: fleet.s.rig.settingsFile, clock: fleet.s.clock, word, log: silentLog },
    deadline: fleet.s.clock.now() + HOUR_MS,
  })

/** All are looked after, and due; the CA's next certificates have no common name. */
async function openNewKind(options: Parameters<typeof openFleet>[1] = {}): Promise<Fleet> {
  const { change = () => {}, ...more } = options
  const fleet = await openFleet(NAMES, {
    ...more,
    change: settings => {
      inRings(settings)
      change(settings)
    },
  })
  expect(outcomes(await fleet.run())).toEqual(['idle', 'idle', 'idle'])
  fleet.s.ca.options.commonName = false
  fleet.s.clock.advance(33 * DAY_MS)
  return fleet
}

test('a new kind soaks in the first ring; the others keep what they have until then', async () => {
  const fleet = await openNewKind()
  const before = bound(fleet)
  const first = await fleet.run()
  expect(outcomes(first)).toEqual(['rotated', 'suspended', 'suspended'])
  expect(bound(fleet).slice(1)).toEqual(before.slice(1))
  expect(first['rest-1']?.warnings.map(({ message }) => message).join()).toContain(
    'new for rest-1: leaf with no common name instead of a common name',
  )
  expect(outcomes(await fleet.later(23 * HOUR_MS))).toEqual(['idle', 'suspended', 'suspended'])
  expect(bound(fleet).slice(1)).toEqual(before.slice(1))
  expect(outcomes(await fleet.later(2 * HOUR_MS))).toEqual(['idle', 'rotated', 'rotated'])
  expect(outcomes(await fleet.later(HOUR_MS))).toEqual(['idle', 'idle', 'idle'])
  expect(await ask(fleet)).toMatchObject({
    ok: true,
    kinds: [{ commonName: false, rings: [{ serving: 1 }, { serving: 2 }] }],
  })
})

test('a kind that devices know goes to every ring at once', async () => {
  const fleet = await openNewKind()
  fleet.s.ca.options.commonName = true
  expect(outcomes(await fleet.run())).toEqual(['rotated', 'rotated', 'rotated'])
})

test('one rollback stops the kind everywhere, until a person says so', async () => {
  const fleet = await openNewKind()
  const [canary] = fleet.members
  if (!canary) throw new Error('no canary')
  const before = bound(fleet)
  const stranger = await fleet.s.issue(-1, 30)
  const stop = canary.iotda.onBind(() => {
    canary.device.switches.serve = canary.boundId() === before[0] ? null : stranger
  })
  const first = await fleet.run()
  expect(outcomes(first)).toEqual(['rolled-back', 'suspended', 'suspended'])
  // Whoever came before the freeze waits for the ring; everybody after is told why.
  const second = await fleet.later(HOUR_MS / 2)
  expect(outcomes(second).slice(1)).toEqual(['suspended', 'suspended'])
  expect(second['rest-1'] && warningsOf(second['rest-1'])).toContain('rollout-frozen')
  expect(bound(fleet)).toEqual(before)
  const { kinds, ok } = await ask(fleet)
  const frozen = kinds.find(kind => kind.frozen)
  expect({ ok, frozen: frozen?.frozen?.target }).toEqual({ ok: false, frozen: 'canary' })

  stop()
  canary.device.switches.serve = null
  const word = { kind: frozen?.kind.slice(0, 6) ?? '', ring: null, by: 'ada', why: 'a gateway was broken' }
  const resumed = await ask(fleet, { action: 'resume', ...word })
  expect(resumed.kinds.find(({ kind }) => kind === frozen?.kind)?.log.at(-1)).toMatchObject({
    what: 'resumed',
    by: 'ada',
    why: word.why,
  })
  await ask(fleet, { action: 'approve', ...word, ring: 'rest' })
  expect(outcomes(await fleet.later(HOUR_MS)).slice(1)).toEqual(['rotated', 'rotated'])
})

test('a certificate that all share goes ring by ring', async () => {
  const fleet = await openNewKind({ isShared: true })
  fleet.s.ca.options.commonName = true
  const issued = fleet.s.obtained()
  expect(outcomes(await fleet.run())).toEqual(['rotated', 'suspended', 'suspended'])
  expect(outcomes(await fleet.later(25 * HOUR_MS))).toEqual(['idle', 'rotated', 'rotated'])
  expect(fleet.s.obtained() - issued).toBe(1)
})

/** A person bound another one in the first ring, fresh and of the kind before. */
async function bindOldKind({ s, members: [canary] }: Fleet): Promise<void> {
  if (!canary) throw new Error('no canary')
  s.ca.options.commonName = true
  const { certPem, keyPem } = await s.issue(-1, 89, [canary.domain])
  const [spare] = canary.iotda.certificates().filter(({ id }) => id !== canary.boundId())
  if (spare) canary.iotda.deleteCertificate(spare.id)
  canary.iotda.bind(canary.iotda.upload(certPem, keyPem))
  s.ca.options.commonName = false
}

test('the first ring is renewed ahead of its time when a later one waits for it', async () => {
  const fleet = await openNewKind()
  await bindOldKind(fleet)
  expect(outcomes(await fleet.run())).toEqual(['idle', 'suspended', 'suspended'])
  expect(outcomes(await fleet.later(HOUR_MS))).toEqual(['rotated', 'suspended', 'suspended'])
  expect(outcomes(await fleet.later(25 * HOUR_MS))).toEqual(['idle', 'rotated', 'rotated'])
})

test('one that was renewed ahead of its time and rolled back is asked again when a person resumes', async () => {
  const fleet = await openNewKind()
  const [canary] = fleet.members
  if (!canary) throw new Error('no canary')
  await bindOldKind(fleet)
  await fleet.run()
  const before = canary.boundId()
  const stranger = await fleet.s.issue(-1, 30)
  const stop = canary.iotda.onBind(() => {
    canary.device.switches.serve = canary.boundId() === before ? null : stranger
  })
  expect(outcomes(await fleet.later(HOUR_MS))).toEqual(['rolled-back', 'suspended', 'suspended'])
  stop()
  const frozen = (await ask(fleet)).kinds.find(kind => kind.frozen)
  const word = { action: 'resume', kind: frozen?.kind ?? '', ring: null, by: 'ada', why: 'mended' } as const
  await ask(fleet, word)
  expect(outcomes(await fleet.later(2 * HOUR_MS))).toEqual(['rotated', 'suspended', 'suspended'])
  expect(outcomes(await fleet.later(25 * HOUR_MS))).toEqual(['idle', 'rotated', 'rotated'])
})

test('who served a kind for its soak counts for the rings after, although it serves another one by now', async () => {
  const fleet = await openNewKind()
  expect(outcomes(await fleet.run(['canary']))).toEqual(['rotated', 'missing', 'missing'])
  fleet.s.clock.advance(25 * HOUR_MS)
  await bindOldKind(fleet)
  expect(outcomes(await fleet.run(['canary']))).toEqual(['idle', 'missing', 'missing'])
  expect(outcomes(await fleet.run(['rest-1']))).toEqual(['missing', 'rotated', 'missing'])
})

test('who left a kind before its soak was over does not count', async () => {
  const fleet = await openNewKind()
  await fleet.run(['canary'])
  fleet.s.clock.advance(20 * HOUR_MS)
  await bindOldKind(fleet)
  await fleet.run(['canary'])
  fleet.s.clock.advance(20 * HOUR_MS)
  expect(outcomes(await fleet.run(['rest-1']))).toEqual(['missing', 'suspended', 'missing'])
})

test('devices that stay away where there is no way back stop the kind, too', async () => {
  const fleet = await openFleet(NAMES, {
    daysLeft: 44,
    change: settings => {
      inRings(settings)
      settings.targets[0].devices = { watch: '8h' }
    },
  })
  const [canary] = fleet.members
  if (!canary) throw new Error('no canary')
  canary.iotda.index.devices = online(MANY)
  for (let hour = 0; hour < HOURS; hour += 1) await fleet.run().then(() => fleet.s.clock.advance(HOUR_MS))
  fleet.s.ca.options.commonName = false
  expect(outcomes(await fleet.later(14 * DAY_MS - HOURS * HOUR_MS))[0]).toBe('rotated')
  for (const { id } of canary.iotda.certificates())
    if (id !== canary.boundId()) canary.iotda.deleteCertificate(id)
  canary.iotda.index.devices = online(MANY / 2)
  await fleet.later(HOUR_MS)
  const { canary: missed } = await fleet.later(HOUR_MS)
  expect(missed && warningsOf(missed)).toEqual(['devices-fewer', 'devices-missing', 'rollout-frozen'])
  expect((await ask(fleet)).kinds.find(({ frozen }) => frozen)).toMatchObject({
    commonName: false,
    frozen: { target: 'canary', why: expect.stringContaining('100 devices online, 200 are usual') },
  })
})

test('the emergency goes on although the kind is frozen, and says so', async () => {
  const fleet = await openNewKind()
  const [canary] = fleet.members
  const stranger = await fleet.s.issue(-1, 60)
  canary?.iotda.onBind(() => {
    canary.device.switches.serve = stranger
  })
  await fleet.run()
  const results = await fleet.later(25 * DAY_MS)
  expect(outcomes(results).slice(1)).toEqual(['rotated', 'rotated'])
  expect(results['rest-1'] && warningsOf(results['rest-1'])).toContain('rollout-overridden')
})
