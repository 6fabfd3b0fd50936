import { createShared } from '../../base/parallel.ts'
import type { RenewalInfo, Slot } from '../../model/certificate.ts'
import type { Action } from '../../model/outcomes.ts'
import type { CertificateDocument } from '../../state/documents.ts'
import { type Context, certificateDocument, sourceNamed } from '../context.ts'
import { logFailure } from '../trace.ts'

/** Targets that share a certificate ask once. */
const shared = createShared()

/** Who decides by it; whatever else a person asks for does without. */
const DECIDING: readonly Action[] = ['rotate', 'plan', 'status']

/** The kept answer of the CA while it is fresh, else a new one; a CA that does not answer changes nothing. */
export async function renewalInfo(
  context: Context,
  { renewalInfo: known, current, pending }: CertificateDocument,
  bound: Slot | null,
): Promise<RenewalInfo | null> {
  const { spec, run, event } = context
  const now = run.clock.now()
  const leaf = bound?.leaf
  // By the CA that issued it, as far as that is known.
  const source = sourceNamed(
    context,
    [current, pending].find(c => c?.fingerprint === leaf?.fingerprint)?.source,
  )
  if (!spec.ari || !source.renewalInfo || !bound?.certificatePem || !leaf || leaf.notAfter <= now) return null
  const usable = known?.fingerprint === leaf.fingerprint ? known : null
  if (!DECIDING.includes(event.action) || (usable && now < usable.nextFetchAt)) return usable
  try {
    const { certificatePem } = bound
    const ask = async () => (await source.renewalInfo?.(certificatePem, leaf, run)) ?? null
    const fetched = await shared(run, leaf.fingerprint, ask)
    // A failed fetch does not forget a window that was good.
    const info =
      fetched && !fetched.window && usable?.window
        ? { ...fetched, window: usable.window, explanationUrl: usable.explanationUrl }
        : fetched
    if (info && event.action === 'rotate') {
      await certificateDocument(context).update(document => ({ ...document, renewalInfo: info }))
    }
    return info
  } catch (error) {
    logFailure(context, error, 'renewal info was not to be had')
    return usable
  }
}
