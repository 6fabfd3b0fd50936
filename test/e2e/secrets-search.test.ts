import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKey, createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { createSearch } from './secrets.ts'

/** The search of secrets.test.ts can fail: whatever is planted is found, and nothing else. */

const line = (text: string): string => JSON.stringify({ level: 'info', message: text })
const around = (text: string): string => `${'x'.repeat(7)}${text}${'y'.repeat(7)}`

const kinds: readonly (readonly [string, () => string | Promise<string>])[] = [
  ['an RSA key', () => createKey('rsa-2048')],
  ['an EC key', () => createKey('ec-256')],
  ['an access key', () => `AK${randomBytes(9).toString('hex')}`],
  ['a secret key', () => randomBytes(24).toString('base64url')],
  ['a seal key', () => randomBytes(32).toString('base64')],
  ['a password', () => `p"ss w/rd+${randomBytes(12).toString('base64url')}`],
]

test.each(kinds)('%s is found in every form, and is not where it is not', async (_, make) => {
  const value = await make()
  const search = createSearch([{ name: 'it', value }])
  const base64 = (before: number): string =>
    Buffer.concat([Buffer.alloc(before, 'x'), Buffer.from(value)]).toString('base64')
  const forms = [
    value,
    line(value),
    line(line(value)),
    encodeURIComponent(value),
    new URLSearchParams({ token: value }).toString(),
    base64(0),
    base64(1),
    base64(2),
    Buffer.from(value).toString('base64url'),
    Buffer.from(value).toString('hex'),
    base64(0).replaceAll(/(.{20})/g, '$1\n'),
    line(base64(0).replaceAll(/(.{64})/g, '$1\r\n')),
  ]
  for (const form of forms) expect(search(around(form)), form).toEqual(['it'])
  expect(search(line('all is well'))).toEqual([])
})

test.each(['rsa-2048', 'ec-256'] as const)(
  'any 24 characters of an %s key are found, and none of what its certificate shows',
  async type => {
    for (let round = 0; round < 3; round += 1) {
      const value = await createKey(type)
      const search = createSearch([{ name: 'key', value }])
      const body = value.replaceAll(/-----[A-Z ]+-----|\n/g, '')
      // Behind the modulus of an RSA key, around the number of an EC key.
      const [from, to] = type === 'rsa-2048' ? [480, body.length - 24] : [40, 80]
      for (let at = from; at <= to; at += 1) expect(search(around(body.slice(at, at + 24)))).toEqual(['key'])
      const issuer = await createRoot({ keyType: type })
      const { certPem } = await issueLeaf({ names: ['iot.example.com'], issuer, keyPem: value })
      for (const text of [certPem, line(certPem), line(line(certPem))]) expect(search(text)).toEqual([])
    }
  },
)
