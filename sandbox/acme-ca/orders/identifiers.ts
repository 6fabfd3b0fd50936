import { isIP } from 'node:net'
import { fail, type Identifier, type Problem, problem } from '../wire/problems.ts'

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

const nameProblem = (identifier: Identifier, rejectedNames: readonly string[]): Problem | null => {
  const { type, value } = identifier
  const because = (kind: string, why: string) =>
    problem(kind, 400, `Cannot issue for "${value}": ${why}`, { identifier })
  if (type !== 'dns') return because('unsupportedIdentifier', `identifiers of type "${type}" are not offered`)
  if (isIP(value)) return because('rejectedIdentifier', 'the name is an IP address')
  const name = value.startsWith('*.') ? value.slice(2) : value
  const labels = name.split('.')
  if (name.length > 253 || !labels.every(label => LABEL.test(label)))
    return because('malformed', 'the name must be letters, digits and hyphens')
  if (labels.length < 2) return because('malformed', 'the name needs at least one dot')
  if (/^\d+$/.test(labels.at(-1) ?? '')) return because('malformed', 'the name ends in a number')
  const forbidden = rejectedNames.some(r => name === r || name.endsWith(`.${r}`))
  return forbidden ? because('rejectedIdentifier', 'the CA will not issue for this name') : null
}

const isIdentifier = (value: unknown): value is Identifier => {
  const { type, value: name } = (value ?? {}) as Partial<Identifier>
  return typeof type === 'string' && typeof name === 'string'
}

const refuseOverlaps = (names: readonly string[]): void => {
  const covered = names.find(
    name => !name.startsWith('*.') && names.includes(`*.${name.replace(/^[^.]+\./, '')}`),
  )
  if (covered)
    throw fail('malformed', 400, `"${covered}" is redundant with a wildcard name in the same order`)
}

/** The names of a newOrder in lower case, each once, or the refusal with one subproblem for each bad name (RFC 8555 sections 7.4, 6.7.1). */
export function namesOf(
  value: unknown,
  maxNames: number,
  rejectedNames: readonly string[],
): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isIdentifier))
    throw fail('malformed', 400, 'newOrder needs a list of identifiers with type and value')
  const identifiers = value.map(({ type, value: name }) => ({ type, value: name.toLowerCase() }))
  const problems = identifiers.flatMap(identifier => nameProblem(identifier, rejectedNames) ?? [])
  const [first] = problems
  if (first) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more, see subproblems)` : ''
    const kind = first.type.slice(first.type.lastIndexOf(':') + 1)
    throw fail(kind, 400, `${first.detail}${more}`, { subproblems: problems })
  }
  const names = [...new Set(identifiers.map(identifier => identifier.value))]
  if (names.length > maxNames) throw fail('malformed', 400, `Order has more than ${maxNames} identifiers`)
  refuseOverlaps(names)
  return names
}
