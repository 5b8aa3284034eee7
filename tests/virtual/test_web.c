/* WEB: handlers of HTTP, bodies, and requests that are kept and answered later. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

static char seen[4000]; /* what handlers and hooks saw */
static ws_id kept;
static ws_hook *answer_now; /* what a kept request gets before its callback returns, or NULL */

static void mark(const char *text) { (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", text); }

/* Method, path, and body: a form's field "a" where there is one. */
static void echo(ws_request *request, void *user) {
    ws_message body = ws_request_body(request);
    ws_slice a = ws_request_form(request, "a");
    (void)user;
    CHECK_EQ(body.data[body.size], 0);
    (void)snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s %.*s%s%.*s ", ws_request_method(request),
                   (int)ws_request_path(request).size, ws_request_path(request).data, a.data ? " a=" : "",
                   (int)a.size, a.data ? a.data : "");
    CHECK(ws_reply_data(request, 200, NULL, body.data, body.size) || net.memory.fail_at);
    CHECK(!ws_reply(request, 200, NULL, "twice"));
}

static void start_with(const ws_server_config *config) {
    seen[0] = 0;
    kept = 0;
    answer_now = NULL;
    CHECK(net_start_with(NULL, config));
    CHECK(ws_http(net.server, "GET, POST", "/echo", echo, NULL));
    CHECK(ws_http(net.server, "PUT", "/n/{n:int}", echo, NULL));
    CHECK(ws_page(net.server, "/page", "text/plain", "page"));
}

static void start(void) { start_with(NULL); }

/* Sends a text, serves until idle, and compares the answer, without Content-Type and Connection. */
static void check_answer(const char *text, const char *wanted, int line) {
    peer *p = net_connect();
    peer_text(p, text);
    net_settle();
    test_memory(p->in.data, p->in.size, wanted, strlen(wanted), text, __FILE__, line);
    peer_close(p);
    net_settle();
}

#define CHECK_ANSWER(text, wanted) check_answer((text), (wanted), __LINE__)
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(more, body) "POST /echo HTTP/1.1\r\nHost: a\r\n" more "\r\n" body
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define OK(size, body) "HTTP/1.1 200 OK\r\nContent-Length: " size "\r\n\r\n" body
#define NO(status, reason, size) "HTTP/1.1 " status " " reason "\r\nContent-Length: " size \
    "\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" reason
#define BAD NO("400", "Bad Request", "11")
#define BROKEN NO("500", REASON("Internal Server Error"), IF_SMALL("6", "21"))

static void test_methods(void) {
    if (!test_begin("methods: GET includes HEAD; others are 405 with Allow"))
        return;
    start();
    CHECK_ANSWER(GET("/echo"), OK("0", ""));
    CHECK_ANSWER("HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n",
                 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
    CHECK_ANSWER("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n", OK("0", ""));
    CHECK_ANSWER("PUT /n/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", OK("2", "hi"));
    CHECK_ANSWER("DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n",
                 "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 18\r\nContent-Type: text/plain\r\n"
                 "Allow: GET, HEAD, POST\r\nConnection: close\r\n\r\nMethod Not Allowed");
    CHECK_ANSWER("POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
                 "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 18\r\nContent-Type: text/plain\r\n"
                 "Allow: GET, HEAD\r\nConnection: close\r\n\r\nMethod Not Allowed");
    CHECK_ANSWER(GET("/none"), NO("404", "Not Found", "9"));
    CHECK_ANSWER(GET("/n/x"), NO("404", "Not Found", "9"));
    CHECK_STR(seen, "GET /echo HEAD /echo PUT /n/7 ");
    NET_END();
}

static void test_bodies(void) {
    static const char *const good[] = {
        POST("Content-Length: 5\r\n", "hello"), POST("Content-Length: 05\r\n", "hello"),
        POST(CHUNKED, "5\r\nhello\r\n0\r\n\r\n"), POST(CHUNKED, "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"),
        POST(CHUNKED, "00005;a=b;c=\"d;\\\"e\"; f\r\nhello\r\n000\r\nX-Trailer: a\r\nY: b\r\n\r\n"),
        POST(CHUNKED, "5 ; a = b\r\nhello\r\n0\r\n\r\n"),
        POST(CHUNKED, "5\t;\ta\t=\tb\r\nhello\r\n0\r\n\r\n"), POST(CHUNKED, "5;a=\"\t\"\r\nhello\r\n0\r\n\r\n"),
        POST("transfer-encoding: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    };
    size_t i;
    if (!test_begin("bodies: Content-Length and chunked"))
        return;
    start();
    for (i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_ANSWER(good[i], OK("5", "hello"));
    CHECK_ANSWER(POST("", ""), OK("0", ""));
    CHECK_ANSWER(POST(CHUNKED, "0\r\n\r\n"), OK("0", ""));
    CHECK_ANSWER(POST("Expect: 100-continue\r\nContent-Length: 2\r\n", ""), "HTTP/1.1 100 Continue\r\n\r\n");
    CHECK_ANSWER(POST("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi"), OK("2", "hi"));
    CHECK_ANSWER("POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", "");
    NET_END();
}

static void test_bad_bodies(void) {
    static const char *const bad[] = {
        POST(CHUNKED, "\r\n"), POST(CHUNKED, "x\r\n"), POST(CHUNKED, "-1\r\n"), POST(CHUNKED, "0x5\r\nhello\r\n"),
        POST(CHUNKED, "5\nhello\r\n0\r\n\r\n"), POST(CHUNKED, "5\r\nhello\n0\r\n\r\n"),
        POST(CHUNKED, "5\r\nhelloX\r\n0\r\n\r\n"), POST(CHUNKED, "5\r\nhello\r\n0\r\n X\r\n\r\n"),
        POST(CHUNKED, "0\r\nbad trailer\r\n\r\n"), POST(CHUNKED, "0\r\nA: b\n\r\n"), POST(CHUNKED, "5;\r\nhello"),
        POST(CHUNKED, "5;a=\r\nhello"), POST(CHUNKED, "5;a=\"b\r\nhello"), POST(CHUNKED, "5;=b\r\nhello"),
        POST(CHUNKED, "5=b\r\nhello"), POST(CHUNKED, "5,\r\nhello"), POST(CHUNKED, "5 \r\nhello"), POST(CHUNKED,
        "5\r\rhello"),
        POST(CHUNKED, "1000000000000000\r\n"), POST(CHUNKED, "0000000000000005\r\nhello"),
        POST(CHUNKED "Content-Length: 5\r\n", "5\r\n"), POST("Transfer-Encoding: chunked, gzip\r\n", "5\r\n"),
        POST("Transfer-Encoding: identity\r\n", ""), POST("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        POST("Content-Length: +5\r\n", "hello"), POST("Content-Length: 5, 5\r\n", "hello"),
        POST("Content-Length:\r\n", ""), POST("Content-Length: 99999999999999999999\r\n", ""),
        "POST /echo HTTP/1.0\r\n" CHUNKED "\r\n0\r\n\r\n",
    };
    size_t i;
    if (!test_begin("malformed bodies and their headers are 400, and no handler sees them"))
        return;
    start();
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_ANSWER(bad[i], BAD);
    CHECK_ANSWER(POST("Expect: magic\r\nContent-Length: 1\r\n", ""), NO("417", "Expectation Failed", "18"));
    CHECK_ANSWER(POST("Expect: magic\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", ""),
                 NO("417", "Expectation Failed", "18"));
    CHECK_STR(seen, "");
    NET_END();
}

static void test_limits(void) {
    ws_server_config config;
    char text[1200];
    if (!test_begin("limits.body is 413, a chunk's line and trailers have limits, a slow body is 408"))
        return;
    memset(&config, 0, sizeof config);
    config.limits.body = 10;
    config.limits.head = 600;
    config.limits.answer_ms = 1000;
    start_with(&config);
    CHECK_ANSWER(POST("Content-Length: 10\r\n", "0123456789"), OK("10", "0123456789"));
    CHECK_ANSWER(POST("Content-Length: 11\r\n", ""), NO("413", REASON("Content Too Large"), IF_SMALL("6", "17")));
    CHECK_ANSWER(POST(CHUNKED, "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"), OK("10", "helloworld"));
    CHECK_ANSWER(POST(CHUNKED, "5\r\nhello\r\n6\r\n"), NO("413", REASON("Content Too Large"), IF_SMALL("6", "17")));
    CHECK_ANSWER(POST(CHUNKED, "fffffffffffffff\r\n"), NO("413", REASON("Content Too Large"), IF_SMALL("6", "17")));
    (void)snprintf(text, sizeof text, POST(CHUNKED, "1;%0300d=x\r\n"), 0);
    CHECK_ANSWER(text, BAD);
    (void)snprintf(text, sizeof text, POST(CHUNKED, "0\r\nA: %0300d\r\nB: %0300d\r\n"), 0, 0);
    CHECK_ANSWER(text, NO("431", "Request Header Fields Too Large", "31"));
    {
        peer *p = net_connect();
        peer_text(p, POST("Content-Length: 5\r\n", "hell"));
        net_settle();
        net_wait(900);
        CHECK_EQ(p->in.size, 0);
        net_wait(200);
        CHECK_EQ(peer_status(p), 408);
        CHECK(p->ended);
    }
    NET_END();
}

/* Cut at every byte: the same answers, whatever comes together. */
static void test_split(void) {
    static const char both[] = POST(CHUNKED, "3;x=\"y\"\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n")
                               POST("Content-Length: 3\r\n", "xyz") GET("/page") "GET /last HTTP/1.1\r\nHost: "
                               "a\r\n\r\n";
    static const char wanted[] = OK("5", "abcde") OK("3", "xyz")
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: text/plain; charset=utf-8\r\n\r\npage"
        NO("404", "Not Found", "9");
    if (!test_begin("keep-alive and pipelining, cut at every byte"))
        return;
    start();
    check_cuts(both, wanted);
    NET_END();
}

static void test_types(void) {
    char text[400];
    static const struct { const char *type, *body; int status; } cases[] = {
        {"application/x-www-form-urlencoded", "a=1%202+3&b=", 200}, {"application/x-www-form-urlencoded", "a=%zz", 400},
        {"application/x-www-form-urlencoded", "a=%00", 400}, {"application/x-www-form-urlencoded", "a=%ff", 400},
        {"application/json", "{\"a\":1}", 200}, {"application/json", "{'a':1}", 400}, {"application/json", "{", 400},
        {"APPLICATION/JSON ; x=y", "nul", 400}, {"application/problem+json", "[1,]", 400}, {"text/json", "[1,]", 200},
        {"text/plain", "%zz", 200},
    };
    size_t i;
    if (!test_begin("a form is decoded, a body that says it is JSON is JSON; else 400"))
        return;
    start();
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        peer *p = net_connect();
        (void)snprintf(text, sizeof text,
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
                       cases[i].type, strlen(cases[i].body), cases[i].body);
        peer_text(p, text);
        CHECK_EQ(peer_status(p), cases[i].status);
        CHECK(cases[i].status == 200 || peer_has(p, "\r\n\r\nthe body is not "));
    }
    CHECK_STR(seen, "POST /echo a=1 2 3 POST /echo POST /echo POST /echo ");
    {
        static const char zero[] = "POST /echo HTTP/1.1\r\nHost: a\r\n"
                                   "Content-Type: application/x-www-form-urlencoded\r\n"
                                   "Content-Length: 7\r\n\r\nb=c\0a\0d"; /* would be the pair a, d */
        peer *p = net_connect();
        (void)peer_send(p, zero, sizeof zero - 1);
        CHECK_EQ(peer_status(p), 400);
    }
    NET_END();
}

/* --- what handlers can answer --- */

static void answer(ws_request *request, void *user) {
    static const char *const lines[] = {"X-A: b", "Content-Type: x/y", NULL};
    int64_t which = -1;
    (void)user;
    CHECK(ws_slice_integer(ws_request_param(request, "n"), &which));
    switch (which) {
    case 0: break; /* the handler forgets to answer */
    case 1: CHECK(ws_reply(request, 201, "text/html", "<p>")); break;
    case 2: CHECK(ws_reply_data(request, 200, lines, "a\0b", 3)); break;
    case 3: CHECK(ws_reply_json(request, 200, "{'a':%s}", "\"")); break;
    case 4: CHECK(ws_reply_html(request, 422, "<p>%s", "<")); break;
    case 5: CHECK(ws_redirect(request, "/there")); break;
    case 6: CHECK(!ws_redirect(request, "/a\r\nX: y")); break;
    case 7: CHECK(!ws_reply(request, 200, "a\r\nb", "x")); break;
    case 8: CHECK(!ws_reply_json(request, 200, "{%s", "x")); break;
    case 9: CHECK(ws_set_cookie(request, "a", "b", 60) && ws_set_cookie(request, "c", "", -1)
                  && !ws_set_cookie(request, "a b", "c", 0) && !ws_set_cookie(request, "a", "b;c", 0)
                  && !ws_set_cookie(request, "a", "b\r\n", 0) && !ws_set_cookie(request, "", "b", 0)
                  && ws_reply(request, 200, NULL, "")); break;
    case 10: CHECK(ws_reply(request, 204, NULL, NULL)); break;
    case 11: CHECK(!ws_reply(request, 204, NULL, "x")); break;
    case 12: CHECK(ws_reply(request, 304, "text/plain", NULL)); break;
    case 13: CHECK(!ws_reply(request, 101, NULL, NULL)); break;
    case 14: CHECK(!ws_accept(request, NULL) && ws_refuse(request, 404, NULL, NULL)); break;
    case 15: CHECK(!ws_reply_data(request, 200, NULL, NULL, 4)); break;
    case 16: CHECK(ws_reply(request, 500, NULL, "mine")); break;
    default: ws_server_free(ws_request_server(request)); CHECK(ws_reply(request, 200, NULL, "late")); break;
    }
}

static void test_answers(void) {
    static const char *const wanted[] = {
        BROKEN,
        "HTTP/1.1 201 " REASON("Created") "\r\nContent-Length: 3\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>",
        NULL,
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: application/json\r\n\r\n{\"a\":\"\\\"\"}",
        "HTTP/1.1 422 " REASON("Unprocessable Content") "\r\nContent-Length: 7\r\nContent-Type: text/html; "
        "charset=utf-8\r\n\r\n<p>&lt;",
        "HTTP/1.1 303 " REASON("See Other") "\r\nContent-Length: 0\r\nLocation: /there\r\n\r\n",
        BROKEN, BROKEN, BROKEN,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b; Path=/; HttpOnly; SameSite=Lax; Max-Age=60\r\n"
        "Set-Cookie: c=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0\r\n\r\n",
        "HTTP/1.1 204 " REASON("No Content") "\r\n\r\n", BROKEN,
        "HTTP/1.1 304 " REASON("Not Modified") "\r\n\r\n", BROKEN,
        "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nNot Found",
        BROKEN, "HTTP/1.1 500 " REASON("Internal Server Error") "\r\nContent-Length: 4\r\n\r\nmine",
            "",
    };
    size_t i;
    if (!test_begin("answers: text, data, JSON, HTML, redirect, cookies; invalid ones are 500"))
        return;
    start();
    CHECK(ws_http(net.server, "GET", "/a/{n:int}", answer, NULL));
    for (i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, GET("/a/%zu"), i);
        if (wanted[i])
            CHECK_ANSWER(text, wanted[i]);
    }
    NET_END();
    start();
    CHECK(ws_http(net.server, "GET", "/a/{n:int}", answer, NULL));
    {
        static const char data[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\nContent-Type: x/y\r\n\r\na\0b";
        peer *p = net_connect();
        peer_text(p, GET("/a/2"));
        net_settle();
        CHECK_MEM(p->in.data, p->in.size, data, sizeof data - 1);
    }
    NET_END();
}

static bool odd_good; /* what the last of the odd calls returned */

static void odd(ws_request *request, void *user) {
    static char far_away[2100];
    int64_t n = 0;
    (void)user;
    memset(far_away, '/', sizeof far_away - 1);
    (void)ws_slice_integer(ws_request_param(request, "n"), &n);
    switch (n) {
    case 0: odd_good = ws_redirect(request, NULL); break;
    case 1: odd_good = ws_redirect(request, far_away); break;
    case 2: odd_good = ws_reply(request, 205, NULL, NULL); break;
    case 3: odd_good = ws_reply(request, 205, NULL, "body"); break;
    case 4: odd_good = ws_set_cookie(request, NULL, "v", 0); break;
    case 5: odd_good = ws_set_cookie(request, "n", NULL, 0); break;
    case 6: odd_good = ws_set_cookie(request, "n", "a\x7f", 0); break;
    case 7: odd_good = ws_set_cookie(request, "n", "a\xc3\xa9", 0); break;
    case 8: odd_good = ws_set_cookie(request, "n m", "v", 0); break;
    default:
        CHECK(ws_reply(request, 200, NULL, "answered"));
        odd_good = ws_redirect(request, "/") || ws_set_cookie(request, "n", "v", 0);
    }
    if (n >= 4 && n <= 8)
        CHECK(ws_reply(request, 200, NULL, "no cookie"));
}

static void test_odd_calls(void) {
    static const struct { int status; bool good; } cases[] = {
        {500, false}, {500, false}, {205, true}, {500, false}, {200, false}, {200, false}, {200, false}, {200, false},
        {200, false}, {200, false},
    };
    if (!test_begin("invalid redirects, cookies and answers"))
        return;
    start();
    CHECK(ws_http(net.server, "GET", "/odd/{n:int}", odd, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[80];
        peer *p = net_connect();
        (void)snprintf(text, sizeof text, GET("/odd/%zu"), i);
        peer_text(p, text);
        net_settle();
        CHECK_EQ(peer_status(p), cases[i].status);
        CHECK_EQ(odd_good, cases[i].good);
        CHECK(!peer_has(p, "Set-Cookie"));
    }
    NET_END();
}

static void test_slices(void) {
    static const struct { const char *text; bool integer, number; int64_t i; double d; } cases[] = {
        {"0", true, true, 0, 0}, {"007", true, true, 7, 7}, {"-12", true, true, -12, -12}, {"1.5", false, true, 0, 1.5},
        {"007.25", false, true, 0, 7.25}, {"1e3", false, true, 0, 1000}, {"", false, false, 0, 0},
        {"-", false, false, 0, 0}, {"+1", false, false, 0, 0}, {" 1", false, false, 0, 0}, {"1 ", false, false, 0, 0},
        {"1.", false, false, 0, 0}, {".5", false, false, 0, 0}, {"0x10", false, false, 0, 0}, {"--1", false, false, 0,
        0},
        {"9223372036854775807", true, true, INT64_MAX, 9223372036854775807.0},
        {"9223372036854775808", false, true, 0, 9223372036854775808.0},
        {"-9223372036854775808", true, true, INT64_MIN, -9223372036854775808.0},
        {"18446744073709551615", false, true, 0, 18446744073709551615.0},
        {"1e999", false, false, 0, 0}, {"true", false, false, 0, 0}, {"[1]", false, false, 0, 0},
    };
    size_t i;
    if (!test_begin("integers and numbers of slices"))
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_slice slice = wsi_text_z(cases[i].text);
        int64_t integer = 0;
        uint64_t positive = 0;
        double number = 0;
        bool digits = *cases[i].text && strspn(cases[i].text, "0123456789") == slice.size;
        CHECK_EQ(ws_slice_unsigned(slice, &positive), digits);
        CHECK(positive == (digits ? strtoull(cases[i].text, NULL, 10) : 0));
        CHECK_EQ(ws_slice_integer(slice, &integer), cases[i].integer);
        CHECK_EQ(ws_slice_number(slice, &number), cases[i].number);
        CHECK(integer == cases[i].i && number >= cases[i].d && number <= cases[i].d);
    }
    for (i = 0; i < 4; i++) { /* beyond 64 bits; absent */
        static const char *const beyond[] = {"18446744073709551616", "20000000000000000000", "99999999999999999999"};
        uint64_t positive = 42;
        CHECK(!ws_slice_unsigned(wsi_text_z(i < 3 ? beyond[i] : NULL), &positive));
        CHECK_EQ(positive, 42);
    }
}

/* --- requests that are kept --- */

static void abandoned(ws_request *request, void *user) {
    mark((const char *)user);
    mark(ws_slice_is(ws_request_query(request, "q"), "a b") ? "a b" : "");
    CHECK(!ws_reply(request, 200, NULL, "too late") && !ws_kept(net.loop, kept) && !ws_keep(request, NULL, NULL));
}

static void keep(ws_request *request, void *user) {
    mark((const char *)user);
    kept = ws_keep(request, abandoned, (void *)"abandoned");
    CHECK(kept || net.memory.fail_at);
    CHECK(!ws_keep(request, NULL, NULL));
    if (answer_now)
        answer_now(ws_kept(net.loop, kept), NULL);
}

static void keep_in_route(ws_request *request) { keep(request, (void *)"route"); }

static void look(ws_request *request, void *user) {
    (void)user;
    mark(ws_slice_is(ws_request_param(request, "room"), "caf\xc3\xa9") ? "room" : "no room");
    mark(ws_slice_is(ws_request_header(request, "x-a"), "b") ? "header" : "no header");
    mark(ws_slice_is(ws_request_query(request, "q"), "a b") ? "query" : "no query");
}

static void start_kept(const ws_server_config *config) {
    ws_handler handler = net_handler();
    start_with(config);
    CHECK(ws_http(net.server, "GET, POST", "/keep/{room}", keep, (void *)"keep"));
    handler.on_request = keep_in_route;
    CHECK(ws_before(net.server, look, NULL));
    CHECK(ws_route(net.server, "/ws/{room}", &handler));
}

static void reply_body(ws_request *request, void *user) {
    ws_message body = ws_request_body(request);
    (void)user;
    look(request, NULL);
    CHECK(ws_reply_data(request, 200, NULL, body.data, body.size));
}

#define KEEP "POST /keep/caf%C3%A9?q=a+b HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody"

static void test_kept(void) {
    peer *p;
    ws_id first;
    if (!test_begin("a request is kept and answered later; pipelined requests wait"))
        return;
    start_kept(NULL);
    p = net_connect();
    peer_text(p, KEEP GET("/page"));
    net_settle();
    CHECK_EQ(p->in.size, 0);
    CHECK_STR(seen, "keep ");
    first = kept;
    reply_body(ws_kept(net.loop, kept), NULL);
    CHECK(!ws_kept(net.loop, kept));
    net_settle();
    CHECK(peer_has(p, OK("4", "body") "HTTP/1.1 200 OK") && peer_has(p, "page"));
    CHECK_STR(seen, "keep room header query ");
    p->in.size = 0;
    peer_text(p, KEEP);
    net_settle();
    CHECK(kept != first && !ws_kept(net.loop, first)); /* an old id never finds a newer request */
    answer_now = reply_body;
    CHECK(ws_reply(ws_kept(net.loop, kept), 202, NULL, ""));
    peer_text(p, KEEP); /* kept and answered inside its callback */
    net_settle();
    CHECK(peer_has(p, "HTTP/1.1 202 " REASON("Accepted") "\r\nContent-Length: 0\r\n\r\n" OK("4", "body")));
    CHECK(!ws_kept(net.loop, 0) && !ws_kept(NULL, kept) && !ws_kept(net.loop, UINT64_MAX));
    NET_END();
}

static void test_kept_ends(void) {
    ws_server_config config;
    peer *p;
    if (!test_begin("a kept request is abandoned: the client leaves, 503 at the deadline, the server ends")
        || !net_resets())
        return;
    memset(&config, 0, sizeof config);
    config.limits.answer_ms = 5000;
    start_kept(&config);
    p = net_connect();
    peer_text(p, KEEP);
    net_settle();
    peer_reset(p);
    net_settle();
    CHECK_STR(seen, "keep abandoned a b ");
    CHECK(!ws_kept(net.loop, kept));
    seen[0] = 0;
    p = net_connect();
    peer_text(p, KEEP);
    net_settle();
    net_wait(4900);
    CHECK_EQ(p->in.size, 0);
    net_wait(200);
    CHECK_EQ(peer_status(p), 503);
    CHECK(p->ended);
    CHECK_STR(seen, "keep abandoned a b ");
    seen[0] = 0;
    p = net_connect();
    peer_upgrade(p, "/ws/caf%C3%A9?q=a+b", "X-A: b\r\n");
    net_settle();
    net_wait(5100);
    CHECK_EQ(peer_status(p), 503);
    CHECK_STR(seen, "room header query route abandoned a b ");
    seen[0] = 0;
    p = net_connect();
    peer_text(p, KEEP);
    net_settle();
    CHECK(ws_reply(ws_kept(net.loop, kept), 200, NULL, "never")); /* answered, and gone before it leaves */
    ws_server_free(net.server);
    net_settle();
    CHECK_STR(seen, "keep ");
    NET_END();
    start_kept(NULL);
    p = net_connect();
    peer_text(p, KEEP);
    net_settle();
    ws_shutdown(net.loop, 1000);
    net_settle();
    CHECK_EQ(p->in.size, 0);
    net_wait(1000);
    CHECK_EQ(peer_status(p), 503);
    CHECK_STR(seen, "keep abandoned a b ");
    NET_END();
}

static void test_kept_handshake(void) {
    peer *p;
    if (!test_begin("a kept handshake: accepted, and the hooks continue; refused; early frames follow"))
        return;
    start_kept(NULL);
    p = net_connect();
    peer_upgrade(p, "/ws/caf%C3%A9?q=a+b", "X-A: b\r\n");
    peer_frames(p, "81\"early\"");
    net_settle();
    CHECK_EQ(p->in.size, 0);
    CHECK(ws_accept(ws_kept(net.loop, kept), NULL));
    CHECK_LOG(""); /* callbacks are not called inside another call */
    net_settle();
    CHECK_EQ(peer_status(p), 101);
    peer_take_head(p);
    CHECK_FRAMES(p, "81\"early\"");
    CHECK_LOG("o1 t1:early");
    CHECK_STR(ws_param(net.conns[1], "room"), "caf\xc3\xa9");
    p = net_connect();
    peer_upgrade(p, "/ws/x", NULL);
    net_settle();
    CHECK(ws_refuse(ws_kept(net.loop, kept), 403, NULL, "no"));
    net_settle();
    CHECK_EQ(peer_status(p), 403);
    CHECK(p->ended);
    peer_close(p);
    NET_END();
    start_kept(NULL); /* two hooks that keep, one after the other */
    CHECK(ws_before(net.server, keep, (void *)"hook"));
    p = net_connect();
    peer_upgrade(p, "/ws/x", NULL);
    net_settle();
    CHECK(ws_accept(ws_kept(net.loop, kept), NULL));
    net_settle();
    CHECK_STR(seen, "no room no header no query hook route ");
    CHECK_EQ(p->in.size, 0);
    CHECK(ws_accept(ws_kept(net.loop, kept), NULL));
    net_settle();
    CHECK_EQ(peer_status(p), 101);
    CHECK_LOG("o1");
    NET_END();
}

static void test_kept_flood(void) {
    peer *p;
    size_t i, most;
    if (!test_begin("a peer that keeps sending after a kept request is no longer read"))
        return;
    start_kept(NULL);
    p = net_connect();
    peer_text(p, KEEP);
    net_settle();
    most = net.memory.used;
    for (i = 0; i < 2000; i++) {
        static uint8_t many[4096];
        memset(many, 'x', sizeof many);
        if (send(p->fd, many, sizeof many, MSG_NOSIGNAL) < 0)
            break;
        (void)net_round(0);
    }
    CHECK(i > 4 && net.memory.used < most + (256 << 10));
    CHECK(ws_reply(ws_kept(net.loop, kept), 200, NULL, "ok"));
    net_settle();
    CHECK_EQ(peer_status(p), 200);
    NET_END();
}

/* An empty body has its zero, too, whatever came after it; and a late answer leaves time for the next request. */
static void test_kept_late(void) {
    ws_message body;
    peer *p;
    if (!test_begin("a kept request with an empty body; after a late answer there is time for another request")
        || !net_tells_unsent())
        return;
    start_kept(NULL);
    p = net_connect();
    peer_text(p, "POST /keep/a HTTP/1.1\r\nHost: a\r\n" CHUNKED "\r\n0\r\n\r\n" GET("/page"));
    net_settle();
    body = ws_request_body(ws_kept(net.loop, kept));
    CHECK_EQ(body.size, 0);
    CHECK_EQ(body.data[0], 0);
    CHECK(ws_reply(ws_kept(net.loop, kept), 200, NULL, ""));
    net_settle();
    p->in.size = 0;
    peer_text(p, KEEP);
    net_settle();
    net_wait(29000);
    CHECK(ws_reply(ws_kept(net.loop, kept), 200, NULL, ""));
    net_settle();
    net_wait(2000);
    CHECK(!p->ended);
    p->in.size = 0;
    peer_text(p, GET("/page"));
    net_settle();
    CHECK_EQ(peer_status(p), 200);
    net_wait(74000);
    CHECK(!p->ended);
    net_wait(2000);
    CHECK(p->ended);
    NET_END();
}

/* The Nth allocation fails, for all N. */
static void test_scarce(void) {
    size_t n, points = 0;
    if (!test_begin("without memory a request fails whole"))
        return;
    for (n = 1; n < 100; n++) {
        int status;
        peer *p;
        start_kept(NULL);
        p = net_connect();
        net.memory.fail_at = net.memory.calls + n;
        peer_text(p, KEEP);
        net_settle();
        if (ws_kept(net.loop, kept))
            (void)ws_reply(ws_kept(net.loop, kept), 200, "text/plain", "all is well");
        net_settle();
        status = peer_status(p);
        CHECK(status == 200 || status == 500 || status == 503 || (!status && p->ended));
        CHECK_EQ(peer_has(p, "all is well"), status == 200);
        points += status != 200;
        net.memory.fail_at = 0;
        NET_END();
        if (status == 200 && n > 12)
            break;
    }
    CHECK(points > 3);
}

/* A form needs memory of its own for its decoded fields. */
static void test_scarce_form(void) {
    static const char form[] =
        POST("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n", "a=b%20c");
    size_t n, failed = 0, kept_alive = 0;
    int status = 0;
    if (!test_begin("without memory a form is delivered whole or not at all"))
        return;
    for (n = 1; n < 50 && (status != 200 || n < 10); n++) {
        start();
        peer *p = net_connect();
        CHECK(net_settle());
        net.memory.fail_at = net.memory.calls + n;
        peer_text(p, form);
        net_settle();
        net.memory.fail_at = 0;
        status = peer_status(p);
        CHECK(status == 200 || status == 500 || status == 503 || (!status && p->ended));
        CHECK_STR(seen, status == 200 || status == 500 ? "POST /echo a=b c " : ""); /* 500: no memory for its reply */
        failed += status == 503;
        kept_alive += status == 503 && !p->ended;
        NET_END();
    }
    CHECK(failed > 1 && status == 200);
    CHECK_EQ(kept_alive, 1); /* the body was read: the connection lives */
}

static void test_bad_registration(void) {
    static const struct { const char *methods, *pattern; ws_error error; } bad[] = {
        {"", "/", WS_ERROR_ARGUMENT}, {NULL, "/", WS_ERROR_ARGUMENT}, {"get", "/", WS_ERROR_ARGUMENT},
        {"GET POST", "/", WS_ERROR_ARGUMENT}, {"GET", "x", WS_ERROR_PATTERN}, {"GET", "/{a}{b}", WS_ERROR_PATTERN},
    };
    size_t i;
    if (!test_begin("ws_http with invalid arguments"))
        return;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(net_start());
        CHECK(!ws_http(net.server, bad[i].methods, bad[i].pattern, echo, NULL));
        CHECK_EQ(ws_loop_error(net.loop), bad[i].error);
        NET_END();
    }
    CHECK(!ws_http(NULL, "GET", "/", echo, NULL) && !ws_reply(NULL, 200, NULL, NULL) && !ws_redirect(NULL, "/"));
    CHECK(!ws_keep(NULL, NULL, NULL) && !ws_set_cookie(NULL, "a", "b", 0) && !ws_request_form(NULL, "a").data);
    CHECK(!ws_request_body(NULL).size && !*ws_request_method(NULL) && !ws_reply_json(NULL, 200, "1"));
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_methods();
    test_bodies();
    test_bad_bodies();
    test_limits();
    test_split();
    test_types();
    test_answers();
    test_odd_calls();
    test_slices();
    test_kept();
    test_kept_ends();
    test_kept_handshake();
    test_kept_flood();
    test_kept_late();
    test_scarce();
    test_scarce_form();
    test_bad_registration();
    return test_finish();
}
