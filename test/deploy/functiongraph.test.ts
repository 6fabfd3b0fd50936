/** The deployment without Terraform, as it is built, against the wire of FunctionGraph. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createFunctionGraph, type FunctionGraph } from '../../sandbox/functiongraph.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { type Built, sharedBuild } from '../support/built.ts'
import { onHuawei, type Sample } from './sample.ts'

const PROJECT = '0123456789abcdef0123456789abcdef'
const URN = `urn:fss:cn-north-4:${PROJECT}:function:default:iotda-cert`
const TOPIC = `urn:smn:cn-north-4:${PROJECT}:alerts`
const SEAL_KEY = Buffer.alloc(32, 1).toString('base64')
const MAIL = { type: 'smtp', host: 'mail.example.com', from: 'a@example.com', to: ['b@example.com'] }
const READS = /^functiongraph\.(Show|List)/

let built: Built
let folder: string
beforeAll(async () => {
  built = await sharedBuild()
  folder = await mkdtemp(join(tmpdir(), 'iotda-cert-deploy-'))
}, 120_000)
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

let faults: Faults
let graph: FunctionGraph
beforeEach(async () => {
  faults = createFaults()
  const keys = new Map([['AKDEPLOY', { secretKey: 'SKDEPLOY', securityToken: 'TOKEN' }]])
  graph = await createFunctionGraph({ faults, keys, projectId: PROJECT })
})
afterEach(() => graph.dispose())

interface Run {
  readonly args?: readonly string[]
  readonly env?: Record<string, string>
  readonly settings?: Sample
}

const deploy = async ({ args = [], env = {}, settings = onHuawei() }: Run = {}) => {
  const file = join(folder, 'settings.json')
  await writeFile(file, typeof settings === 'string' ? settings : JSON.stringify(settings))
  const given = ['--settings', file, '--agency', 'iotda-cert', '--endpoint', graph.url, '--topic-urn', TOPIC]
  return new Promise<{ code: number; stdout: string; stderr: string }>(resolve => {
    execFile(
      process.execPath,
      [join(built.folder, 'deploy', 'functiongraph.mjs'), ...given, ...args],
      {
        cwd: folder,
        env: {
          PATH: process.env.PATH,
          HUAWEICLOUD_SDK_AK: 'AKDEPLOY',
          HUAWEICLOUD_SDK_SK: 'SKDEPLOY',
          HUAWEICLOUD_SDK_SECURITY_TOKEN: 'TOKEN',
          HUAWEICLOUD_SDK_REGION: 'cn-north-4',
          HUAWEICLOUD_SDK_PROJECT_ID: PROJECT,
          SEAL_KEY,
          ...env,
        },
      },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}
const changes = () => faults.calls.map(it => it.operation).filter(it => !READS.test(it))
const lines = (text: string) => text.trim().split('\n')

test('a first deployment makes everything, and a second one finds nothing to do', async () => {
  expect(await deploy()).toMatchObject({ code: 0, stderr: '' })
  const made = graph.functions.get(URN)
  expect(made).toMatchObject({
    maxInstances: 1,
    config: {
      type: 'v2',
      runtime: 'Node.js20.15',
      handler: 'index.handler',
      initializer_handler: 'index.initializer',
      timeout: 900,
      memory_size: 256,
      xrole: 'iotda-cert',
    },
    triggers: [
      {
        status: 'ACTIVE',
        data: { name: 'iotda-cert', schedule_type: 'Cron', schedule: 'CRON_TZ=Etc/UTC 0 5,35 * * * ?' },
      },
    ],
    asyncInvoke: {
      max_async_retry_attempts: 0,
      destination_config: { on_failure: { destination: 'SMN', param: JSON.stringify({ topic_urn: TOPIC }) } },
    },
  })
  expect(made?.code.equals(await readFile(built.zip('functiongraph')))).toBe(true)
  const { user_data: plain, encrypted_user_data: encrypted } = made?.config ?? {}
  const environment = JSON.parse(String(plain))
  expect(Object.keys(environment)).toEqual([
    ...['IOTDA_CERT_CONFIG', 'HUAWEICLOUD_SDK_REGION', 'IOTDA_CERT_SECRETS_MARK'],
  ])
  expect(JSON.parse(environment.IOTDA_CERT_CONFIG)).toEqual(onHuawei())
  expect(JSON.parse(String(encrypted))).toEqual({ SEAL_KEY })
  expect(String(plain)).not.toContain(SEAL_KEY)
  // The timer starts what is whole by then.
  expect(changes().at(-1)).toBe('functiongraph.CreateFunctionTrigger')

  faults.clearCalls()
  expect(lines((await deploy()).stdout)).toEqual([expect.stringContaining('nothing to do')])
  expect(changes()).toEqual([])
})

describe('a fleet that is divided', () => {
  const divided = (shards: number) =>
    onHuawei(settings => {
      const [first] = settings.targets
      settings.targets = ['plant-0', 'plant-9', 'plant-1'].map((name, i) => ({
        ...first,
        ...{ name, certificate: name, domain: `${name}.example.com` },
        instance: {
          ...first.instance,
          instanceId: `${i}1111111-2222-3333-4444-555555555555`,
          endpoint: `https://${i}a.st1.iotda-app.cn-north-4.myhuaweicloud.com`,
        },
      }))
      settings.certificates = Object.fromEntries(
        settings.targets.map(({ name, domain }: Sample) => [
          name,
          { names: [domain], source: 'letsencrypt' },
        ]),
      )
      settings.schedule = { shards }
    })

  test('each is a function of its own, with its part and its minute', async () => {
    for (const [shard, minutes] of [
      ['1/3', '5,35'],
      ['2/3', '15,45'],
      ['3/3', '25,55'],
    ] as const) {
      const { code, stdout, stderr } = await deploy({ args: ['--shard', shard], settings: divided(3) })
      expect([code, stderr]).toEqual([0, ''])
      expect(lines(stdout)[0]).toBe(`shard ${shard}: 1 of 3 targets`)
      const made = graph.functions.get(`${URN}-${shard[0]}`)
      expect(JSON.parse(String(made?.config.user_data)).IOTDA_CERT_SHARD).toBe(shard)
      expect(made?.triggers[0]?.data.schedule).toBe(`CRON_TZ=Etc/UTC 0 ${minutes} * * * ?`)
      expect(made?.maxInstances).toBe(1)
    }
    expect(graph.functions.size).toBe(3)
    const { stdout } = await deploy({ args: ['--shard', '2/3'], settings: divided(3) })
    expect(lines(stdout).at(-1)).toContain('nothing to do')
  })

  test.each([
    [[], divided(3), 'schedule.shards is 3: deploy each with --shard 1/3 to --shard 3/3'],
    [['--shard', '2/4'], divided(3), '--shard is 2/4, and schedule.shards is 3'],
    [['--shard', '1/2'], onHuawei(), '--shard is 1/2, and schedule.shards is 1'],
    [['--shard', '4/3'], divided(3), '--shard must be such as 2/3'],
    [[], onHuawei(it => Object.assign(it, { schedule: { shards: 0 } })), 'schedule.shards: must be 1 to 50'],
  ])('%j is refused before anything is made', async (args, settings, why) => {
    const { code, stderr } = await deploy({ args, settings })
    expect([code, stderr]).toEqual([2, expect.stringContaining(why)])
    expect(faults.calls).toEqual([])
  })
})

describe('secrets', () => {
  const shown = () => graph.functions.get(URN)?.config ?? {}
  const marked = () => JSON.parse(String(shown().user_data)).IOTDA_CERT_SECRETS_MARK as string

  test.each(['plain', 'base64', 'json'] as const)(
    'a service that quotes a part of them, %s, where it refuses them: nothing of that is told',
    async as => {
      const body = JSON.stringify({ error_code: 'FSS.0400', error_msg: 'bad value: {quoted}' })
      const quoting = { field: 'encrypted_user_data', chars: 40, end: 'last', as } as const
      const operations = ['functiongraph.UpdateFunctionConfig']
      faults.add({ operations, times: 9, status: 400, body, quoting })
      const { code, stdout, stderr } = await deploy()
      expect(code).not.toBe(0)
      expect(`${stdout}${stderr}`).toContain('UpdateFunctionConfig answered HTTP 400 FSS.0400')
      expect(`${stdout}${stderr}`).not.toContain('bad value')
    },
  )

  test('another value is set, and what stands beside it tells nothing of it', async () => {
    await deploy()
    const mark = marked()
    const other = Buffer.alloc(32, 2).toString('base64')
    const { stdout } = await deploy({ env: { SEAL_KEY: other } })
    expect(lines(stdout)).toEqual(['done: set SEAL_KEY (encrypted)'])
    expect(JSON.parse(String(shown().encrypted_user_data))).toEqual({ SEAL_KEY: other })
    expect(marked()).not.toBe(mark)
    // The salt stays, another deployment of the same secret has another one: no table tells what it is.
    expect(marked().split('.')[0]).toBe(mark.split('.')[0])
    await graph.dispose()
    const keys = new Map([['AKDEPLOY', { secretKey: 'SKDEPLOY', securityToken: 'TOKEN' }]])
    graph = await createFunctionGraph({ faults, keys, projectId: PROJECT })
    await deploy()
    expect(marked().split('.')[1]).not.toBe(mark.split('.')[1])
  })

  test('one that the settings name no more goes from the function', async () => {
    await deploy()
    const settings = onHuawei(s => Object.assign(s.store, { sealKey: 'csms:seal-key' }))
    expect(lines((await deploy({ settings })).stdout)).toEqual(['done: set user_data, no secrets'])
    expect(shown().encrypted_user_data).toBe('{}')
    faults.clearCalls()
    expect((await deploy({ settings })).stdout).toContain('nothing to do')
    expect(changes()).toEqual([])
  })

  test('a deployment that broke off before them sets them', async () => {
    faults.add({ operations: ['functiongraph.UpdateFunctionConfig'], status: 500, times: 10 })
    expect((await deploy()).code).toBe(1)
    faults.clear()
    expect((await deploy()).stdout).toContain('set SEAL_KEY (encrypted)')
    expect(JSON.parse(String(shown().encrypted_user_data))).toEqual({ SEAL_KEY })
  })

  test('of a function from before there was a mark are set once', async () => {
    await deploy()
    const { IOTDA_CERT_SECRETS_MARK: _, ...userData } = JSON.parse(String(shown().user_data))
    Object.assign(shown(), { user_data: JSON.stringify(userData) })
    expect(lines((await deploy()).stdout)).toEqual(['done: set SEAL_KEY (encrypted)'])
    expect((await deploy()).stdout).toContain('nothing to do')
  })
})

describe('the watchdog', () => {
  const WATCH = `${URN}-watch`
  const watched = {
    version: 1,
    targets: [{ name: 'factory-1', host: 'iot.example.com' }],
    notifiers: [{ type: 'webhook', url: 'env:WATCH_URL' }],
  }
  const withWatch = async (...more: string[]) => {
    const file = join(folder, 'watch.json')
    await writeFile(file, JSON.stringify(watched))
    const env = { WATCH_URL: 'https://hooks.example.com/secret' }
    return deploy({ env, args: ['--watch', file, ...more] })
  }

  test('is a function of its own beside the rotator, with no secret and no agency of it', async () => {
    const dry = await withWatch('--dry-run')
    expect(changes()).toEqual([])
    const real = await withWatch()
    expect(real).toMatchObject({ code: 0, stderr: '' })
    expect(lines(dry.stdout).map(it => it.replace(/^would /, ''))).toEqual(
      lines(real.stdout).map(it => it.replace(/^done: /, '')),
    )
    const made = graph.functions.get(WATCH)
    expect(made).toMatchObject({
      maxInstances: 1,
      config: { handler: 'index.handler', timeout: 120, xrole: '' },
      triggers: [{ data: { name: 'iotda-cert-watch', schedule: 'CRON_TZ=Etc/UTC 0 20 0,6,12,18 * * ?' } }],
      asyncInvoke: { max_async_retry_attempts: 0, max_async_event_age_in_seconds: 3600 },
    })
    expect(made?.code.equals(await readFile(built.zip('functiongraph-watch')))).toBe(true)
    expect(made?.config).not.toHaveProperty('initializer_handler')
    expect(JSON.parse(JSON.parse(String(made?.config.user_data)).IOTDA_CERT_WATCH)).toEqual(watched)
    expect(JSON.parse(String(made?.config.encrypted_user_data))).toEqual({
      WATCH_URL: 'https://hooks.example.com/secret',
    })
    expect(real.stdout + dry.stdout).not.toContain('hooks.example.com')

    faults.clearCalls()
    const again = await withWatch()
    expect(lines(again.stdout).every(it => it.startsWith('nothing to do'))).toBe(true)
    expect(changes()).toEqual([])
    expect((await withWatch('--watch-agency', 'watcher')).stdout).toContain('set xrole')
    expect(graph.functions.get(WATCH)?.config.xrole).toBe('watcher')
    expect(graph.functions.get(URN)?.config.xrole).toBe('iotda-cert')
  })
})

test('--dry-run says the same and does nothing', async () => {
  const dry = await deploy({ args: ['--dry-run'] })
  expect(changes()).toEqual([])
  const real = await deploy()
  expect(lines(dry.stdout).map(it => it.replace(/^would /, ''))).toEqual(
    lines(real.stdout).map(it => it.replace(/^done: /, '')),
  )
  expect(dry.stdout + real.stdout).not.toContain(SEAL_KEY)
})

test('what somebody changed is put right, and other timers stay', async () => {
  await deploy()
  const made = graph.functions.get(URN)
  if (!made) throw new Error('it is not there')
  made.maxInstances = 400
  made.config.timeout = 3
  made.code = Buffer.from('PK\x03\x04 another')
  made.asyncInvoke = { max_async_retry_attempts: 3, max_async_event_age_in_seconds: 3600 }
  for (const it of made.triggers) it.status = 'DISABLED'
  for (const it of [...made.triggers])
    made.triggers.push({ ...it, id: 'theirs', status: 'ACTIVE', data: { name: 'theirs' } })
  faults.clearCalls()
  const { stdout } = await deploy({ args: ['--schedule', 'CRON_TZ=Asia/Shanghai 0 */20 * * * ?'] })
  expect(stdout).toContain('upload the code')
  expect(stdout).toContain('done: set timeout\n')
  expect(made).toMatchObject({ maxInstances: 1, config: { timeout: 900 } })
  expect(made.triggers.map(it => [it.data.name, it.status, it.data.schedule])).toEqual([
    ['theirs', 'ACTIVE', undefined],
    ['iotda-cert', 'ACTIVE', 'CRON_TZ=Asia/Shanghai 0 */20 * * * ?'],
  ])
  expect(made.asyncInvoke?.max_async_retry_attempts).toBe(0)
})

test('settings may begin with a byte order mark', async () => {
  await deploy()
  const settings = `\ufeff${JSON.stringify(onHuawei())}`
  expect(await deploy({ settings })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('nothing to do'),
  })
})

test('a deployment that broke off is finished by the next', async () => {
  faults.add({ operations: ['functiongraph.UpdateFunctionMaxInstanceConfig'], status: 500, times: 10 })
  expect((await deploy()).code).toBe(1)
  faults.clear()
  expect((await deploy()).code).toBe(0)
  expect(graph.functions.get(URN)).toMatchObject({ maxInstances: 1, triggers: [{ status: 'ACTIVE' }] })
})

test('a lost answer: what is asked again may be done already, what is not says to run it again', async () => {
  await deploy()
  faults.add({ operations: ['functiongraph.DeleteFunctionTrigger'], drop: 'after' })
  const args = ['--schedule', 'CRON_TZ=Asia/Shanghai 0 7 * * * ?']
  expect(await deploy({ args })).toMatchObject({ code: 0, stderr: '' })
  expect(graph.functions.get(URN)?.triggers.map(it => it.data.schedule)).toEqual([args[1]])
  faults.add({ operations: ['functiongraph.CreateFunctionTrigger'], drop: 'after' })
  const { code, stderr } = await deploy()
  expect(code).toBe(1)
  expect(stderr).toContain('hint   Run it again')
  expect((await deploy()).stdout).toContain('nothing to do')
})

test.each([
  [401, 'FSS.0401'],
  [500, 'FSS.0500'],
])('what is gone may also be %i %s', async (status, code) => {
  const body = JSON.stringify({ error_code: code, error_msg: 'Function not found' })
  const gone = { status, body, times: 3 }
  faults.add({ ...gone, operations: ['functiongraph.ShowFunctionConfig'] })
  expect(await deploy()).toMatchObject({ code: 0, stderr: '' })
  expect(graph.functions.size).toBe(1)
  faults.clear()
  faults.add({ ...gone, operations: ['functiongraph.DeleteFunctionTrigger'], after: true })
  const args = ['--schedule', 'CRON_TZ=Asia/Shanghai 0 7 * * * ?']
  expect(await deploy({ args })).toMatchObject({ code: 0, stderr: '' })
  expect(graph.functions.get(URN)?.triggers.map(it => it.data.schedule)).toEqual([args[1]])
})

const HOOKS = Array.from({ length: 20 }, (_, i) => `HOOK_${i}`)

describe('is refused before anything is done', () => {
  test.each<[string, Run, string]>([
    ['a secret that is not set', { env: { SEAL_KEY: '' } }, 'env:SEAL_KEY, which is not set here'],
    ['no keys', { env: { HUAWEICLOUD_SDK_AK: '' } }, 'HUAWEICLOUD_SDK_AK'],
    ['no region', { env: { HUAWEICLOUD_SDK_REGION: '' } }, '--region'],
    ['an option that is none', { args: ['--regoin', 'x'] }, '--regoin'],
    ['settings that are no JSON', { settings: '{' }, 'is no valid JSON'],
    [
      'a file',
      { settings: onHuawei(s => Object.assign(s.targets[0], { trustedRoots: 'file:roots.pem' })) },
      'file:roots.pem',
    ],
    [
      'a secret in the settings',
      { settings: onHuawei(s => Object.assign(s.store, { sealKey: 'PLAINTEXT' })) },
      'store.sealKey: a secret must not stand in the settings',
    ],
    [
      'a secret in the other cloud',
      { settings: onHuawei(s => Object.assign(s.store, { sealKey: 'awssm:seal-key' })) },
      'awssm:seal-key, which a function on FunctionGraph has no keys for',
    ],
    [
      'settings that the function would refuse',
      { settings: onHuawei(s => Object.assign(s, { stroe: {}, version: 9 })) },
      'stroe: is not a setting; did you mean "store"?',
    ],
    [
      'a solver whose SDK is not in the zip',
      { settings: onHuawei(s => Object.assign(s.solvers, { dns: { type: 'route53' } })) },
      'the zip is without @aws-sdk/client-route-53',
    ],
    [
      'a notifier whose package is not in the zip',
      { settings: onHuawei(s => s.notifiers.push(MAIL)) },
      'the zip is without nodemailer',
    ],
    ['a list', { settings: '[]' }, 'no JSON object'],
    ['a memory that is no number', { args: ['--memory', 'abc'] }, '--memory must be'],
    ['a timer without a time zone', { args: ['--schedule', '0 5 * * * ?'] }, 'CRON_TZ='],
    ['settings from nowhere', { args: ['--config', 'cmss:typo'] }, '--config must be csms:NAME'],
    ['too much', { settings: onHuawei(s => Object.assign(s, { $schema: 'x'.repeat(4_100) })) }, 'csms:NAME'],
    [
      'more variables than a function takes',
      {
        settings: onHuawei(s =>
          Object.assign(s, { notifiers: HOOKS.map(name => ({ type: 'webhook', url: `env:${name}` })) }),
        ),
        env: Object.fromEntries(HOOKS.map(name => [name, 'https://hooks.example.com/a'])),
      },
      'would have 24 variables, and a function takes 20',
    ],
    ['a watchdog that watches nothing', { args: ['--watch-agency', 'x'] }, '--watch is not given'],
    [
      'keys that would go in the clear',
      { args: ['--endpoint', 'http://fg.example.com'] },
      '--endpoint must be',
    ],
    ['an endpoint that is none', { args: ['--endpoint', 'fg.example.com'] }, '--endpoint must be'],
    ['no zip', { args: ['--zip', '/nowhere.zip'] }, 'npm run package'],
  ])('%s', async (_, run, message) => {
    const { code, stderr } = await deploy(run)
    expect(stderr).toContain(message)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(code).toBe(2)
    expect(faults.calls).toEqual([])
  })

  test('keys that the service does not take', async () => {
    const { code, stderr } = await deploy({ env: { HUAWEICLOUD_SDK_SK: 'another' } })
    expect(code).toBe(1)
    expect(stderr).toContain('unauthorized')
    expect(graph.functions.size).toBe(0)
  })
})
