/** `npx osls invoke local`, as the documents say, on the sandbox. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { sharedBuild } from '../support/built.ts'
import { cleanups } from '../support/cleanups.ts'
import { openFunctionRig } from '../support/function-rig.ts'
import { ROOT } from '../support/modules.ts'

const OSLS = join(ROOT, 'node_modules', '.bin', 'osls')

test('osls invoke local: the handler was looked for beside serverless.yml, and was not found', async () => {
  const [rig, built] = await Promise.all([openFunctionRig(), sharedBuild()])
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-local-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'settings.json')
  await writeFile(file, rig.config())
  const event = JSON.stringify({ action: 'rotate', force: true })
  const args = ['invoke', 'local', '--function', 'rotate', '--stage', 'test', '--data', event]
  const env = {
    ...{ PATH: process.env.PATH, HOME: folder, OUTDIR: built.folder, IOTDA_CERT_SETTINGS: file },
    ...{ AWS_EC2_METADATA_DISABLED: 'true', SLS_TELEMETRY_DISABLED: '1' },
  }
  const { stdout } = await promisify(execFile)(OSLS, args, { cwd: ROOT, env })
  // The answer comes after the lines of the log, and is printed over several.
  const answer = JSON.parse(stdout.slice(stdout.indexOf('\n{\n') + 1))
  expect(answer).toMatchObject({ ok: true, results: [{ target: 'factory-1', outcome: 'rotated' }] })
  expect(rig.changes()).toContain('UpdateDomainConfiguration')
})
