import type { ACMClient, CertificateDetail } from '@aws-sdk/client-acm'
import * as v from 'valibot'
import { pemField, secretField, urlField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { secret } from '../base/secret.ts'
import { ARN, notRenewed, regionOf, requireUsable, termsFor, troubleOf } from '../clouds/aws/acm.ts'
import { allow, textOf } from '../clouds/aws/policy.ts'
import { openSdk, type SdkApi, type SdkSend, sdkCall } from '../clouds/aws/sdk.ts'
import {
  type CertificateSource,
  defineSource,
  type Inventory,
  type Run,
  type SourceContext,
} from '../contracts.ts'
import { repeated } from '../http/repeat.ts'
import { type Bundle, readBundle } from '../x509/bundle.ts'
import { newPassphrase } from '../x509/key.ts'

const settings = v.pipe(
  v.strictObject({
    /**
     * The certificate in ACM; its region is where it is asked for. @example
     * "arn:aws:acm:eu-central-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"
     */
    certificateArn: v.pipe(
      v.string('must be the ARN of a certificate in ACM'),
      v.regex(ARN, 'must be the ARN of a certificate in ACM: arn:aws:acm:REGION:ACCOUNT:certificate/ID'),
    ),
    /** Both or neither: without them the AWS SDK's own chain is used (environment, profile, role). */
    accessKeyId: v.optional(v.nullable(secretField()), null),
    /** With `accessKeyId`. @example "env:AWS_SECRET_ACCESS_KEY" */
    secretAccessKey: v.optional(v.nullable(secretField()), null),
    /** With temporary keys. @example "env:AWS_SESSION_TOKEN" */
    sessionToken: v.optional(v.nullable(secretField()), null),
    /** Default: the SDK's own for the region. @example "https://acm.eu-central-1.amazonaws.com" */
    endpoint: v.optional(v.nullable(urlField()), null),
    /** Roots for the service's HTTPS instead of Node's. */
    caCertificates: v.optional(v.nullable(pemField()), null),
  }),
  v.check(
    it => (it.accessKeyId === null) === (it.secretAccessKey === null),
    'must have both accessKeyId and secretAccessKey, or neither',
  ),
)
type Settings = v.InferOutput<typeof settings>
type Sdk = typeof import('@aws-sdk/client-acm')

interface Acm extends SdkApi<Sdk, ACMClient> {
  readonly arn: string
}

function createAcm(config: Settings, context: SourceContext): Acm {
  const { certificateArn: arn } = config
  const sdk = openSdk(config, context.http(config.caCertificates), {
    driver: `source ${context.name} (acm)`,
    name: '@aws-sdk/client-acm',
    terms: termsFor(arn),
    load: () => import('@aws-sdk/client-acm'),
    make: (sdk: Sdk, options) => new sdk.ACMClient({ region: regionOf(arn), ...options }),
  })
  return { arn, ...sdk }
}

/** A call, up to three times: neither of the two changes anything. @throws RotationError */
const read = <T>(acm: Acm, operation: string, run: Run, send: SdkSend<Sdk, ACMClient, T>): Promise<T> => {
  const isConfidential = operation === 'ExportCertificate'
  return repeated(run, `${acm.driver}: ${operation}`, () =>
    sdkCall(acm, operation, run, { changes: false, isConfidential, send }),
  )
}

const unreadable = (acm: Acm, operation: string): RotationError =>
  new RotationError('unavailable', `${acm.driver}: ${operation} answered without what was asked for`, {
    hint: acm.terms.checkEndpoint,
  })

/** https://docs.aws.amazon.com/acm/latest/APIReference/API_DescribeCertificate.html */
async function describe(acm: Acm, run: Run): Promise<CertificateDetail> {
  const { Certificate } = await read(acm, 'DescribeCertificate', run, (sdk, client, options) =>
    client.send(new sdk.DescribeCertificateCommand({ CertificateArn: acm.arn }), options),
  )
  if (!Certificate?.Status) throw unreadable(acm, 'DescribeCertificate')
  requireUsable(Certificate, acm.driver)
  return Certificate
}

function inventoryOf(acm: Acm, detail: CertificateDetail): Inventory {
  const { Serial, NotBefore, NotAfter, SubjectAlternativeNames = [] } = detail
  if (!Serial || !NotBefore || !NotAfter) throw unreadable(acm, 'DescribeCertificate')
  return {
    serial: Serial.replaceAll(':', '').toLowerCase(),
    names: SubjectAlternativeNames.map(name => name.toLowerCase()),
    notBefore: NotBefore.getTime(),
    notAfter: NotAfter.getTime(),
    trouble: troubleOf(detail),
  }
}

/** Each try with a passphrase of its own. https://docs.aws.amazon.com/acm/latest/APIReference/API_ExportCertificate.html */
async function exportBundle(acm: Acm, run: Run): Promise<Bundle> {
  const { password, ...answer } = await read(acm, 'ExportCertificate', run, async (sdk, client, options) => {
    const password = newPassphrase()
    const Passphrase = Buffer.from(password.reveal())
    const command = new sdk.ExportCertificateCommand({ CertificateArn: acm.arn, Passphrase })
    return { ...(await client.send(command, options)), password }
  })
  const { Certificate, CertificateChain = '', PrivateKey } = answer
  if (!Certificate || !PrivateKey) throw unreadable(acm, 'ExportCertificate')
  const chainPem = `${Certificate}\n${CertificateChain}`
  return readBundle({ driver: acm.driver, chainPem, privateKey: secret(PrivateKey), password })
}

const create = (config: Settings, context: SourceContext): CertificateSource => {
  const acm = createAcm(config, context)
  return {
    inventory: async run => inventoryOf(acm, await describe(acm, run)),
    obtain: async (request, journal, run) => {
      const detail = await describe(acm, run)
      const isNews = detail.Status === 'ISSUED' && request.isNews(inventoryOf(acm, detail))
      if (!isNews) throw notRenewed(detail, acm.driver)
      const { chains, privateKey } = await exportBundle(acm, run)
      await journal.adoptKey(privateKey)
      return { kind: 'obtained', chainPem: chains.find(request.accepts) ?? chains[0] }
    },
    abandon: async () => {},
  }
}

/**
 * A certificate that AWS Certificate Manager issued and renews by itself: an exportable public one, or one of a
 * private CA. By the official client, which is loaded with the first call. The key comes encrypted with a passphrase
 * that is used once, and is opened in memory.
 * @throws RotationError `settings-invalid`, `forbidden`, `unauthorized`, `throttled`, `unreachable`, `unavailable`,
 *   `certificate-invalid`, `validation-failed`, `order-failed`, `not-renewed`, `out-of-time`
 */
export default defineSource({
  settings,
  create,
  docs: {
    link: 'https://docs.aws.amazon.com/acm/latest/APIReference/API_ExportCertificate.html',
    says: 'AWS Certificate Manager: an exportable public certificate or one of a private CA, by `certificateArn`; keys as for `route53`; due when ACM has renewed it',
  },
  permissions: {
    aws: entries => [
      allow(
        'Certificates',
        ['acm:DescribeCertificate', 'acm:ExportCertificate'],
        entries.map(it => textOf(it, 'certificateArn')),
      ),
    ],
  },
})
