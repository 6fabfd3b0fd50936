import { domainToASCII } from 'node:url'
import { asRaw, entriesOf, namesOf, type Raw, textOf } from './raw.ts'

/** One statement of a policy of AWS. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html */
export interface AwsStatement {
  readonly Sid: string
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

export interface AwsPolicy {
  readonly Version: '2012-10-17'
  readonly Statement: readonly AwsStatement[]
}

const partitionOf = (region: string): string =>
  region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'

const allow = (
  Sid: string,
  Action: readonly string[],
  Resource: readonly string[],
  Condition?: AwsStatement['Condition'],
): AwsStatement => ({ Sid, Effect: 'Allow', Action, Resource, ...(Condition ? { Condition } : {}) })

/** Where the s3 store puts the page: beside its documents. */
const pageKey = (prefix: string): string => `${prefix.replace(/\/$/, '') || 'iotda-cert'}-page/status.html`

function ofStore(store: Raw, isPublished: boolean, partition: string): readonly AwsStatement[] {
  if (store.type === 's3') {
    const bucket = `arn:${partition}:s3:::${textOf(store.bucket, '*')}`
    const prefix = typeof store.prefix === 'string' ? store.prefix : 'iotda-cert/'
    return [
      allow('State', ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], [`${bucket}/${prefix}*`]),
      // Without it S3 answers 403 for a document that is not there yet.
      allow('StateAbsent', ['s3:ListBucket'], [bucket], { StringLike: { 's3:prefix': [`${prefix}*`] } }),
      ...(isPublished ? [allow('StatusPage', ['s3:PutObject'], [`${bucket}/${pageKey(prefix)}`])] : []),
    ]
  }
  if (store.type !== 'secretsmanager') return []
  const prefix = typeof store.prefix === 'string' ? store.prefix : 'iotda-cert/'
  const actions = [
    'GetSecretValue',
    'CreateSecret',
    'PutSecretValue',
    'UpdateSecretVersionStage',
    'DeleteSecret',
  ]
  const region = textOf(store.region, '*')
  return [
    allow(
      'State',
      actions.map(action => `secretsmanager:${action}`),
      [`arn:${partition}:secretsmanager:${region}:*:secret:${prefix}*`],
    ),
  ]
}

/** A name of a secret in an ARN: the service adds a hyphen and six characters. */
function ofSecrets(raw: Raw, config: string | null, partition: string): readonly AwsStatement[] {
  const settings = /^awssm:(.+)$/.exec(config ?? '')?.[1]
  const names = [...namesOf('awssm', raw), ...(settings === undefined ? [] : [settings])]
  const arns = names.map(name =>
    name.startsWith('arn:') ? name : `arn:${partition}:secretsmanager:*:*:secret:${name}-??????`,
  )
  const [, object] = /^s3:\/\/(.+)$/.exec(config ?? '') ?? []
  return [
    ...(arns.length > 0 ? [allow('Secrets', ['secretsmanager:GetSecretValue'], arns)] : []),
    ...(object === undefined
      ? []
      : [allow('Settings', ['s3:GetObject'], [`arn:${partition}:s3:::${object}`])]),
  ]
}

/** The names under which challenges are answered, as Route 53 writes them: lower case, no final dot, `*` as \052. */
const challengeNames = (raw: Raw, solvers: readonly Raw[]): readonly string[] => {
  const listOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : [])
  const ascii = (name: string): string => domainToASCII(name.replace(/\.$/, '')).toLowerCase()
  const own = entriesOf(raw.certificates)
    .flatMap(({ names }) => listOf(names))
    .map(name => `_acme-challenge.${ascii(name.trim().replace(/^\*\./, ''))}`)
  const ledTo = solvers.flatMap(it => listOf(it.challengeNames)).map(ascii)
  return [...new Set([...own, ...ledTo])].sort()
}

function ofRoute53(raw: Raw, partition: string): readonly AwsStatement[] {
  const solvers = entriesOf(raw.solvers).filter(it => it.type === 'route53')
  if (solvers.length === 0) return []
  const arn = (path: string): string => `arn:${partition}:route53:::${path}`
  const zones = solvers.map(it => arn(`hostedzone/${textOf(it.hostedZoneId, '*')}`))
  return [
    allow('ChallengeZone', ['route53:ListHostedZonesByName'], ['*']),
    allow('ChallengeRead', ['route53:ListResourceRecordSets'], zones),
    allow('ChallengeWrite', ['route53:ChangeResourceRecordSets'], zones, {
      'ForAllValues:StringEquals': { 'route53:ChangeResourceRecordSetsRecordTypes': ['TXT'] },
      'ForAllValues:StringLike': {
        'route53:ChangeResourceRecordSetsNormalizedRecordNames': challengeNames(raw, solvers),
      },
    }),
    allow('ChallengeWait', ['route53:GetChange'], [arn('change/*')]),
  ]
}

/** Certificates that ACM issues and renews. */
function ofAcm(raw: Raw): readonly AwsStatement[] {
  const arns = entriesOf(raw.sources)
    .filter(it => it.type === 'acm')
    .map(it => textOf(it.certificateArn, '*'))
  const actions = ['acm:DescribeCertificate', 'acm:ExportCertificate']
  return arns.length > 0 ? [allow('Certificates', actions, [...new Set(arns)])] : []
}

function ofTopics(raw: Raw): readonly AwsStatement[] {
  const topics = entriesOf(raw.notifiers)
    .filter(it => it.type === 'sns')
    .map(it => textOf(it.topicArn, '*'))
  return topics.length > 0 ? [allow('Alerts', ['sns:Publish'], [...new Set(topics)])] : []
}

/** The document in which the rotator says that it ran (lib/state/state.ts). */
const LAST_RUN = 'runs/last'

/** The watchdog only reads of the rotator's state, and of that one document. */
function lastRun(store: Raw, partition: string): readonly AwsStatement[] {
  const prefix = typeof store.prefix === 'string' ? store.prefix : 'iotda-cert/'
  if (store.type === 's3') {
    const bucket = `arn:${partition}:s3:::${textOf(store.bucket, '*')}`
    return [
      allow('LastRun', ['s3:GetObject'], [`${bucket}/${prefix}${LAST_RUN}`]),
      allow('LastRunAbsent', ['s3:ListBucket'], [bucket], {
        StringLike: { 's3:prefix': [`${prefix}${LAST_RUN}`] },
      }),
    ]
  }
  if (store.type !== 'secretsmanager') return []
  const region = textOf(store.region, '*')
  const secret = `arn:${partition}:secretsmanager:${region}:*:secret:${prefix}${LAST_RUN}-??????`
  return [allow('LastRun', ['secretsmanager:GetSecretValue'], [secret])]
}

/** What the watchdog's settings need of AWS: what it reads of the rotator, its own record, and whom it tells. */
export function awsWatchPolicy(settings: unknown, config: string | null, region = ''): AwsPolicy {
  const raw = asRaw(settings)
  const store = asRaw(raw.store)
  const rotator = asRaw(asRaw(raw.rotator).store)
  const partition = partitionOf(textOf(rotator.region, textOf(store.region, region)))
  return {
    Version: '2012-10-17',
    Statement: [
      ...lastRun(rotator, partition),
      ...ofStore(store, false, partition).map(it => ({ ...it, Sid: it.Sid.replace('State', 'Record') })),
      ...ofSecrets(raw, config, partition),
      ...ofTopics(raw),
    ],
  }
}

/**
 * What the settings need of AWS, and nothing else. `config` is where they stand themselves, if that is a service
 * of AWS; `region` says the partition where the settings do not.
 */
export function awsPolicy(settings: unknown, config: string | null, region = ''): AwsPolicy {
  const raw = asRaw(settings)
  const store = asRaw(raw.store)
  const partition = partitionOf(textOf(store.region, region))
  return {
    Version: '2012-10-17',
    Statement: [
      ...ofStore(store, asRaw(raw.statusPage).publish === true, partition),
      ...ofSecrets(raw, config, partition),
      ...ofRoute53(raw, partition),
      ...ofAcm(raw),
      ...ofTopics(raw),
    ],
  }
}
