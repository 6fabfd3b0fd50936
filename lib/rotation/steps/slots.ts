import { isPast } from '../../base/lifetime.ts'
import { RotationError } from '../../base/rotation-error.ts'
import { DAY_MS, HOUR_MS, iso, MINUTE_MS } from '../../base/time.ts'
import type { Slot } from '../../model/certificate.ts'
import type { Target } from '../../model/target.ts'
import type { TargetDocument } from '../../state/documents.ts'
import { covers } from '../../x509/certificate.ts'
import type { RotationSetup } from '../context.ts'
import type { Decided } from '../decide/decision.ts'
import type { Inspection } from '../observe/inspection.ts'
import { Suspension } from '../trace.ts'

/** IoTDA's quota of server certificates. */
const SLOTS = 2

/** Somebody may be staging a certificate that is newer than the bound one: it is left alone this long. */
const FOREIGN_WAIT_MS = DAY_MS
/** The certificate we replaced is the rollback copy: nothing is deleted this long after a bind. */
const AFTER_BIND_WAIT_MS = HOUR_MS
const SERVED_WAIT_MS = 30 * MINUTE_MS

/** Whether there is room for one more certificate, and if not, which one would go. */
export type Room =
  | { readonly kind: 'present'; readonly slot: Slot }
  | { readonly kind: 'room' }
  | { readonly kind: 'delete'; readonly slot: Slot; readonly why: string }
  /** `until` null: waiting does not help. */
  | { readonly kind: 'blocked'; readonly until: number | null; readonly why: string }

type Blocked = Extract<Room, { kind: 'blocked' }>
type MayDelete = Extract<Room, { kind: 'delete' }> | Blocked

/** The delete guard's question: for which target, and with what licence. */
export interface RoomRequest {
  readonly target: Target
  readonly document: TargetDocument
  /** The leaf that wants in; null while it is not obtained yet. */
  readonly fingerprint: string | null
  /** A person's force, or the emergency: somebody else's newer certificate may go. */
  readonly pressing: boolean
}

/** Finds room for a certificate: already there, a free slot, or the one certificate that may be deleted. Pure. */
export function findRoom(inspection: Inspection, request: RoomRequest): Room {
  const { slots } = inspection
  const present = slots.find(s => s.leaf && s.leaf.fingerprint === request.fingerprint)
  if (present) return { kind: 'present', slot: present }
  if (slots.length < SLOTS) return { kind: 'room' }
  const unreadable = bindingUnreadable(inspection)
  if (unreadable) return { kind: 'blocked', until: null, why: unreadable }

  const unbound = slots.filter(s => s.serverCertificateId !== inspection.bound?.serverCertificateId)
  const ranked = inspection.bound ? unbound : ranking(unbound, inspection.at, request)
  const answers = ranked.map(slot => mayDelete(slot, inspection, request))
  const allowed = answers.find(a => a.kind === 'delete')
  if (allowed) return allowed
  const blocked = answers.filter((a): a is Blocked => a.kind === 'blocked')
  const waits = blocked.flatMap(a => (a.until === null ? [] : [a.until]))
  return {
    kind: 'blocked',
    until: waits.length > 0 ? Math.min(...waits) : null,
    why: blocked.map(a => a.why).join('; ') || 'neither slot is known to be dispensable',
  }
}

function bindingUnreadable({ configuration, bound }: Inspection): string | null {
  if (!configuration || !bound) return null
  return bound.slot ? null : `the binding names certificate ${bound.serverCertificateId}, which is in no slot`
}

/** Without a binding: the expired, then ours, then the oldest with our domain's name; others are nobody's to delete. */
function ranking(slots: readonly Slot[], at: number, { document, target }: RoomRequest): readonly Slot[] {
  const rank = (slot: Slot): number => {
    if (slot.expiryDate <= at) return 0
    if (document.added.includes(slot.serverCertificateId)) return 1
    return slot.leaf && covers(slot.leaf.names, target.domain) ? 2 : 3
  }
  return slots
    .filter(slot => rank(slot) < 3)
    .toSorted((a, b) => rank(a) - rank(b) || a.effectiveDate - b.effectiveDate)
}

/** The delete guard for one unbound certificate. */
function mayDelete(slot: Slot, inspection: Inspection, request: RoomRequest): MayDelete {
  const { document, target } = request
  const id = slot.serverCertificateId
  const stays = (why: string, until: number | null = null): Blocked => ({
    kind: 'blocked',
    until,
    why: `${id} ${why}`,
  })
  const allowed = (why: string): MayDelete => ({ kind: 'delete', slot, why })

  if (target.slots.delete === 'never') return stays('is kept: slots.delete is "never"')
  if (id === document.current?.serverCertificateId) return stays('is the current certificate')
  if (id === document.pending?.serverCertificateId) return stays('is the pending certificate')
  if (slot.certificatePem === null) return stays('cannot be read yet', inspection.at + SERVED_WAIT_MS)
  if (isServed(slot, inspection))
    return stays('is still served on the device port', inspection.at + SERVED_WAIT_MS)
  const { lastBoundAt } = document
  const quietAt =
    lastBoundAt !== null && isPast(lastBoundAt, inspection.at) ? lastBoundAt + AFTER_BIND_WAIT_MS : 0
  if (inspection.at < quietAt)
    return stays(`stays until ${iso(quietAt)}: a bind was less than an hour ago`, quietAt)

  const ours = document.added.includes(id)
  if (target.slots.delete === 'managed' && !ours) return stays('is not ours, and slots.delete is "managed"')
  if (slot.expiryDate <= inspection.at) return allowed(`expired at ${iso(slot.expiryDate)}`)
  if (ours) return allowed('ours, and no longer bound')
  return mayDeleteForeign(slot, inspection, request, allowed, stays)
}

/** The leaf may be served although IoTDA calls it unbound: a change travels to the nodes. */
function isServed(slot: Slot, { served }: Inspection): boolean {
  return slot.leaf !== null && served.some(s => s.leaf?.fingerprint === slot.leaf?.fingerprint)
}

function mayDeleteForeign(
  slot: Slot,
  { bound, at }: Inspection,
  { document, pressing }: RoomRequest,
  allowed: (why: string) => MayDelete,
  stays: (why: string, until: number) => MayDelete,
): MayDelete {
  if (!bound?.slot) return allowed('no domain configuration uses it, and it bears our domain')
  if (slot.effectiveDate < bound.slot.effectiveDate)
    return allowed('superseded: older than the bound certificate')
  const waitUntil = (document.seen[slot.serverCertificateId] ?? at) + FOREIGN_WAIT_MS
  if (pressing)
    return allowed('newer than the bound certificate and not ours, deleted by force or in the emergency')
  if (at >= waitUntil) return allowed('newer than the bound certificate and not ours, unbound for a day')
  return stays(
    `is newer than the bound certificate and not ours; somebody may be staging it until ${iso(waitUntil)}`,
    waitUntil,
  )
}

/** The same, for what was decided. */
export const roomFor = (
  { target, event }: Pick<RotationSetup, 'target' | 'event'>,
  { inspection, decision }: Pick<Decided, 'inspection' | 'decision'>,
  document: TargetDocument,
  fingerprint: string | null,
): Room =>
  findRoom(inspection, { target, document, fingerprint, pressing: event.force || decision.emergency })

/** Both slots are used and neither may go: wait where waiting helps, else a person is needed. */
export function noRoom({ until, why }: Blocked): Suspension | RotationError {
  if (until !== null) return new Suspension(until, `both slots are used: ${why}`)
  return new RotationError('slots-full', `both slots are used: ${why}`, {
    hint: 'Delete one unbound server certificate in the console, or change slots.delete.',
  })
}
