import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { brotliCompressSync } from 'node:zlib'

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
/** Redirects are off; as the original does then, the stand-in hands every request on. */
const REDIRECTS = /[\\/]undici[\\/]lib[\\/]interceptor[\\/]redirect-interceptor\.js$/
/** Tables that spare the lower case of well-known header names; without them every name is looked at. */
const HEADER_NAMES = /[\\/]undici[\\/]lib[\\/]core[\\/]constants\.js$/
const HEADER_TREE = /[\\/]undici[\\/]lib[\\/]core[\\/]tree\.js$/
/** A hundred names that only a debugger shows. */
const SYMBOLS = /[\\/]undici[\\/]lib[\\/]core[\\/]symbols\.js$/
/** Tables of methods and states, of which the client takes two. */
const CONSTANTS = /[\\/]undici[\\/]lib[\\/]llhttp[\\/]constants\.js$/
/** Half of it prints what NODE_DEBUG=undici asks for; the channels themselves stay. */
const DIAGNOSTICS = /[\\/]undici[\\/]lib[\\/]core[\\/]diagnostics\.js$/
const CHANNELS = {
  ...{ beforeConnect: 'client:beforeConnect', connected: 'client:connected' },
  ...{ connectError: 'client:connectError', sendHeaders: 'client:sendHeaders' },
  ...{ create: 'request:create', bodySent: 'request:bodySent', headers: 'request:headers' },
  ...{ trailers: 'request:trailers', error: 'request:error' },
  ...{ open: 'websocket:open', close: 'websocket:close', socketError: 'websocket:socket_error' },
  ...{ ping: 'websocket:ping', pong: 'websocket:pong' },
}

const absent = what => `throw new Error('${what} is left out of this bundle')`

const unpacking = path => {
  const packed = brotliCompressSync(createRequire(path)(path)).toString('base64')
  return `module.exports = require('node:zlib').brotliDecompressSync(Buffer.from('${packed}', 'base64'))`
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
    build.onLoad({ filter: CONSTANTS }, ({ path }) => {
      const { ERROR, TYPE } = createRequire(path)(path)
      return { contents: `module.exports = ${JSON.stringify({ ERROR, TYPE })}`, loader: 'js' }
    })
    replace(
      HEADER_NAMES,
      'exports.wellknownHeaderNames = []; exports.headerNameLowerCasedRecord = Object.create(null)',
    )
    replace(HEADER_TREE, 'exports.tree = { lookup: () => null }')
    build.onLoad({ filter: SYMBOLS }, async ({ path }) => {
      const contents = await readFile(path, 'utf8')
      // Those of the global registry are shared by their names.
      return { contents: contents.replace(/(?<!\.for|\w)Symbol\('[^']*'\)/g, 'Symbol()'), loader: 'js' }
    })
    replace(REDIRECTS, 'module.exports = () => dispatch => dispatch')
    const channels = Object.entries(CHANNELS).map(([name, of]) => `${name}: channel('undici:${of}')`)
    replace(
      DIAGNOSTICS,
      `const { channel } = require('node:diagnostics_channel'); exports.channels = { ${channels.join(', ')} }`,
    )
    build.onLoad({ filter: /[\\/]undici[\\/]lib[\\/]dispatcher[\\/]client-h1\.js$/ }, async ({ path }) => {
      const contents = await readFile(path, 'utf8')
      // A newer undici may be built otherwise: then somebody has to look again.
      for (const known of [
        "require('../web/fetch/body.js').extractBody",
        "require('../llhttp/llhttp_simd-wasm.js')",
      ])
        if (!contents.includes(known)) throw new Error(`undici no longer says ${known}: see deploy/lean.mjs`)
      const [unknown] = /\bconstants\.(?!ERROR\b|TYPE\b|js\b)\w+/.exec(contents) ?? []
      if (unknown !== undefined) throw new Error(`undici takes ${unknown}: see deploy/lean.mjs`)
      return { contents, loader: 'js' }
    })
  },
}
