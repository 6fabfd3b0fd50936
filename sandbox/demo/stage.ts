import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { connectAsync, type MqttClient } from 'mqtt'
import type { DeviceEndpoint } from '../device-endpoint.ts'
import type { Iotda } from '../iotda/iotda.ts'
import { type Sandbox, type SandboxSettings, startSandbox } from '../sandbox.ts'

/** A story about the built command: tells it, plays it, and answers whether it went as told. */
export type Story = (stage: Stage) => Promise<boolean>

/** One domain of one instance, as a device and an operator see it. */
export interface Place {
  readonly domain: string
  readonly iotda: Iotda
  readonly device: DeviceEndpoint
}

export interface Stage {
  readonly sandbox: Sandbox
  readonly settingsFile: string
  say(text?: string): void
  /** Writes the settings file anew. */
  configure(change?: (settings: SandboxSettings) => void): Promise<void>
  /** Shows the command and runs it; the exit code. */
  iotdaCert(...args: readonly string[]): Promise<number>
  /** Runs it unseen, with `--json`. */
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any command.
  ask(...args: readonly string[]): Promise<any>
  /** A device: trusts one root, speaks MQTT over TLS with the custom domain as SNI. Rejects when it does not connect. */
  connect(clientId: string, place?: Place): Promise<MqttClient>
  served(place?: Place): Promise<X509Certificate>
  showSlots(place?: Place): void
  /** Done when all is over, the page included. */
  atEnd(work: () => Promise<unknown>): void
  /** Writes the page of how things stand, named after the story; its path, or null when it could not be written. */
  page(story: string): Promise<string | null>
}

const CLI = fileURLToPath(new URL('../cli.mjs', import.meta.url))
/** Beside what was built, so that nothing stays behind elsewhere. */
const PAGES = fileURLToPath(new URL('../demo/', import.meta.url))

/** Starts the sandbox, and stops it when the story has ended. */
export async function withStage<T>(play: (stage: Stage) => Promise<T>): Promise<T> {
  const sandbox = await startSandbox()
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-'))
  const settingsFile = join(folder, 'settings.json')
  const endings: (() => Promise<unknown>)[] = []
  const say = (text = ''): void => console.log(text)
  // Whoever ends it in the middle is left no settings file either.
  const interrupted = async (): Promise<void> => {
    const ended = [...running].map(child => once(child, 'close'))
    for (const child of running) child.kill('SIGKILL')
    await Promise.all(ended)
    await rm(folder, { recursive: true, force: true })
    process.exit(130)
  }
  process.once('SIGINT', interrupted)
  const stage: Stage = {
    sandbox,
    settingsFile,
    say,
    configure: change =>
      writeFile(settingsFile, `${JSON.stringify(sandbox.settings(change), null, 2)}\n`, { mode: 0o600 }),
    iotdaCert: (...args) => {
      say(`\n$ iotda-cert ${args.map(it => (it.includes(' ') ? `"${it}"` : it)).join(' ')}`)
      return exitCodeOf([...args, '--config', settingsFile], 'inherit')
    },
    ask: (...args) => askJson([...args, '--json', '--config', settingsFile]),
    connect: async (clientId, place = sandbox) => {
      const device = await connectDevice(sandbox.ca.rootPem, clientId, place)
      endings.push(() => device.endAsync(true))
      return device
    },
    served: (place = sandbox) => servedAt(sandbox.ca.rootPem, place),
    showSlots: (place = sandbox) => {
      for (const line of slotLines(place)) say(line)
    },
    atEnd: work => void endings.push(work),
    page: async story => {
      await mkdir(PAGES, { recursive: true })
      const file = join(PAGES, `${story}.html`)
      await rm(file, { force: true })
      // Its exit code tells how the target is.
      await exitCodeOf(['status', '--html', file, '--config', settingsFile], 'ignore')
      return existsSync(file) ? relative(process.cwd(), file) : null
    },
  }
  try {
    await stage.configure()
    return await play(stage)
  } finally {
    await Promise.all(endings.map(end => end()))
    await sandbox.dispose()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Commands that are at work. */
const running = new Set<ChildProcess>()

function start(args: readonly string[], stdio: StdioOptions): ChildProcess {
  const child = spawn(process.execPath, [CLI, ...args], { stdio })
  running.add(child)
  return child.once('close', () => running.delete(child))
}

function exitCodeOf(args: readonly string[], stdio: 'inherit' | 'ignore'): Promise<number> {
  return new Promise(resolve => {
    const child = start(args, stdio)
    child.once('close', status => resolve(status ?? 1))
  })
}

function askJson(args: readonly string[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = start(args, ['ignore', 'pipe', 'ignore'])
    const parts: Buffer[] = []
    child.stdout?.on('data', part => parts.push(part))
    child.once('close', () => {
      try {
        resolve(JSON.parse(Buffer.concat(parts).toString()))
      } catch (error) {
        reject(error)
      }
    })
  })
}

function connectDevice(rootPem: string, clientId: string, { device, domain }: Place): Promise<MqttClient> {
  const { host, port } = device
  return connectAsync(`mqtts://${host}:${port}`, {
    clientId,
    ca: rootPem,
    servername: domain,
    reconnectPeriod: 0,
  })
}

function servedAt(rootPem: string, { device, domain }: Place): Promise<X509Certificate> {
  const { host, port } = device
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host, port, servername: domain, ca: rootPem }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw))
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

/** The id that the domain configuration points at. */
export const boundId = ({ iotda }: Place): string | undefined =>
  iotda.configurations()[0]?.server_certificate_id

function slotLines(place: Place): readonly string[] {
  const { iotda } = place
  const bound = boundId(place)
  return iotda
    .certificates()
    .map(
      ({ id, expiryDate }, i) =>
        `         slot ${i + 1}: ${id} until ${expiryDate}${id === bound ? '  <- bound' : ''}`,
    )
}

export const fingerprint = (certificate: X509Certificate): string =>
  `${certificate.fingerprint256.replaceAll(':', '').toLowerCase().slice(0, 16)}…`

export function describe(certificate: X509Certificate): string {
  const days = Math.floor((Date.parse(certificate.validTo) - Date.now()) / 86_400_000)
  return `${certificate.subject ?? certificate.subjectAltName}, ${days} days left (${fingerprint(certificate)})`
}
