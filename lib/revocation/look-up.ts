import type { X509Certificate } from 'node:crypto'
import { inParallel } from '../base/parallel.ts'
import { abortAfter, HOUR_MS, iso, MINUTE_MS, SECOND_MS } from '../base/time.ts'
import type { DriverContext, Run } from '../contracts.ts'
import { EXTENSION, extensionElements, leafOf, parseChain, type Tlv, tlvs } from '../x509/certificate.ts'
import { isSelfIssued } from '../x509/details.ts'
import { parseRoots } from '../x509/path.ts'
import { isSignedBy, openBudget, type SignatureBudget } from '../x509/signed-by.ts'
import { fetchList, type Sought } from './fetch-list.ts'
import { readRevocation, type Said } from './list.ts'

/** What the lists named in a chain say of it. */
export interface Revocation {
  /** One sentence for each certificate that was revoked; empty: none, as far as is known. */
  readonly revoked: readonly string[]
  /** Why nothing is known of others: a note, never an objection. */
  readonly unknown: readonly string[]
  /** Certificates of which a list says that they are not revoked. */
  readonly good: number
}

/** What is needed for it. */
export interface Asking {
  /** PEM of the roots that devices hold; null: Node's. */
  readonly trustedRoots: string | null
  readonly http: DriverContext['http']
  readonly run: Pick<Run, 'clock' | 'signal'>
}

const ALL_MS = 6 * SECOND_MS
const REMEMBERED_MS = HOUR_MS
const UNKNOWN_MS = 5 * MINUTE_MS
const REMEMBERED_AT_MOST = 200
const URLS_AT_MOST = 2
/** A list may have ten megabytes, and a function has little memory; a leaf and its intermediate are two. */
const AT_ONCE = 2
const URI = 0x86

interface Remembered {
  readonly said: Said
  readonly until: number
}

/** By URL, certificate and issuer, in this process: targets share intermediates, and a function stays warm. */
const remembered = new Map<string, Remembered>()

const uris = (all: readonly Tlv[]): readonly string[] =>
  all.flatMap(({ tag, content }) => {
    if (tag === URI) return [content.toString('latin1')]
    return (tag & 0x20) === 0 ? [] : uris(tlvs(content))
  })

/** Where the lists are that a certificate may stand in (RFC 5280 section 4.2.1.13); not those of LDAP. */
function listUrls(certificate: X509Certificate): readonly string[] {
  try {
    const points = extensionElements(certificate, EXTENSION.crlDistributionPoints) ?? []
    return uris(points)
      .filter(url => /^http:/i.test(url))
      .slice(0, URLS_AT_MOST)
  } catch {
    return []
  }
}

const hasList = ({ certificate }: Link): boolean => listUrls(certificate).length > 0

interface Link {
  readonly certificate: X509Certificate
  readonly issuer: X509Certificate
}

const issuerOf = (
  certificate: X509Certificate,
  known: readonly X509Certificate[],
  budget: SignatureBudget,
): X509Certificate | undefined =>
  known.find(ca => ca !== certificate && certificate.checkIssued(ca) && isSignedBy(certificate, ca, budget))

/** Only of certificates that lead to a root: of others anybody may have written what they name. */
function linksOf(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): readonly Link[] {
  const budget = openBudget()
  const links: Link[] = []
  const trusted = [...roots]
  for (let left = [...chain]; left.length > 0; ) {
    const found = left.flatMap(certificate => {
      const issuer = issuerOf(certificate, trusted, budget)
      return issuer ? [{ certificate, issuer }] : []
    })
    if (found.length === 0) break
    links.push(...found.filter(({ certificate }) => !isSelfIssued(certificate)))
    trusted.push(...found.map(it => it.certificate))
    left = left.filter(it => !trusted.includes(it))
  }
  return links
}

/** A public CA keeps its lists where everybody can get them. */
function isPrivate(links: readonly Link[]): boolean {
  const everybodys = new Set(parseRoots(null).map(it => it.fingerprint256))
  return !links.some(({ issuer }) => everybodys.has(issuer.fingerprint256))
}

async function saidAt(url: string, { certificate, issuer }: Link, reach: Sought, now: number): Promise<Said> {
  const key = `${url} ${certificate.fingerprint256} ${issuer.fingerprint256}`
  const before = remembered.get(key)
  if (before && now < before.until) return before.said
  const said = await fetchList(url, reach).then(
    der => readRevocation(der, certificate, issuer, { url, now }),
    (thrown: Error): Said => ({ kind: 'unusable', why: thrown.message }),
  )
  if (remembered.size >= REMEMBERED_AT_MOST) remembered.clear()
  const until = said.kind === 'unusable' ? now + UNKNOWN_MS : Math.min(now + REMEMBERED_MS, said.until)
  if (!reach.signal.aborted) remembered.set(key, { said, until })
  return said
}

interface Found {
  readonly kind: keyof Revocation
  readonly text: string
}

async function lookAt(link: Link, reach: Sought, now: number): Promise<Found | null> {
  const { subject, serial } = leafOf(link.certificate)
  const what = `${link.certificate.ca ? 'the intermediate' : 'the certificate'} "${subject}" (${serial})`
  const failures: string[] = []
  for (const url of listUrls(link.certificate)) {
    const said = await saidAt(url, link, reach, now)
    if (said.kind === 'good') return { kind: 'good', text: what }
    if (said.kind === 'revoked')
      return { kind: 'revoked', text: `${what} was revoked at ${iso(said.at)} (${said.reason}), says ${url}` }
    failures.push(`${url}: ${said.why}`)
  }
  return failures.length === 0
    ? null
    : { kind: 'unknown', text: `whether ${what} was revoked is not known: ${failures.join('; ')}` }
}

/**
 * Asks the revocation lists that the certificates of a chain name, two at once and for a few seconds: of the leaf and
 * of every intermediate that leads to a root. What is not known is no objection. Never throws.
 */
export async function lookUpRevocation(chainPem: string, asking: Asking): Promise<Revocation> {
  const { trustedRoots, http, run } = asking
  const limit = abortAfter(ALL_MS, run.signal)
  try {
    const chain = linksOf(parseChain(chainPem), parseRoots(trustedRoots))
    const links = chain.filter(hasList)
    if (links.length === 0) return { revoked: [], unknown: [], good: 0 }
    const reach = { http: http(null), isPrivate: isPrivate(chain), signal: limit.signal }
    const now = run.clock.now()
    const all = await inParallel(links, AT_ONCE, link => lookAt(link, reach, now))
    const found = all.flatMap(it => it ?? [])
    const of = (kind: keyof Revocation): readonly string[] =>
      found.filter(it => it.kind === kind).map(it => it.text)
    return { revoked: of('revoked'), unknown: of('unknown'), good: of('good').length }
  } catch (thrown) {
    return { revoked: [], unknown: [(thrown as Error).message], good: 0 }
  } finally {
    limit.clear()
  }
}
