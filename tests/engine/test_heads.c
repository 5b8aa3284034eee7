/* HEADS: limits that a program leaves out get their documented defaults, and those that it sets stay. Without memory
   for an answer the connection is closed. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/engine.h"

static void test_limits(void) {
    ws_limits limits;
    if (!test_begin("defaults of the limits"))
        return;
    memset(&limits, 0, sizeof limits);
    wsi_engine_limits(&limits);
    CHECK_EQ(limits.head, 16384);
    CHECK_EQ(limits.message, 16 << 20);
    CHECK_EQ(limits.buffered, 4 << 20);
    CHECK_EQ(limits.handshake_ms, 10000);
    CHECK_EQ(limits.ping_ms, 25000);
    CHECK_EQ(limits.pong_ms, 20000);
    CHECK_EQ(limits.close_ms, 5000);
#ifndef WS_NO_NET
    CHECK_EQ(limits.body, 1 << 20);
    CHECK_EQ(limits.answer_ms, 30000);
    CHECK_EQ(limits.idle_ms, 75000);
    CHECK_EQ(limits.rooms, 1000);
#endif
}

/* Any limit but 0 stays as the program set it, even the smallest. */
static void test_given_limits(void) {
    ws_limits limits, given;
    if (!test_begin("limits set by the program"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.head = limits.message = limits.buffered = 1;
    limits.handshake_ms = limits.ping_ms = limits.pong_ms = limits.close_ms = 1;
#ifndef WS_NO_NET
    limits.body = limits.rooms = 1;
    limits.answer_ms = limits.idle_ms = 1;
#endif
    given = limits;
    wsi_engine_limits(&limits);
    CHECK_MEM(&limits, sizeof limits, &given, sizeof given);
}

/* Whichever allocation fails, the WebSocket does not open with half of its head sent. */
static void test_unsent_answer(void) {
    for (size_t i = 1; i <= 2; i++) {
        ws_event event;
        drive d;
        if (!test_begin("no memory for the 101, allocation %zu", i))
            continue;
        CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
        ws_span room = ws_engine_input(&d.engine);
        memcpy(room.data, DRIVE_REQUEST, strlen(DRIVE_REQUEST));
        ws_engine_received(&d.engine, strlen(DRIVE_REQUEST));
        CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
        d.memory.fail_at = d.memory.calls + i;
        bool accepted = ws_engine_accept(&d.engine);
        CHECK_EQ(accepted, d.memory.calls < d.memory.fail_at);
        CHECK_EQ(ws_engine_state(&d.engine), accepted ? WS_OPEN : WS_CLOSED);
        CHECK_EQ(ws_engine_error(&d.engine), accepted ? WS_OK : WS_ERROR_MEMORY);
        drive_free(&d);
    }
}

/* RFC 9112 2.2: empty lines before a request are passed over, also those whose two bytes come one by one. In the
   buffer, the LF of the first line, which has been read, follows the second CR. */
static void test_empty_lines(void) {
    drive d;
    if (!test_begin("empty lines before a request"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    drive_feed_text(&d, "\r\n");
    drive_feed_text(&d, "\r");
    drive_feed_text(&d, "\n" DRIVE_REQUEST);
    CHECK_MEM(d.out.data, d.out.size, DRIVE_RESPONSE, strlen(DRIVE_RESPONSE));
    drive_free(&d);
}

#ifndef WS_NO_NET
/* A later head has its 10 seconds from its first byte on, however long the connection was idle before. */
static void test_later_head(void) {
    const char *first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    ws_event event;
    drive d;
    if (!test_begin("the time of a second head"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    CHECK_EQ(ws_engine_tick(&d.engine, 1000), 11000);
    CHECK_EQ(ws_engine_tick(&d.engine, 5000), 11000);
    ws_span room = ws_engine_input(&d.engine);
    memcpy(room.data, first, strlen(first));
    ws_engine_received(&d.engine, strlen(first));
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_respond(&d.engine, 200, NULL, "one"));
    drive_pump(&d);
    CHECK_EQ(ws_engine_tick(&d.engine, 50000), 80000); /* 75 seconds from when the peer was heard last */
    drive_feed_text(&d, "GET /2 ");
    CHECK_EQ(ws_engine_tick(&d.engine, 50000), 60000);
    CHECK_EQ(ws_engine_tick(&d.engine, 59999), 60000);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CONNECTING);
    (void)ws_engine_tick(&d.engine, 60000);
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSED);
    drive_free(&d);
}

/* Feeds a request, and answers it with this body; the connection stays open. */
static void answer_one(drive *d, const char *request) {
    ws_event event;
    ws_span room = ws_engine_input(&d->engine);
    memcpy(room.data, request, strlen(request));
    ws_engine_received(&d->engine, strlen(request));
    CHECK(ws_engine_next(&d->engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_respond(&d->engine, 200, NULL, "one"));
    drive_pump(d);
    d->out.size = 0;
}

/* Between two requests there is none that could be answered: an idle connection is closed without a 408. */
static void test_idle(void) {
    drive d;
    if (!test_begin("a connection that is idle after an answer"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    (void)ws_engine_tick(&d.engine, 1000);
    answer_one(&d, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)ws_engine_tick(&d.engine, 76000);
    drive_pump(&d);
    CHECK_EQ(d.out.size, 0);
    check_closed(&d, "x", 1006, WS_ERROR_TIMEOUT);
    drive_free(&d);
}

/* A refusal has its body although the request before it was a HEAD, whose answer has none. */
static void test_bad_after_head(void) {
    static const struct { const char *in, *starts, *ends; } cases[] = {
        {"GET / HTTP/1.1\r\nno field\r\n\r\n", "HTTP/1.1 400 ", "\r\n\r\nBad Request"},
        {"\x01", "HTTP/1.1 400 ", "\r\n\r\nBad Request"},
        {"GET /", "HTTP/1.1 408 ", "\r\n\r\nRequest Timeout"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        drive d;
        if (!test_begin("a request that is refused after a HEAD, %zu", i))
            continue;
        CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
        (void)ws_engine_tick(&d.engine, 1000);
        answer_one(&d, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        drive_feed_text(&d, cases[i].in);
        (void)ws_engine_tick(&d.engine, 11000);
        drive_pump(&d);
        CHECK(out_starts(&d, cases[i].starts));
        bytes_add(&d.out, "", 1);
        const char *end = strstr((const char *)d.out.data, cases[i].ends);
        CHECK(end && strlen(end) == strlen(cases[i].ends));
        drive_free(&d);
    }
}
#else
static void test_idle(void) {}
static void test_bad_after_head(void) {}
static void test_later_head(void) { /* there is none: the connection closes after an answer */
    ws_event event;
    drive d;
    if (!test_begin("a bare engine closes the connection after an answer"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    ws_span room = ws_engine_input(&d.engine);
    memcpy(room.data, DRIVE_REQUEST, strlen(DRIVE_REQUEST));
    ws_engine_received(&d.engine, strlen(DRIVE_REQUEST));
    CHECK(ws_engine_next(&d.engine, &event) && event.type == WS_EVENT_REQUEST);
    CHECK(ws_engine_respond(&d.engine, 200, NULL, "one"));
    CHECK_EQ(ws_engine_state(&d.engine), WS_CLOSED);
    drive_pump(&d);
    bytes_add(&d.out, "", 1);
    CHECK(strstr((const char *)d.out.data, "\r\nConnection: close\r\n") != NULL);
    drive_free(&d);
}
#endif

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_limits();
    test_given_limits();
    test_unsent_answer();
    test_empty_lines();
    test_later_head();
    test_idle();
    test_bad_after_head();
    return test_finish();
}
