/** Readers of the JSON and XML that clouds and DNS services answer. */
import { secret } from '../../lib/base/secret.ts'
import { readObject } from '../../lib/clouds/aws/s3.ts'
import { createSecretsManager } from '../../lib/clouds/aws/secretsmanager.ts'
import { createQueue } from '../../lib/clouds/aws/sqs.ts'
import { createHuaweiClient } from '../../lib/clouds/huawei/client.ts'
import { createCsms } from '../../lib/clouds/huawei/csms.ts'
import type { DnsSolver, DriverContext } from '../../lib/contracts.ts'
import type { Http } from '../../lib/http/http.ts'
import { createIotdaClient } from '../../lib/iotda/client.ts'
import alidns from '../../lib/solvers/alidns.ts'
import cloudflare from '../../lib/solvers/cloudflare.ts'
import huaweicloud from '../../lib/solvers/huaweicloud.ts'
import tencentcloud from '../../lib/solvers/tencentcloud.ts'
import type { Reader } from './engine.ts'
import { contextOf, httpOf, runOf } from './outside.ts'

const sample = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

const ID = '5f052ac562369102d42b0fb6'
const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
const certificate = {
  ...{ server_certificate_id: ID, common_name: 'iot.example.com', certificate_owner: 'CN=a' },
  ...{ effective_date: '20261008T132137Z', expiry_date: '20271008T132137Z', certificate_issuer: 'CN=b' },
}
const configuration = {
  ...{ configuration_id: ID, domain_name: 'iot.example.com', access_protocol: 'Device-MQTTS' },
  ...{ server_certificate_id: ID, server_certificate_config: { ocsp_stapling_enable: false } },
}

const huaweiOf = (http: Http, driver: string) => {
  const { clock, huaweiKeys } = contextOf(http)
  const place = { endpoint: 'https://iotda.example', region: 'cn-north-4', projectId: 'p' }
  return { http, clock, keys: () => huaweiKeys('cn'), driver, signing: 'standard' as const, ...place }
}

/** Every one of them, whatever the others do; then the first that failed. */
async function all(work: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const one of work) await one().catch((thrown: unknown) => failures.push(thrown))
  const [worst] = failures.toSorted((a, b) => Number(isInternal(b)) - Number(isInternal(a)))
  if (worst !== undefined) throw worst
}
const isInternal = (thrown: unknown): boolean =>
  ['internal', undefined].includes((thrown as { code?: string }).code)

export const iotda: Reader = {
  name: 'IoTDA: lists, certificates, configurations, errors',
  samples: [
    sample({ server_certificates: [certificate, certificate], page: { count: 2, marker: ID } }),
    sample({ ...certificate, certificate_pem: PEM }),
    sample({ domain_configurations: [configuration], page: { count: 1, marker: ID } }),
    sample(configuration),
    sample({ devices: [], count: 1_204 }),
    sample({ error_code: 'IOTDA.014016', error_msg: 'the certificate does not exist' }),
    sample({ error: { code: 'APIGW.0301', message: 'Incorrect IAM authentication information' } }),
  ],
  read: (input, random) => {
    const client = createIotdaClient(createHuaweiClient(huaweiOf(httpOf(input, random), 'iotda')))
    return all([
      () => client.listServerCertificates(),
      () => client.listDomainConfigurations(),
      () => client.showServerCertificate(ID),
      () => client.showDomainConfiguration(ID),
      () => client.countDevicesOnline(null),
      () => client.addServerCertificate({ certificatePem: PEM, privateKey: secret('key') }),
    ])
  },
}

const awsKeys = { accessKeyId: secret('AK'), secretAccessKey: secret('SK'), sessionToken: null }

export const stores: Reader = {
  name: 'stores: S3, Secrets Manager, CSMS',
  samples: [
    Buffer.from(
      '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message><Region>eu-west-1</Region></Error>',
    ),
    sample({ __type: 'com.amazonaws#ResourceNotFoundException', message: 'no such secret' }),
    sample({ Name: 's', VersionId: 'v', SecretString: '{"a":1}', VersionStages: ['AWSCURRENT'] }),
    sample({ version: { version_metadata: { id: 'v1' }, secret_string: 'text' } }),
    sample({ stage: { version_id: 'v1' } }),
    sample({ error_code: 'CSMS.0106', error_msg: 'not found' }),
  ],
  read: (input, random) => {
    const http = httpOf(input, random)
    const { clock } = contextOf(http)
    const access = { http, clock, keys: awsKeys, region: 'eu-west-1', endpoint: null }
    const csms = createCsms(huaweiOf(http, 'csms store'), 'csms store')
    return all([
      () => readObject('bucket/key', access),
      () => createSecretsManager(access, 'store')('GetSecretValue', { SecretId: 's' }),
      () => csms.latest('s'),
      () => csms.previous('s'),
      () => csms.addVersion('s', 'text'),
    ])
  },
}

export const queue: Reader = {
  name: 'the queue of fan-out',
  samples: [
    sample({ Successful: [{ Id: '0', MessageId: 'a', MD5OfMessageBody: 'b' }] }),
    sample({ Failed: [{ Id: '0', Code: 'InternalError', SenderFault: false }], Successful: [] }),
    sample({ __type: 'com.amazonaws.sqs#QueueDoesNotExist', message: 'no such queue' }),
  ],
  read: async (input, random) => {
    const http = httpOf(input, random)
    const place = { region: 'eu-west-1', endpoint: null, queueUrl: 'https://sqs.example/1/q' }
    const { clock } = contextOf(http)
    const send = createQueue({ http, clock, signal: runOf().signal, keys: awsKeys, ...place })
    const [why] = await send(['{}'])
    if (why !== null && (typeof why !== 'string' || why.length > 1_000)) throw new Error(String(why))
  },
}

const common = { propagation: null, caCertificates: null, ttl: 600 }
const FQDN = '_acme-challenge.iot.example.com.'
/** The zone, say, is real, and the records are not. */
const solving = (
  name: string,
  samples: readonly Buffer[],
  create: (context: DriverContext) => DnsSolver,
): Reader => ({
  name,
  samples,
  read: (input, random) => {
    const solver = create(contextOf(httpOf(input, random, samples)))
    return all([
      () => solver.prepare(FQDN, runOf()),
      () => solver.present(FQDN, 'value', runOf()),
      () => solver.cleanUp(FQDN, 'value', runOf()),
    ])
  },
})

export const solvers: readonly Reader[] = [
  solving(
    'DNS of Cloudflare',
    [
      sample({
        ...{ success: true, errors: [], result_info: { total_pages: 1 } },
        result: [{ id: 'z', name: 'example.com', status: 'active', name_servers: ['a.ns.example'] }],
      }),
      sample({
        success: true,
        result: [{ id: 'r', type: 'TXT', name: FQDN.slice(0, -1), content: '"value"' }],
      }),
      sample({ success: true, result: { id: 'r' } }),
      sample({ success: false, errors: [{ code: 81057, message: 'exists' }], result: null }),
    ],
    context =>
      cloudflare.create(
        { ...common, apiToken: secret('t'), endpoint: 'https://api.example' } as never,
        context,
      ),
  ),
  solving(
    'DNS of Alibaba Cloud',
    [
      sample({
        TotalCount: 1,
        Domains: { Domain: [{ DomainName: 'example.com', PunyCode: 'example.com' }] },
      }),
      sample({
        TotalCount: 1,
        DomainRecords: {
          Record: [{ RecordId: '1', RR: '_acme-challenge.iot', Type: 'TXT', Value: 'value' }],
        },
      }),
      sample({ RecordId: '1' }),
      sample({ Code: 'DomainRecordDuplicate', Message: 'exists' }),
    ],
    context =>
      alidns.create(
        {
          ...{ ...common, accessKeyId: secret('a'), accessKeySecret: secret('b'), securityToken: null },
          endpoint: 'https://api.example',
        } as never,
        context,
      ),
  ),
  solving(
    'DNS of Tencent Cloud',
    [
      sample({
        Response: {
          DomainCountInfo: { DomainTotal: 1 },
          DomainList: [{ DomainId: 1, Name: 'example.com', Punycode: '' }],
        },
      }),
      sample({
        Response: {
          RecordCountInfo: { TotalCount: 1 },
          RecordList: [{ RecordId: 1, Name: '_acme-challenge.iot', Type: 'TXT', Value: 'value' }],
        },
      }),
      sample({ Response: { RecordId: 1 } }),
      sample({ Response: { Error: { Code: 'AuthFailure.SecretIdNotFound', Message: 'no' } } }),
    ],
    context =>
      tencentcloud.create(
        {
          ...{ ...common, secretId: secret('a'), secretKey: secret('b'), token: null },
          endpoint: 'https://api.example',
        } as never,
        context,
      ),
  ),
  solving(
    'DNS of Huawei Cloud',
    [
      sample({ zones: [{ id: 'z', name: 'example.com.', status: 'ACTIVE' }], metadata: { total_count: 1 } }),
      sample({
        recordsets: [
          {
            id: 'r',
            name: FQDN,
            type: 'TXT',
            status: 'ACTIVE',
            ttl: 300,
            records: ['"value"'],
            description: null,
          },
        ],
        metadata: { total_count: 1 },
      }),
      sample({ code: 'DNS.0312', message: 'exists' }),
    ],
    context =>
      huaweicloud.create(
        {
          ...common,
          credentials: 'cn',
          endpoint: 'https://api.example',
          region: null,
          projectId: null,
        } as never,
        context,
      ),
  ),
]
