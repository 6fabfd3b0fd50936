/** AWS's own environment: what its tools heed is heeded for the stores, SNS and references alike. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { driverSchemas } from '../../lib/app/drivers.ts'
import { settingsOf } from '../../lib/app/session.ts'
import type { Secret } from '../../lib/base/secret.ts'
import { loadSettings, type Surroundings } from '../../lib/config/load.ts'
import { functionSurroundings } from '../../lib/config/surroundings.ts'
import { onAws } from '../deploy/sample.ts'
import { cleanups } from '../support/cleanups.ts'
import { failureOf } from '../support/failure.ts'

const KEYS = { AWS_ACCESS_KEY_ID: 'AK', AWS_SECRET_ACCESS_KEY: 'SK' }
const inline = (change: (settings: ReturnType<typeof onAws>) => void = () => {}): string =>
  JSON.stringify(
    onAws(settings => {
      settings.solvers = { dns: { type: 'webhook', url: 'https://dns.example' } }
      change(settings)
    }),
  )

/** What the settings say of the store and of SNS, in these surroundings; secrets in the clear. */
async function loaded(env: Record<string, string>, more: Partial<Surroundings> = {}, text = inline()) {
  const asked: unknown[] = []
  const remote: Surroundings['remote'] = async question => {
    asked.push(question)
    return Buffer.alloc(32, 7).toString('base64')
  }
  const around = { env, folder: '.', remote, ...more }
  const { store, notifiers } = await loadSettings(text, driverSchemas, around)
  // biome-ignore lint/suspicious/noExplicitAny: settings of several drivers
  const clear = (value: any): any => {
    if (typeof value?.reveal === 'function') return (value as Secret).reveal()
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, it]) => [name, clear(it)]))
  }
  return { store: clear(store.settings), sns: clear(notifiers[0]?.settings), asked: asked.map(clear) }
}

test('AWS_ENDPOINT_URL was heeded by references alone: stores and SNS as well, each by its own name first', async () => {
  const env = {
    ...{ ...KEYS, AWS_REGION: 'eu-central-1', AWS_ENDPOINT_URL: 'https://all.example' },
    ...{ AWS_ENDPOINT_URL_SNS: 'http://127.0.0.1:9' },
  }
  const { store, sns, asked } = await loaded(env)
  expect([store.endpoint, sns.endpoint]).toEqual(['https://all.example', 'http://127.0.0.1:9'])
  expect(asked[0].endpoint).toBe('https://all.example')
  const own = await loaded(
    env,
    {},
    inline(it => Object.assign(it.store, { endpoint: 'https://mine.example' })),
  )
  expect(own.store.endpoint).toBe('https://mine.example')
  expect((await loaded({ ...KEYS, AWS_REGION: 'eu-central-1' })).store.endpoint).toBeNull()
})

test('an endpoint of the environment that is no https URL is refused by name: keys would go there', async () => {
  const env = { ...KEYS, AWS_REGION: 'eu-central-1', AWS_ENDPOINT_URL_S3: 'http://s3.example' }
  expect((await failureOf(loaded(env))).message).toContain('AWS_ENDPOINT_URL_S3 must be an https URL')
})

test('AWS_DEFAULT_REGION is heeded where AWS_REGION is not set', async () => {
  const { store, asked } = await loaded({ ...KEYS, AWS_DEFAULT_REGION: 'eu-west-3' })
  expect([store.region, asked[0].region]).toEqual(['eu-west-3', 'eu-west-3'])
  expect((await failureOf(loaded(KEYS))).message).toContain('AWS_REGION or AWS_DEFAULT_REGION')
})

test('AWS_CA_BUNDLE names the roots, on the command line; a function has no such file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ca-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  const file = join(folder, 'roots.pem')
  await writeFile(file, 'PEM\n')
  const env = { ...KEYS, AWS_REGION: 'eu-central-1', AWS_CA_BUNDLE: file }
  const { store, sns, asked } = await loaded(env)
  expect([store.caCertificates, sns.caCertificates, asked[0].caCertificates.trim()]).toEqual([
    'PEM',
    'PEM',
    'PEM',
  ])
  const inFunction = functionSurroundings({ env, folder: '.' }, {})
  expect((await loaded(env, { ...inFunction, env })).store.caCertificates).toBeNull()
})

test('keys of a profile, SSO or a role are used where the environment holds none, and asked for once', async () => {
  let asked = 0
  const awsKeys = async () => {
    asked += 1
    return { accessKeyId: 'CHAIN', secretAccessKey: 'CHAIN-SECRET', sessionToken: 'CHAIN-TOKEN' }
  }
  const region = { AWS_REGION: 'eu-central-1' }
  const { store, asked: questions } = await loaded(region, { awsKeys })
  const keys = { accessKeyId: 'CHAIN', secretAccessKey: 'CHAIN-SECRET', sessionToken: 'CHAIN-TOKEN' }
  expect([store, questions[0].keys]).toMatchObject([keys, keys])
  // Once for references, once for the settings.
  expect(asked).toBeLessThanOrEqual(2)
  // One key of the environment is never completed from elsewhere.
  expect((await failureOf(loaded({ ...region, AWS_ACCESS_KEY_ID: 'A' }, { awsKeys }))).message).toContain(
    'AWS_SECRET_ACCESS_KEY',
  )
  expect((await loaded({ ...region, ...KEYS }, { awsKeys })).store).toMatchObject({
    ...{ accessKeyId: 'AK', sessionToken: null },
  })
})

test('the command line asks AWS’s own chain: a profile of the shared files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'aws-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  const file = join(folder, 'credentials')
  await writeFile(file, '[factory]\naws_access_key_id = PROFILE\naws_secret_access_key = OF-PROFILE\n')
  const before = { ...process.env }
  const shared = { AWS_SHARED_CREDENTIALS_FILE: file, AWS_CONFIG_FILE: join(folder, 'config') }
  Object.assign(process.env, { ...shared, AWS_PROFILE: 'factory', AWS_EC2_METADATA_DISABLED: 'true' })
  cleanups.push(() => {
    for (const name of ['AWS_PROFILE', 'AWS_EC2_METADATA_DISABLED', ...Object.keys(shared)])
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
  })
  const text = inline(settings => {
    settings.credentials.cn = { type: 'huaweicloud', accessKey: 'env:HW', secretKey: 'env:HW' }
    settings.store.sealKey = 'env:SEAL'
    settings.targets[0].profiles = []
  })
  const env = { AWS_REGION: 'eu-central-1', HW: 'x', SEAL: Buffer.alloc(32, 7).toString('base64') }
  const keys = async (): Promise<readonly string[]> => {
    const surroundings = { env, folder: '.' }
    const { store } = await settingsOf({ config: text, surroundings })
    const { accessKeyId, secretAccessKey } = store.settings as Record<string, Secret>
    return [accessKeyId?.reveal() ?? '', secretAccessKey?.reveal() ?? '']
  }
  expect(await keys()).toEqual(['PROFILE', 'OF-PROFILE'])
  // The region beside its keys is not read.
  const { AWS_REGION: _, ...without } = { ...env, AWS_PROFILE: 'factory' }
  const surroundings = { env: without, folder: '.' }
  expect((await failureOf(settingsOf({ config: text, surroundings }))).message).toContain(
    'store.region: environment variable AWS_REGION is not set, and the region of AWS_PROFILE is not read',
  )
  process.env.AWS_PROFILE = 'nobody'
  expect((await failureOf(keys())).message).toMatch(
    /store\.accessKeyId: there are no keys of AWS: .*AWS_PROFILE/s,
  )
})

test('in a function "no settings" hinted at --config FILE, which it has not', async () => {
  const error = await failureOf(
    loadSettings(null, driverSchemas, functionSurroundings({ env: {}, folder: '.' }, {})),
  )
  expect(error.hint).toContain('environment variable IOTDA_CERT_CONFIG of the function')
  expect(error.hint).not.toContain('--config')
  expect((await failureOf(loadSettings(null, driverSchemas, { env: {}, folder: '.' }))).hint).toContain(
    '--config',
  )
})
