/** The rules of the source tree, each a pure function from files to what is wrong with them. */
import type { Module } from './modules.ts'

/** What is wrong, one line for each violation. */
export type Rule = (modules: readonly Module[]) => readonly string[]

const DRIVERS = ['lib/sources/', 'lib/solvers/', 'lib/stores/', 'lib/notifiers/']
const isDriver = (file: string): boolean =>
  DRIVERS.some(folder => file.startsWith(folder)) && !/\/(index\.ts|formats\/[^/]+)$/.test(file)

// --- layers ------------------------------------------------------------------------------------------------

const GROUND = ['lib/model.ts', 'lib/fleet.ts', 'lib/events.ts', 'lib/base/']
const SECOND = [...GROUND, 'lib/contracts.ts', 'lib/x509/', 'lib/huawei/', 'lib/dns/']
/** What each part may import besides packages: the longest prefix that fits a file counts. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'lib/fleet.ts': [],
  'lib/model.ts': ['lib/fleet.ts'],
  'lib/events.ts': [],
  'lib/base/': GROUND,
  'lib/contracts.ts': [...GROUND, 'lib/huawei/signer.ts'],
  'lib/x509/': [...GROUND, 'lib/x509/'],
  'lib/devices/': [...GROUND, 'lib/x509/', 'lib/devices/'],
  'lib/huawei/': [...GROUND, 'lib/huawei/'],
  'lib/aws/': [...GROUND, 'lib/aws/'],
  'lib/dns/': [...GROUND, 'lib/contracts.ts', 'lib/aws/', 'lib/dns/'],
  'lib/iotda/': [...SECOND, 'lib/devices/', 'lib/iotda/'],
  'lib/acme/': [...SECOND, 'lib/acme/', 'package.json'],
  ...Object.fromEntries(
    DRIVERS.flatMap(folder => [
      [folder, [...SECOND, 'lib/acme/', 'lib/aws/', `${folder}formats/`]],
      [`${folder}index.ts`, [...GROUND, 'lib/contracts.ts', folder]],
    ]),
  ),
  'lib/notifiers/formats/': [...GROUND, 'lib/contracts.ts', 'lib/notifiers/formats/'],
  'lib/alerts/': [...GROUND, 'lib/contracts.ts', 'lib/alerts/'],
  'lib/config/': [...GROUND, 'lib/contracts.ts', 'lib/x509/', 'lib/devices/', 'lib/config/'],
  'lib/rotation/': [
    ...GROUND,
    'lib/contracts.ts',
    'lib/x509/',
    'lib/devices/',
    'lib/iotda/',
    'lib/alerts/',
    'lib/rotation/',
  ],
  'lib/remote.ts': [...GROUND, 'lib/aws/', 'lib/huawei/', 'lib/config/'],
  'lib/accounts.ts': [...GROUND, 'lib/config/', 'lib/parts.ts'],
  'lib/any-port.ts': [...GROUND, 'lib/config/', 'lib/devices/', 'lib/iotda/', 'lib/rotation/'],
  'lib/deliveries.ts': ['lib/model.ts', 'lib/rotation/'],
  'lib/parts.ts': [...SECOND, 'lib/config/', 'lib/rotation/', ...DRIVERS],
  'lib/warm.ts': [...GROUND, 'lib/config/', 'lib/parts.ts'],
  'lib/permissions/': ['lib/permissions/'],
  'lib/permissions.ts': ['lib/base/', 'lib/config/', 'lib/permissions/', 'lib/remote.ts'],
  'lib/deployment.ts': [...GROUND, 'lib/config/', 'lib/parts.ts', 'lib/permissions/'],
  'lib/worlds.ts': [...SECOND, 'lib/config/', 'lib/iotda/', 'lib/parts.ts', 'lib/rotation/'],
  'lib/heartbeat.ts': [...GROUND, 'lib/config/'],
  'lib/telling/': [
    ...SECOND,
    ...['lib/alerts/', 'lib/config/', 'lib/parts.ts', 'lib/notifiers/', 'lib/rotation/', 'lib/telling/'],
  ],
  'lib/outage.ts': [...GROUND, 'lib/config/', 'lib/heartbeat.ts', 'lib/parts.ts', 'lib/telling/'],
  'lib/watch/': [
    ...SECOND,
    ...['lib/alerts/', 'lib/config/', 'lib/devices/', 'lib/iotda/', 'lib/rotation/', 'lib/watch/'],
    ...['lib/parts.ts', 'lib/remote.ts', 'lib/telling/'],
  ],
  'lib/doctor/': [
    ...SECOND,
    ...['lib/config/', 'lib/iotda/', 'lib/parts.ts', 'lib/telling/', 'lib/rotation/', 'lib/doctor/'],
  ],
  'lib/advice.ts': [
    ...GROUND,
    ...['lib/config/', 'lib/doctor/', 'lib/parts.ts', 'lib/permissions.ts', 'lib/remote.ts'],
  ],
  'lib/page/': ['lib/base/', 'lib/page/', 'lib/rotation/report.ts'],
  'lib/publish.ts': [...GROUND, 'lib/contracts.ts', 'lib/page/', 'lib/rotation/'],
  'lib/app.ts': ['lib/'],
  'functions/': [
    ...['lib/app.ts', 'lib/advice.ts', 'lib/page/', 'lib/watch/watch.ts'],
    ...[...GROUND, 'functions/'],
  ],
  'sandbox/': ['sandbox/'],
}

const isWithin = (file: string, part: string): boolean =>
  part.endsWith('/') ? file.startsWith(part) : file === part
const isLocal = (to: string): boolean => /^(lib|functions|sandbox|test)\/|^\.\.|^package\.json$/.test(to)

export const layers: Rule = all =>
  all.flatMap(({ file, imports }) => {
    const part = Object.keys(MAY_IMPORT)
      .filter(p => isWithin(file, p))
      .toSorted((a, b) => b.length - a.length)[0]
    const allowed = part === undefined ? [] : (MAY_IMPORT[part] ?? [])
    return imports
      .filter(({ to }) => isLocal(to) && !allowed.some(p => isWithin(to, p)))
      .filter(({ to, typeOnly }) => !(isWithin(file, 'functions/') && isReport(to) && typeOnly))
      .map(({ to }) => `${file} imports ${to}`)
  })
const isReport = (to: string): boolean => to === 'lib/rotation/report.ts'

export const driversKnowNoDriver: Rule = all =>
  all
    .filter(m => isDriver(m.file))
    .flatMap(({ file, imports }) =>
      imports
        .filter(i => DRIVERS.some(f => i.to.startsWith(f)) && !i.to.startsWith('lib/notifiers/formats/'))
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
export const iotdaIsChangedByDeploy = only(
  MUTATING,
  '^(lib|functions)/',
  'lib/rotation/deploy.ts',
  'lib/iotda/client.ts',
)
export const configurationsAreNeverDeleted = only(/\bdelete_?domain_?configurations?\b/i, '^(lib|functions)/')
export const stateIsWrittenByRecord = only(
  /\bstore\??\.(write|remove)\b|\{[^{}]*\b(write|remove)\b[^{}]*\}=[\w.]*store\b/i,
  '^(lib|functions)/',
  'lib/rotation/record.ts',
  'lib/rotation/lease.ts',
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
  'lib/base/durable.ts',
  // Writes the page that a person asked for.
  'functions/status.ts',
  'lib/base/writer.ts',
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

const LINES_AT_MOST = 300
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
