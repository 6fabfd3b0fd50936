#include "client.h"
#include <openssl/err.h>
#include <openssl/ssl.h>

static const char *version(void) { return OpenSSL_version(OPENSSL_VERSION_STRING); }

static int hold(SSL_CTX *context, const char *roots)
{
    BIO *bio = BIO_new_mem_buf(roots, -1);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509 *root;
    int held = 0;
    while ((root = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        held += X509_STORE_add_cert(store, root);
        X509_free(root);
    }
    BIO_free(bio);
    return held;
}

static const char *shake(int fd, const char *host, char *roots)
{
    static char why[256];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl;
    int done;
    hold(context, roots);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, host);
    SSL_set1_host(ssl, host);
    ERR_clear_error();
    done = SSL_connect(ssl) == 1;
    if (!done) {
        long verdict = SSL_get_verify_result(ssl);
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        snprintf(why, sizeof why, "%s", verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : reason ? reason : "?");
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    return done ? NULL : why;
}
