/** What the comment over a key of the settings says. */
export interface Meaning {
  readonly says: string
  /** JSON of a value; null: the default or the kind of value shows it. */
  readonly example: string | null
}

interface Schema {
  readonly kind: 'schema'
  readonly pipe?: readonly unknown[]
  readonly meaning?: Meaning
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && (value as Schema).kind === 'schema'

/** A schema that carries its meaning, at the head of its pipe; anything else as it is. */
export function meaning<T>(value: T, doc: Meaning): T {
  if (!isSchema(value)) return value
  const [head, ...rest] = value.pipe ?? []
  return (head ? { ...value, pipe: [meaning(head, doc), ...rest] } : { ...value, meaning: doc }) as T
}

/** The meaning that a schema carries. */
export const meaningOf = (value: unknown): Meaning | null => (value as Schema).meaning ?? null
