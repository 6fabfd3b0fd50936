/** Reads a zip archive by its central directory, as a platform does: independent of deploy/zip.mjs. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import { cleanups } from './cleanups.ts'

export interface Entry {
  readonly name: string
  readonly data: Buffer
  readonly crc: number
  /** Unix mode. */
  readonly mode: number
  /** As stored: days and half seconds of MS-DOS. */
  readonly time: number
}

/** Every entry in the order of the directory. @throws Error for what is no zip archive */
export function entriesOf(zip: Buffer): readonly Entry[] {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (end < 0) throw new Error('no end of central directory')
  const count = zip.readUInt16LE(end + 10)
  let at = zip.readUInt32LE(end + 16)
  return Array.from({ length: count }, () => {
    if (zip.toString('latin1', at, at + 4) !== 'PK\x01\x02') throw new Error(`no entry at ${at}`)
    const nameLength = zip.readUInt16LE(at + 28)
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength)
    const local = zip.readUInt32LE(at + 42)
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
    const packed = zip.subarray(start, start + zip.readUInt32LE(at + 20))
    const data = zip.readUInt16LE(at + 10) === 0 ? Buffer.from(packed) : inflateRawSync(packed)
    if (data.length !== zip.readUInt32LE(at + 24)) throw new Error(`${name} has another size`)
    const entry = {
      name,
      data,
      crc: zip.readUInt32LE(at + 16),
      mode: zip.readUInt32LE(at + 38) >>> 16,
      time: zip.readUInt32LE(at + 12),
    }
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
    return entry
  })
}

/** Unpacks an archive into a new folder outside of this repository, so that no node_modules is near. */
export async function unpack(file: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-zip-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  for (const { name, data } of entriesOf(await readFile(file))) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), data)
  }
  return folder
}
