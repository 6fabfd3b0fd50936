import { X509Certificate } from 'node:crypto'
import { RotationError } from '../base/rotation-error.ts'
import type { Revocation } from '../contracts.ts'
import { REVOCATION_REASONS } from '../model/certificate.ts'
import { type AccountAccess, clientWith, openAccount } from './account/account.ts'
import { problemOf } from './protocol/problem.ts'

/**
 * Revokes a certificate (RFC 8555 section 7.6). A compromised key signs for itself where it is held, so that the
 * CA bans the key and not only the certificate; otherwise the account signs, and the key where the CA does not
 * take the account's word. @throws RotationError `ca-rejected`, those of AcmeClient
 */
export async function revokeCertificate(
  access: AccountAccess,
  { certificatePem, reason, key }: Revocation,
): Promise<'revoked' | 'already-revoked'> {
  const { connection } = access
  const certificate = new X509Certificate(certificatePem)
  const send = async (by: 'key' | 'account'): Promise<'revoked' | 'already-revoked'> => {
    const client =
      by === 'key' && key !== null
        ? await clientWith(access, key, null)
        : await openAccount(access, { create: false, forget: false })
    if (client === null) throw noAccount(connection.settings)
    try {
      await client.revoke(certificate, REVOCATION_REASONS[reason])
      return 'revoked'
    } catch (thrown) {
      if (problemOf(thrown)?.type === 'alreadyRevoked') return 'already-revoked'
      throw thrown
    }
  }
  const first = reason === 'keyCompromise' && key !== null ? 'key' : 'account'
  try {
    return await send(first)
  } catch (thrown) {
    const isRefused = thrown instanceof RotationError && thrown.code === 'ca-rejected'
    if (first === 'key' || key === null || !isRefused) throw thrown
    return send('key')
  }
}

const noAccount = (settings: string): RotationError =>
  new RotationError('ca-rejected', `${settings}: there is no account that could revoke it`, {
    retry: 'never',
    hint: 'Only the account that ordered a certificate, or the certificate’s own key, can revoke it.',
  })
