import { RotationError } from '../../base/rotation-error.ts'
import type { Journal, Obtained, SourceMemory } from '../../contracts.ts'

type Notes = Readonly<Record<string, unknown>>

const notesIn = ({ staging }: Notes): Notes =>
  typeof staging === 'object' && staging !== null ? (staging as Notes) : {}

/** A part of a source's memory for its staging environment: account, directory and budget of its own. */
export const stagingMemory = (memory: SourceMemory): SourceMemory => ({
  read: async () => notesIn(await memory.read()),
  update: change =>
    memory.update(notes => {
      const before = notesIn(notes)
      const after = change(before)
      return after === before ? notes : { ...notes, staging: after }
    }),
  secret: (name, make) => memory.secret(`staging-${name}`, make),
  forget: name => memory.forget(`staging-${name}`),
})

const rehearsalIn = ({ rehearsal }: Notes): Notes =>
  typeof rehearsal === 'object' && rehearsal !== null ? (rehearsal as Notes) : {}

const withPart = (main: Notes, part: Notes): Notes =>
  Object.keys(part).length === 0 ? main : { ...main, rehearsal: part }

const keyless = (): Promise<never> =>
  Promise.reject(new RotationError('internal', 'a rehearsal has no private key'))

/** What a journal says of the rehearsal: an order and TXT values of its own, never a key. */
export const rehearsalJournal = (journal: Journal): Journal => ({
  get notes() {
    return rehearsalIn(journal.notes)
  },
  write: notes => {
    const { rehearsal: _, ...main } = journal.notes
    return journal.write(withPart(main, notes))
  },
  privateKey: keyless,
  adoptKey: keyless,
})

/** The rest of the journal, written without losing what it says of the rehearsal. */
export const mainJournal = (journal: Journal): Journal => ({
  get notes() {
    const { rehearsal: _, ...main } = journal.notes
    return main
  },
  write: notes => journal.write(withPart(notes, rehearsalIn(journal.notes))),
  privateKey: journal.privateKey,
  adoptKey: journal.adoptKey,
})

/** TXT values of the rehearsal that could not be removed are left over like any other. */
export function withRehearsal(obtained: Obtained, journal: Journal): Obtained {
  const rehearsal = rehearsalIn(journal.notes)
  if (obtained.kind !== 'obtained' || Object.keys(rehearsal).length === 0) return obtained
  return { ...obtained, leftovers: { ...obtained.leftovers, rehearsal } }
}
