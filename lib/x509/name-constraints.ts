import type { X509Certificate } from 'node:crypto'
import { covers, DNS_NAME, EXTENSION, extensionElements, type Tlv, tbsFields, tlvs } from './certificate.ts'

const DIRECTORY_NAME = 0xa4
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

/** The subject, unless it is empty, and every alternative name, as GeneralNames. */
const namesOf = (certificate: X509Certificate): readonly Tlv[] => {
  const alternatives = extensionElements(certificate, EXTENSION.subjectAltName) ?? []
  const subject = tbsFields(certificate)[4]?.content ?? Buffer.alloc(0)
  return subject.length === 0 ? alternatives : [{ tag: DIRECTORY_NAME, content: subject }, ...alternatives]
}

const dnsWithin = (name: string, base: string): boolean =>
  base === '' || name === base || name.endsWith(base.startsWith('.') ? base : `.${base}`)

/** Whether a name lies in the subtree of a constraint of the same kind; null for a kind that is not judged here. */
const isWithin = (name: Tlv, base: Tlv, excluding: boolean): boolean | null => {
  if (name.tag === DNS_NAME) {
    const [given, tree] = [name, base].map(it => it.content.toString('latin1').toLowerCase()) as [
      string,
      string,
    ]
    // A wildcard is excluded as soon as one of the names it stands for is.
    return dnsWithin(given, tree) || (excluding && covers([given], tree.replace(/^\./, '')))
  }
  if (name.tag !== DIRECTORY_NAME) return null
  const given = relativeNames(name.content)
  return relativeNames(tlvs(base.content)[0]?.content ?? Buffer.alloc(0)).every(
    (it, index) => it === given[index],
  )
}

const shown = (name: Tlv): string =>
  name.tag === DNS_NAME
    ? `the name ${name.content.toString('latin1')}`
    : name.tag === DIRECTORY_NAME
      ? 'the subject'
      : 'a name that is no DNS name'

/**
 * What a CA's name constraints forbid in a certificate below it (RFC 5280 section 4.2.1.10), in words; null
 * when nothing. DNS names and subjects are judged; of other kinds any name that has a constraint is refused.
 * @throws RotationError `certificate-invalid` when malformed
 */
export function nameConstraintsBroken(ca: X509Certificate, certificate: X509Certificate): string | null {
  const constraints = extensionElements(ca, EXTENSION.nameConstraints)
  if (constraints === null) return null
  const basesOf = (tag: number): readonly (Tlv | undefined)[] => {
    const trees = tlvs(constraints.find(part => part.tag === tag)?.content ?? Buffer.alloc(0))
    return trees.map(tree => tlvs(tree.content)[0])
  }
  const [permitted, excluded] = [basesOf(PERMITTED), basesOf(EXCLUDED)]
  for (const name of namesOf(certificate)) {
    const ofKind = (base: Tlv | undefined): base is Tlv => base?.tag === name.tag
    const allowed = permitted.filter(ofKind).map(base => isWithin(name, base, false))
    const denied = excluded.filter(ofKind).map(base => isWithin(name, base, true))
    if ((allowed.length > 0 && !allowed.includes(true)) || denied.some(within => within !== false))
      return shown(name)
  }
  return null
}
