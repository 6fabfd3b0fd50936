import { createHmac } from 'node:crypto'
import { exportJWK, FlattenedSign, generateKeyPair, type JWK } from 'jose'
import { expect, test } from 'vitest'
import { type Client, createClient, http, type Reply, registered, startRig, verdict } from './acme-ca-rig.ts'

test('nonces come with HEAD, GET and every POST answer, and are good once', async () => {
  const rig = await startRig()
  const url = `${rig.ca.url}/new-nonce`
  const head = await http(url, { method: 'HEAD' })
  const get = await http(url)
  expect([head.status, get.status]).toEqual([200, 204])
  expect(get.headers['cache-control']).toBe('no-store')
  expect(head.headers.link).toBe(`<${rig.ca.directoryUrl}>;rel="index"`)
  const client = await registered(rig)
  const nonce = head.headers['replay-nonce']
  const first = await client.post(`${rig.ca.url}/orders/none`, '', { header: { nonce } })
  expect(verdict(first)).toEqual([404, 'malformed'])
  expect(first.headers['replay-nonce']).toMatch(/^[\w-]{16,}$/)
  expect(first.headers['content-type']).toBe('application/problem+json')
  const again = await client.post(`${rig.ca.url}/orders/none`, '', { header: { nonce } })
  expect(verdict(again)).toEqual([400, 'badNonce'])
  const retried = { header: { nonce: again.headers['replay-nonce'] } }
  expect(verdict(await client.post(`${rig.ca.url}/orders/none`, '', retried))).toEqual([404, 'malformed'])
})

test('a share of good nonces is refused, evenly', async () => {
  const rig = await startRig({ badNonceShare: 0.5 })
  const client = await createClient(rig)
  const replies: Reply[] = []
  for (let i = 0; i < 4; i += 1) replies.push(await client.register())
  expect(replies.map(reply => reply.status)).toEqual([201, 400, 200, 400])
})

test('requests that break the rules of JWS are refused', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const url = `${rig.ca.url}/new-order`
  const stranger = await generateKeyPair('ES256')
  const bent = async (...args: [Parameters<Client['post']>[2]]) =>
    verdict(await client.post(url, {}, ...args))
  expect(await bent({ header: { url: `${url}/` } })).toEqual([403, 'unauthorized'])
  expect(await bent({ header: { jwk: client.jwk } })).toEqual([400, 'malformed'])
  expect(await bent({ header: { jwk: client.jwk, kid: undefined } })).toEqual([400, 'malformed'])
  expect(await bent({ header: { kid: `${rig.ca.url}/accounts/0` } })).toEqual([400, 'accountDoesNotExist'])
  expect(await bent({ key: stranger.privateKey })).toEqual([400, 'malformed'])
  expect(await bent({ header: { nonce: undefined } })).toEqual([400, 'badNonce'])
  expect(await bent({ outer: { header: {} } })).toEqual([400, 'malformed'])
  expect(await bent({ outer: { signatures: [] } })).toEqual([400, 'malformed'])
  expect(await bent({ outer: { payload: 'e30=' } })).toEqual([400, 'malformed'])
  expect(await bent({ contentType: 'application/json' })).toEqual([415, 'malformed'])
  const rs512 = await createClient(rig, 'RS512')
  const refused = await rs512.register()
  expect(verdict(refused)).toEqual([400, 'badSignatureAlgorithm'])
  expect(refused.doc).toMatchObject({ algorithms: ['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA'] })
  const body = JSON.stringify(await client.sign(url, {}))
  const headers = { 'content-type': 'application/jose+json' }
  expect(verdict(await http(url, { method: 'POST', headers, body }))).toEqual([400, 'malformed'])
  expect(verdict(await http(url))).toEqual([405, 'malformed'])
  expect(verdict(await http(`${rig.ca.url}/nothing`))).toEqual([404, 'malformed'])
  expect(rig.ca.orders).toEqual([])
})

test.each(['ES384', 'ES512', 'RS256', 'PS256', 'EdDSA'])('accounts may have %s keys', async alg => {
  const rig = await startRig()
  const client = await createClient(rig, alg)
  expect((await client.register()).status).toBe(201)
  expect((await client.newOrder(['a.example.test'])).status).toBe(201)
})

test('accounts are made once, found, updated and closed', async () => {
  const rig = await startRig()
  const client = await createClient(rig)
  expect(verdict(await client.register({ onlyReturnExisting: true }))).toEqual([400, 'accountDoesNotExist'])
  const disagreed = await client.register({})
  expect(verdict(disagreed)).toEqual([403, 'userActionRequired'])
  expect(disagreed.headers.link).toContain('rel="terms-of-service"')
  const contact = ['mailto:a@example.com']
  const bad = (value: string) => client.register({ termsOfServiceAgreed: true, contact: [value] })
  expect(verdict(await bad('tel:1'))).toEqual([400, 'unsupportedContact'])
  expect(verdict(await bad('mailto:nobody'))).toEqual([400, 'invalidContact'])
  const made = await client.register({ termsOfServiceAgreed: true, contact })
  expect(made.status).toBe(201)
  expect(made.doc).toMatchObject({ status: 'valid', contact })
  const found = await client.register({ onlyReturnExisting: true })
  expect([found.status, found.headers.location]).toEqual([200, made.headers.location])

  const url = client.account.kid ?? ''
  const updated = await client.post(url, { contact: ['mailto:b@example.com'] })
  expect(updated.doc).toMatchObject({ contact: ['mailto:b@example.com'] })
  expect((await client.post(url, {})).doc).toMatchObject({ contact: ['mailto:b@example.com'] })
  const other = await registered(rig)
  expect(verdict(await other.post(url, ''))).toEqual([403, 'unauthorized'])
  expect((await client.post(url, { status: 'deactivated' })).doc.status).toBe('deactivated')
  expect(verdict(await client.newOrder(['a.example.test']))).toEqual([401, 'unauthorized'])
  expect(verdict(await client.register())).toEqual([401, 'unauthorized'])
  expect(rig.ca.accounts.map(a => a.status)).toEqual(['deactivated', 'valid'])
})

test('external account binding is checked and used once', async () => {
  const hmacKey = Buffer.from('a key of thirty-two bytes length').toString('base64url')
  const rig = await startRig({ eabRequired: true, eabKeys: { 'kid-1': hmacKey } })
  const url = `${rig.ca.url}/new-account`
  const bind = (jwk: JWK, header: object = {}, key = hmacKey) => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const head = encode({ alg: 'HS256', kid: 'kid-1', url, ...header })
    const input = `${head}.${encode(jwk)}`
    const signature = createHmac('sha256', Buffer.from(key, 'base64url')).update(input).digest('base64url')
    return { protected: head, payload: encode(jwk), signature }
  }
  const client = await createClient(rig)
  const other = await createClient(rig)
  const tried = async (externalAccountBinding?: object, by = client) =>
    verdict(await by.register({ termsOfServiceAgreed: true, externalAccountBinding }))
  expect(await tried()).toEqual([403, 'externalAccountRequired'])
  expect(await tried(bind(client.jwk, { kid: 'kid-2' }))).toEqual([403, 'unauthorized'])
  expect(await tried(bind(client.jwk, {}, 'AAAA'))).toEqual([403, 'unauthorized'])
  expect(await tried(bind(client.jwk, { url: `${url}/` }))).toEqual([400, 'malformed'])
  expect(await tried(bind(client.jwk, { nonce: 'x' }))).toEqual([400, 'malformed'])
  expect(await tried(bind(client.jwk, { alg: 'HS512' }))).toEqual([400, 'badSignatureAlgorithm'])
  expect(await tried(bind(other.jwk))).toEqual([400, 'malformed'])
  expect(await tried(bind(client.jwk))).toEqual([201, undefined])
  expect(await tried(bind(client.jwk))).toEqual([200, undefined])
  expect(await tried(bind(other.jwk), other)).toEqual([403, 'unauthorized'])
  expect(rig.ca.accounts).toMatchObject([{ externalAccountKid: 'kid-1' }])
})

test('a key is changed while the account stays', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  const url = `${rig.ca.url}/key-change`
  const fresh = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(fresh.publicKey)
  const inner = (claim: object, header: object = {}, key = fresh.privateKey) =>
    new FlattenedSign(new TextEncoder().encode(JSON.stringify(claim)))
      .setProtectedHeader({ alg: 'ES256', jwk, url, ...header })
      .sign(key)
  const claim = { account: client.account.kid, oldKey: client.jwk }
  const tried = async (jws: object) => verdict(await client.post(url, jws))
  expect(await tried(await inner({ ...claim, account: 'x' }))).toEqual([400, 'malformed'])
  expect(await tried(await inner({ ...claim, oldKey: jwk }))).toEqual([400, 'malformed'])
  expect(await tried(await inner(claim, { url: 'x' }))).toEqual([400, 'malformed'])
  expect(await tried(await inner(claim, { nonce: 'x' }))).toEqual([400, 'malformed'])
  expect(await tried(await inner(claim, {}, client.keys.privateKey))).toEqual([400, 'malformed'])
  const other = await registered(rig)
  const taken = await client.post(url, await inner(claim, { jwk: other.jwk }, other.keys.privateKey))
  expect([taken.status, taken.headers.location]).toEqual([409, other.account.kid])

  expect((await client.post(url, await inner(claim))).status).toBe(200)
  expect(verdict(await client.post(client.account.kid ?? '', ''))).toEqual([400, 'malformed'])
  const byNew = await client.post(client.account.kid ?? '', '', { key: fresh.privateKey })
  expect([byNew.status, byNew.doc]).toMatchObject([200, { status: 'valid', key: jwk }])
})
