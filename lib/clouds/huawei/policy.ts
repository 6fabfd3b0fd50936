import type { HuaweiStatement, RawEntry } from '../../contracts.ts'

/** What may be done to what; a resource that several entries name is named once. */
export const allow = (Action: readonly string[], Resource: readonly string[]): HuaweiStatement => ({
  Effect: 'Allow',
  Action,
  Resource: [...new Set(Resource)],
})

/**
 * `service:region:account:type:path`; nobody has to look up the account, and a policy grants nothing outside of it.
 * https://support.huaweicloud.com/intl/en-us/usermanual-iam5/iam_01_1275.html
 */
export const urn = (service: string, region: string, type: string, path: string): string =>
  `${service}:${region}:*:${type}:${path}`

/** The region of an entry, or any. */
export const regionOf = ({ region }: RawEntry): string =>
  typeof region === 'string' && region !== '' ? region : '*'

/** Secrets of CSMS by name; `*` ends a name that is only begun. */
export const secrets = (region: string, names: readonly string[]): readonly string[] =>
  names.map(name => urn('csms', region, 'secretName', name))

/** The service seals with a key of KMS in the name of the caller; which one, no setting says: it is the default key. */
export const sealingKeys = (region: string): readonly string[] => [urn('kms', region, 'KeyId', '*')]

/** What reading secrets takes. https://support.huaweicloud.com/intl/en-us/api-dew/ShowSecretVersion.html */
export const readSecrets = (region: string, names: readonly string[]): readonly HuaweiStatement[] =>
  names.length === 0
    ? []
    : [
        allow(['csms:secret:getVersion'], secrets(region, names)),
        allow(['kms:cmk:decryptDataKey'], sealingKeys(region)),
      ]
