/** Fleets as `status` reports them, for pages and tables; the same each time. */

import { DAY_MS } from '../../lib/base/time.ts'
import type { CheckLine } from '../../lib/model/device-profile.ts'
import type { Answer } from '../../lib/report/answer.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { answer, kept, reported, result } from './answers.ts'

export const NOW = Date.parse('2026-06-15T12:00:00Z')
const iso = (days: number): string => new Date(NOW + days * DAY_MS).toISOString().replace('.000Z', 'Z')

const KINDS = ['well', 'well', 'failing', 'well', 'held', 'well', 'expired', 'well', 'fresh', 'late'] as const
const LEFT: Readonly<Record<(typeof KINDS)[number], number>> = {
  well: 52,
  failing: 11,
  held: 25,
  expired: -2,
  fresh: 88,
  late: 17,
}

const lastSteps = Object.entries({
  inspect: 180,
  decide: 2,
  obtain: 41_200,
  preflight: 35,
  free: 410,
  add: 620,
  bind: 540,
  verify: 9_400,
  record: 12,
}).map(([step, durationMs]) => ({ step, status: 'done' as const, durationMs }))

const found = (check: string, verdict: 'refuse' | 'warn', made: string, reason: string, remedy: string) =>
  ({ profile: 'meter-v1', served: null, check, verdict, new: made, reason, remedy }) satisfies CheckLine
const oldRoot = found(
  'path',
  'refuse',
  'none (untrusted)',
  'no path to a trusted root (checked against its trustedRoots: "CN=Old Root")',
  'have the source give a chain to a root these devices hold',
)
const ended = found(
  'path',
  'refuse',
  'none (expired)',
  'the certificate "CN=iot-6.example.com" has expired',
  'have it issued again, or mend the chain',
)
const shortTrust = found(
  'trusted-until',
  'warn',
  iso(60),
  `"CN=Old Root" ends at ${iso(60)}, before the certificate does: from then on it is not trusted`,
  'renew before that day, with a chain to a root that lasts',
)
const rootEnds = (whose: string): string => `the root of ${whose} "CN=Old Root" ends in 60d, at ${iso(60)}`

/** One target; what kind of trouble it has goes by its number. */
export function fleetTarget(i: number): TargetResult {
  const kind = KINDS[i % KINDS.length] ?? 'well'
  const left = LEFT[kind] + (kind === 'expired' ? 0 : i % 7)
  const life = { fingerprint: `${i % 10}`.repeat(64), notBefore: iso(left - 90), notAfter: iso(left) }
  const name = `iot-${i}.example.com`
  const leaf = reported({ ...life, subject: `CN=${name}`, names: [name], issuer: "CN=R11, O=Let's Encrypt" })
  const spare = reported({
    notBefore: iso(left - 150),
    notAfter: iso(left - 60),
    fingerprint: 'b'.repeat(64),
  })
  const run = { reason: 'renewal-window', error: null, before: null, after: null, until: null }
  const rotations = [left - 270, left - 210, left - 150, left - 90].map((day, n) => ({
    ...run,
    at: iso(day),
    outcome: 'rotated',
    before: `${n}`.repeat(64),
    after: `${n + 1}`.repeat(64),
    until: iso(day + 90),
  }))
  const [reason, error] = ['expiring', 'propagation-timeout']
  const failures = [-6, -5, -3, -1].map(day => ({ ...run, at: iso(day), outcome: 'failed', reason, error }))
  const isExpired = kind === 'expired'
  const isFailing = kind === 'failing' || isExpired
  const isRootEnding = i % 9 === 4
  const refuses = i % 25 === 11 ? [oldRoot] : isExpired ? [ended] : []
  const address = '192.0.2.10'
  return result({
    target: i === 0 ? 'factory-1' : `plant-${String(i).padStart(3, '0')}`,
    outcome: 'planned',
    decision: {
      due: isFailing,
      reason: isFailing ? reason : 'fresh',
      detail: isFailing ? `${left}d left` : `${left}d left; the CA suggests ${iso(left - 30)}`,
      nextCheckAt: iso(0.02),
    },
    before: leaf,
    after: leaf,
    warnings: isRootEnding ? [{ code: 'root-ends', message: rootEnds('the devices that is in use,') }] : [],
    outlook: { bound: life, served: life, slotsUsed: 2 },
    devices: {
      verdicts: [
        { address, profile: 'esp-idf', ok: !isExpired, lines: isExpired ? [ended] : [] },
        {
          address,
          profile: 'meter-v1',
          ok: refuses.length === 0,
          lines: refuses.length === 0 && isRootEnding ? [shortTrust] : refuses,
        },
      ],
      ends: isRootEnding ? [{ at: iso(60), what: rootEnds('profile meter-v1') }] : [],
    },
    seen: {
      slots: [
        { serverCertificateId: `id-${i}-a`, bound: true, leaf, expiryDate: leaf.notAfter },
        { serverCertificateId: `id-${i}-b`, bound: false, leaf: spare, expiryDate: spare.notAfter },
      ],
      served: [{ address, leaf, error: null }],
    },
    kept: kept({
      ...(isFailing
        ? {
            lastResult: { at: iso(-1), outcome: 'failed', error },
            failures: 4,
            retryAfter: iso(0.4),
            trouble: { event: 'failed', severity: 'warning', since: iso(-6) },
          }
        : {}),
      held: kind === 'held' ? { since: iso(-3), why: 'held by hand <for the audit> & "more"' } : null,
      renewalWindow: { start: iso(left - 31), end: iso(left - 29) },
      history: isFailing ? [...rotations, ...failures] : rotations,
      lastSteps,
      orders: [{ source: 'letsencrypt', orders: 1, failedValidations: 0 }],
    }),
  })
}

export const fleet = (size: number): Answer => ({
  ...answer(...Array.from({ length: size }, (_, i) => fleetTarget(i))),
  startedAt: '2026-06-15T11:59:58Z',
  finishedAt: '2026-06-15T12:00:00Z',
})
