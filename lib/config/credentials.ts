import * as v from 'valibot'
import { environmentReference, oneOf, orNull, secretField } from '../base/fields.ts'
import type { Secret } from '../base/secret.ts'

/**
 * The variables of Huawei Cloud's SDKs. Inside FunctionGraph they hold the temporary keys of the function's
 * agency, unless the function's own variables say otherwise (config/surroundings.ts).
 * https://github.com/huaweicloud/huaweicloud-sdk-java-v3#3322-environment-variable-top
 */
export const ACCESS_KEY = 'HUAWEICLOUD_SDK_AK'
export const SECRET_KEY = 'HUAWEICLOUD_SDK_SK'
export const SECURITY_TOKEN = 'HUAWEICLOUD_SDK_SECURITY_TOKEN'
export const PROJECT_ID = 'HUAWEICLOUD_SDK_PROJECT_ID'

const fromEnvironment = (name: string, as: { optional?: boolean; implied: boolean }): Secret =>
  environmentReference(name, { secret: true, optional: false, ...as }) as unknown as Secret

const optionalSecret = () => orNull(secretField())

const TYPES = ['huaweicloud', 'functiongraph'] as const

const entries = v.strictObject({
  /** `functiongraph`: the keys of the function's agency; elsewhere those of HUAWEICLOUD_SDK_AK and _SK. */
  type: oneOf(TYPES),
  /** Default: what HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK and HUAWEICLOUD_SDK_SECURITY_TOKEN say. */
  accessKey: optionalSecret(),
  /** With `accessKey`. @example "env:HUAWEICLOUD_SDK_SK" */
  secretKey: optionalSecret(),
  /** With temporary keys. @example "env:HUAWEICLOUD_SDK_SECURITY_TOKEN" */
  securityToken: optionalSecret(),
})
type Given = v.InferOutput<typeof entries>

const isMissing = (one: Secret | null, other: Secret | null): boolean => one === null && other !== null

/** Keys are taken together from one place: a token of the environment fits no key of the settings. */
export const credentialsField = () =>
  v.pipe(
    entries,
    v.check(
      ({ type, accessKey, secretKey, securityToken }) =>
        type !== 'functiongraph' || (accessKey ?? secretKey ?? securityToken) === null,
      'of type "functiongraph" must have no keys: they are those of the function',
    ),
    v.forward(
      v.check((it: Given) => !isMissing(it.accessKey, it.secretKey ?? it.securityToken), 'is missing'),
      ['accessKey'],
    ),
    v.forward(
      v.check((it: Given) => !isMissing(it.secretKey, it.accessKey), 'is missing'),
      ['secretKey'],
    ),
    v.transform(({ type, accessKey, secretKey, securityToken }) => {
      const implied = type === 'functiongraph'
      return {
        accessKey: accessKey ?? fromEnvironment(ACCESS_KEY, { implied }),
        secretKey: secretKey ?? fromEnvironment(SECRET_KEY, { implied }),
        securityToken:
          accessKey === null ? fromEnvironment(SECURITY_TOKEN, { optional: true, implied }) : securityToken,
      }
    }),
  )
