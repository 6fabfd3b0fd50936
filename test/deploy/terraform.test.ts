/** deploy/huawei as a real HCL parser reads it, and as the schema of Huawei's provider has it (huawei-provider.json). */
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { driverSchemas } from '../../lib/app/drivers.ts'
import { functionSurroundings } from '../../lib/config/surroundings.ts'
import { loadWatch } from '../../lib/config/watch.ts'
import { huaweiWatchPolicy } from '../../lib/permissions/huawei.ts'
import { ROOT } from '../support/modules.ts'
import provider from './huawei-provider.json' with { type: 'json' }
import { type Sample, watchOnHuawei } from './sample.ts'

/** By `require`: its types would bring those of browsers into the whole program. */
const { parse, getReferencesInExpression } = createRequire(import.meta.url)('@cdktf/hcl2json') as {
  parse(name: string, text: string): Promise<Record<string, unknown>>
  getReferencesInExpression(name: string, text: string): Promise<readonly { readonly value: string }[]>
}
/** An expression as the parser gives it. */
const hcl = (expression: string): string => ['$', '{', expression, '}'].join('')

const FOLDER = join(ROOT, 'deploy', 'huawei')
let files: Record<string, string>
const blocks: Sample = {}

beforeAll(async () => {
  const names = (await readdir(FOLDER)).filter(it => it.endsWith('.tf'))
  const entries = names.map(async name => [name, await readFile(join(FOLDER, name), 'utf8')] as const)
  files = Object.fromEntries(await Promise.all(entries))
  for (const [name, text] of Object.entries(files))
    for (const [kind, found] of Object.entries(await parse(name, text)))
      blocks[kind] = Array.isArray(found)
        ? [...(blocks[kind] ?? []), ...found]
        : merged(blocks[kind] ?? {}, found as Sample)
})

/** Blocks of one kind stand in several files; resources go by type, then by name. */
function merged(one: Sample, other: Sample): Sample {
  const entries = Object.entries(other).map(([name, it]) => [
    name,
    Array.isArray(it) ? it : { ...one[name], ...(it as Sample) },
  ])
  return { ...one, ...Object.fromEntries(entries) }
}

const resource = (type: string, name: string): Sample => blocks.resource[type][name][0]

describe('what it makes', () => {
  test('a function of version 2, one instance, whose code is the zip', () => {
    expect(resource('huaweicloud_fgs_function', 'rotate')).toMatchObject({
      functiongraph_version: 'v2',
      max_instance_num: '1',
      timeout: 900,
      handler: 'index.handler',
      initializer_handler: 'index.initializer',
      runtime: hcl('var.runtime'),
      func_code: hcl('filebase64(var.zip_file)'),
      // Never null, also without secrets: the provider would leave it out, and the last ones would stay.
      encrypted_user_data: hcl('jsonencode(var.secrets)'),
      agency: hcl('huaweicloud_identity_trust_agency.function.name'),
      count: hcl('var.shards'),
    })
    expect(blocks.variable.shards[0].default).toBe(1)
    expect(blocks.variable.runtime[0].default).toBe('Node.js20.15')
    expect(blocks.variable.secrets[0].sensitive).toBe(true)
  })

  test('a timer with a time zone, and no retries; a failure is told', () => {
    const timer = resource('huaweicloud_fgs_function_trigger', 'timer')
    expect(timer).toMatchObject({ type: 'TIMER', status: 'ACTIVE' })
    expect(timer.event_data).toMatch(
      /schedule_type = "Cron"[\s\S]*schedule += replace\(var\.schedule, .*turns/,
    )
    expect(blocks.variable.schedule[0].default).toMatch(/^CRON_TZ=\S+ (\S+ ){5}\S+$/)
    expect(resource('huaweicloud_fgs_async_invoke_configuration', 'rotate')).toMatchObject({
      max_async_retry_attempts: 0,
      on_failure: [{ destination: 'SMN', param: expect.stringContaining('huaweicloud_smn_topic.alarms') }],
    })
  })

  test('an agency of FunctionGraph that may do what the program needs, and nothing else', () => {
    expect(blocks.locals.map((it: Sample) => it.policy).filter(Boolean)).toEqual([
      hcl('jsonencode(jsondecode(file(var.policy_file)))'),
    ])
    // So it is what `permissions` prints for the settings, whatever they are; without a default that allows more.
    expect(blocks.variable.policy_file[0]).not.toHaveProperty('default')
    expect(resource('huaweicloud_identity_trust_agency', 'function').trust_policy).toContain(
      'service.FunctionGraph',
    )
    expect(resource('huaweicloud_identity_policy', 'function').policy_document).toBe(hcl('local.policy'))
  })
})

test('a zip without what the settings want is refused before anything is made', () => {
  for (const [name, missing, settings] of [
    ['rotate', 'local.missing', 'local.settings'],
    ['watch', 'local.watch_missing', 'local.watch_settings'],
  ] as const) {
    const [{ precondition }] = resource('huaweicloud_fgs_function', name).lifecycle
    expect(precondition[0].condition).toBe(hcl(`length(${missing}) == 0`))
    expect(precondition[0].error_message).toContain('before npm run package')
    const found = blocks.locals.find((it: Sample) => missing.slice('local.'.length) in it)
    expect(found[missing.slice('local.'.length)]).toContain(`${settings}[it.section]`)
  }
})

test('permissions can be changed after the first apply: the name of a policy never depends on them', () => {
  for (const name of ['function', 'watch']) {
    const policy = resource('huaweicloud_identity_policy', name)
    expect(policy.name).toMatch(/^\$\{var\.name\}(-watch)?$/)
    expect(policy).not.toHaveProperty('lifecycle')
  }
})

describe('the watchdog', () => {
  const own = (type: string): Sample => resource(type, 'watch')

  test('is a function of its own, with its own zip, environment and agency; only where it is told what to watch', () => {
    expect(own('huaweicloud_fgs_function')).toMatchObject({
      name: `${hcl('var.name')}-watch`,
      handler: 'index.handler',
      func_code: hcl('filebase64(var.watch_zip_file)'),
      agency: hcl('one(huaweicloud_identity_trust_agency.watch[*].name)'),
      user_data: expect.stringContaining('IOTDA_CERT_WATCH'),
      encrypted_user_data: hcl('jsonencode(var.watch_secrets)'),
    })
    // Nothing of the rotator's.
    expect(own('huaweicloud_fgs_function').user_data).not.toContain('IOTDA_CERT_CONFIG')
    expect(JSON.stringify(own('huaweicloud_fgs_function'))).not.toMatch(
      /var\.secrets|local\.(settings|missing)/,
    )
    expect(blocks.variable.watch_zip_file[0].default).toContain('iotda-cert-functiongraph-watch.zip')
    for (const [type, named] of Object.entries<Sample>(blocks.resource))
      if (named.watch)
        expect(named.watch[0].count, type).toBe(
          // A policy without a statement is none.
          hcl(type.includes('identity') ? 'local.watch_agencies' : 'local.watches'),
        )
    expect(blocks.variable.watch_file[0].default).toBe('')
  })

  test('looks four times a day, and its failure is told', () => {
    expect(own('huaweicloud_fgs_function_trigger').event_data).toMatch(/schedule += var\.watch_schedule/)
    expect(blocks.variable.watch_schedule[0].default).toMatch(/^CRON_TZ=\S+ (\S+ ){5}\S+$/)
    expect(own('huaweicloud_fgs_async_invoke_configuration')).toMatchObject({
      max_async_retry_attempts: 0,
      on_failure: [{ destination: 'SMN', param: expect.stringContaining('huaweicloud_smn_topic.alarms') }],
    })
  })

  test('may read, and tell; nothing else', async () => {
    const { Statement } = await huaweiWatchPolicy(watchOnHuawei(), null)
    expect(Statement.map(it => it.Action)).toEqual([
      ['csms:secret:getVersion'],
      ['kms:cmk:decryptDataKey'],
      ['smn:topic:publish'],
    ])
    // Neither the seal key nor a sealed key of the rotator.
    expect(Statement[0]?.Resource).toEqual(['csms:cn-north-4:*:secretName:iotda-cert_runs_last'])
    const { rotator: _, ...alone } = watchOnHuawei()
    expect(JSON.stringify(await huaweiWatchPolicy(alone, null))).not.toMatch(/csms|kms/)
    expect(blocks.variable.watch_policy_file[0].default).toBe('')
    expect(own('huaweicloud_identity_trust_agency').trust_policy).toContain('service.FunctionGraph')
    expect(own('huaweicloud_identity_policy').policy_document).toBe(hcl('local.watch_policy'))
  })

  test('takes the sample, as it would stand in its environment', async () => {
    const text = JSON.stringify(watchOnHuawei())
    expect(text.length).toBeLessThan(4_000)
    const env = { IOTDA_CERT_WATCH: text }
    const runtime = { credentials: () => ({ accessKey: 'a', secretKey: 'b', securityToken: 'c' }) }
    const around = functionSurroundings({ env, folder: '.' }, runtime)
    expect(await loadWatch(null, driverSchemas, around)).toMatchObject({
      targets: [{ name: 'factory-1', sni: 'iot.example.com' }],
      rotator: { store: { type: 'csms' } },
    })
  })
})

describe("Huawei's provider", () => {
  // Not arguments of the provider, but of Terraform.
  const META = ['count', 'for_each', 'depends_on', 'lifecycle']

  test('takes every argument that is given, and is given what it needs', () => {
    const wrong: string[] = []
    for (const [type, named] of Object.entries<Sample>(blocks.resource)) {
      const known: Sample = provider.resources[type as keyof typeof provider.resources] ?? {}
      for (const [name, [given]] of Object.entries<Sample>(named)) {
        const names = Object.keys(given).filter(it => !META.includes(it))
        wrong.push(...names.filter(it => !known[it] || known[it] === 'computed').map(it => `${name}.${it}`))
        const needed = Object.keys(known).filter(it => known[it] === 'required' || known[it].required)
        wrong.push(...needed.filter(it => !names.includes(it)).map(it => `${name} without ${it}`))
        for (const [inner, { members }] of Object.entries<Sample>(known).filter(([, it]) => it.members))
          for (const block of given[inner] ?? [])
            wrong.push(...Object.keys(block).filter(it => !members[it] || members[it] === 'computed'))
      }
    }
    expect(wrong).toEqual([])
  })
})

test('every reference leads somewhere', async () => {
  const found: string[] = []
  const walk = async (value: unknown): Promise<void> => {
    if (typeof value === 'string' && value.includes(hcl('').slice(0, 2)))
      for (const { value: reference } of await getReferencesInExpression('main.tf', value))
        found.push(reference)
    else if (typeof value === 'object' && value !== null)
      for (const inner of Object.values(value)) await walk(inner)
  }
  await walk([blocks.resource, blocks.output, blocks.locals, blocks.provider])
  const leads = (reference: string): boolean => {
    const [first = '', second = ''] = reference.split('.')
    if (first === 'var') return second in blocks.variable
    if (first === 'local') return blocks.locals.some((it: Sample) => second in it)
    if (first === 'each' || first === 'count') return true
    return second in (blocks.resource[first] ?? {})
  }
  expect(found.length).toBeGreaterThan(20)
  expect(found.filter(it => !leads(it))).toEqual([])
  const used = new Set(found.filter(it => it.startsWith('var.')).map(it => it.split('.')[1]))
  expect(Object.keys(blocks.variable).filter(it => !used.has(it))).toEqual([])
})

test('every variable is described, and the example gives what has no default', async () => {
  for (const [name, [variable]] of Object.entries<Sample>(blocks.variable))
    expect(variable.description, name).toMatch(/.{20}/)
  const example = await parse('x.tf', await readFile(join(FOLDER, 'terraform.tfvars.example'), 'utf8'))
  const needed = Object.entries<Sample>(blocks.variable)
    .filter(([, [variable]]) => !('default' in variable))
    .map(([name]) => name)
  expect(needed.length).toBeGreaterThan(0)
  for (const name of needed) expect(example).toHaveProperty(name)
  for (const name of Object.keys(example)) expect(blocks.variable).toHaveProperty(name)
})
