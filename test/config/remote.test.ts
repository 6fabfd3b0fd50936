/** Settings and secrets that stand in a cloud service, over the wire to the simulated ones. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { remoteOf } from '../../lib/app/session.ts'
import type { RotationError } from '../../lib/base/rotation-error.ts'
import { systemClock } from '../../lib/base/time.ts'
import { loadSettings } from '../../lib/config/load.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { type Csms, createCsms } from '../../sandbox/stores/csms.ts'
import { createS3, type S3 } from '../../sandbox/stores/s3.ts'
import { createSecretsManager, type SecretsManager } from '../../sandbox/stores/secretsmanager.ts'
import {
  AWS_KEY,
  AWS_SECRET,
  AWS_TOKEN,
  awsKeys,
  HUAWEI_KEY,
  HUAWEI_SECRET,
  huaweiKeys,
  PROJECT,
  REGION,
} from '../stores/cloud.ts'
import { changed, drivers, sample } from './sample.ts'

let faults: Faults
let s3: S3
let secretsManager: SecretsManager
let csms: Csms
let folder: string
let env: Record<string, string>

beforeEach(async () => {
  faults = createFaults()
  s3 = await createS3({ faults, keys: awsKeys, bucket: 'config' })
  secretsManager = await createSecretsManager({ faults, keys: awsKeys })
  csms = await createCsms({ faults, keys: huaweiKeys, projectId: PROJECT })
  folder = await mkdtemp(join(tmpdir(), 'remote-'))
  env = {
    AK: 'access-key',
    SK: 'secret-key',
    AWS_ACCESS_KEY_ID: AWS_KEY,
    AWS_SECRET_ACCESS_KEY: AWS_SECRET,
    AWS_SESSION_TOKEN: AWS_TOKEN,
    AWS_REGION: REGION,
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secretsManager.url,
    HUAWEICLOUD_SDK_AK: HUAWEI_KEY,
    HUAWEICLOUD_SDK_SK: HUAWEI_SECRET,
    HUAWEICLOUD_SDK_REGION: 'cn-north-4',
    HUAWEICLOUD_SDK_REGION_CSMS_CN_NORTH_4: csms.url,
    RUNTIME_PROJECT_ID: PROJECT,
  }
})
afterEach(async () => {
  await Promise.all([s3.dispose(), secretsManager.dispose(), csms.dispose()])
  await rm(folder, { recursive: true, force: true })
})

const put = {
  s3: (key: string, body: string) => s3.objects.set(key, { body, etag: '"x"', metadata: {} }),
  awssm: (name: string, text: string) =>
    secretsManager.secrets.set(name, {
      name,
      versions: new Map([['a', text]]),
      labels: new Map([['AWSCURRENT', 'a']]),
      deletedIn: null,
    }),
  csms: (name: string, text: string) =>
    csms.secrets.set(name, {
      name,
      versions: new Map([[1, text]]),
      made: 1,
      stages: new Map([['SYSCURRENT', 1]]),
      scheduledForDeletion: false,
    }),
}

const remote = remoteOf({ env: {}, folder: '.' }, systemClock)
const load = (from: string | object) =>
  loadSettings(typeof from === 'string' ? from : JSON.stringify(from), drivers, { env, folder, remote })
const failure = (work: Promise<unknown>): Promise<RotationError> =>
  work.then(
    () => expect.unreachable('it succeeded'),
    error => error as RotationError,
  )

describe('settings as a whole', () => {
  test.each([
    ['s3://config/iotda/cert.json', () => put.s3('iotda/cert.json', JSON.stringify(sample()))],
    ['csms:iotda-cert', () => put.csms('iotda-cert', JSON.stringify(sample()))],
    ['awssm:iotda/cert', () => put.awssm('iotda/cert', JSON.stringify(sample()))],
  ])('from %s', async (from, prepare) => {
    prepare()
    const settings = await load(from)
    expect(settings.targets.map(target => target.name)).toEqual(['factory-1'])
    // Relative paths mean the working directory: there is no folder of a settings file.
    expect(settings.store.settings).toEqual({ path: join(folder, 'state') })
  })

  test('from what IOTDA_CERT_CONFIG says', async () => {
    put.s3('a.json', JSON.stringify(sample()))
    env.IOTDA_CERT_CONFIG = 's3://config/a.json'
    expect((await loadSettings(null, drivers, { env, folder, remote })).targets).toHaveLength(1)
  })

  test('with mistakes are named by where they are', async () => {
    put.csms('iotda-cert', JSON.stringify(changed(raw => Object.assign(raw, { version: 2 }))))
    const error = await failure(load('csms:iotda-cert'))
    expect(error.message).toBe('the settings csms:iotda-cert has a mistake:\n  version: must be 1')
  })

  test.each([
    [
      's3://config/none.json',
      /^s3:\/\/config\/none\.json has a mistake:\n.*GetObject answered HTTP 404 NoSuchKey/,
    ],
    ['s3://elsewhere/a.json', /NoSuchBucket.*Create the bucket/],
    ['s3://config', /a reference must be s3:\/\/bucket\/key/],
    ['csms:none', /csms:none: there is no such secret in this region and project/],
    ['awssm:none', /GetSecretValue answered HTTP 400 ResourceNotFoundException/],
  ])('%s is not there', async (from, message) => {
    const error = await failure(load(from))
    expect(error).toMatchObject({ code: 'settings-invalid', retry: 'never' })
    expect(error.message).toMatch(message)
  })
})

describe('secret references', () => {
  const withKeys = (accessKey: string, secretKey = 'env:SK') =>
    changed(raw => Object.assign(raw.credentials.cn, { accessKey, secretKey }))

  test.each(['awssm', 'csms'] as const)('%s: gives the text of the secret', async scheme => {
    put[scheme]('prod-ak', 'the value\n')
    const { credentials } = await load(withKeys(`${scheme}:prod-ak`))
    expect(credentials.cn?.accessKey.reveal()).toBe('the value')
    expect(JSON.stringify(credentials)).not.toContain('the value')
  })

  test('a secret that is named several times is read once', async () => {
    put.awssm('both', 'x')
    await load(withKeys('awssm:both', 'awssm:both'))
    expect(faults.calls.map(call => call.operation)).toEqual(['secretsmanager.GetSecretValue'])
  })

  test('an ARN says its region, and the whole of it is asked for: the secret may be of another account', async () => {
    delete env.AWS_REGION
    const arn = `arn:aws:secretsmanager:${REGION}:123456789012:secret:prod-AbCdEf`
    put.awssm(arn, 'x')
    expect((await load(withKeys(`awssm:${arn}`))).credentials.cn?.accessKey.reveal()).toBe('x')
    expect(JSON.parse(faults.calls[0]?.body ?? '')).toMatchObject({ SecretId: arn })
  })

  test('every mistake is named by its path, all at once', async () => {
    put.csms('gone', 'x').get('gone')
    csms.switches.denied = ['csms:secret:getVersion']
    const error = await failure(load(withKeys('awssm:none', 'csms:gone')))
    expect(error.code).toBe('settings-invalid')
    const [, first, second, ...others] = error.message.split('\n')
    expect(first).toMatch(
      /^ {2}credentials\.cn\.accessKey: awssm:none: GetSecretValue .*ResourceNotFoundException/,
    )
    expect(second).toMatch(
      /^ {2}credentials\.cn\.secretKey: csms:gone: .*Grant the IAM action csms:secret:getVersion/,
    )
    expect(others).toEqual([])
  })

  test('an empty or binary secret is a mistake', async () => {
    put.awssm('empty', ' \n')
    expect((await failure(load(withKeys('awssm:empty')))).message).toContain(
      'accessKey: awssm:empty is empty',
    )
    const body = JSON.stringify({ version: { version_metadata: { id: 'v1' }, secret_binary: 'AAAA' } })
    faults.add({ operations: ['csms.ShowSecretVersion'], status: 200, body })
    expect((await failure(load(withKeys('csms:binary')))).message).toContain('the secret is binary or empty')
  })

  test.each([
    [
      'awssm:x',
      ['AWS_ACCESS_KEY_ID'],
      'environment variable AWS_ACCESS_KEY_ID is not set, which awssm: needs',
    ],
    [
      'awssm:x',
      ['AWS_REGION', 'AWS_SECRET_ACCESS_KEY'],
      'environment variable AWS_REGION or AWS_DEFAULT_REGION, AWS_SECRET_ACCESS_KEY are not set, which awssm: needs',
    ],
    [
      'csms:x',
      ['HUAWEICLOUD_SDK_REGION', 'RUNTIME_PROJECT_ID', 'HUAWEICLOUD_SDK_SK'],
      'environment variable HUAWEICLOUD_SDK_REGION, HUAWEICLOUD_SDK_PROJECT_ID or RUNTIME_PROJECT_ID, HUAWEICLOUD_SDK_SK are not set, which csms: needs',
    ],
  ])('%s without %j', async (reference, names, message) => {
    for (const name of names) delete env[name]
    const error = await failure(load(withKeys(reference)))
    expect(error.message).toContain(`\n  credentials.cn.accessKey: ${message}`)
    expect(faults.calls).toEqual([])
  })

  test('keys are sent to no address without TLS', async () => {
    env.AWS_ENDPOINT_URL_SECRETS_MANAGER = 'http://secrets.example.com'
    const error = await failure(load(withKeys('awssm:x')))
    expect(error.message).toContain('AWS_ENDPOINT_URL_SECRETS_MANAGER must be an https URL')
  })

  test('a service that fails is no mistake in the settings, and may be asked again later', async () => {
    put.awssm('prod', 'x')
    faults.add({ operations: ['secretsmanager.*'], status: 503, times: 9 })
    const error = await failure(load(withKeys('awssm:prod')))
    expect(error).toMatchObject({ code: 'unavailable', retry: 'later' })
    expect(error.message).toMatch(/^credentials\.cn\.accessKey: awssm:prod: GetSecretValue answered HTTP 503/)
  })

  test('for the store, and its keys by default from the environment', async () => {
    put.awssm('seal', 'A'.repeat(43))
    const raw = changed(it =>
      Object.assign(it, { store: { type: 's3', bucket: 'state', sealKey: 'awssm:seal' } }),
    )
    const { store } = await load(raw)
    expect(store.sealKey?.reveal()).toBe('A'.repeat(43))
    expect(store.sealKeyPrevious).toBeNull()
    const { accessKeyId, sessionToken, region } = store.settings as Record<string, never>
    expect([(accessKeyId as unknown as { reveal(): string }).reveal(), region]).toEqual([AWS_KEY, REGION])
    expect(sessionToken).not.toBeNull()
    delete env.AWS_SESSION_TOKEN
    delete env.AWS_ACCESS_KEY_ID
    const other = await failure(
      load(changed(it => Object.assign(it, { store: { type: 's3', bucket: 'state' } }))),
    )
    expect(other.message).toContain('store.accessKeyId: environment variable AWS_ACCESS_KEY_ID is not set')
    expect(other.message).not.toContain('sessionToken')
  })

  test('the csms store names an entry of credentials', async () => {
    const store = { type: 'csms', credentials: 'eu', region: 'cn-north-4', projectId: PROJECT }
    const error = await failure(load(changed(raw => Object.assign(raw, { store }))))
    expect(error.message).toContain('store.credentials: there is no "eu" in credentials (there: cn)')
  })
})
