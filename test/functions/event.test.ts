import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseEvent, rotateEverything } from '../../functions/event.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { ACTIONS } from '../../lib/model/outcomes.ts'

const PRINT = 'ab'.repeat(32)
const usage = (value: unknown): RotationError => {
  try {
    parseEvent(value)
  } catch (thrown) {
    expect(thrown).toMatchObject({ name: 'RotationError', code: 'usage', retry: 'never' })
    return thrown as RotationError
  }
  return expect.unreachable('the event was taken')
}

describe('taken', () => {
  test.each([
    [{}, {}],
    [{ action: 'rotate' }, {}],
    [
      { action: 'probe', profiles: ['a', 'a'] },
      { action: 'probe', profiles: ['a'] },
    ],
    [{ action: 'probe', profiles: null }, { action: 'probe' }],
    [{ targets: null, until: null, accept: null, force: false }, {}],
    [{ targets: ['a'] }, { targets: ['a'] }],
    [
      { action: 'revoke', targets: ['a'] },
      { action: 'revoke', targets: ['a'], revoke: { certificate: null, reason: 'unspecified' } },
    ],
    [
      { action: 'revoke', targets: ['a'], reason: 'keyCompromise', certificate: PRINT, force: true },
      {
        action: 'revoke',
        targets: ['a'],
        force: true,
        revoke: { certificate: PRINT, reason: 'keyCompromise' },
      },
    ],
    [{ reason: null, certificate: null }, {}],
    [{ targets: ['a', 'b', 'a'] }, { targets: ['a', 'b'] }],
    [{ force: true }, { force: true }],
    [{ until: 'add' }, { until: 'add' }],
    [{ accept: PRINT }, { accept: PRINT }],
    [{ accept: PRINT.toUpperCase() }, { accept: PRINT }],
    [{ accept: PRINT.replace(/..(?=.)/g, '$&:') }, { accept: PRINT }],
    [{ accept: `SHA256/${PRINT}` }, { accept: PRINT }],
  ])('%j', (given, wanted) => {
    expect(parseEvent(given)).toEqual({ ...rotateEverything, ...wanted })
  })

  test.each(ACTIONS)('action %s', action => {
    expect(parseEvent({ action, targets: ['a'] }).action).toBe(action)
  })

  test.each(['obtain', 'preflight', 'free', 'add', 'bind', 'verify'])('until %s', until => {
    expect(parseEvent({ until }).until).toBe(until)
  })
})

describe('refused', () => {
  const cases: readonly (readonly [unknown, string, string])[] = [
    [null, 'it is no object', '"action":"rotate"'],
    [undefined, 'it is no object', '"action":"rotate"'],
    ['rotate', 'it is no object', '"action":"rotate"'],
    [[], 'it is no object', '"action":"rotate"'],
    [{ endpoint: 'https://x' }, 'unknown key "endpoint"', 'action, targets, force, until, accept'],
    [{ action: 'rotate', config: '{}' }, 'unknown key "config"', 'action, targets, force, until, accept'],
    [{ '': 1 }, 'unknown key ""', 'action, targets, force, until, accept'],
    [{ action: 'delete' }, 'unknown action', 'rotate, plan, status, rollback, hold, resume'],
    [{ action: 'Rotate' }, 'unknown action', 'rotate, plan, status, rollback, hold, resume'],
    [{ action: null }, 'unknown action', 'rotate, plan, status, rollback, hold, resume'],
    [{ action: 'hold', force: true }, '"force" with action "hold"', 'for rotate, plan, revoke only'],
    [{ action: 'plan', until: 'add' }, '"until" with action "plan"', 'for rotate only'],
    [{ action: 'status', accept: PRINT }, '"accept" with action "status"', 'for rotate, rollback only'],
    [{ profiles: ['a'] }, '"profiles" without action "probe"', 'narrowed'],
    [{ action: 'probe', profiles: [] }, '"profiles" is no list of names', 'all profiles'],
    [{ action: 'probe', profiles: 'a' }, '"profiles" is no list of names', 'all profiles'],
    [{ action: 'doctor' }, 'action "doctor" is reserved', 'rotate'],
    [{ action: 'revoke' }, '"revoke" names no target', 'name it'],
    [{ action: 'revoke', targets: ['a'], reason: 'x' }, '"reason" is none that a CA takes', 'keyCompromise'],
    [{ action: 'revoke', targets: ['a'], certificate: 'x' }, '"certificate" is no SHA-256', '64 hex digits'],
    [{ reason: 'superseded' }, '"reason" without action "revoke"', 'revocation'],
    [{ certificate: PRINT }, '"certificate" without action "revoke"', 'revocation'],
    [{ action: 'watch' }, 'unknown action', 'rotate'],
    [{ targets: [] }, '"targets" is no list of names', 'for all targets'],
    [{ targets: 'factory-1' }, '"targets" is no list of names', 'for all targets'],
    [{ targets: ['a', 1] }, '"targets" is no list of names', 'for all targets'],
    [{ force: 'true' }, '"force" is not true or false', 'true or false'],
    [{ force: null }, '"force" is not true or false', 'true or false'],
    [{ until: 'upload' }, '"until" names no step', 'Steps: obtain, preflight'],
    [{ until: 'decide' }, '"until" names no step', 'Steps: obtain, preflight'],
    [{ until: 'record' }, '"until" names no step', 'Steps: obtain, preflight'],
    [{ accept: 'all' }, '"accept" is no SHA-256 fingerprint', '64 hex digits'],
    [{ accept: true }, '"accept" is no SHA-256 fingerprint', '64 hex digits'],
    [{ accept: `${PRINT}0` }, '"accept" is no SHA-256 fingerprint', '64 hex digits'],
  ]
  test.each(cases)('%j', (given, message, hint) => {
    const error = usage(given)
    expect(error.message).toContain(`the event is not understood: ${message}`)
    expect(error.hint).toContain(hint)
  })
})

test('anything is an event or a mistake of use', () => {
  const key = fc.constantFrom('action', 'targets', 'force', 'until', 'accept', '__proto__', '')
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(key, fc.jsonValue())), value => {
      try {
        const event = parseEvent(value)
        expect(Object.keys(value as object).every(k => k in rotateEverything)).toBe(true)
        expect(ACTIONS).toContain(event.action)
        expect(typeof event.force).toBe('boolean')
      } catch (thrown) {
        if (!(thrown instanceof RotationError)) throw thrown
        expect(thrown.code).toBe('usage')
      }
    }),
  )
})

test.each(['action', 'accept', 'certificate'])('"%s" nested without end is refused like any other', key => {
  let deep: unknown = []
  for (let i = 0; i < 20_000; i += 1) deep = [deep]
  const event = { action: 'revoke', targets: ['a'], [key]: deep }
  expect(() => parseEvent(event)).toThrow(expect.objectContaining({ code: 'usage' }))
})
