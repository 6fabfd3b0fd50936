/** The watchdog alone: every kind of bad device port, with the rotator's settings, store and credentials away. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { handler } from '../../functions/watch.ts'
import { watch } from '../../lib/app/watch.ts'
import { silentLog } from '../../lib/base/log.ts'
import { MINUTE_MS } from '../../lib/base/time.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { type AlertReceiver, receiveAlerts } from '../support/alert-receiver.ts'
import { cleanups } from '../support/cleanups.ts'
import { DAY_MS, HOUR_MS, openScenario, type Scenario } from '../support/scenario.ts'

interface Watched {
  readonly s: Scenario
  readonly receiver: AlertReceiver
  /** One look; every six hours unless told otherwise. */
  look(afterMs?: number): Promise<Awaited<ReturnType<typeof watch>>>
  said(): readonly string[]
}

// biome-ignore lint/suspicious/noExplicitAny: settings to be changed at will.
type Change = (settings: any) => void

async function openWatched(change: Change = () => {}, own = true): Promise<Watched> {
  const receiver = await receiveAlerts()
  const s = await openScenario()
  await s.bindOne(60)
  const { device, ca, domain, clock } = s
  const { port, addresses } = device
  const settings = {
    version: 1,
    targets: [{ name: 'factory-1', host: domain, sni: domain, port, addresses, roots: ca.rootPem }],
    notifiers: [{ type: 'webhook', url: receiver.url }],
    ...(own ? { store: { type: 'file', path: join(s.rig.folder, 'watch') } } : {}),
  }
  change(settings)
  const config = JSON.stringify(settings)
  return {
    s,
    receiver,
    look: async (afterMs = 6 * HOUR_MS) => {
      const answer = await watch({
        config,
        clock,
        log: silentLog,
        deadline: clock.now() + 60_000,
        surroundings: { env: {}, folder: s.rig.folder },
      })
      clock.advance(afterMs)
      return answer
    },
    said: () => receiver.alerts.splice(0).map(a => `${a.kind} ${a.event} ${a.severity} ${a.target}`),
  }
}

const otherRoot = await createRoot()

test('a forged message in its outbox is not sent; what is found is told in its own words', async () => {
  const w = await openWatched(settings => {
    settings.targets[0].sni = 'other.example.com'
  })
  w.receiver.status = 503
  await w.look()
  const folder = join(w.s.rig.folder, 'watch', 'watch')
  const [name = ''] = (await readdir(folder)).filter(file => file.startsWith('told.'))
  const record = JSON.parse(await readFile(join(folder, name), 'utf8'))
  const [entry] = record.alerts.outbox
  expect(entry.alert).toMatchObject({ event: 'watch-wrong-name' })
  entry.alert.reason = 'pay here'
  record.alerts.outbox.push({ ...entry, alert: { ...entry.alert, dedupKey: 'x', event: 'failed' } })
  await writeFile(join(folder, name), JSON.stringify(record))
  w.receiver.status = 200
  w.receiver.requests.length = 0
  await w.look()
  expect(w.said()).toEqual(['new watch-wrong-name critical factory-1'])
  expect(JSON.stringify(w.receiver.requests)).not.toContain('pay here')
})

/** Changes the newest record of the watchdog. */
async function rewrite(
  w: Watched,
  change: (alerts: { open: object; outbox: { alert: object }[] }) => void,
): Promise<void> {
  const folder = join(w.s.rig.folder, 'watch', 'watch')
  const names = (await readdir(folder)).filter(file => file.startsWith('told.'))
  const path = join(folder, names.at(-1) ?? '')
  const record = JSON.parse(await readFile(path, 'utf8'))
  change(record.alerts)
  await writeFile(path, JSON.stringify(record))
}

test('the end of a state that could not be told is told by the next look, in our words and once', async () => {
  const w = await openWatched()
  await distrusted(w)
  await w.look()
  w.s.device.switches.serve = null
  w.receiver.status = 503
  await w.look()
  await rewrite(w, ({ outbox }) => {
    const [entry] = outbox
    expect(entry?.alert).toMatchObject({ event: 'recovered' })
    Object.assign(entry?.alert ?? {}, { reason: 'pay here', target: 'pay here' })
    const other = { ...entry?.alert, dedupKey: 'watch/pay here/reach' }
    outbox.push({ ...entry, alert: other })
  })
  w.said()
  w.receiver.status = 200
  w.receiver.requests.length = 0
  await w.look()
  await w.look()
  expect(w.said()).toEqual(['recovered recovered info factory-1'])
  expect(JSON.stringify(w.receiver.requests)).not.toContain('pay here')
})

test('a forged state in its record has no words of its own told at its end', async () => {
  const w = await openWatched()
  const firing = { since: 1, toldAt: 1, severity: 'critical', error: null, signatures: [], level: null }
  const targets = { count: 1, names: ['pay here'] }
  await distrusted(w)
  await w.look()
  w.s.device.switches.serve = null
  await rewrite(w, ({ open }) =>
    Object.assign(open, {
      '*/watch-unreachable': { ...firing, event: 'watch-unreachable', targets },
      '*/pay here': { ...firing, event: 'watch-unreachable' },
      'factory-1/pay here': { ...firing, event: 'watch-unreachable' },
      'factory-1/days': { ...firing, event: 'pay here' },
    }),
  )
  w.said()
  w.receiver.requests.length = 0
  await w.look()
  expect(w.said()).toContain('recovered recovered info factory-1')
  expect(JSON.stringify(w.receiver.requests)).not.toContain('pay here')
})

test('all is well: nothing is said', async () => {
  const { look, said } = await openWatched()
  expect(await look()).toMatchObject({
    ok: true,
    results: [{ target: 'factory-1', ok: true, daysLeft: 59, problems: [] }],
  })
  expect(said()).toEqual([])
})

/** Serves what a root of its own has issued. */
const distrusted = async ({ s }: Pick<Watched, 's'>, name: string = s.domain): Promise<void> => {
  const { chainPem, keyPem } = await issueLeaf({ names: [name], issuer: otherRoot })
  s.device.switches.serve = { certPem: chainPem, keyPem } as never
}

const bad: readonly (readonly [string, (w: Watched) => Promise<void> | void, string])[] = [
  ['untrusted', w => distrusted(w), 'watch-untrusted'],
  [
    'wrong',
    async ({ s }) => {
      s.device.switches.serve = await s.issue(-1, 60, ['other.example.com'])
    },
    'watch-wrong-name',
  ],
  ['unreachable', ({ s }) => s.device.dispose(), 'watch-unreachable'],
  ['the platform’s own', w => distrusted(w, '*.iot.example.net'), 'watch-wrong-name'],
]

describe.each(bad)('%s', (_, break_, event) => {
  test('told once, repeated daily, and no more', async () => {
    const w = await openWatched()
    await break_(w)
    expect((await w.look()).results[0]?.problems.map(p => p.event)).toEqual([event])
    for (let i = 0; i < 3; i += 1) await w.look()
    expect(w.said()).toEqual([`new ${event} critical factory-1`])
    await w.look()
    expect(w.said()).toEqual([`reminder ${event} critical factory-1`])
  })
})

test('more than the chain is sent: clients pass over it, and nothing is said', async () => {
  const w = await openWatched()
  const { s } = w
  const own = s.iotda.certificates().find(({ id }) => id === s.boundId())
  const certPem = `${own?.certificatePem}${otherRoot.certPem}${s.ca.rootPem}`
  s.device.switches.serve = { certPem, keyPem: own?.keyPem } as never
  expect(await w.look()).toMatchObject({ ok: true, results: [{ problems: [] }] })
  expect(w.said()).toEqual([])
})

test('it recovers', async () => {
  const w = await openWatched()
  await distrusted(w)
  await w.look()
  w.s.device.switches.serve = null
  expect(await w.look()).toMatchObject({ ok: true })
  expect(w.said()).toEqual(['new watch-untrusted critical factory-1', 'recovered recovered info factory-1'])
})

test('days left: told at 14, 7, 3, 1 and 0, and that it has expired', async () => {
  const w = await openWatched()
  const told: string[] = []
  for (let day = 60; day >= -2; day -= 1) {
    await w.look(DAY_MS)
    told.push(...w.receiver.alerts.splice(0).map(a => `${day}: ${a.kind} ${a.event} ${a.severity}`))
  }
  expect(told).toEqual([
    '14: new expiring warning',
    '7: worse expiring warning',
    '3: worse expiring critical',
    '2: reminder expiring critical',
    '1: worse expiring critical',
    '0: worse expiring critical',
    '-1: reminder expiring critical',
    '-2: reminder expiring critical',
  ])
})

test('a target that has expired is said to have expired, not to be untrusted', async () => {
  const w = await openWatched()
  w.s.clock.advance(61 * DAY_MS)
  const { results } = await w.look()
  expect(results[0]).toMatchObject({ ok: false, daysLeft: -2, problems: [{ event: 'expiring' }] })
  expect(results[0]?.problems[0]?.reason).toContain('expired 1d ago')
})

describe('kinds of device', () => {
  const withProfiles =
    (...profiles: readonly unknown[]): Change =>
    ({ targets: [one] }) => {
      one.profiles = profiles.map(it => (it === 'trusting' ? { name: it, trustedRoots: [one.roots] } : it))
    }

  test('one that holds another root is told by its name; the others are well', async () => {
    const w = await openWatched(
      withProfiles('openssl', 'trusting', { name: 'old', trustedRoots: [otherRoot.certPem] }),
    )
    const [found] = (await w.look()).results
    expect(found?.problems).toMatchObject([
      { event: 'watch-untrusted', reason: expect.stringContaining('profile old: no root issues') },
    ])
    expect(w.said()).toEqual(['new watch-untrusted critical factory-1'])
  })

  test('all are well; and one that does not take this kind of key', async () => {
    expect(await (await openWatched(withProfiles('openssl', 'trusting'))).look()).toMatchObject({ ok: true })
    const w = await openWatched(withProfiles('openssl', { name: 'big', keyTypes: ['rsa-4096'] }))
    expect((await w.look()).results[0]?.problems[0]?.reason).toContain('profile big: ')
  })

  test.each<readonly [string, unknown, string]>([
    ['roots that are none', { name: 'old', trustedRoots: ['x'] }, 'targets[0].profiles[0].trustedRoots'],
    [
      'a device to connect',
      { preset: 'openssl', name: 'a', canary: { deviceId: 'd', secret: 'env:X' } },
      'targets[0].profiles[0].canary: is not for the watchdog',
    ],
  ])('%s', async (_, profile, message) => {
    const w = await openWatched(withProfiles(profile))
    await expect(w.look()).rejects.toMatchObject({ message: expect.stringContaining(message) })
  })
})

describe('many targets', () => {
  const names = [1, 2, 3, 4, 5]
  const five: Change = settings => {
    const [one] = settings.targets
    settings.targets = names.map(i => ({ ...one, name: `factory-${i}` }))
  }

  test('that fail alike are one message, and so is their end', async () => {
    const w = await openWatched(five)
    await distrusted(w)
    await w.look()
    w.s.device.switches.serve = null
    await w.look()
    const group = { target: null, dedupKey: 'watch/*/watch-untrusted' }
    expect(w.receiver.alerts).toMatchObject([
      { ...group, event: 'watch-untrusted', targets: { count: 5, names: names.map(i => `factory-${i}`) } },
      { ...group, event: 'recovered', targets: { count: 5 } },
    ])
  })

  test('without a record: one message at each look', async () => {
    const w = await openWatched(five, false)
    await distrusted(w)
    await w.look()
    await w.look()
    expect(w.receiver.alerts.map(a => a.targets?.count)).toEqual([5, 5])
  })
})

test('more at once than a record keeps: everybody is told of all of it, and it is told once', async () => {
  const night = await receiveAlerts()
  const w = await openWatched(settings => {
    const [one] = settings.targets
    const kind = (name: string, more: object) =>
      [1, 2, 3].map(i => ({ ...one, name: `${name}-${i}`, ...more }))
    settings.targets = [
      ...kind('away', { port: 1 }),
      ...kind('other', { sni: 'other.example.com' }),
      ...kind('late', {}),
      ...kind('distrusted', { roots: otherRoot.certPem }),
    ]
    settings.notifiers.push({ type: 'webhook', url: night.url, name: 'night' })
  })
  w.s.clock.advance(50 * DAY_MS)
  await w.look()
  const told = [...w.receiver.alerts]
  // What is about to end is said of each that answers, whatever else is wrong with it.
  expect(w.said().filter(said => said.includes('watch-'))).toHaveLength(9)
  expect(night.alerts).toEqual(told)
  await w.look()
  expect([...w.said(), ...night.alerts.slice(told.length)]).toEqual([])
})

describe('without a record of its own', () => {
  test('what is critical is told at each look', async () => {
    const w = await openWatched(() => {}, false)
    await distrusted(w)
    await w.look()
    await w.look()
    expect(w.said()).toHaveLength(2)
  })

  test('a warning is told once a day, although looks come up to an hour late', async () => {
    const w = await openWatched(() => {}, false)
    const midnight = Math.ceil((w.s.clock.now() + 49 * DAY_MS) / DAY_MS) * DAY_MS
    w.s.clock.advance(midnight - MINUTE_MS - w.s.clock.now())
    for (const lateMs of [20, 0, 0, 0].map(minutes => minutes * MINUTE_MS)) await w.look(6 * HOUR_MS + lateMs)
    expect(w.said()).toEqual(['new expiring warning factory-1'])
  })

  test('or with one that cannot be read: the same, and a warning once a day', async () => {
    const w = await openWatched()
    await distrusted(w)
    await w.look()
    w.s.device.switches.serve = null
    await w.look()
    w.said()
    const folder = join(w.s.rig.folder, 'watch')
    const files = await readdir(folder, { recursive: true, withFileTypes: true })
    const record = files.find(it => it.isFile() && it.name.startsWith('told'))
    expect(record).toBeDefined()
    await writeFile(join(record?.parentPath ?? '', record?.name ?? ''), '{"schema":1,"alerts":')
    // Two in the morning: a look within the first hour of a day and the next one would both tell.
    w.s.clock.advance(49 * DAY_MS - (w.s.clock.now() % DAY_MS) + 2 * HOUR_MS)
    for (let i = 0; i < 4; i += 1) await w.look()
    expect(w.said()).toEqual(['new expiring warning factory-1'])
    await distrusted(w)
    for (let i = 0; i < 2; i += 1) await w.look()
    expect(w.said().filter(said => said.includes('untrusted'))).toHaveLength(2)
  })
})

describe('the rotator', () => {
  const withRotator: Change = settings => {
    settings.rotator = { store: { type: 'file', path: './state' } }
  }

  test('has finished a run lately', async () => {
    const w = await openWatched(withRotator)
    await w.s.run()
    expect(await w.look()).toMatchObject({ ok: true })
  })

  test('has been silent for too long, then runs again', async () => {
    const w = await openWatched(withRotator)
    await w.s.run()
    await w.look(13 * HOUR_MS)
    expect(await w.look()).toMatchObject({
      ok: false,
      results: [{ ok: true }, { target: 'rotator', ok: false }],
    })
    await w.s.run()
    await w.look()
    expect(w.said()).toEqual([
      'new watch-rotator-silent critical rotator',
      'recovered recovered info rotator',
    ])
  })

  test('ran with a clock that was a year ahead: that is no run of late, and the next one counts', async () => {
    const w = await openWatched(withRotator)
    const now = w.s.clock.now()
    w.s.clock.advance(365 * DAY_MS)
    await w.s.run()
    w.s.clock.advance(now - w.s.clock.now())
    const { results } = await w.look()
    expect(results[1]?.problems[0]?.reason).toContain('a clock is wrong')
    await w.s.run()
    expect((await w.look()).results[1]).toMatchObject({ target: 'rotator', ok: true })
  })

  test('its store is deleted, and its settings and credentials are broken: the targets are watched all the same', async () => {
    const w = await openWatched(withRotator)
    await w.s.run()
    await w.look()
    await w.s.configure(it => {
      it.credentials = {}
    })
    await rm(join(w.s.rig.folder, 'state'), { recursive: true })
    await distrusted(w)
    const { results } = await w.look()
    expect(results.map(r => r.problems.map(p => p.event))).toEqual([
      ['watch-untrusted'],
      ['watch-rotator-silent'],
    ])
    expect(w.said()).toHaveLength(2)
  })

  test('no run before the first look is no alarm; none in time is one', async () => {
    const w = await openWatched(withRotator)
    expect((await w.look()).results[1]).toMatchObject({ target: 'rotator', ok: false })
    await w.look(11 * HOUR_MS)
    expect(w.said()).toEqual([])
    await w.look(2 * HOUR_MS)
    expect(w.said()).toEqual(['new watch-rotator-silent critical rotator'])
  })

  test('its store is none at all', async () => {
    const w = await openWatched(settings => {
      const keys = { accessKeyId: 'a', secretAccessKey: 'b' }
      const gone = { type: 's3', bucket: 'gone', region: 'eu-central-1', endpoint: 'http://127.0.0.1:9' }
      settings.rotator = { store: { ...gone, ...keys } }
    })
    expect((await w.look()).results[1]?.problems[0]?.reason).toContain('cannot be read')
    expect(w.said()).toEqual(['new watch-rotator-silent critical rotator'])
  })
})

describe('as a function', () => {
  const context = { getRemainingTimeInMillis: () => 30_000 }
  const env = async (w: Watched, change: Change = () => {}) => {
    const settings = {
      version: 1,
      targets: [
        { name: 'a', host: '127.0.0.1', sni: w.s.domain, port: w.s.device.port, roots: w.s.ca.rootPem },
      ],
      notifiers: [{ type: 'webhook', url: w.receiver.url }],
    }
    change(settings)
    vi.stubEnv('IOTDA_CERT_WATCH', JSON.stringify(settings))
    cleanups.push(async () => void vi.unstubAllEnvs())
  }

  test('on Lambda and on FunctionGraph', async () => {
    const w = await openWatched()
    await env(w)
    expect(await handler({}, context)).toMatchObject({ ok: true })
    const graph = { getRemainingTimeInMilliSeconds: () => 30_000, getUserData: () => undefined }
    expect(await handler({ trigger_type: 'TIMER' }, graph)).toMatchObject({ ok: true })
  })

  test('it throws when nobody could be told, so that the platform’s alarm is', async () => {
    const w = await openWatched()
    await env(w, settings => {
      settings.targets[0].sni = 'other.example.com'
    })
    w.receiver.status = 400
    await expect(handler({}, context)).rejects.toMatchObject({ name: 'WatchUntold' })
    w.receiver.status = 200
    expect(await handler({}, context)).toMatchObject({ ok: false, undelivered: 0 })
  })

  test.each<readonly [string, Change | null, string]>([
    ['nothing to watch', null, 'IOTDA_CERT_WATCH'],
    [
      'nobody to tell',
      s => Object.assign(s, { notifiers: [] }),
      'notifiers: must have at least one notifier',
    ],
    ['no targets', s => Object.assign(s, { targets: [] }), 'targets: must have at least one target'],
    ['a mistyped key', s => Object.assign(s.targets[0], { prot: 1 }), 'did you mean "port"'],
    ['a store on its own disk', s => Object.assign(s, { store: { type: 'file', path: 'x' } }), 'store.type'],
    ['roots that are none', s => Object.assign(s.targets[0], { roots: 'none' }), 'targets[0].roots'],
  ])('%s', async (_, change, expected) => {
    const w = await openWatched()
    if (change) await env(w, change)
    await expect(handler({}, context)).rejects.toMatchObject({ message: expect.stringContaining(expected) })
  })
})
