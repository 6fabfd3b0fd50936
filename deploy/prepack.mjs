import { execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * `npm pack`: dist/ (or OUTDIR) as the npm package has it, whatever settings stand here. Its zips are the lean ones, and
 * in `whole/` those with every driver's package, for settings that want more: who installed the package cannot build.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const out = resolve(root, process.env.OUTDIR || 'dist')
const work = await mkdtemp(join(tmpdir(), 'iotda-cert-prepack-'))
const nobodys = join(work, 'settings.json')
await writeFile(nobodys, '{}')

const build = (folder, bundleAll) => {
  const env = {
    ...process.env,
    ...{ OUTDIR: folder, BUNDLE_AWS_SDK: bundleAll, IOTDA_CERT_SETTINGS: nobodys },
    IOTDA_CERT_WATCH_SETTINGS: nobodys,
  }
  for (const script of ['build.mjs', join('deploy', 'package.mjs')])
    execFileSync(process.execPath, [script], { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] })
}

try {
  build(out, '0')
  const whole = join(work, 'whole')
  build(whole, '1')
  await mkdir(join(out, 'whole'), { recursive: true })
  for (const name of ['lambda', 'functiongraph', 'functiongraph-watch']) {
    const zip = `iotda-cert-${name}.zip`
    await cp(join(whole, zip), join(out, 'whole', zip))
  }
} finally {
  await rm(work, { recursive: true, force: true })
}
