import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { asRotationError, RotationError } from '../base/rotation-error.ts'
import type { Clock } from '../base/time.ts'
import { awsRefusalOf } from '../clouds/aws/answer.ts'
import { BACK_OFF_MS } from '../clouds/aws/client.ts'
import { allow, prefixOf, textOf } from '../clouds/aws/policy.ts'
import { createSecretsManager, type SecretsManager } from '../clouds/aws/secretsmanager.ts'
import { type AwsSettings, awsSettings } from '../clouds/aws/settings.ts'
import {
  type DriverContext,
  defineStore,
  type RawEntry,
  type StateStore,
  type StoredDocument,
} from '../contracts.ts'
import { newWriter } from './shared/writer.ts'

/**
 * One secret of AWS Secrets Manager for each document; the revision is the id of the version that is AWSCURRENT.
 * A write makes a version under a label of its own, then moves AWSCURRENT from the expected version to it, which
 * the service refuses when AWSCURRENT is elsewhere by then: of two writers exactly one wins.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
 *
 * Every write makes a version, and the service keeps those of the last 24 hours whatever happens: about a
 * hundred writes of one document a day, which is plenty for rotations and too little for a failing run every few
 * minutes. A document holds 64 KB at most. Prefer the s3 store where a bucket can be had.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
 */

const BYTES_AT_MOST = 65_536
const LABEL = 'iotda-cert-written'

const own = {
  /** What every secret's name begins with. */
  prefix: v.optional(
    v.pipe(
      v.string('must be a text'),
      v.regex(/^[\w/+=.@-]{0,300}$/, 'must be letters, digits and /_+=.@- only'),
    ),
    'iotda-cert/',
  ),
}
interface Settings extends AwsSettings {
  readonly prefix: string
}

const conflict = (key: string, cause?: unknown): RotationError =>
  new RotationError('store-conflict', `secretsmanager store: another writer changed ${key}`, {
    cause,
    retry: 'now',
  })

const saysOf = (error: unknown): string => awsRefusalOf(error)?.serviceCode ?? ''

/** The secret has the state "marked for deletion"; the service has no code of its own for it. */
const isBeingDeleted = (error: unknown): boolean =>
  saysOf(error) === 'InvalidRequestException' && /delet/i.test(awsRefusalOf(error)?.serviceMessage ?? '')

const beingDeleted = (what: string, cause: unknown): RotationError =>
  new RotationError('store-unreadable', `secretsmanager store: the secret ${what} is marked for deletion`, {
    cause,
    hint: 'Restore it (RestoreSecret), or wait until it is gone: then what is bound is adopted.',
  })

const tooManyVersions = (what: string, cause: RotationError): RotationError =>
  new RotationError('service-refused', `${cause.message} (secret ${what})`, {
    cause: cause.cause,
    hint: 'The service keeps every version of a secret for 24 hours, and about 100 at most: wait, or use the s3 store.',
  })

const openSecrets = (call: SecretsManager, clock: Clock, nameOf: (key: string) => string) => {
  /** Goes on after what passes by itself: the service deletes a secret some time after it said so. */
  const patiently = async <T>(work: () => Promise<T>, passes: (error: unknown) => boolean): Promise<T> => {
    for (let tried = 0; ; tried += 1) {
      try {
        return await work()
      } catch (error) {
        const pauseMs = BACK_OFF_MS[tried]
        if (pauseMs === undefined || !passes(error)) throw error
        await clock.sleep(pauseMs)
      }
    }
  }

  /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
  const read = async (key: string): Promise<StoredDocument | null> => {
    const name = nameOf(key)
    try {
      const value = await patiently(() => call('GetSecretValue', { SecretId: name }), isBeingDeleted)
      const { SecretString: body, VersionId: revision } = value
      if (typeof body === 'string' && typeof revision === 'string') return { body, revision }
    } catch (error) {
      if (isBeingDeleted(error)) throw beingDeleted(name, error)
      if (saysOf(error) !== 'ResourceNotFoundException') throw error
      if (!/staging label/i.test(awsRefusalOf(error)?.serviceMessage ?? '')) return null
    }
    throw new RotationError('store-unreadable', `secretsmanager store: the secret ${name} holds no text`, {
      retry: 'never',
      hint: 'Somebody made it by hand: remove it, so that the document is made anew.',
    })
  }

  /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html */
  const create = async (key: string, body: string, token: string): Promise<void> => {
    const name = nameOf(key)
    const input = { Name: name, SecretString: body, ClientRequestToken: token }
    await patiently(() => call('CreateSecret', input, 'safe'), isBeingDeleted).catch(error => {
      throw isBeingDeleted(error) ? beingDeleted(name, error) : error
    })
  }

  /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html */
  const addVersion = async (key: string, body: string, token: string): Promise<void> => {
    const input = {
      SecretId: nameOf(key),
      SecretString: body,
      ClientRequestToken: token,
      VersionStages: [LABEL],
    }
    await call('PutSecretValue', input, 'safe').catch(error => {
      throw saysOf(error) === 'LimitExceededException' ? tooManyVersions(nameOf(key), error) : error
    })
  }

  const promote = async (key: string, token: string, expected: string): Promise<void> => {
    await call('UpdateSecretVersionStage', {
      SecretId: nameOf(key),
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: token,
      RemoveFromVersionId: expected,
    })
  }
  return { read, create, addVersion, promote }
}

const createStore = (settings: Settings, context: DriverContext): StateStore => {
  const { clock } = context
  const access = { ...settings, http: context.http(settings.caCertificates), clock, keys: settings }
  const call = createSecretsManager(access, 'secretsmanager store')
  const nameOf = (key: string): string => {
    if (!/^[a-z0-9-]+(\/[a-z0-9-]+)*$/.test(key))
      throw new RotationError('internal', `secretsmanager store: ${JSON.stringify(key)} is no document key`)
    return `${settings.prefix}${key}`
  }
  const { read, create, addVersion, promote } = openSecrets(call, clock, nameOf)

  const write = async (key: string, body: string, expected: string | null): Promise<string> => {
    const name = nameOf(key)
    refuseLarge(name, body)
    // Looked at first, since every version counts: a write that is too late must not make one.
    if (((await read(key))?.revision ?? null) !== expected) throw conflict(key)
    // The id of the version, so that the same call sent again makes no second one.
    const token = randomUUID()
    for (let tried = 0; ; tried += 1) {
      try {
        if (expected === null) await create(key, body, token)
        else {
          await addVersion(key, body, token)
          await promote(key, token, expected)
        }
        return token
      } catch (thrown) {
        const error = asRotationError(thrown)
        if (!isUnclear(error)) throw error
        const now = (await read(key))?.revision ?? null
        if (now === token) return token
        if (now !== expected) throw conflict(key, error)
        const pauseMs = BACK_OFF_MS[tried]
        if (pauseMs === undefined) throw error
        await clock.sleep(pauseMs)
      }
    }
  }

  return {
    writer: newWriter(),
    read,
    write,
    /** Without the days of grace. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html */
    remove: async key => {
      const input = { SecretId: nameOf(key), ForceDeleteWithoutRecovery: true }
      await call('DeleteSecret', input, 'safe').catch(error => {
        if (saysOf(error) !== 'ResourceNotFoundException') throw error
      })
    },
    // The processes of two functions look alike from outside: nobody can tell that one has ended.
    isGone: async () => false,
    ownSealKey: async () => null,
  }
}

/** It may have happened, or somebody else was first; what is there now tells. */
const isUnclear = (error: RotationError): boolean =>
  error.code === 'unavailable' ||
  error.code === 'throttled' ||
  ['ResourceExistsException', 'ResourceNotFoundException', 'InvalidParameterException'].includes(
    saysOf(error),
  )

const refuseLarge = (name: string, body: string): void => {
  const bytes = Buffer.byteLength(body)
  if (bytes <= BYTES_AT_MOST) return
  throw new RotationError(
    'service-refused',
    `secretsmanager store: ${name} would have ${bytes} bytes, and a secret holds ${BYTES_AT_MOST} at most`,
    { retry: 'never', hint: 'Use the s3 store, which has no such limit.' },
  )
}

const secretArn = (entry: RawEntry, name: string, partition: string): string =>
  `arn:${partition}:secretsmanager:${textOf(entry, 'region')}:*:secret:${prefixOf(entry)}${name}`

export default defineStore({
  settings: awsSettings(own),
  create: createStore,
  docs: {
    link: 'https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html',
    says: 'AWS Secrets Manager: `prefix`, `region`, keys',
  },
  permissions: {
    aws: ([entry = {}], { partition }) => [
      allow(
        'State',
        [
          'secretsmanager:GetSecretValue',
          'secretsmanager:CreateSecret',
          'secretsmanager:PutSecretValue',
          'secretsmanager:UpdateSecretVersionStage',
          'secretsmanager:DeleteSecret',
        ],
        [secretArn(entry, '*', partition)],
      ),
    ],
    // The service adds a hyphen and six characters to a name.
    awsRead: (entry, key, { partition }) => [
      allow('LastRun', ['secretsmanager:GetSecretValue'], [secretArn(entry, `${key}-??????`, partition)]),
    ],
  },
})
