/** The rules of the source tree. Each is shown to fail on a bad example, so that none can rot into saying nothing. */
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'
import { cyclesOf, filesIn, type Module, parseModule, ROOT, readModules } from './support/modules.ts'
import {
  driversKnowNoDriver,
  everyDriverIsRegistered,
  fewLazyBoundaries,
  layers,
  noBarrels,
  noDustbins,
  noLooseFiles,
  noSkippedTests,
  type Owned,
  ownedBy,
  type Rule,
  shortFiles,
  smallFolders,
  testsMirrorTheProgram,
} from './support/rules.ts'

const modules = readModules('functions', 'lib', 'sandbox')
const tests = readModules('test')

// --- the rules, and for each an example that breaks it ---------------------------------------------------------

const example = (file: string, source: string): Module => parseModule(file, source)

const owned = (name: Owned): readonly [string, Rule] => [name, ownedBy(name)]

const RULES: readonly (readonly [name: string, rule: Rule, bad: readonly (readonly Module[])[]])[] = [
  [
    'layers point one way',
    layers,
    [
      [example('lib/model/a.ts', "import { x } from '../base/time.ts'")],
      [example('lib/base/a.ts', "import type { x } from '../contracts.ts'")],
      [example('lib/x509/a.ts', "export * from '../acme/client.ts'")],
      [example('lib/dns/a.ts', "import '../iotda/client.ts'")],
      [example('lib/devices/a.ts', "import { world } from '../rotation/world.ts'")],
      [example('lib/x509/a.ts', "import { judge } from '../devices/judge.ts'")],
      [example('lib/acme/a.ts', "const x = await import('../sources/acme.ts')")],
      [example('lib/solvers/a.ts', "import { x } from '../rotation/world.ts'")],
      [example('lib/solvers/a.ts', "import { createIotdaClient } from '../iotda/client.ts'")],
      [example('lib/rotation/a.ts', "import { stores } from '../stores/index.ts'")],
      [example('lib/rotation/a.ts', "import file from '../stores/file.ts'")],
      [example('lib/rotation/a.ts', "import { loadSettings } from '../config/load.ts'")],
      [example('lib/config/a.ts', "type T = import('../rotation/world.ts').World")],
      [example('functions/a.ts', "import { rotate } from '../lib/rotation/rotate.ts'")],
      [example('functions/a.ts', "import { loadSettings } from '../lib/config/load.ts'")],
      [example('lib/a/new.ts', "import { x } from '../base/time.ts'")],
    ],
  ],
  [
    'the sandbox and the program do not know each other, nor the tests',
    layers,
    [
      [example('sandbox/a.ts', "import { iso } from '../lib/base/time.ts'")],
      [example('sandbox/a.ts', "import { x } from '../test/support/clock.ts'")],
      [example('lib/app/run.ts', "import { startSandbox } from '../../sandbox/sandbox.ts'")],
      [example('lib/base/a.ts', "import { x } from '../../test/support/clock.ts'")],
      [example('functions/a.ts', "import { x } from '../sandbox/sandbox.ts'")],
    ],
  ],
  [
    'no import goes in a circle',
    cyclesOf,
    [
      [
        example('lib/a.ts', "import type { B } from './b.ts'"),
        example('lib/b.ts', "import { a } from './a.ts'"),
      ],
      [example('lib/a.ts', "export const a = () => import('./a.ts')")],
    ],
  ],
  [
    'a driver knows no driver and no registry',
    driversKnowNoDriver,
    [
      [example('lib/solvers/a.ts', "import b from './b.ts'")],
      [example('lib/notifiers/a.ts', "import b from './b.ts'")],
      [example('lib/sources/a.ts', "import { solverName } from '../solvers/index.ts'")],
    ],
  ],
  [
    'every driver is in its registry',
    everyDriverIsRegistered,
    [
      [
        example('lib/stores/a.ts', ''),
        example('lib/stores/index.ts', "const stores = { b: () => import('./b.ts') }"),
      ],
    ],
  ],
  [
    ...owned('IoTDA is changed by free, add, bind and roll-back'),
    [
      [example('lib/rotation/steps/verify.ts', 'await iotda.deleteServerCertificate(id)')],
      [example('lib/app/run.ts', 'const { addServerCertificate } = iotda')],
    ],
  ],
  [
    ...owned('a domain configuration is never deleted'),
    [[example('lib/iotda/client.ts', 'export const deleteDomainConfiguration = 1')]],
  ],
  [
    ...owned('state is written by lib/state'),
    [
      [example('lib/alerts/conditions.ts', "await store.write('a', 'b', null)")],
      [example('lib/app/run.ts', 'await world.store.remove(key)')],
      [example('lib/rotation/steps/obtain.ts', 'const { write } = world.store')],
    ],
  ],
  [
    ...owned('the environment is read by load.ts'),
    [
      [example('lib/base/a.ts', 'export const home = process.env.HOME')],
      [example('lib/app/run.ts', 'process.cwd()')],
    ],
  ],
  [
    ...owned('files are touched by load.ts and the file store'),
    [
      [example('lib/base/a.ts', "import { readFile } from 'node:fs/promises'\nreadFile('x')")],
      [example('functions/a.ts', "const fs = await import('node:fs')")],
    ],
  ],
  [
    ...owned('the clock is read by time.ts'),
    [
      [example('lib/rotation/a.ts', 'const at = Date.now()')],
      [example('lib/rotation/a.ts', 'const at = new Date()')],
      [example('lib/rotation/a.ts', 'const at = performance.now()')],
      [example('lib/rotation/a.ts', 'const clock = Date.now')],
    ],
  ],
  [
    ...owned('an answer becomes JSON where every character of it shows'),
    [[example('functions/cli.ts', 'process.stdout.write(JSON.stringify(answer, null, 2))')]],
  ],
  [
    ...owned('arguments and exit codes belong to the doors'),
    [[example('lib/app/run.ts', 'process.exit(1)')], [example('lib/base/a.ts', 'process.exitCode = 1')]],
  ],
  [
    'no folder or file that takes anything',
    noDustbins,
    [
      [example('lib/utils/a.ts', '')],
      [example('sandbox/common.ts', '')],
      [example('functions/types.ts', '')],
    ],
  ],
  [
    'no barrel',
    noBarrels,
    [
      [
        example(
          'lib/acme/all.ts',
          "/** Everything. */\nexport * from './a.ts'\nexport { b } from './b.ts'\n",
        ),
      ],
      [example('lib/acme/all.ts', "import { a } from './a.ts'\nexport { a }\n")],
    ],
  ],
  ['no file of lib is loose', noLooseFiles, [[example('lib/app.ts', '')]]],
  [
    'a folder is seen at a glance',
    smallFolders,
    [Array.from({ length: 16 }, (_, i) => example(`lib/acme/a${i}.ts`, ''))],
  ],
  [
    'code is loaded later at few places',
    fewLazyBoundaries,
    [Array.from({ length: 14 }, (_, i) => example(`lib/acme/a${i}.ts`, "await import('./b.ts')"))],
  ],
  ['files fit on a few screens', shortFiles, [[example('lib/a.ts', '\n'.repeat(401))]]],
]

describe.each(RULES)('%s', (_, rule, bad) => {
  test('here', () => {
    expect(rule(modules)).toEqual([])
  })

  test.each(bad.map((graph, i) => [i, graph] as const))('a bad example is found (%i)', (_i, graph) => {
    expect(rule(graph)).not.toEqual([])
  })
})

describe('tests', () => {
  test('none is skipped, focused or left to do', () => {
    expect(noSkippedTests(tests)).toEqual([])
  })

  test.each(['skip', 'only', 'todo', 'skipIf'])('%s is found', word => {
    const source = `${['test', word].join('.')}('a', () => {})`
    expect(noSkippedTests([example('test/a.test.ts', source)])).toHaveLength(1)
    expect(noSkippedTests([example('test/a.test.ts', `describe.each([])${source.slice(4)}`)])).toHaveLength(0)
  })

  test('their folders mirror those of the program', () => {
    const rule = testsMirrorTheProgram(modules)
    expect(rule(tests)).toEqual([])
    expect(rule([example('test/telling/a.test.ts', '')])).toHaveLength(1)
  })

  test('no folder that takes anything', () => {
    expect(noDustbins(tests)).toEqual([])
  })
})

test('good examples pass: a rule that always complains would be switched off', () => {
  const good = [
    example('lib/app/run.ts', "import { rotate } from '../rotation/rotate.ts'"),
    example(
      'lib/rotation/rotate.ts',
      "import type { Run } from '../contracts.ts'\nexport const at = new Date(0)",
    ),
    example(
      'lib/solvers/a.ts',
      "import * as v from 'valibot'\nimport { b } from '../contracts.ts'\n// Date.now()",
    ),
    example('lib/solvers/index.ts', "export const solvers = { a: () => import('./a.ts') }"),
    example('functions/a.ts', "import type { T } from '../lib/report/result.ts'\nprocess.exitCode = 1"),
  ]
  expect(RULES.flatMap(([, rule]) => rule(good))).toEqual([])
})

test('the reader of imports misses none that the bundler follows', async () => {
  const entries = filesIn('functions').concat('lib/app/run.ts', 'sandbox/main.ts')
  const { metafile } = await build({
    entryPoints: [...entries],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    outdir: 'nowhere',
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'silent',
  })
  const followed = Object.entries(metafile.inputs).flatMap(([file, { imports }]) =>
    imports.filter(i => !i.external).map(i => `${file} -> ${i.path}`),
  )
  const read = new Set(modules.flatMap(m => m.imports.map(i => `${m.file} -> ${i.to}`)))
  expect(followed.length).toBeGreaterThan(100)
  expect(followed.filter(edge => !read.has(edge))).toEqual([])
})
