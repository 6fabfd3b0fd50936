import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fillSlots, type SandboxSettings } from '../../sandbox/sandbox.ts'
import { cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { expectRefusal, stateFiles } from './bad-input.ts'

/** Mistakes in the settings: found before anything outside is asked, and before there is any state. */

let rig: Rig
beforeAll(async () => {
  rig = await createRig()
  await fillSlots(rig.sandbox)
  for (const [name, value] of Object.entries(rig.sandbox.keys)) await writeFile(join(rig.folder, name), value)
})
afterAll(() => rig.dispose())
beforeEach(async () => {
  rig.sandbox.faults.clearCalls()
  rig.sandbox.dns.clearQueries()
  await configure(() => {})
})

/** As an operator writes them, without a secret in the settings themselves. */
const configure = (change: (settings: SandboxSettings) => void): Promise<void> =>
  rig.configure(settings => {
    const keys = { accessKey: 'file:accessKey', secretKey: 'file:secretKey' }
    settings.credentials.cn = { type: 'huaweicloud', ...keys }
    change(settings)
  })

async function expectUntouched(): Promise<void> {
  expect(rig.sandbox.faults.calls).toEqual([])
  expect(rig.sandbox.dns.queries).toEqual([])
  expect(await stateFiles(rig)).toEqual(new Map())
}

const cases: readonly (readonly [string, (settings: SandboxSettings) => void, readonly string[]])[] = [
  [
    'missing settings',
    put({
      'targets.0.domain': undefined,
      'targets.0.instance.region': undefined,
      'solvers.dns.url': undefined,
      'credentials.cn.secretKey': undefined,
    }),
    [
      'has 4 mistakes:',
      'targets[0].domain: is missing',
      'targets[0].instance.region: is missing',
      'solvers.dns.url: is missing',
      'credentials.cn.secretKey: is missing',
    ],
  ],
  [
    'unknown settings',
    put({
      'targets.0.probe.prot': 8883,
      'sources.sandbox.emial': 'ops@example.com',
      'store.folder': './state',
      target: [],
    }),
    [
      'has 4 mistakes:',
      'targets[0].probe.prot: is not a setting',
      'sources.sandbox.emial: is not a setting',
      'store.folder: is not a setting',
      'target: is not a setting',
    ],
  ],
  [
    'settings of a wrong type',
    put({
      version: '1',
      'targets.0.probe.port': '8883',
      'certificates.iot.names': 'iot.example.com',
      'certificates.iot.renewBefore': 30,
      'sources.sandbox.termsOfServiceAgreed': 'yes',
      credentials: [],
    }),
    [
      'version: must be 1',
      'targets[0].probe.port: must be a port number',
      'certificates.iot.names: must be a list of domain names',
      'certificates.iot.renewBefore: must be a duration such as "30d" or a share such as "1/3"',
      'sources.sandbox.termsOfServiceAgreed: must be true or false',
    ],
  ],
  [
    'missing, unknown, wrong and impossible settings: all at once',
    put({
      'targets.0.certificate': undefined,
      'targets.0.instance.endpoint': 'http://iot.example.com',
      'certificates.iot.keyType': 'dsa',
      'sources.sandbox.type': 'acmee',
      'solvers.dns.urll': '',
      'store.path': 5,
      notifiers: [{ type: 'webhook', url: 7 }],
      schedule: { interval: 'daily' },
    }),
    [
      'has 8 mistakes:',
      'targets[0].certificate: is missing',
      'targets[0].instance.endpoint: must be https (http is allowed to loopback only)',
      'certificates.iot.keyType: must be one of "rsa-2048"',
      'sources.sandbox.type: must be one of "acme"',
      'solvers.dns.urll: is not a setting',
      'store.path: must be a folder',
      'notifiers[0].url: must be a secret reference such as env:NAME or file:PATH',
      'schedule.interval: must be a duration',
    ],
  ],
  [
    'a domain that the names do not cover',
    put({ 'certificates.iot.names': ['*.iot.example.com', 'mqtt.example.com'] }),
    ['targets[0].domain', 'does not cover iot.example.com', 'add it to certificates.iot.names'],
  ],
  [
    'two targets on one instance',
    s => {
      s.targets.push({ ...s.targets[0], name: 'factory-2' })
    },
    ['targets[1].instance', 'same instance as target "factory-1"', 'it is one target'],
  ],
  [
    'names of things that are not there: all at once',
    put({
      'targets.0.certificate': 'mqtt',
      'targets.0.credentials': 'eu',
      'certificates.iot.source': 'letsencrypt',
      'sources.sandbox.solver': { 'example.com': 'route53' },
      'solvers.huawei': { type: 'huaweicloud', credentials: 'eu' },
    }),
    [
      'has 5 mistakes:',
      'targets[0].certificate: there is no "mqtt" in certificates (there: iot)',
      'targets[0].credentials: there is no "eu" in credentials (there: cn)',
      'certificates.iot.source: there is no "letsencrypt" in sources (there: sandbox)',
      'sources.sandbox.solver.example.com: there is no "route53" in solvers (there: dns, huawei)',
      'solvers.huawei.credentials: there is no "eu" in credentials (there: cn)',
    ],
  ],
  [
    'unreadable secret references: all at once',
    s => {
      s.credentials.cn = {
        type: 'huaweicloud',
        accessKey: 'env:IOTDA_CERT_NOT_SET',
        secretKey: 'file:secrets/nowhere',
      }
      s.sources.sandbox.accountKey = 'file:.'
      s.targets[0].trustedRoots = 'file:roots.pem'
    },
    [
      'has 4 mistakes:',
      'credentials.cn.accessKey: environment variable IOTDA_CERT_NOT_SET is not set',
      'credentials.cn.secretKey: file secrets/nowhere cannot be read (ENOENT)',
      'sources.sandbox.accountKey: file . cannot be read (EISDIR)',
      'targets[0].trustedRoots: file roots.pem cannot be read (ENOENT)',
    ],
  ],
  [
    'a secret in the settings of a service that is not on this machine',
    put({
      'targets.0.instance.endpoint': 'https://0123456789.st1.iotda-app.cn-north-4.myhuaweicloud.com',
      'credentials.cn.secretKey': 'correct-horse-battery-staple',
    }),
    ['credentials.cn.secretKey: a secret must not stand in the settings: use env:NAME'],
  ],
]

describe('mistakes in the settings', () => {
  test.each(cases)('%s', async (_, change, says) => {
    await configure(change)
    await expectRefusal(rig, { code: 'settings-invalid', says: ['settings.json', ...says] })
    await expectUntouched()
  })

  test('are found by every command', async () => {
    await configure(put({ targets: undefined }))
    for (const command of ['plan', 'status', 'rollback', 'hold', 'resume']) {
      const ended = await cli(rig, [command])
      expect(ended.code, command).toBe(2)
      expect(ended.stderr).toContain('targets: is missing')
    }
    await expectUntouched()
  })
})

describe('no usable settings', () => {
  const inEnv = (text: string) => ({ IOTDA_CERT_CONFIG: text })

  test.each([
    ['none at all', []],
    ['an empty --config', ['--config', '']],
  ])('%s', async (_, flags) => {
    const says = ['no settings are given', '--config FILE', 'IOTDA_CERT_CONFIG']
    await expectRefusal(rig, { args: ['rotate', ...flags], env: inEnv(''), code: 'usage', says })
    await expectUntouched()
  })

  test('a file that is not there', async () => {
    const file = join(rig.folder, 'nowhere.json')
    const says = [`the settings file ${file}`, 'there is no such file', '--config FILE']
    await expectRefusal(rig, { args: ['rotate', '--config', file], code: 'settings-invalid', says })
    await expectRefusal(rig, { env: inEnv(file), code: 'settings-invalid', says })
    await expectUntouched()
  })

  test('a folder', async () => {
    const folder = join(rig.folder, 'folder')
    await mkdir(folder, { recursive: true })
    const says = [`the settings file ${folder}`, 'cannot be read (EISDIR)', '--config FILE']
    await expectRefusal(rig, { args: ['rotate', '--config', folder], code: 'settings-invalid', says })
    await rm(folder, { recursive: true })
    await expectUntouched()
  })

  test.each([
    ['a comma too many', '{\n  "version": 1,\n  "targets": [,]\n}\n'],
    ['an empty file', ''],
    ['YAML', 'version: 1\ntargets:\n  - name: factory-1\n'],
  ])('%s is no JSON', async (_, text) => {
    await writeFile(rig.settingsFile, text)
    await expectRefusal(rig, { code: 'settings-invalid', says: [rig.settingsFile, 'is no valid JSON'] })
    await expectUntouched()
  })

  test('JSON that is no object', async () => {
    await writeFile(rig.settingsFile, '["factory-1"]')
    await expectRefusal(rig, { code: 'settings-invalid', says: [rig.settingsFile, 'targets: is missing'] })
    await expectUntouched()
  })

  test('inline JSON, complete but for its version', async () => {
    const { version: _, ...rest } = rig.sandbox.settings()
    const says = ['the inline settings has a mistake', 'version: is missing']
    await expectRefusal(rig, { env: inEnv(JSON.stringify(rest)), code: 'settings-invalid', says })
    await expectUntouched()
  })
})
