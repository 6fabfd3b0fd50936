/** Fleets as `status` reports them, for pages and tables; the same each time. */

import type { CheckLine } from '../../lib/model/device-profile.ts'
import type { Answer } from '../../lib/report/answer.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { answer, reported, result } from './answers.ts'

export const NOW = Date.parse('2026-06-15T12:00:00Z')
const DAY_MS = 86_400_000
const iso = (days: number): string => new Date(NOW + days * DAY_MS).toISOString().replace('.000Z', 'Z')

const KINDS = ['well', 'well', 'failing', 'well', 'held', 'well', 'expired', 'well', 'fresh', 'late'] as const
const LEFT: Readonly<Record<(typeof KINDS)[number], number>> = {
  ...{ well: 52, failing: 11, held: 25, expired: -2, fresh: 88, late: 17 },
}

const steps = [
  ['inspect', 180],
  ['decide', 2],
  ['obtain', 41_200],
  ['preflight', 35],
  ['free', 410],
  ['add', 620],
  ['bind', 540],
  ['verify', 9_400],
  ['record', 12],
] as const

const line = { profile: 'meter-v1', served: null }
const oldRoot: CheckLine = {
  ...line,
  ...{ check: 'path', verdict: 'refuse', new: 'none (untrusted)' },
  reason: 'no path to a trusted root (checked against its trustedRoots: "CN=Old Root")',
  remedy: 'have the source give a chain to a root these devices hold',
}
const ended: CheckLine = {
  ...line,
  ...{ check: 'path', verdict: 'refuse', new: 'none (expired)' },
  reason: 'the certificate "CN=iot-6.example.com" has expired',
  remedy: 'have it issued again, or mend the chain',
}
const shortTrust: CheckLine = {
  ...line,
  ...{ check: 'trusted-until', verdict: 'warn', new: iso(60) },
  reason: `"CN=Old Root" ends at ${iso(60)}, before the certificate does: from then on it is not trusted`,
  remedy: 'renew before that day, with a chain to a root that lasts',
}

/** One target; what kind of trouble it has goes by its number. */
export function fleetTarget(i: number): TargetResult {
  const kind = KINDS[i % KINDS.length] ?? 'well'
  const left = LEFT[kind] + (kind === 'expired' ? 0 : i % 7)
  const life = { fingerprint: `${i % 10}`.repeat(64), notBefore: iso(left - 90), notAfter: iso(left) }
  const leaf = reported({
    ...life,
    subject: `CN=iot-${i}.example.com`,
    names: [`iot-${i}.example.com`],
    issuer: "CN=R11, O=Let's Encrypt",
  })
  const spare = reported({
    notBefore: iso(left - 150),
    notAfter: iso(left - 60),
    fingerprint: 'b'.repeat(64),
  })
  const rotations = [left - 270, left - 210, left - 150, left - 90].map((day, n) => ({
    ...{ at: iso(day), outcome: 'rotated', reason: 'renewal-window', error: null },
    ...{ before: `${n}`.repeat(64), after: `${n + 1}`.repeat(64), until: iso(day + 90) },
  }))
  const failures = [-6, -5, -3, -1].map(day => ({
    ...{ at: iso(day), outcome: 'failed', reason: 'expiring', error: 'propagation-timeout' },
    ...{ before: null, after: null, until: null },
  }))
  const isFailing = kind === 'failing' || kind === 'expired'
  return result({
    target: i === 0 ? 'factory-1' : `plant-${String(i).padStart(3, '0')}`,
    outcome: 'planned',
    decision: {
      ...{ due: isFailing, reason: isFailing ? 'expiring' : 'fresh' },
      detail: isFailing ? `${left}d left` : `${left}d left; the CA suggests ${iso(left - 30)}`,
      nextCheckAt: iso(0.02),
    },
    before: leaf,
    after: leaf,
    warnings:
      i % 9 === 4
        ? [
            {
              code: 'root-ends',
              message: `the root of the devices that is in use, "CN=Old Root" ends in 60d, at ${iso(60)}`,
            },
          ]
        : [],
    outlook: { bound: life, served: life, slotsUsed: 2 },
    devices: {
      verdicts: [
        {
          ...{ address: '192.0.2.10', profile: 'esp-idf', ok: kind !== 'expired' },
          lines: kind === 'expired' ? [ended] : [],
        },
        {
          ...{ address: '192.0.2.10', profile: 'meter-v1', ok: i % 25 !== 11 && kind !== 'expired' },
          lines: i % 25 === 11 ? [oldRoot] : kind === 'expired' ? [ended] : i % 9 === 4 ? [shortTrust] : [],
        },
      ],
      ends:
        i % 9 === 4
          ? [{ at: iso(60), what: `the root of profile meter-v1 "CN=Old Root" ends in 60d, at ${iso(60)}` }]
          : [],
    },
    seen: {
      slots: [
        { serverCertificateId: `id-${i}-a`, bound: true, leaf, expiryDate: leaf.notAfter },
        { serverCertificateId: `id-${i}-b`, bound: false, leaf: spare, expiryDate: spare.notAfter },
      ],
      served: [{ address: '192.0.2.10', leaf, error: null }],
    },
    kept: {
      lastResult: isFailing ? { at: iso(-1), outcome: 'failed', error: 'propagation-timeout' } : null,
      held: kind === 'held' ? { since: iso(-3), why: 'held by hand <for the audit> & "more"' } : null,
      failures: isFailing ? 4 : 0,
      retryAfter: isFailing ? iso(0.4) : null,
      trouble: isFailing ? { event: 'failed', severity: 'warning', since: iso(-6) } : null,
      undelivered: 0,
      renewalWindow: { start: iso(left - 31), end: iso(left - 29) },
      history: isFailing ? [...rotations, ...failures] : rotations,
      lastSteps: steps.map(([step, durationMs]) => ({ step, status: 'done', durationMs })),
      orders: [{ source: 'letsencrypt', orders: 1, failedValidations: 0 }],
    },
  })
}

export const fleet = (size: number): Answer => ({
  ...answer(...Array.from({ length: size }, (_, i) => fleetTarget(i))),
  startedAt: '2026-06-15T11:59:58Z',
  finishedAt: '2026-06-15T12:00:00Z',
})
