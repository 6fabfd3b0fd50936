import type { X509Certificate } from 'node:crypto'
import { covers, DNS_NAME, EXTENSION, extensionElements, type Tlv, tbsFields, tlvs } from './certificate.ts'

const DIRECTORY_NAME = 0xa4
const IP_ADDRESS = 0x87
const PERMITTED = 0xa0
const EXCLUDED = 0xa1

/** A distinguished name, relative name by relative name, without regard to case, spaces and string type. */
const relativeNames = (name: Buffer): readonly string[] =>
  tlvs(name).map(relative =>
    tlvs(relative.content)
      .map(attribute => {
        const [type, value] = tlvs(attribute.content)
        const text = value?.content.toString('utf8').trim().replace(/\s+/g, ' ').toLowerCase()
        return `${type?.content.toString('hex')}=${text}`
      })
      .sort()
      .join('+'),
  )

const MAIL_ADDRESS = 0x81
/** PKCS #9 emailAddress. */
const MAIL_ATTRIBUTE = '2a864886f70d010901'

/** Addresses within a subject are bound as alternative names are (RFC 5280 section 4.2.1.10). */
const mailIn = (subject: Buffer): readonly Tlv[] =>
  tlvs(subject)
    .flatMap(relative => tlvs(relative.content))
    .flatMap(attribute => {
      const [type, value] = tlvs(attribute.content)
      const isMail = type?.content.toString('hex') === MAIL_ATTRIBUTE
      return isMail && value ? [{ tag: MAIL_ADDRESS, content: value.content }] : []
    })

/** The subject, unless it is empty, mail addresses in it, and every alternative name, as GeneralNames. */
const namesOf = (certificate: X509Certificate): readonly Tlv[] => {
  const alternatives = extensionElements(certificate, EXTENSION.subjectAltName) ?? []
  const subject = tbsFields(certificate)[4]?.content ?? Buffer.alloc(0)
  return subject.length === 0
    ? alternatives
    : [{ tag: DIRECTORY_NAME, content: subject }, ...mailIn(subject), ...alternatives]
}

const dnsWithin = (name: string, base: string): boolean =>
  base === '' || name === base || name.endsWith(base.startsWith('.') ? base : `.${base}`)

/** A name, or the base of a constraint, made ready to be compared; null: of a kind that is not judged here. */
interface Comparable {
  readonly tag: number
  readonly dns: string | null
  readonly directory: readonly string[] | null
  /** An address, or of a constraint the network and its mask. */
  readonly address: Buffer | null
}

const comparable = ({ tag, content }: Tlv, directoryIn: (content: Buffer) => Buffer): Comparable => ({
  tag,
  dns: tag === DNS_NAME ? content.toString('latin1').toLowerCase() : null,
  directory: tag === DIRECTORY_NAME ? relativeNames(directoryIn(content)) : null,
  address: tag === IP_ADDRESS ? content : null,
})

const asIs = (content: Buffer): Buffer => content
/** A base has its name in a tag of its own. */
const unwrapped = (content: Buffer): Buffer => tlvs(content)[0]?.content ?? Buffer.alloc(0)

/** A network of the other version of IP holds no address of this one. */
const addressWithin = (address: Buffer, base: Buffer): boolean =>
  base.length === 2 * address.length &&
  address.every((byte, i) => {
    const mask = base[address.length + i] ?? 0
    return (byte & mask) === ((base[i] ?? 0) & mask)
  })

/** Whether a name lies in the subtree of a constraint of the same kind; null for a kind that is not judged here. */
const isWithin = (name: Comparable, base: Comparable, excluding: boolean): boolean | null => {
  if (name.dns !== null && base.dns !== null)
    // A wildcard is excluded as soon as one of the names it stands for is.
    return dnsWithin(name.dns, base.dns) || (excluding && covers([name.dns], base.dns.replace(/^\./, '')))
  if (name.address !== null && base.address !== null) return addressWithin(name.address, base.address)
  return base.directory?.every((it, index) => it === name.directory?.[index]) ?? null
}

const shown = (name: Tlv): string =>
  name.tag === DNS_NAME
    ? `the name ${name.content.toString('latin1')}`
    : name.tag === DIRECTORY_NAME
      ? 'the subject'
      : name.tag === IP_ADDRESS
        ? `the address ${[...name.content].join('.')}`
        : 'a name that is neither a DNS name nor an address'

/** The bases of the permitted or of the excluded subtrees. */
const basesOf = (constraints: readonly Tlv[], kind: number): readonly Tlv[] =>
  tlvs(constraints.find(part => part.tag === kind)?.content ?? Buffer.alloc(0)).flatMap(
    tree => tlvs(tree.content)[0] ?? [],
  )

/** How many comparisons {@link nameConstraintsBroken} makes at most. @throws RotationError `certificate-invalid` */
export function comparisonsOf(ca: X509Certificate, certificate: X509Certificate): number {
  const constraints = extensionElements(ca, EXTENSION.nameConstraints)
  if (constraints === null) return 0
  const bases = basesOf(constraints, PERMITTED).length + basesOf(constraints, EXCLUDED).length
  return bases * namesOf(certificate).length
}

/**
 * What a CA's name constraints forbid in a certificate below it (RFC 5280 section 4.2.1.10), in words; null
 * when nothing. DNS names, addresses and subjects are judged; of other kinds any name that has a constraint is refused.
 * @throws RotationError `certificate-invalid` when malformed
 */
export function nameConstraintsBroken(ca: X509Certificate, certificate: X509Certificate): string | null {
  const constraints = extensionElements(ca, EXTENSION.nameConstraints)
  if (constraints === null) return null
  const ready = (kind: number) => basesOf(constraints, kind).map(base => comparable(base, unwrapped))
  const [permitted, excluded] = [ready(PERMITTED), ready(EXCLUDED)]
  for (const given of namesOf(certificate)) {
    const name = comparable(given, asIs)
    const ofKind = (base: Comparable): boolean => base.tag === name.tag
    const allowed = permitted.filter(ofKind)
    const isAllowed = allowed.length === 0 || allowed.some(base => isWithin(name, base, false) === true)
    if (!isAllowed || excluded.filter(ofKind).some(base => isWithin(name, base, true) !== false))
      return shown(given)
  }
  return null
}
