/** `iotda-cert init` in this process: every solver and every notifier that there is, at every place. */
import { Resolver } from 'node:dns/promises'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkSettings } from '../../../lib/app/deployment.ts'
import { certificateEntry } from '../../../lib/app/init/compose.ts'
import { channels } from '../../../lib/app/init/driver-questions.ts'
import { askSettings, askTarget, nextSteps, settingsIn } from '../../../lib/app/init/init.ts'
import type { Asked } from '../../../lib/app/init/interview.ts'
import { findDnsService, lookAtPort, serviceOf } from '../../../lib/app/init/look.ts'
import { namesOf } from '../../../lib/permissions/raw.ts'
import { solvers } from '../../../lib/solvers/index.ts'
import { createDns } from '../../../sandbox/dns/server.ts'
import { createRoot } from '../../../sandbox/kit/pki.ts'
import { fillSlots, startSandbox } from '../../../sandbox/sandbox.ts'
import { cleanups } from '../../support/cleanups.ts'

const CLOSED = 'https://127.0.0.1:9'
const GIVEN = {
  ...{ domain: 'iot.example.com', endpoint: CLOSED, region: 'cn-north-4', project: 'p1', instance: 'i-1' },
  ...{ email: 'ops@example.com', ca: `${CLOSED}/directory`, dns: 'route53' },
}
/** What somebody would answer to the questions that have no usual answer. */
const TOLD: Readonly<Record<string, string>> = {
  'acmedns: endpoint': 'https://acme-dns.example.com',
  'acmedns: subdomain': 'abc',
  'acmedns: username': 'abc',
  'acmedns: fulldomain': 'abc.acme-dns.example.com',
  'exec: command': '/usr/local/bin/dns',
  'rfc2136: server': 'ns.example.com',
  'rfc2136: keyName': 'iotda',
  'webhook: url': 'https://dns.example.com',
  'sns: topicArn': 'arn:aws:sns:eu-central-1:123456789012:alerts',
  'smn: topicUrn': 'urn:smn:cn-north-4:0123456789abcdef:alerts',
  'smtp: host': 'mail.example.com',
  'smtp: from': 'a@example.com',
  'smtp: to': 'b@example.com, c@example.com',
  'smtp: username': 'mailer',
  'smtp: password': '',
}
const asked = (given: Record<string, string>, more: Partial<Asked> = {}): Asked => ({
  ...{ given: { ...GIVEN, ...given }, isAgreed: true, isBold: true, say: () => {} },
  ask: async text => {
    const [question = ''] = /^[\w.]+: \w+/.exec(text) ?? []
    return (/\[.+\]: $/.test(text) ? '' : TOLD[question]) ?? ''
  },
  ...more,
})

const PLACES = ['here', 'aws', 'functiongraph'] as const

/** What a deployment to the place says of it. */
async function checked(text: string, where: (typeof PLACES)[number]): Promise<void> {
  if (where !== 'here') return checkSettings(text)
  const folder = mkdtempSync(join(tmpdir(), 'iotda-cert-init-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'settings.json')
  writeFileSync(file, text)
  await settingsIn(file, folder)
}

describe.each(PLACES)('at the place "%s"', where => {
  const types = Object.keys(solvers).filter(type => where === 'here' || type !== 'exec')
  test.each(types)('the solver %s is asked what it needs', async dns => {
    const text = await askSettings(asked({ where, dns }))
    await checked(text, where)
    expect(JSON.parse(text).solvers.dns.type).toBe(dns)
    // A function on AWS could follow no other reference.
    if (where === 'aws')
      expect([...namesOf('env', JSON.parse(text)), ...namesOf('csms', JSON.parse(text))]).toEqual([])
  })

  test('every channel is asked what it needs', async () => {
    const all = await channels()
    expect(all).toEqual(expect.arrayContaining(['none', 'dingtalk', 'pagerduty', 'sns', 'smn', 'smtp']))
    for (const tell of all) {
      // Signs in with a name: then it needs the password, too.
      const given = { where, tell, ...(tell === 'smtp' ? { 'tell.username': '' } : {}) }
      const text = await askSettings(asked(given))
      await checked(text, where)
      const { notifiers = [] } = JSON.parse(text)
      expect(notifiers).toHaveLength(tell === 'none' ? 0 : 1)
      if (where === 'aws') expect(namesOf('env', JSON.parse(text))).toEqual([])
    }
  })
})

test('a secret itself is not taken, nor said again', async () => {
  const said = askSettings(asked({ dns: 'cloudflare', 'dns.apiToken': 'v1.0-literal-token' }))
  await expect(said).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining('never what it is'),
  })
  await expect(said).rejects.not.toMatchObject({ message: expect.stringContaining('literal-token') })
})

test('without a terminal: what the chosen drivers need is missing, too, all at once', async () => {
  const said = askSettings(asked({ dns: 'rfc2136', tell: 'smtp' }, { ask: null, isAgreed: false }))
  await expect(said).rejects.toMatchObject({
    message: expect.stringContaining(
      'missing --set dns.server=, --set dns.keyName=, --set tell.host=, --set tell.from=, --set tell.to=, --agree-terms',
    ),
  })
})

test('a setting for a driver that is not asked for it is refused', async () => {
  await expect(askSettings(asked({ 'dns.apiToken': 'env:X' }))).rejects.toMatchObject({
    message: '--set dns.apiToken: nobody asks for it',
  })
})

test('name servers tell the service', () => {
  const of = (...names: string[]): string | null => serviceOf(names)
  expect(of('NS-1.AWSDNS-01.co.uk.')).toBe('route53')
  expect(of('amy.ns.cloudflare.com')).toBe('cloudflare')
  expect(of('ns1.huaweicloud-dns.com', 'ns1.hwclouds-dns.net')).toBe('huaweicloud')
  expect(of('dns9.hichina.com')).toBe('alidns')
  expect(of('f1g1ns1.dnspod.net')).toBe('tencentcloud')
  expect(of('ns1.example.com', 'evil-cloudflare.com')).toBe(null)
})

test('the roots of the devices come from a PEM file into the settings; of another target as of the first', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'iotda-cert-init-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const { certPem } = await createRoot()
  const file = join(folder, 'roots.pem')
  writeFileSync(file, `Subject: a comment\n${certPem}`)
  const text = await askSettings(asked({ roots: file, where: 'functiongraph' }))
  const { trustedRoots } = JSON.parse(text).targets[0]
  expect(trustedRoots.trim()).toBe(certPem.trim())
  await checked(text, 'functiongraph')

  const settings = join(folder, 'settings.json')
  writeFileSync(settings, text)
  const given = {
    domain: 'eu.example.com',
    endpoint: 'https://127.0.0.1:10',
    region: 'eu-west-101',
    instance: 'i-2',
  }
  const added = await askTarget(text, await settingsIn(settings, folder), { ...asked({}), given })
  expect(JSON.parse(added.text).targets[1].trustedRoots).toBe(trustedRoots)

  writeFileSync(file, 'no certificate')
  await expect(askSettings(asked({ roots: file }))).rejects.toMatchObject({
    message: expect.stringContaining('--roots must be a PEM file'),
  })
})

test('the zone of a domain is found, and its name servers tell its service', async () => {
  const ns = [{ name: 'amy.ns.cloudflare.com', address: '127.0.0.1' }]
  const dns = await createDns({ zones: [{ name: 'example.com', ns }], resolvers: ['127.0.0.1'] })
  cleanups.push(dns.dispose)
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${dns.port}`])
  expect(await findDnsService('a.iot.example.com', resolver)).toEqual({
    ...{ nameServers: ['amy.ns.cloudflare.com'], service: 'cloudflare' },
  })
  expect(await findDnsService('iot.example.net', resolver)).toEqual({ nameServers: [], service: null })
})

test('what is next says where each secret has to be put, and how it is deployed', async () => {
  const text = await askSettings(asked({ where: 'aws', dns: 'cloudflare', tell: 'slack' }))
  const { needs, commands } = nextSteps(text, 'settings.json')
  expect(needs[0]).toBe(
    'secrets of AWS Secrets Manager: iotda-cert/cloudflare-api-token, iotda-cert/ak, iotda-cert/sk, iotda-cert/seal-key, iotda-cert/alert-url',
  )
  expect(commands).toContain('npx iotda-cert deploy aws --settings settings.json --region REGION --dry-run')
})

describe('another target', () => {
  const settingsText = async (
    change: (settings: Record<string, unknown>) => void = () => {},
  ): Promise<string> => {
    const settings = JSON.parse(await askSettings(asked({ devices: 'esp-idf' })))
    change(settings)
    return JSON.stringify(settings, null, 4)
  }
  const added = async (text: string, given: Record<string, string>, more: Partial<Asked> = {}) => {
    const folder = mkdtempSync(join(tmpdir(), 'iotda-cert-init-'))
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'settings.json')
    writeFileSync(file, text)
    const result = await askTarget(text, await settingsIn(file, folder), {
      ...asked({}, more),
      given: {
        ...{
          domain: 'eu.example.com',
          endpoint: 'https://127.0.0.1:10',
          region: 'eu-west-101',
          instance: 'i-2',
        },
        ...given,
      },
    })
    writeFileSync(file, result.text)
    await settingsIn(file, folder)
    return result
  }

  test('by the source and the keys that are there; every line of before is still there', async () => {
    const text = await settingsText()
    const { text: after, additions } = await added(text, {}, { ask: null })
    const { targets, certificates, ...rest } = JSON.parse(after)
    const { targets: _t, certificates: _c, ...same } = JSON.parse(text)
    expect(rest).toEqual(same)
    expect(targets[1]).toMatchObject({
      ...{ name: 'eu.example.com', domain: 'eu.example.com', credentials: 'cn', profiles: ['esp-idf'] },
    })
    expect(certificates['eu.example.com']).toEqual({ names: ['eu.example.com'], source: 'ca' })
    expect(additions.map(it => it.split(':')[0])).toEqual(['certificates', 'targets'])
    const lines = after.split('\n').map(it => it.replace(/,$/, ''))
    for (const line of text.split('\n')) expect(lines).toContain(line.replace(/,$/, ''))
  })

  test('by keys, a source and a solver of its own', async () => {
    const given = {
      credentials: 'eu',
      source: 'second',
      dns: 'cloudflare',
      email: 'b@example.com',
      ca: `${CLOSED}/d`,
    }
    const { text } = await added(await settingsText(), given)
    const { credentials, sources, solvers } = JSON.parse(text)
    expect(credentials.eu).toEqual({
      ...{
        type: 'huaweicloud',
        accessKey: 'env:HUAWEICLOUD_SDK_AK_EU',
        secretKey: 'env:HUAWEICLOUD_SDK_SK_EU',
      },
    })
    expect(sources.second).toMatchObject({ solver: 'cloudflare', email: 'b@example.com' })
    expect(solvers.cloudflare).toEqual({ type: 'cloudflare', apiToken: 'env:CLOUDFLARE_API_TOKEN' })
  })

  test('a wildcard that is there has the domain: no certificate is added', async () => {
    const text = await settingsText(settings => {
      settings.certificates = { iot: { names: ['*.example.com'], source: 'ca' } }
    })
    const { additions } = await added(text, {})
    expect(additions).toHaveLength(1)
    expect(additions[0]).toContain('"certificate":"iot"')
  })

  test.each([
    ['a domain', { domain: 'IOT.example.com' }, 'is the domain of the target "iot.example.com" already'],
    ['a name', { name: 'iot.example.com' }, 'is the name of another target'],
    ['an instance', { instance: 'i-1' }, 'is the instance of the target "iot.example.com"'],
  ])('%s that is there is refused', async (_, given, message) => {
    await expect(added(await settingsText(), given)).rejects.toMatchObject({
      message: expect.stringContaining(message),
    })
  })

  test('what its new source needs is missing without a terminal', async () => {
    const said = added(
      await settingsText(),
      { source: 'second', dns: 'rfc2136' },
      { ask: null, isAgreed: false },
    )
    await expect(said).rejects.toMatchObject({
      message: expect.stringContaining('--email, --set dns.server=, --set dns.keyName=, --agree-terms'),
    })
  })
})

test('the device port tells which kind of key devices have today', async () => {
  const sandbox = await startSandbox()
  cleanups.push(sandbox.dispose)
  await fillSlots(sandbox)
  const { domain, device } = sandbox
  const seen = await lookAtPort(domain, { host: device.addresses[0] ?? '', port: device.port })
  expect(seen).toMatchObject({
    keyType: 'ec-256',
    message: expect.stringContaining(`devices are served CN=${domain}`),
  })
  expect(certificateEntry(domain, 'ca', { signing: null, keyType: seen.keyType })).toEqual({
    ...{ names: [domain], keyType: 'ec-256', source: 'ca' },
  })
  expect(await lookAtPort(domain, { host: '127.0.0.1', port: 9 })).toMatchObject({ keyType: null })
})
