import {
  calculateJwkThumbprint,
  errors,
  type FlattenedJWSInput,
  flattenedVerify,
  importJWK,
  type JWK,
} from 'jose'
import type { Call } from '../../kit/http.ts'
import type { Account, Verified, Verifier } from '../state.ts'
import type { Nonces } from './nonces.ts'
import { fail } from './problems.ts'

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA'] as const
type Algorithm = (typeof ALGORITHMS)[number]

/** A JWS taken apart, its signature not yet checked. */
export interface ParsedJws {
  readonly jws: FlattenedJWSInput
  readonly header: Readonly<Record<string, unknown>>
}

const jsonObject = (text: string, what: string): Record<string, unknown> => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw fail('malformed', 400, `${what} is not JSON`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw fail('malformed', 400, `${what} is not a JSON object`)
  return value as Record<string, unknown>
}

/** Takes a flattened JWS apart (RFC 7515 section 7.2.2, as RFC 8555 section 6.2 narrows it). */
export function parseJws(value: unknown): ParsedJws {
  const jws = (value ?? {}) as Record<string, unknown>
  if ('header' in jws) throw fail('malformed', 400, 'JWS has an unprotected header')
  if ('signatures' in jws) throw fail('malformed', 400, 'JWS has more than one signature')
  const parts = [jws.protected, jws.payload, jws.signature]
  if (!parts.every(part => typeof part === 'string' && /^[\w-]*$/.test(part)))
    throw fail('malformed', 400, 'JWS needs protected, payload and signature in base64url without padding')
  const header = jsonObject(Buffer.from(String(parts[0]), 'base64url').toString(), 'JWS protected header')
  return { jws: jws as unknown as FlattenedJWSInput, header }
}

/** The public members only, so that a private key sent by mistake is not used as one. */
const publicJwk = (value: unknown): JWK => {
  const { kty, crv, x, y, n, e } = (value ?? {}) as Record<string, string>
  if (kty === 'EC' && crv && x && y) return { crv, kty, x, y }
  if (kty === 'RSA' && n && e) return { e, kty, n }
  if (kty === 'OKP' && crv && x) return { crv, kty, x }
  throw fail('badPublicKey', 400, 'JWK is neither an EC, nor an RSA, nor an Ed25519 key')
}

const checkSignature = async (parsed: ParsedJws, jwk: JWK, algorithm: Algorithm): Promise<string> => {
  const key = await importJWK(jwk, algorithm).catch((cause: Error) => {
    throw fail('badPublicKey', 400, `JWK cannot be used with ${algorithm}: ${cause.message}`)
  })
  try {
    const { payload } = await flattenedVerify(parsed.jws, key, { algorithms: [algorithm] })
    return Buffer.from(payload).toString()
  } catch (cause) {
    // jose reports an RSA key below 2048 bits and a curve that does not fit the algorithm as a TypeError.
    if (cause instanceof TypeError) throw fail('badPublicKey', 400, cause.message)
    if (cause instanceof errors.JOSEError)
      throw fail('malformed', 400, `JWS verification error: ${cause.message}`)
    throw cause
  }
}

const algorithmOf = (header: ParsedJws['header']): Algorithm => {
  const algorithm = ALGORITHMS.find(a => a === header.alg)
  if (algorithm) return algorithm
  const detail = `JWS signature algorithm "${String(header.alg)}" is not one of ${ALGORITHMS.join(', ')}`
  throw fail('badSignatureAlgorithm', 400, detail, { algorithms: ALGORITHMS })
}

/** Verifies a JWS by the key in its own header (RFC 8555 sections 6.2 and 7.3.5). */
export async function verifyByOwnKey(
  parsed: ParsedJws,
): Promise<{ jwk: JWK; thumbprint: string; payload: string }> {
  const algorithm = algorithmOf(parsed.header)
  const jwk = publicJwk(parsed.header.jwk)
  const payload = await checkSignature(parsed, jwk, algorithm)
  return { jwk, thumbprint: await calculateJwkThumbprint(jwk), payload }
}

/** A payload that must be a JSON object (RFC 8555 section 6.2). */
export const payloadObject = (payload: string): Record<string, unknown> => jsonObject(payload, 'JWS payload')

const checkKeyRules = (header: ParsedJws['header'], keys: 'kid' | 'jwk' | 'either'): void => {
  const named = ['kid', 'jwk'].filter(member => header[member] !== undefined)
  if (named.length !== 1) throw fail('malformed', 400, 'JWS header needs exactly one of kid and jwk')
  if (keys !== 'either' && named[0] !== keys)
    throw fail('malformed', 400, `JWS header must use ${keys} for this request`)
}

/** The verifier of all POST requests (RFC 8555 sections 6.2 to 6.5). */
export function createVerifier(
  accounts: readonly Account[],
  nonces: Nonces,
  requestUrl: (call: Call) => string,
): Verifier {
  const byAccount = async (parsed: ParsedJws, here: string) => {
    const algorithm = algorithmOf(parsed.header)
    if (!String(parsed.header.kid).startsWith(here))
      throw fail('malformed', 400, 'KeyID header contained an invalid account URL')
    const account = accounts.find(a => a.url === parsed.header.kid)
    if (!account) throw fail('accountDoesNotExist', 400, `Account "${String(parsed.header.kid)}" not found`)
    const payload = await checkSignature(parsed, account.jwk, algorithm)
    return { account, jwk: account.jwk, thumbprint: account.thumbprint, payload }
  }
  const verify = async (call: Call, keys: 'kid' | 'jwk' | 'either') => {
    const parsed = parseJws(jsonObject(call.body, 'Request body'))
    const { header } = parsed
    algorithmOf(header)
    checkKeyRules(header, keys)
    const found =
      header.kid === undefined
        ? { ...(await verifyByOwnKey(parsed)), account: null }
        : await byAccount(parsed, new URL(requestUrl(call)).origin)
    if (!nonces.spend(header.nonce))
      throw fail('badNonce', 400, `JWS has an invalid anti-replay nonce: "${String(header.nonce)}"`)
    if (header.url !== requestUrl(call))
      throw fail('unauthorized', 403, `JWS header url "${String(header.url)}" is not the request URL`)
    // RFC 8555 section 7.3.6
    if (found.account?.status === 'deactivated') throw fail('unauthorized', 401, 'Account is deactivated')
    return { ...found, object: () => payloadObject(found.payload) }
  }
  return verify as Verifier
}

/** POST-as-GET: the payload must be empty (RFC 8555 section 6.3). */
export function requireEmpty(verified: Verified): void {
  if (verified.payload !== '') throw fail('malformed', 400, 'POST-as-GET requests must have an empty payload')
}
