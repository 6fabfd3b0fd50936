/** What a service sees of us in each request, on the wire. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { fetchDirectory } from '../../lib/acme/protocol/directory.ts'
import { silentLog } from '../../lib/base/log.ts'
import { systemClock } from '../../lib/base/time.ts'
import { USER_AGENT } from '../../lib/base/user-agent.ts'
import type { Run } from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'
import sns from '../../lib/notifiers/sns.ts'
import route53 from '../../lib/solvers/route53.ts'
import acm from '../../lib/sources/acm.ts'
import s3 from '../../lib/stores/s3.ts'
import secretsmanager from '../../lib/stores/secretsmanager.ts'
import { clientOf } from '../iotda/rig.ts'
import { awsSettings, contextWith } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { quietSignal } from '../support/signal.ts'

const ARN = 'arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012'

const run: Run = {
  ...{ runId: 'run-1', clock: systemClock, log: silentLog, signal: quietSignal() },
  deadline: Date.now() + 60_000,
}

/** A service that refuses all; the User-Agent of every request that came. */
async function open() {
  const seen: (string | undefined)[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers['user-agent'])
    response.writeHead(403).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise<void>(resolve => server.close(() => resolve())))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

const aws = (endpoint: string) => {
  const { context, close } = contextWith()
  cleanups.push(close)
  const { accessKeyId, secretAccessKey, sessionToken, ...place } = awsSettings(endpoint)
  return {
    context,
    keys: { accessKeyId, secretAccessKey, sessionToken },
    settings: awsSettings(endpoint),
    place,
  }
}

const SERVICES: Readonly<Record<string, (url: string) => Promise<unknown>>> = {
  'the store s3': url => {
    const { settings, context } = aws(url)
    return s3.create({ ...settings, bucket: 'state', prefix: 'a/' }, context).read('runs/last')
  },
  'the store secretsmanager': url => {
    const { settings, context } = aws(url)
    return secretsmanager.create({ ...settings, prefix: 'a/' }, context).read('runs/last')
  },
  SNS: url => {
    const { settings, context } = aws(url)
    const topicArn = 'arn:aws:sns:eu-central-1:123456789012:alerts'
    const notifier = sns.create({ ...settings, topicArn }, { ...context, name: 'alarms', language: 'en' })
    const texts = { reason: 'x', whatToDo: 'x', runbook: 'x', dedupKey: 'k', at: '2026-01-01T00:00:00Z' }
    const alert = {
      version: 1,
      event: 'test',
      severity: 'info',
      kind: 'moment',
      runId: 'run-1',
      target: null,
    }
    return notifier.notify({ ...alert, ...texts, error: null, before: null, after: null } as never, run)
  },
  ACM: async url => {
    const { context, keys } = aws(url)
    const settings = v.parse(acm.settings, { certificateArn: ARN, endpoint: url })
    return acm.create({ ...settings, ...keys }, context as never).inventory?.(run)
  },
  'Route 53': async url => {
    const { context, keys } = aws(url)
    const settings = v.parse(route53.settings, { endpoint: url })
    return route53.create({ ...settings, ...keys }, context).prepare('_acme-challenge.example.com.', run)
  },
  IoTDA: url => clientOf(url).listServerCertificates(),
  'the CA': url => {
    const { context } = aws(url)
    return fetchDirectory({
      ...{ settings: 'sources.ca', directoryUrl: `${url}/directory`, http: context.http(null), run },
    })
  },
  'a plain request': url =>
    createHttp()
      .request({ method: 'POST', url, body: '{}' })
      .then(() => Promise.reject()),
}

test.each(Object.keys(SERVICES))('%s is told who asks', async name => {
  const { url, seen } = await open()
  await expect(SERVICES[name]?.(url)).rejects.not.toBe(null)
  expect(seen.length).toBeGreaterThan(0)
  expect(USER_AGENT).toMatch(/^iotda-cert\/\d+\.\d+\.\d+$/)
  for (const agent of seen) expect(agent ?? '').toContain(USER_AGENT)
})
