import { asRaw, entriesOf, namesOf, type Raw } from './raw.ts'

/**
 * An identity policy of Huawei Cloud.
 * https://support.huaweicloud.com/intl/en-us/usermanual-iam5/iam5_01_0025.html
 */
export interface HuaweiPolicy {
  readonly Version: '5.0'
  readonly Statement: readonly { readonly Effect: 'Allow'; readonly Action: readonly string[] }[]
}

/** A domain configuration is created where the settings say so, and never deleted. */
function ofTargets(raw: Raw): readonly string[] {
  const targets = entriesOf(raw.targets)
  const creates = targets.some(it => it.domainConfiguration === 'create')
  const deletes = targets.some(it => asRaw(it.slots).delete !== 'never')
  return [
    'iotda:domainconfiguration:queryList',
    'iotda:domainconfiguration:query',
    'iotda:domainconfiguration:update',
    ...(creates ? ['iotda:domainconfiguration:create'] : []),
    'iotda:servercertificate:queryList',
    'iotda:servercertificate:query',
    'iotda:servercertificate:create',
    ...(deletes ? ['iotda:servercertificate:delete'] : []),
  ]
}

const DNS = [
  'dns:zone:list',
  'dns:recordset:list',
  'dns:recordset:create',
  'dns:recordset:update',
  'dns:recordset:delete',
]

const CSMS_STATE = [
  'csms:secret:getVersion',
  'csms:secret:getStage',
  'csms:secret:create',
  'csms:secret:createVersion',
  'csms:secret:delete',
]
/** CSMS seals and opens with a key of KMS in the name of the caller. */
const KMS_READ = ['kms:cmk:decryptDataKey']
const KMS_WRITE = ['kms:cmk:createDataKey']

function ofSecrets(raw: Raw, config: string | null): readonly string[] {
  if (asRaw(raw.store).type === 'csms') return [...CSMS_STATE, ...KMS_READ, ...KMS_WRITE]
  const reads = namesOf('csms', raw).length > 0 || (config ?? '').startsWith('csms:')
  return reads ? ['csms:secret:getVersion', ...KMS_READ] : []
}

const uses = (raw: Raw, section: 'solvers' | 'notifiers', type: string): boolean =>
  entriesOf(raw[section]).some(it => it.type === type)

/** What the settings need of Huawei Cloud, and nothing else; `config` is where they stand themselves. */
export function huaweiPolicy(settings: unknown, config: string | null): HuaweiPolicy {
  const raw = asRaw(settings)
  const groups = [
    ofTargets(raw),
    uses(raw, 'solvers', 'huaweicloud') ? DNS : [],
    ofSecrets(raw, config),
    uses(raw, 'notifiers', 'smn') ? ['smn:topic:publish'] : [],
  ]
  return {
    Version: '5.0',
    Statement: groups.filter(it => it.length > 0).map(Action => ({ Effect: 'Allow', Action })),
  }
}

/** What the watchdog's settings need of Huawei Cloud: it looks at device ports without any permission. */
export function huaweiWatchPolicy(settings: unknown, config: string | null): HuaweiPolicy {
  const raw = asRaw(settings)
  const isRead = asRaw(asRaw(raw.rotator).store).type === 'csms'
  const groups = [
    isRead && asRaw(raw.store).type !== 'csms'
      ? ['csms:secret:getVersion', ...KMS_READ]
      : ofSecrets(raw, config),
    uses(raw, 'notifiers', 'smn') ? ['smn:topic:publish'] : [],
  ]
  return {
    Version: '5.0',
    Statement: groups.filter(it => it.length > 0).map(Action => ({ Effect: 'Allow', Action })),
  }
}
