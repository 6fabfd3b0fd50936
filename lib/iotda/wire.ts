import * as v from 'valibot'

/** A server certificate as the lists show it: no serial, fingerprint or names. Instants in milliseconds since the epoch. */
export interface ServerCertificate {
  readonly serverCertificateId: string
  /** Null for a certificate without one. */
  readonly commonName: string | null
  readonly effectiveDate: number
  readonly expiryDate: number
  /** Subject DN, `CN=…, O=…`; may be empty. */
  readonly owner: string
  /** Issuer DN. */
  readonly issuer: string
}

/** A server certificate with the PEM it was uploaded with, line ends and chain at the platform's pleasure. */
export interface ShownServerCertificate extends ServerCertificate {
  readonly certificatePem: string
}

/** The custom domain of an instance and what is bound to it. */
export interface DomainConfiguration {
  readonly configurationId: string
  readonly domainName: string
  /** `Device-MQTTS`, the only one there is. */
  readonly accessProtocol: string
  readonly serverCertificateId: string | null
  /** The OCSP settings as they came, in the fields of the wire; to be sent back with every bind. */
  readonly serverCertificateConfig: Readonly<Record<string, unknown>> | null
}

/** Parses the platform's `yyyyMMdd'T'HHmmss'Z'`, e.g. `20221008T132137Z`; null when it is no such instant. */
export function parseIotdaDate(text: string): number | null {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (!found) return null
  const [, year, month, day, hour, minute, second] = found
  const wanted = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
  const at = Date.parse(wanted)
  // Date.parse may roll 30 February or 24:00 over instead of refusing it.
  return !Number.isNaN(at) && new Date(at).toISOString() === wanted ? at : null
}

/** What an id of the platform looks like. */
export const ID = /^[\w-]{1,36}$/

const id = v.pipe(v.string(), v.regex(ID))
const date = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const at = parseIotdaDate(dataset.value)
    if (at !== null) return at
    addIssue({ message: 'no date such as 20221008T132137Z' })
    return NEVER
  }),
)

const certificateFields = {
  server_certificate_id: id,
  common_name: v.nullish(v.string()),
  effective_date: date,
  expiry_date: date,
  certificate_owner: v.nullish(v.string()),
  certificate_issuer: v.nullish(v.string()),
}
const plainCertificate = v.object(certificateFields)

const toCertificate = (wire: v.InferOutput<typeof plainCertificate>): ServerCertificate => ({
  serverCertificateId: wire.server_certificate_id,
  commonName: wire.common_name || null,
  effectiveDate: wire.effective_date,
  expiryDate: wire.expiry_date,
  owner: wire.certificate_owner ?? '',
  issuer: wire.certificate_issuer ?? '',
})

/** An element of the list, and the answer of Create. */
export const serverCertificate = v.pipe(plainCertificate, v.transform(toCertificate))
/** The answer of Show. */
export const shownServerCertificate = v.pipe(
  v.object({ ...certificateFields, certificate_pem: v.pipe(v.string(), v.minLength(1)) }),
  v.transform(
    (wire): ShownServerCertificate => ({ ...toCertificate(wire), certificatePem: wire.certificate_pem }),
  ),
)

const isPlainObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The answer of every call on one domain configuration. */
export const domainConfiguration = v.pipe(
  v.object({
    configuration_id: id,
    domain_name: v.pipe(v.string(), v.minLength(1)),
    access_protocol: v.string(),
    // An answer without it is refused: read as "nothing is bound", it would expose the bound certificate.
    server_certificate_id: v.nullable(v.union([v.literal(''), id])),
    server_certificate_config: v.nullish(v.custom<Readonly<Record<string, unknown>>>(isPlainObject)),
  }),
  v.transform(
    (wire): DomainConfiguration => ({
      configurationId: wire.configuration_id,
      domainName: wire.domain_name,
      accessProtocol: wire.access_protocol,
      serverCertificateId: wire.server_certificate_id || null,
      serverCertificateConfig: wire.server_certificate_config ?? null,
    }),
  ),
)

const page = v.nullish(v.object({ marker: v.nullish(v.union([v.literal(''), id])) }))
/** One page of `ListServerCertificates`. */
export const certificatePage = v.pipe(
  v.object({ server_certificates: v.array(serverCertificate), page }),
  v.transform(wire => ({ items: wire.server_certificates, marker: wire.page?.marker || null })),
)
/** One page of `ListDomainConfigurations`. */
export const configurationPage = v.pipe(
  v.object({ domain_configurations: v.array(domainConfiguration), page }),
  v.transform(wire => ({ items: wire.domain_configurations, marker: wire.page?.marker || null })),
)

/** A page as the schemas give it; `marker` null when the service left it out. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly marker: string | null
}

/** The answer of `SearchDevices` to a count. */
export const deviceCount = v.pipe(
  v.object({ count: v.pipe(v.number(), v.integer(), v.minValue(0)) }),
  v.transform(wire => wire.count),
)
