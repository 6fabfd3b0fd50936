import type { X509Certificate } from 'node:crypto'
import { extensionsOf, leafOf, SUBJECT_ALT_NAME } from '../x509/certificate.ts'
import { isSelfIssued } from '../x509/details.ts'
import { type Check, caution, type Facts, pathOf } from './facts.ts'

/** What RFC 5280 wants of a CA and most clients let pass: those that do not are strict, as `openssl -x509_strict`. */

const SUBJECT_KEY_IDENTIFIER = '551d0e'
const KEY_USAGE = '551d0f'
const BASIC_CONSTRAINTS = '551d13'
const AUTHORITY_KEY_IDENTIFIER = '551d23'

/** RFC 5280 sections 4.1.2.6, 4.2.1.1, 4.2.1.2, 4.2.1.3 and 4.2.1.9; null when the form is right. */
function flawOf(certificate: X509Certificate): string | null {
  const extensions = new Map(extensionsOf(certificate).map(one => [one.oidHex, one]))
  // Version 1 knows none of this.
  if (extensions.size === 0) return null
  if (!extensions.has(AUTHORITY_KEY_IDENTIFIER) && !isSelfIssued(certificate))
    return 'has no authority key identifier'
  if (leafOf(certificate).subject === '' && extensions.get(SUBJECT_ALT_NAME)?.critical === false)
    return 'has no subject, and alternative names that are not critical'
  if (!certificate.ca) return null
  if (!extensions.has(SUBJECT_KEY_IDENTIFIER)) return 'has no subject key identifier'
  if (extensions.get(BASIC_CONSTRAINTS)?.critical === false)
    return 'has basic constraints that are not critical'
  return extensions.has(KEY_USAGE) ? null : 'is a CA without a key usage'
}

const flawed = (facts: Facts): string | null => {
  for (const certificate of pathOf(facts)) {
    const flaw = flawOf(certificate)
    const { subject, names } = leafOf(certificate)
    if (flaw !== null) return `"${subject || names[0] || 'the certificate'}" ${flaw}`
  }
  return null
}

export const FORM_CHECK: Check = {
  check: 'form',
  value: facts => (flawed(facts) === null ? 'right' : 'lax'),
  object: facts => {
    const flaw = flawed(facts)
    return flaw === null
      ? null
      : caution(`${flaw}: strict clients refuse it`, 'have the CA issue it as RFC 5280 says')
  },
}
