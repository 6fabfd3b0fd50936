/** What deployment tools ask: bundled for serverless.yml by build.mjs. */
import { awsPolicy, awsWatchPolicy } from './aws.ts'
import { namesOf } from './raw.ts'

/** The role's statements, and which references the settings hold. */
export const permissionsForDeployment = { awsPolicy, awsWatchPolicy, namesOf }
