import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../lib/base/time.ts'
import { createHttp } from '../../lib/http/client.ts'
import type acme from '../../lib/sources/acme.ts'
import { leafOf } from '../../lib/x509/certificate.ts'
import { createChalltestsrvSolver } from '../support/challtestsrv-solver.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'
import { type Pebble, startPebble } from '../support/pebble.ts'
import { createRun, createSource, requestOf, specOf } from './rig.ts'

const path = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url))

const alias = {
  axios: path('lib/acme/shims/axios.ts'),
  debug: path('lib/acme/shims/debug.cjs'),
  'node-forge': path('lib/acme/shims/node-forge.ts'),
}

const REQUIRE =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);"

describe('a bundle with the shims', () => {
  let pebble: Pebble
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shims-'))
    pebble = await startPebble()
  }, 600_000)
  afterAll(async () => {
    await pebble?.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  it.each([
    ['esm', 'mjs', REQUIRE],
    ['cjs', 'cjs', ''],
  ] as const)(
    'issues a certificate as %s, without axios, node-forge and debug',
    async (format, extension, js) => {
      const outfile = join(folder, `acme.${extension}`)
      const { metafile, warnings } = await build({
        entryPoints: [path('lib/sources/acme.ts')],
        bundle: true,
        minify: true,
        platform: 'node',
        target: 'node20',
        format,
        outfile,
        alias,
        banner: { js },
        metafile: true,
      })
      expect(warnings).toEqual([])
      const inputs = Object.keys(metafile.inputs).join('\n')
      expect(inputs).toContain('node_modules/acme-client/')
      expect(inputs).not.toMatch(/node_modules\/(axios|node-forge|debug|ms)\//)

      const loaded = await import(pathToFileURL(outfile).href)
      const driver = (format === 'cjs' ? loaded.default.default : loaded.default) as typeof acme
      const http = createHttp({ caCertificates: pebble.caPem })
      const journal = createJournal()
      const run = createRun(systemClock, 60_000)
      const outside = {
        http,
        solver: createChalltestsrvSolver(pebble.challtestsrv),
        memory: createSourceMemory(),
        journal,
      }
      const source = createSource(outside, { directory: pebble.directoryUrl }, run, driver)
      const names = ['bundled.example', '*.bundled.example']
      const result = await source.obtain(requestOf(specOf(names)), journal, run)
      if (result.kind !== 'obtained') throw new Error(result.why)
      expect(leafOf(new X509Certificate(result.chainPem)).names).toEqual(expect.arrayContaining(names))
      await http.close()
    },
  )
})
