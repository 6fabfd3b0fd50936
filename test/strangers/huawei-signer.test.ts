/** Huawei's Python SDK signs the same requests as we do. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { sign } from '../../lib/clouds/huawei/signer.ts'
import { ROOT } from '../support/modules.ts'
import { pythonVersions, pythonWith, ran } from '../support/strangers.ts'

const COUNT = 400
let python: string

beforeAll(async () => {
  python = await pythonWith('huaweicloudsdkcore')
  const { huaweicloudsdkcore = '?' } = await pythonVersions(python)
  await ran('huaweicloudsdkcore (Huawei)', huaweicloudsdkcore, `signed ${COUNT} generated requests as we do`)
})

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const printable = fc.string({ unit: 'grapheme-ascii', maxLength: 20 }).map(it => it.trim())
/** A whole segment: not empty, no dots alone, which a URL would resolve. */
const segment = text.filter(it => it !== '' && !/^\.+$/.test(it) && !it.includes('/'))
const requests = fc.record({
  accessKey: fc.stringMatching(/^[A-Z0-9]{20}$/),
  secretKey: fc.stringMatching(/^[A-Za-z0-9+/]{40}$/),
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
  host: fc.constantFrom('0a1b.st1.iotda-app.cn-north-4.myhuaweicloud.com', 'dns.example.com:8443'),
  segments: fc.array(segment, { maxLength: 4 }),
  query: fc.array(fc.tuple(fc.stringMatching(/^[a-z][a-z_-]{0,8}$/), text), { maxLength: 4 }),
  token: fc.option(fc.stringMatching(/^[A-Za-z0-9=+/]{8,40}$/)),
  instance: fc.option(printable.filter(it => it !== '')),
  body: fc.option(fc.json()),
  derived: fc.boolean(),
  region: fc.constantFrom('cn-north-4', 'ap-southeast-1'),
  atS: fc.integer({ min: 1_600_000_000, max: 1_900_000_000 }),
})

test('the signatures agree on generated requests, with either algorithm', () => {
  const given = fc.sample(requests, { numRuns: COUNT, seed: 13 })
  const ours = given.map(it => {
    const path = `/${it.segments.map(encodeURIComponent).join('/')}`
    const query = it.query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
    const headers = {
      'Content-Type': 'application/json',
      ...(it.instance === null ? {} : { 'Instance-Id': it.instance }),
    }
    const { body, method, region, derived } = it
    return sign(
      { method, url: `https://${it.host}${path}${query && `?${query}`}`, headers, body: body ?? '' },
      {
        keys: {
          accessKey: secret(it.accessKey),
          secretKey: secret(it.secretKey),
          securityToken: it.token === null ? null : secret(it.token),
        },
        algorithm: derived ? 'V11-HMAC-SHA256' : 'SDK-HMAC-SHA256',
        region,
        at: it.atS * 1_000,
      },
    )
  })
  const input = given.map((it, at) => {
    const { Authorization: _, ...headers } = ours[at] ?? {}
    const path = `/${it.segments.map(encodeURIComponent).join('/')}`
    return JSON.stringify({ ...it, path, headers, service: 'iotdm' })
  })
  const script = join(ROOT, 'test', 'strangers', 'huawei_sign.py')
  const theirs = execFileSync(python, [script], { input: input.join('\n'), encoding: 'utf8' })
    .trim()
    .split('\n')
  expect(theirs).toHaveLength(COUNT)
  expect(ours.map(({ Authorization }) => Authorization)).toEqual(theirs)
})
