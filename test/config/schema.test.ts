import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type ConversionConfig, type JsonSchema, toJsonSchema } from '@valibot/to-json-schema'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { settingsShape } from '../../lib/config/settings.ts'
import { notifiers } from '../../lib/notifiers/index.ts'
import { solvers } from '../../lib/solvers/index.ts'
import { sources } from '../../lib/sources/index.ts'
import { stores } from '../../lib/stores/index.ts'
import { startSandbox } from '../../sandbox/sandbox.ts'
import { mistakesOf } from './json-schema.ts'

/** `settings.schema.json` is what editors check a settings file with; it is made here, from what the loader checks with. */
const FILE = fileURLToPath(new URL('../../settings.schema.json', import.meta.url))
const UPDATE = 'run UPDATE_SCHEMA=1 npx vitest run test/config/schema.test.ts'

type Registry = Readonly<Record<string, () => Promise<{ readonly default: { settings: v.GenericSchema } }>>>

/** What a settings file holds, so no transformed types; checks that JSON Schema cannot say are left to the loader. */
const CONVERSION: ConversionConfig = {
  typeMode: 'input',
  errorMode: 'ignore',
  overrideSchema: ({ valibotSchema }) => {
    // Settings of a later version: the default and nothing else.
    const {
      type,
      wrapped,
      default: fallback,
    } = valibotSchema as {
      type: string
      wrapped?: { type: string }
      default?: unknown
    }
    if (type !== 'optional' || wrapped?.type !== 'custom') return undefined
    return { const: fallback, default: fallback } as JsonSchema
  },
}

const convert = (schema: v.GenericSchema): JsonSchema => {
  const { $schema: _, ...json } = toJsonSchema(schema, CONVERSION)
  return json
}

/** One of the drivers of a section, told apart by `type`; `extra` is what the section adds to each. */
async function driversOf(
  registry: Registry,
  extra: Readonly<Record<string, JsonSchema>> = {},
): Promise<JsonSchema> {
  const kinds = Object.entries(registry).map(async ([type, load]): Promise<JsonSchema> => {
    const own = convert((await load()).default.settings)
    expect(own.type, type).toBe('object')
    return {
      ...own,
      properties: { type: { const: type }, ...own.properties, ...extra },
      required: ['type', ...(own.required ?? [])],
    }
  })
  return { oneOf: await Promise.all(kinds) }
}

async function generate(): Promise<JsonSchema> {
  const shape = convert(settingsShape)
  const properties = shape.properties as Record<string, JsonSchema>
  const { sealKey, sealKeyPrevious } = (properties.store?.properties ?? {}) as Record<string, JsonSchema>
  if (!sealKey || !sealKeyPrevious) throw new Error('the store has no seal keys')
  const entry = (properties.notifiers?.items ?? {}) as JsonSchema
  const { type: _, ...everyNotifier } = (entry.properties ?? {}) as Record<string, JsonSchema>
  if (Object.keys(everyNotifier).length !== 4) throw new Error('notifiers have other keys in common')
  const named = async (section: string, registry: Registry): Promise<JsonSchema> => ({
    ...properties[section],
    additionalProperties: await driversOf(registry),
  })
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Settings of iotda-cert',
    ...shape,
    properties: {
      ...properties,
      sources: await named('sources', sources as unknown as Registry),
      solvers: await named('solvers', solvers as unknown as Registry),
      store: {
        ...(await driversOf(stores as unknown as Registry, { sealKey, sealKeyPrevious })),
        default: properties.store?.default ?? null,
      },
      notifiers: {
        ...properties.notifiers,
        items: await driversOf(notifiers as unknown as Registry, everyNotifier),
      },
    },
  }
}

const committed = async (): Promise<JsonSchema> => JSON.parse(await readFile(FILE, 'utf8')) as JsonSchema

test('settings.schema.json says what the loader accepts', async () => {
  const text = `${JSON.stringify(await generate(), null, 2)}\n`
  if (process.env.UPDATE_SCHEMA === '1') await writeFile(FILE, text)
  expect(await readFile(FILE, 'utf8').catch(() => ''), UPDATE).toBe(text)
})

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
      preflight: { emergency: 'refuse' },
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
      ...{ type: 'webhook', url: 'env:ALERT_URL', format: 'json' },
      ...{ name: 'ops', minSeverity: 'critical', events: ['failed', 'expiring'], language: 'zh' },
    },
  ],
  heartbeat: { url: 'env:HEARTBEAT_URL' },
  schedule: { interval: '30m' },
})

test('the interface with every key satisfies it, and the loader’s shape', async () => {
  expect(mistakesOf(await committed(), example())).toEqual([])
  expect(v.safeParse(settingsShape, example()).issues).toBeUndefined()
})

test('the settings of the sandbox satisfy it', async () => {
  const sandbox = await startSandbox()
  try {
    expect(mistakesOf(await committed(), sandbox.settings())).toEqual([])
  } finally {
    await sandbox.dispose()
  }
})

// biome-ignore lint/suspicious/noExplicitAny: settings to be broken at will.
type Broken = any
const broken: readonly (readonly [string, string, (settings: Broken) => void])[] = [
  ['a missing key', 'targets[0].domain: is missing', s => delete s.targets[0].domain],
  ['a missing section', 'certificates: is missing', s => delete s.certificates],
  [
    'an unknown key',
    'targets[0].probe.prot: is unknown',
    s => Object.assign(s.targets[0].probe, { prot: 1 }),
  ],
  ['an unknown section', 'target: is unknown', s => Object.assign(s, { target: {} })],
  [
    'a wrong type',
    'targets[0].probe.port: is no integer',
    s => Object.assign(s.targets[0].probe, { port: '8883' }),
  ],
  [
    'a value of a list',
    'certificates.iot.keyType: is none of',
    s => Object.assign(s.certificates.iot, { keyType: 'dsa' }),
  ],
  ['another version', 'version: is not 1', s => Object.assign(s, { version: 2 })],
  ['an unknown preset', 'targets[0].profiles[2]: fits none', s => s.targets[0].profiles.push('legacy')],
  [
    'an unknown driver',
    'sources.letsencrypt: fits none',
    s => Object.assign(s.sources.letsencrypt, { type: 'acmee' }),
  ],
  [
    'an unknown key of a driver',
    'solvers.dns: fits none',
    s => Object.assign(s.solvers.dns, { token: 'env:T' }),
  ],
  ['a missing key of a driver', 'notifiers[0]: fits none', s => delete s.notifiers[0].url],
  [
    'a bad name',
    'credentials: has a bad name',
    s => Object.assign(s.credentials, { 'c n': s.credentials.cn }),
  ],
]

test.each(broken)('%s is found by it', async (_, expected, change) => {
  const settings = example()
  change(settings)
  expect(mistakesOf(await committed(), settings).join('\n')).toContain(expected)
})
