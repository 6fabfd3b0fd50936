import { describe, expect, test } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import type { StepRecord } from '../../lib/model/outcomes.ts'
import { errorText, progressPrinter, resultText } from '../../lib/present/text.ts'
import { answer, reported, result } from './answers.ts'

describe('the answer in words', () => {
  test('idle', () => {
    expect(resultText(answer(result()), 'rotate')).toMatchInlineSnapshot(`
      "idle  factory-1: nothing to do
        idle (fresh): 60d left
        before   CN=iot.example.com, rsa-2048, by CN=Test CA, until 2026-09-01T00:00:00Z (aaaaaaaaaaaaaaaa…)
        next     2026-08-01T00:00:00Z
      "
    `)
  })

  test('idle means something else where a person asked for it', () => {
    const first = (action: 'hold' | 'resume') => resultText(answer(result()), action).split('\n')[0]
    expect(first('hold')).toBe(
      'idle  factory-1: held until you say resume (or the settings change, or an emergency)',
    )
    expect(first('resume')).toBe('idle  factory-1: nothing is held any more; the next run goes on')
  })

  test('rotated', () => {
    const rotated = result({
      outcome: 'rotated',
      decision: { due: true, reason: 'expiring', detail: '20d left', nextCheckAt: null },
      after: reported({ fingerprint: 'b'.repeat(64), notAfter: '2026-12-01T00:00:00Z' }),
      deleted: [{ serverCertificateId: 'old', why: 'ours, and no longer bound' }],
      warnings: [{ code: 'unverified', message: 'the device port could not be reached' }],
    })
    expect(resultText(answer(rotated), 'rotate')).toMatchInlineSnapshot(`
      "rotated  factory-1: the new certificate is bound and served
        due (expiring): 20d left
        before   CN=iot.example.com, rsa-2048, by CN=Test CA, until 2026-09-01T00:00:00Z (aaaaaaaaaaaaaaaa…)
        after    CN=iot.example.com, rsa-2048, by CN=Test CA, until 2026-12-01T00:00:00Z (bbbbbbbbbbbbbbbb…)
        deleted  old: ours, and no longer bound
        warning  unverified: the device port could not be reached
      "
    `)
  })

  test('what devices make of it, and what is true of the run as a whole', () => {
    const line = { check: 'path', profile: 'meter-v1', verdict: 'refuse', served: null, new: 'none' } as const
    const judged = result({
      devices: {
        verdicts: [
          { address: '192.0.2.10', profile: 'esp-idf', ok: true, lines: [] },
          {
            address: null,
            profile: 'meter-v1',
            ok: false,
            lines: [{ ...line, reason: 'no path to a trusted root', remedy: 'another chain' }],
          },
        ],
        ends: [],
      },
    })
    const warnings = [{ code: 'page-not-published', message: 'the status page was not published: no space' }]
    expect(resultText({ ...answer(judged), warnings }, 'status')).toMatchInlineSnapshot(`
      "idle  factory-1: nothing to do
        idle (fresh): 60d left
        before   CN=iot.example.com, rsa-2048, by CN=Test CA, until 2026-09-01T00:00:00Z (aaaaaaaaaaaaaaaa…)
        devices  esp-idf: accept what is served at 192.0.2.10
        devices  meter-v1: refuse what is bound
                 refuse path: no path to a trusted root
        next     2026-08-01T00:00:00Z

      warning  page-not-published: the status page was not published: no space
      "
    `)
  })

  test('failed before there was a decision', () => {
    const failed = result({
      outcome: 'failed',
      steps: [],
      before: null,
      after: null,
      decision: { due: false, reason: 'fresh', detail: 'not looked at', nextCheckAt: null },
      error: { code: 'throttled', message: 'too fast', hint: 'Wait.', retryAt: '2026-06-15T13:00:00Z' },
    })
    expect(resultText(answer(failed), 'rotate')).toMatchInlineSnapshot(`
      "failed  factory-1: the run failed
        error    throttled: too fast
        hint     Wait.
        not before 2026-06-15T13:00:00Z
      "
    `)
  })

  test('plan says which slot; status says what is there', () => {
    const seen = {
      slots: [
        { serverCertificateId: 'a1', bound: true, leaf: reported(), expiryDate: '2026-09-01T00:00:00Z' },
        { serverCertificateId: 'b2', bound: false, leaf: null, expiryDate: '2026-07-01T00:00:00Z' },
      ],
      served: [{ address: '192.0.2.1:8883', leaf: null, error: 'ECONNREFUSED' }],
    }
    const planned = result({
      outcome: 'planned',
      decision: { due: true, reason: 'forced', detail: 'a person asked for it', nextCheckAt: null },
      steps: [
        { step: 'decide', status: 'done', durationMs: 0, call: null, detail: '' },
        { step: 'free', status: 'skipped', durationMs: 0, call: null, detail: 'would use the free slot' },
      ],
      seen,
    })
    const text = resultText(answer(planned), 'plan')
    expect(text).toContain('  slot     would use the free slot\n')
    expect(text).toContain('  slot     a1  bound   CN=iot.example.com')
    expect(text).toContain('  slot     b2  unused  until 2026-07-01T00:00:00Z\n')
    expect(text).toContain('  served   192.0.2.1:8883: ECONNREFUSED\n')
    expect(resultText(answer(planned), 'status')).not.toContain('would use')
  })

  test('colour only where it is asked for; several targets one after the other', () => {
    const two = answer(result(), result({ target: 'factory-2', outcome: 'held' }))
    expect(resultText(two, 'rotate')).not.toContain('\x1b')
    expect(resultText(two, 'rotate', true)).toContain('\x1b[32midle\x1b[0m  factory-1')
    expect(resultText(two, 'rotate', true)).toContain('\x1b[31mheld\x1b[0m  factory-2')
  })

  test('an error before there was a target', () => {
    const hinted = new RotationError('usage', 'no settings are given', { hint: 'Use --config.' })
    expect(errorText(hinted)).toBe('error  usage: no settings are given\nhint   Use --config.\n')
    expect(errorText(new RotationError('usage', 'no'))).toBe('error  usage: no\n')
  })
})

describe('progress', () => {
  const ended: StepRecord = {
    step: 'add',
    status: 'done',
    durationMs: 65_000,
    call: null,
    detail: 'uploaded',
  }
  const shown = (isTTY: boolean): string => {
    const written: string[] = []
    const print = progressPrinter({ isTTY, write: text => written.push(text) })
    print('factory-1', 'add', null)
    print('factory-1', 'add', ended)
    print('factory-1', 'verify', { ...ended, step: 'verify', status: 'failed', durationMs: 9, detail: 'no' })
    return written.join('')
  }

  test('a line for each step that ended', () => {
    expect(shown(false)).toBe('  ✓ factory-1  add       uploaded  (1m 5s)\n  ✗ factory-1  verify    no\n')
  })

  test('on a terminal also the one at work, which its end overwrites', () => {
    expect(shown(true)).toBe(
      '\r  … factory-1  add      \r\x1b[K  ✓ factory-1  add       uploaded  (1m 5s)\n\r\x1b[K  ✗ factory-1  verify    no\n',
    )
  })
})
