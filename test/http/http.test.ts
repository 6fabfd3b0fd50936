import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { createHttp } from '../../lib/http/client.ts'
import type { HttpFailure, HttpOptions, HttpRequest } from '../../lib/http/http.ts'
import { createRoot } from '../../sandbox/kit/pki.ts'
import { cleanups } from '../support/cleanups.ts'
import { failureOf, listen, listenTls } from './rig.ts'

const serve = async (listener: RequestListener): Promise<string> =>
  `http://127.0.0.1:${(await listen(createServer(listener))).port}`

const client = (options: HttpOptions = {}) => {
  const http = createHttp(options)
  cleanups.push(http.close)
  return http
}

const get = (url: string, more: Partial<HttpRequest> = {}) =>
  client().request({ method: 'GET', url, ...more })

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

test('a connection that is open already is not taken by who may not connect there', async () => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end('ok')
  })
  const url = `http://localhost:${(await listen(server)).port}`
  const http = client()
  await http.request({ method: 'GET', url: `${url}/first` })
  const refused = failureOf(
    http.request({ method: 'GET', url: `${url}/second`, mayConnect: address => address === '192.0.2.1' }),
  )
  expect(await refused).toMatchObject({ reason: 'connect', message: expect.stringContaining('must not be') })
  expect(asked).toEqual(['/first'])
})

describe('an answer', () => {
  test('has status, headers with lower-case names, and text', async () => {
    const url = await serve((_, response) => {
      const headers = ['X-Twice', 'a', 'X-Twice', 'b', 'Content-Type', 'text/plain']
      response.writeHead(418, headers).end('grüße')
    })
    const answer = await get(url)
    expect(answer).toMatchObject({ status: 418, text: 'grüße' })
    expect(answer.headers).toMatchObject({ 'x-twice': 'a, b', 'content-type': 'text/plain' })
  })

  test('comes to exactly what was asked', async () => {
    const url = await serve(async (request, response) => {
      const { method, headers } = request
      response.end(JSON.stringify([method, request.url, headers['x-a'], await bodyOf(request)]))
    })
    const request = { method: 'PUT', url: `${url}/a%20b?c=d&e=`, headers: { 'X-A': '1' } } as const
    const answers = [
      await client().request({ ...request, body: 'grüße' }),
      await client().request({ ...request, body: new TextEncoder().encode('bytes') }),
      await client().request(request),
    ]
    expect(answers.map(({ text }) => JSON.parse(text))).toEqual([
      ['PUT', '/a%20b?c=d&e=', '1', 'grüße'],
      ['PUT', '/a%20b?c=d&e=', '1', 'bytes'],
      ['PUT', '/a%20b?c=d&e=', '1', ''],
    ])
  })

  test.each([302, 404, 503])('%d is one, too, and no redirect is followed', async status => {
    const asked: (string | undefined)[] = []
    const url = await serve((request, response) => {
      asked.push(request.url)
      response.writeHead(status, { location: '/elsewhere' }).end()
    })
    expect(await get(`${url}/`)).toMatchObject({ status, text: '' })
    expect(asked).toEqual(['/'])
  })

  test('may have no body at all', async () => {
    const url = await serve((_, response) => response.writeHead(204).end())
    expect(await get(url)).toMatchObject({ status: 204, text: '' })
    expect(await get(url, { method: 'HEAD' })).toMatchObject({ status: 204, text: '' })
  })
})

test('a DELETE has its body, and its length', async () => {
  const url = await serve(async (request, response) => {
    response.end(`${request.headers['content-length']} ${await bodyOf(request)}`)
  })
  expect((await get(url, { method: 'DELETE', body: 'grüße' })).text).toBe('7 grüße')
})

describe('no answer', () => {
  test.each(['a\r\nb: c', 'grüße ☃'])('a header %j is not sent, nor repeated', async text => {
    let count = 0
    const url = await serve((_, response) => {
      count += 1
      response.end()
    })
    const failure = await failureOf(get(url, { headers: { authorization: text } }))
    expect(failure).toMatchObject({ reason: 'connect', sent: false })
    expect(failure.message).toMatch(/a header has a character that none may have$/)
    expect(count).toBe(0)
  })

  test('connection refused: not sent', async () => {
    const { port, stop } = await listen(createTcpServer())
    await stop()
    cleanups.pop()
    const failure = await failureOf(get(`http://127.0.0.1:${port}/`))
    expect(failure).toMatchObject({ reason: 'connect', sent: false })
    expect(failure.message).toBe(`no connection to 127.0.0.1:${port} (ECONNREFUSED)`)
  })

  test('a connection that is never made in time: not sent', async () => {
    // Accepts, and never answers the handshake: for undici that is part of connecting.
    const { port } = await listen(createTcpServer())
    const http = client({ connectTimeoutMs: 50 })
    const failure = await failureOf(http.request({ method: 'GET', url: `https://127.0.0.1:${port}/` }))
    expect(failure).toMatchObject({ reason: 'connect', sent: false })
  })

  const cases: readonly [string, HttpFailure['reason'], RequestListener, Partial<HttpRequest>?][] = [
    ['nothing in time', 'timeout', () => {}, { method: 'POST', body: '{}', timeoutMs: 50 }],
    ['a body that does not end in time', 'timeout', (_, it) => it.write('begin'), { timeoutMs: 50 }],
    ['a connection that breaks', 'dropped', it => it.socket.destroy(), { method: 'POST', body: '{}' }],
    [
      'a body that is cut',
      'dropped',
      (_, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('begin', () => response.destroy())
      },
    ],
    [
      'a body that never ends stops at 4 MiB',
      'too-large',
      (_, response) => {
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        }
        response.on('drain', more)
        more()
      },
    ],
  ]
  test.each(cases)('%s: %s, it may have been sent', async (_, reason, listener, request) => {
    expect(await failureOf(get(await serve(listener), request))).toMatchObject({ reason, sent: true })
  })

  test('a POST is sent once, although the connection breaks', async () => {
    let count = 0
    const url = await serve(request => {
      count += 1
      request.socket.destroy()
    })
    const failure = await failureOf(get(url, { method: 'POST', body: '{}' }))
    expect([failure.reason, count]).toEqual(['dropped', 1])
  })

  test('an answer that is not HTTP', async () => {
    const { port } = await listen(createTcpServer(socket => socket.resume().end('SSH-2.0-x\r\n\r\n')))
    expect(await failureOf(get(`http://127.0.0.1:${port}/`))).toMatchObject({ reason: 'dropped', sent: true })
  })

  test('a compressed body, which nobody asked for, is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
    const url = await serve((request, response) => {
      expect(request.headers['accept-encoding']).toBeUndefined()
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    })
    expect(Buffer.from((await get(url, { encoding: 'latin1' })).text, 'latin1')).toEqual(bomb)
  })

  test('headers without measure are no answer', async () => {
    const { port } = await listen(
      createTcpServer(socket => {
        socket.on('error', () => {}).resume()
        socket.write(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(1_000_000)}\r\n\r\n`)
      }),
    )
    expect(await failureOf(get(`http://127.0.0.1:${port}/`))).toMatchObject({ reason: 'dropped', sent: true })
  })

  test('a body of exactly 4 MiB is taken', async () => {
    const url = await serve((_, response) => response.end(Buffer.alloc(4 * 1024 * 1024, 'a')))
    expect((await get(url)).text).toHaveLength(4 * 1024 * 1024)
  })
})

describe('abort', () => {
  const reasons: readonly [string, unknown][] = [
    ['without a reason', undefined],
    ['for a reason of the caller', new Error('the run is over')],
    ['for a timeout of the caller', new DOMException('late', 'TimeoutError')],
  ]

  test.each(reasons)('while waiting, %s', async (_, reason) => {
    const controller = new AbortController()
    const url = await serve(() => controller.abort(reason))
    const failure = await failureOf(get(url, { signal: controller.signal }))
    expect(failure).toMatchObject({ reason: 'aborted', sent: true })
  })

  test.each(reasons)('before it begins, %s: not sent', async (_, reason) => {
    let count = 0
    const url = await serve((_request, response) => {
      count += 1
      response.end()
    })
    const failure = await failureOf(get(url, { signal: AbortSignal.abort(reason) }))
    expect(failure).toMatchObject({ reason: 'aborted', sent: false })
    expect(count).toBe(0)
  })

  test('in the middle of a body', async () => {
    const controller = new AbortController()
    const url = await serve((_, response) =>
      response.write('begin', () => controller.abort(new Error('over'))),
    )
    const failure = await failureOf(get(url, { signal: controller.signal }))
    expect(failure).toMatchObject({ reason: 'aborted', sent: true })
  })
})

describe('TLS', () => {
  const serveTls = async (name: string) => {
    let count = 0
    const { root, port } = await listenTls([name], (_, response) => {
      count += 1
      response.end('hello')
    })
    return { root, url: `https://localhost:${port}/`, count: () => count }
  }
  const ask = (url: string, caCertificates: string | null) =>
    client({ caCertificates }).request({ method: 'POST', url, body: '{}' })

  test('a private CA is trusted when it is given', async () => {
    const { root, url } = await serveTls('localhost')
    expect((await ask(url, root)).text).toBe('hello')
  })

  test('an unknown CA is not, and nothing is sent', async () => {
    const { url, count } = await serveTls('localhost')
    const { certPem } = await createRoot()
    for (const root of [null, certPem]) {
      const failure = await failureOf(ask(url, root))
      expect(failure).toMatchObject({ reason: 'tls', sent: false })
      expect(failure.message).toContain('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    }
    expect(count()).toBe(0)
  })

  test('a certificate for another name is not, and nothing is sent', async () => {
    const { root, url, count } = await serveTls('example.com')
    const failure = await failureOf(ask(url, root))
    expect(failure).toMatchObject({ reason: 'tls', sent: false })
    expect(count()).toBe(0)
  })

  test('a port that speaks no TLS', async () => {
    const url = await serve((_, response) => response.end())
    expect((await failureOf(get(url.replace('http:', 'https:')))).reason).toBe('tls')
  })
})

describe('close', () => {
  test('ends idle connections', async () => {
    const server = createServer((_, response) => response.end('a'))
    const { port } = await listen(server)
    const http = createHttp()
    await http.request({ method: 'GET', url: `http://127.0.0.1:${port}/` })
    await http.close()
    await expect
      .poll(() => new Promise(resolve => server.getConnections((_, count) => resolve(count))))
      .toBe(0)
  })
})
