/** Programs and libraries out of Debian packages; the system is not changed and root is not needed. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What the system lacks of a package, downloaded by an apt of its own, which checks the signature of the index. */
const download = async (name: string, scratch: string): Promise<void> => {
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
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  await run('apt-get', [...options, '--error-on=any', 'update'])
  const install = ['--yes', '--no-install-recommends', '--download-only', 'install', name]
  await run('apt-get', [...options, ...install])
  const archives = join(scratch, 'cache/archives')
  const packages = (await readdir(archives)).filter(file => file.endsWith('.deb'))
  for (const file of packages) await run('dpkg-deb', ['-x', join(archives, file), join(scratch, 'tree')])
}

/** Unpacks a package, and what it needs, into a folder, which is replaced. @throws where apt cannot bring it */
export async function unpackPackage(name: string, folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  const scratch = await mkdtemp(join(dirname(folder), `${basename(folder)}-`))
  try {
    await download(name, scratch)
    await rm(folder, { recursive: true, force: true })
    await rename(join(scratch, 'tree'), folder)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
