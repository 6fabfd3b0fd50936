/**
 * Expressions over what others wrote: each of these held a process for seconds to minutes. The limit of five seconds is
 * many times what they take.
 */
import { describe, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { awsRefusal } from '../../lib/clouds/aws/refusal.ts'
import { withinBytes } from '../../lib/notifiers/shared/wording.ts'
import { textOfTxt } from '../../lib/solvers/shared/txt.ts'
import { enclose, open } from '../../lib/stores/shared/envelope.ts'
import { openKey } from '../../lib/x509/key.ts'

const LIMIT = 5_000
const MB = 1_000_000

describe('the first line of a document', () => {
  test.each([
    ['digits', `iotda-cert-state ${'1'.repeat(MB)}`],
    ['a token', `iotda-cert-state 1 ${'a'.repeat(64)} ${'x'.repeat(MB)}`],
    ['spaces', `iotda-cert-state 1${' '.repeat(MB)}`],
  ])('of a megabyte of %s is refused at once', { timeout: LIMIT }, (_, text) => {
    expect(() => open(text, 'run')).toThrow(/run cannot be read: it is no document of iotda-cert/)
  })

  test('is read as it is written, and says why it cannot be', () => {
    const { text, token } = enclose('{"a":1}', `host/${'p'.repeat(300)}`)
    expect(open(text, 'run')).toEqual({ body: '{"a":1}', token })
    expect(() => open(text.replace('state 1', 'state 22'), 'run')).toThrow(/format 22 is newer/)
    for (const bent of [
      text.replace('"a"', '"b"'),
      text.replace(token, ''),
      text.replace('state 1 ', 'state 1 0'),
    ])
      expect(() => open(bent, 'run')).toThrow(/cut or changed/)
  })
})

describe('the code of an answer of AWS', () => {
  const codeIn = (__type: string) =>
    awsRefusal({ status: 400, headers: {}, text: '{}' }, { __type }, 'a:Action')?.serviceCode

  test('is read at once, however long it is', { timeout: LIMIT }, () => {
    expect(codeIn(`${':'.repeat(MB)}\n`)).toBeNull()
    expect(codeIn(`${'#'.repeat(MB)}\n`)).toBeNull()
  })

  test.each(['SlowDown', 'com.amazonaws.s3#SlowDown', 'SlowDown:http://internal/', 'a#SlowDown:http://b/'])(
    'is %s without what stands around it',
    type => expect(codeIn(type)).toBe('SlowDown'),
  )
})

test('a TXT record of quotes and backslashes is read at once', { timeout: LIMIT }, () => {
  expect(textOfTxt('"\\'.repeat(MB / 4))).toContain('"')
  expect(textOfTxt('"a b" "c\\"d" "open')).toBe('a bc"d')
  expect(textOfTxt('plain')).toBe('plain')
  expect(textOfTxt('"never closed')).toBe('"never closed')
})

test('keys that begin and never end are no key, at once', { timeout: LIMIT }, () => {
  const text = '-----BEGIN PRIVATE KEY-----\n'.repeat(MB / 10)
  expect(() => openKey(secret(text), null)).toThrow(/there is no private key in it/)
})

test('a text of replacement characters is cut at once', { timeout: LIMIT }, () => {
  expect(withinBytes(`${'�'.repeat(MB / 4)}end`, MB / 2)).toHaveLength(166_664)
})
