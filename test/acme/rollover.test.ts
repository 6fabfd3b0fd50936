import { createHash, createPublicKey } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { generateKey } from '../../lib/x509/key.ts'
import { createSourceMemory } from '../support/memory.ts'
import { mortal } from './crash.ts'
import { asSecret, type Bench, type Outside, obtained, problem, rejection, startBench } from './rig.ts'

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
  await obtained(bench)
  bench.operations()
})

const rollover = (outside: Partial<Outside> = {}, settings: Parameters<Bench['source']>[1] = {}) => {
  const run = bench.newRun()
  return bench.source(run, settings, outside).rollover?.(run) ?? Promise.reject(new Error('no rollover'))
}
const thumbprintOf = (pem: string): string => {
  const { crv, kty, x, y } = createPublicKey(pem).export({ format: 'jwk' })
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
}
/** Thumbprints of the keys that are kept, by name. */
const kept = () =>
  Object.fromEntries([...bench.memory.secrets].map(([name, key]) => [name, thumbprintOf(key.reveal())]))
const account = () => bench.ca.accounts[0]

describe('another key for the account', () => {
  it('is taken with one request, the old one is wiped, and orders go on under the same account', async () => {
    const before = { ...account() }
    expect(await rollover()).toBe(before.url)
    expect(bench.operations()).toEqual(['NewNonce', 'KeyChange'])
    expect(account()?.thumbprint).not.toBe(before.thumbprint)
    expect(kept()).toEqual({ 'account-key-2': account()?.thumbprint })
    await obtained(bench)
    expect(bench.operations()).toEqual(['NewNonce', 'NewOrder', 'Finalize', 'Order', 'Certificate'])
    expect(bench.ca.accounts).toHaveLength(1)
  })

  it('can be had again and again', async () => {
    for (let i = 2; i <= 4; i += 1) {
      await rollover()
      expect(kept()).toEqual({ [`account-key-${i}`]: account()?.thumbprint })
    }
  })

  it('is not made for a key that the settings give, nor before there is an account', async () => {
    const accountKey = asSecret(await generateKey('ec-256'))
    expect(await rejection(rollover({}, { accountKey }))).toMatchObject({
      code: 'ca-rejected',
      hint: expect.stringContaining('sources.ca.accountKey'),
    })
    expect(await rejection(rollover({ memory: createSourceMemory() }))).toMatchObject({
      code: 'ca-rejected',
      message: expect.stringContaining('no account yet'),
    })
    expect(bench.operations()).not.toContain('KeyChange')
  })

  it('is not had from a CA without key change, or from one that refuses: the old one stays', async () => {
    const before = kept()
    bench.faults.add({ operations: ['acme.KeyChange'], status: 400, body: problem('badPublicKey') })
    expect(await rejection(rollover())).toMatchObject({ code: 'ca-rejected' })
    const { directory } = bench.memory.notes as { directory: { body: Record<string, unknown> } }
    const { keyChange, ...body } = directory.body
    expect(keyChange).toBeDefined()
    await bench.memory.update(notes => ({ ...notes, directory: { ...directory, body } }))
    expect(await rejection(rollover())).toMatchObject({
      code: 'ca-rejected',
      message: expect.stringContaining('does not offer'),
    })
    expect(bench.memory.notes).not.toHaveProperty('rollover')
    expect(kept()).toMatchObject(before)
    bench.operations()
    await obtained(bench)
    expect(bench.operations()).not.toContain('NewAccount')
  })
})

describe('an answer that never came', () => {
  it.each(['before', 'after'] as const)(
    'dropped %s the effect: the next run asks the CA, once',
    async drop => {
      bench.faults.add({ operations: ['acme.KeyChange'], drop })
      expect(await rejection(rollover())).toMatchObject({ code: 'unavailable' })
      bench.operations()
      await obtained(bench)
      const asked = bench.operations().filter(call => call === 'NewAccount')
      expect(asked).toHaveLength(drop === 'after' ? 1 : 2)
      const name = drop === 'after' ? 'account-key-2' : 'account-key'
      expect(kept()[name]).toBe(account()?.thumbprint)
      expect(bench.ca.accounts).toHaveLength(1)
      await obtained(bench)
      expect(bench.operations()).not.toContain('NewAccount')
    },
  )
})

/** Outside calls of one rollover: of the memory, and of the CA. */
const CALLS = 14

describe.each(['before', 'after'] as const)('a crash %s outside call', when => {
  const all = Array.from({ length: CALLS }, (_, i) => i + 1)
  it.each(all)('%i: the account stays usable, and is the only one', async n => {
    const process = mortal(bench.outside, n, when)
    await rejection(rollover(process))
    expect(process.dead).toBe(true)
    const { run } = await obtained(bench)
    expect(run.warnings().filter(line => !line.includes('has not taken'))).toEqual([])
    expect(bench.ca.accounts).toHaveLength(1)
    expect(bench.memory.notes).not.toHaveProperty('rollover')
    expect(Object.values(kept())).toContain(account()?.thumbprint)
    await rollover()
    expect(Object.values(kept())).toContain(account()?.thumbprint)
    await obtained(bench)
    expect(bench.ca.accounts).toHaveLength(1)
  })
})

it('a rollover makes as many calls as are crashed above', async () => {
  const process = mortal(bench.outside, 0, 'before')
  await rollover(process)
  expect(process.calls).toHaveLength(CALLS)
})
