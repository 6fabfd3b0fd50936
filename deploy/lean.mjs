import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { deflateRawSync } from 'node:zlib'

/**
 * Leaves out of undici what the doors never reach, in favour of small stand-ins that say so if they are reached
 * after all. test/deploy/lean.test.ts runs the HTTP client's tests against a bundle that is made with it.
 */

/** Both builds of the HTTP parser are in the package; the one without SIMD runs on every processor. */
const SIMD_PARSER = /[\\/]undici[\\/]lib[\\/]llhttp[\\/]llhttp_simd-wasm\.js$/
/** A third of all code of an idle check otherwise. */
const PARSER = /[\\/]undici[\\/]lib[\\/]llhttp[\\/]llhttp-wasm\.js$/
/** FormData, Blob and iterable bodies, which lib/base/http.ts does not send. */
const FETCH_BODY = /[\\/]undici[\\/]lib[\\/]web[\\/]fetch[\\/]body\.js$/
/** HTTP/2 is off. */
const HTTP2 = /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client-h2\.js$/

const absent = what => `throw new Error('${what} is left out of this bundle')`

const unpacking = path => {
  const packed = deflateRawSync(createRequire(path)(path), { level: 9 }).toString('base64')
  return `module.exports = require('node:zlib').inflateRawSync(Buffer.from('${packed}', 'base64'))`
}

/** An esbuild plugin. */
export const leanUndici = {
  name: 'lean-undici',
  setup(build) {
    const replace = (filter, contents) => build.onLoad({ filter }, () => ({ contents, loader: 'js' }))
    replace(SIMD_PARSER, "module.exports = require('./llhttp-wasm.js')")
    build.onLoad({ filter: PARSER }, ({ path }) => ({ contents: unpacking(path), loader: 'js' }))
    replace(FETCH_BODY, `exports.extractBody = () => { ${absent('a body of fetch')} }`)
    replace(HTTP2, `module.exports = () => { ${absent('HTTP/2')} }`)
    build.onLoad({ filter: /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client-h1\.js$/ }, async ({ path }) => {
      const contents = await readFile(path, 'utf8')
      // A newer undici may be built otherwise: then somebody has to look again.
      for (const known of [
        "require('../web/fetch/body.js').extractBody",
        "require('../llhttp/llhttp_simd-wasm.js')",
      ])
        if (!contents.includes(known)) throw new Error(`undici no longer says ${known}: see deploy/lean.mjs`)
      return { contents, loader: 'js' }
    })
  },
}
