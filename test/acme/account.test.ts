import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { asSecret, attempt, type Bench, failureOf, obtained, rejection, startBench } from './rig.ts'

const pemOf = ({ privateKey }: { privateKey: KeyObject }): string =>
  privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const withKey = (bench: Bench, pem: string) => attempt(bench, { settings: { accountKey: asSecret(pem) } })

describe('an account key that no CA takes is a mistake in the settings', () => {
  it.each([
    ['Ed25519', () => pemOf(generateKeyPairSync('ed25519')), 'is a key of type ed25519'],
    [
      'P-521',
      () => pemOf(generateKeyPairSync('ec', { namedCurve: 'P-521' })),
      'is a key on the curve secp521r1',
    ],
    [
      'RSA of 1024 bits',
      () => pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 })),
      'is an RSA key of 1024 bits',
    ],
    [
      'a public key',
      () =>
        generateKeyPairSync('ec', { namedCurve: 'P-256' })
          .publicKey.export({ type: 'spki', format: 'pem' })
          .toString(),
      'is no private key in PEM',
    ],
  ])('%s', async (_, make, why) => {
    const bench = await startBench()
    const error = await failureOf(withKey(bench, make()))
    expect(error).toMatchObject({ code: 'settings-invalid', retry: 'never' })
    expect(error.message).toBe(`sources.ca.accountKey ${why}`)
    expect(error.hint).toContain('P-256')
    expect(bench.operations()).toEqual([])
  })

  it('doctor says so, too, before there is any account', async () => {
    const bench = await startBench()
    const run = bench.newRun()
    const accountKey = asSecret(pemOf(generateKeyPairSync('ed25519')))
    const checked = bench.source(run, { accountKey }).check?.(run) ?? Promise.resolve()
    expect(await failureOf(checked)).toMatchObject({ code: 'settings-invalid' })
  })

  it('P-384 and RSA of 2048 bits are taken', async () => {
    const bench = await startBench()
    const keys = [
      generateKeyPairSync('ec', { namedCurve: 'P-384' }),
      generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ]
    for (const key of keys) await withKey(bench, pemOf(key))
    expect(bench.ca.accounts).toHaveLength(2)
  })
})

describe('an external account that the CA does not know points to externalAccount, not to accountKey', () => {
  const hmacKey = Buffer.alloc(32, 3).toString('base64url')
  const other = Buffer.alloc(32, 4).toString('base64url')

  it.each([
    ['another key id', { kid: 'kid-2', hmacKey: asSecret(hmacKey) }],
    ['another HMAC key', { kid: 'kid-1', hmacKey: asSecret(other) }],
  ])('%s', async (_, externalAccount) => {
    const bench = await startBench({ eabRequired: true, eabKeys: { 'kid-1': hmacKey } })
    const error = await failureOf(attempt(bench, { settings: { externalAccount } }))
    expect(error).toMatchObject({ code: 'ca-rejected', retry: 'never' })
    expect(error.hint).toContain('kid and hmacKey of sources.ca.externalAccount')
    expect(error.hint).not.toContain('accountKey')
  })
})

it('a CA that answers 501 to keyChange does not offer it: no outage, and the old key stays', async () => {
  const bench = await startBench()
  await obtained(bench)
  bench.faults.add({ operations: ['acme.KeyChange'], status: 501 })
  const run = bench.newRun()
  const error = await rejection(bench.source(run).rollover?.(run) ?? Promise.resolve())
  expect(error).toMatchObject({
    code: 'ca-rejected',
    hint: expect.stringContaining('does not offer'),
  })
  expect(bench.memory.notes).not.toHaveProperty('rollover')
  expect((await attempt(bench)).result.kind).toBe('obtained')
})
