import { SECOND_MS } from '../lib/base/time.ts'

/** No platform gives a function longer: that of FunctionGraph, three days. */
const LONGEST_MS = 259_200 * SECOND_MS

/**
 * The time that a function has left, in milliseconds: the first of what its runtime says that can be true, or
 * `otherwise`. A negative one can: it is over.
 */
export const timeLeft = (said: readonly unknown[], otherwise: number): number =>
  said.find((it): it is number => typeof it === 'number' && it <= LONGEST_MS) ?? otherwise
