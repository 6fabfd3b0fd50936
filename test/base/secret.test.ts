import { format, inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSecret, secret } from '../../lib/base/secret.ts'

describe('secret', () => {
  test('gives its value to who asks for it', () => {
    expect(secret('canary').reveal()).toBe('canary')
  })

  test('shows itself nowhere', () => {
    const hidden = secret('canary')
    const shown = [
      `${hidden}`,
      `${hidden}`,
      String(hidden),
      JSON.stringify({ hidden, list: [hidden] }),
      JSON.stringify({ ...hidden }),
      JSON.stringify(Object.entries(hidden)),
      inspect(hidden),
      inspect({ hidden }, { depth: 9, showHidden: true }),
      inspect(hidden, { customInspect: false, showHidden: true }),
      format('%s %o %O %j', hidden, hidden, hidden, hidden),
      inspect(new Error(`failed: ${hidden}`, { cause: hidden })),
      [hidden].join(),
    ]
    for (const text of shown) expect(text).not.toContain('canary')
    expect(shown[0]).toBe('[secret]')
    expect(shown[3]).toBe('{"hidden":"[secret]","list":["[secret]"]}')
  })

  test('hides any value', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 10 }), value => {
        expect(secret(value).reveal()).toBe(value)
        expect(JSON.stringify([secret(value)])).toBe('["[secret]"]')
      }),
    )
  })
})

describe('isSecret', () => {
  test.each([[null], [undefined], ['canary'], [{}], [{ reveal: 'canary' }], [[]]])('%j is none', value => {
    expect(isSecret(value)).toBe(false)
  })

  test('knows one', () => {
    expect(isSecret(secret(''))).toBe(true)
  })
})
