/** moto, a simulator of AWS that nobody here wrote: whole deployments by osls, and the drivers that talk to AWS. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onAws, type Sample } from '../deploy/sample.ts'
import { type Built, packInto, sharedBuild } from '../support/built.ts'
import { ROOT } from '../support/modules.ts'
import { installInto } from '../support/newcomer.ts'
import { pythonVersions, ran } from '../support/strangers.ts'
import { boto, ENV, type Moto, REGION, startMoto } from './moto.ts'

const run = promisify(execFile)
const OSLS = join(ROOT, 'node_modules', '.bin', 'osls')

let built: Built
let folder: string
let moto: Moto
beforeAll(async () => {
  ;[moto, built] = await Promise.all([
    startMoto('`osls deploy`, again after `remove`, and for a second stage'),
    sharedBuild(),
  ])
  folder = await mkdtemp(join(tmpdir(), 'moto-'))
  await mkdir(join(folder, 'home'))
  const versions = await pythonVersions(moto.python)
  await ran('cfn-lint', versions['cfn-lint'] ?? '', 'the packaged template: no finding')
})
afterAll(async () => {
  await moto.stop()
  await rm(folder, { recursive: true, force: true })
})

/** `osls` as the README has it, against moto; what it says. */
async function osls(args: readonly string[], settings: Sample = onAws()): Promise<string> {
  const file = join(folder, 'settings.json')
  await writeFile(file, JSON.stringify(settings))
  const env = {
    ...{
      PATH: process.env.PATH,
      HOME: join(folder, 'home'),
      OUTDIR: built.folder,
      IOTDA_CERT_SETTINGS: file,
    },
    ...{ ...ENV, AWS_ENDPOINT_URL: moto.url, AWS_EC2_METADATA_DISABLED: 'true', SLS_TELEMETRY_DISABLED: '1' },
  }
  const { stdout, stderr } = await run(OSLS, [...args], { cwd: ROOT, env }).catch(error => error)
  return `${stdout}${stderr}`
}

const bucketsNow = async (): Promise<readonly string[]> =>
  (await boto(moto, 's3', 'list_buckets')).Buckets.map((it: Sample) => it.Name)

describe('a whole deployment', () => {
  const SECRET = Buffer.alloc(32, 7).toString('base64')
  const BUCKET = 'example-iotda-cert-state'

  test('is made, removed, made again beside the bucket that stayed', async () => {
    expect(await osls(['deploy', '--stage', 'prod'])).toContain('Service deployed to stack iotda-cert-prod')
    const { Configuration } = await boto(moto, 'lambda', 'get_function', {
      FunctionName: 'iotda-cert-prod-rotate',
    })
    expect(Configuration).toMatchObject({ Handler: 'lambda.handler', Timeout: 900 })
    expect(await bucketsNow()).toContain(BUCKET)

    expect(await osls(['remove', '--stage', 'prod'])).toContain('has been successfully removed')
    // moto does not know RetainExceptOnCreate: the bucket that AWS keeps is put back.
    if (!(await bucketsNow()).includes(BUCKET))
      await boto(moto, 's3', 'create_bucket', {
        Bucket: BUCKET,
        CreateBucketConfiguration: { LocationConstraint: REGION },
      })
    await boto(moto, 's3', 'put_object', { Bucket: BUCKET, Key: 'iotda-cert/targets/t', Body: 'state' })
    expect(await osls(['deploy', '--stage', 'prod'])).toMatch(/failed to deploy|already|not available/i)
    await osls(['remove', '--stage', 'prod'])
    const again = await osls(['deploy', '--stage', 'prod', '--param', 'stateBucket=existing'])
    expect(again).toContain('Service deployed to stack iotda-cert-prod')
    const kept = await boto(moto, 's3', 'list_objects_v2', { Bucket: BUCKET })
    expect(kept.Contents.map((it: Sample) => it.Key)).toEqual(['iotda-cert/targets/t'])
  }, 240_000)

  const unnamed = onAws(settings => {
    delete settings.store.bucket
    settings.schedule = { fanOut: { type: 'sqs' } }
  })

  test('is made for a second stage with fan-out, and asked by `osls invoke local` for what CloudFormation filled in', async () => {
    expect(await osls(['deploy', '--stage', 'second'], unnamed)).toContain('stack iotda-cert-second')
    expect(await bucketsNow()).toContain(`iotda-cert-second-123456789012-${REGION}`)
    const { EventSourceMappings } = await boto(moto, 'lambda', 'list_event_source_mappings')
    expect(EventSourceMappings).toMatchObject([
      {
        FunctionArn: expect.stringContaining('iotda-cert-second-rotate'),
        EventSourceArn: expect.stringContaining(':iotda-cert-second-RotateQueue-'),
        BatchSize: 1,
        State: 'Enabled',
      },
    ])

    for (const name of ['ak', 'sk', 'seal-key', 'canary'])
      await boto(moto, 'secretsmanager', 'create_secret', {
        Name: `iotda-cert/${name}`,
        SecretString: SECRET,
      })
    const local = ['invoke', 'local', '--stage', 'second', '--function']
    const event = ['--data', '{"action":"status"}']
    const read = await osls([...local, 'rotate', ...event], unnamed)
    // Its state was read; the instance of the sample is nowhere.
    expect(read).toContain('no connection to 0a1b2c3d4e.st1.iotda-app.cn-north-4.myhuaweicloud.com')
    const looked = await osls([...local, 'watch', '--data', '{}'], unnamed)
    expect(looked).toContain('"event": "watch-unreachable"')
    expect(looked).toContain('"undelivered": 0')
  }, 240_000)
})

test('whoever installed the npm package deploys without a clone, and is told what the command line needs', async () => {
  const own = join(folder, 'installed')
  await mkdir(own)
  const cli = await installInto(own, (await packInto(own)).file)
  await symlink(join(ROOT, 'node_modules', 'osls'), join(own, 'node_modules', 'osls'))
  const settings = onAws(it => {
    delete it.store.bucket
  })
  await writeFile(join(own, 'settings.json'), JSON.stringify(settings))
  const env = {
    ...{ PATH: process.env.PATH, HOME: join(folder, 'home'), ...ENV },
    ...{ AWS_ENDPOINT_URL: moto.url, AWS_EC2_METADATA_DISABLED: 'true' },
  }
  const args = ['deploy', 'aws', '--settings', 'settings.json', '--region', REGION, '--stage', 'installed']
  const { stdout, stderr } = await run(process.execPath, [cli, ...args], { cwd: own, env }).catch(
    error => error,
  )
  expect(`${stdout}${stderr}`).toContain('Service deployed to stack iotda-cert-installed')
  expect(stdout).toContain(`IOTDA_CERT_STATE_BUCKET=iotda-cert-installed-ACCOUNT-${REGION}`)
  expect(await bucketsNow()).toContain(`iotda-cert-installed-123456789012-${REGION}`)
  const made = await boto(moto, 'lambda', 'get_function', { FunctionName: 'iotda-cert-installed-rotate' })
  expect(made.Configuration).toMatchObject({ Handler: 'lambda.handler' })
}, 120_000)

test.each([
  ['', onAws()],
  [' with fan-out', onAws(it => Object.assign(it, { schedule: { fanOut: { type: 'sqs' } } }))],
])(
  'cfn-lint finds nothing in the packaged template%s, W8003 included',
  async (_, settings) => {
    const out = join(folder, 'package')
    await osls(['package', '--stage', 'test', '--package', out], settings)
    const template = join(out, 'cloudformation-template-update-stack.json')
    expect(JSON.parse(await readFile(template, 'utf8')).Resources).toHaveProperty('RotateLambdaFunction')
    const { stdout } = await run(join(moto.python, '..', 'cfn-lint'), [template]).catch(error => error)
    expect(stdout.trim()).toBe('')
  },
  120_000,
)
