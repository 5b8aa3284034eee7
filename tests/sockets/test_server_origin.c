/* SERVER: which origins may connect or change something, and which names Host may have. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/net.h"

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
    "Sec-WebSocket-Version: 13\r\n"
#define REBOUND "Origin: http://evil.example:8000\r\n"

static unsigned called;

static void answer(ws_request *request, void *user) {
    (void)user;
    called++;
    (void)ws_reply(request, 200, "text/plain", "done");
}

static bool start(const char *origins, const char *hosts) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    config.origins = origins;
    config.hosts = hosts;
    called = 0;
    return net_start_with(NULL, &config) && ws_page(net.server, "/page", "text/plain", "page")
           && ws_files(net.server, "/files/", "tests/helpers")
           && ws_http(net.server, "GET, POST, PUT, PATCH, DELETE, OPTIONS", "/own", answer, NULL)
           && ws_http_from(net.server, "*", "POST", "/any", answer, NULL)
           && ws_http_from(net.server, "https://pay.example", "POST", "/pay", answer, NULL);
}

/* host NULL: none. */
static peer *ask(const char *line, const char *host, const char *more) {
    char text[1500];
    peer *p = net_connect();
    (void)snprintf(text, sizeof text, "%s HTTP/1.%d\r\n%s%s%s%s\r\n", line, host != NULL, host ? "Host: " : "",
                   host ? host : "", host ? "\r\n" : "", more);
    peer_text(p, text);
    CHECK(peer_status(p) != 0);
    net_settle();
    return p;
}

static void check_body(const peer *p, const char *body, const char *file, int line) {
    char wanted[500];
    (void)snprintf(wanted, sizeof wanted, "\r\n\r\n%s", body);
    test_check(peer_has(p, wanted) && peer_find(p, wanted) + strlen(wanted) == p->in.size, body, file, line);
}

#define CHECK_BODY(p, body) check_body((p), (body), __FILE__, __LINE__)

/* Whatever is asked for: a page whose name was rebound to this address must see none of it. */
static void test_hosts(void) {
    static const char ours[] = "a.example, 127.0.0.1, [::1], b.example:8000, c.example:443, d.example:80";
    static const struct { const char *host; bool good; } cases[] = {
        {"a.example", true}, {"a.example:1", true}, {"A.Example:65535", true}, {"127.0.0.1:9001", true},
        {"[::1]", true}, {"[::1]:9001", true}, {"b.example:8000", true}, {"c.example", true}, {"c.example:443", true},
        {"d.example", true}, {"d.example:80", true}, {"a.example:", true}, {"b.example", false},
        {"b.example:8001", false}, {"c.example:80", false}, {"d.example:443", false}, {"evil.example", false},
        {"a.example.evil.example", false},
        {"xa.example", false}, {"sub.a.example", false}, {"a.example.", false}, {"127.0.0.2", false}, {"::1", false},
        {"localhost", false}, {"127.0.0.1.evil.example", false}, {"2130706433", false}, {NULL, false},
    };
    static const struct { const char *line, *more; int good; } requests[] = {
        {"GET /", UPGRADE, 101}, {"GET /page", "", 200}, {"HEAD /page", "", 200}, {"GET /files/net.h", "", 200},
        {"GET /own", "", 200}, {"POST /own", "Content-Length: 1\r\n\r\nx", 200}, {"POST /any", "", 200},
        {"GET /none", "", 404}, {"DELETE /page", "", 405},
    };
    size_t i, k;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *host = cases[i].host;
        if (!test_begin("hosts: %s is %s", host ? host : "none", cases[i].good ? "ours" : "not ours"))
            continue;
        CHECK(start(NULL, ours));
        for (k = 0; k < sizeof requests / sizeof *requests; k++) {
            int status;
            if (host && strcmp(host, "::1") == 0)
                continue; /* malformed: 400 */
            if (!host && k == 0)
                continue; /* HTTP/1.0 has no WebSockets */
            called = 0;
            status = peer_status(ask(requests[k].line, host, requests[k].more));
            test_equal(status, cases[i].good ? requests[k].good : 403, requests[k].line, __FILE__, __LINE__);
            CHECK(cases[i].good || (!called && !net.opened));
        }
        NET_END();
    }
}

/* The body of a refusal, which WS_SMALL does not explain. */
static const char *forbidden(const char *explained) { return TEST_SMALL ? "Forbidden" : explained; }

static void test_rebinding(void) {
    peer *p;
    if (!test_begin("a page after DNS rebinding has the same origin, unless hosts refuses its name"))
        return;
    CHECK(start(NULL, NULL));
    CHECK_EQ(peer_status(ask("GET /", "evil.example:8000", UPGRADE REBOUND)), 101);
    NET_END();
    CHECK(start(NULL, "127.0.0.1, localhost"));
    p = ask("GET /", "evil.example:8000", UPGRADE REBOUND);
    CHECK_EQ(peer_status(p), 403);
    CHECK_BODY(p, forbidden("Forbidden: the Host evil.example:8000 is not in .hosts"));
    CHECK(TEST_SMALL || peer_has(p, "\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n"));
    CHECK_EQ(peer_status(ask("GET /", "localhost:8000", UPGRADE "Origin: http://localhost:8000\r\n")), 101);
    CHECK_EQ(peer_status(ask("GET /", "localhost:8000", UPGRADE REBOUND)), 403);
    /* RFC 9112 3.2.2: of an absolute target the authority counts, and Host is ignored */
    CHECK_EQ(peer_status(ask("GET http://evil.example/page", "localhost", "")), 403);
    CHECK_EQ(peer_status(ask("GET http://localhost/page", "evil.example", "")), 200);
    NET_END();
}

/* A server over TLS knows the port that a Host without one means. */
static void test_secure_hosts(void) {
    static const struct { const char *list, *host; bool plain, secure; } cases[] = {
        {"a:80", "a", true, false}, {"a:443", "a", true, true}, {"a:443", "a:443", true, true},
        {"a:80", "a:80", true, true},
        {"a", "a:443", true, true}, {"a:444", "a", false, false}};
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        wsi_request request;
        wsi_why why;
        if (!test_begin("hosts %s, Host %s: TLS or not", cases[i].list, cases[i].host))
            continue;
        memset(&request, 0, sizeof request);
        request.host = wsi_text_z(cases[i].host);
        CHECK_EQ(wsi_server_knows_host(&request, cases[i].list, false, &why), cases[i].plain);
        CHECK_EQ(wsi_server_knows_host(&request, cases[i].list, true, &why), cases[i].secure);
    }
}

/* The error text quotes the invalid element, and shows valid ones. */
static void test_list_sentences(void) {
    static const struct { const char *origins, *hosts, *wrong; } cases[] = {
        {"a.example", NULL, "a.example"}, {"https://a, b.example:8443", NULL, "b.example:8443"},
        {"https://a/b", NULL, "https://a/b"}, {"http://a?b", NULL, "http://a?b"}, {"https://a//", NULL, "https://a//"},
        {"ws://a:80", NULL, "ws://a:80"}, {"https://a *", NULL, "*"}, {"https://u@a", NULL, "https://u@a"},
        {"https://a|https://b", NULL, "https://a|https://b"}, {"/", NULL, "/"}, {",", NULL, ","}, {" ; ", NULL, " ; "},
        {NULL, "a, https://b.example/x", "https://b.example/x"}, {NULL, "a, *.example", "*.example"},
        {NULL, "a:", "a:"}, {NULL, "", ""}, {NULL, ",", ","}};
    char says[200], handler_says[220];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(says, sizeof says, "%s: \"%s\" is not %s; write %s", cases[i].hosts ? "hosts" : "origins",
                       cases[i].wrong, cases[i].hosts ? "a host" : "an origin",
                       cases[i].hosts ? "a.example or a.example:8000"
                                      : "https://a.example or https://*.a.example:8443, or * alone");
        if (!test_begin("%s", says))
            continue;
        CHECK(!start(cases[i].origins, cases[i].hosts));
        CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL(says));
        NET_END();
        if (cases[i].hosts)
            continue;
        CHECK(start(NULL, NULL));
        CHECK(!ws_http_from(net.server, cases[i].origins, "POST", "/x", answer, NULL));
        (void)snprintf(handler_says, sizeof handler_says, "handler of /x: %s", says);
        CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL(handler_says));
        NET_END();
    }
}

/* What people write for a list of origins, where only one thing can be meant. */
static void test_plain_lists(void) {
    static const struct { const char *list, *origin; int status; } cases[] = {
        {"https://a/", "https://a", 101}, {"https://a/, http://b/", "http://b", 101}, {"https://a/", "http://a", 403},
        {"https://a http://b", "http://b", 101}, {"https://a;http://b:81; null", "http://b:81", 101},
        {"https://a\thttp://b", "https://a", 101}, {"https://a:443/", "https://a", 101},
        {"http://a:80", "http://a", 101}, {"https://a", "https://a:443", 101},
        {"http://[::1]:80/", "http://[::1]", 101},
        {"file:// https://a", "file://", 101}, {"https://a ; https://b", "https://c", 403}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char more[200];
        if (!test_begin("origins \"%s\", a page of %s", cases[i].list, cases[i].origin))
            continue;
        CHECK(start(cases[i].list, NULL));
        (void)snprintf(more, sizeof more, UPGRADE "Origin: %s\r\n", cases[i].origin);
        CHECK_EQ(peer_status(ask("GET /", "x", more)), cases[i].status);
        NET_END();
    }
}

/* A star matches a subdomain, at any depth, and nothing else. */
static void test_wildcards(void) {
    static const struct { const char *origin; int status; } cases[] = {
        {"https://a.example.com", 101}, {"https://b.a.example.com", 101}, {"https://A.EXAMPLE.com:443", 101},
        {"https://example.com", 403}, {"https://evilexample.com", 403}, {"https://.example.com", 403},
        {"https://a.example.com.evil.com", 403}, {"https://evil.com/a.example.com", 403}, {"http://a.example.com", 403},
        {"https://a.example.com:8443", 403}, {"https://a@b.example.com", 403}, {"https://a.example.com.", 403},
        {"http://x.b.example:8080", 101}, {"http://x.b.example", 403}, {"http://b.example:8080", 403},
        {"http://b.example", 101}, {"null", 403}, {"https://a.example.com@evil.com", 403}, {"a.example.com", 403}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char more[200];
        if (!test_begin("origins with a star, a page of %s", cases[i].origin))
            continue;
        CHECK(start("https://*.example.com, http://*.B.example:8080, http://b.example", NULL));
        (void)snprintf(more, sizeof more, UPGRADE "Origin: %s\r\n", cases[i].origin);
        CHECK_EQ(peer_status(ask("GET /", "x", more)), cases[i].status);
        NET_END();
    }
}

static void test_bad_lists(void) {
    static const char *const hosts[] = {"", " ", ",", "*", "*.example", "http://a.example", "a.example/", "a b", "a:",
        "a:0", "a:65536", "a:x", "[::1", "::1", ":80", "a@b", "a, *", "a, b c"};
    static const char *const lists[] = {" ", ",", "a.example", "https://", "https://a//", "https://a/b",
        "https://*", "https://*.", "https://*:443", "https://*a", "https://*a.b", "https://a.*", "https://*.*.a",
        "https://*..a", "https://*.a*", "*://a", "*.a", "https://a.*.b", "https://*.a:*", "https://a, *",
        "*, https://a", "wss://a", "ws://a:80", "https://a|https://b", "https://u@a", "https://a:x", "https://a:65536",
        "//a", "https:a", "NULL", "https://a?b", "https://a#b"};
    static const char *const good[] = {NULL, "", "*", "null", "https://a", "HTTPS://A:8443, http://b , null", "file://",
        "chrome-extension://abcdefghijklmnop", "capacitor://localhost", "https://*.a", "https://a.b, http://*.a.b:81",
        "http://[::1]:80, http://127.0.0.1"};
    ws_engine_config config;
    ws_engine engine;
    size_t i;
    for (i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        if (!test_begin("hosts '%s' is invalid", hosts[i]))
            continue;
        CHECK(!start(NULL, hosts[i]));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
        CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL("hosts: ")));
        NET_END();
    }
    memset(&config, 0, sizeof config);
    for (i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (!test_begin("origins '%s' is invalid", lists[i]))
            continue;
        CHECK(!start(lists[i], NULL));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
        CHECK(strstr(ws_loop_error_text(net.loop), NET_DETAIL("origins: ")));
        NET_END();
        CHECK(start(NULL, NULL));
        CHECK(!ws_http_from(net.server, lists[i], "POST", "/", answer, NULL));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_ARGUMENT);
        NET_END();
        config.origins = lists[i];
        CHECK(!ws_engine_init(&engine, &config));
        ws_engine_free(&engine);
    }
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        if (!test_begin("origins '%s' is valid", good[i] ? good[i] : "NULL"))
            continue;
        CHECK(start(good[i], NULL));
        NET_END();
        config.origins = good[i];
        CHECK(ws_engine_init(&engine, &config));
        ws_engine_free(&engine);
    }
}

#define CROSS "Sec-Fetch-Site: cross-site\r\n"
#define SAME_SITE "Sec-Fetch-Site: same-site\r\n"
#define SAME "Sec-Fetch-Site: same-origin\r\n"
#define NONE "Sec-Fetch-Site: none\r\n"

/* A form of another site's page is sent with the user's cookies, and needs no permission. */
static void test_handlers(void) {
    static const char forms[] = "Content-Type: application/x-www-form-urlencoded\r\n";
    static const struct { const char *origins, *path, *more; int status; } cases[] = {
        {NULL, "/own", "", 200}, /* no browser */
        {NULL, "/own", "Origin: http://a\r\n", 200}, {NULL, "/own", "Origin: https://a\r\n", 200}, /* TLS at a proxy */
        {NULL, "/own", "Origin: http://a:80\r\n", 200}, {NULL, "/own", "Origin: http://a\r\n" CROSS, 200},
        {NULL, "/own", "Origin: http://evil.example\r\n", 403}, {NULL, "/own", "Origin: http://a:81\r\n", 403},
        {NULL, "/own", "Origin: http://evil.example\r\n" SAME, 403}, {NULL, "/own", "Origin: \r\n", 403},
        {NULL, "/own", CROSS, 403}, {NULL, "/own", SAME_SITE, 403}, {NULL, "/own", "Sec-Fetch-Site: x\r\n", 403},
        {NULL, "/own", "Sec-Fetch-Site: \r\n", 403}, {NULL, "/own", SAME, 200}, {NULL, "/own", NONE, 200},
        {NULL, "/own", "Origin: null\r\n", 403}, {NULL, "/own", "Origin: null\r\n" CROSS, 403},
        {NULL, "/own", "Origin: null\r\n" NONE, 403},
        {NULL, "/own", "Origin: null\r\n" SAME, 200}, /* with Referrer-Policy: no-referrer (Fetch, "request Origin") */
        {"http://b", "/own", "Origin: http://b:80\r\n", 200}, {"http://b", "/own", "Origin: http://a\r\n", 403},
        {"http://b", "/own", CROSS, 403}, {"http://b, null", "/own", "Origin: null\r\n" CROSS, 200},
        {"*", "/own", "Origin: http://evil.example\r\n", 200}, {"*", "/own", CROSS, 200},
        {NULL, "/any", "Origin: http://evil.example\r\n", 200}, {NULL, "/any", CROSS, 200},
        {NULL, "/pay", "Origin: https://pay.example\r\n" CROSS, 200},
        {NULL, "/pay", "Origin: http://pay.example\r\n", 403},
        {NULL, "/pay", "Origin: http://a\r\n", 403}, {NULL, "/pay", CROSS, 403}, {NULL, "/pay", "", 200},
        {"*", "/pay", "Origin: http://evil.example\r\n", 403},
    };
    static const struct { const char *method; int status; } methods[] = {
        {"GET", 200}, {"HEAD", 200}, {"OPTIONS", 200}, {"POST", 403}, {"PUT", 403}, {"PATCH", 403}, {"DELETE", 403}};
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        char more[300];
        if (!test_begin("origins %s: POST %s, %s: %d", cases[i].origins ? cases[i].origins : "same", cases[i].path,
                        cases[i].more, cases[i].status))
            continue;
        CHECK(start(cases[i].origins, NULL));
        (void)snprintf(more, sizeof more, "%s%sContent-Length: 3\r\n\r\na=b", cases[i].more, forms);
        { /* with a body */
            char text[500];
            peer *p = net_connect();
            (void)snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: a\r\n%s", cases[i].path, more);
            peer_text(p, text);
            CHECK_EQ(peer_status(p), cases[i].status);
        }
        CHECK_EQ(called, cases[i].status == 200);
        NET_END();
    }
    for (i = 0; i < sizeof methods / sizeof *methods; i++) {
        char line[60];
        if (!test_begin("%s of another site's page: %d", methods[i].method, methods[i].status))
            continue;
        CHECK(start(NULL, NULL));
        (void)snprintf(line, sizeof line, "%s /own", methods[i].method);
        CHECK_EQ(peer_status(ask(line, "a", "Origin: http://evil.example\r\n")), methods[i].status);
        CHECK_EQ(peer_status(ask(line, "a", CROSS)), methods[i].status);
        CHECK_EQ(called, methods[i].status == 200 ? 2 : 0);
        NET_END();
    }
}

/* What was compared, and nothing from the peer that could be more than text. */
static void test_says(void) {
    char origin[200], line[300], wanted[300];
    peer *p;
    if (!test_begin("a 403 says what was compared"))
        return;
    CHECK(start(NULL, NULL));
    CHECK_BODY(ask("GET /", "a:8443", UPGRADE "Origin: https://evil.example\r\n"),
               forbidden("Forbidden: the Origin https://evil.example is not in .origins, nor http(s):// with the Host "
                         "a:8443"));
    CHECK_BODY(ask("POST /own", "a", CROSS),
               forbidden("Forbidden: Sec-Fetch-Site is cross-site: the page is another site's"));
    CHECK_BODY(ask("POST /pay", "a", "Origin: http://a\r\n"),
               forbidden("Forbidden: the Origin http://a is not in .origins"));
    CHECK_BODY(ask("POST /own", "a", "Origin: <b ~>\xc3\xa9\xff\r\n"),
               forbidden("Forbidden: the Origin <b ~>??? is not in .origins, nor http(s):// with the Host a"));
    memset(origin, 'x', sizeof origin);
    origin[sizeof origin - 1] = 0;
    (void)snprintf(line, sizeof line, "Origin: %s\r\n", origin);
    (void)snprintf(wanted, sizeof wanted,
                   "Forbidden: the Origin %.90s is not in .origins, nor http(s):// with the Host a", origin);
    p = ask("POST /own", "a", line);
    CHECK_BODY(p, forbidden(wanted));
    CHECK(p->ended);
    NET_END();
}

/* A proxy that strips the port from Host: the browser's origin has it, so the config must. */
static void test_public_origin(void) {
    if (!test_begin("the public origin of a proxy that hides its port must be in the list"))
        return;
    CHECK(start(NULL, NULL));
    CHECK_EQ(peer_status(ask("GET /", "a", UPGRADE "Origin: https://a:8443\r\n")), 403);
    NET_END();
    CHECK(start("https://a:8443", "a"));
    CHECK_EQ(peer_status(ask("GET /", "a", UPGRADE "Origin: https://a:8443\r\n")), 101);
    CHECK_EQ(peer_status(ask("POST /own", "a", "Origin: https://a:8443\r\n")), 200);
    CHECK_EQ(peer_status(ask("GET /", "a", UPGRADE "Origin: https://a\r\n")), 403);
    NET_END();
}

int main(int argc, char **argv) {
    test_start_in_tree(argc, argv);
    test_hosts();
    test_rebinding();
    test_secure_hosts();
    test_list_sentences();
    test_plain_lists();
    test_wildcards();
    test_bad_lists();
    test_handlers();
    test_says();
    test_public_origin();
    return test_finish();
}
