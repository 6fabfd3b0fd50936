import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../lib/base/time.ts'
import { createHttp } from '../../lib/http/client.ts'
import type { Http, HttpRequest } from '../../lib/http/http.ts'
import { leafOf, parseChain } from '../../lib/x509/certificate.ts'
import { generateKey, keyFits } from '../../lib/x509/key.ts'
import { parseRoots, verifyPath } from '../../lib/x509/path.ts'
import { type ChalltestsrvSolver, createChalltestsrvSolver } from '../support/challtestsrv-solver.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'
import { type Pebble, type PebbleOptions, startPebble } from '../support/pebble.ts'
import { asSecret, createRun, createSource, requestOf, specOf } from './rig.ts'

/** Getting Pebble the first time builds or downloads it. */
const GET_MS = 600_000

/** The algorithm of the external account binding in a newAccount request. */
const bindingOf = (body: string): string => {
  const part = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString())
  return part(part(JSON.parse(body).payload).externalAccountBinding.protected).alg
}

/** The source against Pebble, with the memory of one installation and a count of the requests. */
const bench = (pebble: Pebble, settings: object = {}) => {
  const solver: ChalltestsrvSolver = createChalltestsrvSolver(pebble.challtestsrv)
  const memory = createSourceMemory()
  const plain = createHttp({ caCertificates: pebble.caPem })
  const requests: string[] = []
  let before = async (_: HttpRequest): Promise<void> => {}
  let after = async (_: HttpRequest): Promise<void> => {}
  const http: Http = {
    ...plain,
    request: async request => {
      requests.push(request.method)
      await before(request)
      const answer = await plain.request(request)
      await after(request)
      return answer
    },
  }
  const run = () => createRun(systemClock, 60_000)
  const source = (journal = createJournal()) => {
    const outside = { http, solver, memory, journal }
    return createSource(outside, { directory: pebble.directoryUrl, ...settings }, run())
  }
  const obtain = async (
    names = ['iot.example.com'],
    journal = createJournal(),
    replaces: string | null = null,
  ) => {
    const result = await source(journal).obtain(requestOf(specOf(names), replaces), journal, run())
    if (result.kind !== 'obtained') throw new Error(result.why)
    return { chainPem: result.chainPem, journal }
  }
  return {
    solver,
    requests,
    memory,
    source,
    obtain,
    run,
    close: () => plain.close(),
    beforeRequest: (work: typeof before) => {
      before = work
    },
    afterAnswer: (work: typeof after) => {
      after = work
    },
  }
}

describe('Pebble', () => {
  let pebble: Pebble
  beforeAll(async () => {
    pebble = await startPebble()
  }, GET_MS)
  afterAll(() => pebble?.dispose())

  it('issues in eight requests with a new authorization and in five with a reused one', async () => {
    const it = bench(pebble)
    await it.obtain(['first.example.com'])
    const start = it.requests.length
    const { chainPem, journal } = await it.obtain()
    expect(it.requests.length - start).toBe(8)
    const [leaf, intermediate] = parseChain(chainPem) as [X509Certificate, X509Certificate]
    expect(leafOf(leaf).names).toEqual(['iot.example.com'])
    expect(keyFits(asSecret(journal.keyPem ?? ''), leaf)).toBe(true)
    const [root] = await pebble.roots()
    expect(intermediate.verify(new X509Certificate(root ?? '').publicKey)).toBe(true)

    const again = it.requests.length
    await it.obtain()
    expect(it.requests.length - again).toBe(5)
    await it.close()
  })

  it('validates apex, wildcard and a third name, and DNS is clean afterwards', async () => {
    const it = bench(pebble)
    const { chainPem } = await it.obtain(['apex.example', '*.apex.example', 'iot.third.example'])
    expect([...leafOf(new X509Certificate(chainPem)).names].sort()).toEqual([
      '*.apex.example',
      'apex.example',
      'iot.third.example',
    ])
    expect(it.solver.calls.filter(call => call.startsWith('present'))).toHaveLength(3)
    expect([...it.solver.values.values()].flat()).toEqual([])
    await it.close()
  })

  it('follows CNAME delegation', async () => {
    const it = bench(pebble)
    await it.solver.setCname('_acme-challenge.moved.example.', 'k1.acme.example.net.')
    await it.obtain(['moved.example'])
    expect(it.solver.calls.map(call => call.split(' ').slice(0, 2).join(' '))).toEqual([
      'prepare k1.acme.example.net.',
      'present k1.acme.example.net.',
      'cleanUp k1.acme.example.net.',
    ])
    await it.close()
  })

  it('says why a name is not validated, and validates it in a new order', async () => {
    const it = bench(pebble)
    const journal = createJournal()
    const host = '_acme-challenge.vanishing.example.'
    // The record goes away between our look and the CA's.
    it.beforeRequest(async request => {
      const value = it.solver.values.get(host)?.[0]
      if (value && request.url.includes('/chalZ/')) await it.solver.cleanUp(host, value, it.run())
    })
    await expect(it.obtain(['vanishing.example'], journal)).rejects.toMatchObject({
      code: 'validation-failed',
      message: expect.stringMatching(/could not validate vanishing\.example: unauthorized: /),
    })
    expect(journal.notes).toEqual({})
    it.beforeRequest(async () => {})
    expect((await it.obtain(['vanishing.example'], journal)).chainPem).toContain('BEGIN CERTIFICATE')
    await it.close()
  })

  it('gives the same account for a known key, and finds it without making one', async () => {
    const key = asSecret(await generateKey('ec-256'))
    const one = bench(pebble, { accountKey: key })
    await one.obtain(['account.example'])
    const other = bench(pebble, { accountKey: key, termsOfServiceAgreed: false })
    await other.obtain(['account.example'])
    expect(other.memory.notes.account).toEqual(one.memory.notes.account)
    await Promise.all([one.close(), other.close()])
  })

  it('accepts newAccount again when the answer to the first was lost', async () => {
    const it = bench(pebble)
    let lost = false
    it.afterAnswer(async request => {
      if (lost || !request.url.endsWith('/sign-me-up')) return
      lost = true
      throw new Error('lost')
    })
    await expect(it.obtain(['lost.example'])).rejects.toThrow()
    expect(lost).toBe(true)
    expect(it.memory.notes.account).toBeUndefined()
    const { chainPem } = await it.obtain(['lost.example'])
    expect(chainPem).toContain('BEGIN CERTIFICATE')
    await it.close()
  })

  it('takes replaces, tells renewal info, and is asked again without replaces when it refuses', async () => {
    const it = bench(pebble)
    const { chainPem } = await it.obtain(['ari.example'])
    const leaf = leafOf(new X509Certificate(chainPem))
    const source = it.source()
    const info = await source.renewalInfo?.(chainPem, leaf, it.run())
    expect(info?.window?.start).toBeGreaterThan(leaf.notBefore)
    expect(info?.window?.end).toBeLessThan(leaf.notAfter)

    const start = it.requests.length
    await it.obtain(['ari.example'], createJournal(), chainPem)
    expect(it.requests.length - start).toBe(5)
    const next = it.requests.length
    await it.obtain(['ari.example'], createJournal(), chainPem)
    expect(it.requests.length - next).toBe(6)

    await pebble.setRenewalInfo(chainPem, '{"suggestedWindow":{}}')
    expect(await source.renewalInfo?.(chainPem, leaf, it.run())).toMatchObject({ window: null })
    await it.close()
  })

  it.each(['rsa-3072', 'rsa-4096', 'ec-384'] as const)('issues for %s', async keyType => {
    const it = bench(pebble)
    const journal = createJournal()
    const spec = specOf(['keys.example'], { keyType })
    const result = await it.source(journal).obtain(requestOf(spec), journal, it.run())
    if (result.kind !== 'obtained') throw new Error(result.why)
    expect(leafOf(new X509Certificate(result.chainPem)).keyType).toBe(keyType)
    await it.close()
  })

  it('takes another key for the account, whose orders go on, and knows the old one no more', async () => {
    const it = bench(pebble)
    await it.obtain(['rollover.example'])
    const old = it.memory.secrets.get('account-key')
    const source = it.source()
    const url = await source.rollover?.(it.run())
    expect(url).toBe((it.memory.notes.account as { url: string }).url)
    const start = it.requests.length
    await it.obtain(['rollover.example'])
    expect(it.requests.length - start).toBe(5)
    const stranger = bench(pebble, { accountKey: old, termsOfServiceAgreed: false })
    await expect(stranger.obtain(['rollover.example'])).rejects.toMatchObject({ code: 'ca-rejected' })
    await Promise.all([it.close(), stranger.close()])
  })

  it('takes the new key although its answer was lost: the next run asks which one it knows', async () => {
    const it = bench(pebble)
    await it.obtain(['lost-key.example'])
    it.afterAnswer(async request => {
      if (request.url.endsWith('/rollover-account-key')) throw new Error('lost')
    })
    await expect(it.source().rollover?.(it.run())).rejects.toThrow('lost')
    it.afterAnswer(async () => {})
    await it.obtain(['lost-key.example'])
    expect([...it.memory.secrets.keys()]).toEqual(['account-key-2'])
    await it.close()
  })

  it('revokes by the account and by the certificate’s key, and says so when it is revoked already', async () => {
    const it = bench(pebble)
    const source = it.source()
    const { chainPem: one } = await it.obtain(['revoke.example'])
    const wanted = { certificatePem: one, reason: 'superseded', key: null } as const
    expect(await source.revoke?.(wanted, it.run())).toBe('revoked')
    expect(await source.revoke?.(wanted, it.run())).toBe('already-revoked')
    const { chainPem: two, journal } = await it.obtain(['revoke.example'])
    const stranger = bench(pebble)
    const key = asSecret(journal.keyPem ?? '')
    const banned = { certificatePem: two, reason: 'keyCompromise', key } as const
    expect(await stranger.source().revoke?.(banned, it.run())).toBe('revoked')
    await Promise.all([it.close(), stranger.close()])
  })

  it('gives up an order', async () => {
    const it = bench(pebble)
    const journal = createJournal()
    const source = it.source(journal)
    const broken = { ...it.solver, present: () => Promise.reject(new Error('down')) }
    const http = createHttp({ caCertificates: pebble.caPem })
    const failing = createSource(
      { http, solver: broken, memory: it.memory, journal },
      { directory: pebble.directoryUrl },
      it.run(),
    )
    const request = requestOf(specOf(['abandon.example']))
    await expect(failing.obtain(request, journal, it.run())).rejects.toThrow('down')
    expect(journal.notes.order).toBeDefined()
    const run = it.run()
    await source.abandon(journal, run)
    expect(run.warnings()).toEqual([])
    expect(journal.notes).toEqual({})
    await Promise.all([it.close(), http.close()])
  })
})

describe('Pebble with other habits', () => {
  const withPebble = async (options: PebbleOptions, work: (pebble: Pebble) => Promise<void>) => {
    const pebble = await startPebble(options)
    try {
      await work(pebble)
    } finally {
      await pebble.dispose()
    }
  }

  it('refuses three in ten nonces', { timeout: GET_MS }, async () => {
    await withPebble({ nonceRejectPercent: 30 }, async pebble => {
      const it = bench(pebble)
      const names = Array.from({ length: 12 }, (_, index) => `n${index}.example.com`)
      const { chainPem } = await it.obtain(names)
      expect(leafOf(new X509Certificate(chainPem)).names).toHaveLength(12)
      expect(it.requests.filter(method => method === 'HEAD')).toHaveLength(1)
      await it.close()
    })
  })

  it('wants an external account', { timeout: GET_MS }, async () => {
    const hmac = Buffer.alloc(32, 3).toString('base64url')
    await withPebble({ eab: { 'kid-1': hmac } }, async pebble => {
      const without = bench(pebble)
      await expect(without.obtain()).rejects.toMatchObject({ code: 'ca-rejected', retry: 'never' })
      const it = bench(pebble, { externalAccount: { kid: 'kid-1', hmacKey: asSecret(hmac) } })
      // The answer to the first newAccount is lost: the same key and binding find the account.
      const bindings: string[] = []
      it.beforeRequest(async ({ url, body }) => {
        if (url.endsWith('/sign-me-up')) bindings.push(bindingOf(String(body)))
      })
      it.afterAnswer(async ({ url }) => {
        if (bindings.length === 1 && url.endsWith('/sign-me-up')) throw new Error('lost')
      })
      await expect(it.obtain()).rejects.toThrow('lost')
      expect((await it.obtain()).chainPem).toContain('BEGIN CERTIFICATE')
      expect(bindings).toEqual(['HS256', 'HS256'])
      // Another key with the same binding is what a lost key would lead to.
      expect([...it.memory.secrets.keys()]).toEqual(['account-key'])
      await Promise.all([without.close(), it.close()])
    })
  })

  it('offers profiles: the one asked for is given, a dropped one is refused or replaced', {
    timeout: GET_MS,
  }, async () => {
    await withPebble({ profiles: { classic: 90, tlsserver: 45, shortlived: 6 } }, async pebble => {
      const it = bench(pebble)
      const daysOf = async (profile: string, profileFallback: string | boolean = false) => {
        const journal = createJournal()
        const spec = specOf(['profile.example'], { profile, profileFallback })
        const result = await it.source(journal).obtain(requestOf(spec), journal, it.run())
        if (result.kind !== 'obtained') throw new Error(result.why)
        const { notBefore, notAfter } = leafOf(new X509Certificate(result.chainPem))
        return Math.round((notAfter - notBefore) / 86_400_000)
      }
      for (const [profile, days] of [
        ['shortlived', 6],
        ['tlsserver', 45],
        ['classic', 90],
      ] as const)
        expect(await daysOf(profile)).toBe(days)
      await expect(daysOf('gone')).rejects.toMatchObject({ code: 'ca-rejected', retry: 'never' })
      expect(await daysOf('gone', 'tlsserver')).toBe(45)
      expect([6, 45, 90]).toContain(await daysOf('gone', true))
      await it.close()
    })
  })

  it('gives the validity and the number of roots it is told', { timeout: GET_MS }, async () => {
    await withPebble({ validitySeconds: 6 * 86_400, alternateRoots: 1 }, async pebble => {
      const it = bench(pebble)
      const { notBefore, notAfter } = leafOf(new X509Certificate((await it.obtain()).chainPem))
      expect(Math.round((notAfter - notBefore) / 86_400_000)).toBe(6)
      const roots = await pebble.roots()
      expect(new Set(roots).size).toBe(2)
      // Devices that know the second root only.
      const journal = createJournal()
      const accepts = (pem: string) =>
        verifyPath({ chain: parseChain(pem), roots: parseRoots(roots[1] ?? ''), at: Date.now() }).ok
      const request = requestOf(specOf(['alternate.example']), null, accepts)
      const result = await it.source(journal).obtain(request, journal, it.run())
      expect(result.kind === 'obtained' && accepts(result.chainPem)).toBe(true)
      await it.close()
    })
  })
})
