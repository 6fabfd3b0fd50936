/** References to secrets of AWS: whole, and members of a JSON object, as the console's key/value pairs are. */
import { expect, test } from 'vitest'
import { readSecret } from '../../../lib/clouds/aws/secretsmanager.ts'
import { createHttp } from '../../../lib/http/client.ts'
import { awsPolicy } from '../../../lib/permissions/aws.ts'
import secretsmanager from '../../../lib/stores/secretsmanager.ts'
import { createFaults } from '../../../sandbox/kit/faults.ts'
import { createSecretsManager } from '../../../sandbox/stores/secretsmanager.ts'
import { awsKeys, awsSettings, quickClock, storeRig } from '../../stores/cloud.ts'
import { cleanups } from '../../support/cleanups.ts'

async function withSecret(text: string) {
  const faults = createFaults()
  const service = await createSecretsManager({ faults, keys: awsKeys })
  const rig = storeRig(secretsmanager, service, { ...awsSettings(service.url), prefix: '' })
  const http = createHttp()
  cleanups.push(rig.dispose, () => http.close())
  await (await rig.open()).write('one', text, null)
  const { region, endpoint, ...keys } = rig.settings
  const read = (name: string) => readSecret(name, { http, clock: quickClock, region, endpoint, keys })
  return { faults, read }
}

test('a member of a JSON object is named by NAME#KEY; the version asked for is AWSCURRENT', async () => {
  const { read, faults } = await withSecret('{"ak":"AK","n":1}')
  faults.clearCalls()
  expect(await read('one#ak')).toBe('AK')
  expect(await read('one')).toBe('{"ak":"AK","n":1}')
  expect(faults.calls.map(({ body }) => JSON.parse(body))).toEqual([
    { SecretId: 'one', VersionStage: 'AWSCURRENT' },
    { SecretId: 'one', VersionStage: 'AWSCURRENT' },
  ])
})

test.each([
  ['{"ak":"AK"}', 'one#sk', /no text named sk/],
  ['{"ak":1}', 'one#ak', /no text named ak/],
  ['{}', 'one#toString', /no text named toString/],
  ['plain', 'one#ak', /no JSON object/],
  ['["a"]', 'one#0', /no JSON object/],
])('%j by %s is a mistake that repeats nothing of the secret', async (text, name, message) => {
  const { read } = await withSecret(text)
  await expect(read(name)).rejects.toMatchObject({
    code: 'settings-invalid',
    message: expect.stringMatching(message),
  })
  await expect(read(name)).rejects.not.toThrow(/AK|plain/)
})

test('the policy names the secret, with region and account where they are known', async () => {
  const settings = { a: 'awssm:keys#ak', b: 'awssm:keys#sk', c: 'awssm:other' }
  const secretsOf = async (...where: string[]) =>
    (await awsPolicy(settings, null, ...where)).Statement.find(it => it.Sid === 'Secrets')?.Resource
  expect(await secretsOf('eu-west-1', '123456789012')).toEqual([
    'arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys-??????',
    'arn:aws:secretsmanager:eu-west-1:123456789012:secret:other-??????',
  ])
  expect((await secretsOf())?.[0]).toBe('arn:aws:secretsmanager:*:*:secret:keys-??????')
})
