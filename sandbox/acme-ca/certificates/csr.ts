import { createPublicKey } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { fail } from '../wire/problems.ts'

/** What the CA takes from a certificate request. */
export interface CheckedCsr {
  readonly publicKey: x509.PublicKey
  /** The request's own common name. */
  readonly commonName: string | null
  /** In the order of the request, in lower case, each once. */
  readonly names: readonly string[]
}

const MUST_STAPLE = '1.3.6.1.5.5.7.1.24'
const RSA_BITS = [2048, 3072, 4096]
const CURVES = ['prime256v1', 'secp384r1']

const badCsr = (why: string) => fail('badCSR', 400, `Error finalizing order :: ${why}`)

const parse = (csr: unknown): x509.Pkcs10CertificateRequest => {
  if (typeof csr !== 'string' || !/^[\w-]+$/.test(csr)) throw badCsr('csr is not base64url of a DER request')
  try {
    return new x509.Pkcs10CertificateRequest(Buffer.from(csr, 'base64url'))
  } catch {
    throw badCsr('csr cannot be parsed')
  }
}

/** The RFC 7638 thumbprint of a public key in SPKI DER. */
export async function thumbprintOf(spki: ArrayBuffer | Buffer): Promise<string> {
  const key = createPublicKey({ key: Buffer.from(spki as ArrayBuffer), format: 'der', type: 'spki' })
  return calculateJwkThumbprint(key.export({ format: 'jwk' }) as JWK)
}

const checkKey = async (spki: ArrayBuffer, accountThumbprint: string): Promise<void> => {
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  const good =
    (key.asymmetricKeyType === 'rsa' && RSA_BITS.includes(modulusLength)) ||
    (key.asymmetricKeyType === 'ec' && CURVES.includes(namedCurve))
  if (!good) throw badCsr('invalid public key in CSR: only RSA 2048, 3072, 4096, P-256 and P-384 are signed')
  if ((await thumbprintOf(spki)) === accountThumbprint)
    throw badCsr('certificate public key must be different than account key')
}

/** Checks a request against its order (RFC 8555 section 7.4). */
export async function checkCsr(
  csr: unknown,
  orderNames: readonly string[],
  accountThumbprint: string,
): Promise<CheckedCsr> {
  const request = parse(csr)
  await checkKey(request.publicKey.rawData, accountThumbprint)
  if (!(await request.verify().catch(() => false))) throw badCsr('invalid signature on CSR')
  if (request.extensions.some(extension => extension.type === MUST_STAPLE))
    throw badCsr('OCSP must-staple is not offered')
  const items =
    request.extensions.find(e => e instanceof x509.SubjectAlternativeNameExtension)?.names.items ?? []
  if (items.some(item => item.type !== 'dns')) throw badCsr('CSR contains names that are not DNS names')
  const names = [...new Set(items.map(item => item.value.toLowerCase()))]
  if (names.length !== orderNames.length || !names.every(name => orderNames.includes(name)))
    throw badCsr('CSR does not specify same identifiers as Order')
  const [commonName = null] = request.subjectName.getField('CN').map(name => name.toLowerCase())
  if (commonName !== null && !names.includes(commonName))
    throw badCsr('common name is not among the alternative names')
  return { publicKey: request.publicKey, commonName, names }
}
