/* ENGINE: fixed memory, to the byte: how much a head, a message, an answer and a close may use, and how input and
   output share it. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/engine.h"

enum { MEMORY = 1024, HALF = MEMORY / 2, LARGEST_HEAD = MEMORY - 272 - 1, LARGEST = HALF - 272 };

static uint8_t memory[MEMORY + 1];

static bool fixed_start(drive *d, ws_role role, bool chunks) {
    ws_engine_config config;
    memset(&config, 0, sizeof config);
    config.memory = memory;
    config.memory_size = MEMORY;
    config.chunks = chunks;
    memory[MEMORY] = 0x5a;
    return drive_start(d, role, &config);
}

static bool fixed_open(drive *d, bool chunks) {
    bool good = fixed_start(d, WS_ROLE_SERVER, chunks);
    drive_feed_text(d, DRIVE_REQUEST);
    d->out.size = d->log.size = 0;
    return good && ws_engine_state(&d->engine) == WS_OPEN;
}

static void fixed_free(drive *d) {
    CHECK_EQ(memory[MEMORY], 0x5a); /* the byte after the memory */
    CHECK_EQ(d->memory.calls, 0);
    drive_free(d);
}

/* One read that returns exactly these bytes. */
static void put(drive *d, const void *data, size_t size) {
    ws_span in = ws_engine_input(&d->engine);
    CHECK(in.size >= size);
    if (in.size >= size)
        memcpy(in.data, data, size);
    ws_engine_received(&d->engine, size);
}

static void put_wire(drive *d, const char *text) {
    bytes in = {NULL, 0, 0};
    wire_write(&in, text, true);
    put(d, in.data, in.size);
    bytes_free(&in);
}

/* Heads of every size, whole or byte by byte: up to the largest they get a 101, and messages follow. */
static void test_every_head(void) {
    char head[MEMORY];
    size_t size, least = strlen(DRIVE_REQUEST) + 5, piece;
    if (!test_begin("heads of every size in fixed memory"))
        return;
    for (size = least; size <= LARGEST_HEAD + 1; size++)
        for (piece = 0; piece < 2; piece++) {
            drive d;
            memset(head, 'x', sizeof head);
            memcpy(head, DRIVE_REQUEST, strlen(DRIVE_REQUEST) - 2);
            memcpy(head + strlen(DRIVE_REQUEST) - 2, "X: ", 3);
            memcpy(head + size - 4, "\r\n\r\n", 4);
            CHECK(fixed_start(&d, WS_ROLE_SERVER, false));
            drive_feed_pieces(&d, (const uint8_t *)head, size, piece);
            CHECK(out_starts(&d, size <= LARGEST_HEAD ? DRIVE_RESPONSE : "HTTP/1.1 431 "));
            d.out.size = 0;
            if (size <= LARGEST_HEAD) {
                drive_feed_wire(&d, "81\"hello\" 82#240");
                CHECK(drive_sent(&d, "81\"hello\" 82#240"));
            }
            fixed_free(&d);
        }
}

/* A client may send frames before its request is answered, as many as fit into the input's own part. */
static void test_behind_the_head(void) {
    static const struct { const char *frames; bool fits; } cases[] = {
        {"82#125 82#125 82#125 82#112", true}, {"82#125 82#125 82#125 82#113", false}}; /* 511 bytes, 512 */
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes in = {NULL, 0, 0};
        ws_event event;
        drive d;
        if (!test_begin("%s after a request in fixed memory", cases[i].frames))
            continue;
        bytes_add(&in, DRIVE_REQUEST, strlen(DRIVE_REQUEST));
        wire_write(&in, cases[i].frames, true);
        CHECK(fixed_start(&d, WS_ROLE_SERVER, false));
        put(&d, in.data, in.size);
        CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
        CHECK_EQ(ws_engine_accept(&d.engine), cases[i].fits);
        drive_pump(&d);
        if (cases[i].fits) {
            CHECK(drive_logged(&d, "oBBBB"));
        } else {
            check_closed(&d, "x", 1006, WS_ERROR_PROTOCOL);
        }
        fixed_free(&d);
        bytes_free(&in);
    }
}

/* A request and a ping end where the output's own part begins. The zero byte after the ping must not overwrite the
   answer, which is still unsent. */
static void test_zero_byte(void) {
    bytes in = {NULL, 0, 0};
    ws_event event;
    drive d;
    if (!test_begin("a ping that ends with the input's part"))
        return;
    bytes_add(&in, DRIVE_REQUEST, strlen(DRIVE_REQUEST) - 2);
    bytes_add(&in, "X: ", 3);
    while (in.size < HALF - 4 - 106)
        bytes_add_byte(&in, 'x');
    bytes_add(&in, "\r\n\r\n", 4);
    wire_write(&in, "89#100", true);
    CHECK_EQ(in.size, HALF);
    CHECK(fixed_start(&d, WS_ROLE_SERVER, false));
    put(&d, in.data, in.size);
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_OPEN);
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_PING && event.message.size == 100);
    CHECK_EQ(event.message.data[100], 0);
    CHECK_MEM(ws_engine_output(&d.engine).data, 9, "HTTP/1.1 ", 9);
    fixed_free(&d);
    bytes_free(&in);
}

#ifdef WSI_BARE
static void test_pages(void) {
    if (test_begin("a page, and bytes after its request"))
        test_skip("this build has no connections that persist");
}
static void test_behind_a_page(void) {}
#else
/* Frames after an upgrade that follows a page's request: only the frames count. */
static void test_behind_a_page(void) {
    bytes in = {NULL, 0, 0};
    ws_event event;
    drive d;
    if (!test_begin("a page's request, an upgrade and 500 bytes of frames in one piece"))
        return;
    bytes_add(&in, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" DRIVE_REQUEST, 28 + strlen(DRIVE_REQUEST));
    wire_write(&in, "82#125 82#125 82#125 82#101", true);
    CHECK(fixed_start(&d, WS_ROLE_SERVER, false));
    put(&d, in.data, in.size);
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_respond(&d.engine, 200, "text/plain", "one"));
    ws_engine_sent(&d.engine, ws_engine_output(&d.engine).size);
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_accept(&d.engine));
    drive_pump(&d);
    CHECK(drive_logged(&d, "oBBBB"));
    fixed_free(&d);
    bytes_free(&in);
}

/* While a page's answer is unsent, the next request is read into the room beside it. Its event waits for the last
   byte. */
static void test_pages(void) {
    char request[] = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    ws_event event;
    ws_span in, out;
    drive d;
    if (!test_begin("a page, and the next request before it is sent"))
        return;
    CHECK(fixed_start(&d, WS_ROLE_SERVER, false));
    put(&d, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", 28);
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_respond(&d.engine, 200, "text/plain; charset=utf-8", "one"));
    out = ws_engine_output(&d.engine);
    in = ws_engine_input(&d.engine);
    CHECK(in.size == HALF - 1 && in.data == memory && out.data == memory + HALF);
    put(&d, request, strlen(request));
    CHECK(!ws_engine_next(&d.engine, &event));
    ws_engine_sent(&d.engine, out.size - 1);
    in = ws_engine_input(&d.engine); /* more of the output is sent: there is more room, up to the rest of the output */
    out = ws_engine_output(&d.engine);
    CHECK(out.size == 1 && *out.data == 'e' && in.data + in.size == out.data - 1);
    CHECK(!ws_engine_next(&d.engine, &event)); /* one byte of the answer is left */
    ws_engine_sent(&d.engine, 1);
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK_MEM(event.message.data, event.message.size, "/2", 2);
    fixed_free(&d);
}
#endif

/* Data leaves 16 bytes of the output free. A close of 16 bytes fits, and one of 17 does not. */
static void test_spare(void) {
    char reason[14];
    size_t size;
    for (size = 12; size <= 13; size++) {
        static const uint8_t data[HALF];
        drive d;
        if (!test_begin("a close with a reason of %zu bytes in the last 16 bytes", size))
            continue;
        memset(reason, 'r', sizeof reason);
        reason[size] = 0;
        CHECK(fixed_open(&d, false));
        CHECK(!ws_engine_send(&d.engine, message_of(data, HALF - 16 - 4 + 1, WS_BINARY)));
        CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_BUFFERED);
        CHECK(ws_engine_send(&d.engine, message_of(data, HALF - 16 - 4, WS_BINARY)));
        CHECK_EQ(ws_engine_close(&d.engine, 1000, reason), size == 12);
        CHECK_EQ(ws_engine_output(&d.engine).size, size == 12 ? HALF : HALF - 16);
        fixed_free(&d);
    }
}

/* Reading stops only when the echo of the largest message, its header (14) and a close (16) would not fit. */
static void test_backpressure(void) {
    static const uint8_t data[HALF];
    size_t room;
    for (room = LARGEST + 29; room <= LARGEST + 30; room++) {
        ws_event event;
        drive d;
        if (!test_begin("%zu bytes of room for output", room))
            continue;
        CHECK(fixed_open(&d, false));
        CHECK(ws_engine_send(&d.engine, message_of(data, HALF - room - 4, WS_BINARY)));
        put_wire(&d, "81\"hello\"");
        CHECK_EQ(ws_engine_next(&d.engine, &event), room >= LARGEST + 30);
        ws_engine_sent(&d.engine, 1); /* one more byte of room */
        CHECK_EQ(ws_engine_next(&d.engine, &event), room < LARGEST + 30);
        fixed_free(&d);
    }
}

/* A chunk is never too large to be echoed. The rest of the input comes in the next chunk. */
static void test_chunks(void) {
    static const uint8_t data[HALF];
    bytes in = {NULL, 0, 0};
    ws_message part;
    ws_event event;
    size_t got = 0;
    drive d;
    if (!test_begin("chunks beside unsent output"))
        return;
    CHECK(fixed_open(&d, true));
    CHECK(ws_engine_send(&d.engine, message_of(data, 196, WS_BINARY))); /* 200 bytes: 312 are left */
    wire_write(&in, "82*1000", true);
    put(&d, in.data, HALF - 1);
    while (ws_engine_next(&d.engine, &event)) {
        CHECK_EQ(event.type, WS_EVENT_CHUNK);
        CHECK_EQ(event.chunk.size, got ? HALF - 1 - 8 - (312 - 30 - 8) : 312 - 30 - 8);
        part.data = event.chunk.data;
        part.size = event.chunk.size;
        part.type = WS_BINARY;
        CHECK(ws_engine_send_part(&d.engine, part, false));
        got += event.chunk.size;
        ws_engine_sent(&d.engine, ws_engine_output(&d.engine).size);
    }
    CHECK_EQ(got, HALF - 1 - 8);
    fixed_free(&d);
    bytes_free(&in);
}

/* Bytes reported as received without room, or beyond the room, are not read. */
static void test_received_wrongly(void) {
    const char *head = DRIVE_REQUEST;
    ws_event event;
    ws_span in;
    drive d;
    if (!test_begin("bytes that there was no room for, in fixed memory"))
        return;
    CHECK(fixed_start(&d, WS_ROLE_SERVER, false));
    ws_engine_received(&d.engine, 5); /* before ws_engine_input */
    CHECK(!ws_engine_next(&d.engine, &event));
    put(&d, head, 20);
    in = ws_engine_input(&d.engine);
    CHECK(in.size == LARGEST_HEAD - 20 && in.data == memory + 20);
    ws_engine_received(&d.engine, in.size + 1);
    CHECK_EQ(ws_engine_input(&d.engine).size, in.size);
    drive_feed_text(&d, head + 20);
    CHECK(out_starts(&d, DRIVE_RESPONSE));
    fixed_free(&d);
}

/* A full input offers no room: its span is empty until there is room again. */
static void test_full_input(void) {
    static const uint8_t data[HALF];
    bytes frames = {NULL, 0, 0};
    ws_event event;
    ws_span in;
    drive d;
    if (!test_begin("a full input"))
        return;
    CHECK(fixed_open(&d, false));
    CHECK(ws_engine_send(&d.engine, message_of(data, HALF - 16 - 4, WS_BINARY)));
    wire_write(&frames, "82#125 82#125 82#125 82#125", true);
    put(&d, frames.data, HALF - 1);
    CHECK(!ws_engine_next(&d.engine, &event));
    in = ws_engine_input(&d.engine);
    CHECK(!in.data && !in.size);
    drive_pump(&d);
    CHECK(drive_logged(&d, "BBB"));
    fixed_free(&d);
    bytes_free(&frames);
}

/* A quarter of the address space is the largest size allowed. The allocator here fails earlier. */
static void *resize_little(void *user, void *block, size_t old_size, size_t new_size) {
    return new_size > 1u << 24 ? NULL : drive_resize(user, block, old_size, new_size);
}

static void test_impossible_sizes(void) {
    ws_engine_config config;
    drive d;
    if (!test_begin("messages of SIZE_MAX / 4 bytes, and one more"))
        return;
    CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
    ws_engine_free(&d.engine);
    memset(&config, 0, sizeof config);
    config.allocator.resize = resize_little;
    config.allocator.user = &d.memory;
    config.limits.message = SIZE_MAX;
    CHECK(ws_engine_init(&d.engine, &config));
    drive_feed_text(&d, DRIVE_REQUEST);
    CHECK(!ws_engine_send(&d.engine, message_of("x", SIZE_MAX / 4, WS_BINARY)));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_MEMORY);
    CHECK(!ws_engine_send(&d.engine, message_of("x", SIZE_MAX / 4 + 1, WS_BINARY)));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_ARGUMENT);
    drive_free(&d);
}

/* limits.buffered limits the unsent bytes, headers included. At the limit, nothing more is read. */
static void test_buffered(void) {
    static const uint8_t data[1000];
    ws_engine_config config;
    size_t size;
    for (size = 995; size <= 996; size++) {
        drive d;
        if (!test_begin("%zu of 1000 bytes unsent", size + 4))
            continue;
        memset(&config, 0, sizeof config);
        config.limits.buffered = 1000;
        CHECK(drive_open(&d, WS_ROLE_SERVER, &config));
        CHECK(ws_engine_send(&d.engine, message_of(data, size, WS_BINARY)));
        CHECK_EQ(ws_engine_send(&d.engine, message_of(data, 1, WS_BINARY)), size == 995);
        drive_free(&d);
    }
}

/* ws_engine_config: 1 KiB at least, of which input and output need 320 bytes each. */
static void test_smallest(void) {
    static const struct { size_t memory, output; bool good; } cases[] = {
        {1023, 0, false}, {1024, 0, true}, {1024, 319, false}, {1024, 320, true}, {1024, 704, true},
        {1024, 705, false}, {1024, 1024, false}, {1024, 1025, false}, {1023, 500, false}, {0, 0, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ws_engine_config config;
        ws_engine engine;
        if (!test_begin("%zu bytes of memory, %zu of them for output", cases[i].memory, cases[i].output))
            continue;
        memset(&config, 0, sizeof config);
        config.memory = memory;
        config.memory_size = cases[i].memory;
        config.output_size = cases[i].output;
        CHECK_EQ(ws_engine_init(&engine, &config), cases[i].good);
        CHECK_EQ(ws_engine_error(&engine), cases[i].good ? WS_OK : WS_ERROR_ARGUMENT);
    }
}

static void test_wrong_config(void) {
    ws_engine_config config;
    ws_engine engine;
    if (!test_begin("subprotocols that would break a header, invalid origins"))
        return;
    memset(&config, 0, sizeof config);
    config.memory = memory;
    config.memory_size = MEMORY;
    config.subprotocols = "a, b c"; /* a space is allowed: it matches nothing */
    config.origins = "http://a";
    CHECK(ws_engine_init(&engine, &config));
    config.subprotocols = "a\r\nX: y";
    CHECK(!ws_engine_init(&engine, &config));
    CHECK_EQ(ws_engine_error(&engine), WS_ERROR_ARGUMENT);
    config.subprotocols = "a";
#ifndef WSI_BARE /* where invalid elements match nothing */
    config.origins = "http://";
    CHECK(!ws_engine_init(&engine, &config));
#endif
}

/* config.origins: who may connect beside or in place of the server's own host. */
static void test_origins(void) {
    static const struct { const char *origins, *origin; int status; } cases[] = {
        {"https://b.example", "https://b.example", 101}, {"https://b.example", "https://c.example", 403},
        {"https://b.example", "http://a", 403},          {"*", "https://c.example", 101},
        {"*", "null", 101},                              {NULL, "https://b.example", 403},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[20];
        ws_engine_config config;
        drive d;
        if (!test_begin("origins %s: %s gets %d", cases[i].origins ? cases[i].origins : "NULL", cases[i].origin,
                        cases[i].status))
            continue;
        memset(&config, 0, sizeof config);
        config.origins = cases[i].origins;
        CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
        drive_feed_text(&d, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: ");
        drive_feed_text(&d, cases[i].origin);
        drive_feed_text(&d, "\r\n\r\n");
        (void)snprintf(wanted, sizeof wanted, "HTTP/1.1 %d ", cases[i].status);
        CHECK(d.out.size > 13 && memcmp(d.out.data, wanted, 13) == 0);
        drive_free(&d);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_every_head();
    test_behind_the_head();
    test_zero_byte();
    test_behind_a_page();
    test_pages();
    test_buffered();
    test_spare();
    test_backpressure();
    test_chunks();
    test_received_wrongly();
    test_full_input();
    test_impossible_sizes();
    test_smallest();
    test_wrong_config();
    test_origins();
    return test_finish();
}
