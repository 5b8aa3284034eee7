/* SERVER: without its add-ons for HTTP and for proxies: WebSockets, pages, hooks and refusals, and no more. */
#ifndef WS_NO_HTTP
#define WS_NO_HTTP
#endif
#ifndef WS_NO_FORWARD
#define WS_NO_FORWARD
#endif
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

static char peer_seen[100];

static void see(ws_conn *conn, unsigned number) {
    (void)number;
    CHECK(ws_peer(conn, peer_seen, sizeof peer_seen));
}

static void decide(ws_request *request, void *user) {
    (void)user;
    if (ws_slice_is(ws_request_query(request, "no"), "1"))
        CHECK(ws_refuse(request, 403, NULL, "not you"));
}

static bool start(void) {
    peer_seen[0] = 0;
    if (!net_start())
        return false;
    net.on_open = see;
    return ws_page(net.server, "/page", "text/plain", "the page") && ws_before(net.server, decide, NULL);
}

static void test_requests(void) {
    static const struct {
        const char *head;
        int status;
        const char *body;
        bool ends;
    } cases[] = {
        {"GET /page HTTP/1.1\r\n", 200, "the page", false},
        {"HEAD /page HTTP/1.1\r\n", 200, "", false},
        {"GET /page HTTP/1.1\r\nContent-Length: 3\r\n", 200, "the page", true}, /* nobody reads it */
        {"GET /page HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 200, "the page", true},
        {"POST /page HTTP/1.1\r\nContent-Length: 0\r\n", 405, "Method Not Allowed", true},
        {"OPTIONS * HTTP/1.1\r\n", 405, "Method Not Allowed", true},
        {"GET /none HTTP/1.1\r\n", 404, "Not Found", true},
        {"GET / HTTP/1.1\r\n", 426, "Upgrade Required: ", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        if (!test_begin("over HTTP: %.*s", (int)strcspn(cases[i].head, "\r"), cases[i].head))
            continue;
        CHECK(start());
        peer *p = net_connect();
        (void)snprintf(text, sizeof text, "%sHost: a\r\n\r\n", cases[i].head);
        peer_text(p, text);
        CHECK_EQ(peer_take_status(p), cases[i].status);
        CHECK(net_settle());
        CHECK_EQ(peer_find(p, cases[i].body), 0);
        CHECK_EQ(p->in.size == 0, cases[i].body[0] == 0);
        CHECK_EQ(p->ended, cases[i].ends);
        CHECK_EQ(net.opened, 0);
        NET_END();
    }
}

static void test_hook(void) {
    if (!test_begin("a hook accepts one and refuses the next; X-Forwarded-For has no effect"))
        return;
    CHECK(start());
    peer *p = net_connect();
    peer_upgrade(p, "/?no=1", NULL);
    CHECK_EQ(peer_take_status(p), 403);
    CHECK(net_settle());
    CHECK_MEM(p->in.data, p->in.size, "not you", 7);
    CHECK_EQ(net.opened, 0);
    p = net_connect();
    peer_upgrade(p, "/?no=2", "X-Forwarded-For: 1.2.3.4\r\n");
    CHECK_EQ(peer_take_status(p), 101);
    CHECK(peer_echo(p, "open"));
    peer_frames(p, "89\"ping\" 8a\"pong\"");
    CHECK_FRAMES(p, "8a\"ping\"");
    CHECK(strncmp(peer_seen, "127.0.0.1:", 10) == 0);
    NET_END();
}

static ws_id kept;

static void keep(ws_request *request, void *user) {
    (void)user;
    kept = ws_keep(request, NULL, NULL);
}

static void test_keep(void) {
    if (!test_begin("two hooks keep a request, one after the other"))
        return;
    CHECK(start() && ws_before(net.server, keep, NULL) && ws_before(net.server, keep, NULL));
    peer *p = net_connect();
    peer_upgrade(p, "/", NULL);
    for (int hooks = 0; hooks < 2; hooks++) {
        CHECK(net_settle() && p->in.size == 0);
        CHECK(ws_accept(ws_kept(net.loop, kept), NULL));
    }
    CHECK_EQ(peer_take_status(p), 101);
    CHECK(!ws_kept(net.loop, kept) && peer_echo(p, "open"));
    NET_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_requests();
    test_hook();
    test_keep();
    return test_finish();
}
