import { createHash, createPublicKey } from 'node:crypto'
import * as v from 'valibot'
import { RotationError } from '../base/errors.ts'
import type { Secret } from '../base/secret.ts'
import type { SourceMemory } from '../contracts.ts'
import { generateKey } from '../x509/key.ts'
import { type AcmeClient, createAcmeClient } from './client.ts'
import { type Directory, loadDirectory, metaText, reloadDirectory } from './directory.ts'
import { remember } from './memory.ts'
import { problemOf } from './problem.ts'
import type { AcmeConnection } from './transport.ts'

/** How an account is made and found (RFC 8555 section 7.3). */
export interface AccountSettings {
  readonly email: string | null
  readonly termsOfServiceAgreed: boolean
  /** PEM of an existing account's key; null: one is made and kept in the source's memory. */
  readonly accountKey: Secret | null
  readonly externalAccount: { readonly kid: string; readonly hmacKey: Secret } | null
}

const rememberedSchema = v.object({ directory: v.string(), key: v.string(), url: v.string() })

/** Tells keys apart without telling the key: SHA-256 of its public half, hex. */
const fingerprintOf = (settings: string, key: Secret): string => {
  try {
    const spki = createPublicKey(key.reveal()).export({ type: 'spki', format: 'der' })
    return createHash('sha256').update(spki).digest('hex')
  } catch {
    // Not even as a cause: a parser's message may quote what it could not parse.
    throw new RotationError('settings-invalid', `${settings}.accountKey is no private key in PEM`, {
      retry: 'never',
      hint: 'Give the PEM of an RSA (2048 to 4096), P-256 or P-384 key.',
    })
  }
}

const agreed = (settings: string, account: AccountSettings, directory: Directory) => {
  if (account.termsOfServiceAgreed)
    return {
      termsOfServiceAgreed: true as const,
      ...(account.email === null ? {} : { contact: [`mailto:${account.email}`] }),
    }
  const terms = metaText(directory, 'termsOfService')
  throw new RotationError('ca-rejected', `${settings}: an account needs agreement to the CA's terms`, {
    retry: 'never',
    hint: `Read ${terms ?? 'the terms of service of the CA'} and set ${settings}.termsOfServiceAgreed to true.`,
  })
}

/** The account of a key from the settings, if the CA knows it. */
const existing = async (client: AcmeClient): Promise<string | null> => {
  try {
    return await client.register({ onlyReturnExisting: true })
  } catch (thrown) {
    if (problemOf(thrown)?.type === 'accountDoesNotExist') return null
    throw thrown
  }
}

/**
 * A client whose account exists at the CA, found or created; null when there is none and `create` is false.
 * The key is stored before newAccount, and newAccount with a known key gives the same account, so that a lost
 * answer never leads to a second one. `forget`: the CA does not know the remembered account.
 * @throws RotationError `ca-rejected` (terms, external account), `settings-invalid`, those of AcmeClient
 */
export async function openAccount(
  connection: AcmeConnection,
  account: AccountSettings,
  memory: SourceMemory,
  options: { readonly create: boolean; readonly forget: boolean },
): Promise<AcmeClient | null> {
  const { settings, run, directoryUrl } = connection
  const remembered = v.safeParse(rememberedSchema, (await memory.read()).account)
  if (!options.create && !remembered.success) return null
  const accountKey = account.accountKey ?? (await memory.secret('account-key', () => generateKey('ec-256')))
  const key = fingerprintOf(settings, accountKey)
  const known =
    !options.forget &&
    remembered.success &&
    remembered.output.directory === directoryUrl &&
    remembered.output.key === key
  if (!options.create && !known) return null
  const directory = await loadDirectory(connection, memory)
  const client = createAcmeClient({
    connection,
    directory,
    reloadDirectory: () => reloadDirectory(connection, memory),
    accountKey,
    accountUrl: known ? remembered.output.url : null,
    externalAccount: account.externalAccount,
  })
  if (known) return client
  const found = account.accountKey === null ? null : await existing(client)
  const url = found ?? (await client.register(agreed(settings, account, directory)))
  run.log.info({ account: url, found: found !== null }, 'account at the CA')
  await remember(memory, { account: { directory: directoryUrl, key, url } }, run)
  return client
}
