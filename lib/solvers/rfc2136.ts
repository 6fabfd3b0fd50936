import { randomInt } from 'node:crypto'
import * as v from 'valibot'
import { propagationField, secretField, serverField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { stopped } from '../base/stopped.ts'
import { type DriverContext, defineSolver, type Run, type SolverZone } from '../contracts.ts'
import { bareName, checkName } from '../dns/name.ts'
import { type DnsServer, exchange } from '../dns/resolve/exchange.ts'
import {
  CLASS,
  type DnsMessage,
  type DnsRequest,
  decodeMessage,
  encodeRequest,
  encodeTxt,
  OPCODE,
  type ResourceRecord,
  TYPE,
} from '../dns/resolve/message.ts'
import { serverAddresses } from '../dns/resolve/server-address.ts'
import { signMessage, TSIG_ALGORITHMS, type TsigKey, type TsigStatus, verifyAnswer } from '../dns/tsig.ts'
import { repeated } from '../http/repeat.ts'
import type { ErrorCode } from '../model/errors.ts'
import { ttlField } from './shared/fields.ts'
import { inTurn } from './shared/turns.ts'

const settings = v.strictObject({
  /** The primary server of the zones, `host` or `host:port`. @example "192.0.2.53:53" */
  server: serverField(),
  /** The name of the TSIG key, as the server knows it. @example "acme-update" */
  keyName: v.pipe(v.string('must be the name of a key'), v.minLength(1, 'must not be empty')),
  /** Base64, as `tsig-keygen` prints it. */
  keySecret: secretField(),
  /** Of the TSIG key. */
  algorithm: v.optional(
    v.picklist(TSIG_ALGORITHMS, `must be ${TSIG_ALGORITHMS.join(' or ')}`),
    'hmac-sha256',
  ),
  /** Of updates. */
  transport: v.optional(v.picklist(['tcp', 'udp'], 'must be tcp or udp'), 'tcp'),
  /** Seconds. */
  ttl: ttlField(60),
  /** How the value is awaited before the CA is told. */
  propagation: propagationField(),
})
type Settings = v.InferOutput<typeof settings>

const DNS_PORT = 53
const RCODE = { noError: 0, nxDomain: 3, refused: 5, notAuth: 9 } as const

interface Api {
  readonly driver: string
  readonly key: TsigKey
  readonly server: (call: string) => Promise<DnsServer>
}

// --- what an answer means ----------------------------------------------------------------------------------

const RCODES: Readonly<Record<number, readonly [name: string, code: ErrorCode]>> = {
  1: ['FORMERR', 'service-refused'],
  2: ['SERVFAIL', 'unavailable'],
  3: ['NXDOMAIN', 'service-refused'],
  4: ['NOTIMP', 'service-refused'],
  5: ['REFUSED', 'forbidden'],
  6: ['YXDOMAIN', 'service-refused'],
  7: ['YXRRSET', 'service-refused'],
  8: ['NXRRSET', 'service-refused'],
  9: ['NOTAUTH', 'solver-zone-missing'],
  10: ['NOTZONE', 'solver-zone-missing'],
}

const HINTS: Readonly<Record<string, string>> = {
  FORMERR: 'The server does not understand dynamic updates (RFC 2136).',
  SERVFAIL: 'Look at the log of the name server; it must be able to write the zone.',
  NOTIMP: 'The server takes no dynamic updates for this zone: set allow-update or update-policy.',
  REFUSED: 'Let the key update the zone: allow-update or update-policy in BIND, acl in Knot.',
  YXRRSET: 'The name is an alias (CNAME): delegate it on purpose, or delete that record.',
  NOTAUTH: 'The server is not the primary server of the zone.',
  NOTZONE: 'The name is not in the zone.',
}

const KEY_HINTS: Readonly<Record<string, string>> = {
  BADTIME: 'Check the clocks of this machine and of the server: they may be five minutes apart.',
  BADKEY: 'The server knows no key of that name and algorithm: check keyName and algorithm.',
  BADSIG: 'Check keySecret and algorithm: the server has another secret for keyName.',
}

const rcodeError = (call: string, rcode: number): RotationError => {
  const [name, code] = RCODES[rcode] ?? [`rcode ${rcode}`, 'service-refused']
  const hint = HINTS[name]
  return new RotationError(code, `${call} answered ${name}`, {
    cause: { rcode },
    retry: code === 'unavailable' ? 'now' : 'never',
    ...(hint === undefined ? {} : { hint }),
  })
}

const requireAccepted = (
  call: string,
  { rcode }: DnsMessage,
  verdict: TsigStatus,
  accepted: readonly number[],
): void => {
  if (verdict.kind === 'refused') {
    const hint = KEY_HINTS[verdict.error] ?? 'Check keyName, keySecret and algorithm.'
    const message = `${call} answered ${verdict.error}: the TSIG signature is refused`
    throw new RotationError('unauthorized', message, { retry: 'never', hint })
  }
  if (!accepted.includes(rcode)) throw rcodeError(call, rcode)
  if (verdict.kind === 'verified') return
  throw new RotationError('unavailable', `${call}: the TSIG signature of the answer is ${verdict.kind}`, {
    retry: 'never',
    hint: 'Something between here and the server changes answers, or it does not sign them.',
  })
}

// --- messages ----------------------------------------------------------------------------------------------

interface Request extends Omit<DnsRequest, 'id'> {
  /** What it is about, for messages. */
  readonly what: string
  /** Response codes that are no error. */
  readonly accepted: readonly number[]
}

async function send(api: Api, { what, accepted, ...request }: Request, run: Run): Promise<DnsMessage> {
  const call = `${api.driver}: ${what}`
  if (run.signal.aborted) throw stopped(run, call)
  const server = await api.server(call)
  const id = randomInt(0x10000)
  const { message, mac } = signMessage(encodeRequest({ ...request, id }), api.key, run.clock.now())
  const ask = (over: DnsServer): Promise<Buffer> =>
    exchange(over, message, call, run.signal).catch(error => {
      throw run.signal.aborted ? stopped(run, call) : error
    })
  let received = await ask(server)
  if (decodeMessage(received)?.isTruncated) received = await ask({ ...server, transport: 'tcp' })
  const answer = decodeMessage(received)
  if (!answer?.isResponse || answer.id !== id)
    throw new RotationError('unavailable', `${call}: the answer of ${server.label} is no DNS answer to it`)
  requireAccepted(call, answer, verifyAnswer(received, answer, api.key, mac, run.clock.now()), accepted)
  return answer
}

const noZone = ({ driver }: Api, fqdn: string, cause?: RotationError): RotationError => {
  const message = `${driver}: SOA of ${fqdn}: the server is authoritative for no zone that holds it`
  return new RotationError('solver-zone-missing', message, {
    cause,
    retry: 'never',
    hint: 'Check the server of the solver: it must be the primary server of the zone, and answer queries from here.',
  })
}

/** The zone of a name, or `alias` when that is one, which says nothing about its own zone. */
async function zoneAt(api: Api, name: string, fqdn: string, run: Run): Promise<string | 'alias'> {
  const what = `SOA of ${name}.`
  const question = { name, type: TYPE.SOA }
  const request = { what, opcode: OPCODE.query, question, accepted: [RCODE.noError, RCODE.nxDomain] }
  const ask = (): Promise<DnsMessage> =>
    send(api, request, run).catch(error => {
      const { rcode } = ((error as RotationError).cause as { rcode?: number } | undefined) ?? {}
      // How servers answer for a zone they do not serve.
      throw rcode === RCODE.refused || rcode === RCODE.notAuth ? noZone(api, fqdn, error) : error
    })
  const { isAuthoritative, records } = await repeated(run, `${api.driver}: ${what}`, ask)
  if (!isAuthoritative) throw noZone(api, fqdn)
  if (records.some(it => it.type === TYPE.CNAME && it.name === name)) return 'alias'
  const holds = (zone: string): boolean => name === zone || name.endsWith(`.${zone}`)
  const soa = records.find(it => it.type === TYPE.SOA && holds(it.name))
  if (soa) return soa.name
  throw noZone(api, fqdn)
}

/** The zone, by the SOA record that comes with any answer of its authority (RFC 2308 section 3). */
async function findZone(api: Api, fqdn: string, run: Run): Promise<string> {
  checkName(fqdn, api.driver)
  for (let name = bareName(fqdn); name !== ''; name = name.split('.').slice(1).join('.')) {
    const zone = await zoneAt(api, name, fqdn, run)
    if (zone !== 'alias') return zone
  }
  throw noZone(api, fqdn)
}

/** One update of a zone, whose name it gives; to repeat it does no harm. https://www.rfc-editor.org/rfc/rfc2136#section-3 */
async function update(
  api: Api,
  fqdn: string,
  records: Pick<DnsRequest, 'prerequisites' | 'updates'>,
  run: Run,
): Promise<string> {
  const zone = await findZone(api, fqdn, run)
  const what = `UPDATE of ${fqdn} in ${zone}`
  const question = { name: zone, type: TYPE.SOA }
  const request = { what, opcode: OPCODE.update, question, accepted: [RCODE.noError], ...records }
  await repeated(run, `${api.driver}: ${what}`, () => send(api, request, run))
  return zone
}

const txtRecord = (fqdn: string, value: string) => ({
  name: bareName(fqdn),
  type: TYPE.TXT,
  data: encodeTxt(value),
})

/** There must be no CNAME: a server passes over a TXT record for such a name without a word (RFC 2136 section 3.4.2.2). */
const noAlias = (fqdn: string): ResourceRecord => ({
  name: bareName(fqdn),
  type: TYPE.CNAME,
  class: CLASS.NONE,
  ttl: 0,
  data: new Uint8Array(),
})

const create = (config: Settings, context: DriverContext) => {
  const { server, keyName, keySecret, algorithm, transport, ttl, propagation } = config
  const driver = `solver ${context.name} (rfc2136)`
  const api: Api = {
    driver,
    key: { name: bareName(keyName), algorithm, secret: keySecret },
    server: async call => {
      const [first] = await serverAddresses(server, DNS_PORT).catch((error: RotationError) => {
        const hint = 'Check the server of the solver.'
        throw new RotationError(error.code, `${call}: ${error.message}`, { cause: error.cause, hint })
      })
      if (first) return { ...first, label: server, transport }
      throw new RotationError('unreachable', `${call}: ${server} has no address`)
    },
  }
  const queued = (fqdn: string, records: Parameters<typeof update>[2], run: Run): Promise<void> =>
    inTurn(`rfc2136 ${server} ${bareName(fqdn)}`, `${driver}: UPDATE of ${fqdn}`, run, async () => {
      await update(api, fqdn, records, run)
    })
  return {
    propagation,
    // An update without changes shows that the key may update the zone.
    prepare: async (fqdn: string, run: Run): Promise<SolverZone> => {
      const name = await update(api, fqdn, { prerequisites: [noAlias(fqdn)] }, run)
      return { name, nameServers: [] }
    },
    present: (fqdn: string, value: string, run: Run): Promise<void> => {
      const added = { ...txtRecord(fqdn, value), class: CLASS.IN, ttl }
      return queued(fqdn, { prerequisites: [noAlias(fqdn)], updates: [added] }, run)
    },
    cleanUp: (fqdn: string, value: string, run: Run): Promise<void> => {
      const removed = { ...txtRecord(fqdn, value), class: CLASS.NONE, ttl: 0 }
      return queued(fqdn, { updates: [removed] }, run)
    },
  }
}

/**
 * Dynamic updates of a name server of one's own (BIND, Knot, PowerDNS), signed with TSIG. A
 * record is added and removed by its value, so that other people's are never touched. The answers' signatures are
 * verified. https://www.rfc-editor.org/rfc/rfc2136 https://www.rfc-editor.org/rfc/rfc8945
 * @throws RotationError `solver-zone-missing`, `unauthorized` (the signature is refused), `forbidden` (the key may
 *   not update), `unreachable`, `unavailable`, `service-refused`, `out-of-time`
 */
export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://www.rfc-editor.org/rfc/rfc2136',
    says: 'dynamic updates with TSIG: `server`, `keyName`, `keySecret`; `algorithm`, `transport`',
  },
})
