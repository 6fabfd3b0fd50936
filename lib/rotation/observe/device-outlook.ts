import { iso } from '../../base/time.ts'
import { calendar } from '../../devices/calendar.ts'
import type { DeviceOutlook } from '../../model/device-profile.ts'
import { type Context, certificateDocument, isShown } from '../context.ts'
import { logFailure, warn } from '../trace.ts'
import type { Inspection } from './inspection.ts'

/**
 * Warns of roots and cross-signs that end soon, and of chains that the CA may come to prefer; has devices judge what
 * they are given where somebody looks. Never throws.
 */
export async function deviceOutlook(context: Context, inspection: Inspection): Promise<DeviceOutlook | null> {
  const { target, run } = context
  const chainPem = inspection.bound?.slot?.certificatePem ?? null
  try {
    const entries = calendar({ target, chainPem, at: run.clock.now() })
    for (const { message } of entries) warn(context, 'root-ends', message)
    const { otherChains } = await certificateDocument(context).get()
    for (const message of otherChains) warn(context, 'other-chains', message)
    if (!isShown(context)) return null
    const ends = entries.map(({ at, message }) => ({ at: iso(at), what: message }))
    const { judgements } = await import('./judgements.ts')
    return { verdicts: await judgements(context, inspection), ends }
  } catch (error) {
    // Roots that cannot be read are refused where they are needed.
    logFailure(context, error, 'the roots could not be looked at')
    return null
  }
}
