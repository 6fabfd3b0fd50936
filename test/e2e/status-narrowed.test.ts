/** `status` of many targets: only those of a state, or with a text in their names. */
import { expect, test } from 'vitest'
import { spawnCli } from '../support/command.ts'
import { openFleet } from '../support/fleet.ts'

test('status --state and --name show only these; the exit code goes by all', async () => {
  const { s } = await openFleet(['north-1', 'north-2', 'south-1'], { daysLeft: i => [60, 3, 60][i] ?? 0 })
  const env = { IOTDA_CERT_CONFIG: s.rig.settingsFile }
  const status = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await spawnCli(['status', '--json', ...args], env)
    const { results = [], error = null } = JSON.parse(stdout)
    return { code, names: results.map((r: { target: string }) => r.target), error, stderr }
  }
  const all = await status()
  expect(all.names).toEqual(['north-1', 'north-2', 'south-1'])
  expect(await status('--name', 'NORTH')).toMatchObject({ code: all.code, names: ['north-1', 'north-2'] })
  const byState = await Promise.all(['bad', 'watch', 'well'].map(state => status('--state', state)))
  expect(byState[0]?.names).toEqual(['north-2'])
  expect(byState.flatMap(({ names }) => names).toSorted()).toEqual(all.names)
  expect(new Set(byState.map(({ code }) => code))).toEqual(new Set([all.code]))
  expect(await status('--state', 'ill')).toMatchObject({
    code: 2,
    error: { message: '--state names no state' },
  })
})
