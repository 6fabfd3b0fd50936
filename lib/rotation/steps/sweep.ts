import type { Journal } from '../../contracts.ts'
import type { CertificateDocument } from '../../state/documents.ts'
import { type Context, certificateDocument, sourceNamed } from '../context.ts'

/** TXT values (and authorizations) that were to be given up when the service that holds them failed. */
type Leftovers = CertificateDocument['leftovers']
type Notes = Leftovers[number]

const LEFTOVERS_AT_MOST = 20

const isEmpty = (notes: Notes): boolean => Object.keys(notes).length === 0

/** Adds the notes of a journal that is done with, if they name anything, with the source that understands them. */
export const withLeftover = (leftovers: Leftovers, notes: Notes, source: string): Leftovers =>
  isEmpty(notes) ? leftovers : [...leftovers, { ...notes, source }].slice(-LEFTOVERS_AT_MOST)

/** Tries again to give up what is left over. Never throws: a clean-up failure never fails a renewal. */
export async function sweep(context: Context): Promise<void> {
  const { leftovers } = await certificateDocument(context).get()
  if (leftovers.length === 0) return
  try {
    for (const notes of leftovers) {
      const left = await givenUp(context, notes)
      await certificateDocument(context).update(d => ({
        ...d,
        leftovers: d.leftovers.flatMap(n => (n !== notes ? [n] : isEmpty(left) ? [] : [left])),
      }))
    }
  } catch (error) {
    context.run.log.warn(
      { certificate: context.spec.name, error: (error as Error).message },
      'what an old order left in DNS stays for now',
    )
  }
}

const keyless = (): Promise<never> => Promise.reject(new Error('an order that is done with has no key'))

async function givenUp(context: Context, { source, ...notes }: Notes): Promise<Notes> {
  const name = typeof source === 'string' ? source : undefined
  let left: Notes = notes
  const journal: Journal = {
    get notes() {
      return left
    },
    write: async next => {
      left = next
    },
    privateKey: keyless,
    adoptKey: keyless,
  }
  await sourceNamed(context, name).abandon(journal, context.run)
  return isEmpty(left) || name === undefined ? left : { ...left, source: name }
}
