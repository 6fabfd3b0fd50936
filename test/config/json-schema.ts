import type { JsonSchema } from '@valibot/to-json-schema'

/** What is wrong with a value, by the keywords of JSON Schema draft 7 that `settings.schema.json` uses. */
export function mistakesOf(schema: JsonSchema, value: unknown, path = ''): readonly string[] {
  const unknown = Object.keys(schema).filter(keyword => !KNOWN.has(keyword))
  if (unknown.length > 0) throw new Error(`keyword ${unknown.join(', ')} at ${path} is not understood here`)
  return [
    ...ofChoices(schema, value, path),
    ...ofScalar(schema, value, path),
    ...(Array.isArray(value) ? ofList(schema, value, path) : []),
    ...(isObject(value) ? ofObject(schema, value, path) : []),
  ]
}

const KNOWN = new Set([
  ...['$schema', 'title', 'default', 'type', 'const', 'enum', 'anyOf', 'oneOf'],
  ...['minLength', 'pattern', 'format', 'minimum', 'maximum', 'items', 'minItems', 'maxItems'],
  ...['properties', 'required', 'additionalProperties', 'propertyNames'],
])

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
const at = (path: string, key: string | number): string =>
  typeof key === 'number' ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`

function ofChoices(schema: JsonSchema, value: unknown, path: string): readonly string[] {
  const fits = (one: unknown): boolean => mistakesOf(one as JsonSchema, value, path).length === 0
  const mistakes: string[] = []
  if (schema.anyOf && !schema.anyOf.some(fits)) mistakes.push(`${path}: fits none of several shapes`)
  const ones = schema.oneOf?.filter(fits).length
  if (ones !== undefined && ones !== 1)
    mistakes.push(`${path}: fits ${ones === 0 ? 'none' : 'more than one'} of several shapes`)
  return mistakes
}

function ofScalar(schema: JsonSchema, value: unknown, path: string): readonly string[] {
  const { type, const: only, enum: several, minLength, pattern, minimum, maximum } = schema
  const mistakes: string[] = []
  const refuse = (is: boolean, what: string): void => void (is && mistakes.push(`${path}: ${what}`))
  refuse(type !== undefined && !isOf(String(type), value), `is no ${type}`)
  refuse(only !== undefined && !same(only, value), `is not ${JSON.stringify(only)}`)
  refuse(several !== undefined && !several.some(one => same(one, value)), 'is none of the values')
  if (typeof value === 'string') {
    refuse(value.length < (minLength ?? 0), 'is too short')
    refuse(pattern !== undefined && !new RegExp(pattern).test(value), 'does not fit the pattern')
  }
  if (typeof value === 'number') {
    refuse(value < Number(minimum ?? value), 'is too small')
    refuse(value > Number(maximum ?? value), 'is too large')
  }
  return mistakes
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return isObject(value)
  return type === 'integer' ? Number.isInteger(value) : typeof value === type
}

function ofList(schema: JsonSchema, value: readonly unknown[], path: string): readonly string[] {
  const { items, minItems, maxItems } = schema
  const mistakes: string[] = []
  if (value.length < (minItems ?? 0)) mistakes.push(`${path}: has too few items`)
  if (value.length > (maxItems ?? value.length)) mistakes.push(`${path}: has too many items`)
  return [
    ...mistakes,
    ...value.flatMap((item, i) => (items ? mistakesOf(items as JsonSchema, item, at(path, i)) : [])),
  ]
}

function ofObject(
  schema: JsonSchema,
  value: Readonly<Record<string, unknown>>,
  path: string,
): readonly string[] {
  const { properties = {}, required = [], additionalProperties: others, propertyNames } = schema
  const missing = required
    .filter(key => !Object.hasOwn(value, key))
    .map(key => `${at(path, key)}: is missing`)
  const members = Object.entries(value).flatMap(([key, item]) => {
    const badName = propertyNames ? mistakesOf(propertyNames as JsonSchema, key, path) : []
    if (badName.length > 0) return [`${path}: has a bad name, ${key}`]
    const own = Object.hasOwn(properties, key) ? properties[key] : others
    if (own === false) return [`${at(path, key)}: is unknown`]
    return typeof own === 'object' ? mistakesOf(own as JsonSchema, item, at(path, key)) : []
  })
  return [...missing, ...members]
}
