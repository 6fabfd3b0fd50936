import type { AwsKeys } from './aws-keys.ts'
import { ACCESS_KEY, PROJECT_ID, SECRET_KEY, SECURITY_TOKEN } from './credentials.ts'
import type { Remote } from './remote.ts'

/** What the process stands on; the CLI and the functions give the real ones. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Why a variable is not set, where there is more to say of it. */
  readonly absent?: (name: string) => string | undefined
  readonly folder: string
  /** How to read settings and secrets that stand in a cloud service. */
  readonly remote?: Remote
  /**
   * On the command line: keys of AWS from profile, SSO, web identity, container or instance.
   * @throws RotationError that says where they were looked for
   */
  readonly awsKeys?: () => Promise<AwsKeys>
  /** Inside a function, whose disk is not kept. */
  readonly isFunction?: boolean
  /** The settings are only checked: what they refer to is not looked up, and its place is empty. */
  readonly withoutValues?: boolean
}

/** What the runtime of a function tells besides the environment; asked anew for each event. */
export interface Runtime {
  /** A variable that is not in the environment: FunctionGraph's (encrypted) user data. */
  readonly userData?: (name: string) => string | undefined
  /** The temporary keys of the function's agency; null when it has none. */
  readonly credentials?: () => {
    readonly accessKey: string
    readonly secretKey: string
    readonly securityToken: string
  } | null
  readonly projectId?: () => string | undefined
}

const NO_AGENCY =
  'the function has no keys: the runtime gives it none, since it has no agency. Give it one in its configuration, with the permissions that `iotda-cert permissions --cloud huawei` prints'

type Lookup = (name: string) => string | undefined

/** An environment that is asked rather than copied. */
const asEnvironment = (lookup: Lookup): Surroundings['env'] =>
  new Proxy({}, { get: (_, name) => (typeof name === 'string' ? lookup(name) : undefined) })

/** What the agency gives. */
const OF_AGENCY = [ACCESS_KEY, SECRET_KEY]

/** Folders in which Lambda and FunctionGraph unpack the code. */
const CODE_FOLDERS = ['LAMBDA_TASK_ROOT', 'RUNTIME_CODE_ROOT']

/** The process of a function: what a person set comes first, then what the runtime gives. */
export function functionSurroundings(around: Surroundings, runtime: Runtime): Surroundings {
  const set: Lookup = name => runtime.userData?.(name) || around.env[name] || undefined
  const ownKeys = set(ACCESS_KEY) !== undefined && set(SECRET_KEY) !== undefined
  const given = ownKeys ? null : (runtime.credentials?.() ?? null)
  const isKeyless = runtime.credentials !== undefined && !ownKeys && given === null
  const absent: Lookup = name => (isKeyless && OF_AGENCY.includes(name) ? NO_AGENCY : undefined)
  const keys: Readonly<Record<string, string>> = given
    ? { [ACCESS_KEY]: given.accessKey, [SECRET_KEY]: given.secretKey, [SECURITY_TOKEN]: given.securityToken }
    : {}
  const project = (): string | undefined => runtime.projectId?.() || around.env.RUNTIME_PROJECT_ID
  const lookup: Lookup = name =>
    (Object.hasOwn(keys, name) ? keys[name] : set(name)) ?? (name === PROJECT_ID ? project() : undefined)
  const folder = CODE_FOLDERS.map(name => around.env[name]).find(Boolean) ?? around.folder
  return { ...around, env: asEnvironment(lookup), absent, folder, isFunction: true }
}

/** The same surroundings, with a note of every variable that was asked for and what it said. */
export function noting(around: Surroundings): {
  readonly around: Surroundings
  /** Whether every variable still says the same in other surroundings. */
  readonly isSame: (other: Surroundings) => boolean
} {
  const asked = new Map<string, string | undefined>()
  const lookup: Lookup = name => {
    const value = around.env[name]
    asked.set(name, value)
    return value
  }
  return {
    around: { ...around, env: asEnvironment(lookup) },
    isSame: other => [...asked].every(([name, value]) => other.env[name] === value),
  }
}
