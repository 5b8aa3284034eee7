/* POLL, LOOP: many connections, also more than select can watch, with the default config. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#include <sys/resource.h>

#ifndef WS_NO_EPOLL
#if defined(WSI_KQUEUE)
enum { CONTROLS = 2 }; /* calls for a source that reads; the second, which removes writing, may fail */
#else
enum { CONTROLS = 1 };
#endif
enum { MANY = 1500 };

static peer many[MANY];

/* Rounds of a foreign select loop, until the peer has this many bytes. */
static bool foreign_wait(peer *p, size_t size) {
    int i;
    for (i = 0; i < NET_ROUNDS && p->in.size < size && !p->ended; i++) {
        fd_set reads, writes;
        struct timeval timeout = {0, 1000};
        int highest = -1;
        FD_ZERO(&reads);
        FD_ZERO(&writes);
        if (!ws_loop_fds(net.loop, &reads, &writes, &highest, &timeout) || highest >= FD_SETSIZE
            || select(highest + 1, &reads, &writes, NULL, &timeout) < 0
            || !ws_loop_dispatch(net.loop, &reads, &writes))
            return false;
        (void)peer_read(p);
    }
    return p->in.size >= size;
}

/* Whether exactly these bytes arrive; removes them. */
static bool comes(peer *p, const char *wanted, size_t size) {
    bool good = foreign_wait(p, size) && p->in.size == size && memcmp(p->in.data, wanted, size) == 0;
    p->in.size = 0;
    return good;
}

static size_t echoes(int count) {
    size_t good = 0;
    int i;
    for (i = 0; i < count; i++) {
        peer_frames(&many[i], "81\"hi\"");
        good += comes(&many[i], "\x81\2hi", 4);
    }
    return good;
}

static bool enough_descriptors(struct rlimit *before) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, before) != 0)
        return false;
    limit = *before;
    limit.rlim_cur = 2 * MANY + 100;
    return (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= limit.rlim_cur)
           && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void open_all(void) {
    size_t good;
    int i, moved_at = 0;
    for (i = 0; i < MANY; i++) {
        many[i] = *net_peer("/");
        net.peer_count = 0;
        if (!moved_at && net.loop->poll.moved) {
            moved_at = i;
            good = echoes(i + 1);
            CHECK_EQ(good, i + 1);
        }
    }
    CHECK(moved_at > 0 && moved_at < WSI_POLL_FEW);
}

static void posted(void *argument) { *(int *)argument += 1; }

static void close_all(void) {
    size_t good = 0;
    int i;
    for (i = 0; i < MANY; i++) {
        peer_frames(&many[i], "88<03e8>");
        good += comes(&many[i], "\x88\2\3\xe8", 4);
        peer_close(&many[i]);
        bytes_free(&many[i].in);
    }
    CHECK_EQ(good, MANY);
    net_settle();
    CHECK_EQ(net.closed, MANY);
}

static void join_room(ws_conn *conn, unsigned number) {
    (void)number;
    CHECK(ws_join(conn, "all"));
}

static void test_many(void) {
    struct rlimit before;
    ws_message message = {(const uint8_t *)"all", 3, WS_TEXT};
    size_t good = 0;
    int i, calls_seen = 0;
    if (!test_begin("epoll: %d connections: echo while and after the loop moves, broadcast, post, close", MANY))
        return;
    if (!enough_descriptors(&before)) {
        test_skip("the limit of descriptors cannot be raised");
        return;
    }
    CHECK(net_start());
    if (net.loop->poll.descriptor < 0) {
        test_skip("neither epoll nor kqueue");
        NET_END();
        return;
    }
    net.quiet = true;
    net.on_open = join_room;
    open_all();
    CHECK(net.loop->poll.moved);
    CHECK_EQ(net.opened, MANY);
    good = echoes(MANY);
    CHECK_EQ(good, MANY);
    CHECK(ws_server_broadcast(net.server, "all", message));
    for (i = 0; i < MANY; i++)
        good -= comes(&many[i], "\x81\3all", 5);
    CHECK_EQ(good, 0);
    CHECK(ws_post(net.loop, posted, &calls_seen));
    CHECK(ws_run_once(net.loop, 10000)); /* the post wakes it */
    CHECK_EQ(calls_seen, 1);
    close_all();
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    NET_END();
    (void)setrlimit(RLIMIT_NOFILE, &before);
}

/* A descriptor of epoll or kqueue that no fd_set holds: a foreign select cannot wait for it. */
static void test_beyond_select(void) {
    int fillers[FD_SETSIZE], highest = -1, count = 0;
    struct rlimit before;
    fd_set reads, writes;
    ws_loop_config config;
    if (!test_begin("epoll: its descriptor is beyond FD_SETSIZE: ws_loop_fds fails"))
        return;
    if (!enough_descriptors(&before)) {
        test_skip("the limit of descriptors cannot be raised");
        return;
    }
    while (count < FD_SETSIZE && (fillers[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    CHECK_EQ(count, FD_SETSIZE);
    memset(&config, 0, sizeof config);
    config.poller = WS_POLLER_EPOLL;
    CHECK(net_start_with(&config, NULL));
    CHECK(net.loop->poll.moved && net.loop->poll.descriptor >= FD_SETSIZE);
    peer *p = net_connect(); /* the loop runs by itself; net_round would call ws_loop_fds */
    peer_upgrade(p, "/", NULL);
    for (int i = 0; i < NET_ROUNDS && p->in.size < 12 && !p->ended; i++) {
        CHECK(ws_run_once(net.loop, 1));
        (void)peer_read(p);
    }
    CHECK(p->in.size > 12 && memcmp(p->in.data, "HTTP/1.1 101", 12) == 0);
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    CHECK(ws_loop_dispatch(net.loop, &reads, &writes)); /* no bit beyond the sets is looked at */
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    CHECK(!ws_loop_fds(net.loop, &reads, &writes, &highest, NULL));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_DESCRIPTORS);
    CHECK_EQ(highest, -1);
    NET_END();
    while (count > 0)
        (void)close(fillers[--count]);
    (void)setrlimit(RLIMIT_NOFILE, &before);
}

#if defined(__linux__) /* calls.h counts the calls of epoll, and of the kqueue that is emulated with it */
/* A message costs the same calls however many connections are idle, and none of them is a select. */
static void test_idle(void) {
    enum { MESSAGES = 50 };
    peer *active;
    size_t waits;
    int i;
    if (!test_begin("epoll: one active among 100 idle: select is not called, nothing is registered again"))
        return;
    calls_reset();
    CHECK(net_start());
    active = net_peer("/");
    for (i = 0; i < 100; i++)
        (void)net_peer("/");
    CHECK(net.loop->poll.moved);
    calls_reset();
    for (i = 0; i < MESSAGES; i++) {
        peer_frames(active, "81\"hi\"");
        calls.inside = true;
        CHECK(ws_run_once(net.loop, 0));
        calls.inside = false;
    }
    waits = calls.count[CALLS_KERNEL_FETCH];
    CHECK_EQ(calls.count[CALLS_SELECT], 0);
    CHECK_EQ(calls.count[CALLS_KERNEL_CONTROL], 0);
    CHECK_EQ(waits, MESSAGES);
    CHECK_EQ(calls.count[CALLS_RECV], MESSAGES);
    CHECK_EQ(calls.count[CALLS_SEND], MESSAGES);
    calls_reset();
    NET_END();
}

/* A loop that could not move keeps serving, and does not retry at each connection. */
static void test_stays(void) {
    int i;
    if (!test_begin("epoll: not available: a loop stays on select, and tries again only when that is full"))
        return;
    calls_reset();
    calls.fail_at[CALLS_KERNEL_OPEN] = 1;
    calls.fail_after = true;
    calls.error = EMFILE;
    calls.inside = true;
    CHECK(net_start());
    CHECK(net.loop->poll.descriptor < 0);
    for (i = 0; i < 100; i++)
        (void)net_peer("/");
    CHECK(!net.loop->poll.moved && net_serves());
    CHECK_EQ(calls.count[CALLS_KERNEL_OPEN], 2);
    calls_reset();
    NET_END();
}

/* The calls of epoll or kqueue fail while a loop is made, or while it moves. */
static void test_faults(void) {
    static const calls_kind kinds[] = {CALLS_KERNEL_OPEN, CALLS_KERNEL_CONTROL};
    ws_loop_config config;
    int i, descriptor;
    if (!test_begin("epoll: a call fails: a clear error, or the loop stays on select; nothing leaks"))
        return;
    memset(&config, 0, sizeof config);
    config.poller = WS_POLLER_EPOLL;
    for (i = 0; i < 2; i++) {
        calls_reset();
        calls.fail_at[kinds[i]] = 1;
        calls.error = EMFILE;
        calls.inside = true;
        net_start_loop(&config);
        calls_reset();
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_DESCRIPTORS);
        NET_END();
    }
    CHECK(net_start());
    descriptor = net.loop->poll.descriptor;
    for (i = 1; i <= 2; i++) {
        calls_reset();
        calls.fail_at[CALLS_KERNEL_CONTROL] = (size_t)i * CONTROLS - CONTROLS + 1;
        calls.error = ENOMEM;
        calls.inside = true;
        CHECK(!wsi_poll_move(&net.loop->poll));
        calls_reset();
        CHECK(!net.loop->poll.moved && net.loop->poll.descriptor == descriptor);
        CHECK(net_serves());
    }
    CHECK(wsi_poll_move(&net.loop->poll) && net_serves());
    NET_END();
}
#endif

static void test_all(void) {
#if defined(__linux__)
    test_faults();
    test_stays();
    test_idle();
#endif
    test_many();
    test_beyond_select();
}
#else
static void test_all(void) {
    if (test_begin("epoll or kqueue"))
        test_skip("this build has neither");
}
#endif /* WS_NO_EPOLL */

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_all();
    return test_finish();
}
