/* CLIENT: the way to an open WebSocket. URLs, requests, answers, addresses, proxies, redirects. What
   comes behind is in test_client_life.c. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool same_nocase(const char *a, const char *b) {
    while (*a && (*a >= 'A' && *a <= 'Z' ? *a + 32 : *a) == (*b >= 'A' && *b <= 'Z' ? *b + 32 : *b))
        a++, b++;
    return !*a && !*b;
}

/* Whether the sentence of the newest on_error has this word, in any case. */
static bool says(const char *word) {
    const char *text;
    size_t i;
    for (text = client.text; *text; text++) {
        for (i = 0; word[i] && (text[i] | 32) == (word[i] | 32); i++) {}
        if (!word[i])
            return true;
    }
    return false;
}

#define CHECK_SAYS(word) \
    do { \
        if (!says(word) && test_failure(__FILE__, __LINE__, "the sentence says " #word)) \
            printf("    is \"%s\", should have \"%s\"\n", client.text, (word)); \
    } while (0)

/* --- the request --- */

static void test_request(void) {
    ws_client_config config = client_config();
    raw_server *raw;
    const char *head;
    char line[100];
    if (!test_begin("the request: nothing but what RFC 6455 4.1 wants"))
        return;
    config.no_user_agent = true;
    client_start(NULL);
    raw = raw_listen();
    CHECK(client_dial(client_url(raw, "/chat?a=b%20c&d=%41"), &config) != NULL);
    CHECK_EQ(ws_state(client.conn), WS_CONNECTING);
    head = raw_head(raw_accept(raw));
    CHECK(strncmp(head, "GET /chat?a=b%20c&d=%41 HTTP/1.1\r\n", 34) == 0);
    (void)snprintf(line, sizeof line, "Host: 127.0.0.1:%u", (unsigned)raw->port);
    CHECK(raw_has_line(head, line));
    CHECK(raw_has_line(head, "Upgrade: websocket"));
    CHECK(raw_has_line(head, "Connection: Upgrade"));
    CHECK(raw_has_line(head, "Sec-WebSocket-Version: 13"));
    CHECK_EQ(raw_header_count(head, "Sec-WebSocket-Key"), 1);
    CHECK_EQ(raw_lines(head), 6);
    CHECK_EQ(ws_status(client.conn), 0);
    CHECK(ws_header(client.conn, "Host") == NULL);
    CLIENT_END();

    if (!test_begin("the request: User-Agent, unless the program has its own or wants none"))
        return;
    client_start(NULL);
    raw = raw_listen();
    (void)client_dial_raw(raw, NULL);
    head = raw_head(raw_accept(raw));
    CHECK(raw_has_line(head, "User-Agent: ws.h/" WS_VERSION));
    CHECK_EQ(raw_lines(head), 7);
    CLIENT_END();

    if (!test_begin("the request: origin, own headers, subprotocols, a Host of one's own"))
        return;
    config = client_config();
    static const char *const lines[] = {"Host: other.example", "X-One: 1", "x-two:  a, b ", "Cookie: a=b; c=\"d\"",
                                        "User-Agent: me/1 (you)", "X-Empty:", NULL};
    client_start(NULL);
    raw = raw_listen();
    config.headers = lines;
    config.origin = "https://example.com:8443";
    config.subprotocols = "chat, superchat";
    (void)client_dial_raw(raw, &config);
    head = raw_head(raw_accept(raw));
    CHECK(raw_has_line(head, "Host: other.example"));
    CHECK_EQ(raw_header_count(head, "Host"), 1);
    CHECK(raw_has_line(head, "X-One: 1"));
    CHECK(raw_header(head, "X-Two") && strncmp(raw_header(head, "X-Two"), "a, b", 4) == 0);
    CHECK(raw_has_line(head, "Cookie: a=b; c=\"d\""));
    CHECK(raw_has_line(head, "User-Agent: me/1 (you)"));
    CHECK_EQ(raw_header_count(head, "User-Agent"), 1);
    CHECK(raw_header(head, "X-Empty") && !*raw_header(head, "X-Empty"));
    CHECK(raw_has_line(head, "Origin: https://example.com:8443"));
    CHECK(raw_has_line(head, "Sec-WebSocket-Protocol: chat, superchat"));
    CHECK_EQ(raw_lines(head), 13);
    CHECK(strncmp(strchr(head, '\n'), "\nHost: other.example\r\nX-One: 1\r\n", 32) == 0);
    CLIENT_END();

    if (!test_begin("the request: Host is the first field (RFC 9110 7.2), and there is one, whatever the program adds"))
        return;
    static const char *const behind[] = {"X-One: 1", "Cookie: a=b", NULL};
    static const char *const twice[] = {"X-One: 1", "host: a.example", "X-Two: 2", "HOST: b.example", NULL};
    client_start(NULL);
    raw = raw_listen();
    config = client_config();
    config.headers = behind;
    (void)client_dial_raw(raw, &config);
    head = raw_head(raw_accept(raw));
    (void)snprintf(line, sizeof line, "\nHost: 127.0.0.1:%u\r\nX-One: 1\r\nCookie: a=b\r\n", (unsigned)raw->port);
    CHECK(strncmp(strchr(head, '\n'), line, strlen(line)) == 0);
    CHECK_EQ(raw_header_count(head, "Host"), 1);
    config.headers = twice;
    (void)client_dial_raw(raw, &config);
    head = raw_head(raw_accept(raw));
    CHECK(strncmp(strchr(head, '\n'), "\nhost: a.example\r\nX-One: 1\r\nX-Two: 2\r\n", 38) == 0);
    CHECK_EQ(raw_header_count(head, "Host"), 1);
    CLIENT_END();

    config.headers = NULL;
    config.subprotocols = "chat, superchat";

    if (!test_begin("the request: the handler's subprotocols, unless the config has some"))
        return;
    ws_handler handler = client_handler();
    client_start(NULL);
    raw = raw_listen();
    handler.subprotocols = "one, two";
    CHECK(ws_dial(net.loop, client_url(raw, "/"), &handler, NULL) != NULL);
    CHECK(raw_has_line(raw_head(raw_accept(raw)), "Sec-WebSocket-Protocol: one, two"));
    CHECK(ws_dial(net.loop, client_url(raw, "/"), &handler, &config) != NULL);
    CHECK(raw_has_line(raw_head(raw_accept(raw)), "Sec-WebSocket-Protocol: chat, superchat"));
    CLIENT_END();
}

static void test_keys(void) {
    enum { KEYS = 200 };
    static char keys[KEYS][25];
    raw_server *raw;
    size_t i, k, same = 0;
    if (!test_begin("the request: the key is 16 random bytes, other ones each time"))
        return;
    client_start(NULL);
    raw = raw_listen();
    for (i = 0; i < KEYS; i++) {
        const char *key;
        (void)client_dial_raw(raw, NULL);
        key = raw_header(raw_head(raw_accept(raw)), "Sec-WebSocket-Key");
        CHECK(key && wsi_text_is_base64_16(wsi_text_z(key)));
        (void)snprintf(keys[i], sizeof keys[i], "%s", key ? key : "");
        for (k = 0; k < i; k++)
            same += strcmp(keys[i], keys[k]) == 0;
    }
    CHECK_EQ(same, 0);
    /* each of the 22 places takes many values: none of the bytes is fixed */
    for (i = 0; i < 21; i++) {
        size_t values = 0;
        for (k = 0; k < 64; k++) {
            size_t n = 0;
            while (n < KEYS && keys[n][i] != "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[k])
                n++;
            values += n < KEYS;
        }
        CHECK(values > 40);
    }
    CLIENT_END();
}

static const struct {
    const char *user, *value; /* in the URL; what base64 stands for it */
} credentials[] = {
    {"user:password", "dXNlcjpwYXNzd29yZA=="},
    {"Aladdin:open%20sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
    {"user", "dXNlcjo="},
    {"user:", "dXNlcjo="},
    {":secret", "OnNlY3JldA=="},
    {"a%40b:c%3Ad%2Fe", "YUBiOmM6ZC9l"},
    {"u:p:q", "dTpwOnE="},
    {"caf%C3%A9:%e2%82%ac", "Y2Fmw6k64oKs"},
    {"%75%73er:%25", "dXNlcjol"},
    {"a!$&'()*+,;=-._~:b", "YSEkJicoKSorLDs9LS5ffjpi"}};

static void test_credentials(void) {
    size_t i;
    for (i = 0; i < COUNT(credentials); i++) {
        char url[200], line[200];
        raw_server *raw;
        const char *head;
        if (!test_begin("the request: Basic credentials from %s@", credentials[i].user))
            continue;
        client_start(NULL);
        raw = raw_listen();
        (void)snprintf(url, sizeof url, "ws://%s@127.0.0.1:%u/x", credentials[i].user, (unsigned)raw->port);
        (void)client_dial(url, NULL);
        head = raw_head(raw_accept(raw));
        (void)snprintf(line, sizeof line, "Authorization: Basic %s", credentials[i].value);
        CHECK(raw_has_line(head, line));
        (void)snprintf(line, sizeof line, "Host: 127.0.0.1:%u", (unsigned)raw->port);
        CHECK(raw_has_line(head, line)); /* which says nothing of them */
        CHECK(strncmp(head, "GET /x HTTP/1.1\r\n", 17) == 0);
        CLIENT_END();
    }
    if (!test_begin("the request: credentials of 1,500 bytes"))
        return;
    static char url[4000];
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)snprintf(url, sizeof url, "ws://%01500d:%01500d@127.0.0.1:%u/", 0, 0, (unsigned)raw->port);
    (void)client_dial(url, NULL);
    const char *value = raw_header(raw_head(raw_accept(raw)), "Authorization");
    CHECK(value && strncmp(value, "Basic MDAwMDAw", 14) == 0 && strlen(value) >= 2999);
    CLIENT_END();
}

/* --- URLs --- */

/* Dialed through a proxy: what it is asked for shows host and port, the first byte behind the tunnel
   whether TLS begins there, and the request the target and Host. */
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

static void proxy_config(ws_client_config *config, const raw_server *raw) {
    static char proxy[60];
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)raw->port);
    *config = client_config();
    config->proxy = proxy;
}

/* Takes the CONNECT and lets it through. */
static peer *let_through(raw_server *raw, char *asked, size_t size) {
    peer *p = raw_accept(raw);
    const char *head = raw_head(p);
    (void)snprintf(asked, size, "%.*s", (int)strcspn(head, "\r"), head);
    peer_text(p, "HTTP/1.1 200 Connection established\r\n\r\n");
    net_settle();
    return p;
}

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
        proxy_config(&config, raw);
        (void)client_dial(good_urls[i].url, &config);
#if defined(WS_NO_TLS)
        if (!good_urls[i].target) {
            CHECK(raw_nobody(raw));
            CHECK_EQ(client.error, WS_ERROR_NO_TLS);
            CHECK_SAYS("WS_NO_TLS");
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
    "ws: //example.com/",
    /* fragments: RFC 6455 3 */
    "ws://example.com#", "ws://example.com/#", "ws://example.com/#a", "ws://example.com/?a#b", "ws://example.com#/a",
    /* what no URL may hold */
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
    client_start(NULL);
    raw = raw_listen();
    proxy_config(&config, raw);
    CHECK(client_dial(url, &config) != NULL);
    CHECK_EQ(client.errors, 0); /* never from inside ws_dial */
    CHECK(raw_nobody(raw));
    CHECK_EQ(client.errors, 1);
    CHECK_EQ(client.error, WS_ERROR_URL);
    CHECK(strlen(client.text) > 10);
    CHECK_EQ(client.status, 0);
    CHECK(ws_find(net.loop, client.id) == NULL);
    CHECK(strpbrk(client.text, "\r\n") == NULL); /* a log of it stays one line */
    CHECK_LOG("e:21");
    if (strstr(url, "%3A"))
        CHECK_SAYS("colon");
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
            proxy_config(&config, raw);
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

/* Refused before anything is sent, and with a sentence. */
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
        CHECK_SAYS(word);
    CHECK_EQ(net.opened, 0);
    CLIENT_END();
}

static void test_injection(void) {
    size_t i;
    for (i = 0; i < COUNT(bad_headers); i++) {
        ws_client_config config = client_config();
        const char *lines[] = {"X-Good: 1", NULL, NULL};
        if (!test_begin("own header that may not be, %zu: %.40s", i, bad_headers[i]))
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
        if (!test_begin("subprotocols that may not be offered, %zu: %s", i, bad_subprotocols[i]))
            continue;
        config.subprotocols = bad_subprotocols[i];
        check_bad_config(&config, WS_ERROR_ARGUMENT,
                         i == 4 ? "subprotocols are tokens, each once: \"chat, superchat\", not \"b c\""
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
    CHECK_STR(ws_loop_error_text(net.loop), "ws_dial: handler is NULL");
    CHECK(ws_dial(net.loop, NULL, &handler, NULL) == NULL);
    CHECK_STR(ws_loop_error_text(net.loop), "ws_dial: url is NULL");
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

/* --- answers that lie --- */

typedef struct answer_case {
    const char *name, *text; /* $ stands for the right Sec-WebSocket-Accept */
    ws_error error;          /* WS_OK: it opens */
    const char *word;        /* what the sentence names */
} answer_case;

static const answer_case answers[] = {
    {"a good answer", RAW_GOOD "\r\n", WS_OK, NULL},
    {"fields in another order", RAW_101 RAW_ACC RAW_CON RAW_UP "\r\n", WS_OK, NULL},
    {"names and values in other cases",
     RAW_101 "uPGRADE: WEBsocket\r\nconnection: upgrade\r\nSEC-websocket-ACCEPT: $\r\n\r\n", WS_OK, NULL},
    {"a Connection list", RAW_101 RAW_UP "Connection: keep-alive, Upgrade\r\n" RAW_ACC "\r\n", WS_OK, NULL},
    {"other fields, cookies", RAW_GOOD "Server: x\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nDate: now\r\n\r\n", WS_OK,
     NULL},
    {"no reason", "HTTP/1.1 101 \r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_OK, NULL},
    {"100 before 101", "HTTP/1.1 100 Continue\r\n\r\n" RAW_GOOD "\r\n", WS_OK, NULL},
    {"103 with fields before 101", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX: y\r\n\r\n" RAW_GOOD "\r\n", WS_OK,
     NULL},
    {"100, 102, 103 before 101", "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 102 b\r\n\r\nHTTP/1.1 103 c\r\n\r\n" RAW_GOOD "\r\n",
     WS_OK, NULL},

    {"no Upgrade", RAW_101 RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"two Upgrades", RAW_GOOD RAW_UP "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"another Upgrade", RAW_101 "Upgrade: h2c\r\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"Upgrade and more", RAW_101 "Upgrade: websocket, h2c\r\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"an empty Upgrade", RAW_101 "Upgrade:\r\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Upgrade"},
    {"no Connection", RAW_101 RAW_UP RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Connection"},
    {"another Connection", RAW_101 RAW_UP "Connection: close\r\n" RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Connection"},
    {"a longer word in Connection", RAW_101 RAW_UP "Connection: upgraded\r\n" RAW_ACC "\r\n", WS_ERROR_HANDSHAKE,
     "Connection"},
    {"no Accept", RAW_101 RAW_UP RAW_CON "\r\n", WS_ERROR_HANDSHAKE, "Sec-WebSocket-Accept"},
    {"nothing but the status", RAW_101 "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"two Accepts", RAW_GOOD RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "Sec-WebSocket-Accept"},
    {"a second Accept that is wrong", RAW_GOOD "Sec-WebSocket-Accept: x\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"a wrong Accept", RAW_101 RAW_UP RAW_CON "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"an empty Accept", RAW_101 RAW_UP RAW_CON "Sec-WebSocket-Accept:\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"Accept and one character more", RAW_101 RAW_UP RAW_CON "Sec-WebSocket-Accept: $=\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"a subprotocol that was not offered", RAW_GOOD "Sec-WebSocket-Protocol: other\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Protocol"},
    {"an offered subprotocol", RAW_GOOD "Sec-WebSocket-Protocol: superchat\r\n\r\n", WS_OK, NULL},
    {"a subprotocol in another case", RAW_GOOD "Sec-WebSocket-Protocol: Chat\r\n\r\n", WS_ERROR_HANDSHAKE, "Protocol"},
    {"two subprotocols in one line", RAW_GOOD "Sec-WebSocket-Protocol: chat, superchat\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Protocol"},
    {"two subprotocols in two lines",
     RAW_GOOD "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat\r\n\r\n",
     WS_ERROR_HANDSHAKE, "Protocol"},
    {"one subprotocol twice", RAW_GOOD "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
     WS_ERROR_HANDSHAKE, "Protocol"},
    {"an extension that was not offered", RAW_GOOD "Sec-WebSocket-Extensions: x-made-up\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Extensions"},
    /* RFC 9112 6.3: a 1xx ends with its head, whatever it says of a body */
    {"101 with a length of 0", RAW_GOOD "Content-Length: 0\r\n\r\n", WS_OK, NULL},
    {"101 with a length", RAW_GOOD "Content-Length: 5\r\n\r\n", WS_OK, NULL},
    {"101 in chunks", RAW_GOOD "Transfer-Encoding: chunked\r\n\r\n", WS_OK, NULL},
    {"100 with a length before 101", "HTTP/1.1 100 a\r\nContent-Length: 9\r\n\r\n" RAW_GOOD "\r\n", WS_OK, NULL},
    {"103 in chunks before 101", "HTTP/1.1 103 a\r\nTransfer-Encoding: chunked\r\n\r\n" RAW_GOOD "\r\n", WS_OK,
     NULL},

    {"HTTP/1.0", "HTTP/1.0 101 Switching Protocols\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"HTTP/2.0", "HTTP/2.0 101 Switching Protocols\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"HTTP/0.9", "HTTP/0.9 101 Switching Protocols\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"another protocol's greeting", "SSH-2.0-OpenSSH_9.2\r\n\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"a mail server's greeting", "220 mail.example ESMTP\r\n\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"a request as the answer", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", WS_ERROR_HANDSHAKE, "HTTP"},
    {"an empty head", "\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a status of four digits", "HTTP/1.1 1010 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a status of two digits", "HTTP/1.1 10 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"no status", "HTTP/1.1\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a status in letters", "HTTP/1.1 abc x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a negative status", "HTTP/1.1 -101 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"two spaces before the status", "HTTP/1.1  101 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    /* RFC 9112 5.2: a user agent reads a fold as spaces; 2.2: none may stand behind the status line */
    {"a folded line", RAW_GOOD "X: a\r\n b\r\n\r\n", WS_OK, NULL},
    {"folded handshake", RAW_101 "Upgrade:\r\n \t websocket\r\nConnection: close,\r\n\tUpgrade\r\n"
     "Sec-WebSocket-Accept:\r\n \r\n\t$\r\n \r\n\r\n", WS_OK, NULL},
    {"a folded line before 101", "HTTP/1.1 103 a\r\nX: a\r\n b: c\r\n\r\n" RAW_GOOD "\r\n", WS_OK, NULL},
    {"a fold inside Accept", RAW_101 RAW_UP RAW_CON "Sec-WebSocket-Accept: $\r\n =\r\n\r\n", WS_ERROR_HANDSHAKE,
     "Sec-WebSocket-Accept"},
    {"a fold behind the status line", RAW_101 " X: a\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE,
     "header"},
    {"a bare LF", RAW_101 "Upgrade: websocket\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"only LFs", "HTTP/1.1 101 x\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: $\n\n",
     WS_ERROR_HANDSHAKE, NULL},
    {"a bare CR", RAW_GOOD "X: a\rb\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a control character", RAW_GOOD "X: \x01\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a space before the colon", RAW_101 "Upgrade : websocket\r\n" RAW_CON RAW_ACC "\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a line without a colon", RAW_GOOD "what\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a line without a name", RAW_GOOD ": what\r\n\r\n", WS_ERROR_HANDSHAKE, NULL},
    {"a 204 that wants to be a 101", "HTTP/1.1 204 x\r\n" RAW_UP RAW_CON RAW_ACC "\r\n", WS_ERROR_REFUSED, "204"},
    {"a lie behind 100", "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n" RAW_UP RAW_CON RAW_ACC "\r\n",
     WS_ERROR_REFUSED, "200"}};

/* Answers in pieces of so many bytes; 0: at once. */
static void run_answer(const answer_case *c, size_t piece) {
    ws_client_config config = client_config();
    bytes out = {NULL, 0, 0};
    char host[40];
    raw_server *raw;
    const char *head;
    size_t i;
    peer *p;
    client_start(NULL);
    raw = raw_listen();
    config.subprotocols = "chat, superchat";
    (void)client_dial_raw(raw, &config);
    p = raw_accept(raw);
    head = raw_head(p);
    raw_fill(&out, head, c->text);
    for (i = 0; i < out.size; i += piece ? piece : out.size) {
        (void)peer_send(p, out.data + i, piece && piece < out.size - i ? piece : !piece ? out.size : out.size - i);
        if (piece)
            (void)net_round(0);
    }
    net_settle();
    (void)snprintf(host, sizeof host, "127.0.0.1:%u", (unsigned)raw->port);
    if (c->error) {
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, c->error);
        CHECK_EQ(net.opened, 0);
        CHECK(p->ended && p->in.size == 0); /* closed, and no close frame: there was no WebSocket */
        CHECK(strlen(client.text) > 10);
        if (c->word)
            CHECK_SAYS(c->word);
        CHECK(ws_find(net.loop, client.id) == NULL);
    } else {
        CHECK_EQ(client.errors, 0);
        CHECK_EQ(net.opened, 1);
        CHECK_EQ(ws_status(net.conns[1]), 101);
        peer_frames(p, "81\"hello\"");
        CHECK_SENT(p, "81\"hello\"");
    }
    bytes_free(&out);
    CLIENT_END();
}

static void test_answers(void) {
    size_t i;
    for (i = 0; i < COUNT(answers); i++)
        if (test_begin("answer: %s", answers[i].name)) {
            run_answer(&answers[i], 0);
            run_answer(&answers[i], 1);
            run_answer(&answers[i], 7);
        }
}

/* Missing, doubled and wrong are told apart, for each of the three headers, and so are the rest. */
static void test_own_sentences(void) {
    static const char *const names[] = {
        "no Upgrade", "another Upgrade", "no Connection", "another Connection", "no Accept", "two Accepts",
        "a wrong Accept",
        "a subprotocol that was not offered", "two subprotocols in two lines", "an extension that was not offered",
        "HTTP/1.0", "another protocol's greeting"};
    static char texts[COUNT(names)][800];
    size_t i, k;
    if (!test_begin("answers that lie: each lie has its own sentence"))
        return;
    for (i = 0; i < COUNT(names); i++) {
        for (k = 0; k < COUNT(answers) && strcmp(answers[k].name, names[i]) != 0; k++) {}
        CHECK(k < COUNT(answers));
        client.text[0] = 0;
        run_answer(&answers[k], 0);
        (void)snprintf(texts[i], sizeof texts[i], "%s", client.text);
        for (k = 0; k < i; k++) /* the ports in them differ: compare what stands in front */
            if (strcmp(texts[i], texts[k]) == 0 && test_failure(__FILE__, __LINE__, "two lies, one sentence"))
                printf("    %s, %s: \"%s\"\n", names[i], names[k], texts[i]);
    }
}

static const struct {
    int status;
    const char *reason;
} refusals[] = {{200, "OK"},          {204, "No Content"},   {304, "Not Modified"}, {400, "Bad Request"},
                {401, "Unauthorized"}, {403, "Forbidden"},    {404, "Not Found"},    {426, "Upgrade Required"},
                {429, "Slow Down"},   {500, "Internal Server Error"}, {503, "Service Unavailable"}, {599, ""}};

static char seen_header[100];
static bool seen_all;

static void look_at_refusal(ws_conn *conn) {
    const char *value = ws_header(conn, "x-WHY");
    (void)snprintf(seen_header, sizeof seen_header, "%s", value ? value : "absent");
    seen_all = ws_header(conn, "X-Absent") == NULL && ws_header(conn, NULL) == NULL && ws_header(conn, "") == NULL
               && ws_header(conn, "X-Empty") && !*ws_header(conn, "X-Empty") && ws_state(conn) != WS_OPEN
               && strcmp(ws_header(conn, "X-Twice") ? ws_header(conn, "X-Twice") : "", "1") == 0
               && strcmp(ws_header_at(conn, "x-twice", 1) ? ws_header_at(conn, "x-twice", 1) : "", "2") == 0
               && ws_header_at(conn, "X-Twice", 2) == NULL && ws_header_at(conn, "X-Twice", SIZE_MAX) == NULL
               && ws_header_at(conn, "X-Absent", 0) == NULL && ws_header_at(NULL, "X-Twice", 0) == NULL
               && strcmp(ws_header_at(conn, "X-Twice", 0), "1") == 0 && ws_header_at(conn, NULL, 1) == NULL;
}

static void test_refusals(void) {
    size_t i;
    for (i = 0; i < COUNT(refusals); i++) {
        bool bodiless = refusals[i].status == 204 || refusals[i].status == 304;
        char text[400], number[12];
        raw_server *raw;
        peer *p;
        if (!test_begin("refused with %d: status, headers and body can be read", refusals[i].status))
            continue;
        client_start(NULL);
        client.on_error = look_at_refusal;
        raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        p = raw_accept(raw);
        (void)raw_head(p);
        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 %d %s\r\nX-Why:  because of you \r\nX-Empty:\r\nX-Twice: 1\r\nX-Twice: 2\r\n%s\r\n%s",
                       refusals[i].status, refusals[i].reason, bodiless ? "" : "Content-Length: 8\r\n",
                           bodiless ? "" : "go away!");
        peer_text(p, text);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_EQ(client.status, refusals[i].status);
        CHECK_STR(client.body, bodiless ? "" : "go away!");
        CHECK_STR(seen_header, "because of you");
        CHECK(seen_all);
        (void)snprintf(number, sizeof number, "%d", refusals[i].status);
        CHECK_SAYS(number);
        CHECK_SAYS("127.0.0.1");
        CHECK(p->ended);
        CLIENT_END();
    }
}

#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

/* What ws_body gives is the body (RFC 9112 6.3), less its framing, as far as it has come. */
static const struct {
    const char *name, *text, *body;
    bool unfinished; /* the client waits for more, until the server ends the stream */
} bodies[] = {
    {"one chunk", "403 No\r\n" CHUNKED "8\r\ngo away!\r\n0\r\n\r\n", "go away!", false},
    {"three chunks, an extension, a trailer",
     "403 No\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\ngo \r\n4 ; c\r\naway\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
     "go away!", false},
    {"a chunk with line ends in it",
     "403 No\r\n" CHUNKED "00A\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n",
     "\r\n5\r\n0\r\n\r\n", false},
    {"no chunk", "403 No\r\n" CHUNKED "0\r\n\r\n", "", false},
    {"a chunk that has come in part", "403 No\r\n" CHUNKED "2\r\ngo\r\nFFFF\r\n away", "go away", true},
    {"a chunk's line in part", "403 No\r\n" CHUNKED "2\r\ngo\r\nFF", "go", true},
    {"chunks that end in nonsense", "403 No\r\n" CHUNKED "2\r\ngo\r\nzz\r\n away", "go", false},
    {"a chunk that is longer than it says", "403 No\r\n" CHUNKED "2\r\ngo away\r\n0\r\n\r\n", "go", false},
    {"chunks that are none", "403 No\r\n" CHUNKED "go away!", "", true},
    {"codings over two lines", "403 No\r\nTransfer-Encoding: x\r\n" CHUNKED "2\r\ngo\r\n0\r\n\r\n", "go", false},
    {"chunks and a length: chunks", "403 No\r\nContent-Length: 3\r\n" CHUNKED
     "2\r\ngo\r\n0\r\n\r\n",
     "go", false},
    {"another coding", "403 No\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n2\r\ngo", "2\r\ngo", true},
    {"a length, and more behind it", "403 No\r\nContent-Length: 2\r\n\r\ngo away!", "go", false},
    {"a length of 0", "403 No\r\nContent-Length: 0\r\n\r\ngo away!", "", false},
    {"no length", "403 No\r\n\r\ngo away!", "go away!", true},
    {"204 and bytes", "204 No\r\nContent-Length: 8\r\n\r\ngo away!", "", false},
    {"304 and chunks", "304 No\r\n" CHUNKED "2\r\ngo\r\n0\r\n\r\n", "", false}};

static void test_bodies(void) {
    size_t i;
    for (i = 0; i < COUNT(bodies); i++) {
        char text[400];
        if (!test_begin("a refusal's body: %s", bodies[i].name))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        (void)snprintf(text, sizeof text, "HTTP/1.1 %s", bodies[i].text);
        peer_text(p, text);
        net_settle();
        CHECK_EQ(client.errors, bodies[i].unfinished ? 0 : 1);
        if (bodies[i].unfinished)
            peer_close(p);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_SAYS("refused");
        CHECK_STR(client.body, bodies[i].body);
        CLIENT_END();
    }
}

/* Dials, and is refused with this text, which comes cut at every step bytes. */
static peer *refuse_in_pieces(const char *text, size_t step, const ws_client_config *config) {
    size_t size = strlen(text), at;
    client_start(NULL);
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, config);
    peer *p = raw_accept(raw);
    (void)raw_head(p);
    for (at = 0; at < size; at += step) {
        CHECK_EQ(client.errors, 0);
        (void)peer_send(p, text + at, size - at < step ? size - at : step);
        net_settle();
    }
    return p;
}

static size_t body_size;

static void measure_body(ws_conn *conn) { body_size = strlen(ws_body(conn)); }

static void test_bodies_in_pieces(void) {
    static const char length[] = "HTTP/1.1 403 No\r\nContent-Length: 8\r\n\r\ngo away!";
    static const char chunks[] = "HTTP/1.1 403 No\r\n" CHUNKED "3\r\ngo \r\n5\r\naway!\r\n0\r\n"; /* and trailers */
    static char text[80000];
    size_t step, limit;
    ws_client_config config = client_config();
    for (step = 1; step < 50; step += 7) {
        if (test_begin("a refusal's body in pieces of %u bytes: with a length, in chunks", (unsigned)step)) {
            (void)refuse_in_pieces(length, step, NULL);
            CHECK_EQ(client.error, WS_ERROR_REFUSED);
            CHECK_EQ(client.status, 403);
            CHECK_STR(client.body, "go away!");
            CLIENT_END();
            (void)refuse_in_pieces(chunks, step, NULL);
            CHECK_EQ(client.error, WS_ERROR_REFUSED);
            CHECK_STR(client.body, "go away!");
            CLIENT_END();
        }
    }
    for (limit = 1; limit <= 65536; limit *= 16) {
        if (!test_begin("a refusal's body is cut off at limits.body, %u bytes", (unsigned)limit))
            continue;
        config.limits.body = limit == 65536 ? 0 : limit;
        (void)snprintf(text, sizeof text, "HTTP/1.1 500 Oh\r\n\r\n");
        memset(text + strlen(text), 'x', limit - 1);
        text[19 + limit - 1] = 0;
        peer *p = refuse_in_pieces(text, 9000, &config);
        CHECK_EQ(client.errors, 0);
        client.on_error = measure_body;
        peer_text(p, "yz");
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_EQ(body_size, limit);
        CHECK(p->ended);
        CLIENT_END();
    }
    if (test_begin("the rest of a refusal's body does not come: handshake_ms ends the wait")) {
        (void)refuse_in_pieces("HTTP/1.1 403 No\r\nContent-Length: 99999999999\r\n\r\nthe first part", 9, NULL);
        net_wait(9999);
        CHECK_EQ(client.errors, 0);
        net_wait(1);
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_SAYS("403 No");
        CHECK_STR(client.body, "the first part");
        CLIENT_END();
    }
    if (test_begin("a client that is dropped or closed while a refusal's body comes")) {
        peer *p = refuse_in_pieces("HTTP/1.1 403 No\r\n\r\nthe first part", 9000, NULL);
        CHECK_EQ(ws_state(client.conn), WS_CONNECTING);
        (void)ws_close(client.conn, 1000, NULL);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_STR(client.body, "the first part");
        net_settle();
        CHECK(p->ended);
        CLIENT_END();
    }
    if (test_begin("a redirect is followed without its body, and a refusal behind it has its own")) {
        peer *p = refuse_in_pieces("HTTP/1.1 302 Go\r\nLocation: /b\r\nContent-Length: 50\r\n\r\nmoved", 9000, NULL);
        net_settle();
        CHECK(p->ended);
        peer *second = raw_accept(&client.servers[0]);
        CHECK(strncmp(raw_head(second), "GET /b ", 7) == 0);
        peer_text(second, "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nno");
        net_settle();
        CHECK_EQ(client.errors, 0);
        peer_text(second, "ne");
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_STR(client.body, "none");
        CLIENT_END();
    }
}

/* A program reads the answer after on_open too. */
static void test_answer_headers(void) {
    if (!test_begin("the answer's headers can be read while it is open"))
        return;
    client_start(NULL);
    ws_client_config config = client_config();
    config.subprotocols = "chat";
    raw_server *raw = raw_listen();
    (void)client_dial_raw(raw, &config);
    peer *p = raw_accept(raw);
    raw_answer(p, raw_head(p), "Set-Cookie: a=b\r\nSec-WebSocket-Protocol: chat\r\n");
    net_settle();
    CHECK_EQ(ws_status(net.conns[1]), 101);
    CHECK(ws_header(net.conns[1], "set-cookie") && strcmp(ws_header(net.conns[1], "set-cookie"), "a=b") == 0);
    CHECK_STR(ws_subprotocol(net.conns[1]), "chat");
    CHECK(ws_header(net.conns[1], "Upgrade") != NULL && ws_header(net.conns[1], "None") == NULL);
    CHECK(ws_header(NULL, "Upgrade") == NULL && ws_status(NULL) == 0);
    peer_frames(p, "81*60000 81*60000"); /* the head is not kept in a buffer that goes */
    net_settle();
    CHECK(ws_header(net.conns[1], "set-cookie") && strcmp(ws_header(net.conns[1], "set-cookie"), "a=b") == 0);
    CLIENT_END();
}

static void test_endless(void) {
    static const char *const parts[] = {"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
        "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        "\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue"};
    static const char *const names[] = {"fields", "one line", "heads of 1xx"};
    size_t i, n;
    for (i = 0; i < COUNT(parts); i++) {
        if (!test_begin("an answer of endless %s", names[i]))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        peer_text(p, i == 2 ? "HTTP/1.1 100 Continue" : RAW_101);
        for (n = 0; n < 20000 && !p->ended; n++) {
            peer_text(p, parts[i]);
            (void)net_round(0);
        }
        net_settle();
        CHECK(p->ended && n * strlen(parts[i]) < 300000);
        CHECK_EQ(client.errors, 1);
        CHECK(client.error == WS_ERROR_TOO_BIG || (i == 2 && client.error == WS_ERROR_HANDSHAKE));
        CHECK(net.memory.peak < 1 << 20);
        CLIENT_END();
    }
    if (!test_begin("an answer of exactly limits.head bytes, and one more"))
        return;
    for (i = 0; i < 2; i++) {
        ws_client_config config = client_config();
        char text[2000];
        client_start(NULL);
        raw_server *raw = raw_listen();
        config.limits.head = 1000;
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        const char *head = raw_head(p);
        size_t used = strlen(RAW_GOOD) - 1 + 28 + strlen("X: \r\n\r\n");
        (void)snprintf(text, sizeof text, RAW_GOOD "X: %0*d\r\n\r\n", (int)(1000 - used + i), 0);
        raw_reply(p, head, text);
        net_settle();
        CHECK_EQ(net.opened, i == 0);
        CHECK_EQ(client.error, i ? WS_ERROR_TOO_BIG : WS_OK);
        CLIENT_END();
    }
}

static void test_behind_the_head(void) {
    if (test_begin("frames in the same segment as the answer are kept")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        bytes out = {NULL, 0, 0};
        raw_fill(&out, raw_head(p), RAW_GOOD "\r\n");
        wire_write(&out, "81\"first\" 01\"sec\" 89\"x\" 80\"ond\" 82#3", false);
        (void)peer_send(p, out.data, out.size);
        bytes_free(&out);
        CHECK_SENT(p, "81\"first\" 8a\"x\" 81\"second\" 82#3");
        CHECK_LOG("o1 t1:first t1:second b1:3");
        CLIENT_END();
    }
    if (test_begin("a body behind the answer is no frame: 1002")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        raw_reply(p, raw_head(p), RAW_GOOD "\r\n<html>hello</html>");
        CHECK_SENT(p, "88<03ea>");
        peer_close(p);
        net_settle();
        CHECK_LOG("o1 c1:1002::n");
        CLIENT_END();
    }
    if (test_begin("a close frame right behind the answer")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        bytes out = {NULL, 0, 0};
        raw_fill(&out, raw_head(p), RAW_GOOD "\r\n");
        wire_write(&out, "88<0fa1>\"no\"", false);
        (void)peer_send(p, out.data, out.size);
        bytes_free(&out);
        CHECK_SENT(p, "88<0fa1>\"no\"");
        peer_close(p);
        net_settle();
        CHECK_LOG("o1 c1:4001:no:y");
        CLIENT_END();
    }
    if (test_begin("a masked frame from the server: 1002")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_open(raw);
        peer_frames(p, "81\"good\" !81\"bad\"");
        CHECK_SENT(p, "81\"good\" 88<03ea>");
        CHECK_LOG("o1 t1:good c1:1002::n");
        CLIENT_END();
    }
}

/* The stream ends, in order or not, at every byte of the answer. */
static void test_ends_in_the_head(void) {
    static const char text[] = RAW_GOOD "\r\n";
    size_t cut;
    if (!test_begin("the stream ends at every byte of the answer"))
        return;
    for (cut = 0; cut + 2 < sizeof text; cut++) {
        bytes out = {NULL, 0, 0};
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        raw_fill(&out, raw_head(p), text);
        (void)peer_send(p, out.data, cut);
        if (cut & 1)
            net_settle();
        if (cut % 3)
            peer_close(p);
        else
            peer_reset(p);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK(client.error == WS_ERROR_CLOSED || client.error == WS_ERROR_HANDSHAKE);
        CHECK_SAYS("127.0.0.1");
        CHECK_EQ(net.opened, 0);
        bytes_free(&out);
        CLIENT_END();
    }
}

static void test_silence(void) {
    if (test_begin("no answer: given up at the deadline of the handshake, which the sentence names with the host")) {
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        net_wait(9900);
        CHECK_EQ(client.errors, 0);
        net_wait(200);
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_TIMEOUT);
        CHECK_SAYS("127.0.0.1");
        CHECK(p->ended);
        CLIENT_END();
    }
    if (test_begin("an answer of one byte a second: given up at the deadline")) {
        static const char slow[] = RAW_101 "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";
        size_t i;
        client_start(NULL);
        ws_client_config config = client_config();
        config.limits.handshake_ms = 20000;
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        for (i = 0; i + 1 < sizeof slow && !p->ended; i++) {
            (void)peer_send(p, slow + i, 1);
            net_wait(1000);
        }
        CHECK(i >= 19 && i <= 21);
        CHECK_EQ(client.error, WS_ERROR_TIMEOUT);
        CLIENT_END();
    }
    if (test_begin("WS_OFF for the handshake: it is waited for as long as it takes")) {
        client_start(NULL);
        ws_client_config config = client_config();
        config.limits.handshake_ms = WS_OFF;
        config.connect_ms = WS_OFF;
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, &config);
        peer *p = raw_accept(raw);
        const char *head = raw_head(p);
        net_wait(3600000);
        CHECK_EQ(client.errors, 0);
        raw_answer(p, head, NULL);
        net_settle();
        CHECK_LOG("o1");
        CLIENT_END();
    }
}

/* --- addresses --- */

static void test_refused(void) {
    char port[20];
    if (!test_begin("a port that refuses: the sentence names host and port"))
        return;
    client_start(NULL);
    uint16_t number = raw_refusing_port();
    char url[60];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)number);
    (void)snprintf(port, sizeof port, "%u", (unsigned)number);
    (void)client_dial(url, NULL);
    CHECK_EQ(client.errors, 0); /* not from inside */
    net_settle();
    CHECK_EQ(client.errors, 1);
    CHECK_EQ(client.error, WS_ERROR_CONNECT);
    CHECK_SAYS("127.0.0.1");
    CHECK_SAYS(port);
    CLIENT_END();
}

static void test_nobody_answers(void) {
    if (!test_begin("an address that does not answer: given up at connect_ms, and the sentence names it"))
        return;
    client_start(NULL);
    raw_server *hole = raw_listen_on(NULL, 0);
    if (!raw_fill_hole(hole)) {
        test_skip("connections do not wait here");
        CLIENT_END();
        return;
    }
    ws_client_config config = client_config();
    config.connect_ms = 3000;
    (void)client_dial_raw(hole, &config);
    net_settle();
    CHECK_EQ(ws_state(client.conn), WS_CONNECTING);
    net_wait(2900);
    CHECK_EQ(client.errors, 0);
    net_wait(200);
    CHECK_EQ(client.errors, 1);
    CHECK(client.error == WS_ERROR_TIMEOUT || client.error == WS_ERROR_CONNECT);
    CHECK_SAYS("127.0.0.1");
    CLIENT_END();
}

static const calls_name names[] = {
    {"one.test", "127.0.0.1", false},
    {"last.test", "127.0.0.2 127.0.0.3 ::1 127.0.0.1", false},
    {"six.test", "127.0.0.1 ::1", false},
    {"none.test", "127.0.0.2 127.0.0.3", false},
    {"nowhere.invalid", NULL, false},
    {"empty.test", "", false},
    {"slow.test", "127.0.0.1", true},
    {"other.test", "127.0.0.1", false},
    {"one.test.other.test", "127.0.0.1", false},
    {NULL, NULL, false}};

/* Serves until something has happened that takes another thread. */
static bool wait_for(const unsigned *counter, unsigned wanted) {
    int i;
    for (i = 0; i < 2000 && *counter < wanted; i += !client_resolves())
        (void)net_round(1000);
    return *counter >= wanted;
}

static ws_conn *dial_name(const char *host, uint16_t port, const ws_client_config *config) {
    char url[100];
    (void)snprintf(url, sizeof url, "ws://%s:%u/", host, (unsigned)port);
    return client_dial(url, config);
}

static void test_names(void) {
    static const struct {
        const char *host;
        bool six; /* it listens on ::1 alone */
    } good[] = {{"one.test", false}, {"last.test", false}, {"six.test", true}, {"localhost", false}, {"localhost",
        true}, {"[::1]", true}};
    size_t i;
    for (i = 0; i < COUNT(good); i++) {
        raw_server *raw;
        char line[100];
        if (!test_begin("every address of a name is tried: %s, %s", good[i].host, good[i].six ? "IPv6" : "IPv4"))
            continue;
        client_start(NULL);
        raw = raw_listen_on(good[i].six ? "::1" : NULL, 8);
        if (raw->fd < 0) {
            test_skip("no IPv6 here");
            CLIENT_END();
            continue;
        }
        (void)dial_name(good[i].host, raw->port, NULL);
        peer *p = raw_accept(raw);
        const char *head = raw_head(p);
        (void)snprintf(line, sizeof line, "Host: %s:%u", good[i].host, (unsigned)raw->port);
        CHECK(raw_has_line(head, line));
        raw_answer(p, head, NULL);
        net_settle();
        CHECK_LOG("o1");
        CHECK(ws_peer(net.conns[1], line, sizeof line));
        CHECK(strncmp(line, good[i].six ? "[::1]:" : "127.0.0.1:", good[i].six ? 6 : 10) == 0);
        CLIENT_END();
    }
    if (test_begin("a name none of whose addresses takes a connection")) {
        client_start(NULL);
        (void)dial_name("none.test", raw_refusing_port(), NULL);
        CHECK(wait_for(&client.errors, 1));
        CHECK_EQ(client.error, WS_ERROR_CONNECT);
        CHECK_SAYS("none.test");
        CLIENT_END();
    }
    for (i = 0; i < 2; i++) {
        const char *host = i ? "empty.test" : "nowhere.invalid";
        if (!test_begin("a name without an address: %s", host))
            continue;
        client_start(NULL);
        (void)dial_name(host, 80, NULL);
        CHECK(wait_for(&client.errors, 1));
        CHECK_EQ(client.error, WS_ERROR_RESOLVE);
        CHECK_SAYS(host);
        CHECK_EQ(client.errors, 1);
        CLIENT_END();
    }
    if (test_begin("a name of 300 characters")) {
        static char host[301];
        client_start(NULL);
        memset(host, 'a', 300);
        (void)dial_name(host, 80, NULL);
        CHECK(wait_for(&client.errors, 1));
        CHECK(client.error == WS_ERROR_RESOLVE || client.error == WS_ERROR_URL);
        CLIENT_END();
    }
}

/* The answer comes when all is over: after the deadline, after the drop, after the loop. */
static void test_slow_names(void) {
    static const char *const names_of[] = {"the deadline", "ws_drop", "ws_close", "ws_shutdown", "ws_loop_free",
        "nothing"};
    int how;
    for (how = 0; how < 6; how++) {
        size_t held;
        raw_server *raw;
        if (!test_begin("a name that takes long to resolve, ended by %s", names_of[how]))
            continue;
        calls_hold();
        client_start(NULL);
        raw = raw_listen();
        (void)dial_name("slow.test", raw->port, NULL);
        net_settle();
        CHECK_EQ(ws_state(client.conn), WS_CONNECTING);
        CHECK_EQ(client.errors, 0);
        net_wait(9900);
        CHECK_EQ(client.errors, 0);
        switch (how) {
        case 0:
            net_wait(200);
            CHECK_EQ(client.errors, 1);
            CHECK(client.error == WS_ERROR_TIMEOUT || client.error == WS_ERROR_RESOLVE);
            CHECK_SAYS("slow.test");
            break;
        case 1: ws_drop(client.conn); break;
        case 2: (void)ws_close(client.conn, 1000, NULL); break;
        case 3:
            CHECK(ws_shutdown(net.loop, 50));
            net_settle();
            net_wait(51);
            break;
        default: break;
        }
        net_settle();
        if (how == 4) { /* what the thread holds comes back behind the loop */
            ws_loop_free(net.loop);
            net.loop = NULL;
            calls_let_go();
            CHECK_EQ(client.errors, 1);
        } else {
            CHECK_EQ(ws_find(net.loop, client.id) != NULL, how == 5);
            CHECK_EQ(client.errors, how != 5);
            held = net_descriptors();
            calls_let_go();
            if (how != 5)
                client_await_descriptors(held - 1); /* the answer has come to nobody */
            if (how == 5) {
                peer *p = raw_accept(raw);
                raw_answer(p, raw_head(p), NULL);
                CHECK(wait_for(&net.opened, 1));
            }
            net_settle();
            CHECK_EQ(net.opened, how == 5);
        }
        CLIENT_END();
    }
}

static const char *socket_path(void) {
    static char path[60];
    (void)snprintf(path, sizeof path, "./ws_test_client_%d.sock", (int)getpid());
    return path;
}

static void test_unix(void) {
    ws_client_config config = client_config();
    config.unix_path = socket_path();
    if (test_begin("Unix sockets: our server and our client; the file goes with the server")) {
        ws_server_config server;
        memset(&server, 0, sizeof server);
        server.unix_path = socket_path();
        client_start(NULL);
        net.server = ws_listen(net.loop, &server);
        CHECK(net.server && net_route("/x"));
        CHECK_EQ(access(socket_path(), F_OK), 0);
        (void)client_dial("ws://anything.example/x?y", &config);
        net_settle();
        CHECK_EQ(net.opened, 2);
        CHECK(ws_send_text(client.conn, "over a path") && !client.errors);
        net.echo = false;
        net_settle();
        CHECK_EQ(net.received, 11);
        (void)ws_close(client.conn, 1000, NULL);
        net_settle();
        CHECK_EQ(net.closed, 2);
        ws_server_free(net.server);
        net_settle();
        CHECK(access(socket_path(), F_OK) != 0);
        CLIENT_END();
    }
    if (test_begin("Unix sockets: the URL gives Host and target")) {
        client_start(NULL);
        raw_server *raw = raw_listen_on(socket_path(), 8);
        (void)client_dial("ws://name.example:81/a?b", &config);
        const char *head = raw_head(raw_accept(raw));
        CHECK(strncmp(head, "GET /a?b HTTP/1.1\r\n", 19) == 0 && raw_has_line(head, "Host: name.example:81"));
        (void)unlink(socket_path());
        CLIENT_END();
    }
    if (test_begin("Unix sockets: no such file, nobody behind it, a plain file, a path too long")) {
        static char path[400];
        int i, fd;
        for (i = 0; i < 4; i++) {
            client_start(NULL);
            if (i == 1)
                raw_close(raw_listen_on(socket_path(), 8));
            if (i == 2) {
                fd = open(socket_path(), O_CREAT | O_WRONLY, 0600);
                CHECK(fd >= 0 && close(fd) == 0);
            }
            memset(path, 'a', sizeof path - 1);
            config.unix_path = i == 3 ? path : socket_path();
            (void)client_dial("ws://a/", &config);
            net_settle();
            CHECK_EQ(client.errors, 1);
            CHECK(i == 3 ? client.error != WS_OK : client.error == WS_ERROR_CONNECT);
            CHECK_SAYS(i < 3 ? "ws_test_client_" : strerror(ENAMETOOLONG));
            (void)unlink(socket_path());
            CLIENT_END();
        }
    }
}

/* --- proxies --- */

static void test_proxy(void) {
    ws_client_config config;
    static const char *const lines[] = {"Cookie: secret=1", "Authorization: Bearer secret", NULL};
    char proxy[100];
    raw_server *raw;
    const char *head;
    peer *p;
    if (test_begin("a proxy: CONNECT, then the handshake through the tunnel")) {
        client_start(NULL);
        raw = raw_listen();
        (void)snprintf(proxy, sizeof proxy, "http://us%%65r:pass%%20word@127.0.0.1:%u", (unsigned)raw->port);
        config = client_config();
        config.proxy = proxy;
        config.headers = lines;
        config.origin = "https://secret.example";
        (void)client_dial("ws://me:too@example.com/chat", &config);
        p = raw_accept(raw);
        head = raw_head(p);
        CHECK(strncmp(head, "CONNECT example.com:80 HTTP/1.1\r\n", 33) == 0);
        CHECK(raw_has_line(head, "Host: example.com:80"));
        CHECK(raw_has_line(head, "Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ="));
        CHECK(strstr(head, "secret") == NULL && raw_header_count(head, "Authorization") == 0);
        CHECK_EQ(raw_header_count(head, "Upgrade"), 0);
        net_settle();
        CHECK_EQ(p->in.size, 0); /* nothing before the proxy has answered */
        peer_text(p, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n");
        head = raw_head(p);
        CHECK(strncmp(head, "GET /chat HTTP/1.1\r\n", 20) == 0);
        CHECK(raw_has_line(head, "Host: example.com"));
        CHECK(raw_has_line(head, "Cookie: secret=1"));
        CHECK_EQ(raw_header_count(head, "Proxy-Authorization"), 0);
        raw_answer(p, head, NULL);
        net_settle();
        peer_frames(p, "81\"through\"");
        CHECK_SENT(p, "81\"through\"");
        CHECK_LOG("o1 t1:through");
        CLIENT_END();
    }
    if (test_begin("a proxy that asks for nothing is told nothing; its answer comes byte by byte")) {
        static const char answer[] = "HTTP/1.0 200 ok\r\nServer: old\r\n\r\n";
        size_t i;
        client_start(NULL);
        raw = raw_listen();
        proxy_config(&config, raw);
        (void)client_dial("ws://[2001:db8::1]:8080/", &config);
        p = raw_accept(raw);
        head = raw_head(p);
        CHECK(strncmp(head, "CONNECT [2001:db8::1]:8080 HTTP/1.1\r\n", 37) == 0);
        CHECK_EQ(raw_header_count(head, "Proxy-Authorization"), 0);
        for (i = 0; i + 1 < sizeof answer; i++) {
            (void)peer_send(p, answer + i, 1);
            (void)net_round(0);
        }
        CHECK(strncmp(raw_head(p), "GET / HTTP/1.1\r\n", 16) == 0);
        CLIENT_END();
    }
    static const char *const interims[] = {
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n",
        "HTTP/1.1 199 x\r\nContent-Length: 7\r\nX: a\r\n b\r\n\r\n"};
    size_t i, k, bytewise;
    for (i = 0; i < 2 * COUNT(interims); i++) {
        char text[300];
        bytewise = i % 2;
        if (!test_begin("a proxy: 1xx before its 200 is passed over (RFC 9110 15.2), %zu, %s", i / 2,
                        bytewise ? "byte by byte" : "in one piece"))
            continue;
        client_start(NULL);
        raw = raw_listen();
        proxy_config(&config, raw);
        (void)client_dial("ws://example.com/chat", &config);
        p = raw_accept(raw);
        (void)raw_head(p);
        (void)snprintf(text, sizeof text, "%sHTTP/1.1 200 ok\r\nX: a\r\n\tb\r\n\r\n", interims[i / 2]);
        for (k = 0; bytewise && k < strlen(text); k++) {
            (void)peer_send(p, text + k, 1);
            (void)net_round(0);
        }
        if (!bytewise)
            peer_text(p, text);
        head = raw_head(p);
        CHECK(strncmp(head, "GET /chat HTTP/1.1\r\n", 20) == 0);
        raw_answer(p, head, NULL);
        net_settle();
        CHECK_LOG("o1");
        CLIENT_END();
    }
}

static const struct {
    const char *name, *answer, *word;
    bool closes;
} proxy_answers[] = {
    {"100, then 403", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", "403", false},
    {"100, then nonsense", "HTTP/1.1 100 Continue\r\n\r\nSSH-2.0\r\n\r\n", "proxy", false},
    {"100, then an end", "HTTP/1.1 100 Continue\r\n\r\n", "proxy", true},
    {"100, 200, and bytes behind", "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 200 ok\r\n\r\nx", "proxy", false},
    {"407", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
     "407", false},
    {"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "403", false},
    {"500", "HTTP/1.1 500 Oh\r\n\r\n", "500", true},
    {"502", "HTTP/1.1 502 Bad Gateway\r\n\r\n", "502", false},
    {"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "101", false},
    {"302", "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1/\r\n\r\n", "302", false},
    {"garbage", "SSH-2.0-OpenSSH\r\n\r\n", "proxy", false},
    {"no status", "HTTP/1.1\r\n\r\n", "proxy", false},
    {"HTTP/3.0", "HTTP/3.0 200 ok\r\n\r\n", "proxy", false},
    {"bare LF", "HTTP/1.1 200 ok\n\n", "proxy", false},
    {"a bad line", "HTTP/1.1 200 ok\r\nX y: z\r\n\r\n", "proxy", false},
    {"bytes behind the head", "HTTP/1.1 200 ok\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n", "proxy", false},
    {"an end in the head", "HTTP/1.1 200 ok\r\nX: ", "proxy", true},
    {"an end at once", "", "proxy", true}};

static void test_proxy_answers(void) {
    size_t i, n;
    for (i = 0; i < COUNT(proxy_answers); i++) {
        ws_client_config config;
        if (!test_begin("a proxy that answers with %s", proxy_answers[i].name))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        proxy_config(&config, raw);
        (void)client_dial("ws://example.com/", &config);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        peer_text(p, proxy_answers[i].answer);
        if (proxy_answers[i].closes)
            peer_close(p);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_PROXY);
        CHECK_SAYS(proxy_answers[i].word);
        CHECK_SAYS("127.0.0.1");
        CHECK_EQ(net.opened, 0);
        CHECK_EQ(p->in.size, 0); /* nothing went into the tunnel that is none */
        CHECK(p->fd < 0 || p->ended);
        CLIENT_END();
    }
    for (i = 0; i < 2; i++) {
        ws_client_config config;
        if (!test_begin("a proxy with an endless answer%s", i ? " of 1xx" : ""))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        proxy_config(&config, raw);
        (void)client_dial("ws://example.com/", &config);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        peer_text(p, i ? "HTTP/1.1 100 " : "HTTP/1.1 200 ok\r\n");
        for (n = 0; n < 20000 && !p->ended; n++) {
            peer_text(p, i ? "Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 "
                           : "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
            (void)net_round(0);
        }
        net_settle();
        CHECK(n < 6000);
        CHECK(client.error == WS_ERROR_PROXY || client.error == WS_ERROR_TOO_BIG);
        CHECK_EQ(client.errors, 1);
        CLIENT_END();
    }
    if (test_begin("a proxy that says nothing: given up at connect_ms")) {
        ws_client_config config;
        client_start(NULL);
        raw_server *raw = raw_listen();
        proxy_config(&config, raw);
        config.connect_ms = 2000;
        (void)client_dial("ws://example.com/", &config);
        (void)raw_head(raw_accept(raw));
        net_wait(1900);
        CHECK_EQ(client.errors, 0);
        net_wait(200);
        CHECK_EQ(client.errors, 1);
        CHECK(client.error == WS_ERROR_TIMEOUT || client.error == WS_ERROR_PROXY);
        CHECK_SAYS("proxy");
        CLIENT_END();
    }
    if (test_begin("a proxy that refuses connections, and one without an address")) {
        ws_client_config config = client_config();
        char proxy[60];
        client_start(NULL);
            (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)raw_refusing_port());
        config.proxy = proxy;
        (void)client_dial("ws://example.com/", &config);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK(client.error == WS_ERROR_CONNECT || client.error == WS_ERROR_PROXY);
        CHECK_SAYS("proxy");
        config.proxy = "http://nowhere.invalid:3128";
        (void)client_dial("ws://example.com/", &config);
        CHECK(wait_for(&client.errors, 2));
        CHECK(client.error == WS_ERROR_RESOLVE || client.error == WS_ERROR_PROXY);
        CHECK_SAYS("nowhere.invalid");
        CLIENT_END();
    }
}

/* --- redirects --- */

static void redirect(peer *p, int status, const char *location) {
    char text[2000];
    (void)snprintf(text, sizeof text, "HTTP/1.1 %d Over there\r\n%s%s%sContent-Length: 0\r\n\r\n", status,
                   location ? "Location: " : "", location ? location : "", location ? "\r\n" : "");
    peer_text(p, text);
    net_settle();
}

static void test_redirects(void) {
    static const int statuses[] = {301, 302, 303, 307, 308};
    size_t i;
    for (i = 0; i < COUNT(statuses); i++) {
        if (!test_begin("redirect %d is followed with a new GET and a new key", statuses[i]))
            continue;
        char key[40];
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        const char *head = raw_head(p);
        (void)snprintf(key, sizeof key, "%s", raw_header(head, "Sec-WebSocket-Key"));
        redirect(p, statuses[i], client_url(raw, "/new?x"));
        CHECK(p->ended);
        p = raw_accept(raw);
        head = raw_head(p);
        CHECK(strncmp(head, "GET /new?x HTTP/1.1\r\n", 21) == 0);
        CHECK(raw_header(head, "Sec-WebSocket-Key") && strcmp(raw_header(head, "Sec-WebSocket-Key"), key) != 0);
        raw_answer(p, head, NULL);
        net_settle();
        CHECK_LOG("o1");
        CHECK_EQ(ws_status(net.conns[1]), 101);
        CLIENT_END();
    }
    static const int others[] = {300, 304, 305, 306, 309, 399};
    for (i = 0; i < COUNT(others); i++) {
        if (!test_begin("%d with a Location is a refusal", others[i]))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        redirect(p, others[i], "/new");
        CHECK(raw_nobody(raw));
        CHECK_EQ(client.error, WS_ERROR_REFUSED);
        CHECK_EQ(client.status, others[i]);
        CLIENT_END();
    }
}

static void test_redirect_limit(void) {
    static const int limits[] = {0, 1, 3, 5, -1};
    size_t i;
    for (i = 0; i < COUNT(limits); i++) {
        int wanted = limits[i] == 0 ? 5 : limits[i] < 0 ? 0 : limits[i], n;
        if (!test_begin("max_redirects %d: so many are followed and no more, not even in a circle", limits[i]))
            continue;
        ws_client_config config = client_config();
        client_start(NULL);
        raw_server *raw = raw_listen();
        config.max_redirects = limits[i];
        (void)client_dial_raw(raw, &config);
        for (n = 0; n <= wanted; n++) {
            peer *p = raw_accept(raw);
            (void)raw_head(p);
            CHECK_EQ(client.errors, 0);
            redirect(p, 302, "/");
        }
        CHECK(raw_nobody(raw));
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, limits[i] < 0 ? WS_ERROR_REFUSED : WS_ERROR_REDIRECT);
        CHECK_EQ(client.status, 302);
        CLIENT_END();
    }
}

static const char *const bad_locations[] = {
    "ftp://127.0.0.1/", "file:///etc/passwd", "javascript:alert(1)", "mailto:a@b", "ws://", "ws:///x", "http:g",
    "ws://127.0.0.1:0/",
    "ws://127.0.0.1:99999/", "ws://[::1/", "/a b", "/%zz", "/caf\xc3\xa9", "ws://u%0d:p@127.0.0.1/"};

static void test_bad_redirects(void) {
    size_t i;
    for (i = 0; i <= COUNT(bad_locations) + 1; i++) {
        const char *location = i < COUNT(bad_locations) ? bad_locations[i] : NULL;
        if (!test_begin("redirect that leads nowhere, %zu: %s", i, location ? location : "no Location"))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        if (i > COUNT(bad_locations)) { /* two of them: which? */
            peer_text(p, "HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\n\r\n");
            net_settle();
        } else {
            redirect(p, 302, location);
        }
        CHECK(raw_nobody(raw));
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_REDIRECT);
        CHECK_EQ(client.status, 302);
        CHECK(strlen(client.text) > 10 && strpbrk(client.text, "\r\n") == NULL);
        CLIENT_END();
    }
}

/* RFC 3986 5.4, with http for ws too; through a proxy, so that the hosts need no address. */
static const struct {
    const char *reference, *host, *target;
} references[] = {
    {"g", "a", "/b/c/g"}, {"./g", "a", "/b/c/g"}, {"g/", "a", "/b/c/g/"}, {"/g", "a", "/g"}, {"//g", "g", "/"},
    {"?y", "a", "/b/c/d;p?y"}, {"g?y", "a", "/b/c/g?y"}, {";x", "a", "/b/c/;x"}, {"g;x", "a", "/b/c/g;x"},
    {"g;x?y", "a", "/b/c/g;x?y"}, {".", "a", "/b/c/"}, {"./", "a", "/b/c/"}, {"..", "a", "/b/"}, {"../", "a", "/b/"},
    {"../g", "a", "/b/g"}, {"../..", "a", "/"}, {"../../", "a", "/"}, {"../../g", "a", "/g"},
    {"../../../g", "a", "/g"}, {"../../../../g", "a", "/g"}, {"/./g", "a", "/g"}, {"/../g", "a", "/g"},
    {"g.", "a", "/b/c/g."}, {".g", "a", "/b/c/.g"}, {"g..", "a", "/b/c/g.."}, {"..g", "a", "/b/c/..g"},
    {"./../g", "a", "/b/g"}, {"./g/.", "a", "/b/c/g/"}, {"g/./h", "a", "/b/c/g/h"}, {"g/../h", "a", "/b/c/h"},
    {"g;x=1/./y", "a", "/b/c/g;x=1/y"}, {"g;x=1/../y", "a", "/b/c/y"}, {"g?y/./x", "a", "/b/c/g?y/./x"},
    {"g?y/../x", "a", "/b/c/g?y/../x"}, {"ws://h/i/../j?k", "h", "/j?k"}, {"ws://h", "h", "/"}, {"http://h/i", "h",
        "/i"},
    {"//h:81/i", "h:81", "/i"}, {"//h?y", "h", "/?y"}, {"?", "a", "/b/c/d;p?"},
    /* an escaped dot is a dot: 6.2.2.2, as in browsers */
    {"%2e%2E/g", "a", "/b/g"}, {"/x/.%2e/g", "a", "/g"}, {"%2e", "a", "/b/c/"}, {"g%2e%2e", "a", "/b/c/g%2e%2e"},
    {"ws://h/x/%2E./y?%2e", "h", "/y?%2e"},
    /* a fragment is the reader's, not the server's: RFC 9110 10.2.2 */
    {"g#s", "a", "/b/c/g"}, {"g?y#s", "a", "/b/c/g?y"}, {"g#s/../x", "a", "/b/c/g"}, {"ws://h/#s", "h", "/"}};

static void test_references(void) {
    size_t i;
    for (i = 0; i < COUNT(references); i++) {
        ws_client_config config;
        char asked[200], wanted[200];
        if (!test_begin("redirect from ws://a/b/c/d;p?q to %s", references[i].reference))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        proxy_config(&config, raw);
        (void)client_dial("ws://a/b/c/d;p?q", &config);
        peer *p = let_through(raw, asked, sizeof asked);
        CHECK_STR(asked, "CONNECT a:80 HTTP/1.1");
        CHECK(strncmp(raw_head(p), "GET /b/c/d;p?q HTTP/1.1\r\n", 25) == 0);
        redirect(p, 302, references[i].reference);
        p = let_through(raw, asked, sizeof asked);
        (void)snprintf(wanted, sizeof wanted, "CONNECT %s%s HTTP/1.1", references[i].host,
                       strchr(references[i].host, ':') ? "" : ":80");
        CHECK_STR(asked, wanted);
        (void)snprintf(wanted, sizeof wanted, "GET %s HTTP/1.1\r\n", references[i].target);
        const char *head = raw_head(p);
        CHECK_MEM(head, strcspn(head, "\n") + 1, wanted, strlen(wanted));
        CHECK(raw_header(head, "Host") && strcmp(raw_header(head, "Host"), references[i].host) == 0);
        CLIENT_END();
    }
}

/* What a redirect may take along: from ws://one.test:port, or wss: where `secure`. */
typedef struct leak_case {
    const char *name, *location; /* "%o" the first server's port, "%n" the other's */
    bool keeps, other;           /* keeps: all goes along; other: it arrives at the other server */
    bool secure;
} leak_case;

static const leak_case leaks[] = {
    {"a path of the same origin", "/new", true, false, false},
    {"the same origin in full", "ws://one.test:%o/new", true, false, false},
    {"the same origin in other letters", "WS://ONE.TEST:%o/new", true, false, false},
    {"another host", "ws://other.test:%o/new", false, false, false},
    {"the address of the same host", "ws://127.0.0.1:%o/new", false, false, false},
    {"another port", "ws://one.test:%n/new", false, true, false},
    {"another host without a scheme", "//other.test:%o/new", false, false, false},
    {"a host that begins like it", "ws://one.test.other.test:%o/", false, false, false},
    {"the same secure origin", "wss://one.test:%o/new", true, false, true},
    {"wss to ws, which the config allows", "ws://one.test:%o/new", false, false, true}};

static void fill_ports(char *out, size_t size, const char *text, unsigned first, unsigned second) {
    size_t used = 0;
    for (; *text && used + 8 < size; text++) {
        if (text[0] == '%' && (text[1] == 'o' || text[1] == 'n')) {
            used += (size_t)snprintf(out + used, size - used, "%u", text[1] == 'o' ? first : second);
            text++;
        } else {
            out[used++] = *text;
        }
    }
    out[used] = 0;
}

static void run_leak(const leak_case *c, bool in_url) {
    static const char *const lines[] = {"authorization: Bearer secret", "cookie: secret=1", "X-Mine: 1",
        "Host: one.test:1", NULL};
    static const char *const mine[] = {"X-Mine: 1", NULL};
    ws_client_config config = client_config();
    char url[200], location[200];
    client_start(NULL);
    raw_server *raw = raw_listen(), *other = raw_listen();
    (void)snprintf(url, sizeof url, "%s://%sone.test:%u/old", c->secure ? "wss" : "ws", in_url ? "me:secret@" : "",
                   (unsigned)raw->port);
    config.headers = in_url ? mine : lines;
    config.origin = "https://page.example";
    if (c->secure)
        config.transport = &raw_transport;
    config.allow_wss_to_ws = c->secure;
    config.subprotocols = "chat";
    (void)client_dial(url, &config);
    peer *p = raw_accept(raw);
    const char *head = raw_head(p);
    CHECK_EQ(raw_header_count(head, "Authorization"), 1);
    fill_ports(location, sizeof location, c->location, raw->port, other->port);
    redirect(p, 307, location);
    p = raw_accept(c->other ? other : raw);
    head = raw_head(p);
    CHECK_EQ(raw_header_count(head, "Authorization"), c->keeps);
    CHECK_EQ(raw_header_count(head, "Cookie"), c->keeps && !in_url);
    CHECK_EQ(strstr(head, "secret") != NULL || strstr(head, "bWU6c2VjcmV0") != NULL, c->keeps);
    CHECK_EQ(raw_header_count(head, "X-Mine"), c->keeps); /* who knows what it tells: an API's key, perhaps */
    CHECK(raw_has_line(head, "Origin: https://page.example")); /* who asks, and for what: that is no secret */
    CHECK(raw_has_line(head, "Sec-WebSocket-Protocol: chat"));
    if (!in_url) /* a Host of one's own names the first server */
        CHECK_EQ(raw_has_line(head, "Host: one.test:1"), c->keeps);
    if (!c->keeps) { /* and what was dropped does not come back on the way home */
        fill_ports(location, sizeof location, c->secure ? "wss://one.test:%o/" : "ws://one.test:%o/", raw->port, 0);
        redirect(p, 302, location);
        p = raw_accept(raw);
        head = raw_head(p);
        CHECK(strstr(head, "secret") == NULL && raw_header_count(head, "Authorization") == 0);
    }
    CLIENT_END();
}

static void test_leaks(void) {
    size_t i;
    for (i = 0; i < COUNT(leaks); i++) {
        if (test_begin("redirect to %s: own Authorization and Cookie %s", leaks[i].name,
                       leaks[i].keeps ? "stay" : "go"))
            run_leak(&leaks[i], false);
        if (test_begin("redirect to %s: credentials of the URL %s", leaks[i].name, leaks[i].keeps ? "stay" : "go"))
            run_leak(&leaks[i], true);
    }
    CHECK_EQ(raw_links, 0);
}

/* The security that the URL asked for is never lowered, unless the config says so. */
static void test_downgrade(void) {
    static const char *const locations[] = {"ws://one.test:%o/new", "http://one.test:%o/", "WS://one.test:%n/",
                                            "ws://other.test:%n/x"};
    static const char *const lines[] = {"X-Mine: secret", NULL};
    size_t i;
    for (i = 0; i < COUNT(locations); i++) {
        ws_client_config config = client_config();
        char url[200], location[200];
        int hops, hop;
        if (!test_begin("a redirect from wss to %s is refused, at the first hop and at a later one", locations[i]))
            continue;
        for (hops = 0; hops < 2; hops++) {
            client_start(NULL);
            raw_server *raw = raw_listen(), *other = raw_listen();
            config.transport = &raw_transport;
            config.headers = lines;
            (void)snprintf(url, sizeof url, "wss://one.test:%u/old", (unsigned)raw->port);
            (void)client_dial(url, &config);
            for (hop = 0; hop <= hops; hop++) {
                peer *p = raw_accept(raw);
                (void)raw_head(p);
                fill_ports(location, sizeof location, hop == hops ? locations[i] : "/next", raw->port, other->port);
                redirect(p, 307, location);
            }
            CHECK(raw_nobody(raw) && raw_nobody(other));
            CHECK_EQ(client.errors, 1);
            CHECK_EQ(client.error, WS_ERROR_REDIRECT);
            CHECK_EQ(client.status, 307);
            CHECK_SAYS("in clear");
            CHECK_SAYS("allow_wss_to_ws");
            CLIENT_END();
        }
    }
    CHECK_EQ(raw_links, 0);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    calls_table = names;
    test_request();
    test_keys();
    test_credentials();
    test_good_urls();
    test_bad_urls();
    test_replaced_url();
    test_injection();
    test_dial_nothing();
    test_answers();
    test_own_sentences();
    test_refusals();
    test_bodies();
    test_bodies_in_pieces();
    test_answer_headers();
    test_endless();
    test_behind_the_head();
    test_ends_in_the_head();
    test_silence();
    test_refused();
    test_nobody_answers();
    test_names();
    test_slow_names();
    test_unix();
    test_proxy();
    test_proxy_answers();
    test_redirects();
    test_redirect_limit();
    test_bad_redirects();
    test_references();
    test_leaks();
    test_downgrade();
    return test_finish();
}
