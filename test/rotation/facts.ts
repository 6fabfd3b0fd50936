/** Plain data for the pure parts of the rotation: every builder takes what is special about a case. */
import { silentLog } from '../../lib/base/log.ts'
import { type Clock, DAY_MS } from '../../lib/base/time.ts'
import type { Run } from '../../lib/contracts.ts'
import type { Leaf, RenewalInfo, Slot } from '../../lib/model/certificate.ts'
import { type Context, openContext, type RotationSetup } from '../../lib/rotation/context.ts'
import type { Facts } from '../../lib/rotation/decide/decide.ts'
import type { Decided, DueToDeploy } from '../../lib/rotation/decide/decision.ts'
import type { Inspection } from '../../lib/rotation/observe/inspection.ts'
import {
  type CertificateDocument,
  newCertificate,
  newTarget,
  type PendingBinding,
  type PendingCertificate,
  type Replaced,
  type TargetDocument,
} from '../../lib/state/documents.ts'
import { fakeClock } from '../support/clock.ts'

import { specOf, targetOf } from '../support/model.ts'
import { runEvent } from '../support/run-event.ts'

export const NOW = Date.parse('2026-06-15T12:00:00Z')
export const DOMAIN = 'iot.example.com'

export const target = targetOf()
export const spec = specOf()
export const rotateAll = runEvent()

export const leaf = (fingerprint: string, more: Partial<Leaf> = {}): Leaf => ({
  fingerprint,
  serial: '01',
  subject: `CN=${DOMAIN}`,
  issuer: 'CN=Test CA',
  names: [DOMAIN],
  notBefore: NOW - 10 * DAY_MS,
  notAfter: NOW + 80 * DAY_MS,
  keyType: 'rsa-2048',
  ocspUrl: null,
  ...more,
})

/** A slot whose dates are its leaf's; the leaf's fingerprint is `leaf-` and the id. */
export function slot(id: string, more: Partial<Leaf> = {}, over: Partial<Slot> = {}): Slot {
  const own = leaf(`leaf-${id}`, more)
  return {
    serverCertificateId: id,
    effectiveDate: own.notBefore,
    expiryDate: own.notAfter,
    certificatePem: 'PEM',
    leaf: own,
    ...over,
  }
}

export const targetDocument = (more: Partial<TargetDocument> = {}): TargetDocument => ({
  ...newTarget('factory-1'),
  ...more,
})

export const certificateDocument = (more: Partial<CertificateDocument> = {}): CertificateDocument => ({
  ...newCertificate('iot'),
  ...more,
})

/** Uploaded as `id`, not yet bound. */
export const pendingBinding = (id: string, more: Partial<PendingBinding> = {}): PendingBinding => ({
  fingerprint: `leaf-${id}`,
  specHash: 'spec',
  serverCertificateId: id,
  replaces: null,
  boundAt: null,
  failedWhy: null,
  ...more,
})

export const pendingCertificate = (more: Partial<PendingCertificate> = {}): PendingCertificate => ({
  id: 'pending-1',
  specHash: 'spec',
  source: 'letsencrypt',
  since: NOW,
  notes: {},
  chainPem: null,
  fingerprint: null,
  ...more,
})

export const replaced = (id: string): Replaced => ({
  serverCertificateId: id,
  serverCertificateConfig: null,
  fingerprint: `leaf-${id}`,
  served: true,
  reachable: true,
})

export interface Scene {
  readonly slots?: readonly Slot[]
  /** The id that the configuration names; null: a configuration without a binding; absent: no configuration. */
  readonly bound?: string | null
  readonly served?: readonly (Leaf | null)[]
  readonly document?: TargetDocument
  readonly certificate?: CertificateDocument
  readonly renewalInfo?: Inspection['renewalInfo']
  readonly inventory?: Inspection['inventory']
  readonly at?: number
}

export function inspection({ slots = [], bound, served = [], ...scene }: Scene): Inspection {
  return {
    at: scene.at ?? NOW,
    configuration:
      bound === undefined
        ? null
        : {
            configurationId: 'c',
            domainName: DOMAIN,
            accessProtocol: 'Device-MQTTS',
            serverCertificateId: bound,
            serverCertificateConfig: null,
          },
    bound:
      typeof bound === 'string'
        ? { serverCertificateId: bound, slot: slots.find(s => s.serverCertificateId === bound) ?? null }
        : null,
    slots,
    served: served.map((shown, i) => ({
      address: `192.0.2.${i}:8883`,
      leaf: shown,
      error: shown ? null : 'refused',
    })),
    renewalInfo: scene.renewalInfo ?? null,
    inventory: scene.inventory ?? null,
    documents: {
      target: scene.document ?? targetDocument(),
      certificate: scene.certificate ?? certificateDocument(),
    },
  }
}

/** What the CA suggests for `a`. */
export const suggested = (window: RenewalInfo['window']): RenewalInfo => ({
  fingerprint: 'leaf-a',
  window,
  explanationUrl: null,
  nextFetchAt: NOW,
})

/** One bound certificate, `a`, that was obtained with the settings as they are: nothing to do but for `more`. */
export function facts(scene: Scene = {}, more: Partial<Omit<Facts, 'inspection' | 'document'>> = {}): Facts {
  const full = { slots: [slot('a')], bound: 'a', ...scene }
  const document = scene.document ?? settled()
  return {
    now: scene.at ?? NOW,
    intervalMs: 1_800_000,
    spec,
    specHash: 'spec',
    event: rotateAll,
    inspection: inspection({ ...full, document }),
    document,
    awaited: null,
    leadMs: 0,
    ...more,
  }
}

/** What is written down of a target whose current certificate is `a`. */
export const settled = (more: Partial<TargetDocument> = {}): TargetDocument =>
  targetDocument({ current: { serverCertificateId: 'a', fingerprint: 'leaf-a', specHash: 'spec' }, ...more })

export const newRun = (clock: Clock, runId = 'run-1'): Run => ({
  runId,
  clock,
  log: silentLog,
  deadline: clock.now() + DAY_MS,
  signal: new AbortController().signal,
})

/** A run at NOW, of which only the parts are there that a case stands on: it calls no service. */
export const context = (more: Partial<RotationSetup> = {}): Context =>
  openContext({
    target,
    sharing: [target],
    spec,
    specHash: 'spec',
    event: rotateAll,
    run: newRun(fakeClock(NOW)),
    intervalMs: 1_800_000,
    rings: null,
    ...more,
  } as RotationSetup)

/** Another certificate is wanted in this scene. */
export const decided = (
  scene: Scene = {},
  more: Partial<Pick<DueToDeploy, 'reason' | 'emergency'>> = {},
): Decided<DueToDeploy> => {
  const seen = inspection(scene)
  const decision = { due: true, detail: '', nextCheckAt: null, plan: 'deploy' } as const
  return {
    inspection: seen,
    document: seen.documents.target,
    decision: { ...decision, reason: 'forced', emergency: false, ...more },
  }
}
