import { describe, expect, test } from 'vitest'
import type { Fault } from '../../sandbox/kit/faults.ts'
import { fillSlots, type SandboxOptions, type SandboxSettings } from '../../sandbox/sandbox.ts'
import { cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { expectRefusal, holdings, leftovers, orders } from './bad-input.ts'

/** Settings that are in order and point at something that is not: found out only by asking. */

/** A port nothing listens on. */
const NOWHERE = '127.0.0.1:1'
const ALWAYS = Number.MAX_SAFE_INTEGER

/** A world of its own for one test: several run side by side, for most of the time is waiting. */
async function start(
  onTestFinished: (dispose: () => Promise<void>) => void,
  options: SandboxOptions = {},
): Promise<{ readonly rig: Rig; readonly bound: string }> {
  const rig = await createRig(options)
  onTestFinished(rig.dispose)
  const { bound } = await fillSlots(rig.sandbox)
  return { rig, bound }
}

/** Once the cause is mended a run rotates. */
async function expectRotatesAfterMending(rig: Rig, ...flags: readonly string[]): Promise<void> {
  const bound = holdings(rig).configurations[0]?.server_certificate_id
  rig.sandbox.faults.clear()
  await rig.configure(() => {})
  const { code, stdout } = await cli(rig, ['rotate', '--json', ...flags])
  expect(code, stdout).toBe(0)
  expect(JSON.parse(stdout).results[0].outcome).toBe('rotated')
  expect(holdings(rig).certificates).toContain(bound)
  expect(holdings(rig).configurations[0]?.server_certificate_id).not.toBe(bound)
}

describe.concurrent('found before anything is ordered', () => {
  const iotda: readonly (readonly [
    string,
    (settings: SandboxSettings) => void,
    'unauthorized' | 'forbidden' | 'unreachable',
    readonly string[],
  ])[] = [
    [
      'the wrong signing scheme (401)',
      put({ 'targets.0.instance.signing': 'standard' }),
      'unauthorized',
      ['HTTP 401', 'set instance.signing to "derived"', 'accessKey and secretKey'],
    ],
    [
      'the wrong keys (401)',
      put({ 'credentials.cn.secretKey': 'not-the-secret' }),
      'unauthorized',
      ['HTTP 401', 'Check accessKey and secretKey'],
    ],
    [
      'an unknown instance',
      put({ 'targets.0.instance.instanceId': '99999999-2222-3333-4444-555555555555' }),
      'forbidden',
      ['IOTDA.000021', 'Check instance.endpoint, instance.projectId and instance.instanceId'],
    ],
    [
      'an unknown project',
      put({ 'targets.0.instance.projectId': 'f'.repeat(32) }),
      'forbidden',
      ['APIGW.0310', 'Check instance.endpoint, instance.projectId and instance.instanceId'],
    ],
    [
      'an unreachable IoTDA',
      put({ 'targets.0.instance.endpoint': `http://${NOWHERE}` }),
      'unreachable',
      [`no connection to ${NOWHERE}`, 'Check instance.endpoint'],
    ],
  ]
  test.for(iotda)('%s', async ([, change, code, says], { onTestFinished }) => {
    const { rig } = await start(onTestFinished)
    await rig.configure(change)
    await expectRefusal(rig, { code, says: ['ListDomainConfigurations', ...says] })
    expect(rig.sandbox.faults.calls.filter(c => !c.operation.startsWith('iotda.List'))).toEqual([])
    expect(await leftovers(rig)).toEqual([])
  })

  test.for([
    ['IOTDA.000022', 'The user does not have the permission.'],
    ['APIGW.0302', 'The user is not authorized.'],
  ] as const)('a missing permission (403 %s)', async ([errorCode, message], { onTestFinished }) => {
    const { rig } = await start(onTestFinished)
    rig.sandbox.faults.add(forbids('iotda.ListServerCertificates', errorCode, message))
    const says = ['ListServerCertificates', 'HTTP 403', errorCode, 'iotda:servercertificate:queryList']
    await expectRefusal(rig, { code: 'forbidden', says })
    expect(orders(rig)).toBe(0)
    expect(await leftovers(rig)).toEqual([])
    await expectRotatesAfterMending(rig)
  })

  const others: readonly (readonly [string, (settings: SandboxSettings) => void, readonly string[]])[] = [
    [
      'an unreachable CA',
      put({ 'sources.sandbox.directory': `https://${NOWHERE}/directory` }),
      [`no connection to ${NOWHERE}`, 'Check sources.sandbox.directory'],
    ],
    [
      'a CA behind a root that is not trusted',
      put({ 'sources.sandbox.caCertificates': null }),
      ['TLS with 127.0.0.1', 'a private CA needs its root in sources.sandbox.caCertificates'],
    ],
    [
      'an unreachable DNS API (webhook)',
      put({ 'solvers.dns.url': `http://${NOWHERE}` }),
      ['solver dns (webhook)', `no connection to ${NOWHERE}`, 'Check the url of the solver'],
    ],
    [
      'an unreachable DNS API (huaweicloud)',
      s => {
        const { propagation } = s.solvers.dns
        const endpoint = `http://${NOWHERE}`
        s.solvers.dns = { type: 'huaweicloud', credentials: 'cn', endpoint, propagation }
      },
      ['solver dns (huaweicloud)', `no connection to ${NOWHERE}`, 'Check endpoint'],
    ],
  ]
  test.for(others)('%s', async ([, change, says], { onTestFinished }) => {
    const { rig } = await start(onTestFinished)
    await rig.configure(change)
    await expectRefusal(rig, { code: 'unreachable', says })
    expect(orders(rig)).toBe(0)
    expect(await leftovers(rig)).toEqual([])
    await expectRotatesAfterMending(rig)
  })

  test('forced, and the CA is unreachable: the next run without force finds nothing to do', async ({
    onTestFinished,
  }) => {
    const { rig, bound } = await start(onTestFinished)
    const { ca, domain, iotda } = rig.sandbox
    for (const { id } of iotda.certificates()) if (id !== bound) iotda.deleteCertificate(id)
    const dates = {
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + 80 * 86_400_000),
    }
    const fresh = await ca.issue([domain], { ...dates, keyType: 'ec-256' })
    iotda.bind(iotda.upload(fresh.certPem, fresh.keyPem))
    await rig.configure(put({ 'sources.sandbox.directory': `https://${NOWHERE}/directory` }))
    const args = ['rotate', '--force']
    await expectRefusal(rig, { args, code: 'unreachable', says: ['Check sources.sandbox.directory'] })
    await rig.configure(() => {})
    const { code, stdout } = await cli(rig, ['rotate', '--json'])
    expect(code, stdout).toBe(0)
    expect(JSON.parse(stdout).results[0]).toMatchObject({ outcome: 'idle', decision: { reason: 'fresh' } })
    expect(orders(rig)).toBe(0)
  })
})

describe.concurrent('found in what the source gave', () => {
  // With --force: what reached a CA backs off, and both ways to print are looked at.
  const args = ['rotate', '--force']

  const bad: readonly (readonly [string, string, string])[] = [
    ['no DER', pem('AAAA'), 'block 1 of the PEM text is no certificate that can be read'],
    ['no end', '-----BEGIN CERTIFICATE-----\nMIIC', 'block 1 of the PEM text has no beginning or no end'],
  ]
  test.for(bad)('a malformed PEM: %s', async ([, body, why], { onTestFinished }) => {
    const { rig } = await start(onTestFinished)
    const headers = { 'content-type': 'application/pem-certificate-chain' }
    rig.sandbox.faults.add({ operations: ['acme.Certificate'], times: ALWAYS, status: 200, headers, body })
    const says = [
      `sources.sandbox gave no usable certificate: ${why}`,
      'See what stands behind sources.sandbox',
    ]
    await expectRefusal(rig, { args, code: 'certificate-invalid', says, dns: true })
    // The order is kept: its certificate is downloaded again, and no other one is ordered.
    await expectRotatesAfterMending(rig, '--force')
    expect(rig.sandbox.ca.orders).toHaveLength(1)
  })

  test('an expired chain', async ({ onTestFinished }) => {
    const { rig } = await start(onTestFinished, { ca: { backdateSeconds: 100 * 86_400 } })
    const says = [
      'the new certificate is refused: it expired at 20',
      'Nothing on IoTDA was changed. Check what the source gives for these names.',
    ]
    await expectRefusal(rig, { args, code: 'certificate-invalid', says, dns: true })
    rig.sandbox.ca.options.backdateSeconds = 3600
    await expectRotatesAfterMending(rig, '--force')
  })
})

const pem = (body: string): string => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`

const forbids = (operation: string, code: string, message: string): Fault => ({
  operations: [operation],
  times: ALWAYS,
  status: 403,
  body: JSON.stringify({ error_code: code, error_msg: message, request_id: 'request-1' }),
})
