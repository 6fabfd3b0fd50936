import { describe, expect, it } from 'vitest'
import { REVOCATION_REASONS, type RevocationReason } from '../../lib/model/certificate.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'
import { asSecret, type Bench, type Outside, obtained, problem, rejection, startBench } from './rig.ts'

async function issued(bench: Bench) {
  const journal = createJournal()
  const { chainPem } = await obtained(bench, journal)
  bench.operations()
  return { certificatePem: chainPem, key: asSecret(journal.keyPem ?? '') }
}

interface Wanted {
  readonly certificatePem: string
  readonly reason: RevocationReason
  readonly key: ReturnType<typeof asSecret> | null
}

const revoke = (bench: Bench, wanted: Wanted, outside: Partial<Outside> = {}) => {
  const run = bench.newRun()
  return bench.source(run, {}, outside).revoke?.(wanted, run) ?? Promise.reject(new Error('no revoke'))
}

const REASONS = Object.entries(REVOCATION_REASONS) as [RevocationReason, number][]

describe('a certificate', () => {
  it.each(REASONS)('is revoked by the account for %s', async (reason, code) => {
    const bench = await startBench()
    const { certificatePem } = await issued(bench)
    expect(await revoke(bench, { certificatePem, reason, key: null })).toBe('revoked')
    expect(bench.ca.issued[0]?.revoked).toMatchObject({ reason: code })
    expect(bench.operations()).toEqual(['NewNonce', 'RevokeCert'])
    expect(await revoke(bench, { certificatePem, reason, key: null })).toBe('already-revoked')
  })

  it('whose key is compromised is revoked by that key where it is held: no account is needed', async () => {
    const bench = await startBench()
    const { certificatePem, key } = await issued(bench)
    const memory = createSourceMemory()
    expect(await revoke(bench, { certificatePem, reason: 'keyCompromise', key }, { memory })).toBe('revoked')
    expect(bench.operations()).toEqual(['Directory', 'NewNonce', 'RevokeCert'])
    expect(bench.ca.issued[0]?.revoked).toMatchObject({ reason: 1 })
  })

  it('of another account is revoked by its key, and not at all without', async () => {
    const bench = await startBench()
    const { certificatePem, key } = await issued(bench)
    const memory = createSourceMemory()
    const alone = { certificatePem, reason: 'superseded', key: null } as const
    expect(await rejection(revoke(bench, alone, { memory }))).toMatchObject({
      code: 'ca-rejected',
      message: expect.stringContaining('no account'),
    })
    expect(await revoke(bench, { ...alone, key }, { memory })).toBe('revoked')
  })

  it('is revoked by its key where the CA does not take the account’s word', async () => {
    const bench = await startBench()
    const { certificatePem, key } = await issued(bench)
    const body = problem('unauthorized')
    bench.faults.add({ operations: ['acme.RevokeCert'], status: 403, body })
    expect(await revoke(bench, { certificatePem, reason: 'superseded', key })).toBe('revoked')
    expect(bench.operations().filter(call => call === 'RevokeCert')).toHaveLength(2)
  })

  it('that the CA does not know: a person is told, and the directory is not to blame', async () => {
    const bench = await startBench()
    await issued(bench)
    const { certificatePem } = await issued(await startBench())
    const error = await rejection(revoke(bench, { certificatePem, reason: 'superseded', key: null }))
    expect(error).toMatchObject({ code: 'ca-rejected', retry: 'never' })
    expect(bench.operations()).not.toContain('Directory')
  })
})
