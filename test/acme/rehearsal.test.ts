import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type AcmeCa, createAcmeCa } from '../../sandbox/acme-ca/ca.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { createJournal, type MemoryJournal } from '../support/memory.ts'
import { attempt, type Bench, failureOf, losing, problem, startBench } from './rig.ts'

let bench: Bench
let staging: AcmeCa
let faults: Faults
beforeEach(async () => {
  bench = await startBench()
  faults = createFaults()
  staging = await createAcmeCa({
    faults,
    dnsServer: bench.dns.address,
    keyAlgorithm: 'ec-256',
    tls: false,
    now: () => bench.clock.now,
  })
  onTestFinished(() => staging.dispose())
})

const LIMITS = { orders: 3, perMs: 7 * 86_400_000, failedValidations: 2 }

/** `lost`: whose validations find no record, by the beginning of their URL. */
const obtain = (journal = createJournal(), lost = '', leftMs = 600_000) => {
  const lose = (url: string): void => {
    if (lost !== '' && url.startsWith(lost)) bench.dns.txt.clear()
  }
  const settings = { staging: staging.directoryUrl, budget: LIMITS }
  return attempt(bench, { journal, leftMs, settings, http: losing(bench, lose) })
}

const ordersAt = (there: Faults): number =>
  there.calls.filter(call => call.operation === 'acme.NewOrder').length
/** A first validation at production that fails. */
const fail = async (journal?: MemoryJournal): Promise<void> => {
  const error = await failureOf(obtain(journal, bench.ca.url))
  expect(error).toMatchObject({ code: 'validation-failed' })
}

describe('staging', () => {
  it('is not asked for anything while validations succeed', async () => {
    expect((await obtain()).result.kind).toBe('obtained')
    expect((await obtain()).result.kind).toBe('obtained')
    expect(faults.calls).toEqual([])
  })

  it('is not asked when CAA names the account at production alone', async () => {
    const journal = createJournal()
    await fail(journal)
    const { account } = (await bench.memory.read()) as { account: { url: string } }
    bench.dns.caa.set('iot.example.com', [`sandbox-ca.test; accounturi=${account.url}`])
    const { result, run } = await obtain(journal)
    expect(result.kind).toBe('obtained')
    expect(ordersAt(faults)).toBe(0)
    expect(run.warnings()[0]).toContain('no rehearsal on staging: iot.example.com: CAA of iot.example.com')
  })

  it('rehearses after a failed validation, issues nothing, and then production is asked', async () => {
    const journal = createJournal()
    await fail(journal)
    const { result } = await obtain(journal)
    expect(result.kind).toBe('obtained')
    expect(staging.orders).toHaveLength(1)
    expect(staging.issued).toEqual([])
    expect(staging.accounts).toHaveLength(1)
    expect(bench.ca.accounts).toHaveLength(1)
    expect(bench.dns.txt.size).toBe(0)
    expect(journal.notes).not.toHaveProperty('rehearsal')
    expect([...bench.memory.secrets.keys()]).toEqual(['account-key', 'staging-account-key'])
    // And not again, since all is well.
    const before = faults.calls.length
    expect((await obtain()).result.kind).toBe('obtained')
    expect(faults.calls).toHaveLength(before)
  })

  it('that fails too spares production, and is itself not asked more often than twice an hour', async () => {
    await fail()
    for (let i = 0; i < 2; i += 1) {
      const error = await failureOf(obtain(undefined, staging.url))
      expect(error).toMatchObject({ code: 'validation-failed' })
      expect(error.message).toContain('sources.ca.staging')
    }
    const error = await failureOf(obtain(undefined, staging.url))
    expect(error).toMatchObject({ code: 'rate-limited' })
    expect(error.message).toContain('sources.ca.staging')
    expect(ordersAt(bench.faults)).toBe(1)
    expect(ordersAt(faults)).toBe(2)
    bench.clock.now += 3_600_000
    expect((await obtain()).result.kind).toBe('obtained')
  })

  it('validates anew at each rehearsal: what it validated before is given up', async () => {
    await fail()
    await obtain()
    bench.ca.options.authorizationReuse = false
    bench.clock.now += 3_600_000
    await fail()
    await obtain()
    const challenges = faults.calls.filter(call => call.operation === 'acme.Challenge')
    expect(challenges).toHaveLength(2)
    expect(staging.orders.map(order => order.authorizations[0]?.status)).toEqual([
      'deactivated',
      'deactivated',
    ])
  })

  it.each([
    ['is down', { status: 503, times: 100 }],
    ['refuses the order', { status: 403, body: problem('unauthorized'), times: 100 }],
    ['is asked for by CAA of the production account', { status: 403, body: problem('caa') }],
    [
      'has limits of its own',
      { status: 429, headers: { 'retry-after': '60' }, body: problem('rateLimited') },
    ],
  ])('that %s stops nothing', async (_, fault) => {
    await fail()
    faults.add({ operations: ['acme.NewOrder'], ...fault })
    const { result, run } = await obtain()
    expect(result.kind).toBe('obtained')
    expect(run.warnings().some(line => line.startsWith('no rehearsal on staging'))).toBe(true)
  })

  it('without the profile of the certificate rehearses with another one', async () => {
    staging.options.profiles = ['classic']
    await fail()
    expect((await obtain()).result.kind).toBe('obtained')
    expect(staging.orders).toHaveLength(1)
  })

  it('is gone on with by the next run when this one has no time left, and an order under way is not rehearsed', async () => {
    const journal = createJournal()
    await fail(journal)
    staging.options.validationDelayMs = 3_600_000
    const { result } = await obtain(journal, '', 4_000)
    expect(result).toMatchObject({ kind: 'suspended', why: expect.stringContaining('rehearsal on staging') })
    expect(journal.notes).toHaveProperty('rehearsal.order')
    staging.options.validationDelayMs = 0
    await sleep(300)
    bench.ca.options.asyncFinalizeMs = 86_400_000
    const next = await obtain(journal, '', 60_000)
    expect(next.result).toMatchObject({ kind: 'suspended', why: 'the CA is issuing the certificate' })
    expect(staging.orders).toHaveLength(1)
    bench.clock.now += 86_400_000
    expect((await obtain(journal)).result.kind).toBe('obtained')
    expect(staging.orders).toHaveLength(1)
  })

  it('is given up with the rest of a journal', async () => {
    const journal = createJournal()
    await fail(journal)
    staging.options.validationDelayMs = 3_600_000
    await obtain(journal, '', 4_000)
    expect(bench.dns.txt.size).toBe(1)
    const run = bench.newRun()
    await bench.source(run, { staging: staging.directoryUrl }).abandon(journal, run)
    expect(journal.notes).toEqual({})
    expect(bench.dns.txt.size).toBe(0)
    expect(run.warnings()).toEqual([])
  })

  it('whose TXT values stay leaves them over', async () => {
    const journal = createJournal()
    await fail(journal)
    const { cleanUp } = bench.outside.solver
    let refusals = 1
    Object.assign(bench.outside.solver, {
      cleanUp: async (...given: Parameters<typeof cleanUp>) => {
        refusals -= 1
        if (refusals >= 0) throw new Error('down')
        return cleanUp(...given)
      },
    })
    const { result } = await obtain(journal)
    expect(result).toMatchObject({ kind: 'obtained', leftovers: { rehearsal: { txt: [expect.anything()] } } })
    const left = createJournal()
    await left.write(result.kind === 'obtained' ? (result.leftovers ?? {}) : {})
    const run = bench.newRun()
    await bench.source(run).abandon(left, run)
    expect(left.notes).toEqual({})
    expect(bench.dns.txt.size).toBe(0)
  })

  it('is not forgotten by a run whose settings name no staging any more', async () => {
    const journal = createJournal()
    await fail(journal)
    staging.options.validationDelayMs = 3_600_000
    await obtain(journal, '', 4_000)
    const { result } = await attempt(bench, { journal })
    expect(result).toMatchObject({ kind: 'obtained', leftovers: { rehearsal: { txt: [expect.anything()] } } })
  })
})
