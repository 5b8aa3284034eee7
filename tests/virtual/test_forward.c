/* FORWARD: the peer's address, as trusted proxies report it. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#include "../helpers/behaviour.h"

static char peer_seen[100];

static void see(ws_request *request, void *user) {
    (void)user;
    if (!ws_request_peer(request, peer_seen, sizeof peer_seen))
        strcpy(peer_seen, "unknown");
    CHECK(!ws_request_peer(request, peer_seen + 90, 2));
    (void)ws_reply(request, 200, NULL, peer_seen);
}

static void see_conn(ws_conn *conn) {
    if (!ws_peer(conn, peer_seen, sizeof peer_seen))
        strcpy(peer_seen, "unknown");
}

static bool rfc7239; /* the next server reads Forwarded */

static bool start(const char *proxies, bool protocol, uint32_t handshake_ms) {
    ws_server_config config;
    ws_handler handler;
    memset(&config, 0, sizeof config);
    memset(&handler, 0, sizeof handler);
    config.proxies = proxies;
    config.proxy_protocol = protocol;
    config.forwarded = rfc7239;
    config.limits.handshake_ms = handshake_ms;
    handler.on_open = see_conn;
    peer_seen[0] = 0;
    return net_start_with(NULL, &config) && ws_http(net.server, "GET", "/peer", see, NULL)
           && ws_route(net.server, "/ws", &handler);
}

/* The peer's address as the server sees it; its port is written as P. */
static const char *seen_with(const char *before, size_t size, const char *fields) {
    static char text[120];
    char request[3000], own[30];
    peer *p = net_connect();
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    size_t i;
    text[0] = peer_seen[0] = 0;
    CHECK(getsockname(p->fd, (struct sockaddr *)&address, &length) == 0);
    (void)snprintf(own, sizeof own, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    for (i = 0; i < 2; i++) { /* over HTTP, then as a WebSocket */
        char first[100];
        memcpy(first, peer_seen, sizeof first);
        if (i) {
            peer_close(p);
            p = net_connect();
            CHECK(getsockname(p->fd, (struct sockaddr *)&address, &length) == 0);
        }
        (void)peer_send(p, before, size);
        (void)snprintf(request, sizeof request, "GET /peer HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
        if (i)
            peer_upgrade(p, "/ws", fields);
        else
            peer_text(p, request);
        net_settle();
        if (!i && strcmp(peer_seen, own) == 0)
            strcpy(peer_seen, "own");
        if (i && strcmp(first, "own") != 0 && *first)
            test_memory(peer_seen, strlen(peer_seen), first, strlen(first), "HTTP and WebSocket agree", __FILE__,
                __LINE__);
        if (!i)
            (void)snprintf(text, sizeof text, "%s", peer_seen);
    }
    peer_close(p);
    net_settle();
    while (net.peer_count > 2) {
        peer_close(&net.peers[--net.peer_count]);
        bytes_free(&net.peers[net.peer_count].in);
    }
    return text;
}

/* Ends the latest peer, and makes room for another. */
static void leave(peer *p) {
    peer_close(p);
    net_settle();
    bytes_free(&p->in);
    net.peer_count--;
}

static const char *forwarded(const char *fields) { return seen_with("", 0, fields); }

#define FOR(list) "X-Forwarded-For: " list "\r\n"

static void test_untrusted(void) {
    if (!test_begin("X-Forwarded-For of anybody else is ignored"))
        return;
    CHECK(start(NULL, false, 0));
    CHECK_STR(forwarded(FOR("1.2.3.4")), "own");
    NET_END();
    CHECK(start("10.0.0.0/8, ::1, unix", false, 0));
    CHECK_STR(forwarded(FOR("1.2.3.4")), "own");
    NET_END();
}

static void test_trusted(void) {
    char many[3000];
    size_t i, size = 0;
    if (!test_begin("X-Forwarded-For: from the right, up to the first that is not trusted"))
        return;
    CHECK(start("127.0.0.0/8, 10.0.0.0/8, 2001:db8::/32", false, 0));
    CHECK_STR(forwarded(""), "own");
    CHECK_STR(forwarded(FOR("1.2.3.4")), "1.2.3.4");
    CHECK_STR(forwarded(FOR("6.6.6.6, 1.2.3.4")), "1.2.3.4"); /* what the client itself wrote */
    CHECK_STR(forwarded(FOR("6.6.6.6 , 1.2.3.4,10.0.0.7 ")), "1.2.3.4");
    CHECK_STR(forwarded(FOR("6.6.6.6") FOR("1.2.3.4, 10.0.0.7") FOR("2001:db8::1")), "1.2.3.4");
    CHECK_STR(forwarded(FOR("1.2.3.4:5678")), "1.2.3.4:5678");
    CHECK_STR(forwarded(FOR("[2001:4860::1]:443, 10.0.0.1")), "[2001:4860::1]:443");
    CHECK_STR(forwarded(FOR("2001:4860::1")), "2001:4860::1");
    CHECK_STR(forwarded(FOR("::ffff:1.2.3.4, ::ffff:10.0.0.1")), "1.2.3.4"); /* IPv4 that is mapped into IPv6 */
    CHECK_STR(forwarded(FOR("[::ffff:1.2.3.4]:80")), "1.2.3.4:80");
    CHECK_STR(forwarded(FOR("10.1.1.1")), "10.1.1.1"); /* all are trusted: the first one counts */
    CHECK_STR(forwarded(FOR("1.2.3.4, unknown, 10.0.0.7")), "10.0.0.7");
    CHECK_STR(forwarded(FOR("unknown")), "own");
    CHECK_STR(forwarded(FOR("1.2.3.4") FOR("unknown")), "own");
    CHECK_STR(forwarded(FOR("")), "own");
    CHECK_STR(forwarded(FOR("1.2.3.4,, 10.0.0.1")), "10.0.0.1");
    CHECK_STR(forwarded(FOR("1.2.3.4, 1.2.3")), "own");
    CHECK_STR(forwarded(FOR("<script>")), "own");
    CHECK_STR(forwarded(FOR("1.2.3.4:99999")), "own");
    for (i = 0; i < 60; i++)
        size += (size_t)snprintf(many + size, sizeof many - size, FOR("10.0.0.%u"), (unsigned)i);
    CHECK_STR(forwarded(many), "10.0.0.44"); /* only the last sixteen lines count */
    NET_END();
}

#define FORWARDED(list) "Forwarded: " list "\r\n"

static void test_rfc7239(void) {
    static const struct { const char *fields, *seen; } cases[] = {
        {FORWARDED("for=1.2.3.4"), "1.2.3.4"}, {FORWARDED("For=\"1.2.3.4:5678\""), "1.2.3.4:5678"},
        {FORWARDED("by=10.0.0.9 ; FOR=1.2.3.4;proto=http"), "1.2.3.4"},
        {FORWARDED("for=\"[2001:4860::1]:443\", for=10.0.0.1"), "[2001:4860::1]:443"},
        {FORWARDED("for=\"[2001:4860::1]\""), "[2001:4860::1]"}, {FORWARDED("for=\"[::ffff:1.2.3.4]\""), "1.2.3.4"},
        {FORWARDED("for=6.6.6.6, for=1.2.3.4,for=10.0.0.7"), "1.2.3.4"}, /* 6.6.6.6 is what the client wrote */
        {FORWARDED("for=6.6.6.6") FORWARDED("for=1.2.3.4, for=10.0.0.7") FORWARDED("for=10.0.0.8"), "1.2.3.4"},
        {FORWARDED(";for=1.2.3.4;;by=x;"), "1.2.3.4"},
        {FORWARDED("for=1.2.3.4, for=unknown, for=10.0.0.7"), "10.0.0.7"},
        {FORWARDED("for=1.2.3.4, for=_secret, for=10.0.0.7"), "10.0.0.7"},
        {FORWARDED("for=1.2.3.4, proto=http, for=10.0.0.7"), "10.0.0.7"}, /* an element that does not say for whom */
        {FOR("1.2.3.4"), "own"}, {FOR("1.2.3.4") FORWARDED("for=5.6.7.8"), "5.6.7.8"},
        /* what a client writes in Host stays in the string in which the proxy passes it on */
        {FORWARDED("for=1.2.3.4;host=\"x, for=6.6.6.6;y=\""), "1.2.3.4"},
        {FORWARDED("for=1.2.3.4;host=\"x;for=6.6.6.6\""), "1.2.3.4"},
        {FORWARDED("for=1.2.3.4;host=\"x\\\", for=6.6.6.6;y=\\\"\""), "1.2.3.4"},
        {FORWARDED("for=1.2.3.4;host=\"x\\\\\""), "1.2.3.4"},
        /* what a client writes in Forwarded hides nothing behind it */
        {FORWARDED("for=\", for=1.2.3.4"), "1.2.3.4"}, {FORWARDED("for=\"6.6.6.6, for=1.2.3.4"), "1.2.3.4"},
        {FORWARDED("x=\"a\\, for=\"1.2.3.4\""), "1.2.3.4"}, {FORWARDED("\", for=1.2.3.4, for=10.0.0.7"), "1.2.3.4"},
        /* malformed elements name nobody */
        {FORWARDED("1.2.3.4"), "own"}, {FORWARDED(""), "own"}, {FORWARDED("for"), "own"}, {FORWARDED("for="), "own"},
        {FORWARDED("=1.2.3.4"), "own"}, {FORWARDED("for=1.2.3.4:80"), "own"},
        {FORWARDED("for=1.2.3.4 by=1"), "own"}, {FORWARDED("for=\"1.2.3.4"), "own"},
        {FORWARDED("for=\"\";for=1.2.3.4"), "own"},
        {FORWARDED("for=1.2.3.4;host=\"a\";for=6.6.6.6;x=\"\""), "own"}, /* Host, quoted without a backslash */
        {FORWARDED("for=1.2.3.4\""), "own"},
        {FORWARDED("\"for\"=1.2.3.4"), "own"}, {FORWARDED("=x;for=1.2.3.4"), "own"},
        {FORWARDED("by xy;for=1.2.3.4"), "own"}, {FORWARDED("for=1.2.3.4") FORWARDED("for=unknown"), "own"},
        {FORWARDED("for=1.2.3.4;by"), "own"}, {FORWARDED(";by=x;;"), "own"},
        {FORWARDED("for=\"1.2.3.4:99999\""), "own"}, {FORWARDED("for=\"\""), "own"}, {FORWARDED("xfor=1.2.3.4"), "own"},
    };
    if (!test_begin("Forwarded of trusted proxies, instead of X-Forwarded-For (RFC 7239)"))
        return;
    rfc7239 = true;
    CHECK(start("127.0.0.0/8, 10.0.0.0/8, 2001:db8::/32", false, 0));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *seen = forwarded(cases[i].fields);
        test_memory(seen, strlen(seen), cases[i].seen, strlen(cases[i].seen), cases[i].fields, __FILE__, __LINE__);
    }
    NET_END();
    CHECK(start("10.0.0.0/8", false, 0));
    CHECK_STR(forwarded(FORWARDED("for=1.2.3.4")), "own");
    NET_END();
    CHECK(!start(NULL, false, 0));
    CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL("forwarded needs proxies: those that may send its header"));
    rfc7239 = false;
    NET_END();
    CHECK(start("127.0.0.1", false, 0)); /* what a proxy passes on, and does not set, counts for nothing */
    CHECK_STR(forwarded(FORWARDED("for=1.2.3.4")), "own");
    NET_END();
}

/* A connection carries the requests of several clients of the proxy. */
static void test_each_request(void) {
    static const struct { const char *field, *seen; } requests[] = {
        {"X-Forwarded-For: 1.2.3.4\r\n", "1.2.3.4"}, {"", "127.0.0.1:"}, {"X-Forwarded-For: 5.6.7.8\r\n", "5.6.7.8"},
        {"X-Forwarded-For: 5.6.7.8\r\n", "5.6.7.8"}, {"X-Forwarded-For: x\r\n", "127.0.0.1:"},
    };
    char text[200];
    size_t i;
    peer *p;
    if (!test_begin("each request of a connection has its own X-Forwarded-For, or none"))
        return;
    CHECK(start("127.0.0.1", false, 0));
    p = net_connect();
    for (i = 0; i < sizeof requests / sizeof *requests; i++) {
        (void)snprintf(text, sizeof text, "GET /peer HTTP/1.1\r\nHost: a\r\n%s\r\n", requests[i].field);
        peer_text(p, text);
        net_settle();
        peer_seen[strcspn(peer_seen, ":") + (strchr(peer_seen, ':') != NULL)] = 0; /* without the port */
        CHECK_STR(peer_seen, requests[i].seen);
    }
    NET_END();
}

static void test_ranges(void) {
    static const struct { const char *list, *address; bool trusted; } cases[] = {
        {"10.0.0.0/8", "10.255.1.2", true}, {"10.0.0.0/8", "11.0.0.0", false}, {"10.0.0.0/9", "10.128.0.0", false},
        {"10.0.0.0/9", "10.127.255.255", true}, {"0.0.0.0/0", "8.8.8.8", true}, {"0.0.0.0/0", "::1", false},
        {"1.2.3.4", "1.2.3.4", true}, {"1.2.3.4", "1.2.3.5", false}, {"1.2.3.4/31", "1.2.3.5", true},
        {"::/0", "8.8.8.8", true}, {"fd00::/8", "fdff::1", true}, {"fd00::/8", "fe00::1", false},
        {"::ffff:1.2.3.0/120", "1.2.3.9", true}, {"::1/128", "::1", true}, {"unix", "::1", false}, {"", "::1", false},
        {"::ffff:0:0/96", "8.8.8.8", true}, {"::ffff:10.0.0.0/104", "10.9.9.9", true}, {"::/0", "fd00::1", true},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true}, {"10.0.0.0/8", "::10.1.1.1", false}, {"1.2.3.4/32", "1.2.3.5", false},
        {"1.2.3.4/0", "9.9.9.9", true}, {"fd00::1/127", "fd00::", true}, {"fd00::1/127", "fd00::2", false},
        {"fd00::/8,10.0.0.0/8", "10.0.0.1", true}, {"10.0.0.0/8, fd00::/8", "fd00::1", true},
        {"160.0.0.0/3", "32.0.0.1", false}, {"160.0.0.0/3", "191.0.0.1", true}, {"::2", "::3", false},
        {"::3", "::3", true}, {"1.2.3.4/32", "1.2.3.4", true}, {"unix", "127.0.0.1", false},
        {"64:ff9b::/96", "10.0.0.1", false}, {"0.0.0.0/0", "fd00::1", false},
    };
    static const char *const bad[] = {"x", "1.2.3", "1.2.3.4/33", "::1/129", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/8x",
                                      "localhost", "10.0.0.0/8 ::1", "[::1]"};
    wsi_forward_peer who;
    size_t i;
    if (!test_begin("addresses and ranges; ws_listen fails with invalid ones"))
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        who.local = false;
        CHECK(wsi_platform_address(wsi_text_z(cases[i].address), who.address));
        test_equal(wsi_forward_trusts(cases[i].list, &who), cases[i].trusted, cases[i].list, __FILE__, __LINE__);
    }
    who.local = true;
    CHECK(wsi_forward_trusts("::1, unix", &who) && !wsi_forward_trusts("::/0, 0.0.0.0/0", &who));
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!start(bad[i], false, 0));
        test_equal(ws_loop_error(net.loop), WS_ERROR_ARGUMENT, bad[i], __FILE__, __LINE__);
        if (i == 1)
            CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL("proxies: \"1.2.3\" is neither a numeric address, a "
                                                               "range such as 10.0.0.0/8, nor the word unix"));
        NET_END();
    }
    CHECK(!start(NULL, true, 0));
    CHECK_STR(ws_loop_error_text(net.loop), NET_DETAIL("proxy_protocol needs proxies: those that may send its header"));
    NET_END();
}

/* --- the PROXY protocol --- */

#define V2 "\r\n\r\n\0\r\nQUIT\n"

typedef struct header {
    const char *data;
    size_t size;
    const char *seen;
} header;

#define HEADER(data, seen) {(data), sizeof(data) - 1, (seen)}

static const header good[] = {
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\n", "1.2.3.4:1000"),
    HEADER("PROXY TCP6 2001:db8::1 ::1 65535 80\r\n", "[2001:db8::1]:65535"),
    HEADER("PROXY TCP6 ::ffff:1.2.3.4 ::1 1000 80\r\n", "1.2.3.4:1000"),
    HEADER("PROXY UNKNOWN\r\n", "own"),
    HEADER("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "own"),
    HEADER(V2 "\x20\x00\0\0", "own"),
    HEADER(V2 "\x20\x11\0\x0c\1\2\3\4\5\6\7\x08\x03\xe8\0\x50", "own"),
    HEADER(V2 "\x21\x11\0\x0c\1\2\3\4\5\6\7\x08\x03\xe8\0\x50", "1.2.3.4:1000"),
    HEADER(V2 "\x21\x11\0\x10\1\2\3\4\5\6\7\x08\x03\xe8\0\x50\4\0\1x", "1.2.3.4:1000"),
    HEADER(V2 "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x03\xe8\0\x50",
           "[2001:db8::1]:1000"),
    HEADER(V2 "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x03\xe8\0\x50",
           "1.2.3.4:1000"),
    HEADER(V2 "\x21\x00\0\0", "own"),
    HEADER(V2 "\x21\x31\0\1x", "own"),
};

static const header bad[] = {
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1000\r\n", ""), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1000 80 \r\n", ""),
    HEADER("PROXY TCP4 1.2.3 5.6.7.8 1000 80\r\n", ""), HEADER("PROXY TCP4 ::1 ::1 1000 80\r\n", ""),
    HEADER("PROXY TCP6 1.2.3.4 1.2.3.4 1000 80\r\n", ""), HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 65536 80\r\n", ""),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1000 x\r\n", ""), HEADER("PROXY TCP5 1.2.3.4 5.6.7.8 1000 80\r\n", ""),
    HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\n", ""), HEADER("PROXY\r\n", ""),
        HEADER("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", ""),
    HEADER("PROXY TCP4                                                                                            "
           "                     \r\n", ""),
    HEADER(V2 "\x11\x11\0\x0c\1\2\3\4\5\6\7\x08\x03\xe8\0\x50", ""),
        HEADER(V2 "\x22\x11\0\x0c\1\2\3\4\5\6\7\x08\x03\xe8\0\x50", ""),
    HEADER(V2 "\x21\x11\0\x0b\1\2\3\4\5\6\7\x08\x03\xe8\0\x50", ""),
        HEADER(V2 "\x21\x21\0\x0c\1\2\3\4\5\6\7\x08\x03\xe8\0\x50", ""),
    HEADER(V2 "\x21\x11\xff\xff\1\2\3\4", ""), HEADER(V2 "\x21\x41\0\0", ""), HEADER("\r\n\r\n\0\r\nQUIX", ""),
    HEADER("GET / HTTP/1.1\r\n", ""), HEADER("P", ""), HEADER(V2 "\x21\x13\0\0", ""), HEADER("proxy TCP4", ""),
};

static void test_protocol(void) {
    size_t i;
    if (!test_begin("PROXY, version 1 and 2"))
        return;
    CHECK(start("127.0.0.1", true, 0));
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        const char *seen = seen_with(good[i].data, good[i].size, "");
        test_memory(seen, strlen(seen), good[i].seen, strlen(good[i].seen), good[i].data, __FILE__, __LINE__);
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *seen = seen_with(bad[i].data, bad[i].size, "");
        test_memory(seen, strlen(seen), "", 0, bad[i].data, __FILE__, __LINE__);
    }
    net_wait(11000); /* "P" alone waits as long as a head may */
    CHECK_EQ(net.loop->conn_count, 0);
    NET_END();
    CHECK(start("127.0.0.1, 1.2.3.4", true, 0)); /* one proxy in front of the other */
    CHECK_STR(seen_with(good[0].data, good[0].size, FOR("9.9.9.9")), "9.9.9.9");
    NET_END();
    CHECK(start("127.0.0.1", true, 0));
    CHECK_STR(seen_with(good[0].data, good[0].size, FOR("9.9.9.9")), "1.2.3.4:1000");
    NET_END();
    CHECK(start("10.0.0.1", true, 0)); /* nobody else may send a PROXY header */
    CHECK_STR(seen_with("", 0, ""), "own");
    CHECK_STR(seen_with(good[0].data, good[0].size, ""), "");
    NET_END();
}

#define LONGEST "[0000:0000:0000:0000:0000:ffff:255.255.255.255]:"

/* Complete headers with missing or wrong parts. */
static void test_malformed(void) {
    static const struct { const char *line; bool good; } lines[] = {
        {"PROXY UNKNOWN", true}, {"PROXY UNKNOWN x", true}, {"PROXY UNKNOWNX", false}, {"PROXY UNKNOW", false},
        {"PROXY ABCDEFG", false}, {"PROXY", false}, {"PROXY TCP6 ::1 ::2 1 2", true}, {"PROXY TCP5 ::1 ::2 1 2", false},
        {"PROXY TCP6 ::1 1.2.3.4 1 2", false}, {"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536", false},
        {"PROXY TCP4 1.2.3.4 1.2.3.4 x 2", false}, {"PROXY TCP4 1.2.3.4 1.2.3.4 1", false},
    };
    char text[80], digits[70];
    uint8_t address[16];
    if (!test_begin("PROXY lines and addresses that are malformed"))
        return;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        test_equal(wsi_forward_line(wsi_text_z(lines[i].line), text, sizeof text), lines[i].good, lines[i].line,
                   __FILE__, __LINE__);
    CHECK(wsi_forward_address(wsi_text("1.2.3.4:80::", 10), address));
    CHECK(!wsi_forward_address(wsi_text_z("[::1"), address));
    CHECK(wsi_forward_address(wsi_text_z("1::"), address));
    (void)snprintf(digits, sizeof digits, LONGEST "%016d", 80);
    CHECK(!wsi_forward_address(wsi_text(digits, 64), address)); /* which wsi_forward_put has no room for */
    (void)snprintf(digits, sizeof digits, LONGEST "%015d", 80);
    CHECK(wsi_forward_address(wsi_text(digits, 63), address));
    memset(digits, '1', sizeof digits);
    CHECK(!wsi_forward_address(wsi_text(digits, 64), address) && !wsi_forward_address(wsi_text(digits, 63), address));
    CHECK(!wsi_forward_address(wsi_text(NULL, 0), address));
}

/* A header begins: what its first bytes say, one by one. */
static void test_scan(void) {
    uint8_t data[WSI_FORWARD_MAX + 2];
    if (!test_begin("PROXY headers: complete, incomplete, or none at all, at every size"))
        return;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        memcpy(data, good[i].data, good[i].size);
        data[good[i].size] = 'x'; /* what follows is not looked at */
        for (size_t size = 1; size <= good[i].size + 1; size++)
            CHECK_EQ(wsi_forward_scan(data, size), size < good[i].size ? 0 : (long long)good[i].size);
    }
    for (size_t i = 0; i < 2; i++) {
        size_t signature = i ? 12 : 6;
        for (size_t wrong = 0; wrong < signature; wrong++) {
            memcpy(data, i ? V2 : "PROXY ", signature);
            data[wrong] ^= 0x80;
            CHECK_EQ(wsi_forward_scan(data, wrong + 1), WSI_FORWARD_BAD);
            CHECK_EQ(wsi_forward_scan(data, signature), WSI_FORWARD_BAD);
            if (wrong)
                CHECK_EQ(wsi_forward_scan(data, wrong), 0);
        }
    }
    memset(data, ' ', sizeof data);
    memcpy(data, "PROXY", 5);
    CHECK_EQ(wsi_forward_scan(data, 106), 0); /* the longest line has 107 bytes */
    CHECK_EQ(wsi_forward_scan(data, 107), WSI_FORWARD_BAD);
    memcpy(data + 105, "\r\n", 2);
    CHECK_EQ(wsi_forward_scan(data, 107), 107);
    CHECK_EQ(wsi_forward_scan(data, 108), 107);
    memcpy(data + 105, " \r\n", 3);
    CHECK_EQ(wsi_forward_scan(data, 108), WSI_FORWARD_BAD);
    memcpy(data, V2 "\x21\x11", 14);
    for (size_t more = 0; more < 2; more++) {
        size_t size = WSI_FORWARD_MAX - 16 + more;
        data[14] = (uint8_t)(size >> 8);
        data[15] = (uint8_t)size;
        CHECK_EQ(wsi_forward_scan(data, 15), 0);
        CHECK_EQ(wsi_forward_scan(data, 16), more ? WSI_FORWARD_BAD : 0);
        CHECK_EQ(wsi_forward_scan(data, WSI_FORWARD_MAX), more ? WSI_FORWARD_BAD : WSI_FORWARD_MAX);
    }
}

static void test_binary(void) {
    static const struct { uint8_t command, family; size_t size; bool good; } cases[] = {
        {0x20, 0x00, 16, true}, {0x20, 0x11, 16, true}, {0x22, 0x00, 16, false}, {0x2f, 0x00, 16, false},
        {0x10, 0x00, 16, false}, {0x30, 0x00, 16, false}, {0x21, 0x00, 16, true}, {0x21, 0x12, 16, true},
        {0x21, 0x32, 16, true}, {0x21, 0x13, 16, false}, {0x21, 0x41, 16, false}, {0x21, 0x11, 28, true},
        {0x21, 0x11, 27, false}, {0x21, 0x11, 16, false}, {0x21, 0x21, 52, true}, {0x21, 0x21, 51, false},
        {0x21, 0x21, 28, false}, {0x21, 0x21, 16, false},
    };
    if (!test_begin("PROXY 2: commands, families, and sizes that hold no address"))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t data[52] = V2;
        char text[64] = "", name[80];
        (void)snprintf(name, sizeof name, "command %02x, family %02x, %u bytes", cases[i].command, cases[i].family,
                       (unsigned)cases[i].size);
        data[12] = cases[i].command;
        data[13] = cases[i].family;
        test_equal(wsi_forward_binary(data, cases[i].size, text, sizeof text), cases[i].good, name, __FILE__, __LINE__);
        CHECK_EQ(text[0] != 0, cases[i].good && cases[i].size > 16);
    }
}

/* A proxy on the same machine, and what the addresses before it say. */
static void test_walk(void) {
    static ws_server server;
    wsi_forward_peer who;
    wsi_slice client = wsi_text(NULL, 0);
    if (!test_begin("behind a Unix socket that is trusted, the address that its proxy names is not"))
        return;
    server.proxies = "unix";
    memset(&who, 0, sizeof who);
    who.local = true;
    CHECK(!wsi_forward_walk(&server, wsi_text_z("6.6.6.6, 1.2.3.4"), &who, &client));
    CHECK(wsi_text_is(client, "1.2.3.4") && !who.local);
}

/* The state of a connection whose header is wrong, or has just come to its end. */
static void test_header_ends(void) {
    if (!test_begin("PROXY: a wrong header ends the connection; after a right one the last byte alone starts it"))
        return;
    CHECK(start("127.0.0.1", true, 0));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        peer *p = net_connect();
        (void)peer_send(p, bad[i].data, bad[i].size);
        net_settle();
        bool waits = wsi_forward_scan((const uint8_t *)bad[i].data, bad[i].size) == 0;
        test_equal(p->ended, !waits, bad[i].data, __FILE__, __LINE__);
        leave(p);
    }
    CHECK_EQ(net.loop->conn_count, 0);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        peer *p = net_connect();
        (void)peer_send(p, good[i].data, good[i].size - 1);
        net_settle();
        CHECK(net.loop->conn_count == 1 && net.server->endpoint.conns->source.link.kind == WSI_KIND_HEADER);
        (void)peer_send(p, good[i].data + good[i].size - 1, 1);
        net_settle();
        CHECK(net.loop->conn_count == 1 && net.server->endpoint.conns->source.link.kind != WSI_KIND_HEADER);
        leave(p);
    }
    NET_END();
}

#define SECURE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
    "Sec-WebSocket-Version: 13\r\n"

typedef struct origin { const char *fields; int status; } origin;

/* Behind a proxy with TLS, pages of http do not count as the same origin. */
static void origins(const origin *cases, size_t count) {
    CHECK(start("127.0.0.1", false, 0));
    CHECK(net_route("/schemes"));
    for (size_t i = 0; i < count; i++) {
        char text[600];
        peer *p = net_connect();
        (void)snprintf(text, sizeof text, "GET /schemes HTTP/1.1\r\nHost: a\r\n" SECURE "%s\r\n", cases[i].fields);
        peer_text(p, text);
        net_settle();
        test_equal(peer_status(p), cases[i].status, cases[i].fields, __FILE__, __LINE__);
    }
    NET_END();
}

static void test_origins(void) {
    static const origin cases[] = {
        {"Origin: http://a\r\n", 101}, {"Origin: https://a\r\nX-Forwarded-Proto: https\r\n", 101},
        {"Origin: http://a\r\nX-Forwarded-Proto: https\r\n", 403},
        {"Origin: http://a\r\nX-Forwarded-Proto: WSS\r\n", 403},
        {"Origin: https://a\r\nX-Forwarded-Proto: wss\r\n", 101},
        {"Origin: http://a\r\nX-Forwarded-Proto: ws\r\n", 101},
    };
    if (test_begin("X-Forwarded-Proto of a trusted proxy, and origins"))
        origins(cases, sizeof cases / sizeof *cases);
}

static void test_origins_rfc7239(void) {
    static const origin cases[] = {
        {"Origin: http://a\r\n", 101}, {"Origin: https://a\r\nForwarded: for=1.2.3.4;proto=https\r\n", 101},
        {"Origin: http://a\r\nForwarded: for=1.2.3.4;proto=https\r\n", 403},
        {"Origin: https://b\r\nForwarded: for=1.2.3.4;host=b;proto=https\r\n", 101},
        {"Origin: https://b:8443\r\nForwarded: host=\"b:8443\";proto=\"https\"\r\n", 101},
        {"Origin: https://b\r\nForwarded: for=1.2.3.4;host=a;proto=https\r\n", 403},
        {"Origin: https://b\r\nForwarded: host=b, host=a\r\n", 403},
        {"Origin: https://b\r\nForwarded: host=a, host=b\r\n", 101},
        {"Origin: https://b\r\nForwarded: host=b,\r\nForwarded:\r\n", 101},
        {"Origin: https://b\r\nX-Forwarded-Host: b\r\n", 403}, {"Origin: http://b\r\nForwarded: host=\"b\r\n", 403},
        {"Origin: http://a\r\nX-Forwarded-Proto: https\r\n", 101},
        {"Origin: http://b\r\nForwarded: host=\"a, host=b;x=\"\r\n", 403}, /* the client's Host, passed on */
    };
    if (!test_begin("host and proto of a trusted proxy's Forwarded, and origins"))
        return;
    rfc7239 = true;
    origins(cases, sizeof cases / sizeof *cases);
    rfc7239 = false;
}

static void test_pieces(void) {
    size_t i, at;
    if (!test_begin("PROXY headers in pieces, cut at every byte"))
        return;
    CHECK(start("127.0.0.1", true, 0));
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        for (at = 1; at <= good[i].size; at++) {
            peer *p = net_connect();
            (void)peer_send(p, good[i].data, at);
            net_settle();
            (void)peer_send(p, good[i].data + at, good[i].size - at);
            peer_text(p, "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n");
            CHECK_EQ(peer_status(p), 200);
            leave(p);
        }
    }
    NET_END();
}

static void test_scarce(bool protocol) {
    size_t n;
    if (!test_begin("without memory a proxied connection ends%s", protocol ? ", with PROXY headers" : ""))
        return;
    for (n = 1; n < 40; n++) {
        peer *p;
        CHECK(start("127.0.0.1", protocol, 0));
        p = net_connect();
        net.memory.fail_at = net.memory.calls + n;
        if (protocol) {
            (void)peer_send(p, good[0].data, 5);
            net_settle();
            (void)peer_send(p, good[0].data + 5, good[0].size - 5);
        }
        peer_text(p, "GET /peer HTTP/1.1\r\nHost: a\r\n" FOR("1.1.1.1") "\r\n");
        net_settle();
        CHECK(peer_status(p) == 200 || peer_status(p) == 500 || peer_status(p) == 503 || p->ended);
        if (peer_status(p) == 200) /* the proxy is never taken for its client */
            CHECK_STR(peer_seen, protocol ? good[0].seen : "1.1.1.1");
        net.memory.fail_at = 0;
        NET_END();
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_untrusted();
    test_trusted();
    test_rfc7239();
    test_each_request();
    test_ranges();
    test_protocol();
    test_malformed();
    test_scan();
    test_binary();
    test_walk();
    test_header_ends();
    test_origins();
    test_origins_rfc7239();
    test_pieces();
    test_scarce(true);
    test_scarce(false);
    return test_finish();
}
