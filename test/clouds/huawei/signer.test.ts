import { describe, expect, it } from 'vitest'
import { secret } from '../../../lib/base/secret.ts'
import {
  algorithmFor,
  canonicalRequest,
  derivedKey,
  type SignableRequest,
  sign,
} from '../../../lib/clouds/huawei/signer.ts'
import {
  DEMO,
  GENERIC,
  get,
  INSTANCE,
  IOTDA,
  listOn,
  P,
  SDK,
  sha256,
  TOKEN,
  V11,
  vectors,
} from './vectors.ts'

/** The request with what gets signed beside its own headers. */
const asSigned = (request: SignableRequest, date: string, token?: string): SignableRequest => ({
  ...request,
  headers: {
    ...request.headers,
    Host: new URL(request.url).host,
    'X-Sdk-Date': date,
    ...(token === undefined ? {} : { 'X-Security-Token': token }),
  },
})

describe.each(vectors)('published vector $name', vector => {
  const { as, request, algorithm, token } = vector

  it('gives the published signature and headers', () => {
    const keys = { ...as.keys, securityToken: token === undefined ? null : secret(token) }
    const headers = sign(request, { keys, algorithm, region: as.region, at: as.at, service: as.service })
    const who =
      algorithm === SDK
        ? `Access=${as.accessKey}`
        : `Credential=${as.accessKey}/${as.date.slice(0, 8)}/${as.region}/${as.service}`
    expect(headers).toEqual({
      ...request.headers,
      'X-Sdk-Date': as.date,
      ...(token === undefined ? {} : { 'X-Security-Token': token }),
      Authorization: `${algorithm} ${who}, SignedHeaders=${vector.signedHeaders}, Signature=${vector.signature}`,
    })
  })

  it('gives the published canonical request', () => {
    const canonical = canonicalRequest(asSigned(request, as.date, token))
    if (vector.canonical) expect(sha256(canonical)).toBe(vector.canonical)
    expect(canonical.split('\n').at(-1)).toBe(vector.bodyHash ?? sha256(''))
    expect(canonical.split('\n').at(-2)).toBe(vector.signedHeaders)
  })
})

describe('parts of the published vectors', () => {
  it('derives the keys of A and B, C and D', () => {
    expect(derivedKey(DEMO.keys, '20200608/test-region-1/demo')).toBe(
      '5f2c01cbdf35366c541e012b779258a826d7376e6ff5238d76d85000690e1b50',
    )
    expect(derivedKey(IOTDA.keys, '20251201/cn-north-4/iotdm')).toBe(
      '0182662f99f41e27c52c9b51372dcec3adecba2c703c1a0523e02f562c5c0e31',
    )
  })

  it('uses iotdm as the service when none is given', () => {
    const { keys, region, at } = IOTDA
    expect(sign(listOn(INSTANCE), { keys, algorithm: V11, region, at }).Authorization).toBe(
      'V11-HMAC-SHA256 Credential=AKEXAMPLE0000000001/20251201/cn-north-4/iotdm, SignedHeaders=content-type;host;x-project-id;x-sdk-date, Signature=552badf8aef05f8b6c113a1e6391c69de55220973b8a315d649b812172abbe44',
    )
  })

  it('writes the canonical query of E and the canonical path of F', () => {
    const lines = (name: string): readonly string[] => {
      const found = vectors.find(vector => vector.name.startsWith(name))
      if (!found) throw new Error(`no vector ${name}`)
      return canonicalRequest(asSigned(found.request, found.as.date)).split('\n')
    }
    expect(lines('E')[2]).toBe(
      'name=example.com.&search_mode=equal&tags=a%2Cb%7Cc%20d%2A~%28x%29&type=public',
    )
    expect(lines('F')[1]).toBe(
      `/v2/${P}/notifications/topics/urn%3Asmn%3Acn-north-4%3A${P}%3Aiotda-cert/publish/`,
    )
  })
})

describe('canonicalRequest', () => {
  const lines = (url: string): readonly string[] => canonicalRequest(get(url)).split('\n')

  it('sorts by name, then by value, and not by the joined text', () => {
    expect(lines('https://h/?a-b=1&a=2&a=1&b')[2]).toBe('a=1&a=2&a-b=1&b=')
  })

  it('keeps a plus sign and an equals sign of a value', () => {
    expect(lines('https://h/?marker=a+b=')[2]).toBe('marker=a%2Bb%3D')
  })

  it('ends the path in one slash', () => {
    expect(lines('https://h')[1]).toBe('/')
    expect(lines('https://h/v2/zones/')[1]).toBe('/v2/zones/')
    expect(lines('https://h/v2/zones')[1]).toBe('/v2/zones/')
  })
})

describe('sign', () => {
  const { region, at, keys } = IOTDA

  it('signs the port of the host and leaves out what proxies rewrite', () => {
    const request = get('http://127.0.0.1:18443/v2/zones', { 'User-Agent': 'x', Connection: 'close' })
    const headers = sign(request, { keys, algorithm: SDK, region, at })
    expect(headers['User-Agent']).toBe('x')
    expect(headers.Authorization).toContain('SignedHeaders=host;x-sdk-date,')
    const elsewhere = sign(
      { ...request, url: 'http://127.0.0.1:18444/v2/zones' },
      {
        keys,
        algorithm: SDK,
        region,
        at,
      },
    )
    expect(elsewhere.Authorization).not.toBe(headers.Authorization)
  })

  it('signs the security token: another token, another signature', () => {
    const signed = (token: string) =>
      sign(listOn(INSTANCE), { keys: { ...keys, securityToken: secret(token) }, algorithm: V11, region, at })
    expect(signed(TOKEN)['X-Security-Token']).toBe(TOKEN)
    expect(signed(TOKEN).Authorization).toContain('x-sdk-date;x-security-token,')
    expect(signed(TOKEN).Authorization).not.toBe(signed('other').Authorization)
  })

  it('drops the milliseconds of the date', () => {
    const headers = sign(listOn(GENERIC), { keys, algorithm: SDK, region, at: at + 999 })
    expect(headers['X-Sdk-Date']).toBe('20251201T080000Z')
  })
})

describe('algorithmFor', () => {
  it.each([
    [`https://${INSTANCE}`, 'cn-north-4', 'auto', V11],
    [`https://${INSTANCE}:443/`, 'cn-north-4', 'auto', V11],
    [`https://${INSTANCE}`, 'cn-south-1', 'auto', SDK],
    [`https://${GENERIC}`, 'cn-north-4', 'auto', SDK],
    ['https://dns.myhuaweicloud.com', 'cn-north-4', 'auto', SDK],
    ['https://proxy.example.com/x.iotda-app.cn-north-4.', 'cn-north-4', 'auto', SDK],
    [`https://${INSTANCE}`, 'cn-north-4', 'standard', SDK],
    [`https://${GENERIC}`, 'cn-north-4', 'derived', V11],
    ['http://127.0.0.1:18443', 'cn-north-4', 'derived', V11],
  ] as const)('%s in %s, %s: %s', (endpoint, region, signing, algorithm) => {
    expect(algorithmFor(endpoint, region, signing)).toBe(algorithm)
  })
})
