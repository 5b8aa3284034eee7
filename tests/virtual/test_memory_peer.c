/* What a hostile peer costs: for each thing that it can repeat, n times and 2n times: basic blocks for each byte that
   it sent, and bytes that the server holds for it. Counted, not timed (count.c), over a network in memory. Superlinear
   work is a failure, and so is a server that holds more than 20 times what was sent, beyond a fixed start. */
#pragma GCC diagnostic ignored "-Wshadow" /* the type bytes of wire.h stands before ws.h here */
#include "../helpers/cost.h"

enum { COST_N = 1024, BASE = 4096, FACTOR = 20 };

#include "../fuzz/network.h"

#undef memcpy /* macros on macOS */
#undef memmove
#undef memset
#define memcpy cost_memcpy
#define memmove cost_memmove
#define memset cost_memset

#define WS_IMPLEMENTATION
#include "../../ws.h"

#undef memcpy
#undef memmove
#undef memset

#include "../helpers/drive.h"
#include "../helpers/test.h"

#define WS_HEAD "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
#define WS_OPEN_HEAD WS_HEAD "\r\n"
#define DEFLATE_HEAD WS_HEAD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
#define POST(lines) "POST /form HTTP/1.1\r\nHost: h\r\n" lines "\r\n"

typedef struct hostile {
    const char *name, *head; /* head: sent first; its cost does not count */
    const char *unit;        /* sent n times; "%" stands for eight digits, a new number each time */
    const char *frames;      /* or frames of wire.h, sent n times */
    size_t piece;            /* how many bytes the server reads at a time; 0: all */
    size_t times;            /* n is this many times COST_N */
    unsigned blocks;         /* the most blocks for each byte that was sent */
    bool deaf;               /* the peer reads nothing */
} hostile;

/* With one byte a read, unfinished data below 4 KiB is copied at each read. */
static const hostile rows[] = {
    {"header lines", "GET /form HTTP/1.1\r\nHost: h\r\n", "X%: a\r\n", NULL, 0, 1, 3, false},
    {"header lines, one byte a read", "GET /form HTTP/1.1\r\nHost: h\r\n", "X%: a\r\n", NULL, 1, 1, 1000, false},
    {"one long line, one byte a read", "GET /form HTTP/1.1\r\nHost: h\r\nX: ", "xxxxxxxx", NULL, 1, 1, 1000, false},
    {"a long target", "GET /form?", "a%=b&", NULL, 0, 1, 2, false},
    {"cookies", "GET /form HTTP/1.1\r\nHost: h\r\nCookie: ", "c%=d; ", NULL, 0, 1, 2, false},
    {"empty lines before a request", "", "\r\n", NULL, 0, 1, 15, false},
    {"empty lines before a request, one byte a read", "", "\r\n", NULL, 1, 1, 1000, false},
    {"requests in one go", "", "GET /page HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0, 1, 80, false},
    {"requests in one go, read by nobody", "", "GET /page HTTP/1.1\r\nHost: h\r\n\r\n", NULL, 0, 1, 80, true},
    {"chunks of one byte", POST("Transfer-Encoding: chunked\r\n"), "1\r\na\r\n", NULL, 0, 1, 40, false},
    {"chunks of one byte, one byte a read", POST("Transfer-Encoding: chunked\r\n"), "1\r\na\r\n", NULL, 1, 8, 1000,
     false},
    {"trailers", POST("Transfer-Encoding: chunked\r\n") "0\r\n", "X%: a\r\n", NULL, 0, 1, 20, false},
    {"a body, one byte a read", POST("Content-Length: 1000000\r\n"), "xxxxxxxx", NULL, 1, 1, 1000, false},
    {"a form", POST("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8192\r\n"), "a%=b&%61", NULL,
     0, 1, 40, false},
    {"small messages", WS_OPEN_HEAD, NULL, "82#8", 0, 1, 15, false},
    {"small messages, one byte a read", WS_OPEN_HEAD, NULL, "82#8", 1, 1, 1000, false},
    {"small messages, echoed to nobody", WS_OPEN_HEAD, NULL, "82#8", 0, 1, 15, true},
    {"empty messages", WS_OPEN_HEAD, NULL, "82", 0, 1, 30, false},
    {"pings", WS_OPEN_HEAD, NULL, "89#8", 0, 1, 20, false},
    {"pings, whose pongs nobody reads", WS_OPEN_HEAD, NULL, "89#8", 0, 1, 20, true},
    {"pongs", WS_OPEN_HEAD, NULL, "8a#8", 0, 1, 15, false},
    {"empty fragments", WS_OPEN_HEAD, NULL, "02 200x00 80", 0, 1, 25, false},
    {"fragments of one byte", WS_OPEN_HEAD, NULL, "02#1 200x00#1 80", 0, 1, 30, false},
    {"compressed messages", DEFLATE_HEAD, NULL, "c1<4a4c84000000>", 0, 1, 150, false},
    {"compressed messages that are empty", DEFLATE_HEAD, NULL, "c1<00>", 0, 1, 150, false},
    {"20,000 zeros in each compressed message", DEFLATE_HEAD, NULL,
     "c2<ecc13101000000c2a0f54f6d0d0fa000000000000000000000000000000000000000783000>", 0, 1, 2500, false},
};

typedef struct cost {
    unsigned long long blocks, bytes;
    size_t sent, held;
} cost;

static struct {
    ws_loop *loop;
    ws_server *server;
    drive_memory memory;
    uint64_t now;
} world;

static uint64_t world_clock(void *user) { return *(const uint64_t *)user; }

static void on_message(ws_conn *conn, ws_message message) { (void)ws_send(conn, message); }

static void on_form(ws_request *request, void *user) {
    (void)user;
    (void)ws_request_form(request, "none");
    (void)ws_request_query(request, "none");
    (void)ws_request_cookie(request, "none");
    (void)ws_reply(request, 200, "text/plain", "yes");
}

static bool world_start(void) {
    ws_loop_config loop;
    ws_server_config server;
    ws_handler handler;
    network_start();
    memset(&world, 0, sizeof world);
    memset(&loop, 0, sizeof loop);
    memset(&server, 0, sizeof server);
    memset(&handler, 0, sizeof handler);
    world.now = 1000;
    loop.allocator.resize = drive_resize;
    loop.allocator.user = &world.memory;
    loop.clock = world_clock;
    loop.clock_user = &world.now;
    loop.poller = WS_POLLER_SELECT;
    loop.max_spare = 1;
    server.limits.head = 1 << 20;
    server.limits.body = 64 << 20;
    handler.on_message = on_message;
    handler.deflate.on = true;
    world.loop = ws_loop_new(&loop);
    world.server = ws_listen(world.loop, &server);
    return world.server && ws_route(world.server, "/ws", &handler)
           && ws_page(world.server, "/page", "text/plain", "a page")
           && ws_http(world.server, "GET, POST", "/form", on_form, NULL);
}

static void world_run(const network_peer *peer) {
    size_t idle = 0, at = 0, out = 0;
    while (idle < 3) {
        (void)ws_run_once(world.loop, 0);
        idle = peer->in_at == at && peer->out.size == out ? idle + 1 : 0;
        at = peer->in_at;
        out = peer->out.size;
    }
}

static void send_unit(network_peer *peer, const hostile *row, size_t number) {
    char digits[9];
    if (row->frames) {
        wire_write(&peer->in, row->frames, true);
        return;
    }
    (void)snprintf(digits, sizeof digits, "%08u", (unsigned)number % 100000000u);
    for (const char *c = row->unit; *c; c++)
        bytes_add(&peer->in, *c == '%' ? digits : c, *c == '%' ? 8 : 1);
}

static cost run_row(const hostile *row, size_t n) {
    cost c;
    size_t at, before;
    network_peer *peer;
    memset(&c, 0, sizeof c);
    CHECK(world_start());
    peer = &network.peers[network_connect("192.0.2.1")];
    bytes_add(&peer->in, row->head, strlen(row->head));
    if (row->deaf)
        peer->room = 4096;
    world_run(peer);
    before = world.memory.used;
    world.memory.peak = before;
    at = peer->in.size;
    for (size_t i = 0; i < n; i++)
        send_unit(peer, row, i);
    c.sent = peer->in.size - at;
    network.piece = row->piece;
    c.blocks = count_blocks, c.bytes = count_bytes;
    world_run(peer);
    c.blocks = count_blocks - c.blocks + (count_bytes - c.bytes) / COST_BYTES;
    c.held = world.memory.peak > before ? world.memory.peak - before : 0;
    ws_loop_free(world.loop);
    CHECK_EQ(world.memory.used, 0);
    network_end();
    return c;
}

static void test_hostile(const hostile *row) {
    cost a, b;
    if (!test_begin("a peer sends: %s", row->name))
        return;
    a = run_row(row, row->times * COST_N);
    b = run_row(row, 2 * row->times * COST_N);
    if (!count_blocks) {
        test_skip("the compiler counts no blocks");
        return;
    }
    if (getenv("SHOW"))
        printf("%-50s %7zu sent %8llu blocks %5.1f a byte  %8zu held | %8llu %8zu\n", row->name, a.sent, a.blocks,
               (double)a.blocks / (double)a.sent, a.held, b.blocks, b.held);
    CHECK(a.blocks > COST_N);
    CHECK(b.blocks <= a.blocks * 22 / 10 + 2000);
    CHECK(b.blocks <= b.sent * (row->blocks + (TEST_SMALL ? 3 : 0))); /* WS_SMALL looks at each byte alone */
    CHECK(a.held <= FACTOR * a.sent + BASE && b.held <= FACTOR * b.sent + BASE);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        test_hostile(&rows[i]);
    return test_finish();
}
