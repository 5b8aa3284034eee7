/* TLS: handshakes that stall or are not TLS, ALPN and SNI, sessions, renegotiation and new keys. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#ifdef WS_NO_TLS

#include "../helpers/test.h"

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("TLS handshakes");
    test_skip("built with WS_NO_TLS");
    return test_finish();
}

#else

#include "../helpers/tls_start.h"

/* --- handshakes that do not come to an end --- */

static void test_trickle(void) {
    peer *slow;
    int seconds;
    if (!test_begin("a handshake of a byte a second ends at its deadline; others are served"))
        return;
    CHECK(start());
    slow = tls_connect(0);
    slow->tls->held = true;
    (void)net_settle();
    for (seconds = 0; seconds < 30 && !slow->ended; seconds++) {
        (void)send(slow->fd, slow->tls->unsent.data + seconds, 1, MSG_NOSIGNAL);
        net_wait(1000);
        if (seconds == 4)
            CHECK(serves());
    }
    CHECK(seconds >= 10 && seconds <= 11);
    CHECK_EQ(net.opened, 1);
    CHECK(serves());
    TLS_END();
}

/* What the peer does before it falls silent. */
static void test_silence(int what) {
    static const char *const names[] = {"nothing", "a TLS handshake and no request", "half a request",
                                        "half a ClientHello"};
    peer *r;
    if (!test_begin("%s, then silence, until the handshake's deadline", names[what]))
        return;
    CHECK(start());
    r = tls_connect(0);
    r->tls->held = what == 0 || what == 3;
    if (!r->tls->held)
        CHECK(tls_handshake(r));
    if (what == 2)
        peer_text(r, "GET / HTTP/1.1\r\nHost: a\r\n");
    (void)net_settle();
    if (what == 3)
        CHECK(send(r->fd, r->tls->unsent.data, r->tls->unsent.size / 2, MSG_NOSIGNAL) > 0);
    net_wait(9900);
    CHECK(!r->ended);
    net_wait(200);
    net_wait(5001); /* a close may be awaited */
    CHECK(r->ended);
    CHECK_EQ(net.opened, 0);
    TLS_END();
}

static void test_silent_server(void) {
    ws_client_config config;
    tls_client *c;
    peer *p;
    if (!test_begin("client: a server that never answers its ClientHello is a timeout"))
        return;
    CHECK(start());
    config = trusting();
    config.limits.handshake_ms = 3000;
    c = tls_dial_port("wss", tls_port(), &config);
    p = tls_accept_plain();
    (void)net_settle();
    CHECK(p->in.size > 100 && p->in.data[0] == 22);
    net_wait(2900);
    CHECK_EQ(c->errors, 0);
    net_wait(200);
    CHECK_EQ(c->errors, 1);
    CHECK_EQ(c->error, WS_ERROR_TIMEOUT);
    CHECK_TOLD(c, "127.0.0.1");
    TLS_END();
}

/* --- not TLS, not this TLS --- */

#define GARBAGE(text) (text), sizeof(text) - 1

static const struct {
    const char *name, *data;
    size_t size;
    bool slowly; /* byte by byte */
} garbage[] = {
    {"plain HTTP", GARBAGE("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), false},
    {"plain HTTP, byte by byte", GARBAGE("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), true},
    {"zeros", GARBAGE("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), false},
    {"a record of alert", GARBAGE("\x15\3\3\0\2\2\x28"), false},
    {"a record that is too long", GARBAGE("\x16\3\3\xff\xff" "abcdefghijklmnop"), false},
    {"application data first", GARBAGE("\x17\3\3\0\4" "abcd"), false},
    {"SSL 2 hello", GARBAGE("\x80\x2e\1\0\2\0\x15\0\0\0\x10\1\0\x80\2\0\x80\3\0\x80"), false},
    {"an empty handshake record", GARBAGE("\x16\3\1\0\0"), false},
    {"a ClientHello of lies", GARBAGE("\x16\3\1\0\x0a\1\xff\xff\xff\3\3" "abcd"), false}};

#ifndef WS_NO_TRACE
static char told_why[300];

static void note_failure(const ws_trace_event *event, void *user) {
    (void)user;
    if (event->kind == WS_TRACE_TLS_FAILED)
        (void)snprintf(told_why, sizeof told_why, "%s", event->text);
}

static void test_trace(void) {
    ws_server_config config;
    ws_loop_config loop;
    peer *p;
    if (!test_begin("the trace says why TLS failed, on both sides")) return;
    memset(&config, 0, sizeof config);
    memset(&loop, 0, sizeof loop);
    config.tls = with(&certs.server);
    loop.trace = note_failure;
    CHECK(net_start_with(&loop, &config));
    told_why[0] = 0;
    p = net_connect();
    peer_text(p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    net_wait(0);
    CHECK_STR(told_why, "the peer does not speak TLS on this port: http request");
    (void)tls_dial_port("wss", ws_port(net.server), NULL);
    net_wait(0);
    CHECK(strstr(told_why, "certificate") != NULL);
    TLS_END();
}
#else
static void test_trace(void) {}
#endif

static void test_garbage(void) {
    size_t i, at;
    for (i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        peer *p;
        if (!test_begin("not TLS: %s", garbage[i].name))
            continue;
        CHECK(start());
        p = net_connect();
        for (at = 0; garbage[i].slowly && at < garbage[i].size; at++) {
            (void)peer_send(p, garbage[i].data + at, 1);
            (void)net_round(0);
        }
        if (!garbage[i].slowly)
            (void)peer_send(p, garbage[i].data, garbage[i].size);
        net_wait(0);
        net_wait(10001);
        net_wait(5001);
        CHECK(p->ended);
        CHECK_EQ(net.opened, 0);
        CHECK(serves());
        TLS_END();
    }
}

static void test_much_garbage(void) {
    uint8_t *data = sample(MIB);
    peer *p;
    if (!test_begin("not TLS: a megabyte of noise")) {
        free(data);
        return;
    }
    CHECK(start());
    p = net_connect();
    CHECK(peer_send(p, data, MIB) < MIB || p->ended || net_settle());
    net_wait(5001);
    CHECK(p->ended);
    CHECK(serves());
    TLS_END();
    free(data);
}

static void test_old_version(void) {
    tls_client *c;
    ws_client_config config;
    peer *r;
    if (!test_begin("TLS 1.1 is refused, by servers and by clients"))
        return;
    CHECK(start());
    r = tls_connect(0);
    SSL_set_security_level(r->tls->ssl, 0);
    certs_need(SSL_set_cipher_list(r->tls->ssl, "ALL:@SECLEVEL=0") == 1);
    tls_versions(r, TLS1_1_VERSION);
    CHECK(!tls_handshake(r));
    CHECK_EQ(ERR_GET_REASON(r->tls->error), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    config = trusting();
    c = tls_dial_port("wss", tls_port(), &config);
    r = tls_accept(&certs.server);
    SSL_set_security_level(r->tls->ssl, 0);
    tls_versions(r, TLS1_1_VERSION);
    UNTIL(c->errors);
    CHECK_EQ(c->error, WS_ERROR_TLS);
    CHECK_TOLD(c, "version");
    CHECK(serves());
    TLS_END();
}

static void test_cipher_order(void) {
    peer *r;
    if (!test_begin("TLS 1.2: of the ciphers that both have the server's first is taken"))
        return;
    CHECK(start());
    r = tls_connect(0);
    tls_versions(r, TLS1_2_VERSION);
    certs_need(SSL_set_cipher_list(r->tls->ssl, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384") == 1);
    CHECK_EQ(tls_upgrade(r), 101);
    CHECK_STR(SSL_get_cipher_name(r->tls->ssl), "ECDHE-ECDSA-AES256-GCM-SHA384");
    TLS_END();
}

/* --- ALPN, SNI --- */

static const struct {
    const char *offer;
    const char *chosen; /* NULL: refused */
} offers[] = {{"\x8http/1.1", "http/1.1"}, {"\x2h2\x8http/1.1", "http/1.1"}, {"\x8http/1.1\x2h2", "http/1.1"},
              {"\x2h2", NULL}, {"\x8http/1.0", NULL}, {"", ""}};

static void test_alpn_server(void) {
    size_t i;
    for (i = 0; i < sizeof offers / sizeof *offers; i++) {
        const unsigned char *chosen = NULL;
        unsigned size = 0;
        peer *r;
        if (!test_begin("ALPN: the offer %s", offers[i].offer))
            continue;
        CHECK(start());
        r = tls_connect(0);
        if (*offers[i].offer)
            certs_need(SSL_set_alpn_protos(r->tls->ssl, (const unsigned char *)offers[i].offer,
                                           (unsigned)strlen(offers[i].offer)) == 0);
        CHECK_EQ(tls_upgrade(r), offers[i].chosen ? 101 : 0);
        SSL_get0_alpn_selected(r->tls->ssl, &chosen, &size);
        if (offers[i].chosen)
            CHECK_MEM(chosen, size, offers[i].chosen, strlen(offers[i].chosen));
        else
            CHECK(r->tls->failed && ERR_GET_REASON(r->tls->error) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
        TLS_END();
    }
}

static struct {
    char offer[100], host[100]; /* "" none came */
    bool silent; /* selects nothing */
} hello;

static int pick_protocol(SSL *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in,
                         unsigned in_size, void *user) {
    (void)ssl;
    (void)user;
    (void)snprintf(hello.offer, sizeof hello.offer, "%.*s", (int)in_size, (const char *)in);
    *out = in + 1;
    *size = in[0];
    return hello.silent ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

static int note_host(SSL *ssl, int *alert, void *user) {
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    (void)user;
    (void)snprintf(hello.host, sizeof hello.host, "%s", host ? host : "");
    return SSL_TLSEXT_ERR_OK;
}

static const struct {
    const char *url_host, *server_name, *sni;
} hosts[] = {{"localhost", NULL, "localhost"},      {"127.0.0.1", NULL, ""},
             {"127.0.0.1", "host.test", "host.test"}, {"localhost", "127.0.0.1", ""},
             {"127.0.0.1", "::1", ""},              {"LOCALHOST", NULL, "localhost"}};

static void test_hello(bool silent) {
    size_t i;
    for (i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        ws_client_config config;
        char url[100], *at;
        tls_client *c;
        peer *r;
        if (!test_begin("client: ALPN and SNI for %s, server_name %s%s", hosts[i].url_host,
                        hosts[i].server_name ? hosts[i].server_name : "NULL", silent ? ", no ALPN in the answer" : ""))
            continue;
        CHECK(start());
        memset(&hello, 0, sizeof hello);
        hello.silent = silent;
        config = trusting();
        config.tls.server_name = hosts[i].server_name;
        (void)snprintf(url, sizeof url, "wss://%s:%u/", hosts[i].url_host, (unsigned)tls_port());
        c = tls_dial(url, &config);
        r = tls_accept(&certs.server);
        SSL_CTX_set_alpn_select_cb(r->tls->context, pick_protocol, NULL);
        (void)SSL_CTX_set_tlsext_servername_callback(r->tls->context, note_host);
        CHECK(tls_answer(r));
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        CHECK_STR(hello.offer, "\x8http/1.1");
        for (at = hello.host; *at; at++) /* DNS ignores case */
            *at = (char)tolower((unsigned char)*at);
        CHECK_STR(hello.host, hosts[i].sni);
        TLS_END();
    }
}

/* --- sessions --- */

static SSL_SESSION *kept_session;

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    SSL_SESSION_free(kept_session);
    kept_session = session;
    return 1;
}

/* A client of this version and this certificate, with the session that is kept; 0 or 1: resumed, 101
   and an echo came. -1: it is not served. */
static int visit(int version, const cert *own) {
    int answer;
    peer *r = tls_connect(0);
    tls_versions(r, version);
    (void)SSL_CTX_set_session_cache_mode(r->tls->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(r->tls->context, keep_session);
    if (own)
        tls_own(r, own);
    if (kept_session)
        (void)SSL_set_session(r->tls->ssl, kept_session);
    if (tls_upgrade(r) != 101 || !peer_echo(r, "visit"))
        return -1;
    answer = SSL_session_reused(r->tls->ssl);
    peer_frames(r, "88<03e8>");
    UNTIL(r->tls->notified);
    (void)SSL_shutdown(r->tls->ssl);
    (void)net_settle();
    return answer;
}

static void test_resumption(int version) {
    ws_tls_config renewed;
    int resumed;
    if (!test_begin("a session is resumed, %s", version_name(version)))
        return;
    CHECK(start());
    CHECK_EQ(visit(version, NULL), 0);
    CHECK(kept_session != NULL);
    CHECK_EQ(visit(version, NULL), 1);
    CHECK_EQ(visit(version, NULL), 1);
    renewed = with(&certs.renewed);
    CHECK(ws_server_tls(net.server, &renewed));
    resumed = visit(version, NULL);
    CHECK(resumed >= 0);
    printf("%s: behind ws_server_tls a session is %s\n", version_name(version),
           resumed == 1 ? "resumed" : "not resumed: a full handshake");
    CHECK_EQ(visit(version, NULL), 1);
    SSL_SESSION_free(kept_session);
    kept_session = NULL;
    TLS_END();
}

/* A resumed client keeps its identity, and one whose CA is no longer accepted is refused. */
static void test_resumption_mtls(int version) {
    ws_tls_config tls, other;
    if (!test_begin("a session with a client certificate is resumed, %s", version_name(version)))
        return;
    tls = with(&certs.server);
    tls.ca_pem = certs.ca.pem;
    CHECK(start_server(&tls, NULL));
    net.on_open = note_certificate;
    CHECK_EQ(visit(version, &certs.alice), 0);
    CHECK_STR(seen_certificate, "CN=alice,O=Example");
    seen_certificate[0] = 0;
    CHECK_EQ(visit(version, &certs.alice), 1);
    CHECK_STR(seen_certificate, "CN=alice,O=Example");
    other = with(&certs.server);
    other.ca_pem = certs.unknown_ca.pem;
    CHECK(ws_server_tls(net.server, &other));
    CHECK_EQ(visit(version, &certs.alice), -1);
    SSL_SESSION_free(kept_session);
    kept_session = NULL;
    CHECK_EQ(visit(version, &certs.foreign), 0);
    CHECK_STR(seen_certificate, "CN=mallory,O=Example");
    SSL_SESSION_free(kept_session);
    kept_session = NULL;
    TLS_END();
}

/* --- renegotiation, new keys --- */

static void test_renegotiation_by_server(void) {
    tls_client *c;
    peer *r;
    if (!test_begin("TLS 1.2: a server asks a client for a renegotiation"))
        return;
    CHECK(start());
    r = dial_raw(&c, TLS1_2_VERSION);
    certs_need(SSL_renegotiate(r->tls->ssl) == 1);
    (void)SSL_do_handshake(r->tls->ssl);
    (void)tls_flush(r);
    (void)net_settle();
    if (!r->tls->failed && !c->closed) /* handled, or refused with a warning: then data flows on */
        peer_frames(r, "81\"after it\"");
    (void)net_settle();
    CHECK(c->closed || c->messages == 1);
    if (c->closed)
        CHECK(c->code == 1006 && c->error != WS_OK);
    else
        CHECK_MEM(c->in.data, c->in.size, "after it", 8);
    printf("TLS 1.2 renegotiation asked for by a server: %s\n", c->closed ? c->why : "the connection goes on");
    TLS_END();
}

/* A paused connection does not read, but TLS must read in order to send. So the write reads. */
static void test_renegotiation_while_paused(void) {
    tls_client *c;
    peer *r;
    if (!test_begin("TLS 1.2: a paused client sends during a renegotiation, and does not spin"))
        return;
    CHECK(start());
    r = dial_raw(&c, TLS1_2_VERSION);
    certs_need(SSL_renegotiate(r->tls->ssl) == 1);
    (void)SSL_do_handshake(r->tls->ssl);
    (void)tls_flush(r);
    for (int i = 0; i < TLS_TRIES && SSL_is_init_finished((SSL *)ws_tls_session(c->conn)); i++)
        (void)ws_run_once(net.loop, 1);
    CHECK(!SSL_is_init_finished((SSL *)ws_tls_session(c->conn)));
    CHECK(ws_pause(c->conn));
    CHECK(ws_send_text(c->conn, "hello"));
    CHECK(net_settle());
    CHECK_EQ(r->in.size, 11);
    CHECK_EQ(ws_buffered(c->conn), 0);
    peer_frames(r, "81\"after it\"");
    CHECK(net_settle());
    CHECK_EQ(c->messages, 0);
    CHECK(ws_resume(c->conn));
    CHECK(net_settle());
    CHECK_EQ(c->messages, 1);
    TLS_END();
}

static void test_renegotiation_by_client(void) {
    peer *r;
    if (!test_begin("TLS 1.2: a client asks a server for a renegotiation"))
        return;
    CHECK(start());
    r = tls_connect(0);
    tls_versions(r, TLS1_2_VERSION);
    CHECK_EQ(tls_upgrade(r), 101);
    certs_need(SSL_renegotiate(r->tls->ssl) == 1);
    (void)SSL_do_handshake(r->tls->ssl);
    (void)tls_flush(r);
    (void)net_settle();
    CHECK(r->tls->failed); /* the warning "no renegotiation" is an end for OpenSSL's tls_client */
    CHECK_EQ(SSL_num_renegotiations(r->tls->ssl), 1); /* asked for, */
    CHECK_EQ(ERR_GET_REASON(r->tls->error), SSL_R_NO_RENEGOTIATION); /* and refused */
    peer_close(r);
    (void)net_settle();
    net_wait(10001);
    CHECK(net.closed == 1 && net.codes[1] == 1006);
    CHECK(serves());
    TLS_END();
}

/* An answer to a KeyUpdate has to be written while reading; here the socket is full of data. */
static void test_key_update(bool full) {
    uint8_t *data = sample(MIB);
    tls_client *c;
    peer *r;
    int i;
    if (!test_begin("TLS 1.3: KeyUpdate is requested while data flows%s", full ? ", and the peer does not read" : "")) {
        free(data);
        return;
    }
    CHECK(start());
    net_small_buffers();
    r = tls_connect(4096);
    tls_versions(r, TLS1_3_VERSION);
    CHECK_EQ(tls_upgrade(r), 101);
    r->deaf = full;
    CHECK(ws_send_binary(net.conns[1], data, MIB));
    for (i = 0; i < 10; i++) {
        certs_need(SSL_key_update(r->tls->ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
        peer_frames(r, "81\"new keys\"");
        (void)net_round(0);
        (void)net_round(0);
    }
    (void)net_settle();
    r->deaf = false;
    UNTIL(r->in.size == MIB + 10 + 100);
    CHECK(r->in.size > MIB + 10 && memcmp(r->in.data + 10, data, MIB) == 0);
    CHECK(peer_behind(r, "\x81\x8new keys\x81\x8new keys\x81\x8new keys") > 0);
    r->in.size = 0;
    CHECK(peer_echo(r, "all is well"));
    r = dial_raw(&c, TLS1_3_VERSION);
    c->echo = true;
    r->deaf = full;
    CHECK(ws_send_binary(c->conn, data, MIB));
    for (i = 0; i < 10; i++) {
        certs_need(SSL_key_update(r->tls->ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
        peer_frames(r, "81\"new keys\"");
        (void)net_round(0);
        (void)net_round(0);
    }
    (void)net_settle();
    r->deaf = false;
    UNTIL(r->in.size == MIB + 14 + 140);
    CHECK_EQ(c->messages, 10);
    CHECK(!c->closed && !r->tls->failed);
    TLS_END();
    free(data);
}

/* Each KeyUpdate needs an answer; answers to a peer that never reads must not fill the memory. */
static void test_key_update_flood(void) {
    size_t before, most = 0;
    peer *r;
    int i;
    if (!test_begin("TLS 1.3: KeyUpdates without end from a peer that does not read cost no more than a limit"))
        return;
    CHECK(start());
    net_small_buffers();
    r = tls_connect(4096);
    CHECK_EQ(tls_upgrade(r), 101);
    (void)net_settle();
    before = net.memory.used;
    r->deaf = true;
    for (i = 0; i < 30000 && !net.closed && !r->tls->failed; i++) {
        (void)SSL_key_update(r->tls->ssl, SSL_KEY_UPDATE_REQUESTED);
        (void)SSL_do_handshake(r->tls->ssl);
        if (i % 100 == 99)
            (void)net_round(0);
        most = net.memory.used > most ? net.memory.used : most;
    }
    CHECK(most < before + 400000);
    CHECK(serves());
    TLS_END();
}

int main(int argc, char **argv) {
    int i;
    size_t v;
    test_start(argc, argv);
    certs_start();
    test_trickle();
    for (i = 0; i < 4; i++)
        test_silence(i);
    test_silent_server();
    test_garbage();
    test_trace();
    test_much_garbage();
    test_old_version();
    test_cipher_order();
    test_alpn_server();
    test_hello(false);
    test_hello(true);
    for (v = 0; v < 2; v++) {
        test_resumption(versions[v]);
        test_resumption_mtls(versions[v]);
    }
    test_renegotiation_by_server();
    test_renegotiation_while_paused();
    test_renegotiation_by_client();
    test_key_update(false);
    test_key_update(true);
    test_key_update_flood();
    certs_end();
    return test_finish();
}

#endif
