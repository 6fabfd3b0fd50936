/** What a CA does that no test CA plays: each time what happens, what is kept, and what the next run does. */
import { X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { LETS_ENCRYPT } from '../../sandbox/acme-ca/limits.ts'
import { put } from '../support/put.ts'
import { DAY_MS, HOUR_MS, openDue, openScenario, type Scenario } from '../support/scenario.ts'

const called = (s: Scenario, operation: string): readonly (number | null)[] =>
  s.faults.calls.filter(call => call.operation === `acme.${operation}`).map(call => call.status)
const placed = (s: Scenario): number => called(s, 'NewOrder').filter(status => status === 201).length
const daysOfBound = (s: Scenario): number => {
  const pem = s.iotda.certificates().find(({ id }) => id === s.boundId())?.certificatePem ?? ''
  const { validFrom, validTo } = new X509Certificate(pem)
  return Math.round((Date.parse(validTo) - Date.parse(validFrom)) / DAY_MS)
}
/** Ours is bound, and the last quarter of an hour of its window has begun: due, whatever instant was drawn. */
async function ours(): Promise<Scenario> {
  const { s } = await openDue()
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  const { notBefore, notAfter } = s.ca.issued.at(-1) ?? { notBefore: new Date(), notAfter: new Date() }
  const lifetimeMs = notAfter.getTime() - notBefore.getTime()
  const end = notAfter.getTime() - lifetimeMs / 3 + lifetimeMs / 100
  s.clock.advance(end - HOUR_MS / 4 - s.clock.now())
  s.faults.clearCalls()
  return s
}
const logged = (s: Scenario, text: string): boolean => s.rig.logged.some(line => line.includes(text))

describe('an order that replaces the bound certificate', () => {
  test('was placed, but its answer was lost: the next order says nothing of the predecessor, and is the same one', async () => {
    const s = await ours()
    s.faults.add({ operations: ['acme.NewOrder'], drop: 'after' })
    expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'unavailable' } })
    expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'rotated' })
    expect(called(s, 'NewOrder')).toEqual([null, 409, 201])
    expect(logged(s, 'alreadyReplaced')).toBe(true)
    expect(s.ca.orders.filter(order => order.replaces !== null)).toHaveLength(1)
  })

  test('is unfinished: the next run goes on with it, and blocks itself with no other', async () => {
    const s = await ours()
    s.ca.options.asyncFinalizeMs = 2 * HOUR_MS
    expect(await s.run({}, { budgetMs: 200_000 })).toMatchObject({ outcome: 'suspended' })
    expect(await s.run({}, { budgetMs: 200_000 })).toMatchObject({ outcome: 'suspended' })
    expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'rotated' })
    expect(called(s, 'NewOrder')).toEqual([201])
  })
})

describe('rate limits', () => {
  /** Somebody else had five certificates for the same names within this hour. */
  const usedUp = async (s: Scenario): Promise<void> => {
    s.ca.options.limits = LETS_ENCRYPT
    for (let i = 0; i < 5; i += 1) await s.issue(-30, 60)
  }

  test('of the same names: 34 hours are waited for, whoever forces, and not slept on', async () => {
    const { s } = await openDue()
    await usedUp(s)
    const started = s.clock.now()
    const told = await s.runTo({ outcome: 'failed', error: { code: 'rate-limited' } })
    expect(told.error?.message).toContain('exact set of identifiers')
    const retryAt = Date.parse(told.error?.retryAt ?? '')
    expect((retryAt - started) / HOUR_MS).toBeGreaterThan(33)
    expect((retryAt - started) / HOUR_MS).toBeLessThan(34)
    expect(await s.later(33 * HOUR_MS, { force: true })).toMatchObject({
      outcome: 'suspended',
      decision: { reason: 'paused' },
    })
    expect(await s.later(retryAt - s.clock.now())).toMatchObject({ outcome: 'rotated' })
    expect(placed(s)).toBe(1)
  })

  test('do not count for an order in the window of the certificate it replaces', async () => {
    const s = await ours()
    await usedUp(s)
    expect(await s.run()).toMatchObject({ outcome: 'rotated', decision: { reason: 'renewal-window' } })
  })

  /** The CA looks where nothing is; our own look finds the record. */
  const failValidations = (s: Scenario) => {
    const { dnsServer, dnsTimeoutMs } = s.ca.options
    Object.assign(s.ca.options, { dnsServer: '127.0.0.1:1', dnsTimeoutMs: 5 })
    return () => Object.assign(s.ca.options, { dnsServer, dnsTimeoutMs })
  }
  const unlimited = (s: Scenario): Promise<void> =>
    s.configure(put({ 'sources.sandbox.budget': { orders: 100, failedValidations: 100 } }))

  test('of failed validations: the CA counts as well, and is believed', async () => {
    const { s } = await openDue()
    await unlimited(s)
    s.ca.options.limits = LETS_ENCRYPT
    const mend = failValidations(s)
    for (let i = 0; i < 5; i += 1)
      expect(await s.run({ force: true })).toMatchObject({ error: { code: 'validation-failed' } })
    const sixth = await s.runTo({ outcome: 'failed', error: { code: 'rate-limited' } }, { force: true })
    expect(sixth.error?.message).toContain('too many failed authorizations')
    mend()
    expect(
      await s.later(Date.parse(sixth.error?.retryAt ?? '') - s.clock.now(), { force: true }),
    ).toMatchObject({ outcome: 'rotated' })
  })

  test('end in a pause: the link is told, and after a person has followed it the next try gets through', async () => {
    const { s } = await openDue()
    await unlimited(s)
    s.ca.options.limits = {
      newOrders: null,
      certificates: null,
      failedValidations: null,
      failuresUntilPause: 2,
    }
    const mend = failValidations(s)
    for (let i = 0; i < 2; i += 1) await s.run({ force: true })
    mend()
    const told = await s.runTo({ outcome: 'failed', error: { code: 'rate-limited' } }, { force: true })
    expect(told.error?.hint).toContain(`${s.ca.url}/unpause?jwt=`)
    expect(await s.later(HOUR_MS, { force: true })).toMatchObject({ error: { code: 'rate-limited' } })
    s.ca.unpause()
    expect(await s.later(HOUR_MS, { force: true })).toMatchObject({ outcome: 'rotated' })
  })
})

describe('profiles', () => {
  test('are asked for, kept for every renewal, and a dropped one is replaced as the settings say', async () => {
    const { s } = await openDue({
      change: settings => {
        Object.assign(settings.certificates.iot, { profile: 'shortlived', profileFallback: 'tlsserver' })
      },
    })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(daysOfBound(s)).toBe(7)
    s.ca.options.profiles = ['classic', 'tlsserver']
    expect(await s.later(4 * DAY_MS)).toMatchObject({ outcome: 'rotated' })
    expect(daysOfBound(s)).toBe(45)
    expect(logged(s, 'ordering with profile tlsserver')).toBe(true)
    // Another profile than the settings name is no reason to order again.
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('dropped without another one in the settings: a person is told, once, and nothing is ordered', async () => {
    const { s } = await openDue({
      change: put({ 'certificates.iot.profile': 'shortlived' }),
    })
    s.ca.options.profiles = ['classic']
    const told = await s.runTo({ outcome: 'failed', error: { code: 'ca-rejected' } })
    expect(told.error?.hint).toContain('profile')
    expect(await s.run()).toMatchObject({ decision: { reason: 'backing-off' } })
    expect(s.ca.orders).toHaveLength(0)
  })

  test('dropped while an order is under way: a new one with the other profile', async () => {
    const { s } = await openDue({
      change: settings => {
        Object.assign(settings.certificates.iot, { profile: 'shortlived', profileFallback: true })
      },
    })
    const type = 'urn:ietf:params:acme:error:invalidProfile'
    const body = JSON.stringify({ type, detail: 'no longer offered' })
    s.faults.add({ operations: ['acme.Finalize'], status: 400, body })
    expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'order-failed' } })
    s.ca.options.profiles = ['classic']
    expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'rotated' })
    expect(daysOfBound(s)).toBe(90)
  })
})

test('a CA that never finishes: one order, asked for at each run, and another one when it has expired', async () => {
  const { s } = await openDue()
  s.ca.options.asyncFinalizeMs = 1_000 * DAY_MS
  for (let hour = 0; hour < 3; hour += 1) {
    expect(await s.run({}, { budgetMs: 200_000 })).toMatchObject({ outcome: 'suspended', error: null })
    s.clock.advance(HOUR_MS)
  }
  expect(placed(s)).toBe(1)
  s.clock.advance(7 * DAY_MS)
  s.ca.options.asyncFinalizeMs = 0
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  expect(placed(s)).toBe(2)
  expect(s.obtained()).toBe(1)
})

test('a CA that has lost its orders: a new one, in the same run', async () => {
  const { s } = await openDue()
  s.ca.options.asyncFinalizeMs = DAY_MS
  expect(await s.run({}, { budgetMs: 200_000 })).toMatchObject({ outcome: 'suspended' })
  s.ca.loseOrders()
  s.ca.options.asyncFinalizeMs = 0
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  expect(placed(s)).toBe(2)
  expect(s.ca.accounts).toHaveLength(1)
})

describe('a CA that moves', () => {
  test.each([301, 308] as const)(
    'and redirects (%i) is followed; the account and the predecessor stay, and the log says where to',
    async status => {
      const s = await ours()
      await s.ca.move(status)
      expect(await s.run()).toMatchObject({ outcome: 'rotated' })
      expect(s.ca.accounts).toHaveLength(1)
      expect(logged(s, `directory has moved to ${s.ca.directoryUrl}`)).toBe(true)
      expect(await s.run()).toMatchObject({ outcome: 'idle' })
    },
  )

  test.each([308, null] as const)(
    'while its directory is remembered (%s): it is fetched again, and the account is found',
    async status => {
      const { s } = await openDue()
      expect(await s.run()).toMatchObject({ outcome: 'rotated' })
      s.clock.advance(2 * HOUR_MS)
      await s.ca.move(status)
      // Whoever finds nothing at the old place has to say where the new one is.
      if (status === null) await s.configure(() => {})
      expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated' })
      expect(s.ca.accounts).toHaveLength(1)
    },
  )

  test('with an order under way: another one at the new place', async () => {
    const { s } = await openDue()
    s.ca.options.asyncFinalizeMs = DAY_MS
    expect(await s.run({}, { budgetMs: 200_000 })).toMatchObject({ outcome: 'suspended' })
    await s.ca.move(308)
    s.ca.options.asyncFinalizeMs = 0
    expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'rotated' })
    expect(s.obtained()).toBe(1)
  })

  test.each([
    ['leaves nothing behind', null, 'unreachable'],
    ['answers 404', 404, 'ca-rejected'],
  ] as const)(
    'and %s: the setting is named; with the new one the same account goes on',
    async (_, status, code) => {
      const { s } = await openDue()
      s.ca.options.asyncFinalizeMs = DAY_MS
      expect(await s.run({}, { budgetMs: 200_000 })).toMatchObject({ outcome: 'suspended' })
      await s.ca.move(status)
      s.ca.options.asyncFinalizeMs = 0
      const told = await s.later(25 * HOUR_MS)
      expect(told).toMatchObject({ outcome: 'failed', error: { code } })
      expect(told.error?.hint).toContain('sources.sandbox.directory')
      await s.configure(() => {})
      expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'rotated' })
      expect(s.ca.accounts).toHaveLength(1)
    },
  )
})

test('a first run whose DNS cannot be written makes no account, and asks the CA nothing', async () => {
  const s = await openScenario()
  await s.bindOne(20)
  await s.configure(put({ 'solvers.dns.url': 'http://127.0.0.1:1' }))
  expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'unreachable' } })
  expect(s.ca.accounts).toEqual([])
  expect(s.faults.calls.filter(call => call.operation.startsWith('acme.') && call.method !== 'GET')).toEqual(
    [],
  )
})
