/** Bends real samples: bytes, lengths, pieces that come twice or a thousand times, and pieces of other samples. */
import type { Seeded } from '../support/seeded.ts'

const MOST_BYTES = 256 * 1024
const ODD_BYTES = [
  0, 1, 0x20, 0x22, 0x2f, 0x3a, 0x3c, 0x5c, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xc0, 0xff,
] as const
/** What readers of text and of DER look for. */
const WORDS = [
  ...['"', '\\', '{', '}', '[', ']', ':', ',', '<', '>', '#', '\n', '\r\n', ' ', '\0', '�', '\u202e'],
  ...['null', 'true', '1e999', '-0', '""', '{}', '[]', '__proto__', 'constructor', '\\u0000', '\\ud800'],
  ...['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '-----BEGIN PRIVATE KEY-----'],
  ...['<Code>', '</Code>', '; rel="alternate"', 'https://169.254.169.254/', 'iotda-cert-state 1'],
].map(it => Buffer.from(it)) as [Buffer, ...Buffer[]]

type Mutation = (input: Buffer, random: Seeded, others: readonly Buffer[]) => Buffer

/** A place and how much from there. */
const pieceOf = (input: Buffer, random: Seeded, most = 64): readonly [number, number] => {
  const from = random.whole(0, input.length)
  return [from, Math.min(input.length, from + random.whole(0, most))]
}
const splice = (input: Buffer, from: number, to: number, ...between: readonly Buffer[]): Buffer =>
  Buffer.concat([input.subarray(0, from), ...between, input.subarray(to)])

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  // A bit.
  (input, random) => {
    const bent = Buffer.from(input)
    const at = random.whole(0, Math.max(0, bent.length - 1))
    if (bent.length > 0) bent[at] = (bent[at] ?? 0) ^ (1 << random.whole(0, 7))
    return bent
  },
  // A byte that means something.
  (input, random) => {
    const [from, to] = pieceOf(input, random, 1)
    return splice(input, from, to, Buffer.of(random.pick(ODD_BYTES)))
  },
  // A piece left out, or the end.
  (input, random) => splice(input, ...pieceOf(input, random, 512)),
  (input, random) => input.subarray(0, random.whole(0, input.length)),
  // A piece that comes again, once or very often.
  (input, random) => {
    const [from, to] = pieceOf(input, random, 512)
    const times = 2 ** random.whole(0, 14)
    const most = Math.max(1, Math.floor(MOST_BYTES / Math.max(1, to - from)))
    return splice(
      input,
      to,
      to,
      ...Array.from({ length: Math.min(times, most) }, () => input.subarray(from, to)),
    )
  },
  // A word, once or very often.
  (input, random) => {
    const word = random.pick(WORDS)
    const at = random.whole(0, input.length)
    const times = random() < 0.7 ? 1 : 2 ** random.whole(1, 14)
    return splice(input, at, at, ...Array.from({ length: times }, () => word))
  },
  // A piece of another sample.
  (input, random, others) => {
    const other = others[random.whole(0, others.length - 1)] ?? input
    const [from, to] = pieceOf(input, random, 512)
    return splice(input, from, to, other.subarray(...pieceOf(other, random, 2_048)))
  },
]

/** One to six mutations of a sample. */
export function mutated(samples: readonly Buffer[], random: Seeded): Buffer {
  let input = samples[random.whole(0, samples.length - 1)] ?? Buffer.alloc(0)
  for (let left = random.whole(1, 6); left > 0; left -= 1)
    input = random.pick(MUTATIONS)(input, random, samples).subarray(0, MOST_BYTES)
  return input
}
