/** The rules of the source tree, each a pure function from files to what is wrong with them. */
import type { Module } from './modules.ts'

/** What is wrong, one line for each violation. */
export type Rule = (modules: readonly Module[]) => readonly string[]

const DRIVERS = ['lib/sources/', 'lib/solvers/', 'lib/stores/', 'lib/notifiers/']
const isDriver = (file: string): boolean =>
  DRIVERS.some(folder => file.startsWith(folder)) && !/\/(index\.ts|(shared|formats)\/[^/]+)$/.test(file)

// --- layers ------------------------------------------------------------------------------------------------

/** From the ground up: a folder may import itself, what its line says beside it, and every line above its own. */
export const LAYERS: readonly Readonly<Record<string, readonly string[]>>[] = [
  { 'lib/model/': [], 'lib/base/': ['lib/model/'] },
  { 'lib/http/': [], 'lib/x509/': [], 'lib/contracts.ts': ['lib/http/'] },
  {
    'lib/clouds/': [],
    'lib/dns/': [],
    'lib/revocation/': [],
    'lib/devices/': [],
    'lib/config/': ['lib/devices/', 'lib/clouds/'],
  },
  { 'lib/iotda/': [], 'lib/acme/': [], 'lib/state/': [], 'lib/report/': ['lib/state/'] },
  {
    'lib/sources/': [],
    'lib/solvers/': [],
    'lib/stores/': [],
    'lib/notifiers/': [],
    'lib/rotation/': [],
    'lib/alerts/': [],
  },
  { 'lib/present/': [], 'lib/doctor/': [], 'lib/watch/': [], 'lib/permissions/': [] },
  { 'lib/app/': [] },
  { 'functions/': [] },
]
/** What a folder may not import although it lies below. */
const NEVER: Readonly<Record<string, readonly string[]>> = {
  'lib/rotation/': ['lib/acme/', 'lib/clouds/', 'lib/config/', 'lib/dns/'],
  'lib/acme/': ['lib/config/'],
  'lib/sources/': ['lib/config/', 'lib/iotda/', 'lib/state/'],
  'lib/solvers/': ['lib/acme/', 'lib/config/', 'lib/iotda/', 'lib/state/'],
  'lib/stores/': ['lib/acme/', 'lib/config/', 'lib/iotda/', 'lib/state/'],
  'lib/notifiers/': ['lib/acme/', 'lib/config/', 'lib/iotda/', 'lib/state/'],
  'functions/': ['lib/acme/', 'lib/clouds/', 'lib/config/', 'lib/iotda/', 'lib/rotation/', 'lib/state/'],
}

const isWithin = (file: string, part: string): boolean =>
  part.endsWith('/') ? file.startsWith(part) : file === part
const isLocal = (to: string): boolean => /^(lib|functions|sandbox|test)\/|^\.\./.test(to)

/** What a file may import besides packages; nothing when it stands in no room. */
function mayImport(file: string): readonly string[] {
  if (isWithin(file, 'sandbox/')) return ['sandbox/']
  const level = LAYERS.findIndex(rooms => Object.keys(rooms).some(room => isWithin(file, room)))
  const [room, beside] = Object.entries(LAYERS[level] ?? {}).find(([name]) => isWithin(file, name)) ?? []
  if (room === undefined || beside === undefined) return []
  const below = LAYERS.slice(0, level).flatMap(rooms => Object.keys(rooms))
  return [room, ...beside, ...below].filter(name => !NEVER[room]?.includes(name))
}

export const layers: Rule = all =>
  all.flatMap(({ file, imports }) => {
    const allowed = mayImport(file)
    return imports
      .filter(({ to }) => isLocal(to) && !allowed.some(room => isWithin(to, room)))
      .map(({ to }) => `${file} imports ${to}`)
  })

export const driversKnowNoDriver: Rule = all =>
  all
    .filter(m => isDriver(m.file))
    .flatMap(({ file, imports }) =>
      imports
        .filter(i => DRIVERS.some(f => i.to.startsWith(f)) && !/\/(shared|formats)\//.test(i.to))
        .map(i => `${file} imports ${i.to}`),
    )

export const everyDriverIsRegistered: Rule = all =>
  all
    .filter(m => isDriver(m.file))
    .filter(
      ({ file }) =>
        !all.some(
          other =>
            other.file === file.replace(/[^/]+$/, 'index.ts') && other.imports.some(i => i.to === file),
        ),
    )
    .map(({ file }) => `${file} is in no registry`)

// --- one owner for each outside thing ----------------------------------------------------------------------

const PROGRAM = /^(lib|functions)\//
const LIB = /^lib\//
/** What only the named files may say, in code; `within`: where it is looked for. */
const OWNERS = {
  'IoTDA is changed by free, add, bind and roll-back': {
    said: /\b(addServerCertificate|deleteServerCertificate|updateDomainConfiguration|createDomainConfiguration)\b/,
    within: PROGRAM,
    owners: [
      'lib/rotation/steps/free.ts',
      'lib/rotation/steps/add.ts',
      'lib/rotation/steps/bind.ts',
      'lib/rotation/steps/roll-back.ts',
      'lib/iotda/client.ts',
    ],
  },
  'a domain configuration is never deleted': {
    said: /\bdelete_?domain_?configurations?\b/i,
    within: PROGRAM,
    owners: [],
  },
  'state is written by lib/state': {
    said: /\bstore\??\.(write|remove)\b|\{[^{}]*\b(write|remove)\b[^{}]*\}=[\w.]*store\b/i,
    within: PROGRAM,
    owners: ['lib/state/', 'lib/stores/'],
  },
  'the environment is read by load.ts': {
    said: /\bprocess\.(env|cwd)\b|\bprocess\[/,
    within: PROGRAM,
    owners: ['lib/config/load.ts'],
  },
  'files are touched by load.ts and the file store': {
    said: /['"](node:)?fs(\/promises)?['"]/,
    within: PROGRAM,
    // A writer's name holds the start time of its process, which Linux tells in a file; the last one writes a page.
    owners: [
      'lib/config/load.ts',
      'lib/stores/file.ts',
      'lib/stores/shared/durable.ts',
      'lib/stores/shared/listing.ts',
      'lib/stores/shared/writer.ts',
      'functions/status.ts',
      'functions/init/init.ts',
    ],
  },
  'the clock is read by time.ts': {
    said: /\bDate\.now\b|\bnew Date(?!\()|\bnew Date\(\)|(?<!new )\bDate\(|\bperformance\b|\bhrtime\b/,
    within: LIB,
    owners: ['lib/base/time.ts'],
  },
  'an answer becomes JSON where every character of it shows': {
    said: /JSON\.stringify\([^()]*\bnull, ?2\)/,
    within: /^functions\//,
    owners: [],
  },
  'arguments and exit codes belong to the doors': {
    said: /\bprocess\.(argv|exit|exitCode|abort)\b/,
    within: LIB,
    owners: [],
  },
} as const satisfies Record<string, { said: RegExp; within: RegExp; owners: readonly string[] }>

export type Owned = keyof typeof OWNERS

export const ownedBy =
  (name: Owned): Rule =>
  all => {
    const { said, within, owners } = OWNERS[name]
    return all
      .filter(({ file }) => within.test(file) && !owners.some(owner => isWithin(file, owner)))
      .flatMap(({ file, code }) => (said.exec(code) ? [`${file} says ${said.exec(code)?.[0]}`] : []))
  }

// --- shape -------------------------------------------------------------------------------------------------

export const noDustbins: Rule = all =>
  all.map(m => m.file).filter(file => /(^|\/)(utils?|helpers?|types?|common)(\/|\.[cm]?ts$)/.test(file))

const folderOf = (file: string): string => file.replace(/\/[^/]*$/, '')
const FILES_AT_MOST = 15
export const smallFolders: Rule = all => {
  const folders = all.map(m => folderOf(m.file))
  return [...new Set(folders)]
    .map(folder => ({ folder, files: folders.filter(it => it === folder).length }))
    .filter(({ files }) => files > FILES_AT_MOST)
    .map(({ folder, files }) => `${folder} has ${files} files of its own`)
}

export const noLooseFiles: Rule = all =>
  all.map(m => m.file).filter(file => /^lib\/[^/]+$/.test(file) && file !== 'lib/contracts.ts')

/** A folder of tests is a room of the program, or one of these. */
const OTHER_TESTS = [
  'test',
  'test/contract',
  'test/deploy',
  'test/e2e',
  'test/fuzz',
  'test/pictures',
  'test/sandbox',
  'test/strangers',
  'test/strangers/stacks',
  'test/support',
]
export const testsMirrorTheProgram =
  (program: readonly Module[]): Rule =>
  all => {
    const rooms = new Set(program.map(m => folderOf(m.file).replace(/^lib\//, '')))
    const isRoom = (folder: string): boolean =>
      [...rooms].some(r => r === folder || r.startsWith(`${folder}/`))
    return [...new Set(all.map(m => folderOf(m.file)))]
      .filter(folder => !OTHER_TESTS.includes(folder) && !isRoom(folder.replace(/^test\//, '')))
      .map(folder => `${folder} mirrors no folder of lib or functions`)
  }

const BOUNDARIES_AT_MOST = 13
/** Files in which code of ours is loaded later: a registry of drivers, the steps, a command. */
export const fewLazyBoundaries: Rule = all => {
  const lazy = all.filter(m => PROGRAM.test(m.file) && /\bimport\("\./.test(m.code)).map(m => m.file)
  return lazy.length > BOUNDARIES_AT_MOST ? lazy : []
}

export const noBarrels: Rule = all =>
  all
    .filter(({ source }) => {
      const bare = source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
      const left = bare.replaceAll(
        /^(import|export)\b[^;'"=(]*?(\bfrom\s*)?'[^']+'$|^export\s*(type\s*)?\{[^}]*\}$/gm,
        '',
      )
      return /^export\b/m.test(bare) && left.trim() === ''
    })
    .map(m => m.file)

const LINES_AT_MOST = 400
export const shortFiles: Rule = all =>
  all
    .map(({ file, source }) => ({ file, lines: source.replace(/\n$/, '').split('\n').length }))
    .filter(({ lines }) => lines > LINES_AT_MOST)
    .map(({ file, lines }) => `${file} has ${lines} lines`)

export const noSkippedTests: Rule = all =>
  all.flatMap(({ file, code }) => {
    const found =
      /\b(it|test|describe|suite)(\.\w+)*\.(skip|only|todo|skipIf|runIf|fails)\b|\bx(it|test|describe)\(/.exec(
        code,
      )
    return found ? [`${file} says ${found[0]}`] : []
  })
