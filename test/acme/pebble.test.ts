import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../../lib/base/time.ts'
import { createHttp } from '../../lib/http/client.ts'
import type { Http, HttpRequest } from '../../lib/http/http.ts'
import type { CertificateSpec, Leaf } from '../../lib/model/certificate.ts'
import type acme from '../../lib/sources/acme.ts'
import { leafOf, parseChain } from '../../lib/x509/certificate.ts'
import { generateKey, keyFits } from '../../lib/x509/key.ts'
import { parseRoots, verifyPath } from '../../lib/x509/path.ts'
import { type ChalltestsrvSolver, createChalltestsrvSolver } from '../support/challtestsrv-solver.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'
import { type Pebble, startPebble } from '../support/pebble.ts'
import { asSecret, createRun, createSource, requestOf, specOf } from './rig.ts'

/** Days of validity. */
const PROFILES = { shortlived: 6, tlsserver: 45, classic: 90 }

/** Getting Pebble the first time builds or downloads it. */
const GET_MS = 600_000

const path = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url))

const SHIMS = {
  axios: path('lib/acme/shims/axios.ts'),
  debug: path('lib/acme/shims/debug.cjs'),
  'node-forge': path('lib/acme/shims/node-forge.ts'),
}

const REQUIRE =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);"

/** The algorithm of the external account binding in a newAccount request. */
const bindingOf = (body: string): string => {
  const part = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString())
  return part(part(JSON.parse(body).payload).externalAccountBinding.protected).alg
}

/** Pebble is as quick as its machine: who counts requests gives it the time between two polls. */
const patient: Clock = {
  ...systemClock,
  sleep: (durationMs, signal) => systemClock.sleep(Math.max(durationMs, 1_000), signal),
}
const hasty: Clock = {
  ...systemClock,
  sleep: (durationMs, signal) => systemClock.sleep(Math.min(durationMs, 100), signal),
}

/** The source against Pebble, with the memory of one installation and a count of the requests. */
const bench = (pebble: Pebble, settings: object = {}, clock = hasty) => {
  const solver: ChalltestsrvSolver = createChalltestsrvSolver(pebble.challtestsrv)
  const memory = createSourceMemory()
  const plain = createHttp({ caCertificates: pebble.caPem })
  onTestFinished(() => plain.close())
  const requests: string[] = []
  const hooks = { before: async (_: HttpRequest): Promise<void> => {}, after: async (_: HttpRequest) => {} }
  const http: Http = {
    ...plain,
    request: async request => {
      requests.push(request.method)
      await hooks.before(request)
      const answer = await plain.request(request)
      await hooks.after(request)
      return answer
    },
  }
  const run = () => createRun(clock, 60_000)
  const source = (journal = createJournal(), replaced: object = {}, driver?: typeof acme) => {
    const outside = { http, solver, memory, journal, ...replaced }
    return createSource(outside, { directory: pebble.directoryUrl, ...settings }, run(), driver)
  }
  const obtain = async (
    names = ['iot.example.com'],
    journal = createJournal(),
    replaces: string | null = null,
    more: Partial<CertificateSpec> = {},
    driver?: typeof acme,
  ) => {
    const request = requestOf(specOf(names, more), replaces)
    const result = await source(journal, {}, driver).obtain(request, journal, run())
    if (result.kind !== 'obtained') throw new Error(result.why)
    const { chainPem } = result
    return { chainPem, journal, leaf: leafOf(new X509Certificate(chainPem)) }
  }
  /** How many requests it takes. */
  const count = async (work: () => Promise<unknown>): Promise<number> => {
    const start = requests.length
    await work()
    return requests.length - start
  }
  return { solver, requests, memory, hooks, source, obtain, run, count }
}

/** Whether the DER of the serial begins with a zero byte, since its top bit is set (X.690 section 8.3). */
const hasSignByte = (pem: string): boolean =>
  Number.parseInt(new X509Certificate(pem).serialNumber.slice(0, 2), 16) >= 0x80

const daysOf = ({ leaf }: { leaf: Leaf }) => Math.round((leaf.notAfter - leaf.notBefore) / 86_400_000)

describe('Pebble', () => {
  let pebble: Pebble
  beforeAll(async () => {
    pebble = await startPebble()
  }, GET_MS)
  afterAll(() => pebble?.dispose())

  it('issues in eight requests with a new authorization and in five with a reused one', async () => {
    const it = bench(pebble, {}, patient)
    await it.obtain(['first.example.com'])
    const { requests } = it
    const start = requests.length
    const { chainPem, journal, leaf } = await it.obtain()
    expect(requests.length - start).toBe(8)
    const [own, intermediate] = parseChain(chainPem) as [X509Certificate, X509Certificate]
    expect(leaf.names).toEqual(['iot.example.com'])
    expect(keyFits(asSecret(journal.keyPem ?? ''), own)).toBe(true)
    const [root] = await pebble.roots()
    expect(intermediate.verify(new X509Certificate(root ?? '').publicKey)).toBe(true)
    expect(await it.count(() => it.obtain())).toBe(5)
  })

  it('validates apex, wildcard and a third name, and DNS is clean afterwards', async () => {
    const it = bench(pebble)
    const { leaf } = await it.obtain(['apex.example', '*.apex.example', 'iot.third.example'])
    expect([...leaf.names].sort()).toEqual(['*.apex.example', 'apex.example', 'iot.third.example'])
    expect(it.solver.calls.filter(call => call.startsWith('present'))).toHaveLength(3)
    expect([...it.solver.values.values()].flat()).toEqual([])
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
  })

  it('says why a name is not validated, and validates it in a new order', async () => {
    const it = bench(pebble)
    const journal = createJournal()
    const host = '_acme-challenge.vanishing.example.'
    // The record goes away between our look and the CA's.
    it.hooks.before = async request => {
      const value = it.solver.values.get(host)?.[0]
      if (value && request.url.includes('/chalZ/')) await it.solver.cleanUp(host, value, it.run())
    }
    await expect(it.obtain(['vanishing.example'], journal)).rejects.toMatchObject({
      code: 'validation-failed',
      message: expect.stringMatching(/could not validate vanishing\.example: unauthorized: /),
    })
    expect(journal.notes).toEqual({})
    it.hooks.before = async () => {}
    expect((await it.obtain(['vanishing.example'], journal)).chainPem).toContain('BEGIN CERTIFICATE')
  })

  it('gives the same account for a known key, and finds it without making one', async () => {
    const key = asSecret(await generateKey('ec-256'))
    const one = bench(pebble, { accountKey: key })
    await one.obtain(['account.example'])
    const other = bench(pebble, { accountKey: key, termsOfServiceAgreed: false })
    await other.obtain(['account.example'])
    expect(other.memory.notes.account).toEqual(one.memory.notes.account)
  })

  it('accepts newAccount again when the answer to the first was lost', async () => {
    const it = bench(pebble)
    let lost = false
    it.hooks.after = async request => {
      if (lost || !request.url.endsWith('/sign-me-up')) return
      lost = true
      throw new Error('lost')
    }
    await expect(it.obtain(['lost.example'])).rejects.toThrow()
    expect(lost).toBe(true)
    expect(it.memory.notes.account).toBeUndefined()
    const { chainPem } = await it.obtain(['lost.example'])
    expect(chainPem).toContain('BEGIN CERTIFICATE')
  })

  it('takes replaces, tells renewal info, and is asked again without replaces when it refuses', async () => {
    const it = bench(pebble, {}, patient)
    let { chainPem, leaf } = await it.obtain(['ari.example'])
    // Pebble answers 500 to `replaces` with such a serial, about one in 256: what becomes of it, test/acme/refusals tells.
    while (hasSignByte(chainPem)) ({ chainPem, leaf } = await it.obtain(['ari.example']))
    const renewalInfo = () => it.source().renewalInfo?.(chainPem, leaf, it.run())
    const info = await renewalInfo()
    expect(info?.window?.start).toBeGreaterThan(leaf.notBefore)
    expect(info?.window?.end).toBeLessThan(leaf.notAfter)
    const renew = () => it.obtain(['ari.example'], createJournal(), chainPem)
    expect(await it.count(renew)).toBe(5)
    expect(await it.count(renew)).toBe(6)
    await pebble.setRenewalInfo(chainPem, '{"suggestedWindow":{}}')
    expect(await renewalInfo()).toMatchObject({ window: null })
  })

  it.each(['rsa-3072', 'rsa-4096', 'ec-384'] as const)('issues for %s', async keyType => {
    const { leaf } = await bench(pebble).obtain(['keys.example'], createJournal(), null, { keyType })
    expect(leaf.keyType).toBe(keyType)
  })

  it('takes another key for the account, whose orders go on, and knows the old one no more', async () => {
    const it = bench(pebble, {}, patient)
    await it.obtain(['rollover.example'])
    const old = it.memory.secrets.get('account-key')
    const url = await it.source().rollover?.(it.run())
    expect(url).toBe((it.memory.notes.account as { url: string }).url)
    expect(await it.count(() => it.obtain(['rollover.example']))).toBe(5)
    const stranger = bench(pebble, { accountKey: old, termsOfServiceAgreed: false })
    await expect(stranger.obtain(['rollover.example'])).rejects.toMatchObject({ code: 'ca-rejected' })
  })

  it('takes the new key although its answer was lost: the next run asks which one it knows', async () => {
    const it = bench(pebble)
    await it.obtain(['lost-key.example'])
    it.hooks.after = async request => {
      if (request.url.endsWith('/rollover-account-key')) throw new Error('lost')
    }
    await expect(it.source().rollover?.(it.run())).rejects.toThrow('lost')
    it.hooks.after = async () => {}
    await it.obtain(['lost-key.example'])
    expect([...it.memory.secrets.keys()]).toEqual(['account-key-2'])
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
  })

  it('gives up an order', async () => {
    const it = bench(pebble)
    const journal = createJournal()
    const solver = { ...it.solver, present: () => Promise.reject(new Error('down')) }
    const request = requestOf(specOf(['abandon.example']))
    const failing = it.source(journal, { solver })
    await expect(failing.obtain(request, journal, it.run())).rejects.toThrow('down')
    expect(journal.notes.order).toBeDefined()
    const run = it.run()
    await it.source(journal).abandon(journal, run)
    expect(run.warnings()).toEqual([])
    expect(journal.notes).toEqual({})
  })

  /** As build.mjs makes it. */
  it.each([
    ['esm', 'mjs', REQUIRE],
    ['cjs', 'cjs', ''],
  ] as const)(
    'issues to a bundle with the shims as %s, without axios, node-forge and debug',
    async (...kind) => {
      const [format, extension, js] = kind
      const folder = await mkdtemp(join(tmpdir(), 'shims-'))
      onTestFinished(() => rm(folder, { recursive: true, force: true }))
      const outfile = join(folder, `acme.${extension}`)
      const { metafile, warnings } = await build({
        entryPoints: [path('lib/sources/acme.ts')],
        bundle: true,
        minify: true,
        platform: 'node',
        target: 'node20',
        format,
        outfile,
        alias: SHIMS,
        banner: { js },
        metafile: true,
      })
      expect(warnings).toEqual([])
      const inputs = Object.keys(metafile.inputs).join('\n')
      expect(inputs).toContain('node_modules/acme-client/')
      expect(inputs).not.toMatch(/node_modules\/(axios|node-forge|debug|ms)\//)
      const loaded = await import(pathToFileURL(outfile).href)
      const driver = (format === 'cjs' ? loaded.default.default : loaded.default) as typeof acme
      const names = ['bundled.example', '*.bundled.example']
      const { leaf } = await bench(pebble).obtain(names, createJournal(), null, {}, driver)
      expect(leaf.names).toEqual(expect.arrayContaining(names))
    },
  )
})

describe('Pebble that refuses three in ten nonces, and offers profiles', () => {
  let pebble: Pebble
  beforeAll(async () => {
    pebble = await startPebble({ nonceRejectPercent: 30, profiles: PROFILES })
  }, GET_MS)
  afterAll(() => pebble?.dispose())

  it('issues for many names, with one nonce that is asked for', async () => {
    const it = bench(pebble)
    const names = Array.from({ length: 12 }, (_, index) => `n${index}.example.com`)
    expect((await it.obtain(names)).leaf.names).toHaveLength(12)
    expect(it.requests.filter(method => method === 'HEAD')).toHaveLength(1)
  })

  it('gives the profile that is asked for; a dropped one is refused or replaced', async () => {
    const it = bench(pebble)
    const obtain = async (profile: string, profileFallback: string | boolean = false) =>
      daysOf(await it.obtain(['profile.example'], createJournal(), null, { profile, profileFallback }))
    for (const [profile, days] of Object.entries(PROFILES)) expect(await obtain(profile)).toBe(days)
    await expect(obtain('gone')).rejects.toMatchObject({ code: 'ca-rejected', retry: 'never' })
    expect(await obtain('gone', 'tlsserver')).toBe(45)
    expect(Object.values(PROFILES)).toContain(await obtain('gone', true))
  })
})

describe('Pebble that wants an external account, and has another validity and two roots', () => {
  const hmac = Buffer.alloc(32, 3).toString('base64url')
  const settings = { externalAccount: { kid: 'kid-1', hmacKey: asSecret(hmac) } }
  let pebble: Pebble
  beforeAll(async () => {
    pebble = await startPebble({
      eab: { 'kid-1': hmac },
      validitySeconds: 6 * 86_400,
      alternateRoots: 1,
    })
  }, GET_MS)
  afterAll(() => pebble?.dispose())

  it('makes an account with a binding only', async () => {
    await expect(bench(pebble).obtain()).rejects.toMatchObject({ code: 'ca-rejected', retry: 'never' })
    const it = bench(pebble, settings)
    // The answer to the first newAccount is lost: the same key and binding find the account.
    const bindings: string[] = []
    it.hooks.before = async ({ url, body }) => {
      if (url.endsWith('/sign-me-up')) bindings.push(bindingOf(String(body)))
    }
    it.hooks.after = async ({ url }) => {
      if (bindings.length === 1 && url.endsWith('/sign-me-up')) throw new Error('lost')
    }
    await expect(it.obtain()).rejects.toThrow('lost')
    expect((await it.obtain()).chainPem).toContain('BEGIN CERTIFICATE')
    expect(bindings).toEqual(['HS256', 'HS256'])
    // Another key with the same binding is what a lost key would lead to.
    expect([...it.memory.secrets.keys()]).toEqual(['account-key'])
  })

  it('gives the validity and the number of roots it is told', async () => {
    const it = bench(pebble, settings)
    expect(daysOf(await it.obtain())).toBe(6)
    const roots = await pebble.roots()
    expect(new Set(roots).size).toBe(2)
    // Devices that know the second root only.
    const journal = createJournal()
    const accepts = (pem: string) =>
      verifyPath({ chain: parseChain(pem), roots: parseRoots(roots[1] ?? ''), at: Date.now() }).ok
    const request = requestOf(specOf(['alternate.example']), null, accepts)
    const result = await it.source(journal).obtain(request, journal, it.run())
    expect(result.kind === 'obtained' && accepts(result.chainPem)).toBe(true)
  })
})
