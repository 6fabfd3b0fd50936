/** One run at some date: in this process with a fake clock, and by the built command where it is that date for all. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { TargetResult } from '../../lib/report/result.ts'
import { fakeClock } from './clock.ts'
import { spawnCli } from './command.ts'
import { environmentAt } from './faketime.ts'
import { createRig } from './rig.ts'

/** The bound certificate, and how long new ones of the CA live. */
export interface World {
  readonly lifetimeMs: number
  readonly ageMs: number
  readonly issuesMs: number
}

/** How a device with the root of the CA fared, by its own clock. */
export interface DeviceHandshake {
  readonly at: number
  readonly isTrusted: boolean
  readonly error: string | null
  readonly validFrom: string
  readonly validTo: string
}

export interface DatedWorld {
  /** One run of the built command. */
  rotate(): Promise<TargetResult>
  handshake(): Promise<DeviceHandshake>
  dispose(): Promise<void>
}

const SANDBOX = fileURLToPath(new URL('dated-sandbox.mjs', import.meta.url))

/** What a run in this process comes to when the clock says that instant. */
export async function rotateInProcess(instant: number, world: World): Promise<TargetResult> {
  const { lifetimeMs, ageMs, issuesMs } = world
  const clock = fakeClock(instant)
  const rig = await createRig({ now: clock.now, ca: { validitySeconds: issuesMs / 1_000 } })
  const { ca, iotda, domain } = rig.sandbox
  const notBefore = new Date(instant - ageMs)
  const notAfter = new Date(instant - ageMs + lifetimeMs - 1_000)
  const { certPem, keyPem } = await ca.issue([domain], { notBefore, notAfter, keyType: 'ec-256' })
  iotda.createConfiguration(domain, iotda.upload(certPem, keyPem))
  return rig.result({}, { clock }).finally(rig.dispose)
}

/** Starts the outside world at that instant, in the time zone; the command and devices run in the same time. */
export async function openDated(instant: number, world: World, timeZone: string): Promise<DatedWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-dated-'))
  const env = { ...process.env, ...(await environmentAt(instant)), TZ: timeZone }
  const child = spawn(process.execPath, [SANDBOX, folder, JSON.stringify(world)], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise(resolve => child.once('close', resolve))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async (): Promise<DeviceHandshake> => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the sandbox ended')
    return JSON.parse(value)
  }
  const { at } = await answer()
  if (Math.abs(at - instant) > 60_000) throw new Error(`for the sandbox it is ${new Date(at).toISOString()}`)
  return {
    rotate: async () => {
      const config = ['--json', '--config', join(folder, 'settings.json')]
      const { stdout, stderr } = await spawnCli(['rotate', ...config], env as Record<string, string>)
      if (stdout === '') throw new Error(`no answer: ${stderr}`)
      return JSON.parse(stdout).results[0]
    },
    handshake: async () => {
      child.stdin.write('\n')
      return answer()
    },
    dispose: async () => {
      child.stdin.end()
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}
