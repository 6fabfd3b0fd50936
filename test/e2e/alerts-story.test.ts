/** Sixty days in which the DNS API of one of three targets is broken: every message that anybody gets. */
import { expect, test } from 'vitest'
import type { AlertEvent } from '../../lib/contracts.ts'
import { createDeviceEndpoint } from '../../sandbox/device-endpoint.ts'
import { createHttpreq } from '../../sandbox/dns/httpreq.ts'
import { createIotda } from '../../sandbox/iotda/iotda.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { type AlertReceiver, receiveAlerts } from '../support/alert-receiver.ts'
import { cleanups } from '../support/cleanups.ts'
import { DAY_MS, HOUR_MS, openScenario, type Scenario } from '../support/scenario.ts'

const DAYS = 60
const EVERY_MS = 6 * HOUR_MS

/** A second and a third instance beside the sandbox's own. */
async function openInstance(s: Scenario, instanceId: string, untilDays: number) {
  const { faults, accessKeys } = s.rig.sandbox
  const { projectId, region } = s.settings(() => {}).targets[0].instance
  const iotda = await createIotda({
    ...{ faults, projectId, region, instanceId, keys: accessKeys, now: s.clock.now },
  })
  const device = await createDeviceEndpoint({ iotda, now: s.clock.now })
  cleanups.push(iotda.dispose, device.dispose)
  const { certPem, keyPem } = await s.issue(untilDays - 90, untilDays)
  iotda.createConfiguration(s.domain, iotda.upload(certPem, keyPem))
  return { iotda, device, instanceId }
}

async function openFleet(receivers: {
  readonly chat: AlertReceiver
  readonly pager: AlertReceiver
  readonly audit: AlertReceiver
}) {
  const broken = createFaults()
  const s = await openScenario()
  const dns = await createHttpreq({ dns: s.rig.sandbox.dns, faults: broken })
  cleanups.push(dns.dispose)
  await s.bindOne(85)
  const others = [
    await openInstance(s, '22222222-2222-3333-4444-555555555555', 58),
    await openInstance(s, '33333333-2222-3333-4444-555555555555', 80),
  ]
  await s.configure(settings => {
    const [first] = settings.targets
    for (const [i, { iotda, device, instanceId }] of others.entries())
      settings.targets.push({
        ...first,
        ...{ name: `factory-${i + 2}`, certificate: `iot-${i + 2}` },
        instance: { ...first.instance, instanceId, endpoint: iotda.url },
        probe: { ...first.probe, port: device.port, addresses: [...device.addresses] },
      })
    settings.solvers.broken = { ...settings.solvers.dns, url: dns.url }
    settings.sources.broken = { ...settings.sources.sandbox, solver: 'broken' }
    settings.certificates.iot.ari = false
    settings.certificates['iot-2'] = { ...settings.certificates.iot, source: 'broken' }
    settings.certificates['iot-3'] = { ...settings.certificates.iot }
    settings.schedule = { interval: '6h' }
    settings.notifiers = [
      { type: 'webhook', url: receivers.chat.url, name: 'chat' },
      { type: 'webhook', url: receivers.pager.url, name: 'pager', minSeverity: 'critical' },
      { type: 'webhook', url: receivers.audit.url, name: 'audit', events: ['rotated'] },
    ]
  })
  return { s, broken }
}

test('few messages, rising, then one that all is well', async () => {
  const receivers = {
    chat: await receiveAlerts(),
    pager: await receiveAlerts(),
    audit: await receiveAlerts(),
  }
  const { s, broken } = await openFleet(receivers)
  const startedAt = s.clock.now()
  broken.add({ operations: ['httpreq.*'], status: 500, times: Number.MAX_SAFE_INTEGER })
  const outcomes: string[] = []
  while (s.clock.now() - startedAt < DAYS * DAY_MS) {
    const { results } = await s.rig.run({}, { clock: s.clock })
    outcomes.push(...results.filter(r => r.target !== 'factory-2').map(r => r.outcome))
    s.clock.advance(EVERY_MS)
  }
  broken.clear()
  for (let i = 0; i < 5; i += 1) {
    await s.rig.run({}, { clock: s.clock })
    s.clock.advance(EVERY_MS)
  }
  const told = ({ alerts }: AlertReceiver): readonly string[] =>
    alerts.map(
      a => `day ${dayOf(a, startedAt)} ${a.target} ${a.kind} ${a.event} ${a.severity} ${a.daysLeft}d left`,
    )

  const critical = [
    'day 55 factory-2 worse expiring critical 2d left',
    'day 56 factory-2 reminder failed critical 1d left',
    'day 57 factory-2 worse expiring critical 0d left',
    'day 58 factory-2 worse expiring critical -1d left',
    'day 59 factory-2 reminder failed critical -2d left',
    'day 60 factory-2 recovered recovered info 89d left',
  ]
  expect(told(receivers.chat)).toEqual([
    'day 0 factory-1 moment adopted warning 84d left',
    'day 0 factory-2 moment adopted warning 57d left',
    'day 0 factory-3 moment adopted warning 79d left',
    'day 28 factory-2 new failed warning 29d left',
    'day 35 factory-2 reminder failed warning 22d left',
    'day 42 factory-2 reminder failed warning 15d left',
    'day 44 factory-2 worse expiring warning 13d left',
    'day 51 factory-2 worse expiring warning 6d left',
    ...critical,
  ])
  expect(told(receivers.pager)).toEqual(critical)
  expect(told(receivers.audit)).toEqual([
    'day 50 factory-3 moment rotated info 89d left',
    'day 55 factory-1 moment rotated info 89d left',
    'day 60 factory-2 moment rotated info 89d left',
  ])
  const ofTrouble = receivers.chat.alerts.filter(a => a.target === 'factory-2' && a.kind !== 'moment')
  expect(new Set(ofTrouble.map(a => a.dedupKey)).size).toBe(1)
  for (const { error, kind, whatToDo, runbook, nextTryAt } of ofTrouble.slice(0, -1)) {
    expect(error, kind).toMatchObject({ code: expect.any(String), message: expect.stringContaining('500') })
    expect(whatToDo.length).toBeGreaterThan(10)
    expect(runbook).toBe(`RUNBOOK.md#${error?.code}`)
    expect(nextTryAt === null || Date.parse(nextTryAt) > startedAt).toBe(true)
  }
  expect(ofTrouble.at(-1)).toMatchObject({ error: null, ends: { event: 'failed', severity: 'critical' } })
  expect((ofTrouble.at(-1)?.durationMs ?? 0) / DAY_MS).toBeCloseTo(31.75, 0)
  // The other two never noticed.
  expect(new Set(outcomes)).toEqual(new Set(['idle', 'rotated']))
}, 300_000)

const dayOf = ({ at }: AlertEvent, startedAt: number): number =>
  Math.floor((Date.parse(at) - startedAt) / DAY_MS)
