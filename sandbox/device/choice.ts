import { createHash, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Bound } from '../iotda/actions.ts'
import { createRoot, issueLeaf } from '../kit/pki.ts'
import type { DeviceEndpointOptions, EndpointSwitches, Identity } from './model.ts'

const fingerprintOf = (pem: string): string =>
  createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')

/** The certificate for names the instance has no configuration for. */
export async function throwAwayPlatform(): Promise<Identity> {
  const issuer = await createRoot({ commonName: 'Sandbox Platform Root' })
  const leaf = await issueLeaf({ names: ['*.st1.iotda-device.cn-north-4.myhuaweicloud.com'], issuer })
  return { certPem: leaf.chainPem, keyPem: leaf.keyPem }
}

const plainName = (name: string | null | undefined): string => (name ?? '').toLowerCase().replace(/\.$/, '')

/** What is visible where and when: the writes of the binding with their lags. */
const createTimeline = (options: DeviceEndpointOptions, switches: EndpointSwitches) => {
  const { iotda } = options
  const now = options.now ?? Date.now
  let writes: readonly { readonly bound: Bound | null; readonly visibleAt: (address: string) => number }[] = [
    { bound: iotda.bound(), visibleAt: () => Number.NEGATIVE_INFINITY },
  ]
  const stop = iotda.onBind(bound => {
    const at = now()
    const lag = switches.lagMs
    writes = [
      ...writes,
      { bound, visibleAt: address => at + (typeof lag === 'number' ? lag : (lag[address] ?? 0)) },
    ]
  })
  return {
    stop,
    settle: () => {
      writes = writes.map(write => ({ ...write, visibleAt: () => Number.NEGATIVE_INFINITY }))
    },
    /** What the address shows, and what it showed before that. */
    at: (address: string): { readonly current: Bound | null; readonly before: Bound | null } => {
      const visible = writes.filter(write => write.visibleAt(address) <= now()).map(write => write.bound)
      const current = visible.at(-1) ?? null
      const before = visible.findLast(bound => bound?.certificatePem !== current?.certificatePem) ?? null
      return { current, before }
    },
  }
}

/** Which identity a client gets. */
export function createChooser(
  options: DeviceEndpointOptions,
  switches: EndpointSwitches,
  platform: Identity,
) {
  const timeline = createTimeline(options, switches)
  let flapped = 0
  const ofBound = (bound: Bound | null): Identity =>
    bound ? { certPem: bound.certificatePem, keyPem: bound.keyPem } : platform
  const choose = (address: string, sni: string | null): Identity => {
    const { current, before } = timeline.at(address)
    const domain = current?.domain ?? options.iotda.configurations()[0]?.domain_name
    if (sni === null || plainName(sni) !== plainName(domain)) return platform
    const override = switches.serveAt[address] ?? switches.serve
    if (override) return override
    if (switches.flap < 1) {
      flapped = 0
      return ofBound(current)
    }
    switches.flap -= 1
    flapped += 1
    return ofBound(flapped % 2 === 1 ? before : current)
  }
  return { ...timeline, choose }
}

/** One secure context for each identity: with two certificates in one, a client could be given the other one. */
export function createContexts() {
  const contexts = new Map<string, { readonly context: SecureContext; readonly fingerprint: string }>()
  return (identity: Identity, minVersion: EndpointSwitches['minVersion']) => {
    const key = identity.certPem + identity.keyPem + minVersion
    const known = contexts.get(key) ?? {
      context: createSecureContext({ cert: identity.certPem, key: identity.keyPem, minVersion }),
      fingerprint: fingerprintOf(identity.certPem),
    }
    contexts.set(key, known)
    return known
  }
}
