/** Requests through a proxy that tunnels: a real one, and TLS with whoever answers behind it. */
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { createHttp } from '../../lib/http/client.ts'
import type { HttpRequest } from '../../lib/http/http.ts'
import { cleanups } from '../support/cleanups.ts'
import { failureOf, listen, listenTls } from './rig.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** Somebody who answers with what was asked, by a certificate of a root of its own. */
const answering = async (name = 'service.example.com') => {
  const asked: string[] = []
  const { root, port } = await listenTls([name], async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    asked.push(`${request.method} ${request.url} ${text}`)
    if (request.url === '/large') return void response.end(Buffer.alloc(5 * 1024 * 1024))
    if (request.url === '/never') return
    response.writeHead(201, ['X-Twice', 'a', 'X-Twice', 'b']).end(text.toUpperCase())
  })
  return { root, port, asked }
}

interface ProxyOptions {
  readonly status?: number
  readonly silent?: boolean
}

/** A proxy whose every name is this machine. */
const proxying = async (port: number, { status = 200, silent = false }: ProxyOptions = {}) => {
  const tunnels: { readonly to: string | undefined; readonly authorization: string | undefined }[] = []
  const server = createServer().on('connect', (request, client) => {
    tunnels.push({ to: request.url, authorization: request.headers['proxy-authorization'] })
    client.on('error', () => {})
    if (silent) return
    if (status !== 200) return client.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`)
    const service = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      service.pipe(client).pipe(service)
    }).on('error', () => client.destroy())
    cleanups.push(async () => void service.destroy())
  })
  return { ...(await listen(server)), tunnels }
}

const ask = (
  caCertificates: string | null,
  proxy: string,
  request: Partial<HttpRequest> = {},
  connectTimeoutMs = 5_000,
) => {
  const http = createHttp({
    caCertificates,
    connectTimeoutMs,
    proxy: { url: secret(proxy), covers: () => true },
  })
  cleanups.push(http.close)
  return http.request({ method: 'POST', url: 'https://service.example.com/a?b=c', body: 'grüße', ...request })
}

test('an answer comes through it, and TLS is with whoever answers', async () => {
  const { root, port, asked } = await answering()
  const proxy = await proxying(port)
  const answer = await ask(root, `http://127.0.0.1:${proxy.port}`)
  expect(answer).toMatchObject({ status: 201, text: 'GRÜSSE', headers: { 'x-twice': 'a, b' } })
  expect(asked).toEqual(['POST /a?b=c grüße'])
  expect(proxy.tunnels).toEqual([{ to: 'service.example.com:443', authorization: undefined }])
})

test('name and password go to the proxy', async () => {
  const { root, port } = await answering()
  const proxy = await proxying(port)
  await ask(root, `http://user:p%40ss@127.0.0.1:${proxy.port}`)
  expect(proxy.tunnels[0]?.authorization).toBe(`Basic ${Buffer.from('user:p@ss').toString('base64')}`)
})

describe('nothing is sent', () => {
  test.each(['', '0'])('to a service of an unknown CA, with NODE_TLS_REJECT_UNAUTHORIZED=%s', async set => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', set)
    const { port, asked } = await answering()
    const proxy = await proxying(port)
    const failure = await failureOf(ask(null, `http://127.0.0.1:${proxy.port}`))
    expect(failure).toMatchObject({ reason: 'tls', sent: false })
    expect(asked).toEqual([])
  })

  test('to a service of another name', async () => {
    const { root, port, asked } = await answering('other.example.com')
    const proxy = await proxying(port)
    const failure = await failureOf(ask(root, `http://127.0.0.1:${proxy.port}`))
    expect(failure).toMatchObject({ reason: 'tls', sent: false })
    expect(asked).toEqual([])
  })

  test.each([
    [407, 'refuses the name and the password (407)'],
    [403, 'opens no tunnel to service.example.com:443 (403)'],
    [502, 'opens no tunnel to service.example.com:443 (502)'],
  ])('by a proxy that answers %d, and no password is told', async (status, why) => {
    const { root, port, asked } = await answering()
    const proxy = await proxying(port, { status })
    const failure = await failureOf(ask(root, `http://user:hunter2@127.0.0.1:${proxy.port}`))
    expect(failure).toMatchObject({ reason: 'proxy', sent: false })
    expect(failure.message).toBe(`the proxy http://127.0.0.1:${proxy.port} ${why}`)
    expect(inspect(failure)).not.toMatch(/hunter2|user:/)
    expect(proxy.tunnels).toHaveLength(1)
    expect(asked).toEqual([])
  })

  test('by a proxy that wants a password, and is given none', async () => {
    const proxy = await proxying(1, { status: 407 })
    const failure = await failureOf(ask(null, `http://127.0.0.1:${proxy.port}`))
    expect(failure.message).toBe(`the proxy http://127.0.0.1:${proxy.port} wants a name and a password (407)`)
  })

  test.each(['', '0'])('by a proxy over TLS that nobody vouches for, with the same=%s', async set => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', set)
    const { port, asked } = await answering()
    const failure = await failureOf(ask(null, `https://user:hunter2@127.0.0.1:${port}`))
    expect(failure).toMatchObject({ reason: 'proxy', sent: false })
    expect(failure.message).toContain(`the proxy https://127.0.0.1:${port} cannot be trusted`)
    expect(asked).toEqual([])
  })

  test('where no proxy is', async () => {
    const gone = await proxying(1)
    await gone.stop()
    cleanups.pop()
    const failure = await failureOf(ask(null, `http://127.0.0.1:${gone.port}`))
    expect(failure).toMatchObject({ reason: 'proxy', sent: false })
    expect(failure.message).toBe(`the proxy http://127.0.0.1:${gone.port} cannot be reached (ECONNREFUSED)`)
  })

  test('by a proxy that hangs up, and it is asked once', async () => {
    let count = 0
    const server = createServer().on('connect', (_, client) => {
      count += 1
      client.on('error', () => {}).end()
    })
    const { port } = await listen(server)
    const failure = await failureOf(ask(null, `http://127.0.0.1:${port}`))
    expect(failure).toMatchObject({ reason: 'proxy', sent: false })
    expect(failure.message).toBe(`the proxy http://127.0.0.1:${port} hangs up`)
    expect(count).toBe(1)
  })

  test('behind a proxy that hangs up after its answer: the service is named', async () => {
    const { port } = await listen(
      createServer().on('connect', (_, client) => client.end('HTTP/1.1 200 OK\r\n\r\n')),
    )
    const failure = await failureOf(ask(null, `http://127.0.0.1:${port}`))
    expect(failure).toMatchObject({ reason: 'connect', sent: false })
    expect(failure.message).toContain('service.example.com')
  })

  test('by a proxy that says nothing', async () => {
    const proxy = await proxying(1, { silent: true })
    const failure = await failureOf(ask(null, `http://127.0.0.1:${proxy.port}`, { timeoutMs: 100 }))
    expect(failure).toMatchObject({ reason: 'timeout', sent: false })
    const patient = await failureOf(ask(null, `http://127.0.0.1:${proxy.port}`, {}, 100))
    expect(patient).toMatchObject({ reason: 'proxy', sent: false })
    expect(patient.message).toBe(`the proxy http://127.0.0.1:${proxy.port} does not answer in time`)
  })

  test('after an abort', async () => {
    const proxy = await proxying(1, { silent: true })
    const signal = AbortSignal.timeout(100)
    const failure = await failureOf(ask(null, `http://127.0.0.1:${proxy.port}`, { signal }))
    expect(failure).toMatchObject({ reason: 'aborted', sent: false })
  })
})

test('an answer that is too large', async () => {
  const { root, port } = await answering()
  const proxy = await proxying(port)
  const url = 'https://service.example.com/large'
  expect(await failureOf(ask(root, `http://127.0.0.1:${proxy.port}`, { url }))).toMatchObject({
    reason: 'too-large',
    sent: true,
  })
})

test('no answer in time: it may have been sent', async () => {
  const { root, port, asked } = await answering()
  const proxy = await proxying(port)
  const url = 'https://service.example.com/never'
  const failure = await failureOf(ask(root, `http://127.0.0.1:${proxy.port}`, { url, timeoutMs: 1_000 }))
  expect(failure).toMatchObject({ reason: 'timeout', sent: true })
  expect(asked).toHaveLength(1)
})
