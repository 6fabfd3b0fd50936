/** Feeds a reader with bent samples and watches what becomes of it. */
import { RotationError } from '../../lib/base/rotation-error.ts'
import { type Seeded, seeded } from '../support/seeded.ts'
import { mutated } from './mutate.ts'

/** Something that reads what comes from outside. */
export interface Reader {
  readonly name: string
  /** Real ones. */
  readonly samples: readonly Buffer[]
  /** Throws nothing but RotationErrors that are not `internal`. */
  readonly read: (input: Buffer, random: Seeded) => unknown
}

export interface Fault {
  readonly why: string
  /** With the reader's seed this makes the input again. */
  readonly number: number
  readonly input: string
}

export interface Fuzzed {
  readonly name: string
  readonly seed: number
  readonly inputs: number
  /** How many of them were refused. */
  readonly refused: number
  /** Of processor time, for one input. */
  readonly worstMs: number
  /** What is kept when all is read, after the first inputs. */
  readonly grownMiB: number
  readonly faults: readonly Fault[]
}

export interface Limits {
  readonly seed: number
  /** Ends at whichever comes first. */
  readonly inputs: number
  readonly durationMs: number
}

const HANG_MS = 1_000
const GROWTH_MIB = 64
const WARM_INPUTS = 200
const FAULTS_AT_MOST = 5
const MIB = 1024 * 1024

const keptMiB = (): number => {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / MIB
}

const isDeclared = (thrown: unknown): boolean => thrown instanceof RotationError && thrown.code !== 'internal'

/** The time of the processor, so that a busy machine is no hang. */
const spentMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** Runs one reader. `onInput` is called before each, so that somebody outside sees one that never ends. */
export async function fuzz(
  { name, samples, read }: Reader,
  { seed, inputs, durationMs }: Limits,
  onInput: (number: number) => void = () => {},
): Promise<Fuzzed> {
  const random = seeded(seed)
  const until = Date.now() + durationMs
  const faults: Fault[] = []
  let [number, refused, worstMs, atFirst] = [0, 0, 0, keptMiB()]
  for (; number < inputs && Date.now() < until && faults.length < FAULTS_AT_MOST; number += 1) {
    // Real ones first: who refuses them tests nothing.
    const input = samples[number] ?? mutated(samples, random)
    const fault = (why: string): void =>
      void faults.push({ why, number, input: input.subarray(0, 300).toString('base64') })
    onInput(number)
    const started = spentMs()
    try {
      await read(input, random)
    } catch (thrown) {
      refused += 1
      if (!isDeclared(thrown)) fault(String((thrown as Error)?.stack ?? thrown))
    }
    const took = spentMs() - started
    worstMs = Math.max(worstMs, took)
    if (took > HANG_MS) fault(`took ${Math.round(took)} ms`)
    if (number === WARM_INPUTS) atFirst = keptMiB()
  }
  const grownMiB = Math.max(0, keptMiB() - atFirst)
  if (grownMiB > GROWTH_MIB) faults.push({ why: `keeps ${Math.round(grownMiB)} MiB`, number, input: '' })
  return { name, seed, inputs: number, refused, worstMs, grownMiB, faults }
}
