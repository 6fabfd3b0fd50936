import type { RawEntry } from '../contracts.ts'

export const asRaw = (value: unknown): RawEntry =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as RawEntry) : {}

/** The entries of a section, whether they go by name or by place. */
export const entriesOf = (section: unknown): readonly RawEntry[] =>
  typeof section === 'object' && section !== null ? Object.values(section).map(asRaw) : []

/** Names behind references such as `awssm:NAME`, anywhere in the settings; each once. */
export function namesOf(scheme: 'awssm' | 'csms' | 'env' | 'file', value: unknown): readonly string[] {
  const found = new Set<string>()
  const walk = (part: unknown): void => {
    if (typeof part === 'string' && part.startsWith(`${scheme}:`)) found.add(part.slice(scheme.length + 1))
    else if (typeof part === 'object' && part !== null) Object.values(part).forEach(walk)
  }
  walk(value)
  return [...found].sort()
}
