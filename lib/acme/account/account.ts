import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import * as v from 'valibot'
import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import type { SourceMemory } from '../../contracts.ts'
import { generateKey } from '../../x509/key.ts'
import { type AccountRequest, type AcmeClient, createAcmeClient } from '../protocol/client.ts'
import { type Directory, loadDirectory, metaOf, reloadDirectory } from '../protocol/directory.ts'
import { problemOf } from '../protocol/problem.ts'
import type { AcmeConnection } from '../protocol/transport.ts'
import { remember } from '../remember.ts'
import { dropRollover, keyNameIn, promoteKey, rolloverIn } from './account-key.ts'

/** How an account is made and found (RFC 8555 section 7.3). */
export interface AccountSettings {
  readonly email: string | null
  readonly termsOfServiceAgreed: boolean
  /** PEM of an existing account's key; null: one is made and kept in the source's memory. */
  readonly accountKey: Secret | null
  readonly externalAccount: { readonly kid: string; readonly hmacKey: Secret } | null
}

const rememberedSchema = v.object({
  directory: v.string(),
  key: v.string(),
  url: v.string(),
  /** Where it was found: a CA that has moved may call the account by another URL. */
  newAccount: v.optional(v.string()),
})
/** The account as a source remembers it. */
export type RememberedAccount = v.InferOutput<typeof rememberedSchema>

/** The account that an earlier run found or made; null: none that can be read. */
export async function rememberedAccount(memory: SourceMemory): Promise<RememberedAccount | null> {
  const read = v.safeParse(rememberedSchema, (await memory.read()).account)
  return read.success ? read.output : null
}

const unusableKey = (settings: string, why: string): RotationError =>
  // Not even as a cause: a parser's message may quote what it could not parse.
  new RotationError('settings-invalid', `${settings}.accountKey ${why}`, {
    retry: 'never',
    hint: 'Give the PEM of an RSA (2048 to 4096), P-256 or P-384 key.',
  })

const parseKey = (settings: string, key: Secret): KeyObject => {
  try {
    return createPrivateKey(key.reveal())
  } catch {
    throw unusableKey(settings, 'is no private key in PEM')
  }
}

/** What keeps a key from signing for an account (RFC 8555 section 6.2), in words; null: nothing. */
const unfitOf = ({ asymmetricKeyType: type, asymmetricKeyDetails = {} }: KeyObject): string | null => {
  const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails
  if (type === 'rsa')
    return modulusLength >= 2048 && modulusLength <= 4096 ? null : `an RSA key of ${modulusLength} bits`
  if (type === 'ec')
    return ['prime256v1', 'secp384r1'].includes(namedCurve) ? null : `a key on the curve ${namedCurve}`
  return `a key of type ${type}`
}

/** Tells keys apart without telling the key: SHA-256 of its public half, hex. @throws RotationError `settings-invalid` */
export const fingerprintOf = (settings: string, key: Secret): string => {
  const parsed = parseKey(settings, key)
  const unfit = unfitOf(parsed)
  if (unfit !== null) throw unusableKey(settings, `is ${unfit}`)
  const spki = createPublicKey(parsed).export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('hex')
}

/** What to do about terms that were not agreed to. */
export const termsHint = (settings: string, directory: Directory): string => {
  const { termsOfService } = metaOf(directory)
  const terms = typeof termsOfService === 'string' ? termsOfService : 'the terms of service of the CA'
  return `Read ${terms} and set ${settings}.termsOfServiceAgreed to true.`
}

/** What CAs answer to a binding with an unknown key id, a wrong signature, or one that was used (RFC 8555 section 7.3.4). */
const MAY_BLAME_BINDING: readonly string[] = ['unauthorized', 'malformed', 'badSignatureAlgorithm']

const newAccount = async ({ connection, account, memory }: AccountAccess): Promise<AccountRequest> => {
  const { settings } = connection
  const contact = account.email === null ? {} : { contact: [`mailto:${account.email}`] }
  if (account.termsOfServiceAgreed) return { termsOfServiceAgreed: true, ...contact }
  throw new RotationError('ca-rejected', `${settings}: an account needs agreement to the CA's terms`, {
    retry: 'never',
    hint: termsHint(settings, await loadDirectory(connection, memory)),
  })
}

/** Says where to look when a CA does not take an external account binding: it may blame the request as a whole. */
const ofBinding = ({ connection, account }: AccountAccess, thrown: unknown): unknown => {
  const type = problemOf(thrown)?.type ?? ''
  const isRefused = thrown instanceof RotationError && thrown.code === 'ca-rejected'
  if (!isRefused || account.externalAccount === null || !MAY_BLAME_BINDING.includes(type)) return thrown
  const { settings } = connection
  return new RotationError(thrown.code, thrown.message, {
    cause: thrown.cause,
    retry: thrown.retry,
    hint: `See whether kid and hmacKey of ${settings}.externalAccount are those that the CA gave, for this CA and for no other account.`,
  })
}

/** The account of a client's key, if the CA knows it. */
const existing = async (client: AcmeClient): Promise<string | null> => {
  try {
    return await client.register({ onlyReturnExisting: true })
  } catch (thrown) {
    if (problemOf(thrown)?.type === 'accountDoesNotExist') return null
    throw thrown
  }
}

const register = async (client: AcmeClient, access: AccountAccess): Promise<string> => {
  const request = await newAccount(access)
  try {
    return await client.register(request)
  } catch (thrown) {
    throw ofBinding(access, thrown)
  }
}

/** What every client of one source is made with. */
export interface AccountAccess {
  readonly connection: AcmeConnection
  readonly account: AccountSettings
  readonly memory: SourceMemory
}

/** A client that signs with this key, for an account whose URL is known, or not yet. */
export async function clientWith(access: AccountAccess, accountKey: Secret, accountUrl: string | null) {
  const { connection, account, memory } = access
  return createAcmeClient({
    connection,
    directory: await loadDirectory(connection, memory),
    reloadDirectory: () => reloadDirectory(connection, memory),
    accountKey,
    accountUrl,
    externalAccount: account.externalAccount,
  })
}

const newAccountKey = () => generateKey('ec-256')

/** The account's own key as it is kept now. */
const ownKey = async (memory: SourceMemory): Promise<Secret> =>
  memory.secret(keyNameIn(await memory.read()), newAccountKey)

/**
 * A key change whose answer never came (RFC 8555 section 7.3.5): the CA is asked which key it knows, the new one
 * first, and that one is the account's from now on.
 */
async function settleRollover(access: AccountAccess): Promise<void> {
  const { connection, memory } = access
  const { log } = connection.run
  const name = rolloverIn(await memory.read())
  if (name === null) return
  const key = await memory.secret(name, newAccountKey)
  const client = await clientWith(access, key, null)
  const url = await existing(client)
  if (url === null) {
    const known = await existing(await clientWith(access, await ownKey(memory), null))
    log.warn({ account: known }, 'the CA has not taken the new key of the account')
    return dropRollover(memory)
  }
  log.info({ account: url }, 'the CA has taken the new key of the account')
  await promoteKey(memory, name, describe(client, key, url))
}

/** What is remembered of an account. */
const describe = ({ connection, newAccountUrl }: AcmeClient, key: Secret, url: string): RememberedAccount => {
  const { settings, directoryUrl: directory } = connection
  return { directory, key: fingerprintOf(settings, key), url, newAccount: newAccountUrl }
}

/** The client of the remembered account, if that is the one of this key, and of the CA where it is now. */
const clientOf = async (access: AccountAccess, key: Secret, remembered: RememberedAccount | null) => {
  const { settings, directoryUrl } = access.connection
  const fingerprint = fingerprintOf(settings, key)
  if (remembered?.directory !== directoryUrl || remembered.key !== fingerprint) return null
  const client = await clientWith(access, key, remembered.url)
  const { newAccount = client.newAccountUrl } = remembered
  return newAccount === client.newAccountUrl ? client : null
}

/**
 * A client whose account exists at the CA, found or created; null when there is none and `create` is false.
 * The key is stored before newAccount, and newAccount with a known key gives the same account, so that a lost
 * answer never leads to a second one. `forget`: the CA does not know the remembered account.
 * @throws RotationError `ca-rejected` (terms, external account), `settings-invalid`, those of AcmeClient
 */
export async function openAccount(
  access: AccountAccess,
  options: { readonly create: boolean; readonly forget: boolean },
): Promise<AcmeClient | null> {
  const { connection, account, memory } = access
  const { run } = connection
  if (account.accountKey === null) await settleRollover(access)
  const remembered = await rememberedAccount(memory)
  if (!options.create && remembered === null) return null
  const accountKey = account.accountKey ?? (await ownKey(memory))
  const usual = await clientOf(access, accountKey, options.forget ? null : remembered)
  if (usual || !options.create) return usual
  const client = await clientWith(access, accountKey, null)
  const found = account.accountKey === null ? null : await existing(client)
  const url = found ?? (await register(client, access))
  run.log.info({ account: url, found: found !== null }, 'account at the CA')
  await remember(memory, { account: describe(client, accountKey, url) }, run)
  return client
}
