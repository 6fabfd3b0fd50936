/** AWS's runtime emulator and its Node client over the zip as it is deployed: the answer, and the log as they collect it. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { sharedBuild } from '../support/built.ts'
import { cleanups } from '../support/cleanups.ts'
import { openFunctionRig } from '../support/function-rig.ts'
import { freePort } from '../support/stranger-server.ts'
import { goProgram, npmPackages, ran } from '../support/strangers.ts'
import { entriesOf } from '../support/unzip.ts'

const CLIENT = '4.0.2'
/** What the client is built with where it is installed. */
const TOOLS = ['autoconf', 'automake', 'libtool', 'cmake', 'make', 'g++']

const hasTools = (): boolean => {
  try {
    execFileSync('sh', ['-c', 'command -v autoreconf cmake make g++'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

let emulator: string
let modules: string
beforeAll(async () => {
  // As root there is a way; else the message of npmPackages says what is missing.
  if (!hasTools() && process.getuid?.() === 0)
    execFileSync('apt-get', ['install', '--yes', '--no-install-recommends', ...TOOLS], { stdio: 'ignore' })
  modules = await npmPackages('lambda-ric', `aws-lambda-ric@${CLIENT}`, 'node@24')
  const path = 'github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie'
  emulator = await goProgram('aws-lambda-rie', `${path}@latest`)
  await ran('aws-lambda-ric', CLIENT, 'the zip of the Lambda function: a rotation, its log, an error')
  const built = execFileSync('go', ['version', '-m', emulator]).toString()
  await ran('aws-lambda-rie', /^\s*mod\s+\S+\s+(\S+)/m.exec(built)?.[1] ?? '', 'the same')
})

const isOpen = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

/** The unpacked zip behind the emulator; what was printed, and how to send an event. */
async function start(config: string) {
  const folder = await mkdtemp(join(tmpdir(), 'lambda-'))
  const built = await sharedBuild()
  for (const { name, data } of entriesOf(await readFile(built.zip('lambda')))) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), data)
  }
  const port = await freePort()
  const client = [join(modules, 'node/bin/node'), join(modules, 'aws-lambda-ric/index.mjs'), 'lambda.handler']
  const address = ['--runtime-interface-emulator-address', `127.0.0.1:${port}`]
  const runtime = ['--runtime-api-address', `127.0.0.1:${await freePort()}`]
  const child = spawn(emulator, [...address, ...runtime, ...client], {
    cwd: folder,
    detached: true,
    env: {
      ...{ PATH: process.env.PATH, IOTDA_CERT_CONFIG: config, AWS_REGION: 'eu-central-1' },
      ...{ AWS_LAMBDA_FUNCTION_NAME: 'iotda-cert', AWS_LAMBDA_FUNCTION_TIMEOUT: '120' },
      ...{ _HANDLER: 'lambda.handler', LAMBDA_TASK_ROOT: folder },
    },
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      printed += chunk
    })
  cleanups.push(async () => {
    // With the client, which the emulator leaves behind.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${port}/2015-03-31/functions/function/invocations`
  // Any request would be an event.
  await expect.poll(() => isOpen(port)).toBe(true)
  const send = async (event: object) =>
    (await fetch(url, { method: 'POST', body: JSON.stringify(event) })).json() as Promise<
      Record<string, unknown>
    >
  return { send, printed: () => printed }
}

test('the log of a rotation is collected line by line, each with the id of the run and of the request', async () => {
  const rig = await openFunctionRig()
  const { send, printed } = await start(rig.config())
  const answer = await send({ action: 'rotate', force: true })
  expect(answer).toMatchObject({ ok: true, results: [{ outcome: 'rotated' }] })
  const lines = printed()
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line))
  const said = lines.filter(line => line.level !== undefined)
  expect(said.length).toBeGreaterThan(2)
  const [, requestId] = /START RequestId: (\S+)/.exec(printed()) ?? []
  for (const line of said)
    expect(line).toMatchObject({
      ...{ correlation_id: answer.runId, function_request_id: requestId, function_name: 'iotda-cert' },
      ...{ service: 'iotda-cert', runId: answer.runId },
    })
  // The metrics are among them, whole.
  expect(lines.filter(line => line._aws).every(line => line.runId === answer.runId)).toBe(true)
  expect(lines.some(line => line._aws)).toBe(true)
})

test('what the settings lack is told in one piece', async () => {
  const { send, printed } = await start('{"version":1}')
  const answer = await send({ action: 'plan' })
  expect(answer.errorType).toBe('IotdaCertError[settings-invalid]')
  expect(answer.errorMessage).toContain('targets: is missing')
  expect(printed()).toContain('targets: is missing')
})
