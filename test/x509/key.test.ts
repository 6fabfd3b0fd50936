import { createPrivateKey, generateKeyPairSync, webcrypto } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { KEY_TYPES } from '../../lib/model/certificate.ts'
import { leafOf } from '../../lib/x509/certificate.ts'
import { encodeKey, generateKey, keyFits, newPassphrase } from '../../lib/x509/key.ts'
import { issue, newKeys } from '../support/issue.ts'

describe('generateKey', () => {
  const details = {
    'rsa-2048': { modulusLength: 2048 },
    'rsa-3072': { modulusLength: 3072 },
    'rsa-4096': { modulusLength: 4096 },
    'ec-256': { namedCurve: 'prime256v1' },
    'ec-384': { namedCurve: 'secp384r1' },
  } as const

  test.each(KEY_TYPES)('%s', async keyType => {
    const pem = await generateKey(keyType)
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n[\s\S]+\n-----END PRIVATE KEY-----\n$/)
    expect(createPrivateKey(pem).asymmetricKeyDetails).toMatchObject(details[keyType])
  })

  test('never makes the same key twice', async () => {
    expect(await generateKey('ec-256')).not.toBe(await generateKey('ec-256'))
  })
})

describe('encodeKey', () => {
  const cases = [
    ['rsa-2048', 'pkcs1', 'RSA PRIVATE KEY'],
    ['rsa-2048', 'pkcs8', 'PRIVATE KEY'],
    ['ec-256', 'pkcs1', 'EC PRIVATE KEY'],
    ['ec-384', 'pkcs8', 'PRIVATE KEY'],
  ] as const

  test.each(cases)('%s as %s is a %s, and the same key', async (keyType, encoding, label) => {
    const pkcs8 = await generateKey(keyType)
    const encoded = encodeKey(secret(pkcs8), encoding)
    expect(String(encoded.privateKey)).toBe('[secret]')
    expect(encoded.password).toBeNull()
    expect(encoded.privateKey.reveal()).toMatch(
      new RegExp(`^-----BEGIN ${label}-----\n[\\s\\S]+-----END ${label}-----\n$`),
    )
    expect(encodeKey(encoded.privateKey, 'pkcs8').privateKey.reveal()).toBe(pkcs8)
  })

  test.each(['rsa-2048', 'ec-256'] as const)(
    '%s encrypted: a password of letters, new each time',
    async keyType => {
      const pkcs8 = await generateKey(keyType)
      const [one, two] = [1, 2].map(() => encodeKey(secret(pkcs8), 'encrypted-pkcs8'))
      expect(one?.privateKey.reveal()).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/)
      expect(one?.password?.reveal()).toMatch(/^[A-Za-z]{32,64}$/)
      expect(one?.password?.reveal()).not.toBe(two?.password?.reveal())
      for (const it of [one, two]) {
        const passphrase = it?.password?.reveal() ?? ''
        const key = createPrivateKey({ key: it?.privateKey.reveal() ?? '', passphrase })
        expect(key.export({ type: 'pkcs8', format: 'pem' })).toBe(pkcs8)
      }
    },
  )

  test('a key without PKCS#1 is refused', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const pem = secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    expect(() => encodeKey(pem, 'pkcs1')).toThrow(
      expect.objectContaining({
        code: 'certificate-invalid',
        message: 'a ed25519 key has no PKCS#1 encoding',
      }),
    )
    expect(encodeKey(pem, 'pkcs8').privateKey.reveal()).toContain('BEGIN PRIVATE KEY')
  })

  test.each(['', 'canary', '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n'])(
    'what is no key is refused without being shown (%#)',
    pem => {
      let thrown: unknown
      try {
        encodeKey(secret(pem), 'pkcs8')
      } catch (error) {
        thrown = error
      }
      expect(thrown).toMatchObject({ code: 'certificate-invalid', message: 'the private key cannot be read' })
      expect((thrown as Error).cause).toBeUndefined()
    },
  )

  test('an encrypted key is refused', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const cipher = { cipher: 'aes-256-cbc', passphrase: 'canary' }
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }).toString()
    expect(() => encodeKey(secret(pem), 'pkcs8')).toThrow('cannot be read')
  })
})

describe('newPassphrase', () => {
  test('uses every letter, and never the same twice', () => {
    const made = Array.from({ length: 200 }, () => newPassphrase().reveal())
    expect(new Set(made).size).toBe(200)
    expect(new Set(made.join('')).size).toBe(52)
    expect(String(newPassphrase())).toBe('[secret]')
  })
})

describe('keyFits', () => {
  test('tells the key of a certificate from another', async () => {
    const keys = await newKeys()
    const { certificate } = await issue({ keys })
    const pem = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
    const own = secret(`-----BEGIN PRIVATE KEY-----\n${pem}\n-----END PRIVATE KEY-----\n`)
    expect(leafOf(certificate).keyType).toBe('ec-256')
    expect(keyFits(own, certificate)).toBe(true)
    expect(keyFits(encodeKey(own, 'pkcs1').privateKey, certificate)).toBe(true)
    expect(keyFits(secret(await generateKey('ec-256')), certificate)).toBe(false)
    expect(keyFits(secret(await generateKey('rsa-2048')), certificate)).toBe(false)
  })
})
