import { createHash, randomBytes } from 'node:crypto'
import { link, readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import { RotationError } from '../base/rotation-error.ts'
import { newSealKey } from '../base/seal.ts'
import { type Secret, secret } from '../base/secret.ts'
import { DAY_MS } from '../base/time.ts'
import { defineStore, type StateStore, type StoredDocument } from '../contracts.ts'
import { storeConflict } from './shared/conditional-store.ts'
import { requireDocumentKey } from './shared/document-key.ts'
import { codeOf, makeFolder, replaceFile, syncFolder, writeNew } from './shared/durable.ts'
import { createListing } from './shared/listing.ts'
import { isGoneWriter, newWriter } from './shared/writer.ts'

/**
 * Documents in a folder, without locks: revision n of `certificates/iot` is the file
 * `certificates/iot.<n>.json`, and the highest is the document. A writer makes revision n+1 with `link`, which
 * fails when it is there already; so one of two writers wins, and a crash leaves the old or the new file whole.
 */

const unreadable = (file: string, thrown: unknown): RotationError =>
  new RotationError('store-unreadable', `file store: ${file} cannot be read (${codeOf(thrown)})`, {
    cause: thrown,
    hint: 'Make it readable for the user this runs as, or restore it from a backup.',
  })

const NO_SPACE = 'Free some space: the state cannot be written.'
const NO_LINKS = 'The file system must support hard links; keep the state on another one.'
const WRITE_HINTS: Readonly<Record<string, string>> = {
  ENOSPC: NO_SPACE,
  EDQUOT: NO_SPACE,
  EPERM: NO_LINKS,
  ENOTSUP: NO_LINKS,
  ENOSYS: NO_LINKS,
}

const unwritable = (file: string, thrown: unknown): RotationError =>
  new RotationError('unavailable', `file store: ${file} cannot be written (${codeOf(thrown)})`, {
    cause: thrown,
    hint: WRITE_HINTS[codeOf(thrown)] ?? 'Make the folder writable for the user this runs as.',
  })

const conflict = (key: string): RotationError => storeConflict({ driver: 'file store' }, `changed ${key}`)

/** What `action` gives, or null when the file or folder is not there. */
const ifThere = async <T>(
  action: Promise<T>,
  onError: (thrown: unknown) => RotationError,
): Promise<T | null> => {
  try {
    return await action
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return null
    throw onError(thrown)
  }
}

const TEMPORARY = /^\.tmp\.([\w-]+)\.[0-9a-f]+$/
const temporaryName = (writer: string): string =>
  `.tmp.${Buffer.from(writer).toString('base64url')}.${randomBytes(8).toString('hex')}`

/** Puts a whole file in its place, or does nothing when that is taken: false. A crash leaves a temporary file. */
const putFile = async (file: string, body: string, writer: string): Promise<boolean> => {
  const temporary = join(dirname(file), temporaryName(writer))
  try {
    await writeNew(temporary, body)
    return await link(temporary, file).then(
      () => true,
      async thrown => {
        if (codeOf(thrown) !== 'EEXIST') throw thrown
        // A network file system may have linked it and lost the answer.
        return (await stat(temporary)).nlink > 1
      },
    )
  } catch (thrown) {
    throw unwritable(file, thrown)
  } finally {
    await rm(temporary, { force: true }).catch(() => {})
  }
}

/** Removes temporary files of writers that are gone, and what is a day older than a file just written: writing takes no time. */
const sweep = async (folder: string, justWritten: string): Promise<void> => {
  const { mtimeMs: now } = await stat(justWritten)
  for (const name of await readdir(folder)) {
    const [, encoded] = TEMPORARY.exec(name) ?? []
    if (encoded === undefined) continue
    const isGone = isGoneWriter(Buffer.from(encoded, 'base64url').toString())
    if (isGone || now - (await stat(join(folder, name))).mtimeMs > DAY_MS)
      await rm(join(folder, name), { force: true })
  }
}

// --- documents -------------------------------------------------------------------------------------------------

/** Where the revisions of a document are: `folder/name.<n>.json`. */
interface Place {
  readonly key: string
  readonly folder: string
  readonly name: string
}

const placeOf = (path: string, key: string): Place => {
  requireDocumentKey(key, 'file store')
  const segments = key.split('/')
  const name = segments.pop() ?? ''
  return { key, folder: join(path, ...segments), name }
}

const fileOf = ({ folder, name }: Place, revision: number): string => join(folder, `${name}.${revision}.json`)

const list = createListing()

/** By document, of one listing: ten thousand documents are not searched for each of them. */
const sorted = new WeakMap<readonly string[], ReadonlyMap<string, readonly number[]>>()

function byName(entries: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>()
  for (const entry of entries) {
    const [, name = '', revision] = /^(.+)\.([1-9]\d{0,14})\.json$/.exec(entry) ?? []
    if (revision === undefined) continue
    const revisions = found.get(name) ?? []
    revisions.push(Number(revision))
    found.set(name, revisions)
  }
  for (const revisions of found.values()) revisions.sort((a, b) => a - b)
  return found
}

const revisionsOnce = async ({ folder, name }: Place): Promise<readonly number[]> => {
  const entries = await ifThere(list(folder), thrown => unreadable(folder, thrown))
  if (entries === null) return []
  const names = sorted.get(entries) ?? byName(entries)
  sorted.set(entries, names)
  return names.get(name) ?? []
}

const MAX_TRIES = 100
const tooBusy = (key: string): RotationError =>
  new RotationError('unavailable', `file store: ${key} changes too fast to be read`)

/**
 * The revisions there are, ascending. Listed until two lists agree: one that is made while a revision replaces
 * another may show neither, and "absent" must never be said of a document that is there.
 */
const revisionsOf = async (place: Place): Promise<readonly number[]> => {
  let before = await revisionsOnce(place)
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const now = await revisionsOnce(place)
    if (now.join() === before.join()) return now
    before = now
  }
  throw tooBusy(place.key)
}

/** The number, and the text's hash: numbers begin again after a removal, and must not be mistaken then. */
const revisionOf = (number: number, body: string): string =>
  `${number}-${createHash('sha256').update(body).digest('hex').slice(0, 16)}`

const readRevision = async (place: Place, number: number): Promise<StoredDocument | null> => {
  const file = fileOf(place, number)
  const body = await ifThere(readFile(file, 'utf8'), thrown => unreadable(file, thrown))
  return body === null ? null : { body, revision: revisionOf(number, body) }
}

/** The document and its number; 0 when it is absent. */
const readCurrent = async (
  place: Place,
): Promise<{ readonly number: number; readonly document: StoredDocument | null }> => {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const number = (await revisionsOf(place)).at(-1) ?? 0
    const document = number === 0 ? null : await readRevision(place, number)
    // Null although listed: a writer replaced it just now.
    if (number === 0 || document !== null) return { number, document }
  }
  throw tooBusy(place.key)
}

const write = async (
  place: Place,
  body: string,
  expected: string | null,
  writer: string,
): Promise<string> => {
  const { number, document } = await readCurrent(place)
  if ((document?.revision ?? null) !== expected) throw conflict(place.key)
  await makeFolder(place.folder).catch(thrown => {
    throw unwritable(place.folder, thrown)
  })
  const file = fileOf(place, number + 1)
  if (!(await putFile(file, body, writer))) throw conflict(place.key)
  try {
    if (await lost(place, number, expected)) {
      await rm(file, { force: true })
      throw conflict(place.key)
    }
    await syncFolder(place.folder)
  } catch (thrown) {
    throw thrown instanceof RotationError ? thrown : unwritable(file, thrown)
  }
  await tidy(place, number + 1)
  return revisionOf(number + 1, body)
}

/**
 * Whether the revision just made after `number` does not count: a writer that slept before its link may have
 * used a number that was taken, replaced and removed again meanwhile. A third writer that replaces a revision
 * before its maker looks here makes it lose, too, although it was read: like an answer lost on the way.
 */
const lost = async (place: Place, number: number, expected: string | null): Promise<boolean> => {
  const replaced = number === 0 ? null : await readRevision(place, number)
  const highest = (await revisionsOf(place)).at(-1) ?? 0
  return highest > number + 1 || (replaced?.revision ?? null) !== expected
}

/** What is left over harms nobody, so that failing here fails no write. */
const tidy = async (place: Place, current: number): Promise<void> => {
  try {
    const revisions = await revisionsOnce(place)
    // Not there: removed, and a lower number may be a new document.
    if (!revisions.includes(current)) return
    for (const revision of revisions)
      if (revision < current) await rm(fileOf(place, revision), { force: true })
    await sweep(place.folder, fileOf(place, current))
  } catch {}
}

const remove = async (place: Place): Promise<void> => {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const revisions = await revisionsOf(place)
    if (revisions.length === 0) return
    try {
      // Lowest first: a crash in between must not bring an older one back.
      for (const revision of revisions) await rm(fileOf(place, revision), { force: true })
      await syncFolder(place.folder)
    } catch (thrown) {
      throw unwritable(fileOf(place, revisions[0] ?? 0), thrown)
    }
  }
  throw tooBusy(place.key)
}

// --- who else may write -----------------------------------------------------------------------------------------

/** Whoever may write a folder can replace what is in it. @throws RotationError `store-unreadable` */
const refuseSharedFolder = async (path: string): Promise<void> => {
  if (process.platform === 'win32') return
  const found = await ifThere(stat(path), thrown => unreadable(path, thrown))
  if (found === null || (found.mode & 0o022) === 0) return
  throw new RotationError('store-unreadable', `file store: ${path} may be written by other users`, {
    retry: 'never',
    hint: `chmod go-w ${path}, or set store.path to a folder in it, which is made for the user this runs as alone.`,
  })
}

// --- seal key --------------------------------------------------------------------------------------------------

const readSealKey = async (file: string): Promise<Secret | null> => {
  const mode = (await ifThere(stat(file), thrown => unreadable(file, thrown)))?.mode
  if (mode === undefined) return null
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    throw new RotationError('store-unreadable', `file store: ${file} may be read or written by other users`, {
      retry: 'never',
      hint: `chmod 600 ${file}`,
    })
  const text = await ifThere(readFile(file, 'utf8'), thrown => unreadable(file, thrown))
  return text === null ? null : secret(text.trim())
}

const ownSealKey = async (path: string, writer: string): Promise<Secret> => {
  const file = join(path, 'seal.key')
  const there = await readSealKey(file)
  if (there !== null) return there
  try {
    await makeFolder(path)
    await putFile(file, `${newSealKey().reveal()}\n`, writer)
    await syncFolder(path)
  } catch (thrown) {
    throw thrown instanceof RotationError ? thrown : unwritable(file, thrown)
  }
  // Read again: another process may have been first.
  const made = await readSealKey(file)
  if (made === null) throw unreadable(file, 'gone')
  return made
}

/** Documents end in `.json`: the page is none of them. */
const publish = async (path: string, page: string, writer: string): Promise<string> => {
  const folder = join(path, 'page')
  const file = join(folder, 'status.html')
  await replaceFile(file, join(folder, temporaryName(writer)), page).catch(thrown => {
    throw unwritable(file, thrown)
  })
  await sweep(folder, file).catch(() => {})
  return file
}

export default defineStore({
  canPublish: true,
  settings: v.strictObject({
    /** The folder; made when it is not there. @example "./state" */
    path: v.pipe(v.string('must be a folder'), v.minLength(1, 'must be a folder, not empty')),
  }),
  create: (settings): StateStore => {
    const path = resolve(settings.path)
    let own: string | null = null
    let isChecked: Promise<void> | null = null
    const checked = (): Promise<void> => {
      isChecked ??= refuseSharedFolder(path)
      return isChecked
    }
    // A run that only reads needs no name.
    const writer = (): string => {
      own ??= newWriter()
      return own
    }
    return {
      place: '',
      get writer() {
        return writer()
      },
      read: async key => {
        await checked()
        return (await readCurrent(placeOf(path, key))).document
      },
      write: async (key, body, expected) => {
        await checked()
        return write(placeOf(path, key), body, expected, writer())
      },
      remove: async key => remove(placeOf(path, key)),
      isGone: async other => isGoneWriter(other),
      ownSealKey: async () => {
        await checked()
        return ownSealKey(path, writer())
      },
      publish: page => publish(path, page, writer()),
    }
  },
  docs: {
    link: 'https://man7.org/linux/man-pages/man2/rename.2.html',
    says: 'a folder, `path`, relative to the settings file; for one machine',
  },
})
