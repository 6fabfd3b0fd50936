import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ACTIONS } from '../../lib/model/outcomes.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { fillSlots } from '../../sandbox/sandbox.ts'
import { cli, spawnCli } from '../support/command.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { expectNoStackTrace, expectRefusal, stateFiles } from './bad-input.ts'

/** Command lines that are not understood, with settings that are: nothing outside is asked. */

let rig: Rig
beforeAll(async () => {
  rig = await createRig()
  await fillSlots(rig.sandbox)
})
afterAll(() => rig.dispose())
beforeEach(() => rig.sandbox.faults.clearCalls())

const steps = 'Steps: obtain, preflight, free, add, bind, verify.'
const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
  [['frobnicate'], ["unknown command 'frobnicate'"]],
  [['rotat'], ["unknown command 'rotat'", 'Did you mean rotate?']],
  [['rotate', '--frobnicate'], ["unknown option '--frobnicate'"]],
  [['status', '--force'], ["unknown option '--force'"]],
  [['plan', '--until', 'add'], ["unknown option '--until'"]],
  [['rotate', 'factory-1'], ["too many arguments for 'rotate'"]],
  [
    ['rotate', '--target', 'factory-9'],
    ['there is no target "factory-9"', 'factory-1'],
  ],
  [
    ['rotate', '--target', ''],
    ['there is no target ""', 'factory-1'],
  ],
  [
    ['rotate', '--until', 'tuesday'],
    ['"until" names no step', steps],
  ],
  [
    ['rotate', '--until', ''],
    ['"until" names no step', steps],
  ],
  [
    ['rotate', '--accept', 'yes'],
    ['"accept" is no SHA-256 fingerprint', '64 hex digits'],
  ],
  [
    ['rotate', '--accept', ''],
    ['"accept" is no SHA-256 fingerprint', '64 hex digits'],
  ],
  [
    ['rotate', '--accept', 'ab'.repeat(31)],
    ['"accept" is no SHA-256 fingerprint', '64 hex digits'],
  ],
  [['probe', 'iot.example.com', '--target', 'factory-1'], ['HOST and --target are two questions']],
  [['probe', '--sni', 'iot.example.com'], ['--sni is for HOST[:PORT]']],
  [['probe', 'iot.example.com:99999'], ['HOST[:PORT] is not understood']],
  [
    ['probe', '127.0.0.1'],
    ['an IP address says nothing about the name to ask for', '--sni NAME'],
  ],
  [['probe', '127.0.0.1', '--sni', 'a b'], ['--sni is no domain name']],
  [
    ['probe', '127.0.0.1', '--sni', 'iot.example.com', '--profile', 'meter-v9'],
    ['there is no profile "meter-v9"', 'mbedtls-3'],
  ],
  [['revoke'], ['"revoke" names no target']],
  [
    ['revoke', '--target', 'factory-1', '--reason', 'boredom'],
    ['"reason" is none that a CA takes', 'keyCompromise'],
  ],
  [
    ['revoke', '--target', 'factory-1', '--certificate', 'yes'],
    ['"certificate" is no SHA-256 fingerprint', '64 hex digits'],
  ],
  [['account', 'rollover'], ["required option '--source <name>' not specified"]],
  [
    ['account', 'rollover', '--source', 'zerossl'],
    ['there is no source "zerossl"', 'sandbox'],
  ],
]

describe('usage', () => {
  test.each(cases)('%j', async (args, says) => {
    await expectRefusal(rig, { args, code: 'usage', says })
    expect(rig.sandbox.faults.calls).toEqual([])
    expect(await stateFiles(rig)).toEqual(new Map())
  })

  test('an option without its value', async () => {
    const ended = await cli(rig, ['rotate', '--config'])
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain("option '-c, --config <file>' argument missing")
    expect(ended.stdout).toBe('')
  })

  test('no command at all: the help, and exit 2', async () => {
    const ended = await cli(rig, [])
    expect(ended.code).toBe(2)
    expect(ended.stdout).toBe('')
    for (const action of ACTIONS) expect(ended.stderr).toMatch(new RegExp(`^  ${action} `, 'm'))
    expect(rig.sandbox.faults.calls).toEqual([])
  })
})

describe('help', () => {
  test('of the program: every command, and the exit codes', async () => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      const ended = await spawnCli(args, {})
      expectNoStackTrace(ended)
      expect(ended).toMatchObject({ code: 0, stderr: '' })
      expect(ended.stdout).toContain('Usage: iotda-cert')
      for (const action of ACTIONS) expect(ended.stdout).toMatch(new RegExp(`^  ${action} .*\\w`, 'm'))
      expect(ended.stdout).toMatch(/Exit codes: 0 ok .* 1 failed/)
      expect(ended.stdout).toMatch(/2 usage, settings.* 3 suspended or busy/)
    }
  })

  const options: Readonly<Record<(typeof ACTIONS)[number], readonly string[]>> = {
    rotate: ['--force', '--until <step>', '--accept <fingerprint>'],
    plan: ['--force'],
    status: [],
    rollback: ['--accept <fingerprint>'],
    hold: [],
    resume: [],
    revoke: ['--reason <reason>', '--certificate <fingerprint>', '--force'],
    probe: ['--sni <name>', '--profile <name...>'],
  }
  test.each(ACTIONS)('of %s: its options', async action => {
    const ended = await spawnCli([action, '--help'], {})
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    const common = ['--config <file>', '--target <name...>', '--json', '--verbose', '--help']
    for (const option of [...common, ...options[action]]) expect(ended.stdout).toContain(option)
    for (const option of ['--force', '--until', '--accept'])
      expect(ended.stdout.includes(option)).toBe(options[action].some(own => own.startsWith(option)))
  })

  test('the version is that of the package', async () => {
    for (const flag of ['--version', '-V']) {
      const ended = await spawnCli([flag], {})
      expect(ended).toMatchObject({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' })
    }
  })
})
