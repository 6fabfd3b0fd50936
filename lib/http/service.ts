import * as v from 'valibot'
import { RotationError } from '../base/rotation-error.ts'
import { stopped } from '../base/stopped.ts'
import { parseRetryAfter } from '../base/time.ts'
import type { Run } from '../contracts.ts'
import type { ErrorCode } from '../model/errors.ts'
import { CHECK_PROXY, type Http, HttpFailure, type HttpRequest, type HttpResponse } from './http.ts'
import { repeated } from './repeat.ts'

/** How a service refused a call. */
export interface Problem {
  readonly code: ErrorCode
  /** The service's own code. */
  readonly serviceCode: string | null
  /** Null: the body itself says it. */
  readonly message: string | null
  readonly hint: string | null
}

/** The cause of the error behind an answer that is no success. */
interface Refusal {
  readonly status: number
  readonly serviceCode: string | null
}

export interface ServiceOptions {
  /** E.g. `solver dns (cloudflare)`. */
  readonly driver: string
  readonly http: Http
  /** What must not be shown, though the service may repeat it. */
  readonly secrets: readonly string[]
  /** What is wrong with an answer; null when it is a success. `json` is undefined when the body is none. */
  readonly judge: (answer: HttpResponse, json: unknown) => Problem | null
}

export interface ServiceCall<T> {
  /** The service's name of the operation. */
  readonly operation: string
  /** Made anew for each try, since a signature carries the time. */
  readonly request: (now: number) => Omit<HttpRequest, 'signal'>
  /** Whether the call changes anything: such a call is never repeated blindly. */
  readonly changes: boolean
  readonly expect: v.GenericSchema<unknown, T>
}

/** Calls of a DNS service's JSON API. */
export interface Service {
  readonly driver: string
  /** @throws RotationError that names the driver and the operation */
  call<T>(call: ServiceCall<T>, run: Run): Promise<T>
}

const MAX_TEXT = 200
export const CHECK_ENDPOINT = 'Check the endpoint of the solver, and that it can be reached from here.'
const CHECK_TLS = 'Check the certificate of the service, and caCertificates in the settings.'
const UNCERTAIN = '; it is unknown whether it took effect'

/** What a service says, as one short line without anything secret; empty for nothing and for HTML. */
export const excerpt = (text: string, secrets: readonly string[]): string => {
  const masked = secrets.filter(it => it !== '').reduce((all, it) => all.replaceAll(it, '[secret]'), text)
  const line = masked.replace(/[\s\p{Cc}]+/gu, ' ').trim()
  if (line === '' || line.startsWith('<')) return ''
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}...` : line
}

/** The error for a call without an answer. */
export const unanswered = (call: string, failure: HttpFailure, hint: string): RotationError => {
  const { reason } = failure
  const code = ['proxy', 'connect', 'tls'].includes(reason) ? 'unreachable' : 'unavailable'
  return new RotationError(reason === 'aborted' ? 'out-of-time' : code, `${call}: ${failure.message}`, {
    cause: failure,
    hint: reason === 'proxy' ? CHECK_PROXY : reason === 'tls' ? CHECK_TLS : hint,
    retry: reason === 'timeout' || reason === 'dropped' ? 'now' : 'later',
  })
}

/** What a status means when the body says no more. */
export const codeOfStatus = (status: number): ErrorCode => {
  if (status === 401) return 'unauthorized'
  if (status === 403) return 'forbidden'
  if (status === 429) return 'throttled'
  return status >= 400 && status < 500 ? 'service-refused' : 'unavailable'
}

/** The service's own code behind an error; null when it gave none. */
export const serviceCodeOf = (error: unknown): string | null =>
  error instanceof RotationError ? ((error.cause as Partial<Refusal> | undefined)?.serviceCode ?? null) : null

/** Null for an empty body, undefined when it is no JSON. */
const parse = (text: string): unknown => {
  if (text.trim() === '') return null
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const refused = (
  call: string,
  answer: HttpResponse,
  problem: Problem,
  shown: (text: string) => string,
  now: number,
): RotationError => {
  const { code, serviceCode, message, hint } = problem
  const said = shown(message ?? answer.text)
  const text = `${call} answered HTTP ${answer.status}${serviceCode === null ? '' : ` ${serviceCode}`}${said === '' ? '' : `: ${said}`}`
  const retryAt = parseRetryAfter(answer.headers['retry-after'], now)
  const cause: Refusal = { status: answer.status, serviceCode }
  const retry = code === 'throttled' ? 'later' : code === 'unavailable' ? 'now' : 'never'
  return new RotationError(code, text, {
    cause,
    retry,
    ...(hint === null ? {} : { hint }),
    ...(retryAt === null ? {} : { retryAt }),
  })
}

/** The same error of a change, saying that nobody knows whether it was made. */
export const unsure = (error: RotationError): RotationError =>
  error.code === 'unavailable'
    ? new RotationError(error.code, `${error.message}${UNCERTAIN}`, {
        cause: error.cause,
        retry: error.retry,
        ...(error.hint === null ? {} : { hint: error.hint }),
        ...(error.retryAt === null ? {} : { retryAt: error.retryAt }),
      })
    : error

const isSuccess = ({ status }: HttpResponse): boolean => status >= 200 && status < 300

/** A client of one service; reads are repeated up to three times, changes never. */
export function createService({ driver, http, secrets, judge }: ServiceOptions): Service {
  const ask = async (call: string, spec: ServiceCall<unknown>, run: Run): Promise<unknown> => {
    if (run.signal.aborted) throw stopped(run, call)
    let answer: HttpResponse
    try {
      answer = await http.request({ ...spec.request(run.clock.now()), signal: run.signal })
    } catch (thrown) {
      if (run.signal.aborted) throw stopped(run, call)
      throw thrown instanceof HttpFailure ? unanswered(call, thrown, CHECK_ENDPOINT) : thrown
    }
    const json = parse(answer.text)
    const problem = judge(answer, json)
    const shown = (text: string): string => excerpt(text, secrets)
    if (problem) throw refused(call, answer, problem, shown, run.clock.now())
    if (isSuccess(answer) && json !== undefined) return json
    const code = codeOfStatus(answer.status)
    const plain = { code, serviceCode: null, message: answer.text, hint: CHECK_ENDPOINT }
    throw refused(call, answer, plain, shown, run.clock.now())
  }

  return {
    driver,
    call: async (spec, run) => {
      const call = `${driver}: ${spec.operation}`
      const once = (): Promise<unknown> => ask(call, spec, run)
      const asked = spec.changes
        ? once().catch(error => {
            throw error instanceof RotationError ? unsure(error) : error
          })
        : repeated(run, call, once)
      const checked = v.safeParse(spec.expect, await asked, { abortEarly: true })
      if (checked.success) return checked.output
      const field = v.getDotPath(checked.issues[0]) ?? 'its body'
      throw new RotationError(
        'unavailable',
        `${call} gave an answer that cannot be used: ${field} is not as documented`,
        {
          hint: CHECK_ENDPOINT,
        },
      )
    },
  }
}
