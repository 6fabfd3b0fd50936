import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { linksOf } from '../../lib/acme/protocol/transport.ts'
import { parseChain } from '../../lib/x509/certificate.ts'
import { parseRoots, verifyPath } from '../../lib/x509/path.ts'
import { createJournal } from '../support/memory.ts'
import { type Bench, problem, rejection, requestOf, startBench } from './rig.ts'

const trusting =
  (bench: Bench, root: string) =>
  (chainPem: string): boolean =>
    verifyPath({ chain: parseChain(chainPem), roots: parseRoots(root), at: bench.clock.now }).ok

const nothing = (): boolean => false

async function obtain(bench: Bench, accepts: (chainPem: string) => boolean, journal = createJournal()) {
  const run = bench.newRun()
  const result = await bench.source(run).obtain(requestOf(undefined, null, accepts), journal, run)
  if (result.kind !== 'obtained') throw new Error(result.why)
  return parseChain(result.chainPem).map(({ subject }) => subject.split('\n').at(-1) ?? subject)
}

const lengthOf = (subjects: readonly string[]): number => subjects.length
const downloads = (bench: Bench): readonly string[] =>
  bench.operations().filter(call => call.endsWith('Certificate'))

describe('a CA with an old root and a new one', () => {
  it('gives the default chain, and no other is asked for, when devices accept it', async () => {
    const bench = await startBench({ generations: 2 })
    for (const root of [bench.ca.rootPem, bench.ca.newRootPem ?? '']) {
      expect(lengthOf(await obtain(bench, trusting(bench, root)))).toBe(3)
      expect(downloads(bench)).toEqual(['Certificate'])
    }
  })

  it('is asked for the alternate that devices accept, when its default has become another one', async () => {
    const bench = await startBench({ generations: 2, chains: ['short', 'cross-signed'] })
    expect(lengthOf(await obtain(bench, trusting(bench, bench.ca.rootPem)))).toBe(3)
    expect(downloads(bench)).toEqual(['Certificate', 'AlternateCertificate'])
    expect(lengthOf(await obtain(bench, trusting(bench, bench.ca.newRootPem ?? '')))).toBe(2)
    expect(downloads(bench)).toEqual(['Certificate'])
  })

  it('gives its default when no chain is accepted: why not is said by preflight', async () => {
    const bench = await startBench({ generations: 2 })
    expect(lengthOf(await obtain(bench, nothing))).toBe(3)
    expect(downloads(bench)).toEqual(['Certificate', 'AlternateCertificate'])
    bench.ca.options.chains = ['short']
    expect(lengthOf(await obtain(bench, nothing))).toBe(2)
    expect(downloads(bench)).toEqual(['Certificate'])
  })

  it.each([
    ['-----BEGIN CERTIFICATE-----\nanVuaw==\n-----END CERTIFICATE-----\n', 1],
    ['<html>', 0],
  ])('gives its default when the other chain is none (%j)', async (body, leftOver) => {
    const bench = await startBench({ generations: 2 })
    const journal = createJournal()
    bench.faults.add({ operations: ['acme.AlternateCertificate'], status: 200, body })
    const first = await obtain(bench, nothing, journal).then(lengthOf, () => 'later')
    expect(first).toBe(leftOver === 1 ? 3 : 'later')
    expect(lengthOf(await obtain(bench, nothing, journal))).toBe(3)
    expect(bench.ca.orders).toHaveLength(1)
  })

  it('is asked for every chain where people are to hear of those that devices refuse', async () => {
    const bench = await startBench({ generations: 2 })
    const accepts = trusting(bench, bench.ca.rootPem)
    const shown: number[] = []
    const showing = async (): Promise<number> => {
      const run = bench.newRun()
      const ask = requestOf(
        undefined,
        null,
        pem => shown.push(parseChain(pem).length) > 0 && accepts(pem),
        true,
      )
      const result = await bench.source(run).obtain(ask, createJournal(), run)
      return result.kind === 'obtained' ? parseChain(result.chainPem).length : 0
    }
    expect(await showing()).toBe(3)
    expect(shown.splice(0)).toEqual([3, 2])
    expect(downloads(bench)).toEqual(['Certificate', 'AlternateCertificate'])
    // One that cannot be shown costs nothing.
    bench.faults.add({ operations: ['acme.AlternateCertificate'], status: 503 })
    expect(await showing()).toBe(3)
    expect(shown).toEqual([3])
  })

  it('is asked for alternates by a run that goes on with an order, too', async () => {
    const bench = await startBench({ generations: 2, chains: ['short', 'cross-signed'] })
    const accepts = trusting(bench, bench.ca.rootPem)
    const journal = createJournal()
    bench.faults.add({ operations: ['acme.AlternateCertificate'], status: 503 })
    expect(await rejection(obtain(bench, accepts, journal))).toMatchObject({ code: 'unavailable' })
    bench.operations()
    expect(lengthOf(await obtain(bench, accepts, journal))).toBe(3)
    expect(bench.operations()).toEqual(['NewNonce', 'Order', 'Certificate', 'AlternateCertificate'])
    expect(bench.ca.issued).toHaveLength(1)
  })

  it.each([
    ['is gone', { status: 404, body: problem('malformed') }],
    ['is for another leaf', { status: 200, body: 'ROOT' }],
  ])('with an alternate that %s: the default', async (_, fault) => {
    const bench = await startBench({ generations: 2, chains: ['short', 'cross-signed'] })
    const body = fault.body === 'ROOT' ? bench.ca.rootPem : fault.body
    bench.faults.add({ operations: ['acme.AlternateCertificate'], ...fault, body })
    // Accepts whatever is not the default.
    const subjects = await obtain(bench, chain => parseChain(chain).length !== 2)
    expect(lengthOf(subjects)).toBe(2)
  })

  it('signs one intermediate by a new root, and that root by the old one', async () => {
    const { ca } = await startBench({ generations: 2 })
    const [intermediate] = parseChain(ca.intermediatePems[0] ?? '')
    const [old, next] = [new X509Certificate(ca.rootPem), new X509Certificate(ca.newRootPem ?? '')]
    expect(intermediate?.checkIssued(next)).toBe(true)
    expect(intermediate?.checkIssued(old)).toBe(false)
  })
})

describe('links', () => {
  const base = 'https://ca.example/cert/1'
  it.each([
    [undefined, []],
    ['', []],
    ['<https://ca.example/dir>;rel="index"', []],
    ['</cert/1/1>;rel="alternate"', ['https://ca.example/cert/1/1']],
    [
      '<https://ca.example/dir>;rel="index", <https://a.example/1>; rel=alternate, <2>;title="a, b";rel="up alternate"',
      ['https://a.example/1', 'https://ca.example/cert/2'],
    ],
    ['<https://a.example/1>;REL="Alternate"', ['https://a.example/1']],
    ['<http://[>;rel="alternate"', []],
    ['no link at all; rel="alternate"', []],
  ])('%j', (header, links) => {
    expect(linksOf(header, 'alternate', base)).toEqual(links)
  })

  it('are read at once, however the header tries to be read in many ways', { timeout: 5_000 }, () => {
    expect(linksOf('<'.repeat(500_000), 'alternate', base)).toEqual([])
    const spaces = `<1>${`; a=${' '.repeat(200)}`.repeat(1_000)}; rel="alternate"`
    expect(linksOf(spaces, 'alternate', base)).toEqual(['https://ca.example/cert/1'])
  })
})
