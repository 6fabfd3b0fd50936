import { randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, flattenedVerify, type JWK } from 'jose'
import type { Answer, Call } from '../kit/http.ts'
import type { Account, Ca, Verified } from './state.ts'
import { parseJws, payloadObject, verifyByOwnKey } from './wire/jws.ts'
import { fail } from './wire/problems.ts'

const answerWith = (status: number, account: Account): Answer => ({
  status,
  headers: { location: account.url },
  body: {
    status: account.status,
    key: account.jwk,
    contact: account.contact,
    orders: `${account.url}/orders`,
    ...(account.externalAccountBinding && { externalAccountBinding: account.externalAccountBinding }),
  },
})

const contactOf = (value: unknown): readonly string[] => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || !value.every(contact => typeof contact === 'string'))
    throw fail('malformed', 400, 'contact is not a list of URLs')
  for (const contact of value) {
    if (!contact.startsWith('mailto:'))
      throw fail('unsupportedContact', 400, `contact "${contact}" is not a mailto URL`)
    if (!/^mailto:[^\s@?,]+@[^\s@?,]+\.[^\s@?,]+$/.test(contact))
      throw fail('invalidContact', 400, `contact "${contact}" is not an address`)
  }
  return value
}

/** Verifies an external account binding and returns its key id (RFC 8555 section 7.3.4). */
const bindingKid = async (ca: Ca, binding: unknown, newAccountUrl: string, accountThumbprint: string) => {
  const parsed = parseJws(binding)
  const { alg, kid, url, nonce } = parsed.header
  if (alg !== 'HS256') throw fail('badSignatureAlgorithm', 400, 'External account binding must use HS256')
  if (nonce !== undefined) throw fail('malformed', 400, 'External account binding must not have a nonce')
  if (url !== newAccountUrl) throw fail('malformed', 400, 'External account binding has another url')
  const hmacKey =
    typeof kid === 'string' && Object.hasOwn(ca.switches.eabKeys, kid) && ca.switches.eabKeys[kid]
  if (!hmacKey) throw fail('unauthorized', 403, `External account key "${String(kid)}" is unknown`)
  const { payload } = await flattenedVerify(parsed.jws, Buffer.from(hmacKey, 'base64url'), {
    algorithms: ['HS256'],
  }).catch(() => {
    throw fail('unauthorized', 403, 'External account binding has a wrong signature')
  })
  const bound = payloadObject(Buffer.from(payload).toString()) as JWK
  const boundThumbprint = await calculateJwkThumbprint(bound).catch(() => null)
  if (boundThumbprint !== accountThumbprint)
    throw fail('malformed', 400, 'External account binding is for another account key')
  if (ca.state.accounts.some(account => account.externalAccountKid === kid))
    throw fail('unauthorized', 403, `External account key "${String(kid)}" is bound to another account`)
  return kid as string
}

const returnExisting = (ca: Ca, thumbprint: string): Answer | null => {
  const account = ca.state.accounts.find(a => a.thumbprint === thumbprint)
  if (!account) return null
  if (account.status === 'deactivated') throw fail('unauthorized', 401, 'Account is deactivated')
  return answerWith(200, account)
}

const register = async (ca: Ca, call: Call, verified: Verified): Promise<Answer> => {
  const payload = verified.object()
  const binding = payload.externalAccountBinding
  if (payload.termsOfServiceAgreed !== true) {
    const terms = ca.url('/terms/v1')
    throw fail('userActionRequired', 403, `Must agree to the terms of service: ${terms}`, {
      headers: { link: [`<${ca.url('/directory')}>;rel="index"`, `<${terms}>;rel="terms-of-service"`] },
    })
  }
  const contact = contactOf(payload.contact)
  if (binding === undefined && ca.switches.eabRequired)
    throw fail('externalAccountRequired', 403, 'newAccount needs an external account binding')
  const kid =
    binding === undefined ? null : await bindingKid(ca, binding, ca.requestUrl(call), verified.thumbprint)
  // Asked again after the await: two simultaneous requests with one key make one account.
  const existing = returnExisting(ca, verified.thumbprint)
  if (existing) return existing
  const id = randomUUID()
  const account: Account = {
    id,
    url: ca.url(`/accounts/${id}`),
    jwk: verified.jwk,
    thumbprint: verified.thumbprint,
    status: 'valid',
    contact,
    externalAccountBinding: binding ?? null,
    externalAccountKid: kid,
  }
  ca.state.accounts.push(account)
  return answerWith(201, account)
}

/** Registers or finds an account (RFC 8555 sections 7.3, 7.3.1 and 7.3.4). */
export async function newAccount(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'jwk')
  const existing = returnExisting(ca, verified.thumbprint)
  if (existing) return existing
  if (verified.object().onlyReturnExisting === true)
    throw fail('accountDoesNotExist', 400, 'No account exists with the provided key')
  return register(ca, call, verified)
}

/** Reads, updates or deactivates an account (RFC 8555 sections 7.3.2 and 7.3.6). */
export async function account(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'kid')
  if (verified.account.id !== call.params.id)
    throw fail('unauthorized', 403, 'Request signing key did not match account key')
  if (verified.payload !== '') {
    const payload = verified.object()
    if (payload.contact !== undefined) verified.account.contact = contactOf(payload.contact)
    if (payload.status === 'deactivated') verified.account.status = 'deactivated'
    else if (payload.status !== undefined && payload.status !== verified.account.status)
      throw fail('malformed', 400, `Account cannot be set to "${String(payload.status)}"`)
  }
  return answerWith(200, verified.account)
}

/** Replaces the key of an account (RFC 8555 section 7.3.5). */
export async function keyChange(ca: Ca, call: Call): Promise<Answer> {
  const outer = await ca.verify(call, 'kid')
  const parsed = parseJws(outer.object())
  if (parsed.header.kid !== undefined || parsed.header.nonce !== undefined)
    throw fail('malformed', 400, 'Inner JWS must have a jwk and neither kid nor nonce')
  if (parsed.header.url !== ca.requestUrl(call))
    throw fail('malformed', 400, 'Inner and outer JWS have different urls')
  const inner = await verifyByOwnKey(parsed)
  const claim = payloadObject(inner.payload)
  if (claim.account !== outer.account.url) throw fail('malformed', 400, 'Inner JWS is for another account')
  const oldThumbprint = await calculateJwkThumbprint((claim.oldKey ?? {}) as JWK).catch(() => null)
  if (oldThumbprint !== outer.account.thumbprint)
    throw fail('malformed', 400, 'oldKey is not the present key of the account')
  const holder = ca.state.accounts.find(a => a.thumbprint === inner.thumbprint)
  if (holder) {
    const location = { location: holder.url }
    throw fail('malformed', 409, 'New key is already in use for an account', { headers: location })
  }
  outer.account.jwk = inner.jwk
  outer.account.thumbprint = inner.thumbprint
  return answerWith(200, outer.account)
}
