import { inspect } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RotationError } from '../../../lib/base/rotation-error.ts'
import { huaweiRefusal } from '../../../lib/clouds/huawei/refusal.ts'
import { parseJson, refused, serviceErrorOf } from '../../../lib/http/api-call.ts'
import { AK, createRig, failureOf, json, read, SK, TOKEN, temporary, write } from './rig.ts'

const asked = { driver: 'iotda', operation: 'X', derived: true, iamAction: null }

describe('an answer that is no success', () => {
  const cases: readonly [
    number,
    object,
    { code: string; retry: string; service: string | null; hint: RegExp | null },
  ][] = [
    [
      401,
      { error_code: 'IOTDA.000002', error_msg: 'Authentication failed.' },
      {
        code: 'unauthorized',
        retry: 'never',
        service: 'IOTDA.000002',
        hint: /instance\.signing to "derived"/,
      },
    ],
    [
      401,
      { error_code: 'APIGW.0303', error_msg: 'Incorrect app authentication information' },
      { code: 'unauthorized', retry: 'never', service: 'APIGW.0303', hint: /clock/ },
    ],
    [
      401,
      { error_code: 'APIGW.0301', error_msg: 'verify aksk signature fail' },
      { code: 'unauthorized', retry: 'never', service: 'APIGW.0301', hint: /accessKey and secretKey/ },
    ],
    [
      401,
      { code: 'DNS.0005', message: 'no' },
      { code: 'unauthorized', retry: 'never', service: 'DNS.0005', hint: /accessKey/ },
    ],
    [
      401,
      {
        error: {
          code: 401,
          message: 'The request you have made requires authentication.',
          title: 'Unauthorized',
        },
      },
      { code: 'unauthorized', retry: 'never', service: '401', hint: /accessKey/ },
    ],
    [
      403,
      { error_code: 'IOTDA.000004', error_msg: 'Invalid access token.' },
      { code: 'unauthorized', retry: 'never', service: 'IOTDA.000004', hint: /temporary keys/ },
    ],
    [
      403,
      { error_code: 'IOTDA.000022', error_msg: 'no permission' },
      { code: 'forbidden', retry: 'never', service: 'IOTDA.000022', hint: /IAM action svc:thing:create / },
    ],
    [
      403,
      { code: 'DNS.0030', message: 'no permission' },
      { code: 'forbidden', retry: 'never', service: 'DNS.0030', hint: /IAM action svc:thing:create / },
    ],
    [403, {}, { code: 'forbidden', retry: 'never', service: null, hint: /IAM action svc:thing:create / }],
    [
      403,
      { error_code: 'IOTDA.000021', error_msg: 'not subscribed' },
      {
        code: 'forbidden',
        retry: 'never',
        service: 'IOTDA.000021',
        hint: /instance\.endpoint, instance\.projectId and instance\.instanceId/,
      },
    ],
    [
      403,
      { error_code: 'APIG.0310', error_msg: 'project unavailable' },
      { code: 'forbidden', retry: 'never', service: 'APIG.0310', hint: /instance\.projectId/ },
    ],
    [
      403,
      { error_code: 'IOTDA.099999', error_msg: 'a quota nobody has published' },
      { code: 'service-refused', retry: 'never', service: 'IOTDA.099999', hint: /svc:thing:create/ },
    ],
    [
      403,
      { code: 'DNS.0403', message: 'quota' },
      { code: 'service-refused', retry: 'never', service: 'DNS.0403', hint: /svc:thing:create/ },
    ],
    [
      429,
      { error_code: 'APIGW.0308', error_msg: 'policy user over ratelimit' },
      { code: 'throttled', retry: 'later', service: 'APIGW.0308', hint: null },
    ],
    [429, {}, { code: 'throttled', retry: 'later', service: null, hint: null }],
    [
      400,
      { error_code: 'APIG.0308', error_msg: 'x' },
      { code: 'throttled', retry: 'later', service: 'APIG.0308', hint: null },
    ],
    [
      403,
      { error_code: 'IOTDA.021101', error_msg: 'rate limit' },
      { code: 'throttled', retry: 'later', service: 'IOTDA.021101', hint: null },
    ],
    [
      403,
      { error_code: 'IOTDA.021102', error_msg: 'rate limit' },
      { code: 'throttled', retry: 'later', service: 'IOTDA.021102', hint: null },
    ],
    [
      403,
      { code: 'DNS.0014', message: 'flow' },
      { code: 'throttled', retry: 'later', service: 'DNS.0014', hint: null },
    ],
    [
      400,
      { error_code: 'IOTDA.014301', error_msg: 'bad certificate' },
      { code: 'service-refused', retry: 'never', service: 'IOTDA.014301', hint: null },
    ],
    [
      404,
      { error_code: 'IOTDA.000029', error_msg: 'unknown path' },
      { code: 'service-refused', retry: 'never', service: 'IOTDA.000029', hint: /instance\.endpoint/ },
    ],
    [
      404,
      { error_code: 'APIG.0101', error_msg: 'API not defined' },
      { code: 'service-refused', retry: 'never', service: 'APIG.0101', hint: /instance\.endpoint/ },
    ],
    [
      404,
      { code: 'DNS.0313', message: 'no recordset' },
      { code: 'service-refused', retry: 'never', service: 'DNS.0313', hint: null },
    ],
    [
      409,
      { code: 'DNS.0021', message: 'locked' },
      { code: 'service-refused', retry: 'later', service: 'DNS.0021', hint: null },
    ],
    [
      400,
      { code: 'DNS.0209', message: 'zone state' },
      { code: 'service-refused', retry: 'later', service: 'DNS.0209', hint: null },
    ],
    [
      400,
      { code: 'DNS.0314', message: 'record set state' },
      { code: 'service-refused', retry: 'later', service: 'DNS.0314', hint: null },
    ],
    [
      400,
      { request_id: 'r', code: 'SMN.00010008', message: 'no topic' },
      { code: 'service-refused', retry: 'never', service: 'SMN.00010008', hint: null },
    ],
    [
      500,
      { error_code: 'APIGW.0601', error_msg: 'internal' },
      { code: 'unavailable', retry: 'later', service: 'APIGW.0601', hint: null },
    ],
    [
      504,
      { error_code: 'APIGW.0201', error_msg: 'backend timeout' },
      { code: 'unavailable', retry: 'later', service: 'APIGW.0201', hint: null },
    ],
    [
      200,
      { error_code: 'IOTDA.014111', error_msg: 'time-out' },
      { code: 'unavailable', retry: 'later', service: 'IOTDA.014111', hint: null },
    ],
  ]

  it.each(cases)('%i %o', async (status, body, wanted) => {
    const { client, faults, received } = await createRig()
    faults.add(json(status, body))
    const error = await failureOf(client.call({ ...write, iamAction: 'svc:thing:create' }))
    expect(error).toMatchObject({ code: wanted.code, retry: wanted.retry })
    expect(serviceErrorOf(error)).toMatchObject({ status, code: wanted.service })
    expect(error.message).toContain(`iotda: CreateThing answered HTTP ${status}`)
    expect(error.message).toContain('(request req-1)')
    if (wanted.service) expect(error.message).toContain(wanted.service)
    if (wanted.hint) expect(error.hint).toMatch(wanted.hint)
    else expect(error.hint).toBeNull()
    expect(error.message.includes('unknown whether it took effect')).toBe(wanted.code === 'unavailable')
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
    ['an HTML page', 200, '<html>Log in</html>', 'unavailable', null],
    ['an HTML page as 404', 404, '<html>nginx</html>', 'unavailable', null],
    ['an HTML page as 502', 502, '<html>Bad gateway</html>', 'unavailable', null],
    ['half of a JSON text', 201, '{"name": "th', 'unavailable', null],
    ['a redirect', 302, '', 'unavailable', null],
    [
      'the XML of OBS',
      403,
      '<?xml?><Error><Code>AccessDenied</Code><Message>no</Message></Error>',
      'forbidden',
      'AccessDenied',
    ],
    ['a code that is no code', 400, '{"error_code":"two words","error_msg":7}', 'service-refused', null],
  ] as const)('%s', async (_, status, body, code, service) => {
    const { client, faults } = await createRig()
    faults.add({ operations: ['svc.*'], status, body })
    const error = await failureOf(client.call(write))
    expect(error.code).toBe(code)
    expect(serviceErrorOf(error)).toMatchObject({ status, code: service })
  })

  it('takes the request id from the body when the header has none', () => {
    const text = '{"error_code":"APIGW.0301","error_msg":"no","request_id":"abc"}'
    const refusal = huaweiRefusal({ status: 401, headers: {}, text }, JSON.parse(text), asked)
    expect(refusal?.note).toBe(' (request abc)')
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

  it.each([
    ['the keys', `no such key ${AK} / ${SK} / ${TOKEN}`],
    ['the request', `cannot read ${JSON.stringify(body)}`],
    ['lines of the private key', 'bad line MIIEowIBAAKCAQEAuQ3ExampleLineOne and short== there'],
    ['the password', 'password abcdef is wrong'],
  ])('an answer that repeats %s does not reach the error', async (_, text) => {
    const { client, faults } = await createRig({ options: { keys: async () => temporary } })
    faults.add(json(400, { error_code: 'IOTDA.000006', error_msg: text }))
    const error = await failureOf(client.call({ ...write, body }))
    const all = `${inspect(error, { depth: 20, showHidden: true })} ${error.hint} ${JSON.stringify(error)}`
    for (const hidden of [AK, SK, TOKEN, 'MIIEowIBAAKCAQEAuQ3ExampleLineOne', 'short==', 'abcdef'])
      expect(all).not.toContain(hidden)
    expect(error.message).toContain('[secret]')
    expect(error.message).toContain('IOTDA.000006')
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
