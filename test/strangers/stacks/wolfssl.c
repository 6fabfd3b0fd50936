#include "client.h"
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

static const char *version(void) { return wolfSSL_lib_version(); }

static const char *shake(int fd, const char *host, char *roots)
{
    static char why[256];
    static int ready = 0;
    WOLFSSL_CTX *context;
    WOLFSSL *ssl;
    int done;
    if (!ready) ready = wolfSSL_Init() == WOLFSSL_SUCCESS;
    context = wolfSSL_CTX_new(wolfSSLv23_client_method());
    /* One by one: those that it does not take are not held, the others are. */
    for (char *root = strstr(roots, PEM_BEGIN); root; ) {
        char *next = strstr(root + 1, PEM_BEGIN);
        long length = next ? next - root : (long) strlen(root);
        wolfSSL_CTX_load_verify_buffer(context, (unsigned char *) root, length, WOLFSSL_FILETYPE_PEM);
        root = next;
    }
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, NULL);
    ssl = wolfSSL_new(context);
    wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, host, strlen(host));
    wolfSSL_check_domain_name(ssl, host);
    wolfSSL_set_fd(ssl, fd);
    done = wolfSSL_connect(ssl) == WOLFSSL_SUCCESS;
    if (!done) {
        int error = wolfSSL_get_error(ssl, 0);
        snprintf(why, sizeof why, "%d %s", error, wolfSSL_ERR_reason_error_string(error));
    }
    wolfSSL_free(ssl);
    wolfSSL_CTX_free(context);
    return done ? NULL : why;
}
