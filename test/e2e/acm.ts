import { X509Certificate } from 'node:crypto'
import { type Acm, createAcm } from '../../sandbox/acm/acm.ts'
import type { CertificateRequest } from '../../sandbox/acm/certificates.ts'
import type { Iotda } from '../../sandbox/iotda/iotda.ts'
import type { Faults } from '../../sandbox/kit/faults.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, REGION } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'

/** ACM with one certificate, and the settings that take the target's from there. */
export interface AcmRig {
  readonly acm: Acm
  readonly arn: string
  readonly adjust: (settings: SandboxSettings) => void
}

export async function openAcm(
  faults: Faults,
  wanted: CertificateRequest,
  now: () => number = Date.now,
): Promise<AcmRig> {
  const acm = await createAcm({ faults, keys: awsKeys, region: REGION, now })
  cleanups.push(acm.dispose)
  const arn = await acm.request(wanted)
  const adjust = (settings: SandboxSettings): void => {
    settings.sources.aws = {
      ...{ type: 'acm', certificateArn: arn, endpoint: acm.url },
      ...{ accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN },
    }
    settings.certificates.iot.source = 'aws'
    for (const target of settings.targets) target.trustedRoots += acm.rootPem
  }
  return { acm, arn, adjust }
}

/** Fingerprint of the first certificate of a PEM text. */
export const printOf = (pem: string): string => new X509Certificate(pem).fingerprint256
export const boundPrint = (iotda: Iotda): string => printOf(iotda.bound()?.certificatePem ?? '')
export const heldPrint = ({ acm, arn }: AcmRig): string => printOf(acm.find(arn).issued.certPem)
