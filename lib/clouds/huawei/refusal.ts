import type { HuaweiKeys } from '../../contracts.ts'
import type { Refusal } from '../../http/api-call.ts'
import type { HttpResponse } from '../../http/http.ts'
import type { ErrorCode } from '../../model/errors.ts'

/** What was asked, as far as hints need it. */
export interface Asked {
  readonly driver: string
  readonly operation: string
  /** Whether it was signed with the derived key. */
  readonly derived: boolean
  readonly iamAction: string | null
}

/** Settings of an instance stand below `instance`, those of other drivers beside their type. */
export const settingName = (driver: string, name: string): string =>
  driver.startsWith('iotda') ? `instance.${name}` : name

// https://support.huaweicloud.com/intl/en-us/api-iothub/ErrorCode.html and the codes of DNS and the gateway.
const THROTTLED = new Set(['APIGW.0308', 'IOTDA.021101', 'IOTDA.021102', 'DNS.0014'])
const LOCKED = new Set(['DNS.0021', 'DNS.0209', 'DNS.0314'])
const UNKNOWN_INSTANCE = new Set(['IOTDA.000021', 'IOTDA.001006', 'APIGW.0310', 'APIGW.0802'])
const UNKNOWN_PATH = new Set(['IOTDA.000029', 'APIGW.0101'])
const QUOTAS = new Set(['DNS.0403', 'DNS.2002'])

/** The gateway writes its codes with either prefix. */
const gateway = (code: string): string => code.replace(/^APIG\./, 'APIGW.')

/** Whether the code of a 404 says that the address is wrong rather than that the object is gone. */
export const isUnknownPath = (code: string | null): boolean =>
  code !== null && UNKNOWN_PATH.has(gateway(code))

// --- reading -----------------------------------------------------------------------------------------------

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const asText = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : null
const asToken = (value: unknown): string | null => {
  const text = asText(value)
  return text !== null && /^[\w.-]{1,128}$/.test(text) ? text : null
}

/** The code and text of an error in any of the shapes: IoTDA and gateway, DNS and SMN, IAM, OBS. */
const problemOf = (json: unknown, text: string): { code: string | null; message: string | null } => {
  if (isObject(json)) {
    const at = isObject(json.error) ? json.error : json
    return { code: asToken(at.error_code ?? at.code), message: asText(at.error_msg ?? at.message) }
  }
  if (json !== undefined || !text.includes('<Error>')) return { code: null, message: null }
  const [, code] = /<Code>([^<]+)<\/Code>/.exec(text) ?? []
  const [, message] = /<Message>([^<]+)<\/Message>/.exec(text) ?? []
  return { code: asToken(code), message: asText(message) }
}

/** Any 2xx whose body is JSON or empty. IoTDA reports some failures as 200 with an `error_code`. */
const isSuccess = (status: number, json: unknown): boolean =>
  status >= 200 && status < 300 && json !== undefined && !(isObject(json) && asText(json.error_code) !== null)

// --- what it means -----------------------------------------------------------------------------------------

/** A 403 of IoTDA may also mean a missing object or a full quota, by codes nobody has published. */
const isPermission = (code: string | null): boolean => {
  if (code === null) return true
  return code.startsWith('IOTDA.') ? code === 'IOTDA.000022' || UNKNOWN_INSTANCE.has(code) : !QUOTAS.has(code)
}

const codeOf = (status: number, code: string | null, readable: boolean): ErrorCode => {
  if (status === 429 || (code !== null && THROTTLED.has(code))) return 'throttled'
  if (status === 401 || code === 'IOTDA.000004') return 'unauthorized'
  if (status < 400 || status >= 500 || !readable) return 'unavailable'
  return status === 403 && isPermission(code) ? 'forbidden' : 'service-refused'
}

const unauthorizedHint = (service: string, { driver, derived }: Asked): string => {
  if (service === 'IOTDA.000002')
    return (
      `The endpoint may want the other signing scheme: set ${settingName(driver, 'signing')} to ` +
      `"${derived ? 'standard' : 'derived'}". Otherwise check accessKey and secretKey.`
    )
  if (service === 'APIGW.0303')
    return 'Check the clock of this machine: a signature may be 15 minutes off at most. Otherwise check accessKey and secretKey.'
  return 'Check accessKey and secretKey, and that temporary keys have not expired.'
}

const hintFor = (
  code: ErrorCode,
  status: number,
  serviceCode: string | null,
  asked: Asked,
): string | null => {
  const service = gateway(serviceCode ?? '')
  const setting = (name: string): string => settingName(asked.driver, name)
  const action = asked.iamAction ?? `for ${asked.operation}`
  if (code === 'unauthorized') return unauthorizedHint(service, asked)
  if (UNKNOWN_INSTANCE.has(service) || (status === 404 && isUnknownPath(serviceCode)))
    return `Check ${setting('endpoint')}, ${setting('projectId')} and ${setting('instanceId')}: the service does not know this address or instance.`
  if (code === 'forbidden') return `Grant the IAM action ${action} to the owner of the access key.`
  if (code === 'service-refused' && status === 403)
    return `If nothing else explains it, check that the owner of the access key has the IAM action ${action}.`
  if (code === 'unavailable' && status < 500 && serviceCode === null)
    return `Check ${setting('endpoint')}: what answers there may be no service of Huawei Cloud.`
  return null
}

/** What a service may repeat of the keys of a call, and must not be shown. */
export const secretsOf = ({ accessKey, secretKey, securityToken }: HuaweiKeys): readonly string[] => [
  accessKey.reveal(),
  secretKey.reveal(),
  securityToken?.reveal() ?? '',
]

/** What an answer of any service of Huawei Cloud means; null when it is a success. Never throws. */
export function huaweiRefusal(answer: HttpResponse, json: unknown, asked: Asked): Refusal | null {
  const { status, headers, text } = answer
  if (isSuccess(status, json)) return null
  const { code: serviceCode, message } = problemOf(json, text)
  const readable = json !== undefined || serviceCode !== null
  const code = codeOf(status, serviceCode === null ? null : gateway(serviceCode), readable)
  const requestId = asToken(headers['x-request-id']) ?? (isObject(json) ? asToken(json.request_id) : null)
  const isLocked = code === 'service-refused' && serviceCode !== null && LOCKED.has(serviceCode)
  return {
    code,
    ...(isLocked ? { retry: 'later' as const } : {}),
    hint: hintFor(code, status, serviceCode, asked),
    serviceCode,
    message,
    note: readable ? '' : ' with a body that is no JSON',
    requestId,
  }
}
