import { beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../lib/base/time.ts'
import { createEndpoint, type Endpoint, type Handshake } from '../../../lib/iotda/endpoint.ts'
import { probeAnyPort } from '../../../lib/rotation/actions/probe.ts'
import { type Authority, createRoot, type Issued, issueLeaf } from '../../../sandbox/kit/pki.ts'
import { profile } from '../../devices/profile.ts'
import { domain, start } from '../../sandbox/device-rig.ts'

/** Addresses that a machine has no way to, which no test machine has for certain. */

let root: Authority
let leaf: Issued
beforeAll(async () => {
  root = await createRoot()
  leaf = await issueLeaf({ names: [domain], issuer: root })
})

const unreachable = (address: string, error: string): Handshake => ({
  address,
  error,
  leaf: null,
  chainPem: null,
  protocol: null,
  cipher: null,
  durationMs: 5_003,
})

/** The real port, and addresses beyond it. */
async function probe(...beyond: readonly Handshake[]) {
  const { endpoint: device } = await start(leaf)
  const real = createEndpoint()
  const endpoint: Endpoint = {
    ...real,
    lookClosely: async (where, name, signal) => [
      ...(where.host === 'nowhere'
        ? []
        : await real.lookClosely({ ...where, addresses: ['127.0.0.1'] }, name, signal)),
      ...beyond,
    ],
  }
  const run = { clock: systemClock, signal: new AbortController().signal }
  return (host: string) =>
    probeAnyPort({
      host,
      port: device.port,
      serverName: domain,
      profiles: [profile({ name: 'meter', trustedRoots: root.certPem })],
      run,
      endpoint,
    })
}

test.each(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])(
  'IPv6 where there is none (%s) is told, and says nothing about the port',
  async error => {
    const ask = await probe(unreachable('2001:db8::1', error))
    const result = await ask('device')
    expect(result).toMatchObject({
      outcome: 'probed',
      error: null,
      warnings: [{ code: 'no-ipv6', message: expect.stringContaining('2001:db8::1') }],
    })
    expect(result.probe?.addresses.map(a => [a.address, a.skipped])).toEqual([
      ['127.0.0.1', false],
      ['2001:db8::1', true],
    ])
  },
)

test('alone it proves nothing', async () => {
  const ask = await probe(unreachable('2001:db8::1', 'ENETUNREACH'))
  expect(await ask('nowhere')).toMatchObject({
    outcome: 'failed',
    error: { code: 'not-served', message: 'no address can be used from here' },
  })
})

test.each([
  ['2001:db8::1', 'ECONNREFUSED'],
  ['2001:db8::1', 'no answer within 5 s'],
  ['192.0.2.1', 'ENETUNREACH'],
])('%s with %s is an address that is not well', async (address, error) => {
  const ask = await probe(unreachable(address, error))
  const result = await ask('device')
  // How long the look took: no device has tried after it.
  expect(result.probe?.addresses[1]?.verdicts).toMatchObject([{ ok: false, durationMs: 5_003 }])
  expect(result).toMatchObject({
    outcome: 'failed',
    error: { code: 'not-served', message: `${address}: profile "meter": no answer: ${error}` },
    warnings: [],
  })
})
