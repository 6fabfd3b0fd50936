/** AWS's SDK: in a function it is taken in when the settings or the build are told to, or there is a clear error. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { leftOut } from '../../deploy/sdk.mjs'
import { boundPrint, heldPrint, openAcm } from '../e2e/acm.ts'
import { type Built, buildAndPackage } from '../support/built.ts'
import { openFunctionRig } from '../support/function-rig.ts'
import { startRuntime } from '../support/runtime.ts'

let folder: string
let taken: Built
let left: Built
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'iotda-cert-sdk-'))
  taken = await buildAndPackage({ BUNDLE_AWS_SDK: '1' })
  left = await buildAndPackage()
}, 120_000)
afterAll(async () => {
  await taken.dispose()
  await left.dispose()
  await rm(folder, { recursive: true, force: true })
})

/** An instance whose certificate comes from ACM, which holds a newer one than is bound. */
async function open() {
  const rig = await openFunctionRig(40)
  const { faults, domain } = rig.sandbox
  const own = await openAcm(faults, { names: [domain], keyType: 'ec-256' })
  return { rig, own, env: { IOTDA_CERT_CONFIG: rig.config(own.adjust) } }
}
const kinds = ['lambda', 'functiongraph'] as const

describe.each(kinds)('%s, in an empty folder', kind => {
  test('taken in: rotates', async () => {
    const { rig, own, env } = await open()
    const runtime = await startRuntime(kind, taken.zip(kind), env)
    const { answer, stack } = await runtime.invoke({ event: {} })
    expect(answer?.results[0], `${stack}\n${runtime.log()}`).toMatchObject({ outcome: 'rotated' })
    expect(boundPrint(rig.sandbox.iotda)).toBe(heldPrint(own))
  }, 30_000)

  test('left out: says what is missing, and changes nothing', async () => {
    const { rig, env } = await open()
    const runtime = await startRuntime(kind, left.zip(kind), env)
    const { ok, message } = await runtime.invoke({ event: {} })
    expect(ok).toBe(false)
    expect(message).toContain('source aws (acm): the package @aws-sdk/client-acm cannot be loaded')
    expect(rig.changes()).toEqual([])
  }, 30_000)
})

test('FunctionGraph gets what the settings want, and Lambda, which has it, nothing', async () => {
  const { rig, own, env } = await open()
  const file = join(folder, 'acm.json')
  await writeFile(file, env.IOTDA_CERT_CONFIG)
  const built = await buildAndPackage({ BUNDLE_AWS_SDK: '', IOTDA_CERT_SETTINGS: file })
  try {
    const runtime = await startRuntime('functiongraph', built.zip('functiongraph'), env)
    expect((await runtime.invoke({ event: {} })).answer?.results[0]).toMatchObject({ outcome: 'rotated' })
    expect(boundPrint(rig.sandbox.iotda)).toBe(heldPrint(own))
    const lambda = await startRuntime('lambda', built.zip('lambda'), (await open()).env)
    expect((await lambda.invoke({ event: {} })).message).toContain('cannot be loaded')
  } finally {
    await built.dispose()
  }
}, 120_000)

describe('what is left out', () => {
  const of = async (settings: unknown) => {
    const file = join(folder, 'settings.json')
    await writeFile(file, typeof settings === 'string' ? settings : JSON.stringify(settings))
    return leftOut({ IOTDA_CERT_SETTINGS: file })
  }

  test.each([
    [{}, ['@aws-sdk/client-acm', '@aws-sdk/client-route-53']],
    [{ sources: { a: { type: 'acm' } } }, ['@aws-sdk/client-route-53']],
    [{ solvers: { a: { type: 'huaweicloud' }, b: { type: 'route53' } } }, ['@aws-sdk/client-acm']],
    [{ sources: [null, 1], solvers: 'route53' }, ['@aws-sdk/client-acm', '@aws-sdk/client-route-53']],
  ])('of %j', async (settings, elsewhere) => {
    expect(await of(settings)).toEqual({ onLambda: ['@aws-sdk/*'], elsewhere })
  })

  test('settings that cannot be read are said', async () => {
    await expect(of('{')).rejects.toThrow('are no valid JSON')
    await expect(of('\ufeff{"sources":{"a":{"type":"acm"}}}')).resolves.toMatchObject({
      elsewhere: ['@aws-sdk/client-route-53'],
    })
    await expect(leftOut({ IOTDA_CERT_SETTINGS: join(folder, 'none.json') })).rejects.toThrow('ENOENT')
  })
})
