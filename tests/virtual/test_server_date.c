/* SERVER: Date, by a clock of the test's. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

#define DATE "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static char folder[] = "build/server-date-XXXXXX"; /* where make runs the tests from */

static void answer(ws_request *request, void *user) {
    static const char *const own[] = {"dATE: Mon, 07 Nov 1994 00:00:00 GMT", NULL}, *const like[] = {"X-Date: x", NULL};
    ws_slice wanted = ws_request_query(request, "status");
    int64_t status = 200;
    (void)user;
    (void)ws_slice_integer(wanted, &status);
    CHECK(ws_reply_data(request, (int)status,
                        ws_request_query(request, "own").data    ? own
                        : ws_request_query(request, "near").data ? like
                                                                 : NULL, NULL, 0));
}

static void refuse(ws_request *request) { (void)ws_refuse(request, 401, NULL, NULL); }

static void start(void) {
    ws_handler handler = net_handler();
    handler.on_request = refuse;
    CHECK(net_start());
    net.wall = 784111777;
    CHECK(ws_http(net.server, "GET, POST", "/answer", answer, NULL));
    CHECK(ws_page(net.server, "/page", "text/plain", "page"));
    CHECK(ws_route(net.server, "/refuse", &handler));
    CHECK(ws_files(net.server, "/files/", folder));
}

static peer *ask(const char *line, const char *more) {
    char text[400];
    peer *p = net_connect();
    (void)snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", line, more);
    peer_text(p, text);
    net_settle();
    return p;
}

static size_t times(const peer *p, const char *text) {
    return bytes_count(&p->in, text);
}

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
    "Sec-WebSocket-Version: 13\r\n"

/* RFC 9110 6.6.1: an origin server with a clock MUST send Date in all 2xx, 3xx and 4xx; it may in 5xx and 1xx. */
static void test_everywhere(void) {
    static const struct { const char *line, *more; int status; } cases[] = {
        {"GET /page", "", 200}, {"HEAD /page", "", 200}, {"GET /answer", "", 200}, {"GET /answer?status=204", "", 204},
        {"GET /answer?status=303", "", 303}, {"GET /answer?status=304", "", 304}, {"GET /answer?status=422", "", 422},
        {"GET /answer?near=1", "", 200}, {"GET /answer?status=500", "", 500}, {"GET /none", "", 404},
        {"POST /page", "", 405}, {"GET /answer%", "", 400}, {"GET /\x01", "", 400},
        {"POST /answer", "Content-Length: 9999999\r\n", 413}, {"GET /", "", 426},
        {"GET /", UPGRADE "Origin: http://x\r\n",
        403},
        {"GET /refuse", UPGRADE, 401}, {"GET /refuse", "Upgrade: websocket\r\nConnection: Upgrade\r\n", 426},
        {"GET /files/a.txt", "", 200}, {"HEAD /files/a.txt", "", 200}, {"GET /files/none", "", 404},
        {"GET /files/a.txt", "If-Modified-Since: Fri, 31 Dec 9999 00:00:00 GMT\r\n", 304}, {"GET /files/sub", "", 301},
        {"GET /page", "Expect: x\r\n", 417},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        peer *p;
        if (!test_begin("%s %s: %d with Date", cases[i].line, cases[i].more, cases[i].status))
            continue;
        start();
        p = ask(cases[i].line, cases[i].more);
        CHECK_EQ(peer_status(p), cases[i].status);
        CHECK_EQ(times(p, DATE), 1);
        CHECK_EQ(times(p, "\r\nDate: "), 1);
        NET_END();
    }
    if (test_begin("an incomplete head: 408 with Date")) {
        peer *p;
        start();
        p = net_connect();
        peer_text(p, "GET / HT");
        net_settle();
        net_wait(11000);
        CHECK_EQ(peer_status(p), 408);
        CHECK_EQ(times(p, DATE), 1);
        NET_END();
    }
}

static void test_not(void) {
    peer *p;
    if (!test_begin("101 and 100 have no Date, nor has any answer before the clock is set"))
        return;
    start();
    p = net_connect();
    peer_upgrade(p, "/", NULL);
    CHECK_EQ(peer_status(p), 101);
    CHECK(!peer_has(p, "Date"));
    p = ask("POST /answer", "Expect: 100-continue\r\nContent-Length: 2\r\n");
    CHECK(peer_has(p, " 100 ") && !peer_has(p, "Date"));
    net.wall = 0; /* RFC 9110 6.6.1: without a clock a server MUST NOT send it */
    p = ask("GET /page", "");
    CHECK_EQ(peer_status(p), 200);
    CHECK(!peer_has(p, "Date"));
    NET_END();
}

static void test_own(void) {
    peer *p;
    if (!test_begin("a Date of the program replaces the server's"))
        return;
    start();
    p = ask("GET /answer?own=1", "");
    CHECK_EQ(times(p, "\r\ndATE: Mon, 07 Nov 1994 00:00:00 GMT\r\n"), 1);
    CHECK_EQ(times(p, "Date: "), 0);
    NET_END();
}

static void test_moves(void) {
    peer *p;
    if (!test_begin("Date follows the clock, forwards and back"))
        return;
    start();
    p = ask("GET /page", "");
    CHECK(peer_has(p, DATE));
    net.wall += 86400;
    p = ask("GET /page", "");
    CHECK(peer_has(p, "\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n"));
    net.wall -= 86401;
    p = ask("GET /page", "");
    CHECK(peer_has(p, "\r\nDate: Sun, 06 Nov 1994 08:49:36 GMT\r\n"));
    NET_END();
}

/* Another loop on the system's clock: a second may pass meanwhile, so both are right. */
static void test_system(void) {
    ws_loop *plain = ws_loop_new(NULL);
    ws_conn *conn;
    char before[29], after[29];
    const char *date;
    uint64_t (*plain_clock)(void *);
    if (test_begin("virtual time is the wall clock's, too")) {
        CHECK(behaviour_start());
        conn = behaviour_connect("/none", NULL);
        date = ws_header(conn, "date");
        CHECK_STR(date ? date : "", "Thu, 01 Jan 1970 00:00:01 GMT");
        ws_test_wait(conn, 61000);
        conn = behaviour_connect("/none", NULL);
        date = ws_header(conn, "date");
        CHECK_STR(date ? date : "", "Thu, 01 Jan 1970 00:01:02 GMT");
        BEHAVIOUR_END();
    }
    plain_clock = plain->wall_clock;
    ws_loop_free(plain);
    if (!test_begin("without a config the system's clock is used"))
        return;
    net_start_loop(NULL);
    net.loop->wall_clock = plain_clock;
    net.server = ws_listen(net.loop, NULL);
    wsi_http_date(before, (uint64_t)time(NULL));
    {
        peer *p = ask("GET /none", "");
        wsi_http_date(after, (uint64_t)time(NULL));
        CHECK_EQ(peer_status(p), 404);
        p->in.data[p->in.size - 1] = 0;
        date = strstr((const char *)p->in.data, "\r\nDate: ");
        CHECK(date && (memcmp(date + 8, before, 29) == 0 || memcmp(date + 8, after, 29) == 0));
    }
    NET_END();
}

int main(int argc, char **argv) {
    char path[300];
    FILE *file;
    test_start_in_tree(argc, argv);
    (void)test_begin("files to serve");
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/sub", folder);
    CHECK(mkdir(path, 0700) == 0);
    (void)snprintf(path, sizeof path, "%s/a.txt", folder);
    file = fopen(path, "w");
    CHECK(file && fputs("a", file) >= 0 && fclose(file) == 0);
    test_everywhere();
    test_not();
    test_own();
    test_moves();
    test_system();
    (void)test_begin("the files are removed");
    CHECK(remove(path) == 0);
    (void)snprintf(path, sizeof path, "%s/sub", folder);
    CHECK(remove(path) == 0 && remove(folder) == 0);
    return test_finish();
}
