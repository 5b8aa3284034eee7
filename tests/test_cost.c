/* Growth: each table, queue and list that a peer or a program can lengthen costs at most twice as much where it is
   twice as long. Counted, not timed: the compiler calls a counter at each basic block (-fsanitize-coverage=trace-pc),
   and what libc does with memory is counted by its bytes, so that a figure is the same in each run. */
#define _GNU_SOURCE 1
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

extern unsigned long long count_blocks; /* count.c */


#define COST_BYTES 16 /* as many are taken for the work of a block */

static void *cost_memcpy(void *to, const void *from, size_t size) {
    count_blocks += size / COST_BYTES;
    return memcpy(to, from, size);
}
static void *cost_memmove(void *to, const void *from, size_t size) {
    count_blocks += size / COST_BYTES;
    return memmove(to, from, size);
}
static void *cost_memset(void *to, int byte, size_t size) {
    count_blocks += size / COST_BYTES;
    return memset(to, byte, size);
}
static int cost_memcmp(const void *a, const void *b, size_t size) {
    count_blocks += size / COST_BYTES;
    return memcmp(a, b, size);
}
static size_t cost_strlen(const char *text) {
    size_t size = strlen(text);
    count_blocks += size / COST_BYTES;
    return size;
}

#include "calls.h"

#define memcpy cost_memcpy
#define memmove cost_memmove
#define memset cost_memset
#define memcmp cost_memcmp
#define strlen cost_strlen

#define WS_IMPLEMENTATION
#include "../ws.h"

#include "behaviour.h"

enum { COST_N = 1024 };

static unsigned long long cost_from, cost_sum;

static void cost_begin(void) { cost_from = count_blocks; }
static void cost_end(void) { cost_sum += count_blocks - cost_from; }

/* Runs it with n and with twice as many; a heap's or an array's growth is within the tenth that is added. */
static void check_growth(const char *what, void (*run)(size_t n)) {
    unsigned long long costs[2];
    if (!test_begin("growth: %s", what))
        return;
    for (int i = 0; i < 2; i++) {
        cost_sum = 0;
        run((size_t)COST_N << i);
        costs[i] = cost_sum;
    }
    if (!count_blocks) {
        test_skip("the compiler counts no blocks");
        return;
    }
    CHECK(costs[0] > COST_N); /* it did something */
    CHECK(costs[1] <= costs[0] * 22 / 10);
    if (costs[1] > costs[0] * 22 / 10)
        printf("    %llu for %d, %llu for %d\n", costs[0], COST_N, costs[1], 2 * COST_N);
}

/* --- rooms --- */

static void rooms_start(void) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.rooms = SIZE_MAX;
    CHECK(behaviour_start_with(&config));
    (void)behaviour_open("/");
}

static const char *rooms_name(size_t i) {
    static char name[40];
    (void)snprintf(name, sizeof name, "room %zu", i);
    return name;
}

static void rooms_join(size_t n) {
    rooms_start();
    cost_begin();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(net.conns[1], rooms_name(i)));
    cost_end();
    BEHAVIOUR_END();
}

static void rooms_join_again(size_t n) {
    rooms_start();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(net.conns[1], rooms_name(i)));
    cost_begin();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(net.conns[1], rooms_name(i)));
    cost_end();
    BEHAVIOUR_END();
}

static void rooms_leave(size_t n) {
    rooms_start();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(net.conns[1], rooms_name(i)));
    cost_begin();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_leave(net.conns[1], rooms_name(i * 7 % n)));
    cost_end();
    BEHAVIOUR_END();
}

static void rooms_end(size_t n) {
    rooms_start();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(net.conns[1], rooms_name(i)));
    cost_begin();
    ws_drop(behaviour.clients[0]);
    behaviour_wait(0);
    cost_end();
    CHECK_EQ(ws_room_count(net.server, rooms_name(1)), 0);
    BEHAVIOUR_END();
}

/* A connection that is only there to be a member. */
static ws_conn *member_new(void) {
    ws_conn *conn = wsi_conn_new(&net.server->endpoint);
    conn->engine.state = WSI_OPEN;
    return conn;
}

static void members_join(size_t n) {
    static ws_conn *conns[2 * COST_N];
    rooms_start();
    for (size_t i = 0; i < n; i++)
        conns[i] = member_new();
    cost_begin();
    for (size_t i = 0; i < n; i++)
        CHECK(ws_join(conns[i], "r"));
    for (size_t i = 0; i < n; i++)
        CHECK(ws_leave(conns[i * 7 % n], "r"));
    cost_end();
    CHECK_EQ(ws_room_count(net.server, "r"), 0);
    BEHAVIOUR_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    check_growth("n rooms joined by one connection", rooms_join);
    check_growth("n rooms joined once more", rooms_join_again);
    check_growth("n rooms left", rooms_leave);
    check_growth("a connection ends that is in n rooms", rooms_end);
    check_growth("n members join and leave a room", members_join);
    return test_finish();
}
