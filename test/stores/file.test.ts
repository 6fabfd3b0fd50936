import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../lib/base/log.ts'
import { systemClock } from '../../lib/base/time.ts'
import type { DriverContext, StateStore } from '../../lib/contracts.ts'
import file from '../../lib/stores/file.ts'
import { storeContract } from '../contract/store.ts'

const context: DriverContext = {
  name: 'file',
  http: () => {
    throw new Error('the file store needs no HTTP')
  },
  clock: systemClock,
  log: silentLog,
  huaweiKeys: () => Promise.reject(new Error('the file store needs no keys')),
}

const newFolder = () => mkdtemp(join(tmpdir(), 'file-store-'))

storeContract(
  'file',
  async () => {
    const folder = await newFolder()
    const settings = { path: join(folder, 'state') }
    return {
      open: async () => file.create(settings, context),
      settings,
      dispose: () => rm(folder, { recursive: true, force: true }),
    }
  },
  'lib/stores/file.ts',
)

let folder: string
let path: string
let store: StateStore
beforeEach(async () => {
  folder = await newFolder()
  path = join(folder, 'deep', 'state')
  store = file.create({ path }, context)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const modeOf = async (name: string) => ((await stat(name)).mode & 0o777).toString(8)

describe('settings', () => {
  test('are a folder and nothing else', () => {
    expect(v.parse(file.settings, { path: './state' })).toEqual({ path: './state' })
    expect(v.safeParse(file.settings, { path: '' }).success).toBe(false)
    expect(v.safeParse(file.settings, { path: 'a', mode: 1 }).success).toBe(false)
  })
})

describe('files', () => {
  test('are the owner’s alone, and only the newest revision is left', async () => {
    const first = await store.write('certificates/iot', 'one', null)
    await store.write('certificates/iot', 'two', first)
    const documents = join(path, 'certificates')
    expect(await readdir(documents)).toEqual(['iot.2.json'])
    expect(await readFile(join(documents, 'iot.2.json'), 'utf8')).toBe('two')
    expect(await modeOf(join(documents, 'iot.2.json'))).toBe('600')
    expect([await modeOf(documents), await modeOf(path), await modeOf(join(folder, 'deep'))]).toEqual([
      '700',
      '700',
      '700',
    ])
  })

  test('the highest revision counts by number, and older ones that a crash left are removed', async () => {
    await mkdir(path, { recursive: true })
    for (const n of [9, 10, 2]) await writeFile(join(path, `a.${n}.json`), `${n}`)
    const left = await store.read('a')
    expect(left?.body).toBe('10')
    await store.write('a', 'new', left?.revision ?? null)
    expect(await readdir(path)).toEqual(['a.11.json'])
  })

  test('files of others are neither read nor removed', async () => {
    const others = [
      'a.1.json.bak',
      'a.01.json',
      'a.0.json',
      'a.x.json',
      'a.json',
      'notes.txt',
      '.tmp.x',
      'b.1.json',
    ]
    await mkdir(path, { recursive: true })
    for (const name of others) await writeFile(join(path, name), 'other')
    expect(await store.read('a')).toBeNull()
    await store.write('a', 'one', null)
    await store.remove('a')
    expect((await readdir(path)).sort()).toEqual([...others].sort())
  })

  test('removing takes every revision', async () => {
    await mkdir(path, { recursive: true })
    for (const n of [1, 2, 3]) await writeFile(join(path, `a.${n}.json`), `${n}`)
    await store.remove('a')
    expect(await readdir(path)).toEqual([])
  })

  test('an empty file is a document, not an absent one', async () => {
    await mkdir(path, { recursive: true })
    await writeFile(join(path, 'a.3.json'), '')
    const left = await store.read('a')
    expect(left?.body).toBe('')
    await store.write('a', 'mended', left?.revision ?? null)
    expect((await store.read('a'))?.body).toBe('mended')
  })
})

describe('what cannot be read', () => {
  const unreadable = (name: string, code: string) => ({
    code: 'store-unreadable',
    message: `file store: ${name} cannot be read (${code})`,
  })

  test('is never taken for absent, nor written over', async () => {
    const name = join(path, 'a.1.json')
    await mkdir(name, { recursive: true })
    await expect(store.read('a')).rejects.toMatchObject(unreadable(name, 'EISDIR'))
    await expect(store.write('a', 'x', null)).rejects.toMatchObject(unreadable(name, 'EISDIR'))
    expect(await readdir(path)).toEqual(['a.1.json'])
  })

  test('a file where the folder should be', async () => {
    await mkdir(join(folder, 'deep'))
    await writeFile(path, '')
    await expect(store.read('a')).rejects.toMatchObject(unreadable(path, 'ENOTDIR'))
    await expect(store.ownSealKey()).rejects.toMatchObject({ code: 'store-unreadable' })
  })

  test('a link that leads to itself', async () => {
    await mkdir(path, { recursive: true })
    const name = join(path, 'a.1.json')
    await symlink(name, name)
    await expect(store.read('a')).rejects.toMatchObject(unreadable(name, 'ELOOP'))
  })
})

describe('what cannot be written', () => {
  test('a folder that cannot be made is named, with what to do', async () => {
    await symlink(join(folder, 'nowhere'), join(folder, 'deep'))
    await expect(store.write('a', 'x', null)).rejects.toMatchObject({
      name: 'RotationError',
      code: 'unavailable',
      message: expect.stringContaining(`file store: ${path} cannot be written (`),
      hint: expect.stringContaining('writable'),
    })
  })

  test('a name that is too long for the file system is an error that names it', async () => {
    const key = 'k'.repeat(300)
    await expect(store.write(key, 'x', null)).rejects.toMatchObject({
      code: 'unavailable',
      message: `file store: ${join(path, `${key}.1.json`)} cannot be written (ENAMETOOLONG)`,
    })
    expect(await readdir(path)).toEqual([])
  })
})

const deadWriter = async (): Promise<string> => {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  const [host, , start, random] = store.writer.split('/')
  return [host, child.pid, start, random].join('/')
}

describe('isGone', () => {
  test('a writer is host, pid, start time and a random part', () => {
    expect(store.writer).toMatch(new RegExp(`^[^/]+/${process.pid}/\\d*/[0-9a-f]{12}$`))
  })

  test('a process that has ended is gone, on this host only', async () => {
    const dead = await deadWriter()
    expect(await store.isGone(dead)).toBe(true)
    expect(await store.isGone(dead.replace(/^/, 'x'))).toBe(false)
  })

  test('equal host names, PID namespaces and free pids on shared storage: a host that was booted apart is another', async () => {
    const dead = await deadWriter()
    const [host = '', ...rest] = dead.split('/')
    const [name, namespace, boot] = host.split('+')
    expect(boot).toMatch(/^[0-9a-f]{8}$/)
    const elsewhere = [[name, namespace, boot === '00000000' ? '11111111' : '00000000'].join('+'), ...rest]
    expect(await store.isGone(elsewhere.join('/'))).toBe(false)
    // As earlier versions named themselves.
    expect(await store.isGone([[name, namespace].join('+'), ...rest].join('/'))).toBe(false)
  })

  test('a living child is not gone until it is killed', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    await once(child, 'spawn')
    const [host, , , random] = store.writer.split('/')
    const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => '')
    const writer = [host, child.pid, stat.split(' ')[21] ?? '', random].join('/')
    expect(await store.isGone(writer)).toBe(false)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await store.isGone(writer)).toBe(true)
  })

  test('a process that began at another time than the writer with its pid means that the writer is gone', async () => {
    const [host, pid, start = '', random] = store.writer.split('/')
    const earlier = [host, pid, `${Number(start) - 1}`, random].join('/')
    // Without a start time, as outside Linux, nobody can tell.
    expect(await store.isGone(earlier)).toBe(start !== '')
    expect(await store.isGone([host, pid, '', random].join('/'))).toBe(false)
  })
})

describe('temporary files', () => {
  const temporary = (writer: string, random: string) =>
    `.tmp.${Buffer.from(writer).toString('base64url')}.${random}`

  test('of dead writers are removed by the next write there, those of others stay for a day', async () => {
    await mkdir(path, { recursive: true })
    const dead = temporary(await deadWriter(), '00')
    const alive = temporary(store.writer, '01')
    const elsewhere = temporary('elsewhere/1/2/3', '02')
    const ancient = temporary('elsewhere/1/2/3', '03')
    for (const name of [dead, alive, elsewhere, ancient]) await writeFile(join(path, name), 'half')
    const twoDaysAgo = Date.now() / 1_000 - 2 * 86_400
    await utimes(join(path, ancient), twoDaysAgo, twoDaysAgo)
    await store.write('a', 'one', null)
    expect((await readdir(path)).sort()).toEqual([alive, elsewhere, 'a.1.json'].sort())
  })
})

describe('a folder that others may write', () => {
  test.each([0o770, 0o707, 0o1777])('(%o) is refused, with what to do', async mode => {
    await store.write('a', 'one', null)
    await chmod(path, mode)
    const again = file.create({ path }, context)
    for (const work of [again.read('a'), again.write('b', 'two', null), again.ownSealKey()])
      await expect(work).rejects.toMatchObject({
        code: 'store-unreadable',
        message: `file store: ${path} may be written by other users`,
        hint: expect.stringContaining(`chmod go-w ${path}`),
      })
    await chmod(path, 0o755)
    expect(await file.create({ path }, context).read('a')).toMatchObject({ body: 'one' })
  })
})

describe('the seal key', () => {
  test('is made once, for the owner alone', async () => {
    const key = await store.ownSealKey()
    expect(await modeOf(join(path, 'seal.key'))).toBe('600')
    expect((await readFile(join(path, 'seal.key'), 'utf8')).trim()).toBe(key?.reveal())
    expect((await file.create({ path }, context).ownSealKey())?.reveal()).toBe(key?.reveal())
    expect(await readdir(path)).toEqual(['seal.key'])
  })

  test('is the same for all that make it at once', async () => {
    const stores = Array.from({ length: 8 }, () => file.create({ path }, context))
    const keys = await Promise.all(stores.map(async it => (await it.ownSealKey())?.reveal()))
    expect(new Set(keys).size).toBe(1)
    expect(await readdir(path)).toEqual(['seal.key'])
  })

  test.each([0o640, 0o604, 0o660, 0o622])('that others may read or write (%o) is refused', async mode => {
    await store.ownSealKey()
    const name = join(path, 'seal.key')
    await chmod(name, mode)
    await expect(store.ownSealKey()).rejects.toMatchObject({
      code: 'store-unreadable',
      retry: 'never',
      message: expect.stringContaining(name),
      hint: `chmod 600 ${name}`,
    })
  })

  test('is no document', async () => {
    await store.ownSealKey()
    expect(await store.read('seal')).toBeNull()
    await expect(store.read('seal.key')).rejects.toMatchObject({ code: 'internal' })
  })
})
