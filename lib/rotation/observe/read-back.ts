import { isDeepStrictEqual } from 'node:util'
import { RotationError } from '../../base/rotation-error.ts'
import { MINUTE_MS, SECOND_MS } from '../../base/time.ts'
import type { DomainConfiguration } from '../../iotda/client.ts'
import { changed, type RotationSetup } from '../context.ts'
import type { Inspection } from './inspection.ts'

const READ_AGAIN_MS = 5 * SECOND_MS
const WITHIN_MS = MINUTE_MS

/** Whether a call may have taken effect although it failed: its answer did not come. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof RotationError && error.code === 'unavailable'

/** Asks every 5 s for up to a minute until the answer is good; returns the last answer. Reads only. */
export async function readBack<T>(
  { run }: Pick<RotationSetup, 'run'>,
  ask: () => Promise<T>,
  good: (answer: T) => boolean,
): Promise<T> {
  const until = Math.min(run.clock.now() + WITHIN_MS, run.deadline)
  for (;;) {
    const answer = await ask()
    if (good(answer) || run.clock.now() + READ_AGAIN_MS > until) return answer
    await run.clock.sleep(READ_AGAIN_MS, run.signal)
  }
}

/** The configuration as it is now; it must still be what this run decided on. */
export async function readConfiguration(
  { iotda, run }: Pick<RotationSetup, 'iotda' | 'run'>,
  { configuration: decided, bound }: Inspection,
): Promise<DomainConfiguration | null> {
  if (!decided) {
    const [other] = await iotda.listDomainConfigurations(run.signal)
    if (other) throw changed(`a domain configuration for ${other.domainName} has appeared`)
    return null
  }
  const now = await iotda.showDomainConfiguration(decided.configurationId, run.signal)
  if (now.serverCertificateId !== (bound?.serverCertificateId ?? null))
    throw changed(`${now.serverCertificateId} was bound meanwhile`)
  if (!isDeepStrictEqual(now.serverCertificateConfig, decided.serverCertificateConfig))
    throw changed('the OCSP settings of the domain configuration were changed')
  return now
}
