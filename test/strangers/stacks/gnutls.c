#include "client.h"
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

static const char *version(void) { return gnutls_check_version(NULL); }

static const char *shake(int fd, const char *host, char *roots)
{
    static char why[256];
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    gnutls_datum_t held = { (unsigned char *) roots, strlen(roots) };
    int result;
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_certificate_set_x509_trust_mem(credentials, &held, GNUTLS_X509_FMT_PEM);
    gnutls_init(&session, GNUTLS_CLIENT);
    gnutls_server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host));
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_session_set_verify_cert(session, host, 0);
    gnutls_transport_set_int(session, fd);
    do result = gnutls_handshake(session);
    while (result < 0 && gnutls_error_is_fatal(result) == 0);
    if (result < 0) {
        gnutls_datum_t said = { NULL, 0 };
        unsigned status = gnutls_session_get_verify_cert_status(session);
        snprintf(why, sizeof why, "%s", gnutls_strerror(result));
        if (result == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
            gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &said, 0) == 0) {
            snprintf(why, sizeof why, "%s", said.data);
            gnutls_free(said.data);
        }
    }
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    return result < 0 ? why : NULL;
}
