/** deploy/huawei by Terraform itself, and with Huawei's own provider against the sandbox. */
import { execFile } from 'node:child_process'
import { copyFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createFunctionGraph } from '../../sandbox/functiongraph.ts'
import { createHuaweiAccount } from '../../sandbox/huawei-account.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { cleanups } from '../support/cleanups.ts'
import { ROOT } from '../support/modules.ts'

const PROJECT = '0123456789abcdef0123456789abcdef'
export const REGION = 'cn-north-4'

export interface Ran {
  readonly code: number
  readonly output: string
}

interface Place {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string
}

const QUIET = { TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' }

/** Runs Terraform (HashiCorp), which the machine has to have. */
export function terraform(args: readonly string[], { cwd, env = {}, input = '' }: Place): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { PATH: process.env.PATH, HOME: cwd, ...QUIET, ...env } }
    const child = execFile('terraform', args, options, (error, out, err) => {
      if (error?.code === 'ENOENT') reject(new Error('These tests need Terraform 1.3 or newer on the PATH.'))
      else resolve({ code: error ? Number(error.code) : 0, output: out + err })
    })
    child.stdin?.end(input)
  })
}

/** The values of a file, in a folder of their own: no provider is needed to work them out. */
export async function localsOf(deployment: string, name: string, variables: object) {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-locals-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const [locals = ''] = /^locals \{[\s\S]*?^\}/m.exec(await readFile(join(deployment, name), 'utf8')) ?? []
  await writeFile(join(folder, 'main.tf'), locals)
  await copyFile(join(deployment, 'variables.tf'), join(folder, 'variables.tf'))
  await writeFile(join(folder, 'terraform.tfvars.json'), JSON.stringify(variables))
  return async (expression: string): Promise<unknown> => {
    const { output } = await terraform(['console'], { cwd: folder, input: `jsonencode(${expression})` })
    return JSON.parse(JSON.parse(output))
  }
}

/** `provider`: the program, which no registry of packages gives; `variables` are those of terraform.tfvars. */
export async function openTerraform(provider: string, variables: object) {
  const faults = createFaults()
  const keys = new Map([['AKDEPLOY', { secretKey: 'SKDEPLOY' }]])
  const graph = await createFunctionGraph({ faults, keys, projectId: PROJECT })
  const account = await createHuaweiAccount({ faults, keys, projectId: PROJECT })
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-terraform-'))
  cleanups.push(graph.dispose, account.dispose, () => rm(folder, { recursive: true, force: true }))
  await cp(join(ROOT, 'deploy', 'huawei'), folder, { recursive: true, filter: it => !it.endsWith('.ts') })
  const endpoints = { fgs: `${graph.url}/`, iam: `${account.url}/`, smn: `${account.url}/` }
  const override = { provider: { huaweicloud: { endpoints } } }
  await writeFile(join(folder, 'test_override.tf.json'), JSON.stringify(override))
  const overrides = `dev_overrides { "huaweicloud/huaweicloud" = "${dirname(provider)}" }`
  await writeFile(join(folder, 'cli.rc'), `provider_installation {\n ${overrides}\n direct {}\n}\n`)
  const env = {
    ...{ TF_CLI_CONFIG_FILE: join(folder, 'cli.rc'), NO_PROXY: '127.0.0.1' },
    ...{ HW_ACCESS_KEY: 'AKDEPLOY', HW_SECRET_KEY: 'SKDEPLOY', HW_REGION_NAME: REGION },
    ...{ HW_PROJECT_ID: PROJECT, HW_DOMAIN_ID: PROJECT },
  }
  const run = async (given: object, ...args: string[]): Promise<Ran> => {
    await writeFile(join(folder, 'terraform.tfvars.json'), JSON.stringify({ ...variables, ...given }))
    return terraform([...args, '-no-color', '-input=false'], { cwd: folder, env })
  }
  return { graph, account, faults, run }
}
