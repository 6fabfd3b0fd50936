import { createPrivateKey, randomUUID, X509Certificate } from 'node:crypto'
import {
  type Authority,
  createIntermediate,
  createRoot,
  type Issued,
  issueLeaf,
  type KeyType,
  type Validity,
} from '../kit/pki.ts'

/** https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html */
export type CertificateType = 'AMAZON_ISSUED' | 'PRIVATE' | 'IMPORTED'
export type CertificateStatus =
  | 'PENDING_VALIDATION'
  | 'ISSUED'
  | 'INACTIVE'
  | 'EXPIRED'
  | 'VALIDATION_TIMED_OUT'
  | 'REVOKED'
  | 'FAILED'

/** https://docs.aws.amazon.com/acm/latest/APIReference/API_RenewalSummary.html */
export interface Renewal {
  readonly status: 'PENDING_AUTO_RENEWAL' | 'PENDING_VALIDATION' | 'SUCCESS' | 'FAILED'
  /** E.g. `CAA_ERROR`, `PCA_ACCESS_DENIED`. */
  readonly reason?: string
}

/** One certificate of the account; its state may be changed at any time. */
export interface AcmCertificate {
  readonly arn: string
  readonly names: readonly string[]
  readonly type: CertificateType
  readonly keyType: KeyType
  readonly exportable: boolean
  status: CertificateStatus
  failureReason: string | null
  renewal: Renewal | null
  issued: Issued
  /** Since it was issued or renewed: only then it is renewed again. */
  exported: boolean
}

export interface CertificateRequest extends Validity {
  readonly names: readonly string[]
  /** Default `AMAZON_ISSUED`. */
  readonly type?: CertificateType
  /** Default `rsa-2048`, as in ACM. */
  readonly keyType?: KeyType
  /** Of a public one: Export ENABLED. Default true. */
  readonly exportable?: boolean
  readonly status?: CertificateStatus
  /** Default: the server's. */
  readonly region?: string
}

export const ACCOUNT = '123456789012'
const DAY_MS = 86_400_000
const LIFETIME_DAYS = 198

/** The certificates of one account, by ARN, issued by a public or a private CA of their own. */
export async function createCertificates(home: string, now: () => number) {
  const root = await createRoot({
    commonName: 'Sandbox ACM Root',
    notBefore: new Date(now() - 3_000 * DAY_MS),
    notAfter: new Date(now() + 3_000 * DAY_MS),
  })
  const issuer: Authority = await createIntermediate({
    issuer: root,
    commonName: 'Sandbox ACM CA',
    notBefore: new Date(now() - 2_000 * DAY_MS),
    notAfter: new Date(now() + 2_000 * DAY_MS),
  })
  const all = new Map<string, AcmCertificate>()
  const issue = (names: readonly string[], keyType: KeyType, validity: Validity): Promise<Issued> => {
    const notBefore = validity.notBefore ?? new Date(now())
    const notAfter = validity.notAfter ?? new Date(notBefore.getTime() + LIFETIME_DAYS * DAY_MS)
    return issueLeaf({ names, issuer, keyType, notBefore, notAfter })
  }
  const find = (arn: string): AcmCertificate => {
    const found = all.get(arn)
    if (!found) throw new Error(`there is no ${arn}`)
    return found
  }
  return {
    all,
    rootPem: root.certPem,
    /** What is sent with a leaf: a private CA's root is part of it. */
    chainOf: ({ type }: AcmCertificate): string => issuer.chainPem + (type === 'PRIVATE' ? root.certPem : ''),
    find,
    request: async (wanted: CertificateRequest): Promise<string> => {
      const { names, type = 'AMAZON_ISSUED', keyType = 'rsa-2048', status = 'ISSUED', region = home } = wanted
      const arn = `arn:aws:acm:${region}:${ACCOUNT}:certificate/${randomUUID()}`
      const issued = await issue(names, keyType, wanted)
      const exportable = type === 'PRIVATE' || (type === 'AMAZON_ISSUED' && (wanted.exportable ?? true))
      all.set(arn, {
        arn,
        names,
        type,
        keyType,
        exportable,
        status,
        failureReason: null,
        renewal: null,
        issued,
        exported: false,
      })
      return arn
    },
    /** As ACM does by itself: the same ARN, a new key. */
    renew: async (arn: string, validity: Validity = {}): Promise<void> => {
      const certificate = find(arn)
      certificate.issued = await issue(certificate.names, certificate.keyType, validity)
      certificate.renewal = { status: 'SUCCESS' }
      certificate.exported = false
    },
  }
}

const seconds = (text: string): number => Date.parse(text) / 1_000
const ALGORITHMS: Readonly<Record<KeyType, string>> = {
  'rsa-2048': 'RSA_2048',
  'rsa-3072': 'RSA_3072',
  'rsa-4096': 'RSA_4096',
  'ec-256': 'EC_prime256v1',
  'ec-384': 'EC_secp384r1',
}

const validations = (names: readonly string[], status: string) =>
  names.map(name => ({
    DomainName: name,
    ValidationDomain: name,
    ValidationStatus: status,
    ValidationMethod: 'DNS',
    ResourceRecord: {
      Name: `_0123456789abcdef.${name.replace(/^\*\./, '')}.`,
      Type: 'CNAME',
      Value: '_fedcba9876543210.acm-validations.example.',
    },
  }))

/** The wire form of `CertificateDetail`; instants in seconds. */
export function detailOf(certificate: AcmCertificate): object {
  const { arn, names, type, keyType, exportable, status, failureReason, renewal, issued, exported } =
    certificate
  const leaf = new X509Certificate(issued.certPem)
  const isPublic = type === 'AMAZON_ISSUED'
  const isRenewable = type !== 'IMPORTED' && exported
  return {
    CertificateArn: arn,
    DomainName: names[0],
    SubjectAlternativeNames: names,
    Status: status,
    Type: type,
    KeyAlgorithm: ALGORITHMS[keyType],
    RenewalEligibility: isRenewable ? 'ELIGIBLE' : 'INELIGIBLE',
    ...(isPublic && {
      DomainValidationOptions: validations(names, status === 'PENDING_VALIDATION' ? status : 'SUCCESS'),
      Options: {
        CertificateTransparencyLoggingPreference: 'ENABLED',
        Export: exportable ? 'ENABLED' : 'DISABLED',
      },
    }),
    ...(status !== 'PENDING_VALIDATION' && {
      Serial: leaf.serialNumber.toLowerCase().match(/../g)?.join(':'),
      Issuer: 'Amazon',
      NotBefore: seconds(leaf.validFrom),
      NotAfter: seconds(leaf.validTo),
    }),
    ...(failureReason !== null && { FailureReason: failureReason }),
    ...(renewal && {
      RenewalSummary: {
        RenewalStatus: renewal.status,
        DomainValidationOptions: validations(
          names,
          renewal.status === 'PENDING_VALIDATION' ? renewal.status : 'SUCCESS',
        ),
        ...(renewal.reason !== undefined && { RenewalStatusReason: renewal.reason }),
        UpdatedAt: seconds(leaf.validFrom),
      },
    }),
  }
}

/** The private key as it is exported: PKCS#8, encrypted with the passphrase. */
export const sealedKey = ({ issued }: AcmCertificate, passphrase: string, cipher: string): string =>
  createPrivateKey(issued.keyPem).export({ type: 'pkcs8', format: 'pem', cipher, passphrase }).toString()
