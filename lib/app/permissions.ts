import { type Clock, systemClock } from '../base/time.ts'
import { parseJson, placeOf, processSurroundings, readSettings, type Surroundings } from '../config/load.ts'
import { createRemoteReader } from '../config/remote.ts'
import { watchPlace } from '../config/watch.ts'
import { type AwsPolicy, awsPolicy, awsWatchPolicy } from '../permissions/aws.ts'
import { type HuaweiPolicy, huaweiPolicy, huaweiWatchPolicy } from '../permissions/huawei.ts'
import { remoteOf } from './remote.ts'

export type { AwsPolicy, HuaweiPolicy }

export interface PermissionsRequest {
  readonly config: string | null
  readonly cloud: 'aws' | 'huawei'
  /** Of the watchdog, whose settings these are. */
  readonly isWatch?: boolean
  readonly surroundings?: Surroundings
  readonly clock?: Clock
}

/** The policy that settings, right ones, need in one cloud. No secret is looked up for it. @throws RotationError */
export async function policyFor(request: PermissionsRequest): Promise<AwsPolicy | HuaweiPolicy> {
  const { cloud, isWatch = false, surroundings = processSurroundings(), clock = systemClock } = request
  const { env } = surroundings
  const remote = surroundings.remote ?? remoteOf(surroundings, clock)
  const place = isWatch ? watchPlace(request.config, env) : placeOf(request.config, surroundings)
  const { text, where } = await readSettings(place, surroundings, createRemoteReader(remote, surroundings))
  const raw = parseJson(text, where)
  if (cloud === 'huawei') return (isWatch ? huaweiWatchPolicy : huaweiPolicy)(raw, place)
  return (isWatch ? awsWatchPolicy : awsPolicy)(raw, place, env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? '')
}
