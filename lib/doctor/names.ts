import { randomBytes } from 'node:crypto'
import type { CaaRecord } from 'node:dns'
import { formatDuration } from '../base/time.ts'
import type { DnsSolver, PropagationSettings, Run } from '../contracts.ts'
import { locate, serverLabel } from '../dns/authorities.ts'
import { awaitPropagation } from '../dns/propagation.ts'
import { ask, serverAddresses, serverText } from '../dns/question.ts'
import { type Finding, fail, looked, ok, warn } from './finding.ts'

/** One name of a certificate, as DNS must be for it. */
export interface NamePatient {
  /** Without `*.`. */
  readonly domain: string
  readonly isWildcard: boolean
  readonly solver: DnsSolver
  /** How the CA calls itself in CAA records; empty: it does not say. */
  readonly caaIdentities: readonly string[]
  readonly run: Run
  /** Whether a TXT value may be written, seen and removed. */
  readonly write: boolean
}

const DNS_PORT = 53

/** The zone of the challenge's name, behind aliases, and whether the solver may write there. */
async function zoneFindings({ domain, solver, run }: NamePatient): Promise<{
  readonly fqdn: string
  readonly findings: readonly Finding[]
}> {
  const asked = `_acme-challenge.${domain}.`
  const { name, zone, servers } = await locate(asked, solver.propagation, run)
  const alias = `${name}.` === asked ? '' : ` (by CNAME to ${name})`
  const where = zone === null ? 'the servers of the settings' : `the zone ${zone}`
  const message = `${where}${alias} at ${servers.map(serverLabel).join(', ')}`
  const delegation = ok({ check: 'dns-zone', subject: domain }, message)
  const writable = await looked({ check: 'dns-solver', subject: domain }, async () => {
    await solver.prepare(`${name}.`, run)
    return ok({ check: 'dns-solver', subject: domain }, 'the solver finds the zone and may work in it')
  })
  return { fqdn: `${name}.`, findings: [delegation, ...writable] }
}

/** Writes a value that no CA asked for, waits until every server shows it, and removes it. */
async function writeFinding({ domain, solver, run }: NamePatient, fqdn: string): Promise<Finding> {
  const about = { check: 'dns-write', subject: domain }
  const value = `iotda-cert-doctor-${randomBytes(16).toString('base64url')}`
  const startedAt = run.clock.now()
  let seen: Awaited<ReturnType<typeof awaitPropagation>>
  try {
    await solver.present(fqdn, value, run)
    seen = await awaitPropagation([{ fqdn, value }], solver.propagation, run)
  } finally {
    await solver.cleanUp(fqdn, value, run)
  }
  if (seen.kind === 'suspended')
    return warn(
      about,
      `written and removed, but not seen everywhere: ${seen.why}`,
      'Raise propagation.within.',
    )
  const took = formatDuration(run.clock.now() - startedAt)
  return ok(about, `a TXT value was written, seen at every server, and removed (${took})`)
}

type Caa = CaaRecord & { readonly issue?: string; readonly issuewild?: string }

const resolversOf = async ({ resolvers }: PropagationSettings): Promise<readonly string[] | null> => {
  if (resolvers.length === 0) return null
  const found = await Promise.all(resolvers.map(server => serverAddresses(server, DNS_PORT)))
  return found.flat().map(({ address, port }) => serverText(address, port))
}

/** The records that count for a name: those of the nearest name above that has any (RFC 8659 section 3). */
async function caaRecords({
  domain,
  solver,
  run,
}: NamePatient): Promise<{ at: string; records: readonly Caa[] } | null> {
  const resolvers = await resolversOf(solver.propagation)
  // Not up to the top: no registry says who may issue for everybody.
  for (let at = domain; at.includes('.'); at = at.split('.').slice(1).join('.')) {
    const said = await ask(resolvers, resolver => resolver.resolveCaa(at) as Promise<readonly Caa[]>, run)
    if (said.kind === 'records' && said.records.length > 0) return { at, records: said.records }
    if (said.kind === 'failed') throw new Error(`CAA of ${at}: ${said.why}`)
  }
  return null
}

async function caaFinding(patient: NamePatient): Promise<Finding> {
  const { domain, isWildcard, caaIdentities } = patient
  const about = { check: 'caa', subject: domain }
  const found = await caaRecords(patient)
  const wild = isWildcard && found?.records.some(it => it.issuewild !== undefined)
  const issuers = (found?.records ?? [])
    .map(it => (wild ? it.issuewild : it.issue))
    .filter(it => it !== undefined)
    .map(it => it.split(';')[0]?.trim().toLowerCase() ?? '')
  if (found === null || issuers.length === 0) return ok(about, 'no CAA record stands in the way')
  const said = `CAA of ${found.at} allows ${issuers.filter(it => it !== '').join(', ') || 'nobody'}`
  if (caaIdentities.length === 0)
    return warn(about, said, 'The CA does not say its name for CAA: make sure that it is among these.')
  if (issuers.some(it => caaIdentities.includes(it))) return ok(about, `${said}, which includes the CA`)
  const wanted = caaIdentities.map(it => `0 ${wild ? 'issuewild' : 'issue'} "${it}"`).join(' or ')
  return fail(
    about,
    `${said}, but not ${caaIdentities.join(' or ')}`,
    `Add a CAA record to ${found.at}: ${wanted}.`,
  )
}

/** Zone, solver, CAA and, if asked to, a TXT value of one name. */
export async function examineName(patient: NamePatient): Promise<readonly Finding[]> {
  let fqdn: string | null = null
  const zone = await looked({ check: 'dns-zone', subject: patient.domain }, async () => {
    const found = await zoneFindings(patient)
    fqdn = found.fqdn
    return found.findings
  })
  const caa = await looked({ check: 'caa', subject: patient.domain }, () => caaFinding(patient))
  const isWritable = zone.every(it => it.verdict === 'ok')
  if (fqdn === null || !patient.write || !isWritable) return [...zone, ...caa]
  const target = fqdn
  const written = await looked({ check: 'dns-write', subject: patient.domain }, () =>
    writeFinding(patient, target),
  )
  return [...zone, ...caa, ...written]
}
