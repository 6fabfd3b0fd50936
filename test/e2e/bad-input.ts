import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { ErrorCode } from '../../lib/model/errors.ts'
import { type Ended, spawnCli } from '../support/command.ts'
import type { Rig } from '../support/rig.ts'

/** A command line that must be refused, and how. */
export interface Refusal {
  /** Default: `rotate`. */
  readonly args?: readonly string[]
  /** Default: the settings file of the rig. */
  readonly env?: Readonly<Record<string, string>>
  readonly code: ErrorCode
  /** What the one message, or its hint, must name. */
  readonly says: readonly string[]
  /** TXT values come and go: it is found out only after names were validated. */
  readonly dns?: true
}

/** Refused with exit 2 by one clear message: in words, and the same with `--json`. Both runs change nothing. */
export async function expectRefusal(rig: Rig, refusal: Refusal): Promise<void> {
  const { args = ['rotate'], env = { IOTDA_CERT_CONFIG: rig.settingsFile }, code, says } = refusal
  const before = holdings(rig)

  const human = await spawnCli(args, { ...env })
  expectNoStackTrace(human)
  const text = human.stdout + human.stderr
  expect(human.code, text).toBe(2)
  for (const part of says) expect(text).toContain(part)
  expect(text.match(/^ *error:? /gm), text).toHaveLength(1)

  const json = await spawnCli([...args, '--json'], { ...env })
  expectNoStackTrace(json)
  expect(json.code, json.stdout + json.stderr).toBe(2)
  expect(json.stderr).toBe('')
  const answer = JSON.parse(json.stdout)
  expect(answer).toMatchObject({ version: 1, ok: false })
  const errors = [answer.error, ...answer.results.map((result: { error: unknown }) => result.error)].filter(
    Boolean,
  )
  expect(errors).toHaveLength(1)
  expect(errors[0].code).toBe(code)
  for (const part of says) expect(`${errors[0].message}\n${errors[0].hint}`).toContain(part)

  expect(changes(rig, refusal.dns ? /^iotda\./ : /^(iotda|httpreq|huaweidns)\./)).toEqual([])
  expect(holdings(rig)).toEqual(before)
}

export function expectNoStackTrace({ stdout, stderr }: Ended): void {
  expect(`${stdout}${stderr}`).not.toMatch(/^\s+at |\.mjs:\d|\.ts:\d|node:internal|RotationError|\[object /m)
}

/** Calls that changed something. */
const changes = ({ sandbox }: Rig, services: RegExp): readonly string[] =>
  sandbox.faults.calls
    .filter(({ operation, method }) => services.test(operation) && method !== 'GET')
    .map(({ operation }) => operation)

export const orders = ({ sandbox }: Rig): number =>
  sandbox.faults.calls.filter(({ operation }) => operation === 'acme.NewOrder').length

/** What IoTDA holds and binds. */
export const holdings = ({ sandbox: { iotda } }: Rig) => ({
  certificates: iotda.certificates().map(({ id }) => id),
  configurations: structuredClone(iotda.configurations()),
})

/** Every file of the state by its path; empty when there is no state. */
export async function stateFiles({ folder }: Rig): Promise<ReadonlyMap<string, string>> {
  const state = join(folder, 'state')
  const entries = await readdir(state, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const texts = await Promise.all(files.map(file => readFile(file, 'utf8')))
  return new Map(files.map((file, i) => [file.slice(state.length + 1), texts[i] ?? '']))
}

/** What the state says that a later run would go by. */
export async function leftovers(rig: Rig): Promise<readonly string[]> {
  const found: string[] = []
  for (const [path, text] of await stateFiles(rig)) {
    if (/^certificates\/iot\//.test(path)) found.push(`the private key ${path}`)
    if (!/^(certificates\/iot|targets\/[^/]+)\.\d+\.json$/.test(path)) continue
    const { pending, held, retryAfter, failures } = JSON.parse(text)
    if (pending) found.push(`pending in ${path}`)
    if (held) found.push(`held in ${path}`)
    if (retryAfter || failures) found.push(`back-off in ${path}`)
  }
  return found
}
