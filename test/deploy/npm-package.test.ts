/** What `npm pack` makes, installed in an empty folder: the command runs, and nothing else comes with it. */
import { execFile } from 'node:child_process'
import { access, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFunctionGraph } from '../../sandbox/functiongraph.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { packInto } from '../support/built.ts'
import { cleanups } from '../support/cleanups.ts'
import { firstRotation, installInto } from '../support/newcomer.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

let folder: string
let packed: Awaited<ReturnType<typeof packInto>>
let command: string
let cli: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'iotda-cert-npm-'))
  packed = await packInto(folder)
  cli = await installInto(folder, packed.file)
  command = join(folder, 'node_modules', '.bin', 'iotda-cert')
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The installed command, in the folder where it was installed; nothing of this machine's keys. */
const installed = (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; stdout: string; stderr: string }> =>
  run(command, [...args], { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, ...env } }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )

test('it holds what it takes, and brings no other package', async () => {
  const { paths, size } = packed
  expect(paths).toEqual(
    expect.arrayContaining([
      ...['package.json', 'README.md', 'LICENSE', 'dist/cli.mjs', 'settings.schema.json', 'serverless.yml'],
      ...['dist/iotda-cert-lambda.zip', 'dist/whole/iotda-cert-lambda.zip', 'deploy/aws/from-settings.cjs'],
    ]),
  )
  expect(
    paths.filter(path => /\.map$|^(test|sandbox|lib|node_modules)\/|meta\.json$|\.ts$/.test(path)),
  ).toEqual([])
  expect(size).toBeLessThan(4_500_000)
  expect((await readdir(join(folder, 'node_modules'))).filter(name => !name.startsWith('.'))).toEqual([
    'iotda-cert',
  ])
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  expect((await installed(['--version'])).stdout.trim()).toBe(version)
})

test('installed in an empty folder: init, plan, rotate', async () => {
  expect(await firstRotation(process.execPath, cli, folder)).toEqual({
    ...{ planned: 'planned', rotated: 'rotated', isNew: true },
  })
  await access(join(folder, 'node_modules', 'iotda-cert', 'settings.schema.json'))
})

/** Settings by the installed `init`. */
async function initialised(where: string, more: readonly string[] = []): Promise<string> {
  const file = `${where}.json`
  const closed = 'https://127.0.0.1:9'
  const { code, stderr } = await installed([
    ...['init', '--output', file, '--where', where, '--domain', 'iot.example.com', '--endpoint', closed],
    ...['--region', 'cn-north-4', '--project-id', PROJECT, '--email', 'ops@example.com', '--agree-terms'],
    ...['--ca', `${closed}/directory`, '--anyway', ...more],
  ])
  expect({ code, stderr }).toMatchObject({ code: 0 })
  return file
}
const PROJECT = '0123456789abcdef0123456789abcdef'
const MAIL = [
  '--tell',
  'smtp',
  '--set',
  'tell.host=m.example.com',
  'tell.from=a@example.com',
  'tell.to=b@example.com',
]

describe('deploy functiongraph', () => {
  const KEYS = { HUAWEICLOUD_SDK_AK: 'AKDEPLOY', HUAWEICLOUD_SDK_SK: 'SKDEPLOY' }
  const SEAL_KEY = Buffer.alloc(32, 1).toString('base64')
  const deploy = (settings: string, env: Record<string, string>, ...args: string[]) =>
    installed(
      [
        'deploy',
        'functiongraph',
        '--settings',
        settings,
        '--agency',
        'iotda',
        '--region',
        'cn-north-4',
        ...args,
      ],
      env,
    )

  test('without keys: a dry run says what would be made, and what is not set', async () => {
    const settings = await initialised('functiongraph', ['--dns', 'huaweicloud'])
    const { code, stdout, stderr } = await deploy(settings, {}, '--dry-run')
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('env:SEAL_KEY') })
    expect(stdout).toContain('would create the function iotda-cert (')
    expect(stdout).toContain('would add a timer')
    expect((await deploy(settings, {})).code).toBe(2)
  })

  test.each([
    ['what it has lean', 'huaweicloud', []],
    ['a package that only some settings want', 'route53', MAIL],
  ])('it makes the function, with %s', async (_, dns, more) => {
    const keys = new Map([['AKDEPLOY', { secretKey: 'SKDEPLOY' }]])
    const graph = await createFunctionGraph({ faults: createFaults(), keys, projectId: PROJECT })
    cleanups.push(graph.dispose)
    await rm(join(folder, 'functiongraph.json'), { force: true })
    const settings = await initialised('functiongraph', ['--dns', dns, ...more])
    const env = { ...KEYS, SEAL_KEY, AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret' }
    const real = ['--project-id', PROJECT, '--endpoint', graph.url]
    expect((await deploy(settings, env, ...real, '--dry-run')).stdout).toContain('would create')
    expect(graph.functions.size).toBe(0)
    expect(await deploy(settings, env, ...real)).toMatchObject({ code: 0, stderr: '' })
    const [made] = [...graph.functions.values()]
    const zip = join(
      ...[folder, 'node_modules', 'iotda-cert', 'dist', ...(more.length > 0 ? ['whole'] : [])],
      'iotda-cert-functiongraph.zip',
    )
    expect(made?.code.equals(await readFile(zip))).toBe(true)
    expect((await deploy(settings, env, ...real)).stdout).toContain('nothing to do')
  })
})

describe('deploy aws', () => {
  const deploy = (settings: string, ...args: string[]) =>
    installed(['deploy', 'aws', '--settings', settings, '--region', 'eu-central-1', ...args])
  // As `npm install osls` would have it, without a registry.
  beforeAll(() => symlink(join(ROOT, 'node_modules', 'osls'), join(folder, 'node_modules', 'osls')))

  test('a dry run says what would be made, without keys, and leaves nothing behind', async () => {
    const settings = await initialised('aws', ['--dns', 'route53', ...MAIL])
    const before = await readdir(join(folder, 'node_modules', 'iotda-cert'))
    const { code, stdout, stderr } = await deploy(settings, '--dry-run')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^would make {2}Lambda Function +iotda-cert-prod-rotate$/m)
    expect(stdout).toMatch(/^would make {2}S3 Bucket +StateBucket$/m)
    expect(stdout).not.toContain('SNS Subscription')
    expect(stdout).toContain('in the stack iotda-cert-prod in eu-central-1; nothing was made')
    expect(await readdir(join(folder, 'node_modules', 'iotda-cert'))).toEqual(before)
    const other = await deploy(settings, '--dry-run', '--alarm-email', 'a@example.com', '--stage', 'test')
    expect(other.stdout).toMatch(/SNS Subscription[\s\S]*in the stack iotda-cert-test/)
  }, 60_000)

  test('settings that a function on AWS could not follow are refused, in words of its own', async () => {
    const settings = await initialised('here', ['--dns', 'route53'])
    const { code, stderr } = await deploy(settings, '--dry-run')
    expect([code, stderr.split('\n').slice(0, 3)]).toEqual([
      2,
      [
        'error  settings-invalid: the settings refer to env:HUAWEICLOUD_SDK_AK, env:HUAWEICLOUD_SDK_SK: put the value into Secrets Manager and write awssm:NAME',
        'store.type "file" is not for a function: use s3 or secretsmanager',
        '',
      ],
    ])
  })

  test('what is missing is said', async () => {
    expect((await installed(['deploy', 'aws'])).stderr).toContain('--settings is not given')
    expect((await deploy('none.json')).stderr).toContain('there is no file none.json')
  })

  test('it is the osls that the tests run', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'node_modules', 'osls', 'package.json'), 'utf8'))
    expect((await installed(['deploy', 'aws', '--help'])).stdout).toContain(`osls@${version}`)
  })
})

test.each(['bash', 'zsh', 'fish'])('completion of %s names every command, and their options', async shell => {
  const { stdout } = await run(process.execPath, [cli, 'completion', shell])
  for (const word of ['rotate', 'rollout', 'init', 'force', 'resume', 'config'])
    expect(stdout).toContain(word)
  if (shell !== 'bash') return
  const asked = 'COMP_WORDS=(iotda-cert rot); COMP_CWORD=1; _iotda_cert; echo $COMPREPLY'
  expect((await run('bash', ['-c', `${stdout}\n${asked}`])).stdout.trim()).toBe('rotate')
})

test('colours go nowhere but to a terminal', async () => {
  const { stdout } = await run(process.execPath, [join(ROOT, 'dist', 'cli.mjs'), '--help'])
  expect(stdout).not.toContain('\x1b')
})
