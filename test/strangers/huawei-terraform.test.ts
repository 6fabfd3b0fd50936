/** Terraform reads deploy/huawei; with Huawei's provider, where there is one, it deploys to the sandbox. */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { huaweiPolicy, huaweiWatchPolicy } from '../../lib/permissions/huawei.ts'
import { onHuawei, watchOnHuawei } from '../deploy/sample.ts'
import { sharedBuild } from '../support/built.ts'
import { cleanups } from '../support/cleanups.ts'
import { ROOT } from '../support/modules.ts'
import { ran } from '../support/strangers.ts'
import { localsOf, openTerraform, REGION, terraform } from './huawei-terraform.ts'

const DEPLOYMENT = join(ROOT, 'deploy', 'huawei')

test('Terraform works out what a zip lacks of what the settings want, and takes the format for its own', async () => {
  const built = await sharedBuild()
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-lacks-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const settings = join(folder, 'settings.json')
  const mail = { type: 'smtp', host: 'mail.example.com', from: 'a@example.com', to: ['b@example.com'] }
  await writeFile(settings, JSON.stringify(onHuawei(it => it.notifiers.push(mail))))
  const given = { region: REGION, settings_file: settings, policy_file: settings }
  const main = await localsOf(DEPLOYMENT, 'main.tf', { ...given, zip_file: built.zip('functiongraph') })
  expect(await main('local.missing')).toEqual(['nodemailer'])
  expect(await main('[local.names, local.turns, local.shards]')).toEqual([
    ['iotda-cert'],
    [' 0 5,35 '],
    ['1/1'],
  ])
  const divided = await localsOf(DEPLOYMENT, 'main.tf', { ...given, shards: 3 })
  expect(await divided('[local.names, local.turns, local.shards]')).toEqual([
    ['iotda-cert-1', 'iotda-cert-2', 'iotda-cert-3'],
    [' 0 5,35 ', ' 0 15,45 ', ' 0 25,55 '],
    ['1/3', '2/3', '3/3'],
  ])
  const elsewhere = await localsOf(DEPLOYMENT, 'main.tf', {
    ...given,
    zip_file: join(folder, 'of-somebody.zip'),
  })
  expect(await elsewhere('local.missing')).toEqual([])
  const zip = { watch_zip_file: built.zip('functiongraph-watch') }
  const watch = await localsOf(DEPLOYMENT, 'watch.tf', {
    ...given,
    ...zip,
    watch_file: settings,
    watch_policy_file: settings,
  })
  expect(await watch('[local.watches, local.watch_missing]')).toEqual([1, ['nodemailer']])
  const without = await localsOf(DEPLOYMENT, 'watch.tf', { ...given, ...zip })
  expect(await without('[local.watches, local.watch_missing]')).toEqual([0, []])
  const formatted = await terraform(['fmt', '-check', DEPLOYMENT], { cwd: folder })
  expect(formatted).toEqual({ code: 0, output: '' })
  const { output } = await terraform(['version'], { cwd: folder })
  await ran(
    'Terraform (HashiCorp)',
    /v([\d.]+)/.exec(output)?.[1] ?? '?',
    'read deploy/huawei, worked out its values',
  )
})

async function open() {
  const built = await sharedBuild()
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-deployed-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const file = async (name: string, value: unknown): Promise<string> => {
    await writeFile(join(folder, name), JSON.stringify(value))
    return join(folder, name)
  }
  const zip = join(folder, 'iotda-cert-functiongraph.zip')
  await copyFile(built.zip('functiongraph'), zip)
  const variables = {
    region: REGION,
    settings_file: await file('settings.json', onHuawei()),
    policy_file: await file('policy.json', await huaweiPolicy(onHuawei(), null)),
    zip_file: zip,
    secrets: { SEAL_KEY: 'a secret' },
    alarm_emails: ['ops@example.com'],
    watch_file: await file('watch.json', watchOnHuawei()),
    watch_policy_file: await file('watch-policy.json', await huaweiWatchPolicy(watchOnHuawei(), null)),
    watch_zip_file: built.zip('functiongraph-watch'),
  }
  const provider = process.env.HUAWEICLOUD_PROVIDER ?? ''
  const { run, ...services } = await openTerraform(provider, variables)
  /** Applies, and shows that a second plan would change nothing. */
  const apply = async (given: object = {}): Promise<void> => {
    const applied = await run(given, 'apply', '-auto-approve')
    expect(applied.code, applied.output).toBe(0)
    const again = await run(given, 'plan', '-detailed-exitcode')
    expect(again.code, again.output).toBe(0)
  }
  return { ...services, file, zip, built, apply, run }
}

// By hand: HUAWEICLOUD_PROVIDER=.../terraform-provider-huaweicloud npx vitest run test/strangers/huawei-terraform.test.ts
if (process.env.HUAWEICLOUD_PROVIDER)
  test("Huawei's Terraform provider: apply, other permissions, a new zip, destroy", async () => {
    const { graph, account, faults, file, zip, built, apply, run } = await open()
    await apply()
    expect([...graph.functions.values()].map(it => [it.maxInstances, it.triggers.length])).toEqual([
      [1, 1],
      [1, 1],
    ])
    expect([...account.policies.values()].map(it => it.name).toSorted()).toEqual([
      'iotda-cert',
      'iotda-cert-watch',
    ])

    const policy = await huaweiPolicy(onHuawei(), null)
    const narrower = { ...policy, Statement: policy.Statement.slice(0, 1) }
    const permissions = { policy_file: await file('narrower.json', narrower) }
    faults.clearCalls()
    await apply(permissions)
    const changed = faults.calls.filter(it => it.method !== 'GET').map(it => it.operation)
    expect(changed).toEqual(['account.CreatePolicyVersion'])

    // Another zip by the same name.
    await copyFile(built.zip('functiongraph-watch'), zip)
    const before = [...graph.functions.values()].map(it => it.code)
    await apply(permissions)
    expect([...graph.functions.values()].filter(({ code }, at) => code !== before[at])).toHaveLength(1)

    const schedule = { ...permissions, schedule: 'CRON_TZ=Asia/Shanghai 0 7 * * * ?' }
    await apply(schedule)
    const schedules = [...graph.functions.values()].flatMap(it =>
      it.triggers.map(({ data }) => data.schedule),
    )
    expect(schedules).toContain(schedule.schedule)

    const destroyed = await run(schedule, 'destroy', '-auto-approve')
    expect(destroyed.code, destroyed.output).toBe(0)
    expect([graph.functions, account.policies, account.agencies, account.topics].map(it => it.size)).toEqual([
      0, 0, 0, 0,
    ])
  }, 600_000)
