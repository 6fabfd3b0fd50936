import { createHash, randomUUID } from 'node:crypto'
import { unknownRoute } from './iotda/auth.ts'
import { type AccessKey, verifySignature } from './iotda/signature.ts'
import type { Faults } from './kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from './kit/http.ts'

/** A function as the service keeps it. */
export interface SimulatedFunction {
  readonly urn: string
  readonly config: Record<string, unknown>
  code: Buffer
  codeFilename: string
  maxInstances: number
  readonly triggers: Trigger[]
  asyncInvoke: Record<string, unknown> | null
}

interface Trigger {
  readonly id: string
  readonly type: string
  status: string
  readonly createdAt: string
  updatedAt: string
  data: Record<string, unknown>
}

export interface FunctionGraphOptions {
  readonly faults: Faults
  readonly keys: ReadonlyMap<string, AccessKey>
  readonly projectId: string
  readonly region?: string
  readonly now?: () => number
}

export interface FunctionGraph extends Served {
  /** By URN without the version. */
  readonly functions: Map<string, SimulatedFunction>
}

/** https://support.huaweicloud.com/intl/en-us/api-functiongraph/ErrorCode.html */
const problem = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error_code: code, error_msg: message },
})
const invalid = (what: string): Answer =>
  problem(400, 'FSS.0400', `The request parameter ${what} is invalid.`)

const parse = (body: string): Record<string, unknown> => {
  try {
    return JSON.parse(body) as Record<string, unknown>
  } catch {
    return {}
  }
}

const RUNTIMES = ['Node.js14.18', 'Node.js16.17', 'Node.js18.15', 'Node.js20.15']
const MEMORY_MB = [128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048]
/** https://support.huaweicloud.com/intl/en-us/usermanual-functiongraph/functiongraph_01_0908.html */
const CRON = /^(CRON_TZ=[A-Za-z]+(\/[A-Za-z_]+)* )?([-\d*/,?]+ ){4,5}[-\d*/,?]+$|^@every (\d+h)?(\d+m)?$/
const ENVIRONMENT_AT_MOST = 4_096

/** What is wrong with a configuration, by the limits of the guide. */
function mistakeIn(config: Record<string, unknown>): string | null {
  const { runtime, timeout, memory_size, handler, user_data, encrypted_user_data } = config
  if (!RUNTIMES.includes(String(runtime))) return 'runtime'
  if (typeof timeout !== 'number' || timeout < 3 || timeout > 259_200) return 'timeout'
  if (!MEMORY_MB.includes(Number(memory_size))) return 'memory_size'
  if (!/^[\w-]+\.[\w-]+$/.test(String(handler))) return 'handler'
  for (const [name, text] of Object.entries({ user_data, encrypted_user_data })) {
    if (text === undefined) continue
    const entries = Object.keys(parse(String(text)))
    const fits = String(text).length <= ENVIRONMENT_AT_MOST && entries.length <= 20
    if (!fits || !entries.every(key => /^[A-Za-z]\w*$/.test(key))) return name
  }
  return null
}

/** FunctionGraph's management of functions, triggers and asynchronous invocation. */
export async function createFunctionGraph(options: FunctionGraphOptions): Promise<FunctionGraph> {
  const { faults, keys, projectId, region = 'cn-north-4', now = Date.now } = options
  const functions = new Map<string, SimulatedFunction>()
  const absent = (): Answer => problem(404, 'FSS.1051', 'Not found the function.')
  const find = ({ params }: Call): SimulatedFunction | undefined =>
    functions.get((params.urn ?? '').replace(/:latest$/, ''))
  const onFunction =
    (handle: (found: SimulatedFunction, call: Call) => Answer) =>
    (call: Call): Answer => {
      const found = find(call)
      return found ? handle(found, call) : absent()
    }

  const shownBody = (it: SimulatedFunction) => {
    const { encrypted_user_data: secret, ...visible } = it.config
    return {
      ...visible,
      func_urn: `${it.urn}:latest`,
      version: 'latest',
      code_type: 'zip',
      code_filename: it.codeFilename,
      digest: createHash('sha512').update(it.code).digest('hex'),
      code_size: it.code.length,
      strategy_config: { concurrency: it.maxInstances, concurrent_num: 1 },
      // Encrypted values never come back.
      ...(secret === undefined ? {} : { encrypted_user_data: '{}' }),
    }
  }
  const shown = (it: SimulatedFunction): Answer => ({ status: 200, body: shownBody(it) })
  const codeIn = (body: Record<string, unknown>): Pick<SimulatedFunction, 'code' | 'codeFilename'> | null => {
    const { file } = (body.func_code ?? {}) as { file?: unknown }
    if (body.code_type !== 'zip' || typeof body.code_filename !== 'string' || typeof file !== 'string')
      return null
    const code = Buffer.from(file, 'base64')
    return code.toString('latin1', 0, 4) === 'PK\x03\x04' ? { code, codeFilename: body.code_filename } : null
  }
  const create = (call: Call): Answer => {
    const { func_code: _c, code_type: _t, code_filename: _f, ...config } = parse(call.body)
    const code = codeIn(parse(call.body))
    const mistake = code === null ? 'func_code' : mistakeIn(config)
    if (mistake !== null || code === null) return invalid(mistake ?? 'func_code')
    const urn = `urn:fss:${region}:${projectId}:function:${config.package}:${config.func_name}`
    if (functions.has(urn)) return problem(409, 'FSS.0409', 'The function already exists.')
    const made = { urn, config, ...code, maxInstances: 400, triggers: [], asyncInvoke: null }
    functions.set(urn, made)
    return shown(made)
  }
  const updateConfig = onFunction((it, call) => {
    const next = { ...it.config, ...parse(call.body) }
    const mistake = mistakeIn(next)
    if (mistake !== null) return invalid(mistake)
    Object.assign(it.config, next)
    return shown(it)
  })
  const updateCode = onFunction((it, call) => {
    const code = codeIn(parse(call.body))
    if (code === null) return invalid('func_code')
    Object.assign(it, code)
    const { func_name, runtime } = it.config
    const { func_urn, code_type, code_filename, digest, code_size, strategy_config } = shownBody(it)
    const changed = { func_urn, code_type, code_filename, digest, code_size, strategy_config }
    return { status: 200, body: { ...changed, func_name, runtime } }
  })
  const remove = onFunction(it => {
    functions.delete(it.urn)
    return { status: 204 }
  })
  // A function has the one version, and no alias, until somebody publishes one.
  const versions = onFunction(it => {
    const { description: _, ...shown }: Record<string, unknown> = shownBody(it)
    return { status: 200, body: { versions: [shown], next_marker: 1, count: 1 } }
  })
  const limit = onFunction((it, call) => {
    const { max_instance_num: number } = parse(call.body)
    if (typeof number !== 'number' || number < -1 || number > 1000) return invalid('max_instance_num')
    it.maxInstances = number
    return shown(it)
  })

  const trigger = ({ id, type, status, data, createdAt, updatedAt }: Trigger) => ({
    ...{ trigger_id: id, trigger_type_code: type, trigger_status: status, event_data: data },
    ...{ created_time: createdAt, last_updated_time: updatedAt },
  })
  const dateNow = (): string => new Date(now()).toISOString().replace(/\.\d+Z$/, '+00:00')
  const isWrong = (data: Record<string, unknown>): boolean =>
    data.schedule_type === 'Cron' ? !CRON.test(String(data.schedule)) : data.schedule_type !== 'Rate'
  const STATUSES = ['ACTIVE', 'DISABLED']
  const onTrigger = (handle: (found: Trigger, of: SimulatedFunction, call: Call) => Answer) =>
    onFunction((it, call) => {
      const found = it.triggers.find(({ id, type }) => id === call.params.id && type === call.params.type)
      return found ? handle(found, it, call) : problem(404, 'FSS.0404', 'Not found the trigger.')
    })
  const addTrigger = onFunction((it, call) => {
    const body = parse(call.body)
    const data = (body.event_data ?? {}) as Record<string, unknown>
    const { event_type_code: eventType = 'MessageCreated', trigger_status: status = 'ACTIVE' } = body
    if (body.trigger_type_code !== 'TIMER') return invalid('trigger_type_code')
    if (eventType !== 'MessageCreated') return invalid('event_type_code')
    if (!STATUSES.includes(String(status))) return invalid('trigger_status')
    if (isWrong(data)) return invalid('schedule')
    if (it.triggers.some(other => other.data.name === data.name))
      return problem(409, 'FSS.0409', 'The trigger already exists.')
    const at = { createdAt: dateNow(), updatedAt: dateNow() }
    const made = { id: randomUUID(), type: 'TIMER', status: String(status), data, ...at }
    it.triggers.push(made)
    return { status: 201, body: trigger(made) }
  })
  const updateTrigger = onTrigger((it, _of, call) => {
    const { trigger_status: status = it.status, event_data: data = it.data } = parse(call.body)
    if (!STATUSES.includes(String(status))) return invalid('trigger_status')
    if (isWrong(data as Trigger['data'])) return invalid('schedule')
    Object.assign(it, { status, data, updatedAt: dateNow() })
    return { status: 200, body: trigger(it) }
  })
  const removeTrigger = onTrigger((it, of) => {
    of.triggers.splice(of.triggers.indexOf(it), 1)
    return { status: 204 }
  })

  const showAsync = onFunction(it =>
    it.asyncInvoke
      ? { status: 200, body: it.asyncInvoke }
      : problem(404, 'FSS.0404', 'Not found the config.'),
  )
  const setAsync = onFunction((it, call) => {
    const body = parse(call.body)
    const { max_async_retry_attempts: attempts, max_async_event_age_in_seconds: age } = body
    if (typeof attempts !== 'number' || attempts < 0 || attempts > 3)
      return invalid('max_async_retry_attempts')
    if (typeof age !== 'number' || age < 1 || age > 86_400) return invalid('max_async_event_age_in_seconds')
    it.asyncInvoke = { func_urn: `${it.urn}:latest`, ...body }
    return { status: 200, body: it.asyncInvoke }
  })

  const root = '/v2/:project/fgs'
  const route = (method: string, path: string, operation: string, handle: (call: Call) => Answer): Route => ({
    method,
    path: `${root}${path}`,
    operation,
    handle: call =>
      call.params.project === projectId
        ? handle(call)
        : problem(403, 'FSS.0403', 'The project is not yours.'),
  })
  const served = await serve({
    service: 'functiongraph',
    faults,
    routes: [
      route('POST', '/functions', 'CreateFunction', create),
      route('GET', '/functions/:urn/config', 'ShowFunctionConfig', onFunction(shown)),
      route('PUT', '/functions/:urn/config', 'UpdateFunctionConfig', updateConfig),
      route('PUT', '/functions/:urn/code', 'UpdateFunctionCode', updateCode),
      route('DELETE', '/functions/:urn', 'DeleteFunction', remove),
      route('GET', '/functions/:urn/versions', 'ListFunctionVersions', versions),
      route(
        'GET',
        '/functions/:urn/aliases',
        'ListVersionAliases',
        onFunction(() => ({ status: 200, body: [] })),
      ),
      route('GET', '/functions/reservedinstanceconfigs', 'ListReservedInstanceConfigs', () => ({
        status: 200,
        body: { reserved_instances: [], page_info: { next_marker: 0, previous_marker: 0, current_count: 0 } },
      })),
      route('PUT', '/functions/:urn/config-max-instance', 'UpdateFunctionMaxInstanceConfig', limit),
      route('GET', '/functions/:urn/async-invoke-config', 'ShowFunctionAsyncInvokeConfig', showAsync),
      route('PUT', '/functions/:urn/async-invoke-config', 'UpdateFunctionAsyncInvokeConfig', setAsync),
      route(
        'GET',
        '/triggers/:urn',
        'ListFunctionTriggers',
        onFunction(it => ({ status: 200, body: it.triggers.map(trigger) })),
      ),
      route('POST', '/triggers/:urn', 'CreateFunctionTrigger', addTrigger),
      route(
        'GET',
        '/triggers/:urn/:type/:id',
        'ShowFunctionTrigger',
        onTrigger(it => ({ status: 200, body: trigger(it) })),
      ),
      route('PUT', '/triggers/:urn/:type/:id', 'UpdateTrigger', updateTrigger),
      route('DELETE', '/triggers/:urn/:type/:id', 'DeleteFunctionTrigger', removeTrigger),
    ],
    notFound: unknownRoute,
    before: call => {
      const verdict = verifySignature(call, { keys, algorithm: 'SDK-HMAC-SHA256', region, now: now() })
      if (verdict.ok) return null
      return problem(401, 'APIGW.0301', `Incorrect IAM authentication information: ${verdict.message}`)
    },
    headers: () => ({ 'x-request-id': randomUUID() }),
  })
  return { ...served, functions }
}
