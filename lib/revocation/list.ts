import { createPublicKey, verify, type X509Certificate } from 'node:crypto'
import { iso, MINUTE_MS } from '../base/time.ts'
import { eachTlv, type Tlv, tbsFields, tlvs } from '../x509/certificate.ts'

/**
 * Certificate revocation lists (RFC 5280 section 5), read with the DER reader of x509/: @peculiar/x509 1.14 reads none
 * of more than some thousand entries ("Maximum ASN.1 node count exceeded"), and takes half a second for one thousand.
 */

/** What a list says of one certificate. */
export type Said =
  | { readonly kind: 'good'; readonly until: number }
  | { readonly kind: 'revoked'; readonly at: number; readonly reason: string; readonly until: number }
  /** It cannot be believed, and says nothing. */
  | { readonly kind: 'unusable'; readonly why: string }

const SKEW_MS = 5 * MINUTE_MS
const ISSUER_FIELD = 2
const SERIAL_FIELD = 0

/** Hashes by the content bytes of an algorithm's OID in hex; null: the key says. */
const SIGNATURES: Readonly<Record<string, string | null>> = {
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2b6570': null,
}

const TAG = { boolean: 0x01, integer: 0x02, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30 } as const
const LIST_EXTENSIONS = 0xa0
const REASON_CODE = '551d15'
const ISSUING_DISTRIBUTION_POINT = '551d1c'
const URI = 0x86
const ONLY_SOME_REASONS = 0x83

/** RFC 5280 section 5.3.1. */
const REASONS: Readonly<Record<number, string>> = {
  1: 'keyCompromise',
  2: 'cACompromise',
  3: 'affiliationChanged',
  4: 'superseded',
  5: 'cessationOfOperation',
  6: 'certificateHold',
  9: 'privilegeWithdrawn',
  10: 'aACompromise',
}

class Unusable extends Error {}

const isTime = ({ tag }: Tlv): boolean => tag === TAG.utcTime || tag === TAG.generalizedTime

/** RFC 5280 section 4.1.2.5. */
function timeOf({ tag, content }: Tlv): number {
  const text = content.toString('latin1')
  const digits = tag === TAG.generalizedTime ? text : `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}`
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits) ?? []
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (Number.isNaN(at)) throw new Unusable('a time that is none')
  return at
}

interface Extension {
  readonly oidHex: string
  readonly isCritical: boolean
  readonly value: Buffer
}

const extensionsIn = (sequence: Buffer): readonly Extension[] =>
  tlvs(sequence).map(({ content }) => {
    const [oid, ...rest] = tlvs(content)
    const isCritical = rest[0]?.tag === TAG.boolean && rest[0].content[0] !== 0
    return { oidHex: oid?.content.toString('hex') ?? '', isCritical, value: rest.at(-1)?.content ?? NOTHING }
  })

const NOTHING = Buffer.alloc(0)

interface List {
  readonly issuer: Buffer
  readonly thisUpdate: number
  readonly nextUpdate: number | null
  readonly revoked: Buffer
  readonly extensions: readonly Extension[]
  /** What was signed, by which algorithm, and the signature. */
  readonly signed: Buffer
  readonly algorithm: string
  readonly signature: Buffer
}

/** @throws Unusable, RotationError `certificate-invalid` for malformed DER */
function readList(der: Buffer): List {
  const [outer, ...after] = tlvs(der)
  if (outer?.tag !== TAG.sequence || after.length > 0) throw new Unusable('no list in DER')
  const [tbs, algorithm, signature] = tlvs(outer.content)
  if (!tbs || !algorithm || !signature) throw new Unusable('no list in DER')
  const fields = tlvs(tbs.content)
  const own = fields[0]?.tag === TAG.integer ? fields.slice(1) : fields
  const [, issuer, thisUpdate, ...rest] = own
  if (!issuer || !thisUpdate || !isTime(thisUpdate)) throw new Unusable('no list in DER')
  const next = rest.find(isTime)
  return {
    issuer: issuer.content,
    thisUpdate: timeOf(thisUpdate),
    nextUpdate: next ? timeOf(next) : null,
    revoked: rest.find(it => it.tag === TAG.sequence)?.content ?? NOTHING,
    extensions: extensionsIn(
      tlvs(rest.find(it => it.tag === LIST_EXTENSIONS)?.content ?? NOTHING)[0]?.content ?? NOTHING,
    ),
    signed: outer.content.subarray(0, tbs.content.byteOffset - outer.content.byteOffset + tbs.content.length),
    algorithm: tlvs(algorithm.content)[0]?.content.toString('hex') ?? '',
    // After the number of unused bits.
    signature: signature.content.subarray(1),
  }
}

/** A list of some reasons alone may revoke, and cannot say that nothing is. */
const isPartial = ({ extensions }: List): boolean => {
  const scope = extensions.find(({ oidHex }) => oidHex === ISSUING_DISTRIBUTION_POINT)
  return tlvs(tlvs(scope?.value ?? NOTHING)[0]?.content ?? NOTHING).some(
    ({ tag }) => tag === ONLY_SOME_REASONS,
  )
}

/** Whether the list is of this place and of such certificates (RFC 5280 section 5.2.5). @throws Unusable */
function checkScope({ value }: Extension, url: string, isCa: boolean): void {
  const parts = tlvs(tlvs(value)[0]?.content ?? NOTHING)
  const flag = (number: number): boolean => {
    const found = parts.find(({ tag }) => tag === (0x80 | number))
    return found !== undefined && found.content[0] !== 0
  }
  if (flag(4)) throw new Unusable('it is an indirect list')
  if (flag(5) || flag(isCa ? 1 : 2)) throw new Unusable('it is not for certificates of this kind')
  const point = parts.find(({ tag }) => tag === 0xa0)
  const names = tlvs(point?.content ?? NOTHING).flatMap(({ content }) => tlvs(content))
  const urls = names.filter(({ tag }) => tag === URI).map(({ content }) => content.toString('latin1'))
  if (urls.length > 0 && !urls.includes(url)) throw new Unusable(`it is the list of ${urls[0]}`)
}

/** @throws Unusable */
function checkList(
  list: List,
  issuer: X509Certificate,
  about: { url: string; isCa: boolean; now: number },
): number {
  const { url, isCa, now } = about
  const { algorithm, signed, signature, thisUpdate, nextUpdate, extensions } = list
  const name = tbsFields(issuer)[SUBJECT_FIELD]?.content
  if (!name?.equals(list.issuer)) throw new Unusable('another CA signed it')
  const hash = SIGNATURES[algorithm]
  if (hash === undefined)
    throw new Unusable(`it is signed with an algorithm that is not known (${algorithm})`)
  const key = createPublicKey(issuer.publicKey.export({ type: 'spki', format: 'pem' }))
  if (!verify(hash, signed, key, signature)) throw new Unusable('its signature is wrong')
  if (thisUpdate > now + SKEW_MS) throw new Unusable(`it is not valid before ${iso(thisUpdate)}`)
  if (nextUpdate === null) throw new Unusable('it does not say until when it is valid')
  if (nextUpdate <= now) throw new Unusable(`it was valid until ${iso(nextUpdate)} only`)
  for (const extension of extensions) {
    if (extension.oidHex === ISSUING_DISTRIBUTION_POINT) checkScope(extension, url, isCa)
    else if (extension.isCritical)
      throw new Unusable(`it has an extension that is not known (${extension.oidHex})`)
  }
  return nextUpdate
}

const SUBJECT_FIELD = 4

const reasonIn = (extensions: Tlv | undefined): string => {
  const reason = extensionsIn(extensions?.content ?? NOTHING).find(({ oidHex }) => oidHex === REASON_CODE)
  return REASONS[tlvs(reason?.value ?? NOTHING)[0]?.content[0] ?? 0] ?? 'no reason given'
}

/**
 * What a list (DER) that was found at `url` says of a certificate, after its signature, dates, issuer and scope were
 * checked. Pure. Never throws.
 */
export function readRevocation(
  der: Buffer,
  certificate: X509Certificate,
  issuer: X509Certificate,
  { url, now }: { readonly url: string; readonly now: number },
): Said {
  try {
    const list = readList(der)
    const fields = tbsFields(certificate)
    if (!fields[ISSUER_FIELD]?.content.equals(list.issuer)) throw new Unusable('another CA signed it')
    const until = checkList(list, issuer, { url, isCa: certificate.ca, now })
    const serial = fields[SERIAL_FIELD]?.content ?? NOTHING
    for (const { content } of eachTlv(list.revoked)) {
      // Most entries are of others: only the serial number is read of them.
      if (!content.subarray(2, 2 + serial.length).equals(serial) || content[1] !== serial.length) continue
      const [, at, extensions] = tlvs(content)
      return { kind: 'revoked', at: at ? timeOf(at) : list.thisUpdate, reason: reasonIn(extensions), until }
    }
    if (isPartial(list)) throw new Unusable('it is a list of some reasons only')
    return { kind: 'good', until }
  } catch (thrown) {
    return { kind: 'unusable', why: thrown instanceof Unusable ? thrown.message : 'it cannot be read' }
  }
}
