import type * as v from 'valibot'
import { type ApiTerms, callApi, codeOfStatus, expected, quote, type Refusal } from './api-call.ts'
import type { Http, HttpFailure, HttpRequest, HttpResponse } from './http.ts'
import { type Repeating, repeated } from './repeat.ts'

export interface ServiceOptions {
  /** E.g. `solver dns (cloudflare)`. */
  readonly driver: string
  readonly http: Http
  /** What must not be shown, though the service may repeat it. */
  readonly secrets: readonly string[]
  /** What is wrong with an answer; null when it is a success. `json` is undefined when the body is none. */
  readonly refusalOf: (answer: HttpResponse, json: unknown) => Refusal | null
}

/** A run, as far as calls need it. */
export type ServiceRun = Required<Repeating>

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
  call<T>(call: ServiceCall<T>, run: ServiceRun): Promise<T>
}

const QUOTED_CHARS = 200
const CUT_OFF = '...'
export const CHECK_ENDPOINT = 'Check the endpoint of the solver, and that it can be reached from here.'
const CHECK_TLS = 'Check the certificate of the service, and caCertificates in the settings.'

/** What a text says to people: a page of HTML says nothing. */
export const wordsOf = (text: string): string => (text.trimStart().startsWith('<') ? '' : text)

/** What somebody says, as one short line without anything secret; empty for nothing and for HTML. */
export const excerpt = (text: string, secrets: readonly string[]): string =>
  quote(wordsOf(text), secrets, QUOTED_CHARS, CUT_OFF)

/** How a service is spoken of. `hint` says what to do when it gave no answer. */
export const serviceTerms = (hint: string): ApiTerms => ({
  unansweredHint: ({ reason }: HttpFailure) => (reason === 'tls' ? CHECK_TLS : hint),
  unavailableRetry: 'now',
  quotedChars: QUOTED_CHARS,
  cutOff: CUT_OFF,
})
const TERMS = serviceTerms(CHECK_ENDPOINT)

/** A client of one service; reads are repeated up to three times, changes never. */
export function createService({ driver, http, secrets, refusalOf }: ServiceOptions): Service {
  /** The whole body stands in where the service gives no words of its own. */
  const refusalFor = (answer: HttpResponse, json: unknown): Refusal | null => {
    const isSuccess = answer.status >= 200 && answer.status < 300 && json !== undefined
    const plain: Refusal | null = isSuccess
      ? null
      : { code: codeOfStatus(answer.status), hint: CHECK_ENDPOINT }
    const refusal = refusalOf(answer, json) ?? plain
    return refusal && { ...refusal, message: wordsOf(refusal.message ?? answer.text) }
  }
  return {
    driver,
    call: async ({ operation, request, changes, expect }, run) => {
      const call = `${driver}: ${operation}`
      const { clock, signal } = run
      const common = { call, terms: TERMS, changes, secrets, signal, http, clock, refusalOf: refusalFor }
      const once = () => callApi({ ...common, request: request(clock.now()) })
      const { json } = await (changes ? once() : repeated(run, call, once))
      return expected(json, expect, call, { hint: CHECK_ENDPOINT })
    },
  }
}
