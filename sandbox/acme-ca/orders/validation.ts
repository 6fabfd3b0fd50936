import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { profileOf } from '../options.ts'
import { type Authorization, authorizationStatus, type Ca, type Challenge } from '../state.ts'
import { type Problem, problem } from '../wire/problems.ts'
import { caaProblem } from './caa.ts'
import { lookupTxt } from './dns-lookup.ts'
import { countValidation } from './rate-limits.ts'

/** The TXT value that proves a dns-01 challenge (RFC 8555 section 8.4). */
const expectedValue = (token: string, thumbprint: string): string =>
  createHash('sha256').update(`${token}.${thumbprint}`).digest('base64url')

/** Whether a record that stays lets this account be issued to (draft-ietf-acme-dns-persist section 4). */
const persists = (ca: Ca, { account, wildcard }: Authorization, value: string): boolean => {
  const [issuer = '', ...parameters] = value.split(';').map(part => part.trim())
  const of = (wanted: string): string | undefined =>
    parameters.find(part => part.startsWith(`${wanted}=`))?.slice(wanted.length + 1)
  const until = of('persistUntil')
  return (
    ca.switches.caaIdentities.includes(issuer.toLowerCase()) &&
    of('accounturi') === account.url &&
    (!wildcard || of('policy')?.toLowerCase() === 'wildcard') &&
    (until === undefined || Number(until) * 1000 > ca.now())
  )
}

/** What is looked up for a challenge, and which value proves it. */
const wantedFor = (ca: Ca, authorization: Authorization, { type, token }: Challenge) => {
  if (type === 'dns-persist-01') {
    const proves = (value: string) => persists(ca, authorization, value)
    return { name: `_validation-persist.${authorization.name}`, proves }
  }
  const expected = expectedValue(token ?? '', authorization.account.thumbprint)
  return { name: `_acme-challenge.${authorization.name}`, proves: (value: string) => value === expected }
}

/** One look, never repeated: what is wrong, or null (RFC 8555 section 8.4). */
const proveDns = async (
  ca: Ca,
  authorization: Authorization,
  challenge: Challenge,
): Promise<Problem | null> => {
  const { name, proves } = wantedFor(ca, authorization, challenge)
  const identifier = { type: 'dns', value: authorization.name }
  const found = await lookupTxt(name, {
    server: ca.switches.dnsServer,
    timeoutMs: ca.switches.dnsTimeoutMs,
    signal: ca.signal,
  })
  if (found.failed !== undefined) return problem('dns', 400, `DNS problem: ${found.failed}`, { identifier })
  if (found.values.some(proves)) return caaProblem(ca, authorization, challenge.type)
  const [first] = found.values
  if (first === undefined)
    return problem('unauthorized', 403, `No TXT record found at ${name}`, { identifier })
  const more = found.values.length > 1 ? ` (and ${found.values.length - 1} more)` : ''
  return problem('incorrectResponse', 403, `Incorrect TXT record "${first}"${more} found at ${name}`, {
    identifier,
  })
}

const conclude = (
  ca: Ca,
  authorization: Authorization,
  challenge: Challenge,
  error: Problem | null,
): void => {
  challenge.error = error
  challenge.status = error ? 'invalid' : 'valid'
  if (!error) challenge.validatedAt = ca.now()
  // Deactivated or expired in the meantime: the result changes nothing.
  if (authorizationStatus(authorization, ca.now()) !== 'pending') return
  authorization.status = challenge.status
  countValidation(ca, authorization, error === null)
  const life = profileOf(authorization.profile, ca.switches)?.authorizationSeconds ?? 0
  if (!error) authorization.expiresAt = ca.now() + life * 1000
}

/** Starts the validation of a challenge in the background (RFC 8555 section 7.5.1). */
export function startValidation(ca: Ca, authorization: Authorization, challenge: Challenge): void {
  challenge.status = 'processing'
  const run = async (): Promise<void> => {
    const started = performance.now()
    while (performance.now() - started < ca.switches.validationDelayMs)
      await sleep(5, undefined, { signal: ca.signal })
    conclude(ca, authorization, challenge, await proveDns(ca, authorization, challenge))
  }
  run().catch((error: Error) => {
    conclude(ca, authorization, challenge, problem('serverInternal', 500, error.message))
  })
}
