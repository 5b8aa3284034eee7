/* RECEIVE: ws_pause and ws_resume: nothing is delivered while a connection is paused, and nothing is lost. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

static peer *first;

/* What a test does when a message holds one of these words. */
static void obey(ws_conn *conn, unsigned number, ws_message message) {
    const char *text = (const char *)message.data;
    (void)number;
    if (strstr(text, "stop"))
        CHECK(ws_pause(conn));
    if (strstr(text, "go on"))
        CHECK(ws_resume(conn));
    if (strstr(text, "other stop"))
        CHECK(ws_pause(net.conns[2]));
    if (strstr(text, "other go"))
        CHECK(ws_resume(net.conns[2]));
    if (strstr(text, "drop"))
        ws_drop(conn);
}

static bool pause_start(void) {
    bool good = net_start();
    net.echo = false;
    net.on_message = obey;
    first = net_peer("/");
    net.log.size = 0;
    return good;
}

static void test_many_at_once(void) {
    if (!test_begin("messages that came with the one that paused wait, and so do later ones"))
        return;
    CHECK(pause_start());
    peer_frames(first, "81\"stop\" 81\"b\" 81\"c\" 81\"d\"");
    CHECK(net_settle());
    CHECK_LOG("t1:stop");
    peer_frames(first, "81\"e\"");
    CHECK(net_settle() && ws_buffered(net.conns[1]) == 0);
    CHECK_LOG("");
    CHECK(ws_resume(net.conns[1]));
    CHECK_LOG("");
    CHECK(net_settle());
    CHECK_LOG("t1:b t1:c t1:d t1:e");
    NET_END();
}

static void test_within_callbacks(void) {
    if (!test_begin("any callback pauses and resumes any connection"))
        return;
    CHECK(pause_start());
    peer *second = net_peer("/");
    net.log.size = 0;
    peer_frames(first, "81\"stop, go on\" 81\"b\"");
    CHECK(net_settle());
    CHECK_LOG("t1:stop, go on t1:b");
    peer_frames(first, "81\"other stop\"");
    CHECK(ws_resume(net.conns[1]) && net_settle()); /* connection 1 is not paused */
    CHECK_LOG("t1:other stop");
    CHECK(ws_resume(net.conns[1]) && net_settle());
    peer_frames(second, "81\"2\" 81\"3\"");
    CHECK(net_settle());
    CHECK_LOG("");
    peer_frames(first, "81\"other go\"");
    CHECK(net_settle());
    CHECK_LOG("t1:other go t2:2 t2:3");
    NET_END();
}

static void pause_at_open(ws_conn *conn, unsigned number) {
    (void)number;
    CHECK(ws_pause(conn) && ws_pause(conn)); /* twice is once */
}

static void test_at_open(void) {
    if (!test_begin("paused in on_open: bytes after the head wait"))
        return;
    CHECK(net_start());
    net.on_open = pause_at_open;
    first = net_connect();
    peer_text(first, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                     "\x81\x82\1\2\3\4if\x81\x81\1\2\3\4i");
    CHECK_EQ(peer_take_status(first), 101);
    CHECK(net_settle());
    CHECK_LOG("o1");
    CHECK(ws_resume(net.conns[1]) && net_settle());
    CHECK_LOG("t1:hd t1:h");
    CHECK_FRAMES(first, "81\"hd\" 81\"h\"");
    NET_END();
}

static ws_id kept;

static void keep(ws_request *request, void *user) {
    (void)user;
    kept = ws_keep(request, NULL, NULL);
}

static void test_at_open_late(void) {
    if (!test_begin("paused in on_open of a kept request: frames that came before its answer wait"))
        return;
    CHECK(net_start() && ws_before(net.server, keep, NULL));
    net.on_open = pause_at_open;
    first = net_connect();
    peer_upgrade(first, "/", NULL);
    peer_frames(first, "81\"early\"");
    CHECK(net_settle() && ws_accept(ws_kept(net.loop, kept), NULL) && net_settle());
    CHECK_EQ(peer_take_status(first), 101);
    peer_frames(first, "81\"late\"");
    CHECK(net_settle());
    CHECK_LOG("o1");
    CHECK(ws_resume(net.conns[1]) && net_settle());
    CHECK_LOG("t1:early t1:late");
    NET_END();
}

static void test_close(void) {
    if (!test_begin("ws_close ends a pause: the closing handshake completes, messages that waited are dropped"))
        return;
    CHECK(pause_start());
    peer_frames(first, "81\"stop\" 81\"b\"");
    CHECK(net_settle());
    CHECK(ws_close(net.conns[1], 1000, "enough"));
    CHECK(!ws_pause(net.conns[1]) && ws_last_error(net.conns[1]) == WS_ERROR_STATE && !ws_resume(net.conns[1]));
    CHECK_FRAMES(first, "88<03e8>\"enough\"");
    peer_frames(first, "88<03e8>");
    CHECK(net_settle());
    CHECK_LOG("t1:stop c1:1000::y");
    CHECK(!ws_pause(NULL) && !ws_resume(NULL));
    NET_END();
}

static void test_close_of_peer(void) {
    int reset;
    for (reset = 0; reset < 2; reset++) {
        if (!test_begin("what a peer sent before it %s reaches the program", reset ? "ended its stream" : "closed"))
            continue;
        CHECK(pause_start());
        peer_frames(first, reset ? "81\"stop\" 81\"b\"" : "81\"stop\" 81\"b\" 88<03e8>");
        CHECK(net_settle());
        peer_frames(first, reset ? "81\"c\"" : "");
        peer_finish(first);
        net_wait(1000);
        CHECK_LOG("t1:stop");
        CHECK(ws_resume(net.conns[1]) && net_settle());
        CHECK_LOG(reset ? "t1:b t1:c c1:1006::n" : "t1:b c1:1000::y");
        NET_END();
    }
}

static void test_ends(void) {
    int way;
    for (way = 0; way < 3; way++) {
        static const char *const ways[] = {"ws_drop", "ws_server_free", "ws_shutdown"};
        if (!test_begin("a paused connection ends: %s", ways[way]))
            continue;
        CHECK(pause_start());
        peer_frames(first, "81\"stop\" 81\"b\"");
        CHECK(net_settle());
        if (way == 0)
            ws_drop(net.conns[1]);
        else if (way == 1)
            ws_server_free(net.server);
        else
            CHECK(ws_shutdown(net.loop, 1000) && net_round(0));
        peer_frames(first, way == 2 ? "88<03f4>" : "");
        CHECK(net_settle());
        CHECK_LOG(way < 2 ? "t1:stop c1:1006::n" : "t1:stop c1:1012::y");
        NET_END();
    }
}

/* Until the peer's system has acknowledged all that the connection sent: on loopback that may take 40 ms. */
static bool acknowledged(const ws_conn *conn) {
    int left = 1;
    for (int looks = 0; looks < 5000 && left && !TEST_WINDOWS; looks++) {
        if (ioctl(conn->source.link.descriptor, TIOCOUTQ, &left) != 0)
            return false;
        struct timeval millisecond = {0, 1000};
        (void)select(0, NULL, NULL, NULL, &millisecond);
    }
    return left == 0 || TEST_WINDOWS; /* Windows cannot tell */
}

static void test_deadlines(void) {
    if (!test_begin("a paused peer is pinged, and kept as long as its system acknowledges"))
        return;
    CHECK(pause_start());
    peer_frames(first, "81\"stop\" 81\"b\"");
    for (int turn = 0; turn < 10; turn++) {
        net_wait(20000);
        CHECK(acknowledged(net.conns[1]));
    }
    CHECK(first->in.size >= 6 && first->in.data[0] == 0x89);
    CHECK_LOG("t1:stop");
    CHECK(ws_resume(net.conns[1]) && net_settle());
    CHECK_LOG("t1:b");
    first->in.size = 0;
    net_wait(25000);
    net_wait(20000);
    CHECK_LOG("c1:1006::n"); /* read again, it must answer pings again */
    NET_END();
}

/* The connection's socket takes nothing: reading must not wait until it does. */
static void test_while_blocked(void) {
    static uint8_t zeros[3 << 20];
    if (!test_begin("resumed while its socket is full: it is read at once; above limits.buffered it waits"))
        return;
    CHECK(pause_start());
    net_small_buffers();
    peer *second = net_open_with("/", 4096);
    net.log.size = 0;
    second->deaf = true;
    CHECK(ws_send_binary(net.conns[2], zeros, sizeof zeros) && net_settle() && net.conns[2]->blocked);
    peer_frames(second, "81\"stop\" 81\"b\"");
    CHECK(net_settle());
    CHECK_LOG("t2:stop");
    CHECK(ws_resume(net.conns[2]) && net_settle());
    CHECK_LOG("t2:b");
    CHECK(ws_pause(net.conns[2]) && ws_send_binary(net.conns[2], zeros, sizeof zeros));
    peer_frames(second, "81\"c\"");
    CHECK(net_settle() && ws_resume(net.conns[2]) && net_settle());
    CHECK_LOG("");
    second->deaf = false;
    CHECK(net_settle());
    CHECK_LOG("t2:c d2");
    NET_END();
}

/* A broadcast goes out, and is no reason to read. */
static void test_broadcasts(void) {
    ws_message message = {(const uint8_t *)"all", 3, WS_TEXT};
    if (!test_begin("a paused member gets broadcasts"))
        return;
    CHECK(pause_start());
    peer_frames(first, "81\"stop\" 81\"b\"");
    CHECK(net_settle() && ws_server_broadcast(net.server, NULL, message));
    CHECK_FRAMES(first, "81\"all\"");
    CHECK(ws_resume(net.conns[1]) && ws_server_broadcast(net.server, NULL, message));
    CHECK_FRAMES(first, "81\"all\"");
    CHECK_LOG("t1:stop t1:b");
    NET_END();
}

#ifndef WS_NO_TRACE
static void log_pauses(const ws_trace_event *event, void *user) {
    (void)user;
    if (event->kind == WS_TRACE_PAUSED || event->kind == WS_TRACE_RESUMED)
        net_log(event->kind == WS_TRACE_PAUSED ? "paused" : "resumed");
}

static void test_trace(void) {
    ws_loop_config config;
    if (!test_begin("each pause and each resume is traced once; the end of a connection is no resume"))
        return;
    memset(&config, 0, sizeof config);
    config.trace = log_pauses;
    CHECK(net_start_with(&config, NULL));
    net.echo = false;
    net.on_message = obey;
    first = net_peer("/");
    (void)net_peer("/");
    net.log.size = 0;
    peer_frames(first, "81\"stop\" 81\"b\"");
    CHECK(net_settle() && ws_pause(net.conns[1]) && ws_pause(net.conns[2]) && net_settle());
    CHECK_LOG("t1:stop paused paused");
    CHECK(ws_resume(net.conns[1]) && ws_resume(net.conns[2]) && net_settle());
    CHECK_LOG("resumed t1:b resumed");
    peer_frames(first, "81\"drop\" 81\"b\"");
    CHECK(net_settle());
    CHECK_LOG("t1:drop c1:1006::n");
    NET_END();
}
#else
static void test_trace(void) {}
#endif

/* --- clients of ws.h, chunks, compressed messages --- */

static unsigned chunks;

static void pausing_chunk(ws_conn *conn, ws_chunk chunk) {
    net.received += chunk.size;
    chunks++;
    CHECK(ws_pause(conn));
}

/* A client of ws.h, number 2, at the server's connection 1. */
static ws_conn *pause_dial(const char *target) {
    ws_client_config config = client_config();
    char url[64];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u%s", (unsigned)ws_port(net.server), target);
    config.deflate.on = true;
    (void)client_dial(url, &config);
    CHECK(net_settle());
    CHECK_LOG("o1 o2");
    return net.conns[2];
}

static void test_chunks(void) {
    static uint8_t zeros[300000];
    int compressed;
    for (compressed = 0; compressed <= 1; compressed++) {
        ws_handler handler = net_handler();
        uint64_t before;
        if (!test_begin("paused after each chunk of a %s message", compressed ? "compressed" : "plain"))
            continue;
        CHECK(net_start());
        handler.on_message = NULL;
        handler.on_chunk = pausing_chunk;
        handler.deflate.on = compressed > 0;
        CHECK(ws_route(net.server, "/chunks", &handler));
        chunks = 0;
        CHECK(ws_send_binary(pause_dial("/chunks"), zeros, sizeof zeros) && net_settle());
        do {
            before = net.received;
            CHECK(net_settle() && before == net.received);
            CHECK(ws_resume(net.conns[1]) && net_settle());
        } while (net.received > before);
        CHECK_EQ(net.received, sizeof zeros);
        CHECK(chunks >= 4);
        NET_END();
    }
}

static void test_client(void) {
    if (!test_begin("clients can be paused, but not those of ws_connect, nor those that are not open"))
        return;
    CHECK(net_start());
    net.echo = false;
    net.on_message = obey;
    ws_conn *conn = pause_dial("/");
    CHECK(ws_send_text(net.conns[1], "stop") && ws_send_text(net.conns[1], "b") && net_settle());
    CHECK_LOG("t2:stop");
    CHECK(ws_send_text(conn, "from it") && net_settle());
    CHECK_LOG("t1:from it");
    CHECK(ws_resume(conn) && net_settle());
    CHECK_LOG("t2:b");
    (void)client_dial("ws://127.0.0.1:1/", NULL);
    CHECK(!ws_pause(client.conn) && ws_last_error(client.conn) == WS_ERROR_STATE);
    ws_drop(client.conn);
    conn = ws_connect("ws://127.0.0.1:1/", NULL);
    CHECK(!ws_pause(conn));
    ws_free(conn);
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_many_at_once();
    test_within_callbacks();
    test_at_open();
    test_at_open_late();
    test_close();
    test_close_of_peer();
    test_ends();
    test_deadlines();
    test_while_blocked();
    test_broadcasts();
    test_trace();
    test_chunks();
    test_client();
    return test_finish();
}
