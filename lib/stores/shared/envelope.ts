import { createHash, randomBytes } from 'node:crypto'
import { RotationError } from '../../base/rotation-error.ts'

/** A document as it stands in a store, and the one write that put it there. */
export interface Opened {
  readonly body: string
  /** Names the writer and the write; no two writes share it. */
  readonly token: string
}

const NAME = 'iotda-cert-state'
const VERSION = '1'
/** Of the first line, which names a writer and its machine. */
const LINE_CHARS = 2_000

const digestOf = (body: string): string => createHash('sha256').update(body).digest('hex')

/**
 * A document under a first line with its hash and a new token of its writer: no two writes leave the same bytes,
 * so that a store which compares content (an ETag) tells them apart, and a writer knows its own again.
 */
export function enclose(body: string, writer: string): { readonly token: string; readonly text: string } {
  // In visible ASCII: it goes into a header, too.
  const token = `${writer.replaceAll(/[^\x21-\x7e]/g, '_')}/${randomBytes(9).toString('base64url')}`
  return { token, text: `${NAME} ${VERSION} ${digestOf(body)} ${token}\n${body}` }
}

/**
 * The document that {@link enclose} wrote; `what` names it in the message.
 * @throws RotationError `store-unreadable` when it was cut, changed, or written by a newer program
 */
export function open(text: string, what: string): Opened {
  const line = text.slice(0, text.slice(0, LINE_CHARS).indexOf('\n') + 1)
  const [name, version = '', digest, token] = line.trimEnd().split(' ')
  const unreadable = (why: string): RotationError =>
    new RotationError('store-unreadable', `${what} cannot be read: ${why}`, {
      retry: 'never',
      hint: 'Nothing was changed. Put an earlier version of it back, or remove it: then what is bound is adopted.',
    })
  if (name !== NAME || !/^\d+$/.test(version))
    throw unreadable('it is no document of iotda-cert, or its beginning is lost')
  if (version !== VERSION) throw unreadable(`its format ${version} is newer than this program`)
  const body = text.slice(line.length)
  if (token === undefined || digestOf(body) !== digest)
    throw unreadable('it was cut or changed after it was written')
  return { body, token }
}
