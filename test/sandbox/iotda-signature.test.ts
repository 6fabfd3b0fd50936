import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  canonicalRequest,
  derivedKey,
  type ReceivedRequest,
  type RejectionCode,
  signatureOf,
  type VerifyOptions,
  verifySignature,
} from '../../sandbox/iotda/signature.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

const P = '0123456789abcdef0123456789abcdef'
const exampleKey = 'AKEXAMPLE0000000001'
const exampleSecret = 'SKexample/Secret+Key0000000000000000001'
const genericHost = 'iotda.cn-north-4.myhuaweicloud.com'
const instanceHost = '0a1b2c3d4e.st1.iotda-app.cn-north-4.myhuaweicloud.com'
const securityToken = 'ggpjbi1ub3J0aC00EXAMPLETOKEN=='

interface Vector {
  readonly name: string
  readonly method: string
  readonly url: string
  readonly date: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly algorithm: 'SDK-HMAC-SHA256' | 'V11-HMAC-SHA256'
  readonly accessKey?: string
  readonly secretKey?: string
  readonly scope?: string
  readonly canonicalSha256?: string
  readonly signature: string
}

const simple = {
  url: 'https://service.endpoint.myhuaweicloud.com/resources?size=1',
  date: '20200608T023900Z',
  accessKey: 'AccessKey',
  secretKey: 'SecretKey',
  scope: '20200608/test-region-1/demo',
}
const a = {
  ...simple,
  method: 'GET',
  canonicalSha256: 'de94dd1e1ccdb730b403ce35d7e14f7c7b04337f6def1c3a3a2ba936852b133f',
}
const b = {
  ...simple,
  method: 'POST',
  body: '{"name":"test","id":1}',
  canonicalSha256: '2b1b2515e48cb55e043ff2ec5b93d3f13ec287e1da1d7a2e4e14b0611a341969',
}
const example = { date: '20251201T080000Z', scope: '20251201/cn-north-4/iotdm' }
const json = { 'content-type': 'application/json' }
const listPath = `/v5/iot/${P}/server-certificates`
const c = { ...example, method: 'GET', headers: { ...json, 'x-project-id': P } }
const d = {
  ...example,
  method: 'POST',
  headers: {
    ...json,
    'x-project-id': P,
    'x-security-token': securityToken,
    'instance-id': '11111111-2222-3333-4444-555555555555',
  },
  body: String.raw`{"certificate_pem":"-----BEGIN CERTIFICATE-----\nTESTCERT\n-----END CERTIFICATE-----\n","private_key":"-----BEGIN PRIVATE KEY-----\nTESTKEY\n-----END PRIVATE KEY-----\n"}`,
}

const vectors: readonly Vector[] = [
  {
    ...a,
    name: 'A, SDK',
    algorithm: 'SDK-HMAC-SHA256',
    signature: 'cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842',
  },
  {
    ...a,
    name: 'A, V11',
    algorithm: 'V11-HMAC-SHA256',
    signature: 'f7dfee056692e58dede80fc80cb89bbfabf45552dd7cd8d18a0a13484455b98e',
  },
  {
    ...b,
    name: 'B, SDK',
    algorithm: 'SDK-HMAC-SHA256',
    signature: '436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f',
  },
  {
    ...b,
    name: 'B, V11',
    algorithm: 'V11-HMAC-SHA256',
    signature: '8e2d91eaf9656ec5d6fab27812e2d898a35aaaa5e16ee0a0365c38527ccfb3cf',
  },
  {
    ...c,
    name: 'C, SDK',
    algorithm: 'SDK-HMAC-SHA256',
    url: `https://${genericHost}${listPath}?limit=50&offset=0`,
    canonicalSha256: '31983cfba778f01e7511808cde1160beec0d8a86918c684f4790ea1028aff680',
    signature: '69688e5d302cb7cfb80f825d7cac16e599a321941e24b44e8677910da5b99bf1',
  },
  {
    ...c,
    name: 'C, V11',
    algorithm: 'V11-HMAC-SHA256',
    url: `https://${instanceHost}${listPath}?limit=50&offset=0`,
    canonicalSha256: 'ba53c92aa6a7e97e57d5859dbdb35b672a304a6a685f9e7c6c94ca4c4533bb8c',
    signature: '552badf8aef05f8b6c113a1e6391c69de55220973b8a315d649b812172abbe44',
  },
  {
    ...d,
    name: 'D, SDK',
    algorithm: 'SDK-HMAC-SHA256',
    url: `https://${genericHost}${listPath}`,
    canonicalSha256: 'e0fd1544384c7107275e388b5ce2af3f10909564e2dc4a8b2b3d010fa452e8e1',
    signature: 'de170a9a8c09b02c114bf7f626b0550965e06ae842a5fd36df8501ca98c47fa9',
  },
  {
    ...d,
    name: 'D, V11',
    algorithm: 'V11-HMAC-SHA256',
    url: `https://${instanceHost}${listPath}`,
    canonicalSha256: 'e127323a0c7ec8f8bac0472fd849ca943c16a14c274507c0fa17c52f9f175712',
    signature: '5ac0f0384db68c155b91b52874bda1f5b42c9950a85d128d38b48f8fe97b07ea',
  },
  {
    ...example,
    name: 'E, query encoding',
    method: 'GET',
    algorithm: 'SDK-HMAC-SHA256',
    url: 'https://dns.cn-north-4.myhuaweicloud.com/v2/zones?type=public&name=example.com.&tags=a,b%7Cc%20d*~(x)&search_mode=equal',
    signature: '5740cb765a925faa7a01487c49e65d9dc1cf0a75c4b09c7711c5dc26c90b7a38',
  },
  {
    ...example,
    name: 'F, colon in the path',
    method: 'POST',
    algorithm: 'SDK-HMAC-SHA256',
    url: `https://smn.cn-north-4.myhuaweicloud.com/v2/${P}/notifications/topics/urn:smn:cn-north-4:${P}:iotda-cert/publish`,
    headers: json,
    body: '{"subject":"hi","message":"hello"}',
    signature: '197a535a3419dc3e0ce75a42c699bf57f404f68e247601b8c781bab5afd4d905',
  },
]

const received = (vector: Vector): { request: ReceivedRequest; signed: readonly string[] } => {
  const slash = vector.url.indexOf('/', 8)
  const headers: Record<string, string> = {
    ...vector.headers,
    host: vector.url.slice(8, slash),
    'x-sdk-date': vector.date,
  }
  const signed = Object.keys(headers).sort()
  const accessKey = vector.accessKey ?? exampleKey
  const credential =
    vector.algorithm === 'SDK-HMAC-SHA256' ? `Access=${accessKey}` : `Credential=${accessKey}/${vector.scope}`
  headers.authorization = `${vector.algorithm} ${credential}, SignedHeaders=${signed.join(';')}, Signature=${vector.signature}`
  const request = { method: vector.method, target: vector.url.slice(slash), headers, body: vector.body ?? '' }
  return { request, signed }
}

const optionsFor = (vector: Vector): VerifyOptions => {
  const [, region = '', service = ''] = (vector.scope ?? '').split('/')
  const token = vector.headers?.['x-security-token']
  const { year, rest } = { year: vector.date.slice(0, 4), rest: vector.date.slice(4) }
  const iso = `${year}-${rest.slice(0, 2)}-${rest.slice(2, 7)}:${rest.slice(7, 9)}:${rest.slice(9)}`
  return {
    keys: new Map([
      [
        vector.accessKey ?? exampleKey,
        {
          secretKey: vector.secretKey ?? exampleSecret,
          ...(token === undefined ? {} : { securityToken: token }),
        },
      ],
    ]),
    algorithm: vector.algorithm,
    region,
    service,
    now: Date.parse(iso),
  }
}

describe('published vectors', () => {
  test.each(vectors)('$name verifies', vector => {
    const { request, signed } = received(vector)
    if (vector.canonicalSha256 !== undefined)
      expect(sha256(canonicalRequest(request, signed))).toBe(vector.canonicalSha256)
    expect(verifySignature(request, optionsFor(vector))).toEqual({ ok: true })
  })

  test.each(vectors)('$name does not verify with another body, path, query or method', vector => {
    const { request } = received(vector)
    const options = optionsFor(vector)
    for (const change of [
      { body: `${request.body} ` },
      { target: request.target.replace('/v', '/w').replace('/r', '/s') },
      { target: `${request.target}${request.target.includes('?') ? '&' : '?'}x=1` },
      { method: 'PUT' },
    ])
      expect(verifySignature({ ...request, ...change }, options)).toMatchObject({
        ok: false,
        code: 'signature',
      })
  })

  test('the derived keys', () => {
    expect(derivedKey('AccessKey', 'SecretKey', '20200608/test-region-1/demo')).toBe(
      '5f2c01cbdf35366c541e012b779258a826d7376e6ff5238d76d85000690e1b50',
    )
    expect(derivedKey(exampleKey, exampleSecret, '20251201/cn-north-4/iotdm')).toBe(
      '0182662f99f41e27c52c9b51372dcec3adecba2c703c1a0523e02f562c5c0e31',
    )
  })

  test('the canonical query and path are sorted and encoded', () => {
    const lines = (name: string) => {
      const vector = vectors.find(v => v.name === name) as Vector
      const { request, signed } = received(vector)
      return canonicalRequest(request, signed).split('\n')
    }
    expect(lines('E, query encoding')[2]).toBe(
      'name=example.com.&search_mode=equal&tags=a%2Cb%7Cc%20d%2A~%28x%29&type=public',
    )
    expect(lines('F, colon in the path')[1]).toBe(
      `/v2/${P}/notifications/topics/urn%3Asmn%3Acn-north-4%3A${P}%3Aiotda-cert/publish/`,
    )
  })
})

describe('rejections', () => {
  const vector = vectors.find(v => v.name === 'D, V11') as Vector
  const { request } = received(vector)
  const options = optionsFor(vector)
  const authorization = request.headers.authorization ?? ''
  const withHeaders = (change: Record<string, string | undefined>): ReceivedRequest => {
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries({ ...request.headers, ...change }))
      if (value !== undefined) headers[name] = value
    return { ...request, headers }
  }
  const authorized = (pattern: string | RegExp, replacement: string): ReceivedRequest =>
    withHeaders({ authorization: authorization.replace(pattern, replacement) })

  const cases: readonly [string, ReceivedRequest, Partial<VerifyOptions>, RejectionCode][] = [
    ['no Authorization', withHeaders({ authorization: undefined }), {}, 'missing'],
    ['another scheme', withHeaders({ authorization: 'Basic x' }), {}, 'missing'],
    ['the other algorithm', request, { algorithm: 'SDK-HMAC-SHA256' }, 'wrong-algorithm'],
    ['a malformed header', authorized('Signature=', 'Sig='), {}, 'signature'],
    ['the fields of the other algorithm', authorized('Credential=', 'Access='), {}, 'signature'],
    ['16 minutes late', request, { now: options.now + 16 * 60_000 }, 'skew'],
    ['16 minutes early', request, { now: options.now - 16 * 60_000 }, 'skew'],
    ['no date', withHeaders({ 'x-sdk-date': undefined }), {}, 'signature'],
    ['an unknown key', authorized(exampleKey, 'NOBODY'), {}, 'unknown-key'],
    ['no token', withHeaders({ 'x-security-token': undefined }), {}, 'missing-token'],
    ['an unsigned token', authorized(';x-security-token', ''), {}, 'missing-token'],
    ['another token', withHeaders({ 'x-security-token': 'x' }), {}, 'missing-token'],
    ['a host that is taken out of what was signed', authorized(';host', ''), {}, 'signature'],
    ['unsorted names', authorized('content-type;host', 'host;content-type'), {}, 'signature'],
    ['a signed header that did not arrive', withHeaders({ 'x-project-id': undefined }), {}, 'signature'],
    ['a changed signed header', withHeaders({ 'x-project-id': 'x' }), {}, 'signature'],
    ['the scope of another region', request, { region: 'cn-north-1' }, 'signature'],
    ['bad percent-encoding', { ...request, target: `${request.target}?a=%zz` }, {}, 'signature'],
    ['a stale token', withHeaders({ 'x-auth-token': 'old' }), { token: 'new' }, 'missing'],
  ]
  test.each(cases)('%s', (_, changed, optionChange, code) => {
    expect(verifySignature(changed, { ...options, ...optionChange })).toMatchObject({ ok: false, code })
  })

  test('the 15 minutes are inclusive, and unsigned headers do not matter', () => {
    const late = { ...options, now: options.now + 15 * 60_000 }
    expect(verifySignature(withHeaders({ 'user-agent': 'x' }), late)).toEqual({ ok: true })
  })

  test('host need not be signed: the Go SDK and the Terraform provider of Huawei never do', () => {
    const signedHeaders = ['x-sdk-date', 'x-security-token']
    const { accessKey, secretKey } = { accessKey: exampleKey, secretKey: exampleSecret }
    const { scope = '', date } = vector
    const canonical = canonicalRequest(request, signedHeaders)
    const signature = signatureOf('V11-HMAC-SHA256', canonical, { accessKey, secretKey, date, scope })
    const value = `V11-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`
    expect(verifySignature(withHeaders({ authorization: value }), options)).toEqual({ ok: true })
  })

  test('a wrong signature is called by its name', () => {
    const verdict = verifySignature(authorized(/.$/, 'f'), options)
    expect(verdict).toMatchObject({
      ok: false,
      message: expect.stringContaining('verify aksk signature fail'),
    })
  })

  test('a configured token needs no signature', () => {
    const bare = { ...request, headers: { 'x-auth-token': 'TOKEN' } }
    expect(verifySignature(bare, { ...options, token: 'TOKEN' })).toEqual({ ok: true })
    expect(verifySignature(bare, options)).toMatchObject({ ok: false, code: 'missing' })
  })
})
