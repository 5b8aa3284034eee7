/* Calls of OpenSSL that return whether they succeeded. The one that kernel.fault names fails, as if OpenSSL had no
   memory. Include this between "kernel.h" and "../../ws.h". */
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

/* Functions, not macros, so that each is one condition in ws.h, like the call that it replaces. */
static inline int openssl_add_chain(SSL_CTX *context, X509 *certificate) {
    return openssl_fails() ? 0 : (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int openssl_least_version(SSL_CTX *context, int version) {
    return openssl_fails() ? 0 : (int)SSL_CTX_set_min_proto_version(context, version);
}

static inline int openssl_name(SSL *ssl, const char *name) {
    return openssl_fails() ? 0 : (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline int openssl_BIO_meth_set_read(BIO_METHOD *method, int (*function)(BIO *, char *, int)) {
    return openssl_fails() ? 0 : BIO_meth_set_read(method, function);
}

static inline int openssl_BIO_meth_set_write(BIO_METHOD *method, int (*function)(BIO *, const char *, int)) {
    return openssl_fails() ? 0 : BIO_meth_set_write(method, function);
}

static inline int openssl_BIO_meth_set_ctrl(BIO_METHOD *method, long (*function)(BIO *, int, long, void *)) {
    return openssl_fails() ? 0 : BIO_meth_set_ctrl(method, function);
}

static inline int openssl_SSL_CTX_use_certificate(SSL_CTX *context, X509 *own) {
    return openssl_fails() ? 0 : SSL_CTX_use_certificate(context, own);
}

static inline int openssl_SSL_CTX_use_PrivateKey(SSL_CTX *context, EVP_PKEY *key) {
    return openssl_fails() ? 0 : SSL_CTX_use_PrivateKey(context, key);
}

static inline int openssl_SSL_CTX_add_client_CA(SSL_CTX *context, X509 *authority) {
    return openssl_fails() ? 0 : SSL_CTX_add_client_CA(context, authority);
}

static inline int openssl_SSL_CTX_set_session_id_context(SSL_CTX *context, const unsigned char *id,
                                                         unsigned size) {
    return openssl_fails() ? 0 : SSL_CTX_set_session_id_context(context, id, size);
}

static inline int openssl_SSL_CTX_set_alpn_protos(SSL_CTX *context, const unsigned char *names, unsigned size) {
    return openssl_fails() ? 1 : SSL_CTX_set_alpn_protos(context, names, size);
}

static inline int openssl_SSL_CTX_set_default_verify_paths(SSL_CTX *context) {
    return openssl_fails() ? 0 : SSL_CTX_set_default_verify_paths(context);
}

static inline int openssl_SSL_CTX_up_ref(SSL_CTX *context) {
    return openssl_fails() ? 0 : SSL_CTX_up_ref(context);
}

static inline int openssl_X509_STORE_add_cert(X509_STORE *store, X509 *certificate) {
    return openssl_fails() ? 0 : X509_STORE_add_cert(store, certificate);
}

static inline int openssl_X509_STORE_add_crl(X509_STORE *store, X509_CRL *list) {
    return openssl_fails() ? 0 : X509_STORE_add_crl(store, list);
}

static inline int openssl_X509_STORE_set_flags(X509_STORE *store, unsigned long flags) {
    return openssl_fails() ? 0 : X509_STORE_set_flags(store, flags);
}

static inline int openssl_X509_VERIFY_PARAM_set1_host(X509_VERIFY_PARAM *parameters, const char *name,
                                                      size_t size) {
    return openssl_fails() ? 0 : X509_VERIFY_PARAM_set1_host(parameters, name, size);
}

static inline int openssl_X509_NAME_print_ex(BIO *bio, const X509_NAME *name, int indent, unsigned long flags) {
    return openssl_fails() ? -1 : X509_NAME_print_ex(bio, name, indent, flags);
}

static inline unsigned char *openssl_HMAC(const EVP_MD *method, const void *key, int key_size,
                                          const unsigned char *data, size_t size, unsigned char *mac,
                                          unsigned *mac_size) {
    return openssl_fails() ? NULL : HMAC(method, key, key_size, data, size, mac, mac_size);
}

#undef SSL_CTX_add1_chain_cert
#undef SSL_CTX_set_min_proto_version
#undef SSL_set_tlsext_host_name
#define SSL_CTX_add1_chain_cert openssl_add_chain
#define SSL_CTX_set_min_proto_version openssl_least_version
#define SSL_set_tlsext_host_name openssl_name
#define BIO_meth_set_read openssl_BIO_meth_set_read
#define BIO_meth_set_write openssl_BIO_meth_set_write
#define BIO_meth_set_ctrl openssl_BIO_meth_set_ctrl
#define SSL_CTX_use_certificate openssl_SSL_CTX_use_certificate
#define SSL_CTX_use_PrivateKey openssl_SSL_CTX_use_PrivateKey
#define SSL_CTX_add_client_CA openssl_SSL_CTX_add_client_CA
#define SSL_CTX_set_session_id_context openssl_SSL_CTX_set_session_id_context
#define SSL_CTX_set_alpn_protos openssl_SSL_CTX_set_alpn_protos
#define SSL_CTX_set_default_verify_paths openssl_SSL_CTX_set_default_verify_paths
#define SSL_CTX_up_ref openssl_SSL_CTX_up_ref
#define X509_STORE_add_cert openssl_X509_STORE_add_cert
#define X509_STORE_add_crl openssl_X509_STORE_add_crl
#define X509_STORE_set_flags openssl_X509_STORE_set_flags
#define X509_VERIFY_PARAM_set1_host openssl_X509_VERIFY_PARAM_set1_host
#define X509_NAME_print_ex openssl_X509_NAME_print_ex
#define HMAC openssl_HMAC

#endif
