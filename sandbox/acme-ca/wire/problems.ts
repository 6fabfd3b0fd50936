import type { Answer } from '../../kit/http.ts'

/** One ACME identifier (RFC 8555 section 9.7.7). */
export interface Identifier {
  readonly type: string
  readonly value: string
}

/** A problem document (RFC 7807) with the members of RFC 8555 section 6.7. */
export interface Problem {
  readonly type: string
  readonly detail: string
  readonly status: number
  readonly identifier?: Identifier
  readonly subproblems?: readonly Problem[]
  readonly algorithms?: readonly string[]
}

/** The prefix of all error types of RFC 8555 section 6.7. */
export const ERROR_PREFIX = 'urn:ietf:params:acme:error:'

/** Thrown by handlers; the door turns it into an `application/problem+json` answer. */
export class ProblemError extends Error {
  readonly problem: Problem
  readonly headers: Readonly<Record<string, string | readonly string[]>>

  constructor(problem: Problem, headers: Readonly<Record<string, string | readonly string[]>> = {}) {
    super(`${problem.type}: ${problem.detail}`)
    this.problem = problem
    this.headers = headers
  }
}

interface Extra {
  readonly subproblems?: readonly Problem[]
  readonly algorithms?: readonly string[]
  readonly identifier?: Identifier
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
}

/** The document of one error type of RFC 8555 section 6.7, given without its prefix. */
export function problem(
  type: string,
  status: number,
  detail: string,
  extra: Omit<Extra, 'headers'> = {},
): Problem {
  return { type: `${ERROR_PREFIX}${type}`, detail, status, ...extra }
}

/** An error to throw (RFC 8555 section 6.7). */
export function fail(type: string, status: number, detail: string, extra: Extra = {}): ProblemError {
  const { headers, ...members } = extra
  return new ProblemError(problem(type, status, detail, members), headers)
}

/** The answer that carries a problem document (RFC 8555 section 6.7). */
export function problemAnswer(error: ProblemError): Answer {
  return {
    status: error.problem.status,
    headers: { ...error.headers, 'content-type': 'application/problem+json' },
    body: error.problem,
  }
}
