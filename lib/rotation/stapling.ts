import type { DomainConfiguration } from '../iotda/client.ts'
import type { Leaf } from '../model.ts'
import type { Replaced } from './documents.ts'
import { type Job, type World, warn } from './world.ts'

/** The current OCSP settings go back as they came, but for stapling that the new leaf cannot serve. */
export function configFor(
  { target }: World,
  job: Job,
  { serverCertificateConfig }: DomainConfiguration,
  leaf: Leaf,
): DomainConfiguration['serverCertificateConfig'] {
  const stapling = serverCertificateConfig?.ocsp_stapling_enable === true
  if (!stapling || leaf.ocspUrl !== null || target.ocsp !== 'follow-certificate')
    return serverCertificateConfig
  warn(job, 'ocsp-stapling-off', 'OCSP stapling was switched off: the new certificate carries no OCSP URL')
  return { ...serverCertificateConfig, ocsp_stapling_enable: false }
}

/** As it is now, a person may have changed it since; only the stapling that our bind switched off comes back. */
export function configBack(
  { serverCertificateConfig: now }: DomainConfiguration,
  { serverCertificateConfig: before }: Replaced,
): DomainConfiguration['serverCertificateConfig'] {
  return before?.ocsp_stapling_enable === true ? { ...now, ocsp_stapling_enable: true } : now
}
