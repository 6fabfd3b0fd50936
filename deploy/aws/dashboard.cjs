/**
 * The dashboard of serverless.yml, over the metrics that functions/emf.ts prints. The function and the region are
 * filled in by CloudFormation (Fn::Sub).
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
 */

const NAMESPACE = 'IotdaCert'
/** What CloudFormation fills in, and what it leaves for CloudWatch. */
const filledIn = name => `\${${name}}`
const leftIn = text => `\${!${text}}`
const FUNCTION = ['FunctionName', filledIn('RotateLambdaFunction')]
const HOUR_S = 3_600

/** A metric over all targets. */
const overAll = (name, stat, label) => [NAMESPACE, name, ...FUNCTION, { stat, label: label ?? name }]
/** A line for each target, or each source. */
const each = (dimension, name, stat) => [
  {
    expression: `SEARCH('{${NAMESPACE},FunctionName,${dimension}} FunctionName="${FUNCTION[1]}" MetricName="${name}"', '${stat}', ${HOUR_S})`,
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/graph-dynamic-labels.html
    label: `${name === 'AcmeFailedValidations' ? 'failed, ' : ''}${leftIn(`PROP('Dim.${dimension}')`)}`,
  },
]
const lambda = (name, stat) => ['AWS/Lambda', name, ...FUNCTION, { stat, label: name }]

const STEPS = [
  'Inspect',
  'Decide',
  'Obtain',
  'Preflight',
  'Free',
  'Add',
  'Bind',
  'Verify',
  'RollBack',
  'Record',
]

/** Title, metrics, and what is special. Two in a row. */
const GRAPHS = [
  [
    'Days left of what is served',
    [each('Target', 'DaysLeftServed', 'Minimum')],
    { yAxis: { left: { min: 0 } } },
  ],
  [
    'Days left of what is bound',
    [each('Target', 'DaysLeftBound', 'Minimum')],
    { yAxis: { left: { min: 0 } } },
  ],
  [
    'Age of the last success (seconds), and targets that are not well',
    [
      overAll('LastSuccessAge', 'Maximum'),
      [NAMESPACE, 'TargetsUnwell', ...FUNCTION, { stat: 'Maximum', label: 'TargetsUnwell', yAxis: 'right' }],
    ],
    {},
  ],
  [
    'Outcomes',
    ['TargetsRotated', 'TargetsFailed', 'TargetsWaiting'].map(name => overAll(name, 'Maximum')),
    { view: 'timeSeries', stacked: true },
  ],
  ['Well (1) or not (0), by target', [each('Target', 'Ok', 'Minimum')], {}],
  ['Slots used, of 2', [each('Target', 'SlotsUsed', 'Maximum')], { yAxis: { left: { min: 0, max: 2 } } }],
  ['Steps, longest (milliseconds)', STEPS.map(step => overAll(`Step${step}`, 'Maximum', step)), {}],
  [
    'Certificates asked for, and in vain',
    [overAll('ObtainAttempts', 'Sum'), overAll('ObtainFailures', 'Sum')],
    {},
  ],
  [
    'Orders and failed validations that count against the CA’s limits',
    [each('Source', 'AcmeOrders', 'Maximum'), each('Source', 'AcmeFailedValidations', 'Maximum')],
    {},
  ],
  ['Alerts', [overAll('AlertsSent', 'Sum'), overAll('AlertsUndelivered', 'Maximum')], {}],
  [
    'Runs',
    [overAll('RunOk', 'Minimum'), overAll('Targets', 'Maximum'), overAll('RunDuration', 'Maximum')],
    {},
  ],
  ['The function', ['Invocations', 'Errors', 'Throttles'].map(name => lambda(name, 'Sum')), {}],
]

const WIDTH = 12
const HEIGHT = 6

/** What can be drawn of the six metrics that are printed unless the settings ask for all. */
const FEW = [
  [
    'Days left of what is served and bound',
    [overAll('DaysLeftServed', 'Minimum'), overAll('DaysLeftBound', 'Minimum')],
    { yAxis: { left: { min: 0 } } },
  ],
  GRAPHS.find(([title]) => title.startsWith('Age of')),
  [
    'Certificates refused, and alerts that wait',
    [overAll('ObtainFailures', 'Sum'), overAll('AlertsUndelivered', 'Maximum')],
    {},
  ],
  GRAPHS.at(-1),
]

const bodyOf = graphs =>
  JSON.stringify({
    widgets: graphs.map(([title, metrics, more], i) => ({
      type: 'metric',
      x: (i % 2) * WIDTH,
      y: Math.floor(i / 2) * HEIGHT,
      width: WIDTH,
      height: HEIGHT,
      properties: {
        title,
        metrics,
        region: filledIn('AWS::Region'),
        period: HOUR_S,
        view: 'timeSeries',
        ...more,
      },
    })),
  })

module.exports = { few: bodyOf(FEW), all: bodyOf(GRAPHS) }
