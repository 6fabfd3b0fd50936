import { asRotationError, RotationError } from '../base/rotation-error.ts'
import { type DnsAccess, openPublicLookup } from './resolve/lookup.ts'
import type { CaaRecord } from './resolve/response.ts'

/** The CA and account that ask for a certificate. */
export interface Issuer {
  /** How the CA calls itself in CAA records, lower case; empty: it does not say. */
  readonly identities: readonly string[]
  /** Null: not known. */
  readonly accountUrl: string | null
}

/** The records that count for a name, and the name they stand at; none where there are no records at all. */
export interface RelevantCaa {
  readonly at: string
  readonly records: readonly CaaRecord[]
}

export type CaaPermission =
  | { readonly kind: 'allowed'; readonly why: string }
  /** Nobody can tell: the CA does not say its name. */
  | { readonly kind: 'unclear'; readonly why: string }
  | { readonly kind: 'forbidden'; readonly why: string; readonly remedy: string }

/** Tags that CAs know (RFC 8659 sections 4.2 to 4.4, RFC 9495, CA/Browser Forum baseline requirements B.1). */
const KNOWN_TAGS = ['issue', 'issuewild', 'iodef', 'issuemail', 'contactemail', 'contactphone', 'issuevmc']
const CRITICAL = 0x80
const METHOD = 'dns-01'

/** The value of an `issue` or `issuewild` property. */
interface Grant {
  /** Lower case; empty: nobody. */
  readonly issuer: string
  readonly parameters: readonly (readonly [name: string, value: string])[]
}

/** Null for what is not as RFC 8659 section 4.2 wants it, which allows nobody. */
function readGrant(value: string): Grant | null {
  const [issuer = '', ...rest] = value.split(';').map(part => part.trim())
  const parameters: (readonly [string, string])[] = []
  for (const part of rest.filter(text => text !== '')) {
    const [, name, content] = /^([A-Za-z0-9-]+)[ \t]*=[ \t]*([\x21-\x3a\x3c-\x7e]*)$/.exec(part) ?? []
    if (name === undefined || content === undefined) return null
    parameters.push([name, content])
  }
  return /^[A-Za-z0-9.-]*$/.test(issuer) ? { issuer: issuer.toLowerCase(), parameters } : null
}

/** What keeps a record that names the CA from allowing us (RFC 8657 sections 3 and 4); null: nothing. */
function obstacle({ parameters }: Grant, { accountUrl }: Issuer): string | null {
  const valuesOf = (wanted: string) =>
    parameters.filter(([name]) => name === wanted).map(([, value]) => value)
  const [accounts, methods] = [valuesOf('accounturi'), valuesOf('validationmethods')]
  if (accounts.length > 1 || methods.length > 1) return 'it names a parameter twice, which allows nobody'
  const [account] = accounts
  if (account !== undefined && accountUrl !== null && account !== accountUrl)
    return `only for the account ${account}`
  const [method] = methods
  if (method !== undefined && !method.split(',').includes(METHOD))
    return `only with validation by ${method || 'nothing'}`
  return null
}

const remedyFor = (
  { at }: RelevantCaa,
  tag: string,
  { identities, accountUrl }: Issuer,
  isTied: boolean,
): string => {
  const tie = isTied && accountUrl !== null ? `; accounturi=${accountUrl}` : ''
  const wanted = identities.map(it => `0 ${tag} "${it}${tie}"`).join(' or ')
  return wanted === ''
    ? `Add a CAA record for the CA to ${at}.`
    : `Add a CAA record to ${at}: ${wanted}. Or let another CA issue.`
}

/**
 * Whether these records let the issuer issue by dns-01 for a name, or for its wildcard (RFC 8659 sections 4 and 5,
 * RFC 8657). Pure.
 */
export function caaPermission(
  relevant: RelevantCaa | null,
  isWildcard: boolean,
  issuer: Issuer,
): CaaPermission {
  if (relevant === null) return { kind: 'allowed', why: 'no CAA record stands in the way' }
  const { at, records } = relevant
  const unknown = records.find(({ flags, tag }) => (flags & CRITICAL) !== 0 && !KNOWN_TAGS.includes(tag))
  if (unknown)
    return {
      kind: 'forbidden',
      why: `CAA of ${at} has the critical property "${unknown.tag}", which CAs do not know: nobody may issue`,
      remedy: `Remove that CAA record from ${at}, or clear its critical flag.`,
    }
  const tag = isWildcard && records.some(it => it.tag === 'issuewild') ? 'issuewild' : 'issue'
  const grants = records.filter(it => it.tag === tag).map(({ value }) => readGrant(value))
  if (grants.length === 0) return { kind: 'allowed', why: 'no CAA record stands in the way' }
  const named = grants.filter(grant => grant !== null && grant.issuer !== '') as readonly Grant[]
  const whom = tag === 'issue' ? 'allows' : 'allows for wildcards'
  const said = `CAA of ${at} ${whom} ${named.map(it => it.issuer).join(', ') || 'nobody'}`
  if (issuer.identities.length === 0 && named.length > 0)
    return { kind: 'unclear', why: `${said}; the CA does not say its name for CAA` }
  const own = named.filter(grant => issuer.identities.includes(grant.issuer))
  const obstacles = own.map(grant => obstacle(grant, issuer))
  if (obstacles.includes(null)) return { kind: 'allowed', why: `${said}, which includes the CA` }
  const why =
    own.length === 0
      ? `${said}, but not ${issuer.identities.join(' or ') || 'the CA'}`
      : `${said}, but ${obstacles.join(', and ')}`
  return { kind: 'forbidden', why, remedy: remedyFor(relevant, tag, issuer, own.length > 0) }
}

/**
 * The records that count for a domain: those of the nearest name at or above it that has any (RFC 8659 section 3).
 * All names are asked at once, up to below the top: no registry says who may issue for everybody.
 * @throws RotationError `unavailable`: a name that would count cannot be asked; `dnssec-broken`
 */
export async function relevantCaa(domain: string, access: DnsAccess): Promise<RelevantCaa | null> {
  const lookup = await openPublicLookup(access)
  const labels = domain.split('.')
  const names = labels.slice(0, -1).map((_, at) => labels.slice(at).join('.'))
  const answers = await Promise.all(names.map(async at => ({ at, resolved: await lookup('CAA', at) })))
  for (const { at, resolved } of answers) {
    if (resolved.kind === 'records') return { at, records: resolved.records }
    if (resolved.kind === 'failed')
      throw (
        resolved.broken ??
        new RotationError('unavailable', `DNS: the CAA records of ${at} cannot be read: ${resolved.why}`, {
          hint: 'CAs do not issue while CAA cannot be read: see whether the zone is signed correctly and all its servers answer for CAA, and that propagation.resolvers answer.',
        })
      )
  }
  return null
}

/**
 * Makes sure that CAA lets the issuer issue for a domain, for its wildcard, or both. What cannot be read is a doubt:
 * it stops an order, but not in the emergency, nor where the settings name no resolver but other servers, or take the
 * word of the DNS service for enough.
 * @throws RotationError `caa-forbids`, `dnssec-broken`, `unavailable`
 */
export async function requireCaa(
  { domain, wildcards }: { readonly domain: string; readonly wildcards: readonly boolean[] },
  issuer: Issuer,
  access: DnsAccess,
): Promise<void> {
  const { run, propagation, emergency } = access
  let relevant: RelevantCaa | null = null
  try {
    relevant = await relevantCaa(domain, access)
  } catch (thrown) {
    const { check, resolvers, nameservers } = propagation
    const isOptional = check === 'provider' || (resolvers.length === 0 && nameservers.length > 0)
    const error = asRotationError(thrown)
    const isDoubt = error.code === 'unavailable' || error.code === 'unreachable'
    if (run.signal.aborted || !isDoubt || !(emergency || isOptional)) throw thrown
    run.log.warn({ domain }, `going on without CAA: ${error.message}`)
  }
  for (const isWildcard of wildcards) {
    const permission = caaPermission(relevant, isWildcard, issuer)
    const name = `${isWildcard ? '*.' : ''}${domain}`
    if (permission.kind === 'unclear') run.log.info({ name }, `dns: ${permission.why}`)
    if (permission.kind === 'forbidden')
      throw new RotationError('caa-forbids', `${name}: ${permission.why}`, {
        retry: 'never',
        hint: permission.remedy,
      })
  }
}
