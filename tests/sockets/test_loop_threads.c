/* LOOP: what may be called from other threads, and loops that run side by side. For `make tsan`. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#include <pthread.h>
#include <sched.h>

enum { THREADS = 4, POSTS = 5000, ROUNDS = 200 };

typedef struct worker { /* a loop in a thread of its own */
    ws_loop *loop;
    ws_server *server;
    pthread_t thread;
    int result;
    unsigned posted, opened, closed, messages; /* used by its thread alone */
} worker;

static void worker_open(ws_conn *conn) {
    worker *w = (worker *)ws_user(conn);
    w->opened++;
    (void)ws_join(conn, "room");
}

static void worker_message(ws_conn *conn, ws_message message) {
    worker *w = (worker *)ws_user(conn);
    w->messages++;
    (void)ws_broadcast(conn, "room", message);
}

static void worker_close(ws_conn *conn, ws_close_info why) {
    worker *w = (worker *)ws_user(conn);
    (void)why;
    w->closed++;
}

static void *worker_run(void *argument) {
    worker *w = (worker *)argument;
    w->result = (int)ws_run(w->loop);
    return NULL;
}

static void worker_start(worker *w, uint16_t port) {
    ws_server_config config;
    ws_handler handler;
    memset(w, 0, sizeof *w);
    memset(&config, 0, sizeof config);
    memset(&handler, 0, sizeof handler);
    config.port = port;
    config.reuse_port = !TEST_WINDOWS;
    handler.on_open = worker_open;
    handler.on_message = worker_message;
    handler.on_close = worker_close;
    handler.user = w;
    w->result = -1;
    w->loop = ws_loop_new(NULL);
    w->server = ws_listen(w->loop, &config);
    CHECK(ws_route(w->server, "/", &handler));
    CHECK_EQ(pthread_create(&w->thread, NULL, worker_run, w), 0);
}

static void worker_join(worker *w) {
    CHECK_EQ(pthread_join(w->thread, NULL), 0);
    CHECK_EQ(w->result, WS_OK);
    CHECK_EQ(ws_loop_error(w->loop), WS_OK);
    ws_loop_free(w->loop);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opens = PTHREAD_COND_INITIALIZER;
static bool gate_shut;

static void posted(void *argument) { ((worker *)argument)->posted++; }

static void *posts(void *argument) {
    worker *w = (worker *)argument;
    for (int i = 0; i < POSTS; i++)
        while (!ws_post(w->loop, posted, w))
            (void)sched_yield(); /* too many posts are pending */
    return NULL;
}

static void test_posts(void) {
    worker w;
    pthread_t threads[THREADS];
    if (!test_begin("threads: %d threads post %d times each, every post is called once", THREADS, POSTS))
        return;
    worker_start(&w, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, posts, &w), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(ws_stop(w.loop)); /* after all posts */
    worker_join(&w);
    CHECK_EQ(w.posted, THREADS * POSTS);
}

/* --- a blocking client --- */

static int client_connect(uint16_t port) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct sockaddr_in address;
    struct timeval limit = {20, 0};
    char answer[129] = "";
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0
        || send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1
        || recv(fd, answer, 129, MSG_WAITALL) != 129 || memcmp(answer, "HTTP/1.1 101 ", 13) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void client_talk(int fd, int times) {
    for (int i = 0; i < times; i++) {
        char answer[4];
        CHECK_EQ(send(fd, "\x81\x82\0\0\0\0hi", 8, MSG_NOSIGNAL), 8);
        CHECK_EQ(recv(fd, answer, 4, MSG_WAITALL), 4);
        CHECK(memcmp(answer, "\x81\2hi", 4) == 0);
    }
}

static void test_shutdown(void) {
    worker w;
    char answer[19];
    if (!test_begin("threads: ws_shutdown from another thread"))
        return;
    worker_start(&w, 0);
    int fd = client_connect(ws_port(w.server));
    CHECK(fd >= 0);
    client_talk(fd, ROUNDS);
    CHECK(ws_shutdown(w.loop, 20000));
    CHECK_EQ(recv(fd, answer, 4, MSG_WAITALL), 4);
    CHECK(memcmp(answer, "\x88\x11\x03\xf4", 4) == 0);
    CHECK_EQ(recv(fd, answer, 15, MSG_WAITALL), 15);
    CHECK_EQ(send(fd, "\x88\x82\0\0\0\0\x03\xf4", 8, MSG_NOSIGNAL), 8);
    CHECK_EQ(recv(fd, answer, 1, MSG_WAITALL), 0);
    (void)close(fd);
    worker_join(&w);
    CHECK(w.opened == 1 && w.closed == 1 && w.messages == ROUNDS);
}

static void test_loops(void) {
    worker workers[THREADS];
    unsigned messages = 0, opened = 0;
    int fds[4 * THREADS];
    uint16_t port;
    if (!test_begin("threads: %d loops on one port, each in its thread", THREADS) || !test_posix("reuse_port"))
        return;
    worker_start(&workers[0], 0);
    port = ws_port(workers[0].server);
    for (int i = 1; i < THREADS; i++)
        worker_start(&workers[i], port);
    for (int i = 0; i < 4 * THREADS; i++) {
        fds[i] = client_connect(port);
        CHECK(fds[i] >= 0);
        client_talk(fds[i], 1); /* alone in its room, or it would hear other clients */
        (void)shutdown(fds[i], SHUT_WR);
        char rest;
        CHECK_EQ(recv(fds[i], &rest, 1, 0), 0);
        (void)close(fds[i]);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(ws_stop(workers[i].loop));
    for (int i = 0; i < THREADS; i++) {
        worker_join(&workers[i]);
        messages += workers[i].messages;
        opened += workers[i].opened;
        CHECK_EQ(workers[i].closed, workers[i].opened);
    }
    CHECK_EQ(messages, 4 * THREADS);
    CHECK_EQ(opened, 4 * THREADS);
}

static void waits(void *argument) {
    worker *w = (worker *)argument;
    (void)pthread_mutex_lock(&gate);
    while (gate_shut)
        (void)pthread_cond_wait(&gate_opens, &gate);
    (void)pthread_mutex_unlock(&gate);
    w->posted++;
}

static void *shuts_down(void *argument) {
    CHECK(ws_shutdown(((worker *)argument)->loop, 0));
    return NULL;
}

static void *stops(void *argument) {
    CHECK(ws_stop(((worker *)argument)->loop));
    return NULL;
}

/* The loop waits in a post, and the pipe is full of further posts. */
static void test_full(void) {
    static void *(*const ends[])(void *) = {stops, shuts_down};
    static const char *const names[] = {"ws_stop", "ws_shutdown"};
    for (int i = 0; i < 2; i++) {
        worker w;
        pthread_t threads[THREADS];
        unsigned taken = 0;
        if (!test_begin("threads: %s from other threads while no post fits: it takes effect", names[i]))
            continue;
        gate_shut = true;
        worker_start(&w, 0);
        while (ws_post(w.loop, waits, &w))
            taken++;
        CHECK(taken > (TEST_WINDOWS ? 2000 : 2500));
        for (int k = 0; k < THREADS; k++)
            CHECK_EQ(pthread_create(&threads[k], NULL, ends[i], &w), 0);
        for (int k = 0; k < THREADS; k++)
            CHECK_EQ(pthread_join(threads[k], NULL), 0);
        (void)pthread_mutex_lock(&gate);
        gate_shut = false;
        (void)pthread_cond_broadcast(&gate_opens);
        (void)pthread_mutex_unlock(&gate);
        worker_join(&w);
        CHECK_EQ(w.posted, taken);
    }
}

typedef struct question { /* a program's way to ask a loop from another thread */
    worker *asked;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    size_t answer;
    bool ready;
} question;

static void answers(void *argument) {
    question *q = (question *)argument;
    ws_message message = {(const uint8_t *)"post", 4, WS_TEXT};
    size_t members = ws_room_count(q->asked->server, "room");
    CHECK(ws_server_broadcast(q->asked->server, "room", message));
    (void)pthread_mutex_lock(&q->mutex);
    q->answer = members;
    q->ready = true;
    (void)pthread_cond_signal(&q->done);
    (void)pthread_mutex_unlock(&q->mutex);
}

static void test_ask(void) {
    worker w;
    question q;
    char answer[6];
    if (!test_begin("threads: a posted function broadcasts and answers the thread that asked"))
        return;
    worker_start(&w, 0);
    int fd = client_connect(ws_port(w.server));
    client_talk(fd, 1);
    memset(&q, 0, sizeof q);
    q.asked = &w;
    (void)pthread_mutex_init(&q.mutex, NULL);
    (void)pthread_cond_init(&q.done, NULL);
    CHECK(ws_post(w.loop, answers, &q));
    (void)pthread_mutex_lock(&q.mutex);
    while (!q.ready)
        (void)pthread_cond_wait(&q.done, &q.mutex);
    (void)pthread_mutex_unlock(&q.mutex);
    CHECK_EQ(q.answer, 1);
    CHECK_EQ(recv(fd, answer, 6, MSG_WAITALL), 6);
    CHECK(memcmp(answer, "\x81\4post", 6) == 0);
    (void)close(fd);
    CHECK(ws_stop(w.loop));
    worker_join(&w);
    (void)pthread_cond_destroy(&q.done);
    (void)pthread_mutex_destroy(&q.mutex);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_posts();
    test_shutdown();
    test_full();
    test_loops();
    test_ask();
    return test_finish();
}
