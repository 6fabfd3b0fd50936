import { createHmac } from 'node:crypto'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { TargetResult } from '../../lib/report/result.ts'
import { createRoot } from '../../sandbox/kit/pki.ts'
import { cleanups } from '../support/cleanups.ts'
import { put } from '../support/put.ts'
import {
  ADD,
  BIND,
  DAY_MS,
  openVerify,
  type Scenario,
  type ScenarioOptions,
  warningsOf,
} from '../support/scenario.ts'
import { stateFiles } from './bad-input.ts'

/** After the cut-over, the devices' side of it: profiles with their limits and roots, and a canary that connects. */

const [A, B] = ['127.0.0.1', '127.0.0.2']
const DEVICE = { deviceId: 'product_canary', secret: 'the-secret-of-the-canary' }

type Profile = Readonly<Record<string, unknown>>
const withProfiles = (profiles: readonly Profile[], more: ScenarioOptions = {}): ScenarioOptions => ({
  ...more,
  change: settings => {
    settings.targets[0].profiles = profiles
    more.change?.(settings)
  },
})
const TLS12: Profile = { name: 'meter-v1', tls: '1.2' }

/** A platform that drops the intermediates, at one address or everywhere. */
const leafOnly = (bound: { certificatePem: string; keyPem: string }) => ({
  certPem: `${bound.certificatePem.split('-----END CERTIFICATE-----')[0]}-----END CERTIFICATE-----\n`,
  keyPem: bound.keyPem,
})

/** So serves the platform what is bound instead of this one. */
const serveLeafOnly = (s: Scenario, bound: string, at?: string): void =>
  void s.iotda.onBind(now => {
    const served = now && s.boundId() !== bound ? leafOnly(now) : null
    if (at === undefined) s.device.switches.serve = served
    else s.device.switches.serveAt = served ? { [at]: served } : {}
  })

/** Something on the way that resets connections when it is told to. */
async function openProxy(upstream: number) {
  let toLose = 0
  let lost = 0
  const server = createServer(client => {
    client.on('error', () => {})
    if (toLose > 0) {
      toLose -= 1
      lost += 1
      client.resetAndDestroy()
      return
    }
    const socket = connect(upstream, A)
    socket.on('error', () => client.destroy())
    client.on('close', () => socket.destroy())
    socket.on('close', () => client.destroy())
    client.pipe(socket).pipe(client)
  })
  await new Promise<void>(resolve => server.listen(0, A, resolve))
  cleanups.push(() => new Promise<void>(resolve => server.close(() => resolve())))
  return {
    port: (server.address() as AddressInfo).port,
    loseNext: (count: number) => {
      toLose = count
    },
    lost: () => lost,
  }
}

const stepOf = ({ steps }: TargetResult, name: string): string =>
  steps.find(({ step }) => step === name)?.detail ?? ''

describe('device profiles', () => {
  test('every one of them is served what is bound, at every address', async () => {
    const profiles = [TLS12, { name: 'meter-v2', tls: '1.3' }]
    const { s } = await openVerify(withProfiles(profiles, { addresses: [A, B] }))
    const result = await s.runTo({ outcome: 'rotated', warnings: [] })
    expect(stepOf(result, 'verify')).toMatch(
      /^served at every address to 2 kinds of device, 3 times in a row/,
    )
  })

  test('an idle check stays one handshake for each address', async () => {
    const { s } = await openVerify(withProfiles([TLS12, { name: 'meter-v2', tls: '1.3' }]))
    await s.run()
    const before = s.device.handshakes.length
    expect((await s.run()).outcome).toBe('idle')
    expect(s.device.handshakes).toHaveLength(before + 1)
  })

  test('the platform drops the intermediate: nobody else notices, the profile does, and it rolls back', async () => {
    const { s, bound } = await openVerify(withProfiles([TLS12]))
    serveLeafOnly(s, bound)
    const result = await s.runTo({ outcome: 'rolled-back' })
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([ADD, BIND, BIND])
    const why = stepOf(result, 'verify')
    expect(why).toContain(`${A}: devices of profile "meter-v1" would not connect`)
    expect(why).toContain('it does not trust what it is sent: no root issues "CN=iot.example.com"')
    expect(why).toMatch(/, after \d+s$/)
  })

  test('the platform adds what nobody asked for: devices pass over it, a warning says so, and it stays', async () => {
    const { s, bound } = await openVerify(withProfiles([TLS12]))
    const stranger = await createRoot({ commonName: 'Stranger Root' })
    s.iotda.onBind(now => {
      const certPem = `${now?.certificatePem}${stranger.certPem}${s.ca.rootPem}`
      s.device.switches.serve = now && s.boundId() !== bound ? { certPem, keyPem: now.keyPem } : null
    })
    const result = await s.runTo({ outcome: 'rotated' })
    expect(s.boundId()).not.toBe(bound)
    expect(result.warnings).toEqual([
      {
        code: 'chain-untidy',
        message: expect.stringMatching(
          /sends more than the chain: 127\.0\.0\.1: .* by .*Stranger Root", which/,
        ),
      },
    ])
    expect(await s.run()).toMatchObject({ outcome: 'idle', warnings: [] })
  })

  test('at one of two addresses', async () => {
    const { s, bound } = await openVerify(withProfiles([TLS12], { addresses: [A, B] }))
    serveLeafOnly(s, bound, B)
    const result = await s.runTo({ outcome: 'rolled-back' })
    expect(stepOf(result, 'verify')).toContain(`${B}: devices of profile "meter-v1"`)
    expect(stepOf(result, 'verify')).not.toContain(`${A}:`)
    expect(s.boundId()).toBe(bound)
  })

  test('a wrong certificate at one of two addresses rolls back, and says what is served', async () => {
    const { s, bound } = await openVerify(withProfiles([TLS12], { addresses: [A, B] }))
    const identity = await s.issue(-1, 80, ['wrong.example.com'])
    s.iotda.onBind(() => {
      s.device.switches.serveAt = s.boundId() === bound ? {} : { [B]: identity }
    })
    const result = await s.runTo({ outcome: 'rolled-back' })
    expect(stepOf(result, 'verify')).toContain(`${B} serves CN=wrong.example.com by`)
    expect(s.boundId()).toBe(bound)
  })

  test('no handshake where there was one: rolled back, and what others are served is said', async () => {
    const { s, bound, onSwitch } = await openVerify(
      withProfiles([TLS12, { name: 'meter-v2', tls: '1.2-1.3' }]),
    )
    onSwitch(isOld => {
      s.device.switches.minVersion = isOld ? 'TLSv1.2' : 'TLSv1.3'
    })
    const result = await s.runTo({ outcome: 'rolled-back' })
    expect(s.boundId()).toBe(bound)
    expect(stepOf(result, 'verify')).toMatch(
      /^not served: 127\.0\.0\.1: devices of profile "meter-v1" would not connect: no handshake: ERR_SSL_\w+; others are served CN=iot\.example\.com by .*, ec-256, after \d+s$/,
    )
  })

  test('a certificate that a person accepted in spite of a profile is not rolled back for it', async () => {
    const { s, bound } = await openVerify()
    const stranger = await createRoot({ commonName: 'Stranger Root' })
    await s.configure(
      put({ 'targets.0.profiles': [{ name: 'other', trustedRoots: [stranger.certPem] }, TLS12] }),
    )
    const refused = await s.run()
    expect(refused).toMatchObject({ outcome: 'refused', error: { code: 'preflight-refused' } })
    const [, accept] = /--accept ([0-9a-f]{64})/.exec(refused.error?.hint ?? '') ?? []
    const result = await s.runTo({ outcome: 'rotated' }, { accept: accept ?? '', force: true })
    expect(s.boundId()).not.toBe(bound)
    expect(result.warnings.find(w => w.code === 'device-refuses')?.message).toContain('profile "other"')
  })

  test('one that could not connect before is a warning, not a reason to roll back', async () => {
    const { s, bound } = await openVerify(withProfiles([TLS12, { name: 'ancient', tls: '1.1' }]))
    const result = await s.runTo({ outcome: 'rotated' })
    expect(warningsOf(result)).toEqual(['device-refuses'])
    expect(result.warnings[0]?.message).toContain(
      `as before the bind, at ${A}: devices of profile "ancient" would not connect: no handshake: ERR_SSL_`,
    )
    expect(s.boundId()).not.toBe(bound)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('the old certificate at a profile only is propagation', async () => {
    const { s, bound } = await openVerify(withProfiles([TLS12]))
    s.device.switches.lagMs = Number.POSITIVE_INFINITY
    expect(await s.run()).toMatchObject({ outcome: 'suspended' })
    s.device.settle()
    expect(await s.run()).toMatchObject({ outcome: 'rotated', decision: { reason: 'resume' } })
    expect(s.boundId()).not.toBe(bound)
  })

  test('addresses without a way to them count for no profile', async () => {
    const { s } = await openVerify(withProfiles([TLS12], { addresses: [A, B] }))
    await s.device.setDown('refuse', B)
    const result = await s.runTo({ outcome: 'rotated' })
    expect(warningsOf(result)).toEqual(['unverified'])
  })

  test('a profile that was lost once before the bind is protected all the same', async () => {
    const { s, bound } = await openVerify()
    const proxy = await openProxy(s.device.port)
    await s.configure(put({ 'targets.0.probe.port': proxy.port, 'targets.0.profiles': [TLS12] }))
    // The last connection before the bind: the one as the profile.
    s.faults.onCall(({ operation }) => {
      if (operation === `iotda.${ADD}`) proxy.loseNext(1)
    })
    serveLeafOnly(s, bound)
    const result = await s.run()
    expect(proxy.lost()).toBe(1)
    expect(result.outcome).toBe('rolled-back')
    expect(s.boundId()).toBe(bound)
  })

  test.each([
    ['it would have taken the one before', {}, 'rolled-back'],
    ['it would not have taken that either', { strange: true }, 'rotated'],
  ] as const)(
    'a profile that could not be heard before the bind: %s',
    async (_, { strange }: { strange?: boolean }, outcome) => {
      const { s, bound } = await openVerify()
      const proxy = await openProxy(s.device.port)
      const stranger = await createRoot({ commonName: 'Stranger Root' })
      const profile = strange ? { ...TLS12, trustedRoots: [stranger.certPem] } : TLS12
      await s.configure(
        put({
          'targets.0.probe.port': proxy.port,
          'targets.0.preflight': { emergency: 'bind' },
          'targets.0.profiles': [profile],
        }),
      )
      if (strange) s.clock.advance(19.5 * DAY_MS)
      s.faults.onCall(({ operation }) => {
        if (operation === `iotda.${ADD}`) proxy.loseNext(Number.POSITIVE_INFINITY)
      })
      s.iotda.onBind(now => {
        proxy.loseNext(0)
        s.device.switches.serve = now && s.boundId() !== bound ? leafOnly(now) : null
      })
      const result = await s.run()
      expect(proxy.lost()).toBeGreaterThan(2)
      expect(result.outcome, JSON.stringify(result)).toBe(outcome)
      expect(s.boundId() === bound).toBe(outcome === 'rolled-back')
    },
  )

  test('an acceptance excuses what was accepted, and nothing else', async () => {
    const { s, bound } = await openVerify()
    await s.configure(put({ 'targets.0.profiles': [{ ...TLS12, maxChainBytes: 300 }] }))
    const refused = await s.run()
    expect(refused.error?.code).toBe('preflight-refused')
    const [, accept = ''] = /--accept ([0-9a-f]{64})/.exec(refused.error?.hint ?? '') ?? []
    serveLeafOnly(s, bound)
    const result = await s.runTo({ outcome: 'rolled-back' }, { accept, force: true })
    expect(stepOf(result, 'verify')).toContain('devices of profile "meter-v1" would not connect')
    expect(s.boundId()).toBe(bound)
  })
})

describe('without profiles', () => {
  test('a chain that no longer verifies for any device rolls back, by the looks alone', async () => {
    const { s, bound } = await openVerify()
    serveLeafOnly(s, bound)
    const result = await s.runTo({ outcome: 'rolled-back' })
    expect(stepOf(result, 'verify')).toContain(`${A}: devices would not connect: it does not trust`)
    expect(s.boundId()).toBe(bound)
  })

  test('at one of two addresses', async () => {
    const { s, bound } = await openVerify({ addresses: [A, B] })
    serveLeafOnly(s, bound, B)
    expect((await s.run()).outcome).toBe('rolled-back')
    expect(s.boundId()).toBe(bound)
  })

  test('a chain that did not verify before either is a warning', async () => {
    const { s, bound } = await openVerify()
    const dropping = () => {
      const now = s.iotda.certificates().find(({ id }) => id === s.boundId())
      s.device.switches.serve = now ? leafOnly(now) : null
    }
    dropping()
    s.iotda.onBind(dropping)
    const result = await s.runTo({ outcome: 'rotated' })
    const refusal = result.warnings.find(({ code }) => code === 'device-refuses')
    expect(refusal?.message).toContain('as before the bind')
    expect(s.boundId()).not.toBe(bound)
  })
})

describe('the canary', () => {
  /** A broker that lets the canary in while `lets` says so, by the address of the certificate it came through. */
  async function withCanary(lets: (clientId: string) => boolean, options: ScenarioOptions = {}) {
    const said: (readonly [string, string | undefined, string | undefined])[] = []
    const opened = await openVerify({
      ...options,
      authenticate: (...told) => {
        said.push(told)
        return lets(told[0])
      },
      change: settings => {
        settings.targets[0].probe.canary = DEVICE
        options.change?.(settings)
      },
    })
    return { ...opened, said }
  }

  test('connects before and after, with what IoTDA wants of it', async () => {
    const { s, said } = await withCanary(() => true, { addresses: [A, B] })
    const result = await s.runTo({ outcome: 'rotated', warnings: [] })
    expect(said).toHaveLength(4)
    for (const [clientId, username, password] of said) {
      const [, hour = ''] = /^product_canary_0_0_(\d{10})$/.exec(clientId) ?? []
      expect(username).toBe(DEVICE.deviceId)
      expect(password).toBe(createHmac('sha256', hour).update(DEVICE.secret).digest('hex'))
      expect(hour).toBe(new Date(s.clock.now()).toISOString().slice(0, 13).replaceAll(/\D/g, ''))
    }
    const written = [...(await stateFiles(s.rig)).values(), ...s.rig.logged, JSON.stringify(result)].join(
      '\n',
    )
    for (const kept of [DEVICE.secret, ...said.map(([, , password]) => `${password}`)])
      expect(written).not.toContain(kept)
    const leaves = s.device.handshakes.filter(h => h.completed).map(h => h.fingerprint)
    expect(new Set(leaves).size).toBe(2)
    said.length = 0
    expect((await s.run()).outcome).toBe('idle')
    expect(said).toEqual([])
  })

  test('is let in before and not after: rolled back', async () => {
    let isBound = true
    const { s, bound, onSwitch } = await withCanary(() => isBound)
    onSwitch(isOld => {
      isBound = isOld
    })
    const result = await s.runTo({ outcome: 'rolled-back' })
    expect(stepOf(result, 'verify')).toContain('its canary was refused: CONNACK 5: not authorized')
    expect(s.boundId()).toBe(bound)
  })

  test('one refusal in passing is no verdict', async () => {
    let refusals = -1
    const { s, onSwitch } = await withCanary(() => refusals-- < 1)
    onSwitch(() => {
      refusals = 1
    })
    expect(await s.run()).toMatchObject({ outcome: 'rotated', warnings: [] })
  })

  test('is let in neither before nor after: a warning', async () => {
    const { s, said } = await withCanary(() => false)
    const result = await s.runTo({ outcome: 'rotated' })
    expect(warningsOf(result)).toEqual(['device-refuses'])
    // Three tries before, so that one refusal in passing is none; one after.
    expect(said).toHaveLength(4)
  })

  test('a kind of device whose canary is let in never does not count as served', async () => {
    const own = { clientId: 'own', username: 'u', password: 'the-password-of-its-own' }
    const { s } = await withCanary(
      clientId => clientId !== 'own',
      withProfiles([
        { ...TLS12, canary: own },
        { name: 'b', tls: '1.3' },
      ]),
    )
    const result = await s.runTo({ outcome: 'rotated' })
    expect(warningsOf(result)).toContain('device-refuses')
    expect(stepOf(result, 'verify')).toMatch(/^served at every address to 1 of 2 kinds of device, 3 times/)
  })

  test('says nothing to a certificate that is not the bound one, however good it is', async () => {
    const { s, bound, said, onSwitch } = await withCanary(() => true)
    const other = await s.issue(-1, 80)
    onSwitch(isOld => {
      s.device.switches.serve = isOld ? null : other
    })
    expect((await s.run()).outcome).toBe('rolled-back')
    expect(s.boundId()).toBe(bound)
    // The one before the bind, over the predecessor.
    expect(said).toHaveLength(1)
  })

  test('says nothing where the chain does not verify', async () => {
    const { s, bound, said } = await withCanary(() => true)
    serveLeafOnly(s, bound)
    expect((await s.run()).outcome).toBe('rolled-back')
    expect(said).toHaveLength(1)
  })

  test('each profile has its own, if it says so', async () => {
    const own = { clientId: 'own', username: 'u', password: 'the-password-of-its-own' }
    const { s, said } = await withCanary(
      () => true,
      withProfiles([
        { ...TLS12, canary: own },
        { name: 'b', tls: '1.3' },
      ]),
    )
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    const ids = said.map(([id]) => id.replace(/\d{10}$/, ''))
    expect(ids).toEqual(['own', 'product_canary_0_0_', 'own', 'product_canary_0_0_'])
  })
})
