/** Whole rotations on the remote stores, what they leave there, and a seal key that is changed. */
import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { run } from '../../lib/app/run.ts'
import { silentLog } from '../../lib/base/log.ts'
import { secret } from '../../lib/base/secret.ts'
import { HOUR_MS, MINUTE_MS, systemClock } from '../../lib/base/time.ts'
import type { RunEvent } from '../../lib/model/outcomes.ts'
import { openRecords } from '../../lib/state/state.ts'
import s3Store from '../../lib/stores/s3.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { createCsms } from '../../sandbox/stores/csms.ts'
import { createS3 } from '../../sandbox/stores/s3.ts'
import { createSecretsManager } from '../../sandbox/stores/secretsmanager.ts'
import {
  AWS_KEY,
  AWS_SECRET,
  AWS_TOKEN,
  awsKeys,
  awsSettings,
  contextWith,
  PROJECT,
  REGION,
} from '../stores/cloud.ts'
import { fakeClock } from '../support/clock.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { runEvent } from '../support/run-event.ts'

const disposals: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose()
})

const newKey = () => randomBytes(32).toString('base64')
const awsStore = {
  region: REGION,
  accessKeyId: AWS_KEY,
  secretAccessKey: AWS_SECRET,
  sessionToken: AWS_TOKEN,
}

interface Place {
  readonly store: object
  /** All texts that ever stood there and still do. */
  texts(): readonly string[]
}

interface World {
  readonly rig: Rig
  readonly faults: Faults
  readonly now: () => number
}

const places: Readonly<Record<string, (world: World) => Promise<Place>>> = {
  s3: async ({ faults, now }) => {
    const service = await createS3({ faults, now, keys: awsKeys, bucket: 'state' })
    disposals.push(service.dispose)
    return {
      store: { type: 's3', bucket: 'state', endpoint: service.url, ...awsStore },
      texts: () => [...service.objects.values()].map(object => object.body),
    }
  },
  secretsmanager: async ({ faults, now }) => {
    const service = await createSecretsManager({ faults, now, keys: awsKeys })
    disposals.push(service.dispose)
    return {
      store: { type: 'secretsmanager', endpoint: service.url, ...awsStore },
      texts: () => [...service.secrets.values()].flatMap(it => [...it.versions.values()]),
    }
  },
  csms: async ({ rig, faults, now }) => {
    const { accessKey, secretKey } = rig.sandbox.keys
    const service = await createCsms({
      faults,
      now,
      keys: new Map([[accessKey, { secretKey }]]),
      projectId: PROJECT,
    })
    disposals.push(service.dispose)
    return {
      store: {
        type: 'csms',
        credentials: 'cn',
        region: 'cn-north-4',
        projectId: PROJECT,
        endpoint: service.url,
      },
      texts: () => [...service.secrets.values()].flatMap(it => [...it.versions.values()]),
    }
  },
}

/** A clock that a test moves: what was bound within the last hour is in no slot that may be freed. */
const startAt = async (type: string) => {
  const clock = fakeClock()
  const { now } = clock
  const rig = await createRig({ now })
  disposals.push(rig.dispose)
  await fillSlots(rig.sandbox)
  const { faults } = rig.sandbox
  const place = await places[type]?.({ rig, faults, now })
  if (!place) throw new Error(`there is no ${type}`)
  const result = (event: Partial<RunEvent> = {}) => {
    clock.advance(2 * HOUR_MS)
    return rig.result(event, { clock })
  }
  return { rig, faults, clock, place, result }
}

test.each(Object.keys(places))('a rotation with its state in %s', async type => {
  const { rig, place, result } = await startAt(type)
  const sealKey = newKey()
  await rig.configure(settings => Object.assign(settings, { store: { ...place.store, sealKey } }))

  expect(await result()).toMatchObject({ outcome: 'rotated', error: null })
  expect(await result()).toMatchObject({ outcome: 'idle' })
  expect(await result({ force: true })).toMatchObject({ outcome: 'rotated', error: null })

  const texts = place.texts()
  expect(texts.length).toBeGreaterThan(4)
  const { accessKey, secretKey } = rig.sandbox.keys
  for (const text of texts) {
    expect(text).not.toMatch(/PRIVATE KEY|"d":|BEGIN EC/)
    for (const value of [sealKey, AWS_KEY, AWS_SECRET, AWS_TOKEN, accessKey, secretKey])
      expect(text).not.toContain(value)
  }
  // The account's key is there, sealed; the certificate's is wiped.
  expect(texts.filter(text => /(^|\n)v1\.[0-9a-f]{8}\./.test(text)).length).toBeGreaterThan(0)
  expect(JSON.stringify(rig.logged)).not.toMatch(/PRIVATE KEY/)
})

test('without a seal key nothing is written', async () => {
  const { rig, place, result } = await startAt('s3')
  await rig.configure(settings => Object.assign(settings, { store: place.store }))
  const error = await result().catch(thrown => thrown)
  expect(error).toMatchObject({ code: 'settings-invalid' })
  expect(error).toHaveProperty('message', expect.stringMatching(/store\.sealKey: is missing: .*openssl rand/))
  expect(place.texts()).toEqual([])
})

test('a store that ignores conditions rotates nothing', async () => {
  const { rig, faults, clock, place, result } = await startAt('s3')
  const lenient = await createS3({
    faults,
    now: clock.now,
    keys: awsKeys,
    bucket: 'state',
    switches: { ignoreConditions: true },
  })
  disposals.push(lenient.dispose)
  const store = { ...place.store, endpoint: lenient.url, sealKey: newKey() }
  await rig.configure(settings => Object.assign(settings, { store }))
  expect(await result()).toMatchObject({ outcome: 'failed', error: { code: 'store-conflict' } })
  const changes = faults.calls.filter(c => /iotda\.(Create|Update|Delete)|acme\.NewOrder/.test(c.operation))
  expect(changes).toEqual([])
})

test('a seal key is changed: the old one opens what it sealed, the new one seals it again', async () => {
  const { rig, place, result } = await startAt('s3')
  const [first, second] = [newKey(), newKey()]
  const withKeys = (keys: object) =>
    rig.configure(settings => Object.assign(settings, { store: { ...place.store, ...keys } }))
  const sealed = () => place.texts().filter(text => /\nv1\.[0-9a-f]{8}\./.test(text))

  await withKeys({ sealKey: first })
  expect((await result()).outcome).toBe('rotated')
  const [before] = sealed()
  await withKeys({ sealKey: second })
  expect(await result({ force: true })).toMatchObject({ error: { code: 'store-unreadable' } })
  expect(sealed()).toEqual([before])
  await withKeys({ sealKey: second, sealKeyPrevious: first })
  expect(await result({ action: 'resume' })).toMatchObject({ error: null })
  expect(await result({ force: true })).toMatchObject({ outcome: 'rotated', error: null })
  expect(sealed()).not.toContain(before)
  await withKeys({ sealKey: second })
  expect(await result({ force: true })).toMatchObject({ outcome: 'rotated', error: null })
})

test('two that open the same sealed secret at once both get it, and it is sealed anew', async () => {
  const service = await createS3({ faults: createFaults(), keys: awsKeys, bucket: 'state' })
  const { context, close } = contextWith(systemClock)
  disposals.push(service.dispose, close)
  const settings = { ...awsSettings(service.url), bucket: 'state', prefix: '' }
  const [first, second] = [secret(newKey()), secret(newKey())]
  const open = (sealKey: typeof first, previous: typeof first | null = null) =>
    openRecords(s3Store.create(settings, context), async () => sealKey, previous)
  await open(first)
    .source('le')
    .secret('account', async () => 'the account key')
  const never = () => Promise.reject(new Error('it is there'))
  const two = [open(second, first), open(second, first)].map(records =>
    records.source('le').secret('account', never),
  )
  expect((await Promise.all(two)).map(it => it.reveal())).toEqual(['the account key', 'the account key'])
  expect((await open(second).source('le').secret('account', never)).reveal()).toBe('the account key')
  await expect(open(first).source('le').secret('account', never)).rejects.toMatchObject({
    code: 'store-unreadable',
  })
})

test('settings and secrets from the cloud drive a run', async () => {
  const { rig, faults, clock, place } = await startAt('s3')
  const { now } = clock
  const config = await createS3({ faults, now, keys: awsKeys, bucket: 'config' })
  const secrets = await createSecretsManager({ faults, now, keys: awsKeys })
  disposals.push(config.dispose, secrets.dispose)
  const name = 'seal'
  secrets.secrets.set(name, {
    name,
    versions: new Map([['a', newKey()]]),
    labels: new Map([['AWSCURRENT', 'a']]),
    deletedIn: null,
  })
  const settings = rig.sandbox.settings(it =>
    Object.assign(it, { store: { ...place.store, sealKey: `awssm:${name}` } }),
  )
  config.objects.set('iotda-cert.json', { body: JSON.stringify(settings), etag: '"x"', metadata: {} })
  const answer = await run({
    config: 's3://config/iotda-cert.json',
    event: runEvent(),
    trigger: 'schedule',
    deadline: now() + 10 * MINUTE_MS,
    clock,
    log: silentLog,
    surroundings: {
      folder: rig.folder,
      env: {
        AWS_ACCESS_KEY_ID: AWS_KEY,
        AWS_SECRET_ACCESS_KEY: AWS_SECRET,
        AWS_SESSION_TOKEN: AWS_TOKEN,
        AWS_REGION: REGION,
        AWS_ENDPOINT_URL_S3: config.url,
        AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.url,
      },
    },
  })
  expect(answer).toMatchObject({ ok: true, results: [{ outcome: 'rotated' }] })
})
