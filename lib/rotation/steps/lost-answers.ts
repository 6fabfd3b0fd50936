import { RotationError } from '../../base/rotation-error.ts'
import { MINUTE_MS, SECOND_MS } from '../../base/time.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { leafOf, parseChain } from '../../x509/certificate.ts'
import type { Job, World } from '../world.ts'

/** What to make of a change whose answer did not come: ask the world. Reads only. */

const READ_AGAIN_MS = 5 * SECOND_MS
const SETTLE_MS = MINUTE_MS

/** Whether a call may have taken effect although it failed. */
export const isLost = (error: unknown): boolean =>
  error instanceof RotationError && error.code === 'unavailable'

/** Whether the state cannot be read or written at all; another writer's word is not that. */
export const isStoreDown = (error: unknown): error is RotationError =>
  error instanceof RotationError && STORE_DOWN.includes(error.code)
const STORE_DOWN: readonly ErrorCode[] = [
  'unavailable',
  'unreachable',
  'throttled',
  'forbidden',
  'store-unreadable',
]

/** A refusal right after our own delete may be the platform still counting the deleted one. */
export const isAmbiguous = (error: unknown, job: Job): boolean =>
  isLost(error) || (job.deletedJustNow && error instanceof RotationError && error.code === 'service-refused')

/** Asks every 5 s for up to a minute until the answer is good; returns the last answer. */
export async function settle<T>(
  { run }: Pick<World, 'run'>,
  ask: () => Promise<T>,
  good: (answer: T) => boolean,
): Promise<T> {
  const until = Math.min(run.clock.now() + SETTLE_MS, run.deadline)
  for (;;) {
    const answer = await ask()
    if (good(answer) || run.clock.now() + READ_AGAIN_MS > until) return answer
    await run.clock.sleep(READ_AGAIN_MS, run.signal)
  }
}

/** The id under which this very leaf is uploaded; `unknown` when a slot could not be read. */
export async function findUploaded({ iotda, run }: World, leaf: Leaf): Promise<string | 'unknown' | null> {
  const listed = await iotda.listServerCertificates(run.signal)
  const shown = await Promise.all(
    listed.map(c => iotda.showServerCertificate(c.serverCertificateId, run.signal)),
  )
  const found = shown.find(c => c && fingerprintOf(c.certificatePem) === leaf.fingerprint)
  if (found) return found.serverCertificateId
  return shown.includes(null) ? 'unknown' : null
}

function fingerprintOf(pem: string): string | null {
  try {
    const [leaf] = parseChain(pem)
    return leaf ? leafOf(leaf).fingerprint : null
  } catch {
    return null
  }
}

/** Sees that an upload is what it should be. @throws RotationError `unavailable` */
export async function confirmUploaded(world: World, id: string, leaf: Leaf): Promise<void> {
  const { iotda, run } = world
  const shown = await settle(
    world,
    () => iotda.showServerCertificate(id, run.signal),
    c => c !== null,
  )
  if (shown && fingerprintOf(shown.certificatePem) === leaf.fingerprint) return
  throw new RotationError(
    'unavailable',
    `iotda ShowServerCertificate does not show what was uploaded as ${id}`,
  )
}
