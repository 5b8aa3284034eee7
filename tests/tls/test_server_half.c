/* SERVER: a client that ends its stream after its requests sends no more (RFC 9112 9.6), but still reads: all its
   requests are answered, then the connection ends. With TLS the end is close_notify (RFC 8446 6.1: it closes one
   direction only); a FIN without it is a broken connection. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/tls.h"

enum { BIG = 2 << 20 };

static peer *half;

static char folder[] = "ws_test_half_XXXXXX";
static char big[BIG];
static ws_id kept;
static unsigned abandoned;

static void give_up(ws_request *request, void *user) {
    (void)request, (void)user;
    abandoned++;
}

static void keep(ws_request *request, void *user) {
    (void)user;
    kept = ws_keep(request, give_up, NULL);
}

static void keep_upgrade(ws_request *request) { kept = ws_keep(request, give_up, NULL); }

static void answer(ws_request *request, void *user) {
    (void)user;
    CHECK(ws_reply(request, 200, "text/plain", "the answer"));
}

static void answer_body(ws_request *request, void *user) {
    ws_message body = ws_request_body(request);
    (void)user;
    CHECK(ws_reply_data(request, 200, NULL, body.data, body.size));
}

static void bare(ws_request *request, void *user) {
    (void)user;
    CHECK(ws_reply(request, 204, NULL, ""));
}

static void start(int way) {
    ws_server_config config;
    ws_handler handler = net_handler();
    memset(&config, 0, sizeof config);
    config.limits.answer_ms = config.limits.handshake_ms = config.limits.close_ms = 5000;
#ifndef WS_NO_TLS
    if (way) {
        config.tls.cert_pem = certs.server.pem;
        config.tls.key_pem = certs.server.key_pem;
    }
#endif
    abandoned = 0;
    kept = 0;
    CHECK(net_start_with(NULL, &config));
    net_small_buffers();
    handler.on_request = keep_upgrade;
    CHECK(ws_route(net.server, "/later", &handler));
    CHECK(ws_page(net.server, "/page", "text/plain", "the page") && ws_files(net.server, "/files/", folder));
    CHECK(ws_http(net.server, "GET", "/answer", answer, NULL) && ws_http(net.server, "GET", "/keep", keep, NULL));
    CHECK(ws_http(net.server, "POST", "/body", answer_body, NULL) && ws_http(net.server, "GET", "/bare", bare, NULL));
#ifndef WS_NO_TLS
    if (way) {
        half = tls_connect(0);
        CHECK(tls_handshake(half));
        return;
    }
#else
    (void)way;
#endif
    half = net_connect();
}

static void ask(const char *text) { peer_text(half, text); }

static size_t count(const char *text) {
    return bytes_count(&half->in, text);
}

/* Serves until the server ends the connection. */
static void await_end(void) {
    int i;
    for (i = 0; i < TLS_TRIES && !peer_over(half); i++)
        (void)net_round(200);
    CHECK(peer_over(half) && !half->reset);
    CHECK(net_settle());
    CHECK_EQ(net.server->endpoint.count, 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct {
    const char *title, *request;
    bool keeps;              /* the request is kept, and answered later */
    const char *wanted[3];
    size_t size;             /* of a file that must have arrived, too */
    size_t answers;
} requests[] = {
    {"a page", GET("/page"), false, {"the page"}, 0, 1},
    {"a handler's answer", GET("/answer"), false, {"the answer"}, 0, 1},
    {"an answer without a body", GET("/bare"), false, {"204 " REASON("No Content")}, 0, 1},
    {"a body and its answer", "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", false, {"body"}, 0, 1},
    {"a file", GET("/files/big"), false, {NULL}, BIG, 1},
    {"a request that is kept", GET("/keep"), true, {"kept so long"}, 0, 1},
    {"three pages", GET("/page") GET("/page") GET("/answer"), false, {"the page", "the answer"}, 0, 3},
    {"a page, a request that is kept, a page and a file", GET("/page") GET("/keep") GET("/answer") GET("/files/big"),
     true, {"the page", "kept so long", "the answer"}, BIG, 4},
    {"a file and a request that is kept", GET("/files/big") GET("/keep"), true, {"kept so long"}, BIG, 2},
    {"a request, and half of the next", GET("/answer") "GET /pa", false, {"the answer"}, 0, 1},
    {"half of a request", "GET /pa", false, {NULL}, 0, 0},
    {"half of a body", "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo", false, {NULL}, 0, 0}};

static void test_request(size_t at, int way, bool together) {
    size_t i;
    start(way);
    if (together)
        half->deaf = true; /* its answers are queued */
    ask(requests[at].request);
    if (!together)
        (void)net_settle();
    peer_finish(half);
    for (i = 0; i < 5; i++)
        (void)net_round(200);
    half->deaf = false;
    if (requests[at].keeps) {
        for (i = 0; i < TLS_TRIES && !kept; i++)
            (void)net_round(200);
        CHECK(net_settle()); /* the end of its stream is reported only once */
        CHECK(!peer_over(half));
        CHECK_EQ(abandoned, 0);
        CHECK(ws_reply(ws_kept(net.loop, kept), 200, "text/plain", "kept so long"));
    }
    await_end();
    for (i = 0; i < 3 && requests[at].wanted[i]; i++)
        CHECK(count(requests[at].wanted[i]) > 0);
    CHECK_EQ(count("HTTP/1.1 20"), requests[at].answers);
    CHECK(half->in.size >= requests[at].size);
    CHECK_EQ(abandoned, 0);
    TLS_END();
}

static void test_requests(void) {
    size_t at;
    static const char *const ways[] = {"TCP", "TLS"};
    int way, together;
    for (at = 0; at < sizeof requests / sizeof *requests; at++)
        for (way = 0; way < 2; way++)
            for (together = 0; together < 2; together++) {
#ifdef WS_NO_TLS
                if (way)
                    continue;
#endif
                if (test_begin("half-closed %s: %s, over %s", together ? "at once" : "later", requests[at].title,
                               ways[way]))
                    test_request(at, way, together);
            }
}

/* --- how a request that is kept for a half-closed client is abandoned --- */

static void test_deadline(void) {
    if (!test_begin("half-closed: a request that is kept for too long: 503, and abandoned is called"))
        return;
    start(0);
    ask(GET("/keep"));
    peer_finish(half);
    (void)net_settle();
    net_wait(4900);
    CHECK(!peer_over(half));
    net_wait(200);
    await_end();
    CHECK_EQ(count("HTTP/1.1 503"), 1);
    CHECK_EQ(abandoned, 1);
    TLS_END();
}

static void test_gone(void) {
    if (!test_begin("a client that vanishes while its request is kept: abandoned is called at once") || !net_resets())
        return;
    start(0);
    ask(GET("/keep"));
    (void)net_settle();
    peer_reset(half);
    (void)net_settle();
    CHECK_EQ(abandoned, 1);
    CHECK_EQ(net.server->endpoint.count, 0);
    TLS_END();
}

static void test_reset(void) {
    if (!test_begin("half-closed, then disconnected: noticed at the answer at the latest"))
        return;
    start(0);
    ask(GET("/keep") GET("/files/big"));
    peer_finish(half);
    (void)net_settle();
    peer_reset(half);
    (void)net_settle();
    if (ws_kept(net.loop, kept))
        CHECK(ws_reply(ws_kept(net.loop, kept), 200, "text/plain", "x"));
    (void)net_settle();
    CHECK_EQ(net.server->endpoint.count, 0);
    TLS_END();
    if (!test_begin("half-closed, then disconnected in the middle of a file"))
        return;
    start(0);
    half->deaf = true;
    ask(GET("/files/big"));
    peer_finish(half);
    (void)net_settle();
    CHECK_EQ(net.server->endpoint.count, 1);
    peer_reset(half);
    (void)net_settle();
    CHECK_EQ(net.server->endpoint.count, 0);
    TLS_END();
}

/* A WebSocket that ends without a close is broken (RFC 6455 7.1.5), also when its request was kept. */
static void test_upgrade(void) {
    if (!test_begin("half-closed after an upgrade that is kept: 101, its frames, then 1006"))
        return;
    start(0);
    peer_upgrade(half, "/later", NULL);
    peer_frames(half, "81\"early\"");
    peer_finish(half);
    (void)net_settle();
    CHECK(!peer_over(half));
    CHECK(ws_accept(ws_kept(net.loop, kept), NULL));
    await_end();
    CHECK_EQ(count("HTTP/1.1 101"), 1);
    CHECK_EQ(count("\x81\x05" "early"), 1);
    CHECK_LOG("o1 t1:early c1:1006::n");
    TLS_END();
}

#ifndef WS_NO_TLS
/* Beside test_server_shutdown.c, which has no TLS. */
static void test_shutdown(void) {
    if (!test_begin("ws_shutdown: a file that is being sent over TLS arrives whole, then close_notify"))
        return;
    start(1);
    half->deaf = true;
    ask(GET("/files/big"));
    (void)net_settle();
    CHECK(ws_shutdown(net.loop, 1000));
    (void)net_settle();
    net_wait(999);
    CHECK_EQ(net.server->endpoint.count, 1);
    half->deaf = false;
    UNTIL(peer_over(half));
    CHECK(half->tls->notified && !half->tls->failed);
    CHECK_EQ(peer_status(half), 200);
    peer_take_head(half);
    CHECK_MEM(half->in.data, half->in.size, big, BIG);
    peer_close(half);
    (void)net_settle();
    CHECK(ws_run(net.loop) == WS_OK);
    TLS_END();
}
#endif

int main(int argc, char **argv) {
    char path[80];
    size_t i;
    FILE *file;
    test_start(argc, argv);
    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(path, sizeof path, "%s/big", folder);
    for (i = 0; i < BIG; i++)
        big[i] = (char)(i * 31 >> 3);
    file = fopen(path, "wb");
    if (!file || fwrite(big, 1, BIG, file) != BIG || fclose(file) != 0)
        return 1;
#ifndef WS_NO_TLS
    certs_start();
#endif
    test_requests();
    test_deadline();
    test_gone();
    test_reset();
    test_upgrade();
#ifndef WS_NO_TLS
    test_shutdown();
    certs_end();
#endif
    (void)unlink(path);
    (void)rmdir(folder);
    return test_finish();
}
