import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { problemOf } from '../../lib/acme/protocol/problem.ts'
import { createHttp } from '../../lib/http/client.ts'
import type { Http } from '../../lib/http/http.ts'
import { certId } from '../../lib/x509/certificate.ts'
import { createJournal } from '../support/memory.ts'
import { attempt, type Bench, failureOf, losing, obtained, problem, specOf, startBench } from './rig.ts'

const ordered = (bench: Bench) => bench.operations().filter(call => call === 'NewOrder')

describe('a validation that fails', () => {
  it('names the name, the type and the detail, cleans up, and the next try makes a new order', async () => {
    const bench = await startBench()
    const journal = createJournal()
    const spec = specOf(['good.example.com', '*.bad.example.com'])
    const http = losing(bench, () => bench.dns.txt.delete('_acme-challenge.bad.example.com'))
    const error = await failureOf(attempt(bench, { journal, spec, http }))
    expect(error.code).toBe('validation-failed')
    expect(error.message).toContain('*.bad.example.com: unauthorized: No TXT record found')
    expect(error.message).not.toContain('good.example.com:')
    expect(problemOf(error)).toMatchObject({ type: 'unauthorized' })
    expect(bench.dns.txt.size).toBe(0)
    expect(journal.notes).toEqual({})
    await obtained(bench, journal, spec)
    expect(bench.ca.orders).toHaveLength(2)
  })

  it('tells what the CA says of the order when no name is to blame', async () => {
    const bench = await startBench({ issuanceProblem: { type: 'caa', detail: 'CAA forbids it' } })
    const journal = createJournal()
    const error = await failureOf(obtained(bench, journal))
    expect(error.code).toBe('order-failed')
    expect(error.message).toContain('caa: CAA forbids it')
    expect(journal.notes).toEqual({})
  })
})

describe('rate limits', () => {
  const HOURS_34 = 34 * 3600

  it.each(['seconds', 'date'] as const)(
    'carry a Retry-After of 34 hours given as %s, not slept on',
    async form => {
      const bench = await startBench()
      const until = bench.clock.now + HOURS_34 * 1000
      const value = form === 'seconds' ? String(HOURS_34) : new Date(until).toUTCString()
      const body = problem('rateLimited', 'too many certificates; see https://ca.test/limits')
      const headers = { 'retry-after': value }
      bench.faults.add({ operations: ['acme.NewOrder'], status: 429, headers, body })
      const error = await failureOf(obtained(bench))
      expect(error).toMatchObject({ code: 'rate-limited', retry: 'later', retryAt: until })
      expect(problemOf(error)).toMatchObject({ type: 'rateLimited', status: 429 })
      expect(bench.sleeps).toEqual([])
      expect(ordered(bench)).toHaveLength(1)
    },
  )

  it('without Retry-After mean that the account is paused: the hint has the link', async () => {
    const bench = await startBench()
    const detail = 'paused; visit https://ca.test/unpause?jwt=x to go on'
    bench.faults.add({ operations: ['acme.NewOrder'], status: 429, body: problem('rateLimited', detail) })
    const error = await failureOf(obtained(bench))
    expect(error).toMatchObject({ code: 'rate-limited', retry: 'never', retryAt: null })
    expect(error.hint).toContain(detail)
  })
})

describe('other refusals', () => {
  it('list their subproblems by name', async () => {
    const bench = await startBench({ rejectedNames: ['b.example.com', 'c.example.com'] })
    const spec = specOf(['a.example.com', 'b.example.com', 'c.example.com'])
    const error = await failureOf(attempt(bench, { spec }))
    expect(error.message).toMatch(/\[b\.example\.com: rejectedIdentifier: .*; c\.example\.com: /)
  })

  it('cannot smuggle control characters or pages of text into a message', async () => {
    const bench = await startBench()
    const body = problem('malformed', `a\u001b[31m\nb${'x'.repeat(5_000)}`)
    bench.faults.add({ operations: ['acme.NewOrder'], status: 400, body })
    const { message } = await failureOf(obtained(bench))
    expect(message).toContain('a [31m b')
    expect(message.length).toBeLessThan(1_200)
  })

  it('name the host with the path of the CA', async () => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.Finalize'], status: 503 })
    const { message } = await failureOf(obtained(bench))
    const { host } = new URL(bench.ca.url)
    const id = bench.ca.orders[0]?.url.split('/').at(-1)
    expect(message).toContain(`sources.ca: ${host}/orders/${id}/finalize: the CA answers`)
  })

  it('a CA that offers no dns-01 is left no pending order, however often it is asked', async () => {
    const bench = await startBench({ challenges: ['dns-persist-01'] })
    const journal = createJournal()
    for (let day = 1; day <= 2; day += 1) {
      const error = await failureOf(attempt(bench, { journal }))
      expect(error).toMatchObject({ code: 'ca-rejected', retry: 'never' })
      expect(error.message).toContain('offers no dns-01 for iot.example.com, only dns-persist-01')
      expect(journal.notes).toEqual({})
      expect(bench.ca.orders.map(order => order.status)).toEqual(Array(day).fill('invalid'))
    }
  })

  it('a certificate of an unknown root names the setting for roots', async () => {
    const bench = await startBench({ tls: true })
    const error = await failureOf(obtained(bench))
    expect(error.code).toBe('unreachable')
    expect(error.hint).toContain('sources.ca.caCertificates')
    const http = createHttp({ caCertificates: bench.ca.caPem })
    expect((await attempt(bench, { http })).result.kind).toBe('obtained')
    await http.close()
  })

  it('an aborted run stops without another request', async () => {
    const bench = await startBench()
    const abort = new AbortController()
    const { solver } = bench.outside
    const present = async (...given: Parameters<typeof solver.present>) => {
      await solver.present(...given)
      abort.abort()
    }
    const journal = createJournal()
    const aborted = { journal, signal: abort.signal, solver: { ...solver, present } }
    const error = await failureOf(attempt(bench, aborted))
    expect(error).toMatchObject({ code: 'out-of-time' })
    expect(bench.operations().at(-1)).toBe('Authorization')
    expect(journal.notes.txt).toHaveLength(1)
  })
})

describe('replaces', () => {
  const renewing = async () => {
    const bench = await startBench()
    const { chainPem } = await obtained(bench)
    const renew = (replaces = chainPem) => obtained(bench, undefined, undefined, replaces)
    const replaced = () => bench.ca.orders.at(-1)?.replaces
    return { bench, chainPem, renew, replaced }
  }

  it('names the predecessor', async () => {
    const { chainPem, renew, replaced } = await renewing()
    await renew()
    expect(replaced()).toBe(certId(new X509Certificate(chainPem)))
  })

  it.each([
    ['alreadyReplaced', 409],
    ['malformed', 404],
    ['malformed', 400],
    ['unauthorized', 403],
    ['serverInternal', 500],
    ['serverInternal', 503],
    ['notOfTheirList', 400],
  ])('is left out after %s (%d), once', async (type, status) => {
    const { bench, renew, replaced } = await renewing()
    bench.operations()
    bench.faults.add({ operations: ['acme.NewOrder'], status, body: problem(type, 'no') })
    const { run } = await renew()
    expect(ordered(bench)).toHaveLength(2)
    expect(replaced()).toBeNull()
    expect(run.warnings()[0]).toContain('ordering without the predecessor')

    bench.faults.add({ operations: ['acme.NewOrder'], status, body: problem(type, 'no'), times: 4 })
    expect(problemOf(await failureOf(renew()))).toMatchObject({ type, status })
  })

  it('a CA that answers 500 to it for good is renewed at all the same, each time in one request more', async () => {
    const { bench, chainPem } = await renewing()
    const { http } = bench.outside
    const stumbling: Http = {
      ...http,
      request: async request => {
        const { payload = '' } = JSON.parse(String(request.body ?? '{}')) as { payload?: string }
        const isNamed = Buffer.from(payload, 'base64url').toString().includes('"replaces"')
        return isNamed ? { status: 500, headers: {}, text: 'panic' } : http.request(request)
      },
    }
    for (let renewal = 1; renewal <= 3; renewal += 1) {
      const { result } = await attempt(bench, { replaces: chainPem, http: stumbling })
      expect(result.kind).toBe('obtained')
    }
    expect(bench.ca.orders.map(order => order.replaces)).toEqual([null, null, null, null])
  })

  it('a page of a gateway instead of an answer leaves it out, too', async () => {
    const { bench, renew, replaced } = await renewing()
    bench.faults.add({ operations: ['acme.NewOrder'], status: 502, body: '<html>bad gateway</html>' })
    await renew()
    expect(replaced()).toBeNull()
  })

  it('stays when the CA is down and names an instant, which is kept', async () => {
    const { bench, renew } = await renewing()
    bench.operations()
    bench.faults.add({ operations: ['acme.NewOrder'], status: 503, headers: { 'retry-after': '3600' } })
    expect(await failureOf(renew())).toMatchObject({ retryAt: bench.clock.now + 3_600_000 })
    expect(ordered(bench)).toHaveLength(1)
  })

  it('stays when the refusal certainly is about something else: one request', async () => {
    const { bench, renew } = await renewing()
    bench.operations()
    const body = problem('rateLimited', 'too many orders')
    bench.faults.add({ operations: ['acme.NewOrder'], status: 429, body })
    await failureOf(renew())
    expect(ordered(bench)).toHaveLength(1)
  })

  it('is left out when the CA already has a successor, and for a stranger’s certificate', async () => {
    const { bench, renew, replaced } = await renewing()
    await renew()
    await renew()
    expect(replaced()).toBeNull()
    const dates = { notBefore: new Date('2026-12-01'), notAfter: new Date('2027-02-01') }
    const { certPem } = await bench.ca.issue(['iot.example.com'], { ...dates, keyType: 'ec-256' })
    await renew(certPem)
    expect(replaced()).toBeNull()
    expect(bench.ca.issued).toHaveLength(5)
  })

  it('is not sent for what is no certificate, nor to a CA without renewal info', async () => {
    const { bench, renew } = await renewing()
    await renew('no certificate')
    const { renewalInfo, ...body } = (bench.memory.notes.directory as { body: Record<string, unknown> }).body
    expect(renewalInfo).toBeDefined()
    const directory = { url: bench.ca.directoryUrl, body, fetchedAt: bench.clock.now }
    await bench.memory.update(notes => ({ ...notes, directory }))
    await renew()
    expect(bench.ca.orders.map(order => order.replaces)).toEqual([null, null, null])
    expect(ordered(bench)).toHaveLength(3)
  })

  it('asks for the profile of the specification', async () => {
    const bench = await startBench()
    await obtained(bench, undefined, specOf(undefined, { profile: 'shortlived' }))
    expect(bench.ca.orders.at(-1)?.profile).toBe('shortlived')
  })
})
