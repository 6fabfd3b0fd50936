import type { CertificateDetail, DomainValidation } from '@aws-sdk/client-acm'
import { RotationError } from '../../base/rotation-error.ts'
import { iso } from '../../base/time.ts'
import type { SdkTerms } from './sdk.ts'

/** What ACM says of a certificate, in words: https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html */

export const PERMISSIONS = 'acm:DescribeCertificate and acm:ExportCertificate'

/** The parts of `arn:aws:acm:REGION:ACCOUNT:certificate/ID`. */
export const ARN = /^arn:aws(?:-[a-z]+)*:acm:([a-z0-9-]+):(\d{12}):certificate\/[A-Za-z0-9-]{1,64}$/

export const regionOf = (arn: string): string => ARN.exec(arn)?.[1] ?? ''

/** How ACM refuses a call. */
export const termsFor = (arn: string): SdkTerms => ({
  codes: {
    ResourceNotFoundException: 'settings-invalid',
    InvalidArnException: 'settings-invalid',
    RequestInProgressException: 'validation-failed',
    ValidationException: 'certificate-invalid',
  },
  hints: {
    'settings-invalid': `Check certificateArn: there is no such certificate in ${regionOf(arn)}, or the keys belong to another account.`,
    forbidden: `Allow ${PERMISSIONS} on ${arn} to the owner of the keys.`,
    unauthorized:
      'Check accessKeyId, secretAccessKey and sessionToken, that temporary keys have not expired, and the clock of this machine.',
    'validation-failed': 'The certificate is not issued yet: see in ACM what its validation waits for.',
    'certificate-invalid': NOT_EXPORTABLE_HINT,
  },
  // Shortly after a renewal ACM has not yet noted that the certificate may be exported.
  isPassing: (name, message) => name === 'ValidationException' && /relation of type EXPORT/i.test(message),
  checkEndpoint: 'Check the endpoint of the source, and that it can be reached from here.',
})

const NOT_EXPORTABLE_HINT =
  'Private-CA certificates can be exported, and public ones that were requested with Export ENABLED. Request another one, or import the bought one by a source of type "file".'

const isExportable = ({ Type, Options }: CertificateDetail): boolean =>
  Type === 'PRIVATE' || (Type === 'AMAZON_ISSUED' && Options?.Export === 'ENABLED')

/** Names that wait for validation, with the record that would prove each. */
function waitingFor(validations: readonly DomainValidation[] = []): string {
  const open = validations.filter(it => it.ValidationStatus !== 'SUCCESS')
  return open.map(it => it.DomainName ?? '').join(', ') || 'its names'
}
function recordsFor(validations: readonly DomainValidation[] = []): string {
  const records = validations
    .filter(it => it.ValidationStatus !== 'SUCCESS')
    .flatMap(({ ResourceRecord: it }) => (it ? [`${it.Name} ${it.Type} ${it.Value}`] : []))
  return records.length > 0
    ? `Create the record ${[...new Set(records)].join('; ')}.`
    : 'Approve it by the e-mail that ACM sent, or see the certificate in ACM.'
}

/** @throws RotationError when it was never issued, is no longer good, or can never be exported */
export function requireUsable(detail: CertificateDetail, driver: string): void {
  const { Status, Type, FailureReason, DomainValidationOptions } = detail
  if (!isExportable(detail)) {
    const export_ = Type === 'AMAZON_ISSUED' ? `, Export ${detail.Options?.Export ?? 'DISABLED'}` : ''
    const message = `${driver}: the certificate cannot be exported (${Type}${export_})`
    throw new RotationError('certificate-invalid', message, { retry: 'never', hint: NOT_EXPORTABLE_HINT })
  }
  if (Status === 'ISSUED' || Status === 'EXPIRED') return
  if (Status === 'PENDING_VALIDATION') {
    const why = `it waits for validation of ${waitingFor(DomainValidationOptions)}`
    const hint = recordsFor(DomainValidationOptions)
    throw new RotationError('validation-failed', `${driver}: the certificate is not issued yet: ${why}`, {
      hint,
    })
  }
  const why = FailureReason ? ` (${FailureReason})` : ''
  throw new RotationError('order-failed', `${driver}: the certificate is ${Status}${why}`, {
    retry: 'never',
    hint: 'Request another one in ACM, and set certificateArn to its ARN.',
  })
}

/** What became of the renewal, when it needs a person; null when nothing is known to be wrong. */
export function troubleOf({ RenewalSummary, RenewalEligibility }: CertificateDetail): string | null {
  const { RenewalStatus, RenewalStatusReason, DomainValidationOptions } = RenewalSummary ?? {}
  if (RenewalStatus === 'FAILED')
    return `ACM could not renew it (${RenewalStatusReason ?? 'no reason given'})`
  if (RenewalStatus === 'PENDING_VALIDATION') {
    const why = RenewalStatusReason ? ` (${RenewalStatusReason})` : ''
    return `its renewal waits for validation of ${waitingFor(DomainValidationOptions)}${why}`
  }
  return RenewalEligibility === 'INELIGIBLE' ? 'ACM does not renew it (INELIGIBLE)' : null
}

/** The error of a certificate that should have been renewed by now. */
export function notRenewed(detail: CertificateDetail, driver: string): RotationError {
  const { RenewalSummary, NotAfter } = detail
  const { RenewalStatus, DomainValidationOptions } = RenewalSummary ?? {}
  const begun =
    RenewalStatus === 'PENDING_AUTO_RENEWAL' ? 'ACM is renewing it' : 'ACM has not begun to renew it'
  const until = NotAfter ? `, valid until ${iso(NotAfter.getTime())}` : ''
  const hint =
    RenewalStatus === 'PENDING_VALIDATION'
      ? recordsFor(DomainValidationOptions)
      : RenewalStatus === 'FAILED'
        ? 'Mend what RenewalStatusReason names (validation records, CAA, the private CA and its permissions), or request another certificate and set certificateArn.'
        : 'ACM renews what was exported or is in use, some weeks before its end. See the certificate in ACM; imported ones and those of the IssueCertificate API are never renewed.'
  const message = `${driver}: ACM holds nothing newer${until}: ${troubleOf(detail) ?? begun}`
  return new RotationError('not-renewed', message, { retry: 'never', hint })
}
