/** A sandbox Huawei Cloud DNS over a sandbox DNS, and a signing client for it. */
import { Resolver } from 'node:dns/promises'
import { createHuaweiDns, type HuaweiDnsOptions } from '../../sandbox/dns/huaweicloud.ts'
import { createDns } from '../../sandbox/dns/server.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { cleanups } from './cleanups.ts'
import { type HuaweiRequest, signHuawei } from './huawei-sign.ts'

const A = '127.0.0.1'
export const KEY = { accessKey: 'AK1', secretKey: 'SK1' }
/** A key that needs its security token. */
export const TEMPORARY = { accessKey: 'AK2', secretKey: 'SK2', securityToken: 'token-2' }
export const PROJECT = '0123456789abcdef0123456789abcdef'
export const NAME = '_acme-challenge.example.com.'
/** What the API answers, as far as tests look at it. */
export interface Json {
  readonly [key: string]: unknown
  readonly id: string
  readonly code?: string
  readonly status: string
  readonly links: { readonly self: string; readonly next?: string }
  readonly metadata: { readonly total_count: number }
  readonly zones: readonly Json[]
  readonly recordsets: readonly Json[]
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Json
}

export type Extra = Partial<Pick<HuaweiRequest, 'query' | 'headers' | 'at'>> & { readonly key?: typeof KEY }

const absent = (error: NodeJS.ErrnoException): string[][] => {
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return []
  throw error
}

const zoneNames = ['example.com', 'my-example.com', 'example.com.cn', 'other.test']

/** Starts it, to be stopped after the test; `call` signs. */
export async function open(options: Partial<HuaweiDnsOptions> = {}, clock: () => number = Date.now) {
  const dns = await createDns({
    zones: zoneNames.map(name => ({ name, ns: [{ name: `ns1.${name}`, address: A }] })),
    now: clock,
  })
  cleanups.push(dns.dispose)
  const faults = createFaults()
  const keys = new Map([
    [KEY.accessKey, { secretKey: KEY.secretKey }],
    [TEMPORARY.accessKey, { secretKey: TEMPORARY.secretKey, securityToken: TEMPORARY.securityToken }],
  ])
  const server = await createHuaweiDns({ dns, faults, keys, now: clock, ...options })
  cleanups.push(server.dispose)

  const call = async (
    method: string,
    path: string,
    body?: object | string,
    extra: Extra = {},
  ): Promise<Reply> => {
    const text = body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body)
    const { key = KEY, ...more } = extra
    const request = { method, url: `${server.url}${path}`, body: text, at: new Date(clock()), ...more }
    const signed = signHuawei(request, key)
    const init = { method, headers: { ...signed.headers }, ...(text === '' ? {} : { body: text }) }
    const answer = await fetch(signed.url, init)
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Json }
  }
  const listed = await call('GET', '/v2/zones', undefined, {
    query: { name: 'example.com.', search_mode: 'equal' },
  })
  const zone = `/v2/zones/${listed.body.zones[0]?.id}/recordsets`
  faults.clearCalls()

  const resolver = new Resolver({ timeout: 10_000, tries: 1 })
  resolver.setServers([`${A}:${dns.port}`])
  const inDns = async (name = NAME): Promise<string[]> => {
    const found = await resolver.resolveTxt(name).catch(absent)
    return found.map(strings => strings.join('')).sort()
  }
  return { dns, faults, server, call, zone, inDns }
}

/** The body of a TXT record set with these values. */
export const txt = (...values: string[]) => ({
  name: NAME,
  type: 'TXT',
  ttl: 60,
  records: values.map(value => `"${value}"`),
})
/** The names of listed things. */
export const names = (items: readonly Json[]) => items.map(item => item.name)
