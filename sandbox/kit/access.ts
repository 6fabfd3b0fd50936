/** What the clouds' access control makes of a call: which actions it needs, and on what. */

/** A statement of an identity policy, of Huawei Cloud or AWS. */
export interface Statement {
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
}

export interface Need {
  readonly action: string
  readonly resource: string
}

/** A call as the sandbox logs it. */
interface Call {
  readonly operation: string
  readonly path: string
  readonly body: string
}

/** Where everything is: a policy may name it, or leave it open. */
const ACCOUNT = '0a1b2c3d4e5f60718293a4b5c6d7e8f9'
const HUAWEI_REGION = 'cn-north-4'
const AWS_REGION = 'eu-central-1'
const INSTANCE = '11111111-2222-3333-4444-555555555555'
const DEFAULT_KEY = '0d0466b0-e727-4d9c-b35d-f84bb474a37f'

const urn = (service: string, type: string, path: string): string =>
  `${service}:${HUAWEI_REGION}:${ACCOUNT}:${type}:${path}`
const jsonOf = ({ body }: Call): Readonly<Record<string, unknown>> =>
  body === '' ? {} : (JSON.parse(body) as Readonly<Record<string, unknown>>)
const segments = ({ path }: Call): readonly string[] =>
  (path.split('?')[0] ?? '').split('/').slice(1).map(decodeURIComponent)

const EVERYTHING = (): string => '*'
const instance = (): string => urn('iotda', 'instance', INSTANCE)
const zone = (call: Call): string => urn('dns', 'zone', segments(call)[2] ?? '')
const csmsSecret = (call: Call): string =>
  urn('csms', 'secretName', segments(call)[3] ?? String(jsonOf(call).name))
const key = (): string => urn('kms', 'KeyId', DEFAULT_KEY)
const object = (call: Call): string => `arn:aws:s3:::${segments(call).join('/')}`
const bucket = (call: Call): string => `arn:aws:s3:::${segments(call)[0]}`
const awsSecret = (call: Call): string => {
  const { SecretId, Name } = jsonOf(call)
  return `arn:aws:secretsmanager:${AWS_REGION}:123456789012:secret:${String(SecretId ?? Name)}-AbC123`
}
const certificate = (call: Call): string => String(jsonOf(call).CertificateArn)

type Needs = readonly (readonly [action: string, resource: (call: Call) => string])[]

/** By the vendors' tables of permissions; a call of nobody's table needs none. */
export const NEEDS: Readonly<Record<string, Needs>> = {
  // https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_0060.html
  'iotda.ListDomainConfigurations': [['iotda:domainconfiguration:queryList', instance]],
  'iotda.ShowDomainConfiguration': [['iotda:domainconfiguration:query', instance]],
  'iotda.CreateDomainConfiguration': [['iotda:domainconfiguration:create', instance]],
  'iotda.UpdateDomainConfiguration': [['iotda:domainconfiguration:update', instance]],
  // Without a type of resource.
  'iotda.ListServerCertificates': [['iotda:servercertificate:queryList', EVERYTHING]],
  'iotda.ShowServerCertificate': [['iotda:servercertificate:query', EVERYTHING]],
  'iotda.CreateServerCertificate': [['iotda:servercertificate:create', EVERYTHING]],
  'iotda.DeleteServerCertificate': [['iotda:servercertificate:delete', EVERYTHING]],
  'iotda.SearchDevices': [['iotda:devices:queryList', EVERYTHING]],
  // https://support.huaweicloud.com/intl/en-us/api-dns/Permission.html
  'huaweidns.ListZones': [['dns:zone:list', EVERYTHING]],
  'huaweidns.ListRecordSets': [['dns:recordset:list', zone]],
  'huaweidns.CreateRecordSet': [['dns:recordset:create', zone]],
  'huaweidns.UpdateRecordSet': [['dns:recordset:update', zone]],
  'huaweidns.DeleteRecordSet': [['dns:recordset:delete', zone]],
  // https://support.huaweicloud.com/intl/en-us/api-dew/CreateSecretVersion.html: KMS in the name of the caller.
  'csms.ShowSecretVersion': [
    ['csms:secret:getVersion', csmsSecret],
    ['kms:cmk:decryptDataKey', key],
  ],
  'csms.ShowSecretStage': [['csms:secret:getStage', csmsSecret]],
  'csms.CreateSecret': [
    ['csms:secret:create', csmsSecret],
    ['kms:cmk:createDataKey', key],
  ],
  'csms.CreateSecretVersion': [
    ['csms:secret:createVersion', csmsSecret],
    ['kms:cmk:createDataKey', key],
  ],
  'csms.DeleteSecret': [['csms:secret:delete', csmsSecret]],
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
  's3.GetObject': [
    ['s3:GetObject', object],
    ['s3:ListBucket', bucket],
  ],
  's3.PutObject': [['s3:PutObject', object]],
  's3.DeleteObject': [['s3:DeleteObject', object]],
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
  'secretsmanager.GetSecretValue': [['secretsmanager:GetSecretValue', awsSecret]],
  'secretsmanager.CreateSecret': [['secretsmanager:CreateSecret', awsSecret]],
  'secretsmanager.PutSecretValue': [['secretsmanager:PutSecretValue', awsSecret]],
  'secretsmanager.UpdateSecretVersionStage': [['secretsmanager:UpdateSecretVersionStage', awsSecret]],
  'secretsmanager.DeleteSecret': [['secretsmanager:DeleteSecret', awsSecret]],
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscertificatemanager.html
  'acm.DescribeCertificate': [['acm:DescribeCertificate', certificate]],
  'acm.ExportCertificate': [['acm:ExportCertificate', certificate]],
}

/** What a call needs; null for one of a service that no policy is about. */
export const needsOf = (call: Call): readonly Need[] | null =>
  NEEDS[call.operation]?.map(([action, resource]) => ({ action, resource: resource(call) })) ?? null

/** `*` stands for any text, `?` for one character. */
const matches = (pattern: string, text: string): boolean => {
  const expression = pattern.replace(/[\\^$.|+()[\]{}]/g, '\\$&').replaceAll('*', '.*')
  return new RegExp(`^${expression.replaceAll('?', '.')}$`, 's').test(text)
}

/** What of a call is not allowed. */
export const refusedOf = (call: Call, statements: readonly Statement[]): readonly Need[] =>
  (needsOf(call) ?? []).filter(
    ({ action, resource }) =>
      !statements.some(
        it => it.Action.includes(action) && it.Resource.some(pattern => matches(pattern, resource)),
      ),
  )
