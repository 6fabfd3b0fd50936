import { randomUUID } from 'node:crypto'
import type { Faults } from '../kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from '../kit/http.ts'
import { type AwsKey, verifyAws } from '../stores/aws-signature.ts'
import {
  ACCOUNT,
  type AcmCertificate,
  type CertificateRequest,
  createCertificates,
  detailOf,
  sealedKey,
} from './certificates.ts'

export interface AcmSwitches {
  /** Actions that the key may not do, e.g. `acm:ExportCertificate`. */
  denied: readonly string[]
  /** Session tokens whose time is over. */
  readonly expiredTokens: Set<string>
  /** How an exported key is encrypted, by OpenSSL's name. */
  cipher: string
}

export interface AcmOptions {
  readonly faults: Faults
  readonly keys: ReadonlyMap<string, AwsKey>
  /** Of the certificates. */
  readonly region?: string
  readonly now?: () => number
}

export interface Acm extends Served {
  readonly switches: AcmSwitches
  /** PEM of the root that every certificate leads to. */
  readonly rootPem: string
  /** Its ARN. */
  request(wanted: CertificateRequest): Promise<string>
  find(arn: string): AcmCertificate
  /** As ACM does by itself: the same ARN, a new certificate, a new key. */
  renew(arn: string, validity?: Pick<CertificateRequest, 'notBefore' | 'notAfter'>): Promise<void>
}

class Refusal extends Error {
  readonly type: string
  constructor(type: string, message: string) {
    super(message)
    this.type = type
  }
}

type Input = Readonly<Record<string, unknown>>

const refusal = (type: string, message: string): Answer => ({
  status: 400,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify({ __type: type, [type === 'AccessDeniedException' ? 'Message' : 'message']: message }),
})

/** Printable ASCII of 4 to 128 characters without `#`, `$` and `%`, in base64. */
function passphraseOf({ Passphrase }: Input): string {
  const text = typeof Passphrase === 'string' ? Buffer.from(Passphrase, 'base64').toString('latin1') : ''
  if (/^(?![\s\S]*[#$%])[\x20-\x7e]{4,128}$/.test(text)) return text
  throw new Refusal('ValidationException', "1 validation error detected: Value at 'passphrase' is not valid")
}

function exported(certificate: AcmCertificate, chain: string, input: Input, cipher: string): object {
  const passphrase = passphraseOf(input)
  if (!certificate.exportable)
    throw new Refusal('ValidationException', `Certificate ${certificate.arn} cannot be exported.`)
  if (certificate.status === 'PENDING_VALIDATION')
    throw new Refusal('RequestInProgressException', `Certificate ${certificate.arn} is not yet issued.`)
  if (certificate.status !== 'ISSUED')
    throw new Refusal('ValidationException', `Certificate ${certificate.arn} is ${certificate.status}.`)
  certificate.exported = true
  return {
    Certificate: certificate.issued.certPem,
    CertificateChain: chain,
    PrivateKey: sealedKey(certificate, passphrase, cipher),
  }
}

/** AWS Certificate Manager, as far as it is asked here: https://docs.aws.amazon.com/acm/latest/APIReference/ (JSON 1.1). */
export async function createAcm(options: AcmOptions): Promise<Acm> {
  const { faults, keys, region: home = 'eu-central-1', now = Date.now } = options
  const { all, chainOf, ...certificates } = await createCertificates(home, now)
  const switches: AcmSwitches = { denied: [], expiredTokens: new Set(), cipher: 'aes-256-cbc' }
  const regionOf = ({ headers }: Call): string =>
    /Credential=[^/]+\/\d{8}\/([^/]+)\//.exec(headers.authorization ?? '')?.[1] ?? home

  const find = (call: Call, { CertificateArn }: Input): AcmCertificate => {
    if (typeof CertificateArn !== 'string' || !/^arn:aws[\w-]*:acm:/.test(CertificateArn))
      throw new Refusal('InvalidArnException', 'Invalid ARN')
    const found = all.get(CertificateArn)
    // Each region has certificates of its own.
    if (found?.arn.split(':')[3] === regionOf(call)) return found
    throw new Refusal(
      'ResourceNotFoundException',
      `Could not find certificate ${CertificateArn} in account ${ACCOUNT}.`,
    )
  }
  const operations: Readonly<Record<string, (certificate: AcmCertificate, input: Input) => object>> = {
    DescribeCertificate: certificate => ({ Certificate: detailOf(certificate) }),
    ExportCertificate: (certificate, input) =>
      exported(certificate, chainOf(certificate), input, switches.cipher),
  }
  const perform = (operation: string, work: (call: Call) => object, call: Call): Answer => {
    if (switches.denied.includes(`acm:${operation}`))
      return refusal(
        'AccessDeniedException',
        `User: arn:aws:iam::${ACCOUNT}:user/x is not authorized to perform: acm:${operation} because no identity-based policy allows the acm:${operation} action`,
      )
    try {
      const body = JSON.stringify(work(call))
      return { status: 200, headers: { 'content-type': 'application/x-amz-json-1.1' }, body }
    } catch (error) {
      if (error instanceof Refusal) return refusal(error.type, error.message)
      throw error
    }
  }
  const routes: Route[] = Object.entries(operations).map(([operation, work]) => ({
    method: 'POST',
    path: '/',
    operation,
    header: ['x-amz-target', `CertificateManager.${operation}`],
    handle: call => {
      const input = JSON.parse(call.body) as Input
      return perform(operation, () => work(find(call, input), input), call)
    },
  }))
  const served = await serve({
    service: 'acm',
    faults,
    routes,
    before: call => {
      if (switches.expiredTokens.has(call.headers['x-amz-security-token'] ?? ''))
        return refusal('ExpiredTokenException', 'The security token included in the request is expired')
      // The SDK signs with the system's time.
      const why = verifyAws(call, { keys, region: regionOf(call), service: 'acm', now: Date.now() })
      if (why === null) return null
      const isKey = why === 'unknown-key' || why === 'token'
      return isKey
        ? refusal('UnrecognizedClientException', 'The security token included in the request is invalid.')
        : refusal('InvalidSignatureException', `The request is not signed as it should be: ${why}`)
    },
    notFound: () => refusal('UnknownOperationException', ''),
    headers: () => ({ 'x-amzn-requestid': randomUUID() }),
  })
  return { ...served, ...certificates, switches }
}
