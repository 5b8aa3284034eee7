/* CLIENT: how a client connects: requests, addresses, proxies, redirects. URLs and answers are in
   test_client_urls.c and test_client_answers.c, open connections in test_client_life.c. */
#include "../helpers/calls.h"

#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/client.h"

/* --- the request --- */

static void test_request(void) {
    ws_client_config config = client_config();
    raw_server *raw;
    const char *head;
    char line[100];
    if (!test_begin("the request: nothing but what RFC 6455 4.1 requires"))
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

    if (!test_begin("the request: origin, headers of the program, subprotocols, a Host of the program"))
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
    if (!test_begin("the request: the key is 16 random bytes, new ones each time"))
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
    /* each of the 22 characters takes many values: no byte is fixed */
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
    const char *user, *value; /* in the URL; in base64 */
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
        CHECK(raw_has_line(head, line)); /* without the credentials */
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

/* --- addresses --- */

static void test_refused(void) {
    char port[20];
    if (!test_begin("a port that refuses: the error text names host and port"))
        return;
    client_start(NULL);
    uint16_t number = raw_refusing_port();
    char url[60];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/", (unsigned)number);
    (void)snprintf(port, sizeof port, "%u", (unsigned)number);
    (void)client_dial(url, NULL);
    CHECK_EQ(client.errors, 0); /* on_error is not called within ws_dial */
    net_settle();
    CHECK_EQ(client.errors, 1);
    CHECK_EQ(client.error, WS_ERROR_CONNECT);
    CHECK_WHY("127.0.0.1");
    CHECK_WHY(port);
    CLIENT_END();
}

static void test_nobody_answers(void) {
    if (!test_begin("an address that does not answer: fails at connect_ms, and the error names it"))
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
    CHECK_WHY("127.0.0.1");
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

/* Serves until another thread has done its part. */
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
        bool six; /* the server listens on ::1 alone */
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
    if (test_begin("a name with no address that accepts a connection")) {
        client_start(NULL);
        (void)dial_name("none.test", raw_refusing_port(), NULL);
        CHECK(wait_for(&client.errors, 1));
        CHECK_EQ(client.error, WS_ERROR_CONNECT);
        CHECK_WHY("none.test");
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
        CHECK_WHY(host);
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

/* The answer comes too late: after the deadline, after the drop, after the end of the loop. */
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
            CHECK_WHY("slow.test");
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
        if (how == 4) { /* the thread gives its descriptor back after the loop has ended */
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
                client_await_descriptors(held - 1); /* nobody receives the answer */
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
    if (test_begin("Unix sockets: our server and client; the server removes its file") && test_posix("they")) {
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
    if (test_begin("Unix sockets: the URL gives Host and target") && test_posix("they")) {
        client_start(NULL);
        raw_server *raw = raw_listen_on(socket_path(), 8);
        (void)client_dial("ws://name.example:81/a?b", &config);
        const char *head = raw_head(raw_accept(raw));
        CHECK(strncmp(head, "GET /a?b HTTP/1.1\r\n", 19) == 0 && raw_has_line(head, "Host: name.example:81"));
        (void)unlink(socket_path());
        CLIENT_END();
    }
    if (test_begin("Unix sockets: no such file, nobody listening, a regular file, too long a path")
        && test_posix("they")) {
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
            CHECK_WHY(i < 3 ? "ws_test_client_" : strerror(ENAMETOOLONG));
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
        CHECK_EQ(p->in.size, 0); /* nothing is sent before the proxy has answered */
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
    if (test_begin("a proxy URL without credentials sends none; the proxy's answer arrives byte by byte")) {
        static const char answer[] = "HTTP/1.0 200 ok\r\nServer: old\r\n\r\n";
        size_t i;
        client_start(NULL);
        raw = raw_listen();
        client_proxied(&config, raw);
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
        if (!test_begin("a proxy: 1xx before its 200 is skipped (RFC 9110 15.2), %zu, %s", i / 2,
                        bytewise ? "byte by byte" : "in one piece"))
            continue;
        client_start(NULL);
        raw = raw_listen();
        client_proxied(&config, raw);
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
        client_proxied(&config, raw);
        (void)client_dial("ws://example.com/", &config);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        peer_text(p, proxy_answers[i].answer);
        if (proxy_answers[i].closes)
            peer_close(p);
        net_settle();
        CHECK_EQ(client.errors, 1);
        CHECK_EQ(client.error, WS_ERROR_PROXY);
        CHECK_WHY(proxy_answers[i].word);
        CHECK_WHY("127.0.0.1");
        CHECK_EQ(net.opened, 0);
        CHECK_EQ(p->in.size, 0); /* there is no tunnel, so nothing else was sent */
        CHECK(p->fd < 0 || p->ended);
        CLIENT_END();
    }
    for (i = 0; i < 2; i++) {
        ws_client_config config;
        if (!test_begin("a proxy with an endless answer%s", i ? " of 1xx" : ""))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        client_proxied(&config, raw);
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
    if (test_begin("a silent proxy: fails at connect_ms")) {
        ws_client_config config;
        client_start(NULL);
        raw_server *raw = raw_listen();
        client_proxied(&config, raw);
        config.connect_ms = 2000;
        (void)client_dial("ws://example.com/", &config);
        (void)raw_head(raw_accept(raw));
        net_wait(1900);
        CHECK_EQ(client.errors, 0);
        net_wait(200);
        CHECK_EQ(client.errors, 1);
        CHECK(client.error == WS_ERROR_TIMEOUT || client.error == WS_ERROR_PROXY);
        CHECK_WHY("proxy");
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
        CHECK_WHY("proxy");
        config.proxy = "http://nowhere.invalid:3128";
        (void)client_dial("ws://example.com/", &config);
        CHECK(wait_for(&client.errors, 2));
        CHECK(client.error == WS_ERROR_RESOLVE || client.error == WS_ERROR_PROXY);
        CHECK_WHY("nowhere.invalid");
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
        if (!test_begin("max_redirects %d: that many are followed and no more, even in a circle", limits[i]))
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
        if (!test_begin("invalid redirect, %zu: %s", i, location ? location : "no Location"))
            continue;
        client_start(NULL);
        raw_server *raw = raw_listen();
        (void)client_dial_raw(raw, NULL);
        peer *p = raw_accept(raw);
        (void)raw_head(p);
        if (i > COUNT(bad_locations)) { /* two of them are ambiguous */
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
    /* a fragment is not sent to the server: RFC 9110 10.2.2 */
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
        client_proxied(&config, raw);
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

/* What a redirect may carry over: from ws://one.test:port, or wss: where `secure`. */
typedef struct leak_case {
    const char *name, *location; /* "%o" the first server's port, "%n" the other's */
    bool keeps, other;           /* keeps: all is sent again; other: to the other server */
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
    CHECK_EQ(raw_header_count(head, "X-Mine"), c->keeps); /* it may hold a secret, such as an API key */
    CHECK(raw_has_line(head, "Origin: https://page.example")); /* Origin is no secret */
    CHECK(raw_has_line(head, "Sec-WebSocket-Protocol: chat"));
    if (!in_url) /* the program's Host names the first server */
        CHECK_EQ(raw_has_line(head, "Host: one.test:1"), c->keeps);
    if (!c->keeps) { /* a redirect back does not restore what was dropped */
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

/* What counts as the same server: scheme, host and port of a redirect, or of before_reconnect's URL. */
static void test_same_server(void) {
    static const struct { const char *from, *to; bool same; } cases[] = {
        {"ws://a/", "ws://a/x?y", true}, {"ws://a", "WS://A:80/", true}, {"ws://a", "http://a", true},
        {"wss://a", "https://a:443", true}, {"ws://a:1", "ws://a:1", true}, {"ws://u:p@a", "ws://v@a", true},
        {"ws://a", "wss://a", true}, {"http://a:80", "https://a:443", true}, {"ws://a:1", "wss://a:1", true},
        {"ws://a:1", "wss://a", false}, {"ws://a", "wss://a:1", false}, {"ws://a:443", "wss://a:80", false},
        {"wss://a", "ws://a", false}, {"wss://a:1", "ws://a:1", false}, {"wss://a", "ws://a:443", false},
        {"ws://a", "ws://a:81", false}, {"ws://a", "ws://b", false}, {"ws://a", "ws://a.", false},
        {"ws://a", "ws://a.b", false}, {"ws://b.a", "ws://a", false}, {"ws://a", "ws://a@b", false},
        {"ws://[::1]", "ws://[::1]:80", true}, {"ws://[::a]", "ws://[::A]", true}, {"ws://[::1]", "ws://[0::1]", false},
        {"ws://127.0.0.1", "ws://[::ffff:127.0.0.1]", false}, {"ws://127.0.0.1", "ws://localhost", false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        wsi_url from, to;
        if (!test_begin("%s and %s are %s server", cases[i].from, cases[i].to, cases[i].same ? "one" : "not one"))
            continue;
        CHECK(!wsi_url_parse(&from, wsi_text_z(cases[i].from)) && !wsi_url_parse(&to, wsi_text_z(cases[i].to)));
        CHECK_EQ(wsi_client_same_server(&from, &to), cases[i].same);
    }
}

/* --- URLs, in parts --- */

static void test_url_parts(void) {
    static const struct { const char *base, *reference, *to; } parts_of[] = {
        {"ws://a/b/c?d", "e", "ws://a/b/e"}, {"ws://a/b/c?d", "?e", "ws://a/b/c?e"}, {"ws://a/b/c?d", "/e", "ws://a/e"},
        {"ws://a/b/c?d", "", "ws://a/b/c?d"}, {"ws://a/b/c?d", "#e", "ws://a/b/c?d"}, {"ws://a", "b", "ws://a/b"},
        {"ws://a", "?b", "ws://a?b"}, {"ws://a", "/b", "ws://a/b"}, {"ws://a?b", "c", "ws://a/c"},
        {"ws://a/b", "//c", "ws://c"}, {"ws://a/b", "wss://c/d#e", "wss://c/d"}, {"ws://a/b/", "c", "ws://a/b/c"},
    };
    static const struct { const char *text; size_t size; bool good; } users[] = {
        {"a:b", 3, true}, {"%41", 3, true}, {"%7f", 3, false}, {"%0a", 3, false}, {"a%3ab", 5, false},
        {"a:%3a", 5, true}, {"a%", 2, true}, {"", 0, true}, {"%00", 3, false},
    };
    static const struct { const char *text; size_t size; bool good; } chars[] = {
        {"abc", 3, true}, {"a%41", 4, true}, {"a%4", 3, false}, {"a%zz", 4, false}, {"a%4z", 4, false},
        {"a\0b", 3, false},
        {"a/b", 3, true}, {"a?b", 3, false}, {"a:b", 3, true}, {"a b", 3, false},
    };
    static const struct { const char *name; bool literal, good; } hosts[] = {
        {"a", false, true}, {"", false, false}, {".a", false, false}, {"a.", false, true}, {"a_b", false, true},
        {"a b", false, false}, {"a!", false, false}, {"::1", true, true}, {"1.2.3.4", true, false},
        {":::", true, false},
    };
    static const struct { const char *name; bool local; } locals[] = {
        {"localhost", true}, {"LocalHost.", true}, {"a.localhost", true}, {"a.b.localhost.", true},
        {"alocalhost", false},
        {"localhost.a", false}, {"", false}, {".localhost", false}, {"ocalhost", false}, {"xxxxxxxxx.a", false},
    };
    char out[200], name[260];
    if (!test_begin("parts of URLs, and how references are resolved"))
        return;
    for (size_t i = 0; i < COUNT(parts_of); i++) {
        wsi_slice text = wsi_text_z(parts_of[i].base);
        wsi_url base;
        CHECK(!wsi_url_parse(&base, text));
        size_t size = wsi_url_resolve(&base, text, wsi_text_z(parts_of[i].reference), out);
        test_memory(out, size, parts_of[i].to, strlen(parts_of[i].to), parts_of[i].reference, __FILE__, __LINE__);
    }
    for (size_t i = 0; i < COUNT(users); i++)
        test_equal(!wsi_url_credentials(wsi_text(users[i].text, users[i].size)), users[i].good,
                   users[i].text, __FILE__, __LINE__);
    for (size_t i = 0; i < COUNT(chars); i++)
        test_equal(wsi_url_chars(wsi_text(chars[i].text, chars[i].size), "/"), chars[i].good, chars[i].text, __FILE__,
                   __LINE__);
    for (size_t i = 0; i < COUNT(hosts); i++)
        test_equal(wsi_url_host(wsi_text_z(hosts[i].name), hosts[i].literal), hosts[i].good, hosts[i].name, __FILE__,
                   __LINE__);
    for (size_t i = 0; i < COUNT(locals); i++)
        test_equal(wsi_dial_is_local(wsi_text_z(locals[i].name)), locals[i].local, locals[i].name, __FILE__, __LINE__);
    memset(name, 'a', sizeof name);
    CHECK(wsi_url_host(wsi_text(name, 255), false) && !wsi_url_host(wsi_text(name, 256), false));
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
            CHECK_WHY("not encrypted");
            CHECK_WHY("allow_wss_to_ws");
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
    test_same_server();
    test_url_parts();
    test_downgrade();
    return test_finish();
}
