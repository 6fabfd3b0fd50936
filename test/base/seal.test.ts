import { createCipheriv, createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RotationError } from '../../lib/base/rotation-error.ts'
import { newSealKey, seal, unseal } from '../../lib/base/seal.ts'
import { secret } from '../../lib/base/secret.ts'

const key = newSealKey()
const context = 'certificates/iot/key'

const failure = (sealKey: typeof key, text: string, where = context): RotationError => {
  try {
    unseal(sealKey, text, where)
  } catch (thrown) {
    return thrown as RotationError
  }
  throw new Error('it was opened')
}

describe('seal', () => {
  test('any text opens again, as a secret', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, where) => {
        const opened = unseal(key, seal(key, text, where), where)
        expect(opened.reveal()).toBe(text)
        expect(`${opened}`).toBe('[secret]')
      }),
    )
  })

  test('is v1, the key id, the iv, and the ciphertext with its tag', () => {
    const [version, keyId, iv, data, ...rest] = seal(key, 'canary', context).split('.')
    const bytes = Buffer.from(key.reveal(), 'base64')
    expect([version, keyId, rest]).toEqual([
      'v1',
      createHash('sha256').update(bytes).digest('hex').slice(0, 8),
      [],
    ])
    expect(Buffer.from(iv ?? '', 'base64url')).toHaveLength(12)
    expect(Buffer.from(data ?? '', 'base64url')).toHaveLength('canary'.length + 16)
  })

  test('opens what AES-256-GCM makes elsewhere', () => {
    const bytes = Buffer.alloc(32, 7)
    const iv = Buffer.alloc(12, 1)
    const cipher = createCipheriv('aes-256-gcm', bytes, iv)
    cipher.setAAD(Buffer.from(context))
    const data = Buffer.concat([cipher.update('grüße'), cipher.final(), cipher.getAuthTag()])
    const keyId = createHash('sha256').update(bytes).digest('hex').slice(0, 8)
    const text = `v1.${keyId}.${iv.toString('base64url')}.${data.toString('base64url')}`
    expect(unseal(secret(bytes.toString('base64')), text, context).reveal()).toBe('grüße')
  })

  test('never seals the same text alike', () => {
    expect(seal(key, 'a', context)).not.toBe(seal(key, 'a', context))
  })
})

describe('unseal', () => {
  test('says that the key is another one', () => {
    const error = failure(newSealKey(), seal(key, 'canary', context))
    expect(error).toMatchObject({
      code: 'store-unreadable',
      hint: expect.stringContaining('seal key differs'),
    })
    expect(error.message).toContain(context)
  })

  test('refuses a text of another document', () => {
    const error = failure(key, seal(key, 'canary', context), 'certificates/other/key')
    expect(error.code).toBe('store-unreadable')
    expect(error.hint).not.toContain('seal key differs')
  })

  test('refuses any change of one character', () => {
    const sealed = seal(key, 'canary', context)
    for (let at = 0; at < sealed.length - 1; at += 1) {
      const put = sealed[at] === 'A' ? 'B' : 'A'
      expect(failure(key, sealed.slice(0, at) + put + sealed.slice(at + 1)).code).toBe('store-unreadable')
    }
  })

  test.each(['', 'v1', 'v2.00000000.AAAA.AAAA', 'canary', '{"a":1}', `${seal(key, 'a', context)}.x`])(
    'refuses %j',
    text => {
      expect(failure(key, text).code).toBe('store-unreadable')
    },
  )

  test('refuses a shortened tag', () => {
    const [version, keyId, iv, data = ''] = seal(key, '', context).split('.')
    const short = Buffer.from(data, 'base64url').subarray(0, 4).toString('base64url')
    expect(failure(key, [version, keyId, iv, short].join('.')).code).toBe('store-unreadable')
  })
})

describe('a seal key', () => {
  test('is 32 bytes, new each time', () => {
    expect(Buffer.from(key.reveal(), 'base64')).toHaveLength(32)
    expect(newSealKey().reveal()).not.toBe(key.reveal())
  })

  test('may come with a line end, as from a file', () => {
    expect(unseal(key, seal(secret(`${key.reveal()}\n`), 'a', context), context).reveal()).toBe('a')
  })

  test.each(['', 'canary', 'A'.repeat(42), 'A'.repeat(64), `${'A'.repeat(42)}*=`])('%j is none', text => {
    const attempt = () => seal(secret(text), 'a', context)
    expect(attempt).toThrow(expect.objectContaining({ code: 'settings-invalid', retry: 'never' }))
    expect(attempt).not.toThrow(expect.objectContaining({ message: expect.stringContaining('canary') }))
  })
})
