/* SEND: backpressure: a program whose send was refused, or that saw unsent bytes, gets on_drain once when they are
   sent, and never stalls. Producers of every kind send in on_open, and continue in on_drain alone: each role, with and
   without TLS and compression, at every limit. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/tls.h"

enum { PIECE = 1000, TOTAL = 600 * PIECE };

typedef enum kind { FILLS, PARTS, REFUSED, PARTS_REFUSED, PINGS, KINDS } kind;

static const char *const kind_names[KINDS] = {
    "messages while ws_buffered is below the limit", "one message in parts, while it is below",
    "messages until one is refused", "parts until one is refused", "messages and a ping, until a ping is refused"};

static struct {
    kind kind;
    size_t limit, sent, received;
    unsigned drains;
    bool owed; /* a send was refused, or it saw unsent bytes */
    bool ended;
} run;

static uint8_t piece[PIECE];

static ws_message message_of(const void *data, size_t size) {
    ws_message message;
    message.data = (const uint8_t *)data;
    message.size = size;
    message.type = WS_BINARY;
    return message;
}

static bool sees(ws_conn *conn) {
    size_t size = ws_buffered(conn);
    run.owed = run.owed || size > 0;
    return size < run.limit;
}

static bool take(bool sent) {
    if (sent)
        run.sent += PIECE;
    else
        run.owed = true;
    return sent;
}

static void produce(ws_conn *conn) {
    bool in_parts = run.kind == PARTS || run.kind == PARTS_REFUSED, asks = run.kind == FILLS || run.kind == PARTS;
    while (run.sent < TOTAL && (!asks || sees(conn))) {
        bool last = run.sent + PIECE >= TOTAL;
        if (!take(in_parts ? ws_send_part(conn, message_of(piece, PIECE), last)
                           : ws_send(conn, message_of(piece, PIECE))))
            break;
        if (run.kind == PINGS && !ws_ping(conn, NULL, 0)) {
            run.owed = true;
            break;
        }
    }
}

static void produced(ws_conn *conn, unsigned number) {
    (void)number;
    produce(conn);
}

static void drained(ws_conn *conn, unsigned number) {
    (void)number;
    CHECK_EQ(ws_buffered(conn), 0);
    CHECK(run.owed || (run.kind != FILLS && run.kind != PARTS)); /* or some of it had to wait */
    run.owed = false;
    run.drains++;
    produce(conn);
}

static void peer_opened(ws_conn *conn) { produce(conn); }

static void peer_drained(ws_conn *conn) { drained(conn, 0); }

static void peer_got(ws_conn *conn, ws_message message) {
    (void)conn;
    run.received += message.size;
}

static void peer_closed(ws_conn *conn, ws_close_info why) {
    (void)conn, (void)why;
    run.ended = true;
}

static void peer_failed(ws_conn *conn) {
    (void)conn;
    run.ended = true;
}

static void server_got(ws_conn *conn, unsigned number, ws_message message) {
    (void)conn, (void)number;
    run.received += message.size;
}

static void start(bool secure, size_t buffered) {
    ws_server_config config;
    ws_handler handler = net_handler();
    memset(&config, 0, sizeof config);
    config.limits.buffered = buffered;
#ifndef WS_NO_TLS
    if (secure) {
        config.tls.cert_pem = certs.server.pem;
        config.tls.key_pem = certs.server.key_pem;
    }
#else
    (void)secure;
#endif
    net_start_loop(NULL);
    net.server = ws_listen(net.loop, &config);
    handler.deflate.on = true; /* for clients that offer it */
    CHECK(net.server && ws_route(net.server, "/", &handler));
    net.quiet = true;
    net.echo = false;
}

static void produce_all(bool secure, bool dials, bool packed, size_t buffered) {
    ws_handler handler;
    ws_client_config config;
    char url[60];
    int tries;
    start(secure, buffered);
    memset(&handler, 0, sizeof handler);
    memset(&config, 0, sizeof config);
    config.deflate.on = packed;
    config.limits.buffered = buffered;
    config.tls.accept_any_certificate = secure;
    handler.on_close = peer_closed;
    handler.on_error = peer_failed;
    if (dials) {
        handler.on_open = peer_opened;
        handler.on_drain = peer_drained;
        net.on_message = server_got;
    } else {
        handler.on_message = peer_got;
        net.on_open = produced;
        net.on_drain = drained;
    }
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u/", secure ? "wss" : "ws", (unsigned)ws_port(net.server));
    CHECK(ws_dial(net.loop, url, &handler, &config) != NULL);
    for (tries = 0; tries < TLS_TRIES && run.received < TOTAL && !run.ended; tries++)
        (void)net_round(200);
    CHECK(net_settle()); /* nothing spins */
    CHECK_EQ(run.sent, TOTAL);
    CHECK_EQ(run.received, TOTAL);
    CHECK(!run.owed);
    if (run.kind == FILLS && !packed && run.limit < 65536 && !TEST_SMALL) /* WS_SMALL gathers little */
        CHECK(run.drains >= TOTAL / (run.limit + 2 * PIECE)); /* one each time that the producer saw a full buffer */
    TLS_END();
}

static void test_producers(void) {
    static const size_t limits[] = {1, 10000, 65536, 1 << 20};
    int kind_at, secure, dials, packed;
    size_t at;
    for (at = 0; at < sizeof piece; at++)
        piece[at] = (uint8_t)(at * at * 2654435761u >> 24);
    for (kind_at = 0; kind_at < KINDS; kind_at++)
        for (secure = 0; secure < 2; secure++)
            for (dials = 0; dials < 2; dials++)
                for (packed = 0; packed < 2; packed++)
                    for (at = 0; at < (kind_at < REFUSED ? 4 : 2); at++) {
#ifdef WS_NO_TLS
                        if (secure)
                            continue;
#endif
                        if (!test_begin("%s: %s, %s%s, limit %zu", dials ? "client" : "server", kind_names[kind_at],
                                        secure ? "wss" : "ws", packed ? ", compressed" : "", limits[at]))
                            continue;
                        memset(&run, 0, sizeof run);
                        run.kind = (kind)kind_at;
                        run.limit = limits[at];
                        produce_all(secure, dials, packed, kind_at < REFUSED ? 0 : limits[at]);
                    }
}

/* --- each reason for on_drain, by the log --- */

static void says_and_looks(ws_conn *conn, unsigned number, ws_message message) {
    int i;
    (void)number;
    CHECK(ws_send(conn, message));
    for (i = 0; i < 5; i++)
        CHECK_EQ(ws_buffered(conn), message.size + 2);
}

static void test_once(void) {
    if (!test_begin("an echo without ws_buffered has no on_drain"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    for (int i = 0; i < 5; i++) {
        peer_frames(p, "81\"x\"");
        CHECK_FRAMES(p, "81\"x\"");
    }
    CHECK_LOG("o1 t1:x t1:x t1:x t1:x t1:x");
    NET_END();
    if (!test_begin("ws_buffered returned more than 0 five times: one on_drain, in the next round"))
        return;
    CHECK(net_start());
    net.on_message = says_and_looks;
    p = net_peer("/");
    peer_frames(p, "81\"x\"");
    CHECK_FRAMES(p, "81\"x\"");
    CHECK_LOG("o1 t1:x d1");
    peer_frames(p, "81\"y\" 81\"z\"");
    net.on_message = NULL;
    CHECK_FRAMES(p, "81\"y\" 81\"z\"");
    CHECK_LOG("t1:y t1:z");
    NET_END();
}

static void says_looks_and_closes(ws_conn *conn, unsigned number, ws_message message) {
    says_and_looks(conn, number, message);
    CHECK(ws_close(conn, 1000, NULL));
}

static void test_closed(void) {
    if (!test_begin("bytes were seen, and the connection closes: on_close in place of on_drain"))
        return;
    CHECK(net_start());
    net.on_message = says_looks_and_closes;
    peer *p = net_peer("/");
    peer_frames(p, "81\"x\"");
    CHECK_FRAMES(p, "81\"x\" 88<03e8>");
    CHECK(net_settle());
    CHECK_LOG("o1 t1:x");
    peer_frames(p, "88<03e8>");
    net_settle();
    CHECK_LOG("c1:1000::y");
    NET_END();
}

static void test_during_parts(void) {
    if (!test_begin("a message and an echo refused during one in parts: one on_drain after its end"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    ws_conn *conn = net.conns[1];
    net.log.size = 0;
    CHECK(ws_send_part(conn, message_of("a", 1), false));
    CHECK(!ws_send(conn, message_of("x", 1)) && !ws_send(conn, message_of("y", 1)));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_STATE);
    peer_frames(p, "81\"echo\"");
    CHECK_FRAMES(p, "02\"a\"");
    CHECK(net_settle());
    CHECK_LOG("t1:echo");
    CHECK(ws_send_part(conn, message_of("b", 1), true));
    CHECK_FRAMES(p, "80\"b\"");
    CHECK_LOG("d1");
    CHECK(ws_send(conn, message_of("x", 1)));
    CHECK_FRAMES(p, "82\"x\"");
    CHECK_LOG("");
    NET_END();
}

/* Broadcasts of 1,000 bytes each until one is refused. */
static unsigned told;

static void tell_all(ws_conn *conn, unsigned number) {
    (void)conn, (void)number;
    while (told < 500 && ws_server_broadcast(net.server, "r", message_of(piece, PIECE)))
        told++;
}

static void room_start(void) {
    ws_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.buffered = 20000;
    CHECK(net_start_limits(&limits));
    net.on_drain = tell_all;
    told = 0;
}

static void check_all_told(const peer *p) {
    for (int i = 0; i < 5000 && p->in.size < 500 * (PIECE + 4); i++)
        (void)net_round(1000);
    CHECK_EQ(told, 500);
    CHECK_EQ(p->in.size, 500 * (PIECE + 4));
}

static void test_room_in_parts(void) {
    if (!test_begin("a room that waits, and a member that sends in parts: on_drain at its end"))
        return;
    room_start();
    peer *p = net_peer("/"), *other = net_peer("/");
    CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r") && ws_room_slow(net.server, "r", WS_SLOW_WAIT));
    net.log.size = 0;
    CHECK(ws_send_part(net.conns[1], message_of("a", 1), false));
    tell_all(NULL, 0);
    CHECK(told >= 19 && told < 22);
    CHECK(net_settle());
    CHECK_LOG(""); /* not before the end of the parts, and nothing spins */
    CHECK_EQ(ws_buffered(net.conns[1]), 0); /* a program that sends parts by this figure continues */
    CHECK(ws_send_part(net.conns[1], message_of("b", 1), true));
    check_all_told(other);
    CHECK(net_settle());
    CHECK_EQ(p->in.size, 500 * (PIECE + 4) + 6);
    NET_END();
}

static void test_room_slow(void) {
    if (!test_begin("a room that waits, and a member that reads slowly: broadcasts continue in its on_drain"))
        return;
    room_start();
    net_small_buffers();
    peer *p = net_open_with("/", 4096);
    p->deaf = true;
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", WS_SLOW_WAIT));
    tell_all(NULL, 0);
    net_settle();
    CHECK(told < 100);
    p->deaf = false;
    check_all_told(p);
    NET_END();
}

static void tell_on(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)why;
    tell_all(conn, number);
}

static void test_room_left(void) {
    if (!test_begin("a room that waits, and the member that it waits for leaves: on_close in place of on_drain"))
        return;
    room_start();
    net_small_buffers();
    net.on_close = tell_on;
    peer *p = net_open_with("/", 4096), *other = net_peer("/");
    p->deaf = true;
    CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r") && ws_room_slow(net.server, "r", WS_SLOW_WAIT));
    tell_all(NULL, 0);
    net_settle();
    CHECK(told < 100);
    peer_reset(p);
    check_all_told(other);
    NET_END();
}

/* README's loop: a file of any size, in parts. */
static FILE *file;

static void more(ws_conn *conn) {
    uint8_t part[16384];
    while (file && ws_buffered(conn) < 65536) {
        size_t size = fread(part, 1, sizeof part, file);
        bool last = size < sizeof part;
        CHECK(ws_send_part(conn, message_of(part, size), last));
        if (last) {
            (void)fclose(file);
            file = NULL;
        }
    }
}

static void more_of_it(ws_conn *conn, unsigned number) {
    (void)number;
    more(conn);
}

static void test_file(void) {
    enum { PART = 16384, SIZE = 192 * PART };
    size_t i;
    bytes wanted = {NULL, 0, 0};
    if (!test_begin("README's loop: 3 MiB of a file in parts, little of it in memory"))
        return;
    CHECK(net_start());
    file = tmpfile();
    CHECK(file != NULL);
    for (i = 0; file && i < SIZE; i++) {
        if (i % PART == 0)
            bytes_add(&wanted, i ? "\0\176\100\0" : "\2\176\100\0", 4);
        bytes_add_byte(&wanted, (uint8_t)(i * 31 >> 3));
        (void)fputc((int)(i * 31 >> 3 & 255), file);
    }
    bytes_add(&wanted, "\200\0", 2);
    rewind(file);
    net.on_open = net.on_drain = more_of_it;
    peer *p = net_peer("/");
    for (i = 0; i < TLS_TRIES && file; i++)
        (void)net_round(1000);
    CHECK(file == NULL);
    CHECK(net_settle());
    CHECK(net.memory.peak < 1 << 20);
    CHECK_EQ(net.closed, 0);
    CHECK_MEM(p->in.data, p->in.size, wanted.data, wanted.size);
    bytes_free(&wanted);
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
#ifndef WS_NO_TLS
    certs_start();
#endif
    test_producers();
    test_once();
    test_closed();
    test_during_parts();
    test_room_in_parts();
    test_room_slow();
    test_room_left();
    test_file();
#ifndef WS_NO_TLS
    certs_end();
#endif
    return test_finish();
}
