/** Huawei's Python SDK drives the sandbox through every operation that the program uses, and reads every answer. */
import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { createSmn } from '../../sandbox/alerts/topics.ts'
import { createFunctionGraph } from '../../sandbox/functiongraph.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { createCsms } from '../../sandbox/stores/csms.ts'
import { createPki, domain, start, uploadOf } from '../sandbox/iotda-rig.ts'
import { cleanups } from '../support/cleanups.ts'
import { KEY, open as openDns } from '../support/sandbox-huawei-dns.ts'
import { pythonVersions, pythonWith, ran } from '../support/strangers.ts'
import { SDK_PACKAGES, type Sdk, type SdkAnswer, type SdkService, startSdk } from './huawei-sdk.ts'

const PROJECT = '0123456789abcdef0123456789abcdef'
const KEYS = { accessKey: 'AKEXAMPLE0000000001', secretKey: 'SKexample/Secret+Key0000000000000000001' }
const TEMPORARY = { accessKey: 'AKTEMPORARY', secretKey: 'SKTEMPORARY', securityToken: 'token+/==' }
const keys = new Map([
  [KEYS.accessKey, { secretKey: KEYS.secretKey }],
  [TEMPORARY.accessKey, { secretKey: TEMPORARY.secretKey, securityToken: TEMPORARY.securityToken }],
])

let python: string
beforeAll(async () => {
  python = await pythonWith(...SDK_PACKAGES)
  const versions = await pythonVersions(python)
  for (const name of SDK_PACKAGES.filter(it => !it.endsWith('core')))
    await ran(`${name} (Huawei)`, versions[name] ?? '?', 'drove the sandbox through every operation used')
})

/** Every answer is whole: the SDK's models have a place for all of it. */
function open(of: Omit<SdkService, 'project' | 'keys'>, given: Partial<SdkService> = {}) {
  const sdk: Sdk = startSdk(python)
  return async (operation: string, request: object): Promise<SdkAnswer> => {
    const answer = await sdk({ project: PROJECT, keys: KEYS, ...of, ...given }, operation, request)
    expect(answer.unknown ?? [], operation).toEqual([])
    return answer
  }
}

describe('IoTDA', () => {
  const of = (endpoint: string) => ({
    ...{ service: 'iotda', version: 'v5', client: 'IoTDAClient', endpoint, derived: true },
  })

  test('certificates and the domain configuration, from the upload to the delete', async () => {
    const { rsa, ec } = await createPki()
    const { iotda } = await start({ keys, switches: { configurationQuota: 1 } })
    const call = open(of(iotda.url), { keys: TEMPORARY })
    const instance_id = 'instance-1'
    const add = (one: typeof rsa) =>
      call('create_server_certificate', {
        $: 'CreateServerCertificateRequest',
        instance_id,
        body: { $: 'CreateServerCertificateDTO', ...uploadOf(one) },
      })
    const first = await add(rsa)
    const second = await add(ec)
    expect([first.status, second.status]).toEqual([201, 201])
    expect(await add(rsa)).toMatchObject({ error: { status: 400, code: 'IOTDA.014323' } })
    const ids = [first, second].map(it => it.body.server_certificate_id)
    const listed = await call('list_server_certificate', {
      ...{ $: 'ListServerCertificateRequest', instance_id, limit: 50 },
    })
    expect(listed.body.page).toEqual({ count: 2, marker: ids[0] })
    expect(listed.body.server_certificates.map((it: SdkAnswer['body']) => it.server_certificate_id)).toEqual(
      ids.toReversed(),
    )
    const show = { $: 'ShowServerCertificateRequest', instance_id, server_certificate_id: ids[0] }
    const shown = await call('show_server_certificate', show)
    expect(shown.body).toMatchObject({
      certificate_pem: rsa.chainPem,
      common_name: domain,
      expiry_date: expect.stringMatching(/^\d{8}T\d{6}Z$/),
    })
    const config = { $: 'ServerCertificateConfig', ocsp_stapling_enable: false, ocsp_ssl_enable: false }
    const made = await call('create_domain_configuration', {
      $: 'CreateDomainConfigurationRequest',
      instance_id,
      body: {
        ...{ $: 'CreateDomainConfigurationDTO', domain_name: domain, access_protocol: 'Device-MQTTS' },
        ...{ server_certificate_id: ids[0], server_certificate_config: config },
      },
    })
    const { configuration_id } = made.body
    const bound = await call('update_domain_configuration', {
      ...{ $: 'UpdateDomainConfigurationRequest', instance_id, configuration_id },
      body: {
        $: 'UpdateDomainConfigurationDTO',
        server_certificate_id: ids[1],
        server_certificate_config: config,
      },
    })
    expect(bound.body).toMatchObject({ server_certificate_id: ids[1], domain_name: domain })
    const all = await call('list_domain_configurations', {
      $: 'ListDomainConfigurationsRequest',
      instance_id,
    })
    expect(all.body).toMatchObject({ domain_configurations: [{ configuration_id }], page: { count: 1 } })
    const one = { $: 'ShowDomainConfigurationRequest', instance_id, configuration_id }
    expect((await call('show_domain_configuration', one)).body).toEqual(bound.body)
    const remove = (server_certificate_id: string) =>
      call('delete_server_certificate', {
        ...{ $: 'DeleteServerCertificateRequest', instance_id, server_certificate_id },
      })
    expect(await remove(ids[1])).toMatchObject({ error: { status: 400, code: 'IOTDA.014324' } })
    expect((await remove(ids[0])).status).toBe(204)
    expect(iotda.bound()?.certificatePem).toBe(ec.chainPem)
  })

  test('devices that are online are counted', async () => {
    const { iotda } = await start({ keys })
    iotda.index.devices = () => [{ deviceId: 'd1', productId: 'p1', status: 'ONLINE' }]
    const sql = "select count(*) from device where status = 'ONLINE'"
    const request = { $: 'SearchDevicesRequest', instance_id: 'instance-1', body: { $: 'SearchSql', sql } }
    const counted = await open(of(iotda.url))('search_devices', request)
    expect(counted).toMatchObject({ status: 200, body: { count: 1 } })
  })

  test('refusals are what the SDK takes them for', async () => {
    const { iotda } = await start({ keys })
    const list = { $: 'ListServerCertificateRequest' }
    const wrong = open(of(iotda.url), { keys: { ...KEYS, secretKey: 'another' } })
    expect(await wrong('list_server_certificate', list)).toMatchObject({
      error: { status: 401, code: 'APIGW.0301' },
    })
    const plain = open(of(iotda.url), { derived: false })
    expect(await plain('list_server_certificate', list)).toMatchObject({
      error: { status: 401, code: 'IOTDA.000002' },
    })
    const gone = { $: 'ShowServerCertificateRequest', server_certificate_id: 'f'.repeat(24) }
    expect(await open(of(iotda.url))('show_server_certificate', gone)).toMatchObject({
      error: { status: 404 },
    })
  })
})

test('DNS: the values of a challenge come, change and go', async () => {
  const { server, inDns } = await openDns()
  const of = { service: 'dns', version: 'v2', client: 'DnsClient', endpoint: server.url }
  const call = open(of, { keys: KEY })
  const zones = await call('list_public_zones', {
    ...{ $: 'ListPublicZonesRequest', type: 'public', name: 'example.com.', search_mode: 'equal' },
  })
  const zone_id = zones.body.zones[0].id
  const name = '_acme-challenge.example.com.'
  const made = await call('create_record_set', {
    ...{ $: 'CreateRecordSetRequest', zone_id },
    body: { $: 'CreateRecordSetRequestBody', name, type: 'TXT', ttl: 60, records: ['"a"'] },
  })
  expect(made).toMatchObject({ status: 202, body: { name, records: ['"a"'] } })
  const recordset_id = made.body.id
  const listed = await call('list_record_sets_by_zone', {
    ...{ $: 'ListRecordSetsByZoneRequest', zone_id, name, type: 'TXT', search_mode: 'equal' },
  })
  expect(listed.body.recordsets).toMatchObject([{ id: recordset_id, records: ['"a"'] }])
  const changed = await call('update_record_set', {
    ...{ $: 'UpdateRecordSetRequest', zone_id, recordset_id },
    body: { $: 'UpdateRecordSetReq', records: ['"a"', '"b"'] },
  })
  expect(changed).toMatchObject({ status: 202, body: { name, type: 'TXT', ttl: 60 } })
  const one = { $: 'ShowRecordSetRequest', zone_id, recordset_id }
  expect((await call('show_record_set', one)).body).toMatchObject({ status: 'ACTIVE' })
  expect(await inDns()).toEqual(['a', 'b'])
  const remove = { $: 'DeleteRecordSetRequest', zone_id, recordset_id }
  expect((await call('delete_record_set', remove)).status).toBe(202)
  expect(await call('show_record_set', one)).toMatchObject({ error: { status: 404, code: 'DNS.0313' } })
})

test('SMN: a message is published; a wrong key is 401', async () => {
  const topic_urn = `urn:smn:cn-north-4:${PROJECT}:alerts`
  const smn = await createSmn({ keys, region: 'cn-north-4', projectId: PROJECT, topicUrn: topic_urn })
  cleanups.push(smn.dispose)
  const of = { service: 'smn', version: 'v2', client: 'SmnClient', endpoint: new URL(smn.url).origin }
  const publish = (more: object) => ({
    ...{ $: 'PublishMessageRequest', topic_urn },
    body: { $: 'PublishMessageRequestBody', subject: 'hi', ...more },
  })
  const message_structure = JSON.stringify({ default: 'hello', sms: 'hello' })
  expect((await open(of)('publish_message', publish({ message_structure }))).status).toBe(200)
  expect((await open(of)('publish_message', publish({ message: 'plain' }))).status).toBe(200)
  expect(smn.taken.map(it => it.text)).toEqual(['hello', 'plain'])
  const wrong = open(of, { keys: { ...KEYS, secretKey: 'another' } })
  expect(await wrong('publish_message', publish({ message: 'x' }))).toMatchObject({ error: { status: 401 } })
})

test('CSMS: a secret, its next version, the one before, and its end', async () => {
  const csms = await createCsms({ faults: createFaults(), keys, projectId: PROJECT })
  cleanups.push(csms.dispose)
  const call = open({ service: 'csms', version: 'v1', client: 'CsmsClient', endpoint: csms.url })
  const secret_name = 'iotda-cert'
  const latest = { $: 'ShowSecretVersionRequest', secret_name, version_id: 'latest' }
  expect(await call('show_secret_version', latest)).toMatchObject({
    error: { status: 400, code: 'CSMS.0106' },
  })
  const made = await call('create_secret', {
    $: 'CreateSecretRequest',
    body: { $: 'CreateSecretRequestBody', name: secret_name, secret_string: 'one' },
  })
  expect(made.body.secret).toMatchObject({ name: secret_name, state: 'ENABLED' })
  const next = await call('create_secret_version', {
    ...{ $: 'CreateSecretVersionRequest', secret_name },
    body: { $: 'CreateSecretVersionRequestBody', secret_string: 'two', version_stages: ['SYSCURRENT'] },
  })
  expect(next.body.version_metadata).toMatchObject({ id: 'v2', version_stages: ['SYSCURRENT'] })
  // The SDK keeps the value out of what it prints.
  expect((await call('show_secret_version', latest)).body.version.version_metadata.id).toBe('v2')
  const stage = { $: 'ShowSecretStageRequest', secret_name, stage_name: 'SYSPREVIOUS' }
  expect((await call('show_secret_stage', stage)).body.stage).toMatchObject({ version_id: 'v1' })
  expect((await call('delete_secret', { $: 'DeleteSecretRequest', secret_name })).status).toBe(204)
  expect(csms.secrets.size).toBe(0)
})

test('FunctionGraph: a function, its code, limits, timer and failure notice, until it is deleted', async () => {
  const graph = await createFunctionGraph({ faults: createFaults(), keys, projectId: PROJECT })
  cleanups.push(graph.dispose)
  const call = open({
    ...{ service: 'functiongraph', version: 'v2', client: 'FunctionGraphClient', endpoint: graph.url },
  })
  const zipped = (text: string) => Buffer.from(`PK\x03\x04${text}`)
  const code = (text: string) => ({
    ...{ code_type: 'zip', code_filename: `${text}.zip` },
    func_code: { $: 'FuncCode', file: zipped(text).toString('base64') },
  })
  const config = {
    ...{ func_name: 'f', runtime: 'Node.js20.15', handler: 'index.handler', timeout: 900, memory_size: 256 },
    ...{ user_data: '{"A":"1"}', encrypted_user_data: '{"S":"2"}', description: 'x' },
    ...{ initializer_handler: 'index.initializer', initializer_timeout: 60, xrole: 'iotda-cert' },
  }
  const function_urn = `urn:fss:cn-north-4:${PROJECT}:function:default:f:latest`
  const on = (name: string, more: object = {}) => ({ $: name, function_urn, ...more })
  const made = await call('create_function', {
    $: 'CreateFunctionRequest',
    body: { $: 'CreateFunctionRequestBody', package: 'default', type: 'v2', ...config, ...code('one') },
  })
  expect(made.body).toMatchObject({ func_urn: function_urn, code_type: 'zip', code_filename: 'one.zip' })
  await call(
    'update_function_config',
    on('UpdateFunctionConfigRequest', {
      body: { $: 'UpdateFunctionConfigRequestBody', ...config, timeout: 600 },
    }),
  )
  await call(
    'update_function_code',
    on('UpdateFunctionCodeRequest', { body: { $: 'UpdateFunctionCodeRequestBody', ...code('two') } }),
  )
  await call(
    'update_function_max_instance_config',
    on('UpdateFunctionMaxInstanceConfigRequest', {
      body: { $: 'UpdateFunctionMaxInstanceConfigRequestBody', max_instance_num: 1 },
    }),
  )
  const shown = await call('show_function_config', on('ShowFunctionConfigRequest'))
  expect(shown.body).toMatchObject({
    timeout: 600,
    code_filename: 'two.zip',
    digest: createHash('sha512').update(zipped('two')).digest('hex'),
    strategy_config: { concurrency: 1 },
  })
  const versions = await call('list_function_versions', on('ListFunctionVersionsRequest'))
  expect(versions.body.versions).toMatchObject([{ version: 'latest' }])
  expect((await call('list_version_aliases', on('ListVersionAliasesRequest'))).status).toBe(200)

  const event_data = { $: 'TriggerEventDataRequestBody', name: 't', schedule_type: 'Cron' }
  const trigger = await call(
    'create_function_trigger',
    on('CreateFunctionTriggerRequest', {
      body: {
        ...{ $: 'CreateFunctionTriggerRequestBody', trigger_type_code: 'TIMER', trigger_status: 'ACTIVE' },
        event_data: { ...event_data, schedule: 'CRON_TZ=Etc/UTC 0 5,35 * * * ?', user_event: '' },
      },
    }),
  )
  const at = { trigger_type_code: 'TIMER', trigger_id: trigger.body.trigger_id }
  const listed = await call('list_function_triggers', on('ListFunctionTriggersRequest'))
  expect(listed.body.body).toMatchObject([{ trigger_id: at.trigger_id, trigger_status: 'ACTIVE' }])
  const one = await call('show_function_trigger', on('ShowFunctionTriggerRequest', at))
  expect(one.body).toMatchObject({ trigger_type_code: 'TIMER', event_data: { name: 't' } })
  expect((await call('delete_function_trigger', on('DeleteFunctionTriggerRequest', at))).status).toBe(204)

  const notice = { $: 'FuncDestinationConfig', destination: 'SMN', param: '{"topic_urn":"x"}' }
  await call(
    'update_function_async_invoke_config',
    on('UpdateFunctionAsyncInvokeConfigRequest', {
      body: {
        $: 'UpdateFunctionAsyncInvokeConfigRequestBody',
        ...{ max_async_retry_attempts: 0, max_async_event_age_in_seconds: 900 },
        destination_config: { $: 'FuncAsyncDestinationConfig', on_failure: notice },
      },
    }),
  )
  const kept = await call('show_function_async_invoke_config', on('ShowFunctionAsyncInvokeConfigRequest'))
  expect(kept.body).toMatchObject({
    max_async_retry_attempts: 0,
    destination_config: { on_failure: { destination: 'SMN' } },
  })
  expect((await call('delete_function', on('DeleteFunctionRequest'))).status).toBe(204)
  expect(await call('show_function_config', on('ShowFunctionConfigRequest'))).toMatchObject({
    error: { status: 404 },
  })
})
