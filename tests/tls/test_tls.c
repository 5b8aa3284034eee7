/* TLS: over real sockets, in one thread. Peers are ws.h's own client in the server's loop, and raw
   ones of OpenSSL (tls.h). Failures of allocations and system calls are in test_loop_fault.c, the
   seam with another library in test_transport.c, handshakes and certificates in files of their own. */
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

#include "../helpers/tls_start.h"

#include <sys/wait.h>

/* --- configs --- */

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
    if (!test_begin("50 small frames are sent in one record, %s", version_name(version)))
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

/* Broadcasts and messages alternate, from one callback. */
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
    if (!test_begin("all frames of one round are sent in one record, broadcasts too, %s", version_name(version)))
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
    if (!test_begin("a large message is sent in full records, %s", version_name(version))) {
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
    if (!test_begin("a slow reader gets all bytes, and on_drain is called, %s", version_name(version))) {
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

/* A connection whose peer does not read for a while still answers later; no data is mixed up. */
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

/* Whether only whole frames have arrived, the last of them a pong. */
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
        peer_frames(r, "89\"end\""); /* its pong waits until all the rest is sent, however slowly */
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
    if (!test_begin("ciphertext is received and sent byte by byte, %s", version_name(version)))
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

/* --- closing --- */

/* Descriptors in use, less those of the loop and of the test's peers. */
static size_t held_sockets(void) {
    size_t i, peers = 0;
    for (i = 0; i < net.peer_count; i++)
        peers += net.peers[i].fd >= 0;
    return NET_PROC ? net_descriptors() - peers : 0;
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
    CHECK_EQ(held_sockets(), NET_PROC ? before + 1 : before);
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
    CHECK_LOG(how == CUT_HALF ? "c1:1002::n" : "c1:1006::n"); /* the half frame is not masked */
    r = dial_raw(&c, 0);
    cut(r, how);
    UNTIL(c->closed);
    CHECK(c->code == 1006 && !c->clean);
    CHECK_EQ(c->error, WS_ERROR_CLOSED);
    CHECK(serves());
    TLS_END();
}

/* A server that disconnects in the middle of the opening. */
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
    CHECK_TOLD(c, "127.0.0.1");
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
    CHECK_TOLD(c, "not speak TLS|no TLS|not TLS|without TLS|ws:");
    (void)snprintf(name, sizeof name, "%s", c->why);
    TLS_END();
    CHECK(start());
    c = tls_dial_port("ws", ws_port(net.server), NULL);
    UNTIL(c->opened || c->errors);
    CHECK(c->error == WS_ERROR_HANDSHAKE || c->error == WS_ERROR_CLOSED || c->error == WS_ERROR_REFUSED);
    CHECK_TOLD(c, "127.0.0.1");
    CHECK(strcmp(c->why, name) != 0);
    printf("wss: to plain: %s\nws: to TLS: %s\n", name, c->why);
    CHECK(serves());
    TLS_END();
}

/* A client tries all addresses of localhost, whichever of them the server listens on. */
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
    if (!test_begin("ws_connect over TLS: echo, 1 MiB, time limit, close") || !test_posix("a child process")) {
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
    ws_free(conn); /* still open */
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
    if (!test_begin("ws_connect over TLS: certificates that are not trusted, a server that has ended")
        || !test_posix("a child process"))
        return;
    tls.ca_pem = certs.ca.pem; /* the server wants a certificate */
    child = serve_in_child(&tls, &port);
    CHECK(child > 0 && port);
    (void)snprintf(url, sizeof url, "wss://127.0.0.1:%u/", (unsigned)port);
    conn = ws_connect(url, NULL);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_CERTIFICATE);
    CHECK_SAYS(ws_last_error_text(conn), DETAIL(ws_last_error(conn), "unknown|issuer"));
    CHECK(!ws_send_text(conn, "x") && ws_state(conn) == WS_CLOSED);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_CERTIFICATE);
    ws_free(conn);
    config = trusting();
    config.tls.server_name = "elsewhere.test";
    conn = ws_connect(url, &config);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_CERTIFICATE);
    CHECK_SAYS(ws_last_error_text(conn), DETAIL(ws_last_error(conn), "elsewhere.test"));
    ws_free(conn);
    config = trusting();
    conn = ws_connect(url, &config);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TLS);
    CHECK_SAYS(ws_last_error_text(conn), DETAIL(ws_last_error(conn), "certificate"));
    ws_free(conn);
    config.tls.cert_pem = certs.alice.pem;
    config.tls.key_pem = certs.alice.key_pem;
    conn = ws_connect(url, &config);
    CHECK_EQ(ws_last_error(conn), WS_OK);
    end_child(child);
    {
        ws_message message;
        CHECK(!ws_receive(conn, &message)); /* no close_notify arrived */
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

/* Both ends are in this loop; a connection that ends within a handshake leaves nothing behind. */
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
    (void)tls_accept_plain(); /* sends nothing */
    (void)net_settle();
    net_wait(1001);
    CHECK_EQ(c->errors, 2);
    CHECK_EQ(c->error, WS_ERROR_TIMEOUT);
    CHECK(!tls_says(c->why, "trust|certificate"));
    net_wait(5001); /* the connection may linger */
    net.now += 201;
    r = tls_accept(&certs.expired);
    UNTIL(c->errors == 3);
    CHECK_TOLD(c, "expired");
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

/* A failure of the socket itself has no reason in TLS: it must not get that of an earlier connection. */
static void test_reset_is_no_old_failure(void) {
    if (!test_begin("client that reconnects: a reset while much is unsent is not told as an earlier failure of TLS"))
        return;
    uint8_t *data = sample(4 * MIB);
    CHECK(start());
    ws_client_config config = trusting();
    config.reconnect_ms = 100;
    config.limits.buffered = 16 << 20;
    tls_client *c = tls_dial_port("wss", tls_port(), &config);
    c->again = true;
    peer *r = tls_accept(&certs.wrong_host);
    UNTIL(c->errors == 1);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    peer_close(r);
    (void)net_settle();
    net.now += 101;
    r = tls_accept(&certs.server);
    CHECK(tls_answer(r));
    UNTIL(c->opened == 1);
    r->deaf = true;
    int size = 8192; /* else Windows may take all of it */
    CHECK(setsockopt(c->conn->source.link.descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    CHECK(ws_send_binary(c->conn, data, 4 * MIB));
    (void)net_settle();
    CHECK(c->conn->source.link.unsent);
    peer_reset(r);
    UNTIL(c->closed == 1);
    CHECK_EQ(c->error, WS_ERROR_CLOSED);
    free(data);
    TLS_END();
}

/* --- many --- */

/* How many of the server's connections keep OpenSSL's buffers for their next message. */
static size_t with_buffers(size_t count) {
    size_t with = 0;
    for (size_t i = 1; i <= count; i++)
        with += ((const wsi_tls_session *)net.conns[i]->source.link.session)->recent != 0;
    return with;
}

static void test_many(void) {
    enum { MANY = WSI_TLS_RECENT + 12 };
    tls_client *all[MANY];
    size_t i, used;
    if (!test_begin("%d clients and their server in one loop: not all keep their buffers", (int)MANY))
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
    CHECK(ws_send_text(all[0]->conn, "again")); /* its buffers were freed, and are allocated again */
    UNTIL(all[0]->messages == 3);
    CHECK_EQ(with_buffers(MANY), WSI_TLS_RECENT);
    CHECK(((const wsi_tls_session *)net.conns[1]->source.link.session)->recent != 0);
    for (i = 0; i < MANY; i++)
        CHECK(ws_close(all[i]->conn, 1000, NULL));
    for (i = 0; i < MANY; i++)
        UNTIL(all[i]->closed == 1 && all[i]->clean);
    (void)net_settle();
    CHECK(net.memory.used < used);
    TLS_END();
}

/* Shutdown closes TLS connections properly as well, and ends even without an answer. */
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
    test_start_in_tree(argc, argv);
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
        test_close_notify(true, versions[v]);
        test_close_notify(false, versions[v]);
        test_http(versions[v]);
        for (i = 0; i < 4; i++)
            test_stages(i, versions[v]);
    }
    test_rsa();
    test_plain_things();
    test_pending(0);
    test_pending(16);
    test_pending(1000);
    test_both_full();
    test_client_close(true);
    test_client_close(false);
    for (i = 0; i < CUT_KINDS; i++)
        test_truncated(i);
    for (i = 0; i < 4; i++)
        test_cut_handshake(i);
    test_sigpipe();
    test_mismatch();
    test_localhost();
    test_reasons_are_own();
    test_reset_is_no_old_failure();
    test_blocking();
    test_blocking_errors();
    test_many();
    test_shutdown();
    certs_end();
    return test_finish();
}

#endif
