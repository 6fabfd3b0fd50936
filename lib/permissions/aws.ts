import { allow, secretPlace, textOf } from '../clouds/aws/policy.ts'
import type { AwsStatement, PolicyContext, RawEntry } from '../contracts.ts'
import { type Chosen, chosenDrivers, chosenStore } from './chosen.ts'
import { LAST_RUN } from './last-run.ts'
import { asRaw, entriesOf, namesOf } from './raw.ts'

export interface AwsPolicy {
  readonly Version: '2012-10-17'
  readonly Statement: readonly AwsStatement[]
}

const policyOf = (...statements: readonly (readonly AwsStatement[])[]): AwsPolicy => ({
  Version: '2012-10-17',
  Statement: statements.flat(),
})

const partitionOf = (region: string): string =>
  region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'

/** `of`: the region that says the partition; `here`: that of whoever gets the policy. */
function contextOf(raw: RawEntry, of: string, here: string, account: string): PolicyContext {
  return {
    partition: partitionOf(of),
    region: here === '' ? '*' : here,
    account,
    certificateNames: entriesOf(raw.certificates).flatMap(({ names }) =>
      Array.isArray(names) ? names.map(String) : [],
    ),
    isPublished: asRaw(raw.statusPage).publish === true,
  }
}

const statementsOf = (chosen: readonly Chosen[], context: PolicyContext): readonly AwsStatement[] =>
  chosen.flatMap(({ driver, entries }) => driver.permissions?.aws?.(entries, context) ?? [])

/** Where secrets stand, and the settings themselves if that is a service of AWS. */
function ofSecrets(
  raw: RawEntry,
  config: string | null,
  { partition, region, account }: PolicyContext,
): readonly AwsStatement[] {
  const [, settings] = /^awssm:(.+)$/.exec(config ?? '') ?? []
  const [, object] = /^s3:\/\/(.+)$/.exec(config ?? '') ?? []
  const references = [...namesOf('awssm', raw), ...(settings === undefined ? [] : [settings])]
  const names = [...new Set(references.map(it => secretPlace(it).name))]
  // The service adds a hyphen and six characters to a name.
  const arns = names.map(name =>
    name.startsWith('arn:')
      ? name
      : `arn:${partition}:secretsmanager:${region}:${account}:secret:${name}-??????`,
  )
  return [
    ...(arns.length > 0 ? [allow('Secrets', ['secretsmanager:GetSecretValue'], arns)] : []),
    ...(object === undefined
      ? []
      : [allow('Settings', ['s3:GetObject'], [`arn:${partition}:s3:::${object}`])]),
  ]
}

/** Of a queue without a URL: as CloudFormation names that of serverless.yml. */
const QUEUE_OF_STACK = 'iotda-cert-*-RotateQueue-*'

/** The same function sends messages and takes them. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html */
function ofFanOut(raw: RawEntry, { partition, region, account }: PolicyContext): readonly AwsStatement[] {
  const { fanOut = null } = asRaw(raw.schedule)
  if (fanOut === null) return []
  const [, at, owner, name] =
    /^https:\/\/sqs\.([\w-]+)\.amazonaws\.com(?:\.cn)?\/(\d{12})\/([\w-]+)$/.exec(
      textOf(asRaw(fanOut), 'queueUrl', ''),
    ) ?? []
  const queue = `arn:${partition}:sqs:${at ?? region}:${owner ?? account}:${name ?? QUEUE_OF_STACK}`
  const taking = ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes']
  return [allow('FanOut', ['sqs:SendMessage', ...taking], [queue])]
}

/**
 * What the settings need of AWS, and nothing else. `config` is where they stand themselves, if that is a service
 * of AWS; `region` and `account` are those of whoever gets the policy, where they are known.
 */
export async function awsPolicy(
  settings: unknown,
  config: string | null,
  region = '',
  account = '*',
): Promise<AwsPolicy> {
  const raw = asRaw(settings)
  const context = contextOf(raw, textOf(asRaw(raw.store), 'region', region), region, account)
  return policyOf(
    statementsOf(await chosenStore(raw.store), context),
    ofSecrets(raw, config, context),
    statementsOf(await chosenDrivers(raw, 'solvers', 'sources', 'notifiers'), context),
    ofFanOut(raw, context),
  )
}

/** What the watchdog's settings need of AWS: what it reads of the rotator, its own record, and whom it tells. */
export async function awsWatchPolicy(
  settings: unknown,
  config: string | null,
  region = '',
  account = '*',
): Promise<AwsPolicy> {
  const raw = asRaw(settings)
  const { store: rotator } = asRaw(raw.rotator)
  const own = textOf(asRaw(raw.store), 'region', region)
  const context = contextOf(raw, textOf(asRaw(rotator), 'region', own), region, account)
  const record = statementsOf(await chosenStore(raw.store), context)
  return policyOf(
    (await chosenStore(rotator)).flatMap(
      ({ driver, entries: [entry = {}] }) => driver.permissions?.awsRead?.(entry, LAST_RUN, context) ?? [],
    ),
    record.map(it => ({ ...it, Sid: it.Sid.replace('State', 'Record') })),
    ofSecrets(raw, config, context),
    statementsOf(await chosenDrivers(raw, 'notifiers'), context),
  )
}
