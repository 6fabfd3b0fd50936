/** What `--help` says: every command, wherever it stands, shows what one types, and that is taken. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { CLI, spawnCli } from '../support/command.ts'

const help = (words: readonly string[]): string =>
  execFileSync(process.execPath, [CLI, ...words, '--help'], { encoding: 'utf8' })

/** Every command with what its `--help` says. */
function everything(words: readonly string[] = []): readonly (readonly [string, string])[] {
  const text = help(words)
  const [, list = ''] = /^Commands:\n([\s\S]*?)\n\n/m.exec(`${text}\n\n`) ?? []
  const names = [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name = '']) => name).filter(it => it !== 'help')
  return [[words.join(' '), text], ...names.flatMap(name => everything([...words, name]))]
}
const commands = everything()

const folder = mkdtempSync(join(tmpdir(), 'iotda-cert-help-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the commands are all there', () => {
  const names = commands.map(([name]) => name)
  expect(names).toEqual(
    expect.arrayContaining(['', 'rotate', 'account rollover', 'rollout show', 'deploy aws']),
  )
  expect(names.length).toBeGreaterThan(20)
})

describe('an example', () => {
  const examplesIn = (text: string): readonly string[] =>
    /^Example:\n((?: {2}.*\n?)+)/m.exec(text)?.[1]?.trim().split(/\n */) ?? []

  test.each(commands)(
    'of "%s" is there, begins with the command, and is taken as it stands',
    async (name, text) => {
      const examples = examplesIn(text)
      expect(examples.length).toBeGreaterThan(0)
      for (const example of examples) {
        expect(`${example} `).toContain(name === '' ? 'iotda-cert ' : `iotda-cert ${name} `)
        // Everything before it is known, with its values: it is the first that is not.
        const [command = ''] = example.split(' > ')
        const line = command.replace('iotda-cert', `'${process.execPath}' '${CLI}'`)
        const said = await new Promise<string>(resolve =>
          execFile('bash', ['-c', `${line} --no-such-option`], { cwd: folder }, (_, __, stderr) =>
            resolve(stderr),
          ),
        )
        expect(said, example).toMatch(/unknown option '--no-such-option'/i)
      }
    },
  )
})

test.each([
  ['an action', ['rotat'], '(Did you mean rotate?)'],
  ['something else', ['xyzzy'], '(iotda-cert --help lists the commands)'],
  ['of rollout', ['rollout', 'resmue', 'KIND'], 'show, resume, approve'],
  ['of account', ['account', 'rolover'], '(Did you mean rollover?)'],
  ['of deploy', ['deploy', 'awss'], '(Did you mean aws?)'],
])('a command that is not there is refused, with what there is: %s', async (_, words, hint) => {
  const { code, stderr } = await spawnCli(words, {})
  expect([code, stderr]).toEqual([2, expect.stringContaining('unknown command')])
  expect(stderr).toContain(hint)
})
