/** The client of ACM is an optional package: in a function it is taken in when the build is told to, or a clear error. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { boundPrint, heldPrint, openAcm } from '../e2e/acm.ts'
import { type Built, buildAndPackage } from '../support/built.ts'
import { openFunctionRig } from '../support/function-rig.ts'
import { startRuntime } from '../support/runtime.ts'

let taken: Built
let left: Built
beforeAll(async () => {
  taken = await buildAndPackage({ BUNDLE_AWS_SDK: '1' })
  left = await buildAndPackage()
}, 120_000)
afterAll(async () => {
  await taken.dispose()
  await left.dispose()
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
