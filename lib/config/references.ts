import { isLoopbackUrl, isReference, type Reference } from '../base/fields.ts'
import { asRotationError, RotationError } from '../base/rotation-error.ts'
import { secret } from '../base/secret.ts'
import { joinPath, type Mistake } from './mistakes.ts'
import type { RemoteScheme } from './remote.ts'
import type { Surroundings } from './surroundings.ts'

/** Puts the text or Secret in the place of every reference in a value that stands at `path` of the settings. */
export type Resolver = <T>(value: T, path: string) => Promise<T>

export interface ResolverOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Why a variable is not set, where there is more to say of it. */
  readonly absent?: Surroundings['absent'] | undefined
  /** Keys of AWS that the environment does not hold. */
  readonly awsKey?: ((name: string) => Promise<string | undefined>) | undefined
  /** Reads a file relative to the settings; null where nothing but the settings is there. */
  readonly read: ((path: string) => Promise<string>) | null
  /** References are only checked: nothing is looked up, and secrets are empty. */
  readonly withoutValues?: boolean
  /** Reads what stands in a cloud service; null where nobody gave a way to do so. */
  readonly remote: ((scheme: RemoteScheme, name: string) => Promise<string>) | null
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

/** What the first variable that is set says, or what else is known of it. */
async function variable({ value, or = [] }: Reference, { env, awsKey }: ResolverOptions) {
  const name = [value, ...or].find(it => env[it])
  if (name !== undefined) return { name, found: env[name] }
  try {
    return { name: value, found: await awsKey?.(value) }
  } catch (thrown) {
    return { name: value, why: explainRemote(thrown, value) }
  }
}

async function resolveReference(
  reference: Reference,
  path: string,
  options: ResolverOptions,
): Promise<unknown> {
  const { scheme, secret: isSecret, optional, implied, says } = reference
  if (optional && scheme === 'env') {
    const isReadable = says !== 'file' || options.read !== null
    if (!isReadable || options.withoutValues || !(await variable(reference, options)).found) return null
  }
  const isElsewhere = scheme !== 'literal' && (scheme !== 'file' || options.read !== null)
  if (options.withoutValues && isElsewhere) return isSecret ? secret('') : ''
  const text = await textOf(reference, path, options)
  if (!text.ok) {
    const mistake = { path: implied ? path.replace(/\.[^.]+$/, '') : path, message: text.why }
    if (!options.mistakes.some(it => it.path === mistake.path && it.message === mistake.message))
      options.mistakes.push(mistake)
    return isSecret ? secret('') : ''
  }
  if (scheme === 'literal' && isSecret && !options.literals) {
    options.mistakes.push({
      path,
      message: 'a secret must not stand in the settings: use env:NAME, file:PATH, awssm:NAME or csms:NAME',
    })
  }
  return isSecret ? secret(text.value) : text.value
}

type Text = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly why: string }

/** https, or this machine: keys are sent there. */
const isSafe = (url: string): boolean =>
  isLoopbackUrl(url) || (URL.canParse(url) && new URL(url).protocol === 'https:')

async function textOf(reference: Reference, path: string, options: ResolverOptions): Promise<Text> {
  const { absent, read, remote } = options
  const { scheme, value, says } = reference
  const fail = (why: string): Text => ({ ok: false, why })
  if (scheme === 'literal') return { ok: true, value }
  if (scheme === 'env') {
    const { name, found, why } = await variable(reference, options)
    if (!found)
      return fail(
        why ??
          absent?.(value) ??
          `environment variable ${[value, ...(reference.or ?? [])].join(' or ')} is not set`,
      )
    if (says === 'file') return textOf({ ...reference, scheme: 'file', value: found }, path, options)
    return says === 'url' && !isSafe(found)
      ? fail(`environment variable ${name} must be an https URL`)
      : { ok: true, value: found }
  }
  if (scheme !== 'file') {
    if (remote === null) return fail(`references to ${scheme}: cannot be read here`)
    const found = await remote(scheme, value).catch(error => fail(explainRemote(error, path)))
    if (typeof found !== 'string') return found
    return found.trim() === '' ? fail(`${scheme}:${value} is empty`) : { ok: true, value: found.trim() }
  }
  if (read === null)
    return fail(
      `file:${value}: a function has no such file; write the text itself, or a reference to a secret`,
    )
  try {
    const found = (await read(value)).trim()
    return found === '' ? fail(`file ${value} is empty`) : { ok: true, value: found }
  } catch (error) {
    return fail(`file ${value} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** What passes by itself is no mistake in the settings, and is thrown as what it is. */
export function explainRemote(thrown: unknown, path: string): string {
  const error = asRotationError(thrown)
  const { code, message, hint, retryAt } = error
  if (code !== 'unavailable' && code !== 'throttled' && code !== 'unreachable')
    return hint === null ? message : `${message}. ${hint}`
  throw new RotationError(code, `${path}: ${message}`, {
    cause: error,
    retry: error.retry,
    ...(hint === null ? {} : { hint }),
    ...(retryAt === null ? {} : { retryAt }),
  })
}

/**
 * Whether every URL in the settings points at this machine: a test rig, where secrets are none. A driver that
 * names no URL of its own speaks to a cloud; a source `file` speaks to nobody.
 */
export function onlyLoopback(raw: unknown): boolean {
  const urlsIn = (value: unknown): readonly string[] => {
    if (typeof value === 'string') return /^\s*https?:/i.test(value) ? [value] : []
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(urlsIn) : []
  }
  const { sources, solvers, store } = (raw ?? {}) as {
    sources?: Readonly<Record<string, { type?: unknown }>>
    solvers?: object
    store?: { type?: unknown }
  }
  const remote = store && store.type !== 'file' ? [store] : []
  const asked = Object.values(sources ?? {}).filter(it => it?.type !== 'file')
  const drivers = [...asked, ...Object.values(solvers ?? {}), ...remote]
  return urlsIn(raw).every(isLoopbackUrl) && drivers.every(driver => urlsIn(driver).length > 0)
}
