import { emergencyMs } from '../../base/lifetime.ts'
import { asRotationError } from '../../base/rotation-error.ts'
import { HOUR_MS, iso, SECOND_MS } from '../../base/time.ts'
import { counted, usualAt } from '../../state/device-counts.ts'
import type { TargetDocument } from '../../state/documents.ts'
import { type Context, isOnlyAsked, targetDocument } from '../context.ts'
import { validityOf } from '../decide/renewal-window.ts'
import type { Inspection } from '../observe/inspection.ts'
import { freeze, kindInSlot } from '../rings/await-turn.ts'
import { logFailure, warn } from '../trace.ts'
import { type Comparison, compare } from './compare.ts'

/** How often devices are counted while nothing is watched. */
const EVERY_MS = HOUR_MS - 5 * 60 * SECOND_MS
/** Two counts while one bind is watched: nearer to each other they would say one thing twice. */
const APART_MS = 5 * 60 * SECOND_MS
/** How long a run waits for its turn at a service that takes one count a second. */
const TURN_MS = 30 * SECOND_MS
/** So many counts in a row below the tolerance, before the old certificate is put back. */
const FEWER_AT_MOST = 2

type Watch = NonNullable<TargetDocument['watch']>

/**
 * Did devices come back? Counts those online, from idle runs once an hour, after a bind at every run until the watch
 * ends. Too few twice in a row: what is to be undone is written down, and decided on like any rollback. Whatever
 * cannot be known is a warning, and never a rollback. Returns the target's document as it is then.
 */
export async function watchDevices(
  context: Context,
  inspection: Inspection,
  document: TargetDocument,
): Promise<TargetDocument> {
  const { target, run, records } = context
  if (target.devices === null || isOnlyAsked(context)) return document
  const counts = records.deviceCounts(target)
  const now = run.clock.now()
  const watch = document.watch && document.watch.until > now ? document.watch : null
  const before = await counts.get()
  const last = before.samples.at(-1)?.[0] ?? 0
  if (now - last < (watch === null ? EVERY_MS : APART_MS)) return document
  const count = await countNow(context)
  if (count === null) return document
  const comparison = watch && compare(before, target.devices, { at: now, count, boundAt: watch.since })
  const usual = comparison?.usual ?? usualAt(before, now)
  // What a new certificate did to devices must not become what is usual.
  const isUsual = comparison === null || comparison.kind === 'back'
  await counts.update(d => ({
    ...counted(d, { at: now, count, usual, isUsual }),
    boundAt: watch?.since ?? d.boundAt,
  }))
  context.trace.add('counts', { at: now, count, usual, verdict: comparison?.kind ?? null })
  return comparison && watch ? conclude(context, inspection, document, watch, comparison) : document
}

/** Null: it could not be counted, which is said. */
async function countNow(context: Context): Promise<number | null> {
  const { target, iotda, run, countPace } = context
  let sentAt = run.clock.now()
  try {
    if (!(await countPace.take(TURN_MS, run.signal))) {
      warn(context, 'devices-unknown', 'devices were not counted: one count a second is taken, and many wait')
      return null
    }
    sentAt = run.clock.now()
    return await iotda.countDevicesOnline(target.devices?.where ?? null, run.signal)
  } catch (error) {
    const { code, message } = asRotationError(error)
    if (code === 'throttled') countPace.slowDown(sentAt)
    warn(context, 'devices-unknown', `devices could not be counted: ${message}`)
    return null
  }
}

async function conclude(
  context: Context,
  inspection: Inspection,
  document: TargetDocument,
  watch: Watch,
  comparison: Comparison,
): Promise<TargetDocument> {
  if (comparison.kind === 'unknown') warn(context, 'devices-unknown', comparison.why)
  // What is not known is no sign that they came.
  const kept = comparison.kind === 'unknown' ? watch.fewer : 0
  const fewer = comparison.kind === 'fewer' ? watch.fewer + 1 : kept
  if (comparison.kind === 'fewer') warn(context, 'devices-fewer', `${comparison.why} (${fewer} in a row)`)
  const isOver = comparison.kind === 'fewer' && fewer >= FEWER_AT_MOST
  const obstacle = isOver ? noWayBack(context, inspection, watch) : null
  const why = `devices did not come back: ${comparison.why}, ${fewer} times in a row`
  if (isOver && obstacle !== null) {
    warn(context, 'devices-missing', `${comparison.why}; ${obstacle}`)
    await stopHere(context, inspection, watch, why)
  }
  if (fewer === watch.fewer && !isOver) return document
  return targetDocument(context)
    .update(d => {
      if (!d.watch || d.watch.since !== watch.since || d.pending !== null) return d
      if (!isOver || obstacle !== null) return { ...d, watch: { ...d.watch, fewer } }
      return { ...d, watch: { ...d.watch, fewer }, pending: { ...watch.binding, failedWhy: why } }
    })
    .catch(error => {
      logFailure(context, error, 'what the devices showed could not be written down')
      return document
    })
}

/** What cannot be undone here is not to happen elsewhere; a rollback stops its kind itself. */
async function stopHere(
  context: Context,
  inspection: Inspection,
  { binding, isUndone }: Watch,
  why: string,
): Promise<void> {
  const { serverCertificateId, kind } = binding
  if (isUndone || inspection.bound?.serverCertificateId !== serverCertificateId) return
  const watched = kind ?? kindInSlot(context, inspection, serverCertificateId)
  if (watched) await freeze(context, watched, why)
}

/** Why the old certificate is not put back; null: it can be (rule 7). */
function noWayBack(context: Context, { bound, slots }: Inspection, watch: Watch): string | null {
  const { binding, isUndone } = watch
  if (isUndone)
    return 'they stay away with the old certificate, too: the cause is elsewhere (network, platform, the plant itself)'
  if (bound?.serverCertificateId !== binding.serverCertificateId)
    return 'another certificate is bound meanwhile'
  const replaced = binding.replaces
  if (!replaced || replaced === 'first') return 'there is nothing to put back'
  const predecessor = slots.find(s => s.serverCertificateId === replaced.serverCertificateId)
  if (!predecessor) return 'the previous certificate is gone'
  const validity = validityOf(predecessor)
  const left = validity.notAfter - context.run.clock.now()
  return left > emergencyMs(validity) ? null : `the previous certificate ends at ${iso(validity.notAfter)}`
}

/** What is watched from now on: the bind, and how it is undone. Null where nothing can be undone, or is watched. */
export function watchFrom(
  { target }: Pick<Context, 'target'>,
  { current, previous, pending }: TargetDocument,
): Watch | null {
  if (!target.devices || !pending?.boundAt || !pending.replaces || pending.replaces === 'first') return null
  const { boundAt } = pending
  return {
    since: boundAt,
    until: boundAt + target.devices.watchMs,
    fewer: 0,
    isUndone: false,
    binding: pending,
    before: { current, previous },
  }
}
