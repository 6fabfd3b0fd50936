import { connect } from 'node:net'
import * as v from 'valibot'
import { secretField, urlField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { stopped } from '../base/stopped.ts'
import { abortAfter, SECOND_MS } from '../base/time.ts'
import { type DriverContext, defineSolver, type Run } from '../contracts.ts'
import { checkName } from '../dns/name.ts'
import { type ApiTerms, callApi, type Refusal } from '../http/api-call.ts'
import type { Http, HttpResponse } from '../http/http.ts'
import { repeated } from '../http/repeat.ts'
import { serviceTerms, wordsOf } from '../http/service.ts'
import { httpFields } from './shared/fields.ts'

const settings = v.strictObject({
  /**
   * Base URL; `/present` and `/cleanup` are appended to its path, its query is kept. @example
   * "https://dns-hook.example.com"
   */
  url: urlField(),
  /** For basic authentication. @example "iotda-cert" */
  username: v.optional(
    v.nullable(v.pipe(v.string('must be a text'), v.minLength(1, 'must not be empty'))),
    null,
  ),
  /** For basic authentication. @example "env:HTTPREQ_PASSWORD" */
  password: v.optional(v.nullable(secretField()), null),
  ...httpFields(),
})
type Settings = v.InferOutput<typeof settings>

type Method = 'present' | 'cleanup'

const CONNECT_MS = 10 * SECOND_MS
const CHECK_URL = 'Check the url of the solver, and that the service runs and can be reached from here.'

const methodUrl = (base: string, method: Method): string => {
  const url = new URL(base)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${method}`
  return url.href
}

const secretsOf = ({ url, password }: Settings, authorization: string | null): readonly string[] => {
  const { search, searchParams } = new URL(url)
  const sent = [password?.reveal(), authorization?.replace('Basic ', '')].map(it => it ?? '')
  return [...sent, search.slice(1), ...searchParams.values()]
}

const TERMS: ApiTerms = {
  ...serviceTerms(CHECK_URL),
  refused: (status, _, quoted) => ` answered ${status}${quoted === '' ? '' : `: ${quoted}`}`,
}

const meaningOf = (status: number): Refusal | null => {
  if (status >= 200 && status < 300) return null
  if (status === 401) return { code: 'unauthorized', hint: 'Check username and password of the solver.' }
  if (status === 403)
    return { code: 'forbidden', hint: 'The service does not let these credentials write the name.' }
  if (status === 429) return { code: 'throttled' }
  if (status >= 500) return { code: 'unavailable', hint: 'Look at the log of the service.' }
  const hint = 'Check that url is the base of an httpreq service and that it may write the zone of the name.'
  return { code: 'service-refused', hint }
}

const refusalOf = ({ status, text }: HttpResponse): Refusal | null => {
  const refusal = meaningOf(status)
  return refusal && { ...refusal, message: wordsOf(text) }
}

/** Opens and closes a connection. @throws RotationError `unreachable` */
const touch = (url: string, call: string, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const { hostname, port, protocol, host } = new URL(url)
    const limit = abortAfter(CONNECT_MS, signal)
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (protocol === 'http:' ? 80 : 443),
      signal: limit.signal,
    })
    socket.once('close', limit.clear)
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.name === 'AbortError' ? 'no answer' : (cause.code ?? cause.message)
      const message = `${call}: no connection to ${host} (${why})`
      reject(new RotationError('unreachable', message, { cause, hint: CHECK_URL }))
    })
  })

type Post = (method: Method, fqdn: string, value: string, run: Run) => Promise<void>

function createPost(config: Settings, http: Http, driver: string): Post {
  const { url, username, password } = config
  const credentials = `${username ?? ''}:${password?.reveal() ?? ''}`
  const authorization =
    username === null && password === null ? null : `Basic ${Buffer.from(credentials).toString('base64')}`
  const secrets = secretsOf(config, authorization)

  return async (method, fqdn, value, run) => {
    const call = `${driver}: POST /${method} for ${fqdn}`
    checkName(fqdn, call)
    const { signal, clock } = run
    const request = {
      method: 'POST',
      url: methodUrl(url, method),
      headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
      body: JSON.stringify({ fqdn, value }),
    } as const
    const common = { call, terms: TERMS, secrets, signal, http, clock, refusalOf }
    await repeated(run, call, () => callApi({ ...common, request }))
  }
}

const create = (config: Settings, context: DriverContext) => {
  const driver = `solver ${context.name} (webhook)`
  const post = createPost(config, context.http(config.caCertificates), driver)
  return {
    propagation: config.propagation,
    prepare: async (fqdn: string, run: Run): Promise<null> => {
      const call = `${driver}: connect for ${fqdn}`
      checkName(fqdn, call)
      if (run.signal.aborted) throw stopped(run, call)
      await touch(config.url, call, run.signal).catch(error => {
        throw run.signal.aborted ? stopped(run, call) : error
      })
      return null
    },
    present: (fqdn: string, value: string, run: Run): Promise<void> => post('present', fqdn, value, run),
    cleanUp: (fqdn: string, value: string, run: Run): Promise<void> => post('cleanup', fqdn, value, run),
  }
}

/**
 * A DNS service of one's own that speaks lego's httpreq (default mode): `POST {url}/present` and `{url}/cleanup`
 * with `{"fqdn","value"}`, any 2xx is success. Both are repeated up to three times on 5xx and broken connections.
 * https://go-acme.github.io/lego/dns/httpreq/
 * @throws RotationError `unauthorized` (401), `forbidden` (403), `throttled` (429), `unreachable`, `unavailable`
 *   (5xx, no answer), `service-refused`
 */
export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://go-acme.github.io/lego/dns/httpreq/',
    says: 'lego’s httpreq: `url`; `username`, `password`',
  },
})
