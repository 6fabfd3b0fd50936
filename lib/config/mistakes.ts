import type * as v from 'valibot'
import { RotationError } from '../base/rotation-error.ts'

/** One thing that is wrong in the settings. */
export interface Mistake {
  /** E.g. `targets[0].instance.endpoint`. */
  readonly path: string
  readonly message: string
}

/** Every mistake in one error. @returns RotationError `settings-invalid` */
export function mistaken(mistakes: readonly Mistake[], where: string): RotationError {
  const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`
  const lines = mistakes.map(({ path, message }) => `  ${path || 'settings'}: ${message}`)
  return new RotationError('settings-invalid', `${where} has ${count}:\n${lines.join('\n')}`, {
    retry: 'never',
    hint: 'Nothing was changed anywhere. Mend what is listed and run again.',
  })
}

/** What validation found, in words. Never repeats a value: it may be a secret in the wrong place. */
export function explain(
  issues: readonly v.BaseIssue<unknown>[],
  prefix: string,
  schema: v.GenericSchema,
): readonly Mistake[] {
  return issues.flatMap(issue => {
    const inside = insideOf(issue)
    if (inside.length > 0) return explain(inside, prefix, schema)
    const path = pathOf(issue, prefix)
    if (issue.type === 'strict_object' && issue.expected === 'never')
      return { path, message: unknownKey(issue, schema) }
    if (issue.received === 'undefined') return { path, message: 'is missing' }
    return {
      path,
      message: issue.message.startsWith('Invalid')
        ? `must be ${issue.expected ?? 'something else'}, not ${kindOf(issue.input)}`
        : issue.message,
    }
  })
}

/** What is wrong within an object that may also be given as a text: said rather than that it is no text. */
function insideOf({ type, path, issues }: v.BaseIssue<unknown>): readonly v.BaseIssue<unknown>[] {
  const inside = type === 'union' ? (issues ?? []).filter(issue => issue.path !== undefined) : []
  return inside.map(issue => ({ ...issue, path: [...(path ?? []), ...(issue.path ?? [])] as never }))
}

/** The path of a key below a section, e.g. `sources.letsencrypt` and `directory`. */
export function joinPath(prefix: string, key: string | number): string {
  if (typeof key === 'number') return `${prefix}[${key}]`
  return prefix === '' ? key : `${prefix}.${key}`
}

function pathOf(issue: v.BaseIssue<unknown>, prefix: string): string {
  return (issue.path ?? []).reduce((path, item) => joinPath(path, item.key as string | number), prefix)
}

const kindOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`

function unknownKey(issue: v.BaseIssue<unknown>, schema: v.GenericSchema): string {
  const keys = (issue.path ?? []).map(item => item.key)
  const key = String(keys.pop() ?? '')
  const known = keysAt(schema, keys)
  const near = known.find(candidate => distance(candidate.toLowerCase(), key.toLowerCase()) <= 2)
  return near
    ? `is not a setting; did you mean "${near}"?`
    : `is not a setting${known.length > 0 ? ` (known here: ${known.join(', ')})` : ''}`
}

/** The parts of a schema that lead further down. */
interface Node {
  readonly wrapped?: Node
  readonly entries?: Readonly<Record<string, Node>>
  readonly item?: Node
  readonly value?: Node
  readonly options?: readonly Node[]
}

/** The keys of the object at a path. */
function keysAt(schema: unknown, path: readonly unknown[]): readonly string[] {
  const { wrapped, entries, item, value, options } = (schema ?? {}) as Node
  if (wrapped) return keysAt(wrapped, path)
  if (Array.isArray(options)) return options.flatMap(option => keysAt(option, path))
  const [key, ...rest] = path
  if (entries) return path.length === 0 ? Object.keys(entries) : keysAt(entries[String(key)], rest)
  return path.length === 0 ? [] : keysAt(item ?? value, rest)
}

/** Levenshtein distance of two short words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, char] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (char === other ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] ?? 0
}
