import type { Refusal } from '../../http/api-call.ts'
import type { HttpResponse } from '../../http/http.ts'
import type { ErrorCode } from '../../model/errors.ts'

const THROTTLED =
  /^(SlowDown|Throttl\w*|TooManyRequests\w*|RequestLimitExceeded|ProvisionedThroughputExceeded\w*)$/
const CREDENTIALS =
  /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature\w*|ExpiredToken\w*|InvalidToken|UnrecognizedClientException|InvalidClientTokenId|MissingAuthenticationToken\w*|TokenRefreshRequired)$/
const CLOCK = /^(RequestTimeTooSkewed|RequestExpired\w*)$/
const REGION =
  /^(PermanentRedirect|TemporaryRedirect|Redirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)$/
const REGION_NAME = /^[a-z0-9-]{1,32}$/
const PASSING =
  /^(InternalError|InternalFailure|InternalServiceError\w*|ServiceUnavailable\w*|RequestTimeout\w*|OperationAborted)$/

const tag = (text: string, name: string): string | null =>
  new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1] ?? null

const asText = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

/** Code and text of an error, of S3 (XML) or of a JSON service. */
const problemOf = (
  { text, headers }: HttpResponse,
  json: unknown,
): { code: string | null; message: string | null } => {
  if (text.trimStart().startsWith('<')) return { code: tag(text, 'Code'), message: tag(text, 'Message') }
  const said = (typeof json === 'object' && json !== null ? json : {}) as Readonly<Record<string, unknown>>
  const type = asText(said.__type) ?? headers['x-amzn-errortype'] ?? null
  return {
    // `com.amazonaws.service#Code`, `Code:http://...`.
    code: type?.slice(type.lastIndexOf('#') + 1).split(':', 1)[0] ?? null,
    message: asText(said.message) ?? asText(said.Message),
  }
}

/** What a status and a service's own code mean together. */
export const codeOf = (status: number, code: string): ErrorCode => {
  if (status === 429 || THROTTLED.test(code)) return 'throttled'
  if (status >= 500 || PASSING.test(code)) return 'unavailable'
  if (CREDENTIALS.test(code) || CLOCK.test(code) || status === 401) return 'unauthorized'
  if ((status >= 300 && status < 400) || REGION.test(code) || code === 'NoSuchBucket')
    return 'settings-invalid'
  return status === 403 || /^AccessDenied/.test(code) ? 'forbidden' : 'service-refused'
}

const hintOf = (
  code: ErrorCode,
  service: string,
  { headers, text }: HttpResponse,
  permission: string,
): string | null => {
  if (code === 'forbidden') return `Allow ${permission} to the owner of the access key.`
  if (CLOCK.test(service))
    return 'Check the clock of this machine: a signature may be 15 minutes off at most.'
  if (code === 'unauthorized')
    return 'Check accessKeyId, secretAccessKey and sessionToken, and that temporary keys have not expired.'
  if (service === 'NoSuchBucket') return 'Create the bucket, or mend bucket in the settings.'
  if (code !== 'settings-invalid') return null
  const region = headers['x-amz-bucket-region'] ?? tag(text, 'Region')
  return region === null || !REGION_NAME.test(region)
    ? 'Check region and endpoint in the settings: the service sends this request elsewhere.'
    : `Set region to "${region}" in the settings.`
}

/**
 * What an answer of any service of AWS means; null when it is a success. `permission` is what to allow for the call,
 * e.g. `s3:PutObject on arn:…`.
 */
export function awsRefusal(answer: HttpResponse, json: unknown, permission: string): Refusal | null {
  const { status } = answer
  if (status >= 200 && status < 300) return null
  const problem = problemOf(answer, json)
  const serviceCode = problem.code === null || !/^[\w.-]{1,128}$/.test(problem.code) ? null : problem.code
  const code = codeOf(status, serviceCode ?? '')
  const hint = hintOf(code, serviceCode ?? '', answer, permission)
  const requestId = answer.headers['x-amzn-requestid'] ?? answer.headers['x-amz-request-id'] ?? null
  return { code, serviceCode, message: problem.message, hint, requestId }
}
