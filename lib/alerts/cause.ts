import type { EventName } from '../model/events.ts'
import type { Open } from './ledger.ts'

/** The error behind a state, as it is kept and told; null: there is none. */
export type Cause = Open['error']

/** Begins the keys of states that many targets share; no name of a target begins so. */
const GROUP = '*/'

/** Whether a key is that of a group: many targets in one state for one reason. */
export const isGroupKey = (key: string): boolean => key.startsWith(GROUP)

/** What an error begins with: the driver, or the place in the settings, that it comes from. */
const driverOf = (error: Cause): string =>
  (/^([\w.-]+( [\w.-]+){0,3}): /.exec(error?.message ?? '')?.[1] ?? '').toLowerCase().replaceAll(' ', '-')

/** The key of the group that a state may belong to: the event, the code of the error, and the driver that it names. */
export const groupKeyOf = (event: EventName | string, error: Cause): string =>
  `${GROUP}${[event, error?.code ?? '', driverOf(error)].filter(Boolean).join('/')}`
