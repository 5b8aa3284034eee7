/* ENGINE: the Nth allocation fails, for every N; and engines in fixed memory. There is no crash, no leak, no endless
   loop, and nothing is lost that can be kept. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/engine.h"

/* --- the Nth allocation fails --- */

/* Handshake, fragments with pings in between, messages of many sizes, our own messages, a close. */
static void converse(drive *d, ws_role role, size_t fail_at, bool fail_after) {
    ws_engine_config config;
    ws_engine_config *c = &config;
    memset(&config, 0, sizeof config);
    memset(d, 0, sizeof *d);
    c->role = role;
    c->allocator.resize = drive_resize;
    c->allocator.user = &d->memory;
    c->random = drive_random;
    c->random_user = d;
    c->host = "server.example.com";
    c->subprotocols = "chat";
    d->memory.fail_at = fail_at;
    d->memory.fail_after = fail_after;
    if (!ws_engine_init(&d->engine, c))
        return;
    drive_pump(d);
    drive_feed_text(d, role == WS_ROLE_SERVER ? DRIVE_REQUEST : DRIVE_RESPONSE);
    drive_feed_wire(d, "81\"Hello\" 01*500 89#100 00*3000 00 80*9000 82#200 89 82#70000");
    (void)ws_engine_send(&d->engine, message_of("own", 3, WS_TEXT));
    (void)ws_engine_send_part(&d->engine, message_of("a", 1, WS_TEXT), false);
    (void)ws_engine_send_part(&d->engine, message_of("b", 1, WS_TEXT), true);
    d->stuck = true; /* output piles up */
    drive_feed_wire(d, "82#20000 82#20000 89#125 82#20000");
    (void)ws_engine_ping(&d->engine, NULL, 0);
    d->stuck = false;
    drive_pump(d);
    (void)ws_engine_close(&d->engine, 1000, "bye");
    drive_feed_wire(d, "88<03e8>");
    ws_engine_ended(&d->engine);
    drive_pump(d);
}

/* Whatever failed, the engine reports one close, and all memory is freed. */
static void check_end(drive *d, bool begun) {
    size_t i, closes = 0;
    for (i = 0; i < d->log.size; i++)
        closes += d->log.data[i] == 'c' || d->log.data[i] == 'x';
    CHECK_EQ(closes, begun ? 1 : 0);
    CHECK(d->steps < 100000);
    CHECK(!d->memory.wrong);
    CHECK(!begun || ws_engine_done(&d->engine));
    ws_engine_free(&d->engine);
    CHECK_EQ(d->memory.used, 0);
    drive_free(d);
}

static void test_allocations(ws_role role, const char *name, bool fail_after) {
    size_t n, total;
    drive d;
    converse(&d, role, 0, false);
    total = d.memory.calls;
    if (test_begin("all allocations succeed, %s", name)) {
        CHECK(total > 10);
        CHECK(d.log.size && d.log.data[d.log.size - 1] == 'c');
        CHECK_EQ(ws_engine_error(&d.engine), WS_OK);
    }
    drive_free(&d);
    for (n = 1; n <= total; n++) {
        if (!test_begin("allocation %zu of %zu fails%s, %s", n, total, fail_after ? " and all after it" : "",
            name))
            continue;
        converse(&d, role, n, fail_after);
        CHECK(d.memory.calls >= n);
        if (d.log.size) /* the connection had begun: its failure is reported */
            CHECK(ws_engine_error(&d.engine) != WS_OK);
        check_end(&d, role == WS_ROLE_SERVER || n > 1);
    }
}

/* A message that does not fit is refused, and the connection continues. */
static void test_send_without_memory(void) {
    uint8_t data[5000] = {0};
    drive d;
    if (!test_begin("no memory for a send"))
        return;
    CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
    d.memory.fail_at = d.memory.calls + 1;
    CHECK(!ws_engine_send(&d.engine, message_of(data, sizeof data, WS_BINARY)));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_MEMORY);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    CHECK(ws_engine_send(&d.engine, message_of(data, 5000, WS_BINARY)));
    drive_pump(&d);
    CHECK_EQ(d.out.size, 5004);
    drive_free(&d);
}

/* --- heads of every length, so that each text in them is once the first to need memory --- */

enum { HEAD_TEXTS = 300 }; /* more than the first block of output holds */

static ws_deflate_config compressing(bool context) {
    ws_deflate_config deflate;
    memset(&deflate, 0, sizeof deflate);
    deflate.on = true;
    deflate.context = context;
    deflate.window_bits = 10;
    return deflate;
}

static void answer_last(drive *d, int kind, const char *body) {
    ws_event event;
    while (ws_engine_next(&d->engine, &event) && event.type != WS_EVENT_REQUEST) {}
    if (kind == 0)
        (void)ws_engine_accept(&d->engine);
    else
        (void)ws_engine_respond(&d->engine, kind == 1 ? 200 : 404, "text/plain", body);
}

/* A first answer of this size waits in the output, and a second one follows it. */
static void answer_twice(drive *d, size_t size, int kind, const ws_engine_config *config, size_t fail_at) {
    static const char first[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char upgrade[] =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9; client_max_window_bits\r\n\r\n";
    char body[HEAD_TEXTS + 1];
    memset(body, 'b', size);
    body[size] = 0;
    CHECK(drive_start(d, WS_ROLE_SERVER, config));
    d->memory.fail_at = fail_at;
    for (int second = 0; second < 2; second++) {
        const char *text = second && kind == 0 ? upgrade : first;
        ws_span in = ws_engine_input(&d->engine);
        if (in.size < strlen(text))
            return;
        memcpy(in.data, text, strlen(text));
        ws_engine_received(&d->engine, strlen(text));
        answer_last(d, second ? kind : 1, body);
    }
}

/* A request of this size. */
static void ask_once(drive *d, size_t size, int kind, const ws_engine_config *config, size_t fail_at) {
    static const char *const lines[] = {"Host: own", "Cookie: a=b", NULL};
    ws_engine_config own = *config;
    char path[HEAD_TEXTS + 1] = "/";
    memset(path + 1, 'p', HEAD_TEXTS - 1);
    path[size] = 0;
    memset(d, 0, sizeof *d);
    d->memory.fail_at = fail_at;
    own.role = WS_ROLE_CLIENT;
    own.allocator.resize = drive_resize;
    own.allocator.user = &d->memory;
    own.random = drive_random;
    own.random_user = d;
    own.path = path;
    own.host = "server.example.com";
    own.headers = kind == 0 ? lines : NULL;
    if (!ws_engine_init(&d->engine, &own))
        CHECK_EQ(ws_engine_error(&d->engine), WS_ERROR_MEMORY);
}

static void test_heads(ws_role role, int kind, bool context) {
    ws_deflate_config deflate = compressing(context);
    ws_engine_config config;
    size_t size, n, failed = 0;
    if (!test_begin("the Nth allocation fails: heads of every length, %s, kind %d, %s context",
        role == WS_ROLE_SERVER ? "server" : "client", kind, context ? "with" : "without"))
        return;
    memset(&config, 0, sizeof config);
    config.deflate = &deflate;
    config.subprotocols = "chat, other";
    for (size = 1; size < HEAD_TEXTS; size++) {
        bool hit = true;
        for (n = 1; hit; n++) {
            drive d;
            (role == WS_ROLE_SERVER ? answer_twice : ask_once)(&d, size, kind, &config, n);
            hit = d.memory.calls >= n;
            CHECK(!hit || ws_engine_error(&d.engine) == WS_ERROR_MEMORY || ws_engine_state(&d.engine) == WS_OPEN);
            failed += hit && ws_engine_error(&d.engine) == WS_ERROR_MEMORY;
            ws_engine_free(&d.engine);
            CHECK_EQ(d.memory.used, 0);
            drive_free(&d);
        }
    }
    CHECK(failed > HEAD_TEXTS + 200); /* the first block, and in most cases a second */
}

/* --- output that no longer fits --- */

/* The peer reads nothing, and there is no more memory: a close, the answer to a close, or a ping ends the connection. A
   message waits before the control frame. After some sizes of the message the control frame still fits. */
static void test_no_room(ws_role role, const char *name, int kind) {
    static const char *const kinds[] = {"a close", "the answer to a close", "a ping when it is due"};
    char reason[101];
    size_t size, ended = 0, sent = 0;
    uint8_t data[300];
    if (!test_begin("no memory for %s, %s", kinds[kind], name))
        return;
    memset(reason, 'r', sizeof reason - 1);
    reason[sizeof reason - 1] = 0;
    memset(data, 'd', sizeof data);
    for (size = 0; size < sizeof data; size++) {
        drive d;
        CHECK(drive_open(&d, role, NULL));
        (void)ws_engine_tick(&d.engine, 1000);
        d.stuck = true;
        CHECK(ws_engine_send(&d.engine, message_of(data, size, WS_BINARY)));
        d.memory.fail_at = d.memory.calls + 1;
        d.memory.fail_after = true;
        bool good = true;
        if (kind == 0)
            good = ws_engine_close(&d.engine, 1000, reason);
        else if (kind == 1)
            drive_feed_wire(&d, "88<03e8>*100");
        else
            (void)ws_engine_tick(&d.engine, 100000000);
        ws_error error = ws_engine_error(&d.engine);
        if (error) {
            CHECK(kind != 0 || !good);
            CHECK_EQ(error, kind == 2 ? WS_ERROR_TIMEOUT : WS_ERROR_MEMORY);
            CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSED);
            CHECK(!ws_engine_done(&d.engine)); /* the close has not been reported yet */
            ended++;
        }
        sent += !error;
        d.stuck = false;
        drive_pump(&d);
        CHECK(!error || ws_engine_done(&d.engine));
        drive_free(&d);
    }
    CHECK(ended && sent);
}

#ifndef WS_NO_DEFLATE
/* --- compressed messages between two engines, of which one runs out of memory --- */

typedef struct packed {
    drive ends[2]; /* server, client */
    ws_pipe pipe;
} packed;

static void settle(packed *p) {
    ws_event event;
    for (int idle = 0; idle < 3; idle++) {
        if (ws_pipe_step(&p->pipe))
            idle = -1;
        for (int i = 0; i < 2; i++)
            while (ws_engine_next(&p->ends[i].engine, &event)) {
                drive_event(&p->ends[i], &event);
                idle = -1;
            }
    }
}

/* Data of this size: noise, one letter, or a text. */
static const uint8_t *content(size_t size, char kind) {
    static uint8_t data[400000];
    uint32_t x = (uint32_t)size;
    for (size_t i = 0; i < size; i++, x = x * 1664525u + 1013904223u)
        data[i] = kind == 'n' ? (uint8_t)(x >> 24) : kind == 'a' ? 'a' : (uint8_t)('a' + (x >> 24) % 7);
    return data;
}

/* The client sends messages, some in parts. false: a send failed. */
static bool talk(packed *p, bool large) {
    static const struct { size_t size; char kind; bool part, last; } says[] = {
        {5, 't', false, true},    {200, 't', true, false},  {5000, 'n', true, false},  {70, 'a', true, false},
        {0, 'a', true, true},     {3000, 't', false, true}, {60000, 'a', false, true}, {0, 'a', false, true},
        {500, 'n', false, true},  {9000, 't', false, true},  {9000, 't', false, true},  {100, 'a', true, false},
        {40000, 'a', true, true}, {300000, 'n', false, true}, {700, 't', false, true},
    };
    ws_engine *client = &p->ends[1].engine;
    for (size_t i = 0; i < COUNT(says); i++) {
        ws_message message = message_of(content(says[i].size, says[i].kind), says[i].size, WS_BINARY);
        if (message.size > 100000 && !large)
            continue;
        bool good = says[i].part ? ws_engine_send_part(client, message, says[i].last)
                                 : ws_engine_send(client, message);
        if (!good)
            return false;
        if (i % 3)
            settle(p);
    }
    return true;
}

/* Returns whether that allocation was reached. */
static bool play_packed(packed *p, int failing, size_t fail_at, bool context, bool chunks) {
    ws_deflate_config deflate = compressing(context);
    ws_engine_config config;
    memset(p, 0, sizeof *p);
    memset(&config, 0, sizeof config);
    config.deflate = &deflate;
    config.chunks = chunks;
    for (int i = 0; i < 2; i++) {
        CHECK(drive_start(&p->ends[i], i ? WS_ROLE_CLIENT : WS_ROLE_SERVER, &config));
        p->pipe.ends[i] = &p->ends[i].engine;
    }
    p->ends[1].silent = true;
    p->ends[0].joins = p->ends[1].joins = true;
    drive_memory *memory = &p->ends[failing].memory;
    memory->fail_at = fail_at ? memory->calls + fail_at : 0;
    settle(p);
    bool all = talk(p, !fail_at);
    settle(p);
    if (all)
        (void)ws_engine_close(&p->ends[1].engine, 1000, NULL);
    else
        ws_engine_ended(&p->ends[1].engine);
    settle(p);
    CHECK(fail_at || (all && ws_engine_error(&p->ends[0].engine) == WS_OK && p->ends[0].engine.core.clean));
    for (int i = 0; i < 2; i++) {
        CHECK(ws_engine_state(&p->ends[i].engine) == WS_CLOSED);
        ws_engine_free(&p->ends[i].engine);
        CHECK(p->ends[i].memory.used == 0 && !p->ends[i].memory.wrong);
    }
    return fail_at && memory->calls >= memory->fail_at;
}

static void free_packed(packed *p) {
    drive_free(&p->ends[0]);
    drive_free(&p->ends[1]);
}

static void open_packed(packed *p, bool context) {
    ws_deflate_config deflate = compressing(context);
    ws_engine_config config;
    memset(p, 0, sizeof *p);
    memset(&config, 0, sizeof config);
    config.deflate = &deflate;
    for (int i = 0; i < 2; i++) {
        CHECK(drive_start(&p->ends[i], i ? WS_ROLE_CLIENT : WS_ROLE_SERVER, &config));
        p->pipe.ends[i] = &p->ends[i].engine;
        p->ends[i].silent = true;
    }
    settle(p);
    p->ends[0].log.size = p->ends[0].details.size = 0;
}

/* A message whose frame could not be sent is not in the history with which the next ones are compressed. */
static void test_unsent_message(bool context) {
    static const size_t sizes[] = {3000, 5000, 5000, 4000}; /* the second one fails */
    bytes wanted = {NULL, 0, 0};
    packed p;
    if (!test_begin("compressed messages after one that was not sent, %s context", context ? "with" : "without"))
        return;
    open_packed(&p, context);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        ws_message message = message_of(content(sizes[i], 't'), sizes[i], WS_BINARY);
        char line[60];
        p.ends[1].random_fails_at = i == 1;
        CHECK_EQ(ws_engine_send(&p.ends[1].engine, message), i != 1);
        settle(&p);
        (void)snprintf(line, sizeof line, "B %zu %016llx 0\n", sizes[i],
                       (unsigned long long)drive_hash(message.data, message.size));
        bytes_add(&wanted, line, i == 1 ? 0 : strlen(line));
    }
    CHECK_MEM(p.ends[0].details.data, p.ends[0].details.size, wanted.data, wanted.size);
    bytes_free(&wanted);
    free_packed(&p);
}

/* A later part for which there is no memory is not sent uncompressed, inside a message that is compressed. */
static void test_unsent_part(bool context) {
    packed p;
    if (!test_begin("no memory to compress a later part, %s context", context ? "with" : "without"))
        return;
    open_packed(&p, context);
    drive *client = &p.ends[1];
    CHECK(ws_engine_send_part(&client->engine, message_of(content(3000, 't'), 3000, WS_BINARY), false));
    settle(&p);
    client->memory.fail_at = client->memory.calls + 1;
    CHECK(!ws_engine_send_part(&client->engine, message_of(content(300000, 'n'), 300000, WS_BINARY), true));
    CHECK_EQ(client->memory.calls, client->memory.fail_at);
    CHECK_EQ(ws_engine_error(&client->engine), WS_ERROR_MEMORY);
    settle(&p);
    CHECK_EQ(ws_engine_state(&p.ends[0].engine), WS_OPEN);
    CHECK_EQ(p.ends[0].details.size, 0);
    free_packed(&p);
}

/* Every message that arrives also arrived when there was memory. The connection may end early. */
static void test_packed(int failing, bool context, bool chunks) {
    static packed good, p;
    size_t n = 0;
    bool hit = true;
    if (!test_begin("Nth allocation of the %s fails, with compression, %s context, %s", failing ? "client" : "server",
                    context ? "with" : "without", chunks ? "chunks" : "messages"))
        return;
    (void)play_packed(&good, failing, 0, context, chunks);
    while (hit && n < 500) {
        hit = play_packed(&p, failing, ++n, context, chunks);
        for (size_t from = 0; from < p.ends[0].details.size; ) { /* line by line */
            const char *line = (const char *)p.ends[0].details.data + from;
            size_t size = (size_t)((const char *)memchr(line, '\n', p.ends[0].details.size - from) - line) + 1;
            bytes one = {NULL, 0, 0};
            bytes_add(&one, line, size);
            bytes_add(&one, "", 1);
            CHECK(*line == 'c' || *line == 'x'
                  || bytes_find(&good.ends[0].details, (const char *)one.data, 0) != SIZE_MAX);
            bytes_free(&one);
            from += size;
        }
        free_packed(&p);
    }
    CHECK(n > 5 && n < 500);
    free_packed(&good);
}
#endif

/* --- fixed memory --- */

static uint8_t room[4096];

static ws_engine_config fixed_config(size_t size) {
    ws_engine_config config;
    memset(&config, 0, sizeof config);
    config.memory = room;
    config.memory_size = size;
    return config;
}

/* The largest message in both directions, sent in steps of any size, with a ping between its fragments. */
static void test_fixed_echo(ws_role role, const char *name, size_t size, size_t send_step) {
    ws_engine_config config = fixed_config(size);
    size_t limit = size / 2 - 272, i;
    char frames[200], wanted[200];
    drive d;
    if (!test_begin("echo in %zu bytes, output in steps of %zu, %s", size, send_step, name))
        return;
    CHECK(drive_open(&d, role, &config));
    d.send_step = send_step;
    (void)snprintf(frames, sizeof frames, "82#%zu 02#%zu 89#125 00 80#1 81*%zu 81", limit, limit - 1, limit);
    (void)snprintf(wanted, sizeof wanted, "82#%zu 8a#125 82#%zu 81*%zu 81", limit, limit, limit);
    for (i = 0; i < 20; i++) {
        d.out.size = 0;
        drive_feed_wire(&d, frames);
        CHECK(drive_sent(&d, wanted));
    }
    CHECK_EQ(d.memory.calls, 0);
    (void)snprintf(frames, sizeof frames, "82#%zu", limit + 1);
    d.out.size = 0;
    drive_feed_wire(&d, frames);
    CHECK(drive_sent(&d, "88<03f1>"));
    CHECK_EQ(d.close_code, 1009);
    drive_free(&d);
}

/* The peer floods and does not read. The engine stops reading, loses nothing that it has read, and
   continues while the output is sent byte by byte. */
static void test_fixed_flood(ws_role role, const char *name, const char *frame, const char *reply) {
    ws_engine_config config = fixed_config(1024);
    bytes in = {NULL, 0, 0}, plain = {NULL, 0, 0}, wanted = {NULL, 0, 0};
    size_t fed = 0, i, round;
    drive d;
    if (!test_begin("flood of %s in 1024 bytes, %s", frame, name))
        return;
    CHECK(drive_open(&d, role, &config));
    for (i = 0; i < 200; i++) {
        wire_write(&in, frame, role == WS_ROLE_SERVER);
        wire_write(&wanted, reply, false);
    }
    d.stuck = true;
    fed = drive_feed(&d, in.data, in.size);
    CHECK(fed < 2000);
    for (round = 0; round < 1000000 && (fed < in.size || ws_engine_output(&d.engine).size); round++) {
        ws_span out = ws_engine_output(&d.engine);
        CHECK(out.size > 0);
        bytes_add(&d.out, out.data, out.size ? 1 : 0);
        ws_engine_sent(&d.engine, out.size ? 1 : 0);
        fed += drive_feed(&d, in.data + fed, in.size - fed);
    }
    CHECK_EQ(fed, in.size);
    CHECK(wire_plain(&plain, d.out.data, d.out.size, role == WS_ROLE_CLIENT));
    CHECK_MEM(plain.data, plain.size, wanted.data, wanted.size);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    CHECK_EQ(ws_engine_error(&d.engine), WS_OK);
    drive_free(&d);
    bytes_free(&in);
    bytes_free(&plain);
    bytes_free(&wanted);
}

/* Every control frame that is read gets its answer, a pong or a close with its reason, however small messages are. */
static void test_fixed_controls(ws_role role, const char *name) {
    ws_engine_config config = fixed_config(1024);
    size_t size, i, fed;
    config.limits.message = 10;
    if (!test_begin("pings and a close with a reason, messages of at most 10 bytes, in 1024 bytes, %s", name))
        return;
    for (size = 3; size <= 125; size++) {
        bytes in = {NULL, 0, 0};
        char frames[60], wanted[60];
        drive d;
        (void)snprintf(frames, sizeof frames, "20x89#%zu 88<03e8>*%zu", size, size - 2);
        (void)snprintf(wanted, sizeof wanted, "20x8a#%zu 88<03e8>*%zu", size, size - 2);
        wire_write(&in, frames, role == WS_ROLE_SERVER);
        CHECK(drive_open(&d, role, &config));
        d.stuck = true;
        fed = drive_feed(&d, in.data, in.size);
        for (i = 0; i < 1000 && !ws_engine_done(&d.engine); i++) {
            d.stuck = false;
            (void)drive_drain(&d);
            d.stuck = true;
            fed += drive_feed(&d, in.data + fed, in.size - fed);
        }
        CHECK(drive_sent(&d, wanted));
        CHECK(d.log.size == 21 && d.log.data[20] == 'c');
        CHECK_EQ(ws_engine_error(&d.engine), WS_OK);
        drive_free(&d);
        bytes_free(&in);
    }
}

/* Control frames may fill the whole memory. A close must then wait, and the connection stays open. */
static void test_fixed_close(ws_role role, const char *name) {
    ws_engine_config config = fixed_config(1024);
    uint8_t data[125] = {0};
    drive d;
    if (!test_begin("pings until 1024 bytes are full, then a close, %s", name))
        return;
    CHECK(drive_open(&d, role, &config));
    for (size_t size = sizeof data; size + 1 > 0; size--)
        while (ws_engine_ping(&d.engine, data, size)) {}
    CHECK(!ws_engine_close(&d.engine, 1000, "bye"));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_BUFFERED);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    drive_pump(&d);
    CHECK(ws_engine_close(&d.engine, 1000, "bye"));
    drive_pump(&d);
    drive_feed_wire(&d, "88<03e8>");
    CHECK(drive_logged(&d, "c"));
    drive_free(&d);
}

/* A send that does not fit is refused as a whole, and fits later. */
static void test_fixed_full(ws_role role, const char *name) {
    ws_engine_config config = fixed_config(1024);
    bytes data = {NULL, 0, 0};
    size_t sent = 0;
    drive d;
    if (!test_begin("sends until 1024 bytes are full, %s", name))
        return;
    CHECK(drive_open(&d, role, &config));
    wire_sample(&data, 0, 512, false);
    CHECK(!ws_engine_send(&d.engine, message_of(data.data, 512, WS_BINARY))); /* never fits */
    while (sent < 1000 && ws_engine_send(&d.engine, message_of(data.data, 100, WS_BINARY)))
        sent++;
    CHECK_EQ(sent, 4);
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_BUFFERED);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    CHECK(ws_engine_close(&d.engine, 1000, NULL)); /* sends leave room for it */
    drive_pump(&d);
    drive_feed_wire(&d, "88<03e8>");
    CHECK(drive_sent(&d, "4x82#100 88<03e8>"));
    CHECK(drive_logged(&d, "c"));
    drive_free(&d);
    bytes_free(&data);
}

static void test_fixed_head(void) {
    ws_engine_config config = fixed_config(1024);
    char text[800] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    size_t size;
    for (size = 751; size <= 752; size++) {
        drive d;
        if (!test_begin("head of %zu bytes in 1024 bytes of memory", size))
            continue;
        memset(text + 28, 'x', sizeof text - 28);
        memcpy(text + size - 4, "\r\n\r\n", 4);
        CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
        (void)drive_feed(&d, text, size);
        CHECK(d.out.size > 12 && memcmp(d.out.data, size == 751 ? "HTTP/1.1 426" : "HTTP/1.1 431", 12) == 0);
        CHECK(ws_engine_done(&d.engine));
        drive_free(&d);
    }
}

/* The next request may arrive while the last answer waits in the same memory. It must not overwrite that answer. */
static void test_fixed_unsent(void) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    ws_engine_config config = fixed_config(1024);
    ws_event event;
    drive d;
    if (!test_begin("input before unsent output in 1024 bytes"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
    memcpy(ws_engine_input(&d.engine).data, request, sizeof request - 1);
    ws_engine_received(&d.engine, sizeof request - 1);
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_respond(&d.engine, 404, "text/plain", "none"));
    ws_span in = ws_engine_input(&d.engine), out = ws_engine_output(&d.engine);
    CHECK(out.size > 0);
    CHECK(!in.size || in.data + in.size < out.data);
    drive_free(&d);
}

/* Frames that a client sends before the answer have half of the memory, as they have later. */
static void test_fixed_early(void) {
    ws_engine_config config = fixed_config(1024);
    int fits;
    for (fits = 0; fits < 2; fits++) {
        bytes in = {NULL, 0, 0};
        drive d;
        if (!test_begin("%d bytes before the answer", fits ? 511 : 512))
            continue;
        CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
        bytes_add(&in, DRIVE_REQUEST, strlen(DRIVE_REQUEST));
        wire_write(&in, "82#200 82#200 89#90", true);
        in.size -= fits ? 1 : 0;
        (void)drive_feed(&d, in.data, in.size);
        CHECK_EQ(ws_engine_state(&d.engine), fits ? WS_OPEN : WS_CLOSED);
        CHECK_EQ(ws_engine_error(&d.engine), fits ? WS_OK : WS_ERROR_PROTOCOL);
        CHECK(drive_logged(&d, fits ? "roBB" : "rx"));
        drive_free(&d);
        bytes_free(&in);
    }
}

/* A body that does not fit beside the head is an error, which the program is told. */
static void test_fixed_respond(void) {
    ws_engine_config config = fixed_config(1024);
    char body[600];
    ws_event event;
    ws_span in;
    drive d;
    if (!test_begin("a body too long for 1024 bytes"))
        return;
    memset(body, 'b', sizeof body - 1);
    body[sizeof body - 1] = 0;
    CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
    in = ws_engine_input(&d.engine);
    memcpy(in.data, DRIVE_REQUEST, strlen(DRIVE_REQUEST));
    ws_engine_received(&d.engine, strlen(DRIVE_REQUEST));
    CHECK(ws_engine_next(&d.engine, &event));
    CHECK(!ws_engine_respond(&d.engine, 200, "text/plain", body));
    CHECK(ws_engine_error(&d.engine) != WS_OK);
    drive_pump(&d);
    CHECK(drive_logged(&d, "x"));
    drive_free(&d);
}

static void test_fixed_request(void) {
    ws_engine_config config = fixed_config(1024);
    char path[600];
    drive d;
    if (!test_begin("a request too long for 1024 bytes"))
        return;
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = 0;
    config.path = path;
    CHECK(!drive_start(&d, WS_ROLE_CLIENT, &config));
    path[200] = 0;
    CHECK(drive_open(&d, WS_ROLE_CLIENT, &config));
    drive_free(&d);
}

static void test_role(ws_role role, const char *name) {
    static const size_t sizes[] = {1024, 2048, 4096}, steps[] = {0, 1, 3, 200};
    size_t i, k;
    test_allocations(role, name, false);
    test_allocations(role, name, true);
    for (i = 0; i < COUNT(sizes); i++)
        for (k = 0; k < COUNT(steps); k++)
            test_fixed_echo(role, name, sizes[i], steps[k]);
    test_fixed_flood(role, name, "89#125", "8a#125");
    test_fixed_flood(role, name, "89", "8a");
    test_fixed_flood(role, name, "82#240", "82#240");
    test_fixed_flood(role, name, "02#120 89#50 00#100 80#20", "8a#50 82#240");
    test_fixed_controls(role, name);
    test_fixed_full(role, name);
    test_fixed_close(role, name);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_role(WS_ROLE_SERVER, "server");
    test_role(WS_ROLE_CLIENT, "client");
    for (int kind = 0; kind < 3; kind++) {
        test_no_room(WS_ROLE_SERVER, "server", kind);
        test_no_room(WS_ROLE_CLIENT, "client", kind);
        for (int context = 0; context < 2; context++)
            test_heads(WS_ROLE_SERVER, kind, context == 1);
    }
#ifndef WS_NO_DEFLATE
    for (int i = 0; i < 8; i++)
        test_packed(i & 1, i & 2, i & 4);
    for (int context = 0; context < 2; context++) {
        test_unsent_message(context == 1);
        test_unsent_part(context == 1);
    }
#endif
    for (int kind = 0; kind < 2; kind++)
        for (int context = 0; context < 2; context++)
            test_heads(WS_ROLE_CLIENT, kind, context == 1);
    test_send_without_memory();
    test_fixed_head();
    test_fixed_unsent();
    test_fixed_early();
    test_fixed_respond();
    test_fixed_request();
    return test_finish();
}
