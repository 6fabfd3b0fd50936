import { type Clock, systemClock } from './base/time.ts'
import { parseJson, placeOf, processSurroundings, readSettings, type Surroundings } from './config/load.ts'
import { createRemoteReader } from './config/remote.ts'
import { type AwsPolicy, awsPolicy } from './permissions/aws.ts'
import { type HuaweiPolicy, huaweiPolicy } from './permissions/huawei.ts'
import { remoteOf } from './remote.ts'

export const CLOUDS = ['aws', 'huawei'] as const
export type Cloud = (typeof CLOUDS)[number]

export interface PermissionsRequest {
  readonly config: string | null
  readonly cloud: Cloud
  readonly surroundings?: Surroundings
  readonly clock?: Clock
}

/** The policy that the settings need in one cloud. No secret is looked up for it. @throws RotationError */
export async function permissions(request: PermissionsRequest): Promise<AwsPolicy | HuaweiPolicy> {
  const { cloud, surroundings = processSurroundings(), clock = systemClock } = request
  const { env } = surroundings
  const remote = surroundings.remote ?? remoteOf(surroundings, clock)
  const place = placeOf(request.config, surroundings)
  const { text, where } = await readSettings(place, surroundings, createRemoteReader(remote, env))
  const raw = parseJson(text, where)
  if (cloud === 'huawei') return huaweiPolicy(raw, place)
  return awsPolicy(raw, place, env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? '')
}
