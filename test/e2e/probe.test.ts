import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { TargetResult } from '../../lib/report/result.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { CLI, cli, type Ended, spawnCli } from '../support/command.ts'
import { put } from '../support/put.ts'
import { openScenario, type ScenarioOptions } from '../support/scenario.ts'
import { stateFiles } from './bad-input.ts'

/** `probe`: the device port as every device would see it, and nothing else. */

const [A, B] = ['127.0.0.1', '127.0.0.2']
const SECRET = 'the-secret-of-the-canary'
const DEVICE = { deviceId: 'product_canary', secret: SECRET }

async function bound(options: ScenarioOptions = {}) {
  const s = await openScenario(options)
  await s.bindOne(60)
  s.faults.clearCalls()
  return s
}
type Scene = Awaited<ReturnType<typeof bound>>

const profiles =
  (...list: readonly object[]) =>
  (settings: SandboxSettings): void => {
    settings.targets[0].profiles = list
  }
const addressOf = ({ probe }: TargetResult, address: string) => {
  const found = probe?.addresses.find(a => a.address === address)
  return found ?? expect.unreachable(`nothing about ${address}`)
}
const verdicts = (result: TargetResult, address = A) =>
  addressOf(result, address).verdicts.map(({ profile, ok, canary }) => [profile, ok, canary])

/** IoTDA was read at most, the CA and DNS were not asked, and nothing was written down. */
async function nothingChanged(s: Scene): Promise<void> {
  const others = s.faults.calls.filter(({ operation }) => !operation.startsWith('device.'))
  expect(others.filter(({ method }) => method !== 'GET')).toEqual([])
  expect(others.filter(({ operation }) => !operation.startsWith('iotda.'))).toEqual([])
  expect(await stateFiles(s.rig)).toEqual(new Map())
}

describe('the action', () => {
  test('all is well: chain, days left, what was negotiated, and a verdict for each profile', async () => {
    const s = await bound({
      addresses: [A, B],
      change: profiles({ name: 'meter-v1', tls: '1.2' }, { name: 'meter-v2', tls: '1.3' }),
    })
    const result = await s.runTo({ outcome: 'probed', error: null, warnings: [] }, { action: 'probe' })
    const [leaf] = s.iotda.certificates()
    for (const address of [A, B]) {
      const shown = addressOf(result, address)
      expect(shown).toMatchObject({ error: null, daysLeft: 59, protocol: 'TLSv1.3', skipped: false })
      expect(shown.chain).toHaveLength(2)
      expect(shown.chain[0]).toMatchObject({
        subject: `CN=${s.domain}`,
        names: [s.domain],
        keyType: 'ec-256',
      })
      expect(shown.chain[0]?.fingerprint).toBe(result.probe?.expected)
      expect(shown.chain[1]?.subject).toBe(shown.chain[0]?.issuer)
      expect(shown.verdicts.map(v => v.protocol)).toEqual(['TLSv1.2', 'TLSv1.3'])
      expect(shown.verdicts.map(v => v.lines)).toEqual([[], []])
    }
    expect(leaf?.id).toBeDefined()
    // For each of the looks, which are three: one for everybody, one for each profile.
    expect(s.device.handshakes).toHaveLength(3 * 2 * 3)
    await nothingChanged(s)
  })

  test('only the profiles asked for; an unknown one is a mistake of use', async () => {
    const s = await bound({ change: profiles({ name: 'a', tls: '1.2' }, { name: 'b', tls: '1.3' }) })
    expect(verdicts(await s.run({ action: 'probe', profiles: ['b'] }))).toEqual([['b', true, null]])
    await s.runTo(
      {
        outcome: 'failed',
        error: { code: 'usage', hint: 'Its profiles: a, b.' },
      },
      { action: 'probe', profiles: ['c'] },
    )
  })

  test('each profile by its own roots and limits', async () => {
    const stranger = await createRoot({ commonName: 'Stranger Root' })
    const s = await bound({
      change: profiles(
        { name: 'fine', tls: '1.2' },
        { name: 'rsa-only', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256', keyTypes: ['rsa-2048'] },
        { name: 'stranger', trustedRoots: [stranger.certPem] },
        { name: 'small', maxChainBytes: 400 },
      ),
    })
    const result = await s.runTo({ outcome: 'failed', error: { code: 'not-served' } }, { action: 'probe' })
    expect(result.error?.message).toContain('(and 2 more)')
    const { verdicts: all } = addressOf(result, A)
    const problems = Object.fromEntries(all.map(v => [v.profile, v.problem]))
    expect(problems).toMatchObject({
      fine: null,
      'rsa-only': expect.stringMatching(
        /^no handshake: ERR_SSL_[\w/]+; others are served CN=iot.example.com by/,
      ),
      stranger: expect.stringContaining('no root issues'),
      small: expect.stringContaining('400'),
    })
    // A table's line with its reason stands under the verdict, as preflight would have said it.
    expect(all.find(v => v.profile === 'small')?.lines).toMatchObject([{ verdict: 'refuse' }])
    await nothingChanged(s)
  })

  test('a wrong certificate at one of two addresses', async () => {
    const s = await bound({ addresses: [A, B] })
    s.device.switches.serveAt = { [B]: await s.issue(-1, 80) }
    const result = await s.run({ action: 'probe' })
    expect(result.error?.message).toMatch(
      /^127\.0\.0\.2: devices: it is served CN=iot\.example\.com by .* \([0-9a-f]{16}…\)$/,
    )
    expect(verdicts(result, A)).toEqual([[null, true, null]])
    expect(verdicts(result, B)).toEqual([[null, false, null]])
  })

  test('one that alternates is not well, and it says how often', async () => {
    const s = await bound()
    s.iotda.bind(await s.upload(-1, 80))
    // Two handshakes for each look; every other one is shown the certificate before.
    s.device.switches.flap = 3
    const others = await s.run({ action: 'probe' })
    expect(others.error?.message).toMatch(
      /devices: others are served CN=iot\.example\.com .*, in 2 of 3 looks$/,
    )
    s.device.switches.flap = 0
    expect((await s.run({ action: 'probe' })).outcome).toBe('probed')
  })

  test('what is bound cannot be read: what is served is told, and no canary connects', async () => {
    let connects = 0
    const s = await bound({
      authenticate: () => {
        connects += 1
        return true
      },
      change: put({ 'targets.0.probe.canary': DEVICE }),
    })
    s.faults.add({ operations: ['iotda.*'], status: 401, times: 100 })
    const result = await s.runTo(
      {
        outcome: 'failed',
        error: { code: 'unauthorized' },
        probe: { expected: null },
      },
      { action: 'probe' },
    )
    expect(verdicts(result)).toEqual([[null, true, 'not-sent']])
    expect(connects).toBe(0)
  })

  test('a silent port: the time is limited, and every profile is told why', async () => {
    const s = await bound({ change: profiles({ name: 'a', tls: '1.2' }, { name: 'b', tls: '1.3' }) })
    await s.device.setDown('silent')
    const started = Date.now()
    const result = await s.run({ action: 'probe' })
    expect(Date.now() - started).toBeLessThan(12_000)
    expect(result.error?.message).toBe('127.0.0.1: profile "a": no answer: no answer within 5 s (and 1 more)')
    expect(addressOf(result, A)).toMatchObject({ chain: [], daysLeft: null, error: 'no answer within 5 s' })
  })
})

describe('its canary', () => {
  async function withCanary(lets: () => boolean, options: ScenarioOptions = {}) {
    const said: string[] = []
    const s = await bound({
      ...options,
      authenticate: (_id, _user, password) => {
        said.push(password ?? '')
        return lets()
      },
      change: settings => {
        settings.targets[0].probe.canary = DEVICE
        options.change?.(settings)
      },
    })
    return { s, said }
  }

  test('connects once to each address', async () => {
    const { s, said } = await withCanary(() => true, { addresses: [A, B] })
    const result = await s.run({ action: 'probe' })
    expect(verdicts(result, A)).toEqual([[null, true, 'accepted']])
    expect(verdicts(result, B)).toEqual([[null, true, 'accepted']])
    expect(said).toHaveLength(2)
  })

  test('is refused', async () => {
    const { s } = await withCanary(() => false)
    const result = await s.run({ action: 'probe' })
    expect(verdicts(result)).toEqual([[null, false, 'refused']])
    expect(result.error?.message).toBe(
      '127.0.0.1: devices: its canary was refused: CONNACK 5: not authorized',
    )
  })

  test('says nothing to a certificate of a stranger, to one that is not bound, or past its end', async () => {
    const { s, said } = await withCanary(() => true)
    const issuer = await createRoot({ commonName: 'Stranger Root' })
    const foreign = await issueLeaf({ names: [s.domain], issuer })
    s.device.switches.serve = { certPem: foreign.chainPem, keyPem: foreign.keyPem }
    expect(verdicts(await s.run({ action: 'probe' }))).toEqual([[null, false, 'not-sent']])
    s.device.switches.serve = await s.issue(-1, 80)
    expect(verdicts(await s.run({ action: 'probe' }))).toEqual([[null, false, 'not-sent']])
    s.device.switches.serve = null
    s.clock.advance(61 * 86_400_000)
    expect(verdicts(await s.run({ action: 'probe' }))).toEqual([[null, false, 'not-sent']])
    expect(said).toEqual([])
  })
})

describe('the command', () => {
  const human = ({ stdout, stderr }: Ended): string => `${stdout}${stderr}`

  test('of a target: in words and as JSON, exit 0 when all is well, and no secret anywhere', async () => {
    const passwords = new Set<string>()
    const s = await bound({
      authenticate: (clientId, _user, password) => {
        const hour = clientId.slice(-10)
        passwords.add(createHmac('sha256', hour).update(SECRET).digest('hex'))
        return passwords.has(password ?? '')
      },
      change: put({
        'targets.0.probe.canary': { ...DEVICE, secret: 'env:TEST_CANARY' },
        'targets.0.profiles': [{ name: 'meter-v1', tls: '1.2' }],
      }),
    })
    const env = { TEST_CANARY: SECRET }
    const words = await cli(s.rig, ['probe', '--target', 'factory-1', '--verbose'], env)
    expect(words.code, human(words)).toBe(0)
    expect(words.stdout).toMatch(/^probed {2}factory-1: /)
    expect(words.stdout).toMatch(/127\.0\.0\.1:\d+ {2}59 days left, TLSv1\.3 TLS_AES_/)
    expect(words.stdout).toMatch(
      /leaf {3}CN=iot\.example\.com, ec-256, by .*, \S+Z to \S+Z, sha256 [0-9a-f]{64}\n {4}issuer/,
    )
    expect(words.stdout).toMatch(/accepts meter-v1 \(TLSv1\.2 TLS_ECDHE_ECDSA_\S+, \d+ ms, canary accepted\)/)
    const json = await cli(s.rig, ['probe', '--json'], env)
    expect(json).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: true,
      results: [
        { outcome: 'probed', probe: { ok: true, addresses: [{ verdicts: [{ canary: 'accepted' }] }] } },
      ],
    })
    expect(passwords.size).toBeGreaterThan(0)
    for (const secret of [SECRET, Buffer.from(SECRET).toString('base64'), ...passwords])
      expect(`${human(words)}${human(json)}${s.rig.logged.join('')}`).not.toContain(secret)
    await nothingChanged(s)
  })

  test('exit 1 when an address is not well, 2 for what the settings point at', async () => {
    const s = await bound({ change: profiles({ name: 'ancient', tls: '1.1' }) })
    const bad = await cli(s.rig, ['probe'])
    expect(bad.code).toBe(1)
    expect(bad.stdout).toMatch(/refuses ancient \(\d+ ms\): no handshake: ERR_SSL_/)
    const unknown = await cli(s.rig, ['probe', '--profile', 'other'])
    expect(unknown.code).toBe(2)
    expect(unknown.stdout).toContain('has no profile "other"')
  })

  test('of any host, without settings: devices with public roots would refuse the sandbox', async () => {
    const s = await bound()
    const host = `${A}:${s.device.port}`
    const ended = await spawnCli(['probe', host, '--sni', s.domain], { IOTDA_CERT_CONFIG: '' })
    expect(ended.code, human(ended)).toBe(1)
    expect(ended.stdout).toMatch(new RegExp(`^failed {2}${host.replaceAll('.', '\\.')}: `))
    expect(ended.stdout).toContain(`asked    for ${s.domain}`)
    expect(ended.stdout).toMatch(/59 days left, TLSv1\.3/)
    expect(ended.stdout).toMatch(/refuses any device .*no root issues/)
    const presets = await spawnCli(['probe', host, '--sni', s.domain, '-p', 'mbedtls-3', '--json'], {
      IOTDA_CERT_CONFIG: '',
    })
    expect(presets.code).toBe(1)
    expect(JSON.parse(presets.stdout)).toMatchObject({
      ok: false,
      results: [
        { target: host, probe: { expected: null, addresses: [{ verdicts: [{ profile: 'mbedtls-3' }] }] } },
      ],
    })
    await nothingChanged(s)
  })

  test('of any host, by a profile of the settings', async () => {
    const s = await bound({ change: profiles({ name: 'meter-v1', tls: '1.2' }) })
    const args = ['probe', `localhost:${s.device.port}`, '--sni', s.domain, '--profile', 'meter-v1', '--json']
    const ended = await cli(s.rig, args)
    const { results } = JSON.parse(ended.stdout)
    const looked = results[0].probe.addresses.filter((a: { error: unknown }) => a.error === null)
    expect(looked).toMatchObject([
      { address: A, verdicts: [{ profile: 'meter-v1', ok: true, protocol: 'TLSv1.2' }] },
    ])
    // `localhost` may be ::1 as well, where nobody listens: that is an address that is not well.
    expect(ended.code).toBe(results[0].probe.addresses.length === 1 ? 0 : 1)
    await nothingChanged(s)
  })

  test('of a host that cannot be reached or found', async () => {
    const s = await bound()
    await s.device.setDown('refuse')
    const closed = await spawnCli(['probe', `${A}:${s.device.port}`, '--sni', s.domain], {})
    expect(closed.code).toBe(1)
    expect(closed.stdout).toContain('no answer: ECONNREFUSED')
    const unknown = await spawnCli(['probe', 'nowhere.invalid'], {})
    expect(unknown.code).toBe(1)
    expect(unknown.stdout).toContain('nowhere.invalid:8883: ')
    expect(unknown.stdout).toContain('cannot be resolved')
    expect(CLI).toMatch(/dist/)
  })
})
