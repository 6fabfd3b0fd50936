/** Every reader of what comes from outside. */
import { acme } from './acme.ts'
import { iotda, queue, solvers, stores } from './answers.ts'
import { dns, state } from './bytes.ts'
import { der, lists, pem } from './certificates.ts'
import type { Reader } from './engine.ts'
import { mqtt, tls } from './port.ts'

export const READERS: readonly Reader[] = [
  state,
  dns,
  pem,
  der,
  lists,
  iotda,
  stores,
  queue,
  ...solvers,
  acme,
  mqtt,
  tls,
]
