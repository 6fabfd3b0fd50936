import type { SourceCheck } from '../contracts.ts'
import { type AccountAccess, fingerprintOf, rememberedAccount, termsHint } from './account/account.ts'
import { caaIdentitiesOf, type Directory, fetchDirectory, metaOf } from './protocol/directory.ts'

/** What a new account would lack, as far as the directory tells; null: nothing. */
const lackFor = ({ account, connection }: AccountAccess, directory: Directory) => {
  const { settings } = connection
  if (!account.termsOfServiceAgreed)
    return { message: 'an account needs agreement to the terms', remedy: termsHint(settings, directory) }
  if (metaOf(directory).externalAccountRequired !== true || account.externalAccount !== null) return null
  const remedy = `Get a key id and an HMAC key from the CA and set ${settings}.externalAccount.`
  return { message: 'the CA wants an external account binding', remedy }
}

/** The CA's directory, and its account as far as it can be looked at without making one. @throws those of the CA, `settings-invalid` */
export async function checkCa(
  access: AccountAccess,
  open: () => Promise<object | null>,
): Promise<SourceCheck> {
  const { connection, account, memory } = access
  if (account.accountKey !== null) fingerprintOf(connection.settings, account.accountKey)
  const directory = await fetchDirectory(connection)
  const remembered = await rememberedAccount(memory)
  const accountUrl = remembered !== null && (await open()) !== null ? remembered.url : null
  const lack = accountUrl === null ? lackFor(access, directory) : null
  const message =
    accountUrl === null
      ? 'the first order makes an account, or finds that of accountKey'
      : `the account is ${accountUrl}`
  return {
    directory: `the directory ${connection.directoryUrl} answers`,
    caaIdentities: caaIdentitiesOf(directory),
    accountUrl,
    account: lack === null ? { ok: true, message } : { ok: false, ...lack },
  }
}
