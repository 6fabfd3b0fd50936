import { describe, expect, test } from 'vitest'
import { changed, drivers, load, mistakesOf, type Raw, sample } from './sample.ts'

/** A change to good settings, and the one mistake it makes. */
type Case = readonly [change: (raw: Raw) => void, mistake: string]

const found = (cases: readonly Case[]): void =>
  test.each(cases.map(([change, mistake]) => [mistake, change] as const))('%s', async (mistake, change) => {
    expect(await mistakesOf(load(changed(change)))).toEqual([mistake])
  })
/** Drivers are added over time. */
const oneOf = (...known: Parameters<typeof drivers.known>): string =>
  `must be one of ${drivers
    .known(...known)
    .map(name => JSON.stringify(name))
    .join(', ')}`
const target = (more: object) => (raw: Raw) => Object.assign(raw.targets[0], more)
const instance = (more: object) => (raw: Raw) => Object.assign(raw.targets[0].instance, more)
const probe = (more: object) => (raw: Raw) => Object.assign(raw.targets[0], { probe: more })
const certificate = (more: object) => (raw: Raw) => Object.assign(raw.certificates.iot, more)
const acme = (more: object) => (raw: Raw) => Object.assign(raw.sources.letsencrypt, more)

test('the sample has no mistake', async () => {
  expect((await load(sample())).targets).toHaveLength(1)
})

describe('what is missing', () => {
  const cases: readonly Case[] = [
    [raw => delete raw.version, 'version: is missing'],
    [raw => delete raw.targets, 'targets: is missing'],
    [raw => delete raw.certificates, 'certificates: is missing'],
    [raw => delete raw.targets[0].domain, 'targets[0].domain: is missing'],
    [raw => delete raw.targets[0].instance.endpoint, 'targets[0].instance.endpoint: is missing'],
    [raw => delete raw.certificates.iot.names, 'certificates.iot.names: is missing'],
    [raw => delete raw.sources.letsencrypt.type, 'sources.letsencrypt.type: is missing'],
    [raw => delete raw.sources.letsencrypt.directory, 'sources.letsencrypt.directory: is missing'],
    [raw => delete raw.credentials.cn.secretKey, 'credentials.cn.secretKey: is missing'],
    [raw => Object.assign(raw, { targets: [] }), 'targets: must have at least one target'],
    [certificate({ names: [] }), 'certificates.iot.names: must have at least one name'],
    [certificate({ source: [] }), 'certificates.iot.source: must name at least one source'],
    [
      certificate({ source: ['letsencrypt', 'letsencrypt'] }),
      'certificates.iot.source: must name each source once',
    ],
  ]
  found(cases)
})

describe('unknown keys', () => {
  const cases: readonly Case[] = [
    [raw => Object.assign(raw, { target: [] }), 'target: is not a setting; did you mean "targets"?'],
    [
      target({ keyencoding: 'pkcs8' }),
      'targets[0].keyencoding: is not a setting; did you mean "keyEncoding"?',
    ],
    [
      instance({ instanceID: 'x' }),
      'targets[0].instance.instanceID: is not a setting; did you mean "instanceId"?',
    ],
    [probe({ witin: '3m' }), 'targets[0].probe.witin: is not a setting; did you mean "within"?'],
    [
      certificate({ renewbefor: '30d' }),
      'certificates.iot.renewbefor: is not a setting; did you mean "renewBefore"?',
    ],
    [acme({ emial: 'a@b.c' }), 'sources.letsencrypt.emial: is not a setting; did you mean "email"?'],
    [
      raw => Object.assign(raw.solvers.dns, { tll: 1 }),
      'solvers.dns.tll: is not a setting; did you mean "ttl"?',
    ],
    [
      raw => Object.assign(raw, { store: { type: 'file', path: 'x', pth: 1 } }),
      'store.pth: is not a setting; did you mean "path"?',
    ],
    [
      raw => Object.assign(raw, { schedule: { cron: '* * * * *' } }),
      'schedule.cron: is not a setting (known here: interval, concurrency, fanOut, shards, shardsPrevious)',
    ],
    [
      target({ slots: { remove: 'never' } }),
      'targets[0].slots.remove: is not a setting (known here: delete)',
    ],
  ]
  found(cases)
})

describe('values', () => {
  const domain = 'targets[0].domain: must be a domain name such as iot.example.com, without a wildcard'
  const renewal = 'certificates.iot.renewBefore: must be a duration such as "30d" or a share such as "1/3"'
  const cases: readonly Case[] = [
    [raw => Object.assign(raw, { version: 2 }), 'version: must be 1'],
    [raw => Object.assign(raw, { targets: {} }), 'targets: must be a list of targets'],
    [raw => Object.assign(raw, { targets: [5] }), 'targets[0]: must be Object, not a number'],
    [
      raw => Object.assign(raw, { certificates: 5 }),
      'certificates: must be an object of certificates by name',
    ],
    [raw => Object.assign(raw, { notifiers: {} }), 'notifiers: must be a list of notifiers'],
    [raw => Object.assign(raw, { notifiers: ['x'] }), 'notifiers[0]: must be an object with a "type"'],
    [target({ name: 'a b' }), 'targets[0].name: must be a name: letters, digits, . _ -'],
    [target({ name: 5 }), 'targets[0].name: must be a name'],
    [target({ domain: '*.example.com' }), domain],
    [target({ domain: 'localhost' }), domain],
    [target({ domain: 'a..example.com' }), domain],
    [target({ domain: '' }), domain],
    [target({ domain: 'a b.example.com' }), domain],
    [
      target({ keyEncoding: 'der' }),
      'targets[0].keyEncoding: must be one of "pkcs1", "pkcs8", "encrypted-pkcs8"',
    ],
    [
      target({ domainConfiguration: true }),
      'targets[0].domainConfiguration: must be one of "require", "create"',
    ],
    [target({ ocsp: 'off' }), 'targets[0].ocsp: must be one of "require-url", "follow-certificate"'],
    [
      target({ slots: { delete: 'always' } }),
      'targets[0].slots.delete: must be one of "superseded", "managed", "never"',
    ],
    [target({ trustedRoots: 'MIIB' }), 'targets[0].trustedRoots: must be PEM text or file:PATH'],
    [
      target({ profiles: ['x'] }),
      'targets[0].profiles[0]: must be a profile, or the name of a preset: mbedtls-2, mbedtls-3, esp-idf, esp-idf-pem, wolfssl, openssl',
    ],
    [target({ minAge: '1y' }), 'targets[0].minAge: must be a duration such as 30d, 6h or 90s'],
    [
      target({ bindWindow: ['Sat'] }),
      'targets[0].bindWindow[0]: must be DAYS HH:MM-HH:MM ZONE, e.g. "mon-fri 02:00-05:00 Asia/Shanghai"',
    ],
    [
      target({ bindWindow: ['* 02:00-05:00 UTC', 'sun 23:50-00:15 UTC'] }),
      'targets[0].bindWindow[1]: is open for 25m, less than schedule.interval (30m): a run may never come while it is; open it longer, or run more often',
    ],
    [instance({ region: 'CN North' }), 'targets[0].instance.region: must be a region such as "cn-north-4"'],
    [
      instance({ projectId: 'p-1' }),
      'targets[0].instance.projectId: must be the project id (32 hex characters, console: My Credentials)',
    ],
    [
      instance({ endpoint: 'abc.example' }),
      'targets[0].instance.endpoint: must be a URL such as https://host/path',
    ],
    [
      instance({ endpoint: 'http://abc.example' }),
      'targets[0].instance.endpoint: must be https (http is allowed to loopback only)',
    ],
    [
      instance({ endpoint: 'ftp://127.0.0.1' }),
      'targets[0].instance.endpoint: must be https (http is allowed to loopback only)',
    ],
    [
      instance({ endpoint: 'https://user:pw@abc.example' }),
      'targets[0].instance.endpoint: must not carry credentials',
    ],
    [
      instance({ signing: 'v4' }),
      'targets[0].instance.signing: must be one of "auto", "standard", "derived"',
    ],
    [probe({ mode: 'on' }), 'targets[0].probe.mode: must be one of "best-effort", "require", "off"'],
    [probe({ port: 0 }), 'targets[0].probe.port: must be 1 to 65535'],
    [probe({ port: '8883' }), 'targets[0].probe.port: must be a port number'],
    [probe({ addresses: ['iot.example.com'] }), 'targets[0].probe.addresses[0]: must be an IP address'],
    [probe({ steady: 0 }), 'targets[0].probe.steady: must be 1 to 100'],
    [probe({ steady: 1.5 }), 'targets[0].probe.steady: must be whole'],
    [probe({ within: '500ms' }), 'targets[0].probe.within: must be at least 1s'],
    [probe({ within: '3 minutes' }), 'targets[0].probe.within: must be a duration such as 30d, 6h or 90s'],
    [probe({ within: 180 }), 'targets[0].probe.within: must be a duration such as 30d, 6h or 90s'],
    [certificate({ names: 'iot.example.com' }), 'certificates.iot.names: must be a list of domain names'],
    [
      certificate({ names: ['iot.example.com', '*.*.example.com'] }),
      'certificates.iot.names[1]: must be a domain name, or a wildcard such as *.example.com',
    ],
    [
      certificate({ keyType: 'rsa-1024' }),
      'certificates.iot.keyType: must be one of "rsa-2048", "rsa-3072", "rsa-4096", "ec-256", "ec-384"',
    ],
    [certificate({ renewBefore: '30' }), renewal],
    [certificate({ renewBefore: '3/3' }), renewal],
    [certificate({ renewBefore: '1/0' }), renewal],
    [certificate({ renewBefore: '0s' }), renewal],
    [certificate({ renewBefore: 30 }), renewal],
    [certificate({ ari: 'yes' }), 'certificates.iot.ari: must be true or false'],
    [certificate({ profile: '' }), 'certificates.iot.profile: must not be empty'],
    [acme({ email: 'nobody' }), 'sources.letsencrypt.email: must be an e-mail address'],
    [
      acme({ directory: 'http://ca.example' }),
      'sources.letsencrypt.directory: must be https (http is allowed to loopback only)',
    ],
    [acme({ type: 'acmee' }), `sources.letsencrypt.type: ${oneOf('source')}`],
    [
      raw => Object.assign(raw.solvers.dns, { propagation: { check: 'https' } }),
      'solvers.dns.propagation.resolvers: must all be URLs for check "https" (at least one), and URLs or servers, not both, otherwise',
    ],
    [
      raw => Object.assign(raw.solvers.dns, { propagation: { check: 'provider', nameservers: ['ns.test'] } }),
      'solvers.dns.propagation.nameservers: are asked with check "authoritative" only',
    ],
    [
      raw => Object.assign(raw.solvers.dns, { propagation: { resolvers: ['http://dns.test/q'] } }),
      'solvers.dns.propagation.resolvers[0]: must be host, host:port, or the https URL of a resolver',
    ],
    [raw => Object.assign(raw.solvers.dns, { type: 'toString' }), `solvers.dns.type: ${oneOf('solver')}`],
    [raw => Object.assign(raw, { store: { type: 'etcd' } }), `store.type: ${oneOf('store')}`],
    [
      raw => Object.assign(raw, { notifiers: [{ type: 'pager' }] }),
      `notifiers[0].type: ${oneOf('notifier')}`,
    ],
    [
      raw => Object.assign(raw, { notifiers: [{ type: 'webhook', url: 'env:ALERT_URL', format: 'xml' }] }),
      'notifiers[0].format: must be one of "json", "slack", "msteams", "feishu", "dingtalk", "wecom"',
    ],
    [
      raw => Object.assign(raw.credentials.cn, { type: 'aws' }),
      'credentials.cn.type: must be one of "huaweicloud", "functiongraph"',
    ],
    [
      raw => Object.assign(raw, { schedule: { interval: 'hourly' } }),
      'schedule.interval: must be a duration such as 30d, 6h or 90s',
    ],
    ...[0, 101, -1].map(
      (concurrency): Case => [
        raw => Object.assign(raw, { schedule: { concurrency } }),
        'schedule.concurrency: must be 1 to 100',
      ],
    ),
    [raw => Object.assign(raw, { schedule: { concurrency: 1.5 } }), 'schedule.concurrency: must be whole'],
    [
      raw => Object.assign(raw, { schedule: { concurrency: '16' } }),
      'schedule.concurrency: must be a number',
    ],
  ]
  found(cases)
})
