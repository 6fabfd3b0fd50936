/** The keys of IoTDA are revoked, and nobody mends it: what people hear while the certificate runs out. */
import { expect, test } from 'vitest'
import { emfLines } from '../../lib/present/emf.ts'
import { prometheusText } from '../../lib/present/prometheus.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { DAY_MS, openScenario } from '../support/scenario.ts'

// biome-ignore lint/suspicious/noExplicitAny: settings to be changed at will.
async function openRevoked(change: (settings: any) => void = () => {}) {
  const chat = await receiveAlerts()
  const pager = await receiveAlerts()
  const s = await openScenario()
  await s.bindOne(40)
  await s.configure(settings => {
    settings.schedule = { interval: '1d' }
    settings.notifiers = [
      { type: 'webhook', url: chat.url, name: 'chat' },
      { type: 'webhook', url: pager.url, name: 'pager', minSeverity: 'critical' },
    ]
    change(settings)
  })
  s.faults.add({ operations: ['iotda.*'], status: 403, times: Number.MAX_SAFE_INTEGER })
  return { s, chat, pager }
}

test('it rises with the days left of what is served, which needs no keys to be seen', async () => {
  const { s, chat, pager } = await openRevoked()
  const startedAt = s.clock.now()
  for (let day = 0; day < 42; day += 1) {
    await s.rig.run({}, { clock: s.clock })
    s.clock.advance(startedAt + (day + 1) * DAY_MS - s.clock.now())
  }
  const told = chat.alerts.map(a => `${a.kind} ${a.event} ${a.severity} ${a.daysLeft}d`)
  const critical = told.slice(told.findIndex(it => it.includes('critical')))
  expect(told.slice(0, -critical.length)).toEqual([
    'new failed warning 39d',
    'reminder failed warning 32d',
    'worse expiring warning 29d',
    'reminder failed warning 22d',
    'reminder failed warning 15d',
    'worse expiring warning 13d',
    'worse expiring warning 6d',
  ])
  expect(critical).toEqual([
    'worse expiring critical 2d',
    'reminder failed critical 1d',
    'worse expiring critical 0d',
    'worse expiring critical -1d',
    'reminder failed critical -2d',
  ])
  expect(pager.alerts).toHaveLength(critical.length)
}, 120_000)

test('where the port cannot be seen either, with those of what was last seen', async () => {
  const { s, chat } = await openRevoked(settings => {
    for (const target of settings.targets) target.probe = { mode: 'off' }
  })
  s.faults.clear()
  await s.rig.run({}, { clock: s.clock })
  s.faults.add({ operations: ['iotda.*'], status: 403, times: Number.MAX_SAFE_INTEGER })
  for (const days of [1, 25, 12]) {
    s.clock.advance(days * DAY_MS)
    await s.rig.run({}, { clock: s.clock })
  }
  expect(
    chat.alerts.filter(a => a.kind !== 'moment').map(a => `${a.kind} ${a.severity} ${a.daysLeft}d`),
  ).toEqual(['new warning 38d', 'worse warning 13d', 'worse critical 1d'])
})

test('metrics tell the days left, and no slots that nobody saw', async () => {
  const { s } = await openRevoked()
  const [, target] = emfLines(await s.rig.run({}, { clock: s.clock }), 'rotate').map(line => JSON.parse(line))
  expect(target.DaysLeftServed).toBeCloseTo(40, 0)
  expect(target).not.toHaveProperty('SlotsUsed')
  expect(target).not.toHaveProperty('DaysLeftBound')
  const text = prometheusText(await s.rig.run({ action: 'status' }, { clock: s.clock }))
  expect(text).toMatch(/^iotda_cert_days_left\{target="factory-1",what="served"\} (39\.9|40)/m)
  expect(text).not.toMatch(/^iotda_cert_slots_used\{/m)
})
