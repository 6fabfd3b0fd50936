/** What may be special about a chain. */
import { ALGORITHMS } from './algorithms.ts'
import { CHAINS } from './chains.ts'
import { ENCODINGS } from './encodings.ts'
import { EXTENSIONS } from './extensions.ts'
import { HELD } from './held.ts'
import type { Deviation } from './levels.ts'
import { NAMES, SERVER_NAMES } from './names.ts'
import { RARER } from './rarer.ts'

export const DEVIATIONS: readonly Deviation[] = [
  ...EXTENSIONS,
  ...ALGORITHMS,
  ...NAMES,
  ...CHAINS,
  ...SERVER_NAMES,
  ...RARER,
  ...ENCODINGS,
  ...HELD,
]
