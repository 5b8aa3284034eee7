/* PERMESSAGE, HANDSHAKE, ENGINE: permessage-deflate from its negotiation to the messages, in both roles. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

#ifndef WS_NO_DEFLATE

#define PMD "permessage-deflate"
#define SNC "; server_no_context_takeover"
#define CNC "; client_no_context_takeover"
#define SB(n) "; server_max_window_bits=" n
#define CB(n) "; client_max_window_bits=" n
#define BOTH SNC CNC
#define REQUEST "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" \
                "Sec-WebSocket-Extensions: " PMD "; client_max_window_bits\r\n\r\n"

static ws_deflate_config config_of(bool context, int bits, int level) {
    ws_deflate_config config;
    memset(&config, 0, sizeof config);
    config.on = true;
    config.context = context;
    config.window_bits = (uint8_t)bits;
    config.level = (int8_t)level;
    return config;
}

/* --- negotiation --- */

static char line_sent[400]; /* by an engine */

static bool keep_line(wsi_engine *e, const wsi_output *output) {
    (void)e;
    strncat(line_sent, (const char *)output->data, output->size);
    return strlen(line_sent) + 1 < sizeof line_sent;
}

static const char *answer_to(const char *offers, const ws_deflate_config *config) {
    char head[1000];
    ws_engine engine;
    wsi_env *env = &engine.env;
    memset(&engine, 0, sizeof engine);
    wsi_memory_init(&engine.memory, (ws_allocator){NULL, NULL}, SIZE_MAX);
    (void)snprintf(head, sizeof head, "GET / HTTP/1.1\r\nSec-WebSocket-Extensions: %s\r\n\r\n", offers);
    env->request.head = wsi_text_z(head);
    env->request.extensions = true;
    env->output = keep_line;
    env->codec = &engine.codec;
    wsi_init_codec(&engine.codec, &engine.memory, &engine.memory);
    engine.core.env = env;
    line_sent[0] = 0;
    CHECK(wsi_permessage_agree(&engine.core, config));
    wsi_permessage_end(&engine.core);
    wsi_permessage_free(&engine.codec);
    CHECK_EQ(engine.memory.used, 0);
    if (!*line_sent)
        return "";
    line_sent[strlen(line_sent) - 2] = 0;
    return line_sent + strlen("Sec-WebSocket-Extensions: ");
}

static void test_offers(void) {
    static const struct { const char *offers, *plain, *context; } cases[] = {
        {PMD, PMD BOTH, PMD CNC SB("12")}, /* 15 bits would need a larger history than ours */
        {PMD "; client_max_window_bits", PMD BOTH, PMD SB("12") CB("12")},
        {PMD CB("15"), PMD BOTH, PMD SB("12") CB("12")}, {PMD CB("9"), PMD BOTH CB("9"), PMD SB("12") CB("9")},
        {PMD CB("8"), PMD BOTH CB("8"), PMD SB("12") CB("8")}, {PMD SB("8"), PMD BOTH SB("8"), PMD CNC SB("8")},
        {PMD SB("15"), PMD BOTH SB("15"), PMD CNC SB("12")}, {PMD SB("10") CB("\"10\""), PMD BOTH SB("10") CB("10"),
        PMD SB("10") CB("10")},
        /* a quoted value is read without its backslashes (RFC 6455 9.1) */
        {PMD SB("\"\\10\""), PMD BOTH SB("10"), PMD CNC SB("10")}, {PMD CB("\"\\1\\2\""), PMD BOTH CB("12"),
        PMD SB("12") CB("12")}, {PMD SB("\"\\8\""), PMD BOTH SB("8"), PMD CNC SB("8")},
        {PMD SB("\"\\1\""), "", ""}, {PMD SB("\"1\\6\""), "", ""}, {PMD SB("\"\\08\""), "", ""},
        {PMD SB("\"1\\00\""), "", ""},
        {PMD SNC, PMD BOTH, PMD BOTH SB("12")}, {PMD CNC, PMD BOTH, PMD CNC SB("12")},
        {PMD CNC "; client_max_window_bits" SNC SB("9"), PMD BOTH SB("9"), PMD BOTH SB("9") CB("12")},
        /* if an offer is invalid, the next one counts */
        {PMD SB("7") ", " PMD SB("9"), PMD BOTH SB("9"), PMD CNC SB("9")}, {"x, " PMD CB("11"), PMD BOTH CB("11"),
        PMD SB("12") CB("11")},
        {PMD SB("9") ", " PMD SB("10"), PMD BOTH SB("9"), PMD CNC SB("9")},
        /* declined */
        {PMD SB("7"), "", ""}, {PMD SB("16"), "", ""}, {PMD SB("999"), "", ""},
        {PMD SB("1000"), "", ""}, {PMD SB("08"), "", ""}, {PMD SB("0"),
        "", ""},
        {PMD SB(""), "", ""}, {PMD CB(""), "", ""},
        {PMD SB("x"), "", ""}, {PMD SB("\"9"), "", ""}, {PMD SB("+9"), "", ""}, {PMD "; server_max_window_bits", "",
        ""},
        {PMD CB("7"), "", ""}, {PMD CB("16"), "", ""}, {PMD CB("015"), "", ""}, {PMD SNC SNC, "", ""}, {PMD CNC CNC, "",
        ""},
        {PMD SB("9") SB("9"), "", ""}, {PMD CB("9") CB("9"), "", ""},
        {PMD "; client_max_window_bits; client_max_window_bits=9", "", ""},
        {PMD SNC "=1", "", ""}, {PMD CNC "=true", "", ""}, {PMD "; unknown", "", ""}, {PMD "; unknown=1", "", ""},
        {"permessage-bzip2", "", ""}, {"x-webkit-deflate-frame", "", ""}, {"Permessage-Deflate", "", ""},
    };
    ws_deflate_config plain = config_of(false, 0, 0), context = config_of(true, 0, 0);
    size_t i;
    if (!test_begin("a server's answers to offers, without and with context"))
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = answer_to(cases[i].offers, &plain);
        test_memory(got, strlen(got), cases[i].plain, strlen(cases[i].plain), cases[i].offers, __FILE__, __LINE__);
        got = answer_to(cases[i].offers, &context);
        test_memory(got, strlen(got), cases[i].context, strlen(cases[i].context), cases[i].offers, __FILE__, __LINE__);
    }
}

/* An answer to the last offer may have any parameter that is valid in answers: those of the server state what it does,
   and those of the client can be met (RFC 7692 5.1, 7.1). */
static void test_answers(void) {
    static const struct { const char *answer; bool good; } cases[] = {
        {PMD, true}, {PMD SNC, true}, {PMD CNC, true}, {PMD BOTH, true}, {PMD SB("8"), true}, {PMD SB("15"), true},
        {PMD CB("8"), true}, {PMD CB("15") SB("10"), true}, {PMD BOTH SB("9") CB("8"), true},
        {PMD SB("\"\\1\\0\""), true},
        {PMD BOTH SB("9") "; client_max_window_bits", false}, {PMD BOTH SB("16"), false}, {PMD BOTH CB("7"), false},
        {PMD SB("\"\\1\\6\""), false}, {PMD BOTH "; x", false}, {PMD BOTH SNC, false}, {PMD SB("9") SB("9"), false},
        {PMD BOTH ", " PMD BOTH, false}, {PMD ", " PMD, false}, {PMD BOTH ", x", false}, {"x", false}, {"", false},
        {PMD BOTH ";", false}, {"permessage-deflate=1", false}, {PMD SNC "=1", false}, {PMD "; server_max_window_bits",
        false},
    };
    ws_deflate_config configs[3];
    size_t i, k;
    configs[0] = config_of(false, 0, 0);
    configs[1] = config_of(true, 15, 0);
    configs[2] = config_of(false, 9, 0);
    if (!test_begin("a client's view of answers: one that fits no offer is fatal"))
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        for (k = 0; k < 3; k++) {
            wsi_env env;
            memset(&env, 0, sizeof env);
            env.deflate = &configs[k];
            test_equal(!wsi_permessage_answered(&env, wsi_text_z(cases[i].answer)), cases[i].good, cases[i].answer,
                       __FILE__, __LINE__);
            if (cases[i].good) /* a second line */
                CHECK(wsi_permessage_answered(&env, wsi_text_z(cases[i].answer)) != NULL);
        }
}

/* The answer decides, whatever was offered. */
static void test_agreed(void) {
    static const struct { const char *answer; bool context; int bits; wsi_agreed agreed; } cases[] = {
        {PMD, false, 0, {true, true, false, 15, 15}}, {PMD, true, 0, {true, true, true, 15, 12}},
        {PMD, true, 15, {true, true, true, 15, 15}}, {PMD, false, 9, {true, true, false, 15, 9}},
        {PMD BOTH, true, 15, {true, false, false, 15, 15}}, {PMD BOTH, false, 0, {true, false, false, 15, 15}},
        {PMD CNC, false, 0, {true, true, false, 15, 15}}, {PMD SNC, true, 15, {true, false, true, 15, 15}},
        {PMD SB("10"), false, 9, {true, true, false, 10, 9}}, {PMD CB("8"), true, 0, {true, true, true, 15, 8}},
        {PMD SB("8") CB("15"), true, 10, {true, true, true, 8, 10}},
    };
    size_t i;
    if (!test_begin("what a client makes of an answer"))
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_deflate_config config = config_of(cases[i].context, cases[i].bits, 0);
        wsi_agreed agreed, wanted = cases[i].agreed;
        wsi_env env;
        memset(&env, 0, sizeof env);
        env.deflate = &config;
        CHECK(wsi_permessage_answered(&env, wsi_text_z(cases[i].answer)) == NULL);
        agreed = env.agreed;
        CHECK(agreed.on && agreed.keep_in == wanted.keep_in && agreed.keep_out == wanted.keep_out);
        CHECK_EQ(agreed.in_bits, wanted.in_bits);
        CHECK_EQ(agreed.out_bits, wanted.out_bits);
    }
}

/* The best offer comes first; the last one is a browser's, which any server understands. */
static void test_offer_lines(void) {
    static const struct { bool context; int bits; const char *line; } cases[] = {
        {false, 0, PMD "; client_max_window_bits" BOTH ", " PMD "; client_max_window_bits"},
        {true, 15, PMD "; client_max_window_bits"},
        {true, 0, PMD "; client_max_window_bits" SB("12") ", " PMD "; client_max_window_bits"},
        {false, 10, PMD "; client_max_window_bits" BOTH SB("10") ", " PMD "; client_max_window_bits"},
    };
    size_t i;
    if (!test_begin("a client's offers"))
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_deflate_config config = config_of(cases[i].context, cases[i].bits, 0);
        char wanted[400];
        ws_engine engine;
        memset(&engine, 0, sizeof engine);
        engine.core.env = &engine.env;
        engine.env.output = keep_line;
        engine.env.deflate = &config;
        line_sent[0] = 0;
        CHECK(wsi_permessage_offer(&engine.core));
        (void)snprintf(wanted, sizeof wanted, "Sec-WebSocket-Extensions: %s\r\n", cases[i].line);
        CHECK_STR(line_sent, wanted);
    }
}

/* An invalid window or level is refused by the call that takes it, and the error says what is valid. */
static void test_range(void) {
    static const struct { int bits, level; bool good; } cases[] = {
        {0, 0, true}, {8, -1, true}, {15, 9, true}, {3, 0, false}, {7, 0, false}, {16, 0, false}, {200, 0, false},
        {12, -2, false}, {12, 10, false}};
    static const char wanted[] = "deflate: window_bits is 8 to 15, level is -1 to 9";
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_deflate_config config = config_of(false, cases[i].bits, cases[i].level);
        ws_handler handler;
        ws_client_config client;
        ws_engine_config own;
        ws_engine engine;
        ws_conn *conn;
        int off;
        if (!test_begin("window_bits %d, level %d", cases[i].bits, cases[i].level))
            continue;
        for (off = 0; off < 2; off++) {
            bool good = cases[i].good || off;
            CHECK(behaviour_start());
            config.on = !off;
            memset(&handler, 0, sizeof handler);
            memset(&client, 0, sizeof client);
            memset(&own, 0, sizeof own);
            handler.deflate = client.deflate = config;
            conn = ws_test_connect(net.server, "/", &client);
            CHECK_EQ(ws_last_error(conn), good ? WS_OK : WS_ERROR_ARGUMENT);
            CHECK(good || strstr(ws_last_error_text(conn), DETAIL(ws_last_error(conn), wanted)));
            ws_free(conn);
            own.deflate = &config;
            CHECK_EQ(ws_engine_init(&engine, &own), good);
            CHECK_EQ(ws_engine_error(&engine), good ? WS_OK : WS_ERROR_ARGUMENT);
            ws_engine_free(&engine);
            CHECK_EQ(ws_route(net.server, "/range", &handler), good);
            CHECK(good || strstr(ws_loop_error_text(net.loop), NET_DETAIL(wanted)));
            BEHAVIOUR_END();
        }
    }
}

/* --- a server over sockets, with frames by hand --- */

static bool start_deflate(ws_deflate_config deflate, const ws_limits *limits) {
    ws_server_config config;
    ws_handler handler;
    memset(&config, 0, sizeof config);
    if (limits)
        config.limits = *limits;
    net_start_loop(NULL);
    net.server = ws_listen(net.loop, &config);
    handler = net_handler();
    handler.deflate = deflate;
    if (!net.server || !ws_route(net.server, "/", &handler))
        return false;
    handler.on_message = NULL;
    handler.on_chunk = net_chunk;
    return ws_route(net.server, "/chunks", &handler);
}

static peer *open_with(const char *path, const char *offer, const char *agreed) {
    peer *p = net_connect();
    char more[200], wanted[300];
    (void)snprintf(more, sizeof more, "Sec-WebSocket-Extensions: %s\r\n", offer);
    peer_upgrade(p, path, *offer ? more : "");
    CHECK_EQ(peer_status(p), 101);
    (void)snprintf(wanted, sizeof wanted, "\r\nSec-WebSocket-Extensions: %s\r\n", agreed);
    CHECK_EQ(peer_has(p, *agreed ? wanted : "Extensions"), *agreed != 0);
    peer_take_head(p);
    return p;
}

#define HELLO "<f248cdc9c90700>" /* "Hello", of RFC 7692 7.2.3.1 */

static void test_frames(void) {
    static const struct { const char *name, *frames, *log; } good[] = {
        {"whole", "c1" HELLO, "t1:Hello"}, {"two fragments", "41<f248cd> 80<c9c90700>", "t1:Hello"},
        {"with a ping between", "41<f248cd> 89\"\" 80<c9c90700>", "t1:Hello"},
        {"in bytes, with empty fragments", "41<f2> 00<> 00<48> 00<cd> 00<c9> 00<> 00<c9> 00<07> 00<00> 80<>",
        "t1:Hello"},
        {"binary", "c2" HELLO, "b1:5"}, {"stored (7.2.3.3)", "c1<000500faff48656c6c6f00>", "t1:Hello"},
        {"BFINAL (7.2.3.4)", "c1<f348cdc9c9070000>", "t1:Hello"}, {"two blocks (7.2.3.5)",
        "c1<f248050000 00ffffcac9c90700>", "t1:Hello"},
        {"empty", "c1<00>", "t1:"},
        {"empty twice", "c1<00> c1<00> c1" HELLO, "t1: t1: t1:Hello"},
        {"plain ones between", "81\"a\" c1" HELLO " 81\"b\"", "t1:a t1:Hello t1:b"},
        {"first fragment empty", "41<> 80" HELLO, "t1:Hello"},
    };
    static const struct { const char *name, *frames; int code; } bad[] = {
        {"RSV1 on a continuation", "41<f248cd> c0<c9c90700>", 1002}, {"RSV1 on a ping", "c9\"\"", 1002},
        {"RSV1 on a close", "c8<03e8>", 1002}, {"RSV2", "a1" HELLO, 1002}, {"RSV1 and RSV2", "e1" HELLO, 1002},
        {"bad block type", "c1<07>", 1007}, {"cut off", "c1<f248cdc9>", 1007}, {"nothing at all", "c1<>", 1007},
        {"distance before the message", "c1<0a0102>", 1007}, {"not UTF-8", "c1<fa0700>", 1007},
        {"not UTF-8, before its end", "41<000100feffff>", 1007}, {"stored with a wrong size", "c1<000500fbff48>", 1007},
        {"cut inside a character", "c1<000100feffc300>", 1007},
        {"cut inside a size", "c1<0005>", 1007},
        {"BFINAL, and no block behind it", "c1<f348cdc9c90700>", 1007},
    };
    size_t i;
    if (!test_begin("frames: RSV1, fragments, kinds of blocks; invalid ones fail"))
        return;
    CHECK(start_deflate(config_of(false, 0, 0), NULL));
    net.echo = false;
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        char frames[200], *from, *to;
        peer *p = open_with("/", PMD, PMD BOTH);
        strcpy(frames, good[i].frames);
        for (from = to = frames; *from; from++) /* spaces inside <> are for the eye */
            if (!(*from == ' ' && strchr(from, '>') && (!strchr(from, '<') || strchr(from, '>') < strchr(from, '<'))))
                *to++ = *from;
        *to = 0;
        net.log.size = 0;
        peer_frames(p, frames);
        net_settle();
        test_memory(net.log.data, net.log.size, good[i].log, strlen(good[i].log), good[i].name, __FILE__, __LINE__);
        peer_close(p);
        net_settle();
        net.log.size = net.opened = net.closed = 0;
        net.closings[1] = 0;
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        char wanted[40];
        peer *p = open_with("/", PMD, PMD BOTH);
        peer_frames(p, bad[i].frames);
        net_settle();
        (void)snprintf(wanted, sizeof wanted, "o1 c1:%d::n", bad[i].code);
        test_memory(net.log.data, net.log.size, wanted, strlen(wanted), bad[i].name, __FILE__, __LINE__);
        peer_close(p);
        net_settle();
        net.log.size = net.opened = net.closed = 0;
        net.closings[1] = 0;
    }
    {
        peer *p = open_with("/", "", "");
        peer_frames(p, "c1" HELLO);
        net_settle();
        CHECK_LOG("o1 c1:1002::n"); /* not negotiated */
    }
    NET_END();
}

/* The message that ends last is delivered from its own decompressor, though the loop has a spare one by then. */
static void test_interleaved(void) {
    peer *p[2];
    if (!test_begin("an unfinished message, and a whole one of another connection between its fragments"))
        return;
    CHECK(start_deflate(config_of(false, 0, 0), NULL));
    p[0] = open_with("/", PMD, PMD BOTH);
    p[1] = open_with("/", PMD, PMD BOTH);
    peer_frames(p[0], "41<f248cd>");
    net_settle();
    peer_frames(p[1], "c1" HELLO);
    net_settle();
    peer_frames(p[0], "80<c9c90700>");
    CHECK_FRAMES(p[1], "81\"Hello\"");
    CHECK_FRAMES(p[0], "81\"Hello\"");
    CHECK_LOG("o1 o2 t2:Hello t1:Hello");
    NET_END();
}

static void test_off(void) {
    ws_deflate_config off = config_of(true, 15, 6);
    if (!test_begin("a server: off by default; not offered"))
        return;
    CHECK(net_start());
    (void)open_with("/", PMD, "");
    NET_END();
    off.on = false;
    CHECK(start_deflate(off, NULL));
    (void)open_with("/", PMD, "");
    NET_END();
    CHECK(start_deflate(config_of(false, 0, 0), NULL));
    (void)open_with("/", "", "");
    (void)open_with("/", PMD SB("7"), "");
    (void)open_with("/", PMD CB("9"), PMD BOTH CB("9"));
    NET_END();
}

/* A bomb of zeros: so many bytes of output, in c2 frames of a stream that our own compressor makes. */
static size_t bomb(uint8_t *out, size_t capacity, size_t size) {
    size_t memory = wsi_deflate_size(9, 15, false), written;
    wsi_deflate *deflate = (wsi_deflate *)malloc(memory);
    uint8_t *zeros = (uint8_t *)calloc(1, size);
    wsi_deflate_init(deflate, 9, 15, false);
    written = wsi_deflate_run(deflate, zeros, size, out, capacity);
    free(deflate);
    free(zeros);
    return written > 4 ? written - 4 : 0;
}

static void send_packed(peer *p, const uint8_t *data, size_t size) {
    bytes out = {NULL, 0, 0};
    wire_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.first = 0xc2;
    frame.data = data;
    frame.size = size;
    wire_frame_add(&out, &frame, true);
    (void)peer_send(p, out.data, out.size);
    bytes_free(&out);
}

/* What an engine's head says of compression, for each role and config. The server gets an offer. */
static void test_off_engine(void) {
    static const struct { bool given, on, says; } cases[] = {
        {false, false, false}, {true, false, false}, {true, true, true}};
    size_t i;
    if (!test_begin("an engine: off without config, and unless it is on"))
        return;
    for (i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        ws_deflate_config deflate = config_of(true, 15, 0);
        ws_engine_config config;
        drive d;
        memset(&config, 0, sizeof config);
        deflate.on = cases[i / 2].on;
        config.deflate = cases[i / 2].given ? &deflate : NULL;
        CHECK(drive_start(&d, i % 2 ? WS_ROLE_CLIENT : WS_ROLE_SERVER, &config));
        if (i % 2)
            drive_pump(&d);
        else
            drive_feed_text(&d, REQUEST);
        bytes_add(&d.out, "", 1);
        CHECK(strstr((const char *)d.out.data, i % 2 ? "GET / " : "HTTP/1.1 101 ") != NULL);
        CHECK_EQ(strstr((const char *)d.out.data, "Sec-WebSocket-Extensions: " PMD) != NULL, cases[i / 2].says);
        drive_free(&d);
    }
}

static void test_bomb(void) {
    static uint8_t packed[20 << 20];
    ws_limits limits;
    size_t size, before, i;
    if (!test_begin("a bomb costs no more than its limit; the limit itself passes; in chunks, a part at a time"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.message = 1 << 20;
    CHECK(start_deflate(config_of(false, 0, 0), &limits));
    net.echo = false;
    for (i = 0; i < 2; i++) {
        peer *p = open_with("/", PMD, PMD BOTH);
        size = bomb(packed, sizeof packed, limits.message + i);
        net.memory.peak = before = net.memory.used;
        send_packed(p, packed, size);
        net_settle();
        CHECK(net.memory.peak < before + 2 * limits.message + (128 << 10)); /* it grows by doubling */
    }
    CHECK_LOG("o1 b1:1048576 o2 c2:1009::n");
    size = bomb(packed, sizeof packed, 16 << 20);
    CHECK(size < 20000);
    {
        peer *p = open_with("/chunks", PMD, PMD BOTH);
        net.memory.peak = before = net.memory.used;
        net.received = 0;
        send_packed(p, packed, size);
        net_settle();
        CHECK_EQ(net.received, 16 << 20);
        CHECK(net.memory.peak < before + (200 << 10));
        CHECK_EQ(ws_state(net.conns[3]), WS_OPEN);
    }
    NET_END();
}

/* What one read brings may be a thousand times as long once it is decompressed. After 1 MiB, and the message or chunk
   that completes it, other connections have their turn. A round may have two turns: after a read, and after timers. */
static void test_turns(void) {
    static uint8_t packed[20 << 20];
    size_t chunks, i, size, rounds;
    uint64_t all, before, most;
    for (chunks = 0; chunks < 2; chunks++) {
        if (!test_begin("one read that holds 16 MiB, in %s: 1 MiB a turn", chunks ? "chunks" : "messages of 512 KiB"))
            continue;
        CHECK(start_deflate(config_of(false, 0, 0), NULL));
        net.echo = false;
        peer *p = open_with(chunks ? "/chunks" : "/", PMD, PMD BOTH), *other = open_with("/chunks", PMD, PMD BOTH);
        size = bomb(packed, sizeof packed, chunks ? 16 << 20 : 512 << 10);
        net.received = 0;
        all = 16 << 20;
        for (i = 0; i < (chunks ? 1 : 32); i++)
            send_packed(p, packed, size);
        for (rounds = 0, most = 0; net.received < all && rounds < 1000; rounds++) {
            peer_frames(other, "82\"x\"");
            all++;
            before = net.received;
            (void)ws_run_once(net.loop, 0);
            CHECK(net.received > before);
            most = net.received - before > most ? net.received - before : most;
        }
        CHECK(most <= 2 * ((1 << 20) + (chunks ? 16 << 10 : 512 << 10)) + 1);
        CHECK(rounds >= 8 && rounds <= 17);
        CHECK_EQ(ws_state(net.conns[1]), WS_OPEN);
        NET_END();
    }
}

/* Where the output of a chunk ends within the last match, all input has been read, and there is more to deliver. */
static void test_chunk_within_match(void) {
    static uint8_t packed[2000];
    size_t size, sent = 0;
    peer *p;
    if (!test_begin("chunks that end within the last match"))
        return;
    CHECK(start_deflate(config_of(false, 0, 0), NULL));
    p = open_with("/chunks", PMD, PMD BOTH);
    net.received = 0;
    net.echo = false;
    for (size = (16 << 10) - 2; size < (16 << 10) + 300; size++) {
        send_packed(p, packed, bomb(packed, sizeof packed, size));
        sent += size;
        net_settle();
        CHECK_EQ(net.received, sent);
    }
    CHECK_EQ(ws_state(net.conns[1]), WS_OPEN);
    NET_END();
}

/* The decompressor that connections share may have room for a longer message than this one may send; or there may be
   no limit. */
static void test_limits_apart(void) {
    static const size_t limits[] = {SIZE_MAX, 5000};
    static uint8_t zeros[100000];
    ws_server *servers[2];
    ws_conn *conns[2];
    ws_message message;
    size_t i;
    if (!test_begin("two servers of a loop, with different limits of a message"))
        return;
    CHECK(behaviour_start_bare(NULL));
    for (i = 0; i < 2; i++) {
        ws_server_config config;
        ws_client_config client;
        ws_handler handler = net_handler();
        memset(&config, 0, sizeof config);
        memset(&client, 0, sizeof client);
        config.no_port = true;
        config.limits.message = limits[i];
        handler.deflate = client.deflate = config_of(false, 0, 0);
        servers[i] = ws_listen(net.loop, &config);
        CHECK(ws_route(servers[i], "/", &handler));
        conns[i] = ws_test_connect(servers[i], "/", &client);
        CHECK_EQ(ws_status(conns[i]), 101);
    }
    for (i = 0; i < 2; i++) {
        CHECK(ws_send_binary(conns[0], zeros, sizeof zeros));
        CHECK(ws_receive_within(conns[0], &message, 1000) && message.size == sizeof zeros);
        CHECK(ws_send_binary(conns[1], zeros, 5000 + i));
        CHECK_EQ(ws_receive_within(conns[1], &message, 1000), i == 0);
    }
    CHECK_EQ(ws_closed(conns[1]).code, WS_CLOSE_TOO_BIG);
    ws_free(conns[0]);
    ws_free(conns[1]);
    BEHAVIOUR_END();
}

/* --- both ends of ours --- */

static uint32_t seed;

static uint32_t next(void) { return seed = seed * 1664525u + 1013904223u; }

/* JSON-like text, noise, or runs. */
static size_t document(char *out, size_t size, int kind) {
    size_t at = 0;
    while (at < size) {
        char piece[120];
        int count;
        if (kind == 0)
            count = snprintf(piece, sizeof piece,
                "{\"id\":%u,\"name\":\"user-%u\",\"tags\":[\"a\",\"b%u\"],\"ok\":true},",
                             next() >> 20, next() >> 24, next() >> 28);
        else if (kind == 1)
            count = snprintf(piece, sizeof piece, "%c%c%c", ' ' + (int)(next() >> 20) % 94,
                ' ' + (int)(next() >> 20) % 94,
                             ' ' + (int)(next() >> 20) % 94);
        else
            count = snprintf(piece, sizeof piece, "%.*s", 1 + (int)(next() >> 26),
                             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        if ((size_t)count > size - at)
            count = (int)(size - at);
        memcpy(out + at, piece, (size_t)count);
        at += (size_t)count;
    }
    return size;
}

static void echoes(const char *name, ws_deflate_config server, ws_deflate_config client, bool on) {
    static char text[200000];
    ws_handler handler;
    ws_client_config config;
    ws_message message, got;
    ws_conn *conn;
    int i;
    if (!test_begin("echoes: %s", name))
        return;
    memset(&config, 0, sizeof config);
    config.deflate = client;
    CHECK(behaviour_start_bare(NULL));
    handler = net_handler();
    handler.deflate = server;
    net.quiet = true;
    CHECK(ws_route(net.server, "/", &handler));
    conn = behaviour_connect("/", &config);
    CHECK_EQ(ws_status(conn), 101);
    CHECK_EQ(ws_header(conn, "Sec-WebSocket-Extensions") != NULL, on);
    CHECK_EQ(net.conns[1]->engine.deflate, on);
    seed = 1;
    for (i = 0; i < 300 && ws_state(conn) == WS_OPEN; i++) {
        size_t size = i < 100 ? (size_t)i : i % 10 == 0 ? next() % sizeof text : next() % 3000;
        message.data = (const uint8_t *)text;
        message.size = document(text, size, i % 3);
        message.type = i % 2 ? WS_TEXT : WS_BINARY;
        CHECK(ws_send(conn, message) && ws_receive_within(conn, &got, 1000));
        if (ws_state(conn) != WS_OPEN)
            break;
        CHECK_EQ(got.type, message.type);
        CHECK_EQ(got.data[got.size], 0);
        test_memory(got.data, got.size, text, size, "the echo", __FILE__, __LINE__);
    }
    for (i = 0; i < 20; i++) { /* in parts, both ways */
        bytes whole = {NULL, 0, 0};
        int parts = 1 + (int)(next() >> 20) % 5, part;
        for (part = 0; part < parts; part++) {
            message.size = document(text, next() % 2000, i % 3);
            message.data = (const uint8_t *)text;
            message.type = WS_TEXT;
            bytes_add(&whole, text, message.size);
            CHECK(ws_send_part(conn, message, part + 1 == parts));
        }
        CHECK(ws_receive_within(conn, &got, 1000));
        test_memory(got.data, got.size, whole.data, whole.size, "the echo of parts", __FILE__, __LINE__);
        bytes_free(&whole);
    }
    CHECK_EQ(ws_state(conn), WS_OPEN);
    BEHAVIOUR_END();
}

static void test_echoes(void) {
    ws_deflate_config off = config_of(false, 0, 0);
    int bits, level;
    off.on = false;
    echoes("defaults", config_of(false, 0, 0), config_of(false, 0, 0), true);
    echoes("client off", config_of(false, 0, 0), off, false);
    echoes("server off", off, config_of(false, 0, 0), false);
    echoes("context on both sides", config_of(true, 0, 0), config_of(true, 0, 0), true);
    echoes("context, 15 bits", config_of(true, 15, 6), config_of(true, 15, 9), true);
    echoes("context at the server", config_of(true, 15, 0), config_of(false, 0, 0), true);
    echoes("context at the client", config_of(false, 0, 0), config_of(true, 0, 0), true);
    for (bits = 8; bits < 16; bits += 3)
        for (level = -1; level < 8; level += 4)
            echoes(level < 0 ? "least memory" : level == 3 ? "level 3" : "level 7", config_of(bits % 2 == 0, bits,
                level),
                   config_of(bits % 2 == 0, 15, level), true);
}

static void test_ratio(void) {
    static char text[1024];
    ws_message message;
    peer *p;
    size_t plain = 0, packed, i;
    if (!test_begin("1 KiB of JSON with context: at most 0.30 of it on the wire"))
        return;
    CHECK(start_deflate(config_of(true, 15, 0), NULL));
    p = open_with("/", PMD "; client_max_window_bits", PMD);
    seed = 7;
    for (i = 0; i < 200; i++) {
        message.size = document(text, sizeof text, 0);
        message.data = (const uint8_t *)text;
        message.type = WS_TEXT;
        CHECK(ws_send(net.conns[1], message));
        plain += message.size;
        net_settle();
    }
    packed = p->in.size;
    CHECK(packed * 100 <= plain * 30);
    NET_END();
}

static void test_threshold(void) {
    ws_deflate_config deflate = config_of(false, 0, 0);
    peer *p;
    if (!test_begin("small messages, and those that would not shrink, are not compressed"))
        return;
    CHECK(start_deflate(deflate, NULL));
    p = open_with("/", PMD, PMD BOTH);
    peer_frames(p, "81*63");
    CHECK_FRAMES(p, "81*63");
    peer_frames(p, "81\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"");
    net_settle();
    CHECK(p->in.size > 2 && p->in.size < 20 && p->in.data[0] == 0xc1);
    p->in.size = 0;
    {
        uint8_t noise[300];
        size_t i;
        seed = 3;
        for (i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)(next() >> 24);
        CHECK(ws_send_binary(net.conns[1], noise, sizeof noise));
        net_settle();
        CHECK(p->in.size == 304 && p->in.data[0] == 0x82);
    }
    NET_END();
}

static void test_broadcast(void) {
    static char text[2000];
    ws_message message;
    peer *plain, *packed[3], *small, *keeps;
    ws_handler handler;
    size_t i;
    if (!test_begin("a broadcast is compressed once for all that keep no context"))
        return;
    CHECK(start_deflate(config_of(false, 0, 0), NULL));
    handler = net_handler();
    handler.deflate = config_of(true, 15, 0);
    CHECK(ws_route(net.server, "/keeps", &handler));
    plain = open_with("/", "", "");
    for (i = 0; i < 3; i++)
        packed[i] = open_with("/", PMD, PMD BOTH);
    small = open_with("/", PMD SB("8"), PMD BOTH SB("8"));
    keeps = open_with("/keeps", PMD "; client_max_window_bits", PMD);
    seed = 5;
    message.size = document(text, sizeof text, 0);
    message.data = (const uint8_t *)text;
    message.type = WS_TEXT;
    CHECK(ws_server_broadcast(net.server, NULL, message));
    net_settle();
    CHECK(plain->in.size == sizeof text + 4 && plain->in.data[0] == 0x81);
    CHECK_MEM(plain->in.data + 4, sizeof text, text, sizeof text);
    CHECK_MEM(keeps->in.data, keeps->in.size, plain->in.data, plain->in.size);
    CHECK(packed[0]->in.size < 1200 && packed[0]->in.data[0] == 0xc1 && small->in.data[0] == 0xc1);
    for (i = 1; i < 3; i++)
        CHECK_MEM(packed[i]->in.data, packed[i]->in.size, packed[0]->in.data, packed[0]->in.size);
    NET_END();
}

static void test_idle(void) {
    static char text[5000];
    peer *p[20];
    size_t i, before, each[2];
    int kind;
    if (!test_begin("idle connections: without context no memory"))
        return;
    for (kind = 0; kind < 2; kind++) {
        CHECK(start_deflate(config_of(false, 0, 0), NULL));
        net.quiet = true;
        (void)document(text, sizeof text, 0);
        for (i = 0; i < 20; i++)
            p[i] = open_with("/", kind ? PMD : "", kind ? PMD BOTH : "");
        CHECK(ws_send_text(net.conns[1],
            "a message that is long enough to be compressed, for that the loop has its compressor"));
        peer_frames(p[0], kind ? "c1" HELLO : "81\"Hello\"");
        peer_frames(p[0], kind ? "41<f248cd> 80<c9c90700>" : "81\"Hello\"");
        net_settle();
        before = net.memory.used;
        for (i = 1; i < 20; i++)
            peer_close(p[i]);
        net_settle();
        each[kind] = (before - net.memory.used) / 19;
        NET_END();
    }
    CHECK_EQ(each[0], each[1]);
}

static int reconnected;

static void say_again(ws_conn *conn) {
    static char text[3000];
    ws_message message;
    seed = 9; /* the same text each time: with an earlier context it would become a reference to that text */
    message.size = document(text, sizeof text, 0);
    message.data = (const uint8_t *)text;
    message.type = WS_TEXT;
    CHECK(ws_send(conn, message));
    CHECK(ws_send_part(conn, message, false)); /* and one is unfinished when the connection ends */
    reconnected++;
}

static void cut_off(ws_conn *conn, unsigned number, ws_message message) {
    CHECK(ws_send(conn, message));
    CHECK(ws_send_part(conn, message, false));
    if (number < 3)
        (void)ws_close(conn, 1000, "again");
}

static void test_reconnect(void) {
    ws_client_config config;
    ws_handler handler;
    char url[60];
    int i;
    if (!test_begin("a client that connects again begins with empty contexts"))
        return;
    CHECK(start_deflate(config_of(true, 15, 0), NULL));
    net.on_message = cut_off;
    memset(&config, 0, sizeof config);
    memset(&handler, 0, sizeof handler);
    handler.on_open = say_again;
    config.deflate = config_of(true, 15, 0);
    config.reconnect_ms = 1;
    config.reconnect_max_ms = 1;
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)ws_port(net.server));
    reconnected = 0;
    CHECK(ws_dial(net.loop, url, &handler, &config) != NULL);
    for (i = 0; i < 3; i++)
        net_wait(1000);
    CHECK_EQ(reconnected, 3);
    CHECK_LOG("o1 t1:3000 c1:1000:again:y o2 t2:3000 c2:1000:again:y o3 t3:3000");
    NET_END();
}

static void test_scarce(void) {
    static char text[4000];
    size_t n, failures = 0;
    int context;
    if (!test_begin("the Nth allocation fails, with compression: nothing leaks, nothing is half done"))
        return;
    for (context = 0; context < 2; context++) {
        for (n = 1; n < 120; n++) {
            ws_client_config config;
            ws_message message, got;
            ws_handler handler;
            ws_conn *conn;
            memset(&config, 0, sizeof config);
            config.deflate = config_of(context, 15, 0);
            CHECK(behaviour_start_bare(NULL));
            handler = net_handler();
            handler.deflate = config_of(context, 15, 0);
            CHECK(ws_route(net.server, "/", &handler));
            net.memory.fail_at = net.memory.calls + n;
            conn = behaviour_connect("/", &config);
            behaviour.memory.fail_at = n % 3 ? 0 : behaviour.memory.calls + n / 3;
            message.size = document(text, sizeof text, 0);
            message.data = (const uint8_t *)text;
            message.type = WS_TEXT;
            if (ws_send(conn, message) && ws_receive_within(conn, &got, 100))
                CHECK_MEM(got.data, got.size, text, sizeof text);
            else
                failures++;
            net.memory.fail_at = behaviour.memory.fail_at = 0;
            BEHAVIOUR_END();
        }
    }
    CHECK(failures > 5);
}

/* --- engines alone: cut at every byte --- */

static void test_cuts(void) {
    static const uint8_t rest[] = {0xc1, 0x87, 0, 0, 0, 0, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, /* Hello */
                                   0xc1, 0x85, 0, 0, 0, 0, 0xf2, 0x00, 0x11, 0x00, 0x00,
                                   /* again, from the context */
                                   0x41, 0x83, 1, 2, 3, 4, 0xf2 ^ 1, 0x00 ^ 2, 0x11 ^ 3, 0x89, 0x80, 0, 0, 0, 0,
                                   0x80, 0x82, 0, 0, 0, 0, 0x00, 0x00};
    ws_deflate_config deflate = config_of(true, 15, 0);
    ws_engine_config config;
    size_t cut;
    if (!test_begin("messages with context (RFC 7692 7.2.3.2), cut at every byte"))
        return;
    memset(&config, 0, sizeof config);
    config.deflate = &deflate;
    for (cut = 0; cut <= sizeof rest; cut++) {
        drive d;
        CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
        (void)drive_feed(&d, REQUEST, sizeof REQUEST - 1);
        (void)drive_feed(&d, rest, cut);
        (void)drive_feed(&d, rest + cut, sizeof rest - cut);
        CHECK_MEM(d.log.data, d.log.size, "roTTpT", 6);
        CHECK_EQ(d.received, 15);
        drive_free(&d);
        CHECK_EQ(d.memory.used, 0);
        CHECK(!d.memory.wrong);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_offers();
    test_answers();
    test_agreed();
    test_offer_lines();
    test_range();
    test_frames();
    test_interleaved();
    test_off();
    test_off_engine();
    test_bomb();
    test_turns();
    test_chunk_within_match();
    test_limits_apart();
    test_echoes();
    test_ratio();
    test_threshold();
    test_broadcast();
    test_idle();
    test_reconnect();
    test_scarce();
    test_cuts();
    return test_finish();
}
#else
int main(void) {
    printf("0 passed, 0 failed\n");
    return 0;
}
#endif
