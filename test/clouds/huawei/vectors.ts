import { createHash } from 'node:crypto'
import { secret } from '../../../lib/base/secret.ts'
import type { SignableRequest, SigningAlgorithm } from '../../../lib/clouds/huawei/signer.ts'
import type { HuaweiKeys } from '../../../lib/contracts.ts'

/** Vectors made with Huawei's own SDKs; A and B stand in the Python SDK's tests/test_signer.py. */

export const SDK = 'SDK-HMAC-SHA256'
export const V11 = 'V11-HMAC-SHA256'

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const keysOf = (accessKey: string, secretKey: string, token: string | null = null): HuaweiKeys => ({
  accessKey: secret(accessKey),
  secretKey: secret(secretKey),
  securityToken: token === null ? null : secret(token),
})

export const DEMO = {
  keys: keysOf('AccessKey', 'SecretKey'),
  accessKey: 'AccessKey',
  at: Date.UTC(2020, 5, 8, 2, 39, 0),
  date: '20200608T023900Z',
  region: 'test-region-1',
  service: 'demo',
}
export const IOTDA = {
  keys: keysOf('AKEXAMPLE0000000001', 'SKexample/Secret+Key0000000000000000001'),
  accessKey: 'AKEXAMPLE0000000001',
  at: Date.UTC(2025, 11, 1, 8, 0, 0),
  date: '20251201T080000Z',
  region: 'cn-north-4',
  service: 'iotdm',
}
export const TOKEN = 'ggpjbi1ub3J0aC00EXAMPLETOKEN=='
export const P = '0123456789abcdef0123456789abcdef'
export const GENERIC = 'iotda.cn-north-4.myhuaweicloud.com'
export const INSTANCE = '0a1b2c3d4e.st1.iotda-app.cn-north-4.myhuaweicloud.com'

export const get = (url: string, headers: Record<string, string> = {}): SignableRequest => ({
  method: 'GET',
  url,
  headers,
  body: '',
})
const post = (url: string, headers: Record<string, string>, body: string): SignableRequest => ({
  method: 'POST',
  url,
  headers,
  body,
})

const uploadBody =
  '{"certificate_pem":"-----BEGIN CERTIFICATE-----\\nTESTCERT\\n-----END CERTIFICATE-----\\n",' +
  '"private_key":"-----BEGIN PRIVATE KEY-----\\nTESTKEY\\n-----END PRIVATE KEY-----\\n"}'
export const listOn = (host: string) =>
  get(`https://${host}/v5/iot/${P}/server-certificates?limit=50&offset=0`, {
    'content-type': 'application/json',
    'X-Project-Id': P,
  })
const createOn = (host: string) =>
  post(
    `https://${host}/v5/iot/${P}/server-certificates`,
    {
      'content-type': 'application/json',
      'X-Project-Id': P,
      'Instance-Id': '11111111-2222-3333-4444-555555555555',
    },
    uploadBody,
  )

export interface Vector {
  readonly name: string
  readonly as: typeof DEMO
  readonly request: SignableRequest
  readonly algorithm: SigningAlgorithm
  readonly signedHeaders: string
  readonly signature: string
  readonly token?: string
  /** SHA-256 of the canonical request, where it is published. */
  readonly canonical?: string
  readonly bodyHash?: string
}

const A = get('https://service.endpoint.myhuaweicloud.com/resources?size=1')
const B = post('https://service.endpoint.myhuaweicloud.com/resources?size=1', {}, '{"name":"test","id":1}')
const E = get(
  'https://dns.cn-north-4.myhuaweicloud.com/v2/zones?type=public&tags=a,b%7Cc%20d*~(x)&search_mode=equal&name=example.com.',
)
const F = post(
  `https://smn.cn-north-4.myhuaweicloud.com/v2/${P}/notifications/topics/urn:smn:cn-north-4:${P}:iotda-cert/publish`,
  { 'content-type': 'application/json' },
  '{"subject":"hi","message":"hello"}',
)
const ofA = { canonical: 'de94dd1e1ccdb730b403ce35d7e14f7c7b04337f6def1c3a3a2ba936852b133f' }
const ofB = {
  canonical: '2b1b2515e48cb55e043ff2ec5b93d3f13ec287e1da1d7a2e4e14b0611a341969',
  bodyHash: '8ed555081b9961769014bc1182c629bb0fe68d7b01c1fc1caab4dc791f377e8c',
}
const ofD = {
  token: TOKEN,
  bodyHash: '018500bd88fdf8c482eaa973e182a05a8e1c4250e9f2523f3f1c2f8385b0d6cc',
}
const minimal = 'host;x-sdk-date'
const headersC = 'content-type;host;x-project-id;x-sdk-date'
const headersD = 'content-type;host;instance-id;x-project-id;x-sdk-date;x-security-token'

type Row = readonly [
  name: string,
  as: typeof DEMO,
  request: SignableRequest,
  algorithm: SigningAlgorithm,
  signedHeaders: string,
  signature: string,
  more: Pick<Vector, 'token' | 'canonical' | 'bodyHash'>,
]
const rows: readonly Row[] = [
  ['A, SDK', DEMO, A, SDK, minimal, 'cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842', ofA],
  ['A, V11', DEMO, A, V11, minimal, 'f7dfee056692e58dede80fc80cb89bbfabf45552dd7cd8d18a0a13484455b98e', ofA],
  ['B, SDK', DEMO, B, SDK, minimal, '436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f', ofB],
  ['B, V11', DEMO, B, V11, minimal, '8e2d91eaf9656ec5d6fab27812e2d898a35aaaa5e16ee0a0365c38527ccfb3cf', ofB],
  [
    ...(['C, generic host', IOTDA, listOn(GENERIC), SDK, headersC] as const),
    '69688e5d302cb7cfb80f825d7cac16e599a321941e24b44e8677910da5b99bf1',
    { canonical: '31983cfba778f01e7511808cde1160beec0d8a86918c684f4790ea1028aff680' },
  ],
  [
    ...(['C, instance host', IOTDA, listOn(INSTANCE), V11, headersC] as const),
    '552badf8aef05f8b6c113a1e6391c69de55220973b8a315d649b812172abbe44',
    { canonical: 'ba53c92aa6a7e97e57d5859dbdb35b672a304a6a685f9e7c6c94ca4c4533bb8c' },
  ],
  [
    ...(['D, generic host, temporary keys', IOTDA, createOn(GENERIC), SDK, headersD] as const),
    'de170a9a8c09b02c114bf7f626b0550965e06ae842a5fd36df8501ca98c47fa9',
    { ...ofD, canonical: 'e0fd1544384c7107275e388b5ce2af3f10909564e2dc4a8b2b3d010fa452e8e1' },
  ],
  [
    ...(['D, instance host, temporary keys', IOTDA, createOn(INSTANCE), V11, headersD] as const),
    '5ac0f0384db68c155b91b52874bda1f5b42c9950a85d128d38b48f8fe97b07ea',
    { ...ofD, canonical: 'e127323a0c7ec8f8bac0472fd849ca943c16a14c274507c0fa17c52f9f175712' },
  ],
  [
    ...(['E, query encoding', IOTDA, E, SDK, minimal] as const),
    '5740cb765a925faa7a01487c49e65d9dc1cf0a75c4b09c7711c5dc26c90b7a38',
    {},
  ],
  [
    ...(['F, colon in the path', IOTDA, F, SDK, 'content-type;host;x-sdk-date'] as const),
    '197a535a3419dc3e0ce75a42c699bf57f404f68e247601b8c781bab5afd4d905',
    { bodyHash: 'e2294a372c9d92eed96dccf4ba07d3d72a2bd3e662dcd61082040fc6ee72fd11' },
  ],
]
export const vectors: readonly Vector[] = rows.map(row => {
  const [name, as, request, algorithm, signedHeaders, signature, more] = row
  return { name, as, request, algorithm, signedHeaders, signature, ...more }
})
