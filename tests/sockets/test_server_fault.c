/* The Nth allocation and the Nth system call fail, or are short, for all N: no crash, no leak, no
   hang, and behind the fault the server serves again. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

static void say(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    if (message.type == WS_TEXT)
        (void)ws_broadcast(conn, ws_param(conn, "room"), message);
    else
        (void)ws_send(conn, message);
}

static void enter(ws_conn *conn, unsigned number) {
    ws_message part;
    (void)number;
    (void)ws_join(conn, ws_param(conn, "room"));
    part.data = (const uint8_t *)"part";
    part.size = 4;
    part.type = WS_TEXT;
    (void)ws_send_part(conn, part, false);
    (void)ws_broadcast_text(conn, ws_param(conn, "room"), "waits for the end");
    (void)ws_send_part(conn, part, true);
}

static void leave(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    (void)why;
    (void)ws_broadcast_text(conn, ws_param(conn, "room"), "left");
}

static void tick(ws_loop *loop, void *user) {
    (void)user;
    if (net.server)
        (void)ws_server_broadcast(net.server, NULL, (ws_message){(const uint8_t *)"tick", 4, WS_TEXT});
    (void)ws_now(loop);
}

static void posted(void *argument) { (void)argument; }

/* A loop and a server with routes; false: a fault hit it, and the loop says so. */
static bool start(void) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.buffered = 100000;
    config.origins = "*";
    net_start_loop(NULL);
    if (!net.loop)
        return false;
    calls.inside = true;
    net.server = ws_listen(net.loop, &config);
    if (net.server) {
        ws_handler handler = net_handler();
        handler.subprotocols = "chat";
        (void)ws_route(net.server, "/ws/{room}", &handler);
        (void)ws_page(net.server, "/", "text/html", "the page");
    }
    calls.inside = false;
    return net.server && !ws_loop_error(net.loop);
}

/* A few rounds: what a fault cuts short must not be waited for. */
static void rounds(int count) {
    while (count--)
        (void)net_round(0);
}

static peer *enter_room(const char *path) {
    peer *p = net_connect_to(ws_port(net.server), 4096);
    peer_upgrade(p, path, "Sec-WebSocket-Protocol: chat\r\n");
    rounds(3);
    return p;
}

/* Handshakes, a page, echoes small and large, a room, a slow reader, timers, posts, closes. */
static void scenario(void) {
    peer *a, *b, *c;
    net_small_buffers();
    net.quiet = true;
    net.on_open = enter;
    net.on_message = say;
    net.on_close = leave;
    a = net_connect_to(ws_port(net.server), 0);
    peer_text(a, "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    rounds(3);
    a = enter_room("/ws/lobby");
    b = enter_room("/ws/lobby");
    c = enter_room("/ws/other");
    (void)ws_every(net.loop, 10, tick, NULL);
    (void)ws_post(net.loop, posted, NULL);
    peer_frames(a, "81\"hello\" 81\"again\" 01\"in\"");
    rounds(2);
    peer_frames(a, "80\" parts\"");
    net.now += 10;
    peer_frames(c, "82#40000 89\"ping\"");
    rounds(3);
    b->deaf = true;
    peer_frames(a, "81*60000 81*60000 81*60000");
    rounds(4);
    b->deaf = false;
    rounds(6);
    peer_frames(a, "88<03e8>\"bye\"");
    peer_reset(c);
    rounds(4);
    net.now += 60000;
    rounds(4);
    peer_close(b);
    rounds(2);
}

/* Goes on without faults: the server must serve. A connection that lingers is given its time. */
static bool recovered(void) {
    bool good;
    peer *p;
    net.memory.fail_at = 0;
    calls.limit = 0;
    memset(calls.fail_at, 0, sizeof calls.fail_at);
    rounds(3);
    net.now += 200; /* listening goes on */
    rounds(2);
    if (!net_route("/plain"))
        return false;
    net.on_open = NULL;
    net.on_message = NULL;
    p = net_connect();
    peer_upgrade(p, "/plain", NULL);
    good = peer_status(p) == 101;
    peer_take_head(p);
    peer_frames(p, "82\"alive\"");
    (void)peer_wait(p, 7);
    return good && p->in.size >= 7 && memcmp(p->in.data, "\x82\5alive", 7) == 0;
}

static void test_allocations(bool after) {
    size_t n = 0, points = 0, failed_starts = 0;
    if (!test_begin("the Nth allocation fails, %s, for all N", after ? "and all behind it" : "once"))
        return;
    calls_reset();
    for (n = 1; n < 5000; n++) {
        bool started;
        memset(&net, 0, sizeof net);
        ws_loop_config config;
        size_t descriptors = net_descriptors();
        memset(&config, 0, sizeof config);
        net.now = 1000000;
        net.echo = true;
        net.descriptors = descriptors;
        net.memory.fail_at = n;
        net.memory.fail_after = after;
        config.allocator.resize = drive_resize;
        config.allocator.user = &net.memory;
        config.clock = net_clock;
        config.clock_user = &net.now;
        net.loop = ws_loop_new(&config);
        net.server = net.loop ? ws_listen(net.loop, NULL) : NULL;
        started = net.server && net_route("/ws/{room}") && ws_page(net.server, "/", "text/html", "the page");
        if (started) {
            scenario();
            CHECK_EQ(ws_loop_error(net.loop), WS_OK);
        } else {
            failed_starts++;
            CHECK(!net.loop || ws_loop_error(net.loop) == WS_ERROR_MEMORY);
        }
        points += net.memory.calls >= n;
        if (started)
            CHECK(recovered());
        bool through = net.memory.calls < n;
        NET_END();
        if (through)
            break;
    }
    CHECK(n < 5000 && points > 40 && failed_starts > 5);
    if (test_now.running)
        printf("allocations: %zu points\n", points);
}

/* Memory fails from the Nth allocation on, and the program shuts down: it must come to its end. */
static void test_shutdown(void) {
    size_t n;
    if (!test_begin("the Nth allocation and all behind it fail during a shutdown, for all N"))
        return;
    for (n = 0; n < 12; n++) {
        calls_reset();
        CHECK(start());
        net_small_buffers();
        peer *a = enter_room("/ws/lobby"), *b = enter_room("/ws/lobby");
        b->deaf = true;
        net.quiet = true;
        peer_frames(a, "82#1000");
        (void)ws_send_binary(net.conns[2], net.peers, sizeof net.peers);
        rounds(3);
        net.memory.fail_at = net.memory.calls + 1 + n;
        net.memory.fail_after = true;
        CHECK(ws_shutdown(net.loop, 100));
        (void)ws_watch(net.loop, a->fd, WS_READ, NULL, NULL);
        rounds(3);
        net.now += 101;
        rounds(3);
        CHECK(!ws_run_once(net.loop, 0));
        NET_END();
    }
}

static void watched(ws_loop *loop, int descriptor, unsigned ready, void *user) {
    (void)loop;
    (void)descriptor;
    (void)ready;
    (void)user;
}

/* Calls that answer with false or 0 when there is no memory, and leave all as it was. */
static void test_refusals(void) {
    char name[] = "ws_test_fault_XXXXXX";
    int fd = mkstemp(name), again;
    if (!test_begin("without memory: what a program calls answers no, and yes when there is some again"))
        return;
    CHECK(write(fd, name, sizeof name) == (ssize_t)sizeof name);
    calls_reset();
    CHECK(start());
    (void)enter_room("/ws/lobby");
    net.memory.fail_at = net.memory.calls + 1;
    net.memory.fail_after = true;
    for (again = 0; again < 2; again++) {
        bool wanted = again == 1;
        ws_id timer = ws_after(net.loop, 1000, tick, NULL);
        CHECK_EQ(timer != 0, wanted);
        CHECK_EQ(ws_every(net.loop, 1000, tick, NULL) != 0, wanted);
        CHECK_EQ(ws_watch(net.loop, fd, WS_READ, watched, NULL), wanted);
        CHECK_EQ(ws_join(net.conns[1], "room"), wanted);
        CHECK_EQ(ws_last_error(net.conns[1]) == WS_ERROR_MEMORY, true);
        CHECK_EQ(ws_broadcast_text(net.conns[1], NULL, "text"), wanted);
        CHECK_EQ(ws_loop_error(net.loop), WS_OK);
        net.memory.fail_at = 0;
    }
    CHECK(ws_watch(net.loop, fd, WS_NONE, NULL, NULL));
    (void)close(fd);
    net.descriptors--;
    for (again = 1; again < 20; again++) {
        net.memory.fail_at = net.memory.calls + (size_t)again;
        if (ws_page_file(net.server, "/file", "text/plain", name))
            break;
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_MEMORY);
        net.loop->error = WS_OK;
    }
    CHECK(again > 2 && again < 20);
    (void)unlink(name);
    net.memory.fail_at = 0;
    CHECK(recovered());
    NET_END();
}

static const struct {
    calls_kind kind;
    int error; /* 0: short */
    bool sticks; /* ws_run ends with an error, rightly */
} faults[] = {
    {CALLS_RECV, EAGAIN, false},    {CALLS_RECV, EINTR, false},     {CALLS_RECV, ECONNRESET, false},
    {CALLS_RECV, 0, false},         {CALLS_SEND, EAGAIN, false},    {CALLS_SEND, EINTR, false},
    {CALLS_SEND, EPIPE, false},     {CALLS_SEND, ENOBUFS, false},   {CALLS_SEND, 0, false},
    {CALLS_SENDMSG, EAGAIN, false}, {CALLS_SENDMSG, ECONNRESET, false}, {CALLS_SENDMSG, 0, false},
    {CALLS_ACCEPT, EAGAIN, false},  {CALLS_ACCEPT, EINTR, false},   {CALLS_ACCEPT, EMFILE, false},
    {CALLS_ACCEPT, ENOMEM, false},  {CALLS_ACCEPT, ECONNABORTED, false}, {CALLS_SELECT, EINTR, false},
    {CALLS_SELECT, ENOMEM, false},  {CALLS_SELECT, EBADF, true},    {CALLS_READ, EAGAIN, false},
    {CALLS_READ, EINTR, false},     {CALLS_WRITE, EAGAIN, false},   {CALLS_SHUTDOWN, ENOTCONN, false}};

/* One call fails; false: there is no such call any more. */
static bool fault_at(size_t i, size_t n, bool after) {
    bool hit;
    calls_reset();
    if (!start())
        abort();
    calls_reset();
    calls.fail_at[faults[i].kind] = n;
    calls.fail_after = after;
    calls.error = faults[i].error;
    scenario();
    hit = calls.count[faults[i].kind] >= n;
    if (faults[i].sticks && hit)
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_SYSTEM);
    else
        CHECK(ws_loop_error(net.loop) == WS_OK && recovered());
    calls_reset();
    NET_END();
    return hit;
}

static void test_faults(bool after) {
    size_t i, n, points;
    for (i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (!test_begin("the Nth %s %s %d, %s, for all N", calls_names[faults[i].kind],
                        faults[i].error ? "fails with" : "is short", faults[i].error,
                        after ? "and all behind it" : "once"))
            continue;
        for (n = 1, points = 0; n < 2000 && fault_at(i, n, after); n++)
            points++;
        CHECK(n < 2000);
        if (faults[i].kind != CALLS_WRITE && faults[i].kind != CALLS_SHUTDOWN)
            CHECK(points > 0);
    }
}

static void test_sizes(void) {
    static const size_t sizes[] = {1, 2, 3, 5, 17, 100, 1000};
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (!test_begin("every read and write takes at most %zu bytes", sizes[i]))
            continue;
        calls_reset();
        CHECK(start());
        calls.limit = sizes[i];
        scenario();
        CHECK(recovered());
        calls_reset();
        NET_END();
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_allocations(false);
    test_allocations(true);
    test_shutdown();
    test_refusals();
    test_faults(false);
    test_faults(true);
    test_sizes();
    return test_finish();
}
