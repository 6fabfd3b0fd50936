/** Builds of the tests' own, in folders that git ignores and from which packages are found. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from './modules.ts'

const run = promisify(execFile)
const CACHE = join(ROOT, 'node_modules', '.cache', 'iotda-cert')
const HOUR_MS = 3_600_000

export interface Built {
  readonly folder: string
  readonly zip: (name: 'lambda' | 'functiongraph' | 'functiongraph-watch') => string
  dispose(): Promise<void>
}

const builtIn = (folder: string, dispose: Built['dispose']): Built => ({
  folder,
  zip: name => join(folder, `iotda-cert-${name}.zip`),
  dispose,
})

/** `npm run package`, elsewhere. */
export async function buildAndPackage(env: Readonly<Record<string, string>> = {}): Promise<Built> {
  await mkdir(CACHE, { recursive: true })
  const folder = await mkdtemp(join(CACHE, 'build-'))
  const options = { cwd: ROOT, env: { ...process.env, BUNDLE_AWS_SDK: '0', ...env, OUTDIR: folder } }
  await run(process.execPath, ['build.mjs'], options)
  await run(process.execPath, ['deploy/package.mjs'], options)
  return builtIn(folder, () => rm(folder, { recursive: true, force: true }))
}

/** The sources by their names and the times of their last change. */
async function sourcesNow(): Promise<string> {
  const folders = ['lib', 'functions', 'deploy', 'sandbox']
  const files = await Promise.all(
    folders.map(async it => (await readdir(join(ROOT, it), { recursive: true })).map(file => join(it, file))),
  )
  const hash = createHash('sha256')
  for (const file of [...files.flat().sort(), 'build.mjs', 'package-lock.json'])
    hash.update(`${file} ${(await stat(join(ROOT, file))).mtimeMs}\n`)
  return hash.digest('hex').slice(0, 16)
}

/** What `npm pack` takes besides what is built. */
const PACKED = [
  ...['package.json', 'README.md', 'README.zh-CN.md', 'LICENSE', 'CHANGELOG.md', 'RUNBOOK.md'],
  ...['serverless.yml', 'settings.schema.json', 'docs', 'deploy'],
]

/** The npm package as `npm pack` makes it, in a folder of its own: dist/ stays as the tests beside use it. */
export async function packInto(destination: string): Promise<{
  readonly file: string
  readonly size: number
  readonly paths: readonly string[]
}> {
  await mkdir(CACHE, { recursive: true })
  const folder = await mkdtemp(join(CACHE, 'pack-'))
  try {
    for (const name of PACKED) await cp(join(ROOT, name), join(folder, name), { recursive: true })
    const env = { ...process.env, OUTDIR: join(folder, 'dist') }
    await run(process.execPath, ['deploy/prepack.mjs'], { cwd: ROOT, env })
    const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', destination]
    const [{ filename, size, files }] = JSON.parse((await run('npm', pack, { cwd: folder })).stdout)
    return { file: join(destination, filename), size, paths: files.map((it: { path: string }) => it.path) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The same as it is, made once for all tests until a source changes. */
export async function sharedBuild(): Promise<Built> {
  const kept = join(CACHE, `shared-${await sourcesNow()}`)
  const shared = builtIn(kept, async () => {})
  if (await stat(kept).catch(() => null)) return shared
  const { folder } = await buildAndPackage()
  // Another test may have been quicker.
  await rename(folder, kept).catch(() => rm(folder, { recursive: true, force: true }))
  for (const name of (await readdir(CACHE)).filter(it => it.startsWith('shared-'))) {
    const { mtimeMs } = await stat(join(CACHE, name))
    if (Date.now() - mtimeMs > HOUR_MS && join(CACHE, name) !== kept)
      await rm(join(CACHE, name), { recursive: true, force: true })
  }
  return shared
}
