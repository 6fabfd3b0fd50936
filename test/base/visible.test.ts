import { expect, test } from 'vitest'
import { allVisible, jsonText, quoted, visible, visibleJson } from '../../lib/base/visible.ts'
import { findingsText } from '../../lib/present/findings-text.ts'
import { overviewText } from '../../lib/present/overview.ts'
import { escapeHtml } from '../../lib/present/page/html.ts'
import { resultText } from '../../lib/present/text.ts'
import { watchText } from '../../lib/present/watch-text.ts'
import { answer, reported, result } from '../present/answers.ts'

test.each([
  ['\u001b]0;title\u0007', '\\u001b]0;title\\u0007'],
  ['a\nrotated  factory-1', 'a\\u000arotated  factory-1'],
  ['\u202egnp.exe', '\\u202egnp.exe'],
  ['grüße 证书 😀 e\u0301', 'grüße 证书 😀 e\u0301'],
  ['exa\u00admple', 'exa\\u00admple'],
  ['pay\u200bpal\u2060.com', 'pay\\u200bpal\\u2060.com'],
  ['\u061ca\u180eb\u206fc\ufeff', '\\u061ca\\u180eb\\u206fc\\ufeff'],
  ['ok\u{e0041}\u{e007f}', 'ok\\udb40\\udc41\\udb40\\udc7f'],
  ['a\u034f\u3164\ufe0f\u{e0100}', 'a\\u034f\\u3164\\ufe0f\\udb40\\udd00'],
  ['half \ud83d of a pair', 'half \\ud83d of a pair'],
  ['a\u2028b\u2029', 'a\\u2028b\\u2029'],
])('%j is shown as %s', (text, shown) => {
  expect(visible(text)).toBe(shown)
  expect(allVisible({ a: [{ b: text }], c: 1, d: null })).toEqual({ a: [{ b: shown }], c: 1, d: null })
})

test('a name that somebody asked for is repeated on one line, and not to the end', () => {
  expect(quoted('factory-1')).toBe('"factory-1"')
  expect(quoted('a\nb')).toBe('"a\\u000ab"')
  expect(quoted('x'.repeat(1_000_000))).toBe(`"${'x'.repeat(80)}…"`)
})

test('a name in a certificate moves no cursor', () => {
  const evil = answer(result({ before: reported({ subject: 'CN=\u001b[2Jevil' }) }))
  const text = resultText(evil, 'rotate')
  expect(text).toContain('CN=\\u001b[2Jevil')
  expect(text).not.toContain('\u001b')
})

test('nor where the watchdog or the doctor has read it', () => {
  const reason = 'serves a certificate for \u001b[2Jevil'
  const watched = watchText({
    undelivered: 0,
    results: [{ target: 'a', ok: false, daysLeft: 1, problems: [{ event: 'watch-wrong-name', reason }] }],
  })
  const found = findingsText(
    [{ check: 'port', subject: 'a', verdict: 'fail', message: reason, remedy: reason }],
    false,
  )
  for (const text of [watched, found]) {
    expect(text).toContain('\\u001b[2Jevil')
    expect(text).not.toContain('\u001b')
  }
})

test('nor in the table of the fleet, its warnings, or the page', () => {
  const evil = 'a\u009b2J\u202e\nrotated'
  const many = ['1', '2', '3', '4'].map(name => result({ target: `${name}${evil}` }))
  const shown = {
    ...answer(many[0] ?? result({})),
    results: many,
    warnings: [{ code: 'store', message: evil }],
  }
  const table = overviewText(shown, { colour: false, width: 200, isLong: true })
  expect(table).not.toMatch(/[\u009b\u202e]/)
  expect(table).not.toMatch(/^rotated/m)
  expect(escapeHtml(evil)).toBe('a\\u009b2J\\u202e\\u000arotated')
})

test('JSON for people and programs shows every character, and is the same when it is read', () => {
  const value = { a: 'x\u009b\u202e\u2028\n\u200b\u{e0041}y' }
  expect(jsonText(value)).toBe('{\n  "a": "x\\u009b\\u202e\\u2028\\n\\u200b\\udb40\\udc41y"\n}\n')
  expect(JSON.parse(jsonText(value))).toEqual(value)
  expect(visibleJson('{"a":1}\n')).toBe('{"a":1}\n')
})
