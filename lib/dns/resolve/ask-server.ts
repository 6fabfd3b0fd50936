import { randomInt } from 'node:crypto'
import { RotationError } from '../../base/rotation-error.ts'
import { stopped } from '../../base/stopped.ts'
import { SECOND_MS } from '../../base/time.ts'
import type { Run } from '../../contracts.ts'
import { type Asking, mostTelling, withoutValidation } from './asking.ts'
import { type DnsServer, exchange } from './exchange.ts'
import { encodeRequest, OPCODE, TYPE } from './message.ts'
import { type Question, type RecordType, type Response, readResponse, unread } from './response.ts'
import type { ServerAddress } from './server-address.ts'

/** Of the first try; the second waits twice as long. */
const TIMEOUT_MS = 2 * SECOND_MS
const TRIES = 2
/** The longest a question to one server takes. */
export const QUESTION_MS = 3 * TIMEOUT_MS

/** Why nothing was heard. */
const silence = (error: unknown): string => {
  const { code, cause } = error as RotationError
  if (code !== 'unreachable') return 'no answer'
  return `no server there (${(cause as NodeJS.ErrnoException).code})`
}

interface Once extends Asking {
  readonly recurse: boolean
  readonly run: Run
  readonly timeoutMs: number
}

/** UDP, then TCP for what does not fit. */
async function askOnce<T extends RecordType>(
  server: ServerAddress,
  question: Question<T>,
  { recurse, run, timeoutMs, ...asking }: Once,
): Promise<Response<T>> {
  if (run.signal.aborted) throw stopped(run, 'DNS question')
  const { id, name, type } = question
  const asked = { name, type: TYPE[type] }
  const message = encodeRequest({ id, opcode: OPCODE.query, recurse, ...asking, question: asked })
  const send = async (transport: DnsServer['transport']): Promise<Response<T>> => {
    const to = { address: server.address, port: server.port, label: server.address, transport }
    const received = await exchange(to, message, `DNS: ${type} of ${name}`, run.signal, timeoutMs)
    return readResponse(received, question)
  }
  try {
    const response = await send('udp')
    return response.message?.isTruncated ? await send('tcp') : response
  } catch (error) {
    if (run.signal.aborted) throw stopped(run, 'DNS question')
    if (!(error instanceof RotationError)) throw error
    return unread(silence(error), true)
  }
}

/**
 * Asks a server for its own word, which tells whether it is an authority; once more when nothing is heard.
 * @throws RotationError `out-of-time` (or the signal's own) when `run.signal` is aborted
 */
export async function askServer<T extends RecordType>(
  server: ServerAddress,
  name: string,
  type: T,
  run: Run,
  asking: Asking = {},
): Promise<Response<T>> {
  const question = { id: randomInt(0x10000), name, type }
  const how = { ...asking, recurse: false, run }
  let response = await askOnce(server, question, { ...how, timeoutMs: TIMEOUT_MS })
  for (let tried = 2; response.isSilence && tried <= TRIES; tried += 1)
    response = await askOnce(server, question, { ...how, timeoutMs: tried * TIMEOUT_MS })
  return response
}

/**
 * Asks servers that may ask others, all at once, and once more those that say nothing while nobody has an answer. The
 * first of them that does not fail is believed, but before it one that fails only because it validates: those that do
 * not validate cannot tell.
 * @throws RotationError `out-of-time` (or the signal's own) when `run.signal` is aborted
 */
export async function askResolvers<T extends RecordType>(
  servers: readonly ServerAddress[],
  name: string,
  type: T,
  run: Run,
  asking: Asking = {},
): Promise<Response<T>['resolved']> {
  const question = { id: randomInt(0x10000), name, type }
  const failures = new Set<string>()
  let left = servers
  for (let tried = 1; tried <= TRIES; tried += 1) {
    const answers = await Promise.all(
      left.map(async server => {
        const ask = (how: Asking) =>
          askOnce(server, question, { ...how, recurse: true, run, timeoutMs: tried * TIMEOUT_MS })
        const { resolved: said, isSilence } = await ask(asking)
        const resolved = await withoutValidation(said, asking, async how => (await ask(how)).resolved)
        return { server, resolved, isSilence }
      }),
    )
    const believed = mostTelling(answers.map(it => it.resolved))
    if (believed) return believed
    for (const { resolved } of answers) if (resolved.kind === 'failed') failures.add(resolved.why)
    left = answers.filter(it => it.isSilence).map(it => it.server)
  }
  return { kind: 'failed', why: [...failures].join(', ') || 'there is no resolver' }
}
