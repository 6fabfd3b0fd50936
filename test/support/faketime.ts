/** Processes at another date: libfaketime of the system, of a cache below node_modules, or of Debian's package. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { unpackPackage } from './apt.ts'

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/faketime', import.meta.url))
const run = promisify(execFile)

/** The environment of a process whose clock is so many seconds ahead of the system's; its timers stay real. */
const environment = (library: string, aheadS: number): Readonly<Record<string, string>> => ({
  LD_PRELOAD: library,
  FAKETIME: `${aheadS < 0 ? '' : '+'}${aheadS}`,
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  DONT_FAKE_MONOTONIC: '1',
  NO_FAKE_STAT: '1',
})

/** For programs with threads, as Node is one. */
const findIn = async (root: string): Promise<string | null> => {
  const libraries = join(root, 'usr/lib')
  if (!existsSync(libraries)) return null
  for (const folder of await readdir(libraries)) {
    const library = join(libraries, folder, 'faketime/libfaketimeMT.so.1')
    if (existsSync(library) && (await works(library))) return library
  }
  return null
}

const works = async (library: string): Promise<boolean> => {
  const env = { ...process.env, ...environment(library, 86_400) }
  const { stdout } = await run(process.execPath, ['-p', 'Date.now()'], { env }).catch(() => ({ stdout: '' }))
  return Math.abs(Number(stdout) - Date.now() - 86_400_000) < 60_000
}

const get = async (): Promise<string> => {
  try {
    await unpackPackage('libfaketime', CACHE)
  } catch (error) {
    throw new Error(
      'These tests need libfaketime. Install it, or run on Debian or Ubuntu, where apt brings it.\n' +
        (error as Error).message,
    )
  }
  const found = await findIn(CACHE)
  if (found) return found
  throw new Error(`These tests need libfaketime, and the one in ${CACHE} does not work with this Node.`)
}

let library: Promise<string> | null = null

/** The environment of a process for which it is now that instant. @throws where libfaketime is not to be had */
export async function environmentAt(instant: number): Promise<Readonly<Record<string, string>>> {
  library ??= findIn('/').then(async found => found ?? (await findIn(CACHE)) ?? (await get()))
  return environment(await library, Math.round((instant - Date.now()) / 1_000))
}
