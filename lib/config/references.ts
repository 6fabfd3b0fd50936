import { isLoopbackUrl, isReference, type Reference } from '../base/fields.ts'
import { secret } from '../base/secret.ts'
import { joinPath, type Mistake } from './mistakes.ts'

/** Puts the text or Secret in the place of every reference in a value that stands at `path` of the settings. */
export type Resolver = <T>(value: T, path: string) => Promise<T>

export interface ResolverOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads a file relative to the settings. */
  readonly read: (path: string) => Promise<string>
  /** Whether secrets may stand in the settings themselves. */
  readonly literals: boolean
  /** Where what cannot be resolved is noted. */
  readonly mistakes: Mistake[]
}

export function createResolver(options: ResolverOptions): Resolver {
  const walk = async (value: unknown, path: string): Promise<unknown> => {
    if (isReference(value)) return resolveReference(value, path, options)
    if (Array.isArray(value)) return Promise.all(value.map((item, i) => walk(item, joinPath(path, i))))
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).map(
      async ([key, item]) => [key, await walk(item, joinPath(path, key))] as const,
    )
    return Object.fromEntries(await Promise.all(entries))
  }
  return walk as Resolver
}

async function resolveReference(
  { scheme, value, secret: isSecret }: Reference,
  path: string,
  options: ResolverOptions,
): Promise<unknown> {
  const text = await textOf(scheme, value, options)
  if (!text.ok) {
    options.mistakes.push({ path, message: text.why })
    return isSecret ? secret('') : ''
  }
  if (scheme === 'literal' && isSecret && !options.literals) {
    options.mistakes.push({
      path,
      message: 'a secret must not stand in the settings: use env:NAME or file:PATH',
    })
  }
  return isSecret ? secret(text.value) : text.value
}

type Text = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly why: string }

async function textOf(
  scheme: Reference['scheme'],
  value: string,
  { env, read }: ResolverOptions,
): Promise<Text> {
  const fail = (why: string): Text => ({ ok: false, why })
  if (scheme === 'literal') return { ok: true, value }
  if (scheme === 'env') {
    const found = env[value]
    return found ? { ok: true, value: found } : fail(`environment variable ${value} is not set`)
  }
  if (scheme !== 'file')
    return fail(`references to ${scheme}: are not supported yet: use env:NAME or file:PATH`)
  try {
    const found = (await read(value)).trim()
    return found === '' ? fail(`file ${value} is empty`) : { ok: true, value: found }
  } catch (error) {
    return fail(`file ${value} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Whether every URL in the settings points at this machine: a test rig, where secrets are none. */
export function onlyLoopback(raw: unknown): boolean {
  const urls: string[] = []
  const walk = (value: unknown): void => {
    if (typeof value === 'string' && /^https?:\/\//.test(value)) urls.push(value)
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk)
  }
  walk(raw)
  return urls.every(isLoopbackUrl)
}
