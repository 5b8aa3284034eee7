/* HANDSHAKE: a program's lists of origins, hosts and subprotocols, and its settings of compression: which are valid,
   which element is not, and which origins and hosts they match. */
#define WS_IMPLEMENTATION
#include "../../ws.h"
#include "../helpers/test.h"
#include <stdlib.h>

static void test_deflate_settings(void) {
    static const struct { bool on; uint8_t bits; int8_t level; bool good; } cases[] = {
        {true, 0, 0, true}, {true, 7, 0, false}, {true, 8, 0, true}, {true, 9, -1, true}, {true, 15, 9, true},
        {true, 16, 0, false}, {true, 255, 0, false}, {true, 0, -2, false}, {true, 15, 10, false},
        {true, 7, 10, false}, {false, 16, 0, true}, {false, 0, 10, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ws_deflate_config config;
        if (!test_begin("deflate %d: window_bits %d, level %d", cases[i].on, cases[i].bits, cases[i].level))
            continue;
        memset(&config, 0, sizeof config);
        config.on = cases[i].on;
        config.window_bits = cases[i].bits;
        config.level = cases[i].level;
        CHECK_EQ(wsi_codec_wrong(&config) == NULL, cases[i].good);
    }
}

/* wrong: the first invalid element, or the whole list; NULL: the list is valid. */
typedef struct list_case {
    const char *list, *wrong;
} list_case;

static void check_list(bool good, wsi_slice wrong, const list_case *c) {
    CHECK_EQ(good, !c->wrong);
    if (c->wrong)
        CHECK_MEM(wrong.data ? wrong.data : "", wrong.size, c->wrong, strlen(c->wrong));
}

static void test_subprotocols(void) {
    static const list_case cases[] = {
        {NULL, NULL}, {"", NULL}, {"a", NULL}, {"a, b", NULL}, {"a, A", NULL}, {",", ","}, {" , ", " , "},
        {"a, a", "a"}, {"x, a, b, a", "a"}, {"a, b c", "b c"}, {"a, \"b\"", "\"b\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        wsi_slice wrong = {NULL, 0};
        if (test_begin("subprotocols '%s'", cases[i].list ? cases[i].list : "NULL"))
            check_list(wsi_handshake_tokens(cases[i].list, &wrong), wrong, &cases[i]);
    }
}

static void test_lists(void) {
    static const list_case origins[] = {
        {NULL, NULL}, {"", NULL}, {"*", NULL}, {"null", NULL}, {"file://", NULL}, {"http://a", NULL},
        {"http://a:8", NULL}, {"https://a:443, null, app://b", NULL}, {"http://[::1]:8", NULL}, {"http://*.a", NULL},
        {"http://*.a:8, https://*.b.c", NULL}, {",", ","}, {"a", "a"}, {"http://", "http://"},
        {"http://a, http://b:", "http://b:"}, {"http://a/", "http://a/"}, {"ws://a", "ws://a"}, {"WSS://a", "WSS://a"},
        {"http://*", "http://*"}, {"http://*.", "http://*."}, {"http://*..a", "http://*..a"},
        {"http://*a.b", "http://*a.b"}, {"http://a.*", "http://a.*"}, {"http://*.a*", "http://*.a*"},
        {"http://*.*.a", "http://*.*.a"}, {"http://**.a", "http://**.a"}, {"http://a, *", "*"},
        {"http://ab.c*", "http://ab.c*"},
    };
    static const list_case hosts[] = {
        {NULL, NULL}, {"a", NULL}, {"a:8, b", NULL}, {"[::1]", NULL}, {"null", NULL}, {"", ""}, {",", ","}, {"*", "*"},
        {"a, *.b", "*.b"}, {"a:", "a:"}, {"a:0", "a:0"}, {"http://a", "http://a"}, {"a, file://", "file://"},
        {"a b", "a b"},
    };
    for (size_t i = 0; i < COUNT(origins) + COUNT(hosts); i++) {
        bool of_origins = i < COUNT(origins);
        const list_case *c = of_origins ? &origins[i] : &hosts[i - COUNT(origins)];
        char *list = c->list ? test_exact(c->list, strlen(c->list) + 1) : NULL;
        wsi_slice wrong = {NULL, 0};
        if (test_begin("%s '%s'", of_origins ? "origins" : "hosts", c->list ? c->list : "NULL"))
            check_list(wsi_handshake_list_good(list, of_origins, &wrong), wrong, c);
        free(list);
    }
}

/* RFC 6454 4 and 5, and "*." for all subdomains of a host. */
static void test_same(void) {
    static const struct { const char *allowed, *origin; bool same; } cases[] = {
        {"http://a.b", "HTTP://A.B:80", true}, {"http://a.b", "https://a.b:80", false},
        {"app://a", "app://a", true}, {"app://a", "app://a:1", false}, {"null", "null", true}, {"null", "nul", false},
        {"http://*.a.b", "http://x.a.b", true}, {"http://*.a.b", "http://X.Y.A.B", true},
        {"http://*.a.b", "http://a.b", false}, {"http://*.a.b", "http://.a.b", false},
        {"http://*.a.b", "http://xa.b", false}, {"http://*.a.b", "http://x.a.c", false},
        {"http://*.a.b", "http://x.a.b:81", false}, {"http://*.a.b", "http://x.a.b.c", false},
        {"http://*.a.b", "https://x.a.b", false}, {"http://x.a.b", "http://y.x.a.b", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (test_begin("%s for %s", cases[i].allowed, cases[i].origin)) {
            size_t sizes[2] = {strlen(cases[i].allowed), strlen(cases[i].origin)};
            char *allowed = test_exact(cases[i].allowed, sizes[0]), *origin = test_exact(cases[i].origin, sizes[1]);
            CHECK_EQ(wsi_handshake_same(wsi_text(allowed, sizes[0]), wsi_text(origin, sizes[1]), NULL), cases[i].same);
            free(allowed);
            free(origin);
        }
}

static bool says(wsi_slice part, const char *text) {
    return part.size == strlen(text) && memcmp(part.data, text, part.size) == 0;
}

/* A page of another site is refused, and the reason names what was compared. */
static void test_why(void) {
    wsi_request request;
    wsi_why why;
    if (!test_begin("why an origin is refused"))
        return;
    memset(&request, 0, sizeof request);
    request.origin = wsi_text_z("http://b");
    request.host = wsi_text_z("a");
    CHECK(!wsi_handshake_origin(&request, NULL, true, &why));
    CHECK(TEST_SMALL || (says(why.part[0], "the Origin ") && says(why.part[1], "http://b")
                         && says(why.part[2], " is not in .origins, nor https:// with the Host ")
                         && says(why.part[3], "a")));
    CHECK(!wsi_handshake_origin(&request, "http://c", false, &why));
    CHECK(TEST_SMALL || (says(why.part[1], "http://b") && says(why.part[2], " is not in .origins")));
}

/* RFC 6455 1.3. A key has 24 characters, and no byte after them is read. */
static void test_accept(void) {
    char *key = test_exact("dGhlIHNhbXBsZSBub25jZQ==", 24), accept[28];
    if (test_begin("Sec-WebSocket-Accept of a key at the end of memory")) {
        wsi_handshake_accept(wsi_text(key, 24), accept);
        CHECK_MEM(accept, sizeof accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28);
    }
    free(key);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    test_deflate_settings();
    test_subprotocols();
    test_lists();
    test_same();
    test_why();
    test_accept();
    return test_finish();
}
