/** A store that takes no more, just when devices are served what they refuse: the old certificate is put back. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { createCsms } from '../../sandbox/stores/csms.ts'
import { PROJECT } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { ADD, BIND, DAY_MS, openVerify, type Scenario, warningsOf } from '../support/scenario.ts'

const texts = (service: Awaited<ReturnType<typeof createCsms>>): readonly string[] =>
  [...service.secrets.values()].flatMap(it => [...it.versions.values()])

/** State is in CSMS, and the port serves another certificate as soon as a new one is bound. */
async function openWrong(names: readonly string[], onWrong: (s: Scenario) => void = () => {}) {
  const world = await openVerify()
  const { s, bound, onSwitch } = world
  const { accessKey, secretKey } = s.rig.sandbox.keys
  const service = await createCsms({
    faults: s.faults,
    now: s.clock.now,
    keys: new Map([[accessKey, { secretKey }]]),
    projectId: PROJECT,
  })
  cleanups.push(service.dispose)
  await s.configure(settings => {
    settings.targets[0].probe.within = '30s'
    Object.assign(settings, {
      store: {
        type: 'csms',
        credentials: 'cn',
        region: 'cn-north-4',
        projectId: PROJECT,
        endpoint: service.url,
        sealKey: randomBytes(32).toString('base64'),
      },
    })
  })
  const issuer = await createRoot()
  const within = {
    notBefore: new Date(s.clock.now() - DAY_MS),
    notAfter: new Date(s.clock.now() + 60 * DAY_MS),
  }
  const wrong = await issueLeaf({ names, commonName: null, issuer, ...within })
  onSwitch(isOld => {
    s.device.switches.serve = isOld ? null : wrong
    if (!isOld) onWrong(s)
  })
  return { s, bound, service }
}

test('a certificate of 1,500 names at the port does not keep the old one from being put back', async () => {
  const names = Array.from({ length: 1_500 }, (_, i) => `device-${i}.of-another-fleet.example.org`)
  const { s, bound, service } = await openWrong(names)
  const result = await s.runTo({ outcome: 'rolled-back' })
  expect(s.changes()).toEqual([ADD, BIND, BIND])
  expect(s.boundId()).toBe(bound)
  expect(warningsOf(result)).not.toContain('state-not-written')
  for (const text of texts(service)) expect(text.length).toBeLessThan(16_384)
  expect(await s.run()).toMatchObject({ decision: { reason: 'backing-off' } })
})

test('nor does a store that refuses every write from then on', async () => {
  const { s, bound } = await openWrong(['elsewhere.example.org'], ({ faults }) => {
    for (const operation of ['csms.CreateSecret', 'csms.CreateSecretVersion'])
      faults.add({ operations: [operation], status: 400, times: Number.POSITIVE_INFINITY })
  })
  await s.run()
  expect(s.changes()).toEqual([ADD, BIND, BIND])
  expect(s.boundId()).toBe(bound)
})
