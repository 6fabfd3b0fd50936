import { SHA256_AND_UP } from '../x509/details.ts'

/**
 * What common TLS stacks take when nobody changed their defaults. Only what a public source says; whatever is
 * left out is not limited. A firmware may be built with other settings: what is known of it goes first.
 */

/** The part of a profile that a stack decides. */
export interface Preset {
  readonly keyTypes?: readonly string[]
  readonly issuerKeyTypes?: readonly string[]
  readonly signatureAlgorithms?: readonly string[]
  readonly maxChainBytes?: number
  readonly maxChainDepth?: number
  readonly needsWholeChain?: boolean
}

const RSA_FROM_2048 = ['rsa-2048', 'rsa-3072', 'rsa-4096']
const CURVES = ['ec-256', 'ec-384', 'ec-521']

/** Leaf and 8 intermediates. */
const MBEDTLS_SENT = 9
/**
 * One record of 16384 bytes holds the Certificate message: its header (4), the length of the list (3) and of
 * each certificate (3, and 2 of extensions in TLS 1.3), and in TLS 1.3 the request context (1).
 */
const ONE_RECORD_BYTES = 16_384 - 4 - 1 - 3 - MBEDTLS_SENT * 5

export const PRESETS: Readonly<Record<string, Preset>> = {
  'mbedtls-2': {
    // Default certificate profile since 2.6: SHA-224 and up, no SHA-1.
    // https://os.mbed.com/teams/Arcola/code/mbedtls//diff/bbdeda018a3c/library/x509_crt.c
    signatureAlgorithms: ['sha224WithRSAEncryption', 'ecdsa-with-SHA224', ...SHA256_AND_UP],
    // In the same profile: RSA from 2048 bits, any curve; "enforced for all certificates in the chain".
    // https://android.googlesource.com/platform/external/mbedtls/+/65eefc870%5E%21/
    issuerKeyTypes: ['rsa-2048', ...CURVES],
    // "TLS handshake fragmentation not supported": the whole message must come in one record.
    // https://github.com/Mbed-TLS/mbedtls/issues/1840
    maxChainBytes: ONE_RECORD_BYTES,
    // MBEDTLS_X509_MAX_INTERMEDIATE_CA.
    // https://android.googlesource.com/platform/external/mbedtls/+/9505164ef/include/mbedtls/x509.h
    maxChainDepth: MBEDTLS_SENT,
  },
  'mbedtls-3': {
    // Default certificate profile: SHA-256 and up, RSA from 2048 bits, curves from 255 bits.
    // https://docs.esp-rs.org/esp-idf-hal/esp_idf_sys/static.mbedtls_x509_crt_profile_default.html
    signatureAlgorithms: SHA256_AND_UP,
    keyTypes: [...RSA_FROM_2048, ...CURVES],
    // "Restrictions on keys ... apply to all certificates: trusted root, intermediate CAs if any, and end entity".
    // https://docs.esp-rs.org/esp-idf-hal/esp_idf_sys/fn.mbedtls_x509_crt_verify_with_profile.html
    issuerKeyTypes: ['rsa-2048', ...CURVES],
    // MBEDTLS_X509_MAX_INTERMEDIATE_CA.
    // https://docs.esp-rs.org/esp-idf-svc/esp_idf_svc/hal/sys/constant.MBEDTLS_X509_MAX_INTERMEDIATE_CA.html
    maxChainDepth: MBEDTLS_SENT,
  },
  'esp-idf': {
    // As mbedtls-3, which ESP-IDF 5 builds on. https://docs.espressif.com/projects/esp-idf/en/v5.3.3/esp32c5/api-reference/protocols/mbedtls.html
    signatureAlgorithms: SHA256_AND_UP,
    keyTypes: [...RSA_FROM_2048, ...CURVES],
    issuerKeyTypes: ['rsa-2048', ...CURVES],
    maxChainDepth: MBEDTLS_SENT,
    // CONFIG_MBEDTLS_SSL_IN_CONTENT_LEN is 16384, and handshake messages are put together from several records
    // only since Mbed TLS 3.6.6.
    // https://docs.esp-rs.org/esp-idf-svc/esp_idf_svc/hal/sys/constant.CONFIG_MBEDTLS_SSL_IN_CONTENT_LEN.html
    // https://github.com/Mbed-TLS/mbedtls/pull/10714
    maxChainBytes: ONE_RECORD_BYTES,
  },
  wolfssl: {
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
    // "The default value for the maximum certificate chain size is 100kB."
    // https://manned.org/SSL_set_max_cert_list.3
    maxChainBytes: 102_400,
    // SHA-1 and MD5 are forbidden in signatures of certificates at security level 1, the default.
    // https://www.mail-archive.com/openssl-commits@openssl.org/msg33797.html
    signatureAlgorithms: [
      'sha224WithRSAEncryption',
      'ecdsa-with-SHA224',
      ...SHA256_AND_UP,
      'rsassaPss',
      'ED25519',
      'ED448',
    ],
  },
}
