import { execFile } from 'node:child_process'
import { createPrivateKey, randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { inspect, promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { unseal } from '../../lib/base/seal.ts'
import { secret } from '../../lib/base/secret.ts'
import type { Fault } from '../../sandbox/kit/faults.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { fillSlots, type SandboxSettings } from '../../sandbox/sandbox.ts'
import { createS3 } from '../../sandbox/stores/s3.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, REGION } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { type FakeClock, fakeClock } from '../support/clock.ts'
import { CLI, cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { openAcm } from './acm.ts'
import { stateFiles } from './bad-input.ts'
import { createSearch, type Wanted } from './secrets.ts'

/** Everything a run emits is collected and searched for every secret that it had in its hands. */

const { errors } = vi.hoisted(() => ({ errors: [] as Error[] }))
// Every error of the program, also those that are caught and reported, with their causes.
vi.mock('../../lib/base/rotation-error.ts', async importOriginal => {
  const original = await importOriginal<typeof import('../../lib/base/rotation-error.ts')>()
  class RotationError extends original.RotationError {
    constructor(...given: ConstructorParameters<typeof original.RotationError>) {
      super(...given)
      errors.push(this)
    }
  }
  const asRotationError = (thrown: unknown) => {
    const error = original.asRotationError(thrown)
    errors.push(error)
    return error
  }
  return { ...original, RotationError, asRotationError }
})

const ALWAYS = Number.MAX_SAFE_INTEGER
const PASSWORD = `p"ss w/rd+${randomBytes(12).toString('base64url')}`
const HMAC_KEY = randomBytes(32).toString('base64url')
const TOKEN = randomBytes(18).toString('base64url')
const SIGNING = randomBytes(18).toString('base64url')
const ROUTING = randomBytes(16).toString('hex')

let rig: Rig
let clock: FakeClock
let alerts: Awaited<ReturnType<typeof startAlerts>>
/** By where it came from. */
const emitted: { readonly where: string; readonly text: string }[] = []
const secrets = new Map<string, string>()

const emit = (where: string, text: string): void => void emitted.push({ where, text })
const keep = (name: string, value: string): void => void secrets.set(value, name)
const wanted = (): readonly Wanted[] => [...secrets].map(([value, name]) => ({ name, value }))

/** A receiver of alerts, whose URL holds a token; `status` may be changed. */
async function startAlerts() {
  const receiver = { bodies: [] as string[], status: 200, url: '', close: () => {} }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      receiver.bodies.push(body)
      // As Slack answers, and as the others do.
      const isSlack = body.includes('"blocks"')
      const good = JSON.stringify({ code: 0, errcode: 0, status: 'success' })
      response.writeHead(receiver.status).end(isSlack ? 'ok' : good)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/${TOKEN}`
  receiver.close = () => void server.close()
  return receiver
}

const env = () => ({
  TEST_AK: rig.sandbox.keys.accessKey,
  TEST_SK: rig.sandbox.keys.secretKey,
  TEST_PASSWORD: PASSWORD,
  TEST_HMAC: HMAC_KEY,
  TEST_ALERTS: alerts.url,
  TEST_SIGNING: SIGNING,
  TEST_ROUTING: ROUTING,
})

const configure = (change: (settings: SandboxSettings) => void = () => {}): Promise<void> =>
  rig.configure(settings => {
    settings.credentials.cn.accessKey = 'env:TEST_AK'
    settings.credentials.cn.secretKey = 'env:TEST_SK'
    Object.assign(settings.solvers.dns, { username: 'dns-user', password: 'env:TEST_PASSWORD' })
    settings.sources.sandbox.externalAccount = { kid: 'kid-1', hmacKey: 'env:TEST_HMAC' }
    settings.notifiers = [
      { type: 'webhook', url: 'env:TEST_ALERTS', secret: 'env:TEST_SIGNING', minSeverity: 'info' },
      { type: 'webhook', url: 'env:TEST_ALERTS', format: 'slack', language: 'zh', minSeverity: 'info' },
      ...['msteams', 'feishu', 'dingtalk', 'wecom'].map(format => ({
        ...{ type: 'webhook', url: 'env:TEST_ALERTS', format, minSeverity: 'info' },
        ...(format === 'feishu' || format === 'dingtalk' ? { secret: 'env:TEST_SIGNING' } : {}),
      })),
      {
        ...{ type: 'pagerduty', routingKey: 'env:TEST_ROUTING', minSeverity: 'info' },
        endpoint: alerts.url.replace(/\/hooks.*/, '/enqueue'),
      },
    ]
    settings.statusPage = { publish: true }
    settings.heartbeat = { url: 'env:TEST_ALERTS' }
    change(settings)
  })

beforeAll(async () => {
  clock = fakeClock()
  alerts = await startAlerts()
  rig = await createRig({
    now: clock.now,
    ca: { eabRequired: true, eabKeys: { 'kid-1': HMAC_KEY } },
  })
  await fillSlots(rig.sandbox)
  keep('the access key', rig.sandbox.keys.accessKey)
  keep('the secret key', rig.sandbox.keys.secretKey)
  keep('the DNS password', PASSWORD)
  keep('the EAB key', HMAC_KEY)
  keep('the token of the alert URL', TOKEN)
  keep('the key that alerts are signed with', SIGNING)
  keep('the routing key', ROUTING)
  for (const [name, value] of Object.entries(env())) vi.stubEnv(name, value)
  await configure()
})
afterAll(async () => {
  vi.unstubAllEnvs()
  alerts.close()
  await rig.dispose()
})

/** The key of an upload, opened with its password if it has one. */
function keepUpload({
  private_key: key = '',
  private_key_password: passphrase,
}: Record<string, string>): void {
  keep('a private key', passphrase === undefined ? key : opened(key, passphrase))
  if (passphrase !== undefined) keep('the password of a key', passphrase)
}
const opened = (key: string, passphrase: string): string =>
  createPrivateKey({ key, passphrase }).export({ type: 'pkcs8', format: 'pem' }).toString()

/** Takes what is there now: secrets out of uploads and sealed state, and what was emitted. */
async function collect(where: string): Promise<void> {
  for (const { operation, body } of rig.sandbox.faults.calls) {
    if (operation === 'iotda.CreateServerCertificate') keepUpload(JSON.parse(body))
    if (operation === 'acm.ExportCertificate') {
      const { Passphrase } = JSON.parse(body) as { Passphrase: string }
      keep('the passphrase of an export', Buffer.from(Passphrase, 'base64').toString())
    }
  }
  const state = await stateFiles(rig)
  const sealKey = state.get('seal.key')?.trim()
  if (sealKey) keep('the seal key', sealKey)
  for (const [path, text] of state) {
    if (path === 'seal.key') continue
    emit(`${where}: state ${path}`, text)
    const key = path.replace(/\.\d+\.json$/, '')
    if (sealKey && text.startsWith('v1.'))
      // The key of a certificate is the one that is uploaded, in whatever form.
      keep(
        key.startsWith('certificates/') ? 'a private key' : `the sealed ${key}`,
        unseal(secret(sealKey), text, key).reveal(),
      )
  }
  for (const { operation, path } of rig.sandbox.faults.calls) emit(`${where}: URL of ${operation}`, path)
  rig.sandbox.faults.clearCalls()
  for (const line of rig.logged.splice(0)) emit(`${where}: log`, line)
  // PagerDuty wants its key in the body, and nowhere else.
  for (const body of alerts.bodies.splice(0))
    emit(`${where}: alert`, body.replace(`"routing_key":"${ROUTING}"`, '"routing_key":""'))
  for (const error of errors.splice(0)) {
    emit(`${where}: error`, inspect(error, { depth: 10, showHidden: true }))
    emit(`${where}: error`, `${error.stack}\n${JSON.stringify(error)}`)
  }
}

let searched = 0
/** What stands where it should not, in what was emitted since the last time; names of secrets and places only. */
function leaks(from = searched): readonly string[] {
  searched = emitted.length
  const search = createSearch(wanted())
  const found = emitted
    .slice(from)
    .flatMap(({ where, text }) => search(text).map(name => `${name} in ${where}`))
  return [...new Set(found)]
}

async function command(where: string, args: readonly string[], exit: number): Promise<void> {
  const { code, stdout, stderr } = await cli(rig, args)
  emit(`${where}: standard output`, stdout)
  emit(`${where}: standard error`, stderr)
  expect(code, stderr).toBe(exit)
  await collect(where)
}

test('a full rotation by the built command, with every log line', async () => {
  await command('rotate', ['rotate', '--verbose'], 0)
  await command('plan', ['plan', '--force', '--verbose', '--json'], 0)
  await command('status', ['status', '--verbose'], 0)
  const page = join(rig.folder, 'status.html')
  await command('page', ['status', '--html', page, '--prometheus'], 0)
  emit('page: file', await readFile(page, 'utf8'))
  await command('rotate --json', ['rotate', '--verbose', '--json'], 0)
  expect([...secrets.values()].sort()).toEqual([
    'a private key',
    'the DNS password',
    'the EAB key',
    'the access key',
    'the key that alerts are signed with',
    'the routing key',
    'the seal key',
    'the sealed sources/sandbox/account-key',
    'the secret key',
    'the token of the alert URL',
  ])
  const places = emitted.map(({ where }) => where)
  expect(places).toContain('rotate: alert')
  const bodies = emitted.filter(({ where }) => where === 'rotate: alert').map(({ text }) => text)
  for (const form of [
    '"version":1',
    '"blocks"',
    'AdaptiveCard',
    '"interactive"',
    '"markdown":{"title"',
    '> ',
    'event_action',
  ])
    expect(
      bodies.some(body => body.includes(form)),
      form,
    ).toBe(true)
  // The page that was published, beside the one that was asked for.
  const published = emitted.find(({ where }) => where === 'rotate: state page/status.html')?.text
  expect(published).toMatch(/^<!doctype html>[\s\S]*rotated/)
  expect(emitted.find(({ where }) => where === 'page: file')?.text).toMatch(/^<!doctype html>[\s\S]*rotated/)
  expect(emitted.find(({ where }) => where === 'page: standard output')?.text).toContain(
    'iotda_cert_days_left{',
  )
  expect(places.filter(where => where.startsWith('rotate: state ')).length).toBeGreaterThan(4)
  expect(emitted.find(({ where }) => where === 'rotate: standard error')?.text).toMatch(/^\{"level":"debug"/m)
  expect(leaks()).toEqual([])
})

/** Runs that fail, each in its own way, at services that repeat what they were sent. */
const failures: readonly {
  readonly name: string
  readonly fault?: () => Fault
  readonly change?: (settings: SandboxSettings) => void
  readonly expected: string
  readonly says: string
}[] = [
  {
    name: 'IoTDA answers 500 to the upload',
    fault: () => ({ operations: ['iotda.CreateServerCertificate'], status: 500, body: echo() }),
    expected: 'suspended',
    says: 'answered HTTP 500',
  },
  {
    name: 'IoTDA refuses the signature (401)',
    fault: () => ({ operations: ['iotda.List*'], status: 401, body: echo('APIGW.0301') }),
    expected: 'failed',
    says: '[secret]',
  },
  {
    name: 'IoTDA forbids the bind (403)',
    fault: () => ({
      operations: ['iotda.UpdateDomainConfiguration'],
      status: 403,
      body: echo('IOTDA.000022'),
    }),
    expected: 'failed',
    says: '[secret]',
  },
  {
    name: 'the DNS service answers 500 and repeats its credentials',
    fault: () => ({ operations: ['httpreq.Present'], status: 500, body: `wrong: ${PASSWORD} or ${basic()}` }),
    expected: 'failed',
    says: '[secret]',
  },
  {
    name: 'the DNS service answers 401 and repeats its credentials',
    fault: () => ({ operations: ['httpreq.Present'], status: 401, body: `Basic ${basic()} (${PASSWORD})` }),
    expected: 'failed',
    says: '[secret]',
  },
  {
    name: 'the CA refuses the order',
    fault: () => ({
      operations: ['acme.NewOrder'],
      status: 403,
      body: JSON.stringify({
        type: 'urn:ietf:params:acme:error:rejectedIdentifier',
        detail: 'not this name',
      }),
    }),
    expected: 'failed',
    says: 'not this name',
  },
  {
    name: 'the CA fails to finalize',
    fault: () => ({ operations: ['acme.Finalize'], status: 500, body: '<html>out of order</html>' }),
    expected: 'failed',
    says: 'finalize',
  },
  {
    name: 'the account key is none',
    change: put({ 'sources.sandbox.accountKey': 'env:TEST_SK' }),
    expected: 'failed',
    says: 'is no private key in PEM',
  },
]

const basic = (): string => Buffer.from(`dns-user:${PASSWORD}`).toString('base64')
/** An error of IoTDA that repeats the caller's keys. */
const echo = (code = 'IOTDA.000001'): string => {
  const { accessKey, secretKey } = rig.sandbox.keys
  return JSON.stringify({ error_code: code, error_msg: `bad key ${accessKey} with ${secretKey}` })
}

describe('failing runs', () => {
  test.each(failures)('$name', async ({ name, fault, change, expected, says }) => {
    await makeRoom()
    await configure(change)
    rig.sandbox.ca.options.authorizationReuse = false
    if (fault) rig.sandbox.faults.add({ times: ALWAYS, ...fault() })
    alerts.status = 500
    const answer = await rig.run({ force: true }, { clock })
    rig.sandbox.faults.clear()
    const text = JSON.stringify(answer)
    emit(`${name}: answer`, text)
    expect(answer.results[0]?.outcome, text).toBe(expected)
    expect(text).toContain(says)
    await collect(name)
    expect(leaks()).toEqual([])
  })

  test('a rollback, told of and then put right by hand', async () => {
    await makeRoom()
    await configure()
    alerts.status = 200
    const issuer = await createRoot()
    const wrong = await issueLeaf({ names: [rig.sandbox.domain], issuer })
    const { iotda, device } = rig.sandbox
    const stop = iotda.onBind(() => {
      device.switches.serve = { certPem: wrong.chainPem, keyPem: wrong.keyPem }
    })
    const answer = await rig.run({ force: true }, { clock })
    stop()
    device.switches.serve = null
    emit('rollback: answer', JSON.stringify(answer))
    expect(answer.results[0]?.outcome, JSON.stringify(answer)).toBe('rolled-back')
    await collect('rollback')
    expect(emitted.map(({ where }) => where)).toContain('rollback: alert')
    expect(leaks()).toEqual([])
  })

  test('the function throws: the answer is its message', async () => {
    const { faults } = rig.sandbox
    const bucket = await createS3({ faults, keys: awsKeys, bucket: 'state' })
    cleanups.push(bucket.dispose)
    keep('the secret access key', AWS_SECRET)
    await configure(s => {
      s.targets[0].instance.signing = 'standard'
      s.store = {
        ...{ type: 's3', bucket: 'state', endpoint: bucket.url, region: REGION, sessionToken: AWS_TOKEN },
        ...{ accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sealKey: randomBytes(32).toString('base64') },
      }
    })
    const script = `
      import { inspect } from 'node:util'
      const { handler } = await import(${JSON.stringify(new URL('lambda.mjs', `file://${CLI}`).href)})
      const thrown = await handler({}, { getRemainingTimeInMillis: () => 60_000 }).catch(error => error)
      console.log(thrown instanceof Error, inspect(thrown, { depth: 10, showHidden: true }))`
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', script],
      { env: { ...process.env, IOTDA_CERT_CONFIG: rig.settingsFile } },
    )
    expect(stdout).toMatch(/^true .*unauthorized/ms)
    expect(stdout).toContain('{"_aws":')
    emit('lambda: error', stdout)
    emit('lambda: log', stderr)
    await collect('lambda')
    expect(leaks()).toEqual([])
  })

  test('a certificate of ACM: its key, the passphrase of the export and that of the upload', async () => {
    await makeRoom()
    const own = await openAcm(
      rig.sandbox.faults,
      { names: [rig.sandbox.domain], keyType: 'ec-256' },
      clock.now,
    )
    keep('the secret access key', AWS_SECRET)
    keep('the key of ACM', own.acm.find(own.arn).issued.keyPem)
    await configure(settings => {
      own.adjust(settings)
      settings.targets[0].keyEncoding = 'encrypted-pkcs8'
    })
    alerts.status = 200
    const message = `not with ${AWS_KEY} ${AWS_SECRET} ${AWS_TOKEN}`
    const body = JSON.stringify({ __type: 'ValidationException', message })
    const attempts: readonly { readonly outcome: string; readonly fault: Fault | null }[] = [
      { outcome: 'refused', fault: { operations: ['acm.ExportCertificate'], status: 400, body } },
      {
        outcome: 'suspended',
        fault: { operations: ['iotda.CreateServerCertificate'], status: 500, body: echo() },
      },
      { outcome: 'rotated', fault: null },
    ]
    for (const { outcome, fault } of attempts) {
      if (fault) rig.sandbox.faults.add(fault)
      const answer = await rig.run({ force: true }, { clock })
      const text = JSON.stringify(answer)
      emit(`acm ${outcome}: answer`, text)
      expect(answer.results[0]?.outcome, text).toBe(outcome)
      await collect(`acm ${outcome}`)
    }
    const names = new Set(secrets.values())
    expect(names).toContain('the passphrase of an export')
    expect(names).toContain('the password of a key')
    await command('acm: status', ['status', '--verbose'], 0)
    expect(leaks()).toEqual([])
  })

  test('many private keys went by', () => {
    const keys = wanted().filter(({ value }) => value.includes('PRIVATE KEY'))
    expect(keys.length).toBeGreaterThanOrEqual(4)
    expect(emitted.filter(({ where }) => where.endsWith(': error')).length).toBeGreaterThan(20)
    expect(emitted.filter(({ where }) => where.endsWith(': log')).length).toBeGreaterThan(20)
  })
})

/** A new beginning with a free slot: a run would keep what was bound an hour ago, and go on with what it began. */
async function makeRoom(): Promise<void> {
  const { iotda } = rig.sandbox
  const bound = iotda.configurations()[0]?.server_certificate_id
  for (const { id } of iotda.certificates()) if (id !== bound) iotda.deleteCertificate(id)
  for (const folder of ['targets', 'certificates'])
    await rm(join(rig.folder, 'state', folder), { recursive: true, force: true })
}

describe('settings with a secret in the wrong place', () => {
  const inPlace: readonly (readonly [string, (settings: SandboxSettings, secret: string) => void])[] = [
    ['a region', (s, x) => Object.assign(s.targets[0].instance, { region: x })],
    ['a project', (s, x) => Object.assign(s.targets[0].instance, { projectId: `${x}!` })],
    ['a signing scheme', (s, x) => Object.assign(s.targets[0].instance, { signing: x })],
    [
      'credentials in a URL',
      (s, x) =>
        Object.assign(s.solvers.dns, { url: `https://user:${encodeURIComponent(x)}@dns.example.com` }),
    ],
    [
      'a URL without https',
      (s, x) => Object.assign(s.solvers.dns, { url: `http://dns.example.com/${encodeURIComponent(x)}` }),
    ],
    ['a list', (s, x) => Object.assign(s.credentials.cn, { secretKey: [x] })],
    ['a driver', (s, x) => Object.assign(s.sources.sandbox, { type: x })],
    ['an e-mail address', (s, x) => Object.assign(s.sources.sandbox, { email: x })],
    ['a domain', (s, x) => Object.assign(s.targets[0], { domain: x })],
    ['a name of a certificate', (s, x) => Object.assign(s.certificates.iot, { names: [x] })],
    ['a duration', (s, x) => Object.assign(s, { schedule: { interval: x } })],
    ['a PEM text', (s, x) => Object.assign(s.targets[0], { trustedRoots: x })],
    ['the version', (s, x) => Object.assign(s, { version: x })],
    ['an unknown setting', (s, x) => Object.assign(s.credentials.cn, { token: x })],
    [
      'a service elsewhere',
      (s, x) => {
        s.targets[0].instance.endpoint = 'https://iotda.example.com'
        s.credentials.cn.secretKey = x
      },
    ],
  ]
  test.each(inPlace)('%s', async (where, change) => {
    await configure(s => change(s, PASSWORD))
    const thrown = await rig.run({}, { clock }).catch((error: unknown) => error)
    expect(thrown).toMatchObject({ code: 'settings-invalid' })
    emit(`${where}: error`, inspect(thrown, { depth: 10, showHidden: true }))
    await command(where, ['rotate', '--json', '--verbose'], 2)
    expect(leaks()).toEqual([])
  })

  test.each([
    [
      'a file that is no JSON',
      () => `{"credentials":{"cn":{"secretKey":"${PASSWORD.replaceAll('"', '')}",}}}`,
    ],
    ['a file of one secret', () => rig.sandbox.keys.secretKey],
  ])('%s', async (where, text) => {
    await writeFile(rig.settingsFile, text())
    keep('the DNS password', PASSWORD.replaceAll('"', ''))
    await command(where, ['rotate', '--verbose'], 2)
    expect(leaks()).toEqual([])
  })

  test.each([
    ['inline JSON in quotes', (json: string) => `'${json}'`],
    ['inline JSON in base64', (json: string) => Buffer.from(json).toString('base64')],
    ['inline JSON cut short', (json: string) => json.slice(0, -2)],
  ])('%s', async (where, wrap) => {
    const { accessKey, secretKey } = rig.sandbox.keys
    const json = JSON.stringify({ credentials: { cn: { accessKey, secretKey } } })
    await command(where, ['rotate', '--verbose', '--config', wrap(json)], 2)
    expect(leaks()).toEqual([])
  })
})

describe('in the end', () => {
  test('finds nothing in all that was emitted, with every secret that came up later', () => {
    expect(emitted.length).toBeGreaterThan(200)
    expect(leaks(0)).toEqual([])
  })

  test('would have found a secret planted in any of the places', () => {
    const { length } = emitted
    const [{ value } = { value: '' }] = wanted().filter(w => w.name === 'a private key')
    emit('planted: log', JSON.stringify({ level: 'info', message: `uploading ${value}` }))
    emit('planted: URL', `/v5/iot/x?token=${encodeURIComponent(TOKEN)}`)
    emit('planted: error', inspect(new Error('outer', { cause: new Error(PASSWORD) }), { depth: 10 }))
    emit('planted: state', Buffer.from(HMAC_KEY).toString('base64'))
    const found = leaks()
    emitted.splice(length)
    expect([...found].sort()).toEqual([
      'a private key in planted: log',
      'the DNS password in planted: error',
      'the EAB key in planted: state',
      'the token of the alert URL in planted: URL',
    ])
  })
})
