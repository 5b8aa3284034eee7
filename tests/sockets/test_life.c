/* LIFE: states, sending, closing, backpressure, deadlines, ids, over real sockets. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

static ws_message message_of(const char *text, ws_type type) {
    ws_message message;
    message.data = (const uint8_t *)text;
    message.size = strlen(text);
    message.type = type;
    return message;
}

/* --- states and sending --- */

static void close_checks(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    (void)why;
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK(ws_find(net.loop, ws_conn_id(conn)) == conn);
    CHECK(!ws_send_text(conn, "late") && !ws_ping(conn, NULL, 0) && !ws_close(conn, 1000, NULL));
    CHECK(!ws_send_part(conn, message_of("late", WS_TEXT), true));
    CHECK(!ws_join(conn, "room"));
    ws_drop(conn);
    CHECK_EQ(ws_buffered(conn), 0);
}

static void test_states(void) {
    if (!test_begin("connection: its states, and sending in each"))
        return;
    CHECK(net_start());
    net.on_close = close_checks;
    peer *p = net_peer("/");
    ws_conn *conn = net.conns[1];
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK_EQ(ws_last_error(conn), WS_OK);
    CHECK(ws_conn_loop(conn) == net.loop && ws_conn_server(conn) == net.server);
    CHECK(ws_send_text(conn, "open"));
    CHECK(ws_close(conn, 4000, "done"));
    CHECK_EQ(ws_state(conn), WS_CLOSING);
    CHECK(!ws_send_text(conn, "closing"));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_STATE);
    CHECK(!ws_ping(conn, NULL, 0) && !ws_close(conn, 1000, NULL) && !ws_join(conn, "room"));
    CHECK(!ws_send_part(conn, message_of("x", WS_TEXT), true));
    CHECK_FRAMES(p, "81\"open\" 88<0fa0>\"done\"");
    peer_frames(p, "81\"dropped\" 88<0fa0>\"done\"");
    net_settle();
    CHECK_LOG("o1 c1:4000:done:y");
    CHECK(p->ended && !p->reset);
    NET_END();
}

static void open_closes(ws_conn *conn, unsigned number) {
    (void)number;
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK(ws_send_text(conn, "hello"));
    CHECK(ws_close(conn, 1001, NULL));
}

static void test_send_in_open(void) {
    if (!test_begin("connection: on_open sends and closes at once"))
        return;
    CHECK(net_start());
    net.on_open = open_closes;
    peer *p = net_peer("/");
    CHECK_FRAMES(p, "81\"hello\" 88<03e9>");
    peer_frames(p, "88<03e9>");
    net_settle();
    CHECK_LOG("o1 c1:1001::y");
    NET_END();
}

static void test_bad_arguments(void) {
    ws_message bad;
    if (!test_begin("connection: invalid sends are refused, and the connection stays open"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    ws_conn *conn = net.conns[1];
    CHECK(!ws_send_text(conn, "\xff\xfe"));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_UTF8);
    CHECK(!ws_send_text(conn, NULL));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_ARGUMENT);
    CHECK(!ws_send_binary(conn, NULL, 1) && !ws_ping(conn, "x", 126) && !ws_ping(conn, NULL, 1));
    bad = message_of("x", (ws_type)3);
    CHECK(!ws_send(conn, bad));
    CHECK(ws_send_binary(conn, NULL, 0) && ws_ping(conn, NULL, 0));
    CHECK_FRAMES(p, "82 89");
    NET_END();
}

static void test_close_codes(void) {
    static const struct {
        unsigned code;
        bool legal;
    } rows[] = {{0, true},     {1, false},    {999, false},  {1000, true},  {1001, true},  {1002, true},
                {1003, true},  {1004, false}, {1005, false}, {1006, false}, {1007, true},  {1011, true},
                {1012, true},  {1013, true},  {1014, true},  {1015, false}, {1016, false}, {2999, false},
                {3000, true},  {4999, true},  {5000, false}, {65535, false}};
    size_t i;
    if (!test_begin("connection: valid and invalid close codes"))
        return;
    CHECK(net_start());
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        char wanted[20];
        peer *p = net_peer("/");
        ws_conn *conn = net.conns[net.opened];
        CHECK_EQ(ws_close(conn, (uint16_t)rows[i].code, NULL), rows[i].legal);
        CHECK_EQ(ws_last_error(conn), rows[i].legal ? WS_OK : WS_ERROR_CLOSE_CODE);
        CHECK_EQ(ws_state(conn), rows[i].legal ? WS_CLOSING : WS_OPEN);
        (void)snprintf(wanted, sizeof wanted, rows[i].code ? "88<%04x>" : "88", rows[i].code);
        CHECK_FRAMES(p, rows[i].legal ? wanted : "");
        peer_close(p);
    }
    NET_END();
}

static void test_close_reasons(void) {
    char reason[130];
    if (!test_begin("connection: valid and invalid close reasons"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    ws_conn *conn = net.conns[1];
    memset(reason, 'r', sizeof reason);
    reason[124] = 0;
    CHECK(!ws_close(conn, 1000, reason));
    CHECK(!ws_close(conn, 1000, "\xc3"));
    CHECK(!ws_close(conn, 0, "reason"));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_CLOSE_CODE);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    reason[123] = 0;
    CHECK(ws_close(conn, 1000, reason));
    CHECK(peer_wait(p, 127));
    CHECK(p->in.size == 127 && memcmp(p->in.data, "\x88\x7d\x03\xe8", 4) == 0);
    CHECK_MEM(p->in.data + 4, p->in.size - 4, reason, 123);
    NET_END();
}

/* --- how connections end: on_close once, with the right code --- */

static const struct {
    const char *title, *frames; /* from the peer */
    const char *sent;           /* what the peer gets */
    const char *log;
    bool ends;                  /* the peer ends its stream after its frames */
} endings[] = {
    {"close", "88<03e8>\"bye\"", "88<03e8>\"bye\"", "c1:1000:bye:y", false},
    {"close without a code", "88", "88", "c1:1005::y", false},
    {"close 4999", "88<1387>\"x\"", "88<1387>\"x\"", "c1:4999:x:y", false},
    {"close with 123 bytes", "88<03e8>*123", "88<03e8>*123", NULL, false},
    {"bad close code", "88<03ec>", "88<03ea>", "c1:1002::n", false},
    {"close of one byte", "88<03>", "88<03ea>", "c1:1002::n", false},
    {"bad close reason", "88<03e8ff>", "88<03ef>", "c1:1007::n", false},
    {"bad frame", "83\"x\"", "88<03ea>", "c1:1002::n", false},
    {"no mask", "!81\"x\"", "88<03ea>", "c1:1002::n", false},
    {"bad text", "81<ff>", "88<03ef>", "c1:1007::n", false},
    {"too big", "82@1000001", "88<03f1>", "c1:1009::n", false},
    {"end of stream", "", "", "c1:1006::n", true},
    {"message, end of stream", "81\"a\"", "81\"a\"", "t1:a c1:1006::n", true},
    {"end in a frame", "01\"a\"", "", "c1:1006::n", true},
    {"messages, close, end of stream", "81\"a\" 81\"b\" 88<03e8>", "81\"a\" 81\"b\" 88<03e8>",
     "t1:a t1:b c1:1000::y", true},
    {"behind a close", "88<03e8> 81\"a\" 89\"b\"", "88<03e8>", "c1:1000::y", false},
    {"behind a bad frame", "8b 81\"a\"", "88<03ea>", "c1:1002::n", false}};

static void test_endings(void) {
    size_t i;
    for (i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (!test_begin("connection ends: %s", endings[i].title))
            continue;
        CHECK(net_start());
        peer *p = net_peer("/");
        net.log.size = 0;
        peer_frames(p, endings[i].frames);
        if (endings[i].ends)
            CHECK_EQ(shutdown(p->fd, SHUT_WR), 0);
        CHECK_FRAMES(p, endings[i].sent);
        CHECK(p->ended && !p->reset); /* all of it arrived, then the end of the stream */
        if (endings[i].log)
            CHECK_LOG(endings[i].log);
        CHECK_EQ(net.closings[1], 1);
        peer_close(p);
        net_settle();
        CHECK_EQ(net.server->endpoint.count, 0);
        CHECK(net_serves());
        NET_END();
    }
}

static void test_reset(void) {
    if (!test_begin("connection ends: reset by the peer"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    peer_reset(p);
    net_settle();
    CHECK_LOG("o1 c1:1006::n");
    CHECK_EQ(net.server->endpoint.count, 0);
    NET_END();
}

static void test_drop(void) {
    if (!test_begin("connection ends: ws_drop, 1006 and no close frame"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    ws_drop(net.conns[1]);
    CHECK_EQ(ws_state(net.conns[1]), WS_CLOSED);
    CHECK_LOG("o1"); /* on_close is never called within another call */
    ws_drop(net.conns[1]);
    net_settle();
    CHECK_LOG("c1:1006::n");
    CHECK(p->ended);
    CHECK_EQ(p->in.size, 0);
    NET_END();
}

static void test_crossing_closes(void) {
    if (!test_begin("connection ends: both close at once"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    CHECK(ws_close(net.conns[1], 1001, NULL));
    peer_frames(p, "88<0bb8>");
    CHECK_FRAMES(p, "88<03e9>");
    CHECK_LOG("o1 c1:3000::y");
    CHECK(p->ended && !p->reset);
    NET_END();
}

static void test_half_close(void) {
    static const char more[] = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
    if (!test_begin("connection: handshake, frames, close and FIN in one segment are served"))
        return;
    CHECK(net_start());
    CHECK(ws_page(net.server, "/page", "text/plain", "the page"));
    peer *p = net_connect();
    bytes all = {NULL, 0, 0};
    const char *head = DRIVE_REQUEST;
    char text[400];
    (void)snprintf(text, sizeof text, "GET / %s", strstr(head, "HTTP/1.1"));
    bytes_add(&all, text, strlen(text));
    wire_write(&all, "81\"one\" 82#3000 88<03e8>\"end\"", true);
    CHECK_EQ(peer_send(p, all.data, all.size), all.size);
    CHECK_EQ(shutdown(p->fd, SHUT_WR), 0);
    CHECK_EQ(peer_status(p), 101);
    peer_take_head(p);
    CHECK_FRAMES(p, "81\"one\" 82#3000 88<03e8>\"end\"");
    CHECK(p->ended && !p->reset);
    CHECK_LOG("o1 t1:one b1:3000 c1:1000:end:y");
    bytes_free(&all);
    p = net_connect();
    peer_text(p, more);
    CHECK_EQ(shutdown(p->fd, SHUT_WR), 0);
    CHECK_EQ(peer_status(p), 200);
    net_settle();
    CHECK(peer_has(p, "the page"));
    CHECK(p->ended && !p->reset);
    NET_END();
}

static void test_half_close_large(void) {
    if (!test_begin("connection: a peer that ended its stream still gets the pending bytes"))
        return;
    CHECK(net_start());
    net_small_buffers();
    peer *p = net_open_with("/", 4096);
    p->deaf = true;
    peer_frames(p, "82#500000 82#500000");
    net_settle();
    CHECK(ws_buffered(net.conns[1]) > 0);
    CHECK_EQ(shutdown(p->fd, SHUT_WR), 0);
    CHECK(net_settle()); /* the end of its stream is reported only once */
    CHECK_LOG("o1 b1:500000 b1:500000 c1:1006::n");
    p->deaf = false;
    CHECK_FRAMES(p, "82#500000 82#500000");
    CHECK(p->ended && !p->reset);
    NET_END();
}

/* --- deadlines --- */

static void test_ping(void) {
    if (!test_begin("deadline: a ping after 25 s of silence, dropped 20 s later with 1006"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    net_wait(24999);
    CHECK_FRAMES(p, "");
    net_wait(1);
    CHECK_FRAMES(p, "89");
    net_wait(19999);
    CHECK_FRAMES(p, "");
    CHECK_LOG("o1");
    net_wait(1);
    CHECK_LOG("c1:1006::n");
    CHECK(p->ended);
    CHECK_EQ(net.server->endpoint.count, 0);
    NET_END();
}

static void test_pong(void) {
    if (!test_begin("deadline: a pong, or any byte, keeps the connection"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    for (int i = 0; i < 5; i++) {
        net_wait(25000);
        CHECK_FRAMES(p, "89");
        net_wait(19000);
        peer_frames(p, "8a");
        net_settle();
    }
    net_wait(24999);
    peer_text(p, "\x81"); /* the first byte of a frame */
    net_settle();
    net_wait(24999);
    CHECK_FRAMES(p, "");
    net_wait(1);
    CHECK_FRAMES(p, "89");
    CHECK_LOG("o1");
    NET_END();
}

static void test_talking_to_the_dead(void) {
    if (!test_begin("deadline: a silent peer is dropped although the program keeps sending to it"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    int i;
    p->deaf = true; /* its system takes bytes, and nobody answers */
    for (i = 0; i < 100 && !net.closed; i++) {
        (void)ws_send_text(net.conns[1], "news");
        net_wait(1000);
    }
    CHECK(i >= 45 && i <= 46);
    CHECK_LOG("o1 c1:1006::n");
    NET_END();
}

static void test_slow_but_alive(void) {
    ws_limits limits;
    int i;
    if (!test_begin("deadline: a peer that only reads, slowly, and answers pings is kept"))
        return;
    memset(&limits, 0, sizeof limits);
    CHECK(net_start_limits(&limits));
    peer *p = net_peer("/");
    for (i = 0; i < 60; i++) {
        CHECK(ws_send_text(net.conns[1], "news"));
        net_wait(1000);
        if (peer_find(p, "\x89") != SIZE_MAX)
            peer_frames(p, "8a");
        p->in.size = 0;
    }
    CHECK_LOG("o1");
    NET_END();
}

static void test_slow_download(void) {
    static uint8_t part[65536];
    size_t total = 0;
    int i;
    if (!test_begin("deadline: a peer that takes minutes for one message is kept while it takes some of it"))
        return;
    CHECK(net_start());
    net_small_buffers();
    peer *p = net_open_with("/", 4096);
    p->deaf = true;
    peer_frames(p, "82#400000");
    net_settle();
    for (i = 0; i < 1000 && total < 400010 && !net.closed; i++) {
        ssize_t got = recv(p->fd, part, i % 10 ? 0 : 30000, MSG_DONTWAIT);
        total += got > 0 ? (size_t)got : 0;
        net_wait(1000);
    }
    CHECK(total >= 400010); /* perhaps a ping after it */
    CHECK(i > 60);
    CHECK_EQ(net.closed, 0);
    NET_END();
}

static void test_pings_off(void) {
    ws_limits limits;
    if (!test_begin("deadline: WS_OFF, no pings"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.ping_ms = WS_OFF;
    CHECK(net_start_limits(&limits));
    peer *p = net_peer("/");
    net_wait(100000000);
    CHECK_FRAMES(p, "");
    CHECK_LOG("o1");
    NET_END();
}

static void test_handshake_deadline(void) {
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    size_t sent;
    if (!test_begin("deadline: handshake, one byte a second, while others are served"))
        return;
    CHECK(net_start());
    peer *slow = net_connect(), *silent = net_connect(), *other = net_peer("/");
    for (sent = 0; sent < 9; sent++) {
        CHECK_EQ(peer_send(slow, head + sent, 1), 1);
        net_wait(1000);
        peer_frames(other, "81\"x\"");
        CHECK_FRAMES(other, "81\"x\"");
    }
    net_wait(999);
    CHECK(!slow->ended && !silent->ended);
    net_wait(1);
    CHECK(slow->ended && !slow->reset && silent->ended);
    CHECK_EQ(peer_status(slow), 408);
    CHECK_EQ(silent->in.size, 0);
    peer_close(slow);
    peer_close(silent);
    net_settle();
    CHECK_EQ(net.server->endpoint.count, 1);
    NET_END();
}

static void test_idle_deadline(void) {
    static const char request[] = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";
    if (!test_begin("deadline: a kept-alive connection without a further request"))
        return;
    CHECK(net_start());
    CHECK(ws_page(net.server, "/page", "text/plain", "x"));
    peer *p = net_connect();
    for (int i = 0; i < 3; i++) {
        peer_text(p, request);
        CHECK_EQ(peer_status(p), 200);
        peer_take(p, p->in.size);
        net_wait(74000);
        CHECK(!p->ended);
    }
    net_wait(1000);
    CHECK(p->ended && !p->reset);
    NET_END();
}

static void test_close_deadline(void) {
    if (!test_begin("deadline: a peer that does not answer a close"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    CHECK(ws_close(net.conns[1], 1000, "x"));
    CHECK_FRAMES(p, "88<03e8>\"x\"");
    net_wait(3000);
    peer_frames(p, "81\"still\" 89\"talking\"");
    net_wait(1999);
    CHECK_LOG("o1");
    net_wait(1);
    CHECK_LOG("c1:1006::n");
    CHECK(p->ended);
    net_wait(5000);
    CHECK_EQ(net.server->endpoint.count, 0);
    NET_END();
}

static void test_linger_deadline(void) {
    if (!test_begin("deadline: a peer that never ends its TCP stream"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    peer_frames(p, "88<03e8>");
    net_settle();
    CHECK_LOG("o1 c1:1000::y");
    CHECK(p->ended && !p->reset);
    CHECK_EQ(net.server->endpoint.count, 1); /* only the socket is left */
    CHECK(ws_find(net.loop, net.ids[1]) == NULL);
    net_wait(4999);
    peer_frames(p, "81\"nobody hears\"");
    net_settle();
    CHECK_EQ(net.server->endpoint.count, 1);
    net_wait(1);
    CHECK_EQ(net.server->endpoint.count, 0);
    CHECK_LOG("");
    NET_END();
}

/* --- messages --- */

static void test_sizes(void) {
    static const char *const frames[] = {"81", "81*1", "81*125", "81*126", "82#127", "82#65535", "82#65536",
                                         "81*16383", "81*16384", "82#65400", "82#300000", "82#3000000"};
    size_t i;
    if (!test_begin("connection: messages of all sizes come back"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    for (i = 0; i < sizeof frames / sizeof *frames; i++) {
        peer_frames(p, frames[i]);
        CHECK_FRAMES(p, frames[i]);
    }
    NET_END();
}

static void test_one_byte_at_a_time(void) {
    bytes all = {NULL, 0, 0};
    size_t i;
    if (!test_begin("connection: everything byte by byte"))
        return;
    CHECK(net_start());
    peer *p = net_connect();
    bytes_add(&all, "GET / ", 6);
    bytes_add(&all, strstr(DRIVE_REQUEST, "HTTP/1.1"), strlen(strstr(DRIVE_REQUEST, "HTTP/1.1")));
    wire_write(&all, "81\"hello\" 02#300 00#3 89\"p\" 80#4 88<03e8>\"end\"", true);
    for (i = 0; i < all.size; i++) {
        CHECK_EQ(peer_send(p, all.data + i, 1), 1);
        (void)net_round(0);
    }
    CHECK_EQ(peer_status(p), 101);
    peer_take_head(p);
    CHECK_FRAMES(p, "81\"hello\" 8a\"p\" 82#307 88<03e8>\"end\"");
    CHECK_LOG("o1 t1:hello b1:307 c1:1000:end:y");
    bytes_free(&all);
    NET_END();
}

static void test_partial_io(void) {
    static const size_t limits[] = {1, 2, 7, 100};
    size_t i;
    for (i = 0; i < 4; i++) {
        if (!test_begin("connection: every read and write takes at most %zu bytes", limits[i]))
            continue;
        calls_reset();
        CHECK(net_start());
        calls.limit = limits[i];
        peer *p = net_peer("/");
        peer_frames(p, "89\"p\"");
        CHECK_FRAMES(p, "8a\"p\"");
        peer_frames(p, "81\"hello\" 82#1000 01*20 80*30 88<03e8>\"end\"");
        CHECK_FRAMES(p, "81\"hello\" 82#1000 81*50 88<03e8>\"end\"");
        CHECK(p->ended && !p->reset);
        calls_reset();
        NET_END();
    }
}

static void test_fragments_cost(void) {
    bytes all = {NULL, 0, 0};
    const size_t count = 16384;
    size_t i;
    if (!test_begin("connection: 1 MiB in fragments of 64 bytes: few reads, memory near the payload"))
        return;
    calls_reset();
    CHECK(net_start());
    net.echo = false;
    peer *p = net_peer("/");
    size_t before = net.memory.used;
    wire_put(&all, 0x02, NULL, 0, true);
    for (i = 0; i < count; i++) {
        uint8_t part[64];
        memset(part, (int)i, sizeof part);
        wire_put(&all, i + 1 == count ? 0x80 : 0x00, part, sizeof part, true);
    }
    net.memory.peak = before;
    calls_reset();
    net.memory.calls = 0;
    CHECK_EQ(peer_send(p, all.data, all.size), all.size);
    net_settle();
    CHECK_LOG("o1 b1:1048576");
    CHECK(net.memory.peak - before < 4 * count * 64);
    CHECK_EQ(calls.count[CALLS_RECV] / 600, 0);
    CHECK_EQ(net.memory.calls / 600, 0);
    bytes_free(&all);
    calls_reset();
    NET_END();
}

static void test_no_allocation(void) {
    if (!test_begin("connection: an echo allocates nothing and writes once"))
        return;
    calls_reset();
    CHECK(net_start());
    peer *p = net_peer("/");
    size_t before = net.memory.used;
    calls_reset();
    net.memory.calls = 0;
    for (int i = 0; i < 20; i++) {
        peer_frames(p, "81*125");
        CHECK_FRAMES(p, "81*125");
    }
    CHECK_EQ(net.memory.calls, 0);
    CHECK_EQ(net.memory.used, before);
    CHECK_EQ(calls_writes(), 20);
    CHECK_EQ(calls.count[CALLS_RECV], 20); /* no further read to find that nothing is left */
    peer_frames(p, "30x81\"x\"");
    CHECK_FRAMES(p, "30x81\"x\"");
    CHECK_EQ(calls_writes(), 21);
    NET_END();
}

static void test_chunks(void) {
    ws_handler handler = net_handler();
    ws_limits limits;
    if (!test_begin("connection: on_chunk gets messages in pieces, also beyond limits.message"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.message = 100;
    CHECK(net_start_limits(&limits));
    handler.on_message = NULL;
    handler.on_chunk = net_chunk;
    CHECK(ws_route(net.server, "/chunks", &handler));
    peer *p = net_peer("/chunks");
    net.log.size = 0;
    peer_frames(p, "82#50");
    net_settle();
    CHECK_LOG("k1:50fl");
    peer_frames(p, "82");
    net_settle();
    CHECK_LOG("k1:0fl");
    peer_frames(p, "02#60");
    net_settle();
    peer_frames(p, "89 00#70");
    net_settle();
    peer_frames(p, "80#5");
    net_settle();
    CHECK_LOG("k1:60f k1:70 k1:5l");
    net.received = 0;
    peer_frames(p, "82#200000 88<03e8>");
    net_settle();
    CHECK_EQ(net.received, 200000);
    CHECK(net.log.size > 20 && memcmp(net.log.data + net.log.size - 11, " c1:1000::y", 11) == 0);
    NET_END();
}

static void test_parts(void) {
    if (!test_begin("connection: ws_send_part sends fragments; other messages are refused between them"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    ws_conn *conn = net.conns[1];
    CHECK(ws_send_part(conn, message_of("one\xc3", WS_TEXT), false));
    CHECK(!ws_send_text(conn, "other"));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_STATE);
    CHECK(!ws_send_part(conn, message_of("one", WS_TEXT), false)); /* splits a character */
    CHECK_EQ(ws_last_error(conn), WS_ERROR_UTF8);
    CHECK(ws_ping(conn, "p", 1));
    CHECK(ws_send_part(conn, message_of("\xa9two", WS_TEXT), true));
    CHECK(ws_send_text(conn, "other"));
    CHECK_FRAMES(p, "01\"one\"<c3> 89\"p\" 80<a9>\"two\" 81\"other\"");
    CHECK(ws_send_part(conn, message_of("whole", WS_BINARY), true));
    CHECK_FRAMES(p, "82\"whole\"");
    CHECK(ws_send_part(conn, message_of("cut\xc3", WS_TEXT), false));
    CHECK(!ws_send_part(conn, message_of("", WS_TEXT), true));
    CHECK(ws_close(conn, 1000, NULL)); /* in the middle of a message */
    CHECK_FRAMES(p, "01\"cut\"<c3> 88<03e8>");
    NET_END();
}

/* --- backpressure --- */

static void test_echo_flood(void) {
    ws_limits limits;
    size_t sent = 0, idle = 0, peak;
    bytes one = {NULL, 0, 0};
    if (!test_begin("backpressure: an echo flood from a peer that does not read: memory flat, nothing lost"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.buffered = 100000;
    CHECK(net_start_limits(&limits));
    net_small_buffers();
    net.quiet = true;
    peer *p = net_open_with("/", 4096);
    p->deaf = true;
    wire_write(&one, "82#10000", true);
    peak = net.memory.used;
    while (idle < 50 && sent < 100) { /* 10 MB are offered at most; far fewer are taken */
        size_t part = peer_send(p, one.data, one.size);
        if (part < one.size)
            break;
        sent++;
        idle += !net_round(0);
    }
    net_settle();
    CHECK(ws_buffered(net.conns[1]) >= limits.buffered);
    CHECK(ws_buffered(net.conns[1]) < limits.buffered + 80000);
    CHECK(net.received < 100 * 10000);
    CHECK(net.memory.peak - peak < 400000);
    CHECK(net.conns[1]->paused);
    bytes_free(&one);
    NET_END();
}

static void test_resume(void) {
    ws_limits limits;
    bytes all = {NULL, 0, 0}, wanted = {NULL, 0, 0};
    size_t done = 0, i;
    if (!test_begin("backpressure: reading resumes when the peer reads again; order and bytes are kept"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.buffered = 50000;
    CHECK(net_start_limits(&limits));
    net_small_buffers();
    net.quiet = true;
    peer *p = net_open_with("/", 4096);
    for (i = 0; i < 200; i++) {
        char frame[40];
        (void)snprintf(frame, sizeof frame, "82#%zu 81*%zu", 20 + i * 37 % 9000, i % 130);
        wire_write(&all, frame, true);
        wire_write(&wanted, frame, false);
    }
    p->deaf = true;
    for (i = 0; i < 3000 && done < all.size; i++) {
        ssize_t part = send(p->fd, all.data + done, all.size - done, MSG_NOSIGNAL);
        done += part > 0 ? (size_t)part : 0;
        p->deaf = i < 50 || i % 20 != 0; /* reads now and then */
        (void)net_round(0);
    }
    CHECK_EQ(done, all.size);
    p->deaf = false;
    CHECK(peer_wait(p, wanted.size));
    CHECK_MEM(p->in.data, p->in.size, wanted.data, wanted.size);
    CHECK(!net.conns[1]->paused);
    CHECK_EQ(ws_buffered(net.conns[1]), 0);
    bytes_free(&all);
    bytes_free(&wanted);
    NET_END();
}

static void test_buffered_limit(void) {
    static uint8_t large[200000];
    ws_limits limits;
    if (!test_begin("backpressure: below the limit a message is accepted whole; above it BUFFERED, then on_drain"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.buffered = 100000;
    CHECK(net_start_limits(&limits));
    net_small_buffers();
    peer *p = net_open_with("/", 4096);
    ws_conn *conn = net.conns[1];
    p->deaf = true;
    net.log.size = 0;
    while (ws_buffered(conn) < 99000 && ws_send_binary(conn, large, 1000))
        (void)net_round(0);
    CHECK(ws_buffered(conn) >= 99000 && ws_buffered(conn) < 100000);
    CHECK(ws_send_binary(conn, large, sizeof large)); /* accepted whole, though far beyond the limit */
    net_settle();
    CHECK(ws_buffered(conn) >= 299000);
    CHECK(!ws_send_text(conn, "x"));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_BUFFERED);
    CHECK(!ws_send_part(conn, message_of("x", WS_TEXT), true) && !ws_ping(conn, NULL, 0));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_BUFFERED);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK_LOG("");
    p->deaf = false;
    net_settle();
    CHECK_LOG("d1");
    CHECK_EQ(ws_buffered(conn), 0);
    CHECK(ws_send_text(conn, "on"));
    net_settle();
    CHECK(p->in.size > 4 && memcmp(p->in.data + p->in.size - 4, "\x81\x02on", 4) == 0);
    CHECK_LOG("");
    NET_END();
}

static unsigned drains;

static void drain_sends(ws_conn *conn, unsigned number) {
    static uint8_t large[100000];
    (void)number;
    CHECK_EQ(ws_buffered(conn), 0);
    if (++drains < 5)
        CHECK(ws_send_binary(conn, large, sizeof large));
}

static void test_drain_sends(void) {
    if (!test_begin("backpressure: a program that sends from on_drain sends as much as the peer reads"))
        return;
    CHECK(net_start());
    net_small_buffers();
    net.on_drain = drain_sends;
    drains = 0;
    peer *p = net_open_with("/", 4096);
    drain_sends(net.conns[1], 1);
    CHECK(peer_wait(p, 400040));
    net_settle();
    CHECK_EQ(drains, 5);
    CHECK_EQ(p->in.size, 4 * 100010);
    NET_END();
}

static void test_limit_counts_what_waits(void) {
    uint8_t block[1000];
    ws_limits limits;
    int taken = 0;
    if (!test_begin("backpressure: one callback may send more than the limit to a peer that reads"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.buffered = 5000;
    memset(block, 'x', sizeof block);
    CHECK(net_start_limits(&limits));
    peer *p = net_peer("/");
    while (taken < 100 && ws_send_binary(net.conns[1], block, sizeof block))
        taken++;
    CHECK_EQ(taken, 100);
    CHECK(peer_wait(p, 100 * 1004));
    CHECK_EQ(p->in.size, 100 * 1004);
    NET_END();
}

static void test_ping_flood(void) {
    size_t i, before, peak;
    bytes pings = {NULL, 0, 0};
    if (!test_begin("backpressure: a ping flood from a peer that does not read: only the newest pong is kept"))
        return;
    CHECK(net_start_exact());
    net_small_buffers();
    peer *p = net_open_with("/", 4096);
    p->deaf = true;
    peer_frames(p, "82#300000");
    net_settle();
    before = ws_buffered(net.conns[1]);
    CHECK(before > 0);
    net.memory.peak = peak = net.memory.used;
    for (i = 0; i < 20000; i++) {
        char name[10];
        (void)snprintf(name, sizeof name, "%05zu", i);
        wire_put(&pings, 0x89, name, 5, true);
    }
    CHECK_EQ(peer_send(p, pings.data, pings.size), pings.size);
    net_settle();
    CHECK(ws_buffered(net.conns[1]) <= before); /* the system may have taken a bit more */
    CHECK(net.memory.peak < (size_t)1000 + peak);
    p->deaf = false;
    CHECK_FRAMES(p, "82#300000 8a\"19999\"");
    bytes_free(&pings);
    NET_END();
}

static void test_pong_between_messages(void) {
    if (!test_begin("backpressure: a pong never lands inside a data frame"))
        return;
    CHECK(net_start());
    net_small_buffers();
    peer *p = net_open_with("/", 4096);
    p->deaf = true;
    peer_frames(p, "82#60000 89\"a\" 82#60000 89\"b\" 82#60000");
    net_settle();
    p->deaf = false;
    CHECK(peer_wait(p, 3 * 60004));
    net_settle();
    bytes plain = {NULL, 0, 0};
    CHECK(wire_plain(&plain, p->in.data, p->in.size, false)); /* whole frames only */
    bytes_free(&plain);
    CHECK(peer_has(p, "\x8a\x01") && p->in.size <= 3 * 60004 + 6);
    NET_END();
}

/* --- ids --- */

static void test_ids(void) {
    ws_id first;
    if (!test_begin("ids: a stale id finds nothing, also when its slot is reused"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    first = net.ids[1];
    CHECK(first != 0 && ws_find(net.loop, first) == net.conns[1]);
    ws_conn *old = net.conns[1];
    peer_close(p);
    net_settle();
    CHECK(ws_find(net.loop, first) == NULL);
    (void)net_peer("/");
    CHECK(net.conns[2] == old); /* the same slot */
    CHECK(ws_find(net.loop, first) == NULL);
    CHECK(ws_find(net.loop, net.ids[2]) == old && net.ids[2] != first);
    CHECK(!ws_find(net.loop, 0) && !ws_find(net.loop, UINT64_MAX) && !ws_find(net.loop, 1));
    CHECK(!ws_find(net.loop, net.ids[2] + 1) && !ws_find(net.loop, net.ids[2] + ((ws_id)1 << 32)));
    CHECK(!ws_find(NULL, net.ids[2]));
    NET_END();
}

static void test_no_id_before_open(void) {
    ws_id id;
    if (!test_begin("ids: a connection is not found before its on_open"))
        return;
    CHECK(net_start());
    (void)net_connect();
    net_settle();
    CHECK_EQ(net.server->endpoint.count, 1);
    for (id = 0; id < 70; id++)
        CHECK(!ws_find(net.loop, (ws_id)1 << 32 | id));
    NET_END();
}

static void test_many_ids(void) {
    if (!test_begin("ids: 200 connections come and go, each id is new"))
        return;
    CHECK(net_start());
    for (unsigned i = 1; i <= 200; i++) {
        peer *p = net_peer("/");
        for (unsigned k = 1; k < i; k++)
            CHECK(net.ids[k] != net.ids[i]);
        if (i % 3)
            peer_close(p);
        net_settle();
    }
    CHECK_EQ(ws_room_count(net.server, NULL), 66);
    NET_END();
}

static void test_user(void) {
    ws_handler handler = net_handler();
    char text[64];
    int mine = 0;
    if (!test_begin("connection: user pointer, peer address"))
        return;
    CHECK(net_start());
    handler.on_open = NULL;
    handler.on_close = NULL;
    handler.user = &mine;
    CHECK(ws_route(net.server, "/user", &handler));
    peer *p = net_peer("/user");
    ws_id ids[2];
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    char wanted[64];
    CHECK_EQ(ws_room_members(net.server, NULL, ids, 2), 1);
    ws_conn *conn = ws_find(net.loop, ids[0]);
    CHECK(ws_user(conn) == &mine);
    ws_set_user(conn, NULL);
    CHECK(ws_user(conn) == NULL);
    CHECK_EQ(getsockname(p->fd, (struct sockaddr *)&own, &size), 0);
    (void)snprintf(wanted, sizeof wanted, "127.0.0.1:%u", (unsigned)ntohs(own.sin_port));
    CHECK(ws_peer(conn, text, sizeof text));
    CHECK_STR(text, wanted);
    CHECK(!ws_peer(conn, text, strlen(wanted)) && !ws_peer(conn, text, 0) && !ws_peer(conn, NULL, 9));
    CHECK(ws_peer(conn, text, strlen(wanted) + 1));
    NET_END();
}

static void test_struct_size(void) {
    if (!test_begin("connection: an idle connection costs its struct and nothing else"))
        return;
    CHECK(net_start());
    for (int i = 0; i < (TEST_SMALL ? 17 : 18); i++) /* a slab of 32 (of 4), and room for their timers */
        (void)net_peer("/");
    size_t before = net.memory.used;
    for (int i = 0; i < (TEST_SMALL ? 3 : 11); i++) /* on Windows three more sockets share room for 32 */
        (void)net_peer("/");
    CHECK_EQ(net.memory.used, before);
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_states();
    test_send_in_open();
    test_bad_arguments();
    test_close_codes();
    test_close_reasons();
    test_endings();
    test_reset();
    test_drop();
    test_crossing_closes();
    test_half_close();
    test_half_close_large();
    test_ping();
    test_pong();
    test_talking_to_the_dead();
    test_slow_but_alive();
    test_slow_download();
    test_pings_off();
    test_handshake_deadline();
    test_idle_deadline();
    test_close_deadline();
    test_linger_deadline();
    test_sizes();
    test_one_byte_at_a_time();
    test_partial_io();
    test_fragments_cost();
    test_no_allocation();
    test_chunks();
    test_parts();
    test_echo_flood();
    test_resume();
    test_buffered_limit();
    test_drain_sends();
    test_limit_counts_what_waits();
    test_ping_flood();
    test_pong_between_messages();
    test_ids();
    test_no_id_before_open();
    test_many_ids();
    test_user();
    test_struct_size();
    return test_finish();
}
