/** The table of every key of the settings, from their JSON Schema. */

interface Schema {
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
  if (schema.type === 'array') return `list of ${schema.items ? kindOf(schema.items) : 'anything'}`
  const { minimum, maximum } = schema
  const isBounded = minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
  return `${schema.type ?? 'anything'}${isBounded ? ` ${minimum} to ${maximum}` : ''}`
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

const MARK = { required: 'required', optional: '' } as const

/** Sections whose entries have the keys of their driver: each driver's own, under its type. */
function rowsOf(path: string, schema: Schema): readonly string[] {
  const seen = new Set<string>()
  return membersOf(path, schema).flatMap(([key, it, isRequired]) => {
    const preset = it.default === undefined ? (isRequired ? MARK.required : MARK.optional) : code(it.default)
    const row = `| \`${key}\` | ${kindOf(it)} | ${preset.length > 60 ? '' : preset} |`
    if (seen.has(row)) return []
    seen.add(row)
    return [row, ...rowsOf(key, it)]
  })
}

/** A table of every key: path, what may stand there, default. `[]` is an item of a list, `*` a name of yours. */
export function settingsReference(schemaText: string): string {
  const rows = rowsOf('', JSON.parse(schemaText) as Schema)
  return ['| key | value | default |', '|-|-|-|', ...new Set(rows)].join('\n')
}
