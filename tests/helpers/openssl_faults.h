/*
   Calls of OpenSSL that answer whether they have worked: the one that kernel.fault names does not, as if OpenSSL had no
   memory. Include it between "kernel.h" and "../../ws.h".
*/
#ifndef OPENSSL_FAULTS_H
#define OPENSSL_FAULTS_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline bool openssl_fails(void) { return kernel_fails(KERNEL_OPENSSL); }

static inline int openssl_add_chain(SSL_CTX *context, X509 *certificate) {
    return openssl_fails() ? 0 : (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int openssl_least_version(SSL_CTX *context, int version) {
    return openssl_fails() ? 0 : (int)SSL_CTX_set_min_proto_version(context, version);
}

static inline int openssl_name(SSL *ssl, const char *name) {
    return openssl_fails() ? 0 : (int)SSL_set_tlsext_host_name(ssl, name);
}

#undef SSL_CTX_add1_chain_cert
#undef SSL_CTX_set_min_proto_version
#undef SSL_set_tlsext_host_name
#define SSL_CTX_add1_chain_cert openssl_add_chain
#define SSL_CTX_set_min_proto_version openssl_least_version
#define SSL_set_tlsext_host_name openssl_name
#define OPENSSL_CALL(call) (openssl_fails() ? 0 : (call))
#define BIO_meth_set_read(method, function) OPENSSL_CALL((BIO_meth_set_read)(method, function))
#define BIO_meth_set_write(method, function) OPENSSL_CALL((BIO_meth_set_write)(method, function))
#define BIO_meth_set_ctrl(method, function) OPENSSL_CALL((BIO_meth_set_ctrl)(method, function))
#define SSL_CTX_use_certificate(context, own) OPENSSL_CALL((SSL_CTX_use_certificate)(context, own))
#define SSL_CTX_use_PrivateKey(context, key) OPENSSL_CALL((SSL_CTX_use_PrivateKey)(context, key))
#define SSL_CTX_add_client_CA(context, authority) OPENSSL_CALL((SSL_CTX_add_client_CA)(context, authority))
#define SSL_CTX_set_session_id_context(context, id, size) \
    OPENSSL_CALL((SSL_CTX_set_session_id_context)(context, id, size))
#define SSL_CTX_set_alpn_protos(context, names, size) \
    (openssl_fails() ? 1 : (SSL_CTX_set_alpn_protos)(context, names, size))
#define SSL_CTX_set_default_verify_paths(context) OPENSSL_CALL((SSL_CTX_set_default_verify_paths)(context))
#define SSL_CTX_up_ref(context) OPENSSL_CALL((SSL_CTX_up_ref)(context))
#define X509_STORE_add_cert(store, certificate) OPENSSL_CALL((X509_STORE_add_cert)(store, certificate))
#define X509_STORE_add_crl(store, list) OPENSSL_CALL((X509_STORE_add_crl)(store, list))
#define X509_STORE_set_flags(store, flags) OPENSSL_CALL((X509_STORE_set_flags)(store, flags))
#define X509_VERIFY_PARAM_set1_host(parameters, name, size) \
    OPENSSL_CALL((X509_VERIFY_PARAM_set1_host)(parameters, name, size))
#define X509_NAME_print_ex(bio, name, indent, flags) \
    (openssl_fails() ? -1 : (X509_NAME_print_ex)(bio, name, indent, flags))
#define HMAC(method, key, key_size, data, size, mac, mac_size) \
    (openssl_fails() ? NULL : (HMAC)(method, key, key_size, data, size, mac, mac_size))

#endif
