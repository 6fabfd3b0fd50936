/** A real Chromium: CHROMIUM_BIN, the PATH, or Debian's package through apt. None at all is a failure. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'

const run = promisify(execFile)
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

async function onPath(): Promise<string | null> {
  for (const name of NAMES) {
    const found = await run('sh', ['-c', `command -v ${name}`]).then(
      ({ stdout }) => stdout.trim(),
      () => '',
    )
    if (found !== '') return found
  }
  return null
}

async function install(): Promise<void> {
  const options = { timeout: 300_000, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  await run('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], options).catch(async () => {
    await run('apt-get', ['update'], options)
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], options)
  })
}

async function findChromium(): Promise<string> {
  const known = process.env.CHROMIUM_BIN || (await onPath())
  if (known) return known
  const why = await install().then(
    () => null,
    error => String((error as Error).message).split('\n')[0],
  )
  const installed = await onPath()
  if (installed) return installed
  throw new Error(
    `No Chromium: set CHROMIUM_BIN, put chromium on the PATH, or run as root where apt can install it (${why ?? 'apt installed none'})`,
  )
}

export async function openChromium(): Promise<Browser> {
  const executablePath = await findChromium()
  // A container has no user namespaces, and little shared memory.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}
