/** Finds Pebble and its DNS server, or gets them: from Go's module proxy, or from Debian sid through apt. */
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { copyFile, mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export interface PebbleBinaries {
  readonly pebble: string
  readonly challtestsrv: string
}

const MODULE = 'github.com/letsencrypt/pebble/v2'
const VERSION = 'v2.10.1'
const LEAST = [2, 10] as const
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/pebble', import.meta.url))
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const run = promisify(execFile)

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const onPath = (name: string): string | null =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, name))
    .find(isExecutable) ?? null

/** Null when it is new enough; else what is wrong with it. */
const tooOld = async (pebble: string): Promise<string | null> => {
  const bytes = await readFile(pebble)
  // `pebble -version` says `dev` unless its makers said otherwise; Go writes the module's version into the file.
  const at = bytes.indexOf(`mod\t${MODULE}\tv`)
  const built = at < 0 ? '' : bytes.subarray(at, at + 100).toString('latin1')
  const { stdout } = await run(pebble, ['-version'])
  const found = /\tv(\d+)\.(\d+)/.exec(built) ?? /v?(\d+)\.(\d+)\.\d+/.exec(stdout)
  if (found) {
    const [major, minor] = [Number(found[1]), Number(found[2])]
    const fine = major > LEAST[0] || (major === LEAST[0] && minor >= LEAST[1])
    return fine ? null : `${pebble} is version ${major}.${minor}`
  }
  // A distribution's build without a version: dns-persist-01 came with 2.10.
  return bytes.includes('dns-persist-01') ? null : `${pebble} is older than ${LEAST.join('.')}`
}

const fromEnvironment = async (): Promise<PebbleBinaries | null> => {
  const { PEBBLE_BIN: pebble, PEBBLE_CHALLTESTSRV_BIN } = process.env
  if (!pebble) return null
  const challtestsrv = PEBBLE_CHALLTESTSRV_BIN || `${pebble}-challtestsrv`
  for (const path of [pebble, challtestsrv])
    if (!isExecutable(path)) throw new Error(`PEBBLE_BIN or PEBBLE_CHALLTESTSRV_BIN: no program at ${path}`)
  const complaint = await tooOld(pebble)
  if (complaint) throw new Error(`PEBBLE_BIN: ${complaint}, at least ${LEAST.join('.')} is needed`)
  return { pebble, challtestsrv }
}

const fromPath = async (): Promise<PebbleBinaries | null> => {
  const [pebble, challtestsrv] = [onPath('pebble'), onPath('pebble-challtestsrv')]
  if (!pebble || !challtestsrv || (await tooOld(pebble))) return null
  return { pebble, challtestsrv }
}

const fromCache = async (): Promise<PebbleBinaries | null> => {
  const pebble = join(CACHE, 'pebble')
  const challtestsrv = join(CACHE, 'pebble-challtestsrv')
  if (!isExecutable(pebble) || !isExecutable(challtestsrv) || (await tooOld(pebble))) return null
  return { pebble, challtestsrv }
}

/** Moves finished programs into the cache, so that it never holds half a file. */
const keep = async (folder: string): Promise<void> => {
  for (const name of ['pebble-challtestsrv', 'pebble']) {
    const partial = join(CACHE, `${name}.partial`)
    await copyFile(join(folder, name), partial)
    await rename(partial, join(CACHE, name))
  }
}

const fromGo = async (scratch: string): Promise<void> => {
  const programs = ['pebble', 'pebble-challtestsrv'].map(name => `${MODULE}/cmd/${name}@${VERSION}`)
  await run('go', ['install', ...programs], { env: { ...process.env, GOBIN: scratch }, cwd: scratch })
  await keep(scratch)
}

/** The mirror that this machine's own apt uses. */
const debianMirror = async (): Promise<string> => {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(ORIGIN) $(SITE)'])
  const own = stdout.split('\n').find(line => /^Debian \S+\/debian$/.test(line))
  if (own === undefined) throw new Error('apt has no mirror of Debian in its sources')
  return own.replace('Debian ', '')
}

/** Downloads through an apt of its own, which checks the signature of the index; the system is not changed. */
const fromDebian = async (scratch: string): Promise<void> => {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'files'])
    await mkdir(join(scratch, folder), { recursive: true })
  await writeFile(join(scratch, 'status'), '')
  const source = `deb [signed-by=${KEYRING}] ${await debianMirror()} sid main\n`
  await writeFile(join(scratch, 'sources.list'), source)
  const settings = {
    'Dir::Etc::sourcelist': join(scratch, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State': scratch,
    'Dir::State::lists': join(scratch, 'lists'),
    'Dir::State::status': join(scratch, 'status'),
    'Dir::Cache': join(scratch, 'cache'),
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'APT::Get::AllowUnauthenticated': 'false',
    'APT::Sandbox::User': process.getuid?.() === 0 ? 'root' : '',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const cwd = join(scratch, 'files')
  await run('apt-get', [...options, '--error-on=any', 'update'], { cwd })
  await run('apt-get', [...options, 'download', 'pebble'], { cwd })
  const { stdout } = await run('sh', ['-c', 'ls pebble_*.deb'], { cwd })
  await run('dpkg-deb', ['-x', stdout.trim(), 'tree'], { cwd })
  await keep(join(cwd, 'tree/usr/bin'))
}

const LOCK_FRESH_MS = 10 * 60_000

/** One getter at a time; the others find the cache filled. A lock older than ten minutes is nobody's. */
const locked = async (work: () => Promise<PebbleBinaries>): Promise<PebbleBinaries> => {
  await mkdir(CACHE, { recursive: true })
  const lock = join(CACHE, 'lock')
  for (;;) {
    const handle = await open(lock, 'wx').catch(() => null)
    if (handle) {
      try {
        return await work()
      } finally {
        await handle.close()
        await rm(lock, { force: true })
      }
    }
    const made = await stat(lock).catch(() => null)
    if (made && Date.now() - made.mtimeMs > LOCK_FRESH_MS) await rm(lock, { force: true })
    await sleep(500)
  }
}

const get = async (): Promise<PebbleBinaries> => {
  const complaints: string[] = []
  for (const way of [fromGo, fromDebian]) {
    const cached = await fromCache()
    if (cached) return cached
    const scratch = await mkdtemp(join(tmpdir(), 'pebble-'))
    try {
      await way(scratch)
    } catch (error) {
      complaints.push(`${way.name}: ${(error as Error).message.trim()}`)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  }
  const cached = await fromCache()
  if (cached) return cached
  throw new Error(
    `These tests need Pebble ${LEAST.join('.')} or newer. Set PEBBLE_BIN and PEBBLE_CHALLTESTSRV_BIN, or put ` +
      `pebble and pebble-challtestsrv on PATH, or install Go 1.24, or run on Debian with ` +
      `debian-archive-keyring.\n${complaints.join('\n')}`,
  )
}

/**
 * Pebble >= 2.10: from PEBBLE_BIN and PEBBLE_CHALLTESTSRV_BIN, PATH, a cache below node_modules, `go install`,
 * or Debian sid's package. Getting it the first time may take minutes. Throws when there is no way to it.
 */
export async function pebbleBinaries(): Promise<PebbleBinaries> {
  return (await fromEnvironment()) ?? (await fromPath()) ?? (await fromCache()) ?? (await locked(get))
}
