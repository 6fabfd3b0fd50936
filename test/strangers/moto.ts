/** moto, started for a suite. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Sample } from '../deploy/sample.ts'
import { freePort, startServer } from '../support/stranger-server.ts'
import { pythonVersions, pythonWith, ran } from '../support/strangers.ts'

const run = promisify(execFile)
export const REGION = 'eu-central-1'
export const ENV = { AWS_ACCESS_KEY_ID: 'AKIAMOTO', AWS_SECRET_ACCESS_KEY: 'moto', AWS_REGION: REGION }

const EXTRAS = [
  'server',
  'cloudformation',
  's3',
  'secretsmanager',
  'sns',
  'sqs',
  'acm',
  'route53',
  'awslambda',
]
const PACKAGES = [`moto[${EXTRAS}]==5.2.5`, 'cfn-lint==1.58.0']

export interface Moto {
  readonly url: string
  /** The Python that has boto3 and cfn-lint. */
  readonly python: string
  stop(): Promise<void>
}

/** Fetches it, starts it, and notes what it is for. */
export async function startMoto(what: string): Promise<Moto> {
  const python = await pythonWith(...PACKAGES)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const args = ['-H', '127.0.0.1', '-p', `${port}`]
  const { stop } = await startServer(join(python, '..', 'moto_server'), args, { url })
  await ran('moto', (await pythonVersions(python)).moto ?? '', what)
  return { url, python, stop }
}

/** One call with AWS's own Python client. */
export async function boto(
  { url, python }: Moto,
  service: string,
  operation: string,
  input: object = {},
): Promise<Sample> {
  const script = `
import boto3, json, sys
client = boto3.client(sys.argv[1], endpoint_url=sys.argv[4], region_name='${REGION}')
print(json.dumps(getattr(client, sys.argv[2])(**json.loads(sys.argv[3])), default=str))`
  const args = ['-c', script, service, operation, JSON.stringify(input), url]
  const { stdout } = await run(python, args, { env: { ...process.env, ...ENV } })
  return JSON.parse(stdout)
}
