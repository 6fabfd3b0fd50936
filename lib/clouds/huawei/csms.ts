import * as v from 'valibot'
import { RotationError } from '../../base/rotation-error.ts'
import type { Clock } from '../../base/time.ts'
import type { HuaweiKeys } from '../../contracts.ts'
import { serviceErrorOf } from '../../http/api-call.ts'
import type { Http } from '../../http/http.ts'
import { createHuaweiClient, type HuaweiClient } from './client.ts'
import { isUnknownPath } from './refusal.ts'

/** Secrets of Huawei Cloud's Cloud Secret Management Service (CSMS, part of DEW). */
export interface Csms {
  /** Null when there is no such secret. @throws RotationError `store-unreadable` when it is scheduled for deletion */
  latest(name: string): Promise<SecretVersion | null>
  /** Makes a secret; the id of its first version. */
  create(name: string, text: string): Promise<string>
  /** Makes the next version, the current one from then on; its id. */
  addVersion(name: string, text: string): Promise<string>
  /** The version that was current before; null when there is none. */
  previous(name: string): Promise<string | null>
  /** At once, not after days of grace; succeeds when it is gone, or scheduled for deletion. */
  remove(name: string): Promise<void>
}

export interface SecretVersion {
  /** `v1`, `v2`, … in the order in which they were made. */
  readonly id: string
  /** Null when the secret is binary. */
  readonly text: string | null
}

export interface CsmsAccess {
  readonly http: Http
  readonly clock: Clock
  readonly keys: () => Promise<HuaweiKeys>
  readonly region: string
  readonly projectId: string
  /** Null: the region's own. */
  readonly endpoint: string | null
}

// https://support.huaweicloud.com/intl/en-us/api-dew/ErrorCode.html: some of them come with HTTP 400.
const ABSENT = new Set(['CSMS.0005', 'CSMS.0106'])
const SCHEDULED = new Set(['CSMS.0103', 'CSMS.0107'])

const isAbsent = (error: unknown): boolean => {
  const said = serviceErrorOf(error)
  if (said === null || isScheduled(error)) return false
  return ABSENT.has(said.code ?? '') || (said.status === 404 && !isUnknownPath(said.code))
}
const isScheduled = (error: unknown): boolean => SCHEDULED.has(serviceErrorOf(error)?.code ?? '')

const metadata = v.object({ id: v.pipe(v.string(), v.minLength(1)) })
const shown = v.object({
  version: v.object({ version_metadata: metadata, secret_string: v.nullish(v.string()) }),
})
const made = v.object({ version_metadata: metadata })
const staged = v.object({ stage: v.object({ version_id: v.string() }) })

/** `driver` begins every message, e.g. `csms store`. */
export function createCsms({ endpoint, ...access }: CsmsAccess, driver: string): Csms {
  const client: HuaweiClient = createHuaweiClient({
    ...access,
    endpoint: endpoint ?? `https://csms.${access.region}.myhuaweicloud.com`,
    signing: 'standard',
    driver,
  })
  const root = `/v1/${encodeURIComponent(access.projectId)}/secrets`
  const at = (name: string): string => `${root}/${encodeURIComponent(name)}`

  /** https://support.huaweicloud.com/intl/en-us/api-dew/ShowSecretVersion.html */
  const latest: Csms['latest'] = async name => {
    try {
      const { version } = await client.call({
        operation: 'ShowSecretVersion',
        method: 'GET',
        path: `${at(name)}/versions/latest`,
        isConfidential: true,
        iamAction: 'csms:secret:getVersion',
        expect: shown,
      })
      return { id: version.version_metadata.id, text: version.secret_string ?? null }
    } catch (error) {
      if (isAbsent(error)) return null
      if (!isScheduled(error)) throw error
      throw new RotationError('store-unreadable', `${driver}: secret ${name} is scheduled for deletion`, {
        cause: error,
        hint: 'Cancel its deletion in the CSMS console, or delete it at once, so that it can be made anew.',
      })
    }
  }
  return {
    latest,
    /** https://support.huaweicloud.com/intl/en-us/api-dew/CreateSecret.html */
    create: async (name, text) => {
      await client.call({
        operation: 'CreateSecret',
        method: 'POST',
        path: root,
        body: { name, secret_string: text, description: 'State of iotda-cert.' },
        isConfidential: true,
        iamAction: 'csms:secret:create',
      })
      return 'v1'
    },
    /** https://support.huaweicloud.com/intl/en-us/api-dew/CreateSecretVersion.html */
    addVersion: async (name, text) => {
      const answer = await client.call({
        operation: 'CreateSecretVersion',
        method: 'POST',
        path: `${at(name)}/versions`,
        body: { secret_string: text, version_stages: ['SYSCURRENT'] },
        isConfidential: true,
        iamAction: 'csms:secret:createVersion',
        expect: made,
      })
      return answer.version_metadata.id
    },
    /** https://support.huaweicloud.com/intl/en-us/api-dew/ShowSecretStage.html */
    previous: async name => {
      const call = {
        operation: 'ShowSecretStage',
        method: 'GET',
        path: `${at(name)}/stages/SYSPREVIOUS`,
        iamAction: 'csms:secret:getStage',
        expect: staged,
      } as const
      const answer = await client.call(call).catch(error => {
        if (isAbsent(error)) return null
        throw error
      })
      return answer?.stage.version_id ?? null
    },
    /** https://support.huaweicloud.com/intl/en-us/api-dew/DeleteSecret.html */
    remove: async name => {
      const call = {
        operation: 'DeleteSecret',
        method: 'DELETE',
        path: at(name),
        retry: 'safe',
        iamAction: 'csms:secret:delete',
      } as const
      await client.call(call).catch(error => {
        if (!isAbsent(error) && !isScheduled(error)) throw error
      })
    },
  }
}

/** The latest text of a secret. @throws RotationError */
export async function readCsms(name: string, access: CsmsAccess): Promise<string> {
  const driver = `csms:${name}`
  const version = await createCsms(access, driver).latest(name)
  if (version?.text) return version.text
  const why = version ? 'the secret is binary or empty' : 'there is no such secret in this region and project'
  throw new RotationError('settings-invalid', `${driver}: ${why}`, { retry: 'never' })
}
