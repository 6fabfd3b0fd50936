/** What stops a kind is lost neither when the run dies, nor when the store refuses, nor when others write as well. */
import { expect, test } from 'vitest'
import { type RolloutWord, rollout } from '../../lib/app/rollout/rollout.ts'
import { silentLog } from '../../lib/base/log.ts'
import { createS3, type S3 } from '../../sandbox/stores/s3.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, REGION } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { spawnCli } from '../support/command.ts'
import { type Fleet, type Member, openFleet } from '../support/fleet.ts'
import { createMortal, type Death } from '../support/mortal.ts'
import { runEvent } from '../support/run-event.ts'
import { HOUR_MS } from '../support/scenario.ts'

const CANARIES = ['canary-1', 'canary-2']
/** How the objects of S3 are named that hold the kinds. */
const KINDS = 'iotda-cert/rollouts/kinds'

interface World {
  readonly fleet: Fleet
  readonly service: S3
  readonly before: readonly (string | null)[]
}

const bound = ({ members }: Fleet): readonly (string | null)[] => members.map(({ boundId }) => boundId())
const changeKind = ({ s }: Fleet): void => {
  s.ca.options.commonName = false
}

/** Due, with certificates of a new kind to come, which the devices of these refuse; the state is in S3. */
async function openDoomed(refusing: readonly string[]): Promise<World> {
  let service: S3 | null = null
  const fleet = await openFleet([...CANARIES, 'rest'], {
    daysLeft: 25,
    prepare: async ({ faults, clock }) => {
      service = await createS3({ faults, now: clock.now, keys: awsKeys, bucket: 'state' })
      cleanups.push(service.dispose)
    },
    change: settings => {
      const first = { name: 'first', targets: ['canary-*'], soak: '24h' }
      settings.rollout = { rings: [first, { name: 'rest', targets: ['*'] }] }
      const access = { accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }
      const store = { type: 's3', bucket: 'state', endpoint: service?.url, region: REGION, ...access }
      Object.assign(settings, { store: { ...store, sealKey: Buffer.alloc(32, 7).toString('base64') } })
    },
  })
  if (service === null) throw new Error('no store')
  changeKind(fleet)
  const stranger = await fleet.s.issue(-1, 60)
  for (const member of fleet.members.filter(({ name }) => refusing.includes(name))) refuse(member, stranger)
  return { fleet, service, before: bound(fleet) }
}

function refuse({ iotda, device, boundId }: Member, stranger: { certPem: string; keyPem: string }): void {
  const before = boundId()
  iotda.onBind(() => {
    device.switches.serve = boundId() === before ? null : stranger
  })
}

const ask = ({ s }: Fleet, word: RolloutWord | null = null) =>
  rollout({
    ...{ config: s.rig.settingsFile, clock: s.clock, word, log: silentLog },
    deadline: s.clock.now() + HOUR_MS,
  })
const frozenIn = async (fleet: Fleet) => (await ask(fleet)).kinds.filter(({ frozen }) => frozen !== null)

/** A run of the first target that dies. */
async function dies({ s }: Fleet, death: Death) {
  const mortal = createMortal()
  const request = {
    ...{ config: s.rig.settingsFile, event: runEvent({ targets: ['canary-1'] }) },
    ...{ trigger: 'schedule' as const, log: silentLog, clock: s.clock },
    deadline: s.clock.now() + 10 * 60_000,
  }
  try {
    return await mortal.run(request, death)
  } finally {
    await mortal.close()
  }
}

test('the run that freezes a kind dies before or after each write of it: frozen once in the end, and nowhere bound', async () => {
  let calls = 0
  for (const when of ['before', 'after'] as const)
    for (let call = 1; ; call += 1) {
      const { fleet, before } = await openDoomed(['canary-1'])
      const of = (request: { method: string; url: string }): boolean =>
        request.method === 'PUT' && request.url.includes(KINDS)
      const ended = await dies(fleet, { call, when, of })
      if (ended !== null) break
      calls += 1
      const where = `write ${call}, ${when}`
      expect(bound(fleet)[0], where).toBe(before[0])
      for (let run = 0; run < 3; run += 1) await fleet.later(HOUR_MS / 2)
      expect([bound(fleet)[0], bound(fleet)[2]], where).toEqual([before[0], before[2]])
      const [frozen] = await frozenIn(fleet)
      expect(
        frozen?.log.map(({ what }) => what),
        where,
      ).toEqual(['frozen'])
    }
  expect(calls).toBeGreaterThanOrEqual(2)
}, 60_000)

test('a store that refuses the freeze keeps nobody from putting the old one back, and is told by a later run', async () => {
  const { fleet, service, before } = await openDoomed(['canary-1'])
  // From the bind on: what cannot be read before it binds nothing.
  const stop = fleet.members[0]?.iotda.onBind(() => {
    service.switches.failing = { prefix: KINDS, status: 500 }
  })
  const { 'canary-1': first } = await fleet.run(['canary-1'])
  expect(first).toMatchObject({ outcome: 'rolled-back' })
  expect(first?.warnings.map(({ message }) => message).join()).toMatch(/kind \w+ could not be frozen/)
  expect(bound(fleet)).toEqual(before)
  stop?.()
  service.switches.failing = null
  expect(await frozenIn(fleet)).toEqual([])
  await fleet.run(['canary-1'])
  expect(await frozenIn(fleet)).toMatchObject([{ frozen: { target: 'canary-1' } }])
  expect(Object.keys(await fleet.run(['rest']))).toEqual(['rest'])
  expect(bound(fleet)[2]).toBe(before[2])
})

test('two functions with one store freeze a kind at once, where some writes meet another: both see it', async () => {
  const { fleet, service, before } = await openDoomed(CANARIES)
  service.switches.conflictEvery = 11
  const ran = await Promise.all(CANARIES.map(name => fleet.run([name])))
  const outcomes = ran.flatMap(results => Object.values(results).map(({ outcome }) => outcome))
  // Who comes to its turn only after the other froze the kind binds nothing.
  expect(['rolled-back,rolled-back', 'rolled-back,suspended']).toContain(outcomes.toSorted().join())
  service.switches.conflictEvery = 0
  const [frozen, ...others] = await frozenIn(fleet)
  expect(others).toEqual([])
  expect(frozen?.log).toHaveLength(1)
  const { rest } = await fleet.run(['rest'])
  expect(rest?.warnings.map(({ code }) => code)).toContain('rollout-frozen')
  expect(bound(fleet)).toEqual(before)
})

test('one function freezes while another tells that it serves the kind, and a person approves: nothing is lost', async () => {
  const { fleet } = await openDoomed(['canary-1'])
  const [document] = (await ask(fleet)).kinds
  expect(document).toBeUndefined()
  const [first, second] = await Promise.all(CANARIES.map(name => fleet.run([name])))
  expect(first?.['canary-1']?.outcome).toBe('rolled-back')
  expect(second?.['canary-2']?.outcome).toBe('rotated')
  const [frozen] = await frozenIn(fleet)
  expect(frozen).toMatchObject({ rings: [{ serving: 1 }, { serving: 0 }] })
  const kind = frozen?.kind ?? ''
  const words = ['ada', 'bob', 'eve'].map(by => ({ kind, ring: null, by, why: 'checked' }))
  await ask(fleet, { action: 'resume', ...words[0] } as RolloutWord)
  await Promise.all([
    ...words.slice(1).map(word => ask(fleet, { action: 'approve', ...word })),
    fleet.run(['canary-2', 'rest']),
  ])
  const { kinds } = await ask(fleet)
  const log = kinds.find(it => it.kind === kind)?.log ?? []
  expect(log.map(({ what, by }) => `${what} ${by}`).toSorted()).toEqual([
    'approved for all rings bob',
    'approved for all rings eve',
    'frozen canary-1',
    'resumed ada',
  ])
})

test.each(['before', 'after'] as const)(
  "a person's word dies with its process %s the write: said again, it holds",
  async when => {
    const { fleet } = await openDoomed(['canary-1'])
    await fleet.run(['canary-1'])
    const [frozen] = await frozenIn(fleet)
    const words = ['rollout', 'resume', frozen?.kind ?? '', '--why', 'mended', '--json']
    const env = { IOTDA_CERT_CONFIG: fleet.s.rig.settingsFile }
    const killed = await spawnCli(words, env, pid =>
      fleet.s.faults.add({ operations: ['s3.PutObject'], kill: { pid, when } }),
    )
    expect(killed).toMatchObject({ signal: 'SIGKILL', stdout: '' })
    expect(await frozenIn(fleet)).toHaveLength(when === 'before' ? 1 : 0)
    const { stdout, stderr } = await spawnCli(words, env)
    expect(`${stdout}${stderr}`).toContain(when === 'before' ? '"resumed"' : 'is not frozen')
    const { kinds } = await ask(fleet)
    expect(kinds.find(({ kind }) => kind === frozen?.kind)).toMatchObject({ frozen: null })
    expect(kinds.flatMap(({ log }) => log.filter(({ what }) => what === 'resumed'))).toHaveLength(1)
  },
)
