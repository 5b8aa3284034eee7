/* TLS: over real sockets, in one thread. Peers are ws.h's own client in the server's loop, and raw
   ones of OpenSSL (tls.h). Failures of allocations and system calls are in test_tls_fault.c, the
   seam with another library in test_transport.c. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#ifdef WS_NO_TLS

#include "../helpers/test.h"

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("TLS");
    test_skip("built with WS_NO_TLS");
    return test_finish();
}

#else

#include "../helpers/tls.h"

#include <sys/wait.h>

enum { MIB = 1 << 20, LONG_MS = 3600000 };

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static const char *version_name(int version) { return version == TLS1_2_VERSION ? "TLS 1.2" : "TLS 1.3"; }

/* --- configs --- */

static ws_tls_config with(const cert *own) {
    ws_tls_config tls;
    memset(&tls, 0, sizeof tls);
    tls.cert_pem = own->pem;
    tls.key_pem = own->key_pem;
    return tls;
}

static ws_client_config trusting(void) {
    ws_client_config config;
    memset(&config, 0, sizeof config);
    config.tls.ca_pem = certs.ca.pem;
    return config;
}

static bool start_server(const ws_tls_config *tls, const ws_limits *limits) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.tls = *tls;
    if (limits)
        config.limits = *limits;
    return net_start_with(NULL, &config);
}

static bool start(void) {
    ws_tls_config tls = with(&certs.server);
    return start_server(&tls, NULL);
}

/* An SSL_CTX of a user: this version only. */
static SSL_CTX *own_context(const cert *own, int version) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    certs_need(context && SSL_CTX_set_min_proto_version(context, version) == 1
               && SSL_CTX_set_max_proto_version(context, version) == 1);
    if (own)
        certs_need(SSL_CTX_use_certificate(context, own->x509) == 1
                   && SSL_CTX_use_PrivateKey(context, own->key) == 1
                   && SSL_CTX_add1_chain_cert(context, certs.middle.x509) == 1);
    return context;
}

/* A server that speaks this version only. */
static bool start_version(int version) {
    ws_tls_config tls;
    SSL_CTX *context = own_context(&certs.server, version);
    bool good;
    memset(&tls, 0, sizeof tls);
    tls.ssl_ctx = context;
    good = start_server(&tls, NULL);
    SSL_CTX_free(context);
    return good;
}

static tls_client *dial(const ws_client_config *config) {
    return tls_dial_port("wss", ws_port(net.server), config);
}

/* A client of ws.h that is open. */
static tls_client *dial_open(void) {
    ws_client_config config = trusting();
    tls_client *c = dial(&config);
    UNTIL(c->opened || c->errors);
    CHECK(c->opened);
    if (c->errors)
        printf("    %s\n", c->why);
    return c;
}

/* A client of ws.h that is open towards a raw server, which is returned. */
static peer *dial_raw(tls_client **c, int version) {
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

/* Whether a new client of ws.h is served; the log is left as it was. */
static bool serves(void) {
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

/* Sample bytes, no two ranges alike. */
static uint8_t *sample(size_t size) {
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

/* The next frame in what was decrypted, unmasked; false: it is not whole. */
static bool next_frame(const peer *r, size_t *at, uint8_t *first, const uint8_t **data, size_t *size) {
    const uint8_t *from = r->in.data + *at;
    size_t left = r->in.size - *at, head = 2, i;
    if (left < 2)
        return false;
    *size = from[1] & 127;
    head += *size == 126 ? 2 : *size == 127 ? 8 : 0;
    if (left < head)
        return false;
    if (head > 2)
        for (*size = 0, i = 2; i < head; i++)
            *size = *size << 8 | from[i];
    if (left - head < *size)
        return false;
    *first = from[0];
    *data = from + head;
    *at += head + *size;
    return true;
}

/* --- echo --- */

static int version_of(const ws_conn *conn) {
    const SSL *ssl = (const SSL *)ws_tls_session(conn);
    return ssl ? SSL_version(ssl) : 0;
}

static void test_echo(int version) {
    tls_client *c;
    if (!test_begin("echo, %s", version_name(version)))
        return;
    CHECK(start_version(version));
    c = dial_open();
    CHECK_LOG("o1");
    CHECK_EQ(version_of(net.conns[1]), version);
    CHECK_EQ(version_of(c->conn), version);
    CHECK_STR(c->certificate, "CN=server");
    CHECK(ws_send_text(c->conn, "h\xc3\xa9llo"));
    UNTIL(c->messages == 1);
    CHECK_EQ(c->type, WS_TEXT);
    CHECK_MEM(c->in.data, c->in.size, "h\xc3\xa9llo", 6);
    CHECK(ws_send_binary(c->conn, "\0\1\2", 3) && ws_send_binary(c->conn, "", 0) && ws_send_text(c->conn, ""));
    UNTIL(c->messages == 4);
    CHECK_EQ(c->type, WS_TEXT);
    CHECK_MEM(c->in.data, c->in.size, "h\xc3\xa9llo\0\1\2", 9);
    CHECK_LOG("t1:h\xc3\xa9llo b1:3 b1:0 t1:");
    CHECK(ws_close(c->conn, 1000, "bye"));
    UNTIL(c->closed);
    CHECK(c->code == 1000 && c->clean && c->error == WS_OK);
    CHECK_LOG("c1:1000:bye:y");
    TLS_END();
}

/* A message of 1 MiB from the client, its echo, and one from the server. */
static void test_large(int version) {
    uint8_t *data = sample(MIB);
    tls_client *c;
    if (!test_begin("1 MiB both ways, %s", version_name(version))) {
        free(data);
        return;
    }
    CHECK(start_version(version));
    c = dial_open();
    CHECK(ws_send_binary(c->conn, data, MIB));
    UNTIL(c->messages == 1);
    CHECK_MEM(c->in.data, c->in.size, data, MIB);
    c->in.size = 0;
    CHECK(ws_send_binary(net.conns[1], data, MIB) && ws_send_binary(net.conns[1], data, 5));
    UNTIL(c->messages == 3);
    CHECK(c->in.size == MIB + 5 && memcmp(c->in.data, data, MIB) == 0);
    CHECK_EQ(ws_buffered(net.conns[1]), 0);
    TLS_END();
    free(data);
}

static void test_rsa(void) {
    ws_tls_config tls;
    if (!test_begin("an RSA certificate"))
        return;
    tls = with(certs_rsa());
    CHECK(start_server(&tls, NULL));
    CHECK(serves());
    TLS_END();
}

static void test_plain_things(void) {
    ws_server_config config;
    peer *r;
    if (!test_begin("pages, Host and Origin over TLS"))
        return;
    memset(&config, 0, sizeof config);
    config.tls = with(&certs.server);
    CHECK(net_start_with(NULL, &config));
    CHECK(ws_page(net.server, "/page", "text/plain", "the page"));
    r = tls_connect(0);
    CHECK(tls_handshake(r));
    peer_text(r, "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK_EQ(peer_take_status(r), 200);
    UNTIL(r->in.size == 8);
    CHECK_MEM(r->in.data, r->in.size, "the page", 8);
    r->in.size = 0;
    peer_text(r, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                "Origin: https://localhost\r\n\r\n");
    CHECK_EQ(peer_take_status(r), 101);
    r = tls_connect(0);
    CHECK(tls_handshake(r));
    peer_text(r, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                "Origin: http://localhost\r\n\r\n");
    CHECK_EQ(peer_take_status(r), 403); /* a page that came without TLS is of another origin */
    TLS_END();
}

/* --- HTTP --- */

static ws_id kept;
static unsigned abandoned;

static void give_up(ws_request *request, void *user) {
    (void)request;
    (void)user;
    abandoned++;
}

static void keep(ws_request *request, void *user) { kept = ws_keep(request, give_up, user); }

static void reply_kept(ws_loop *loop, void *user) {
    (void)user;
    CHECK(ws_reply(ws_kept(loop, kept), 200, "text/plain", "at last"));
}

static void reply_body(ws_request *request, void *user) {
    ws_message body = ws_request_body(request);
    (void)user;
    CHECK(ws_reply_data(request, 200, NULL, body.data, body.size));
}

/* Through small socket buffers, so that file and body wait for the peer again and again. */
static void test_http(int version) {
    enum { SIZE = 700000 };
    static char folder[] = "build/tls-XXXXXX";
    char name[sizeof folder + 10];
    uint8_t *large;
    FILE *file;
    peer *r;
    if (!test_begin("files, bodies and kept requests, %s", version_name(version)))
        return;
    large = sample(SIZE);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    CHECK(mkdtemp(folder));
    (void)snprintf(name, sizeof name, "%s/large", folder);
    file = fopen(name, "wb");
    CHECK(file && fwrite(large, 1, SIZE, file) == SIZE && fclose(file) == 0);
    CHECK(start_version(version));
    CHECK(ws_files(net.server, "/files/", folder) && ws_http(net.server, "POST", "/body", reply_body, NULL)
          && ws_http(net.server, "GET", "/later", keep, NULL));
    r = tls_connect(4096);
    CHECK(tls_handshake(r));
    r->tls->piece = 30000;
    peer_text(r, "GET /files/large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK_EQ(peer_take_status(r), 200);
    UNTIL(r->in.size == SIZE || peer_over(r));
    CHECK_MEM(r->in.data, r->in.size, large, SIZE);
    peer_take(r, r->in.size);
    peer_text(r, "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 700000\r\n\r\n");
    CHECK_EQ(peer_send(r, large, SIZE), SIZE);
    CHECK_EQ(peer_take_status(r), 200);
    UNTIL(r->in.size == SIZE || peer_over(r));
    CHECK_MEM(r->in.data, r->in.size, large, SIZE);
    peer_take(r, r->in.size);
    kept = abandoned = 0;
    peer_text(r, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    UNTIL(kept);
    CHECK(r->in.size == 0 && ws_after(net.loop, 100, reply_kept, NULL));
    net.now += 100;
    CHECK_EQ(peer_take_status(r), 200);
    UNTIL(r->in.size == 7);
    CHECK_MEM(r->in.data, r->in.size, "at last", 7);
    peer_text(r, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    kept = 0;
    UNTIL(kept);
    peer_close(r);
    UNTIL(abandoned == 1);
    CHECK(!ws_kept(net.loop, kept));
    CHECK(remove(name) == 0 && remove(folder) == 0);
    free(large);
    TLS_END();
}

/* --- records --- */

static void burst(ws_conn *conn, unsigned number, ws_message message) {
    int i;
    (void)number;
    (void)message;
    for (i = 0; i < 50; i++)
        (void)ws_send_text(conn, "one of many small messages");
}

static void test_gathered(int version) {
    static const char frames[] = "50x81\"one of many small messages\"";
    tls_client *c;
    peer *r;
    int i;
    if (!test_begin("50 small frames leave in one record, %s", version_name(version)))
        return;
    CHECK(start_version(version));
    net.on_message = burst;
    r = tls_open();
    (void)net_settle(); /* session tickets */
    r->tls->records = 0;
    peer_frames(r, "81\"go\"");
    CHECK_FRAMES(r, frames);
    CHECK_EQ(r->tls->records, 1);
    r = dial_raw(&c, version);
    (void)net_settle();
    r->tls->records = 0;
    for (i = 0; i < 50; i++)
        CHECK(ws_send_text(c->conn, "one of many small messages"));
    UNTIL(r->in.size == 50 * (26 + 6));
    CHECK_EQ(r->tls->records, 1);
    TLS_END();
}

/* Broadcasts and messages by turns, from one callback. */
static void mixture(ws_conn *conn, unsigned number, ws_message message) {
    int i;
    (void)number;
    (void)message;
    for (i = 0; i < 20; i++) {
        (void)ws_broadcast_text(conn, NULL, "to all");
        (void)ws_send_text(conn, "to one");
    }
}

static void test_mixture(int version) {
    peer *r;
    if (!test_begin("what leaves in one round leaves in one record, broadcasts too, %s", version_name(version)))
        return;
    CHECK(start_version(version));
    net.on_message = mixture;
    r = tls_open();
    (void)net_settle();
    r->tls->records = 0;
    peer_frames(r, "81\"go\"");
    UNTIL(r->in.size == 40 * 8);
    CHECK_EQ(r->tls->records, 1);
    r->in.size = r->tls->records = 0;
    CHECK(ws_send_binary(net.conns[1], net.peers, 15000)); /* header and data */
    UNTIL(r->in.size == 15004);
    CHECK_EQ(r->tls->records, 1);
    r->in.size = r->tls->records = 0;
    CHECK(ws_server_broadcast(net.server, NULL, (ws_message){(const uint8_t *)net.peers, 15000, WS_BINARY}));
    UNTIL(r->in.size == 15004);
    CHECK_EQ(r->tls->records, 1);
    TLS_END();
}

static void test_full_records(int version) {
    uint8_t *data = sample(MIB);
    tls_client *c;
    peer *r;
    if (!test_begin("a large message leaves in full records, %s", version_name(version))) {
        free(data);
        return;
    }
    CHECK(start_version(version));
    r = tls_open();
    (void)net_settle();
    r->tls->records = r->tls->largest = 0;
    CHECK(ws_send_binary(net.conns[1], data, MIB));
    UNTIL(r->in.size == MIB + 10);
    CHECK(r->in.size == MIB + 10 && memcmp(r->in.data + 10, data, MIB) == 0);
    CHECK(r->tls->records <= MIB / 16384 + 2);
    CHECK(r->tls->largest >= 16384);
    r = dial_raw(&c, version);
    (void)net_settle();
    r->tls->records = r->tls->largest = 0;
    CHECK(ws_send_binary(c->conn, data, MIB));
    UNTIL(r->in.size == MIB + 14);
    CHECK(r->tls->records <= MIB / 16384 + 2);
    CHECK(r->tls->largest >= 16384);
    TLS_END();
    free(data);
}

/* Records that lie decrypted in the session are served, although the socket has nothing new. */
static void test_pending(size_t receive_size) {
    ws_loop_config loop;
    ws_server_config config;
    peer *r;
    int i;
    if (!test_begin("records larger than a receive buffer of %zu bytes, many records at once", receive_size))
        return;
    memset(&loop, 0, sizeof loop);
    memset(&config, 0, sizeof config);
    loop.receive_size = receive_size;
    config.tls = with(&certs.server);
    CHECK(net_start_with(&loop, &config));
    r = tls_open();
    peer_frames(r, "82#16000");
    CHECK_FRAMES(r, "82#16000");
    r->tls->held = true;
    for (i = 0; i < 300; i++)
        peer_frames(r, "81\"a record of its own\"");
    r->tls->held = false;
    CHECK_FRAMES(r, "300x81\"a record of its own\"");
    TLS_END();
}

/* --- slow peers --- */

static void test_slow_reader(int version) {
    uint8_t *data = sample(MIB);
    peer *r;
    if (!test_begin("a slow reader gets all, and on_drain comes, %s", version_name(version))) {
        free(data);
        return;
    }
    CHECK(start_version(version));
    net_small_buffers();
    r = tls_connect(4096);
    CHECK_EQ(tls_upgrade(r), 101);
    CHECK_LOG("o1");
    r->deaf = true;
    CHECK(ws_send_binary(net.conns[1], data, MIB) && ws_send_text(net.conns[1], "behind it"));
    (void)net_settle();
    CHECK(ws_buffered(net.conns[1]) > MIB / 2);
    CHECK_LOG("");
    CHECK(ws_send_text(net.conns[1], "and more"));
    (void)net_settle();
    r->deaf = false;
    UNTIL(r->in.size == 10 + MIB + 11 + 10);
    CHECK(r->in.size > MIB + 10 && memcmp(r->in.data + 10, data, MIB) == 0);
    CHECK_MEM(r->in.data + MIB + 10, r->in.size - MIB - 10, "\x81\x9" "behind it\x81\x8" "and more", 21);
    (void)net_settle();
    CHECK_EQ(ws_buffered(net.conns[1]), 0);
    CHECK_LOG("d1");
    TLS_END();
    free(data);
}

/* While its peer does not read a connection still answers when it does; no data is mixed up. */
static void test_both_full(void) {
    uint8_t *data = sample(MIB);
    tls_client *c;
    peer *r;
    if (!test_begin("both sides send 1 MiB at once through small buffers")) {
        free(data);
        return;
    }
    CHECK(start());
    net_small_buffers();
    net.echo = false;
    c = dial_open();
    CHECK(ws_send_binary(c->conn, data, MIB) && ws_send_binary(net.conns[1], data, MIB));
    UNTIL(c->messages == 1 && net.received == MIB);
    CHECK_MEM(c->in.data, c->in.size, data, MIB);
    r = tls_connect(4096);
    CHECK_EQ(tls_upgrade(r), 101);
    CHECK(ws_send_binary(net.conns[2], data, MIB));
    peer_frames(r, "82#1000000");
    UNTIL(r->in.size == MIB + 10 && net.received == MIB + 1000000);
    CHECK(memcmp(r->in.data + 10, data, MIB) == 0);
    TLS_END();
    free(data);
}

/* Messages "number" with a filler; their numbers rise, each is whole, and the newest is among them. */
static unsigned check_rising(peer *r, unsigned newest, size_t filler) {
    unsigned count = 0, last = 0, number;
    const uint8_t *data;
    uint8_t first;
    size_t at = 0, size;
    bool whole = true;
    while (next_frame(r, &at, &first, &data, &size)) {
        char text[12];
        if (first != 0x82 && first != 0x81)
            continue;
        if (first == 0x82) { /* what filled the buffers */
            CHECK(count == 0);
            continue;
        }
        memset(text, 0, sizeof text);
        memcpy(text, data, size < 8 ? size : 8);
        number = (unsigned)atoi(text);
        whole = whole && size == 8 + filler + number % 7 && number > last && data[size - 1] == 'f';
        last = number;
        count++;
    }
    CHECK_EQ(at, r->in.size);
    CHECK(whole);
    if (newest)
        CHECK_EQ(last, newest);
    return count;
}

static bool ends_with_close(const peer *r, unsigned code) {
    const uint8_t *data = NULL;
    uint8_t first = 0;
    size_t at = 0, size = 0;
    while (next_frame(r, &at, &first, &data, &size)) {}
    return first == 0x88 && size >= 2 && (unsigned)data[0] << 8 == (code & 0xff00) && data[1] == (code & 255);
}

/* Whether all that came is whole frames, the last of them a pong. */
static bool ends_with_pong(const peer *r) {
    const uint8_t *data = NULL;
    uint8_t first = 0;
    size_t at = 0, size = 0;
    while (next_frame(r, &at, &first, &data, &size)) {}
    return first == 0x8a && at == r->in.size;
}

/* Broadcasts of all sizes for a member that reads now and then: whatever the policy takes out of the
   queue, the bytes that TLS has begun to write must stay. */
static void test_policy(ws_slow policy, int version, size_t filler) {
    static char text[40000];
    ws_server_config config;
    SSL_CTX *context;
    unsigned number, count, refused = 0;
    peer *r;
    int i;
    if (!test_begin("slow member, policy %d, messages of %zu bytes, %s", (int)policy, filler, version_name(version)))
        return;
    context = own_context(&certs.server, version);
    memset(&config, 0, sizeof config);
    config.tls.ssl_ctx = context;
    config.limits.buffered = 100000;
    CHECK(net_start_with(NULL, &config));
    SSL_CTX_free(context);
    net_small_buffers();
    r = tls_connect(4096);
    CHECK_EQ(tls_upgrade(r), 101);
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", policy));
    r->deaf = true;
    for (number = 1; number <= 600 && net.conns[1]; number++) {
        ws_message message;
        (void)snprintf(text, sizeof text, "%-8u", number);
        memset(text + 8, 'f', filler + number % 7);
        message.data = (const uint8_t *)text;
        message.size = 8 + filler + number % 7;
        message.type = WS_TEXT;
        refused += !ws_server_broadcast(net.server, "r", message);
        if (number % 3 == 0)
            (void)net_round(0);
        if (number % 40 == 39 && number < 500) { /* takes some, so that a half-written record goes on */
            uint8_t some[3000];
            ssize_t got = recv(r->fd, some, number % 2 ? sizeof some : 700, MSG_DONTWAIT);
            if (got > 0)
                peer_received(r, some, (size_t)got);
            for (i = 0; i < 5; i++)
                (void)net_round(0);
        }
    }
    CHECK_EQ(r->tls->failed, false);
    r->deaf = false;
    if (policy != WS_SLOW_CLOSE)
        peer_frames(r, "89\"end\""); /* its pong waits behind all the rest, however slowly that comes */
    UNTIL(r->tls->failed || (policy == WS_SLOW_CLOSE ? ends_with_close(r, 1013) : ends_with_pong(r)));
    CHECK(!r->tls->failed);
    if (r->tls->failed)
        printf("    %s\n", ERR_reason_error_string(r->tls->error));
    if (policy == WS_SLOW_CLOSE) {
        (void)check_rising(r, 0, filler);
        CHECK(ends_with_close(r, 1013));
        peer_frames(r, "88<03f5>");
        UNTIL(net.closed == 1);
        CHECK_EQ(net.codes[1], 1013);
    } else if (policy == WS_SLOW_DROP_NEWEST || policy == WS_SLOW_WAIT) {
        count = check_rising(r, 0, filler);
        CHECK(count > 0 && count < 600);
        CHECK_EQ(refused > 0, policy == WS_SLOW_WAIT);
    } else {
        count = check_rising(r, 600, filler);
        CHECK(count > 0 && count < 600);
    }
    if (policy != WS_SLOW_CLOSE) {
        r->in.size = 0;
        CHECK(peer_echo(r, "still in order"));
    }
    TLS_END();
}

/* --- pieces --- */

static void test_byte_by_byte(int version) {
    tls_client *c;
    peer *r;
    if (!test_begin("ciphertext comes and goes byte by byte, %s", version_name(version)))
        return;
    CHECK(start_version(version));
    r = tls_connect(0);
    r->tls->piece = 1;
    CHECK_EQ(tls_upgrade(r), 101);
    CHECK(peer_echo(r, "slowly"));
    peer_frames(r, "88<03e8>");
    UNTIL(r->tls->notified);
    CHECK(peer_behind(r, "\x88\x02\x03\xe8") == 4);
    {
        ws_client_config config = trusting();
        c = tls_dial_port("wss", tls_port(), &config);
        r = tls_accept(&certs.server);
        r->tls->piece = 1;
        CHECK(tls_answer(r));
        UNTIL(c->opened);
        peer_frames(r, "81\"to a client\"");
        UNTIL(c->messages == 1);
        CHECK_MEM(c->in.data, c->in.size, "to a client", 11);
    }
    TLS_END();
}

/* --- handshakes that do not come to an end --- */

static void test_trickle(void) {
    peer *slow;
    int seconds;
    if (!test_begin("a handshake of a byte a second is given up at its deadline; others are served"))
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
    CHECK_SAYS(c->why, "127.0.0.1");
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
    CHECK_SAYS(c->why, "version");
    CHECK(serves());
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
        for (at = hello.host; *at; at++) /* DNS knows no case */
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

static char seen_certificate[400];

static void note_certificate(ws_conn *conn, unsigned number) {
    (void)number;
    if (!ws_peer_certificate(conn, seen_certificate, sizeof seen_certificate))
        (void)snprintf(seen_certificate, sizeof seen_certificate, "none");
}

/* A resumed client is still who it was, and one whose CA is no longer accepted stays outside. */
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
    if (!test_begin("TLS 1.3: KeyUpdate is asked for while data flows%s", full ? ", and the peer does not read" : "")) {
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

/* Each KeyUpdate wants an answer; the answers of one who never reads must not fill the memory. */
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

/* --- closing --- */

/* Descriptors in use, less those of the loop and of the test's peers. */
static size_t held_sockets(void) {
    size_t i, peers = 0;
    for (i = 0; i < net.peer_count; i++)
        peers += net.peers[i].fd >= 0;
    return net_descriptors() - peers;
}

static void test_close_notify(bool answered, int version) {
    size_t before;
    peer *r;
    if (!test_begin("close: close_notify is sent, and %s, %s",
                    answered ? "the peer's ends the connection" : "the peer's is not awaited beyond close_ms",
                    version_name(version)))
        return;
    CHECK(start_version(version));
    before = held_sockets();
    r = tls_open();
    CHECK_EQ(held_sockets(), before + 1);
    CHECK(ws_close(net.conns[1], 1001, "going"));
    CHECK_FRAMES(r, "88<03e9>\"going\"");
    peer_frames(r, "88<03e9>\"going\"");
    UNTIL(r->tls->notified);
    CHECK_LOG("o1 c1:1001:going:y");
    (void)net_settle();
    if (answered) {
        (void)SSL_shutdown(r->tls->ssl);
        (void)tls_flush(r);
        (void)net_settle();
        CHECK_EQ(held_sockets(), before);
    }
    net_wait(5001);
    CHECK_EQ(held_sockets(), before);
    CHECK(r->ended && !r->reset);
    TLS_END();
}

static void test_client_close(bool answered) {
    size_t before;
    tls_client *c;
    peer *r;
    if (!test_begin("client: close_notify is sent, and %s", answered ? "answered" : "never answered"))
        return;
    CHECK(start());
    (void)tls_port();
    before = held_sockets();
    r = dial_raw(&c, 0);
    CHECK(ws_close(c->conn, 1000, NULL));
    UNTIL(r->in.size == 8);
    peer_frames(r, "88<03e8>");
    if (answered) {
        (void)SSL_shutdown(r->tls->ssl);
        (void)tls_flush(r);
        peer_close(r); /* the server closes TCP first (RFC 6455 7.1.1) */
    }
    if (answered)
        UNTIL(c->closed);
    net_wait(5001);
    net_wait(5001);
    CHECK(c->closed && c->code == 1000 && c->clean);
    CHECK_EQ(held_sockets(), before);
    if (!answered)
        CHECK(r->tls->notified);
    TLS_END();
}

enum { CUT_FIN, CUT_NOTIFY, CUT_RESET, CUT_HALF, CUT_KINDS };

static void cut(peer *r, int how) {
    if (how == CUT_HALF) {
        peer_text(r, "\x81\x7e\x01\x00half");
        (void)net_settle();
    }
    if (how == CUT_NOTIFY) {
        (void)SSL_shutdown(r->tls->ssl);
        (void)tls_flush(r);
    }
    if (how == CUT_RESET)
        peer_reset(r);
    else
        peer_close(r);
}

static void test_truncated(int how) {
    static const char *const ways[] = {"without close_notify", "with close_notify, without a WebSocket close",
                                       "by a reset", "in the middle of a message"};
    tls_client *c;
    peer *r;
    if (!test_begin("a stream that ends %s is 1006", ways[how]))
        return;
    CHECK(start());
    r = tls_open();
    CHECK_LOG("o1");
    cut(r, how);
    (void)net_settle();
    net_wait(5001);
    CHECK_LOG(how == CUT_HALF ? "c1:1002::n" : "c1:1006::n"); /* the half is not masked */
    r = dial_raw(&c, 0);
    cut(r, how);
    UNTIL(c->closed);
    CHECK(c->code == 1006 && !c->clean);
    CHECK_EQ(c->error, WS_ERROR_CLOSED);
    CHECK(serves());
    TLS_END();
}

/* A server that goes away in the middle of the opening. */
static void test_cut_handshake(int how) {
    static const char *const ways[] = {"at once", "behind the ClientHello", "behind the TLS handshake",
                                       "with a reset behind the ClientHello"};
    ws_client_config config;
    tls_client *c;
    if (!test_begin("client: a server that closes %s is an error", ways[how]))
        return;
    CHECK(start());
    config = trusting();
    c = tls_dial_port("wss", tls_port(), &config);
    if (how == 2) {
        peer *r = tls_accept(&certs.server);
        CHECK(tls_handshake(r));
        (void)net_settle();
        peer_close(r);
    } else {
        peer *p = tls_accept_plain();
        if (how)
            (void)peer_wait(p, 100);
        if (how == 3)
            peer_reset(p);
        else
            peer_close(p);
    }
    UNTIL(c->errors);
    CHECK_EQ(c->opened, 0);
    CHECK(c->error == WS_ERROR_CLOSED || c->error == WS_ERROR_TLS || c->error == WS_ERROR_HANDSHAKE);
    CHECK_SAYS(c->why, "127.0.0.1");
    TLS_END();
}

static void test_sigpipe(void) {
    uint8_t *data = sample(MIB);
    struct sigaction before;
    tls_client *c;
    peer *r;
    int i;
    if (!test_begin("no SIGPIPE: peers reset, and all of write, close and close_notify follow")) {
        free(data);
        return;
    }
    CHECK(sigaction(SIGPIPE, NULL, &before) == 0 && before.sa_handler == SIG_DFL);
    for (i = 0; i < 6; i++) {
        CHECK(start());
        net_small_buffers();
        r = tls_open();
        if (i & 1)
            CHECK(ws_send_binary(net.conns[1], data, MIB));
        if (i & 2)
            (void)net_settle();
        peer_reset(r);
        (void)ws_send_text(net.conns[1], "into the void");
        if (i & 4)
            (void)ws_close(net.conns[1], 1000, NULL);
        (void)net_settle();
        net_wait(10001);
        CHECK_EQ(net.closed, 1);
        r = dial_raw(&c, 0);
        peer_reset(r);
        (void)ws_send_binary(c->conn, data, MIB);
        if (i & 4)
            (void)ws_close(c->conn, 1000, NULL);
        UNTIL(c->closed);
        CHECK_EQ(c->code, 1006);
        TLS_END();
    }
    free(data);
}

/* --- certificates of a server --- */

static void peer_name(const peer *r, char *name, size_t size) {
    X509 *x509 = SSL_get_peer_certificate(r->tls->ssl);
    name[0] = 0;
    if (x509)
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, (int)size);
    X509_free(x509);
}

static void test_reload(void) {
    ws_tls_config tls, renewed, bad;
    const char *absent;
    char name[100];
    peer *old, *r;
    if (!test_begin("a new certificate is for new connections, old ones live on; a bad one changes nothing"))
        return;
    CHECK(start());
    old = tls_open();
    peer_name(old, name, sizeof name);
    CHECK_STR(name, "server");
    renewed = with(&certs.renewed);
    CHECK(ws_server_tls(net.server, &renewed));
    r = tls_open();
    peer_name(r, name, sizeof name);
    CHECK_STR(name, "renewed");
    CHECK(peer_echo(old, "old") && peer_echo(r, "new"));
    absent = certs_file("absent.pem", NULL);
    memset(&bad, 0, sizeof bad);
    bad.cert_file = absent;
    bad.key_file = absent;
    CHECK(!ws_server_tls(net.server, &bad));
    CHECK_SAYS(ws_loop_error_text(net.loop), absent);
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    bad = with(&certs.server);
    bad.key_pem = certs.ip.key_pem;
    CHECK(!ws_server_tls(net.server, &bad));
    CHECK_SAYS(ws_loop_error_text(net.loop), "key");
    memset(&bad, 0, sizeof bad);
    CHECK(!ws_server_tls(net.server, &bad));
    CHECK(!ws_server_tls(net.server, NULL));
    CHECK(!ws_server_tls(NULL, &renewed));
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    CHECK(ws_run_once(net.loop, 0)); /* the loop has not failed */
    r = tls_open();
    peer_name(r, name, sizeof name);
    CHECK_STR(name, "renewed");
    CHECK(peer_echo(old, "old"));
    tls = with(&certs.server);
    tls.cert_pem = tls.key_pem = NULL;
    tls.cert_file = certs_file("cert.pem", certs.server.pem);
    tls.key_file = certs_file("key.pem", certs.server.key_pem);
    CHECK(ws_server_tls(net.server, &tls)); /* from files, as a program does it */
    r = tls_open();
    peer_name(r, name, sizeof name);
    CHECK_STR(name, "server");
    CHECK(serves());
    TLS_END();
}

static void reload_inside(ws_conn *conn, unsigned number, ws_message message) {
    ws_tls_config tls = with(number % 2 ? &certs.renewed : &certs.server);
    (void)message;
    CHECK(ws_server_tls(ws_conn_server(conn), &tls));
    (void)ws_send(conn, message);
}

static void test_reload_inside(void) {
    peer *half;
    if (!test_begin("a new certificate from inside a callback, while another handshake is half done"))
        return;
    CHECK(start());
    net.on_message = reload_inside;
    half = tls_connect(0);
    half->tls->piece = 100;
    (void)net_round(0);
    (void)net_round(0);
    CHECK(serves() && serves() && serves());
    half->tls->piece = 0;
    CHECK_EQ(tls_upgrade(half), 101);
    CHECK(peer_echo(half, "half"));
    TLS_END();
}

static void test_files(void) {
    ws_tls_config tls;
    ws_client_config config;
    tls_client *c;
    if (!test_begin("certificate, key, CA and CRL from files"))
        return;
    memset(&tls, 0, sizeof tls);
    tls.cert_file = certs_file("cert.pem", certs.server.pem);
    tls.key_file = certs_file("key.pem", certs.server.key_pem);
    CHECK(start_server(&tls, NULL));
    memset(&config, 0, sizeof config);
    config.tls.ca_file = certs_file("ca.pem", certs.ca.pem);
    config.tls.crl_file = certs_file("crl.pem", certs.crl_pem);
    c = dial(&config);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 1);
    if (c->errors)
        printf("    %s\n", c->why);
    CHECK_STR(c->certificate, "CN=server");
    TLS_END();
}

/* The chain goes along, so that one who knows the root alone is content. */
static void test_chain(void) {
    X509_STORE *store;
    peer *r;
    if (!test_begin("the server sends its intermediate"))
        return;
    CHECK(start());
    r = tls_connect(0);
    store = SSL_CTX_get_cert_store(r->tls->context);
    CHECK(X509_STORE_add_cert(store, certs.ca.x509) == 1);
    SSL_set_verify(r->tls->ssl, SSL_VERIFY_PEER, NULL);
    CHECK(SSL_set1_host(r->tls->ssl, "localhost") == 1);
    CHECK_EQ(tls_upgrade(r), 101);
    TLS_END();
}

static uint8_t pinned[32];

/* The key of the server's own certificate has to be that one, whoever signed it. */
static int pin(int good, X509_STORE_CTX *store) {
    uint8_t digest[32];
    unsigned size = sizeof digest;
    if (!good || X509_STORE_CTX_get_error_depth(store) != 0)
        return good;
    return X509_pubkey_digest(X509_STORE_CTX_get_current_cert(store), EVP_sha256(), digest, &size) == 1
           && memcmp(digest, pinned, sizeof digest) == 0;
}

/* A user's own SSL_CTX on both sides; verification by it still includes the host. */
static void test_own_contexts(void) {
    SSL_CTX *server = own_context(&certs.server, TLS1_3_VERSION), *other = own_context(NULL, TLS1_3_VERSION);
    ws_client_config config;
    ws_tls_config tls;
    tls_client *c;
    if (test_begin("a user's own SSL_CTX, on both sides")) {
        memset(&tls, 0, sizeof tls);
        memset(&config, 0, sizeof config);
        SSL_CTX_set_verify(other, SSL_VERIFY_PEER, NULL);
        certs_need(X509_STORE_add_cert(SSL_CTX_get_cert_store(other), certs.ca.x509) == 1);
        tls.ssl_ctx = server;
        CHECK(start_server(&tls, NULL));
        config.tls.ssl_ctx = other;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        config.tls.server_name = "elsewhere.test";
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->errors, 1);
        CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
        CHECK_SAYS(c->why, "elsewhere.test");
        TLS_END();
    }
    if (test_begin("a client's own SSL_CTX pins the server's key")) {
        unsigned size = 0;
        memset(&tls, 0, sizeof tls);
        memset(&config, 0, sizeof config);
        SSL_CTX_set_verify(other, SSL_VERIFY_PEER, pin);
        (void)X509_STORE_add_cert(SSL_CTX_get_cert_store(other), certs.ca.x509);
        certs_need(X509_pubkey_digest(certs.server.x509, EVP_sha256(), pinned, &size) == 1 && size == sizeof pinned);
        tls.ssl_ctx = server;
        CHECK(start_server(&tls, NULL));
        config.tls.ssl_ctx = other;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        pinned[31] ^= 1;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->errors, 1);
        CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
        TLS_END();
    }
    SSL_CTX_free(server);
    SSL_CTX_free(other);
}

/* --- client certificates --- */

static bool start_mtls(bool optional) {
    ws_tls_config tls = with(&certs.server);
    bool good;
    tls.ca_pem = certs.ca.pem;
    tls.client_cert_optional = optional;
    good = start_server(&tls, NULL);
    seen_certificate[0] = 0;
    net.on_open = note_certificate;
    return good;
}

static tls_client *dial_as(const cert *own) {
    ws_client_config config = trusting();
    tls_client *c;
    if (own) {
        config.tls.cert_pem = own->pem;
        config.tls.key_pem = own->key_pem;
    }
    c = dial(&config);
    UNTIL(c->opened || c->errors);
    return c;
}

static const struct {
    const char *name;
    const cert *own;
    bool optional;
    const char *seen; /* NULL: refused */
} visitors[] = {
    {"alice", &certs.alice, false, "CN=alice,O=Example"},
    {"alice", &certs.alice, true, "CN=alice,O=Example"},
    {"nobody", NULL, true, "none"},
    {"nobody", NULL, false, NULL},
    {"one of an unknown CA", &certs.foreign, false, NULL},
    {"one of an unknown CA", &certs.foreign, true, NULL},
    {"one who signed itself", &certs.self_signed, false, NULL},
    {"one with an expired certificate", &certs.expired, false, NULL},
    {"one with a server's certificate", &certs.ip, false, NULL}};

static void test_visitors(void) {
    size_t i;
    for (i = 0; i < sizeof visitors / sizeof *visitors; i++) {
        tls_client *c;
        if (!test_begin("client certificate %s: %s", visitors[i].optional ? "optional" : "required", visitors[i].name))
            continue;
        CHECK(start_mtls(visitors[i].optional));
        c = dial_as(visitors[i].own);
        CHECK_EQ(c->opened, visitors[i].seen != NULL);
        if (visitors[i].seen) {
            CHECK_STR(seen_certificate, visitors[i].seen);
        } else {
            CHECK_EQ(net.opened, 0);
            CHECK_EQ(c->error, WS_ERROR_TLS);
            CHECK_SAYS(c->why, "certificate");
            CHECK_SAYS(c->why, "127.0.0.1");
        }
        TLS_END();
    }
}

static const char *led_to;

static void lead_on(ws_request *request) {
    const char *lines[] = {led_to, NULL};
    (void)ws_refuse(request, 307, lines, NULL);
}

/* A context of the program's own, which chooses its certificate in the handshake. */
static int shows_alice(SSL *ssl, void *user) {
    BIO *pem = BIO_new_mem_buf(certs.alice.pem, -1), *key_pem = BIO_new_mem_buf(certs.alice.key_pem, -1);
    X509 *certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_pem, NULL, NULL, NULL);
    int good = SSL_use_certificate(ssl, certificate) == 1 && SSL_use_PrivateKey(ssl, key) == 1;
    (void)user;
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(pem);
    BIO_free(key_pem);
    return good;
}

/* A certificate says who the client is: that is for the server that the URL names, and for no other. */
static void test_led_visitors(void) {
    static const char *const led[] = {"127.0.0.1", "localhost"};
    size_t row;
    for (row = 0; row < 4; row++) {
        size_t i = row % 2;
        SSL_CTX *own = NULL;
        ws_handler handler = net_handler();
        ws_client_config config = trusting();
        char url[100], location[100];
        tls_client *c;
        if (!test_begin("client certificate%s: a redirect to %s host %s it", row < 2 ? "" : " of a callback",
                        i ? "another" : "the same", i ? "does not show" : "shows"))
            continue;
        CHECK(start_mtls(true));
        (void)snprintf(url, sizeof url, "wss://127.0.0.1:%u/old", (unsigned)ws_port(net.server));
        (void)snprintf(location, sizeof location, "Location: wss://%s:%u/", led[i], (unsigned)ws_port(net.server));
        led_to = location;
        handler.on_request = lead_on;
        CHECK(ws_route(net.server, "/old", &handler));
        if (row >= 2) {
            memset(&config.tls, 0, sizeof config.tls);
            config.tls.ssl_ctx = own = SSL_CTX_new(TLS_client_method());
            config.tls.accept_any_certificate = true;
            SSL_CTX_set_cert_cb(own, shows_alice, NULL);
        } else {
            config.tls.cert_pem = certs.alice.pem;
            config.tls.key_pem = certs.alice.key_pem;
        }
        c = tls_dial(url, &config);
        UNTIL(c->opened || c->errors);
        SSL_CTX_free(own);
        CHECK_EQ(c->opened, 1);
        CHECK_STR(seen_certificate, i ? "none" : "CN=alice,O=Example");
        TLS_END();
    }
}

/* The same over TLS 1.2, where the refusal comes within the handshake. */
static void test_refused_visitor_12(void) {
    tls_client *c;
    peer *r;
    if (!test_begin("client certificate required, TLS 1.2: who has none is refused"))
        return;
    CHECK(start_mtls(false));
    r = tls_connect(0);
    tls_versions(r, TLS1_2_VERSION);
    CHECK_EQ(tls_upgrade(r), 0);
    CHECK(r->tls->failed);
    c = dial_as(&certs.alice);
    CHECK_EQ(c->opened, 1);
    TLS_END();
}

static void test_revoked_visitor(void) {
    ws_tls_config tls;
    tls_client *c;
    char *crl;
    BIO *bio;
    if (!test_begin("client certificate: a revoked one is refused"))
        return;
    bio = BIO_new(BIO_s_mem());
    certs_crl(bio, &certs.ca, &certs.alice, NULL);
    crl = certs_text(bio);
    tls = with(&certs.server);
    tls.ca_pem = certs.ca.pem;
    tls.crl_file = certs_file("alice.crl", crl);
    free(crl);
    CHECK(start_server(&tls, NULL));
    c = dial_as(&certs.alice);
    CHECK_EQ(c->errors, 1);
    CHECK_SAYS(c->why, "certificate");
    c = dial_as(&certs.odd);
    CHECK_EQ(c->opened, 1);
    TLS_END();
}

/* Undoes RFC 4514's escapes in the first value, up to its end. Returns its size; SIZE_MAX: a character
   stands there that has to be escaped. */
static size_t unescaped(const char *text, char *value) {
    size_t size = 0;
    const char *at;
    for (at = strchr(text, '=') + 1; *at && *at != ','; at++) {
        unsigned code;
        if (strchr("\"+;<>", *at) || (unsigned char)*at < ' ')
            return SIZE_MAX;
        if (*at != '\\') {
            value[size++] = *at;
        } else if (isxdigit((unsigned char)at[1]) && sscanf(at + 1, "%2x", &code) == 1) {
            value[size++] = (char)code;
            at += 2;
        } else {
            value[size++] = *++at;
        }
    }
    return strcmp(at, ",O=Example") == 0 ? size : SIZE_MAX;
}

static void test_odd_names(void) {
    char value[400];
    tls_client *c;
    if (!test_begin("client certificate: odd characters in its name are escaped"))
        return;
    CHECK(start_mtls(false));
    c = dial_as(&certs.odd);
    CHECK_EQ(c->opened, 1);
    CHECK(strncmp(seen_certificate, "CN=\\", 4) == 0); /* a leading # */
    CHECK_EQ(unescaped(seen_certificate, value), sizeof CERTS_ODD - 1);
    CHECK(memcmp(value, CERTS_ODD, sizeof CERTS_ODD - 1) == 0);
    c = dial_as(&certs.nul);
    CHECK_EQ(c->opened, 1);
    CHECK(strcmp(seen_certificate, "none") == 0 || strncmp(seen_certificate, "CN=alice\\00evil,", 16) == 0);
    TLS_END();
}

static void test_certificate_sizes(void) {
    static const char whole[] = "CN=alice,O=Example";
    char text[64];
    size_t size;
    tls_client *c;
    if (!test_begin("ws_peer_certificate: too small a buffer, no TLS, not verified"))
        return;
    CHECK(start_mtls(false));
    c = dial_as(&certs.alice);
    for (size = 0; size <= sizeof whole + 1; size++) {
        memset(text, 'x', sizeof text);
        CHECK_EQ(ws_peer_certificate(net.conns[1], text, size), size >= sizeof whole);
        CHECK(text[size] == 'x');
    }
    CHECK(!ws_peer_certificate(net.conns[1], NULL, 0) && !ws_peer_certificate(NULL, text, sizeof text));
    CHECK(ws_tls_session(NULL) == NULL);
    CHECK(ws_peer_certificate(c->conn, text, sizeof text));
    CHECK_STR(text, "CN=server");
    TLS_END();
    CHECK(net_start());
    (void)net_peer("/");
    CHECK(!ws_peer_certificate(net.conns[1], text, sizeof text) && ws_tls_session(net.conns[1]) == NULL);
    TLS_END();
}

/* --- bad input: what a client does not trust --- */

static const struct {
    const char *name;
    const cert *own;
    const char *server_name;
    bool crl;
    const char *says; /* NULL: it is let in */
} trials[] = {
    {"right host", &certs.server, "localhost", false, NULL},
    {"right host, in another case", &certs.server, "LocalHost", false, NULL},
    {"wrong host", &certs.wrong_host, "localhost", false, "localhost"},
    {"right IP", &certs.ip, NULL, false, NULL},
    {"wrong IP", &certs.wrong_ip, NULL, false, "127.0.0.1"},
    {"a host for an IP", &certs.wrong_host, "127.0.0.1", false, "127.0.0.1"},
    {"an IP for a host", &certs.ip, "localhost", false, "localhost"},
    {"wildcard, right", &certs.wildcard, "a.host.test", false, NULL},
    {"wildcard, one label less", &certs.wildcard, "host.test", false, "host.test"},
    {"wildcard, one label more", &certs.wildcard, "a.b.host.test", false, "a.b.host.test"},
    {"expired", &certs.expired, NULL, false, "expired"},
    {"not yet valid", &certs.future, NULL, false, "not yet valid"},
    {"self-signed", &certs.self_signed, NULL, false, "self-signed|self signed"},
    {"unknown CA", &certs.stranger, NULL, false, "unknown|issuer"},
    {"revoked, without a CRL", &certs.revoked, NULL, false, NULL},
    {"revoked", &certs.revoked, NULL, true, "revoked"},
    {"below a revoked intermediate", &certs.below_revoked, NULL, true, "revoked"},
    {"not revoked", &certs.server, NULL, true, NULL},
    {"a client's certificate", &certs.alice, NULL, false, "127.0.0.1"}};

enum { TRIALS = sizeof trials / sizeof *trials };

static char verdicts[TRIALS][1000];

static void test_trials(void) {
    size_t i;
    for (i = 0; i < TRIALS; i++) {
        ws_client_config config;
        ws_tls_config tls;
        tls_client *c;
        if (!test_begin("client: %s", trials[i].name))
            continue;
        tls = with(trials[i].own);
        CHECK(start_server(&tls, NULL));
        config = trusting();
        config.tls.server_name = trials[i].server_name;
        if (trials[i].crl)
            config.tls.crl_file = certs_file("crl.pem", certs.crl_pem);
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, trials[i].says == NULL);
        if (trials[i].says) {
            CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
            CHECK_SAYS(c->why, trials[i].says);
            CHECK_SAYS(c->why, trials[i].server_name ? trials[i].server_name : "127.0.0.1");
            (void)snprintf(verdicts[i], sizeof verdicts[i], "%s", c->why);
            (void)net_settle();
            CHECK_EQ(net.opened, 0);
        } else if (c->errors) {
            printf("    %s\n", c->why);
        }
        TLS_END();
    }
}

/* Lists of those further up need not be there; the list of its own issuer must. */
static void test_lists(bool own_issuer) {
    ws_client_config config;
    tls_client *c;
    char *crl;
    BIO *bio;
    if (!test_begin("client: a CRL file with a list of %s alone", own_issuer ? "the issuer" : "the root"))
        return;
    bio = BIO_new(BIO_s_mem());
    certs_crl(bio, own_issuer ? &certs.middle : &certs.ca, NULL, NULL);
    crl = certs_text(bio);
    config = trusting();
    config.tls.crl_file = certs_file("one.crl", crl);
    free(crl);
    CHECK(start());
    c = dial(&config);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, own_issuer);
    if (own_issuer) {
        CHECK_STR(c->certificate, "CN=server"); /* verified, all the same */
        ws_drop(net.conns[1]);
        UNTIL(c->closed);
        CHECK_EQ(c->error, WS_ERROR_CLOSED);
    } else {
        CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
        CHECK_SAYS(c->why, "CRL|revo");
    }
    TLS_END();
}

static void test_any_certificate(void) {
    size_t i;
    for (i = 0; i < TRIALS; i++) {
        ws_client_config config;
        ws_tls_config tls;
        tls_client *c;
        if (!trials[i].says || !test_begin("client that accepts any certificate: %s", trials[i].name))
            continue;
        tls = with(trials[i].own);
        CHECK(start_server(&tls, NULL));
        memset(&config, 0, sizeof config);
        config.tls.accept_any_certificate = true;
        config.tls.server_name = trials[i].server_name;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        CHECK_STR(c->certificate, ""); /* it is not verified */
        TLS_END();
    }
}

/* The system's roots do not know the test's CA. */
static void test_system_roots(void) {
    tls_client *c;
    if (!test_begin("client: without a CA of its own the system's roots decide"))
        return;
    CHECK(start());
    c = dial(NULL);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 0);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    CHECK_SAYS(c->why, "unknown|issuer");
    TLS_END();
    (void)setenv("SSL_CERT_FILE", certs_file("ca.pem", certs.ca.pem), 1); /* where OpenSSL looks for them */
    CHECK(start());
    c = dial(NULL);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 1);
    (void)unsetenv("SSL_CERT_FILE");
    TLS_END();
}

/* A config that says nothing new must not weaken another client's. */
static void test_trust_is_own(void) {
    ws_client_config any, strict;
    tls_client *c;
    if (!test_begin("client: one that accepts all does not loosen the next"))
        return;
    CHECK(start());
    memset(&any, 0, sizeof any);
    any.tls.accept_any_certificate = true;
    c = dial(&any);
    UNTIL(c->opened);
    strict = trusting();
    strict.tls.ca_pem = certs.unknown_ca.pem;
    c = dial(&strict);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->errors, 1);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    CHECK_SAYS(c->why, "unknown|issuer");
    TLS_END();
}

/* --- bad input: configs --- */

enum { BAD_CONFIGS = 20 };

static char complaints[BAD_CONFIGS][1000];

/* Fills in the config and says which word must come; NULL: no more of them. */
static const char *bad_config(size_t i, ws_tls_config *tls, const char **name) {
    static char broken[400], locked[3000];
    const char *absent = certs_file("absent.pem", NULL), *other = certs_file("other-absent.pem", NULL);
    const char *noise = certs_file("noise.pem", "this is no PEM\n");
    const char *key_path = certs_file("key.pem", certs.server.key_pem);
    *tls = with(&certs.server);
    switch (i) {
    case 0:
        *name = "a key that belongs to another certificate";
        tls->key_pem = certs.ip.key_pem;
        return "key";
    case 1:
        *name = "a certificate file that is not there";
        tls->cert_pem = NULL;
        tls->cert_file = absent;
        return "/absent.pem";
    case 2:
        *name = "a key file that is not there";
        tls->key_pem = NULL;
        tls->key_file = other;
        return "other-absent.pem";
    case 3:
        *name = "a folder for a certificate file";
        tls->cert_pem = NULL;
        tls->cert_file = certs.folder;
        return certs.folder;
    case 4:
        *name = "a certificate file that is no PEM";
        tls->cert_pem = NULL;
        tls->cert_file = noise;
        return "noise.pem";
    case 5:
        *name = "a key file that is no PEM";
        tls->key_pem = NULL;
        tls->key_file = noise;
        return "noise.pem";
    case 6:
        *name = "a certificate without a key";
        tls->key_pem = NULL;
        return "key";
    case 7:
        *name = "a key without a certificate";
        tls->cert_pem = NULL;
        return "certificate";
    case 8:
        *name = "a key where the certificate belongs";
        tls->cert_pem = certs.server.key_pem;
        return "certificate";
    case 9:
        *name = "a certificate where the key belongs";
        tls->key_pem = certs.server.pem;
        return "key";
    case 10:
        *name = "a certificate text that breaks off";
        (void)snprintf(broken, sizeof broken, "%s", certs.server.pem);
        tls->cert_pem = broken;
        return "certificate";
    case 11:
        *name = "an empty certificate text";
        tls->cert_pem = "";
        return "certificate";
    case 12:
        *name = "a CA file that is not there";
        tls->ca_file = certs_file("absent-ca.pem", NULL);
        return "absent-ca.pem";
    case 13:
        *name = "a CA file that is no PEM";
        tls->ca_file = noise;
        return "noise.pem";
    case 14:
        *name = "a CRL file that is not there";
        tls->ca_pem = certs.ca.pem;
        tls->crl_file = certs_file("absent-crl.pem", NULL);
        return "absent-crl.pem";
    case 15:
        *name = "a CRL file that is no PEM";
        tls->ca_pem = certs.ca.pem;
        tls->crl_file = noise;
        return "noise.pem";
    case 16: { /* a password must not be asked for on the terminal */
        BIO *bio = BIO_new(BIO_s_mem());
        char password[] = "secret", *text;
        certs_need(PEM_write_bio_PrivateKey(bio, certs.server.key, EVP_aes_128_cbc(), (unsigned char *)password, 6,
                                            NULL, NULL) == 1);
        text = certs_text(bio);
        (void)snprintf(locked, sizeof locked, "%s", text);
        free(text);
        *name = "a key that is encrypted";
        tls->key_pem = locked;
        return "key";
    }
    case 17:
        *name = "a key's file for a certificate's";
        tls->cert_pem = NULL;
        tls->cert_file = key_path;
        return "key.pem";
    case 18:
        *name = "a CA text that is no PEM";
        tls->ca_pem = "nothing";
        return "ca";
    default:
        return NULL;
    }
}

static void test_bad_configs(void) {
    const char *says, *name = "";
    ws_tls_config tls;
    size_t i;
    for (i = 0; (says = bad_config(i, &tls, &name)) != NULL; i++) {
        ws_client_config config;
        tls_client *c;
        if (!test_begin("config: %s", name))
            continue;
        CHECK(!start_server(&tls, NULL));
        CHECK(net.server == NULL);
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_TLS);
        CHECK_SAYS(ws_loop_error_text(net.loop), says);
        (void)snprintf(complaints[i], sizeof complaints[i], "%s", ws_loop_error_text(net.loop));
        CHECK_EQ(ws_run(net.loop), WS_ERROR_TLS);
        TLS_END();
        CHECK(start());
        memset(&config, 0, sizeof config);
        config.tls = tls;
        if (!tls.ca_file && !tls.ca_pem)
            config.tls.ca_pem = certs.ca.pem;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->errors, 1);
        CHECK_EQ(c->error, WS_ERROR_TLS);
        CHECK_SAYS(c->why, says);
        TLS_END();
    }
    if (!test_begin("each bad certificate, key, file and list has a sentence of its own"))
        return;
    if (*test_now.filter)
        return; /* the others did not run */
    complaints[9][0] = complaints[11][0] = 0; /* what stands there is no key, no certificate: like 6 and 8 */
    for (i = 0; i < BAD_CONFIGS + TRIALS; i++) {
        const char *a = i < BAD_CONFIGS ? complaints[i] : verdicts[i - BAD_CONFIGS];
        size_t j;
        for (j = i + 1; *a && j < BAD_CONFIGS + TRIALS; j++) {
            const char *b = j < BAD_CONFIGS ? complaints[j] : verdicts[j - BAD_CONFIGS];
            bool other_name = j >= BAD_CONFIGS && i >= BAD_CONFIGS; /* one fault may come twice */
            CHECK(strcmp(a, b) != 0 || (other_name && trials[i - BAD_CONFIGS].says == trials[j - BAD_CONFIGS].says));
            if (strcmp(a, b) == 0)
                printf("    twice: %s\n", a);
        }
    }
}

/* --- one side speaks TLS, the other does not --- */

static void test_mismatch(void) {
    ws_client_config config;
    char name[1000];
    tls_client *c;
    if (!test_begin("wss: to a server without TLS, ws: to one with it"))
        return;
    CHECK(net_start());
    config = trusting();
    c = dial(&config);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->error, WS_ERROR_TLS);
    CHECK_SAYS(c->why, "not speak TLS|no TLS|not TLS|without TLS|ws:");
    (void)snprintf(name, sizeof name, "%s", c->why);
    TLS_END();
    CHECK(start());
    c = tls_dial_port("ws", ws_port(net.server), NULL);
    UNTIL(c->opened || c->errors);
    CHECK(c->error == WS_ERROR_HANDSHAKE || c->error == WS_ERROR_CLOSED || c->error == WS_ERROR_REFUSED);
    CHECK_SAYS(c->why, "127.0.0.1");
    CHECK(strcmp(c->why, name) != 0);
    printf("wss: to plain: %s\nws: to TLS: %s\n", name, c->why);
    CHECK(serves());
    TLS_END();
}

/* By the name's addresses, whichever of them it listens on. */
static void test_localhost(void) {
    ws_client_config config;
    char url[100];
    tls_client *c;
    if (!test_begin("client: wss://localhost is verified by its name"))
        return;
    CHECK(start());
    config = trusting();
    (void)snprintf(url, sizeof url, "wss://localhost:%u/", (unsigned)ws_port(net.server));
    c = tls_dial(url, &config);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 1);
    if (c->errors)
        printf("    %s\n", c->why);
    TLS_END();
}

/* --- the blocking client, with a server in a child process --- */

/* A server in a child; 0: it did not start. */
static pid_t serve_in_child(const ws_tls_config *tls, uint16_t *port) {
    int ends[2];
    pid_t child;
    if (pipe(ends) != 0)
        return 0;
    child = fork();
    if (child == 0) {
        ws_server_config config;
        ws_handler handler = net_handler();
        ws_loop *loop = ws_loop_new(NULL);
        memset(&config, 0, sizeof config);
        memset(&net, 0, sizeof net);
        net.echo = net.quiet = true;
        config.tls = *tls;
        net.server = ws_listen(loop, &config);
        (void)alarm(60); /* whatever becomes of the parent */
        *port = ws_port(net.server);
        if (!ws_route(net.server, "/", &handler) || write(ends[1], port, sizeof *port) != sizeof *port)
            _exit(1);
        (void)ws_run(loop);
        _exit(0);
    }
    (void)close(ends[1]);
    if (child > 0 && read(ends[0], port, sizeof *port) != sizeof *port)
        *port = 0;
    (void)close(ends[0]);
    return child;
}

static void end_child(pid_t child) {
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}

static void test_blocking(void) {
    uint8_t *data = sample(MIB);
    ws_tls_config tls = with(&certs.server);
    ws_client_config config = trusting();
    ws_message message;
    uint16_t port = 0;
    char url[100], text[100];
    ws_conn *conn;
    pid_t child;
    if (!test_begin("ws_connect over TLS: echo, 1 MiB, time limit, close")) {
        free(data);
        return;
    }
    child = serve_in_child(&tls, &port);
    CHECK(child > 0 && port);
    (void)snprintf(url, sizeof url, "wss://127.0.0.1:%u/", (unsigned)port);
    conn = ws_connect(url, &config);
    CHECK_EQ(ws_last_error(conn), WS_OK);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK(ws_peer_certificate(conn, text, sizeof text) && strcmp(text, "CN=server") == 0);
    CHECK(ws_send_text(conn, "hello"));
    CHECK(ws_receive(conn, &message));
    CHECK_MEM(message.data, message.size, "hello", 5);
    CHECK(ws_send_binary(conn, data, MIB));
    CHECK(ws_receive(conn, &message));
    CHECK_MEM(message.data, message.size, data, MIB);
    CHECK(!ws_receive_within(conn, &message, 20));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK(ws_send_text(conn, "again") && ws_receive(conn, &message) && message.size == 5);
    CHECK(ws_close(conn, 1000, "bye"));
    CHECK(ws_closed(conn).code == 1000 && ws_closed(conn).clean);
    CHECK(!ws_receive(conn, &message));
    ws_free(conn);
    conn = ws_connect(url, &config);
    CHECK(ws_send_text(conn, "x"));
    ws_free(conn); /* open still */
    end_child(child);
    free(data);
}

static void test_blocking_errors(void) {
    ws_tls_config tls = with(&certs.server);
    ws_client_config config;
    uint16_t port = 0;
    char url[100];
    ws_conn *conn;
    pid_t child;
    if (!test_begin("ws_connect over TLS: certificates that are not trusted, a server that is gone"))
        return;
    tls.ca_pem = certs.ca.pem; /* it wants a certificate */
    child = serve_in_child(&tls, &port);
    CHECK(child > 0 && port);
    (void)snprintf(url, sizeof url, "wss://127.0.0.1:%u/", (unsigned)port);
    conn = ws_connect(url, NULL);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_CERTIFICATE);
    CHECK_SAYS(ws_last_error_text(conn), "unknown|issuer");
    CHECK(!ws_send_text(conn, "x") && ws_state(conn) == WS_CLOSED);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_CERTIFICATE);
    ws_free(conn);
    config = trusting();
    config.tls.server_name = "elsewhere.test";
    conn = ws_connect(url, &config);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_CERTIFICATE);
    CHECK_SAYS(ws_last_error_text(conn), "elsewhere.test");
    ws_free(conn);
    config = trusting();
    conn = ws_connect(url, &config);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TLS);
    CHECK_SAYS(ws_last_error_text(conn), "certificate");
    ws_free(conn);
    config.tls.cert_pem = certs.alice.pem;
    config.tls.key_pem = certs.alice.key_pem;
    conn = ws_connect(url, &config);
    CHECK_EQ(ws_last_error(conn), WS_OK);
    end_child(child);
    {
        ws_message message;
        CHECK(!ws_receive(conn, &message)); /* no close_notify came */
        CHECK_EQ(ws_closed(conn).code, 1006);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_CLOSED);
        CHECK(!ws_send_text(conn, "x"));
    }
    ws_free(conn);
    conn = ws_connect(url, &config);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_CONNECT);
    ws_free(conn);
}

/* --- ends at every stage --- */

static void count_end(tls_client *c, int what) {
    if (what == 0)
        ws_drop(c->conn);
    else if (what == 1)
        (void)ws_close(c->conn, 1000, NULL);
}

/* Both ends are in this loop; what is ended in the middle of a handshake leaves nothing behind. */
static void test_stages(int what, int version) {
    static const char *const names[] = {"ws_drop of a client", "ws_close of a client", "ws_server_free",
                                        "ws_loop_free"};
    int stage, open = 0;
    if (!test_begin("%s at every stage of the opening, %s", names[what], version_name(version)))
        return;
    for (stage = 0; stage < 40 && open < 3; stage++) {
        ws_client_config config = trusting();
        tls_client *c;
        int i;
        CHECK(start_version(version));
        c = dial(&config);
        for (i = 0; i < stage; i++)
            (void)net_round(0);
        open += c->opened > 0;
        count_end(c, what);
        if (what == 2) {
            ws_server_free(net.server);
            net.server = NULL;
        }
        if (what < 3) {
            (void)net_settle();
            for (i = 0; i < 3; i++)
                net_wait(10001);
            CHECK(c->conn == NULL);
        }
        TLS_END();
    }
    CHECK(open == 3 && stage > 5);
}

static void test_reasons_are_own(void) {
    ws_client_config config;
    tls_client *c;
    peer *r;
    if (!test_begin("client that reconnects: each failure has its own reason"))
        return;
    CHECK(start());
    config = trusting();
    config.reconnect_ms = 100;
    config.limits.handshake_ms = 1000;
    c = tls_dial_port("wss", tls_port(), &config);
    c->again = true;
    r = tls_accept(&certs.wrong_host);
    UNTIL(c->errors == 1);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    peer_close(r);
    (void)net_settle();
    net.now += 101;
    (void)tls_accept_plain(); /* says nothing */
    (void)net_settle();
    net_wait(1001);
    CHECK_EQ(c->errors, 2);
    CHECK_EQ(c->error, WS_ERROR_TIMEOUT);
    CHECK(!tls_says(c->why, "trust|certificate"));
    net_wait(5001); /* it may linger */
    net.now += 201;
    r = tls_accept(&certs.expired);
    UNTIL(c->errors == 3);
    CHECK_SAYS(c->why, "expired");
    peer_close(r);
    (void)net_settle();
    net.now += 401;
    r = tls_accept(&certs.server);
    CHECK(tls_answer(r));
    UNTIL(c->opened == 1);
    peer_frames(r, "88<03e8>");
    UNTIL(c->closed == 1);
    CHECK(c->code == 1000 && c->clean && c->error == WS_OK);
    TLS_END();
}

/* --- many --- */

static void test_many(void) {
    enum { MANY = 100 };
    tls_client *all[MANY];
    size_t i, used;
    if (!test_begin("100 clients and their server in one loop"))
        return;
    CHECK(start());
    net.quiet = true;
    for (i = 0; i < MANY; i++) {
        ws_client_config config = trusting();
        all[i] = dial(&config);
        all[i]->first = "hello";
    }
    for (i = 0; i < MANY; i++)
        UNTIL(all[i]->messages == 1);
    used = net.memory.used;
    CHECK_EQ(net.opened, MANY);
    (void)ws_server_broadcast(net.server, NULL, (ws_message){(const uint8_t *)"to all", 6, WS_TEXT});
    for (i = 0; i < MANY; i++)
        UNTIL(all[i]->messages == 2);
    for (i = 0; i < MANY; i++)
        CHECK(ws_close(all[i]->conn, 1000, NULL));
    for (i = 0; i < MANY; i++)
        UNTIL(all[i]->closed == 1 && all[i]->clean);
    (void)net_settle();
    CHECK(net.memory.used < used);
    TLS_END();
}

/* Shutdown says good-bye over TLS as well, and comes to its end without an answer. */
static void test_shutdown(void) {
    tls_client *c;
    peer *r;
    if (!test_begin("shutdown: close frames and close_notify go out"))
        return;
    CHECK(start());
    r = tls_open();
    c = dial_open();
    CHECK(ws_shutdown(net.loop, 1000));
    UNTIL(r->in.size >= 4 && c->closed);
    CHECK(peer_behind(r, "\x88\x02\x03\xf4") == 4 || peer_behind(r, "\x03\xf4") > 0); /* 1012 */
    CHECK_EQ(c->code, 1012);
    net_wait(1001);
    net_wait(1001);
    CHECK(!ws_run_once(net.loop, 0));
    TLS_END();
}

int main(int argc, char **argv) {
    int policy, i;
    size_t v;
    test_start(argc, argv);
    certs_start();
    for (v = 0; v < 2; v++) {
        test_echo(versions[v]);
        test_large(versions[v]);
        test_gathered(versions[v]);
        test_mixture(versions[v]);
        test_full_records(versions[v]);
        test_slow_reader(versions[v]);
        for (policy = WS_SLOW_CLOSE; policy <= WS_SLOW_LATEST; policy++) {
            test_policy((ws_slow)policy, versions[v], 3000);
            test_policy((ws_slow)policy, versions[v], 30000);
        }
        test_byte_by_byte(versions[v]);
        test_resumption(versions[v]);
        test_resumption_mtls(versions[v]);
        test_close_notify(true, versions[v]);
        test_close_notify(false, versions[v]);
    }
    test_rsa();
    test_plain_things();
    test_http(TLS1_2_VERSION);
    test_http(TLS1_3_VERSION);
    test_pending(0);
    test_pending(16);
    test_pending(1000);
    test_both_full();
    test_trickle();
    for (i = 0; i < 4; i++)
        test_silence(i);
    test_silent_server();
    test_garbage();
    test_trace();
    test_much_garbage();
    test_old_version();
    test_alpn_server();
    test_hello(false);
    test_hello(true);
    test_renegotiation_by_server();
    test_renegotiation_by_client();
    test_key_update(false);
    test_key_update(true);
    test_key_update_flood();
    test_client_close(true);
    test_client_close(false);
    for (i = 0; i < CUT_KINDS; i++)
        test_truncated(i);
    for (i = 0; i < 4; i++)
        test_cut_handshake(i);
    test_sigpipe();
    test_reload();
    test_reload_inside();
    test_files();
    test_chain();
    test_own_contexts();
    test_visitors();
    test_led_visitors();
    test_refused_visitor_12();
    test_revoked_visitor();
    test_odd_names();
    test_certificate_sizes();
    test_trials();
    test_lists(true);
    test_lists(false);
    test_any_certificate();
    test_system_roots();
    test_trust_is_own();
    test_bad_configs();
    test_mismatch();
    test_localhost();
    for (i = 0; i < 4; i++)
        for (v = 0; v < 2; v++)
            test_stages(i, versions[v]);
    test_reasons_are_own();
    test_blocking();
    test_blocking_errors();
    test_many();
    test_shutdown();
    certs_end();
    return test_finish();
}

#endif
