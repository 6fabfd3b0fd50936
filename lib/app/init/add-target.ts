import { loadSettings, type Settings } from '../../config/load.ts'
import type { SolverReference } from '../../contracts.ts'
import { PRESETS } from '../../devices/presets.ts'
import { solverName } from '../../solvers/index.ts'
import { covers } from '../../x509/certificate.ts'
import { driverSchemas, need } from '../drivers.ts'
import {
  certificateEntry,
  type Entry,
  type Found,
  sourceEntry,
  targetEntry,
  targetName,
  usualKeys,
} from './compose.ts'
import { referenceMistake } from './driver-questions.ts'
import { inserted } from './insert.ts'
import {
  type Asked,
  agreeToTerms,
  answerTo,
  askDns,
  askInstance,
  askRoots,
  decide,
  driverGaps,
  refused,
  refuseGaps,
  refuseStray,
  solverEntry,
} from './interview.ts'
import { findDnsService } from './look.ts'
import { dnsQuestion, FIXED, fits, type Place, type Question } from './questions.ts'

/** The settings with one target more, and a line for each thing that was added. */
export interface Added {
  readonly text: string
  readonly additions: readonly string[]
}

/** One thing that is added: to a section, in an object under a name. */
interface Addition {
  readonly section: 'targets' | 'certificates' | 'sources' | 'solvers' | 'credentials'
  readonly name: string
  readonly value: Entry
}

/** Settings in a file, checked without any value that they refer to. @throws RotationError `settings-invalid` */
export const settingsIn = (file: string, folder: string): Promise<Settings> =>
  loadSettings(file, driverSchemas, { env: {}, folder, withoutValues: true })

const PLACES: Readonly<Record<string, Place>> = {
  ...{ s3: 'aws', secretsmanager: 'aws', csms: 'functiongraph' },
}

/** Where the rotation runs is told by where its state is. */
const placeOf = ({ store }: Settings): Place => PLACES[store.type] ?? 'here'

/** The first of `name`, `name-2`, ... that is not taken. */
function freeName(name: string, taken: readonly string[]): string {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}-${n}`
    if (!taken.includes(candidate)) return candidate
  }
}

const nameMistake = fits(/^[A-Za-z0-9][\w.-]*$/, 'must be a name: letters, digits, . _ -')

function domainQuestion({ targets }: Settings): Question {
  return {
    ...FIXED.domain,
    mistake: answer => {
      const twin = targets.find(it => it.domain === answer.toLowerCase())
      return twin ? `is the domain of the target "${twin.name}" already` : FIXED.domain.mistake(answer)
    },
  }
}

const nameQuestion = ({ targets }: Settings): Question => ({
  ...{ key: 'name', option: 'name', preset: '', text: 'Name of the target' },
  mistake: answer =>
    targets.some(it => it.name === answer)
      ? `"${answer}" is the name of another target`
      : nameMistake(answer),
})

/** An entry of a section, or a new one; what is asked for a new one follows. */
const entryQuestion = (key: 'credentials' | 'source', what: string, known: readonly string[]): Question => ({
  ...{ key, option: key, preset: known[0] ?? null, mistake: nameMistake },
  text: `${what}: ${known.join(', ')}, or a new name`,
})

/** Keys that are not there yet, by where they stand; nothing where the function has them of its agency. */
function keyQuestions(name: string, where: Place): readonly Question[] {
  const usual = usualKeys(where)
  if (usual === null) return []
  const suffix = where === 'aws' ? `-${name}` : `_${name.toUpperCase().replaceAll(/\W/g, '_')}`
  return (['accessKey', 'secretKey'] as const).map(setting => ({
    ...{ key: `credentials.${setting}`, option: `set credentials.${setting}=` },
    text: `${name}: ${setting}, where it stands`,
    preset: `${usual[setting]}${suffix}`,
    mistake: referenceMistake(where),
  }))
}

async function newKeys(name: string, where: Place, asked: Asked): Promise<Addition> {
  const answers: Record<string, string> = {}
  for (const question of keyQuestions(name, where))
    answers[question.key.replace('credentials.', '')] = await answerTo(question, asked)
  const type = where === 'functiongraph' ? 'functiongraph' : 'huaweicloud'
  return { section: 'credentials', name, value: { type, ...answers } }
}

/** A source that is not there yet, with a solver of its own. */
async function newSource(
  name: string,
  { domain, credentials, where }: { domain: string; credentials: string; where: Place },
  { solvers }: Settings,
  asked: Asked,
): Promise<readonly Addition[]> {
  const dns = await askDns(domain, where, asked)
  const solver = freeName(dns, Object.keys(solvers))
  const value = await solverEntry(dns, where, credentials, asked)
  const email = await answerTo(FIXED.email, asked)
  const ca = await answerTo(FIXED.ca, asked)
  await agreeToTerms(ca, asked)
  return [
    { section: 'solvers', name: solver, value },
    { section: 'sources', name, value: sourceEntry({ ca, email }, solver) },
  ]
}

/** Whether the solver of a source is that of the domain's DNS service, where the name servers tell it. */
async function lookAtSolver(name: string, domain: string, { sources, solvers }: Settings, asked: Asked) {
  const { solver } = need(sources, name).settings as { readonly solver?: SolverReference }
  if (solver === undefined) return
  const own = solverName(solver, domain)
  const { type } = need(solvers, own)
  const { service, nameServers } = await findDnsService(domain)
  const isWell = service === null || service === type || ['acmedns', 'webhook', 'exec'].includes(type)
  if (nameServers.length === 0) return
  const message = `name servers of ${domain}: ${nameServers.join(', ')}; the solver of ${name} is ${own} (${type})`
  await decide({ isWell, message }, asked)
}

/** An instance has one domain configuration: it is one target. */
function refuseTwin(
  { endpoint, instance }: { readonly endpoint: string; readonly instance: string },
  { targets }: Settings,
): void {
  const host = new URL(endpoint).host
  const twin = targets.find(
    it =>
      (instance !== '' && it.instance.instanceId === instance) ||
      (new URL(it.instance.endpoint).host === host && (it.instance.instanceId ?? instance) === instance),
  )
  if (twin)
    throw refused(
      `nothing was written: that is the instance of the target "${twin.name}", and an instance has one custom domain`,
      'Change that target in the settings, or give another instance.',
    )
}

/** What the first target says of its devices: the next one has often the same. */
function usualDevices(text: string): { readonly presets: string; readonly roots: string | null } {
  const { targets } = JSON.parse(text.replace(/^\uFEFF/, '')) as {
    readonly targets: readonly { readonly profiles?: readonly unknown[]; readonly trustedRoots?: unknown }[]
  }
  const { profiles = [], trustedRoots } = targets[0] ?? {}
  return {
    presets: profiles.filter(it => typeof it === 'string' && Object.hasOwn(PRESETS, it)).join(','),
    roots: typeof trustedRoots === 'string' ? trustedRoots : null,
  }
}

/** Asks for one target more, and what it takes. @throws RotationError `usage`, `solver-zone-missing` */
export async function askTarget(text: string, settings: Settings, asked: Asked): Promise<Added> {
  const { given, isAgreed } = asked
  const where = placeOf(settings)
  const naming = nameQuestion(settings)
  const keys = entryQuestion('credentials', 'Keys of Huawei Cloud', Object.keys(settings.credentials))
  const source = entryQuestion('source', 'Source of its certificate', Object.keys(settings.sources))
  const isNew = given.source !== undefined && !Object.hasOwn(settings.sources, given.source)
  const { domain: _d, endpoint, region, project, instance, devices, email, ca } = FIXED
  const fixed = [domainQuestion(settings), endpoint, region, project, instance, devices, naming, keys, source]
  const forNew = isNew ? [dnsQuestion(where), email, ca, ...(await driverGaps(given, where, []))] : []
  const ofKeys = given.credentials === undefined ? [] : keyQuestions(given.credentials, where)
  refuseGaps([...fixed, ...forNew, ...ofKeys], asked, isNew && !isAgreed ? ['--agree-terms'] : [])

  const { answers: place, found } = await askInstance(asked, domainQuestion(settings))
  refuseTwin(place, settings)
  const free = freeName(
    targetName(place.domain),
    settings.targets.map(it => it.name),
  )
  const name = await answerTo(naming, asked, free)
  const credentials = await answerTo(keys, asked)
  const additions: Addition[] = []
  if (!Object.hasOwn(settings.credentials, credentials))
    additions.push(await newKeys(credentials, where, asked))
  const usual = usualDevices(text)
  const answered = { ...place, devices: await answerTo(devices, asked, usual.presets) }
  const roots = await askRoots(asked, usual.roots)
  const covering = Object.values(settings.certificates).find(it => covers(it.names, place.domain))
  if (covering)
    asked.say(`  the certificate ${covering.name} (${covering.names.join(', ')}) has the domain already`)
  else {
    const of = { domain: place.domain, credentials, where }
    additions.push(...(await certificateFor(of, found, settings, source, asked)))
  }
  const dns = additions.find(it => it.section === 'solvers')?.value.type as string | undefined
  await refuseStray(dns === undefined ? {} : { dns }, where, asked, ofKeys)
  const certificate = covering?.name ?? additions.at(-1)?.name ?? ''
  additions.push({
    ...{ section: 'targets', name },
    value: targetEntry(answered, { name, credentials, certificate, roots }, found),
  })
  return withAdditions(text, additions)
}

/** A certificate for the domain alone, and what its source takes if that is new. The certificate is the last. */
async function certificateFor(
  { domain, credentials, where }: { domain: string; credentials: string; where: Place },
  found: Found,
  settings: Settings,
  question: Question,
  asked: Asked,
): Promise<readonly Addition[]> {
  const source = await answerTo(question, asked)
  const isThere = Object.hasOwn(settings.sources, source)
  if (isThere) await lookAtSolver(source, domain, settings, asked)
  const before = isThere ? [] : await newSource(source, { domain, credentials, where }, settings, asked)
  const name = freeName(targetName(domain), Object.keys(settings.certificates))
  return [...before, { section: 'certificates', name, value: certificateEntry(domain, source, found) }]
}

function withAdditions(text: string, additions: readonly Addition[]): Added {
  const add = (before: string, { section, name, value }: Addition): string =>
    inserted(before, section, section === 'targets' ? null : name, value)
  return {
    text: additions.reduce(add, text),
    additions: additions.map(({ section, name, value }) => `${section}: ${name} ${JSON.stringify(value)}`),
  }
}
