/* HEADS: limits that a program leaves out have their documented defaults, and those that it gives stay. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"

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

/* Any number but 0 is the program's, also the smallest. */
static void test_given_limits(void) {
    ws_limits limits, given;
    if (!test_begin("limits that are given"))
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

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_limits();
    test_given_limits();
    return test_finish();
}
