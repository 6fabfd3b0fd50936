import * as v from 'valibot'
import type { SourceCheck } from '../../contracts.ts'
import { caaIdentitiesOf, fetchDirectory, metaText } from '../protocol/directory.ts'
import { type AccountAccess, rememberedSchema } from './account.ts'

/** The CA's directory, and its account as far as it can be looked at without making one. @throws those of the CA */
export async function checkCa(
  { connection, account, memory }: AccountAccess,
  open: () => Promise<object | null>,
): Promise<SourceCheck> {
  const directory = await fetchDirectory(connection)
  const remembered = v.safeParse(rememberedSchema, (await memory.read()).account)
  const isKnown = remembered.success && (await open()) !== null
  const said = {
    directory: `the directory ${connection.directoryUrl} answers`,
    caaIdentities: caaIdentitiesOf(directory),
    accountUrl: isKnown ? remembered.output.url : null,
  }
  if (isKnown) return { ...said, account: { ok: true, message: `the account is ${remembered.output.url}` } }
  const path = connection.settings
  if (!account.termsOfServiceAgreed) {
    const terms = metaText(directory, 'termsOfService') ?? 'the terms of service of the CA'
    const remedy = `Read ${terms} and set ${path}.termsOfServiceAgreed to true.`
    return { ...said, account: { ok: false, message: 'an account needs agreement to the terms', remedy } }
  }
  const needsBinding =
    (directory.body.meta as { externalAccountRequired?: unknown })?.externalAccountRequired === true
  if (needsBinding && account.externalAccount === null) {
    const remedy = `Get a key id and an HMAC key from the CA and set ${path}.externalAccount.`
    return { ...said, account: { ok: false, message: 'the CA wants an external account binding', remedy } }
  }
  return {
    ...said,
    account: { ok: true, message: 'the first order makes an account, or finds that of accountKey' },
  }
}
