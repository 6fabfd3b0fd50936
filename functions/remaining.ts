import { SECOND_MS } from '../lib/base/time.ts'

/** No platform gives a function longer: that of FunctionGraph, three days. */
const LONGEST_MS = 259_200 * SECOND_MS

/**
 * The time that a function has left, in milliseconds: the first of what its runtime says that can be true, or
 * `otherwise`. A negative one can: it is over.
 */
export const timeLeft = (said: readonly unknown[], otherwise: number): number =>
  said.find((it): it is number => typeof it === 'number' && it <= LONGEST_MS) ?? otherwise

/** Nobody sets a timeout of so many seconds, and no run can be done in so few milliseconds. */
const RATHER_MS = 10 * SECOND_MS

/**
 * What the configured timeout leaves of a run that has just begun: none or one statement for `timeLeft`. Its name says
 * seconds; the runtime that Huawei published in 2021 gives milliseconds.
 */
export const configuredMs = (said: number | undefined): readonly number[] =>
  said ? [(said < RATHER_MS ? said * SECOND_MS : said) - SECOND_MS] : []
