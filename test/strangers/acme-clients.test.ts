/** ACME clients of other people against the sandbox CA: it is to be a CA to anybody. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { type Rig, startRig } from '../sandbox/acme-ca-rig.ts'
import { debianProgram, pythonVersions, pythonWith, ran } from '../support/strangers.ts'

const run = promisify(execFile)
const NAMES = ['example.test', '*.example.test']

interface World extends Rig {
  readonly folder: string
  /** A program that is called with `present` or `cleanup`, a name and a value. */
  readonly hook: string
  /** Writes an executable file. */
  script(name: string, text: string): Promise<string>
  run(program: string, parameters: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>
}

/** TXT records by HTTP, in the format of lego's httpreq. */
async function startTxtDoor({ dns }: Rig): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const { fqdn, value } = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>
      const name = String(fqdn).replace(/\.$/, '')
      const others = (dns.txt.get(name) ?? []).filter(it => it !== value)
      dns.txt.set(name, request.url === '/present' ? [...others, String(value)] : others)
      response.end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise<void>(resolve => server.close(() => resolve())))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function openWorld(options: Parameters<typeof startRig>[0] = {}): Promise<World & { door: string }> {
  const rig = await startRig({ now: Date.now, ...options })
  const folder = await mkdtemp(join(tmpdir(), 'acme-client-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const door = await startTxtDoor(rig)
  const script = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, text)
    await chmod(path, 0o700)
    return path
  }
  const post = `const [, what, fqdn, value] = process.argv
fetch('${door}/' + what, { method: 'POST', body: JSON.stringify({ fqdn, value }) })`
  const program = await script('post.cjs', post.replace('[, what', '[, , what'))
  const hook = await script('post', `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
  const env = { HOME: folder, PATH: process.env.PATH ?? '' }
  return {
    ...rig,
    folder,
    hook,
    door,
    script,
    run: async (path, parameters, more = {}) => {
      const options_ = { cwd: folder, env: { ...env, ...more }, timeout: 60_000 }
      try {
        const { stdout, stderr } = await run(path, [...parameters], options_)
        return stdout + stderr
      } catch (error) {
        const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
        throw new Error(`${path} ${parameters.join(' ')}\n${stdout}\n${stderr}`)
      }
    },
  }
}

const files = async (folder: string): Promise<readonly string[]> => readdir(folder, { recursive: true })

/** What everybody is to come to: certificates for the names, the newest revoked, and no record left. */
const expectDone = ({ ca, dns }: Rig, names: readonly string[], issued: number): void => {
  expect(ca.issued.map(it => [...it.names].sort())).toEqual(Array(issued).fill([...names].sort()))
  expect(ca.issued.at(-1)?.revoked).toBeDefined()
  expect(ca.accounts).toHaveLength(1)
  expect([...dns.txt.values()].flat()).toEqual([])
}

test('certbot issues, renews and revokes', async () => {
  const world = await openWorld()
  const python = await pythonWith('certbot')
  const certbot = join(dirname(python), 'certbot')
  const hook = (what: string) =>
    world.script(
      what,
      `#!/bin/sh\n'${world.hook}' ${what} "_acme-challenge.$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION"\n`,
    )
  const [auth, cleanup] = [await hook('present'), await hook('cleanup')]
  const folders = ['config', 'work', 'logs'].flatMap(it => [`--${it}-dir`, join(world.folder, it)])
  const common = ['--server', world.ca.directoryUrl, '--non-interactive', ...folders]
  const manual = [
    '--manual',
    '--preferred-challenges',
    'dns',
    '--manual-auth-hook',
    auth,
    '--manual-cleanup-hook',
    cleanup,
  ]
  const names = NAMES.flatMap(name => ['-d', name])
  const account = ['--agree-tos', '--no-eff-email', '-m', 'ops@example.com']
  await world.run(certbot, ['certonly', ...common, ...manual, ...account, ...names])
  await world.run(certbot, ['renew', '--force-renewal', '--no-random-sleep-on-renew', ...common])
  await world.run(certbot, [
    'revoke',
    '--cert-name',
    'example.test',
    '--reason',
    'superseded',
    '--no-delete-after-revoke',
    ...common,
  ])
  await world.run(certbot, ['show_account', ...common])
  expectDone(world, NAMES, 2)
  const { certbot: version = '?' } = await pythonVersions(python)
  await ran('certbot (EFF)', version, 'issued, renewed and revoked at the sandbox CA')
}, 240_000)

test('lego issues and revokes, with names in capitals', async () => {
  const world = await openWorld()
  const { path: lego } = await debianProgram('lego')
  const common = ['--server', world.ca.directoryUrl, '--path', world.folder, '--email', 'ops@example.com']
  const env = { HTTPREQ_ENDPOINT: world.door }
  const names = ['--domains', 'Example.test', '--domains', '*.example.test']
  const dns = ['--accept-tos', '--dns', 'httpreq', '--dns.disable-cp', '--dns.resolvers', world.dns.address]
  await world.run(lego, [...common, ...dns, ...names, 'run'], env)
  await world.run(lego, [...common, ...names, 'revoke', '--keep'], env)
  expectDone(world, NAMES, 1)
  // Debian's build calls itself `dev`.
  const policy = await world.run('apt-cache', ['policy', 'lego'])
  const version = /(?:Installed|Candidate): (\d\S*)/.exec(policy)?.[1] ?? '?'
  await ran('lego', version, 'issued and revoked at the sandbox CA')
}, 240_000)

test('dehydrated issues and revokes', async () => {
  const world = await openWorld()
  const { path: dehydrated } = await debianProgram('dehydrated')
  const hook = await world.script(
    'hook',
    `#!/bin/sh
case "$1" in
  deploy_challenge) '${world.hook}' present "_acme-challenge.$2" "$4" ;;
  clean_challenge) '${world.hook}' cleanup "_acme-challenge.$2" "$4" ;;
esac
`,
  )
  await mkdir(join(world.folder, 'base'))
  const config = await world.script(
    'config',
    `CA='${world.ca.directoryUrl}'\nBASEDIR='${join(world.folder, 'base')}'\nCHALLENGETYPE=dns-01\nHOOK='${hook}'\nCONTACT_EMAIL=ops@example.com\n`,
  )
  await world.run('bash', [dehydrated, '--config', config, '--register', '--accept-terms'])
  await world.run('bash', [dehydrated, '--config', config, '--cron', '--domain', NAMES.join(' ')])
  const certificate = (await files(join(world.folder, 'base/certs'))).find(it => it.endsWith('/cert.pem'))
  expect(certificate).toBeDefined()
  await world.run('bash', [
    dehydrated,
    '--config',
    config,
    '--revoke',
    join(world.folder, 'base/certs', certificate ?? ''),
  ])
  await world.run('bash', [dehydrated, '--config', config, '--account'])
  expectDone(world, NAMES, 1)
  const [, version = '?'] = /VERSION="([\d.]+)"/.exec(await readFile(dehydrated, 'utf8')) ?? []
  await ran('dehydrated', version, 'issued and revoked at the sandbox CA')
}, 240_000)

test('uacme issues and revokes', async () => {
  // uacme 1.7 wants a token in every challenge that is offered, its own or not.
  const world = await openWorld({ challenges: ['dns-01'] })
  const { path: uacme, env } = await debianProgram('uacme')
  const hook = await world.script(
    'hook',
    `#!/bin/sh
[ "$2" = dns-01 ] || exit 1
case "$1" in
  begin) '${world.hook}' present "_acme-challenge.$3" "$5" ;;
  done | failed) '${world.hook}' cleanup "_acme-challenge.$3" "$5" ;;
esac
`,
  )
  const common = ['-c', join(world.folder, 'conf'), '-a', world.ca.directoryUrl, '-y', '-v']
  const started = await world.run(uacme, [...common, 'new', 'ops@example.com'], env)
  await world.run(uacme, [...common, '-h', hook, 'issue', ...NAMES], env)
  await world.run(uacme, [...common, 'revoke', join(world.folder, 'conf/example.test/cert.pem')], env)
  expectDone(world, NAMES, 1)
  await ran('uacme', /version (\S+)/.exec(started)?.[1] ?? '?', 'issued and revoked at the sandbox CA')
}, 240_000)
