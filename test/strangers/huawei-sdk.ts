/** Huawei's Python SDK in a process of its own. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { cleanups } from '../support/cleanups.ts'
import { ROOT } from '../support/modules.ts'

export const SDK_PACKAGES = ['core', 'iotda', 'dns', 'smn', 'csms', 'functiongraph'].map(
  it => `huaweicloudsdk${it}`,
)

export interface SdkKeys {
  readonly accessKey: string
  readonly secretKey: string
  readonly securityToken?: string
}

export interface SdkService {
  readonly service: string
  readonly version: string
  readonly client: string
  readonly endpoint: string
  readonly project: string
  readonly keys: SdkKeys
  /** Signed with a derived key, as the SDK does for what is no host of a public service. */
  readonly derived?: boolean
}

export interface SdkAnswer {
  readonly status?: number
  // biome-ignore lint/suspicious/noExplicitAny: whatever the SDK's models have
  readonly body?: any
  /** What the answer had and the SDK's model has not. */
  readonly unknown?: readonly string[]
  readonly error?: { readonly status: number; readonly code: string; readonly message: string }
}

/** Calls an operation of a service; `request` has the class of each model under `$`. */
export type Sdk = (of: SdkService, operation: string, request: object) => Promise<SdkAnswer>

/** Ended after the test. */
export function startSdk(python: string): Sdk {
  const script = join(ROOT, 'test', 'strangers', 'huawei_sdk.py')
  const child = spawn(python, [script], {
    env: { ...process.env, NO_PROXY: '127.0.0.1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let complaints = ''
  child.stderr.on('data', chunk => {
    complaints += chunk
  })
  const waiting: { resolve: (answer: SdkAnswer) => void; reject: (error: Error) => void }[] = []
  createInterface({ input: child.stdout }).on('line', line => waiting.shift()?.resolve(JSON.parse(line)))
  child.once('close', () => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`the SDK ended: ${complaints}`))
  })
  cleanups.push(() => void child.kill())
  return ({ keys, derived = false, ...of }, operation, request) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
      const asked = { ...of, ...keys, derived, region: 'cn-north-4', operation, request }
      child.stdin.write(`${JSON.stringify(asked)}\n`)
    })
}
