import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { keyFits } from '../../lib/x509/key.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'
import { mortal } from './crash.ts'
import {
  asSecret,
  attempt,
  type Bench,
  obtained,
  problem,
  rejection,
  requestOf,
  specOf,
  startBench,
} from './rig.ts'

const request = requestOf(specOf(['example.com', '*.example.com']))

/** Runs once in a process that dies at a call, then in healthy ones; what is left of the dead one. */
const crashAndRecover = async (bench: Bench, dieAt: number, when: 'before' | 'after') => {
  const outside = { ...bench.outside, journal: createJournal(), memory: createSourceMemory() }
  const process = mortal(outside, dieAt, when)
  const run = bench.newRun()
  const first = await bench
    .source(run, {}, process)
    .obtain(request, process.journal, run)
    .catch(() => null)
  const next = bench.newRun()
  const second = await bench.source(next, {}, outside).obtain(request, outside.journal, next)
  return { process, first, second, journal: outside.journal }
}

describe.each(['before', 'after'] as const)('a process that dies %s the effect of an outside call', when => {
  it('is followed by one that ends with one certificate, the same key and clean DNS, at every call', async () => {
    let dieAt = 1
    for (; ; dieAt += 1) {
      const bench = await startBench()
      const { process, first, second, journal } = await crashAndRecover(bench, dieAt, when)
      if (!process.dead) {
        expect(first).toMatchObject({ kind: 'obtained' })
        break
      }
      const where = `${process.calls.at(-1)} (${dieAt})`
      expect(second.kind, where).toBe('obtained')
      const { chainPem } = second as { chainPem: string }
      expect(keyFits(asSecret(journal.keyPem ?? ''), new X509Certificate(chainPem)), where).toBe(true)
      expect(bench.ca.issued, where).toHaveLength(1)
      expect(bench.ca.accounts, where).toHaveLength(1)
      expect(bench.ca.orders, where).toHaveLength(1)
      expect(bench.dns.txt.size, where).toBe(0)
      expect(journal.notes, where).toEqual({ order: expect.anything() })
    }
    expect(dieAt).toBeGreaterThan(25)
  })
})

describe('an order of an earlier run', () => {
  const suspendedAt = async (bench: Bench, leftMs: number) => {
    const { journal } = await attempt(bench, { leftMs })
    bench.operations()
    return journal
  }

  it('is downloaded when it is valid', async () => {
    const bench = await startBench()
    const journal = createJournal()
    const { chainPem } = await obtained(bench, journal)
    bench.operations()
    expect((await obtained(bench, journal)).chainPem).toBe(chainPem)
    expect(bench.operations()).toEqual(['NewNonce', 'Order', 'Certificate'])
  })

  it('is replaced when the CA no longer knows it', async () => {
    const bench = await startBench()
    const journal = createJournal()
    await journal.write({ order: { url: `${bench.ca.url}/orders/gone`, finalize: '', expires: null } })
    await obtained(bench, journal)
    expect(bench.operations().filter(call => call === 'NewOrder')).toHaveLength(1)
  })

  it('is replaced when it has expired, after its TXT values are gone', async () => {
    const bench = await startBench({ validationDelayMs: 600_000 })
    const journal = await suspendedAt(bench, 3_000)
    expect(bench.dns.txt.size).toBe(1)
    bench.clock.now += 8 * 86_400_000
    bench.ca.options.validationDelayMs = 0
    const cleaned = bench.solverCalls.length
    await obtained(bench, journal)
    expect(bench.solverCalls.slice(cleaned)).toEqual([
      'cleanUp _acme-challenge.iot.example.com.',
      'prepare _acme-challenge.iot.example.com.',
      'present _acme-challenge.iot.example.com.',
      'cleanUp _acme-challenge.iot.example.com.',
    ])
    expect(bench.ca.issued).toHaveLength(1)
  })

  it('is left in the journal when the CA cannot be asked', async () => {
    const bench = await startBench({ validationDelayMs: 600_000 })
    const journal = await suspendedAt(bench, 3_000)
    bench.faults.add({ operations: ['acme.Order'], status: 503, headers: { 'retry-after': '120' } })
    const error = await rejection(obtained(bench, journal))
    expect(error).toMatchObject({ code: 'unavailable', retryAt: bench.clock.now + 120_000 })
    expect(journal.notes.order).toBeDefined()
    expect(bench.dns.txt.size).toBe(1)
  })

  it('was issued for another key: dropped', async () => {
    const bench = await startBench()
    const journal = createJournal()
    await obtained(bench, journal)
    const other = createJournal()
    await other.write(journal.notes)
    expect(await rejection(obtained(bench, other))).toMatchObject({ code: 'order-failed' })
    expect(other.notes).toEqual({})
    await obtained(bench, other)
    expect(bench.ca.issued).toHaveLength(2)
  })

  it('has a certificate that vanished: dropped', async () => {
    const bench = await startBench()
    const journal = createJournal()
    await obtained(bench, journal)
    const body = problem('malformed')
    bench.faults.add({ operations: ['acme.Certificate'], status: 404, body })
    expect(await rejection(obtained(bench, journal))).toMatchObject({ code: 'order-failed', retry: 'later' })
    expect(journal.notes).toEqual({})
  })

  it('is for other names: nothing is written, and it is dropped', async () => {
    const bench = await startBench({ validationDelayMs: 600_000 })
    const journal = await suspendedAt(bench, 3_000)
    const written = bench.solverCalls.length
    const error = await rejection(obtained(bench, journal, specOf(['other.example.com'])))
    expect(error).toMatchObject({ code: 'order-failed', message: expect.stringContaining('was not ordered') })
    expect(bench.solverCalls.slice(written)).toEqual(['cleanUp _acme-challenge.iot.example.com.'])
    expect(journal.notes).toEqual({})
  })

  it('is ignored when its notes cannot be read', async () => {
    const bench = await startBench()
    const journal = createJournal()
    await journal.write({ order: 5, txt: [{ fqdn: 1 }] })
    await obtained(bench, journal)
    expect(bench.ca.issued).toHaveLength(1)
  })
})

describe('a broken finalize', () => {
  it.each([
    ['a lost answer', { drop: 'after' }],
    ['a cut answer', { cut: 20 }],
    ['a server error after the effect', { status: 500, after: true }],
    ['an unreadable answer', { status: 200, body: '<html>', after: true }],
  ] as const)('goes on with the order after %s', async (_, fault) => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.Finalize'], ...fault })
    await obtained(bench)
    const calls = bench.operations()
    expect(calls.filter(call => call === 'Finalize')).toHaveLength(1)
    expect(bench.ca.issued).toHaveLength(1)
  })

  it('is sent once more when it had no effect', async () => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.Finalize'], drop: 'before' })
    await obtained(bench)
    const calls = bench.operations()
    const again = ['Finalize', 'NewNonce', 'Order', 'Finalize', 'Order', 'Certificate']
    expect(calls.slice(calls.indexOf('Finalize'))).toEqual(again)
  })

  it('is an error when the server refuses and the order is still ready', async () => {
    const bench = await startBench()
    const journal = createJournal()
    bench.faults.add({ operations: ['acme.Finalize'], status: 503, headers: { 'retry-after': '60' } })
    const error = await rejection(obtained(bench, journal))
    expect(error).toMatchObject({ code: 'unavailable', retryAt: bench.clock.now + 60_000 })
    expect(bench.dns.txt.size).toBe(0)
    await obtained(bench, journal)
    expect(bench.ca.orders).toHaveLength(1)
  })

  it('is sent once more after orderNotReady, when the order is ready after all', async () => {
    const bench = await startBench()
    const journal = createJournal()
    const body = problem('orderNotReady')
    bench.faults.add({ operations: ['acme.Finalize'], status: 403, body })
    await obtained(bench, journal)
    expect(bench.operations().filter(call => call === 'Finalize')).toHaveLength(2)
    bench.faults.add({ operations: ['acme.Finalize'], status: 403, body, times: 2 })
    expect(await rejection(obtained(bench))).toMatchObject({ code: 'order-failed', retry: 'now' })
  })
})
