import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { composeAlert, type Subject } from '../../lib/alerts/compose.ts'
import type { Message } from '../../lib/alerts/decide.ts'
import { createDelivery } from '../../lib/alerts/deliver.ts'
import { emptyLedger } from '../../lib/alerts/ledger.ts'
import { enqueue, type NamedNotifier } from '../../lib/alerts/outbox.ts'
import { silentLog } from '../../lib/base/log.ts'
import { secret } from '../../lib/base/secret.ts'
import { createResolver } from '../../lib/config/references.ts'
import {
  type AlertEvent,
  type Driver,
  LANGUAGES,
  type Language,
  type Notifier,
  type NotifierContext,
  type Run,
} from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'
import { ERROR_CODES } from '../../lib/model/errors.ts'
import { EVENT_NAMES, EVENTS } from '../../lib/model/events.ts'
import type { AlertService, AnswerMode } from '../../sandbox/alerts/service.ts'
import { HUAWEI_KEY, HUAWEI_SECRET } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { fakeClock } from '../support/clock.ts'

/** A notifier and the service that it speaks to. */
export interface NotifierHarness {
  readonly service: AlertService
  /** Settings as in a file, without `type`. */
  readonly settings: object
  /** What must never be seen in an error. */
  readonly secrets: readonly string[]
}

export interface NotifierTraits {
  /** A good status with a body that is no answer of the service: the service cannot have said so. */
  readonly garbage: 'taken' | 'later'
  /** The service groups what is told of one state. */
  readonly threads: boolean
  /** The service ends an incident by itself. */
  readonly resolves: boolean
  /** Whether titles are in the language of the notifier. */
  readonly titles?: 'both' | 'en' | 'none'
}

const subject: Subject = {
  ...{ id: 'iot-example-com-0123456789abcdef', target: 'factory-1', domain: 'iot.example.com', daysLeft: 6 },
  before: {
    fingerprint: 'a'.repeat(64),
    issuer: 'CN=R11,O=Let\'s "Encrypt" & <Sons>',
    notAfter: '2026-12-01T00:00:00Z',
  },
  after: null,
  runId: '0b7f6c0e-5d5a-4d43-9a39-6a4b0f2f4b1e',
  nextTryAt: '2026-11-24T13:00:00Z',
}

/** Alerts of every event, with every error, and with texts that a format may trip over. */
export function everyAlert(now: number): readonly AlertEvent[] {
  const message = (more: Partial<Message>): Message => ({
    ...{ event: 'failed', severity: 'warning', kind: 'new', key: 'renewal', error: null, ends: null },
    reason: 'solver dns (webhook): Present answered HTTP 500',
    since: now - 90_000_000,
    ...more,
  })
  const events = EVENT_NAMES.filter(event => event !== 'recovered').map(event =>
    message({
      event,
      severity: EVENTS[event].severity,
      kind: EVENTS[event].state ? 'new' : 'moment',
      since: EVENTS[event].state ? now - 90_000_000 : null,
    }),
  )
  const errors = Object.keys(ERROR_CODES).map(code =>
    message({
      severity: 'critical',
      error: { code, message: `it went wrong: ${code}`, hint: `mend ${code}` },
    }),
  )
  const awkward = [
    '<script>&amp; "quotes" \\ *bold* _under_ `code` [link](https://x) 【】\nsecond line',
    '换'.repeat(3_000),
    '😀'.repeat(900),
  ]
  const ended = {
    event: 'recovered',
    severity: 'info',
    kind: 'recovered',
    ends: { event: 'failed', severity: 'critical' },
  } as const
  const many = { count: 500, names: Array.from({ length: 50 }, (_, i) => `plant-${i}-`.padEnd(64, 'x')) }
  const of = (it: Message, about: Subject = subject): AlertEvent => composeAlert(it, about, now)
  const run = { ...subject, target: null, domain: null, daysLeft: null, before: null }
  return [
    ...[...events, ...errors, ...awkward.map(reason => message({ reason })), message(ended)].map(it =>
      of(it),
    ),
    of(message({ event: 'settings-invalid', severity: 'critical', reason: awkward[1] ?? '' }), run),
    of(message({ severity: 'critical' }), { ...subject, daysLeft: -3 }),
    // Many targets as one, with the longest names, and their end.
    ...[message({ severity: 'critical' }), message(ended)].map(it =>
      of({ ...it, key: '*/failed/unavailable/solvers.dns', targets: many }, { ...run, daysLeft: 6 }),
    ),
  ]
}

const FAILING: readonly (readonly [AnswerMode, 'later' | 'never'])[] = [
  ['refused', 'never'],
  ['down', 'later'],
  ['throttled', 'later'],
  ['silent', 'later'],
]

/** What every notifier must do. `make` starts its service, which judges every message by its documentation. */
export function notifierContract(
  name: string,
  driver: Driver<v.GenericSchema, NotifierContext, Notifier>,
  make: () => Promise<NotifierHarness>,
  traits: NotifierTraits,
): void {
  describe(`${name} notifier contract`, () => {
    const open = (language: Language = 'en') => openNotifier(driver, make, language)

    test.each(LANGUAGES)(
      'every alert is as the service documents it, and can be read (%s)',
      async language => {
        const { notify, harness } = await open(language)
        const alerts = everyAlert(harness.now())
        for (const alert of alerts) await notify(alert)
        expect(harness.service.complaints).toEqual([])
        expect(harness.service.taken).toHaveLength(alerts.length)
        if (traits.titles !== 'none')
          judgeTitles(harness.service, alerts, traits.titles === 'en' ? 'en' : language)
      },
    )

    test('an alert says what to do and where to read on', async () => {
      const { notify, harness } = await open()
      const error = { code: 'unauthorized', message: 'refused (401)', hint: 'Check accessKey.' }
      const message: Message = {
        ...{ event: 'failed', severity: 'critical', kind: 'new', key: 'renewal', reason: 'refused (401)' },
        ...{ error, since: harness.now(), ends: null },
      }
      await notify(composeAlert(message, subject, harness.now()))
      const { text = '' } = harness.service.taken[0] ?? {}
      for (const said of ['unauthorized', 'refused (401)', 'Check accessKey.', 'RUNBOOK.md#unauthorized'])
        expect(text).toContain(said)
    })

    test.each(FAILING)('%s: tried %s, then it arrives', async (mode, retry) => {
      const { notify, harness } = await open()
      harness.service.mode = mode
      const [alert] = everyAlert(harness.now()) as [AlertEvent]
      const thrown = await notify(alert, mode === 'silent' ? 300 : 8_000).catch((error: unknown) => error)
      expect(thrown).toMatchObject({
        name: 'RotationError',
        retry,
        message: expect.stringContaining(name.split(' ')[0] ?? ''),
      })
      const said = `${(thrown as Error).stack} ${JSON.stringify(thrown)}`
      for (const value of harness.secrets) expect(said).not.toContain(value)
      expect(harness.service.taken).toEqual([])
      harness.service.mode = 'good'
      await notify(alert)
      expect(harness.service.taken).toHaveLength(1)
    })

    test('garbage', async () => {
      const { notify, harness } = await open()
      harness.service.mode = 'garbage'
      const [alert] = everyAlert(harness.now()) as [AlertEvent]
      const ended = notify(alert, 2_000).then(
        () => 'taken',
        (error: { retry: string }) => error.retry,
      )
      expect(await ended).toBe(traits.garbage)
    })

    test('nobody there: it may be tried again', async () => {
      const { notify, harness } = await open()
      await harness.service.dispose()
      const [alert] = everyAlert(harness.now()) as [AlertEvent]
      await expect(notify(alert)).rejects.toMatchObject({ retry: 'later' })
    })

    test('a state and its end belong together', async () => {
      const { notify, harness } = await open()
      const alerts = everyAlert(harness.now())
      const begun = alerts.find(a => a.event === 'failed' && a.kind === 'new') as AlertEvent
      const ended = alerts.find(a => a.ends) as AlertEvent
      for (const alert of [begun, ended]) await notify(alert)
      const [first, second] = harness.service.taken
      if (traits.threads) expect(first?.thread).toBeTruthy()
      expect(second?.thread).toBe(first?.thread)
      expect([first?.resolves, second?.resolves]).toEqual([false, traits.resolves])
    })

    test('what one run tells of several targets arrives, each', async () => {
      const { notify, harness } = await open()
      const [alert] = everyAlert(harness.now()) as [AlertEvent]
      const alerts = ['a', 'b', 'c'].map(id => ({ ...alert, target: id, dedupKey: `${id}/renewal` }))
      for (const it of alerts) await notify(it)
      expect(harness.service.taken).toHaveLength(3)
    })

    test('the delivery of a run gets it there as soon as the service is back', async () => {
      const { named, run, harness } = await open()
      harness.service.mode = 'throttled'
      const [alert] = everyAlert(harness.now()) as [AlertEvent]
      const { outbox } = enqueue(emptyLedger, [alert], [named], harness.now())
      const left = await createDelivery([named], run).send(outbox)
      expect(left).toEqual(outbox)
      expect(harness.service.requests).toHaveLength(3)
      harness.service.mode = 'good'
      expect(await createDelivery([named], run).send(left)).toEqual([])
      expect(harness.service.taken).toHaveLength(1)
    })
  })
}

/** What, which, how long: within the first 90 characters or so. */
function judgeTitles({ taken }: AlertService, alerts: readonly AlertEvent[], language: Language): void {
  taken.forEach(({ title }, i) => {
    const alert = alerts[i] as AlertEvent
    expect(title).not.toMatch(/[\n[\]【】]/)
    expect(title.length).toBeLessThan(150)
    if (alert.target) expect(title.slice(0, 30)).toContain(alert.target)
    if (alert.targets) expect(title.slice(0, 40)).toMatch(/each of 500 targets|500 个目标/)
    if (language === 'zh') expect(title).toMatch(/^(通知|警告|严重|恢复)：.*\p{Script=Han}/u)
    else expect(title).toMatch(/^(INFO|WARNING|CRITICAL|OK): /)
    if (alert.ends) expect(title).toContain('1d 1h')
    else if (alert.daysLeft === 6) expect(title).toMatch(/6 (days left|天)/)
    else if (alert.daysLeft === -3) expect(title).toMatch(/expired 2 days ago|已过期 2 天/)
  })
}

async function openNotifier(
  driver: Driver<v.GenericSchema, NotifierContext, Notifier>,
  make: () => Promise<NotifierHarness>,
  language: Language,
) {
  const made = await make()
  const http = createHttp()
  cleanups.push(
    () => made.service.dispose().catch(() => {}),
    () => http.close(),
  )
  const clock = fakeClock()
  const context: NotifierContext = {
    ...{ name: 'notifiers.ops', http: () => http, clock, log: silentLog, language },
    huaweiKeys: async () => ({
      accessKey: secret(HUAWEI_KEY),
      secretKey: secret(HUAWEI_SECRET),
      securityToken: null,
    }),
  }
  const notifier = driver.create(await resolved(driver, made.settings), context)
  const runFor = (timeoutMs?: number): Run => ({
    ...{ runId: 'run-1', clock, log: silentLog, deadline: clock.now() + 60_000 },
    signal: timeoutMs === undefined ? new AbortController().signal : AbortSignal.timeout(timeoutMs),
  })
  const named: NamedNotifier = { name: 'ops', filter: { minSeverity: 'info', events: null }, notifier }
  return {
    named,
    run: runFor(),
    harness: { ...made, now: clock.now },
    notify: (alert: AlertEvent, timeoutMs?: number) => notifier.notify(alert, runFor(timeoutMs)),
  }
}

/** As the loader does it. */
async function resolved(driver: Driver<v.GenericSchema, never, unknown>, settings: object): Promise<unknown> {
  const mistakes: { path: string; message: string }[] = []
  const read = async (): Promise<string> => ''
  const resolver = createResolver({ env: {}, read, remote: null, literals: true, mistakes })
  const made = await resolver(v.parse(driver.settings, settings), 'notifiers[0]')
  expect(mistakes).toEqual([])
  return made
}
