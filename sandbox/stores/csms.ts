import { randomUUID } from 'node:crypto'
import { unknownRoute } from '../iotda/auth.ts'
import { type AccessKey, verifySignature } from '../iotda/signature.ts'
import type { Faults } from '../kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from '../kit/http.ts'

export interface CsmsSwitches {
  /** What an absent secret is answered with: 400, as the table of error codes says, or 404. */
  absentStatus: 400 | 404
  /** Actions that the key may not do, e.g. `csms:secret:create`. */
  denied: readonly string[]
}

export interface CsmsSecret {
  readonly name: string
  /** By number; the newest 20. */
  readonly versions: Map<number, string>
  /** How many were ever made. */
  made: number
  /** Number of a version by stage. */
  readonly stages: Map<string, number>
  scheduledForDeletion: boolean
}

export interface CsmsOptions {
  readonly faults: Faults
  readonly keys: ReadonlyMap<string, AccessKey>
  readonly projectId: string
  readonly region?: string
  readonly now?: () => number
  readonly switches?: Partial<CsmsSwitches>
}

export interface Csms extends Served {
  readonly switches: CsmsSwitches
  /** By name. */
  readonly secrets: Map<string, CsmsSecret>
}

const SIZE_AT_MOST = 32 * 1024
const VERSIONS_AT_MOST = 20

/** https://support.huaweicloud.com/intl/en-us/api-dew/ErrorCode.html */
const problem = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error_code: code, error_msg: message },
})

const parse = (body: string): Readonly<Record<string, unknown>> | null => {
  try {
    return JSON.parse(body) as Record<string, unknown>
  } catch {
    return null
  }
}

const scheduled = (): Answer => problem(400, 'CSMS.0103', 'The secret is in the scheduled deletion state.')

/** CSMS: secrets with numbered versions. https://support.huaweicloud.com/intl/en-us/api-dew/CreateSecretVersion.html */
export async function createCsms(options: CsmsOptions): Promise<Csms> {
  const { faults, keys, projectId, region = 'cn-north-4', now = Date.now } = options
  const secrets = new Map<string, CsmsSecret>()
  const switches: CsmsSwitches = { absentStatus: 400, denied: [], ...options.switches }
  const absent = (): Answer =>
    problem(switches.absentStatus, 'CSMS.0106', 'The secret name not found int the db.')

  const metadata = (secret: CsmsSecret, number: number) => ({
    id: `v${number}`,
    create_time: Math.floor(now() / 1000),
    kms_key_id: '0d0466b0-e727-4d9c-b35d-f84bb474a37f',
    secret_name: secret.name,
    version_stages: [...secret.stages].filter(([, at]) => at === number).map(([stage]) => stage),
  })
  const add = (secret: CsmsSecret, text: string): number => {
    secret.made += 1
    secret.versions.set(secret.made, text)
    const before = secret.stages.get('SYSCURRENT')
    if (before !== undefined) secret.stages.set('SYSPREVIOUS', before)
    secret.stages.set('SYSCURRENT', secret.made)
    const labelled = new Set(secret.stages.values())
    for (const number of secret.versions.keys())
      if (secret.versions.size > VERSIONS_AT_MOST && !labelled.has(number)) secret.versions.delete(number)
    return secret.made
  }
  const textIn = (call: Call): string | Answer => {
    const text = parse(call.body)?.secret_string
    if (typeof text !== 'string' || text === '')
      return problem(400, 'CSMS.0004', 'The requested body format is wrong.')
    if (Buffer.byteLength(text) > SIZE_AT_MOST)
      return problem(400, 'CSMS.0002', 'The value of parameter secret_string is invalid.')
    return text
  }

  const create = (call: Call): Answer => {
    const name = String(parse(call.body)?.name ?? '')
    const text = textIn(call)
    if (typeof text !== 'string') return text
    if (!/^[a-zA-Z0-9_-]{1,64}$/.test(name))
      return problem(400, 'CSMS.0002', 'The value of parameter name is invalid.')
    const there = secrets.get(name)
    if (there?.scheduledForDeletion)
      return problem(400, 'CSMS.0107', 'The secret is in schedule delete state.')
    // The code of a name that is taken is not published.
    if (there) return problem(400, 'CSMS.9999', 'The secret name already exists.')
    const secret: CsmsSecret = {
      name,
      versions: new Map(),
      made: 0,
      stages: new Map(),
      scheduledForDeletion: false,
    }
    secrets.set(name, secret)
    add(secret, text)
    return {
      status: 200,
      body: { secret: { id: randomUUID(), name, state: 'ENABLED', secret_type: 'COMMON' } },
    }
  }

  const onSecret =
    (handle: (secret: CsmsSecret, call: Call) => Answer) =>
    (call: Call): Answer => {
      const secret = secrets.get(call.params.name ?? '')
      if (!secret) return absent()
      return secret.scheduledForDeletion ? scheduled() : handle(secret, call)
    }
  const addVersion = onSecret((secret, call) => {
    const text = textIn(call)
    if (typeof text !== 'string') return text
    return { status: 200, body: { version_metadata: metadata(secret, add(secret, text)) } }
  })
  const show = onSecret((secret, { params: { id = '' } }) => {
    const number = id === 'latest' ? Math.max(...secret.versions.keys()) : Number(id.replace(/^v/, ''))
    const text = secret.versions.get(number)
    if (text === undefined) return problem(switches.absentStatus, 'CSMS.0005', 'The resource does not exist.')
    return {
      status: 200,
      body: { version: { version_metadata: metadata(secret, number), secret_string: text } },
    }
  })
  const stage = onSecret((secret, { params: { stage: name = '' } }) => {
    const number = secret.stages.get(name)
    if (number === undefined)
      return problem(switches.absentStatus, 'CSMS.0005', 'The resource does not exist.')
    return { status: 200, body: { stage: { name, secret_name: secret.name, version_id: `v${number}` } } }
  })
  const remove = onSecret(secret => {
    secrets.delete(secret.name)
    return { status: 204 }
  })

  const root = '/v1/:project/secrets'
  const route = (
    method: string,
    path: string,
    operation: string,
    action: string,
    handle: (call: Call) => Answer,
  ): Route => ({
    method,
    path,
    operation,
    handle: call => {
      if (call.params.project !== projectId) return problem(403, 'CSMS.0001', 'The project is not yours.')
      if (switches.denied.includes(action))
        return problem(403, 'CSMS.0001', `Policy does not allow ${action} to be performed.`)
      return handle(call)
    },
  })
  const served = await serve({
    service: 'csms',
    faults,
    routes: [
      route('POST', root, 'CreateSecret', 'csms:secret:create', create),
      route('POST', `${root}/:name/versions`, 'CreateSecretVersion', 'csms:secret:createVersion', addVersion),
      route('GET', `${root}/:name/versions/:id`, 'ShowSecretVersion', 'csms:secret:getVersion', show),
      route('GET', `${root}/:name/stages/:stage`, 'ShowSecretStage', 'csms:secret:getStage', stage),
      route('DELETE', `${root}/:name`, 'DeleteSecret', 'csms:secret:delete', remove),
    ],
    before: call => {
      const verdict = verifySignature(call, { keys, algorithm: 'SDK-HMAC-SHA256', region, now: now() })
      if (verdict.ok) return null
      return problem(401, 'APIGW.0301', `Incorrect IAM authentication information: ${verdict.message}`)
    },
    headers: () => ({ 'x-request-id': randomUUID() }),
    notFound: unknownRoute,
  })
  return { ...served, switches, secrets }
}
