import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { pagesWritten } from '../../deploy/interface.ts'
import { settingsReference } from '../../deploy/settings-reference.ts'
import { settingsShape } from '../../lib/config/settings.ts'
import { notifiers } from '../../lib/notifiers/index.ts'
import { solvers } from '../../lib/solvers/index.ts'
import { sources } from '../../lib/sources/index.ts'
import { stores } from '../../lib/stores/index.ts'
import { startSandbox } from '../../sandbox/sandbox.ts'

const committed = async (name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8')

/** `settings.schema.json` is what editors check a settings file with. */
const check = new Ajv({ allErrors: true, strictTypes: false, validateFormats: false }).compile(
  JSON.parse(await committed('settings.schema.json')),
)

test('settings.schema.json and the tables of docs/ are what npm run schema writes', async () => {
  const written = ['settings.schema.json', ...pagesWritten]
  const before = await Promise.all(written.map(committed))
  execFileSync(process.execPath, [fileURLToPath(new URL('../../deploy/schema.mjs', import.meta.url))])
  expect(await Promise.all(written.map(committed)), 'npm run schema').toEqual(before)
})

test('docs have a line of every driver, as the driver says it', async () => {
  const all = (await Promise.all(pagesWritten.map(committed))).join('\n')
  for (const registry of [sources, solvers, stores, notifiers])
    for (const type of Object.keys(registry))
      expect(all).toMatch(new RegExp(`^\\| \\[\`${type}\`\\]\\(https://`, 'm'))
})

describe('every key says what it means', () => {
  const keyed = (key: object) => ({ type: 'object', properties: { domain: key }, required: ['domain'] })

  test('a key without a comment over it is found', () => {
    expect(() => settingsReference(keyed({ type: 'string' }))).toThrow('domain does not say what it means')
  })

  test('a text without a default or an example is found', () => {
    const key = { type: 'string', 'x-kind': 'a domain name', description: 'The custom domain.' }
    expect(() => settingsReference(keyed(key))).toThrow('domain shows no value')
    expect(settingsReference(keyed({ ...key, examples: ['iot.example.com'] }))).toContain(
      '| `domain` | a domain name | required | The custom domain. E.g. `"iot.example.com"` |',
    )
  })

  test('what a comment says reaches the schema, and its example is a value that it allows', async () => {
    const found: string[] = []
    const look = (schema: Record<string, unknown>, path: string): void => {
      const { examples, properties = {}, ...rest } = schema
      for (const [key, it] of Object.entries(properties as object)) {
        if (!it.description && it.const === undefined) found.push(`${path}.${key} says nothing`)
        look(it, `${path}.${key}`)
      }
      const isSchemaOf = new Ajv({ strictTypes: false, validateFormats: false }).compile(rest)
      for (const value of (examples as unknown[] | undefined) ?? [])
        if (!isSchemaOf(value)) found.push(`${path}: ${JSON.stringify(value)} is not allowed`)
      for (const below of [rest.items, rest.additionalProperties, rest.anyOf, rest.oneOf].flat())
        if (typeof below === 'object' && below !== null) look(below as Record<string, unknown>, path)
    }
    const { $schema: _, ...schema } = JSON.parse(await committed('settings.schema.json'))
    look(schema, '')
    expect(found).toEqual([])
  })
})

/** What is wrong with settings by the schema. */
const mistakesOf = (settings: unknown): readonly string[] =>
  check(settings)
    ? []
    : (check.errors ?? []).map(
        ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
      )

/** Every key of the interface, with values as an operator writes them. */
const example = () => ({
  $schema: './settings.schema.json',
  version: 1,
  targets: [
    {
      name: 'factory-1',
      domain: 'iot.example.com',
      credentials: 'cn',
      instance: {
        region: 'cn-north-4',
        projectId: '0123456789abcdef0123456789abcdef',
        instanceId: '11111111-2222-3333-4444-555555555555',
        endpoint: 'https://0123456789.st1.iotda-app.cn-north-4.myhuaweicloud.com',
        signing: 'auto',
      },
      certificate: 'iot',
      keyEncoding: 'pkcs1',
      domainConfiguration: 'require',
      probe: {
        mode: 'best-effort',
        host: 'iot.example.com',
        port: 8883,
        addresses: [],
        steady: 3,
        within: '3m',
      },
      profiles: [
        'esp-idf',
        {
          name: 'meter-v1',
          preset: 'mbedtls-2',
          trustedRoots: ['file:old-root.pem', 'file:new-root.pem'],
          tls: '1.2',
          ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA256',
          keyTypes: ['rsa-2048'],
          signatureAlgorithms: ['sha256WithRSAEncryption'],
          maxChainBytes: 8192,
          maxChainDepth: 3,
          needsCommonName: true,
          needsKeyEncipherment: true,
          clockLag: '6h',
          pins: ['sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='],
        },
      ],
      preflight: { emergency: 'refuse', strictNames: false },
      ocsp: 'require-url',
      minAge: '0s',
      bindWindow: [],
      slots: { delete: 'superseded' },
    },
  ],
  certificates: {
    iot: {
      names: ['iot.example.com'],
      keyType: 'rsa-2048',
      source: ['letsencrypt'],
      renewBefore: '30d',
      ari: true,
      profile: null,
    },
  },
  sources: {
    letsencrypt: {
      type: 'acme',
      directory: 'https://acme-v02.api.letsencrypt.org/directory',
      email: 'ops@example.com',
      termsOfServiceAgreed: true,
      solver: 'dns',
      accountKey: null,
      caCertificates: null,
    },
  },
  solvers: { dns: { type: 'huaweicloud', credentials: 'cn' } },
  credentials: {
    cn: {
      type: 'huaweicloud',
      accessKey: 'env:HUAWEICLOUD_SDK_AK',
      secretKey: 'env:HUAWEICLOUD_SDK_SK',
    },
  },
  store: { type: 'file', path: './state', sealKey: null },
  notifiers: [
    {
      type: 'webhook',
      url: 'env:ALERT_URL',
      format: 'json',
      name: 'ops',
      minSeverity: 'critical',
      events: ['failed', 'expiring'],
      language: 'zh',
    },
  ],
  heartbeat: { url: 'env:HEARTBEAT_URL' },
  schedule: { interval: '30m', concurrency: 16 },
})

test('the interface with every key satisfies it, and the loader’s shape', async () => {
  expect(mistakesOf(example())).toEqual([])
  expect(v.safeParse(settingsShape, example()).issues).toBeUndefined()
})

test('the settings of the sandbox satisfy it', async () => {
  const sandbox = await startSandbox()
  try {
    expect(mistakesOf(sandbox.settings())).toEqual([])
  } finally {
    await sandbox.dispose()
  }
})

// biome-ignore lint/suspicious/noExplicitAny: settings to be broken at will.
type Broken = any
const broken: readonly (readonly [string, string, (settings: Broken) => void])[] = [
  ['a missing key', "/targets/0 must have required property 'domain'", s => delete s.targets[0].domain],
  ['a missing section', " must have required property 'certificates'", s => delete s.certificates],
  [
    'an unknown key',
    '/targets/0/probe must NOT have additional properties {"additionalProperty":"prot"}',
    s => Object.assign(s.targets[0].probe, { prot: 1 }),
  ],
  [
    'an unknown section',
    ' must NOT have additional properties {"additionalProperty":"target"}',
    s => Object.assign(s, { target: {} }),
  ],
  [
    'a wrong type',
    '/targets/0/probe/port must be integer',
    s => Object.assign(s.targets[0].probe, { port: '8883' }),
  ],
  [
    'a value of a list',
    '/certificates/iot/keyType must be equal to one of the allowed values',
    s => Object.assign(s.certificates.iot, { keyType: 'dsa' }),
  ],
  ['another version', '/version must be equal to constant', s => Object.assign(s, { version: 2 })],
  [
    'an unknown preset',
    '/targets/0/profiles/2 must match a schema in anyOf',
    s => s.targets[0].profiles.push('legacy'),
  ],
  [
    'an unknown driver',
    '/sources/letsencrypt must match exactly one schema in oneOf {"passingSchemas":null}',
    s => Object.assign(s.sources.letsencrypt, { type: 'acmee' }),
  ],
  [
    'an unknown key of a driver',
    '/solvers/dns must match exactly one schema in oneOf {"passingSchemas":null}',
    s => Object.assign(s.solvers.dns, { token: 'env:T' }),
  ],
  [
    'a missing key of a driver',
    '/notifiers/0 must match exactly one schema in oneOf {"passingSchemas":null}',
    s => delete s.notifiers[0].url,
  ],
  [
    'a bad name',
    '/credentials property name must be valid {"propertyName":"c n"}',
    s => Object.assign(s.credentials, { 'c n': s.credentials.cn }),
  ],
]

test.each(broken)('%s is found by it', async (_, expected, change) => {
  const settings = example()
  change(settings)
  expect(mistakesOf(settings).join('\n')).toContain(expected)
})
