import { RotationError } from '../../base/rotation-error.ts'
import { parseRetryAfter } from '../../base/time.ts'
import type { HttpResponse } from '../../http/http.ts'
import type { ErrorCode } from '../../model/errors.ts'

/** What a service of AWS said when it refused: the cause of the RotationError. Holds no secret. */
export interface AwsRefusal {
  readonly status: number
  readonly serviceCode: string | null
  /** What the service said, made fit to be shown. */
  readonly serviceMessage: string | null
}

/** What was asked, as far as messages and hints need it. */
export interface AwsAsked {
  /** Begins every message, e.g. `s3 store`. */
  readonly driver: string
  /** E.g. `PutObject`. */
  readonly operation: string
  /** Permissions to name when the call is forbidden, e.g. `s3:PutObject on arn:…`. */
  readonly permission: string
  readonly changes: boolean
  /** What must not come back in a message. */
  readonly secrets: readonly string[]
}

const MAX_TEXT_LENGTH = 300

const THROTTLED =
  /^(SlowDown|Throttl\w*|TooManyRequests\w*|RequestLimitExceeded|ProvisionedThroughputExceeded\w*)$/
const CREDENTIALS =
  /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature\w*|ExpiredToken\w*|InvalidToken|UnrecognizedClientException|InvalidClientTokenId|MissingAuthenticationToken\w*|TokenRefreshRequired)$/
const CLOCK = /^(RequestTimeTooSkewed|RequestExpired\w*)$/
const REGION =
  /^(PermanentRedirect|TemporaryRedirect|Redirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)$/
const PASSING =
  /^(InternalError|InternalFailure|InternalServiceError\w*|ServiceUnavailable\w*|RequestTimeout\w*|OperationAborted)$/

const tag = (text: string, name: string): string | null =>
  new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1] ?? null

const jsonOf = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

const asText = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

/** Code and text of an error, of S3 (XML) or of a JSON service. */
const problemOf = ({ text, headers }: HttpResponse): { code: string | null; message: string | null } => {
  if (text.trimStart().startsWith('<')) return { code: tag(text, 'Code'), message: tag(text, 'Message') }
  const json = jsonOf(text)
  const type = asText(json.__type) ?? headers['x-amzn-errortype'] ?? null
  return {
    code: type?.replace(/^.*#/, '').replace(/:.*$/, '') ?? null,
    message: asText(json.message) ?? asText(json.Message),
  }
}

const codeOf = (status: number, code: string): ErrorCode => {
  if (status === 429 || THROTTLED.test(code)) return 'throttled'
  if (status >= 500 || PASSING.test(code)) return 'unavailable'
  if (CREDENTIALS.test(code) || CLOCK.test(code) || status === 401) return 'unauthorized'
  if ((status >= 300 && status < 400) || REGION.test(code) || code === 'NoSuchBucket')
    return 'settings-invalid'
  return status === 403 || /^AccessDenied/.test(code) ? 'forbidden' : 'service-refused'
}

const hintOf = (code: ErrorCode, service: string, response: HttpResponse, asked: AwsAsked): string | null => {
  if (code === 'forbidden') return `Allow ${asked.permission} to the owner of the access key.`
  if (CLOCK.test(service))
    return 'Check the clock of this machine: a signature may be 15 minutes off at most.'
  if (code === 'unauthorized')
    return 'Check accessKeyId, secretAccessKey and sessionToken, and that temporary keys have not expired.'
  if (service === 'NoSuchBucket') return 'Create the bucket, or mend bucket in the settings.'
  if (code !== 'settings-invalid') return null
  const region = response.headers['x-amz-bucket-region'] ?? tag(response.text, 'Region')
  return region === null
    ? 'Check region and endpoint in the settings: the service sends this request elsewhere.'
    : `Set region to "${region}" in the settings.`
}

/** A service's text made fit to be shown: one short line without the keys. */
export const shown = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter(it => it !== '')
    .reduce((clean, it) => clean.replaceAll(it, '[secret]'), text)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, MAX_TEXT_LENGTH)

/** Ends the message of a failed change that may have happened. */
export const UNCERTAIN = '; it is unknown whether it took effect'

/** The error for an answer that is no success; its cause is an {@link AwsRefusal}. */
export function awsRefused(response: HttpResponse, asked: AwsAsked, now: number): RotationError {
  const { status, headers } = response
  const problem = problemOf(response)
  const serviceCode = problem.code === null || !/^[\w.-]{1,128}$/.test(problem.code) ? null : problem.code
  const serviceMessage = problem.message === null ? null : shown(problem.message, asked.secrets)
  const code = codeOf(status, serviceCode ?? '')
  const hint = hintOf(code, serviceCode ?? '', response, asked)
  const retryAt = parseRetryAfter(headers['retry-after'], now)
  const text = [
    `${asked.driver}: ${asked.operation} answered HTTP ${status}`,
    serviceCode === null ? '' : ` ${serviceCode}`,
    serviceMessage === null ? '' : `: ${serviceMessage}`,
    code === 'unavailable' && asked.changes ? UNCERTAIN : '',
  ].join('')
  const cause: AwsRefusal = { status, serviceCode, serviceMessage }
  return new RotationError(code, text, {
    cause,
    retry: code === 'throttled' || code === 'unavailable' ? 'later' : 'never',
    ...(hint === null ? {} : { hint }),
    ...(retryAt === null ? {} : { retryAt }),
  })
}

/** Status, code and text of the answer behind an error; null when no answer is behind it. */
export function awsRefusalOf(error: unknown): AwsRefusal | null {
  const cause =
    error instanceof RotationError ? (error.cause as Partial<AwsRefusal> | null | undefined) : null
  return typeof cause?.status === 'number' ? (cause as AwsRefusal) : null
}
