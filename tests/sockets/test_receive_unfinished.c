/* RECEIVE: messages and requests that begin to arrive, and stall. However they begin, all of them together hold
   max_unfinished at most, a quarter of max_memory by default; new connections are served meanwhile. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

enum { LIMIT = 256 << 10, MEMORY = 8 << 20, QUARTER = MEMORY / 4, MANY = 100 };

typedef struct way {
    const char *name;
    const char *path, *answer; /* answer: what a peer that is dropped gets */
    void (*begin)(peer *p);
    void (*dribble)(peer *p);  /* sends a little more, again and again */
    bool request;              /* it sends requests: no WebSocket */
} way;

static size_t packed_size;
static uint8_t packed[4096], block[LIMIT];

/* Makes LIMIT zeros into a stream of our own compressor. */
static void pack_zeros(void) {
    size_t memory = wsi_deflate_size(9, 15, false);
    wsi_deflate *deflate = (wsi_deflate *)malloc(memory);
    memset(block, 0, sizeof block);
    wsi_deflate_init(deflate, 9, 15, false);
    packed_size = wsi_deflate_run(deflate, block, sizeof block - 1000, packed, sizeof packed) - 4; /* RFC 7692 7.2.1 */
    free(deflate);
}

static void send_frame(peer *p, uint8_t first, const uint8_t *data, size_t size, uint64_t announced) {
    bytes out = {NULL, 0, 0};
    wire_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.first = first;
    frame.data = data;
    frame.size = size;
    if (announced) {
        frame.bare = true;
        frame.length_bits = 64;
        frame.announced = announced;
    }
    wire_frame_add(&out, &frame, true);
    (void)peer_send(p, out.data, out.size);
    bytes_free(&out);
    if (announced)
        (void)peer_send(p, data, size);
}

static void begin_packed(peer *p) { send_frame(p, 0x42, packed, packed_size, 0); }
static void begin_plain(peer *p) { send_frame(p, 0x02, block, LIMIT - 1000, 0); }
static void begin_announced(peer *p) { send_frame(p, 0x82, block, LIMIT - 1000, LIMIT); }

static void begin_tiny(peer *p) {
    bytes out = {NULL, 0, 0};
    wire_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.data = block;
    frame.size = 1;
    for (size_t i = 0; i < 40000; i++) {
        frame.first = i ? 0x00 : 0x02;
        wire_frame_add(&out, &frame, true);
    }
    (void)peer_send(p, out.data, out.size);
    bytes_free(&out);
}

static void dribble_empty(peer *p) { send_frame(p, 0x00, NULL, 0, 0); }
static void dribble_pong(peer *p) { peer_frames(p, "8a\"alive\""); }
static void dribble_fragment(peer *p) { send_frame(p, 0x00, block, 1, 0); }
static void dribble_byte(peer *p) { (void)peer_send(p, "a", 1); }

static void begin_head(peer *p) {
    memset(block, 'a', 16000);
    peer_text(p, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ");
    (void)peer_send(p, block, 16000);
}

/* The complete head alone: its body never begins. */
static void begin_bodiless(peer *p) {
    peer_text(p, "POST /post HTTP/1.1\r\nContent-Length: 10\r\nHost: 127.0.0.1\r\nX: ");
    memset(block, 'a', 16000);
    (void)peer_send(p, block, 16000);
    peer_text(p, "\r\n\r\n");
}

static void begin_body(peer *p) {
    char head[200];
    (void)snprintf(head, sizeof head, "POST /post HTTP/1.1\r\nContent-Length: %d\r\nHost: 127.0.0.1\r\n\r\n", LIMIT);
    peer_text(p, head);
    (void)peer_send(p, block, LIMIT - 1000);
}

static void begin_chunked(peer *p) {
    char head[200];
    (void)snprintf(head, sizeof head,
                   "POST /post HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: 127.0.0.1\r\n\r\n%x\r\n", LIMIT);
    peer_text(p, head);
    (void)peer_send(p, block, LIMIT - 1000);
}

static void dribble_none(peer *p) { (void)p; }

static const way ways[] = {
    {"a compressed fragment", "/", "\x88\x02\x03\xf5", begin_packed, dribble_empty, false},
    {"a compressed fragment, taken in chunks", "/chunks", "\x88\x02\x03\xf5", begin_packed, dribble_pong, false},
    {"a fragment", "/", "\x88\x02\x03\xf5", begin_plain, dribble_fragment, false},
    {"tiny fragments", "/", "\x88\x02\x03\xf5", begin_tiny, dribble_fragment, false},
    {"a large frame that stops", "/", "\x88\x02\x03\xf5", begin_announced, dribble_byte, false},
    {"half a head", "/", "HTTP/1.1 503 ", begin_head, dribble_byte, true},
    {"a head, and no body", "/post", "HTTP/1.1 503 ", begin_bodiless, dribble_none, true},
    {"half a body", "/post", "HTTP/1.1 503 ", begin_body, dribble_byte, true},
    {"half a chunk of a body", "/post", "HTTP/1.1 503 ", begin_chunked, dribble_byte, true},
};

static void answer(ws_request *request, void *user) {
    (void)user;
    (void)ws_reply(request, 200, "text/plain", "ok");
}

/* Either config may be NULL. */
static bool start_packed(const ws_loop_config *loop, const ws_server_config *server) {
    ws_handler handler = net_handler();
    net_start_loop(loop);
    net.server = ws_listen(net.loop, server);
    net.quiet = true;
    handler.deflate.on = true;
    if (!net.server || !ws_route(net.server, "/", &handler))
        return false;
    handler.on_message = NULL;
    handler.on_chunk = net_chunk;
    return ws_route(net.server, "/chunks", &handler);
}

static bool start(size_t memory, size_t unfinished) {
    ws_loop_config loop;
    ws_server_config server;
    memset(&loop, 0, sizeof loop);
    memset(&server, 0, sizeof server);
    loop.max_memory = memory;
    loop.max_unfinished = unfinished;
    server.limits.message = server.limits.body = LIMIT;
    return start_packed(&loop, &server) && ws_http(net.server, "POST", "/post", answer, NULL);
}

static peer *open_way(const way *w) {
    peer *p;
    if (w->request)
        return net_connect();
    p = net_connect();
    peer_upgrade(p, w->path, "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n");
    CHECK_EQ(peer_status(p), 101);
    peer_take_head(p);
    return p;
}

/* A new connection sends the largest message in four pieces, while the others dribble. */
static void check_served(const way *w, peer *const others[MANY]) {
    peer *p = open_way(&ways[0]);
    CHECK(net_serves());
    for (int i = 0; i < 4; i++) {
        send_frame(p, i ? (i == 3 ? 0x80 : 0x00) : 0x02, block, LIMIT / 4, 0);
        for (int k = 0; k < MANY; k++)
            if (!others[k]->ended && !others[k]->in.size)
                w->dribble(others[k]);
        net_settle();
    }
    CHECK(peer_wait(p, 20)); /* an echo, compressed */
    CHECK(p->in.size && p->in.data[0] == 0xc2);
    p->in.size = 0;
    begin_packed(p); /* and again, so that no context is needed */
    send_frame(p, 0x80, NULL, 0, 0);
    CHECK(peer_wait(p, 20));
    CHECK(p->in.size && p->in.data[0] == 0xc2);
    peer_close(p);
    p = net_connect();
    begin_body(p);
    net_settle();
    (void)peer_send(p, block, 1000);
    CHECK_EQ(peer_status(p), 200);
    peer_close(p);
    net_settle();
}

static void test_way(const way *w) {
    peer *others[MANY];
    size_t before, given_up = 0, answered = 0;
    if (!test_begin("unfinished: %s, %d times: a quarter of max_memory, and others are served", w->name, MANY))
        return;
    CHECK(start(MEMORY, 0));
    for (int i = 0; i < MANY; i++)
        others[i] = open_way(w);
    net_settle();
    net.memory.peak = before = net.memory.used;
    for (int i = 0; i < MANY; i++) {
        w->begin(others[i]);
        net_settle();
    }
    CHECK(net.memory.used > before + QUARTER / 2); /* they do hold something */
    CHECK(net.memory.peak < before + QUARTER + 2 * LIMIT + (128 << 10)); /* plus the answers */
    net.now += 1000;
    check_served(w, others);
    for (int i = 0; i < MANY; i++) {
        given_up += others[i]->ended || others[i]->in.size > 0;
        answered += others[i]->in.size >= strlen(w->answer)
                    && memcmp(others[i]->in.data, w->answer, strlen(w->answer)) == 0;
    }
    CHECK(given_up > 0 && given_up < MANY);
    CHECK_EQ(answered, given_up);
    CHECK(net.memory.peak < before + QUARTER + 5 * LIMIT + (128 << 10)); /* the new ones' echoes in flight */
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    for (int i = 0; i < MANY; i++)
        peer_close(others[i]);
    net_settle();
    CHECK_EQ(net.loop->conn_count, 0);
    CHECK(!net.loop->oldest_held && !net.loop->newest_held);
    CHECK(net.loop->arriving.used <= 2 * LIMIT); /* the spare decompressor */
    NET_END();
}

static void test_default(void) {
    if (!test_begin("unfinished: by default 20 messages of 16 MB, begun with 320 kB, hold 256 MB"))
        return;
    {
        size_t memory = wsi_deflate_size(9, 15, false), size;
        wsi_deflate *deflate = (wsi_deflate *)malloc(memory);
        uint8_t *zeros = (uint8_t *)calloc(1, 16 << 20), *out = (uint8_t *)malloc(64 << 10);
        wsi_deflate_init(deflate, 9, 15, false);
        size = wsi_deflate_run(deflate, zeros, (16 << 20) - 1, out, 64 << 10);
        CHECK(start_packed(NULL, NULL));
        for (int i = 0; i < 20; i++) {
            send_frame(open_way(&ways[0]), 0x42, out, size, 0);
            net_settle();
        }
        CHECK(net.memory.peak < (256u << 20) + (33u << 20)); /* one grows by doubling */
        CHECK(net.memory.used < (257u << 20) && net.memory.used > 200u << 20);
        CHECK(net.closed >= 4);
        CHECK(net_serves());
        free(deflate);
        free(zeros);
        free(out);
        NET_END();
    }
}

static void test_stalest(void) {
    peer *slow, *stopped, *late[8];
    if (!test_begin("unfinished: the one that has not grown for the longest is dropped, not the one that began first"))
        return;
    CHECK(start(MEMORY, 4 * LIMIT));
    slow = open_way(&ways[2]);
    stopped = open_way(&ways[2]);
    send_frame(slow, 0x02, block, 1000, 0);
    send_frame(stopped, 0x02, block, LIMIT - 1000, 0);
    net_settle();
    for (int i = 0; i < 8; i++) {
        late[i] = open_way(&ways[2]);
        begin_plain(late[i]);
        net_settle();
        send_frame(slow, 0x00, block, LIMIT / 10, 0);
        net_settle();
        CHECK(i < 4 || stopped->in.size >= 4);
    }
    send_frame(slow, 0x80, NULL, 0, 0);
    CHECK(peer_wait(slow, 20));
    CHECK(slow->in.data[0] == 0xc2);
    CHECK(!late[7]->in.size);
    NET_END();
}

/* Half a message: all but an empty block that ends it; packed: one block that is stored (RFC 1951 3.2.4). */
static void begin_half(peer *p, uint16_t size, bool packed_too) {
    static uint8_t data[5 + 65535] = {0};
    for (int i = 0; i < 4; i++)
        data[i + 1] = (uint8_t)((i < 2 ? size : ~size) >> i % 2 * 8);
    send_frame(p, packed_too ? 0x42 : 0x02, packed_too ? data : data + 5, size + (packed_too ? 5u : 0u), 0);
}

static void test_steady(bool packed_too) {
    peer *p;
    if (!test_begin("unfinished: a peer that sends %smessage after message is not stale, though it always holds a part",
                    packed_too ? "compressed " : ""))
        return;
    CHECK(start(MEMORY, 4 * LIMIT));
    p = open_way(&ways[packed_too ? 0 : 2]);
    begin_half(p, 50000, packed_too);
    for (int i = 0; i < 12; i++) {
        peer *late = open_way(&ways[2]);
        begin_plain(late);
        net_settle();
        send_frame(p, 0x80, block, 1, 0);
        begin_half(p, (uint16_t)(50000 - i), packed_too);
        net_settle();
    }
    CHECK_EQ(net.codes[1], 0); /* it is open */
    CHECK(net.closed > 0);
    NET_END();
}

static ws_error failed_with;

static void note(ws_conn *conn, ws_close_info why) {
    (void)why;
    failed_with = ws_last_error(conn);
}

/* Nothing is kept of a connection that has failed: neither what its message had, nor what follows the bad frame. */
static void test_failed(bool begun) {
    static const way noted = {"", "/note", "", NULL, NULL, false};
    ws_handler handler;
    if (!test_begin("unfinished: without memory a bad frame is still a bad frame, with %s",
                    begun ? "a message before it" : "bytes behind it"))
        return;
    memset(&handler, 0, sizeof handler);
    handler.on_close = note;
    CHECK(start(MEMORY, 0) && ws_route(net.server, "/note", &handler));
    peer *p = open_way(&noted);
    net_settle();
    net.memory.fail_at = net.memory.calls + 1;
    net.memory.fail_after = true;
    bytes out = {NULL, 0, 0};
    wire_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.first = begun ? 0x02 : 0x83;
    frame.data = block;
    frame.size = 1000;
    wire_frame_add(&out, &frame, true);
    frame.first = 0x83; /* a reserved opcode */
    frame.size = begun ? 0 : 1000;
    wire_frame_add(&out, &frame, true);
    failed_with = WS_OK;
    (void)peer_send(p, out.data, out.size);
    bytes_free(&out);
    net_settle();
    net.memory.fail_at = 0;
    peer_close(p);
    net_settle();
    CHECK_EQ(failed_with, WS_ERROR_PROTOCOL);
    NET_END();
}

static void test_alone(void) {
    peer *p;
    if (!test_begin("unfinished: a single message may exceed max_unfinished"))
        return;
    CHECK(start(MEMORY, 1));
    p = open_way(&ways[2]);
    begin_plain(p);
    net_settle();
    send_frame(p, 0x80, NULL, 0, 0);
    CHECK(peer_wait(p, 20));
    CHECK(p->in.data[0] == 0xc2);
    p->in.size = 0;
    begin_packed(p);
    net_settle();
    send_frame(p, 0x80, NULL, 0, 0);
    CHECK(peer_wait(p, 20));
    NET_END();
}

static void test_chunks_over(void) {
    ws_handler handler = net_handler();
    way kept = ways[1];
    size_t spare = 0;
    if (!test_begin("unfinished: a finished message in chunks holds nothing, though answers have a context"))
        return;
    CHECK(start(MEMORY, 0));
    handler.on_message = NULL;
    handler.on_chunk = net_chunk;
    handler.deflate.on = handler.deflate.context = true;
    CHECK(ws_route(net.server, "/kept", &handler));
    kept.path = "/kept";
    for (int i = 0; i < 10; i++) {
        peer *p = open_way(&kept);
        begin_packed(p);
        net_settle();
        CHECK(net.loop->oldest_held != NULL);
        send_frame(p, 0x80, NULL, 0, 0);
        net_settle();
        CHECK(!net.loop->oldest_held);
        spare = i ? spare : net.loop->arriving.used;
    }
    CHECK(net.loop->arriving.used <= spare);
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    pack_zeros();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        test_way(&ways[i]);
    test_default();
    test_stalest();
    test_steady(false);
    test_steady(true);
    test_failed(true);
    test_failed(false);
    test_alone();
    test_chunks_over();
    return test_finish();
}
