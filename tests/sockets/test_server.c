/* SERVER: routes, pages, who may connect, limits, shutdown. Rooms are in test_rooms.c. Sockets where
   bytes, ports or the system's buffers matter; else test clients. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

/* --- routes --- */

static char params[400]; /* what on_open saw, "name=value name=value" */

static void note_params(ws_conn *conn) {
    static const char *const names[] = {"a", "b", "room", "n", "x", "id", "rest"};
    size_t i;
    params[0] = 0;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = ws_param(conn, names[i]);
        size_t used = strlen(params);
        if (value)
            (void)snprintf(params + used, sizeof params - used, "%s%s=%s", used ? " " : "", names[i], value);
    }
    CHECK(ws_param(conn, "absent") == NULL && ws_param(conn, NULL) == NULL && ws_param(conn, "") == NULL);
    net_open(conn);
}

static const struct {
    const char *pattern, *path;
    const char *wanted; /* NULL: 404 */
} routes[] = {
    {"/ws", "/ws", ""},
    {"/ws", "/ws?x=1&y=/", ""},
    {"/ws", "/ws/", NULL},
    {"/ws", "/w", NULL},
    {"/ws", "/WS", NULL},
    {"/ws", "/%77s", ""},
    {"/ws/{room}", "/ws/lobby", "room=lobby"},
    {"/ws/{room}", "/ws/", NULL},
    {"/ws/{room}", "/ws", NULL},
    {"/ws/{room}", "/ws/a/b", NULL},
    {"/ws/{room}", "/ws/a%2Fb", NULL}, /* decoded it is two segments */
    {"/ws/{room}", "/ws/caf%C3%A9%20x", "room=caf\xc3\xa9 x"},
    {"/ws/{room}", "/ws/a+b", "room=a+b"},
    {"/ws/{room}", "/ws/...", "room=..."},
    {"/ws/{a}/{b}", "/ws/1/2", "a=1 b=2"},
    {"/{a}/x/{b}", "/1/x/2", "a=1 b=2"},
    {"/{a}/x/{b}", "/1/y/2", NULL},
    {"/{a}-{b}", "/1-2", "a=1 b=2"},
    {"/{a}.json", "/data.json", "a=data"},
    {"/{a}.json", "/data.xml", NULL},
    {"/n/{n:int}", "/n/42", "n=42"},
    {"/n/{n:int}", "/n/0042", "n=0042"},
    {"/n/{n:int}", "/n/-1", NULL},
    {"/n/{n:int}", "/n/4x", NULL},
    {"/n/{n:int}", "/n/", NULL},
    {"/n/{n:int}/x", "/n/4/x", "n=4"},
    {"/x/{x:float}", "/x/3.25", "x=3.25"},
    {"/x/{x:float}", "/x/3", "x=3"},
    {"/x/{x:float}", "/x/3.", NULL},
    {"/x/{x:float}", "/x/.5", NULL},
    {"/x/{x:float}", "/x/1.2.3", NULL},
    {"/i/{id:uuid}", "/i/123e4567-e89b-12d3-a456-426614174000", "id=123e4567-e89b-12d3-a456-426614174000"},
    {"/i/{id:uuid}", "/i/123E4567-E89B-12D3-A456-426614174000", "id=123E4567-E89B-12D3-A456-426614174000"},
    {"/i/{id:uuid}", "/i/123e4567-e89b-12d3-a456-42661417400", NULL},
    {"/i/{id:uuid}", "/i/123e4567-e89b-12d3-a456-4266141740000", NULL},
    {"/i/{id:uuid}", "/i/123e4567ee89b-12d3-a456-426614174000", NULL},
    {"/files/{rest:path}", "/files/a/b/c.txt", "rest=a/b/c.txt"},
    {"/files/{rest:path}", "/files/", "rest="},
    {"/files/{rest:path}", "/files", NULL},
    {"/{rest:path}", "/", "rest="},
    {"/{rest:path}", "/a%2f..%2fb", "rest=a/../b"}};

static void test_routes(void) {
    size_t i;
    for (i = 0; i < sizeof routes / sizeof *routes; i++) {
        ws_handler handler = net_handler();
        bool found = routes[i].wanted != NULL;
        if (!test_begin("route %s for %s", routes[i].pattern, routes[i].path))
            continue;
        CHECK(behaviour_start_bare(NULL));
        handler.on_open = note_params;
        CHECK(ws_route(net.server, routes[i].pattern, &handler));
        ws_conn *conn = behaviour_connect(routes[i].path, NULL);
        CHECK_EQ(ws_status(conn), found ? 101 : 404);
        CHECK_EQ(ws_last_error(conn), found ? WS_OK : WS_ERROR_REFUSED);
        CHECK_EQ(ws_state(conn), found ? WS_OPEN : WS_CLOSED);
        CHECK_EQ(net.opened, found);
        if (found)
            CHECK_STR(params, routes[i].wanted);
        else /* its body has the size that its header states */
            CHECK(ws_header(conn, "Content-Length")
                  && (size_t)atoi(ws_header(conn, "Content-Length")) == strlen(ws_body(conn)));
        BEHAVIOUR_END();
    }
}

/* Targets that no client of ours sends. */
static void test_other_targets(void) {
    static const char *const targets[] = {"http://127.0.0.1:%u/ws", "*"};
    size_t i;
    for (i = 0; i < 2; i++) {
        ws_handler handler = net_handler();
        char target[200];
        if (!test_begin("route /ws for %s", targets[i]))
            continue;
        net_start_loop(NULL);
        net.server = ws_listen(net.loop, NULL);
        handler.on_open = note_params;
        CHECK(ws_route(net.server, "/ws", &handler));
        peer *p = net_connect();
        (void)snprintf(target, sizeof target, "*");
        if (!i)
            (void)snprintf(target, sizeof target, "http://127.0.0.1:%u/ws", (unsigned)ws_port(net.server));
        peer_upgrade(p, target, NULL);
        CHECK_EQ(peer_status(p), i ? 400 : 101);
        CHECK_EQ(net.opened, !i);
        if (!i)
            CHECK_STR(params, "");
        NET_END();
    }
}

static void test_bad_paths(void) {
    static const char *const paths[] = {"/%", "/%4", "/%zz", "/%00", "/a%00b", "//", "/\x80", "/a#b", "ws",
                                       "ftp://127.0.0.1/"};
    static const int statuses[] = {400, 400, 400, 400, 400, 404, 400, 400, 400, 400};
    size_t i;
    for (i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (!test_begin("bad path %zu", i))
            continue;
        CHECK(net_start());
        peer *p = net_connect();
        peer_upgrade(p, paths[i], NULL);
        CHECK_EQ(peer_status(p), statuses[i]);
        net_settle();
        CHECK(p->ended && !p->reset);
        CHECK_EQ(net.opened, 0);
        NET_END();
    }
}

static const struct {
    const char *pattern;
    ws_error error;
} patterns[] = {
    {"", WS_ERROR_PATTERN},           {"ws", WS_ERROR_PATTERN},         {NULL, WS_ERROR_PATTERN},
    {"/{", WS_ERROR_PATTERN},         {"/{a", WS_ERROR_PATTERN},        {"/}", WS_ERROR_PATTERN},
    {"/{}", WS_ERROR_PATTERN},        {"/{a}}", WS_ERROR_PATTERN},      {"/{a:}", WS_ERROR_PATTERN},
    {"/{a:str2}", WS_ERROR_PATTERN},  {"/{a:INT}", WS_ERROR_PATTERN},   {"/{a b}", WS_ERROR_PATTERN},
    {"/{1a}", WS_ERROR_PATTERN},      {"/{a}{b}", WS_ERROR_PATTERN},    {"/{a:path}/x", WS_ERROR_PATTERN},
    {"/{a{b}}", WS_ERROR_PATTERN},    {"/{:int}", WS_ERROR_PATTERN},    {"/{a:int:int}", WS_ERROR_PATTERN},
    {"/{a}/{b}/{a}", WS_ERROR_DUPLICATE}, {"/{a}/{a:int}", WS_ERROR_DUPLICATE},
    {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", WS_OK}, {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", WS_ERROR_PATTERN},
    {"/", WS_OK}, {"/a/{_b9}/c", WS_OK}, {"/{a}.{b}", WS_OK}};

static void test_patterns(void) {
    ws_handler handler = net_handler();
    size_t i;
    for (i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (!test_begin("pattern %s", patterns[i].pattern ? patterns[i].pattern : "NULL"))
            continue;
        CHECK(behaviour_start_bare(NULL));
        CHECK_EQ(ws_route(net.server, patterns[i].pattern, &handler), patterns[i].error == WS_OK);
        CHECK_EQ(ws_loop_error(net.loop), patterns[i].error);
        if (patterns[i].error)
            CHECK_EQ(ws_run(net.loop), patterns[i].error); /* and says so at once */
        BEHAVIOUR_END();
    }
    if (!test_begin("pattern without a handler, page without a body"))
        return;
    CHECK(behaviour_start_bare(NULL));
    CHECK(!ws_route(net.server, "/", NULL));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
    CHECK(!ws_page(net.server, "/", "text/html", NULL) && !ws_page(net.server, "/", NULL, "x"));
    CHECK(!ws_page(net.server, "/", "text/html\r\nX: y", "x"));
    CHECK(!ws_route(net.server, "no slash", &handler));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT); /* the first stays */
    CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL("route /: the handler is NULL"));
    BEHAVIOUR_END();
    CHECK(behaviour_start_bare(NULL));
    CHECK(!ws_route(net.server, "/{a}/{a}", &handler));
    CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL("route /{a}/{a}: two parameters of a "
                                                         "route have the same name; rename one"));
    BEHAVIOUR_END();
}

#define KINDS " is none of {b}, {n:int}, {x:float}, {i:uuid}, {p:path}"
#define GENERAL \
    ": malformed pattern; write '/a/{b}', with up to 8 of {b}, {n:int}, {x:float}, {i:uuid}, and {p:path} at its end"

static void no_hook(ws_request *request, void *user) { (void)request, (void)user; }

/* Patterns of other routers are refused, and the error gives ours. */
static void test_foreign_patterns(void) {
    static const struct { const char *pattern, *says; } cases[] = {
        {"/ws/:room", ": write {room} for :room"},
        {"/a/:room_2/b", ": write {room_2} for :room_2"},
        {"/:id(\\d+)", ": write {id} for :id(\\d+)"},
        {"/*", ": write {path:path} for *"},
        {"/static/*file", ": write {file:path} for *file"},
        {"/<room>", ": write {room} for <room>"},
        {"/<int:room>/x", ": write {room} for <int:room>"},
        {"/{room:str}", ": {room:str}" KINDS}, {"/{n:[0-9]+}/b", ": {n:[0-9]+}" KINDS},
        {"/{rest...}", ": {rest...}" KINDS},
        {"/{*rest}", ": {*rest}" KINDS}, {"/{}", ": {}" KINDS}, {"/{a", ": {a" KINDS}, {"/{9}", ": {9}" KINDS},
        {"chat", ": a pattern begins with '/'"}, {"", ": a pattern begins with '/'"},
        {"/{a}{b}", GENERAL}, {"/{p:path}/x", GENERAL}, {"/}", GENERAL}};
    ws_handler handler = net_handler();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char says[300];
        if (!test_begin("pattern %s: the error text", cases[i].pattern))
            continue;
        for (int kind = 0; kind < 4; kind++) {
            (void)snprintf(says, sizeof says, "%s %s%s", kind == 0 ? "route" : kind == 2 ? "handler of" : "page",
                           cases[i].pattern, cases[i].says);
            CHECK(behaviour_start_bare(NULL));
            CHECK(!(kind == 0   ? ws_route(net.server, cases[i].pattern, &handler)
                    : kind == 1 ? ws_page(net.server, cases[i].pattern, "text/plain", "x")
                    : kind == 2 ? ws_http(net.server, "GET", cases[i].pattern, no_hook, NULL)
                                : ws_page_file(net.server, cases[i].pattern, "text/plain", "README.md")));
            CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_PATTERN);
            CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL(says));
            BEHAVIOUR_END();
        }
    }
    if (!test_begin("colons, stars and angles elsewhere are plain text"))
        return;
    CHECK(behaviour_start());
    CHECK(net_route("/a:b") && net_route("/:8000") && net_route("/a*") && net_route("/a<b>") && net_route("/<"));
    ws_conn *conn = behaviour_open("/a:b");
    CHECK_EQ(ws_state(conn), WS_OPEN);
    BEHAVIOUR_END();
}

/* Arguments that cannot be used: the error names the argument, and what is wrong with it. */
static void test_sentences(void) {
    static const struct { const char *subprotocols, *says; } cases[] = {
        {"a b", "\"a b\""}, {"chat, a/b", "\"a/b\""}, {"chat, superchat, chat", "\"chat\""}, {",", "\",\""},
        {"chat\r\nX: y", "\"chat\""}, {" ", "\" \""}, {"caf\xc3\xa9", "\"caf\xc3\xa9\""}};
    ws_handler handler = net_handler();
    char says[300];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!test_begin("subprotocols of a route that no client can offer: %s", cases[i].says))
            continue;
        CHECK(behaviour_start_bare(NULL));
        handler.subprotocols = cases[i].subprotocols;
        CHECK(!ws_route(net.server, "/x", &handler));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
        (void)snprintf(says, sizeof says,
                       "route /x: subprotocols are distinct tokens: \"chat, superchat\", not %s", cases[i].says);
        CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL(says));
        BEHAVIOUR_END();
    }
    if (!test_begin("other arguments that are NULL or missing: the error text names them"))
        return;
    for (int what = 0; what < 14; what++) {
        static const char *const sentences[] = {"route /x: the handler is NULL", "hook of ws_before: it is NULL",
            "handler of /x: the function is NULL",
            "file none/such.html: the file cannot be read; check its name and the working directory",
            "file (null): the file cannot be read; check its name and the working directory",
            "folder none: it does not exist or cannot be read",
            "page /x: content_type is NULL", "page /x: body is NULL", "page /x: content_type holds a control character",
            "files at /: folder is NULL", "files at /a: a prefix begins and ends with '/', without parameters",
            "charset a b: not a valid name",
            "handler of /x: methods is a list such as \"GET, POST\", of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            "route /x: deflate: window_bits is 8 to 15, level is -1 to 9; or 0, the default"};
        memset(&handler, 0, sizeof handler);
        handler.deflate.on = true;
        handler.deflate.level = 10;
        CHECK(behaviour_start_bare(NULL));
        CHECK(!(what == 0   ? ws_route(net.server, "/x", NULL)
                : what == 1 ? ws_before(net.server, NULL, NULL)
                : what == 2 ? ws_http(net.server, "GET", "/x", NULL, NULL)
                : what == 3 ? ws_page_file(net.server, "/x", "text/html", "none/such.html")
                : what == 4 ? ws_page_file(net.server, "/x", "text/html", NULL)
                : what == 5 ? ws_files(net.server, "/", "none")
                : what == 6 ? ws_page(net.server, "/x", NULL, "a")
                : what == 7 ? ws_page(net.server, "/x", "text/html", NULL)
                : what == 8 ? ws_page(net.server, "/x", "text/html\n", "a")
                : what == 9 ? ws_files(net.server, "/", NULL)
                : what == 10 ? ws_files(net.server, "/a", "tests")
                : what == 11 ? ws_files_charset(net.server, "/", "tests", "a b")
                : what == 12 ? ws_http(net.server, "get", "/x", no_hook, NULL)
                             : ws_route(net.server, "/x", &handler)));
        CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL(sentences[what]));
        BEHAVIOUR_END();
    }
}

static void first_opens(ws_conn *conn) {
    (void)ws_send_text(conn, "first");
    net_open(conn);
}

static void test_first_fits(void) {
    ws_handler handler = net_handler();
    if (!test_begin("the first registered route that fits wins"))
        return;
    CHECK(behaviour_start());
    handler.on_open = first_opens;
    CHECK(ws_route(net.server, "/a/{n:int}", &handler));
    CHECK(net_route("/a/{room}") && net_route("/a/7"));
    CHECK(ws_page(net.server, "/a/7", "text/plain", "a page of the same path"));
    ws_conn *conn = behaviour_open("/a/7");
    CHECK_GETS(conn, "t:first");
    conn = behaviour_open("/a/b");
    CHECK_GETS(conn, "");
    BEHAVIOUR_END();
}

/* --- pages --- */

/* Sends a request and returns the status; what follows the head stays. */
static int ask(peer *p, const char *first, const char *more) {
    char text[2000];
    (void)snprintf(text, sizeof text, "%s\r\nHost: 127.0.0.1\r\n%s\r\n", first, more);
    peer_text(p, text);
    return peer_status(p);
}

static void test_pages(void) {
    if (!test_begin("pages: GET and HEAD, type, length"))
        return;
    CHECK(net_start());
    CHECK(ws_page(net.server, "/page", "text/html", "<p>caf\xc3\xa9"));
    CHECK(ws_page(net.server, "/data", "application/json", "{}"));
    CHECK(ws_page(net.server, "/type", "text/css; charset=latin1", ""));
    CHECK(ws_page(net.server, "/all/{rest:path}", "text/plain", "all"));
    peer *p = net_connect();
    CHECK_EQ(ask(p, "GET /page?x=y HTTP/1.1", ""), 200);
    net_settle();
    CHECK(peer_has(p, "\r\nContent-Type: text/html; charset=utf-8\r\n") && peer_has(p, "\r\nContent-Length: 8\r\n"));
    CHECK(!peer_has(p, "Connection: close"));
    peer_take_head(p);
    CHECK_MEM(p->in.data, p->in.size, "<p>caf\xc3\xa9", 8);
    p->in.size = 0;
    CHECK_EQ(ask(p, "HEAD /page HTTP/1.1", ""), 200);
    net_settle();
    CHECK(peer_has(p, "\r\nContent-Length: 8\r\n"));
    peer_take_head(p);
    CHECK_EQ(p->in.size, 0);
    CHECK_EQ(ask(p, "GET /data HTTP/1.1", ""), 200);
    CHECK(peer_has(p, "\r\nContent-Type: application/json\r\n"));
    net_settle();
    p->in.size = 0;
    CHECK_EQ(ask(p, "GET /type HTTP/1.1", ""), 200);
    CHECK(peer_has(p, "text/css; charset=latin1\r\n") && peer_has(p, "Content-Length: 0\r\n"));
    p->in.size = 0;
    CHECK_EQ(ask(p, "GET /all/a/b HTTP/1.1", ""), 200);
    CHECK(!p->ended);
    NET_END();
}

static const struct {
    const char *first, *more;
    int status;
    const char *header;
} answers[] = {
    {"GET /page HTTP/1.1", "", 200, NULL},
    {"GET /page HTTP/1.0", "", 200, "Connection: close\r\n"},
    {"GET /page HTTP/1.1", "Connection: close\r\n", 200, "Connection: close\r\n"},
    {"GET /page HTTP/1.1", "Connection: a, CLOSE\r\n", 200, "Connection: close\r\n"},
    {"GET /page HTTP/1.1", "Upgrade: h2c\r\nConnection: Upgrade\r\n", 200, NULL},
    {"GET /none HTTP/1.1", "", 404, NULL},
    {"HEAD /none HTTP/1.1", "", 404, NULL},
    {"GET / HTTP/1.1", "", 426, "Upgrade: websocket\r\n"},
    {"GET / HTTP/1.1", "", 426, "Sec-WebSocket-Version: 13\r\n"},
    {"POST /page HTTP/1.1", "Content-Length: 0\r\n", 405, "Allow: GET, HEAD\r\n"},
    {"PUT /page HTTP/1.1", "Content-Length: 3\r\n", 405, NULL},
    {"DELETE /page HTTP/1.1", "", 405, NULL},
    {"get /page HTTP/1.1", "", 405, NULL},
    {"POST / HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", 405, NULL},
    {"GET /page HTTP/1.1", "Content-Length: 1048577\r\n", 413, NULL},
    {"GET /page HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n", 501, NULL},
    {"GET /page HTTP/2.0", "", 505, NULL},
    {"GET / HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 426, "Sec-WebSocket-Version: 13\r\n"},
    {"GET / HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", 400, NULL},
    {"GET / HTTP/1.1", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400, NULL}};

static void test_page_is_no_websocket(void) {
    if (!test_begin("pages: a WebSocket handshake there gets 404"))
        return;
    CHECK(behaviour_start());
    CHECK(ws_page(net.server, "/page", "text/plain", "only a page"));
    ws_conn *conn = behaviour_connect("/page", NULL);
    CHECK_EQ(ws_status(conn), 404);
    CHECK_EQ(ws_last_error(conn), WS_ERROR_REFUSED);
    CHECK_EQ(ws_state(conn), WS_CLOSED);
    CHECK(ws_body(conn)[0] && !strstr(ws_body(conn), "only a page"));
    CHECK(ws_header(conn, "Content-Type") != NULL);
    CHECK_EQ(net.opened, 0);
    BEHAVIOUR_END();
}

static void test_answers(void) {
    size_t i;
    for (i = 0; i < sizeof answers / sizeof *answers; i++) {
        const char *head = answers[i].first;
        if (!test_begin("answer to %s %.30s", head, answers[i].more))
            continue;
        CHECK(net_start());
        CHECK(ws_page(net.server, "/page", "text/plain", "page"));
        peer *p = net_connect();
        CHECK_EQ(ask(p, head, answers[i].more), answers[i].status);
        net_settle();
        if (answers[i].header)
            CHECK(peer_has(p, answers[i].header));
        CHECK(peer_has(p, "Content-Length: "));
        if (answers[i].status != 200 || (answers[i].header && strstr(answers[i].header, "close")))
            CHECK(p->ended && !p->reset);
        else
            CHECK(!p->ended);
        if (strncmp(head, "HEAD", 4) == 0) {
            peer_take_head(p);
            CHECK_EQ(p->in.size, 0);
        }
        CHECK_EQ(net.opened, 0);
        NET_END();
    }
}

static void test_pipelined(void) {
    static const char many[] = "GET /a HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b HTTP/1.1\r\nHost: a\r\n\r\n"
                               "GET /b HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n"
                               "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    bytes all = {NULL, 0, 0};
    size_t cut;
    if (!test_begin("pages: pipelined requests and then a WebSocket, cut at every byte"))
        return;
    bytes_add(&all, many, sizeof many - 1);
    wire_write(&all, "81\"x\"", true);
    CHECK(net_start());
    CHECK(ws_page(net.server, "/a", "text/plain", "AAA") && ws_page(net.server, "/b", "text/plain", "BBB"));
    for (cut = 0; cut < all.size; cut++) {
        peer *p;
        net.peer_count = 0;
        p = net_connect();
        CHECK_EQ(peer_send(p, all.data, cut), cut);
        (void)net_round(0);
        (void)net_round(0);
        CHECK_EQ(peer_send(p, all.data + cut, all.size - cut), all.size - cut);
        CHECK_EQ(peer_status(p), 200);
        for (int i = 0; i < 200 && !peer_has(p, "\x81\1x"); i++)
            (void)net_round(100);
        peer_take_head(p);
        CHECK(p->in.size > 3 && memcmp(p->in.data, "AAA", 3) == 0);
        peer_take_head(p);
        CHECK(p->in.size > 3 && memcmp(p->in.data, "HTTP", 4) == 0);
        peer_take_head(p);
        CHECK(p->in.size > 3 && memcmp(p->in.data, "BBBHTTP/1.1 101 ", 16) == 0);
        peer_take_head(p);
        CHECK_MEM(p->in.data, p->in.size, "\x81\1x", 3);
        peer_reset(p);
        bytes_free(&p->in);
        (void)net_round(0);
    }
    bytes_free(&all);
    NET_END();
}

static void test_large_page(void) {
    size_t size = 1000000;
    char *body = (char *)malloc(size + 1), length[60];
    if (!body || !test_begin("pages: a large one to a slow reader; later requests wait")) {
        free(body);
        return;
    }
    memset(body, 'x', size);
    body[size] = 0;
    (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", size);
    CHECK(net_start_exact());
    net_small_buffers();
    CHECK(ws_page(net.server, "/large", "text/plain", body) && ws_page(net.server, "/end", "text/plain", "end"));
    peer *p = net_connect_to(ws_port(net.server), 4096);
    p->deaf = true;
    for (int i = 0; i < 20; i++)
        peer_text(p, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_text(p, "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    net_settle();
    CHECK(net.memory.peak < 6 << 20);
    net_wait(9000);
    CHECK_EQ(net.server->endpoint.count, 1);
    p->deaf = false;
    CHECK(peer_wait(p, 20 * size));
    net_settle();
    CHECK(p->ended && !p->reset);
    CHECK(p->in.size > 3 && memcmp(p->in.data + p->in.size - 3, "end", 3) == 0);
    free(body);
    NET_END();
}

static void test_slow_page(void) {
    static char body[400001], part[65536];
    size_t total = 0;
    int i;
    if (!test_begin("pages: one that a peer takes minutes to read, with the deadlines of a handshake")
        || !net_tells_unsent())
        return;
    memset(body, 'x', sizeof body - 1);
    CHECK(net_start());
    net_small_buffers();
    CHECK(ws_page(net.server, "/large", "text/plain", body));
    peer *p = net_connect_to(ws_port(net.server), 4096);
    p->deaf = true;
    peer_text(p, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    for (i = 0; i < 1000 && total < 200000; i++) {
        ssize_t got = recv(p->fd, part, 15000, MSG_DONTWAIT);
        total += got > 0 ? (size_t)got : 0;
        CHECK(got != 0);
        net_wait(4000);
    }
    CHECK(i > 10);
    p->deaf = false;
    net_settle();
    CHECK(total + p->in.size > sizeof body);
    p->in.size = 0;
    peer_text(p, "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n"); /* still kept alive */
    CHECK_EQ(peer_status(p), 200);
    net_wait(75000);
    CHECK(p->ended && !p->reset); /* and now it is idle */
    NET_END();
}

static void test_page_file(void) {
    char name[] = "ws_test_page_XXXXXX";
    int fd = mkstemp(name);
    static char content[10000];
    if (!test_begin("pages: from a file, with any bytes in it"))
        return;
    memset(content, 'f', sizeof content);
    content[0] = 0;
    content[5000] = (char)0xff;
    CHECK(fd >= 0 && write(fd, content, sizeof content) == (ssize_t)sizeof content);
    CHECK(net_start());
    CHECK(ws_page_file(net.server, "/file", "application/octet-stream", name));
    (void)close(fd);
    net.descriptors--;
    (void)unlink(name);
    peer *p = net_connect();
    CHECK_EQ(ask(p, "GET /file HTTP/1.1", ""), 200);
    peer_take_head(p);
    CHECK(peer_wait(p, sizeof content));
    CHECK_MEM(p->in.data, p->in.size, content, sizeof content);
    CHECK(!ws_page_file(net.server, "/none", "text/plain", name));
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_FILE);
    CHECK(!ws_page_file(net.server, "/none", "text/plain", NULL));
    CHECK(!ws_page_file(net.server, "/folder", "text/plain", "/tmp"));
    NET_END();
}

/* --- who may connect --- */

static const struct {
    const char *origins; /* the config; NULL: same origin */
    const char *origin;  /* the header; NULL: none */
    int status;
} origins[] = {
    {NULL, NULL, 101},
    {NULL, "http://127.0.0.1:8000", 101},
    {NULL, "https://127.0.0.1:8000", 101},
    {NULL, "HTTP://127.0.0.1:8000", 101},
    {NULL, "http://127.0.0.1", 403},
    {NULL, "http://127.0.0.1:1", 403},
    {NULL, "http://127.0.0.1:80000", 403},
    {NULL, "http://127.0.0.2:8000", 403},
    {NULL, "http://evil.example", 403},
    {NULL, "http://127.0.0.1:8000.evil.example", 403},
    {NULL, "http://evil.example/127.0.0.1:8000", 403},
    {NULL, "http://evil127.0.0.1:8000", 403},
    {NULL, "http://127.0.0.1:8000@evil.example", 403},
    {NULL, "http://127.0.0.1:8000/", 403},
    {NULL, "null", 403},
    {NULL, "", 403},
    {NULL, "ftp://127.0.0.1:8000", 403},
    {NULL, "127.0.0.1:8000", 403},
    {NULL, "http:127.0.0.1:8000", 403},
    {NULL, "http://", 403},
    {"*", "http://evil.example", 101},
    {"*", "null", 101},
    {"*", NULL, 101},
    {"https://a.example, http://b.example:8000", "https://a.example", 101},
    {"https://a.example, http://b.example:8000", "HTTPS://A.example", 101},
    {"https://a.example, http://b.example:8000", "http://b.example:8000", 101},
    {"https://a.example, http://b.example:8000", "http://a.example", 403},
    {"https://a.example, http://b.example:8000", "https://a.example:444", 403},
    {"https://a.example, http://b.example:8000", "https://a.example.evil", 403},
    {"https://a.example, http://b.example:8000", "https://a.example, http://b.example:8000", 403},
    {"https://a.example, http://b.example:8000", "null", 403},
    {"https://a.example, http://b.example:8000", "", 403},
    {"https://a.example, http://b.example:8000", "http://127.0.0.1:8000", 403},
    {"https://a.example, http://b.example:8000", NULL, 101}};

/* The client's status with these headers; origin NULL: none. */
static int status_from(const char *host, const char *origin) {
    const char *headers[3] = {NULL, NULL, NULL};
    char lines[2][200];
    ws_client_config config;
    memset(&config, 0, sizeof config);
    (void)snprintf(lines[0], sizeof lines[0], "Host: %s", host);
    headers[0] = lines[0];
    if (origin) { /* as a line, since an empty config.origin is none */
        (void)snprintf(lines[1], sizeof lines[1], "Origin: %s", origin);
        headers[1] = lines[1];
    }
    config.headers = headers;
    ws_conn *conn = behaviour_connect("/", &config);
    CHECK_EQ(ws_last_error(conn), ws_status(conn) == 101 ? WS_OK : WS_ERROR_REFUSED);
    return ws_status(conn);
}

static void test_origins(void) {
    size_t i;
    for (i = 0; i < sizeof origins / sizeof *origins; i++) {
        ws_server_config config;
        if (!test_begin("origins %s: Origin %s", origins[i].origins ? origins[i].origins : "same",
                        origins[i].origin ? origins[i].origin : "absent"))
            continue;
        memset(&config, 0, sizeof config);
        config.origins = origins[i].origins;
        CHECK(behaviour_start_with(&config));
        CHECK_EQ(status_from("127.0.0.1:8000", origins[i].origin), origins[i].status);
        CHECK_EQ(net.opened, origins[i].status == 101);
        BEHAVIOUR_END();
    }
}

static const struct {
    const char *host, *origin;
    int status;
} default_ports[] = {
    {"example.com", "http://example.com", 101},       {"example.com:80", "http://example.com", 101},
    {"example.com", "http://example.com:80", 101},    {"example.com", "https://example.com", 101},
    {"example.com:443", "https://example.com", 101},  {"example.com:80", "https://example.com", 403},
    {"example.com", "http://EXAMPLE.com", 101},       {"[::1]:81", "http://[::1]:81", 101},
    {"[::1]", "http://[::1]:81", 403},                {"example.com", "http://sub.example.com", 403},
    {"sub.example.com", "http://example.com", 403},   {"example.com.", "http://example.com", 403}};

static void test_default_ports(void) {
    size_t i;
    for (i = 0; i < sizeof default_ports / sizeof *default_ports; i++) {
        if (!test_begin("Host %s, Origin %s", default_ports[i].host, default_ports[i].origin))
            continue;
        CHECK(behaviour_start());
        CHECK_EQ(status_from(default_ports[i].host, default_ports[i].origin), default_ports[i].status);
        CHECK_EQ(net.opened, default_ports[i].status == 101);
        BEHAVIOUR_END();
    }
}

static void test_origin_is_ours(void) {
    char origin[40] = "https://a.example";
    ws_server_config config;
    if (!test_begin("config strings are copied"))
        return;
    memset(&config, 0, sizeof config);
    config.origins = origin;
    CHECK(behaviour_start_with(&config));
    strcpy(origin, "*");
    CHECK_EQ(status_from("127.0.0.1:8000", "http://evil.example"), 403);
    CHECK_EQ(status_from("127.0.0.1:8000", "https://a.example"), 101);
    BEHAVIOUR_END();
}

static const struct {
    const char *ours, *offered, *chosen;
} protocols[] = {
    {NULL, NULL, ""},
    {NULL, "chat", ""},
    {"chat, superchat", NULL, ""},
    {"chat, superchat", "superchat", "superchat"},
    {"chat, superchat", "superchat, chat", "chat"},
    {"chat, superchat", "a,b ,  superchat", "superchat"},
    {"chat, superchat", "Chat", ""},
    {"chat", "chatty", ""},
    {"", "chat", ""}};

static void test_subprotocols(void) {
    size_t i;
    for (i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        ws_handler handler = net_handler();
        ws_client_config config;
        const char *header;
        if (!test_begin("subprotocols: ours %s, offered %s", protocols[i].ours ? protocols[i].ours : "none",
                        protocols[i].offered ? protocols[i].offered : "none"))
            continue;
        CHECK(behaviour_start());
        handler.subprotocols = protocols[i].ours;
        CHECK(ws_route(net.server, "/{a}/sub", &handler));
        memset(&config, 0, sizeof config);
        config.subprotocols = protocols[i].offered;
        ws_conn *conn = behaviour_connect("/p/sub", &config);
        CHECK_EQ(ws_status(conn), 101);
        header = ws_header(conn, "Sec-WebSocket-Protocol");
        CHECK_EQ(header != NULL, protocols[i].chosen[0] != 0);
        CHECK_STR(header ? header : "", protocols[i].chosen);
        CHECK_STR(ws_subprotocol(conn), protocols[i].chosen);
        CHECK_STR(ws_subprotocol(net.conns[1]), protocols[i].chosen);
        CHECK(ws_param(net.conns[1], "a") && strcmp(ws_param(net.conns[1], "a"), "p") == 0);
        BEHAVIOUR_END();
    }
}

static void test_max_connections(void) {
    ws_server_config config;
    if (!test_begin("max_connections: the next gets 503, until a connection ends"))
        return;
    memset(&config, 0, sizeof config);
    config.max_connections = 2;
    CHECK(net_start_with(NULL, &config));
    peer *a = net_peer("/"), *b = net_peer("/"), *c = net_connect();
    peer_upgrade(c, "/", NULL);
    CHECK_EQ(peer_status(c), 503);
    net_settle();
    CHECK(c->ended && !c->reset);
    CHECK_EQ(net.opened, 2);
    peer_frames(a, "81\"x\"");
    CHECK_FRAMES(a, "81\"x\"");
    peer_close(b);
    net_settle();
    CHECK(net_serves());
    NET_END();
}

static void test_turned_away_late(void) {
    ws_server_config config;
    if (!test_begin("max_connections: a request that comes after the 503 does not destroy it"))
        return;
    memset(&config, 0, sizeof config);
    config.max_connections = 1;
    CHECK(net_start_with(NULL, &config));
    (void)net_peer("/");
    peer *p = net_connect();
    p->deaf = true;
    net_settle();
    p->deaf = false;
    CHECK_EQ(peer_status(p), 503);
    CHECK_EQ(net.server->endpoint.count, 1);
    NET_END();
}

/* --- several servers, free --- */

static void test_two_servers(void) {
    ws_server *first, *second;
    ws_server_config config;
    ws_handler handler = net_handler();
    if (!test_begin("two servers in one loop: routes and rooms of their own; one is freed"))
        return;
    CHECK(behaviour_start());
    first = net.server;
    ws_conn *a = behaviour_open("/");
    memset(&config, 0, sizeof config);
    config.no_port = true;
    second = net.server = ws_listen(net.loop, &config);
    CHECK(second && second != first && ws_port(second) == 0);
    CHECK(ws_route(second, "/b", &handler));
    CHECK_EQ(ws_status(behaviour_connect("/", NULL)), 404);
    ws_conn *b = behaviour_open("/b");
    CHECK(ws_conn_server(net.conns[1]) == first && ws_conn_server(net.conns[2]) == second);
    CHECK(ws_join(net.conns[1], "room") && ws_join(net.conns[2], "room"));
    CHECK_EQ(ws_room_count(first, "room"), 1);
    CHECK(ws_broadcast_text(net.conns[1], "room", "hi"));
    CHECK_GETS(a, "t:hi");
    CHECK_GETS(b, "");
    net.log.size = 0;
    ws_server_free(first);
    CHECK_LOG("c1:1006::n"); /* outside of callbacks: at once */
    CHECK_GETS(a, "c:1006:");
    CHECK(ws_send_text(b, "x"));
    CHECK_GETS(b, "t:x");
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    BEHAVIOUR_END();
}

static void test_two_ports(void) {
    ws_server *first;
    if (!test_begin("two servers in one loop: each has a port of its own"))
        return;
    CHECK(net_start());
    first = net.server;
    peer *a = net_peer("/");
    net.server = ws_listen(net.loop, NULL);
    CHECK(net.server && ws_port(net.server) && ws_port(net.server) != ws_port(first));
    CHECK(net_route("/b"));
    peer *b = net_peer("/b");
    ws_server_free(first);
    net_settle();
    CHECK(a->ended);
    peer_frames(b, "81\"x\"");
    CHECK_FRAMES(b, "81\"x\"");
    NET_END();
}

static void test_reuse_port(void) {
    ws_server_config config;
    if (!test_begin("reuse_port: two loops on one port"))
        return;
    memset(&config, 0, sizeof config);
    config.reuse_port = true;
    if (WSI_PLATFORM_REUSE_PORT < 0) {
        CHECK(!net_start_with(NULL, &config));
        CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL(": this system has no reuse_port")) != NULL);
        NET_END();
        return;
    }
    CHECK(net_start_with(NULL, &config));
    config.port = ws_port(net.server);
    ws_loop *other = ws_loop_new(NULL);
    CHECK(ws_listen(other, &config) != NULL);
    CHECK_EQ(ws_loop_error(other), WS_OK);
    ws_loop_free(other);
    CHECK(net_serves());
    NET_END();
}

static void test_restart(void) {
    ws_server_config config;
    uint16_t port;
    if (!test_begin("a server takes the port of its predecessor at once"))
        return;
    memset(&config, 0, sizeof config);
    CHECK(net_start());
    (void)net_peer("/");
    port = config.port = ws_port(net.server);
    ws_server_free(net.server);
    net.server = ws_listen(net.loop, &config);
    CHECK(net.server && ws_port(net.server) == port && net_route("/"));
    CHECK(net_serves());
    NET_END();
}

static void test_ipv6(void) {
    struct sockaddr_in6 own;
    socklen_t size = sizeof own;
    ws_server_config config;
    char text[64], wanted[64];
    if (!test_begin("a server on ::1, the peer's address in brackets"))
        return;
    memset(&config, 0, sizeof config);
    config.host = "::1";
    if (!net_start_with(NULL, &config)) {
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ADDRESS);
        NET_END();
        test_skip("no IPv6 here");
        return;
    }
    CHECK(ws_port(net.server) != 0);
    peer *p = &net.peers[net.peer_count++];
    memset(&own, 0, sizeof own);
    own.sin6_family = AF_INET6;
    own.sin6_port = htons(ws_port(net.server));
    own.sin6_addr.s6_addr[15] = 1;
    p->fd = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQ(connect(p->fd, (struct sockaddr *)&own, sizeof own), 0);
    CHECK_EQ(fcntl(p->fd, F_SETFL, O_NONBLOCK), 0);
    peer_upgrade(p, "/", NULL);
    CHECK_EQ(peer_status(p), 101);
    CHECK_EQ(getsockname(p->fd, (struct sockaddr *)&own, &size), 0);
    (void)snprintf(wanted, sizeof wanted, "[::1]:%u", (unsigned)ntohs(own.sin6_port));
    CHECK(ws_peer(net.conns[1], text, sizeof text));
    CHECK_STR(text, wanted);
    NET_END();
}

static void test_all_addresses(void) {
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    ws_server_config config;
    char text[60], wanted[60];
    if (!test_begin("a server on ::, a client with IPv4: its address is reported as one of IPv4"))
        return;
    memset(&config, 0, sizeof config);
    config.host = "::";
    net_start_loop(NULL);
    net.server = ws_listen(net.loop, &config);
    if (!net.server || !net_route("/")) {
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ADDRESS);
        NET_END();
        test_skip("no IPv6 here");
        return;
    }
    peer *p = net_peer("/");
    CHECK_EQ(getsockname(p->fd, (struct sockaddr *)&own, &size), 0);
    (void)snprintf(wanted, sizeof wanted, "127.0.0.1:%u", (unsigned)ntohs(own.sin_port));
    CHECK(ws_peer(net.conns[1], text, sizeof text));
    CHECK_STR(text, wanted);
    NET_END();
}

static void test_empty_handler(void) {
    ws_handler handler;
    if (!test_begin("a route without callbacks: handshake, pongs and close, messages are dropped"))
        return;
    net_start_loop(NULL);
    net.server = ws_listen(net.loop, NULL);
    memset(&handler, 0, sizeof handler);
    CHECK(ws_route(net.server, "/", &handler));
    peer *p = net_peer("/");
    peer_frames(p, "81\"x\" 82#70000 89\"p\" 81<ff>");
    CHECK_FRAMES(p, "8a\"p\" 88<03ef>");
    p = net_peer("/");
    peer_frames(p, "81\"x\" 88<0fa0>\"y\"");
    CHECK_FRAMES(p, "88<0fa0>\"y\"");
    CHECK(p->ended && !p->reset);
    NET_END();
}

/* --- shutdown --- */

/* ws_run returns at once. The clock does not advance: with a reason to wait, it would wait for ever. */
static void check_stopped(void) {
    net_settle();
    if (net.loop->shutting_down && net.loop->conn_count == 0)
        CHECK_EQ(ws_run(net.loop), WS_OK);
    CHECK(net.loop->shutting_down && net.loop->conn_count == 0);
    CHECK(!ws_run_once(net.loop, 0));
}

static void test_shutdown(void) {
    if (!test_begin("shutdown: 1012 to all, queue sent, no new connection, ws_run returns"))
        return;
    CHECK(net_start());
    uint16_t port = ws_port(net.server);
    net_small_buffers();
    peer *a = net_peer("/"), *b = net_open_with("/", 4096);
    b->deaf = true;
    peer_frames(b, "82#300000");
    net_settle();
    CHECK(ws_shutdown(net.loop, 1000));
    net_settle();
    CHECK_FRAMES(a, "88<03f4>\"server restarts\"");
    peer_frames(a, "88<03f4>");
    net_settle();
    CHECK(a->ended);
    CHECK(ws_run_once(net.loop, 0));
    peer *late = net_connect_to(port, 0);
    CHECK(late->ended); /* refused */
    b->deaf = false;
    CHECK_FRAMES(b, "82#300000 88<03f4>\"server restarts\"");
    peer_frames(b, "88<03f4>");
    net_settle();
    CHECK_LOG("o1 o2 b2:300000 c1:1012::y c2:1012::y");
    peer_close(a);
    peer_close(b);
    check_stopped();
    CHECK_EQ(net.now, 1000000);
    NET_END();
}

static void test_shutdown_deadline(void) {
    if (!test_begin("shutdown: connections that are still open at the deadline are dropped"))
        return;
    CHECK(net_start());
    net_small_buffers();
    peer *silent = net_peer("/"), *slow = net_open_with("/", 4096);
    slow->deaf = true;
    peer_frames(slow, "82#300000");
    net_settle();
    net.log.size = 0;
    CHECK(ws_shutdown(net.loop, 700));
    net_settle();
    net_wait(699);
    CHECK_LOG("");
    net_wait(1);
    CHECK(net.log.size == strlen("c1:1006::n c2:1006::n"));
    CHECK(silent->ended);
    check_stopped();
    NET_END();
}

static void test_shutdown_again(void) {
    if (!test_begin("shutdown: a second call may only shorten the time; 0 is at once"))
        return;
    CHECK(behaviour_start());
    ws_conn *conn = behaviour_open("/"); /* does not receive, so does not close */
    CHECK(ws_shutdown(net.loop, 1000));
    behaviour_wait(0);
    CHECK(ws_shutdown(net.loop, 50000));
    behaviour_wait(900);
    CHECK_EQ(net.closed, 0);
    CHECK(ws_shutdown(net.loop, 0));
    behaviour_wait(1);
    CHECK_LOG("o1 c1:1006::n");
    check_stopped();
    CHECK_GETS(conn, "c:1012:server restarts");
    BEHAVIOUR_END();
}

static void test_shutdown_codes(void) {
    ws_conn *conns[3];
    uint64_t before;
    if (!test_begin("shutdown: clients that receive see 1012 after earlier messages, and it takes no time"))
        return;
    CHECK(behaviour_start());
    for (int i = 0; i < 3; i++)
        conns[i] = behaviour_open("/");
    before = ws_now(net.loop);
    CHECK(ws_send_text(net.conns[2], "last"));
    CHECK(ws_shutdown(net.loop, 1000));
    CHECK_LOG("o1 o2 o3");
    CHECK_GETS(conns[0], "c:1012:server restarts");
    CHECK_GETS(conns[1], "t:last c:1012:server restarts");
    CHECK_EQ(net.closed, 2);
    CHECK_EQ(ws_status(behaviour_connect("/", NULL)), 0);
    CHECK_GETS(conns[2], "c:1012:server restarts");
    behaviour_wait(0); /* its answer arrives */
    CHECK_LOG("c1:1012:server restarts:y c2:1012:server restarts:y c3:1012:server restarts:y");
    CHECK_EQ(ws_now(net.loop), before);
    check_stopped();
    BEHAVIOUR_END();
}

static void test_shutdown_empty(void) {
    if (!test_begin("shutdown: without connections, and without servers, ws_run returns at once"))
        return;
    CHECK(net_start());
    CHECK(ws_shutdown(net.loop, 100000));
    check_stopped();
    CHECK(ws_listen(net.loop, NULL) == NULL);
    CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_STATE);
    NET_END();
    net_start_loop(NULL);
    CHECK(ws_shutdown(net.loop, 100000));
    check_stopped();
    NET_END();
}

static void test_port_after_close(void) {
    int fd;
    if (!test_begin("shutdown: ws_port does not return the port of another socket"))
        return;
    CHECK(net_start());
    uint16_t port = ws_port(net.server);
    peer *p = net_peer("/");
    p->deaf = true;
    CHECK(ws_shutdown(net.loop, 5000));
    net_settle();
    fd = socket(AF_INET, SOCK_STREAM, 0); /* takes the free number */
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK(ws_port(net.server) == 0 || ws_port(net.server) == port);
    (void)close(fd);
    NET_END();
}

/* --- memory --- */

static size_t growth_fails; /* which growth of a block from now on fails, 1: the next; 0: none */

/* Like drive_resize, but a block that grows moves, and its old memory is overwritten. */
static void *moving_resize(void *user, void *block, size_t old_size, size_t new_size) {
    if (block && new_size && growth_fails && !--growth_fails)
        return NULL;
    void *to = new_size ? drive_resize(user, NULL, 0, new_size) : NULL;
    if (new_size && !to)
        return NULL;
    if (to && block)
        memcpy(to, block, old_size < new_size ? old_size : new_size);
    if (block) {
        memset(block, 0xdd, old_size);
        (void)drive_resize(user, block, old_size, 0);
    }
    return to;
}

static void count_writable(ws_loop *loop, ws_socket descriptor, unsigned ready, void *user) {
    (void)loop, (void)descriptor;
    *(size_t *)user += ready == WS_WRITE;
}

static void test_watch_memory(void) {
    if (!test_begin("no memory to watch more sockets: the earlier ones are served"))
        return;
    enum { SOCKETS = 30 }; /* the stand-in for kqueue finds 32 in a round, epoll 64 */
    drive_memory memory;
    ws_loop_config config;
    int fds[SOCKETS];
    size_t count = 0, i, fail;
    memset(&memory, 0, sizeof memory);
    memset(&config, 0, sizeof config);
    config.allocator.resize = moving_resize;
    config.allocator.user = &memory;
    ws_loop *loop = ws_loop_new(&config);
    for (i = 0; i < SOCKETS; i++) {
        fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
        for (fail = 1; fail <= 4; fail++) {
            growth_fails = fail;
            bool watches = ws_watch(loop, fds[i], WS_WRITE, count_writable, &count);
            growth_fails = count = 0;
            CHECK(ws_run_once(loop, 0) && count == i + watches);
            if (watches)
                break;
        }
        CHECK(fail <= 4);
    }
    for (i = 0; i < SOCKETS; i++) {
        CHECK(ws_watch(loop, fds[i], WS_NONE, NULL, NULL));
        (void)close(fds[i]);
    }
    ws_loop_free(loop);
    CHECK_EQ(memory.used, 0);
    CHECK(!memory.wrong);
}

int main(int argc, char **argv) {
    test_start_in_tree(argc, argv);
    test_routes();
    test_other_targets();
    test_bad_paths();
    test_patterns();
    test_foreign_patterns();
    test_sentences();
    test_first_fits();
    test_pages();
    test_page_is_no_websocket();
    test_answers();
    test_pipelined();
    test_large_page();
    test_slow_page();
    test_page_file();
    test_origins();
    test_default_ports();
    test_origin_is_ours();
    test_subprotocols();
    test_max_connections();
    test_turned_away_late();
    test_two_servers();
    test_two_ports();
    test_reuse_port();
    test_restart();
    test_ipv6();
    test_all_addresses();
    test_empty_handler();
    test_shutdown();
    test_shutdown_deadline();
    test_shutdown_again();
    test_shutdown_codes();
    test_shutdown_empty();
    test_port_after_close();
    test_watch_memory();
    return test_finish();
}
