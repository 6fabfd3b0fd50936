/** Finds BIND's `named`, or gets it through apt into a cache; the system is not changed and root is not needed. */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

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

/** What the system lacks of bind9, downloaded by an apt of its own, which checks the signature of the index. */
const fromApt = async (scratch: string): Promise<void> => {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'tree'])
    await mkdir(join(scratch, folder), { recursive: true })
  const settings = {
    'Dir::State': scratch,
    'Dir::State::lists': join(scratch, 'lists'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': join(scratch, 'cache'),
    'Debug::NoLocking': 'true',
    'Acquire::Languages': 'none',
    'APT::Get::AllowUnauthenticated': 'false',
    'APT::Sandbox::User': userInfo().username,
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  await run('apt-get', [...options, '--error-on=any', 'update'])
  const install = ['--yes', '--no-install-recommends', '--download-only', 'install', 'bind9']
  await run('apt-get', [...options, ...install])
  const archives = join(scratch, 'cache/archives')
  const packages = (await readdir(archives)).filter(name => name.endsWith('.deb'))
  for (const name of packages) await run('dpkg-deb', ['-x', join(archives, name), join(scratch, 'tree')])
}

const get = async (): Promise<BindBinaries> => {
  await mkdir(join(CACHE, '..'), { recursive: true })
  const scratch = await mkdtemp(join(CACHE, '../bind-'))
  try {
    await fromApt(scratch)
    await rm(CACHE, { recursive: true, force: true })
    await rename(join(scratch, 'tree'), CACHE)
  } catch (error) {
    throw new Error(
      'These tests need BIND. Put `named` on PATH, or run on Debian or Ubuntu, where apt brings it.\n' +
        (error as Error).message,
    )
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  const cached = await fromCache()
  if (cached) return cached
  throw new Error(`These tests need BIND, and the one in ${CACHE} does not run.`)
}

/** BIND from PATH, a cache below node_modules, or Debian's package. Throws when there is no way to it. */
export async function bindBinaries(): Promise<BindBinaries> {
  return (await fromPath()) ?? (await fromCache()) ?? (await get())
}
