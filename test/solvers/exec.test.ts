/**
 * A program says no more than its exit code and a line, and nobody tries again for it. So the shared suite runs on
 * one that calls lego's httpreq, without telling wrong keys, permissions and zones apart, and without retries; the
 * other programs here keep their values in a folder, one file for each.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import exec from '../../lib/solvers/exec.ts'
import { createHttpreq } from '../../sandbox/dns/httpreq.ts'
import { solverContract } from '../contract/solver.ts'
import { cleanups } from '../support/cleanups.ts'
import { createContext, createRun, createTestClock, createTestLog, noKeys } from './rig.ts'
import { createVendorRig, type VendorRig } from './vendor-rig.ts'

/** A program of somebody's own, as he might write it: to an HTTP service, with a password of its environment. */
const TO_HTTPREQ = `
const [url, method, fqdn, value] = process.argv.slice(2)
const answer = await fetch(url + '/' + method, {
  method: 'POST',
  headers: { authorization: 'Basic ' + btoa('acme:' + process.env.PASSWORD) },
  body: JSON.stringify({ fqdn, value }),
}).catch(error => ({ ok: false, text: async () => String(error) }))
if (!answer.ok) {
  console.error(await answer.text())
  process.exit(1)
}
`
const PASSWORD = 'exec-password-1'

/** A folder for one test. */
const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'exec-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const contractRig = async (): Promise<VendorRig> => {
  const program = join(await newFolder(), 'dns.mjs')
  await writeFile(program, TO_HTTPREQ)
  return createVendorRig({
    service: 'httpreq',
    operations: ['Present', 'Cleanup'],
    writes: ['Present'],
    removals: ['Cleanup'],
    answers: { forbidden: { status: 403 }, throttled: { status: 429 } },
    unknownZone: 'service-refused',
    secrets: [PASSWORD, 'exec-password-2'],
    serve: (dns, faults) => createHttpreq({ dns, faults, auth: { username: 'acme', password: PASSWORD } }),
    solver: (url, context, isStranger) => {
      const parsed = v.parse(exec.settings, { command: process.execPath, args: [program, url] })
      const environment = { PASSWORD: secret(isStranger ? 'exec-password-2' : PASSWORD) }
      return exec.create({ ...parsed, environment }, context)
    },
  })
}

solverContract('exec', contractRig, { throttles: false, repeats: false, explains: false })

const NAME = '_acme-challenge.example.com.'

const PROGRAM = `#!/bin/sh
set -e
folder="$(dirname "$0")/values"
echo "$*" >> "$(dirname "$0")/log"
case "$1" in
  present) : > "$folder/$2$3" ;;
  cleanup) rm -f "$folder/$2$3" ;;
  *) echo "what is $1?" >&2; exit 64 ;;
esac
`

const make = async (program = PROGRAM, settings: object = {}, environment: Record<string, string> = {}) => {
  const folder = await newFolder()
  const command = join(folder, 'dns.sh')
  await mkdir(join(folder, 'values'))
  await writeFile(command, program)
  await chmod(command, 0o755)
  const clock = createTestClock()
  const { log, entries } = createTestLog()
  const context = createContext(clock, log, noKeys)
  const parsed = v.parse(exec.settings, { command, ...settings })
  const secrets = Object.fromEntries(Object.entries(environment).map(([name, it]) => [name, secret(it)]))
  return {
    command,
    context,
    solver: exec.create({ ...parsed, environment: secrets }, context),
    run: (over: object = {}) => createRun(clock, log, over),
    values: async () => (await readdir(join(folder, 'values'))).sort(),
    calls: async () =>
      (await readFile(join(folder, 'log'), 'utf8').catch(() => '')).split('\n').filter(it => it !== ''),
    read: (name: string) => readFile(join(folder, name), 'utf8'),
    entries,
  }
}

describe('exec', () => {
  it('calls the program as lego does', async () => {
    const { solver, run, calls, values } = await make()
    await solver.prepare(NAME, run())
    await solver.present(NAME, 'a', run())
    await solver.present(NAME, '-b', run())
    expect(await values()).toEqual([`${NAME}-b`, `${NAME}a`])
    await solver.cleanUp(NAME, 'a', run())
    await solver.cleanUp(NAME, 'a', run())
    expect(await values()).toEqual([`${NAME}-b`])
    expect(await calls()).toEqual([
      `present ${NAME} a`,
      `present ${NAME} -b`,
      `cleanup ${NAME} a`,
      `cleanup ${NAME} a`,
    ])
  })

  it('puts its own arguments first, and lets no shell read any', async () => {
    const program = '#!/bin/sh\nprintf "%s\\n" "$@" > "$(dirname "$0")/args"\n'
    const { solver, run, read } = await make(program, { args: ['--zone', '$(id) *;'] })
    await solver.present(NAME, 'a b`id`', run())
    expect(await read('args')).toBe(`--zone\n$(id) *;\npresent\n${NAME}\na b\`id\`\n`)
  })

  it('hands on no environment but PATH and what the settings give', async () => {
    const program = '#!/bin/sh\n/usr/bin/env | /usr/bin/sort > "$(dirname "$0")/env"\n'
    const { solver, run, read } = await make(program, {}, { TOKEN: 'exec-token-1' })
    await solver.present(NAME, 'a', run())
    const names = (await read('env')).split('\n').filter(line => !/^(PWD|SHLVL|_|OLDPWD)=/.test(line))
    expect(names).toEqual(['PATH=/usr/local/bin:/usr/bin:/bin', 'TOKEN=exec-token-1', ''])
  })

  it('says how the program ended, with the first line of its standard error and no secret', async () => {
    const program = '#!/bin/sh\necho "no zone for $TOKEN" >&2\necho more >&2\nexit 3\n'
    const { solver, run, command, entries } = await make(program, {}, { TOKEN: 'exec-token-1' })
    const error = await solver.present(NAME, 'a', run()).catch(thrown => thrown as Error)
    expect(error).toMatchObject({
      code: 'service-refused',
      message: `solver dns (exec): ${command} present for ${NAME} ended with exit code 3: no zone for [secret]`,
    })
    expect(`${error?.stack} ${JSON.stringify(entries)}`).not.toContain('exec-token-1')
    await expect(solver.cleanUp(NAME, 'a', run())).rejects.toMatchObject({ code: 'service-refused' })
  })

  it('says that the program was killed by somebody', async () => {
    const { solver, run } = await make('#!/bin/sh\nkill -9 $$\n')
    await expect(solver.present(NAME, 'a', run())).rejects.toMatchObject({
      code: 'service-refused',
      message: expect.stringMatching(/was ended by SIGKILL$/),
    })
  })

  it('says that the program cannot be started', async () => {
    const { command, context, run } = await make()
    await chmod(command, 0o644)
    const tried = (path: string) =>
      exec.create(v.parse(exec.settings, { command: path }), context).present(NAME, 'a', run())
    const message = (path: string, code: string) =>
      `solver dns (exec): ${path} present for ${NAME} could not be started (${code})`
    const code = 'settings-invalid'
    await expect(tried(command)).rejects.toMatchObject({ code, message: message(command, 'EACCES') })
    const nowhere = '/nonexistent/dns.sh'
    await expect(tried(nowhere)).rejects.toMatchObject({ code, message: message(nowhere, 'ENOENT') })
  })

  it('kills a program that takes too long, and its children', async () => {
    const program = '#!/bin/sh\nsleep 60 &\necho $! > "$(dirname "$0")/child"\nwait\n'
    const { solver, run, read } = await make(program, { timeout: '300ms' })
    await expect(solver.present(NAME, 'a', run())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('was killed'),
    })
    const child = Number(await read('child'))
    const state = async (): Promise<string> =>
      (await readFile(`/proc/${child}/stat`, 'utf8').catch(() => ') gone')).split(') ')[1] ?? ''
    await expect.poll(state).toMatch(/^(gone|Z)/)
  })

  it('stops with the run', async () => {
    const { solver, run, calls } = await make(`${PROGRAM}sleep 60\n`)
    const over = run({ signal: AbortSignal.abort() })
    await expect(solver.present(NAME, 'a', over)).rejects.toMatchObject({ code: 'out-of-time' })
    await expect(solver.prepare(NAME, over)).rejects.toMatchObject({ code: 'out-of-time' })
    expect(await calls()).toEqual([])
    const stop = new AbortController()
    const presented = solver.present(NAME, 'a', run({ signal: stop.signal })).catch(thrown => thrown)
    await expect.poll(calls).toHaveLength(1)
    stop.abort()
    expect(await presented).toMatchObject({ code: 'out-of-time' })
  })

  it('makes one call of a name at a time', async () => {
    const lock = 'mkdir "$(dirname "$0")/lock"\nsleep 0.05\nrmdir "$(dirname "$0")/lock"\n'
    const { solver, run, values } = await make(`${PROGRAM}${lock}`)
    await Promise.all(['a', 'b', 'c'].map(value => solver.present(NAME, value, run())))
    expect(await values()).toEqual(['a', 'b', 'c'].map(value => `${NAME}${value}`))
  })
})
