import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

/** A secret to search for, by what people call it. */
export interface Wanted {
  readonly name: string
  readonly value: string
}

const FRAGMENT = 24
/** Shorter texts are found in anything. */
const SHORTEST = 12

/**
 * Looks for secrets in a text: as they are, JSON-escaped, URL-encoded, in base64, base64url and hex wherever they
 * begin, and in every fragment of 24 characters of these, line breaks or not. Private keys also by their DER and
 * their members; what a key shares with its certificate is no secret. Returns the names of what is found.
 */
export function createSearch(secrets: readonly Wanted[]): (text: string) => readonly string[] {
  const short = new Map<string, string>()
  const fragments = new Map<string, string>()
  for (const { name, value } of secrets) {
    const open = new Set(publicTexts(value).flatMap(fragmentsOf))
    for (const form of secretTexts(value)) {
      if (form.length < SHORTEST) throw new Error(`${name} is too short to be searched for`)
      if (form.length <= FRAGMENT) short.set(form, name)
      else for (const part of fragmentsOf(form)) if (!open.has(part)) fragments.set(part, name)
    }
  }
  const find = (text: string): readonly string[] => {
    const found = [...short].filter(([form]) => text.includes(form)).map(([, name]) => name)
    for (let at = 0; at + FRAGMENT <= text.length; at += 1) {
      const name = fragments.get(text.slice(at, at + FRAGMENT))
      if (name !== undefined) found.push(name)
    }
    return found
  }
  return text => [...new Set([...find(text), ...find(withoutBreaks(text))])]
}

const fragmentsOf = (text: string): readonly string[] =>
  text.length <= FRAGMENT
    ? [text]
    : Array.from({ length: text.length - FRAGMENT + 1 }, (_, at) => text.slice(at, at + FRAGMENT))

/** A value as texts that carry it. */
function secretTexts(value: string): readonly string[] {
  const escaped = JSON.stringify(value).slice(1, -1)
  const key = privateKey(value)
  return [
    ...[value, escaped, JSON.stringify(escaped).slice(1, -1)],
    ...[encodeURIComponent(value), new URLSearchParams({ '': value }).toString().slice(1)],
    ...encodings(Buffer.from(value)),
    ...(key ? [...dersOf(key), ...membersOf(key)].flatMap(encodings) : []),
  ].map(form => withoutBreaks(form.replaceAll(/-----[A-Z ]+-----/g, '')))
}

/** White space is no part of a form, in whatever way it is written. */
const withoutBreaks = (text: string): string => text.replaceAll(/(\\+[nr]|%0[AD]|%20|\s)+/gi, '')

/** Bytes in base64, base64url and hex, also when other bytes stand before them. */
function encodings(bytes: Buffer): readonly string[] {
  const texts = [bytes.toString('hex'), bytes.toString('hex').toUpperCase()]
  for (const before of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    // The characters at either end that other bytes have a part in.
    const end = (before + bytes.length) % 3 === 0 ? whole.length : whole.length - 1
    const text = whole.slice(before === 0 ? 0 : before + 1, end)
    texts.push(text, text.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return texts.filter(text => text.length >= SHORTEST)
}

function privateKey(text: string): KeyObject | null {
  return text.includes('PRIVATE KEY-----') ? createPrivateKey(text) : null
}

const dersOf = (key: KeyObject): readonly Buffer[] => {
  const traditional = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1'
  return [
    key.export({ type: 'pkcs8', format: 'der' }),
    key.export({ type: traditional as 'pkcs1', format: 'der' }),
  ]
}

/** RFC 7518 sections 6.2.2 and 6.3.2. */
const membersOf = (key: KeyObject): readonly Buffer[] => {
  const { d, p, q, dp, dq, qi } = key.export({ format: 'jwk' })
  return [d, p, q, dp, dq, qi].flatMap(part => (part ? [Buffer.from(part, 'base64url')] : []))
}

/** What the certificate of a key shows too. */
function publicTexts(value: string): readonly string[] {
  const key = privateKey(value)
  return key ? encodings(createPublicKey(key).export({ type: 'spki', format: 'der' })) : []
}
