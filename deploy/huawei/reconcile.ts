import { createHash, randomBytes, scryptSync } from 'node:crypto'
import type { Secret } from '../../lib/base/secret.ts'
import type { AsyncInvoke, FunctionGraphApi, ShownFunction } from './api.ts'

/** A function as it should be. */
export interface Wanted {
  readonly name: string
  readonly description: string
  /** Called once when an instance starts; null: nothing is. */
  readonly initializer: string | null
  readonly timeoutS: number
  /** How long an event that could not be taken may wait. */
  readonly eventAgeS: number
  /** Name of its timer. */
  readonly timer: string
  readonly runtime: string
  readonly memoryMb: number
  /** Name of the agency whose permissions it has; null: it needs none. */
  readonly agency: string | null
  readonly code: Uint8Array
  /** Shown in the console. */
  readonly userData: Readonly<Record<string, string>>
  /** Kept encrypted, and never shown again. */
  readonly secrets: Readonly<Record<string, Secret>>
  readonly schedule: string
  /** Told when an invocation failed; null: nobody. */
  readonly topicUrn: string | null
}

/** One thing that is not as it should be. */
export interface Change {
  readonly what: string
  readonly apply: () => Promise<void>
}

export const PACKAGE = 'default'

const same = (a: unknown, b: unknown): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
const sorted = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, inner]) => [key, sorted(inner)]),
      )
    : value

/** What can be read back, and so compared. */
const visible = ({ runtime, memoryMb, agency, description, initializer, timeoutS }: Wanted) => ({
  runtime,
  handler: 'index.handler',
  timeout: timeoutS,
  memory_size: memoryMb,
  xrole: agency ?? '',
  description,
  ...(initializer === null ? {} : { initializer_handler: initializer, initializer_timeout: 60 }),
})

// --- secrets -------------------------------------------------------------------------------------------------

/**
 * Secrets are never shown again, so a mark of what was set stands in the user data: scrypt over all of them with a
 * salt of its own, which tells whether they are the same and nothing else.
 */
const MARK = 'IOTDA_CERT_SECRETS_MARK'
/** Length of a mark as it stands there, with its name. */
export const MARK_LENGTH = 90
const SALT = /^([\w-]{22})\.[\w-]{22}$/

const textOf = ({ secrets }: Wanted): string =>
  JSON.stringify(
    sorted(Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, value.reveal()]))),
  )

const markOf = (wanted: Wanted, salt: string): string =>
  `${salt}.${scryptSync(textOf(wanted), salt, 16).toString('base64url')}`

const parsed = (text: string | null | undefined): Readonly<Record<string, unknown>> => {
  try {
    return JSON.parse(text || '{}') ?? {}
  } catch {
    return {}
  }
}

/** The mark as it should be: with the salt of the one that is there. */
const markFor = (wanted: Wanted, there: ShownFunction | null): string => {
  const [, salt = randomBytes(16).toString('base64url')] = SALT.exec(
    String(parsed(there?.user_data)[MARK]),
  ) ?? ['']
  return markOf(wanted, salt)
}

/** Everything that belongs together: the mark is never there without what it stands for. */
const wholeConfig = (wanted: Wanted, mark: string) => ({
  func_name: wanted.name,
  ...visible(wanted),
  user_data: JSON.stringify({ ...wanted.userData, [MARK]: mark }),
  // Also when there is none: what is left out stays as it is.
  encrypted_user_data: textOf(wanted),
})

const namesOf = ({ secrets }: Wanted): readonly string[] => {
  const names = Object.keys(secrets).map(name => `${name} (encrypted)`)
  return names.length === 0 ? ['no secrets'] : names
}

// --- the function --------------------------------------------------------------------------------------------

const codeOf = ({ code, name }: Wanted) => ({
  code_type: 'zip',
  code_filename: `${name}.zip`,
  func_code: { file: Buffer.from(code).toString('base64') },
})

function configChange(api: FunctionGraphApi, wanted: Wanted, there: ShownFunction): Change | null {
  const { [MARK]: mark, ...userData } = parsed(there.user_data)
  const shouldBe = markFor(wanted, there)
  const differing = Object.entries(visible(wanted))
    .filter(([key, value]) => (there[key as keyof ShownFunction] ?? '') !== value)
    .map(([key]) => key)
  const said = [
    ...differing,
    ...(same(userData, wanted.userData) ? [] : ['user_data']),
    ...(mark === shouldBe ? [] : namesOf(wanted)),
  ]
  if (said.length === 0) return null
  return { what: `set ${said.join(', ')}`, apply: () => api.updateConfig(wholeConfig(wanted, shouldBe)) }
}

function functionChanges(
  api: FunctionGraphApi,
  wanted: Wanted,
  there: ShownFunction | null,
): readonly Change[] {
  if (there === null) {
    const body = {
      func_name: wanted.name,
      package: PACKAGE,
      type: 'v2',
      ...visible(wanted),
      user_data: JSON.stringify(wanted.userData),
      ...codeOf(wanted),
    }
    return [
      {
        what: `create the function ${wanted.name} (${wanted.code.length} bytes)`,
        apply: () => api.create(body),
      },
      {
        what: `set ${namesOf(wanted).join(', ')}`,
        apply: () => api.updateConfig(wholeConfig(wanted, markFor(wanted, null))),
      },
    ]
  }
  const digest = createHash('sha512').update(wanted.code).digest('hex')
  const config = configChange(api, wanted, there)
  return [
    ...(there.digest === digest
      ? []
      : [
          {
            what: `upload the code (${wanted.code.length} bytes)`,
            apply: () => api.updateCode(codeOf(wanted)),
          },
        ]),
    ...(config ? [config] : []),
  ]
}

/** One at a time: the csms store has no lock of its own. */
function instanceChange(api: FunctionGraphApi, there: ShownFunction | null): readonly Change[] {
  if (there?.strategy_config?.concurrency === 1) return []
  return [{ what: 'allow one instance at most (max_instance_num 1)', apply: () => api.limitInstances(1) }]
}

async function timerChanges(
  api: FunctionGraphApi,
  wanted: Wanted,
  exists: boolean,
): Promise<readonly Change[]> {
  const data = { name: wanted.timer, schedule_type: 'Cron', schedule: wanted.schedule, user_event: '' }
  const all = exists ? await api.triggers() : []
  const ours = all.filter(it => it.trigger_type_code === 'TIMER' && it.event_data.name === wanted.timer)
  const right = ours.filter(
    it =>
      it.trigger_status === 'ACTIVE' &&
      it.event_data.schedule === data.schedule &&
      it.event_data.schedule_type === data.schedule_type &&
      (it.event_data.user_event ?? '') === '',
  )
  if (right.length === 1 && ours.length === 1) return []
  const body = {
    trigger_type_code: 'TIMER',
    event_type_code: 'MessageCreated',
    trigger_status: 'ACTIVE',
    event_data: data,
  }
  return [
    // A timer's schedule cannot be changed, and its name is taken as long as it is there.
    ...ours.map(it => ({
      what: `remove the timer of ${it.event_data.schedule}`,
      apply: () => api.removeTrigger(it),
    })),
    { what: `add a timer: ${wanted.schedule}`, apply: () => api.addTrigger(body) },
  ]
}

async function noticeChange(
  api: FunctionGraphApi,
  wanted: Wanted,
  exists: boolean,
): Promise<readonly Change[]> {
  const { topicUrn } = wanted
  const param = JSON.stringify({ topic_urn: topicUrn })
  const body: AsyncInvoke = {
    max_async_retry_attempts: 0,
    max_async_event_age_in_seconds: wanted.eventAgeS,
    ...(topicUrn === null ? {} : { destination_config: { on_failure: { destination: 'SMN', param } } }),
  }
  const there = exists ? await api.asyncInvoke() : null
  const { destination_config: destination = null, ...numbers } = there ?? {}
  const { destination_config: wantedDestination = null, ...wantedNumbers } = body
  if (there && same(numbers, wantedNumbers) && same(destination, wantedDestination)) return []
  const told = topicUrn === null ? 'nobody is told of failures' : `failures are told to ${topicUrn}`
  return [{ what: `set retries to none; ${told}`, apply: () => api.setAsyncInvoke(body) }]
}

/** Everything between what is there and what should be, in the order in which it is to be done. */
export async function changesFor(api: FunctionGraphApi, wanted: Wanted): Promise<readonly Change[]> {
  const there = await api.show()
  return [
    ...functionChanges(api, wanted, there),
    ...instanceChange(api, there),
    ...(await noticeChange(api, wanted, there !== null)),
    // The timer last: it starts what is whole by then.
    ...(await timerChanges(api, wanted, there !== null)),
  ]
}
