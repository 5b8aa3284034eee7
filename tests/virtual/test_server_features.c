/* SERVER, LIFE, LOOP: what a program may rely on, one test for each feature. The tests of the sections go into
   detail; these show what each feature is for. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

static char seen[2000];
static ws_id kept;

static void mark(const char *text) { (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", text); }

static void mark_slice(ws_slice slice) {
    (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), slice.data ? "[%.*s] " : "absent%.*s ",
                   (int)slice.size, slice.data ? slice.data : "");
}

static void mark_path(ws_conn *conn) {
    mark(ws_param(conn, "a") ? ws_param(conn, "a") : "-");
}

static void start(void) {
    seen[0] = 0;
    CHECK(behaviour_start_bare(NULL));
}

static void route(const char *pattern, ws_handler handler) { CHECK(ws_route(net.server, pattern, &handler)); }

static ws_handler nothing(void) {
    ws_handler handler;
    memset(&handler, 0, sizeof handler);
    return handler;
}

/* Sends a request over a socket, and returns the answer. */
static peer *http(const char *text) {
    peer *p = net_connect();
    peer_text(p, text);
    net_settle();
    return p;
}

/* --- opening --- */

static void test_routes(void) {
    static const struct { const char *pattern, *target, *param; } good[] = {
        {"/ws", "/ws", "-"}, {"/ws/{a}", "/ws/x", "x"}, {"/f/{a:path}", "/f/x/y", "x/y"}, {"/{a:int}", "/12", "12"},
        {"/{a:float}", "/1.5", "1.5"}, {"/ws/{a}", "/ws/%C3%A9", "\xc3\xa9"},
        {"/{a:uuid}", "/123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"},
    };
    ws_handler handler = nothing();
    size_t i;
    if (!test_begin("Opening: Routes"))
        return;
    handler.on_open = mark_path;
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        start();
        route(good[i].pattern, handler);
        route("/{none}/{a:path}", nothing()); /* the first that fits wins */
        (void)behaviour_open(good[i].target);
        CHECK(strlen(seen) == strlen(good[i].param) + 1 && strncmp(seen, good[i].param, strlen(good[i].param)) == 0);
        BEHAVIOUR_END();
    }
    start();
    route("/ws/{a}", handler);
    CHECK_EQ(ws_status(behaviour_connect("/ws/x/y", NULL)), 404); /* one segment */
    CHECK(!ws_route(net.server, "/{a}/{a}", &handler));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_DUPLICATE);
    BEHAVIOUR_END();
}

static void test_unknown_path(void) {
    peer *p;
    if (!test_begin("Opening: Unknown path"))
        return;
    CHECK(net_start());
    p = net_connect();
    peer_upgrade(p, "/none", NULL);
    CHECK_EQ(peer_status(p), 404);
    p = http("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(peer_status(p), 426);
    CHECK(peer_has(p, "\r\nUpgrade: websocket\r\n"));
    NET_END();
}

static void hook_all(ws_request *request, void *user) {
    char address[64];
    mark((const char *)user);
    mark_slice(ws_request_path(request));
    mark_slice(ws_request_param(request, "room"));
    mark_slice(ws_request_query(request, "q"));
    mark_slice(ws_request_header(request, "origin"));
    mark_slice(ws_request_cookie(request, "c"));
    mark(ws_request_peer(request, address, sizeof address) && strncmp(address, "127.0.0.1:", 10) == 0 ? "peer"
                                                                                                        : "no peer");
    if (ws_slice_is(ws_request_query(request, "q"), (const char *)user))
        CHECK(ws_refuse(request, 403, NULL, NULL));
    if (ws_slice_is(ws_request_query(request, "q"), "twice"))
        CHECK(ws_accept(request, NULL) && ws_accept(request, NULL));
}

static void hook_route(ws_request *request) { hook_all(request, (void *)"route"); }

static void test_hook(void) {
    ws_handler handler = nothing();
    peer *p;
    char more[100];
    if (!test_begin("Opening: Before-request hook"))
        return;
    seen[0] = 0;
    CHECK(net_start_with(NULL, NULL));
    handler.on_request = hook_route;
    CHECK(ws_before(net.server, hook_all, (void *)"server") && ws_route(net.server, "/ws/{room}", &handler));
    p = net_connect();
    (void)snprintf(more, sizeof more, "Origin: http://127.0.0.1:%u\r\nCookie: c=d\r\n", (unsigned)ws_port(net.server));
    peer_upgrade(p, "/ws/r?q=server", more); /* refused by the first: the chain ends */
    CHECK_EQ(peer_status(p), 403);
    CHECK(strncmp(seen, "server [/ws/r] [r] [server] [http://127.0.0.1:", 46) == 0 && strstr(seen, "] [d] peer ")
          && !strstr(seen, "route"));
    p = net_connect();
    peer_upgrade(p, "/ws/r?q=route", NULL);
    CHECK_EQ(peer_status(p), 403);
    CHECK(strstr(seen, "server [/ws/r] [r] [route] absent absent peer route [/ws/r]"));
    p = net_connect();
    peer_upgrade(p, "/ws/r?q=twice", NULL);
    CHECK_EQ(peer_status(p), 101);
    p = net_connect();
    peer_upgrade(p, "/ws/r", NULL);
    CHECK_EQ(peer_status(p), 101);
    NET_END();
}

static void hook_accept(ws_request *request) {
    static const char *const headers[] = {"X-Served-By: a", "Set-Cookie: a=b", NULL};
    ws_acceptance how = {"two", NULL, seen, NULL};
    how.headers = headers;
    CHECK(ws_accept(request, &how));
}

static void check_user(ws_conn *conn) {
    CHECK(ws_user(conn) == seen);
    CHECK_STR(ws_subprotocol(conn), "two");
}

static void test_accept(void) {
    ws_handler handler = nothing();
    ws_client_config config;
    ws_conn *conn;
    if (!test_begin("Opening: Accept"))
        return;
    memset(&config, 0, sizeof config);
    config.subprotocols = "one, two";
    handler.on_request = hook_accept;
    handler.on_open = check_user;
    handler.subprotocols = "one";
    start();
    route("/", handler);
    conn = behaviour_connect("/", &config);
    CHECK_EQ(ws_status(conn), 101);
    CHECK_STR(ws_subprotocol(conn), "two");
    CHECK_STR(ws_header(conn, "x-served-by"), "a");
    CHECK_STR(ws_header(conn, "Set-Cookie"), "a=b");
    BEHAVIOUR_END();
}

static void hook_refuse(ws_request *request) {
    static const char *const headers[] = {"WWW-Authenticate: Basic", NULL};
    CHECK(ws_refuse(request, 401, headers, "who are you?"));
}

static void close_politely(ws_conn *conn) { CHECK(ws_close(conn, WS_CLOSE_POLICY, "log in first")); }

static void test_refuse(void) {
    ws_handler handler = nothing(), other = nothing();
    ws_conn *conn;
    if (!test_begin("Opening: Refuse"))
        return;
    handler.on_request = hook_refuse;
    other.on_open = close_politely;
    start();
    route("/", handler);
    route("/polite", other);
    conn = behaviour_connect("/", NULL);
    CHECK_EQ(ws_status(conn), 401);
    CHECK_STR(ws_header(conn, "WWW-Authenticate"), "Basic");
    CHECK_STR(ws_body(conn), "who are you?");
    CHECK_GETS(behaviour_open("/polite"), "c:1008:log in first");
    BEHAVIOUR_END();
}

static void given_up(ws_request *request, void *user) {
    (void)request;
    mark((const char *)user);
}

static void hook_keep(ws_request *request) { kept = ws_keep(request, given_up, (void *)"given up"); }

static void answer_by_timer(ws_loop *loop, void *user) {
    (void)user;
    CHECK(ws_accept(ws_kept(loop, kept), NULL));
}

static void answer_by_post(void *argument) { CHECK(ws_refuse(ws_kept((ws_loop *)argument, kept), 403, NULL, NULL)); }

static void answer_by_descriptor(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    (void)ready;
    (void)user;
    CHECK(ws_watch(loop, descriptor, WS_NONE, NULL, NULL) && ws_accept(ws_kept(loop, kept), NULL));
}

static void test_deferred(void) {
    ws_handler handler = nothing();
    peer *p;
    int ends[2];
    if (!test_begin("Opening: Deferred answer") || !net_resets())
        return;
    handler.on_request = hook_keep;
    seen[0] = 0;
    CHECK(net_start_with(NULL, NULL) && ws_route(net.server, "/ws", &handler) && pipe(ends) == 0);
    p = net_connect();
    peer_upgrade(p, "/ws", NULL);
    net_settle();
    CHECK(ws_after(net.loop, 100, answer_by_timer, NULL));
    net_wait(99);
    CHECK_EQ(p->in.size, 0);
    net_wait(1);
    CHECK_EQ(peer_status(p), 101);
    p = net_connect();
    peer_upgrade(p, "/ws", NULL);
    net_settle();
    CHECK(ws_post(net.loop, answer_by_post, net.loop));
    CHECK_EQ(peer_status(p), 403);
    p = net_connect();
    peer_upgrade(p, "/ws", NULL);
    net_settle();
    CHECK(ws_watch(net.loop, ends[0], WS_READ, answer_by_descriptor, NULL));
    net_settle();
    CHECK(p->in.size == 0 && write(ends[1], "x", 1) == 1);
    CHECK_EQ(peer_status(p), 101);
    CHECK_STR(seen, "");
    p = net_connect();
    peer_upgrade(p, "/ws", NULL);
    net_settle();
    peer_reset(p);
    net_settle();
    CHECK(!ws_kept(net.loop, kept));
    CHECK_STR(seen, "given up ");
    p = net_connect();
    peer_upgrade(p, "/ws", NULL);
    net_settle();
    net_wait(30001);
    CHECK_EQ(peer_status(p), 503);
    (void)close(ends[0]);
    (void)close(ends[1]);
    NET_END();
}

static void test_subprotocol(void) {
    ws_client_config config;
    ws_handler handler = nothing();
    peer *p;
    if (!test_begin("Opening: Subprotocol"))
        return;
    memset(&config, 0, sizeof config);
    handler.subprotocols = "best, good";
    start();
    route("/", handler);
    config.subprotocols = "bad, good, best";
    CHECK_STR(ws_subprotocol(behaviour_connect("/", &config)), "best");
    CHECK_STR(ws_subprotocol(behaviour_open("/")), ""); /* none asked, none sent */
    config.subprotocols = "bad";
    CHECK_STR(ws_subprotocol(behaviour_connect("/", &config)), "");
    BEHAVIOUR_END();
    CHECK(net_start_with(NULL, NULL));
    p = net_connect();
    peer_upgrade(p, "/", "Sec-WebSocket-Protocol: bad\r\n");
    CHECK_EQ(peer_status(p), 101);
    CHECK(!peer_has(p, "Sec-WebSocket-Protocol"));
    NET_END();
}

static void hook_look(ws_request *request) {
    mark_slice(ws_request_query(request, "a"));
    mark_slice(ws_request_query(request, "b"));
    mark_slice(ws_request_query(request, "c"));
    mark_slice(ws_request_header(request, "x-TEST"));
    mark_slice(ws_request_header(request, "x-none"));
    mark_slice(ws_request_cookie(request, "sid"));
    mark_slice(ws_request_cookie(request, "none"));
}

static void test_look_ups(void) {
    static const char *const headers[] = {"X-Test:", "Cookie: sid=1; x=y", NULL};
    ws_client_config config;
    ws_handler handler = nothing();
    if (!test_begin("Opening: Query, headers, cookies"))
        return;
    memset(&config, 0, sizeof config);
    config.headers = headers;
    handler.on_request = hook_look;
    start();
    route("/", handler);
    CHECK_EQ(ws_status(behaviour_connect("/?a=x+y%2B&b=", &config)), 101);
    CHECK_STR(seen, "[x y+] [] absent [] absent [1] absent ");
    BEHAVIOUR_END();
}

static void mark_peer(ws_conn *conn) {
    char address[64] = "";
    (void)ws_peer(conn, address, sizeof address);
    mark(address);
}

static void test_peer_address(void) {
    static const char *const trusted[] = {NULL, "127.0.0.1"};
    ws_server_config config;
    ws_handler handler = nothing();
    int i;
    if (!test_begin("Opening: Peer address"))
        return;
    memset(&config, 0, sizeof config);
    handler.on_open = mark_peer;
    for (i = 0; i < 2; i++) {
        peer *p;
        seen[0] = 0;
        config.proxies = trusted[i];
        CHECK(net_start_with(NULL, &config) && ws_route(net.server, "/ws", &handler));
        p = net_connect();
        peer_upgrade(p, "/ws", "X-Forwarded-For: 1.2.3.4\r\n");
        CHECK_EQ(peer_status(p), 101);
        CHECK(i ? strcmp(seen, "1.2.3.4 ") == 0 : strncmp(seen, "127.0.0.1:", 10) == 0);
        NET_END();
    }
}

/* --- while open --- */

static void test_states(void) {
    ws_conn *conn, *of_server;
    if (!test_begin("While open: States"))
        return;
    CHECK(behaviour_start());
    conn = behaviour_open("/");
    of_server = net.conns[1];
    CHECK_EQ(ws_state(of_server), WS_OPEN);
    CHECK(ws_close(of_server, 1000, NULL));
    CHECK_EQ(ws_state(of_server), WS_CLOSING);
    CHECK(!ws_send_text(of_server, "x") && ws_last_error(of_server) == WS_ERROR_STATE);
    CHECK(!ws_ping(of_server, NULL, 0) && !ws_close(of_server, 1000, NULL));
    CHECK_GETS(conn, "c:1000:");
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK(!ws_send_text(conn, "x") && !ws_send_binary(NULL, "x", 1));
    CHECK_EQ(ws_state(NULL), WS_CLOSED);
    BEHAVIOUR_END();
}

static void test_messages(void) {
    ws_conn *conn;
    if (!test_begin("While open: Text, binary"))
        return;
    CHECK(behaviour_start());
    conn = behaviour_open("/");
    CHECK(ws_send_text(conn, "h\xc3\xa9") && ws_send_binary(conn, "\0\xff", 2));
    CHECK_GETS(conn, "t:h\xc3\xa9 b:00ff");
    {
        ws_message part = {(const uint8_t *)"one ", 4, WS_TEXT};
        CHECK(ws_send_part(conn, part, false) && ws_send_part(conn, part, true)); /* fragments come as one */
    }
    CHECK_GETS(conn, "t:one one ");
    CHECK(!ws_send_text(conn, "\xff") && ws_last_error(conn) == WS_ERROR_UTF8);
    BEHAVIOUR_END();
    CHECK(net_start());
    {
        peer *p = net_peer("/");
        peer_frames(p, "81\"\xff\"");
        CHECK_FRAMES(p, "88<03ef>");
        CHECK_LOG("o1 c1:1007::n");
    }
    NET_END();
}

static void on_json(ws_conn *conn, ws_message message) {
    char name[20];
    if (ws_json_text(message, "name", name, sizeof name))
        CHECK(ws_send_json(conn, "{'hello':%s,'n':[%d,%g]}", name, 7, 0.5));
    else if (message.type == WS_TEXT)
        CHECK(ws_send_json(conn, "{'error':'no JSON with a name'}"));
    else
        CHECK(ws_close(conn, WS_CLOSE_UNSUPPORTED, "JSON, please"));
}

static void test_json(void) {
    ws_handler handler = nothing();
    ws_conn *conn;
    if (!test_begin("While open: JSON"))
        return;
    handler.on_message = on_json;
    start();
    route("/", handler);
    conn = behaviour_open("/");
    CHECK(ws_send_text(conn, " {\"name\" : \"\\u00e9\\\"\"} ") && ws_send_text(conn, "{'name':'x'}"));
    CHECK_GETS(conn, "t:{\"hello\":\"\xc3\xa9\\\"\",\"n\":[7,0.5]} t:{\"error\":\"no JSON with a name\"}");
    CHECK(ws_send_binary(conn, "x", 1));
    CHECK_GETS(conn, "c:1003:JSON, please");
    BEHAVIOUR_END();
}

static void on_chunk(ws_conn *conn, ws_chunk chunk) {
    (void)conn;
    net.received += chunk.size;
    if (chunk.last)
        mark("last");
}

static void test_big(void) {
    static uint8_t piece[100000];
    ws_handler handler = nothing();
    ws_message part = {piece, sizeof piece, WS_BINARY};
    ws_conn *conn;
    size_t before, i, most = 0;
    if (!test_begin("While open: Big messages"))
        return;
    handler.on_chunk = on_chunk;
    start();
    route("/", handler);
    conn = behaviour_open("/");
    before = net.memory.used;
    for (i = 0; i < 300; i++) { /* 30 MB, of unknown total size: more than limits.message */
        CHECK(ws_send_part(conn, part, i == 299));
        most = net.memory.used > most ? net.memory.used : most;
    }
    behaviour_wait(0);
    CHECK_EQ(net.received, 300 * sizeof piece);
    CHECK_STR(seen, "last ");
    CHECK(most < before + (1 << 20));
    BEHAVIOUR_END();
}

static void test_ping(void) {
    ws_conn *conn;
    peer *p;
    if (!test_begin("While open: Ping, pong"))
        return;
    CHECK(behaviour_start());
    conn = behaviour_open("/");
    behaviour_wait(300000); /* pings are answered: it lives */
    CHECK_EQ(ws_state(conn), WS_OPEN);
    ws_test_cut(conn);
    behaviour_wait(25000 + 20000 + 1);
    CHECK_LOG("o1 c1:1006::n");
    BEHAVIOUR_END();
    CHECK(net_start());
    p = net_peer("/");
    peer_frames(p, "89\"a\" 01\"x\" 89\"b\" 80\"y\"");
    CHECK_FRAMES(p, "8a\"a\" 8a\"b\" 81\"xy\"");
    NET_END();
}

static void ping_first(ws_conn *conn) { CHECK(ws_ping(conn, "rtt", 3)); }

static void on_pong(ws_conn *conn, ws_message payload) {
    CHECK(payload.data[payload.size] == 0);
    mark(payload.size ? (const char *)payload.data : "empty");
    CHECK(payload.size == 3 ? ws_send(conn, payload) : payload.size == 0 || ws_close(conn, 1000, NULL));
}

static void test_pongs(void) {
    ws_handler handler;
    peer *p;
    if (!test_begin("While open: a pong reaches on_pong, unless the connection is closing"))
        return;
    memset(&handler, 0, sizeof handler);
    handler.on_open = ping_first;
    handler.on_pong = on_pong;
    seen[0] = 0;
    CHECK(net_start() && ws_route(net.server, "/pongs", &handler));
    p = net_peer("/pongs");
    CHECK_FRAMES(p, "89\"rtt\"");
    peer_frames(p, "8a\"rtt\" 8a\"\" 89\"p\" 8a\"bye!\" 8a\"late\"");
    CHECK_FRAMES(p, "82\"rtt\" 8a\"p\" 88<03e8>");
    CHECK_STR(seen, "rtt empty bye! ");
    peer_frames(p, "88<03e8>");
    NET_END();
}

static void on_drain_mark(ws_conn *conn, unsigned number) {
    (void)number;
    mark(ws_buffered(conn) == 0 ? "drained" : "early");
}

/* Sends to a peer that does not read until the system's buffers are full, and ours. */
static void fill_up(const char *text) {
    size_t sent = 0;
    do {
        while (sent < 10000 && ws_send_text(net.conns[1], text))
            sent++;
        net_settle();
    } while (sent < 10000 && ws_buffered(net.conns[1]) < 20000);
    CHECK(sent < 10000);
}

static void test_backpressure(void) {
    ws_server_config config;
    static char text[1000];
    peer *p, *other;
    int i;
    if (!test_begin("While open: Backpressure"))
        return;
    memset(&config, 0, sizeof config);
    config.limits.buffered = 20000;
    seen[0] = 0;
    memset(text, 'x', sizeof text - 1);
    CHECK(net_start_with(NULL, &config));
    net.on_drain = on_drain_mark;
    net_small_buffers();
    p = net_open_with("/", 8192);
    p->deaf = true;
    fill_up(text);
    peer_frames(p, "8a\"\""); /* what it writes acknowledges, too: the system takes more, once */
    net_settle();
    fill_up(text);
    CHECK_EQ(ws_last_error(net.conns[1]), WS_ERROR_BUFFERED);
    CHECK(ws_buffered(net.conns[1]) >= 20000 && ws_buffered(net.conns[1]) < 20000 + (64 << 10)); /* plus one gather */
    peer_frames(p, "81\"not read yet\""); /* above the limit nothing is read */
    net_settle();
    CHECK_EQ(net.received, 0);
    other = net_peer("/");
    CHECK(ws_join(net.conns[1], "r") && ws_join(net.conns[2], "r"));
    CHECK(ws_room_slow(net.server, "r", WS_SLOW_DROP_NEWEST));
    CHECK(ws_broadcast_text(net.conns[2], "r", "news"));
    CHECK_FRAMES(other, "81\"news\"");
    CHECK_EQ(ws_state(net.conns[1]), WS_OPEN);
    p->deaf = false;
    for (i = 0; i < 8000 && (net.received < 12 || !*seen); i++)
        (void)net_round(200);
    CHECK_EQ(net.received, 12); /* the message is read now */
    CHECK_STR(seen, "drained ");
    p->deaf = true;
    fill_up(text);
    CHECK(ws_room_slow(net.server, "r", WS_SLOW_CLOSE) && ws_broadcast_text(net.conns[2], "r", "more"));
    CHECK_EQ(ws_state(net.conns[1]), WS_CLOSING);
    CHECK_FRAMES(other, "81\"more\"");
    NET_END();
}

static void join_a(ws_conn *conn, unsigned number) { CHECK(ws_join(conn, number < 4 ? "a" : "b")); }

static void test_rooms(void) {
    ws_conn *one, *two, *three, *four;
    ws_id ids[8];
    if (!test_begin("While open: Rooms"))
        return;
    CHECK(behaviour_start());
    net.on_open = join_a;
    one = behaviour_open("/");
    two = behaviour_open("/");
    three = behaviour_open("/");
    four = behaviour_open("/");
    CHECK(ws_room_count(net.server, "a") == 3 && ws_room_count(net.server, NULL) == 4);
    CHECK(ws_room_members(net.server, "b", ids, 8) == 1 && ids[0] == net.ids[4]);
    CHECK(ws_leave(net.conns[3], "a"));
    CHECK(ws_broadcast_text(net.conns[1], "a", "all") && ws_send_text(ws_find(net.loop, net.ids[3]), "you"));
    {
        ws_message others = {(const uint8_t *)"others", 6, WS_TEXT};
        CHECK(ws_broadcast_others(net.conns[1], "a", others));
    }
    CHECK_GETS(one, "t:all");
    CHECK_GETS(two, "t:all t:others");
    CHECK_GETS(three, "t:you");
    CHECK_GETS(four, "");
    CHECK(ws_close(net.conns[2], 1000, NULL) && ws_broadcast_text(net.conns[1], NULL, "late")); /* 2 is skipped */
    CHECK_GETS(two, "c:1000:");
    CHECK(ws_leave(net.conns[4], "b"));
    CHECK_EQ(ws_room_count(net.server, "b"), 0);
    CHECK(!wsi_room_find(net.server, "b")); /* it is empty, and freed */
    BEHAVIOUR_END();
}

static void posted(void *argument) { *(int *)argument += 1; }

static void *post_from_elsewhere(void *argument) {
    return ws_post(net.loop, posted, argument) ? argument : NULL;
}

static void test_threads(void) {
    pthread_t thread;
    void *result = NULL;
    int count = 0, i;
    ws_server_config config;
    ws_loop *other;
    if (!test_begin("While open: Threads") || !test_posix("reuse_port"))
        return;
    memset(&config, 0, sizeof config);
    config.reuse_port = true;
    CHECK(net_start_with(NULL, &config));
    CHECK(pthread_create(&thread, NULL, post_from_elsewhere, &count) == 0 && pthread_join(thread, &result) == 0);
    CHECK(result == &count);
    net_settle();
    CHECK_EQ(count, 1);
    other = ws_loop_new(NULL); /* a second loop on the same port */
    config.port = ws_port(net.server);
    CHECK(ws_listen(other, &config) != NULL);
    for (i = 0; i < 3; i++)
        CHECK(ws_run_once(other, 0));
    ws_loop_free(other);
    NET_END();
}

/* --- closing --- */

static void test_on_close(void) {
    ws_conn *conns[4];
    int i;
    if (!test_begin("Closing: on_close"))
        return;
    CHECK(behaviour_start());
    for (i = 0; i < 4; i++)
        conns[i] = behaviour_open("/");
    CHECK_LOG("o1 o2 o3 o4");
    CHECK(ws_close(conns[0], 4000, "bye") && ws_close(conns[1], 0, NULL));
    ws_drop(conns[2]);
    ws_drop(net.conns[4]);
    behaviour_wait(0);
    for (i = 1; i <= 4; i++)
        CHECK_EQ(net.closings[i], 1);
    CHECK(net.codes[1] == 4000 && net.codes[2] == 1005 && net.codes[3] == 1006 && net.codes[4] == 1006);
    BEHAVIOUR_END();
}

static void test_codes(void) {
    static const uint16_t bad[] = {1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};
    char reason[125];
    ws_message message;
    ws_conn *conn;
    size_t i;
    if (!test_begin("Closing: Codes"))
        return;
    CHECK(behaviour_start());
    conn = behaviour_open("/");
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!ws_close(conn, bad[i], NULL) && ws_last_error(conn) == WS_ERROR_CLOSE_CODE);
    memset(reason, 'x', sizeof reason);
    reason[124] = 0;
    CHECK(!ws_close(conn, 1000, reason) && !ws_close(conn, 1000, "\xff") && !ws_close(conn, 0, "why"));
    reason[123] = 0;
    CHECK(ws_close(net.conns[1], 4999, reason));
    behaviour_wait(0);
    (void)ws_receive_within(conn, &message, 0);
    CHECK_EQ(ws_closed(conn).code, 4999);
    CHECK_STR(ws_closed(conn).reason, reason);
    BEHAVIOUR_END();
}

static void say_left(ws_conn *conn, unsigned number, ws_close_info why) {
    (void)why;
    CHECK(ws_broadcast_json(conn, "a", "{'left':%u}", number));
}

static void test_left(void) {
    ws_conn *one, *two;
    if (!test_begin("Closing: \"left\" message"))
        return;
    CHECK(behaviour_start());
    net.on_open = join_a;
    net.on_close = say_left;
    one = behaviour_open("/");
    two = behaviour_open("/");
    CHECK(ws_close(one, 1000, NULL));
    CHECK_GETS(two, "t:{\"left\":1}");
    CHECK_GETS(one, "c:1000:");
    net.on_close = NULL;
    BEHAVIOUR_END();
}

static void test_shutdown(void) {
    peer *quick, *deaf;
    if (!test_begin("Closing: Shutdown"))
        return;
    CHECK(net_start());
    quick = net_peer("/");
    deaf = net_peer("/");
    CHECK(ws_send_text(net.conns[1], "queued") && ws_shutdown(net.loop, 1000));
    net_settle();
    CHECK(net_connect()->ended); /* the server no longer listens */
    CHECK_FRAMES(quick, "81\"queued\" 88<03f4>\"server restarts\"");
    peer_frames(quick, "88<03f4>");
    peer_close(quick);
    net_settle();
    CHECK_LOG("o1 o2 c1:1012::y");
    net_wait(1001); /* the other one sends nothing: dropped at the deadline */
    CHECK_LOG("c2:1006::n");
    CHECK(deaf->ended);
    NET_END();
}

/* --- beside the socket --- */

static void test_page(void) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/html; charset=utf-8\r\n\r\n";
    peer *p;
    if (!test_begin("Beside the socket: HTML page"))
        return;
    CHECK(net_start() && ws_page(net.server, "/page", "text/html", "<p>a"));
    CHECK(ws_page_file(net.server, "/me", "text/plain", __FILE__));
    p = http("HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_MEM(p->in.data, p->in.size, head, sizeof head - 1);
    p = http("GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(peer_has(p, head) && peer_has(p, "\r\n\r\n<p>a"));
    CHECK(peer_has(http("GET /me HTTP/1.1\r\nHost: a\r\n\r\n"), "Beside the socket: HTML page"));
    NET_END();
}

static void small(ws_request *request, void *user) {
    static const char *const headers[] = {"X-A: b", NULL};
    ws_message body = ws_request_body(request);
    (void)user;
    CHECK(ws_reply_data(request, 201, headers, body.data, body.size));
}

static void test_http(void) {
    peer *p;
    if (!test_begin("Beside the socket: Small HTTP"))
        return;
    CHECK(net_start() && ws_http(net.server, "GET, POST", "/small", small, NULL));
    p = http("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    CHECK(peer_has(p, "HTTP/1.1 201 " REASON("Created") "\r\nContent-Length: 4\r\nX-A: b\r\n\r\nbody"));
    CHECK_EQ(peer_status(http("HEAD /small HTTP/1.1\r\nHost: a\r\n\r\n")), 201);
    CHECK_EQ(peer_status(http("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n")), 413);
    NET_END();
}

static bool plain_sum(void *user, const void *key, size_t key_size, const void *data, size_t size, uint8_t mac[32]) {
    size_t i;
    (void)user;
    memset(mac, 7, 32);
    for (i = 0; i < key_size + size; i++)
        mac[i % 32] = (uint8_t)(mac[i % 32] * 31 + (i < key_size ? ((const uint8_t *)key)[i]
                                                                 : ((const uint8_t *)data)[i - key_size]));
    return true;
}

static void sign_in(ws_request *request, void *user) {
    (void)user;
    CHECK(ws_set_session(request, "{'user':'ann'}") && ws_reply(request, 200, NULL, ""));
}

static void mark_session(ws_conn *conn) {
    char name[20] = "nobody";
    (void)ws_json_text(ws_conn_session(conn), "user", name, sizeof name);
    mark(*name ? name : "nobody");
}

static void test_session(void) {
    static const char *const keys[] = {"a key that is long enough", NULL};
    ws_session_config config;
    ws_handler handler = nothing();
    char cookie[300] = "", *end;
    peer *p;
    int i;
    if (!test_begin("Beside the socket: Session"))
        return;
    memset(&config, 0, sizeof config);
    config.keys = keys;
    config.hmac = plain_sum;
    handler.on_open = mark_session;
    seen[0] = 0;
    CHECK(net_start() && ws_sessions(net.server, &config) && ws_http(net.server, "POST", "/in", sign_in, NULL)
          && ws_route(net.server, "/ws", &handler));
    p = http("POST /in HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(peer_has(p, "HttpOnly; SameSite=Lax"));
    (void)snprintf(cookie, sizeof cookie, "Cookie: %.*s", (int)(peer_find(p, "; Path=/") - peer_find(p, "session=")),
                   (const char *)p->in.data + peer_find(p, "session="));
    end = cookie + strlen(cookie);
    for (i = 0; i < 2; i++) { /* as it is, then altered */
        strcpy(end, "\r\n");
        p = net_connect();
        peer_upgrade(p, "/ws", cookie);
        CHECK_EQ(peer_status(p), 101);
        end[-1] = end[-1] == 'A' ? 'E' : 'A';
    }
    CHECK_STR(seen, "ann nobody ");
    NET_END();
}

static void on_form(ws_conn *conn, ws_message message) {
    char name[40], header[40] = "null";
    ws_json tags = ws_json_find(message, "tag"), item = {NULL, 0, WS_JSON_ABSENT, NULL};
    int count = 0;
    if (!ws_json_text(message, "name", name, sizeof name)) {
        CHECK(ws_send_html(conn, "<p id='said'>A name, please</p>"));
        return;
    }
    while (ws_json_next(tags, NULL, &item))
        count++;
    (void)ws_json_text(message, "HEADERS.HX-Trigger", header, sizeof header);
    CHECK(ws_send_html(conn, "<p id='said'>%s %d %s</p>", name, count, header));
}

static void test_htmx(void) {
    ws_handler handler = nothing();
    ws_conn *conn;
    if (!test_begin("Beside the socket: htmx forms"))
        return;
    handler.on_message = on_form;
    start();
    route("/", handler);
    conn = behaviour_open("/");
    CHECK(ws_send_text(conn, "{\"name\":\"A & B\",\"tag\":[\"x\",\"y\"],\"n\":7,\"HEADERS\":{\"HX-Request\":\"true\","
                             "\"HX-Trigger\":\"form\",\"HX-Trigger-Name\":null,\"HX-Target\":\"form\"}}"));
    CHECK(ws_send_text(conn, "{\"tag\":\"x\"}") && ws_send_text(conn, "{"));
    CHECK_GETS(conn, "t:<p id='said'>A &amp; B 2 form</p> t:<p id='said'>A name, please</p> "
                     "t:<p id='said'>A name, please</p>");
    CHECK_EQ(ws_state(conn), WS_OPEN);
    BEHAVIOUR_END();
}

static void test_html(void) {
    char text[100];
    if (!test_begin("Beside the socket: HTML out"))
        return;
    CHECK(ws_html_print(text, sizeof text, "<a title='%s'>%s %d</a>", "a'b", "<script>\"&", 3) > 0);
    CHECK_STR(text, "<a title='a&#39;b'>&lt;script&gt;&#34;&amp; 3</a>");
}

int main(int argc, char **argv) {
    test_start_in_tree(argc, argv);
    test_routes();
    test_unknown_path();
    test_hook();
    test_accept();
    test_refuse();
    test_deferred();
    test_subprotocol();
    test_look_ups();
    test_peer_address();
    test_states();
    test_messages();
    test_json();
    test_big();
    test_ping();
    test_pongs();
    test_backpressure();
    test_rooms();
    test_threads();
    test_on_close();
    test_codes();
    test_left();
    test_shutdown();
    test_page();
    test_http();
    test_session();
    test_htmx();
    test_html();
    return test_finish();
}
