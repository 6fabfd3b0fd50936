/** docs/security.md names tests that are there, and every action that a policy may have with the calls that need it. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { awsPolicy } from '../lib/permissions/aws.ts'
import { huaweiPolicy } from '../lib/permissions/huawei.ts'
import { NEEDS } from '../sandbox/kit/access.ts'
import { onAws, onHuawei, type Sample } from './deploy/sample.ts'
import { ROOT } from './support/modules.ts'

const text = await readFile(join(ROOT, 'docs', 'security.md'), 'utf8')
const rows = text
  .split('\n')
  .filter(line => line.startsWith('| ') && !line.startsWith('| action') && !line.startsWith('| party'))
  .map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
const trusted = rows.filter(row => row.length === 4)
const permissions = new Map(
  rows
    .filter(row => row.length === 3)
    .map(([action = '', , calls = '']) => [action.replaceAll('`', ''), calls.split(', ')]),
)

test('whoever is trusted has a test that holds what they could do at worst, and it is there', () => {
  expect(trusted.length).toBeGreaterThan(10)
  for (const [party = '', , worst = '', held = ''] of trusted) {
    expect(worst.length, party).toBeGreaterThan(10)
    const files = [...held.matchAll(/`(test\/[\w./-]+\.ts)`/g)].map(([, file = '']) => file)
    expect(files.length, party).toBeGreaterThan(0)
    expect(files.filter(file => !existsSync(join(ROOT, file)))).toEqual([])
  }
  for (const [, file = ''] of text.matchAll(/`((?:test|lib)\/[\w./-]+\.ts)`/g))
    expect(existsSync(join(ROOT, file)), file).toBe(true)
})

test('every action that the sandbox checks stands there with exactly the calls that need it', () => {
  const needed = new Map<string, string[]>()
  for (const [operation, needs] of Object.entries(NEEDS))
    for (const [action] of needs)
      needed.set(action, [...(needed.get(action) ?? []), operation.replace(/^\w+\./, '')])
  for (const [action, calls] of needed) expect(permissions.get(action), action).toEqual(calls)
})

test('every action that a policy may have stands there', async () => {
  const everything = (settings: Sample): void => {
    settings.targets[0].domainConfiguration = 'create'
    settings.targets[0].devices = { watch: '24h' }
    settings.statusPage = { publish: true }
  }
  const arn = 'arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012'
  const policies = [
    await huaweiPolicy(onHuawei(everything), null),
    await awsPolicy(onAws(everything), null),
    await awsPolicy(
      onAws(settings => {
        settings.store = { type: 'secretsmanager' }
        settings.sources.own = { type: 'acm', certificateArn: arn }
      }),
      null,
    ),
  ]
  const actions = new Set(policies.flatMap(it => it.Statement.flatMap(({ Action }) => Action)))
  expect([...actions].filter(it => !permissions.has(it))).toEqual([])
  // Nothing stands there that no policy asks for.
  expect([...permissions.keys()].filter(it => !actions.has(it))).toEqual([])
})
