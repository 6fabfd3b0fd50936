/**
 * What serverless.yml makes where the settings have schedule.fanOut (docs/fleet.md): a queue, from which the function
 * takes what its scheduled run sends there. With a queue of one's own (queueUrl) only that is connected.
 */

/** More than the function's 900 s: what it is at work on must not be seen by another run. */
const VISIBLE_AGAIN_S = 960
/** The next scheduled run but one has sent what is still due again by then. */
const RETENTION_S = 3_600
const DEAD_RETENTION_S = 1_209_600
const HOUR_S = 3_600

const filledIn = name => `\${${name}}`
const HERE = `iotda-cert ${filledIn('sls:stage')}`
const TOPIC = [{ Ref: 'AlarmTopic' }]
const arnOf = logicalId => ({ 'Fn::GetAtt': [logicalId, 'Arn'] })

const queue = properties => ({
  Type: 'AWS::SQS::Queue',
  UpdateReplacePolicy: 'Delete',
  DeletionPolicy: 'Delete',
  Properties: { SqsManagedSseEnabled: true, ...properties },
})

const alarm = (logicalId, MetricName, more, AlarmDescription) => ({
  Type: 'AWS::CloudWatch::Alarm',
  Condition: 'HasAlarms',
  Properties: {
    Namespace: 'AWS/SQS',
    MetricName,
    Dimensions: [{ Name: 'QueueName', Value: { 'Fn::GetAtt': [logicalId, 'QueueName'] } }],
    Statistic: 'Maximum',
    ComparisonOperator: 'GreaterThanThreshold',
    TreatMissingData: 'notBreaching',
    Period: HOUR_S,
    EvaluationPeriods: 1,
    ...more,
    AlarmDescription,
    AlarmActions: TOPIC,
    OKActions: TOPIC,
  },
})

const QUEUES = {
  RotateQueue: queue({
    VisibilityTimeout: VISIBLE_AGAIN_S,
    MessageRetentionPeriod: RETENTION_S,
    // What failed once backs off, so that it ends well the second time; what cannot begin ends here.
    RedrivePolicy: { deadLetterTargetArn: arnOf('RotateDeadLetters'), maxReceiveCount: 2 },
  }),
  RotateDeadLetters: queue({ MessageRetentionPeriod: DEAD_RETENTION_S }),
  RotateDeadLettersAlarm: alarm(
    'RotateDeadLetters',
    'ApproximateNumberOfMessagesVisible',
    { Threshold: 0 },
    `${HERE} could not take what was handed on: the log of the function says why. Delete the messages afterwards.`,
  ),
  RotateQueueAgeAlarm: alarm(
    'RotateQueue',
    'ApproximateAgeOfOldestMessage',
    { Threshold: HOUR_S / 2, EvaluationPeriods: 3, DatapointsToAlarm: 2 },
    `${HERE} hands on more than it takes: deploy with --param fanOutConcurrency=N, more than now.`,
  ),
}

const QUEUE_URL = /^https:\/\/sqs\.([\w-]+)\.amazonaws\.com(?:\.cn)?\/(\d{12})\/([\w-]+)$/

/** What Lambda takes: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html */
const CONCURRENCY = { least: 2, most: 1_000, standard: 10 }

function concurrencyOf(given, reserved) {
  const { least, most, standard } = CONCURRENCY
  const runs = given === null ? standard : Number(given)
  if (!Number.isInteger(runs) || runs < least || runs > most)
    throw new Error(`--param fanOutConcurrency: ${given} is no number from ${least} to ${most}`)
  // The scheduled run, and one that a person asks for, need a place beside them.
  if (reserved !== null && Number(reserved) < runs + 2)
    throw new Error(
      `--param reservedConcurrency=${reserved} leaves no room for ${runs} runs that take messages and 2 others: reserve ${runs + 2}, or set --param fanOutConcurrency`,
    )
  return runs
}

/** Resources, environment, and the ARN for the role; nothing without schedule.fanOut. */
module.exports = ({ schedule }, { concurrency, reserved }) => {
  const fanOut = schedule?.fanOut ?? null
  if (fanOut === null) {
    if (concurrency !== null)
      throw new Error('--param fanOutConcurrency: the settings have no schedule.fanOut')
    return { resources: {}, environment: {}, queue: null }
  }
  const MaximumConcurrency = concurrencyOf(concurrency, reserved)
  const url = fanOut.queueUrl ?? null
  const [, region, account, name] = QUEUE_URL.exec(url ?? '') ?? []
  if (url !== null && name === undefined)
    throw new Error(
      'schedule.fanOut.queueUrl is no URL of a queue of SQS (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME): leave it out, and one is made',
    )
  const queue =
    name === undefined
      ? arnOf('RotateQueue')
      : { 'Fn::Sub': `arn:${filledIn('AWS::Partition')}:sqs:${region}:${account}:${name}` }
  const RotateQueueMapping = {
    Type: 'AWS::Lambda::EventSourceMapping',
    // It asks with the function's role, whose policy must be there.
    DependsOn: ['IamRoleLambdaExecution'],
    Properties: {
      EventSourceArn: queue,
      FunctionName: arnOf('RotateLambdaFunction'),
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ScalingConfig: { MaximumConcurrency },
    },
  }
  return {
    resources: { Resources: { RotateQueueMapping, ...(url === null ? QUEUES : {}) } },
    environment: url === null ? { IOTDA_CERT_QUEUE_URL: { Ref: 'RotateQueue' } } : {},
    queue,
  }
}
