/* REQUEST: requests, their look-ups, and the hooks that accept or refuse them. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

static char seen[2000]; /* what the hooks saw, in order */

static void note(const char *name, ws_slice value) {
    size_t size = strlen(seen);
    if (value.data)
        (void)snprintf(seen + size, sizeof seen - size, "%s=[%.*s] ", name, (int)value.size, value.data);
    else
        (void)snprintf(seen + size, sizeof seen - size, "%s absent ", name);
}

static void mark(const char *name) { (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", name); }

static void look(ws_request *request) {
    note("path", ws_request_path(request));
    note("room", ws_request_param(request, "room"));
    note("none", ws_request_param(request, "none"));
    note("a", ws_request_query(request, "a"));
    note("b", ws_request_query(request, "b"));
    note("c d", ws_request_query(request, "c d"));
    note("e", ws_request_query(request, "e"));
    note("host", ws_request_header(request, "HOST"));
    note("x-none", ws_request_header(request, "x-none"));
    note("x-empty", ws_request_header(request, "x-empty"));
    note("sid", ws_request_cookie(request, "sid"));
    note("SID", ws_request_cookie(request, "SID"));
    note("q", ws_request_cookie(request, "q"));
    note("last", ws_request_cookie(request, "last"));
    if (ws_request_server(request) != net.server)
        mark("wrong server");
}

static void start(const ws_handler *handler, const char *pattern) {
    seen[0] = 0;
    CHECK(behaviour_start_bare(NULL));
    CHECK(ws_route(net.server, pattern, handler));
}

static void test_look_ups(void) {
    static const char *const headers[] = {"X-Empty:", "Cookie: sid=1; q=\"two\"; sid=3", "Cookie: last=a=b", NULL};
    ws_handler handler;
    ws_client_config config;
    if (!test_begin("look-ups: path, parameter, query, header, cookie; absent apart from empty"))
        return;
    memset(&handler, 0, sizeof handler);
    memset(&config, 0, sizeof config);
    handler.on_request = look;
    config.headers = headers;
    start(&handler, "/ws/{room}");
    CHECK_EQ(ws_status(behaviour_connect("/ws/caf%C3%A9?a=1&b=&c+d=x%26y+z&a=2&&=", &config)), 101);
    CHECK_STR(seen, "path=[/ws/caf\xc3\xa9] room=[caf\xc3\xa9] none absent a=[1] b=[] c d=[x&y z] e absent "
                    "host=[localhost] x-none absent x-empty=[] sid=[1] SID absent q=[two] last=[a=b] ");
    BEHAVIOUR_END();
}

static void test_bad_paths(void) {
    static const char *const bad[] = {"/ws/%ff", "/ws/%0", "/ws/%00", "/ws/r%?a=1", "/ws/%C3?%A9"};
    ws_handler handler;
    size_t i;
    if (!test_begin("a malformed path is 400, and no hook sees it"))
        return;
    memset(&handler, 0, sizeof handler);
    handler.on_request = look;
    seen[0] = 0;
    CHECK(net_start_with(NULL, NULL) && ws_route(net.server, "/ws/{room}", &handler));
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        peer *p = net_connect(); /* a socket: the test client cannot send this */
        peer_upgrade(p, bad[i], "");
        CHECK_EQ(peer_status(p), 400);
    }
    CHECK_STR(seen, "");
    NET_END();
}

/* Names that no request has, and no name at all. */
static void odd(ws_request *request) {
    int64_t integer = 7;
    ws_slice path = ws_request_path(request);
    CHECK(!ws_request_param(request, NULL).data && !ws_request_query(request, NULL).data);
    CHECK(!ws_request_header(request, NULL).data && !ws_request_cookie(request, NULL).data);
    CHECK(!ws_slice_is(path, NULL) && !ws_slice_is(path, "/w") && ws_slice_is(path, "/ws/r"));
    CHECK(ws_slice_integer(ws_request_query(request, "zero"), &integer) && integer == 0);
    note("head", ws_request_cookie(request, "head"));
    note("tail", ws_request_cookie(request, "tail"));
    note("quote", ws_request_cookie(request, "quote"));
    note("empty", ws_request_cookie(request, "empty"));
    request->conn->generation = UINT32_MAX - 3; /* the ids of requests run out */
    CHECK_EQ(ws_keep(request, NULL, NULL), 0);
    request->conn->generation = 4;
}

static void test_odd(void) {
    static const char *const headers[] = {"Cookie: head=\"a; tail=a\"; quote=\"; empty=\"\"", NULL};
    ws_handler handler;
    ws_client_config config;
    if (!test_begin("look-ups without a name, quotes that do not close, a minus before a zero"))
        return;
    memset(&handler, 0, sizeof handler);
    memset(&config, 0, sizeof config);
    handler.on_request = odd;
    config.headers = headers;
    start(&handler, "/ws/{room}");
    ws_conn *conn = behaviour_connect("/ws/r?zero=-0", &config);
    CHECK(!ws_param(conn, "room")); /* a client's end has no parameters */
    CHECK_STR(seen, "head=[\"a] tail=[a\"] quote=[\"] empty=[] ");
    BEHAVIOUR_END();
}

static void test_patterns(void) {
    static const struct { const char *pattern; bool good; } patterns[] = {
        {"/a/{b}", true}, {"/", true}, {"/{a}-{b}", true}, {"/a}b", false}, {"/a}{b}", false}, {"/{a}}", false},
        {"/{a", false}, {"/{}", false}, {"a", false}, {"", false}, {NULL, false}, {"/{a:word}", false},
        {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", true}, {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", false},
    };
    static const struct { const char *path; size_t size; } floats[] = {
        {"", 0}, {"x", 0}, {".5", 0}, {"12", 2}, {"12.", 2}, {"12.5", 4}, {"12a", 2}, {"12.a", 2}, {"1.2.3", 3},
    };
    static const struct { const char *path; size_t size; } uuids[] = {
        {"", 0}, {"123e4567", 0}, {"123e4567-e89b-12d3-a456-42661417400", 0},
        {"123e4567-e89b-12d3-a456-426614174000", 36}, {"123E4567-E89B-12D3-A456-4266141740001", 36},
        {"123e4567xe89b-12d3-a456-426614174000", 0}, {"123e4567-e89b-12d3-a456-42661417400g", 0},
        {"123e4567-e89b-12d3-a456--26614174000", 0},
    };
    wsi_reason why;
    size_t i;
    if (!test_begin("patterns, and how much of a path a number or a uuid takes"))
        return;
    for (i = 0; i < sizeof patterns / sizeof *patterns; i++)
        test_equal(wsi_route_check(patterns[i].pattern, &why) == WS_OK, patterns[i].good,
                   patterns[i].pattern ? patterns[i].pattern : "NULL", __FILE__, __LINE__);
    for (i = 0; i < sizeof floats / sizeof *floats; i++)
        test_equal((long long)wsi_route_float(wsi_text_z(floats[i].path)), (long long)floats[i].size, floats[i].path,
                   __FILE__, __LINE__);
    for (i = 0; i < sizeof uuids / sizeof *uuids; i++)
        test_equal((long long)wsi_route_uuid(wsi_text_z(uuids[i].path)), (long long)uuids[i].size, uuids[i].path,
                   __FILE__, __LINE__);
}

/* --- order and answers --- */

static void first(ws_request *request, void *user) {
    mark((const char *)user);
    if (ws_slice_is(ws_request_query(request, "first"), "no"))
        CHECK(ws_refuse(request, 401, NULL, NULL));
}

static void second(ws_request *request, void *user) {
    static const char *const headers[] = {"X-Second: yes", NULL};
    ws_acceptance how = {NULL, NULL, NULL, NULL};
    how.headers = headers;
    how.user = &net;
    mark((const char *)user);
    if (ws_slice_is(ws_request_query(request, "second"), "yes"))
        CHECK((ws_accept(request, &how) && ws_accept(request, NULL)) || net.memory.fail_at);
}

static void third(ws_request *request) {
    static const char *const headers[] = {"Location: /login", "Content-Type: text/html", NULL};
    mark("third");
    if (!ws_slice_is(ws_request_query(request, "third"), "no"))
        return;
    CHECK(ws_refuse(request, 403, headers, "<p>Who are you?</p>"));
    CHECK(!ws_refuse(request, 200, NULL, "ha") && !ws_accept(request, NULL)); /* answered already */
}

static void opened(ws_conn *conn) {
    mark(ws_user(conn) == &net ? "open net" : ws_user(conn) ? "open handler's" : "open nobody's");
}

static void closed(ws_conn *conn, ws_close_info why) {
    (void)conn;
    (void)why;
    mark("closed");
}

static ws_conn *ask(const char *target) {
    ws_handler handler;
    memset(&handler, 0, sizeof handler);
    handler.on_request = third;
    handler.on_open = opened;
    handler.on_close = closed;
    handler.user = seen;
    start(&handler, "/");
    CHECK(ws_before(net.server, first, (void *)"first") && ws_before(net.server, second, (void *)"second"));
    return behaviour_connect(target, NULL);
}

static void test_order(void) {
    ws_conn *conn;
    if (!test_begin("hooks run in order: the server's, then the route's; a refusal ends the chain"))
        return;
    conn = ask("/");
    CHECK_EQ(ws_status(conn), 101);
    CHECK(!ws_header(conn, "X-Second"));
    CHECK_STR(seen, "first second third open handler's ");
    BEHAVIOUR_END();
    conn = ask("/?first=no");
    CHECK_EQ(ws_status(conn), 401);
    CHECK_STR(ws_body(conn), REASON("Unauthorized"));
    CHECK_STR(ws_header(conn, "content-type"), "text/plain; charset=utf-8");
    CHECK_STR(seen, "first ");
    BEHAVIOUR_END();
    conn = ask("/?second=yes");
    CHECK_EQ(ws_status(conn), 101);
    CHECK_STR(ws_header(conn, "X-Second"), "yes");
    CHECK_STR(seen, "first second third open net ");
    BEHAVIOUR_END();
    conn = ask("/?second=yes&third=no"); /* a refusal after an acceptance drops its headers */
    CHECK_EQ(ws_status(conn), 403);
    CHECK(!ws_header(conn, "X-Second"));
    CHECK_STR(ws_header(conn, "Location"), "/login");
    CHECK_STR(ws_header(conn, "Content-Type"), "text/html");
    CHECK_STR(ws_body(conn), "<p>Who are you?</p>");
    CHECK_STR(seen, "first second third ");
    BEHAVIOUR_END();
    conn = ask("/none");
    CHECK_EQ(ws_status(conn), 404);
    CHECK_STR(seen, ""); /* no hook for what has no route */
    BEHAVIOUR_END();
}

/* --- invalid answers --- */

static const char *const *bad_headers;
static const char *bad_protocol, *bad_body;
static int bad_status;
static bool bad_answer;

static void answer_badly(ws_request *request) {
    ws_acceptance how = {NULL, NULL, NULL, NULL};
    how.subprotocol = bad_protocol;
    how.headers = bad_headers;
    bad_answer = bad_status ? ws_refuse(request, bad_status, bad_headers, bad_body) : ws_accept(request, &how);
}

static int answered(const char *line, const char *protocol, int status, const char *body) {
    const char *headers[2] = {NULL, NULL};
    ws_client_config config;
    ws_handler handler;
    int got;
    memset(&handler, 0, sizeof handler);
    memset(&config, 0, sizeof config);
    config.subprotocols = "chat, super";
    handler.on_request = answer_badly;
    headers[0] = line;
    bad_headers = headers;
    bad_protocol = protocol;
    bad_status = status;
    bad_body = body;
    start(&handler, "/");
    got = ws_status(behaviour_connect("/", &config));
    CHECK_EQ(bad_answer, got != 500 || status == 500);
    if (protocol && got == 101)
        CHECK_STR(ws_subprotocol(behaviour.clients[0]), protocol);
    BEHAVIOUR_END();
    return got;
}

static void test_bad_answers(void) {
    if (!test_begin("header injection and other bad answers: 500, never a connection"))
        return;
    CHECK_EQ(answered("X-Good: yes", NULL, 0, NULL), 101);
    CHECK_EQ(answered("X-Bad: a\r\nSet-Cookie: x=y", NULL, 0, NULL), 500);
    CHECK_EQ(answered("X-Bad: a\n", NULL, 0, NULL), 500);
    CHECK_EQ(answered("X-Bad: \x7f", NULL, 0, NULL), 500);
    CHECK_EQ(answered("X Bad: a", NULL, 0, NULL), 500);
    CHECK_EQ(answered("no colon", NULL, 0, NULL), 500);
    CHECK_EQ(answered("Sec-WebSocket-Accept: x", NULL, 0, NULL), 500);
    CHECK_EQ(answered("Content-Length: 3", NULL, 403, "abc"), 500);
    CHECK_EQ(answered("X-Bad: a\rb", NULL, 403, NULL), 500);
    CHECK_EQ(answered(NULL, "chat", 0, NULL), 101);
    CHECK_EQ(answered(NULL, "super", 0, NULL), 101);
    CHECK_EQ(answered(NULL, "other", 0, NULL), 500);
    CHECK_EQ(answered(NULL, "chat, super", 0, NULL), 500);
    CHECK_EQ(answered(NULL, "", 0, NULL), 500);
    CHECK_EQ(answered(NULL, NULL, 101, NULL), 500);
    CHECK_EQ(answered(NULL, NULL, 199, NULL), 500);
    CHECK_EQ(answered(NULL, NULL, 600, NULL), 500);
    CHECK_EQ(answered(NULL, NULL, 204, "body"), 500);
    CHECK_EQ(answered(NULL, NULL, 204, NULL), 204);
    CHECK_EQ(answered(NULL, NULL, 200, ""), 200);
    CHECK_EQ(answered(NULL, NULL, 429, "later"), 429);
    CHECK_EQ(answered(NULL, NULL, 500, "on purpose"), 500);
    CHECK_EQ(answered(NULL, NULL, 599, NULL), 599);
}

/* --- re-entrancy, NULL --- */

static void free_server(ws_request *request) {
    ws_server_free(ws_request_server(request));
    CHECK_EQ(ws_keep(request, NULL, NULL), 0); /* nobody could answer it */
    (void)ws_accept(request, NULL);
}

static void free_loop(ws_request *request) {
    (void)request;
    ws_stop(net.loop);
    ws_server_free(net.server);
    (void)ws_refuse(request, 403, NULL, NULL);
}

static void test_reentrant(void) {
    ws_handler handler;
    ws_conn *conn;
    if (!test_begin("a hook may free its server"))
        return;
    memset(&handler, 0, sizeof handler);
    handler.on_open = opened;
    handler.on_request = free_server;
    start(&handler, "/");
    conn = behaviour_connect("/", NULL);
    CHECK_EQ(ws_status(conn), 0);
    CHECK_STR(seen, "");
    BEHAVIOUR_END();
    handler.on_request = free_loop;
    start(&handler, "/");
    conn = behaviour_connect("/", NULL);
    CHECK_EQ(ws_status(conn), 0);
    CHECK_STR(seen, "");
    BEHAVIOUR_END();
}

static void test_null(void) {
    char text[8];
    if (!test_begin("NULL for a request, a server, a name"))
        return;
    CHECK(!ws_request_path(NULL).data && !ws_request_param(NULL, "a").data && !ws_request_query(NULL, "a").data);
    CHECK(!ws_request_header(NULL, "a").data && !ws_request_cookie(NULL, "a").data);
    CHECK(!ws_request_peer(NULL, text, sizeof text) && !ws_request_server(NULL));
    CHECK(!ws_accept(NULL, NULL) && !ws_refuse(NULL, 403, NULL, NULL) && !ws_before(NULL, first, NULL));
    CHECK(!ws_slice_is(ws_request_path(NULL), ""));
    CHECK(behaviour_start_bare(NULL));
    CHECK(!ws_before(net.server, NULL, NULL));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    BEHAVIOUR_END();
}

/* The Nth allocation fails, for all N: refused or accepted, never half. */
static void test_scarce(void) {
    size_t n, points = 0;
    ws_handler handler;
    if (!test_begin("without memory a handshake with hooks fails whole"))
        return;
    memset(&handler, 0, sizeof handler);
    handler.on_request = third;
    handler.on_open = opened;
    handler.on_close = closed;
    for (n = 1; n < 200; n++) {
        int status;
        start(&handler, "/{room}");
        (void)ws_before(net.server, second, (void *)"second");
        net.memory.fail_at = net.memory.calls + n;
        status = ws_status(behaviour_connect("/r?second=yes&x=1", NULL));
        CHECK(status == 101 || status == 0 || status == 500 || status == 503);
        CHECK_EQ(strstr(seen, "open") != NULL, status == 101);
        points += status != 101;
        net.memory.fail_at = 0;
        BEHAVIOUR_END();
        if (status == 101 && n > 20)
            break;
    }
    CHECK(points > 0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_look_ups();
    test_bad_paths();
    test_odd();
    test_patterns();
    test_order();
    test_bad_answers();
    test_reentrant();
    test_null();
    test_scarce();
    return test_finish();
}
