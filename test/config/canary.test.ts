import { describe, expect, test } from 'vitest'
import { changed, ENV, load, mistakesOf, type Raw, sample } from './sample.ts'

const env = { ...ENV, CANARY: 'the-secret', OTHER: 'the-password' }
const device = { deviceId: 'product_node', secret: 'env:CANARY' }
const plain = { clientId: 'c', username: 'u', password: 'env:OTHER' }
const withCanary = (canary: unknown, profiles: readonly unknown[] = []): Raw =>
  changed(raw => Object.assign(raw.targets[0], { probe: { canary }, profiles }))
const canaryIn = async (raw: Raw) => {
  const settings = await load(raw, env)
  const { canaryOf } = settings.access['factory-1'] ?? expect.unreachable()
  return { settings, canaryOf }
}

describe('the canary of the probe', () => {
  test('none unless it is given', async () => {
    const { canaryOf } = await canaryIn(sample())
    expect([canaryOf(null), canaryOf('meter')]).toEqual([null, null])
  })

  test('of the target, for every profile that has none of its own', async () => {
    const { canaryOf, settings } = await canaryIn(
      withCanary(device, ['esp-idf', { name: 'meter', tls: '1.2', canary: plain }]),
    )
    for (const profile of [null, 'esp-idf']) {
      const canary = canaryOf(profile)
      expect(canary).toMatchObject({ deviceId: 'product_node' })
      expect(canary && 'secret' in canary && canary.secret.reveal()).toBe('the-secret')
    }
    const own = canaryOf('meter')
    expect(own).toMatchObject({ clientId: 'c', username: 'u' })
    expect(own && 'password' in own && own.password.reveal()).toBe('the-password')
    // It is no part of what is shown, compared or stored.
    expect(JSON.stringify(settings)).not.toMatch(/the-secret|the-password|canary/)
  })

  test('a profile that has nothing but a canary is empty', async () => {
    expect(await mistakesOf(load(withCanary(null, [{ name: 'meter', canary: plain }]), env))).toEqual([
      expect.stringContaining('targets[0].profiles[0]'),
    ])
  })

  const shape =
    'targets[0].probe.canary: must have "deviceId" and "secret", or "clientId", "username" and "password", and nothing else'
  test.each<[string, unknown, string]>([
    ['a part is missing', { deviceId: 'd' }, shape],
    ['both at once', { ...device, ...plain }, shape],
    ['nothing', {}, shape],
    ['a text', 'env:CANARY', 'targets[0].probe.canary: must be Object, not a string'],
    [
      'another key',
      { ...device, id: 'x' },
      'targets[0].probe.canary.id: is not a setting (known here: deviceId, secret, clientId, username, password)',
    ],
    [
      'a secret that stands in the settings',
      { deviceId: 'd', secret: 'literally' },
      'targets[0].probe.canary.secret: a secret must not stand in the settings: use env:NAME, file:PATH, awssm:NAME or csms:NAME',
    ],
    [
      'a variable that is not set',
      { ...plain, password: 'env:NOT_THERE' },
      'targets[0].probe.canary.password: environment variable NOT_THERE is not set',
    ],
  ])('%s', async (_, canary, mistake) => {
    const mistakes = await mistakesOf(load(withCanary(canary), env))
    expect(mistakes).toEqual([mistake])
    expect(mistakes.join()).not.toContain('literally')
  })
})
