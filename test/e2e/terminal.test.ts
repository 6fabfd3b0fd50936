/** The command line at a terminal: `status --watch`, and what is wider than the window. */
import { stripVTControlCharacters } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { columnsOf } from '../../lib/present/fit.ts'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { CLI, cli } from '../support/command.ts'
import { atTerminal, type Step } from '../support/pty.ts'
import { createRig, type Rig } from '../support/rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await createRig()
  await fillSlots(rig.sandbox)
  return rig.dispose
})

const terminal = (args: readonly string[], steps: readonly Step[], columns: number) =>
  atTerminal([process.execPath, CLI, ...args, '--config', rig.settingsFile], steps, { columns })

/** What was drawn at a time: the lines between two beginnings, without what moves the cursor or colours. */
const screensIn = (shown: string): readonly (readonly string[])[] =>
  shown
    .split('\x1b[H')
    .slice(1)
    .map(screen => stripVTControlCharacters(screen).trimEnd().split(/\r?\n/))

describe('status --watch', () => {
  test('draws, fits another width at once, looks again, and Ctrl-C ends it well', async () => {
    const looks = (): number => rig.sandbox.faults.calls.filter(it => /ListDomain/.test(it.operation)).length
    const before = looks()
    const { code, shown } = await terminal(
      ['status', '--watch', '2'],
      [
        { seen: '1 (well|watch|bad)[^!]*\\x1b\\[J', columns: 40 },
        { seen: '\\x1b\\[J', type: '' },
        { seen: '\\x1b\\[J', type: '\x03' },
      ],
      80,
    )
    expect({ code, shown }).toMatchObject({ code: 0 })
    const screens = screensIn(shown)
    expect(screens.length).toBeGreaterThanOrEqual(3)
    screens.forEach((lines, i) => {
      expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT.*again every 2s/)
      expect(lines.length).toBeLessThanOrEqual(24)
      for (const line of lines) expect(columnsOf(line), line).toBeLessThanOrEqual(i === 0 ? 80 : 40)
    })
    expect(screens[0]?.join('\n')).toContain('next check')
    expect(screens.at(-1)?.join('\n')).not.toContain('next check')
    expect(looks() - before).toBeGreaterThanOrEqual(2)
  })

  test('without a terminal it says what there is instead; nor is it another form', async () => {
    const said = async (...more: string[]) => (await cli(rig, ['status', '--watch', ...more])).stderr
    expect(await said()).toContain('there is none')
    expect(await said('1s')).toContain('2s or more')
    expect((await cli(rig, ['status', '--json', '--watch'])).stdout).toContain(
      '--watch and --json are two forms',
    )
    expect((await cli(rig, ['status', '--watch'])).code).toBe(2)
  })

  test('settings that cannot be read end it before anything is drawn', async () => {
    const { code, shown } = await atTerminal(
      [process.execPath, CLI, 'status', '--watch', '--config', 'none.json'],
      [],
    )
    expect([code, shown]).toEqual([2, expect.stringContaining('there is no such file')])
    expect(shown).not.toContain('\x1b[2J')
  })
})

test.each([80, 40])('no line of any command is wider than %i columns', async columns => {
  for (const args of [['status'], ['plan'], ['doctor'], ['probe'], ['rollout']]) {
    const { shown } = await terminal(args, [], columns)
    const lines = shown.split('\r\n').map(line => stripVTControlCharacters(line).split('\r').at(-1) ?? '')
    expect(lines.length).toBeGreaterThan(1)
    for (const line of lines) expect(columnsOf(line), `${args[0]}: ${line}`).toBeLessThanOrEqual(columns)
  }
})

test('what goes into a pipe is not cut', async () => {
  const { stdout } = await cli(rig, ['plan'])
  expect(stdout.split('\n').some(line => line.length > 100)).toBe(true)
})
