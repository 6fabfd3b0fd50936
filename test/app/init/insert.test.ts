/** Adding to a settings file leaves every character of it where it was. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { inserted } from '../../../lib/app/init/insert.ts'

test.each([
  [
    'two spaces',
    '{\n  "targets": [\n    { "name": "a" }\n  ]\n}\n',
    '{\n  "targets": [\n    { "name": "a" },\n    {\n      "name": "b"\n    }\n  ]\n}\n',
  ],
  [
    'tabs',
    '{\n\t"targets": [\n\t\t{}\n\t]\n}',
    '{\n\t"targets": [\n\t\t{},\n\t\t{\n\t\t\t"name": "b"\n\t\t}\n\t]\n}',
  ],
  ['one line', '{"targets":[{"name":"a"}]}', '{"targets":[{"name":"a"}, {"name":"b"}]}'],
  [
    'lines of Windows',
    '{\r\n  "targets": [\r\n    1\r\n  ]\r\n}\r\n',
    '{\r\n  "targets": [\r\n    1,\r\n    {\r\n      "name": "b"\r\n    }\r\n  ]\r\n}\r\n',
  ],
  [
    'an empty list',
    '{\n  "targets": []\n}\n',
    '{\n  "targets": [\n    {\n      "name": "b"\n    }\n  ]\n}\n',
  ],
  [
    'a section that is not there',
    '{\n  "version": 1\n}\n',
    '{\n  "version": 1,\n  "targets": [\n    {\n      "name": "b"\n    }\n  ]\n}\n',
  ],
])('%s', (_, before, after) => {
  expect(inserted(before, 'targets', null, { name: 'b' })).toBe(after)
})

test('brackets, commas and quotes in texts are no places', () => {
  const before = '\uFEFF{ "a]\\"}": "},[\\\\", "targets": { "x\\"": ["]"], "n": -1.50e+3 } }'
  const after = inserted(before, 'targets', 'y', 1)
  expect(after).toBe(before.replace('-1.50e+3 }', '-1.50e+3, "y": 1 }'))
})

describe('any settings, however they are written', () => {
  const json = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 })
  const indent = fc.constantFrom<string | number | undefined>(undefined, 1, 2, 4, '\t')
  const ends = fc.constantFrom('', '\n', '  \n')
  test.each([
    ['a list', [1]],
    ['an object', { own: 1 }],
    ['an empty list', []],
    ['nothing', undefined],
  ])('%s: what is parsed has one thing more, and the text only grew', (_, section) => {
    fc.assert(
      fc.property(json, json, indent, ends, fc.jsonValue(), (front, back, step, end, value) => {
        const { targets: _f, ...rest } = { ...front, ...back }
        const whole = { ...rest, ...(section === undefined ? {} : { targets: section }), z: back }
        const key = Array.isArray(section) || section === undefined ? null : 'added'
        const before = `${JSON.stringify(whole, null, step)}${end}`
        const after = inserted(before, 'targets', key, value)
        const grown = key === null ? [...((section as unknown[]) ?? []), value] : { own: 1, added: value }
        expect(JSON.parse(after)).toEqual(JSON.parse(JSON.stringify({ ...whole, targets: grown })))
        let at = 0
        while (at < before.length && before[at] === after[at]) at += 1
        // An empty pair of brackets is opened; nothing else goes.
        expect(after.endsWith(before.slice(at).replace(/^\s*/, ''))).toBe(true)
      }),
      { numRuns: 150 },
    )
  })
})
