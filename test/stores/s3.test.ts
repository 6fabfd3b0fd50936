import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { objectUrl } from '../../lib/clouds/aws/s3.ts'
import type { StateStore } from '../../lib/contracts.ts'
import s3 from '../../lib/stores/s3.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { createS3, type S3, type S3Switches } from '../../sandbox/stores/s3.ts'
import { storeContract } from '../contract/store.ts'
import { failureOf } from '../support/failure.ts'
import {
  AWS_KEY,
  AWS_SECRET,
  AWS_TOKEN,
  awsKeys,
  awsSettings,
  cloudScenarios,
  forChild,
  leaseIsRefused,
  storeRig,
} from './cloud.ts'

const BUCKET = 'state.example'

const start = async (switches: Partial<S3Switches> = {}) => {
  const faults = createFaults()
  const service = await createS3({ faults, keys: awsKeys, bucket: BUCKET, switches })
  const settings = { ...awsSettings(service.url), bucket: BUCKET, prefix: 'iotda-cert/' }
  return { faults, ...storeRig(s3, service, settings) }
}

const harness =
  (switches: Partial<S3Switches> = {}) =>
  async () => {
    const { open, settings, dispose } = await start(switches)
    return { open: () => open(), settings: forChild(settings), dispose }
  }

storeContract('s3', harness(), 'lib/stores/s3.ts')
storeContract('s3 that answers every third write with 409', harness({ conflictEvery: 3 }))

let rig: Awaited<ReturnType<typeof start>>
let store: StateStore
let faults: Faults
let service: S3
beforeEach(async () => {
  rig = await start()
  ;({ faults, service } = rig)
  store = await rig.open()
})
afterEach(() => rig.dispose())

const PLACE = 'iotda-cert/targets/t'
const calls = () => faults.calls.map(call => call.operation)

cloudScenarios(
  () => rig,
  /^s3 store: \w+Object answered HTTP 403 AccessDenied(: Access Denied)? \(request \S+\)$/,
  [
    [
      's3:GetObject',
      'read',
      /^Allow s3:GetObject on state\.example\/iotda-cert\/targets\/t, and s3:ListBucket on/,
    ],
    ['s3:ListBucket', 'read', /s3:ListBucket on state\.example in case the object is not there yet/],
    ['s3:PutObject', 'write', /^Allow s3:PutObject on state\.example\/iotda-cert\/targets\/t /],
    ['s3:DeleteObject', 'remove', /^Allow s3:DeleteObject on state\.example\/iotda-cert\/targets\/t /],
  ],
)

test('a lease cannot be taken in a store that ignores the condition', async () => {
  service.switches.ignoreConditions = true
  await leaseIsRefused(store)
})

describe('an answer that got lost', () => {
  const losses = [
    ['dropped', { drop: 'after' }],
    ['replaced by a 500', { status: 500, body: 'oops', after: true }],
    [
      'replaced by a 503 SlowDown',
      { status: 503, body: '<Error><Code>SlowDown</Code></Error>', after: true },
    ],
    ['replaced by a 412, as a proxy that sends twice does', { status: 412, after: true }],
    ['replaced by a 409', { status: 409, after: true }],
  ] as const

  test.each(losses)('of a write, %s, is known by the write’s own token', async (_, fault) => {
    const first = await store.write('targets/t', 'one', null)
    faults.add({ operations: ['s3.PutObject'], ...fault })
    const second = await store.write('targets/t', 'two', first)
    expect(await store.read('targets/t')).toEqual({ body: 'two', revision: second })
    expect(calls().filter(call => call === 's3.PutObject')).toHaveLength(2)
  })

  test('of a first write, too', async () => {
    faults.add({ operations: ['s3.PutObject'], drop: 'after' })
    const revision = await store.write('targets/t', 'one', null)
    expect(await store.read('targets/t')).toEqual({ body: 'one', revision })
  })

  test('before it took effect: it is sent again', async () => {
    const first = await store.write('targets/t', 'one', null)
    faults.add({ operations: ['s3.PutObject'], drop: 'before', times: 2 })
    const second = await store.write('targets/t', 'two', first)
    expect(await store.read('targets/t')).toEqual({ body: 'two', revision: second })
  })

  test('while another writer wrote: a conflict, and theirs stays', async () => {
    const first = await store.write('targets/t', 'one', null)
    const other = await rig.open()
    faults.add({ operations: ['s3.PutObject'], drop: 'before' })
    faults.onCall(call => {
      // Theirs comes in between the lost call and the look at what is there.
      if (call.operation === 's3.GetObject' && service.objects.get(PLACE)?.body.endsWith('one'))
        service.objects.set(PLACE, theirs)
    })
    const shadow = await start()
    const theirFirst = await (await shadow.open()).write('targets/t', 'theirs', null)
    const theirs = shadow.service.objects.get(PLACE) ?? expect.unreachable('it was written')
    await shadow.dispose()
    await expect(store.write('targets/t', 'two', first)).rejects.toMatchObject({ code: 'store-conflict' })
    expect(await other.read('targets/t')).toEqual({ body: 'theirs', revision: theirFirst })
  })

  test('for good: it says that nobody knows', async () => {
    faults.add({ operations: ['s3.PutObject'], drop: 'before', times: 9 })
    await expect(store.write('targets/t', 'one', null)).rejects.toMatchObject({
      code: 'unavailable',
      retry: 'later',
      message: expect.stringMatching(/^s3 store: PutObject got no answer: .*unknown whether it took effect$/),
    })
    expect(service.objects.size).toBe(0)
  })

  test('of a read or a removal: it is sent again', async () => {
    await store.write('targets/t', 'one', null)
    faults.add({ operations: ['s3.GetObject'], drop: 'after', times: 2 })
    expect((await store.read('targets/t'))?.body).toBe('one')
    faults.add({ operations: ['s3.DeleteObject'], drop: 'after' })
    await store.remove('targets/t')
    expect(service.objects.size).toBe(0)
  })
})

describe('a document that is damaged', () => {
  const damage = (change: (body: string) => string) => {
    const object = service.objects.get(PLACE) ?? expect.unreachable('it was written')
    service.objects.set(PLACE, { ...object, body: change(object.body) })
  }

  test.each([
    ['cut in its text', (body: string) => body.slice(0, -3), 'it was cut or changed'],
    [
      'cut to its first line',
      (body: string) => body.slice(0, 40),
      'it is no document of iotda-cert, or its beginning is lost',
    ],
    ['empty', () => '', 'it is no document of iotda-cert, or its beginning is lost'],
    ['changed', (body: string) => body.replace('one', 'two'), 'it was cut or changed'],
    [
      'replaced by a person',
      () => '{"schema":1}\n',
      'it is no document of iotda-cert, or its beginning is lost',
    ],
    ['of a newer format', () => 'iotda-cert-state 2 something else\n{}', 'its format 2 is newer'],
  ])('%s, is an error and is not written over', async (_, change, why) => {
    await store.write('targets/t', 'one', null)
    damage(change)
    const damaged = service.objects.get(PLACE)
    const error = await failureOf(store.read('targets/t'))
    expect(error).toMatchObject({ code: 'store-unreadable', retry: 'never' })
    expect(error.message).toContain(`s3 store: ${BUCKET}/${PLACE} cannot be read: ${why}`)
    expect(error.hint).toContain('Nothing was changed')
    service.objects.set(PLACE, damaged as never)
    await expect(store.write('targets/t', 'new', null)).rejects.toMatchObject({ code: 'store-unreadable' })
    expect(service.objects.get(PLACE)).toBe(damaged)
  })

  test('on the way is read again', async () => {
    await store.write('targets/t', 'one', null)
    faults.add({ operations: ['s3.GetObject'], cut: 20 })
    expect((await store.read('targets/t'))?.body).toBe('one')
    faults.add({ operations: ['s3.GetObject'], cut: 20, times: 9 })
    await expect(store.read('targets/t')).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('errors', () => {
  test('a bucket that is not there', async () => {
    const other = await rig.open({ bucket: 'no-such' })
    const error = await failureOf(other.read('targets/t'))
    expect(error).toMatchObject({
      code: 'settings-invalid',
      hint: expect.stringContaining('Create the bucket'),
    })
    expect(error.message).toContain('NoSuchBucket')
    await expect(other.write('targets/t', 'x', null)).rejects.toMatchObject({ code: 'settings-invalid' })
  })

  test('another region is named', async () => {
    const other = await rig.open({ region: 'us-east-1' })
    await expect(other.read('targets/t')).rejects.toMatchObject({
      code: 'settings-invalid',
      hint: 'Set region to "eu-central-1" in the settings.',
    })
  })

  test('a redirect to another region is not followed, and names it', async () => {
    const headers = { 'x-amz-bucket-region': 'ap-south-1', location: 'https://elsewhere.example/' }
    faults.add({
      operations: ['s3.*'],
      status: 301,
      headers,
      body: '<Error><Code>PermanentRedirect</Code></Error>',
    })
    await expect(store.read('targets/t')).rejects.toMatchObject({
      code: 'settings-invalid',
      hint: 'Set region to "ap-south-1" in the settings.',
    })
  })

  test.each([
    ['another secret key', { secretAccessKey: secret('wrong') }, 'SignatureDoesNotMatch'],
    ['an unknown key', { accessKeyId: secret('AKIAUNKNOWN') }, 'InvalidAccessKeyId'],
    ['a missing session token', { sessionToken: null }, 'InvalidToken'],
  ])('%s', async (_, change, code) => {
    const error = await failureOf((await rig.open(change as never)).read('targets/t'))
    expect(error).toMatchObject({ code: 'unauthorized', retry: 'never' })
    expect(error.message).toContain(code)
    for (const secretText of ['wrong', 'AKIAUNKNOWN', AWS_KEY, AWS_SECRET, AWS_TOKEN])
      expect(`${error.message}${error.hint}`).not.toContain(secretText)
  })

  test('an address where nobody answers', async () => {
    await rig.service.dispose()
    await expect(store.write('targets/t', 'x', null)).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(/^s3 store: PutObject could not be sent/),
    })
  })

  test('a service that wants fewer calls is asked again, then it is said', async () => {
    const fault = { status: 503, body: '<Error><Code>SlowDown</Code><Message>Reduce.</Message></Error>' }
    faults.add({ operations: ['s3.GetObject'], ...fault, times: 2 })
    expect(await store.read('targets/t')).toBeNull()
    faults.add({ operations: ['s3.*'], ...fault, times: 99 })
    await expect(store.write('targets/t', 'x', null)).rejects.toMatchObject({
      code: 'throttled',
      retry: 'later',
    })
  })
})

describe('settings', () => {
  const parse = (settings: object) => v.safeParse(s3.settings, { bucket: 'state', ...settings })

  test('everything but the bucket has a default: what Lambda’s environment says', () => {
    const from = (value: string, isSecret: boolean, optional: boolean) => ({
      reference: true,
      scheme: 'env',
      value,
      secret: isSecret,
      optional,
    })
    expect(parse({}).output).toEqual({
      bucket: 'state',
      prefix: 'iotda-cert/',
      region: { ...from('AWS_REGION', false, false), or: ['AWS_DEFAULT_REGION'] },
      endpoint: { ...from('AWS_ENDPOINT_URL_S3', false, true), or: ['AWS_ENDPOINT_URL'], says: 'url' },
      accessKeyId: from('AWS_ACCESS_KEY_ID', true, false),
      secretAccessKey: from('AWS_SECRET_ACCESS_KEY', true, false),
      sessionToken: from('AWS_SESSION_TOKEN', true, true),
      caCertificates: { ...from('AWS_CA_BUNDLE', false, true), says: 'file' },
    })
  })

  test('a session token of the environment is not mixed with keys of the settings', () => {
    const { output } = parse({ accessKeyId: 'env:A', secretAccessKey: 'env:B' })
    expect(output).toMatchObject({ accessKeyId: { value: 'A' }, sessionToken: null })
  })

  test.each([
    [{ accessKeyId: 'env:A' }, /both accessKeyId and secretAccessKey/],
    [{ sessionToken: 'env:A' }, /sessionToken only with them/],
    [{ bucket: 'A_B' }, /name of a bucket/],
    [{ prefix: 'a//b' }, /single slashes/],
    [{ prefix: '/a' }, /single slashes/],
    [{ prefix: 'a+b/' }, /letters/],
    [{ region: 'EU central' }, /region such as/],
    [{ endpoint: 'http://s3.example.com' }, /https/],
    [{ pathStyle: true }, /never/],
  ])('%j is a mistake', (settings, message) => {
    expect(
      parse(settings)
        .issues?.map(issue => issue.message)
        .join(),
    ).toMatch(message)
  })

  test.each([
    [
      { bucket: 'state', region: 'eu-west-1', endpoint: null },
      'https://state.s3.eu-west-1.amazonaws.com/a/b',
    ],
    [
      { bucket: 'st.ate', region: 'eu-west-1', endpoint: null },
      'https://s3.eu-west-1.amazonaws.com/st.ate/a/b',
    ],
    [
      { bucket: 'state', region: 'cn-north-1', endpoint: null },
      'https://state.s3.cn-north-1.amazonaws.com.cn/a/b',
    ],
    [
      { bucket: 'state', region: 'auto', endpoint: 'https://minio.example/' },
      'https://minio.example/state/a/b',
    ],
  ])('%j is asked at its address', (bucket, url) => {
    expect(objectUrl(bucket, 'a/b')).toBe(url)
  })
})

test('an object says who wrote it, and no two writes leave the same bytes', async () => {
  const first = await store.write('targets/t', 'same', null)
  const { body, metadata } = service.objects.get(PLACE) ?? expect.unreachable('it was written')
  expect(metadata.writer).toContain(store.writer)
  expect(body.split('\n')[0]).toContain(metadata.writer)
  await store.write('targets/t', 'same', first)
  expect(service.objects.get(PLACE)?.body).not.toBe(body)
})
