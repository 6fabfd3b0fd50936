/**
 * The alarms of serverless.yml, each on a state: it begins once and ends once, however often the function fails
 * meanwhile. All tell the topic.
 */

/** What osls fills in. */
const filledIn = name => `\${${name}}`
const DAYS = filledIn('param:alarmDaysLeft')
const HOUR_S = 3_600
const DAY_S = 86_400

const functionOf = logicalId => [{ Name: 'FunctionName', Value: { Ref: logicalId } }]
const ROTATE = functionOf('RotateLambdaFunction')
const WATCH = functionOf('WatchLambdaFunction')

const OVER = { ComparisonOperator: 'GreaterThanThreshold', Threshold: 0, TreatMissingData: 'notBreaching' }
const UNDER = { ComparisonOperator: 'LessThanThreshold', Threshold: 1, TreatMissingData: 'breaching' }
/** Once there was one, until there was none for three hours: what fails now and then is one alarm, not many. */
const STAYS = { Period: HOUR_S, EvaluationPeriods: 3, DatapointsToAlarm: 1 }
const ONCE = { Period: HOUR_S, EvaluationPeriods: 1 }

/** What the platform counts. */
const counted = (Dimensions, MetricName, says, more) => ({
  ...{ Namespace: 'AWS/Lambda', MetricName, Dimensions, Statistic: 'Sum', ...more },
  AlarmDescription: says,
})
/** What the function prints with its log. */
const measured = (MetricName, Statistic, says, more) => ({
  ...{ Namespace: 'IotdaCert', MetricName, Dimensions: ROTATE, Statistic, ...OVER, ...ONCE, ...more },
  AlarmDescription: says,
})

const HERE = `iotda-cert ${filledIn('sls:stage')}`
const silence = { Period: DAY_S, EvaluationPeriods: 1, ...UNDER }
const daysLeft = { ComparisonOperator: 'LessThanThreshold', Threshold: DAYS }

const ALARMS = {
  Errors: counted(ROTATE, 'Errors', `${HERE} fails; the function's log says why, and what to do.`, {
    ...OVER,
    ...STAYS,
  }),
  Silence: counted(ROTATE, 'Invocations', `${HERE} has not run for a day.`, silence),
  Throttles: counted(
    ROTATE,
    'Throttles',
    `${HERE} was not started; the account has too little concurrency.`,
    {
      ...OVER,
      ...STAYS,
    },
  ),
  DeadLetters: {
    Namespace: 'AWS/SQS',
    MetricName: 'ApproximateNumberOfMessagesVisible',
    Dimensions: [{ Name: 'QueueName', Value: { 'Fn::GetAtt': ['DeadLetters', 'QueueName'] } }],
    Statistic: 'Maximum',
    ...OVER,
    ...ONCE,
    AlarmDescription: `The scheduler could not start ${HERE}: the message in the queue says why. Delete it afterwards.`,
  },
  WatchErrors: counted(
    WATCH,
    'Errors',
    `In ${HERE} the watchdog cannot look, or cannot tell; its log says why.`,
    {
      Period: 6 * HOUR_S,
      EvaluationPeriods: 1,
      ...OVER,
    },
  ),
  WatchSilence: counted(WATCH, 'Invocations', `In ${HERE} the watchdog has not looked for a day.`, silence),
  DaysLeftServed: measured(
    'DaysLeftServed',
    'Minimum',
    `In ${HERE} a certificate that is served ends in less than ${DAYS} days.`,
    daysLeft,
  ),
  DaysLeftBound: measured(
    'DaysLeftBound',
    'Minimum',
    `In ${HERE} a certificate that is bound ends in less than ${DAYS} days.`,
    daysLeft,
  ),
  LastSuccess: measured(
    'LastSuccessAge',
    'Maximum',
    `In ${HERE} not all targets were well for a day; status says which.`,
    { Threshold: DAY_S },
  ),
  ObtainFailures: measured(
    'ObtainFailures',
    'Sum',
    `In ${HERE} the CA or the DNS service refused a certificate three times in a day.`,
    { ComparisonOperator: 'GreaterThanOrEqualToThreshold', Threshold: 3, Period: DAY_S },
  ),
  Undelivered: measured(
    'AlertsUndelivered',
    'Minimum',
    `In ${HERE} alerts were not delivered for six hours; its log says why.`,
    { EvaluationPeriods: 6 },
  ),
}

const TOPIC = [{ Ref: 'AlarmTopic' }]

module.exports.resources = {
  Resources: Object.fromEntries(
    Object.entries(ALARMS).map(([name, properties]) => [
      `${name}Alarm`,
      {
        Type: 'AWS::CloudWatch::Alarm',
        Condition: 'HasAlarms',
        Properties: { ...properties, AlarmActions: TOPIC, OKActions: TOPIC },
      },
    ]),
  ),
}
