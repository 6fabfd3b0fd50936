import { randomBytes } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { Answer, Call, Route } from '../kit/http.ts'
import { account, keyChange, newAccount } from './accounts.ts'
import { certificate, chainsOf, recordCertificate, revokeCert } from './certificates/certificates.ts'
import { createChain, createDoorTls, generateKeys, privateKeyPem } from './certificates/issuing.ts'
import { renewalInfo } from './certificates/renewal-info.ts'
import {
  type AcmeCaOptions,
  type AcmeCaSwitches,
  type CaKeyType,
  offeredProfiles,
  switchesOf,
} from './options.ts'
import { authorization, challenge } from './orders/authorizations.ts'
import { finalize, newOrder, order, ordersOf } from './orders/orders.ts'
import type { Ca, RenewalOverride, State } from './state.ts'
import {
  type AccountView,
  accountsView,
  type IssuedCertificate,
  issuedView,
  type OrderView,
  ordersView,
} from './views.ts'
import { createDoors } from './wire/doors.ts'
import { createVerifier, requireEmpty } from './wire/jws.ts'
import { createNonces, type Nonces } from './wire/nonces.ts'
import { fail, ProblemError, problemAnswer } from './wire/problems.ts'

export type { AcmeCaOptions, AcmeCaSwitches, CaKeyType } from './options.ts'
export type { RenewalOverride, RenewalWindow } from './state.ts'
export type { AccountView, IssuedCertificate, OrderView } from './views.ts'

/** What `issue` needs to know. */
export interface IssueOptions {
  readonly notBefore: Date
  readonly notAfter: Date
  /** Default rsa-2048. */
  readonly keyType?: CaKeyType
  /** The account that is to own it, so that its order may say `replaces`. Default none. */
  readonly accountUrl?: string
}

/** A running CA. */
export interface AcmeCa {
  /** Changes when it moves, as all others. */
  readonly url: string
  readonly directoryUrl: string
  /** What clients must trust to talk to the CA; empty without TLS. */
  readonly caPem: string
  /** Root of the issued chains; the old one of two. */
  readonly rootPem: string
  /** The new root of a CA with two generations. */
  readonly newRootPem: string | null
  /** From the issuer of leaves towards the root. */
  readonly intermediatePems: readonly string[]
  readonly issued: readonly IssuedCertificate[]
  readonly orders: readonly OrderView[]
  readonly accounts: readonly AccountView[]
  /** May be changed at any time. */
  readonly options: AcmeCaSwitches
  /** Sets, or with null removes, the answer of renewalInfo for a CertID or a serial. */
  setRenewalInfo(certIdOrSerial: string, override: RenewalOverride | null): void
  /** Issues without ACME: for certificates that exist before a test begins. */
  issue(names: readonly string[], options: IssueOptions): Promise<{ certPem: string; keyPem: string }>
  /** As a person does who follows the link of a paused account. */
  unpause(): void
  /** From now on issues below another root, or (with 2) below a new one that another old one has cross-signed. */
  changeRoot(generations: 1 | 2): Promise<void>
  /** Loses every order, as a CA that is restored from a backup. */
  loseOrders(): void
  /**
   * Moves to another address, accounts and certificates included. The old one answers everything with this status
   * (a redirect names the new place), or with null nothing any more.
   */
  move(old: 301 | 308 | 404 | null): Promise<void>
  dispose(): Promise<void>
}

const directoryBody = (ca: Ca, randomKey: string): object => ({
  newNonce: ca.url('/new-nonce'),
  newAccount: ca.url('/new-account'),
  newOrder: ca.url('/new-order'),
  revokeCert: ca.url('/revoke-cert'),
  keyChange: ca.url('/key-change'),
  renewalInfo: ca.url('/renewal-info'),
  [randomKey]: 'https://sandbox-ca.test/adding-random-entries-to-the-directory',
  meta: {
    termsOfService: ca.url('/terms/v1'),
    website: 'https://sandbox-ca.test',
    caaIdentities: ca.switches.caaIdentities,
    ...(ca.switches.profiles && { profiles: offeredProfiles(ca.switches) }),
    externalAccountRequired: ca.switches.eabRequired,
  },
})

type Handler = (ca: Ca, call: Call) => Answer | Promise<Answer>

/** What GET answers, also to a POST-as-GET (RFC 8555 section 6.3). */
const asGet =
  (answer: () => Answer): Handler =>
  async (ca, call) => {
    requireEmpty(await ca.verify(call, 'kid'))
    return answer()
  }

const TERMS: Answer = {
  status: 200,
  headers: { 'content-type': 'text/html; charset=utf-8' },
  body: '<!doctype html><title>Terms</title><p>Certificates of this CA are for tests.</p>',
}

const routesOf = (ca: Ca): readonly Route[] => {
  const randomKey = randomBytes(8).toString('base64url')
  const route = (method: string, path: string, operation: string, handler: Handler): Route => ({
    method,
    path,
    operation,
    handle: async call => {
      try {
        return await handler(ca, call)
      } catch (error) {
        if (error instanceof ProblemError) return problemAnswer(error)
        return problemAnswer(fail('serverInternal', 500, String((error as Error).stack)))
      }
    },
  })
  const nonceAnswer = (status: number) => () => ({ status, headers: { 'cache-control': 'no-store' } })
  const directory = () => ({ status: 200, body: directoryBody(ca, randomKey) })
  return [
    route('GET', '/directory', 'Directory', directory),
    route('HEAD', '/directory', 'Directory', directory),
    route('POST', '/directory', 'Directory', asGet(directory)),
    route('HEAD', '/new-nonce', 'NewNonce', nonceAnswer(200)),
    route('GET', '/new-nonce', 'NewNonce', nonceAnswer(204)),
    route('POST', '/new-nonce', 'NewNonce', asGet(nonceAnswer(204))),
    route('GET', '/terms/v1', 'TermsOfService', () => TERMS),
    route('POST', '/new-account', 'NewAccount', newAccount),
    route('POST', '/accounts/:id', 'Account', account),
    route('POST', '/accounts/:id/orders', 'Orders', ordersOf),
    route('POST', '/new-order', 'NewOrder', newOrder),
    route('POST', '/orders/:id', 'Order', order),
    route('POST', '/orders/:id/finalize', 'Finalize', finalize),
    route('POST', '/authorizations/:id', 'Authorization', authorization),
    route('POST', '/challenges/:id/:key', 'Challenge', challenge),
    route('POST', '/certificates/:id', 'Certificate', certificate),
    route('POST', '/certificates/:id/:alternate', 'AlternateCertificate', certificate),
    route('POST', '/revoke-cert', 'RevokeCert', revokeCert),
    route('POST', '/key-change', 'KeyChange', keyChange),
    route('GET', '/renewal-info/:certId', 'RenewalInfo', renewalInfo),
  ]
}

/** RFC 8555 sections 6.5 and 7.1: a nonce with each POST answer, the index link everywhere else than itself. */
const commonHeaders =
  (ca: Ca, nonces: Nonces) =>
  (call: Call, operation: string): Record<string, string> => ({
    ...(operation !== 'Directory' && { link: `<${ca.url('/directory')}>;rel="index"` }),
    ...((call.method === 'POST' || operation === 'NewNonce') && { 'replay-nonce': nonces.fresh() }),
  })

const retryAfterOf = (switches: AcmeCaSwitches, now: () => number): (() => Record<string, string>) => {
  let count = 0
  return () => {
    const { retryAfter: form, retryAfterSeconds: seconds } = switches
    if (form === null) return {}
    count += 1
    const asDate = form === 'date' || (form === 'alternate' && count % 2 === 0)
    return { 'retry-after': asDate ? new Date(now() + seconds * 1000).toUTCString() : String(seconds) }
  }
}

const notFound =
  (routes: readonly Route[]) =>
  (call: Call): Answer => {
    const [, first] = call.path.split('/')
    const known = routes.some(route => route.path.split('/')[1] === first && route.method !== call.method)
    if (known && !routes.some(r => r.path.split('/')[1] === first && r.method === call.method))
      return problemAnswer(fail('malformed', 405, 'Method not allowed'))
    return problemAnswer(fail('malformed', 404, 'No such resource'))
  }

const createState = (): State => ({
  accounts: [],
  authorizations: [],
  orders: [],
  certificates: [],
  failures: [],
  failuresInRow: new Map(),
  pausedNames: new Set(),
  renewalOverrides: new Map(),
})

const issueDirectly = async (ca: Ca, names: readonly string[], options: IssueOptions) => {
  const keys = await generateKeys(options.keyType ?? 'rsa-2048')
  const leaf = await ca.chain.issue({
    publicKey: await x509.PublicKey.create(keys.publicKey),
    names,
    notBefore: options.notBefore,
    notAfter: options.notAfter,
    commonName: ca.switches.commonName ? (names.find(name => name.length < 64) ?? null) : null,
    subjectKeyIdentifier: true,
    keyEncipherment: true,
  })
  recordCertificate(ca, leaf, options.accountUrl ?? null, null)
  return { certPem: chainsOf(ca, leaf)[0] ?? leaf.pem, keyPem: privateKeyPem(keys) }
}

const setRenewalInfo = (ca: Ca, certIdOrSerial: string, override: RenewalOverride | null): void => {
  const serial = certIdOrSerial.toUpperCase()
  const known = ca.state.certificates.find(c => c.serial === serial)
  const certId = known?.certId ?? certIdOrSerial
  if (override === null) ca.state.renewalOverrides.delete(certId)
  else ca.state.renewalOverrides.set(certId, override)
}

const keyTypeOf = ({ keyAlgorithm = 'rsa-2048' }: AcmeCaOptions): CaKeyType => keyAlgorithm

const handleOf = (
  ca: Ca,
  caPem: string,
  options: AcmeCaOptions,
  door: Pick<AcmeCa, 'move' | 'dispose'>,
): AcmeCa => ({
  get url() {
    return ca.url('')
  },
  get directoryUrl() {
    return ca.url('/directory')
  },
  caPem,
  get rootPem() {
    return ca.chain.rootPem
  },
  get newRootPem() {
    return ca.chain.successor?.rootPem ?? null
  },
  get intermediatePems() {
    return ca.chain.intermediatePems
  },
  get issued() {
    return issuedView(ca)
  },
  get orders() {
    return ordersView(ca)
  },
  get accounts() {
    return accountsView(ca)
  },
  options: ca.switches,
  setRenewalInfo: (certIdOrSerial, override) => setRenewalInfo(ca, certIdOrSerial, override),
  issue: (names, issueOptions) => issueDirectly(ca, names, issueOptions),
  unpause: () => {
    ca.state.pausedNames.clear()
    ca.state.failuresInRow.clear()
  },
  changeRoot: async generations => {
    const keyType = keyTypeOf(options)
    ca.chain = await createChain({ keyType, length: options.chainLength ?? 1, generations }, ca.now())
  },
  loseOrders: () => {
    ca.state.orders.length = 0
  },
  ...door,
})

/** A certificate authority on loopback that any ACME client can use (RFC 8555, RFC 9773, profiles). */
export async function createAcmeCa(options: AcmeCaOptions): Promise<AcmeCa> {
  const now = options.now ?? Date.now
  const switches = switchesOf(options)
  const nonces = createNonces(switches)
  const state = createState()
  const abort = new AbortController()
  const [chain, door] = await Promise.all([
    createChain(
      {
        keyType: keyTypeOf(options),
        length: options.chainLength ?? 1,
        generations: options.generations ?? 1,
      },
      now(),
    ),
    (options.tls ?? true) ? createDoorTls() : null,
  ])
  let current = (): string => ''
  const url = (path: string) => `${current()}${path}`
  const requestUrl = (call: Call) => url(call.target)
  const verify = createVerifier(state.accounts, nonces, requestUrl)
  const retryAfter = retryAfterOf(switches, now)
  const ca: Ca = { now, url, switches, state, chain, verify, signal: abort.signal, retryAfter, requestUrl }
  const routes = routesOf(ca)
  const shared = {
    ...{ service: 'acme', faults: options.faults, routes },
    ...{ headers: commonHeaders(ca, nonces), notFound: notFound(routes) },
    ...(door && { tls: { key: door.key, cert: door.cert } }),
  }
  const doors = await createDoors(ca, shared, options.port)
  current = doors.current
  return handleOf(ca, door?.caPem ?? '', options, {
    move: doors.move,
    dispose: async () => {
      abort.abort()
      await doors.dispose()
    },
  })
}
