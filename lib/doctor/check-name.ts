import { randomBytes } from 'node:crypto'
import { formatDuration, iso } from '../base/time.ts'
import type { DnsSolver } from '../contracts.ts'
import { caaPermission, type Issuer, relevantCaa } from '../dns/caa.ts'
import { lameServers, requireSameZone, zoneError } from '../dns/delegation.ts'
import { locate, serverLabel } from '../dns/locate.ts'
import { awaitPropagation } from '../dns/propagation.ts'
import { type DnsAccess, openLookup } from '../dns/resolve/lookup.ts'
import { endsTooSoon, SIGN_AGAIN, signedUntil, zoneSignatures } from '../dns/signatures.ts'
import { type Finding, fail, looked, ok, warn } from './finding.ts'

/** One name of a certificate, as DNS must be for it. */
export interface CheckedName {
  /** Without `*.`. */
  readonly domain: string
  /** True for its wildcard, false for itself; one or both. */
  readonly wildcards: readonly boolean[]
  readonly solver: DnsSolver
  /** By source: the CAs that the solver works for. */
  readonly issuers: Readonly<Record<string, Issuer>>
  /** Several sources may be asked for the name: each finding says whose it is. */
  readonly isShared: boolean
  readonly access: DnsAccess
  /** Whether a TXT value may be written, seen and removed. */
  readonly write: boolean
}

type Located = Awaited<ReturnType<typeof locate>>

async function zoneFinding({ domain, access }: CheckedName, location: Located): Promise<Finding> {
  const about = { check: 'dns-zone', subject: domain }
  const { name, aliases, zone, servers, nameServers } = location
  const alias = aliases.length === 0 ? '' : ` (by CNAME to ${name})`
  const where = zone === null ? 'the servers of the settings' : `the zone ${zone}`
  const who = servers.length > 0 ? servers.map(serverLabel) : nameServers
  const message = `${where}${alias} at ${who.join(', ') || 'servers that are not known'}`
  const lame = await lameServers(location, access)
  if (lame.length === 0) return ok(about, message)
  const said = lame.map(({ server, why }) => `${serverLabel(server)}: ${why}`).join('; ')
  return warn(about, `${message}; but ${said}`, `Correct the NS records of ${zone}, or mend these servers.`)
}

const BLIND =
  'Set propagation.resolvers to resolvers that validate; without, a broken chain is first seen by the CA.'

/** Of zones that are signed: until when, and whether their resolver would see that the chain of trust is broken. */
async function dnssecFindings(
  { domain, access }: CheckedName,
  location: Located,
): Promise<readonly Finding[]> {
  const about = { check: 'dnssec', subject: domain }
  const now = access.run.clock.now()
  const zones = await zoneSignatures(domain, location, access)
  return Promise.all(
    zones
      .filter(it => it.signatures.length > 0)
      .map(async it => {
        const ending = endsTooSoon(it, now, Number.POSITIVE_INFINITY)
        if (ending !== null) return warn(about, ending, SIGN_AGAIN)
        const signed = `${it.zone} is signed until ${iso(signedUntil(it) ?? now)}`
        if (it.isValidated) return ok(about, `${signed}, and the resolver validates it`)
        const signers = await (await openLookup(access))('DS', it.zone)
        return signers.kind === 'records'
          ? warn(about, `${signed}, but the resolver does not validate`, BLIND)
          : ok(about, `${signed}, and the zone above has no DS record of it`)
      }),
  )
}

/** The zone of the challenge's name, behind aliases, and whether the solver may write there. */
async function zoneFindings(name: CheckedName): Promise<{
  readonly fqdn: string
  readonly findings: readonly Finding[]
}> {
  const { domain, solver, access } = name
  const location = await locate(`_acme-challenge.${domain}.`, access)
  const fqdn = `${location.name}.`
  const delegation = await zoneFinding(name, location)
  const writable = await looked({ check: 'dns-solver', subject: domain }, async () => {
    const zone = await solver.prepare(fqdn, access.run).catch(async error => {
      throw await zoneError(error, location, access)
    })
    await requireSameZone(location, zone, access)
    return ok({ check: 'dns-solver', subject: domain }, 'the solver finds the zone and may work in it')
  })
  const dnssec = await looked({ check: 'dnssec', subject: domain }, () => dnssecFindings(name, location))
  return { fqdn, findings: [delegation, ...dnssec, ...writable] }
}

/** Writes a value that no CA asked for, waits until every server shows it, and removes it. */
async function writeFinding({ domain, solver, access }: CheckedName, fqdn: string): Promise<Finding> {
  const { run } = access
  const about = { check: 'dns-write', subject: domain }
  const value = `iotda-cert-doctor-${randomBytes(16).toString('base64url')}`
  const startedAt = run.clock.now()
  let seen: Awaited<ReturnType<typeof awaitPropagation>>
  try {
    await solver.present(fqdn, value, run)
    seen = await awaitPropagation([{ fqdn, value }], access)
  } finally {
    await solver.cleanUp(fqdn, value, run)
  }
  if (seen.kind === 'suspended')
    return warn(
      about,
      `written and removed, but not seen everywhere: ${seen.why}`,
      access.propagation.check === 'https'
        ? 'Nothing, if the resolver only remembers that there was no value: a rotation waits for that.'
        : 'Raise propagation.within.',
    )
  const took = formatDuration(run.clock.now() - startedAt)
  return ok(about, `a TXT value was written, seen at every server, and removed (${took})`)
}

const whose = ({ isShared }: CheckedName, sources: readonly string[]): string =>
  isShared ? `${sources.join(', ')}: ` : ''

async function caaFindings(name: CheckedName): Promise<readonly Finding[]> {
  const { domain, wildcards, issuers, access } = name
  const relevant = await relevantCaa(domain, access)
  return wildcards.flatMap(isWildcard =>
    Object.entries(issuers).map(([source, issuer]) => {
      const about = { check: 'caa', subject: isWildcard ? `*.${domain}` : domain }
      const verdict = caaPermission(relevant, isWildcard, issuer)
      const why = `${whose(name, [source])}${verdict.why}`
      if (verdict.kind === 'allowed') return ok(about, why)
      if (verdict.kind === 'forbidden') return fail(about, why, verdict.remedy)
      return warn(about, why, 'Make sure that the CA is among these.')
    }),
  )
}

async function solverFindings(name: CheckedName): Promise<readonly Finding[]> {
  let fqdn: string | null = null
  const zone = await looked({ check: 'dns-zone', subject: name.domain }, async () => {
    const found = await zoneFindings(name)
    fqdn = found.fqdn
    return found.findings
  })
  const target: string | null = fqdn
  if (target === null || !name.write || zone.some(it => it.verdict === 'fail')) return zone
  const about = { check: 'dns-write', subject: name.domain }
  return [...zone, ...(await looked(about, () => writeFinding(name, target)))]
}

/** Zone, solver, CAA and, if asked to, a TXT value of one name. */
export async function checkName(name: CheckedName): Promise<readonly Finding[]> {
  const solved = await solverFindings(name)
  const caa = await looked({ check: 'caa', subject: name.domain }, () => caaFindings(name))
  const of = whose(name, Object.keys(name.issuers))
  return [...solved.map(it => ({ ...it, message: `${of}${it.message}` })), ...caa]
}
