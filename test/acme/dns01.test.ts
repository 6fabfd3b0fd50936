import { describe, expect, it } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { createJournal } from '../support/memory.ts'
import { attempt, type Bench, failureOf, obtained, startBench } from './rig.ts'

const fails = (code: 'unauthorized' | 'solver-zone-missing') => async () => {
  throw new RotationError(code, 'solvers.dns: it failed', { retry: 'never' })
}
const solverOf = ({ outside }: Bench, over: object) => ({ ...outside.solver, ...over })

describe('the solver', () => {
  it('that cannot write costs no order', async () => {
    const bench = await startBench()
    const solver = solverOf(bench, { prepare: fails('solver-zone-missing') })
    expect((await failureOf(attempt(bench, { solver }))).code).toBe('solver-zone-missing')
    expect(bench.operations()).not.toContain('NewOrder')
  })

  it('that fails to clean up is a warning, and a later run removes the value', async () => {
    const bench = await startBench()
    const solver = solverOf(bench, { cleanUp: fails('unauthorized') })
    const { result, run, journal } = await attempt(bench, { solver })
    expect(result.kind).toBe('obtained')
    expect(run.warnings()).toEqual(['a TXT value stays for now: solvers.dns: it failed'])
    expect(journal.notes.txt).toHaveLength(1)
    await obtained(bench, journal)
    expect(bench.dns.txt.size).toBe(0)
    expect(journal.notes.txt).toBeUndefined()
  })

  it('that fails to write leaves an order that is gone on with, and values that are written first in the journal', async () => {
    const bench = await startBench()
    const journal = createJournal()
    let noted: unknown = null
    const present = async () => {
      noted = journal.notes.txt
      throw new RotationError('unavailable', 'solvers.dns: down')
    }
    const error = await failureOf(attempt(bench, { journal, solver: solverOf(bench, { present }) }))
    expect(error.code).toBe('unavailable')
    expect(noted).toEqual([
      { fqdn: '_acme-challenge.iot.example.com.', value: expect.any(String), domain: 'iot.example.com' },
    ])
    await obtained(bench, journal)
    expect(bench.ca.orders).toHaveLength(1)
    expect(bench.dns.txt.size).toBe(0)
  })

  it('that writes where nobody looks: the CA is never asked to validate', async () => {
    const bench = await startBench()
    const journal = createJournal()
    const solver = solverOf(bench, { present: async () => {} })
    expect((await failureOf(attempt(bench, { journal, solver }))).code).toBe('propagation-timeout')
    expect(bench.operations()).not.toContain('Challenge')
    await obtained(bench, journal)
    expect(bench.ca.orders).toHaveLength(1)
  })

  it('that is slow suspends the run at its deadline', async () => {
    const bench = await startBench()
    const solver = solverOf(bench, { present: async () => {} })
    const { result, run, journal } = await attempt(bench, { solver, leftMs: 30_000 })
    expect(result).toMatchObject({ kind: 'suspended', why: expect.stringContaining('propagation') })
    expect(bench.clock.now).toBeLessThanOrEqual(run.deadline)
    expect(journal.notes.txt).toHaveLength(1)
  })
})

describe('giving up', () => {
  it('deactivates pending authorizations and removes exactly our values', async () => {
    const bench = await startBench({ validationDelayMs: 600_000 })
    bench.dns.txt.set('_acme-challenge.iot.example.com', ['of somebody else'])
    const { journal } = await attempt(bench, { leftMs: 3_000 })
    const next = bench.newRun()
    await bench.source(next).abandon(journal, next)
    expect(bench.ca.orders[0]).toMatchObject({
      status: 'invalid',
      authorizations: [{ status: 'deactivated' }],
    })
    expect([...bench.dns.txt]).toEqual([['_acme-challenge.iot.example.com', ['of somebody else']]])
    expect(journal.notes).toEqual({})
    expect(next.warnings()).toEqual([])
  })

  it('leaves valid authorizations for later orders', async () => {
    const bench = await startBench()
    const journal = createJournal()
    await obtained(bench, journal)
    const run = bench.newRun()
    await bench.source(run).abandon(journal, run)
    expect(bench.ca.orders[0]?.authorizations[0]?.status).toBe('valid')
    expect(journal.notes).toEqual({})
  })

  it('does not fail for an order that is gone, a CA that is down, or an empty journal', async () => {
    const bench = await startBench()
    await obtained(bench)
    const run = bench.newRun()
    const source = bench.source(run)
    bench.operations()
    const empty = createJournal()
    await source.abandon(empty, run)
    expect(bench.operations()).toEqual([])
    const gone = createJournal()
    const order = { url: `${bench.ca.url}/orders/gone`, finalize: '', expires: null }
    await gone.write({ order })
    await source.abandon(gone, run)
    expect(bench.operations()).toEqual(['NewNonce', 'Order'])
    expect(run.warnings()).toEqual([])
    expect(gone.notes).toEqual({})
    await gone.write({ order })
    await bench.ca.dispose()
    await source.abandon(gone, run)
    expect(run.warnings()[0]).toContain('an order is left to expire')
    expect(gone.notes).toEqual({})
  })

  it('removes no value that no challenge has, whoever wrote it into the journal', async () => {
    const bench = await startBench()
    const [name, value] = ['_dmarc.example.com', 'v=DMARC1; p=reject']
    bench.dns.txt.set(name, [value])
    const journal = createJournal()
    await journal.write({ txt: [{ fqdn: `${name}.`, value, domain: 'iot.example.com' }] })
    const run = bench.newRun()
    await bench.source(run).abandon(journal, run)
    expect([...bench.dns.txt]).toEqual([[name, [value]]])
  })

  it('keeps the values it could not remove, and makes no account', async () => {
    const bench = await startBench()
    const journal = createJournal()
    const txt = [
      { fqdn: '_acme-challenge.iot.example.com.', value: 'v'.repeat(43), domain: 'iot.example.com' },
    ]
    await journal.write({ order: { url: `${bench.ca.url}/orders/x`, finalize: '', expires: null }, txt })
    const run = bench.newRun()
    const solver = solverOf(bench, { cleanUp: fails('unauthorized') })
    await bench.source(run, {}, { solver }).abandon(journal, run)
    expect(journal.notes).toEqual({ txt })
    expect(bench.operations()).toEqual([])
    expect(bench.memory.secrets.size).toBe(0)
    await bench.source(run).abandon(journal, run)
    expect(journal.notes).toEqual({})
  })
})
