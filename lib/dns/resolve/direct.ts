import { randomInt } from 'node:crypto'
import { RotationError } from '../../base/rotation-error.ts'
import { stopped } from '../../base/stopped.ts'
import type { Run } from '../../contracts.ts'
import { type Answers, type Reading, type RecordType, readAnswer, unread } from './answer.ts'
import { type DnsServer, exchange } from './exchange.ts'
import { encodeRequest, OPCODE, TYPE } from './message.ts'
import { TIMEOUT_MS, TRIES } from './question.ts'

/** Why nothing was heard, as `ask` says it. */
const silence = (error: unknown): string => {
  const { code, cause } = error as RotationError
  if (code !== 'unreachable') return 'no answer'
  return `no server there (${(cause as NodeJS.ErrnoException).code})`
}

/**
 * Asks one server itself; without `recurse` its answer tells whether it is an authority. UDP, then TCP for what does
 * not fit. @throws RotationError `out-of-time` (or the signal's own) when `run.signal` is aborted
 */
export async function askServer<T extends RecordType>(
  server: Pick<DnsServer, 'address' | 'port'>,
  name: string,
  type: T,
  run: Run,
  recurse = false,
): Promise<Reading<Answers[T]>> {
  const asked = { id: randomInt(0x10000), name, type }
  const message = encodeRequest({
    ...{ id: asked.id, opcode: OPCODE.query, recurse },
    question: { name, type: TYPE[type] },
  })
  const what = `DNS: ${type} of ${name}`
  let why = ''
  for (let tried = 1; tried <= TRIES; tried += 1) {
    if (run.signal.aborted) throw stopped(run, 'DNS question')
    const send = (transport: DnsServer['transport']): Promise<Buffer> =>
      exchange({ ...server, label: server.address, transport }, message, what, run.signal, tried * TIMEOUT_MS)
    try {
      const reading = readAnswer(await send('udp'), asked)
      return reading.answer?.isTruncated ? readAnswer(await send('tcp'), asked) : reading
    } catch (error) {
      if (run.signal.aborted) throw stopped(run, 'DNS question')
      if (!(error instanceof RotationError)) throw error
      why = silence(error)
    }
  }
  return unread(why)
}
