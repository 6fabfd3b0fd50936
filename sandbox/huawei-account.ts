import { randomBytes, randomUUID } from 'node:crypto'
import { gatewayError, unknownRoute } from './iotda/auth.ts'
import { type AccessKey, verifySignature } from './iotda/signature.ts'
import type { Faults } from './kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from './kit/http.ts'

/** What a deployment by Terraform needs of an account besides FunctionGraph: IAM's policies and agencies, SMN's topics. */
export interface HuaweiAccount extends Served {
  /** By id; each document of a policy is a version of it, the newest the default. */
  readonly policies: Map<string, { readonly name: string; readonly documents: string[] }>
  /** By id. */
  readonly agencies: Map<string, { readonly name: string; readonly attached: Set<string> }>
  /** By URN, with the endpoints that subscribed. */
  readonly topics: Map<string, { readonly name: string; readonly subscribers: Map<string, Json> }>
}

type Json = Record<string, unknown>

export interface HuaweiAccountOptions {
  readonly faults: Faults
  readonly keys: ReadonlyMap<string, AccessKey>
  readonly projectId: string
  readonly region?: string
}

const id = (): string => randomBytes(16).toString('hex')
const parse = (body: string): Json => (body === '' ? {} : JSON.parse(body))
const ok = (body: object, status = 200): Answer => ({ status, body })
/** https://support.huaweicloud.com/intl/en-us/api-iam5/ErrorCode.html */
const refusal = (status: number, code: string, message: string): Answer =>
  ok({ error_code: code, error_msg: message, request_id: id() }, status)
const absent = (): Answer => refusal(404, 'PAP5.0012', 'The resource does not exist.')
const VERSIONS_AT_MOST = 5
const AT = '2026-01-01T00:00:00.000Z'

/** https://support.huaweicloud.com/intl/en-us/api-iam5/CreatePolicyV5.html */
function policyRoutes({
  policies,
  agencies,
}: Pick<HuaweiAccount, 'policies' | 'agencies'>): readonly Route[] {
  const bodies = new Map<string, Json>()
  const attachedTo = (policy: string): number =>
    [...agencies.values()].filter(({ attached }) => attached.has(policy)).length
  const shown = (policy: string): Json => ({
    ...bodies.get(policy),
    ...{ policy_id: policy, policy_type: 'custom', urn: `iam::d:policy:${bodies.get(policy)?.policy_name}` },
    ...{ default_version_id: `v${policies.get(policy)?.documents.length}`, created_at: AT, updated_at: AT },
    attachment_count: attachedTo(policy),
  })
  const on = (handle: (policy: string, call: Call) => Answer) => (call: Call) =>
    policies.has(call.params.id ?? '') ? handle(call.params.id ?? '', call) : absent()
  const attach = (change: (attached: Set<string>, policy: string) => void) =>
    on((policy, call) => {
      const agency = agencies.get(String(parse(call.body).agency_id))
      if (!agency) return absent()
      change(agency.attached, policy)
      return { status: 200 }
    })
  return [
    {
      ...{ method: 'POST', path: '/v5/policies', operation: 'CreatePolicy' },
      handle: call => {
        const { policy_document: document, ...body } = parse(call.body)
        const name = String(body.policy_name)
        if ([...policies.values()].some(it => it.name === name))
          return refusal(409, 'PAP5.0017', 'The policy already exists.')
        const made = id()
        policies.set(made, { name, documents: [String(document)] })
        bodies.set(made, { path: '', ...body })
        return ok({ policy: shown(made) }, 201)
      },
    },
    {
      ...{ method: 'GET', path: '/v5/policies', operation: 'ListPolicies' },
      handle: () => ok({ policies: [...policies.keys()].map(shown), page_info: { next_marker: '' } }),
    },
    {
      ...{ method: 'GET', path: '/v5/policies/:id', operation: 'GetPolicy' },
      handle: on(policy => ok({ policy: shown(policy) })),
    },
    {
      ...{ method: 'DELETE', path: '/v5/policies/:id', operation: 'DeletePolicy' },
      handle: on(policy => {
        if (attachedTo(policy) > 0) return refusal(409, 'PAP5.0025', 'The policy is attached.')
        policies.delete(policy)
        return { status: 204 }
      }),
    },
    {
      ...{ method: 'GET', path: '/v5/policies/:id/versions', operation: 'ListPolicyVersions' },
      handle: on(policy => {
        const { documents = [] } = policies.get(policy) ?? {}
        const versions = documents.map((document, at) => ({
          ...{ version_id: `v${at + 1}`, document, is_default: at === documents.length - 1, created_at: AT },
        }))
        return ok({ versions: versions.toReversed(), page_info: { next_marker: '' } })
      }),
    },
    {
      ...{ method: 'POST', path: '/v5/policies/:id/versions', operation: 'CreatePolicyVersion' },
      handle: on((policy, call) => {
        const { documents = [] } = policies.get(policy) ?? {}
        if (documents.length >= VERSIONS_AT_MOST)
          return refusal(409, 'PAP5.0028', 'The number of versions has reached the limit.')
        documents.push(String(parse(call.body).policy_document))
        return ok({ policy_version: { version_id: `v${documents.length}`, is_default: true } }, 201)
      }),
    },
    {
      ...{ method: 'POST', path: '/v5/policies/:id/attach-agency', operation: 'AttachAgencyPolicy' },
      handle: attach((attached, policy) => attached.add(policy)),
    },
    {
      ...{ method: 'POST', path: '/v5/policies/:id/detach-agency', operation: 'DetachAgencyPolicy' },
      handle: attach((attached, policy) => attached.delete(policy)),
    },
  ]
}

/** https://support.huaweicloud.com/intl/en-us/api-iam5/CreateAgencyV5.html */
function agencyRoutes({
  policies,
  agencies,
}: Pick<HuaweiAccount, 'policies' | 'agencies'>): readonly Route[] {
  const bodies = new Map<string, Json>()
  const shown = (agency: string): Json => ({
    ...{ path: '', max_session_duration: 3600, ...bodies.get(agency) },
    ...{ agency_id: agency, urn: `iam::d:agency:${agencies.get(agency)?.name}`, created_at: AT },
  })
  const on = (handle: (agency: string, call: Call) => Answer) => (call: Call) =>
    agencies.has(call.params.id ?? '') ? handle(call.params.id ?? '', call) : absent()
  return [
    {
      ...{ method: 'POST', path: '/v5/agencies', operation: 'CreateAgency' },
      handle: call => {
        const made = id()
        const body = parse(call.body)
        agencies.set(made, { name: String(body.agency_name), attached: new Set() })
        bodies.set(made, body)
        return ok({ agency: shown(made) }, 201)
      },
    },
    {
      ...{ method: 'GET', path: '/v5/agencies/:id', operation: 'GetAgency' },
      handle: on(agency => ok({ agency: shown(agency) })),
    },
    {
      ...{ method: 'DELETE', path: '/v5/agencies/:id', operation: 'DeleteAgency' },
      handle: on(agency => {
        if (agencies.get(agency)?.attached.size) return refusal(409, 'PAP5.0026', 'Policies are attached.')
        agencies.delete(agency)
        return { status: 204 }
      }),
    },
    {
      ...{ method: 'GET', path: '/v5/agencies/:id/attached-policies', operation: 'ListAttachedPolicies' },
      handle: on(agency => {
        const attached = [...(agencies.get(agency)?.attached ?? [])].map(policy => ({
          ...{ policy_id: policy, policy_name: policies.get(policy)?.name },
        }))
        return ok({ attached_policies: attached, page_info: { next_marker: '' } })
      }),
    },
  ]
}

/** https://support.huaweicloud.com/intl/en-us/api-smn/CreateTopic.html */
function topicRoutes(topics: HuaweiAccount['topics'], projectId: string, region: string): readonly Route[] {
  const bodies = new Map<string, Json>()
  const root = '/v2/:project/notifications'
  const gone = (): Answer =>
    ok({ request_id: id(), code: 'SMN.00010008', message: 'topic does not exist' }, 404)
  const on = (handle: (urn: string, call: Call) => Answer) => (call: Call) =>
    topics.has(call.params.urn ?? '') ? handle(call.params.urn ?? '', call) : gone()
  const accepted = (more: Json = {}, status = 200): Answer => ok({ request_id: id(), ...more }, status)
  return [
    {
      ...{ method: 'POST', path: `${root}/topics`, operation: 'CreateTopic' },
      handle: call => {
        const body = parse(call.body)
        const urn = `urn:smn:${region}:${projectId}:${body.name}`
        topics.set(urn, { name: String(body.name), subscribers: new Map() })
        bodies.set(urn, body)
        return accepted({ topic_urn: urn }, 201)
      },
    },
    {
      ...{ method: 'GET', path: `${root}/topics/:urn`, operation: 'ListTopicDetails' },
      handle: on(urn =>
        accepted({
          ...{ enterprise_project_id: '0', push_policy: 0, create_time: AT, update_time: AT },
          ...bodies.get(urn),
          topic_urn: urn,
        }),
      ),
    },
    {
      ...{ method: 'DELETE', path: `${root}/topics/:urn`, operation: 'DeleteTopic' },
      handle: on(urn => {
        topics.delete(urn)
        return accepted()
      }),
    },
    {
      ...{ method: 'GET', path: `${root}/topics/:urn/attributes`, operation: 'ListTopicAttributes' },
      handle: on(() => accepted({ attributes: { access_policy: '', introduction: '' } })),
    },
    {
      ...{ method: 'GET', path: '/v2/:project/smn_topic/:name/tags', operation: 'ListResourceTags' },
      handle: () => ok({ tags: [] }),
    },
    {
      ...{ method: 'POST', path: `${root}/topics/:urn/subscriptions`, operation: 'AddSubscription' },
      handle: on((urn, call) => {
        const subscription = `${urn}:${id()}`
        topics.get(urn)?.subscribers.set(subscription, parse(call.body))
        return accepted({ subscription_urn: subscription }, 201)
      }),
    },
    {
      ...{ method: 'GET', path: `${root}/topics/:urn/subscriptions`, operation: 'ListSubscriptionsByTopic' },
      handle: on((urn, { query }) => {
        const offset = Number(query.get('offset') ?? 0)
        const all = [...(topics.get(urn)?.subscribers ?? [])].map(([subscription, body]) => ({
          ...{
            remark: '',
            ...body,
            topic_urn: urn,
            subscription_urn: subscription,
            owner: projectId,
            status: 0,
          },
        }))
        return accepted({ subscription_count: all.length, subscriptions: all.slice(offset) })
      }),
    },
    {
      ...{ method: 'DELETE', path: `${root}/subscriptions/:subscription`, operation: 'CancelSubscription' },
      handle: call => {
        for (const { subscribers } of topics.values()) subscribers.delete(call.params.subscription ?? '')
        return accepted()
      },
    },
  ]
}

/** IAM and SMN of one account, at one address. */
export async function createHuaweiAccount(options: HuaweiAccountOptions): Promise<HuaweiAccount> {
  const { faults, keys, projectId, region = 'cn-north-4' } = options
  const account = { policies: new Map(), agencies: new Map(), topics: new Map() }
  const served = await serve({
    service: 'account',
    faults,
    routes: [
      ...policyRoutes(account),
      ...agencyRoutes(account),
      ...topicRoutes(account.topics, projectId, region),
    ],
    before: call => {
      const verdict = verifySignature(call, { keys, algorithm: 'SDK-HMAC-SHA256', region, now: Date.now() })
      return verdict.ok ? null : gatewayError(401, 'APIGW.0301', verdict.message, id())
    },
    headers: () => ({ 'x-request-id': randomUUID() }),
    notFound: unknownRoute,
  })
  return { ...served, ...account }
}
