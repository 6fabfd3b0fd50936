/** Many targets in one run: what they share is asked for once, and a service that has enough is left alone. */
import { expect, test } from 'vitest'
import { openFleet } from '../support/fleet.ts'
import { DAY_MS } from '../support/scenario.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f']
const ALWAYS = Number.MAX_SAFE_INTEGER

test('targets that share a certificate ask the CA once when to renew it, and for its directory', async () => {
  const { s, members, run } = await openFleet(NAMES, {
    isShared: true,
    change: settings => {
      settings.certificates.iot.ari = true
    },
  })
  const { certPem, keyPem } = await s.issue(
    -10,
    80,
    NAMES.map(name => `${name}.example.com`),
  )
  for (const { iotda } of members) iotda.bind(iotda.upload(certPem, keyPem))
  const results = await run()
  expect(Object.values(results).map(r => r.outcome)).toEqual(NAMES.map(() => 'idle'))
  const asked = s.faults.calls.map(c => c.operation).filter(it => it.startsWith('acme.'))
  expect(asked.toSorted()).toEqual(['acme.Directory', 'acme.RenewalInfo'])
})

test('many that are due at once ask for the directory once, and none is refused for its pace', async () => {
  const { s, run, later } = await openFleet(NAMES)
  await run()
  s.faults.clearCalls()
  const results = await later(45 * DAY_MS)
  expect(Object.values(results).map(r => r.outcome)).toEqual(NAMES.map(() => 'rotated'))
  expect(s.faults.calls.filter(c => c.operation === 'acme.Directory')).toHaveLength(1)
  expect(s.faults.calls.filter(c => c.operation === 'acme.NewAccount')).toHaveLength(1)
})

test('an instance that has enough of calls is waited for, then left to the next run: nothing failed', async () => {
  const { s, run } = await openFleet(NAMES)
  await run()
  const enough = { status: 403, body: '{"error_code":"IOTDA.021101","error_msg":"Rate limit reached."}' }
  s.faults.add({ operations: ['iotda.ListServerCertificates'], ...enough, times: NAMES.length })
  expect(Object.values(await run()).map(r => r.outcome)).toEqual(NAMES.map(() => 'idle'))
  s.faults.add({ operations: ['iotda.*'], ...enough, times: ALWAYS })
  const throttled = await run()
  expect(Object.values(throttled).map(r => [r.outcome, r.error?.code])).toEqual(
    NAMES.map(() => ['suspended', 'throttled']),
  )
  s.faults.clear()
  expect(Object.values(await run()).map(r => r.outcome)).toEqual(NAMES.map(() => 'idle'))
})

test('a CA that wants to be left alone for long is asked no more by the others of the run', async () => {
  const { s, run, later } = await openFleet(NAMES)
  await run()
  s.faults.add({
    ...{ operations: ['acme.NewNonce'], status: 503, headers: { 'retry-after': '120' }, times: ALWAYS },
  })
  const results = Object.values(await later(45 * DAY_MS))
  expect(results.map(r => r.outcome).filter(it => it === 'idle')).toEqual([])
  expect(s.faults.calls.filter(c => c.operation === 'acme.NewNonce').length).toBeLessThanOrEqual(2)
  s.faults.clear()
  const next = Object.values(await later(2 * 3_600_000))
  expect(next.map(r => r.outcome)).toEqual(NAMES.map(() => 'rotated'))
})
