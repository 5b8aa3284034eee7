/* LOOP, POLL: the same server inside the loop of a host: select, epoll, libuv and GLib (where pkg-config finds them),
   also with 5,000 descriptors open. The peer is a blocking client in a thread of its own. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#include <pthread.h>
#include <sys/resource.h>
#ifndef WS_NO_TLS
#include "../helpers/certs.h"
#endif

enum { MANY = 5000, BIG = 300000, TIMER_MS = 20, IN_TIME_MS = 20000 };

static struct {
    ws_loop *loop;
    ws_server *server;
    int own[2];      /* a descriptor of the host's: each byte is an event */
    unsigned rounds; /* rounds of the loop */
    unsigned slept;  /* rounds from the start of the timer to its end */
    bool running, secure;
    char wrong[100]; /* what the client missed first */
} it;

/* --- the server --- */

static void rang(ws_loop *loop, void *user) {
    it.slept = it.rounds - it.slept;
    (void)ws_send_text(ws_find(loop, *(ws_id *)user), "rang");
}

static void serve(ws_conn *conn, ws_message message) {
    static ws_id id;
    id = ws_conn_id(conn);
    if (message.size == 5 && memcmp(message.data, "timer", 5) == 0) {
        it.slept = it.rounds;
        CHECK(ws_after(it.loop, TIMER_MS, rang, &id) != 0);
    } else {
        CHECK(ws_send(conn, message));
    }
}

static void tell_all(const char *text) {
    ws_message message = {(const uint8_t *)text, strlen(text), WS_TEXT};
    CHECK(ws_server_broadcast(it.server, NULL, message));
}

static void posted(void *argument) { tell_all((const char *)argument); }

/* An event of the host, which sends outside of the loop's rounds, so the bytes are queued. */
static void own_event(void) {
    char byte;
    CHECK_EQ(read(it.own[0], &byte, 1), 1);
    tell_all("own");
}

/* One round for the host. */
static bool run_once(void) {
    it.rounds++;
    return it.running = ws_run_once(it.loop, 0);
}

/* --- the client, in its thread --- */

static void expect(ws_conn *conn, const char *wanted, size_t size) {
    ws_message got;
    if (!it.wrong[0] && (!ws_receive(conn, &got) || got.size != size || memcmp(got.data, wanted, size) != 0))
        (void)snprintf(it.wrong, sizeof it.wrong, "%.20s: %.70s", wanted, ws_last_error_text(conn));
}

static void *talk(void *unused) {
    static char big[BIG + 1];
    ws_client_config config;
    ws_conn *conn;
    char url[64];
    memset(&config, 0, sizeof config);
    memset(big, 'b', BIG);
    config.tls.accept_any_certificate = true;
    config.receive_ms = IN_TIME_MS;
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u/", it.secure ? "wss" : "ws", (unsigned)ws_port(it.server));
    conn = ws_connect(url, &config);
    (void)ws_send_text(conn, "hello");
    expect(conn, "hello", 5);
    (void)ws_send_text(conn, big); /* over TLS more than OpenSSL gives at once */
    expect(conn, big, BIG);
    (void)ws_send_text(conn, "timer");
    expect(conn, "rang", 4);
    (void)ws_post(it.loop, posted, (void *)"posted");
    expect(conn, "posted", 6);
    if (write(it.own[1], "x", 1) == 1)
        expect(conn, "own", 3);
    ws_free(conn);
    (void)ws_shutdown(it.loop, 0);
    return unused;
}

/* --- the hosts: each runs until the loop is stopped --- */

/* A host with ws_loop_fds, or with the loop's one descriptor. */
static void host_fds(bool one) {
    do {
        fd_set reads, writes;
        struct timeval timeout = {100, 0};
        int highest = it.own[0], wait = one ? ws_loop_timeout(it.loop) : 0;
        FD_ZERO(&reads);
        FD_ZERO(&writes);
        FD_SET(it.own[0], &reads);
        if (one) {
            int descriptor = (int)ws_loop_descriptor(it.loop);
            FD_SET(descriptor, &reads);
            highest = descriptor > highest ? descriptor : highest;
            timeout.tv_sec = wait / 1000;
            timeout.tv_usec = wait % 1000 * 1000;
        } else {
            CHECK(ws_loop_fds(it.loop, &reads, &writes, &highest, &timeout));
        }
        CHECK(select(highest + 1, &reads, &writes, NULL, wait < 0 ? NULL : &timeout) >= 0);
        if (FD_ISSET(it.own[0], &reads))
            own_event();
        it.rounds += !one;
        it.running = one ? run_once() : ws_loop_dispatch(it.loop, &reads, &writes);
    } while (it.running);
}

static void host_select(void) { host_fds(false); }
#if !defined(_WIN32) /* WSAPoll has no descriptor */
static void host_select_one(void) { host_fds(true); }
#else
#define host_select_one NULL
#endif

#ifdef __linux__
#include <sys/epoll.h>

static void host_epoll(void) {
    int epoll = epoll_create1(0), count, i;
    struct epoll_event event, events[8];
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = it.own[0];
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, it.own[0], &event), 0);
    event.data.fd = ws_loop_descriptor(it.loop);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ws_loop_descriptor(it.loop), &event), 0);
    do {
        count = epoll_wait(epoll, events, 8, ws_loop_timeout(it.loop));
        CHECK(count >= 0);
        for (i = 0; i < count; i++)
            if (events[i].data.fd == it.own[0])
                own_event();
    } while (run_once());
    (void)close(epoll);
}
#else
#define host_epoll NULL
#endif

#ifdef HAS_libuv
#include <uv.h>

static struct {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_poll_t ready, own;
} uv;

static void uv_round(void) {
    if (!run_once())
        uv_stop(&uv.loop);
}

static void uv_ready(uv_poll_t *poll, int status, int events) {
    (void)poll, (void)events;
    CHECK_EQ(status, 0);
    uv_round();
}

static void uv_own(uv_poll_t *poll, int status, int events) {
    (void)poll, (void)status, (void)events;
    own_event();
}

static void uv_due(uv_timer_t *timer) {
    (void)timer;
    uv_round();
}

static void uv_before(uv_prepare_t *prepare) {
    (void)prepare;
    CHECK_EQ(uv_timer_start(&uv.timer, uv_due, (unsigned)ws_loop_timeout(it.loop), 0), 0); /* -1: 49 days */
}

static void uv_end(uv_handle_t *handle, void *user) {
    (void)user;
    uv_close(handle, NULL);
}

static void host_libuv(void) {
    CHECK_EQ(uv_loop_init(&uv.loop), 0);
    CHECK_EQ(uv_prepare_init(&uv.loop, &uv.prepare), 0);
    CHECK_EQ(uv_timer_init(&uv.loop, &uv.timer), 0);
    CHECK_EQ(uv_poll_init(&uv.loop, &uv.ready, ws_loop_descriptor(it.loop)), 0);
    CHECK_EQ(uv_poll_init(&uv.loop, &uv.own, it.own[0]), 0);
    CHECK_EQ(uv_prepare_start(&uv.prepare, uv_before), 0);
    CHECK_EQ(uv_poll_start(&uv.ready, UV_READABLE, uv_ready), 0);
    CHECK_EQ(uv_poll_start(&uv.own, UV_READABLE, uv_own), 0);
    CHECK(uv_run(&uv.loop, UV_RUN_DEFAULT) != 0); /* stopped, with handles left */
    uv_walk(&uv.loop, uv_end, NULL);
    CHECK_EQ(uv_run(&uv.loop, UV_RUN_DEFAULT), 0);
    CHECK_EQ(uv_loop_close(&uv.loop), 0);
}
#else
#define host_libuv NULL
#endif

#ifdef HAS_glib
#include <glib-unix.h>

static gboolean glib_prepare(GSource *source, gint *timeout) {
    (void)source;
    *timeout = ws_loop_timeout(it.loop);
    return *timeout == 0;
}

static gboolean glib_dispatch(GSource *source, GSourceFunc callback, gpointer user) {
    (void)source, (void)callback, (void)user;
    return run_once() ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean glib_own(gint descriptor, GIOCondition condition, gpointer user) {
    (void)descriptor, (void)condition, (void)user;
    own_event();
    return G_SOURCE_CONTINUE;
}

static void host_glib(void) {
    static GSourceFuncs functions = {glib_prepare, NULL, glib_dispatch, NULL, NULL, NULL};
    GMainContext *context = g_main_context_new();
    GSource *source = g_source_new(&functions, sizeof *source), *own = g_unix_fd_source_new(it.own[0], G_IO_IN);
    (void)g_source_add_unix_fd(source, ws_loop_descriptor(it.loop), G_IO_IN);
    g_source_set_callback(own, (GSourceFunc)(void (*)(void))glib_own, NULL, NULL);
    (void)g_source_attach(source, context);
    (void)g_source_attach(own, context);
    while (it.running)
        (void)g_main_context_iteration(context, TRUE);
    g_source_destroy(own);
    g_source_unref(own);
    g_source_unref(source);
    g_main_context_unref(context);
}
#else
#define host_glib NULL
#endif

/* --- the same for all --- */

static bool start(bool secure) {
    ws_server_config config;
    ws_handler handler;
    memset(&it, 0, sizeof it);
    memset(&config, 0, sizeof config);
    memset(&handler, 0, sizeof handler);
    handler.on_message = serve;
    it.running = true;
    it.secure = secure;
#ifndef WS_NO_TLS
    config.tls.cert_pem = secure ? certs.server.pem : NULL;
    config.tls.key_pem = secure ? certs.server.key_pem : NULL;
#endif
    it.loop = ws_loop_new(NULL);
    it.server = ws_listen(it.loop, &config);
    return pipe(it.own) == 0 && ws_route(it.server, "/", &handler);
}

static void run(void (*host)(void)) {
    pthread_t client;
    CHECK_EQ(pthread_create(&client, NULL, talk, NULL), 0);
    host();
    CHECK_EQ(pthread_join(client, NULL), 0);
    CHECK_STR(it.wrong, "");
    CHECK(it.slept > 0 && it.slept < 10); /* it waits for the timer, and does not spin */
    CHECK_EQ(ws_loop_error(it.loop), WS_OK);
}

static void finish(void) {
    ws_loop_free(it.loop);
    (void)close(it.own[0]);
    (void)close(it.own[1]);
}

static const struct {
    const char *name;
    void (*run)(void); /* NULL: this machine lacks it */
    bool many;         /* it takes descriptors beyond FD_SETSIZE */
} hosts[] = {{"select, ws_loop_fds", host_select, false}, {"select, one descriptor", host_select_one, false},
             {"epoll", host_epoll, true}, {"libuv", host_libuv, true}, {"GLib", host_glib, true}};
enum { HOSTS = sizeof hosts / sizeof *hosts };

static void test_hosts(bool secure) {
    size_t i;
    for (i = 0; i < HOSTS; i++) {
        if (!test_begin("host: %s%s: echo, timer, post, an event of its own, shutdown", hosts[i].name,
                        secure ? ", TLS" : ""))
            continue;
        if (!hosts[i].run) {
            test_skip("it is not on this machine");
            continue;
        }
        CHECK(start(secure));
        run(hosts[i].run);
        finish();
    }
}

/* --- 5,000 descriptors --- */

static int many[MANY];

static void open_many(void) {
    int i;
    for (i = 0; i < MANY; i++)
        many[i] = dup(STDERR_FILENO);
    CHECK(many[MANY - 1] >= MANY);
}

static void close_many(void) {
    int i;
    for (i = 0; i < MANY; i++)
        (void)close(many[i]);
}

/* They are open before the loop is made; or, where the host is select, before any connection. */
static void test_many(void) {
    struct rlimit before, limit;
    size_t i;
    for (i = 0; i < HOSTS; i++) {
        if (!hosts[i].run || !test_begin("host: %s with %d descriptors open", hosts[i].name, MANY))
            continue;
        CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        limit = before;
        limit.rlim_cur = MANY + 200;
        if (limit.rlim_max < limit.rlim_cur || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            test_skip("the limit of descriptors cannot be raised");
            continue;
        }
        if (hosts[i].many)
            open_many();
        CHECK(start(false));
        if (!hosts[i].many)
            open_many();
        run(hosts[i].run);
        finish();
        close_many();
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
}

/* --- results of the two functions --- */

static bool readable(int descriptor) {
    fd_set reads;
    struct timeval now = {0, 0};
    FD_ZERO(&reads);
    FD_SET(descriptor, &reads);
    return select(descriptor + 1, &reads, NULL, NULL, &now) == 1;
}

#ifndef WS_NO_EPOLL
static bool moved(void) { return net.loop->poll.moved; }
#else
static bool moved(void) { return false; }
#endif

static void test_descriptor(void) {
    int i, descriptor;
    if (!test_begin("host: the descriptor: the loop moves for it; it never changes, and is readable when there is work")
        || !test_posix("epoll or kqueue"))
        return;
    CHECK(net_start());
    descriptor = (int)ws_loop_descriptor(net.loop);
    CHECK(descriptor >= 0 && descriptor < FD_SETSIZE);
    CHECK(moved());
    CHECK(!readable(descriptor));
    for (i = 0; i < 50; i++)
        (void)net_peer("/");
    CHECK_EQ((int)ws_loop_descriptor(net.loop), descriptor);
    CHECK(!readable(descriptor));
    peer_frames(&net.peers[40], "81\"hi\"");
    CHECK(readable(descriptor));
    CHECK(ws_run_once(net.loop, 0));
    CHECK(!readable(descriptor));
    CHECK(ws_post(net.loop, posted, NULL)); /* the posted function is never called */
    CHECK(readable(descriptor));
    NET_END();
}

static void test_none(void) {
    ws_loop_config config;
    if (!test_begin("host: a loop on select has no descriptor; the error says what to set, the loop keeps running"))
        return;
    memset(&config, 0, sizeof config);
    config.poller = WS_POLLER_SELECT;
    CHECK(net_start_with(&config, NULL));
    CHECK_EQ((int)ws_loop_descriptor(net.loop), -1);
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    CHECK(strstr(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_DESCRIPTORS, "ws_loop_descriptor: ")) != NULL);
    CHECK(strstr(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_DESCRIPTORS, "WS_POLLER_AUTO")) != NULL);
    CHECK(net_serves());
    CHECK(!moved());
    CHECK_EQ((int)ws_loop_descriptor(NULL), -1);
    NET_END();
}

/* Each argument of the two calls may be missing, and a loop that has failed does nothing. */
static void test_arguments(void) {
    fd_set reads, writes;
    struct timeval timeout = {0, 0};
    int highest = -1;
    if (!test_begin("host: missing arguments, and a loop that has failed"))
        return;
    CHECK(net_start());
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    for (int missing = 0; missing < 5; missing++) {
        ws_loop *loop = missing == 1 ? NULL : net.loop;
        fd_set *read = missing == 2 ? NULL : &reads, *write = missing == 3 ? NULL : &writes;
        CHECK_EQ(ws_loop_fds(loop, read, write, missing == 4 ? NULL : &highest, &timeout), missing == 0);
        CHECK_EQ(ws_loop_dispatch(loop, read, write), missing == 0 || missing == 4);
    }
    CHECK(ws_loop_fds(net.loop, &reads, &writes, &highest, NULL));
    CHECK(!ws_route(net.server, "/", NULL)); /* now the loop has failed */
    CHECK(!ws_loop_fds(net.loop, &reads, &writes, &highest, &timeout));
    CHECK(!ws_loop_dispatch(net.loop, &reads, &writes));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    CHECK((int)ws_loop_descriptor(net.loop) >= -1);
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    NET_END();
}

static void in_callback(ws_loop *loop, void *user) {
    *(int *)user = ws_loop_timeout(loop);
    CHECK((int)ws_loop_descriptor(loop) >= 0);
    CHECK_EQ(ws_run(loop), WS_ERROR_STATE); /* it runs already: this returns at once */
    CHECK_EQ(ws_loop_error(loop), WS_OK);
}

static void watched(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    (void)loop, (void)descriptor, (void)ready;
    *(int *)user += 1;
}

static void test_timeout(void) {
    FILE *file = tmpfile();
    int inside = 7, files = 0;
    if (!test_begin("host: the timeout: none, until a timer, 0 within a callback and with a regular file")
        || !test_posix("files in a poller"))
        return;
    CHECK(file != NULL);
    net_start_loop(NULL);
    CHECK_EQ(ws_loop_timeout(NULL), -1);
    CHECK_EQ(ws_loop_timeout(net.loop), -1);
    CHECK(ws_after(net.loop, UINT32_MAX, in_callback, &inside) != 0);
    CHECK_EQ(ws_loop_timeout(net.loop), WSI_POLL_LONGEST);
    CHECK(ws_after(net.loop, 50, in_callback, &inside) != 0);
    CHECK_EQ(ws_loop_timeout(net.loop), 50);
    net.now += 49;
    CHECK(ws_run_once(net.loop, 0));
    CHECK_EQ(ws_loop_timeout(net.loop), 1);
    CHECK_EQ(inside, 7);
    net.now += 5;
    CHECK_EQ(ws_loop_timeout(net.loop), 0);
    CHECK(ws_run_once(net.loop, 0));
    CHECK_EQ(inside, 0);
    CHECK(moved()); /* in the middle of a round */
    CHECK_EQ(ws_loop_timeout(net.loop), WSI_POLL_LONGEST);
    CHECK(ws_watch(net.loop, fileno(file), WS_READ, watched, &files));
    CHECK_EQ(ws_loop_timeout(net.loop), 0);
    CHECK(ws_run_once(net.loop, 0));
    CHECK_EQ(files, 1);
    CHECK(ws_watch(net.loop, fileno(file), WS_NONE, NULL, NULL));
    CHECK_EQ(ws_loop_timeout(net.loop), WSI_POLL_LONGEST);
    CHECK(ws_stop(net.loop));
    CHECK(readable((int)ws_loop_descriptor(net.loop)));
    CHECK(!ws_run_once(net.loop, 0));
    (void)wsi_loop_fail(net.loop, WS_ERROR_SYSTEM); /* so that the host sees it */
    CHECK_EQ(ws_loop_timeout(net.loop), 0);
    CHECK(!ws_run_once(net.loop, 0));
    (void)fclose(file);
    net.descriptors--;
    NET_END();
}

static void test_queued(void) {
    peer *p;
    if (!test_begin("host: messages queued outside of callbacks are sent when the host asks how long to wait"))
        return;
    CHECK(net_start());
    p = net_peer("/");
    CHECK(ws_send_text(net.conns[1], "hi"));
    (void)peer_read(p);
    CHECK_EQ(p->in.size, 0);
    (void)ws_loop_timeout(net.loop);
    (void)peer_read(p);
    CHECK_MEM(p->in.data, p->in.size, "\x81\2hi", 4);
    CHECK(ws_close(net.conns[1], 1000, NULL));
    ws_drop(net.conns[1]);
    (void)ws_loop_timeout(net.loop);
    CHECK_EQ(net.closed, 1);
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_descriptor();
    test_none();
    test_arguments();
    test_timeout();
    test_queued();
    test_hosts(false);
#ifndef WS_NO_TLS
    certs_start();
    test_hosts(true);
    certs_end();
#endif
    test_many();
    return test_finish();
}
