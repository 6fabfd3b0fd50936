/** The HTTP client as it is bundled, without the parts of undici that it never reaches, passes all of its tests. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, expect, test, vi } from 'vitest'
import { leanUndici } from '../../deploy/lean.mjs'
import { ROOT } from '../support/modules.ts'

const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-lean-'))
const made = await build({
  entryPoints: ['lib/base/http.ts'],
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minify: true,
  metafile: true,
  outfile: join(folder, 'http.cjs'),
  plugins: [leanUndici],
})
const bundled = pathToFileURL(join(folder, 'http.cjs')).href
afterAll(() => rm(folder, { recursive: true, force: true }))

vi.doMock('../../lib/base/http.ts', () => import(bundled))
await import('../base/http.test.ts')

test('it is what was asked for: small, and without the rest', async () => {
  const [output] = Object.values(made.metafile.outputs)
  expect(output?.bytes).toBeLessThan(100_000)
  const inputs = Object.keys(output?.inputs ?? {})
  expect(inputs.filter(it => /web[\\/]fetch[\\/](?!body)|redirect-handler/.test(it))).toEqual([])
  const { createHttp } = await import('../../lib/base/http.ts')
  expect(createHttp).toBe((await import(bundled)).createHttp)
})
