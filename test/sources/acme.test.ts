import { X509Certificate } from 'node:crypto'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import type { SourceMemory } from '../../lib/contracts.ts'
import acme from '../../lib/sources/acme.ts'
import { leafOf, parseChain } from '../../lib/x509/certificate.ts'
import { generateKey } from '../../lib/x509/key.ts'
import { asSecret, type Bench, obtained, rejection, requestOf, specOf, startBench } from '../acme/rig.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'

const request = requestOf()

const obtain = (bench: Bench, settings: Parameters<Bench['source']>[1] = {}, outside = {}) => {
  const run = bench.newRun()
  return bench.source(run, settings, outside).obtain(request, createJournal(), run)
}

describe('settings', () => {
  const least = { directory: 'https://ca.example/dir', solver: 'dns' }
  const issuesOf = (input: unknown) => {
    const result = v.safeParse(acme.settings, input)
    return result.success ? [] : result.issues.map(issue => issue.path?.map(part => part.key).join('.') ?? '')
  }

  it('have defaults for all but directory and solver', () => {
    expect(v.parse(acme.settings, least)).toEqual({
      ...least,
      email: null,
      termsOfServiceAgreed: false,
      accountKey: null,
      caCertificates: null,
      externalAccount: null,
      staging: null,
      budget: { orders: 3, perMs: 7 * 86_400_000, failedValidations: 2 },
    })
    expect(issuesOf({})).toEqual(['directory', 'solver'])
  })

  it.each([
    ['an unknown key', { colour: 'red' }, 'colour'],
    ['plain http to a stranger', { directory: 'http://ca.example/dir' }, 'directory'],
    ['a bad e-mail address', { email: 'nobody' }, 'email'],
    ['a solver that is no name', { solver: ['dns'] }, 'solver'],
    ['roots that are no PEM', { caCertificates: 'roots' }, 'caCertificates'],
    ['half an external account', { externalAccount: { kid: 'k' } }, 'externalAccount.hmacKey'],
  ])('refuse %s', (_, more, path) => {
    expect(issuesOf({ ...least, ...more })).toEqual([path])
  })

  it('take solvers by zone and secrets by reference', () => {
    const parsed = v.parse(acme.settings, {
      ...least,
      solver: { 'example.com': 'dns' },
      accountKey: 'env:KEY',
      externalAccount: { kid: 'k', hmacKey: 'file:hmac' },
    })
    expect(parsed.accountKey).toMatchObject({ secret: true, scheme: 'env', value: 'KEY' })
    expect(parsed.externalAccount?.hmacKey).toMatchObject({ secret: true, scheme: 'file' })
  })
})

describe('the account', () => {
  it('is made once, its key stored first, and used by later processes', async () => {
    const bench = await startBench()
    await obtain(bench, { email: 'ops@example.com' })
    expect(bench.ca.accounts).toMatchObject([{ contact: ['mailto:ops@example.com'] }])
    expect([...bench.memory.secrets.keys()]).toEqual(['account-key'])
    expect(bench.memory.notes.account).toMatchObject({ url: bench.ca.accounts[0]?.url })
    bench.operations()
    await obtain(bench)
    expect(bench.operations()).not.toContain('NewAccount')
  })

  it('is not made twice when the answer to newAccount is lost', async () => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.NewAccount'], drop: 'after' })
    expect(await rejection(obtain(bench))).toMatchObject({ code: 'unavailable' })
    const result = await obtain(bench)
    expect(result.kind).toBe('obtained')
    expect(bench.ca.accounts).toHaveLength(1)
    expect(bench.operations().filter(call => call === 'NewAccount')).toHaveLength(2)
  })

  it('is made once by two orders at the same time', async () => {
    const bench = await startBench()
    const run = bench.newRun()
    const source = bench.source(run)
    const other = requestOf(specOf(['other.example.com']))
    const results = await Promise.all([
      source.obtain(request, createJournal(), run),
      source.obtain(other, createJournal(), run),
    ])
    expect(results.map(({ kind }) => kind)).toEqual(['obtained', 'obtained'])
    const calls = bench.operations()
    expect(calls.filter(call => call === 'NewAccount')).toHaveLength(1)
    expect(calls.filter(call => call === 'Directory')).toHaveLength(1)
  })

  it('is not made without agreement; the hint has the terms', async () => {
    const bench = await startBench()
    const error = await rejection(obtain(bench, { termsOfServiceAgreed: false }))
    expect(error).toMatchObject({
      code: 'ca-rejected',
      retry: 'never',
      hint: expect.stringContaining(`${bench.ca.url}/terms/v1`),
    })
    expect(bench.ca.accounts).toEqual([])
  })

  it('of a given key is looked up first, and made when the CA does not know the key', async () => {
    const bench = await startBench()
    const accountKey = asSecret(await generateKey('ec-384'))
    await obtain(bench, { accountKey })
    expect(bench.operations().filter(call => call === 'NewAccount')).toHaveLength(2)
    expect(bench.memory.secrets.size).toBe(0)
    const memory = createSourceMemory()
    await obtain(bench, { accountKey, termsOfServiceAgreed: false }, { memory })
    expect(bench.operations().filter(call => call === 'NewAccount')).toHaveLength(1)
    expect(bench.ca.accounts).toHaveLength(1)
  })

  it('of an RSA key works too, and a text that is no key is never shown', async () => {
    const bench = await startBench()
    const accountKey = asSecret(await generateKey('rsa-2048'))
    expect((await obtain(bench, { accountKey })).kind).toBe('obtained')
    const error = await rejection(obtain(bench, { accountKey: asSecret('hunter2') }))
    expect(error).toMatchObject({ code: 'settings-invalid', retry: 'never' })
    expect(JSON.stringify(error) + String(error)).not.toContain('hunter2')
  })

  it('is another one for another key', async () => {
    const bench = await startBench()
    await obtain(bench)
    await obtain(bench, { accountKey: asSecret(await generateKey('ec-256')) })
    expect(bench.ca.accounts).toHaveLength(2)
  })

  it('is bound to an external account', async () => {
    const hmac = Buffer.alloc(32, 7).toString('base64url')
    const bench = await startBench({ eabRequired: true, eabKeys: { 'kid-1': hmac } })
    const error = await rejection(obtain(bench))
    expect(error).toMatchObject({ code: 'ca-rejected', hint: expect.stringContaining('externalAccount') })
    await obtain(bench, { externalAccount: { kid: 'kid-1', hmacKey: asSecret(hmac) } })
    expect(bench.ca.accounts).toMatchObject([{ externalAccountKid: 'kid-1' }])
  })

  it('that the CA has lost is made again, once', async () => {
    const bench = await startBench()
    await obtain(bench)
    const account = bench.memory.notes.account as object
    const url = `${bench.ca.url}/accounts/lost`
    await bench.memory.update(notes => ({ ...notes, account: { ...account, url } }))
    bench.operations()
    expect((await obtain(bench)).kind).toBe('obtained')
    expect(bench.operations().filter(call => call === 'NewAccount')).toHaveLength(1)
    expect(bench.memory.notes.account).toMatchObject({ url: bench.ca.accounts[0]?.url })
  })

  it('that cannot be remembered is a warning', async () => {
    const bench = await startBench()
    const run = bench.newRun()
    const update: SourceMemory['update'] = async change => {
      const notes = {}
      const next = change(notes)
      if (next !== notes && !('budget' in next)) throw new Error('read-only')
    }
    const memory = { ...bench.memory, update }
    const result = await bench.source(run, {}, { memory }).obtain(request, createJournal(), run)
    expect(result.kind).toBe('obtained')
    expect(run.warnings()).toHaveLength(2)
  })
})

describe('the directory', () => {
  const DAY_MS = 86_400_000

  it('is kept for a day', async () => {
    const bench = await startBench()
    await obtain(bench)
    bench.clock.now += DAY_MS / 2
    bench.operations()
    await obtain(bench)
    expect(bench.operations()).not.toContain('Directory')
    bench.clock.now += DAY_MS
    await obtain(bench)
    expect(bench.operations()[0]).toBe('Directory')
  })

  it.each([404, 405])('is fetched again when newNonce answers %d', async status => {
    const bench = await startBench()
    await obtain(bench)
    bench.operations()
    bench.faults.add({ operations: ['acme.NewNonce'], status })
    await obtain(bench)
    expect(bench.operations().slice(0, 4)).toEqual(['NewNonce', 'Directory', 'NewNonce', 'NewOrder'])
  })

  it('is fetched again when newOrder has moved, and only once', async () => {
    const bench = await startBench()
    await obtain(bench)
    const body = '{"type":"urn:ietf:params:acme:error:malformed","detail":"no such page"}'
    bench.operations()
    bench.faults.add({ operations: ['acme.NewOrder'], status: 404, body })
    await obtain(bench)
    expect(bench.operations().slice(0, 4)).toEqual(['NewNonce', 'NewOrder', 'Directory', 'NewOrder'])
    bench.faults.add({ operations: ['acme.NewOrder'], status: 404, body, times: 2 })
    expect(await rejection(obtain(bench))).toMatchObject({ code: 'ca-rejected' })
  })

  it('of another URL is not used', async () => {
    const bench = await startBench()
    await obtain(bench)
    const memory = createSourceMemory({
      ...bench.memory.notes,
      directory: { ...(bench.memory.notes.directory as object), url: 'https://other.example/dir' },
    })
    bench.operations()
    await obtain(bench, {}, { memory })
    expect(bench.operations()[0]).toBe('Directory')
  })

  it('that is none names the setting', async () => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.Directory'], status: 200, body: '{"hello":"world"}' })
    const error = await rejection(obtain(bench))
    expect(error).toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('sources.ca.directory'),
    })
  })
})

describe('renewal info', () => {
  it('comes with one request, from the remembered directory', async () => {
    const bench = await startBench()
    const { chainPem } = await obtained(bench, createJournal())
    const [certificate] = parseChain(chainPem)
    const leaf = leafOf(certificate as X509Certificate)
    const run = bench.newRun()
    bench.operations()
    const info = await bench.source(run).renewalInfo?.(chainPem, leaf, run)
    expect(bench.operations()).toEqual(['RenewalInfo'])
    const lifetimeMs = leaf.notAfter - leaf.notBefore
    expect(info?.fingerprint).toBe(leaf.fingerprint)
    expect(info?.window?.start).toBeGreaterThan(leaf.notBefore + lifetimeMs / 2)
    expect(info?.window?.end).toBeLessThan(leaf.notAfter)
    expect(info?.nextFetchAt).toBe(bench.clock.now + 6 * 3_600_000)
  })

  it('is null when the CA has none, and without a window when the CA is down or the leaf is none', async () => {
    const bench = await startBench()
    const { chainPem } = await obtained(bench, createJournal())
    const leaf = leafOf(new X509Certificate(chainPem))
    const run = bench.newRun()
    const { renewalInfo, ...body } = (bench.memory.notes.directory as { body: Record<string, unknown> }).body
    expect(renewalInfo).toBeDefined()
    const directory = { url: bench.ca.directoryUrl, body, fetchedAt: bench.clock.now }
    const memory = createSourceMemory({ directory })
    expect(await bench.source(run, {}, { memory }).renewalInfo?.(chainPem, leaf, run)).toBeNull()
    expect(await bench.source(run).renewalInfo?.('no certificate', leaf, run)).toMatchObject({ window: null })
    await bench.ca.dispose()
    const fresh = { memory: createSourceMemory() }
    expect(await bench.source(run, {}, fresh).renewalInfo?.(chainPem, leaf, run)).toEqual({
      fingerprint: leaf.fingerprint,
      window: null,
      explanationUrl: null,
      nextFetchAt: bench.clock.now + 6 * 3_600_000,
    })
  })
})
