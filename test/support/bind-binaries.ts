/** Finds BIND's `named`, or gets it through apt into a cache; the system is not changed and root is not needed. */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { unpackPackage } from './apt.ts'

export interface BindBinaries {
  readonly named: string
  /** What it wants in its environment. */
  readonly env: Readonly<Record<string, string>>
}

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/bind', import.meta.url))
const run = promisify(execFile)

const works = async ({ named, env }: BindBinaries): Promise<boolean> => {
  try {
    accessSync(named, constants.X_OK)
    return (await run(named, ['-V'], { env: { ...env } })).stdout.startsWith('BIND ')
  } catch {
    return false
  }
}

const fromPath = async (): Promise<BindBinaries | null> => {
  const folders = (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin', '/usr/local/sbin')
  for (const folder of folders) {
    const found = { named: join(folder, 'named'), env: {} }
    if (await works(found)) return found
  }
  return null
}

const fromCache = async (): Promise<BindBinaries | null> => {
  const libraries = join(CACHE, 'usr/lib')
  if (!existsSync(libraries)) return null
  const folders = (await readdir(libraries)).map(name => join(libraries, name))
  const found = {
    named: join(CACHE, 'usr/sbin/named'),
    env: { LD_LIBRARY_PATH: [libraries, ...folders].join(':') },
  }
  return (await works(found)) ? found : null
}

const get = async (): Promise<BindBinaries> => {
  try {
    await unpackPackage('bind9', CACHE)
  } catch (error) {
    throw new Error(
      'These tests need BIND. Put `named` on PATH, or run on Debian or Ubuntu, where apt brings it.\n' +
        (error as Error).message,
    )
  }
  const cached = await fromCache()
  if (cached) return cached
  throw new Error(`These tests need BIND, and the one in ${CACHE} does not run.`)
}

const TOOLS = ['dnssec-keygen', 'dnssec-signzone', 'dnssec-dsfromkey'] as const
export type SigningTool = (typeof TOOLS)[number]

/** BIND's tools that sign zones, each with where it is. */
export interface SigningTools {
  readonly paths: Readonly<Record<SigningTool, string>>
  readonly env: BindBinaries['env']
}

const TOOLS_CACHE = `${CACHE}-tools`

const toolsIn = (folder: string, env: BindBinaries['env']): SigningTools | null => {
  const paths = Object.fromEntries(TOOLS.map(tool => [tool, join(folder, tool)]))
  const isWhole = Object.values(paths).every(path => existsSync(path))
  return isWhole ? { paths: paths as SigningTools['paths'], env } : null
}

const cachedTools = async (): Promise<SigningTools | null> => {
  const libraries = join(TOOLS_CACHE, 'usr/lib')
  if (!existsSync(libraries)) return null
  const folders = (await readdir(libraries)).map(name => join(libraries, name))
  return toolsIn(join(TOOLS_CACHE, 'usr/bin'), { LD_LIBRARY_PATH: [libraries, ...folders].join(':') })
}

/** From PATH, a cache below node_modules, or Debian's package. Throws when there is no way to them. */
export async function signingTools(): Promise<SigningTools> {
  const folders = (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin', '/usr/local/sbin')
  const found = folders.map(folder => toolsIn(folder, {})).find(it => it !== null) ?? (await cachedTools())
  if (found) return found
  await unpackPackage('bind9-utils', TOOLS_CACHE).catch((error: Error) => {
    throw new Error(
      `These tests need dnssec-signzone. Install bind9-utils, or run on Debian or Ubuntu, where apt brings it.\n${error.message}`,
    )
  })
  const cached = await cachedTools()
  if (cached) return cached
  throw new Error(`These tests need dnssec-signzone, and the one in ${TOOLS_CACHE} is not there.`)
}

/** BIND from PATH, a cache below node_modules, or Debian's package. Throws when there is no way to it. */
export async function bindBinaries(): Promise<BindBinaries> {
  return (await fromPath()) ?? (await fromCache()) ?? (await get())
}
