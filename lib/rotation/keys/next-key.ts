import { formatDuration } from '../../base/time.ts'
import type { CertificateDocument, PendingCertificate } from '../../state/documents.ts'
import { generateKey, spkiHash } from '../../x509/key.ts'
import { certificateDocument, type RotationSetup } from '../context.ts'

/**
 * Which key the next certificate has, where devices pin keys. One that is announced lies sealed in the state, with the
 * hash that people were told; a certificate gets exactly that key, or none of this kind.
 */

type Keys = Pick<RotationSetup, 'records' | 'spec' | 'run'>
type NextKey = NonNullable<CertificateDocument['nextKey']>

/** One is present, one announced, one takes the place of one that is lost. */
const PLACES = ['a', 'b', 'c'] as const

/** Ids carry the key type, so that a key of another type is never taken for the present one. */
const idsOf = (keyType: string): readonly string[] => PLACES.map(it => `next-${keyType}-${it}`)
const isOfType = (id: string, keyType: string): boolean =>
  id === `reused-${keyType}` || idsOf(keyType).includes(id)

/** What the sealed key under an id is; null: there is none, or a person called it compromised. */
async function sealedSpki(context: Keys, id: string): Promise<string | null> {
  const { records, spec } = context
  const { bannedKeys } = await certificateDocument(context).get()
  const key = await records.privateKey(spec.name, id)
  const spki = key && spkiHash(key)
  return spki === null || bannedKeys.includes(spki) ? null : spki
}

/** Whether the sealed key is there, and the one that was announced. */
const isWhole = async (context: Keys, { id, spki }: NextKey): Promise<boolean> =>
  (await sealedSpki(context, id)) === spki

/** Whether the key of a pending certificate was announced, and is another by now, or gone. */
export async function isKeyLost(context: Keys, { keyId }: PendingCertificate): Promise<boolean> {
  const { nextKey } = await certificateDocument(context).get()
  return nextKey !== undefined && nextKey.id === keyId && !(await isWhole(context, nextKey))
}

/**
 * Makes the next key and writes down that it is announced, the key first: after a crash between the two the same key
 * is found under the same id. Announced again under another hash only where it is lost.
 */
export async function announceKey(context: Keys, lost: NextKey | null = null): Promise<NextKey | null> {
  const { records, spec, run } = context
  const { keyType, name } = spec
  const { keptKeys, pending, nextKey } = await certificateDocument(context).refresh()
  if (nextKey?.keyType === keyType && nextKey.id !== lost?.id) return nextKey
  const used = [...keptKeys, pending?.keyId, nextKey?.id]
  const id = idsOf(keyType).find(it => !used.includes(it))
  if (id === undefined) return null
  if (nextKey) await records.wipeKey(name, nextKey.id)
  // One that a crash left here is taken, but not one that somebody put back.
  if ((await sealedSpki(context, id)) === null) await records.wipeKey(name, id)
  const key = await records.ensureKey(name, id, () => generateKey(keyType))
  const fresh: NextKey = { id, keyType, spki: spkiHash(key), since: run.clock.now() }
  const after = await certificateDocument(context).update(d => {
    const isTaken = d.keptKeys.includes(id) || d.pending?.keyId === id
    return isTaken || (d.nextKey && d.nextKey.id !== nextKey?.id) ? d : { ...d, nextKey: fresh }
  })
  run.log.info({ certificate: name, spki: fresh.spki }, 'the next key is announced')
  return after.nextKey ?? null
}

/** The id of the key that the next certificate shares with others; nothing: it has one of its own. */
export async function sharedKey(context: Keys): Promise<{ readonly keyId?: string }> {
  const { spec, run } = context
  if (!spec.reuseKey) return {}
  const { keptKeys } = await certificateDocument(context).get()
  const kept = keptKeys.find(id => isOfType(id, spec.keyType))
  const present = kept !== undefined && (await sealedSpki(context, kept)) !== null ? kept : null
  if (typeof spec.reuseKey !== 'object') return { keyId: present ?? `reused-${spec.keyType}` }
  const known = await announceKey(context)
  const next = known && !(await isWhole(context, known)) ? await announceKey(context, known) : known
  const { nextMs } = spec.reuseKey
  if (next === null) return present === null ? {} : { keyId: present }
  const forMs = run.clock.now() - next.since
  if (forMs >= nextMs || present === null) return { keyId: next.id }
  const why = `the next key is announced for ${formatDuration(forMs)} of ${formatDuration(nextMs)}`
  run.log.info({ certificate: spec.name }, `${why}: this certificate keeps the present one`)
  return { keyId: present }
}
