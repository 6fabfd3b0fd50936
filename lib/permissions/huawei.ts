import { READ_SECRET } from '../clouds/huawei/csms.ts'
import type { RawEntry } from '../contracts.ts'
import { type Chosen, chosenDrivers, chosenStore } from './chosen.ts'
import { asRaw, entriesOf, namesOf } from './raw.ts'

/**
 * An identity policy of Huawei Cloud.
 * https://support.huaweicloud.com/intl/en-us/usermanual-iam5/iam5_01_0025.html
 */
export interface HuaweiPolicy {
  readonly Version: '5.0'
  readonly Statement: readonly { readonly Effect: 'Allow'; readonly Action: readonly string[] }[]
}

const policyOf = (...groups: readonly (readonly string[])[]): HuaweiPolicy => ({
  Version: '5.0',
  Statement: groups.filter(it => it.length > 0).map(Action => ({ Effect: 'Allow', Action })),
})

/** A domain configuration is created where the settings say so, and never deleted. */
function ofTargets(raw: RawEntry): readonly string[] {
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

const actionsOf = (chosen: readonly Chosen[]): readonly (readonly string[])[] =>
  chosen.map(({ driver }) => driver.permissions?.huawei ?? [])

/** Those of the store hold what reading a secret takes. */
async function ofSecrets(raw: RawEntry, config: string | null): Promise<readonly string[]> {
  const store = actionsOf(await chosenStore(raw.store)).flat()
  const reads = namesOf('csms', raw).length > 0 || (config ?? '').startsWith('csms:')
  return store.length > 0 ? store : reads ? READ_SECRET : []
}

/** What the settings need of Huawei Cloud, and nothing else; `config` is where they stand themselves. */
export async function huaweiPolicy(settings: unknown, config: string | null): Promise<HuaweiPolicy> {
  const raw = asRaw(settings)
  return policyOf(
    ofTargets(raw),
    ...actionsOf(await chosenDrivers(raw, 'solvers')),
    await ofSecrets(raw, config),
    ...actionsOf(await chosenDrivers(raw, 'sources', 'notifiers')),
  )
}

/** What the watchdog's settings need of Huawei Cloud: it looks at device ports without any permission. */
export async function huaweiWatchPolicy(settings: unknown, config: string | null): Promise<HuaweiPolicy> {
  const raw = asRaw(settings)
  const own = await ofSecrets(raw, config)
  const reading = (await chosenStore(asRaw(raw.rotator).store)).flatMap(
    ({ driver }) => driver.permissions?.huaweiRead ?? [],
  )
  return policyOf(own.length > 0 ? own : reading, ...actionsOf(await chosenDrivers(raw, 'notifiers')))
}
