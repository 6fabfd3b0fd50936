import * as v from 'valibot'
import type { HuaweiCall, HuaweiClient } from '../../lib/clouds/huawei/client.ts'
import { serviceErrorOf } from '../../lib/http/api-call.ts'

/** A function's configuration, as far as it is compared; whatever else the service says is kept out. */
const shown = v.object({
  func_urn: v.string(),
  runtime: v.optional(v.string()),
  handler: v.optional(v.string()),
  timeout: v.optional(v.number()),
  memory_size: v.optional(v.number()),
  xrole: v.optional(v.nullable(v.string())),
  user_data: v.optional(v.nullable(v.string())),
  description: v.optional(v.nullable(v.string())),
  initializer_handler: v.optional(v.nullable(v.string())),
  initializer_timeout: v.optional(v.nullable(v.number())),
  /** SHA-512 of the code, as far as it is known. */
  digest: v.optional(v.nullable(v.string())),
  strategy_config: v.optional(v.nullable(v.object({ concurrency: v.optional(v.nullable(v.number())) }))),
})
export type ShownFunction = v.InferOutput<typeof shown>

const timer = v.object({
  trigger_id: v.string(),
  trigger_type_code: v.string(),
  trigger_status: v.optional(v.string()),
  event_data: v.optional(v.record(v.string(), v.unknown()), {}),
})
export type Trigger = v.InferOutput<typeof timer>

const asyncInvoke = v.object({
  max_async_retry_attempts: v.optional(v.number()),
  max_async_event_age_in_seconds: v.optional(v.number()),
  destination_config: v.optional(v.nullable(v.record(v.string(), v.unknown()))),
})
export type AsyncInvoke = v.InferOutput<typeof asyncInvoke>

/** The calls of FunctionGraph that a deployment makes. https://support.huaweicloud.com/intl/en-us/api-functiongraph/ */
export interface FunctionGraphApi {
  show(): Promise<ShownFunction | null>
  create(body: object): Promise<void>
  updateConfig(body: object): Promise<void>
  updateCode(body: object): Promise<void>
  limitInstances(count: number): Promise<void>
  triggers(): Promise<readonly Trigger[]>
  addTrigger(body: object): Promise<void>
  removeTrigger(trigger: Trigger): Promise<void>
  asyncInvoke(): Promise<AsyncInvoke | null>
  setAsyncInvoke(body: AsyncInvoke): Promise<void>
}

/**
 * How the service says that a function, or something of it, is not there; Huawei's Terraform provider takes the last
 * two for that as well. https://support.huaweicloud.com/intl/en-us/api-functiongraph/ErrorCode.html
 */
const isGone = (error: unknown): boolean => {
  const { status = 0, code } = serviceErrorOf(error) ?? {}
  if (status === 404) return code?.startsWith('FSS.') === true
  return ['401 FSS.0401', '500 FSS.0500'].includes(`${status} ${code}`)
}

/** Null where the service says that it is not there. */
const ifThere = async <T>(work: Promise<T>): Promise<T | null> =>
  work.catch(error => {
    if (isGone(error)) return null
    throw error
  })

export function openApi(client: HuaweiClient, urn: string): FunctionGraphApi {
  const root = `/v2/${encodeURIComponent(client.projectId ?? '')}/fgs`
  const one = `${root}/functions/${encodeURIComponent(urn)}`
  const timers = `${root}/triggers/${encodeURIComponent(urn)}`
  const change = async (
    operation: string,
    method: HuaweiCall['method'],
    path: string,
    body?: object,
    retry: HuaweiCall['retry'] = 'safe',
  ): Promise<void> => {
    const iamAction = `functiongraph:function:${operation[0]?.toLowerCase()}${operation.slice(1)}`
    await client.call({ operation, method, path, retry, iamAction, ...(body ? { body } : {}) })
  }
  const iamAction = 'functiongraph:function:getFunctionConfig'
  return {
    show: () =>
      ifThere(
        client.call({
          operation: 'ShowFunctionConfig',
          method: 'GET',
          path: `${one}/config`,
          iamAction,
          expect: shown,
        }),
      ),
    // A second one is refused by its name.
    create: body => change('CreateFunction', 'POST', `${root}/functions`, body, 'never'),
    updateConfig: async body => {
      const call = { operation: 'UpdateFunctionConfig', method: 'PUT', path: `${one}/config`, body } as const
      const about = { retry: 'safe', iamAction: 'functiongraph:function:updateFunctionConfig' } as const
      // Secrets of the settings are in it.
      await client.call({ ...call, ...about, isConfidential: true })
    },
    updateCode: body => change('UpdateFunctionCode', 'PUT', `${one}/code`, body),
    limitInstances: count =>
      change('UpdateFunctionMaxInstanceConfig', 'PUT', `${one}/config-max-instance`, {
        max_instance_num: count,
      }),
    triggers: () =>
      client.call({
        operation: 'ListFunctionTriggers',
        method: 'GET',
        path: timers,
        iamAction: 'functiongraph:trigger:list',
        expect: v.array(timer),
      }),
    addTrigger: body => change('CreateFunctionTrigger', 'POST', timers, body, 'never'),
    // Gone already: asked a second time because the first answer was lost.
    removeTrigger: async ({ trigger_type_code: type, trigger_id: id }) => {
      const path = `${timers}/${type}/${encodeURIComponent(id)}`
      await ifThere(change('DeleteFunctionTrigger', 'DELETE', path))
    },
    asyncInvoke: () =>
      ifThere(
        client.call({
          ...{
            operation: 'ShowFunctionAsyncInvokeConfig',
            method: 'GET',
            path: `${one}/async-invoke-config`,
          },
          iamAction: 'functiongraph:function:getAsyncInvokeConfig',
          expect: asyncInvoke,
        }),
      ),
    setAsyncInvoke: body =>
      change('UpdateFunctionAsyncInvokeConfig', 'PUT', `${one}/async-invoke-config`, body),
  }
}
