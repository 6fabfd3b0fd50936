/** A real BIND on loopback, with zones that a TSIG key may update. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import packet from 'dns-packet'
import type { BindBinaries } from './bind-binaries.ts'

export interface BindOptions {
  readonly zones: readonly string[]
  readonly keys: readonly { readonly name: string; readonly algorithm: string; readonly secret: string }[]
  /** Who may update, besides the test itself. */
  readonly allowUpdate: readonly string[]
}

export interface Bind {
  readonly port: number
  /** Adds a TXT record (or another) by an update of its own, without a key. */
  add(zone: string, name: string, type: 'TXT' | 'CNAME', data: string): Promise<void>
  dispose(): Promise<void>
}

export const HOST = '127.0.0.1'
/** The address from which updates need no key. */
const EDITOR = '127.0.0.9'

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, HOST, () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

const zoneText = (zone: string): string =>
  [
    '$TTL 60',
    `@ SOA ns1.${zone}. hostmaster.${zone}. 1 3600 600 86400 60`,
    `@ NS ns1.${zone}.`,
    `ns1 A ${HOST}`,
    'mail TXT "v=spf1 -all"',
    '',
  ].join('\n')

const configText = (folder: string, port: number, { zones, keys, allowUpdate }: BindOptions): string => {
  const allowed = [EDITOR, ...allowUpdate].map(it => `${it};`).join(' ')
  const keyTexts = keys.map(it => `key "${it.name}" { algorithm ${it.algorithm}; secret "${it.secret}"; };`)
  const zoneTexts = zones.map(
    zone => `zone "${zone}" { type primary; file "${zone}.zone"; allow-update { ${allowed} }; };`,
  )
  const options = [
    `directory "${folder}";`,
    `listen-on port ${port} { ${HOST}; };`,
    'listen-on-v6 { none; }; pid-file none; session-keyfile none; recursion no; notify no; dnssec-validation no;',
  ]
  return [`options { ${options.join(' ')} };`, 'controls { };', ...keyTexts, ...zoneTexts, ''].join('\n')
}

/** The serial of a zone as a server has it; null while it has none, or does not answer in 100 ms. */
export async function serialOf(port: number, zone: string): Promise<number | null> {
  const question = packet.encode({
    ...{ type: 'query', id: 1, flags: packet.RECURSION_DESIRED },
    questions: [{ type: 'SOA', name: zone }],
  })
  const [soa] = (await ask(port, question, HOST, 100))?.answers ?? []
  return soa?.type === 'SOA' ? (soa.data.serial ?? null) : null
}

/** One question over UDP; null when there is no answer within the time. */
const ask = (port: number, message: Buffer, from: string, withinMs: number): Promise<packet.Packet | null> =>
  new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    const end = (answer: packet.Packet | null): void => {
      clearTimeout(timer)
      socket.close()
      resolve(answer)
    }
    const timer = setTimeout(() => end(null), withinMs)
    socket.once('error', reject)
    socket.once('message', answer => end(packet.decode(answer)))
    socket.bind(0, from, () => socket.send(message, port, HOST))
  })

const started = async (
  child: ChildProcess,
  port: number,
  zone: string,
  said: () => string,
): Promise<boolean> => {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (child.exitCode !== null) {
      if (said().includes('address in use')) return false
      throw new Error(`BIND ended:\n${said()}`)
    }
    if ((await serialOf(port, zone)) !== null) return true
    await sleep(20)
  }
  throw new Error(`BIND does not answer:\n${said()}`)
}

const updateMessage = (zone: string, name: string, type: 'TXT' | 'CNAME', data: string): Buffer =>
  packet.encode({
    type: 'query',
    id: 2,
    flags: 5 << 11,
    questions: [{ type: 'SOA', name: zone }],
    authorities: [{ type, name, ttl: 60, data } as packet.Answer],
  })

/** A `named` that answers, and how it is told to read its zones anew. */
export interface Named {
  readonly reload: () => void
  readonly dispose: () => Promise<void>
}

/** Starts one with a configuration in a folder; null: its port was taken meanwhile. `zone`: what it must answer for. */
export async function startNamed(
  { named, env }: BindBinaries,
  { folder, port, zone }: { readonly folder: string; readonly port: number; readonly zone: string },
): Promise<Named | null> {
  const child = spawn(named, ['-g', '-n', '1', '-c', join(folder, 'named.conf')], {
    env: { ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', chunk => {
    said += chunk
  })
  const ended = new Promise(resolve => child.once('close', resolve))
  const dispose = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  const isUp = await started(child, port, zone, () => said).catch(async error => {
    await dispose()
    throw error
  })
  if (isUp) return { reload: () => void child.kill('SIGHUP'), dispose }
  await dispose()
  return null
}

async function startOnce(binaries: BindBinaries, options: BindOptions): Promise<Bind | null> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'bind-'))
  await writeFile(join(folder, 'named.conf'), configText(folder, port, options))
  for (const zone of options.zones) await writeFile(join(folder, `${zone}.zone`), zoneText(zone))
  const running = await startNamed(binaries, { folder, port, zone: options.zones[0] ?? '' })
  if (running === null) return null
  const { dispose } = running
  const add: Bind['add'] = async (zone, name, type, data) => {
    const answer = await ask(port, updateMessage(zone, name, type, data), EDITOR, 5_000)
    const { rcode } = (answer ?? {}) as { rcode?: string }
    if (rcode !== 'NOERROR') throw new Error(`BIND: update of ${name}: ${rcode ?? 'no answer'}`)
  }
  return { port, add, dispose }
}

/** Starts a BIND with its zones in a folder of its own. */
export async function startBind(binaries: BindBinaries, options: BindOptions): Promise<Bind> {
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    const bind = await startOnce(binaries, options)
    if (bind) return bind
  }
  throw new Error('BIND found no free port')
}
