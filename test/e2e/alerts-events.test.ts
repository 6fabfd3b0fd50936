/** Every event, told by a real run; each says what, which, why and what to do, in both languages. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { run } from '../../lib/app/run.ts'
import { silentLog } from '../../lib/base/log.ts'
import type { AlertEvent } from '../../lib/contracts.ts'
import { EVENT_NAMES, type EventName } from '../../lib/model/events.ts'
import { wordingOf } from '../../lib/notifiers/shared/wording.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { type AlertReceiver, receiveAlerts } from '../support/alert-receiver.ts'
import { caExtensions, issue } from '../support/issue.ts'
import { put } from '../support/put.ts'
import { runEvent } from '../support/run-event.ts'
import { DAY_MS, HOUR_MS, openDue, openScenario, type Scenario } from '../support/scenario.ts'

interface Told {
  readonly s: Scenario
  readonly receiver: AlertReceiver
  /** More settings, beside the one that tells everything. */
  configure(change?: (settings: SandboxSettings) => void): Promise<void>
}

const runbook = await readFile(fileURLToPath(new URL('../../RUNBOOK.md', import.meta.url)), 'utf8')

async function telling(open: () => Promise<Scenario>): Promise<Told> {
  const receiver = await receiveAlerts()
  const s = await open()
  const configure: Told['configure'] = (change = () => {}) =>
    s.configure(settings => {
      settings.notifiers = [{ type: 'webhook', url: receiver.url, minSeverity: 'info' }]
      change(settings)
    })
  await configure()
  return { s, receiver, configure }
}
const due = (): Promise<Scenario> => openDue().then(({ s }) => s)
const fresh = (daysLeft: number) => async (): Promise<Scenario> => {
  const s = await openScenario()
  await s.bindOne(daysLeft)
  return s
}
const dnsDown = (s: Scenario): void =>
  s.faults.add({ operations: ['httpreq.Present'], status: 500, times: 9_999 })
const serveWrong = async (s: Scenario): Promise<void> => {
  const wrong = await issueLeaf({ names: [s.domain], issuer: await createRoot() })
  const stop = s.iotda.onBind(() => {
    s.device.switches.serve = { certPem: wrong.chainPem, keyPem: wrong.keyPem }
    stop()
  })
}
const stories: Readonly<Partial<Record<EventName, () => Promise<AlertReceiver>>>> = {
  rotated: async () => {
    const { s, receiver } = await telling(due)
    await s.run()
    return receiver
  },
  adopted: async () => {
    const { s, receiver } = await telling(fresh(60))
    await s.run()
    return receiver
  },
  recalled: async () => {
    const { s, receiver } = await telling(fresh(80))
    const { certId } = s.ca.issued.at(-1) ?? { certId: '' }
    const ago = (hours: number) => new Date(s.clock.now() - hours * HOUR_MS)
    s.ca.setRenewalInfo(certId, { start: ago(2), end: ago(1), explanationURL: 'https://ca.test/incident' })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    return receiver
  },
  repaired: async () => {
    const { s, receiver } = await telling(fresh(60))
    await s.run()
    // An earlier certificate is served although this one is bound; binding it again mends that.
    const older = await s.issue(-80, 10)
    s.device.switches.serve = older as never
    s.iotda.onBind(() => {
      s.device.switches.serve = null
    })
    await s.later(2 * HOUR_MS)
    return receiver
  },
  failed: async () => {
    const { s, receiver } = await telling(due)
    dnsDown(s)
    await s.run()
    return receiver
  },
  'rolled-back': async () => {
    const { s, receiver } = await telling(due)
    await serveWrong(s)
    await s.run()
    return receiver
  },
  refused: async () => {
    const { s, receiver, configure } = await telling(due)
    await configure(put({ 'targets.0.profiles': [{ name: 'meter-v1', keyTypes: ['rsa-2048'] }] }))
    await s.run()
    return receiver
  },
  'rollout-frozen': async () => {
    const { s, receiver, configure } = await telling(due)
    await configure(put({ rollout: { rings: [{ name: 'all', targets: ['*'] }] } }))
    await serveWrong(s)
    await s.run()
    return receiver
  },
  'devices-missing': async () => {
    const { s, receiver, configure } = await telling(fresh(44))
    await configure(put({ 'targets.0.devices': { watch: '8h' }, 'certificates.iot.ari': false }))
    const online = (count: number) => () =>
      Array.from({ length: count }, (_, i) => ({
        deviceId: `${i}`,
        productId: 'p',
        status: 'ONLINE' as const,
      }))
    s.iotda.index.devices = online(200)
    for (let hour = 0; hour < 4; hour += 1) await s.run().then(() => s.clock.advance(HOUR_MS))
    s.clock.advance(14 * DAY_MS - 4 * HOUR_MS)
    const old = s.boundId()
    await s.run()
    s.iotda.deleteCertificate(old ?? '')
    s.iotda.index.devices = online(10)
    for (let hour = 0; hour < 2; hour += 1) await s.later(HOUR_MS)
    return receiver
  },
  held: async () => {
    const { s, receiver } = await telling(fresh(60))
    await s.run({ action: 'hold' })
    await s.run()
    return receiver
  },
  suspended: async () => {
    const { s, receiver } = await telling(due)
    // The nodes go on serving the old one.
    s.device.switches.lagMs = Number.POSITIVE_INFINITY
    await s.run()
    await s.later(25 * HOUR_MS)
    return receiver
  },
  paused: async () => {
    const { s, receiver, configure } = await telling(fresh(80))
    const mean = (settings: SandboxSettings) => {
      settings.sources.sandbox.budget = { orders: 1 }
      settings.notifiers = []
    }
    await configure(mean)
    await s.run({ force: true })
    await s.later(2 * HOUR_MS, { force: true })
    await configure(put({ 'sources.sandbox.budget': { orders: 1 } }))
    await s.run({ force: true })
    return receiver
  },
  expiring: async () => {
    const { s, receiver } = await telling(due)
    dnsDown(s)
    await s.run()
    await s.later(7 * DAY_MS)
    return receiver
  },
  'root-ending': async () => {
    const { s, receiver, configure } = await telling(fresh(60))
    const ending = await issue({
      ...{ subject: 'CN=Burnt In', extensions: caExtensions() },
      ...{ notBefore: s.clock.now() - 900 * DAY_MS, notAfter: s.clock.now() + 40 * DAY_MS },
    })
    await configure(settings => {
      settings.targets[0].profiles = [
        { name: 'meter-v1', trustedRoots: [settings.targets[0].trustedRoots, ending.pem] },
      ]
    })
    await s.run()
    return receiver
  },
  unverified: async () => {
    const { s, receiver } = await telling(due)
    await s.device.setDown('refuse')
    await s.run()
    return receiver
  },
  'dnssec-ending': async () => {
    const { s, receiver } = await telling(fresh(40))
    s.rig.sandbox.dns.setNode('127.0.0.1', { bogus: true })
    await s.runTo({ outcome: 'idle' })
    return receiver
  },
  'next-key': async () => {
    const { s, receiver, configure } = await telling(fresh(60))
    await configure(put({ 'certificates.iot.reuseKey': { next: '30d' } }))
    await s.run()
    // Told once, though every run shows it.
    await s.later(2 * HOUR_MS)
    expect(receiver.alerts.filter(({ event }) => event === 'next-key')).toHaveLength(1)
    return receiver
  },
  'slot-deleted': async () => {
    const { s, receiver } = await telling(due)
    await s.upload(-120, -30)
    await s.run()
    return receiver
  },
  recovered: async () => {
    const { s, receiver } = await telling(due)
    dnsDown(s)
    await s.run()
    s.faults.clear()
    await s.later(2 * HOUR_MS)
    return receiver
  },
  'settings-invalid': async () => {
    const { s, receiver, configure } = await telling(fresh(60))
    await configure(put({ 'certificates.iot.keyType': 'dsa' }))
    await expect(s.run()).rejects.toThrow()
    return receiver
  },
  'run-failed': async () => {
    const { s, receiver } = await telling(fresh(60))
    await s.run()
    // What must not be done twice cannot be told from what was done.
    await writeFile(join(s.rig.folder, 'state', 'deliveries.1.json'), 'no JSON')
    const asked = {
      config: s.rig.settingsFile,
      event: runEvent({ force: true }),
      trigger: 'manual',
      deliveryId: 'a',
      log: silentLog,
    } as const
    await expect(run({ ...asked, clock: s.clock, deadline: s.clock.now() + 60_000 })).rejects.toMatchObject({
      code: 'store-unreadable',
    })
    return receiver
  },
}

test.each(Object.entries(stories))(
  '%s',
  async (event, story) => {
    const { alerts } = await story()
    const told = alerts.filter(alert => alert.event === event)
    expect(told, JSON.stringify(alerts.map(a => `${a.kind} ${a.event} ${a.reason}`))).toHaveLength(1)
    judge(told[0] as AlertEvent)
  },
  30_000,
)

/** What every alert must say, whatever it is about. */
function judge(alert: AlertEvent): void {
  const { version, target, domain, reason, whatToDo, at, dedupKey, kind, since, durationMs } = alert
  expect(version).toBe(1)
  const isOfRun = alert.event === 'settings-invalid' || alert.event === 'run-failed'
  expect([target, domain]).toEqual(isOfRun ? [null, null] : ['factory-1', 'iot.example.com'])
  expect(reason.length).toBeGreaterThan(5)
  expect(whatToDo.length).toBeGreaterThan(5)
  expect(dedupKey.length).toBeGreaterThan(5)
  expect(new Date(at).toISOString()).toBeTruthy()
  expect(kind === 'moment' ? [since, durationMs] : [typeof since, typeof durationMs]).toEqual(
    kind === 'moment' ? [null, null] : ['string', 'number'],
  )
  expect(runbook).toContain(`\n## ${alert.runbook.replace('RUNBOOK.md#', '')}\n`)
  const english = wordingOf(alert, 'en')
  expect(english.title).toMatch(
    isOfRun ? /^(INFO|WARNING|CRITICAL): iotda-cert / : /: factory-1 .*\(iot\.example\.com\)$/,
  )
  const chinese = wordingOf(alert, 'zh')
  expect(chinese.title).toMatch(/^(通知|警告|严重|恢复)：/)
  expect(chinese.title).not.toBe(english.title)
  for (const { facts } of [english, chinese]) for (const [, value] of facts) expect(value.trim()).not.toBe('')
}

test('no event is left out: the rest are the watchdog’s and the doctor’s, with tests of their own', () => {
  const others = EVENT_NAMES.filter(name => name === 'test' || name.startsWith('watch-'))
  expect([...Object.keys(stories), ...others].toSorted()).toEqual([...EVENT_NAMES].toSorted())
})
