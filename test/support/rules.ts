/** The rules of the source tree, each a pure function from files to what is wrong with them. */
import type { Module } from './modules.ts'

/** What is wrong, one line for each violation. */
export type Rule = (modules: readonly Module[]) => readonly string[]

const DRIVERS = ['lib/sources/', 'lib/solvers/', 'lib/stores/', 'lib/notifiers/']
const isDriver = (file: string): boolean =>
  DRIVERS.some(folder => file.startsWith(folder)) && !/\/(index\.ts|(shared|formats)\/[^/]+)$/.test(file)

// --- layers ------------------------------------------------------------------------------------------------

/** From the ground up: a folder may import itself, what its line says beside it, and every line above its own. */
const LAYERS: readonly Readonly<Record<string, readonly string[]>>[] = [
  { 'lib/model/': [], 'lib/base/': ['lib/model/'] },
  { 'lib/http/': [], 'lib/x509/': [], 'lib/contracts.ts': ['lib/http/'] },
  { 'lib/clouds/': [], 'lib/dns/': [], 'lib/devices/': [], 'lib/config/': ['lib/devices/'] },
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

/** Only these files may say that, in code. */
const only =
  (said: RegExp, within: string, ...owners: readonly string[]): Rule =>
  all =>
    all
      .filter(({ file }) => new RegExp(within).test(file) && !owners.some(owner => isWithin(file, owner)))
      .flatMap(({ file, code }) => (said.exec(code) ? [`${file} says ${said.exec(code)?.[0]}`] : []))

const MUTATING =
  /\b(addServerCertificate|deleteServerCertificate|updateDomainConfiguration|createDomainConfiguration)\b/
export const iotdaIsChangedByFourSteps = only(
  MUTATING,
  '^(lib|functions)/',
  'lib/rotation/steps/free.ts',
  'lib/rotation/steps/add.ts',
  'lib/rotation/steps/bind.ts',
  'lib/rotation/steps/roll-back.ts',
  'lib/iotda/client.ts',
)
export const configurationsAreNeverDeleted = only(/\bdelete_?domain_?configurations?\b/i, '^(lib|functions)/')
export const stateIsWrittenByRecord = only(
  /\bstore\??\.(write|remove)\b|\{[^{}]*\b(write|remove)\b[^{}]*\}=[\w.]*store\b/i,
  '^(lib|functions)/',
  'lib/state/state.ts',
  'lib/state/lease.ts',
  'lib/stores/',
)
export const environmentIsReadByLoad = only(
  /\bprocess\.(env|cwd)\b|\bprocess\[/,
  '^(lib|functions)/',
  'lib/config/load.ts',
)
// A writer's name holds the start time of its process, which Linux tells in a file.
export const filesAreReadByLoad = only(
  /['"](node:)?fs(\/promises)?['"]/,
  '^(lib|functions)/',
  'lib/config/load.ts',
  'lib/stores/file.ts',
  'lib/stores/shared/durable.ts',
  // Writes the page that a person asked for.
  'functions/status.ts',
  'lib/stores/shared/writer.ts',
)
export const clockIsReadByTime = only(
  /\bDate\.now\b|\bnew Date(?!\()|\bnew Date\(\)|(?<!new )\bDate\(|\bperformance\b|\bhrtime\b/,
  '^lib/',
  'lib/base/time.ts',
)
export const doorsAloneTouchTheProcess = only(/\bprocess\.(argv|exit|exitCode|abort)\b/, '^lib/')

// --- shape -------------------------------------------------------------------------------------------------

export const noDustbins: Rule = all =>
  all.map(m => m.file).filter(file => /(^|\/)(utils?|helpers?|types?|common)(\/|\.[cm]?ts$)/.test(file))

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
