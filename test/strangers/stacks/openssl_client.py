"""The client of openssl.c once more, with the OpenSSL that the package cryptography brings."""
import socket
import sys

from OpenSSL import SSL, crypto

BEGIN = b"-----BEGIN CERTIFICATE-----"


def shake(port, host, path):
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    store = context.get_cert_store()
    with open(path, "rb") as file:
        for part in file.read().split(BEGIN)[1:]:
            # Through OpenSSL alone: cryptography itself would not read all of them.
            bio = SSL._lib.BIO_new_mem_buf(SSL._ffi.from_buffer(text := BEGIN + part), len(text))
            null = SSL._ffi.NULL
            root = SSL._lib.PEM_read_bio_X509(bio, null, null, null)
            if root != null:
                SSL._lib.X509_STORE_add_cert(store._store, root)
    context.set_verify(SSL.VERIFY_PEER)
    raw = socket.create_connection(("127.0.0.1", port), 20)
    raw.settimeout(None)
    connection = SSL.Connection(context, raw)
    connection.set_tlsext_host_name(host.encode())
    connection.set_verify(SSL.VERIFY_PEER)
    param = SSL._lib.SSL_get0_param(connection._ssl)
    SSL._lib.X509_VERIFY_PARAM_set1_host(param, host.encode(), len(host))
    connection.set_connect_state()
    try:
        connection.do_handshake()
        return "ok"
    except SSL.Error as error:
        said = SSL._lib.SSL_get_verify_result(connection._ssl)
        why = SSL._ffi.string(SSL._lib.X509_verify_cert_error_string(said)).decode() if said else repr(error)
        return f"no {why}".replace("\n", " ")
    finally:
        raw.close()


print(SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode().split()[1], flush=True)
for line in sys.stdin:
    port, host, path = line.split()
    print(shake(int(port), host, path), flush=True)
