/* SERVER: ws_shutdown finishes what is under way, within its time: files, kept requests, bodies, arriving requests. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

static char folder[] = "build/server-shutdown-XXXXXX"; /* where make runs the tests from */
static ws_id kept;
static unsigned given_up;

enum { LARGE = 20 << 20 };

static const char *in_folder(const char *name) {
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void give_up(ws_request *request, void *user) {
    (void)request, (void)user;
    given_up++;
}

static void keep(ws_request *request, void *user) {
    (void)user;
    kept = ws_keep(request, give_up, NULL);
}

static void keep_upgrade(ws_request *request) { keep(request, NULL); }

static void sum(ws_request *request, void *user) {
    char text[40];
    (void)user;
    (void)snprintf(text, sizeof text, "%u bytes", (unsigned)ws_request_body(request).size);
    (void)ws_reply(request, 200, "text/plain", text);
}

static void start(void) {
    ws_handler handler = net_handler();
    given_up = 0;
    CHECK(net_start());
    handler.on_request = keep_upgrade;
    CHECK(ws_route(net.server, "/kept", &handler) && ws_http(net.server, "GET", "/late", keep, NULL)
          && ws_http(net.server, "POST", "/sum", sum, NULL) && ws_page(net.server, "/page", "text/plain", "a page")
          && ws_files(net.server, "/files/", folder));
}

static peer *ask(const char *text) {
    peer *p = net_connect();
    peer_text(p, text);
    net_settle();
    return p;
}

static void shut(uint32_t milliseconds) {
    CHECK(ws_shutdown(net.loop, milliseconds));
    net_settle();
}

/* ws_run returns. The clock does not advance: with a reason to wait, it would wait for ever. */
static void check_stopped(void) {
    CHECK(net.loop->conn_count == 0);
    CHECK(net.loop->conn_count || ws_run(net.loop) == WS_OK);
}

/* Exactly this answer has arrived, and the connection has ended cleanly. */
static void check_answer(peer *p, int status, const char *body) {
    CHECK_EQ(peer_status(p), status);
    CHECK(peer_has(p, "Connection: close\r\n"));
    peer_take_head(p);
    CHECK_MEM(p->in.data, p->in.size, body, strlen(body));
    CHECK(p->ended && !p->reset);
    peer_close(p);
    net_settle();
}

#define LATE "GET /late HTTP/1.1\r\nHost: a\r\n\r\n"
#define PAGE "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"

static void test_file(void) {
    if (!test_begin("a file that is being sent arrives whole"))
        return;
    start();
    net_small_buffers();
    peer *p = net_connect_to(ws_port(net.server), 4096);
    p->deaf = true;
    peer_text(p, "GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n");
    net_settle();
    shut(1000);
    net_wait(999);
    CHECK_EQ(net.loop->conn_count, 1);
    p->deaf = false;
    CHECK_EQ(peer_status(p), 200);
    peer_take_head(p);
    CHECK(peer_wait(p, LARGE) && p->in.size == LARGE);
    net_settle();
    CHECK(p->ended && !p->reset);
    peer_close(p);
    net_settle();
    check_stopped();
    NET_END();
}

static void test_file_deadline(void) {
    if (!test_begin("a file that is not sent in time is cut off"))
        return;
    start();
    net_small_buffers();
    peer *p = net_connect_to(ws_port(net.server), 4096);
    p->deaf = true;
    peer_text(p, "GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n");
    net_settle();
    shut(1000);
    net_wait(1000);
    check_stopped();
    NET_END();
}

static void test_kept(void) {
    if (!test_begin("a kept request may still be answered; it is the last one of its connection"))
        return;
    start();
    peer *p = ask(LATE PAGE);
    shut(1000);
    net_wait(999);
    CHECK(p->in.size == 0 && !p->ended && given_up == 0);
    CHECK(ws_reply(ws_kept(net.loop, kept), 200, "text/plain", "at last"));
    net_settle();
    check_answer(p, 200, "at last");
    check_stopped();
    NET_END();
}

static void test_kept_deadline(void) {
    if (!test_begin("a kept request that is not answered, and a body that does not arrive, get 503 at the deadline"))
        return;
    start();
    peer *late = ask(LATE), *upgrade = net_connect();
    peer *body = ask("POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    peer_upgrade(upgrade, "/kept", NULL);
    net_settle();
    shut(1000);
    net_wait(999);
    CHECK(late->in.size == 0 && upgrade->in.size == 0 && body->in.size == 0 && given_up == 0);
    net_wait(1);
    check_stopped();
    check_answer(late, 503, REASON("Service Unavailable"));
    check_answer(upgrade, 503, REASON("Service Unavailable"));
    check_answer(body, 503, REASON("Service Unavailable"));
    CHECK_EQ(given_up, 2);
    NET_END();
}

/* The same answer without a shutdown. */
static void test_freed(void) {
    if (!test_begin("ws_loop_free answers a kept request with 503"))
        return;
    start();
    peer *p = ask(LATE);
    ws_server_free(net.server);
    net_settle();
    CHECK_EQ(given_up, 1);
    check_answer(p, 503, REASON("Service Unavailable"));
    NET_END();
}

static void test_body(void) {
    static const char *const rests[] = {"67890", "5\r\n67890\r\n0\r\n\r\n"};
    for (int chunked = 0; chunked < 2; chunked++) {
        if (!test_begin("a body that is arriving %sgets its answer", chunked ? "in chunks " : ""))
            continue;
        start();
        peer *p = ask(chunked ? "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"
                              : "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
        shut(1000);
        net_wait(999);
        peer_text(p, rests[chunked]);
        net_settle();
        check_answer(p, 200, "10 bytes");
        check_stopped();
        NET_END();
    }
}

static void send_page(void *p) { peer_text((peer *)p, PAGE); }

static void test_wrong_body(void) {
    static const struct {
        const char *rest;
        int status;
        const char *reason;
    } rows[] = {{"x\r\n", 400, "Bad Request"}, {"fffffff\r\n", 413, REASON("Content Too Large")}};
    for (size_t i = 0; i < 2; i++) {
        if (!test_begin("a body that turns out to be wrong meanwhile gets one answer: %d", rows[i].status))
            continue;
        start();
        peer *p = ask("POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        shut(5000);
        peer_text(p, rows[i].rest);
        net_settle();
        check_answer(p, rows[i].status, rows[i].reason);
        NET_END();
    }
}

static void test_idle(void) {
    if (!test_begin("a connection that waits for its next request is closed at once, after those that have arrived"))
        return;
    start();
    peer *idle = ask(PAGE), *next = ask(PAGE), *half = ask(PAGE);
    CHECK_EQ(peer_take_status(idle), 200);
    CHECK_EQ(peer_take_status(next), 200);
    CHECK_EQ(peer_take_status(half), 200);
    idle->in.size = next->in.size = half->in.size = 0;
    peer_text(half, "GET / HTTP/1.1\r\n"); /* a request that is arriving has a second */
    CHECK(ws_post(net.loop, send_page, next)); /* after the round's reads, before the shutdown */
    shut(5000);
    CHECK(idle->ended && !idle->reset && idle->in.size == 0);
    peer_close(idle);
    check_answer(next, 200, "a page");
    CHECK(!half->ended);
    net_wait(1000);
    check_answer(half, 408, "Request Timeout");
    check_stopped();
    NET_END();
}

static void test_new(void) {
    if (!test_begin("a connection that has sent no request yet has a second for it"))
        return;
    start();
    peer *quick = net_connect(), *half = ask("GET /page HTTP/1.1\r\n"), *silent = net_connect(), *slow = net_connect();
    net_settle();
    shut(5000);
    net_wait(999);
    CHECK(!quick->ended && !half->ended && !silent->ended);
    peer_text(quick, PAGE);
    peer_text(half, "Host: a\r\n\r\n");
    peer_text(slow, "GET /page");
    net_settle();
    check_answer(quick, 200, "a page");
    check_answer(half, 200, "a page");
    net_wait(1);
    CHECK(silent->ended && !silent->reset && silent->in.size == 0);
    peer_close(silent);
    check_answer(slow, 408, "Request Timeout");
    check_stopped();
    NET_END();
}

static void test_forever(void) {
    ws_limits limits;
    if (!test_begin("that second, also where handshake_ms is off"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.handshake_ms = WS_OFF;
    CHECK(net_start_limits(&limits) && ws_page(net.server, "/page", "text/plain", "a page"));
    peer *idle = ask(PAGE), *silent = net_connect();
    net_settle();
    shut(5000);
    CHECK(idle->ended && !silent->ended);
    net_wait(1000);
    CHECK(silent->ended);
    peer_close(idle);
    peer_close(silent);
    net_settle();
    check_stopped();
    NET_END();
}

static void test_websocket(void) {
    if (!test_begin("a WebSocket that opens meanwhile is closed with 1012"))
        return;
    start();
    peer *later = net_connect(), *now = net_connect();
    peer_upgrade(later, "/kept", NULL);
    net_settle();
    shut(1000);
    peer_upgrade(now, "/", NULL);
    CHECK_EQ(peer_take_status(now), 101);
    CHECK_FRAMES(now, "88<03f4>\"server restarts\"");
    CHECK(ws_accept(ws_kept(net.loop, kept), NULL));
    CHECK_EQ(peer_take_status(later), 101);
    CHECK_FRAMES(later, "88<03f4>\"server restarts\"");
    peer_frames(now, "88<03f4>");
    net_settle();
    peer_frames(later, "88<03f4>");
    net_settle();
    CHECK_LOG("o1 o2 c1:1012::y c2:1012::y");
    CHECK(now->ended && later->ended);
    peer_close(now);
    peer_close(later);
    net_settle();
    check_stopped();
    NET_END();
}

int main(int argc, char **argv) {
    test_start_in_tree(argc, argv);
    (void)test_begin("a folder with a large file");
    CHECK(mkdtemp(folder) != NULL);
    FILE *file = fopen(in_folder("large"), "wb");
    CHECK(file && fseek(file, LARGE - 1, SEEK_SET) == 0 && fputc('x', file) == 'x' && fclose(file) == 0);
    test_file();
    test_file_deadline();
    test_kept();
    test_kept_deadline();
    test_freed();
    test_body();
    test_wrong_body();
    test_idle();
    test_new();
    test_forever();
    test_websocket();
    (void)test_begin("the folder is empty at the end");
    CHECK(remove(in_folder("large")) == 0 && rmdir(folder) == 0);
    return test_finish();
}
