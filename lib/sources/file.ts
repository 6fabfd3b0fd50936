import * as v from 'valibot'
import { secretField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { iso } from '../base/time.ts'
import { type CertificateSource, defineSource, type Inventory, type SourceContext } from '../contracts.ts'
import type { Leaf } from '../model/certificate.ts'
import { type Bundle, readBundle } from '../x509/bundle.ts'

const settings = v.strictObject({
  /** PEM of the leaf and its intermediates, in any order. */
  certificate: secretField(),
  /** PEM of its private key: PKCS#8, PKCS#1 or SEC 1, encrypted or not. */
  privateKey: secretField(),
  /** Of an encrypted key. */
  password: v.optional(v.nullable(secretField()), null),
})
type Settings = v.InferOutput<typeof settings>

const inventoryOf = ({ serial, names, notBefore, notAfter }: Leaf): Inventory => ({
  ...{ serial, names, notBefore, notAfter },
  trouble: null,
})

const create = (
  { certificate, privateKey, password }: Settings,
  { name }: SourceContext,
): CertificateSource => {
  const driver = `source ${name} (file)`
  let known: Bundle | null = null
  const read = (): Bundle => {
    known ??= readBundle({ driver, chainPem: certificate.reveal(), privateKey, password })
    return known
  }
  return {
    inventory: async () => inventoryOf(read().leaf),
    obtain: async (request, journal) => {
      const bundle = read()
      if (!request.isNews(inventoryOf(bundle.leaf)))
        throw new RotationError(
          'not-renewed',
          `${driver}: it holds nothing newer than what is bound; its certificate ends at ${iso(bundle.leaf.notAfter)}`,
          {
            retry: 'never',
            hint: `Get a new certificate, and put it with its key to where sources.${name} points.`,
          },
        )
      const { chains, privateKey } = bundle
      await journal.adoptKey(privateKey)
      return { kind: 'obtained', chainPem: chains.find(request.accepts) ?? chains[0] }
    },
    abandon: async () => {},
  }
}

/**
 * A certificate that was bought elsewhere: chain and key from secret references. They are read with the settings.
 * @throws RotationError `certificate-invalid` (the key is another's, or cannot be opened; the chain has gaps or strangers),
 *   `not-renewed`
 */
export default defineSource({
  settings,
  create,
  docs: {
    link: 'https://www.rfc-editor.org/rfc/rfc7468',
    says: 'bought elsewhere: `certificate` (PEM, in any order), `privateKey`, and `password` if the key is encrypted, all by reference; due when another, newer one is there',
  },
})
