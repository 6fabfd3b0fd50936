/** Where settings come from, what they become, and what a message may say. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonMistakeAt } from '../../lib/config/json.ts'
import { loadSettings } from '../../lib/config/load.ts'
import {
  changed,
  drivers,
  ENV,
  failure,
  load,
  loadFile,
  mistakesOf,
  newFolder,
  type Raw,
  sample,
} from './sample.ts'

describe('where they come from', () => {
  const text = JSON.stringify(sample())

  test('IOTDA_CERT_CONFIG: inline JSON, also after white space', async () => {
    const env = { ...ENV, IOTDA_CERT_CONFIG: `\n ${text}` }
    expect((await loadSettings(null, drivers, { env, folder: '/nowhere' })).targets).toHaveLength(1)
  })

  test('IOTDA_CERT_CONFIG: a file; what is given counts before it', async () => {
    const folder = await newFolder()
    await writeFile(join(folder, 'a.json'), text)
    const env = { ...ENV, IOTDA_CERT_CONFIG: 'a.json' }
    expect((await loadSettings(null, drivers, { env, folder })).targets).toHaveLength(1)
    const error = await failure(loadSettings('b.json', drivers, { env, folder }))
    expect(error.message).toBe(
      'the settings file b.json has a mistake:\n  settings: there is no such file; give one with --config FILE or IOTDA_CERT_CONFIG',
    )
  })

  test('neither is a mistake of use', async () => {
    const error = await failure(loadSettings(null, drivers, { env: {}, folder: '/nowhere' }))
    expect(error).toMatchObject({ code: 'usage', retry: 'never' })
    expect(error.hint).toContain('IOTDA_CERT_CONFIG')
  })

  test('a folder, and places that nobody gave a way to read', async () => {
    const folder = await newFolder()
    const from = (given: string) => mistakesOf(loadSettings(given, drivers, { env: ENV, folder }))
    expect(await from('.')).toEqual([
      'settings: it cannot be read (EISDIR); give one with --config FILE or IOTDA_CERT_CONFIG',
    ])
    for (const scheme of ['s3', 'csms', 'awssm'])
      expect(await from(`${scheme}:somewhere`)).toEqual([
        `settings: settings from ${scheme}: cannot be read here`,
      ])
  })

  test('the state folder is relative to the settings file, or to the working directory for inline JSON', async () => {
    const folder = await newFolder()
    await mkdir(join(folder, 'etc'))
    await writeFile(join(folder, 'etc', 'a.json'), text)
    const { store } = await loadSettings('etc/a.json', drivers, { env: ENV, folder })
    expect(store.settings).toEqual({ path: join(folder, 'etc', 'state') })
    expect((await load(sample(), ENV, folder)).store.settings).toEqual({ path: join(folder, 'state') })
    const absolute = changed(raw => Object.assign(raw, { store: { type: 'file', path: '/var/lib/x' } }))
    expect((await load(absolute)).store.settings).toEqual({ path: '/var/lib/x' })
  })
})

describe('what they become', () => {
  test('everything that has a default', async () => {
    const settings = await load(sample(), ENV, '/srv')
    expect(settings.targets).toEqual([
      {
        name: 'factory-1',
        domain: 'iot.example.com',
        certificate: 'iot',
        instance: {
          region: 'cn-north-4',
          projectId: 'p1',
          instanceId: null,
          endpoint: 'https://abc.st1.iotda-app.cn-north-4.myhuaweicloud.com',
          signing: 'auto',
        },
        keyEncoding: 'pkcs1',
        domainConfiguration: 'require',
        trustedRoots: null,
        profiles: [],
        preflight: { emergency: 'refuse', strictNames: false },
        minAgeMs: 0,
        bindWindow: [],
        probe: {
          mode: 'best-effort',
          host: 'iot.example.com',
          port: 8883,
          addresses: [],
          steady: 3,
          withinMs: 180_000,
        },
        ocsp: 'require-url',
        devices: null,
        slots: { delete: 'superseded' },
      },
    ])
    expect(settings.certificates).toEqual({
      iot: {
        name: 'iot',
        names: ['iot.example.com'],
        keyType: 'rsa-2048',
        sources: ['letsencrypt'],
        renewBefore: null,
        ari: true,
        profile: null,
        profileFallback: false,
        reuseKey: false,
      },
    })
    expect(settings.sources.letsencrypt).toMatchObject({
      type: 'acme',
      settings: { solver: 'dns', termsOfServiceAgreed: false, accountKey: null, caCertificates: null },
    })
    expect(settings.access).toMatchObject({ 'factory-1': { credentials: 'cn', caCertificates: null } })
    expect(settings.store).toMatchObject({ type: 'file', settings: { path: '/srv/state' }, sealKey: null })
    expect(settings.notifiers).toEqual([])
    expect(settings.intervalMs).toBe(1_800_000)
  })

  test('the values of later versions may be written out', async () => {
    const raw = changed(r => Object.assign(r.targets[0], { profiles: [], minAge: '0s', bindWindow: [] }))
    expect((await load(raw)).targets).toEqual((await load(sample())).targets)
  })

  test('a notifier has its defaults', async () => {
    const raw = changed(r => Object.assign(r, { notifiers: [{ type: 'webhook', url: 'env:ALERT_URL' }] }))
    const [notifier] = (await load(raw)).notifiers
    expect(notifier).toMatchObject({ type: 'webhook', settings: { format: 'json', caCertificates: null } })
  })

  test('domain names are compared as A-labels in lower case', async () => {
    const raw = changed(r => {
      r.targets[0].domain = 'IoT.Bücher.example.'
      r.certificates.iot.names = ['*.BÜCHER.example']
    })
    const { targets, certificates } = await load(raw)
    expect(targets[0]?.domain).toBe('iot.xn--bcher-kva.example')
    expect(targets[0]?.probe.host).toBe('iot.xn--bcher-kva.example')
    expect(certificates.iot?.names).toEqual(['*.xn--bcher-kva.example'])
  })

  test.each([
    ['30d', { durationMs: 30 * 86_400_000 }],
    ['36h', { durationMs: 36 * 3_600_000 }],
    ['1/3', { share: 1 / 3 }],
    [null, null],
  ])('renewBefore %s', async (renewBefore, wanted) => {
    const { certificates } = await load(changed(r => Object.assign(r.certificates.iot, { renewBefore })))
    expect(certificates.iot?.renewBefore).toEqual(wanted)
  })

  test('a list of one source is that source', async () => {
    const raw = changed(r => Object.assign(r.certificates.iot, { source: ['letsencrypt'] }))
    expect((await load(raw)).certificates.iot?.sources).toEqual(['letsencrypt'])
  })
})

describe('every mistake is told at once', () => {
  test('of the file’s shape and of every driver', async () => {
    const raw = changed(r => {
      r.version = 3
      r.targets[0].keyEncoding = 'der'
      delete r.targets[0].instance.region
      r.certificates.iot.renewBefore = 'soon'
      r.sources.letsencrypt.emial = 'x'
      r.solvers.dns.type = 'bind'
      r.store = { type: 'file', path: '' }
      r.surprise = 1
    })
    expect((await mistakesOf(load(raw))).map(line => line.split(': ')[0]).toSorted()).toEqual([
      'certificates.iot.renewBefore',
      'solvers.dns.type',
      'sources.letsencrypt.emial',
      'store.path',
      'surprise',
      'targets[0].instance.region',
      'targets[0].keyEncoding',
      'version',
    ])
  })

  test('of references and names', async () => {
    const raw = changed(r => {
      r.credentials.cn = { type: 'huaweicloud', accessKey: 'env:NOPE', secretKey: 'file:nope' }
      r.targets[0].credentials = 'eu'
      r.targets[0].domain = 'other.example.net'
      r.certificates.iot.source = 'x'
      r.sources.letsencrypt.solver = 'y'
    })
    expect((await mistakesOf(load(raw))).map(line => line.split(': ')[0]).toSorted()).toEqual([
      'certificates.iot.source',
      'credentials.cn.accessKey',
      'credentials.cn.secretKey',
      'sources.letsencrypt.solver',
      'targets[0].credentials',
      'targets[0].domain',
    ])
  })
})

test('a byte order mark, as some editors write it, is no mistake', async () => {
  const error = await failure(loadFile('\uFEFF{"version": 2}'))
  expect(error.message).toContain('version: ')
  expect(error.message).not.toContain('JSON')
})

test('brackets in brackets are read as far as anybody needs them', async () => {
  const error = await failure(loadFile(`{"a":${'['.repeat(60)}${']'.repeat(60)}}`))
  expect(error.message).toContain('settings: is nested more than 50 levels deep')
})

test('brackets in brackets without end are a mistake of the text', async () => {
  const error = await failure(loadFile('['.repeat(200_000)))
  expect(error).toMatchObject({ code: 'settings-invalid' })
  expect(error.message).toMatch(/is no valid JSON at line 1, column \d+$/)
})

describe('invalid JSON', () => {
  test('the place is said, the text is not', async () => {
    const text = '{\n  "version": 1,\n  "secretKey": "HUNTER2" x\n}'
    const error = await failure(loadFile(text))
    expect(error.code).toBe('settings-invalid')
    expect(error.message).toMatch(/has a mistake:\n {2}settings: is no valid JSON at line 3, column 26$/)
    for (const said of [error.message, error.hint ?? '', String(error.cause ?? ''), error.stack ?? ''])
      expect(said).not.toContain('HUNTER2')
  })

  test.each([
    ['{', 1],
    ['', 0],
    ['{"a":1,}', 7],
    ['{"a" 1}', 5],
    ['{"a":tru}', 5],
    ['[1,2', 4],
    ['{"a":01}', 6],
    ['{"a":"b\nc"}', 5],
    ['{"a":"\\x"}', 5],
    ['{} {}', 3],
    ['nul', 0],
    ["{'a':1}", 1],
    ['\uFEFF{}', 0],
  ])('%j stops at %i', (text, wanted) => {
    expect(() => JSON.parse(text)).toThrow()
    expect(jsonMistakeAt(text)).toBe(wanted)
  })

  test('valid JSON has no such place; what is cut off stops inside', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.nat(), (text, cut) => {
        expect(jsonMistakeAt(text)).toBe(text.length)
        const part = text.slice(0, cut % text.length)
        expect(jsonMistakeAt(part)).toBeLessThanOrEqual(part.length)
      }),
    )
  })
})

describe('what may be a secret is in no message', () => {
  const SECRET = 'HUNTER2HUNTER2'
  const places: readonly (readonly [string, (raw: Raw) => void])[] = [
    ['a literal secret', r => Object.assign(r.credentials.cn, { secretKey: SECRET })],
    ['a secret in a list', r => Object.assign(r.credentials.cn, { secretKey: [SECRET] })],
    ['a secret under an unknown key', r => Object.assign(r.credentials.cn, { secret: SECRET })],
    ['a secret in place of a section', r => Object.assign(r, { credentials: SECRET })],
    ['a secret in place of a choice', r => Object.assign(r.targets[0], { keyEncoding: SECRET })],
    ['a secret in place of a driver', r => Object.assign(r.sources.letsencrypt, { type: SECRET })],
    ['a secret in place of an address', r => Object.assign(r.targets[0].instance, { endpoint: SECRET })],
    [
      'a secret in an address',
      r => Object.assign(r.targets[0].instance, { endpoint: `https://u:${SECRET}@a.b` }),
    ],
    ['a secret in place of a number', r => Object.assign(r.targets[0], { probe: { port: SECRET } })],
    ['a secret in place of a domain', r => Object.assign(r.targets[0], { domain: SECRET })],
    ['a secret in place of the version', r => Object.assign(r, { version: SECRET })],
    ['a key in PEM in place of roots', r => Object.assign(r.targets[0], { trustedRoots: SECRET })],
    [
      'a token in the URL of a notifier',
      r => Object.assign(r, { notifiers: [{ type: 'webhook', url: `https://a.b/${SECRET}` }] }),
    ],
  ]
  test.each(places)('%s', async (_, change) => {
    const error = await failure(load(changed(change)))
    expect(`${error.message} ${error.hint} ${error.cause ?? ''}`).not.toContain('HUNTER2')
  })

  test('settings that are not taken for JSON are not repeated as a file’s name', async () => {
    for (const given of [
      `[{"secretKey":"${SECRET}"}]`,
      `"{\\"secretKey\\":\\"${SECRET}\\"}"`,
      `version: 1\nsecretKey: ${SECRET}`,
    ]) {
      const error = await failure(loadSettings(given, drivers, { env: ENV, folder: '/nowhere' }))
      expect(error.code).toBe('settings-invalid')
      expect(error.message).not.toContain('HUNTER2')
    }
  })
})

test('a program is run only for whoever can write the settings file', async () => {
  const raw = changed(r => {
    r.solvers.dns = { type: 'exec', command: '/usr/bin/dns' }
  })
  await expect(load(raw)).rejects.toThrow('solvers.dns.type: "exec" needs the settings to be a local file')
  await expect(loadFile(JSON.stringify(raw))).resolves.toMatchObject({ solvers: { dns: { type: 'exec' } } })
})
