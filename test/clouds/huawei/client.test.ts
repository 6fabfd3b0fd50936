import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { RotationError } from '../../../lib/base/rotation-error.ts'
import { secret } from '../../../lib/base/secret.ts'
import type { Clock } from '../../../lib/base/time.ts'
import { createHuaweiClient } from '../../../lib/clouds/huawei/client.ts'
import type { HuaweiKeys } from '../../../lib/contracts.ts'
import { serviceErrorOf } from '../../../lib/http/api-call.ts'
import { CHECK_PROXY, type Http } from '../../../lib/http/http.ts'
import type { Fault } from '../../../sandbox/kit/faults.ts'
import { createRoot, issueLeaf } from '../../../sandbox/kit/pki.ts'
import { createRig, failureOf, json, permanent, read, TOKEN, temporary, write } from './rig.ts'

describe('a call that succeeds', () => {
  it.each(['SDK-HMAC-SHA256', 'V11-HMAC-SHA256'] as const)(
    'is signed so that %s accepts it',
    async algorithm => {
      const { client, received } = await createRig({
        algorithm,
        options: {
          signing: algorithm === 'V11-HMAC-SHA256' ? 'derived' : 'standard',
          keys: async () => temporary,
          projectId: 'p1',
          instanceId: 'i1',
        },
      })
      const query = { name: 'a b+c/ü&d=~(*)', limit: 50 }
      await expect(client.call({ ...read, query })).resolves.toEqual({ name: 'thing' })
      await expect(client.call({ ...write, body: { text: 'ü\n' } })).resolves.toEqual({ name: 'thing' })
      expect(Object.fromEntries(received[0]?.query ?? [])).toEqual({ name: 'a b+c/ü&d=~(*)', limit: '50' })
      expect(received[1]?.body).toBe('{"text":"ü\\n"}')
      for (const call of received) {
        expect(call.headers).toMatchObject({
          'content-type': 'application/json',
          'x-project-id': 'p1',
          'instance-id': 'i1',
          'x-security-token': TOKEN,
        })
        expect(call.headers.authorization).toContain(
          'SignedHeaders=content-type;host;instance-id;x-project-id;x-sdk-date;x-security-token,',
        )
      }
    },
  )

  it('leaves out the headers it has no value for', async () => {
    const { client, received } = await createRig()
    await client.call(read)
    expect(Object.keys(received[0]?.headers ?? {})).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(x-project-id|instance-id|x-security-token)$/)]),
    )
    expect(client.projectId).toBeNull()
  })

  it.each([200, 201, 202])('takes %i for success', async status => {
    const { client } = await createRig({ handle: () => ({ status, body: { status } }) })
    await expect(client.call(read)).resolves.toEqual({ status })
  })

  it.each([{ status: 204 }, { status: 200, body: '' }, { status: 202, body: ' \n' }])(
    'gives null for the empty answer $status',
    async answer => {
      const { client } = await createRig({ handle: () => answer })
      await expect(client.call({ ...write, method: 'DELETE' })).resolves.toBeNull()
    },
  )

  it('accepts an endpoint with a slash at its end', async () => {
    const { options, served } = await createRig()
    const client = createHuaweiClient({ ...options, endpoint: `${served.url}/` })
    await expect(client.call(read)).resolves.toEqual({ name: 'thing' })
  })

  it('checks the answer by the schema it is given', async () => {
    const { client } = await createRig()
    const expected = v.object({ name: v.pipe(v.string(), v.toUpperCase()) })
    await expect(client.call({ ...read, expect: expected })).resolves.toEqual({ name: 'THING' })
    const strange = v.object({ list: v.array(v.object({ id: v.string() })) })
    const error = await failureOf(client.call({ ...read, expect: strange }))
    expect(error.code).toBe('unavailable')
    expect(error.message).toBe(
      'iotda: ShowThing gave an answer that cannot be used: list is not as documented',
    )
  })

  it('refuses an empty answer where a schema wants one, without asking again', async () => {
    const { client, received } = await createRig({ handle: () => ({ status: 204 }) })
    const error = await failureOf(client.call({ ...read, expect: v.object({}) }))
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('its body') })
    expect(received).toHaveLength(1)
  })
})

describe('trying again', () => {
  const PASSING = /^(throttled|unavailable)$/
  const passing: readonly [string, Fault][] = [
    ['429', json(429, { error_code: 'APIGW.0308', error_msg: 'slow down' })],
    ['a throttle code', json(403, { error_code: 'IOTDA.021101', error_msg: 'slow down' })],
    ['500', json(500, {})],
    ['502 with HTML', { operations: ['svc.*'], status: 502, body: '<html>' }],
    ['half of a JSON text', { operations: ['svc.*'], status: 200, body: '{"name"' }],
    ['a body that breaks off', { operations: ['svc.*'], cut: 5 }],
    ['a dropped connection', { operations: ['svc.*'], drop: 'before' }],
    ['an error_code in a 200', json(200, { error_code: 'IOTDA.014111', error_msg: 'time-out' })],
  ]

  it.each(passing)('a read survives %s twice, and gives up at the third', async (_, fault) => {
    const { client, faults, slept } = await createRig()
    faults.add({ ...fault, times: 5 })
    await expect(client.call(read)).rejects.toMatchObject({ code: expect.stringMatching(PASSING) })
    expect(faults.calls).toHaveLength(3)
    await expect(client.call(read)).resolves.toEqual({ name: 'thing' })
    expect(faults.calls).toHaveLength(6)
    expect(slept).toEqual([500, 1500, 500, 1500])
  })

  it.each(passing)('a write is tried once at %s', async (_, fault) => {
    const { client, faults, slept } = await createRig()
    faults.add({ ...fault, times: 5 })
    await expect(client.call(write)).rejects.toMatchObject({ code: expect.stringMatching(PASSING) })
    expect(faults.calls).toHaveLength(1)
    expect(slept).toEqual([])
  })

  it('does as the call says rather than the method', async () => {
    const { client, faults } = await createRig()
    faults.add(json(500, {}))
    await expect(client.call({ ...write, retry: 'safe' })).resolves.toEqual({ name: 'thing' })
    faults.add(json(500, {}))
    expect((await failureOf(client.call({ ...read, retry: 'never' }))).code).toBe('unavailable')
    expect(faults.calls).toHaveLength(3)
  })

  it.each([400, 401, 403, 404, 409])('a read is tried once at %i', async status => {
    const { client, faults } = await createRig()
    faults.add(json(status, { error_code: 'IOTDA.000022', error_msg: 'no' }))
    expect(['service-refused', 'unauthorized', 'forbidden']).toContain(
      (await failureOf(client.call(read))).code,
    )
    expect(faults.calls).toHaveLength(1)
  })

  it('waits as long as Retry-After says, up to ten seconds', async () => {
    const { client, faults, slept } = await createRig()
    faults.add(json(429, {}, { headers: { 'retry-after': '10' } }))
    await expect(client.call(read)).resolves.toEqual({ name: 'thing' })
    expect(slept).toEqual([10_000])
    faults.add(json(429, {}, { headers: { 'retry-after': '11' } }))
    expect((await failureOf(client.call(read))).code).toBe('throttled')
    expect(slept).toEqual([10_000])
  })

  it('signs every attempt anew, with the keys of the moment', async () => {
    let asked = 0
    const keys = async (): Promise<HuaweiKeys> => {
      asked += 1
      return asked === 1 ? { ...permanent, secretKey: secret('old') } : permanent
    }
    const { client, received, faults } = await createRig({ options: { keys } })
    faults.add(json(503, {}, { headers: { 'retry-after': '7' } }))
    await expect(client.call(read)).resolves.toEqual({ name: 'thing' })
    expect(asked).toBe(2)
    expect(received.map(call => call.headers['x-sdk-date'])).toEqual(['20251201T080007Z'])
  })
})

describe('no answer', () => {
  it('a proxy that is not there is named, without its password, and no setting of ours is blamed', async () => {
    const proxy = { url: secret('http://user:hunter2@127.0.0.1:1'), covers: () => true }
    const { client, received } = await createRig({ http: { proxy } })
    const error = await failureOf(client.call(write))
    expect(error).toMatchObject({ code: 'unreachable', retry: 'later', hint: CHECK_PROXY })
    expect(error.message).toBe(
      'iotda: CreateThing could not be sent: the proxy http://127.0.0.1:1 cannot be reached (ECONNREFUSED)',
    )
    expect(received).toEqual([])
  })

  it('a closed port is unreachable, and says which setting to check', async () => {
    const { client, served, faults } = await createRig()
    await served.dispose()
    const error = await failureOf(client.call(write))
    expect(error).toMatchObject({ code: 'unreachable', retry: 'later' })
    expect(error.message).toMatch(
      /^iotda: CreateThing could not be sent: no connection to 127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/,
    )
    expect(error.hint).toContain('Check instance.endpoint')
    expect(serviceErrorOf(error)).toBeNull()
    expect(faults.calls).toHaveLength(0)
  })

  it('TLS is verified: an unknown root is unreachable, a given one is not', async () => {
    const root = await createRoot()
    const leaf = await issueLeaf({ names: ['127.0.0.1'], issuer: root })
    const tls = { key: leaf.keyPem, cert: leaf.chainPem }
    const trusting = await createRig({ tls, http: { caCertificates: root.certPem } })
    await expect(trusting.client.call(read)).resolves.toEqual({ name: 'thing' })
    const distrusting = await createRig({ tls })
    const error = await failureOf(distrusting.client.call(read))
    expect(error.code).toBe('unreachable')
    expect(error.hint).toContain('trusted')
    expect(distrusting.received).toHaveLength(0)
  })

  it('an answer that never comes is unavailable, and may have taken effect', async () => {
    const { options, http } = await createRig({ handle: () => new Promise(() => {}) })
    const hasty: Http = { ...http, request: it => http.request({ ...it, timeoutMs: 300 }) }
    const client = createHuaweiClient({ ...options, http: hasty })
    const error = await failureOf(client.call(write))
    expect(error.code).toBe('unavailable')
    expect(error.message).toContain('unknown whether it took effect')
  })
})

describe('an aborted signal', () => {
  it('before the call: nothing is sent', async () => {
    const { client, faults } = await createRig()
    const error = await failureOf(client.call({ ...write, signal: AbortSignal.abort() }))
    expect(error).toMatchObject({ code: 'out-of-time', message: 'iotda: CreateThing was given up' })
    expect(faults.calls).toHaveLength(0)
  })

  it('during the call: it is given up, and may have taken effect', async () => {
    const stop = new AbortController()
    const { client } = await createRig({
      handle: () => {
        stop.abort()
        return new Promise(() => {})
      },
    })
    const error = await failureOf(client.call({ ...write, signal: stop.signal }))
    expect(error.code).toBe('out-of-time')
    expect(error.message).toContain('unknown whether it took effect')
  })

  it('during the wait: no further attempt', async () => {
    const { options, faults, clock } = await createRig()
    const stop = new AbortController()
    const sleep: Clock['sleep'] = (durationMs, signal) => {
      stop.abort()
      return clock.sleep(durationMs, signal)
    }
    faults.add(json(500, {}))
    const client = createHuaweiClient({ ...options, clock: { ...clock, sleep } })
    const error = await failureOf(client.call({ ...read, signal: stop.signal }))
    expect(error.code).toBe('out-of-time')
    expect(faults.calls).toHaveLength(1)
  })

  it('gives its own reason when that is a RotationError', async () => {
    const { client } = await createRig()
    const reason = new RotationError('lease-lost', 'another run took over')
    expect(await failureOf(client.call({ ...read, signal: AbortSignal.abort(reason) }))).toBe(reason)
  })
})
