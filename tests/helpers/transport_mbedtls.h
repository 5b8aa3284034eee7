/*
   mbedTLS (2.28) as a ws_transport: an example of how to use another TLS library.

       static mbed mbed;
       if (!mbed_start(&mbed, true, cert_pem, key_pem, NULL)) ...      for a server; texts as in ws_tls_config
       server_config.transport = &mbed.transport;
       ...
       mbed_end(&mbed);                                                after ws_loop_free

   The handshake needs no call of its own: mbedTLS does it inside read and write.
*/
#ifndef TRANSPORT_MBEDTLS_H
#define TRANSPORT_MBEDTLS_H

#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef struct mbed { /* what the connections of one server, or of clients, share */
    ws_transport transport;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt own, ca;
    mbedtls_pk_context key;
    mbedtls_ssl_config config;
} mbed;

typedef struct mbed_session { /* one connection's state */
    mbedtls_ssl_context ssl;
    int descriptor;
    size_t unfinished; /* the size of the write that must be repeated */
    int error;         /* why it failed */
} mbed_session;

/* --- between mbedTLS and the socket --- */

static inline int mbed_socket_error(int wanted, int failed) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? wanted : failed;
}

static inline int mbed_send(void *session, const unsigned char *data, size_t size) {
    ssize_t sent = send(((mbed_session *)session)->descriptor, data, size, MSG_NOSIGNAL);
    return sent >= 0 ? (int)sent : mbed_socket_error(MBEDTLS_ERR_SSL_WANT_WRITE, MBEDTLS_ERR_NET_SEND_FAILED);
}

static inline int mbed_receive(void *session, unsigned char *data, size_t size) {
    ssize_t got = recv(((mbed_session *)session)->descriptor, data, size, 0);
    return got >= 0 ? (int)got : mbed_socket_error(MBEDTLS_ERR_SSL_WANT_READ, MBEDTLS_ERR_NET_RECV_FAILED);
}

/* --- between ws.h and mbedTLS --- */

/* Translates a result of mbedTLS. A read may have to wait until it can send, and a write until it can receive. */
static inline ptrdiff_t mbed_result(ws_link *link, int result) {
    mbed_session *session = (mbed_session *)link->session;
    switch (result) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        link->wants = WS_READ;
        return 0;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        link->wants = WS_WRITE;
        return 0;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return WS_ENDED;
    default:
        if (result > 0)
            return result;
        session->error = result ? result : MBEDTLS_ERR_SSL_CONN_EOF; /* the stream ended without close_notify */
        return WS_FAILED;
    }
}

static inline bool mbed_open(ws_link *link, const char *host, void *user) {
    mbed_session *session = (mbed_session *)calloc(1, sizeof *session);
    if (!session)
        return false;
    mbedtls_ssl_init(&session->ssl);
    session->descriptor = link->descriptor;
    if (mbedtls_ssl_setup(&session->ssl, &((mbed *)user)->config) != 0
        || (host && mbedtls_ssl_set_hostname(&session->ssl, host) != 0)) {
        mbedtls_ssl_free(&session->ssl);
        free(session);
        return false;
    }
    mbedtls_ssl_set_bio(&session->ssl, session, mbed_send, mbed_receive, NULL);
    link->session = session;
    return true;
}

static inline ptrdiff_t mbed_read(ws_link *link, void *data, size_t size) {
    mbed_session *session = (mbed_session *)link->session;
    ptrdiff_t got = mbed_result(link, mbedtls_ssl_read(&session->ssl, (unsigned char *)data, size));
    link->pending = got > 0 && mbedtls_ssl_check_pending(&session->ssl); /* select does not see these bytes */
    return got;
}

/* To send the rest of an encrypted record, mbedTLS wants the same call again, and returns the size given to it. So that
   must be the size of the first call. */
static inline ptrdiff_t mbed_write(ws_link *link, const void *data, size_t size) {
    mbed_session *session = (mbed_session *)link->session;
    ptrdiff_t sent;
    if (session->unfinished)
        size = session->unfinished;
    sent = mbed_result(link, mbedtls_ssl_write(&session->ssl, (const unsigned char *)data, size));
    session->unfinished = sent ? 0 : size;
    return sent;
}

static inline ptrdiff_t mbed_shut(ws_link *link) {
    int result = mbedtls_ssl_close_notify(&((mbed_session *)link->session)->ssl);
    return result ? mbed_result(link, result) : 1;
}

static inline void mbed_close(ws_link *link) {
    mbed_session *session = (mbed_session *)link->session;
    mbedtls_ssl_free(&session->ssl);
    free(session);
    link->session = NULL;
}

static inline ws_error mbed_reason(ws_link *link, char *text, size_t size) {
    const mbed_session *session = (const mbed_session *)link->session;
    if (!session || !session->error || session->error == MBEDTLS_ERR_SSL_CONN_EOF)
        return WS_OK;
    if (session->error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
        (void)mbedtls_x509_crt_verify_info(text, size, "", mbedtls_ssl_get_verify_result(&session->ssl));
        text[strcspn(text, "\n")] = 0;
        return WS_ERROR_CERTIFICATE;
    }
    mbedtls_strerror(session->error, text, size);
    return WS_ERROR_TLS;
}

/* --- start and end --- */

static inline void mbed_end(mbed *m) {
    mbedtls_ssl_config_free(&m->config);
    mbedtls_pk_free(&m->key);
    mbedtls_x509_crt_free(&m->own);
    mbedtls_x509_crt_free(&m->ca);
    mbedtls_ctr_drbg_free(&m->random);
    mbedtls_entropy_free(&m->entropy);
}

static inline bool mbed_certificate(mbedtls_x509_crt *to, const char *pem) {
    return !pem || mbedtls_x509_crt_parse(to, (const unsigned char *)pem, strlen(pem) + 1) == 0;
}

/* The texts are PEM, or NULL. A client needs ca_pem; a server needs cert_pem and key_pem, and if ca_pem is set, each
   client must present a certificate. false: a text is invalid. */
static inline bool mbed_start(mbed *m, bool server, const char *cert_pem, const char *key_pem, const char *ca_pem) {
    static const char *protocols[] = {"http/1.1", NULL};
    const ws_transport transport = {mbed_open, mbed_read, mbed_write, mbed_shut, mbed_close, mbed_reason, m};
    m->transport = transport;
    mbedtls_entropy_init(&m->entropy);
    mbedtls_ctr_drbg_init(&m->random);
    mbedtls_x509_crt_init(&m->own);
    mbedtls_x509_crt_init(&m->ca);
    mbedtls_pk_init(&m->key);
    mbedtls_ssl_config_init(&m->config);
    if (mbedtls_ctr_drbg_seed(&m->random, mbedtls_entropy_func, &m->entropy, NULL, 0) != 0
        || !mbed_certificate(&m->own, cert_pem) || !mbed_certificate(&m->ca, ca_pem)
        || (key_pem && mbedtls_pk_parse_key(&m->key, (const unsigned char *)key_pem, strlen(key_pem) + 1, NULL, 0) != 0)
        || mbedtls_ssl_config_defaults(&m->config, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                       MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0
        || (cert_pem && mbedtls_ssl_conf_own_cert(&m->config, &m->own, &m->key) != 0)
        || mbedtls_ssl_conf_alpn_protocols(&m->config, protocols) != 0) {
        mbed_end(m);
        return false;
    }
    mbedtls_ssl_conf_rng(&m->config, mbedtls_ctr_drbg_random, &m->random);
    mbedtls_ssl_conf_min_version(&m->config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    if (ca_pem)
        mbedtls_ssl_conf_ca_chain(&m->config, &m->ca, NULL);
    mbedtls_ssl_conf_authmode(&m->config, server && !ca_pem ? MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
    return true;
}

#endif
