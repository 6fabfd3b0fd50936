/** The matrix as a page. */

export interface Row {
  readonly stack: { readonly name: string; readonly version: string; readonly preset: string | null }
  readonly name: string
  readonly kind: string
  /** Null: the stack takes the chain. */
  readonly theirs: string | null
  readonly ours: 'accepts' | 'warns' | 'refuses'
  readonly reason: string
  /** Why they may differ. */
  readonly known: string | null
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '-'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')

const isSame = ({ ours, theirs }: Row): boolean => (ours === 'refuses') === (theirs !== null)

const by = <K>(rows: readonly Row[], key: (row: Row) => K): readonly (readonly [K, readonly Row[]])[] => {
  const groups = new Map<K, Row[]>()
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row])
  return [...groups]
}

const counts = (rows: readonly Row[]): readonly string[] => {
  const apart = rows.filter(row => !isSame(row))
  const of = (verdict: Row['ours']) => `${apart.filter(({ ours }) => ours === verdict).length}`
  return [`${rows.length - apart.length}`, of('accepts'), of('warns'), of('refuses')]
}

const HEAD = ['agree', 'accepts, stack refuses: silently', 'with a warning', 'refuses, stack accepts']

/** The page: counts of every stack, of every class, and each difference with its reason. */
export function pageOf(rows: readonly Row[]): string {
  const stacks = by(rows, ({ stack }) => stack.name).map(([name, own]) => {
    const { preset = null, version = '' } = own[0]?.stack ?? {}
    return [preset ?? 'none', `${name} ${version}`, ...counts(own)]
  })
  const kinds = by(rows, ({ kind }) => kind).map(([kind, own]) => [kind, ...counts(own)])
  const reasons = by(
    rows.filter(row => !isSame(row)),
    row => `${row.known ?? 'NOT KNOWN'}`,
  ).map(([reason, own]) => {
    const names = [...new Set(own.map(({ name }) => name))].filter(name => !name.includes(' + '))
    const whose = [...new Set(own.map(({ stack }) => stack.name))]
    return [reason, whose.join(', '), `${own.length}`, names.slice(0, 6).join('; ') || 'pairs only']
  })
  return `# What devices' stacks say, beside the judge

Written by \`npm run test:strangers\`: ${rows.length / stacks.length} chains of a seeded generator, real handshakes in TLS 1.2 and 1.3 (taken is what is taken in both), each stack with its own defaults; see docs/devices.md.

${table(['preset', 'stack', ...HEAD], stacks)}

## By class, all stacks

${table(['class', ...HEAD], kinds)}

## Differences, each with its reason

${table(['reason', 'stacks', 'times', 'for example'], reasons)}
`
}
