import { stopped } from '../../base/stopped.ts'
import { SECOND_MS } from '../../base/time.ts'
import type { Run } from '../../contracts.ts'
import { type Http, HttpFailure } from '../../http/http.ts'
import { type Asking, withoutValidation } from './asking.ts'
import { encodeRequest, OPCODE, TYPE } from './message.ts'
import { type RecordData, type RecordType, type Resolved, readResponse } from './response.ts'

const MEDIA_TYPE = 'application/dns-message'
const TIMEOUT_MS = 3 * SECOND_MS
const TRIES = 2

/** Zero, as RFC 8484 section 4.1 wants it: HTTP itself tells which answer belongs to which question. */
const ID = 0

/** What a DNS message may have over TCP, too. */
const MESSAGE_BYTES = 65_535

const mediaTypeOf = (header: string | undefined): string => header?.split(';')[0]?.trim().toLowerCase() ?? ''

const once = async <T extends RecordType>(
  http: Http,
  url: string,
  asked: { readonly name: string; readonly type: T },
  run: Run,
  asking: Asking,
): Promise<Resolved<RecordData[T]>> => {
  const question = { name: asked.name, type: TYPE[asked.type] }
  try {
    const { status, headers, text } = await http.request({
      method: 'POST',
      url,
      headers: { 'content-type': MEDIA_TYPE, accept: MEDIA_TYPE },
      body: encodeRequest({ id: ID, opcode: OPCODE.query, recurse: true, ...asking, question }),
      encoding: 'latin1',
      maxBytes: MESSAGE_BYTES,
      timeoutMs: TIMEOUT_MS,
      signal: run.signal,
    })
    if (status !== 200) return { kind: 'failed', why: `HTTP ${status}` }
    const type = mediaTypeOf(headers['content-type'])
    if (type !== MEDIA_TYPE)
      return { kind: 'failed', why: `${type || 'an answer without a type'} instead of ${MEDIA_TYPE}` }
    return readResponse(Buffer.from(text, 'latin1'), { ...asked, id: ID }).resolved
  } catch (thrown) {
    if (run.signal.aborted) throw stopped(run, 'DNS question')
    if (!(thrown instanceof HttpFailure)) throw thrown
    return { kind: 'failed', why: thrown.message }
  }
}

/**
 * Asks one resolver over HTTPS (RFC 8484), once more when it fails. What it says may be remembered from before:
 * `rememberedMs` tells how long still.
 * @throws RotationError `out-of-time` (or the signal's own) when `run.signal` is aborted
 */
export async function askHttps<T extends RecordType>(
  http: Http,
  url: string,
  name: string,
  type: T,
  run: Run,
  asking: Asking = {},
): Promise<Resolved<RecordData[T]>> {
  if (run.signal.aborted) throw stopped(run, 'DNS question')
  const ask = (how: Asking): Promise<Resolved<RecordData[T]>> => once(http, url, { name, type }, run, how)
  let resolved = await ask(asking)
  for (let tried = 1; resolved.kind === 'failed' && tried < TRIES; tried += 1) resolved = await ask(asking)
  return withoutValidation(resolved, asking, ask)
}
