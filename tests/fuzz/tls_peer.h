/*
   The far end of a TLS connection of network.h: OpenSSL over memory. Include it behind network.h and certs.h.
*/
#ifndef TLS_PEER_H
#define TLS_PEER_H

typedef struct tls_peer {
    SSL *ssl;      /* NULL: there is none */
    bytes waiting; /* in clear: what is sent after the handshake */
    bool over;     /* it failed */
} tls_peer;

static SSL_CTX *tls_peers;

/* What OpenSSL has written goes to the library. */
static void tls_peer_flush(tls_peer *t, network_peer *peer) {
    char data[4096];
    int size;
    while ((size = BIO_read(SSL_get_wbio(t->ssl), data, sizeof data)) > 0)
        if (!peer->finished && !peer->reset)
            bytes_add(&peer->in, data, (size_t)size);
}

static void tls_peer_fails(tls_peer *t, int result) {
    int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, result);
    t->over = t->over || (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ);
    ERR_clear_error();
}

static void tls_peer_advance(tls_peer *t, network_peer *peer) {
    if (!t->over && !SSL_is_init_finished(t->ssl))
        tls_peer_fails(t, SSL_do_handshake(t->ssl));
    if (!t->over && t->waiting.size && SSL_is_init_finished(t->ssl)) {
        tls_peer_fails(t, SSL_write(t->ssl, t->waiting.data, (int)t->waiting.size));
        t->waiting.size = 0;
    }
    tls_peer_flush(t, peer);
}

/* old: with TLS 1.2. shows: its certificate; NULL: it has none. */
static void tls_peer_begin(tls_peer *t, network_peer *peer, bool old, const cert *shows) {
    if (!tls_peers)
        tls_peers = SSL_CTX_new(TLS_client_method());
    t->ssl = SSL_new(tls_peers);
    HOLDS(t->ssl && (!old || SSL_set_max_proto_version(t->ssl, TLS1_2_VERSION) == 1));
    if (shows)
        HOLDS(SSL_use_certificate(t->ssl, shows->x509) == 1 && SSL_use_PrivateKey(t->ssl, shows->key) == 1);
    else if (!old)
        HOLDS(SSL_set_alpn_protos(t->ssl, (const unsigned char *)"\2h2\x08http/1.1", 12) == 0);
    SSL_set_connect_state(t->ssl);
    SSL_set_bio(t->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    tls_peer_advance(t, peer);
}

static void tls_peer_send(tls_peer *t, network_peer *peer, const void *data, size_t size) {
    bytes_add(&t->waiting, data, size);
    tls_peer_advance(t, peer);
}

/* Decrypts what the library has sent from *at on. */
static void tls_peer_read(tls_peer *t, network_peer *peer, size_t *at, bytes *got) {
    static char data[20000];
    int size = 0;
    if (peer->out.size > *at)
        (void)BIO_write(SSL_get_rbio(t->ssl), peer->out.data + *at, (int)(peer->out.size - *at));
    *at = peer->out.size;
    tls_peer_advance(t, peer);
    while (!t->over && SSL_is_init_finished(t->ssl) && (size = SSL_read(t->ssl, data, sizeof data)) > 0)
        bytes_add(got, data, (size_t)size);
    if (size < 0)
        tls_peer_fails(t, size);
    tls_peer_flush(t, peer);
}

/* What a peer may do beside sending. */
static void tls_peer_act(tls_peer *t, network_peer *peer, unsigned what) {
    bool ready = !t->over && SSL_is_init_finished(t->ssl), newest = SSL_version(t->ssl) == TLS1_3_VERSION;
    if (!ready)
        return;
    if (what & 1)
        (void)SSL_shutdown(t->ssl);
    else if (newest)
        (void)SSL_key_update(t->ssl, what & 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
    else
        (void)SSL_renegotiate(t->ssl);
    if (!(what & 1))
        tls_peer_fails(t, SSL_do_handshake(t->ssl));
    ERR_clear_error();
    tls_peer_flush(t, peer);
}

static void tls_peer_free(tls_peer *t) {
    SSL_free(t->ssl);
    bytes_free(&t->waiting);
    t->ssl = NULL;
}

#endif
