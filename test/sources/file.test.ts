import { createPrivateKey } from 'node:crypto'
import * as v from 'valibot'
import { beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../lib/base/log.ts'
import { secret } from '../../lib/base/secret.ts'
import { systemClock } from '../../lib/base/time.ts'
import type { Run, SourceContext } from '../../lib/contracts.ts'
import file from '../../lib/sources/file.ts'
import { leafOf, normalizePem, parseChain } from '../../lib/x509/certificate.ts'
import {
  type Authority,
  createIntermediate,
  createKey,
  createRoot,
  type Issued,
  issueLeaf,
} from '../../sandbox/kit/pki.ts'
import { requestOf, specOf } from '../acme/rig.ts'
import { failureOf as errorOf } from '../support/failure.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'

const DOMAIN = 'iot.example.com'
const PASSWORD = 'canary-Password-1'

let root: Authority
let upper: Authority
let lower: Authority
let rsa: Issued
let ec: Issued

beforeAll(async () => {
  root = await createRoot()
  upper = await createIntermediate({ issuer: root, commonName: 'Upper' })
  lower = await createIntermediate({ issuer: upper, commonName: 'Lower' })
  rsa = await issueLeaf({ names: [DOMAIN], issuer: lower, keyType: 'rsa-2048' })
  ec = await issueLeaf({ names: [DOMAIN], issuer: lower })
})

const context: SourceContext = {
  name: 'bought',
  http: () => expect.unreachable('not asked for'),
  clock: systemClock,
  log: silentLog,
  huaweiKeys: () => Promise.reject(new Error('not asked for')),
  memory: createSourceMemory(),
  solver: () => expect.unreachable('not asked for'),
}
const run: Run = {
  ...{ runId: 'run-1', clock: systemClock, log: silentLog },
  ...{ deadline: Number.POSITIVE_INFINITY, signal: new AbortController().signal },
}
const request = requestOf(specOf([DOMAIN]))

const open = (certificate: string, privateKey: string, password: string | null = null) =>
  file.create(
    {
      certificate: secret(certificate),
      privateKey: secret(privateKey),
      password: password === null ? null : secret(password),
    },
    context,
  )
type Given = readonly [certificate: string, privateKey: string, password?: string | null]
const obtain = (given: Given, journal = createJournal()) => open(...given).obtain(request, journal, run)

const encoded = (
  { keyPem }: Issued,
  type: 'pkcs1' | 'sec1' | 'pkcs8',
  cipher?: string,
  passphrase = PASSWORD,
): string =>
  createPrivateKey(keyPem)
    .export({ type: type as 'pkcs8', format: 'pem', ...(cipher ? { cipher, passphrase } : {}) })
    .toString()

describe('what is obtained', () => {
  const inOrder = (): string => normalizePem(parseChain(rsa.chainPem))
  const blocks = (pem: string) => pem.match(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----\n/g) ?? []

  test.each([
    ['in order', () => rsa.chainPem],
    ['in the wrong order', () => blocks(rsa.chainPem).toReversed().join('')],
    ['with the root, first', () => root.certPem + rsa.chainPem],
    ['with one twice', () => rsa.chainPem + upper.certPem],
    ['with CRLF and a text of the shop', () => `Your order:\r\n${rsa.chainPem.replaceAll('\n', '\r\n')}`],
  ])('a chain %s is leaf first, without the root', async (_, chain) => {
    const result = await obtain([chain(), rsa.keyPem])
    expect(result).toEqual({ kind: 'obtained', chainPem: inOrder() })
  })

  test('a chain that devices do not take is cut short, if they take that', async () => {
    const [leaf, issuer] = parseChain(rsa.chainPem)
    const ask = (longest: number) =>
      open(rsa.chainPem, rsa.keyPem).obtain(
        { ...request, accepts: pem => parseChain(pem).length <= longest },
        createJournal(),
        run,
      )
    expect(await ask(2)).toMatchObject({ chainPem: normalizePem([leaf as never, issuer as never]) })
    expect(await ask(1)).toMatchObject({ chainPem: normalizePem([leaf as never]) })
    expect(await ask(0)).toMatchObject({ chainPem: inOrder() })
  })

  test('a self-signed leaf alone', async () => {
    const own = await createRoot()
    expect(await obtain([own.certPem, own.keyPem])).toMatchObject({ kind: 'obtained' })
  })

  test.each([
    ['PKCS#8', () => [rsa, encoded(rsa, 'pkcs8'), null]],
    ['PKCS#1', () => [rsa, encoded(rsa, 'pkcs1'), null]],
    ['SEC 1', () => [ec, encoded(ec, 'sec1'), null]],
    [
      'SEC 1 behind its parameters',
      () => [
        ec,
        `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${encoded(ec, 'sec1')}`,
        null,
      ],
    ],
    ['encrypted PKCS#8, AES', () => [rsa, encoded(rsa, 'pkcs8', 'aes-256-cbc'), PASSWORD]],
    ['encrypted PKCS#8, 3DES', () => [ec, encoded(ec, 'pkcs8', 'des-ede3-cbc'), PASSWORD]],
    ['encrypted PKCS#1', () => [rsa, encoded(rsa, 'pkcs1', 'aes-128-cbc'), PASSWORD]],
    ['plain, with a password all the same', () => [ec, encoded(ec, 'pkcs8'), PASSWORD]],
    ['CRLF', () => [ec, encoded(ec, 'pkcs8').replaceAll('\n', '\r\n'), null]],
  ] as readonly (readonly [string, () => readonly [Issued, string, string | null]])[])(
    'a key as %s is stored as plain PKCS#8',
    async (_, make) => {
      const [issued, key, password] = make()
      const journal = createJournal()
      await obtain([issued.chainPem, key, password], journal)
      expect(journal.keyPem).toBe(encoded(issued, 'pkcs8'))
    },
  )

  test('what it holds is the leaf', async () => {
    const { serial, names, notBefore, notAfter } = leafOf(parseChain(ec.certPem)[0] as never)
    const offer = await open(ec.chainPem, ec.keyPem).offer?.(run)
    expect(offer).toEqual({ serial, names, notBefore, notAfter, trouble: null })
  })

  test('what is no news is not given', async () => {
    const journal = createJournal()
    const source = open(ec.chainPem, ec.keyPem)
    const error = await errorOf(source.obtain({ ...request, isNews: () => false }, journal, run))
    expect(error).toMatchObject({
      code: 'not-renewed',
      retry: 'never',
      message: expect.stringMatching(
        /^source bought \(file\): it holds nothing newer than what is bound; .* 20/,
      ),
      hint: expect.stringContaining('sources.bought'),
    })
    expect(journal.keyPem).toBeNull()
  })
})

describe('what is refused', () => {
  const cases: readonly (readonly [string, () => Promise<Given> | Given, string])[] = [
    [
      'the key of another',
      async () => [ec.certPem, await createKey('ec-256')],
      'the private key does not belong to the certificate',
    ],
    [
      'the key of another, of another kind',
      () => [ec.chainPem, rsa.keyPem],
      'does not belong to any of the 3 certificates',
    ],
    [
      'the key of an intermediate only',
      () => [lower.certPem + upper.certPem, ec.keyPem],
      'does not belong to any of the 2',
    ],
    [
      'a stranger in the chain',
      async () => [
        ec.chainPem + (await createIntermediate({ issuer: root, commonName: 'Stranger' })).certPem,
        ec.keyPem,
      ],
      'the certificate of O=Sandbox, CN=Stranger is no part of the chain',
    ],
    ['a gap in the chain', () => [ec.certPem + upper.certPem, ec.keyPem], 'CN=Upper is no part of the chain'],
    ['two leaves', () => [ec.chainPem + rsa.certPem, ec.keyPem], `CN=${DOMAIN} is no part of the chain`],
    ['a certificate that is garbage', () => ['garbage', ec.keyPem], 'source bought (file): '],
    ['a key that is garbage', () => [ec.chainPem, 'garbage'], 'there is no private key in it'],
    ['a certificate in place of the key', () => [ec.chainPem, ec.chainPem], 'there is no private key in it'],
    [
      'the key in place of the certificate',
      () => [ec.keyPem, ec.keyPem],
      'a private key stands among the certificates',
    ],
    [
      'a key cut short',
      () => [ec.chainPem, ec.keyPem.replace(/\n[^\n]{20}/, '\n')],
      'the private key cannot be read',
    ],
    [
      'an encrypted key without a password',
      () => [ec.chainPem, encoded(ec, 'pkcs8', 'aes-256-cbc')],
      'the private key is encrypted, and there is no password',
    ],
    [
      'the wrong password',
      () => [ec.chainPem, encoded(ec, 'pkcs8', 'aes-256-cbc'), `${PASSWORD}x`],
      'the password does not open the private key',
    ],
    [
      'the wrong password of an old format',
      () => [rsa.chainPem, encoded(rsa, 'pkcs1', 'aes-256-cbc'), `${PASSWORD}x`],
      'the password does not open the private key',
    ],
  ]
  test.each(cases)('%s', async (_, make, says) => {
    const given = await make()
    const journal = createJournal()
    for (const error of [
      await errorOf(obtain(given, journal)),
      await errorOf(open(...given).offer?.(run) ?? Promise.reject()),
    ]) {
      expect(error).toMatchObject({ code: 'certificate-invalid', retry: 'never' })
      expect(error.message).toMatch(/^source bought \(file\): /)
      expect(error.message).toContain(says)
      expect(error.hint).not.toBeNull()
      const shown = `${error.message} ${error.hint} ${JSON.stringify(error)} ${error.cause}`
      for (const line of given[1].split('\n').filter(it => it.length > 30 && !it.startsWith('-----')))
        if (!given[0].includes(line)) expect(shown).not.toContain(line)
      expect(shown).not.toContain(PASSWORD)
    }
    expect(journal.keyPem).toBeNull()
  })
})

describe('settings', () => {
  test('are references', () => {
    expect(v.parse(file.settings, { certificate: 'file:chain.pem', privateKey: 'awssm:key' })).toMatchObject({
      certificate: { scheme: 'file', secret: true },
      privateKey: { scheme: 'awssm', secret: true },
      password: null,
    })
  })

  test.each([
    [{ certificate: 'file:a' }],
    [{ privateKey: 'file:a' }],
    [{ certificate: 'file:a', privateKey: 'file:b', passphrase: 'env:P' }],
    [{ certificate: 'file:a', privateKey: '' }],
  ])('refuse %j', input => {
    expect(v.safeParse(file.settings, input).issues).toHaveLength(1)
  })
})
