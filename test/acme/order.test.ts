import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { keyFits } from '../../lib/x509/key.ts'
import { createJournal } from '../support/memory.ts'
import { asSecret, attempt, obtained, rejection, specOf, startBench } from './rig.ts'

const NEW_AUTHORIZATION = [
  'NewNonce',
  'NewOrder',
  'Authorization',
  'Challenge',
  'Order',
  'Finalize',
  'Order',
  'Certificate',
]

describe('request counts', () => {
  it('takes directory, nonce and account before the first order, and eight requests for a renewal', async () => {
    const bench = await startBench({ authorizationReuse: false })
    const journal = createJournal()
    const { chainPem } = await obtained(bench, journal)
    expect(bench.operations()).toEqual(['Directory', 'NewNonce', 'NewAccount', ...NEW_AUTHORIZATION.slice(1)])
    const leaf = new X509Certificate(chainPem)
    expect(keyFits(asSecret(journal.keyPem ?? ''), leaf)).toBe(true)
    expect(leaf.subjectAltName).toBe('DNS:iot.example.com')

    await obtained(bench)
    expect(bench.operations()).toEqual(NEW_AUTHORIZATION)
    expect(bench.dns.txt.size).toBe(0)
  })

  it('takes five with a reused authorization, and never touches DNS', async () => {
    const bench = await startBench()
    await obtained(bench)
    bench.operations()
    const before = bench.solverCalls.length
    const journal = createJournal()
    await obtained(bench, journal)
    expect(bench.operations()).toEqual(['NewNonce', 'NewOrder', 'Finalize', 'Order', 'Certificate'])
    expect(bench.solverCalls.slice(before)).toEqual(['prepare _acme-challenge.iot.example.com.'])
    expect(journal.history.every(notes => notes.txt === undefined)).toBe(true)
  })

  it('does not poll when finalize already answers valid', async () => {
    const bench = await startBench({ asyncFinalize: false })
    await obtained(bench)
    bench.operations()
    await obtained(bench)
    expect(bench.operations()).toEqual(['NewNonce', 'NewOrder', 'Finalize', 'Certificate'])
  })

  it('signs again with the nonce of the answer when a share of the nonces is refused', async () => {
    const bench = await startBench({ badNonceShare: 0.5 })
    await obtained(bench)
    const calls = bench.operations()
    expect(calls.filter(call => call === 'NewNonce')).toHaveLength(1)
    expect(calls.length).toBeGreaterThan(12)
    expect(bench.ca.issued).toHaveLength(1)
  })

  it('gives up when every nonce is refused', async () => {
    const bench = await startBench({ badNonceShare: 1 })
    const error = await rejection(obtained(bench))
    expect(error).toMatchObject({ code: 'unavailable' })
    expect(bench.operations().filter(call => call === 'NewAccount')).toHaveLength(11)
  })
})

describe('polling', () => {
  it('a CA that is quick is not waited for: a tenth of a second for each of two polls', async () => {
    const bench = await startBench()
    await obtained(bench)
    expect(bench.sleeps).toEqual([100, 100])
  })

  it('honours Retry-After in both forms, within 1 and 30 seconds', async () => {
    const bench = await startBench({ asyncFinalizeMs: 5_000 })
    await obtained(bench)
    const before = [100, 100, 200, 400, 800, 1_600, 3_200]
    expect(bench.sleeps).toEqual(before)
    bench.ca.options.retryAfter = 'alternate'
    bench.ca.options.retryAfterSeconds = 40
    bench.ca.options.asyncFinalizeMs = 45_000
    await obtained(bench)
    expect(bench.sleeps.slice(before.length)).toEqual([30_000, 30_000])
    bench.ca.options.retryAfterSeconds = 0
    bench.ca.options.asyncFinalizeMs = 1_000
    await obtained(bench)
    expect(bench.sleeps.slice(before.length + 2)).toEqual([1_000])
  })

  it('backs off to ten seconds without Retry-After', async () => {
    const bench = await startBench({ asyncFinalizeMs: 40_000 })
    await obtained(bench)
    const doubling = [100, 200, 400, 800, 1_600, 3_200, 6_400]
    expect(bench.sleeps.slice(1)).toEqual([...doubling, 10_000, 10_000, 10_000])
  })

  it('waits for an order that stays pending after its authorizations are valid', async () => {
    const bench = await startBench({ readyAfterPolls: 2 })
    await obtained(bench)
    const [polled, after] = [NEW_AUTHORIZATION.slice(1, 5), NEW_AUTHORIZATION.slice(5)]
    expect(bench.operations().slice(3)).toEqual([...polled, 'Order', 'Order', ...after])
  })

  it('suspends instead of sleeping past the deadline, and goes on in the next run', async () => {
    const bench = await startBench({ asyncFinalizeMs: 120_000 })
    const { result, run, journal } = await attempt(bench, { leftMs: 60_000 })
    expect(result).toMatchObject({ kind: 'suspended', why: 'the CA is issuing the certificate' })
    expect(bench.clock.now).toBeLessThan(run.deadline)
    expect(bench.dns.txt.size).toBe(0)
    bench.clock.now += 120_000
    bench.operations()
    await obtained(bench, journal)
    expect(bench.operations()).toEqual(['NewNonce', 'Order', 'Certificate'])
  })

  it('keeps the TXT values while the CA has not validated, and does not answer the challenge twice', async () => {
    const bench = await startBench({ validationDelayMs: 3_600_000 })
    const { result, journal } = await attempt(bench, { leftMs: 5_000 })
    expect(result).toMatchObject({ kind: 'suspended', why: 'the CA has not yet validated every name' })
    expect(bench.dns.txt.get('_acme-challenge.iot.example.com')).toHaveLength(1)
    bench.operations()
    bench.ca.options.validationDelayMs = 0
    await obtained(bench, journal)
    const calls = bench.operations()
    expect(calls).not.toContain('NewOrder')
    expect(calls).not.toContain('Challenge')
    expect(bench.dns.txt.size).toBe(0)
  })

  it('suspends when the deadline comes between two requests', async () => {
    const bench = await startBench()
    const { solver } = bench.outside
    const present = async (...args: Parameters<typeof solver.present>) => {
      await solver.present(...args)
      bench.clock.now += 60_000
    }
    const { result, journal } = await attempt(bench, { leftMs: 60_000, solver: { ...solver, present } })
    expect(result).toMatchObject({ kind: 'suspended' })
    expect(journal.notes.order).toBeDefined()
    await obtained(bench, journal)
    expect(bench.ca.orders).toHaveLength(1)
  })
})

describe('names', () => {
  it('writes two values on one name for apex and wildcard, and removes exactly them', async () => {
    const bench = await startBench()
    const journal = createJournal()
    const name = '_acme-challenge.example.com'
    bench.dns.txt.set(name, ['of somebody else'])
    const names = ['example.com', '*.example.com', 'iot.example.net']
    const { chainPem } = await obtained(bench, journal, specOf(names))
    const leaf = new X509Certificate(chainPem)
    expect(leaf.subjectAltName).toBe('DNS:example.com, DNS:*.example.com, DNS:iot.example.net')
    expect(bench.solverCalls.filter(call => call.startsWith('present'))).toEqual([
      'present _acme-challenge.example.com.',
      'present _acme-challenge.example.com.',
      'present _acme-challenge.iot.example.net.',
    ])
    expect(bench.solverCalls.filter(call => call.startsWith('prepare'))).toHaveLength(2)
    expect([...bench.dns.txt]).toEqual([[name, ['of somebody else']]])
    expect(journal.notes).toEqual({ order: expect.anything() })
  })

  it('writes where CNAME delegation points to', async () => {
    const bench = await startBench()
    bench.dns.cname.set('_acme-challenge.iot.example.com', 'k7.acme.example.net')
    await obtained(bench)
    expect(bench.solverCalls).toEqual([
      'prepare k7.acme.example.net.',
      'present k7.acme.example.net.',
      'cleanUp k7.acme.example.net.',
    ])
  })

  it('has a common name only below 64 characters', async () => {
    const bench = await startBench()
    const long = `${'a'.repeat(60)}.example.com`
    const { chainPem } = await obtained(bench, undefined, specOf([long]))
    expect(new X509Certificate(chainPem).subjectAltName).toBe(`DNS:${long}`)
    const short = await obtained(bench, undefined, specOf(['iot.example.com']))
    expect(new X509Certificate(short.chainPem).subject).toBe('CN=iot.example.com')
  })

  it.each(['rsa-2048', 'ec-384'] as const)('issues for %s', async keyType => {
    const bench = await startBench()
    const journal = createJournal()
    const { chainPem } = await obtained(bench, journal, specOf(undefined, { keyType }))
    expect(keyFits(asSecret(journal.keyPem ?? ''), new X509Certificate(chainPem))).toBe(true)
  })
})
