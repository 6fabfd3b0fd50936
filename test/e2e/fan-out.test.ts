/** A scheduled run that hands on what is due, and runs that take it; each of them dies at every call. */
import { describe, expect, test } from 'vitest'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { type FanOut, openFanOut, type Results } from '../support/fan-out.ts'
import { HOUR_MS } from '../support/scenario.ts'

const NAMES = ['eu-1', 'eu-2', 'eu-3']
const outcomesOf = (results: Results | null) =>
  Object.fromEntries(Object.entries(results ?? {}).map(([name, it]) => [name, it.outcome]))
const boundIn = ({ members }: FanOut) => members.map(it => it.boundId())
/** Calls that changed an instance, since the log was cleared. */
const changesIn = ({ s }: FanOut): readonly string[] =>
  s.faults.calls
    .filter(({ operation, method }) => operation.startsWith('iotda.') && method !== 'GET')
    .map(it => it.operation)

test('what is due is sent, a message for each certificate, and rotated by who takes it', async () => {
  const fan = await openFanOut(NAMES)
  const before = boundIn(fan)
  const swept = await fan.sweep()
  expect(outcomesOf(swept)).toEqual({ 'eu-1': 'suspended', 'eu-2': 'suspended', 'eu-3': 'suspended' })
  expect(swept?.['eu-1']?.decision).toMatchObject({
    reason: 'expiring',
    detail: expect.stringMatching(/sent to the queue of schedule.fanOut$/),
  })
  expect(changesIn(fan)).toEqual([])
  expect(boundIn(fan)).toEqual(before)
  expect(fan.bodies()).toEqual(NAMES.map(name => ({ action: 'rotate', targets: [name] })))
  const taken = await fan.takeAll()
  expect(taken.map(outcomesOf).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))).toEqual(
    NAMES.map(name => ({ [name]: 'rotated' })),
  )
  expect(fan.s.obtained()).toBe(3)
  expect(outcomesOf(await fan.sweep())).toEqual({ 'eu-1': 'idle', 'eu-2': 'idle', 'eu-3': 'idle' })
  expect(fan.bodies()).toEqual([])
})

test('targets that share a certificate are one message, and one order', async () => {
  const fan = await openFanOut(NAMES, { isShared: true })
  await fan.sweep()
  expect(fan.bodies()).toEqual([{ action: 'rotate', targets: NAMES }])
  expect(outcomesOf(await fan.take())).toEqual({ 'eu-1': 'rotated', 'eu-2': 'rotated', 'eu-3': 'rotated' })
  expect(fan.s.obtained()).toBe(1)
})

test('delivered twice, and the newest first: done once', async () => {
  const fan = await openFanOut(NAMES.slice(0, 2))
  fan.queue.switches.twice = true
  await fan.sweep()
  // A later sweep sends what is still due once more.
  await fan.sweep()
  expect(fan.bodies()).toHaveLength(8)
  const taken = await fan.takeAll()
  const outcomes = taken.flatMap(it => Object.values(outcomesOf(it)))
  expect(outcomes.toSorted()).toEqual([...Array(6).fill('idle'), ...Array(2).fill('rotated')])
  expect(fan.s.obtained()).toBe(2)
})

test('two take the same message at once: one is busy, and nothing is done twice', async () => {
  const fan = await openFanOut(NAMES.slice(0, 1))
  fan.queue.switches.twice = true
  await fan.sweep()
  const taken = await Promise.all([fan.take(), fan.take()])
  const outcomes = taken.flatMap(it => Object.values(outcomesOf(it))).toSorted()
  expect(outcomes[1]).toBe('rotated')
  expect(['busy', 'idle']).toContain(outcomes[0])
  expect(fan.s.obtained()).toBe(1)
})

describe('the sweep does itself', () => {
  test('what is near its end, whatever becomes of the queue', async () => {
    const fan = await openFanOut(NAMES, { daysLeft: 2 })
    expect(outcomesOf(await fan.sweep())).toEqual({ 'eu-1': 'rotated', 'eu-2': 'rotated', 'eu-3': 'rotated' })
    expect(fan.bodies()).toEqual([])
  })

  test('what the queue did not take of a batch, and says so', async () => {
    const fan = await openFanOut(NAMES)
    fan.queue.switches.refuses = 'eu-2'
    const swept = await fan.sweep()
    expect(outcomesOf(swept)).toEqual({ 'eu-1': 'suspended', 'eu-2': 'rotated', 'eu-3': 'suspended' })
    expect(swept?.['eu-2']?.warnings).toContainEqual({
      code: 'not-handed-on',
      message:
        'fan-out (sqs): SendMessageBatch did not take it (InternalError); this run looked after eu-2 itself',
    })
    expect(fan.bodies()).toHaveLength(2)
  })

  test.each([
    ['cannot be reached', { drop: 'before' }],
    ['answers nonsense', { status: 200, body: '<html>' }],
    ['forbids it', { status: 403, body: '{"__type":"AccessDeniedException","message":"no"}' }],
    ['fails', { status: 500, body: '{}' }],
  ] as const)('everything, where the queue %s', async (_, fault) => {
    const fan = await openFanOut(NAMES.slice(0, 2))
    fan.s.faults.add({ operations: ['sqs.*'], times: 9, ...fault })
    const swept = await fan.sweep()
    expect(outcomesOf(swept)).toEqual({ 'eu-1': 'rotated', 'eu-2': 'rotated' })
    expect(swept?.['eu-1']?.warnings.map(it => it.code)).toContain('not-handed-on')
  })

  test('everything, where no queue is named', async () => {
    const fan = await openFanOut(NAMES.slice(0, 1), {
      change: settings => {
        settings.schedule.fanOut.queueUrl = null
      },
    })
    const swept = await fan.sweep()
    expect(outcomesOf(swept)).toEqual({ 'eu-1': 'rotated' })
    expect(JSON.stringify(swept?.['eu-1']?.warnings)).toContain('set schedule.fanOut.queueUrl')
  })

  test('an answer of the queue that was lost: sent, and rotated here; the message then finds nothing to do', async () => {
    const fan = await openFanOut(NAMES.slice(0, 1))
    fan.s.faults.add({ operations: ['sqs.*'], times: 9, drop: 'after' })
    expect(outcomesOf(await fan.sweep())).toEqual({ 'eu-1': 'rotated' })
    const taken = await fan.takeAll()
    expect(taken.length).toBeGreaterThan(0)
    expect(taken.map(outcomesOf)).toEqual(taken.map(() => ({ 'eu-1': 'idle' })))
    expect(fan.s.obtained()).toBe(1)
  })
})

test('a person’s run does everything itself', async () => {
  const fan = await openFanOut(NAMES.slice(0, 1))
  expect((await fan.run())['eu-1']?.outcome).toBe('rotated')
  expect(fan.bodies()).toEqual([])
})

test('a target that failed is delivered again, backs off meanwhile, and is rotated by a later sweep’s message', async () => {
  const fan = await openFanOut(NAMES.slice(0, 1))
  await fan.sweep()
  fan.s.faults.add({ operations: ['acme.NewOrder'], times: 99, status: 500, body: '{}' })
  expect(outcomesOf(await fan.take())).toEqual({ 'eu-1': 'failed' })
  // Not to be seen until its visibility timeout ends.
  expect(await fan.take()).toBeNull()
  expect(fan.bodies()).toHaveLength(1)
  fan.s.clock.advance(16 * 60_000)
  expect(outcomesOf(await fan.take())).toEqual({ 'eu-1': 'suspended' })
  expect(fan.bodies()).toEqual([])
  fan.s.faults.clear()
  fan.s.clock.advance(2 * HOUR_MS)
  await fan.sweep()
  expect(outcomesOf(await fan.take())).toEqual({ 'eu-1': 'rotated' })
})

test('rings hold, in whatever order messages are taken', async () => {
  const fan = await openFanOut(NAMES, {
    daysLeft: 60,
    change: settings => {
      settings.rollout = {
        rings: [
          { name: 'first', targets: ['eu-1'], soak: '24h' },
          { name: 'rest', targets: ['*'] },
        ],
      }
    },
  })
  await fan.sweep()
  fan.s.ca.options.commonName = false
  fan.s.clock.advance(33 * 24 * HOUR_MS)
  const before = boundIn(fan)
  await fan.sweep()
  // The newest first.
  expect((await fan.takeAll()).map(outcomesOf)).toEqual([
    { 'eu-3': 'suspended' },
    { 'eu-2': 'suspended' },
    { 'eu-1': 'rotated' },
  ])
  expect(boundIn(fan).slice(1)).toEqual(before.slice(1))
  fan.s.clock.advance(25 * HOUR_MS)
  expect(outcomesOf(await fan.sweep())).toMatchObject({ 'eu-1': 'idle', 'eu-2': 'suspended' })
  expect((await fan.takeAll()).map(outcomesOf)).toEqual([{ 'eu-3': 'rotated' }, { 'eu-2': 'rotated' }])
})

describe('people', () => {
  const telling = async (names: readonly string[]) => {
    const receiver = await receiveAlerts()
    const fan = await openFanOut(names, {
      change: settings => {
        settings.notifiers = [{ type: 'webhook', url: receiver.url }]
      },
    })
    const told = () =>
      receiver.alerts
        .filter(it => it.kind !== 'moment')
        .map(it => [it.event, it.targets?.count ?? 1, it.reason])
    return { fan, told }
  }

  test('five runs met one broken DNS service: one message, of the next scheduled run', async () => {
    const { fan, told } = await telling(['a', 'b', 'c', 'd', 'e'])
    await fan.sweep()
    fan.s.faults.add({ operations: ['httpreq.*'], times: 999, status: 500, body: 'broken' })
    for (const name of 'edcba') expect(outcomesOf(await fan.take())).toEqual({ [name]: 'failed' })
    expect(told()).toEqual([])
    fan.s.clock.advance(HOUR_MS / 2)
    await fan.sweep()
    expect(told()).toEqual([['failed', 5, expect.stringContaining('answered 500: broken')]])
  })

  test('a certificate that was put back is told as that, although another run tells it', async () => {
    const { fan, told } = await telling(['a'])
    const [member] = fan.members
    const before = member?.boundId()
    const { certPem, keyPem } = await fan.s.issue(-1, 80, ['wrong.example.com'])
    const old = member?.iotda.certificates().find(it => it.id === before)
    member?.iotda.onBind(bound => {
      const isNew = bound?.certificatePem !== old?.certificatePem
      member.device.switches.serve = isNew ? { certPem, keyPem } : null
    })
    await fan.sweep()
    expect(outcomesOf(await fan.take())).toEqual({ a: 'rolled-back' })
    expect(member?.boundId()).toBe(before)
    fan.s.clock.advance(HOUR_MS / 2)
    await fan.sweep()
    expect(told().map(([event]) => event)).toEqual(['rolled-back'])
  })
})

describe('the process dies', () => {
  /** How many calls it makes when nothing disturbs it. */
  const countOf = async (fan: FanOut, work: () => Promise<unknown>): Promise<number> => {
    fan.s.faults.clearCalls()
    await work()
    return fan.s.faults.calls.length
  }

  /** Sweeps and messages until all is well; devices are never without a certificate that is valid. */
  const settle = async (fan: FanOut): Promise<void> => {
    for (let tried = 0; tried < 4; tried += 1) {
      await fan.takeAll()
      fan.s.clock.advance(HOUR_MS / 2)
      const swept = await fan.sweep()
      if (Object.values(outcomesOf(swept)).every(it => it === 'idle') && fan.bodies().length === 0) return
    }
    throw new Error('it does not come to rest')
  }

  test('at each call of the sweep, before and after its effect: nothing is lost, nothing is done twice', async () => {
    const fan = await openFanOut(NAMES.slice(0, 2))
    const calls = await countOf(fan, () => fan.sweep())
    expect(calls).toBe(7)
    for (let call = 1; call <= calls; call += 1)
      for (const when of ['before', 'after'] as const) {
        const dead = await fan.sweep({ call, when })
        expect(changesIn(fan), `call ${call}, ${when}`).toEqual([])
        if (dead !== null) expect(call).toBeGreaterThan(calls - 2)
      }
    await settle(fan)
    expect(fan.s.obtained()).toBe(2)
    // A leaf each, uploaded once and bound once.
    expect(changesIn(fan).filter(it => it.endsWith('UpdateDomainConfiguration'))).toHaveLength(2)
  }, 60_000)

  test.each(['before', 'after'] as const)(
    'one call further each time that the message is delivered, %s its effect: rotated in the end, once',
    async when => {
      const fan = await openFanOut(NAMES.slice(0, 1))
      await fan.sweep()
      const [member] = fan.members
      const before = member?.boundId()
      let deaths = 0
      for (let call = 1; member?.boundId() === before; call += 1) {
        expect(call).toBeLessThan(50)
        if ((await fan.take({ call, when })) === null) deaths += 1
        // The lease of the dead ends by itself before the message is to be seen again.
        fan.s.clock.advance(16 * 60_000)
        await fan.sweep()
      }
      expect(deaths).toBeGreaterThan(8)
      await settle(fan)
      expect(changesIn(fan).filter(it => it === 'iotda.CreateServerCertificate')).toHaveLength(1)
      expect(changesIn(fan).filter(it => it === 'iotda.UpdateDomainConfiguration')).toHaveLength(1)
    },
    60_000,
  )
})
