/** A certificate that AWS ACM renews by itself, from the built command and over simulated months. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Sandbox, type SandboxSettings, startSandbox } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { killedRun, rotateHere } from '../support/renewal.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { DAY_MS, HOUR_MS, openScenario, type Scenario } from '../support/scenario.ts'
import { type AcmRig, boundPrint, heldPrint, openAcm } from './acm.ts'
import { stateFiles } from './bad-input.ts'

const exports = ({ sandbox: { faults } }: Rig): number =>
  faults.calls.filter(it => it.operation === 'acm.ExportCertificate').length
interface Upload {
  readonly certificate_pem: string
  readonly private_key: string
  readonly private_key_password?: string
}
const uploads = ({ sandbox: { faults } }: Rig): readonly Upload[] =>
  faults.calls
    .filter(it => it.operation === 'iotda.CreateServerCertificate')
    .map(it => JSON.parse(it.body) as Upload)

describe('by the built command', () => {
  const day = (days: number): Date => new Date(Date.now() + days * DAY_MS)

  /** Bound: one of another CA that ends in 20 days. The source holds one of ACM. */
  async function open(change: (settings: SandboxSettings) => void = () => {}) {
    const rig = await createRig({ ca: { keyAlgorithm: 'rsa-2048' } })
    cleanups.push(rig.dispose)
    const { ca, iotda, domain, faults } = rig.sandbox
    const { certPem, keyPem } = await ca.issue([domain], {
      notBefore: day(-70),
      notAfter: day(20),
      keyType: 'rsa-2048',
    })
    const before = iotda.upload(certPem, keyPem)
    iotda.createConfiguration(domain, before)
    const own = await openAcm(faults, { names: [domain], notBefore: day(-60), notAfter: day(138) })
    await rig.configure(settings => {
      settings.certificates.iot.keyType = 'rsa-2048'
      own.adjust(settings)
      change(settings)
    })
    return { rig, own, before }
  }
  const rotate = async (rig: Rig, exit = 0) => {
    const { code, stdout, stderr } = await cli(rig, ['rotate', '--json'])
    expect(code, stdout + stderr).toBe(exit)
    return JSON.parse(stdout).results[0]
  }

  test.each(['pkcs1', 'encrypted-pkcs8'])(
    'rotated, idle, renewed by ACM, rotated again, idle; the key as %s',
    async keyEncoding => {
      const { rig, own, before } = await open(settings => Object.assign(settings.targets[0], { keyEncoding }))
      const { iotda } = rig.sandbox
      expect(await rotate(rig)).toMatchObject({ outcome: 'rotated', decision: { reason: 'source-renewed' } })
      expect(boundPrint(iotda)).toBe(heldPrint(own))
      expect(await rotate(rig)).toMatchObject({
        outcome: 'idle',
        decision: { reason: 'fresh' },
        warnings: [],
      })
      expect(exports(rig)).toBe(1)

      iotda.deleteCertificate(before)
      await own.acm.renew(own.arn)
      const plan = JSON.parse((await cli(rig, ['plan', '--json'])).stdout).results[0]
      expect(plan).toMatchObject({ outcome: 'planned', decision: { reason: 'source-renewed' } })
      expect(await rotate(rig)).toMatchObject({ outcome: 'rotated', decision: { reason: 'source-renewed' } })
      expect(boundPrint(iotda)).toBe(heldPrint(own))
      expect(await rotate(rig)).toMatchObject({ outcome: 'idle' })
      expect(exports(rig)).toBe(2)

      const sent = uploads(rig)
      expect(sent).toHaveLength(2)
      for (const { certificate_pem, private_key, private_key_password: passphrase } of sent) {
        expect(certificate_pem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
        expect(private_key).toMatch(
          keyEncoding === 'pkcs1' ? /^-----BEGIN RSA PRIVATE KEY/ : /^-----BEGIN ENCRYPTED PRIVATE KEY/,
        )
        if (keyEncoding === 'pkcs1') expect(passphrase).toBeUndefined()
        else expect(passphrase).toMatch(/^[A-Za-z]{32,64}$/)
        const key = createPrivateKey({ key: private_key, ...(passphrase && { passphrase }) })
        expect(new X509Certificate(certificate_pem).checkPrivateKey(key)).toBe(true)
      }
      if (keyEncoding !== 'pkcs1')
        expect(sent[0]?.private_key_password).not.toBe(sent[1]?.private_key_password)
      // The keys are wiped.
      const state = await stateFiles(rig)
      expect([...state.keys()].filter(it => /^certificates\/iot\//.test(it))).toEqual([])
    },
    60_000,
  )

  test.each([
    ['acm.DescribeCertificate', 'after', 1],
    // Killed before its effect, too, it was asked for once.
    ['acm.ExportCertificate', 'before', 2],
    ['acm.ExportCertificate', 'after', 2],
    ['iotda.CreateServerCertificate', 'before', 1],
    ['iotda.CreateServerCertificate', 'after', 1],
    ['iotda.UpdateDomainConfiguration', 'before', 1],
    ['iotda.UpdateDomainConfiguration', 'after', 1],
  ] as const)('killed at %s, %s its effect: the next run goes on', async (operation, when, exported) => {
    const { rig, own } = await open()
    expect((await killedRun(rig, when, { operations: [operation] })).signal).toBe('SIGKILL')
    expect(await rotateHere(rig)).toMatchObject({ ok: true, outcome: 'rotated', error: null })
    expect(boundPrint(rig.sandbox.iotda)).toBe(heldPrint(own))
    expect(rig.sandbox.iotda.certificates()).toHaveLength(2)
    expect(exports(rig)).toBe(exported)
    expect(await rotateHere(rig)).toMatchObject({ ok: true, outcome: 'idle' })
  })

  test.each(['acm.ExportCertificate', 'iotda.CreateServerCertificate'])(
    'killed at %s, and ACM renews before the next run: the new one, with its own key',
    async operation => {
      const { rig, own } = await open()
      await killedRun(rig, 'before', { operations: [operation] })
      await own.acm.renew(own.arn)
      expect(await rotateHere(rig)).toMatchObject({ ok: true, outcome: 'rotated', error: null })
      expect(boundPrint(rig.sandbox.iotda)).toBe(heldPrint(own))
      expect(rig.sandbox.iotda.certificates()).toHaveLength(2)
    },
  )

  test('doctor and status say what ACM holds', async () => {
    const { rig, own } = await open()
    Object.assign(own.acm.find(own.arn), { exported: true })
    const found = async () => {
      const { stdout } = await cli(rig, ['doctor', '--json'])
      const findings = JSON.parse(stdout).findings as { check: string; verdict: string; message: string }[]
      return findings.find(it => it.check === 'certificate')
    }
    expect(await found()).toMatchObject({
      verdict: 'ok',
      message: expect.stringContaining(`it holds a certificate for ${rig.sandbox.domain}, valid until 20`),
    })
    own.acm.find(own.arn).renewal = { status: 'FAILED', reason: 'CAA_ERROR' }
    expect(await found()).toMatchObject({ verdict: 'warn', message: expect.stringContaining('CAA_ERROR') })
    own.acm.switches.denied = ['acm:DescribeCertificate']
    expect(await found()).toMatchObject({ verdict: 'fail', message: expect.stringContaining('AccessDenied') })
    await rig.configure(settings => {
      own.adjust(settings)
      settings.certificates.iot.names.push('other.example.com')
    })
    own.acm.switches.denied = []
    expect(await found()).toMatchObject({
      verdict: 'fail',
      message: expect.stringContaining('not for other.example.com'),
    })
  })
})

describe('two targets share a certificate', () => {
  const names = ['iot.example.com', 'iot2.example.com']

  async function pair(): Promise<{ s: Scenario; second: Sandbox; own: AcmRig }> {
    const s = await openScenario()
    const second = await startSandbox({ domain: 'iot2.example.com', now: s.clock.now })
    cleanups.push(second.dispose)
    const own = await openAcm(s.faults, { names, keyType: 'ec-256' }, s.clock.now)
    await s.configure(settings => {
      const other = second.settings()
      const [target] = other.targets
      settings.targets.push({
        ...{ ...target, name: 'factory-2', credentials: 'cn2', trustedRoots: s.ca.rootPem },
        instance: { ...target.instance, instanceId: null },
        probe: { ...target.probe, within: '2s' },
      })
      settings.credentials.cn2 = other.credentials.cn
      settings.certificates.iot.names = names
      own.adjust(settings)
    })
    for (const { iotda, domain } of [s.rig.sandbox, second]) {
      const { certPem, keyPem } = await s.issue(-10, 80, names)
      iotda.createConfiguration(domain, iotda.upload(certPem, keyPem))
    }
    return { s, second, own }
  }
  const outcomesOf = async (s: Scenario) =>
    (await s.rig.run({}, { clock: s.clock })).results.map(r => r.outcome)

  test('one export for both, and another one for each renewal', async () => {
    const { s, second, own } = await pair()
    for (const count of [1, 2, 3]) {
      expect(await outcomesOf(s)).toEqual(['rotated', 'rotated'])
      expect([s.iotda, second.iotda].map(boundPrint)).toEqual([heldPrint(own), heldPrint(own)])
      expect(exports(s.rig)).toBe(count)
      s.clock.advance(2 * HOUR_MS)
      expect(await outcomesOf(s)).toEqual(['idle', 'idle'])
      s.clock.advance(100 * DAY_MS)
      await own.acm.renew(own.arn)
    }
  })

  test('one that was out of order while ACM renewed twice gets the newest', async () => {
    const { s, second, own } = await pair()
    second.faults.add({ operations: ['iotda.*'], status: 503, times: 999 })
    expect(await outcomesOf(s)).toEqual(['rotated', 'failed'])
    s.clock.advance(2 * DAY_MS)
    await own.acm.renew(own.arn)
    expect(await outcomesOf(s)).toEqual(['rotated', 'failed'])
    second.faults.clear()
    s.clock.advance(2 * DAY_MS)
    expect(await outcomesOf(s)).toEqual(['idle', 'rotated'])
    expect([s.iotda, second.iotda].map(boundPrint)).toEqual([heldPrint(own), heldPrint(own)])
    expect(await outcomesOf(s)).toEqual(['idle', 'idle'])
    expect([...(await stateFiles(s.rig)).keys()].filter(it => /^certificates\/iot\//.test(it))).toEqual([])
  })
})

describe('over months', () => {
  let s: Scenario
  let own: AcmRig
  let adjust: (settings: SandboxSettings) => void

  beforeEach(async () => {
    s = await openScenario()
    own = await openAcm(s.faults, { names: [s.domain], keyType: 'ec-256' }, s.clock.now)
    adjust = own.adjust
    await s.configure(adjust)
    await s.bindOne(60)
    expect(await s.run()).toMatchObject({ outcome: 'rotated', decision: { reason: 'source-renewed' } })
    expect(boundPrint(s.iotda)).toBe(heldPrint(own))
    s.changes()
  })
  const renewed = async (): Promise<void> => {
    expect(await s.run()).toMatchObject({ outcome: 'rotated', decision: { reason: 'source-renewed' } })
    expect(boundPrint(s.iotda)).toBe(heldPrint(own))
    expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'idle', error: null, warnings: [] })
  }

  test('nothing is done until ACM renews, and then at once', async () => {
    for (let days = 0; days < 150; days += 30) {
      expect(await s.later(30 * DAY_MS)).toMatchObject({ outcome: 'idle', decision: { reason: 'fresh' } })
    }
    expect(s.changes()).toEqual([])
    await own.acm.renew(own.arn)
    await renewed()
    s.clock.advance(150 * DAY_MS)
    await own.acm.renew(own.arn)
    await renewed()
  })

  test("a renewal that fails is a warning, near the end a failure with ACM's reason, and over when it is mended", async () => {
    const certificate = own.acm.find(own.arn)
    certificate.renewal = { status: 'FAILED', reason: 'CAA_ERROR' }
    expect(await s.later(150 * DAY_MS)).toMatchObject({
      outcome: 'idle',
      warnings: [{ code: 'source', message: 'sources.aws: ACM could not renew it (CAA_ERROR)' }],
    })
    s.clock.advance(25 * DAY_MS)
    s.faults.clearCalls()
    expect(await s.run()).toMatchObject({
      outcome: 'failed',
      decision: { due: true, reason: 'expiring' },
      error: {
        code: 'not-renewed',
        message: expect.stringContaining('ACM could not renew it (CAA_ERROR)'),
        hint: expect.stringContaining('CAA'),
      },
    })
    // Nothing was spent: no back-off keeps the next run from seeing that ACM has renewed.
    expect(await s.later(HOUR_MS / 2)).toMatchObject({ outcome: 'failed', error: { code: 'not-renewed' } })
    expect(s.faults.calls.map(it => it.operation)).not.toContain('acm.ExportCertificate')
    await own.acm.renew(own.arn)
    await renewed()
  })

  test('a second source is asked instead when ACM has not renewed; ACM is taken again when it has', async () => {
    await s.configure(settings => {
      adjust(settings)
      settings.certificates.iot.source = ['aws', 'sandbox']
    })
    expect(await s.later(175 * DAY_MS)).toMatchObject({
      outcome: 'rotated',
      decision: { reason: 'expiring' },
      error: null,
    })
    expect(s.obtained()).toBe(1)
    expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'idle' })
    await own.acm.renew(own.arn)
    s.clock.advance(2 * HOUR_MS)
    await renewed()
    expect(s.obtained()).toBe(1)
  })

  test('as a second source it is asked when the first fails', async () => {
    await s.configure(settings => {
      adjust(settings)
      settings.certificates.iot.source = ['sandbox', 'aws']
    })
    const body = JSON.stringify({ type: 'urn:ietf:params:acme:error:rejectedIdentifier', detail: 'never' })
    s.faults.add({ operations: ['acme.NewOrder'], status: 400, body, times: 99 })
    await own.acm.renew(own.arn)
    expect(await s.later(2 * HOUR_MS)).toMatchObject({
      outcome: 'rotated',
      decision: { reason: 'settings-changed' },
    })
    expect(boundPrint(s.iotda)).toBe(heldPrint(own))
    expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'idle' })
  })

  test('what devices refuse is put back, and not tried again until ACM renews', async () => {
    const [wrong, before] = [await s.issue(-1, 90, ['other.example.com']), s.boundId()]
    s.clock.advance(100 * DAY_MS)
    await own.acm.renew(own.arn)
    const stop = s.iotda.onBind(() => {
      s.device.switches.serve = s.boundId() === before ? null : wrong
    })
    expect(await s.run()).toMatchObject({ outcome: 'rolled-back' })
    stop()
    s.device.switches.serve = null
    for (let days = 0; days < 5; days += 1) {
      expect(await s.later(2 * DAY_MS)).toMatchObject({
        outcome: 'refused',
        error: {
          code: 'preflight-refused',
          message: expect.stringContaining('had to be rolled back before'),
          hint: expect.stringContaining('--accept '),
        },
      })
      expect(s.boundId()).toBe(before)
    }
    await own.acm.renew(own.arn)
    s.clock.advance(2 * DAY_MS)
    await renewed()
  })

  test('and is bound when a person accepts exactly that one', async () => {
    const [wrong, before] = [await s.issue(-1, 90, ['other.example.com']), s.boundId()]
    s.clock.advance(100 * DAY_MS)
    await own.acm.renew(own.arn)
    const stop = s.iotda.onBind(() => {
      s.device.switches.serve = s.boundId() === before ? null : wrong
    })
    await s.run()
    stop()
    s.device.switches.serve = null
    s.clock.advance(2 * DAY_MS)
    const accept = heldPrint(own).replaceAll(':', '').toLowerCase()
    expect(await s.run({ accept })).toMatchObject({ outcome: 'rotated' })
    expect(boundPrint(s.iotda)).toBe(heldPrint(own))
  })

  test('what a person has to mend fails now, and not only at the end; nothing is changed by it', async () => {
    s.clock.advance(DAY_MS)
    own.acm.switches.denied = ['acm:DescribeCertificate']
    expect(await s.run()).toMatchObject({
      outcome: 'failed',
      error: { code: 'forbidden', hint: expect.stringContaining(`Allow acm:DescribeCertificate`) },
    })
    expect(await s.run({ action: 'status' })).toMatchObject({
      error: null,
      warnings: [{ code: 'source', message: expect.stringContaining('AccessDenied') }],
    })
    expect(s.changes()).toEqual([])
    own.acm.switches.denied = []
    expect(await s.run()).toMatchObject({ outcome: 'idle', error: null })
  })

  test('an outage of ACM is a warning while the bound one is fresh', async () => {
    s.clock.advance(DAY_MS)
    s.faults.add({ operations: ['acm.*'], status: 503, times: 3 })
    expect(await s.run()).toMatchObject({
      outcome: 'idle',
      error: null,
      warnings: [{ code: 'source', message: expect.stringContaining('answered HTTP 503') }],
    })
    expect(await s.run()).toMatchObject({ outcome: 'idle', warnings: [] })
  })

  test('other settings ask for nothing that ACM cannot give, and say what it lacks', async () => {
    await s.configure(settings => {
      adjust(settings)
      settings.certificates.iot.keyType = 'rsa-4096'
      settings.certificates.iot.names.push('other.example.com')
    })
    expect(await s.later(DAY_MS)).toMatchObject({
      outcome: 'idle',
      warnings: [{ code: 'source', message: 'sources.aws: what it holds is not for other.example.com' }],
    })
    await own.acm.renew(own.arn)
    const bound = s.boundId()
    expect(await s.run()).toMatchObject({
      outcome: 'refused',
      error: {
        code: 'certificate-invalid',
        message: expect.stringContaining('do not cover other.example.com'),
        hint: expect.stringContaining('certificates.iot.names'),
      },
    })
    expect(s.boundId()).toBe(bound)
  })

  test('force has nothing to deploy but what is bound', async () => {
    expect(await s.later(DAY_MS, { force: true })).toMatchObject({
      outcome: 'failed',
      error: { code: 'not-renewed' },
    })
    expect(s.changes()).toEqual([])
  })

  test('a person who binds another one is not overruled until ACM renews', async () => {
    s.clock.advance(10 * DAY_MS)
    await own.acm.renew(own.arn)
    for (const id of s.ids()) if (id !== s.boundId()) s.iotda.deleteCertificate(id)
    const personal = await s.upload(-80, 300)
    s.iotda.bind(personal)
    for (let days = 0; days < 20; days += 10) {
      expect(await s.later(10 * DAY_MS)).toMatchObject({ outcome: 'idle' })
      expect(s.boundId()).toBe(personal)
    }
    await own.acm.renew(own.arn)
    await renewed()
  })
})
