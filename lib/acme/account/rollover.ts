import { RotationError } from '../../base/rotation-error.ts'
import { generateKey } from '../../x509/key.ts'
import { problemOf } from '../protocol/problem.ts'
import { type AccountAccess, fingerprintOf, openAccount, rememberedAccount } from './account.ts'
import { beginRollover, dropRollover, nextKeyName, promoteKey } from './account-key.ts'

/**
 * Gives the account another key (RFC 8555 section 7.3.5); its URL, which stays. The new key is stored and noted
 * before the CA is told, so that whatever run comes next can ask the CA which of the two it knows.
 * @throws RotationError `ca-rejected` when the key is not ours to change or there is no account, those of AcmeClient
 */
export async function rolloverAccount(access: AccountAccess): Promise<string> {
  const { connection, account, memory } = access
  const { settings, run } = connection
  const refuse = (why: string, hint: string): never => {
    throw new RotationError('ca-rejected', `${settings}: ${why}`, { retry: 'never', hint })
  }
  if (account.accountKey !== null)
    refuse(
      'the account key is given by the settings',
      `Leave ${settings}.accountKey out to have one made here.`,
    )
  const client = await openAccount(access, { create: false, forget: false })
  const remembered = await rememberedAccount(memory)
  if (client === null || remembered === null)
    return refuse('there is no account yet', 'The first order makes one.')
  const name = nextKeyName(await memory.read())
  const key = await memory.secret(name, () => generateKey('ec-256'))
  await beginRollover(memory, name)
  try {
    await client.changeKey(key)
  } catch (thrown) {
    const status = problemOf(thrown)?.status ?? 0
    const isRefused = status >= 400 && status < 500
    if (isRefused || (thrown instanceof RotationError && thrown.code === 'ca-rejected'))
      await dropRollover(memory)
    throw thrown
  }
  await promoteKey(memory, name, { ...remembered, key: fingerprintOf(settings, key) })
  run.log.info({ account: remembered.url }, 'the account has another key')
  return remembered.url
}
