import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { iso } from '../../base/time.ts'
import type { Obtained } from '../../contracts.ts'
import type { AcmeClient } from '../protocol/client.ts'
import { describeProblem, embeddedProblem, type ProblemDocument } from '../protocol/problem.ts'
import type { Authorization, Challenge, Order } from '../protocol/resources.ts'
import { deactivatePending, leftToExpire } from './abandon.ts'
import type { Notes } from './journal.ts'
import type { OpenOrderWork } from './order-work.ts'

type Authorized = { readonly kind: 'responded' } | Extract<Obtained, { kind: 'suspended' }>

type Work = Pick<OpenOrderWork, 'client' | 'dns' | 'notes' | 'budget'>

/** An order that can never be validated here is not left pending at the CA, where each would count. */
const giveUp = async ({ client, notes, budget }: Work, order: Order): Promise<void> => {
  const { run } = client.connection
  await deactivatePending(client, order.url).catch(thrown => leftToExpire(run, order.url, thrown))
  await notes.dropped()
  await budget.ended()
}

/** The dns-01 challenge. Types that are not known, or come without token, are no concern of ours. */
const dnsChallenge = async (work: Work, order: Order, authorization: Authorization) => {
  const { settings } = work.client.connection
  const { name, challenges } = authorization
  const found = challenges.find(challenge => challenge.type === 'dns-01' && challenge.token !== null)
  if (found) return { ...found, token: found.token ?? '' }
  await giveUp(work, order)
  const offered = challenges.map(challenge => challenge.type).join(', ') || 'nothing'
  throw new RotationError(
    'ca-rejected',
    `${settings}: the CA offers no dns-01 for ${name}, only ${offered}`,
    {
      retry: 'never',
      hint: 'Only DNS-01 validation is supported.',
    },
  )
}

const titled = ({ name, wildcard }: Authorization): string => (wildcard ? `*.${name}` : name)

/** A CA may not make us write under names that were not ordered. */
const checkName = async (work: Work, order: Order, names: readonly string[], name: string) => {
  if (names.some(ordered => ordered.replace(/^\*\./, '').toLowerCase() === name.toLowerCase())) return
  await giveUp(work, order)
  const { settings } = work.client.connection
  throw new RotationError('order-failed', `${settings}: authorization: ${name} was not ordered`, {
    hint: 'The next run places a new order.',
  })
}

/** One name is validated once (RFC 8555 section 7.1.3): a CA may not have us write values without end. */
const tooMany = async ({ client, notes, budget }: Work, order: Order): Promise<RotationError> => {
  await notes.dropped()
  await budget.ended()
  const count = order.authorizations.length
  return new RotationError(
    'order-failed',
    `${client.connection.settings}: order: ${count} authorizations, more than one for each name`,
    { hint: 'The next run places a new order.' },
  )
}

const readPending = async (work: Work, names: readonly string[], order: Order) => {
  if (order.authorizations.length > new Set(names).size) throw await tooMany(work, order)
  const seen = new Set<string>()
  const pending: {
    readonly authorization: Authorization
    readonly challenge: Challenge & { token: string }
  }[] = []
  for (const url of order.authorizations) {
    const authorization = await work.client.authorization(url)
    if (authorization.status !== 'pending') continue
    if (seen.has(titled(authorization))) throw await tooMany(work, order)
    seen.add(titled(authorization))
    await checkName(work, order, names, authorization.name)
    pending.push({ authorization, challenge: await dnsChallenge(work, order, authorization) })
  }
  return pending
}

/**
 * Answers the dns-01 challenges of a pending order: values into the journal, then into DNS, then, when every
 * authoritative server has them, the CA is told (RFC 8555 sections 7.5.1 and 8.4).
 * @throws RotationError `order-failed` (a name that was not ordered), `ca-rejected` (no dns-01), `propagation-timeout`, those of AcmeClient,
 * and those of the DNS solver
 */
export async function authorize(work: Work, names: readonly string[], order: Order): Promise<Authorized> {
  const { client, dns, notes } = work
  const { run } = client.connection
  const pending = await readPending(work, names, order)
  const wanted = []
  for (const { authorization, challenge } of pending)
    wanted.push({ domain: authorization.name, value: await client.txtValue(challenge.token) })
  const values = await dns.locate(wanted)
  await notes.presenting(values)
  await dns.present(values)
  if (values.length > 0) {
    const outcome = await dns.propagated(values)
    if (outcome.kind === 'suspended') return outcome
  }
  for (const { authorization, challenge } of pending) {
    if (challenge.status !== 'pending') continue
    await client.respond(challenge.url)
    run.log.info({ name: titled(authorization) }, 'the CA is asked to validate')
  }
  return { kind: 'responded' }
}

const hintFor = ({ type }: ProblemDocument): string => {
  if (type === 'caa') return 'Allow the CA in the CAA records of the name and of its parents.'
  if (type === 'dns')
    return 'See whether the zone is delegated and signed correctly and all its servers answer.'
  return 'See that the TXT record reaches every authoritative server of the zone.'
}

/** Each is asked for. */
const SHOWN_AT_MOST = 100

const invalidChallenges = async (client: AcmeClient, order: Order) => {
  const failures: { readonly name: string; readonly problem: ProblemDocument }[] = []
  for (const url of order.authorizations.slice(0, SHOWN_AT_MOST)) {
    const authorization = await client.authorization(url)
    if (authorization.status !== 'invalid') continue
    const failed = authorization.challenges.find(challenge => challenge.error !== null)
    if (failed?.error) failures.push({ name: titled(authorization), problem: failed.error })
  }
  return failures
}

const orderFailure = (settings: string, order: Order): RotationError => {
  const why = order.error ? describeProblem(order.error) : 'without giving a reason'
  return new RotationError('order-failed', `${settings}: the CA gave up on the order: ${why}`, {
    ...(order.error ? { cause: embeddedProblem(order.error) } : {}),
    hint: 'The next run places a new order.',
  })
}

/**
 * Why an order is `invalid`; the order is dropped from the journal first. `validation-failed` names each name
 * with the type and detail of its challenge's error, `order-failed` what the CA says of the order itself.
 */
export async function validationFailure(
  client: AcmeClient,
  notes: Notes,
  order: Order,
): Promise<RotationError> {
  const { settings, run } = client.connection
  await notes.dropped()
  const failures = await invalidChallenges(client, order).catch((thrown: unknown) => {
    run.log.warn({ order: order.url }, `cannot ask which name failed: ${asRotationError(thrown).message}`)
    return []
  })
  const [first] = failures
  run.log.warn({ order: order.url, at: iso(run.clock.now()) }, 'the order is invalid')
  if (first === undefined) return orderFailure(settings, order)
  const list = failures.map(({ name, problem }) => `${name}: ${describeProblem(problem)}`).join('; ')
  return new RotationError('validation-failed', `${settings}: the CA could not validate ${list}`, {
    cause: embeddedProblem(first.problem),
    hint: hintFor(first.problem),
  })
}
