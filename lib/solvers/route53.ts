import { domainToASCII } from 'node:url'
import type { ResourceRecordSet, Route53Client } from '@aws-sdk/client-route-53'
import * as v from 'valibot'
import { nameField, secretField, urlField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { formatDuration, MINUTE_MS, SECOND_MS } from '../base/time.ts'
import { allow, textOf } from '../clouds/aws/policy.ts'
import { openSdk, type SdkApi, type SdkSend, type SdkTerms, sdkCall } from '../clouds/aws/sdk.ts'
import {
  type AwsStatement,
  type DriverContext,
  defineSolver,
  type PolicyContext,
  type RawEntry,
  type Run,
  type SolverZone,
} from '../contracts.ts'
import { bareName, checkName } from '../dns/name.ts'
import { repeated, settled } from '../http/repeat.ts'
import { CHECK_ENDPOINT } from '../http/service.ts'
import { httpFields, ttlField } from './shared/fields.ts'
import { endless } from './shared/pages.ts'
import { pauseWithin } from './shared/pause.ts'
import { type Apply, createRecordSetSolver } from './shared/record-set.ts'
import { longestZone } from './shared/zone.ts'

const settings = v.pipe(
  v.strictObject({
    /** Both or neither: without them the AWS SDK's own chain is used (environment, profile, role). */
    accessKeyId: v.optional(v.nullable(secretField()), null),
    /** With `accessKeyId`. @example "env:AWS_SECRET_ACCESS_KEY" */
    secretAccessKey: v.optional(v.nullable(secretField()), null),
    /** With temporary keys. @example "env:AWS_SESSION_TOKEN" */
    sessionToken: v.optional(v.nullable(secretField()), null),
    /**
     * Chooses the zone, when there are several of a name or the key may not list zones. It is then taken as
     * delegated. @example "Z0123456789ABCDEFGHIJ"
     */
    hostedZoneId: v.optional(v.nullable(nameField()), null),
    /**
     * Where `_acme-challenge` names that are CNAMEs lead: the policy that `permissions` prints lets TXT values be
     * written there, too. DNS is followed without it.
     */
    challengeNames: v.optional(
      v.array(
        v.pipe(
          v.string('must be a name'),
          v.regex(/^[\p{L}\p{N}_-]+(\.[\p{L}\p{N}_-]+)+\.?$/u, 'must be a name such as a.example.net'),
        ),
        'must be a list of names',
      ),
      [],
    ),
    /** The partition's region; Route 53 is global. */
    region: v.optional(nameField(), 'us-east-1'),
    /** Default: the SDK's own for the region. @example "https://route53.amazonaws.com" */
    endpoint: v.optional(v.nullable(urlField()), null),
    /** Seconds; for record sets this solver creates, others keep theirs. */
    ttl: ttlField(60),
    ...httpFields(),
  }),
  v.check(
    it => (it.accessKeyId === null) === (it.secretAccessKey === null),
    'must have both accessKeyId and secretAccessKey, or neither',
  ),
)
type Settings = v.InferOutput<typeof settings>
type Sdk = typeof import('@aws-sdk/client-route-53')

interface Zone {
  readonly id: string
  /** Null: it was named by its id. */
  readonly name: string | null
}

const PAGE_SIZE = '100'
const POLL_MS = 3 * SECOND_MS
const IN_SYNC_WITHIN_MS = 5 * MINUTE_MS

/** Of somebody's words, what is looked at. */
const MESSAGE_CHARS = 2_000
/** Of zones of one name. */
const PAGES_AT_MOST = 10

/** Another writer came between reading and writing. */
const CONFLICT = /Tried to (create|delete) .*(already exists|not found|do not match)/s

const TERMS: SdkTerms = {
  codes: { PriorRequestNotComplete: 'throttled', NoSuchHostedZone: 'solver-zone-missing' },
  hints: {
    unauthorized: 'Check accessKeyId, secretAccessKey and sessionToken, and the clock of this machine.',
    forbidden:
      'Grant route53:ListHostedZonesByName and route53:GetChange, and for the zone route53:ListResourceRecordSets and ' +
      'route53:ChangeResourceRecordSets.',
    'solver-zone-missing': 'Check hostedZoneId, and that the keys belong to the account of the zone.',
    'service-refused':
      'A name holds at most 400 values and allows no TXT record beside a CNAME; a zone has a quota of records.',
  },
  isPassing: (_, message) => CONFLICT.test(message.slice(0, MESSAGE_CHARS)),
  checkEndpoint: CHECK_ENDPOINT,
}

// --- calls -------------------------------------------------------------------------------------------------

type Route53 = SdkApi<Sdk, Route53Client>
type Send<T> = SdkSend<Sdk, Route53Client, T>

/** A call that changes nothing, up to three times. @throws RotationError that names the driver and the call */
const read = <T>(api: Route53, operation: string, run: Run, send: Send<T>): Promise<T> =>
  repeated(run, `${api.driver}: ${operation}`, () => sdkCall(api, operation, run, { changes: false, send }))

/** One after the other; what others keep the service busy with is done by then. */
const WHILE_BUSY = {
  pausesMs: [1, 2, 4, 8, 16].map(seconds => seconds * SECOND_MS),
  passes: ({ code, retry }: RotationError): boolean => code === 'throttled' && retry === 'now',
}

/** A change that is refused because others come too fast was not made: it is sent again, ever more slowly. */
const change = <T>(api: Route53, operation: string, run: Run, send: Send<T>): Promise<T> => {
  const once = () => sdkCall(api, operation, run, { changes: true, send })
  return repeated(run, `${api.driver}: ${operation}`, once, WHILE_BUSY).catch(error => {
    if (error.code !== 'throttled') throw error
    const retryAt = error.retryAt === null ? {} : { retryAt: error.retryAt }
    throw new RotationError('throttled', error.message, { cause: error, ...retryAt })
  })
}

// --- zones and record sets ---------------------------------------------------------------------------------

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZonesByName.html */
async function publicZones(api: Route53, name: string, run: Run): Promise<readonly Zone[]> {
  const zones: Zone[] = []
  let from: { DNSName?: string | undefined; HostedZoneId?: string | undefined } = { DNSName: `${name}.` }
  for (let pages = 1; pages <= PAGES_AT_MOST; pages += 1) {
    const where = { ...from, MaxItems: PAGE_SIZE as never }
    const page = await read(api, 'ListHostedZonesByName', run, (sdk, client, options) =>
      client.send(new sdk.ListHostedZonesByNameCommand(where), options),
    )
    const all = page.HostedZones ?? []
    const named = all.filter(zone => bareName(zone.Name ?? '') === name)
    const open = named.filter(zone => zone.Config?.PrivateZone !== true)
    zones.push(...open.map(({ Id }) => ({ id: Id ?? '', name })))
    // In the order of their names: after the last of this name there is none.
    if (!page.IsTruncated || named.length < all.length) return zones
    from = { DNSName: page.NextDNSName, HostedZoneId: page.NextHostedZoneId }
  }
  throw endless(`${api.driver}: ListHostedZonesByName`, PAGES_AT_MOST * Number(PAGE_SIZE))
}

const findZone = (api: Route53, fqdn: string, run: Run): Promise<Zone> =>
  longestZone(fqdn, {
    run,
    driver: api.driver,
    operation: 'ListHostedZonesByName',
    hint: 'Create the public hosted zone in this AWS account, or check the keys of the solver.',
    find: async name => {
      const zones = await publicZones(api, name, run)
      if (zones.length < 2) return zones[0] ?? null
      const ids = zones.map(({ id }) => id.replace(/^\/hostedzone\//, '')).join(', ')
      throw new RotationError('settings-invalid', `${api.driver}: ${name} has several hosted zones: ${ids}`, {
        retry: 'never',
        hint: 'Set hostedZoneId of the solver to the one whose name servers the domain is delegated to.',
      })
    },
  })

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html */
async function setOf(
  api: Route53,
  zone: Zone,
  { fqdn, type }: { readonly fqdn: string; readonly type: 'TXT' | 'NS' },
  run: Run,
): Promise<ResourceRecordSet | null> {
  const where = { HostedZoneId: zone.id, StartRecordName: fqdn, StartRecordType: type, MaxItems: 1 } as const
  const page = await read(api, 'ListResourceRecordSets', run, (sdk, client, options) =>
    client.send(new sdk.ListResourceRecordSetsCommand(where as never), options),
  )
  const set = page.ResourceRecordSets?.find(
    it => it.Type === type && bareName(it.Name ?? '') === bareName(fqdn),
  )
  if (set?.SetIdentifier === undefined && set?.AliasTarget === undefined) return set ?? null
  const message = `${api.driver}: ${type} records of ${fqdn} are an alias or routed by a policy`
  throw new RotationError('service-refused', message, {
    retry: 'never',
    hint: 'Make them a simple record set, or delegate the name by a CNAME record.',
  })
}

/** The zone with its name servers, whatever names they were given; null when it was named by its id. */
async function describe(api: Route53, zone: Zone, run: Run): Promise<SolverZone | null> {
  const { name } = zone
  if (name === null) return null
  const set = await setOf(api, zone, { fqdn: `${name}.`, type: 'NS' }, run)
  return { name, nameServers: (set?.ResourceRecords ?? []).map(({ Value }) => Value ?? '') }
}

interface Edit {
  readonly fqdn: string
  readonly ttl: number
  readonly apply: Apply
}

const whatOf = ({ driver }: Route53, fqdn: string): string => `${driver}: TXT records of ${fqdn}`

/**
 * Read, merge, write. Deleting exactly the set that was read and creating the new one in one transaction fails
 * when another writer came between, where UPSERT would overwrite. Gives the id of the change, or null.
 * https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
 */
async function edit(api: Route53, zone: Zone, { fqdn, ttl, apply }: Edit, run: Run): Promise<string | null> {
  let changeId: string | null = null
  const look = async () => {
    const set = await setOf(api, zone, { fqdn, type: 'TXT' }, run)
    const there = (set?.ResourceRecords ?? []).map(({ Value }) => Value ?? '')
    const wanted = apply(there)
    if (wanted.length === there.length) return null
    const ResourceRecords = wanted.map(Value => ({ Value }))
    const next = { Name: fqdn, Type: 'TXT', TTL: set?.TTL ?? ttl, ResourceRecords } as const
    const Changes = [
      ...(set ? [{ Action: 'DELETE', ResourceRecordSet: set } as const] : []),
      ...(wanted.length > 0 ? [{ Action: 'CREATE', ResourceRecordSet: next } as const] : []),
    ]
    const input = { HostedZoneId: zone.id, ChangeBatch: { Comment: 'ACME challenge', Changes } }
    return async () => {
      const answer = await change(api, 'ChangeResourceRecordSets', run, (sdk, client, options) =>
        client.send(new sdk.ChangeResourceRecordSetsCommand(input), options),
      )
      changeId = answer.ChangeInfo?.Id ?? null
    }
  }
  await settled(run, whatOf(api, fqdn), look, { passes: ({ retry }) => retry === 'now' })
  return changeId
}

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html */
async function awaitInSync(api: Route53, id: string, run: Run): Promise<void> {
  const call = `${api.driver}: GetChange`
  const limit = run.clock.now() + IN_SYNC_WITHIN_MS
  for (;;) {
    const { ChangeInfo } = await read(api, 'GetChange', run, (sdk, client, options) =>
      client.send(new sdk.GetChangeCommand({ Id: id }), options),
    )
    if (ChangeInfo?.Status === 'INSYNC') return
    if (run.clock.now() >= limit) {
      const message = `${call}: after ${formatDuration(IN_SYNC_WITHIN_MS)} the change is still ${ChangeInfo?.Status}`
      const hint = 'Look at the AWS health dashboard: Route 53 should be done within a minute.'
      throw new RotationError('unavailable', message, { hint })
    }
    await pauseWithin(run, POLL_MS, call)
  }
}

// --- the driver --------------------------------------------------------------------------------------------

/** Of an account. https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html */
const LIMIT = { perSecond: 5, burst: 5 }

const create = (config: Settings, context: DriverContext) => {
  const { hostedZoneId, region, ttl, propagation } = config
  const api = openSdk(config, context.http(config.caCertificates, LIMIT), {
    driver: `solver ${context.name} (route53)`,
    name: '@aws-sdk/client-route-53',
    terms: TERMS,
    load: () => import('@aws-sdk/client-route-53'),
    make: (sdk: Sdk, options) => new sdk.Route53Client({ region, ...options }),
  })
  const zones = new Map<string, Zone>()
  const zoneOf = async (fqdn: string, run: Run): Promise<Zone> => {
    const known = hostedZoneId === null ? zones.get(fqdn) : { id: hostedZoneId, name: null }
    const zone = known ?? (await findZone(api, fqdn, run))
    zones.set(fqdn, zone)
    return zone
  }
  return createRecordSetSolver<string | null>({
    propagation,
    queue: 'route53',
    whatOf: fqdn => whatOf(api, fqdn),
    prepare: async (fqdn, run) => {
      checkName(fqdn, api.driver)
      const zone = await zoneOf(fqdn, run)
      if (hostedZoneId !== null) await setOf(api, zone, { fqdn, type: 'TXT' }, run)
      return describe(api, zone, run)
    },
    change: async (fqdn, apply, run) => edit(api, await zoneOf(fqdn, run), { fqdn, ttl, apply }, run),
    confirm: async (_, changeId, run) => {
      if (changeId !== null) await awaitInSync(api, changeId, run)
    },
  })
}

const textsOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : [])

/** The names under which challenges are answered, as Route 53 writes them: lower case, no final dot. */
function challengeNames(
  certificateNames: readonly string[],
  entries: readonly RawEntry[],
): readonly string[] {
  const ascii = (name: string): string => domainToASCII(name.replace(/\.$/, '')).toLowerCase()
  const own = certificateNames.map(name => `_acme-challenge.${ascii(name.trim().replace(/^\*\./, ''))}`)
  const ledTo = entries.flatMap(it => textsOf(it.challengeNames)).map(ascii)
  return [...new Set([...own, ...ledTo])].sort()
}

function statementsFor(
  entries: readonly RawEntry[],
  { partition, certificateNames }: PolicyContext,
): readonly AwsStatement[] {
  const arn = (path: string): string => `arn:${partition}:route53:::${path}`
  const zones = entries.map(it => arn(`hostedzone/${textOf(it, 'hostedZoneId')}`))
  return [
    allow('ChallengeZone', ['route53:ListHostedZonesByName'], ['*']),
    allow('ChallengeRead', ['route53:ListResourceRecordSets'], zones),
    allow('ChallengeWrite', ['route53:ChangeResourceRecordSets'], zones, {
      'ForAllValues:StringEquals': { 'route53:ChangeResourceRecordSetsRecordTypes': ['TXT'] },
      'ForAllValues:StringLike': {
        'route53:ChangeResourceRecordSetsNormalizedRecordNames': challengeNames(certificateNames, entries),
      },
    }),
    allow('ChallengeWait', ['route53:GetChange'], [arn('change/*')]),
  ]
}

/**
 * AWS Route 53, by the official client, which is loaded with the first call. One record set holds all values of a
 * name, so values are merged in and taken out one by one, other people's kept. Waits until the change is INSYNC.
 * https://docs.aws.amazon.com/Route53/latest/APIReference/
 * @throws RotationError `solver-zone-missing`, `unauthorized`, `forbidden`, `throttled`, `unreachable`,
 *   `unavailable`, `service-refused`, `settings-invalid`, `out-of-time`
 */
export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html',
    says: 'Amazon Route 53: `accessKeyId` and `secretAccessKey`, or the chain of AWS’s SDK; `hostedZoneId`, `challengeNames`',
  },
  permissions: { aws: statementsFor },
})
