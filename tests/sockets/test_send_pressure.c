/* SEND: what a peer that does not read can cost, and how long the server waits for it. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

enum { ROUNDS = 3000 };

static size_t used(void) { return net.loop->memory.used; }

/* A member that does not read any more, its socket full; and one that reads. */
static peer *deaf_member(ws_slow policy, size_t fill) {
    static uint8_t zeros[8 << 20];
    peer *slow = net_open_with("/", 4096);
    CHECK(ws_join(net.conns[1], "r") && ws_room_slow(net.server, "r", policy));
    slow->deaf = true;
    CHECK(ws_send_binary(net.conns[1], zeros, fill));
    net_settle();
    CHECK(net.conns[1]->blocked);
    return slow;
}

static bool say(const char *text) {
    ws_message message;
    message.data = (const uint8_t *)text;
    message.size = strlen(text);
    message.type = WS_TEXT;
    return ws_server_broadcast(net.server, "r", message);
}

/* Tiny broadcasts alternate with tiny messages: each costs more than its bytes, and that counts. */
static void test_small_pieces(void) {
    int policy;
    for (policy = WS_SLOW_CLOSE; policy <= WS_SLOW_LATEST; policy++) {
        ws_limits limits;
        size_t i, before;
        if (!test_begin("many small pieces for a peer that does not read, policy %d", policy))
            continue;
        memset(&limits, 0, sizeof limits);
        limits.buffered = 1 << 20;
        CHECK(net_start_limits(&limits) && net_route("/"));
        net_small_buffers();
        (void)deaf_member((ws_slow)policy, 500000);
        before = used();
        for (i = 0; i < ROUNDS && net.conns[1]; i++) {
            (void)say("x");
            (void)ws_send_text(net.conns[1], "k");
            (void)net_round(0);
        }
        CHECK(used() < before + 3 * limits.buffered);
        NET_END();
    }
}

/* The nodes of a backlog are freed with it. */
static void test_nodes_return(void) {
    size_t i, before;
    if (!test_begin("the memory of a backlog is freed once it is sent"))
        return;
    CHECK(net_start() && net_route("/"));
    net_small_buffers();
    before = used();
    (void)deaf_member(WS_SLOW_DROP_OLDEST, 500000);
    for (i = 0; i < 20000; i++) {
        (void)say("x");
        if (i % 100 == 0)
            (void)net_round(0);
    }
    CHECK(used() > before + 1000000);
    ws_drop(net.conns[1]);
    net_settle();
    CHECK(used() < before + 300000 + IF_SMALL(0, net.loop->spare));
    net_wait(1000); /* what the loop kept for the next large message */
    CHECK(used() < before + 300000);
    NET_END();
}

/* One small pending piece does not keep a large block of broadcasts alive. */
static void test_arena(void) {
    static char filler[15000];
    size_t i, before;
    if (!test_begin("a small pending broadcast does not keep the whole round's block"))
        return;
    CHECK(net_start() && net_route("/"));
    net_small_buffers();
    (void)deaf_member(WS_SLOW_CLOSE, 500000);
    (void)net_peer("/");
    CHECK(ws_join(net.conns[2], "other"));
    memset(filler, 'f', sizeof filler - 1);
    before = used();
    for (i = 0; i < 300; i++) {
        CHECK(ws_broadcast_text(net.conns[2], "other", filler));
        CHECK(say(filler + sizeof filler - 1 - 1030));
        CHECK(ws_broadcast_text(net.conns[2], "other", filler));
        (void)net_round(0);
    }
    CHECK(used() < before + 3 * 300 * 1030);
    NET_END();
}

/* The newest message of a "latest only" room arrives even if other data fills the buffer. */
static void test_latest_when_full(void) {
    ws_limits limits;
    peer *slow;
    if (!test_begin("latest only: the newest arrives although the buffer is full"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.buffered = 400000;
    CHECK(net_start_limits(&limits) && net_route("/"));
    net_small_buffers();
    slow = deaf_member(WS_SLOW_LATEST, 3000000);
    CHECK(say("first") && say("second"));
    (void)net_round(0);
    CHECK(say("third"));
    slow->deaf = false;
    net_settle();
    CHECK(!peer_has(slow, "first") && !peer_has(slow, "second") && peer_has(slow, "\x81\5third"));
    NET_END();
}

/* A peer that sends must also read. */
static void test_talker(void) {
    peer *slow;
    int i;
    if (!test_begin("a peer that sends but never reads is dropped"))
        return;
    CHECK(net_start() && net_route("/"));
    net_small_buffers();
    slow = deaf_member(WS_SLOW_CLOSE, 500000);
    for (i = 0; i < 80 && net.conns[1]; i++) {
        peer_frames(slow, "8a");
        net_wait(1000);
    }
    CHECK(i >= 45 && i <= 72);
    CHECK_EQ(net.codes[1], 1006);
    NET_END();
}

/* What the peer's system has not taken yet. */
static size_t untaken(const ws_conn *conn) {
    int sent = 0;
    (void)ioctl(conn->source.link.descriptor, TIOCOUTQ, &sent);
    return (size_t)sent + ws_buffered(conn);
}

/* ws_close waits for a peer that takes its data slowly, but not for one that has stopped. The system of that one may
   still take some bytes, after some real time: its deadline starts then. */
static void test_slow_close(bool reads) {
    static uint8_t zeros[3 << 20];
    size_t left = 0;
    peer *p;
    int i, taken = 0;
    if (!test_begin("close: a peer that %s",
                    reads ? "reads slowly gets everything" : "stops is dropped at the deadline"))
        return;
    CHECK(net_start() && net_route("/"));
    net_small_buffers();
    p = net_open_with("/", 4096);
    p->deaf = true;
    CHECK(ws_send_binary(net.conns[1], zeros, sizeof zeros));
    net_settle();
    CHECK(ws_close(net.conns[1], 1000, NULL));
    for (i = 0; i < 40 && net.conns[1]; i++) {
        uint8_t some[200000];
        ssize_t got = reads ? recv(p->fd, some, sizeof some, MSG_DONTWAIT) : 0;
        if (got > 0)
            bytes_add(&p->in, some, (size_t)got);
        if (untaken(net.conns[1]) != left)
            taken = i;
        left = untaken(net.conns[1]);
        net_wait(1000);
    }
    CHECK(reads ? i > 6 : i - taken <= 6);
    if (reads) {
        p->deaf = false;
        net_settle();
        CHECK_EQ(p->in.size, sizeof zeros + 10 + 4);
    }
    NET_END();
}

/* An answer that is larger than the limit ends its connection once it is sent, not at a deadline. */
static void test_large_page(void) {
    size_t size = 600000;
    char *page = (char *)malloc(size + 1);
    ws_limits limits;
    peer *p;
    if (!test_begin("a page above the limit, Connection: close"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.buffered = 100000;
    memset(page, 'p', size);
    page[size] = 0;
    CHECK(net_start_limits(&limits) && ws_page(net.server, "/", "text/plain", page));
    net_small_buffers();
    p = net_connect_to(ws_port(net.server), 4096);
    peer_text(p, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    net_settle();
    CHECK(p->ended && !p->reset && p->in.size > size);
    free(page);
    NET_END();
}

/* The server waits for the last answer of a connection while the peer takes some of it. */
static void test_slow_last_page(void) {
    size_t size = 3 << 20;
    char *page = (char *)malloc(size + 1);
    peer *p;
    int i;
    if (!test_begin("a last page that is read slowly arrives whole"))
        return;
    memset(page, 'p', size);
    page[size] = 0;
    CHECK(net_start() && ws_page(net.server, "/", "text/plain", page));
    net_small_buffers();
    p = net_connect_to(ws_port(net.server), 4096);
    p->deaf = true;
    peer_text(p, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (i = 0; i < 12; i++) {
        uint8_t some[60000];
        ssize_t got = recv(p->fd, some, sizeof some, MSG_DONTWAIT);
        if (got > 0)
            bytes_add(&p->in, some, (size_t)got);
        net_wait(1000);
    }
    p->deaf = false;
    net_settle();
    CHECK(p->ended && !p->reset && p->in.size > size);
    free(page);
    NET_END();
}

/* The memory of a large message is freed when only the start of the next is held. */
static void test_held_memory(void) {
    static uint8_t payload[1 << 20];
    uint8_t header[14] = {0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0};
    size_t before;
    peer *p;
    if (!test_begin("the memory of a large message is freed with it"))
        return;
    CHECK(net_start() && net_route("/"));
    net.echo = false;
    p = net_peer("/");
    before = used();
    (void)peer_send(p, header, sizeof header);
    (void)peer_send(p, payload, sizeof payload - 1);
    net_settle();
    CHECK(used() > before + (sizeof payload) / 2);
    (void)peer_send(p, "\0\x82\xff", 3); /* its last byte, and half a header */
    net_settle();
    CHECK_EQ(net.received, sizeof payload);
    CHECK(used() < before + 10000 + IF_SMALL(0, net.loop->spare));
    net_wait(1000); /* what the loop kept for the next large message */
    CHECK(used() < before + 10000);
    NET_END();
}

static void test_path_text(void) {
    peer *p;
    if (!test_begin("a path that is not UTF-8 is 400"))
        return;
    CHECK(net_start() && net_route("/ws/{room}"));
    p = net_connect();
    peer_upgrade(p, "/ws/%ff", NULL);
    CHECK_EQ(peer_status(p), 400);
    CHECK_EQ(net.opened, 0);
    NET_END();
}

static void test_stop_is_told(void) {
    if (!test_begin("ws_run_once reports a stop once"))
        return;
    CHECK(net_start());
    CHECK(ws_run_once(net.loop, 0));
    CHECK(ws_stop(net.loop));
    CHECK(!ws_run_once(net.loop, 0));
    CHECK(ws_run_once(net.loop, 0));
    CHECK(ws_shutdown(net.loop, 1000));
    (void)ws_run_once(net.loop, 0);
    CHECK(!ws_run_once(net.loop, 0));
    NET_END();
}

/* A slot whose generations are used up is not reused. */
static void test_last_generation(void) {
    ws_conn *conn;
    peer *p;
    if (!test_begin("an id is never reused"))
        return;
    CHECK(net_start() && net_route("/"));
    p = net_peer("/");
    conn = net.conns[1];
    conn->generation = UINT32_MAX - 3;
    peer_close(p);
    net_settle();
    CHECK_EQ(net.closed, 1);
    (void)net_peer("/");
    CHECK(net.conns[2] != NULL && net.conns[2] != conn);
    NET_END();
}

static void test_socket_options(void) {
    int on = 0;
    socklen_t size = sizeof on;
    if (!test_begin("accepted sockets do not delay, and are not inherited"))
        return;
    CHECK(net_start() && net_route("/"));
    (void)net_peer("/");
    CHECK(getsockopt(net.conns[1]->source.link.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0 && on);
    CHECK(fcntl(net.conns[1]->source.link.descriptor, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(net.server->listeners->source.link.descriptor, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(net.loop->mail.in, F_GETFD) & FD_CLOEXEC);
    NET_END();
}

/* Scanned bytes are not scanned again: a head's end that is put there later is not seen. */
static void test_scanned_once(void) {
    static const char first[] = "GET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyy", rest[] = "y\r\n\r\n";
    static ws_engine engine;
    ws_engine_config config;
    ws_event event;
    ws_span in;
    if (!test_begin("a head is scanned once"))
        return;
    memset(&config, 0, sizeof config);
    CHECK(ws_engine_init(&engine, &config));
    in = ws_engine_input(&engine);
    memcpy(in.data, first, sizeof first - 1);
    ws_engine_received(&engine, sizeof first - 1);
    CHECK(!ws_engine_next(&engine, &event));
    memcpy(in.data + sizeof first - 6, "\r\n\r\n", 4);
    in = ws_engine_input(&engine);
    memcpy(in.data, rest, sizeof rest - 1);
    ws_engine_received(&engine, sizeof rest - 1);
    CHECK(ws_engine_next(&engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK_EQ(engine.core.left, sizeof first + sizeof rest - 2); /* as far as the scan went */
    ws_engine_free(&engine);
}

static void test_accept_nothing(void) {
    static ws_engine engine;
    ws_engine_config config;
    if (!test_begin("accept without a request is WS_ERROR_STATE"))
        return;
    memset(&config, 0, sizeof config);
    config.subprotocols = "chat";
    CHECK(ws_engine_init(&engine, &config));
    CHECK(!ws_engine_accept(&engine));
    CHECK_EQ(ws_engine_error(&engine), WS_ERROR_STATE);
    ws_engine_free(&engine);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_small_pieces();
    test_nodes_return();
    test_arena();
    test_latest_when_full();
    test_talker();
    test_slow_close(true);
    test_slow_close(false);
    test_large_page();
    test_slow_last_page();
    test_held_memory();
    test_path_text();
    test_stop_is_told();
    test_last_generation();
    test_socket_options();
    test_scanned_once();
    test_accept_nothing();
    return test_finish();
}
