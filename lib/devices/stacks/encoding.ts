import {
  EXTENSION,
  extensionElements,
  signatureFits,
  signatureOf,
  type Tlv,
  tbsFields,
  tlvs,
  versionOf,
} from '../../x509/certificate.ts'
import { type Facts, relativeNames } from './facts.ts'

/**
 * What RFC 5280 forbids a CA to write, and one stack or another cannot read (test/strangers/stacks/encodings.ts): it is
 * refused of every certificate, whatever devices are built on.
 */

const TIMES: Readonly<Record<number, RegExp>> = { 23: /^\d{12}Z$/, 24: /^\d{14}Z$/ }
const VALIDITY = 3
const SPKI = 5

const isTime = ({ tag, content }: Tlv): boolean => TIMES[tag]?.test(content.toString('latin1')) === true

const NAMES: Readonly<Record<number, (content: Buffer) => boolean>> = {
  130: content => content.length > 0,
  134: content => /^[^/]+:/.test(content.toString('latin1')),
  135: content => content.length === 4 || content.length === 16,
  164: content => (tlvs(content)[0]?.content.length ?? 0) > 0,
}
const isName = ({ tag, content }: Tlv): boolean => NAMES[tag]?.(content) ?? true

/** Section 4.2.1.10: the minimum is 0, and there is no maximum. */
const isPlainTree = ({ content }: Tlv): boolean =>
  tlvs(content)
    .slice(1)
    .every(({ tag, content: number }) => tag === 0x80 && number.every(byte => byte === 0))

/** Sections 4.2.1.1, 4.2.1.4, 4.2.1.6, 4.2.1.9 and 4.2.1.10. */
function extensionFlaw({ certificate, pathLength }: Facts): string | null {
  const parts = (oidHex: string): readonly Tlv[] | null => extensionElements(certificate, oidHex)
  if (parts(EXTENSION.certificatePolicies)?.length === 0) return 'has policies, and names none'
  const authority = parts(EXTENSION.authorityKeyIdentifier) ?? []
  const has = (tag: number): boolean => authority.some(part => part.tag === tag)
  if (has(0xa1) !== has(0x82)) return 'names a serial number of its issuer without whose, or whose without it'
  if (authority.some(({ tag, content }) => tag === 0x80 && content.length === 0))
    return 'has an authority key identifier of no bytes'
  if (!(parts(EXTENSION.subjectAltName) ?? []).every(isName))
    return 'has an empty alternative name, an address of another length, or a URI without a scheme'
  const [ca] = parts(EXTENSION.basicConstraints) ?? []
  if (ca?.tag === 0x01 && ca.content[0] === 0) return 'says in so many words that it is no CA'
  if ((pathLength ?? 0) >= 2 ** 31 - 1) return 'has a path length beyond all numbers'
  const trees = (parts(EXTENSION.nameConstraints) ?? []).flatMap(({ content }) => tlvs(content))
  return trees.every(isPlainTree) ? null : 'has name constraints with a minimum or a maximum'
}

/** Sections 4.1.1.2 and 4.1.2; RFC 5758 section 3.2, RFC 4055 section 3.1. */
function flawOf(facts: Facts): string | null {
  const { certificate, extensions, signature } = facts
  const version = versionOf(certificate)
  if (version > 3 || (version < 3 && extensions.length > 0))
    return `is of version ${version}${version > 3 ? '' : ', and has extensions'}`
  const fields = tbsFields(certificate)
  if (fields.slice(SPKI + 1).some(({ tag }) => (tag & 0x1f) < 3)) return 'has unique identifiers'
  if (!tlvs(fields[VALIDITY]?.content ?? Buffer.alloc(0)).every(isTime))
    return 'writes its dates otherwise than in seconds of UTC'
  if (!signatureFits(certificate)) return 'names two algorithms that signed it'
  const { parameters } = signatureOf(certificate)
  if (parameters !== undefined && signature.startsWith('ecdsa')) return 'has parameters of ECDSA'
  if (parameters === undefined && signature === 'rsassaPss') return 'has no parameters of RSASSA-PSS'
  const names = [...relativeNames(facts.issuer), ...relativeNames(facts.subject)]
  return names.some(attributes => attributes.length === 0)
    ? 'has an empty part in a name'
    : extensionFlaw(facts)
}

/** Profile by profile the same certificates. */
const remembered = new WeakMap<Facts, string | null>()

/** What of a certificate not every stack can read, in words; null: nothing. @throws RotationError when malformed */
export function misencoded(facts: Facts): string | null {
  const known = remembered.get(facts)
  if (known !== undefined) return known
  const flaw = flawOf(facts)
  remembered.set(facts, flaw)
  return flaw
}
