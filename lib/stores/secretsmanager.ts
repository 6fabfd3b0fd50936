import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { RotationError } from '../base/rotation-error.ts'
import { allow, prefixOf, textOf } from '../clouds/aws/policy.ts'
import { createSecretsManager } from '../clouds/aws/secretsmanager.ts'
import { type AwsSettings, awsSettings } from '../clouds/aws/settings.ts'
import {
  type DriverContext,
  defineStore,
  type PolicyContext,
  type RawEntry,
  type StateStore,
} from '../contracts.ts'
import { serviceErrorOf, serviceSays } from '../http/api-call.ts'
import { conditionalStore, PAUSES_MS } from './shared/conditional-store.ts'

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
const DRIVER = 'secretsmanager store'
const PREFIX = 'iotda-cert-state/'

const own = {
  /** What every secret's name begins with; no other secret's should, since the store may overwrite and delete them. */
  prefix: v.optional(
    v.pipe(
      v.string('must be a text'),
      v.regex(/^[\w/+=.@-]{0,300}$/, 'must be letters, digits and /_+=.@- only'),
    ),
    PREFIX,
  ),
}
interface Settings extends AwsSettings {
  readonly prefix: string
}

const saysOf = (error: unknown): string => serviceErrorOf(error)?.code ?? ''

/** The secret has the state "marked for deletion"; the service has no code of its own for it. */
const isBeingDeleted = (error: unknown): boolean =>
  saysOf(error) === 'InvalidRequestException' && serviceSays(error, /delet/i)

const beingDeleted = (what: string, cause: unknown): RotationError =>
  new RotationError('store-unreadable', `${DRIVER}: the secret ${what} is marked for deletion`, {
    cause,
    hint: 'Restore it (RestoreSecret), or wait until it is gone: then what is bound is adopted.',
  })

const tooManyVersions = (what: string, cause: RotationError): RotationError =>
  new RotationError('service-refused', `${cause.message} (secret ${what})`, {
    cause: cause.cause,
    hint: 'The service keeps every version of a secret for 24 hours, and about 100 at most: wait, or use the s3 store.',
  })

const DISPUTED = ['ResourceExistsException', 'ResourceNotFoundException', 'InvalidParameterException']

const create = (settings: Settings, context: DriverContext): StateStore => {
  const { clock } = context
  const access = { ...settings, http: context.http(settings.caCertificates), clock, keys: settings }
  const call = createSecretsManager(access, DRIVER)

  /** Waits for what passes by itself: the service deletes a secret some time after it said so. */
  const onceDeleted = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    for (let tried = 0; ; tried += 1) {
      try {
        return await work()
      } catch (error) {
        if (!isBeingDeleted(error)) throw error
        const pauseMs = PAUSES_MS[tried]
        if (pauseMs === undefined) throw beingDeleted(name, error)
        await clock.sleep(pauseMs)
      }
    }
  }

  return conditionalStore(
    {
      driver: DRIVER,
      place: `secretsmanager/${settings.region}/${settings.prefix}`,
      nameOf: key => `${settings.prefix}${key}`,
      /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
      read: async name => {
        try {
          const value = await onceDeleted(name, () => call('GetSecretValue', { SecretId: name }))
          const { SecretString: body, VersionId: revision } = value
          if (typeof body === 'string' && typeof revision === 'string')
            return { body, revision, token: revision }
        } catch (error) {
          if (saysOf(error) !== 'ResourceNotFoundException') throw error
          if (!serviceSays(error, /staging label/i)) return null
        }
        throw new RotationError('store-unreadable', `${DRIVER}: the secret ${name} holds no text`, {
          retry: 'never',
          hint: 'Somebody made it by hand: remove it, so that the document is made anew.',
        })
      },
      // The token becomes the id of the version, so that the same call sent again makes no second one.
      mark: body => ({ token: randomUUID(), text: body }),
      write: async ({ name, text, token, expected }) => {
        const secret = { SecretString: text, ClientRequestToken: token }
        if (expected === null) {
          /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html */
          await onceDeleted(name, () => call('CreateSecret', { Name: name, ...secret }, 'safe'))
          return token
        }
        /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html */
        const version = { SecretId: name, ...secret, VersionStages: [LABEL] }
        await call('PutSecretValue', version, 'safe').catch(error => {
          throw saysOf(error) === 'LimitExceededException' ? tooManyVersions(name, error) : error
        })
        await call('UpdateSecretVersionStage', {
          SecretId: name,
          VersionStage: 'AWSCURRENT',
          MoveToVersionId: token,
          RemoveFromVersionId: expected,
        })
        return token
      },
      /** Without the days of grace. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html */
      remove: async name => {
        const input = { SecretId: name, ForceDeleteWithoutRecovery: true }
        await call('DeleteSecret', input, 'safe').catch(error => {
          if (saysOf(error) !== 'ResourceNotFoundException') throw error
        })
      },
      isDisputed: error => DISPUTED.includes(saysOf(error)),
      limit: { bytes: BYTES_AT_MOST, hint: 'Use the s3 store, which has no such limit.' },
      // Every version counts.
      looksFirst: true,
    },
    clock,
  )
}

const secretArn = (entry: RawEntry, name: string, { partition, region, account }: PolicyContext): string =>
  `arn:${partition}:secretsmanager:${textOf(entry, 'region', region)}:${account}:secret:${prefixOf(entry, PREFIX)}${name}`

export default defineStore({
  settings: awsSettings(own, 'SECRETS_MANAGER'),
  create,
  docs: {
    link: 'https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html',
    says: 'AWS Secrets Manager: `prefix`, `region`, keys',
  },
  permissions: {
    aws: ([entry = {}], context) => [
      allow(
        'State',
        [
          'secretsmanager:GetSecretValue',
          'secretsmanager:CreateSecret',
          'secretsmanager:PutSecretValue',
          'secretsmanager:UpdateSecretVersionStage',
          'secretsmanager:DeleteSecret',
        ],
        [secretArn(entry, '*', context)],
      ),
    ],
    // The service adds a hyphen and six characters to a name.
    awsRead: (entry, key, context) => [
      allow('LastRun', ['secretsmanager:GetSecretValue'], [secretArn(entry, `${key}-??????`, context)]),
    ],
  },
})
