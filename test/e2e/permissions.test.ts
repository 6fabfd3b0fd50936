/** `iotda-cert permissions` against what whole rotations really call, as the sandbox logged it. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { permissions } from '../../lib/app/permissions.ts'
import { watch } from '../../lib/app/watch.ts'
import { silentLog } from '../../lib/base/log.ts'
import type { AwsPolicy } from '../../lib/permissions/aws.ts'
import type { HuaweiPolicy } from '../../lib/permissions/huawei.ts'
import s3 from '../../lib/stores/s3.ts'
import { zoneIdOf } from '../../sandbox/dns/huawei-recordsets.ts'
import { type Need, needsOf, type Statement } from '../../sandbox/kit/access.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { fillSlots, type SandboxSettings } from '../../sandbox/sandbox.ts'
import { createCsms } from '../../sandbox/stores/csms.ts'
import { createS3 } from '../../sandbox/stores/s3.ts'
import { createSecretsManager } from '../../sandbox/stores/secretsmanager.ts'
import { onAws, onHuawei } from '../deploy/sample.ts'
import {
  AWS_KEY,
  AWS_SECRET,
  AWS_TOKEN,
  awsKeys,
  awsSettings,
  contextWith,
  PROJECT,
  REGION,
} from '../stores/cloud.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { cleanups } from '../support/cleanups.ts'
import { fakeClock } from '../support/clock.ts'
import { cli } from '../support/command.ts'
import { ROOT } from '../support/modules.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { openAcm } from './acm.ts'

/** Granted, but needed now and then only: after two writers at once. */
const SELDOM = ['csms:secret:getStage']

const actionsOf = (policy: AwsPolicy | HuaweiPolicy): readonly string[] =>
  policy.Statement.flatMap(it => it.Action).toSorted()
const granted = async (rig: Rig): Promise<readonly Statement[]> => {
  const ask = (cloud: 'aws' | 'huawei') => permissions({ config: rig.settingsFile, cloud })
  return [...(await ask('aws')).Statement, ...(await ask('huawei')).Statement]
}
/** Every need of what was called. */
const called = (rig: Rig): readonly Need[] => rig.sandbox.faults.calls.flatMap(call => needsOf(call) ?? [])

const keys = { region: REGION, accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }
const sealKey = randomBytes(32).toString('base64')

type Place = (rig: Rig, now: () => number) => Promise<object>
const places: Readonly<Record<string, Place>> = {
  s3: async ({ sandbox: { faults } }, now) => {
    const service = await createS3({ faults, now, keys: awsKeys, bucket: 'state' })
    cleanups.push(service.dispose)
    return { type: 's3', bucket: 'state', endpoint: service.url, sealKey, ...keys }
  },
  secretsmanager: async ({ sandbox: { faults } }, now) => {
    const service = await createSecretsManager({ faults, now, keys: awsKeys })
    cleanups.push(service.dispose)
    return { type: 'secretsmanager', endpoint: service.url, sealKey, ...keys }
  },
  csms: async ({ sandbox }, now) => {
    const { accessKey, secretKey } = sandbox.keys
    const service = await createCsms({
      ...{ faults: sandbox.faults, now, projectId: PROJECT },
      keys: new Map([[accessKey, { secretKey }]]),
    })
    cleanups.push(service.dispose)
    const place = { credentials: 'cn', region: 'cn-north-4', projectId: PROJECT, endpoint: service.url }
    return { type: 'csms', sealKey, ...place }
  },
}

const useHuaweiDns = (rig: Rig) => (settings: SandboxSettings) => {
  const { huaweiDns, dns } = rig.sandbox
  settings.solvers.dns = {
    ...{ type: 'huaweicloud', credentials: 'cn', region: 'cn-north-4', endpoint: huaweiDns.url },
    propagation: { resolvers: [`127.0.0.1:${dns.port}`], port: dns.port, every: '100ms' },
  }
}

describe('under its own policy, nothing is refused and nothing that is granted is left unused', () => {
  test.each(Object.keys(places))(
    '%s',
    async type => {
      const clock = fakeClock()
      const rig = await createRig({ now: clock.now })
      cleanups.push(rig.dispose)
      await fillSlots(rig.sandbox)
      const store = await places[type]?.(rig, clock.now)
      const { dns, ca, faults, domain } = rig.sandbox
      ca.options.authorizationReuse = false
      const zone = dns.zones.find(domain)
      await rig.configure(settings => {
        useHuaweiDns(rig)(settings)
        settings.solvers.dns.zoneIds = zone ? [zoneIdOf(zone)] : []
        settings.store = store
        settings.targets[0].devices = { watch: '24h' }
      })
      const statements = await granted(rig)
      faults.allowOnly(statements)
      expect(await rig.result({}, { clock })).toMatchObject({ outcome: 'rotated', error: null })
      // So that a record set is changed as well as made.
      dns.zones.add(`_acme-challenge.${domain}`, 'TXT', 'of others')
      clock.advance(2 * 3_600_000)
      expect(await rig.result({ force: true }, { clock })).toMatchObject({ outcome: 'rotated', error: null })
      const used = new Set(called(rig).map(it => it.action))
      const allowed = statements.flatMap(it => it.Action)
      expect(allowed.filter(it => !used.has(it) && !SELDOM.includes(it))).toEqual([])
      expect(used.size).toBeGreaterThan(12)
    },
    60_000,
  )

  test.each(Object.keys(places))(
    'the watchdog, with a record beside it: %s',
    async type => {
      const clock = fakeClock()
      const rig = await createRig({ now: clock.now })
      cleanups.push(rig.dispose)
      await fillSlots(rig.sandbox)
      const { faults, device, ca, domain, keys: own } = rig.sandbox
      const store = await places[type]?.(rig, clock.now)
      await rig.configure(settings => Object.assign(settings, { store }))
      expect(await rig.result({}, { clock })).toMatchObject({ error: null })
      const receiver = await receiveAlerts()
      const { sealKey: _, ...place } = { sealKey: '', ...store }
      const { port, addresses } = device
      const config = JSON.stringify({
        version: 1,
        targets: [{ name: 'a', host: domain, sni: 'other.example.com', port, addresses, roots: ca.rootPem }],
        notifiers: [{ type: 'webhook', url: receiver.url }],
        credentials: { cn: { type: 'huaweicloud', accessKey: own.accessKey, secretKey: own.secretKey } },
        store: { ...place, prefix: 'watch_' },
        rotator: { store: place },
      })
      const surroundings = { env: {}, folder: rig.folder }
      const ask = (cloud: 'aws' | 'huawei') => permissions({ config, cloud, isWatch: true, surroundings })
      const statements: Statement[] = [...(await ask('aws')).Statement, ...(await ask('huawei')).Statement]
      faults.allowOnly(statements)
      faults.clearCalls()
      const deadline = clock.now() + 60_000
      const seen = await watch({ config, clock, log: silentLog, deadline, surroundings })
      expect(seen.results).toMatchObject([{ ok: false }, { target: 'rotator', ok: true }])
      const again = await watch({ config, clock, log: silentLog, deadline, surroundings })
      // It remembers what it told, so that it could write its record.
      expect([again.undelivered, receiver.alerts.length]).toEqual([0, 1])
      // Of the rotator's, one document, and none to be written.
      const elsewhere = called(rig).filter(it => !/watch_|^kms:/.test(it.resource))
      expect(elsewhere.filter(it => /put|create|update|delete/i.test(it.action))).toEqual([])
      expect(elsewhere.map(it => it.resource).filter(it => /sources|certificates|targets/.test(it))).toEqual(
        [],
      )
    },
    60_000,
  )

  test('without a statement the sandbox refuses the run', async () => {
    const rig = await createRig()
    cleanups.push(rig.dispose)
    await fillSlots(rig.sandbox)
    const statements = await granted(rig)
    rig.sandbox.faults.allowOnly(statements.filter(it => !it.Action.some(name => /update$/.test(name))))
    expect(await rig.result()).toMatchObject({ outcome: 'failed', error: { code: 'forbidden' } })
    const elsewhere = statements.map(it => ({
      ...it,
      Resource: it.Resource.map(name => name.replace(/instance:.*/, 'instance:another')),
    }))
    rig.sandbox.faults.allowOnly(elsewhere)
    expect(await rig.result()).toMatchObject({ outcome: 'failed', error: { code: 'forbidden' } })
  })

  test('a certificate of ACM is described and exported, and no other one', async () => {
    const rig = await createRig()
    cleanups.push(rig.dispose)
    const { faults, domain } = rig.sandbox
    await fillSlots(rig.sandbox, 60)
    const own = await openAcm(faults, { names: [domain], keyType: 'ec-256' })
    await rig.configure(own.adjust)
    const statements = await granted(rig)
    faults.allowOnly(statements)
    expect(await rig.result()).toMatchObject({ outcome: 'rotated' })
    const policy = (await permissions({ config: rig.settingsFile, cloud: 'aws' })) as AwsPolicy
    const [statement] = policy.Statement
    expect(statement?.Resource).toEqual([own.arn])
    const ofAcm = called(rig).filter(it => it.action.startsWith('acm:'))
    expect([...new Set(ofAcm.map(it => it.action))].toSorted()).toEqual(statement?.Action)
  })
})

describe('what is printed', () => {
  const asked = (cloud: 'aws' | 'huawei', settings: object, env: Record<string, string> = {}) =>
    permissions({ config: JSON.stringify(settings), cloud, surroundings: { env, folder: '.' } })

  test('needs no secret, and names what is used', async () => {
    const policy = (await asked('aws', onAws())) as AwsPolicy
    expect(policy.Statement.map(it => it.Sid)).toEqual([
      ...['State', 'StateAbsent', 'Secrets', 'ChallengeZone', 'ChallengeRead', 'ChallengeWrite'],
      ...['ChallengeWait', 'Alerts'],
    ])
    expect(policy.Statement.find(it => it.Sid === 'ChallengeWrite')).toMatchObject({
      Resource: ['arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ'],
      Condition: {
        'ForAllValues:StringLike': {
          'route53:ChangeResourceRecordSetsNormalizedRecordNames': ['_acme-challenge.iot.example.com'],
        },
      },
    })
    expect(JSON.stringify(await asked('huawei', onAws()))).not.toMatch(/csms|smn|dns:/)
  })

  test('names a challenge as Route 53 does, and where its CNAME leads', async () => {
    const settings = onAws(it => {
      it.certificates.iot.names = ['bücher.example', '*.Bücher.example', 'iot.example.com']
      it.targets[0].domain = 'bücher.example'
      const [solver] = Object.values(it.solvers) as Record<string, unknown>[]
      if (solver) solver.challengeNames = ['Iot.Rôle.example.net.']
    })
    const { Statement } = (await asked('aws', settings)) as AwsPolicy
    expect(Statement.find(it => it.Sid === 'ChallengeWrite')?.Condition).toMatchObject({
      'ForAllValues:StringLike': {
        'route53:ChangeResourceRecordSetsNormalizedRecordNames': [
          '_acme-challenge.iot.example.com',
          '_acme-challenge.xn--bcher-kva.example',
          'iot.xn--rle-kna.example.net',
        ],
      },
    })
  })

  test('is all that goes to standard output; what is to be thought of is said beside it', async () => {
    const print = async (cloud: string, settings: object) =>
      promisify(execFile)(process.execPath, [
        ...[join(ROOT, 'dist', 'cli.mjs'), 'permissions', '--cloud', cloud],
        ...['--config', JSON.stringify(settings)],
      ])
    const ofAws = await print('aws', onAws())
    expect(JSON.parse(ofAws.stdout).Version).toBe('2012-10-17')
    expect(ofAws.stderr).toContain('list where it leads in challengeNames')
    expect(await print('huawei', onHuawei())).toMatchObject({ stderr: '' })
  })

  test('follows the settings', async () => {
    const actions = async (change: (settings: SandboxSettings) => void) =>
      actionsOf(await asked('huawei', onHuawei(change)))
    const usual = await actions(() => {})
    expect(usual).toContain('smn:topic:publish')
    expect(usual).not.toContain('iotda:domainconfiguration:create')
    expect(await actions(s => Object.assign(s.targets[0], { domainConfiguration: 'create' }))).toContain(
      'iotda:domainconfiguration:create',
    )
    expect(await actions(s => Object.assign(s.targets[0], { slots: { delete: 'never' } }))).not.toContain(
      'iotda:servercertificate:delete',
    )
    expect(usual.join()).not.toMatch(/domainconfiguration:delete|\*/)
    const china = await asked('aws', onAws(), { AWS_REGION: 'cn-north-1' })
    expect(JSON.stringify(china)).toContain('arn:aws-cn:s3:::example-iotda-cert-state/iotda-cert/*')
  })

  test.each(['iotda-cert/', 'prod/state', ''])(
    'the page that is published with the prefix "%s" may be written, and nothing beside it',
    async prefix => {
      const service = await createS3({ faults: createFaults(), keys: awsKeys, bucket: 'example' })
      const { context, close } = contextWith()
      cleanups.push(service.dispose, close)
      const store = s3.create({ ...awsSettings(service.url), bucket: 'example', prefix }, context)
      await store.publish?.('<!doctype html>')
      const [key = ''] = service.objects.keys()
      const settings = onAws(it => {
        Object.assign(it, { store: { ...it.store, prefix }, statusPage: { publish: true } })
      })
      const policy = (await asked('aws', settings)) as AwsPolicy
      expect(policy.Statement.find(it => it.Sid === 'StatusPage')).toMatchObject({
        Action: ['s3:PutObject'],
        Resource: [`arn:aws:s3:::example-iotda-cert-state/${key}`],
      })
    },
  )

  test('by the command, and where the cloud is none', async () => {
    const rig = await createRig()
    cleanups.push(rig.dispose)
    const { code, stdout } = await cli(rig, ['permissions', '--cloud', 'huawei'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ Version: '5.0' })
    expect(await cli(rig, ['permissions', '--cloud', 'azure'])).toMatchObject({ code: 2 })
    const watch = JSON.stringify({
      ...{ version: 1, targets: [{ name: 'factory-1', host: 'iot.example.com' }] },
      notifiers: [{ type: 'webhook', url: 'env:WATCH_URL' }],
      rotator: { store: { type: 's3', bucket: 'state' } },
    })
    const ofWatch = await cli(rig, ['permissions', '--cloud', 'aws', '--watch', '--config', watch])
    expect(JSON.parse(ofWatch.stdout).Statement.map((it: { Resource: unknown }) => it.Resource)).toEqual([
      ['arn:aws:s3:::state/iotda-cert/runs/last'],
      ['arn:aws:s3:::state'],
    ])
    expect(await cli(rig, ['permissions', '--cloud', 'aws', '--watch'])).toMatchObject({ code: 2 })
    expect(await cli(rig, ['permissions'])).toMatchObject({ code: 2 })
  })
})
