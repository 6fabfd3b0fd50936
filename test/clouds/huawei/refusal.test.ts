import { inspect } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RotationError } from '../../../lib/base/rotation-error.ts'
import { huaweiRefusal } from '../../../lib/clouds/huawei/refusal.ts'
import { parseJson, refused, serviceErrorOf } from '../../../lib/http/api-call.ts'
import type { ErrorCode } from '../../../lib/model/errors.ts'
import { AK, createRig, failureOf, json, read, SK, TOKEN, temporary, write } from './rig.ts'

const asked = { driver: 'iotda', operation: 'X', derived: true, iamAction: null }

describe('an answer that is no success', () => {
  /** What IoTDA and the gateway answer with; the other services of Huawei Cloud have other names for the same. */
  const iot = (error_code: string, error_msg = 'no') => ({ error_code, error_msg })
  const other = (code: string | number, message = 'no') => ({ code, message })
  const instance = /instance\.endpoint, instance\.projectId and instance\.instanceId/
  const grant = /IAM action svc:thing:create /

  it.each<[number, object, ErrorCode, RegExp | null]>([
    [401, iot('IOTDA.000002', 'Authentication failed.'), 'unauthorized', /instance\.signing to "derived"/],
    [401, iot('APIGW.0303', 'Incorrect app authentication information'), 'unauthorized', /clock/],
    [401, iot('APIGW.0301', 'verify aksk signature fail'), 'unauthorized', /accessKey and secretKey/],
    [401, other('DNS.0005'), 'unauthorized', /accessKey/],
    [
      401,
      { error: { ...other(401, 'It requires authentication.'), title: 'U' } },
      'unauthorized',
      /accessKey/,
    ],
    [403, iot('IOTDA.000004', 'Invalid access token.'), 'unauthorized', /temporary keys/],
    [403, iot('IOTDA.000022', 'no permission'), 'forbidden', grant],
    [403, other('DNS.0030', 'no permission'), 'forbidden', grant],
    [403, {}, 'forbidden', grant],
    [403, iot('IOTDA.000021', 'not subscribed'), 'forbidden', instance],
    [403, iot('APIG.0310', 'project unavailable'), 'forbidden', /instance\.projectId/],
    [403, iot('IOTDA.099999', 'a quota nobody has published'), 'service-refused', /svc:thing:create/],
    [403, other('DNS.0403', 'quota'), 'service-refused', /svc:thing:create/],
    [429, iot('APIGW.0308', 'policy user over ratelimit'), 'throttled', null],
    [429, {}, 'throttled', null],
    [400, iot('APIG.0308'), 'throttled', null],
    [403, iot('IOTDA.021101', 'rate limit'), 'throttled', null],
    [403, iot('IOTDA.021102', 'rate limit'), 'throttled', null],
    [403, other('DNS.0014', 'flow'), 'throttled', null],
    [400, iot('IOTDA.014301', 'bad certificate'), 'service-refused', null],
    [404, iot('IOTDA.000029', 'unknown path'), 'service-refused', /instance\.endpoint/],
    [404, iot('APIG.0101', 'API not defined'), 'service-refused', /instance\.endpoint/],
    [404, other('DNS.0313', 'no recordset'), 'service-refused', null],
    [409, other('DNS.0021', 'locked'), 'service-refused', null],
    [400, other('DNS.0209', 'zone state'), 'service-refused', null],
    [400, other('DNS.0314', 'record set state'), 'service-refused', null],
    [400, { request_id: 'r', ...other('SMN.00010008', 'no topic') }, 'service-refused', null],
    [500, iot('APIGW.0601', 'internal'), 'unavailable', null],
    [504, iot('APIGW.0201', 'backend timeout'), 'unavailable', null],
    [200, iot('IOTDA.014111', 'time-out'), 'unavailable', null],
  ])('%i %o', async (status, body, code, hint) => {
    const { client, faults, received } = await createRig()
    faults.add(json(status, body))
    const error = await failureOf(client.call({ ...write, iamAction: 'svc:thing:create' }))
    const said = Object.values('error' in body ? (body.error as object) : body)
    const [service = null, message = ''] = said.filter(it => it !== 'r').map(String)
    const isLocked = ['DNS.0021', 'DNS.0209', 'DNS.0314'].includes(service ?? '')
    const isLater = code === 'throttled' || code === 'unavailable' || isLocked
    expect(error).toMatchObject({ code, retry: isLater ? 'later' : 'never' })
    expect(serviceErrorOf(error)).toEqual({ status, code: service, message })
    const [start, end = ''] = error.message.split(' (request req-1)')
    const words = service === null ? '' : ` ${service}: ${message}`
    expect(start).toBe(`iotda: CreateThing answered HTTP ${status}${words}`)
    expect(end).toBe(code === 'unavailable' ? '; it is unknown whether it took effect' : '')
    if (hint) expect(error.hint).toMatch(hint)
    else expect(error.hint).toBeNull()
    expect(faults.calls).toHaveLength(1)
    expect(received).toHaveLength(0)
  })

  it('says the other scheme when the derived key was refused', async () => {
    const { client, faults } = await createRig({ options: { signing: 'derived' } })
    faults.add(json(401, { error_code: 'IOTDA.000002', error_msg: 'Authentication failed.' }))
    expect((await failureOf(client.call(read))).hint).toContain('instance.signing to "standard"')
  })

  it('names the settings of another driver without the instance', async () => {
    const { client, faults } = await createRig({ options: { driver: 'solver dns (huaweicloud)' } })
    faults.add(json(404, { error_code: 'APIGW.0101', error_msg: 'not defined' }))
    const error = await failureOf(client.call(read))
    expect(error.message).toMatch(/^solver dns \(huaweicloud\): ShowThing answered HTTP 404 APIGW\.0101/)
    expect(error.hint).toMatch(/^Check endpoint, projectId and instanceId/)
  })

  it('names the operation when it knows no IAM action', async () => {
    const { client, faults } = await createRig()
    faults.add(json(403, { error_code: 'IOTDA.000022', error_msg: 'no' }))
    expect((await failureOf(client.call(write))).hint).toContain('IAM action for CreateThing')
  })

  it.each([
    ['an HTML page', 200, '<html>Log in</html>', 'unavailable', null, ''],
    ['an HTML page as 404', 404, '<html>nginx</html>', 'unavailable', null, ''],
    ['an HTML page as 502', 502, '<html>Bad gateway</html>', 'unavailable', null, ''],
    ['half of a JSON text', 201, '{"name": "th', 'unavailable', null, ''],
    ['a redirect', 302, '', 'unavailable', null, ''],
    [
      'the XML of OBS',
      403,
      '<?xml?><Error><Code>AccessDenied</Code><Message>no</Message></Error>',
      'forbidden',
      'AccessDenied',
      'no',
    ],
    ['a code that is no code', 400, '{"error_code":"two words","error_msg":7}', 'service-refused', null, '7'],
  ] as const)('%s', async (_, status, body, code, service, message) => {
    const { client, faults } = await createRig()
    faults.add({ operations: ['svc.*'], status, body })
    const error = await failureOf(client.call(write))
    expect(error.code).toBe(code)
    expect(serviceErrorOf(error)).toEqual({ status, code: service, message })
  })

  it('takes the request id from the body when the header has none', () => {
    const text = '{"error_code":"APIGW.0301","error_msg":"no","request_id":"abc"}'
    const refusal = huaweiRefusal({ status: 401, headers: {}, text }, JSON.parse(text), asked)
    expect(refusal?.requestId).toBe('abc')
  })

  it('keeps what Retry-After says for a later run', async () => {
    const { client, faults, clock } = await createRig()
    faults.add(json(429, {}, { headers: { 'retry-after': '90' } }))
    expect((await failureOf(client.call(write))).retryAt).toBe(clock.now() + 90_000)
  })

  it('gives no service code for errors without an answer', () => {
    expect(serviceErrorOf(new RotationError('internal', 'x'))).toBeNull()
    expect(serviceErrorOf(new RotationError('internal', 'x', { cause: null }))).toBeNull()
    expect(serviceErrorOf(new Error('x', { cause: { status: 404 } }))).toBeNull()
    expect(serviceErrorOf(undefined)).toBeNull()
  })

  it('whatever is answered, it is a value or a RotationError', () => {
    const texts = fc.oneof(
      fc.json(),
      fc.string(),
      fc.object().map(it => JSON.stringify({ error: it })),
    )
    const headers = fc.dictionary(fc.constantFrom('retry-after', 'x-request-id'), fc.string())
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), headers, texts, (status, given, text) => {
        const answer = { status, headers: given, text }
        const refusal = huaweiRefusal(answer, parseJson(text), asked)
        const called = { call: 'iotda: X', changes: true, terms: { unansweredHint: () => null } }
        if (refusal === null) expect(status).toBeLessThan(300)
        else expect(refused(answer, refusal, called, 0)).toBeInstanceOf(RotationError)
      }),
      { numRuns: 500 },
    )
  })
})

describe('secrets', () => {
  const keyPem =
    '-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAuQ3ExampleLineOne\nshort==\n-----END RSA PRIVATE KEY-----\n'
  const body = { certificate_pem: 'CERT', private_key: keyPem, private_key_password: 'abcdef' }
  const refusedWith = async (text: string, isConfidential: boolean) => {
    const { client, faults } = await createRig({ options: { keys: async () => temporary } })
    faults.add(json(400, { error_code: 'IOTDA.000006', error_msg: text }))
    const error = await failureOf(client.call({ ...write, body, isConfidential }))
    const all = `${inspect(error, { depth: 20, showHidden: true })} ${error.hint} ${JSON.stringify(error)}`
    expect(error.message).toContain('IOTDA.000006')
    return { error, all }
  }

  it.each([
    ['keys', `no such key ${AK} / ${SK} / ${TOKEN}`],
    ['a part of each key', `no such key ${AK.slice(0, 15)} / ${SK.slice(2, 20)} / ${TOKEN.slice(0, 14)}`],
  ])('%s that an answer repeats do not reach the error', async (_, text) => {
    const { error, all } = await refusedWith(text, false)
    for (const hidden of [AK, SK, TOKEN, AK.slice(0, 12), SK.slice(2, 14), TOKEN.slice(0, 12)])
      expect(all).not.toContain(hidden)
    expect(error.message).toContain(': no such key [secret]')
  })

  it.each([
    ['the request', `cannot read ${JSON.stringify(body)}`],
    ['lines of the private key', 'bad line MIIEowIBAAKCAQEAuQ3ExampleLineOne and short== there'],
    ['a part of a line', 'bad part EowIBAAKCAQEAuQ3Ex'],
    ['the password', 'password abcdef is wrong'],
    ['base64 of it', `bad ${Buffer.from(keyPem).toString('base64')}`],
  ])('of a call that holds a secret only status, code and id are shown, not %s', async (_, text) => {
    const { error, all } = await refusedWith(text, true)
    expect(error.message).toBe('iotda: CreateThing answered HTTP 400 IOTDA.000006 (request req-1)')
    expect(all).not.toContain(text)
    expect(error.cause).toEqual({ status: 400, code: 'IOTDA.000006', message: '' })
  })

  it('does not reach the error of a broken connection', async () => {
    const { client, faults } = await createRig({ options: { keys: async () => temporary } })
    faults.add({ operations: ['svc.*'], drop: 'after' })
    const error = await failureOf(client.call({ ...write, body }))
    const all = inspect(error, { depth: 20, showHidden: true })
    for (const hidden of [AK, SK, TOKEN, 'MIIEowIBAAKCAQEAuQ3ExampleLineOne', 'abcdef'])
      expect(all).not.toContain(hidden)
  })

  it('keeps a message short and on one line', async () => {
    const { client, faults } = await createRig()
    faults.add(json(400, { error_code: 'X.1', error_msg: `a\n\u001b[31mb${'c'.repeat(5000)}` }))
    const { message } = await failureOf(client.call(write))
    expect(message).toMatch(/^iotda: CreateThing answered HTTP 400 X\.1: a \[31mbc+ \(request req-1\)$/)
    expect(message.length).toBeLessThan(400)
  })
})
