import { defaultWindow } from '../certificates/renewal-info.ts'
import type { RateLimit } from '../limits.ts'
import type { Account, Authorization, Ca } from '../state.ts'
import { fail } from '../wire/problems.ts'

/** When the next one fits into a bucket that was drawn from at these instants; null: now. */
function freeAt({ burst, refillSeconds }: RateLimit, drawn: readonly number[], now: number): number | null {
  const refillMs = refillSeconds * 1000
  const emptyUntil = drawn.toSorted((a, b) => a - b).reduce((until, at) => Math.max(until, at) + refillMs, 0)
  const at = emptyUntil + refillMs - burst * refillMs
  return at > now ? at : null
}

const tooMany = (what: string, at: number, now: number) =>
  fail('rateLimited', 429, `${what}, retry after ${new Date(at).toISOString()}`, {
    headers: {
      'retry-after': String(Math.ceil((at - now) / 1000)),
      link: '<https://sandbox-ca.test/docs/rate-limits>;rel="help"',
    },
  })

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every(name => b.includes(name))

/** An order inside the window of the certificate it replaces is exempt from all limits. */
const isExempt = (ca: Ca, replaces: string | null): boolean => {
  const predecessor = ca.state.certificates.find(c => c.certId === replaces)
  if (!predecessor) return false
  const { start, end } = defaultWindow(ca, predecessor)
  return start <= ca.now() && ca.now() < end
}

interface Wanted {
  readonly names: readonly string[]
  readonly replaces: string | null
}

/** Refuses an order that the limits do not allow. The limit that is free last is told. */
export function checkLimits(ca: Ca, account: Account, { names, replaces }: Wanted): void {
  const { limits } = ca.switches
  const now = ca.now()
  const ofAccount = ca.state.failures.filter(it => it.account === account)
  const paused = names.filter(name => ca.state.pausedNames.has(`${account.id} ${name}`))
  if (paused.length > 0) {
    const link = ca.url(`/unpause?jwt=${account.id}`)
    throw fail(
      'rateLimited',
      429,
      `Your account is temporarily prevented from requesting certificates for ${paused.join(', ')} and possibly others. Please visit: ${link}`,
    )
  }
  if (isExempt(ca, replaces)) return
  const { newOrders } = limits
  const waits = [
    {
      what: `too many new orders (${newOrders?.burst}) from this account in the last 3h0m0s`,
      limit: newOrders,
      drawn: ca.state.orders.filter(it => it.account === account).map(it => it.placedAt),
    },
    ...names.map(name => ({
      what: `too many failed authorizations recently for ${name}`,
      limit: limits.failedValidations,
      drawn: ofAccount.filter(it => it.name === name).map(it => it.at),
    })),
    {
      what: 'too many certificates already issued for this exact set of identifiers',
      limit: limits.certificates,
      drawn: ca.state.certificates.filter(c => sameNames(c.names, names)).map(c => c.issuedAt),
    },
  ].flatMap(({ what, limit, drawn }) => {
    const at = limit && freeAt(limit, drawn, now)
    return at ? [{ what, at }] : []
  })
  const [last] = waits.toSorted((a, b) => b.at - a.at)
  if (last) throw tooMany(last.what, last.at, now)
}

/** Counts what a validation came to. */
export function countValidation(ca: Ca, { account, name, wildcard }: Authorization, isValid: boolean): void {
  const full = wildcard ? `*.${name}` : name
  const { state, switches } = ca
  if (isValid) {
    state.failuresInRow.delete(`${account.id} ${full}`)
    return
  }
  state.failures.push({ account, name: full, at: ca.now() })
  const inRow = (state.failuresInRow.get(`${account.id} ${full}`) ?? 0) + 1
  state.failuresInRow.set(`${account.id} ${full}`, inRow)
  const { failuresUntilPause } = switches.limits
  if (failuresUntilPause !== null && inRow >= failuresUntilPause)
    state.pausedNames.add(`${account.id} ${full}`)
}
