import * as v from 'valibot'
import { createShared } from '../../base/parallel.ts'
import { RotationError } from '../../base/rotation-error.ts'
import { DAY_MS } from '../../base/time.ts'
import type { SourceMemory } from '../../contracts.ts'
import { remember } from '../remember.ts'
import { asObject, refusal } from './problem.ts'
import { type AcmeConnection, ask, jsonObject } from './transport.ts'

const MAX_AGE_MS = DAY_MS
/** Many certificates ask at once. */
const shared = createShared()

/** A CA's directory (RFC 8555 section 7.1.1), as kept between runs. */
export interface Directory {
  readonly url: string
  /** Unknown keys included: CAs add random ones on purpose. */
  readonly body: Readonly<Record<string, unknown>>
  readonly fetchedAt: number
}

const cachedSchema = v.object({
  url: v.string(),
  body: v.record(v.string(), v.unknown()),
  fetchedAt: v.number(),
})

/** The URL of a resource such as `newOrder`; null when the CA does not offer it. */
export function resourceUrl(directory: Directory, resource: string): string | null {
  const url = directory.body[resource]
  return typeof url === 'string' && URL.canParse(url) ? url : null
}

const NEEDED = ['newNonce', 'newAccount', 'newOrder'] as const

/** Whether orders are placed elsewhere; CAs add other keys, and random ones, at any time. */
export const isElsewhere = (directory: Directory, other: Directory): boolean =>
  NEEDED.some(name => resourceUrl(directory, name) !== resourceUrl(other, name))

/** What the CA says of itself (RFC 8555 section 9.7.6), of any quality. */
export const metaOf = ({ body }: Directory): Readonly<Record<string, unknown>> => asObject(body.meta)

const identities = v.fallback(v.array(v.string()), [])

/** How the CA calls itself in CAA records, lower case; empty: it does not say. */
export const caaIdentitiesOf = (directory: Directory): readonly string[] =>
  v.parse(identities, metaOf(directory).caaIdentities).map(it => it.toLowerCase())

/** Fetches the directory. @throws RotationError `unreachable`, `unavailable`, `ca-rejected`, `out-of-time` */
export async function fetchDirectory(connection: AcmeConnection): Promise<Directory> {
  const { directoryUrl: url, settings, run } = connection
  const answer = await ask(connection, 'directory', { method: 'GET', url })
  if (answer.status >= 300) throw refusal(settings, 'directory', url, answer, run.clock.now())
  const directory = {
    url,
    body: jsonObject(connection, 'directory', answer.text),
    fetchedAt: run.clock.now(),
  }
  const missing = NEEDED.filter(name => resourceUrl(directory, name) === null)
  if (missing.length === 0) return directory
  throw new RotationError('unavailable', `${settings}: directory: the answer lacks ${missing.join(', ')}`, {
    hint: `Check that ${settings}.directory is the URL of an ACME directory.`,
  })
}

const RESOURCES = [...NEEDED, 'newAuthz', 'revokeCert', 'keyChange', 'renewalInfo'] as const

/** Whether all of a directory is where the settings say that the CA is: only the CA itself may send us elsewhere. */
const isAtHome = (directory: Directory): boolean => {
  const { origin } = new URL(directory.url)
  const known = RESOURCES.map(name => resourceUrl(directory, name)).filter(url => url !== null)
  return known.every(url => new URL(url).origin === origin)
}

/**
 * The directory out of the source's memory, fetched when it is absent, of another URL, leads to another host, or is
 * older than a day.
 * @throws RotationError as {@link fetchDirectory}
 */
export async function loadDirectory(connection: AcmeConnection, memory: SourceMemory): Promise<Directory> {
  const { run, directoryUrl } = connection
  const cached = v.safeParse(cachedSchema, (await memory.read()).directory)
  const ageMs = cached.success ? run.clock.now() - cached.output.fetchedAt : 0
  const isFresh = ageMs >= 0 && ageMs < MAX_AGE_MS
  if (cached.success && cached.output.url === directoryUrl && isFresh && isAtHome(cached.output))
    return cached.output
  return shared(run, directoryUrl, () => fetchAndRemember(connection, memory))
}

/** Fetches the directory and remembers it, whatever the memory holds. @throws RotationError as {@link fetchDirectory} */
export function reloadDirectory(connection: AcmeConnection, memory: SourceMemory): Promise<Directory> {
  const { run, directoryUrl } = connection
  shared.forget(run, directoryUrl)
  return shared(run, directoryUrl, () => fetchAndRemember(connection, memory))
}

async function fetchAndRemember(connection: AcmeConnection, memory: SourceMemory): Promise<Directory> {
  const directory = await fetchDirectory(connection)
  await remember(memory, { directory }, connection.run)
  return directory
}
