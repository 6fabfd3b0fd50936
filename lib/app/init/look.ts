import { Resolver } from 'node:dns/promises'
import { asRotationError } from '../../base/rotation-error.ts'
import { secret } from '../../base/secret.ts'
import { abortAfter, SECOND_MS, systemClock } from '../../base/time.ts'
import { createHuaweiClient } from '../../clouds/huawei/client.ts'
import { algorithmFor } from '../../clouds/huawei/signer.ts'
import { ACCESS_KEY, PROJECT_ID, SECRET_KEY, SECURITY_TOKEN } from '../../config/credentials.ts'
import { processSurroundings } from '../../config/load.ts'
import { proxyFrom } from '../../config/proxy.ts'
import { createHttp } from '../../http/client.ts'
import type { Http } from '../../http/http.ts'
import { createIotdaClient } from '../../iotda/client.ts'
import { KEY_TYPES } from '../../model/certificate.ts'
import { probePort } from '../probe-port.ts'
import type { Answers } from './questions.ts'

/** Whether something is as an answer says; `isWell` false: the person decides. */
export interface Look {
  readonly isWell: boolean
  readonly message: string
}

const LOOK_MS = 15 * SECOND_MS

async function withHttp<T>(work: (http: Http, signal: AbortSignal) => Promise<T>): Promise<T> {
  const http = createHttp({ proxy: proxyFrom(processSurroundings()) })
  const { signal, clear } = abortAfter(LOOK_MS)
  try {
    return await work(http, signal)
  } finally {
    clear()
    await http.close()
  }
}

const messageOf = (thrown: unknown): string => asRotationError(thrown).message

/** Whether anything answers there over HTTPS; nothing is signed. */
export const lookAtEndpoint = (endpoint: string): Promise<Look> =>
  withHttp(async (http, signal) => {
    try {
      const { status } = await http.request({ method: 'GET', url: `${endpoint.replace(/\/$/, '')}/`, signal })
      return { isWell: true, message: `${endpoint} answers (HTTP ${status})` }
    } catch (thrown) {
      return { isWell: false, message: `${endpoint} cannot be reached from here: ${messageOf(thrown)}` }
    }
  })

type Instance = Pick<Answers, 'domain' | 'endpoint' | 'region' | 'project' | 'instance'>

/** Looks by the API, when the environment holds keys: which way to sign is taken, and whether the domain is there. */
export async function lookAtInstance(
  asked: Instance,
): Promise<Look & { readonly signing: 'standard' | 'derived' | null }> {
  const { env } = processSurroundings()
  const [accessKey, secretKey, project] = [env[ACCESS_KEY], env[SECRET_KEY], asked.project || env[PROJECT_ID]]
  if (!accessKey || !secretKey || !project)
    return {
      ...{ isWell: true, signing: null },
      message: `the instance was not asked: ${ACCESS_KEY}, ${SECRET_KEY} and a project id are not all there`,
    }
  const token = env[SECURITY_TOKEN]
  const keys = {
    accessKey: secret(accessKey),
    secretKey: secret(secretKey),
    securityToken: token ? secret(token) : null,
  }
  const usual: 'standard' | 'derived' =
    algorithmFor(asked.endpoint, asked.region, 'auto') === 'SDK-HMAC-SHA256' ? 'standard' : 'derived'
  const other: typeof usual = usual === 'standard' ? 'derived' : 'standard'
  return withHttp(async (http, signal) => {
    const domains = async (signing: typeof usual) => {
      const client = createHuaweiClient({
        ...{ http, clock: systemClock, keys: async () => keys, signing, driver: 'iotda' },
        ...{ endpoint: asked.endpoint, region: asked.region, projectId: project },
        instanceId: asked.instance || null,
      })
      return (await createIotdaClient(client).listDomainConfigurations(signal)).map(it => it.domainName)
    }
    const found = await domains(usual).then(
      names => ({ names, signing: null }),
      first =>
        domains(other).then(
          names => ({ names, signing: other }),
          () => ({ why: messageOf(first) }),
        ),
    )
    if ('why' in found) return { isWell: false, message: found.why, signing: null } as const
    const { names, signing } = found
    const isThere = names.some(it => it.toLowerCase() === asked.domain.toLowerCase())
    const message = isThere
      ? `the instance has the domain ${asked.domain}`
      : `the instance has no domain ${asked.domain}; it has: ${names.join(', ') || 'none'}`
    return { isWell: isThere, message, signing }
  })
}

const SERVICES: Readonly<Record<string, RegExp>> = {
  huaweicloud: /\.(hwclouds|huaweicloud)-dns\.(com|cn|net|org)$/,
  route53: /\.awsdns-\d+\.(com|net|org|co\.uk)$/,
  cloudflare: /\.ns\.cloudflare\.com$/,
  alidns: /\.(hichina|alidns)\.com$/,
  tencentcloud: /\.(dnspod\.net|dnsv\d\.com)$/,
}

/** The DNS service of name servers; null: none that is known. */
export const serviceOf = (nameServers: readonly string[]): string | null =>
  Object.keys(SERVICES).find(name =>
    nameServers.some(it => SERVICES[name]?.test(it.toLowerCase().replace(/\.$/, ''))),
  ) ?? null

/** The name servers of the zone that a domain is in, and the DNS service that they belong to, where that is known. */
export async function findDnsService(
  domain: string,
  resolver = new Resolver(),
): Promise<{ readonly nameServers: readonly string[]; readonly service: string | null }> {
  const labels = domain.split('.')
  for (let at = 0; at < labels.length - 1; at++) {
    const nameServers = await resolver.resolveNs(labels.slice(at).join('.')).catch(() => [])
    if (nameServers.length > 0) return { nameServers, service: serviceOf(nameServers) }
  }
  return { nameServers: [], service: null }
}

/** What devices are served, which the next certificate should look like; `keyType` null: not seen, or nothing that is ordered. */
export async function lookAtPort(
  domain: string,
  { host = domain, port = 8883 }: { readonly host?: string; readonly port?: number } = {},
): Promise<{ readonly message: string; readonly keyType: string | null }> {
  const { results } = await probePort({
    ...{ host, port, serverName: domain, profiles: [], config: null },
    deadline: systemClock.now() + LOOK_MS,
  })
  const leaf = results[0]?.probe?.addresses.map(({ chain }) => chain[0]).find(it => it !== undefined)
  if (!leaf) return { message: `no device port answers at ${domain}:${port} from here`, keyType: null }
  const isOrdered = (KEY_TYPES as readonly string[]).includes(leaf.keyType)
  return {
    message: `devices are served ${leaf.subject || leaf.names.join(', ')} at ${domain}:${port}, with a key of ${leaf.keyType}, until ${leaf.notAfter}`,
    keyType: isOrdered ? leaf.keyType : null,
  }
}

/** Where the terms of a CA stand, by its directory (RFC 8555 section 7.1.1). */
export const lookAtCa = (directory: string): Promise<Look & { readonly terms: string | null }> =>
  withHttp(async (http, signal) => {
    try {
      const { text } = await http.request({ method: 'GET', url: directory, signal })
      const said = JSON.parse(text)?.meta?.termsOfService
      const terms = typeof said === 'string' && URL.canParse(said) ? new URL(said).href : null
      return { isWell: true, message: `${directory} answers`, terms }
    } catch (thrown) {
      return { isWell: false, message: `${directory} cannot be read: ${messageOf(thrown)}`, terms: null }
    }
  })
