/** Software of other people that tests drive: fetched once into a cache, and written down with its version. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { unpackPackage } from './apt.ts'
import { ROOT } from './modules.ts'

const run = promisify(execFile)
const CACHE = join(ROOT, 'node_modules', '.cache', 'strangers')
const INSTALL = { timeout: 480_000, maxBuffer: 2 ** 26 }

/** Notes what a suite drove, for bench/results/strangers.md, which `npm run test:strangers` writes. */
export async function ran(name: string, version: string, what: string): Promise<void> {
  await mkdir(CACHE, { recursive: true })
  await appendFile(join(CACHE, 'ran.jsonl'), `${JSON.stringify({ name, version, what })}\n`)
}

const slug = (parts: readonly string[]): string =>
  createHash('sha256').update(parts.join(' ')).digest('hex').slice(0, 12)

/** Makes a folder of the cache once, one process at a time (flock(1), of util-linux, which ends with its process). */
async function once(folder: string, script: string, needs: string): Promise<string> {
  const done = join(folder, '.done')
  if (await stat(done).catch(() => null)) return folder
  await mkdir(folder, { recursive: true })
  const guarded = `test -e "$1/.done" || { ${script} && : > "$1/.done"; }`
  try {
    await run('flock', [`${folder}.lock`, 'sh', '-euc', guarded, 'sh', folder], INSTALL)
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string }
    throw new Error(`${needs}\n${(stderr || message).trim().slice(-2_000)}`)
  }
  return folder
}

/** A Python of its own with these packages, as pip names them, e.g. `certbot==5.8.0`. Its programs stand beside it. */
export async function pythonWith(...packages: readonly string[]): Promise<string> {
  const folder = join(CACHE, `python-${slug(packages)}`)
  const pip = `"$1/bin/python" -m pip install --quiet --disable-pip-version-check ${packages.map(it => `'${it}'`).join(' ')}`
  await once(
    folder,
    `python3 -m venv "$1" && ${pip}`,
    `These tests need Python 3.9 or newer with venv, and ${packages.join(', ')}.`,
  )
  return join(folder, 'bin', 'python')
}

/** Versions of installed packages of a Python of `pythonWith`, by name. */
export async function pythonVersions(python: string): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await run(python, ['-m', 'pip', 'list', '--format=json', '--disable-pip-version-check'])
  const listed = JSON.parse(stdout) as readonly { readonly name: string; readonly version: string }[]
  return Object.fromEntries(listed.map(({ name, version }) => [name, version]))
}

/** A Go program, by the package with its version, e.g. `example.com/cmd/tool@v1.2.3`; the path of the program. */
export async function goProgram(name: string, packageAtVersion: string): Promise<string> {
  const folder = join(CACHE, `go-${name}-${slug([packageAtVersion])}`)
  await once(
    folder,
    `CGO_ENABLED=0 GOBIN="$1" GOFLAGS=-mod=mod go install '${packageAtVersion}'`,
    `These tests need Go, and ${packageAtVersion}.`,
  )
  return join(folder, name)
}

/** A Debian package with what the system lacks of what it needs, unpacked; the folder that stands for `/`. */
export async function debianTree(name: string): Promise<string> {
  const folder = join(CACHE, `debian-${name}`)
  if (await stat(`${folder}.done`).catch(() => null)) return folder
  await unpackPackage(name, folder).catch(error => {
    throw new Error(`These tests need the Debian package ${name}.\n${(error as Error).message.trim()}`)
  })
  await writeFile(`${folder}.done`, '')
  return folder
}

/** A program of a Debian package, where the system has it or out of `debianTree`, and the environment that it needs. */
export async function debianProgram(
  name: string,
): Promise<{ readonly path: string; readonly env: Readonly<Record<string, string>> }> {
  const installed = join('/usr/bin', name)
  if (await stat(installed).catch(() => null)) return { path: installed, env: {} }
  const tree = await debianTree(name)
  const libraries = join(tree, 'usr/lib')
  const folders = (await readdir(libraries).catch(() => [])).map(it => join(libraries, it))
  return { path: join(tree, 'usr/bin', name), env: { LD_LIBRARY_PATH: [libraries, ...folders].join(':') } }
}

/** The source of a crate, as crates.io serves it, with its version; the folder. */
export async function crate(name: string, version: string): Promise<string> {
  const manifest = `[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n${name} = "=${version}"\n`
  const folder = await once(
    join(CACHE, `crate-${name}-${version}`),
    `cd "$1" && mkdir -p src && : > src/lib.rs && printf '%s' '${manifest}' > Cargo.toml && cargo vendor --quiet vendor > config.toml`,
    `These tests need cargo, and the crate ${name} ${version}.`,
  )
  return join(folder, 'vendor', name)
}

/** A Java program from Maven, with what it needs; what `java -cp` is given. `without`: dependencies that are not there. */
export async function javaProgram(artifact: string, without: readonly string[] = []): Promise<string> {
  const dependency = (it: string, more = '') => {
    const [group, name, version] = it.split(':')
    const own = version === undefined ? '' : `<version>${version}</version>`
    return `<groupId>${group}</groupId><artifactId>${name}</artifactId>${own}${more}`
  }
  const exclusions = without.map(it => `<exclusion>${dependency(it)}</exclusion>`).join('')
  const wanted = dependency(artifact, `<exclusions>${exclusions}</exclusions>`)
  const pom = `<project><modelVersion>4.0.0</modelVersion>${dependency('strangers:fetch:1')}<dependencies><dependency>${wanted}</dependency></dependencies></project>`
  const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
  const folder = await once(
    join(CACHE, `java-${slug([artifact])}`),
    `cd "$1" && printf '%s' '${pom}' > pom.xml && mvn -q -B ${copy} -DoutputDirectory=lib -DincludeScope=runtime && java -version`,
    `These tests need Java 11 or newer and Maven (apt-get install default-jre-headless maven), and ${artifact}.`,
  )
  return join(folder, 'lib', '*')
}

/** A folder that a script fills once; its name is "$1" to the script. */
export const built = (name: string, script: string, needs: string): Promise<string> =>
  once(join(CACHE, `built-${name}-${slug([script])}`), script, needs)

/** A program of one C file of ours; compiled anew when the file or the flags change. */
export async function compiled(
  name: string,
  folder: string,
  source: string,
  flags: readonly string[],
): Promise<string> {
  const texts = await Promise.all(
    (await readdir(folder))
      .filter(file => /\.[ch]$/.test(file))
      .map(file => readFile(join(folder, file), 'utf8')),
  )
  const made = await once(
    join(CACHE, `c-${name}-${slug([source, ...texts, ...flags])}`),
    `cc -O1 -Wall -Werror -o "$1/${name}" '${join(folder, source)}' ${flags.map(it => `'${it}'`).join(' ')}`,
    `These tests need a C compiler (cc) and the library that ${source} is built on.`,
  )
  return join(made, name)
}

/** Packages of npm in a folder of their own, e.g. `node@24`; that folder's node_modules. */
export async function npmPackages(name: string, ...packages: readonly string[]): Promise<string> {
  const folder = join(CACHE, `npm-${name}-${slug(packages)}`)
  const wanted = packages.map(it => `'${it}'`).join(' ')
  await once(
    folder,
    `npm install --no-save --no-audit --no-fund --prefix "$1" ${wanted} > "$1/npm.log" 2>&1`,
    `These tests need ${packages.join(', ')} of npm; what is built on the way needs autoconf, automake, libtool, cmake, make and g++ (apt-get install).`,
  )
  return join(folder, 'node_modules')
}
