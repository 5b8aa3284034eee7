/* ENGINE: deadlines, on the test's own clock. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/engine.h"

#ifdef WS_NO_NET
#define IF_NET(with, without) (without)
#else
#define IF_NET(with, without) (with)
#endif

static void test_handshake_deadline(ws_role role, const char *name) {
    drive d;
    if (!test_begin("handshake takes 10 seconds at most, %s", name))
        return;
    CHECK(drive_start(&d, role, NULL));
    CHECK_EQ(ws_engine_tick(&d.engine, 1000), 11000);
    drive_pump(&d);
    d.out.size = 0;
    drive_feed_text(&d, role == WS_ROLE_SERVER ? "GET / HTTP/1.1\r\n" : "HTTP/1.1 101 ");
    CHECK_EQ(ws_engine_tick(&d.engine, 10999), 11000);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CONNECTING);
    (void)ws_engine_tick(&d.engine, 11000);
    drive_pump(&d);
    CHECK(role == WS_ROLE_SERVER ? out_starts(&d, "HTTP/1.1 408 ") : d.out.size == 0);
    check_closed(&d, "x", 1006, WS_ERROR_TIMEOUT);
    CHECK(ws_engine_tick(&d.engine, 12000) == UINT64_MAX);
    drive_free(&d);
}

/* A byte a second does not extend the deadline. */
static void test_slow_handshake(void) {
    const char *text = DRIVE_REQUEST;
    size_t i;
    drive d;
    if (!test_begin("a handshake at one byte a second"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    for (i = 0; i < strlen(text) && ws_engine_state(&d.engine) == WS_CONNECTING; i++) {
        (void)ws_engine_tick(&d.engine, 5000 + i * 1000);
        (void)drive_feed(&d, text + i, 1);
    }
    CHECK_EQ(i, 11);
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_TIMEOUT);
    drive_free(&d);
}

static void test_clock_from_zero(void) {
    drive d;
    if (!test_begin("a clock that begins at zero"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    CHECK_EQ(ws_engine_tick(&d.engine, 0), 10000);
    CHECK_EQ(ws_engine_tick(&d.engine, 6000), 10000);
    (void)ws_engine_tick(&d.engine, 10000);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSED);
    drive_free(&d);
}

static void test_ping_deadline(ws_role role, const char *name) {
    uint64_t base = 1000000;
    drive d;
    if (!test_begin("ping after 25 seconds, pong within 20, %s", name))
        return;
    CHECK(drive_start(&d, role, NULL));
    (void)ws_engine_tick(&d.engine, base);
    drive_pump(&d);
    drive_feed_text(&d, role == WS_ROLE_SERVER ? DRIVE_REQUEST : DRIVE_RESPONSE);
    d.out.size = d.log.size = 0;
    CHECK_EQ(ws_engine_tick(&d.engine, base), base + 25000);
    CHECK_EQ(ws_engine_tick(&d.engine, base + 24999), base + 25000);
    drive_pump(&d);
    CHECK_EQ(d.out.size, 0);
    CHECK_EQ(ws_engine_tick(&d.engine, base + 25000), base + 45000);
    drive_pump(&d);
    CHECK(drive_sent(&d, "89"));
    drive_feed_wire(&d, "8a"); /* at 25000 ms: from here on, 25 more seconds of silence are allowed */
    CHECK_EQ(ws_engine_tick(&d.engine, base + 25000), base + 50000);
    CHECK_EQ(ws_engine_tick(&d.engine, base + 50000), base + 70000);
    CHECK_EQ(ws_engine_tick(&d.engine, base + 69999), base + 70000);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    (void)ws_engine_tick(&d.engine, base + 70000);
    drive_pump(&d);
    CHECK(drive_sent(&d, "89 89"));
    check_closed(&d, "qx", 1006, WS_ERROR_TIMEOUT);
    drive_free(&d);
}

static void test_close_deadline(ws_role role, const char *name) {
    drive d;
    if (!test_begin("the peer has 5 seconds to answer a close, %s", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    (void)ws_engine_tick(&d.engine, 7000);
    CHECK(ws_engine_close(&d.engine, 1000, NULL));
    CHECK_EQ(ws_engine_tick(&d.engine, 7001), 12000);
    drive_feed_wire(&d, "81\"still talking\" 89");
    CHECK_EQ(ws_engine_tick(&d.engine, 11999), 12000);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSING);
    (void)ws_engine_tick(&d.engine, 12000);
    drive_pump(&d);
    CHECK(drive_sent(&d, "88<03e8>"));
    CHECK_EQ(d.close_code, 1006);
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_TIMEOUT);
    CHECK(ws_engine_done(&d.engine));
    drive_free(&d);
}

/* A ping or close that waits behind much unsent data on a slow line must not time out: the line accepts a byte a
   second. */
static void test_slow_line(ws_role role, bool closes, const char *name) {
    static uint8_t data[300];
    uint64_t now = 1000;
    size_t taken = 0;
    drive d;
    if (!test_begin("a slow line, %s after a message, %s", closes ? "a close" : "pings", name))
        return;
    CHECK(drive_open(&d, role, NULL));
    (void)ws_engine_tick(&d.engine, now);
    CHECK(ws_engine_send(&d.engine, message_of(data, sizeof data, WS_BINARY)));
    CHECK(!closes || ws_engine_close(&d.engine, 1000, NULL));
    while (taken < sizeof data && ws_engine_state(&d.engine) == (closes ? WS_CLOSING : WS_OPEN)) {
        now += 1000;
        (void)ws_engine_tick(&d.engine, now);
        ws_engine_sent(&d.engine, 1);
        taken++;
    }
    CHECK_EQ(taken, sizeof data);
    for (; now < 400000 && ws_engine_state(&d.engine) != WS_CLOSED; now += 1000) /* now nothing more is accepted */
        (void)ws_engine_tick(&d.engine, now);
    CHECK_EQ(now / 1000, 301 + (closes ? 5 : 45) + 1);
    drive_free(&d);
}

/* 0 bytes sent or received are no sign of life from the peer, nor are bytes of a client's request. */
static void test_nothing_moves(void) {
    drive d;
    if (!test_begin("0 bytes sent and received"))
        return;
    CHECK(drive_open(&d, WS_ROLE_SERVER, NULL));
    CHECK_EQ(ws_engine_tick(&d.engine, 1000), 26000);
    CHECK(ws_engine_send(&d.engine, message_of("x", 1, WS_BINARY)));
    (void)ws_engine_input(&d.engine);
    CHECK_EQ(ws_engine_tick(&d.engine, 2000), 26000);
    ws_engine_sent(&d.engine, 0);
    ws_engine_received(&d.engine, 0);
    CHECK_EQ(ws_engine_tick(&d.engine, 3000), 26000);
    ws_engine_sent(&d.engine, 1);
    CHECK_EQ(ws_engine_tick(&d.engine, 3000), 28000);
    drive_free(&d);
    CHECK(drive_start(&d, WS_ROLE_CLIENT, NULL));
    CHECK_EQ(ws_engine_tick(&d.engine, 1000), 11000);
    CHECK_EQ(ws_engine_tick(&d.engine, 2000), 11000);
    ws_engine_sent(&d.engine, 1);
    CHECK_EQ(ws_engine_tick(&d.engine, 3000), 11000);
    drive_free(&d);
}

static void test_own_deadlines(void) {
    ws_engine_config config;
    drive d;
    if (!test_begin("deadlines set by the program"))
        return;
    memset(&config, 0, sizeof config);
    config.limits.handshake_ms = 100;
    config.limits.ping_ms = WS_OFF;
    config.limits.close_ms = WS_OFF;
    CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
    CHECK_EQ(ws_engine_tick(&d.engine, 50), 150);
    drive_feed_text(&d, DRIVE_REQUEST);
    CHECK(ws_engine_tick(&d.engine, 51) == UINT64_MAX);
    CHECK(ws_engine_tick(&d.engine, (uint64_t)1 << 60) == UINT64_MAX);
    CHECK_EQ(ws_engine_state(&d.engine), WS_OPEN);
    CHECK(ws_engine_close(&d.engine, 0, NULL));
    CHECK(ws_engine_tick(&d.engine, ((uint64_t)1 << 60) + 1) == UINT64_MAX);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSING);
    drive_free(&d);
}

#ifdef WSI_BARE
#define IF_BARE(with, without) (with)
#else
#define IF_BARE(with, without) (without)
#endif

/* A bare engine's clock has 32 bits, the highest number of which means never: a deadline there is a millisecond early.
   A delay that this clock cannot tell from one in the past never ends. */
static void test_clock_of_32_bits(void) {
    const uint64_t start = UINT32_MAX - 10000u, longest = INT32_MAX;
    drive d;
    if (!test_begin("a deadline at UINT32_MAX, delays of INT32_MAX and one more"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    CHECK_EQ(ws_engine_tick(&d.engine, start), start + IF_BARE(9999, 10000));
    CHECK_EQ(ws_engine_tick(&d.engine, start + 9998), start + IF_BARE(9999, 10000));
    CHECK_EQ(ws_engine_state(&d.engine), WS_CONNECTING);
    (void)ws_engine_tick(&d.engine, start + 10000);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSED);
    drive_free(&d);
    for (uint64_t delay = longest - 1; delay <= longest + 1; delay++) {
        ws_engine_config config;
        memset(&config, 0, sizeof config);
        config.limits.handshake_ms = (uint32_t)delay;
        CHECK(drive_start(&d, WS_ROLE_SERVER, &config));
        CHECK_EQ(ws_engine_tick(&d.engine, 1000), IF_BARE(delay > longest, false) ? UINT64_MAX : 1000 + delay);
        drive_free(&d);
    }
}

/* A connection that sends nothing, or an empty line, is closed without an answer: there is no request. */
static void test_silent_peer(const char *in) {
    drive d;
    if (!test_begin("a peer that sends nothing but %zu bytes of an empty line", strlen(in)))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    (void)ws_engine_tick(&d.engine, 1);
    drive_feed_text(&d, in);
    (void)ws_engine_tick(&d.engine, 10001);
    drive_pump(&d);
    CHECK_EQ(d.out.size, 0);
    check_closed(&d, "x", 1006, WS_ERROR_TIMEOUT);
    drive_free(&d);
}

/* A request that the program does not answer ends the connection after answer_ms or, without sockets and thus without
   that limit, after handshake_ms. */
static void test_unanswered(void) {
    const uint64_t limit = IF_NET(30000, 10000);
    ws_event event;
    drive d;
    if (!test_begin("a request that the program does not answer"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    CHECK_EQ(ws_engine_tick(&d.engine, 1000), 11000);
    ws_span room = ws_engine_input(&d.engine);
    memcpy(room.data, DRIVE_REQUEST, strlen(DRIVE_REQUEST));
    ws_engine_received(&d.engine, strlen(DRIVE_REQUEST));
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK_EQ(ws_engine_tick(&d.engine, 1000), 1000 + limit);
    CHECK_EQ(ws_engine_tick(&d.engine, 999 + limit), 1000 + limit);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CONNECTING);
    (void)ws_engine_tick(&d.engine, 1000 + limit);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSED);
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_TIMEOUT);
    CHECK(!ws_engine_accept(&d.engine));
    drive_free(&d);
}

int main(int argc, char **argv) {
    size_t i;
    test_start(argc, argv);
    for (i = 0; i < 2; i++) {
        test_handshake_deadline(roles[i], role_names[i]);
        test_ping_deadline(roles[i], role_names[i]);
        test_close_deadline(roles[i], role_names[i]);
        test_slow_line(roles[i], false, role_names[i]);
        test_slow_line(roles[i], true, role_names[i]);
    }
    test_slow_handshake();
    test_clock_from_zero();
    test_nothing_moves();
    test_own_deadlines();
    test_clock_of_32_bits();
    test_silent_peer("");
    test_silent_peer("\r\n");
    test_unanswered();
    return test_finish();
}
