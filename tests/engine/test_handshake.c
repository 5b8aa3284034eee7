/* HANDSHAKE, UPGRADE: the opening handshake of both roles, through the engine (RFC 6455 4 and 10.2). */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include "../helpers/drive.h"

/* The parts of a good request, in the order in which the cases leave them out or change them. */
#define GET "GET /chat HTTP/1.1\r\n"
#define HOST "Host: server.example.com\r\n"
#define UP "Upgrade: websocket\r\n"
#define CON "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VER "Sec-WebSocket-Version: 13\r\n"
#define GOOD GET HOST UP CON KEY VER

#ifdef WSI_BARE /* a 400's body */
#define REFUSAL ""
#else
#define REFUSAL "Bad Request"
#endif

/* The status that the server has sent; 0: none yet. */
static int status_of(const drive *d) {
    return d->out.size > 12 && memcmp(d->out.data, "HTTP/1.1 ", 9) == 0 ? atoi((const char *)d->out.data + 9)
    : 0;
}

static bool holds(const bytes *b, const char *text) {
    return bytes_find(b, text, 0) != SIZE_MAX;
}

/* The status that a server with this config answers. */
static int answer(const ws_engine_config *config, const char *text, size_t size, size_t piece) {
    drive d;
    int status;
    CHECK(drive_start(&d, WS_ROLE_SERVER, config));
    drive_feed_pieces(&d, (const uint8_t *)text, size, piece);
    status = status_of(&d);
    CHECK_EQ(ws_engine_state(&d.engine), status == 101 ? WS_OPEN : status ? WS_CLOSED : WS_CONNECTING);
    CHECK(drive_logged(&d, status == 101 ? "ro" : status == 0 ? "" : d.log.size > 1 ? "rx" : "x"));
    CHECK(status < 400 || holds(&d.out, "\r\nConnection: close\r\n")
          || holds(&d.out, "\r\nConnection: close, Upgrade\r\n"));
    CHECK(d.steps < DRIVE_MAX_STEPS && !d.memory.wrong);
    ws_engine_free(&d.engine);
    CHECK_EQ(d.memory.used, 0);
    drive_free(&d);
    return status;
}

typedef struct server_case {
    const char *name, *text;
    size_t size;
    int status;
} server_case;

#define CASE(name, text, status) {name, text "\r\n", sizeof(text "\r\n") - 1, status}

/* RFC 6455 4.2.1, item by item. */
static const server_case rules[] = {
    CASE("example of RFC 6455 1.2", GOOD "Origin: http://server.example.com\r\n", 101),
    CASE("good request", GOOD, 101),
    CASE("fields in another order", GET VER KEY CON UP HOST, 101),
    CASE("names and values in other cases",
        GET
            "hOST: a\r\nUPGRADE: WebSocket\r\ncONNECTION: uPGRADE\r\nsec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n"
         "SEC-WEBSOCKET-VERSION: 13\r\n", 101),
    CASE("no space, many spaces", GET
        "Host:a\r\nUpgrade:websocket\r\nConnection:  Upgrade\t\r\nSec-WebSocket-Key:\tdGhlIHNhbXBsZSBub25jZQ== \r\n"
         "Sec-WebSocket-Version: 13  \r\n", 101),
    CASE("Connection list", GET HOST UP "Connection: keep-alive, Upgrade\r\n" KEY VER, 101),
    CASE("two Connection lines", GET HOST UP CON "Connection: keep-alive\r\n" KEY VER, 101),
    CASE("Upgrade list", GET HOST "Upgrade: h2c, websocket\r\n" CON KEY VER, 101),
    CASE("two Upgrade lines", GET HOST "Upgrade: h2c\r\n" UP CON KEY VER, 101),
    CASE("later minor version", "GET / HTTP/1.2\r\n" HOST UP CON KEY VER, 101),
    CASE("absolute target", "GET ws://server.example.com/chat HTTP/1.1\r\n" HOST UP CON KEY VER, 101),
    /* RFC 9112 3.2.2: Host is then ignored. */
    CASE("absolute target of another host",
        "GET ws://other.example.com/chat HTTP/1.1\r\n" HOST UP CON KEY VER, 101),
    CASE("absolute target with the default port",
        "GET ws://server.example.com:80/chat HTTP/1.1\r\n" HOST UP CON KEY VER, 101),
    CASE("absolute target without Host", "GET ws://server.example.com/chat HTTP/1.1\r\n" UP CON KEY VER, 400),
    CASE("absolute target and a page of its host", "GET ws://other.example.com/chat HTTP/1.1\r\n" HOST UP CON KEY VER
         "Origin: http://other.example.com\r\n", 101),
    CASE("absolute target and a page of Host's", "GET ws://other.example.com/chat HTTP/1.1\r\n" HOST UP CON KEY VER
         "Origin: http://server.example.com\r\n", 403),
    CASE("unknown fields, cookies", GOOD "Cookie: a=b\r\nCookie: c=d\r\nX-Thing: 1\r\nX-Thing: 2\r\n", 101),
    CASE("unused bits set in the key", GET HOST UP CON "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n" VER, 101),
    CASE("empty line first", "\r\n" GOOD, 101),

    CASE("POST", "POST /chat HTTP/1.1\r\n" HOST UP CON KEY VER, 405),
    CASE("PUT", "PUT /chat HTTP/1.1\r\n" HOST UP CON KEY VER, 405),
    CASE("HEAD", "HEAD /chat HTTP/1.1\r\n" HOST UP CON KEY VER, 405),
    CASE("method in lower case", "get /chat HTTP/1.1\r\n" HOST UP CON KEY VER, 405),
    CASE("HTTP/1.0", "GET /chat HTTP/1.0\r\n" HOST UP CON KEY VER, 400),
    CASE("HTTP/2.0", "GET /chat HTTP/2.0\r\n" HOST UP CON KEY VER, 505),
    CASE("HTTP/0.9", "GET /chat HTTP/0.9\r\n" HOST UP CON KEY VER, 505),
    CASE("no HTTP version", "GET /chat\r\n" HOST UP CON KEY VER, 400),
    CASE("no request line", HOST UP CON KEY VER, 400),
    CASE("no Host", GET UP CON KEY VER, 400), CASE("two Hosts", GOOD HOST, 400),
    CASE("empty Host", GET "Host:\r\n" UP CON KEY VER, 400),
    CASE("no Upgrade", GET HOST CON KEY VER, 426),
    CASE("other Upgrade", GET HOST "Upgrade: h2c\r\n" CON KEY VER, 426),
    CASE("Upgrade with a version", GET HOST "Upgrade: websocket/13\r\n" CON KEY VER, 426),
    CASE("plain GET", GET HOST, 426),
    CASE("no Connection", GET HOST UP KEY VER, 400),
    CASE("Connection keep-alive", GET HOST UP "Connection: keep-alive\r\n" KEY VER, 400),
    CASE("Connection with a longer word", GET HOST UP "Connection: Upgraded\r\n" KEY VER, 400),
    CASE("no key", GET HOST UP CON VER, 400),
    CASE("empty key", GET HOST UP CON "Sec-WebSocket-Key:\r\n" VER, 400),
    CASE("short key", GET HOST UP CON "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n" VER, 400),
    CASE("long key", GET HOST UP CON "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSAhIQ==\r\n" VER, 400),
    CASE("key without padding", GET HOST UP CON "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" VER, 400),
    CASE("key that is no base64", GET HOST UP CON "Sec-WebSocket-Key: dGhlIHNhb*BsZSBub25jZQ==\r\n" VER, 400),
    CASE("two keys", GOOD KEY, 400),
    CASE("two different keys", GOOD "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n", 400),
    CASE("no version", GET HOST UP CON KEY, 426),
    CASE("version 8", GET HOST UP CON KEY "Sec-WebSocket-Version: 8\r\n", 426),
    CASE("version 14", GET HOST UP CON KEY "Sec-WebSocket-Version: 14\r\n", 426),
    CASE("version 013", GET HOST UP CON KEY "Sec-WebSocket-Version: 013\r\n", 426),
    CASE("version in words", GET HOST UP CON KEY "Sec-WebSocket-Version: thirteen\r\n", 426),
    CASE("empty version", GET HOST UP CON KEY "Sec-WebSocket-Version:\r\n", 426),
    CASE("two versions", GOOD VER, 400),
    CASE("other version and no key", GET HOST UP CON "Sec-WebSocket-Version: 8\r\n", 426),

    CASE("subprotocol offered, none supported", GOOD "Sec-WebSocket-Protocol: chat\r\n", 101),
    /* Gateways add such lines to every request: a field without a value means nothing. */
    CASE("empty subprotocol", GOOD "Sec-WebSocket-Protocol:\r\n", 101),
    CASE("empty subprotocol of spaces", GOOD "Sec-WebSocket-Protocol: \t \r\n", 101),
    CASE("empty subprotocol, and another", GOOD "Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: a\r\n", 101),
    CASE("empty Expect", GOOD "Expect:\r\n", 101),
    CASE("subprotocol of commas", GOOD "Sec-WebSocket-Protocol: ,\r\n", 400),
    CASE("subprotocol that is not a token", GOOD "Sec-WebSocket-Protocol: a b\r\n", 400),
    CASE("subprotocol in quotes", GOOD "Sec-WebSocket-Protocol: \"chat\"\r\n", 400),
    CASE("subprotocol twice", GOOD "Sec-WebSocket-Protocol: a, a\r\n", 400),
    CASE("subprotocol twice in two lines",
        GOOD "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, a\r\n", 400),
    CASE("subprotocol twice after another", GOOD "Sec-WebSocket-Protocol: a, b, b\r\n", 400),
    CASE("subprotocols in two lines", GOOD "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, A\r\n",
        101),
    CASE("empty elements among subprotocols", GOOD "Sec-WebSocket-Protocol: , a,, b ,\r\n", 101),
    CASE("a subprotocol and the same word elsewhere", GOOD "X: a\r\nSec-WebSocket-Protocol: a\r\n", 101),

    CASE("extensions",
        GOOD "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x; a=1; b=\"2\"\r\n",
        101),
    CASE("extensions in two lines", GOOD "Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b;c=d\r\n",
        101),
    CASE("empty elements among extensions", GOOD "Sec-WebSocket-Extensions: a, , b,\r\n", 101),
    CASE("spaces around the punctuation of an extension", GOOD "Sec-WebSocket-Extensions: a ; b = c , d\r\n", 101),
    CASE("empty extension", GOOD "Sec-WebSocket-Extensions:\r\n", 101),
    CASE("both empty", GOOD "Sec-WebSocket-Extensions: \r\nSec-WebSocket-Protocol: \r\n", 101),
    CASE("extension of commas", GOOD "Sec-WebSocket-Extensions: ,\r\n", 400),
    CASE("extension of punctuation", GOOD "Sec-WebSocket-Extensions: ;;=\r\n", 400),
    CASE("extension without name", GOOD "Sec-WebSocket-Extensions: ;a=b\r\n", 400),
    CASE("extension with an empty parameter", GOOD "Sec-WebSocket-Extensions: a;\r\n", 400),
    CASE("extension with an empty value", GOOD "Sec-WebSocket-Extensions: a;b=\r\n", 400),
    CASE("extension with two values", GOOD "Sec-WebSocket-Extensions: a;b=c=d\r\n", 400),
    CASE("value directly after an extension's name", GOOD "Sec-WebSocket-Extensions: a=b\r\n", 400),
    CASE("extension with an open quote", GOOD "Sec-WebSocket-Extensions: a;b=\"c\r\n", 400),
    CASE("extension with empty quotes", GOOD "Sec-WebSocket-Extensions: a;b=\"\"\r\n", 400),
    CASE("quoted value that is not a token", GOOD "Sec-WebSocket-Extensions: a;b=\"c d\"\r\n", 400),
    /* RFC 6455 9.1: the value is a token after quoted-string unescaping (RFC 9110 5.6.4). */
    CASE("a line feed as a line, after subprotocols", GOOD "Sec-WebSocket-Protocol: a\r\n\nX\r\n", 400),
    CASE("a lone carriage return, after subprotocols", GOOD "Sec-WebSocket-Protocol: a\r\n\rX: y\r\n", 400),
    CASE("quoted pair", GOOD "Sec-WebSocket-Extensions: a;b=\"\\c\"\r\n", 101),
    CASE("quoted pairs, and another extension", GOOD "Sec-WebSocket-Extensions: a;b=\"\\c\\dd\"; e , f\r\n", 101),
    CASE("quoted pair of a quote", GOOD "Sec-WebSocket-Extensions: a;b=\"c\\\"\"\r\n", 400),
    CASE("quoted pair of a backslash", GOOD "Sec-WebSocket-Extensions: a;b=\"\\\\\"\r\n", 400),
    CASE("quoted pair of a space", GOOD "Sec-WebSocket-Extensions: a;b=\"\\ \"\r\n", 400),
    CASE("quoted pair of a comma", GOOD "Sec-WebSocket-Extensions: a;b=\"c\\,d\"\r\n", 400),
    CASE("quoted pair without its end", GOOD "Sec-WebSocket-Extensions: a;b=\"c\\\r\n", 400),
    CASE("backslash outside quotes", GOOD "Sec-WebSocket-Extensions: a;b=\\c\r\n", 400),
    CASE("extension in quotes", GOOD "Sec-WebSocket-Extensions: \"a\"\r\n", 400),
    CASE("extension of two words", GOOD "Sec-WebSocket-Extensions: a b\r\n", 400),

    CASE("obs-fold", GOOD "X: a\r\n b\r\n", 400),
    CASE("folded Upgrade", GET HOST "Upgrade:\r\n websocket\r\n" CON KEY VER, 400),
    CASE("bare LF", GET "Host: a\n" UP CON KEY VER, 400),
    CASE("bare CR", GET "Host: a\r" UP CON KEY VER, 400), CASE("NUL", GOOD "X: \0\r\n", 400),
    CASE("space before the colon", GET "Host : a\r\n" UP CON KEY VER, 400),
    CASE("space before the colon of the key",
         GET HOST UP CON "Sec-WebSocket-Key : dGhlIHNhbXBsZSBub25jZQ==\r\n" VER, 400),
    CASE("no colon", GOOD "X\r\n", 400),
    CASE("a subprotocol, and no colon", GOOD "Sec-WebSocket-Protocol: a\r\nX\r\n", 400),
    CASE("no name", GOOD ": x\r\n", 400),
    CASE("name in UTF-8", GOOD "\xc3\xa9: x\r\n", 400),
    CASE("length 0", GOOD "Content-Length: 0\r\n", 101),
    CASE("a body with an upgrade", GOOD "Content-Length: 5\r\n", 400),
    CASE("a chunked body with an upgrade", GOOD "Transfer-Encoding: chunked\r\n", 400),
    CASE("length and chunked", GOOD "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400),
    CASE("two lengths", GOOD "Content-Length: 0\r\nContent-Length: 0\r\n", 400),
    CASE("negative length", GOOD "Content-Length: -1\r\n", 400),
    CASE("length 00", GOOD "Content-Length: 00\r\n", 101),
    CASE("length of many zeros", GOOD "Content-Length: 000000000000000000\r\n", 101),
    CASE("long length", GOOD "Content-Length: 100000000000000000\r\n", 400),
    CASE("a body", GET HOST "Content-Length: 5\r\n", 426),
    CASE("a chunked body", GET HOST "Transfer-Encoding: chunked\r\n", 426),
    CASE("another coding", GET HOST "Transfer-Encoding: gzip, chunked\r\n", 501),
    CASE("an expectation", GOOD "Expect: 100-continue\r\n", 101),
    CASE("another expectation", GOOD "Expect: something\r\n", 417),
    CASE("OPTIONS of the server", "OPTIONS * HTTP/1.1\r\n" HOST, 426),
    CASE("the scheme of a target in capitals", "GET WS://server.example.com/ HTTP/1.1\r\n" HOST UP CON KEY VER, 101),
    CASE("huge length", GOOD "Content-Length: 99999999999999999999999\r\n", 400),
};

static void test_rules(void) {
    size_t i;
    for (i = 0; i < COUNT(rules); i++)
        if (test_begin("%s", rules[i].name)) {
            CHECK_EQ(answer(NULL, rules[i].text, rules[i].size, 0), rules[i].status);
            CHECK_EQ(answer(NULL, rules[i].text, rules[i].size, 1), rules[i].status);
            CHECK_EQ(answer(NULL, rules[i].text, rules[i].size, 7), rules[i].status);
        }
}

/* --- the server's answers --- */

static void start_and_feed(drive *d, const ws_engine_config *config, const char *text) {
    CHECK(drive_start(d, WS_ROLE_SERVER, config));
    drive_feed_text(d, text);
}

static void test_accepting(void) {
    drive d;
    if (!test_begin("the answer 101"))
        return;
    start_and_feed(&d, NULL, DRIVE_REQUEST);
    CHECK_MEM(d.out.data, d.out.size, DRIVE_RESPONSE, strlen(DRIVE_RESPONSE));
    drive_free(&d);
}

/* RFC 9110 15.5.6, 15.5.22, 7.8; RFC 6455 4.2.2, 4.4. */
static void test_refusals(void) {
    drive d;
    if (test_begin("the answer 426")) {
        start_and_feed(&d, NULL, GET HOST UP CON KEY "Sec-WebSocket-Version: 12\r\n\r\n");
        CHECK(holds(&d.out, "\r\nSec-WebSocket-Version: 13\r\n"));
        CHECK(holds(&d.out, "\r\nUpgrade: websocket\r\n"));
        CHECK(holds(&d.out, "\r\nConnection: close, Upgrade\r\n"));
        CHECK_EQ(bytes_count(&d.out, "Connection: "), 1);
        CHECK(!holds(&d.out, "this address"));
        CHECK(!holds(&d.out, "Sec-WebSocket-Accept"));
        drive_free(&d);
    }
    if (test_begin("the answer 426 to plain HTTP")) {
        start_and_feed(&d, NULL, GET HOST "\r\n");
        CHECK(holds(&d.out, "\r\nConnection: close, Upgrade\r\n"));
        CHECK_EQ(bytes_count(&d.out, "Connection: "), 1);
        CHECK(!*REFUSAL || holds(&d.out, "\r\n\r\nUpgrade Required: this address is a WebSocket"));
        drive_free(&d);
    }
    if (test_begin("the answer 405")) {
        start_and_feed(&d, NULL, "DELETE /chat HTTP/1.1\r\n" HOST UP CON KEY VER "\r\n");
        CHECK(holds(&d.out, "\r\nAllow: GET"));
        drive_free(&d);
    }
    if (test_begin("a refusal's body has its length")) {
        const char *end;
        start_and_feed(&d, NULL, GET HOST UP CON VER "\r\n");
        bytes_add_byte(&d.out, 0);
        end = strstr((const char *)d.out.data, "\r\n\r\n");
        CHECK(end != NULL);
        CHECK(strstr((const char *)d.out.data, *REFUSAL ? "Content-Length: 11\r\n" : "Content-Length: 0\r\n"));
        CHECK_STR(end ? end + 4 : "", REFUSAL);
        drive_free(&d);
    }
    if (test_begin("no body for HEAD")) {
        start_and_feed(&d, NULL, "HEAD / HTTP/1.1\r\n" HOST "\r\n");
        CHECK(d.out.size > 4 && memcmp(d.out.data + d.out.size - 4, "\r\n\r\n", 4) == 0);
        drive_free(&d);
    }
}

static void test_subprotocols(void) {
    static const struct { const char *ours, *offered, *chosen; } cases[] = {
        {"chat", "chat", "chat"}, {"chat, superchat", "superchat, chat", "chat"}, {"b,a", "a,b", "b"},
        {"x", "a, b", ""},
        {"chat", "Chat", ""}, {"chat", "superchat", ""}, {"", "chat", ""},
        {"chat", "a\r\nSec-WebSocket-Protocol: b, chat", "chat"},
        {" , b ,", "b", "b"}, {"a", "a, b", "a"}, {"chat", "other\r\nX: chat", ""},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        ws_engine_config config;
        char text[500], wanted[60];
        drive d;
        if (!test_begin("subprotocol %zu: '%s' for '%s'", i, cases[i].chosen, cases[i].ours))
            continue;
        memset(&config, 0, sizeof config);
        config.subprotocols = cases[i].ours;
        (void)snprintf(text, sizeof text, GOOD "Sec-WebSocket-Protocol: %s\r\n\r\n", cases[i].offered);
        (void)snprintf(wanted, sizeof wanted, "\r\nSec-WebSocket-Protocol: %s\r\n", cases[i].chosen);
        start_and_feed(&d, &config, text);
        CHECK_EQ(status_of(&d), 101);
        CHECK_EQ(bytes_count(&d.out, "Sec-WebSocket-Protocol"), *cases[i].chosen ? 1 : 0);
        CHECK_EQ(holds(&d.out, wanted), *cases[i].chosen != 0);
        drive_free(&d);
    }
    if (test_begin("no subprotocol offered, none sent")) {
        ws_engine_config config;
        drive d;
        memset(&config, 0, sizeof config);
        config.subprotocols = "chat";
        start_and_feed(&d, &config, DRIVE_REQUEST);
        CHECK(!holds(&d.out, "Sec-WebSocket-Protocol"));
        drive_free(&d);
    }
}

/* RFC 6455 1.3, 4.2.2. */
static void test_accept_value(void) {
    static const struct { const char *key, *accept; } cases[] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
        {"AQIDBAUGBwgJCgsMDQ4PEC==", "OfS0wDaT5NoxF2gqm7Zj2YtetzM="},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        char accept[28];
        if (!test_begin("Sec-WebSocket-Accept for %s", cases[i].key))
            continue;
        wsi_handshake_accept(wsi_text_z(cases[i].key), accept);
        CHECK_MEM(accept, sizeof accept, cases[i].accept, strlen(cases[i].accept));
    }
}

static void test_origins(void) {
    static const struct { const char *allowed, *host, *origin; int status; } cases[] = {
        {NULL, "a.example", NULL, 101}, {NULL, "a.example", "http://a.example", 101},
        {NULL, "a.example", "https://a.example", 101},
        {NULL, "a.example", "HTTP://A.Example", 101}, {NULL, "A.EXAMPLE", "http://a.example", 101},
        {NULL, "a.example:80", "http://a.example", 101},
        {NULL, "a.example", "http://a.example:80", 101}, {NULL, "a.example:443", "https://a.example", 101},
        {NULL, "a.example", "https://a.example:443", 101},
        {NULL, "a.example:8080", "http://a.example:8080", 101},
        {NULL, "[::1]:8080", "http://[::1]:8080", 101},
        {NULL, "127.0.0.1:9001", "http://127.0.0.1:9001", 101},
        {NULL, "a.example", "http://b.example", 403}, {NULL, "a.example", "null", 403},
        {NULL, "a.example", "", 403}, {NULL, "a.example", "http://", 403},
        {NULL, "a.example", "http://xa.example", 403},
        {NULL, "a.example", "http://a.example.evil.example", 403},
        {NULL, "a.example", "http://a.exampl", 403},
        {NULL, "a.example", "http://evil.example/a.example", 403},
        {NULL, "a.example", "http://evil.example#a.example", 403},
        {NULL, "a.example", "http://a.example@evil.example", 403},
        {NULL, "a.example", "http://evil@a.example", 403}, {NULL, "a.example", "http://a.example/", 403},
        {NULL, "a.example", "http://a.example?b", 403},
        {NULL, "a.example", "http://a.example:81", 403}, {NULL, "a.example:81", "http://a.example", 403},
        {NULL, "a.example:8080", "http://a.example:8081", 403},
        {NULL, "a.example", "http://a.example:443", 403}, {NULL, "a.example", "https://a.example:80", 403},
        {NULL, "a.example", "ftp://a.example", 403},
        {NULL, "a.example", "file://", 403}, {NULL, "a.example", "a.example", 403},
        {NULL, "a.example", "http:a.example", 403}, {NULL, "a.example", "//a.example", 403},
        {NULL, "a.example", "http://a.example http://evil.example", 403},
        {NULL, "a.example", "http://evil.example http://a.example", 403},
        {NULL, "a.example", "http://a.example, http://evil.example", 403},
        {NULL, "a.example", "http://a.example.", 403}, {NULL, "a.example", "http://a.example:", 101},
        {"", "a.example", "http://a.example", 101}, {"", "a.example", "http://b.example", 403},
        {"*", "a.example", "http://b.example", 101}, {"*", "a.example", "null", 101},
        {"*", "a.example", NULL, 101},
        {"https://b.example, https://c.example:8443", "a.example", "https://b.example", 101},
        {"https://b.example, https://c.example:8443", "a.example", "https://C.example:8443", 101},
        {"https://b.example, https://c.example:8443", "a.example", "https://c.example", 403},
        {"https://b.example, https://c.example:8443", "a.example", "http://b.example", 403},
        {"https://b.example, https://c.example:8443", "a.example", "https://a.example", 403},
        {"https://b.example, https://c.example:8443", "a.example", "https://b.example.evil", 403},
        {"https://b.example, https://c.example:8443", "a.example", "https://xb.example", 403},
        {"https://b.example, https://c.example:8443", "a.example", "null", 403},
        {"https://b.example, https://c.example:8443", "a.example", NULL, 101},
        {"https://b.example", "a.example", "", 403}, {"null", "a.example", "null", 101},
        /* RFC 6454 4, 5: an origin is a scheme, a host and a port; without a port, the scheme's default counts */
        {"https://b.example:443", "a.example", "https://b.example", 101},
        {"https://b.example", "a.example", "https://b.example:443", 101},
        {"http://b.example", "a.example", "http://b.example:80", 101},
        {"http://b.example:443", "a.example", "https://b.example", 403},
        {"https://b.example", "a.example", "https://b.example:80", 403},
        {"app://b.example", "a.example", "app://b.example", 101}, {"file://", "a.example", "file://", 101},
        {"app://b.example", "a.example", "app://b.example:80", 403}, {"file://", "a.example", "file:///", 403},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        ws_engine_config config;
        char text[600];
        const char *origin = cases[i].origin;
        if (!test_begin("origin '%s' at %s, allowed '%s'", origin ? origin : "(none)", cases[i].host,
            cases[i].allowed ? cases[i].allowed : "(own)"))
            continue;
        memset(&config, 0, sizeof config);
        config.origins = cases[i].allowed;
        (void)snprintf(text, sizeof text, GET "Host: %s\r\n" UP CON KEY VER "%s%s%s\r\n", cases[i].host,
            origin ? "Origin: " : "", origin ? origin : "",
                       origin ? "\r\n" : "");
        CHECK_EQ(answer(&config, text, strlen(text), 0), cases[i].status);
    }
}

/* --- sizes --- */

/* A good request of exactly this size. */
static void sized(bytes *out, size_t size) {
    bytes_add(out, GOOD "X: ", strlen(GOOD "X: "));
    while (out->size + 4 < size)
        bytes_add_byte(out, 'x');
    bytes_add(out, "\r\n\r\n", 4);
}

static void test_limits(void) {
    static const struct { size_t limit, size; int status; } cases[] = {
        {0, 16384, 101}, {0, 16385, 431}, {0, 100000, 431}, {400, 400, 101}, {400, 401, 431},
        {40000, 40000, 101}, {40000, 40001, 431},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        ws_engine_config config;
        bytes text = {NULL, 0, 0};
        if (!test_begin("head of %zu bytes, limit %zu", cases[i].size, cases[i].limit))
            continue;
        memset(&config, 0, sizeof config);
        config.limits.head = cases[i].limit;
        sized(&text, cases[i].size);
        CHECK_EQ(text.size, cases[i].size);
        CHECK_EQ(answer(&config, (const char *)text.data, text.size, 0), cases[i].status);
        CHECK_EQ(answer(&config, (const char *)text.data, text.size, 1), cases[i].status);
        bytes_free(&text);
    }
}

/* An endless head costs no more memory than the limit, rounded up, and is then refused. */
static void test_endless(void) {
    drive d;
    size_t i;
    if (!test_begin("endless head"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    drive_feed_text(&d, GET);
    for (i = 0; i < 100000; i++)
        drive_feed_text(&d, "X: yyyyyyyyy\r\n");
    CHECK_EQ(status_of(&d), 431);
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_TOO_BIG);
    CHECK(d.memory.peak <= 2 * 16384 + 4096);
    drive_free(&d);
    if (!test_begin("endless empty lines"))
        return;
    CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
    for (i = 0; i < 100000; i++)
        drive_feed_text(&d, "\r\n");
    CHECK(status_of(&d) == 0 || status_of(&d) >= 400);
    CHECK(d.memory.peak <= 2 * 16384 + 4096);
    drive_free(&d);
}

static void test_header_counts(void) {
    size_t count;
    bytes text = {NULL, 0, 0};
    int wrong = 0;
    if (!test_begin("0 to 2000 header fields"))
        return;
    bytes_add(&text, GOOD, strlen(GOOD));
    for (count = 0; count <= 2000; count++) {
        bytes_add(&text, "\r\n", 2);
        wrong += answer(NULL, (const char *)text.data, text.size, 0) != 101;
        text.size -= 2;
        bytes_add(&text, "A: b\r\n", 6);
    }
    CHECK_EQ(wrong, 0);
    bytes_free(&text);
}

static void test_many_subprotocols(void) {
    size_t count;
    for (count = 63; count <= 65; count++) {
        char text[2000] = GOOD "Sec-WebSocket-Protocol: a0";
        size_t i;
        if (!test_begin("%zu subprotocols", count))
            continue;
        for (i = 1; i < count; i++)
            (void)snprintf(text + strlen(text), 10, ",a%zu", i);
        strcat(text, "\r\n\r\n");
        CHECK_EQ(answer(NULL, text, strlen(text), 0), count <= 64 ? 101 : 400);
    }
}

/* --- damage --- */

static bool known_status(int status) {
    return status == 101 || status == 400 || status == 405 || status == 426 || status == 505;
}

/* Every byte value in every place of a good head: there is no crash, and always a proper answer. A control
   character is never accepted. */
static void test_replaced_bytes(void) {
    char text[] = DRIVE_REQUEST;
    size_t at, size = sizeof text - 1;
    for (at = 0; at < size; at++) {
        char good = text[at];
        int value, wrong = 0;
        if (!test_begin("every byte at place %zu of a head", at))
            continue;
        for (value = 0; value < 256; value++) {
            int status;
            bool control = (value < 32 && value != '\t') || value == 127;
            text[at] = (char)value;
            status = answer(NULL, text, size, 0);
            wrong += !known_status(status);
            wrong += control && text[at] != good && status == 101;
        }
        CHECK_EQ(wrong, 0);
        text[at] = good;
    }
}

static void test_moved_bytes(void) {
    static const char inserted[] = "\0\t\n\r :,;\"/?%aA0\x7f\x80\xff";
    const char *good = DRIVE_REQUEST;
    size_t at, which, size = strlen(good);
    char text[400];
    int wrong = 0;
    if (test_begin("a byte left out of a head")) {
        for (at = 0; at < size; at++) {
            memcpy(text, good, at);
            memcpy(text + at, good + at + 1, size - at - 1);
            wrong += !known_status(answer(NULL, text, size - 1, 0)) && at < size - 4;
        }
        CHECK_EQ(wrong, 0);
    }
    wrong = 0;
    if (!test_begin("a byte put into a head"))
        return;
    for (at = 0; at + 2 < size; at++) /* within the last empty line, more bytes would be needed */
        for (which = 0; which < sizeof inserted - 1; which++) {
            memcpy(text, good, at);
            text[at] = inserted[which];
            memcpy(text + at + 1, good + at, size - at);
            wrong += !known_status(answer(NULL, text, size + 1, 0));
        }
    CHECK_EQ(wrong, 0);
}

/* --- bytes after the head --- */

static void test_behind_the_head(void) {
    static const uint8_t frame[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    size_t piece;
    for (piece = 0; piece < 4; piece++) {
        bytes text = {NULL, 0, 0};
        drive d;
        if (!test_begin("a frame after the request, pieces of %zu", piece))
            continue;
        bytes_add(&text, DRIVE_REQUEST, strlen(DRIVE_REQUEST));
        bytes_add(&text, frame, sizeof frame);
        CHECK(drive_start(&d, WS_ROLE_SERVER, NULL));
        drive_feed_pieces(&d, text.data, text.size, piece);
        CHECK(drive_logged(&d, "roT"));
        CHECK(d.out.size > 7 && memcmp(d.out.data + d.out.size - 7, "\x81\x05Hello", 7) == 0);
        drive_free(&d);
        bytes_free(&text);
    }
    for (piece = 0; piece < 4; piece++) {
        bytes text = {NULL, 0, 0};
        drive d;
        if (!test_begin("a frame after the answer, pieces of %zu", piece))
            continue;
        bytes_add(&text, DRIVE_RESPONSE "\x81\x05Hello", strlen(DRIVE_RESPONSE) + 7);
        CHECK(drive_start(&d, WS_ROLE_CLIENT, NULL));
        drive_pump(&d);
        d.out.size = 0;
        drive_feed_pieces(&d, text.data, text.size, piece);
        CHECK(drive_logged(&d, "oT"));
        CHECK(drive_sent(&d, "81\"Hello\""));
        drive_free(&d);
        bytes_free(&text);
    }
}

/* Bytes after a refused request are not read: they may be a smuggled request. */
static void test_behind_a_refusal(void) {
    drive d;
    if (!test_begin("nothing after a refusal is read"))
        return;
    start_and_feed(&d, NULL, GET HOST UP CON VER "\r\n" DRIVE_REQUEST);
    CHECK_EQ(bytes_count(&d.out, "HTTP/1.1 "), 1);
    CHECK(drive_logged(&d, "rx"));
    CHECK_EQ(ws_engine_input(&d.engine).size, 0);
    drive_free(&d);
}

/* --- the client --- */

/* RFC 6455 4.1: what the request must contain. */
static void test_client_request(void) {
    ws_engine_config config;
    drive d;
    if (!test_begin("a client's request"))
        return;
    memset(&config, 0, sizeof config);
    config.host = "example.com:8080";
    config.path = "/feed?x=1";
    config.subprotocols = "chat, superchat";
    CHECK(drive_start(&d, WS_ROLE_CLIENT, &config));
    drive_pump(&d);
    CHECK(d.out.size > 30 && memcmp(d.out.data, "GET /feed?x=1 HTTP/1.1\r\n", 24) == 0);
    CHECK_EQ(bytes_count(&d.out, "\r\nHost: example.com:8080\r\n"), 1);
    CHECK_EQ(bytes_count(&d.out, "Host:"), 1);
    CHECK_EQ(bytes_count(&d.out, "\r\nUpgrade: websocket\r\n"), 1);
    CHECK_EQ(bytes_count(&d.out, "\r\nConnection: Upgrade\r\n"), 1);
    CHECK_EQ(bytes_count(&d.out, "\r\nSec-WebSocket-Version: 13\r\n"), 1);
    CHECK_EQ(bytes_count(&d.out, "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 1);
    CHECK_EQ(bytes_count(&d.out, "\r\nSec-WebSocket-Protocol: chat, superchat\r\n"), 1);
    CHECK_EQ(bytes_count(&d.out, "Sec-WebSocket-Extensions"), 0);
    CHECK_EQ(bytes_count(&d.out, "\r\n\r\n"), 1);
    CHECK(memcmp(d.out.data + d.out.size - 4, "\r\n\r\n", 4) == 0);
    drive_free(&d);
    if (test_begin("a client's request with defaults")) {
        CHECK(drive_start(&d, WS_ROLE_CLIENT, NULL));
        drive_pump(&d);
        CHECK(d.out.size > 20 && memcmp(d.out.data, "GET / HTTP/1.1\r\n", 16) == 0);
        CHECK_EQ(bytes_count(&d.out, "Sec-WebSocket-Protocol"), 0);
        drive_free(&d);
    }
    if (test_begin("an empty list of subprotocols offers none")) {
        memset(&config, 0, sizeof config);
        config.subprotocols = "";
        CHECK(drive_start(&d, WS_ROLE_CLIENT, &config));
        drive_pump(&d);
        CHECK_EQ(bytes_count(&d.out, "Sec-WebSocket-Protocol"), 0);
        drive_free(&d);
    }
}

#define S101 "HTTP/1.1 101 Switching Protocols\r\n"
#define ACC "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

typedef struct client_case {
    const char *name, *offer, *text;
    size_t size;
    int good; /* REFUSED: a good answer with a status other than 101 */
} client_case;

enum { REFUSED = 2 };

#define ANSWER(name, offer, text, good) {name, offer, text "\r\n", sizeof(text "\r\n") - 1, good}

static const client_case answers[] = {
    ANSWER("good answer", NULL, S101 UP CON ACC, true), ANSWER("another order", NULL, S101 ACC CON UP, true),
    ANSWER("names and values in other cases", NULL,
        S101
            "uPGRADE: WEBsocket\r\nCONNECTION: upgrade\r\n"
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", true),
    ANSWER("Connection list in the answer", NULL, S101 UP "Connection: keep-alive, Upgrade\r\n" ACC, true),
    ANSWER("another reason", NULL, "HTTP/1.1 101 Ok then\r\n" UP CON ACC, true),
    ANSWER("empty reason", NULL, "HTTP/1.1 101 \r\n" UP CON ACC, true),
    ANSWER("more fields", NULL, S101 UP CON ACC "Server: x\r\nSet-Cookie: a=b\r\nDate: now\r\n", true),
    ANSWER("space around Accept", NULL,
        S101 UP CON "Sec-WebSocket-Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n", true),
    ANSWER("no Upgrade in the answer", NULL, S101 CON ACC, false),
    ANSWER("no Connection in the answer", NULL, S101 UP ACC, false),
    ANSWER("no Accept", NULL, S101 UP CON, false),
    ANSWER("two Upgrades", NULL, S101 UP UP CON ACC, false),
    ANSWER("two Accepts", NULL, S101 UP CON ACC ACC, false),
    ANSWER("two Accepts, one wrong", NULL, S101 UP CON ACC "Sec-WebSocket-Accept: x\r\n", false),
    ANSWER("other Upgrade in the answer", NULL, S101 "Upgrade: h2c\r\n" CON ACC, false),
    ANSWER("Upgrade with more", NULL, S101 "Upgrade: websocket, h2c\r\n" CON ACC, false),
    ANSWER("Connection close", NULL, S101 UP "Connection: close\r\n" ACC, false),
    ANSWER("empty Accept", NULL, S101 UP CON "Sec-WebSocket-Accept:\r\n", false),
    ANSWER("wrong Accept", NULL, S101 UP CON "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n", false),
    ANSWER("Accept in another case", NULL,
        S101 UP CON "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n", false),
    ANSWER("Accept cut short", NULL, S101 UP CON "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n",
        false),
    ANSWER("Accept and more", NULL, S101 UP CON "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo==\r\n",
        false),
    ANSWER("the key as Accept", NULL, S101 UP CON "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        false),
    ANSWER("200", NULL, "HTTP/1.1 200 OK\r\n" UP CON ACC, REFUSED),
    ANSWER("100 before", NULL, "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" S101 UP CON ACC, true),
    ANSWER("103 twice before a refusal", NULL,
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 403 No\r\n", REFUSED),
    ANSWER("100 and garbage", NULL, "HTTP/1.1 100 Continue\r\n\r\nSSH-2.0\r\n", false),
    ANSWER("HTTP/1.0 that refuses", NULL, "HTTP/1.0 404 Not Found\r\n", REFUSED),
    ANSWER("status 099", NULL, "HTTP/1.1 099 Low\r\n", false),
    ANSWER("101 with Content-Length", NULL, S101 UP CON ACC "Content-Length: 0\r\n", true),
    ANSWER("101 with Transfer-Encoding", NULL, S101 UP CON ACC "Transfer-Encoding: chunked\r\n", true),
    ANSWER("301", NULL, "HTTP/1.1 301 Moved\r\nLocation: ws://b/\r\n" UP CON ACC, REFUSED),
    ANSWER("401", NULL, "HTTP/1.1 401 Unauthorized\r\n" UP CON ACC, REFUSED),
    ANSWER("404", NULL, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n", REFUSED),
    ANSWER("500", NULL, "HTTP/1.1 500 Oh\r\n", REFUSED),
    ANSWER("0101", NULL, "HTTP/1.1 0101 Switching\r\n" UP CON ACC, false),
    ANSWER("1010", NULL, "HTTP/1.1 1010 Switching\r\n" UP CON ACC, false),
    ANSWER("two spaces before the status", NULL, "HTTP/1.1  101 Switching\r\n" UP CON ACC, false),
    ANSWER("HTTP/1.0 in the answer", NULL, "HTTP/1.0 101 Switching\r\n" UP CON ACC, false),
    ANSWER("HTTP/2.0 in the answer", NULL, "HTTP/2.0 101 Switching\r\n" UP CON ACC, false),
    ANSWER("no HTTP", NULL, "SSH-2.0-OpenSSH\r\n", false), ANSWER("a request as answer", NULL, GOOD, false),
    ANSWER("subprotocol that was offered", "a, chat", S101 UP CON ACC "Sec-WebSocket-Protocol: chat\r\n",
        true), ANSWER("none of the offered", "chat", S101 UP CON ACC, true),
    ANSWER("subprotocol that was not offered", "chat", S101 UP CON ACC "Sec-WebSocket-Protocol: other\r\n",
        false),
    ANSWER("subprotocol where none was offered", NULL, S101 UP CON ACC "Sec-WebSocket-Protocol: chat\r\n",
        false),
    ANSWER("subprotocol in another case", "chat", S101 UP CON ACC "Sec-WebSocket-Protocol: Chat\r\n", false),
    ANSWER("subprotocol cut short", "chat", S101 UP CON ACC "Sec-WebSocket-Protocol: cha\r\n", false),
    ANSWER("two subprotocols", "a, b", S101 UP CON ACC "Sec-WebSocket-Protocol: a, b\r\n", false),
    ANSWER("empty subprotocol in the answer", "a", S101 UP CON ACC "Sec-WebSocket-Protocol:\r\n", true),
    ANSWER("empty subprotocol where none was offered", NULL, S101 UP CON ACC "Sec-WebSocket-Protocol: \r\n", true),
    ANSWER("empty subprotocol beside one", "a",
        S101 UP CON ACC "Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: a\r\n", true),
    ANSWER("empty extension in the answer", NULL, S101 UP CON ACC "Sec-WebSocket-Extensions:\r\n", true),
    ANSWER("subprotocol in two lines", "a, b",
        S101 UP CON ACC "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n", false),
    ANSWER("extension that was not offered", NULL,
        S101 UP CON ACC "Sec-WebSocket-Extensions: permessage-deflate\r\n", false),
    ANSWER("obs-fold in the answer", NULL, S101 UP CON ACC "X: a\r\n b\r\n", true), /* RFC 9112 5.2 */
    ANSWER("bare LF in the answer", NULL, S101 "Upgrade: websocket\n" CON ACC, false),
    ANSWER("space before the colon in the answer", NULL, S101 "Upgrade : websocket\r\n" CON ACC, false),
    ANSWER("NUL in the answer", NULL, S101 UP CON ACC "X: \0\r\n", false),
    ANSWER("a line without colon in the answer", NULL, S101 UP CON ACC "what\r\n", false),
};

static void run_answer(const client_case *c, size_t piece) {
    ws_engine_config config;
    drive d;
    memset(&config, 0, sizeof config);
    config.subprotocols = c->offer;
    CHECK(drive_start(&d, WS_ROLE_CLIENT, &config));
    drive_pump(&d);
    d.out.size = 0;
    drive_feed_pieces(&d, (const uint8_t *)c->text, c->size, piece);
    CHECK_EQ(ws_engine_state(&d.engine), c->good == true ? WS_OPEN : WS_CLOSED);
    CHECK(drive_logged(&d, c->good == true ? "o" : c->good == REFUSED ? "fx" : "x"));
    CHECK_EQ(ws_engine_error(&d.engine), c->good == true ? WS_OK : c->good == REFUSED ? WS_ERROR_REFUSED
                                                                                        : WS_ERROR_HANDSHAKE);
    CHECK_EQ(d.out.size, 0); /* no close frame: there is no WebSocket connection */
    CHECK(c->good == true || (d.close_code == 1006 && ws_engine_done(&d.engine)));
    drive_free(&d);
}

static void test_answers(void) {
    size_t i;
    for (i = 0; i < COUNT(answers); i++)
        if (test_begin("%s", answers[i].name)) {
            run_answer(&answers[i], 0);
            run_answer(&answers[i], 1);
        }
}

static void test_endless_answer(void) {
    drive d;
    size_t i;
    if (!test_begin("endless answer"))
        return;
    CHECK(drive_start(&d, WS_ROLE_CLIENT, NULL));
    drive_pump(&d);
    drive_feed_text(&d, S101);
    for (i = 0; i < 5000; i++)
        drive_feed_text(&d, "X: yyyyyyyyy\r\n");
    CHECK(drive_logged(&d, "x"));
    CHECK_EQ(ws_engine_error(&d.engine), WS_ERROR_TOO_BIG);
    CHECK(d.memory.peak <= 2 * 16384 + 4096);
    drive_free(&d);
}

/* With every byte value in every place, an answer opens or refuses. A changed Accept never opens. */
static void test_replaced_answer(void) {
    char text[] = DRIVE_RESPONSE;
    size_t at, size = sizeof text - 1, accept = size - 4 - 28;
    for (at = 0; at < size; at++) {
        char good = text[at];
        int value, wrong = 0;
        if (!test_begin("every byte at place %zu of an answer", at))
            continue;
        for (value = 0; value < 256; value++) {
            drive d;
            bool open;
            text[at] = (char)value;
            wrong += !drive_start(&d, WS_ROLE_CLIENT, NULL);
            drive_pump(&d);
            drive_feed_text(&d, "");
            (void)drive_feed(&d, text, size);
            open = ws_engine_state(&d.engine) == WS_OPEN;
            /* 100 and 102 to 109 are interim: the final answer is still to come */
            wrong += !open && ws_engine_state(&d.engine) != WS_CLOSED && !(at == 10 || at == 11);
            wrong += open && text[at] != good && at >= accept;
            wrong += !open && text[at] == good;
            drive_free(&d);
        }
        CHECK_EQ(wrong, 0);
        text[at] = good;
    }
}

/* Without a list of origins, a server with TLS allows its own host over https only. */
static void test_secure_origins(void) {
    static const struct { const char *origin; bool secure, good; } cases[] = {
        {"https://a.example", true, true}, {"http://a.example", true, false}, {"https://b.example", true, false},
        {"http://a.example", false, true}, {"ftp://a.example", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        wsi_request request;
        wsi_why why;
        if (!test_begin("origin %s on a server %s TLS", cases[i].origin, cases[i].secure ? "with" : "without"))
            continue;
        memset(&request, 0, sizeof request);
        request.host = wsi_text_z("a.example");
        request.origin = wsi_text_z(cases[i].origin);
        CHECK_EQ(wsi_handshake_origin(&request, NULL, cases[i].secure, &why), cases[i].good);
#ifndef WS_SMALL
        if (!cases[i].good)
            CHECK_EQ(wsi_text_is(why.part[2], " is not in .origins, nor https:// with the Host "), cases[i].secure);
#endif
    }
}

/* No text that a program puts into a request may begin a new line. */
static void test_injection(void) {
    static const char *const bad[] = {"a\rb", "a\nb", "a\r\nX: y", "a b", "a\tb", "a\x01", "a\x7f", "\r\n",
        " "};
    size_t i, field;
    for (field = 0; field < 3; field++)
        for (i = 0; i < COUNT(bad); i++) {
            ws_engine_config config;
            char path[20];
            bool list = field == 2 && (strcmp(bad[i], "a b") == 0 || strcmp(bad[i], " ") == 0);
            drive d;
            if (list || !test_begin("injection %zu into %s", i, field == 0 ? "host" : field == 1 ? "path"
                : "subprotocols"))
                continue;
            memset(&config, 0, sizeof config);
            (void)snprintf(path, sizeof path, "/%s", bad[i]);
            config.host = field == 0 ? bad[i] : "a";
            config.path = field == 1 ? path : NULL;
            config.subprotocols = field == 2 ? bad[i] : NULL;
            CHECK(!drive_start(&d, WS_ROLE_CLIENT, &config));
            CHECK_EQ(d.memory.used, 0);
        }
}

/* A program's header line has a name, a colon, no control character, and is not one that ws.h writes. */
static void test_own_lines(void) {
    static const struct { const char *line; bool good; } cases[] = {
        {"X: a", true}, {"X: a\tb", true}, {"X:", true}, {"X: \xc3\xa9", true}, {"X", false}, {": a", false},
        {"", false}, {"X : a", false}, {"X: a\x01", false}, {"X: a\r\nY: b", false}, {"X: a\nY: b", false},
        {"X: \x7f", false}, {"Upgrade: x", false}, {"sec-websocket-key: x", false}, {"Host: b", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *const lines[] = {"A: b", cases[i].line, NULL};
        ws_engine_config config;
        drive d;
        if (!test_begin("a client's own header line %zu", i))
            continue;
        memset(&config, 0, sizeof config);
        config.headers = lines;
        CHECK_EQ(drive_start(&d, WS_ROLE_CLIENT, &config), cases[i].good);
        drive_pump(&d);
        CHECK_EQ(d.out.size && bytes_find(&d.out, cases[i].line, 0) != SIZE_MAX, cases[i].good);
        drive_free(&d);
    }
}

static void test_bad_config(void) {
    static uint8_t room[2048];
    ws_engine_config config;
    ws_engine engine;
    if (!test_begin("configs that cannot work"))
        return;
    memset(&config, 0, sizeof config);
    config.role = WS_ROLE_CLIENT;
    config.host = "a";
    CHECK(!ws_engine_init(&engine, &config)); /* no random source */
    config.random = drive_random;
    config.host = NULL;
    CHECK(!ws_engine_init(&engine, &config));
    CHECK(!ws_engine_init(&engine, NULL));
    CHECK(!ws_engine_init(NULL, &config));
    memset(&config, 0, sizeof config);
    config.memory = room;
    config.memory_size = 1023;
    CHECK(!ws_engine_init(&engine, &config));
    config.memory_size = 1024;
    CHECK(ws_engine_init(&engine, &config));
    for (size_t least = 319; least <= 320; least++) { /* the least for input, and for output */
        config.output_size = least;
        CHECK_EQ(ws_engine_init(&engine, &config), least == 320);
        config.output_size = 1024 - least;
        CHECK_EQ(ws_engine_init(&engine, &config), least == 320);
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_accept_value();
    test_rules();
    test_accepting();
    test_refusals();
    test_subprotocols();
    test_origins();
    test_secure_origins();
    test_limits();
    test_endless();
    test_header_counts();
    test_many_subprotocols();
    test_replaced_bytes();
    test_moved_bytes();
    test_behind_the_head();
    test_behind_a_refusal();
    test_client_request();
    test_answers();
    test_endless_answer();
    test_replaced_answer();
    test_injection();
    test_own_lines();
    test_bad_config();
    return test_finish();
}
