/** A device profile without limits, but for what is special about a case. */
import type { DeviceProfile } from '../../lib/model/device-profile.ts'

export const profile = (more: Partial<DeviceProfile> = {}): DeviceProfile => ({
  name: 'meter-v1',
  stack: null,
  trustedRoots: null,
  tls: null,
  ciphers: null,
  keyTypes: null,
  issuerKeyTypes: null,
  signatureAlgorithms: null,
  maxChainBytes: null,
  maxChainDepth: null,
  needsWholeChain: false,
  needsCommonName: false,
  needsKeyEncipherment: false,
  clockLagMs: 0,
  pins: [],
  ...more,
})
