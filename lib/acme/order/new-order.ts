import { X509Certificate } from 'node:crypto'
import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import type { CertificateRequest } from '../../contracts.ts'
import { HttpFailure } from '../../http/http.ts'
import { certId } from '../../x509/certificate.ts'
import type { AcmeClient, OrderRequest } from '../protocol/client.ts'
import { problemOf } from '../protocol/problem.ts'
import type { Order } from '../protocol/resources.ts'

interface Asking {
  readonly client: AcmeClient
  readonly request: CertificateRequest
}

/** RFC 9773 section 5; null when the CA has no renewal info or there is no predecessor it could know. */
export const predecessorOf = ({ client, request }: Asking): string | null => {
  if (!client.supportsRenewalInfo || request.replaces === null) return null
  try {
    return certId(new X509Certificate(request.replaces))
  } catch {
    return null
  }
}

/**
 * The profile to ask for (draft-ietf-acme-profiles section 4): none of a CA that lists none, if the settings allow
 * that. @throws RotationError `ca-rejected`
 */
export const profileFor = ({ client, request }: Asking): string | null => {
  const { profile, profileFallback, name } = request.spec
  if (profile === null || client.offersProfiles) return profile
  const { settings, run } = client.connection
  const why = `${settings}: the CA offers no profiles, and not ${profile}`
  if (profileFallback !== true)
    throw new RotationError('ca-rejected', why, {
      retry: 'never',
      hint: `Set profileFallback of certificates.${name} to true, or its profile to null.`,
    })
  run.log.warn({ profile }, why)
  return null
}

/** Refusals that certainly are about something else than `replaces`; `unknown` is no answer of a CA. */
const OF_OTHERS = [
  ...['accountDoesNotExist', 'badNonce', 'badPublicKey', 'badSignatureAlgorithm', 'caa', 'compound'],
  ...['externalAccountRequired', 'invalidProfile', 'rateLimited', 'rejectedIdentifier'],
  ...['unsupportedIdentifier', 'userActionRequired', 'unknown'],
]

/** Whether a refusal may be one of `replaces`; a second one, without it, is meant. */
const mayBlameReplaces = (thrown: unknown): boolean => {
  const problem = problemOf(thrown)
  if (problem === null || problem.status < 400 || problem.status >= 500 || problem.status === 429)
    return false
  return [404, 409].includes(problem.status) || !OF_OTHERS.includes(problem.type)
}

/**
 * Whether there is no order: the CA answered with an error (RFC 8555 section 6.7), whatever kind, or the request
 * never got to it.
 */
export const isRefusal = (thrown: unknown): boolean => {
  const cause = thrown instanceof RotationError ? thrown.cause : thrown
  return problemOf(thrown) !== null || (cause instanceof HttpFailure && !cause.sent)
}

/** Asks for an order, first as the specification says, then without what the CA does not take. */
export const asked = async (world: Asking, wanted: OrderRequest): Promise<Order> => {
  const { client, request } = world
  const { log } = client.connection.run
  const { profileFallback } = request.spec
  try {
    return await client.newOrder(wanted)
  } catch (thrown) {
    const { message } = asRotationError(thrown)
    if (
      wanted.profile !== null &&
      problemOf(thrown)?.type === 'invalidProfile' &&
      profileFallback !== false
    ) {
      const profile = profileFallback === true ? null : profileFallback
      if (profile === wanted.profile) throw thrown
      log.warn(
        { profile: wanted.profile },
        `ordering with profile ${profile ?? 'of the CA’s choice'}: ${message}`,
      )
      return asked(world, { ...wanted, profile })
    }
    if (wanted.replaces === null || !mayBlameReplaces(thrown)) throw thrown
    log.warn({ replaces: wanted.replaces }, `ordering without the predecessor: ${message}`)
    return asked(world, { ...wanted, replaces: null })
  }
}
