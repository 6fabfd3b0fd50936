import { connectAsync } from 'mqtt'
import { expect, test } from 'vitest'
import { cleanups } from '../support/cleanups.ts'
import { put } from '../support/put.ts'
import { HOUR_MS, openScenario } from '../support/scenario.ts'

const ROTATIONS = 50
/** The delete guard keeps what was bound within the hour. */
const APART_HOURS = 2

test('a device with a pinned root goes through rotation after rotation without one TLS error', async () => {
  // The device's clock is the system's, the CA's runs ahead: its certificates must be valid for both.
  const s = await openScenario({
    ca: { backdateSeconds: (ROTATIONS + 1) * APART_HOURS * 3_600 },
    change: put({ 'sources.sandbox.budget': { orders: 1_000 } }),
  })
  await s.bindOne(20)
  const errors: unknown[] = []
  const device = await connectAsync({
    protocol: 'mqtts',
    host: s.device.host,
    port: s.device.port,
    servername: s.domain,
    ca: s.ca.rootPem,
    rejectUnauthorized: true,
    reconnectPeriod: 20,
    clientId: 'device-1',
  })
  cleanups.push(() => device.endAsync(true))
  device.on('error', error => errors.push(error))
  const connected = (): Promise<void> =>
    new Promise((resolve, reject) => {
      device.once('error', reject)
      device.once('connect', () => {
        device.off('error', reject)
        resolve()
      })
    })
  await device.subscribeAsync('commands', { qos: 1 })

  const served = new Set<string>()
  for (let round = 1; round <= ROTATIONS; round += 1) {
    // Every other time the platform cuts its connections when the certificate changes.
    const isCut = round % 2 === 0
    const stop = s.iotda.onBind(() => isCut && s.device.disconnectAll())
    const back = isCut ? connected() : null
    const result = await s.runTo({ outcome: 'rotated', decision: { reason: 'forced' } }, { force: true })
    stop()
    await back
    const [client, ...others] = s.device.clients()
    expect(others).toEqual([])
    expect(client?.clientId).toBe('device-1')
    const isNew = client?.fingerprint === result.after?.fingerprint
    expect(isNew).toBe(isCut)
    served.add(result.after?.fingerprint ?? '')

    const heard = new Promise<string>(resolve =>
      device.once('message', (topic, payload) => resolve(`${topic}: ${payload}`)),
    )
    await device.publishAsync('commands', `round ${round}`, { qos: 1 })
    expect(await heard).toBe(`commands: round ${round}`)
    s.clock.advance(APART_HOURS * HOUR_MS)
  }
  expect(errors).toEqual([])
  expect(served.size).toBe(ROTATIONS)
  expect(s.obtained()).toBe(ROTATIONS)
  expect(s.ids()).toHaveLength(2)
  expect(s.device.handshakes.filter(h => h.sni === s.domain && !h.completed)).toEqual([])
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
}, 120_000)
