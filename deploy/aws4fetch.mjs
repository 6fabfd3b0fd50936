import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const WEB = fileURLToPath(new URL('../lib/clouds/aws/shims/web.ts', import.meta.url))

/** An esbuild plugin: aws4fetch with what it takes of the web's interfaces from lib/clouds/aws/shims. */
export const leanAws4fetch = {
  name: 'lean-aws4fetch',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[\\/]aws4fetch\.esm\.mjs$/ }, async ({ path }) => {
      const contents = await readFile(path, 'utf8')
      return {
        contents: `${contents}\nimport { crypto, Headers } from ${JSON.stringify(WEB)}\n`,
        loader: 'js',
      }
    }),
}
