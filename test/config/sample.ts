/** A valid settings file, and the loader with the real drivers' schemas in a folder of its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { driverSchemas } from '../../lib/app/drivers.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { type DriverSchemas, loadSettings, type Settings } from '../../lib/config/load.ts'
import { cleanups } from '../support/cleanups.ts'

export const drivers: DriverSchemas = driverSchemas

export const ENV = {
  AK: 'access-key',
  SK: 'secret-key',
  ALERT_URL: 'https://alerts.example.net/hook',
  SEAL_KEY: Buffer.alloc(32, 7).toString('base64'),
}

// biome-ignore lint/suspicious/noExplicitAny: tests change it everywhere
export type Raw = any

/** Only what has no default. */
export const sample = (): Raw => ({
  version: 1,
  targets: [
    {
      name: 'factory-1',
      domain: 'iot.example.com',
      credentials: 'cn',
      instance: {
        region: 'cn-north-4',
        projectId: 'p1',
        endpoint: 'https://abc.st1.iotda-app.cn-north-4.myhuaweicloud.com',
      },
      certificate: 'iot',
    },
  ],
  certificates: { iot: { names: ['iot.example.com'], source: 'letsencrypt' } },
  sources: {
    letsencrypt: {
      type: 'acme',
      directory: 'https://acme-v02.api.letsencrypt.org/directory',
      solver: 'dns',
    },
  },
  solvers: { dns: { type: 'huaweicloud', credentials: 'cn' } },
  credentials: { cn: { type: 'huaweicloud', accessKey: 'env:AK', secretKey: 'env:SK' } },
})

export const changed = (change: (raw: Raw) => void): Raw => {
  const raw = sample()
  change(raw)
  return raw
}

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-config-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Loads settings as inline JSON. */
export const load = (
  raw: unknown,
  env: Record<string, string> = ENV,
  folder = '/nowhere',
): Promise<Settings> => loadSettings(JSON.stringify(raw), drivers, { env, folder })

/** Loads a text from a settings file among others, given by their names. */
export async function loadFile(text: string, files: Record<string, string> = {}): Promise<Settings> {
  const folder = await newFolder()
  const file = join(folder, 'settings.json')
  await writeFile(file, text)
  for (const [name, body] of Object.entries(files)) await writeFile(join(folder, name), body)
  return loadSettings(file, drivers, { env: ENV, folder: dirname(folder) })
}

export const failure = (loading: Promise<unknown>): Promise<RotationError> =>
  loading.then(
    () => expect.unreachable('the settings were taken'),
    thrown => {
      expect(thrown).toBeInstanceOf(RotationError)
      return thrown as RotationError
    },
  )

/** The lines that say what is wrong, without the first. */
export async function mistakesOf(loading: Promise<unknown>): Promise<readonly string[]> {
  const error = await failure(loading)
  expect(error).toMatchObject({ code: 'settings-invalid', retry: 'never' })
  const [first, ...rest] = error.message.split('\n')
  expect(first).toMatch(rest.length === 1 ? / has a mistake:$/ : new RegExp(` has ${rest.length} mistakes:$`))
  return rest.map(line => line.trim())
}
