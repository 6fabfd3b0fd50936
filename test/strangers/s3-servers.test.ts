/** Object stores that nobody here wrote, under the store contract: Versity's gateway, which keeps objects as files. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { createAwsClient } from '../../lib/clouds/aws/client.ts'
import { objectUrl } from '../../lib/clouds/aws/s3.ts'
import s3 from '../../lib/stores/s3.ts'
import { storeContract } from '../contract/store.ts'
import { contextWith, forChild, REGION } from '../stores/cloud.ts'
import { freePort, startServer } from '../support/stranger-server.ts'
import { goProgram, ran } from '../support/strangers.ts'

const VERSION = 'v1.8.0'
const KEY = 'AKIAVERSITY000000001'
const SECRET = 'versity-secret-key-000000000000000000001'

let folder: string
let url: string
let stop: () => Promise<void>
beforeAll(async () => {
  const program = await goProgram('versitygw', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`)
  folder = await mkdtemp(join(tmpdir(), 'versitygw-'))
  await mkdir(join(folder, 'data'))
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  const access = ['--access', KEY, '--secret', SECRET, '--region', REGION]
  const args = [...access, '--port', `127.0.0.1:${port}`, '--quiet', 'posix', join(folder, 'data')]
  ;({ stop } = await startServer(program, args, { url }))
  await ran('versitygw', VERSION, 'the store `s3`: contract, 200 races, killed writers')
})
afterAll(async () => {
  await stop()
  await rm(folder, { recursive: true, force: true })
})

let buckets = 0
const settingsOf = (bucket: string) => ({
  region: REGION,
  endpoint: url,
  accessKeyId: secret(KEY),
  secretAccessKey: secret(SECRET),
  sessionToken: null,
  caCertificates: null,
  bucket,
  prefix: 'iotda-cert/',
})

async function newBucket() {
  const { context, close } = contextWith()
  buckets += 1
  const settings = settingsOf(`state-${buckets}`)
  const client = createAwsClient({
    http: context.http(null),
    clock: context.clock,
    keys: settings,
    region: REGION,
    service: 's3',
    driver: 'test',
  })
  await client({
    operation: 'CreateBucket',
    method: 'PUT',
    url: objectUrl(settings, '').replace(/\/$/, ''),
    retry: 'never',
    permission: '',
  })
  return { settings, context, close }
}

storeContract(
  's3 on versitygw',
  async () => {
    const { settings, context, close } = await newBucket()
    return { open: async () => s3.create(settings, context), settings: forChild(settings), dispose: close }
  },
  'lib/stores/s3.ts',
)
