/** What devices would not take is refused before anything on IoTDA changes; and who may let it pass. */
import { X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { resultText } from '../../lib/present/text.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { caExtensions, issue } from '../support/issue.ts'
import {
  ADD,
  BIND,
  DAY_MS,
  HOUR_MS,
  openDue,
  type Scenario,
  type ScenarioOptions,
  warningsOf,
} from '../support/scenario.ts'

/** Due, looked after by us, and with devices of one more profile in the field. */
async function dueWith(profile: object, more: object = {}, options: ScenarioOptions = {}) {
  const { s, bound } = await openDue(options)
  const configure = (own: object | null, others: object = more): Promise<void> =>
    s.configure(settings =>
      Object.assign(settings.targets[0], {
        profiles: own === null ? [] : [{ name: 'meter-v1', ...own }],
        ...others,
      }),
    )
  await configure(profile)
  s.changes()
  return { s, bound, configure }
}

const otherRoot = () =>
  issue({
    subject: 'CN=Burnt In',
    notBefore: Date.now() - 900 * DAY_MS,
    notAfter: Date.now() + 900 * DAY_MS,
    extensions: caExtensions(),
  })

const fingerprintOf = ({ error }: TargetResult): string => {
  const [, fingerprint] = /--accept ([0-9a-f]{64})/.exec(error?.hint ?? '') ?? []
  if (!fingerprint) throw new Error('the hint names no fingerprint')
  return fingerprint
}
const stepOf = (result: TargetResult, name: string) => result.steps.findLast(({ step }) => step === name)
const callsOf = (s: Scenario): readonly string[] => {
  const calls: string[] = []
  s.faults.onCall(({ operation, method }) => {
    if (operation.startsWith('iotda.')) calls.push(method)
  })
  return calls
}
const RSA_ONLY = { keyTypes: ['rsa-2048'] }

describe('a certificate that devices would refuse', () => {
  test('changes nothing on IoTDA: its log shows reads only', async () => {
    const root = await otherRoot()
    const { s, bound } = await dueWith({ trustedRoots: [root.pem] })
    const calls = callsOf(s)
    const result = await s.runTo({
      outcome: 'refused',
      error: {
        code: 'preflight-refused',
        message: expect.stringMatching(/profile meter-v1: .*its trustedRoots: "CN=Burnt In"/),
      },
      before: { serverCertificateId: bound },
      after: { serverCertificateId: bound },
    })
    expect(stepOf(result, 'preflight')).toMatchObject({
      status: 'refused',
      table: expect.arrayContaining([
        expect.objectContaining({ check: 'path', profile: 'meter-v1', verdict: 'refuse' }),
        expect.objectContaining({ check: 'key', verdict: 'ok', served: 'ec-256', new: 'ec-256' }),
      ]),
    })
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([])
    expect(new Set(calls)).toEqual(new Set(['GET']))

    // Mended settings are enough: the certificate in hand is deployed without another order.
    s.clock.advance(2 * HOUR_MS)
    await s.configure(() => {})
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.obtained()).toBe(1)
  })

  test('says so in a table that people can read', async () => {
    const { s } = await dueWith({ ...RSA_ONLY, maxChainDepth: 9 })
    const text = resultText(
      {
        version: 1,
        runId: '',
        trigger: '',
        ok: false,
        startedAt: '',
        finishedAt: '',
        results: [await s.run()],
      },
      'rotate',
    )
    expect(text).toMatch(/ {2}devices {2}what preflight found:\n/)
    expect(text).toMatch(
      / ✗ key +meter-v1 +ec-256\n +it has an ec-256 key, which is none of rsa-2048\n +-> set /,
    )
    expect(text).toMatch(/ ✓ trusted-until +meter-v1 +\S+Z {2}\(today \S+Z\)\n/)
  })

  test('one profile of several is enough', async () => {
    const { s, configure } = await dueWith({})
    await configure(null, {
      profiles: ['openssl', { name: 'old', ...RSA_ONLY }, { name: 'new', tls: '1.3' }],
    })
    const result = await s.run()
    expect(result.error?.message).toBe(
      'the new certificate is refused: profile old: it has an ec-256 key, which is none of rsa-2048',
    )
    expect(s.changes()).toEqual([])
  })

  test('plan shows what would be said of the certificate in hand', async () => {
    const { s, configure } = await dueWith(RSA_ONLY)
    await s.run()
    const plan = await s.runTo({ outcome: 'planned' }, { action: 'plan', force: true })
    expect(stepOf(plan, 'preflight')).toMatchObject({
      status: 'skipped',
      detail: expect.stringContaining(
        'would refuse the certificate in hand: profile meter-v1: it has an ec-256',
      ),
      table: expect.arrayContaining([expect.objectContaining({ check: 'key', verdict: 'refuse' })]),
    })
    await configure({ keyTypes: ['ec-256'] })
    const better = await s.run({ action: 'plan', force: true })
    expect(stepOf(better, 'preflight')?.detail).toBe('would accept the certificate in hand')
    expect(s.changes()).toEqual([])
  })
})

describe('accept', () => {
  test('binds exactly that one, once, and the log says who asked', async () => {
    const { s } = await dueWith(RSA_ONLY)
    const accept = fingerprintOf(await s.run())
    const result = await s.runTo(
      { outcome: 'rotated', after: { fingerprint: accept } },
      { accept, askedBy: 'ada' },
    )
    expect(result.warnings).toContainEqual({
      code: 'accepted',
      message: 'accepted by ada: profile meter-v1: it has an ec-256 key, which is none of rsa-2048',
    })
    expect(stepOf(result, 'preflight')).toMatchObject({ status: 'skipped', table: expect.any(Array) })
    const logged = s.rig.logged.filter(line => line.includes('was accepted')).map(line => JSON.parse(line))
    expect(logged).toEqual([expect.objectContaining({ level: 'warn', askedBy: 'ada', fingerprint: accept })])
    expect(s.changes()).toEqual([ADD, BIND])
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('is not remembered: a run without it refuses again', async () => {
    const { s } = await dueWith(RSA_ONLY)
    const accept = fingerprintOf(await s.run())
    expect(await s.run({ accept, until: 'preflight' })).toMatchObject({ outcome: 'suspended' })
    await s.run({ action: 'resume' })
    expect(await s.run()).toMatchObject({ outcome: 'refused', error: { code: 'preflight-refused' } })
    expect(s.changes()).toEqual([])
  })

  test('does not cover what is no question of devices', async () => {
    const { s } = await dueWith(RSA_ONLY)
    const accept = fingerprintOf(await s.run())
    expect(await s.later(80 * DAY_MS, { accept, force: true })).not.toMatchObject({
      after: { fingerprint: accept },
    })
  })
})

describe('the neighbours of preflight in the precedence', () => {
  test('held goes before: nothing is obtained, nothing is judged', async () => {
    const { s } = await dueWith(RSA_ONLY)
    await s.run({ action: 'hold' })
    const result = await s.runTo({ outcome: 'held' })
    expect(stepOf(result, 'preflight')).toBeUndefined()
    expect(s.obtained()).toBe(0)
  })

  test('preflight goes before the emergency', async () => {
    const { s, bound } = await dueWith(RSA_ONLY)
    expect(await s.later(17 * DAY_MS)).toMatchObject({
      outcome: 'refused',
      decision: { reason: 'emergency' },
      error: { code: 'preflight-refused' },
    })
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([])
  })

  test('unless the target says otherwise', async () => {
    const { s } = await dueWith(RSA_ONLY, { preflight: { emergency: 'bind' } })
    expect(await s.run()).toMatchObject({ outcome: 'refused', decision: { reason: 'renewal-window' } })
    expect(s.changes()).toEqual([])
    const result = await s.later(17 * DAY_MS)
    expect(result).toMatchObject({ outcome: 'rotated', decision: { reason: 'emergency' } })
    expect(result.warnings).toContainEqual({
      code: 'emergency',
      message: 'bound in the emergency: profile meter-v1: it has an ec-256 key, which is none of rsa-2048',
    })
    expect(s.changes()).toEqual([ADD, BIND])
  })

  test('the emergency does not excuse a certificate that is wrong by itself', async () => {
    const { s } = await dueWith({ tls: '1.2' }, { preflight: { emergency: 'bind' } })
    s.clock.advance(17 * DAY_MS)
    s.ca.options.backdateSeconds = -7200
    await s.runTo({ outcome: 'refused', error: { code: 'certificate-invalid' } })
    expect(s.changes()).toEqual([])
  })

  test('preflight goes before the soak: a refused certificate is not even uploaded', async () => {
    const { s } = await dueWith(RSA_ONLY, { minAge: '1d' })
    expect(await s.run()).toMatchObject({ outcome: 'refused' })
    expect(s.changes()).toEqual([])
  })

  test('and before force', async () => {
    const { s } = await dueWith(RSA_ONLY)
    expect(await s.run({ force: true })).toMatchObject({ outcome: 'refused', decision: { reason: 'forced' } })
    expect(s.changes()).toEqual([])
  })
})

describe('a clock that lags', () => {
  test('waits until every device takes it for valid', async () => {
    const { s } = await dueWith({ clockLag: '2d' })
    const first = await s.runTo({ outcome: 'suspended', error: null })
    expect(stepOf(first, 'preflight')?.detail).toContain(
      'profile meter-v1: not yet valid for a device whose clock lags 2d',
    )
    expect(s.changes()).toEqual([])
    expect(await s.later(2 * DAY_MS)).toMatchObject({ outcome: 'rotated' })
    expect(s.obtained()).toBe(1)
  })

  test('is no matter with a soak that is long enough', async () => {
    const { s } = await dueWith({ clockLag: '2d' }, { minAge: '2d' })
    expect(await s.run()).toMatchObject({ outcome: 'suspended' })
    expect(s.changes()).toEqual([ADD])
    expect(await s.later(2 * DAY_MS)).toMatchObject({ outcome: 'rotated' })
    expect(s.changes()).toEqual([BIND])
  })

  test('waits no longer than the emergency, and not a day less: the bound one would have ended by then', async () => {
    const { s, bound } = await dueWith({ clockLag: '30d' })
    const first = await s.runTo({ outcome: 'suspended' })
    expect(stepOf(first, 'preflight')?.detail).toContain('not bound before the emergency')
    expect(s.changes()).toEqual([])
    expect(await s.later(15 * DAY_MS)).toMatchObject({ outcome: 'suspended' })
    expect(s.boundId()).toBe(bound)
    const result = await s.later(2 * DAY_MS)
    expect(result).toMatchObject({ outcome: 'rotated', decision: { reason: 'emergency' } })
    expect(result.warnings.map(w => w.message).join()).toContain(
      'bound all the same, since nothing else is valid',
    )
    expect(s.obtained()).toBe(1)
  })
})

describe('rollback by hand', () => {
  test('refuses what a profile would refuse, and holds nothing', async () => {
    const { s, bound, configure } = await dueWith({ tls: '1.2' })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    const ours = s.boundId()
    s.changes()
    await configure(RSA_ONLY)
    const result = await s.runTo(
      { outcome: 'refused', error: { code: 'preflight-refused' } },
      { action: 'rollback' },
    )
    expect(result.error?.message).toMatch(
      /^the previous certificate is refused: profile meter-v1: it has an ec-256/,
    )
    expect(stepOf(result, 'preflight')).toMatchObject({ status: 'refused', table: expect.any(Array) })
    expect(s.boundId()).toBe(ours)
    expect(s.changes()).toEqual([])
    expect(await s.run()).not.toMatchObject({ outcome: 'held' })

    const accepted = await s.runTo(
      { outcome: 'rotated', after: { serverCertificateId: bound } },
      { action: 'rollback', accept: fingerprintOf(result) },
    )
    expect(warningsOf(accepted)).toContain('accepted')
    expect(s.boundId()).toBe(bound)
  })
})

test('roots may stand in profiles alone: what is bound is adopted by them, and renewed', async () => {
  const { s } = await openDue({
    change: settings => {
      const [target] = settings.targets
      target.profiles = [{ name: 'meter-v1', trustedRoots: [target.trustedRoots] }]
      target.trustedRoots = null
    },
  })
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
})

describe('the calendar of roots', () => {
  test('status and the report say when a root ends soon', async () => {
    const { s, configure } = await dueWith({ tls: '1.2' })
    const quiet = await s.run({ action: 'status' })
    expect(warningsOf(quiet)).not.toContain('root-ends')
    const spare = await issue({
      subject: 'CN=Spare',
      notBefore: s.clock.now() - DAY_MS,
      notAfter: s.clock.now() + 50 * DAY_MS,
      extensions: caExtensions(),
    })
    await configure({ trustedRoots: [s.ca.rootPem, spare.pem] })
    for (const result of [await s.run({ action: 'status' }), await s.run(), await s.run()])
      expect(result.warnings.filter(w => w.code === 'root-ends').map(w => w.message)).toEqual([
        expect.stringContaining('the root of profile meter-v1 "CN=Spare" ends in'),
      ])
    expect(new X509Certificate(s.ca.rootPem).ca).toBe(true)
  })
})

test('IoTDA refuses a certificate without CN: the bound one stays, and the run goes on once it takes one', async () => {
  const { s, bound } = await openDue()
  s.ca.options.commonName = false
  s.iotda.switches.withoutCommonName = 'refuse'
  const refused = await s.run()
  expect(refused).toMatchObject({
    outcome: 'failed',
    error: { code: 'service-refused', message: expect.stringContaining('IOTDA.014326') },
  })
  expect(s.boundId()).toBe(bound)
  expect(s.ids()).toContain(bound)
  s.iotda.switches.withoutCommonName = 'accept'
  await s.later(2 * HOUR_MS)
  expect(s.boundId()).not.toBe(bound)
})
