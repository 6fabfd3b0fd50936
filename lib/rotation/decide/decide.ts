import { emergencyMs, isPast, longestWaitMs } from '../../base/lifetime.ts'
import { DAY_MS, formatDuration, HOUR_MS, iso } from '../../base/time.ts'
import type { CertificateSpec, Slot } from '../../model/certificate.ts'
import type { DueReason, IdleReason, RunEvent } from '../../model/outcomes.ts'
import type { CertificateDocument, TargetDocument } from '../../state/documents.ts'
import { type Inspection, revokedBound, wasRevoked } from '../observe/inspection.ts'
import { isAnother, isNewer } from '../observe/source-inventory.ts'
import { chooseSource } from './choose-source.ts'
import type { Decision, DueToDeploy, DueToRepair, DueToRollBack, DueToVerify, Idle } from './decision.ts'
import { lifetimeIn, renewalOf, validityOf } from './renewal-window.ts'

/** All that a decision depends on. */
export interface Facts {
  readonly now: number
  readonly intervalMs: number
  readonly spec: CertificateSpec
  readonly specHash: string
  readonly event: RunEvent
  readonly inspection: Inspection
  /** The target's document after it was reconciled with the world. */
  readonly document: TargetDocument
  /** Why a later ring waits for this target to serve a kind that it has not got; null: nobody waits. */
  readonly awaited: string | null
  /** How much earlier than otherwise the certificate is renewed, so that later rings are not late. */
  readonly leadMs: number
}

/**
 * Due, or idle; always with a reason. Layered: what an earlier run left open, then whether a certificate is
 * wanted, then what may stand in the way, in the order of precedence. Pure.
 */
export function decide(facts: Facts): Decision {
  const emergency = isEmergency(facts)
  const open = leftOpen(facts)
  if (!open) return anew(facts, emergency)
  const next = outlived(facts, emergency) ? anew(facts, emergency) : open
  return next.due ? next : open
}

function anew(facts: Facts, emergency: boolean): Decision {
  const wanted = wantedBecause(facts, emergency)
  if (!wanted) return drifted(facts) ?? heldNow(facts) ?? fresh(facts)
  return inTheWay(facts, wanted, emergency) ?? { ...wanted, plan: 'deploy', emergency }
}

type Wanted = Omit<DueToDeploy, 'plan' | 'emergency'>

const due = (reason: DueReason, detail: string): Wanted => ({ due: true, reason, detail, nextCheckAt: null })
const idle = (reason: IdleReason, detail: string, nextCheckAt: number | null): Idle => ({
  due: false,
  reason,
  detail,
  nextCheckAt,
  plan: 'none',
  emergency: false,
})

/** A bind without a verdict, or a rollback that was not finished, comes before anything else. */
function leftOpen({ document, inspection }: Facts): DueToVerify | DueToRollBack | null {
  const { pending: binding } = document
  if (!binding) return null
  const { serverCertificateId, boundAt, failedWhy: why } = binding
  if (why) {
    const wanted = due('resume', `the old certificate is to be put back: ${why}`)
    return { ...wanted, plan: 'roll-back', emergency: false, binding, why }
  }
  if (boundAt === null && inspection.bound?.serverCertificateId !== serverCertificateId) return null
  const wanted = due('resume', 'a certificate was bound, and whether it is served is not yet known')
  return { ...wanted, plan: 'verify', emergency: false, binding }
}

/** A bind that never gets its verdict must not keep the certificate from being renewed. */
function outlived({ document: { pending }, event, now }: Facts, emergency: boolean): boolean {
  if (!pending || pending.failedWhy !== null) return false
  return emergency || (event.force && pending.boundAt !== null && now - pending.boundAt >= HOUR_MS)
}

function isEmergency({ inspection, now }: Facts): boolean {
  const slot = inspection.bound?.slot
  if (!slot) return false
  const validity = validityOf(slot)
  return validity.notAfter - now <= emergencyMs(validity)
}

function wantedBecause(facts: Facts, emergency: boolean): Wanted | null {
  const { inspection, document, specHash, event, now } = facts
  const slot = inspection.bound?.slot
  if (!inspection.bound) return due('no-certificate', 'no certificate is bound to the domain')
  if (!slot)
    return due(
      'no-certificate',
      `the binding names ${inspection.bound.serverCertificateId}, which is not there`,
    )
  const ends = validityOf(slot).notAfter
  if (ends <= now) return due('expired', `the bound certificate expired ${formatDuration(now - ends)} ago`)
  if (emergency) return due('emergency', `the bound certificate ends in ${formatDuration(ends - now)}`)
  const revoked = revokedBound(inspection)
  if (revoked) return due('revoked', revoked)
  if (event.force) return due('forced', 'a person asked for it')
  if (slot.leaf && document.rolledBack.includes(slot.leaf.fingerprint))
    return due('resume', 'the bound certificate was found unusable, and there is nothing to go back to')
  if (document.current && document.current.specHash !== specHash && canChange(facts, slot)) {
    return due('settings-changed', 'the settings ask for another certificate than was obtained')
  }
  const newer = newerInInventory(facts, slot)
  if (newer) return newer
  const renewal = renewalOfFacts(facts, slot)
  if (renewal.due) return due(renewal.reason, renewal.detail)
  return waitingToBeDeployed(facts, slot) ?? aheadOfTime(facts)
}

/** A source that makes nothing to order cannot follow the settings: all it can do is hold another one. */
function canChange({ inspection: { inventory } }: Facts, { leaf }: Slot): boolean {
  return inventory === null || (inventory.holds !== null && isAnother(inventory.holds, leaf))
}

/** The source holds a newer certificate, and no person has bound another one in its place. */
function newerInInventory({ inspection, document, now }: Facts, slot: Slot): Wanted | null {
  const holds = inspection.inventory?.holds
  if (!holds || holds.serial === document.passedOver || holds.notAfter <= now) return null
  if (!isAnother(holds, slot.leaf) || !isNewer(holds, validityOf(slot))) return null
  return due('source-renewed', `the source holds a newer one, valid until ${iso(holds.notAfter)}`)
}

const aheadOfTime = ({ awaited }: Facts): Wanted | null =>
  awaited === null ? null : due('renewal-window', awaited)

/** A certificate (or order) that an earlier run began and this target has not got. */
function waitingToBeDeployed({ inspection, document, specHash }: Facts, slot: Slot): Wanted | null {
  const { pending } = inspection.documents.certificate
  if (!pending || pending.specHash !== specHash || pending.id === document.declined) return null
  if (pending.fingerprint === null) return due('resume', 'an order is in progress')
  if (pending.fingerprint === slot.leaf?.fingerprint || document.rolledBack.includes(pending.fingerprint))
    return null
  if (wasRevoked(inspection.documents.certificate, pending.fingerprint)) return null
  return due('resume', 'a certificate was obtained and is not deployed yet')
}

/** What stands in the way of a wanted certificate, strongest first: the CA, held, back-off. */
function inTheWay(facts: Facts, wanted: Wanted, emergency: boolean): Idle | null {
  const { document, inspection, event, now, specHash } = facts
  const { pending } = inspection.documents.certificate
  const choice = chooseSource(facts.spec, inspection.documents.certificate, {
    now,
    emergency,
    longestWaitMs: longestWaitMs(lifetimeIn(inspection), emergency),
  })
  if (choice.kind === 'wait' && !obtained(pending, document, specHash)) {
    return idle('paused', `no order before ${iso(choice.until)}: ${choice.why}`, choice.until)
  }
  const pressing = event.force || emergency || wanted.reason === 'expired'
  const held = heldNow(facts)
  if (held && !event.force && !emergencyBreaksHold(document, pressing, now)) return held
  const isAccepted = event.accept !== null && event.accept === pending?.fingerprint
  return pressing || isAccepted ? null : (devicesAway(facts) ?? backingOff(facts))
}

/** Said although nothing is wanted, too: a person should not forget it. */
function heldNow({ document: { held }, specHash }: Facts): Idle | null {
  if (held?.specHash !== specHash) return null
  return idle('held', `${held.why} (since ${iso(held.since)})`, null)
}

/** Settings allow no longer watch: whoever wrote that meant harm, or had a wrong clock. */
const WATCH_AT_MOST_MS = 14 * DAY_MS

/** Devices stay away with the old certificate, too: another one would only hide why. */
function devicesAway({ document: { watch }, now }: Facts): Idle | null {
  if (!watch?.isUndone || watch.fewer === 0 || watch.until <= now) return null
  if (watch.until - now > WATCH_AT_MOST_MS) return null
  const why = 'devices stay away although the old certificate is bound again: the cause is elsewhere'
  return idle('backing-off', `${why}; the next try is at ${iso(watch.until)} at the latest`, watch.until)
}

function backingOff({ document: { failures, retryAfter }, inspection, now }: Facts): Idle | null {
  if (retryAfter === null || now >= retryAfter) return null
  // No failure is waited out for so long: whoever wrote that meant harm, or had a wrong clock.
  if (retryAfter - now > longestWaitMs(lifetimeIn(inspection), false)) return null
  const after = failures === 1 ? 'a failure' : `${failures} failures`
  return idle('backing-off', `after ${after} the next try is at ${iso(retryAfter)}`, retryAfter)
}

const obtained = (
  pending: CertificateDocument['pending'],
  document: TargetDocument,
  specHash: string,
): boolean =>
  pending?.fingerprint !== null &&
  pending?.specHash === specHash &&
  !document.rolledBack.includes(pending.fingerprint)

/** The emergency leaves `held` once a day. */
function emergencyBreaksHold(document: TargetDocument, pressing: boolean, now: number): boolean {
  const { emergencyAt: at } = document
  return pressing && (at === null || !isPast(at, now) || now - at >= DAY_MS)
}

/** The port serves another certificate than the bound one: the binding is sent again, once a run. */
function drifted(facts: Facts): DueToRepair | Idle | null {
  const { bound, served } = facts.inspection
  const leaf = bound?.slot?.leaf
  if (!leaf || facts.document.held) return null
  const other = served.find(s => s.leaf && s.leaf.fingerprint !== leaf.fingerprint)
  if (!other) return null
  const waits = backingOff(facts)
  if (waits) return waits
  const detail = `${other.address} serves ${other.leaf?.subject ?? 'another certificate'} instead of what is bound`
  return { ...due('resume', detail), plan: 'repair', emergency: false, leaf }
}

const renewalOfFacts = ({ spec, inspection, now, intervalMs, leadMs }: Facts, slot: Slot) =>
  renewalOf({ inspection, renewBefore: spec.renewBefore, now, intervalMs, leadMs }, slot)

function fresh(facts: Facts): Idle {
  const slot = facts.inspection.bound?.slot
  if (!slot) return idle('fresh', 'nothing is wanted', null)
  const { at, detail } = renewalOfFacts(facts, slot)
  const validity = validityOf(slot)
  return idle('fresh', detail, Math.min(at, validity.notAfter - emergencyMs(validity)))
}
