import { readFile } from 'node:fs/promises'

/**
 * An esbuild plugin: commander without what only starts other programs as subcommands, and with the global `process`.
 * To require `node:process` reads its every member, standard input among them, which costs as much time as all else
 * that commander does.
 */
export const leanCommander = {
  name: 'lean-commander',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[\\/]commander[\\/]lib[\\/]command\.js$/ }, async ({ path }) => {
      const contents = (await readFile(path, 'utf8'))
        .replace("const process = require('node:process');", '')
        .replace("const childProcess = require('node:child_process');", 'const childProcess = null;')
      return { contents, loader: 'js' }
    }),
}
