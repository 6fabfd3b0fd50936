import { createHash, type webcrypto } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import * as x509 from '@peculiar/x509'
import { calculateJwkThumbprint, exportJWK, FlattenedSign, generateKeyPair, type JWK } from 'jose'
import { onTestFinished } from 'vitest'
import { type AcmeCa, type AcmeCaOptions, createAcmeCa } from '../../sandbox/acme-ca/ca.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { startDns, type TinyDns } from './acme-ca-rig-dns.ts'

export interface Rig {
  readonly ca: AcmeCa
  readonly dns: TinyDns
  readonly faults: Faults
  readonly clock: { now: number }
  /** Operations logged since the last call of this. */
  operations(): readonly string[]
}

/** A CA on a clock of its own with a resolver; gone when the test ends. */
export async function startRig(options: Partial<AcmeCaOptions> = {}): Promise<Rig> {
  const faults = createFaults()
  const dns = await startDns()
  const clock = { now: Date.UTC(2027, 0, 1, 12) }
  const ca = await createAcmeCa({
    faults,
    dnsServer: dns.address,
    keyAlgorithm: 'ec-256',
    tls: false,
    now: () => clock.now,
    ...options,
  })
  onTestFinished(() => ca.dispose())
  let seen = 0
  const operations = () => {
    const fresh = faults.calls.slice(seen).map(call => call.operation.replace(/^acme\./, ''))
    seen = faults.calls.length
    return fresh
  }
  return { ca, dns, faults, clock, operations }
}

interface ChallengeDoc {
  readonly type: string
  readonly url: string
  readonly status: string
  readonly token?: string
  readonly error?: { readonly type: string; readonly detail: string }
}

/** The members of ACME documents that tests read. */
export interface Doc {
  readonly type?: string
  readonly status?: unknown
  readonly finalize?: string
  readonly certificate?: string
  readonly expires?: string
  readonly wildcard?: boolean
  readonly identifier?: { readonly value: string }
  readonly authorizations?: readonly string[]
  readonly challenges?: readonly ChallengeDoc[]
  readonly subproblems?: readonly { readonly type: string; readonly identifier: { readonly value: string } }[]
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly text: string
  readonly doc: Doc
}

/** The document in a body, or nothing when it is no JSON. */
const docOf = (text: string): Doc => {
  try {
    return JSON.parse(text) as Doc
  } catch {
    return {}
  }
}

/** One plain HTTP exchange. */
export function http(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; ca?: string } = {},
): Promise<Reply> {
  const { method = 'GET', headers = { 'user-agent': 'rig' }, body = '', ca } = options
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest
    const request = send(url, { method, headers, ...(ca && { ca }) }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const doc = docOf(text)
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers as Reply['headers'],
          text,
          doc,
        })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** Deviations from a correct request. */
export interface Bend {
  readonly header?: Readonly<Record<string, unknown>>
  readonly key?: webcrypto.CryptoKey
  readonly outer?: Readonly<Record<string, unknown>>
  readonly contentType?: string
}

/** Signs and posts as one account key, and keeps the nonces. */
async function createSigner(ca: AcmeCa, alg: string) {
  const keys = await generateKeyPair(alg, { extractable: true })
  const jwk: JWK = await exportJWK(keys.publicKey)
  const nonces: string[] = []
  const account: { kid: string | null } = { kid: null }

  const nonce = async () =>
    nonces.pop() ??
    (await http(`${ca.url}/new-nonce`, { method: 'HEAD', ca: ca.caPem })).headers['replay-nonce'] ??
    ''

  const sign = async (url: string, payload: object | '', bend: Bend = {}) => {
    const base = { alg, url, nonce: await nonce(), ...(account.kid ? { kid: account.kid } : { jwk }) }
    const header = Object.fromEntries(
      Object.entries({ ...base, ...bend.header }).filter(([, value]) => value !== undefined),
    )
    const bytes = new TextEncoder().encode(payload === '' ? '' : JSON.stringify(payload))
    const signer = new FlattenedSign(bytes).setProtectedHeader(header as { alg: string })
    return { ...(await signer.sign(bend.key ?? keys.privateKey)), ...bend.outer }
  }

  const post = async (url: string, payload: object | '', bend: Bend = {}): Promise<Reply> => {
    const body = JSON.stringify(await sign(url, payload, bend))
    const contentType = bend.contentType ?? 'application/jose+json'
    const headers = { 'user-agent': 'rig', 'content-type': contentType }
    const reply = await http(url, { method: 'POST', headers, body, ca: ca.caPem })
    const next = reply.headers['replay-nonce']
    if (next) nonces.push(next)
    return reply
  }

  const register = async (payload: object = { termsOfServiceAgreed: true }): Promise<Reply> => {
    account.kid = null
    const reply = await post(`${ca.url}/new-account`, payload)
    account.kid = reply.headers.location ?? null
    return reply
  }

  return { keys, jwk, account, sign, post, register }
}

export type Client = Awaited<ReturnType<typeof createClient>>

/** A hand-made ACME client: signs with jose and hides nothing. */
export async function createClient({ ca, dns }: Rig, alg = 'ES256') {
  const signer = await createSigner(ca, alg)
  const { post } = signer
  const thumbprint = await calculateJwkThumbprint(signer.jwk)

  const newOrder = (names: readonly string[], extra: object = {}) =>
    post(`${ca.url}/new-order`, { identifiers: names.map(value => ({ type: 'dns', value })), ...extra })

  const txtOf = (token: string) => createHash('sha256').update(`${token}.${thumbprint}`).digest('base64url')

  /** Polls until the document leaves the states of waiting. */
  const settled = async (url: string): Promise<Reply> => {
    for (let i = 0; i < 500; i += 1) {
      const reply = await post(url, '')
      if (!['pending', 'processing'].includes(String(reply.doc.status))) return reply
      await sleep(2)
    }
    throw new Error(`${url} did not settle`)
  }

  /** Answers the dns-01 challenge of one authorization; `publish` false leaves the zone alone. */
  const answer = async (authorizationUrl: string, publish = true): Promise<Reply> => {
    const { doc } = await post(authorizationUrl, '')
    const challenge = doc.challenges?.find(c => c.type === 'dns-01')
    const name = `_acme-challenge.${doc.identifier?.value}`
    if (publish) dns.txt.set(name, [...(dns.txt.get(name) ?? []), txtOf(challenge?.token ?? '')])
    await post(challenge?.url ?? '', {})
    return settled(authorizationUrl)
  }

  /** An order whose authorizations are all valid. */
  const readyOrder = async (names: readonly string[], extra: object = {}): Promise<Reply> => {
    const placed = await newOrder(names, extra)
    if (placed.doc.status === 'pending') {
      for (const url of placed.doc.authorizations ?? []) await answer(url)
    }
    return placed
  }

  /** The whole way; the reply is the certificate. */
  const obtain = async (names: readonly string[], extra: object = {}, csr?: string): Promise<Reply> => {
    const placed = await readyOrder(names, extra)
    await post(placed.doc.finalize ?? '', { csr: csr ?? (await createCsr(names)) })
    const done = await settled(placed.headers.location ?? '')
    return post(done.doc.certificate ?? '', '')
  }

  return { ...signer, newOrder, settled, answer, readyOrder, obtain, txtOf }
}

export type Keys = webcrypto.CryptoKeyPair

export const ecKeys = async (): Promise<Keys> =>
  (await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])) as Keys

export const rsaKeys = async (modulusLength: number): Promise<Keys> =>
  (await crypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength,
      publicExponent: new Uint8Array([1, 0, 1]),
    },
    true,
    ['sign', 'verify'],
  )) as Keys

/** A certificate request in base64url DER. */
export async function createCsr(
  names: readonly string[],
  options: { keys?: Keys; commonName?: string; extra?: readonly x509.Extension[] } = {},
): Promise<string> {
  const keys = options.keys ?? (await ecKeys())
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    ...(options.commonName && { name: `CN=${options.commonName}` }),
    keys,
    signingAlgorithm: { name: keys.privateKey.algorithm.name, hash: 'SHA-256' },
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map(value => ({ type: 'dns', value }))),
      ...(options.extra ?? []),
    ],
  })
  return Buffer.from(request.rawData).toString('base64url')
}

/** The certificates of a PEM chain. */
export const chainOf = (pem: string): readonly x509.X509Certificate[] =>
  x509.PemConverter.decode(pem).map(der => new x509.X509Certificate(der))

/** A client whose account the CA knows. */
export async function registered(rig: Rig): Promise<Client> {
  const client = await createClient(rig)
  await client.register()
  return client
}

/** The type of an error without its prefix. */
export const short = (type: string | undefined): string | undefined =>
  type?.replace('urn:ietf:params:acme:error:', '')

/** Status and error type of an answer. */
export const verdict = ({ status, doc }: Reply) => [status, short(doc.type)]
