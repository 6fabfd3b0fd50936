import * as v from 'valibot'
import { secretField, urlField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { type DriverContext, defineSolver, type Run } from '../contracts.ts'
import { bareName, checkName } from '../dns/name.ts'
import { codeOfStatus, type Refusal } from '../http/api-call.ts'
import type { HttpRequest, HttpResponse } from '../http/http.ts'
import { repeated } from '../http/repeat.ts'
import { createService, type Service } from '../http/service.ts'
import type { ErrorCode } from '../model/errors.ts'
import { httpFields } from './shared/fields.ts'
import { inTurn } from './shared/turns.ts'

const word = (what: string) =>
  v.pipe(v.string(`must be ${what}`), v.minLength(1, `must be ${what}, not empty`))

/** What `POST /register` of the server answered, once. */
const settings = v.strictObject({
  /** Base URL of the acme-dns server. @example "https://auth.example.com" */
  endpoint: urlField(),
  /** As its registration said. @example "8e5700ea-a4bf-41c7-8a77-e990661dcc6a" */
  subdomain: word('the subdomain of the account'),
  /** As its registration said. @example "c36f50e8-4632-44f0-83fe-e070fef28a10" */
  username: word('the username of the account'),
  /** As its registration said. @example "env:ACMEDNS_PASSWORD" */
  password: secretField(),
  /**
   * Where the server serves the account's TXT records. @example
   * "8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.example.com"
   */
  fulldomain: word('the fulldomain of the account'),
  ...httpFields(),
})
type Settings = v.InferOutput<typeof settings>

/** The server keeps the last two values of an account. */
const WINDOW = 2

const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  unauthorized:
    'Check username, password and subdomain, and that the allowfrom of the account admits this machine.',
  'service-refused': 'Check subdomain; a value must be 43 characters of base64url, as ACME makes them.',
}

const errorShape = v.object({ error: v.string() })

const refusalOf = ({ status }: HttpResponse, json: unknown): Refusal | null => {
  if (status < 300) return null
  const body = v.safeParse(errorShape, json)
  const code = codeOfStatus(status)
  const serviceCode = body.success ? body.output.error : null
  return { code, serviceCode, message: serviceCode === null ? null : '', hint: HINTS[code] ?? null }
}

type Write = (value: string, run: Run) => Promise<void>

/** https://github.com/joohoi/acme-dns#update-endpoint */
function createWrite({ subdomain, username, password }: Settings, endpoint: string, service: Service): Write {
  const operation = 'POST /update'
  const call = `${service.driver}: ${operation}`
  /** The last values written by this solver, oldest first. */
  let written: readonly string[] = []
  const post: Write = async (value, run) => {
    const request = (): Omit<HttpRequest, 'signal'> => ({
      method: 'POST',
      url: `${endpoint}/update`,
      headers: { 'content-type': 'application/json', 'x-api-user': username, 'x-api-key': password.reveal() },
      body: JSON.stringify({ subdomain, txt: value }),
    })
    const expect = v.object({ txt: v.literal(value) })
    await service.call({ operation, request, changes: true, expect }, run)
    written = [...written.filter(it => it !== value), value].slice(-WINDOW)
  }
  return async (value, run) => {
    if (written.includes(value)) return
    const before = written.at(-1)
    let tries = 0
    await repeated(run, call, () => {
      tries += 1
      return post(value, run)
    })
    // A lost answer may have been a success: then the second one has pushed the other value out.
    if (tries > 1 && before !== undefined) await repeated(run, call, () => post(before, run))
  }
}

const create = (config: Settings, context: DriverContext) => {
  const { username, password, fulldomain, propagation } = config
  const driver = `solver ${context.name} (acmedns)`
  const endpoint = config.endpoint.replace(/\/+$/, '')
  const http = context.http(config.caCertificates)
  const service = createService({ driver, http, secrets: [password.reveal(), username], refusalOf })
  const write = createWrite(config, endpoint, service)
  const home = `${bareName(fulldomain)}.`
  const checkPlace = (fqdn: string): void => {
    checkName(fqdn, driver)
    if (bareName(fqdn) === bareName(home)) return
    throw new RotationError('solver-zone-missing', `${driver}: ${fqdn} is not an alias of ${home}`, {
      retry: 'never',
      hint: `Make this record where the domain is hosted: ${fqdn} CNAME ${home}`,
    })
  }
  return {
    propagation,
    prepare: async (fqdn: string, run: Run): Promise<null> => {
      checkPlace(fqdn)
      const request = (): Omit<HttpRequest, 'signal'> => ({ method: 'GET', url: `${endpoint}/health` })
      const call = { operation: 'GET /health', request, changes: false, expect: v.unknown() }
      await service.call(call, run).catch(error => {
        // Servers before 0.8 have no such path: they are there all the same.
        if ((error as RotationError).code !== 'service-refused') throw error
      })
      return null
    },
    present: async (fqdn: string, value: string, run: Run): Promise<void> => {
      checkPlace(fqdn)
      await inTurn(`acmedns ${endpoint} ${home}`, `${driver}: POST /update`, run, () => write(value, run))
    },
    cleanUp: async (fqdn: string): Promise<void> => checkPlace(fqdn),
  }
}

/**
 * acme-dns: a name server for challenges alone. Each name must be a CNAME record that points at the account's
 * `fulldomain`. The server keeps an account's last two values, enough for a wildcard with its apex, and has no call
 * to read or remove them: a third value pushes out the oldest, and `cleanUp` does nothing by nature. So an account
 * must not be shared by unrelated names. https://github.com/joohoi/acme-dns
 * @throws RotationError `solver-zone-missing` (the CNAME record is missing), `unauthorized`, `unreachable`,
 *   `unavailable`, `throttled`, `service-refused`, `out-of-time`
 */
export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://github.com/joohoi/acme-dns',
    says: 'a server that `_acme-challenge` leads to by CNAME: `endpoint`, `subdomain`, `username`, `password`, `fulldomain`',
  },
})
