import { describe, expect, test } from 'vitest'
import { ERROR_CODES } from '../../lib/model/errors.ts'
import { put } from '../support/put.ts'
import { DAY_MS, HOUR_MS, openScenario, type Scenario } from '../support/scenario.ts'

/** Both slots full: one is bound and due but not in an emergency, the other is what `spare` says. */
async function full(
  spare: readonly [number, number],
  options: Parameters<typeof openScenario>[0] = {},
  daysLeft = 20,
): Promise<{ s: Scenario; bound: string; other: string }> {
  const s = await openScenario(options)
  const other = await s.upload(...spare)
  const bound = await s.bindOne(daysLeft)
  return { s, bound, other }
}

const OLDER: readonly [number, number] = [-150, 30]
const NEWER: readonly [number, number] = [-2, 88]
const EXPIRED: readonly [number, number] = [-30, -1]

describe('both slots are used, and one is bound', () => {
  test('a superseded one goes', async () => {
    const { s, bound, other } = await full(OLDER)
    await s.runTo({
      outcome: 'rotated',
      deleted: [{ serverCertificateId: other, why: expect.stringContaining('superseded') }],
    })
    expect(s.changes()).toEqual([
      'DeleteServerCertificate',
      'CreateServerCertificate',
      'UpdateDomainConfiguration',
    ])
    expect(s.ids()).toContain(bound)
    expect(s.boundId()).not.toBe(bound)
  })

  test('an expired one goes, though newer than the bound one', async () => {
    const { s, bound, other } = await full(EXPIRED)
    expect(await s.run()).toMatchObject({
      outcome: 'rotated',
      deleted: [{ serverCertificateId: other, why: expect.stringContaining('expired') }],
    })
    expect(s.ids()).toContain(bound)
  })

  test('ours goes, but nothing within an hour of a bind, forced or not', async () => {
    const s = await openScenario()
    const bound = await s.bindOne(20)
    await s.runTo({ outcome: 'rotated', deleted: [] })
    const ours = s.boundId()
    s.changes()

    const early = await s.runTo({ outcome: 'suspended', deleted: [] }, { force: true })
    expect(early.decision.nextCheckAt).not.toBeNull()
    expect(s.changes()).toEqual([])
    expect(s.obtained()).toBe(1)

    expect(await s.later(HOUR_MS, { force: true })).toMatchObject({
      outcome: 'rotated',
      deleted: [{ serverCertificateId: bound, why: expect.stringContaining('superseded') }],
    })
    expect(await s.later(2 * HOUR_MS, { force: true })).toMatchObject({
      outcome: 'rotated',
      deleted: [{ serverCertificateId: ours, why: expect.stringContaining('ours') }],
    })
    expect(s.obtained()).toBe(3)
  })

  test("somebody else's newer one is kept for 24 hours, and no order is placed meanwhile", async () => {
    const { s, bound, other } = await full(NEWER)
    const waits = await s.runTo({ outcome: 'suspended', deleted: [] })
    const until = Date.parse(waits.decision.nextCheckAt ?? '')
    expect(Math.abs(until - s.clock.now() - DAY_MS)).toBeLessThan(60_000)
    expect(await s.later(23 * HOUR_MS)).toMatchObject({ outcome: 'suspended', deleted: [] })
    expect(s.changes()).toEqual([])
    expect(s.ca.orders).toHaveLength(0)

    expect(await s.later(2 * HOUR_MS)).toMatchObject({
      outcome: 'rotated',
      deleted: [{ serverCertificateId: other, why: expect.stringContaining('for a day') }],
    })
    expect(s.ids()).toContain(bound)
  })

  test.each([
    ['by force', 20, true],
    ['in the emergency', 3, false],
  ])("somebody else's newer one goes at once %s", async (_, daysLeft, force) => {
    const { s, bound, other } = await full(NEWER, {}, daysLeft)
    expect(await s.run({ force })).toMatchObject({
      outcome: 'rotated',
      deleted: [{ serverCertificateId: other, why: expect.stringContaining('emergency') }],
    })
    expect(s.ids()).toContain(bound)
  })

  test.each(['managed', 'never'] as const)('slots.delete %s keeps what is not ours', async policy => {
    const { s, bound, other } = await full(OLDER, {
      change: put({ 'targets.0.slots': { delete: policy } }),
    })
    const result = await s.runTo(
      { outcome: 'refused', deleted: [], error: { code: 'slots-full' } },
      { force: true },
    )
    expect(result.error?.message).toContain(other)
    expect(s.changes()).toEqual([])
    expect(s.ca.orders).toHaveLength(0)
    expect(s.boundId()).toBe(bound)
  })

  test.each([
    ['managed', 'rotated', 1],
    ['never', 'refused', 0],
  ] as const)('slots.delete %s with one of ours: %s', async (policy, outcome, deleted) => {
    const s = await openScenario()
    const bound = await s.bindOne(20)
    await s.run()
    s.iotda.deleteCertificate(bound)
    s.clock.advance(2 * HOUR_MS)
    const ours = s.boundId()
    expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated', deleted: [] })
    s.clock.advance(2 * HOUR_MS)
    await s.configure(put({ 'targets.0.slots': { delete: policy } }))
    const result = await s.run({ force: true })
    expect(result.outcome).toBe(outcome)
    expect(result.deleted).toHaveLength(deleted)
    expect(s.ids().includes(ours ?? '')).toBe(deleted === 0)
  })

  test('what is still served is not deleted', async () => {
    const { s, other } = await full(OLDER)
    const stored = s.iotda.certificates().find(c => c.id === other)
    if (!stored) throw new Error('not there')
    s.device.switches.serve = { certPem: stored.certificatePem, keyPem: stored.keyPem }
    expect(await s.run({ force: true })).toMatchObject({ outcome: 'suspended', deleted: [] })
    expect(s.changes()).toEqual([])
  })
})

describe('nothing is bound, and there is no domain configuration', () => {
  const create = {
    change: (settings: { targets: { domainConfiguration?: string }[] }) => {
      for (const target of settings.targets) target.domainConfiguration = 'create'
    },
  }

  test.each([
    ['the oldest of our domain goes', OLDER, NEWER, 'no domain configuration'],
    ['the expired one goes first', EXPIRED, OLDER, 'expired'],
  ])('%s', async (_, goes, stays, why) => {
    const s = await openScenario(create)
    const kept = await s.upload(...stays)
    const gone = await s.upload(...goes)
    expect(await s.run()).toMatchObject({
      outcome: 'rotated',
      decision: { reason: 'no-certificate' },
      deleted: [{ serverCertificateId: gone, why: expect.stringContaining(why) }],
    })
    expect(s.changes()).toEqual([
      'DeleteServerCertificate',
      'CreateServerCertificate',
      'CreateDomainConfiguration',
    ])
    expect(s.ids()).toContain(kept)
    expect(s.iotda.configurations()).toMatchObject([{ domain_name: s.domain }])
  })

  test("other names' certificates are nobody's to delete", async () => {
    const s = await openScenario(create)
    for (const range of [OLDER, NEWER]) await s.upload(...range, ['other.example.com'])
    expect(await s.run({ force: true })).toMatchObject({
      outcome: 'refused',
      deleted: [],
      error: { code: 'slots-full' },
    })
    expect(s.changes()).toEqual([])
    expect(s.ca.orders).toHaveLength(0)
  })
})

test('one slot is free: nothing is deleted', async () => {
  const s = await openScenario()
  const bound = await s.bindOne(20)
  expect(await s.run()).toMatchObject({ outcome: 'rotated', deleted: [] })
  expect(s.changes()).toEqual(['CreateServerCertificate', 'UpdateDomainConfiguration'])
  expect(s.ids()).toContain(bound)
})

test.each([{ force: false }, { force: true }])(
  "another domain's configuration is an error, and nothing is touched: %j",
  async event => {
    const s = await openScenario()
    await s.upload(...OLDER)
    s.iotda.createConfiguration('other.example.com', await s.upload(-70, 20))
    s.faults.clearCalls()
    const result = await s.runTo(
      { outcome: 'failed', deleted: [], error: { code: 'domain-mismatch' } },
      event,
    )
    expect(result.error?.message).toContain('other.example.com')
    expect(ERROR_CODES['domain-mismatch'].exit).toBe(2)
    expect(s.faults.calls.filter(c => c.method !== 'GET')).toEqual([])
    expect(s.ids()).toHaveLength(2)
  },
)

describe('what fails before the upload deletes nothing', () => {
  const expectUntouched = (s: Scenario, bound: string, other: string): void => {
    expect(s.changes()).toEqual([])
    expect(s.ids()).toEqual([bound, other])
    expect(s.boundId()).toBe(bound)
  }

  test('the CA gives up on the order', async () => {
    const { s, bound, other } = await full(OLDER)
    s.ca.options.issuanceProblem = { type: 'serverInternal', detail: 'out of ink' }
    await s.runTo({ outcome: 'failed', deleted: [], error: { code: 'order-failed' } })
    expectUntouched(s, bound, other)
  })

  test('preflight refuses', async () => {
    const { s, bound, other } = await full(OLDER, {
      change: put({ 'certificates.iot.keyType': 'rsa-2048' }),
    })
    await s.runTo({ outcome: 'refused', deleted: [], error: { code: 'preflight-refused' } })
    expectUntouched(s, bound, other)
  })

  test('the binding cannot be read', async () => {
    const { s, bound, other } = await full(OLDER)
    s.faults.add({ operations: ['iotda.ShowDomainConfiguration'], status: 500, times: 100 })
    expect(await s.run()).toMatchObject({ outcome: 'failed', deleted: [], error: { code: 'unavailable' } })
    expectUntouched(s, bound, other)
  })
})
