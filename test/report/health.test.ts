/** One answer to "is this target well?": by a table written out by hand, and every output that people read agrees. */
import { describe, expect, test } from 'vitest'
import { observe } from '../../lib/alerts/conditions.ts'
import { ERROR_CODES, type ErrorCode } from '../../lib/model/errors.ts'
import { DUE_REASONS, IDLE_REASONS, OUTCOMES, type Outcome } from '../../lib/model/outcomes.ts'
import { emfLines } from '../../lib/present/emf.ts'
import { overviewText } from '../../lib/present/overview.ts'
import { pageOf } from '../../lib/present/page/page.ts'
import { prometheusText } from '../../lib/present/prometheus.ts'
import { resultText } from '../../lib/present/text.ts'
import { allOk, exitCode, type Health, healthOf, STATES, stateOf } from '../../lib/report/health.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { newTarget } from '../../lib/state/documents.ts'
import { answer, kept, result } from '../present/answers.ts'

const NOW = Date.parse(answer().finishedAt)
const DAY_MS = 86_400_000
const lifeLeft = (days: number) => {
  const at = (day: number): string => new Date(NOW + day * DAY_MS).toISOString()
  const life = { fingerprint: 'a'.repeat(64), notBefore: at(days - 90), notAfter: at(days) }
  return { bound: life, served: life, slotsUsed: 2 }
}

/** By reason, those to renew first, then those to be idle; w: well, o: waiting, U: unwell. */
const REASONS = [...Object.keys(DUE_REASONS), ...Object.keys(IDLE_REASONS)]
type Letters = 'looked' | 'suspended' | 'busy' | 'done' | 'bad'
const LETTERS: Readonly<Record<Outcome, Letters>> = {
  idle: 'looked',
  planned: 'looked',
  probed: 'done',
  rotated: 'done',
  revoked: 'done',
  repaired: 'done',
  suspended: 'suspended',
  busy: 'busy',
  held: 'bad',
  'rolled-back': 'bad',
  refused: 'bad',
  failed: 'bad',
}
// resume, no-certificate, expired, expiring, renewal-window, emergency, revoked, settings-changed, source-renewed, forced;
// fresh, backing-off, held, busy, probed, paused
const [well, waiting, unwell] = ['wwwwwwwwww wwwwww', 'oooooooooo oooooo', 'UUUUUUUUUU UUUUUU']
const plain = {
  looked: 'woUwwUUwww wUUwwU',
  suspended: 'ooUooUoooo oUUooU',
  busy: waiting,
  done: well,
  bad: unwell,
}
const CASES: readonly (readonly [string, Partial<TargetResult>, Readonly<Record<Letters, string>>])[] = [
  ['nothing else is known', {}, plain],
  ['nothing is written down but good runs', { kept: kept() }, plain],
  // What failed was made good otherwise, as long as nothing is wanted.
  ['failures', { kept: kept({ failures: 1 }) }, { ...plain, looked: 'UUUUUUUUUU wUUwwU' }],
  [
    'the last run failed',
    { kept: kept({ lastResult: { at: '2026-06-15T11:00:00Z', outcome: 'failed', error: 'unavailable' } }) },
    { ...plain, looked: 'UUUUUUUUUU UUUUUU' },
  ],
  // The row of `suspended`, for whoever only asks: also after failures, as a run has taken it up again.
  [
    'the last run left it under way',
    {
      kept: kept({
        failures: 1,
        lastResult: { at: '2026-06-15T11:00:00Z', outcome: 'suspended', error: null },
      }),
    },
    { ...plain, looked: 'ooUooUoooo wUUwwU' },
  ],
  [
    'held',
    { kept: kept({ held: { since: '2026-06-15T11:00:00Z', why: 'held by hand' } }) },
    { looked: unwell, suspended: unwell, busy: waiting, done: unwell, bad: unwell },
  ],
  [
    'the end is near',
    { outlook: lifeLeft(4) },
    { looked: unwell, suspended: unwell, busy: waiting, done: unwell, bad: unwell },
  ],
  [
    'devices refuse it',
    { devices: { verdicts: [{ address: null, profile: 'meter-v1', ok: false, lines: [] }], ends: [] } },
    { ...plain, looked: 'UoUUUUUUUU UUUUUU', done: unwell },
  ],
]
const HEALTH: Readonly<Record<string, Health>> = { w: 'well', o: 'waiting', U: 'unwell' }

interface Row {
  readonly given: TargetResult
  readonly wanted: Health
}
const rowsOf = (more: Partial<TargetResult>, letters: Readonly<Record<Letters, string>>): readonly Row[] =>
  (Object.keys(OUTCOMES) as Outcome[]).flatMap(outcome =>
    REASONS.map((reason, i) => ({
      given: result({
        outcome,
        decision: { due: reason in DUE_REASONS, reason, detail: 'why', nextCheckAt: null },
        outlook: lifeLeft(60),
        ...more,
      }),
      wanted: HEALTH[letters[LETTERS[outcome]].replace(' ', '')[i] ?? ''] as Health,
    })),
  )
const label = ({ outcome, decision }: TargetResult): string => `${outcome} (${decision.reason})`
/** Whoever asked for a look, or for a deed that was done, is answered well, however the target is. */
const isAnswered = ({ outcome }: TargetResult): boolean => OUTCOMES[outcome].isDone

describe.each(CASES)('%s', (_, more, letters) => {
  const rows = rowsOf(more, letters)

  test('the state of every outcome and reason', () => {
    const found = rows.map(({ given }) => `${label(given)}: ${healthOf(given, NOW)}`)
    expect(found).toEqual(rows.map(({ given, wanted }) => `${label(given)}: ${wanted}`))
  })

  test('metrics, page, table and text say the same', () => {
    for (const { given, wanted } of rows) {
      const all = answer(given)
      const ok = wanted === 'unwell' ? 0 : 1
      const [whole, target] = emfLines(all, 'rotate').map(line => JSON.parse(line))
      expect([target.Ok, whole.TargetsUnwell], label(given)).toEqual([ok, 1 - ok])
      expect(prometheusText(all), label(given)).toContain(`\niotda_cert_ok{target="factory-1"} ${ok}\n`)
      const isWell = wanted === 'well'
      expect(/class="says well">well:/.test(pageOf(all)), label(given)).toBe(isWell)
      const style = { colour: false, width: 100, isLong: false }
      expect(overviewText(all, style).includes('0 bad, 0 watch, 1 well'), label(given)).toBe(isWell)
      const colour = ok === 1 ? 32 : 31
      expect(resultText(all, 'rotate', true), label(given)).toMatch(`\x1b[${colour}m${given.outcome}`)
    }
  })

  test('so do ok and the exit code, of what did not do what it was asked for', () => {
    for (const { given, wanted } of rows) {
      const code = exitCode([given], NOW)
      expect(allOk([given], NOW), label(given)).toBe(isAnswered(given) || wanted !== 'unwell')
      // What is under way goes on by itself, also near the end.
      const late = stateOf(given, NOW) === 'late' ? 3 : 1
      const wantedCode = { well: 0, waiting: 3, unwell: late }[wanted]
      expect(code, label(given)).toBe(isAnswered(given) ? 0 : wantedCode)
      if (OUTCOMES[given.outcome].throws) expect(wanted).toBe('unwell')
    }
  })
})

test('so do the alerts, of all that a rotation ends with', () => {
  // A rotation that finds a hold ends with the outcome of that name, and idle only where all is fresh.
  const ends = ({ outcome, decision: { reason } }: TargetResult): boolean =>
    outcome === 'idle'
      ? reason === 'fresh'
      : outcome === 'suspended'
        ? reason !== 'held'
        : outcome !== 'planned' && outcome !== 'busy'
  const rows = rowsOf({}, plain).filter(({ given }) => ends(given))
  for (const { given, wanted } of rows) {
    const [told = null] = observe(given, newTarget(given.target), NOW)?.conditions ?? []
    const { tells } = STATES[stateOf(given, NOW)]
    expect(
      told && { event: told.event, graceMs: told.graceMs, severity: told.severity },
      label(given),
    ).toEqual(tells && { graceMs: undefined, severity: undefined, ...tells })
    if (wanted === 'well') expect(told, label(given)).toBeNull()
    else expect(told, label(given)).not.toBeNull()
  }
})

test('near its end is what the rotation calls an emergency', () => {
  const resuming = (outlook: TargetResult['outlook']) =>
    stateOf(
      result({
        outcome: 'suspended',
        decision: { due: false, reason: 'resume', detail: '', nextCheckAt: null },
        outlook,
      }),
      NOW,
    )
  expect(resuming(lifeLeft(4.6))).toBe('under-way')
  expect(resuming(lifeLeft(4.5))).toBe('late')
  const short = lifeLeft(0.99)
  const notBefore = new Date(NOW - 5 * DAY_MS).toISOString()
  expect(resuming({ ...short, served: { ...short.served, notBefore } })).toBe('late')
  // Of several addresses, the one that serves what ends first.
  expect(resuming({ ...lifeLeft(60), served: short.served })).toBe('late')
})

describe('exit codes', () => {
  const code = (...results: readonly TargetResult[]): number => exitCode(results, NOW)
  const failed = (code: ErrorCode): TargetResult =>
    result({ outcome: 'failed', error: { code, message: 'm', hint: null, retryAt: null } })
  const suspended = (reason: string): TargetResult =>
    result({ outcome: 'suspended', decision: { due: false, reason, detail: '', nextCheckAt: null } })

  test('stand with the states, and nowhere else', () => {
    const columns = new Set(Object.values(OUTCOMES).flatMap(row => Object.keys(row)))
    expect([...columns].toSorted()).toEqual(['isDone', 'text', 'throws'])
  })

  test('of the outcomes', () => {
    const codes = Object.keys(OUTCOMES).map(outcome => [
      outcome,
      code(result({ outcome: outcome as Outcome })),
    ])
    const with0 = { idle: 0, planned: 0, probed: 0, revoked: 0, rotated: 0, repaired: 0 }
    const others = { suspended: 3, busy: 3, held: 1, 'rolled-back': 1, refused: 1, failed: 1 }
    expect(Object.fromEntries(codes)).toEqual({ ...with0, ...others })
  })

  test.each([
    ['what a person mends in the settings', 'settings-invalid', 2],
    ['what the settings point at', 'unauthorized', 2],
    ['another domain', 'domain-mismatch', 2],
    ['the world', 'unavailable', 1],
    ['a refusal', 'preflight-refused', 1],
    ['another run', 'busy', 3],
    ['no time', 'out-of-time', 3],
  ] as const)('an error says more than its outcome: %s', (_, error, wanted) => {
    expect(code(failed(error))).toBe(wanted)
  })
  test.each(Object.keys(ERROR_CODES) as ErrorCode[])('%s is no success', error => {
    expect(code(failed(error))).toBe(ERROR_CODES[error].exit)
    expect(code(failed(error))).not.toBe(0)
  })

  test.each([
    ['all well', [result(), result({ outcome: 'rotated' })], 0],
    ['none', [], 0],
    ['one waits', [result(), suspended('resume')], 3],
    ['one may not order yet', [result(), suspended('paused')], 1],
    ['one is backing off', [suspended('resume'), suspended('backing-off')], 1],
    ['one is set up wrongly', [suspended('resume'), failed('forbidden'), result()], 2],
    ['one failed', [failed('forbidden'), suspended('resume'), failed('unavailable')], 1],
  ] as const)('of several targets: %s', (_, results, wanted) => {
    expect(code(...results)).toBe(wanted)
    expect(code(...results.toReversed())).toBe(wanted)
  })
})
