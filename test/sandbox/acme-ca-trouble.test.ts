/** Rate limits, the pause, lost orders and a move, as a client meets them. */
import { expect, test } from 'vitest'
import { LETS_ENCRYPT } from '../../sandbox/acme-ca/limits.ts'
import { createClient, http, type Reply, short, startRig } from './acme-ca-rig.ts'

const HOUR_MS = 3_600_000
const NAME = 'a.example.test'

const verdict = ({ status, doc, headers }: Reply) => [status, short(doc.type), headers['retry-after']]

test('five certificates for the same names, then one every 33.6 hours', async () => {
  const rig = await startRig({ limits: LETS_ENCRYPT })
  const client = await createClient(rig)
  await client.register()
  for (let i = 0; i < 5; i += 1) await client.obtain([NAME])
  expect(verdict(await client.newOrder([NAME]))).toEqual([429, 'rateLimited', String(33.6 * 3600)])
  // Another set of names is another bucket.
  expect((await client.newOrder([NAME, 'b.example.test'])).status).toBe(201)
  rig.clock.now += 33.6 * HOUR_MS - 1000
  expect(verdict(await client.newOrder([NAME]))).toEqual([429, 'rateLimited', '1'])
  rig.clock.now += 1000
  await client.obtain([NAME])
  expect(verdict(await client.newOrder([NAME]))).toEqual([429, 'rateLimited', String(33.6 * 3600)])
})

test('a paused account is refused without an instant, until somebody follows the link', async () => {
  const rig = await startRig({
    limits: { ...LETS_ENCRYPT, failuresUntilPause: 2 },
    authorizationReuse: false,
  })
  const client = await createClient(rig)
  await client.register()
  for (let i = 0; i < 2; i += 1) {
    const { doc } = await client.newOrder([NAME])
    const failed = await client.answer(doc.authorizations?.[0] ?? '', false)
    expect(failed.doc.status).toBe('invalid')
  }
  const refused = await client.newOrder([NAME])
  expect(verdict(refused)).toEqual([429, 'rateLimited', undefined])
  expect(refused.text).toContain(`${rig.ca.url}/unpause?jwt=`)
  rig.ca.unpause()
  await client.obtain([NAME])
})

test.each([
  [301, '/directory'],
  [308, '/new-nonce'],
  [404, '/directory'],
] as const)('moved, the old address answers %i to %s', async (status, path) => {
  const rig = await startRig()
  const old = rig.ca.url
  await rig.ca.move(status)
  expect(rig.ca.url).not.toBe(old)
  const answer = await http(`${old}${path}`)
  expect(answer.status).toBe(status)
  expect(answer.headers.location).toBe(status === 404 ? undefined : `${rig.ca.url}${path}`)
  expect(JSON.parse((await http(rig.ca.directoryUrl)).text).newOrder).toBe(`${rig.ca.url}/new-order`)
})

test('moved and gone: nothing listens at the old address', async () => {
  const rig = await startRig()
  const old = rig.ca.directoryUrl
  await rig.ca.move(null)
  await expect(http(old)).rejects.toThrow('ECONNREFUSED')
  expect((await http(rig.ca.directoryUrl)).status).toBe(200)
})

test('lost orders are not found', async () => {
  const rig = await startRig()
  const client = await createClient(rig)
  await client.register()
  const { headers } = await client.newOrder([NAME])
  rig.ca.loseOrders()
  expect(verdict(await client.post(headers.location ?? '', ''))).toEqual([404, 'malformed', undefined])
})
