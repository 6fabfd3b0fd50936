/** The npm package on the releases of Node that people have, as npm brings them. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { packInto } from '../support/built.ts'
import { firstRotation, installInto } from '../support/newcomer.ts'
import { npmPackages, ran } from '../support/strangers.ts'

const run = promisify(execFile)

let folder: string
let cli: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'iotda-cert-node-'))
  cli = await installInto(folder, (await packInto(folder)).file)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test.each([20, 22, 24])('Node %i, in an empty folder: init, plan, rotate', async major => {
  const node = join(await npmPackages(`node-${major}`, `node@${major}`), 'node', 'bin', 'node')
  const { stdout } = await run(node, ['--version'])
  expect(stdout).toMatch(new RegExp(`^v${major}\\.`))
  await rm(join(folder, 'first.json'), { force: true })
  await rm(join(folder, 'state'), { recursive: true, force: true })
  expect(await firstRotation(node, cli, folder)).toEqual({
    ...{ planned: 'planned', rotated: 'rotated', isNew: true },
  })
  await ran(
    `Node.js ${major}`,
    stdout.trim().slice(1),
    'the npm package in an empty folder: init, plan, rotate',
  )
})
