import { X509Certificate } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { put } from '../support/put.ts'
import { DAY_MS, openScenario, type Scenario } from '../support/scenario.ts'

/** Let's Encrypt's Generation Y: a new root, known to few devices, cross-signed by the one they have. */
let s: Scenario
beforeEach(async () => {
  s = await openScenario({ ca: { generations: 2 } })
  const id = await s.bindOne(20)
  expect(s.boundId()).toBe(id)
})

const boundChain = (): readonly string[] => {
  const pem = s.iotda.certificates().find(({ id }) => id === s.boundId())?.certificatePem ?? ''
  return pem.split(/(?<=-----END CERTIFICATE-----)\s*/).filter(block => block.includes('BEGIN'))
}
const subjectOf = (pem: string | undefined): string => new X509Certificate(pem ?? '').subject
const ordered = (): number => s.ca.orders.length

test('the default chain ends in the old root, and devices that know only that one get it', async () => {
  expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  expect(boundChain()).toHaveLength(3)
  expect(new X509Certificate(boundChain()[2] ?? '').checkIssued(new X509Certificate(s.ca.rootPem))).toBe(true)
})

test('the default becomes a chain that old devices cannot use: they get the alternate one', async () => {
  s.ca.options.chains = ['short', 'cross-signed']
  expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  expect(boundChain()).toHaveLength(3)
})

test('profiles hear of a chain that they could not use, and go on hearing until it is well', async () => {
  const profile = (...roots: readonly (string | null)[]) =>
    s.configure(put({ 'targets.0.profiles': [{ name: 'meter-v1', trustedRoots: roots }] }))
  await profile(s.ca.rootPem)
  const othersOf = async (action: 'rotate' | 'status' = 'rotate') =>
    (await s.run({ action })).warnings.filter(w => w.code === 'other-chains').map(w => w.message)
  const told = [
    expect.stringMatching(
      /^another chain of the CA, up to ".*", is not for every device: profile meter-v1: no root issues/,
    ),
  ]
  expect(await othersOf()).toEqual(told)
  expect(boundChain()).toHaveLength(3)
  expect(await othersOf()).toEqual(told)
  expect(await othersOf('status')).toEqual(told)

  await profile(s.ca.rootPem, s.ca.newRootPem)
  s.clock.advance(80 * DAY_MS)
  expect(await othersOf()).toEqual([])
  expect(await othersOf()).toEqual([])
})

test('devices with the new root are content with the short chain', async () => {
  s.ca.options.chains = ['short', 'cross-signed']
  await s.configure(put({ 'targets.0.trustedRoots': `${s.ca.rootPem}${s.ca.newRootPem}` }))
  expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  expect(boundChain()).toHaveLength(2)
})

test('the CA drops the cross-signed chain: refused before anything changes, with the name of the root', async () => {
  const bound = s.boundId()
  s.ca.options.chains = ['short']
  s.changes()
  const refused = await s.run()
  expect(refused).toMatchObject({ outcome: 'refused', error: { code: 'preflight-refused' } })
  expect(refused.error?.message).toContain(
    subjectOf(s.ca.newRootPem ?? '')
      .split('\n')
      .at(-1),
  )
  expect(refused.error?.hint).toContain('--accept')
  expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'refused' })
  expect(s.changes()).toEqual([])
  expect(s.boundId()).toBe(bound)
  expect(ordered()).toBe(1)

  await s.configure(put({ 'targets.0.trustedRoots': `${s.ca.rootPem}${s.ca.newRootPem}` }))
  expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'rotated' })
  expect(ordered()).toBe(1)
})

test('the CA offers the chain again while what it gave is refused: asked once more before the emergency', async () => {
  s.ca.options.chains = ['short']
  expect(await s.run()).toMatchObject({ outcome: 'refused' })
  s.ca.options.chains = ['short', 'cross-signed']
  expect(await s.later(6 * DAY_MS)).toMatchObject({ outcome: 'refused' })
  expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'rotated' })
  expect(boundChain()).toHaveLength(3)
  expect(ordered()).toBe(2)
})

test('devices that want all of the chain, as wolfSSL does, get the one that ends at their root', async () => {
  s.ca.options.chains = ['cross-signed', 'short']
  const devices = (more: object) =>
    s.configure(settings => {
      settings.targets[0].profiles = [
        { name: 'meter-v1', preset: 'wolfssl', trustedRoots: [s.ca.newRootPem], ...more },
      ]
    })
  await devices({})
  await s.runTo({ outcome: 'rotated' }, { force: true })
  expect(boundChain()).toHaveLength(2)
  await devices({ needsWholeChain: false })
  expect(await s.later(DAY_MS, { force: true })).toMatchObject({ outcome: 'rotated' })
  expect(boundChain()).toHaveLength(3)
})

test('there is no such chain: renewed while devices live with it, refused once they do without, and accepted', async () => {
  const next = async (chain: 'cross-signed' | 'short', event = {}) => {
    s.ca.options.chains = [chain]
    s.clock.advance(80 * DAY_MS)
    return s.run(event)
  }
  await s.configure(settings => {
    const roots = [s.ca.newRootPem]
    settings.targets[0].profiles = [{ name: 'meter-v1', preset: 'wolfssl', trustedRoots: roots }]
  })
  s.ca.options.chains = ['cross-signed']
  const renewed = await s.runTo({ outcome: 'rotated' })
  expect(renewed.warnings.map(({ code }) => code)).toContain('device-refuses')

  expect(await next('short')).toMatchObject({ outcome: 'rotated', warnings: [] })
  const bound = s.boundId()
  const refused = await next('cross-signed')
  expect(refused).toMatchObject({ outcome: 'refused', error: { code: 'preflight-refused' } })
  expect(refused.error?.message).toMatch(
    /profile meter-v1: ".*" is sent and leads to none of its trustedRoots/,
  )
  expect(s.boundId()).toBe(bound)
  const [, accept = ''] = /--accept ([0-9a-f]{64})/.exec(refused.error?.hint ?? '') ?? []
  expect(await s.run({ accept, force: true })).toMatchObject({ outcome: 'rotated' })
  expect(boundChain()).toHaveLength(3)
})

test('a root is taken out of the settings while a certificate waits: another chain is obtained, once', async () => {
  s.ca.options.chains = ['short', 'cross-signed']
  const trust = (...roots: readonly (string | null)[]) =>
    s.configure(put({ 'targets.0.trustedRoots': roots.join(''), 'targets.0.minAge': '2d' }))
  await trust(s.ca.rootPem, s.ca.newRootPem)
  expect(await s.run()).toMatchObject({ outcome: 'suspended' })
  await trust(s.ca.rootPem)
  expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'suspended' })
  expect(await s.later(3 * DAY_MS)).toMatchObject({ outcome: 'rotated' })
  expect(boundChain()).toHaveLength(3)
  expect(ordered()).toBe(2)
})
