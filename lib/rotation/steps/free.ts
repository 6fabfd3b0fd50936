import type { Lease } from '../../state/lease.ts'
import { type Context, changed, targetDocument } from '../context.ts'
import { look } from '../observe/inspect.ts'
import { readConfiguration } from '../observe/read-back.ts'
import type { Cleared } from '../rings/await-turn.ts'
import { done, type StepResult, skipped } from '../trace.ts'
import { noRoom, roomFor } from './slots.ts'

/** What may be uploaded, since there is room for it. */
export interface Placed extends Cleared {
  readonly room: 'present' | 'free' | 'freed'
}

/** Frees a slot when both are used: one certificate that is not bound, by the delete guard. */
export async function free(context: Context, lease: Lease, cleared: Cleared): Promise<StepResult<Placed>> {
  const { iotda, run, trace } = context
  const { inspection, decision, material } = cleared
  const served = [...inspection.served, ...(await look(context))]
  const document = await targetDocument(context).get()
  const seen = { inspection: { ...inspection, served }, decision }
  const room = roomFor(context, seen, document, material.leaf.fingerprint)
  if (room.kind === 'present')
    return skipped({ ...cleared, room: 'present' }, 'the certificate is in a slot already')
  if (room.kind === 'room') return skipped({ ...cleared, room: 'free' }, 'a slot is free')
  if (room.kind === 'blocked') throw noRoom(room)

  const id = room.slot.serverCertificateId
  await lease.guard()
  const configuration = await readConfiguration(context, inspection)
  if (configuration?.serverCertificateId === id) throw changed(`certificate ${id} was bound meanwhile`)
  try {
    await iotda.deleteServerCertificate(id, run.signal)
  } catch (error) {
    // A lost answer or a refusal: gone is gone.
    const left = await iotda.listServerCertificates(run.signal)
    if (left.some(c => c.serverCertificateId === id)) throw error
  }
  trace.add('deletions', { serverCertificateId: id, why: room.why })
  await targetDocument(context).update(d => ({ ...d, added: d.added.filter(a => a !== id) }))
  return done({ ...cleared, room: 'freed' }, `deleted ${id}: ${room.why}`, 'DeleteServerCertificate')
}
