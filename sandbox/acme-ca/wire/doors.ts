import { type Answer, type Call, type Served, type ServeOptions, serve } from '../../kit/http.ts'
import type { Ca } from '../state.ts'
import { fail, problemAnswer } from './problems.ts'

/** Without parameters, whatever its case (RFC 9110 section 8.3.1). */
const mediaType = ({ headers }: Call): string =>
  (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''

/** RFC 8555 sections 6.1 and 6.2. */
const checkRequest = (call: Call): Answer | null => {
  if (!call.headers['user-agent'])
    return problemAnswer(fail('malformed', 400, 'Requests must have a User-Agent header'))
  if (call.method === 'POST' && mediaType(call) !== 'application/jose+json')
    return problemAnswer(fail('malformed', 415, 'POST requests must be application/jose+json'))
  return null
}

/** Where the CA answers: one address, until it moves to the next. */
export interface Doors {
  readonly current: () => string
  /** See `AcmeCa.move`. */
  move(old: 301 | 308 | 404 | null): Promise<void>
  dispose(): Promise<void>
}

/** Opens the first one. */
export async function createDoors(
  ca: Ca,
  shared: Omit<ServeOptions, 'before' | 'port'>,
  port?: number,
): Promise<Doors> {
  const opened: Served[] = []
  let current = ''
  let oldAnswers: 301 | 308 | 404 = 404
  const answerOld = (call: Call): Answer =>
    oldAnswers === 404
      ? problemAnswer(fail('malformed', 404, 'There is no CA here any more'))
      : { status: oldAnswers, headers: { location: `${current}${call.target}` } }
  const open = async (wanted?: number): Promise<void> => {
    let own: string | null = null
    const before = (call: Call) => (own === null || own === current ? checkRequest(call) : answerOld(call))
    const served = await serve({ ...shared, before, ...(wanted === undefined ? {} : { port: wanted }) })
    own = served.url
    current = served.url
    opened.push(served)
  }
  const close = async (): Promise<void> => {
    await Promise.all(opened.splice(0).map(served => served.dispose()))
  }
  await open(port)
  return {
    current: () => current,
    move: async old => {
      const from = current
      if (old === null) await close()
      else oldAnswers = old
      await open()
      const here = (url: string): string => url.replace(from, current)
      for (const account of ca.state.accounts) account.url = here(account.url)
      for (const certificate of ca.state.certificates)
        certificate.accountUrl = certificate.accountUrl && here(certificate.accountUrl)
    },
    dispose: close,
  }
}
