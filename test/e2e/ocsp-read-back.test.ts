import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { boundId, fast, issuePair, killedRun, type Pair, rotateHere, startOver } from '../support/renewal.ts'
import { createRig, type Rig } from '../support/rig.ts'

/** The platform has no conditional update: what was changed beside ours is seen when it is read back. */

/** What a leaf without an OCSP URL is bound with. */
const ON = { ocsp_stapling_enable: false, ocsp_ssl_enable: true }
let rig: Rig
let pair: Pair
beforeAll(async () => {
  rig = await createRig({ ca: { authorizationReuse: false } })
  await fast(rig)
  pair = await issuePair(rig.sandbox)
})
afterAll(() => rig.dispose())

const config = () => rig.sandbox.iotda.configurations()[0]?.server_certificate_config
const updates = (): number =>
  rig.sandbox.faults.calls.filter(it => it.operation === 'iotda.UpdateDomainConfiguration').length

/** Between our update and its being read back, the OCSP settings become others, once. */
async function changedBeside(to: Partial<typeof ON>): Promise<() => void> {
  const { iotda, faults } = rig.sandbox
  await startOver(rig, pair)
  iotda.configure(ON)
  let isUpdated = false
  return faults.onCall(({ operation }) => {
    if (isUpdated && operation === 'iotda.ShowDomainConfiguration') {
      isUpdated = false
      iotda.configure(to)
      stop?.()
    }
    isUpdated ||= operation === 'iotda.UpdateDomainConfiguration'
  })
}
let stop: (() => void) | null = null
const beside = async (to: Partial<typeof ON>): Promise<void> => {
  stop = await changedBeside(to)
}

test('OCSP settings that a person changes beside our bind stand, and it is told', async () => {
  await beside({ ocsp_stapling_enable: true })
  const { outcome, warnings } = await rotateHere(rig)
  expect(outcome).toBe('rotated')
  expect(config()).toMatchObject({ ...ON, ocsp_stapling_enable: true })
  expect(warnings).toContainEqual({
    code: 'ocsp-changed',
    message: expect.stringContaining('ocsp_stapling_enable is true, sent was false'),
  })
  expect(updates()).toBe(1)
})

test('OCSP settings that are lost with our bind are sent again, and it is told', async () => {
  await beside({ ocsp_ssl_enable: false })
  const { outcome, warnings } = await rotateHere(rig)
  expect(outcome).toBe('rotated')
  expect(config()).toMatchObject(ON)
  expect(warnings).toContainEqual({
    code: 'ocsp-changed',
    message: expect.stringContaining('sent again: ocsp_ssl_enable is false, sent was true'),
  })
  expect(updates()).toBe(2)
})

describe.each(['before', 'after'] as const)('killed %s the settings are sent again', when => {
  test('the new certificate stays bound, and the next run verifies it and tells what is lost', async () => {
    await beside({ ocsp_ssl_enable: false })
    await killedRun(rig, when, { operations: ['iotda.UpdateDomainConfiguration'], skip: 1 })
    const bound = boundId(rig.sandbox)
    const { outcome, warnings } = await rotateHere(rig)
    expect(outcome).toBe('rotated')
    const told = warnings.filter(({ code }) => code === 'ocsp-changed').map(({ message }) => message)
    const lost = expect.stringContaining('ocsp_ssl_enable is false, sent was true; somebody changed them, or')
    expect(told).toEqual(when === 'before' ? [lost] : [])
    expect(boundId(rig.sandbox)).toBe(bound)
    expect(config()?.ocsp_ssl_enable).toBe(when === 'after')
  })
})
