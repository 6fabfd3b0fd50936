import { randomBytes, randomUUID } from 'node:crypto'
import type { Answer, Call } from '../../kit/http.ts'
import { type Profile, profileOf } from '../options.ts'
import {
  type Account,
  type Authorization,
  authorizationStatus,
  type Ca,
  type Challenge,
  isoTime,
} from '../state.ts'
import { fail } from '../wire/problems.ts'
import { startValidation } from './validation.ts'

const challengeBody = (challenge: Challenge): object => ({
  type: challenge.type,
  url: challenge.url,
  status: challenge.status,
  ...(challenge.token !== null && { token: challenge.token }),
  ...challenge.extra,
  ...(challenge.validatedAt !== null && { validated: isoTime(challenge.validatedAt) }),
  ...(challenge.error && { error: challenge.error }),
})

const authorizationBody = (ca: Ca, authorization: Authorization): object => {
  const final = authorization.status === 'valid' || authorization.status === 'invalid'
  // RFC 8555 section 7.1.4: a final authorization lists the challenges that were tried.
  const challenges = authorization.challenges.filter(c => !final || c.status !== 'pending')
  return {
    identifier: { type: 'dns', value: authorization.name },
    status: authorizationStatus(authorization, ca.now()),
    expires: isoTime(authorization.expiresAt),
    challenges: challenges.map(challengeBody),
    ...(authorization.wildcard && { wildcard: true }),
  }
}

const createAuthorization = (ca: Ca, account: Account, name: string, profile: string): Authorization => {
  const id = randomUUID()
  const challenge = (key: string, type: string, token: string | null, extra = {}): Challenge => ({
    url: ca.url(`/challenges/${id}/${key}`),
    type,
    token,
    extra,
    status: 'pending',
    validatedAt: null,
    error: null,
  })
  const { pendingSeconds } = profileOf(profile, ca.switches) as Profile
  return {
    id,
    url: ca.url(`/authorizations/${id}`),
    account,
    name: name.replace(/^\*\./, ''),
    wildcard: name.startsWith('*.'),
    profile,
    challenges: ca.switches.challenges.map((type, index) =>
      type === 'dns-01'
        ? challenge(String(index), type, randomBytes(32).toString('base64url'))
        : challenge(String(index), type, null, {
            accounturi: account.url,
            'issuer-domain-names': ca.switches.caaIdentities,
          }),
    ),
    status: 'pending',
    expiresAt: ca.now() + pendingSeconds * 1000,
  }
}

/** A valid authorization that may be used again, or a new one (RFC 8555 section 7.4). */
export function authorizationFor(ca: Ca, account: Account, name: string, profile: string): Authorization {
  const { orderSeconds } = profileOf(profile, ca.switches) as Profile
  const leastLeftMs = Math.min(Math.max(orderSeconds / 8, 3600), 86_400) * 1000
  const wildcard = name.startsWith('*.')
  const reusable = ca.state.authorizations.find(
    a =>
      a.account === account &&
      a.profile === profile &&
      a.wildcard === wildcard &&
      a.name === name.replace(/^\*\./, '') &&
      a.status === 'valid' &&
      a.expiresAt - ca.now() > leastLeftMs,
  )
  if (reusable && ca.switches.authorizationReuse) return reusable
  const authorization = createAuthorization(ca, account, name, profile)
  ca.state.authorizations.push(authorization)
  return authorization
}

const find = (ca: Ca, call: Call, account: Account): Authorization => {
  const authorization = ca.state.authorizations.find(a => a.id === call.params.id)
  if (!authorization) throw fail('malformed', 404, 'No such authorization')
  if (authorization.account !== account)
    throw fail('unauthorized', 403, 'Account does not own this authorization')
  if (authorizationStatus(authorization, ca.now()) === 'expired')
    throw fail('malformed', 404, 'Expired authorization')
  return authorization
}

/** Reads or deactivates an authorization (RFC 8555 sections 7.5 and 7.5.2). */
export async function authorization(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'kid')
  const found = find(ca, call, verified.account)
  if (verified.payload !== '') {
    if (verified.object().status !== 'deactivated')
      throw fail('malformed', 400, 'An authorization can only be set to "deactivated"')
    if (found.status === 'invalid') throw fail('malformed', 400, 'Authorization is already invalid')
    found.status = 'deactivated'
  }
  const waiting = found.status === 'pending' ? ca.retryAfter() : {}
  return { status: 200, headers: waiting, body: authorizationBody(ca, found) }
}

/** Reads a challenge, or takes the client's word that it is ready (RFC 8555 section 7.5.1). */
export async function challenge(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'kid')
  const parent = find(ca, call, verified.account)
  const found = parent.challenges.find(c => c.url === ca.url(`/challenges/${parent.id}/${call.params.key}`))
  if (!found) throw fail('malformed', 404, 'No such challenge')
  if (verified.payload !== '' && verified.object() && found.status === 'pending') {
    if (parent.status !== 'pending')
      throw fail('malformed', 400, `Authorization is ${parent.status}, its challenges cannot be answered`)
    startValidation(ca, parent, found)
  }
  const waiting = found.status === 'processing' ? ca.retryAfter() : {}
  const links = [`<${ca.url('/directory')}>;rel="index"`, `<${parent.url}>;rel="up"`]
  return { status: 200, headers: { ...waiting, link: links }, body: challengeBody(found) }
}
