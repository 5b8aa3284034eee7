/* POLL: which descriptors are ready, over select, or on Windows over WSAPoll, which begins with the last. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

static wsi_poll poller; /* large */

typedef struct pipes {
    int ends[4][2];
    wsi_source sources[4]; /* over the reading ends */
} pipes;

static void start(void) {
    static wsi_memory memory;
    const ws_allocator none = {NULL, NULL};
    wsi_memory_init(&memory, none, SIZE_MAX);
    wsi_poll_init(&poller, &memory);
    CHECK(wsi_poll_choose(&poller, WS_POLLER_SELECT, false));
}

static void pipes_open(pipes *p) {
    int i;
    memset(p, 0, sizeof *p);
    start();
    for (i = 0; i < 4; i++) {
        if (pipe(p->ends[i]) != 0)
            abort();
        p->sources[i].link.descriptor = p->ends[i][0];
    }
}

static void pipes_close(pipes *p) {
    int i;
    for (i = 0; i < 4; i++) {
        (void)close(p->ends[i][0]);
        (void)close(p->ends[i][1]);
    }
    wsi_poll_free(&poller);
}

static void pipes_fill(const pipes *p, int i) { CHECK_EQ(write(p->ends[i][1], "x", 1), 1); }

#if defined(_WIN32)
static void test_range(void) {
    if (test_begin("poll: descriptors outside of the set are refused"))
        (void)test_posix("sets of bits");
}

static void test_highest(void) {
    if (test_begin("poll: the highest descriptor follows what is set"))
        (void)test_posix("sets of bits");
}
#else
static void test_range(void) {
    static const int outside[] = {-1, FD_SETSIZE, FD_SETSIZE + 1, 100000, INT32_MAX, INT32_MIN};
    wsi_source source;
    size_t i;
    if (!test_begin("poll: descriptors outside of the set are refused"))
        return;
    start();
    memset(&source, 0, sizeof source);
    for (i = 0; i < sizeof outside / sizeof *outside; i++) {
        source.link.descriptor = outside[i];
        CHECK(!wsi_poll_set(&poller, &source, WS_READ));
        CHECK(!wsi_poll_set(&poller, &source, WS_NONE));
    }
    CHECK_EQ(poller.highest, -1);
    source.link.descriptor = FD_SETSIZE - 1;
    CHECK(wsi_poll_set(&poller, &source, WS_READ | WS_WRITE));
    CHECK_EQ(poller.highest, FD_SETSIZE - 1);
    CHECK(wsi_poll_set(&poller, &source, WS_NONE));
    CHECK_EQ(poller.highest, -1);
}

static void test_highest(void) {
    wsi_source a, b;
    if (!test_begin("poll: the highest descriptor follows what is set"))
        return;
    start();
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.link.descriptor = 7;
    b.link.descriptor = 130;
    CHECK(wsi_poll_set(&poller, &a, WS_READ) && wsi_poll_set(&poller, &b, WS_WRITE));
    CHECK_EQ(poller.highest, 130);
    CHECK(wsi_poll_set(&poller, &b, WS_NONE));
    CHECK_EQ(poller.highest, 7);
    CHECK(wsi_poll_set(&poller, &a, WS_NONE));
    CHECK_EQ(poller.highest, -1);
}
#endif

static void test_ready(void) {
    pipes p;
    unsigned ready = 0;
    if (!test_begin("poll: each ready source is returned once, and no other"))
        return;
    pipes_open(&p);
    for (int i = 0; i < 4; i++)
        CHECK(wsi_poll_set(&poller, &p.sources[i], WS_READ));
    CHECK_EQ(wsi_poll_wait(&poller, 0), 0);
    CHECK(wsi_poll_next(&poller, &ready) == NULL);
    pipes_fill(&p, 1);
    pipes_fill(&p, 3);
    CHECK_EQ(wsi_poll_wait(&poller, 0), 2);
    CHECK(wsi_poll_next(&poller, &ready) == &p.sources[TEST_WINDOWS ? 3 : 1]);
    CHECK_EQ(ready, WS_READ);
    CHECK(wsi_poll_next(&poller, &ready) == &p.sources[TEST_WINDOWS ? 1 : 3]);
    CHECK(wsi_poll_next(&poller, &ready) == NULL);
    CHECK(wsi_poll_next(&poller, &ready) == NULL);
    pipes_close(&p);
}

static void test_write(void) {
    pipes p;
    wsi_source source;
    unsigned ready = 0;
    if (!test_begin("poll: writing is reported only when it is wanted"))
        return;
    pipes_open(&p);
    memset(&source, 0, sizeof source);
    source.link.descriptor = p.ends[0][1];
    CHECK(wsi_poll_set(&poller, &source, WS_READ));
    CHECK_EQ(wsi_poll_wait(&poller, 0), 0);
    CHECK(wsi_poll_set(&poller, &source, WS_WRITE));
    CHECK_EQ(wsi_poll_wait(&poller, 0), 1);
    CHECK(wsi_poll_next(&poller, &ready) == &source);
    CHECK_EQ(ready, WS_WRITE);
    pipes_close(&p);
}

static void test_removed(void) {
    pipes p;
    wsi_source other;
    unsigned ready = 0;
    if (!test_begin("poll: a source that is removed, or whose descriptor is reused, is not ready"))
        return;
    pipes_open(&p);
    memset(&other, 0, sizeof other);
    for (int i = 0; i < 3; i++) {
        CHECK(wsi_poll_set(&poller, &p.sources[i], WS_READ));
        pipes_fill(&p, i);
    }
    CHECK_EQ(wsi_poll_wait(&poller, 0), 3);
    CHECK(wsi_poll_set(&poller, &p.sources[0], WS_NONE));
    CHECK(wsi_poll_set(&poller, &p.sources[1], WS_NONE));
    other.link.descriptor = p.sources[1].link.descriptor;
    CHECK(wsi_poll_set(&poller, &other, WS_READ));
    CHECK(wsi_poll_next(&poller, &ready) == &p.sources[2]);
    CHECK(wsi_poll_next(&poller, &ready) == NULL);
    CHECK_EQ(wsi_poll_wait(&poller, 0), 2);
    CHECK(wsi_poll_next(&poller, &ready) == &other);
    pipes_close(&p);
}

static void test_changed(void) {
    int ends[2];
    wsi_source source;
    unsigned ready = 0;
    if (!test_begin("poll: a source that no longer waits is not reported"))
        return;
    start();
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    memset(&source, 0, sizeof source);
    source.link.descriptor = ends[0];
    CHECK(wsi_poll_set(&poller, &source, WS_READ | WS_WRITE));
    CHECK_EQ(wsi_poll_wait(&poller, 0), TEST_WINDOWS ? 1 : 2); /* select counts a descriptor once for each set */
    CHECK(wsi_poll_set(&poller, &source, WS_READ));
    CHECK(wsi_poll_next(&poller, &ready) == &source);
    CHECK_EQ(ready, WS_READ);
    (void)close(ends[0]);
    (void)close(ends[1]);
    wsi_poll_free(&poller);
}

static void test_foreign(void) {
    pipes p;
    fd_set reads, writes;
    int highest = 1000;
    unsigned ready = 0;
    if (!test_begin("poll: a foreign select gets our sets, and its own bits are left alone")
        || !test_posix("sets of bits"))
        return;
    pipes_open(&p);
    CHECK(wsi_poll_set(&poller, &p.sources[2], WS_READ));
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    FD_SET(0, &reads);
    CHECK(wsi_poll_export(&poller, &reads, &writes, &highest));
    CHECK(FD_ISSET(0, &reads) && FD_ISSET(p.ends[2][0], &reads));
    CHECK(!FD_ISSET(p.ends[2][0], &writes) && !FD_ISSET(p.ends[1][0], &reads));
    CHECK_EQ(highest, 1000);
    highest = -1;
    CHECK(wsi_poll_export(&poller, &reads, &writes, &highest));
    CHECK_EQ(highest, p.ends[2][0]);
    FD_SET(p.ends[2][0], &writes); /* not asked for */
    CHECK_EQ(wsi_poll_import(&poller, &reads, &writes), 0);
    CHECK(wsi_poll_next(&poller, &ready) == &p.sources[2]);
    CHECK_EQ(ready, WS_READ);
    CHECK(wsi_poll_next(&poller, &ready) == NULL);
    pipes_close(&p);
}

static void test_timeout(void) {
    static const struct {
        uint64_t milliseconds;
        long seconds, micros;
    } rows[] = {{0, 0, 0}, {1, 0, 1000}, {999, 0, 999000}, {1000, 1, 0}, {61234, 61, 234000},
                {100000000, 100000, 0}, {UINT32_MAX, 100000, 0}, {UINT64_MAX - 1, 100000, 0}};
    struct timeval timeout;
    size_t i;
    if (!test_begin("poll: timeouts for select, and none that it would refuse"))
        return;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        wsi_poll_timeout(rows[i].milliseconds, &timeout);
        CHECK_EQ(timeout.tv_sec, rows[i].seconds);
        CHECK_EQ(timeout.tv_usec, rows[i].micros);
    }
}

static void test_failure_of_select(void) {
    wsi_source source;
    int ends[2];
    unsigned ready = 0;
    if (!test_begin("poll: a closed descriptor is an error, no crash"))
        return;
    start();
    memset(&source, 0, sizeof source);
    CHECK_EQ(pipe(ends), 0);
    source.link.descriptor = ends[0];
    CHECK(wsi_poll_set(&poller, &source, WS_READ));
    (void)close(ends[0]);
    int found = wsi_poll_wait(&poller, 0);
    CHECK(found == -1 || (TEST_WINDOWS && found == 1));
    CHECK(wsi_poll_next(&poller, &ready) == (found > 0 ? &source : NULL));
    (void)close(ends[1]);
    wsi_poll_free(&poller);
}

#ifndef WS_NO_EPOLL
static void test_moves(void) {
    pipes p;
    wsi_source file, early; /* watched after the move, and before it */
    unsigned ready = 0;
    if (!test_begin("poll: a move keeps all sources; stale events reach nobody; a file is always ready"))
        return;
    pipes_open(&p);
    CHECK(wsi_poll_choose(&poller, WS_POLLER_AUTO, false));
    for (int i = 0; i < 3; i++) {
        CHECK(wsi_poll_set(&poller, &p.sources[i], WS_READ));
        pipes_fill(&p, i);
    }
    memset(&early, 0, sizeof early);
    early.link.descriptor = open(__FILE__, O_RDONLY);
    CHECK(early.link.descriptor >= 0 && wsi_poll_set(&poller, &early, WS_READ));
    if (!wsi_poll_move(&poller)) {
        test_skip("neither epoll nor kqueue");
        pipes_close(&p);
        return;
    }
    CHECK_EQ(wsi_poll_wait(&poller, UINT64_MAX), 4);
    CHECK(wsi_poll_set(&poller, &p.sources[0], WS_NONE));
    CHECK(wsi_poll_set(&poller, &p.sources[1], WS_NONE));
    p.sources[3].link.descriptor = p.sources[1].link.descriptor; /* the descriptor is reused */
    CHECK(wsi_poll_set(&poller, &p.sources[3], WS_READ));
    CHECK(wsi_poll_next(&poller, &ready) == &p.sources[2]);
    CHECK_EQ(ready, WS_READ);
    CHECK(wsi_poll_next(&poller, &ready) == &early && ready == WS_READ);
    CHECK(wsi_poll_next(&poller, &ready) == NULL);
    CHECK(wsi_poll_set(&poller, &early, WS_NONE));
    (void)close(early.link.descriptor);
    CHECK(wsi_poll_set(&poller, &p.sources[2], WS_NONE));
    memset(&file, 0, sizeof file);
    file.link.descriptor = open(__FILE__, O_RDONLY);
    CHECK(file.link.descriptor >= 0 && wsi_poll_set(&poller, &file, WS_READ));
    CHECK_EQ(wsi_poll_wait(&poller, UINT64_MAX), 2);
    CHECK(wsi_poll_next(&poller, &ready) == &p.sources[3]);
    CHECK(wsi_poll_next(&poller, &ready) == &file);
    CHECK(wsi_poll_next(&poller, &ready) == NULL);
    CHECK(wsi_poll_set(&poller, &file, WS_NONE));
    CHECK_EQ(wsi_poll_wait(&poller, 0), 1);
    (void)close(file.link.descriptor);
    pipes_close(&p);
}
#else
static void test_moves(void) {
    if (test_begin("poll: a move keeps all sources; stale events reach nobody; a file is always ready"))
        test_skip("neither epoll nor kqueue");
}
#endif

int main(int argc, char **argv) {
    test_start_in_tree(argc, argv);
    test_range();
    test_highest();
    test_ready();
    test_write();
    test_removed();
    test_changed();
    test_foreign();
    test_timeout();
    test_failure_of_select();
    test_moves();
    return test_finish();
}
