/** What each test file needs, read from it and from what it imports of test/. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesIn, ROOT } from './modules.ts'

/** In the order of listing: files of `alone` replace modules, those of `quick` neither start a program nor a whole run. */
export interface TestFiles {
  readonly alone: readonly string[]
  readonly whole: readonly string[]
  readonly quick: readonly string[]
}

const IMPORT = /^(?:import|export)\b(?! type\b)(?:[^'";=(]*?\bfrom)?\s*'(\.[^']+)'/gm
/** A program that is started, or the built bundle. */
const PROCESS = /'node:(?:child_process|worker_threads)'|\bdist\//

/** Slowest first: whoever is started late must not be waited for. */
const SLOW = ['days', 'crash', 'faults', 'harness', 'pebble', 'acm', 'hostile', 'page', 'doors', 'secrets']
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
  const needs = (file: string, seen = new Set<string>()): boolean => {
    if (seen.has(file) || !file.startsWith('test/')) return false
    seen.add(file)
    const source = read(file)
    const imports = [...source.matchAll(IMPORT)].map(([, to = '']) => join(dirname(file), to))
    return PROCESS.test(source) || imports.some(to => needs(to, seen))
  }
  const all = filesIn('test').filter(file => file.endsWith('.test.ts'))
  const alone = all.filter(file => /^\s*vi\.(?:mock|hoisted)\(/m.test(read(file)))
  const rest = all.filter(file => !alone.includes(file))
  const isQuick = (file: string): boolean => !file.startsWith('test/e2e/') && !needs(file)
  return {
    alone,
    whole: rest.filter(file => !isQuick(file)).toSorted((a, b) => rank(a) - rank(b)),
    quick: rest.filter(isQuick),
  }
}
