/** A thousand targets call no service faster than it takes them. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { openClients } from '../../lib/app/clients.ts'
import { inParallel } from '../../lib/base/parallel.ts'
import { callApi } from '../../lib/http/api-call.ts'
import { repeated } from '../../lib/http/repeat.ts'
import { serviceTerms } from '../../lib/http/service.ts'
import { cleanups } from '../support/cleanups.ts'
import { fakeClock } from '../support/clock.ts'

const START = 1_800_000_000_000

/** Takes so many requests in each second of the clock; the rest is refused, as Huawei Cloud DNS does. */
async function openService({ perSecond = 0, retryAfter = null as string | null } = {}) {
  const clock = fakeClock(START)
  const taken: string[] = []
  const refused: string[] = []
  let second = 0
  let inSecond = 0
  const server: Server = createServer((request, response) => {
    const now = Math.floor(clock.now() / 1_000)
    if (now !== second) [second, inSecond] = [now, 0]
    inSecond += 1
    const isTaken = perSecond > 0 && inSecond <= perSecond
    ;(isTaken ? taken : refused).push(request.url ?? '')
    const headers = {
      'content-type': 'application/json',
      ...(retryAfter ? { 'retry-after': retryAfter } : {}),
    }
    response.writeHead(isTaken ? 200 : 403, headers)
    response.end(isTaken ? '{}' : '{"code":"DNS.0014","message":"Too many requests."}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const clients = openClients(null, clock)
  cleanups.push(clients.close, () => new Promise(resolve => server.close(() => resolve(undefined))))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ask = (path: string, limit?: Parameters<typeof clients.http>[1], isUrgent = false) =>
    callApi({
      call: `service: ${path}`,
      terms: serviceTerms('Check it.'),
      http: clients.http(null, limit),
      clock,
      request: { method: 'GET', url: `${url}${path}`, isUrgent },
      refusalOf: ({ status }) => (status === 403 ? { code: 'throttled', serviceCode: 'DNS.0014' } : null),
    })
  return { clock, taken, refused, ask }
}

const paths = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `/${i}`)

test('a service that documents no rate is found out: few are refused, none is forgotten, the first go first', async () => {
  const { clock, taken, refused, ask } = await openService({ perSecond: 20 })
  await inParallel(paths(200), 16, path =>
    repeated({ clock }, path, () => ask(path), { pausesMs: [500, 1_500, 3_000] }),
  )
  expect(taken.toSorted()).toEqual(paths(200).toSorted())
  expect(refused.length).toBeLessThan(40)
  // As far as several at once allow.
  const place = new Map(taken.map((path, i) => [path, i]))
  for (const [i, path] of paths(200).entries()) expect(Math.abs((place.get(path) ?? 0) - i)).toBeLessThan(60)
})

test('what is documented is kept to from the first request on', async () => {
  const { clock, taken, refused, ask } = await openService({ perSecond: 12 })
  await inParallel(paths(50), 16, path => ask(path, { perSecond: 10 }))
  expect([taken.length, refused]).toEqual([50, []])
  expect(clock.now() - START).toBeGreaterThanOrEqual(4_900)
})

test('instances at one address have as much each', async () => {
  const { clock, taken, ask } = await openService({ perSecond: 100 })
  await inParallel(paths(40), 4, path =>
    ask(path, { perSecond: 1, of: `instance ${Number(path.slice(1)) % 10}` }),
  )
  expect(taken).toHaveLength(40)
  expect(clock.now() - START).toBeLessThan(10_000)
})

test('who wants to be left alone for long is asked no more: the next run goes on', async () => {
  const { clock, refused, ask } = await openService({ retryAfter: '60' })
  await expect(ask('/first')).rejects.toMatchObject({ code: 'throttled', retryAt: START + 60_000 })
  for (const path of paths(5))
    await expect(ask(path)).rejects.toMatchObject({ code: 'out-of-time', retryAt: START + 60_000 })
  expect([refused, clock.now()]).toEqual([['/first'], START])
  clock.advance(60_000)
  await expect(ask('/again')).rejects.toMatchObject({ code: 'throttled' })
})

test('what devices wait for is asked all the same', async () => {
  const { refused, ask } = await openService({ retryAfter: '60' })
  await expect(ask('/first')).rejects.toMatchObject({ code: 'throttled' })
  await expect(ask('/urgent', undefined, true)).rejects.toMatchObject({ code: 'throttled' })
  expect(refused).toEqual(['/first', '/urgent'])
})

test('a short pause is waited for', async () => {
  const { clock, taken, refused, ask } = await openService({ perSecond: 1, retryAfter: '2' })
  await ask('/0')
  await expect(ask('/1')).rejects.toMatchObject({ code: 'throttled' })
  await ask('/2')
  expect([taken, refused]).toEqual([['/0', '/2'], ['/1']])
  expect(clock.now() - START).toBe(2_000)
})
