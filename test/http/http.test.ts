import { webcrypto } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createHttp } from '../../lib/http/client.ts'
import { HttpFailure, type HttpOptions, type HttpRequest } from '../../lib/http/http.ts'
import { caExtensions, DAY_MS, type Issued, issue, leafExtensions } from '../support/issue.ts'

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const listen = async (server: TcpServer): Promise<number> => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUps.push(async () => {
    if ('closeAllConnections' in server) (server as Server).closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

const serve = async (listener: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listen(createServer(listener))}`

const client = (options: HttpOptions = {}) => {
  const http = createHttp(options)
  cleanUps.push(() => http.close())
  return http
}

const get = (url: string, more: Partial<HttpRequest> = {}) =>
  client().request({ method: 'GET', url, ...more })

const failureOf = async (answer: Promise<unknown>): Promise<HttpFailure> => {
  const thrown = await answer.then(
    () => new Error('there was an answer'),
    error => error,
  )
  if (!(thrown instanceof HttpFailure)) throw thrown
  return thrown
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

describe('an answer', () => {
  test('has status, headers with lower-case names, and text', async () => {
    const url = await serve((_, response) => {
      response.writeHead(
        418,
        [
          ['X-Twice', 'a'],
          ['X-Twice', 'b'],
          ['Content-Type', 'text/plain'],
        ].flat(),
      )
      response.end('grüße')
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
    const server = createTcpServer()
    const port = await listen(server)
    await cleanUps.pop()?.()
    const failure = await failureOf(get(`http://127.0.0.1:${port}/`))
    expect(failure).toMatchObject({ reason: 'connect', sent: false })
    expect(failure.message).toBe(`no connection to 127.0.0.1:${port} (ECONNREFUSED)`)
  })

  test('a connection that is never made in time: not sent', async () => {
    // Accepts, and never answers the handshake: for undici that is part of connecting.
    const port = await listen(createTcpServer(socket => cleanUps.push(async () => socket.destroy())))
    const http = client({ connectTimeoutMs: 50 })
    const failure = await failureOf(http.request({ method: 'GET', url: `https://127.0.0.1:${port}/` }))
    expect(failure).toMatchObject({ reason: 'connect', sent: false })
  })

  test('nothing in time: it may have been sent', async () => {
    const url = await serve(() => {})
    const failure = await failureOf(get(url, { method: 'POST', body: '{}', timeoutMs: 50 }))
    expect(failure).toMatchObject({ reason: 'timeout', sent: true })
  })

  test('a body that does not end in time', async () => {
    const url = await serve((_, response) => response.write('begin'))
    expect(await failureOf(get(url, { timeoutMs: 50 }))).toMatchObject({ reason: 'timeout', sent: true })
  })

  test('a connection that breaks after the request', async () => {
    const url = await serve(request => request.socket.destroy())
    const failure = await failureOf(get(url, { method: 'POST', body: '{}' }))
    expect(failure).toMatchObject({ reason: 'dropped', sent: true })
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

  test('a body that is cut', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('begin', () => response.destroy())
    })
    expect(await failureOf(get(url))).toMatchObject({ reason: 'dropped', sent: true })
  })

  test('an answer that is not HTTP', async () => {
    const port = await listen(createTcpServer(socket => socket.resume().end('SSH-2.0-x\r\n\r\n')))
    expect(await failureOf(get(`http://127.0.0.1:${port}/`))).toMatchObject({ reason: 'dropped', sent: true })
  })

  test('a body that never ends stops at 4 MiB', async () => {
    const url = await serve((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      }
      response.on('drain', more)
      more()
    })
    expect(await failureOf(get(url))).toMatchObject({ reason: 'too-large', sent: true })
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
  const life = () => ({ notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS })

  const serveTls = async (...names: string[]) => {
    const root = await issue({ subject: 'CN=Test Root', ...life(), extensions: caExtensions() })
    const leaf = await issue({ issuer: root, ...life(), extensions: leafExtensions(...names) })
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', leaf.keys.privateKey)).toString(
      'base64',
    )
    const keyPem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`
    let count = 0
    const server = createTlsServer({ cert: leaf.pem, key: keyPem }, (_, response) => {
      count += 1
      response.end('hello')
    })
    const port = await listen(server)
    return { root, url: `https://localhost:${port}/`, count: () => count }
  }

  const ask = (url: string, root: Issued | null) =>
    client({ caCertificates: root?.pem ?? null }).request({ method: 'POST', url, body: '{}' })

  test('a private CA is trusted when it is given', async () => {
    const { root, url } = await serveTls('localhost')
    expect((await ask(url, root)).text).toBe('hello')
  })

  test('an unknown CA is not, and nothing is sent', async () => {
    const { url, count } = await serveTls('localhost')
    const other = await issue({ subject: 'CN=Other', ...life(), extensions: caExtensions() })
    for (const root of [null, other]) {
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
    const port = await listen(server)
    const http = createHttp()
    await http.request({ method: 'GET', url: `http://127.0.0.1:${port}/` })
    await http.close()
    await expect
      .poll(() => new Promise(resolve => server.getConnections((_, count) => resolve(count))))
      .toBe(0)
  })
})
