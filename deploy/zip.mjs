import { deflateRawSync } from 'node:zlib'

/**
 * A zip archive (PKWARE APPNOTE 6.3.9) that depends on nothing but its files: sorted names, no times, no owner.
 * The same files give the same bytes, so that a deployment tool sees whether anything changed.
 */

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})

/** CRC-32 as zip wants it (ISO 3309). */
export function crc32(bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]
  return (crc ^ 0xffffffff) >>> 0
}

/** 1 January 1980, the first day that a zip can name. */
const DATE = 0x0021
const VERSION = 20
const MADE_BY_UNIX = (3 << 8) | VERSION
/** A regular file that everybody may read: Lambda runs the code as another user. */
const MODE = 0o100644
const UTF8_NAMES = 0x0800
const DEFLATED = 8

/** What stands in both headers of an entry. */
function described({ nameBytes, data, packed }) {
  const common = Buffer.alloc(26)
  common.writeUInt16LE(VERSION, 0)
  common.writeUInt16LE(UTF8_NAMES, 2)
  common.writeUInt16LE(DEFLATED, 4)
  common.writeUInt16LE(0, 6)
  common.writeUInt16LE(DATE, 8)
  common.writeUInt32LE(crc32(data), 10)
  common.writeUInt32LE(packed.length, 14)
  common.writeUInt32LE(data.length, 18)
  common.writeUInt16LE(nameBytes.length, 22)
  return common
}

const LOCAL = Buffer.from('504b0304', 'hex')
const CENTRAL = Buffer.from('504b0102', 'hex')
const END = Buffer.from('504b0506', 'hex')

/** `files` by their names in the archive; the archive's bytes. */
export function zip(files) {
  const names = Object.keys(files).sort()
  const locals = []
  const centrals = []
  let offset = 0
  for (const name of names) {
    const data = Buffer.from(files[name])
    const entry = { nameBytes: Buffer.from(name), data, packed: deflateRawSync(data, { level: 9 }) }
    const common = described(entry)
    const local = Buffer.concat([LOCAL, common, entry.nameBytes, entry.packed])
    const madeBy = Buffer.alloc(2)
    madeBy.writeUInt16LE(MADE_BY_UNIX)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(MODE * 0x10000, 6)
    rest.writeUInt32LE(offset, 10)
    centrals.push(Buffer.concat([CENTRAL, madeBy, common, rest, entry.nameBytes]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(centrals)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(names.length, 4)
  end.writeUInt16LE(names.length, 6)
  end.writeUInt32LE(directory.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...locals, directory, END, end])
}
