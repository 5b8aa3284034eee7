/* LOOP: WS_ASSERT notices a call from another thread than the one that runs the loop. The loop's thread waits in a
   callback meanwhile, so that nothing races: `make tsan` runs it, too. */
static unsigned mistakes;
#define WS_ASSERT(x) ((x) ? (void)0 : (void)mistakes++)
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/test.h"

#include <pthread.h>

/* --- a loop in a thread of its own, which stops on request --- */

static struct {
    ws_loop *loop;
    ws_server *server;
    ws_conn *conn;
    ws_request *request;
    ws_id id, timer, kept;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool held, go_on;
    int result;
} it;

static void hold(void *argument) {
    (void)argument;
    (void)pthread_mutex_lock(&it.mutex);
    it.held = true;
    (void)pthread_cond_broadcast(&it.changed);
    while (!it.go_on)
        (void)pthread_cond_wait(&it.changed, &it.mutex);
    it.go_on = false;
    (void)pthread_mutex_unlock(&it.mutex);
}

static void wait_until_held(void) {
    (void)pthread_mutex_lock(&it.mutex);
    while (!it.held)
        (void)pthread_cond_wait(&it.changed, &it.mutex);
    (void)pthread_mutex_unlock(&it.mutex);
}

static void let_go(void) {
    (void)pthread_mutex_lock(&it.mutex);
    it.held = false;
    it.go_on = true;
    (void)pthread_cond_broadcast(&it.changed);
    (void)pthread_mutex_unlock(&it.mutex);
}

static void nothing(void *argument) { (void)argument; }

static void alarm_nothing(ws_loop *loop, void *user) { (void)loop, (void)user; }

static void watch_nothing(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    (void)loop, (void)descriptor, (void)ready, (void)user;
}

static void hook_nothing(ws_request *request, void *user) { (void)request, (void)user; }

/* --- the calls: from the program, from a callback, from a foreign thread --- */

enum { CALLS = 35, HARMLESS = 31 }; /* from HARMLESS on, calls that any thread may make */

static void call(int which) {
    ws_message message = {(const uint8_t *)"x", 1, WS_BINARY};
    ws_handler handler;
    fd_set none, reads, writes;
    int highest = -1;
    memset(&handler, 0, sizeof handler);
    FD_ZERO(&none);
    reads = writes = none;
    switch (which) {
    case 0: (void)ws_send(it.conn, message); break;
    case 1: (void)ws_send_text(it.conn, "x"); break;
    case 2: (void)ws_send_part(it.conn, message, true); break;
    case 3: (void)ws_ping(it.conn, NULL, 0); break;
    case 4: (void)ws_send_json(it.conn, "[%d]", 1); break;
    case 5: (void)ws_send_html(it.conn, "<p>%d", 1); break;
    case 6: (void)ws_find(it.loop, it.id); break;
    case 7: (void)ws_join(it.conn, "room"); break;
    case 8: (void)ws_broadcast(it.conn, "room", message); break;
    case 9: (void)ws_broadcast_json(it.conn, "room", "[%d]", 1); break;
    case 10: (void)ws_server_broadcast(it.server, NULL, message); break;
    case 11: (void)ws_leave(it.conn, "room"); break;
    case 12: (void)ws_cancel(it.loop, it.timer); break;
    case 13: it.timer = ws_after(it.loop, 3600000, alarm_nothing, NULL); break;
    case 14: (void)ws_cancel(it.loop, ws_every(it.loop, 3600000, alarm_nothing, NULL)); break;
    case 15: (void)ws_watch(it.loop, 0, WS_NONE, watch_nothing, NULL); break;
    case 16: (void)ws_route(it.server, "/more", &handler); break;
    case 17: (void)ws_page(it.server, "/page", "text/plain", "page"); break;
    case 18: (void)ws_http(it.server, "GET", "/http", hook_nothing, NULL); break;
    case 19: ws_drop(ws_dial(it.loop, "ws://127.0.0.1:1/", &handler, NULL)); break;
    case 20: (void)ws_kept(it.loop, 1); break;
    case 21: (void)ws_room_count(it.server, NULL); break;
    case 22: (void)ws_room_members(it.server, NULL, NULL, 0); break;
    case 23: (void)ws_room_slow(it.server, "room", WS_SLOW_CLOSE); break;
    case 24: (void)ws_loop_fds(it.loop, &reads, &writes, &highest, NULL); break;
    case 25: (void)ws_loop_timeout(it.loop); break;
    case 26: (void)ws_loop_descriptor(it.loop); break;
    case 27: (void)ws_close(it.conn, 1, NULL); break; /* no code: it stays open */
    case 28: ws_drop(it.conn); break; /* the last call that uses the connection */
    case 29: (void)ws_run_once(it.loop, 0); break;
    case 30: (void)ws_loop_dispatch(it.loop, &none, &none); break;
    case 31: (void)ws_post(it.loop, nothing, NULL); break;
    case 32: (void)ws_state(NULL); break;
    case 33: (void)ws_loop_error(it.loop); break;
    case 34: (void)ws_now(it.loop); break;
    }
}

static void all_calls(void *argument) {
    int i, last = argument ? *(int *)argument : CALLS;
    for (i = 0; i < last; i++)
        call(i);
}

static void opened(ws_conn *conn) {
    it.conn = conn;
    it.id = ws_conn_id(conn);
}

static void *run(void *argument) {
    (void)argument;
    it.result = (int)ws_run(it.loop);
    return NULL;
}

/* Starts a server and a client of it in one loop. */
static void start(void) {
    ws_server_config config;
    ws_handler handler;
    char url[64];
    memset(&it, 0, sizeof it);
    memset(&config, 0, sizeof config);
    memset(&handler, 0, sizeof handler);
    (void)pthread_mutex_init(&it.mutex, NULL);
    (void)pthread_cond_init(&it.changed, NULL);
    it.loop = ws_loop_new(NULL);
    it.server = ws_listen(it.loop, &config);
    handler.on_open = opened;
    CHECK(ws_route(it.server, "/", &handler));
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)ws_port(it.server));
    handler.on_open = NULL;
    CHECK(ws_dial(it.loop, url, &handler, NULL) != NULL);
    while (!it.conn && ws_run_once(it.loop, 10000)) {}
    CHECK(it.conn != NULL);
    mistakes = 0;
}

static void start_thread(void) { CHECK_EQ(pthread_create(&it.thread, NULL, run, NULL), 0); }

static void finish(void) {
    (void)pthread_cond_destroy(&it.changed);
    (void)pthread_mutex_destroy(&it.mutex);
    ws_loop_free(it.loop);
}

static void test_ours(void) {
    int all = CALLS - 8; /* without the last that close the connection */
    if (!test_begin("owner: calls before the loop runs, in its callbacks and afterwards are allowed"))
        return;
    start();
    all_calls(&all);
    CHECK(ws_post(it.loop, all_calls, &all));
    CHECK(ws_run_once(it.loop, 10000));
    start_thread(); /* the loop was created here, and runs there */
    CHECK(ws_post(it.loop, all_calls, NULL));
    CHECK(ws_stop(it.loop));
    CHECK_EQ(pthread_join(it.thread, NULL), 0);
    it.conn = NULL;
    all_calls(NULL); /* and the loop is ours again */
    CHECK_EQ(mistakes, 0);
    finish();
    CHECK_EQ(mistakes, 0);
}

static void test_foreign(void) {
    int i;
    if (!test_begin("owner: %d calls from a foreign thread while it runs are noticed, %d are not", HARMLESS,
                    CALLS - HARMLESS))
        return;
    start();
    start_thread();
    for (i = 0; i < CALLS; i++) {
        CHECK(ws_post(it.loop, hold, NULL));
        wait_until_held();
        mistakes = 0;
        call(i);
        if ((mistakes > 0) != (i < HARMLESS) && test_failure(__FILE__, __LINE__, "mistakes"))
            printf("    call %d: %u\n", i, mistakes);
        let_go();
    }
    mistakes = 0;
    CHECK(ws_shutdown(it.loop, 0));
    CHECK_EQ(pthread_join(it.thread, NULL), 0);
    CHECK_EQ(it.result, WS_OK);
    finish();
    CHECK_EQ(mistakes, 0);
}

/* Two threads never run one loop, whatever WS_ASSERT does. */
static void test_two(void) {
    if (!test_begin("owner: a second thread that runs the loop is refused"))
        return;
    start();
    start_thread();
    CHECK(ws_post(it.loop, hold, NULL));
    wait_until_held();
    CHECK_EQ(ws_run(it.loop), WS_ERROR_STATE);
    CHECK(!ws_run_once(it.loop, 0));
    CHECK_EQ(mistakes, 2);
    let_go();
    CHECK(ws_shutdown(it.loop, 0));
    CHECK_EQ(pthread_join(it.thread, NULL), 0);
    finish();
}

static void *call_foreign(void *argument) {
    call(*(int *)argument);
    return NULL;
}

/* Makes the call in another thread, which then ends. */
static unsigned mistakes_of(int which) {
    pthread_t thread;
    mistakes = 0;
    CHECK_EQ(pthread_create(&thread, NULL, call_foreign, &which), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return mistakes;
}

/* A host runs a loop only for moments, but owns it while it waits, too. */
static void test_host(void) {
    unsigned of_send = TEST_SMALL ? 2 : 1; /* without the common case it asks again */
    if (!test_begin("owner: while a host waits, a call from a foreign thread is noticed; between rounds it is not"))
        return;
    start();
    CHECK_EQ(mistakes_of(0), 0);
    (void)ws_loop_timeout(it.loop);
    CHECK_EQ(mistakes_of(0), of_send);
    CHECK_EQ(mistakes_of(31), 0); /* ws_post */
    CHECK(ws_run_once(it.loop, 0));
    CHECK_EQ(mistakes_of(0), 0);
    call(24); /* ws_loop_fds */
    CHECK_EQ(mistakes_of(0), of_send);
    call(30); /* ws_loop_dispatch */
    CHECK_EQ(mistakes_of(0), 0);
    CHECK_EQ(mistakes_of(25), 0); /* ws_loop_timeout, by a host whose thread ends */
    mistakes = 0;
    finish();
    CHECK_EQ(mistakes, 0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_ours();
    test_foreign();
    test_two();
    test_host();
    return test_finish();
}
