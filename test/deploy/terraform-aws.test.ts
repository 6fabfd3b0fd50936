/** deploy/aws/terraform as a real HCL parser reads it, and as the schema of the AWS provider has it (aws-provider.json). */
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { awsPolicy, awsWatchPolicy } from '../../lib/permissions/aws.ts'
import { ROOT } from '../support/modules.ts'
import provider from './aws-provider.json' with { type: 'json' }
import { onAws, type Sample } from './sample.ts'

const { parse } = createRequire(import.meta.url)('@cdktf/hcl2json') as {
  parse(name: string, text: string): Promise<Record<string, unknown>>
}

const FOLDER = join(ROOT, 'deploy/aws/terraform')
let text = ''
let blocks: Sample
beforeAll(async () => {
  const files = (await readdir(FOLDER)).filter(it => it.endsWith('.tf'))
  text = (await Promise.all(files.map(it => readFile(join(FOLDER, it), 'utf8')))).join('\n')
  blocks = await parse('all.tf', text)
})

const resource = (type: string, name: string): Sample => blocks.resource[type][name][0]
/** An expression as the parser gives it. */
const hcl = (expression: string): string => ['$', '{', expression, '}'].join('')

test('every reference is to something that is declared', () => {
  const declared = (kind: 'resource' | 'data'): readonly string[] =>
    Object.entries(blocks[kind] as Sample).flatMap(([type, named]) =>
      Object.keys(named as Sample).map(name => `${kind === 'data' ? 'data.' : ''}${type}.${name}`),
    )
  const known = [...declared('resource'), ...declared('data')]
  const found = [...text.matchAll(/\b(?:data\.)?aws_\w+\.\w+/g)].map(([it]) => it)
  expect(found.length).toBeGreaterThan(30)
  expect(found.filter(it => !known.includes(it))).toEqual([])
  for (const [kind, names] of [
    ['var', Object.keys(blocks.variable)],
    ['local', blocks.locals.flatMap(Object.keys)],
  ] as const) {
    const used = [...text.matchAll(new RegExp(`\\b${kind}\\.(\\w+)`, 'g'))].map(([, name]) => name ?? '')
    expect([...new Set(used)].sort()).toEqual(names.toSorted())
  }
})

describe('the AWS provider', () => {
  // Not arguments of the provider, but of Terraform.
  const META = ['count', 'for_each', 'depends_on', 'lifecycle', 'provider']
  const wrong: string[] = []
  const compare = (where: string, given: Sample, known: Sample): void => {
    for (const name of Object.keys(given).filter(it => !META.includes(it))) {
      if (!known[name] || known[name] === 'computed') wrong.push(`${where}.${name}`)
      const { members } = known[name] ?? {}
      if (members) for (const block of given[name]) compare(`${where}.${name}`, block, members)
    }
    const needed = Object.keys(known).filter(it => known[it] === 'required' || known[it].required === true)
    wrong.push(...needed.filter(it => !(it in given)).map(it => `${where} without ${it}`))
  }
  const schemaOf = (name: string): Sample => provider.resources[name as keyof typeof provider.resources] ?? {}

  test('takes every argument that is given, in blocks as well, and is given what it needs', () => {
    for (const [kind, prefix] of [
      ['resource', ''],
      ['data', 'data.'],
    ] as const)
      for (const [type, named] of Object.entries<Sample>(blocks[kind]))
        for (const [name, [given]] of Object.entries<Sample>(named))
          compare(`${prefix}${type}.${name}`, given, schemaOf(`${prefix}${type}`))
    expect(wrong).toEqual([])
  })

  test('has every attribute that is asked for', () => {
    const asked = [...text.matchAll(/\b((?:data\.)?aws_\w+)\.\w+(?:\["\w+"\]|\[each\.key\])?\.(\w+)/g)]
    expect(asked.length).toBeGreaterThan(20)
    expect(asked.filter(([, type = '', name = '']) => !(name in schemaOf(type))).map(([it]) => it)).toEqual(
      [],
    )
  })
})

test('the functions are those of serverless.yml, started by schedules, and never tried again', () => {
  const same = { runtime: 'nodejs24.x', architectures: ['arm64'] }
  expect(resource('aws_lambda_function', 'rotate')).toMatchObject({
    ...{ ...same, handler: 'lambda.handler', timeout: 900, memory_size: 256 },
  })
  expect(resource('aws_lambda_function', 'watch')).toMatchObject({
    ...{ ...same, handler: 'watch.handler', timeout: 120, memory_size: 192 },
  })
  const once = resource('aws_lambda_function_event_invoke_config', 'once')
  expect(once).toMatchObject({ maximum_retry_attempts: 0, for_each: { rotate: 900, watch: 3600 } })
  for (const [name, rate] of [
    ['rotate', 'rate(30 minutes)'],
    ['watch', 'rate(6 hours)'],
  ] as const) {
    const { schedule_expression, target } = resource('aws_scheduler_schedule', name)
    expect(schedule_expression).toBe(rate)
    expect(target[0].dead_letter_config).toEqual([{ arn: hcl('aws_sqs_queue.dead_letters.arn') }])
  }
})

test('the bucket of the state outlives the stack, keeps versions for a day, and speaks TLS only', () => {
  expect(resource('aws_s3_bucket', 'state').lifecycle[0].prevent_destroy).toBe(true)
  const { versioning_configuration } = resource('aws_s3_bucket_versioning', 'state')
  expect(versioning_configuration).toEqual([{ status: 'Enabled' }])
  const [earlier] = resource('aws_s3_bucket_lifecycle_configuration', 'state').rule
  expect(earlier.noncurrent_version_expiration).toEqual([{ noncurrent_days: 1 }])
  const only = resource('aws_s3_bucket_policy', 'only_tls')
  expect(only).toMatchObject({ for_each: hcl('local.buckets'), policy: expect.stringContaining('Deny') })
  expect(only.policy).toMatch(/"aws:SecureTransport" = "false"/)
})

test('the alarms are those of serverless.yml', () => {
  const { resources } = createRequire(import.meta.url)(join(ROOT, 'deploy/aws/alarms.cjs')) as Sample
  const theirs = Object.values<Sample>(resources.Resources).map(({ Properties: it }) => it)
  const [{ alarms }] = blocks.locals.filter((it: Sample) => 'alarms' in it)
  const DAYS = hcl('param:alarmDaysLeft')
  const ours = Object.values<Sample>(alarms).map(it => ({
    ...{ MetricName: it.metric, Statistic: it.statistic, Period: it.period, quiet: it.quiet ?? false },
    ...{ Namespace: it.own ? 'IotdaCert' : 'AWS/Lambda', EvaluationPeriods: it.periods ?? 1 },
    atLeast: 'over' in it ? it.over + 1 : null,
    below: 'under' in it ? it.under : null,
  }))
  const same = theirs
    .filter(it => it.Namespace !== 'AWS/SQS')
    .map(it => ({
      ...{ MetricName: it.MetricName, Statistic: it.Statistic, Period: it.Period },
      ...{ Namespace: it.Namespace, EvaluationPeriods: it.EvaluationPeriods },
      quiet: it.TreatMissingData === 'breaching',
      atLeast:
        it.ComparisonOperator === 'GreaterThanThreshold'
          ? it.Threshold + 1
          : it.ComparisonOperator === 'GreaterThanOrEqualToThreshold'
            ? it.Threshold
            : null,
      below:
        it.ComparisonOperator === 'LessThanThreshold'
          ? it.Threshold === DAYS
            ? hcl('var.alarm_days_left')
            : it.Threshold
          : null,
    }))
  const byName = (list: readonly Sample[]): readonly string[] =>
    list.map(it => JSON.stringify(it, Object.keys(it).sort())).sort()
  expect(byName(ours)).toEqual(byName(same))
  expect(resource('aws_cloudwatch_metric_alarm', 'dead_letters').namespace).toBe('AWS/SQS')
})

test('the policy that is printed for settings without a bucket allows the bucket that the module makes', async () => {
  const settings = onAws(it => {
    delete it.store.bucket
  })
  const { Statement } = await awsPolicy(settings, null)
  expect(Statement.find(it => it.Sid === 'State')?.Resource).toEqual([
    'arn:aws:s3:::iotda-cert-*/iotda-cert/*',
  ])
  expect(blocks.variable.name[0].default).toBe('iotda-cert')
  expect(resource('aws_s3_bucket', 'state').bucket).toMatch(/^\$\{var\.name\}-/)
})

test('the watchdog may do what the printed policy says, and has a role of its own', async () => {
  const { Statement } = await awsWatchPolicy(
    {
      version: 1,
      targets: [{ name: 'factory-1', host: 'iot.example.com' }],
      notifiers: [{ type: 'sns', topicArn: 'arn:aws:sns:eu-central-1:123456789012:alerts' }],
      store: { type: 's3', bucket: 'watch' },
      rotator: { store: { type: 's3', bucket: 'state' } },
    } as never,
    null,
  )
  const { policy, role } = resource('aws_iam_role_policy', 'watch')
  expect(role).toBe(hcl('aws_iam_role.watch.id'))
  const sids = [...policy.matchAll(/\bSid\s+= "(\w+)"/g)].map(([, it]) => it)
  expect(sids).toEqual(Statement.map(it => it.Sid))
  const actions = [...policy.matchAll(/"((?:s3|sns):\w+)"/g)]
    .map(([, it]) => it)
    .filter(it => it !== 's3:prefix')
  expect(actions).toEqual(Statement.flatMap(it => it.Action))
})
