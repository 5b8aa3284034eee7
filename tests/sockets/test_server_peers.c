/* SERVER: odd but valid requests of browsers, proxies and scripts: queries that cannot be decoded, bodies of GET and
   HEAD, OPTIONS *, absolute targets, unknown codings; and that they smuggle nothing. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
    "Sec-WebSocket-Version: 13\r\n"
#define HOST "Host: a\r\n"
#define LENGTH(size) "Content-Length: " size "\r\n\r\n"
#define CHUNKS "Transfer-Encoding: chunked\r\n\r\n"
#define TYPE "Content-Type: text/plain; charset=utf-8\r\n"
#define PAGE "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" TYPE "\r\npage"
#define PAGE_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" TYPE "\r\n"
#define ECHO(size, body) "HTTP/1.1 200 OK\r\nContent-Length: " size "\r\n\r\n" body
#define GET_PAGE "GET /page HTTP/1.1\r\n" HOST "\r\n"

enum { BIG = 3 << 20 };

static char folder[] = "build/server-peers-XXXXXX"; /* where make runs the tests from */
static char seen[2000];
static ws_id kept;

static void note(const char *name, ws_slice value) {
    size_t size = strlen(seen);
    if (value.data)
        (void)snprintf(seen + size, sizeof seen - size, "%s=[%.*s] ", name, (int)value.size, value.data);
    else
        (void)snprintf(seen + size, sizeof seen - size, "%s absent ", name);
}

static void look(ws_request *request) {
    note("raw", ws_request_raw_query(request));
    note("q", ws_request_query(request, "q"));
    note("b", ws_request_query(request, "b"));
}

static void host_of(ws_request *request, void *user) {
    (void)user;
    note("host", ws_request_header(request, "hOST"));
    CHECK(ws_reply(request, 200, NULL, ""));
}

static void handle(ws_request *request, void *user) {
    (void)user;
    look(request);
    CHECK(ws_reply(request, 200, NULL, ""));
}

static void keep(ws_request *request, void *user) {
    (void)user;
    kept = ws_keep(request, NULL, NULL);
}

static void echo(ws_request *request, void *user) {
    ws_message body = ws_request_body(request);
    (void)user;
    (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", ws_request_method(request));
    CHECK_EQ(body.data[body.size], 0);
    CHECK(ws_reply_data(request, 200, NULL, body.data, body.size));
}

static void file_path(char *path, size_t size, const char *name) { (void)snprintf(path, size, "%s/%s", folder, name); }

static void make_file(const char *name, size_t size) {
    char path[100];
    size_t i;
    FILE *file;
    file_path(path, sizeof path, name);
    file = fopen(path, "wb");
    for (i = 0; file && i < size; i++)
        (void)fputc("abcdefg"[i % 7], file);
    CHECK(file && fclose(file) == 0);
}

static void start_with(const ws_limits *limits) {
    ws_server_config config;
    ws_handler handler = net_handler();
    memset(&config, 0, sizeof config);
    if (limits)
        config.limits = *limits;
    handler.on_request = look;
    seen[0] = 0;
    kept = 0;
    net_start_loop(NULL);
    net.server = ws_listen(net.loop, &config);
    CHECK(net.server && ws_route(net.server, "/ws", &handler));
    CHECK(ws_page(net.server, "/page", "text/plain", "page") && ws_page(net.server, "/secret", "text/plain", "secret"));
    CHECK(ws_http(net.server, "POST, GET", "/echo", echo, NULL) && ws_http(net.server, "GET", "/look", handle, NULL));
    CHECK(ws_http(net.server, "PUT", "/keep", keep, NULL) && ws_http(net.server, "GET", "/keep", keep, NULL));
    CHECK(ws_files(net.server, "/files/", folder));
}

static void start(void) { start_with(NULL); }

/* Sends the request, serves until idle, and compares the answer. */
static void check_answers(const char *sent, const char *wanted, int line) {
    peer *p = net_connect();
    peer_text(p, sent);
    net_settle();
    test_memory(p->in.data, p->in.size, wanted, strlen(wanted), sent, __FILE__, line);
    test_check(!p->ended, "it stays open", __FILE__, line);
    peer_close(p);
    net_settle();
}

#define CHECK_ANSWERS(sent, wanted) check_answers((sent), (wanted), __LINE__)

/* The first answer has this status, and no other comes: bytes after the request are not read. */
static void check_refused(const char *sent, int status, int line) {
    peer *p = net_connect();
    peer_text(p, sent);
    peer_text(p, "GET /secret HTTP/1.1\r\n" HOST "\r\n");
    test_equal(peer_status(p), status, sent, __FILE__, line);
    net_settle();
    test_check(p->ended && !p->reset, "it ends in order", __FILE__, line);
    test_check(!peer_has(p, "secret"), "nothing is smuggled", __FILE__, line);
    peer_close(p);
    net_settle();
}

#define CHECK_REFUSED(sent, status) check_refused((sent), (status), __LINE__)

/* --- queries --- */

static const struct { const char *query, *seen; } queries[] = {
    {"", "raw absent q absent b absent "},
    {"?", "raw=[] q absent b absent "},
    {"?q=100%", "raw=[q=100%] q absent b absent "},
    {"?q=%E9", "raw=[q=%E9] q absent b absent "}, /* é in Latin-1: not UTF-8 */
    {"?x%00y", "raw=[x%00y] q absent b absent "},
    {"?q=%&b=2", "raw=[q=%&b=2] q absent b=[2] "},
    {"?b=2&q=%zz", "raw=[b=2&q=%zz] q absent b=[2] "},
    {"?q%=1&q=%4&q=%00&q=%C3&q=good&q=other", "raw=[q%=1&q=%4&q=%00&q=%C3&q=good&q=other] q=[good] b absent "},
    {"?%C3=%A9&q=&b", "raw=[%C3=%A9&q=&b] q=[] b=[] "},
    {"?q=a+%C3%A9?%3D=&&b=%26", "raw=[q=a+%C3%A9?%3D=&&b=%26] q=[a \xc3\xa9?==] b=[&] "},
};

static void test_queries(void) {
    size_t i;
    for (i = 0; i < sizeof queries / sizeof *queries; i++) {
        char text[300];
        peer *p;
        if (!test_begin("query '%s': pairs that cannot be decoded are absent, nothing is refused", queries[i].query))
            continue;
        start();
        p = net_connect();
        (void)snprintf(text, sizeof text, "/ws%s", queries[i].query);
        peer_upgrade(p, text, NULL);
        CHECK_EQ(peer_status(p), 101);
        CHECK_STR(seen, queries[i].seen);
        seen[0] = 0;
        (void)snprintf(text, sizeof text, "GET /look%s HTTP/1.1\r\n" HOST "\r\n", queries[i].query);
        CHECK_ANSWERS(text, ECHO("0", ""));
        CHECK_STR(seen, queries[i].seen);
        (void)snprintf(text, sizeof text, "GET /page%s HTTP/1.1\r\n" HOST "\r\n", queries[i].query);
        CHECK_ANSWERS(text, PAGE); /* a page reads no query */
        seen[0] = 0;
        (void)snprintf(text, sizeof text, "GET /keep%s HTTP/1.1\r\n" HOST "\r\n", queries[i].query);
        p = net_connect();
        peer_text(p, text);
        net_settle();
        CHECK_ANSWERS("GET /look?q=another HTTP/1.1\r\n" HOST "\r\n", ECHO("0", ""));
        seen[0] = 0;
        look(ws_kept(net.loop, kept));
        CHECK_STR(seen, queries[i].seen);
        CHECK(ws_reply(ws_kept(net.loop, kept), 200, NULL, NULL));
        net_settle();
        CHECK_EQ(peer_status(p), 200);
        NET_END();
    }
    if (test_begin("a path that cannot be decoded is 400, and so is a form; NULL has no query")) {
        start();
        CHECK_REFUSED("GET /look%?q=1 HTTP/1.1\r\n" HOST "\r\n", 400);
        CHECK_REFUSED("GET /look%E9 HTTP/1.1\r\n" HOST "\r\n", 400);
        CHECK_REFUSED("GET /ws%00?q=1 HTTP/1.1\r\n" HOST UPGRADE "\r\n", 400);
        CHECK_STR(seen, "");
        CHECK(!ws_request_raw_query(NULL).data);
        NET_END();
    }
}

/* --- bodies of GET and HEAD (RFC 9110 9.3.1, 9.3.2): valid, but without meaning --- */

static void test_bodies(void) {
    if (!test_begin("a body of GET or HEAD is read; a page drops it, a handler gets it, and the connection stays"))
        return;
    start();
    CHECK_ANSWERS("GET /page HTTP/1.1\r\n" HOST LENGTH("5") "hello" GET_PAGE, PAGE PAGE);
    CHECK_ANSWERS("GET /page HTTP/1.1\r\n" HOST CHUNKS "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n" GET_PAGE, PAGE PAGE);
    CHECK_ANSWERS("GET /page HTTP/1.1\r\n" HOST CHUNKS "0\r\n\r\n" GET_PAGE, PAGE PAGE);
    CHECK_ANSWERS("HEAD /page HTTP/1.1\r\n" HOST LENGTH("5") "hello" GET_PAGE, PAGE_HEAD PAGE);
    CHECK_ANSWERS("HEAD /page HTTP/1.1\r\n" HOST CHUNKS "1\r\nx\r\n0\r\n\r\n" GET_PAGE, PAGE_HEAD PAGE);
    CHECK_ANSWERS("GET /echo HTTP/1.1\r\n" HOST LENGTH("5") "hello" GET_PAGE, ECHO("5", "hello") PAGE);
    CHECK_ANSWERS("GET /echo HTTP/1.1\r\n" HOST CHUNKS "5\r\nhello\r\n0\r\n\r\n" GET_PAGE, ECHO("5", "hello") PAGE);
    CHECK_ANSWERS("HEAD /echo HTTP/1.1\r\n" HOST LENGTH("5") "hello" GET_PAGE, ECHO("5", "") PAGE);
    CHECK_STR(seen, "GET GET HEAD ");
    CHECK_ANSWERS("GET /page HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n" LENGTH("5"),
                  "HTTP/1.1 100 Continue\r\n\r\n");
    /* what looks like a request is the body, and nothing else */
    CHECK_ANSWERS("GET /page HTTP/1.1\r\n" HOST LENGTH("37") "GET /secret HTTP/1.1\r\n" HOST "X: y\r\n" GET_PAGE,
                  PAGE PAGE);
    NET_END();
}

static void test_files(void) {
    static const char small[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Type: application/octet-stream\r\n"
                                "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nLast-Modified: ";
    peer *p;
    size_t at;
    if (!test_begin("a body of GET or HEAD for files: small, sent in many rounds, not modified, a folder, missing"))
        return;
    start();
    p = net_connect();
    peer_text(p, "GET /files/small HTTP/1.1\r\n" HOST LENGTH("5") "hello"
                 "HEAD /files/small HTTP/1.1\r\n" HOST CHUNKS "2\r\nhi\r\n0\r\n\r\n"
                 "GET /files/small HTTP/1.1\r\n" HOST "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n"
                 LENGTH("1") "x"
                 "GET /files/sub HTTP/1.1\r\n" HOST LENGTH("3") "abc"
                 "GET /files/empty HTTP/1.1\r\n" HOST LENGTH("3") "abc" GET_PAGE);
    net_settle();
    CHECK(peer_find(p, small) == 0);
    at = peer_find(p, "\r\n\r\nabcdefgab" "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n");
    CHECK(at != SIZE_MAX);
    peer_take(p, at + 13);
    CHECK(peer_find(p, small) == 0);
    peer_take_head(p);
    CHECK(peer_find(p, "HTTP/1.1 304 " REASON("Not Modified") "\r\n") == 0);
    peer_take_head(p);
    CHECK(peer_find(p, "HTTP/1.1 301 " REASON("Moved Permanently") "\r\n") == 0);
    CHECK(peer_has(p, "\r\nLocation: /files/sub/\r\n"));
    peer_take_head(p);
    CHECK(peer_find(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n") == 0);
    peer_take_head(p);
    CHECK_MEM(p->in.data, p->in.size, PAGE, strlen(PAGE));
    p->in.size = 0;
    peer_text(p, "GET /files/big HTTP/1.1\r\n" HOST LENGTH("5") "hello" GET_PAGE);
    net_settle();
    peer_take_head(p);
    CHECK_EQ(p->in.size, BIG + strlen(PAGE));
    CHECK(memcmp(p->in.data, "abcdefgabcdefg", 14) == 0);
    peer_take(p, BIG);
    CHECK_MEM(p->in.data, p->in.size, PAGE, strlen(PAGE));
    p->in.size = 0;
    peer_text(p, "GET /files/none HTTP/1.1\r\n" HOST LENGTH("5") "hello");
    CHECK_EQ(peer_status(p), 404);
    net_settle();
    CHECK(p->ended && !p->reset);
    NET_END();
}

/* Cut at every byte: the same answers. */
static void test_cuts(void) {
    static const char all[] = "GET /page HTTP/1.1\r\n" HOST CHUNKS "3;x=\"y\"\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n"
                              "HEAD /page HTTP/1.1\r\n" HOST LENGTH("3") "xyz"
                              "GET /echo HTTP/1.1\r\n" HOST LENGTH("2") "hi" GET_PAGE;
    static const char wanted[] = PAGE PAGE_HEAD ECHO("2", "hi") PAGE;
    if (!test_begin("bodies of GET and HEAD, cut at every byte"))
        return;
    start();
    check_cuts(all, wanted);
    NET_END();
}

/* While one body arrives, others are answered: each request keeps its own data. */
static void test_between(void) {
    peer *p[3];
    if (!test_begin("others are answered while a body of a GET arrives"))
        return;
    start();
    p[0] = net_connect();
    p[1] = net_connect();
    p[2] = net_connect();
    peer_text(p[0], "GET /files/small HTTP/1.1\r\n" HOST LENGTH("5") "hel");
    peer_text(p[1], "HEAD /page HTTP/1.1\r\n" HOST LENGTH("5") "hel");
    net_settle();
    peer_text(p[2], "GET /look?q=a+much+longer+query+than+theirs HTTP/1.1\r\n" HOST "\r\n");
    net_settle();
    CHECK_EQ(peer_status(p[2]), 200);
    peer_text(p[0], "lo");
    net_settle();
    CHECK(peer_has(p[0], "\r\n\r\nabcdefgab") && !p[0]->ended);
    peer_text(p[2], GET_PAGE);
    net_settle();
    peer_text(p[1], "lo");
    net_settle();
    CHECK_MEM(p[1]->in.data, p[1]->in.size, PAGE_HEAD, strlen(PAGE_HEAD));
    NET_END();
}

static void test_bounds(void) {
    ws_limits limits;
    peer *p;
    if (!test_begin("a body of GET or HEAD has the limit and the time of any other"))
        return;
    memset(&limits, 0, sizeof limits);
    limits.body = 10;
    limits.answer_ms = 1000;
    start_with(&limits);
    CHECK_ANSWERS("GET /page HTTP/1.1\r\n" HOST LENGTH("10") "0123456789" GET_PAGE, PAGE PAGE);
    CHECK_REFUSED("GET /page HTTP/1.1\r\n" HOST LENGTH("11") "0123456789a", 413);
    CHECK_REFUSED("HEAD /page HTTP/1.1\r\n" HOST LENGTH("11") "0123456789a", 413);
    CHECK_REFUSED("GET /files/small HTTP/1.1\r\n" HOST LENGTH("11") "0123456789a", 413);
    CHECK_REFUSED("GET /page HTTP/1.1\r\n" HOST CHUNKS "5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n", 413);
    CHECK_REFUSED("GET /page HTTP/1.1\r\n" HOST CHUNKS "5\r\nhelloX\r\n0\r\n\r\n", 400);
    p = net_connect();
    peer_text(p, "GET /page HTTP/1.1\r\n" HOST LENGTH("5") "hell");
    net_settle();
    net_wait(900);
    CHECK_EQ(p->in.size, 0);
    net_wait(200);
    CHECK_EQ(peer_status(p), 408);
    p = net_connect();
    peer_text(p, "GET /files/small HTTP/1.1\r\n" HOST LENGTH("5") "hell"); /* then the client disconnects */
    net_settle();
    peer_close(p);
    net_settle();
    p = net_connect();
    peer_text(p, "GET /page HTTP/1.1\r\n" HOST CHUNKS "5\r\nhe");
    net_settle();
    NET_END(); /* while the body arrives */
}

/* Bodies that could be read in two ways, or of a WebSocket's request, are still refused. */
static void test_refused(void) {
    if (!test_begin("bodies that could be read in two ways, or of a WebSocket's request: nothing is smuggled"))
        return;
    start();
    CHECK_REFUSED("GET /page HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" CHUNKS "0\r\n\r\n", 400);
    CHECK_REFUSED("GET /page HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" LENGTH("5") "hello", 400);
    CHECK_REFUSED("GET /page HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" CHUNKS "0\r\n\r\n", 400);
    CHECK_REFUSED("GET /page HTTP/1.0\r\n" HOST CHUNKS "0\r\n\r\n", 400);
    CHECK_REFUSED("GET /ws HTTP/1.1\r\n" HOST UPGRADE LENGTH("5") "hello", 400);
    CHECK_REFUSED("GET /ws HTTP/1.1\r\n" HOST UPGRADE CHUNKS "0\r\n\r\n", 400);
    CHECK_REFUSED("GET /ws HTTP/1.1\r\n" HOST LENGTH("5") "hello", 426);
    CHECK_REFUSED("GET /none HTTP/1.1\r\n" HOST LENGTH("5") "hello", 404);
    CHECK_REFUSED("DELETE /page HTTP/1.1\r\n" HOST LENGTH("5") "hello", 405);
    /* RFC 9112 6.1: a coding that is not known */
    CHECK_REFUSED("GET /page HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501);
    CHECK_REFUSED("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: x;y=z, chunked\r\n\r\n0\r\n\r\n", 501);
    CHECK_REFUSED("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400);
    CHECK_STR(seen, "");
    NET_END();
}

static void test_scarce(void) {
    static const char *const sent[] = {"GET /files/small HTTP/1.1\r\n" HOST LENGTH("5") "hello" GET_PAGE,
                                       "HEAD /page HTTP/1.1\r\n" HOST CHUNKS "5\r\nhello\r\n0\r\n\r\n" GET_PAGE,
                                       "OPTIONS * HTTP/1.1\r\n" HOST "\r\n" GET_PAGE};
    size_t i, n;
    bool good = true;
    if (!test_begin("the Nth allocation fails: 503 or the end, and nothing leaks"))
        return;
    for (i = 0; i < sizeof sent / sizeof *sent && good; i++)
        for (n = 1, good = false; n < 40 && !good; n++) {
            int status;
            peer *p;
            start();
            p = net_connect();
            net_settle();
            net.memory.fail_at = net.memory.calls + n;
            peer_text(p, sent[i]);
            net_settle();
            status = peer_status(p);
            CHECK(status == 200 || status == 204 || status == 503 || status == 0);
            good = net.memory.calls < net.memory.fail_at;
            CHECK(!good || peer_has(p, PAGE));
            net.memory.fail_at = 0;
            NET_END();
        }
    CHECK(good);
}

/* --- OPTIONS * (RFC 9110 9.3.7) --- */

static void test_options(void) {
    if (!test_begin("OPTIONS *: 204 with the server's methods; else 405 or 400"))
        return;
    start();
    CHECK_ANSWERS("OPTIONS * HTTP/1.1\r\n" HOST "\r\n" GET_PAGE,
                  "HTTP/1.1 204 " REASON("No Content") "\r\nAllow: GET, HEAD, POST, PUT\r\n\r\n" PAGE);
    CHECK_REFUSED("OPTIONS * HTTP/1.1\r\n" HOST LENGTH("5") "hello", 204);
    CHECK_REFUSED("OPTIONS * HTTP/1.0\r\n\r\n", 204);
    CHECK_REFUSED("OPTIONS * HTTP/1.1\r\n\r\n", 400);
    CHECK_REFUSED("OPTIONS * HTTP/1.1\r\n" HOST UPGRADE "\r\n", 405);
    CHECK_REFUSED("OPTIONS /page HTTP/1.1\r\n" HOST "\r\n", 405);
    CHECK_REFUSED("OPTIONS /none HTTP/1.1\r\n" HOST "\r\n", 404);
    CHECK_REFUSED("GET * HTTP/1.1\r\n" HOST "\r\n", 400);
    CHECK_REFUSED("GET * HTTP/1.1\r\n" HOST UPGRADE "\r\n", 400);
    {
        peer *p = net_connect();
        peer_text(p, "PUT /echo HTTP/1.1\r\n" HOST LENGTH("1") "x");
        CHECK_EQ(peer_status(p), 405);
        CHECK(peer_has(p, "\r\nAllow: GET, HEAD, POST\r\n"));
        p = net_connect();
        peer_text(p, "POST /keep HTTP/1.1\r\n" HOST LENGTH("1") "x"); /* two routes of one path */
        CHECK_EQ(peer_status(p), 405);
        CHECK(peer_has(p, "\r\nAllow: GET, HEAD, PUT\r\n"));
    }
    NET_END();
    if (test_begin("OPTIONS * of a server that has WebSockets alone")) {
        CHECK(net_start());
        CHECK_ANSWERS("OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
                      "HTTP/1.1 204 " REASON("No Content") "\r\nAllow: GET\r\n\r\n");
        NET_END();
    }
}

/* --- absolute targets (RFC 9112 3.2.2) --- */

static void test_absolute(void) {
    if (!test_begin("an absolute target: its authority counts, and Host is ignored"))
        return;
    start();
    CHECK_ANSWERS("GET http://a:80/page HTTP/1.1\r\n" HOST "\r\n" GET_PAGE, PAGE PAGE);
    CHECK_ANSWERS("GET http://other:81/page?q=%zz HTTP/1.1\r\n" HOST "\r\n" GET_PAGE, PAGE PAGE);
    CHECK_REFUSED("GET http://a:x/page HTTP/1.1\r\n" HOST "\r\n", 400);
    CHECK_REFUSED("GET http://u@a/page HTTP/1.1\r\n" HOST "\r\n", 400);
    CHECK_REFUSED("GET http:///page HTTP/1.1\r\n" HOST "\r\n", 400);
    CHECK_REFUSED("GET http://a/page HTTP/1.1\r\n\r\n", 400);
    CHECK_REFUSED("GET http://b/ws HTTP/1.1\r\n" HOST UPGRADE "Origin: http://a\r\n\r\n", 403);
    {
        peer *p = net_connect();
        peer_text(p, "GET http://b/ws HTTP/1.1\r\n" HOST UPGRADE "Origin: http://b\r\n\r\n");
        CHECK_EQ(peer_status(p), 101);
    }
    NET_END();
    if (!test_begin("an absolute target: hosts checks its authority, and a program sees it as Host"))
        return;
    {
        ws_server_config config;
        memset(&config, 0, sizeof config);
        config.hosts = "a, b:81";
        seen[0] = 0;
        net_start_loop(NULL);
        net.server = ws_listen(net.loop, &config);
        CHECK(net.server && ws_http(net.server, "GET", "/host", host_of, NULL));
    }
    CHECK_ANSWERS("GET http://a/host HTTP/1.1\r\nHost: evil\r\n\r\n", ECHO("0", ""));
    CHECK_ANSWERS("GET http://b:81/host HTTP/1.1\r\nHost: a\r\n\r\n", ECHO("0", ""));
    CHECK_ANSWERS("GET /host HTTP/1.1\r\nHost: a:8000\r\n\r\n", ECHO("0", ""));
    CHECK_REFUSED("GET http://evil/host HTTP/1.1\r\nHost: a\r\n\r\n", 403);
    CHECK_REFUSED("OPTIONS * HTTP/1.1\r\nHost: evil\r\n\r\n", 403);
    CHECK_STR(seen, "host=[a] host=[b:81] host=[a:8000] ");
    NET_END();
}

int main(int argc, char **argv) {
    static const char *const names[] = {"small", "empty", "big", "sub", ""};
    char path[100];
    size_t i;
    test_start_in_tree(argc, argv);
    CHECK(mkdtemp(folder) != NULL);
    make_file("small", 9);
    make_file("empty", 0);
    make_file("big", BIG);
    file_path(path, sizeof path, "sub");
    CHECK(mkdir(path, 0700) == 0);
    test_queries();
    test_bodies();
    test_files();
    test_cuts();
    test_between();
    test_bounds();
    test_refused();
    test_scarce();
    test_options();
    test_absolute();
    for (i = 0; i < sizeof names / sizeof *names; i++) { /* what this suite made, and nothing else */
        file_path(path, sizeof path, names[i]);
        (void)remove(path);
    }
    return test_finish();
}
