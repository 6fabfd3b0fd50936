import type { Route53Client } from '@aws-sdk/client-route-53'
import { RotationError } from '../../base/rotation-error.ts'
import { stopped } from '../../base/stopped.ts'
import { SECOND_MS } from '../../base/time.ts'
import { type SdkTerms, sdkError } from '../../clouds/aws/sdk.ts'
import type { Run } from '../../contracts.ts'
import { HttpFailure } from '../../http/http.ts'
import { repeated } from '../../http/repeat.ts'
import { CHECK_ENDPOINT, unanswered, unsure } from '../../http/service.ts'

const BUSY_ATTEMPTS = 6
const MAX_BUSY_MS = 16 * SECOND_MS

type Sdk = typeof import('@aws-sdk/client-route-53')

/** Another writer came between reading and writing. */
const CONFLICT = /Tried to (create|delete) .*(already exists|not found|do not match)/s

const TERMS: SdkTerms = {
  codes: { PriorRequestNotComplete: 'throttled', NoSuchHostedZone: 'solver-zone-missing' },
  hints: {
    unauthorized: 'Check accessKeyId, secretAccessKey and sessionToken, and the clock of this machine.',
    forbidden:
      'Grant route53:ListHostedZonesByName and route53:GetChange, and for the zone route53:ListResourceRecordSets and ' +
      'route53:ChangeResourceRecordSets.',
    'solver-zone-missing': 'Check hostedZoneId, and that the keys belong to the account of the zone.',
    'service-refused':
      'A name holds at most 400 values and allows no TXT record beside a CNAME; a zone has a quota of records.',
  },
  isPassing: (_, message) => CONFLICT.test(message),
  checkEndpoint: CHECK_ENDPOINT,
}

const asError = (call: string, thrown: unknown, secrets: readonly string[], run: Run): RotationError => {
  if (run.signal.aborted) return stopped(run, call)
  if (thrown instanceof RotationError) return thrown
  if (thrown instanceof HttpFailure) return unanswered(call, thrown, CHECK_ENDPOINT)
  return sdkError(thrown, { call, secrets, now: run.clock.now() }, TERMS)
}

/** What the calls of one solver share. */
export interface Route53 {
  readonly driver: string
  readonly secrets: readonly string[]
  /** Loaded and built with the first call. */
  readonly open: () => Promise<{ readonly sdk: Sdk; readonly client: Route53Client }>
}

type Send<T> = (sdk: Sdk, client: Route53Client, options: { readonly abortSignal: AbortSignal }) => Promise<T>

const once = async <T>(api: Route53, operation: string, run: Run, send: Send<T>): Promise<T> => {
  const call = `${api.driver}: ${operation}`
  try {
    if (run.signal.aborted) throw stopped(run, call)
    const { sdk, client } = await api.open()
    return await send(sdk, client, { abortSignal: run.signal })
  } catch (thrown) {
    throw asError(call, thrown, api.secrets, run)
  }
}

/** A call that changes nothing, up to three times. @throws RotationError that names the driver and the call */
export const read = <T>(api: Route53, operation: string, run: Run, send: Send<T>): Promise<T> =>
  repeated(run, `${api.driver}: ${operation}`, () => once(api, operation, run, send))

/** Waits. @throws RotationError `out-of-time` when the run has no time for it */
export const pause = async (durationMs: number, call: string, run: Run): Promise<void> => {
  if (run.clock.now() + durationMs >= run.deadline)
    throw new RotationError('out-of-time', `${call}: not finished when the run's time was over`)
  await run.clock.sleep(durationMs, run.signal).catch(cause => {
    throw run.signal.aborted ? stopped(run, call) : cause
  })
}

/** A change that is refused because others come too fast was not made: it is sent again, ever more slowly. */
export async function change<T>(api: Route53, operation: string, run: Run, send: Send<T>): Promise<T> {
  const call = `${api.driver}: ${operation}`
  for (let tried = 1; ; tried += 1) {
    try {
      return await once(api, operation, run, send)
    } catch (thrown) {
      const error = thrown as RotationError
      if (error.code !== 'throttled') throw unsure(error)
      const waitMs = Math.min(2 ** (tried - 1) * SECOND_MS, MAX_BUSY_MS)
      const isHopeless = error.retry !== 'now' || tried === BUSY_ATTEMPTS
      if (!isHopeless && run.clock.now() + waitMs < run.deadline) await pause(waitMs, call, run)
      else
        throw new RotationError('throttled', error.message, {
          cause: error,
          ...(error.retryAt && { retryAt: error.retryAt }),
        })
    }
  }
}
