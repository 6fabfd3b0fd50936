import type { Secret } from '../../base/secret.ts'
import type { AlertEvent, Language } from '../../contracts.ts'

/** What a format makes of an alert. */
export interface Posted {
  readonly headers: Readonly<Record<string, string>>
  /** Added to the URL. */
  readonly query: Readonly<Record<string, string>>
  readonly body: string
}

export interface Signing {
  readonly secret: Secret | null
  readonly now: number
  readonly language: Language
}

/** Why an answer with a good status is none: later, or never. */
export interface Objection {
  readonly why: string
  readonly retry: 'later' | 'never'
}

/** One service that takes messages by a webhook. Pure functions. */
export interface Format {
  readonly post: (alert: AlertEvent, signing: Signing) => Posted
  /** What the answer to a good status says; null: it was taken. Default: it was. */
  readonly objection?: (text: string) => Objection | null
}

/** The JSON object that an answer is; null when it is none. */
export function answered(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/** For services that answer 200 and a code in JSON, 0 being good. */
export const byCode =
  (codeKey: string, textKey: string, passing: readonly number[]) =>
  (text: string): Objection | null => {
    const answer = answered(text)
    const code = answer?.[codeKey]
    if (typeof code !== 'number') return { why: 'gave no answer that can be read', retry: 'later' }
    if (code === 0) return null
    const said = String(answer?.[textKey] ?? '')
    return { why: `answered ${code} ${said}`.trim(), retry: passing.includes(code) ? 'later' : 'never' }
  }
