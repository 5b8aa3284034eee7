/* TEST: the test client. A server's real routes in this process: no port, no thread, no real
   time. The log of callbacks is net.h's, and the server's. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

static drive_memory memory; /* of the test clients */

static bool start_with(const ws_server_config *server) {
    ws_loop_config loop;
    ws_server_config config;
    size_t descriptors = net_descriptors();
    memset(&net, 0, sizeof net);
    memset(&memory, 0, sizeof memory);
    memset(&loop, 0, sizeof loop);
    memset(&config, 0, sizeof config);
    if (server)
        config = *server;
    net.descriptors = descriptors;
    net.echo = true;
    config.no_port = true;
    loop.virtual_clock = true;
    loop.allocator.resize = drive_resize;
    loop.allocator.user = &net.memory;
    net.loop = ws_loop_new(&loop);
    net.server = ws_listen(net.loop, &config);
    return net.server && net_route("/") && net_route("/ws/{room}");
}

static bool start(void) { return start_with(NULL); }

static bool start_limits(const ws_limits *limits) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.limits = *limits;
    return start_with(&config);
}

static ws_client_config counted(void) {
    ws_client_config config;
    memset(&config, 0, sizeof config);
    config.allocator.resize = drive_resize;
    config.allocator.user = &memory;
    return config;
}

static ws_conn *open_at(const char *target) {
    ws_client_config config = counted();
    ws_conn *conn = ws_test_connect(net.server, target, &config);
    CHECK_EQ(ws_last_error(conn), WS_OK);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    return conn;
}

/* Runs the server until it is idle, without any time passing. */
static void settle(ws_conn *conn) { ws_test_wait(conn, 0); }

#define TEST_END() \
    do { \
        NET_END(); \
        CHECK_EQ(memory.used, 0); \
        CHECK(!memory.wrong); \
    } while (0)

static bool is_text(ws_message message, const char *text) {
    return message.type == WS_TEXT && message.size == strlen(text) && memcmp(message.data, text, message.size) == 0
           && message.data[message.size] == 0;
}

static bool receives(ws_conn *conn, const char *text) {
    ws_message message;
    return ws_receive_within(conn, &message, 1000) && is_text(message, text);
}

static uint64_t real_milliseconds(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* --- opening --- */

static char room_seen[100];

static void note_room(ws_conn *conn, unsigned number) {
    const char *room = ws_param(conn, "room");
    (void)number;
    (void)snprintf(room_seen, sizeof room_seen, "%s", room ? room : "none");
}

static void test_routes(void) {
    static const struct {
        const char *target, *room; /* NULL: 404 */
    } routes[] = {{"/", "none"}, {"/?a=b", "none"}, {"/ws/lobby", "lobby"}, {"/ws/lobby?a=b", "lobby"}, {"/ws/a%20b",
        "a b"},
                  {"/ws/caf%C3%A9", "caf\xc3\xa9"}, {"/ws", NULL}, {"/ws/", NULL}, {"/ws/a/b", NULL}, {"/WS/a", NULL},
                      {"/none", NULL}};
    size_t i;
    for (i = 0; i < COUNT(routes); i++) {
        ws_client_config config = counted();
        ws_conn *conn;
        if (!test_begin("the test client at %s", routes[i].target))
            continue;
        CHECK(start());
        net.on_open = note_room;
        room_seen[0] = 0;
        conn = ws_test_connect(net.server, routes[i].target, &config);
        CHECK(conn != NULL);
        CHECK_EQ(ws_status(conn), routes[i].room ? 101 : 404);
        CHECK_EQ(ws_last_error(conn), routes[i].room ? WS_OK : WS_ERROR_REFUSED);
        CHECK_EQ(ws_state(conn), routes[i].room ? WS_OPEN : WS_CLOSED);
        CHECK_EQ(net.opened, routes[i].room != NULL);
        CHECK_STR(room_seen, routes[i].room ? routes[i].room : "");
        ws_free(conn);
        TEST_END();
    }
    if (!test_begin("the test client without a config"))
        return;
    CHECK(start());
    ws_conn *conn = ws_test_connect(net.server, "/", NULL);
    CHECK(ws_send_text(conn, "hello") && receives(conn, "hello"));
    ws_free(conn);
    CHECK_LOG("o1 t1:hello c1:1000::y");
    TEST_END();
}

/* All calls on a connection that has ended. */
static void check_dead(ws_conn *conn, ws_error error) {
    ws_message message;
    int again;
    for (again = 0; again < 2; again++) {
        CHECK(!ws_send_text(conn, "x") && !ws_send_binary(conn, "x", 1) && !ws_ping(conn, NULL, 0));
        CHECK(!ws_close(conn, 1000, NULL));
        CHECK(!ws_receive(conn, &message) && !ws_receive_within(conn, &message, WS_OFF));
        ws_drop(conn);
        ws_test_wait(conn, 10);
        ws_test_cut(conn);
        CHECK_EQ(ws_state(conn), WS_CLOSED);
        CHECK_EQ(ws_last_error(conn), error);
    }
}

static void test_refusals(void) {
    ws_client_config config;
    ws_conn *conn;
    if (test_begin("404 is seen with status, headers and body")) {
        CHECK(start());
        config = counted();
        conn = ws_test_connect(net.server, "/none", &config);
        CHECK_EQ(ws_status(conn), 404);
        CHECK(ws_header(conn, "content-length") != NULL && ws_header(conn, "X-None") == NULL);
        CHECK(ws_body(conn) != NULL && strlen(ws_body(conn)) == (size_t)atoi(ws_header(conn, "Content-Length")));
        CHECK(strstr(ws_last_error_text(conn), DETAIL(ws_last_error(conn), "404")) != NULL);
        check_dead(conn, WS_ERROR_REFUSED);
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("403 for a foreign origin, 101 for one that is allowed")) {
        ws_server_config server;
        memset(&server, 0, sizeof server);
        server.origins = "https://good.example";
        CHECK(start_with(&server));
        config = counted();
        config.origin = "https://evil.example";
        conn = ws_test_connect(net.server, "/", &config);
        CHECK_EQ(ws_status(conn), 403);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_REFUSED);
        ws_free(conn);
        config.origin = "https://good.example";
        conn = ws_test_connect(net.server, "/", &config);
        CHECK_EQ(ws_status(conn), 101);
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("403 for a foreign origin by default")) {
        CHECK(start());
        config = counted();
        config.origin = "https://evil.example";
        conn = ws_test_connect(net.server, "/", &config);
        CHECK_EQ(ws_status(conn), 403);
        ws_free(conn);
        conn = ws_test_connect(net.server, "/", NULL); /* no browser: there is no Origin */
        CHECK_EQ(ws_status(conn), 101);
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("503 at max_connections")) {
        ws_server_config server;
        memset(&server, 0, sizeof server);
        server.max_connections = 2;
        CHECK(start_with(&server));
        ws_conn *one = open_at("/"), *two = open_at("/");
        config = counted();
        conn = ws_test_connect(net.server, "/", &config);
        CHECK(ws_last_error(conn) != WS_OK && ws_state(conn) == WS_CLOSED);
        CHECK(ws_status(conn) == 503);
        ws_free(conn);
        ws_free(one);
        settle(two);
        one = open_at("/");
        ws_free(one);
        ws_free(two);
        TEST_END();
    }
    if (test_begin("bad targets and headers are mistakes of the test")) {
        static const char *const targets[] = {"", "ws", "/a b", "/a#b", "/a\r\nX: y", "/%zz", NULL};
        static const char *const lines[] = {"X: a\r\nY: b", NULL};
        size_t i;
        CHECK(start());
        for (i = 0; i < COUNT(targets); i++) {
            config = counted();
            conn = ws_test_connect(net.server, targets[i], &config);
            CHECK(!conn || (ws_last_error(conn) != WS_OK && ws_state(conn) == WS_CLOSED));
            ws_free(conn);
        }
        config = counted();
        config.headers = lines;
        conn = ws_test_connect(net.server, "/", &config);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_ARGUMENT);
        ws_free(conn);
        CHECK_EQ(net.opened, 0);
        TEST_END();
    }
    if (test_begin("a head over the server's limit: 431")) {
        static char line[3000];
        const char *lines[] = {line, NULL};
        ws_limits limits;
        memset(&limits, 0, sizeof limits);
        limits.head = 1000;
        CHECK(start_limits(&limits));
        config = counted();
        memset(line, 'y', sizeof line - 1);
        memcpy(line, "X: ", 3);
        config.headers = lines;
        conn = ws_test_connect(net.server, "/", &config);
        CHECK_EQ(ws_status(conn), 431);
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("ws_test_connect without a server")) {
        CHECK(ws_test_connect(NULL, "/", NULL) == NULL);
    }
}

static void note_subprotocol(ws_conn *conn, unsigned number) {
    (void)number;
    (void)snprintf(room_seen, sizeof room_seen, "%s", ws_subprotocol(conn));
}

static void test_subprotocols(void) {
    static const struct {
        const char *offer, *chosen;
    } offers[] = {{NULL, ""}, {"chat", "chat"}, {"a, superchat, chat", "chat"}, {"superchat", "superchat"}, {"none",
        ""}};
    size_t i;
    for (i = 0; i < COUNT(offers); i++) {
        ws_client_config config = counted();
        ws_handler handler = net_handler();
        if (!test_begin("the test client offers %s", offers[i].offer ? offers[i].offer : "no subprotocol"))
            continue;
        CHECK(start());
        handler.subprotocols = "chat, superchat";
        CHECK(ws_route(net.server, "/sub", &handler));
        net.on_open = note_subprotocol;
        config.subprotocols = offers[i].offer;
        ws_conn *conn = ws_test_connect(net.server, "/sub", &config);
        CHECK_STR(ws_subprotocol(conn), offers[i].chosen);
        CHECK_STR(room_seen, offers[i].chosen);
        ws_free(conn);
        TEST_END();
    }
}

/* --- messages --- */

static void test_messages(void) {
    enum { BIG = 6 << 20 };
    static uint8_t big[BIG];
    ws_message message;
    size_t i;
    if (test_begin("text, binary, empty, parts, and back to back")) {
        CHECK(start());
        ws_conn *conn = open_at("/");
        CHECK(ws_send_text(conn, "hello") && receives(conn, "hello"));
        CHECK(ws_send_binary(conn, "\0\xff", 2));
        CHECK(ws_receive(conn, &message) && message.type == WS_BINARY && message.size == 2 && message.data[1] == 0xff);
        CHECK(ws_send_text(conn, "") && receives(conn, ""));
        message.data = (const uint8_t *)"part";
        message.size = 4;
        message.type = WS_TEXT;
        CHECK(ws_send_part(conn, message, false) && ws_ping(conn, "p", 1) && ws_send_part(conn, message, true));
        CHECK(receives(conn, "partpart"));
        for (i = 0; i < 500; i++)
            CHECK(ws_send_text(conn, "again"));
        for (i = 0; i < 500; i++)
            CHECK(receives(conn, "again"));
        CHECK(!ws_send_text(conn, "\xff") && ws_last_error(conn) == WS_ERROR_UTF8);
        CHECK(!ws_receive_within(conn, &message, 0) && ws_last_error(conn) == WS_ERROR_TIMEOUT);
        CHECK_EQ(ws_state(conn), WS_OPEN);
        net.log.size = 0;
        ws_free(conn);
        CHECK_LOG("c1:1000::y");
        TEST_END();
    }
    if (test_begin("an echo of 6 MiB")) {
        CHECK(start());
        ws_conn *conn = open_at("/");
        for (i = 0; i < BIG; i++)
            big[i] = (uint8_t)((i * 2654435761u) >> 13);
        CHECK(ws_send_binary(conn, big, BIG));
        CHECK(ws_receive(conn, &message) && message.size == BIG && memcmp(message.data, big, BIG) == 0);
        ws_free(conn);
        CHECK_EQ(net.received, BIG);
        TEST_END();
    }
    if (test_begin("every size from 0 to 300, and around 64 KiB")) {
        CHECK(start());
        ws_conn *conn = open_at("/");
        for (i = 0; i < 330; i++) {
            size_t size = i < 300 ? i : 65521 + i - 300;
            CHECK(ws_send_binary(conn, big, size));
            CHECK(ws_receive(conn, &message) && message.size == size && (!size || memcmp(message.data, big,
                size) == 0));
        }
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("over limits.message: 1009 for both roles")) {
        ws_client_config config = counted();
        ws_limits limits;
        memset(&limits, 0, sizeof limits);
        limits.message = 1000;
        CHECK(start_limits(&limits));
        ws_conn *conn = open_at("/");
        CHECK(ws_send_binary(conn, big, 1001));
        CHECK(!ws_receive(conn, &message));
        CHECK_EQ(ws_closed(conn).code, 1009);
        ws_free(conn);
        CHECK_EQ(net.codes[1], 1009);
        config.limits.message = 100;
        conn = ws_test_connect(net.server, "/", &config);
        CHECK(ws_send_binary(conn, big, 101));
        CHECK(!ws_receive(conn, &message));
        CHECK_EQ(ws_last_error(conn), WS_ERROR_TOO_BIG);
        ws_free(conn);
        CHECK_EQ(net.codes[2], 1009);
        TEST_END();
    }
}

/* --- time --- */

static void test_impossible_size(void) {
    ws_message huge = {(const uint8_t *)"x", SIZE_MAX, WS_BINARY};
    if (!test_begin("a message of SIZE_MAX bytes is refused at either end, and the next is sent"))
        return;
    CHECK(start());
    ws_conn *conn = open_at("/");
    CHECK(!ws_send(net.conns[1], huge));
    CHECK(!ws_send(conn, huge));
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_ARGUMENT);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_ARGUMENT);
    CHECK(ws_send_text(net.conns[1], "from the server") && receives(conn, "from the server"));
    CHECK(ws_send_text(conn, "to the server") && receives(conn, "to the server"));
    ws_free(conn);
    TEST_END();
}

static void test_virtual_limit(void) {
    uint64_t before = real_milliseconds(), now;
    ws_client_config config = counted();
    ws_message message;
    if (!test_begin("a time limit of an hour takes no time, and an hour has passed on the loop's clock"))
        return;
    CHECK(start());
    config.receive_ms = 3600000;
    ws_conn *conn = ws_test_connect(net.server, "/", &config);
    now = ws_now(net.loop);
    CHECK(!ws_receive(conn, &message));
    CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK_EQ(ws_now(net.loop) - now, 3600000);
    CHECK(ws_send_text(conn, "still here") && receives(conn, "still here"));
    now = ws_now(net.loop);
    ws_test_wait(conn, 24 * 3600000);
    CHECK_EQ(ws_now(net.loop) - now, 24 * 3600000);
    CHECK_EQ(ws_state(conn), WS_OPEN);
    CHECK(real_milliseconds() - before < 600000); /* of 25 hours */
    now = ws_now(net.loop);
    CHECK(ws_send_text(conn, "no time") && receives(conn, "no time"));
    CHECK_EQ(ws_now(net.loop), now); /* an echo takes no virtual time */
    ws_free(conn);
    TEST_END();
}

static unsigned ticks;
static uint64_t tick_times[100];

static void tick(ws_loop *loop, void *user) {
    (void)user;
    if (ticks < COUNT(tick_times))
        tick_times[ticks] = ws_now(loop);
    ticks++;
    if (net.conns[1])
        (void)ws_send_text(net.conns[1], "tick");
}

static void test_timers(void) {
    ws_message message;
    uint64_t start_time;
    unsigned i;
    if (!test_begin("the server's timers fire as virtual time passes, each at its time"))
        return;
    CHECK(start());
    ticks = 0;
    ws_conn *conn = open_at("/");
    start_time = ws_now(net.loop);
    CHECK(ws_every(net.loop, 1000, tick, NULL) != 0);
    CHECK(!ws_receive_within(conn, &message, 999) && ticks == 0);
    for (i = 1; i <= 10; i++) {
        CHECK(ws_receive_within(conn, &message, 5000) && is_text(message, "tick"));
        CHECK_EQ(ws_now(net.loop) - start_time, i * 1000); /* no longer than it must */
    }
    ws_test_wait(conn, 20000);
    CHECK_EQ(ticks, 30);
    for (i = 0; i < 30; i++)
        CHECK_EQ(tick_times[i] - start_time, (i + 1) * 1000);
    for (i = 0; i < 20; i++)
        CHECK(receives(conn, "tick"));
    ws_free(conn);
    TEST_END();
}

static void test_pings(void) {
    if (test_begin("pings keep a silent client alive for a virtual day")) {
        CHECK(start());
        ws_conn *conn = open_at("/");
        ws_test_wait(conn, 24 * 3600000);
        CHECK_LOG("o1");
        CHECK(ws_send_text(conn, "x") && receives(conn, "x"));
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("a cut cable: the server gives up after ping and pong deadline; so does the client")) {
        ws_message message;
        CHECK(start());
        ws_conn *conn = open_at("/"), *other = open_at("/");
        ws_test_cut(conn);
        CHECK_LOG("o1 o2");
        ws_test_wait(other, 44000);
        CHECK_LOG("");
        ws_test_wait(other, 2000);
        CHECK_LOG("c1:1006::n");
        CHECK(!ws_receive(conn, &message));
        CHECK_EQ(ws_state(conn), WS_CLOSED);
        CHECK_EQ(ws_closed(conn).code, 1006);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_TIMEOUT);
        CHECK(ws_send_text(other, "x") && receives(other, "x"));
        ws_free(conn);
        ws_free(other);
        TEST_END();
    }
    if (test_begin("a cut cable swallows what is sent, both ways, and a close")) {
        ws_message message;
        CHECK(start());
        ws_conn *conn = open_at("/"), *other = open_at("/");
        CHECK(ws_send_text(conn, "arrives") && receives(conn, "arrives"));
        ws_test_cut(conn);
        CHECK(ws_send_text(conn, "does not"));
        CHECK(ws_send_text(net.conns[1], "neither"));
        CHECK(!ws_receive_within(conn, &message, 1000));
        CHECK_EQ(net.received, 7);
        (void)ws_close(conn, 1000, NULL); /* at most close_ms, of virtual time */
        CHECK_EQ(ws_closed(conn).code, 1006);
        settle(other);
        CHECK_EQ(net.closed, 0); /* the server does not know it yet */
        ws_free(conn);
        ws_test_wait(other, 60000);
        CHECK_EQ(net.codes[1], 1006);
        ws_free(other);
        TEST_END();
    }
    if (test_begin("deadlines of the server and of the client follow virtual time")) {
        ws_client_config config = counted();
        ws_message message;
        ws_limits limits;
        memset(&limits, 0, sizeof limits);
        limits.ping_ms = 1000;
        limits.pong_ms = 500;
        CHECK(start_limits(&limits));
        config.limits.ping_ms = WS_OFF;
        ws_conn *conn = ws_test_connect(net.server, "/", &config);
        ws_test_wait(conn, 100000);
        CHECK_LOG("o1");
        ws_test_cut(conn);
        CHECK(!ws_receive_within(conn, &message, 1400) && net.closed == 0);
        CHECK(!ws_receive_within(conn, &message, 200) && net.closed == 1);
        ws_free(conn);
        TEST_END();
    }
}

/* --- ends --- */

static void close_4002(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    (void)message;
    CHECK(ws_close(conn, 4002, "no more"));
}

static void drop_it(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    (void)message;
    ws_drop(conn);
}

static void free_server(ws_conn *conn, unsigned number, ws_message message) {
    (void)conn;
    (void)number;
    (void)message;
    ws_server_free(net.server);
    net.server = NULL;
}

static void test_closes(void) {
    ws_message message;
    ws_conn *conn;
    if (test_begin("the client closes with a code and a reason")) {
        CHECK(start());
        conn = open_at("/");
        CHECK(ws_close(conn, 4001, "bye"));
        CHECK_LOG("o1 c1:4001:bye:y");
        CHECK(ws_closed(conn).clean && ws_closed(conn).code == 4001 && ws_state(conn) == WS_CLOSED);
        CHECK(!ws_receive(conn, &message) && ws_last_error(conn) == WS_OK);
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("the client closes without a code")) {
        CHECK(start());
        conn = open_at("/");
        CHECK(ws_close(conn, 0, NULL));
        CHECK_LOG("o1 c1:1005::y");
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("the server closes with a code and a reason; earlier messages are received")) {
        CHECK(start());
        conn = open_at("/");
        CHECK(ws_send_text(net.conns[1], "first"));
        net.on_message = close_4002;
        CHECK(ws_send_text(conn, "x"));
        CHECK(receives(conn, "first"));
        CHECK(!ws_receive(conn, &message));
        CHECK_EQ(ws_closed(conn).code, 4002);
        CHECK_STR(ws_closed(conn).reason, "no more");
        CHECK(ws_closed(conn).clean);
        CHECK_LOG("o1 t1:x c1:4002:no more:y"); /* the answer to a close has its reason */
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("the client vanishes: 1006 at once")) {
        CHECK(start());
        conn = open_at("/");
        ws_conn *other = open_at("/");
        ws_drop(conn);
        settle(other);
        CHECK_LOG("o1 o2 c1:1006::n");
        CHECK_EQ(ws_state(conn), WS_CLOSED);
        CHECK_EQ(ws_closed(conn).code, 1006);
        ws_free(conn);
        ws_free(other);
        TEST_END();
    }
    if (test_begin("the server drops the client")) {
        CHECK(start());
        conn = open_at("/");
        net.on_message = drop_it;
        CHECK(ws_send_text(conn, "x"));
        CHECK(!ws_receive(conn, &message));
        CHECK_EQ(ws_closed(conn).code, 1006);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_CLOSED);
        check_dead(conn, WS_ERROR_CLOSED);
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("the server is freed, from outside and inside a callback")) {
        int inside;
        for (inside = 0; inside < 2; inside++) {
            CHECK(start());
            conn = open_at("/");
            ws_conn *other = open_at("/");
            if (inside) {
                net.on_message = free_server;
                CHECK(ws_send_text(conn, "x"));
            } else {
                ws_server_free(net.server);
                net.server = NULL;
            }
            CHECK(!ws_receive(conn, &message) && ws_closed(conn).code == 1006);
            CHECK(!ws_receive(other, &message) && ws_closed(other).code == 1006);
            CHECK_EQ(net.closed, 2);
            ws_free(conn);
            ws_free(other);
            TEST_END();
        }
    }
    if (test_begin("the server shuts down: 1012")) {
        CHECK(start());
        conn = open_at("/");
        CHECK(ws_shutdown(net.loop, 1000));
        CHECK(!ws_receive(conn, &message));
        CHECK_EQ(ws_closed(conn).code, 1012);
        CHECK_LOG("o1 c1:1012:server restarts:y");
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("the loop is freed first: the client has ended, and is freed later")) {
        CHECK(start());
        conn = open_at("/");
        ws_loop_free(net.loop);
        net.loop = NULL;
        net.server = NULL;
        CHECK(!ws_receive(conn, &message));
        CHECK(!ws_send_text(conn, "x"));
        ws_test_wait(conn, 10);
        CHECK_EQ(ws_state(conn), WS_CLOSED);
        ws_free(conn);
        TEST_END();
    }
    if (test_begin("the server closes while the client does not receive: seen when it does")) {
        CHECK(start());
        conn = open_at("/");
        CHECK(ws_close(net.conns[1], 4003, NULL));
        ws_test_wait(conn, 100);
        CHECK(!ws_receive(conn, &message) && ws_closed(conn).code == 4003);
        ws_free(conn);
        CHECK_LOG("o1 c1:4003::y");
        TEST_END();
    }
    if (test_begin("a client that never receives the server's close: the server drops it at the deadline")) {
        CHECK(start());
        conn = open_at("/");
        CHECK(ws_close(net.conns[1], 4003, NULL));
        ws_test_wait(conn, 4900);
        CHECK_LOG("o1");
        ws_test_wait(conn, 200);
        CHECK_LOG("c1:1006::n");
        ws_free(conn);
        TEST_END();
    }
}

/* --- rooms --- */

static void enter(ws_conn *conn, unsigned number) {
    (void)number;
    CHECK(ws_join(conn, ws_param(conn, "room")));
}

static void say(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    CHECK(ws_broadcast(conn, ws_param(conn, "room"), message));
}

static void leave(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    (void)why;
    (void)ws_broadcast_text(conn, ws_param(conn, "room"), "left");
}

static void test_rooms(void) {
    ws_message message;
    if (!test_begin("several clients in rooms: broadcasts, leaving, vanishing"))
        return;
    CHECK(start());
    net.on_open = enter;
    net.on_message = say;
    net.on_close = leave;
    ws_conn *a = open_at("/ws/one"), *b = open_at("/ws/one"), *c = open_at("/ws/two"), *d = open_at("/ws/one");
    CHECK_EQ(ws_room_count(net.server, "one"), 3);
    CHECK(ws_send_text(a, "hello"));
    CHECK(receives(b, "hello") && receives(a, "hello") && receives(d, "hello"));
    CHECK(!ws_receive_within(c, &message, 10));
    CHECK(ws_send_text(c, "alone") && receives(c, "alone"));
    CHECK(ws_close(b, 1000, NULL));
    CHECK(receives(a, "left") && receives(d, "left"));
    ws_drop(d);
    CHECK(receives(a, "left"));
    CHECK_EQ(ws_room_count(net.server, "one"), 1);
    CHECK(!ws_receive_within(c, &message, 10));
    ws_free(a);
    ws_free(b);
    ws_free(c);
    ws_free(d);
    settle(NULL);
    TEST_END();
}

static unsigned refused_broadcasts;
static ws_slow slow_policy;

static void enter_slowly(ws_conn *conn, unsigned number) {
    (void)number;
    CHECK(ws_join(conn, "room") && ws_room_slow(ws_conn_server(conn), "room", slow_policy));
}

/* Fills in bytes that do not compress. */
static void fill_with_noise(uint8_t *data, size_t size) {
    uint32_t seed = 1;
    size_t i;
    for (i = 0; i < size; i++, seed = seed * 1664525u + 1013904223u)
        data[i] = (uint8_t)(seed >> 24);
}

/* A hundred messages of 8 KiB, each of which begins with its number. */
static void blast(ws_conn *conn, unsigned number, ws_message message) {
    static uint8_t data[8192];
    unsigned i;
    (void)number;
    (void)message;
    fill_with_noise(data, sizeof data);
    for (i = 0; i < 100; i++) {
        ws_message one;
        data[0] = (uint8_t)i;
        one.data = data;
        one.size = sizeof data;
        one.type = WS_BINARY;
        refused_broadcasts += !ws_broadcast_others(conn, "room", one);
    }
}

static void test_slow_readers(void) {
    static const char *const policy_names[] = {"close", "wait", "drop the newest", "drop the oldest",
        "only the latest"};
    int policy;
    for (policy = WS_SLOW_CLOSE; policy <= WS_SLOW_LATEST; policy++) {
        ws_client_config config = counted();
        ws_limits limits;
        ws_message message;
        unsigned count = 0, last = 0, wrong = 0;
        if (!test_begin("a client that does not receive is a slow reader: %s", policy_names[policy]))
            continue;
        memset(&limits, 0, sizeof limits);
        limits.buffered = 64 << 10;
        CHECK(start_limits(&limits));
        refused_broadcasts = 0;
        slow_policy = (ws_slow)policy;
        net.quiet = true;
        net.on_open = enter_slowly;
        net.on_message = blast;
        ws_conn *slow = ws_test_connect(net.server, "/", &config), *fast = open_at("/");
        CHECK(ws_send_text(fast, "go"));
        settle(fast);
        CHECK(net.memory.peak < 4 << 20);
        CHECK_EQ(refused_broadcasts > 0, policy == WS_SLOW_WAIT);
        while (ws_receive_within(slow, &message, 100)) {
            wrong += message.size != 8192 || (count && message.data[0] <= last);
            last = message.data[0];
            count++;
        }
        CHECK_EQ(wrong, 0);
        CHECK(count > 0 && count < 100);
        CHECK_EQ(ws_state(slow), policy == WS_SLOW_CLOSE ? WS_CLOSED : WS_OPEN);
        if (policy == WS_SLOW_CLOSE)
            CHECK(ws_closed(slow).code == 1013 && net.closed == 1);
        if (policy == WS_SLOW_DROP_OLDEST || policy == WS_SLOW_LATEST)
            CHECK_EQ(last, 99);
        if (policy == WS_SLOW_DROP_NEWEST || policy == WS_SLOW_WAIT)
            CHECK_EQ(last, count - 1);
        CHECK_EQ(ws_state(fast), WS_OPEN);
        ws_free(slow);
        ws_free(fast);
        TEST_END();
    }
}

static void test_backpressure(void) {
    static uint8_t data[100000];
    ws_message message;
    size_t sent = 0, got = 0;
    if (!test_begin("the server sends to a client that does not receive: BUFFERED, then on_drain"))
        return;
    ws_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.buffered = 1 << 20;
    CHECK(start_limits(&limits));
    net.quiet = true;
    fill_with_noise(data, sizeof data);
    ws_conn *conn = open_at("/");
    while (sent < 1000 && ws_send_binary(net.conns[1], data, sizeof data)) {
        sent++;
        settle(conn);
    }
    CHECK(sent >= 10 && sent < 1000);
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_BUFFERED);
    CHECK(net.memory.peak < 8 << 20);
    net.log.size = 0;
    while (ws_receive_within(conn, &message, 1000))
        got += message.size == sizeof data;
    CHECK_EQ(got, sent);
    CHECK_LOG("d1");
    ws_free(conn);
    TEST_END();
}

/* --- many --- */

static void test_thousand(void) {
    enum { MANY = 1000 };
    static ws_conn *conns[MANY];
    ws_message message;
    char text[40];
    size_t i, wrong = 0;
    if (!test_begin("1,000 clients at once"))
        return;
    CHECK(start());
    net.quiet = true;
    for (i = 0; i < MANY; i++)
        conns[i] = ws_test_connect(net.server, "/", NULL);
    CHECK_EQ(net.opened, MANY);
    CHECK_EQ(ws_room_count(net.server, NULL), MANY);
    for (i = 0; i < MANY; i++) {
        (void)snprintf(text, sizeof text, "number %zu", i);
        wrong += !ws_send_text(conns[i], text);
    }
    for (i = MANY; i--;) {
        (void)snprintf(text, sizeof text, "number %zu", i);
        wrong += !ws_receive_within(conns[i], &message, 1000) || !is_text(message, text);
    }
    message.data = (const uint8_t *)"all";
    message.size = 3;
    message.type = WS_TEXT;
    CHECK(ws_server_broadcast(net.server, NULL, message));
    for (i = 0; i < MANY; i++)
        wrong += !ws_receive_within(conns[i], &message, 1000) || !is_text(message, "all");
    ws_test_wait(conns[0], 3600000);
    CHECK_EQ(net.closed, 0);
    for (i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            ws_drop(conns[i]);
        else if (i % 3 == 1)
            wrong += !ws_close(conns[i], 1000, NULL);
        ws_free(conns[i]);
    }
    CHECK_EQ(wrong, 0);
    TEST_END();
}

/* The server's loop has a timer for each client, and at some point no memory for another one. */
static void test_scarce(void) {
    enum { MANY = 64 };
    ws_conn *conns[MANY];
    ws_client_config config = counted();
    size_t count, i;
    if (!test_begin("without memory for another test client there is NULL, and nothing else"))
        return;
    CHECK(start());
    net.memory.fail_at = net.memory.calls + 1;
    net.memory.fail_after = true;
    for (count = 0; count < MANY && (conns[count] = ws_test_connect(net.server, "/", &config)) != NULL; count++)
        CHECK(ws_state(conns[count]) == WS_CLOSED && ws_status(conns[count]) != 101);
    CHECK(count > 0 && count < MANY);
    CHECK_EQ(net.opened, 0);
    net.memory.fail_at = 0;
    ws_conn *conn = open_at("/");
    CHECK(ws_send_text(conn, "served") && receives(conn, "served"));
    ws_free(conn);
    for (i = 0; i < count; i++)
        ws_free(conns[i]);
    TEST_END();
}

static void test_again_and_again(void) {
    size_t used = 0;
    int i;
    if (!test_begin("2,000 clients one after the other: memory does not grow"))
        return;
    CHECK(start());
    net.quiet = true;
    for (i = 0; i < 2000; i++) {
        ws_conn *conn = open_at(i % 2 ? "/" : "/ws/room");
        CHECK(ws_send_text(conn, "hello") && receives(conn, "hello"));
        if (i % 3 == 0)
            ws_drop(conn);
        else if (i % 3 == 1)
            ws_test_cut(conn);
        ws_free(conn);
        if (i % 100 == 99) {
            conn = open_at("/");
            ws_test_wait(conn, 100000); /* connections that were cut are dropped */
            ws_free(conn);
        }
        if (i == 499)
            used = net.memory.used;
        net.log.size = 0;
    }
    CHECK(net.memory.used <= used);
    CHECK_EQ(memory.used, 0);
    TEST_END();
}

/* --- random simulation --- */

enum { SIM_CLIENTS = 12, SIM_STEPS = 80 };

static struct {
    uint32_t seed;
    ws_conn *clients[SIM_CLIENTS];
    unsigned wrong;
} sim;

static unsigned sim_below(unsigned bound) {
    sim.seed = sim.seed * 1664525u + 1013904223u;
    return (sim.seed >> 10) % bound;
}

/* Messages contain their own length, and describe their contents. */
static ws_message sim_message(void) {
    static uint8_t data[40000];
    static const unsigned sizes[] = {4, 10, 125, 126, 1000, 20000, 40000};
    ws_message message;
    size_t i, size = sizes[sim_below(7)];
    uint8_t first = (uint8_t)sim_below(256);
    for (i = 4; i < size; i++)
        data[i] = (uint8_t)(first + i * 7);
    data[0] = first;
    data[1] = (uint8_t)(size >> 16);
    data[2] = (uint8_t)(size >> 8);
    data[3] = (uint8_t)size;
    message.data = data;
    message.size = size;
    message.type = WS_BINARY;
    return message;
}

static void sim_look(ws_message message) {
    size_t i, size = message.size;
    if (size < 4 || message.data[1] != (uint8_t)(size >> 16) || message.data[2] != (uint8_t)(size >> 8)
        || message.data[3] != (uint8_t)size || message.data[size]) {
        sim.wrong++;
        return;
    }
    for (i = 4; i < size; i++)
        if (message.data[i] != (uint8_t)(message.data[0] + i * 7)) {
            sim.wrong++;
            return;
        }
}

/* What a server's callback does, to anybody. */
static void sim_do(ws_conn *self) {
    ws_conn *other = net.opened ? net.conns[1 + sim_below(net.opened)] : NULL;
    switch (sim_below(16)) {
    case 0: (void)ws_close(self, 4000, "self"); break;
    case 1: (void)ws_close(other, 4001, "other"); break;
    case 2: ws_drop(self); break;
    case 3: ws_drop(other); break;
    case 4: (void)ws_join(self, sim_below(2) ? "a" : "b"); break;
    case 5: (void)ws_leave(self, "a"); break;
    case 6: (void)ws_broadcast(self, sim_below(3) ? "a" : NULL, sim_message()); break;
    case 7: (void)ws_send(other, sim_message()); break;
    case 8: (void)ws_room_slow(net.server, "a", (ws_slow)sim_below(5)); break;
    case 9: (void)ws_broadcast_others(self, "b", sim_message()); break;
    case 10: (void)ws_ping(other, "x", 1); break;
    default: (void)ws_send(self, sim_message()); break;
    }
}

static void sim_open(ws_conn *conn, unsigned number) {
    (void)number;
    (void)ws_join(conn, "a");
    sim_do(conn);
}

static void sim_got(ws_conn *conn, unsigned number, ws_message message) {
    (void)number;
    sim_look(message);
    sim_do(conn);
    if (sim_below(2))
        sim_do(conn);
}

static void sim_close(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)number;
    (void)why;
    if (sim_below(3) == 0)
        sim_do(conn);
}

static void sim_tick(ws_loop *loop, void *user) {
    (void)loop;
    (void)user;
    if (net.opened)
        sim_do(net.conns[1 + sim_below(net.opened)]);
}

static void sim_step(void) {
    size_t i = sim_below(SIM_CLIENTS);
    ws_conn *conn = sim.clients[i];
    ws_client_config config = counted();
    ws_message message;
    uint8_t rest[3];
    if (!conn) {
        config.limits.close_ms = 1000 + sim_below(5000);
        sim.clients[i] = ws_test_connect(net.server, sim_below(8) ? "/ws/x" : "/nowhere", &config);
        return;
    }
    switch (sim_below(14)) {
    case 0: (void)ws_close(conn, (uint16_t)(4000 + sim_below(999)), "sim"); break;
    case 1: ws_drop(conn); break;
    case 2: ws_test_cut(conn); break;
    case 3: ws_test_wait(conn, sim_below(30000)); break;
    case 4:
        ws_free(conn);
        sim.clients[i] = NULL;
        break;
    case 5: (void)ws_ping(conn, "ping", 4); break;
    case 6:
        message = sim_message();
        message.size -= 3;
        memcpy(rest, message.data + message.size, sizeof rest);
        if (ws_send_part(conn, message, false)) { /* callbacks reuse the message's memory, so only rest is intact */
            message.data = rest;
            message.size = sizeof rest;
            (void)ws_send_part(conn, message, true);
        }
        break;
    case 7:
    case 8:
    case 9:
        if (ws_receive_within(conn, &message, sim_below(3) ? sim_below(2000) : 0))
            sim_look(message);
        break;
    default: (void)ws_send(conn, sim_message()); break;
    }
}

static void test_simulation(void) {
    enum { RUNS = 400 };
    unsigned run, opened = 0;
    if (!test_begin("random simulation, %d runs: every on_open has its on_close, all memory comes back", RUNS))
        return;
    for (run = 1; run <= RUNS; run++) {
        ws_limits limits;
        int step, failures = test_now.failures;
        size_t i;
        memset(&sim, 0, sizeof sim);
        sim.seed = run * 2654435761u;
        memset(&limits, 0, sizeof limits);
        limits.buffered = 30000 + sim_below(200000);
        limits.ping_ms = 500 + sim_below(20000);
        limits.pong_ms = 500 + sim_below(20000);
        limits.close_ms = 500 + sim_below(5000);
        CHECK(start_limits(&limits));
        net.quiet = true;
        net.on_open = sim_open;
        net.on_message = sim_got;
        net.on_close = sim_close;
        (void)ws_every(net.loop, 700, sim_tick, NULL);
        for (step = 0; step < SIM_STEPS; step++) {
            uint64_t now = ws_now(net.loop);
            sim_step();
            sim.wrong += ws_now(net.loop) < now;
            net.log.size = 0;
        }
        if (run % 2) /* clients that stay are freed before the loop, or lose it */
            for (i = 0; i < SIM_CLIENTS; i++) {
                ws_free(sim.clients[i]);
                sim.clients[i] = NULL;
            }
        opened += net.opened;
        CHECK_EQ(sim.wrong, 0);
        if (run % 2 == 0) {
            ws_server_free(net.server);
            net.server = NULL;
            for (i = 0; i < SIM_CLIENTS; i++) {
                ws_message message;
                while (ws_receive_within(sim.clients[i], &message, 100000))
                    sim_look(message);
                ws_free(sim.clients[i]);
            }
        }
        TEST_END();
        if (test_now.failures > failures) {
            printf("    in run %u\n", run);
            break;
        }
    }
    CHECK(opened > RUNS * 5);
}

/* A loop whose clock is not virtual would really have to wait. */
static void test_real_clock(void) {
    for (int no_port = 0; no_port < 2; no_port++) {
        ws_server_config config;
        if (!test_begin("a server on a real clock, %s a port: refused with a text", no_port ? "without" : "with"))
            continue;
        memset(&config, 0, sizeof config);
        config.no_port = no_port;
        net_start_loop(NULL);
        net.server = ws_listen(net.loop, &config);
        CHECK(net_route("/"));
        ws_conn *conn = ws_test_connect(net.server, "/", NULL);
        CHECK_EQ(ws_last_error(conn), WS_ERROR_ARGUMENT);
        ws_free(conn);
        NET_END();
    }
}

/* A test client's ends are in the loop's list, beside the servers. */
static void test_descriptor(void) {
    struct sockaddr_in address;
    ws_server_config config;
    if (!test_begin("a server takes a descriptor while a test client is connected"))
        return;
    CHECK(start());
    ws_conn *conn = open_at("/");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0);
    memset(&config, 0, sizeof config);
    config.descriptor = fd;
    CHECK(ws_port(ws_listen(net.loop, &config)) != 0);
    ws_free(conn);
    TEST_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_routes();
    test_refusals();
    test_subprotocols();
    test_messages();
    test_impossible_size();
    test_virtual_limit();
    test_timers();
    test_pings();
    test_closes();
    test_rooms();
    test_slow_readers();
    test_backpressure();
    test_thousand();
    test_scarce();
    test_again_and_again();
    test_simulation();
    test_real_clock();
    test_descriptor();
    return test_finish();
}
