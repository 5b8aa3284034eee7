/* CLIENT, URL: valid and invalid URLs, and that nothing breaks out of its line of the request. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

static bool same_nocase(const char *a, const char *b) {
    while (*a && (*a >= 'A' && *a <= 'Z' ? *a + 32 : *a) == (*b >= 'A' && *b <= 'Z' ? *b + 32 : *b))
        a++, b++;
    return !*a && !*b;
}

/* --- URLs --- */

/* Dialed through a proxy: CONNECT shows host and port, the first byte in the tunnel shows whether TLS begins,
   and the request shows the target and Host. */
static const struct {
    const char *url, *connect, *target; /* target NULL: TLS */
    const char *host;                   /* NULL: as in connect, without a default port */
} good_urls[] = {
    {"ws://example.com", "example.com:80", "/", "example.com"},
    {"ws://example.com/", "example.com:80", "/", "example.com"},
    {"ws://example.com/chat", "example.com:80", "/chat", "example.com"},
    {"ws://example.com:8080", "example.com:8080", "/", "example.com:8080"},
    {"ws://example.com:8080/a/b/c", "example.com:8080", "/a/b/c", "example.com:8080"},
    {"ws://example.com:80/", "example.com:80", "/", "example.com"},
    {"ws://example.com:/", "example.com:80", "/", "example.com"},
    {"ws://example.com:1/", "example.com:1", "/", "example.com:1"},
    {"ws://example.com:65535/", "example.com:65535", "/", "example.com:65535"},
    {"ws://example.com:443/", "example.com:443", "/", "example.com:443"},
    {"ws://example.com:0081/", "example.com:81", "/", "example.com:81"},
    {"ws://example.com?", "example.com:80", "/?", "example.com"},
    {"ws://example.com?a=b", "example.com:80", "/?a=b", "example.com"},
    {"ws://example.com/?", "example.com:80", "/?", "example.com"},
    {"ws://example.com/?a=b&c=d", "example.com:80", "/?a=b&c=d", "example.com"},
    {"ws://example.com/a?b?c/d", "example.com:80", "/a?b?c/d", "example.com"},
    {"ws://example.com/a?b=ws://other/", "example.com:80", "/a?b=ws://other/", "example.com"},
    {"ws://example.com/a%20b", "example.com:80", "/a%20b", "example.com"},
    {"ws://example.com/a%2fb%2Fc", "example.com:80", "/a%2fb%2Fc", "example.com"},
    {"ws://example.com/%41?%42=%63", "example.com:80", "/%41?%42=%63", "example.com"},
    {"ws://example.com/%C3%A9", "example.com:80", "/%C3%A9", "example.com"},
    {"ws://example.com/%0d%0aX:%20y", "example.com:80", "/%0d%0aX:%20y", "example.com"},
    {"ws://example.com//double//", "example.com:80", "//double//", "example.com"},
    {"ws://example.com/;a=1,b!$&'()*+:@-._~", "example.com:80", "/;a=1,b!$&'()*+:@-._~", "example.com"},
    /* dot segments: RFC 3986 5.2.4, and an escaped dot is a dot (6.2.2.2, as in browsers) */
    {"ws://example.com/a/../b", "example.com:80", "/b", "example.com"},
    {"ws://example.com/a/./b/.", "example.com:80", "/a/b/", "example.com"},
    {"ws://example.com/..", "example.com:80", "/", "example.com"},
    {"ws://example.com/../../a/b/..?q=/../x", "example.com:80", "/a/?q=/../x", "example.com"},
    {"ws://example.com/a/%2e%2E/b", "example.com:80", "/b", "example.com"},
    {"ws://example.com/a/.%2e/b/%2e/c", "example.com:80", "/b/c", "example.com"},
    {"ws://example.com:81/a/b/..", "example.com:81", "/a/", "example.com:81"},
    {"ws://example.com/.../a./.b/..c/%2f..", "example.com:80", "/.../a./.b/..c/%2f..", "example.com"},
    {"ws://example.com/%2e%2e%2e/%2ea/%252e", "example.com:80", "/%2e%2e%2e/%2ea/%252e", "example.com"},
    {"ws://example.com?/a/../b", "example.com:80", "/?/a/../b", "example.com"},
    {"ws://example.com/user@host:80", "example.com:80", "/user@host:80", "example.com"},
    {"ws://example.com?user@host", "example.com:80", "/?user@host", "example.com"},
    {"ws://example.com./", "example.com.:80", "/", "example.com."},
    {"ws://ex-ample.com/", "ex-ample.com:80", "/", "ex-ample.com"},
    {"ws://ex_ample.com/", "ex_ample.com:80", "/", "ex_ample.com"},
    {"ws://xn--bcher-kva.example/", "xn--bcher-kva.example:80", "/", "xn--bcher-kva.example"},
    {"ws://a/", "a:80", "/", "a"},
    {"ws://localhost/", "localhost:80", "/", "localhost"},
    {"ws://EXAMPLE.com/", "example.com:80", "/", "example.com"},
    {"ws://127.0.0.1/", "127.0.0.1:80", "/", "127.0.0.1"},
    {"ws://192.0.2.7:81/x", "192.0.2.7:81", "/x", "192.0.2.7:81"},
    {"ws://[::1]/", "[::1]:80", "/", "[::1]"},
    {"ws://[::1]:80/", "[::1]:80", "/", "[::1]"},
    {"ws://[::1]:9001/x", "[::1]:9001", "/x", "[::1]:9001"},
    {"ws://[::]:9001", "[::]:9001", "/", "[::]:9001"},
    {"ws://[2001:db8::7]?q", "[2001:db8::7]:80", "/?q", "[2001:db8::7]"},
    {"ws://[2001:DB8:0:0:0:0:0:7]/", "[2001:db8:0:0:0:0:0:7]:80", "/", "[2001:db8:0:0:0:0:0:7]"},
    {"ws://[::ffff:192.0.2.1]/", "[::ffff:192.0.2.1]:80", "/", "[::ffff:192.0.2.1]"},
    {"ws://user@example.com/", "example.com:80", "/", "example.com"},
    {"ws://user:password@example.com:81/", "example.com:81", "/", "example.com:81"},
    {"ws://user:pass%40word@[::1]:81/", "[::1]:81", "/", "[::1]:81"},
    {"ws://@example.com/", "example.com:80", "/", "example.com"},
    {"WS://example.com/", "example.com:80", "/", "example.com"},
    {"Ws://example.com/", "example.com:80", "/", "example.com"},
    {"http://example.com/", "example.com:80", "/", "example.com"},
    {"HTTP://example.com:81/", "example.com:81", "/", "example.com:81"},
    {"wss://example.com/", "example.com:443", NULL, NULL},
    {"wss://example.com", "example.com:443", NULL, NULL},
    {"wss://example.com:/", "example.com:443", NULL, NULL},
    {"wss://example.com:443/", "example.com:443", NULL, NULL},
    {"wss://example.com:80/", "example.com:80", NULL, NULL},
    {"wss://[::1]/", "[::1]:443", NULL, NULL},
    {"wss://user@192.0.2.1?x", "192.0.2.1:443", NULL, NULL},
    {"https://example.com/", "example.com:443", NULL, NULL},
    {"WsS://example.com:444", "example.com:444", NULL, NULL},
    {"HTTPS://example.com:444", "example.com:444", NULL, NULL}};

static void test_good_urls(void) {
    size_t i;
    for (i = 0; i < COUNT(good_urls); i++) {
        ws_client_config config;
        char asked[300], wanted[300];
        raw_server *raw;
        peer *p;
        if (!test_begin("URL %s", good_urls[i].url))
            continue;
        client_start(NULL);
        raw = raw_listen();
        client_proxied(&config, raw);
        (void)client_dial(good_urls[i].url, &config);
#if defined(WS_NO_TLS)
        if (!good_urls[i].target) {
            CHECK(raw_nobody(raw));
            CHECK_EQ(client.error, WS_ERROR_NO_TLS);
            CHECK_WHY("WS_NO_TLS");
            CLIENT_END();
            continue;
        }
#endif
        p = let_through(raw, asked, sizeof asked);
        (void)snprintf(wanted, sizeof wanted, "CONNECT %s HTTP/1.1", good_urls[i].connect);
        CHECK(same_nocase(asked, wanted));
        if (good_urls[i].target) {
            const char *head = raw_head(p);
            (void)snprintf(wanted, sizeof wanted, "GET %s HTTP/1.1\r\n", good_urls[i].target);
            CHECK(strncmp(head, wanted, strlen(wanted)) == 0);
            CHECK(raw_header(head, "Host") && same_nocase(raw_header(head, "Host"), good_urls[i].host));
        } else {
            CHECK(peer_wait(p, 3) && p->in.data[0] == 0x16 && p->in.data[1] == 3); /* a TLS handshake record */
        }
        CHECK_EQ(client.errors, 0);
        CLIENT_END();
    }
}

static const char *const bad_urls[] = {
    "", " ", "/", "?", "example.com", "example.com:80", "//example.com/", "/path", "ws", "ws:", "ws:/", "ws://",
    "ws:example.com", "ws:/example.com", "ws:///", "ws:///path", "ws://:80/", "ws://?x", "://example.com/",
    "ws//example.com", "ws:\\\\example.com\\", "ws://user@", "ws://user@/", "ws://@/", "ws://@:80/", "ws://user:p@:80/",
    "ftp://example.com/", "file:///etc/passwd", "wsx://example.com/", "w://example.com/", "wss+x://example.com/",
    "javascript:x", "unix:///run/x", "1ws://example.com/", " ws://example.com/", "ws ://example.com/",
    "ws: //example.com/", "ws://.example.com/", "ws://./", "http://.",
    /* fragments: RFC 6455 3 */
    "ws://example.com#", "ws://example.com/#", "ws://example.com/#a", "ws://example.com/?a#b", "ws://example.com#/a",
    /* characters that no URL may contain */
    "ws://example.com/ ", "ws://example.com ", "ws://exa mple.com/", "ws://example.com/a b", "ws://example.com/?a b",
    "ws://us er@example.com/", "ws://example.com/\ta", "ws://example.com/\n", "ws://example.com/\r",
    "ws://example.com/\r\nX: y", "ws://example.com\r\n/", "ws://exam\rple.com/", "ws://user\n:x@example.com/",
    "\r\nws://example.com/", "ws://example.com/ HTTP/1.1\r\nX: y\r\n\r\n", "ws://example.com/\x01",
    "ws://example.com/\x1f",
    "ws://example.com/\x7f", "ws://example.com\x7f/", "ws://ex\x01/", "ws://example.com/\x80",
    "ws://example.com/caf\xc3\xa9", "ws://caf\xc3\xa9.example/", "ws://\xff/", "ws://example.com/?\xe2\x82\xac",
    "ws://example.com\\x/", "ws://ex\"ample.com/", "ws://<example.com>/", "ws://example.com|x/", "ws://{example}/",
    "ws://ex^ample.com/",
    /* ports */
    "ws://example.com:0/", "ws://example.com:00/", "ws://example.com:65536/", "ws://example.com:99999/",
    "ws://example.com:-1/", "ws://example.com:+80/", "ws://example.com:8a/", "ws://example.com:80:80/",
    "ws://example.com: 80/", "ws://example.com:80 /", "ws://example.com:0x50/", "ws://example.com:4294967376/",
    "ws://example.com:18446744073709551696/", "ws://example.com::80/", "ws://example.com:%38%30/",
    /* IPv6 */
    "ws://[::1", "ws://[::1/", "ws://::1/", "ws://2001:db8::7/", "ws://[]/", "ws://[]:80/", "ws://[::1]x/",
    "ws://[::1]80/",
    "ws://[::1]]/", "ws://[[::1]]/", "ws://x[::1]/", "ws://[:::1]/", "ws://[:]/", "ws://[1:2:3:4:5:6:7]/",
    "ws://[1:2:3:4:5:6:7:8:9]/", "ws://[1::2::3]/", "ws://[12345::]/", "ws://[g::1]/", "ws://[127.0.0.1]/",
    "ws://[example.com]/", "ws://[::1.2.3]/", "ws://[::256.1.1.1]/", "ws://[::1]:0/", "ws://[::1]:65536/",
    "ws://[::1 ]/",
    "ws://[::1\r\n]/",
    /* percent signs */
    "ws://example.com/%", "ws://example.com/%4", "ws://example.com/%zz", "ws://example.com/%4g", "ws://example.com/%%",
    "ws://example.com/?%", "ws://example.com/?%x1", "ws://example.com/% 41", "ws://ex%ample.com/", "ws://%/",
    /* user and password */
    "ws://us%er@example.com/", "ws://us%4@example.com/", "ws://us%zz:x@example.com/", "ws://u:p%@example.com/",
    "ws://u%00r:p@example.com/", "ws://u:p%00@example.com/", "ws://u%0d%0aX:p@example.com/", "ws://u:p%0a@example.com/",
    /* a user's name has no colon (RFC 7617 2) */
    "ws://us%3Aer:x@example.com/", "ws://us%3aer@example.com/", "ws://%3A:@example.com/",
    "ws://a@b@example.com/", "ws://a:b@c:d@example.com/", "ws://u[r:p@example.com/"};

static void check_bad_url(const char *url) {
    ws_client_config config;
    raw_server *raw;
    char log[16];
    client_start(NULL);
    raw = raw_listen();
    client_proxied(&config, raw);
    CHECK(client_dial(url, &config) != NULL);
    CHECK_EQ(client.errors, 0); /* never within ws_dial */
    CHECK(raw_nobody(raw));
    CHECK_EQ(client.errors, 1);
    CHECK_EQ(client.error, WS_ERROR_URL);
    CHECK(strlen(client.text) > 10);
    CHECK_EQ(client.status, 0);
    CHECK(ws_find(net.loop, client.id) == NULL);
    CHECK(strpbrk(client.text, "\r\n") == NULL); /* one line in a log */
    (void)snprintf(log, sizeof log, "e:%u", (unsigned)WS_ERROR_URL);
    CHECK_LOG(log);
    if (strstr(url, "%3A"))
        CHECK_WHY("colon");
    CLIENT_END();
}

static void test_bad_urls(void) {
    size_t i;
    for (i = 0; i < COUNT(bad_urls); i++)
        if (test_begin("bad URL %zu: %.60s", i, bad_urls[i]))
            check_bad_url(bad_urls[i]);
    if (test_begin("no URL: no connection")) {
        client_start(NULL);
        CHECK(client_dial(NULL, NULL) == NULL);
        CLIENT_END();
    }
}

/* Every byte in every place of a URL: no byte breaks out of the request. */
static void test_replaced_url(void) {
    static const char good[] = "ws://u:p@127.0.0.1:8/p?q=r";
    size_t at;
    for (at = 0; at + 1 < sizeof good; at++) {
        int value;
        if (!test_begin("every byte at place %zu of a URL", at))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        for (value = 1; value < 256; value++) {
            ws_client_config config;
            char url[sizeof good];
            unsigned errors = client.errors;
            int fd, round;
            memcpy(url, good, sizeof good);
            url[at] = (char)value;
            client_proxied(&config, raw);
            (void)client_dial(url, &config);
            for (round = 0, fd = -1; round < 20 && fd < 0 && client.errors == errors; round++) {
                (void)net_round(0);
                fd = accept(raw->fd, NULL, NULL);
            }
            CHECK((fd >= 0) != (client.errors > errors));
            if (fd >= 0) {
                peer *p = raw_peer(fd);
                const char *head = raw_head(p);
                CHECK(value > ' ' && value < 0x7f && value != '#');
                CHECK(strncmp(head, "CONNECT ", 8) == 0 && strstr(head, " HTTP/1.1\r\n") != NULL);
                CHECK(raw_header_count(head, "Host") == 1);
                peer_text(p, "HTTP/1.1 200 ok\r\n\r\n");
                for (round = 0; round < 4; round++)
                    (void)net_round(0);
                if (peer_has(p, "\r\n\r\n"))
                    CHECK(raw_lines(raw_head(p)) <= 8);
            } else {
                CHECK(client.error == WS_ERROR_URL || client.error == WS_ERROR_NO_TLS);
            }
            ws_drop(ws_find(net.loop, client.id));
            (void)net_round(0);
            raw_forget();
        }
        CLIENT_END();
    }
}

/* --- nothing breaks out of its line --- */

static const char *const bad_headers[] = {
    "X: a\r\nY: b", "X: a\nY: b", "X: a\rY: b", "X: a\r\n", "X: a\n", "\r\nX: a", "X\r\n: a", "X: a\r\n\r\n",
    "X: \x01", "X: a\x7f",
    "X: a\x1b[2J", "", "X", "nonsense", ":", ": a", " X: a", "X : a", "X y: a", "X\t: a", "X(y): a", "X\"y: a",
    "X/y: a", "\xc3\xa9: a",
    "Upgrade: websocket", "upgrade: h2c", "Connection: Upgrade", "CONNECTION: close",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-key: x", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8",
    "Sec-WebSocket-Extensions: permessage-deflate",
    "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Accept: x", "Content-Length: 0", "content-length: 5",
    "Transfer-Encoding: chunked"};

static const char *const bad_origins[] = {"https://a\r\nX: y", "https://a\n", "https://a\r", "a\x01", "a\x7f",
    "\r\n\r\n"};

static const char *const bad_subprotocols[] = {"chat\r\nX: y", "chat\n", "chat\r", "a b", "a, b c", "\"chat\"", "a;b",
    "a/b", "a\x01",
                                               "chat, chat", "a, b, a", "caf\xc3\xa9", "a,\r\n b", "(a)", "a=b", "{a}"};

static const char *const bad_proxies[] = {"", "127.0.0.1:3128", "http://", "http:///", "ftp://127.0.0.1:1/",
    "http://127.0.0.1:0",
                                          "http://127.0.0.1:65536", "http://a b:80", "http://a\r\nX: y:80",
                                          "http://u%0a:p@127.0.0.1:80",
                                          "http://u%zz:p@127.0.0.1:80", "http://127.0.0.1:80#x",
                                          "http://us%3Aer:p@127.0.0.1:80"};

/* Refused before anything is sent, with an error text. */
static void check_bad_config(const ws_client_config *config, ws_error error, const char *word) {
    raw_server *raw;
    client_start(NULL);
    raw = raw_listen();
    CHECK(client_dial_raw(raw, config) != NULL);
    CHECK(raw_nobody(raw));
    CHECK_EQ(client.errors, 1);
    CHECK_EQ(client.error, error);
    CHECK(strlen(client.text) > 10 && strpbrk(client.text, "\r\n") == NULL);
    if (word)
        CHECK_WHY(word);
    CHECK_EQ(net.opened, 0);
    CLIENT_END();
}

static void test_injection(void) {
    size_t i;
    for (i = 0; i < COUNT(bad_headers); i++) {
        ws_client_config config = client_config();
        const char *lines[] = {"X-Good: 1", NULL, NULL};
        if (!test_begin("invalid header of the program, %zu: %.40s", i, bad_headers[i]))
            continue;
        lines[1] = bad_headers[i];
        config.headers = lines;
        check_bad_config(&config, WS_ERROR_ARGUMENT, "line 2 of the headers");
    }
    for (i = 0; i < COUNT(bad_origins); i++) {
        ws_client_config config = client_config();
        if (!test_begin("origin that breaks its line, %zu", i))
            continue;
        config.origin = bad_origins[i];
        check_bad_config(&config, WS_ERROR_ARGUMENT, "origin");
    }
    for (i = 0; i < COUNT(bad_subprotocols); i++) {
        ws_client_config config = client_config();
        if (!test_begin("invalid subprotocols, %zu: %s", i, bad_subprotocols[i]))
            continue;
        config.subprotocols = bad_subprotocols[i];
        check_bad_config(&config, WS_ERROR_ARGUMENT,
                         i == 4 ? "subprotocols are distinct tokens: \"chat, superchat\", not \"b c\""
                                : "subprotocol");
    }
    for (i = 0; i < COUNT(bad_proxies); i++) {
        ws_client_config config = client_config();
        if (!test_begin("bad URL of a proxy, %zu: %s", i, bad_proxies[i]))
            continue;
        config.proxy = bad_proxies[i];
        check_bad_config(&config, WS_ERROR_URL, strncmp(bad_proxies[i], "http://", 7) == 0
                                                    ? "the proxy's URL"
                                                    : "the proxy's URL does not begin with http://; it looks like "
                                                      "http://user:password@host:3128");
        CHECK(!strstr(client.text, "zz:p@"));
    }
}

static void test_dial_nothing(void) {
    ws_handler handler = net_handler();
    ws_conn *conn;
    if (!test_begin("ws_dial without a loop or a handler; with a handler that has no functions"))
        return;
    client_start(NULL);
    CHECK(ws_dial(NULL, "ws://127.0.0.1/", &handler, NULL) == NULL);
    CHECK(ws_dial(net.loop, "ws://127.0.0.1/", NULL, NULL) == NULL);
    CHECK_STR(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_ARGUMENT, "ws_dial: handler is NULL"));
    CHECK(ws_dial(net.loop, NULL, &handler, NULL) == NULL);
    CHECK_STR(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_ARGUMENT, "ws_dial: url is NULL"));
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    raw_server *raw = raw_listen();
    memset(&handler, 0, sizeof handler);
    handler.user = raw;
    conn = ws_dial(net.loop, client_url(raw, "/"), &handler, NULL);
    CHECK(ws_user(conn) == raw && ws_conn_server(conn) == NULL && ws_conn_loop(conn) == net.loop);
    CHECK(ws_find(net.loop, ws_conn_id(conn)) == conn);
    CHECK(!ws_send_text(conn, "too soon") && ws_last_error(conn) == WS_ERROR_STATE);
    CHECK(!ws_ping(conn, NULL, 0));
    CHECK_STR(ws_subprotocol(conn), "");
    CHECK(ws_param(conn, "x") == NULL && !ws_join(conn, "room"));
    peer *p = raw_accept(raw);
    raw_answer(p, raw_head(p), NULL);
    net_settle();
    CHECK_EQ(ws_state(conn), WS_OPEN);
    peer_frames(p, "81\"x\" 89\"y\" 88<03e8>");
    CHECK_SENT(p, "8a\"y\" 88<03e8>");
    (void)ws_dial(net.loop, "nonsense", &handler, NULL);
    net_settle();
    CLIENT_END();
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_good_urls();
    test_bad_urls();
    test_replaced_url();
    test_injection();
    test_dial_nothing();
    return test_finish();
}
