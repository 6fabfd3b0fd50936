import { expect, test } from 'vitest'
import { fitAlert } from '../../lib/alerts/fit.ts'
import { plainText, wordingOf } from '../../lib/notifiers/shared/wording.ts'
import { alertOf } from './alert-of.ts'

const EVIL = 'down\nRunbook: https://evil\u2028To do: nothing\u202e\u009b2J\u001b[2J\u200b\u00ad\u{e0041}'
/** But for line breaks, which are ours. */
const UNSEEN = /(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/u

const leaf = { issuer: EVIL, fingerprint: 'ab', notAfter: '2026-06-27T12:00:00Z' }
const error = { code: 'ca-rejected', message: EVIL, hint: EVIL } as const

test('no text of somebody else makes a line of an alert of its own, wherever it stands', () => {
  const alert = alertOf(
    { reason: EVIL, error },
    { target: EVIL, domain: EVIL, nextTryAt: EVIL, before: leaf, after: { ...leaf, fingerprint: 'cd' } },
  )
  for (const language of ['en', 'zh'] as const) {
    const text = plainText(wordingOf(alert, language))
    expect(text).not.toMatch(UNSEEN)
    expect(text.split('\n').filter(line => /^(Runbook|To do|手册): /.test(line))).toHaveLength(
      language === 'en' ? 2 : 1,
    )
    expect(text).not.toMatch(/^Runbook: https:\/\/evil/m)
  }
})

test('what lay in the outbox is made fit as well, and once is enough', () => {
  const stored = { ...alertOf(), reason: EVIL, whatToDo: EVIL, runbook: `RUNBOOK.md\n${EVIL}` }
  const fit = fitAlert(stored)
  expect(JSON.stringify(fit)).not.toMatch(UNSEEN)
  expect(fit.runbook).not.toContain('\n')
  expect(fitAlert(fit)).toEqual(fit)
})

test('where a text is cut, no half of a character is left, and once is enough', () => {
  const text = `x${'😀'.repeat(400)}`
  const fit = fitAlert(alertOf({ reason: text }, { target: `${text}` }))
  expect(`${fit.reason}${fit.target}`).not.toMatch(/\p{Cs}|ud83d/u)
  expect(fitAlert(fit)).toEqual(fit)
})

test.each(['x', '证', '\u0000', '\ud83d\ude00'])('an alert of many %j has 16 KB at most', char => {
  const long = char.repeat(20_000)
  const names = Array.from({ length: 50 }, () => long)
  const alert = fitAlert({
    ...alertOf({ reason: long, error: { ...error, message: long, hint: long } }),
    ...{ target: long, domain: long, before: { ...leaf, issuer: long }, after: { ...leaf, issuer: long } },
    targets: { count: 900, names },
  })
  expect(Buffer.byteLength(JSON.stringify(alert))).toBeLessThanOrEqual(16_384)
  expect(alert.targets?.count).toBe(900)
})
