/** What other people's ACME clients ask of a CA, and ours does not. */
import { expect, test } from 'vitest'
import { createCsr, http, type Rig, registered, startRig, verdict } from './acme-ca-rig.ts'

test('directory and newNonce answer to POST-as-GET, and the directory to HEAD', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const directory = await client.post(rig.ca.directoryUrl, '')
  expect(directory.text).toBe((await http(rig.ca.directoryUrl)).text)
  expect((await client.post(`${rig.ca.url}/new-nonce`, '')).status).toBe(204)
  expect(verdict(await client.post(rig.ca.directoryUrl, {}))).toEqual([400, 'malformed'])
  const head = await http(rig.ca.directoryUrl, { method: 'HEAD' })
  expect([head.status, head.text]).toEqual([200, ''])
})

test('an account lists its orders, and nobody else’s', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const { text } = await client.register()
  const { orders } = JSON.parse(text) as { orders: string }
  const one = await client.newOrder(['a.example.test'])
  const gone = await client.newOrder(['b.example.test'])
  await client.post(gone.doc.authorizations?.[0] ?? '', { status: 'deactivated' })
  expect(JSON.parse((await client.post(orders, '')).text)).toEqual({ orders: [one.headers.location] })
  expect(verdict(await (await registered(rig)).post(orders, ''))).toEqual([403, 'unauthorized'])
})

test('the terms of service are a page', async () => {
  const rig = await startRig()
  const { meta } = JSON.parse((await http(rig.ca.directoryUrl)).text) as { meta: { termsOfService: string } }
  const page = await http(meta.termsOfService)
  expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
})

test.each(['application/jose+json; charset=utf-8', 'Application/JOSE+JSON'])(
  'a request may be of type %s',
  async contentType => {
    const rig = await startRig()
    const client = await registered(rig)
    const { status } = await client.post(rig.ca.directoryUrl, '', { contentType })
    expect(status).toBe(200)
  },
)

test('names in capitals, and twice, are one in lower case; the request may write them as it likes', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const names = ['A.Example.test', 'a.example.test']
  const placed = await client.readyOrder(names)
  expect(JSON.parse(placed.text)).toMatchObject({ identifiers: [{ type: 'dns', value: 'a.example.test' }] })
  await client.post(placed.doc.finalize ?? '', { csr: await createCsr(names) })
  await client.settled(placed.headers.location ?? '')
  expect(rig.ca.issued.map(it => it.names)).toEqual([['a.example.test']])
})

/** What becomes of an authorization for a name, by its first challenge of a type. */
const validated = async (rig: Rig, name: string, type = 'dns-01') => {
  const client = await registered(rig)
  const placed = await client.newOrder([name])
  const url = placed.doc.authorizations?.[0] ?? ''
  const challenge = (await client.post(url, '')).doc.challenges?.find(it => it.type === type)
  rig.dns.txt.set(`_acme-challenge.${name.replace('*.', '')}`, [client.txtOf(challenge?.token ?? '')])
  await client.post(challenge?.url ?? '', {})
  const { doc } = await client.settled(url)
  return { status: doc.status, error: doc.challenges?.[0]?.error, account: client.account.kid ?? '' }
}

test.each([
  ['for another CA', 'example.test', { issue: ['other-ca.example'] }],
  ['for nobody', 'example.test', { issue: [';'] }],
  ['for another CA, at a parent', 'a.b.example.test', { issue: ['other-ca.example'] }],
  [
    'for wildcards of another CA',
    '*.example.test',
    { issue: ['sandbox-ca.test'], wild: ['other-ca.example'] },
  ],
  [
    'for another account',
    'example.test',
    { issue: ['sandbox-ca.test; accounturi=https://elsewhere.test/1'] },
  ],
  ['for another validation', 'example.test', { issue: ['sandbox-ca.test; validationmethods=http-01'] }],
  ['that no one can read', 'example.test', { issue: ['sandbox-ca.test; accounturi'] }],
] as const)('nothing is issued against CAA %s', async (_, name, caa) => {
  const rig = await startRig()
  rig.dns.caa.set('example.test', [...caa.issue])
  if ('wild' in caa) rig.dns.caaWild.set('example.test', [...caa.wild])
  const { status, error } = await validated(rig, name)
  expect(status).toBe('invalid')
  expect(error).toMatchObject({
    type: 'urn:ietf:params:acme:error:caa',
    detail: 'CAA record for example.test prevents issuance',
  })
})

test.each([
  ['this CA', 'example.test', { issue: ['other-ca.example', 'Sandbox-CA.test'] }],
  ['this validation', 'example.test', { issue: ['sandbox-ca.test; validationmethods=http-01,dns-01'] }],
  ['wildcards of this CA alone', '*.example.test', { issue: [';'], wild: ['sandbox-ca.test'] }],
  ['nobody for wildcards, and the name is none', 'example.test', { issue: ['sandbox-ca.test'], wild: [';'] }],
] as const)('CAA lets %s issue', async (_, name, caa) => {
  const rig = await startRig()
  rig.dns.caa.set('example.test', [...caa.issue])
  if ('wild' in caa) rig.dns.caaWild.set('example.test', [...caa.wild])
  expect(await validated(rig, name)).toMatchObject({ status: 'valid' })
})

test('CAA lets the account that it names issue', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const { kid } = client.account
  rig.dns.caa.set('example.test', [`sandbox-ca.test; accounturi=${kid}`])
  expect((await client.obtain(['a.example.test'])).text).toContain('BEGIN CERTIFICATE')
})

test('a record that stays validates without another one, for its account and as long as it says', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const uri = `accounturi=${client.account.kid}`
  const until = Math.floor(rig.clock.now / 1000)
  const name = '_validation-persist.example.test'
  const tried = async (value: string, ordered = 'example.test') => {
    rig.dns.txt.set(name, [value])
    const placed = await client.newOrder([ordered])
    const url = placed.doc.authorizations?.[0] ?? ''
    const challenge = (await client.post(url, '')).doc.challenges?.find(it => it.type === 'dns-persist-01')
    await client.post(challenge?.url ?? '', {})
    const { doc } = await client.settled(url)
    await client.post(url, { status: 'deactivated' })
    return doc.status
  }
  expect(await tried('sandbox-ca.test; accounturi=https://elsewhere.test/1')).toBe('invalid')
  expect(await tried(`other-ca.example; ${uri}`)).toBe('invalid')
  expect(await tried(`sandbox-ca.test; ${uri}; persistUntil=${until - 1}`)).toBe('invalid')
  expect(await tried(`sandbox-ca.test; ${uri}`, '*.example.test')).toBe('invalid')
  expect(await tried(`sandbox-ca.test; ${uri}; policy=wildcard`, '*.example.test')).toBe('valid')
  expect(await tried(`sandbox-ca.test; ${uri}; persistUntil=${until + 60}`)).toBe('valid')
})
