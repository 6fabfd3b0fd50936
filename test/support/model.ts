/** What a run is about, unless told otherwise: a new member is added here, and no test that does not care knows of it. */
import type { CertificateSpec } from '../../lib/model/certificate.ts'
import type { Target } from '../../lib/model/target.ts'

const DOMAIN = 'iot.example.com'

/** The target of the examples. */
export const targetOf = (changes: Partial<Target> = {}): Target => ({
  name: 'factory-1',
  domain: DOMAIN,
  certificate: 'iot',
  instance: {
    region: 'cn-north-4',
    projectId: 'p',
    instanceId: 'i',
    endpoint: 'https://127.0.0.1',
    signing: 'auto',
  },
  keyEncoding: 'pkcs1',
  domainConfiguration: 'require',
  probe: { mode: 'best-effort', host: DOMAIN, port: 8883, addresses: [], steady: 3, withinMs: 180_000 },
  trustedRoots: null,
  profiles: [],
  preflight: { emergency: 'refuse', strictNames: false },
  ocsp: 'require-url',
  slots: { delete: 'superseded' },
  devices: null,
  minAgeMs: 0,
  bindWindow: [],
  ...changes,
})

/** Its certificate. */
export const specOf = (changes: Partial<CertificateSpec> = {}): CertificateSpec => ({
  name: 'iot',
  names: [DOMAIN],
  keyType: 'rsa-2048',
  sources: ['letsencrypt'],
  renewBefore: null,
  ari: true,
  profile: null,
  profileFallback: false,
  reuseKey: false,
  ...changes,
})
