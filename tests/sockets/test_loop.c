/* LOOP: timers, the program's descriptors, posts and signals, foreign loops, errors. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#include <signal.h>
#include <sys/resource.h>

/* --- timers --- */

static void fired(ws_loop *loop, void *user) {
    CHECK(loop == net.loop);
    net_log("%s", (const char *)user);
}

static void test_after(void) {
    if (!test_begin("loop: timers fire once, at their time, in order"))
        return;
    net_start_loop(NULL);
    CHECK(ws_after(net.loop, 300, fired, "c") != 0);
    CHECK(ws_after(net.loop, 100, fired, "a") != 0);
    CHECK(ws_after(net.loop, 200, fired, "b") != 0);
    net_wait(99);
    CHECK_LOG("");
    net_wait(1);
    CHECK_LOG("a");
    net_wait(500); /* both are late: still in order */
    CHECK_LOG("b c");
    net_wait(10000);
    CHECK_LOG("");
    CHECK_EQ(ws_now(net.loop), (long long)net.now);
    NET_END();
}

static void test_every(void) {
    ws_id id;
    if (!test_begin("loop: ws_every repeats without drift, and skips missed rounds"))
        return;
    net_start_loop(NULL);
    id = ws_every(net.loop, 100, fired, "e");
    net_wait(99);
    CHECK_LOG("");
    net_wait(31); /* 30 ms late */
    CHECK_LOG("e");
    net_wait(70);
    CHECK_LOG("e");
    net_wait(100000);
    CHECK_LOG("e");
    net_wait(100);
    CHECK_LOG("e");
    ws_cancel(net.loop, id);
    net_wait(1000);
    CHECK_LOG("");
    NET_END();
}

static void again(ws_loop *loop, void *user) {
    fired(loop, user);
    CHECK(ws_after(loop, 0, again, user) != 0);
}

static void test_zero_delay(void) {
    ws_id zero;
    if (!test_begin("loop: a timer set by a timer fires in a later round, even with 0"))
        return;
    net_start_loop(NULL);
    CHECK(ws_after(net.loop, 0, again, "z") != 0);
    zero = ws_every(net.loop, 0, fired, "0");
    CHECK(zero != 0);
    net.now++;
    CHECK(ws_run_once(net.loop, 0));
    CHECK(net.log.size == 3); /* both fired, once each */
    CHECK(ws_run_once(net.loop, 0));
    CHECK(net.log.size == 3); /* the clock does not advance */
    net.now++;
    CHECK(ws_run_once(net.loop, 0));
    CHECK(net.log.size == 7);
    NET_END();
}

static ws_id named[3];

static void cancels_all(ws_loop *loop, void *user) {
    fired(loop, user);
    ws_cancel(loop, named[0]);
    ws_cancel(loop, named[1]);
    ws_cancel(loop, named[2]);
}

static void test_cancel_inside(void) {
    if (!test_begin("loop: a timer's callback cancels its own timer, a due one and a later one"))
        return;
    net_start_loop(NULL);
    named[0] = ws_every(net.loop, 10, cancels_all, "self");
    named[1] = ws_after(net.loop, 11, fired, "due");
    named[2] = ws_after(net.loop, 1000, fired, "later");
    net_wait(500);
    CHECK_LOG("self");
    net_wait(5000);
    CHECK_LOG("");
    NET_END();
}

static void test_stale_timer(void) {
    ws_id old, fresh;
    if (!test_begin("loop: a timer's id is never reused"))
        return;
    net_start_loop(NULL);
    old = ws_after(net.loop, 10, fired, "old");
    net_wait(10);
    fresh = ws_after(net.loop, 10, fired, "fresh");
    CHECK(fresh != old);
    ws_cancel(net.loop, old);
    ws_cancel(net.loop, 0);
    ws_cancel(net.loop, UINT64_MAX);
    ws_cancel(net.loop, 77);
    net_wait(10);
    CHECK_LOG("old fresh");
    NET_END();
}

/* Many timers, checked against a list of when each is due. */

enum { RANDOM_TIMERS = 10000 };

static struct {
    struct { ws_id id; uint64_t due; bool set; } timers[RANDOM_TIMERS];
    uint64_t last; /* due time of the one that fired last in this round */
    uint32_t seed;
    size_t fired;
} many;

static uint32_t random_below(uint32_t bound) {
    many.seed = many.seed * 1664525u + 1013904223u;
    return (many.seed >> 8) % bound;
}

static void many_fired(ws_loop *loop, void *user) {
    size_t i = (size_t)(uintptr_t)user, other = random_below(RANDOM_TIMERS);
    CHECK(many.timers[i].set);
    CHECK(many.timers[i].due <= ws_now(loop));
    CHECK(many.timers[i].due >= many.last);
    many.last = many.timers[i].due;
    many.timers[i].set = false;
    many.fired++;
    if (random_below(4) == 0) { /* cancels another, perhaps one that is due now */
        ws_cancel(loop, many.timers[other].id);
        many.timers[other].set = false;
    }
}

static void test_many_timers(void) {
    size_t i, late = 0, set = 0;
    if (!test_begin("loop: %d random timers, cancelled at random, against a reference", RANDOM_TIMERS))
        return;
    net_start_loop(NULL);
    memset(&many, 0, sizeof many);
    many.seed = 7;
    for (i = 0; i < RANDOM_TIMERS; i++) {
        uint32_t delay = 1 + random_below(5000);
        many.timers[i].id = ws_after(net.loop, delay, many_fired, (void *)(uintptr_t)i);
        many.timers[i].due = net.now + delay;
        many.timers[i].set = true;
        if (i % 10 == 9) {
            size_t other = random_below((uint32_t)i + 1);
            ws_cancel(net.loop, many.timers[other].id);
            many.timers[other].set = false;
        }
    }
    while (net.now < 1006000) {
        many.last = 0;
        net.now += random_below(40);
        CHECK(ws_run_once(net.loop, 0));
        for (i = 0; i < RANDOM_TIMERS; i++)
            late += many.timers[i].set && many.timers[i].due <= net.now;
    }
    for (i = 0; i < RANDOM_TIMERS; i++)
        set += many.timers[i].set;
    CHECK_EQ(late, 0);
    CHECK_EQ(set, 0);
    CHECK(many.fired > RANDOM_TIMERS / 2);
    CHECK_EQ(net.loop->heap_size, 0);
    NET_END();
}

static void test_pause(void) {
    fd_set sets[2];
    struct timeval timeout;
    int highest = -1;
    if (!test_begin("loop: a wait lasts until the next timer is due"))
        return;
    net_start_loop(NULL);
    (void)ws_after(net.loop, 1500, fired, "a");
    FD_ZERO(&sets[0]);
    FD_ZERO(&sets[1]);
    timeout.tv_sec = 100;
    timeout.tv_usec = 0;
    CHECK(ws_loop_fds(net.loop, &sets[0], &sets[1], &highest, &timeout));
    CHECK(timeout.tv_sec == 1 && timeout.tv_usec == 500000);
    timeout.tv_sec = 0;
    timeout.tv_usec = 7;
    CHECK(ws_loop_fds(net.loop, &sets[0], &sets[1], &highest, &timeout));
    CHECK(timeout.tv_sec == 0 && timeout.tv_usec == 7);
    net.now += 1400;
    timeout.tv_sec = 9;
    CHECK(ws_loop_fds(net.loop, &sets[0], &sets[1], &highest, &timeout));
    CHECK(timeout.tv_sec == 0 && timeout.tv_usec == 100000);
    CHECK(ws_loop_fds(net.loop, &sets[0], &sets[1], &highest, NULL));
    NET_END();
}

/* --- the program's descriptors --- */

static int pairs[4][2];

static void pairs_open(void) {
    for (int i = 0; i < 4; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) != 0)
            abort();
}

static void pairs_close(void) {
    for (int i = 0; i < 4; i++) {
        (void)close(pairs[i][0]);
        (void)close(pairs[i][1]);
    }
}

static void pair_fill(int i) { CHECK_EQ(send(pairs[i][1], "x", 1, MSG_NOSIGNAL), 1); }

static int pair_of(int descriptor) {
    int i = 0;
    while (i < 4 && pairs[i][0] != descriptor)
        i++;
    return i;
}

static void watched(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    char byte;
    CHECK(loop == net.loop);
    net_log("%s%d:%u", (const char *)user, pair_of(descriptor), ready);
    if (ready & WS_READ)
        (void)!recv(descriptor, &byte, 1, 0);
}

static void watched_too(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    net_log("too");
    watched(loop, descriptor, ready, user);
}

static void test_watch(void) {
    if (!test_begin("loop: ws_watch adds, changes and removes"))
        return;
    pairs_open();
    net_start_loop(NULL);
    CHECK(ws_watch(net.loop, pairs[0][0], WS_READ, watched, "a"));
    net_settle();
    CHECK_LOG("");
    pair_fill(0);
    net_settle();
    CHECK_LOG("a0:1");
    CHECK(ws_watch(net.loop, pairs[0][0], WS_READ | WS_WRITE, watched, "b"));
    pair_fill(0);
    (void)ws_run_once(net.loop, 0);
    CHECK_LOG("b0:3");
    CHECK(ws_watch(net.loop, pairs[0][0], WS_WRITE, watched_too, "c"));
    pair_fill(0);
    (void)ws_run_once(net.loop, 0);
    CHECK_LOG("too c0:2");
    CHECK(ws_watch(net.loop, pairs[0][0], WS_NONE, NULL, NULL));
    CHECK(ws_watch(net.loop, pairs[0][0], WS_NONE, NULL, NULL));
    net_settle();
    CHECK_LOG("");
    NET_END();
    pairs_close();
}

static void test_watch_wrong(void) {
    static const int outside[] = {-1, FD_SETSIZE, INT32_MAX};
    size_t i;
    if (!test_begin("loop: ws_watch refuses descriptors that select cannot watch") || !test_posix("select's limit"))
        return;
    net_start_loop(NULL);
    for (i = 0; i < sizeof outside / sizeof *outside; i++)
        CHECK(!ws_watch(net.loop, outside[i], WS_READ, watched, ""));
    CHECK(!ws_watch(net.loop, 0, WS_READ, NULL, NULL));
    CHECK_STR(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_ARGUMENT, "ws_watch: function is NULL"));
    CHECK(!ws_watch(NULL, 0, WS_READ, watched, NULL));
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    NET_END();
}

/* The first that is ready changes the others, all of which are ready too. */
static void meddles(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    int reused;
    watched(loop, descriptor, ready, user);
    CHECK(ws_watch(loop, descriptor, WS_NONE, NULL, NULL));      /* its own descriptor */
    CHECK(ws_watch(loop, pairs[1][0], WS_NONE, NULL, NULL));     /* must not be called any more */
    CHECK(ws_watch(loop, pairs[2][0], WS_READ, watched, "new"));  /* gets another function */
    CHECK(ws_watch(loop, pairs[3][0], WS_NONE, NULL, NULL));     /* its descriptor is reused */
    (void)close(pairs[3][0]);
    reused = dup(pairs[1][0]);
    CHECK_EQ(reused, pairs[3][0]);
    CHECK(ws_watch(loop, reused, WS_READ, watched, "reused"));
}

static void test_watch_inside(void) {
    int i;
    if (!test_begin("loop: a callback removes, changes and replaces descriptors that are ready")
        || !test_posix("the lowest free descriptor"))
        return;
    pairs_open();
    net_start_loop(NULL);
    CHECK(ws_watch(net.loop, pairs[0][0], WS_READ, meddles, "first"));
    for (i = 1; i < 4; i++)
        CHECK(ws_watch(net.loop, pairs[i][0], WS_READ, watched, "old"));
    for (i = 0; i < 4; i++)
        pair_fill(i);
    (void)ws_run_once(net.loop, 0);
    CHECK_LOG("first0:1 new2:1");
    net_settle();
    CHECK_LOG("reused3:1");
    NET_END();
    pairs_close();
}

/* --- posts, stop --- */

static unsigned posted;

static void posts_add(void *argument) {
    posted += (unsigned)(uintptr_t)argument;
    net_log("p%u", (unsigned)(uintptr_t)argument);
}

static void test_post(void) {
    if (!test_begin("loop: ws_post calls once, in order, in a later round"))
        return;
    net_start_loop(NULL);
    posted = 0;
    for (uintptr_t i = 1; i <= 200; i++)
        CHECK(ws_post(net.loop, posts_add, (void *)i));
    CHECK_EQ(posted, 0);
    net_settle();
    CHECK_EQ(posted, 200 * 201 / 2);
    CHECK(memcmp(net.log.data, "p1 p2 p3 ", 9) == 0);
    CHECK(!ws_post(net.loop, NULL, NULL));
    net_settle();
    CHECK_STR(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_ARGUMENT, "ws_post: function is NULL"));
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    CHECK(!ws_post(NULL, posts_add, NULL) && !ws_post(NULL, NULL, NULL));
    NET_END();
}

static void test_post_full(void) {
    unsigned taken = 0, wanted;
    if (!test_begin("loop: ws_post returns false while too many posts are pending, and true after them"))
        return;
    net_start_loop(NULL);
    posted = 0;
    while (taken < 100000 && ws_post(net.loop, posts_add, (void *)1))
        taken++;
    CHECK(taken >= (TEST_WINDOWS ? 2048u : 2500u) && taken < 100000);
    errno = 42;
    CHECK(!ws_post(net.loop, posts_add, (void *)1));
    CHECK_EQ(errno, 42); /* a signal handler must leave it as it was */
    wanted = taken;
    net_settle();
    CHECK_EQ(posted, wanted);
    CHECK(ws_post(net.loop, posts_add, (void *)1));
    net_settle();
    CHECK_EQ(posted, wanted + 1);
    NET_END();
}

static void posts_again(void *argument) {
    net_log("again");
    if (argument)
        CHECK(ws_post(net.loop, posts_again, NULL));
}

static void test_post_inside(void) {
    if (!test_begin("loop: a posted function posts"))
        return;
    net_start_loop(NULL);
    CHECK(ws_post(net.loop, posts_again, &net));
    net_settle();
    CHECK_LOG("again again");
    NET_END();
}

static void on_signal(int number) {
    (void)number;
    (void)ws_post(net.loop, posts_add, (void *)5);
    (void)ws_stop(net.loop);
}

static void test_signal(void) {
    if (!test_begin("loop: ws_post and ws_stop in a signal handler end ws_run"))
        return;
    net_start_loop(NULL);
    posted = 0;
    CHECK(signal(SIGUSR1, on_signal) != SIG_ERR);
    errno = 42;
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(errno, 42);
    CHECK_EQ(ws_run(net.loop), WS_OK);
    CHECK_EQ(posted, 5);
    (void)signal(SIGUSR1, SIG_DFL);
    NET_END();
}

static void stops(ws_loop *loop, void *user) {
    fired(loop, user);
    CHECK(ws_stop(loop));
}

static void test_stop(void) {
    if (!test_begin("loop: ws_stop ends ws_run; connections stay, and ws_run can be called again"))
        return;
    CHECK(net_start());
    peer *p = net_peer("/");
    (void)ws_after(net.loop, 1, stops, "stop");
    net.now++;
    CHECK_EQ(ws_run(net.loop), WS_OK);
    CHECK_LOG("o1 stop");
    peer_frames(p, "81\"x\"");
    CHECK(ws_stop(net.loop)); /* before ws_run, which still serves one round */
    CHECK_EQ(ws_run(net.loop), WS_OK);
    CHECK_FRAMES(p, "81\"x\"");
    CHECK_LOG("t1:x");
    NET_END();
    test_end();
}

/* --- stop and shutdown while no post fits --- */

static unsigned fill_pipe(void) {
    unsigned taken = 0;
    posted = 0;
    while (taken < 100000 && ws_post(net.loop, posts_add, (void *)1))
        taken++;
    return taken;
}

static bool said;

static void on_stop_signal(int number) {
    (void)number;
    said = ws_stop(net.loop);
}

static void on_shutdown_signal(int number) {
    (void)number;
    said = ws_shutdown(net.loop, 50000);
}

static void raise_with(void (*handler)(int)) {
    said = false;
    CHECK(signal(SIGUSR1, handler) != SIG_ERR);
    errno = 42;
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(errno, 42);
    CHECK(said);
    (void)signal(SIGUSR1, SIG_DFL);
}

static void test_stop_full(void) {
    unsigned taken;
    peer *p;
    if (test_begin("loop: ws_stop in a signal handler while no post fits: the posts are called, then ws_run returns")) {
        net_start_loop(NULL);
        taken = fill_pipe();
        raise_with(on_stop_signal);
        CHECK_EQ(ws_run(net.loop), WS_OK);
        CHECK_EQ(posted, taken);
        (void)ws_after(net.loop, 1, stops, "once");
        net.now++;
        net.log.size = 0;
        CHECK_EQ(ws_run(net.loop), WS_OK); /* it was stopped once, not twice */
        CHECK_LOG("once");
        NET_END();
    }
    if (test_begin("loop: ws_shutdown in a signal handler while no post fits")) {
        CHECK(net_start());
        p = net_peer("/");
        taken = fill_pipe();
        raise_with(on_shutdown_signal);
        CHECK(ws_shutdown(net.loop, 700)); /* of several the shortest counts */
        CHECK(ws_shutdown(net.loop, WS_OFF));
        net_settle();
        CHECK_EQ(posted, taken);
        CHECK_FRAMES(p, "88<03f4>\"server restarts\"");
        net_wait(699);
        CHECK_EQ(net.closed, 0);
        net.now++;
        CHECK_EQ(ws_run(net.loop), WS_OK);
        CHECK_EQ(net.codes[1], 1006);
        NET_END();
    }
}

static void stops_inside(void *argument) {
    net_log("p");
    if (argument)
        CHECK(ws_stop(net.loop));
}

static void test_stop_order(void) {
    int i;
    if (!test_begin("loop: posts before ws_stop are called before ws_run returns, later ones may wait"))
        return;
    net_start_loop(NULL);
    for (i = 0; i < 1000; i++)
        CHECK(ws_post(net.loop, posts_add, (void *)1));
    posted = 0;
    CHECK(ws_stop(net.loop));
    CHECK_EQ(ws_run(net.loop), WS_OK);
    CHECK_EQ(posted, 1000);
    net.log.size = 0;
    CHECK(ws_post(net.loop, stops_inside, &net) && ws_post(net.loop, stops_inside, NULL));
    CHECK_EQ(ws_run(net.loop), WS_OK);
    CHECK_LOG("p p");
    NET_END();
}

static void posts_last(void *argument) { net_log("%s", (const char *)argument); }

static void posts_and_stops(void *argument) {
    net_log("p");
    CHECK(ws_post(net.loop, argument ? posts_and_stops : posts_last, argument ? NULL : (void *)"last"));
    if (!argument)
        CHECK(ws_stop(net.loop));
}

static void test_stop_behind_shutdown(void) {
    if (!test_begin("loop: posts before a ws_stop are called, even if it comes during a ws_shutdown"))
        return;
    CHECK(net_start());
    (void)net_peer("/");
    net.log.size = 0;
    CHECK(ws_shutdown(net.loop, 50000));
    CHECK(ws_post(net.loop, posts_and_stops, &net));
    CHECK_EQ(ws_run(net.loop), WS_OK);
    CHECK_LOG("p p last");
    CHECK_EQ(net.loop->conn_count, 1); /* it was stopped; the shutdown waits for the peer */
    NET_END();
}

/* --- foreign loops --- */

static void test_foreign(void) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                                  "\x81\x82\0\0\0\0hi";
    peer *p;
    int rounds, own[2], seen = 0;
    if (!test_begin("loop: inside a foreign select loop"))
        return;
    CHECK(net_start());
    CHECK_EQ(pipe(own), 0);
    CHECK_EQ(write(own[1], "x", 1), 1);
    (void)ws_after(net.loop, 50, fired, "timer");
    p = net_connect();
    CHECK_EQ(send(p->fd, request, sizeof request - 1, 0), sizeof request - 1);
    for (rounds = 0; rounds < 2000 && !(peer_has(p, "\x81\2hi") && rounds > 20); rounds++) {
        fd_set reads, writes;
        struct timeval timeout = {0, 1000};
        int highest = own[0];
        FD_ZERO(&reads);
        FD_ZERO(&writes);
        FD_SET(own[0], &reads);
        CHECK(ws_loop_fds(net.loop, &reads, &writes, &highest, &timeout));
        if (select(highest + 1, &reads, &writes, NULL, &timeout) < 0)
            break;
        seen += FD_ISSET(own[0], &reads) != 0;
        CHECK(ws_loop_dispatch(net.loop, &reads, &writes));
        (void)net_read_all();
        net.now += rounds == 10 ? 50 : 0;
    }
    CHECK(rounds < 2000);
    CHECK_EQ(seen, rounds);
    CHECK(peer_has(p, "HTTP/1.1 101 ") && peer_has(p, "\x81\2hi"));
    CHECK_LOG("o1 t1:hi timer");
    (void)close(own[0]);
    (void)close(own[1]);
    NET_END();
}

static void test_foreign_empty(void) {
    fd_set empty;
    if (!test_begin("loop: ws_loop_dispatch with empty sets runs timers; it polls before one fires")
        || !test_posix("descriptors in sets"))
        return;
    CHECK(net_start());
    (void)net_connect();
    FD_ZERO(&empty);
    CHECK(ws_loop_dispatch(net.loop, &empty, &empty));
    CHECK_EQ(net.server->endpoint.count, 0);
    (void)ws_after(net.loop, 10, fired, "timer");
    net.now += 10;
    CHECK(ws_loop_dispatch(net.loop, &empty, &empty));
    CHECK_LOG("timer");
    CHECK_EQ(net.server->endpoint.count, 1); /* a connection that came before the timer was due is served before it */
    CHECK(!ws_loop_dispatch(NULL, &empty, &empty));
    CHECK(!ws_loop_dispatch(net.loop, NULL, &empty));
    CHECK(!ws_loop_fds(net.loop, NULL, NULL, NULL, NULL));
    NET_END();
}

/* --- ends and errors --- */

static void frees_loop(ws_loop *loop, void *user) {
    fired(loop, user);
    ws_loop_free(loop);
    CHECK(ws_after(loop, 1, fired, "never") != 0); /* it still works */
}

static void test_free_inside(void) {
    if (!test_begin("loop: ws_loop_free in a callback only stops the loop"))
        return;
    net_start_loop(NULL);
    (void)ws_after(net.loop, 1, frees_loop, "free");
    net.now++;
    CHECK_EQ(ws_run(net.loop), WS_OK);
    CHECK_LOG("free");
    NET_END();
}

static void runs_again(ws_loop *loop, void *user) {
    fd_set sets[2];
    int highest = -1;
    fired(loop, user);
    FD_ZERO(&sets[0]);
    FD_ZERO(&sets[1]);
    CHECK(!ws_run_once(loop, 0));
    CHECK(!ws_loop_fds(loop, &sets[0], &sets[1], &highest, NULL));
    CHECK(!ws_loop_dispatch(loop, &sets[0], &sets[1]));
}

static void test_run_inside(void) {
    if (!test_begin("loop: a loop does not run inside itself"))
        return;
    net_start_loop(NULL);
    (void)ws_after(net.loop, 1, runs_again, "inside");
    net_wait(1);
    CHECK_LOG("inside");
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    NET_END();
}

static void test_port_in_use(void) {
    ws_server_config config;
    ws_loop *other;
    ws_handler handler = net_handler();
    if (!test_begin("loop: a port in use is an error that sticks, and ws_run returns at once"))
        return;
    CHECK(net_start());
    memset(&config, 0, sizeof config);
    config.port = ws_port(net.server);
    other = ws_loop_new(NULL);
    CHECK(ws_listen(other, &config) == NULL);
    CHECK_EQ(ws_loop_error(other), WS_ERROR_IN_USE);
    CHECK(strstr(ws_error_text(ws_loop_error(other)), "port") != NULL);
    config.port = 0;
    CHECK(ws_listen(other, &config) == NULL);
    CHECK(!ws_route(NULL, "/", &handler));
    CHECK_EQ(ws_run(other), WS_ERROR_IN_USE);
    CHECK(!ws_run_once(other, WS_OFF));
    CHECK_EQ(ws_loop_error(other), WS_ERROR_IN_USE);
    ws_loop_free(other);
    CHECK(net_serves());
    NET_END();
}

static void test_bad_address(void) {
    static const char *const hosts[] = {"203.0.113.7", "256.1.1.1", "no such host", "", "::ffff:999"};
    ws_server_config config;
    size_t i;
    if (!test_begin("loop: a host that is not this machine's is an error with a text"))
        return;
    memset(&config, 0, sizeof config);
    for (i = 0; i < 3; i++) {
        ws_loop *loop = ws_loop_new(NULL);
        config.host = hosts[i];
        CHECK(ws_listen(loop, &config) == NULL);
        CHECK_EQ(ws_loop_error(loop), WS_ERROR_ADDRESS);
        CHECK(strstr(ws_loop_error_text(loop), DETAIL(WS_ERROR_ADDRESS, ws_error_text(i ? WS_ERROR_RESOLVE
                                                                                        : WS_ERROR_ADDRESS))));
        CHECK_EQ(ws_run(loop), WS_ERROR_ADDRESS);
        ws_loop_free(loop);
    }
}

static void test_system_refuses(void) {
    static const struct {
        calls_kind kind;
        int error;
        ws_error wanted;
        bool in_new;
    } rows[] = {
        {CALLS_MAIL, EMFILE, WS_ERROR_DESCRIPTORS, true},    {CALLS_MAIL, ENOMEM, WS_ERROR_MEMORY, true},
        {CALLS_FCNTL, EINVAL, WS_ERROR_SYSTEM, true},        {CALLS_SOCKET, EMFILE, WS_ERROR_DESCRIPTORS, false},
        {CALLS_SOCKET, EACCES, WS_ERROR_PERMISSION, false},  {CALLS_SETSOCKOPT, EINVAL, WS_ERROR_SYSTEM, false},
        {CALLS_BIND, EADDRINUSE, WS_ERROR_IN_USE, false},    {CALLS_BIND, EACCES, WS_ERROR_PERMISSION, false},
        {CALLS_BIND, EADDRNOTAVAIL, WS_ERROR_ADDRESS, false}, {CALLS_LISTEN, EADDRINUSE, WS_ERROR_IN_USE, false},
        {CALLS_FCNTL, EINVAL, WS_ERROR_SYSTEM, false}};
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!test_begin("loop: %s fails with %d: the error %d", calls_names[rows[i].kind], rows[i].error,
                        (int)rows[i].wanted))
            continue;
        calls_reset();
        calls.error = rows[i].error;
        calls.fail_after = true;
        if (rows[i].in_new)
            calls.fail_at[rows[i].kind] = 1;
        calls.inside = true;
        net_start_loop(NULL);
        CHECK(net.loop != NULL);
        calls.fail_at[rows[i].kind] = calls.count[rows[i].kind] + 1;
        CHECK(ws_listen(net.loop, NULL) == NULL);
        calls.inside = false;
        CHECK_EQ(ws_loop_error(net.loop), rows[i].wanted);
        CHECK_EQ(ws_run(net.loop), rows[i].wanted);
        calls_reset();
        NET_END();
    }
}

static void test_wait_fails(void) {
    static const struct {
        int error;
        ws_error wanted;
    } rows[] = {{EINTR, WS_OK}, {ENOMEM, WS_OK}, {EAGAIN, WS_OK}, {EBADF, WS_ERROR_SYSTEM}, {EINVAL, WS_ERROR_SYSTEM}};
    size_t i;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!test_begin("loop: %s fails with %d", calls_names[CALLS_WAIT], rows[i].error))
            continue;
        calls_reset();
        CHECK(net_start());
        (void)ws_after(net.loop, 1, fired, "timer");
        net.now++;
        calls.fail_at[CALLS_WAIT] = 1;
        calls.error = rows[i].error;
        calls.inside = true;
        CHECK_EQ(ws_run_once(net.loop, 0), rows[i].wanted == WS_OK);
        calls.inside = false;
        CHECK_EQ(ws_loop_error(net.loop), rows[i].wanted);
        CHECK_LOG(rows[i].wanted == WS_OK ? "timer" : "");
        if (rows[i].wanted == WS_OK)
            CHECK(net_serves());
        calls_reset();
        NET_END();
    }
}

/* Every call answers "interrupted" or "again": the number of calls in a round is bounded. */
static void test_no_endless_loop(void) {
    static const int errors[] = {EINTR, EAGAIN};
    size_t i, total;
    int kind;
    for (i = 0; i < 2; i++) {
        if (!test_begin("loop: every call answers with %d: bounded steps, then service resumes", errors[i]))
            continue;
        calls_reset();
        CHECK(net_start());
        peer *p = net_peer("/");
        peer *waiting = net_connect();
        peer_frames(p, "81\"x\"");
        calls_reset();
        calls.error = errors[i];
        calls.fail_after = true;
        for (kind = CALLS_RECV; kind <= CALLS_ACCEPT; kind++)
            calls.fail_at[kind] = 1;
        calls.fail_at[CALLS_READ] = calls.fail_at[CALLS_WAIT] = 1;
        calls.inside = true;
        for (int round = 0; round < 10; round++)
            CHECK(ws_run_once(net.loop, 0));
        calls.inside = false;
        for (kind = 0, total = 0; kind < CALLS_KINDS; kind++)
            total += calls.count[kind];
        CHECK(total < 2000);
        calls_reset();
        peer_upgrade(waiting, "/", NULL);
        CHECK_EQ(peer_status(waiting), 101);
        CHECK_FRAMES(p, "81\"x\"");
        CHECK(net_serves());
        NET_END();
    }
}

static void test_small_memory(void) {
    ws_loop_config config;
    size_t limit;
    int opened = 0, failed = 0;
    if (!test_begin("loop: max_memory of any size: NULL, an error, or a server that serves"))
        return;
    memset(&config, 0, sizeof config);
    for (limit = 1; limit < 400000; limit = limit * 5 / 4 + 1) {
        config.max_memory = limit;
        net_start_loop(&config);
        net.server = ws_listen(net.loop, NULL);
        if (net.server && net_route("/")) {
            opened++;
            (void)net_serves();
        } else {
            failed++;
            CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_MEMORY);
        }
        CHECK(net.memory.peak <= limit);
        NET_END();
    }
    CHECK(opened > 0 && failed > 0);
}

static void test_sizes_of_receive(void) {
    static const size_t sizes[] = {1, 1024, 1025, 2000, 4096, 5000, 8192, 65536, 1 << 20};
    ws_loop_config config;
    size_t i;
    memset(&config, 0, sizeof config);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (!test_begin("loop: receive_size %zu: long messages and heads pass", sizes[i]))
            continue;
        config.receive_size = sizes[i];
        CHECK(net_start_with(&config, NULL));
        peer *p = net_connect();
        char more[3100] = "X: ";
        memset(more + 3, 'a', 3000);
        memcpy(more + 3003, "\r\n", 3);
        peer_upgrade(p, "/", more);
        CHECK_EQ(peer_status(p), 101);
        peer_take_head(p);
        peer_frames(p, "82#900 81*5000 82#100000 01*3000 80*3000 81\"x\"");
        CHECK_FRAMES(p, "82#900 81*5000 82#100000 81*6000 81\"x\"");
        NET_END();
    }
}

/* --- NULL --- */

static void test_null(void) {
    fd_set set;
    ws_message message = {NULL, 0, WS_TEXT};
    ws_handler handler = net_handler();
    char text[8];
    int highest = 0;
    if (!test_begin("every function accepts NULL"))
        return;
    FD_ZERO(&set);
    CHECK(!ws_send(NULL, message) && !ws_send_text(NULL, "x") && !ws_send_text(NULL, NULL));
    CHECK(!ws_send_binary(NULL, "x", 1) && !ws_send_part(NULL, message, true) && !ws_ping(NULL, NULL, 0));
    CHECK(!ws_close(NULL, 1000, NULL));
    ws_drop(NULL);
    CHECK_EQ(ws_state(NULL), WS_CLOSED);
    CHECK_EQ(ws_buffered(NULL), 0);
    CHECK(ws_last_error(NULL) != WS_OK);
    CHECK_EQ(ws_conn_id(NULL), 0);
    CHECK(!ws_find(NULL, 1) && !ws_conn_server(NULL) && !ws_conn_loop(NULL) && !ws_param(NULL, "x"));
    CHECK_STR(ws_subprotocol(NULL), "");
    CHECK(!ws_peer(NULL, text, sizeof text));
    ws_set_user(NULL, text);
    CHECK(ws_user(NULL) == NULL);
    CHECK(!ws_join(NULL, "x") && !ws_leave(NULL, "x"));
    CHECK(!ws_broadcast(NULL, "x", message) && !ws_broadcast_text(NULL, "x", "x"));
    CHECK(!ws_broadcast_text(NULL, NULL, NULL));
    CHECK(!ws_broadcast_others(NULL, "x", message) && !ws_server_broadcast(NULL, "x", message));
    CHECK_EQ(ws_room_count(NULL, "x"), 0);
    CHECK_EQ(ws_room_members(NULL, NULL, NULL, 0), 0);
    CHECK(!ws_room_slow(NULL, "x", WS_SLOW_WAIT));
    CHECK(!ws_listen(NULL, NULL));
    ws_server_free(NULL);
    CHECK_EQ(ws_port(NULL), 0);
    CHECK(!ws_route(NULL, "/", &handler) && !ws_page(NULL, "/", "text/html", "x"));
    CHECK(!ws_page_file(NULL, "/", "text/html", "/dev/null"));
    ws_loop_free(NULL);
    CHECK(ws_loop_error(NULL) == WS_ERROR_MEMORY && ws_run(NULL) == WS_ERROR_MEMORY);
    CHECK(!ws_run_once(NULL, 0));
    CHECK_EQ(ws_now(NULL), 0);
    CHECK(!ws_post(NULL, posts_add, NULL) && !ws_stop(NULL) && !ws_shutdown(NULL, 0));
    CHECK(!ws_after(NULL, 1, fired, NULL) && !ws_every(NULL, 1, fired, NULL));
    ws_cancel(NULL, 1);
    CHECK(!ws_watch(NULL, 0, WS_READ, watched, NULL));
    CHECK(!ws_loop_fds(NULL, &set, &set, &highest, NULL) && !ws_loop_dispatch(NULL, &set, &set));
    net_start_loop(NULL);
    CHECK(!ws_after(net.loop, 1, NULL, NULL));
    CHECK_STR(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_ARGUMENT, "ws_after: function is NULL"));
    CHECK(!ws_every(net.loop, 1, NULL, NULL));
    CHECK_STR(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_ARGUMENT, "ws_every: function is NULL"));
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_after();
    test_every();
    test_zero_delay();
    test_cancel_inside();
    test_stale_timer();
    test_many_timers();
    test_pause();
    test_watch();
    test_watch_wrong();
    test_watch_inside();
    test_post();
    test_post_full();
    test_post_inside();
    test_signal();
    test_stop();
    test_stop_full();
    test_stop_order();
    test_stop_behind_shutdown();
    test_foreign();
    test_foreign_empty();
    test_free_inside();
    test_run_inside();
    test_port_in_use();
    test_bad_address();
    test_system_refuses();
    test_wait_fails();
    test_no_endless_loop();
    test_small_memory();
    test_sizes_of_receive();
    test_null();
    return test_finish();
}
