import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Files and folders that are still there after a crash. */

export const codeOf = (thrown: unknown): string => (thrown as NodeJS.ErrnoException).code ?? String(thrown)

export const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (thrown) {
    // Some network file systems cannot sync a folder.
    if (codeOf(thrown) !== 'EINVAL') throw thrown
  } finally {
    await handle.close()
  }
}

/** Makes a folder and those above it (0700). */
export const makeFolder = async (folder: string): Promise<void> => {
  // Step by step: Node's own recursion never ends where a folder refuses new ones (/proc, /dev/fd).
  if ((await stat(folder).catch(() => null))?.isDirectory()) return
  if (dirname(folder) !== folder) await makeFolder(dirname(folder))
  await mkdir(folder, { mode: 0o700 }).catch(thrown => codeOf(thrown) === 'EEXIST' || Promise.reject(thrown))
  await syncFolder(dirname(folder))
}

/** Writes a new file (0600), whole. */
export const writeNew = async (file: string, body: string): Promise<void> => {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(body)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Puts a file (0600) in the place of whatever is there; whoever reads sees the old one or the new one, whole. */
export const replaceFile = async (file: string, temporary: string, body: string): Promise<void> => {
  await makeFolder(dirname(file))
  try {
    await writeNew(temporary, body)
    await rename(temporary, file)
  } finally {
    await rm(temporary, { force: true }).catch(() => {})
  }
}
