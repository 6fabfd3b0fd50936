import type { Remote } from './remote.ts'

/** What the process stands on; the CLI and the functions give the real ones. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Why a variable is not set, where there is more to say of it. */
  readonly absent?: (name: string) => string | undefined
  readonly folder: string
  /** How to read settings and secrets that stand in a cloud service. */
  readonly remote?: Remote
  /** Inside a function, whose disk is not kept. */
  readonly isFunction?: boolean
  /** The settings are only checked: what they refer to is not looked up, and its place is empty. */
  readonly withoutValues?: boolean
}
