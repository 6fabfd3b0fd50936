/** The CloudWatch dashboard, against the documented structure of a dashboard's body. */
import { createRequire } from 'node:module'
import { Ajv } from 'ajv'
import { expect, test } from 'vitest'

const text = { type: 'string', minLength: 1 }
const strict = (properties: object, required: readonly string[] = []) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  required,
})
const whole = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum })
const period = { type: 'integer', multipleOf: 60, minimum: 60 }
const side = { enum: ['left', 'right'] }
const axis = strict({
  label: text,
  min: { type: 'number' },
  max: { type: 'number' },
  showUnits: { type: 'boolean' },
})
const rendering = {
  color: text,
  label: text,
  stat: { enum: ['Average', 'Sum', 'Minimum', 'Maximum', 'SampleCount'] },
  ...{
    id: { type: 'string', pattern: '^[a-z]\\w*$' },
    period,
    region: text,
    visible: { type: 'boolean' },
    yAxis: side,
  },
}
/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html */
const BODY = strict(
  {
    start: text,
    end: text,
    periodOverride: { enum: ['auto', 'inherit'] },
    widgets: {
      type: 'array',
      maxItems: 500,
      items: strict(
        {
          type: { const: 'metric' },
          x: whole(0, 23),
          y: whole(0, 10_000),
          width: whole(1, 24),
          height: whole(1, 1_000),
          properties: strict(
            {
              title: text,
              region: text,
              period,
              stat: text,
              stacked: { type: 'boolean' },
              view: { enum: ['timeSeries', 'singleValue', 'gauge', 'bar', 'pie', 'table'] },
              yAxis: strict({ left: axis, right: axis }),
              metrics: {
                type: 'array',
                minItems: 1,
                maxItems: 500,
                items: {
                  oneOf: [
                    // An expression stands alone.
                    {
                      type: 'array',
                      minItems: 1,
                      maxItems: 1,
                      items: strict({ ...rendering, expression: text }, ['expression']),
                    },
                    // Namespace, name, and a dimension with its value; how it is drawn comes last.
                    {
                      type: 'array',
                      minItems: 4,
                      maxItems: 5,
                      items: [text, text, text, text, strict(rendering)],
                    },
                  ],
                },
              },
            },
            ['metrics', 'region'],
          ),
        },
        ['type', 'properties'],
      ),
    },
  },
  ['widgets'],
)

interface Widget {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly properties: {
    readonly metrics: readonly (readonly (
      | string
      | { readonly expression?: string; readonly label?: string }
    )[])[]
  }
}

const bodies = createRequire(import.meta.url)('../../deploy/aws/dashboard.cjs') as {
  few: string
  all: string
}
const VALUES: Readonly<Record<string, string>> = {
  'AWS::Region': 'eu-central-1',
  RotateLambdaFunction: 'iotda-cert-prod-rotate',
}
/** As Fn::Sub does it: `${!text}` is left as `${text}`. */
const filledInto = (body: string): string =>
  body.replaceAll(/\$\{(!?)([^}]+)\}/g, (_, isLeft, name) => {
    if (isLeft === '') expect(Object.keys(VALUES)).toContain(name)
    return isLeft === '' ? (VALUES[name] ?? '') : `$\{${name}}`
  })
const { widgets } = JSON.parse(filledInto(bodies.all)) as { widgets: readonly Widget[] }

test('is as documented', () => {
  const isBody = new Ajv({ allErrors: true, strictTuples: false }).compile(BODY)
  for (const body of Object.values(bodies))
    expect(isBody(JSON.parse(filledInto(body))), JSON.stringify(isBody.errors, null, 1)).toBe(true)
  expect(JSON.parse(bodies.few).widgets).toHaveLength(4)
  expect(widgets.length).toBeGreaterThan(10)
})

test('no widget lies on another, and none sticks out', () => {
  for (const [i, a] of widgets.entries()) {
    expect(a.x + a.width).toBeLessThanOrEqual(24)
    for (const b of widgets.slice(i + 1))
      expect(
        a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y,
      ).toBe(true)
  }
})

test('a search names the dimensions that the metric has, the function, and labels each line by what differs', () => {
  const searches = widgets
    .flatMap(({ properties }) => properties.metrics.flat())
    .flatMap(it => (typeof it === 'object' && it.expression ? [it] : []))
  expect(searches.length).toBeGreaterThan(4)
  for (const { expression, label } of searches) {
    const [, dimension] =
      /^SEARCH\('\{IotdaCert,FunctionName,(Target|Source)\} FunctionName="iotda-cert-prod-rotate" MetricName="\w+"', '(?:Minimum|Maximum)', 3600\)$/.exec(
        expression ?? '',
      ) ?? []
    expect(dimension, expression).toBeDefined()
    expect(label).toContain(`$\{PROP('Dim.${dimension}')}`)
  }
})
