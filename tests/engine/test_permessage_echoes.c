/* PERMESSAGE, ENGINE: echoes between a client and a server in memory, with compression: documents of five kinds, from
   16 bytes to 128 KiB, whole and in fragments, and all that can be agreed on. 1,000 of each up to 4 KiB, but only 12 of
   the larger ones, which take most of the time; with ECHOES=all 1,000 of those, too. */
#define WS_IMPLEMENTATION
#define WS_NO_NET
#include "../../ws.h"

#include "../helpers/deflate_texts.h"
#include "../helpers/test.h"

#ifndef WS_NO_DEFLATE

#define PMD "permessage-deflate"
#define SNC "; server_no_context_takeover"
#define CNC "; client_no_context_takeover"
#define SB(n) "; server_max_window_bits=" n
#define CB(n) "; client_max_window_bits=" n
#define ANY "; client_max_window_bits"

enum { LARGEST = 128 << 10, SMALL = 4 << 10, MOST = 1000 };

typedef struct pair {
    ws_engine client, server;
    size_t echoed;   /* messages echoed unchanged */
    size_t on_wire;  /* bytes sent by both */
    bool failed;
} pair;

static uint8_t text[LARGEST];
static unsigned echoes_of_large = 12;

/* --- documents --- */

/* Rows of a picture: slowly changing shades, with areas of one color. */
static void text_bitmap(uint32_t *state, uint8_t *out, size_t size) {
    uint32_t shade = 100, area = 0;
    size_t i;
    for (i = 0; i < size; i++) {
        if (i % 3 == 0 && area)
            area--;
        else if (i % 3 == 0 && !text_below(state, 20))
            area = 10 + text_below(state, 200);
        if (i % 3 == 0 && !area)
            shade += text_below(state, 5) - 2u;
        out[i] = (uint8_t)(i < 54 ? i * 7 : shade + i % 3 * 20);
    }
}

/* Objects described in words, and streams that are already compressed. */
static void text_pdf(uint32_t *state, uint8_t *out, size_t size) {
    size_t at = 0, i, count;
    unsigned number = 1;
    while (at < size) {
        char head[100];
        count = (size_t)sprintf(head, "%u 0 obj\n<</Type/Page/Parent 2 0 R/Contents %u 0 R>>\nstream\n", number,
                                number + 1);
        for (i = 0; i < count && at < size; i++)
            out[at++] = (uint8_t)head[i];
        for (count = text_below(state, 1500); count && at < size; count--)
            out[at++] = (uint8_t)text_below(state, 256);
        number++;
    }
}

static const char *const kinds[] = {"JSON", "bitmap", "prose", "HTML", "PDF"};

static ws_message document(unsigned kind, size_t size) {
    ws_message message;
    uint32_t state = (uint32_t)(size + kind);
    switch (kind) {
    case 0: text_written(0, text, size); break;
    case 1: text_bitmap(&state, text, size); break;
    case 2: text_written(1, text, size); break;
    case 3: text_written(2, text, size); break;
    default: text_pdf(&state, text, size); break;
    }
    message.data = text;
    message.size = size;
    message.type = kind == 1 || kind == 4 ? WS_BINARY : WS_TEXT;
    return message;
}

/* --- two engines --- */

static bool any_random(void *user, void *data, size_t size) {
    uint32_t *state = (uint32_t *)user;
    size_t i;
    for (i = 0; i < size; i++)
        ((uint8_t *)data)[i] = (uint8_t)text_below(state, 256);
    return true;
}

static bool pair_start(pair *two, const ws_deflate_config *server, const ws_deflate_config *client) {
    static uint32_t state = 1;
    ws_engine_config config;
    memset(two, 0, sizeof *two);
    memset(&config, 0, sizeof config);
    config.random = any_random;
    config.random_user = &state;
    config.deflate = server;
    if (!ws_engine_init(&two->server, &config))
        return false;
    config.role = WS_ROLE_CLIENT;
    config.host = "host";
    config.deflate = client;
    return ws_engine_init(&two->client, &config);
}

static void pair_free(pair *two) {
    ws_engine_free(&two->client);
    ws_engine_free(&two->server);
}

static size_t feed(ws_engine *engine, const void *data, size_t size) {
    ws_span room = ws_engine_input(engine);
    size = size < room.size ? size : room.size;
    if (size)
        memcpy(room.data, data, size);
    ws_engine_received(engine, size);
    return size;
}

static bool carry(pair *two, ws_engine *from, ws_engine *to) {
    ws_span out = ws_engine_output(from);
    size_t size = out.size ? feed(to, out.data, out.size) : 0;
    ws_engine_sent(from, size);
    two->on_wire += size;
    return size > 0;
}

static void take(pair *two, ws_engine *engine, ws_message sent) {
    ws_event event;
    while (ws_engine_next(engine, &event)) {
        if (event.type == WS_EVENT_CLOSED)
            two->failed = true;
        if (event.type != WS_EVENT_MESSAGE)
            continue;
        if (engine == &two->server && !ws_engine_send(engine, event.message))
            two->failed = true;
        if (engine == &two->client)
            two->echoed += event.message.size == sent.size && event.message.type == sent.type
                           && memcmp(event.message.data, sent.data, sent.size) == 0;
    }
}

static void settle(pair *two, ws_message sent) {
    bool more = true;
    while (more && !two->failed) {
        more = carry(two, &two->client, &two->server);
        take(two, &two->server, sent);
        more = carry(two, &two->server, &two->client) || more;
        take(two, &two->client, sent);
    }
}

/* One side's part of the opening handshake, with other extensions in it. */
static void say(ws_engine *from, ws_engine *to, const char *extensions) {
    ws_span out = ws_engine_output(from);
    char *line = (char *)malloc(out.size + 1), *at, *end;
    if (!line)
        abort();
    memcpy(line, out.data, out.size);
    line[out.size] = 0;
    at = strstr(line, "Sec-WebSocket-Extensions");
    end = at ? strstr(at, "\r\n") + 2 : line + out.size - 2;
    at = at ? at : end;
    (void)feed(to, line, (size_t)(at - line));
    if (*extensions) {
        char own[400];
        (void)feed(to, own, (size_t)snprintf(own, sizeof own, "Sec-WebSocket-Extensions: %s\r\n", extensions));
    }
    (void)feed(to, end, strlen(end));
    free(line);
    ws_engine_sent(from, out.size);
}

/* --- the cases --- */

/* fragment 0: unfragmented. shrinks: in both directions, fewer bytes are sent than the documents have. */
static void echo(pair *two, ws_message message, size_t fragment, bool shrinks) {
    unsigned i, count = message.size <= SMALL ? (unsigned)MOST : echoes_of_large;
    size_t on_wire = two->on_wire;
    for (i = 0; i < count && !two->failed; i++) {
        ws_message part = message;
        size_t at;
        if (!fragment)
            CHECK(ws_engine_send(&two->client, message));
        for (at = 0; fragment && at < message.size; at += part.size) {
            part.data = message.data + at;
            part.size = message.size - at < fragment ? message.size - at : fragment;
            CHECK(ws_engine_send_part(&two->client, part, at + part.size == message.size));
            settle(two, message);
        }
        settle(two, message);
    }
    CHECK(!two->failed);
    CHECK_EQ(two->echoed, count);
    if (shrinks && message.size >= 256)
        CHECK(two->on_wire - on_wire < (size_t)count * message.size * 2);
    two->echoed = 0;
}

static void test_documents(unsigned kind, bool context) {
    static const size_t sizes[] = {16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, LARGEST};
    static const size_t fragments[] = {256, 1024, 4096, 8192, 16384, 32768};
    ws_deflate_config config;
    ws_message none = {NULL, 0, WS_TEXT};
    unsigned i, number = 0;
    memset(&config, 0, sizeof config);
    config.on = true;
    config.context = context;
    for (i = 0; i < 16; i++) {
        size_t size = i < 10 ? sizes[i] : (size_t)LARGEST, fragment = i < 10 ? 0 : fragments[i - 10];
        pair two;
        if (!test_begin("12.%u.%u %s%s, %zu bytes, fragments of %zu", kind + 1, ++number, kinds[kind],
                        context ? " with context" : "", size, fragment))
            continue;
        CHECK(pair_start(&two, &config, &config));
        settle(&two, none);
        CHECK(two.client.core.deflate && two.server.core.deflate && two.server.core.keep_out == context);
        echo(&two, document(kind, size), fragment, kind < 4);
        pair_free(&two);
    }
}

static void echo_sizes(pair *two) {
    size_t size;
    for (size = 16; size <= LARGEST; size *= size < 16384 ? 4 : 8)
        echo(two, document(0, size), 0, true);
    pair_free(two);
}

/* Offers to our server, which keeps context or not. */
static void test_offers(void) {
    static const char *const offers[] = {
        PMD CNC ANY, PMD CNC ANY SNC, PMD CNC ANY SB("9"), PMD CNC ANY SB("15"), PMD CNC ANY SNC SB("9"),
        PMD CNC ANY SNC SB("15"), PMD CNC ANY SNC SB("9") ", " PMD CNC ANY SNC ", " PMD CNC ANY};
    ws_deflate_config ours, theirs;
    ws_message none = {NULL, 0, WS_TEXT};
    unsigned i;
    memset(&theirs, 0, sizeof theirs);
    theirs.on = theirs.context = true;
    theirs.window_bits = 15;
    for (i = 0; i < 14; i++) {
        pair two;
        if (!test_begin("13.%u.%u as a server, offered %s", i % 7 + 1, i / 7 + 1, offers[i % 7]))
            continue;
        memset(&ours, 0, sizeof ours);
        ours.on = true;
        ours.context = i < 7;
        ours.window_bits = 15;
        CHECK(pair_start(&two, &ours, &theirs));
        say(&two.client, &two.server, offers[i % 7]);
        settle(&two, none);
        CHECK(two.server.core.deflate && two.client.core.deflate);
        echo_sizes(&two);
    }
}

/* Answers to our client, from a server that follows its own answer. */
static void test_answers(void) {
    static const struct { const char *answer; wsi_agreed agreed; } cases[] = {
        {PMD, {true, true, true, 15, 15}},           {PMD CNC, {true, false, true, 15, 15}},
        {PMD CB("9"), {true, true, true, 9, 15}},    {PMD CB("15"), {true, true, true, 15, 15}},
        {PMD CNC CB("9"), {true, false, true, 9, 15}}, {PMD CNC CB("15"), {true, false, true, 15, 15}},
        {PMD CNC SNC SB("15") CB("15"), {true, false, false, 15, 15}}};
    ws_deflate_config config;
    ws_message none = {NULL, 0, WS_TEXT};
    ws_event event;
    unsigned i;
    memset(&config, 0, sizeof config);
    config.on = config.context = true;
    config.window_bits = 15;
    for (i = 0; i < 7; i++) {
        pair two;
        if (!test_begin("13.%u as a client, answered %s", i + 1, cases[i].answer))
            continue;
        CHECK(pair_start(&two, NULL, &config));
        (void)carry(&two, &two.client, &two.server);
        while (ws_engine_next(&two.server, &event)) {} /* it answers */
        CHECK_EQ(two.server.core.state, WSI_OPEN);
        two.server.env.agreed = cases[i].agreed;
        CHECK(wsi_permessage_extend(&two.server.core, &config));
        say(&two.server, &two.client, cases[i].answer);
        settle(&two, none);
        CHECK(two.client.core.deflate);
        echo_sizes(&two);
    }
}

int main(int argc, char **argv) {
    const char *all = getenv("ECHOES");
    unsigned kind;
    test_start(argc, argv);
    if (all && *all)
        echoes_of_large = MOST;
    for (kind = 0; kind < 5; kind++) {
        test_documents(kind, false);
        test_documents(kind, true);
    }
    test_offers();
    test_answers();
    return test_finish();
}
#else
int main(void) {
    printf("0 passed, 0 failed\n");
    return 0;
}
#endif
