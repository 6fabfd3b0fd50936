import { spawn } from 'node:child_process'
import { access, constants, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { CLI, cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import { createRig, type Rig } from '../support/rig.ts'

/** What a hostile tester did to the built command. */

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.dispose())

const boundNow = (): string | undefined => rig.sandbox.iotda.configurations()[0]?.server_certificate_id

const shell = (script: string): Promise<number | null> =>
  new Promise((resolve, reject) => {
    const env = { ...process.env, CLI, NODE: process.execPath, SETTINGS: rig.settingsFile }
    const child = spawn('bash', ['-c', script], { env, cwd: rig.folder, stdio: 'ignore' })
    child.once('error', reject)
    child.once('close', resolve)
  })

describe('output that cannot be written does not stop a rotation', () => {
  test.each([
    ['a full disk', '"$NODE" "$CLI" rotate --config "$SETTINGS" > /dev/full 2> /dev/full'],
    [
      'a pipe that is closed at once',
      '"$NODE" "$CLI" rotate -v --config "$SETTINGS" 2>&1 | true; exit $PIPESTATUS',
    ],
    [
      'a terminal that goes away',
      '"$NODE" "$CLI" rotate --config "$SETTINGS" & pid=$!; until [ -d state ]; do sleep 0.05; done; kill -HUP $pid; wait $pid',
    ],
  ])('%s', async (_, script) => {
    const { bound } = await fillSlots(rig.sandbox)
    expect(await shell(script)).toBe(0)
    expect(boundNow()).not.toBe(bound)
    expect((await rig.result()).outcome).toBe('idle')
  })
})

test('settings from a pipe have no folder of their own: the state is where one stands', async () => {
  await fillSlots(rig.sandbox)
  expect(await shell('cat "$SETTINGS" | "$NODE" "$CLI" rotate --config /dev/stdin')).toBe(0)
  await expect(access(join(rig.folder, 'state'))).resolves.toBeUndefined()
})

test('a state folder that cannot be made is an error at once', async () => {
  await fillSlots(rig.sandbox)
  await rig.configure(put({ store: { type: 'file', path: '/proc/state' } }))
  const { code, stderr, stdout } = await cli(rig, ['rotate'])
  expect(code).toBe(1)
  expect(stdout + stderr).toContain('/proc/state')
})

test('an empty --config is no leave to use other settings', async () => {
  const { code, stderr } = await cli(rig, ['status', '--config', ''])
  expect(code).toBe(2)
  expect(stderr).toContain('no settings are given')
})

test('the command can be run by its name', async () => {
  await expect(access(CLI, constants.X_OK)).resolves.toBeUndefined()
})

test('the state is lost at the bind and a wrong certificate is served: it is rolled back all the same', async () => {
  const { bound } = await fillSlots(rig.sandbox)
  const day = 86_400_000
  const [from, to] = [new Date(Date.now() - day), new Date(Date.now() + 80 * day)]
  const wrong = await rig.sandbox.ca.issue(['wrong.example.com'], {
    notBefore: from,
    notAfter: to,
    keyType: 'ec-256',
  })
  const state = join(rig.folder, 'state')
  let lost: Promise<void> | null = null
  rig.sandbox.iotda.onBind(() => {
    rig.sandbox.device.switches.serve = boundNow() === bound ? null : wrong
    lost ??= rename(state, `${state}.lost`).then(() => writeFile(state, 'in the way'))
  })
  const result = await rig.result()
  await lost
  expect(boundNow()).toBe(bound)
  expect(result.outcome).toBe('failed')
  expect(result.warnings.map(w => w.code)).toContain('state-not-written')
})
