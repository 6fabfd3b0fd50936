import { RotationError } from '../base/rotation-error.ts'
import { loadSettings } from '../config/load.ts'
import type { Surroundings } from '../config/surroundings.ts'
import { loadWatch } from '../config/watch.ts'
import { awsPolicy, awsWatchPolicy } from '../permissions/aws.ts'
import { namesOf } from '../permissions/raw.ts'
import { driverSchemas } from './drivers.ts'

/** What deployment tools ask: bundled for serverless.yml by build.mjs. */

/** A function that is still to come: what settings refer to there is not here. */
const COMING: Surroundings = { env: {}, folder: '.', isFunction: true, withoutValues: true }

const requireObject = (text: string): void => {
  if (text.trimStart().startsWith('{')) return
  throw new RotationError('settings-invalid', 'the settings are no JSON object', { retry: 'never' })
}

/** Whether a function could work with these settings (JSON). @throws RotationError with every mistake */
export async function checkSettings(text: string): Promise<void> {
  requireObject(text)
  await loadSettings(text, driverSchemas, COMING)
}

/** The same for the watchdog's. */
export async function checkWatch(text: string): Promise<void> {
  requireObject(text)
  await loadWatch(text, driverSchemas, COMING)
}

/** The role's statements, which references the settings hold, and whether the settings are right. */
export const permissionsForDeployment = { awsPolicy, awsWatchPolicy, checkSettings, checkWatch, namesOf }
