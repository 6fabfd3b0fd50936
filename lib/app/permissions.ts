import { loadSettings, parseJson, placeOf, readSettings } from '../config/load.ts'
import { createRemoteReader } from '../config/remote.ts'
import { loadWatch, watchPlace } from '../config/watch.ts'
import { type AwsPolicy, awsPolicy, awsWatchPolicy } from '../permissions/aws.ts'
import { type HuaweiPolicy, huaweiPolicy, huaweiWatchPolicy } from '../permissions/huawei.ts'
import { driverSchemas } from './drivers.ts'
import { type SettingsRequest, surroundingsOf } from './session.ts'

export interface PermissionsRequest extends SettingsRequest {
  readonly cloud: 'aws' | 'huawei'
  /** Of the watchdog, whose settings these are. */
  readonly isWatch?: boolean
}

/** The policy that settings need in one cloud; no secret is looked up for it. @throws RotationError for the settings */
export async function permissions(request: PermissionsRequest): Promise<AwsPolicy | HuaweiPolicy> {
  const { config, cloud, isWatch = false } = request
  const around = surroundingsOf(request)
  const { env, remote } = around
  const load = isWatch ? loadWatch : loadSettings
  await load(config, driverSchemas, { ...around, withoutValues: true })
  const place = isWatch ? watchPlace(config, env) : placeOf(config, around)
  const reader = remote ? createRemoteReader(remote, around) : null
  const { text, where } = await readSettings(place, around, reader)
  const raw = parseJson(text, where)
  if (cloud === 'huawei') return (isWatch ? huaweiWatchPolicy : huaweiPolicy)(raw, place)
  return (isWatch ? awsWatchPolicy : awsPolicy)(raw, place, env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? '')
}
