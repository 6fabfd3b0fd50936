/** What `npm pack` makes, installed in an empty folder: the command runs, and nothing else comes with it. */
import { execFile } from 'node:child_process'
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { fillSlots, startSandbox } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

test('it is installed from its tarball, plans and rotates, and brings no other package', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-npm-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  // Built already: building again would take the program from under the tests beside.
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: ROOT,
  })
  const [{ filename, size, files }] = JSON.parse(packed.stdout)
  const paths: readonly string[] = files.map(({ path }: { path: string }) => path)
  expect(paths).toEqual(
    expect.arrayContaining(['package.json', 'README.md', 'LICENSE', 'dist/cli.mjs', 'settings.schema.json']),
  )
  expect(paths.filter(path => /\.map$|^(test|sandbox|lib|node_modules)\//.test(path))).toEqual([])
  expect(size).toBeLessThan(2_000_000)

  const install = [
    'install',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--offline',
    join(folder, filename),
  ]
  await run('npm', install, { cwd: folder })
  expect((await readdir(join(folder, 'node_modules'))).filter(name => !name.startsWith('.'))).toEqual([
    'iotda-cert',
  ])

  const command = join(folder, 'node_modules', '.bin', 'iotda-cert')
  await access(command)
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  expect((await run(command, ['--version'])).stdout.trim()).toBe(version)

  const sandbox = await startSandbox()
  cleanups.push(sandbox.dispose)
  await fillSlots(sandbox)
  const settings = join(folder, 'settings.json')
  await writeFile(
    settings,
    JSON.stringify({ $schema: './node_modules/iotda-cert/settings.schema.json', ...sandbox.settings() }),
  )
  const of = async (action: string) =>
    JSON.parse((await run(command, [action, '--config', settings, '--json'])).stdout).results[0]
  expect(await of('plan')).toMatchObject({ outcome: 'planned', decision: { due: true } })
  expect(await of('rotate')).toMatchObject({ outcome: 'rotated' })
  await access(join(folder, 'node_modules', 'iotda-cert', 'settings.schema.json'))
})

test.each(['bash', 'zsh', 'fish'])('completion of %s names every command, and their options', async shell => {
  const cli = join(ROOT, 'dist', 'cli.mjs')
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
