import { createHash, createHmac } from 'node:crypto'

/**
 * As much of the global `Headers` as aws4fetch's signer uses. The bundle is built with this in its place: the
 * global one loads all of Node's fetch, a third of what an empty program takes to start.
 * https://developer.mozilla.org/en-US/docs/Web/API/Headers
 */
export class Headers implements Iterable<[string, string]> {
  private readonly values = new Map<string, string>()

  constructor(init: Readonly<Record<string, string>> = {}) {
    for (const [name, value] of Object.entries(init)) this.set(name, value)
  }
  get(name: string): string | null {
    return this.values.get(name.toLowerCase()) ?? null
  }
  has(name: string): boolean {
    return this.values.has(name.toLowerCase())
  }
  set(name: string, value: string): void {
    this.values.set(name.toLowerCase(), value.trim())
  }
  delete(name: string): void {
    this.values.delete(name.toLowerCase())
  }
  keys(): IterableIterator<string> {
    return this.values.keys()
  }
  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.values.entries()
  }
}

const sha256 = 'sha256'

export const crypto = {
  subtle: {
    importKey: async (_format: 'raw', key: Uint8Array): Promise<Uint8Array> => key,
    sign: async (_algorithm: 'HMAC', key: Uint8Array, data: Uint8Array): Promise<Uint8Array> =>
      createHmac(sha256, key).update(data).digest(),
    digest: async (_algorithm: 'SHA-256', data: Uint8Array): Promise<Uint8Array> =>
      createHash(sha256).update(data).digest(),
  },
}
