import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { StateStore } from '../../lib/contracts.ts'
import csms from '../../lib/stores/csms.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { type Csms, type CsmsSwitches, createCsms } from '../../sandbox/stores/csms.ts'
import { storeContract } from '../contract/store.ts'
import { failureOf } from '../support/failure.ts'
import { cloudScenarios, HUAWEI_KEY, HUAWEI_SECRET, huaweiKeys, PROJECT, storeRig } from './cloud.ts'

const start = async (switches: Partial<CsmsSwitches> = {}) => {
  const faults = createFaults()
  const service = await createCsms({ faults, keys: huaweiKeys, projectId: PROJECT, switches })
  const settings = {
    credentials: 'cn',
    region: 'cn-north-4',
    projectId: PROJECT,
    endpoint: service.url,
    prefix: 'iotda-cert_',
    caCertificates: null,
  }
  return { faults, ...storeRig(csms, service, settings) }
}

const harness =
  (switches: Partial<CsmsSwitches> = {}) =>
  async () => {
    const { open, settings, dispose } = await start(switches)
    const keys = {
      accessKey: { secret: HUAWEI_KEY },
      secretKey: { secret: HUAWEI_SECRET },
      securityToken: null,
    }
    return { open: () => open(), settings, huaweiKeys: keys, dispose }
  }
const limits = { bytesAtMost: 32_768, singleWriter: 'CSMS has no conditional write' }

storeContract('csms', harness(), 'lib/stores/csms.ts', limits)
storeContract('csms that answers 404 for what is absent', harness({ absentStatus: 404 }), undefined, limits)

let rig: Awaited<ReturnType<typeof start>>
let store: StateStore
let faults: Faults
let service: Csms
beforeEach(async () => {
  rig = await start()
  ;({ faults, service } = rig)
  store = await rig.open()
})
afterEach(() => rig.dispose())

const NAME = 'iotda-cert_targets_t'
const secretThere = () => service.secrets.get(NAME) ?? expect.unreachable('it was written')
const textsThere = () => [...secretThere().versions.values()].map(text => text.split('\n')[1])

cloudScenarios(() => rig, /^csms store: \w+ answered HTTP 403/, [
  ['csms:secret:getVersion', 'read', /csms:secret:getVersion/],
  ['csms:secret:create', 'write', /csms:secret:create/],
  ['csms:secret:delete', 'remove', /csms:secret:delete/],
])

describe('a second writer at the same moment', () => {
  /** Puts a version of somebody else between our look and our write. */
  const intrude = (operation: string) => {
    let done = false
    faults.onCall(call => {
      if (done || call.operation !== operation) return
      done = true
      const secret = secretThere()
      secret.made += 1
      secret.versions.set(secret.made, 'theirs\ntheirs')
      secret.stages.set('SYSPREVIOUS', secret.stages.get('SYSCURRENT') ?? 0)
      secret.stages.set('SYSCURRENT', secret.made)
    })
  }

  test('is noticed after the fact, and both versions are there', async () => {
    const first = await store.write('targets/t', 'one', null)
    intrude('csms.CreateSecretVersion')
    const error = await failureOf(store.write('targets/t', 'two', first))
    expect(error).toMatchObject({ code: 'store-conflict', hint: expect.stringContaining('max_instance_num') })
    expect(error.message).toBe('csms store: another writer wrote targets/t at the same moment')
    expect(textsThere()).toEqual(['one', 'theirs', 'two'])
  })

  test('numbers with a gap alone are no second writer', async () => {
    const first = await store.write('targets/t', 'one', null)
    secretThere().made += 1
    const second = await store.write('targets/t', 'two', first)
    expect(await store.read('targets/t')).toEqual({ body: 'two', revision: second })
  })

  test('that creates the same secret is a conflict, and theirs stays', async () => {
    const other = await rig.open()
    let theirs = ''
    faults.add({ operations: ['csms.CreateSecret'], delayMs: 200 })
    const mine = store.write('targets/t', 'mine', null)
    while (!faults.calls.some(call => call.operation === 'csms.CreateSecret'))
      await new Promise(resolve => setTimeout(resolve, 5))
    theirs = await other.write('targets/t', 'theirs', null)
    await expect(mine).rejects.toMatchObject({ code: 'store-conflict' })
    expect(await store.read('targets/t')).toEqual({ body: 'theirs', revision: theirs })
  })
})

describe('an answer that got lost', () => {
  test.each(['CreateSecret', 'CreateSecretVersion'])(
    'of %s is known by the write’s own token',
    async name => {
      const first = name === 'CreateSecret' ? null : await store.write('targets/t', 'one', null)
      faults.add({ operations: [`csms.${name}`], drop: 'after' })
      const second = await store.write('targets/t', 'two', first)
      expect(await store.read('targets/t')).toEqual({ body: 'two', revision: second })
      expect(textsThere()).toEqual(first === null ? ['two'] : ['one', 'two'])
    },
  )

  test('before it took effect: it says that nobody knows, and does not send it again', async () => {
    const first = await store.write('targets/t', 'one', null)
    faults.add({ operations: ['csms.CreateSecretVersion'], drop: 'before' })
    await expect(store.write('targets/t', 'two', first)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/unknown whether it took effect$/),
    })
    const second = await store.write('targets/t', 'two', first)
    expect(await store.read('targets/t')).toEqual({ body: 'two', revision: second })
  })

  test('a service that wants fewer calls is asked again', async () => {
    const first = await store.write('targets/t', 'one', null)
    const body = '{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached."}'
    faults.add({ operations: ['csms.CreateSecretVersion'], status: 429, body, times: 2 })
    await store.write('targets/t', 'two', first)
    expect((await store.read('targets/t'))?.body).toBe('two')
  })
})

test('no more than 20 versions are kept, and none of them is needed', async () => {
  let revision: string | null = null
  for (let n = 0; n < 45; n += 1) revision = await store.write('targets/t', `${n}`, revision)
  expect(secretThere().versions.size).toBe(20)
  expect(await store.read('targets/t')).toEqual({ body: '44', revision })
})

describe('names', () => {
  test('a long key is cut and told apart by its hash', async () => {
    const long = `certificates/${'a'.repeat(60)}/`
    await store.write(`${long}one`, 'one', null)
    await store.write(`${long}two`, 'two', null)
    expect((await store.read(`${long}one`))?.body).toBe('one')
    const names = [...service.secrets.keys()]
    expect(names).toHaveLength(2)
    for (const name of names) expect(name).toMatch(/^iotda-cert_certificates_a+_[0-9a-f]{16}$/)
    expect(names.map(name => name.length)).toEqual([64, 64])
  })
})

describe('a secret that is scheduled for deletion', () => {
  const error = {
    code: 'store-unreadable',
    message: `csms store: secret ${NAME} is scheduled for deletion`,
    hint: expect.stringContaining('Cancel its deletion'),
  }
  test('is neither absent nor written over', async () => {
    const first = await store.write('targets/t', 'one', null)
    secretThere().scheduledForDeletion = true
    await expect(store.read('targets/t')).rejects.toMatchObject(error)
    await expect(store.write('targets/t', 'two', null)).rejects.toMatchObject(error)
    await expect(store.write('targets/t', 'two', first)).rejects.toMatchObject(error)
    expect(textsThere()).toEqual(['one'])
  })

  test('counts as removed', async () => {
    await store.write('targets/t', 'one', null)
    secretThere().scheduledForDeletion = true
    await store.remove('targets/t')
  })
})

describe('a document that is damaged', () => {
  test.each([
    ['cut', (text: string) => text.slice(0, -1), 'it was cut or changed'],
    ['changed', (text: string) => text.replace('one', 'two'), 'it was cut or changed'],
    ['replaced by a person', () => 'hello', 'it is no document of iotda-cert'],
  ])('%s, is an error and is not written over', async (_, change, why) => {
    const first = await store.write('targets/t', 'one', null)
    const { versions } = secretThere()
    versions.set(1, change(versions.get(1) ?? ''))
    const damaged = versions.get(1)
    const error = await failureOf(store.read('targets/t'))
    expect(error).toMatchObject({ code: 'store-unreadable', retry: 'never' })
    expect(error.message).toContain(`csms store: secret ${NAME} cannot be read: ${why}`)
    for (const expected of [null, first])
      await expect(store.write('targets/t', 'new', expected)).rejects.toMatchObject({
        code: 'store-unreadable',
      })
    expect([...versions.values()]).toEqual([damaged])
  })
})

test('an address of something else is no absent document', async () => {
  const body = '{"error_code":"APIGW.0101","error_msg":"The API does not exist."}'
  faults.add({ operations: ['csms.*'], status: 404, body })
  await expect(store.read('targets/t')).rejects.toMatchObject({ hint: expect.stringContaining('endpoint') })
})

test('settings', () => {
  const given = { credentials: 'cn', region: 'cn-north-4', projectId: PROJECT }
  const parse = (settings: object) => v.safeParse(csms.settings, settings)
  expect(parse(given).output).toEqual({
    ...given,
    endpoint: null,
    prefix: 'iotda-cert_',
    caCertificates: null,
  })
  expect(parse({ ...given, prefix: 'a.b' }).success).toBe(false)
  expect(parse({ ...given, prefix: 'a'.repeat(25) }).success).toBe(false)
  expect(parse({ ...given, region: undefined }).success).toBe(false)
})
