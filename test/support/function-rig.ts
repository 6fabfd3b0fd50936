/** A sandbox whose state is in a bucket, for functions: their own disk keeps nothing. */
import { randomBytes } from 'node:crypto'
import { type Sandbox, type SandboxSettings, startSandbox } from '../../sandbox/sandbox.ts'
import { createS3, type S3 } from '../../sandbox/stores/s3.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, REGION } from '../stores/cloud.ts'
import { cleanups } from './cleanups.ts'

export interface FunctionRig {
  readonly sandbox: Sandbox
  readonly bucket: S3
  /** Settings in one text, as IOTDA_CERT_CONFIG may hold them. */
  config(change?: (settings: SandboxSettings) => void): string
  boundId(): string | undefined
  /** Names of the calls that changed IoTDA. */
  changes(): readonly string[]
}

const DAY_MS = 86_400_000

/** The bound certificate ends in so many days. EC keys, and a quick verify. */
export async function openFunctionRig(daysLeft = 5): Promise<FunctionRig> {
  const sandbox = await startSandbox()
  const { faults, iotda, ca, domain } = sandbox
  const bucket = await createS3({ faults, keys: awsKeys, bucket: 'state' })
  cleanups.push(sandbox.dispose, bucket.dispose)
  const issue = (fromDays: number, untilDays: number) =>
    ca.issue([domain], {
      notBefore: new Date(Date.now() + fromDays * DAY_MS),
      notAfter: new Date(Date.now() + untilDays * DAY_MS),
      keyType: 'ec-256',
    })
  const [older, newer] = [await issue(-145, -55), await issue(daysLeft - 90, daysLeft)]
  iotda.upload(older.certPem, older.keyPem)
  iotda.createConfiguration(domain, iotda.upload(newer.certPem, newer.keyPem))
  const sealKey = randomBytes(32).toString('base64')
  const place = { type: 's3', bucket: 'state', endpoint: bucket.url, region: REGION }
  const keys = { accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }
  return {
    sandbox,
    bucket,
    config: change =>
      JSON.stringify(
        sandbox.settings(settings => {
          Object.assign(settings.targets[0].probe, { within: '5s', steady: 2 })
          settings.store = { ...place, ...keys, sealKey }
          change?.(settings)
        }),
      ),
    boundId: () => iotda.configurations()[0]?.server_certificate_id,
    changes: () =>
      faults.calls
        .filter(({ operation, method }) => operation.startsWith('iotda.') && method !== 'GET')
        .map(({ operation }) => operation.slice('iotda.'.length)),
  }
}

/** As Lambda gives it to a handler. https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html */
export const lambdaContext = (requestId: string, remainingMs = 900_000, startedAt = Date.now()) => ({
  functionName: 'iotda-cert',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:iotda-cert',
  memoryLimitInMB: '256',
  awsRequestId: requestId,
  logGroupName: '/aws/lambda/iotda-cert',
  logStreamName: '2026/06/15/[$LATEST]0123456789abcdef0123456789abcdef',
  callbackWaitsForEmptyEventLoop: true,
  getRemainingTimeInMillis: () => remainingMs - (Date.now() - startedAt),
})

export interface GraphOptions {
  readonly userData?: Readonly<Record<string, string>>
  readonly keys?: { readonly accessKey: string; readonly secretKey: string; readonly securityToken: string }
  readonly remainingMs?: number
  readonly projectId?: string
}

/** As FunctionGraph gives it. https://support.huaweicloud.com/devg-functiongraph/functiongraph_02_0410.html */
export const graphContext = (requestId: string, options: GraphOptions = {}, startedAt = Date.now()) => {
  const { userData = {}, keys, remainingMs = 900_000, projectId } = options
  return {
    getRequestID: () => requestId,
    getRemainingTimeInMilliSeconds: () => remainingMs - (Date.now() - startedAt),
    getRunningTimeInSeconds: () => 900,
    getFunctionName: () => 'iotda-cert',
    getVersion: () => 'latest',
    getMemorySize: () => 256,
    getCPUNumber: () => 300,
    getPackage: () => 'default',
    getAlias: () => '',
    getToken: () => '',
    getUserData: (name: string) => userData[name] ?? '',
    getLogger: () => ({ info: () => {} }),
    getAccessKey: () => 'no longer kept up',
    getSecretKey: () => 'no longer kept up',
    getSecurityAccessKey: () => keys?.accessKey ?? '',
    getSecuritySecretKey: () => keys?.secretKey ?? '',
    getSecurityToken: () => keys?.securityToken ?? '',
    ...(projectId === undefined ? {} : { getProjectID: () => projectId }),
  }
}
