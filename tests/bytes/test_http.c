/* HTTP: heads of requests, their targets, fields and bodies, byte by byte and as a whole. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"

#define HEAD(name, text, status) {name, text, sizeof(text) - 1, status}
#define GET(fields) "GET / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define PUT(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define LINE(line) line "\r\nHost: a\r\n\r\n"

typedef struct head_case {
    const char *name, *text;
    size_t size;
    int status; /* 0: good */
} head_case;

static wsi_http_seen seen; /* the head parsed last */

/* Scans and parses as the engine does. Returns 400 for a byte that no head may have, -1 if its end is missing. */
static int parse(wsi_request *request, const char *text, size_t size) {
    size_t head = wsi_http_scan((const uint8_t *)text, 0, size);
    if (head == WSI_HTTP_BAD)
        return 400;
    if (!head)
        return -1;
    CHECK_EQ(head, size);
    return wsi_handshake_head(request, &seen, wsi_text(text, head));
}

static void run_heads(const head_case *cases, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) {
        wsi_request request;
        char *exact = test_exact(cases[i].text, cases[i].size);
        if (test_begin("%s", cases[i].name))
            CHECK_EQ(parse(&request, exact, cases[i].size), cases[i].status);
        free(exact);
    }
}

/* RFC 9112 3: the request line. */
static void test_request_line(void) {
    static const head_case cases[] = {
        HEAD("plain", LINE("GET / HTTP/1.1"), 0), HEAD("later minor version", LINE("GET / HTTP/1.9"), 0),
        HEAD("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0),
        HEAD("any token is a method", LINE("M-SEARCH / HTTP/1.1"), 0),
        HEAD("HTTP/2.0", LINE("GET / HTTP/2.0"), 505), HEAD("HTTP/0.9", LINE("GET / HTTP/0.9"), 505),
        HEAD("HTTP/9.9", LINE("GET / HTTP/9.9"), 505),
        HEAD("no version", LINE("GET /"), 400), HEAD("no target", LINE("GET"), 400),
        HEAD("empty target", LINE("GET  HTTP/1.1"), 400),
        HEAD("empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        /* the engine removes an empty line before it parses */
        HEAD("no method", LINE(" / HTTP/1.1"), 400), HEAD("two spaces", LINE("GET  / HTTP/1.1"), 400),
        HEAD("two spaces before the version", LINE("GET /  HTTP/1.1"), 400),
        HEAD("space at the end", LINE("GET / HTTP/1.1 "), 400),
        HEAD("tabs", LINE("GET\t/\tHTTP/1.1"), 400),
        HEAD("tab in the target", LINE("GET /a\tb HTTP/1.1"), 400),
        HEAD("space in the target", LINE("GET /a b HTTP/1.1"), 400),
        HEAD("lower case version", LINE("GET / http/1.1"), 400),
        HEAD("short version", LINE("GET / HTTP/1"), 400), HEAD("long version", LINE("GET / HTTP/1.10"), 400),
        HEAD("version with a letter", LINE("GET / HTTP/1.x"), 400),
        HEAD("version with a comma", LINE("GET / HTTP/1,1"), 400),
        HEAD("version without a slash", LINE("GET / HTTP-1.1"), 400),
        HEAD("other protocol", LINE("GET / ICY/1.1"), 400),
        HEAD("method with a colon", LINE("GE:T / HTTP/1.1"), 400),
        HEAD("method in quotes", LINE("\"GET\" / HTTP/1.1"), 400),
        HEAD("method in UTF-8", LINE("G\xc3\x89T / HTTP/1.1"), 400),
        HEAD("target in UTF-8", LINE("GET /\xc3\xa9 HTTP/1.1"), 400),
        HEAD("DEL in the target", LINE("GET /\x7f HTTP/1.1"), 400),
        HEAD("fragment in the target", LINE("GET /a#b HTTP/1.1"), 400),
        HEAD("relative target", LINE("GET a HTTP/1.1"), 400),
        HEAD("asterisk with GET", LINE("GET * HTTP/1.1"), 400),
        HEAD("authority form", LINE("CONNECT a:80 HTTP/1.1"), 400),
        HEAD("unknown scheme", LINE("GET ftp://a/ HTTP/1.1"), 400),
        /* RFC 9112 3.2.2: Host is then ignored. */
        HEAD("absolute form of another host", LINE("GET http://b/ HTTP/1.1"), 0),
        HEAD("absolute form with the default port", LINE("GET http://a:80/ HTTP/1.1"), 0),
        HEAD("absolute form, no Host", "GET http://a/ HTTP/1.1\r\n\r\n", 400),
        HEAD("absolute form, two Hosts", LINE("GET http://a/ HTTP/1.1\r\nHost: a"), 400),
        HEAD("absolute form, bad Host", "GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        /* RFC 9112 3.2.4 */
        HEAD("asterisk with OPTIONS", LINE("OPTIONS * HTTP/1.1"), 0),
        HEAD("asterisk and more", LINE("OPTIONS *a HTTP/1.1"), 400),
        HEAD("asterisk and a query", LINE("OPTIONS *?a HTTP/1.1"), 400),
        HEAD("absolute form without host", LINE("GET http:/// HTTP/1.1"), 400),
        HEAD("absolute form with user", LINE("GET http://u@a/ HTTP/1.1"), 400),
        HEAD("absolute form with a bad port", LINE("GET http://a:x/ HTTP/1.1"), 400),
        HEAD("only a line", "GET / HTTP/1.1\r\n\r\n", 400),
    };
    run_heads(cases, COUNT(cases));
}

/* RFC 9112 2.2, 3.2, 5, 6: whatever two parsers could read differently. */
static void test_smuggling(void) {
    static const head_case cases[] = {
        HEAD("obs-fold", GET("X: a\r\n b\r\n"), 400),
        HEAD("obs-fold with a tab", GET("X: a\r\n\tb\r\n"), 400),
        HEAD("obs-fold of the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        HEAD("bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400),
        HEAD("one bare LF", GET("X: a\nY: b\r\n"), 400),
        HEAD("bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        HEAD("bare CR", GET("X: a\rY: b\r\n"), 400), HEAD("CR CR LF", GET("X: a\r\r\n"), 400),
        HEAD("bare CR in the line", LINE("GET /\r HTTP/1.1"), 400),
        HEAD("NUL in a value", GET("X: a\0b\r\n"), 400), HEAD("NUL in a name", GET("X\0: a\r\n"), 400),
        HEAD("NUL in the line", LINE("GET /\0 HTTP/1.1"), 400),
        HEAD("BEL in a value", GET("X: \a\r\n"), 400), HEAD("DEL in a value", GET("X: \x7f\r\n"), 400),
        HEAD("vertical tab in a value", GET("X: a\vb\r\n"), 400),
        HEAD("form feed in a value", GET("X: a\fb\r\n"), 400),
        HEAD("tab in a value", GET("X: a\tb\r\n"), 0), HEAD("UTF-8 in a value", GET("X: \xc3\xa9\r\n"), 0),
        HEAD("empty value", GET("X:\r\n"), 0),
        HEAD("no space behind the colon", GET("X:a\r\n"), 0), HEAD("much space", GET("X: \t  a \t \r\n"), 0),
        HEAD("space before the colon", GET("X : a\r\n"), 400),
        HEAD("tab before the colon", GET("X\t: a\r\n"), 400),
        HEAD("space before the name", GET(" X: a\r\n"), 400), HEAD("no colon", GET("X\r\n"), 400),
        HEAD("no name", GET(": a\r\n"), 400),
        HEAD("name in UTF-8", GET("\xc3\xa9: a\r\n"), 400), HEAD("name with a slash", GET("a/b: c\r\n"), 400),
        HEAD("space in a name", GET("a b: c\r\n"), 400),
        HEAD("no Host", "GET / HTTP/1.1\r\nX: a\r\n\r\n", 400), HEAD("two Hosts", GET("Host: a\r\n"), 400),
        HEAD("two Hosts in two cases", GET("hOST: b\r\n"), 400),
        HEAD("names that begin like ours", GET("Hosts: b\r\nContent-Lengths: x\r\nTransfer-Encodings: x\r\n"), 0),
        HEAD("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        HEAD("Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        HEAD("Host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        HEAD("Host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        HEAD("Host with a bad port", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        HEAD("Host with a huge port", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
        HEAD("two Origins", GET("Origin: http://a\r\nOrigin: http://a\r\n"), 400),
        HEAD("Content-Length", PUT("Content-Length: 5\r\n"), 0),
        HEAD("Content-Length twice", PUT("Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
        HEAD("two Content-Lengths", PUT("Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
        HEAD("Content-Length list", PUT("Content-Length: 5, 5\r\n"), 400),
        HEAD("negative Content-Length", PUT("Content-Length: -1\r\n"), 400),
        HEAD("Content-Length with a sign", PUT("Content-Length: +1\r\n"), 400),
        HEAD("empty Content-Length", PUT("Content-Length:\r\n"), 400),
        HEAD("hexadecimal Content-Length", PUT("Content-Length: 0x5\r\n"), 400),
        HEAD("Content-Length with a space", PUT("Content-Length: 1 2\r\n"), 400),
        HEAD("Content-Length with a fraction", PUT("Content-Length: 1.0\r\n"), 400),
        HEAD("Content-Length 2^64", PUT("Content-Length: 18446744073709551616\r\n"), 400),
        HEAD("Content-Length of 100 digits",
            PUT("Content-Length: 1111111111111111111111111111111111111111111111111111111111"
                                                 "111111111111111111111111111111111111111111\r\n"), 400),
        HEAD("chunked", PUT("Transfer-Encoding: chunked\r\n"), 0),
        HEAD("chunked in capitals", PUT("TRANSFER-ENCODING: CHUNKED\r\n"), 0),
        HEAD("chunked and a length", PUT("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400),
        HEAD("a length and chunked", PUT("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        HEAD("chunked and length 0", PUT("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), 400),
        HEAD("chunked twice", PUT("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
        HEAD("chunked, chunked", PUT("Transfer-Encoding: chunked, chunked\r\n"), 400),
        /* RFC 9112 6.1: an unknown coding gets 501; 6.3: without chunked as the last coding, the end is unknown */
        HEAD("gzip, chunked", PUT("Transfer-Encoding: gzip, chunked\r\n"), 501),
        HEAD("x;a=\"\", chunked", PUT("Transfer-Encoding: x;a=\"\", chunked\r\n"), 501),
        HEAD("x;a=b , CHUNKED", PUT("Transfer-Encoding: x;a=b , CHUNKED\r\n"), 501),
        HEAD("gzip, chunked with HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
        HEAD("gzip, chunked and a length", PUT("Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n"), 400),
        HEAD("gzip, chunked twice",
            PUT("Transfer-Encoding: gzip, chunked\r\nTransfer-Encoding: gzip, chunked\r\n"), 400),
        HEAD("gzip, chunked and a malformed field", PUT("Transfer-Encoding: gzip, chunked\r\nX : a\r\n"), 400),
        HEAD("chunked, gzip", PUT("Transfer-Encoding: chunked, gzip\r\n"), 400),
        HEAD("chunked, gzip, chunked", PUT("Transfer-Encoding: chunked, gzip, chunked\r\n"), 400),
        HEAD("no token, chunked", PUT("Transfer-Encoding: a b, chunked\r\n"), 400),
        HEAD("chunked with a parameter", PUT("Transfer-Encoding: chunked;a=b\r\n"), 400),
        HEAD("gzip alone", PUT("Transfer-Encoding: gzip\r\n"), 400),
        HEAD("xchunked", PUT("Transfer-Encoding: xchunked\r\n"), 400),
        HEAD("empty Transfer-Encoding", PUT("Transfer-Encoding:\r\n"), 400),
        HEAD("close twice", GET("Connection: close, x, close\r\n"), 0),
        HEAD("an expectation that is not known", GET("Expect: x\r\n"), 417),
        HEAD("the same with HTTP/1.0", "GET / HTTP/1.0\r\nExpect: x\r\n\r\n", 0), /* RFC 9110 10.1.1 */
        HEAD("chunked with HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            400),
    };
    run_heads(cases, COUNT(cases));
}

static void test_targets(void) {
    static const struct { const char *target, *path, *query, *authority; } cases[] = {
        {"/", "/", "", ""}, {"/chat", "/chat", "", ""}, {"/a/b?c=d&e", "/a/b", "c=d&e", ""},
        {"/?", "/", "", ""}, {"/a?b?c", "/a", "b?c", ""},
        {"/%41%2f", "/%41%2f", "", ""}, {"//a//", "//a//", "", ""}, {"/..//.", "/..//.", "", ""},
        {"/a:b@c", "/a:b@c", "", ""}, {"/~!", "/~!", "", ""},
        {"http://a", "/", "", "a"}, {"http://a/", "/", "", "a"}, {"WS://A/x?y", "/x", "y", "A"},
        {"wss://a?q", "/", "q", "a"},
        {"https://a/http://b/", "/http://b/", "", "a"}, {"/?http://b/", "/", "http://b/", ""},
        {"http://b:81/x", "/x", "", "b:81"}, /* although Host is a */
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        wsi_request r;
        char text[200];
        if (!test_begin("target %s", cases[i].target))
            continue;
        (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].target);
        CHECK_EQ(parse(&r, text, strlen(text)), 0);
        CHECK_MEM(r.target.data, r.target.size, cases[i].target, strlen(cases[i].target));
        CHECK_MEM(r.path.data, r.path.size, cases[i].path, strlen(cases[i].path));
        CHECK_MEM(r.query.data, r.query.size, cases[i].query, strlen(cases[i].query));
        CHECK_MEM(r.host.data, r.host.size, *cases[i].authority ? cases[i].authority : "a",
                  *cases[i].authority ? strlen(cases[i].authority) : 1);
    }
}

static void test_slashes(void) {
    static char text[16000];
    wsi_request r;
    if (!test_begin("path of slashes"))
        return;
    memset(text, '/', sizeof text);
    memcpy(text, "GET ", 4);
    memcpy(text + sizeof text - 22, " HTTP/1.1\r\nHost: a\r\n\r\n", 22);
    CHECK_EQ(parse(&r, text, sizeof text), 0);
    CHECK_EQ(r.path.size, sizeof text - 26);
}

/* RFC 3986 3.2. port -1: malformed. */
static void test_authorities(void) {
    static const struct { const char *text, *host; int port; } cases[] = {
        {"a", "a", 7}, {"a:1", "a", 1}, {"a:", "a", 7}, {"a:65535", "a", 65535}, {"a:080", "a", 80},
        {"1.2.3.4:5", "1.2.3.4", 5},
        {"[::1]", "[::1]", 7}, {"[::1]:9", "[::1]", 9}, {"[::1]:", "[::1]", 7}, {"a-b_c~d.e", "a-b_c~d.e", 7},
        {"A%41", "A%41", 7},
        {"", "", -1}, {":80", "", -1}, {"a:65536", "", -1}, {"a:b", "", -1}, {"a:1:2", "", -1},
        {"a b", "", -1}, {"a/b", "", -1}, {"a@b", "", -1},
        {"a\\b", "", -1}, {"a?b", "", -1}, {"a#b", "", -1}, {"[::1", "", -1}, {"::1]", "", -1},
        {"[::1]x", "", -1}, {"[::1]]", "", -1},
        {"[[::1]", "", -1}, {"a[::1]", "", -1}, {"[::1]:x", "", -1}, {"a:-1", "", -1}, {"a: 1", "", -1},
        {"\xc3\xa9", "", -1}, {"a:99999999999999999999", "", -1},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        wsi_slice host;
        uint64_t port = 0;
        bool good;
        if (!test_begin("authority '%s'", cases[i].text))
            continue;
        good = wsi_http_authority(wsi_text_z(cases[i].text), 7, &host, &port);
        CHECK_EQ(good, cases[i].port >= 0);
        if (!good || cases[i].port < 0)
            continue;
        CHECK_MEM(host.data, host.size, cases[i].host, strlen(cases[i].host));
        CHECK_EQ(port, cases[i].port);
    }
}

static void test_fields(void) {
    static const char text[] =
        "HEAD /p HTTP/1.1\r\nhOsT:\texample.com:8080 \r\nORIGIN: http://o\r\nConnection: keep-alive , UPGRADE\r\n"
                               "Content-Length: 12\r\n\r\n";
    wsi_request r;
    if (!test_begin("fields of a request"))
        return;
    CHECK_EQ(parse(&r, text, sizeof text - 1), 0);
    CHECK(wsi_text_is(wsi_http_method_of(&r), "HEAD"));
    CHECK_MEM(r.host.data, r.host.size, "example.com:8080", 16);
    CHECK_MEM(r.origin.data, r.origin.size, "http://o", 8);
    CHECK(seen.connection_upgrade && r.connection_upgrade && r.keep_alive && r.http11 && !r.chunked);
    CHECK(seen.fields >> WSI_FIELD_LENGTH & 1);
    CHECK_EQ(r.content_length, 12);
    CHECK_EQ(parse(&r, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", 46), 0);
    CHECK(!r.keep_alive && !r.connection_upgrade && !(seen.fields >> WSI_FIELD_LENGTH & 1) && !r.origin.data);
    CHECK_EQ(parse(&r, "GET / HTTP/1.0\r\nHost: a\r\n\r\n", 27), 0);
    CHECK(!r.keep_alive && !r.http11);
    CHECK_EQ(parse(&r, "GET / HTTP/1.1\r\nHost: a\r\nOrigin:\r\n\r\n", 36), 0);
    CHECK(r.origin.data && !r.origin.size); /* empty is not absent */
    CHECK_EQ(parse(&r, "GET / HTTP/1.1\r\nHost: a\r\nExpect: Upgrade, close\r\n\r\n", 51), 417);
    CHECK(!seen.connection_upgrade && !seen.closes); /* expectations are no options of Connection */
}

/* A scan that continues where it stopped gives the same result as a scan of the whole, at every byte. */
static void test_scan(void) {
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nbehind", "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\n\n", "GET / HTTP/1.1\n\n", "a\r\n\r\n", "a\x01",
        "GET / HTTP/1.1\r\nX: \x7f\r\n\r\n", "\r\r\n", "\r\n\r\n", "\r\n",
    };
    size_t i, size;
    for (i = 0; i < COUNT(texts); i++) {
        const uint8_t *data = (const uint8_t *)texts[i];
        size_t length = strlen(texts[i]), found = 0, from = 0;
        if (!test_begin("scan %zu byte by byte", i))
            continue;
        for (size = 1; size <= length && !found; size++) {
            found = wsi_http_scan(data, from, size);
            from = size;
        }
        CHECK_EQ(found, wsi_http_scan(data, 0, length));
        CHECK_EQ(found, i == 0 ? 27 : i == 4 ? 5 : i == 8 ? 4 : i == 9 ? 0 : WSI_HTTP_BAD);
    }
}

static void test_headers(void) {
    static const char *const bad[] = {"A : 1\r\n", " A: 1\r\n", ": 1\r\n", "A\r\n", "A b: 1\r\n", "\t1\r\n"};
    wsi_slice head = wsi_text_z("A: 1\r\nb:2\r\nC: \r\n\r\n"), name, value;
    if (!test_begin("fields one by one"))
        return;
    CHECK_EQ(wsi_http_header(&head, &name, &value), WSI_HEADER_FOUND);
    CHECK(wsi_text_is(name, "A") && wsi_text_is(value, "1"));
    CHECK_EQ(wsi_http_header(&head, &name, &value), WSI_HEADER_FOUND);
    CHECK(wsi_text_is(name, "b") && wsi_text_is(value, "2"));
    CHECK_EQ(wsi_http_header(&head, &name, &value), WSI_HEADER_FOUND);
    CHECK(wsi_text_is(name, "C") && wsi_text_is(value, ""));
    CHECK_EQ(wsi_http_header(&head, &name, &value), WSI_HEADER_END);
    for (size_t i = 0; i < COUNT(bad); i++) {
        head = wsi_text_z(bad[i]);
        test_equal(wsi_http_header(&head, &name, &value), WSI_HEADER_BAD, bad[i], __FILE__, __LINE__);
    }
    head = wsi_text_z("\nA: 1\r\n"); /* a line without its CR, and empty */
    CHECK_EQ(wsi_http_header(&head, &name, &value), WSI_HEADER_END);
    CHECK(wsi_http_is_header("Host: a", "host") && !wsi_http_is_header("Host", "host"));
    CHECK(!wsi_http_is_header("Hosts: a", "host"));
}

static void test_reasons(void) {
    static const int used[] = {200, 400, 403, 404, 405, 408, 426, 431, 501, 505, 101, 413, 500, 503};
    size_t i, left_out = TEST_SMALL ? 4 : 0; /* at the end of used */
    for (i = 0; i < COUNT(used) - left_out; i++)
        if (test_begin("reason of %d", used[i]))
            CHECK(strcmp(wsi_http_reason(used[i]), wsi_http_reason(299)) != 0);
}

static void test_methods(void) {
    static const char *const others[] = {"", "get", "GE", "GETS", "OPTION", "TRACE", "CONNECT"};
    if (!test_begin("methods that handlers can serve"))
        return;
    for (unsigned i = 0; i < WSI_HTTP_METHODS; i++)
        CHECK_EQ(wsi_http_method(wsi_text_z(wsi_http_methods[i])), i);
    CHECK_STR(wsi_http_methods[WSI_HTTP_METHODS], "");
    for (size_t i = 0; i < COUNT(others); i++)
        test_equal(wsi_http_method(wsi_text_z(others[i])), WSI_HTTP_METHODS, others[i], __FILE__, __LINE__);
}

static void test_forms(void) {
    static const struct { const char *text, *wanted; } cases[] = {
        {"", ""}, {"a", "a||"}, {"a=", "a||"}, {"=", ""}, {"=b", "|b|"}, {"&&", ""}, {"a&b", "a||b||"},
        {"a=b=c", "a|b=c|"}, {"+=%2b", " |+|"}, {"&a=1&", "a|1|"}, {"%26=%3D", "&|=|"},
        /* a pair that cannot be decoded is left out or, with strict, makes all of them malformed */
        {"%", ""}, {"a=1&b=%zz&c=2", "a|1|c|2|"}, {"%4=1", ""}, {"a=%00&b", "b||"}, {"a=%ff&%c3%a9", "\xc3\xa9||"},
        {"%c3=%a9", ""},
    };
    size_t i, j;
    if (!test_begin("urlencoded pairs"))
        return;
    for (i = 0; i < COUNT(cases); i++) {
        size_t length = strlen(cases[i].text);
        char *text = test_exact(cases[i].text, length), *out = (char *)malloc(2 * length + 2);
        if (!out)
            return;
        ptrdiff_t size = wsi_http_form(wsi_text(text, length), out, true);
        CHECK_EQ(size < 0, i >= 11);
        size = wsi_http_form(wsi_text(text, length), out, false);
        CHECK(size >= 0 && (size_t)size <= 2 * length + 2);
        for (j = 0; size > 0 && j < (size_t)size; j++)
            out[j] = out[j] ? out[j] : '|';
        CHECK_MEM(out, size < 0 ? 0 : (size_t)size, cases[i].wanted, strlen(cases[i].wanted));
        free(text);
        free(out);
    }
}

static void test_dates(void) {
    static const struct { uint64_t seconds; const char *text; } cases[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"}, {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"}, {951868799, "Tue, 29 Feb 2000 23:59:59 GMT"},
        {4107542399u, "Sun, 28 Feb 2100 23:59:59 GMT"}, {4107542400u, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {1735689599, "Tue, 31 Dec 2024 23:59:59 GMT"}, {253402300799u, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {253402300800u, "Fri, 31 Dec 9999 23:59:59 GMT"}, {UINT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    static const char *const wrong[] = {
        "", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994  8:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMX",
        "Sun; 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08-49:37 GMT", "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 199x 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37", "Sunday, 06-Nov-94 08:49:37 GMX",
        "Sunday, 06 Nov 94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
    };
    char text[29];
    uint64_t seconds, i;
    if (!test_begin("dates are written and read back"))
        return;
    for (i = 0; i < COUNT(cases); i++) {
        wsi_http_date(text, cases[i].seconds);
        CHECK_MEM(text, 29, cases[i].text, 29);
    }
    for (i = 0; i < 40000; i++) { /* day by day, to 2079 */
        uint64_t moment = i * 86400 + i * 7 % 86400;
        wsi_http_date(text, moment);
        CHECK(wsi_http_date_read(wsi_text(text, 29), 0, &seconds) && seconds == moment);
    }
    for (i = 0; i < COUNT(wrong); i++)
        test_check(!wsi_http_date_read(wsi_text_z(wrong[i]), 1796000000, &seconds), wrong[i], __FILE__, __LINE__);
    CHECK(wsi_http_date_read(wsi_text_z("Sun Nov  6 08:49:37 1994"), 0, &seconds) && seconds == 784111777);
    CHECK(wsi_http_date_read(wsi_text_z("Sun, 06 Nov 1994 23:59:60 GMT"), 0, &seconds)); /* a leap second */
    /* Two digits of a year: at most 50 years ahead, and not before 1970. */
    CHECK(wsi_http_date_read(wsi_text_z("Sunday, 06-Nov-94 08:49:37 GMT"), 1796000000, &seconds));
    CHECK_EQ(seconds, 784111777);
    CHECK(wsi_http_date_read(wsi_text_z("Tues, 01-Nov-94 08:49:37 GMT"), 1796000000, &seconds)); /* any weekday */
    CHECK_EQ(seconds, 783679777);
    CHECK(!wsi_http_date_read(wsi_text_z("Saturday, 01-Jan-50 00:00:00 GMT"), 10958 * 86400 - 1, &seconds));
    CHECK(wsi_http_date_read(wsi_text_z("Saturday, 01-Jan-50 00:00:00 GMT"), 10958 * 86400, &seconds));
    CHECK_EQ(seconds, 2524608000u);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_request_line();
    test_smuggling();
    test_targets();
    test_slashes();
    test_authorities();
    test_fields();
    test_scan();
    test_headers();
    test_reasons();
    test_methods();
    test_forms();
    test_dates();
    return test_finish();
}
