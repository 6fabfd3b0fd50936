import { createPublicKey, createVerify, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import acmeClient from 'acme-client'
import { describe, expect, it } from 'vitest'
import { createAcmeClient, createCsr } from '../../lib/acme/protocol/client.ts'
import { fetchDirectory } from '../../lib/acme/protocol/directory.ts'
import type { ClientInternals } from '../../lib/acme/protocol/signed-requests.ts'
import type { HttpRequest, HttpResponse } from '../../lib/http/http.ts'
import { generateKey } from '../../lib/x509/key.ts'
import { asSecret, startBench } from './rig.ts'

const require = createRequire(import.meta.url)

/** An acme-client as it comes, to be looked into. */
const plain = async () => {
  const accountKey = await generateKey('ec-256')
  const client = new acmeClient.Client({
    directoryUrl: 'https://ca.example/dir',
    accountKey,
    accountUrl: 'https://ca.example/acct/1',
  })
  return { client, internals: client as unknown as ClientInternals, accountKey }
}

describe('the internals of acme-client that are touched', () => {
  it('are those of the version that is pinned', () => {
    const { version } = require('acme-client/package.json') as { version: string }
    expect(version).toBe('5.4.0')
    const about = require('../../package.json') as { devDependencies: Record<string, string> }
    // It is bundled: whoever installs the package gets no copy of it.
    expect(about.devDependencies['acme-client']).toBe('5.4.0')
  })

  it('have the members that are replaced or set, with the types they should have', async () => {
    const { internals } = await plain()
    expect(internals.http).toMatchObject({
      request: expect.any(Function),
      getNonce: expect.any(Function),
      directoryCache: null,
      directoryMaxAge: 86_400,
      directoryTimestamp: 0,
      maxBadNonceRetries: 5,
      getJwk: expect.any(Function),
      createSignedBody: expect.any(Function),
    })
    expect(internals.api).toMatchObject({
      accountUrl: 'https://ca.example/acct/1',
      createAccount: expect.any(Function),
      apiRequest: expect.any(Function),
      apiResourceRequest: expect.any(Function),
    })
  })

  it('send every request through http.request, with the nonce of http.getNonce, and the directory of the cache', async () => {
    const { client, internals } = await plain()
    const seen: { url: string; method: string; data: unknown }[] = []
    internals.http.directoryCache = { newOrder: 'https://ca.example/order' }
    internals.http.directoryMaxAge = Number.POSITIVE_INFINITY
    internals.http.getNonce = async () => 'nonce-1'
    internals.http.request = async (url, method, options) => {
      seen.push({ url, method, data: options?.data })
      return { status: 201, headers: { location: 'https://ca.example/order/1' }, data: { status: 'pending' } }
    }
    const order = await client.createOrder({ identifiers: [{ type: 'dns', value: 'iot.example.com' }] })
    expect(order).toEqual({ status: 'pending', url: 'https://ca.example/order/1' })
    expect(seen).toMatchObject([{ url: 'https://ca.example/order', method: 'post' }])
    const jws = seen[0]?.data as { protected: string; payload: string }
    const header = JSON.parse(Buffer.from(jws.protected, 'base64url').toString())
    expect(header).toEqual({
      alg: 'ES256',
      nonce: 'nonce-1',
      url: 'https://ca.example/order',
      kid: 'https://ca.example/acct/1',
    })
  })

  it('sign a refused nonce’s request again with the nonce of the answer, as often as maxBadNonceRetries', async () => {
    const { client, internals } = await plain()
    const nonces: string[] = []
    internals.http.maxBadNonceRetries = 3
    internals.http.getNonce = async () => 'nonce-0'
    internals.http.request = async (_, __, options = {}) => {
      const { protected: header } = options.data as { protected: string }
      nonces.push((JSON.parse(Buffer.from(header, 'base64url').toString()) as { nonce: string }).nonce)
      return {
        status: 400,
        headers: { 'replay-nonce': `nonce-${nonces.length}` },
        data: { type: 'urn:ietf:params:acme:error:badNonce', detail: 'no' },
      }
    }
    const order = { url: 'https://ca.example/order/1' } as Parameters<typeof client.getOrder>[0]
    await expect(client.getOrder(order)).rejects.toThrow('no')
    expect(nonces).toEqual(['nonce-0', 'nonce-1', 'nonce-2', 'nonce-3'])
  })

  it('create an account without an update, and keep its URL', async () => {
    const { internals } = await plain()
    const urls: string[] = []
    internals.http.directoryCache = { newAccount: 'https://ca.example/account' }
    internals.http.directoryMaxAge = Number.POSITIVE_INFINITY
    internals.http.getNonce = async () => 'nonce'
    internals.http.request = async url => {
      urls.push(url)
      return { status: 200, headers: { location: 'https://ca.example/acct/2' }, data: {} }
    }
    await internals.api.createAccount({ termsOfServiceAgreed: true })
    expect(urls).toEqual(['https://ca.example/account'])
    expect(internals.api.accountUrl).toBe('https://ca.example/acct/2')
  })
})

describe('the client', () => {
  const open = async () => {
    const bench = await startBench()
    const run = bench.newRun()
    const requests: HttpRequest[] = []
    const answers: HttpResponse[] = []
    const http = {
      request: async (request: HttpRequest) => {
        requests.push(request)
        const answer = await bench.outside.http.request(request)
        answers.push(answer)
        return answer
      },
      close: async () => {},
    }
    const connection = { settings: 'sources.ca', directoryUrl: bench.ca.directoryUrl, http, run }
    const directory = await fetchDirectory(connection)
    const accountKey = asSecret(await generateKey('ec-384'))
    const client = createAcmeClient({
      connection,
      directory,
      reloadDirectory: () => fetchDirectory(connection),
      accountKey,
      accountUrl: null,
      externalAccount: null,
    })
    return { bench, client, requests, answers, accountKey }
  }

  it('spends each nonce once, and signs what the key can verify', async () => {
    const { client, requests, answers, accountKey, bench } = await open()
    await client.register({ termsOfServiceAgreed: true })
    const order = await client.newOrder({ names: ['iot.example.com'], profile: null, replaces: null })
    await client.order(order.url)
    // Problem documents are for people (RFC 8555 section 6.1).
    expect(new Set(requests.map(({ headers }) => headers?.['accept-language']))).toEqual(new Set(['en']))
    const posts = requests.filter(({ method }) => method === 'POST')
    const headers = posts.map(({ body }) => {
      const jws = JSON.parse(String(body)) as { protected: string; payload: string; signature: string }
      const key: KeyObject = createPublicKey(accountKey.reveal())
      const verifier = createVerify('sha384').update(`${jws.protected}.${jws.payload}`)
      const signature = Buffer.from(jws.signature, 'base64url')
      expect(verifier.verify({ key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true)
      return JSON.parse(Buffer.from(jws.protected, 'base64url').toString()) as { nonce: string; url: string }
    })
    expect(headers.map(({ url }) => url)).toEqual(posts.map(({ url }) => url))
    expect(headers.map(({ nonce }) => nonce)).toEqual(
      answers.slice(1, 4).map(answer => answer.headers['replay-nonce']),
    )
    expect(bench.operations().filter(call => call === 'NewNonce')).toHaveLength(1)
  })

  it('keeps nonces for itself', async () => {
    const { client, bench } = await open()
    await client.register({ termsOfServiceAgreed: true })
    const other = await open()
    await other.client.register({ termsOfServiceAgreed: true })
    expect(bench.operations().filter(call => call === 'NewNonce')).toHaveLength(1)
    expect(other.bench.operations().filter(call => call === 'NewNonce')).toHaveLength(1)
  })

  it('makes requests for certificates with all names and a common name', async () => {
    const key = asSecret(await generateKey('ec-256'))
    const pem = await createCsr(['iot.example.com', '*.example.com'], key)
    const { commonName, altNames } = acmeClient.crypto.readCsrDomains(pem)
    expect(commonName).toBe('iot.example.com')
    expect(altNames).toEqual(['iot.example.com', '*.example.com'])
    const long = `${'a'.repeat(52)}.example.com`
    expect(long).toHaveLength(64)
    expect(acmeClient.crypto.readCsrDomains(await createCsr([long], key)).commonName).toBeFalsy()
  })

  it('uses neither acme-client’s waiting nor its verification, nor axios', async () => {
    for (const name of [
      'protocol/client',
      'order/order',
      'order/validation',
      'account/account',
      'order/abandon',
      'protocol/signed-requests',
      'protocol/transport',
      'order/dns01',
    ]) {
      const text = await readFile(new URL(`../../lib/acme/${name}.ts`, import.meta.url), 'utf8')
      expect(text, name).not.toMatch(/\.auto\(|verifyChallenge|waitForValidStatus|axios/)
    }
  })
})
