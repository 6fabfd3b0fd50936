/** What each test file needs, read from it and from what it imports of test/. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesIn, ROOT } from './modules.ts'

export interface TestFiles {
  /** Replace modules, or import hooks: nothing that was loaded before may be there. */
  readonly alone: readonly string[]
  /** Start a program, need what is built, are whole runs, or take long. The slowest first: nobody should wait for them. */
  readonly whole: readonly string[]
  /** All others. */
  readonly quick: readonly string[]
  /** Drive software of other people, which has to be fetched: `npm run test:strangers` runs these, nothing else does. */
  readonly strangers: readonly string[]
}

const STRANGERS = 'test/strangers/'

const IMPORT = /^(?:import|export)\b(?! type\b)(?:[^'";=(]*?\bfrom)?\s*'(\.[^']+)'/gm
const PROCESS = /'node:(?:child_process|worker_threads)'|\bdist\//
const REPLACES = /^vi\.mock\(/m
const HOOK = /^(?:before|after)(?:Each|All)\(/m

/** What takes longest, in this order; the inner loop goes without. */
const SLOW =
  'days faults crash acm. alerts-delivery pebble hostile harness judge runbook-table secrets alerts-story resume page doors rollover exec'.split(
    ' ',
  )
const rank = (file: string): number => {
  const at = SLOW.findIndex(name => file.includes(`/${name}`))
  return at < 0 ? SLOW.length : at
}

/** Sorts every test file into one of the projects of vitest.config.ts. */
export function testFiles(): TestFiles {
  const sources = new Map<string, string>()
  const read = (file: string): string => {
    const source = sources.get(file) ?? readFileSync(join(ROOT, file), 'utf8')
    sources.set(file, source)
    return source
  }
  /** What it imports of test/, directly or not. */
  const importsOf = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
    for (const [, to = ''] of read(file).matchAll(IMPORT)) {
      const imported = join(dirname(file), to)
      if (!imported.startsWith('test/') || seen.has(imported)) continue
      seen.add(imported)
      importsOf(imported, seen)
    }
    return seen
  }
  const isAlone = (file: string): boolean =>
    REPLACES.test(read(file)) || [...importsOf(file)].some(imported => HOOK.test(read(imported)))
  const isQuick = (file: string): boolean =>
    !file.startsWith('test/e2e/') &&
    rank(file) === SLOW.length &&
    ![file, ...importsOf(file)].some(it => PROCESS.test(read(it)))
  const every = filesIn('test').filter(file => file.endsWith('.test.ts'))
  const all = every.filter(file => !file.startsWith(STRANGERS))
  const rest = all.filter(file => !isAlone(file))
  return {
    alone: all.filter(isAlone),
    whole: rest.filter(file => !isQuick(file)).toSorted((a, b) => rank(a) - rank(b)),
    quick: rest.filter(isQuick),
    strangers: every.filter(file => file.startsWith(STRANGERS)),
  }
}
