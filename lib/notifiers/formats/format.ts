import type { Secret } from '../../base/secret.ts'
import type { AlertEvent, Language } from '../../contracts.ts'

/** What is posted to a service. */
export interface WebhookRequest {
  readonly headers?: Readonly<Record<string, string>>
  /** Added to the URL. */
  readonly query?: Readonly<Record<string, string>>
  readonly body: object
}

/** What a request is made with, besides the alert. */
export interface FormatContext {
  /** What requests are signed with, where the service knows signatures; null: they are not. */
  readonly secret: Secret | null
  readonly now: number
  readonly language: Language
}

/** That a service did not take a message although its answer has a good status: it may later, or never. */
export interface Rejection {
  readonly why: string
  readonly retry: 'later' | 'never'
}

/** One service that takes messages by a webhook. Pure functions. */
export interface Format {
  readonly requestFor: (alert: AlertEvent, context: FormatContext) => WebhookRequest
  /** What the answer to a good status says; null: it was taken. Default: it was. */
  readonly rejectionIn?: (answer: string) => Rejection | null
}

/** For services that answer 200 and a code in JSON, 0 being good. `passing`: codes of what passes. */
export const rejectionByCode =
  (codeKey: string, textKey: string, passing: readonly number[]): NonNullable<Format['rejectionIn']> =>
  text => {
    const answer = parsed(text)
    const code = answer?.[codeKey]
    if (typeof code !== 'number') return { why: 'gave no answer that can be read', retry: 'later' }
    if (code === 0) return null
    const said = String(answer?.[textKey] ?? '')
    return { why: `answered ${code} ${said}`.trim(), retry: passing.includes(code) ? 'later' : 'never' }
  }

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
