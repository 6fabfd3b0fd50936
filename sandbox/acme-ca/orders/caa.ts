import type { Authorization, Ca } from '../state.ts'
import { type Problem, problem } from '../wire/problems.ts'
import { type CaaProperty, lookupCaa } from './dns-lookup.ts'

/** How the CA calls itself where the directory does not say. */
const OWN_NAME = 'sandbox-ca.test'
const KNOWN = ['issue', 'issuewild', 'issuemail', 'issuevmc', 'iodef', 'contactemail', 'contactphone']
/** Of zones that the resolver of the sandbox does not have, such as the top-level domain. */
const NOTHING = ['NXDOMAIN', 'REFUSED']

interface Grant {
  readonly issuer: string
  readonly parameters: ReadonlyMap<string, string>
}

/** The value of an `issue` property (RFC 8659 section 4.2); null: it is none, which lets nobody issue. */
const grantOf = (value: string): Grant | null => {
  const [issuer = '', ...rest] = value.split(';').map(part => part.trim())
  const pairs = rest.filter(part => part !== '').map(part => /^([a-z0-9-]+)\s*=\s*(\S*)$/i.exec(part))
  if (pairs.some(pair => pair === null)) return null
  const parameters = new Map(pairs.map(pair => [pair?.[1]?.toLowerCase() ?? '', pair?.[2] ?? '']))
  return parameters.size === pairs.length ? { issuer: issuer.toLowerCase(), parameters } : null
}

/** Whether a property lets this account be issued to after this validation (RFC 8657 sections 3 and 4). */
const allows = (ca: Ca, { account }: Authorization, method: string, value: string): boolean => {
  const grant = grantOf(value)
  if (grant === null) return false
  const { caaIdentities } = ca.switches
  const names = caaIdentities.length > 0 ? caaIdentities : [OWN_NAME]
  const accountUri = grant.parameters.get('accounturi') ?? account.url
  const methods = grant.parameters.get('validationmethods')?.split(',') ?? [method]
  return names.includes(grant.issuer) && accountUri === account.url && methods.includes(method)
}

const judge = (
  ca: Ca,
  authorization: Authorization,
  method: string,
  properties: readonly CaaProperty[],
): boolean => {
  if (properties.some(({ isCritical, tag }) => isCritical && !KNOWN.includes(tag))) return false
  const tagged = (wanted: string) => properties.filter(({ tag }) => tag === wanted)
  const wild = authorization.wildcard ? tagged('issuewild') : []
  const relevant = wild.length > 0 ? wild : tagged('issue')
  return relevant.length === 0 || relevant.some(({ value }) => allows(ca, authorization, method, value))
}

/**
 * What the CAA records of a name, or of the nearest parent that has any, say against issuing (RFC 8659 section 3);
 * null: nothing. Records that cannot be read forbid it.
 */
export async function caaProblem(
  ca: Ca,
  authorization: Authorization,
  method: string,
): Promise<Problem | null> {
  const identifier = { type: 'dns', value: authorization.name }
  const refuse = (detail: string) => problem('caa', 403, detail, { identifier })
  const { dnsServer: server, dnsTimeoutMs: timeoutMs } = ca.switches
  const labels = authorization.name.split('.')
  const names = labels.map((_, from) => labels.slice(from).join('.'))
  const options = { server, timeoutMs, signal: ca.signal }
  const looked = await Promise.all(names.map(at => lookupCaa(at, options)))
  for (const [index, found] of looked.entries()) {
    if (found.failed !== undefined) {
      if (NOTHING.includes(found.rcode ?? '')) continue
      return refuse(`While checking CAA: ${found.failed}`)
    }
    if (found.values.length === 0) continue
    if (judge(ca, authorization, method, found.values)) return null
    return refuse(`CAA record for ${names[index]} prevents issuance`)
  }
  return null
}
