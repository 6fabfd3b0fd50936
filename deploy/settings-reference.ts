/** The table of every key of the settings, from their JSON Schema. */

interface Schema {
  readonly description?: string
  readonly examples?: readonly unknown[]
  /** What a text is, in words. */
  readonly 'x-kind'?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
}

const code = (value: unknown): string => `\`${JSON.stringify(value)}\``

const isNull = ({ type }: Schema): boolean => type === 'null'

const choices = ({ anyOf, oneOf }: Schema): readonly Schema[] =>
  (anyOf ?? oneOf ?? []).filter(it => !isNull(it))

/** What may stand there, in a word or by its values. */
function kindOf(schema: Schema): string {
  if (schema.const !== undefined) return code(schema.const)
  if (schema.enum) return schema.enum.map(code).join(', ')
  const some = choices(schema)
  if (some.length > 0) return [...new Set(some.map(kindOf))].join(' or ')
  if (schema.type === 'array')
    return `list of ${schema.items ? kindOf(schema.items).replace(/^an? /, '') : 'anything'}`
  const { minimum, maximum } = schema
  const isBounded = minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
  return `${schema['x-kind'] ?? schema.type ?? 'anything'}${isBounded ? ` ${minimum} to ${maximum}` : ''}`
}

/** Each driver has keys of its own: `(route53)`. */
const driverOf = ({ properties }: Schema): string =>
  properties?.type?.const === undefined ? '' : `(${properties.type.const})`

/** What stands below a key: its own members, those of a list's items, of named entries, or of the kinds it may be. */
function membersOf(path: string, schema: Schema): readonly (readonly [string, Schema, boolean])[] {
  const of = (at: string, { properties = {}, required = [] }: Schema) =>
    Object.entries(properties).map(([key, it]) => [`${at}${key}`, it, required.includes(key)] as const)
  const dot = path === '' ? '' : `${path}.`
  const named = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : null
  return [
    ...of(dot, schema),
    ...(schema.items ? membersOf(`${path}[]`, schema.items) : []),
    ...(named ? membersOf(`${path}.*`, named) : []),
    ...choices(schema).flatMap(it => membersOf(`${path}${driverOf(it)}`, it)),
  ]
}

/** Told by the section: which driver it is. */
const isDriversType = (key: string): boolean => key.endsWith(').type')

const cell = (text: string): string => text.replaceAll('|', '\\|')

function presetOf({ default: fallback }: Schema, isRequired: boolean): string {
  if (fallback === undefined) return isRequired ? 'required' : ''
  const text = code(fallback)
  return fallback === null || text === '`{}`' || text.length > 60 ? '' : text
}

/** Whether neither the default, the values nor the kind of value show what may be written. */
const wantsExample = (schema: Schema): boolean =>
  (schema.default ?? null) === null &&
  /^(?!.*(such as|env:|file:PATH|e\.g\.))(an? |the |host|names |string)/.test(kindOf(schema))

/** @throws for a key that does not say what it means, or shows no value */
function rowOf(key: string, schema: Schema, isRequired: boolean): string {
  const { description = isDriversType(key) ? 'The driver.' : '', examples = [] } = schema
  if (description === '') throw new Error(`${key} does not say what it means: write a comment over it`)
  if (examples.length === 0 && wantsExample(schema))
    throw new Error(`${key} shows no value: write an @example into the comment over it`)
  const says = [description, ...examples.map(it => `E.g. ${code(it)}`)].join(' ')
  return `| \`${key}\` | ${cell(kindOf(schema))} | ${presetOf(schema, isRequired)} | ${cell(says)} |`
}

/** Sections whose entries have the keys of their driver: each driver's own, under its type. */
function rowsOf(path: string, schema: Schema): readonly string[] {
  return membersOf(path, schema).flatMap(([key, it, isRequired]) => [
    rowOf(key, it, isRequired),
    ...rowsOf(key, it),
  ])
}

/**
 * A table of every key: path, what may stand there, default, meaning. `[]` is an item of a list, `*` a name of yours.
 * @throws for a key that does not say what it means, or shows no value
 */
export function settingsReference(schema: unknown): string {
  const rows = rowsOf('', schema as Schema)
  return ['| key | value | default | |', '|-|-|-|-|', ...new Set(rows)].join('\n')
}
