import { createPrivateKey, X509Certificate } from 'node:crypto'
import * as v from 'valibot'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../lib/base/log.ts'
import { secret } from '../../lib/base/secret.ts'
import type {
  CertificateRequest,
  CertificateSource,
  Inventory,
  Run,
  SourceContext,
} from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'
import acm from '../../lib/sources/acm.ts'
import { leafOf, parseChain } from '../../lib/x509/certificate.ts'
import { type Acm, createAcm } from '../../sandbox/acm/acm.ts'
import type { CertificateRequest as Wanted } from '../../sandbox/acm/certificates.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { requestOf, specOf } from '../acme/rig.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, REGION } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { type FakeClock, fakeClock } from '../support/clock.ts'
import { failureOf as errorOf } from '../support/failure.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'

const DOMAIN = 'iot.example.com'
const DAY_MS = 86_400_000

let service: Acm
let faults: Faults
let clock: FakeClock

beforeEach(async () => {
  faults = createFaults()
  clock = fakeClock()
  service = await createAcm({ faults, keys: awsKeys, region: REGION, now: clock.now })
  cleanups.push(service.dispose)
})

const http = createHttp()
afterAll(() => http.close())
const context = (): SourceContext => ({
  name: 'aws',
  http: () => http,
  clock,
  log: silentLog,
  huaweiKeys: () => Promise.reject(new Error('not asked for')),
  memory: createSourceMemory(),
  solver: () => expect.unreachable('not asked for'),
})
const newRun = (more: Partial<Run> = {}): Run => ({
  runId: 'run-1',
  clock,
  log: silentLog,
  deadline: clock.now() + DAY_MS,
  signal: new AbortController().signal,
  ...more,
})
const keys = () => ({
  accessKeyId: secret(AWS_KEY),
  secretAccessKey: secret(AWS_SECRET),
  sessionToken: secret(AWS_TOKEN),
})
const open = (certificateArn: string, given: object = keys(), endpoint = service.url): CertificateSource =>
  acm.create({ ...v.parse(acm.settings, { certificateArn, endpoint }), ...given }, context())

const request = requestOf(specOf([DOMAIN]))
const nothingIsNews: CertificateRequest = { ...request, isNews: () => false }
const called = (): readonly string[] => faults.calls.map(it => it.operation.replace('acm.', ''))
const issued = (wanted: Partial<Wanted> = {}) =>
  service.request({ names: [DOMAIN], keyType: 'ec-256', ...wanted })
const obtain = (arn: string, wanted = request, journal = createJournal(), run = newRun()) =>
  open(arn).obtain(wanted, journal, run)
/** How it fails to be obtained. */
const failure = (arn: string, wanted?: CertificateRequest) => errorOf(obtain(arn, wanted))

/** How the service refuses. */
const said = (__type: string, message: string): string => JSON.stringify({ __type, message })

/** Both ways in which a certificate is asked for; each must fail alike. */
const failures = async (arn: string, given?: object) => [
  await errorOf(open(arn, given).inventory?.(newRun()) ?? Promise.reject()),
  await errorOf(open(arn, given).obtain(request, createJournal(), newRun())),
]

describe('what is obtained', () => {
  test.each([
    ['public RSA', { type: 'AMAZON_ISSUED', keyType: 'rsa-2048' }, 'aes-256-cbc'],
    ['public EC', { type: 'AMAZON_ISSUED', keyType: 'ec-256' }, 'aes-128-cbc'],
    ['private-CA RSA', { type: 'PRIVATE', keyType: 'rsa-2048' }, 'des-ede3-cbc'],
    ['private-CA EC', { type: 'PRIVATE', keyType: 'ec-384' }, 'aes-256-cbc'],
  ] as const)('%s: leaf first, without the root, and its key in plain PKCS#8', async (_, wanted, cipher) => {
    service.switches.cipher = cipher
    const arn = await issued(wanted)
    const journal = createJournal()
    const result = await obtain(arn, request, journal)
    if (result.kind !== 'obtained') expect.unreachable(result.kind)
    const chain = parseChain(result.chainPem)
    const [leaf, intermediate] = chain
    expect(chain).toHaveLength(2)
    expect(leafOf(leaf as X509Certificate)).toMatchObject({ names: [DOMAIN], keyType: wanted.keyType })
    expect(leaf?.verify((intermediate as X509Certificate).publicKey)).toBe(true)
    expect(journal.keyPem).toMatch(/^-----BEGIN PRIVATE KEY-----/)
    expect(leaf?.checkPrivateKey(createPrivateKey(journal.keyPem ?? ''))).toBe(true)
    expect(called()).toEqual(['DescribeCertificate', 'ExportCertificate'])
  })

  test('the key of a renewed certificate takes the place of one that an earlier run stored', async () => {
    const arn = await issued()
    const journal = createJournal()
    await obtain(arn, request, journal)
    const before = journal.keyPem
    await service.renew(arn)
    await obtain(arn, request, journal)
    expect(journal.keyPem).not.toBe(before)
    const leaf = new X509Certificate(service.find(arn).issued.certPem)
    expect(leaf.checkPrivateKey(createPrivateKey(journal.keyPem ?? ''))).toBe(true)
  })

  test('each time with another passphrase, of letters, at most 64', async () => {
    const arn = await issued()
    for (let i = 0; i < 5; i += 1) await obtain(arn)
    const passphrases = faults.calls
      .filter(it => it.operation === 'acm.ExportCertificate')
      .map(it => Buffer.from((JSON.parse(it.body) as { Passphrase: string }).Passphrase, 'base64').toString())
    expect(new Set(passphrases).size).toBe(5)
    for (const it of passphrases) expect(it).toMatch(/^[A-Za-z]{32,64}$/)
  })

  test('nothing is exported that is no news', async () => {
    const arn = await issued()
    expect(await failure(arn, nothingIsNews)).toMatchObject({
      code: 'not-renewed',
    })
    expect(called()).toEqual(['DescribeCertificate'])
  })
})

describe('what is held', () => {
  test('its serial, names and dates are those of the leaf', async () => {
    const arn = await issued({ names: [DOMAIN, '*.example.com'] })
    const inventory = (await open(arn).inventory?.(newRun())) as Inventory
    const leaf = leafOf(new X509Certificate(service.find(arn).issued.certPem))
    expect(inventory.serial.replace(/^0+/, '')).toBe(leaf.serial.replace(/^0+/, ''))
    const { names, notBefore, notAfter } = leaf
    expect(inventory).toMatchObject({ names, notBefore, notAfter })
    await service.renew(arn)
    expect((await open(arn).inventory?.(newRun()))?.serial).not.toBe(inventory.serial)
  })

  test.each([
    [null, null],
    [{ status: 'SUCCESS' }, null],
    [{ status: 'PENDING_AUTO_RENEWAL' }, null],
    [{ status: 'FAILED', reason: 'CAA_ERROR' }, 'ACM could not renew it (CAA_ERROR)'],
    [{ status: 'PENDING_VALIDATION' }, `its renewal waits for validation of ${DOMAIN}`],
  ] as const)('a renewal %j is said in words', async (renewal, trouble) => {
    const arn = await issued()
    Object.assign(service.find(arn), { renewal, exported: true })
    expect(await open(arn).inventory?.(newRun())).toMatchObject({ trouble })
  })

  test('one that ACM does not renew', async () => {
    const arn = await issued()
    expect((await open(arn).inventory?.(newRun()))?.trouble).toContain('INELIGIBLE')
  })
})

describe('what was not renewed says why', () => {
  test.each([
    [null, 'ACM has not begun to renew it', 'exported'],
    [{ status: 'PENDING_AUTO_RENEWAL' }, 'ACM is renewing it', 'exported'],
    [
      { status: 'FAILED', reason: 'PCA_ACCESS_DENIED' },
      'could not renew it (PCA_ACCESS_DENIED)',
      'private CA',
    ],
    [
      { status: 'PENDING_VALIDATION' },
      `waits for validation of ${DOMAIN}`,
      `_0123456789abcdef.${DOMAIN}. CNAME _fedcba9876543210.acm-validations.example.`,
    ],
  ] as const)('%j', async (renewal, message, hint) => {
    const arn = await issued()
    Object.assign(service.find(arn), { renewal, exported: true })
    const error = await failure(arn, nothingIsNews)
    expect(error).toMatchObject({
      code: 'not-renewed',
      retry: 'never',
      message: expect.stringMatching(/^source aws \(acm\): ACM holds nothing newer, valid until 20/),
    })
    expect(error.message).toContain(message)
    expect(error.hint).toContain(hint)
  })

  test('nor one that has expired meanwhile', async () => {
    const arn = await issued()
    service.find(arn).status = 'EXPIRED'
    service.find(arn).renewal = { status: 'FAILED', reason: 'CAA_ERROR' }
    expect(await failure(arn)).toMatchObject({
      code: 'not-renewed',
      message: expect.stringContaining('CAA_ERROR'),
    })
  })
})

const notExportable = (says: string) =>
  ['certificate-invalid', 'never', `cannot be exported (${says})`, 'Export ENABLED'] as const
const ended = (status: string) =>
  ['order-failed', 'never', `is ${status} (CAA_ERROR)`, 'certificateArn'] as const

describe('refusals', () => {
  test.each([
    ['public, Export DISABLED', { exportable: false }, ...notExportable('AMAZON_ISSUED, Export DISABLED')],
    ['imported', { type: 'IMPORTED' }, ...notExportable('IMPORTED')],
    [
      'pending validation: which record is missing',
      { status: 'PENDING_VALIDATION' },
      'validation-failed',
      'later',
      `is not issued yet: it waits for validation of ${DOMAIN}`,
      `_0123456789abcdef.${DOMAIN}. CNAME`,
    ],
    ['FAILED', { status: 'FAILED' }, ...ended('FAILED')],
    ['VALIDATION_TIMED_OUT', { status: 'VALIDATION_TIMED_OUT' }, ...ended('VALIDATION_TIMED_OUT')],
    ['REVOKED', { status: 'REVOKED' }, ...ended('REVOKED')],
    ['INACTIVE', { status: 'INACTIVE' }, ...ended('INACTIVE')],
  ] as const)('%s', async (_, wanted, code, retry, message, hint) => {
    const arn = await issued(wanted)
    service.find(arn).failureReason = 'CAA_ERROR'
    for (const error of await failures(arn))
      expect(error).toMatchObject({
        code,
        retry,
        message: `source aws (acm): the certificate ${message}`,
        hint: expect.stringContaining(hint),
      })
    expect(called()).not.toContain('ExportCertificate')
  })

  test('not exportable, by the service alone', async () => {
    const arn = await issued()
    Object.assign(service.find(arn), { exportable: false, type: 'PRIVATE' })
    const error = await failure(arn)
    expect(error).toMatchObject({
      code: 'certificate-invalid',
      hint: expect.stringContaining('Export ENABLED'),
    })
    expect(error.message).toMatch(
      /^source aws \(acm\): ExportCertificate answered HTTP 400 ValidationException/,
    )
  })

  test('a private one that is still being issued', async () => {
    const arn = await issued({ type: 'PRIVATE' })
    faults.add({
      operations: ['acm.ExportCertificate'],
      status: 400,
      body: said('RequestInProgressException', 'in process'),
    })
    expect(await failure(arn)).toMatchObject({
      code: 'validation-failed',
      message: expect.stringContaining('ExportCertificate answered HTTP 400 RequestInProgressException'),
      hint: expect.stringContaining('not issued yet'),
    })
  })

  test('throttled for a moment', async () => {
    const arn = await issued()
    const body = said('ThrottlingException', 'Rate exceeded')
    faults.add({ operations: ['acm.*'], status: 400, body, times: 2 })
    expect((await obtain(arn)).kind).toBe('obtained')
    faults.add({ operations: ['acm.*'], status: 400, body, times: 9 })
    for (const error of await failures(arn))
      expect(error).toMatchObject({
        code: 'throttled',
        message: expect.stringMatching(
          /^source aws \(acm\): DescribeCertificate answered HTTP 400 ThrottlingException: Rate exceeded \(request \S+\)$/,
        ),
      })
  })

  test('throttled until an instant that the service names', async () => {
    const arn = await issued()
    const body = said('ThrottlingException', 'Rate exceeded')
    faults.add({ operations: ['acm.*'], status: 400, body, headers: { 'retry-after': '120' } })
    const error = await failure(arn)
    expect(error).toMatchObject({ code: 'throttled', retry: 'later' })
    expect(error.retryAt).toBeGreaterThan(clock.now() + 60_000)
    expect(called()).toEqual(['DescribeCertificate'])
  })

  test('wrong region: there is no such certificate', async () => {
    const arn = (await issued()).replace(REGION, 'us-west-2')
    for (const error of await failures(arn))
      expect(error).toMatchObject({
        code: 'settings-invalid',
        retry: 'never',
        message: expect.stringContaining('DescribeCertificate answered HTTP 400 ResourceNotFoundException'),
        hint: expect.stringContaining('no such certificate in us-west-2'),
      })
  })

  test.each(['DescribeCertificate', 'ExportCertificate'])('%s denied', async action => {
    const arn = await issued()
    service.switches.denied = [`acm:${action}`]
    const error = await failure(arn)
    expect(error).toMatchObject({
      code: 'forbidden',
      retry: 'never',
      hint: `Allow acm:DescribeCertificate and acm:ExportCertificate on ${arn} to the owner of the keys.`,
    })
    expect(error.message).toMatch(
      new RegExp(`^source aws \\(acm\\): ${action} answered HTTP 400 AccessDenied`),
    )
    // An export holds a passphrase: what is answered to it is not repeated.
    expect(error.message.includes(`not authorized to perform: acm:${action}`)).toBe(
      action !== 'ExportCertificate',
    )
  })

  test('credentials: expired, unknown, wrong', async () => {
    const arn = await issued()
    const cases = [
      ['ExpiredTokenException', keys(), true],
      ['UnrecognizedClientException', { ...keys(), accessKeyId: secret('AKIANOBODY0000000000') }, false],
      ['InvalidSignatureException', { ...keys(), secretAccessKey: secret('another/secret+key') }, false],
    ] as const
    for (const [name, given, isExpired] of cases) {
      if (isExpired) service.switches.expiredTokens.add(AWS_TOKEN)
      else service.switches.expiredTokens.clear()
      for (const error of await failures(arn, given)) {
        expect(error).toMatchObject({
          code: 'unauthorized',
          retry: 'never',
          message: expect.stringContaining(`DescribeCertificate answered HTTP 400 ${name}`),
          hint: expect.stringContaining('temporary keys have not expired'),
        })
        expect(JSON.stringify(error) + error.message + error.hint).not.toContain('another/secret+key')
      }
    }
  })
})

describe('outages', () => {
  test('a failing service is asked three times', async () => {
    const arn = await issued()
    faults.add({ operations: ['acm.DescribeCertificate'], status: 503, body: 'no', times: 99 })
    expect(await failure(arn)).toMatchObject({
      code: 'unavailable',
      message: 'source aws (acm): DescribeCertificate answered HTTP 503',
    })
    expect(called()).toHaveLength(3)
  })

  test('an answer that is lost is asked for again', async () => {
    const arn = await issued()
    faults.add({ operations: ['acm.ExportCertificate'], drop: 'after' })
    expect((await obtain(arn)).kind).toBe('obtained')
    expect(called()).toEqual(['DescribeCertificate', 'ExportCertificate', 'ExportCertificate'])
    expect(new Set(faults.calls.map(it => it.body)).size).toBe(3)
  })

  test('right after a renewal the export may have to be asked for again', async () => {
    const arn = await issued()
    const message = 'The certificate must have at least one relation of type EXPORT'
    const body = said('ValidationException', message)
    faults.add({ operations: ['acm.ExportCertificate'], status: 400, body })
    expect((await obtain(arn)).kind).toBe('obtained')
  })

  test.each([
    ['no JSON', '<html>welcome</html>'],
    ['another JSON', '{"hello":"world"}'],
    ['nothing', ''],
  ])('an answer that is %s', async (_, body) => {
    const arn = await issued()
    for (const operation of ['DescribeCertificate', 'ExportCertificate']) {
      faults.add({ operations: [`acm.${operation}`], status: 200, body, times: 9 })
      const error = await failure(arn)
      faults.clear()
      expect(error).toMatchObject({ code: 'unavailable', hint: expect.stringContaining('endpoint') })
      expect(error.message).toContain(`source aws (acm): ${operation} answered`)
    }
  })

  test('nobody there; and a run that is over', async () => {
    const arn = await issued()
    const nobody = open(arn, keys(), 'http://127.0.0.1:1')
    expect(await errorOf(nobody.obtain(request, createJournal(), newRun()))).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('source aws (acm): DescribeCertificate'),
    })
    const signal = AbortSignal.abort()
    const error = await errorOf(obtain(arn, request, undefined, newRun({ signal })))
    expect(error).toMatchObject({ code: 'out-of-time' })
    expect(called()).toEqual([])
  })

  test("a key that is not the certificate's is found out", async () => {
    const [arn, other] = [await issued(), await issued()]
    Object.assign(service.find(arn).issued, { keyPem: service.find(other).issued.keyPem })
    const journal = createJournal()
    const error = await errorOf(obtain(arn, request, journal))
    expect(error).toMatchObject({
      code: 'certificate-invalid',
      message: expect.stringContaining('source aws (acm): the private key does not belong to any'),
    })
    expect(journal.keyPem).toBeNull()
  })
})

describe('keys of the standard chain', () => {
  const { env } = process
  const before = { ...env }
  afterEach(() => {
    for (const name of Object.keys(env)) if (!(name in before)) delete env[name]
    Object.assign(env, before)
  })
  beforeEach(() => {
    for (const name of Object.keys(env)) if (name.startsWith('AWS_')) delete env[name]
    Object.assign(env, {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/nonexistent',
      AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    })
  })

  test('are taken from the environment, a session token included', async () => {
    Object.assign(env, {
      AWS_ACCESS_KEY_ID: AWS_KEY,
      AWS_SECRET_ACCESS_KEY: AWS_SECRET,
      AWS_SESSION_TOKEN: AWS_TOKEN,
    })
    const arn = await issued()
    expect(await open(arn, {}).inventory?.(newRun())).toMatchObject({ names: [DOMAIN] })
  })

  test('say so when there are none', async () => {
    const arn = await issued()
    expect(await errorOf(open(arn, {}).obtain(request, createJournal(), newRun()))).toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('source aws (acm): DescribeCertificate could not be signed'),
      hint: expect.stringContaining('accessKeyId'),
    })
    expect(faults.calls).toEqual([])
  })
})

describe('settings', () => {
  const certificateArn = `arn:aws:acm:${REGION}:123456789012:certificate/12345678-1234-1234-1234-123456789012`

  test('need the ARN alone', () => {
    expect(v.parse(acm.settings, { certificateArn })).toEqual({
      certificateArn,
      accessKeyId: null,
      secretAccessKey: null,
      sessionToken: null,
      endpoint: null,
      caCertificates: null,
    })
    const china = certificateArn.replace('arn:aws:', 'arn:aws-cn:').replace(REGION, 'cn-north-1')
    expect(v.safeParse(acm.settings, { certificateArn: china }).success).toBe(true)
  })

  test.each([
    [{}],
    [{ certificateArn: 'iot.example.com' }],
    [{ certificateArn: certificateArn.replace(':acm:', ':iam:') }],
    [{ certificateArn: certificateArn.replace('123456789012:', ':') }],
    [{ certificateArn, accessKeyId: 'env:A' }],
    [{ certificateArn, secretAccessKey: 'env:A' }],
    [{ certificateArn, region: REGION }],
    [{ certificateArn, endpoint: 'http://acm.example.com' }],
  ])('refuse %j', input => {
    expect(v.safeParse(acm.settings, input).issues).toHaveLength(1)
  })
})
