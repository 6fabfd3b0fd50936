import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RotationError } from '../../../lib/base/rotation-error.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../lib/base/time.ts'
import type { RenewBefore } from '../../../lib/model/certificate.ts'
import { DUE_REASONS, IDLE_REASONS } from '../../../lib/model/outcomes.ts'
import { decide, type Facts } from '../../../lib/rotation/decide/decide.ts'
import type { Inspection } from '../../../lib/rotation/observe/inspection.ts'
import type { TargetDocument } from '../../../lib/state/documents.ts'
import {
  certificateDocument,
  facts,
  leaf,
  NOW,
  pendingBinding,
  pendingCertificate,
  replaced,
  rotateAll,
  settled,
  slot,
  spec,
  suggested,
} from '../facts.ts'

const lifetime = fc.integer({ min: 10 * MINUTE_MS, max: 400 * DAY_MS })
const instant = fc.integer({ min: NOW - 1_000 * DAY_MS, max: NOW + 1_000 * DAY_MS })
const threshold: fc.Arbitrary<RenewBefore | null> = fc.oneof(
  fc.constant(null),
  fc.integer({ min: 1, max: 2_000 * DAY_MS }).map(durationMs => ({ durationMs })),
  fc.double({ min: 0.001, max: 0.999, noNaN: true }).map(share => ({ share })),
)

/** What a source says that holds the leaf `a`. */
function offered(
  kind: string,
  { notBefore, notAfter }: { notBefore: number; notAfter: number },
  serial = '01',
): Inspection['inventory'] {
  if (kind === 'none') return null
  if (kind === 'unknown') return { holds: null, failure: new RotationError('unavailable', 'no answer') }
  return { holds: { serial, names: [], notBefore, notAfter, trouble: null }, failure: null }
}

test('after a rotation to a fresh leaf there is nothing to do, whatever the settings', () => {
  const world = fc.record({
    lifetimeMs: lifetime,
    /** CAs date a leaf back a little. */
    backdated: fc.double({ min: 0, max: 0.3, noNaN: true }),
    renewBefore: threshold,
    windowAt: fc.option(fc.double({ min: 0.4, max: 0.9, noNaN: true })),
    intervalMs: fc.integer({ min: MINUTE_MS, max: 6 * HOUR_MS }),
    isServed: fc.boolean(),
    rolledBack: fc.array(fc.constantFrom('leaf-old', 'leaf-older')),
    /** A source that makes nothing to order holds what was just bound; its word may be lost, and its settings odd. */
    holder: fc.constantFrom('none', 'known', 'unknown'),
    isOtherSpec: fc.boolean(),
  })
  fc.assert(
    fc.property(
      world,
      ({ lifetimeMs, backdated, renewBefore, windowAt, intervalMs, isServed, rolledBack, ...source }) => {
        const notBefore = NOW - Math.floor(lifetimeMs * backdated)
        const notAfter = notBefore + lifetimeMs
        const start = NOW + Math.ceil((notAfter - NOW) * (windowAt ?? 0)) + intervalMs
        const bound = slot('a', { notBefore, notAfter })
        const given = facts(
          {
            slots: [bound, slot('old')],
            served: isServed ? [bound.leaf, bound.leaf] : [],
            inventory: offered(source.holder, { notBefore, notAfter }),
            document: settled({
              previous: { serverCertificateId: 'old', fingerprint: 'leaf-old' },
              lastBoundAt: NOW,
              rolledBack,
            }),
            certificate: certificateDocument({
              current: { fingerprint: 'leaf-a', specHash: 'spec', notAfter },
            }),
            renewalInfo: windowAt === null ? null : suggested({ start, end: start + DAY_MS }),
          },
          {
            spec: { ...spec, renewBefore },
            intervalMs,
            specHash: source.holder !== 'none' && source.isOtherSpec ? 'other' : 'spec',
          },
        )
        const verdict = decide(given)
        expect(verdict).toMatchObject({ due: false, reason: 'fresh', plan: 'none' })
        expect(verdict.nextCheckAt).toBeGreaterThanOrEqual(NOW)
        expect(verdict.nextCheckAt).toBeLessThan(notAfter)
      },
    ),
    { numRuns: 500 },
  )
})

test('whatever the CA suggests for the successor of a recalled certificate, there is nothing to do', () => {
  const world = fc.record({
    lifetimeMs: fc.integer({ min: 6 * DAY_MS, max: 400 * DAY_MS }),
    renewBefore: threshold,
    start: instant,
    lengthMs: fc.integer({ min: 1, max: 2_000 * DAY_MS }),
    intervalMs: fc.integer({ min: MINUTE_MS, max: DAY_MS }),
    ageMs: fc.integer({ min: 0, max: DAY_MS }),
  })
  fc.assert(
    fc.property(world, ({ lifetimeMs, renewBefore, start, lengthMs, intervalMs, ageMs }) => {
      const bound = slot('a', { notBefore: NOW - ageMs, notAfter: NOW - ageMs + lifetimeMs })
      const recalled = { fingerprint: 'leaf-old', at: NOW - ageMs }
      const renewalInfo = suggested({ start, end: start + lengthMs })
      const certificate = certificateDocument({ recalled })
      const given = facts(
        { slots: [bound], certificate, renewalInfo },
        { spec: { ...spec, renewBefore }, intervalMs },
      )
      const verdict = decide(given)
      expect(verdict).toMatchObject({ due: false, reason: 'fresh', plan: 'none' })
      expect(verdict.nextCheckAt).toBeGreaterThanOrEqual(NOW)
    }),
    { numRuns: 1_000 },
  )
})

/** Any world at all, likely or not. */
const anything: fc.Arbitrary<Facts> = fc
  .record({
    now: instant,
    starts: instant,
    lifetimeMs: fc.oneof(lifetime, fc.constant(0), fc.integer({ min: -DAY_MS, max: 0 })),
    renewBefore: threshold,
    window: fc.option(fc.record({ start: instant, end: instant })),
    bound: fc.constantFrom('a', 'b', 'gone', null, undefined),
    isReadable: fc.boolean(),
    served: fc.array(fc.option(fc.constantFrom('leaf-a', 'leaf-b', 'stranger')), { maxLength: 3 }),
    force: fc.boolean(),
    specHash: fc.constantFrom('spec', 'other'),
    intervalMs: fc.integer({ min: 0, max: 30 * DAY_MS }),
    notBefore: fc.option(instant),
    pendingCertificate: fc.option(
      fc.record({
        fingerprint: fc.option(fc.constantFrom('leaf-a', 'leaf-b')),
        specHash: fc.constantFrom('spec', 'other'),
      }),
    ),
    pending: fc.option(
      fc.record({
        boundAt: fc.option(instant),
        failedWhy: fc.option(fc.constant('no handshake')),
        replaces: fc.constantFrom(null, 'first' as const, replaced('a')),
      }),
    ),
    held: fc.option(
      fc.record({ since: instant, why: fc.string(), specHash: fc.constantFrom('spec', 'other') }),
    ),
    retryAfter: fc.option(instant),
    emergencyAt: fc.option(instant),
    rolledBack: fc.subarray(['leaf-a', 'leaf-b']),
    knowsCurrent: fc.boolean(),
    inventory: fc.record({
      kind: fc.constantFrom('none', 'known', 'unknown'),
      serial: fc.constantFrom('01', '02'),
      notBefore: instant,
      notAfter: instant,
    }),
  })
  .map(w => {
    const validity = { notBefore: w.starts, notAfter: w.starts + w.lifetimeMs }
    const a = slot('a', validity)
    const document: TargetDocument = settled({
      ...(w.knowsCurrent ? {} : { current: null }),
      pending: w.pending && pendingBinding('b', w.pending),
      held: w.held,
      retryAfter: w.retryAfter,
      failures: w.retryAfter === null ? 0 : 1,
      emergencyAt: w.emergencyAt,
      rolledBack: w.rolledBack,
    })
    return facts(
      {
        slots: [w.isReadable ? a : { ...a, leaf: null, certificatePem: null }, slot('b', validity)],
        bound: w.bound as string | null,
        inventory: offered(w.inventory.kind, w.inventory, w.inventory.serial),
        served: w.served.map(print => (print === null ? null : leaf(print, validity))),
        document,
        certificate: certificateDocument({
          notBefore: w.notBefore === null ? null : { at: w.notBefore, why: 'too many' },
          pending: w.pendingCertificate && pendingCertificate(w.pendingCertificate),
        }),
        renewalInfo: w.window && suggested(w.window),
        at: w.now,
      },
      {
        spec: { ...spec, renewBefore: w.renewBefore },
        specHash: w.specHash,
        intervalMs: w.intervalMs,
        event: { ...rotateAll, force: w.force },
      },
    )
  })

test('it never throws, always gives a reason of the vocabulary, and says the same again', () => {
  fc.assert(
    fc.property(anything, given => {
      const verdict = decide(given)
      expect(Object.keys(verdict.due ? DUE_REASONS : IDLE_REASONS)).toContain(verdict.reason)
      expect(verdict.detail).not.toBe('')
      expect(verdict.due).toBe(verdict.plan !== 'none')
      expect(decide(structuredClone(given))).toEqual(verdict)
    }),
    { numRuns: 1_000 },
  )
})

test('a next check lies ahead; what is due waits for none', () => {
  fc.assert(
    fc.property(anything, given => {
      const { due, nextCheckAt } = decide(given)
      if (!due && nextCheckAt !== null) expect(nextCheckAt).toBeGreaterThanOrEqual(given.now)
      if (due) expect(nextCheckAt).toBeNull()
    }),
    { numRuns: 1_000 },
  )
})

test('an expired certificate is never called fresh', () => {
  fc.assert(
    fc.property(anything, given => {
      const bound = given.inspection.bound?.slot
      fc.pre(bound !== null && bound !== undefined)
      const ends = bound.leaf?.notAfter ?? bound.expiryDate
      fc.pre(ends <= given.now)
      expect(decide(given).reason).not.toBe('fresh')
    }),
    { numRuns: 500 },
  )
})
