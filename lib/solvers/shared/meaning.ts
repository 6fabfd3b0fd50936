import type { Refusal } from '../../http/api-call.ts'
import type { ErrorCode } from '../../model/errors.ts'

/** What the codes of a service mean, each by the first pattern that fits. */
export interface Meanings {
  readonly codes: readonly (readonly [RegExp, ErrorCode])[]
  readonly hints: readonly (readonly [RegExp, string])[]
}

const firstOf = <T>(table: readonly (readonly [RegExp, T])[], text: string): T | null =>
  table.find(([pattern]) => pattern.test(text))?.[1] ?? null

/** What a service's own code means; one that no pattern fits is `otherwise`. */
export const meaningOf = (
  serviceCode: string,
  message: string,
  { codes, hints }: Meanings,
  otherwise: ErrorCode,
): Refusal => ({
  code: firstOf(codes, serviceCode) ?? otherwise,
  serviceCode,
  message,
  hint: firstOf(hints, serviceCode),
})
