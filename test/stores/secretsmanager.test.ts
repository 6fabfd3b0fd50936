import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import type { StateStore } from '../../lib/contracts.ts'
import secretsmanager from '../../lib/stores/secretsmanager.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import {
  createSecretsManager,
  type SecretsManager,
  type SecretsManagerSwitches,
} from '../../sandbox/stores/secretsmanager.ts'
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
  storeRig,
} from './cloud.ts'

const start = async (switches: Partial<SecretsManagerSwitches> = {}) => {
  const faults = createFaults()
  const service = await createSecretsManager({ faults, keys: awsKeys, switches })
  const settings = { ...awsSettings(service.url), prefix: 'iotda-cert/' }
  return { faults, ...storeRig(secretsmanager, service, settings) }
}

// The races write one document some hundred times within a day, which the real service does not allow.
storeContract(
  'secretsmanager',
  async () => {
    const { open, settings, dispose } = await start({ versionsAtMost: Number.POSITIVE_INFINITY })
    return { open: () => open(), settings: forChild(settings), dispose }
  },
  'lib/stores/secretsmanager.ts',
  { bytesAtMost: 65_536 },
)

let rig: Awaited<ReturnType<typeof start>>
let store: StateStore
let faults: Faults
let service: SecretsManager
beforeEach(async () => {
  rig = await start()
  ;({ faults, service } = rig)
  store = await rig.open()
})
afterEach(() => rig.dispose())

const NAME = 'iotda-cert/targets/t'
const secretThere = () => service.secrets.get(NAME) ?? expect.unreachable('it was written')

const hintOf = (operation: string) =>
  new RegExp(`^Allow secretsmanager:${operation} on ${NAME} to the owner of the access key\\.$`)
cloudScenarios(() => rig, /^secretsmanager store: \w+ answered HTTP 400 AccessDeniedException/, [
  ['secretsmanager:GetSecretValue', 'read', hintOf('GetSecretValue')],
  ['secretsmanager:CreateSecret', 'write', hintOf('CreateSecret')],
  ['secretsmanager:DeleteSecret', 'remove', hintOf('DeleteSecret')],
])

test('the move of the label alone tells two apart that look at the same moment', async () => {
  const first = await store.write('raced', 'one', null)
  service.switches.ignoreConditions = true
  const blind = await Promise.allSettled(['a', 'b'].map(body => store.write('raced', body, first)))
  expect(blind.map(result => result.status)).toEqual(['fulfilled', 'fulfilled'])
  service.switches.ignoreConditions = false
  const second = (await store.read('raced'))?.revision ?? null
  const two = await Promise.allSettled(['a', 'b'].map(body => store.write('raced', body, second)))
  expect(two.map(result => result.status).sort()).toEqual(['fulfilled', 'rejected'])
})

describe('an answer that got lost', () => {
  const losses = [
    ['dropped', { drop: 'after' }],
    ['replaced by a 500', { status: 500, body: '{"__type":"InternalServiceError"}', after: true }],
    ['replaced by a 400', { status: 400, body: '{"__type":"ThrottlingException"}', after: true }],
  ] as const
  const operations = ['CreateSecret', 'PutSecretValue', 'UpdateSecretVersionStage'] as const
  const cases = operations.flatMap(operation =>
    losses.map(([how, fault]) => [operation, how, fault] as const),
  )

  test.each(cases)('of %s, %s, makes no second version', async (operation, _, fault) => {
    const first = operation === 'CreateSecret' ? null : await store.write('targets/t', 'one', null)
    faults.add({ operations: [`secretsmanager.${operation}`], ...fault })
    const second = await store.write('targets/t', 'two', first)
    expect(await store.read('targets/t')).toEqual({ body: 'two', revision: second })
    expect([...secretThere().versions.values()]).toEqual(first === null ? ['two'] : ['one', 'two'])
  })

  test.each(operations)('of %s, before it took effect: it is sent again', async operation => {
    const first = operation === 'CreateSecret' ? null : await store.write('targets/t', 'one', null)
    faults.add({ operations: [`secretsmanager.${operation}`], drop: 'before', times: 2 })
    const second = await store.write('targets/t', 'two', first)
    expect(await store.read('targets/t')).toEqual({ body: 'two', revision: second })
  })

  test('of the move, while another writer wrote: a conflict, and theirs stays', async () => {
    const first = await store.write('targets/t', 'one', null)
    const secretNow = secretThere()
    faults.add({ operations: ['secretsmanager.UpdateSecretVersionStage'], drop: 'before' })
    faults.onCall(call => {
      if (call.operation !== 'secretsmanager.UpdateSecretVersionStage') return
      secretNow.versions.set('theirs', 'their text')
      secretNow.labels.set('AWSCURRENT', 'theirs')
    })
    await expect(store.write('targets/t', 'two', first)).rejects.toMatchObject({ code: 'store-conflict' })
    expect(await store.read('targets/t')).toEqual({ body: 'their text', revision: 'theirs' })
  })

  test('for good: it says that nobody knows', async () => {
    faults.add({ operations: ['secretsmanager.CreateSecret'], drop: 'before', times: 99 })
    const error = await failureOf(store.write('targets/t', 'one', null))
    expect(error).toMatchObject({ code: 'unavailable', retry: 'later' })
    expect(error.message).toMatch(
      /^secretsmanager store: CreateSecret got no answer: .*unknown whether it took effect$/,
    )
  })
})

test('a write that is too late makes no version', async () => {
  const first = await store.write('targets/t', 'one', null)
  await store.write('targets/t', 'two', first)
  await expect(store.write('targets/t', 'late', first)).rejects.toMatchObject({ code: 'store-conflict' })
  expect(secretThere().versions.size).toBe(2)
})

test('a secret that is removed while it is written is a conflict, and is not made again', async () => {
  const first = await store.write('targets/t', 'one', null)
  faults.onCall(call => {
    if (call.operation === 'secretsmanager.UpdateSecretVersionStage') service.secrets.delete(NAME)
  })
  await expect(store.write('targets/t', 'two', first)).rejects.toMatchObject({ code: 'store-conflict' })
  expect(service.secrets.size).toBe(0)
})

describe('versions', () => {
  test('that are too many for one day are an error that says so, and the document stays', async () => {
    let revision = await store.write('targets/t', '0', null)
    for (let n = 1; n < 100; n += 1) revision = await store.write('targets/t', `${n}`, revision)
    const error = await failureOf(store.write('targets/t', '100', revision))
    expect(error).toMatchObject({
      code: 'service-refused',
      hint: expect.stringContaining('24 hours, and about 100 at most'),
    })
    expect(error.message).toContain(`LimitExceededException`)
    expect(error.message).toContain(NAME)
    expect(await store.read('targets/t')).toEqual({ body: '99', revision })
  })
})

describe('a secret that is being deleted', () => {
  test('after a removal is waited for', async () => {
    service.switches.slowDeletes = 2
    await store.write('targets/t', 'one', null)
    await store.remove('targets/t')
    const revision = await store.write('targets/t', 'two', null)
    expect(await store.read('targets/t')).toEqual({ body: 'two', revision })
  })

  test('by a person’s wish is neither absent nor written over', async () => {
    await store.write('targets/t', 'one', null)
    secretThere().deletedIn = Number.POSITIVE_INFINITY
    // One after the other: a second that fails first would be nobody's.
    for (const work of [() => store.read('targets/t'), () => store.write('targets/t', 'two', null)])
      await expect(work()).rejects.toMatchObject({
        code: 'store-unreadable',
        message: `secretsmanager store: the secret ${NAME} is marked for deletion`,
        hint: expect.stringContaining('RestoreSecret'),
      })
    expect([...secretThere().versions.values()]).toEqual(['one'])
  })
})

describe('a document that is damaged', () => {
  test('without a current version is an error, not absent', async () => {
    await store.write('targets/t', 'one', null)
    secretThere().labels.delete('AWSCURRENT')
    // One after the other: a second that fails first would be nobody's.
    for (const work of [() => store.read('targets/t'), () => store.write('targets/t', 'two', null)])
      await expect(work()).rejects.toMatchObject({
        code: 'store-unreadable',
        message: `secretsmanager store: the secret ${NAME} holds no text`,
      })
  })

  test('on the way is read again', async () => {
    await store.write('targets/t', 'one', null)
    faults.add({ operations: ['secretsmanager.GetSecretValue'], cut: 20 })
    expect((await store.read('targets/t'))?.body).toBe('one')
    faults.add({ operations: ['secretsmanager.GetSecretValue'], status: 200, body: '<html>' })
    await expect(store.read('targets/t')).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('errors', () => {
  test.each([
    ['another secret key', { secretAccessKey: secret('wrong') }, 'InvalidSignatureException'],
    ['an unknown key', { accessKeyId: secret('AKIAUNKNOWN') }, 'UnrecognizedClientException'],
    ['another region', { region: 'us-east-1' }, 'InvalidSignatureException'],
  ])('%s', async (_, change, code) => {
    const error = await failureOf((await rig.open(change)).read('targets/t'))
    expect(error).toMatchObject({ code: 'unauthorized', retry: 'never' })
    expect(error.message).toContain(code)
    for (const text of [AWS_KEY, AWS_SECRET, AWS_TOKEN]) expect(error.message).not.toContain(text)
  })
})

test('settings', () => {
  const parse = (settings: object) => v.safeParse(secretsmanager.settings, settings)
  expect(parse({}).output).toMatchObject({
    prefix: 'iotda-cert-state/',
    accessKeyId: { value: 'AWS_ACCESS_KEY_ID' },
  })
  expect(parse({ prefix: 'a b' }).success).toBe(false)
  expect(parse({ bucket: 'a' }).success).toBe(false)
})
