/** RUNBOOK.md has a section for everything that an alert may point at, and no other. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { composeAlert } from '../lib/alerts/compose.ts'
import type { Message } from '../lib/alerts/decide.ts'
import { ERROR_CODES } from '../lib/model/errors.ts'
import { EVENT_NAMES } from '../lib/model/events.ts'

const text = await readFile(fileURLToPath(new URL('../RUNBOOK.md', import.meta.url)), 'utf8')
const sections = new Map(
  text
    .split(/^## /m)
    .slice(1)
    .map(section => [section.slice(0, section.indexOf('\n')), section.split(/^# /m)[0] ?? ''] as const),
)
const wanted = [...new Set([...EVENT_NAMES, ...Object.keys(ERROR_CODES)])]

test('every event and every error code has one section, and nothing else has', () => {
  expect([...sections.keys()].toSorted()).toEqual(wanted.toSorted())
  expect(text.match(/^## /gm)).toHaveLength(wanted.length)
})

test.each(wanted)('%s says what it means, what devices notice, what to do and what not to do', name => {
  const section = sections.get(name) ?? ''
  for (const part of ['What it means', 'What devices notice', 'What to do', 'What not to do'])
    expect(section.split(`**${part}.** `)[1]?.split('\n')[0]?.length ?? 0, part).toBeGreaterThan(7)
})

test('links within it lead somewhere', () => {
  for (const [, anchor] of text.matchAll(/\]\(#([a-z-]+)\)/g))
    expect(sections.has(anchor ?? ''), anchor).toBe(true)
})

test('an alert points at a section', () => {
  const about = {
    ...{ id: 'a', target: null, domain: null, daysLeft: null, before: null, after: null },
    ...{ runId: 'r', nextTryAt: null },
  }
  const message: Message = {
    ...{ event: 'failed', severity: 'warning', kind: 'new', key: 'renewal', reason: '' },
    ...{ since: 0, ends: null, error: null },
  }
  const anchors = [
    ...EVENT_NAMES.map(event => composeAlert({ ...message, event }, about, 0).runbook),
    ...Object.keys(ERROR_CODES).map(
      code => composeAlert({ ...message, error: { code, message: '', hint: null } }, about, 0).runbook,
    ),
  ]
  for (const anchor of anchors) expect(sections.has(anchor.replace('RUNBOOK.md#', '')), anchor).toBe(true)
})
