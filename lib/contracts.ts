/**
 * The four plugs. A driver is one file that exports `define…({ settings, create })` by default.
 *
 * For all of them: a method MUST throw a RotationError whose message names the driver and the call, MUST stop
 * when `run.signal` is aborted, MUST NOT read the environment, files it was not given, or the clock, and MUST
 * NOT write a secret anywhere but to the service it is meant for. Methods MAY be called again after any crash.
 */
import type { GenericSchema, InferOutput } from 'valibot'
import type { Log } from './base/log.ts'
import type { Limit } from './base/pace.ts'
import type { Secret } from './base/secret.ts'
import type { Clock } from './base/time.ts'
import type { Http } from './http/http.ts'
import type { CertificateSpec, Leaf, RenewalInfo, RevocationReason } from './model/certificate.ts'
import type { AlertEvent } from './model/events.ts'

/** AK/SK of Huawei Cloud, with the security token of temporary ones. */
export interface HuaweiKeys {
  readonly accessKey: Secret
  readonly secretKey: Secret
  readonly securityToken: Secret | null
}

/** What every call of one run shares. */
export interface Run {
  readonly runId: string
  readonly clock: Clock
  readonly log: Log
  /** The run must have answered by then (milliseconds since the epoch). */
  readonly deadline: number
  /** Aborted when the run must stop at once. */
  readonly signal: AbortSignal
}

/** What a driver may be built from. */
export interface DriverContext {
  /** The name in the settings, for messages. */
  readonly name: string
  /**
   * An HTTP client that trusts these roots, or Node's when null. `limit`: what the service documents; `of` names whom
   * it is for, where several at one address have as much each.
   */
  readonly http: (caCertificates: string | null, limit?: Limit & { readonly of?: string }) => Http
  readonly clock: Clock
  readonly log: Log
  /** Current keys of a `credentials` entry; asked again for each call, since they may be temporary. */
  readonly huaweiKeys: (credentials: string) => Promise<HuaweiKeys>
}

export interface Driver<Schema extends GenericSchema, Context, Made> {
  /** Validates the driver's own settings, without `type`. */
  readonly settings: Schema
  readonly create: (settings: InferOutput<Schema>, context: Context) => Made
  /** Its line in docs/: what it is, in Markdown, and where its service is described. */
  readonly docs: { readonly says: string; readonly link: string }
  /** What its choice needs of a cloud; absent: nothing. */
  readonly permissions?: DriverPermissions
}

/** An entry as it stands in a settings file: what it needs does not depend on any secret. */
export type RawEntry = Readonly<Record<string, unknown>>

/** One statement of a policy of AWS. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html */
export interface AwsStatement {
  readonly Sid: string
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

/** One statement of a Huawei Cloud identity policy; `*` stands for what cannot be named. */
export interface HuaweiStatement {
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
}

/** What the rest of the settings says to a policy. */
export interface PolicyContext {
  /** `aws`, `aws-cn` or `aws-us-gov`. */
  readonly partition: string
  /** Of whoever gets the policy; `*` where it is not known. */
  readonly region: string
  readonly account: string
  /** Every name of every certificate. */
  readonly certificateNames: readonly string[]
  /** The page of the fleet goes into the store. */
  readonly isPublished: boolean
}

export interface DriverPermissions {
  /** For all entries of its type together. */
  readonly aws?: (entries: readonly RawEntry[], context: PolicyContext) => readonly AwsStatement[]
  /** The same. */
  readonly huawei?: (entries: readonly RawEntry[]) => readonly HuaweiStatement[]
}

/** Of a store: also what it takes to read one document and nothing else. */
export interface StorePermissions extends DriverPermissions {
  readonly awsRead?: (entry: RawEntry, key: string, context: PolicyContext) => readonly AwsStatement[]
  readonly huaweiRead?: (entry: RawEntry, key: string) => readonly HuaweiStatement[]
}

// --- sources -----------------------------------------------------------------------------------------------

/** What a source is asked for. */
export interface CertificateRequest {
  readonly spec: CertificateSpec
  /** PEM of the leaf this one will replace, when there is a clear predecessor (RFC 9773 section 5). */
  readonly replaces: string | null
  /**
   * Whether every device would accept this chain (PEM, leaf first). Of several chains for one leaf (RFC 8555
   * section 7.4.2) a source SHOULD return the first that is accepted, else the CA's default. MUST NOT throw.
   */
  readonly accepts: (chainPem: string) => boolean
  /** Whether what a source holds already would do instead of what is bound. MUST NOT throw. */
  readonly isNews: (inventory: Inventory) => boolean
  /** The bound certificate is about to end: a mere doubt MUST NOT keep the source from trying. */
  readonly emergency: boolean
  /** Whether the CA's other chains are to be shown to `accepts` too, so that people hear of one that devices refuse. */
  readonly showsOthers: boolean
}

/** A certificate that a source holds although nobody ordered it here. */
export interface Inventory {
  /** Lower-case hex, without the sign byte. */
  readonly serial: string
  readonly names: readonly string[]
  readonly notBefore: number
  readonly notAfter: number
  /** Why there may be no newer one in time, in the words of the source; null: nothing is known to be wrong. */
  readonly trouble: string | null
}

/**
 * The notes of one pending certificate. Whatever cannot be found again later MUST be written before the deed:
 * the order's URL and the private key before finalize, a TXT value before it is presented.
 */
export interface Journal {
  /** What was written last, by this run or an earlier one; `{}` at first. JSON values only, no secrets. */
  readonly notes: Readonly<Record<string, unknown>>
  /** Replaces the notes; durable when it resolves. */
  write(notes: Readonly<Record<string, unknown>>): Promise<void>
  /** The pending certificate's private key (PKCS#8 PEM): made and stored sealed the first time, then the same. */
  privateKey(make: () => Promise<string>): Promise<Secret>
  /** Stores a private key (PKCS#8 PEM) that was made elsewhere, sealed, in the place of any; durable when it resolves. */
  adoptKey(privateKey: Secret): Promise<void>
}

/** What a source remembers apart from any certificate: its account, the directory, its budget. */
export interface SourceMemory {
  /** JSON values only, no secrets; `{}` at first. */
  read(): Promise<Readonly<Record<string, unknown>>>
  /**
   * Changes the notes; durable when it resolves. `change` is applied again to what another writer left meanwhile;
   * one that returns its argument writes nothing, and what it throws changes nothing.
   */
  update(
    change: (notes: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
  ): Promise<void>
  /** A secret of the source, e.g. its account key: made and stored sealed the first time, then the same. */
  secret(name: string, make: () => Promise<string>): Promise<Secret>
  /** Wipes a secret; succeeds when there is none. */
  forget(name: string): Promise<void>
}

export type Obtained =
  | {
      readonly kind: 'obtained'
      /** Leaf first, then intermediates. */
      readonly chainPem: string
      /** Notes of what could not be cleaned up yet; `abandon` is tried with them until none are left. */
      readonly leftovers?: Readonly<Record<string, unknown>>
    }
  | { readonly kind: 'suspended'; readonly until: number; readonly why: string }

/** What is to be revoked, and why. */
export interface Revocation {
  readonly certificatePem: string
  readonly reason: RevocationReason
  /** The certificate's own key, if it is still held. */
  readonly key: Secret | null
}

/** What a source says of itself when nothing is wrong with the way to it. */
export interface SourceCheck {
  readonly directory: string
  /** How it calls itself in CAA records (RFC 8659 section 4.2); empty: it does not say. */
  readonly caaIdentities: readonly string[]
  /** Null: there is none yet. */
  readonly accountUrl: string | null
  readonly account:
    | { readonly ok: true; readonly message: string }
    | { readonly ok: false; readonly message: string; readonly remedy: string }
}

export interface CertificateSource {
  /**
   * Obtains one certificate, or goes on where the journal says an earlier run stopped. The key MUST come from
   * `journal.privateKey`, or be given to `journal.adoptKey` before this returns. MUST return `suspended` rather than sleep past `run.deadline`. A source SHOULD NOT
   * make a second order for one journal unless the first is certainly dead.
   */
  obtain(request: CertificateRequest, journal: Journal, run: Run): Promise<Obtained>
  /**
   * Gives up what the journal names: outstanding authorizations and TXT values. What could not be given up stays
   * in its notes. SHOULD NOT throw for what is gone.
   */
  abandon(journal: Journal, run: Run): Promise<void>
  /**
   * When the CA suggests to renew this leaf; null when it has no such service. MUST NOT throw for a failing
   * CA: such an answer has no window and says when to ask again.
   */
  renewalInfo?(leafPem: string, leaf: Leaf, run: Run): Promise<RenewalInfo | null>
  /**
   * What it holds now; a source that has this makes no certificates to order. Its `obtain` MUST throw `not-renewed`,
   * saying why, for what is no news to the request. Throws with retry `never` what a person has to mend.
   */
  inventory?(run: Run): Promise<Inventory>
  /** Revokes a certificate. One that is revoked already is `already-revoked`, no error. */
  revoke?(revocation: Revocation, run: Run): Promise<'revoked' | 'already-revoked'>
  /**
   * Gives the account another key; the account's name. MUST leave the account usable after a crash at any
   * instant. @throws RotationError `ca-rejected` when there is no account whose key is the source's own
   */
  rollover?(run: Run): Promise<string>
  /**
   * What will keep names from being validated by then, as far as it shows already, one sentence each. Asks DNS; changes
   * nothing. What cannot be found out is no trouble. MUST NOT throw for it.
   */
  outlook?(names: readonly string[], until: number, run: Run): Promise<readonly string[]>
  /** Looks at the way to it by its smallest calls. Changes nothing there. */
  check?(run: Run): Promise<SourceCheck>
}

export interface SourceContext extends DriverContext {
  readonly memory: SourceMemory
  /** The solver for a domain name, by the longest zone the settings name. */
  readonly solver: (reference: SolverReference, domain: string) => DnsSolver
}

/** The name of a solver, or names by zone. */
export type SolverReference = string | Readonly<Record<string, string>>

export const defineSource = <S extends GenericSchema>(driver: Driver<S, SourceContext, CertificateSource>) =>
  driver

// --- solvers -----------------------------------------------------------------------------------------------

/** How to tell that every authoritative server answers with a value. */
export interface PropagationSettings {
  /**
   * Who is asked for a value that was written: the `authoritative` servers themselves; the resolvers, over `https`;
   * or nobody, where the `provider` has said that it is done.
   */
  readonly check: 'authoritative' | 'https' | 'provider'
  /** Recursive resolvers to find zones with: `host` or `host:port`, or URLs of RFC 8484; empty: the system's. */
  readonly resolvers: readonly string[]
  /** PEM of the roots to trust for resolvers over HTTPS, instead of Node's. */
  readonly caCertificates: string | null
  /** Servers (`host` or `host:port`) to ask instead of the authoritative ones that are found; empty: find them. */
  readonly nameservers: readonly string[]
  /** Port of the authoritative servers. */
  readonly port: number
  readonly withinMs: number
  readonly everyMs: number
  /** A last wait after everybody who is asked agreed. */
  readonly settleMs: number
}

/** The zone that holds a name, as the service of a solver tells. Names are lower case without the final dot. */
export interface SolverZone {
  readonly name: string
  /** The name servers that the service serves it with; empty: it does not tell. */
  readonly nameServers: readonly string[]
}

/** Writes and removes TXT values for DNS-01 (RFC 8555 section 8.4). `fqdn` is absolute, lower-case, with its final dot. */
export interface DnsSolver {
  readonly propagation: PropagationSettings
  /**
   * The smallest call that proves `fqdn` can be written, before an order is placed; the zone it would go to, or null
   * where the service does not tell. Changes nothing.
   */
  prepare(fqdn: string, run: Run): Promise<SolverZone | null>
  /** Adds the value to what is there. MUST keep other values; MUST succeed when it is there already. */
  present(fqdn: string, value: string, run: Run): Promise<void>
  /** Removes exactly this value. MUST keep other values; MUST succeed when it is gone already. */
  cleanUp(fqdn: string, value: string, run: Run): Promise<void>
}

export const defineSolver = <S extends GenericSchema>(driver: Driver<S, DriverContext, DnsSolver>) => driver

// --- stores ------------------------------------------------------------------------------------------------

export interface StoredDocument {
  readonly body: string
  /** Changes with every write of the document; opaque. */
  readonly revision: string
}

/**
 * Keeps documents (UTF-8 text) under keys of `[a-z0-9-]` segments joined by `/`. `write` MUST be atomic and
 * conditional: of two writers that expect the same revision exactly one succeeds. A crash at any instant MUST
 * leave the old or the new document, whole.
 */
export interface StateStore {
  /** Names the place of the documents, so that those of another place are told apart; empty: a folder, which may be moved. */
  readonly place: string
  /** Names this writer for leases: unique among living processes. */
  readonly writer: string
  /** Null when absent. @throws RotationError `store-unreadable` when it is there and cannot be read */
  read(key: string): Promise<StoredDocument | null>
  /** `expected` null: it must not exist. Returns the new revision. @throws RotationError `store-conflict` */
  write(key: string, body: string, expected: string | null): Promise<string>
  /** Succeeds when it is gone already. */
  remove(key: string): Promise<void>
  /** True only if that writer certainly no longer lives. */
  isGone(writer: string): Promise<boolean>
  /** A seal key the store keeps itself, or null when the settings must give one. 32 bytes, base64. */
  ownSealKey(): Promise<Secret | null>
  /**
   * Puts a page (HTML) where people can be let in to read it, in the place of the one before, and says where.
   * MUST be as private as the documents by default, and MUST NOT touch them.
   */
  publish?(page: string): Promise<string>
}

export interface StoreDriver<S extends GenericSchema> extends Driver<S, DriverContext, StateStore> {
  /** It has `publish`. */
  readonly canPublish?: true
  readonly permissions?: StorePermissions
}

export const defineStore = <S extends GenericSchema>(driver: StoreDriver<S>) => driver

// --- notifiers ---------------------------------------------------------------------------------------------

export type { AlertEvent, AlertLeaf } from './model/events.ts'

export const LANGUAGES = ['en', 'zh'] as const
export type Language = (typeof LANGUAGES)[number]

export interface NotifierContext extends DriverContext {
  /** Of the texts for people. */
  readonly language: Language
}

export interface Notifier {
  /**
   * Delivers one alert, which MAY have been delivered before. What it throws is logged and never changes the run's
   * result: with retry `never` it is left alone until a later run, else it is tried again within this one, not
   * before `retryAt`. MUST NOT take longer than 15 seconds.
   */
  notify(event: AlertEvent, run: Run): Promise<void>
}

export const defineNotifier = <S extends GenericSchema>(driver: Driver<S, NotifierContext, Notifier>) =>
  driver
