import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fillSlots, startSandbox } from '../../sandbox/sandbox.ts'

const run = promisify(execFile)

/** Installs a tarball in a folder as npm does, with no other package at hand; the command's own file. */
export async function installInto(folder: string, tarball: string): Promise<string> {
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--offline']
  await run('npm', ['install', ...options, tarball], { cwd: folder })
  return join(folder, 'node_modules', 'iotda-cert', 'dist', 'cli.mjs')
}

/**
 * What a newcomer does with the installed command: `init`, `plan`, `rotate`, on a sandbox that is new. `node`: the
 * program that runs it. Between them stands by hand what nobody's real instance needs: where the sandbox's ports are.
 */
export async function firstRotation(
  node: string,
  cli: string,
  folder: string,
): Promise<{ readonly planned: string; readonly rotated: string; readonly isNew: boolean }> {
  const sandbox = await startSandbox()
  try {
    await fillSlots(sandbox)
    const before = sandbox.iotda.bound()?.certificatePem
    const { targets, solvers } = sandbox.settings()
    const { region, projectId, instanceId, endpoint } = targets[0].instance
    const roots = join(folder, 'ca.pem')
    await writeFile(roots, sandbox.ca.caPem)
    const env = {
      ...{ PATH: process.env.PATH, HOME: folder, NODE_EXTRA_CA_CERTS: roots },
      ...{ HUAWEICLOUD_SDK_AK: sandbox.keys.accessKey, HUAWEICLOUD_SDK_SK: sandbox.keys.secretKey },
    }
    const devices = join(folder, 'devices.pem')
    await writeFile(devices, targets[0].trustedRoots)
    const file = join(folder, 'first.json')
    const command = (...args: readonly string[]): Promise<string> =>
      run(node, [cli, ...args], { cwd: folder, env }).then(
        ({ stdout }) => stdout,
        ({ stdout, stderr }) => {
          throw new Error(`iotda-cert ${args[0]} failed: ${stdout}${stderr}`)
        },
      )
    await command(
      ...['init', '--output', file, '--domain', sandbox.domain, '--endpoint', endpoint, '--region', region],
      ...['--project-id', projectId, '--instance-id', instanceId, '--email', 'ops@example.com'],
      ...['--dns', 'webhook', '--set', `dns.url=${solvers.dns.url}`],
      ...['--ca', sandbox.ca.directoryUrl, '--agree-terms', '--roots', devices],
    )
    const settings = JSON.parse(await readFile(file, 'utf8'))
    settings.targets[0].probe = targets[0].probe
    // As its devices are served today.
    settings.certificates.iot.keyType = 'ec-256'
    settings.solvers.dns.propagation = solvers.dns.propagation
    await writeFile(file, JSON.stringify(settings))
    const outcomeOf = async (action: string): Promise<string> =>
      JSON.parse(await command(action, '--config', file, '--json')).results[0].outcome
    const planned = await outcomeOf('plan')
    const rotated = await outcomeOf('rotate')
    return { planned, rotated, isNew: sandbox.iotda.bound()?.certificatePem !== before }
  } finally {
    await sandbox.dispose()
  }
}
