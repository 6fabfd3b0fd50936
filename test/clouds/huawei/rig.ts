import { expect } from 'vitest'
import { RotationError } from '../../../lib/base/rotation-error.ts'
import { secret } from '../../../lib/base/secret.ts'
import type { Clock } from '../../../lib/base/time.ts'
import {
  createHuaweiClient,
  type HuaweiCall,
  type HuaweiClientOptions,
} from '../../../lib/clouds/huawei/client.ts'
import type { HuaweiKeys } from '../../../lib/contracts.ts'
import { createHttp } from '../../../lib/http/client.ts'
import type { HttpOptions } from '../../../lib/http/http.ts'
import { type SigningAlgorithm, verifySignature } from '../../../sandbox/iotda/signature.ts'
import { createFaults, type Fault } from '../../../sandbox/kit/faults.ts'
import { type Answer, type Call, type Served, serve } from '../../../sandbox/kit/http.ts'
import { cleanups } from '../../support/cleanups.ts'

export const AK = 'AKEXAMPLE0000000001'
export const SK = 'SKexample/Secret+Key0000000000000000001'
export const TOKEN = 'ggpjbi1ub3J0aC00EXAMPLETOKEN=='
export const permanent: HuaweiKeys = { accessKey: secret(AK), secretKey: secret(SK), securityToken: null }
export const temporary: HuaweiKeys = { ...permanent, securityToken: secret(TOKEN) }

/** A clock of its own: a sleep moves it on and is written down. */
const createClock = () => {
  let at = Date.UTC(2025, 11, 1, 8, 0, 0)
  const slept: number[] = []
  const clock: Clock = {
    now: () => at,
    sleep: async (durationMs, signal) => {
      signal?.throwIfAborted()
      slept.push(durationMs)
      at += durationMs
    },
  }
  return { clock, slept }
}

interface Rig {
  readonly algorithm?: SigningAlgorithm
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly handle?: (call: Call) => Answer | Promise<Answer>
  readonly options?: Partial<HuaweiClientOptions>
  readonly http?: HttpOptions
}

/** A service of one object behind the sandbox's own check of signatures, and a client of it. */
export const createRig = async (rig: Rig = {}) => {
  const faults = createFaults()
  const received: Call[] = []
  const handle = (call: Call): Answer | Promise<Answer> => {
    received.push(call)
    return rig.handle?.(call) ?? { status: 200, body: { name: 'thing' } }
  }
  const { clock, slept } = createClock()
  const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']
  const served: Served = await serve({
    service: 'svc',
    faults,
    routes: methods.map(method => ({ method, path: '/v2/things', operation: `${method}Thing`, handle })),
    before: call => {
      const verdict = verifySignature(call, {
        keys: new Map([[AK, { secretKey: SK }]]),
        algorithm: rig.algorithm ?? 'SDK-HMAC-SHA256',
        region: 'cn-north-4',
        now: clock.now(),
      })
      return verdict.ok
        ? null
        : { status: 401, body: { error_code: 'APIGW.0301', error_msg: verdict.message } }
    },
    headers: () => ({ 'X-Request-Id': 'req-1' }),
    ...(rig.tls ? { tls: rig.tls } : {}),
  })
  const http = createHttp(rig.http)
  cleanups.push(
    () => http.close(),
    () => served.dispose(),
  )
  const options: HuaweiClientOptions = {
    http,
    clock,
    keys: async () => permanent,
    endpoint: served.url,
    region: 'cn-north-4',
    signing: 'standard',
    driver: 'iotda',
    ...rig.options,
  }
  return { client: createHuaweiClient(options), options, faults, received, slept, served, http, clock }
}

export const read: HuaweiCall = { operation: 'ShowThing', method: 'GET', path: '/v2/things' }
export const write: HuaweiCall = {
  operation: 'CreateThing',
  method: 'POST',
  path: '/v2/things',
  body: { name: 'a' },
}

export const failureOf = async (work: Promise<unknown>): Promise<RotationError> => {
  const thrown = await work.then(
    () => null,
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(RotationError)
  return thrown as RotationError
}

export const json = (status: number, body: object, extra: Partial<Fault> = {}): Fault => ({
  operations: ['svc.*'],
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
  ...extra,
})
