/** Servers of other people as child processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const START_TRIES = 400
const START_EVERY_MS = 50

/** Ports of 127.0.0.1 that nobody listens on now. */
export const freePorts = async (count: number): Promise<readonly number[]> => {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}

/** A child process that is watched until it serves, with what it wrote for the error when it does not. */
export const start = (command: string, parameters: readonly string[], env: NodeJS.ProcessEnv) => {
  const child = spawn(command, parameters, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const note = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4_000)
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  child.on('error', error => note(Buffer.from(String(error))))
  const ready = async (probe: () => Promise<unknown>): Promise<void> => {
    for (let tries = 0; tries < START_TRIES && child.exitCode === null; tries += 1) {
      const up = await probe().then(
        () => true,
        () => false,
      )
      if (up) return
      await sleep(START_EVERY_MS)
    }
    throw new Error(`${command} did not start:\n${output}`)
  }
  return { child, ready }
}

/** Ends it, and waits until it has. */
export const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
