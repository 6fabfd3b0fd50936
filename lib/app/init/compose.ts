import type { DriverEntry } from './interview.ts'
import { type Answers, CAS, devicesOf, directoryOf, type Place } from './questions.ts'

/** What a look at the answers found besides. */
export interface Found {
  /** How the instance wants to be asked, where it was found out. */
  readonly signing: 'standard' | 'derived' | null
  /** Of the key that devices are served today; null: not known. */
  readonly keyType: string | null
}

/** What is ordered unless settings say otherwise. */
const USUAL_KEY = 'rsa-2048'

/** The parts that the answers come to; no secret is in any of them. */
export type Entry = Readonly<Record<string, unknown>>

const SEAL_KEY = { aws: 'awssm:iotda-cert/seal-key', functiongraph: 'env:SEAL_KEY' } as const

function storeOf({ where, region, project }: Answers): Entry {
  if (where === 'aws') return { type: 's3', sealKey: SEAL_KEY.aws }
  if (where === 'here') return { type: 'file', path: './state' }
  return { type: 'csms', credentials: 'cn', region, projectId: project, sealKey: SEAL_KEY.functiongraph }
}

/** Where the keys of Huawei Cloud usually stand; null: the function has them of its agency. */
export function usualKeys(where: Place): { readonly accessKey: string; readonly secretKey: string } | null {
  if (where === 'functiongraph') return null
  return where === 'aws'
    ? { accessKey: 'awssm:iotda-cert/ak', secretKey: 'awssm:iotda-cert/sk' }
    : { accessKey: 'env:HUAWEICLOUD_SDK_AK', secretKey: 'env:HUAWEICLOUD_SDK_SK' }
}

const credentialsOf = (where: Place): Entry => {
  const keys = usualKeys(where)
  return keys === null ? { type: 'functiongraph' } : { type: 'huaweicloud', ...keys }
}

/** What a target is called, what it refers to, and what its devices trust (PEM; null: public roots). */
interface Naming {
  readonly name: string
  readonly credentials: string
  readonly certificate: string
  readonly roots: string | null
}

type OfTarget = Pick<Answers, 'domain' | 'endpoint' | 'region' | 'project' | 'instance' | 'devices'>

export function targetEntry(
  { domain, endpoint, region, project, instance, devices }: OfTarget,
  { name, credentials, certificate, roots }: Naming,
  { signing }: Pick<Found, 'signing'>,
): Entry {
  const profiles = devicesOf(devices)
  return {
    name,
    domain,
    credentials,
    instance: {
      region,
      ...(project ? { projectId: project } : {}),
      ...(instance ? { instanceId: instance } : {}),
      endpoint: endpoint.replace(/\/$/, ''),
      ...(signing ? { signing } : {}),
    },
    certificate,
    ...(roots === null ? {} : { trustedRoots: roots }),
    ...(profiles.length > 0 ? { profiles } : {}),
  }
}

/** Devices that nobody described are given what they have: another kind of key would be refused for them. */
export const certificateEntry = (domain: string, source: string, { keyType }: Found): Entry => ({
  ...{ names: [domain], ...(keyType === null || keyType === USUAL_KEY ? {} : { keyType }), source },
})

/** The person has agreed to the terms of the CA. */
export const sourceEntry = ({ ca, email }: Pick<Answers, 'ca' | 'email'>, solver: string): Entry => ({
  ...{ type: 'acme', directory: directoryOf(ca), email, termsOfServiceAgreed: true, solver },
})

export const sourceName = (ca: string): string => (Object.hasOwn(CAS, ca) ? ca : 'ca')

/** A name in the settings has 64 characters at most in what is shown. */
export const targetName = (domain: string): string => domain.slice(0, 64)

/** The settings as a text. */
export function settingsText(
  answers: Answers,
  found: Found,
  {
    solver,
    notifier,
    roots,
  }: {
    readonly solver: DriverEntry
    readonly notifier: DriverEntry | null
    readonly roots: string | null
  },
): string {
  const { domain, ca, where } = answers
  const source = sourceName(ca)
  const names = { name: targetName(domain), credentials: 'cn', certificate: 'iot', roots }
  const settings = {
    $schema: './node_modules/iotda-cert/settings.schema.json',
    version: 1,
    targets: [targetEntry(answers, names, found)],
    certificates: { iot: certificateEntry(domain, source, found) },
    sources: { [source]: sourceEntry(answers, 'dns') },
    solvers: { dns: solver },
    credentials: { cn: credentialsOf(where) },
    store: storeOf(answers),
    ...(notifier ? { notifiers: [notifier] } : {}),
  }
  return `${JSON.stringify(settings, null, 2)}\n`
}
