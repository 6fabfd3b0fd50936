import { readFile } from 'node:fs/promises'

/** What the command line takes of it. */
const INDEX = `
export { Command } from './lib/command.js'
export { CommanderError } from './lib/error.js'
export { Option } from './lib/option.js'
`

/**
 * A CommonJS file of commander as an ES module: without a wrapper of its own, and with the global `process`, since to
 * require `node:process` reads its every member, standard input among them. No subcommand is a program of its own.
 */
const asModule = source =>
  source
    .replace("const process = require('node:process');", '')
    .replace("const childProcess = require('node:child_process');", 'const childProcess = null;')
    .replace(/^const (\w+) = require\(('node:\w+')\)\.\1;$/gm, 'import { $1 } from $2;')
    .replace(/^const (\w+|\{.*\}) = require\(('[^']+')\);$/gm, 'import $1 from $2;')
    .replace(/^exports\.(\w+) = \1;/gm, 'export { $1 };')

/** An esbuild plugin: commander as it is used here. Otherwise it costs as much time as all else at the start. */
export const leanCommander = {
  name: 'lean-commander',
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]commander[\\/]esm\.mjs$/ }, () => ({ contents: INDEX, loader: 'js' }))
    onLoad({ filter: /[\\/]commander[\\/]lib[\\/]\w+\.js$/ }, async ({ path }) => {
      const contents = asModule(await readFile(path, 'utf8'))
      if (/^exports|\brequire\('/m.test(contents))
        throw new Error(`${path} is not what it was: see lean-commander`)
      return { contents, loader: 'js' }
    })
  },
}
