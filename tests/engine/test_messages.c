/* MESSAGES: frames that arrive whole, for which there is a fast path; those that no peer may send; lengths. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/engine.h"

/* A frame of this size, whose length takes 16 bits, with a key of zeros. */
static size_t long_form(uint8_t *frame, ws_role role, size_t size) {
    size_t header = role == WS_ROLE_SERVER ? 8 : 4;
    memset(frame, 0, header);
    frame[0] = 0x82;
    frame[1] = role == WS_ROLE_SERVER ? 0xfe : 0x7e;
    frame[2] = (uint8_t)(size >> 8);
    frame[3] = (uint8_t)size;
    memset(frame + header, 'x', size);
    return header + size;
}

/* RFC 6455 5.2: a length must take the shortest form. */
static void test_long_forms(ws_role role, const char *name) {
    static const struct { size_t size; bool good; } cases[] = {
        {0, false}, {6, false}, {124, false}, {125, false}, {126, true}, {127, true}, {255, true}, {256, true},
        {257, true}, {300, true}, {511, true}, {512, true},
    };
    uint8_t frame[600];
    for (size_t i = 0; i < COUNT(cases); i++) {
        drive d;
        if (!test_begin("a length of %zu in 16 bits, %s", cases[i].size, name))
            continue;
        CHECK(drive_open(&d, role, NULL));
        (void)drive_feed(&d, frame, long_form(frame, role, cases[i].size));
        if (cases[i].good)
            CHECK_EQ(d.received, cases[i].size);
        else
            check_closed(&d, "x", 1002, WS_ERROR_PROTOCOL);
        drive_free(&d);
    }
}

/* The upper bytes of a length in 64 bits are no length in 16 bits, although as many bytes follow. */
static void test_huge(ws_role role, const char *name) {
    uint8_t frame[600];
    size_t size = long_form(frame, role, 300);
    drive d;
    if (!test_begin("a length of 2^48 times 300, %s", name))
        return;
    frame[1]++;
    CHECK(drive_open(&d, role, NULL));
    (void)drive_feed(&d, frame, size);
    check_closed(&d, "x", 1009, WS_ERROR_TOO_BIG);
    drive_free(&d);
}

/* The key or the payload follows a length of 125; these bytes are no length in 16 bits. */
static void test_short_form(ws_role role, const char *name) {
    size_t header = role == WS_ROLE_SERVER ? 6 : 2, size = header + 125;
    uint8_t frames[400];
    drive d;
    if (!test_begin("lengths of 125, %s", name))
        return;
    memset(frames, 0, sizeof frames);
    for (size_t i = 0; i < 3; i++) {
        frames[i * size] = 0x82;
        frames[i * size + 1] = role == WS_ROLE_SERVER ? 0xfd : 0x7d;
        frames[i * size + 3] = 128;
    }
    CHECK(drive_open(&d, role, NULL));
    (void)drive_feed(&d, frames, 3 * size);
    CHECK(drive_logged(&d, "BBB"));
    CHECK_EQ(d.received, 3 * 125);
    drive_free(&d);
}

/* RFC 6455 5.4, 5.5.1, 7.4, 8.1: what is refused, with which code. */
static void test_refused(ws_role role, const char *name) {
    static const struct { const char *in; uint16_t code; ws_error error; } cases[] = {
        {"80\"a\"", 1002, WS_ERROR_PROTOCOL}, {"00\"a\"", 1002, WS_ERROR_PROTOCOL},
        {"01\"a\" 81\"b\"", 1002, WS_ERROR_PROTOCOL}, {"01\"a\" 02\"b\"", 1002, WS_ERROR_PROTOCOL},
        {"88<03>", 1002, WS_ERROR_PROTOCOL}, {"88<03e7>", 1002, WS_ERROR_PROTOCOL},
        {"88<03ed>", 1002, WS_ERROR_PROTOCOL}, {"88<03e8ff>", 1007, WS_ERROR_UTF8},
        {"88<03e86162c3>", 1007, WS_ERROR_UTF8}, {"88<03e8ff6162>", 1007, WS_ERROR_UTF8},
        {"c1\"a\"", 1002, WS_ERROR_PROTOCOL}, {"41\"a\"", 1002, WS_ERROR_PROTOCOL},
        {"81<c3>", 1007, WS_ERROR_UTF8}, {"81<61ff>", 1007, WS_ERROR_UTF8}, {"01<c3> 80\"a\"", 1007, WS_ERROR_UTF8},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char wanted[20];
        drive d;
        if (!test_begin("refused: %s, %s", cases[i].in, name))
            continue;
        CHECK(drive_open(&d, role, NULL));
        drive_feed_wire(&d, cases[i].in);
        (void)snprintf(wanted, sizeof wanted, "88<%04x>", (unsigned)cases[i].code);
        CHECK(drive_sent(&d, wanted));
        check_closed(&d, "x", cases[i].code, cases[i].error);
        CHECK(!ws_engine_send(&d.engine, message_of("a", 1, WS_TEXT)) && !ws_engine_ping(&d.engine, NULL, 0));
        CHECK_EQ(ws_engine_error(&d.engine), cases[i].error); /* the first error stays */
        drive_free(&d);
    }
}

#ifndef WS_NO_DEFLATE
/* The limit of messages also holds for those that a peer does not compress although it may. */
static void test_limit_uncompressed(void) {
    static const char *const frames[] = {"82#1001", "02#500 80#501", "02#1000 80#1"};
    for (size_t i = 0; i < COUNT(frames); i++) {
        ws_deflate_config deflate;
        ws_engine_config config;
        char request[600] = DRIVE_REQUEST;
        drive d;
        if (!test_begin("a limit of 1000 bytes where compression is agreed on: %s", frames[i]))
            continue;
        memset(&deflate, 0, sizeof deflate);
        memset(&config, 0, sizeof config);
        deflate.on = true;
        config.deflate = &deflate;
        config.limits.message = 1000;
        (void)snprintf(request + strlen(request) - 2, 100, "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
        CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
        drive_feed_text(&d, request);
        CHECK(d.engine.core.deflate);
        d.log.size = 0;
        d.silent = true;
        drive_feed_wire(&d, "82#1000");
        CHECK(drive_logged(&d, "B"));
        drive_feed_wire(&d, frames[i]);
        check_closed(&d, "Bx", 1009, WS_ERROR_TOO_BIG);
        drive_free(&d);
    }
}
#else
static void test_limit_uncompressed(void) {}
#endif

/* The program gets the reason of the peer's close whole, and the peer gets it back. */
static void test_reasons(ws_role role, const char *name) {
    for (unsigned size = 0; size <= 123; size++) {
        char frame[20], wanted[60];
        bytes reason = {NULL, 0, 0};
        drive d;
        if (!test_begin("a close with a reason of %u bytes, %s", size, name))
            continue;
        wire_sample(&reason, 0, size, true);
        (void)snprintf(frame, sizeof frame, "88<0bb8>*%u", size);
        (void)snprintf(wanted, sizeof wanted, "c %u %016llx 3000\n", size,
                       (unsigned long long)drive_hash(reason.data, size));
        CHECK(drive_open(&d, role, NULL));
        drive_feed_wire(&d, frame);
        CHECK_MEM(d.details.data, d.details.size, wanted, strlen(wanted));
        CHECK(drive_sent(&d, frame));
        bytes_free(&reason);
        drive_free(&d);
    }
}

/* An announced length costs no memory until its bytes arrive, without a limit and with the default. Where limits have
   32 bits, 4 GiB and more are refused in any case; a bare engine, whose sizes have 32 bits, refuses one byte less. */
static void test_announced_lengths(ws_role role, const char *name) {
    static const struct { const char *in; uint16_t code, bare; } cases[] = { /* without a limit; 0: stays open */
        {"82@7fffffff", 0, 0}, {"82@80000001", 0, 0}, {"82@fffffffe", 0, 0}, {"82@ffffffff", 0, 1009},
        {"82@100000000", 0, 1009}, {"82@100000001", 0, 1009}, {"82@7fffffffffffffff", 0, 1009},
        {"82@8000000000000000", 1002, 1002}, {"82@fffffffffffffffc", 1002, 1002}, {"82@ffffffffffffffff", 1002, 1002},
        {"02#9 80@7fffffff", 0, 0}, {"02#9 80@ffffffff", 0, 1009}, {"02#9 80@7fffffffffffffff", 0, 1009},
        {"02#9 80@fffffffffffffff7", 1002, 1002}, {"02#9 80@ffffffffffffffff", 1002, 1002}, {"82@1000000", 0, 0},
    };
    size_t i, unlimited;
    for (i = 0; i < COUNT(cases); i++)
        for (unlimited = 0; unlimited < 2; unlimited++) {
            bool narrow = sizeof(wsi_size) < 8 || (sizeof(size_t) < 8 && strcmp(cases[i].in, "82@ffffffff") != 0);
            uint16_t code = narrow ? cases[i].bare : cases[i].code;
            ws_engine_config config;
            size_t before;
            drive d;
            if (!test_begin("announced %s, %s, %s", cases[i].in, unlimited ? "no limit" : "default", name))
                continue;
            if (!unlimited && code == 0 && strcmp(cases[i].in, "82@1000000") != 0)
                code = 1009;
            memset(&config, 0, sizeof config);
            config.limits.message = unlimited ? SIZE_MAX : 0;
            CHECK(drive_open(&d, role, &config));
            before = d.memory.peak;
            drive_feed_wire(&d, cases[i].in);
            CHECK(d.memory.peak <= before + 2048);
            CHECK(!d.memory.wrong);
            CHECK_EQ(ws_engine_state(&d.engine), code ? WS_CLOSED : WS_OPEN);
            CHECK_EQ(d.close_code, code);
            drive_free(&d);
        }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    for (size_t i = 0; i < 2; i++) {
        test_long_forms(roles[i], role_names[i]);
        test_huge(roles[i], role_names[i]);
        test_short_form(roles[i], role_names[i]);
        test_refused(roles[i], role_names[i]);
        test_reasons(roles[i], role_names[i]);
        test_announced_lengths(roles[i], role_names[i]);
    }
    test_limit_uncompressed();
    return test_finish();
}
