import { inspect } from 'node:util'
import { expect, test, vi } from 'vitest'
import { type Quoting, quotationOf } from '../../sandbox/kit/quoting.ts'
import { fillSlots, type SandboxSettings } from '../../sandbox/sandbox.ts'
import { createCsms } from '../../sandbox/stores/csms.ts'
import { createS3 } from '../../sandbox/stores/s3.ts'
import { createSecretsManager } from '../../sandbox/stores/secretsmanager.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, PROJECT, REGION } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { fakeClock } from '../support/clock.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { stateFiles } from './bad-input.ts'
import { createSearch } from './secrets.ts'

/** Services and gateways that quote, in part and in another form, the field that they refuse. */

const { errors } = vi.hoisted(() => ({ errors: [] as Error[] }))
vi.mock('../../lib/base/rotation-error.ts', async importOriginal => {
  const original = await importOriginal<typeof import('../../lib/base/rotation-error.ts')>()
  class RotationError extends original.RotationError {
    constructor(...given: ConstructorParameters<typeof original.RotationError>) {
      super(...given)
      errors.push(this)
    }
  }
  return { ...original, RotationError }
})

const ALWAYS = Number.MAX_SAFE_INTEGER
const quotings = (field: string | null): readonly Quoting[] =>
  [40, 90, 200].flatMap(chars =>
    (['first', 'last'] as const).flatMap(end =>
      (['plain', 'base64', 'json'] as const).map(as => ({ field, chars, end, as })),
    ),
  )

/** Everything that a run left behind, since the last time. */
async function emitted(rig: Rig, answer: unknown): Promise<string> {
  const seen = [JSON.stringify(answer), ...rig.logged.splice(0)]
  for (const error of errors.splice(0)) seen.push(inspect(error, { depth: 10, showHidden: true }))
  for (const [path, text] of await stateFiles(rig)) if (path !== 'seal.key') seen.push(text)
  return seen.join('\n')
}

const PART = 16
/** Whether any part of the quotation is in the text, however it is escaped there. */
function repeats(text: string, quotation: string): boolean {
  const bare = (it: string): string => it.replaceAll(/\\+n|\s|\\/g, '')
  const [within, part] = [bare(text), bare(quotation).replaceAll(/-----[A-Z]+-----/g, '')]
  for (let at = 0; at + PART <= part.length; at += 1)
    if (within.includes(part.slice(at, at + PART))) return true
  return false
}

test.each([
  ['rsa-2048', 'pkcs1', 'private_key'],
  ['ec-256', 'pkcs8', 'private_key'],
  ['ec-256', 'encrypted-pkcs8', 'private_key_password'],
] as const)(
  'of an upload of %s as %s that is refused with a part of %s, nothing is told but status, code and id',
  async (keyType, keyEncoding, field) => {
    const clock = fakeClock()
    const rig = await createRig({ now: clock.now })
    cleanups.push(rig.dispose)
    const { spare } = await fillSlots(rig.sandbox, 5, keyType)
    rig.sandbox.iotda.deleteCertificate(spare)
    await rig.configure(settings => {
      settings.certificates.iot.keyType = keyType
      settings.targets[0].keyEncoding = keyEncoding
    })
    for (const quoting of quotings(field)) {
      const body = JSON.stringify({ error_code: 'IOTDA.014016', error_msg: `invalid ${field}: {quoted}` })
      rig.sandbox.faults.clearCalls()
      rig.sandbox.faults.add({
        ...{ operations: ['iotda.CreateServerCertificate'], times: ALWAYS },
        ...{ status: 400, body, quoting },
      })
      const answer = await rig.run({ force: true }, { clock })
      rig.sandbox.faults.clear()
      const text = await emitted(rig, answer)
      const call = rig.sandbox.faults.calls.find(it => it.operation === 'iotda.CreateServerCertificate')
      const sent = JSON.parse(call?.body ?? '{}') as Record<string, string>
      expect(answer.results[0]?.error?.message).toMatch(
        /^iotda: CreateServerCertificate answered HTTP 400 IOTDA\.014016 \(request \S+\)/,
      )
      expect(text).not.toContain(`invalid ${field}`)
      // The beginning of a key is what its certificate shows, too.
      const found =
        field === 'private_key'
          ? createSearch([{ name: 'key', value: sent[field] ?? '' }])(text)
          : repeats(text, quotationOf(call?.body ?? '', quoting))
      expect([found].flat().filter(Boolean), JSON.stringify(quoting)).toEqual([])
    }
  },
  60_000,
)

const aws = { region: REGION, accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }
const sealKey = Buffer.alloc(32, 7).toString('base64')
const json = (code: string): string => JSON.stringify({ __type: code, message: 'bad value: {quoted}' })

const stores: readonly {
  readonly operation: string
  readonly field: string | null
  readonly body: string
  readonly open: (rig: Rig) => Promise<object>
}[] = [
  {
    operation: 's3.PutObject',
    field: null,
    body: '<Error><Code>MalformedXML</Code><Message>bad value: {quoted}</Message></Error>',
    open: async ({ sandbox: { faults } }) => {
      const service = await createS3({ faults, keys: awsKeys, bucket: 'state' })
      cleanups.push(service.dispose)
      return { type: 's3', bucket: 'state', endpoint: service.url, sealKey, ...aws }
    },
  },
  {
    operation: 'secretsmanager.CreateSecret',
    field: 'SecretString',
    body: json('InvalidParameterException'),
    open: async ({ sandbox: { faults } }) => {
      const service = await createSecretsManager({ faults, keys: awsKeys })
      cleanups.push(service.dispose)
      return { type: 'secretsmanager', endpoint: service.url, sealKey, ...aws }
    },
  },
  {
    operation: 'csms.CreateSecret',
    field: 'secret_string',
    body: JSON.stringify({ error_code: 'CSMS.0006', error_msg: 'bad value: {quoted}' }),
    open: async ({ sandbox }) => {
      const { accessKey, secretKey } = sandbox.keys
      const keys = new Map([[accessKey, { secretKey }]])
      const service = await createCsms({ faults: sandbox.faults, projectId: PROJECT, keys })
      cleanups.push(service.dispose)
      const place = { credentials: 'cn', region: 'cn-north-4', projectId: PROJECT, endpoint: service.url }
      return { type: 'csms', sealKey, ...place }
    },
  },
]

const [, secretsManager, csms] = stores as [unknown, (typeof stores)[number], (typeof stores)[number]]
const reads: typeof stores = [
  { ...secretsManager, operation: 'secretsmanager.GetSecretValue', field: null },
  { ...csms, operation: 'csms.ShowSecretVersion', field: null },
]

test.each([...stores, ...reads])(
  'of a refused $operation nothing is told of what was to be written, or is kept',
  async given => {
    const { operation, field, body, open } = given
    const rig = await createRig()
    cleanups.push(rig.dispose)
    await fillSlots(rig.sandbox)
    const store = await open(rig)
    await rig.configure((settings: SandboxSettings) => Object.assign(settings, { store }))
    const quoting = { field, chars: 200, end: 'first', as: 'plain' } as const
    rig.sandbox.faults.add({ operations: [operation], times: ALWAYS, status: 400, body, quoting })
    const clock = fakeClock()
    const answer = await rig.run({}, { clock }).catch((error: unknown) => inspect(error, { depth: 10 }))
    const text = await emitted(rig, answer)
    expect(text).toMatch(/answered HTTP 400 \w/)
    expect(text).not.toContain('bad value')
  },
)
