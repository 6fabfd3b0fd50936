import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import { fetchRenewalInfo } from '../../lib/acme/renewal-info.ts'
import { certId, leafOf } from '../../lib/x509/certificate.ts'
import { createSourceMemory } from '../support/memory.ts'
import { type Bench, startBench } from './rig.ts'

const HOUR_MS = 3_600_000

const issued = async (bench: Bench) => {
  const dates = { notBefore: new Date('2026-12-01T00:00:00Z'), notAfter: new Date('2027-03-01T00:00:00Z') }
  const { certPem } = await bench.ca.issue(['iot.example.com'], { ...dates, keyType: 'ec-256' })
  const certificate = new X509Certificate(certPem)
  return { certificate, leaf: leafOf(certificate) }
}

const asked = async (bench: Bench, url = `${bench.ca.url}/renewal-info`, signal?: AbortSignal) => {
  const run = bench.newRun(60_000, signal)
  const { certificate, leaf } = await issued(bench)
  const { directoryUrl } = bench.ca
  const connection = { settings: 'sources.ca', directoryUrl, http: bench.outside.http, run }
  const directory = { url: directoryUrl, body: { renewalInfo: url }, fetchedAt: bench.clock.now }
  const memory = createSourceMemory({ directory })
  return {
    certificate,
    leaf,
    run,
    ask: () => fetchRenewalInfo(connection, memory, certificate.toString(), leaf),
  }
}

const window = { start: '2027-01-30T00:00:00Z', end: '2027-02-01T00:00:00Z' }

describe('renewal info', () => {
  it('has the window, the explanation, and the time of the next question', async () => {
    const bench = await startBench()
    const { certificate, leaf, ask } = await asked(bench)
    const explanationURL = 'https://ca.test/incident'
    const id = certId(certificate) ?? ''
    bench.ca.setRenewalInfo(id, { ...window, explanationURL, retryAfterSeconds: 7200 })
    expect(await ask()).toEqual({
      fingerprint: leaf.fingerprint,
      window: { start: Date.parse(window.start), end: Date.parse(window.end) },
      explanationUrl: explanationURL,
      nextFetchAt: bench.clock.now + 2 * HOUR_MS,
    })
    expect(bench.operations()).toEqual(['RenewalInfo'])
  })

  it.each([
    [5, 60],
    [600, 600],
    [900_000, 86_400],
  ])('asks again after %d s as %d s', async (given, taken) => {
    const bench = await startBench()
    const { certificate, ask } = await asked(bench)
    bench.ca.setRenewalInfo(certId(certificate) ?? '', { ...window, retryAfterSeconds: given })
    expect((await ask())?.nextFetchAt).toBe(bench.clock.now + taken * 1000)
  })

  it.each([
    [
      'an end before the start',
      JSON.stringify({ suggestedWindow: { start: window.end, end: window.start } }),
    ],
    ['an empty window', JSON.stringify({ suggestedWindow: { start: window.end, end: window.end } })],
    ['dates that are none', JSON.stringify({ suggestedWindow: { start: 'now', end: 5 } })],
    ['no window', '{}'],
    ['a list', '[]'],
    ['no JSON', '<html>'],
    ['an error', 'error'],
  ])('with %s counts as none, for six hours', async (_, body) => {
    const bench = await startBench()
    const { certificate, leaf, ask, run } = await asked(bench)
    bench.ca.setRenewalInfo(certId(certificate) ?? '', body)
    expect(await ask()).toEqual({
      fingerprint: leaf.fingerprint,
      window: null,
      explanationUrl: null,
      nextFetchAt: bench.clock.now + 6 * HOUR_MS,
    })
    expect(run.warnings()).toHaveLength(1)
  })

  it.each([
    [503, '7200', 7200],
    [429, '5', 60],
    [500, '900000', 86_400],
    [404, null, 21_600],
  ])('refused with %d and Retry-After %s is asked for again after %d s', async (status, after, taken) => {
    const bench = await startBench()
    const { ask, run } = await asked(bench)
    const headers = after === null ? {} : { 'retry-after': after }
    bench.faults.add({ operations: ['acme.RenewalInfo'], status, headers })
    expect(await ask()).toMatchObject({ window: null, nextFetchAt: bench.clock.now + taken * 1000 })
    expect(run.warnings()).toEqual([expect.stringContaining(`the CA answers ${status}`)])
  })

  it.each([
    [404, true],
    [400, true],
    [403, undefined],
    [500, undefined],
  ])('answered %d: the certificate is not one of this CA: %s', async (status, isUnknown) => {
    const bench = await startBench()
    const { ask } = await asked(bench)
    bench.faults.add({ operations: ['acme.RenewalInfo'], status })
    expect((await ask())?.isUnknown).toBe(isUnknown)
  })

  it('never throws: not for a dropped connection, a bad URL or an aborted run', async () => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.RenewalInfo'], drop: 'after' })
    const abort = AbortSignal.abort()
    const questions = [await asked(bench), await asked(bench, undefined, abort)]
    for (const { ask } of questions) expect((await ask())?.window).toBeNull()
    // A directory with that in it has no such service.
    expect(await (await asked(bench, 'nonsense')).ask()).toBeNull()
  })

  it('a cached directory that leads to another host is not used', async () => {
    const bench = await startBench()
    const { ask } = await asked(bench, 'http://127.0.0.1:1/renewal-info')
    bench.faults.clearCalls()
    expect((await ask())?.window).not.toBeNull()
    expect(bench.faults.calls.map(c => c.operation)).toContain('acme.Directory')
  })

  it('ignores an explanation that is no web address', async () => {
    const bench = await startBench()
    const { certificate, ask } = await asked(bench)
    const explanationURL = 'javascript:alert(1)'
    bench.ca.setRenewalInfo(certId(certificate) ?? '', { ...window, explanationURL })
    expect((await ask())?.explanationUrl).toBeNull()
  })
})

describe('the idle path', () => {
  it('does not load acme-client', async () => {
    const entry = fileURLToPath(new URL('../../lib/sources/acme.ts', import.meta.url))
    const { metafile } = await build({
      entryPoints: [entry],
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      splitting: true,
      outdir: 'unused',
      write: false,
      metafile: true,
    })
    const first = Object.values(metafile.outputs).find(output =>
      output.entryPoint?.endsWith('sources/acme.ts'),
    )
    const statically = new Set<string>()
    const visit = (imports: { path: string; kind: string }[]): void => {
      for (const { path, kind } of imports) {
        if (kind !== 'import-statement' || statically.has(path)) continue
        statically.add(path)
        visit(metafile.outputs[path]?.imports ?? [])
      }
    }
    visit(first?.imports ?? [])
    expect([...statically]).toContain('valibot')
    expect([...statically]).not.toContain('acme-client')
    expect(await readFile(entry, 'utf8')).toContain("import('../acme/acme-source.ts')")
  })
})
