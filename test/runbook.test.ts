/** The runbook, in both languages, has a section for everything that an alert may point at, and no other. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { composeAlert } from '../lib/alerts/compose.ts'
import type { Message } from '../lib/alerts/decide.ts'
import { ERROR_CODES } from '../lib/model/errors.ts'
import { EVENT_NAMES } from '../lib/model/events.ts'
import { wordingOf } from '../lib/notifiers/shared/wording.ts'

const wanted = [...new Set([...EVENT_NAMES, ...Object.keys(ERROR_CODES)])]

/** The page of a language, and what its sections are divided into. */
const RUNBOOKS = [
  {
    ...{ language: 'en' as const, path: 'RUNBOOK.md', link: 'Runbook', least: 8 },
    parts: ['What it means.', 'What devices notice.', 'What to do.', 'What not to do.'],
  },
  {
    ...{ language: 'zh' as const, path: 'docs/zh-CN/operating.md', link: '手册', least: 5 },
    parts: ['含义。', '设备会察觉什么。', '该做什么。', '不要做什么。'],
  },
]

const textOf = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8')

const sectionsOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .split(/^## /m)
      .slice(1)
      .map(section => [section.slice(0, section.indexOf('\n')), section.split(/^# /m)[0] ?? ''] as const),
  )

describe.each(RUNBOOKS)('$path', ({ language, path, link, least, parts }) => {
  const text = textOf(path)
  const sections = sectionsOf(text)

  test('every event and every error code has one section, and nothing else has', () => {
    expect([...sections.keys()].toSorted()).toEqual(wanted.toSorted())
    expect(text.match(/^## /gm)).toHaveLength(wanted.length)
  })

  test.each(wanted)('%s says what it means, what devices notice, what to do and what not to do', name => {
    const section = sections.get(name) ?? ''
    for (const part of parts)
      expect(
        section.split(`**${part}**`)[1]?.split('\n')[0]?.trim().length ?? 0,
        part,
      ).toBeGreaterThanOrEqual(least)
  })

  test('links within it lead somewhere', () => {
    for (const [, anchor] of text.matchAll(/\]\(#([a-z-]+)\)/g))
      expect(sections.has(anchor ?? ''), anchor).toBe(true)
  })

  test('an alert in this language points at its section, be it about an event or an error', () => {
    const about = {
      ...{ id: 'a', target: null, domain: null, daysLeft: null, before: null, after: null },
      ...{ runId: 'r', nextTryAt: null },
    }
    const message: Message = {
      ...{ event: 'failed', severity: 'warning', kind: 'new', key: 'renewal', reason: '' },
      ...{ since: 0, ends: null, error: null },
    }
    const alerts = [
      ...EVENT_NAMES.map(event => composeAlert({ ...message, event }, about, 0)),
      ...Object.keys(ERROR_CODES).map(code =>
        composeAlert({ ...message, error: { code, message: '', hint: null } }, about, 0),
      ),
    ]
    const anchors = alerts.map(alert => {
      const at = new Map(wordingOf(alert, language).facts).get(link) ?? ''
      expect(at.split('#')[0]).toBe(path)
      return at.split('#')[1] ?? ''
    })
    expect(anchors.filter(anchor => !sections.has(anchor))).toEqual([])
    expect(new Set(anchors).size).toBe(wanted.length)
  })
})

test('both languages tell of the same, in the same order', () => {
  const [english, chinese] = RUNBOOKS.map(({ path }) => [...sectionsOf(textOf(path)).keys()])
  expect(chinese).toEqual(english)
})
