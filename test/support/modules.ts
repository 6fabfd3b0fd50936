/** The files of the program as the architecture test sees them. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transformSync } from 'esbuild'

export interface Module {
  /** From the repository's root, e.g. `lib/base/time.ts`. */
  readonly file: string
  readonly source: string
  /** What is left to run: no comments, no types. */
  readonly code: string
  /** Every import and re-export, dynamic and type-only ones included: a file of the repository, or a package. */
  readonly imports: readonly Import[]
}

export interface Import {
  readonly to: string
  readonly typeOnly: boolean
}

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** All files below a folder, from the root. */
export const filesIn = (folder: string): readonly string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => posix.join(entry.parentPath.slice(ROOT.length + 1), entry.name))
    .toSorted()

export const readModules = (...folders: readonly string[]): readonly Module[] =>
  folders
    .flatMap(filesIn)
    .filter(file => /\.[cm]?ts$/.test(file) && !file.endsWith('.d.ts'))
    .map(file => parseModule(file, readFileSync(join(ROOT, file), 'utf8')))

export function parseModule(file: string, source: string): Module {
  const { code } = transformSync(source, {
    loader: 'ts',
    format: 'esm',
    minifyWhitespace: true,
    legalComments: 'none',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  return { file, source, code, imports: importsOf(file, source) }
}

const STATEMENT = /^\s*(?:import|export)\b(\s+type\b)?(?:[^'";=(]*?\bfrom)?\s*'([^']+)'/gm
const CALL = /\bimport\(\s*'([^']+)'\s*\)/g

function importsOf(file: string, source: string): readonly Import[] {
  const at = (specifier: string): string =>
    specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier
  return [
    ...[...source.matchAll(STATEMENT)].map(([, type, to]) => ({
      to: at(to ?? ''),
      typeOnly: type !== undefined,
    })),
    ...[...source.matchAll(CALL)].map(([, to]) => ({ to: at(to ?? ''), typeOnly: false })),
  ]
}

/** One way round, e.g. `a.ts -> b.ts -> a.ts`, for every cycle found; none in a good graph. */
export function cyclesOf(modules: readonly Module[]): readonly string[] {
  const byFile = new Map(modules.map(module => [module.file, module]))
  const done = new Set<string>()
  const found: string[] = []
  const walk = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) {
      found.push([...way.slice(way.indexOf(file)), file].join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const { to } of byFile.get(file)?.imports ?? []) walk(to, [...way, file])
    done.add(file)
  }
  for (const { file } of modules) walk(file, [])
  return found
}
