import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import {
  fast,
  issuePair,
  killedRun,
  objection,
  objectionNow,
  rotateOnce,
  startOver,
} from '../support/renewal.ts'
import { createRig, type Rig } from '../support/rig.ts'

/** A rollback by hand that brings OCSP stapling back as well: killed at its only change of IoTDA. */
describe.each(['before', 'after'] as const)('a rollback by hand, killed %s the effect of the bind', when => {
  let rig: Rig
  beforeAll(async () => {
    rig = await createRig({ ca: { authorizationReuse: false } })
    await fast(rig, put({ 'targets.0.ocsp': 'follow-certificate' }))
  })
  afterAll(() => rig.dispose())

  test('the next run finishes what has begun, stapling is on again, and nothing more is done unattended', async () => {
    const { sandbox } = rig
    const { iotda } = sandbox
    const config = () => iotda.configurations()[0]
    const start = await startOver(rig, await issuePair(sandbox))
    iotda.configure({ ocsp_stapling_enable: true, ocsp_ssl_enable: false, ocsp_server_ca_id: 'ca-1' })
    expect(await rotateOnce(rig)).toMatchObject({ outcome: 'rotated' })
    expect(config()?.server_certificate_config).toMatchObject({ ocsp_stapling_enable: false })
    const ours = config()?.server_certificate_id

    const bind = { operations: ['iotda.UpdateDomainConfiguration'], skip: 0 }
    expect(await killedRun(rig, when, bind, 'rollback')).toMatchObject({ signal: 'SIGKILL', stdout: '' })
    expect(config()?.server_certificate_id).toBe(when === 'before' ? ours : start.bound)
    expect(await objectionNow(sandbox)).toBeNull()

    if (when === 'before') {
      // It was held first: nothing unattended, until the person asks again.
      expect(await rotateOnce(rig)).toMatchObject({ code: 1, outcome: 'held' })
      expect(config()?.server_certificate_id).toBe(ours)
      expect(await cli(rig, ['rollback'])).toMatchObject({ code: 0 })
    } else expect(await rotateOnce(rig)).toMatchObject({ code: 0, outcome: 'rotated' })
    expect(config()).toMatchObject({
      server_certificate_id: start.bound,
      server_certificate_config: {
        ...{ ocsp_stapling_enable: true, ocsp_ssl_enable: false, ocsp_server_ca_id: 'ca-1' },
      },
    })
    expect(await objectionNow(sandbox)).toBeNull()

    const before = sandbox.faults.calls.length
    expect(await rotateOnce(rig)).toMatchObject({ code: 1, outcome: 'held' })
    expect(sandbox.faults.calls.slice(before).filter(c => c.method !== 'GET')).toEqual([])
    expect(objection(sandbox)).toBeNull()
    expect(start.objections()).toEqual([])
  }, 60_000)
})
