import { X509Certificate } from 'node:crypto'
import { Agent } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import * as x509 from '@peculiar/x509'
import acme from 'acme-client'
import { expect, onTestFinished, test } from 'vitest'
import { chainOf, createCsr, http, type Rig, registered, rsaKeys, startRig } from './acme-ca-rig.ts'

const DAY_MS = 86_400_000

/** What a real TLS client says about a chain: the name of the subject, or the error. */
const handshake = async (pem: string, key: string, ca: string, servername: string): Promise<string> => {
  const server = createServer({ key, cert: pem })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', ca, servername }, () => {
      resolve(String(socket.getPeerCertificate().subjectaltname))
      socket.destroy()
    })
    socket.on('error', error => resolve(error.message))
  })
}

const autoClient = async (rig: Rig, names: readonly string[]) => {
  acme.axios.defaults.httpsAgent = new Agent({ ca: rig.ca.caPem })
  const accountKey = await acme.crypto.createPrivateEcdsaKey()
  const settings = { directoryUrl: rig.ca.directoryUrl, accountKey }
  const client = new acme.Client({ ...settings, backoffMin: 5, backoffMax: 20, backoffAttempts: 100 })
  const key = await acme.crypto.createPrivateEcdsaKey()
  const [, csr] = await acme.crypto.createCsr({ altNames: [...names] }, key)
  const auto = () =>
    client.auto({
      csr,
      email: 'ops@example.com',
      termsOfServiceAgreed: true,
      challengePriority: ['dns-01'],
      skipChallengeVerification: true,
      challengeCreateFn: async (authorization, _challenge, value) => {
        const name = `_acme-challenge.${authorization.identifier.value}`
        rig.dns.txt.set(name, [...(rig.dns.txt.get(name) ?? []), value])
      },
      challengeRemoveFn: async () => {},
    })
  return { auto, key: key.toString() }
}

test('another client gets a certificate that TLS accepts, over HTTPS, from an RSA chain', async () => {
  const rig = await startRig({ tls: true, keyAlgorithm: 'rsa-2048', chainLength: 2, now: Date.now })
  const names = ['example.test', '*.example.test', 'iot.other.test']
  const { auto, key } = await autoClient(rig, names)
  const pem = await auto()
  expect(rig.ca.directoryUrl).toMatch(/^https:/)
  expect(chainOf(pem)).toHaveLength(3)
  expect(pem).not.toContain(rig.ca.rootPem.trim())
  expect(await handshake(pem, key, rig.ca.rootPem, 'iot.other.test')).toBe(
    'DNS:example.test, DNS:*.example.test, DNS:iot.other.test',
  )
  expect(rig.ca.issued[0]).toMatchObject({ pem, names, accountUrl: rig.ca.accounts[0]?.url })
  expect(rig.ca.accounts[0]?.contact).toEqual(['mailto:ops@example.com'])
  expect(rig.operations()).toContain('Challenge')

  const second = await auto()
  expect(second).not.toBe(pem)
  expect(rig.operations()).not.toContain('Challenge')
  expect(rig.ca.orders.map(o => o.status)).toEqual(['valid', 'valid'])
})

test('the leaf holds what a public CA puts into it', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const names = ['b.example.test', 'a.example.test']
  const csr = await createCsr(names, { keys: await rsaKeys(2048), commonName: 'a.example.test' })
  const [leaf, intermediate, ...rest] = chainOf((await client.obtain(names, {}, csr)).text)
  if (!leaf || !intermediate) throw new Error('no chain')
  expect(rest).toEqual([])
  expect(leaf.subject).toBe('CN=a.example.test')
  expect(leaf.notBefore.getTime()).toBe(rig.clock.now - 3_600_000)
  expect(leaf.notAfter.getTime()).toBe(leaf.notBefore.getTime() + 90 * DAY_MS - 1000)
  expect(leaf.serialNumber).toHaveLength(32)
  expect(leaf.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(
    intermediate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
  )
  expect(leaf.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId).toHaveLength(40)
  expect(leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual(['1.3.6.1.5.5.7.3.1'])
  expect(leaf.getExtension(x509.KeyUsagesExtension)?.usages).toBe(
    x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
  )
  expect(leaf.getExtension(x509.CRLDistributionPointsExtension)?.distributionPoints).toHaveLength(1)
  expect(leaf.getExtension(x509.AuthorityInfoAccessExtension)).toBeNull()
  const root = new X509Certificate(rig.ca.rootPem)
  const issuer = new X509Certificate(intermediate.toString('pem'))
  expect(new X509Certificate(leaf.toString('pem')).verify(issuer.publicKey)).toBe(true)
  expect(issuer.verify(root.publicKey)).toBe(true)
  expect(issuer.checkIssued(root)).toBe(true)
})

test('the common name follows request, length and option', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const long = `${'a'.repeat(60)}.example.test`
  const subject = async (names: readonly string[]) => chainOf((await client.obtain(names)).text)[0]?.subject
  expect(await subject([long, 'short.example.test'])).toBe('CN=short.example.test')
  expect(await subject([long])).toBe('')
  rig.ca.options.commonName = false
  expect(await subject(['other.example.test'])).toBe('')
})

test.each([
  ['shortlived', 160 * 3_600_000],
  ['tlsserver', 45 * DAY_MS],
])('profile %s makes its kind of certificate', async (profile, validityMs) => {
  const rig = await startRig()
  const client = await registered(rig)
  const csr = await createCsr(['a.example.test'], { keys: await rsaKeys(2048), commonName: 'a.example.test' })
  const placed = await client.readyOrder(['a.example.test'], { profile })
  expect(placed.doc).toMatchObject({ profile })
  const [leaf] = chainOf((await client.obtain(['a.example.test'], { profile }, csr)).text)
  if (!leaf) throw new Error('no leaf')
  expect(leaf.notAfter.getTime() - leaf.notBefore.getTime() + 1000).toBe(validityMs)
  expect(leaf.subject).toBe('')
  expect(leaf.getExtension(x509.SubjectKeyIdentifierExtension)).toBeNull()
  expect(leaf.getExtension(x509.SubjectAlternativeNameExtension)?.critical).toBe(true)
  expect(leaf.getExtension(x509.KeyUsagesExtension)?.usages).toBe(x509.KeyUsageFlags.digitalSignature)
  expect((await client.newOrder(['a.example.test'], { profile: 'none' })).doc.type).toMatch(/invalidProfile$/)
  expect((await client.newOrder(['a.example.test'])).doc.status).toBe('pending')
})

test('an asynchronous order is processed by the clock and issued once', async () => {
  const rig = await startRig({ asyncFinalizeMs: 10_000 })
  const client = await registered(rig)
  const placed = await client.readyOrder(['a.example.test'])
  const url = placed.headers.location ?? ''
  const csr = await createCsr(['a.example.test'])
  const finalize = () => client.post(placed.doc.finalize ?? '', { csr })
  expect((await finalize()).doc).toMatchObject({ status: 'processing' })
  expect((await client.post(url, '')).doc.status).toBe('processing')
  expect((await finalize()).doc.type).toMatch(/orderNotReady$/)
  rig.clock.now += 10_000
  const polls = await Promise.all([1, 2, 3].map(() => client.post(url, '')))
  expect(polls.map(poll => poll.doc.status)).toEqual(['valid', 'valid', 'valid'])
  expect(rig.ca.issued).toHaveLength(1)
  const download = await client.post(polls[0]?.doc.certificate ?? '', '')
  expect(download.headers['content-type']).toBe('application/pem-certificate-chain')
  expect(download.text).toBe(rig.ca.issued[0]?.pem)
})

test('finalize is strict about the state of the order, and synchronous on demand', async () => {
  const rig = await startRig({ asyncFinalize: false, readyAfterPolls: 2 })
  const client = await registered(rig)
  const placed = await client.newOrder(['a.example.test'])
  const csr = await createCsr(['a.example.test'])
  const early = await client.post(placed.doc.finalize ?? '', { csr })
  expect([early.status, early.doc.type]).toEqual([403, 'urn:ietf:params:acme:error:orderNotReady'])
  await client.answer(placed.doc.authorizations?.[0] ?? '')
  const url = placed.headers.location ?? ''
  // A client that looks at the authorizations alone finalizes at once (RFC 8555 section 7.1.6).
  expect((await client.post(url, '')).doc.status).toBe('pending')
  const done = await client.post(placed.doc.finalize ?? '', { csr })
  expect(done.doc.status).toBe('valid')
  expect(done.headers.location).toBe(url)
  expect((await client.post(done.doc.certificate ?? '', '')).text).toContain('BEGIN CERTIFICATE')
})

test('an order can fail while it is processed', async () => {
  const rig = await startRig({ issuanceProblem: { type: 'caa', detail: 'CAA record forbids issuance' } })
  const client = await registered(rig)
  const placed = await client.readyOrder(['a.example.test'])
  await client.post(placed.doc.finalize ?? '', { csr: await createCsr(['a.example.test']) })
  const done = await client.settled(placed.headers.location ?? '')
  expect(done.doc).toMatchObject({
    status: 'invalid',
    error: { type: 'urn:ietf:params:acme:error:caa', detail: 'CAA record forbids issuance' },
  })
  expect(rig.ca.issued).toEqual([])
})

test('Retry-After comes as seconds, as a date, alternating, or not at all', async () => {
  const rig = await startRig({ retryAfter: 'alternate', retryAfterSeconds: 5 })
  const client = await registered(rig)
  const placed = await client.newOrder(['a.example.test'])
  expect(placed.headers['retry-after']).toBeUndefined()
  const poll = async (url?: string) => (await client.post(url ?? '', '')).headers['retry-after']
  const date = 'Fri, 01 Jan 2027 12:00:05 GMT'
  expect([await poll(placed.headers.location), await poll(placed.doc.authorizations?.[0])]).toEqual([
    '5',
    date,
  ])
  rig.ca.options.retryAfter = 'date'
  expect(await poll(placed.headers.location)).toBe(date)
  rig.ca.options.retryAfter = 'seconds'
  expect(await poll(placed.headers.location)).toBe('5')
  rig.ca.options.retryAfter = null
  expect(await poll(placed.headers.location)).toBeUndefined()
})

test('unfinished orders and valid authorizations are handed out again, until they expire', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const names = ['a.example.test', 'b.example.test']
  const first = await client.newOrder(names)
  expect(first.status).toBe(201)
  const again = await client.newOrder([...names].reverse())
  expect(again.headers.location).toBe(first.headers.location)
  await client.obtain(names)
  const reused = await client.newOrder(['b.example.test'])
  expect(reused.doc.status).toBe('ready')
  expect(first.doc.authorizations).toContain(reused.doc.authorizations?.[0])
  rig.ca.options.authorizationReuse = false
  expect((await client.newOrder(['a.example.test'])).doc.status).toBe('pending')
  rig.ca.options.authorizationReuse = true

  rig.clock.now += 7 * DAY_MS
  expect((await client.post(reused.headers.location ?? '', '')).doc.status).toBe('invalid')
  rig.clock.now += 22.5 * DAY_MS
  expect((await client.newOrder(['b.example.test'])).doc.status, 'less than a day left').toBe('pending')
  rig.clock.now += DAY_MS
  const expired = await client.post(reused.doc.authorizations?.[0] ?? '', '')
  expect([expired.status, expired.doc.type]).toEqual([404, 'urn:ietf:params:acme:error:malformed'])
})

test('issue makes certificates of any age without ACME', async () => {
  const rig = await startRig({ now: Date.now })
  const today = Math.floor(Date.now() / 1000) * 1000
  const day = (offset: number) => new Date(today + offset * DAY_MS)
  const names = ['iot.example.test']
  const old = await rig.ca.issue(names, { notBefore: day(-90), notAfter: day(-1), keyType: 'ec-384' })
  const accountUrl = `${rig.ca.url}/accounts/1`
  const good = await rig.ca.issue(names, { notBefore: day(-1), notAfter: day(9), accountUrl })
  const trusted = (made: typeof old) => handshake(made.certPem, made.keyPem, rig.ca.rootPem, names[0] ?? '')
  expect(await trusted(old)).toBe('certificate has expired')
  expect(await trusted(good)).toBe('DNS:iot.example.test')
  const { serialNumber } = new X509Certificate(old.certPem)
  expect(rig.ca.issued).toMatchObject([
    { serial: serialNumber, accountUrl: null, notBefore: day(-90), notAfter: day(-1) },
    { accountUrl, names, pem: good.certPem },
  ])
  expect(new X509Certificate(good.certPem).publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048)
  expect(good.certPem).toContain(rig.ca.intermediatePems[0])
})

test('the directory lists what there is, and a key nobody knows', async () => {
  const rig = await startRig({ eabRequired: true })
  const { doc, headers } = await http(rig.ca.directoryUrl)
  const { meta, ...urls } = doc as unknown as { meta: object } & Record<string, string>
  expect(meta).toMatchObject({ externalAccountRequired: true, caaIdentities: ['sandbox-ca.test'] })
  expect(Object.keys((meta as { profiles: object }).profiles)).toEqual(['classic', 'shortlived', 'tlsserver'])
  expect(Object.keys(urls)).toEqual(
    expect.arrayContaining(['newNonce', 'newAccount', 'newOrder', 'revokeCert', 'keyChange', 'renewalInfo']),
  )
  expect(Object.values(urls)).toContainEqual(expect.stringMatching(/adding-random-entries/))
  expect(headers.link).toBeUndefined()
})

test('faults of the kit hit operations by name', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  rig.faults.add({ operations: ['acme.NewOrder'], status: 503, headers: { 'retry-after': '60' } })
  const refused = await client.newOrder(['a.example.test'])
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '60'])
  rig.faults.add({ operations: ['acme.NewOrder'], drop: 'after' })
  await expect(client.newOrder(['a.example.test'])).rejects.toThrow(/hang up|ECONNRESET/)
  expect(rig.ca.orders).toHaveLength(1)
})
