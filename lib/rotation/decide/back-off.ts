import type { RotationError } from '../../base/rotation-error.ts'
import { HOUR_MS } from '../../base/time.ts'
import type { CertificateSpec } from '../../model/certificate.ts'
import { ERROR_CODES } from '../../model/errors.ts'
import type { TargetDocument } from '../../state/documents.ts'
import type { Inspection } from '../observe/inspection.ts'

/** The back-off after a number of failures: 1 h doubling to 24 h, never more than 1/10 of the time left. */
export function backOffMs(failures: number, leftMs: number): number {
  const doubled = Math.min(24 * HOUR_MS, HOUR_MS * 2 ** Math.min(failures - 1, 10))
  return leftMs > 0 ? Math.min(doubled, leftMs / 10) : Math.min(doubled, HOUR_MS)
}

interface Tried {
  readonly spec: CertificateSpec
  readonly inspection: Inspection | undefined
  readonly isDue: boolean
}

/**
 * Whether trying again costs anybody anything: what a person mends in the settings may be tried at once after
 * mending, what reached a CA may not. A source that makes nothing to order is not even asked for anything new.
 */
export function isCostly({ spec, inspection, isDue }: Tried, { code }: RotationError): boolean {
  if (!isDue || code === 'not-renewed') return false
  if (inspection?.inventory && spec.sources.length === 1 && code === 'certificate-invalid') return false
  return ERROR_CODES[code].exit === 1 || code === 'ca-rejected' || code === 'certificate-invalid'
}

/** What is written down after a failure. */
export function backedOff(
  document: TargetDocument,
  inspection: Inspection | undefined,
  { retryAt }: RotationError,
  now: number,
): TargetDocument {
  const failures = document.failures + 1
  const leftMs = (inspection?.bound?.slot?.expiryDate ?? now) - now
  return { ...document, failures, retryAfter: Math.max(now + backOffMs(failures, leftMs), retryAt ?? 0) }
}
