import type { StackName } from '../model/device-profile.ts'
import { SHA224, SHA256_AND_UP } from '../x509/details.ts'

/**
 * What common TLS stacks take when nobody changed their defaults: limits here, which a profile may replace, and the
 * stack whose own rules are followed (lib/devices/stacks). Where versions of one preset differ, the strictest decides;
 * docs/devices.md says what each preset stands for. A firmware may be built with other settings: what is known of it
 * goes first.
 */

/** The part of a profile that a stack decides. */
export interface Preset {
  readonly stack: StackName
  readonly keyTypes?: readonly string[]
  readonly issuerKeyTypes?: readonly string[]
  readonly signatureAlgorithms?: readonly string[]
  readonly maxChainBytes?: number
  readonly maxChainDepth?: number
  readonly needsWholeChain?: boolean
}

const RSA_FROM_2048 = ['rsa-2048', 'rsa-3072', 'rsa-4096']
const CURVES = ['ec-256', 'ec-384', 'ec-521']

/** Leaf and 8 intermediates: MBEDTLS_X509_MAX_INTERMEDIATE_CA (`include/mbedtls/x509.h`). */
const MBEDTLS_SENT = 9
/**
 * One record of 16384 bytes holds the Certificate message: its header (4), the length of the list (3) and of
 * each certificate (3, and 2 of extensions in TLS 1.3), and in TLS 1.3 the request context (1).
 */
const ONE_RECORD_BYTES = 16_384 - 4 - 1 - 3 - MBEDTLS_SENT * 5

const MBEDTLS_3: Preset = {
  stack: 'mbedtls-3',
  // Default certificate profile: SHA-256 and up, RSA from 2048 bits, curves from 255 bits; RSASSA-PSS is read, too.
  // https://docs.esp-rs.org/esp-idf-hal/esp_idf_sys/static.mbedtls_x509_crt_profile_default.html
  signatureAlgorithms: [...SHA256_AND_UP, 'rsassaPss'],
  keyTypes: [...RSA_FROM_2048, ...CURVES],
  // "Restrictions on keys ... apply to all certificates: trusted root, intermediate CAs if any, and end entity".
  // https://docs.esp-rs.org/esp-idf-hal/esp_idf_sys/fn.mbedtls_x509_crt_verify_with_profile.html
  issuerKeyTypes: ['rsa-2048', ...CURVES],
  // Up to 3.6.5 the whole message must come in one record; 3.6.6 puts together what fits into its buffer, which is
  // as long (MBEDTLS_SSL_IN_CONTENT_LEN). https://github.com/Mbed-TLS/mbedtls/issues/1840
  // https://github.com/Mbed-TLS/mbedtls/pull/10714
  maxChainBytes: ONE_RECORD_BYTES,
  maxChainDepth: MBEDTLS_SENT,
}

export const PRESETS: Readonly<Record<string, Preset>> = {
  'mbedtls-2': {
    stack: 'mbedtls-2',
    // Default certificate profile since 2.6: SHA-224 and up, no SHA-1.
    // https://os.mbed.com/teams/Arcola/code/mbedtls//diff/bbdeda018a3c/library/x509_crt.c
    signatureAlgorithms: [...SHA224, ...SHA256_AND_UP, 'rsassaPss'],
    // In the same profile: RSA from 2048 bits, any curve; "enforced for all certificates in the chain".
    // https://android.googlesource.com/platform/external/mbedtls/+/65eefc870%5E%21/
    keyTypes: [...RSA_FROM_2048, ...CURVES],
    issuerKeyTypes: ['rsa-2048', ...CURVES],
    // "TLS handshake fragmentation not supported": the whole message must come in one record.
    // https://github.com/Mbed-TLS/mbedtls/issues/1840
    maxChainBytes: ONE_RECORD_BYTES,
    maxChainDepth: MBEDTLS_SENT,
  },
  'mbedtls-3': MBEDTLS_3,
  // ESP-IDF 5 builds on Mbed TLS 3, with CONFIG_MBEDTLS_SSL_IN_CONTENT_LEN of 16384; with its bundle of roots
  // (esp_crt_bundle_attach) what is sent last must lead to one of them.
  // https://docs.espressif.com/projects/esp-idf/en/v5.3.3/esp32c5/api-reference/protocols/esp_crt_bundle.html
  'esp-idf': { ...MBEDTLS_3, stack: 'esp-bundle' },
  // With roots of its own, as PEM (cert_pem, esp_tls_cfg_t.cacert_buf).
  'esp-idf-pem': MBEDTLS_3,
  wolfssl: {
    stack: 'wolfssl',
    // MAX_CHAIN_DEPTH certificates of MAX_X509_SIZE bytes.
    // https://github.com/wolfSSL/wolfssl/blob/001469589b30c4d8278a1aa5070988627906d1dc/wolfssl/internal.h
    maxChainDepth: 9,
    maxChainBytes: 9 * 2_048,
    // "Without this, all certificates sent by a peer must be used in the trust chain or the connection will be
    // rejected": WOLFSSL_ALT_CERT_CHAINS, off by default. A cross-sign beyond the root that is held ends in -188.
    // https://github.com/wolfSSL/wolfssl/pull/7317 https://github.com/wolfSSL/wolfssl/issues/7344
    needsWholeChain: true,
  },
  openssl: {
    stack: 'openssl',
    // "The default value for the maximum certificate chain size is 100kB."
    // https://manned.org/SSL_set_max_cert_list.3
    maxChainBytes: 102_400,
    // SHA-1 and MD5 are forbidden in signatures of certificates from security level 1 on; 2 is the default of Debian
    // and of OpenSSL from 3.2 on, and wants RSA keys of 2048 bits (see stacks/openssl.ts).
    // https://docs.openssl.org/3.2/man3/SSL_CTX_set_security_level/
    signatureAlgorithms: [...SHA224, ...SHA256_AND_UP, 'rsassaPss', 'ED25519', 'ED448'],
  },
}
