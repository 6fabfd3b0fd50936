import { asRotationError, RotationError } from '../base/rotation-error.ts'
import { seal, unseal } from '../base/seal.ts'
import type { Secret } from '../base/secret.ts'
import type { Settings } from '../config/load.ts'
import type { Run, StateStore } from '../contracts.ts'
import { serviceErrorOf } from '../http/api-call.ts'
import { takeLease } from '../state/lease.ts'
import { rehearseDocuments } from '../state/rehearse.ts'
import { type Finding, looked, ok, warn } from './finding.ts'

interface StoreContext {
  readonly settings: Pick<Settings, 'store'>
  /** Documents are written as a rotation would, and removed. */
  readonly write: boolean
  readonly run: Run
  readonly state: () => Promise<{ readonly store: StateStore }>
}

/** A lease is a document that is made, changed and given back under compare-and-swap: all that a store must do. */
export async function checkStore(context: StoreContext): Promise<readonly Finding[]> {
  const { type } = context.settings.store
  const about = { check: 'store', subject: type }
  const written = await looked(about, () =>
    writtenFindings(context, about).catch(error => {
      if (serviceErrorOf(error)?.code !== 'NoSuchBucket') throw error
      return absentBucket(asRotationError(error), about)
    }),
  )
  const sealed = await looked({ check: 'seal-key', subject: type }, async () => {
    const key = await sealKeyOf(context)
    unseal(key, seal(key, 'test', 'doctor'), 'doctor')
    return ok({ check: 'seal-key', subject: type }, 'private keys can be sealed')
  })
  return [...written, ...sealed]
}

/** Before the first deployment that is how it should be; whoever makes it by hand is in the way of the stack. */
const absentBucket = ({ message }: RotationError, about: { check: string; subject: string }): Finding =>
  warn(
    about,
    message,
    'Nothing to do before the first `osls deploy`, which makes the bucket (do not create it yourself, or deploy with --param stateBucket=existing). Elsewhere create it, or mend bucket in the settings.',
  )

async function writtenFindings(
  { settings, write, run, state }: StoreContext,
  about: { readonly check: string; readonly subject: string },
): Promise<Finding> {
  const { store } = await state()
  const lease = await takeLease(store, 'doctor', run)
  try {
    await lease.guard()
    if (write) await rehearseDocuments(store, await sealKeyOf({ settings, state }), run.runId)
  } finally {
    await lease.release()
  }
  const done = write
    ? 'what a rotation writes is written, read and removed'
    : 'documents are read and written'
  return settings.store.type === 'csms'
    ? warn(about, done, 'This store is for a single writer: max_instance_num must be 1.')
    : ok(about, `${done}, and of two writers one wins`)
}

async function sealKeyOf({ settings, state }: Pick<StoreContext, 'settings' | 'state'>): Promise<Secret> {
  const key = settings.store.sealKey ?? (await (await state()).store.ownSealKey())
  if (key !== null) return key
  throw new RotationError('settings-invalid', 'store.sealKey is not set', {
    retry: 'never',
    hint: 'Set it to a reference to 32 random bytes in base64 (openssl rand -base64 32).',
  })
}
