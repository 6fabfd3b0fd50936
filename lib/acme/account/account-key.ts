import type { SourceMemory } from '../../contracts.ts'

/** Which of its secrets a source uses as the account's key; a new key is another secret, never an overwritten one. */

type Notes = Readonly<Record<string, unknown>>

const FIRST = 'account-key'

/** The name of the secret that is the account's key. */
export const keyNameIn = ({ accountKey }: Notes): string =>
  typeof accountKey === 'string' ? accountKey : FIRST

/** The name of the key that a key change is under way to, or null. */
export const rolloverIn = ({ rollover }: Notes): string | null =>
  typeof rollover === 'string' ? rollover : null

/** The name of the next key. */
export function nextKeyName(notes: Notes): string {
  const number = Number(/-(\d+)$/.exec(keyNameIn(notes))?.[1] ?? 1)
  return `${FIRST}-${number + 1}`
}

/** Writes down which key the account is about to get. */
export const beginRollover = (memory: SourceMemory, name: string): Promise<void> =>
  memory.update(notes => ({ ...notes, rollover: name }))

/** The CA does not know the new key: the old one stays. */
export const dropRollover = (memory: SourceMemory): Promise<void> =>
  memory.update(({ rollover: _, ...notes }) => notes)

/** The CA knows the new key: it is the account's, and the old one is wiped. */
export async function promoteKey(memory: SourceMemory, name: string, account: object): Promise<void> {
  const old = keyNameIn(await memory.read())
  await memory.update(({ rollover: _, ...notes }) => ({ ...notes, accountKey: name, account }))
  if (old !== name) await memory.forget(old)
}
