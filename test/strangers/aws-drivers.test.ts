/** The drivers that talk to AWS, on moto: the store by its contract, SNS, ACM and Route 53 by what they do. */
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../lib/base/log.ts'
import type { Secret } from '../../lib/base/secret.ts'
import { systemClock } from '../../lib/base/time.ts'
import { createAwsClient } from '../../lib/clouds/aws/client.ts'
import type { AlertEvent, Run } from '../../lib/contracts.ts'
import sns from '../../lib/notifiers/sns.ts'
import route53 from '../../lib/solvers/route53.ts'
import acm from '../../lib/sources/acm.ts'
import { takeLease } from '../../lib/state/lease.ts'
import s3 from '../../lib/stores/s3.ts'
import secretsmanager from '../../lib/stores/secretsmanager.ts'
import { awsSettings, contextWith, REGION } from '../stores/cloud.ts'
import { quietSignal } from '../support/signal.ts'
import { boto, type Moto, startMoto } from './moto.ts'

let moto: Moto
beforeAll(async () => {
  moto = await startMoto('stores `s3` and `secretsmanager`, SNS, ACM and Route 53')
})
afterAll(() => moto.stop())

const run = (): Run => ({
  runId: 'run-1',
  clock: systemClock,
  log: silentLog,
  deadline: Date.now() + 60_000,
  signal: quietSignal(),
})

/** A call of AWS that no driver makes, by the query protocol or REST. */
async function ask(
  service: string,
  path: string,
  body: string,
  method: 'POST' | 'PUT' = 'POST',
  headers = {},
) {
  const { context, close } = contextWith(systemClock)
  const call = createAwsClient({
    ...{ http: context.http(null), clock: systemClock, keys: awsSettings(moto.url), region: REGION, service },
    driver: 'test',
  })
  try {
    return await call({
      ...{
        operation: 'Test',
        method,
        url: `${moto.url}${path}`,
        ...(body === '' ? {} : { body }),
        retry: 'never',
        permission: '',
      },
      headers: {
        'Content-Type': method === 'PUT' ? 'application/xml' : 'application/x-www-form-urlencoded',
        ...headers,
      },
    })
  } finally {
    await close()
  }
}

let buckets = 0
async function bucketStore() {
  buckets += 1
  const bucket = `state-${buckets}`
  const place = `<CreateBucketConfiguration><LocationConstraint>${REGION}</LocationConstraint></CreateBucketConfiguration>`
  await ask('s3', `/${bucket}`, place, 'PUT')
  const settings = { ...awsSettings(moto.url), bucket, prefix: 'iotda-cert/' }
  const { context, close } = contextWith()
  return { open: async () => s3.create(settings, context), dispose: close }
}

let prefixes = 0
async function secretStore() {
  prefixes += 1
  const { context, close } = contextWith()
  const settings = { ...awsSettings(moto.url), prefix: `state-${prefixes}/` }
  return { open: async () => secretsmanager.create(settings, context), dispose: close }
}

describe('on moto', () => {
  test.each([
    ['s3', bucketStore],
    ['secretsmanager', secretStore],
  ])('a lease is held by one run in %s', async (_, open) => {
    const { open: another, dispose } = await open()
    const [one, other] = [await another(), await another()]
    const lease = await takeLease(one, 'instance', run())
    await expect(takeLease(other, 'instance', run())).rejects.toMatchObject({ code: 'busy' })
    await lease.guard()
    await lease.release()
    await dispose()
  })

  test('SNS takes what people are told', async () => {
    const { text } = await ask('sns', '/', 'Action=CreateTopic&Name=alerts&Version=2010-03-31')
    const topicArn = /<TopicArn>(.*)<\/TopicArn>/.exec(text)?.[1] ?? ''
    const { context, close } = contextWith(systemClock)
    const settings = { ...awsSettings(moto.url), topicArn }
    const notifier = sns.create(settings, { ...context, name: 'alarms', language: 'en' })
    const alert = { event: 'test', severity: 'info', kind: 'moment', reason: 'a test', runId: 'run-1' }
    const rest = { version: 1, dedupKey: 'k', at: '2026-01-01T00:00:00Z', whatToDo: 'Nothing.', runbook: 'x' }
    await notifier.notify(
      {
        ...alert,
        ...rest,
        target: null,
        error: null,
        domain: null,
        daysLeft: null,
        before: null,
        after: null,
        since: null,
        durationMs: null,
        ends: null,
        nextTryAt: null,
      } as unknown as AlertEvent,
      run(),
    )
    const sent = await fetch(`${moto.url}/moto-api/data.json`).then(answer => answer.text())
    expect(sent).toContain('alerts')
    await close()
  })

  test('Route 53 holds the TXT value, and nothing of it afterwards', async () => {
    const { HostedZone } = await boto(moto, 'route53', 'create_hosted_zone', {
      ...{ Name: 'example.com.', CallerReference: 'one' },
    })
    const { accessKeyId, secretAccessKey, sessionToken } = awsSettings(moto.url)
    const parsed = v.parse(route53.settings, { endpoint: moto.url })
    const { context, close } = contextWith(systemClock)
    const solver = route53.create({ ...parsed, accessKeyId, secretAccessKey, sessionToken }, context)
    const fqdn = '_acme-challenge.iot.example.com.'
    const values = async (): Promise<string> =>
      JSON.stringify(
        await boto(moto, 'route53', 'list_resource_record_sets', { HostedZoneId: HostedZone.Id }),
      )
    await solver.prepare(fqdn, run())
    await solver.present(fqdn, 'v'.repeat(43), run())
    expect(await values()).toContain('v'.repeat(43))
    await solver.cleanUp(fqdn, 'v'.repeat(43), run())
    expect(await values()).not.toContain('v'.repeat(43))
    await close()
  })

  test('ACM says what it has and does not export', async () => {
    const { json } = await ask('acm', '/', JSON.stringify({ DomainName: 'iot.example.com' }), 'POST', {
      'Content-Type': 'application/x-amz-json-1.1',
      'X-Amz-Target': 'CertificateManager.RequestCertificate',
    })
    const { CertificateArn } = json as { CertificateArn: string }
    const { context, close } = contextWith(systemClock)
    const keys = awsSettings(moto.url) as {
      accessKeyId: Secret
      secretAccessKey: Secret
      sessionToken: Secret
    }
    const parsed = v.parse(acm.settings, { certificateArn: CertificateArn, endpoint: moto.url })
    const { accessKeyId, secretAccessKey, sessionToken } = keys
    const source = acm.create({ ...parsed, accessKeyId, secretAccessKey, sessionToken }, context as never)
    await expect(source.inventory?.(run())).rejects.toMatchObject({
      code: 'certificate-invalid',
      message: expect.stringContaining('source store (acm)'),
    })
    await close()
  })
})
