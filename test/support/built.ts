/** A build of its own, in a folder that git ignores and from which packages are found. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from './modules.ts'

const run = promisify(execFile)

export interface Built {
  readonly folder: string
  readonly zip: (name: 'lambda' | 'functiongraph' | 'functiongraph-watch') => string
  dispose(): Promise<void>
}

/** `npm run package`, elsewhere. */
export async function buildAndPackage(env: Readonly<Record<string, string>> = {}): Promise<Built> {
  const cache = join(ROOT, 'node_modules', '.cache', 'iotda-cert')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(cache, 'build-'))
  const options = { cwd: ROOT, env: { ...process.env, BUNDLE_AWS_SDK: '0', ...env, OUTDIR: folder } }
  await run(process.execPath, ['build.mjs'], options)
  await run(process.execPath, ['deploy/package.mjs'], options)
  return {
    folder,
    zip: name => join(folder, `iotda-cert-${name}.zip`),
    dispose: () => rm(folder, { recursive: true, force: true }),
  }
}
