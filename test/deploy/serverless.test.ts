/** `npx osls package`, as the README says, without any account: what would be created in AWS. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { driverSchemas } from '../../lib/app/drivers.ts'
import { functionSurroundings } from '../../lib/config/surroundings.ts'
import { loadWatch } from '../../lib/config/watch.ts'
import { STEPS } from '../../lib/model/outcomes.ts'
import { emfLines } from '../../lib/present/emf.ts'
import { answer, result } from '../present/answers.ts'
import { type Built, sharedBuild } from '../support/built.ts'
import { ROOT } from '../support/modules.ts'
import { entriesOf } from '../support/unzip.ts'
import { onAws, onHuawei, type Sample } from './sample.ts'

const run = promisify(execFile)
const OSLS = join(ROOT, 'node_modules', '.bin', 'osls')

const CERTIFICATE = 'arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012'

let built: Built
let folder: string
beforeAll(async () => {
  built = await sharedBuild()
  folder = await mkdtemp(join(tmpdir(), 'iotda-cert-osls-'))
}, 120_000)
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** The template that CloudFormation would get; an environment without any credentials. */
async function osls(settings: unknown, args: readonly string[] = [], env: Record<string, string> = {}) {
  const file = join(folder, 'settings.json')
  await writeFile(file, JSON.stringify(settings))
  const out = await mkdtemp(join(folder, 'out-'))
  await run(OSLS, ['package', '--stage', 'test', '--package', out, ...args], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      OUTDIR: built.folder,
      IOTDA_CERT_SETTINGS: file,
      AWS_EC2_METADATA_DISABLED: 'true',
      SLS_TELEMETRY_DISABLED: '1',
      ...env,
    },
  })
  const text = await readFile(join(out, 'cloudformation-template-update-stack.json'), 'utf8')
  return JSON.parse(text) as {
    Resources: Record<string, Sample>
    Conditions: Sample
    Parameters: Sample
  }
}

/** What whoever deploys is told; of the file that serverless.yml names, which takes a tenth of the time of osls. */
async function refusal(
  settings: unknown,
  env: Record<string, string> = {},
  params: Record<string, string> = {},
): Promise<string> {
  const file = join(folder, 'settings.json')
  await writeFile(file, JSON.stringify(settings))
  const script = `require(${JSON.stringify(join(ROOT, 'deploy/aws/from-settings.cjs'))})({
  options: { stage: 'test' },
  resolveVariable: async name => 
    name === 'self:provider.region' ? 'eu-central-1' : (${JSON.stringify(params)}[/^param:(\\w+)/.exec(name)[1]] ?? null),
})`
  return run(process.execPath, ['-e', script], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: folder, OUTDIR: built.folder, IOTDA_CERT_SETTINGS: file, ...env },
  }).then(
    () => expect.unreachable('it was not refused'),
    (error: { stderr: string }) => error.stderr,
  )
}

/** A reference as CloudFormation fills it in. */
const hcl = (name: string): string => ['$', '{', name, '}'].join('')
const metricKey = (name: string, dimensions: readonly string[]): string =>
  `${name} by ${[...dimensions].sort().join()}`

/** Every metric that the function prints, by a rotation that goes through all steps. */
function printedMetrics(metrics: 'few' | 'all'): readonly string[] {
  const steps = STEPS.map(step => ({ step, status: 'done', durationMs: 1, call: null, detail: '' }) as const)
  const life = { fingerprint: 'a', notBefore: '2026-06-01T00:00:00Z', notAfter: '2026-09-01T00:00:00Z' }
  const seen = result({
    steps,
    outlook: { bound: life, served: life, slotsUsed: 2 },
    orders: [{ source: 'letsencrypt', orders: 1, failedValidations: 0 }],
  })
  const told = { sent: 0, undelivered: 0, okAt: null }
  return emfLines({ ...answer(seen), told }, 'rotate', metrics).flatMap(line =>
    (JSON.parse(line)._aws?.CloudWatchMetrics ?? []).flatMap(({ Namespace, Dimensions, Metrics }: Sample) =>
      Namespace === 'IotdaCert'
        ? Dimensions.flatMap((d: string[]) => Metrics.map((m: Sample) => metricKey(m.Name, d)))
        : [],
    ),
  )
}

/** The metric that a row of a widget asks for: by name, or by a search. */
function askedBy([first, name, ...rest]: Sample): string {
  if (typeof first === 'string') {
    expect(first).toBe('IotdaCert')
    const dimensions = rest.filter((it: unknown) => typeof it === 'string')
    return metricKey(
      name,
      dimensions.filter((_: string, i: number) => i % 2 === 0),
    )
  }
  const [, space, schema = '', wanted = ''] =
    /^SEARCH\('\{(\w+),([\w,]+)\} FunctionName="[^"]+" MetricName="(\w+)"'/.exec(first.expression) ?? []
  expect(space, first.expression).toBe('IotdaCert')
  return metricKey(wanted, schema.split(','))
}

describe('the template', () => {
  const settings = onAws(it => {
    it.sources.aws = { type: 'acm', certificateArn: CERTIFICATE }
  })
  let template: Awaited<ReturnType<typeof osls>>
  const only = (type: string): Sample => {
    const found = Object.values(template.Resources).filter(it => it.Type === type)
    expect(found, type).toHaveLength(1)
    return found[0]
  }
  beforeAll(async () => {
    template = await osls(settings)
  }, 60_000)

  const named = (name: string): Sample => {
    expect(template.Resources, name).toHaveProperty(name)
    return template.Resources[name]
  }

  test('has a function, whose handler is in the zip', async () => {
    const { Properties } = named('RotateLambdaFunction')
    expect(Properties).toMatchObject({
      Handler: 'lambda.handler',
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Timeout: 900,
      MemorySize: 256,
      Environment: { Variables: { IOTDA_CERT_CONFIG: JSON.stringify(settings) } },
    })
    expect(Properties).not.toHaveProperty('ReservedConcurrentExecutions')
    const names = entriesOf(await readFile(built.zip('lambda'))).map(it => it.name)
    expect(names).toContain('lambda.mjs')
    const { handler } = await import(join(built.folder, 'lambda.mjs'))
    expect(handler).toBeTypeOf('function')
  })

  test('runs it every 30 minutes with jitter, and never tries again by itself', () => {
    const { Properties } = named('RotateSchedule')
    expect(Properties).toMatchObject({
      ScheduleExpression: 'rate(30 minutes)',
      FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 10 },
      Target: {
        Arn: { 'Fn::GetAtt': ['RotateLambdaFunction', 'Arn'] },
        RetryPolicy: { MaximumRetryAttempts: 0 },
      },
    })
    expect(JSON.parse(Properties.Target.Input)).toEqual({ source: 'aws.scheduler' })
    expect(named('RotateLambdaEvConf').Properties).toMatchObject({
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 900,
    })
    // What the scheduler could not start waits in a queue, of which there is an alarm.
    expect(Properties.Target.DeadLetterConfig).toEqual({ Arn: { 'Fn::GetAtt': ['DeadLetters', 'Arn'] } })
    expect(JSON.stringify(named('RotateScheduleRole'))).toContain('sqs:SendMessage')
    expect(named('DeadLettersAlarm').Properties.Namespace).toBe('AWS/SQS')
  })

  test('lets the role do what the settings need, and nothing else', () => {
    const [policy] = template.Resources.IamRoleLambdaExecution.Properties.Policies
    const statements: Sample[] = policy.PolicyDocument.Statement
    const actions = statements.flatMap(it => [it.Action].flat()).toSorted()
    expect(actions).toEqual([
      ...['acm:DescribeCertificate', 'acm:ExportCertificate'],
      ...['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:TagResource'],
      ...['route53:ChangeResourceRecordSets', 'route53:GetChange'],
      ...['route53:ListHostedZonesByName', 'route53:ListResourceRecordSets'],
      ...['s3:DeleteObject', 's3:GetObject', 's3:ListBucket', 's3:PutObject'],
      ...['secretsmanager:GetSecretValue', 'sns:Publish'],
    ])
    const everywhere = statements.filter(it => JSON.stringify([it.Resource].flat()) === '["*"]')
    expect(everywhere.map(it => it.Sid)).toEqual(['ChallengeZone'])
    expect(statements.find(it => it.Sid === 'Certificates')?.Resource).toBe(CERTIFICATE)
    expect(statements.every(it => it.Effect === 'Allow')).toBe(true)
    for (const name of ['RotateLogGroup', 'WatchLogGroup'])
      expect(named(name).Properties.RetentionInDays).toBe(30)
  })

  test('keeps state in a private, encrypted bucket that speaks TLS only and forgets after a day', () => {
    const { DeletionPolicy, Properties: bucket } = template.Resources.StateBucket
    expect(DeletionPolicy).toBe('RetainExceptOnCreate')
    expect(bucket).toMatchObject({
      BucketName: 'example-iotda-cert-state',
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      VersioningConfiguration: { Status: 'Enabled' },
    })
    const [{ ServerSideEncryptionByDefault }] = bucket.BucketEncryption.ServerSideEncryptionConfiguration
    expect(ServerSideEncryptionByDefault['Fn::If'][2]).toEqual({ SSEAlgorithm: 'AES256' })
    expect(bucket.LifecycleConfiguration.Rules[0]).toMatchObject({
      Status: 'Enabled',
      NoncurrentVersionExpiration: { NoncurrentDays: 1 },
    })
    const [ofWatch] = template.Resources.WatchBucketPolicy.Properties.PolicyDocument.Statement
    expect(ofWatch).toMatchObject({
      ...{ Effect: 'Deny', Principal: '*', Action: 's3:*' },
      Resource: [{ 'Fn::GetAtt': ['WatchBucket', 'Arn'] }, { 'Fn::Sub': `${hcl('WatchBucket.Arn')}/*` }],
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    })
    const [statement] = template.Resources.StateBucketPolicy.Properties.PolicyDocument.Statement
    expect(statement).toMatchObject({
      Effect: 'Deny',
      Action: 's3:*',
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    })
    expect(template.Conditions.MakesStateBucket).toEqual({
      'Fn::Equals': [{ Ref: 'StateBucketMode' }, 'create'],
    })
    expect(template.Parameters.StateBucketMode.Default).toBe('create')
  })

  const alarmsOf = (namespace: string): readonly Sample[] =>
    Object.values(template.Resources).filter(
      it => it.Type === 'AWS::CloudWatch::Alarm' && it.Properties.Namespace === namespace,
    )

  test('alarms on errors, on a day without a run, and on throttles; all of them end by themselves', () => {
    const alarms = alarmsOf('AWS/Lambda').filter(
      it => it.Properties.Dimensions[0].Value.Ref === 'RotateLambdaFunction',
    )
    expect(
      alarms.map(({ Properties: p }) => [p.MetricName, p.Period, p.ComparisonOperator, p.TreatMissingData]),
    ).toEqual([
      ['Errors', 3600, 'GreaterThanThreshold', 'notBreaching'],
      ['Invocations', 86400, 'LessThanThreshold', 'breaching'],
      ['Throttles', 3600, 'GreaterThanThreshold', 'notBreaching'],
    ])
    const topic = { Ref: 'AlarmTopic' }
    for (const { Properties } of alarms) {
      expect(Properties.Dimensions).toEqual([
        { Name: 'FunctionName', Value: { Ref: 'RotateLambdaFunction' } },
      ])
      expect([Properties.AlarmActions, Properties.OKActions]).toEqual([[topic], [topic]])
    }
    only('AWS::SNS::Topic')
  })

  test('alarms on what the function measures itself', () => {
    const said = alarmsOf('IotdaCert').map(({ Properties: p }) => [
      ...[p.MetricName, p.Statistic, p.Period, p.EvaluationPeriods],
      ...[p.ComparisonOperator, p.Threshold, p.TreatMissingData],
    ])
    expect(said).toEqual([
      ['DaysLeftServed', 'Minimum', 3600, 1, 'LessThanThreshold', 14, 'notBreaching'],
      ['DaysLeftBound', 'Minimum', 3600, 1, 'LessThanThreshold', 14, 'notBreaching'],
      ['LastSuccessAge', 'Maximum', 3600, 1, 'GreaterThanThreshold', 86400, 'notBreaching'],
      ['ObtainFailures', 'Sum', 86400, 1, 'GreaterThanOrEqualToThreshold', 3, 'notBreaching'],
      ['AlertsUndelivered', 'Minimum', 3600, 6, 'GreaterThanThreshold', 0, 'notBreaching'],
    ])
    const topic = { Ref: 'AlarmTopic' }
    for (const { Properties } of [...alarmsOf('IotdaCert'), ...alarmsOf('AWS/Lambda')]) {
      expect([Properties.AlarmActions, Properties.OKActions]).toEqual([[topic], [topic]])
      // CloudWatch takes no alarm over more than a day.
      expect(Properties.Period * Properties.EvaluationPeriods).toBeLessThanOrEqual(86_400)
      expect(Properties.AlarmDescription).toMatch(/iotda-cert test/)
    }
  })

  test('alarms and dashboard ask for nothing that the function does not print, by the same dimensions', () => {
    const printed = new Set(printedMetrics('few'))
    // CloudWatch charges for each: 22 in an idle hour were more than everything else together.
    expect(printed.size).toBeLessThanOrEqual(6)
    const ofAlarms = alarmsOf('IotdaCert').map(({ Properties: p }) =>
      metricKey(
        p.MetricName,
        p.Dimensions.map((d: Sample) => d.Name),
      ),
    )
    const { widgets } = JSON.parse(named('Dashboard').Properties.DashboardBody['Fn::Sub'])
    const rows: Sample[] = widgets.flatMap((it: Sample) => it.properties.metrics)
    const ofDashboard = rows.filter(row => row[0] !== 'AWS/Lambda').map(askedBy)
    expect(ofAlarms.length).toBeGreaterThan(4)
    expect(ofDashboard.length).toBeGreaterThan(4)
    expect([...ofAlarms, ...ofDashboard].filter(it => !printed.has(it))).toEqual([])
    // And nothing is printed that nobody could see.
    const seen = new Set([...ofAlarms, ...ofDashboard].map(it => it.split(' ')[0]))
    expect([...printed].map(it => it.split(' ')[0]).filter(it => !seen.has(it))).toEqual([])
    for (const { type, x, width, properties } of widgets) {
      expect([type, x + width <= 24, properties.region]).toEqual(['metric', true, hcl('AWS::Region')])
      expect(properties.title.length).toBeGreaterThan(3)
    }
  })

  test('a failing inspect sent 48 raw mails a day beside one good alert: only alarms tell, and each on a state', () => {
    expect(JSON.stringify(named('RotateLambdaEvConf'))).not.toContain('Topic')
    const { Period, EvaluationPeriods, DatapointsToAlarm } = named('ErrorsAlarm').Properties
    // A back-off of an hour or two is one alarm, not one for each try.
    expect([Period, EvaluationPeriods, DatapointsToAlarm]).toEqual([3_600, 3, 1])
  })

  test('a watch bucket that holds something made `remove` fail', () => {
    expect(named('WatchBucket').DeletionPolicy).toBe('RetainExceptOnCreate')
  })

  describe('the watchdog', () => {
    /** As CloudFormation would fill it in. */
    const told = (): Sample => {
      const text = named('WatchLambdaFunction').Properties.Environment.Variables.IOTDA_CERT_WATCH['Fn::Sub']
      return text
        .replaceAll(hcl('AlarmTopic'), 'arn:aws:sns:eu-central-1:123456789012:alarms')
        .replaceAll(hcl('WatchBucket'), 'watch-bucket')
    }

    test('is a function of its own, every six hours, whose handler is in the zip', async () => {
      const { Properties } = named('WatchLambdaFunction')
      expect(Properties).toMatchObject({ Handler: 'watch.handler', Timeout: 120, Runtime: 'nodejs24.x' })
      expect(Object.keys(Properties.Environment.Variables)).toEqual(['IOTDA_CERT_WATCH'])
      expect(named('RotateLambdaFunction').Properties.Environment.Variables).not.toHaveProperty(
        'IOTDA_CERT_WATCH',
      )
      expect(named('WatchSchedule').Properties).toMatchObject({
        ScheduleExpression: 'rate(6 hours)',
        Target: { Arn: { 'Fn::GetAtt': ['WatchLambdaFunction', 'Arn'] } },
      })
      const names = entriesOf(await readFile(built.zip('lambda'))).map(it => it.name)
      expect(names).toContain('watch.mjs')
    })

    test('is told a copy of the targets, the topic of the alarms, and where the rotator’s state is', async () => {
      const env = {
        IOTDA_CERT_WATCH: told(),
        AWS_REGION: 'eu-central-1',
        AWS_ACCESS_KEY_ID: 'a',
        AWS_SECRET_ACCESS_KEY: 'b',
      }
      const around = functionSurroundings({ env, folder: '.' }, {})
      const settings = await loadWatch(null, driverSchemas, around)
      expect(settings).toMatchObject({
        targets: [
          {
            name: 'factory-1',
            host: 'iot.example.com',
            sni: 'iot.example.com',
            port: 8883,
            profiles: [{ name: 'esp-idf' }, { name: 'meter-v1', maxChainDepth: 3 }],
          },
        ],
        notifiers: [{ type: 'sns', name: 'alarms' }],
        store: { type: 's3', settings: { bucket: 'watch-bucket' } },
        rotator: { store: { type: 's3', settings: { bucket: 'example-iotda-cert-state' } } },
      })
      expect(told()).not.toMatch(/awssm|sealKey/)
    })

    test('has a role of its own, which reads one document of the rotator and changes none', () => {
      const { Policies } = named('WatchRole').Properties
      const statements: Sample[] = Policies.flatMap((it: Sample) => it.PolicyDocument.Statement)
      const own = JSON.stringify(
        statements.filter(it => !JSON.stringify(it).includes('example-iotda-cert-state')),
      )
      expect(own).not.toContain('secretsmanager')
      const ofRotator = statements.filter(it => JSON.stringify(it).includes('example-iotda-cert-state'))
      expect(ofRotator.map(it => [it.Action, it.Resource])).toEqual([
        [['s3:GetObject'], ['arn:aws:s3:::example-iotda-cert-state/iotda-cert/runs/last']],
        [['s3:ListBucket'], ['arn:aws:s3:::example-iotda-cert-state']],
      ])
      const actions = statements.flatMap(it => [it.Action].flat()).toSorted()
      expect(actions).toEqual([
        ...['logs:CreateLogStream', 'logs:PutLogEvents', 's3:GetObject', 's3:GetObject', 's3:ListBucket'],
        ...['s3:ListBucket', 's3:PutObject', 'sns:Publish'],
      ])
      expect(named('WatchLambdaFunction').Properties.Role).toEqual({ 'Fn::Sub': hcl('WatchRole.Arn') })
    })

    test('has a bucket of its own, and alarms for when it cannot tell or does not look', () => {
      expect(named('WatchBucket').Properties.PublicAccessBlockConfiguration.RestrictPublicBuckets).toBe(true)
      const own = alarmsOf('AWS/Lambda').filter(
        it => it.Properties.Dimensions[0].Value.Ref === 'WatchLambdaFunction',
      )
      expect(own.map(it => [it.Properties.MetricName, it.Properties.TreatMissingData])).toEqual([
        ['Errors', 'notBreaching'],
        ['Invocations', 'breaching'],
      ])
    })
  })

  test('refers only to what is there', () => {
    const names = new Set([...Object.keys(template.Resources), ...Object.keys(template.Parameters)])
    const referred: string[] = []
    JSON.stringify(template.Resources, (key, value) => {
      if (key === 'Ref' && !String(value).startsWith('AWS::')) referred.push(String(value))
      if (key === 'Fn::GetAtt') referred.push(String(value[0]))
      if (key === 'Fn::Sub')
        for (const [, name = ''] of String(value).matchAll(/\$\{([\w:]+)(\.\w+)?\}/g))
          if (!name.startsWith('AWS::')) referred.push(name)
      return value
    })
    expect(referred.length).toBeGreaterThan(10)
    expect(referred.filter(it => !names.has(it))).toEqual([])
  })
})

describe('fan-out', () => {
  const fanning = (more: object = {}) =>
    onAws(settings => {
      settings.schedule = { fanOut: { type: 'sqs', ...more } }
    })
  const statementsOf = ({ Resources }: Sample): Sample[] =>
    Resources.IamRoleLambdaExecution.Properties.Policies[0].PolicyDocument.Statement

  test('has a queue, of which the function takes one message at a time, and alarms', async () => {
    const template = await osls(fanning(), ['--param', 'fanOutConcurrency=25'])
    const { Resources } = template
    expect(Resources.RotateQueueMapping.Properties).toEqual({
      EventSourceArn: { 'Fn::GetAtt': ['RotateQueue', 'Arn'] },
      FunctionName: { 'Fn::GetAtt': ['RotateLambdaFunction', 'Arn'] },
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ScalingConfig: { MaximumConcurrency: 25 },
    })
    const { VisibilityTimeout, MessageRetentionPeriod, RedrivePolicy, SqsManagedSseEnabled } =
      Resources.RotateQueue.Properties
    // Lambda refuses a mapping whose messages are seen again while the function may still be at work.
    expect(VisibilityTimeout).toBeGreaterThan(Resources.RotateLambdaFunction.Properties.Timeout)
    expect(MessageRetentionPeriod).toBeGreaterThan(3 * VisibilityTimeout)
    expect(SqsManagedSseEnabled).toBe(true)
    expect(RedrivePolicy).toEqual({
      deadLetterTargetArn: { 'Fn::GetAtt': ['RotateDeadLetters', 'Arn'] },
      maxReceiveCount: 2,
    })
    const alarms = ['RotateDeadLettersAlarm', 'RotateQueueAgeAlarm'].map(name => Resources[name])
    expect(alarms.map(it => [it.Condition, it.Properties.MetricName])).toEqual([
      ['HasAlarms', 'ApproximateNumberOfMessagesVisible'],
      ['HasAlarms', 'ApproximateAgeOfOldestMessage'],
    ])
    expect(Resources.RotateLambdaFunction.Properties.Environment.Variables.IOTDA_CERT_QUEUE_URL).toEqual({
      Ref: 'RotateQueue',
    })
    const ofQueue = statementsOf(template).filter(it => JSON.stringify(it.Action).includes('sqs:'))
    expect(ofQueue).toEqual([
      {
        Sid: 'FanOut',
        Effect: 'Allow',
        Action: [...['sqs:SendMessage', 'sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes']],
        Resource: { 'Fn::GetAtt': ['RotateQueue', 'Arn'] },
      },
    ])
    expect(JSON.stringify(Resources.WatchRole)).not.toContain('sqs:')
  }, 60_000)

  test('takes from a queue of one’s own, and makes none then', async () => {
    const queueUrl = 'https://sqs.eu-central-1.amazonaws.com/123456789012/mine'
    const template = await osls(fanning({ queueUrl }))
    const { Resources } = template
    const arn = { 'Fn::Sub': `arn:${hcl('AWS::Partition')}:sqs:eu-central-1:123456789012:mine` }
    expect(Resources.RotateQueueMapping.Properties).toMatchObject({
      EventSourceArn: arn,
      ScalingConfig: { MaximumConcurrency: 10 },
    })
    expect(statementsOf(template).find(it => it.Sid === 'FanOut')?.Resource).toEqual(arn)
    expect(Object.keys(Resources).filter(it => /^RotateQueue|^RotateDead/.test(it))).toEqual([
      'RotateQueueMapping',
    ])
  }, 60_000)

  test('is nothing where the settings do not ask for it', async () => {
    const { Resources } = await osls(onAws())
    expect(JSON.stringify(Resources)).not.toMatch(/RotateQueue|FanOut|EventSourceMapping/)
  }, 60_000)

  test('is refused with too little concurrency, without need, and with what is no queue', async () => {
    expect(await refusal(fanning(), {}, { fanOutConcurrency: '1' })).toContain('no number from 2 to 1000')
    expect(await refusal(fanning(), {}, { reservedConcurrency: '1' })).toContain('reserve 12')
    expect(await refusal(onAws(), {}, { fanOutConcurrency: '5' })).toContain('have no schedule.fanOut')
    expect(await refusal(fanning({ queueUrl: 'https://example.com/q' }))).toContain('is no URL of a queue')
    expect(await refusal(fanning({ type: 'kafka' }))).toContain('schedule.fanOut.type: must be "sqs"')
    expect(await refusal(fanning({ queueUrl: 'https://sqs.eu-central-1.amazonaws.com/1/q.fifo' }))).toContain(
      'must be a standard queue',
    )
  }, 120_000)
})

test('the state bucket: one that exists, or one named after the stage, which the function is told', async () => {
  const unnamed = onAws(settings => {
    delete settings.store.bucket
  })
  const { Parameters, Resources } = await osls(unnamed, ['--param', 'stateBucket=existing'])
  expect(Parameters.StateBucketMode.Default).toBe('existing')
  const name = `iotda-cert-test-${hcl('AWS::AccountId')}-eu-central-1`
  const { Variables } = Resources.RotateLambdaFunction?.Properties.Environment ?? {}
  expect(Variables.IOTDA_CERT_STATE_BUCKET).toEqual({ 'Fn::Sub': name })
  expect(Resources.StateBucket?.Properties.BucketName).toEqual({ 'Fn::Sub': name })
  const role = JSON.stringify(Resources.IamRoleLambdaExecution)
  expect(role).toContain(JSON.stringify({ 'Fn::Sub': `arn:aws:s3:::${name}/iotda-cert/*` }))
  // The watchdog is told of the same.
  expect(JSON.stringify(Resources.WatchLambdaFunction)).toContain(name)
  expect(JSON.stringify(Resources.WatchRole)).toContain(`arn:aws:s3:::${name}/iotda-cert/runs/last`)
  expect(await refusal(unnamed, {}, { stateBucket: 'mine' })).toContain('neither create nor existing')
}, 60_000)

test('importing the state bucket: nothing but the bucket and its policy hangs on the mode that the recipe changes', async () => {
  // The key of the zip has the time of the packaging in it.
  const packaged = async (...args: string[]): Promise<Awaited<ReturnType<typeof osls>>> =>
    JSON.parse(JSON.stringify(await osls(onAws(), args)).replaceAll(/serverless\/iotda-cert\/[^"]+/g, 'zip'))
  const [deployed, made] = [await packaged('--param', 'stateBucket=existing'), await packaged()]
  deployed.Parameters.StateBucketMode.Default = 'create'
  expect(deployed).toEqual(made)
  const [, asked] = JSON.stringify(made).match(/"MakesStateBucket":(\{.*?\]\})/) ?? []
  expect(JSON.parse(asked ?? '')).toEqual({ 'Fn::Equals': [{ Ref: 'StateBucketMode' }, 'create'] })
  expect(JSON.stringify(made).match(/"Ref":"StateBucketMode"/g)).toHaveLength(1)
  // An import may make nothing else, and change no output.
  const hanging = Object.entries(made.Resources).filter(([, it]) => it.Condition === 'MakesStateBucket')
  expect(hanging.map(([name]) => name)).toEqual(['StateBucket', 'StateBucketPolicy'])
  const { StateBucketPolicy: _, ...imported } = made.Resources
  expect(JSON.stringify({ ...made, Resources: imported })).not.toMatch(
    /"(Ref|DependsOn)":"StateBucket"|\["StateBucket"|StateBucket\.Arn/,
  )
  expect(imported.StateBucket?.DeletionPolicy).toBe('RetainExceptOnCreate')
}, 60_000)

test('a key of one’s own, tags, a boundary, traces, JSON logs, no alarms and no dashboard are options', async () => {
  const key = 'arn:aws:kms:eu-central-1:123456789012:key/12345678-1234-1234-1234-123456789012'
  const boundary = 'arn:aws:iam::123456789012:policy/boundary'
  const given = {
    ...{
      kmsKeyArn: key,
      permissionsBoundary: boundary,
      tags: 'team=iot,cost=7,query=a=b',
      tracing: 'Active',
    },
    ...{ logFormat: 'JSON', alarms: 'no', dashboard: 'no' },
  }
  const params = Object.entries(given).flatMap(([name, value]) => ['--param', `${name}=${value}`])
  const { Parameters, Resources } = await osls(onAws(), params)
  const rotate = Resources.RotateLambdaFunction?.Properties
  expect(rotate).toMatchObject({
    KmsKeyArn: key,
    Tags: expect.arrayContaining([
      { Key: 'team', Value: 'iot' },
      { Key: 'query', Value: 'a=b' },
    ]),
    TracingConfig: { Mode: 'Active' },
    LoggingConfig: { LogFormat: 'JSON' },
  })
  const defaults = Object.entries(Parameters as Sample).map(([name, it]: Sample) => [name, it.Default])
  expect(Object.fromEntries(defaults)).toMatchObject({
    ...{ Alarms: 'no', DashboardWanted: 'no', KmsKeyArn: key, PermissionsBoundary: boundary },
  })
  for (const name of ['IamRoleLambdaExecution', 'WatchRole']) {
    expect(JSON.stringify(Resources[name])).toContain('kms:GenerateDataKey')
    expect(JSON.stringify(Resources[name])).toContain('xray:PutTraceSegments')
    expect(Resources[name]?.Properties).toHaveProperty('PermissionsBoundary')
  }
  const isOptional = (type: string): boolean =>
    Object.values(Resources).every(it => it.Type !== type || it.Condition !== undefined)
  expect(['AWS::CloudWatch::Alarm', 'AWS::CloudWatch::Dashboard'].map(isOptional)).toEqual([true, true])
  expect(await refusal(onAws(), {}, { tags: 'team' })).toContain('team is no NAME=VALUE')
}, 60_000)

test('the dashboard of all metrics asks for nothing that is not printed when the settings want all', async () => {
  const { Resources } = await osls(onAws(settings => Object.assign(settings, { metrics: 'all' })))
  const { widgets } = JSON.parse(Resources.Dashboard?.Properties.DashboardBody['Fn::Sub'])
  const rows: Sample[] = widgets.flatMap((it: Sample) => it.properties.metrics)
  const asked = rows.filter(row => row[0] !== 'AWS/Lambda').map(askedBy)
  const printed = new Set(printedMetrics('all'))
  expect(asked.length).toBeGreaterThan(20)
  expect(asked.filter(it => !printed.has(it))).toEqual([])
}, 60_000)

test('stages, reserved concurrency and another store are options', async () => {
  const template = await osls(
    onAws(settings => {
      settings.store = { type: 'secretsmanager', sealKey: 'awssm:iotda-cert/seal-key' }
    }),
    ['--param', 'reservedConcurrency=1', '--param', 'alarmEmail=ops@example.com', '--region', 'eu-west-1'],
  )
  expect(template.Resources.RotateLambdaFunction.Properties).toMatchObject({
    FunctionName: 'iotda-cert-test-rotate',
    ReservedConcurrentExecutions: 1,
  })
  expect(template.Parameters.StateBucketMode.Default).toBe('none')
  expect(template.Resources.AlarmEmail.Properties.Endpoint).toEqual({ Ref: 'AlarmEmailAddress' })
  expect(template.Parameters.AlarmEmailAddress.Default).toBe('ops@example.com')
  const role = JSON.stringify(template.Resources.IamRoleLambdaExecution)
  expect(role).not.toContain('s3:')
  // The keys of Huawei Cloud, iotda-cert/ak and its like, are no state: the role may read and not overwrite them.
  expect(role).toContain(':secret:iotda-cert-state/*')
  expect(role).not.toContain(':secret:iotda-cert/*')
}, 60_000)

test("the watchdog's environment has no keys of the store, and does without its last run then", async () => {
  const keys = { accessKeyId: 'awssm:store/id', secretAccessKey: 'awssm:store/key' }
  const { Resources } = await osls(onAws(it => Object.assign(it.store, keys)))
  const told = JSON.stringify(Resources.WatchLambdaFunction.Properties.Environment)
  expect(told).toContain('iot.example.com')
  expect(told).not.toMatch(/awssm|accessKeyId|rotator/)
  expect(JSON.stringify(Resources.WatchRole)).not.toContain('store/key')
}, 60_000)

describe('a watchdog that is told by hand', () => {
  const watch = (more: object = {}): Sample => ({
    version: 1,
    targets: [{ name: 'factory-1', host: 'iot.example.com' }],
    notifiers: [{ type: 'webhook', url: 'awssm:watch/url' }],
    ...more,
  })
  const write = async (settings: object): Promise<Record<string, string>> => {
    const file = join(folder, 'watch.json')
    await writeFile(file, JSON.stringify(settings))
    return { IOTDA_CERT_WATCH_SETTINGS: file }
  }

  test('its settings are taken as they are, and its role follows them', async () => {
    const settings = watch({
      $schema: hcl('NotOurs'),
      store: { type: 's3', bucket: 'mine' },
    })
    const { Resources } = await osls(onAws(), [], await write(settings))
    const { 'Fn::Sub': text } =
      Resources.WatchLambdaFunction.Properties.Environment.Variables.IOTDA_CERT_WATCH
    // As CloudFormation reads it.
    expect(JSON.parse(text.replaceAll(hcl('!NotOurs'), hcl('NotOurs')))).toEqual(settings)
    const statements: Sample[] = Resources.WatchRole.Properties.Policies[1].PolicyDocument.Statement
    expect(statements.map(it => [it.Sid, it.Resource])).toEqual([
      ['Log', expect.anything()],
      ['Record', ['arn:aws:s3:::mine/iotda-cert/*']],
      ['RecordAbsent', ['arn:aws:s3:::mine']],
      [
        'Secrets',
        [
          {
            'Fn::Sub': `arn:aws:secretsmanager:eu-central-1:${hcl('AWS::AccountId')}:secret:watch/url-??????`,
          },
        ],
      ],
    ])
  }, 60_000)

  test('elsewhere, with a copy for the role; refused without, when too long, or with a secret of the environment', async () => {
    const env = await write(watch())
    const { Resources } = await osls(onAws(), [], { ...env, IOTDA_CERT_WATCH: 's3://example/watch.json' })
    expect(Resources.WatchLambdaFunction.Properties.Environment.Variables).toEqual({
      IOTDA_CERT_WATCH: 's3://example/watch.json',
    })
    expect(JSON.stringify(Resources.WatchRole)).toContain('arn:aws:s3:::example/watch.json')
    expect(await refusal(onAws(), { IOTDA_CERT_WATCH: 's3://example/watch.json' })).toContain(
      'must name a copy',
    )
    expect(await refusal(onAws(), await write(watch({ $schema: 'x'.repeat(4_000) })))).toContain(
      'IOTDA_CERT_WATCH=s3://',
    )
    const secret = watch({ notifiers: [{ type: 'webhook', url: 'env:URL' }] })
    expect(await refusal(onAws(), await write(secret))).toContain('env:URL')
    expect(await refusal(onAws(s => Object.assign(s.targets[0], { probe: { mode: 'off' } })))).toContain(
      'nothing to watch',
    )
  }, 120_000)
})

describe('settings are taken', () => {
  const configOf = (template: Sample) =>
    template.Resources.RotateLambdaFunction.Properties.Environment.Variables.IOTDA_CERT_CONFIG
  const unnamed = { IOTDA_CERT_SETTINGS: '' }

  test('from the environment, or from the file that it names', async () => {
    const named = onAws(s => Object.assign(s.store, { bucket: 'named-by-the-environment' }))
    const inline = JSON.stringify(named)
    expect(configOf(await osls(onAws(), [], { ...unnamed, IOTDA_CERT_CONFIG: inline }))).toBe(inline)
    const file = join(folder, 'elsewhere.json')
    await writeFile(file, `\ufeff${inline}`)
    expect(configOf(await osls(onAws(), [], { ...unnamed, IOTDA_CERT_CONFIG: file }))).toBe(inline)
    const nowhere = { ...unnamed, IOTDA_CERT_CONFIG: join(folder, 'nowhere.json') }
    expect(await refusal(onAws(), nowhere)).toContain('there are no settings')
  }, 120_000)

  test('of the watchdog likewise', async () => {
    const watch = JSON.stringify({
      version: 1,
      targets: [{ name: 'a', host: 'a.example.com' }],
      notifiers: [{ type: 'sns', topicArn: 'arn:aws:sns:eu-central-1:123456789012:people' }],
    })
    const { Resources } = await osls(onAws(), [], { IOTDA_CERT_WATCH: watch })
    expect(Resources.WatchLambdaFunction?.Properties.Environment.Variables).toEqual({
      IOTDA_CERT_WATCH: { 'Fn::Sub': watch },
    })
    expect(await refusal(onAws(), { IOTDA_CERT_WATCH: 'nowhere.json' })).toContain('there is no nowhere.json')
  }, 120_000)
})

test('the sample of the documents has several references that AWS refuses: all are named at once', async () => {
  const [, sample = ''] = /```json\n(\{\n {2}"version": 1,\n {2}"targets"[\s\S]*?)```/.exec(
    await readFile(join(ROOT, 'docs', 'settings.md'), 'utf8'),
  ) ?? ['']
  const said = await refusal(JSON.parse(sample))
  for (const part of ['env:ALERT_URL, env:HUAWEICLOUD_SDK_AK', 'file:roots.pem', 'store.type "file"'])
    expect(said).toContain(part)
}, 60_000)

describe('is refused, with the reason', () => {
  test.each<[string, (settings: Sample) => void, string]>([
    [
      'a secret of the environment',
      s => Object.assign(s.store, { sealKey: 'env:SEAL' }),
      'env:SEAL: put the',
    ],
    ['a file', s => Object.assign(s.targets[0], { trustedRoots: 'file:roots.pem' }), 'file:roots.pem'],
    [
      'a secret itself',
      s => Object.assign(s.store, { sealKey: 'PLAINTEXT' }),
      'store.sealKey: a secret must not stand in the settings',
    ],
    [
      'a fleet that is divided',
      s => Object.assign(s, { schedule: { shards: 3 } }),
      'schedule.shards is for FunctionGraph',
    ],
    ['no seal key', s => delete s.store.sealKey, 'store.sealKey: is missing'],
    [
      'a solver that is none',
      s => Object.assign(s.solvers.dns, { type: 'nosuch' }),
      'solvers.dns.type: must be',
    ],
    ['an unknown key', s => Object.assign(s, { stroe: {} }), 'did you mean "store"?'],
    ['state on its own disk', s => Object.assign(s, { store: { type: 'file' } }), 'store.type "file"'],
    [
      'a secret in the other cloud',
      s => Object.assign(s.store, { sealKey: 'csms:seal-key' }),
      'csms:seal-key, which a function on AWS has no keys for',
    ],
    [
      'keys of an agency that is not there',
      s => Object.assign(s.credentials, { cn: { type: 'functiongraph' } }),
      'credentials.cn has no keys',
    ],
    [
      'a store without a lock, where two may run at once',
      s => Object.assign(s, { store: { ...onHuawei().store, credentials: 'cn', sealKey: 'awssm:seal' } }),
      'store.type "csms" has no lock',
    ],
    [
      'a bucket in another region than the stack that makes it',
      s => Object.assign(s.store, { region: 'us-east-1' }),
      'deploy with --region us-east-1',
    ],
    ['no store', s => Object.assign(s, { store: undefined }), 'store.type "file"'],
    [
      'a notifier whose package is not in the zip',
      s =>
        s.notifiers.push({
          type: 'smtp',
          host: 'mail.example.com',
          from: 'a@example.com',
          to: ['b@example.com'],
        }),
      'the zip is without nodemailer, which the settings want: IOTDA_CERT_SETTINGS=FILE npm run package',
    ],
    ['too much', s => Object.assign(s, { $schema: 'x'.repeat(4_000) }), 'IOTDA_CERT_CONFIG=s3://'],
  ])(
    '%s',
    async (_, change, message) => {
      const said = await refusal(onAws(change))
      expect(said).toContain(message)
      expect(said).not.toMatch(/\n\s+at /)
    },
    60_000,
  )

  test('characters of several bytes count as several', async () => {
    expect(await refusal(onAws(s => Object.assign(s, { $schema: '证'.repeat(1_400) })))).toContain(
      'IOTDA_CERT_CONFIG=s3://',
    )
  }, 60_000)

  test.each([[null], [[]], ['text']])(
    'settings that are %j',
    async settings => {
      expect(await refusal(settings)).toContain('the settings are no object')
    },
    60_000,
  )

  test('as osls tells it: the message, and no stack', async () => {
    const said = await osls(onAws(s => Object.assign(s, { store: undefined }))).then(
      () => expect.unreachable('it was packaged'),
      (error: { stdout: string; stderr: string }) => `${error.stdout}${error.stderr}`,
    )
    expect(said).toContain('store.type "file"')
    expect(said).not.toMatch(/\n\s+at /)
  }, 60_000)

  test('settings in another cloud', async () => {
    expect(await refusal(onAws(), { IOTDA_CERT_CONFIG: 'csms:settings' })).toContain('s3://bucket/key')
  }, 60_000)

  test('no settings, and settings elsewhere without a copy', async () => {
    const missing = join(folder, 'nowhere.json')
    expect(await refusal(onAws(), { IOTDA_CERT_SETTINGS: missing })).toContain('there are no settings')
    const elsewhere = { IOTDA_CERT_CONFIG: 's3://example/iotda-cert.json', IOTDA_CERT_SETTINGS: '' }
    expect(await refusal(onAws(), elsewhere)).toContain('must name a copy')
  }, 60_000)
})
