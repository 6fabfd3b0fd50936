import type { EventName } from '../model/events.ts'
import type { Open } from './ledger.ts'

export type Cause = Open['error']

/** Begins the keys of states that many targets share; no name of a target begins so. */
const MANY = '*/'
/** More targets than this in one state, for one reason, are one matter for people. */
export const MANY_ABOVE = 3

export const isOfMany = (key: string): boolean => key.startsWith(MANY)

/** What an error begins with: the driver, or the place in the settings, that it comes from. */
const driverOf = (error: Cause): string =>
  (/^([\w.-]+( [\w.-]+){0,3}): /.exec(error?.message ?? '')?.[1] ?? '').toLowerCase().replaceAll(' ', '-')

/** Names a reason that targets may share: the event, the code of the error, and the driver that it names. */
export const causeOf = (event: EventName | string, error: Cause): string =>
  `${MANY}${[event, error?.code ?? '', driverOf(error)].filter(Boolean).join('/')}`
