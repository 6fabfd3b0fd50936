import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import huaweicloud from '../../lib/solvers/huaweicloud.ts'
import { createContext, createRun, createTestClock, createTestLog } from './rig.ts'

const NAME = '_acme-challenge.example.com.'

describe('huaweicloud settings', () => {
  it('needs nothing but credentials', () => {
    expect(v.parse(huaweicloud.settings, { credentials: 'cn' })).toMatchObject({
      credentials: 'cn',
      endpoint: null,
      region: null,
      projectId: null,
      ttl: 300,
      caCertificates: null,
    })
  })

  it.each([
    [{ credentials: 'env:AK' }],
    [{ credentials: 'cn', ttl: 0 }],
    [{ credentials: 'cn', ttl: 1.5 }],
    [{ credentials: 'cn', endpoint: 'http://dns.example.com' }],
    [{ credentials: 'cn', zone: 'x' }],
    [{}],
  ])('refuses %j', input => {
    expect(v.safeParse(huaweicloud.settings, input).issues).toHaveLength(1)
  })

  it.each([
    [{}, 'https://dns.myhuaweicloud.com/v2/zones'],
    [{ region: 'eu-west-101' }, 'https://dns.eu-west-101.myhuaweicloud.com/v2/zones'],
  ])('calls the right host with %j', async (given, url) => {
    const clock = createTestClock()
    const { log } = createTestLog()
    const asked: string[] = []
    const context = createContext(clock, log, async () => ({
      accessKey: secret('a'),
      secretKey: secret('s'),
      securityToken: null,
    }))
    const http = {
      request: async (request: { readonly url: string }) => {
        asked.push(request.url)
        return { status: 401, headers: {}, text: '' }
      },
      close: async () => {},
    }
    const settings = v.parse(huaweicloud.settings, { credentials: 'cn', ...given })
    const solver = huaweicloud.create(settings, { ...context, http: () => http })
    await expect(solver.prepare(NAME, createRun(clock, log))).rejects.toMatchObject({ code: 'unauthorized' })
    expect(asked[0]?.split('?')[0]).toBe(url)
  })
})
