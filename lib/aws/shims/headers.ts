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
