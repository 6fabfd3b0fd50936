import { X509Certificate } from 'node:crypto'
import type { Answer, Call } from '../../kit/http.ts'
import { authorizationStatus, type Ca, type Certificate, type Verified } from '../state.ts'
import { requireEmpty } from '../wire/jws.ts'
import { fail } from '../wire/problems.ts'
import { thumbprintOf } from './csr.ts'
import type { Leaf } from './issuing.ts'

/** RFC 5280 section 5.3.1: unspecified, keyCompromise, superseded, cessationOfOperation. */
const REASONS = [0, 1, 4, 5]

/** Keeps an issued certificate. */
export function recordCertificate(
  ca: Ca,
  leaf: Leaf,
  accountUrl: string | null,
  replaces: string | null,
): Certificate {
  const id = leaf.serial.toLowerCase()
  const url = ca.url(`/certificates/${id}`)
  const certificate: Certificate = {
    ...leaf,
    id,
    url,
    accountUrl,
    replaces,
    issuedAt: ca.now(),
    revoked: null,
  }
  ca.state.certificates.push(certificate)
  return certificate
}

/** The chains on offer, the default first. */
export function chainsOf({ chain, switches }: Ca, { pem }: Leaf): readonly string[] {
  const { successor } = chain
  if (!successor) return [pem]
  return switches.chains.map(name => (name === 'short' ? pem : `${pem}${successor.crossSignedPem}`))
}

/** Downloads a chain, the default or an alternate one (RFC 8555 section 7.4.2). */
export async function certificate(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'kid')
  requireEmpty(verified)
  const found = ca.state.certificates.find(c => c.id === call.params.id)
  if (!found) throw fail('malformed', 404, 'Certificate not found')
  if (found.accountUrl !== verified.account.url)
    throw fail('unauthorized', 403, 'Account does not own this certificate')
  const chains = chainsOf(ca, found)
  const body = chains[Number(call.params.alternate ?? 0)]
  if (body === undefined) throw fail('malformed', 404, 'No such chain')
  const others = chains.flatMap((_, i) => (i === 0 ? [] : [`<${found.url}/${i}>;rel="alternate"`]))
  return {
    status: 200,
    headers: {
      'content-type': 'application/pem-certificate-chain',
      link: [`<${ca.url('/directory')}>;rel="index"`, ...others],
    },
    body,
  }
}

/** Whether the account may revoke: it ordered the certificate, or controls all its names now. */
const mayRevoke = (ca: Ca, verified: Verified, found: Certificate): boolean => {
  if (found.accountUrl === verified.account?.url) return true
  return found.names.every(name =>
    ca.state.authorizations.some(
      a =>
        a.account === verified.account &&
        a.name === name.replace(/^\*\./, '') &&
        a.wildcard === name.startsWith('*.') &&
        authorizationStatus(a, ca.now()) === 'valid',
    ),
  )
}

/** Revokes a certificate, signed by an account or by the certificate's own key (RFC 8555 section 7.6). */
export async function revokeCert(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'either')
  const payload = verified.object()
  const der = Buffer.from(String(payload.certificate ?? ''), 'base64url')
  const found = ca.state.certificates.find(c => c.der.equals(der))
  if (!found) throw fail('malformed', 404, 'Certificate was not issued here')
  const spki = new X509Certificate(der).publicKey.export({ type: 'spki', format: 'der' })
  const allowed = verified.account
    ? mayRevoke(ca, verified, found)
    : (await thumbprintOf(spki)) === verified.thumbprint
  if (!allowed) throw fail('unauthorized', 403, 'The key is not authorized to revoke this certificate')
  const reason = payload.reason ?? 0
  if (typeof reason !== 'number' || !REASONS.includes(reason))
    throw fail('badRevocationReason', 400, `Revocation reason ${String(reason)} is not one of ${REASONS}`)
  if (found.revoked) throw fail('alreadyRevoked', 400, 'Certificate is already revoked')
  found.revoked = { at: ca.now(), reason }
  return { status: 200 }
}
