import { rootCertificates } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { changed, ENV, load, loadFile, mistakesOf, type Raw, sample } from './sample.ts'

/** A second target on an instance of its own. */
const second = (more: object = {}, instance: object = {}) => ({
  ...sample().targets[0],
  name: 'factory-2',
  instance: { ...sample().targets[0].instance, projectId: 'p2', ...instance },
  ...more,
})
const withSecond = (...given: Parameters<typeof second>) => changed(raw => raw.targets.push(second(...given)))

describe('names of other entries', () => {
  const cases: readonly (readonly [change: (raw: Raw) => void, mistake: string])[] = [
    [
      raw => Object.assign(raw.targets[0], { certificate: 'ito' }),
      'targets[0].certificate: there is no "ito" in certificates (there: iot)',
    ],
    [
      raw => Object.assign(raw.targets[0], { credentials: 'eu' }),
      'targets[0].credentials: there is no "eu" in credentials (there: cn)',
    ],
    [
      raw => Object.assign(raw.certificates.iot, { source: ['zerossl'] }),
      'certificates.iot.source: there is no "zerossl" in sources (there: letsencrypt)',
    ],
    [
      raw => Object.assign(raw.sources.letsencrypt, { solver: 'route53' }),
      'sources.letsencrypt.solver: there is no "route53" in solvers (there: dns)',
    ],
    [
      raw => Object.assign(raw.sources.letsencrypt, { solver: { 'example.com': 'dns', 'example.net': 'x' } }),
      'sources.letsencrypt.solver.example.net: there is no "x" in solvers (there: dns)',
    ],
    [
      raw => {
        delete raw.solvers
      },
      'sources.letsencrypt.solver: there is no "dns" in solvers (there: none)',
    ],
    // Names that every object knows are nothing special.
    [
      raw => Object.assign(raw.targets[0], { certificate: 'constructor' }),
      'targets[0].certificate: there is no "constructor" in certificates (there: iot)',
    ],
    [
      raw => Object.assign(raw.sources.letsencrypt, { solver: 'toString' }),
      'sources.letsencrypt.solver: there is no "toString" in solvers (there: dns)',
    ],
  ]
  test.each(cases.map(([change, mistake]) => [mistake, change] as const))('%s', async (mistake, change) => {
    expect(await mistakesOf(load(changed(change)))).toEqual([mistake])
  })
})

describe('targets', () => {
  test('the certificate must cover the domain', async () => {
    const raw = changed(r =>
      Object.assign(r.certificates.iot, { names: ['*.iot.example.com', 'example.com'] }),
    )
    expect(await mistakesOf(load(raw))).toEqual([
      'targets[0].domain: certificate "iot" (*.iot.example.com, example.com) does not cover iot.example.com: add it to certificates.iot.names',
    ])
    const wildcard = changed(r => Object.assign(r.certificates.iot, { names: ['*.example.com'] }))
    expect((await load(wildcard)).targets[0]?.domain).toBe('iot.example.com')
  })

  test('a name that a wildcard of the same certificate covers is a mistake', async () => {
    const names = [
      'iot.example.com',
      '*.example.com',
      'example.com',
      '*.iot.example.com',
      'a.iot.example.com',
    ]
    const raw = changed(r => Object.assign(r.certificates.iot, { names }))
    const why = (name: string, wildcard: string) =>
      `${name} is covered by ${wildcard} in the same list, which CAs refuse: leave it out`
    expect(await mistakesOf(load(raw))).toEqual([
      `certificates.iot.names[0]: ${why('iot.example.com', '*.example.com')}`,
      `certificates.iot.names[4]: ${why('a.iot.example.com', '*.iot.example.com')}`,
    ])
  })

  test('a name is taken once', async () => {
    expect(await mistakesOf(load(withSecond({ name: 'factory-1' })))).toEqual([
      'targets[1].name: "factory-1" is taken by another target',
    ])
  })

  test.each([
    ['the same address and project', {}, { projectId: 'p1' }],
    ['one of them names the instance', {}, { projectId: 'p1', instanceId: 'i1' }],
    [
      'the address in capitals',
      {},
      { projectId: 'p1', endpoint: 'https://ABC.st1.iotda-app.cn-north-4.myhuaweicloud.com/' },
    ],
  ])('an instance is one target: %s', async (_, more, instance) => {
    expect(await mistakesOf(load(withSecond(more, instance)))).toEqual([
      'targets[1].instance: is the same instance as target "factory-1": an instance has one domain configuration and two slots, so it is one target',
    ])
  })

  test('the same instance id is the same instance, by whatever address', async () => {
    const raw = withSecond({}, { instanceId: 'i1', endpoint: 'https://other.example' })
    Object.assign(raw.targets[0].instance, { instanceId: 'i1' })
    expect(await mistakesOf(load(raw))).toEqual([
      expect.stringMatching(/^targets\[1\]\.instance: is the same/),
    ])
  })

  test('two instances may share address, certificate and credentials', async () => {
    expect((await load(withSecond())).targets.map(t => t.name)).toEqual(['factory-1', 'factory-2'])
    const ids = withSecond({}, { projectId: 'p1', instanceId: 'i2' })
    Object.assign(ids.targets[0].instance, { instanceId: 'i1' })
    expect((await load(ids)).targets).toHaveLength(2)
  })
})

const LITERAL = 'a secret must not stand in the settings: use env:NAME, file:PATH, awssm:NAME or csms:NAME'

describe('secrets', () => {
  const secretKey = (value: unknown) => changed(r => Object.assign(r.credentials.cn, { secretKey: value }))
  const loopback = (raw: Raw): Raw => {
    raw.targets[0].instance.endpoint = 'http://127.0.0.1:8080'
    raw.sources.letsencrypt.directory = 'https://localhost:14000/dir'
    raw.solvers.dns.endpoint = 'http://127.0.0.1:8081'
    return raw
  }

  test('come from the environment and from files beside the settings, trimmed', async () => {
    const raw = changed(r => Object.assign(r.credentials.cn, { secretKey: 'file:sk.txt' }))
    const { credentials } = await loadFile(JSON.stringify(raw), { 'sk.txt': '  from-file\n' })
    expect(credentials.cn?.accessKey.reveal()).toBe(ENV.AK)
    expect(credentials.cn?.secretKey.reveal()).toBe('from-file')
    expect(credentials.cn?.securityToken).toBeNull()
    expect(JSON.stringify(credentials)).not.toContain('from-file')
  })

  test.each([
    ['env:NOPE', 'environment variable NOPE is not set'],
    ['env:EMPTY', 'environment variable EMPTY is not set'],
    ['file:nope.txt', 'file nope.txt cannot be read (ENOENT)'],
    ['awssm:prod/sk', 'references to awssm: cannot be read here'],
    ['csms:sk', 'references to csms: cannot be read here'],
    ['literal-secret', LITERAL],
    ['', 'must be a secret reference such as env:NAME or file:PATH, not empty'],
    [5, 'must be a secret reference such as env:NAME or file:PATH'],
  ])('%s', async (value, mistake) => {
    expect(await mistakesOf(load(secretKey(value), { ...ENV, EMPTY: '' }))).toEqual([
      `credentials.cn.secretKey: ${mistake}`,
    ])
  })

  test('an empty file and a folder are refused', async () => {
    const raw = changed(r =>
      Object.assign(r.credentials.cn, { accessKey: 'file:empty', secretKey: 'file:.' }),
    )
    expect((await mistakesOf(loadFile(JSON.stringify(raw), { empty: ' \n' }))).toSorted()).toEqual([
      'credentials.cn.accessKey: file empty is empty',
      'credentials.cn.secretKey: file . cannot be read (EISDIR)',
    ])
  })

  test('may stand in the settings of a rig whose every address is this machine', async () => {
    const raw = loopback(secretKey('literal-secret'))
    expect((await load(raw)).credentials.cn?.secretKey.reveal()).toBe('literal-secret')
  })

  test('also beside a source that speaks to nobody', async () => {
    const raw = loopback(secretKey('literal-secret'))
    raw.sources.bought = { type: 'file', certificate: 'a chain', privateKey: 'a key' }
    expect((await load(raw)).sources.bought?.settings).toMatchObject({ password: null })
  })

  test('but not when a driver is left to its cloud', async () => {
    const raw = loopback(secretKey('literal-secret'))
    delete raw.solvers.dns.endpoint
    expect(await mistakesOf(load(raw))).toEqual([`credentials.cn.secretKey: ${LITERAL}`])
  })

  test.each([
    ['https://ca.example/dir'],
    ['HTTPS://ca.example/dir'],
    ['https://127.0.0.1.example.com/dir'],
    ['https://localhost.example.com/dir'],
  ])('but not when one is %s', async directory => {
    const raw = loopback(secretKey('literal-secret'))
    raw.sources.letsencrypt.directory = directory
    expect(await mistakesOf(load(raw))).toEqual([`credentials.cn.secretKey: ${LITERAL}`])
  })

  test('the seal key, the account key and the URL of a notifier are secrets, too', async () => {
    const raw = changed(r => {
      r.store = { type: 'file', path: './state', sealKey: 'literal' }
      r.sources.letsencrypt.accountKey = 'literal'
      r.notifiers = [{ type: 'webhook', url: 'https://hooks.example/T0KEN' }]
    })
    expect((await mistakesOf(load(raw))).toSorted()).toEqual([
      `notifiers[0].url: ${LITERAL}`,
      `sources.letsencrypt.accountKey: ${LITERAL}`,
      `store.sealKey: ${LITERAL}`,
    ])
  })

  test('roots may stand in the settings or in a file; they are no secret', async () => {
    const [pem = ''] = rootCertificates
    const raw = changed(r => {
      r.targets[0].trustedRoots = 'file:roots.pem'
      r.targets[0].instance.caCertificates = pem
    })
    const { targets, access } = await loadFile(JSON.stringify(raw), { 'roots.pem': `${pem}\n` })
    expect(targets[0]?.trustedRoots).toBe(pem)
    expect(access['factory-1']?.caCertificates).toBe(pem)
  })
})
