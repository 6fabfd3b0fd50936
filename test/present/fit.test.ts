/** Texts in the columns of a terminal. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { columnsOf, fitted, padded, shortened } from '../../lib/present/fit.ts'
import { overviewText } from '../../lib/present/overview.ts'
import { progressPrinter } from '../../lib/present/text.ts'
import { answer, result } from './answers.ts'
import { fleet } from './fleet.ts'

test.each([
  ['plain', 5],
  ['工厂一号', 8],
  ['e\u0301', 1],
  ['한글', 4],
  ['ＡＢ', 4],
  ['😀', 2],
  ['…█✓', 3],
  ['\x1b[31mred\x1b[0m', 3],
])('%j takes %i columns', (text, columns) => {
  expect(columnsOf(text)).toBe(columns)
  expect(columnsOf(padded(text, 12))).toBe(12)
})

test.each([
  ['plant-001-shanghai-east', 12, 'middle', 'plant-…-east'],
  ['plant-001-shanghai-east', 12, 'end', 'plant-001-s…'],
  ['上海东工厂一号', 8, 'middle', '上海…号'],
  ['short', 12, 'middle', 'short'],
  ['short', 1, 'end', '…'],
] as const)('%s in %i columns, cut in the %s', (text, columns, where, cut) => {
  expect(shortened(text, columns, where)).toBe(cut)
})

test('a line goes on below its last column, where that leaves room', () => {
  const finding = 'fail  dns iot.example.com  the zone is not delegated to the name servers of the service'
  expect(fitted(finding, 60)).toBe(
    [
      'fail  dns iot.example.com  the zone is not delegated to the',
      '                           name servers of the service',
    ].join('\n'),
  )
  expect(fitted(finding, 40).split('\n')[1]).toMatch(/^ {6}\S/)
  expect(fitted(`${' '.repeat(30)}-> mend it at once`, 40)).toBe('    -> mend it at once')
  expect(fitted('  before   CN=iot.example.com, by CN=Test CA', 30)).toBe(
    '  before   CN=iot.example.com,\n           by CN=Test CA',
  )
})

describe('nothing is wider than the terminal, and nothing is lost', () => {
  const word = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', '号', '😀') }),
    fc.constantFrom('\x1b[31mred\x1b[0m', '  ', 'x'.repeat(50)),
  )
  test.each([80, 40, 20])('in %i columns', columns => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), words => {
        const text = words.join(' ')
        const lines = fitted(text, columns).split('\n')
        for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(columns)
        const letters = (it: string): string => it.replaceAll(/\s/g, '')
        expect(letters(lines.join(''))).toBe(letters(text))
        expect(columnsOf(shortened(text.replaceAll('\x1b', ''), columns, 'middle'))).toBeLessThanOrEqual(
          columns,
        )
      }),
    )
  })
})

describe('the overview', () => {
  const LONG = `factory-${'shanghai-'.repeat(6)}east`
  const rowsIn = (width: number): readonly string[] => {
    const { results, ...rest } = fleet(10)
    const named = results.map((it, i) => (i === 3 ? { ...it, target: LONG } : it))
    const text = overviewText({ ...rest, results: named }, { colour: false, width, isLong: false })
    return text.split('\n\n')[0]?.split('\n') ?? []
  }

  test.each([200, 100, 80, 60, 40, 30])('in %i columns: each target has one whole row', width => {
    const rows = rowsIn(width)
    expect(rows).toHaveLength(11)
    for (const row of rows) expect(columnsOf(row), row).toBeLessThanOrEqual(width)
    // A row says at least which target, how long, and how it is.
    expect(rows[0]).toMatch(/^target +left +.*state/)
    for (const row of rows.slice(1)) expect(row).toMatch(/^\S+ {2}.*\d+\w.* {2}\S/)
  })

  test('what has no room: the bar, the next check, the slots; a long name is cut in its middle', () => {
    expect(rowsIn(200)[0]).toMatch(/slots +state +next check/)
    expect(rowsIn(200).join('\n')).toContain(LONG)
    expect(rowsIn(80).join('\n')).toMatch(/^factory-sh\S*…\S*-east /m)
    expect(rowsIn(40)[0]).not.toContain('next check')
    expect(rowsIn(40).join('\n')).toMatch(/…/)
  })

  test('a Chinese name keeps the columns in line', () => {
    const two = [result({ target: '工厂一号' }), result({ target: 'factory-2' })]
    const text = overviewText(answer(...two), { colour: false, width: 80, isLong: false })
    const [head = '', ...rows] = text.split('\n').slice(0, 3)
    const at = head.indexOf('left')
    for (const row of rows) expect(columnsOf(row.slice(0, row.indexOf('not seen')))).toBe(at)
  })
})

test('the step at work stays on its line, however long the name', () => {
  let shown = ''
  const write = (text: string): void => {
    shown += text
  }
  const print = progressPrinter({ isTTY: true, columns: 40, write })
  print('factory-'.repeat(9), 'verify', null)
  expect(columnsOf(shown.slice(1))).toBeLessThan(40)
  print('factory-'.repeat(9), 'verify', {
    ...{ step: 'verify', status: 'done', durationMs: 0, call: null, detail: 'served '.repeat(9).trim() },
  })
  const lines = shown.split('\r\x1b[K')[1]?.trimEnd().split('\n') ?? []
  for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(40)
})
