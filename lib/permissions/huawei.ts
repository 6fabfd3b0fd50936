import { allow, readSecrets, regionOf, urn } from '../clouds/huawei/policy.ts'
import type { HuaweiStatement, RawEntry } from '../contracts.ts'
import { COUNT_ACTION } from '../iotda/client.ts'
import { type Chosen, chosenDrivers, chosenStore } from './chosen.ts'
import { lastRunsOf } from './last-run.ts'
import { asRaw, entriesOf, namesOf } from './raw.ts'

/**
 * An identity policy of Huawei Cloud.
 * https://support.huaweicloud.com/intl/en-us/usermanual-iam5/iam5_01_0025.html
 */
export interface HuaweiPolicy {
  readonly Version: '5.0'
  readonly Statement: readonly HuaweiStatement[]
}

const policyOf = (...groups: readonly (readonly HuaweiStatement[])[]): HuaweiPolicy => ({
  Version: '5.0',
  Statement: groups.flat(),
})

const instanceOf = ({ instance }: RawEntry): string => {
  const raw = asRaw(instance)
  return urn('iotda', regionOf(raw), 'instance', typeof raw.instanceId === 'string' ? raw.instanceId : '*')
}

/** A domain configuration is created where the settings say so, and never deleted. */
function ofTargets(raw: RawEntry): readonly HuaweiStatement[] {
  const targets = entriesOf(raw.targets)
  const creates = targets.some(it => it.domainConfiguration === 'create')
  const counts = targets.some(it => it.devices !== undefined && it.devices !== null)
  const deletes = targets.some(it => asRaw(it.slots).delete !== 'never')
  return [
    allow(
      [
        'iotda:domainconfiguration:queryList',
        'iotda:domainconfiguration:query',
        'iotda:domainconfiguration:update',
        ...(creates ? ['iotda:domainconfiguration:create'] : []),
      ],
      targets.map(instanceOf),
    ),
    // These have no type of resource: what may be done to one instance may be done to all.
    allow(
      [
        'iotda:servercertificate:queryList',
        'iotda:servercertificate:query',
        'iotda:servercertificate:create',
        ...(deletes ? ['iotda:servercertificate:delete'] : []),
      ],
      ['*'],
    ),
    ...(counts ? [allow([COUNT_ACTION], ['*'])] : []),
  ]
}

const statementsOf = (chosen: readonly Chosen[]): readonly HuaweiStatement[] =>
  chosen.flatMap(({ driver, entries }) => driver.permissions?.huawei?.(entries) ?? [])

/** Secrets that the settings name, and the settings themselves where they are one. */
function ofSecrets(raw: RawEntry, config: string | null): readonly HuaweiStatement[] {
  const [, settings] = /^csms:(.+)$/.exec(config ?? '') ?? []
  // Their region is the function's own, which the settings do not say.
  return readSecrets('*', [...namesOf('csms', raw), ...(settings === undefined ? [] : [settings])])
}

/** What the settings need of Huawei Cloud, and nothing else; `config` is where they stand themselves. */
export async function huaweiPolicy(settings: unknown, config: string | null): Promise<HuaweiPolicy> {
  const raw = asRaw(settings)
  return policyOf(
    ofTargets(raw),
    statementsOf(await chosenDrivers(raw, 'solvers')),
    statementsOf(await chosenStore(raw.store)),
    ofSecrets(raw, config),
    statementsOf(await chosenDrivers(raw, 'sources', 'notifiers')),
  )
}

/**
 * What the watchdog's settings need of Huawei Cloud: of the rotator's state the one document that says when it ran.
 * It looks at device ports without any permission.
 */
export async function huaweiWatchPolicy(settings: unknown, config: string | null): Promise<HuaweiPolicy> {
  const raw = asRaw(settings)
  const { store: rotator } = asRaw(raw.rotator)
  return policyOf(
    (await chosenStore(rotator)).flatMap(({ driver, entries: [entry = {}] }) =>
      lastRunsOf(raw).flatMap(key => driver.permissions?.huaweiRead?.(entry, key) ?? []),
    ),
    statementsOf(await chosenStore(raw.store)),
    ofSecrets(raw, config),
    statementsOf(await chosenDrivers(raw, 'notifiers')),
  )
}
