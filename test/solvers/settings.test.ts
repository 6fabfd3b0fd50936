/** The settings of every driver: the least that it takes, what it makes of the rest, and what it refuses. */
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { type SolverType, solvers } from '../../lib/solvers/index.ts'

interface Given {
  readonly least: object
  readonly defaults: object
  /** Beside or instead of the least, each with one thing wrong; undefined leaves a key out. */
  readonly refused: readonly (object | readonly [object, string])[]
}

const propagation = { withinMs: 180_000 }
const caCertificates = null
const webhookUrl = 'https://dns.example.com'
const account = { subdomain: 'd420c923', username: 'eabcdb41', fulldomain: 'd420c923.my-example.com' }

const DRIVERS: Readonly<Record<SolverType, Given>> = {
  acmedns: {
    least: { endpoint: 'https://auth.example.org', ...account, password: 'env:P' },
    defaults: { ...account, caCertificates },
    refused: [
      { endpoint: 'http://auth.example.org' },
      { subdomain: '' },
      { ttl: 1 },
      { fulldomain: undefined },
    ],
  },
  alidns: {
    least: { accessKeyId: 'env:A', accessKeySecret: 'env:B' },
    defaults: { endpoint: 'https://alidns.aliyuncs.com', ttl: 600, securityToken: null, caCertificates },
    refused: [{ accessKeySecret: undefined }, { ttl: 0 }, { region: 'x' }],
  },
  cloudflare: {
    least: { apiToken: 'env:CF' },
    defaults: { endpoint: 'https://api.cloudflare.com/client/v4', ttl: 120, caCertificates, propagation },
    refused: [{ apiToken: undefined }, { ttl: 0 }, { zone: 'x' }],
  },
  exec: {
    least: { command: '/opt/dns' },
    defaults: { args: [], environment: {}, timeout: 120_000 },
    refused: [{ command: '' }, { args: 'x' }, { environment: { 'A=B': 'env:C' } }, { shell: true }],
  },
  huaweicloud: {
    least: { credentials: 'cn' },
    defaults: { credentials: 'cn', endpoint: null, region: null, projectId: null, ttl: 300, caCertificates },
    refused: [
      { credentials: 'env:AK' },
      { ttl: 0 },
      { ttl: 1.5 },
      { endpoint: 'http://dns.example.com' },
      { zone: 'x' },
      { credentials: undefined },
    ],
  },
  rfc2136: {
    least: { server: 'ns1.example.com', keyName: 'acme.', keySecret: 'env:K' },
    defaults: { algorithm: 'hmac-sha256', transport: 'tcp', ttl: 60, propagation },
    refused: [
      { algorithm: 'hmac-md5' },
      { keyName: '' },
      { transport: 'tls' },
      { zone: 'x' },
      { server: 'https://ns1' },
    ],
  },
  route53: {
    least: {},
    defaults: {
      accessKeyId: null,
      hostedZoneId: null,
      region: 'us-east-1',
      endpoint: null,
      ttl: 60,
      caCertificates,
    },
    refused: [{ accessKeyId: 'env:A' }, { secretAccessKey: 'env:A' }, { ttl: 0 }, { zone: 'x' }],
  },
  tencentcloud: {
    least: { secretId: 'env:A', secretKey: 'env:B' },
    defaults: { endpoint: 'https://dnspod.tencentcloudapi.com', ttl: 600, token: null, caCertificates },
    refused: [{ secretKey: undefined }, { ttl: 0 }, { zone: 'x' }],
  },
  webhook: {
    least: { url: `${webhookUrl}/api` },
    defaults: {
      username: null,
      password: null,
      caCertificates,
      propagation: { withinMs: 180_000, everyMs: 2_000, settleMs: 0, port: 53 },
    },
    refused: [
      [{ url: 'http://dns.example.com' }, 'must be https (http is allowed to loopback only)'],
      [{ url: 'https://user:pass@dns.example.com' }, 'must not carry credentials'],
      [{ url: webhookUrl, username: '' }, 'must not be empty'],
      { url: webhookUrl, usrname: 'x' },
    ],
  },
}

describe.each(Object.entries(DRIVERS))('%s settings', (type, { least, defaults, refused }) => {
  const schema = async () => (await solvers[type as SolverType]()).default.settings

  it('needs no more than the least', async () => {
    expect(v.parse(await schema(), least)).toMatchObject(defaults)
  })

  it.each(refused.map(it => (Array.isArray(it) ? it : [it, null]) as [object, string | null]))(
    'refuses %j',
    async (change, message) => {
      const given = Object.entries({ ...least, ...change }).filter(([, value]) => value !== undefined)
      const { issues = [] } = v.safeParse(await schema(), Object.fromEntries(given))
      expect(issues).toHaveLength(1)
      if (message !== null) expect(issues[0]?.message).toBe(message)
    },
  )
})
