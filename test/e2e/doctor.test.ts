/** `iotda-cert doctor` on a healthy world, and on one where a single link is broken. */
import { describe, expect, test } from 'vitest'
import { doctor } from '../../lib/app/doctor.ts'
import { silentLog } from '../../lib/base/log.ts'
import { createAcmeCa } from '../../sandbox/acme-ca/ca.ts'
import { fillSlots, type SandboxSettings } from '../../sandbox/sandbox.ts'
import { createS3, type S3Switches } from '../../sandbox/stores/s3.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import { createRig, type Rig } from '../support/rig.ts'

const open = async (change: (settings: SandboxSettings) => void = () => {}): Promise<Rig> => {
  const rig = await createRig()
  cleanups.push(rig.dispose)
  await fillSlots(rig.sandbox)
  await rig.configure(change)
  return rig
}
const examine = (rig: Rig, more: { write?: boolean; notify?: boolean } = {}) =>
  doctor({
    ...{ config: rig.settingsFile, write: false, notify: false, log: silentLog, ...more },
    deadline: Date.now() + 60_000,
  })
/** `check verdict`, in order. */
const said = async (rig: Rig, more = {}) =>
  (await examine(rig, more)).findings.map(it => `${it.check} ${it.verdict}`)
/** The one finding of a check that is not ok. */
const wrong = async (rig: Rig, check: string) => {
  const { ok, findings } = await examine(rig)
  const found = findings.filter(it => it.check === check && it.verdict !== 'ok')
  expect(found, JSON.stringify(findings, null, 1)).toHaveLength(1)
  return { ok, ...found[0] }
}
const writes = ({ sandbox }: Rig) =>
  sandbox.faults.calls
    .filter(it => !/^(GET|HEAD)$/.test(it.method) && !/^(device|dns)\./.test(it.operation))
    .map(it => it.operation)

describe('a healthy world', () => {
  test('every link is ok, and nothing is changed', async () => {
    const rig = await open()
    expect(await said(rig)).toEqual([
      ...['runtime ok', 'credentials ok', 'domain ok', 'slots ok', 'probe ok', 'ca ok', 'account ok'],
      ...['dns-zone ok', 'dns-solver ok', 'caa ok', 'store ok', 'seal-key ok', 'notifier warn'],
    ])
    expect(writes(rig)).toEqual([])
    expect(rig.sandbox.ca.issued.filter(it => it.accountUrl !== null)).toEqual([])
  })

  test('--write writes a TXT value, sees it and removes it', async () => {
    const rig = await open()
    expect(await said(rig, { write: true })).toContain('dns-write ok')
    expect(writes(rig)).toEqual(['httpreq.Present', 'httpreq.Cleanup'])
    const { zones } = rig.sandbox.dns
    expect(zones.list.flatMap(zone => zones.all(zone)).filter(it => it.type === 'TXT')).toEqual([])
  })

  test('after a rotation it knows the account', async () => {
    const rig = await open()
    await rig.result()
    const { findings } = await examine(rig)
    expect(findings.find(it => it.check === 'account')).toMatchObject({
      verdict: 'ok',
      message: expect.stringContaining('/accounts/'),
    })
  })

  test('the command says a line each, and its exit code', async () => {
    const rig = await open()
    const healthy = await cli(rig, ['doctor'])
    expect(healthy.code).toBe(0)
    expect(healthy.stdout).toMatch(/^ok {4}credentials factory-1 +the keys are accepted, signed with V11/m)
    expect(healthy.stdout).toMatch(/^warn {2}notifier .*\n +-> Add a notifier/m)
    await rig.configure(s => Object.assign(s.targets[0], { domain: 'other.example.com' }))
    await rig.configure(
      put({ 'targets.0.domain': 'other.example.com', 'certificates.iot.names': ['other.example.com'] }),
    )
    const ill = await cli(rig, ['doctor', '--json'])
    expect(ill.code).toBe(1)
    expect(JSON.parse(ill.stdout)).toMatchObject({ version: 1, ok: false })
    expect((await cli(rig, ['doctor', '--config', '{}'])).code).toBe(2)
  })
})

describe('a broken link is told, with the remedy', () => {
  test('a device watch without the permission to count', async () => {
    const rig = await open(put({ 'targets.0.devices': { watch: '8h', minimum: 1 } }))
    rig.sandbox.faults.add({ operations: ['iotda.SearchDevices'], status: 403, times: 100 })
    expect(await wrong(rig, 'devices')).toMatchObject({
      ok: false,
      verdict: 'fail',
      message: expect.stringContaining('devices cannot be counted'),
      remedy: expect.stringContaining('iotda:devices:queryList'),
    })
    rig.sandbox.faults.clear()
    expect(await wrong(rig, 'devices')).toMatchObject({ ok: true, verdict: 'warn' })
    rig.sandbox.iotda.index.devices = () => [{ deviceId: 'a', productId: 'p', status: 'ONLINE' }]
    expect(await said(rig)).toContain('devices ok')
  })

  test('the other way to sign', async () => {
    const rig = await open(s => Object.assign(s.targets[0].instance, { signing: 'standard' }))
    expect(await wrong(rig, 'credentials')).toMatchObject({
      ok: false,
      verdict: 'fail',
      remedy: expect.stringContaining('instance.signing of factory-1 to "derived"'),
    })
  })

  test('keys that are refused', async () => {
    const rig = await open(s => Object.assign(s.credentials.cn, { secretKey: 'another' }))
    expect(await wrong(rig, 'credentials')).toMatchObject({
      verdict: 'fail',
      message: expect.stringContaining('unauthorized'),
    })
  })

  test('another domain, and no domain configuration', async () => {
    const rig = await open(
      put({ 'targets.0.domain': 'other.example.com', 'certificates.iot.names': ['other.example.com'] }),
    )
    expect(await wrong(rig, 'domain')).toMatchObject({
      message: expect.stringContaining('not for other.example.com'),
    })
    const empty = await createRig()
    cleanups.push(empty.dispose)
    expect(await wrong(empty, 'domain')).toMatchObject({ remedy: expect.stringContaining('"create"') })
  })

  test('two slots that may not be freed', async () => {
    const rig = await open(s => Object.assign(s.targets[0], { slots: { delete: 'never' } }))
    expect(await wrong(rig, 'slots')).toMatchObject({ verdict: 'fail' })
  })

  test('a port that cannot be reached', async () => {
    const rig = await open(s => Object.assign(s.targets[0].probe, { port: 1 }))
    expect(await wrong(rig, 'probe')).toMatchObject({ verdict: 'warn', ok: true })
    await rig.configure(s => Object.assign(s.targets[0].probe, { port: 1, mode: 'require' }))
    expect(await wrong(rig, 'probe')).toMatchObject({ verdict: 'fail', ok: false })
  })

  test('a CA that does not answer, terms that are not agreed to', async () => {
    const rig = await open(s => Object.assign(s.sources.sandbox, { termsOfServiceAgreed: false }))
    expect(await wrong(rig, 'account')).toMatchObject({
      remedy: expect.stringContaining('sources.sandbox.termsOfServiceAgreed'),
    })
    rig.sandbox.faults.add({ operations: ['acme.Directory'], status: 503, times: 10 })
    expect(await wrong(rig, 'ca')).toMatchObject({ verdict: 'fail' })
  })

  test('CAA records that leave the CA out', async () => {
    const rig = await open()
    const { dns, domain } = rig.sandbox
    dns.zones.set({ name: `${domain}.`, type: 'CAA', values: ['0 issue "another-ca.example"'] })
    const finding = await wrong(rig, 'caa')
    expect(finding.message).toContain(`CAA of ${domain} allows another-ca.example`)
    expect(finding.verdict).toMatch(/warn|fail/)
  })

  test('CAA records that name another account, or leave the wildcard out', async () => {
    const rig = await open(put({ 'certificates.iot.names': ['example.com', '*.example.com'] }))
    await rig.result()
    const { zones } = rig.sandbox.dns
    const set = (...values: string[]) => zones.set({ name: 'example.com', type: 'CAA', values })
    set('0 issue "sandbox-ca.test"', '0 issuewild ";"')
    expect(await wrong(rig, 'caa')).toMatchObject({ subject: '*.example.com', verdict: 'fail' })
    set('0 issue "sandbox-ca.test; accounturi=https://elsewhere.test/1"', '0 issuewild "sandbox-ca.test"')
    expect(await wrong(rig, 'caa')).toMatchObject({
      subject: 'example.com',
      verdict: 'fail',
      message: expect.stringContaining('only for the account https://elsewhere.test/1'),
      remedy: expect.stringMatching(/accounturi=http\S+\/accounts\//),
    })
  })

  test('of several sources, the second one', async () => {
    const rig = await open(s => {
      s.sources.other = { ...s.sources.sandbox, solver: 'elsewhere' }
      s.solvers.elsewhere = { ...s.solvers.dns, url: 'http://127.0.0.1:1' }
      s.certificates.iot.source = ['sandbox', 'other']
    })
    expect(await wrong(rig, 'dns-solver')).toMatchObject({
      verdict: 'fail',
      message: expect.stringMatching(/^other: /),
    })
    const { findings } = await examine(rig)
    expect(findings.filter(it => it.check === 'caa').map(it => it.message)).toEqual([
      expect.stringMatching(/^sandbox: /),
      expect.stringMatching(/^other: /),
    ])
  })

  test('CAA records that leave the second CA out', async () => {
    const rig = await open()
    const { ca, dns, domain, faults } = rig.sandbox
    const other = await createAcmeCa({
      ...{ faults, dnsServer: ca.options.dnsServer, keyAlgorithm: 'ec-256' },
      caaIdentities: ['other-ca.test'],
    })
    cleanups.push(other.dispose)
    await rig.configure(s => {
      const at = { directory: other.directoryUrl, caCertificates: other.caPem }
      s.sources.other = { ...s.sources.sandbox, ...at }
      s.certificates.iot.source = ['sandbox', 'other']
    })
    dns.zones.set({ name: `${domain}.`, type: 'CAA', values: ['0 issue "sandbox-ca.test"'] })
    const finding = await wrong(rig, 'caa')
    expect(finding).toMatchObject({ ok: false, verdict: 'fail' })
    expect(finding.message).toMatch(/^other: .*allows sandbox-ca\.test/)
  })

  test('a name server that does not serve the zone', async () => {
    const rig = await open()
    const { zones } = rig.sandbox.dns
    zones.set({ name: 'ns2.example.com', type: 'A', values: ['127.0.0.9'] })
    zones.set({ name: 'example.com', type: 'NS', values: ['ns1.example.com', 'ns2.example.com'] })
    expect(await wrong(rig, 'dns-zone')).toMatchObject({
      ok: true,
      verdict: 'warn',
      message: expect.stringContaining('but ns2.example.com (127.0.0.9): no server there (ECONNREFUSED)'),
      remedy: expect.stringContaining('NS records of example.com'),
    })
  })

  test('a solver that does not work', async () => {
    const rig = await open(s => Object.assign(s.solvers.dns, { url: 'http://127.0.0.1:1' }))
    expect(await wrong(rig, 'dns-solver')).toMatchObject({ verdict: 'fail' })
  })

  /** State in a bucket of a simulator. */
  const inBucket = async (switches: Partial<S3Switches>, bucket = 'state') => {
    const rig = await open()
    const { faults } = rig.sandbox
    const keys = new Map([['AKIA', { secretAccessKey: 'secret' }]])
    const service = await createS3({ faults, keys, bucket: 'state', switches })
    cleanups.push(service.dispose)
    await rig.configure(s => {
      const place = { type: 's3', bucket, endpoint: service.url, region: 'eu-central-1' }
      const sealKey = Buffer.alloc(32, 7).toString('base64')
      s.store = { ...place, accessKeyId: 'AKIA', secretAccessKey: 'secret', sealKey }
    })
    return { rig, service }
  }

  test('a store that ignores conditions', async () => {
    const { rig } = await inBucket({ ignoreConditions: true })
    expect(await wrong(rig, 'store')).toMatchObject({
      message: expect.stringContaining('ignores the condition'),
    })
  })

  test('said "Create the bucket" of one that the deployment makes, which then was in its way', async () => {
    const { rig } = await inBucket({}, 'of-the-stack')
    expect(await wrong(rig, 'store')).toMatchObject({
      ok: true,
      verdict: 'warn',
      message: expect.stringContaining('NoSuchBucket'),
      remedy: expect.stringMatching(/osls deploy.*makes the bucket.*stateBucket=existing/),
    })
  })

  test('said ok of a store that cannot hold what a rotation writes', async () => {
    const { rig, service } = await inBucket({ failing: { prefix: 'iotda-cert/certificates/', status: 403 } })
    expect(await said(rig)).toContain('store ok')
    expect(await said(rig, { write: true })).toContain('store fail')
    service.switches.failing = null
    service.switches.asFiles = true
    expect(await said(rig, { write: true })).toContain('store ok')
    expect([...service.objects.keys()]).toEqual(['iotda-cert/leases/doctor'])
  })

  test('one broken link hides no other', async () => {
    const rig = await open(
      put({ 'credentials.cn.secretKey': 'another', 'solvers.dns.url': 'http://127.0.0.1:1' }),
    )
    const findings = await said(rig)
    expect(findings).toEqual(
      expect.arrayContaining(['credentials fail', 'dns-solver fail', 'store ok', 'ca ok']),
    )
  })
})

test('--notify sends a test message; without it none is sent', async () => {
  const receiver = await receiveAlerts()
  const rig = await open(put({ notifiers: [{ type: 'webhook', url: receiver.url }] }))
  expect(await said(rig)).toContain('notifier ok')
  expect(receiver.requests).toEqual([])
  expect(await said(rig, { notify: true })).toContain('notifier ok')
  expect(receiver.alerts).toMatchObject([
    { version: 1, event: 'test', severity: 'info', target: null, runbook: 'RUNBOOK.md#test' },
  ])
  // By the command, as a person would.
  const { code, stdout } = await cli(rig, ['doctor', '--notify'])
  expect(code, stdout).toBe(0)
  expect(stdout).toMatch(/^ok +notifier webhook-1 +has taken a test message/m)
  expect(receiver.alerts[1]?.event).toBe('test')
})
