/* How the tests of TLS begin: servers with a certificate of certs.h, and clients of ws.h and raw peers that connect
   to them. */
#ifndef TLS_START_H
#define TLS_START_H

#include "tls.h"

enum { MIB = 1 << 20, LONG_MS = 3600000 };

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static inline const char *version_name(int version) { return version == TLS1_2_VERSION ? "TLS 1.2" : "TLS 1.3"; }

/* --- configs --- */

static inline ws_tls_config with(const cert *own) {
    ws_tls_config tls;
    memset(&tls, 0, sizeof tls);
    tls.cert_pem = own->pem;
    tls.key_pem = own->key_pem;
    return tls;
}

static inline ws_client_config trusting(void) {
    ws_client_config config;
    memset(&config, 0, sizeof config);
    config.tls.ca_pem = certs.ca.pem;
    return config;
}

static inline bool start_server(const ws_tls_config *tls, const ws_limits *limits) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.tls = *tls;
    if (limits)
        config.limits = *limits;
    return net_start_with(NULL, &config);
}

static inline bool start(void) {
    ws_tls_config tls = with(&certs.server);
    return start_server(&tls, NULL);
}

/* An SSL_CTX, as a program would make it, that allows only this version. */
static inline SSL_CTX *own_context(const cert *own, int version) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    certs_need(context && SSL_CTX_set_min_proto_version(context, version) == 1
               && SSL_CTX_set_max_proto_version(context, version) == 1);
    if (own)
        certs_need(SSL_CTX_use_certificate(context, own->x509) == 1
                   && SSL_CTX_use_PrivateKey(context, own->key) == 1
                   && SSL_CTX_add1_chain_cert(context, certs.middle.x509) == 1);
    return context;
}

/* A server that allows only this version. */
static inline bool start_version(int version) {
    ws_tls_config tls;
    SSL_CTX *context = own_context(&certs.server, version);
    bool good;
    memset(&tls, 0, sizeof tls);
    tls.ssl_ctx = context;
    good = start_server(&tls, NULL);
    SSL_CTX_free(context);
    return good;
}

static inline tls_client *dial(const ws_client_config *config) {
    return tls_dial_port("wss", ws_port(net.server), config);
}

/* A client of ws.h with an open connection to a raw server, which is returned. */
static inline peer *dial_raw(tls_client **c, int version) {
    ws_client_config config = trusting();
    peer *r;
    *c = tls_dial_port("wss", tls_port(), &config);
    r = tls_accept(&certs.server);
    if (version)
        tls_versions(r, version);
    CHECK(tls_answer(r));
    UNTIL((*c)->opened || (*c)->errors);
    CHECK((*c)->opened);
    (*c)->in.size = 0;
    return r;
}

/* Whether a new client of ws.h gets its echo. Leaves the log unchanged. */
static inline bool serves(void) {
    size_t log = net.log.size;
    ws_client_config config = trusting();
    tls_client *c = dial(&config);
    int i;
    c->first = "alive";
    for (i = 0; i < TLS_TRIES && !c->messages && !c->errors && !c->closed; i++)
        (void)net_round(200);
    (void)ws_close(c->conn, 1000, NULL);
    for (i = 0; i < TLS_TRIES && !c->closed && !c->errors; i++)
        (void)net_round(200);
    (void)net_settle();
    net.log.size = log;
    return c->messages == 1 && c->in.size == 5 && c->code == 1000;
}

/* Sample bytes, in which no part repeats. */
static inline uint8_t *sample(size_t size) {
    uint8_t *data = (uint8_t *)malloc(size + 1);
    uint32_t x = 1;
    size_t i;
    certs_need(data != NULL);
    for (i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (uint8_t)(x >> 24);
    }
    return data;
}

/* --- sessions --- */

static char seen_certificate[400];

static inline void note_certificate(ws_conn *conn, unsigned number) {
    (void)number;
    if (!ws_peer_certificate(conn, seen_certificate, sizeof seen_certificate))
        (void)snprintf(seen_certificate, sizeof seen_certificate, "none");
}

#endif
