/* LOOP: a late round. No deadline is checked before everything that arrived by then is served, whatever made the loop
   late: a peer that acted in time is never dropped. And a peer that sends without end does not keep timers from
   firing. */
#include "../helpers/calls.h"

#if !defined(WSI_POLLER_DEFAULT)
#define WSI_POLLER_DEFAULT WS_POLLER_SELECT /* for all of the crowd: it must not move to epoll */
#endif
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

#include <pthread.h>

enum { CROWD = 150 }; /* more than two calls of epoll_wait report */

/* --- ways to be late --- */

typedef enum way {
    STOPPED,     /* the process: time has passed when the loop polls */
    INTERRUPTED, /* a signal ends the wait before it finds anything */
    UNTOLD,      /* a foreign select failed, or timed out before: its sets are empty */
    SLOW,        /* a callback of the same round takes that long */
    WAYS
} way;

static const char *const ways[WAYS] = {"a stopped process", "a signal", "a foreign loop with empty sets",
                                       "a slow callback"};

static int slow[2];
static uint64_t slow_ms; /* 0: the slow callback is not called */
static bool slow_leads;

static void takes_long(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    char byte;
    (void)loop;
    (void)ready;
    (void)user;
    CHECK_EQ(recv(descriptor, &byte, 1, 0), 1);
    net.now += slow_ms;
    slow_ms = 0;
}

/* slow_open comes before the loop, slow_close after it, because net.h counts the descriptors left by a loop. */
static void slow_open(void) { CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, slow), 0); }

static void slow_watch(void) { CHECK(ws_watch(net.loop, slow[0], WS_READ, takes_long, NULL)); }

/* Lets the slow callback be served first. On Windows that is the newest descriptor. */
static void slow_lead(void) {
    if (TEST_WINDOWS) {
        CHECK(ws_watch(net.loop, slow[0], WS_NONE, NULL, NULL));
        slow_watch();
    }
}

static void slow_close(void) {
    (void)close(slow[0]);
    (void)close(slow[1]);
}

static void slow_now(uint64_t milliseconds) {
    slow_ms = milliseconds;
    CHECK_EQ(send(slow[1], "x", 1, MSG_NOSIGNAL), 1);
}

/* The slow callback comes first in its round: all else is served that late. */
static void be_late_first(way how, uint64_t milliseconds) {
    slow_leads = how == SLOW;
    if (slow_leads)
        slow_now(milliseconds);
}

/* This much time passes while the loop does not poll; the peers' bytes have arrived meanwhile. */
static void be_late(way how, uint64_t milliseconds) {
    fd_set empty;
    calls_reset();
    if (how == SLOW && !slow_ms)
        slow_now(milliseconds);
    else if (how != SLOW)
        net.now += milliseconds;
    if (how == INTERRUPTED) {
        calls.fail_at[CALLS_WAIT] = 1;
        calls.error = EINTR;
    }
    if (slow_leads)
        slow_lead();
    slow_leads = false;
    FD_ZERO(&empty);
    calls.inside = true;
    if (how == UNTOLD)
        CHECK(ws_loop_dispatch(net.loop, &empty, &empty));
    else
        CHECK(ws_run_once(net.loop, 0));
    calls_reset();
    CHECK(net_settle());
}

static void peer_sends(peer *p, const void *data, size_t size) {
    CHECK_EQ(send(p->fd, data, size, MSG_NOSIGNAL), size);
}

static void open_crowd(void) {
    int i;
    for (i = 0; i < CROWD; i++)
        (void)net_peer("/");
    CHECK_EQ(net.opened, CROWD);
}

static size_t answered_with(const char *line) {
    size_t good = 0, i;
    for (i = 0; i < net.peer_count; i++)
        good += net.peers[i].in.size >= strlen(line) && memcmp(net.peers[i].in.data, line, strlen(line)) == 0;
    return good;
}

/* --- a server's deadlines --- */

static void late_pongs(way how) {
    size_t i;
    open_crowd();
    net_wait(25000);
    for (i = 1; i < CROWD; i++) { /* the first sends nothing */
        CHECK_EQ(net.peers[i].in.size, 2);
        peer_sends(&net.peers[i], "\x8a\x80\0\0\0\0", 6);
    }
    be_late(how, 20001);
    CHECK_EQ(net.closed, 1);
    CHECK_EQ(net.codes[1], 1006);
}

static void late_heads(way how) {
    size_t i;
    for (i = 0; i < CROWD; i++)
        (void)net_connect();
    CHECK(net_settle());
    CHECK_EQ(net.server->endpoint.count, CROWD);
    for (i = 1; i < CROWD; i++)
        peer_upgrade(&net.peers[i], "/", NULL);
    be_late(how, 10001);
    CHECK_EQ(net.opened, CROWD - 1);
    CHECK_EQ(answered_with("HTTP/1.1 101 "), CROWD - 1);
    CHECK(net.peers[0].ended);
}

static void says_yes(ws_request *request, void *user) {
    (void)user;
    CHECK(ws_reply(request, 200, "text/plain", "yes"));
}

static void late_bodies(way how) {
    static char body[60000]; /* four reads: see start */
    size_t i;
    CHECK(ws_http(net.server, "POST", "/body", says_yes, NULL));
    memset(body, 'b', sizeof body);
    for (i = 0; i < CROWD; i++)
        peer_text(net_connect(), "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    CHECK(net_settle());
    for (i = 1; i < CROWD; i++)
        peer_sends(&net.peers[i], body, sizeof body);
    be_late(how, 30001);
    CHECK_EQ(answered_with("HTTP/1.1 200 "), CROWD - 1);
    CHECK(net.peers[0].ended);
}

static ws_id kept[CROWD];
static size_t kept_count;

static void keeps(ws_request *request, void *user) {
    (void)user;
    kept[kept_count++] = ws_keep(request, NULL, NULL);
}

static void answers_one(void *argument) { (void)ws_reply(ws_kept(net.loop, *(ws_id *)argument), 200, NULL, "late"); }

static void answers_all(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    size_t i;
    (void)ready;
    (void)user;
    CHECK(ws_watch(loop, descriptor, WS_NONE, NULL, NULL));
    for (i = 1; i < kept_count; i++)
        answers_one(&kept[i]);
}

static void late_answers(way how, bool by_posts) {
    int ends[2];
    size_t i;
    CHECK(ws_http(net.server, "GET", "/kept", keeps, NULL));
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    kept_count = 0;
    for (i = 0; i < CROWD; i++)
        peer_text(net_connect(), "GET /kept HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(net_settle());
    CHECK_EQ(kept_count, CROWD);
    if (!by_posts)
        CHECK(ws_watch(net.loop, ends[0], WS_READ, answers_all, NULL));
    CHECK_EQ(send(ends[1], "x", 1, MSG_NOSIGNAL), 1);
    for (i = 1; by_posts && i < CROWD; i++)
        CHECK(ws_post(net.loop, answers_one, &kept[i]));
    be_late(how, 30001);
    CHECK_EQ(answered_with("HTTP/1.1 200 "), CROWD - 1);
    CHECK_EQ(answered_with("HTTP/1.1 503 "), 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void late_answers_watched(way how) { late_answers(how, false); }

static void late_answers_posted(way how) { late_answers(how, true); }

static void late_closes(way how) {
    unsigned i, clean = 0;
    open_crowd();
    for (i = 1; i <= CROWD; i++)
        CHECK(ws_close(net.conns[i], 1000, NULL));
    CHECK(net_settle());
    for (i = 1; i < CROWD; i++)
        peer_sends(&net.peers[i], "\x88\x82\0\0\0\0\x03\xe8", 8);
    be_late(how, 5001);
    for (i = 1; i <= CROWD; i++)
        clean += net.codes[i] == 1000;
    CHECK_EQ(clean, CROWD - 1);
    CHECK_EQ(net.closed, CROWD);
}

static void logs(ws_loop *loop, void *user) {
    (void)loop;
    net_log("%s", (const char *)user);
}

/* A timer of the program, for a deadline of its own. */
static void late_timers(way how) {
    size_t i;
    open_crowd();
    net.log.size = 0;
    net.quiet = true;
    CHECK(ws_after(net.loop, 700, logs, "timer") != 0);
    for (i = 0; i < CROWD; i++)
        peer_sends(&net.peers[i], "\x81\x81\0\0\0\0x", 7);
    be_late(how, 701);
    CHECK_EQ(net.received, CROWD);
    CHECK_LOG("timer");
    for (i = 0; i < CROWD; i++)
        CHECK_EQ(net.peers[i].in.size, 3);
}

static void late_timers_order(way how) {
    size_t i;
    open_crowd();
    net.log.size = 0;
    CHECK(ws_after(net.loop, 700, logs, "timer") != 0);
    for (i = 0; i < CROWD; i++)
        peer_sends(&net.peers[i], "\x81\x81\0\0\0\0x", 7);
    be_late(how, 701);
    CHECK(net.log.size > 5 && memcmp(net.log.data + net.log.size - 5, "timer", 5) == 0);
}

static const struct {
    const char *name;
    void (*run)(way how);
} server_rows[] = {
    {"pongs", late_pongs},       {"heads", late_heads},
    {"bodies", late_bodies},     {"answers by a watched descriptor", late_answers_watched},
    {"closes", late_closes},     {"answers by posts", late_answers_posted},
    {"messages before the program's timer", late_timers_order}, {"messages and the program's timer", late_timers}};

static void test_server(void) {
    ws_loop_config config;
    size_t i;
    int how;
    memset(&config, 0, sizeof config);
    config.receive_size = 16 << 10;
    for (i = 0; i < COUNT(server_rows); i++) {
        for (how = 0; how < WAYS; how++) {
            if (!test_begin("late by %s: %s that have arrived count", ways[how], server_rows[i].name))
                continue;
            slow_open();
            CHECK(net_start_with(&config, NULL));
            slow_watch();
            server_rows[i].run((way)how);
            CHECK_EQ(ws_loop_error(net.loop), WS_OK);
            NET_END();
            slow_close();
        }
    }
}

/* --- a client's deadlines --- */

static raw_server *raw;

static void client_answers(peer *p) {
    char answer[200];
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 101 a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n", raw_accept_value(raw_head(p)));
    peer_sends(p, answer, strlen(answer));
}

static peer *client_opens(void) {
    peer *p;
    (void)client_dial_raw(raw, NULL);
    p = raw_accept(raw);
    client_answers(p);
    CHECK(net_settle());
    CHECK_LOG("o1");
    return p;
}

/* The socket is connected; the loop has not seen it. */
static void late_connect(way how) {
    be_late_first(how, 10001);
    (void)client_dial_raw(raw, NULL);
    be_late(how, 10001);
    client_answers(raw_accept(raw));
    CHECK(net_settle());
    CHECK_LOG("o1");
}

static const calls_name names[] = {{"late.example", "127.0.0.1", true}, {NULL, NULL, false}};

/* The look-up has its answer; connecting begins then, and has its time. */
static void late_resolve(way how) {
    struct timeval limit = {5, 0};
    wsi_client *dialed;
    char url[60];
    fd_set reads;
    calls_hold();
    (void)snprintf(url, sizeof url, "ws://late.example:%u/", (unsigned)raw->port);
    dialed = wsi_client_of(client_dial(url, NULL));
    calls_let_go();
    FD_ZERO(&reads);
    FD_SET(dialed->lookup->source.link.descriptor, &reads);
    CHECK_EQ(select(dialed->lookup->source.link.descriptor + 1, &reads, NULL, NULL, &limit), 1);
    be_late(how, 10001);
    client_answers(raw_accept(raw));
    CHECK(net_settle());
    CHECK_LOG("o1");
}

static ws_client_config proxy_config(void) {
    static char proxy[60];
    ws_client_config config = client_config();
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)raw->port);
    config.proxy = proxy;
    return config;
}

/* The proxy is connected, and has not been asked yet: it has its time to answer. */
static void late_proxy(way how) {
    ws_client_config config = proxy_config();
    peer *p;
    be_late_first(how, 10001);
    (void)client_dial("ws://far.example/", &config);
    be_late(how, 10001);
    p = raw_accept(raw);
    CHECK(memcmp(raw_head(p), "CONNECT far.example:80 ", 23) == 0);
    peer_text(p, "HTTP/1.1 200 ok\r\n\r\n");
    client_answers(p);
    CHECK(net_settle());
    CHECK_LOG("o1");
}

static void late_proxy_answer(way how) {
    ws_client_config config = proxy_config();
    peer *p;
    (void)client_dial("ws://far.example/", &config);
    p = raw_accept(raw);
    (void)raw_head(p);
    CHECK(net_settle());
    be_late_first(how, 10001);
    peer_sends(p, "HTTP/1.1 200 ok\r\n\r\n", 19);
    be_late(how, 10001);
    client_answers(p);
    CHECK(net_settle());
    CHECK_LOG("o1");
}

static void late_handshake(way how) {
    peer *p;
    (void)client_dial_raw(raw, NULL);
    p = raw_accept(raw);
    client_answers(p);
    be_late(how, 10001);
    CHECK_LOG("o1");
}

static void late_pong(way how) {
    peer *p = client_opens();
    net_wait(25000);
    CHECK_EQ(p->in.size, 6);
    peer_sends(p, "\x8a\0", 2);
    be_late(how, 20001);
    CHECK_LOG("");
}

static void late_close(way how) {
    peer *p = client_opens();
    CHECK(ws_close(client.conn, 1000, NULL));
    CHECK(net_settle());
    peer_sends(p, "\x88\2\x03\xe8", 4);
    be_late(how, 5001);
    CHECK_LOG("c1:1000::y");
}

static const struct {
    const char *name;
    void (*run)(way how);
} client_rows[] = {{"a connected socket", late_connect}, {"an address", late_resolve},
                   {"a connected proxy", late_proxy},    {"a proxy's answer", late_proxy_answer},
                   {"the server's answer", late_handshake}, {"its pong", late_pong}, {"its close", late_close}};

static void test_client(void) {
    size_t i;
    int how;
    for (i = 0; i < COUNT(client_rows); i++) {
        for (how = 0; how < WAYS; how++) {
            if (!test_begin("a client late by %s: %s that has arrived counts", ways[how], client_rows[i].name))
                continue;
            slow_open();
            client_start(NULL);
            slow_watch();
            raw = raw_listen();
            client_rows[i].run((way)how);
            CHECK_EQ(client.errors, 0);
            CHECK_STR(client.text, "");
            CLIENT_END();
            slow_close();
        }
    }
}

/* --- blocking clients: their server answers whenever they wait --- */

static struct {
    peer *p;
    void (*step)(void);
    unsigned waits;
    uint64_t leap; /* how much time passes with each reading of the clock */
} blocking;

static uint64_t leaping_clock(void *user) {
    net.now += blocking.leap;
    return net_clock(user);
}

static bool blocking_wait(wsi_client *waiting, uint32_t milliseconds) {
    blocking.waits++;
    if (blocking.step)
        blocking.step();
    return wsi_blocking_round(waiting, milliseconds > 20 ? 20 : milliseconds);
}

/* The second wait finds the server connected, some later one its request; then the answer waits for 10 s. */
static void answers_late(void) {
    int fd = blocking.p ? -1 : accept(raw->fd, NULL, NULL);
    if (fd >= 0)
        blocking.p = raw_peer(fd);
    if (blocking.p)
        (void)peer_read(blocking.p);
    if (!blocking.p || !peer_has(blocking.p, "\r\n\r\n"))
        return;
    client_answers(blocking.p);
    net.now += 10001;
    blocking.step = NULL;
}

static ws_conn *blocking_open(void) {
    ws_loop_config own;
    wsi_client *made;
    memset(&own, 0, sizeof own);
    memset(&blocking, 0, sizeof blocking);
    own.allocator.resize = drive_resize;
    own.allocator.user = &net.memory;
    own.clock = leaping_clock;
    own.clock_user = &net.now;
    blocking.step = answers_late;
    made = wsi_blocking_new(&own, client_url(raw, "/"), NULL);
    made->wait = blocking_wait;
    wsi_client_launch(made);
    return wsi_blocking_open(made);
}

/* Waits until this many bytes are readable at the client's socket. */
static void blocking_has(ws_conn *conn, int size) {
    int here = 0, i;
    for (i = 0; i < 2000 && here < size; i++) {
        struct timeval little = {0, 1000};
        CHECK_EQ(ioctl(conn->source.link.descriptor, FIONREAD, &here), 0);
        if (here < size)
            (void)select(0, NULL, NULL, NULL, &little);
    }
    CHECK(here >= size);
}

static void test_blocking(void) {
    static char large[70000];
    ws_message message;
    ws_conn *conn;
    if (!test_begin("a blocking client: an answer or message that has arrived counts although the time is up"))
        return;
    client_start(NULL);
    raw = raw_listen();
    conn = blocking_open();
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK_EQ(ws_last_error(conn), WS_OK);
    peer_sends(blocking.p, "\x81\2hi", 4);
    blocking_has(conn, 4);
    calls_reset();
    calls.fail_at[CALLS_WAIT] = 1; /* a signal, after which the time is up */
    calls.error = EINTR;
    calls.inside = true;
    blocking.leap = 400;
    CHECK(ws_receive_within(conn, &message, 1000));
    CHECK(message.size == 2 && memcmp(message.data, "hi", 2) == 0);
    CHECK_EQ(calls.count[CALLS_WAIT], 2);
    calls_reset();
    blocking.leap = 0;
    memset(large, 'x', sizeof large); /* two reads */
    memcpy(large, "\x82\x7f\0\0\0\0\0\1\x11\x66", 10); /* 69,990 bytes */
    CHECK_EQ(send(blocking.p->fd, large, sizeof large, MSG_NOSIGNAL), sizeof large);
    blocking_has(conn, sizeof large);
    CHECK(ws_receive_within(conn, &message, 0));
    CHECK_EQ(message.size, 69990);
    blocking.waits = 0;
    CHECK(!ws_receive_within(conn, &message, 0));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
    CHECK_EQ(blocking.waits, 1);
    peer_sends(blocking.p, "\x88\2\x03\xe8", 4);
    CHECK(!ws_receive(conn, &message));
    ws_free(conn);
    CLIENT_END();
}

/* --- time spent in a callback does not shorten what it begins --- */

static uint64_t hook_ms;

static void slow_hook(ws_request *request, void *user) {
    (void)request;
    (void)user;
    net.now += hook_ms;
}

/* All at once, and each takes 300 ms to accept: the last one waits 75 s. */
static void test_crowd(void) {
    enum { MANY = NET_PEERS - 6 };
    size_t i;
    if (!test_begin("%d connect at once to a slow hook: all are accepted", MANY))
        return;
    CHECK(net_start());
    hook_ms = 300;
    CHECK(ws_before(net.server, slow_hook, NULL));
    for (i = 0; i < MANY; i++)
        peer_upgrade(net_connect(), "/", NULL);
    CHECK(net_settle());
    CHECK_EQ(net.opened, MANY);
    CHECK_EQ(answered_with("HTTP/1.1 101 "), MANY);
    NET_END();
}

static void starts_timer(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    (void)message;
    net.now += 5000;
    CHECK(ws_after(ws_conn_loop(conn), 1000, logs, "timer") != 0);
}

static void closes(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    (void)message;
    net.now += 6000;
    CHECK(ws_close(conn, 1000, NULL));
}

static void dials(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    (void)message;
    net.now += 11000;
    client.conn = NULL;
    net_inside(false);
    (void)client_dial_raw(raw, NULL);
    (void)conn;
}

static void test_begun_late(void) {
    peer *p;
    if (test_begin("a timer that a slow callback sets has its whole time")) {
        CHECK(net_start());
        p = net_peer("/");
        net.on_message = starts_timer;
        peer_frames(p, "81\"x\"");
        CHECK(net_settle());
        net_wait(999);
        CHECK_LOG("o1 t1:x");
        net_wait(1);
        CHECK_LOG("timer");
        NET_END();
    }
    if (test_begin("a close that a slow callback begins: the peer has its whole time")) {
        CHECK(net_start());
        p = net_peer("/");
        net.on_message = closes;
        peer_frames(p, "81\"x\"");
        CHECK(net_settle());
        net_wait(4999);
        CHECK_EQ(net.closed, 0);
        peer_frames(p, "88<03e8>");
        CHECK(net_settle());
        CHECK_LOG("o1 t1:x c1:1000::y");
        NET_END();
    }
    if (test_begin("a client that a slow callback dials has its whole time")) {
        CHECK(net_start());
        memset(&client, 0, sizeof client);
        raw = raw_listen();
        p = net_peer("/");
        net.on_message = dials;
        peer_frames(p, "81\"x\"");
        client_answers(raw_accept(raw));
        CHECK(net_settle());
        CHECK_LOG("o1 t1:x o2");
        raw_close(raw);
        NET_END();
    }
}

static void keeps_late(ws_request *request, void *user) {
    net.now += hook_ms;
    keeps(request, user);
}

static void yes_late(ws_request *request, void *user) {
    net.now += hook_ms;
    says_yes(request, user);
}

static void test_requests(void) {
    peer *p;
    if (test_begin("a request that a slow function keeps has its whole time")) {
        CHECK(net_start());
        CHECK(ws_http(net.server, "GET", "/kept", keeps_late, NULL));
        hook_ms = 31000;
        kept_count = 0;
        p = net_connect();
        peer_text(p, "GET /kept HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK(net_settle());
        net_wait(29999);
        CHECK(ws_kept(net.loop, kept[0]) != NULL);
        answers_one(&kept[0]);
        CHECK_EQ(peer_status(p), 200);
        NET_END();
    }
    if (test_begin("after a slow function the connection is kept for its next request")) {
        CHECK(net_start());
        CHECK(ws_http(net.server, "GET", "/slow", yes_late, NULL));
        hook_ms = 31000;
        p = net_connect();
        peer_text(p, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK(net_settle());
        net_wait(9000);
        CHECK(!p->ended);
        CHECK_EQ(peer_status(p), 200);
        NET_END();
    }
}

/* A blocked peer takes some bytes after a long callback: it is alive. */
static void test_taken_late(void) {
    peer *p;
    if (!test_begin("a slow reader takes some bytes after a callback of 50 s: it is kept"))
        return;
    slow_open();
    CHECK(net_start());
    slow_watch();
    net_small_buffers();
    p = net_open_with("/", 4096);
    p->deaf = true;
    peer_frames(p, "82#300000");
    CHECK(net_settle());
    CHECK(ws_buffered(net.conns[1]) > 100000);
    p->deaf = false;
    slow_now(50000);
    slow_lead();
    (void)net_read_all();
    CHECK(ws_run_once(net.loop, 0));
    CHECK(ws_run_once(net.loop, 0));
    CHECK(peer_wait(p, 300010));
    CHECK_EQ(net.closed, 0);
    NET_END();
    slow_close();
}

/* --- peers that send without end --- */

static unsigned flooded, flood_step;

/* Sends the next before this one is done: its socket is readable whenever the loop polls. */
static void floods(ws_conn *conn, unsigned number, ws_message message) {
    (void)conn;
    (void)message;
    flooded++;
    net.now += flood_step;
    if (number == 1 && flooded < 100000)
        peer_sends(&net.peers[0], "\x81\x81\0\0\0\0x", 7);
}

static void flood_timer(ws_loop *loop, void *user) {
    (void)loop;
    *(unsigned *)user = flooded;
    flooded = 100000;
}

#ifndef WS_NO_EPOLL
static void pretend_many(void) { /* there were many descriptors once */
    if (net.loop->poll.moved)
        net.loop->poll.most = 100000;
}
#else
static void pretend_many(void) {}
#endif

static void test_flood(void) {
    unsigned at, step;
    for (step = 0; step < 2; step++) {
        if (!test_begin("a peer that never stops sending does not keep a timer from firing; %s",
                        step ? "each message takes 1 ms" : "the clock stands"))
            continue;
        CHECK(net_start());
        (void)net_peer("/");
        pretend_many();
        at = flooded = 0;
        flood_step = step;
        net.quiet = true;
        net.on_message = floods;
        CHECK(ws_after(net.loop, 100, flood_timer, &at) != 0);
        peer_sends(&net.peers[0], "\x81\x81\0\0\0\0x", 7);
        net.now += 100;
        CHECK(ws_run_once(net.loop, 0));
        CHECK(at >= 2 && at <= (step ? 20 : WSI_POLLS + 20));
        CHECK(net_settle());
        NET_END();
    }
}

/* A wait that never succeeds: the loop has not polled, so it drops nobody; and it does not spin for ever. */
static void test_never_looks(void) {
    peer *p;
    if (!test_begin("signals without end: no deadline is checked before input is polled; a round has few calls"))
        return;
    CHECK(net_start());
    p = net_peer("/");
    net_wait(25000);
    CHECK_EQ(p->in.size, 2);
    peer_sends(p, "\x8a\x80\0\0\0\0", 6);
    net.now += 20001;
    calls_reset();
    calls.fail_at[CALLS_WAIT] = 1;
    calls.fail_after = true;
    calls.error = EINTR;
    calls.inside = true;
    CHECK(ws_run_once(net.loop, 0));
    CHECK(calls.count[CALLS_WAIT] >= 2 && calls.count[CALLS_WAIT] < 1000);
    calls_reset();
    CHECK_EQ(net.closed, 0);
    CHECK(net_settle());
    CHECK_EQ(net.closed, 0);
    NET_END();
}

/* A loop on time asks the poller once a round. */
static void test_calls(void) {
    peer *p;
    int i;
    if (!test_begin("a loop on time waits once for each round"))
        return;
    CHECK(net_start());
    p = net_peer("/");
    calls_reset();
    for (i = 0; i < 10; i++) {
        peer_sends(p, "\x81\x81\0\0\0\0x", 7);
        calls.inside = true;
        CHECK(ws_run_once(net.loop, 0));
        calls.inside = false;
    }
    CHECK_EQ(calls.count[CALLS_WAIT], 10);
    calls_reset();
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    calls_table = names;
    test_server();
    test_client();
    test_blocking();
    test_crowd();
    test_begun_late();
    test_requests();
    test_taken_late();
    test_flood();
    test_never_looks();
    test_calls();
    return test_finish();
}
