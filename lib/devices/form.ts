import type { X509Certificate } from 'node:crypto'
import { type CertificateExtension, EXTENSION, extensionsOf, leafOf } from '../x509/certificate.ts'
import { isSelfIssued } from '../x509/details.ts'
import { type Check, caution } from './check.ts'
import { type PresentedChain, pathOf } from './presented-chain.ts'

/** What RFC 5280 wants of a CA and most clients let pass: those that do not are strict, as `openssl -x509_strict`. */

/** RFC 5280 sections 4.1.2.6, 4.2.1.1, 4.2.1.2, 4.2.1.3 and 4.2.1.9; null when the form is right. */
function flawOf(certificate: X509Certificate): string | null {
  const extensions = new Map<string, CertificateExtension>(
    extensionsOf(certificate).map(one => [one.oidHex, one]),
  )
  // Version 1 knows none of this.
  if (extensions.size === 0) return null
  if (!extensions.has(EXTENSION.authorityKeyIdentifier) && !isSelfIssued(certificate))
    return 'has no authority key identifier'
  if (leafOf(certificate).subject === '' && extensions.get(EXTENSION.subjectAltName)?.critical === false)
    return 'has no subject, and alternative names that are not critical'
  if (!certificate.ca) return null
  if (!extensions.has(EXTENSION.subjectKeyIdentifier)) return 'has no subject key identifier'
  if (extensions.get(EXTENSION.basicConstraints)?.critical === false)
    return 'has basic constraints that are not critical'
  return extensions.has(EXTENSION.keyUsage) ? null : 'is a CA without a key usage'
}

const flawed = (seen: PresentedChain): string | null => {
  for (const certificate of pathOf(seen)) {
    const flaw = flawOf(certificate)
    const { subject, names } = leafOf(certificate)
    if (flaw !== null) return `"${subject || names[0] || 'the certificate'}" ${flaw}`
  }
  return null
}

export const FORM_CHECK: Check = {
  check: 'form',
  value: seen => (flawed(seen) === null ? 'right' : 'lax'),
  object: seen => {
    const flaw = flawed(seen)
    return flaw === null
      ? null
      : caution(`${flaw}: strict clients refuse it`, 'have the CA issue it as RFC 5280 says')
  },
}
