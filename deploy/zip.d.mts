/** CRC-32 as zip wants it (ISO 3309). */
export declare function crc32(bytes: Uint8Array): number
/** `files` by their names in the archive; the archive's bytes. */
export declare function zip(files: Readonly<Record<string, string | Uint8Array>>): Buffer
