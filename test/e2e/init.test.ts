/** `iotda-cert init`: options of a script, and a person at a pseudo-terminal (of python3). */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { driverSchemas } from '../../lib/app/drivers.ts'
import { loadSettings } from '../../lib/config/load.ts'
import { fillSlots, startSandbox } from '../../sandbox/sandbox.ts'
import { CLI, spawnCli } from '../support/command.ts'
import { atTerminal } from '../support/pty.ts'

let folder = ''
let file = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'iotda-cert-init-'))
  file = join(folder, 'settings.json')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Nothing listens there: what cannot be reached is said. */
const CLOSED = 'https://127.0.0.1:9'
const OPTIONS = [
  ...['--domain', 'iot.example.com', '--endpoint', CLOSED, '--region', 'cn-north-4'],
  ...[
    '--dns',
    'cloudflare',
    '--email',
    'ops@example.com',
    '--ca',
    `${CLOSED}/directory`,
    '--devices',
    'esp-idf',
  ],
]
const NO_KEYS = { HUAWEICLOUD_SDK_AK: '', HUAWEICLOUD_SDK_SK: '' }
const init = (...args: string[]) => spawnCli(['init', '-o', file, ...args], NO_KEYS)

/** Types each line when a question is there. */
const typed = (lines: readonly string[], ...args: string[]) => {
  const output = args.includes('--from') ? [] : ['-o', file]
  const steps = lines.map(type => ({ seen: '(: )(\\x1b\\[[0-9]*[A-Za-z])*$', type }))
  return atTerminal([process.execPath, CLI, 'init', ...output, ...args], steps, { env: NO_KEYS })
}

test.each(['here', 'aws', 'functiongraph'])('for %s: settings that load, without a secret', async where => {
  const { code, stdout, stderr } = await init(
    ...OPTIONS,
    '--where',
    where,
    '--project-id',
    'p1',
    '--agree-terms',
    '--anyway',
  )
  expect(stderr).toContain('cannot be reached')
  expect({ code, stderr }).toMatchObject({ code: 0 })
  expect(stdout).toContain(`iotda-cert doctor --config ${file}`)
  expect(stdout).toContain(
    where === 'here' ? 'iotda-cert rotate' : `iotda-cert deploy ${where} --settings ${file}`,
  )
  const around = { env: {}, folder, withoutValues: true }
  const { targets } = await loadSettings(file, driverSchemas, around)
  expect(targets.map(it => it.domain)).toEqual(['iot.example.com'])
})

test('without a terminal it says which options are missing', async () => {
  const { code, stderr } = await init('--domain', 'iot.example.com')
  expect(code).toBe(2)
  expect(stderr).toContain('missing --endpoint, --region, --email, --dns, --agree-terms')
  expect(existsSync(file)).toBe(false)
})

test('what cannot be reached stops a script that did not say --anyway', async () => {
  const { code } = await init(...OPTIONS, '--agree-terms')
  expect([code, existsSync(file)]).toEqual([2, false])
})

test('FunctionGraph keeps its state in a project: without its id nothing is written', async () => {
  const { code, stderr } = await init(...OPTIONS, '--where', 'functiongraph', '--agree-terms', '--anyway')
  expect([code, existsSync(file)]).toEqual([2, false])
  expect(stderr).toContain('--project-id')
})

test('a file that is there stays', async () => {
  writeFileSync(file, 'mine')
  const { code } = await init(...OPTIONS, '--agree-terms', '--anyway')
  expect([code, readFileSync(file, 'utf8')]).toEqual([2, 'mine'])
})

const ANSWERS = [
  ...['not a domain\r', 'iot.example.com\r', `${CLOSED}\r`, 'y\r', 'cn-north-4\r', '\r', '\r'],
  ...[
    '\r',
    'cloudflare\r',
    'v1.0-literal-token\r',
    '\r',
    'esp-idf\r',
    'no such file\r',
    '\r',
    'slack\r',
    '\r',
  ],
  ...['ops@example.com\r', `${CLOSED}/directory\r`, 'y\r'],
]

test('a person answers, a wrong answer is asked again', async () => {
  const { code, shown } = await typed(ANSWERS, '--agree-terms')
  expect({ code, shown }).toMatchObject({ code: 0 })
  expect(shown).toContain('must be a domain name')
  const text = readFileSync(file, 'utf8')
  expect(JSON.parse(text).notifiers[0].url).toBe('env:ALERT_URL')
  expect(JSON.parse(text).solvers.dns.apiToken).toBe('env:CLOUDFLARE_API_TOKEN')
  expect(text).not.toContain('literal-token')
  expect(shown).toContain('It needs:')
})

test('terms that cannot be shown are agreed to by nobody at a terminal', async () => {
  const { code, shown } = await typed(ANSWERS)
  expect([code, existsSync(file)]).toEqual([2, false])
  expect(shown).toContain('could not be shown')
})

test('a person may have a file replaced, or not', async () => {
  writeFileSync(file, 'mine')
  expect((await typed(['n\r'])).code).toBe(2)
  expect(readFileSync(file, 'utf8')).toBe('mine')
  expect((await typed(['y\r', ...ANSWERS], '--agree-terms')).code).toBe(0)
  expect(JSON.parse(readFileSync(file, 'utf8')).version).toBe(1)
})

test('Ctrl-C at any question: nothing is written', async () => {
  const ended = await Promise.all(ANSWERS.map((_, at) => typed([...ANSWERS.slice(0, at), '\x03'])))
  expect(ended.map(({ code }) => code)).toEqual(ANSWERS.map(() => 2))
  expect(existsSync(file)).toBe(false)
})

describe('another target for settings that are there', () => {
  const ANOTHER = [
    ...[
      'iot.example.com\r',
      'eu.example.com\r',
      'https://127.0.0.1:10\r',
      'y\r',
      'eu-west-101\r',
      '\r',
      'i-2\r',
    ],
    ...['\r', '\r', '\r', '\r', '\r', 'y\r'],
  ]
  let before = ''
  beforeEach(async () => {
    await init(...OPTIONS, '--agree-terms', '--anyway')
    before = readFileSync(file, 'utf8').replace('"version": 1', '"version":1.0')
    writeFileSync(file, before)
    chmodSync(file, 0o600)
  })
  const from = (...args: string[]) => spawnCli(['init', '--from', file, ...args], NO_KEYS)
  const given = [
    ...['--domain', 'eu.example.com', '--endpoint', 'https://127.0.0.1:10', '--region', 'eu-west-101'],
    ...['--instance-id', 'i-2', '--anyway'],
  ]

  test('a person is shown what is added, and asked', async () => {
    const { code, shown } = await typed(ANOTHER, '--from', file)
    expect({ code, shown }).toMatchObject({ code: 0 })
    expect(shown).toContain('is the domain of the target "iot.example.com" already')
    expect(shown).toContain('+ targets: eu.example.com')
    const text = readFileSync(file, 'utf8')
    expect(text).toContain('"version":1.0')
    expect(JSON.parse(text).targets.map((it: { name: string }) => it.name)).toEqual([
      ...['iot.example.com', 'eu.example.com'],
    ])
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('who says no, or Ctrl-C at any question: the file stays as it was, and nothing is left beside it', async () => {
    const ways = [
      ...ANOTHER.map((_, at) => [...ANOTHER.slice(0, at), '\x03']),
      [...ANOTHER.slice(0, -1), 'n\r'],
    ]
    const ended = await Promise.all(ways.map(lines => typed(lines, '--from', file)))
    expect(ended.map(({ code }) => code)).toEqual(ways.map(() => 2))
    expect(readFileSync(file, 'utf8')).toBe(before)
    expect(readdirSync(folder)).toEqual(['settings.json'])
  })

  test('a script names the file twice, or another one', async () => {
    expect(await from(...given)).toMatchObject({ code: 2, stderr: expect.stringContaining('--output') })
    expect(readFileSync(file, 'utf8')).toBe(before)
    const other = join(folder, 'other.json')
    expect(await from(...given, '--output', other)).toMatchObject({ code: 0 })
    expect([readFileSync(file, 'utf8'), JSON.parse(readFileSync(other, 'utf8')).targets.length]).toEqual([
      before,
      2,
    ])
    expect(await from(...given, '--output', other)).toMatchObject({ code: 2 })
    expect(await from(...given, '--output', file)).toMatchObject({ code: 0 })
    expect(readFileSync(file, 'utf8')).toBe(readFileSync(other, 'utf8'))
  })

  test('settings with a mistake are mended first', async () => {
    writeFileSync(file, before.replace('"targets"', '"target"'))
    expect(await from(...given, '--output', file)).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining('settings-invalid') },
    })
  })

  test('what only new settings, or only another target, is asked is no option of the other', async () => {
    expect(await from(...given, '--tell', 'slack')).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining('--tell is said by the settings already') },
    })
    expect(await init(...OPTIONS, '--source', 'x')).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining('--source is for another target') },
    })
    expect(await init(...OPTIONS, '--set', 'v1.0-literal-token')).toMatchObject({
      ...{ code: 2, stderr: expect.not.stringContaining('literal-token') },
    })
  })
})

test('with keys in the environment the instance says how it is signed for, and whether the domain is there', async () => {
  const sandbox = await startSandbox()
  try {
    await fillSlots(sandbox)
    const { projectId, instanceId } = sandbox.settings().targets[0].instance
    const { accessKey, secretKey } = sandbox.keys
    const more = ['--endpoint', sandbox.iotda.url, '--project-id', projectId, '--instance-id', instanceId]
    const { stderr } = await spawnCli(
      ['init', '-o', file, ...OPTIONS, ...more, '--agree-terms', '--anyway'],
      { HUAWEICLOUD_SDK_AK: accessKey, HUAWEICLOUD_SDK_SK: secretKey },
    )
    expect(stderr).toContain('the instance has the domain iot.example.com')
    const text = readFileSync(file, 'utf8')
    expect(JSON.parse(text).targets[0].instance.signing).toBe('derived')
    expect(text).not.toContain(accessKey)
    expect(text).not.toContain(secretKey)
  } finally {
    await sandbox.dispose()
  }
})
