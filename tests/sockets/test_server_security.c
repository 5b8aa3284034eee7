/* SERVER: attacks over the network. Some are tested elsewhere:
   slow handshake, close stall, echo flood, ping flood, stale handle: test_life.c
   cross-site hijacking, bytes after the head: test_server.c
   slow reader in a room, budget: test_rooms.c      endless loop: test_loop.c, test_loop_fault.c
   use after free in callbacks: test_life_reentrancy.c   lengths, masks, parsers alone: test_engine_wire.c and others */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#include <signal.h>
#include <sys/resource.h>

/* --- 64-bit lengths --- */

static const struct {
    const char *length; /* hex */
    bool top_bit;
} lengths[] = {{"7fffffff", false},         {"80000000", false},         {"80000001", false},
               {"ffffffff", false},         {"100000000", false},        {"100000001", false},
               {"7fffffffffffffff", false}, {"8000000000000000", true},  {"fffffffffffffffc", true},
               {"ffffffffffffffff", true}};

static void test_lengths(void) {
    static const char *const starts[] = {"82", "01\"begun\" 00", "81\"x\" 81", "01\"a\" 89 80"};
    size_t i, k;
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (k = 0; k < sizeof starts / sizeof *starts; k++) {
            char frames[80];
            if (!test_begin("64-bit length: %s of %s bytes: 1002 or 1009, nothing is allocated", starts[k],
                            lengths[i].length))
                continue;
            CHECK(net_start());
            peer *p = net_peer("/");
            (void)snprintf(frames, sizeof frames, "%s@%s", starts[k], lengths[i].length);
            net.memory.peak = net.memory.used;
            size_t before = net.memory.used;
            peer_frames(p, frames);
            net_settle();
            CHECK(net.memory.peak - before < 500);
            CHECK(peer_has(p, lengths[i].top_bit ? "\x88\x02\x03\xea" : "\x88\x02\x03\xf1"));
            CHECK(p->ended && !p->reset);
            CHECK_EQ(net.codes[1], lengths[i].top_bit ? 1002 : 1009);
            NET_END();
        }
    }
}

static void test_endless_chunks(void) {
    static uint8_t block[100000];
    ws_handler handler = net_handler();
    bytes head = {NULL, 0, 0};
    wire_frame frame;
    if (!test_begin("64-bit length: with on_chunk 2^62 bytes may be announced; memory stays flat"))
        return;
    CHECK(net_start());
    handler.on_chunk = net_chunk;
    CHECK(ws_route(net.server, "/chunk", &handler));
    peer *p = net_peer("/chunk");
    memset(&frame, 0, sizeof frame);
    frame.first = 0x02;
    frame.bare = true;
    frame.length_bits = 64;
    frame.announced = (uint64_t)1 << 62;
    wire_frame_add(&head, &frame, true);
    net.memory.peak = net.memory.used;
    size_t before = net.memory.used;
    (void)peer_send(p, head.data, head.size);
    for (int i = 0; i < 20; i++)
        (void)peer_send(p, block, sizeof block);
    net_settle();
    CHECK_EQ(net.received, 20 * sizeof block);
    CHECK(net.memory.peak - before < 500);
    bytes_free(&head);
    NET_END();
}

static void test_tiny_fragments(void) {
    bytes all = {NULL, 0, 0};
    const size_t count = 100000;
    size_t i;
    if (!test_begin("tiny fragments: 100,000 of one byte and as many empty ones: heap near the payload"))
        return;
    CHECK(net_start_exact());
    net.echo = false;
    peer *p = net_peer("/");
    size_t before = net.memory.used;
    net.memory.peak = before;
    wire_put(&all, 0x01, NULL, 0, true);
    for (i = 0; i < count; i++) {
        wire_put(&all, 0x00, "a", 1, true);
        wire_put(&all, i + 1 < count ? 0x00 : 0x80, NULL, 0, true);
    }
    CHECK_EQ(peer_send(p, all.data, all.size), all.size);
    net_settle();
    CHECK_LOG("o1 t1:100000");
    CHECK(net.memory.peak - before < 4 * count + 70000);
    CHECK_EQ(net.memory.used, before);
    bytes_free(&all);
    NET_END();
}

/* --- the handshake --- */

static void test_handshake_cost(void) {
    enum { SIZE = 16000 };
    size_t i;
    if (!test_begin("handshake cost: a head of %d bytes, one a read: few allocations, then it is served", SIZE))
        return;
    CHECK(net_start());
    peer *p = net_connect();
    bytes head = {NULL, 0, 0};
    bytes_add(&head, "GET / HTTP/1.1\r\nHost: a\r\n", 25);
    while (head.size < SIZE)
        bytes_add(&head, "X: y\r\n", 6);
    bytes_add(&head, strstr(DRIVE_REQUEST, "Upgrade"), strlen(strstr(DRIVE_REQUEST, "Upgrade")));
    (void)net_round(0);
    net.memory.calls = 0;
    for (i = 0; i < head.size; i++) {
        CHECK_EQ(peer_send(p, head.data + i, 1), 1);
        (void)ws_run_once(net.loop, 0);
    }
    CHECK_EQ(peer_status(p), 101);
    CHECK(net.memory.calls < 100);
    bytes_free(&head);
    NET_END();
}

static void test_head_limit(void) {
    static const size_t sizes[] = {1, 1000, 20000};
    size_t i, k;
    for (i = 0; i < 3; i++) {
        if (!test_begin("handshake cost: a head beyond the limit, %zu bytes at a time: 431 and the end", sizes[i]))
            continue;
        static char header[20001];
        CHECK(net_start());
        peer *p = net_connect();
        memset(header, 'a', sizeof header);
        peer_text(p, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
        for (k = 0; k < 20000 && !p->ended; k += sizes[i]) {
            (void)peer_send(p, header, sizes[i]);
            (void)net_round(0);
        }
        CHECK_EQ(peer_status(p), 431);
        net_settle();
        CHECK(p->ended && !p->reset);
        CHECK(net.memory.peak < (size_t)300 << 10);
        NET_END();
    }
}

static void test_many_headers(void) {
    static const unsigned counts[] = {0, 1, 10, 100, 1000, 2000};
    size_t i;
    unsigned k;
    for (i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (!test_begin("handshake crash: %u headers", counts[i]))
            continue;
        bytes more = {NULL, 0, 0};
        CHECK(net_start());
        peer *p = net_connect();
        bytes_add(&more, "GET / HTTP/1.1\r\n", 16);
        for (k = 0; k < counts[i]; k++)
            bytes_add(&more, k ? "X: y\r\n" : "Host: a\r\n", k ? 6 : 9);
        bytes_add(&more, "\r\n", 2);
        (void)peer_send(p, more.data, more.size);
        CHECK_EQ(peer_status(p), counts[i] ? 426 : 400);
        bytes_free(&more);
        NET_END();
    }
}

static void test_every_byte(void) {
    const char *request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    static const uint8_t values[] = {0, 1, 9, 10, 13, 32, ':', '/', '%', 127, 128, 255};
    size_t at, i, size = strlen(request);
    if (!test_begin("handshake crash: bytes of all kinds in every place: an answer, or the deadline"))
        return;
    CHECK(net_start());
    for (at = 0; at < size; at++) {
        for (i = 0; i < sizeof values; i++) {
            char copy[400];
            peer *p;
            memcpy(copy, request, size + 1);
            copy[at] = (char)values[i];
            net.peer_count = 0;
            p = net_connect();
            (void)peer_send(p, copy, size);
            (void)net_round(0);
            (void)net_round(0);
            CHECK(p->in.size == 0 || memcmp(p->in.data, "HTTP/1.1 ", 9) == 0);
            peer_reset(p);
            bytes_free(&p->in);
            (void)net_round(0);
        }
    }
    CHECK(net_serves());
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    NET_END();
}

/* Use after free: the connection ends in the middle of its handshake, in every way, at every byte. */
static void test_end_in_handshake(void) {
    static const char *const ways[] = {"closed", "reset", "half-closed", "server freed", "shut down",
                                       "deadline", "bad byte", "loop freed"};
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r";
    size_t way, cut;
    for (way = 0; way < sizeof ways / sizeof *ways; way++) {
        if (!test_begin("use after free: %s in the handshake, at every byte", ways[way]))
            continue;
        for (cut = 0; cut < sizeof request; cut++) {
            CHECK(net_start());
            peer *p = net_connect();
            CHECK_EQ(peer_send(p, request, cut), cut);
            for (int i = 0; i < 3; i++)
                (void)net_round(0);
            CHECK_EQ(net.server->endpoint.count, 1);
            switch (way) {
            case 0: peer_close(p); break;
            case 1: peer_reset(p); break;
            case 2: (void)shutdown(p->fd, SHUT_WR); break;
            case 3:
                ws_server_free(net.server);
                CHECK(net.loop->endpoints == NULL);
                net.server = NULL;
                break;
            case 4: (void)ws_shutdown(net.loop, 0); break;
            case 5: net.now += 10000; break;
            case 6: (void)peer_send(p, "\0", 1); break;
            default: break;
            }
            for (int i = 0; i < 4; i++)
                (void)net_round(0);
            if (way > 1 && way < 7)
                CHECK(p->ended);
            CHECK_EQ(net.opened, 0);
            NET_END();
        }
    }
}

/* --- HTTP that two parsers could read in two ways --- */

#define SMUGGLED "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static const struct {
    const char *title, *request;
    size_t size; /* 0: up to its zero */
} smuggles[] = {
    {"length and chunked",
     "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
    {"negative length", "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 0},
    {"length with a sign", "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n", 0},
    {"huge length", "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 0},
    {"length 2^64", "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 0},
    {"two lengths", "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 0},
    {"list of lengths", "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n", 0},
    {"hex length", "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length: 0x0\r\n\r\n", 0},
    {"empty length", "GET /page HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 0},
    {"unknown coding", "GET /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 0},
    {"two codings",
     "GET /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {"coding in HTTP/1.0", "GET /page HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {"obs-fold", "GET /page HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 0},
    {"fold in front", "GET /page HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", 0},
    {"bare LF", "GET /page HTTP/1.1\nHost: a\n\n", 0},
    {"one bare LF", "GET /page HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 0},
    {"bare CR", "GET /page HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 0},
    {"NUL", "GET /page HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 39},
    {"space before the colon", "GET /page HTTP/1.1\r\nHost : a\r\n\r\n", 0},
    {"no colon", "GET /page HTTP/1.1\r\nHost: a\r\nHeader\r\n\r\n", 0},
    {"no name", "GET /page HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 0},
    {"two hosts", "GET /page HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 0},
    {"no host", "GET /page HTTP/1.1\r\n\r\n", 0},
    {"bad host", "GET /page HTTP/1.1\r\nHost: a/b\r\n\r\n", 0},
    {"user in host", "GET /page HTTP/1.1\r\nHost: user@a\r\n\r\n", 0},
    {"user in the target", "GET http://u@a/page HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"two hosts and one in the target", "GET http://a/page HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 0},
    {"no host but in the target", "GET http://a/page HTTP/1.1\r\n\r\n", 0},
    {"two spaces", "GET  /page HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"tab", "GET\t/page HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"version", "GET /page HTTP/1.11\r\nHost: a\r\n\r\n", 0},
    {"lower case", "GET /page http/1.1\r\nHost: a\r\n\r\n", 0},
    {"no version", "GET /page\r\n\r\n", 0},
    {"body with an upgrade", "GET / HTTP/1.1\r\nHost: a\r\n" UPGRADE "Content-Length: 5\r\n\r\nhello", 0},
    {"chunks with an upgrade",
     "GET / HTTP/1.1\r\nHost: a\r\n" UPGRADE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
    {"two keys", "GET / HTTP/1.1\r\nHost: a\r\n" UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 0},
    {"two origins", "GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n" UPGRADE "\r\n", 0},
    {"bad subprotocol", "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: a b\r\n" UPGRADE "\r\n", 0},
    {"control in a path", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"delete in a header", "GET /page HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 0}};

static void test_smuggling(void) {
    size_t i;
    for (i = 0; i < sizeof smuggles / sizeof *smuggles; i++) {
        size_t size = smuggles[i].size ? smuggles[i].size : strlen(smuggles[i].request);
        if (!test_begin("HTTP parsing: %s: 400, and the rest is not read", smuggles[i].title))
            continue;
        CHECK(net_start());
        CHECK(ws_page(net.server, "/page", "text/plain", "page")
              && ws_page(net.server, "/secret", "text/plain", "secret"));
        peer *p = net_connect();
        bytes all = {NULL, 0, 0};
        bytes_add(&all, smuggles[i].request, size);
        bytes_add(&all, SMUGGLED, strlen(SMUGGLED));
        (void)peer_send(p, all.data, all.size);
        CHECK_EQ(peer_status(p), 400);
        net_settle();
        CHECK(p->ended && !p->reset);
        CHECK(!peer_has(p, "secret") && !peer_has(p, "HTTP/1.1 200"));
        CHECK_EQ(net.opened, 0);
        bytes_free(&all);
        NET_END();
    }
}

static void test_injection(void) {
    static const char *const paths[] = {"/ws/a%0d%0aX-Evil:%20y", "/ws/%0aX-Evil:y", "/none%0d%0aX-Evil:y",
                                        "/ws/a%00b", "/ws/a?%0d%0aX-Evil:y"};
    ws_handler handler;
    size_t i;
    if (!test_begin("header injection: nothing that a peer or program gives breaks out of its line"))
        return;
    CHECK(net_start());
    CHECK(net_route("/ws/{room}"));
    for (i = 0; i < sizeof paths / sizeof *paths; i++) {
        peer *p = net_connect();
        peer_upgrade(p, paths[i], NULL);
        CHECK(peer_status(p) != 0);
        net_settle();
        CHECK(!peer_has(p, "X-Evil"));
    }
    NET_END();
    net_start_loop(NULL);
    net.server = ws_listen(net.loop, NULL);
    handler = net_handler();
    handler.subprotocols = "chat\r\nX-Evil: y";
    CHECK(!ws_route(net.server, "/", &handler));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    NET_END();
}

/* --- limits at their minimum --- */

static const struct {
    const char *title;
    ws_limits limits;
    size_t max_connections, receive_size;
    int backlog;
} least[] = {{"message", {.message = 1}, 0, 0, 0},
             {"buffered", {.buffered = 1}, 0, 0, 0},
             {"handshake", {.handshake_ms = 1}, 0, 0, 0},
             {"ping", {.ping_ms = 1}, 0, 0, 0},
             {"pong", {.pong_ms = 1}, 0, 0, 0},
             {"close", {.close_ms = 1}, 0, 0, 0},
             {"connections", {.head = 0}, 1, 0, 0},
             {"receive size", {.head = 0}, 0, 1, 0},
             {"backlog", {.head = 0}, 0, 0, 1},
             {"all",
              {.message = 1, .buffered = 1, .handshake_ms = 1, .ping_ms = 1, .pong_ms = 1, .close_ms = 1},
              1, 1, 1}};

static void test_least(void) {
    size_t i;
    for (i = 0; i < sizeof least / sizeof *least; i++) {
        ws_server_config server;
        ws_loop_config loop;
        if (!test_begin("limits at their minimum: %s", least[i].title))
            continue;
        memset(&server, 0, sizeof server);
        memset(&loop, 0, sizeof loop);
        server.limits = least[i].limits;
        server.max_connections = least[i].max_connections;
        server.backlog = least[i].backlog;
        loop.receive_size = least[i].receive_size;
        CHECK(net_start_with(&loop, &server));
        peer *p = net_peer("/");
        peer_frames(p, "81\"a\" 81 82\"b\" 50x81\"c\"");
        CHECK_FRAMES(p, "81\"a\" 81 82\"b\" 50x81\"c\"");
        peer_frames(p, "82#20000");
        CHECK_FRAMES(p, least[i].limits.message ? "88<03f1>" : "82#20000");
        peer_frames(p, "88<03e8>");
        net_settle();
        net_wait(10);
        peer_close(p);
        net_settle();
        CHECK_EQ(net.server->endpoint.count, 0);
        NET_END();
    }
    if (!test_begin("limits at their minimum: head"))
        return;
    ws_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.head = 1;
    CHECK(net_start_limits(&limits));
    peer *p = net_connect();
    peer_upgrade(p, "/", NULL);
    CHECK_EQ(peer_status(p), 431);
    NET_END();
}

/* --- descriptors --- */

static int fillers[4096];
static size_t filler_count;

/* Takes descriptors until the next one would be `number`. */
static void fill_to(int number) {
    filler_count = 0;
    while (filler_count < 4096) {
        int fd = dup(0);
        if (fd >= number || fd < 0) {
            if (fd >= 0)
                (void)close(fd);
            return;
        }
        fillers[filler_count++] = fd;
    }
}

static void empty_fillers(void) {
    while (filler_count)
        (void)close(fillers[--filler_count]);
}

static bool raise_limit(rlim_t wanted, struct rlimit *before) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, before) != 0)
        return false;
    limit = *before;
    limit.rlim_cur = wanted;
    return (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted) && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

#ifdef WS_NO_HOST
static bool watches_beyond(void) { return false; }
#else
static void nothing(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    (void)loop;
    (void)descriptor;
    (void)ready;
    (void)user;
}

static bool watches_beyond(void) {
    return ws_watch(net.loop, FD_SETSIZE, WS_READ, nothing, NULL)
           || ws_watch(net.loop, FD_SETSIZE + 6, WS_WRITE, nothing, NULL);
}
#endif

static void test_fd_setsize(void) {
    struct rlimit before;
    ws_loop_config forced;
    peer *open, *waiting[3];
    int i;
    if (!test_begin("select past FD_SETSIZE: refused cleanly, the server keeps serving"))
        return;
    if (!raise_limit(FD_SETSIZE + 200, &before)) {
        test_skip("the limit of descriptors cannot be raised");
        return;
    }
    memset(&forced, 0, sizeof forced);
    forced.poller = WS_POLLER_SELECT;
    CHECK(net_start_with(&forced, NULL));
    open = net_peer("/");
    for (i = 0; i < 3; i++) {
        waiting[i] = net_connect();
        peer_upgrade(waiting[i], "/", NULL);
    }
    fill_to(FD_SETSIZE - 2); /* two fit, the third is the first beyond */
    for (i = 0; i < 3; i++)
        CHECK_EQ(peer_status(waiting[i]), i < 2 ? 101 : 503);
    for (i = 0; i < 3; i++) {
        peer_close(waiting[i]);
        net_settle();
    }
    empty_fillers();
    for (i = 0; i < 3; i++)
        waiting[i] = net_connect();
    fill_to(FD_SETSIZE + 5);
    for (i = 0; i < 3; i++)
        peer_upgrade(waiting[i], "/", NULL);
    for (i = 0; i < 3; i++)
        CHECK_EQ(peer_status(waiting[i]), 503);
    net_settle();
    for (i = 0; i < 3; i++)
        CHECK(waiting[i]->ended && !waiting[i]->reset);
    CHECK(!watches_beyond());
    peer_frames(open, "81\"x\"");
    CHECK_FRAMES(open, "81\"x\"");
    ws_loop *other = ws_loop_new(&forced); /* its pipe lies beyond */
    CHECK_EQ(ws_loop_error(other), WS_ERROR_DESCRIPTORS);
    CHECK_EQ(ws_run(other), WS_ERROR_DESCRIPTORS);
    ws_loop_free(other);
    empty_fillers();
    CHECK(net_serves());
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    NET_END();
    (void)setrlimit(RLIMIT_NOFILE, &before);
}

static void test_listen_past_setsize(void) {
    struct rlimit before;
    ws_loop_config forced;
    if (!test_begin("select past FD_SETSIZE: a listening socket there is an error"))
        return;
    if (!raise_limit(FD_SETSIZE + 200, &before)) {
        test_skip("the limit of descriptors cannot be raised");
        return;
    }
    memset(&forced, 0, sizeof forced);
    forced.poller = WS_POLLER_SELECT;
    net_start_loop(&forced);
    fill_to(FD_SETSIZE + 1);
    CHECK(ws_listen(net.loop, NULL) == NULL);
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_DESCRIPTORS);
    empty_fillers();
    NET_END();
    (void)setrlimit(RLIMIT_NOFILE, &before);
}

static void test_emfile(void) {
    struct rlimit before, limit;
    peer *open, *waiting[3];
    int i, lowest;
    if (!test_begin("out of descriptors: accept does not spin, and service resumes when some are free")
        || !test_posix("a limit of descriptors"))
        return;
    calls_reset();
    CHECK(net_start());
    open = net_peer("/");
    for (i = 0; i < 3; i++) {
        waiting[i] = net_connect();
        peer_upgrade(waiting[i], "/", NULL);
    }
    for (i = 0; i < 3; i++) {
        CHECK_EQ(peer_status(waiting[i]), 101);
        peer_close(waiting[i]);
        net_settle();
    }
    for (i = 0; i < 3; i++)
        waiting[i] = net_connect();
    lowest = dup(0);
    (void)close(lowest);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)lowest;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    calls_reset();
    for (i = 0; i < 100; i++)
        (void)net_round(0);
    CHECK_EQ(calls.count[CALLS_ACCEPT], 1);
    CHECK_EQ(net.server->endpoint.count, 1);
    peer_frames(open, "81\"x\"");
    CHECK_FRAMES(open, "81\"x\"");
    for (i = 0; i < 10; i++)
        net_wait(100);
    CHECK(calls.count[CALLS_ACCEPT] >= 5 && calls.count[CALLS_ACCEPT] <= 12);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    net_wait(100);
    for (i = 0; i < 3; i++) {
        peer_upgrade(waiting[i], "/", NULL);
        CHECK_EQ(peer_status(waiting[i]), 101);
    }
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    calls_reset();
    NET_END();
}

/* --- SIGPIPE --- */

static void test_sigpipe(void) {
    static uint8_t large[300000];
    if (!test_begin("SIGPIPE: the peer resets before a write, default action: the process lives"))
        return;
    CHECK(net_start());
    for (int i = 0; i < 6; i++) {
        peer *p = net_peer("/");
        ws_conn *conn = net.conns[net.opened];
        if (i % 2)
            (void)shutdown(p->fd, SHUT_WR); /* then the reset is EPIPE */
        peer_reset(p);
        if (i < 4)
            (void)ws_send_binary(conn, large, i < 2 ? sizeof large : 5);
        (void)ws_send_text(conn, "again");
        (void)net_round(0);
        (void)ws_send_text(net.conns[net.opened], "and again");
        net_settle();
        CHECK_EQ(net.codes[net.opened], 1006);
    }
    CHECK(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
    NET_END();
}

/* --- many at once --- */

static void test_many_connections(void) {
    enum { MANY = 200 };
    peer *p[MANY];
    if (!test_begin("%d connections at once, opened and ended in all orders", MANY))
        return;
    CHECK(net_start());
    for (int i = 0; i < MANY; i++) {
        p[i] = net_connect();
        peer_upgrade(p[i], "/", NULL);
    }
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(peer_status(p[i]), 101);
    CHECK_EQ(ws_room_count(net.server, NULL), MANY);
    for (int i = 0; i < MANY; i += 2)
        peer_close(p[i]);
    net_settle();
    CHECK_EQ(ws_room_count(net.server, NULL), MANY / 2);
    for (int i = MANY - 1; i > 0; i -= 2)
        peer_frames(p[i], "88<03e8>");
    net_settle();
    CHECK_EQ(net.closed, MANY);
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_lengths();
    test_endless_chunks();
    test_tiny_fragments();
    test_handshake_cost();
    test_head_limit();
    test_many_headers();
    test_every_byte();
    test_end_in_handshake();
    test_smuggling();
    test_injection();
    test_least();
    test_fd_setsize();
    test_listen_past_setsize();
    test_emfile();
    test_sigpipe();
    test_many_connections();
    return test_finish();
}
