/** What Huawei's Terraform provider and SDKs ask of FunctionGraph beyond what a deployment of ours does. */
import { describe, expect, test } from 'vitest'
import { createFunctionGraph } from '../../sandbox/functiongraph.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { cleanups } from '../support/cleanups.ts'
import { signHuawei } from '../support/huawei-sign.ts'

const PROJECT = '0123456789abcdef0123456789abcdef'
const URN = `urn:fss:cn-north-4:${PROJECT}:function:default:f`
const SCHEDULE = { name: 't', schedule_type: 'Cron', schedule: '0 5 * * * ?' }

async function open() {
  const keys = new Map([['AK', { secretKey: 'SK' }]])
  const graph = await createFunctionGraph({ faults: createFaults(), keys, projectId: PROJECT })
  cleanups.push(graph.dispose)
  const call = async (method: string, path: string, body?: object) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const url = `${graph.url}/v2/${PROJECT}/fgs${path}`
    const signed = signHuawei(
      { method, url, body: text, at: new Date() },
      { accessKey: 'AK', secretKey: 'SK' },
    )
    const answer = await fetch(url, { method, headers: signed.headers, ...(body ? { body: text } : {}) })
    const said = await answer.text()
    return { status: answer.status, body: said === '' ? null : JSON.parse(said) }
  }
  const file = Buffer.from('PK\x03\x04').toString('base64')
  await call('POST', '/functions', {
    ...{
      func_name: 'f',
      package: 'default',
      runtime: 'Node.js20.15',
      timeout: 900,
      handler: 'index.handler',
    },
    ...{ memory_size: 256, code_type: 'zip', code_filename: 'f.zip', func_code: { file } },
  })
  return { graph, call }
}

test('a function is shown with the type and the name of its code', async () => {
  const { call } = await open()
  const shown = await call('GET', `/functions/${URN}/config`)
  expect(shown.body).toMatchObject({ code_type: 'zip', code_filename: 'f.zip', version: 'latest' })
})

test('a function has versions and aliases, and can be deleted with all of it', async () => {
  const { graph, call } = await open()
  const versions = await call('GET', `/functions/${URN}/versions`)
  expect(versions).toMatchObject({ status: 200, body: { versions: [{ version: 'latest' }], count: 1 } })
  expect(await call('GET', `/functions/${URN}/aliases`)).toEqual({ status: 200, body: [] })
  expect((await call('DELETE', `/functions/${URN}`)).status).toBe(204)
  expect(graph.functions.size).toBe(0)
  expect(await call('DELETE', `/functions/${URN}`)).toMatchObject({ status: 404 })
})

describe('a trigger', () => {
  const add = async () => {
    const { call } = await open()
    const made = await call('POST', `/triggers/${URN}`, {
      trigger_type_code: 'TIMER',
      event_data: SCHEDULE,
    })
    return { call, made, at: `/triggers/${URN}/TIMER/${made.body.trigger_id}` }
  }

  test('is made without event_type_code and trigger_status, and is active', async () => {
    const { made } = await add()
    expect(made).toMatchObject({ status: 201, body: { trigger_status: 'ACTIVE', event_data: SCHEDULE } })
  })

  test('is read and changed by its id', async () => {
    const { call, made, at } = await add()
    expect(await call('GET', at)).toEqual({ status: 200, body: made.body })
    const data = { ...SCHEDULE, schedule: '0 7 * * * ?' }
    const changed = await call('PUT', at, { trigger_status: 'DISABLED', event_data: data })
    expect(changed).toMatchObject({ status: 200, body: { trigger_status: 'DISABLED', event_data: data } })
    expect(await call('PUT', at, { trigger_status: 'ASLEEP' })).toMatchObject({ status: 400 })
    expect((await call('DELETE', at)).status).toBe(204)
    expect(await call('GET', at)).toMatchObject({ status: 404, body: { error_code: 'FSS.0404' } })
  })
})

test('what is no route is answered by the gateway', async () => {
  const { call } = await open()
  expect(await call('GET', '/nothing/of/that/kind')).toMatchObject({
    status: 404,
    body: { error_code: 'APIGW.0101', request_id: expect.stringMatching(/^[0-9a-f]{32}$/) },
  })
})
