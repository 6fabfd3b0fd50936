#include "client.h"
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

static const char *version(void)
{
    static char text[32];
    mbedtls_version_get_string(text);
    return text;
}

#ifdef BUNDLE
/*
 * As the certificate bundle of ESP-IDF 5.x decides: no CA is known to Mbed TLS, and of the last certificate that it
 * finds the issuer is looked for among the roots, byte for byte, the first of that name; its key must have signed.
 */
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>

/* The bundle has names and keys, and says nothing of extensions. */
static int any_extension(void *none, mbedtls_x509_crt const *crt, mbedtls_x509_buf const *oid, int critical,
                         const unsigned char *from, const unsigned char *to)
{
    (void) none; (void) crt; (void) oid; (void) critical; (void) from; (void) to;
    return 0;
}

static void hold_names_and_keys(mbedtls_x509_crt *held, const char *roots)
{
    size_t used;
    while ((roots = strstr(roots, PEM_BEGIN))) {
        mbedtls_pem_context pem;
        mbedtls_pem_init(&pem);
        if (mbedtls_pem_read_buffer(&pem, PEM_BEGIN, "-----END CERTIFICATE-----", (const unsigned char *) roots, NULL, 0, &used) == 0) {
            const unsigned char *der = mbedtls_pem_get_buffer(&pem, &used);
            mbedtls_x509_crt_parse_der_with_ext_cb(held, der, used, 1, any_extension, NULL);
        }
        mbedtls_pem_free(&pem);
        roots++;
    }
}

static int asked(void *held, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    mbedtls_x509_crt *root;
    unsigned char hash[64];
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(crt->MBEDTLS_PRIVATE(sig_md));
    (void) depth;
    if ((*flags & ~MBEDTLS_X509_BADCERT_BAD_MD) != MBEDTLS_X509_BADCERT_NOT_TRUSTED) return 0;
    for (root = held; root && root->raw.p; root = root->next) {
        if (root->subject_raw.len != crt->issuer_raw.len) continue;
        if (memcmp(root->subject_raw.p, crt->issuer_raw.p, crt->issuer_raw.len) != 0) continue;
        if (mbedtls_md(md, crt->tbs.p, crt->tbs.len, hash) != 0) break;
        if (mbedtls_pk_verify_ext(crt->MBEDTLS_PRIVATE(sig_pk), crt->MBEDTLS_PRIVATE(sig_opts), &root->pk,
                                  crt->MBEDTLS_PRIVATE(sig_md), hash, mbedtls_md_get_size(md),
                                  crt->MBEDTLS_PRIVATE(sig).p, crt->MBEDTLS_PRIVATE(sig).len) != 0) break;
        *flags = 0;
        return 0;
    }
    return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}
#endif

static const char *shake(int fd, const char *host, char *roots)
{
    static char why[256];
    static mbedtls_entropy_context entropy;
    static mbedtls_ctr_drbg_context random;
    static int ready = 0;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_x509_crt held;
    mbedtls_net_context net = { .fd = fd };
    int result;
    if (!ready) {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&random);
        if (mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0)) exit(4);
#if MBEDTLS_VERSION_MAJOR >= 3
        psa_crypto_init();
#endif
        ready = 1;
    }
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&held);
#ifdef BUNDLE
    hold_names_and_keys(&held, roots);
#else
    /* A negative number, or of those that cannot be read: the others are held all the same. */
    mbedtls_x509_crt_parse(&held, (unsigned char *) roots, strlen(roots) + 1);
#endif
    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
#ifdef BUNDLE
    static mbedtls_x509_crt nobody;
    mbedtls_ssl_conf_ca_chain(&config, &nobody, NULL);
    mbedtls_ssl_conf_verify(&config, asked, &held);
#else
    mbedtls_ssl_conf_ca_chain(&config, &held, NULL);
#endif
    mbedtls_ssl_setup(&ssl, &config);
    mbedtls_ssl_set_hostname(&ssl, host);
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    do result = mbedtls_ssl_handshake(&ssl);
    while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
    if (result != 0) {
        uint32_t flags = mbedtls_ssl_get_verify_result(&ssl);
        size_t used;
        mbedtls_strerror(result, why, sizeof why);
        used = strlen(why);
        if (result == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags != (uint32_t) -1)
            mbedtls_x509_crt_verify_info(why + used, sizeof why - used, " ", flags);
        for (char *c = why; *c; c++) if (*c == '\n') *c = ' ';
    }
    mbedtls_ssl_free(&ssl);
    mbedtls_ssl_config_free(&config);
    mbedtls_x509_crt_free(&held);
    return result == 0 ? NULL : why;
}
