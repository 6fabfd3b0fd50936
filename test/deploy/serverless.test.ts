/** `npx osls package`, as the README says, without any account: what would be created in AWS. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Built, buildAndPackage } from '../support/built.ts'
import { ROOT } from '../support/modules.ts'
import { entriesOf } from '../support/unzip.ts'
import { onAws, type Sample } from './sample.ts'

const run = promisify(execFile)
const OSLS = join(ROOT, 'node_modules', '.bin', 'osls')

const CERTIFICATE = 'arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012'

let built: Built
let folder: string
beforeAll(async () => {
  built = await buildAndPackage()
  folder = await mkdtemp(join(tmpdir(), 'iotda-cert-osls-'))
}, 120_000)
afterAll(async () => {
  await built.dispose()
  await rm(folder, { recursive: true, force: true })
})

/** The template that CloudFormation would get; an environment without any credentials. */
async function osls(settings: object, args: readonly string[] = [], env: Record<string, string> = {}) {
  const file = join(folder, 'settings.json')
  await writeFile(file, JSON.stringify(settings))
  const out = await mkdtemp(join(folder, 'out-'))
  await run(OSLS, ['package', '--stage', 'test', '--package', out, ...args], {
    cwd: ROOT,
    env: {
      ...{ PATH: process.env.PATH, HOME: folder, OUTDIR: built.folder, IOTDA_CERT_SETTINGS: file },
      ...{ AWS_EC2_METADATA_DISABLED: 'true', SLS_TELEMETRY_DISABLED: '1', ...env },
    },
  })
  const text = await readFile(join(out, 'cloudformation-template-update-stack.json'), 'utf8')
  return JSON.parse(text) as { Resources: Record<string, Sample>; Conditions: Sample }
}

/** What osls says when it refuses. */
const refusal = (settings: object, env: Record<string, string> = {}): Promise<string> =>
  osls(settings, [], env).then(
    () => expect.unreachable('it was packaged'),
    (error: { stdout: string; stderr: string }) => `${error.stdout}${error.stderr}`,
  )

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

  test('has one function, whose handler is in the zip', async () => {
    const { Properties } = only('AWS::Lambda::Function')
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
    const { Properties } = only('AWS::Scheduler::Schedule')
    expect(Properties).toMatchObject({
      ScheduleExpression: 'rate(30 minutes)',
      FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 10 },
      Target: {
        Arn: { 'Fn::GetAtt': ['RotateLambdaFunction', 'Arn'] },
        RetryPolicy: { MaximumRetryAttempts: 0 },
      },
    })
    expect(JSON.parse(Properties.Target.Input)).toEqual({ source: 'aws.scheduler' })
    expect(only('AWS::Lambda::EventInvokeConfig').Properties).toMatchObject({
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 900,
      DestinationConfig: { OnFailure: { Destination: { Ref: 'AlarmTopic' } } },
    })
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
      ...['secretsmanager:GetSecretValue', 'sns:Publish', 'sns:Publish'],
    ])
    const everywhere = statements.filter(it => JSON.stringify([it.Resource].flat()) === '["*"]')
    expect(everywhere.map(it => it.Sid)).toEqual(['ChallengeZone'])
    expect(statements.find(it => it.Sid === 'Certificates')?.Resource).toBe(CERTIFICATE)
    expect(statements.every(it => it.Effect === 'Allow')).toBe(true)
    expect(only('AWS::Logs::LogGroup').Properties.RetentionInDays).toBe(30)
  })

  test('keeps state in a private, encrypted bucket that speaks TLS only and forgets after a day', () => {
    const { DeletionPolicy, Properties: bucket } = template.Resources.StateBucket
    expect(DeletionPolicy).toBe('Retain')
    expect(bucket).toMatchObject({
      BucketName: 'example-iotda-cert-state',
      PublicAccessBlockConfiguration: {
        ...{ BlockPublicAcls: true, BlockPublicPolicy: true },
        ...{ IgnorePublicAcls: true, RestrictPublicBuckets: true },
      },
      VersioningConfiguration: { Status: 'Enabled' },
    })
    const [{ ServerSideEncryptionByDefault }] = bucket.BucketEncryption.ServerSideEncryptionConfiguration
    expect(ServerSideEncryptionByDefault).toEqual({ SSEAlgorithm: 'AES256' })
    expect(bucket.LifecycleConfiguration.Rules[0]).toMatchObject({
      Status: 'Enabled',
      NoncurrentVersionExpiration: { NoncurrentDays: 1 },
    })
    const [statement] = template.Resources.StateBucketPolicy.Properties.PolicyDocument.Statement
    expect(statement).toMatchObject({
      Effect: 'Deny',
      Action: 's3:*',
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    })
    expect(template.Conditions.HasStateBucket).toEqual({ 'Fn::Equals': ['true', 'true'] })
  })

  test('alarms on errors, on a day without a run, and on throttles; all of them end by themselves', () => {
    const alarms = Object.values(template.Resources).filter(it => it.Type === 'AWS::CloudWatch::Alarm')
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

  test('refers only to what is there', () => {
    const names = new Set(Object.keys(template.Resources))
    const referred: string[] = []
    JSON.stringify(template.Resources, (key, value) => {
      if (key === 'Ref' && !String(value).startsWith('AWS::')) referred.push(String(value))
      if (key === 'Fn::GetAtt') referred.push(String(value[0]))
      return value
    })
    expect(referred.length).toBeGreaterThan(10)
    expect(referred.filter(it => !names.has(it))).toEqual([])
  })
})

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
  expect(template.Conditions.HasStateBucket).toEqual({ 'Fn::Equals': ['false', 'true'] })
  expect(template.Resources.AlarmEmail.Properties.Endpoint).toBe('ops@example.com')
  expect(JSON.stringify(template.Resources.IamRoleLambdaExecution)).not.toContain('s3:')
}, 60_000)

describe('is refused, with the reason', () => {
  test.each<[string, (settings: Sample) => void, string]>([
    [
      'a secret of the environment',
      s => Object.assign(s.store, { sealKey: 'env:SEAL' }),
      'env:SEAL: put the',
    ],
    ['a file', s => Object.assign(s.targets[0], { trustedRoots: 'file:roots.pem' }), 'file:roots.pem'],
    ['state on its own disk', s => Object.assign(s, { store: { type: 'file' } }), 'store.type "file"'],
    ['no store', s => Object.assign(s, { store: undefined }), 'store.type "file"'],
    ['too much', s => Object.assign(s, { $schema: 'x'.repeat(4_000) }), 'IOTDA_CERT_CONFIG=s3://'],
  ])(
    '%s',
    async (_, change, message) => {
      expect(await refusal(onAws(change))).toContain(message)
    },
    60_000,
  )

  test('no settings, and settings elsewhere without a copy', async () => {
    const missing = join(folder, 'nowhere.json')
    expect(await refusal(onAws(), { IOTDA_CERT_SETTINGS: missing })).toContain('there are no settings')
    const elsewhere = { IOTDA_CERT_CONFIG: 's3://example/iotda-cert.json', IOTDA_CERT_SETTINGS: '' }
    expect(await refusal(onAws(), elsewhere)).toContain('must name a copy')
  }, 60_000)
})
