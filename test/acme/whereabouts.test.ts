/** Where a CA may have us connect to: not into our own network. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { requireWhereabouts } from '../../lib/acme/protocol/whereabouts.ts'
import { reachOf } from '../../lib/http/address.ts'
import { createHttp } from '../../lib/http/client.ts'
import { type Http, HttpFailure } from '../../lib/http/http.ts'
import { cleanups } from '../support/cleanups.ts'
import { attempt, failureOf, obtained, startBench } from './rig.ts'

describe('an address', () => {
  it.each([
    ['8.8.8.8', 'public'],
    ['2606:4700::1', 'public'],
    ['10.1.2.3', 'private'],
    ['127.0.0.1', 'private'],
    ['172.31.0.1', 'private'],
    ['192.168.0.1', 'private'],
    ['0.0.0.0', 'private'],
    ['::1', 'private'],
    ['::', 'private'],
    ['::ffff:10.0.0.1', 'private'],
    ['[::ffff:7f00:1]', 'private'],
    ['64:ff9b::a01:203', 'private'],
    ['64:ff9b::6440:1', 'private'],
    ['64:ff9b::1', 'private'],
    ['64:ff9b::c612:1', 'private'],
    ['2002:a00:1::', 'private'],
    ['2001:0:1::', 'private'],
    ['fec0::1', 'private'],
    ['::10.0.0.1', 'private'],
    ['::ffff:0:10.0.0.1', 'private'],
    ['2001:4860:4860::8888', 'public'],
    ['64:ff9b::808:808', 'public'],
    ['169.254.169.254', 'link-local'],
    ['fd00:ec2::254', 'link-local'],
    ['100.100.100.200', 'link-local'],
    ['100.100.100.201', 'private'],
    ['fe80::1%eth0', 'link-local'],
    ['::ffff:169.254.169.254', 'link-local'],
    ['64:ff9b::a9fe:a9fe', 'link-local'],
    ['ca.example', null],
    ['1.2.3.4.5', null],
  ])('%s is %s', (address, reach) => {
    expect(reachOf(address)).toBe(reach)
  })
})

const PUBLIC = 'https://ca.example/directory'

describe('a URL of a CA', () => {
  const verdict = (directoryUrl: string, url: string, isPrivate = false): string => {
    try {
      requireWhereabouts({ settings: 'sources.ca', directoryUrl, isPrivate }, 'newOrder', url)
      return 'taken'
    } catch (thrown) {
      return (thrown as Error).message
    }
  }

  it.each([
    [PUBLIC, 'https://other.example/order/1'],
    [PUBLIC, 'https://ca.example:8443/order/1'],
    [PUBLIC, 'https://8.8.8.8/order/1'],
    ['https://10.0.0.1/directory', 'https://10.0.0.2/order/1'],
    ['https://10.0.0.1/directory', 'https://10.0.0.1/order/1'],
    ['http://127.0.0.1:14000/dir', 'http://localhost:15000/order/1'],
    ['http://127.0.0.1:14000/dir', 'https://ca.example/order/1'],
  ])('of the directory %s is taken: %s', (directory, url) => {
    expect(verdict(directory, url)).toBe('taken')
  })

  it.each([
    [PUBLIC, 'http://ca.example/order/1', 'which is not https'],
    [PUBLIC, 'file:///etc/passwd', 'which is not https'],
    [PUBLIC, 'order/1', 'which is no URL'],
    [PUBLIC, 'https://169.254.169.254/latest/meta-data', 'which is in a network of our own'],
    [PUBLIC, 'https://[::ffff:169.254.169.254]/', 'which is in a network of our own'],
    [PUBLIC, 'https://0xa9fea9fe/', 'which is in a network of our own'],
    [PUBLIC, 'https://10.0.0.1/', 'which is in a network of our own'],
    [PUBLIC, 'https://[::1]/', 'which is in a network of our own'],
    [PUBLIC, 'https://localhost/', 'which is in a network of our own'],
    [PUBLIC, 'https://localhost./', 'which is in a network of our own'],
    [PUBLIC, 'https://ca.localhost./', 'which is in a network of our own'],
    ['https://10.0.0.1/directory', 'https://169.254.169.254/', 'which is in a network of our own'],
    ['https://10.0.0.1/directory', 'http://10.0.0.1/', 'which is not https'],
    ['http://127.0.0.1:14000/dir', 'http://ca.example/order/1', 'which is not https'],
  ])('of the directory %s is refused: %s', (directory, url, why) => {
    expect(verdict(directory, url)).toBe(`sources.ca: newOrder: the CA names ${url}, ${why}`)
  })

  it('may be in a private network where the settings trust roots of their own for it', () => {
    expect(verdict(PUBLIC, 'https://10.0.0.1/', true)).toBe('taken')
    expect(verdict(PUBLIC, 'https://169.254.169.254/', true)).toMatch(/network of our own/)
  })

  it('is judged again by the addresses that its host has', () => {
    const home = { settings: 'sources.ca', directoryUrl: PUBLIC }
    const may = requireWhereabouts(home, 'newOrder', 'https://rebound.example/')
    expect(['8.8.8.8', '10.0.0.1', '127.0.0.1', '169.254.169.254'].map(may)).toEqual([
      true,
      false,
      false,
      false,
    ])
    const mayOwn = requireWhereabouts(home, 'newOrder', 'https://ca.example/order')
    expect(['8.8.8.8', '10.0.0.1', '169.254.169.254'].map(mayOwn)).toEqual([true, true, false])
  })
})

it('a host at an address that is not allowed is not connected to, whatever it was before', async () => {
  let connections = 0
  const server = createServer((_, answer) => answer.end('ok')).on('connection', () => {
    connections += 1
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const http = createHttp()
  cleanups.push(async () => {
    await http.close()
    server.close()
  })
  const url = `http://localhost:${(server.address() as AddressInfo).port}/`
  const asked = http.request({ method: 'GET', url, mayConnect: address => reachOf(address) === 'public' })
  const failure = await asked.catch((thrown: unknown) => thrown)
  expect(failure).toBeInstanceOf(HttpFailure)
  expect(failure).toMatchObject({
    reason: 'connect',
    sent: false,
    message: expect.stringMatching(/^no connection to localhost: it must not be at (127\.0\.0\.1|::1)$/),
  })
  expect(connections).toBe(0)
  expect(await http.request({ method: 'GET', url, mayConnect: () => true })).toMatchObject({ text: 'ok' })
})

describe('a CA that leads elsewhere', () => {
  it.each(['http://elsewhere.example/order/1', 'https://169.254.169.254/order/1'])(
    'with a new order at %s is not followed, nor remembered',
    async location => {
      const bench = await startBench()
      const http: Http = {
        ...bench.outside.http,
        request: async given => {
          const answer = await bench.outside.http.request(given)
          const isNew = new URL(given.url).pathname.includes('new-order')
          return isNew ? { ...answer, headers: { ...answer.headers, location } } : answer
        },
      }
      const error = await failureOf(attempt(bench, { http }))
      expect(error).toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining(`the CA names ${location}, which is`),
        hint: expect.stringContaining('sources.ca.directory'),
      })
      await obtained(bench)
    },
  )
})
